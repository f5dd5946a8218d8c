/* sizing - what a model will need before it runs: planned bytes and FLOPs for one batch size. */
#ifndef SOUK_MODEL_SIZING_H
#define SOUK_MODEL_SIZING_H

#include "model/model.h"

typedef struct sizing {
    int64_t parameters, trainable;
    size_t plan_bytes;    /* activations, gradients and scratch of one batch */
    double flops_forward; /* of one batch; a multiply-add counts two */
    double flops_backward;
} sizing;

/* steps may be NULL; else the plan's table of steps is added to it. */
souk_status model_sizing(const model *m, int64_t batch, bool training, int threads, sizing *out, buf *steps,
                         souk_error *err);

#endif
