/* metric_all - the metrics of a task with their intervals, from one function of the row weights.
 *
 * What does not depend on weights is computed once: sorted orders, losses of rows, bins, predicted classes. `values`
 * then gives every metric under weights w, for the rows' own weights and for a thousand replicates alike. Which metrics
 * a task has is the table of names below; their order is the order of `values`. With several classes there is one
 * ranking a class; above AREA_CELLS rows x classes the areas get no interval (their replicates would take minutes), and
 * above TABLE_CLASSES classes there is no confusion table. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "stat/interval.h"
#include "stat/metric_internal.h"

static const char *const choice_names[] = {"accuracy", "balanced_accuracy", "precision", "recall",   "f1",
                                           "mcc",      "roc_auc",           "pr_auc",    "log_loss", "brier",
                                           "ece"};
static const char *const number_names[] = {"rmse", "mae", "r2", "mape"};
enum {
    CHOICE_METRICS = sizeof choice_names / sizeof *choice_names,
    NUMBER_METRICS = sizeof number_names / sizeof *number_names
};
enum { AREA_CELLS = 2000000, TABLE_CLASSES = 1000 };
_Static_assert((int)CHOICE_METRICS <= (int)METRIC_MAX, "a metric_set holds every metric");

typedef struct job {
    metric_task task;
    int64_t n, k;
    const double *y, *p;
    double threshold;
    int32_t *class, *guess;   /* [n] true and predicted class */
    double *column;           /* [n, COLUMNS] what is summed over rows: one pass gives all of it */
    double *hit, *confidence; /* [n] calibration: what should be equal on average */
    uint8_t *bin;             /* [n] */
    ranking *rank;            /* binary: 1; classes: k, or none where they would be too large */
    int ranks;
    double *sums; /* [threads, 3 k] scratch of many_totals: t, p, h */
} job;

/* Columns: the cells of the 2 x 2 table (binary only), the row's loss and Brier score, and 1. */
enum { IN_CELL, IN_LOSS = 4, IN_BRIER, IN_WEIGHT, COLUMNS = 8 };

/* ---- values under weights ---- */

/* sum[c] = sum over rows of w column[c]: eight chains side by side, each in row order. */
static void column_sums(const job *j, const double *w, double sum[COLUMNS]) {
    double s[COLUMNS] = {0};
    for (int64_t i = 0; i < j->n; i++) {
        const double *x = j->column + i * COLUMNS;
        double wi = w ? w[i] : 1;
        for (int c = 0; c < COLUMNS; c++) s[c] += wi * x[c];
    }
    memcpy(sum, s, sizeof s);
}

static class_totals binary_totals(const double sum[COLUMNS]) {
    class_totals s = {0};
    const double *cell = sum + IN_CELL; /* 2 true + predicted */
    class_totals_add(&s, 0, cell[0] + cell[1], cell[0] + cell[2], cell[0]);
    class_totals_add(&s, 1, cell[2] + cell[3], cell[1] + cell[3], cell[3]);
    return s;
}

static class_totals many_totals(const job *j, const double *w, double *sums) {
    memset(sums, 0, 3 * (size_t)j->k * sizeof *sums);
    double *t = sums, *p = sums + j->k, *h = sums + 2 * j->k;
    for (int64_t i = 0; i < j->n; i++) {
        double wi = w ? w[i] : 1;
        t[j->class[i]] += wi;
        p[j->guess[i]] += wi;
        if (j->class[i] == j->guess[i]) h[j->class[i]] += wi;
    }
    class_totals s = {0};
    for (int64_t c = 0; c < j->k; c++) class_totals_add(&s, c, t[c], p[c], h[c]);
    return s;
}

static void class_values(const class_totals *s, average_kind average, double out[6]) {
    out[0] = class_accuracy(s);
    out[1] = class_balanced(s);
    for (int i = 0; i < 3; i++) out[2 + i] = class_average(s, i, average);
    out[5] = class_mcc(s);
}

/* Areas averaged over the classes that have rows on both sides. */
typedef struct area_mean {
    double sum[2], defined[2];
} area_mean;

static void area_add(area_mean *m, curve_areas a) {
    const double area[2] = {a.roc, a.pr};
    for (int i = 0; i < 2; i++) {
        if (isnan(area[i])) continue;
        m->sum[i] += area[i];
        m->defined[i]++;
    }
}

static void area_get(const area_mean *m, double out[2]) {
    for (int i = 0; i < 2; i++) out[i] = m->defined[i] > 0 ? m->sum[i] / m->defined[i] : NAN;
}

static void area_values(const job *j, const double *w, double out[2]) {
    area_mean m = {0};
    for (int c = 0; c < j->ranks; c++) area_add(&m, ranking_areas(&j->rank[c], w));
    area_get(&m, out);
}

/* The same with one ranking in memory at a time. */
static souk_status area_values_large(const job *j, const double *w, double out[2], souk_error *err) {
    area_mean m = {0};
    for (int32_t c = 0; c < j->k; c++) {
        ranking r;
        TRY(ranking_new(&r, j->n, j->p + c, j->k, NULL, j->class, c, err));
        area_add(&m, ranking_areas(&r, w));
        ranking_clear(&r);
    }
    area_get(&m, out);
    return SOUK_OK;
}

static void values(void *context, const double *w, int worker, double *out) {
    const job *j = context;
    if (j->task == TASK_NUMBER) {
        out[0] = metric_rmse(j->n, j->y, j->p, w);
        out[1] = metric_mae(j->n, j->y, j->p, w);
        out[2] = metric_r2(j->n, j->y, j->p, w);
        out[3] = metric_mape(j->n, j->y, j->p, w);
        return;
    }
    double sum[COLUMNS];
    column_sums(j, w, sum);
    bool binary = j->task == TASK_BINARY;
    class_totals s = binary ? binary_totals(sum) : many_totals(j, w, j->sums + worker * 3 * j->k);
    class_values(&s, binary ? AVERAGE_BINARY : AVERAGE_MACRO, out);
    area_values(j, w, out + 6);
    out[8] = sum[IN_LOSS] / sum[IN_WEIGHT];
    out[9] = sum[IN_BRIER] / sum[IN_WEIGHT];
    out[10] = metric_binned_error(j->n, j->hit, j->confidence, w, j->bin, METRIC_BINS);
}

/* ---- checks and preparation ---- */

static souk_status check_rows(const job *j, const double *w, souk_error *err) {
    if (j->n < 1 || j->n > INT32_MAX)
        return err_set(err, SOUK_INPUT, "there are %lld rows to judge; at least one is needed", (long long)j->n);
    int64_t width = j->task == TASK_CLASSES ? j->k : 1;
    double weight = 0;
    for (int64_t i = 0; i < j->n; i++) {
        double y = j->y[i], top = j->task == TASK_BINARY ? 1 : (double)j->k - 1, wi = w ? w[i] : 1;
        bool known = j->task == TASK_NUMBER ? isfinite(y) : y >= 0 && y <= top && y == floor(y);
        if (!known)
            return err_set(err, SOUK_INPUT, "row %lld: the true value %g is not one that the task has",
                           (long long)i + 1, y);
        if (!(wi >= 0) || isinf(wi))
            return err_set(err, SOUK_INPUT, "row %lld: the weight %g is not a number of 0 or more", (long long)i + 1,
                           wi);
        weight += wi;
        for (int64_t c = 0; c < width; c++) {
            double p = j->p[i * width + c];
            if (!isfinite(p) || (j->task != TASK_NUMBER && (p < 0 || p > 1))) {
                return err_set(err, SOUK_NUMERIC, "row %lld: the prediction %g is not %s", (long long)i + 1, p,
                               j->task == TASK_NUMBER ? "a finite number" : "a probability");
            }
        }
    }
    if (weight > 0) return SOUK_OK;
    return err_set(err, SOUK_INPUT, "all %lld rows have the weight 0: there is nothing to judge", (long long)j->n);
}

static void prepare_binary_row(job *j, int64_t i) {
    double y = j->y[i], p = j->p[i];
    j->class[i] = y == 1;
    j->guess[i] = p > j->threshold;
    j->hit[i] = y;
    j->confidence[i] = p;
    double *x = j->column + i * COLUMNS;
    x[IN_CELL + 2 * j->class[i] + j->guess[i]] = 1;
    x[IN_LOSS] = metric_row_loss(y == 1 ? p : 1 - p);
    x[IN_BRIER] = (y - p) * (y - p);
    x[IN_WEIGHT] = 1;
}

static void prepare_class_row(job *j, int64_t i) {
    const double *p = j->p + i * j->k;
    int32_t class = (int32_t)j->y[i], best = 0;
    double brier = 0;
    for (int32_t c = 0; c < j->k; c++) {
        double d = (c == class) - p[c];
        if (p[c] > p[best]) best = c;
        brier += d * d;
    }
    j->class[i] = class;
    j->guess[i] = best;
    j->hit[i] = class == best;
    j->confidence[i] = p[best];
    double *x = j->column + i * COLUMNS;
    x[IN_LOSS] = metric_row_loss(p[class]);
    x[IN_BRIER] = brier;
    x[IN_WEIGHT] = 1;
}

static souk_status prepare(job *j, int threads, souk_error *err) {
    if (j->task == TASK_NUMBER) return SOUK_OK;
    size_t n = (size_t)j->n;
    bool large = j->task == TASK_CLASSES && j->n > AREA_CELLS / j->k;
    j->ranks = j->task == TASK_BINARY ? 1 : large ? 0 : (int)j->k;
    j->class = mem_array(n, sizeof *j->class);
    j->guess = mem_array(n, sizeof *j->guess);
    j->hit = mem_array(n, sizeof *j->hit);
    j->confidence = mem_array(n, sizeof *j->confidence);
    j->column = mem_calloc(n, COLUMNS * sizeof *j->column);
    j->bin = mem_array(n, sizeof *j->bin);
    j->rank = mem_calloc((size_t)j->ranks, sizeof *j->rank);
    j->sums = mem_array((size_t)threads, 3 * (size_t)j->k * sizeof *j->sums);
    if (!j->class || !j->guess || !j->hit || !j->confidence || !j->column || !j->bin || !j->rank || !j->sums) {
        return err_nomem(err, "metrics");
    }
    for (int64_t i = 0; i < j->n; i++) {
        if (j->task == TASK_BINARY)
            prepare_binary_row(j, i);
        else
            prepare_class_row(j, i);
        j->bin[i] = (uint8_t)metric_bin(j->confidence[i], METRIC_BINS);
    }
    if (j->task == TASK_BINARY) return ranking_new(&j->rank[0], j->n, j->p, 1, j->y, NULL, 0, err);
    for (int c = 0; c < j->ranks; c++) TRY(ranking_new(&j->rank[c], j->n, j->p + c, j->k, NULL, j->class, c, err));
    return SOUK_OK;
}

static void release(job *j) {
    for (int c = 0; j->rank && c < j->ranks; c++) ranking_clear(&j->rank[c]);
    mem_free(j->rank);
    mem_free(j->class);
    mem_free(j->guess);
    mem_free(j->hit);
    mem_free(j->confidence);
    mem_free(j->column);
    mem_free(j->bin);
    mem_free(j->sums);
}

/* ---- all ---- */

souk_status metric_all(metric_set *out, metric_task task, int64_t n, int64_t k, const double *y, const double *p,
                       const double *w, double threshold, int replicates, uint64_t seed, pool *workers,
                       souk_error *err) {
    *out = (metric_set){0};
    const int metrics = task == TASK_NUMBER ? NUMBER_METRICS : CHOICE_METRICS;
    const char *const *names = task == TASK_NUMBER ? number_names : choice_names;
    job j = {.task = task, .n = n, .k = task == TASK_BINARY ? 2 : k, .y = y, .p = p, .threshold = threshold};
    if (task == TASK_CLASSES && (k < 2 || k > INT32_MAX))
        return err_set(err, SOUK_USAGE, "%lld classes: at least 2 are needed", (long long)k);
    double value[METRIC_MAX], low[METRIC_MAX], high[METRIC_MAX];
    souk_status status;
    TRY_DONE(check_rows(&j, w, err));
    TRY_DONE(prepare(&j, pool_threads(workers), err));
    values(&j, w, 0, value);
    for (int i = 0; i < metrics; i++) low[i] = high[i] = NAN;
    if (task == TASK_CLASSES && j.ranks == 0) TRY_DONE(area_values_large(&j, w, value + 6, err));
    if (replicates > 0)
        TRY_DONE(interval_bootstrap(n, w, replicates, seed, metrics, values, &j, workers, low, high, err));
    if (task != TASK_NUMBER && j.k <= TABLE_CLASSES)
        TRY_DONE(confusion_new(&out->table, j.k, n, j.class, j.guess, w, err));
    out->rows = n;
    out->n = metrics;
    for (int i = 0; i < metrics; i++) out->v[i] = (metric_value){names[i], value[i], low[i], high[i]};
done:
    release(&j);
    return status;
}

void metric_set_clear(metric_set *m) {
    confusion_clear(&m->table);
    *m = (metric_set){0};
}

const metric_value *metric_find(const metric_set *m, const char *name) {
    for (int i = 0; i < m->n; i++) {
        if (strcmp(m->v[i].name, name) == 0) return &m->v[i];
    }
    return NULL;
}
