/* model - spec, fitted pipeline, net and weights held together, and as a file.
 *
 * The file (file.h, docs/file-format.md) holds `w/PARAMETER` (F32), `asset/pipeline` (the fitted encoders as JSON, U8)
 * and in its metadata spec, metrics, fingerprint and seed. The net is not stored: it follows from spec and pipeline
 * (build.c), and each weight must have the shape that the rebuilt net asks for.
 *
 * A file is a stranger's: texts are parsed with bounds, shapes are checked before memory for weights is taken, tensors
 * that the net does not know are an error. Invariant: the bytes depend on spec, pipeline, weights, record and seed
 * alone. */
#include "model/model.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/num.h"
#include "model/build.h"

/* ---- making ---- */

static int64_t param_count(const param_def *p) {
    shape s = shape_make(p->rank, p->d);
    return shape_count(&s);
}

/* Spec and pipeline were stored side by side: a file in which they speak of different columns is no model. */
static souk_status check_features(const spec *s, const pipeline *p, souk_error *err) {
    int n_in = pipeline_inputs(p), n_out = pipeline_outputs(p);
    if (n_in != s->n_inputs || n_out != s->n_outputs)
        return err_set(err, SOUK_CORRUPT,
                       "the model's spec has %d inputs and %d outputs, and its encoders were fitted for %d and %d",
                       s->n_inputs, s->n_outputs, n_in, n_out);
    for (int i = 0; i < n_in + n_out; i++) {
        bool output = i >= n_in;
        const feature_config *said = output ? &s->outputs[i - n_in].feature : &s->inputs[i].feature;
        const feature_config *fitted = pipeline_config(p, output, output ? i - n_in : i);
        if (said->type != fitted->type || strcmp(said->name, fitted->name) != 0)
            return err_set(err, SOUK_CORRUPT,
                           "the model's spec has the %s feature \"%.200s\" where its encoders were fitted for the %s "
                           "feature \"%.200s\"",
                           feature_type_name(said->type), said->name, feature_type_name(fitted->type), fitted->name);
    }
    return SOUK_OK;
}

/* The net; m holds spec and pipeline. */
static souk_status build(model *m, souk_error *err) {
    const spec *s = m->spec;
    int n_in = pipeline_inputs(m->pipeline), n_out = pipeline_outputs(m->pipeline);
    TRY(check_features(s, m->pipeline, err));
    feature_shape *shapes = mem_array((size_t)(n_in + n_out), sizeof *shapes);
    if (!shapes) return err_nomem(err, "building the model");
    for (int i = 0; i < n_in; i++) shapes[i] = pipeline_shape(m->pipeline, false, i);
    for (int i = 0; i < n_out; i++) shapes[n_in + i] = pipeline_shape(m->pipeline, true, i);
    souk_status status = model_build_net(&m->net, s, shapes, shapes + n_in, err);
    mem_free(shapes);
    return status;
}

static souk_status allocate(model *m, souk_error *err) {
    int n = net_params(m->net);
    size_t total = 0, bytes;
    for (int i = 0; i < n; i++)
        if (!size_mul((size_t)param_count(net_param(m->net, i)), sizeof(real), &bytes) ||
            !size_add(total, bytes, &total))
            return err_nomem(err, "making the model's weights");
    TRY(clock_memory_check(total, "the model's weights", err));
    m->params = mem_calloc((size_t)n + 1, sizeof *m->params);
    if (!m->params) return err_nomem(err, "making the model");
    m->n_params = n;
    for (int i = 0; i < n; i++) {
        m->params[i] = mem_aligned((size_t)param_count(net_param(m->net, i)) * sizeof(real));
        if (!m->params[i]) return err_nomem(err, "making the model's weights");
    }
    return SOUK_OK;
}

/* An empty model that owns s and p, also when memory runs out. */
static souk_status hold(model **out, spec *s, pipeline *p, souk_error *err) {
    *out = mem_calloc(1, sizeof **out);
    if (!*out) {
        spec_free(s);
        pipeline_free(p);
        return err_nomem(err, "making the model");
    }
    (*out)->spec = s;
    (*out)->pipeline = p;
    return SOUK_OK;
}

souk_status model_init_weights(model *m, souk_error *err) {
    TRY(allocate(m, err));
    for (int i = 0; i < m->n_params; i++) TRY(net_init_param(m->net, i, m->seed, m->params[i], err));
    return SOUK_OK;
}

souk_status model_new(model **out, spec *s, pipeline *p, uint64_t seed, souk_error *err) {
    model *m;
    *out = NULL;
    TRY(hold(&m, s, p, err));
    m->seed = seed;
    souk_status status = build(m, err);
    if (status == SOUK_OK) status = model_init_weights(m, err);
    if (status == SOUK_OK)
        *out = m;
    else
        model_free(m);
    return status;
}

void model_free(model *m) {
    if (!m) return;
    for (int i = 0; i < m->n_params; i++) mem_free(m->params[i]);
    mem_free(m->params);
    mem_free(m->metrics);
    net_free(m->net);
    pipeline_free(m->pipeline);
    spec_free(m->spec);
    mem_free(m);
}

/* ---- writing ---- */

/* The text of b, kept by the arena; b is cleared. NULL after a failure, which *status tells. */
static const char *keep_text(arena *keep, buf *b, souk_status *status, souk_error *err) {
    const char *text = NULL;
    if (*status == SOUK_OK) *status = buf_status(b, "writing a model", err);
    if (*status == SOUK_OK && !(text = arena_strndup(keep, b->data ? b->data : "", b->len)))
        *status = err_nomem(err, "writing a model");
    buf_clear(b);
    return text;
}

static souk_status pipeline_text(const model *m, model_texts *out, arena *keep, souk_error *err) {
    buf text;
    json_writer json;
    buf_init(&text, 0);
    json_begin(&json, &text, false);
    json_object(&json);
    souk_status status = pipeline_to_json(m->pipeline, &json, err);
    json_end_object(&json);
    out->pipeline_bytes = (int64_t)text.len;
    out->pipeline = keep_text(keep, &text, &status, err);
    return status;
}

souk_status model_texts_make(const model *m, model_texts *out, arena *keep, souk_error *err) {
    buf text;
    *out = (model_texts){0};
    buf_init(&text, 0);
    souk_status status = spec_to_json(m->spec, &text, err);
    out->spec = keep_text(keep, &text, &status, err);
    if (status != SOUK_OK) return status;
    out->seed = arena_printf(keep, "%lld", (long long)m->seed);
    if (!out->seed) return err_nomem(err, "writing a model");
    return m->pipeline ? pipeline_text(m, out, keep, err) : SOUK_OK;
}

static souk_status write_weights(const model *m, model_writer *w, arena *keep, souk_error *err) {
    for (int i = 0; i < m->n_params; i++) {
        const param_def *p = net_param(m->net, i);
        const char *name = arena_printf(keep, "w/%s", p->name);
        if (!name) return err_nomem(err, "writing the model");
        TRY(model_writer_tensor(w, name, FILE_F32, p->rank, p->d, m->params[i], err));
    }
    return SOUK_OK;
}

souk_status model_write(const model *m, const model_texts *texts, model_writer *w, arena *keep, souk_error *err) {
    TRY(model_writer_meta(w, "spec", texts->spec, err));
    TRY(model_writer_meta(w, "seed", texts->seed, err));
    if (m->fingerprint[0]) TRY(model_writer_meta(w, "fingerprint", m->fingerprint, err));
    if (m->metrics) TRY(model_writer_meta(w, "metrics", m->metrics, err));
    if (texts->pipeline)
        TRY(model_writer_tensor(w, "asset/pipeline", FILE_U8, 1, &texts->pipeline_bytes, texts->pipeline, err));
    return write_weights(m, w, keep, err);
}

souk_status model_save(const model *m, const char *path, souk_error *err) {
    model_writer *w = NULL;
    model_texts texts;
    arena keep;
    arena_init(&keep);
    souk_status status = model_texts_make(m, &texts, &keep, err);
    if (status == SOUK_OK) status = model_writer_new(&w, err);
    if (status == SOUK_OK) status = model_write(m, &texts, w, &keep, err);
    if (status == SOUK_OK) status = model_writer_save(w, path, err);
    model_writer_free(w);
    arena_clear(&keep);
    return status;
}

/* ---- reading ---- */

static souk_status read_spec(const model_file *f, const char *name, spec **out, souk_error *err) {
    const char *text = model_file_meta(f, "spec");
    if (!text)
        return err_set(err, SOUK_CORRUPT, "%s: it holds weights, but no spec: a file of souk_net_save, not a model",
                       name);
    souk_status status = spec_parse(out, text, strlen(text), "spec", NULL, err);
    if (status != SOUK_OK && status != SOUK_NOMEM) {
        err_prefix(err, "%s", name);
        status = SOUK_CORRUPT;
        if (err) err->code = status;
    }
    return status;
}

static souk_status read_pipeline(const model_file *f, const char *name, pipeline **out, souk_error *err) {
    const file_tensor *t;
    json_doc *doc = NULL;
    int64_t any = -1;
    TRY(model_file_need(f, "asset/pipeline", FILE_U8, 1, &any, &t, err));
    souk_status status = json_parse(&doc, t->data, t->bytes, 0, err);
    if (status == SOUK_OK) status = pipeline_from_json(out, json_root(doc), err);
    json_free(doc);
    if (status == SOUK_OK || status == SOUK_NOMEM) return status;
    err_prefix(err, "%s: asset/pipeline", name);
    if (err) err->code = SOUK_CORRUPT;
    return SOUK_CORRUPT;
}

/* Every weight in its place, and no other. */
static souk_status read_weights(model *m, const model_file *f, const char *name, souk_error *err) {
    char key[4200];
    const file_tensor *t;
    int n = net_params(m->net), found = 0;
    for (int pass = 0; pass < 2; pass++) { /* all shapes are checked before any memory is taken */
        if (pass == 1) TRY(allocate(m, err));
        for (int i = 0; i < n; i++) {
            const param_def *p = net_param(m->net, i);
            snprintf(key, sizeof key, "w/%s", p->name);
            TRY(model_file_need(f, key, FILE_F32, p->rank, p->d, &t, err));
            if (pass == 1) memcpy(m->params[i], t->data, t->bytes);
        }
    }
    for (int64_t i = 0; i < model_file_count(f); i++) found += strncmp(model_file_at(f, i)->name, "w/", 2) == 0;
    if (found == n) return SOUK_OK;
    return err_set(err, SOUK_CORRUPT, "%s: %d weights, and the spec makes a network of %d", name, found, n);
}

static souk_status read_record(model *m, const model_file *f, const char *name, souk_error *err) {
    const char *metrics = model_file_meta(f, "metrics"), *fingerprint = model_file_meta(f, "fingerprint"),
               *seed = model_file_meta(f, "seed");
    int64_t number;
    if (fingerprint && strlen(fingerprint) != 16)
        return err_set(err, SOUK_CORRUPT, "%s: its fingerprint is not 16 digits", name);
    if (fingerprint) memcpy(m->fingerprint, fingerprint, sizeof m->fingerprint);
    if (seed && num_parse_int64(seed, strlen(seed), &number)) m->seed = (uint64_t)number;
    if (metrics) { /* it is shown as a part of other JSON */
        json_doc *doc = NULL;
        souk_status status = json_parse(&doc, metrics, strlen(metrics), 0, NULL);
        bool object = status == SOUK_OK && json_kind(json_root(doc)) == JSON_KIND_OBJECT;
        json_free(doc);
        if (status == SOUK_NOMEM) return err_nomem(err, "reading a model");
        if (!object) return err_set(err, SOUK_CORRUPT, "%s: its training record (metrics) is not a JSON object", name);
    }
    if (metrics && !(m->metrics = mem_strdup(metrics))) return err_nomem(err, "reading a model");
    return SOUK_OK;
}

souk_status model_from_file(model **out, const model_file *f, const char *name, souk_error *err) {
    spec *s = NULL;
    pipeline *p = NULL;
    model *m = NULL;
    *out = NULL;
    TRY(read_spec(f, name, &s, err));
    souk_status status = read_pipeline(f, name, &p, err);
    if (status != SOUK_OK) {
        spec_free(s);
        return status;
    }
    TRY(hold(&m, s, p, err));
    status = build(m, err);
    if (status == SOUK_USAGE) { /* the spec's mistakes were found before the model was written */
        status = SOUK_CORRUPT;
        if (err) err->code = status;
    }
    if (status == SOUK_OK) status = read_weights(m, f, name, err);
    if (status == SOUK_OK) status = read_record(m, f, name, err);
    if (status == SOUK_OK)
        *out = m;
    else
        model_free(m);
    return status;
}

souk_status model_load(model **out, const char *path, souk_error *err) {
    model_file *f = NULL;
    *out = NULL;
    TRY(model_file_open(&f, path, true, err));
    souk_status status = model_from_file(out, f, path, err);
    model_file_close(f);
    return status;
}
