/* bench_predict.c - prediction through the public interface, process already running: one document, and batches of
 * 1,024. usage: bench_predict MODEL.souk TEXTS.csv    (text is the first column; quotes are not looked at: speed only)
 * "one" and "texts" include tokenising; "ids" starts from encoded arrays, as the rivals' figures do. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "souk.h"

enum { N = 8192, T = 100 };

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static char **read_texts(const char *path, int64_t *n) {
    FILE *f = fopen(path, "r");
    char **texts = calloc(N, sizeof *texts), *line = NULL;
    size_t capacity = 0;
    *n = 0;
    if (f && getline(&line, &capacity, f) > 0)
        while (*n < N && getline(&line, &capacity, f) > 0) {
            char *comma = strrchr(line, ',');
            if (comma) *comma = 0;
            texts[(*n)++] = strdup(line);
        }
    if (f) fclose(f);
    free(line);
    return texts;
}

static void say(const char *name, double value, const char *unit) {
    printf("{\"peer\": \"souk\", \"name\": \"%s\", \"value\": %.6g, \"unit\": \"%s\"}\n", name, value, unit);
}

static int fail(const souk_error *err) {
    fprintf(stderr, "%s\n", err->message);
    return 1;
}

static int bench_texts(const souk_model *m, const char *const *texts, int64_t n, souk_error *err) {
    static double p[N], took[2001];
    for (int i = 0; i < 2001; i++) {
        double t = now();
        if (souk_predict_texts(m, &texts[i % n], 1, p, err)) return fail(err);
        took[i] = now() - t;
    }
    qsort(took, 2001, sizeof *took, by_value);
    say("predict one text", took[1000] * 1e3, "ms");
    say("predict one text, 99th percentile", took[1980] * 1e3, "ms");
    double best = 1e9;
    for (int r = 0; r < 5; r++) {
        double t = now();
        for (int64_t i = 0; i < n; i += 1024)
            if (souk_predict_texts(m, &texts[i], n - i < 1024 ? n - i : 1024, p + i, err)) return fail(err);
        if (now() - t < best) best = now() - t;
    }
    say("predict texts, batches of 1,024, one thread", (double)n / best, "documents/s");
    return 0;
}

static int bench_ids(const char *const *texts, int64_t n, souk_error *err) {
    static int32_t ids[N * T];
    static float y[N], p[N];
    static double took[2001];
    souk_tokenizer *tok = NULL;
    souk_tokenizer_options to = souk_tokenizer_options_default();
    to.num_words = 1000;
    to.oov_token = "<OOV>";
    if (souk_tokenizer_fit(&tok, &to, texts, n, err) || souk_tokenizer_encode(tok, texts, n, T, ids, err))
        return fail(err);
    souk_net *net = souk_net_new();
    souk_tensor x = souk_lstm(net, souk_embedding(net, souk_input_ids(net, "tokens", T), 1000, 16, false), 32);
    souk_output(net, "label", souk_dense(net, x, 1, SOUK_SIGMOID), SOUK_BINARY_CROSSENTROPY);
    souk_fit_options fo = souk_fit_options_default();
    fo.epochs = 1;
    souk_array in = {.ids = ids}, out = {.values = y};
    if (souk_net_fit(net, 64, &in, &out, &fo, NULL, NULL, err)) return fail(err);
    double best = 1e9;
    for (int r = 0; r < 6; r++) {
        double t = now();
        if (souk_net_predict(net, n, &in, p, err)) return fail(err);
        if (now() - t < best) best = now() - t;
    }
    say("predict, batches of 1,024", (double)n / best, "documents/s");
    for (int i = 0; i < 2001; i++) {
        souk_array one = {.ids = ids + (i % n) * T};
        double t = now();
        if (souk_net_predict(net, 1, &one, p, err)) return fail(err);
        took[i] = now() - t;
    }
    qsort(took, 2001, sizeof *took, by_value);
    say("predict one", took[1000] * 1e3, "ms");
    souk_net_free(net);
    souk_tokenizer_free(tok);
    return 0;
}

int main(int argc, char **argv) {
    souk_error err = {0};
    souk_model *m = NULL;
    int64_t n = 0;
    if (argc != 3) {
        fprintf(stderr, "usage: bench_predict MODEL.souk TEXTS.csv\n");
        return 2;
    }
    char **texts = read_texts(argv[2], &n);
    if (n < 64) {
        fprintf(stderr, "%s: fewer than 64 rows\n", argv[2]);
        return 2;
    }
    if (souk_model_load(argv[1], &m, &err)) return fail(&err);
    int status = bench_texts(m, (const char *const *)texts, n, &err);
    if (!status) status = bench_ids((const char *const *)texts, n, &err);
    souk_model_free(m);
    for (int64_t i = 0; i < n; i++) free(texts[i]);
    free(texts);
    return status;
}
