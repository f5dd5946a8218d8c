/* test_pipeline - fitting on rows, encoding, messages, storage. Expected scales are scikit-learn's (StandardScaler,
 * LabelEncoder). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "fault.h"
#include "feat/pipeline.h"

static souk_error failure;
/* `expression` fills the `err` made here. */
#define OK(expression)                                                              \
    do {                                                                            \
        souk_error *err = &failure;                                                 \
        err_clear(err);                                                             \
        if ((expression) != SOUK_OK) fail_msg("%s: %s", #expression, err->message); \
    } while (0)

#define FILE_NAME SOUK_BUILD_DIR "/test_pipeline.csv"

static table *table_of(const char *csv, const char *const *types) {
    table *t;
    table_options o = table_options_default();
    o.format = TABLE_CSV;
    o.delimiter = ',';
    o.header = 1;
    o.types = types;
    OK(fs_write_all(FILE_NAME, csv, strlen(csv), err));
    OK(table_read(&t, FILE_NAME, &o, err));
    return t;
}

static feature_config feature(const char *name, feature_type type) {
    feature_config f = feature_config_default(type);
    f.name = name;
    return f;
}

static pipeline *fit(const feature_config *in, int n_in, const feature_config *out, int n_out, const table *t,
                     const int64_t *rows, int64_t n) {
    pipeline *p;
    OK(pipeline_fit(&p, in, n_in, out, n_out, t, rows, n, "data.csv", err));
    return p;
}

static dataset *encode(const pipeline *p, const table *t, bool targets, int64_t *dropped) {
    dataset *d;
    OK(pipeline_encode(p, t, NULL, t->n, targets, "data.csv", &d, dropped, err));
    return d;
}

/* The message of a fit that must fail. */
static const char *refusal(const feature_config *in, const feature_config *out, const char *csv) {
    pipeline *p = NULL;
    table *t = table_of(csv, NULL);
    err_clear(&failure);
    souk_status status = pipeline_fit(&p, in, in ? 1 : 0, out, out ? 1 : 0, t, NULL, 0, "data.csv", &failure);
    table_free(t);
    assert_int_equal(status, SOUK_INPUT);
    assert_null(p);
    return failure.message;
}

static void assert_says(const char *message, const char *part) {
    if (!strstr(message, part)) fail_msg("\"%s\" does not say \"%s\"", message, part);
}

static const char shop[] = "text,price,color,label\n"
                           "good phone good,1,red,yes\n"
                           "bad phone,2,blue,no\n"
                           "good,,red,no\n"
                           ",4,green,yes\n"
                           "phone phone,5,,\n"
                           "awful,300,violet,no\n";

/* ---- fitting and encoding ---- */

static void fits_given_rows_only(void **state) {
    (void)state;
    table *t = table_of(shop, NULL);
    feature_config in[] = {feature("text", FEATURE_TEXT), feature("price", FEATURE_NUMBER),
                           feature("color", FEATURE_CATEGORY)},
                   out = feature("label", FEATURE_BINARY);
    in[0].pad.maxlen = 3;
    const int64_t rows[] = {0, 1, 2, 3};
    pipeline *p = fit(in, 3, &out, 1, t, rows, 4);
    int64_t dropped;
    dataset *d = encode(p, t, true, &dropped);

    assert_int_equal(dropped, 1); /* row 4 has no label */
    assert_int_equal(d->n, 5);
    assert_memory_equal(d->row, ((int64_t[]){0, 1, 2, 3, 5}), 5 * sizeof(int64_t));
    /* good 3, phone 2, bad 1; "awful" was not in the fitted rows */
    assert_memory_equal(d->inputs[0].ids, ((int32_t[]){1, 2, 1, 0, 3, 2, 0, 0, 1, 0, 0, 0, 0, 0, 0}),
                        15 * sizeof(int32_t));
    /* 1, 2, 4: mean 7/3, population deviation sqrt(14/9); the missing one is the mean */
    double mean = 7.0 / 3, sd = sqrt(14.0 / 9);
    const double price[] = {1, 2, mean, 4, 300};
    for (int i = 0; i < 5; i++)
        assert_true(fabs((double)d->inputs[1].values[i] - (price[i] - mean) / sd) <= 1e-5 * (1 + fabs(price[i])));
    /* red twice, then blue, green by first sight; violet is new */
    assert_memory_equal(d->inputs[2].ids, ((int32_t[]){1, 2, 1, 3, 0}), 5 * sizeof(int32_t));
    assert_memory_equal(d->targets[0].values, ((float[]){1, 0, 0, 1, 0}), 5 * sizeof(float));

    feature_shape s = pipeline_shape(p, false, 0);
    assert_true(s.is_ids && s.width == 3 && s.vocabulary == 4);
    s = pipeline_shape(p, false, 1);
    assert_true(!s.is_ids && s.width == 1 && s.vocabulary == 0);
    assert_int_equal(pipeline_shape(p, false, 2).vocabulary, 4);
    assert_string_equal(pipeline_class(p, 0, 1), "yes");
    assert_string_equal(pipeline_config(p, true, 0)->positive, "yes");
    assert_int_equal(pipeline_class_count(p, 0), 2);
    assert_non_null(pipeline_tokenizer(p, 0));
    assert_null(pipeline_tokenizer(p, 1));
    dataset_free(d);
    d = encode(p, t, false, NULL); /* predicting keeps every row */
    assert_int_equal(d->n, 6);
    assert_int_equal(d->n_targets, 0);
    dataset_free(d);
    pipeline_free(p);
    table_free(t);
}

static void scales(void **state) {
    (void)state;
    table *t = table_of("a,b,c,d,k\n0,1,0,5,7\n10,3,1,5,7\n5,5,7,,7\n", NULL);
    feature_config in[] = {feature("a", FEATURE_NUMBER), feature("b", FEATURE_NUMBER), feature("c", FEATURE_NUMBER),
                           feature("d", FEATURE_NUMBER), feature("k", FEATURE_NUMBER)};
    in[0].norm = NORM_MINMAX;
    in[1].norm = NORM_NONE;
    in[2].norm = NORM_LOG1P;
    in[3].norm = NORM_NONE;
    in[3].missing = MISSING_FILL_CONST;
    in[3].fill_value = -1;
    pipeline *p = fit(in, 5, NULL, 0, t, NULL, 0);
    dataset *d = encode(p, t, false, NULL);
    const float expected[5][3] = {
        {0, 1, .5f}, {1, 3, 5}, {0, 0.69314718f, 2.0794415f}, {5, 5, -1}, {0, 0, 0}}; /* a constant column is 0 */
    for (int k = 0; k < 5; k++)
        for (int i = 0; i < 3; i++) assert_true(fabsf(d->inputs[k].values[i] - expected[k][i]) < 1e-6f);
    dataset_free(d);
    pipeline_free(p);
    table_free(t);
}

static void groups_rare_and_missing(void **state) {
    (void)state;
    table *t = table_of("c\nx\nx\nx\ny\ny\nz\nw\n\n\"\"\n", NULL),
          *other = table_of("c,d\nw,1\nnew,1\n,1\nx,1\n", NULL);
    feature_config in = feature("c", FEATURE_CATEGORY);
    in.most_common = 2;
    pipeline *p = fit(&in, 1, NULL, 0, t, NULL, 0);
    dataset *d = encode(p, other, false, NULL);
    assert_int_equal(pipeline_shape(p, false, 0).vocabulary, 5); /* unknown, x, y, other, missing */
    assert_memory_equal(d->inputs[0].ids, ((int32_t[]){3, 0, 4, 1}), 4 * sizeof(int32_t));
    dataset_free(d);
    pipeline_free(p);
    table_free(t);
    table_free(other);
}

static void sorts_target_classes(void **state) {
    (void)state;
    static const struct {
        const char *csv, *classes;
    } cases[] = {{"y\n10\n9\n100\n9\n", "9 10 100"},
                 {"y\nb\nB\na\nb\n", "B a b"},
                 {"y\n\xc3\xa9\nz\n\xe4\xb8\xad\n", "z \xc3\xa9 \xe4\xb8\xad"},
                 {"y\n1\nx\n10\n2\n", "1 10 2 x"},
                 {"y\n-1\n2.5\n2.50\n-3\n", "-3 -1 2.5"}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        table *t = table_of(cases[k].csv, NULL);
        feature_config out = feature("y", FEATURE_CATEGORY);
        pipeline *p = fit(NULL, 0, &out, 1, t, NULL, 0);
        char text[64] = "";
        for (int64_t i = 0; i < pipeline_class_count(p, 0); i++)
            snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", i ? " " : "", pipeline_class(p, 0, i));
        assert_string_equal(text, cases[k].classes);
        assert_int_equal(pipeline_shape(p, true, 0).vocabulary, pipeline_class_count(p, 0));
        pipeline_free(p);
        table_free(t);
    }
}

static void chooses_the_positive_class(void **state) {
    (void)state;
    static const struct {
        const char *csv, *told, *positive;
    } cases[] = {
        {"y\n0\n1\n1\n1\n", NULL, "1"},     {"y\n1\n2\n2\n2\n", NULL, "1"},
        {"y\n1\n1\n2\n", NULL, "2"},        {"y\nTRUE\nFALSE\nTRUE\n", NULL, "TRUE"},
        {"y\nno\nYes\nYes\n", NULL, "Yes"}, {"y\nham\nham\nspam\n", NULL, "spam"},
        {"y\nnein\nja\nja\n", NULL, "ja"},  {"y\n\xe6\x98\xaf\n\xe5\x90\xa6\n\xe6\x98\xaf\n", NULL, "\xe6\x98\xaf"},
        {"y\na\nb\n", NULL, "b"},           {"y\nham\nham\nspam\n", "ham", "ham"},
        {"y\n-1\n1\n1\n", NULL, "1"}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        table *t = table_of(cases[k].csv, NULL);
        feature_config out = feature("y", FEATURE_BINARY);
        out.positive = cases[k].told;
        pipeline *p = fit(NULL, 0, &out, 1, t, NULL, 0);
        if (strcmp(pipeline_class(p, 0, 1), cases[k].positive) != 0)
            fail_msg("%s: positive is %s", cases[k].csv, pipeline_class(p, 0, 1));
        pipeline_free(p);
        table_free(t);
    }
}

/* One value, however it is written or stored, is one class. */
static void compares_numbers_as_numbers(void **state) {
    (void)state;
    static const char *const text[] = {"y", "text", NULL};
    table *t = table_of("y\n1\n0\n1\n", NULL), *other = table_of("y\n1.0\n0\n01\nx\n", text);
    feature_config out = feature("y", FEATURE_BINARY);
    pipeline *p = fit(NULL, 0, &out, 1, t, NULL, 0);
    int64_t dropped;
    dataset *d = encode(p, other, true, &dropped);
    assert_int_equal(dropped, 1);
    assert_memory_equal(d->targets[0].values, ((float[]){1, 0, 1}), 3 * sizeof(float));
    dataset_free(d);
    pipeline_free(p);
    table_free(t);
    table_free(other);
}

static void scales_number_targets(void **state) {
    (void)state;
    table *t = table_of("y\n10\n20\n\n30\n", NULL);
    feature_config out = feature("y", FEATURE_NUMBER);
    pipeline *p = fit(NULL, 0, &out, 1, t, NULL, 0);
    double scale, offset;
    int64_t dropped;
    pipeline_target_scale(p, 0, &scale, &offset);
    assert_true(offset == 20 && fabs(scale - sqrt(200.0 / 3)) < 1e-12);
    dataset *d = encode(p, t, true, &dropped);
    assert_int_equal(d->n, 3);
    assert_true(fabs((double)d->targets[0].values[2] * scale + offset - 30) < 1e-5);
    assert_true(d->targets[0].exact[2] == 30); /* predictions are judged by the value as it was read */
    dataset_free(d);
    pipeline_free(p);
    table_free(t);
}

static void drops_rows_in_training_only(void **state) {
    (void)state;
    table *t = table_of("x,y\n1,a\n,b\n3,a\n", NULL);
    feature_config in = feature("x", FEATURE_NUMBER), out = feature("y", FEATURE_CATEGORY);
    in.missing = MISSING_DROP_ROW;
    pipeline *p = fit(&in, 1, &out, 1, t, NULL, 0);
    int64_t dropped;
    dataset *d = encode(p, t, true, &dropped);
    assert_int_equal(d->n, 2);
    assert_int_equal(dropped, 1);
    dataset_free(d);
    d = encode(p, t, false, NULL);
    assert_int_equal(d->n, 3);
    dataset_free(d);
    pipeline_free(p);
    table_free(t);
}

static void takes_the_longest_text(void **state) {
    (void)state;
    table *t = table_of("s\na b c\n\"A,b\"\nc a b c\n", NULL);
    feature_config in = feature("s", FEATURE_SEQUENCE);
    pipeline *p = fit(&in, 1, NULL, 0, t, NULL, 0);
    assert_int_equal(pipeline_shape(p, false, 0).width, 4);
    assert_int_equal(pipeline_shape(p, false, 0).vocabulary, 5); /* c a b A,b: nothing is lower-cased or filtered */
    pipeline_free(p);
    table_free(t);
}

/* ---- messages ---- */

static void says_what_is_wrong(void **state) {
    (void)state;
    feature_config label = feature("label", FEATURE_BINARY), category = feature("label", FEATURE_CATEGORY),
                   number = feature("label", FEATURE_NUMBER);
    feature_config x = feature("x", FEATURE_NUMBER), text = feature("x", FEATURE_TEXT);
    assert_says(refusal(NULL, &label, "label\n1\n1\n1\n"),
                "data.csv: column \"label\" has one value (\"1\") in all 3 training rows: there is nothing to learn");
    assert_says(refusal(NULL, &category, "label\nspam\nspam\n"), "one value (\"spam\")");
    assert_says(refusal(NULL, &number, "label\n2.5\n2.5\n"), "one value (\"2.5\")");
    assert_says(refusal(NULL, &label, "label,x\n,1\n,2\n"), "is empty in all 2 training rows");
    assert_says(refusal(NULL, &label, "label\na\nb\nc\n"), "has 3 values (a, b, c), and a binary feature has two");
    label.positive = "maybe";
    assert_says(refusal(NULL, &label, "label\na\nb\n"), "\"maybe\" is not one of its two values, \"a\" and \"b\"");
    assert_says(refusal(&x, NULL, "x,y\n1,1\nabc,2\n5,3\n"), "data.csv:3: column \"x\": \"abc\" is not a number");
    assert_says(refusal(&x, NULL, "labl,y\n1,1\n"), "no column \"x\"");
    assert_says(refusal(&text, NULL, "x,y\n,1\n,2\n"), "is empty in all 2 rows");
    x.norm = NORM_LOG1P;
    assert_says(refusal(&x, NULL, "x\n1\n-2\n"), "log1p needs values above -1");
    text.pad.maxlen = -3;
    assert_says(refusal(&text, NULL, "x\na\nb\n"), "maxlen is -3");
    x.norm = NORM_ZSCORE;
    assert_says(refusal(&x, NULL, "x\n1e308\n1.5e308\n"), "too large to add up");
}

static void names_all_missing_columns(void **state) {
    (void)state;
    table *t = table_of(shop, NULL), *other = table_of("Price,colour,texts\n1,2,3\n", NULL);
    feature_config in[] = {feature("text", FEATURE_TEXT), feature("price", FEATURE_NUMBER),
                           feature("label", FEATURE_CATEGORY)};
    pipeline *p = fit(in, 3, NULL, 0, t, NULL, 0);
    dataset *d = NULL;
    err_clear(&failure);
    assert_int_equal(pipeline_encode(p, other, NULL, 1, false, "new.csv", &d, NULL, &failure), SOUK_INPUT);
    assert_null(d);
    assert_says(
        failure.message,
        "new.csv: 3 columns are missing: \"text\" (nearest: \"texts\"), \"price\" (nearest: \"Price\"), \"label\"");
    pipeline_free(p);
    table_free(t);
    table_free(other);
}

static void stops_at_missing_cells_if_told(void **state) {
    (void)state;
    table *t = table_of(shop, NULL);
    static const char *const names[] = {"text", "price", "color"};
    static const feature_type types[] = {FEATURE_TEXT, FEATURE_NUMBER, FEATURE_CATEGORY};
    static const char *const lines[] = {"data.csv:5: column \"text\"", "data.csv:4: column \"price\"",
                                        "data.csv:6: column \"color\""};
    for (int k = 0; k < 3; k++) {
        feature_config in = feature(names[k], types[k]);
        in.missing = MISSING_ERROR;
        pipeline *p = fit(&in, 1, NULL, 0, t, NULL, 0);
        dataset *d = NULL;
        err_clear(&failure);
        assert_int_equal(pipeline_encode(p, t, NULL, t->n, false, "data.csv", &d, NULL, &failure), SOUK_INPUT);
        assert_says(failure.message, lines[k]);
        assert_int_equal(failure.line, k == 0 ? 5 : k == 1 ? 4 : 6);
        pipeline_free(p);
    }
    table_free(t);
}

/* ---- storage ---- */

static pipeline *shop_pipeline(const table *t) {
    feature_config in[] = {feature("text", FEATURE_TEXT), feature("price", FEATURE_NUMBER),
                           feature("color", FEATURE_CATEGORY), feature("label", FEATURE_BINARY)},
                   out[] = {feature("label", FEATURE_BINARY), feature("color", FEATURE_CATEGORY),
                            feature("price", FEATURE_NUMBER)};
    in[0].tokenizer.oov_token = "<OOV>";
    in[0].tokenizer.num_words = 3;
    in[0].pad.post_padding = true;
    in[2].most_common = 2;
    return fit(in, 4, out, 3, t, NULL, 0);
}

static void to_json(const pipeline *p, buf *out) {
    json_writer w;
    json_begin(&w, out, false);
    json_object(&w);
    OK(pipeline_to_json(p, &w, err));
    json_end_object(&w);
}

static souk_status from_json(pipeline **p, const buf *json, souk_error *err) {
    json_doc *doc;
    *p = NULL;
    TRY(json_parse(&doc, json->data, json->len, 0, err));
    souk_status status = pipeline_from_json(p, json_root(doc), err);
    json_free(doc);
    return status;
}

static void assert_same(const dataset_array *a, const dataset_array *b, int64_t n) {
    assert_true(a->is_ids == b->is_ids && a->width == b->width);
    assert_memory_equal(a->is_ids ? (void *)a->ids : (void *)a->values, b->is_ids ? (void *)b->ids : (void *)b->values,
                        (size_t)(n * a->width) * 4);
}

static void reads_back_to_the_same_bits(void **state) {
    (void)state;
    table *t = table_of(shop, NULL);
    pipeline *p = shop_pipeline(t), *q;
    buf json, again;
    buf_init(&json, 0);
    buf_init(&again, 0);
    to_json(p, &json);
    OK(from_json(&q, &json, err));
    to_json(q, &again);
    assert_string_equal(json.data, again.data);
    int64_t dropped[2];
    dataset *a = encode(p, t, true, &dropped[0]), *b = encode(q, t, true, &dropped[1]);
    assert_int_equal(a->n, b->n);
    for (int i = 0; i < a->n_inputs; i++) assert_same(&a->inputs[i], &b->inputs[i], a->n);
    for (int i = 0; i < a->n_targets; i++) assert_same(&a->targets[i], &b->targets[i], a->n);
    for (int i = 0; i < a->n_inputs; i++) {
        feature_shape x = pipeline_shape(p, false, i), y = pipeline_shape(q, false, i);
        assert_true(x.vocabulary == y.vocabulary && x.width == y.width && x.type == y.type);
    }
    assert_string_equal(pipeline_config(q, true, 0)->positive, "yes");
    assert_string_equal(pipeline_config(q, false, 0)->tokenizer.oov_token, "<OOV>");
    dataset_free(a);
    dataset_free(b);
    pipeline_free(p);
    pipeline_free(q);
    buf_clear(&json);
    buf_clear(&again);
    table_free(t);
}

/* Damage: every member of a stored pipeline missing or of another kind, one at a time, is noticed. */
static void refuses_damage(void **state) {
    (void)state;
    table *t = table_of(shop, NULL);
    pipeline *p = shop_pipeline(t);
    buf json, cut;
    buf_init(&json, 0);
    buf_init(&cut, 0);
    to_json(p, &json);
    int tried = 0;
    for (const char *at = json.data; (at = strchr(at, '"')) != NULL; at++) {
        const char *end = strchr(at + 1, '"');
        if (!end || end[1] != ':' || (at[-1] != '{' && at[-1] != ',')) continue; /* not a key of the pipeline's own */
        buf_reset(&cut);
        buf_add(&cut, json.data, json.len);
        cut.data[at + 1 - json.data] = '#';
        pipeline *q = NULL;
        err_clear(&failure);
        souk_status status = from_json(&q, &cut, &failure);
        if (status == SOUK_OK || q) fail_msg("without %.20s it is read all the same", at);
        assert_true(failure.message[0] != 0);
        tried++;
    }
    assert_true(tried > 50);
    pipeline_free(p);
    buf_clear(&json);
    buf_clear(&cut);
    table_free(t);
}

/* ---- faults ---- */

static souk_status fit_encode_store(void *context, souk_error *err) {
    const table *t = context;
    souk_status status = SOUK_OK;
    feature_config in[] = {feature("text", FEATURE_TEXT), feature("price", FEATURE_NUMBER),
                           feature("color", FEATURE_CATEGORY)},
                   out = feature("label", FEATURE_BINARY);
    pipeline *p = NULL;
    dataset *d = NULL;
    int64_t dropped;
    buf json;
    buf_init(&json, 0);
    json_writer w;
    TRY_DONE(pipeline_fit(&p, in, 3, &out, 1, t, NULL, 0, "data.csv", err));
    TRY_DONE(pipeline_encode(p, t, NULL, t->n, true, "data.csv", &d, &dropped, err));
    json_begin(&w, &json, false);
    json_object(&w);
    TRY_DONE(pipeline_to_json(p, &w, err));
    json_end_object(&w);
    status = buf_status(&json, "storing the pipeline", err);
done:
    pipeline_free(p);
    dataset_free(d);
    buf_clear(&json);
    return status;
}

static void survives_faults(void **state) {
    (void)state;
    table *t = table_of(shop, NULL);
    fault_loop_alloc("pipeline", fit_encode_store, NULL, t);
    table_free(t);
}

static int clean_up(void **state) {
    (void)state;
    remove(FILE_NAME);
    assert_int_equal(mem_live(), 0);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fits_given_rows_only),
        cmocka_unit_test(scales),
        cmocka_unit_test(groups_rare_and_missing),
        cmocka_unit_test(sorts_target_classes),
        cmocka_unit_test(chooses_the_positive_class),
        cmocka_unit_test(compares_numbers_as_numbers),
        cmocka_unit_test(scales_number_targets),
        cmocka_unit_test(drops_rows_in_training_only),
        cmocka_unit_test(takes_the_longest_text),
        cmocka_unit_test(says_what_is_wrong),
        cmocka_unit_test(names_all_missing_columns),
        cmocka_unit_test(stops_at_missing_cells_if_told),
        cmocka_unit_test(reads_back_to_the_same_bits),
        cmocka_unit_test(refuses_damage),
        cmocka_unit_test(survives_faults),
    };
    return cmocka_run_group_tests(tests, NULL, clean_up);
}
