/* op - what an op is: one file op_<name>.c with shape rule, forward, backward, cost and cases; one line in ops.def.
 *
 * Work is done in passes. The lowering turns every node into steps, one for each pass that is needed, forward in
 * recording order and backward in reverse. Kinds of pass: PASS_ROWS   range = batch rows [lo,hi); reads and writes only
 * these rows of every [B,…] tensor (inputs, output, aux, gradients). Consecutive ROWS steps run depth-first, shard by
 * shard, without a barrier. PASS_SPLIT  range = units [lo,hi) that the op defines (columns of a weight, blocks of 16
 * …): any order, disjoint outputs. The op's `units` gives how many. A unit must be worth some microseconds. PASS_ONCE
 * one call, lo = 0, hi = 1; for cheap serial work between the others. The bits may not depend on how a range is cut. A
 * pass that sums over the batch cuts it into fixed chunks: op_chunks(). */
#ifndef SOUK_GRAPH_OP_H
#define SOUK_GRAPH_OP_H

#include "base/rng.h"
#include "graph/graph.h"

/* Gradient of an embedding table as a list of rows: ids ascending and distinct, rows [n, width]. */
typedef struct grad_rows {
    int64_t n;
    int32_t *ids;
    real *rows;
    int64_t width;
} grad_rows;

/* What a pass sees. Pointers of [B,…] tensors are to row 0, whatever the range. */
typedef struct op_run {
    const node *node;
    const shape *in_shape[GRAPH_MAX_IN];
    const void *in[GRAPH_MAX_IN]; /* values: const real * or const int32_t *; NULL where absent */
    void *out;                    /* value of the node */
    void *aux[GRAPH_MAX_AUX];
    const real *dout;        /* backward: gradient of the output, complete */
    real *din[GRAPH_MAX_IN]; /* backward: gradient of input i, to be overwritten (never added to); NULL: not wanted */
    grad_rows *drows[GRAPH_MAX_IN]; /* backward: instead of din[i] where the input is a row-list parameter */
    void *scratch;          /* this worker's, of the pass's declared size, 64-byte aligned; contents undefined */
    uint64_t seed;          /* of the run */
    uint32_t step;          /* optimiser step */
    const uint64_t *sample; /* [B] global numbers of the samples, for random masks */
    bool training;
} op_run;

typedef enum pass_kind { PASS_ROWS, PASS_SPLIT, PASS_ONCE } pass_kind;

typedef struct op_pass {
    pass_kind kind;
    void (*run)(const op_run *r, int64_t lo, int64_t hi);
    int64_t (*units)(const graph *g, const node *n);  /* PASS_SPLIT */
    size_t (*scratch)(const graph *g, const node *n); /* NULL: none */
    uint32_t writes; /* backward: bit i: writes din[i] / drows[i]. The pass is dropped when none of them is wanted.
                        0, or OP_FILLS_AUX among the bits: always runs, unless no gradient is wanted at all, because it
                        fills AUX_BACKWARD tensors for later passes; din[i] that are not wanted are NULL as ever */
    uint32_t skips;  /* bit i: does not touch input i; OP_SKIPS_OUT: nor the output or its gradient. A pass that packs
                        weights  says so and need not wait for the data */
} op_pass;
enum { OP_FILLS_AUX = 1 << 30, OP_SKIPS_OUT = 1 << 30 };
/* Order of the passes of one node. Forward: as listed. Backward: the filling passes as listed; each other pass after
 * the filling passes before it, and independent of its other siblings (so they may run at the same time). */

typedef struct op_cost {
    double flops; /* multiply-adds count two */
    double bytes; /* read and written once, cold */
} op_cost;

enum { OP_MAX_PASS = 6 };

enum {
    OP_READS_OUT = 1u << 0,     /* backward reads the output's value */
    OP_IN_PLACE = 1u << 1,      /* forward may write its output over input 0 when nobody else reads that */
    OP_GRAD_IN_PLACE = 1u << 2, /* backward may write din[0] over dout */
    OP_ALIAS = 1u << 3,         /* the output is input 0 under another shape: no passes at all */
    OP_WRITES_STATE =
        1u << 4 /* when training, forward also writes its parameters that are not trained (moving statistics) */
};

typedef struct op_tester op_tester; /* defined by tests/test_ops.c */

typedef struct op_case { /* one test case; see tests/test_ops.c for how it is used */
    const char *name;
    /* Builds the op on g from inputs made by other ops; t gives fresh inputs and parameters. Returns the node under
     * test. */
    node_id (*build)(graph *g, op_tester *t);
} op_case;

struct op_def {
    const char *name;
    int min_in, max_in;
    uint32_t flags;
    uint32_t reads_in;                              /* bit i: backward reads the value of input i */
    uint32_t row_list;                              /* bit i: input i may be a row-list parameter (embedding tables) */
    const char *no_grad;                            /* why there is no backward, or NULL */
    void (*shape)(graph *g, node *n);               /* checks inputs; sets type, shape, aux; graph_fail on mistakes */
    op_cost (*cost)(const graph *g, const node *n); /* forward */
    op_pass forward[OP_MAX_PASS];                   /* ends with run == NULL */
    op_pass backward[OP_MAX_PASS];
    const op_case *cases; /* ends with name == NULL */
};

/* Number of fixed chunks into which sums over the batch (or batch * time) are cut; a power of two, the same for every
 * machine and thread count. */
enum { OP_CHUNKS = 8 };
static inline int op_chunks(void) { return OP_CHUNKS; }

/* --- test support, implemented by tests/test_ops.c and by nobody else */
/* Weak: a program without that test links, and never calls a case. */
#define OP_TEST __attribute__((weak))
node_id op_test_input(graph *g, op_tester *t, int rank, const int64_t *dims_with_batch, double low,
                      double high) OP_TEST; /* param passed through an op */
node_id op_test_param(graph *g, op_tester *t, int rank, const int64_t *dims, double low, double high) OP_TEST;
node_id op_test_ids(graph *g, op_tester *t, int rank, const int64_t *dims_with_batch, int32_t low,
                    int32_t high) OP_TEST; /* integers in [low, high) */
node_id op_test_target(graph *g, op_tester *t, int rank, const int64_t *dims_with_batch, double low,
                       double high) OP_TEST; /* numbers without gradient */
node_id op_test_constant(graph *g, op_tester *t, int rank, const int64_t *dims, double low,
                         double high) OP_TEST; /* parameter that is not trained */

/* --- the table */
/* The definition of op NAME is opdef_NAME; op_NAME is the recording function of ops.h. */
#define OP(name) extern const op_def opdef_##name;
#include "graph/ops.def"
#undef OP
extern const op_def *const op_table[]; /* ends with NULL */

#endif
