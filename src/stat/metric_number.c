/* metric_number - errors of predicted numbers. Definitions: docs/metrics.md.
 *
 * R² and MAPE are NaN where they have no meaning (a target that never varies; a true value of 0), where scikit-learn
 * gives 0 or numbers of 16 digits: a report must not show those as results. */
#include <math.h>

#include "stat/metric_internal.h"

double metric_rmse(int64_t n, const double *y, const double *yhat, const double *w) {
    return sqrt(metric_brier(n, y, yhat, w));
}

double metric_mae(int64_t n, const double *y, const double *yhat, const double *w) {
    double sum = 0, weight = 0;
    for (int64_t i = 0; i < n; i++) {
        double wi = w ? w[i] : 1;
        sum += wi * fabs(y[i] - yhat[i]);
        weight += wi;
    }
    return sum / weight;
}

double metric_r2(int64_t n, const double *y, const double *yhat, const double *w) {
    double mean = metric_mean(n, y, w), residual = 0, variance = 0;
    for (int64_t i = 0; i < n; i++) {
        double wi = w ? w[i] : 1, d = y[i] - yhat[i], v = y[i] - mean;
        residual += wi * (d * d);
        variance += wi * (v * v);
    }
    return variance > 0 ? 1 - residual / variance : NAN;
}

double metric_mape(int64_t n, const double *y, const double *yhat, const double *w) {
    double sum = 0, weight = 0;
    for (int64_t i = 0; i < n; i++) {
        double wi = w ? w[i] : 1;
        if (wi == 0) continue;
        if (y[i] == 0) return NAN;
        sum += wi * (fabs(y[i] - yhat[i]) / fabs(y[i]));
        weight += wi;
    }
    return sum / weight;
}
