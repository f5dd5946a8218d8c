/* recipe.c - the flow of `souk train`: each step is a function below, in the order in which they run.
 *
 * Test rows never reach the fit that is judged: the pipeline is fitted on the training part alone, early stopping looks
 * at the validation part, and the test part is encoded only after training. Where the program chose the model itself,
 * the judged recipe (same spec, the epochs that proved best) is then fitted again on all rows; the metrics stay those
 * of the judged fit. Nothing that depends on clock, host, path or threads enters the model file. */
#include "train/recipe.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "data/split.h"
#include "model/sizing.h"
#include "train/judge.h"
#include "train/recipe_parts.h"
#include "train/roles.h"

typedef struct work {
    const char *data;
    const souk_train_options *o;
    recipe_result *result;
    pool *pool;
    roles roles;
    spec *spec;         /* handed to the model */
    pipeline *pipeline; /* handed to the model */
    bool chosen;        /* the program chose the model: refit on all rows */
    table *table, *valid_table, *test_table;
    split split;
    dataset *train, *valid, *test;
    model *model;
    metric_set *metrics; /* [outputs] of the judged rows */
    int n_metrics;
    const char *judged_on; /* "test", "validation" or NULL */
    double started;
} work;

/* ---- 1. read ---- */

static souk_status read_rows(work *w, const char *path, table **out, souk_error *err) {
    const char **types = NULL;
    table_options options;
    recipe_table_options(&options, &w->o->table);
    souk_status status = recipe_forced_types(w->spec, w->o->target, &types, err);
    options.types = (const char *const *)types;
    if (status == SOUK_OK) status = table_read(out, path, &options, err);
    mem_free(types);
    if (status == SOUK_OK && (*out)->n == 0) {
        status = err_set(err, SOUK_INPUT,
                         options.where ? "%s: no row is left after --where: nothing to learn from"
                                       : "%s: there are no rows to learn from",
                         path);
    }
    return status;
}

static souk_status read_config(work *w, souk_error *err) {
    const souk_train_options *o = w->o;
    if (o->config) return spec_read(&w->spec, o->config, o->set, err);
    if (o->config_text) return spec_parse(&w->spec, o->config_text, strlen(o->config_text), "model", o->set, err);
    w->chosen = true;
    if (!o->target)
        return err_set(err, SOUK_USAGE,
                       "nothing says what to learn: name the column with --target, or give a model file with --config");
    return SOUK_OK;
}

static souk_status check_target(const work *w, souk_error *err) {
    if (!w->o->target) return SOUK_OK;
    for (int i = 0; i < w->spec->n_outputs; i++)
        if (!strcmp(w->spec->outputs[i].feature.name, w->o->target)) return SOUK_OK;
    return err_set(
        err, SOUK_USAGE,
        "--target is \"%s\", but the model file's output feature is \"%s\": leave --target out or make them the same",
        w->o->target, w->spec->outputs[0].feature.name);
}

static souk_status read_all(work *w, souk_error *err) {
    TRY(read_config(w, err));
    if (w->spec) TRY(check_target(w, err));
    TRY(read_rows(w, w->data, &w->table, err));
    if (w->o->validation) TRY(read_rows(w, w->o->validation, &w->valid_table, err));
    if (w->o->test) TRY(read_rows(w, w->o->test, &w->test_table, err));
    TRY(roles_parse(&w->roles, w->o->table.roles, w->table, w->data, err));
    recipe_log_columns(w->table, w->data);
    return SOUK_OK;
}

/* ---- 2. choose ---- */

static souk_status choose(work *w, souk_error *err) {
    if (w->spec) return SOUK_OK;
    chosen c;
    TRY(roles_choose(&c, &w->roles, w->table, w->o->target, w->data, err));
    w->spec = c.spec;
    for (int i = 0; i < w->spec->n_inputs; i++)
        log_info("feature %s: %s", w->spec->inputs[i].feature.name, c.reasons[i]);
    for (int i = 0; i < c.n_notes; i++) log_info("column %s", c.notes[i]);
    return w->o->set ? spec_override(&w->spec, w->o->set, err) : SOUK_OK;
}

/* What is learned can be nothing else at the same time. */
static souk_status check_roles(const work *w, souk_error *err) {
    const roles *r = &w->roles;
    const char *weight = w->spec->trainer.weight_column ? w->spec->trainer.weight_column : r->weight;
    for (int i = 0; i < w->spec->n_outputs; i++) {
        const char *name = w->spec->outputs[i].feature.name;
        if (roles_leaves_out(r, name) || (weight && !strcmp(weight, name)) || (r->time && !strcmp(r->time, name)))
            return err_set(err, SOUK_USAGE,
                           "column \"%s\" is the target, and --roles or trainer.weight_column gives it another role: "
                           "take one of them away",
                           name);
    }
    return SOUK_OK;
}

/* ---- 3. split ---- */

static souk_status split_rows(work *w, souk_error *err) {
    const trainer_config *t = &w->spec->trainer;
    if (w->o->split && t->validation_split >= 0)
        return err_set(err, SOUK_USAGE,
                       "both --split and trainer.validation_split say how to part the rows: keep one of them");
    if (t->validation_split >= 0) {
        recipe_warn_sorted(w->table, w->spec->outputs[0].feature.name, t->validation_split);
        if (w->o->validation) return split_none(&w->split, w->table->n, err);
        return split_last(&w->split, w->table->n, t->validation_split, err);
    }
    split_shares shares = {70, 10, 20};
    if (w->o->split) TRY(split_parse(w->o->split, &shares, err));
    if (w->o->validation) shares.valid = 0; /* a file of its own takes the part's place */
    if (w->o->test) shares.test = 0;
    if (w->roles.time) return split_by_time(&w->split, w->table, w->roles.time, shares, err);
    return split_by_hash(&w->split, w->table, shares, w->o->seed, err);
}

static souk_status check_split(const work *w, souk_error *err) {
    if (w->split.n_train > 1) return SOUK_OK;
    if (w->spec->trainer.validation_split > 0)
        return err_set(err, SOUK_REFUSED,
                       "%s: trainer.validation_split %g of %lld rows leaves too few to train on: make it smaller, or "
                       "give more rows",
                       w->data, w->spec->trainer.validation_split, (long long)w->table->n);
    return err_set(
        err, SOUK_REFUSED,
        "%s: %lld rows are too few to part into training, validation and test: give more rows or --split 1:0:0",
        w->data, (long long)w->table->n);
}

/* ---- 4. fit, train ---- */

static souk_status encode(work *w, const table *t, const int64_t *rows, int64_t n, const char *source, dataset **out,
                          souk_error *err) {
    int64_t dropped = 0;
    TRY(pipeline_encode(w->pipeline, t, rows, n, true, source, out, &dropped, err));
    if (dropped) log_warn("%s: %lld rows have no usable target and are left out", source, (long long)dropped);
    const char *weight = w->spec->trainer.weight_column ? w->spec->trainer.weight_column : w->roles.weight;
    return weight ? recipe_weights(*out, t, weight, source, err) : SOUK_OK;
}

static souk_status encode_parts(work *w, souk_error *err) {
    TRY(encode(w, w->table, w->split.train, w->split.n_train, w->data, &w->train, err));
    if (w->valid_table)
        TRY(encode(w, w->valid_table, NULL, w->valid_table->n, w->o->validation, &w->valid, err));
    else if (w->split.n_valid)
        TRY(encode(w, w->table, w->split.valid, w->split.n_valid, w->data, &w->valid, err));
    if (w->train->n == 0) return err_set(err, SOUK_INPUT, "%s: no training row has a usable target", w->data);
    return SOUK_OK;
}

static souk_status fit_pipeline(work *w, const int64_t *rows, int64_t n, souk_error *err) {
    spec *s = w->spec;
    size_t count = (size_t)s->n_inputs + (size_t)s->n_outputs;
    feature_config *f = mem_array(count, sizeof *f);
    if (!f) return err_nomem(err, "fitting the features");
    for (int i = 0; i < s->n_inputs; i++) f[i] = s->inputs[i].feature;
    for (int i = 0; i < s->n_outputs; i++) f[s->n_inputs + i] = s->outputs[i].feature;
    souk_status status =
        pipeline_fit(&w->pipeline, f, s->n_inputs, f + s->n_inputs, s->n_outputs, w->table, rows, n, w->data, err);
    mem_free(f);
    return status;
}

/* The model takes spec and pipeline over, also when it fails. */
static souk_status make_model(work *w, const char *fingerprint, souk_error *err) {
    souk_status status = model_new(&w->model, w->spec, w->pipeline, w->o->seed, err);
    w->pipeline = NULL;
    w->spec = NULL;
    if (status != SOUK_OK) return status;
    w->spec = w->model->spec;
    w->pipeline = w->model->pipeline;
    memcpy(w->model->fingerprint, fingerprint, sizeof w->model->fingerprint);
    return SOUK_OK;
}

typedef struct progress_adapter {
    const souk_train_options *o;
    const char *phase;
} progress_adapter;

static bool forward_progress(void *context, const train_progress *p) {
    const progress_adapter *a = context;
    souk_epoch epoch;
    souk_progress q = recipe_progress(p, a->phase, &epoch);
    return a->o->progress(a->o->context, &q);
}

static souk_status run_fit(work *w, const char *phase, const char *extension, const dataset *train,
                           const dataset *valid, train_result *result, souk_error *err) {
    progress_adapter adapter = {w->o, phase};
    char *path = NULL, *key = NULL;
    souk_status status = SOUK_OK;
    if (w->o->out && !(path = mem_printf("%s%s", w->o->out, extension))) return err_nomem(err, "training");
    key = recipe_fingerprint(w->table, w->valid_table, w->o, phase);
    train_options options = {.seed = w->o->seed,
                             .pool = w->pool,
                             .checkpoint_path = path,
                             .resume = w->o->resume,
                             .fingerprint = key,
                             .progress = w->o->progress ? forward_progress : NULL,
                             .context = &adapter};
    status = key ? train_fit(w->model, train, valid, &options, result, err) : err_nomem(err, "training");
    mem_free(path);
    mem_free(key);
    return status;
}

static void log_sizing(const work *w) {
    sizing s;
    const trainer_config *t = &w->spec->trainer;
    if (model_sizing(w->model, t->batch_size, true, pool_threads(w->pool), &s, NULL, NULL) != SOUK_OK) return;
    log_info("model: %lld parameters; a batch of %lld rows needs %.1f MB and %.1f MFLOP", (long long)s.parameters,
             (long long)t->batch_size, (double)s.plan_bytes / 1e6, (s.flops_forward + s.flops_backward) / 1e6);
}

/* ---- 5. judge ---- */

static souk_status judge_outputs(work *w, const dataset *d, const char *name, souk_error *err) {
    judge_options options = {.threshold = NAN, .replicates = w->o->replicates, .seed = w->o->seed, .pool = w->pool};
    w->metrics = mem_calloc((size_t)w->spec->n_outputs, sizeof *w->metrics);
    if (!w->metrics) return err_nomem(err, "judging the model");
    for (int i = 0; i < w->spec->n_outputs; i++) {
        TRY(judge(&w->metrics[i], w->model, d, i, &options, err));
        w->n_metrics = i + 1;
    }
    w->judged_on = name;
    return SOUK_OK;
}

static souk_status judge_model(work *w, souk_error *err) {
    if (w->test_table)
        TRY(encode(w, w->test_table, NULL, w->test_table->n, w->o->test, &w->test, err));
    else if (w->split.n_test)
        TRY(encode(w, w->table, w->split.test, w->split.n_test, w->data, &w->test, err));
    if (w->test && w->test->n) return judge_outputs(w, w->test, "test", err);
    if (w->valid && w->valid->n) return judge_outputs(w, w->valid, "validation", err);
    return SOUK_OK;
}

/* ---- 6. refit on all rows ---- */

static souk_status refit(work *w, souk_error *err) {
    spec *again = NULL;
    char fingerprint[17];
    memcpy(fingerprint, w->model->fingerprint, sizeof fingerprint);
    int64_t epochs = w->result->history.best_epoch > 0 ? w->result->history.best_epoch : w->result->history.n_epochs;
    TRY(recipe_copy_spec(w->spec, &again, err));
    again->trainer.epochs = epochs;
    again->trainer.early_stopping = false;
    again->trainer.validation_split = -1;
    model_free(w->model);
    w->model = NULL;
    w->spec = again;
    w->pipeline = NULL;
    dataset_free(w->train);
    w->train = NULL;
    TRY(fit_pipeline(w, NULL, w->table->n, err));
    TRY(make_model(w, fingerprint, err));
    TRY(encode(w, w->table, NULL, w->table->n, w->data, &w->train, err));
    log_info("the program chose this model, so the judged recipe is fitted again on all %lld rows (%lld epoch%s; "
             "--no-refit keeps the judged fit)",
             (long long)w->train->n, (long long)epochs, epochs == 1 ? "" : "s");
    train_result ignored = {0};
    souk_status status = run_fit(w, "refit", recipe_checkpoint[1], w->train, NULL, &ignored, err);
    train_result_clear(&ignored);
    return status;
}

/* ---- 7. save ---- */

static souk_status save(work *w, souk_error *err) {
    const char *out = w->o->out;
    if (!out) return SOUK_OK;
    TRY(model_save(w->model, out, err));
    TRY(recipe_log_file(out, &w->result->history, err));
    for (int i = 0; i < RECIPE_CHECKPOINTS; i++) {
        char *path = mem_printf("%s%s", out, recipe_checkpoint[i]);
        if (!path) return err_nomem(err, "removing the checkpoint");
        souk_status status = fs_remove(path, err);
        mem_free(path);
        if (status != SOUK_OK) return status;
    }
    return SOUK_OK;
}

/* ---- the flow ---- */

static recipe_facts facts_of(const work *w, bool refitted) {
    return (recipe_facts){.model = w->model,
                          .metrics = w->metrics,
                          .n_metrics = w->n_metrics,
                          .judged_on = w->judged_on,
                          .refitted = refitted,
                          .n_train = w->split.n_train,
                          .n_valid = w->valid ? w->valid->n : 0,
                          .n_test = w->test ? w->test->n : 0,
                          .n_rejected = w->table->n_rejected,
                          .out = w->o->out,
                          .seed = w->o->seed,
                          .seconds = clock_seconds() - w->started,
                          .history = &w->result->history};
}

static souk_status run(work *w, souk_error *err) {
    char fingerprint[17];
    if (w->o->out) TRY(recipe_prepare_out(w->o->out, err));
    TRY(read_all(w, err));
    TRY(choose(w, err));
    TRY(check_roles(w, err));
    TRY(split_rows(w, err));
    TRY(check_split(w, err));
    TRY(fit_pipeline(w, w->split.train, w->split.n_train, err));
    TRY(encode_parts(w, err));
    table_fingerprint(w->table, fingerprint);
    TRY(make_model(w, fingerprint, err));
    recipe_log_split(w->o, &w->split, w->valid ? w->valid->n : 0, w->test_table ? w->test_table->n : w->split.n_test);
    log_sizing(w);
    TRY(run_fit(w, "train", recipe_checkpoint[0], w->train, w->valid, &w->result->history, err));
    TRY(judge_model(w, err));
    bool again = w->chosen && !w->o->no_refit && (w->split.n_valid || w->split.n_test);
    if (again) TRY(refit(w, err));
    recipe_facts facts = facts_of(w, again);
    TRY(recipe_record(w->model, &facts, err));
    TRY(save(w, err));
    facts.seconds = clock_seconds() - w->started;
    return recipe_report(w->result, &facts, err);
}

static void work_clear(work *w) {
    for (int i = 0; i < w->n_metrics; i++) metric_set_clear(&w->metrics[i]);
    mem_free(w->metrics);
    if (w->model)
        model_free(w->model); /* holds spec and pipeline */
    else {
        spec_free(w->spec);
        pipeline_free(w->pipeline);
    }
    table_free(w->table);
    table_free(w->valid_table);
    table_free(w->test_table);
    split_clear(&w->split);
    dataset_free(w->train);
    dataset_free(w->valid);
    dataset_free(w->test);
    roles_clear(&w->roles);
    pool_free(w->pool);
}

souk_status recipe_train(recipe_result *out, const char *data, const souk_train_options *options, souk_error *err) {
    memset(out, 0, sizeof *out);
    buf_init(&out->text, 0);
    buf_init(&out->json, 0);
    buf_init(&out->history_csv, 0);
    work w = {.data = data, .o = options, .result = out, .started = clock_seconds()};
    w.pool = pool_new(options->threads);
    souk_status status = w.pool ? run(&w, err) : err_nomem(err, "starting threads");
    if (status == SOUK_OK) {
        out->model = w.model;
        w.model = NULL;
        w.spec = NULL;
        w.pipeline = NULL;
    }
    work_clear(&w);
    if (status != SOUK_OK) recipe_result_clear(out);
    return status;
}

void recipe_result_clear(recipe_result *r) {
    model_free(r->model);
    buf_clear(&r->text);
    buf_clear(&r->json);
    buf_clear(&r->history_csv);
    train_result_clear(&r->history);
    memset(r, 0, sizeof *r);
}

souk_status recipe_init(buf *yaml, const char *data, const souk_train_options *options, souk_error *err) {
    work w = {.data = data, .o = options};
    chosen c = {0};
    souk_status status = SOUK_OK;
    if (!options->target) return err_set(err, SOUK_USAGE, "nothing says what to learn: name the column with --target");
    TRY_DONE(read_rows(&w, data, &w.table, err));
    TRY_DONE(roles_parse(&w.roles, options->table.roles, w.table, data, err));
    TRY_DONE(roles_choose(&c, &w.roles, w.table, options->target, data, err));
    w.spec = c.spec;
    for (int i = 0; i < c.n_notes; i++) buf_printf(yaml, "# column %s\n", c.notes[i]);
    status = spec_to_yaml(c.spec, c.reasons, yaml, err);
done:
    work_clear(&w);
    return status;
}
