/* test_base_err - statuses, messages, the nearest name. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <locale.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "base/utf8.h"

static void statuses_have_text_and_exit(void **state) {
    (void)state;
    assert_string_equal(souk_status_text(SOUK_NOMEM), "out of memory");
    assert_string_equal(souk_status_text((souk_status)999), "unknown status");
    assert_int_equal(souk_status_exit(SOUK_OK), 0);
    assert_int_equal(souk_status_exit(SOUK_INPUT), 2);
    assert_int_equal(souk_status_exit(SOUK_REFUSED), 3);
    assert_int_equal(souk_status_exit(SOUK_NOT_CONVERGED), 4);
    assert_int_equal(souk_status_exit(SOUK_INTERRUPTED), 130);
    assert_int_equal(souk_status_exit((souk_status)999), 1);
}

static void first_error_stays(void **state) {
    (void)state;
    souk_error err = {0};
    assert_int_equal(err_at(&err, SOUK_INPUT, 7, 42, "orders.csv:%d: bad", 7), SOUK_INPUT);
    assert_int_equal(err_set(&err, SOUK_IO, "later"), SOUK_IO);
    assert_int_equal(err.code, SOUK_INPUT);
    assert_string_equal(err.message, "orders.csv:7: bad");
    assert_int_equal(err.line, 7);
    assert_int_equal(err.byte, 42);
    err_prefix(&err, "reading %s", "x");
    assert_string_equal(err.message, "reading x: orders.csv:7: bad");
    err_clear(&err);
    assert_int_equal(err.code, SOUK_OK);
    err_prefix(&err, "nothing");
    assert_string_equal(err.message, "");
    assert_int_equal(err_set(NULL, SOUK_IO, "no one listens"), SOUK_IO);
    assert_int_equal(err_nomem(&err, "reading"), SOUK_NOMEM);
    assert_int_equal(err.line, -1);
}

/* A message too long is cut between characters, whatever the offset of the cut. */
static void long_messages_stay_valid(void **state) {
    (void)state;
    static const char *const characters[] = {"a", "\xC3\xA9", "\xE4\xB8\xAD", "\xF0\x9F\x98\x80"};
    for (int shift = 0; shift < 8; shift++) {
        for (int kind = 0; kind < 4; kind++) {
            char text[2000] = "";
            for (int i = 0; i < shift; i++) strcat(text, "x");
            while (strlen(text) < 1500) strcat(text, characters[kind]);
            souk_error err = {0};
            err_set(&err, SOUK_INPUT, "%s", text);
            size_t n = strlen(err.message);
            assert_true(n >= sizeof err.message - 4);
            assert_true(utf8_valid(err.message, n));
            err_prefix(&err, "%s", text);
            n = strlen(err.message);
            assert_true(n >= sizeof err.message - 4);
            assert_true(utf8_valid(err.message, n));
        }
    }
}

/* A precision counts bytes, and may cut a character of a name. */
static void cut_names_stay_valid(void **state) {
    (void)state;
    souk_error err = {0};
    err_set(&err, SOUK_INPUT, "column \"%.4s\", then \"%.5s\" and \"%.1s\"", "很好吃", "café au lait", "é");
    assert_string_equal(err.message, "column \"很\", then \"café\" and \"\"");
}

static void nearest_names(void **state) {
    (void)state;
    static const char *const columns[] = {"customer_id", "churned", "revenue", "Région", "lr", "units"};
    assert_string_equal(err_nearest("churnd", columns, 6), "churned");
    assert_string_equal(err_nearest("CHURNED", columns, 6), "churned");
    assert_string_equal(err_nearest("revneue", columns, 6), "revenue"); /* a swap is one edit */
    assert_string_equal(err_nearest("region", columns, 6), "Région");
    assert_string_equal(err_nearest("unit", columns, 6), "units");
    assert_null(err_nearest("age", columns, 6));
    assert_null(err_nearest("", columns, 6));
    char endless[400];
    memset(endless, 'a', sizeof endless);
    endless[399] = '\0';
    assert_null(err_nearest(endless, columns, 6));
}

static char seen[2048];
static void remember(void *context, log_level level, const char *message) {
    (void)context;
    assert_int_equal(level, LOG_WARN);
    strcpy(seen, message);
}

static void log_goes_to_the_callback(void **state) {
    (void)state;
    log_warn("dropped");
    log_set(remember, NULL);
    log_warn("epoch %d: %.2f", 3, 0.5);
    assert_string_equal(seen, "epoch 3: 0.50");
    log_set(NULL, NULL);
    log_warn("dropped");
    assert_string_equal(seen, "epoch 3: 0.50");
}

int main(void) {
    setlocale(LC_ALL, "de_DE.UTF-8"); /* where it exists, a decimal comma must not show */
    const struct CMUnitTest tests[] = {cmocka_unit_test(statuses_have_text_and_exit),
                                       cmocka_unit_test(first_error_stays),
                                       cmocka_unit_test(long_messages_stay_valid),
                                       cmocka_unit_test(cut_names_stay_valid),
                                       cmocka_unit_test(nearest_names),
                                       cmocka_unit_test(log_goes_to_the_callback)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
