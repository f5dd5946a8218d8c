/* judge.c - scores a dataset and hands the numbers to stat; the words for people and for programs are made here too.
 *
 * Probabilities are cut at the threshold for the class metrics only; ranking metrics see them as they are. */
#include "train/judge.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "base/utf8.h"

static metric_task task_of(const model *m, int output) {
    switch (pipeline_shape(m->pipeline, true, output).type) {
    case FEATURE_BINARY: return TASK_BINARY;
    case FEATURE_CATEGORY: return TASK_CLASSES;
    default: return TASK_NUMBER;
    }
}

/* Truth of every row as doubles: 0/1, a class number, or a value in its own unit. */
static void truth(const dataset *d, int output, metric_task task, double *y) {
    const dataset_array *a = &d->targets[output];
    assert(task != TASK_NUMBER || a->exact);
    for (int64_t i = 0; i < d->n; i++)
        y[i] = a->is_ids ? (double)a->ids[i] : task == TASK_NUMBER ? a->exact[i] : (double)a->values[i];
}

souk_status judge(metric_set *out, const model *m, const dataset *d, int output, const judge_options *options,
                  souk_error *err) {
    metric_task task = task_of(m, output);
    int64_t k = task == TASK_CLASSES ? pipeline_class_count(m->pipeline, output) : 1;
    souk_status status = SOUK_OK;
    scorer *s = NULL;
    float *raw = NULL;
    double *y = NULL, *p = NULL, *w = NULL;
    memset(out, 0, sizeof *out);
    if (d->n == 0) return err_set(err, SOUK_INPUT, "there are no rows to judge the model on");
    size_t cells;
    if (!size_mul((size_t)d->n, (size_t)k, &cells)) return err_nomem(err, "judging the model");
    raw = mem_array(cells, sizeof *raw);
    p = mem_array(cells, sizeof *p);
    y = mem_array((size_t)d->n, sizeof *y);
    if (d->weight) w = mem_array((size_t)d->n, sizeof *w);
    if (!raw || !p || !y || (d->weight && !w)) {
        status = err_nomem(err, "judging the model");
        goto done;
    }
    TRY_DONE(scorer_new(&s, m, err));
    TRY_DONE(scorer_run(s, d, 0, d->n, output, raw, options->pool, err));
    for (size_t i = 0; i < cells; i++) p[i] = (double)raw[i];
    for (int64_t i = 0; w && i < d->n; i++) w[i] = (double)d->weight[i];
    truth(d, output, task, y);
    double threshold = isnan(options->threshold) ? m->spec->outputs[output].threshold : options->threshold;
    status = metric_all(out, task, d->n, k, y, p, w, threshold, options->replicates, options->seed, options->pool, err);
done:
    scorer_free(s);
    mem_free(raw);
    mem_free(p);
    mem_free(y);
    mem_free(w);
    return status;
}

void judge_json(json_writer *w, const model *m, int output, const metric_set *s) {
    json_key(w, "metrics");
    json_object(w);
    for (int i = 0; i < s->n; i++) {
        json_key(w, s->v[i].name);
        json_put_double(w, s->v[i].value);
    }
    json_end_object(w);
    json_key(w, "intervals");
    json_object(w);
    for (int i = 0; i < s->n; i++) {
        if (isnan(s->v[i].low)) continue;
        json_key(w, s->v[i].name);
        json_array(w);
        json_put_double(w, s->v[i].low);
        json_put_double(w, s->v[i].high);
        json_end_array(w);
    }
    json_end_object(w);
    if (!s->table.count) return;
    json_key(w, "confusion");
    json_object(w);
    json_key(w, "classes");
    json_array(w);
    for (int64_t i = 0; i < s->table.k; i++) json_put_string(w, pipeline_class(m->pipeline, output, i));
    json_end_array(w);
    json_key(w, "counts"); /* row: true class, column: predicted class */
    json_array(w);
    for (int64_t i = 0; i < s->table.k; i++) {
        json_array(w);
        for (int64_t j = 0; j < s->table.k; j++) json_put_double(w, s->table.count[i * s->table.k + j]);
        json_end_array(w);
    }
    json_end_array(w);
    json_end_object(w);
}

enum { MATRIX_MAX = 12 }; /* classes that still make a readable matrix on a terminal */

/* A class name in `width` terminal columns: cut between characters, or filled up on the left or on the right. */
static void class_text(buf *out, const char *name, size_t width, bool right) {
    size_t n = strlen(name), keep = 0, columns = 0;
    while (keep < n) {
        uint32_t code;
        size_t bytes = utf8_decode(name + keep, n - keep, &code), more = utf8_width(name + keep, bytes);
        if (columns + more > width) break;
        keep += bytes;
        columns += more;
    }
    for (size_t i = columns; right && i < width; i++) buf_char(out, ' ');
    buf_add(out, name, keep);
    for (size_t i = columns; !right && i < width; i++) buf_char(out, ' ');
}

static void confusion_text(buf *out, const model *m, int output, const confusion *c) {
    size_t width = 9;
    for (int64_t i = 0; i < c->k; i++) {
        const char *name = pipeline_class(m->pipeline, output, i);
        size_t n = utf8_width(name, strlen(name));
        if (n > width) width = n;
    }
    if (width > 20) width = 20;
    buf_str(out, "\n  confusion (rows: truth, columns: prediction)\n    ");
    for (size_t i = 0; i < width; i++) buf_char(out, ' ');
    for (int64_t j = 0; j < c->k; j++) {
        buf_char(out, ' ');
        class_text(out, pipeline_class(m->pipeline, output, j), 9, true);
    }
    buf_char(out, '\n');
    for (int64_t i = 0; i < c->k; i++) {
        buf_str(out, "    ");
        class_text(out, pipeline_class(m->pipeline, output, i), width, false);
        for (int64_t j = 0; j < c->k; j++) buf_printf(out, " %9.6g", c->count[i * c->k + j]);
        buf_char(out, '\n');
    }
}

void judge_text(buf *out, const model *m, int output, const metric_set *s) {
    for (int i = 0; i < s->n; i++) {
        const metric_value *v = &s->v[i];
        buf_printf(out, "  %-18s", v->name);
        if (isnan(v->value)) {
            buf_str(out, " undefined\n");
            continue;
        }
        buf_printf(out, " %10.4f", v->value);
        if (!isnan(v->low)) buf_printf(out, "   95 %% interval %.4f to %.4f", v->low, v->high);
        buf_char(out, '\n');
    }
    if (s->table.count && s->table.k <= MATRIX_MAX) confusion_text(out, m, output, &s->table);
}
