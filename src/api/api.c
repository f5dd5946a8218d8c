/* api.c - the public functions over tables and models. They translate nothing: options go down as they are, errors come
 * up as they are.
 *
 * Every entry readies the kernel table. A souk_model adds to the model a small stock of scorers, so that many threads
 * may predict with one model at once and none of them plans twice. */
#include <math.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"
#include "feat/tok_word.h"
#include "simd/kern.h"
#include "train/recipe.h"
#include "use/evaluate.h"
#include "use/predict.h"

enum { STOCK = 16 };

struct souk_model {
    model *model;
    mutex lock;
    scorer *stock[STOCK];
    int n_stock;
};

struct souk_train_report {
    recipe_result result;
    souk_epoch *epochs;
};

struct souk_evaluation {
    evaluation e;
};

struct souk_tokenizer {
    tok_word *t;
};

/* ---- the library ---- */

const char *souk_version(void) { return SOUK_VERSION; }

static souk_log_fn user_log;

static void forward_log(void *context, log_level level, const char *message) { user_log(context, (int)level, message); }

void souk_set_log(souk_log_fn fn, void *context) {
    user_log = fn;
    log_set(fn ? forward_log : NULL, context);
}

void souk_free(void *p) { mem_free(p); }

char *souk_doctor(void) {
    static const kern_isa levels[] = {KERN_C, KERN_AVX2, KERN_AVX512};
    buf out;
    json_writer w;
    kern_init();
    buf_init(&out, 0);
    json_begin(&w, &out, true);
    json_object(&w);
    json_key(&w, "version");
    json_put_string(&w, SOUK_VERSION);
    json_key(&w, "kernels");
    json_put_string(&w, kern_isa_name(kern_current()));
    json_key(&w, "kernels_available");
    json_array(&w);
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
        if (kern_supported(levels[i])) json_put_string(&w, kern_isa_name(levels[i]));
    json_end_array(&w);
    json_key(&w, "cpus");
    json_put_int(&w, thread_cpus());
    json_key(&w, "same_bits");
    json_put_string(&w, "fp32 results do not depend on threads or on the kernels in use");
    json_end_object(&w);
    buf_char(&out, '\n');
    char *text = buf_take(&out);
    buf_clear(&out);
    return text;
}

/* ---- training ---- */

souk_table_options souk_table_options_default(void) {
    return (souk_table_options){.size = sizeof(souk_table_options), .decimal = '.', .max_bad = .01};
}

souk_train_options souk_train_options_default(void) {
    return (souk_train_options){
        .size = sizeof(souk_train_options), .table = souk_table_options_default(), .seed = 1, .replicates = 1000};
}

static souk_status wrap_model(model *m, souk_model **out, souk_error *err) {
    souk_model *s = mem_calloc(1, sizeof *s);
    if (!s) return err_nomem(err, "opening the model");
    s->model = m;
    mutex_init(&s->lock);
    *out = s;
    return SOUK_OK;
}

static souk_status make_report(recipe_result *r, souk_train_report **out, souk_error *err) {
    souk_train_report *p = mem_calloc(1, sizeof *p);
    if (!p) return err_nomem(err, "writing the report");
    p->epochs = mem_calloc((size_t)r->history.n_epochs, sizeof *p->epochs);
    if (!p->epochs) {
        mem_free(p);
        return err_nomem(err, "writing the report");
    }
    for (int64_t i = 0; i < r->history.n_epochs; i++) recipe_epoch(&p->epochs[i], &r->history.history[i]);
    p->result = *r;
    memset(r, 0, sizeof *r);
    *out = p;
    return SOUK_OK;
}

static souk_status check_size(size_t size, size_t own, const char *what, souk_error *err) {
    if (size == own) return SOUK_OK;
    return err_set(err, SOUK_USAGE, "%s was not made by its default function, or by another version of souk.h", what);
}

souk_status souk_train(const char *data, const souk_train_options *options, souk_model **model_out,
                       souk_train_report **report, souk_error *err) {
    if (model_out) *model_out = NULL;
    if (report) *report = NULL;
    TRY(check_size(options->size, sizeof *options, "souk_train_options", err));
    kern_init();
    recipe_result r;
    TRY(recipe_train(&r, data, options, err));
    souk_status status = SOUK_OK;
    if (model_out) {
        status = wrap_model(r.model, model_out, err);
        if (status == SOUK_OK) r.model = NULL;
    }
    if (status == SOUK_OK && report) status = make_report(&r, report, err);
    recipe_result_clear(&r);
    if (status != SOUK_OK && model_out) {
        souk_model_free(*model_out);
        *model_out = NULL;
    }
    return status;
}

void souk_train_report_free(souk_train_report *r) {
    if (!r) return;
    recipe_result_clear(&r->result);
    mem_free(r->epochs);
    mem_free(r);
}

const char *souk_train_report_json(const souk_train_report *r) { return r->result.json.data; }
const char *souk_train_report_text(const souk_train_report *r) { return r->result.text.data; }
const char *souk_train_report_history_csv(const souk_train_report *r) { return r->result.history_csv.data; }
int64_t souk_train_report_epochs(const souk_train_report *r) { return r->result.history.n_epochs; }
const souk_epoch *souk_train_report_epoch(const souk_train_report *r, int64_t i) {
    return i >= 0 && i < r->result.history.n_epochs ? &r->epochs[i] : NULL;
}

souk_status souk_init(const char *data, const souk_train_options *options, char **yaml, souk_error *err) {
    buf out;
    *yaml = NULL;
    TRY(check_size(options->size, sizeof *options, "souk_train_options", err));
    buf_init(&out, 0);
    souk_status status = recipe_init(&out, data, options, err);
    if (status == SOUK_OK) status = buf_status(&out, "writing the model file", err);
    if (status == SOUK_OK) *yaml = buf_take(&out);
    buf_clear(&out);
    return status;
}

/* ---- models ---- */

souk_status souk_model_load(const char *path, souk_model **out, souk_error *err) {
    model *m = NULL;
    *out = NULL;
    kern_init();
    TRY(model_load(&m, path, err));
    souk_status status = wrap_model(m, out, err);
    if (status != SOUK_OK) model_free(m);
    return status;
}

souk_status souk_model_save(const souk_model *m, const char *path, souk_error *err) {
    return model_save(m->model, path, err);
}

void souk_model_free(souk_model *m) {
    if (!m) return;
    for (int i = 0; i < m->n_stock; i++) scorer_free(m->stock[i]);
    mutex_clear(&m->lock);
    model_free(m->model);
    mem_free(m);
}

souk_status souk_model_inspect(const souk_model *m, bool json, char **out, souk_error *err) {
    buf text;
    *out = NULL;
    kern_init();
    buf_init(&text, 0);
    souk_status status = inspect_model(m->model, json, &text, err);
    if (status == SOUK_OK) *out = buf_take(&text);
    buf_clear(&text);
    return status;
}

souk_evaluate_options souk_evaluate_options_default(void) {
    return (souk_evaluate_options){.size = sizeof(souk_evaluate_options),
                                   .table = souk_table_options_default(),
                                   .threshold = NAN,
                                   .replicates = 1000,
                                   .seed = 1};
}

souk_status souk_evaluate(const souk_model *m, const char *data, const souk_evaluate_options *options,
                          souk_evaluation **out, souk_error *err) {
    *out = NULL;
    TRY(check_size(options->size, sizeof *options, "souk_evaluate_options", err));
    kern_init();
    souk_evaluation *e = mem_calloc(1, sizeof *e);
    if (!e) return err_nomem(err, "evaluating");
    souk_status status = evaluate_model(&e->e, m->model, data, options, err);
    if (status == SOUK_OK)
        *out = e;
    else
        mem_free(e);
    return status;
}

void souk_evaluation_free(souk_evaluation *e) {
    if (!e) return;
    evaluation_clear(&e->e);
    mem_free(e);
}

int64_t souk_evaluation_rows(const souk_evaluation *e) { return e->e.rows; }
int souk_evaluation_metrics(const souk_evaluation *e) { return e->e.metrics.n; }
souk_metric souk_evaluation_metric(const souk_evaluation *e, int i) {
    const metric_value *v = &e->e.metrics.v[i];
    return (souk_metric){v->name, v->value, v->low, v->high};
}
const char *souk_evaluation_json(const souk_evaluation *e) { return e->e.json.data; }
const char *souk_evaluation_text(const souk_evaluation *e) { return e->e.text.data; }

souk_predict_options souk_predict_options_default(void) {
    return (souk_predict_options){
        .size = sizeof(souk_predict_options), .table = souk_table_options_default(), .threshold = NAN};
}

souk_status souk_predict(const souk_model *m, const char *data, const souk_predict_options *options,
                         souk_predict_summary *summary, souk_error *err) {
    TRY(check_size(options->size, sizeof *options, "souk_predict_options", err));
    kern_init();
    return predict_stream(m->model, data, options, summary, err);
}

/* A scorer from the stock, or a new one; the model itself never changes, so the lock is all that threads share. */
static scorer *take_scorer(souk_model *m) {
    mutex_lock(&m->lock);
    scorer *s = m->n_stock ? m->stock[--m->n_stock] : NULL;
    mutex_unlock(&m->lock);
    return s;
}

static void put_scorer(souk_model *m, scorer *s) {
    mutex_lock(&m->lock);
    bool room = m->n_stock < STOCK;
    if (room) m->stock[m->n_stock++] = s;
    mutex_unlock(&m->lock);
    if (!room) scorer_free(s);
}

souk_status souk_predict_texts(const souk_model *m, const char *const *texts, int64_t n, double *p, souk_error *err) {
    souk_model *stock = (souk_model *)(uintptr_t)m; /* the stock of scorers is not part of what const promises */
    scorer *s = take_scorer(stock);
    kern_init();
    if (!s) TRY(scorer_new(&s, m->model, err));
    souk_status status = predict_texts(m->model, s, texts, n, p, err);
    put_scorer(stock, s);
    return status;
}

int64_t souk_model_classes(const souk_model *m) { return pipeline_class_count(m->model->pipeline, 0); }
const char *souk_model_class(const souk_model *m, int64_t i) {
    return i >= 0 && i < souk_model_classes(m) ? pipeline_class(m->model->pipeline, 0, i) : NULL;
}

/* ---- text ---- */

souk_tokenizer_options souk_tokenizer_options_default(void) {
    return (souk_tokenizer_options){.size = sizeof(souk_tokenizer_options), .lower = true, .split = " "};
}

static souk_status wrap_tokenizer(tok_word *t, souk_tokenizer **out, souk_error *err) {
    *out = mem_calloc(1, sizeof **out);
    if (!*out) {
        tok_word_free(t);
        return err_nomem(err, "making a tokenizer");
    }
    (*out)->t = t;
    return SOUK_OK;
}

souk_status souk_tokenizer_fit(souk_tokenizer **out, const souk_tokenizer_options *o, const char *const *texts,
                               int64_t n, souk_error *err) {
    *out = NULL;
    TRY(check_size(o->size, sizeof *o, "souk_tokenizer_options", err));
    tok_word_options options = tok_word_options_default();
    options.num_words = o->num_words;
    options.filters = o->filters;
    options.lower = o->lower;
    options.split = o->split;
    options.char_level = o->char_level;
    options.oov_token = o->oov_token;
    tok_word *t = NULL;
    kern_init();
    TRY(tok_word_new(&t, &options, err));
    souk_status status = SOUK_OK;
    for (int64_t i = 0; i < n && status == SOUK_OK; i++) status = tok_word_fit(t, texts[i], strlen(texts[i]), err);
    if (status == SOUK_OK) status = tok_word_finish(t, err);
    if (status != SOUK_OK) {
        tok_word_free(t);
        return status;
    }
    return wrap_tokenizer(t, out, err);
}

void souk_tokenizer_free(souk_tokenizer *t) {
    if (!t) return;
    tok_word_free(t->t);
    mem_free(t);
}

souk_status souk_tokenizer_encode(const souk_tokenizer *t, const char *const *texts, int64_t n, int64_t maxlen,
                                  int32_t *ids, souk_error *err) {
    if (maxlen <= 0) return err_set(err, SOUK_USAGE, "maxlen must be at least 1");
    pad_options pad = {.maxlen = maxlen};
    tok_ids found = {0};
    souk_status status = SOUK_OK;
    for (int64_t i = 0; i < n && status == SOUK_OK; i++) {
        found.n = 0;
        status = tok_word_encode(t->t, texts[i], strlen(texts[i]), &found, err);
        if (status == SOUK_OK) pad_sequence(&pad, found.id, found.n, ids + i * maxlen);
    }
    tok_ids_clear(&found);
    return status;
}

int64_t souk_tokenizer_vocabulary(const souk_tokenizer *t) { return tok_word_vocabulary(t->t); }

souk_status souk_tokenizer_to_json(const souk_tokenizer *t, char **json, souk_error *err) {
    buf out;
    *json = NULL;
    buf_init(&out, 0);
    souk_status status = tok_word_to_json(t->t, &out, err);
    if (status == SOUK_OK) status = buf_status(&out, "writing the tokenizer", err);
    if (status == SOUK_OK) *json = buf_take(&out);
    buf_clear(&out);
    return status;
}

souk_status souk_tokenizer_from_json(souk_tokenizer **out, const char *json, size_t n, souk_error *err) {
    tok_word *t = NULL;
    *out = NULL;
    TRY(tok_word_from_json(&t, json, n, err));
    return wrap_tokenizer(t, out, err);
}
