/* opt_types - the options of optimisers and schedules: the spec holds them, train obeys them. */
#ifndef SOUK_MODEL_OPT_TYPES_H
#define SOUK_MODEL_OPT_TYPES_H

#include <stdbool.h>
#include <stdint.h>

typedef enum opt_kind { OPT_SGD, OPT_RMSPROP, OPT_ADAM, OPT_ADAMW, OPT_ADAGRAD } opt_kind;
typedef enum opt_rule { OPT_RULE_KERAS, OPT_RULE_TORCH } opt_rule; /* where epsilon and the learning rate sit */
typedef struct opt_options {
    opt_kind kind;
    opt_rule rule;
    double learning_rate; /* default .001, SGD .01 */
    double beta1, beta2;  /* .9, .999 */
    double epsilon;       /* keras 1e-7, torch 1e-8 */
    double momentum;      /* SGD, RMSprop: 0 */
    bool nesterov;
    double rho;                                     /* RMSprop .9 (torch's alpha .99) */
    double initial_accumulator;                     /* Adagrad .1 */
    double weight_decay;                            /* 0; AdamW .004 (torch .01) */
    bool decay_bias_and_norm;                       /* default true, as Keras */
    double clip_value, clip_norm, clip_global_norm; /* 0: off; at most one */
    double ema_momentum;                            /* 0: off */
    int accumulate;                                 /* gradients averaged per step; 1 */
    int64_t lazy_from; /* tables with at least this many parameters replay missed steps row by row, bit for bit as
                          dense; default 2,000,000 */
} opt_options;
/* Keras' or PyTorch's defaults of that optimiser, as the comments above say. */
opt_options opt_options_default(opt_kind kind, opt_rule rule);

typedef enum sched_kind {
    SCHED_CONSTANT,
    SCHED_STEP,
    SCHED_EXPONENTIAL,
    SCHED_COSINE,
    SCHED_LINEAR,
    SCHED_PLATEAU
} sched_kind;
typedef struct sched_options {
    sched_kind kind;
    double warmup_steps; /* cosine, linear: from 0 (or warmup_start) up to the rate; 0: none */
    double decay_steps;  /* 0: the whole run */
    double decay_rate;   /* step and exponential */
    bool staircase;
    double final_rate; /* as a share of the rate (cosine's alpha, linear's end) */
    double factor;
    int patience;
    double min_delta, min_rate;
    int cooldown; /* plateau: .1, 10, 1e-4, 0, 0 */
} sched_options;
sched_options sched_options_default(sched_kind kind);

#endif
