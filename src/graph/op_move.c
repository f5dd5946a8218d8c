/* op_move - concat, slice, reverse: copies that compute nothing; and reshape, which does not even copy (OP_ALIAS). */
#include "graph/op_util.h"

typedef struct slice_attr {
    int64_t axis, begin, length;
} slice_attr;

/* Wide concatenations become a tree of nodes of at most GRAPH_MAX_IN inputs. */
node_id op_concat(graph *g, int n, const node_id *x) {
    if (n == 1) return x[0];
    if (n <= GRAPH_MAX_IN) return graph_op(g, &opdef_concat, n, x, NULL, 0);
    node_id parts[GRAPH_MAX_IN];
    int each = (n + GRAPH_MAX_IN - 1) / GRAPH_MAX_IN, m = 0;
    for (int i = 0; i < n; i += each) parts[m++] = op_concat(g, n - i < each ? n - i : each, x + i);
    return op_concat(g, m, parts);
}

node_id op_reshape(graph *g, node_id x, int rank, const int64_t *dims_without_batch) {
    shape s = {.rank = rank + 1};
    assert(rank >= 0 && rank < GRAPH_MAX_RANK);
    for (int i = 0; i < rank; i++) s.d[i + 1] = dims_without_batch[i];
    return graph_op(g, &opdef_reshape, 1, &x, &s, sizeof s);
}

node_id op_slice(graph *g, node_id x, int axis, int64_t begin, int64_t length) {
    slice_attr a = {axis, begin, length};
    return graph_op(g, &opdef_slice, 1, &x, &a, sizeof a);
}

node_id op_reverse(graph *g, node_id x) { return graph_op(g, &opdef_reverse, 1, &x, NULL, 0); }

/* ---- shapes ---- */

static void concat_shape(graph *g, node *n) {
    char a[96], b[96];
    shape_like_first(g, n);
    int last = n->shape.rank - 1;
    if (last < 1) graph_fail(g, "inputs have no axis beside the batch");
    for (int i = 1; i < n->n_in; i++) {
        const shape *s = in_shape(g, n, i);
        want_real(g, n, i, "an input");
        if (s->rank != last + 1 || memcmp(s->d, n->shape.d, (size_t)last * sizeof s->d[0]) != 0) {
            graph_fail(g, "input 0 is %s, input %d is %s: all axes but the last must agree",
                       shape_text(in_shape(g, n, 0), a), i, shape_text(s, b));
            return;
        }
        n->shape.d[last] += s->d[last];
    }
}

static void reshape_shape(graph *g, node *n) {
    char a[96], b[96];
    const shape *x = in_shape(g, n, 0), *want = n->attr;
    int64_t known = 1, row = shape_row(x);
    int free_axis = 0;
    n->type = g->nodes[n->in[0]].type;
    n->shape = *want;
    n->shape.d[0] = x->d[0];
    for (int i = 1; i < want->rank; i++) {
        if (want->d[i] > 0)
            known *= want->d[i];
        else if (want->d[i] == -1 && !free_axis)
            free_axis = i;
        else
            graph_fail(g, "dimension %d is %lld: positive numbers, or one -1, are needed", i, (long long)want->d[i]);
    }
    if (free_axis && row % known == 0)
        n->shape.d[free_axis] = row / known;
    else if (free_axis || known != row)
        graph_fail(g, "x is %s and cannot become %s: the rows have %lld and %lld numbers", shape_text(x, a),
                   shape_text(&n->shape, b), (long long)row, (long long)known);
}

static void slice_shape(graph *g, node *n) {
    char text[96];
    const slice_attr *a = n->attr;
    const shape *x = in_shape(g, n, 0);
    shape_like_first(g, n);
    if (a->axis < 1 || a->axis >= x->rank || a->begin < 0 || a->length < 1 || a->begin > x->d[a->axis] - a->length)
        graph_fail(g, "x is %s: there are no positions %lld to %lld along axis %lld", shape_text(x, text),
                   (long long)a->begin, (long long)(a->begin + a->length - 1), (long long)a->axis);
    else
        n->shape.d[a->axis] = a->length;
}

static void reverse_shape(graph *g, node *n) {
    want_rank(g, n, 0, 3, "x");
    shape_like_first(g, n);
}

/* ---- passes ---- */

/* Copies `rows` runs of n elements between arrays whose runs start `from_ld` and `to_ld` apart. */
static void copy_runs(int64_t rows, int64_t n, const real *from, int64_t from_ld, real *to, int64_t to_ld) {
    for (int64_t i = 0; i < rows; i++) memcpy(to + i * to_ld, from + i * from_ld, (size_t)n * sizeof *to);
}

static void concat_forward(const op_run *r, int64_t lo, int64_t hi) {
    int64_t M = last_dim(&r->node->shape), inner = inner_of(&r->node->shape), at = 0;
    for (int i = 0; i < r->node->n_in; i++) {
        int64_t m = last_dim(r->in_shape[i]);
        copy_runs((hi - lo) * inner, m, (const real *)r->in[i] + lo * inner * m, m,
                  (real *)r->out + lo * inner * M + at, M);
        at += m;
    }
}

static void concat_backward(const op_run *r, int64_t lo, int64_t hi) {
    int64_t M = last_dim(&r->node->shape), inner = inner_of(&r->node->shape), at = 0;
    for (int i = 0; i < r->node->n_in; i++) {
        int64_t m = last_dim(r->in_shape[i]);
        if (r->din[i]) copy_runs((hi - lo) * inner, m, r->dout + lo * inner * M + at, M, r->din[i] + lo * inner * m, m);
        at += m;
    }
}

/* A slice is `outer` runs of length * `unit` elements in each batch row. */
typedef struct runs {
    int64_t outer, from_ld, skip, n;
} runs;
static runs slice_runs(const op_run *r) {
    const slice_attr *a = r->node->attr;
    const shape *x = r->in_shape[0];
    int64_t outer = 1, unit = 1;
    for (int64_t i = 1; i < a->axis; i++) outer *= x->d[i];
    for (int64_t i = a->axis + 1; i < x->rank; i++) unit *= x->d[i];
    return (runs){outer, x->d[a->axis] * unit, a->begin * unit, a->length * unit};
}

static void slice_forward(const op_run *r, int64_t lo, int64_t hi) {
    runs s = slice_runs(r);
    copy_runs((hi - lo) * s.outer, s.n, (const real *)r->in[0] + lo * s.outer * s.from_ld + s.skip, s.from_ld,
              (real *)r->out + lo * s.outer * s.n, s.n);
}

static void slice_backward(const op_run *r, int64_t lo, int64_t hi) {
    runs s = slice_runs(r);
    real *dx = r->din[0] + lo * s.outer * s.from_ld;
    memset(dx, 0, (size_t)((hi - lo) * s.outer * s.from_ld) * sizeof *dx);
    copy_runs((hi - lo) * s.outer, s.n, r->dout + lo * s.outer * s.n, s.n, dx + s.skip, s.from_ld);
}

static void reverse_rows(const shape *s, const real *from, real *to, int64_t lo, int64_t hi) {
    int64_t T = s->d[1], C = s->d[2];
    for (int64_t b = lo; b < hi; b++)
        for (int64_t t = 0; t < T; t++)
            memcpy(to + (b * T + t) * C, from + (b * T + T - 1 - t) * C, (size_t)C * sizeof *to);
}

static void reverse_forward(const op_run *r, int64_t lo, int64_t hi) {
    reverse_rows(&r->node->shape, r->in[0], r->out, lo, hi);
}
static void reverse_backward(const op_run *r, int64_t lo, int64_t hi) {
    reverse_rows(&r->node->shape, r->dout, r->din[0], lo, hi);
}

static op_cost alias_cost(const graph *g, const node *n) {
    (void)g, (void)n;
    return (op_cost){0, 0};
}

static op_cost copy_cost(const graph *g, const node *n) {
    op_cost c = cost_elementwise(g, n);
    c.flops = 0;
    return c;
}

/* ---- cases ---- */

static node_id case_concat(graph *g, op_tester *t) {
    node_id x[3];
    for (int i = 0; i < 3; i++) x[i] = op_test_input(g, t, 3, (int64_t[]){g->batch, 4, 2 + 3 * i}, -1, 1);
    return op_concat(g, 3, x);
}
static node_id case_concat_wide(graph *g, op_tester *t) {
    node_id x[19];
    for (int i = 0; i < 19; i++) x[i] = op_test_input(g, t, 2, (int64_t[]){g->batch, 1 + i % 3}, -1, 1);
    return op_concat(g, 19, x);
}
static node_id case_concat_twice(graph *g, op_tester *t) {
    node_id x = op_test_input(g, t, 2, (int64_t[]){g->batch, 5}, -1, 1);
    return op_concat(g, 2, (node_id[]){x, x});
}
static node_id case_flatten(graph *g, op_tester *t) {
    return op_reshape(g, op_test_input(g, t, 3, (int64_t[]){g->batch, 4, 6}, -1, 1), 1, (int64_t[]){-1});
}
/* The same tensor under two shapes, and read as it is. */
static node_id case_shared(graph *g, op_tester *t) {
    node_id x = op_test_input(g, t, 3, (int64_t[]){g->batch, 4, 6}, -1, 1);
    node_id a = op_reshape(g, x, 1, (int64_t[]){24}), b = op_reshape(g, op_mul(g, x, x), 1, (int64_t[]){24});
    return op_reshape(g, op_mul(g, a, b), 3, (int64_t[]){2, -1, 3});
}
static node_id case_slice_time(graph *g, op_tester *t) {
    return op_slice(g, op_test_input(g, t, 3, (int64_t[]){g->batch, 6, 5}, -1, 1), 1, 2, 3);
}
static node_id case_slice_last(graph *g, op_tester *t) {
    return op_slice(g, op_test_input(g, t, 3, (int64_t[]){g->batch, 6, 5}, -1, 1), 2, 0, 2);
}
static node_id case_reverse(graph *g, op_tester *t) {
    return op_reverse(g, op_test_input(g, t, 3, (int64_t[]){g->batch, 5, 3}, -1, 1));
}

static const op_case concat_cases[] = {
    {"three", case_concat}, {"nineteen", case_concat_wide}, {"one twice", case_concat_twice}, {NULL, NULL}};
static const op_case reshape_cases[] = {{"flatten", case_flatten}, {"shared", case_shared}, {NULL, NULL}};
static const op_case slice_cases[] = {{"time", case_slice_time}, {"last axis", case_slice_last}, {NULL, NULL}};
static const op_case reverse_cases[] = {{"time", case_reverse}, {NULL, NULL}};

const op_def opdef_concat = {
    .name = "concat",
    .min_in = 2,
    .max_in = GRAPH_MAX_IN,
    .shape = concat_shape,
    .cost = copy_cost,
    .forward = {{.kind = PASS_ROWS, .run = concat_forward}},
    .backward = {{.kind = PASS_ROWS, .run = concat_backward, .writes = (1u << GRAPH_MAX_IN) - 1}},
    .cases = concat_cases};

const op_def opdef_reshape = {.name = "reshape",
                              .min_in = 1,
                              .max_in = 1,
                              .flags = OP_ALIAS,
                              .shape = reshape_shape,
                              .cost = alias_cost,
                              .cases = reshape_cases};

const op_def opdef_slice = {.name = "slice",
                            .min_in = 1,
                            .max_in = 1,
                            .shape = slice_shape,
                            .cost = copy_cost,
                            .forward = {{.kind = PASS_ROWS, .run = slice_forward}},
                            .backward = {{.kind = PASS_ROWS, .run = slice_backward, .writes = 1}},
                            .cases = slice_cases};

const op_def opdef_reverse = {.name = "reverse",
                              .min_in = 1,
                              .max_in = 1,
                              .shape = reverse_shape,
                              .cost = copy_cost,
                              .forward = {{.kind = PASS_ROWS, .run = reverse_forward}},
                              .backward = {{.kind = PASS_ROWS, .run = reverse_backward, .writes = 1}},
                              .cases = reverse_cases};
