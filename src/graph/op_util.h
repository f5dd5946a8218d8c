/* op_util - what op files share: flattening, elementwise costs, sums over the batch in the fixed order, shape rules. */
#ifndef SOUK_GRAPH_OP_UTIL_H
#define SOUK_GRAPH_OP_UTIL_H

#include <assert.h>
#include <string.h>

#include "graph/op.h"
#include "graph/ops.h"
#include "simd/gemm.h"
#include "simd/kern.h"

static inline const shape *in_shape(const graph *g, const node *n, int i) { return &g->nodes[n->in[i]].shape; }
static inline int64_t last_dim(const shape *s) { return s->d[s->rank - 1]; }
static inline int64_t rows_of(const shape *s) { return shape_count(s) / last_dim(s); } /* all axes but the last */

/* Axes between the first and the last, flattened: positions in one batch row. */
static inline int64_t inner_of(const shape *s) { return s->rank > 1 ? shape_row(s) / last_dim(s) : 1; }

static inline void node_aux_add(node *n, dtype type, aux_life life, int rank, const int64_t *dims, bool by_row) {
    assert(n->n_aux < GRAPH_MAX_AUX);
    n->aux[n->n_aux++] = (aux_def){.type = type, .life = life, .shape = shape_make(rank, dims), .by_row = by_row};
}

/* op_util.c */
op_cost cost_elementwise(const graph *g, const node *n); /* one FLOP per output element, inputs and output moved once */
void shape_like_first(graph *g, node *n);                /* output as input 0; real inputs only */
bool want_real(graph *g, const node *n, int i, const char *what); /* graph_fail unless input i is real */
bool want_rank(graph *g, const node *n, int i, int rank, const char *what);

/* sums[c] = sum over rows r of a[r, c] * b[r, c] (b NULL: of a alone) for n columns (at most COLUMN_BLOCK) of row-major
 * arrays with `ld` columns, the rows cut into OP_CHUNKS chunks that are added in a balanced tree. */
enum { COLUMN_BLOCK = 64 };
void column_sums(int64_t rows, int64_t n, int64_t ld, const real *a, const real *b, real *sums);

/* Number of blocks of `size` that cover n. */
static inline int64_t blocks_of(int64_t n, int64_t size) { return (n + size - 1) / size; }

#endif
