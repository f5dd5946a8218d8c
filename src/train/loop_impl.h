/* loop_impl - what the files of loop share: a fit under way. */
#ifndef SOUK_TRAIN_LOOP_IMPL_H
#define SOUK_TRAIN_LOOP_IMPL_H

#include "train/loop.h"
#include "train/opt.h"
#include "train/sched.h"

enum { FIT_SUMS = 3 };

/* Plan and session for one number of rows. */
typedef struct lane {
    int64_t rows; /* 0: not needed */
    plan *plan;
    plan_session *session;
} lane;

/* All that the course of training depends on beside weights and optimiser: what a checkpoint holds. */
typedef struct fit_state {
    int64_t epoch;                     /* epochs finished */
    int64_t step;                      /* batches done of the epoch under way */
    int64_t batches;                   /* batches done in all: the step of random masks */
    int64_t wait;                      /* early stopping: epochs since the best */
    int64_t best_epoch;                /* 1-based; 0: none yet */
    int64_t stopped;                   /* early stopping has ended it */
    double best;                       /* monitored value of the best epoch, lower is better */
    double loss_sum, metric_sum, rows; /* of the epoch under way */
    sched_plateau plateau;
} fit_state;

typedef struct fit {
    model *m;
    const dataset *train, *valid;
    const train_options *o;
    const trainer_config *t;
    arena arena; /* everything below but plans and optimiser */
    opt *opt;
    lane full, last;      /* training batches; the last one of an epoch may be smaller */
    lane eval, eval_last; /* validation */
    int64_t batch, steps; /* rows of a batch, batches of an epoch */
    int64_t *order;       /* [n] */
    real *weight;         /* [n] sample weight times class weight */
    real *valid_weight;   /* [n_valid] */
    void **gathered;      /* a batch: inputs, targets, weight */
    const void **slots;   /* the same */
    const void **valued;  /* the same, where a batch of validation rows lies */
    uint64_t *samples;    /* [batch] */
    const param_grad **grads;
    real **eval_params; /* weights that validation reads: averages under EMA, else the model's */
    real **best_params; /* NULL: not kept */
    fit_state s;
    model_texts texts;     /* of checkpoints; made by the first one */
    epoch_record *history; /* [epochs] */
    double rate;           /* of the last step */
    double started, epoch_started, last_report, last_checkpoint;
    int64_t rows_this_run;
} fit;

/* ---- loop_batch.c ---- */
souk_status fit_prepare(fit *f, souk_error *err); /* plans, buffers, weights of rows */
void fit_clear(fit *f);
void fit_order(fit *f); /* rows of epoch f->s.epoch */
/* One batch forward and backward and the optimiser's step; the loss and the metric's sum over its rows. */
double fit_step(fit *f, double *metric);
/* Mean loss and metric over the validation rows. */
void fit_validate(fit *f, double *loss, double *metric);
bool fit_has_accuracy(const fit *f);

/* ---- checkpoint.c ---- */
souk_status checkpoint_write(fit *f, souk_error *err);
/* Continues from the checkpoint where there is one. */
souk_status checkpoint_read(fit *f, souk_error *err);

#endif
