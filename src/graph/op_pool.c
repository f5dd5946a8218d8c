/* op_pool - pooling over time. pool1d: windows of `size` steps, every `stride`; `same` pads so that T' = ceil(T /
 * stride), and what is padded counts neither for the maximum nor for the average (TensorFlow). global_pool: over all
 * steps.
 *
 * Where several steps hold a window's maximum, pool1d sends the gradient to the first and global_pool in equal parts to
 * all, as Keras on TensorFlow does. Nothing is kept for the backward pass: the maximum is found again in x. */
#include "graph/op_util.h"

node_id op_pool1d(graph *g, const pool1d_attr *attr, node_id x) {
    pool1d_attr a;
    memset(&a, 0, sizeof a);
    a.size = attr->size;
    a.stride = attr->stride > 0 ? attr->stride : attr->size;
    a.padding = attr->padding;
    a.average = attr->average;
    return graph_op(g, &opdef_pool1d, 1, &x, &a, sizeof a);
}

node_id op_global_pool(graph *g, node_id x, node_id mask, bool average) {
    return graph_op(g, &opdef_global_pool, 2, (node_id[]){x, mask}, &average, sizeof average);
}

/* ---- windows ---- */

static void pool_shape(graph *g, node *n) {
    char text[96];
    const pool1d_attr *a = n->attr;
    if (!want_rank(g, n, 0, 3, "x")) return;
    shape_like_first(g, n);
    int64_t T = n->shape.d[1];
    if (a->size < 1 || a->stride < 1)
        graph_fail(g, "size is %lld and stride %lld: both must be positive", (long long)a->size, (long long)a->stride);
    else if (a->padding == PAD_SAME)
        n->shape.d[1] = blocks_of(T, a->stride);
    else if (a->padding != PAD_VALID)
        graph_fail(g, "padding must be valid or same");
    else if (T < a->size)
        graph_fail(g, "x is %s: fewer steps than the window's %lld", shape_text(&n->shape, text), (long long)a->size);
    else
        n->shape.d[1] = (T - a->size) / a->stride + 1;
}

static op_cost pool_cost(const graph *g, const node *n) {
    op_cost c = cost_elementwise(g, n);
    c.flops = (double)shape_count(in_shape(g, n, 0));
    return c;
}

/* Steps [from, to) of window w. */
typedef struct window {
    int64_t from, to;
} window;
static window window_of(const pool1d_attr *a, int64_t T, int64_t windows, int64_t w) {
    int64_t pad = a->padding == PAD_SAME ? (windows - 1) * a->stride + a->size - T : 0;
    int64_t from = w * a->stride - (pad > 0 ? pad / 2 : 0), to = from + a->size;
    return (window){from > 0 ? from : 0, to < T ? to : T};
}

static void pool_forward(const op_run *r, int64_t lo, int64_t hi) {
    const pool1d_attr *a = r->node->attr;
    int64_t T = r->in_shape[0]->d[1], C = r->in_shape[0]->d[2], W = r->node->shape.d[1];
    for (int64_t i = lo * W; i < hi * W; i++) {
        const real *x = (const real *)r->in[0] + i / W * T * C;
        real *y = (real *)r->out + i * C;
        window w = window_of(a, T, W, i % W);
        memcpy(y, x + w.from * C, (size_t)C * sizeof *y);
        for (int64_t t = w.from + 1; t < w.to; t++) {
            const real *v = x + t * C;
            if (a->average)
                kern.add(C, y, v, y);
            else
                for (int64_t c = 0; c < C; c++) y[c] = v[c] > y[c] ? v[c] : y[c];
        }
        if (a->average) kern.scale(C, 1 / (real)(w.to - w.from), y, y);
    }
}

static void pool_backward(const op_run *r, int64_t lo, int64_t hi) {
    const pool1d_attr *a = r->node->attr;
    int64_t T = r->in_shape[0]->d[1], C = r->in_shape[0]->d[2], W = r->node->shape.d[1];
    memset(r->din[0] + lo * T * C, 0, (size_t)((hi - lo) * T * C) * sizeof(real));
    for (int64_t i = lo * W; i < hi * W; i++) {
        const real *x = (const real *)r->in[0] + i / W * T * C, *dy = r->dout + i * C;
        real *dx = r->din[0] + i / W * T * C;
        window w = window_of(a, T, W, i % W);
        for (int64_t t = w.from; a->average && t < w.to; t++) kern.axpy(C, 1 / (real)(w.to - w.from), dy, dx + t * C);
        for (int64_t c = 0; !a->average && c < C; c++) {
            int64_t best = w.from;
            for (int64_t t = w.from + 1; t < w.to; t++) best = x[t * C + c] > x[best * C + c] ? t : best;
            dx[best * C + c] += dy[c];
        }
    }
}

/* ---- global ---- */

static void global_shape(graph *g, node *n) {
    char a[96], b[96];
    if (!want_rank(g, n, 0, 3, "x")) return;
    shape_like_first(g, n);
    n->shape.rank = 2;
    n->shape.d[1] = n->shape.d[2];
    if (!n->in[1]) return;
    const shape *x = in_shape(g, n, 0), *m = in_shape(g, n, 1);
    if (g->nodes[n->in[1]].type != DT_I32 || m->rank != 2 || m->d[0] != x->d[0] || m->d[1] != x->d[1])
        graph_fail(g, "x is %s, the mask is %s: one integer for each step is needed", shape_text(x, a),
                   shape_text(m, b));
}

static bool averages(const op_run *r) { return *(const bool *)r->node->attr; }

/* Valid steps of row b; the mask, or NULL, in *mask. A row without any valid step has average 0. */
static int64_t valid_steps(const op_run *r, int64_t b, const int32_t **mask) {
    int64_t T = r->in_shape[0]->d[1], n = 0;
    *mask = r->in[1] && averages(r) ? (const int32_t *)r->in[1] + b * T : NULL;
    if (!*mask) return T;
    for (int64_t t = 0; t < T; t++) n += (*mask)[t] != 0;
    return n;
}

static void global_forward(const op_run *r, int64_t lo, int64_t hi) {
    int64_t T = r->in_shape[0]->d[1], C = r->in_shape[0]->d[2];
    for (int64_t b = lo; b < hi; b++) {
        const int32_t *mask;
        const real *x = (const real *)r->in[0] + b * T * C;
        real *y = (real *)r->out + b * C;
        int64_t n = valid_steps(r, b, &mask);
        if (averages(r))
            kern.fill(C, 0, y);
        else
            memcpy(y, x, (size_t)C * sizeof *y);
        for (int64_t t = 0; t < T; t++) {
            const real *v = x + t * C;
            if (!averages(r))
                for (int64_t c = 0; c < C; c++) y[c] = v[c] > y[c] ? v[c] : y[c];
            else if (!mask || mask[t])
                kern.add(C, y, v, y);
        }
        if (averages(r) && n > 0) kern.scale(C, 1 / (real)n, y, y);
    }
}

static void global_max_grad(const real *x, const real *y, const real *dy, real *dx, int64_t T, int64_t C) {
    for (int64_t c = 0; c < C; c++) {
        int64_t ties = 0;
        for (int64_t t = 0; t < T; t++) ties += x[t * C + c] >= y[c];
        for (int64_t t = 0; t < T; t++) dx[t * C + c] = x[t * C + c] >= y[c] ? dy[c] / (real)ties : 0;
    }
}

static void global_backward(const op_run *r, int64_t lo, int64_t hi) {
    int64_t T = r->in_shape[0]->d[1], C = r->in_shape[0]->d[2];
    for (int64_t b = lo; b < hi; b++) {
        const int32_t *mask;
        const real *dy = r->dout + b * C;
        real *dx = r->din[0] + b * T * C;
        int64_t n = valid_steps(r, b, &mask);
        if (!averages(r)) {
            global_max_grad((const real *)r->in[0] + b * T * C, (const real *)r->out + b * C, dy, dx, T, C);
            continue;
        }
        for (int64_t t = 0; t < T; t++) {
            if (!mask || mask[t])
                kern.scale(C, 1 / (real)n, dy, dx + t * C);
            else
                kern.fill(C, 0, dx + t * C);
        }
    }
}

/* ---- cases ---- */

static node_id pool_case(graph *g, op_tester *t, pool1d_attr a, int64_t T) {
    return op_pool1d(g, &a, op_test_input(g, t, 3, (int64_t[]){g->batch, T, 5}, -2, 2));
}
static node_id case_max(graph *g, op_tester *t) { return pool_case(g, t, (pool1d_attr){.size = 2}, 7); }
static node_id case_max_same(graph *g, op_tester *t) {
    return pool_case(g, t, (pool1d_attr){.size = 3, .stride = 2, .padding = PAD_SAME}, 8);
}
static node_id case_average(graph *g, op_tester *t) {
    return pool_case(g, t, (pool1d_attr){.size = 3, .stride = 1, .average = true}, 6);
}
static node_id case_average_same(graph *g, op_tester *t) {
    return pool_case(g, t, (pool1d_attr){.size = 4, .stride = 3, .padding = PAD_SAME, .average = true}, 7);
}
static node_id global_case(graph *g, op_tester *t, bool masked, bool average) {
    node_id x = op_test_input(g, t, 3, (int64_t[]){g->batch, 6, 5}, -2, 2);
    node_id mask = masked ? op_mask_nonzero(g, op_test_ids(g, t, 2, (int64_t[]){g->batch, 6}, 0, 2)) : 0;
    return op_global_pool(g, x, mask, average);
}
static node_id case_global_max(graph *g, op_tester *t) { return global_case(g, t, false, false); }
static node_id case_global_average(graph *g, op_tester *t) { return global_case(g, t, false, true); }
static node_id case_global_masked(graph *g, op_tester *t) { return global_case(g, t, true, true); }
static node_id case_global_max_masked(graph *g, op_tester *t) { return global_case(g, t, true, false); }

static const op_case pool_cases[] = {{"max", case_max},
                                     {"max, same", case_max_same},
                                     {"average", case_average},
                                     {"average, same", case_average_same},
                                     {NULL, NULL}};
static const op_case global_cases[] = {{"max", case_global_max},
                                       {"average", case_global_average},
                                       {"average, masked", case_global_masked},
                                       {"max, masked", case_global_max_masked},
                                       {NULL, NULL}};

const op_def opdef_pool1d = {.name = "pool1d",
                             .min_in = 1,
                             .max_in = 1,
                             .reads_in = 1,
                             .shape = pool_shape,
                             .cost = pool_cost,
                             .forward = {{.kind = PASS_ROWS, .run = pool_forward}},
                             .backward = {{.kind = PASS_ROWS, .run = pool_backward, .writes = 1}},
                             .cases = pool_cases};

const op_def opdef_global_pool = {.name = "global_pool",
                                  .min_in = 1,
                                  .max_in = 2,
                                  .flags = OP_READS_OUT,
                                  .reads_in = 3,
                                  .shape = global_shape,
                                  .cost = pool_cost,
                                  .forward = {{.kind = PASS_ROWS, .run = global_forward}},
                                  .backward = {{.kind = PASS_ROWS, .run = global_backward, .writes = 1}},
                                  .cases = global_cases};
