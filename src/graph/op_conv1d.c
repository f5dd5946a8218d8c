/* op_conv1d - convolution over time as matrix products on shifted views: y[B,T',M] = sum_k x[B, t*stride + k*dilation -
 * pad, C] · w[k].
 *
 * Rows of K*C consecutive numbers of one sample are the product's left operand where the dilation is 1 (their leading
 * dimension is stride*C, so rows overlap and nothing is copied); with a dilation the K taps are K products that
 * accumulate, in the same order of k and c, so the bits are the same chain. Padding goes through a copy of one sample
 * with zeros around it. dw sums over samples in OP_CHUNKS chunks that are added in a balanced tree, tile by tile of dw.
 */
#include "graph/op_util.h"

enum { TILE_ROWS = 32, TILE_COLS = 128, TREE_DEPTH = 4 }; /* 2^(TREE_DEPTH-1) = OP_CHUNKS */

typedef struct geometry {
    int64_t B, T, C, K, M, out;    /* out: T' */
    int64_t stride, dilation, pad; /* pad: steps in front */
    int64_t padded;                /* steps of a sample with its padding */
} geometry;

node_id op_conv1d(graph *g, const conv1d_attr *attr, node_id x, node_id w, node_id bias) {
    conv1d_attr a;
    memset(&a, 0, sizeof a);
    a.stride = attr->stride > 0 ? attr->stride : 1;
    a.dilation = attr->dilation > 0 ? attr->dilation : 1;
    a.padding = attr->padding;
    return graph_op(g, &opdef_conv1d, 3, (node_id[]){x, w, bias}, &a, sizeof a);
}

/* Keras' rules: same has T' = ceil(T / stride) and the odd step of padding behind; causal pads (K-1)*dilation steps in
 * front. */
static geometry geometry_of(const conv1d_attr *a, const shape *x, const shape *w) {
    geometry q = {.B = x->d[0],
                  .T = x->d[1],
                  .C = x->d[2],
                  .K = w->d[0],
                  .M = w->d[2],
                  .stride = a->stride,
                  .dilation = a->dilation};
    int64_t reach = (q.K - 1) * q.dilation + 1;
    if (a->padding == PAD_SAME) {
        q.out = blocks_of(q.T, q.stride);
        int64_t need = (q.out - 1) * q.stride + reach - q.T;
        q.pad = need > 0 ? need / 2 : 0;
    } else {
        q.pad = a->padding == PAD_CAUSAL ? reach - 1 : 0;
        q.out = q.T + q.pad >= reach ? (q.T + q.pad - reach) / q.stride + 1 : 0;
    }
    int64_t last = q.out > 0 ? (q.out - 1) * q.stride + reach : 0;
    q.padded = last > q.pad + q.T ? last : q.pad + q.T;
    return q;
}

static geometry run_geometry(const op_run *r) { return geometry_of(r->node->attr, r->in_shape[0], r->in_shape[1]); }
static geometry node_geometry(const graph *g, const node *n) {
    return geometry_of(n->attr, in_shape(g, n, 0), in_shape(g, n, 1));
}

static void conv_shape(graph *g, node *n) {
    char a[96], b[96];
    if (!want_rank(g, n, 0, 3, "x") || !want_rank(g, n, 1, 3, "w") || !want_real(g, n, 0, "x")) return;
    const shape *x = in_shape(g, n, 0), *w = in_shape(g, n, 1);
    geometry q = node_geometry(g, n);
    if (x->d[2] != w->d[1])
        graph_fail(g, "x is %s, w is %s: w needs as many channels as x", shape_text(x, a), shape_text(w, b));
    if (q.out < 1)
        graph_fail(g, "x is %s, w is %s: the kernel reaches over %lld steps and x has fewer", shape_text(x, a),
                   shape_text(w, b), (long long)((q.K - 1) * q.dilation + 1));
    if (n->in[2] && (in_shape(g, n, 2)->rank != 1 || in_shape(g, n, 2)->d[0] != q.M))
        graph_fail(g, "w is %s, bias is %s: one number for each filter is needed", shape_text(w, a),
                   shape_text(in_shape(g, n, 2), b));
    n->type = DT_REAL;
    n->shape = shape_make(3, (int64_t[]){q.B, q.out, q.M});
}

static op_cost conv_cost(const graph *g, const node *n) {
    geometry q = node_geometry(g, n);
    double rows = (double)(q.B * q.out);
    return (op_cost){2 * rows * (double)(q.K * q.C * q.M),
                     ((double)(q.B * q.T * q.C) + rows * (double)q.M + (double)(q.K * q.C * q.M)) * sizeof(real)};
}

/* A padded sample, then the product's scratch. */
static size_t sample_bytes(const geometry *q) { return ((size_t)(q->padded * q->C) * sizeof(real) + 63) / 64 * 64; }

static size_t rows_scratch(const graph *g, const node *n) {
    geometry q = node_geometry(g, n);
    size_t whole = gemm_scratch(q.out, q.M, q.K * q.C), tap = gemm_scratch(q.out, q.M, q.C),
           dx = gemm_scratch(q.out, q.C, q.M);
    size_t most = whole > tap ? whole : tap;
    return sample_bytes(&q) + (most > dx ? most : dx);
}

/* Sample b with zeros around it; x itself where nothing is padded. */
static const real *padded_sample(const geometry *q, const real *x, void *scratch) {
    if (q->padded == q->T) return x;
    real *copy = scratch;
    size_t before = (size_t)(q->pad * q->C), inside = (size_t)(q->T * q->C), all = (size_t)(q->padded * q->C);
    memset(copy, 0, before * sizeof *copy);
    memcpy(copy + before, x, inside * sizeof *copy);
    memset(copy + before + inside, 0, (all - before - inside) * sizeof *copy);
    return copy;
}

static void conv_forward(const op_run *r, int64_t lo, int64_t hi) {
    geometry q = run_geometry(r);
    void *scratch = (char *)r->scratch + sample_bytes(&q);
    int64_t taps = q.dilation == 1 ? 1 : q.K; /* products; each over K / taps taps */
    for (int64_t b = lo; b < hi; b++) {
        const real *x = padded_sample(&q, (const real *)r->in[0] + b * q.T * q.C, r->scratch);
        for (int64_t k = 0; k < taps; k++) {
            gemm_args a = {.m = q.out,
                           .n = q.M,
                           .k = q.K / taps * q.C,
                           .a = x + k * q.dilation * q.C,
                           .lda = q.stride * q.C,
                           .b = (const real *)r->in[1] + k * q.C * q.M,
                           .ldb = q.M,
                           .c = (real *)r->out + b * q.out * q.M,
                           .ldc = q.M,
                           .accumulate = k > 0,
                           .bias = k == taps - 1 ? r->in[2] : NULL};
            gemm(&a, scratch);
        }
    }
}

/* dx of one padded sample: each tap adds dy · w[k]ᵀ to the steps that it read; then the padding is dropped. */
static void conv_dx(const op_run *r, int64_t lo, int64_t hi) {
    geometry q = run_geometry(r);
    real *sum = r->scratch;
    void *scratch = (char *)r->scratch + sample_bytes(&q);
    for (int64_t b = lo; b < hi; b++) {
        memset(sum, 0, (size_t)(q.padded * q.C) * sizeof *sum);
        for (int64_t k = 0; k < q.K; k++) {
            gemm_args a = {.m = q.out,
                           .n = q.C,
                           .k = q.M,
                           .a = r->dout + b * q.out * q.M,
                           .lda = q.M,
                           .b = (const real *)r->in[1] + k * q.C * q.M,
                           .ldb = q.M,
                           .trans_b = true,
                           .c = sum + k * q.dilation * q.C,
                           .ldc = q.stride * q.C,
                           .accumulate = true};
            gemm(&a, scratch);
        }
        memcpy(r->din[0] + b * q.T * q.C, sum + q.pad * q.C, (size_t)(q.T * q.C) * sizeof *sum);
    }
}

/* ---- dw: tiles of (tap, channels, filters) ---- */

static int64_t dw_units(const graph *g, const node *n) {
    geometry q = node_geometry(g, n);
    return q.K * blocks_of(q.C, TILE_ROWS) * blocks_of(q.M, TILE_COLS);
}

enum { TILE = TILE_ROWS * TILE_COLS };

static size_t dw_scratch(const graph *g, const node *n) {
    geometry q = node_geometry(g, n);
    return TREE_DEPTH * TILE * sizeof(real) + gemm_scratch(TILE_ROWS, TILE_COLS, q.out);
}

typedef struct tile {
    int64_t k, c, m, nc, nm;
} tile;

/* tile = sum over samples of chunk i, in order of sample and step; the steps that lie in the padding are skipped. */
static void chunk_dw(const op_run *r, const geometry *q, const tile *u, int64_t i, real *sum, void *scratch) {
    int64_t each = blocks_of(q->B, OP_CHUNKS), shift = u->k * q->dilation - q->pad;
    int64_t from = shift < 0 ? blocks_of(-shift, q->stride) : 0,
            to = q->T > shift ? blocks_of(q->T - shift, q->stride) : 0;
    if (to > q->out) to = q->out;
    memset(sum, 0, TILE * sizeof *sum);
    for (int64_t b = i * each; b < (i + 1) * each && b < q->B && to > from; b++) {
        gemm_args a = {.m = u->nc,
                       .n = u->nm,
                       .k = to - from,
                       .a = (const real *)r->in[0] + (b * q->T + from * q->stride + shift) * q->C + u->c,
                       .lda = q->stride * q->C,
                       .trans_a = true,
                       .b = r->dout + (b * q->out + from) * q->M + u->m,
                       .ldb = q->M,
                       .c = sum,
                       .ldc = TILE_COLS,
                       .accumulate = true};
        gemm(&a, scratch);
    }
}

/* Chunks [i, i + n) as a balanced tree; tiles + level is this level's own, deeper levels use those behind it. */
static void tree_dw(const op_run *r, const geometry *q, const tile *u, int64_t i, int64_t n, real *tiles,
                    void *scratch) {
    if (n == 1) {
        chunk_dw(r, q, u, i, tiles, scratch);
        return;
    }
    tree_dw(r, q, u, i, n / 2, tiles, scratch);
    tree_dw(r, q, u, i + n / 2, n / 2, tiles + TILE, scratch);
    kern.add(TILE, tiles, tiles + TILE, tiles);
}

static void conv_dw(const op_run *r, int64_t lo, int64_t hi) {
    geometry q = run_geometry(r);
    int64_t across = blocks_of(q.M, TILE_COLS), down = blocks_of(q.C, TILE_ROWS);
    real *tiles = r->scratch;
    for (int64_t i = lo; i < hi; i++) {
        tile u = {.k = i / across / down, .c = i / across % down * TILE_ROWS, .m = i % across * TILE_COLS};
        u.nc = q.C - u.c < TILE_ROWS ? q.C - u.c : TILE_ROWS;
        u.nm = q.M - u.m < TILE_COLS ? q.M - u.m : TILE_COLS;
        tree_dw(r, &q, &u, 0, OP_CHUNKS, tiles, tiles + TREE_DEPTH * TILE);
        for (int64_t c = 0; c < u.nc; c++)
            memcpy(r->din[1] + ((u.k * q.C + u.c + c) * q.M + u.m), tiles + c * TILE_COLS,
                   (size_t)u.nm * sizeof *tiles);
    }
}

static int64_t dbias_units(const graph *g, const node *n) {
    (void)g;
    return blocks_of(n->shape.d[2], COLUMN_BLOCK);
}

static void conv_dbias(const op_run *r, int64_t lo, int64_t hi) {
    int64_t M = r->node->shape.d[2];
    for (int64_t j = lo * COLUMN_BLOCK; j < hi * COLUMN_BLOCK && j < M; j += COLUMN_BLOCK)
        column_sums(rows_of(&r->node->shape), M - j < COLUMN_BLOCK ? M - j : COLUMN_BLOCK, M, r->dout + j, NULL,
                    r->din[2] + j);
}

/* ---- cases ---- */

static node_id conv_case(graph *g, op_tester *t, conv1d_attr a, int64_t T, int64_t C, int64_t K, int64_t M, bool bias) {
    node_id x = op_test_input(g, t, 3, (int64_t[]){g->batch, T, C}, -1, 1),
            w = op_test_param(g, t, 3, (int64_t[]){K, C, M}, -.5, .5);
    return op_conv1d(g, &a, x, w, bias ? op_test_param(g, t, 1, &M, -1, 1) : 0);
}
static node_id case_valid(graph *g, op_tester *t) {
    return conv_case(g, t, (conv1d_attr){1, 1, PAD_VALID}, 9, 3, 3, 5, true);
}
static node_id case_same(graph *g, op_tester *t) {
    return conv_case(g, t, (conv1d_attr){1, 1, PAD_SAME}, 7, 35, 4, 3, true);
}
static node_id case_causal(graph *g, op_tester *t) {
    return conv_case(g, t, (conv1d_attr){1, 2, PAD_CAUSAL}, 7, 2, 3, 4, false);
}
static node_id case_stride(graph *g, op_tester *t) {
    return conv_case(g, t, (conv1d_attr){3, 1, PAD_SAME}, 10, 4, 5, 3, true);
}
static node_id case_stride_wide(graph *g, op_tester *t) {
    return conv_case(g, t, (conv1d_attr){4, 1, PAD_VALID}, 11, 2, 2, 3, true);
}
static node_id case_dilated(graph *g, op_tester *t) {
    return conv_case(g, t, (conv1d_attr){1, 3, PAD_VALID}, 12, 3, 3, 130, true);
}
static node_id case_dilated_same(graph *g, op_tester *t) {
    return conv_case(g, t, (conv1d_attr){2, 2, PAD_SAME}, 5, 3, 3, 2, true);
}

static const op_case cases[] = {{"valid", case_valid},
                                {"same, even kernel", case_same},
                                {"causal, dilated", case_causal},
                                {"same, stride 3", case_stride},
                                {"stride wider than the kernel", case_stride_wide},
                                {"dilated", case_dilated},
                                {"dilated, same, stride 2", case_dilated_same},
                                {NULL, NULL}};

const op_def opdef_conv1d = {
    .name = "conv1d",
    .min_in = 2,
    .max_in = 3,
    .reads_in = 3,
    .shape = conv_shape,
    .cost = conv_cost,
    .forward = {{.kind = PASS_ROWS, .run = conv_forward, .scratch = rows_scratch}},
    .backward = {{.kind = PASS_ROWS, .run = conv_dx, .scratch = rows_scratch, .writes = 1},
                 {.kind = PASS_SPLIT, .run = conv_dw, .units = dw_units, .scratch = dw_scratch, .writes = 2},
                 {.kind = PASS_SPLIT, .run = conv_dbias, .units = dbias_units, .writes = 4}},
    .cases = cases};
