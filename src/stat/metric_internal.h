/* metric_internal - the parts that metrics share: rankings by score, per-class totals, losses of single rows.
 *
 * metric_all computes a thousand replicates from them under other weights, so each is made once and read often. */
#ifndef SOUK_STAT_METRIC_INTERNAL_H
#define SOUK_STAT_METRIC_INTERNAL_H

#include "stat/metric.h"

/* Rows by falling score. Rows of one score are a group: ties are resolved by no order. */
typedef struct ranking {
    int64_t n;
    int32_t *order; /* [n] row at each rank */
    uint8_t *flag;  /* [n] by rank: RANK_POSITIVE, RANK_GROUP_END */
} ranking;
enum { RANK_POSITIVE = 1, RANK_GROUP_END = 2 };
/* score[i * stride]; positive rows are y[i] == 1, or class[i] == k when y is NULL. Fails on too many rows, NaN and
 * memory. */
souk_status ranking_new(ranking *r, int64_t n, const double *score, int64_t stride, const double *y,
                        const int32_t *class, int32_t k, souk_error *err);
void ranking_clear(ranking *r);
/* Areas under the ROC curve and of the precision-recall steps under weights w [n] by row (NULL: ones); NaN where
 * undefined. */
typedef struct curve_areas {
    double roc, pr;
} curve_areas;
curve_areas ranking_areas(const ranking *r, const double *w);

double metric_mean(int64_t n, const double *x, const double *w); /* sum w x / sum w */
double metric_row_loss(double probability); /* -log of the probability that the truth was given, clipped */
int metric_bin(double p, int bins);         /* right-closed, equal width; 0 goes to the first */
/* sum over bins of |sum w (y - p)| / sum w, with bin [n] known */
double metric_binned_error(int64_t n, const double *y, const double *p, const double *w, const uint8_t *bin, int bins);
enum { METRIC_BINS = 15, METRIC_BINS_MAX = 256 };

/* What a confusion table says of each class, summed over classes in order: true weight t, predicted weight p, hits h.
 */
typedef struct class_totals {
    double total, hits;
    double tt, pp, tp; /* sums of t t, p p, t p (MCC) */
    double recall;
    int64_t present; /* classes with t > 0 */
    double macro[3];
    int64_t used;                  /* precision, recall, F1 over classes with t + p > 0 */
    double weighted[3], binary[3]; /* weighted by t; of class 1 */
} class_totals;
void class_totals_add(class_totals *s, int64_t class, double t, double p, double h);
double class_accuracy(const class_totals *s);
double class_balanced(const class_totals *s);
double class_average(const class_totals *s, int which, average_kind a); /* which: 0 precision, 1 recall, 2 F1 */
double class_mcc(const class_totals *s);

#endif
