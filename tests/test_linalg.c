/* linalg: Q has orthonormal columns, Q R = A, diag(R) >= 0, and a known answer by hand. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>

#include "base/mem.h"
#include "base/rng.h"
#include "stat/linalg.h"

enum { M_MAX = 128, N_MAX = 32 };

static void check(int64_t m, int64_t n, const double *a, double tolerance) {
    static double q[M_MAX * N_MAX], r[N_MAX * N_MAX];
    souk_error err = {0};
    assert_int_equal(linalg_qr(m, n, a, q, r, &err), SOUK_OK);
    for (int64_t i = 0; i < n; i++) {
        assert_true(r[i * n + i] >= 0);
        for (int64_t j = 0; j < n; j++) {
            double dot = 0;
            for (int64_t k = 0; k < m; k++) dot += q[k * n + i] * q[k * n + j];
            assert_true(fabs(dot - (i == j)) <= 1e-14 * (double)m);
            if (j < i) assert_true(r[i * n + j] == 0);
        }
    }
    for (int64_t i = 0; i < m; i++) {
        for (int64_t j = 0; j < n; j++) {
            double sum = 0;
            for (int64_t k = 0; k < n; k++) sum += q[i * n + k] * r[k * n + j];
            assert_true(fabs(sum - a[i * n + j]) <= tolerance);
        }
    }
}

static void test_random(void **state) {
    (void)state;
    static double a[M_MAX * N_MAX];
    const int64_t shapes[][2] = {{1, 1}, {2, 1}, {3, 3}, {7, 5}, {32, 32}, {128, 32}};
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
        int64_t m = shapes[s][0], n = shapes[s][1];
        for (int64_t i = 0; i < m * n; i++) a[i] = rng_normal((rng_key){7, RNG_INIT, (uint32_t)s}, (uint64_t)i);
        check(m, n, a, 1e-13);
    }
}

static void test_special(void **state) {
    (void)state;
    const double zeros[6] = {0};
    check(3, 2, zeros, 0);
    const double repeated[6] = {1, 1, 2, 2, 3, 3}; /* rank 1 */
    check(3, 2, repeated, 1e-14);
    const double large[4] = {1e300, 1e300, -1e300, 1e300};
    check(2, 2, large, 1e286);
    const double tiny[4] = {1e-300, 2e-300, -1e-300, 1e-300};
    check(2, 2, tiny, 1e-313);
}

static void test_known(void **state) /* first column (3, 4): R = [5 2.2; 0 .4] by hand */
{
    (void)state;
    const double a[4] = {3, 1, 4, 2};
    double q[4], r[4];
    assert_int_equal(linalg_qr(2, 2, a, q, r, NULL), SOUK_OK);
    const double q_want[4] = {.6, -.8, .8, .6}, r_want[4] = {5, 2.2, 0, .4};
    for (int i = 0; i < 4; i++) {
        assert_true(fabs(q[i] - q_want[i]) < 1e-15);
        assert_true(fabs(r[i] - r_want[i]) < 1e-15);
    }
}

static void test_refusals(void **state) {
    (void)state;
    double a[2] = {1, NAN}, q[2];
    souk_error err = {0};
    assert_int_equal(linalg_qr(1, 2, a, q, NULL, &err), SOUK_USAGE);
    assert_int_equal(linalg_qr(2, 1, a, q, NULL, NULL), SOUK_NUMERIC);
    assert_int_equal(mem_live(), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_special),
        cmocka_unit_test(test_known),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
