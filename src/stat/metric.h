/* metric - one definition each (docs/metrics.md), exact on ties and weights, equal to scikit-learn's to 1e-9.
 *
 * Weights w [n] may be NULL (all ones). Undefined values (one class only, zero variance) are NaN and `why` says so. */
#ifndef SOUK_STAT_METRIC_H
#define SOUK_STAT_METRIC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/thread.h"

/* --- binary: y [n] 0 or 1, p [n] probability of the positive class */
double metric_roc_auc(int64_t n, const double *y, const double *p, const double *w, souk_error *err);
double metric_pr_auc(int64_t n, const double *y, const double *p, const double *w,
                     souk_error *err); /* average precision */
double metric_log_loss(int64_t n, const double *y, const double *p,
                       const double *w); /* p clipped to [eps, 1-eps] as scikit-learn */
double metric_brier(int64_t n, const double *y, const double *p, const double *w);
double metric_ece(int64_t n, const double *y, const double *p, const double *w, int bins, bool equal_mass);

/* --- classes: y, yhat [n] in [0,k) */
typedef struct confusion {
    int64_t k;
    double *count;
} confusion; /* count [k,k]: row true, column predicted (weighted) */
souk_status confusion_new(confusion *c, int64_t k, int64_t n, const int32_t *y, const int32_t *yhat, const double *w,
                          souk_error *err);
void confusion_clear(confusion *c);
double metric_accuracy(const confusion *c);
double metric_balanced_accuracy(const confusion *c);
typedef enum average_kind { AVERAGE_BINARY, AVERAGE_MACRO, AVERAGE_WEIGHTED, AVERAGE_MICRO } average_kind;
double metric_precision(const confusion *c, average_kind a); /* 0 where nothing was predicted, as zero_division=0 */
double metric_recall(const confusion *c, average_kind a);
double metric_f1(const confusion *c, average_kind a);
double metric_mcc(const confusion *c);
/* p [n,k] row-major */
double metric_log_loss_classes(int64_t n, int64_t k, const int32_t *y, const double *p, const double *w);
double metric_roc_auc_ovr(int64_t n, int64_t k, const int32_t *y, const double *p, const double *w,
                          souk_error *err); /* macro one-vs-rest */

/* --- numbers */
double metric_rmse(int64_t n, const double *y, const double *yhat, const double *w);
double metric_mae(int64_t n, const double *y, const double *yhat, const double *w);
double metric_r2(int64_t n, const double *y, const double *yhat, const double *w);
double metric_mape(int64_t n, const double *y, const double *yhat, const double *w);

/* --- all of them at once, with intervals */
typedef enum metric_task { TASK_BINARY, TASK_CLASSES, TASK_NUMBER } metric_task;
typedef struct metric_value {
    const char *name;
    double value, low, high;
} metric_value; /* NaN: undefined */
enum { METRIC_MAX = 24 };
typedef struct metric_set {
    int n;
    metric_value v[METRIC_MAX];
    confusion table; /* binary, and up to 1,000 classes (else count is NULL) */
    int64_t rows;
} metric_set;
/* y [n] (class numbers as doubles, or values), p: binary [n], classes [n,k], number [n] predictions. threshold cuts
 * binary (0.5). replicates: bootstrap replicates (default 1,000; 0: no intervals), percentile 95 %, keyed by seed; same
 * bits on any threads. */
souk_status metric_all(metric_set *out, metric_task task, int64_t n, int64_t k, const double *y, const double *p,
                       const double *w, double threshold, int replicates, uint64_t seed, pool *workers,
                       souk_error *err);
void metric_set_clear(metric_set *m);
const metric_value *metric_find(const metric_set *m, const char *name);

#endif
