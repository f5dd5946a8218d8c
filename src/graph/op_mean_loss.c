/* op_mean_loss - the scalar that training lowers: sum_b weight[b] * loss[b] / B, summed in double in row order. The
 * divisor is B, not the sum of weights: Keras' sum_over_batch_size. */
#include "graph/op_util.h"

node_id op_mean_loss(graph *g, node_id loss, node_id weight) {
    return graph_op(g, &opdef_mean_loss, 2, (node_id[]){loss, weight}, NULL, 0);
}

static void mean_shape(graph *g, node *n) {
    char a[96], b[96];
    const shape *loss = in_shape(g, n, 0);
    want_real(g, n, 0, "the loss");
    want_real(g, n, 1, "the weight");
    if (loss->rank != 1) graph_fail(g, "the loss is %s: one number for each row is needed", shape_text(loss, a));
    if (n->in[1] && (in_shape(g, n, 1)->rank != 1 || in_shape(g, n, 1)->d[0] != loss->d[0]))
        graph_fail(g, "the loss is %s, the weight is %s: both need one number for each row", shape_text(loss, a),
                   shape_text(in_shape(g, n, 1), b));
    n->type = DT_REAL;
    n->shape = shape_make(1, (int64_t[]){1});
}

static void mean_forward(const op_run *r, int64_t lo, int64_t hi) {
    (void)lo, (void)hi;
    const real *loss = r->in[0], *weight = r->in[1];
    int64_t B = r->in_shape[0]->d[0];
    double sum = 0;
    for (int64_t b = 0; b < B; b++) sum += weight ? (double)weight[b] * (double)loss[b] : (double)loss[b];
    *(real *)r->out = (real)(sum / (double)B);
}

static void mean_backward(const op_run *r, int64_t lo, int64_t hi) {
    const real *weight = r->in[1];
    real each = *r->dout / (real)r->in_shape[0]->d[0];
    for (int64_t b = lo; b < hi; b++) r->din[0][b] = weight ? weight[b] * each : each;
}

static void mean_weight(const op_run *r, int64_t lo, int64_t hi) {
    const real *loss = r->in[0];
    real each = *r->dout / (real)r->in_shape[0]->d[0];
    for (int64_t b = lo; b < hi; b++) r->din[1][b] = loss[b] * each;
}

static node_id case_plain(graph *g, op_tester *t) {
    return op_mean_loss(g, op_test_input(g, t, 1, (int64_t[]){g->batch}, 0, 2), 0);
}
static node_id case_weighted(graph *g, op_tester *t) {
    node_id loss = op_test_input(g, t, 1, (int64_t[]){g->batch}, 0, 2);
    return op_mean_loss(g, loss, op_test_input(g, t, 1, (int64_t[]){g->batch}, 0, 3));
}
static const op_case cases[] = {{"mean", case_plain}, {"weighted", case_weighted}, {NULL, NULL}};

/* The loss itself is read for the weights' gradient only, which is rarely wanted. */
const op_def opdef_mean_loss = {.name = "mean_loss",
                                .min_in = 1,
                                .max_in = 2,
                                .reads_in = 3,
                                .shape = mean_shape,
                                .cost = cost_elementwise,
                                .forward = {{.kind = PASS_ONCE, .run = mean_forward}},
                                .backward = {{.kind = PASS_ROWS, .run = mean_backward, .writes = 1},
                                             {.kind = PASS_ROWS, .run = mean_weight, .writes = 2}},
                                .cases = cases};
