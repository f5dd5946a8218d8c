/* metric_binary - AUC, average precision, log loss, Brier and calibration error. Definitions and sources:
 * docs/metrics.md.
 *
 * Ties are exact: rows of one score are one step of both curves, whatever their order. ROC-AUC is the Mann-Whitney
 * statistic with ties counted half (Hanley & McNeil 1982), which is the trapezoid over distinct thresholds; average
 * precision is the step sum without interpolation. log is base/dmath's, so that the numbers in a model file do not
 * depend on the C library. */
#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/dmath.h"
#include "base/mem.h"
#include "stat/metric_internal.h"

/* ---- rankings ---- */

typedef struct scored {
    double score;
    int32_t row;
} scored;

static int by_score(const void *a, const void *b) {
    const scored *x = a, *y = b;
    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    return x->row < y->row ? -1 : x->row > y->row;
}

souk_status ranking_new(ranking *r, int64_t n, const double *score, int64_t stride, const double *y,
                        const int32_t *class, int32_t k, souk_error *err) {
    *r = (ranking){.n = n};
    if (n < 1 || n > INT32_MAX)
        return err_set(err, SOUK_REFUSED, "metrics are computed over 1 to %d rows, not %lld", INT32_MAX, (long long)n);
    scored *s = mem_array((size_t)n, sizeof *s);
    r->order = mem_array((size_t)n, sizeof *r->order);
    r->flag = mem_array((size_t)n, sizeof *r->flag);
    souk_status status = s && r->order && r->flag ? SOUK_OK : err_nomem(err, "sorting predictions");
    for (int64_t i = 0; i < n && status == SOUK_OK; i++) {
        s[i] = (scored){score[i * stride], (int32_t)i};
        if (isnan(s[i].score))
            status = err_set(err, SOUK_NUMERIC, "the prediction of row %lld is not a number", (long long)i + 1);
    }
    if (status != SOUK_OK) {
        mem_free(s);
        ranking_clear(r);
        return status;
    }
    qsort(s, (size_t)n, sizeof *s, by_score);
    for (int64_t i = 0; i < n; i++) {
        int32_t row = s[i].row;
        bool positive = y ? y[row] == 1 : class[row] == k, ends = i + 1 == n || s[i + 1].score != s[i].score;
        r->order[i] = row;
        r->flag[i] = (uint8_t)((positive ? RANK_POSITIVE : 0) | (ends ? RANK_GROUP_END : 0));
    }
    mem_free(s);
    return SOUK_OK;
}

void ranking_clear(ranking *r) {
    mem_free(r->order);
    mem_free(r->flag);
    *r = (ranking){0};
}

curve_areas ranking_areas(const ranking *r, const double *w) {
    double positives = 0, all = 0;         /* weight ranked above the present group */
    double group_positives = 0, group = 0; /* weight in the group */
    double pairs = 0, steps = 0;
    for (int64_t i = 0; i < r->n; i++) { /* no branch on classes or weights: they are as good as random */
        double wi = w ? w[r->order[i]] : 1;
        group += wi;
        group_positives += r->flag[i] & RANK_POSITIVE ? wi : 0;
        if (!(r->flag[i] & RANK_GROUP_END)) continue;
        pairs += (group - group_positives) * (positives + group_positives / 2);
        positives += group_positives;
        all += group;
        double precision = positives / all; /* NaN before the first row of any weight, which adds nothing */
        steps += all > 0 ? group_positives * precision : 0;
        group_positives = group = 0;
    }
    double negatives = all - positives;
    return (curve_areas){.roc = positives > 0 && negatives > 0 ? pairs / (positives * negatives) : NAN,
                         .pr = positives > 0 ? steps / positives : NAN};
}

double metric_roc_auc(int64_t n, const double *y, const double *p, const double *w, souk_error *err) {
    ranking r;
    if (ranking_new(&r, n, p, 1, y, NULL, 0, err) != SOUK_OK) return NAN;
    double area = ranking_areas(&r, w).roc;
    ranking_clear(&r);
    if (isnan(area)) err_set(err, SOUK_INPUT, "ROC-AUC is undefined: the %lld rows hold one class only", (long long)n);
    return area;
}

double metric_pr_auc(int64_t n, const double *y, const double *p, const double *w, souk_error *err) {
    ranking r;
    if (ranking_new(&r, n, p, 1, y, NULL, 0, err) != SOUK_OK) return NAN;
    double area = ranking_areas(&r, w).pr;
    ranking_clear(&r);
    if (isnan(area))
        err_set(err, SOUK_INPUT, "average precision is undefined: the %lld rows hold no positive one", (long long)n);
    return area;
}

/* ---- means over rows ---- */

double metric_mean(int64_t n, const double *x, const double *w) {
    double sum = 0, weight = 0;
    for (int64_t i = 0; i < n; i++) {
        double wi = w ? w[i] : 1;
        sum += wi * x[i];
        weight += wi;
    }
    return sum / weight;
}

double metric_row_loss(double probability) {
    double p = probability < DBL_EPSILON ? DBL_EPSILON : probability > 1 - DBL_EPSILON ? 1 - DBL_EPSILON : probability;
    return -dmath_log(p);
}

double metric_log_loss(int64_t n, const double *y, const double *p, const double *w) {
    double sum = 0, weight = 0;
    for (int64_t i = 0; i < n; i++) {
        double wi = w ? w[i] : 1;
        sum += wi * metric_row_loss(y[i] == 1 ? p[i] : 1 - p[i]);
        weight += wi;
    }
    return sum / weight;
}

double metric_brier(int64_t n, const double *y, const double *p, const double *w) {
    double sum = 0, weight = 0;
    for (int64_t i = 0; i < n; i++) {
        double wi = w ? w[i] : 1, d = y[i] - p[i];
        sum += wi * (d * d);
        weight += wi;
    }
    return sum / weight;
}

/* ---- calibration error ---- */

int metric_bin(double p, int bins) {
    if (!(p > 0)) return 0; /* NaN too: the conversion below would be undefined */
    if (p >= 1) return bins - 1;
    int b = (int)ceil(p * bins) - 1;
    while (b > 0 && p <= (double)b / bins) b--; /* p * bins may round over an edge, the edges b / bins decide */
    while (b < bins - 1 && p > (double)(b + 1) / bins) b++;
    return b;
}

double metric_binned_error(int64_t n, const double *y, const double *p, const double *w, const uint8_t *bin, int bins) {
    double gap[METRIC_BINS_MAX] = {0}, weight = 0, sum = 0;
    assert(bins <= METRIC_BINS_MAX);
    for (int64_t i = 0; i < n; i++) {
        double wi = w ? w[i] : 1;
        gap[bin[i]] += wi * (y[i] - p[i]);
        weight += wi;
    }
    for (int b = 0; b < bins; b++) sum += fabs(gap[b]);
    return sum / weight;
}

/* Bins of equal weight by rising p: rows of one score stay together, in the bin where the middle of their weight falls.
 */
static bool equal_mass_bins(int64_t n, const double *y, const double *p, const double *w, int bins, uint8_t *bin) {
    ranking r;
    if (ranking_new(&r, n, p, 1, y, NULL, 0, NULL) != SOUK_OK) return false;
    double total = 0, below = 0, group = 0;
    for (int64_t i = 0; i < n; i++) total += w ? w[i] : 1;
    for (int64_t i = n - 1, end = n; i >= 0; i--) { /* ranks fall, so the smallest p comes last */
        group += w ? w[r.order[i]] : 1;
        if (i > 0 && !(r.flag[i - 1] & RANK_GROUP_END)) continue;
        int b = (int)(bins * ((below + group / 2) / total));
        for (int64_t j = i; j < end; j++) bin[r.order[j]] = (uint8_t)(b < bins ? b : bins - 1);
        below += group;
        group = 0;
        end = i;
    }
    ranking_clear(&r);
    return true;
}

double metric_ece(int64_t n, const double *y, const double *p, const double *w, int bins, bool equal_mass) {
    if (n < 1 || bins < 1 || bins > METRIC_BINS_MAX) return NAN;
    uint8_t *bin = mem_alloc((size_t)n);
    if (!bin) return NAN;
    double error = NAN;
    if (!equal_mass) {
        for (int64_t i = 0; i < n; i++) bin[i] = (uint8_t)metric_bin(p[i], bins);
        error = metric_binned_error(n, y, p, w, bin, bins);
    } else if (equal_mass_bins(n, y, p, w, bins, bin)) {
        error = metric_binned_error(n, y, p, w, bin, bins);
    }
    mem_free(bin);
    return error;
}
