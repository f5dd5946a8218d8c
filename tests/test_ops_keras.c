/* test_ops_keras - ops against Keras in float64 (tests/ref/ops.txt, made by tests/ref/make_ops.py), in the double
 * build: outputs and the gradients of L = sum(y * c) / B, to 1e-10. */
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

enum { MAX_ARRAYS = 16 };
static const double TOLERANCE = 1e-10;

typedef struct array {
    char key[32];
    int rank;
    int64_t d[4], count;
    double *v;
    int32_t *ints; /* the same values, for masks and class numbers */
} array;

typedef struct reference {
    char name[32];
    array a[MAX_ARRAYS];
    int n;
} reference;

static int64_t cases_run, values_compared;

static array *find(reference *r, const char *key) {
    for (int i = 0; i < r->n; i++)
        if (strcmp(r->a[i].key, key) == 0) return &r->a[i];
    return NULL;
}

/* ---- building: slots 0 … of parameters are x, then the weights in the order asked for ---- */

typedef struct bench {
    graph g;
    reference *r;
    const char *param_keys[8];
    double *params[8];
    const void *inputs[4];
} bench;

static node_id weight(bench *b, const char *key, bool trainable) {
    array *a = find(b->r, key);
    assert_non_null(a);
    int32_t slot = b->g.n_params;
    b->param_keys[slot] = a->key;
    b->params[slot] = a->v;
    return graph_param(&b->g, slot, a->rank, a->d, trainable, key);
}

static node_id data(bench *b, const char *key, dtype type) {
    array *a = find(b->r, key);
    assert_non_null(a);
    int32_t slot = b->g.n_inputs;
    b->inputs[slot] = type == DT_I32 ? (const void *)a->ints : (const void *)a->v;
    return graph_input(&b->g, slot, type, a->rank - 1, a->d + 1);
}

static node_id conv(bench *b, int64_t stride, int64_t dilation, conv_pad padding) {
    conv1d_attr a = {stride, dilation, padding};
    node_id x = weight(b, "x", true), w = weight(b, "w", true);
    return op_conv1d(&b->g, &a, x, w, weight(b, "b", true));
}

static node_id pooled(bench *b, int64_t size, int64_t stride, conv_pad padding, bool average) {
    pool1d_attr a = {size, stride, padding, average};
    return op_pool1d(&b->g, &a, weight(b, "x", true));
}

static node_id layer_norm(bench *b) {
    node_id x = weight(b, "x", true), gain = weight(b, "gain", true);
    return op_layer_norm(&b->g, x, gain, weight(b, "bias", true), 1e-3);
}

static node_id batch_norm(bench *b) {
    node_id x = weight(b, "x", true), gain = weight(b, "gain", true), bias = weight(b, "bias", true),
            mean = weight(b, "mean", false);
    return op_batch_norm(&b->g, x, gain, bias, mean, weight(b, "var", false), 1e-3, 0.99);
}

static node_id loss(bench *b, loss_attr a) {
    node_id x = weight(b, "x", true);
    bool numbers = find(b->r, "t")->rank < find(b->r, "x")->rank;
    return op_loss(&b->g, &a, x, data(b, "t", numbers ? DT_I32 : DT_REAL));
}

static node_id act(bench *b, gemm_act a) { return op_activation(&b->g, weight(b, "x", true), a); }

static node_id build(bench *b) {
    const char *n = b->r->name;
#define CASE(text) \
    if (strcmp(n, text) == 0) return
    CASE("conv_valid") conv(b, 1, 1, PAD_VALID);
    CASE("conv_same") conv(b, 1, 1, PAD_SAME);
    CASE("conv_same_stride") conv(b, 3, 1, PAD_SAME);
    CASE("conv_valid_stride") conv(b, 4, 1, PAD_VALID);
    CASE("conv_causal") conv(b, 1, 2, PAD_CAUSAL);
    CASE("conv_same_dilated") conv(b, 1, 3, PAD_SAME);
    CASE("pool_max") pooled(b, 2, 2, PAD_VALID, false);
    CASE("pool_max_same") pooled(b, 3, 2, PAD_SAME, false);
    CASE("pool_average") pooled(b, 3, 1, PAD_VALID, true);
    CASE("pool_average_same") pooled(b, 4, 3, PAD_SAME, true);
    CASE("global_max_ties") op_global_pool(&b->g, weight(b, "x", true), 0, false);
    CASE("global_average") op_global_pool(&b->g, weight(b, "x", true), 0, true);
    CASE("global_average_masked") op_global_pool(&b->g, weight(b, "x", true), data(b, "mask", DT_I32), true);
    CASE("layer_norm") layer_norm(b);
    CASE("batch_norm") batch_norm(b);
    CASE("bce_logits") loss(b, (loss_attr){.kind = LOSS_SIGMOID_BCE});
    CASE("bce_logits_smooth") loss(b, (loss_attr){.kind = LOSS_SIGMOID_BCE, .label_smoothing = 0.1});
    CASE("bce") loss(b, (loss_attr){.kind = LOSS_BCE});
    CASE("ce_logits") loss(b, (loss_attr){.kind = LOSS_SOFTMAX_CE});
    CASE("ce_logits_smooth") loss(b, (loss_attr){.kind = LOSS_SOFTMAX_CE, .label_smoothing = 0.2});
    CASE("ce_sparse") loss(b, (loss_attr){.kind = LOSS_SOFTMAX_CE});
    CASE("ce") loss(b, (loss_attr){.kind = LOSS_CE});
    CASE("ce_smooth") loss(b, (loss_attr){.kind = LOSS_CE, .label_smoothing = 0.2});
    CASE("mse") loss(b, (loss_attr){.kind = LOSS_MSE});
    CASE("mae") loss(b, (loss_attr){.kind = LOSS_MAE});
    CASE("huber") loss(b, (loss_attr){.kind = LOSS_HUBER, .delta = 0.7});
    CASE("focal") loss(b, (loss_attr){.kind = LOSS_FOCAL, .gamma = 2, .alpha = 0.25});
    CASE("focal_plain") loss(b, (loss_attr){.kind = LOSS_FOCAL, .gamma = 1.5, .alpha = -1, .label_smoothing = 0.1});
    CASE("poisson") loss(b, (loss_attr){.kind = LOSS_POISSON});
    CASE("act_sigmoid") act(b, GEMM_SIGMOID);
    CASE("act_tanh") act(b, GEMM_TANH);
    CASE("act_relu") act(b, GEMM_RELU);
    CASE("act_gelu") act(b, GEMM_GELU);
    CASE("act_gelu_tanh") act(b, GEMM_GELU_TANH);
    CASE("act_silu") act(b, GEMM_SILU);
    CASE("act_elu") act(b, GEMM_ELU);
    CASE("act_softplus") act(b, GEMM_SOFTPLUS);
    CASE("act_softmax") op_softmax(&b->g, weight(b, "x", true));
#undef CASE
    fail_msg("the fixture has a case \"%s\" that this test does not know", n);
    return 0;
}

/* L = sum(y * c) / B: y times the cotangent, summed over a row by a product with ones. */
static void add_loss(bench *b, node_id y) {
    static double ones[256];
    for (int i = 0; i < 256; i++) ones[i] = 1;
    node_id p = op_mul(&b->g, y, data(b, "c", DT_REAL));
    shape s = graph_node(&b->g, p)->shape;
    int64_t row = shape_row(&s), dims[2] = {row, 1};
    if (s.rank > 1) {
        p = op_reshape(&b->g, p, 1, &row);
        assert_true(row <= 256);
        b->params[b->g.n_params] = ones;
        p = op_linear(&b->g, p, graph_param(&b->g, b->g.n_params, 2, dims, false, "ones"), 0);
        p = op_reshape(&b->g, p, 0, NULL);
    }
    graph_loss(&b->g, op_mean_loss(&b->g, p, 0));
}

static void compare(const reference *r, const char *what, const array *want, const double *got) {
    assert_non_null(want);
    for (int64_t i = 0; i < want->count; i++) {
        double error = fabs(got[i] - want->v[i]) / (1 + fabs(want->v[i]));
        if (!(error <= TOLERANCE))
            fail_msg("%s: %s[%lld] is %.17g, Keras has %.17g", r->name, what, (long long)i, got[i], want->v[i]);
        values_compared++;
    }
}

static void run_one(reference *r, bool training) {
    bench b = {.r = r};
    plan *p;
    plan_session *s;
    souk_error err = {0};
    graph_init(&b.g, find(r, "y")->d[0], training);
    node_id y = build(&b);
    graph_output(&b.g, y);
    if (training) add_loss(&b, y);
    if (plan_new(&p, &b.g, NULL, &err) != SOUK_OK) fail_msg("%s: %s", r->name, err.message);
    assert_int_equal(plan_session_new(&s, p, 1, &err), SOUK_OK);
    plan_io io = {.inputs = b.inputs, .params = b.params};
    plan_run(p, s, &io, NULL);
    const array *inferred = find(r, "infer"), *keras = find(r, "keras");
    compare(r, "y", training || !inferred ? find(r, "y") : inferred, plan_output(p, s, 0));
    if (training && keras) compare(r, "y (layer)", keras, plan_output(p, s, 0));
    for (int i = 0; training && i < b.g.n_params && b.param_keys[i]; i++) {
        char key[40];
        snprintf(key, sizeof key, "d%s", b.param_keys[i]);
        const param_grad *g = plan_grad(p, s, i);
        if (g) compare(r, key, find(r, key), g->dense);
    }
    if (training && find(r, "new_mean")) {
        compare(r, "moving mean", find(r, "new_mean"), find(r, "mean")->v);
        compare(r, "moving variance", find(r, "new_var"), find(r, "var")->v);
    }
    plan_session_free(s);
    plan_free(p);
    graph_clear(&b.g);
}

/* ---- reading ---- */

static bool read_array(FILE *f, const char *key, array *a) {
    memset(a, 0, sizeof *a);
    snprintf(a->key, sizeof a->key, "%s", key);
    if (fscanf(f, "%d", &a->rank) != 1 || a->rank < 1 || a->rank > 4) return false;
    a->count = 1;
    for (int i = 0; i < a->rank; i++) {
        long long d;
        if (fscanf(f, "%lld", &d) != 1) return false;
        a->d[i] = d;
        a->count *= d;
    }
    a->v = calloc((size_t)a->count, sizeof *a->v);
    a->ints = calloc((size_t)a->count, sizeof *a->ints);
    for (int64_t i = 0; i < a->count; i++) {
        if (fscanf(f, "%lf", &a->v[i]) != 1) return false;
        a->ints[i] = (int32_t)a->v[i];
    }
    return true;
}

static void finish(reference *r) {
    if (r->n == 0) return;
    run_one(r, false);
    run_one(r, true);
    cases_run++;
    for (int i = 0; i < r->n; i++) {
        free(r->a[i].v);
        free(r->a[i].ints);
    }
    r->n = 0;
}

static void test_against_keras(void **state) {
    (void)state;
    FILE *f = fopen(SOUK_SOURCE_DIR "/tests/ref/ops.txt", "r");
    reference r = {0};
    char word[32];
    assert_non_null(f);
    while (fscanf(f, "%31s", word) == 1) {
        if (strcmp(word, "case") == 0) {
            finish(&r);
            assert_int_equal(fscanf(f, "%31s", r.name), 1);
            continue;
        }
        assert_true(r.n < MAX_ARRAYS);
        assert_true(read_array(f, word, &r.a[r.n++]));
    }
    finish(&r);
    fclose(f);
    printf("%lld of 38 cases agree with Keras in %lld values\n", (long long)cases_run, (long long)values_compared);
    assert_int_equal(cases_run, 38);
}

int main(void) {
    kern_init();
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_against_keras)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
