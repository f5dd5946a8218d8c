/* spec: the worked example, every key of keys.def with a valid and an invalid value and its default, messages word by
 * word, encoders and their layers, overrides, round trips of JSON and YAML, faults. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/num.h"
#include "fault.h"
#include "model/spec_keys.h"

static spec *parse_set(const char *text, const char *const *sets) {
    spec *s;
    souk_error err = {0};
    if (spec_parse(&s, text, strlen(text), "f.yaml", sets, &err) != SOUK_OK) fail_msg("%s", err.message);
    return s;
}

static spec *parse(const char *text) { return parse_set(text, NULL); }

static char *canonical(const spec *s) {
    buf b;
    buf_init(&b, 0);
    assert_int_equal(spec_to_json(s, &b, NULL), SOUK_OK);
    return buf_take(&b);
}

/* JSON and YAML read back to the same canonical text. */
static void check_round_trip(const spec *s) {
    buf yaml;
    souk_error err = {0};
    char *first = canonical(s);
    spec *again = parse(first);
    char *second = canonical(again);
    assert_string_equal(first, second);
    spec_free(again);
    mem_free(second);
    buf_init(&yaml, 0);
    assert_int_equal(spec_to_yaml(s, NULL, &yaml, &err), SOUK_OK);
    again = parse(yaml.data);
    second = canonical(again);
    if (strcmp(first, second) != 0) fail_msg("%s\n%s\n%s", yaml.data, first, second);
    buf_clear(&yaml);
    spec_free(again);
    mem_free(second);
    mem_free(first);
}

static const char example[] =
    "input_features:\n"
    "  - name: review\n"
    "    type: text\n"
    "    preprocessing: {tokenizer: {type: word, num_words: 1000, oov_token: \"<OOV>\"}, pad_sequences: {maxlen: "
    "100}}\n"
    "    encoder: {type: lstm, embedding_size: 16, units: 32}\n"
    "output_features:\n"
    "  - {name: sentiment, type: binary, loss: binary_crossentropy}\n"
    "trainer: {epochs: 10, batch_size: 32, optimizer: {type: adam}, learning_rate: 0.001, validation_split: 0.2}\n";

static void test_example(void **state) {
    (void)state;
    spec *s = parse(example);
    const input_config *in = &s->inputs[0];
    assert_int_equal(s->n_inputs, 1);
    assert_int_equal(s->n_outputs, 1);
    assert_int_equal(s->n_combiner, 0);
    assert_string_equal(in->feature.name, "review");
    assert_int_equal(in->feature.type, FEATURE_TEXT);
    assert_int_equal(in->feature.tokenizer.num_words, 1000);
    assert_string_equal(in->feature.tokenizer.oov_token, "<OOV>");
    assert_int_equal(in->feature.pad.maxlen, 100);
    assert_int_equal(in->n_layers, 2);
    assert_int_equal(in->layers[0].kind, LAYER_EMBEDDING);
    assert_int_equal(in->layers[0].units, 16);
    assert_int_equal(in->layers[1].kind, LAYER_RNN);
    assert_int_equal(in->layers[1].rnn.kind, RNN_LSTM);
    assert_int_equal(in->layers[1].rnn.units, 32);
    assert_int_equal(in->layers[1].rnn.activation, GEMM_TANH);
    assert_int_equal(s->outputs[0].loss.kind, LOSS_SIGMOID_BCE);
    assert_int_equal(s->trainer.optimizer.kind, OPT_ADAM);
    assert_true(s->trainer.optimizer.epsilon == 1e-7 && s->trainer.validation_split == .2 &&
                !s->trainer.early_stopping);
    check_round_trip(s);
    spec_free(s);
    assert_int_equal(spec_read(&s, SOUK_SOURCE_DIR "/examples/reviews.yaml", NULL, NULL), SOUK_OK);
    assert_string_equal(s->inputs[0].feature.name, "text");
    check_round_trip(s);
    spec_free(s);
    assert_int_equal(mem_live(), 0);
}

/* ---- every key ---- */

/* A document in which the section of `row` exists and is of this kind. */
static void document(buf *b, const spec_row *row, const char *kind) {
    bool feature = row->section == SECTION_INPUT || row->section == SECTION_PREPROCESSING ||
                   row->section == SECTION_TOKENIZER || row->section == SECTION_PAD;
    const char *input = feature && *kind ? kind : "text",
               *output = row->section == SECTION_OUTPUT && *kind ? kind : "binary";
    buf_reset(b);
    buf_printf(b, "{\"input_features\":[{\"name\":\"x\",\"type\":\"%s\"", input);
    if (row->section == SECTION_ENCODER && *kind && strcmp(kind, "sequential") != 0)
        buf_printf(b, ",\"encoder\":{\"type\":\"%s\"}", kind);
    if (row->section == SECTION_LAYER || strcmp(kind, "sequential") == 0) {
        static const char *const required[] = {"units", "filters", "kernel_size", "rate", "activation"};
        bool embedding = strcmp(kind, "embedding") == 0;
        buf_str(b, ",\"encoder\":{\"type\":\"sequential\",\"layers\":[{\"type\":\"embedding\",\"output_dim\":4}");
        if (*kind && !embedding && row->section == SECTION_LAYER) {
            buf_printf(b, ",{\"type\":\"%s\"", kind);
            for (int i = 0; i < 5; i++) {
                const spec_row *r = spec_row_find(SECTION_LAYER, required[i], kind);
                if (r && strcmp(r->setting.value, "required") == 0)
                    buf_printf(b, ",\"%s\":%s", required[i], i < 3 ? "3" : i == 3 ? "0.5" : "\"relu\"");
            }
            buf_char(b, '}');
        }
        buf_str(b, ",{\"type\":\"flatten\"}]}");
    }
    buf_printf(b, "}],\"output_features\":[{\"name\":\"y\",\"type\":\"%s\"}],\"trainer\":{", output);
    buf_printf(b, "\"optimizer\":{\"type\":\"%s\"},", row->section == SECTION_OPTIMIZER && *kind ? kind : "adam");
    buf_printf(b, "\"learning_rate_schedule\":{\"type\":\"%s\"},\"early_stopping\":{}}}",
               row->section == SECTION_SCHEDULE && *kind ? kind : "constant");
}

static souk_status try_key(const char *doc, const spec_row *row, const char *kind, const char *value, spec **out,
                           souk_error *err) {
    char set[256], path[128];
    size_t n = 0;
    const char *layer = strcmp(kind, "embedding") == 0 || !*kind ? ".0" : ".1";
    for (const char *p = row->setting.name; *p; p++) {
        if (*p != '[') {
            path[n++] = *p;
            continue;
        }
        memcpy(path + n, row->section == SECTION_LAYER && strncmp(p, "[].encoder", 10) != 0 ? layer : ".0", 2);
        n += 2;
        p++;
    }
    path[n] = 0;
    snprintf(set, sizeof set, "%s=%s", path, value);
    *err = (souk_error){0};
    return spec_parse(out, doc, strlen(doc), "f.json", (const char *const[]){set, NULL}, err);
}

static bool is_number(const spec_row *row) {
    return row->type == SPEC_INT || row->type == SPEC_NUMBER || row->type == SPEC_MAYBE;
}

static const char *valid_value(const spec_row *row) {
    static const char *const whole[] = {"1", "2", "100"}, *const real_numbers[] = {"0.5", "1", "0"};
    double v;
    if (row->type == SPEC_FLAG) return strcmp(row->setting.value, "true") == 0 ? "false" : "true";
    if (row->type == SPEC_TEXT) return "some text";
    if (row->type == SPEC_CHOICE || row->type == SPEC_SELECT) return row->choices[0].word;
    for (int i = 0; i < 3; i++) {
        const char *text = row->type == SPEC_INT ? whole[i] : real_numbers[i];
        num_parse_double(text, strlen(text), &v);
        if (spec_in_range(row->setting.range, v)) return text;
    }
    fail_msg("no valid value for %s", row->setting.name);
    return NULL;
}

static const char *invalid_number(const spec_row *row) {
    static const char *const candidates[] = {"-3", "1000000000000000000", "0", "1"};
    for (int i = 0; i < 4; i++) {
        double v;
        num_parse_double(candidates[i], strlen(candidates[i]), &v);
        if (!spec_in_range(row->setting.range, v)) return candidates[i];
    }
    return ".inf";
}

/* `"key":value` in the canonical text; expanded and combined keys cannot be found there by name. */
static void expect_in_text(const spec_row *row, const spec *s, const char *value) {
    if (row->section == SECTION_ENCODER || strcmp(row->name, "ema_momentum") == 0) return;
    char want[160];
    bool quoted = row->type == SPEC_TEXT || row->type == SPEC_CHOICE || row->type == SPEC_SELECT;
    snprintf(want, sizeof want, quoted && *value ? "\"%s\":\"%s\"" : "\"%s\":%s", row->name, *value ? value : "null");
    char *text = canonical(s);
    if (!strstr(text, want)) fail_msg("%s: %s is not in %s", row->setting.name, want, text);
    mem_free(text);
}

static void check_default(const spec_row *row, const char *doc) {
    const char *value = row->setting.value;
    if (strcmp(value, "auto") == 0 || strcmp(value, "required") == 0 || row->type == SPEC_GROUP) return;
    if (row->section == SECTION_COMBINER || row->type == SPEC_SELECT) return;
    spec *s = parse(doc);
    expect_in_text(row, s, value);
    spec_free(s);
}

static void expect_fault(const spec_row *row, const char *doc, const char *kind, const char *value, const char *says) {
    spec *s;
    souk_error err;
    if (try_key(doc, row, kind, value, &s, &err) != SOUK_INPUT)
        fail_msg("%s=%s (%s): not refused", row->setting.name, value, kind);
    if (!strstr(err.message, says) || !strstr(err.message, row->name))
        fail_msg("%s=%s: \"%s\" does not say %s", row->setting.name, value, err.message, says);
}

static void check_key(const spec_row *row, const char *kind, int *valid, int *invalid) {
    buf doc;
    spec *s;
    souk_error err;
    buf_init(&doc, 0);
    document(&doc, row, kind);
    check_default(row, doc.data);
    const char *says = row->type == SPEC_INT                               ? "is not a whole number"
                       : is_number(row)                                    ? "is not a number"
                       : row->type == SPEC_FLAG                            ? "is not true or false"
                       : row->type == SPEC_TEXT || row->type == SPEC_GROUP ? ""
                                                                           : "is not one of";
    expect_fault(row, doc.data, kind, row->type == SPEC_TEXT ? "[1]" : row->type == SPEC_GROUP ? "5" : "zzzzzz", says);
    ++*invalid;
    if (is_number(row)) {
        expect_fault(row, doc.data, kind, invalid_number(row), "is out of range: ");
        ++*invalid;
    }
    if (row->type != SPEC_GROUP && !(row->type == SPEC_SELECT && row->section == SECTION_LAYER)) {
        const char *value = row->section == SECTION_ENCODER && row->type == SPEC_SELECT ? "gru"
                            : row->section == SECTION_INPUT && row->type == SPEC_SELECT ? "text"
                            : row->section == SECTION_OUTPUT && strcmp(row->name, "loss") == 0
                                ? "binary_focal_crossentropy"
                                : valid_value(row);
        if (try_key(doc.data, row, kind, value, &s, &err) != SOUK_OK)
            fail_msg("%s=%s (%s): %s", row->setting.name, value, kind, err.message);
        expect_in_text(row, s, value);
        check_round_trip(s);
        spec_free(s);
        ++*valid;
    }
    buf_clear(&doc);
}

static void test_every_key(void **state) {
    (void)state;
    int valid = 0, invalid = 0;
    for (size_t i = 0; i < spec_key_count(); i++) {
        const spec_row *row = spec_row_at(i);
        assert_ptr_equal(spec_key_setting(i), &row->setting);
        assert_int_equal(row->setting.kind, SOUK_SETTING_KEY);
        assert_true(strlen(row->setting.help) > 5);
        char kinds[200], *save = NULL;
        snprintf(kinds, sizeof kinds, "%s", row->kinds);
        if (!*kinds) check_key(row, "", &valid, &invalid);
        for (char *kind = strtok_r(kinds, "|", &save); kind; kind = strtok_r(NULL, "|", &save))
            check_key(row, kind, &valid, &invalid);
    }
    print_message("%zu keys: %d valid values accepted, %d invalid ones refused\n", spec_key_count(), valid, invalid);
    assert_int_equal(mem_live(), 0);
}

static void test_ranges(void **state) {
    (void)state;
    assert_true(spec_in_range("1 to 10", 1) && spec_in_range("1 to 10", 10) && !spec_in_range("1 to 10", 0) &&
                !spec_in_range("1 to 10", 10.5));
    assert_true(spec_in_range("0 to below 1", 0) && !spec_in_range("0 to below 1", 1));
    assert_true(spec_in_range("above 0", 1e-300) && !spec_in_range("above 0", 0) && spec_in_range("at least 0", 0) &&
                !spec_in_range("at least 0", -1));
    assert_true(spec_in_range("above 0 to below 1", .5) && !spec_in_range("above 0 to below 1", 0) &&
                !spec_in_range("above 0 to below 1", 1));
    assert_true(spec_in_range("", -5) && !spec_in_range("", 1e300 * 1e300) && spec_in_range("above 0 to 1", 1));
    for (size_t i = 0; i < spec_key_count(); i++) {
        const char *range = spec_row_at(i)->setting.range;
        if (*range && spec_in_range(range, -1e18) && spec_in_range(range, 1e18))
            fail_msg("the range \"%s\" bounds nothing", range);
    }
}

/* ---- messages ---- */

#define HEAD "input_features:\n  - {name: a, type: text}\noutput_features:\n  - {name: b, type: binary}\n"

static void test_messages(void **state) {
    (void)state;
    static const struct {
        const char *text, *message;
    } cases[] = {
        {HEAD "trainer:\n  batch_size: 32\n  epoch: 5\n",
         "reviews.yaml:7:3: unknown key \"epoch\" in trainer: did you mean \"epochs\"?"},
        {HEAD "trainer: {epochs: ten}\n", "reviews.yaml:5:19: trainer.epochs: \"ten\" is not a whole number"},
        {HEAD "trainer: {epochs: 0}\n", "reviews.yaml:5:19: trainer.epochs: 0 is out of range: 1 to 1000000"},
        {HEAD "trainer: {shuffle: no}\n",
         "reviews.yaml:5:20: trainer.shuffle: \"no\" is not true or false (write true or false)"},
        {HEAD "trainer: {optimizer: adam}\n", "reviews.yaml:5:22: trainer.optimizer: \"adam\" is not a group of keys"},
        {HEAD "trainer: {optimizer: {type: adma}}\n",
         "reviews.yaml:5:29: trainer.optimizer.type: \"adma\" is not known: did you mean \"adam\"?"},
        {HEAD "trainer: {optimizer: {type: ftrl}}\n",
         "reviews.yaml:5:29: trainer.optimizer.type: \"ftrl\" is not one of sgd|rmsprop|adam|adamw|adagrad"},
        {HEAD "trainer: {optimizer: {clipnorm: 1, clipvalue: 1}}\n",
         "reviews.yaml:5:22: trainer.optimizer: give one of clipvalue, clipnorm and global_clipnorm, not several"},
        {HEAD "trainers: {epochs: 1}\n",
         "reviews.yaml:5:1: unknown key \"trainers\" in the top level: did you mean \"trainer\"?"},
        {HEAD "epochs: 1\n",
         "reviews.yaml:5:1: unknown key \"epochs\" in the top level: it belongs elsewhere, as trainer.epochs"},
        {HEAD "backend: x\n", "reviews.yaml:5:1: unknown key \"backend\" in the top level (known: input_features, "
                              "output_features, combiner, trainer)"},
        {"input_features:\n  - {name: a, type: txt}\noutput_features:\n  - {name: b, type: binary}\n",
         "reviews.yaml:2:21: input_features[0].type: \"txt\" is not known: did you mean \"text\"?"},
        {"input_features:\n  - {name: a}\noutput_features:\n  - {name: b, type: binary}\n",
         "reviews.yaml:2:5: input_features[0] has no type: it is one of number|binary|category|text|sequence"},
        {"input_features:\n  - {type: text}\noutput_features:\n  - {name: b, type: binary}\n",
         "reviews.yaml:2:5: input_features[0].name must be given: the column"},
        {"input_features:\n  - {name: a, type: text}\n",
         "reviews.yaml:1:1: output_features is missing: list at least one column there"},
        {"input_features: []\n", "reviews.yaml:1:1: input_features is missing: list at least one column there"},
        {"input_features: 3\noutput_features: 4\n", "reviews.yaml:1:17: input_features: \"3\" is not a list"},
        {"- 1\n", "reviews.yaml:1:1: this is not a model file: it should begin with input_features (souk init DATA "
                  "--target C writes one)"},
        {"input_features:\n  - {name: a, type: text}\n  - {name: a, type: text}\noutput_features:\n  - {name: b, type: "
         "binary}\n",
         "reviews.yaml:3:5: column \"a\" is listed for the second time"},
        {"input_features:\n  - {name: a, type: text}\noutput_features:\n  - {name: a, type: binary}\n",
         "reviews.yaml:4:5: column \"a\" is both an input and an output"},
        {"input_features:\n  - {name: a, type: number, encoder: {type: lstm}}\noutput_features:\n  - {name: b, type: "
         "binary}\n",
         "reviews.yaml:2:38: input_features[0].encoder: lstm does not fit a number feature: use passthrough or "
         "sequential"},
        {"input_features:\n  - {name: a, type: text, encoder: {type: embed, units: 3}}\noutput_features:\n  - {name: "
         "b, type: binary}\n",
         "reviews.yaml:2:50: key \"units\" does not apply in input_features[0].encoder of type embed: it is for "
         "lstm|gru|rnn"},
        {"input_features:\n  - {name: a, type: text, encoder: {type: sequential, layers: [{type: embedding, "
         "output_dim: 4}, {type: lstm, units: 4, return_sequences: true}]}}\noutput_features:\n  - {name: b, type: "
         "binary}\n",
         "reviews.yaml:2:63: input_features[0].encoder.layers: the last layer gives a sequence, and one row of numbers "
         "is needed: end with global_average_pooling1d, global_max_pooling1d, flatten or a recurrent layer"},
        {"input_features:\n  - {name: a, type: text, encoder: {type: sequential, layers: [{type: embedding, "
         "output_dim: 4}, {type: lstm, units: 4}, {type: lstm, units: 4}]}}\noutput_features:\n  - {name: b, type: "
         "binary}\n",
         "reviews.yaml:2:122: input_features[0].encoder.layers[2]: this layer reads a sequence, and what comes before "
         "gives one row of numbers (a recurrent layer there needs return_sequences: true)"},
        {"input_features:\n  - {name: a, type: text, encoder: {type: sequential, layers: [{type: dense, units: "
         "4}]}}\noutput_features:\n  - {name: b, type: binary}\n",
         "reviews.yaml:2:64: input_features[0].encoder.layers[0]: the first layer for text, sequence and category is "
         "an embedding"},
        {"input_features:\n  - {name: a, type: text}\noutput_features:\n  - {name: b, type: binary, loss: mse}\n",
         "reviews.yaml:4:35: output_features[0].loss: \"mse\" does not fit a binary output: use binary_crossentropy or "
         "binary_focal_crossentropy"},
        {"input_features:\n  - {name: a, type: text}\noutput_features:\n  - {name: b, type: binary, class_weight: "
         "{yes: -1}}\n",
         "reviews.yaml:4:49: output_features[0].class_weight.yes: -1 is out of range: at least 0"},
        {"input_features:\n  - {name: a, type: text}\noutput_features:\n  - {name: b, type: text}\n",
         "reviews.yaml:4:21: output_features[0].type: \"text\" is not one of binary|category|number"},
        {"input_features:\n  - {name: a, type: text, preprocessing: {normalization: zscore}}\noutput_features:\n  - "
         "{name: b, type: binary}\n",
         "reviews.yaml:2:43: key \"normalization\" does not apply in input_features[0].preprocessing of type text: it "
         "is for number"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        spec *s;
        souk_error err = {0};
        souk_status status = spec_parse(&s, cases[i].text, strlen(cases[i].text), "reviews.yaml", NULL, &err);
        assert_null(s);
        assert_int_equal(status, SOUK_INPUT);
        assert_string_equal(err.message, cases[i].message);
    }
    assert_int_equal(mem_live(), 0);
}

/* ---- encoders ---- */

static void same_encoders(const char *word, const char *layers) {
    char *text[2];
    const char *given[2] = {word, layers};
    for (int i = 0; i < 2; i++) {
        char doc[1000];
        snprintf(doc, sizeof doc,
                 "input_features: [{name: a, type: text, encoder: %s}]\noutput_features: [{name: b, type: binary}]\n",
                 given[i]);
        spec *s = parse(doc);
        check_round_trip(s);
        text[i] = canonical(s);
        spec_free(s);
    }
    assert_string_equal(text[0], text[1]);
    mem_free(text[0]);
    mem_free(text[1]);
}

static void test_encoders(void **state) {
    (void)state;
    same_encoders("{type: lstm, embedding_size: 8, units: 4, dropout: 0.2, recurrent_dropout: 0.1, bidirectional: "
                  "true, mask_zero: true}",
                  "{type: sequential, layers: [{type: embedding, output_dim: 8, mask_zero: true}, {type: lstm, units: "
                  "4, dropout: 0.2, recurrent_dropout: 0.1, bidirectional: true}]}");
    same_encoders("{type: gru, reset_after: false, activation: relu}",
                  "{type: sequential, layers: [{type: embedding, output_dim: 16}, {type: gru, units: 32, reset_after: "
                  "false, activation: relu}]}");
    same_encoders("{type: rnn, return_sequences: true}",
                  "{type: sequential, layers: [{type: embedding, output_dim: 16}, {type: simple_rnn, units: 32, "
                  "return_sequences: true}, {type: global_average_pooling1d}]}");
    same_encoders("{type: cnn, filters: 8, kernel_size: 5, dropout: 0.3}",
                  "{type: sequential, layers: [{type: embedding, output_dim: 16}, {type: conv1d, filters: 8, "
                  "kernel_size: 5, activation: relu}, {type: global_max_pooling1d}, {type: dropout, rate: 0.3}]}");
    same_encoders("{type: embed, embedding_size: 4}",
                  "{type: sequential, layers: [{type: embedding, output_dim: 4}, {type: global_average_pooling1d}]}");
    same_encoders("{type: lstm}", "null");
    same_encoders("{type: sequential, layers: [{type: embedding, output_dim: 3}, {type: max_pooling1d, pool_size: 3}, "
                  "{type: flatten}]}",
                  "{type: sequential, layers: [{type: embedding, output_dim: 3}, {type: max_pooling1d, pool_size: 3, "
                  "strides: 3, padding: valid}, {type: flatten}]}");
}

/* All sections at once, text that needs quotes, weights of classes. */
static void test_round_trip(void **state) {
    (void)state;
    spec *s =
        parse("{\"input_features\": [{\"name\": \"true\", \"type\": \"text\", \"preprocessing\": {\"tokenizer\": "
              "{\"filters\": \"\\\"\\t\\n: #\", \"char_level\": true, \"oov_token\": null}}},"
              " {\"name\": \"a: b # c\", \"type\": \"number\", \"preprocessing\": {\"normalization\": \"log1p\", "
              "\"missing_value_strategy\": \"fill_with_const\", \"fill_value\": -1.5}},"
              " {\"name\": \"\\u4e2d\", \"type\": \"category\", \"preprocessing\": {\"most_common\": 7}, \"encoder\": "
              "{\"type\": \"embed\", \"dropout\": 0.1}},"
              " {\"name\": \"2019\", \"type\": \"binary\", \"preprocessing\": {\"positive_label\": \"no\"}},"
              " {\"name\": \"seq\", \"type\": \"sequence\", \"encoder\": {\"type\": \"sequential\", \"layers\": "
              "[{\"type\": \"embedding\", \"name\": \"my embedding\", \"output_dim\": 5},"
              "   {\"type\": \"spatial_dropout1d\", \"rate\": 0.25}, {\"type\": \"conv1d\", \"filters\": 4, "
              "\"kernel_size\": 2, \"padding\": \"causal\", \"dilation_rate\": 2},"
              "   {\"type\": \"layer_normalization\"}, {\"type\": \"lstm\", \"units\": 3, \"bidirectional\": true, "
              "\"merge_mode\": \"sum\"}, {\"type\": \"batch_normalization\", \"momentum\": 0.9},"
              "   {\"type\": \"activation\", \"activation\": \"swish\"}]}}],"
              "\"combiner\": {\"type\": \"concat\", \"layers\": [{\"type\": \"dense\", \"units\": 10, \"activation\": "
              "\"gelu\"}, {\"type\": \"dropout\", \"rate\": 0.5}]},"
              "\"output_features\": [{\"name\": \"y\", \"type\": \"category\", \"label_smoothing\": 0.1, "
              "\"class_weight\": {\"no\": 2, \"b c\": 0.5}},"
              " {\"name\": \"z\", \"type\": \"number\", \"loss\": \"huber\", \"delta\": 1.35, \"loss_weight\": 0.3}, "
              "{\"name\": \"w\", \"type\": \"binary\", \"loss\": \"focal\", \"alpha\": 0.25, \"class_weight\": "
              "\"balanced\"}],"
              "\"trainer\": {\"epochs\": 3, \"optimizer\": {\"type\": \"sgd\", \"rule\": \"torch\", \"momentum\": 0.9, "
              "\"nesterov\": true, \"global_clipnorm\": 1, \"use_ema\": true, \"ema_momentum\": 0.95,"
              " \"gradient_accumulation_steps\": 4}, \"learning_rate\": 0.03, \"learning_rate_schedule\": {\"type\": "
              "\"cosine\", \"warmup_steps\": 100, \"final\": 0.01},"
              " \"early_stopping\": {\"monitor\": \"val_accuracy\", \"patience\": 7, \"min_delta\": 1e-3}, "
              "\"weight_column\": \"w t\", \"validation_split\": 0}}");
    check_round_trip(s);
    assert_string_equal(s->inputs[0].feature.name, "true");
    assert_null(s->inputs[0].feature.tokenizer.oov_token);
    assert_string_equal(s->inputs[0].feature.tokenizer.filters, "\"\t\n: #");
    assert_int_equal(s->outputs[0].n_class_weights, 2);
    assert_true(s->outputs[2].balanced && s->outputs[2].loss.alpha == (real).25 &&
                s->outputs[2].loss.kind == LOSS_FOCAL);
    assert_true(s->trainer.optimizer.ema_momentum == .95 && s->trainer.optimizer.rule == OPT_RULE_TORCH &&
                s->trainer.validation_split == 0);
    assert_true(s->trainer.early_stopping && s->trainer.patience == 7 &&
                strcmp(s->trainer.monitor, "val_accuracy") == 0);
    spec_free(s);
    s = parse(HEAD "trainer: {optimizer: {type: adamw, rule: torch}, early_stopping: true}\n");
    assert_true(s->trainer.optimizer.epsilon == 1e-8 && s->trainer.optimizer.weight_decay == .01 &&
                s->trainer.early_stopping);
    assert_true(s->trainer.optimizer.ema_momentum == 0 && s->outputs[0].loss.alpha < 0 &&
                s->trainer.validation_split < 0);
    check_round_trip(s);
    spec_free(s);
}

static void test_sets(void **state) {
    (void)state;
    spec *s = parse_set(example,
                        (const char *const[]){"trainer.epochs=3", "input_features[0].encoder.units=64",
                                              "input_features.review.preprocessing.pad_sequences.maxlen=7",
                                              "combiner.layers=[{type: dense, units: 5}]",
                                              "trainer.validation_split=", "trainer.early_stopping.patience=9", NULL});
    assert_int_equal(s->trainer.epochs, 3);
    assert_int_equal(s->inputs[0].layers[1].units, 64);
    assert_int_equal(s->inputs[0].feature.pad.maxlen, 7);
    assert_int_equal(s->combiner[0].units, 5);
    assert_true(s->trainer.validation_split < 0 && s->trainer.early_stopping && s->trainer.patience == 9);
    spec_free(s);
    static const struct {
        const char *set, *says;
    } bad[] = {
        {"trainer.epochs", "--set trainer.epochs: write key.path=value"},
        {"=3", "write key.path=value"},
        {"trainer.epoch=3", "--set trainer.epoch=3: unknown key \"epoch\" in trainer: did you mean \"epochs\"?"},
        {"trainer.epochs=-1", "--set trainer.epochs=-1: trainer.epochs: -1 is out of range: 1 to 1000000"},
        {"input_features.1.encoder.units=3", "there is no element \"1\"; the list has 1, counted from 0"},
        {"input_features.reviews.type=text", "there is no element \"reviews\": did you mean \"review\"?"},
        {"trainer.epochs.x=3", "cannot be set there"},
        {"trainer={", "not valid YAML"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        souk_error err = {0};
        const char *sets[] = {bad[i].set, NULL};
        souk_status status = spec_parse(&s, example, strlen(example), "f.yaml", sets, &err);
        assert_true(status == SOUK_INPUT || status == SOUK_USAGE);
        if (!strstr(err.message, bad[i].says)) fail_msg("%s: %s", bad[i].set, err.message);
    }
    /* A name with a dot in it is one step. */
    s = parse_set("input_features: [{name: price.usd, type: number}]\noutput_features: [{name: b, type: binary}]\n",
                  (const char *const[]){"input_features.price.usd.preprocessing.normalization=minmax", NULL});
    assert_int_equal(s->inputs[0].feature.norm, NORM_MINMAX);
    spec_free(s);
    assert_int_equal(mem_live(), 0);
}

static void test_default(void **state) {
    (void)state;
    feature_config in[3] = {feature_config_default(FEATURE_TEXT), feature_config_default(FEATURE_NUMBER),
                            feature_config_default(FEATURE_CATEGORY)};
    feature_config out = feature_config_default(FEATURE_BINARY);
    const char *reasons[3] = {"free text", "a number\nwith a line break", NULL};
    spec *s;
    buf yaml;
    in[0].name = "review";
    in[1].name = "age";
    in[2].name = "shop: \"x\"";
    out.name = "churned";
    assert_int_equal(spec_default(&s, in, 1, &out, NULL), SOUK_OK); /* the worked example's net */
    assert_int_equal(s->n_combiner, 0);
    assert_int_equal(s->inputs[0].layers[1].rnn.kind, RNN_LSTM);
    check_round_trip(s);
    spec_free(s);
    assert_int_equal(spec_default(&s, in, 3, &out, NULL), SOUK_OK);
    assert_int_equal(s->n_combiner, 1);
    check_round_trip(s);
    buf_init(&yaml, 0);
    assert_int_equal(spec_to_yaml(s, reasons, &yaml, NULL), SOUK_OK);
    assert_non_null(strstr(yaml.data, "  # free text\n  - name: review\n"));
    assert_non_null(strstr(
        yaml.data, "  # a number with a line break\n  - name: age\n    type: number\n  - name: \"shop: \\\"x\\\"\"\n"));
    assert_non_null(strstr(yaml.data, "    encoder: {type: lstm, embedding_size: 16, units: 32}\n"));
    buf_clear(&yaml);
    /* Another optimiser brings its own defaults, another encoder its own layers. */
    const char *sets[] = {"trainer.optimizer.type=sgd", "input_features.review.encoder.type=cnn", NULL};
    assert_int_equal(spec_override(&s, sets, NULL), SOUK_OK);
    assert_true(s->trainer.optimizer.learning_rate == .01 && s->inputs[0].layers[1].kind == LAYER_CONV1D);
    assert_int_equal(spec_override(&s, (const char *const[]){"trainer.x=1", NULL}, NULL), SOUK_INPUT);
    assert_int_equal(s->trainer.optimizer.kind, OPT_SGD);
    spec_free(s);
    spec_free(NULL);
    assert_int_equal(mem_live(), 0);
}

static souk_status load(void *context, souk_error *err) {
    (void)context;
    spec *s;
    buf b;
    const char *sets[] = {"input_features.review.encoder.units=8", "trainer.early_stopping={patience: 3}", NULL};
    TRY(spec_read(&s, SOUK_SOURCE_DIR "/examples/reviews.yaml", NULL, err));
    spec_free(s);
    TRY(spec_parse(&s, example, strlen(example), "f.yaml", sets, err));
    buf_init(&b, 0);
    souk_status status = spec_to_json(s, &b, err);
    if (status == SOUK_OK) status = spec_to_yaml(s, NULL, &b, err);
    if (status == SOUK_OK) status = spec_override(&s, sets, err);
    buf_clear(&b);
    spec_free(s);
    return status;
}

static void test_faults(void **state) {
    (void)state;
    fault_loop_alloc("spec", load, NULL, NULL);
    fault_loop_files("spec", load, NULL, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_example),  cmocka_unit_test(test_every_key), cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_messages), cmocka_unit_test(test_encoders),  cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_sets),     cmocka_unit_test(test_default),   cmocka_unit_test(test_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
