/* test_api.c - the library as an engineer links it: one immutable model in many threads at once (also under TSan), the
 * net layer by layer, errors that come back as values. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>

#include "base/mem.h"
#include "base/thread.h"
#include "program.h"
#include "souk.h"

static const char yaml[] = "input_features:\n  - name: text\n    type: text\n    preprocessing: {tokenizer: "
                           "{num_words: 100, oov_token: \"<OOV>\"}, pad_sequences: {maxlen: 12}}\n"
                           "    encoder: {type: lstm, embedding_size: 4, units: 8}\n"
                           "output_features:\n  - {name: label, type: binary}\n"
                           "trainer: {epochs: 1, batch_size: 32}\n";

enum { THREADS = 6, ROUNDS = 25, TEXTS = 3 };
static const char *const texts[TEXTS] = {"Great phone, I love it.", "The worst film ever", ""};
static souk_model *model;
static double expected[TEXTS];

static int setup(void **state) {
    (void)state;
    program_folder("api");
    if (system("head -201 '" SOUK_SOURCE_DIR "/examples/data/reviews.csv' > reviews.csv")) return 1;
    souk_error err = {0};
    souk_train_options o = souk_train_options_default();
    o.config_text = yaml;
    o.threads = 2;
    o.replicates = 10;
    if (souk_train("reviews.csv", &o, &model, NULL, &err) != SOUK_OK) {
        print_message("%s\n", err.message);
        return 1;
    }
    return souk_predict_texts(model, texts, TEXTS, expected, &err) != SOUK_OK;
}

static int teardown(void **state) {
    (void)state;
    souk_model_free(model);
    model = NULL;
    if (mem_live()) print_message("%lld blocks leaked\n", (long long)mem_live());
    return mem_live() != 0;
}

typedef struct caller {
    int wrong;
} caller;

static void predict_many(void *context) {
    caller *c = context;
    for (int i = 0; i < ROUNDS; i++) {
        double p[TEXTS];
        souk_error err = {0};
        if (souk_predict_texts(model, texts, TEXTS, p, &err) != SOUK_OK || memcmp(p, expected, sizeof p)) c->wrong++;
    }
}

static void test_threads_share_a_model(void **state) {
    (void)state;
    caller callers[THREADS] = {{0}};
    thread *t[THREADS];
    for (int i = 0; i < THREADS; i++) assert_non_null(t[i] = thread_start(predict_many, &callers[i]));
    int wrong = 0;
    for (int i = 0; i < THREADS; i++) {
        thread_join(t[i]);
        wrong += callers[i].wrong;
    }
    print_message("%d threads, %d predictions with one model: %d differ\n", THREADS, THREADS * ROUNDS * TEXTS, wrong);
    assert_int_equal(wrong, 0);
    for (int i = 0; i < TEXTS; i++) assert_true(expected[i] > 0 && expected[i] < 1);
    assert_int_equal(souk_model_classes(model), 2);
    assert_string_equal(souk_model_class(model, 1), "1");
}

/* ---- layer by layer ---- */

enum { N = 256, T = 10 };

static void make_rows(int32_t *ids, float *y) { /* token 5 says yes */
    uint32_t s = 7;
    for (int i = 0; i < N; i++) {
        y[i] = (float)(i % 2);
        for (int t = 0; t < T; t++) {
            s = s * 1664525u + 1013904223u;
            ids[i * T + t] = t < 3 ? 0 : 6 + (int32_t)(s >> 16) % 40;
        }
        if (i % 2) ids[i * T + 3 + i % 7] = 5;
    }
}

static souk_net *make_net(void) {
    souk_net *net = souk_net_new();
    assert_non_null(net);
    souk_tensor x = souk_input_ids(net, "tokens", T);
    x = souk_embedding(net, x, 50, 8, false);
    x = souk_lstm(net, x, 8);
    souk_output(net, "label", souk_dense(net, x, 1, SOUK_SIGMOID), SOUK_BINARY_CROSSENTROPY);
    return net;
}

static void test_layer_by_layer(void **state) {
    (void)state;
    static int32_t ids[N * T];
    static float y[N], p[N], again[N];
    make_rows(ids, y);
    souk_net *net = make_net(), *other = make_net();
    souk_array in = {.ids = ids}, out = {.values = y};
    souk_fit_options o = souk_fit_options_default();
    o.epochs = 12;
    o.learning_rate = 0.01;
    o.validation_split = 0.25;
    souk_epoch history[12];
    int64_t done = 0;
    souk_error err = {0};
    souk_status status = souk_net_fit(net, N, &in, &out, &o, history, &done, &err);
    if (status) print_message("%s\n", err.message);
    assert_int_equal(status, SOUK_OK);
    assert_int_equal(done, 12);
    assert_true(history[11].loss < history[0].loss && history[11].loss < 0.3);
    assert_int_equal(souk_net_predict(net, N, &in, p, &err), SOUK_OK);
    int right = 0;
    for (int i = 0; i < N; i++) right += (p[i] > 0.5f) == (y[i] > 0.5f);
    assert_true(right > N * 9 / 10);
    assert_int_equal(souk_net_save_weights(net, "w.safetensors", &err), SOUK_OK);
    status = souk_net_load_weights(other, "w.safetensors", &err);
    if (status) print_message("%s\n", err.message);
    assert_int_equal(status, SOUK_OK);
    assert_int_equal(souk_net_predict(other, N, &in, again, &err), SOUK_OK);
    assert_memory_equal(p, again, sizeof p);
    char *summary = NULL;
    assert_int_equal(souk_net_summary(net, &summary, &err), SOUK_OK);
    assert_non_null(strstr(summary, "lstm"));
    souk_free(summary);
    souk_net_free(net);
    souk_net_free(other);
}

static void refused(souk_status status, souk_error *err, const char *part) {
    assert_int_equal(status, err->code);
    if (!strstr(err->message, part)) fail_msg("\"%s\" does not say \"%s\"", err->message, part);
    memset(err, 0, sizeof *err);
}

/* What a caller may get wrong around the weights: said, and nothing is changed by it. */
static void test_net_misuse(void **state) {
    (void)state;
    static int32_t ids[N * T];
    static float y[N], p[N], again[N];
    souk_error err = {0};
    make_rows(ids, y);
    souk_net *net = make_net(), *other = souk_net_new();
    souk_array in = {.ids = ids}, out = {.values = y}, none = {0};
    souk_fit_options o = souk_fit_options_default();
    o.epochs = 1;
    o.learning_rate = -1;
    refused(souk_net_fit(net, N, &in, &out, &o, NULL, NULL, &err), &err, "learning_rate is -1");
    o.learning_rate = 0;
    o.validation_split = .5;
    refused(souk_net_fit(net, 1, &in, &out, &o, NULL, NULL, &err), &err, "leaves none to fit");
    o.validation_split = 0;
    assert_int_equal(souk_net_fit(net, N, &in, &out, &o, NULL, NULL, &err), SOUK_OK);
    assert_int_equal(souk_net_predict(net, N, &in, p, &err), SOUK_OK);
    refused(souk_net_predict(net, -1, &in, p, &err), &err, "-1 rows");

    souk_output(other, "y", souk_dense(other, souk_input_values(other, "x", 4), 1, SOUK_LINEAR), SOUK_MSE);
    refused(souk_net_fit(other, N, &none, &out, &o, NULL, NULL, &err), &err, "takes values, and none were given");
    assert_int_equal(souk_net_save_weights(other, "other.safetensors", &err), SOUK_OK);
    refused(souk_net_load_weights(net, "other.safetensors", &err), &err, "is missing");
    assert_int_equal(souk_net_predict(net, N, &in, again, &err), SOUK_OK);
    assert_memory_equal(p, again, sizeof p);

    souk_output(net, "more", souk_dense(net, souk_lstm(net, souk_embedding(net, 1, 50, 8, false), 4), 1, SOUK_SIGMOID),
                SOUK_BINARY_CROSSENTROPY);
    refused(souk_net_predict(net, N, &in, p, &err), &err, "added after the net got its weights");
    refused(souk_net_fit(net, N, &in, &out, &o, NULL, NULL, &err), &err, "added after the net got its weights");
    souk_net_free(net);
    souk_net_free(other);
}

static bool stop_at_once(void *context, const souk_progress *p) {
    (void)p;
    ++*(int *)context;
    return false;
}

static void test_callback_stops(void **state) {
    (void)state;
    static int32_t ids[N * T];
    static float y[N];
    make_rows(ids, y);
    souk_net *net = make_net();
    souk_array in = {.ids = ids}, out = {.values = y};
    souk_fit_options o = souk_fit_options_default();
    int calls = 0;
    o.progress = stop_at_once;
    o.context = &calls;
    souk_error err = {0};
    assert_int_equal(souk_net_fit(net, N, &in, &out, &o, NULL, NULL, &err), SOUK_INTERRUPTED);
    assert_true(calls >= 1);
    souk_net_free(net);
}

static void test_mistakes(void **state) {
    (void)state;
    souk_error err = {0};
    souk_net *net = souk_net_new();
    souk_tensor x = souk_input_values(net, "x", 4);
    assert_int_equal(souk_lstm(net, x, 8), 0); /* no time axis */
    souk_output(net, "y", souk_dense(net, 0, 1, SOUK_LINEAR), SOUK_MSE);
    float v[4] = {0};
    souk_array in = {.values = v}, out = {.values = v};
    souk_fit_options o = souk_fit_options_default();
    assert_int_not_equal(souk_net_fit(net, 1, &in, &out, &o, NULL, NULL, &err), SOUK_OK);
    assert_true(strstr(err.message, "lstm") != NULL);
    souk_net_free(net);
    memset(&err, 0, sizeof err);
    souk_model *m = NULL;
    assert_int_equal(souk_model_load("nothing.souk", &m, &err), SOUK_INPUT);
    assert_null(m);
    assert_non_null(strstr(err.message, "nothing.souk"));
    assert_int_not_equal(souk_model_load("nothing.souk", &m, NULL), SOUK_OK);
    souk_model_free(NULL);
    souk_net_free(NULL);
    souk_free(NULL);
    souk_train_options empty;
    memset(&empty, 0, sizeof empty);
    assert_int_equal(souk_train("reviews.csv", &empty, NULL, NULL, NULL), SOUK_USAGE);
}

static void test_tokenizer(void **state) {
    (void)state;
    souk_error err = {0};
    souk_tokenizer_options o = souk_tokenizer_options_default();
    o.num_words = 6;
    o.oov_token = "<OOV>";
    static const char *const corpus[] = {"the cat sat on the mat", "The dog sat."};
    souk_tokenizer *t = NULL, *u = NULL;
    assert_int_equal(souk_tokenizer_fit(&t, &o, corpus, 2, &err), SOUK_OK);
    int32_t ids[2 * 5], again[2 * 5];
    assert_int_equal(souk_tokenizer_encode(t, corpus, 2, 5, ids, &err), SOUK_OK);
    static const int32_t want[] = {4, 3, 5, 2, 1, 0, 0, 2, 1, 3}; /* Keras: <OOV> 1, the 2, sat 3, cat 4, on 5 */
    assert_memory_equal(ids, want, sizeof want);
    char *json = NULL;
    assert_int_equal(souk_tokenizer_to_json(t, &json, &err), SOUK_OK);
    assert_int_equal(souk_tokenizer_from_json(&u, json, strlen(json), &err), SOUK_OK);
    assert_int_equal(souk_tokenizer_encode(u, corpus, 2, 5, again, &err), SOUK_OK);
    assert_memory_equal(ids, again, sizeof ids);
    assert_int_equal(souk_tokenizer_vocabulary(t), 6);
    souk_free(json);
    souk_tokenizer_free(t);
    souk_tokenizer_free(u);
}

/* ---- a prediction that is stopped leaves the earlier file and nothing else ---- */

static bool stop_after_rows(void *context, int64_t rows) {
    *(int64_t *)context = rows;
    return false;
}

static void test_predict_stops(void **state) {
    souk_predict_options o = souk_predict_options_default();
    souk_error err = {0};
    int64_t rows = 0;
    (void)state;
    o.out = "stopped.csv";
    o.progress = stop_after_rows;
    o.context = &rows;
    assert_int_equal(souk_predict(model, "reviews.csv", &o, NULL, &err), SOUK_INTERRUPTED);
    assert_true(rows > 0);
    assert_null(fopen("stopped.csv", "r"));
    o.progress = NULL;
    assert_int_equal(souk_predict(model, "reviews.csv", &o, NULL, &err), SOUK_OK);
    assert_int_equal(remove("stopped.csv"), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_threads_share_a_model),
                                       cmocka_unit_test(test_layer_by_layer),
                                       cmocka_unit_test(test_net_misuse),
                                       cmocka_unit_test(test_callback_stops),
                                       cmocka_unit_test(test_mistakes),
                                       cmocka_unit_test(test_predict_stops),
                                       cmocka_unit_test(test_tokenizer)};
    return cmocka_run_group_tests_name("api", tests, setup, teardown);
}
