/* test_where.c - the filter expression: comparisons, three-valued logic, quoting, messages with the position. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/buf.h"
#include "data/where.h"

static const char *const names[] = {"age", "job", "emp.var.rate", "odd name", "empty", "flag", "not"};
static const char *const cells[] = {"41", "admin.", "-1.10", "it's", "NA", "TRUE", "7"};
enum { COLUMNS = 7 };

static const char *get(const void *context, int k, size_t *len) {
    (void)context;
    *len = strlen(cells[k]);
    return cells[k];
}

/* 1, 0, or -1 for an expression that does not compile. */
static int match(const char *expression) {
    where *w = NULL;
    souk_error err = {0};
    if (where_compile(&w, expression, names, COLUMNS, '.', &err) != SOUK_OK) {
        assert_true(err.message[0] != 0);
        return -1;
    }
    int result = where_match(w, get, NULL);
    where_free(w);
    return result;
}

static void test_truth(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int want;
    } cases[] = {
        {"age = 41", 1},
        {"age == 41.0", 1},
        {"age != 41", 0},
        {"age <> 40", 1},
        {"age < 5", 0},
        {"age <= 41", 1},
        {"age > 5", 1},
        {"age >= 42", 0},
        {"age = '41'", 1},
        {"41 = age", 1},
        {"5 < age", 1},
        {"emp.var.rate = -1.1", 1},
        {"emp.var.rate < -1", 1},
        {"age > emp.var.rate", 1},
        {"job = 'admin.'", 1},
        {"job = 'Admin.'", 0},
        {"job < 'b'", 1},
        {"job > 'admin'", 1},
        {"`odd name` = 'it''s'", 1},
        {"\"odd name\" = 'its'", 0},
        {"flag = true", 1},
        {"flag = 'true'", 0},
        {"flag in (false, TRUE)", 1},
        {"\"not\" = 7", 1},
        {"age in (1, 41, 5)", 1},
        {"age in (1)", 0},
        {"age not in (1, 2)", 1},
        {"job in ('x', 'admin.')", 1},
        {"empty is null", 1},
        {"empty is not null", 0},
        {"age is null", 0},
        {"age IS NOT NULL", 1},
        {"empty = 1", 0},
        {"empty != 1", 0},
        {"not empty = 1", 0},
        {"empty in (1)", 0},
        {"empty not in (1)", 0},
        {"empty = 1 or age = 41", 1},
        {"empty = 1 and age = 41", 0},
        {"not (empty = 1 and age = 5)", 1},
        {"not (empty = 1 or age = 5)", 0},
        {"age = 1 or age = 41 and job = 'x'", 0},
        {"(age = 1 or age = 41) and job = 'admin.'", 1},
        {"not age = 41", 0},
        {"not not age = 41", 1},
        {"age = 41 AND NOT job = 'x' OR age < 0", 1},
        {"((((age=41))))", 1},
        {"age=41and job='admin.'", -1},
        {"age=+41", 1},
        {"age=4.1e1", 1},
    };
    size_t n = sizeof cases / sizeof *cases;
    for (size_t i = 0; i < n; i++) {
        int have = match(cases[i].text);
        if (have != cases[i].want) fail_msg("%s: %d, not %d", cases[i].text, have, cases[i].want);
    }
    printf("expressions: %zu of %zu\n", n, n);
}

static void refused(const char *text, souk_status status, int64_t byte, const char *words) {
    where *w = NULL;
    souk_error err = {0};
    assert_int_equal(where_compile(&w, text, names, COLUMNS, '.', &err), status);
    assert_null(w);
    if (!strstr(err.message, words)) fail_msg("%s: %s", text, err.message);
    assert_int_equal(err.byte, byte);
}

static void test_messages(void **state) {
    (void)state;
    refused("agee > 3", SOUK_INPUT, 0, "--where, character 1: no column \"agee\"; the nearest is \"age\"");
    refused("age > 3 and jov = 'x'", SOUK_INPUT, 12, "the nearest is \"job\"");
    refused("job = administrator", SOUK_INPUT, 6, "text goes in single quotes: 'administrator'");
    refused("age >", SOUK_USAGE, 5, "expected a column, a number or 'text', found the end");
    refused("age", SOUK_USAGE, 3, "expected a comparison");
    refused("age > 3 job", SOUK_USAGE, 8, "expected and, or or the end, found \"job\"");
    refused("(age > 3", SOUK_USAGE, 8, "expected and, or or )");
    refused("age in 3", SOUK_USAGE, 7, "expected ( after in");
    refused("age in (3 4)", SOUK_USAGE, 10, "expected , or ) in the list");
    refused("age in (job)", SOUK_USAGE, 8, "expected a number or 'text'");
    refused("age is 3", SOUK_USAGE, 7, "expected null");
    refused("job = 'x", SOUK_USAGE, 6, "character 7: the ' is never closed");
    refused("age > 3 & job", SOUK_USAGE, 8, "\"&\" has no meaning here");
    refused("age > 3x", SOUK_USAGE, 6, "a number");
    refused("", SOUK_USAGE, 0, "expected a column");
    char deep[300];
    memset(deep, '(', 200);
    memcpy(deep + 200, "age", 4);
    refused(deep, SOUK_USAGE, 100, "nested more than 100 deep");
}

/* A decimal comma in the cells, a point in the expression. */
static const char *comma_cell(const void *context, int k, size_t *len) {
    (void)context;
    (void)k;
    *len = 3;
    return "1,5";
}
static void test_decimal(void **state) {
    (void)state;
    where *w;
    assert_int_equal(where_compile(&w, "age = 1.5 and age < 10", names, COLUMNS, ',', NULL), SOUK_OK);
    assert_true(where_match(w, comma_cell, NULL));
    where_free(w);
}

/* A long chain is a list, not a nest. */
static void test_chain(void **state) {
    (void)state;
    buf b;
    where *w;
    buf_init(&b, 0);
    for (int i = 0; i < 20000; i++) buf_printf(&b, "%sage = %d", i ? " or " : "", 20022 + i - 19981);
    assert_int_equal(where_compile(&w, b.data, names, COLUMNS, '.', NULL), SOUK_OK);
    assert_true(where_match(w, get, NULL));
    where_free(w);
    buf_clear(&b);
}

static int no_leak(void **state) {
    (void)state;
    return mem_live() != 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_truth), cmocka_unit_test(test_messages),
                                       cmocka_unit_test(test_decimal), cmocka_unit_test(test_chain)};
    return cmocka_run_group_tests(tests, NULL, no_leak);
}
