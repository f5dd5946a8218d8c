/* metric_classes - what is read off a confusion table, and log loss and AUC over several classes. Definitions:
 * docs/metrics.md.
 *
 * Every number comes from three sums a class: its true weight t, its predicted weight p and its hits h. They go into
 * class_totals one class at a time, so that a table of k x k is needed only where someone wants to see it. A quotient
 * over nothing is 0, as scikit-learn's zero_division=0; classes that are neither true nor predicted anywhere do not
 * count in averages. */
#include <math.h>

#include "base/mem.h"
#include "stat/metric_internal.h"

static double ratio(double a, double b) { return b > 0 ? a / b : 0; }

void class_totals_add(class_totals *s, int64_t class, double t, double p, double h) {
    s->total += t;
    s->hits += h;
    s->tt += t * t;
    s->pp += p * p;
    s->tp += t * p;
    double score[3] = {ratio(h, p), ratio(h, t), ratio(2 * h, t + p)};
    if (t > 0) {
        s->recall += score[1];
        s->present++;
    }
    if (t + p > 0) s->used++;
    for (int i = 0; i < 3; i++) {
        s->macro[i] += score[i];
        s->weighted[i] += t * score[i];
        if (class == 1) s->binary[i] = score[i];
    }
}

double class_accuracy(const class_totals *s) { return s->hits / s->total; }
double class_balanced(const class_totals *s) { return s->recall / (double)s->present; }

double class_average(const class_totals *s, int which, average_kind a) {
    switch (a) {
    case AVERAGE_BINARY: return s->total > 0 ? s->binary[which] : NAN;
    case AVERAGE_MACRO: return s->macro[which] / (double)s->used;
    case AVERAGE_WEIGHTED: return s->weighted[which] / s->total;
    case AVERAGE_MICRO: return class_accuracy(s); /* each miss is one false positive and one false negative */
    }
    return NAN;
}

/* Gorodkin 2004's R_K; 0 where either side holds one class only, as scikit-learn has it. */
double class_mcc(const class_totals *s) {
    double n2 = s->total * s->total, scale = (n2 - s->pp) * (n2 - s->tt);
    return scale > 0 ? (s->hits * s->total - s->tp) / sqrt(scale) : s->total > 0 ? 0 : NAN;
}

/* ---- the table ---- */

souk_status confusion_new(confusion *c, int64_t k, int64_t n, const int32_t *y, const int32_t *yhat, const double *w,
                          souk_error *err) {
    *c = (confusion){.k = k};
    size_t cells;
    if (k < 1 || !size_mul((size_t)k, (size_t)k, &cells) || !(c->count = mem_calloc(cells, sizeof *c->count))) {
        return err_nomem(err, "a confusion table");
    }
    for (int64_t i = 0; i < n; i++) {
        if (y[i] < 0 || y[i] >= k || yhat[i] < 0 || yhat[i] >= k) {
            confusion_clear(c);
            return err_set(err, SOUK_INPUT, "row %lld: class %d or prediction %d is not in 0 … %lld", (long long)i + 1,
                           y[i], yhat[i], (long long)k - 1);
        }
        c->count[y[i] * k + yhat[i]] += w ? w[i] : 1;
    }
    return SOUK_OK;
}

void confusion_clear(confusion *c) {
    mem_free(c->count);
    *c = (confusion){0};
}

static class_totals totals_of(const confusion *c) {
    class_totals s = {0};
    for (int64_t i = 0; i < c->k; i++) {
        double t = 0, p = 0;
        for (int64_t j = 0; j < c->k; j++) {
            t += c->count[i * c->k + j];
            p += c->count[j * c->k + i];
        }
        class_totals_add(&s, i, t, p, c->count[i * c->k + i]);
    }
    return s;
}

double metric_accuracy(const confusion *c) {
    class_totals s = totals_of(c);
    return class_accuracy(&s);
}

double metric_balanced_accuracy(const confusion *c) {
    class_totals s = totals_of(c);
    return class_balanced(&s);
}

double metric_precision(const confusion *c, average_kind a) {
    class_totals s = totals_of(c);
    return class_average(&s, 0, a);
}

double metric_recall(const confusion *c, average_kind a) {
    class_totals s = totals_of(c);
    return class_average(&s, 1, a);
}

double metric_f1(const confusion *c, average_kind a) {
    class_totals s = totals_of(c);
    return class_average(&s, 2, a);
}

double metric_mcc(const confusion *c) {
    class_totals s = totals_of(c);
    return class_mcc(&s);
}

/* ---- probabilities of several classes ---- */

double metric_log_loss_classes(int64_t n, int64_t k, const int32_t *y, const double *p, const double *w) {
    double sum = 0, weight = 0;
    for (int64_t i = 0; i < n; i++) {
        double wi = w ? w[i] : 1;
        sum += wi * metric_row_loss(p[i * k + y[i]]);
        weight += wi;
    }
    return sum / weight;
}

double metric_roc_auc_ovr(int64_t n, int64_t k, const int32_t *y, const double *p, const double *w, souk_error *err) {
    double sum = 0;
    int64_t defined = 0;
    for (int64_t c = 0; c < k; c++) {
        ranking r;
        if (ranking_new(&r, n, p + c, k, NULL, y, (int32_t)c, err) != SOUK_OK) return NAN;
        double area = ranking_areas(&r, w).roc;
        ranking_clear(&r);
        if (isnan(area)) continue; /* a class without rows has no area */
        sum += area;
        defined++;
    }
    if (defined > 0) return sum / (double)defined;
    err_set(err, SOUK_INPUT, "ROC-AUC is undefined: the %lld rows hold one class only", (long long)n);
    return NAN;
}
