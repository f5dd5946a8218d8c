/* op_elementwise - add, mul, scale and the mask of non-zero ids: one pass over rows each. */
#include "graph/op_util.h"

node_id op_add(graph *g, node_id a, node_id b) { return graph_op(g, &opdef_add, 2, (node_id[]){a, b}, NULL, 0); }
node_id op_mul(graph *g, node_id a, node_id b) { return graph_op(g, &opdef_mul, 2, (node_id[]){a, b}, NULL, 0); }
node_id op_scale(graph *g, node_id x, real factor) { return graph_op(g, &opdef_scale, 1, &x, &factor, sizeof factor); }
node_id op_mask_nonzero(graph *g, node_id ids) { return graph_op(g, &opdef_mask_nonzero, 1, &ids, NULL, 0); }

static void pair_shape(graph *g, node *n) {
    char a[96], b[96];
    const shape *x = in_shape(g, n, 0), *y = in_shape(g, n, 1);
    if (x->rank != y->rank || memcmp(x->d, y->d, (size_t)x->rank * sizeof x->d[0]) != 0)
        graph_fail(g, "a is %s, b is %s: both need the same shape", shape_text(x, a), shape_text(y, b));
    want_real(g, n, 1, "b");
    shape_like_first(g, n);
}

static void mask_shape(graph *g, node *n) {
    if (g->nodes[n->in[0]].type != DT_I32) graph_fail(g, "a mask is made from integer ids, not from numbers");
    n->type = DT_I32;
    n->shape = *in_shape(g, n, 0);
}

/* Elements of rows [lo, hi). */
typedef struct span {
    int64_t at, n;
} span;
static span span_of(const op_run *r, int64_t lo, int64_t hi) {
    int64_t row = shape_row(&r->node->shape);
    return (span){lo * row, (hi - lo) * row};
}

static const real *real_in(const op_run *r, int i, span s) { return (const real *)r->in[i] + s.at; }

static void add_forward(const op_run *r, int64_t lo, int64_t hi) {
    span s = span_of(r, lo, hi);
    kern.add(s.n, real_in(r, 0, s), real_in(r, 1, s), (real *)r->out + s.at);
}

static void add_backward(const op_run *r, int64_t lo, int64_t hi) {
    span s = span_of(r, lo, hi);
    for (int i = 1; i >= 0; i--) /* input 0 last: its gradient may lie over dout */
        if (r->din[i] && r->din[i] + s.at != r->dout + s.at)
            memcpy(r->din[i] + s.at, r->dout + s.at, (size_t)s.n * sizeof(real));
}

static void mul_forward(const op_run *r, int64_t lo, int64_t hi) {
    span s = span_of(r, lo, hi);
    kern.mul(s.n, real_in(r, 0, s), real_in(r, 1, s), (real *)r->out + s.at);
}

static void mul_backward(const op_run *r, int64_t lo, int64_t hi) {
    span s = span_of(r, lo, hi);
    if (r->din[1]) kern.mul(s.n, r->dout + s.at, real_in(r, 0, s), r->din[1] + s.at);
    if (r->din[0]) kern.mul(s.n, r->dout + s.at, real_in(r, 1, s), r->din[0] + s.at);
}

static void scale_forward(const op_run *r, int64_t lo, int64_t hi) {
    span s = span_of(r, lo, hi);
    kern.scale(s.n, *(const real *)r->node->attr, real_in(r, 0, s), (real *)r->out + s.at);
}

static void scale_backward(const op_run *r, int64_t lo, int64_t hi) {
    span s = span_of(r, lo, hi);
    kern.scale(s.n, *(const real *)r->node->attr, r->dout + s.at, r->din[0] + s.at);
}

static void mask_forward(const op_run *r, int64_t lo, int64_t hi) {
    span s = span_of(r, lo, hi);
    const int32_t *ids = (const int32_t *)r->in[0] + s.at;
    int32_t *mask = (int32_t *)r->out + s.at;
    for (int64_t i = 0; i < s.n; i++) mask[i] = ids[i] != 0;
}

/* ---- cases ---- */

static node_id fresh(graph *g, op_tester *t) { return op_test_input(g, t, 3, (int64_t[]){g->batch, 3, 7}, -2, 2); }
static node_id case_add(graph *g, op_tester *t) {
    node_id a = fresh(g, t);
    return op_add(g, a, fresh(g, t));
}
static node_id case_add_self(graph *g, op_tester *t) {
    node_id a = fresh(g, t);
    return op_add(g, a, a);
}
static node_id case_mul(graph *g, op_tester *t) {
    node_id a = fresh(g, t);
    return op_mul(g, a, fresh(g, t));
}
static node_id case_square(graph *g, op_tester *t) {
    node_id a = fresh(g, t);
    return op_mul(g, a, a);
}
static node_id case_scale(graph *g, op_tester *t) { return op_scale(g, fresh(g, t), (real)-1.7); }
static node_id case_mask(graph *g, op_tester *t) {
    return op_mask_nonzero(g, op_test_ids(g, t, 2, (int64_t[]){g->batch, 9}, 0, 3));
}

static const op_case add_cases[] = {{"two inputs", case_add}, {"one input twice", case_add_self}, {NULL, NULL}};
static const op_case mul_cases[] = {{"two inputs", case_mul}, {"square", case_square}, {NULL, NULL}};
static const op_case scale_cases[] = {{"scale", case_scale}, {NULL, NULL}};
static const op_case mask_cases[] = {{"mask", case_mask}, {NULL, NULL}};

const op_def opdef_add = {.name = "add",
                          .min_in = 2,
                          .max_in = 2,
                          .flags = OP_IN_PLACE | OP_GRAD_IN_PLACE,
                          .shape = pair_shape,
                          .cost = cost_elementwise,
                          .forward = {{.kind = PASS_ROWS, .run = add_forward}},
                          .backward = {{.kind = PASS_ROWS, .run = add_backward, .writes = 3}},
                          .cases = add_cases};

const op_def opdef_mul = {.name = "mul",
                          .min_in = 2,
                          .max_in = 2,
                          .flags = OP_IN_PLACE | OP_GRAD_IN_PLACE,
                          .reads_in = 3,
                          .shape = pair_shape,
                          .cost = cost_elementwise,
                          .forward = {{.kind = PASS_ROWS, .run = mul_forward}},
                          .backward = {{.kind = PASS_ROWS, .run = mul_backward, .writes = 3}},
                          .cases = mul_cases};

const op_def opdef_scale = {.name = "scale",
                            .min_in = 1,
                            .max_in = 1,
                            .flags = OP_IN_PLACE | OP_GRAD_IN_PLACE,
                            .shape = shape_like_first,
                            .cost = cost_elementwise,
                            .forward = {{.kind = PASS_ROWS, .run = scale_forward}},
                            .backward = {{.kind = PASS_ROWS, .run = scale_backward, .writes = 1}},
                            .cases = scale_cases};

const op_def opdef_mask_nonzero = {.name = "mask_nonzero",
                                   .min_in = 1,
                                   .max_in = 1,
                                   .no_grad = "a mask is a step function of integers",
                                   .shape = mask_shape,
                                   .cost = cost_elementwise,
                                   .forward = {{.kind = PASS_ROWS, .run = mask_forward}},
                                   .cases = mask_cases};
