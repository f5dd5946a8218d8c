/* bench_tok.c - the word tokenizer by Keras' rules: fit, transform, pad, and all of it, on one thread.
 * usage: bench_tok TRAIN.csv [REPEATS=15]    (text is all before a line's last comma; quotes are filters, so they do
 * not matter) Prints JSON lines; the best of the repeats counts, since other processes may use the machine. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/mem.h"
#include "bench.h"
#include "feat/tok_word.h"
#include "simd/kern.h"

enum { MAXLEN = 100 };

typedef struct corpus {
    const char **text;
    size_t *len;
    int64_t n, bytes;
} corpus;

static void fail(const souk_error *err) {
    fprintf(stderr, "bench_tok: %s\n", err->message);
    exit(1);
}

/* Lines behind the header; points into data. */
static corpus split_lines(char *data, size_t n) {
    corpus c = {0};
    size_t lines = 0;
    for (size_t i = 0; i < n; i++) lines += data[i] == '\n';
    c.text = mem_array(lines + 1, sizeof *c.text);
    c.len = mem_array(lines + 1, sizeof *c.len);
    char *line = memchr(data, '\n', n), *end = data + n;
    for (line = line ? line + 1 : end; line < end;) {
        char *stop = memchr(line, '\n', (size_t)(end - line)), *comma = NULL;
        if (!stop) stop = end;
        comma = memrchr(line, ',', (size_t)(stop - line));
        c.text[c.n] = line;
        c.len[c.n] = (size_t)((comma ? comma : stop) - line);
        c.bytes += (int64_t)c.len[c.n++];
        line = stop + 1;
    }
    return c;
}

typedef struct times {
    double fit, transform, pad, all;
} times;

static int64_t bounds_of(const tok_ids *all, const int64_t *start, int64_t n, int32_t *padded) {
    pad_options pad = {.maxlen = MAXLEN};
    for (int64_t i = 0; i < n; i++)
        pad_sequence(&pad, all->id + start[i], start[i + 1] - start[i], padded + i * MAXLEN);
    return all->n;
}

static times run_once(const corpus *c, int32_t *padded, int64_t *start, tok_ids *ids, int64_t *n_ids) {
    tok_word_options o = tok_word_options_default();
    o.num_words = 1000;
    o.oov_token = "<OOV>";
    souk_error err = {0};
    tok_word *t;
    double t0 = bench_now();
    if (tok_word_new(&t, &o, &err) != SOUK_OK) fail(&err);
    for (int64_t i = 0; i < c->n; i++)
        if (tok_word_fit(t, c->text[i], c->len[i], &err) != SOUK_OK) fail(&err);
    if (tok_word_finish(t, &err) != SOUK_OK) fail(&err);
    double t1 = bench_now();
    ids->n = 0;
    for (int64_t i = 0; i < c->n; i++) {
        start[i] = ids->n;
        if (tok_word_encode(t, c->text[i], c->len[i], ids, &err) != SOUK_OK) fail(&err);
    }
    start[c->n] = ids->n;
    double t2 = bench_now();
    *n_ids = bounds_of(ids, start, c->n, padded);
    double t3 = bench_now();
    tok_word_free(t);
    return (times){t1 - t0, t2 - t1, t3 - t2, t3 - t0};
}

static void say(const char *name, double seconds, const corpus *c) {
    printf("{\"peer\": \"souk\", \"threads\": 1, \"name\": \"%s\", \"value\": %.6g, \"unit\": \"documents/s\"}\n", name,
           (double)c->n / seconds);
    printf("{\"peer\": \"souk\", \"threads\": 1, \"name\": \"%s\", \"value\": %.6g, \"unit\": \"MB/s\"}\n", name,
           (double)c->bytes / seconds / 1e6);
}

int main(int argc, char **argv) {
    if (argc < 2) {
        fprintf(stderr, "usage: bench_tok TRAIN.csv [REPEATS=15]\n");
        return 2;
    }
    char *data;
    size_t n;
    souk_error err = {0};
    if (fs_read_all(argv[1], (size_t)1 << 32, &data, &n, &err) != SOUK_OK) fail(&err);
    kern_init();
    corpus c = split_lines(data, n);
    int32_t *padded = mem_array((size_t)c.n * MAXLEN + 1, sizeof *padded);
    int64_t *start = mem_array((size_t)c.n + 1, sizeof *start), n_ids = 0;
    tok_ids ids = {0};
    times best = {1e9, 1e9, 1e9, 1e9};
    for (int k = 0; k < (argc > 2 ? atoi(argv[2]) : 15); k++) {
        times t = run_once(&c, padded, start, &ids, &n_ids);
        best = (times){t.fit < best.fit ? t.fit : best.fit, t.transform < best.transform ? t.transform : best.transform,
                       t.pad < best.pad ? t.pad : best.pad, t.all < best.all ? t.all : best.all};
    }
    bench_print_machine();
    printf("%lld documents, %lld words, %.1f MB, kernels %s\n", (long long)c.n, (long long)n_ids, (double)c.bytes / 1e6,
           kern_isa_name(kern_current()));
    say("fit", best.fit, &c);
    say("transform", best.transform, &c);
    say("pad", best.pad, &c);
    say("fit, transform, pad", best.all, &c);
    tok_ids_clear(&ids);
    mem_free(padded);
    mem_free(start);
    mem_free(c.text);
    mem_free(c.len);
    mem_free(data);
    return 0;
}
