/* opt_impl - what the files of opt share: state, blocks and the scalars of a step. */
#ifndef SOUK_TRAIN_OPT_IMPL_H
#define SOUK_TRAIN_OPT_IMPL_H

#include "base/mem.h"
#include "train/opt.h"

enum {
    OPT_BLOCK = 4096,    /* elements that one task updates; the cut is the same on every machine */
    OPT_HISTORY = 4096,  /* steps whose scalars are kept for replay; then all lazy rows are flushed */
    OPT_SERIAL = 1 << 15 /* fewer elements than this are not worth waking another thread */
};

/* All that one step's arithmetic depends on beside state and gradient: what a lazy row needs to replay it. */
typedef struct opt_scalars {
    real rate;     /* SGD, RMSprop, Adagrad: learning rate. Adam: alpha (Keras) or lr / (1 - b1^t) (PyTorch) */
    real rsqrt_c2; /* PyTorch's Adam: 1 / sqrt(1 - b2^t) */
    real decay;    /* p -= decay p first; 0: none */
    real average;  /* EMA momentum; 0 in the first step */
} opt_scalars;

typedef struct opt_state { /* one parameter */
    opt_param p;
    bool decays; /* weight decay applies */
    bool lazy;
    real *m, *v;    /* momentum or first moment; second moment or accumulator; NULL where the rule has none */
    real *sum;      /* gradients summed so far; NULL without accumulation */
    real *average;  /* EMA; NULL without */
    int64_t *last;  /* [rows] lazy: step up to which a row is up to date; OPT_UNTOUCHED: nothing to replay, ever */
    int32_t *stale; /* [rows] lazy: scratch list */
    int64_t *stale_from;
    double clip; /* factor of this step's gradient */
} opt_state;
#define OPT_UNTOUCHED INT64_MAX

typedef struct opt_block {
    int param;
    int64_t begin, count;
} opt_block;

typedef struct opt_slot_entry {
    const char *name;
    real *values;
    int64_t count;
} opt_slot_entry;

struct opt {
    opt_options o;
    arena arena; /* state of the small parameters, and all lists */
    opt_state *state;
    int n;
    opt_block *blocks;
    int64_t n_blocks;
    double *partial; /* [n_blocks] sums of squares */
    int64_t total;   /* trained elements outside lazy tables */
    opt_slot_entry *slots;
    int n_slots;
    int64_t iterations, micro;
    /* of steps first_kept … iterations - 1, the first at 0; NULL: nothing is lazy */
    opt_scalars *history; /* [OPT_HISTORY] */
    real *alpha;          /* [OPT_HISTORY] their rates once more, side by side */
    int64_t first_kept;
    int64_t rough; /* the last step whose rate grew faster than a first moment shrinks */
    bool rescan;   /* state was restored: find out which lazy rows are untouched */
    double last_norm;
};

/* PyTorch adds weight decay to the gradient, but for AdamW. */
static inline bool opt_coupled(const opt_options *o) {
    return o->rule == OPT_RULE_TORCH && o->kind != OPT_ADAMW && o->weight_decay > 0;
}

opt_scalars opt_scalars_at(const opt *o, int64_t step, double learning_rate);
/* Update of n elements at p with gradient g, and their EMA. m, v, average as in opt_state, at the same elements. */
void opt_apply(const opt *o, const opt_scalars *s, bool decays, int64_t n, real *p, const real *g, real *m, real *v,
               real *average);

/* pool_run with denormals flushed in every task, as in a plan's: whichever thread takes it. */
void opt_run(pool *crew, int64_t n, void (*fn)(void *context, int64_t task, int worker), void *context);

/* ---- opt_lazy.c ---- */
void opt_lazy_rows(opt *o, int i, const grad_rows *rows, const opt_scalars *s,
                   pool *crew); /* replay, then this step, for the listed rows */
void opt_lazy_flush(opt *o, int i, pool *crew);
void opt_lazy_rescan(opt *o);

#endif
