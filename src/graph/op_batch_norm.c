/* op_batch_norm - normalises each channel (last axis) over batch and all other axes (Ioffe & Szegedy 2015).
 *
 * Training: statistics of the whole batch, biased variance, summed in fixed chunks, block of channels by block; these
 * also update the moving mean and variance, which are parameters that no gradient reaches and that this op writes:
 * moving = moving * momentum + batch * (1 - momentum), as Keras. Otherwise the moving statistics are used.
 * Backward: dx = gain * rstd * (dy - mean(dy) - xhat * mean(dy * xhat)). */
#include "graph/op_util.h"

typedef struct batch_norm_attr {
    real eps, momentum;
} batch_norm_attr;

enum { IN_X, IN_GAIN, IN_BIAS, IN_MEAN, IN_VAR };
enum { AUX_MEAN, AUX_RSTD, AUX_DGAIN, AUX_DBIAS };

node_id op_batch_norm(graph *g, node_id x, node_id gain, node_id bias, node_id moving_mean, node_id moving_var,
                      real eps, real momentum) {
    batch_norm_attr a = {eps, momentum};
    return graph_op(g, &opdef_batch_norm, 5, (node_id[]){x, gain, bias, moving_mean, moving_var}, &a, sizeof a);
}

static void norm_shape(graph *g, node *n) {
    static const char *const names[] = {"x", "gain", "bias", "the moving mean", "the moving variance"};
    char a[96], b[96];
    shape_like_first(g, n);
    if (n->shape.rank < 2) graph_fail(g, "x is %s: there is no axis beside the batch", shape_text(&n->shape, a));
    for (int i = IN_GAIN; i <= IN_VAR; i++) {
        const shape *s = in_shape(g, n, i);
        if (s->rank != 1 || s->d[0] != last_dim(&n->shape))
            graph_fail(g, "x is %s, %s is %s: one number for each channel is needed", shape_text(&n->shape, a),
                       names[i], shape_text(s, b));
        const node *p = &g->nodes[n->in[i]];
        if (i >= IN_MEAN && (p->kind != NODE_PARAM || p->trainable))
            graph_fail(g, "%s must be a parameter that is not trained", names[i]);
    }
    int64_t C = last_dim(&n->shape);
    aux_life life = g->training ? AUX_SAVED : AUX_FORWARD;
    node_aux_add(n, DT_REAL, life, 1, &C, false);
    node_aux_add(n, DT_REAL, life, 1, &C, false);
    node_aux_add(n, DT_REAL, AUX_BACKWARD, 1, &C, false);
    node_aux_add(n, DT_REAL, AUX_BACKWARD, 1, &C, false);
}

static op_cost norm_cost(const graph *g, const node *n) {
    op_cost c = cost_elementwise(g, n);
    c.flops *= 6;
    return c;
}

static int64_t channel_units(const graph *g, const node *n) {
    (void)g;
    return blocks_of(last_dim(&n->shape), COLUMN_BLOCK);
}

/* sums[c] = sum over positions of (x[i,c] - mean[c])^2, or of dy[i,c] * (x[i,c] - mean[c]) where dy is given. */
static void centred_sums(const op_run *r, int64_t c0, int64_t n, const real *mean, const real *dy, real *sums) {
    int64_t C = last_dim(&r->node->shape), rows = rows_of(&r->node->shape), each = blocks_of(rows, OP_CHUNKS);
    const real *x = r->in[IN_X];
    real part[OP_CHUNKS][COLUMN_BLOCK], d[COLUMN_BLOCK];
    for (int k = 0; k < OP_CHUNKS; k++) {
        kern.fill(n, 0, part[k]);
        for (int64_t i = k * each; i < (k + 1) * each && i < rows; i++) {
            kern.sub(n, x + i * C + c0, mean, d);
            kern.mul_add(n, dy ? dy + i * C + c0 : d, d, part[k]);
        }
    }
    for (int width = 1; width < OP_CHUNKS; width *= 2)
        for (int k = 0; k < OP_CHUNKS; k += 2 * width) kern.add(n, part[k], part[k + width], part[k]);
    memcpy(sums, part[0], (size_t)n * sizeof *sums);
}

/* Moving statistics are written in place: the one op that changes a parameter, and only the parameters made for it. */
static void update_moving(const op_run *r, int64_t c0, int64_t n, const real *mean, const real *var) {
    real m = ((const batch_norm_attr *)r->node->attr)->momentum;
    real *moving_mean = (real *)(uintptr_t)r->in[IN_MEAN] + c0, *moving_var = (real *)(uintptr_t)r->in[IN_VAR] + c0;
    for (int64_t c = 0; c < n; c++) {
        moving_mean[c] = moving_mean[c] * m + mean[c] * (1 - m);
        moving_var[c] = moving_var[c] * m + var[c] * (1 - m);
    }
}

static void stats_block(const op_run *r, int64_t c0, int64_t n) {
    int64_t C = last_dim(&r->node->shape), rows = rows_of(&r->node->shape);
    real eps = ((const batch_norm_attr *)r->node->attr)->eps, var[COLUMN_BLOCK];
    real *mean = (real *)r->aux[AUX_MEAN] + c0, *rstd = (real *)r->aux[AUX_RSTD] + c0;
    if (r->training) {
        column_sums(rows, n, C, (const real *)r->in[IN_X] + c0, NULL, mean);
        for (int64_t c = 0; c < n; c++) mean[c] /= (real)rows;
        centred_sums(r, c0, n, mean, NULL, var);
        for (int64_t c = 0; c < n; c++) var[c] /= (real)rows;
        update_moving(r, c0, n, mean, var);
    } else {
        memcpy(mean, (const real *)r->in[IN_MEAN] + c0, (size_t)n * sizeof *mean);
        memcpy(var, (const real *)r->in[IN_VAR] + c0, (size_t)n * sizeof *var);
    }
    for (int64_t c = 0; c < n; c++) rstd[c] = 1 / (real)__builtin_sqrt((double)(var[c] + eps));
}

static void norm_stats(const op_run *r, int64_t lo, int64_t hi) {
    int64_t C = last_dim(&r->node->shape);
    for (int64_t c = lo * COLUMN_BLOCK; c < hi * COLUMN_BLOCK && c < C; c += COLUMN_BLOCK)
        stats_block(r, c, C - c < COLUMN_BLOCK ? C - c : COLUMN_BLOCK);
}

static void norm_forward(const op_run *r, int64_t lo, int64_t hi) {
    int64_t C = last_dim(&r->node->shape), inner = inner_of(&r->node->shape);
    const real *gain = r->in[IN_GAIN], *bias = r->in[IN_BIAS], *mean = r->aux[AUX_MEAN], *rstd = r->aux[AUX_RSTD];
    for (int64_t i = lo * inner; i < hi * inner; i++) {
        const real *x = (const real *)r->in[IN_X] + i * C;
        real *y = (real *)r->out + i * C;
        for (int64_t c = 0; c < C; c++) y[c] = (x[c] - mean[c]) * (rstd[c] * gain[c]) + bias[c];
    }
}

/* SPLIT: dgain and dbias, for the parameters and for dx. */
static void norm_sums(const op_run *r, int64_t lo, int64_t hi) {
    int64_t C = last_dim(&r->node->shape);
    const real *mean = r->aux[AUX_MEAN], *rstd = r->aux[AUX_RSTD];
    real *dgain = r->aux[AUX_DGAIN], *dbias = r->aux[AUX_DBIAS];
    for (int64_t c = lo * COLUMN_BLOCK; c < hi * COLUMN_BLOCK && c < C; c += COLUMN_BLOCK) {
        int64_t n = C - c < COLUMN_BLOCK ? C - c : COLUMN_BLOCK;
        column_sums(rows_of(&r->node->shape), n, C, r->dout + c, NULL, dbias + c);
        centred_sums(r, c, n, mean + c, r->dout, dgain + c);
        kern.mul(n, dgain + c, rstd + c, dgain + c);
        if (r->din[IN_GAIN]) memcpy(r->din[IN_GAIN] + c, dgain + c, (size_t)n * sizeof *dgain);
        if (r->din[IN_BIAS]) memcpy(r->din[IN_BIAS] + c, dbias + c, (size_t)n * sizeof *dbias);
    }
}

static void norm_dx(const op_run *r, int64_t lo, int64_t hi) {
    int64_t C = last_dim(&r->node->shape), inner = inner_of(&r->node->shape);
    const real *gain = r->in[IN_GAIN], *mean = r->aux[AUX_MEAN], *rstd = r->aux[AUX_RSTD];
    const real *dgain = r->aux[AUX_DGAIN], *dbias = r->aux[AUX_DBIAS];
    real count = (real)rows_of(&r->node->shape);
    for (int64_t i = lo * inner; i < hi * inner; i++) {
        const real *x = (const real *)r->in[IN_X] + i * C, *dy = r->dout + i * C;
        real *dx = r->din[IN_X] + i * C;
        for (int64_t c = 0; c < C; c++) {
            real hat = (x[c] - mean[c]) * rstd[c];
            dx[c] = gain[c] * rstd[c] * (dy[c] - dbias[c] / count - hat * (dgain[c] / count));
        }
    }
}

static node_id norm_case(graph *g, op_tester *t, int rank, const int64_t *dims) {
    node_id x = op_test_input(g, t, rank, dims, -2, 3), gain = op_test_param(g, t, 1, dims + rank - 1, .5, 1.5);
    node_id bias = op_test_param(g, t, 1, dims + rank - 1, -1, 1),
            mean = op_test_constant(g, t, 1, dims + rank - 1, -1, 1);
    return op_batch_norm(g, x, gain, bias, mean, op_test_constant(g, t, 1, dims + rank - 1, .5, 2), (real)1e-3,
                         (real)0.99);
}
static node_id case_flat(graph *g, op_tester *t) { return norm_case(g, t, 2, (int64_t[]){g->batch, 70}); }
static node_id case_sequence(graph *g, op_tester *t) { return norm_case(g, t, 3, (int64_t[]){g->batch, 4, 5}); }
static const op_case cases[] = {{"flat", case_flat}, {"sequence", case_sequence}, {NULL, NULL}};

const op_def opdef_batch_norm = {
    .name = "batch_norm",
    .min_in = 5,
    .max_in = 5,
    .flags = OP_WRITES_STATE,
    .reads_in = 3,
    .shape = norm_shape,
    .cost = norm_cost,
    .forward = {{.kind = PASS_SPLIT, .run = norm_stats, .units = channel_units},
                {.kind = PASS_ROWS, .run = norm_forward}},
    .backward = {{.kind = PASS_SPLIT, .run = norm_sums, .units = channel_units, .writes = OP_FILLS_AUX | 6},
                 {.kind = PASS_ROWS, .run = norm_dx, .writes = 1}},
    .cases = cases};
