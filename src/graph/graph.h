/* graph - record: layer code calls op functions, each appends a node to an array; shapes are checked at once.
 *
 * A graph is recorded for one batch size and one mode, and then lowered and planned (plan.h). It sees shapes and
 * attributes only, never data. The first mistake sticks (graph_status); later calls return node 0, which is invalid.
 *
 * Every activation has the batch as its first axis, [B,…]; parameters have no batch axis. Row-major, last axis
 * contiguous. */
#ifndef SOUK_GRAPH_GRAPH_H
#define SOUK_GRAPH_GRAPH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"
#include "simd/real.h"

enum { GRAPH_MAX_RANK = 6, GRAPH_MAX_IN = 8, GRAPH_MAX_AUX = 8 };

typedef int32_t node_id; /* index into graph.nodes; 0 is "none" or "invalid" */

typedef enum dtype { DT_REAL, DT_I32 } dtype;

typedef struct shape {
    int rank;
    int64_t d[GRAPH_MAX_RANK];
} shape;

typedef struct op_def op_def; /* op.h */

/* A tensor that an op needs beyond inputs and output. */
typedef enum aux_life {
    AUX_SAVED,   /* written in the forward pass, read in the backward pass (absent when not training) */
    AUX_FORWARD, /* lives within the node's forward passes */
    AUX_BACKWARD /* lives within the node's backward passes */
} aux_life;
typedef struct aux_def {
    dtype type;
    aux_life life;
    shape shape;
    bool
        by_row; /* [B,…], and every access is by a PASS_ROWS pass or to whole rows: may live in one shard's rows only */
} aux_def;

typedef enum node_kind { NODE_NONE, NODE_INPUT, NODE_PARAM, NODE_OP } node_kind;

typedef struct node {
    node_kind kind;
    const op_def *op;    /* NODE_OP only */
    int32_t slot;        /* NODE_INPUT: number of the input; NODE_PARAM: number of the parameter */
    uint32_t rng_stream; /* number of the op in recording order; unchanged by rewrites */
    int n_in;
    node_id in[GRAPH_MAX_IN]; /* 0 where an optional input is absent */
    dtype type;
    shape shape;
    const void *attr; /* op-specific struct in the graph's arena, or NULL; holds no pointers */
    size_t attr_size;
    int n_aux;
    aux_def aux[GRAPH_MAX_AUX];
    bool needs_grad;  /* some parameter that is trained lies upstream */
    bool trainable;   /* NODE_PARAM */
    const char *name; /* layer's name, for messages; borrowed from the arena */
} node;

typedef struct graph {
    arena arena;
    node *nodes; /* nodes[0] is NODE_NONE */
    int32_t n_nodes;
    size_t capacity;
    int64_t batch; /* B */
    bool training;
    const char *scope; /* name given to the next nodes (the layer's) */
    int32_t n_inputs, n_params;
    uint32_t next_stream;
    node_id loss;        /* scalar node that the backward pass starts from; 0: none */
    node_id outputs[16]; /* nodes whose values the caller reads after a run */
    int n_outputs;
    const op_def *failing; /* op whose shape rule is running, for graph_fail */
    souk_error err;        /* the first mistake */
} graph;

void graph_init(graph *g, int64_t batch, bool training);
void graph_clear(graph *g);
souk_status graph_copy(graph *dst, const graph *src, souk_error *err); /* deep; dst is initialised by it */
souk_status graph_status(const graph *g, souk_error *err);
void graph_scope(graph *g, const char *layer_name);

shape shape_make(int rank, const int64_t *d);
int64_t shape_count(const shape *s);                  /* product of all dims; checked at record time */
int64_t shape_row(const shape *s);                    /* product of dims 1… : elements per batch row */
const char *shape_text(const shape *s, char dst[96]); /* "[32,100,16]" */
static inline const node *graph_node(const graph *g, node_id id) { return &g->nodes[id]; }

/* Input number `slot` [B, dims…]; a parameter number `slot` [dims…]. Slots are numbered by the caller (net.c). */
node_id graph_input(graph *g, int32_t slot, dtype type, int rank, const int64_t *dims_without_batch);
node_id graph_param(graph *g, int32_t slot, int rank, const int64_t *dims, bool trainable, const char *name);
void graph_output(graph *g, node_id id); /* keeps the value readable after a run */
void graph_loss(graph *g, node_id id);   /* id must be a scalar [1] */

/* Appends an op node: checks arity, copies attr, runs the op's shape rule. Used by the op functions of ops.h only. */
node_id graph_op(graph *g, const op_def *op, int n_in, const node_id *in, const void *attr, size_t attr_size);
/* Runs n's shape rule and derives needs_grad; false after a mistake. For graph_op and rewrites. */
bool graph_node_finish(graph *g, node *n);
/* A mistake found by a shape rule: "layer dense_1: linear: x is [32,100], w is [90,16]: …". */
void graph_fail(graph *g, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
