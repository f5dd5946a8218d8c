/* interval - the percentile bootstrap (Efron & Tibshirani 1993, chapter 13), one task a replicate.
 *
 * A replicate is a count for each row, not a copy of the rows: statistics are computed under weights w × count, so that
 * what was sorted once stays sorted. Draw i of replicate b is word i of the Philox sequence (seed, RNG_BOOTSTRAP, b),
 * scaled to 0 … n-1 by a multiplication (Lemire 2019 without rejection: probabilities differ by at most n / 2^32 of
 * themselves, far below the noise of a thousand replicates). Replicates depend on nothing else, hence the same bits on
 * any threads; and rows are drawn by their place in the data, so that two models scored on the same rows and seed see
 * the same replicates. */
#include "stat/interval.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"

typedef struct bootstrap {
    int64_t n;
    const double *w;
    uint64_t seed;
    int m;
    interval_fn fn;
    void *context;
    int32_t *count; /* [threads, n] */
    double *weight; /* [threads, n] */
    double *value;  /* [replicates, m] */
} bootstrap;

static void draw(const bootstrap *b, int64_t replicate, int32_t *count) {
    rng_key key = {b->seed, RNG_BOOTSTRAP, (uint32_t)replicate};
    memset(count, 0, (size_t)b->n * sizeof *count);
    for (int64_t i = 0; i < b->n; i += 4) {
        uint32_t words[4];
        rng_philox(key, (uint64_t)i / 4, 0, words);
        int64_t left = b->n - i < 4 ? b->n - i : 4;
        for (int64_t j = 0; j < left; j++) count[(uint64_t)words[j] * (uint64_t)b->n >> 32]++;
    }
}

static void run_replicate(void *context, int64_t replicate, int worker) {
    const bootstrap *b = context;
    int32_t *count = b->count + worker * b->n;
    double *weight = b->weight + worker * b->n;
    draw(b, replicate, count);
    for (int64_t i = 0; i < b->n; i++) weight[i] = b->w ? b->w[i] * count[i] : count[i];
    b->fn(b->context, weight, worker, b->value + replicate * b->m);
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

double interval_percentile(const double *sorted, int64_t n, double q) {
    double at = q * (double)(n - 1);
    int64_t i = (int64_t)floor(at);
    if (i >= n - 1) return sorted[n - 1];
    return sorted[i] + (at - (double)i) * (sorted[i + 1] - sorted[i]);
}

static void take_percentiles(const bootstrap *b, int replicates, double *column, double *low, double *high) {
    for (int j = 0; j < b->m; j++) {
        int64_t defined = 0;
        for (int r = 0; r < replicates; r++) {
            double x = b->value[(int64_t)r * b->m + j];
            if (!isnan(x)) column[defined++] = x;
        }
        low[j] = high[j] = NAN;
        if (2 * defined < replicates) continue;
        qsort(column, (size_t)defined, sizeof *column, by_value);
        low[j] = interval_percentile(column, defined, .025);
        high[j] = interval_percentile(column, defined, .975);
    }
}

souk_status interval_bootstrap(int64_t n, const double *w, int replicates, uint64_t seed, int m, interval_fn fn,
                               void *context, pool *workers, double *low, double *high, souk_error *err) {
    if (n < 1 || n > INT32_MAX || replicates < 1 || m < 1)
        return err_set(err, SOUK_USAGE, "a bootstrap needs rows, replicates and statistics");
    bootstrap b = {.n = n, .w = w, .seed = seed, .m = m, .fn = fn, .context = context};
    size_t cells;
    if (!size_mul((size_t)n, (size_t)pool_threads(workers), &cells)) return err_nomem(err, "bootstrap intervals");
    b.count = mem_array(cells, sizeof *b.count);
    b.weight = mem_array(cells, sizeof *b.weight);
    b.value = mem_array((size_t)replicates, (size_t)m * sizeof *b.value);
    double *column = mem_array((size_t)replicates, sizeof *column);
    souk_status status = SOUK_OK;
    if (b.count && b.weight && b.value && column) {
        pool_run(workers, replicates, run_replicate, &b);
        take_percentiles(&b, replicates, column, low, high);
    } else {
        status = err_nomem(err, "bootstrap intervals");
    }
    mem_free(b.count);
    mem_free(b.weight);
    mem_free(b.value);
    mem_free(column);
    return status;
}
