/* op_dropout - inverted dropout: y = keep ? x / (1 - p) : 0. The mask is a function of seed, op, step, global sample
 * and position (Philox), so it is drawn again in the backward pass and never stored, and no shard, thread or restart
 * can change it. With `same` one mask serves all T steps of a sequence (Keras' noise shape [B,1,C]). */
#include "graph/op_util.h"

typedef struct dropout_attr {
    real p;
    bool same;
} dropout_attr;

node_id op_dropout(graph *g, node_id x, real p, bool same_over_time) {
    dropout_attr a = {0};
    a.p = p;
    a.same = same_over_time;
    if (!g->training || !(p > 0 || p < 0)) return x;
    return graph_op(g, &opdef_dropout, 1, &x, &a, sizeof a);
}

static void dropout_shape(graph *g, node *n) {
    const dropout_attr *a = n->attr;
    char text[96];
    if (!(a->p >= 0 && a->p < 1)) graph_fail(g, "the rate is %g: it must be at least 0 and below 1", (double)a->p);
    shape_like_first(g, n);
    if (a->same && n->shape.rank != 3)
        graph_fail(g, "x is %s: one mask for all steps needs [B,T,C]", shape_text(&n->shape, text));
}

static op_cost dropout_cost(const graph *g, const node *n) {
    op_cost c = cost_elementwise(g, n);
    c.flops *= 10; /* ten rounds of Philox for four numbers */
    return c;
}

/* Both directions are the same function: the mask times 1 / (1 - p). */
static void dropout_rows(const op_run *r, const real *from, real *to, int64_t lo, int64_t hi) {
    const dropout_attr *a = r->node->attr;
    int64_t row = shape_row(&r->node->shape), each = a->same ? last_dim(&r->node->shape) : row;
    uint32_t key[2] = {(uint32_t)r->seed, (uint32_t)(r->seed >> 32)};
    for (int64_t b = lo; b < hi; b++) {
        uint64_t sample = r->sample[b];
        uint32_t counter[4] = {r->node->rng_stream ^ (uint32_t)(sample >> 32), r->step, (uint32_t)sample, 0};
        for (int64_t at = b * row; at < (b + 1) * row; at += each)
            kern.dropout(each, key, counter, a->p, from + at, to + at);
    }
}

static void dropout_forward(const op_run *r, int64_t lo, int64_t hi) { dropout_rows(r, r->in[0], r->out, lo, hi); }
static void dropout_backward(const op_run *r, int64_t lo, int64_t hi) { dropout_rows(r, r->dout, r->din[0], lo, hi); }

static node_id case_element(graph *g, op_tester *t) {
    return op_dropout(g, op_test_input(g, t, 3, (int64_t[]){g->batch, 5, 7}, -1, 1), (real)0.3, false);
}
static node_id case_same(graph *g, op_tester *t) {
    return op_dropout(g, op_test_input(g, t, 3, (int64_t[]){g->batch, 5, 19}, -1, 1), (real)0.5, true);
}
static const op_case cases[] = {{"each element", case_element}, {"same over time", case_same}, {NULL, NULL}};

const op_def opdef_dropout = {.name = "dropout",
                              .min_in = 1,
                              .max_in = 1,
                              .flags = OP_IN_PLACE | OP_GRAD_IN_PLACE,
                              .shape = dropout_shape,
                              .cost = dropout_cost,
                              .forward = {{.kind = PASS_ROWS, .run = dropout_forward}},
                              .backward = {{.kind = PASS_ROWS, .run = dropout_backward, .writes = 1}},
                              .cases = cases};
