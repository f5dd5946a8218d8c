/* evaluate - a saved model judged on a table that has its target. */
#ifndef SOUK_USE_EVALUATE_H
#define SOUK_USE_EVALUATE_H

#include "base/buf.h"
#include "model/model.h"
#include "stat/metric.h"

typedef struct evaluation {
    metric_set metrics; /* of the first output */
    int64_t rows, rejected;
    buf json, text;
} evaluation;

/* The caller clears *out. A target column that is missing, or holds classes that the model does not know, is
 * SOUK_INPUT. */
souk_status evaluate_model(evaluation *out, const model *m, const char *data, const souk_evaluate_options *options,
                           souk_error *err);
void evaluation_clear(evaluation *e);

/* Architecture, parameters, plan, FLOPs, and the training record. */
souk_status inspect_model(const model *m, bool json, buf *out, souk_error *err);

#endif
