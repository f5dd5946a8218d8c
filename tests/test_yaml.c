/* yaml: scalars by YAML 1.2's core schema, positions, JSON, what is refused and how it is said, overrides, faults. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "base/buf.h"
#include "fault.h"
#include "model/yaml.h"

static yaml_tree *parse(const char *text) {
    yaml_tree *t;
    souk_error err = {0};
    if (yaml_parse(&t, text, strlen(text), "f.yaml", &err) != SOUK_OK) fail_msg("%s: %s", text, err.message);
    return t;
}

static void test_scalars(void **state) {
    (void)state;
    static const struct {
        const char *text;
        yaml_kind kind;
        double number;
    } cases[] = {
        {"", YAML_NULL, 0},
        {"~", YAML_NULL, 0},
        {"null", YAML_NULL, 0},
        {"true", YAML_BOOL, 1},
        {"False", YAML_BOOL, 0},
        {"no", YAML_TEXT, 0},
        {"Yes", YAML_TEXT, 0},
        {"on", YAML_TEXT, 0},
        {"1:30", YAML_TEXT, 0},
        {"1_000", YAML_TEXT, 0},
        {"nan", YAML_TEXT, 0},
        {"12", YAML_INT, 12},
        {"-7", YAML_INT, -7},
        {"+3", YAML_INT, 3},
        {"0o17", YAML_INT, 15},
        {"0xfF", YAML_INT, 255},
        {"010", YAML_INT, 10},
        {"0x", YAML_TEXT, 0},
        {"0o8", YAML_TEXT, 0},
        {"99999999999999999999", YAML_REAL, 1e20},
        {"1.5", YAML_REAL, 1.5},
        {"1e3", YAML_REAL, 1000},
        {".5", YAML_REAL, .5},
        {"5.", YAML_REAL, 5},
        {"-.inf", YAML_REAL, -INFINITY},
        {"2024-05-01", YAML_TEXT, 0},
        {"'12'", YAML_TEXT, 0},
        {"\"true\"", YAML_TEXT, 0},
        {"<OOV>", YAML_TEXT, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[64];
        snprintf(text, sizeof text, "k: %s\n", cases[i].text);
        yaml_tree *t = parse(text);
        const yaml_value *v = yaml_get(yaml_root(t), "k");
        if (v->kind != cases[i].kind) fail_msg("%s is %s", cases[i].text, yaml_kind_name(v->kind));
        if (v->kind == YAML_INT || v->kind == YAML_REAL) assert_true(v->d == cases[i].number);
        if (v->kind == YAML_BOOL) assert_int_equal(v->b, cases[i].number == 1);
        yaml_tree_free(t);
    }
}

static void test_tree(void **state) {
    (void)state;
    yaml_tree *t = parse(
        "\xef\xbb\xbf# comment\na: {b: [1, two], 'c d': null}\nlist:\n  - x: 1\n    y: 2\n  -\n\xc3\xa9t\xc3\xa9: q\n");
    const yaml_value *root = yaml_root(t), *b = yaml_get(yaml_get(root, "a"), "b"), *list = yaml_get(root, "list");
    assert_int_equal(root->n, 3);
    assert_int_equal(b->kind, YAML_LIST);
    assert_string_equal(b->entry[1].value->text, "two");
    assert_int_equal(b->entry[1].value->line, 2);
    assert_int_equal(b->entry[1].value->column, 12);
    assert_int_equal(yaml_get(yaml_get(root, "a"), "c d")->kind, YAML_NULL);
    assert_int_equal(list->n, 2);
    assert_int_equal(yaml_get(list->entry[0].value, "y")->line, 5);
    assert_int_equal(list->entry[1].value->kind, YAML_NULL);
    assert_int_equal(root->entry[2].line, 7);
    assert_null(yaml_get(root, "z"));
    assert_null(yaml_get(b, "z"));
    yaml_tree_free(t);
    t = parse("");
    assert_int_equal(yaml_root(t)->kind, YAML_NULL);
    yaml_tree_free(t);
}

static void test_json(void **state) {
    (void)state;
    yaml_tree *t =
        parse("{\"a\":1,\"b\":[true,null,-2.5e-3],\n\t\"c\":{\"d\":\"\\u4e2d\\ud83d\\ude00\\\\ud83d\\\"\\/\\n\"}}");
    const yaml_value *root = yaml_root(t);
    assert_int_equal(yaml_get(root, "a")->i, 1);
    assert_true(yaml_get(root, "b")->entry[2].value->d == -2.5e-3);
    assert_string_equal(yaml_get(yaml_get(root, "c"), "d")->text, "\xe4\xb8\xad\xf0\x9f\x98\x80\\ud83d\"/\n");
    yaml_tree_free(t);
}

static void refuse(const char *text, size_t n, const char *says) {
    yaml_tree *t;
    souk_error err = {0};
    souk_status status = yaml_parse(&t, text, n, "f.yaml", &err);
    assert_null(t);
    if (status != SOUK_INPUT && status != SOUK_REFUSED) fail_msg("%.60s: accepted", text);
    if (!strstr(err.message, says)) fail_msg("%.60s: \"%s\" does not say \"%s\"", text, err.message, says);
}

static void test_refusals(void **state) {
    (void)state;
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"a: &x 1\n", "f.yaml:1:4: anchors"},
        {"a: &x {b: 1}\n", "f.yaml:1:4: anchors"},
        {"a: !!str 1\n", "f.yaml:1:4: anchors (&name) and tags"},
        {"a: !x [1]\n", "tags"},
        {"a: *x\n", "f.yaml:1:4: aliases"},
        {"a: 1\nb: 2\na: 3\n", "f.yaml:3:1: the key \"a\" stands here for the second time"},
        {"{\"a\": 1, \"a\": 2}", "f.yaml:1:10: the key \"a\""},
        {"a: 1\n---\nb: 2\n", "f.yaml:2:1: a second document"},
        {"{[1]: 2}", "a key must be text"},
        {"? {a: 1}\n: 2\n", "a key must be text"},
        {"a: \"x\\0y\"\n", "a NUL character"},
        {"a:\n\tb: 1\n", "spaces, not tabs"},
        {"a: b: c\n", "f.yaml:1:5: not valid YAML: mapping values"},
        {"a: [1, 2\n", "missing quote, bracket or comma"},
        {"a: 1\n  b: 2\n", "f.yaml:2:4: not valid YAML"},
        {"a: \"open\n", "not valid YAML"},
        {"ok: 1\nb: \xc3\xa9\xff\n", "f.yaml:2:5: not valid UTF-8"},
        {"a: @x\n", "cannot start any token"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        refuse(cases[i].text, strlen(cases[i].text), cases[i].says);
    refuse("\xff\xfe"
           "a\0:\0",
           6, "not valid UTF-8"); /* UTF-16 */
    assert_int_equal(mem_live(), 0);
}

static void test_limits(void **state) {
    (void)state;
    buf b;
    for (int depth = YAML_MAX_DEPTH; depth <= YAML_MAX_DEPTH + 1; depth++) {
        buf_init(&b, 0);
        for (int i = 0; i < depth; i++) buf_char(&b, '[');
        for (int i = 0; i < depth; i++) buf_char(&b, ']');
        if (depth == YAML_MAX_DEPTH)
            yaml_tree_free(parse(b.data));
        else
            refuse(b.data, b.len, "nested more than 32 deep");
        buf_clear(&b);
    }
    buf_init(&b, 0);
    buf_str(&b, "a: ");
    while (b.len < YAML_MAX_BYTES) buf_char(&b, 'x');
    yaml_tree_free(parse(b.data));
    buf_char(&b, 'x');
    refuse(b.data, b.len, "at most 8 MiB");
    buf_reset(&b);
    buf_char(&b, '[');
    for (int i = 0; i < YAML_MAX_NODES; i++) buf_str(&b, "1,");
    buf_char(&b, ']');
    refuse(b.data, b.len, "more than 200,000 values");
    buf_clear(&b);
}

static void test_put(void **state) {
    (void)state;
    souk_error err = {0};
    yaml_tree *t = parse("a: {b: 1}\n");
    yaml_value *root = yaml_root(t), *v;
    assert_int_equal(yaml_parse_into(t, &v, "[1, x]", "--set c=[1, x]", &err), SOUK_OK);
    *yaml_put(t, root, "c", "--set") = *v;
    assert_int_equal(yaml_get(root, "c")->n, 2);
    assert_string_equal(yaml_get(root, "c")->origin, "--set c=[1, x]");
    assert_int_equal(yaml_get(root, "c")->line, 0);
    assert_ptr_equal(yaml_put(t, root, "c", "--set"), yaml_get(root, "c"));
    assert_int_equal(yaml_parse_into(t, &v, "[1", "--set c=[1", &err), SOUK_INPUT);
    assert_non_null(strstr(err.message, "--set c=[1: not valid YAML"));
    yaml_tree_free(t);
    yaml_tree_free(NULL);
}

static souk_status load(void *context, souk_error *err) {
    yaml_tree *t;
    (void)context;
    const char *text = "{\"a\": [1, 2, 3, 4, 5, {\"b\": \"\\ud83d\\ude00\"}], \"c\": null}";
    souk_status status = yaml_parse(&t, text, strlen(text), "f.json", err);
    yaml_tree_free(t);
    return status;
}

static void test_faults(void **state) {
    (void)state;
    fault_loop_alloc("yaml_parse", load, NULL, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scalars),  cmocka_unit_test(test_tree),   cmocka_unit_test(test_json),
        cmocka_unit_test(test_refusals), cmocka_unit_test(test_limits), cmocka_unit_test(test_put),
        cmocka_unit_test(test_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
