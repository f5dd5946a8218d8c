/* test_source.c - plain, gzip and zstd bytes; cuts at every byte, damage, bombs, standard input twice. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "data/source.h"

#define REF SOUK_SOURCE_DIR "/tests/ref/"
#define TEMP SOUK_BUILD_DIR "/test_source.tmp"

/* The text of small.csv, as make_table.py writes it. */
static void expected(char *out, size_t size, size_t *n) {
    *n = (size_t)snprintf(out, size, "name,price,note\n");
    for (int i = 0; i < 60; i++) {
        double price = i * 1.25;
        char text[32];
        snprintf(text, sizeof text, "%.2f", price);
        size_t end = strlen(text);
        if (text[end - 1] == '0') text[end - 1] = 0; /* Python's repr: 1.25, 2.5, 5.0 */
        *n += (size_t)snprintf(out + *n, size - *n, "\"item %d\",%s,\"said \"\"%d\"\"\"\n", i, text, i);
    }
}

/* All of it, `step` bytes at a time. */
static souk_status slurp(const char *path, size_t step, char *out, size_t size, size_t *n, souk_error *err) {
    source *s = NULL;
    souk_status status = source_open(&s, path, err);
    size_t got = 1;
    *n = 0;
    while (status == SOUK_OK && got > 0) {
        size_t ask = step < size - *n ? step : size - *n;
        status = source_read(s, out + *n, ask, &got, err);
        *n += got;
    }
    source_close(s);
    return status;
}

static void test_codecs(void **state) {
    (void)state;
    static const char *const files[] = {REF "small.csv.gz", REF "small.csv.zst", REF "twice.csv.gz"};
    static const size_t steps[] = {1, 7, 64, 8192};
    char want[8192], got[8192];
    size_t n, m;
    expected(want, sizeof want, &n);
    for (size_t f = 0; f < 3; f++)
        for (size_t k = 0; k < 4; k++) {
            souk_error err = {0};
            assert_int_equal(slurp(files[f], steps[k], got, sizeof got, &m, &err), SOUK_OK);
            assert_int_equal(m, n);
            assert_memory_equal(got, want, n);
        }
    assert_int_equal(fs_write_all(TEMP, want, n, NULL), SOUK_OK); /* plain */
    for (size_t k = 0; k < 4; k++) {
        assert_int_equal(slurp(TEMP, steps[k], got, sizeof got, &m, NULL), SOUK_OK);
        assert_int_equal(m, n);
        assert_memory_equal(got, want, n);
    }
}

/* A stream cut anywhere is an error that names it, never a short text. */
static void test_truncated(void **state) {
    (void)state;
    static const char *const files[] = {REF "small.csv.gz", REF "small.csv.zst"};
    char out[8192];
    int cuts = 0, named = 0;
    for (size_t f = 0; f < 2; f++) {
        char *data;
        size_t size, n;
        assert_int_equal(fs_read_all(files[f], 1 << 20, &data, &size, NULL), SOUK_OK);
        for (size_t cut = 4; cut < size; cut++) {
            souk_error err = {0};
            assert_int_equal(fs_write_all(TEMP, data, cut, NULL), SOUK_OK);
            assert_int_equal(slurp(TEMP, 512, out, sizeof out, &n, &err), SOUK_CORRUPT);
            cuts++;
            named += strstr(err.message, "cut off") != NULL && strstr(err.message, "test_source.tmp") != NULL;
        }
        mem_free(data);
    }
    printf("cut streams named: %d of %d\n", named, cuts);
    assert_int_equal(named, cuts);
}

/* Any byte changed: an error, or (header bytes that say nothing) the same text. */
static void test_damage(void **state) {
    (void)state;
    char *data, want[8192], out[8192];
    size_t size, n, m;
    expected(want, sizeof want, &n);
    assert_int_equal(fs_read_all(REF "small.csv.gz", 1 << 20, &data, &size, NULL), SOUK_OK);
    for (size_t i = 2; i < size; i++) {
        data[i] = (char)(data[i] ^ 0x10);
        assert_int_equal(fs_write_all(TEMP, data, size, NULL), SOUK_OK);
        souk_error err = {0};
        souk_status status = slurp(TEMP, 512, out, sizeof out, &m, &err);
        assert_true(status == SOUK_CORRUPT || (status == SOUK_OK && m == n && memcmp(out, want, n) == 0));
        data[i] = (char)(data[i] ^ 0x10);
    }
    mem_free(data);
}

static void test_bytes_behind(void **state) {
    (void)state;
    char *data, out[8192];
    size_t size, n;
    souk_error err = {0};
    assert_int_equal(fs_read_all(REF "small.csv.gz", 1 << 20, &data, &size, NULL), SOUK_OK);
    data = mem_realloc(data, size + 8, 1);
    memcpy(data + size, "garbage!", 8);
    assert_int_equal(fs_write_all(TEMP, data, size + 8, NULL), SOUK_OK);
    assert_int_equal(slurp(TEMP, 512, out, sizeof out, &n, &err), SOUK_CORRUPT);
    assert_non_null(strstr(err.message, "other bytes follow"));
    mem_free(data);
}

static void test_bomb(void **state) {
    (void)state;
    souk_error err = {0};
    source *s = NULL;
    size_t got = 1, total = 0;
    char *room = mem_alloc(1 << 20);
    souk_status status = source_open(&s, REF "bomb.csv.zst", &err);
    while (status == SOUK_OK && got > 0) {
        status = source_read(s, room, 1 << 20, &got, &err);
        total += got;
    }
    assert_int_equal(status, SOUK_REFUSED);
    assert_true(total < (size_t)260 << 20);
    assert_non_null(strstr(err.message, "unpack it first"));
    source_close(s);
    mem_free(room);
}

/* Standard input, recorded: replayed from its start, then the rest. */
static void test_replay(void **state) {
    (void)state;
    char want[8192], got[8192];
    size_t n, m = 0, part;
    expected(want, sizeof want, &n);
    int saved = dup(0), fd = open(REF "small.csv.gz", O_RDONLY);
    assert_true(fd >= 0 && dup2(fd, 0) == 0);
    source *s = NULL;
    assert_int_equal(source_open(&s, "-", NULL), SOUK_OK);
    source_record(s);
    assert_int_equal(source_read(s, got, 100, &part, NULL), SOUK_OK);
    assert_memory_equal(got, want, part);
    source_replay(s);
    do {
        assert_int_equal(source_read(s, got + m, 37, &part, NULL), SOUK_OK);
        m += part;
    } while (part > 0);
    assert_int_equal(m, n);
    assert_memory_equal(got, want, n);
    source_close(s);
    dup2(saved, 0);
    close(saved);
    close(fd);
}

static int no_leak(void **state) {
    (void)state;
    unlink(TEMP);
    return mem_live() != 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_codecs), cmocka_unit_test(test_truncated),
                                       cmocka_unit_test(test_damage), cmocka_unit_test(test_bytes_behind),
                                       cmocka_unit_test(test_bomb),   cmocka_unit_test(test_replay)};
    return cmocka_run_group_tests(tests, NULL, no_leak);
}
