/* test_header.c - the public header compiles alone, as C17 here and as C++17 by the compiler that the build names; the
 * settings table that it shows is complete. */
#include "souk.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void test_cpp(void **state) {
    (void)state;
    assert_int_equal(
        system("c++ -std=c++17 -Wall -Wextra -Werror -fsyntax-only -x c++ '" SOUK_SOURCE_DIR "/include/souk.h'"), 0);
    assert_int_equal(
        system("cc -std=c17 -Wall -Wextra -Werror -pedantic -fsyntax-only -x c '" SOUK_SOURCE_DIR "/include/souk.h'"),
        0);
}

static void test_statuses(void **state) {
    (void)state;
    assert_string_equal(souk_status_text(SOUK_OK), "success");
    assert_int_equal(souk_status_exit(SOUK_INPUT), 2);
    assert_int_equal(souk_status_exit(SOUK_REFUSED), 3);
    assert_int_equal(souk_status_exit(SOUK_INTERRUPTED), 130);
}

static void test_settings(void **state) {
    (void)state;
    size_t n = souk_setting_count(), commands = 0, keys = 0;
    for (size_t i = 0; i < n; i++) {
        const souk_setting *s = souk_setting_at(i);
        assert_non_null(s);
        assert_true(s->name && *s->name && s->help && *s->help && s->type && s->commands && s->value && s->range);
        commands += s->kind == SOUK_SETTING_COMMAND;
        keys += s->kind == SOUK_SETTING_KEY;
        for (size_t j = 0; j < i; j++)
            assert_false(s->kind != SOUK_SETTING_KEY && souk_setting_at(j)->kind == s->kind &&
                         !strcmp(souk_setting_at(j)->name, s->name) &&
                         !strcmp(souk_setting_at(j)->commands, s->commands));
    }
    assert_null(souk_setting_at(n));
    assert_true(commands >= 7);
    assert_true(keys >= 40);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cpp), cmocka_unit_test(test_statuses),
                                       cmocka_unit_test(test_settings)};
    return cmocka_run_group_tests_name("header", tests, NULL, NULL);
}
