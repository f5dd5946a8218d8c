/* test_keras_steps - 100 training steps from given weights and batches against Keras and PyTorch
 * (tests/ref/make_keras_steps.py).
 *
 * Compiled twice: with real = double against float64 (losses to 1e-8, weights to 1e-7 of the norm of w - w0 for each
 * tensor), and in fp32 against float32 (1e-4 and 1e-3). Ids, targets and initial weights are drawn from Philox on both
 * sides; the fixture holds losses, norms, 8 signed sums and 64 elements of w - w0 per tensor: a signed sum of the
 * errors is as large as the errors' norm. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/rng.h"
#include "nn/net.h"
#include "simd/kern.h"
#include "train/opt.h"

enum { STEPS = 100, SUMS = 8, SAMPLES = 64, BATCHES = 10, CLASSES = 5, MAX_PARAMS = 12 };

typedef struct sizes {
    int64_t V, E, H, T, B;
} sizes;
static const sizes small = {200, 8, 16, 20, 16}, worked = {1000, 16, 32, 100, 32};

typedef net_id (*body_fn)(net *n, net_id ids, sizes d);
typedef struct step_case {
    const char *name;
    const sizes *d;
    body_fn body;
    int classes; /* 0: binary */
    opt_kind kind;
    double rate;
    void (*adjust)(opt_options *o);
} step_case;

/* ---- networks ---- */

static rnn_attr cell(rnn_kind kind, int64_t units) {
    return (rnn_attr){.kind = kind,
                      .units = units,
                      .reset_after = true,
                      .activation = GEMM_TANH,
                      .recurrent_activation = GEMM_SIGMOID};
}

static net_id lstm(net *n, net_id ids, sizes d) {
    rnn_attr a = cell(RNN_LSTM, d.H);
    return net_rnn(n, NULL, net_embedding(n, NULL, ids, d.V, d.E, false), &a, true);
}

static net_id simple_rnn(net *n, net_id ids, sizes d) {
    rnn_attr a = cell(RNN_SIMPLE, d.H);
    return net_rnn(n, NULL, net_embedding(n, NULL, ids, d.V, d.E, false), &a, true);
}

static net_id gru(net *n, net_id ids, sizes d) {
    rnn_attr a = cell(RNN_GRU, d.H);
    return net_rnn(n, NULL, net_embedding(n, NULL, ids, d.V, d.E, false), &a, true);
}

static net_id gru_before(net *n, net_id ids, sizes d) {
    rnn_attr a = cell(RNN_GRU, d.H);
    a.reset_after = false;
    return net_rnn(n, NULL, net_embedding(n, NULL, ids, d.V, d.E, false), &a, true);
}

static net_id bidirectional(net *n, net_id ids, sizes d) {
    rnn_attr a = cell(RNN_LSTM, d.H);
    return net_bidirectional(n, NULL, net_embedding(n, NULL, ids, d.V, d.E, true), &a, true, "concat");
}

static net_id bidirectional_sequences(net *n, net_id ids, sizes d) {
    rnn_attr a = cell(RNN_LSTM, d.H);
    a.return_sequences = true;
    net_id x = net_bidirectional(n, NULL, net_embedding(n, NULL, ids, d.V, d.E, true), &a, true, NULL);
    return net_global_pool(n, NULL, x, true);
}

static net_id conv(net *n, net_id ids, sizes d) {
    conv1d_attr valid = {1, 1, PAD_VALID}, same = {1, 1, PAD_SAME};
    pool1d_attr maximum = {.size = 2, .stride = 2},
                average = {.size = 2, .stride = 2, .padding = PAD_SAME, .average = true};
    net_id x = net_conv1d(n, NULL, net_embedding(n, NULL, ids, d.V, d.E, false), d.H, 5, &valid, GEMM_RELU, true);
    x = net_conv1d(n, NULL, net_pool1d(n, NULL, x, &maximum), d.H, 3, &same, GEMM_TANH, true);
    x = net_pool1d(n, NULL, x, &average);
    net_id both[2] = {net_global_pool(n, NULL, x, false), net_global_pool(n, NULL, x, true)};
    return net_concat(n, NULL, 2, both);
}

static net_id batch_norm(net *n, net_id ids, sizes d) {
    conv1d_attr causal = {1, 1, PAD_CAUSAL};
    net_id x = net_conv1d(n, NULL, net_embedding(n, NULL, ids, d.V, d.E, false), d.H, 3, &causal, GEMM_LINEAR, false);
    x = net_activation(n, NULL, net_batch_norm(n, NULL, x, 1e-3, .99), GEMM_RELU);
    return net_dense(n, NULL, net_flatten(n, NULL, x), d.H, GEMM_ELU, true);
}

static net_id layer_norm(net *n, net_id ids, sizes d) {
    rnn_attr a = cell(RNN_GRU, d.H);
    a.return_sequences = true;
    net_id x = net_layer_norm(n, NULL, net_embedding(n, NULL, ids, d.V, d.E, true), 1e-3);
    return net_global_pool(n, NULL, net_rnn(n, NULL, x, &a, true), true);
}

/* ---- optimisers ---- */

static void with_momentum(opt_options *o) { o->momentum = .9; }
static void with_nesterov(opt_options *o) { o->momentum = .9, o->nesterov = true; }
static void with_momentum_8(opt_options *o) { o->momentum = .8; }
static void with_clip_value(opt_options *o) { o->momentum = .9, o->clip_value = .002; }
static void with_clip_norm(opt_options *o) { o->momentum = .9, o->clip_norm = .02; }
static void with_global_norm(opt_options *o) { o->momentum = .9, o->clip_global_norm = .05; }
static void with_accumulation(opt_options *o) { o->accumulate = 4; }
static void with_average(opt_options *o) { o->ema_momentum = .95; }
static void with_decay(opt_options *o) { o->weight_decay = .01; }
static void with_momentum_decay(opt_options *o) { o->momentum = .9, o->weight_decay = .01; }

/* In the order of CASES and TORCH in the script: the position is the seed. */
static const step_case keras_cases[] = {
    {"worked", &worked, lstm, 0, OPT_ADAM, .002, NULL},
    {"simple_rnn", &small, simple_rnn, 0, OPT_ADAM, .002, NULL},
    {"gru_reset_after", &small, gru, 0, OPT_ADAM, .002, NULL},
    {"gru_reset_before", &small, gru_before, 0, OPT_ADAM, .002, NULL},
    {"bidirectional_masked", &small, bidirectional, 0, OPT_ADAM, .002, NULL},
    {"bidirectional_sequences", &small, bidirectional_sequences, 0, OPT_ADAM, .002, NULL},
    {"conv1d_pool", &small, conv, 0, OPT_ADAM, .002, NULL},
    {"batch_norm", &small, batch_norm, 0, OPT_ADAM, .002, NULL},
    {"layer_norm", &small, layer_norm, 0, OPT_ADAM, .002, NULL},
    {"sgd", &small, lstm, 0, OPT_SGD, .05, NULL},
    {"momentum", &small, lstm, 0, OPT_SGD, .05, with_momentum},
    {"nesterov", &small, lstm, 0, OPT_SGD, .05, with_nesterov},
    {"rmsprop", &small, lstm, 0, OPT_RMSPROP, .002, NULL},
    {"rmsprop_momentum", &small, lstm, 0, OPT_RMSPROP, .002, with_momentum_8},
    {"adam", &small, lstm, 0, OPT_ADAM, .002, NULL},
    {"adamw", &small, lstm, 0, OPT_ADAMW, .002, NULL},
    {"adagrad", &small, lstm, 0, OPT_ADAGRAD, .02, NULL},
    {"clipvalue", &small, lstm, 0, OPT_SGD, .05, with_clip_value},
    {"clipnorm", &small, lstm, 0, OPT_SGD, .05, with_clip_norm},
    {"global_clipnorm", &small, lstm, 0, OPT_SGD, .05, with_global_norm},
    {"accumulate", &small, lstm, 0, OPT_ADAM, .002, with_accumulation},
    {"ema", &small, lstm, 0, OPT_ADAM, .002, with_average},
    {"softmax", &small, lstm, CLASSES, OPT_ADAM, .002, NULL},
};
static const step_case torch_cases[] = {
    {"torch_sgd", &small, lstm, 0, OPT_SGD, .05, NULL},
    {"torch_momentum", &small, lstm, 0, OPT_SGD, .05, with_momentum},
    {"torch_nesterov", &small, lstm, 0, OPT_SGD, .05, with_nesterov},
    {"torch_momentum_decay", &small, lstm, 0, OPT_SGD, .05, with_momentum_decay},
    {"torch_rmsprop", &small, lstm, 0, OPT_RMSPROP, .002, NULL},
    {"torch_rmsprop_momentum", &small, lstm, 0, OPT_RMSPROP, .002, with_momentum_8},
    {"torch_adam", &small, lstm, 0, OPT_ADAM, .002, NULL},
    {"torch_adam_decay", &small, lstm, 0, OPT_ADAM, .002, with_decay},
    {"torch_adamw", &small, lstm, 0, OPT_ADAMW, .002, NULL},
    {"torch_adagrad", &small, lstm, 0, OPT_ADAGRAD, .02, NULL},
};

/* ---- numbers that both sides draw ---- */

static double draw(uint64_t seed, uint32_t step, int64_t i) {
    return rng_uniform((rng_key){seed, RNG_USER, step}, (uint64_t)i);
}

typedef struct batches {
    int32_t *ids;
    real *binary;
    int32_t *classes;
} batches;

static void make_batches(batches *b, uint64_t seed, sizes d) {
    int64_t n = BATCHES * d.B;
    b->ids = mem_calloc((size_t)(n * d.T), sizeof *b->ids);
    b->binary = mem_calloc((size_t)n, sizeof *b->binary);
    b->classes = mem_calloc((size_t)n, sizeof *b->classes);
    for (int64_t r = 0; r < n; r++) {
        int64_t length = 3 + (int64_t)floor(draw(seed, 1, r) * (double)(d.T - 2));
        for (int64_t t = d.T - length < 0 ? 0 : d.T - length; t < d.T; t++)
            b->ids[r * d.T + t] = 1 + (int32_t)floor(draw(seed, 2, r * d.T + t) * (double)(d.V - 1));
        b->binary[r] = (real)floor(draw(seed, 3, r) * 2);
        b->classes[r] = (int32_t)floor(draw(seed, 4, r) * CLASSES);
    }
}

static int64_t count_of(const param_def *p) {
    shape s = shape_make(p->rank, p->d);
    return shape_count(&s);
}

static void start_values(const param_def *p, int i, uint64_t seed, real *out) {
    double rows = 1;
    for (int k = 0; k + 1 < p->rank; k++) rows *= (double)p->d[k];
    double limit = p->rank == 1 ? .1 : 1 / sqrt(rows);
    bool variance = strstr(p->name, "moving_variance") != NULL;
    for (int64_t k = 0; k < count_of(p); k++)
        out[k] = (real)((2 * draw(seed, 100 + (uint32_t)i, k) - 1) * limit + (variance ? 1 : 0));
}

/* ---- a run ---- */

typedef struct run {
    net *n;
    plan *p;
    plan_session *session;
    opt *o;
    real *before[MAX_PARAMS], *after[MAX_PARAMS];
    double loss[STEPS];
} run;

static void setup(run *r, const step_case *c, uint64_t seed, opt_rule rule) {
    souk_error err = {0};
    graph g;
    memset(r, 0, sizeof *r);
    r->n = net_new();
    net_id x = c->body(r->n, net_input(r->n, NULL, DT_I32, 1, &c->d->T), *c->d);
    x = c->classes ? net_softmax(r->n, NULL, net_dense(r->n, NULL, x, c->classes, GEMM_LINEAR, true))
                   : net_dense(r->n, NULL, x, 1, GEMM_SIGMOID, true);
    net_output(r->n, NULL, x, &(loss_attr){.kind = c->classes ? LOSS_CE : LOSS_BCE}, 1, c->classes > 0);
    graph_init(&g, c->d->B, true);
    if (net_build(r->n, &g, &err) != SOUK_OK ||
        plan_new(&r->p, &g, &(plan_options){.row_lists = true}, &err) != SOUK_OK ||
        plan_session_new(&r->session, r->p, 1, &err) != SOUK_OK)
        fail_msg("%s: %s", c->name, err.message);
    graph_clear(&g);
    opt_param params[MAX_PARAMS];
    for (int i = 0; i < net_params(r->n); i++) {
        const param_def *p = net_param(r->n, i);
        int64_t count = count_of(p);
        r->before[i] = mem_array((size_t)count, sizeof(real));
        r->after[i] = mem_array((size_t)count, sizeof(real));
        start_values(p, i, seed, r->before[i]);
        memcpy(r->after[i], r->before[i], (size_t)count * sizeof(real));
        params[i] =
            (opt_param){p->name,     r->after[i],       count, p->is_table ? p->d[p->rank - 1] : 0, p->trainable,
                        p->is_table, p->is_bias_or_norm};
    }
    opt_options options = opt_options_default(c->kind, rule);
    if (c->adjust) c->adjust(&options);
    if (opt_new(&r->o, &options, params, net_params(r->n), &err) != SOUK_OK) fail_msg("%s: %s", c->name, err.message);
}

static void train(run *r, const step_case *c, uint64_t seed) {
    batches b;
    real ones[64];
    for (int i = 0; i < 64; i++) ones[i] = 1;
    make_batches(&b, seed, *c->d);
    for (int s = 0; s < STEPS; s++) {
        int64_t at = s % BATCHES * c->d->B;
        const void *target = c->classes ? (const void *)(b.classes + at) : (const void *)(b.binary + at);
        const void *inputs[3] = {b.ids + at * c->d->T, target, ones};
        const param_grad *g[MAX_PARAMS];
        plan_run(r->p, r->session, &(plan_io){.inputs = inputs, .params = r->after, .seed = seed, .step = (uint32_t)s},
                 NULL);
        r->loss[s] = plan_loss(r->p, r->session);
        for (int i = 0; i < net_params(r->n); i++) g[i] = plan_grad(r->p, r->session, i);
        opt_step(r->o, g, c->rate, NULL);
    }
    for (int i = 0; i < net_params(r->n); i++)
        if (opt_average(r->o, i))
            memcpy(r->after[i], opt_average(r->o, i), (size_t)count_of(net_param(r->n, i)) * sizeof(real));
    mem_free(b.ids);
    mem_free(b.binary);
    mem_free(b.classes);
}

static void teardown(run *r) {
    for (int i = 0; i < MAX_PARAMS; i++) {
        mem_free(r->before[i]);
        mem_free(r->after[i]);
    }
    opt_free(r->o);
    plan_session_free(r->session);
    plan_free(r->p);
    net_free(r->n);
}

/* ---- comparing ---- */

#ifdef SOUK_DOUBLE
static const double loss_tolerance = 1e-8, weight_tolerance = 1e-7;
#else
static const double loss_tolerance = 1e-4, weight_tolerance = 1e-3;
#endif

typedef struct fixture {
    char *data;
    size_t size;
} fixture;

/* The numbers of a case in this build's precision, or NULL; see the script for the layout. */
static const real *find(const fixture *f, const char *name, int *tensors) {
    for (size_t at = 0; at + 48 <= f->size;) {
        int32_t head[4];
        memcpy(head, f->data + at + 32, sizeof head);
        if (head[0] == (int32_t)sizeof(real) && strncmp(f->data + at, name, 32) == 0) {
            *tensors = head[1];
            return (const real *)(const void *)(f->data + at + 48);
        }
        at += 48 + (size_t)head[0] * (size_t)head[2];
    }
    return NULL;
}

/* Largest error of tensor i as a share of the reference's norm of w - w0; *at moves on. */
static double tensor_error(const run *r, int i, uint64_t seed, const real **at) {
    int64_t n = count_of(net_param(r->n, i)), samples = n < SAMPLES ? n : SAMPLES;
    const real *ref = *at, *sample = ref + 1 + SUMS;
    double norm = (double)ref[0], own = 0, squares = 0;
    for (int64_t k = 0; k < n; k++) {
        double delta = (double)r->after[i][k] - (double)r->before[i][k];
        own += delta * delta;
    }
    double worst = fabs(sqrt(own) - norm), sums = 0;
    for (int s = 0; s < SUMS; s++) {
        double sum = 0;
        for (int64_t k = 0; k < n; k++) {
            double delta = (double)r->after[i][k] - (double)r->before[i][k];
            sum += draw(seed, 1000 + 16 * (uint32_t)i + (uint32_t)s, k) < .5 ? -delta : delta;
        }
        sums += (sum - (double)ref[1 + s]) * (sum - (double)ref[1 + s]) / SUMS;
    }
    for (int64_t k = 0; k < samples; k++) {
        int64_t x = k * n / samples;
        double error = (double)r->after[i][x] - (double)r->before[i][x] - (double)sample[k];
        squares += error * error * (double)n / (double)samples;
    }
    *at = sample + samples;
    worst = fmax(worst, fmax(sqrt(sums), sqrt(squares)));
    return norm > 0 ? worst / norm : worst;
}

static bool check_case(const fixture *f, const step_case *c, uint64_t seed, opt_rule rule) {
    run r;
    int tensors = 0;
    const real *ref = find(f, c->name, &tensors);
    if (!ref) fail_msg("no case %s in the fixture", c->name);
    setup(&r, c, seed, rule);
    assert_int_equal(tensors, net_params(r.n));
    train(&r, c, seed);
    double loss_error = 0, weight_error = 0;
    const char *where = "";
    for (int s = 0; s < STEPS; s++) {
        double error = fabs(r.loss[s] - (double)ref[s]);
        if (!(error <= loss_error)) loss_error = error; /* a NaN stays */
    }
    const real *at = ref + STEPS;
    for (int i = 0; i < tensors; i++) {
        double error = tensor_error(&r, i, seed, &at);
        if (!(error <= weight_error)) weight_error = error, where = net_param(r.n, i)->name;
    }
    bool fine = loss_error <= loss_tolerance && weight_error <= weight_tolerance;
    print_message("%-24s losses %.1e, weights %.1e of |w - w0|%s%s%s\n", c->name, loss_error, weight_error,
                  fine ? "" : " (", fine ? "" : where, fine ? "" : ") FAILS");
    teardown(&r);
    return fine;
}

static void check_all(const step_case *cases, size_t n, uint64_t first_seed, opt_rule rule, const char *who) {
    fixture f = {0};
    souk_error err = {0};
    if (fs_read_all(SOUK_SOURCE_DIR "/tests/ref/keras_steps.bin", 64 << 20, &f.data, &f.size, &err) != SOUK_OK)
        fail_msg("%s", err.message);
    size_t fine = 0;
    kern_init();
    for (size_t i = 0; i < n; i++) fine += check_case(&f, &cases[i], first_seed + i, rule);
    print_message("equal to %s: %zu of %zu\n", who, fine, n);
    mem_free(f.data);
    assert_int_equal(fine, n);
}

static void test_keras(void **state) {
    (void)state;
    check_all(keras_cases, sizeof keras_cases / sizeof *keras_cases, 0, OPT_RULE_KERAS, "Keras");
}

static void test_torch(void **state) {
    (void)state;
    check_all(torch_cases, sizeof torch_cases / sizeof *torch_cases, 100, OPT_RULE_TORCH, "PyTorch");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_keras), cmocka_unit_test(test_torch)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
