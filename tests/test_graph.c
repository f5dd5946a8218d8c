/* test_graph - recording: shapes, the first mistake and its words, numbers of inputs and parameters, copies. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "graph/op.h"
#include "graph/ops.h"

static graph g;

static int setup(void **state) {
    (void)state;
    graph_init(&g, 32, true);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    graph_clear(&g);
    return 0;
}

static node_id real_input(int rank, const int64_t *dims) { return graph_input(&g, g.n_inputs, DT_REAL, rank, dims); }
static node_id param(int rank, const int64_t *dims) { return graph_param(&g, g.n_params, rank, dims, true, "w"); }

static void expect_shape(node_id id, const char *want) {
    char text[96];
    assert_int_not_equal(id, 0);
    assert_string_equal(shape_text(&graph_node(&g, id)->shape, text), want);
}

/* The graph's message must be exactly this, and stick. */
static void expect_mistake(const char *want) {
    souk_error err = {0};
    assert_int_equal(graph_status(&g, &err), SOUK_USAGE);
    assert_string_equal(err.message, want);
    assert_int_equal(real_input(1, (int64_t[]){3}), 0);
    assert_int_equal(op_scale(&g, 1, 2), 0);
    err_clear(&err);
    graph_status(&g, &err);
    assert_string_equal(err.message, want);
}

static void test_shapes(void **state) {
    (void)state;
    node_id x = real_input(2, (int64_t[]){100, 16});
    node_id ids = graph_input(&g, 1, DT_I32, 1, (int64_t[]){100});
    expect_shape(x, "[32,100,16]");
    expect_shape(op_linear(&g, x, param(2, (int64_t[]){16, 7}), param(1, (int64_t[]){7})), "[32,100,7]");
    expect_shape(op_embedding(&g, param(2, (int64_t[]){1000, 16}), ids), "[32,100,16]");
    expect_shape(op_mask_nonzero(&g, ids), "[32,100]");
    expect_shape(op_concat(&g, 2, (node_id[]){x, x}), "[32,100,32]");
    expect_shape(op_reshape(&g, x, 2, (int64_t[]){-1, 32}), "[32,50,32]");
    expect_shape(op_slice(&g, x, 1, 90, 10), "[32,10,16]");
    expect_shape(op_global_pool(&g, x, 0, true), "[32,16]");
    pool1d_attr pool = {.size = 3, .stride = 2, .padding = PAD_SAME};
    expect_shape(op_pool1d(&g, &pool, x), "[32,50,16]");
    conv1d_attr conv = {.padding = PAD_VALID};
    expect_shape(op_conv1d(&g, &conv, x, param(3, (int64_t[]){5, 16, 8}), 0), "[32,96,8]");
    loss_attr ce = {.kind = LOSS_SOFTMAX_CE};
    node_id y = graph_input(&g, 2, DT_I32, 1, (int64_t[]){100});
    node_id loss = op_loss(&g, &ce, x, y);
    expect_shape(loss, "[32]");
    expect_shape(op_mean_loss(&g, loss, 0), "[1]");
    assert_int_equal(graph_status(&g, NULL), SOUK_OK);
    assert_int_equal(g.n_inputs, 3);
}

static void test_mistake_names_layer_and_shapes(void **state) {
    (void)state;
    node_id x = real_input(1, (int64_t[]){100});
    graph_scope(&g, "dense_1");
    assert_int_equal(op_linear(&g, x, param(2, (int64_t[]){90, 16}), 0), 0);
    expect_mistake("layer dense_1: linear: x is [32,100], w is [90,16]: the last axis of x must be w's first");
}

static void test_mistakes(void **state) {
    (void)state;
    node_id x = real_input(1, (int64_t[]){100});
    op_add(&g, x, real_input(1, (int64_t[]){10}));
    expect_mistake("add: a is [32,100], b is [32,10]: both need the same shape");
}

static void test_ids_are_not_numbers(void **state) {
    (void)state;
    op_scale(&g, graph_input(&g, 0, DT_I32, 1, (int64_t[]){5}), 2);
    expect_mistake("scale: the input holds integers where numbers are needed (an embedding turns ids into numbers)");
}

static void test_reshape_counts(void **state) {
    (void)state;
    op_reshape(&g, real_input(1, (int64_t[]){10}), 2, (int64_t[]){3, 4});
    expect_mistake("reshape: x is [32,10] and cannot become [32,3,4]: the rows have 10 and 12 numbers");
}

static void test_kernel_reaches_too_far(void **state) {
    (void)state;
    conv1d_attr conv = {.dilation = 4};
    op_conv1d(&g, &conv, real_input(2, (int64_t[]){8, 2}), param(3, (int64_t[]){3, 2, 4}), 0);
    expect_mistake("conv1d: x is [32,8,2], w is [3,2,4]: the kernel reaches over 9 steps and x has fewer");
}

static void test_loss_is_one_number(void **state) {
    (void)state;
    graph_loss(&g, real_input(1, (int64_t[]){10}));
    expect_mistake("graph: the loss must be one number, not [32,10]: take the mean first");
}

static void test_huge_shapes(void **state) {
    (void)state;
    int64_t big = INT64_MAX / 4;
    assert_int_equal(real_input(2, (int64_t[]){big, big}), 0);
    assert_int_equal(graph_status(&g, NULL), SOUK_USAGE);
    graph_clear(&g); /* no single tensor may be so large that the sum over a plan's tensors could overflow */
    graph_init(&g, 32, false);
    assert_int_equal(real_input(2, (int64_t[]){1 << 20, 1 << 13}), 0);
    expect_mistake(
        "graph: shape [32,1048576,8192] has more than 6 dimensions, or more than 2^37 elements: use a smaller "
        "batch, maxlen or layer");
}

static void test_copy(void **state) {
    (void)state;
    graph copy;
    graph_scope(&g, "scaled");
    node_id y = op_scale(&g, real_input(1, (int64_t[]){10}), 3);
    graph_output(&g, y);
    assert_int_equal(graph_copy(&copy, &g, NULL), SOUK_OK);
    graph_clear(&g);
    graph_init(&g, 1, false);
    assert_int_equal(copy.n_nodes, 3);
    assert_string_equal(copy.nodes[y].name, "scaled");
    assert_true(*(const real *)copy.nodes[y].attr == 3);
    graph_clear(&copy);
}

static int64_t countdown;
static bool fail_at(void *context) {
    (void)context;
    return --countdown < 0;
}

/* Every allocation of recording fails in turn: an error, no crash, nothing left. */
static void test_no_memory(void **state) {
    (void)state;
    bool done = false;
    for (int64_t n = 0; !done && n < 1000; n++) {
        int64_t live = mem_live();
        graph h;
        graph_init(&h, 4, true);
        countdown = n;
        mem_set_fault(fail_at, NULL);
        graph_scope(&h, "layer");
        node_id x = graph_input(&h, 0, DT_REAL, 1, (int64_t[]){6});
        for (int i = 0; i < 20; i++) x = op_scale(&h, x, 2);
        graph_output(&h, op_linear(&h, x, graph_param(&h, 0, 2, (int64_t[]){6, 2}, true, "w"), 0));
        mem_set_fault(NULL, NULL);
        done = graph_status(&h, NULL) == SOUK_OK;
        if (!done) assert_int_equal(graph_status(&h, NULL), SOUK_NOMEM);
        graph_clear(&h);
        assert_int_equal(mem_live(), live);
    }
    assert_true(done);
}

int main(void) {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {T(test_shapes),
                                       T(test_mistake_names_layer_and_shapes),
                                       T(test_mistakes),
                                       T(test_ids_are_not_numbers),
                                       T(test_reshape_counts),
                                       T(test_kernel_reaches_too_far),
                                       T(test_loss_is_one_number),
                                       T(test_huge_shapes),
                                       T(test_copy),
                                       T(test_no_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
