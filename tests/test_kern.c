/* Every kernel of kern.def, on every instruction set of this machine, against plain C: the same bits on random sizes,
 * with tails, unaligned starts, guard pages on both sides, special values, and denormals flushed or not. A kernel
 * without a case fails. Then the accuracy of the mathematical functions against libm in double. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "simd/gemm.h"
#include "simd/rnn.h"
#include "simd_guard.h"

enum { MOST = 200, ARRAYS = 6, EXTRA = 1 << 16 };

/* One run: b are ARRAYS arrays of n numbers between guards; what the case leaves in b, out and extra is compared. */
typedef struct run {
    const kern_table *t;
    int64_t n;
    real *b[ARRAYS];
    real out[4];
    double sum;
    real *extra; /* [EXTRA], zero at the start */
    void *scratch;
    uint64_t seed; /* for choices that both sides must make alike */
} run;

#define CASE(name) static void case_##name(run *x)
CASE(add) { x->t->add(x->n, x->b[0], x->b[1], x->b[2]); }
CASE(sub) { x->t->sub(x->n, x->b[0], x->b[1], x->b[0]); }
CASE(mul) { x->t->mul(x->n, x->b[0], x->b[1], x->b[1]); }
CASE(mul_add) { x->t->mul_add(x->n, x->b[0], x->b[1], x->b[2]); }
CASE(axpy) { x->t->axpy(x->n, (real)1.7, x->b[0], x->b[1]); }
CASE(scale) { x->t->scale(x->n, (real)-0.3, x->b[0], x->b[1]); }
CASE(fill) { x->t->fill(x->n, (real)2.5, x->b[0]); }
CASE(sum) { x->out[0] = x->t->sum(x->n, x->b[0]); }
CASE(dot) { x->out[0] = x->t->dot(x->n, x->b[0], x->b[1]); }
CASE(sum_squares) { x->sum = x->t->sum_squares(x->n, x->b[0]); }
CASE(max) {
    if (x->n > 0) x->out[0] = x->t->max(x->n, x->b[0]);
}
CASE(act) { x->t->act(x->n, (int)(x->seed % (GEMM_SOFTPLUS + 1)), x->b[0], x->b[1]); }
CASE(act_grad) {
    const int act = (int)(x->seed % (GEMM_SOFTPLUS + 1));
    x->t->act(x->n, act, x->b[0], x->b[1]);
    x->t->act_grad(x->n, act, x->b[0], x->b[1], x->b[2], x->b[3]);
}
CASE(exp) { x->t->exp(x->n, x->b[0], x->b[0]); }
CASE(log) { x->t->log(x->n, x->b[0], x->b[1]); }
CASE(erf) { x->t->erf(x->n, x->b[0], x->b[1]); }
CASE(sin) { x->t->sin(x->n, x->b[0], x->b[1]); }
CASE(cos) { x->t->cos(x->n, x->b[0], x->b[1]); }
CASE(pow) { x->t->pow(x->n, x->b[0], x->b[1], x->b[2]); }
CASE(softmax) {
    if (x->n > 0) x->t->softmax(x->n, x->b[0], x->b[1]);
}
CASE(log_sum_exp) {
    if (x->n > 0) x->out[0] = x->t->log_sum_exp(x->n, x->b[0]);
}
CASE(layer_norm) {
    const bool bare = x->seed % 3 == 0;
    if (x->n > 0)
        x->t->layer_norm(x->n, x->b[0], bare ? NULL : x->b[1], bare ? NULL : x->b[2], (real)1e-3, x->b[3], &x->out[0],
                         &x->out[1]);
}
CASE(layer_norm_grad) {
    if (x->n > 0)
        x->t->layer_norm_grad(x->n, x->b[0], x->seed % 3 ? x->b[1] : NULL, x->b[2], (real)0.2, (real)0.7, x->b[3]);
}
CASE(dropout) {
    const uint32_t key[2] = {(uint32_t)x->seed, 7}, counter[4] = {1, 2, (uint32_t)x->seed, 0xfffffff0u};
    x->t->dropout(x->n, key, counter, (real)0.3, x->b[0], x->b[1]);
}
static void positive(run *x, int i) { /* a second moment */
    for (int64_t j = 0; j < x->n; j++) x->b[i][j] = (real)fabs((double)x->b[i][j]);
}
CASE(adam) {
    positive(x, 3);
    x->t->adam(x->n, x->b[0], x->b[1], x->b[2], x->b[3], 0.9, 0.999, (real)1e-2, (real)1e-7,
               x->seed % 2 ? (real)1e-3 : 0);
}
CASE(adam_torch) {
    positive(x, 3);
    x->t->adam_torch(x->n, x->b[0], x->b[1], x->b[2], x->b[3], 0.9, 0.999, (real)1e-2, (real)3.2, (real)1e-8,
                     x->seed % 2 ? (real)1e-3 : 0);
}
CASE(rmsprop) {
    positive(x, 2);
    x->t->rmsprop(x->n, x->b[0], x->b[1], x->b[2], x->seed & 1 ? x->b[3] : NULL, 0.9, (real)1e-2, (real)1e-7,
                  x->seed & 1 ? (real)0.5 : 0, x->seed & 2, (real)1e-3);
}
CASE(sgd) {
    x->t->sgd(x->n, x->b[0], x->b[1], x->seed & 1 ? x->b[2] : NULL, (real)1e-2, x->seed & 1 ? (real)0.9 : 0,
              x->seed & 2, x->seed & 4, (real)1e-3);
}
CASE(adagrad) {
    positive(x, 2);
    x->t->adagrad(x->n, x->b[0], x->b[1], x->b[2], (real)1e-2, (real)1e-7, x->seed & 1, x->seed & 2 ? (real)1e-3 : 0);
}
CASE(average) { x->t->average(x->n, x->b[0], x->b[1], (real)0.99); }
/* Against plain C like the others, and against as many single steps. */
CASE(adam_idle) {
    enum { STEPS = 300 };
    real alpha[STEPS], zeros[MOST] = {0}, *twin = x->extra;
    const size_t bytes = (size_t)x->n * sizeof(real);
    const int64_t rest = (int64_t)(x->seed % 50);
    positive(x, 2);
    for (int t = 0; t < STEPS; t++) alpha[t] = (real)(t < rest ? 1e-3 * (t % 7) : 1e-2);
    for (int i = 0; i < 3; i++) memcpy(twin + i * x->n, x->b[i], bytes);
    x->t->adam_idle(x->n, x->b[0], x->b[1], x->b[2], 0.9, 0.999, alpha, STEPS, rest, (real)1e-7);
    for (int t = 0; t < STEPS; t++)
        x->t->adam(x->n, twin, zeros, twin + x->n, twin + 2 * x->n, 0.9, 0.999, alpha[t], (real)1e-7, 0);
    for (int i = 0; i < 3; i++) assert_memory_equal(twin + i * x->n, x->b[i], bytes);
}

/* The product itself has test_gemm.c; here its four slots work together. */
CASE(gemm) {
    const int64_t m = 5, k = x->n % 37;
    gemm_args g = {.m = m,
                   .n = x->n,
                   .k = k,
                   .a = x->extra + 8000,
                   .lda = k,
                   .b = x->extra + 10000,
                   .ldb = x->n,
                   .c = x->extra,
                   .ldc = x->n,
                   .bias = x->b[0]};
    uint64_t state = x->seed;
    test_fill(x->extra + 8000, 2000 + k * x->n, &state, 50);
    assert_true(x->t->gemm_packed_size(x->n, k) <= 20000 * sizeof(real));
    assert_true(x->t->gemm_scratch(m, x->n, k) <= 1 << 20);
    real *packed = (real *)x->scratch + (1 << 18);
    x->t->gemm_pack(&g, packed);
    g.packed_b = packed;
    x->t->gemm(&g, x->scratch);
}

/* One forward and one backward step of three rows of an LSTM of n % 40 + 1 units; entries 0-2 before, 3-5 after. */
CASE(lstm) {
    const int64_t H = x->n % 40 + 1, padded = rnn_padded(H), before[] = {0, 1, 2}, after[] = {3, 4, 5};
    real *u = x->scratch, *forward = u + 4 * H * H, *backward = forward + rnn_packed_size(H),
         *pre = backward + rnn_packed_size(H);
    real *state = x->extra; /* h, c, gates, tanh c, dh, dc */
    uint64_t random = x->seed;
    test_fill(u, 4 * H * H, &random, 0);
    x->t->lstm_pack(H, u, forward);
    x->t->lstm_pack_t(H, u, backward);
    test_fill(pre, 12 * padded, &random, 40);
    test_fill(state, 42 * padded, &random, 0);
    kern_rnn_args a = {.units = H,
                       .n = 3,
                       .before = before,
                       .after = after,
                       .pre = pre,
                       .pre_row = before,
                       .packed = forward,
                       .h = state,
                       .c = state + 6 * padded,
                       .gates = state + 12 * padded,
                       .tanh_c = state + 36 * padded,
                       .dh = state + 42 * padded,
                       .dc = state + 45 * padded,
                       .grad_row = before};
    x->t->lstm_forward(&a);
    test_fill(a.dh, 6 * padded, &random, 40);
    a.packed = backward;
    x->t->lstm_backward(&a);
    for (int64_t r = 0; r < 48; r++) /* padded lanes hold anything */
        for (int64_t i = H; i < padded; i++) state[r * padded + i] = 0;
}

CASE(tok_classify) {
    static const uint8_t set[16] = {4, 4, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 12, 0, 8, 4};
    uint64_t random = x->seed;
    char *text = (char *)x->b[0]; /* n bytes that end where the array does */
    text += (size_t)x->n * (sizeof(real) - 1);
    for (int64_t i = 0; i < x->n; i++) text[i] = (char)(test_random(&random) & (x->seed & 1 ? 0x7f : 0xff));
    x->t->tok_classify(x->n, text, set, x->seed & 2, (char *)x->extra, (uint64_t *)(void *)(x->extra + 1000));
}

/* Seven columns of rows of nine, rows in any order and repeated. */
CASE(sum_rows) {
    enum { WIDTH = 7, LD = 9 };
    int32_t rows[MOST];
    uint64_t random = x->seed;
    const int64_t have = x->n / LD + (x->n % LD >= WIDTH); /* rows that lie in the array as a whole */
    for (int64_t i = 0; i < x->n; i++) rows[i] = have ? (int32_t)test_below(&random, have) : 0;
    x->t->sum_rows(have ? x->n : 0, rows, x->n < WIDTH ? x->n : WIDTH, LD, x->b[0], x->b[1]);
}

CASE(csv_masks) {
    uint64_t random = x->seed;
    const int64_t blocks = x->n * (int64_t)sizeof(real) / 64;
    char *text = (char *)x->b[0] + x->n * (int64_t)sizeof(real) - blocks * 64;
    for (int64_t i = 0; i < blocks * 64; i++) text[i] = "a,\"\n\r;\t\xff"[test_below(&random, 8)];
    x->t->csv_masks(blocks, text, x->seed & 1 ? ',' : '\t', (uint64_t *)(void *)x->extra,
                    (uint64_t *)(void *)(x->extra + 1000));
}

typedef struct kern_case {
    const char *name;
    void (*fn)(run *x);
} kern_case;

static const kern_case cases[] = {
#define C(name) \
    { #name, case_##name }
    C(add),
    C(sub),
    C(mul),
    C(mul_add),
    C(axpy),
    C(scale),
    C(fill),
    C(sum),
    C(dot),
    C(sum_squares),
    C(max),
    C(act),
    C(act_grad),
    C(exp),
    C(log),
    C(erf),
    C(sin),
    C(cos),
    C(pow),
    C(softmax),
    C(log_sum_exp),
    C(layer_norm),
    C(layer_norm_grad),
    C(dropout),
    C(adam),
    C(adam_torch),
    C(rmsprop),
    C(sgd),
    C(adagrad),
    C(average),
    C(adam_idle),
    C(tok_classify),
    C(sum_rows),
    C(csv_masks),
    C(gemm),
    {"gemm_scratch", case_gemm},
    {"gemm_packed_size", case_gemm},
    {"gemm_pack", case_gemm},
    {"lstm_pack", case_lstm},
    {"lstm_pack_t", case_lstm},
    {"lstm_forward", case_lstm},
    {"lstm_backward", case_lstm},
#undef C
};

static const char *const kernels[] = {
#define KERN(ret, name, args) #name,
#include "simd/kern.def"
#undef KERN
};
enum { KERNELS = sizeof kernels / sizeof *kernels };

static const kern_case *case_of(const char *name) {
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (strcmp(cases[i].name, name) == 0) return &cases[i];
    fail_msg("kern.def has the kernel %s, and test_kern.c no case for it", name);
    return NULL;
}

static void test_every_kernel_has_a_case(void **state) {
    (void)state;
    for (int i = 0; i < KERNELS; i++) assert_non_null(case_of(kernels[i]));
}

/* ---- the same bits ---- */
typedef struct side {
    guard arrays[ARRAYS];
    run x;
} side;

static void side_open(side *s) {
    for (int i = 0; i < ARRAYS; i++) s->arrays[i] = guard_new(MOST * sizeof(real));
    s->x.extra = malloc(EXTRA * sizeof(real));
    s->x.scratch = aligned_alloc(64, 1 << 22);
    assert_non_null(s->x.extra);
    assert_non_null(s->x.scratch);
}
static void side_close(side *s) {
    for (int i = 0; i < ARRAYS; i++) guard_free(&s->arrays[i]);
    free(s->x.extra);
    free(s->x.scratch);
}

static void side_run(side *s, const kern_table *t, const kern_case *c, int64_t n, uint64_t seed, bool at_end) {
    uint64_t state = seed;
    run *x = &s->x;
    x->t = t, x->n = n, x->seed = seed % 1000, x->sum = 0;
    memset(x->out, 0, sizeof x->out);
    memset(x->extra, 0, EXTRA * sizeof(real));
    for (int i = 0; i < ARRAYS; i++) {
        x->b[i] = guard_place(&s->arrays[i], (size_t)n * sizeof(real), at_end);
        test_fill(x->b[i], n, &state, seed % 3 ? 10 : 0);
    }
    c->fn(x);
}

static bool sides_equal(const run *a, const run *b) {
    bool same = test_same(a->out, b->out, 4) && test_same(a->extra, b->extra, EXTRA);
    same = same && (memcmp(&a->sum, &b->sum, sizeof a->sum) == 0 || (a->sum != a->sum && b->sum != b->sum));
    for (int i = 0; i < ARRAYS; i++) same = same && test_same(a->b[i], b->b[i], a->n);
    return same;
}

static void test_same_bits(void **state) {
    static side plain, fast;
    static kern_table c;
    int64_t done = 0, levels = 0;
    (void)state;
    side_open(&plain);
    side_open(&fast);
    kern_fill_c(&c);
    for (kern_isa isa = KERN_AVX2; isa <= KERN_AVX512; isa++) {
        if (!kern_use(isa)) continue;
        levels++;
        for (int k = 0; k < KERNELS; k++) {
            const kern_case *one = case_of(kernels[k]);
            for (uint64_t trial = 0; trial < 120; trial++) {
                uint64_t random = trial * 977 + (uint64_t)k;
                const int64_t n = trial < 36 ? (int64_t)trial : test_below(&random, MOST + 1);
                const bool flush = trial % 2, at_end = trial % 4 < 2;
                const uint32_t saved = flush ? kern_fp_enter() : 0;
                side_run(&plain, &c, one, n, random % 100000, at_end);
                side_run(&fast, &kern, one, n, random % 100000, at_end);
                if (flush) kern_fp_leave(saved);
                if (!sides_equal(&plain.x, &fast.x))
                    fail_msg("%s on %s differs from plain C: n %lld, trial %llu, denormals %s", one->name,
                             kern_isa_name(isa), (long long)n, (unsigned long long)trial, flush ? "flushed" : "kept");
                done++;
            }
        }
    }
    side_close(&plain);
    side_close(&fast);
    print_message("same bits as plain C: %lld of %lld runs of %d kernels on %lld levels\n", (long long)done,
                  (long long)done, (int)KERNELS, (long long)levels);
}

/* ---- accuracy ---- */
/* Error of `got` in units of the last place of the float nearest to `want`; denormal results use the spacing there. */
static double error_ulp(float got, double want) {
    int e;
    if (want != want) return got != got ? 0 : 1e9;
    if (isinf(want) || (isinf(got) && (float)want == got)) return (float)want == got ? 0 : 1e9;
    if (isinf(got) || got != got) return 1e9;
    frexp(want, &e);
    return fabs((double)got - want) / ldexp(1, e < -125 ? -149 : e - 24);
}

static double true_sigmoid(double x) { return 1 / (1 + exp(-x)); }
static double true_softplus(double x) { return (x > 0 ? x : 0) + log1p(exp(-fabs(x))); }
static double true_elu(double x) { return x > 0 ? x : expm1(x); }

typedef struct accuracy {
    const char *name;
    double (*truth)(double);
    int act; /* a gemm_act, or -1: `fn` */
    void (**fn)(int64_t, const real *, real *);
    double most;      /* ulp, as vec_math.h states */
    bool normal_only; /* results below FLT_MIN may be zero */
} accuracy;

static void test_accuracy(void **state) {
    const accuracy list[] = {
        {"exp", exp, -1, &kern.exp, 1, false},       {"log", log, -1, &kern.log, 1, false},
        {"erf", erf, -1, &kern.erf, 1, false},       {"sin", sin, -1, &kern.sin, 1.6, false},
        {"cos", cos, -1, &kern.cos, 1.6, false},     {"sigmoid", true_sigmoid, GEMM_SIGMOID, NULL, 2.3, true},
        {"tanh", tanh, GEMM_TANH, NULL, 2.4, false}, {"softplus", true_softplus, GEMM_SOFTPLUS, NULL, 1.7, false},
        {"elu", true_elu, GEMM_ELU, NULL, 2, false}};
    const int count = sizeof list / sizeof *list;
    real x[256], y[256];
    (void)state;
    for (int f = 0; f < count; f++) {
        double worst = 0;
        for (uint64_t u = 0; u < UINT64_C(1) << 32; u += 256 * 4999) { /* floats of all sizes, 860,000 of them */
            for (int i = 0; i < 256; i++) {
                const uint32_t bits = (uint32_t)(u + (uint64_t)i * 4999 + (u >> 11) % 4999);
                memcpy(&x[i], &bits, sizeof bits);
            }
            if (list[f].act < 0)
                (*list[f].fn)(256, x, y);
            else
                kern.act(256, list[f].act, x, y);
            for (int i = 0; i < 256; i++) {
                const double want = list[f].truth((double)x[i]);
                const bool skip = list[f].normal_only && fabs(want) < 0x1p-126;
                const double error = !skip ? error_ulp(y[i], want) : y[i] >= 0 && y[i] < 0x1.8p-126f ? 0 : 1e9;
                if (!(error <= worst)) worst = error;
            }
        }
        print_message("%-8s largest error %.3f ulp (at most %.1f)\n", list[f].name, worst, list[f].most);
        assert_true(worst <= list[f].most);
    }
}

static void test_pow(void **state) {
    static const real special[] = {0.0f, -0.0f,    1,         -1,  0.5f,   -0.5f,   2,     -2,       3,
                                   -3,   INFINITY, -INFINITY, NAN, 1e-40f, -1e-40f, 1e30f, 16777215, -0.0625f};
    enum { SPECIALS = sizeof special / sizeof *special };
    double worst = 0;
    uint64_t random = 3;
    real x[256], y[256], z[256];
    (void)state;
    for (int i = 0; i < SPECIALS; i++) { /* Annex F: value and sign */
        for (int j = 0; j < SPECIALS; j++) x[j] = special[i];
        kern.pow(SPECIALS, x, special, z);
        for (int j = 0; j < SPECIALS; j++) {
            const double want = pow((double)special[i], (double)special[j]);
            if (!(error_ulp(z[j], want) <= 1.1) || (want == want && !signbit(want) != !signbit(z[j])))
                fail_msg("pow(%g, %g) is %g and should be %g", (double)special[i], (double)special[j], (double)z[j],
                         want);
        }
    }
    for (int trial = 0; trial < 2000; trial++) {
        for (int i = 0; i < 256; i++) {
            const double u = test_random(&random) / 4294967296.0, v = test_random(&random) / 4294967296.0;
            x[i] = (real)exp((u - 0.5) * (trial % 2 ? 20 : 170));
            y[i] = (real)((v - 0.5) * 190 / (log((double)x[i]) + 0.001));
        }
        kern.pow(256, x, y, z);
        for (int i = 0; i < 256; i++) {
            const double error = error_ulp(z[i], pow((double)x[i], (double)y[i]));
            if (!(error <= worst)) worst = error;
        }
    }
    print_message("pow      largest error %.3f ulp (at most 1.1)\n", worst);
    assert_true(worst <= 1.1);
}

/* Known answer: element i is kept when word i % 4 of block i / 4 is at least p * 2^32 (rng.c computes the same words).
 */
static void test_dropout_is_philox(void **state) {
    const uint32_t key[2] = {0xa4093822u, 0x299f31d0u},
                   counter[4] = {0x243f6a88u, 0x85a308d3u, 0x13198a2eu, 0x03707344u};
    const uint32_t words[4] = {0xd16cfe09u, 0x94fdccebu, 0x5001e420u, 0x24126ea1u}; /* kat_vectors of Random123 */
    real x[4] = {1, 1, 1, 1}, y[4];
    (void)state;
    for (int i = 0; i < 4; i++) {
        const real p = (real)(words[i] / 4294967296.0);
        kern.dropout(4, key, counter, (real)((double)p * 0.999), x, y);
        assert_true(y[i] > 1);
        kern.dropout(4, key, counter, (real)((double)p * 1.001), x, y);
        assert_true(y[i] == 0);
    }
}

static void test_fp_state(void **state) {
    volatile float tiny = 1e-40f, one = 1;
    (void)state;
    const uint32_t saved = kern_fp_enter();
    assert_true(tiny * one == 0);
    kern_fp_leave(saved);
    assert_true(tiny * one != 0);
}

static void test_names(void **state) {
    (void)state;
    assert_string_equal(kern_isa_name(KERN_C), "c");
    assert_string_equal(kern_isa_name(KERN_AVX2), "avx2");
    assert_string_equal(kern_isa_name(KERN_AVX512), "avx512");
    assert_true(kern_use(KERN_C));
    assert_int_equal(kern_current(), KERN_C);
    assert_true(kern_supported(KERN_C));
}

static int best_level(void **state) {
    (void)state;
    kern_init();
    for (kern_isa isa = KERN_AVX512; !kern_use(isa); isa--) {
    }
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_kernel_has_a_case),
        cmocka_unit_test(test_same_bits),
        cmocka_unit_test_setup(test_accuracy, best_level),
        cmocka_unit_test_setup(test_pow, best_level),
        cmocka_unit_test_setup(test_dropout_is_philox, best_level),
        cmocka_unit_test(test_fp_state),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
