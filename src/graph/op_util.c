/* op_util - see op_util.h. The column sums define the order of every gradient that sums over the batch outside the
 * matrix product: chunks of ceil(rows / OP_CHUNKS) rows, each from 0 in ascending order, then (c0+c1)+(c2+c3)…, as gemm
 * does. */
#include "graph/op_util.h"

op_cost cost_elementwise(const graph *g, const node *n) {
    double bytes = (double)shape_count(&n->shape);
    for (int i = 0; i < n->n_in; i++)
        if (n->in[i]) bytes += (double)shape_count(in_shape(g, n, i));
    return (op_cost){(double)shape_count(&n->shape), bytes * sizeof(real)};
}

void shape_like_first(graph *g, node *n) {
    n->type = DT_REAL;
    n->shape = *in_shape(g, n, 0);
    want_real(g, n, 0, "the input");
}

bool want_real(graph *g, const node *n, int i, const char *what) {
    if (!n->in[i] || g->nodes[n->in[i]].type == DT_REAL) return true;
    graph_fail(g, "%s holds integers where numbers are needed (an embedding turns ids into numbers)", what);
    return false;
}

bool want_rank(graph *g, const node *n, int i, int rank, const char *what) {
    char text[96];
    const shape *s = in_shape(g, n, i);
    if (s->rank == rank) return true;
    graph_fail(g, "%s is %s; %d dimensions are needed, the batch among them", what, shape_text(s, text), rank);
    return false;
}

/* One chunk, from 0 in ascending order. */
static void chunk_sum(int64_t lo, int64_t hi, int64_t n, int64_t ld, const real *a, const real *b, real *sum) {
    kern.fill(n, 0, sum);
    for (int64_t r = lo; r < hi; r++) {
        if (b)
            kern.mul_add(n, a + r * ld, b + r * ld, sum);
        else
            kern.add(n, a + r * ld, sum, sum);
    }
}

void column_sums(int64_t rows, int64_t n, int64_t ld, const real *a, const real *b, real *sums) {
    assert(n <= COLUMN_BLOCK);
    real part[OP_CHUNKS][COLUMN_BLOCK];
    int64_t each = (rows + OP_CHUNKS - 1) / OP_CHUNKS;
    for (int c = 0; c < OP_CHUNKS; c++) {
        int64_t lo = c * each < rows ? c * each : rows, hi = lo + each < rows ? lo + each : rows;
        chunk_sum(lo, hi, n, ld, a, b, part[c]);
    }
    for (int width = 1; width < OP_CHUNKS; width *= 2)
        for (int c = 0; c < OP_CHUNKS; c += 2 * width) kern.add(n, part[c], part[c + width], part[c]);
    memcpy(sums, part[0], (size_t)n * sizeof *sums);
}
