/* test_base_json - reading with refusals that name the place, writing with escapes, faults. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>

#include "base/json.h"
#include "base/utf8.h"
#include "fault.h"

static json_doc *parse(const char *text) {
    json_doc *d;
    souk_error err = {0};
    if (json_parse(&d, text, strlen(text), 0, &err) != SOUK_OK) fail_msg("%s", err.message);
    return d;
}

static void reads_every_kind(void **state) {
    (void)state;
    json_doc *d = parse("{\"s\": \"a\\u0000b\", \"i\": -7, \"r\": 2.5, \"t\": true, \"n\": null, \"a\": [1, [2], {}]}");
    const json_value *root = json_root(d);
    int64_t i;
    double r;
    bool t;
    assert_int_equal(json_kind(root), JSON_KIND_OBJECT);
    assert_int_equal(json_length(root), 6);
    assert_int_equal(json_string_len(json_get(root, "s")), 3);
    assert_memory_equal(json_string(json_get(root, "s")), "a\0b", 4);
    assert_true(json_int(json_get(root, "i"), &i) && i == -7);
    assert_true(json_number(json_get(root, "i"), &r) && r == -7);
    assert_true(json_number(json_get(root, "r"), &r) && r == 2.5);
    assert_false(json_int(json_get(root, "r"), &i));
    assert_true(json_bool(json_get(root, "t"), &t) && t);
    assert_int_equal(json_kind(json_get(root, "n")), JSON_KIND_NULL);
    assert_int_equal(json_kind(json_index(json_get(root, "a"), 1)), JSON_KIND_ARRAY);
    assert_int_equal(json_length(json_get(root, "a")), 3);
    /* absence and wrong types are quiet */
    assert_null(json_get(root, "absent"));
    assert_null(json_get(NULL, "x"));
    assert_null(json_index(root, 0));
    assert_null(json_index(json_get(root, "a"), 3));
    assert_null(json_string(json_get(root, "i")));
    assert_int_equal(json_length(NULL), 0);
    assert_false(json_bool(NULL, &t));
    json_free(d);
    json_free(NULL);
}

static void objects_keep_the_order_of_the_text(void **state) {
    (void)state;
    json_doc *d = parse("{\"z\":0,\"a\":1,\"m\":2,\"b\":3}");
    static const char *const keys[] = {"z", "a", "m", "b"};
    void *it = NULL;
    const char *key;
    const json_value *v;
    int64_t n = 0, i;
    while (json_next(json_root(d), &it, &key, &v)) {
        assert_string_equal(key, keys[n]);
        assert_true(json_int(v, &i) && i == n);
        n++;
    }
    assert_int_equal(n, 4);
    json_free(d);
}

static void expect_error(const char *text, size_t n, int depth, int64_t line, const char *words) {
    json_doc *d = NULL;
    souk_error err = {0};
    assert_int_equal(json_parse(&d, text, n, depth, &err), SOUK_INPUT);
    assert_null(d);
    assert_int_equal(err.line, line);
    if (!strstr(err.message, words)) fail_msg("\"%s\" does not say \"%s\"", err.message, words);
    assert_true(utf8_valid(err.message, strlen(err.message)));
}

static void refusals_name_the_place(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t line;
        const char *words;
    } cases[] = {
        {"", 1, "line 1"},
        {"{\"a\": 1,\n \"b\": 2,\n \"a\": 3}", 3, "duplicate"},
        {"{\"a\": 1,}", 1, "line 1, column 9"},
        {"[1, 2\n, x]", 2, "line 2, column 3"},
        {"[1] [2]", 1, "end of file"},
        {"{\"a\": \"un", 1, "premature"},
        {"[1e999]", 1, "overflow"},
        {"[99999999999999999999]", 1, "too big"},
        {"[\"\xC3\x28\"]", 1, "unable to decode byte 0xc3"},
        {"[01]", 1, "line 1"},
        {"[NaN]", 1, "line 1"},
        {"'a'", 1, "line 1"},
        {"\"\\ud800\"", 1, "line 1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        expect_error(cases[i].text, strlen(cases[i].text), 0, cases[i].line, cases[i].words);
    char deep[400];
    memset(deep, '[', 200);
    memset(deep + 200, ']', 200);
    expect_error(deep, 400, 0, 1, "column 65: arrays and objects are nested deeper than the limit of 64");
    expect_error("[\n [\n  [0]]]", 12, 2, 3, "line 3, column 3");
    json_doc *d = NULL;
    assert_int_equal(json_parse(&d, deep + 136, 128, 0, NULL), SOUK_OK);
    json_free(d);
    d = parse("\"[[[[ \\\" ]]\""); /* brackets in strings do not count */
    json_free(d);
}

static void writes_compactly_and_prettily(void **state) {
    (void)state;
    static const char *const expected[] = {
        "{\"name\":\"a\\\"b\\\\c\\n\\u0001\xC3\xA9\xEF\xBF\xBD\",\"list\":[1,-2.5,null,-0.0,true,[],{}],\"raw\":{\"x\":"
        "1},\"none\":null}",
        "{\n  \"name\": \"a\\\"b\\\\c\\n\\u0001\xC3\xA9\xEF\xBF\xBD\",\n"
        "  \"list\": [\n    1,\n    -2.5,\n    null,\n    -0.0,\n    true,\n    [],\n    {}\n  ],\n"
        "  \"raw\": {\"x\":1},\n  \"none\": null\n}"};
    for (int pretty = 0; pretty < 2; pretty++) {
        buf b;
        json_writer w;
        buf_init(&b, 0);
        json_begin(&w, &b, pretty);
        json_object(&w);
        json_key(&w, "name");
        json_put_string_n(&w, "a\"b\\c\n\x01\xC3\xA9\xFF", 10);
        json_key(&w, "list");
        json_array(&w);
        json_put_int(&w, 1);
        json_put_double(&w, -2.5);
        json_put_double(&w, (double)NAN);
        json_put_double(&w, -0.0);
        json_put_bool(&w, true);
        json_array(&w);
        json_end_array(&w);
        json_object(&w);
        json_end_object(&w);
        json_end_array(&w);
        json_key(&w, "raw");
        json_put_raw(&w, "{\"x\":1}");
        json_key(&w, "none");
        json_put_string(&w, NULL);
        json_end_object(&w);
        assert_string_equal(b.data, expected[pretty]);
        json_doc *d = parse(b.data);
        json_free(d);
        buf_clear(&b);
    }
}

/* Every byte value, alone and in threes: the output parses, and valid text comes back as it was. */
static void every_byte_can_be_written(void **state) {
    (void)state;
    for (int c = 0; c < 256; c++) {
        char text[3] = {(char)c, 'x', (char)c};
        buf b;
        json_writer w;
        buf_init(&b, 0);
        json_begin(&w, &b, false);
        json_put_string_n(&w, text, 3);
        json_doc *d = NULL;
        souk_error err = {0};
        if (json_parse(&d, b.data, b.len, 0, &err) != SOUK_OK) fail_msg("byte %d: %s", c, err.message);
        if (c < 128) {
            assert_int_equal(json_string_len(json_root(d)), 3);
            assert_memory_equal(json_string(json_root(d)), text, 3);
        } else {
            assert_string_equal(json_string(json_root(d)), "\xEF\xBF\xBDx\xEF\xBF\xBD");
        }
        json_free(d);
        buf_clear(&b);
    }
}

static const char DOCUMENT[] =
    "{\"config\": {\"num_words\": 1000, \"lower\": true, \"oov_token\": \"<OOV>\","
    " \"rate\": 0.5, \"filters\": \"!#$\\t\\n\"},"
    " \"index\": {\"the\": 1, \"of\": 2, \"a rather long key that does not fit a short buffer\": 3},"
    " \"list\": [1,2,3,4,5,6,7,8,9]}";

static souk_status parse_document(void *context, souk_error *err) {
    (void)context;
    json_doc *d;
    TRY(json_parse(&d, DOCUMENT, sizeof DOCUMENT - 1, 0, err));
    assert_string_equal(json_string(json_get(json_get(json_root(d), "config"), "oov_token")), "<OOV>");
    assert_int_equal(json_length(json_get(json_root(d), "list")), 9);
    json_free(d);
    return SOUK_OK;
}

static souk_status write_document(void *context, souk_error *err) {
    (void)context;
    buf b;
    json_writer w;
    buf_init(&b, 0);
    json_begin(&w, &b, true);
    json_array(&w);
    for (int i = 0; i < 100; i++) json_put_string(&w, "some text\n");
    json_end_array(&w);
    souk_status status = buf_status(&b, "writing JSON", err);
    buf_clear(&b);
    return status;
}

static void faults(void **state) {
    (void)state;
    fault_loop_alloc("json_parse", parse_document, NULL, NULL);
    fault_loop_alloc("json_writer", write_document, NULL, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_kind),          cmocka_unit_test(objects_keep_the_order_of_the_text),
        cmocka_unit_test(refusals_name_the_place),   cmocka_unit_test(writes_compactly_and_prettily),
        cmocka_unit_test(every_byte_can_be_written), cmocka_unit_test(faults)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
