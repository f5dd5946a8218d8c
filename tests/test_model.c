/* test_model - nets from specs, model files there and back, what a damaged or foreign file is told, scoring. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>

#include "simd/kern.h"
#include "world.h"

#define LABEL "{name: label, type: binary}"
#define PATH SOUK_BUILD_DIR "/test_model.souk"
#define OTHER SOUK_BUILD_DIR "/test_model_2.souk"

static void read_file(const char *path, char **data, size_t *n) {
    souk_error err = {0};
    if (fs_read_all(path, 1 << 30, data, n, &err) != SOUK_OK) fail_msg("%s", err.message);
}

static void predict(const model *m, const dataset *d, int output, int64_t step, pool *crew, float *out) {
    souk_error err = {0};
    scorer *s;
    assert_int_equal(scorer_new(&s, m, &err), SOUK_OK);
    for (int64_t at = 0; at < d->n; at += step) {
        int64_t n = d->n - at < step ? d->n - at : step;
        if (scorer_run(s, d, at, n, output, out + at * net_output_width(m->net, output), crew, &err) != SOUK_OK)
            fail_msg("%s", err.message);
    }
    scorer_free(s);
}

/* Saved, loaded and saved again: the same bytes; and the same predictions. */
static void test_round_trip(void **state) {
    souk_error err = {0};
    world w;
    model *m = NULL;
    char *a, *b;
    size_t na, nb;
    float p[WORLD_ROWS], q[WORLD_ROWS];
    (void)state;
    world_new(&w, LABEL, "{epochs: 3}", 4);
    memcpy(w.m->fingerprint, "0123456789abcdef", 17);
    w.m->metrics = mem_strdup("{\"accuracy\":0.5}");
    if (model_save(w.m, PATH, &err) != SOUK_OK || model_load(&m, PATH, &err) != SOUK_OK) fail_msg("%s", err.message);
    assert_string_equal(m->metrics, w.m->metrics);
    assert_string_equal(m->fingerprint, w.m->fingerprint);
    assert_int_equal(m->seed, 4);
    assert_int_equal(model_save(m, OTHER, &err), SOUK_OK);
    read_file(PATH, &a, &na);
    read_file(OTHER, &b, &nb);
    assert_int_equal(na, nb);
    assert_memory_equal(a, b, na);
    predict(w.m, w.train, 0, w.train->n, NULL, p);
    predict(m, w.train, 0, w.train->n, NULL, q);
    assert_memory_equal(p, q, (size_t)w.train->n * sizeof *p);
    mem_free(a);
    mem_free(b);
    model_free(m);
    world_free(&w);
}

/* One by one, in sevens, all at once, on three threads, on every instruction set: the same bits. */
static void test_batches(void **state) {
    world w;
    float p[WORLD_ROWS], q[WORLD_ROWS];
    pool *three = pool_new(3);
    kern_isa before = kern_current();
    (void)state;
    world_new(&w, LABEL, "{epochs: 3}", 4);
    predict(w.m, w.train, 0, w.train->n, NULL, p);
    for (int64_t i = 0; i < w.train->n; i++) assert_true(p[i] > 0 && p[i] < 1);
    for (int isa = KERN_C; isa <= KERN_AVX512; isa++) {
        if (!kern_use((kern_isa)isa)) continue;
        for (int64_t step = 1; step <= w.train->n; step += step == 1 ? 6 : w.train->n - 7) {
            memset(q, 0, sizeof q);
            predict(w.m, w.train, 0, step, isa % 2 ? three : NULL, q);
            assert_memory_equal(p, q, (size_t)w.train->n * sizeof *p);
        }
    }
    kern_use(before);
    pool_free(three);
    world_free(&w);
}

/* Classes sum to one; numbers come in their own unit. */
static void test_outputs(void **state) {
    world w;
    float p[3 * WORLD_ROWS];
    (void)state;
    world_new(&w, "{name: shop, type: category}", "{epochs: 1}", 1);
    assert_int_equal(net_output_width(w.m->net, 0), pipeline_class_count(w.m->pipeline, 0));
    predict(w.m, w.train, 0, w.train->n, NULL, p);
    for (int64_t i = 0; i < w.train->n; i++) assert_true(fabsf(p[3 * i] + p[3 * i + 1] + p[3 * i + 2] - 1) < 1e-5f);
    world_free(&w);
    world_new(&w, "{name: spend, type: number}", "{epochs: 1}", 1);
    predict(w.m, w.train, 0, w.train->n, NULL, p);
    for (int64_t i = 0; i < w.train->n; i++) assert_true(p[i] > -40 && p[i] < 80); /* around 20, not around 0 */
    world_free(&w);
    world_new(&w, LABEL "\n  - {name: shop, type: category, loss_weight: 0.5}", "{epochs: 1}", 1);
    assert_int_equal(net_outputs(w.m->net), 2);
    predict(w.m, w.train, 1, w.train->n, NULL, p);
    assert_true(fabsf(p[0] + p[1] + p[2] - 1) < 1e-5f);
    world_free(&w);
}

static void test_names(void **state) {
    world w;
    (void)state;
    world_new(&w, LABEL, "{epochs: 1}", 1);
    const char *names[] = {"embedding/embeddings", "bidirectional/forward_lstm/kernel", "embedding_1/embeddings",
                           "dense/kernel", "dense_1/bias"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) assert_true(net_find_param(w.m->net, names[i]) >= 0);
    assert_string_equal(net_input_name(w.m->net, 0), "text");
    assert_string_equal(net_output_name(w.m->net, 0), "label");
    world_free(&w);
}

/* Copies a file, leaving out, renaming or reshaping one tensor, or changing one text. */
typedef struct change {
    const char *drop, *add, *flatten, *meta, *value;
} change;

static void rewrite(const change *c) {
    souk_error err = {0};
    model_file *f;
    model_writer *w;
    static const char *const keys[] = {"spec", "seed", "fingerprint", "metrics"};
    static const float extra[2] = {1, 2};
    int64_t two = 2;
    if (model_file_open(&f, PATH, true, &err) != SOUK_OK || model_writer_new(&w, &err) != SOUK_OK)
        fail_msg("%s", err.message);
    for (int i = 0; i < 4; i++) {
        const char *value = model_file_meta(f, keys[i]);
        if (c->meta && strcmp(keys[i], c->meta) == 0) value = c->value;
        if (value) assert_int_equal(model_writer_meta(w, keys[i], value, &err), SOUK_OK);
    }
    for (int64_t i = 0; i < model_file_count(f); i++) {
        const file_tensor *t = model_file_at(f, i);
        int64_t all = t->d[0] * (t->rank > 1 ? t->d[1] : 1);
        bool flat = c->flatten && strcmp(t->name, c->flatten) == 0;
        if (c->drop && strcmp(t->name, c->drop) == 0) continue;
        assert_int_equal(
            model_writer_tensor(w, t->name, t->type, flat ? 1 : t->rank, flat ? &all : t->d, t->data, &err), SOUK_OK);
    }
    if (c->add) assert_int_equal(model_writer_tensor(w, c->add, FILE_F32, 1, &two, extra, &err), SOUK_OK);
    if (model_writer_save(w, OTHER, &err) != SOUK_OK) fail_msg("%s", err.message);
    model_writer_free(w);
    model_file_close(f);
}

static void test_damage(void **state) {
    souk_error err = {0};
    world w;
    static const struct {
        change c;
        const char *part;
    } cases[] = {
        {{.drop = "w/dense/kernel"}, "w/dense/kernel"},
        {{.drop = "asset/pipeline"}, "asset/pipeline"},
        {{.add = "w/other"}, "weights, and the spec makes a network of"},
        {{.flatten = "w/dense/kernel"}, "w/dense/kernel"},
        {{.meta = "spec", .value = NULL}, "no spec"},
        {{.meta = "spec", .value = "{\"trainer\":{\"epochz\":3}}"}, "spec"},
        {{.meta = "spec",
          .value = "{\"input_features\":[{\"name\":\"a\",\"type\":\"number\"}],\"output_features\":[{\"name\":\"b\","
                   "\"type\":\"binary\"}]}"},
         "has 1 inputs and 1 outputs, and its encoders were fitted for 4 and 1"},
        {{.meta = "spec",
          .value = "{\"input_features\":[{\"name\":\"text\",\"type\":\"text\"},{\"name\":\"size\",\"type\":"
                   "\"number\"},{\"name\":\"colour\",\"type\":\"category\"},{\"name\":\"member\",\"type\":"
                   "\"binary\"}],\"output_features\":[{\"name\":\"label\",\"type\":\"category\"}]}"},
         "the category feature \"label\" where its encoders were fitted for the binary feature \"label\""},
        {{.meta = "fingerprint", .value = "12"}, "fingerprint"},
        {{.meta = "metrics", .value = "{\"a\":1}, \"b\": 2"}, "training record"},
        {{.meta = "metrics", .value = "7"}, "training record"},
    };
    (void)state;
    world_new(&w, LABEL, "{epochs: 3}", 4);
    w.m->metrics = mem_strdup("{}");
    assert_int_equal(model_save(w.m, PATH, &err), SOUK_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        model *m;
        int64_t live = mem_live();
        rewrite(&cases[i].c);
        err = (souk_error){0};
        assert_int_equal(model_load(&m, OTHER, &err), SOUK_CORRUPT);
        assert_int_equal(err.code, SOUK_CORRUPT);
        assert_null(m);
        if (!strstr(err.message, cases[i].part)) fail_msg("\"%s\" does not say \"%s\"", err.message, cases[i].part);
        assert_int_equal(mem_live(), live);
    }
    world_free(&w);
}

/* Rows of 200,000 steps: 1,024 of them at once would take gigabytes, so fewer are; the bits do not depend on it. */
static void test_long_rows(void **state) {
    static const char text[] = "input_features:\n  - name: text\n    type: text\n"
                               "    preprocessing: {pad_sequences: {maxlen: 200000}}\n"
                               "    encoder: {type: sequential, layers: [{type: embedding, output_dim: 8},"
                               " {type: global_average_pooling1d}]}\n"
                               "output_features:\n  - {name: label, type: binary}\n";
    enum { LONG_ROWS = 70 };
    souk_error err = {0};
    world w;
    spec *s;
    pipeline *pl;
    dataset *d;
    model *m;
    scorer *all;
    float p[LONG_ROWS], q[LONG_ROWS];
    (void)state;
    world_new(&w, LABEL, "{epochs: 1}", 1);
    if (spec_parse(&s, text, sizeof text - 1, "long", NULL, &err) != SOUK_OK) fail_msg("%s", err.message);
    if (pipeline_fit(&pl, &s->inputs[0].feature, 1, &s->outputs[0].feature, 1, w.t, NULL, 0, "world.csv", &err) ||
        model_new(&m, s, pl, 1, &err) || scorer_new(&all, m, &err))
        fail_msg("%s", err.message);
    int64_t rows[LONG_ROWS], before = mem_live_bytes();
    for (int i = 0; i < LONG_ROWS; i++) rows[i] = i;
    if (pipeline_encode(pl, w.t, rows, LONG_ROWS, false, "world.csv", &d, NULL, &err)) fail_msg("%s", err.message);
    if (scorer_run(all, d, 0, d->n, 0, p, NULL, &err)) fail_msg("%s", err.message);
    assert_true(mem_live_bytes() - before < (int64_t)400 << 20);
    scorer_free(all);
    predict(m, d, 0, 1, NULL, q);
    assert_memory_equal(p, q, sizeof p);
    dataset_free(d);
    model_free(m);
    world_free(&w);
}

/* An id outside its table is found before a kernel reads it. */
static void test_ids(void **state) {
    souk_error err = {0};
    world w;
    scorer *s;
    float p;
    (void)state;
    world_new(&w, LABEL, "{epochs: 1}", 1);
    w.train->inputs[0].ids[9 * 3 + 8] = 1000;
    assert_int_equal(scorer_new(&s, w.m, NULL), SOUK_OK);
    assert_int_equal(scorer_run(s, w.train, 3, 1, 0, &p, NULL, &err), SOUK_INPUT);
    assert_non_null(strstr(err.message, "input \"text\": row 3 holds the id 1000"));
    scorer_free(s);
    world_free(&w);
}

/* After the first batch of a size, scoring allocates nothing. */
static void test_no_allocation(void **state) {
    world w;
    scorer *s;
    float p[WORLD_ROWS];
    (void)state;
    world_new(&w, LABEL, "{epochs: 1}", 1);
    assert_int_equal(scorer_new(&s, w.m, NULL), SOUK_OK);
    assert_int_equal(scorer_run(s, w.train, 0, w.train->n, 0, p, NULL, NULL), SOUK_OK);
    int64_t before = mem_calls();
    for (int i = 0; i < 20; i++) assert_int_equal(scorer_run(s, w.train, 0, w.train->n, 0, p, NULL, NULL), SOUK_OK);
    assert_int_equal(mem_calls(), before);
    scorer_free(s);
    world_free(&w);
}

/* The n-th allocation fails, for all n: an error, no leak. */
static bool fail_nth(void *context) { return (*(int *)context)-- == 0; }

static void test_out_of_memory(void **state) {
    world w;
    int n, refused = 0;
    (void)state;
    world_new(&w, LABEL, "{epochs: 3}", 4);
    assert_int_equal(model_save(w.m, PATH, NULL), SOUK_OK);
    int64_t live = mem_live();
    for (n = 0;; n++) {
        int left = n;
        souk_error err = {0};
        model *m = NULL;
        mem_set_fault(fail_nth, &left);
        souk_status status = model_load(&m, PATH, &err);
        if (status == SOUK_OK) status = model_save(m, OTHER, &err);
        mem_set_fault(NULL, NULL);
        model_free(m);
        assert_int_equal(mem_live(), live);
        if (left >= 0) break;
        if (status != SOUK_OK && err.message[0]) refused++;
    }
    print_message("%d of %d failed allocations gave an error and no leak\n", refused, n);
    assert_int_equal(refused, n);
    world_free(&w);
}

static int init(void **state) {
    (void)state;
    kern_init();
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_batches),       cmocka_unit_test(test_outputs),
        cmocka_unit_test(test_names),      cmocka_unit_test(test_damage),        cmocka_unit_test(test_long_rows),
        cmocka_unit_test(test_ids),        cmocka_unit_test(test_no_allocation), cmocka_unit_test(test_out_of_memory)};
    return cmocka_run_group_tests(tests, init, NULL);
}
