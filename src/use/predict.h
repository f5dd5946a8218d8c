/* predict - streams a table through a model and writes every row with its prediction. */
#ifndef SOUK_USE_PREDICT_H
#define SOUK_USE_PREDICT_H

#include "model/model.h"

souk_status predict_stream(const model *m, const char *data, const souk_predict_options *options,
                           souk_predict_summary *summary, souk_error *err);

/* Predictions for n texts with a scorer of the caller's: p [n, width] doubles. The model must have one input, of text.
 */
souk_status predict_texts(const model *m, scorer *s, const char *const *texts, int64_t n, double *p, souk_error *err);
/* Width of a prediction: classes of a category, else 1. */
int64_t predict_width(const model *m, int output);

#endif
