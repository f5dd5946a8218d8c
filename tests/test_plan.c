/* test_plan - plans: runs allocate nothing, memory is shared and its peak known, barriers are few, rewrites happen,
 * failed allocations leave nothing. The network is the worked example's: embedding, LSTM, dense, cross-entropy. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "graph/ops.h"
#include "graph/plan.h"
#include "simd/kern.h"

enum { V = 1000, E = 16, H = 32, T = 100, PARAMS = 6 };
static const int64_t sizes[PARAMS] = {V * E, E * 4 * H, H * 4 * H, 4 * H, H, 1};
static real *params[PARAMS];

static void record(graph *g, int64_t B, bool training) {
    graph_init(g, B, training);
    node_id ids = graph_input(g, 0, DT_I32, 1, (int64_t[]){T});
    graph_scope(g, "embedding");
    node_id x = op_embedding(g, graph_param(g, 0, 2, (int64_t[]){V, E}, true, "embedding"), ids);
    graph_scope(g, "lstm");
    rnn_attr lstm = {.kind = RNN_LSTM, .units = H, .activation = GEMM_TANH, .recurrent_activation = GEMM_SIGMOID};
    node_id h = op_rnn(g, &lstm, x, graph_param(g, 1, 2, (int64_t[]){E, 4 * H}, true, "kernel"),
                       graph_param(g, 2, 2, (int64_t[]){H, 4 * H}, true, "recurrent"),
                       graph_param(g, 3, 1, (int64_t[]){4 * H}, true, "bias"), 0);
    graph_scope(g, "dense");
    node_id z = op_linear(g, h, graph_param(g, 4, 2, (int64_t[]){H, 1}, true, "kernel"),
                          graph_param(g, 5, 1, (int64_t[]){1}, true, "bias"));
    node_id p = op_activation(g, z, GEMM_SIGMOID);
    graph_output(g, p);
    if (!training) return;
    loss_attr bce = {.kind = LOSS_BCE};
    graph_loss(g, op_mean_loss(g, op_loss(g, &bce, p, graph_input(g, 1, DT_REAL, 1, (int64_t[]){1})), 0));
}

static plan *plan_of(int64_t B, bool training, plan_options options) {
    graph g;
    plan *p;
    souk_error err = {0};
    record(&g, B, training);
    if (plan_new(&p, &g, &options, &err) != SOUK_OK) fail_msg("%s", err.message);
    graph_clear(&g); /* the plan keeps what it needs */
    return p;
}

/* One run on fixed numbers; returns the loss, or the first output. */
static double run_once(const plan *p, int64_t B, bool training, int threads) {
    plan_session *s;
    assert_int_equal(plan_session_new(&s, p, threads, NULL), SOUK_OK);
    pool *workers = pool_new(threads);
    int32_t *ids = calloc((size_t)(B * T), sizeof *ids);
    real *y = calloc((size_t)B, sizeof *y);
    for (int64_t i = 0; i < B * T; i++)
        ids[i] = i % T < 40 ? 0 : (int32_t)rng_below((rng_key){3, 4, 5}, (uint64_t)i, V);
    for (int64_t b = 0; b < B; b++) y[b] = (real)(b & 1);
    plan_io io = {.inputs = (const void *const[]){ids, y}, .params = params, .seed = 1, .step = 1};
    plan_run(p, s, &io, workers);
    int64_t calls = mem_calls();
    for (int i = 0; i < 3; i++) plan_run(p, s, &io, workers);
    assert_int_equal(mem_calls(), calls);
    double value = training ? plan_loss(p, s) : (double)*(const real *)plan_output(p, s, 0);
    plan_session_free(s);
    pool_free(workers);
    free(ids);
    free(y);
    return value;
}

static void test_run_allocates_nothing(void **state) {
    (void)state;
    plan *p = plan_of(32, true, (plan_options){.row_lists = true});
    double one = run_once(p, 32, true, 1), three = run_once(p, 32, true, 3);
    assert_true(isfinite(one) && one > 0.6 && one < 0.8); /* ln 2 and a little, for a network that knows nothing yet */
    assert_memory_equal(&one, &three, sizeof one);
    plan_free(p);
}

/* Convolution, pooling and two dense layers: row-wise ops only. Parameters are not run. */
static plan *conv_plan(int64_t B, bool training, plan_options options) {
    graph g;
    plan *p;
    souk_error err = {0};
    graph_init(&g, B, training);
    node_id x = graph_input(&g, 0, DT_REAL, 2, (int64_t[]){T, E});
    conv1d_attr conv = {.padding = PAD_SAME};
    x = op_conv1d(&g, &conv, x, graph_param(&g, 0, 3, (int64_t[]){5, E, 24}, true, "kernel"), 0);
    x = op_global_pool(&g, op_activation(&g, x, GEMM_RELU), 0, true);
    x = op_activation(&g, op_linear(&g, x, graph_param(&g, 1, 2, (int64_t[]){24, 16}, true, "a"), 0), GEMM_TANH);
    x = op_activation(&g, op_linear(&g, x, graph_param(&g, 2, 2, (int64_t[]){16, 1}, true, "b"), 0), GEMM_SIGMOID);
    graph_output(&g, x);
    loss_attr bce = {.kind = LOSS_BCE};
    if (training)
        graph_loss(&g, op_mean_loss(&g, op_loss(&g, &bce, x, graph_input(&g, 1, DT_REAL, 1, (int64_t[]){1})), 0));
    if (plan_new(&p, &g, &options, &err) != SOUK_OK) fail_msg("%s", err.message);
    graph_clear(&g);
    return p;
}

static void test_memory_is_shared(void **state) {
    (void)state;
    plan *shared = conv_plan(1024, false, (plan_options){0}),
         *apart = conv_plan(1024, false, (plan_options){.no_reuse = true});
    assert_true(plan_bytes(shared, 2) * 10 < plan_bytes(apart, 2)); /* depth first: activations of one shard a thread */
    plan_free(shared);
    plan_free(apart);
    shared = conv_plan(32, true, (plan_options){0});
    assert_true(plan_bytes(shared, 1) < plan_bytes_unshared(shared));
    plan_free(shared);
    shared = plan_of(32, true, (plan_options){.row_lists = true});
    print_message("worked example, training, batch 32: %zu bytes with 2 threads, %zu if nothing were shared\n",
                  plan_bytes(shared, 2), plan_bytes_unshared(shared));
    plan_free(shared);
}

/* A chain of ops that are not depth-first must still run in two buffers. */
static void test_chain_needs_two_buffers(void **state) {
    (void)state;
    graph g;
    plan *p;
    graph_init(&g, 64, false);
    node_id x = graph_input(&g, 0, DT_REAL, 1, (int64_t[]){256});
    for (int i = 0; i < 9; i++) x = op_reverse(&g, op_reshape(&g, x, 2, (int64_t[]){16, 16}));
    graph_output(&g, x);
    assert_int_equal(plan_new(&p, &g, &(plan_options){.no_depth_first = true}, NULL), SOUK_OK);
    assert_int_equal(plan_bytes(p, 1), 2 * 64 * 256 * sizeof(real));
    plan_free(p);
    graph_clear(&g);
}

static void test_barriers_are_few(void **state) {
    (void)state;
    plan *p = conv_plan(32, true, (plan_options){0}),
         *op_by_op = conv_plan(32, true, (plan_options){.no_depth_first = true});
    assert_int_equal(plan_barriers(p), 2); /* forward and backward by rows; then all weight gradients and the mean */
    assert_true(plan_barriers(op_by_op) > 4);
    plan_free(p);
    p = plan_of(32, true, (plan_options){.no_fuse = true, .row_lists = true});
    assert_true(plan_barriers(p) <= 3);
    assert_true(plan_flops(p, false) > 2.0 * 32 * T * 4 * H * (E + H) &&
                plan_flops(p, true) > 2 * plan_flops(p, false));
    plan_free(p);
    plan_free(op_by_op);
}

static void test_describe(void **state) {
    (void)state;
    plan *p = plan_of(32, true, (plan_options){.row_lists = true});
    buf text;
    buf_init(&text, 0);
    plan_describe(p, &text);
    assert_int_equal(buf_status(&text, "describing a plan", NULL), SOUK_OK);
    assert_non_null(strstr(text.data, "lstm"));
    assert_non_null(strstr(text.data, "backward"));
    assert_non_null(strstr(text.data, "4 shards of 8"));
    fputs(text.data, stdout);
    buf_clear(&text);
    plan_free(p);
}

/* linear + activation becomes one op, and cross-entropy goes to the logits; neither happens with no_fuse. */
static void test_rewrites(void **state) {
    (void)state;
    for (int off = 0; off <= 1; off++) {
        graph g;
        plan *p;
        buf text;
        graph_init(&g, 4, true);
        node_id x = graph_input(&g, 0, DT_REAL, 1, (int64_t[]){6});
        x = op_activation(&g, op_linear(&g, x, graph_param(&g, 0, 2, (int64_t[]){6, 5}, true, "a"), 0), GEMM_RELU);
        x = op_softmax(&g, op_linear(&g, x, graph_param(&g, 1, 2, (int64_t[]){5, 3}, true, "b"), 0));
        loss_attr ce = {.kind = LOSS_CE};
        graph_loss(&g, op_mean_loss(&g, op_loss(&g, &ce, x, graph_input(&g, 1, DT_I32, 0, NULL)), 0));
        assert_int_equal(plan_new(&p, &g, &(plan_options){.no_fuse = off}, NULL), SOUK_OK);
        buf_init(&text, 0);
        plan_describe(p, &text);
        assert_int_equal(strstr(text.data, "linear_act") == NULL, off);
        assert_int_equal(strstr(text.data, "softmax") != NULL, off); /* nobody else reads the probabilities */
        buf_clear(&text);
        plan_free(p);
        graph_clear(&g);
    }
}

/* Only what is wanted is lowered: a parameter that is not trained has no gradient, and an unused branch no steps. */
static void test_unwanted_is_dropped(void **state) {
    (void)state;
    graph g;
    plan *p;
    plan_session *s;
    graph_init(&g, 4, true);
    node_id x = graph_input(&g, 0, DT_REAL, 1, (int64_t[]){6});
    node_id w = graph_param(&g, 0, 2, (int64_t[]){6, 1}, false, "frozen"),
            v = graph_param(&g, 1, 1, (int64_t[]){1}, true, "bias");
    node_id y = op_linear(&g, x, w, v);
    op_activation(&g, op_linear(&g, x, graph_param(&g, 2, 2, (int64_t[]){6, 300}, true, "unused"), 0), GEMM_GELU);
    loss_attr mse = {.kind = LOSS_MSE};
    graph_loss(&g, op_mean_loss(&g, op_loss(&g, &mse, y, graph_input(&g, 1, DT_REAL, 1, (int64_t[]){1})), 0));
    assert_int_equal(plan_new(&p, &g, NULL, NULL), SOUK_OK);
    assert_int_equal(plan_session_new(&s, p, 1, NULL), SOUK_OK);
    assert_null(plan_grad(p, s, 0));
    assert_non_null(plan_grad(p, s, 1));
    assert_null(plan_grad(p, s, 2));
    plan_session_free(s);
    plan_free(p);
    graph_clear(&g);
}

static int64_t countdown;
static bool fail_at(void *context) {
    (void)context;
    return --countdown < 0;
}

static void test_no_memory(void **state) {
    (void)state;
    bool done = false;
    graph g;
    record(&g, 8, true);
    int64_t live = mem_live();
    for (int64_t n = 0; !done && n < 1000; n++) {
        plan *p = NULL;
        plan_session *s = NULL;
        souk_error err = {0};
        countdown = n;
        mem_set_fault(fail_at, NULL);
        souk_status status = plan_new(&p, &g, &(plan_options){.row_lists = true}, &err);
        if (status == SOUK_OK) status = plan_session_new(&s, p, 2, &err);
        mem_set_fault(NULL, NULL);
        done = status == SOUK_OK;
        if (!done) assert_int_equal(status, SOUK_NOMEM);
        if (!done) assert_true(err.message[0] != 0);
        plan_session_free(s);
        plan_free(p);
        assert_int_equal(mem_live(), live);
    }
    assert_true(done);
    graph_clear(&g);
}

static int setup(void **state) {
    (void)state;
    kern_init();
    for (int i = 0; i < PARAMS; i++) {
        params[i] = calloc((size_t)sizes[i], sizeof(real));
        for (int64_t k = 0; k < sizes[i]; k++)
            params[i][k] = (real)(0.2 * rng_uniform((rng_key){9, (uint32_t)i, 0}, (uint64_t)k) - 0.1);
    }
    return 0;
}

static int teardown(void **state) {
    (void)state;
    for (int i = 0; i < PARAMS; i++) free(params[i]);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_run_allocates_nothing),
                                       cmocka_unit_test(test_memory_is_shared),
                                       cmocka_unit_test(test_chain_needs_two_buffers),
                                       cmocka_unit_test(test_barriers_are_few),
                                       cmocka_unit_test(test_describe),
                                       cmocka_unit_test(test_rewrites),
                                       cmocka_unit_test(test_unwanted_is_dropped),
                                       cmocka_unit_test(test_no_memory)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
