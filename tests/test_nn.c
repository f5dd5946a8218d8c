/* test_nn - initialisers, layer names, shapes, masks, messages, and nets replayed onto graphs. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "graph/plan.h"
#include "nn/init.h"
#include "nn/net.h"
#include "simd/kern.h"

static const rng_key key = {.seed = 7, .stream = RNG_INIT, .step = 3};

static void draw(init_kind kind, double a, double b, int rank, const int64_t *d, real *out) {
    souk_error err = {0};
    init_def def = {kind, a, b};
    if (init_values(&def, key, rank, d, out, &err) != SOUK_OK) fail_msg("%s", err.message);
}

static void moments(const real *x, int64_t n, double *mean, double *deviation, double *largest) {
    double sum = 0, squares = 0;
    *largest = 0;
    for (int64_t i = 0; i < n; i++) {
        sum += (double)x[i];
        squares += (double)x[i] * (double)x[i];
        *largest = fmax(*largest, fabs((double)x[i]));
    }
    *mean = sum / (double)n;
    *deviation = sqrt(squares / (double)n - *mean * *mean);
}

/* Limits and deviations are Keras' formulas for fans 60 and 40. */
static void test_init_scales(void **state) {
    static real x[60 * 400];
    int64_t d[2] = {60, 400}, conv[3] = {3, 20, 400};
    double mean, deviation, largest, in, out;
    (void)state;
    init_fans(3, conv, &in, &out);
    assert_true(in == 60 && out == 1200);
    struct {
        init_kind kind;
        double limit, deviation;
    } c[] = {{INIT_GLOROT_UNIFORM, sqrt(6. / 460), sqrt(2. / 460)},
             {INIT_HE_UNIFORM, sqrt(6. / 60), sqrt(2. / 60)},
             {INIT_LECUN_UNIFORM, sqrt(3. / 60), sqrt(1. / 60)},
             {INIT_GLOROT_NORMAL, 2 * sqrt(2. / 460) / .87962566103423978, sqrt(2. / 460)},
             {INIT_HE_NORMAL, 2 * sqrt(2. / 60) / .87962566103423978, sqrt(2. / 60)},
             {INIT_LECUN_NORMAL, 2 * sqrt(1. / 60) / .87962566103423978, sqrt(1. / 60)}};
    for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
        draw(c[i].kind, 0, 0, 2, d, x);
        moments(x, 60 * 400, &mean, &deviation, &largest);
        assert_true(largest <= c[i].limit * (1 + 1e-6) && largest > c[i].limit * .99);
        assert_true(fabs(deviation / c[i].deviation - 1) < .02 && fabs(mean) < .05 * c[i].deviation);
    }
    draw(INIT_UNIFORM, -.05, .05, 2, d, x);
    moments(x, 60 * 400, &mean, &deviation, &largest);
    assert_true(largest <= .05 && largest > .0499 && fabs(mean) < .001);
    draw(INIT_NORMAL, 1, .5, 2, d, x);
    moments(x, 60 * 400, &mean, &deviation, &largest);
    assert_true(fabs(mean - 1) < .02 && fabs(deviation - .5) < .01);
    draw(INIT_CONSTANT, 2.5, 0, 2, d, x);
    assert_true(x[0] == (real)2.5 && x[23999] == (real)2.5);
}

/* Rows of a wide, columns of a tall orthogonal matrix are orthonormal; gain scales it. */
static void test_init_orthogonal(void **state) {
    static real x[24 * 96];
    int64_t wide[2] = {24, 96}, tall[2] = {96, 24};
    (void)state;
    for (int k = 0; k < 2; k++) {
        draw(INIT_ORTHOGONAL, k ? 2 : 0, 0, 2, k ? tall : wide, x);
        double gain = k ? 4 : 1;
        for (int i = 0; i < 24; i++)
            for (int j = 0; j < 24; j++) {
                double dot = 0;
                for (int t = 0; t < 96; t++)
                    dot += (double)(k ? x[t * 24 + i] : x[i * 96 + t]) * (double)(k ? x[t * 24 + j] : x[j * 96 + t]);
                assert_true(fabs(dot - (i == j ? gain : 0)) < 1e-5 * gain);
            }
    }
}

static void test_init_lstm_bias(void **state) {
    real x[20];
    int64_t d = 20;
    (void)state;
    draw(INIT_LSTM_BIAS, 0, 0, 1, &d, x);
    for (int i = 0; i < 20; i++) assert_true(x[i] == (i >= 5 && i < 10 ? 1 : 0));
}

/* A value hangs on key and place alone: a longer parameter starts with the same numbers, another key gives others. */
static void test_init_keys(void **state) {
    real a[10], b[40];
    int64_t few = 10, many = 40;
    init_def def = {INIT_TRUNCATED_NORMAL, 0, 1};
    rng_key other = {.seed = 7, .stream = RNG_INIT, .step = 4};
    (void)state;
    draw(INIT_TRUNCATED_NORMAL, 0, 1, 1, &few, a);
    draw(INIT_TRUNCATED_NORMAL, 0, 1, 1, &many, b);
    assert_memory_equal(a, b, sizeof a);
    assert_int_equal(init_values(&def, other, 1, &few, b, NULL), SOUK_OK);
    assert_true(memcmp(a, b, sizeof a) != 0);
}

static rnn_attr cell(rnn_kind kind, int64_t units, bool sequences) {
    return (rnn_attr){.kind = kind,
                      .units = units,
                      .return_sequences = sequences,
                      .reset_after = true,
                      .activation = GEMM_TANH,
                      .recurrent_activation = GEMM_SIGMOID};
}

static const int64_t T = 12;

/* Keras' names and shapes for a net of every layer; the parameter count was taken from Keras' summary of the same net.
 */
static net *every_layer(void) {
    net *n = net_new();
    conv1d_attr conv = {1, 1, PAD_SAME};
    pool1d_attr halve = {.size = 2, .stride = 2};
    rnn_attr lstm = cell(RNN_LSTM, 6, true), gru = cell(RNN_GRU, 5, false), simple = cell(RNN_SIMPLE, 4, true);
    net_id ids = net_input(n, "words", DT_I32, 1, &T), x = net_embedding(n, NULL, ids, 50, 8, true);
    x = net_spatial_dropout1d(n, NULL, x, .1);
    x = net_bidirectional(n, NULL, x, &lstm, true, "concat");
    x = net_layer_norm(n, NULL, x, 1e-3);
    x = net_rnn(n, NULL, x, &simple, true);
    x = net_conv1d(n, NULL, x, 7, 3, &conv, GEMM_RELU, true);
    x = net_batch_norm(n, NULL, x, 1e-3, .99);
    x = net_pool1d(n, NULL, x, &halve);
    x = net_rnn(n, NULL, x, &gru, true);
    x = net_dropout(n, NULL, x, .5);
    net_id y = net_dense(n, NULL, x, 3, GEMM_RELU, true);
    x = net_dense(n, NULL, x, 3, GEMM_LINEAR, true);
    x = net_add(n, NULL, x, y);
    net_id both[2] = {x, y};
    x = net_activation(n, NULL, net_concat(n, NULL, 2, both), GEMM_TANH);
    int64_t d[2] = {2, -1};
    x = net_flatten(n, NULL, net_reshape(n, NULL, x, 2, d));
    x = net_softmax(n, NULL, net_dense(n, "head", x, 4, GEMM_LINEAR, true));
    net_output(n, "label", x, &(loss_attr){.kind = LOSS_CE}, 1, true);
    return n;
}

static void test_names(void **state) {
    souk_error err = {0};
    (void)state;
    net *n = every_layer();
    if (net_status(n, &err) != SOUK_OK) fail_msg("%s", err.message);
    const char *names[] = {"embedding/embeddings",
                           "bidirectional/forward_lstm/kernel",
                           "bidirectional/forward_lstm/recurrent_kernel",
                           "bidirectional/forward_lstm/bias",
                           "bidirectional/backward_lstm/kernel",
                           "bidirectional/backward_lstm/recurrent_kernel",
                           "bidirectional/backward_lstm/bias",
                           "layer_normalization/gamma",
                           "layer_normalization/beta",
                           "simple_rnn/kernel",
                           "simple_rnn/recurrent_kernel",
                           "simple_rnn/bias",
                           "conv1d/kernel",
                           "conv1d/bias",
                           "batch_normalization/gamma",
                           "batch_normalization/beta",
                           "batch_normalization/moving_mean",
                           "batch_normalization/moving_variance",
                           "gru/kernel",
                           "gru/recurrent_kernel",
                           "gru/bias",
                           "dense/kernel",
                           "dense/bias",
                           "dense_1/kernel",
                           "dense_1/bias",
                           "head/kernel",
                           "head/bias"};
    assert_int_equal(net_params(n), sizeof names / sizeof *names);
    for (int i = 0; i < net_params(n); i++) assert_string_equal(net_param(n, i)->name, names[i]);
    assert_int_equal(net_find_param(n, "gru/bias"), 20);
    assert_int_equal(net_find_param(n, "gru/none"), -1);
    assert_int_equal(net_param(n, 20)->d[0], 2);
    assert_int_equal(net_param(n, 20)->d[1], 15);
    assert_true(net_param(n, 0)->is_table && net_param(n, 20)->is_bias_or_norm && !net_param(n, 18)->is_bias_or_norm &&
                !net_param(n, 16)->trainable);
    assert_int_equal(net_param_count(n, false) - net_param_count(n, true), 14);
    assert_int_equal(net_param_count(n, false), 1605);
    assert_int_equal(net_table_input(n, 0), 0);
    assert_int_equal(net_table_input(n, 1), -1);
    assert_int_equal(net_input_vocabulary(n, 0), 50);
    assert_string_equal(net_input_name(n, 0), "words");
    assert_string_equal(net_output_name(n, 0), "label");
    assert_int_equal(net_output_width(n, 0), 4);
    buf b;
    buf_init(&b, 0);
    net_describe(n, &b);
    assert_non_null(
        strstr(b.data, "bidirectional (Bidirectional)             [B,12,12]         720  spatial_dropout1d\n"));
    assert_non_null(strstr(b.data, "1605 parameters, 1591 trained, 14 moving statistics\n"));
    buf_clear(&b);
    net_free(n);
}

/* Builds, plans and runs for two batch sizes, training and not: all outputs are probabilities, and the loss is finite.
 */
static void test_build_and_run(void **state) {
    souk_error err = {0};
    (void)state;
    kern_init();
    net *n = every_layer();
    int count = net_params(n);
    real *params[64];
    for (int i = 0; i < count; i++) {
        shape s = shape_make(net_param(n, i)->rank, net_param(n, i)->d);
        params[i] = mem_array((size_t)shape_count(&s), sizeof(real));
        assert_int_equal(net_init_param(n, i, 1, params[i], &err), SOUK_OK);
    }
    for (int k = 0; k < 4; k++) {
        graph g;
        plan *p = NULL;
        plan_session *s = NULL;
        int64_t batch = k & 1 ? 9 : 4;
        graph_init(&g, batch, k >= 2);
        if (net_build(n, &g, &err) != SOUK_OK || plan_new(&p, &g, NULL, &err) != SOUK_OK ||
            plan_session_new(&s, p, 1, &err) != SOUK_OK)
            fail_msg("%s", err.message);
        graph_clear(&g);
        int32_t ids[9 * 12], classes[9] = {0, 1, 2, 3};
        real weight[9];
        for (int i = 0; i < 9 * 12; i++) ids[i] = i % 12 < 3 ? 0 : i % 50;
        for (int i = 0; i < 9; i++) weight[i] = 1;
        const void *inputs[3] = {ids, classes, weight};
        plan_run(p, s, &(plan_io){.inputs = inputs, .params = params, .seed = 1}, NULL);
        const real *y = plan_output(p, s, 0);
        for (int64_t r = 0; r < batch; r++) {
            double sum = 0;
            for (int c = 0; c < 4; c++) sum += (double)y[r * 4 + c];
            assert_true(fabs(sum - 1) < 1e-5);
        }
        if (k >= 2) assert_true(isfinite(plan_loss(p, s)) && plan_loss(p, s) > 0);
        plan_session_free(s);
        plan_free(p);
    }
    for (int i = 0; i < count; i++) mem_free(params[i]);
    net_free(n);
}

/* Several outputs: the loss is the weighted sum of each one's. */
static void test_two_outputs(void **state) {
    souk_error err = {0};
    int64_t two = 2;
    (void)state;
    kern_init();
    net *n = net_new();
    net_id x = net_input(n, "x", DT_REAL, 1, &two);
    net_output(n, "a", net_dense(n, "a", x, 1, GEMM_LINEAR, false), &(loss_attr){.kind = LOSS_MSE}, 1, false);
    net_output(n, "b", net_dense(n, "b", x, 1, GEMM_LINEAR, false), &(loss_attr){.kind = LOSS_MSE}, .5, false);
    graph g;
    plan *p = NULL;
    plan_session *s = NULL;
    graph_init(&g, 3, true);
    if (net_build(n, &g, &err) != SOUK_OK || plan_new(&p, &g, NULL, &err) != SOUK_OK ||
        plan_session_new(&s, p, 1, &err) != SOUK_OK)
        fail_msg("%s", err.message);
    real in[6] = {1, 2, 3, 4, 5, 6}, a[3] = {0, 0, 0}, b[3] = {1, 1, 1}, weight[3] = {1, 2, 0}, wa[2] = {1, 0},
         wb[2] = {0, 1};
    const void *inputs[4] = {in, a, b, weight};
    real *params[2] = {wa, wb};
    plan_run(p, s, &(plan_io){.inputs = inputs, .params = params}, NULL);
    /* a: (1·1 + 2·9 + 0) / 3; b: (1·1 + 2·9 + 0) / 3 · .5 */
    assert_true(fabs(plan_loss(p, s) - 19. / 3 * 1.5) < 1e-5);
    const param_grad *ga = plan_grad(p, s, 0), *gb = plan_grad(p, s, 1);
    assert_true(fabs((double)ga->dense[0] - (2 * 1 + 2 * 2 * 9) / 3.) < 1e-4); /* sum of w 2 (y - t) x / B */
    assert_true(fabs((double)gb->dense[1] - .5 * (2 * 1 * 2 + 2 * 2 * 3 * 4) / 3.) < 1e-4);
    plan_session_free(s);
    plan_free(p);
    graph_clear(&g);
    net_free(n);
}

static void expect(net *n, const char *part) {
    souk_error err = {0};
    assert_int_equal(net_status(n, &err), SOUK_USAGE);
    if (!strstr(err.message, part)) fail_msg("\"%s\" does not say \"%s\"", err.message, part);
    net_free(n);
}

static void test_mistakes(void **state) {
    rnn_attr lstm = cell(RNN_LSTM, 4, false), sequences = cell(RNN_LSTM, 4, true);
    conv1d_attr conv = {1, 1, PAD_VALID};
    int64_t one = 1;
    (void)state;
    net *n = net_new();
    net_id x = net_embedding(n, NULL, net_input(n, NULL, DT_I32, 1, &T), 10, 4, true);
    net_rnn(n, NULL, net_rnn(n, NULL, x, &lstm, true), &lstm, true);
    net_dense(n, NULL, 0, 3, GEMM_LINEAR, true); /* the first mistake stays */
    expect(n, "layer lstm: it wants a sequence [B,T,C], not [B,4]: the layer before it needs return_sequences");
    n = net_new();
    x = net_input(n, "x", DT_REAL, 1, &one);
    net_dense(n, "a", x, 3, GEMM_LINEAR, true);
    net_dense(n, "a", x, 3, GEMM_LINEAR, true);
    expect(n, "layer a: another layer has this name already");
    n = net_new();
    net_dense(n, NULL, net_input(n, NULL, DT_I32, 1, &T), 3, GEMM_LINEAR, true);
    expect(n, "layer dense: its input is integer ids: put an embedding before it");
    n = net_new();
    x = net_embedding(n, NULL, net_input(n, NULL, DT_I32, 1, &T), 10, 4, false);
    net_conv1d(n, NULL, x, 3, 13, &conv, GEMM_LINEAR, true);
    expect(n, "layer conv1d: a window of 13 steps does not fit into a sequence of 12");
    n = net_new();
    x = net_embedding(n, NULL, net_input(n, NULL, DT_I32, 1, &T), 10, 4, true);
    net_batch_norm(n, NULL, net_rnn(n, NULL, x, &sequences, true), 1e-3, .99);
    expect(n, "layer batch_normalization: its input is a masked sequence");
    n = net_new();
    x = net_embedding(n, NULL, net_input(n, NULL, DT_I32, 1, &T), INT64_MAX / 2, 1000, true);
    expect(n, "layer embedding: its embeddings would be too large");
    n = net_new();
    x = net_dropout(n, NULL, net_input(n, NULL, DT_REAL, 1, &one), 1.5);
    expect(n, "a dropout rate must be at least 0 and below 1, not 1.5");
    n = net_new();
    x = net_embedding(n, NULL, net_input(n, NULL, DT_I32, 1, &T), 10, 4, true);
    net_bidirectional(n, NULL, x, &lstm, true, "summ");
    expect(n, "merge mode \"summ\" is not one of concat, sum, mul, ave: did you mean \"sum\"?");
    n = net_new();
    net_id a = net_embedding(n, NULL, net_input(n, NULL, DT_I32, 1, &T), 10, 4, true);
    net_id b = net_embedding(n, NULL, net_input(n, NULL, DT_I32, 1, &T), 10, 4, true);
    net_add(n, NULL, a, b);
    expect(n, "layer add: its inputs are masked differently");
}

/* A table may have hundreds of columns, and call them what it likes. */
static void test_many_inputs(void **state) {
    enum { N = 300 };
    int64_t one = 1;
    net_id x[N];
    char name[32];
    souk_error err = {0};
    (void)state;
    net *n = net_new();
    for (int i = 0; i < N; i++) {
        snprintf(name, sizeof name, i == 7 ? "embedding" : "column %d", i);
        x[i] = net_input(n, name, i % 3 ? DT_REAL : DT_I32, 1, &one);
    }
    for (int i = 0; i < N; i += 3) x[i] = net_flatten(n, NULL, net_embedding(n, NULL, x[i], 4 + i, 2, false));
    loss_attr loss = {.kind = LOSS_BCE};
    net_output(n, "y", net_dense(n, NULL, net_concat(n, NULL, N, x), 1, GEMM_SIGMOID, true), &loss, 1, false);
    if (net_status(n, &err) != SOUK_OK) fail_msg("%s", err.message);
    assert_int_equal(net_inputs(n), N);
    assert_string_equal(net_param(n, 0)->name, "embedding_1/embeddings");
    assert_string_equal(net_param(n, 99)->name, "embedding_100/embeddings");
    assert_int_equal(net_params(n), N / 3 + 2);
    for (int i = 0; i < N; i++) {
        assert_int_equal(net_input_vocabulary(n, i), i % 3 ? -1 : 4 + i);
        if (i % 3 == 0) assert_int_equal(net_table_input(n, i / 3), i);
    }
    assert_int_equal(net_table_input(n, N / 3), -1); /* the dense layer's kernel */
    net_free(n);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_init_scales),    cmocka_unit_test(test_init_orthogonal),
                                       cmocka_unit_test(test_init_lstm_bias), cmocka_unit_test(test_init_keys),
                                       cmocka_unit_test(test_names),          cmocka_unit_test(test_build_and_run),
                                       cmocka_unit_test(test_two_outputs),    cmocka_unit_test(test_mistakes),
                                       cmocka_unit_test(test_many_inputs)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
