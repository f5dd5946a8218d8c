/* plan - lower, rewrite, plan, run. A plan is the flat list of steps of one graph and the arena layout that goes with
 * it.
 *
 * Peak memory is known before the first run. A run allocates nothing. A plan is immutable; what changes lives in a
 * plan_session. */
#ifndef SOUK_GRAPH_PLAN_H
#define SOUK_GRAPH_PLAN_H

#include "base/buf.h"
#include "base/thread.h"
#include "graph/graph.h"
#include "graph/op.h"

typedef struct plan plan;
typedef struct plan_session plan_session;

typedef struct plan_options {
    bool no_fuse;        /* default false: rewrites on */
    bool no_reuse;       /* default false: lifetimes share memory; true gives every tensor a place of its own (tests) */
    bool no_depth_first; /* default false */
    bool row_lists;      /* embedding tables used by embedding alone get row-list gradients */
    int64_t split_tasks; /* pieces into which SPLIT steps are cut; 0: up to 16, by size (another number: tests) */
    int64_t
        shard_rows; /* rows of a shard in ROWS steps; 0: 8 up to 256 rows, more for larger batches and large weights */
} plan_options;

/* Lowers g (which may be cleared afterwards: the plan keeps what it needs). With g->loss set and g->training, the
 * backward pass is included. */
souk_status plan_new(plan **out, const graph *g, const plan_options *options, souk_error *err);
void plan_free(plan *p);
size_t plan_bytes(const plan *p, int threads);   /* arena + per-worker scratch */
size_t plan_bytes_unshared(const plan *p);       /* what the arena would need if no two tensors shared memory */
int plan_barriers(const plan *p);                /* how often a run goes through the pool */
double plan_flops(const plan *p, bool backward); /* forward alone, or with the backward passes */
/* A table of steps (op, layer, shape, bytes, FLOPs, group) for `inspect`, as text. */
void plan_describe(const plan *p, buf *out);

/* Gradient of parameter `slot` after a run. */
typedef struct param_grad {
    bool is_rows;
    real *dense; /* [count of the parameter] */
    grad_rows rows;
} param_grad;

souk_status plan_session_new(plan_session **out, const plan *p, int threads, souk_error *err);
void plan_session_free(plan_session *s);

typedef struct plan_io {
    const void *const *inputs; /* [n_inputs] by slot: real [B,…] or int32 [B,…] */
    real *const *params;       /* [n_params] by slot; batch norm's moving statistics are written when training */
    uint64_t seed;
    uint32_t step;
    const uint64_t *samples; /* [B] global sample numbers; NULL: 0 … B-1 */
} plan_io;
/* Runs all steps. workers NULL: one thread. */
void plan_run(const plan *p, plan_session *s, const plan_io *io, pool *workers);
const void *plan_output(const plan *p, const plan_session *s,
                        int output);                    /* graph_output number; borrowed until the next run */
double plan_loss(const plan *p, const plan_session *s); /* the scalar loss, in double */
const param_grad *plan_grad(const plan *p, const plan_session *s, int32_t param_slot); /* NULL: not trained */

#endif
