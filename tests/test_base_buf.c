/* test_base_buf - buffers, and numbers as text (num) against Python's float() and repr() in ref/num.txt. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/num.h"
#include "base/rng.h"
#include "fault.h"

static void grows_and_is_taken(void **state) {
    (void)state;
    buf b;
    buf_init(&b, 0);
    for (int i = 0; i < 1000; i++) buf_printf(&b, "%d,", i);
    buf_str(&b, "end");
    buf_char(&b, '.');
    buf_double(&b, 0.1);
    assert_int_equal(b.len, strlen(b.data));
    assert_memory_equal(b.data, "0,1,2,", 6);
    assert_string_equal(b.data + b.len - 7, "end.0.1");
    char *s = buf_take(&b);
    assert_null(b.data);
    mem_free(s);
    s = buf_take(&b);
    assert_string_equal(s, "");
    mem_free(s);
    buf_add(&b, NULL, 0);
    buf_reset(&b);
    assert_int_equal(b.len, 0);
    buf_clear(&b);
}

static void stops_at_its_maximum(void **state) {
    (void)state;
    buf b;
    souk_error err = {0};
    buf_init(&b, 100);
    for (int i = 0; i < 10; i++) buf_str(&b, "0123456789");
    assert_int_equal(b.len, 100);
    assert_int_equal(buf_status(&b, "testing", &err), SOUK_OK);
    buf_char(&b, 'x');
    buf_printf(&b, "%d", 1);
    buf_str(&b, "");
    assert_int_equal(b.len, 100);
    assert_int_equal(buf_status(&b, "testing", &err), SOUK_REFUSED);
    assert_non_null(strstr(err.message, "limit of 100 bytes"));
    assert_null(buf_take(&b));
    buf_reset(&b);
    buf_printf(&b, "%s", "short");
    buf_printf(&b, "%200d", 1);
    assert_string_equal(b.data, "short");
    assert_int_equal(b.status, SOUK_REFUSED);
    buf_clear(&b);
}

static souk_status fill(void *context, souk_error *err) {
    (void)context;
    buf b;
    buf_init(&b, 0);
    for (int i = 0; i < 500; i++) buf_printf(&b, "%d ", i);
    souk_status status = buf_status(&b, "testing", err);
    char *s = buf_take(&b);
    assert_int_equal(s == NULL, status != SOUK_OK);
    mem_free(s);
    buf_clear(&b);
    return status;
}

static void faults(void **state) {
    (void)state;
    fault_loop_alloc("buf", fill, NULL, NULL);
}

/* ---- num ---- */

static double double_of(const char *hex) {
    uint64_t u = strtoull(hex, NULL, 16);
    double v;
    memcpy(&v, &u, 8);
    return v;
}

static float float_of(const char *hex) {
    uint32_t u = (uint32_t)strtoull(hex, NULL, 16);
    float v;
    memcpy(&v, &u, 4);
    return v;
}

static void check_line(const char *kind, const char *a, const char *b) {
    char text[32];
    if (strcmp(kind, "read") == 0) {
        double v = 0, expected = double_of(b);
        if (!num_parse_double(a, strlen(a), &v) || memcmp(&v, &expected, 8) != 0)
            fail_msg("%s read as %a, not %a", a, v, expected);
    } else if (strcmp(kind, "write") == 0) {
        size_t n = num_format_double(text, double_of(a));
        assert_int_equal(n, strlen(text));
        assert_string_equal(text, b);
    } else {
        num_format_float(text, float_of(a));
        assert_string_equal(text, b);
    }
}

static void numbers_equal_python(void **state) {
    (void)state;
    char *text, kind[16], a[1024], b[1024];
    size_t n;
    int lines = 0, used;
    assert_int_equal(fs_read_all(SOUK_SOURCE_DIR "/tests/ref/num.txt", 1 << 24, &text, &n, NULL), SOUK_OK);
    for (const char *p = text; sscanf(p, "%15s %1023s %1023s%n", kind, a, b, &used) == 3; p += used, lines++)
        check_line(kind, a, b);
    mem_free(text);
    assert_true(lines > 2000);
    printf("num: %d of %d texts and doubles equal Python's\n", lines, lines);
}

static void formatted_doubles_read_back(void **state) {
    (void)state;
    rng_key key = {.seed = 5, .stream = RNG_USER};
    for (uint64_t i = 0; i < 20000; i++) {
        char text[32];
        uint64_t bits = (uint64_t)rng_u32(key, 2 * i) << 32 | rng_u32(key, 2 * i + 1);
        double v, back = 0;
        memcpy(&v, &bits, 8);
        if (i % 2) v = rng_uniform(key, i) * 1000;
        if (!isfinite(v)) continue;
        size_t n = num_format_double(text, v);
        assert_true(n < 26);
        assert_true(num_parse_double(text, n, &back));
        assert_memory_equal(&v, &back, 8);
        float f = (float)rng_normal(key, i);
        n = num_format_float(text, f);
        assert_true(num_parse_double(text, n, &back) && (float)back == f);
        assert_true(n <= 15);
    }
}

static void refuses_what_is_no_number(void **state) {
    (void)state;
    static const char *const bad[] = {"",      "+",     "-",      ".",     "e5",           "1e",  "1e+",  "1.2.3",
                                      " 1",    "1 ",    "0x10",   "nan",   "inf",          "1,5", "--1",  "1e5x",
                                      "1_000", "1e999", "-1e309", "1e1.5", "\xEF\xBC\x91", "1-",  "1e--5"};
    double v;
    int64_t k;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (num_parse_double(bad[i], strlen(bad[i]), &v)) fail_msg("\"%s\" was read as a number", bad[i]);
    char endless[1500];
    memset(endless, '1', sizeof endless);
    assert_false(num_parse_double(endless, sizeof endless, &v));
    assert_false(num_parse_double("1\0", 2, &v));
    assert_true(num_parse_int64("-9223372036854775808", 20, &k) && k == INT64_MIN);
    assert_true(num_parse_int64("+9223372036854775807", 20, &k) && k == INT64_MAX);
    assert_false(num_parse_int64("9223372036854775808", 19, &k));
    assert_false(num_parse_int64("-9223372036854775809", 20, &k));
    assert_false(num_parse_int64("1.0", 3, &k));
    assert_false(num_parse_int64("-", 1, &k));
    assert_false(num_parse_int64("", 0, &k));
    char text[24];
    num_format_int64(text, INT64_MIN);
    assert_string_equal(text, "-9223372036854775808");
    num_format_int64(text, 0);
    assert_string_equal(text, "0");
}

static void special_doubles(void **state) {
    (void)state;
    char text[32];
    buf_format_double(text, (double)NAN);
    assert_string_equal(text, "nan");
    buf_format_double(text, -(double)INFINITY);
    assert_string_equal(text, "-inf");
    buf_format_double(text, -0.0);
    assert_string_equal(text, "-0");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(grows_and_is_taken),
                                       cmocka_unit_test(stops_at_its_maximum),
                                       cmocka_unit_test(faults),
                                       cmocka_unit_test(numbers_equal_python),
                                       cmocka_unit_test(formatted_doubles_read_back),
                                       cmocka_unit_test(refuses_what_is_no_number),
                                       cmocka_unit_test(special_doubles)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
