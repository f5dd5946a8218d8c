/* test_base_rng - Philox against Random123's known answers, the distributions, and dmath's error and bits. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/dmath.h"
#include "base/rng.h"

/* kat_vectors of Random123 for philox4x32 with 10 rounds. */
static void known_answers(void **state) {
    (void)state;
    static const struct {
        uint32_t counter[4], key[2], out[4];
    } cases[] = {{{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
                 {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
                  {0xffffffff, 0xffffffff},
                  {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
                 {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
                  {0xa4093822, 0x299f31d0},
                  {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}}};
    for (size_t i = 0; i < 3; i++) {
        uint32_t out[4];
        rng_philox_raw(cases[i].key, cases[i].counter, out);
        assert_memory_equal(out, cases[i].out, 16);
    }
}

static void layout_of_key_and_counter(void **state) {
    (void)state;
    rng_key key = {.seed = 0x1122334455667788, .stream = 9, .step = 7};
    uint32_t raw_key[2] = {0x55667788, 0x11223344}, counter[4] = {9 ^ 5, 7, 3, 11}, expected[4], out[4];
    rng_philox_raw(raw_key, counter, expected);
    rng_philox(key, (uint64_t)5 << 32 | 3, 11, out);
    assert_memory_equal(out, expected, 16);
    rng_philox(key, 2, 0, out);
    for (uint64_t i = 0; i < 4; i++) assert_int_equal(rng_u32(key, 8 + i), out[i]);
    double u = (double)(((uint64_t)out[2] << 32 | out[3]) >> 11) * 0x1p-53;
    assert_true(rng_uniform(key, 5) == u);
}

/* Mean, variance and extremes; 200,000 draws make 0.01 more than four standard errors. */
static void distributions(void **state) {
    (void)state;
    enum { N = 200000 };
    rng_key key = {.seed = 3, .stream = RNG_USER};
    double u1 = 0, u2 = 0, z1 = 0, z2 = 0, z4 = 0;
    for (uint64_t i = 0; i < N; i++) {
        double u = rng_uniform(key, i), z = rng_normal(key, i);
        assert_true(u >= 0 && u < 1 && fabs(z) < 9);
        u1 += u;
        u2 += u * u;
        z1 += z;
        z2 += z * z;
        z4 += z * z * z * z;
    }
    assert_true(fabs(u1 / N - 0.5) < 0.005 && fabs(u2 / N - 1.0 / 3) < 0.005);
    assert_true(fabs(z1 / N) < 0.01 && fabs(z2 / N - 1) < 0.015 && fabs(z4 / N - 3) < 0.1);
}

/* Chi-square on small n; for n = 2^63 + 1 nearly half of the draws are rejected, and the accepted ones are uniform. */
static void below_is_unbiased(void **state) {
    (void)state;
    rng_key key = {.seed = 8, .stream = RNG_USER};
    for (uint64_t n = 1; n <= 12; n++) {
        double counts[12] = {0}, chi = 0, expected = 24000.0 / (double)n;
        for (uint64_t i = 0; i < 24000; i++) {
            uint64_t v = rng_below(key, i, n);
            assert_true(v < n);
            counts[v]++;
        }
        for (uint64_t v = 0; v < n; v++) chi += (counts[v] - expected) * (counts[v] - expected) / expected;
        assert_true(chi < 45); /* 11 degrees of freedom: beyond 45 once in 200,000 */
    }
    uint64_t n = ((uint64_t)1 << 63) + 1;
    int upper = 0;
    for (uint64_t i = 0; i < 20000; i++) {
        uint64_t v = rng_below(key, i, n);
        assert_true(v < n);
        upper += v >= n / 2;
    }
    assert_true(abs(upper - 10000) < 350);
}

static void permutations(void **state) {
    (void)state;
    rng_key key = {.seed = 1, .stream = RNG_SHUFFLE};
    int64_t out[1000], again[1000], first[5] = {0};
    char seen[1000] = {0};
    rng_permutation(key, 1000, out);
    for (int i = 0; i < 1000; i++) {
        assert_in_range(out[i], 0, 999);
        assert_int_equal(seen[out[i]]++, 0);
    }
    rng_permutation(key, 1000, again);
    assert_memory_equal(out, again, sizeof out);
    key.step = 1;
    rng_permutation(key, 1000, again);
    assert_memory_not_equal(out, again, sizeof out);
    for (uint32_t step = 0; step < 5000; step++) {
        key.step = step;
        rng_permutation(key, 5, out);
        first[out[0]]++;
    }
    for (int i = 0; i < 5; i++) assert_in_range(first[i], 870, 1130);
    rng_permutation(key, 0, out);
}

/* ---- dmath ---- */

typedef struct function {
    const char *name;
    double (*ours)(double);
    long double (*truth)(long double);
    double low, high;
    bool geometric; /* arguments spread over exponents */
} function;

static const function functions[] = {
    {"exp", dmath_exp, expl, -708, 709.7, false},  {"exp", dmath_exp, expl, -1, 1, false},
    {"log", dmath_log, logl, 1e-300, 1e300, true}, {"log", dmath_log, logl, 0.5, 2, false},
    {"sin", dmath_sin, sinl, -7, 7, false},        {"cos", dmath_cos, cosl, -7, 7, false},
    {"sin", dmath_sin, sinl, 1e-20, 1e6, true},    {"cos", dmath_cos, cosl, 1e-20, 1e6, true}};

static double argument(const function *f, rng_key key, uint64_t i) {
    double u = rng_uniform(key, i);
    return f->geometric ? dmath_exp(dmath_log(f->low) + u * (dmath_log(f->high) - dmath_log(f->low)))
                        : f->low + u * (f->high - f->low);
}

static void dmath_is_within_two_ulp(void **state) {
    (void)state;
    if (LDBL_MANT_DIG < 64) skip(); /* the measure is libm in long double */
    for (size_t k = 0; k < sizeof functions / sizeof functions[0]; k++) {
        const function *f = &functions[k];
        rng_key key = {.seed = 4, .stream = RNG_USER, .step = (uint32_t)k};
        double worst = 0;
        for (uint64_t i = 0; i < 50000; i++) {
            double x = argument(f, key, i), got = f->ours(x);
            long double truth = f->truth((long double)x);
            double nearest = (double)truth, ulp = nextafter(fabs(nearest), INFINITY) - fabs(nearest);
            double error = fabs((double)(((long double)got - truth) / (long double)ulp));
            if (!(error <= worst)) worst = error;
        }
        printf("dmath_%s on [%g, %g]: %.2f ulp at most\n", f->name, f->low, f->high, worst);
        assert_true(worst < 2);
    }
}

static void dmath_edges(void **state) {
    (void)state;
    assert_true(dmath_exp(0) == 1 && dmath_exp(1e9) == (double)INFINITY && dmath_exp(-1e9) == 0 &&
                isnan(dmath_exp((double)NAN)));
    assert_true(dmath_exp(-745) > 0 && dmath_exp(-745) < 1e-322 && dmath_exp(709.78) < (double)INFINITY);
    assert_true(dmath_log(1) == 0 && dmath_log(0) == -(double)INFINITY && isnan(dmath_log(-1)) &&
                isnan(dmath_log((double)NAN)));
    assert_true(fabs(dmath_log(5e-324) + 744.4400719213812) < 1e-12 && dmath_log((double)INFINITY) == (double)INFINITY);
    assert_true(dmath_sin(0) == 0 && signbit(dmath_sin(-0.0)) && dmath_cos(0) == 1);
    assert_true(isnan(dmath_sin(1e10)) && isnan(dmath_cos((double)INFINITY)) && isnan(dmath_sin((double)NAN)));
}

/* The same bits on every machine: FNV-1a over the results, recorded once. */
static void bits_never_change(void **state) {
    (void)state;
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t k = 0; k < sizeof functions / sizeof functions[0]; k++) {
        rng_key key = {.seed = 6, .stream = RNG_USER, .step = (uint32_t)k};
        for (uint64_t i = 0; i < 20000; i++) {
            double v[2] = {functions[k].ours(argument(&functions[k], key, i)), rng_normal(key, i)};
            unsigned char bytes[16];
            memcpy(bytes, v, 16);
            for (int b = 0; b < 16; b++) hash = (hash ^ bytes[b]) * 0x100000001b3u;
        }
    }
    if (hash != 0xc54ab00382162758)
        fail_msg("dmath or rng_normal gave other bits: hash %016llx", (unsigned long long)hash);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(known_answers), cmocka_unit_test(layout_of_key_and_counter),
                                       cmocka_unit_test(distributions), cmocka_unit_test(below_is_unbiased),
                                       cmocka_unit_test(permutations),  cmocka_unit_test(dmath_is_within_two_ulp),
                                       cmocka_unit_test(dmath_edges),   cmocka_unit_test(bits_never_change)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
