/* interval: percentiles as numpy's, same bits on 1, 2, 3 and 7 threads, coverage of a mean's interval, undefined
 * replicates. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "stat/interval.h"
#include "stat/metric.h"

enum { N = 200 };

typedef struct mean_job {
    int64_t n;
    const double *x;
} mean_job;

static void mean_under(void *context, const double *w, int worker, double *values) {
    const mean_job *j = context;
    (void)worker;
    double sum = 0, weight = 0;
    for (int64_t i = 0; i < j->n; i++) {
        sum += w[i] * j->x[i];
        weight += w[i];
    }
    values[0] = sum / weight;
    values[1] = weight;
}

static void test_percentile(void **state) /* numpy.percentile([1, 2, 4, 8], [0, 2.5, 50, 97.5, 100]) */
{
    (void)state;
    const double x[4] = {1, 2, 4, 8}, q[5] = {0, .025, .5, .975, 1}, want[5] = {1, 1.075, 3, 7.7, 8};
    for (int i = 0; i < 5; i++) assert_true(fabs(interval_percentile(x, 4, q[i]) - want[i]) < 1e-14);
    assert_true(interval_percentile(x, 1, .975) == 1);
}

/* Each replicate draws n rows in all; of a mean, the interval is near mean ± 1.96 s / sqrt(n). */
static void test_mean(void **state) {
    (void)state;
    double x[N], low[2], high[2], mean = 0, variance = 0;
    for (int i = 0; i < N; i++) mean += (x[i] = rng_normal((rng_key){3, RNG_USER, 0}, (uint64_t)i)) / N;
    for (int i = 0; i < N; i++) variance += (x[i] - mean) * (x[i] - mean) / (N - 1);
    mean_job j = {N, x};
    assert_int_equal(interval_bootstrap(N, NULL, 4000, 1, 2, mean_under, &j, NULL, low, high, NULL), SOUK_OK);
    double half = 1.96 * sqrt(variance / N);
    assert_true(fabs(low[0] - (mean - half)) < .15 * half && fabs(high[0] - (mean + half)) < .15 * half);
    assert_true(low[1] == N && high[1] == N);
}

static void test_coverage(
    void **state) /* 400 data sets of 50 exponential values, true mean 1; theory for this n: about .925 */
{
    (void)state;
    enum { SETS = 400, ROWS = 50 };
    int covered = 0;
    for (int s = 0; s < SETS; s++) {
        double x[ROWS], low[2], high[2];
        for (int i = 0; i < ROWS; i++) x[i] = -log(1 - rng_uniform((rng_key){5, RNG_USER, (uint32_t)s}, (uint64_t)i));
        mean_job j = {ROWS, x};
        assert_int_equal(interval_bootstrap(ROWS, NULL, 400, (uint64_t)s, 2, mean_under, &j, NULL, low, high, NULL),
                         SOUK_OK);
        covered += low[0] <= 1 && 1 <= high[0];
    }
    print_message("the 95 %% interval of a mean of 50 exponential values holds it %d times in %d\n", covered, SETS);
    assert_true(covered >= SETS * 89 / 100 && covered <= SETS * 97 / 100);
}

/* The whole metric set, every task, on 1, 2, 3 and 7 threads. */
static void test_same_bits(void **state) {
    (void)state;
    static double y[N], p[N * 3], w[N];
    const int threads[] = {1, 2, 3, 7};
    for (int task = TASK_BINARY; task <= TASK_NUMBER; task++) {
        metric_set first = {0}, set;
        for (int i = 0; i < N; i++) {
            y[i] = (i * 7 + i / 9) % (task == TASK_BINARY ? 2 : 3);
            w[i] = 1 + i % 4;
            for (int c = 0; c < 3; c++) p[i * 3 + c] = .1 + (double)((i * 13 + c * 5) % 9) / 20 + .2 * (c == (int)y[i]);
        }
        for (size_t t = 0; t < sizeof threads / sizeof *threads; t++) {
            pool *workers = pool_new(threads[t]);
            assert_non_null(workers);
            assert_int_equal(metric_all(&set, (metric_task)task, N, 3, y, p, w, .5, 200, 9, workers, NULL), SOUK_OK);
            if (t == 0) first = set;
            for (int i = 0; i < set.n; i++) {
                assert_memory_equal(&set.v[i].low, &first.v[i].low, 2 * sizeof(double));
                assert_true(set.v[i].low <= set.v[i].high || isnan(set.v[i].value));
            }
            if (t > 0) metric_set_clear(&set);
            pool_free(workers);
        }
        metric_set_clear(&first);
    }
    assert_int_equal(mem_live(), 0);
}

static void test_other_seed(void **state) {
    (void)state;
    double x[N], a[2], b[2], c[2];
    for (int i = 0; i < N; i++) x[i] = i;
    mean_job j = {N, x};
    assert_int_equal(interval_bootstrap(N, NULL, 100, 1, 2, mean_under, &j, NULL, a, c, NULL), SOUK_OK);
    assert_int_equal(interval_bootstrap(N, NULL, 100, 2, 2, mean_under, &j, NULL, b, c, NULL), SOUK_OK);
    assert_true(a[0] != b[0]);
}

/* One positive row in 200: it is absent from about 37 % of the replicates, so the AUC has an interval; with most
 * undefined it has none. */
static void sometimes(void *context, const double *w, int worker, double *values) {
    const mean_job *j = context;
    (void)worker;
    values[0] = w[0] > 0 ? 1 : NAN;
    values[1] = w[0] > 1 ? (double)j->n : NAN;
}

static void test_undefined(void **state) {
    (void)state;
    double low[2], high[2];
    mean_job j = {N, NULL};
    assert_int_equal(interval_bootstrap(N, NULL, 1000, 1, 2, sometimes, &j, NULL, low, high, NULL), SOUK_OK);
    assert_true(low[0] == 1 && high[0] == 1);
    assert_true(isnan(low[1]) && isnan(high[1]));
    assert_int_equal(interval_bootstrap(0, NULL, 10, 1, 2, sometimes, &j, NULL, low, high, NULL), SOUK_USAGE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_percentile), cmocka_unit_test(test_mean),       cmocka_unit_test(test_coverage),
        cmocka_unit_test(test_same_bits),  cmocka_unit_test(test_other_seed), cmocka_unit_test(test_undefined),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
