/* test_roles - what the program chooses for a table without a model file, and why: targets, scripts, columns left out.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/fs.h"
#include "train/roles.h"

#define FILE_NAME SOUK_BUILD_DIR "/roles.csv"

/* `row` is printed for r = 0 … n-1 behind the header. */
static table *table_of(const char *header, int n, void (*row)(buf *b, int r)) {
    souk_error err = {0};
    table_options options = table_options_default();
    table *t = NULL;
    buf b;
    buf_init(&b, 0);
    buf_printf(&b, "%s\n", header);
    for (int r = 0; r < n; r++) row(&b, r);
    if (fs_write_all(FILE_NAME, b.data, b.len, &err) != SOUK_OK) fail_msg("%s", err.message);
    buf_clear(&b);
    if (table_read(&t, FILE_NAME, &options, &err) != SOUK_OK) fail_msg("%s", err.message);
    return t;
}

static void targets_row(buf *b, int r) {
    buf_printf(b, "%d,%d,%d,%.1f,%s,%d\n", r % 2, r % 10, r % 21, r % 10 * .5,
               r % 3   ? "red"
               : r % 2 ? "blue"
                       : "green",
               r % 20 - 10);
}

static void chooses_target_types(void **state) {
    (void)state;
    table *t = table_of("two,ten,many,halves,text,signed", 600, targets_row);
    static const struct {
        const char *name;
        feature_type type;
    } expected[] = {{"two", FEATURE_BINARY},    {"ten", FEATURE_CATEGORY},  {"many", FEATURE_NUMBER},
                    {"halves", FEATURE_NUMBER}, {"text", FEATURE_CATEGORY}, {"signed", FEATURE_CATEGORY}};
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        assert_int_equal(roles_target_type(t, table_column(t, expected[i].name)), expected[i].type);
    table_free(t);
}

static void scripts_row(buf *b, int r) {
    static const char *const chinese[] = {"很快，好吃，味道足，量大", "没有送水 iPhone 没有送水", "送餐快,态度好"};
    static const char *const japanese[] = {"とてもよかったです", "サービスが悪い", "また来ます OK"};
    static const char *const english[] = {"great phone, works well", "the 味 of it was poor", "привет мир и phone"};
    buf_printf(b, "\"%s %d\",\"%s %d\",\"%s %d\",u%d,%d\n", chinese[r % 3], r, japanese[r % 3], r, english[r % 3], r,
               r % 1500, r % 2);
}

static void reads_cjk_by_character(void **state) {
    souk_error err = {0};
    (void)state;
    table *t = table_of("zh,ja,en,shop,label", 3000, scripts_row);
    roles r;
    chosen c;
    assert_int_equal(roles_parse(&r, NULL, t, "roles.csv", &err), SOUK_OK);
    if (roles_choose(&c, &r, t, "label", "roles.csv", &err) != SOUK_OK) fail_msg("%s", err.message);
    assert_int_equal(c.spec->n_inputs, 4);
    for (int i = 0; i < 3; i++) {
        const feature_config *f = &c.spec->inputs[i].feature;
        assert_int_equal(f->type, FEATURE_TEXT);
        assert_int_equal(f->tokenizer.char_level, i < 2);
        assert_int_equal(f->pad.maxlen, i < 2 ? 200 : 100);
        assert_non_null(strstr(c.reasons[i], i < 2 ? "characters" : "words"));
    }
    assert_non_null(strstr(c.reasons[3], "over 1,000 distinct values"));
    spec_free(c.spec);
    roles_clear(&r);
    table_free(t);
}

static void lonely_row(buf *b, int r) { buf_printf(b, "%s\n", r % 2 ? "yes" : "no"); }

static void names_what_is_missing(void **state) {
    souk_error err = {0};
    roles r;
    chosen c;
    (void)state;
    table *t = table_of("label", 30, lonely_row);
    assert_int_equal(roles_parse(&r, NULL, t, "roles.csv", &err), SOUK_OK);
    assert_int_equal(roles_choose(&c, &r, t, "label", "roles.csv", &err), SOUK_INPUT);
    assert_non_null(strstr(err.message, "--delimiter"));
    roles_clear(&r);
    table_free(t);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(chooses_target_types), cmocka_unit_test(reads_cjk_by_character),
                                       cmocka_unit_test(names_what_is_missing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
