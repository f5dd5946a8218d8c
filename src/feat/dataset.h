/* dataset - encoded rows in memory, ready for batches: one array per input, one for the target, one for the weights. */
#ifndef SOUK_FEAT_DATASET_H
#define SOUK_FEAT_DATASET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

typedef struct dataset_array {
    bool is_ids; /* int32 ids [n, width]; else float values [n, width] */
    int64_t width;
    int32_t *ids;
    float *values;
    double *exact; /* [n] a number target in its own unit, not rounded: what predictions are judged by; else NULL */
} dataset_array;

typedef struct dataset {
    int64_t n;
    int n_inputs;
    dataset_array *inputs; /* in the order of the input features */
    int n_targets;
    dataset_array *targets; /* category: ids [n,1] class numbers; binary: values 0/1 [n,1]; number: values [n,1] (scaled
                               as fitted) */
    float *weight;          /* [n] or NULL */
    int64_t *row;           /* [n] global row numbers: the sample numbers of random masks */
} dataset;

void dataset_free(dataset *d);
/* Copies rows idx[0..n) of an array into dst (int32 or float, [n, width]). */
void dataset_gather(const dataset_array *a, const int64_t *idx, int64_t n, void *dst);
souk_status dataset_select(dataset **out, const dataset *d, const int64_t *idx, int64_t n,
                           souk_error *err); /* a copy of some rows */

#endif
