/* recipe - from a table to a judged model: read, choose, split, fit, train, judge, refit, save. What `souk train` does.
 */
#ifndef SOUK_TRAIN_RECIPE_H
#define SOUK_TRAIN_RECIPE_H

#include "base/buf.h"
#include "model/model.h"
#include "train/loop.h"

typedef struct recipe_result {
    model *model;
    buf text; /* what people read: data, roles, split, memory, metrics */
    buf json; /* model, seconds, peak_memory_bytes, metrics, intervals, history */
    buf history_csv;
    train_result history; /* of the judged fit */
} recipe_result;

/* On failure nothing is left in *out. */
souk_status recipe_train(recipe_result *out, const char *data, const souk_train_options *options, souk_error *err);
void recipe_result_clear(recipe_result *r);
/* An epoch as the public header shows it. */
void recipe_epoch(souk_epoch *out, const epoch_record *r);
/* The same for progress; a finished epoch is written to *epoch, which must live as long as the result. */
souk_progress recipe_progress(const train_progress *p, const char *phase, souk_epoch *epoch);
/* The spec that recipe_train would use with no config, as YAML with reasons. */
souk_status recipe_init(buf *yaml, const char *data, const souk_train_options *options, souk_error *err);

#endif
