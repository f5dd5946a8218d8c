/* predict.c - a stream in, the same stream out with predictions beside each row.
 *
 * Rows go through in chunks, so memory is bounded whatever the file's size. Columns come out as they were read, byte
 * for byte apart from quoting; what the model adds is named after its output. Unknown columns pass through; missing
 * ones are an error that names them. */
#include "use/predict.h"

#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "data/table.h"
#include "train/recipe_parts.h"
#include "use/rows_out.h"

enum { CHUNK_ROWS = 8192 };

int64_t predict_width(const model *m, int output) {
    return pipeline_shape(m->pipeline, true, output).type == FEATURE_CATEGORY
               ? pipeline_class_count(m->pipeline, output)
               : 1;
}

/* The only text input of a model that takes bare lines, or NULL. */
static const char *only_text_input(const model *m) {
    if (pipeline_inputs(m->pipeline) != 1) return NULL;
    const feature_config *f = pipeline_config(m->pipeline, false, 0);
    return f->type == FEATURE_TEXT || f->type == FEATURE_SEQUENCE ? f->name : NULL;
}

/* ---- opening: types as in training, and bare lines where the source has no such column ---- */

static souk_status forced_types(const model *m, const char ***types, souk_error *err) {
    int n = pipeline_inputs(m->pipeline);
    const char **t = mem_calloc((size_t)n * 2 + 1, sizeof *t);
    if (!t) return err_nomem(err, "reading the rows");
    size_t used = 0;
    for (int i = 0; i < n; i++) {
        const feature_config *f = pipeline_config(m->pipeline, false, i);
        if (f->type != FEATURE_TEXT && f->type != FEATURE_SEQUENCE && f->type != FEATURE_NUMBER) continue;
        t[used++] = f->name;
        t[used++] = f->type == FEATURE_NUMBER ? "number" : "text";
    }
    *types = t;
    return SOUK_OK;
}

/* Standard input without a format is bare lines for a model of one text; a file is a table unless it says otherwise. */
static bool takes_lines(const model *m, const char *data, const souk_predict_options *o) {
    return only_text_input(m) && !strcmp(data, "-") && !o->table.format && !o->table.no_header && !o->table.delimiter &&
           !o->table.where;
}

/* ---- one chunk ---- */

typedef struct predict_job {
    const model *m;
    scorer *scorer;
    pool *pool;
    rows_out *out;
    double threshold;
    const souk_predict_options *options;
    const char *data;
    const char *text_name; /* bare lines: the name that the one column gets */
} predict_job;

static int64_t best_class(const float *p, int64_t k) {
    int64_t best = 0;
    for (int64_t j = 1; j < k; j++)
        if (p[j] > p[best]) best = j;
    return best;
}

static void put_prediction(predict_job *j, int output, const float *p) {
    const pipeline *pl = j->m->pipeline;
    feature_type type = pipeline_shape(pl, true, output).type;
    if (type == FEATURE_BINARY) {
        double threshold = isnan(j->threshold) ? j->m->spec->outputs[output].threshold : j->threshold;
        const char *c = pipeline_class(pl, output, (double)p[0] >= threshold ? 1 : 0);
        rows_out_text(j->out, c, strlen(c));
        rows_out_number(j->out, (double)p[0]);
    } else if (type == FEATURE_CATEGORY) {
        int64_t k = pipeline_class_count(pl, output);
        const char *c = pipeline_class(pl, output, best_class(p, k));
        rows_out_text(j->out, c, strlen(c));
        for (int64_t i = 0; i < k; i++) rows_out_number(j->out, (double)p[i]);
    } else {
        rows_out_number(j->out, (double)p[0]);
    }
}

/* A column that the model adds; a table that came out of `predict` has it already. */
static souk_status add_column(predict_job *j, const table *t, const char *name, souk_error *err) {
    if (!name) return err_nomem(err, "writing the header");
    if (!j->text_name && table_column(t, name))
        return err_set(err, SOUK_INPUT,
                       "%s: it has a column \"%s\", which is what the prediction would be called: rename or remove "
                       "that column",
                       j->data, name);
    rows_out_column(j->out, name);
    return SOUK_OK;
}

static souk_status put_header(predict_job *j, const table *t, souk_error *err) {
    buf name;
    souk_status status = SOUK_OK;
    buf_init(&name, 0);
    for (int c = 0; c < t->n_columns; c++) rows_out_column(j->out, j->text_name ? j->text_name : t->columns[c].name);
    for (int o = 0; o < pipeline_outputs(j->m->pipeline) && status == SOUK_OK; o++) {
        const char *output = pipeline_config(j->m->pipeline, true, o)->name;
        feature_type type = pipeline_shape(j->m->pipeline, true, o).type;
        buf_reset(&name);
        buf_printf(&name, "%s_prediction", output);
        status = add_column(j, t, name.data, err);
        int64_t k = type == FEATURE_CATEGORY ? pipeline_class_count(j->m->pipeline, o) : type == FEATURE_BINARY ? 1 : 0;
        for (int64_t i = 0; i < k && status == SOUK_OK; i++) {
            buf_reset(&name);
            buf_printf(&name, "%s_probability", output);
            if (type == FEATURE_CATEGORY) buf_printf(&name, "_%s", pipeline_class(j->m->pipeline, o, i));
            status = add_column(j, t, name.data, err);
        }
    }
    if (status == SOUK_OK) status = buf_status(&name, "writing the header", err);
    buf_clear(&name);
    return status == SOUK_OK ? rows_out_header_done(j->out, err) : status;
}

/* Scores of all outputs lie side by side until the rows are written. */
static souk_status put_chunk(predict_job *j, const table *t, const dataset *d, souk_error *err) {
    int outputs = pipeline_outputs(j->m->pipeline);
    float **scores = mem_calloc((size_t)outputs, sizeof *scores);
    souk_status status = scores ? SOUK_OK : err_nomem(err, "predicting");
    for (int o = 0; status == SOUK_OK && o < outputs; o++) {
        size_t need;
        if (size_mul((size_t)d->n, (size_t)predict_width(j->m, o), &need)) scores[o] = mem_array(need, sizeof(float));
        status =
            scores[o] ? scorer_run(j->scorer, d, 0, d->n, o, scores[o], j->pool, err) : err_nomem(err, "predicting");
    }
    for (int64_t i = 0; status == SOUK_OK && i < t->n; i++) {
        for (int c = 0; c < t->n_columns; c++) {
            size_t len;
            const char *s = column_text(&t->columns[c], i, &len);
            if (t->columns[c].is_number)
                rows_out_number_text(j->out, s, len);
            else
                rows_out_text(j->out, s, len);
        }
        for (int o = 0; o < outputs; o++) put_prediction(j, o, scores[o] + i * predict_width(j->m, o));
        status = rows_out_row_done(j->out, err);
    }
    for (int o = 0; scores && o < outputs; o++) mem_free(scores[o]);
    mem_free(scores);
    return status;
}

static souk_status predict_chunk(predict_job *j, table *t, souk_error *err) {
    dataset *d = NULL;
    if (j->text_name) { /* bare lines: the one column takes the input's name */
        char *name = mem_strdup(j->text_name);
        if (!name) return err_nomem(err, "predicting");
        mem_free(t->columns[0].name);
        t->columns[0].name = name;
    }
    TRY(pipeline_encode(j->m->pipeline, t, NULL, t->n, false, j->data, &d, NULL, err));
    souk_status status = put_chunk(j, t, d, err);
    dataset_free(d);
    return status;
}

static souk_status predict_rows(predict_job *j, table_reader *r, souk_predict_summary *summary, souk_error *err) {
    for (bool first = true;; first = false) {
        table *t = NULL;
        TRY(table_next(r, CHUNK_ROWS, &t, err));
        int64_t n = t->n;
        souk_status status = first ? put_header(j, t, err) : SOUK_OK;
        if (status == SOUK_OK && n) status = predict_chunk(j, t, err);
        table_free(t);
        if (status != SOUK_OK || n == 0) return status;
        summary->rows += n;
        const souk_predict_options *o = j->options;
        if (o->progress && !o->progress(o->context, summary->rows))
            return err_set(err, SOUK_INTERRUPTED, "interrupted after %lld rows; %s is as it was",
                           (long long)summary->rows, o->out ? o->out : "the output");
    }
}

souk_status predict_stream(const model *m, const char *data, const souk_predict_options *options,
                           souk_predict_summary *summary, souk_error *err) {
    souk_status status = SOUK_OK;
    const char **types = NULL;
    table_reader *reader = NULL;
    predict_job j = {.m = m, .threshold = options->threshold, .options = options, .data = data};
    souk_predict_summary local;
    double started = clock_seconds();
    if (!summary) summary = &local;
    memset(summary, 0, sizeof *summary);
    table_options t;
    recipe_table_options(&t, &options->table);
    t.keep_text = true;
    if (takes_lines(m, data, options)) {
        t.format = TABLE_LINES;
        j.text_name = only_text_input(m);
    } else {
        TRY_DONE(forced_types(m, &types, err));
        t.types = (const char *const *)types;
    }
    j.pool = pool_new(options->threads);
    if (!j.pool) {
        status = err_nomem(err, "starting threads");
        goto done;
    }
    TRY_DONE(table_open(&reader, data, &t, err));
    TRY_DONE(scorer_new(&j.scorer, m, err));
    TRY_DONE(rows_out_open(&j.out, options->out ? options->out : "-", options->as, options->excel, err));
    TRY_DONE(predict_rows(&j, reader, summary, err));
    summary->rejected = table_rejected(reader);
    status = rows_out_commit(j.out, err);
    j.out = NULL;
done:
    rows_out_abandon(j.out);
    scorer_free(j.scorer);
    table_close(reader);
    pool_free(j.pool);
    mem_free(types);
    summary->seconds = clock_seconds() - started;
    return status;
}

souk_status predict_texts(const model *m, scorer *s, const char *const *texts, int64_t n, double *p, souk_error *err) {
    const char *name = only_text_input(m);
    if (!name) return err_set(err, SOUK_USAGE, "this model has other inputs than one text column: give it a table");
    int64_t width = predict_width(m, 0);
    souk_status status = SOUK_OK;
    dataset *d = NULL;
    float *raw = NULL;
    size_t total = 0, count;
    for (int64_t i = 0; i < n; i++) total += strlen(texts[i]);
    column c = {.name = (char *)(uintptr_t)name, .type = COLUMN_TEXT};
    table t = {.n = n, .n_columns = 1, .columns = &c, .n_read = n};
    c.offset = mem_array((size_t)n + 1, sizeof *c.offset);
    c.bytes = mem_alloc(total + 1);
    c.missing = mem_calloc((size_t)n, 1);
    t.row = mem_calloc((size_t)n, sizeof *t.row);
    t.line = mem_calloc((size_t)n, sizeof *t.line);
    if (size_mul((size_t)n, (size_t)width, &count)) raw = mem_array(count, sizeof *raw);
    if (!c.offset || !c.bytes || !c.missing || !t.row || !t.line || !raw) {
        status = err_nomem(err, "predicting");
        goto done;
    }
    c.offset[0] = 0;
    for (int64_t i = 0; i < n; i++) {
        size_t len = strlen(texts[i]);
        memcpy(c.bytes + c.offset[i], texts[i], len);
        c.offset[i + 1] = c.offset[i] + len;
    }
    TRY_DONE(pipeline_encode(m->pipeline, &t, NULL, n, false, "texts", &d, NULL, err));
    TRY_DONE(scorer_run(s, d, 0, n, 0, raw, NULL, err));
    for (size_t i = 0; i < count; i++) p[i] = (double)raw[i];
done:
    dataset_free(d);
    mem_free(raw);
    mem_free(c.offset);
    mem_free(c.bytes);
    mem_free(c.missing);
    mem_free(t.row);
    mem_free(t.line);
    return status;
}
