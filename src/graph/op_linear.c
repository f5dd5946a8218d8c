/* op_linear - y[B,…,M] = act(x[B,…,N] · w[N,M] + bias[M]); all axes but the last are rows of one matrix product.
 *
 * Two definitions: `linear`, which layers record, and `linear_act` with the activation in the product's epilogue, which
 * fuse.c makes of linear + activation. dw = xᵀ·dz sums over R = B·… rows in OP_CHUNKS fixed chunks, tile by tile of dw,
 * so that no copies of gradients exist; dbias likewise. Only activations whose derivative follows from y are fused. */
#include "graph/op_activation.h"
#include "graph/op_util.h"

/* Tiles of dw: few rows so that many tasks exist, wide so that a packed column of x is used often. */
enum { TILE_ROWS = 32, TILE_COLS = 256 };

node_id op_linear(graph *g, node_id x, node_id w, node_id bias) {
    return graph_op(g, &opdef_linear, 3, (node_id[]){x, w, bias}, NULL, 0);
}

static void linear_shape(graph *g, node *n) {
    char a[96], b[96];
    const shape *x = in_shape(g, n, 0), *w = in_shape(g, n, 1);
    if (!want_real(g, n, 0, "x") || !want_rank(g, n, 1, 2, "w")) return;
    if (last_dim(x) != w->d[0])
        graph_fail(g, "x is %s, w is %s: the last axis of x must be w's first", shape_text(x, a), shape_text(w, b));
    if (n->in[2] && (in_shape(g, n, 2)->rank != 1 || in_shape(g, n, 2)->d[0] != w->d[1]))
        graph_fail(g, "w is %s, bias is %s: the bias needs one number for each column of w", shape_text(w, a),
                   shape_text(in_shape(g, n, 2), b));
    n->type = DT_REAL;
    n->shape = *x;
    n->shape.d[x->rank - 1] = w->d[1];
    if (n->op == &opdef_linear_act) node_aux_add(n, DT_REAL, AUX_BACKWARD, n->shape.rank, n->shape.d, true);
}

static op_cost linear_cost(const graph *g, const node *n) {
    const shape *w = in_shape(g, n, 1);
    double rows = (double)rows_of(&n->shape), N = (double)w->d[0], M = (double)w->d[1];
    return (op_cost){2 * rows * N * M, (rows * (N + M) + N * M) * sizeof(real)};
}

static size_t linear_scratch(const graph *g, const node *n) {
    const shape *w = in_shape(g, n, 1);
    int64_t R = rows_of(&n->shape), N = w->d[0], M = w->d[1];
    size_t forward = gemm_scratch(R, M, N), dx = gemm_scratch(R, N, M);
    return forward > dx ? forward : dx;
}

static gemm_act linear_activation(const node *n) {
    return n->attr ? ((const activation_attr *)n->attr)->act : GEMM_LINEAR;
}

/* ROWS: y */
static void linear_forward(const op_run *r, int64_t lo, int64_t hi) {
    int64_t N = r->in_shape[1]->d[0], M = r->in_shape[1]->d[1], inner = inner_of(&r->node->shape);
    gemm_args a = {.m = (hi - lo) * inner,
                   .n = M,
                   .k = N,
                   .a = (const real *)r->in[0] + lo * inner * N,
                   .lda = N,
                   .b = r->in[1],
                   .ldb = M,
                   .c = (real *)r->out + lo * inner * M,
                   .ldc = M,
                   .bias = r->in[2],
                   .act = linear_activation(r->node)};
    gemm(&a, r->scratch);
}

/* ROWS, linear_act: aux 0 = dz = dy * act'(y) */
static void linear_dz(const op_run *r, int64_t lo, int64_t hi) {
    int64_t row = shape_row(&r->node->shape), at = lo * row;
    const real *y = (const real *)r->out + at;
    kern.act_grad((hi - lo) * row, (int)linear_activation(r->node), y, y, r->dout + at, (real *)r->aux[0] + at);
}

static const real *linear_dout(const op_run *r) { return r->node->op == &opdef_linear_act ? r->aux[0] : r->dout; }

/* ROWS: dx = dz · wᵀ */
static void linear_dx(const op_run *r, int64_t lo, int64_t hi) {
    int64_t N = r->in_shape[1]->d[0], M = r->in_shape[1]->d[1], inner = inner_of(&r->node->shape);
    gemm_args a = {.m = (hi - lo) * inner,
                   .n = N,
                   .k = M,
                   .a = linear_dout(r) + lo * inner * M,
                   .lda = M,
                   .b = r->in[1],
                   .ldb = M,
                   .trans_b = true,
                   .c = r->din[0] + lo * inner * N,
                   .ldc = N};
    gemm(&a, r->scratch);
}

static int64_t dw_units(const graph *g, const node *n) {
    const shape *w = in_shape(g, n, 1);
    return blocks_of(w->d[0], TILE_ROWS) * blocks_of(w->d[1], TILE_COLS);
}

static size_t dw_scratch(const graph *g, const node *n) {
    (void)g;
    return gemm_scratch(TILE_ROWS, TILE_COLS, rows_of(&n->shape));
}

/* SPLIT over tiles of w: dw = xᵀ · dz */
static void linear_dw(const op_run *r, int64_t lo, int64_t hi) {
    int64_t N = r->in_shape[1]->d[0], M = r->in_shape[1]->d[1], across = blocks_of(M, TILE_COLS);
    for (int64_t u = lo; u < hi; u++) {
        int64_t i = u / across * TILE_ROWS, j = u % across * TILE_COLS;
        gemm_args a = {.m = N - i < TILE_ROWS ? N - i : TILE_ROWS,
                       .n = M - j < TILE_COLS ? M - j : TILE_COLS,
                       .k = rows_of(&r->node->shape),
                       .a = (const real *)r->in[0] + i,
                       .lda = N,
                       .trans_a = true,
                       .b = linear_dout(r) + j,
                       .ldb = M,
                       .c = r->din[1] + i * M + j,
                       .ldc = M,
                       .chunks = op_chunks()};
        gemm(&a, r->scratch);
    }
}

static int64_t dbias_units(const graph *g, const node *n) { return blocks_of(in_shape(g, n, 1)->d[1], COLUMN_BLOCK); }

static void linear_dbias(const op_run *r, int64_t lo, int64_t hi) {
    int64_t M = r->in_shape[1]->d[1];
    for (int64_t j = lo * COLUMN_BLOCK; j < hi * COLUMN_BLOCK && j < M; j += COLUMN_BLOCK)
        column_sums(rows_of(&r->node->shape), M - j < COLUMN_BLOCK ? M - j : COLUMN_BLOCK, M, linear_dout(r) + j, NULL,
                    r->din[2] + j);
}

/* ---- cases ---- */

static node_id case_plain(graph *g, op_tester *t) {
    node_id x = op_test_input(g, t, 2, (int64_t[]){g->batch, 37}, -1, 1),
            w = op_test_param(g, t, 2, (int64_t[]){37, 21}, -.5, .5);
    return op_linear(g, x, w, op_test_param(g, t, 1, (int64_t[]){21}, -1, 1));
}

static node_id case_sequence(graph *g, op_tester *t) {
    node_id x = op_test_input(g, t, 3, (int64_t[]){g->batch, 5, 7}, -1, 1);
    return op_linear(g, x, op_test_param(g, t, 2, (int64_t[]){7, 3}, -.5, .5), 0);
}

static node_id case_tall(graph *g, op_tester *t) {
    node_id x = op_test_input(g, t, 2, (int64_t[]){g->batch, 70}, -1, 1),
            w = op_test_param(g, t, 2, (int64_t[]){70, 300}, -.2, .2);
    return op_linear(g, x, w, op_test_param(g, t, 1, (int64_t[]){300}, -1, 1));
}

static node_id act_case(graph *g, op_tester *t, gemm_act act) {
    node_id x = op_test_input(g, t, 2, (int64_t[]){g->batch, 19}, -1, 1),
            w = op_test_param(g, t, 2, (int64_t[]){19, 6}, -.7, .7);
    activation_attr a = {act};
    return graph_op(g, &opdef_linear_act, 3, (node_id[]){x, w, op_test_param(g, t, 1, (int64_t[]){6}, -1, 1)}, &a,
                    sizeof a);
}

static node_id case_sigmoid(graph *g, op_tester *t) { return act_case(g, t, GEMM_SIGMOID); }
static node_id case_tanh(graph *g, op_tester *t) { return act_case(g, t, GEMM_TANH); }
static node_id case_relu(graph *g, op_tester *t) { return act_case(g, t, GEMM_RELU); }
static node_id case_elu(graph *g, op_tester *t) { return act_case(g, t, GEMM_ELU); }

static const op_case cases[] = {
    {"plain", case_plain}, {"sequence, no bias", case_sequence}, {"several tiles", case_tall}, {NULL, NULL}};
static const op_case act_cases[] = {
    {"sigmoid", case_sigmoid}, {"tanh", case_tanh}, {"relu", case_relu}, {"elu", case_elu}, {NULL, NULL}};

const op_def opdef_linear = {
    .name = "linear",
    .min_in = 2,
    .max_in = 3,
    .reads_in = 3,
    .shape = linear_shape,
    .cost = linear_cost,
    .forward = {{.kind = PASS_ROWS, .run = linear_forward, .scratch = linear_scratch}},
    .backward = {{.kind = PASS_ROWS, .run = linear_dx, .scratch = linear_scratch, .writes = 1},
                 {.kind = PASS_SPLIT, .run = linear_dw, .units = dw_units, .scratch = dw_scratch, .writes = 2},
                 {.kind = PASS_SPLIT, .run = linear_dbias, .units = dbias_units, .writes = 4}},
    .cases = cases};

const op_def opdef_linear_act = {
    .name = "linear_act",
    .min_in = 2,
    .max_in = 3,
    .flags = OP_READS_OUT,
    .reads_in = 3,
    .shape = linear_shape,
    .cost = linear_cost,
    .forward = {{.kind = PASS_ROWS, .run = linear_forward, .scratch = linear_scratch}},
    .backward = {{.kind = PASS_ROWS, .run = linear_dz},
                 {.kind = PASS_ROWS, .run = linear_dx, .scratch = linear_scratch, .writes = 1},
                 {.kind = PASS_SPLIT, .run = linear_dw, .units = dw_units, .scratch = dw_scratch, .writes = 2},
                 {.kind = PASS_SPLIT, .run = linear_dbias, .units = dbias_units, .writes = 4}},
    .cases = act_cases};
