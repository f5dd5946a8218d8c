/* op_layer_norm - normalises the last axis: y = gain * (x - mean) / sqrt(var + eps) + bias (Ba, Kiros & Hinton 2016),
 * the biased variance. Mean and 1/sqrt(var + eps) of each position are kept for the backward pass; the sums for gain
 * and bias over all positions go through fixed chunks, block of channels by block. */
#include "graph/op_util.h"

typedef struct norm_attr {
    real eps;
} norm_attr;

node_id op_layer_norm(graph *g, node_id x, node_id gain, node_id bias, real eps) {
    norm_attr a = {eps};
    return graph_op(g, &opdef_layer_norm, 3, (node_id[]){x, gain, bias}, &a, sizeof a);
}

static void norm_shape(graph *g, node *n) {
    char a[96], b[96];
    shape_like_first(g, n);
    if (n->shape.rank < 2) graph_fail(g, "x is %s: there is no axis beside the batch", shape_text(&n->shape, a));
    for (int i = 1; i < 3; i++) {
        const shape *s = in_shape(g, n, i);
        if (s->rank != 1 || s->d[0] != last_dim(&n->shape))
            graph_fail(g, "x is %s, %s is %s: one number for each channel is needed", shape_text(&n->shape, a),
                       i == 1 ? "gain" : "bias", shape_text(s, b));
    }
    int64_t dims[2] = {n->shape.d[0], inner_of(&n->shape)};
    node_aux_add(n, DT_REAL, AUX_SAVED, 2, dims, true); /* 0: mean */
    node_aux_add(n, DT_REAL, AUX_SAVED, 2, dims, true); /* 1: 1 / sqrt(var + eps) */
}

static op_cost norm_cost(const graph *g, const node *n) {
    op_cost c = cost_elementwise(g, n);
    c.flops *= 8;
    return c;
}

static void norm_forward(const op_run *r, int64_t lo, int64_t hi) {
    int64_t C = last_dim(&r->node->shape), inner = inner_of(&r->node->shape);
    const norm_attr *a = r->node->attr;
    for (int64_t i = lo * inner; i < hi * inner; i++) {
        real mean, rstd;
        kern.layer_norm(C, (const real *)r->in[0] + i * C, r->in[1], r->in[2], a->eps, (real *)r->out + i * C, &mean,
                        &rstd);
        if (!r->aux[0]) continue; /* not training */
        ((real *)r->aux[0])[i] = mean;
        ((real *)r->aux[1])[i] = rstd;
    }
}

static void norm_dx(const op_run *r, int64_t lo, int64_t hi) {
    int64_t C = last_dim(&r->node->shape), inner = inner_of(&r->node->shape);
    const real *mean = r->aux[0], *rstd = r->aux[1];
    for (int64_t i = lo * inner; i < hi * inner; i++)
        kern.layer_norm_grad(C, (const real *)r->in[0] + i * C, r->in[1], r->dout + i * C, mean[i], rstd[i],
                             r->din[0] + i * C);
}

static int64_t channel_units(const graph *g, const node *n) {
    (void)g;
    return blocks_of(last_dim(&n->shape), COLUMN_BLOCK);
}

/* dgain[c] = sum_i dy[i,c] * (x[i,c] - mean[i]) * rstd[i], in the order of column_sums. */
static void gain_block(const op_run *r, int64_t c0, int64_t n, real *sums) {
    int64_t C = last_dim(&r->node->shape), rows = rows_of(&r->node->shape), each = blocks_of(rows, OP_CHUNKS);
    const real *x = r->in[0], *mean = r->aux[0], *rstd = r->aux[1];
    real part[OP_CHUNKS][COLUMN_BLOCK], hat[COLUMN_BLOCK];
    for (int k = 0; k < OP_CHUNKS; k++) {
        kern.fill(n, 0, part[k]);
        for (int64_t i = k * each; i < (k + 1) * each && i < rows; i++) {
            for (int64_t c = 0; c < n; c++) hat[c] = (x[i * C + c0 + c] - mean[i]) * rstd[i];
            kern.mul_add(n, r->dout + i * C + c0, hat, part[k]);
        }
    }
    for (int width = 1; width < OP_CHUNKS; width *= 2)
        for (int k = 0; k < OP_CHUNKS; k += 2 * width) kern.add(n, part[k], part[k + width], part[k]);
    memcpy(sums, part[0], (size_t)n * sizeof *sums);
}

static void norm_dgain(const op_run *r, int64_t lo, int64_t hi) {
    int64_t C = last_dim(&r->node->shape);
    for (int64_t c = lo * COLUMN_BLOCK; c < hi * COLUMN_BLOCK && c < C; c += COLUMN_BLOCK)
        gain_block(r, c, C - c < COLUMN_BLOCK ? C - c : COLUMN_BLOCK, r->din[1] + c);
}

static void norm_dbias(const op_run *r, int64_t lo, int64_t hi) {
    int64_t C = last_dim(&r->node->shape);
    for (int64_t c = lo * COLUMN_BLOCK; c < hi * COLUMN_BLOCK && c < C; c += COLUMN_BLOCK)
        column_sums(rows_of(&r->node->shape), C - c < COLUMN_BLOCK ? C - c : COLUMN_BLOCK, C, r->dout + c, NULL,
                    r->din[2] + c);
}

static node_id norm_case(graph *g, op_tester *t, int rank, const int64_t *dims) {
    node_id x = op_test_input(g, t, rank, dims, -2, 3), gain = op_test_param(g, t, 1, dims + rank - 1, .5, 1.5);
    return op_layer_norm(g, x, gain, op_test_param(g, t, 1, dims + rank - 1, -1, 1), (real)1e-3);
}
static node_id case_flat(graph *g, op_tester *t) { return norm_case(g, t, 2, (int64_t[]){g->batch, 77}); }
static node_id case_sequence(graph *g, op_tester *t) { return norm_case(g, t, 3, (int64_t[]){g->batch, 5, 6}); }
static const op_case cases[] = {{"flat", case_flat}, {"sequence", case_sequence}, {NULL, NULL}};

const op_def opdef_layer_norm = {
    .name = "layer_norm",
    .min_in = 3,
    .max_in = 3,
    .reads_in = 3,
    .shape = norm_shape,
    .cost = norm_cost,
    .forward = {{.kind = PASS_ROWS, .run = norm_forward}},
    .backward = {{.kind = PASS_ROWS, .run = norm_dx, .writes = 1},
                 {.kind = PASS_SPLIT, .run = norm_dgain, .units = channel_units, .writes = 2},
                 {.kind = PASS_SPLIT, .run = norm_dbias, .units = channel_units, .writes = 4}},
    .cases = cases};
