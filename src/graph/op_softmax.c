/* op_softmax - over the last axis; each row is one call of the kernel. dx = y * (dy - sum(y * dy)). */
#include "graph/op_util.h"

node_id op_softmax(graph *g, node_id x) { return graph_op(g, &opdef_softmax, 1, &x, NULL, 0); }

static op_cost softmax_cost(const graph *g, const node *n) {
    op_cost c = cost_elementwise(g, n);
    c.flops *= 14;
    return c;
}

static void softmax_shape(graph *g, node *n) {
    char text[96];
    shape_like_first(g, n);
    if (n->shape.rank < 2) graph_fail(g, "x is %s: there is no axis beside the batch", shape_text(&n->shape, text));
}

static void softmax_forward(const op_run *r, int64_t lo, int64_t hi) {
    int64_t K = last_dim(&r->node->shape), inner = inner_of(&r->node->shape);
    for (int64_t i = lo * inner; i < hi * inner; i++)
        kern.softmax(K, (const real *)r->in[0] + i * K, (real *)r->out + i * K);
}

static void softmax_backward(const op_run *r, int64_t lo, int64_t hi) {
    int64_t K = last_dim(&r->node->shape), inner = inner_of(&r->node->shape);
    for (int64_t i = lo * inner; i < hi * inner; i++) {
        const real *y = (const real *)r->out + i * K, *dy = r->dout + i * K;
        real s = kern.dot(K, y, dy), *dx = r->din[0] + i * K;
        for (int64_t k = 0; k < K; k++) dx[k] = y[k] * (dy[k] - s);
    }
}

static node_id case_wide(graph *g, op_tester *t) {
    return op_softmax(g, op_test_input(g, t, 2, (int64_t[]){g->batch, 35}, -4, 4));
}
static node_id case_sequence(graph *g, op_tester *t) {
    return op_softmax(g, op_test_input(g, t, 3, (int64_t[]){g->batch, 4, 3}, -4, 4));
}
static const op_case cases[] = {{"35 classes", case_wide}, {"sequence", case_sequence}, {NULL, NULL}};

const op_def opdef_softmax = {.name = "softmax",
                              .min_in = 1,
                              .max_in = 1,
                              .flags = OP_READS_OUT | OP_IN_PLACE | OP_GRAD_IN_PLACE,
                              .shape = softmax_shape,
                              .cost = softmax_cost,
                              .forward = {{.kind = PASS_ROWS, .run = softmax_forward}},
                              .backward = {{.kind = PASS_ROWS, .run = softmax_backward, .writes = 1}},
                              .cases = cases};
