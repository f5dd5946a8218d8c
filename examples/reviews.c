/* reviews.c - the worked example twice: the high-level way (a model file and a table), and layer by layer.
 *
 *     cc examples/reviews.c -o build/reviews $(pkg-config --cflags --libs souk) && build/reviews examples/data
 */
#include <souk.h>
#include <stdio.h>
#include <string.h>

static int fail(const souk_error *err) {
    fprintf(stderr, "%s\n", err->message);
    return souk_status_exit(err->code);
}

/* A spec and a table: what `souk train` does. */
static int high_level(const char *train, const char *test, souk_error *err) {
    static const char *const texts[] = {"great phone", "the food was cold"};
    souk_model *model = NULL;
    souk_evaluation *e = NULL;
    souk_train_options o = souk_train_options_default();
    souk_evaluate_options eo = souk_evaluate_options_default();
    double p[2];
    o.target = "label";
    if (souk_train(train, &o, &model, NULL, err) || souk_evaluate(model, test, &eo, &e, err) ||
        souk_predict_texts(model, texts, 2, p, err))
        return fail(err);
    printf("%s", souk_evaluation_text(e));
    for (int i = 0; i < 2; i++) printf("%.3f  %s\n", p[i], texts[i]);
    souk_evaluation_free(e);
    souk_model_free(model);
    return 0;
}

/* Sequential([Embedding(1000, 16), LSTM(32), Dense(1, "sigmoid")]) on arrays of one's own. */
static int layer_by_layer(const char *const *texts, const float *labels, int64_t n, souk_error *err) {
    enum { MAXLEN = 100, MOST = 64 };
    static int32_t ids[MOST * MAXLEN];
    float p[MOST];
    souk_tokenizer *tok = NULL;
    souk_tokenizer_options to = souk_tokenizer_options_default();
    to.num_words = 1000;
    to.oov_token = "<OOV>";
    if (souk_tokenizer_fit(&tok, &to, texts, n, err) || souk_tokenizer_encode(tok, texts, n, MAXLEN, ids, err))
        return fail(err);
    souk_net *net = souk_net_new();
    souk_tensor x = souk_input_ids(net, "tokens", MAXLEN);
    x = souk_embedding(net, x, 1000, 16, false);
    x = souk_lstm(net, x, 32);
    souk_output(net, "label", souk_dense(net, x, 1, SOUK_SIGMOID), SOUK_BINARY_CROSSENTROPY);
    souk_fit_options fo = souk_fit_options_default();
    fo.epochs = 60;
    souk_array in = {.ids = ids}, out = {.values = labels};
    if (souk_net_fit(net, n, &in, &out, &fo, NULL, NULL, err) || souk_net_predict(net, n, &in, p, err))
        return fail(err);
    for (int64_t i = 0; i < n; i++) printf("%.3f  (%g)  %s\n", (double)p[i], (double)labels[i], texts[i]);
    souk_net_free(net);
    souk_tokenizer_free(tok);
    return 0;
}

int main(int argc, char **argv) {
    static const char *const texts[] = {"I love it", "works great",      "very good value",
                                        "I hate it", "it broke at once", "very bad value"};
    static const float labels[] = {1, 1, 1, 0, 0, 0};
    char train[512], test[512];
    souk_error err = {0};
    snprintf(train, sizeof train, "%s/reviews.csv", argc > 1 ? argv[1] : "examples/data");
    snprintf(test, sizeof test, "%s/reviews_test.csv", argc > 1 ? argv[1] : "examples/data");
    int status = high_level(train, test, &err);
    return status ? status : layer_by_layer(texts, labels, 6, &err);
}
