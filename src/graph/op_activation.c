/* op_activation - element-wise activation. Two definitions, by what the backward pass reads: `activation` needs only
 * its output (sigmoid, tanh, relu, elu) and may run in place; `activation_x` (gelu, silu, softplus) needs its input. */
#include "graph/op_activation.h"
#include "graph/op_util.h"

bool activation_from_output(gemm_act act) {
    return act == GEMM_SIGMOID || act == GEMM_TANH || act == GEMM_RELU || act == GEMM_ELU;
}

node_id op_activation(graph *g, node_id x, gemm_act act) {
    activation_attr a = {act};
    if (act == GEMM_LINEAR) return x;
    return graph_op(g, activation_from_output(act) ? &opdef_activation : &opdef_activation_x, 1, &x, &a, sizeof a);
}

static op_cost activation_cost(const graph *g, const node *n) {
    op_cost c = cost_elementwise(g, n);
    c.flops *= 12; /* a polynomial exp */
    return c;
}

static int act_of(const op_run *r) { return (int)((const activation_attr *)r->node->attr)->act; }

static void activation_forward(const op_run *r, int64_t lo, int64_t hi) {
    int64_t row = shape_row(&r->node->shape), at = lo * row;
    kern.act((hi - lo) * row, act_of(r), (const real *)r->in[0] + at, (real *)r->out + at);
}

static void activation_backward(const op_run *r, int64_t lo, int64_t hi) {
    int64_t row = shape_row(&r->node->shape), at = lo * row;
    const real *known = r->in[0] ? r->in[0] : r->out; /* the one that this activation reads stands for both */
    kern.act_grad((hi - lo) * row, act_of(r), known + at, known + at, r->dout + at, r->din[0] + at);
}

static node_id act_case(graph *g, op_tester *t, gemm_act act) {
    return op_activation(g, op_test_input(g, t, 3, (int64_t[]){g->batch, 3, 11}, -3, 3), act);
}
static node_id case_sigmoid(graph *g, op_tester *t) { return act_case(g, t, GEMM_SIGMOID); }
static node_id case_tanh(graph *g, op_tester *t) { return act_case(g, t, GEMM_TANH); }
static node_id case_relu(graph *g, op_tester *t) { return act_case(g, t, GEMM_RELU); }
static node_id case_elu(graph *g, op_tester *t) { return act_case(g, t, GEMM_ELU); }
static node_id case_gelu(graph *g, op_tester *t) { return act_case(g, t, GEMM_GELU); }
static node_id case_gelu_tanh(graph *g, op_tester *t) { return act_case(g, t, GEMM_GELU_TANH); }
static node_id case_silu(graph *g, op_tester *t) { return act_case(g, t, GEMM_SILU); }
static node_id case_softplus(graph *g, op_tester *t) { return act_case(g, t, GEMM_SOFTPLUS); }

static const op_case cases[] = {
    {"sigmoid", case_sigmoid}, {"tanh", case_tanh}, {"relu", case_relu}, {"elu", case_elu}, {NULL, NULL}};
static const op_case x_cases[] = {
    {"gelu", case_gelu}, {"gelu tanh", case_gelu_tanh}, {"silu", case_silu}, {"softplus", case_softplus}, {NULL, NULL}};

const op_def opdef_activation = {.name = "activation",
                                 .min_in = 1,
                                 .max_in = 1,
                                 .flags = OP_READS_OUT | OP_IN_PLACE | OP_GRAD_IN_PLACE,
                                 .shape = shape_like_first,
                                 .cost = activation_cost,
                                 .forward = {{.kind = PASS_ROWS, .run = activation_forward}},
                                 .backward = {{.kind = PASS_ROWS, .run = activation_backward, .writes = 1}},
                                 .cases = cases};

const op_def opdef_activation_x = {.name = "activation_x",
                                   .min_in = 1,
                                   .max_in = 1,
                                   .flags = OP_IN_PLACE | OP_GRAD_IN_PLACE,
                                   .reads_in = 1,
                                   .shape = shape_like_first,
                                   .cost = activation_cost,
                                   .forward = {{.kind = PASS_ROWS, .run = activation_forward}},
                                   .backward = {{.kind = PASS_ROWS, .run = activation_backward, .writes = 1}},
                                   .cases = x_cases};
