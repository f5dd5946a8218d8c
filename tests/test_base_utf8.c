/* test_base_utf8 - validation against the definition, lower case against Python (ref/utf8_lower.txt), properties. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/utf8.h"

enum { POINTS = 0x110000 };

/* Every code point encodes, validates and decodes to itself; surrogates do not exist. */
static void every_code_point_round_trips(void **state) {
    (void)state;
    for (uint32_t c = 0; c < POINTS; c++) {
        char text[4];
        uint32_t back = 0;
        size_t n = utf8_encode(c, text);
        bool surrogate = c >= 0xD800 && c < 0xE000;
        assert_true(utf8_valid(text, n));
        assert_int_equal(utf8_decode(text, n, &back), n);
        assert_int_equal(back, surrogate ? 0xFFFD : c);
        for (size_t cut = 1; cut < n; cut++) assert_int_equal(utf8_valid_prefix(text, cut), 0);
    }
}

static void ill_formed_bytes_are_found(void **state) {
    (void)state;
    static const char *const bad[] = {
        "\x80",         "\xC0\x80",         "\xC1\xBF",         "\xE0\x9F\xBF",     "\xED\xA0\x80",
        "\xED\xBF\xBF", "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF",
        "\xC3",         "\xE4\xB8",         "\xF0\x9F\x98",     "\xC3\x28",         "\xE4\x28\xAD"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        for (size_t shift = 0; shift < 40; shift++) { /* at every offset from the 16-byte steps */
            char text[100];
            memset(text, 'a', sizeof text);
            memcpy(text + shift, bad[i], strlen(bad[i]));
            assert_int_equal(utf8_valid_prefix(text, sizeof text), shift);
            uint32_t c;
            assert_int_equal(utf8_decode(text + shift, sizeof text - shift, &c), 1);
            assert_int_equal(c, 0xFFFD);
        }
    }
    assert_int_equal(utf8_valid_prefix("", 0), 0);
    assert_int_equal(utf8_count("a\xC3\xA9\xE4\xB8\xAD\xFF", 7), 4);
}

/* ---- lower case, as ref/utf8_lower.txt says ---- */

typedef struct expectation {
    uint32_t lower[POINTS];        /* 0: several characters */
    unsigned char context[POINTS]; /* 1 cased, 2 skipped, 3 not in Python's Unicode */
} expectation;

static expectation *expected;
static buf out;

static const char *lower_of(const char *s, size_t n) {
    buf_reset(&out);
    utf8_lower(&out, s, n);
    assert_int_equal(buf_status(&out, "testing", NULL), SOUK_OK);
    return out.data;
}

static size_t unhex(const char *hex, char *text) {
    size_t n = hex[0] == '-' ? 0 : strlen(hex) / 2;
    for (size_t i = 0; i < n; i++) {
        char pair[3] = {hex[2 * i], hex[2 * i + 1], '\0'};
        text[i] = (char)strtoul(pair, NULL, 16);
    }
    return n;
}

/* One line of the fixture goes into `expected`, or is checked at once when it holds a text. */
static int take_line(const char *line) {
    unsigned first, last, stride;
    int delta;
    char a[600], b[600], text[300], low[300];
    if (sscanf(line, "lower %X %X %d %u", &first, &last, &delta, &stride) == 4) {
        for (unsigned c = first; c <= last; c += stride) expected->lower[c] = (uint32_t)((int)c + delta);
    } else if (sscanf(line, "full %X", &first) == 1) {
        assert_string_equal(line, "full 130 69 307"); /* the only one, and the code has it by hand */
        assert_string_equal(lower_of("\xC4\xB0", 2), "i\xCC\x87");
        expected->lower[first] = 0;
    } else if (sscanf(line, "cased %X %X", &first, &last) == 2) {
        for (unsigned c = first; c <= last; c++) expected->context[c] = 1;
    } else if (sscanf(line, "skipped %X %X", &first, &last) == 2) {
        for (unsigned c = first; c <= last; c++) expected->context[c] = 2;
    } else if (sscanf(line, "unassigned %X %X", &first, &last) == 2) {
        for (unsigned c = first; c <= last; c++) expected->context[c] = 3;
    } else if (sscanf(line, "text %599s %599s", a, b) == 2) {
        size_t n = unhex(a, text), m = unhex(b, low);
        lower_of(text, n);
        assert_int_equal(out.len, m);
        if (m) assert_memory_equal(out.data, low, m);
        return 1;
    }
    return 0;
}

static bool ends_in_final_sigma(const char *prefix, uint32_t c) {
    char text[16];
    size_t n = strlen(prefix);
    memcpy(text, prefix, n);
    n += utf8_encode(c, text + n);
    memcpy(text + n, "\xCE\xA3", 2);
    lower_of(text, n + 2);
    return memcmp(out.data + out.len - 2, "\xCF\x82", 2) == 0;
}

static void lower_equals_python(void **state) {
    (void)state;
    char *data;
    size_t size;
    int texts = 0, points = 0;
    expected = calloc(1, sizeof *expected);
    for (uint32_t c = 0; c < POINTS; c++) expected->lower[c] = c;
    assert_int_equal(fs_read_all(SOUK_SOURCE_DIR "/tests/ref/utf8_lower.txt", 1 << 20, &data, &size, NULL), SOUK_OK);
    for (char *line = strtok(data, "\n"); line; line = strtok(NULL, "\n")) texts += take_line(line);
    mem_free(data);
    for (uint32_t c = 0; c < POINTS; c++) {
        if (c >= 0xD800 && c < 0xE000) continue;
        if (expected->context[c] == 3) continue;
        char text[4], low[5] = {0};
        size_t n = utf8_encode(c, text);
        if (expected->lower[c] && c != 0x3A3) {
            size_t m = utf8_encode(expected->lower[c], low);
            lower_of(text, n);
            if (out.len != m || memcmp(out.data, low, m) != 0) fail_msg("U+%04X: lower case is not Python's", c);
        }
        if (ends_in_final_sigma("", c) != (expected->context[c] == 1)) fail_msg("U+%04X: cased or not?", c);
        if (ends_in_final_sigma("A", c) != (expected->context[c] != 0)) fail_msg("U+%04X: case-ignorable or not?", c);
        points++;
    }
    free(expected);
    assert_true(texts > 400);
    printf("utf8_lower: %d of %d code points and %d of %d texts equal Python's\n", points, points, texts, texts);
}

/* ASCII letters at every offset from the 8-byte steps; ill-formed bytes come out as U+FFFD. */
static void lower_of_ascii_and_garbage(void **state) {
    (void)state;
    char text[128], low[128];
    for (int i = 0; i < 128; i++) {
        text[i] = (char)i;
        low[i] = (char)(i >= 'A' && i <= 'Z' ? i + 32 : i);
    }
    for (size_t start = 0; start < 20; start++) {
        lower_of(text + start, 128 - start);
        assert_int_equal(out.len, 128 - start);
        assert_memory_equal(out.data, low + start, 128 - start);
    }
    lower_of("A\xFF"
             "B\xC3",
             4);
    assert_string_equal(out.data, "a\xEF\xBF\xBD"
                                  "b\xEF\xBF\xBD");
    buf_clear(&out);
    buf_init(&out, 4);
    utf8_lower(&out, "ABCDEFGH", 8);
    assert_int_equal(buf_status(&out, "testing", NULL), SOUK_REFUSED);
    buf_clear(&out);
    buf_init(&out, 0);
}

static void widths_and_classes(void **state) {
    (void)state;
    assert_int_equal(utf8_width("abc", 3), 3);
    assert_int_equal(utf8_width("\xE4\xB8\xAD\xE6\x96\x87", 6), 4);
    assert_int_equal(utf8_width("e\xCC\x81", 3), 1);
    static const uint32_t spaces[] = {9,      10,     11,     12,     13,     32,     0x85,   0xA0,
                                      0x1680, 0x2000, 0x200A, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000};
    int count = 0;
    for (uint32_t c = 0; c < POINTS; c++) count += utf8_is_space(c);
    assert_int_equal(count, 25); /* PropList.txt: White_Space, total code points 25 */
    for (size_t i = 0; i < sizeof spaces / sizeof spaces[0]; i++) assert_true(utf8_is_space(spaces[i]));
    assert_true(utf8_is_cjk(0x4E2D) && utf8_is_cjk(0x20000) && utf8_is_cjk(0xF900));
    assert_false(utf8_is_cjk('a') || utf8_is_cjk(0x3042) || utf8_is_cjk(0xAC00));
}

int main(void) {
    buf_init(&out, 0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_point_round_trips), cmocka_unit_test(ill_formed_bytes_are_found),
        cmocka_unit_test(lower_equals_python), cmocka_unit_test(lower_of_ascii_and_garbage),
        cmocka_unit_test(widths_and_classes)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    buf_clear(&out);
    return failed;
}
