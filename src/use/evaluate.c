/* evaluate.c - reads the rows as the model was trained to see them, scores them, and writes metrics with intervals.
 *
 * Types are forced to those of training, so that a column of this file that happens to hold digits only is still text
 * where it was. */
#include "use/evaluate.h"

#include <string.h>

#include "base/log.h"
#include "data/table.h"
#include "train/judge.h"
#include "train/recipe_parts.h"

static souk_status read_rows(table **out, const model *m, const char *data, const souk_evaluate_options *o,
                             souk_error *err) {
    table_options t;
    const char **types = NULL;
    recipe_table_options(&t, &o->table);
    TRY(recipe_forced_types(m->spec, NULL, &types, err));
    t.types = (const char *const *)types;
    souk_status status = table_read(out, data, &t, err);
    mem_free(types);
    return status;
}

static void write_reports(evaluation *e, const model *m, const metric_set *sets, int n, const char *data) {
    json_writer w;
    json_begin(&w, &e->json, true);
    json_object(&w);
    json_key(&w, "rows");
    json_put_int(&w, e->rows);
    json_key(&w, "rejected");
    json_put_int(&w, e->rejected);
    judge_json(&w, m, 0, &sets[0]);
    if (n > 1) {
        json_key(&w, "outputs");
        json_object(&w);
        for (int i = 0; i < n; i++) {
            json_key(&w, pipeline_config(m->pipeline, true, i)->name);
            json_object(&w);
            judge_json(&w, m, i, &sets[i]);
            json_end_object(&w);
        }
        json_end_object(&w);
    }
    json_end_object(&w);
    for (int i = 0; i < n; i++) {
        buf_printf(&e->text, "%s: metrics of %lld rows of %s\n", pipeline_config(m->pipeline, true, i)->name,
                   (long long)e->rows, data);
        judge_text(&e->text, m, i, &sets[i]);
    }
}

static souk_status judge_all(evaluation *e, const model *m, const dataset *d, const char *data, const judge_options *j,
                             souk_error *err) {
    int n = pipeline_outputs(m->pipeline), done = 0;
    metric_set *sets = mem_calloc((size_t)n, sizeof *sets);
    souk_status status = sets ? SOUK_OK : err_nomem(err, "judging the model");
    while (status == SOUK_OK && done < n) {
        status = judge(&sets[done], m, d, done, j, err);
        if (status == SOUK_OK) done++;
    }
    if (status == SOUK_OK) {
        write_reports(e, m, sets, n, data);
        status = buf_status(&e->json, "writing the evaluation", err);
    }
    if (status == SOUK_OK) status = buf_status(&e->text, "writing the evaluation", err);
    if (status == SOUK_OK) e->metrics = sets[0]; /* moved */
    for (int i = status == SOUK_OK ? 1 : 0; i < done; i++) metric_set_clear(&sets[i]);
    mem_free(sets);
    return status;
}

souk_status evaluate_model(evaluation *out, const model *m, const char *data, const souk_evaluate_options *options,
                           souk_error *err) {
    souk_status status = SOUK_OK;
    table *t = NULL;
    dataset *d = NULL;
    struct pool *threads = NULL;
    int64_t dropped = 0;
    memset(out, 0, sizeof *out);
    buf_init(&out->json, 0);
    buf_init(&out->text, 0);
    TRY_DONE(read_rows(&t, m, data, options, err));
    TRY_DONE(pipeline_encode(m->pipeline, t, NULL, t->n, true, data, &d, &dropped, err));
    if (dropped)
        log_warn("%s: %lld rows have no target that the model knows and are left out", data, (long long)dropped);
    if (d->n == 0) {
        status = err_set(err, SOUK_INPUT, "%s: no row has a target that the model knows: nothing to judge", data);
        goto done;
    }
    if (m->spec->trainer.weight_column) TRY_DONE(recipe_weights(d, t, m->spec->trainer.weight_column, data, err));
    threads = pool_new(options->threads);
    if (!threads) {
        status = err_nomem(err, "starting threads");
        goto done;
    }
    out->rows = d->n;
    out->rejected = t->n_rejected;
    judge_options j = {
        .threshold = options->threshold, .replicates = options->replicates, .seed = options->seed, .pool = threads};
    status = judge_all(out, m, d, data, &j, err);
done:
    dataset_free(d);
    table_free(t);
    pool_free(threads);
    if (status != SOUK_OK) evaluation_clear(out);
    return status;
}

void evaluation_clear(evaluation *e) {
    metric_set_clear(&e->metrics);
    buf_clear(&e->json);
    buf_clear(&e->text);
    memset(e, 0, sizeof *e);
}
