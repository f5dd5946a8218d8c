/* plan_impl - the inside of a plan, shared by lower.c, fuse.c, schedule.c, memplan.c, plan.c and run.c and by nobody
 * else.
 *
 * Life of a plan: the graph is copied; fuse.c rewrites nodes of the copy; lower.c turns them into steps over numbered
 * tensors; schedule.c orders the steps into groups (one barrier after each); memplan.c gives every tensor its place.
 * Afterwards a plan is only read. */
#ifndef SOUK_GRAPH_PLAN_IMPL_H
#define SOUK_GRAPH_PLAN_IMPL_H

#include "graph/plan.h"

enum { PLAN_MAX_TASKS = 16, PLAN_ALIGN = 64 };

typedef enum place {
    PLACE_NEVER, /* nothing touches it */
    PLACE_INPUT, /* the caller's, by slot */
    PLACE_PARAM, /* the caller's, by slot */
    PLACE_ONE,   /* the constant 1: gradient of the loss with respect to itself */
    PLACE_ARENA, /* at an offset of the session's arena */
    PLACE_LOCAL  /* at an offset of the worker's own area, which holds one shard's rows */
} place;

typedef struct tensor {
    place place;
    int32_t slot; /* PLACE_INPUT, PLACE_PARAM */
    size_t bytes;
    size_t row_bytes; /* bytes of one batch row where the first axis is the batch, else 0 */
    size_t offset;
    int32_t shares;      /* tensor whose memory it takes over (in place), or itself */
    int32_t first, last; /* positions of the first and last access in plan.order; first > last: none */
    bool by_row;         /* may live in one shard's rows */
    bool keep;           /* the caller reads it after the run */
} tensor;

/* One pass of one node, or the sum of two contributions to a gradient (pass NULL: out = in[0] + in[1]). */
typedef struct step {
    node_id node;
    const op_pass *pass;
    bool backward;
    pass_kind kind; /* a ROWS pass of a node without batch axis is made PASS_ONCE over all of axis 0 */
    int64_t range;  /* rows or units; 1 */
    int32_t group;  /* set by schedule.c */
    int32_t tasks;  /* SPLIT: how many pieces */
    size_t scratch;
    double seconds; /* rough estimate from the op's cost, for choosing what is worth a barrier */
    int32_t in[GRAPH_MAX_IN], out, aux[GRAPH_MAX_AUX], dout, din[GRAPH_MAX_IN]; /* tensors; -1: absent */
    int32_t rows[GRAPH_MAX_IN];                                                 /* slot of a row-list gradient; -1 */
    uint32_t in_written, aux_written;                                           /* bit i */
    bool out_written;
} step;

typedef struct param_plan {
    int32_t grad;        /* tensor of the dense gradient, -1 */
    int32_t ids, rows;   /* tensors of a row list, -1 */
    int64_t width, most; /* row list: width of a row, most rows that there can be */
} param_plan;

/* Steps order[begin … end): ROWS steps first, in an order that holds within a shard; the others depend on nothing in
 * the group. */
typedef struct group {
    int32_t begin, n_rows, end;
    int64_t shard;             /* rows of a shard */
    int64_t n_shards, n_tasks; /* tasks: shards first, then the pieces of the other steps */
    bool inlined;              /* too little work for the pool */
} group;

struct plan {
    graph g; /* rewritten copy */
    plan_options options;
    bool backward;
    tensor *tensors;
    size_t n_tensors, tensor_capacity;
    int32_t *value; /* [n_nodes] tensor of each node's value */
    int32_t *grad;  /* [n_nodes] tensor of each node's gradient, -1 */
    step *steps;
    size_t n_steps, step_capacity;
    int32_t *order; /* [n_steps] */
    group *groups;
    size_t n_groups, group_capacity;
    param_plan *params;    /* [n_params] */
    size_t arena_bytes;    /* all PLACE_ARENA tensors */
    size_t unshared_bytes; /* what they would need without sharing, for the record */
    size_t local_bytes;    /* a worker's area for PLACE_LOCAL */
    size_t scratch_bytes;  /* a worker's scratch, beside local_bytes */
};

souk_status plan_lower(plan *p, souk_error *err);
souk_status plan_schedule(plan *p, souk_error *err);
souk_status plan_memory(plan *p, souk_error *err);
void plan_fuse(graph *g); /* fuse.c: rewrites nodes, keeps numbers */

/* Calls visit(tensor, written) for everything that a step touches. */
typedef void (*step_visit)(void *context, int32_t tensor, bool written);
void step_each(const plan *p, const step *s, step_visit visit, void *context);

/* Rows that the ROWS passes of a node run over: the batch, or axis 0 for a node without one. */
static inline bool node_has_batch(const graph *g, const node *n) {
    if (n->shape.d[0] == g->batch) return true;
    for (int i = 0; i < n->n_in; i++) {
        const node *in = &g->nodes[n->in[i]];
        if (n->in[i] && in->kind != NODE_PARAM && in->shape.d[0] == g->batch) return true;
    }
    return false;
}

#endif
