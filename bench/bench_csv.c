/* bench_csv.c - a CSV to typed columns, as a whole table and as a stream, and the separators' masks alone.
 * usage: bench_csv [FILE.csv | ROWS=200000] [REPEATS=5]
 * Without a file it writes its own: ROWS x 41 (28 numbers of 4 decimals, 12 categories of 10 to 10,000 values, a binary
 * target), the shape of gen_tabular.py. Prints JSON lines; the best of the repeats counts, since other processes may
 * use the machine. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/rng.h"
#include "bench.h"
#include "data/csv.h"
#include "data/table.h"
#include "simd/kern.h"

static void fail(const souk_error *err) {
    fprintf(stderr, "bench_csv: %s\n", err->message);
    exit(1);
}

static void write_rows(const char *path, int64_t rows) {
    static const int cards[] = {10, 20, 50, 100, 200, 500, 1000, 2000, 3000, 5000, 8000, 10000};
    souk_error err = {0};
    fs_writer *w = NULL;
    buf b;
    buf_init(&b, 0);
    if (fs_create(&w, path, &err) != SOUK_OK) fail(&err);
    for (int i = 0; i < 28; i++) buf_printf(&b, "n%d,", i);
    for (int i = 0; i < 12; i++) buf_printf(&b, "c%d,", i);
    buf_str(&b, "y\n");
    rng_key key = {.seed = 3, .stream = RNG_USER};
    for (int64_t r = 0; r < rows; r++) {
        key.step = (uint32_t)r;
        for (uint64_t i = 0; i < 28; i++) {
            double v = rng_normal(key, i);
            buf_printf(&b, "%.4f,", i < 20 ? v : exp(v));
        }
        for (uint64_t i = 0; i < 12; i++) {
            double u = rng_uniform(key, 40 + i);
            buf_printf(&b, "v%d,", (int)(cards[i] * u * u));
        }
        buf_str(&b, rng_uniform(key, 60) < .4 ? "1\n" : "0\n");
        if (b.len > 1 << 20) {
            if (fs_write(w, b.data, b.len, &err) != SOUK_OK) fail(&err);
            buf_reset(&b);
        }
    }
    if (fs_write(w, b.data, b.len, &err) != SOUK_OK || fs_commit(w, &err) != SOUK_OK) fail(&err);
    buf_clear(&b);
}

static int64_t read_whole(const char *path) {
    souk_error err = {0};
    table_options o = table_options_default();
    table *t;
    if (table_read(&t, path, &o, &err) != SOUK_OK) fail(&err);
    int64_t n = t->n;
    table_free(t);
    return n;
}

static int64_t read_stream(const char *path) {
    souk_error err = {0};
    table_options o = table_options_default();
    table_reader *r;
    int64_t rows = 0, n;
    if (table_open(&r, path, &o, &err) != SOUK_OK) fail(&err);
    do {
        table *t;
        if (table_next(r, 8192, &t, &err) != SOUK_OK) fail(&err);
        n = t->n;
        rows += n;
        table_free(t);
    } while (n > 0);
    table_close(r);
    return rows;
}

static void report(const char *what, double seconds, double bytes, int64_t rows) {
    printf("{\"bench\": \"csv\", \"what\": \"%s\", \"isa\": \"%s\", \"mb_per_s\": %.0f, \"rows_per_s\": %.0f, "
           "\"seconds\": %.4f, "
           "\"peak_memory_mb\": %.0f}\n",
           what, kern_isa_name(kern_current()), bytes / 1e6 / seconds, (double)rows / seconds, seconds,
           (double)clock_peak_memory() / 1e6);
}

int main(int argc, char **argv) {
    const char *file = argc > 1 && strchr(argv[1], '.') ? argv[1] : NULL;
    int64_t rows = argc > 1 && !file ? strtol(argv[1], NULL, 10) : 200000;
    int repeats = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 5;
    char own[64];
    kern_init();
    bench_print_machine();
    if (!file) {
        snprintf(own, sizeof own, "/tmp/bench_csv_%d.csv", (int)getpid());
        write_rows(own, rows);
        file = own;
    } else
        own[0] = 0;
    double bytes = (double)fs_size(file), whole = 1e9, stream = 1e9;
    for (int i = 0; i < repeats; i++) {
        double start = bench_now();
        rows = read_stream(file);
        double took = bench_now() - start;
        if (took < stream) stream = took;
    }
    report("stream to typed chunks", stream, bytes, rows);
    for (int i = 0; i < repeats; i++) {
        double start = bench_now();
        rows = read_whole(file);
        double took = bench_now() - start;
        if (took < whole) whole = took;
    }
    report("whole table, types from all rows", whole, bytes, rows);
    if (own[0]) unlink(own);
    return 0;
}
