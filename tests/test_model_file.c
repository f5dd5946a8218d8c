/* model/file: round trip, same bits, every flip and every cut detected, each rule of the format refused by name,
 * foreign formats, fixtures shared with the Python package safetensors (tests/ref/make_model_file.py), and the fault
 * loops of saving and loading.
 *
 * `test_model_file accepts FILE…` prints 1 or 0 for each file instead: tests/ref/diff_model_file.py compares that with
 * Python. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/mem.h"
#include "fault.h"
#include "model/file.h"

#define SMALL SOUK_BUILD_DIR "/test_model_file.souk"

static const float kernel[2][3] = {{1, 2, 3}, {-4, 5.5f, 1e-30f}};
static const double moment[3] = {.1, -.2, 1e300};
static const uint8_t words[5] = {'a', 0, 'b', 'c', 0xff};
static const int64_t step = -7;

/* The small model of the fixtures; `reverse` adds everything in the other order. */
static souk_status save_small(const char *path, bool reverse, souk_error *err) {
    model_writer *w = NULL;
    TRY(model_writer_new(&w, err));
    souk_status status = SOUK_OK;
    for (int i = 0; i < 6 && status == SOUK_OK; i++) {
        switch (reverse ? 5 - i : i) {
        case 0: status = model_writer_meta(w, "spec", "{\"a\": \"caf\xc3\xa9\"}\n", err); break;
        case 1: status = model_writer_meta(w, "fingerprint", "0123456789abcdef", err); break;
        case 2: status = model_writer_tensor(w, "asset/words", FILE_U8, 1, (const int64_t[]){5}, words, err); break;
        case 3:
            status = model_writer_tensor(w, "w/dense/kernel", FILE_F32, 2, (const int64_t[]){2, 3}, kernel, err);
            break;
        case 4: status = model_writer_tensor(w, "opt/m", FILE_F64, 1, (const int64_t[]){3}, moment, err); break;
        default: status = model_writer_tensor(w, "state/step", FILE_I64, 0, NULL, &step, err); break;
        }
    }
    if (status == SOUK_OK) status = model_writer_tensor(w, "w/empty", FILE_F32, 2, (const int64_t[]){0, 3}, NULL, err);
    if (status == SOUK_OK) status = model_writer_save(w, path, err);
    model_writer_free(w);
    return status;
}

static void check_small(const model_file *f) {
    assert_int_equal(model_file_count(f), 5);
    assert_string_equal(model_file_meta(f, "spec"), "{\"a\": \"caf\xc3\xa9\"}\n");
    assert_null(model_file_meta(f, "nothing"));
    const file_tensor *t;
    assert_int_equal(model_file_need(f, "w/dense/kernel", FILE_F32, 2, (const int64_t[]){2, -1}, &t, NULL), SOUK_OK);
    assert_memory_equal(t->data, kernel, sizeof kernel);
    assert_int_equal((uintptr_t)t->data % 4, 0);
    assert_memory_equal(model_file_find(f, "opt/m")->data, moment, sizeof moment);
    assert_int_equal((uintptr_t)model_file_find(f, "opt/m")->data % 8, 0);
    assert_memory_equal(model_file_find(f, "state/step")->data, &step, sizeof step);
    assert_memory_equal(model_file_find(f, "asset/words")->data, words, sizeof words);
    assert_int_equal(model_file_find(f, "w/empty")->bytes, 0);
    assert_null(model_file_find(f, "w/dense"));
}

static void test_round_trip(void **state) {
    (void)state;
    char *first, *second, *fixture;
    size_t n, m, k;
    souk_error err = {0};
    assert_int_equal(save_small(SMALL, false, &err), SOUK_OK);
    model_file *f;
    assert_int_equal(model_file_open(&f, SMALL, true, &err), SOUK_OK);
    check_small(f);
    model_file_close(f);
    assert_int_equal(fs_read_all(SMALL, 1 << 20, &first, &n, &err), SOUK_OK);
    assert_int_equal(save_small(SMALL, true, &err), SOUK_OK);
    assert_int_equal(fs_read_all(SMALL, 1 << 20, &second, &m, &err), SOUK_OK);
    assert_int_equal(n, m);
    assert_memory_equal(first, second, n);
    /* The fixture was read with Python's safetensors when it was made: so is what we write. */
    assert_int_equal(fs_read_all(SOUK_SOURCE_DIR "/tests/ref/small_souk.safetensors", 1 << 20, &fixture, &k, &err),
                     SOUK_OK);
    assert_int_equal(n, k);
    assert_memory_equal(first, fixture, n);
    mem_free(first);
    mem_free(second);
    mem_free(fixture);
    assert_int_equal(mem_live(), 0);
}

static void test_python_file(
    void **state) /* written by safetensors.numpy.save_file: one tensor of each type, 1, 2, 3 … in it */
{
    (void)state;
    souk_error err = {0};
    model_file *f;
    const char *path = SOUK_SOURCE_DIR "/tests/ref/python.safetensors";
    assert_int_equal(model_file_open(&f, path, false, &err), SOUK_OK);
    assert_int_equal(model_file_count(f), 13);
    assert_string_equal(model_file_meta(f, "format"), "np");
    const file_tensor *t;
    assert_int_equal(model_file_need(f, "F32", FILE_F32, 2, (const int64_t[]){2, 3}, &t, &err), SOUK_OK);
    for (int i = 0; i < 6; i++) {
        float x;
        memcpy(&x, (const char *)t->data + i * 4, 4);
        assert_true(x == (float)(i + 1));
    }
    for (int i = FILE_BOOL; i <= FILE_F64; i++) {
        if (i == FILE_BF16) continue;
        t = model_file_find(f, file_dtype_name((file_dtype)i));
        assert_non_null(t);
        assert_int_equal(t->type, i);
        assert_int_equal(t->bytes, 6 * file_dtype_size(t->type));
    }
    model_file_close(f);
    assert_int_equal(model_file_open(&f, path, true, &err), SOUK_CORRUPT);
    assert_non_null(strstr(err.message, "not a model of Souk"));
}

static void test_every_flip(void **state) {
    (void)state;
    char *bytes;
    size_t n, detected = 0, tried = 0;
    assert_int_equal(save_small(SMALL, false, NULL), SOUK_OK);
    assert_int_equal(fs_read_all(SMALL, 1 << 20, &bytes, &n, NULL), SOUK_OK);
    for (size_t i = 0; i < n; i++) {
        for (int x = 1; x < 256; x++) {
            model_file *f;
            souk_error err = {0};
            bytes[i] = (char)(bytes[i] ^ x);
            souk_status status = model_file_parse(&f, bytes, n, "small.souk", true, &err);
            bytes[i] = (char)(bytes[i] ^ x);
            tried++;
            if ((status == SOUK_CORRUPT || status == SOUK_UNSUPPORTED) && !f && strstr(err.message, "small.souk"))
                detected++;
            else
                print_message("byte %zu ^ %d: status %d, \"%s\"\n", i, x, (int)status, err.message);
            model_file_close(f);
        }
    }
    print_message("flips detected: %zu of %zu (%zu bytes, 255 changes each)\n", detected, tried, n);
    assert_int_equal(detected, tried);
    detected = 0;
    for (size_t cut = 0; cut < n; cut++) {
        model_file *f;
        souk_error err = {0};
        souk_status status = model_file_parse(&f, bytes, cut, "small.souk", true, &err);
        if (status == SOUK_CORRUPT && !f && strstr(err.message, "small.souk"))
            detected++;
        else
            print_message("cut at %zu: status %d, \"%s\"\n", cut, (int)status, err.message);
        model_file_close(f);
    }
    print_message("cuts detected: %zu of %zu\n", detected, n);
    assert_int_equal(detected, n);
    mem_free(bytes);
    assert_int_equal(mem_live(), 0);
}

/* A file of this header and `data` zero bytes. */
static souk_status parse_header(const char *header, size_t data, bool require, souk_error *err) {
    buf b;
    buf_init(&b, 0);
    size_t n = strlen(header);
    for (int i = 0; i < 8; i++) buf_char(&b, (char)(unsigned char)((uint64_t)n >> (8 * i)));
    buf_str(&b, header);
    for (size_t i = 0; i < data; i++) buf_char(&b, 0);
    model_file *f;
    souk_status status = model_file_parse(&f, b.data, b.len, "x.souk", require, err);
    model_file_close(f);
    buf_clear(&b);
    return status;
}

#define T(shape, type, offsets) "{\"a\":{\"dtype\":\"" type "\",\"shape\":" shape ",\"data_offsets\":" offsets "}}"

static void test_rules(void **state) {
    (void)state;
    static const struct {
        const char *header;
        size_t data;
        const char *says;
    } bad[] = {
        {T("[2]", "F32", "[0,7]"), 7, "does not fit its shape"},
        {T("[2]", "F32", "[0,8]"), 7, "cut short"},
        {T("[2]", "F32", "[0,8]"), 9, "1 bytes behind the last tensor"},
        {T("[1]", "F32", "[4,8]"), 8, "leaves a hole"},
        {T("[1]", "F32", "[4,0]"), 8, "not two whole numbers in order"},
        {T("[1]", "F32", "[0]"), 4, "not two whole numbers in order"},
        {T("[1]", "F32", "[-4,0]"), 4, "a negative number"},
        {T("[1]", "F32", "[0,4.0]"), 4, "not two whole numbers in order"},
        {T("[1.0]", "F32", "[0,4]"), 4, "not a whole number"},
        {T("[1e0]", "F32", "[0,4]"), 4, "not a whole number"},
        {T("[-1]", "F32", "[0,4]"), 4, "a negative number"},
        {T("[1]", "F32", "[-0,4]"), 4, "a negative number"},
        {T("[4294967296,4294967296]", "F32", "[0,0]"), 0, "too large"},
        {T("[99999999999999999999]", "F32", "[0,4]"), 4, "the header"},
        {T("[1,1,1,1,1,1,1,1,1]", "F32", "[0,4]"), 4, "more than 8 dimensions"},
        {T("3", "F32", "[0,4]"), 4, "no shape"},
        {T("[1]", "F8_E4M3", "[0,1]"), 1, "tensor \"a\": type F8_E4M3"},
        {T("[1]", "f32", "[0,4]"), 4, "type f32"},
        {"{\"a\":{\"dtype\":4,\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "no dtype"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, "not an object of dtype"},
        {"{\"a\":[]}", 0, "not an object"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_"
         "offsets\":[1,2]}}",
         2, "the header"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_"
         "offsets\":[1,3]}}",
         3, "overlaps"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[[[1]]],\"data_offsets\":[0,1]}}", 1, "the header"},
        {"{\"\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1, "it is empty"},
        {"{\"\\u001b[2J\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1, "control character"},
        {"{\"__metadata__\":{\"n\":3}}", 0, "\"n\" is not a string"},
        {"{\"__metadata__\":[]}", 0, "is not an object"},
        {"{\"__metadata__\":{\"checksum\":\"00\",\"souk_version\":\"1\"}}", 0, "not 64 hexadecimal digits"},
        {"{\"__metadata__\":{", 0, "the header"},
        {"{} x", 0, "the header"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        souk_error err = {0};
        souk_status status = parse_header(bad[i].header, bad[i].data, false, &err);
        if (status == SOUK_OK || !strstr(err.message, bad[i].says))
            print_message("%s: \"%s\"\n", bad[i].header, err.message);
        assert_true(status == SOUK_CORRUPT || status == SOUK_UNSUPPORTED);
        assert_int_equal(err.code, status);
        assert_non_null(strstr(err.message, bad[i].says));
    }
    assert_int_equal(parse_header(T("[]", "F32", "[0,4]"), 4, false, NULL), SOUK_OK);
    assert_int_equal(parse_header(T("[3,0,5]", "F32", "[0,0]"), 0, false, NULL), SOUK_OK);
    assert_int_equal(parse_header("{}", 0, false, NULL), SOUK_OK);
    assert_int_equal(parse_header("{}", 0, true, NULL), SOUK_CORRUPT);
    unsigned char huge[10] = {1, 0xe1, 0xf5, 5, 0, 0, 0, 0, '{', '}'}; /* a header of 100,000,001 bytes */
    model_file *f;
    assert_int_equal(model_file_parse(&f, huge, sizeof huge, "huge", false, NULL), SOUK_CORRUPT);
}

static void test_limits(void **state) /* name length and number of tensors, at the limit and one over */
{
    (void)state;
    char name[4098];
    for (size_t n = 4096; n <= 4097; n++) {
        buf b;
        buf_init(&b, 0);
        memset(name, 'n', n);
        name[n] = 0;
        buf_printf(&b, "{\"%s\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]}}", name);
        assert_int_equal(parse_header(b.data, 1, false, NULL), n == 4096 ? SOUK_OK : SOUK_CORRUPT);
        buf_clear(&b);
    }
    for (int n = 65536; n <= 65538;
         n += 2) { /* one more is the entry that metadata may take; it is counted with the others */
        buf b;
        buf_init(&b, 0);
        for (int i = 0; i < n; i++)
            buf_printf(&b, "%s\"t%d\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}", i ? "," : "{", i);
        buf_char(&b, '}');
        assert_int_equal(parse_header(b.data, 0, false, NULL), n == 65536 ? SOUK_OK : SOUK_CORRUPT);
        buf_clear(&b);
    }
    assert_int_equal(mem_live(), 0);
}

static void test_foreign(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
        const char *says;
    } files[] = {
        {"\x80\x04\x95\x1a\0\0\0\0\0", 9, "pickle"},
        {"PK\x03\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0metadata.json", 43, "Keras 3"},
        {"PK\x03\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0archive/data.pkl", 46, "zip archive"},
        {"\x89HDF\r\n\x1a\n\0\0", 10, "HDF5"},
        {"GGUF\x03\0\0\0", 8, "GGUF"},
        {"\x93NUMPY\x01\0", 8, "NumPy"},
        {"SQLite format 3\0", 16, "SQLite"},
        {"\x1f\x8b\x08\0\0\0\0\0", 8, "gzip"},
        {"version https://git-lfs.github.com/spec/v1\n", 43, "Git LFS"},
        {"<!DOCTYPE html>", 15, "web page"},
        {"{\"input_features\": []}", 22, "souk train"},
        {"input_features:\n", 16, "souk train"},
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        model_file *f;
        souk_error err = {0};
        assert_int_equal(model_file_parse(&f, files[i].bytes, files[i].n, "m.bin", true, &err), SOUK_UNSUPPORTED);
        if (!strstr(err.message, files[i].says)) fail_msg("%s", err.message);
    }
}

static void test_need(void **state) {
    (void)state;
    model_file *f;
    souk_error err = {0};
    const file_tensor *t;
    assert_int_equal(save_small(SMALL, false, &err), SOUK_OK);
    assert_int_equal(model_file_open(&f, SMALL, true, &err), SOUK_OK);
    assert_int_equal(model_file_need(f, "w/x", FILE_F32, 0, NULL, &t, &err), SOUK_CORRUPT);
    assert_non_null(strstr(err.message, "\"w/x\" is missing"));
    err = (souk_error){0};
    assert_int_equal(model_file_need(f, "w/dense/kernel", FILE_F64, 2, (const int64_t[]){-1, 4}, &t, &err),
                     SOUK_CORRUPT);
    assert_null(t);
    assert_non_null(strstr(err.message, "is F32 [2, 3], and the model that the file describes needs F64 [any, 4]"));
    model_file_close(f);
}

static void test_writer_refusals(void **state) {
    (void)state;
    model_writer *w;
    souk_error err = {0};
    assert_int_equal(model_writer_new(&w, NULL), SOUK_OK);
    assert_int_equal(model_writer_meta(w, "checksum", "x", NULL), SOUK_USAGE);
    assert_int_equal(model_writer_meta(w, "spec", "\xff", NULL), SOUK_INPUT);
    assert_int_equal(model_writer_tensor(w, "__metadata__", FILE_U8, 0, NULL, words, NULL), SOUK_USAGE);
    assert_int_equal(model_writer_tensor(w, "a\nb", FILE_U8, 0, NULL, words, NULL), SOUK_USAGE);
    assert_int_equal(model_writer_tensor(w, "a", FILE_U8, 9, NULL, words, NULL), SOUK_USAGE);
    assert_int_equal(model_writer_tensor(w, "a", FILE_U8, 1, (const int64_t[]){-1}, words, NULL), SOUK_USAGE);
    assert_int_equal(model_writer_tensor(w, "a", FILE_U8, 0, NULL, words, NULL), SOUK_OK);
    assert_int_equal(model_writer_tensor(w, "a", FILE_F32, 1, (const int64_t[]){1}, kernel, NULL), SOUK_OK);
    assert_int_equal(model_writer_save(w, SMALL, &err), SOUK_USAGE);
    assert_non_null(strstr(err.message, "\"a\" was added twice"));
    model_writer_free(w);
    model_writer_free(NULL);
    model_file_close(NULL);
    assert_int_equal(mem_live(), 0);
}

/* ---- faults: the earlier model stays whole ---- */

#define KEPT SOUK_BUILD_DIR "/test_model_file_kept.souk"

static souk_status save_old(void) {
    model_writer *w;
    TRY(model_writer_new(&w, NULL));
    souk_status status = model_writer_tensor(w, "w/old", FILE_F64, 1, (const int64_t[]){3}, moment, NULL);
    if (status == SOUK_OK) status = model_writer_save(w, KEPT, NULL);
    model_writer_free(w);
    return status;
}

static souk_status save_new(void *context, souk_error *err) {
    (void)context;
    return save_small(KEPT, false, err);
}

/* Where saving failed, the old model is there and verifies; only a failure to sync the folder, after the rename, may
 * leave the new one. */
static void check_kept(void *context, souk_status status) {
    (void)context;
    model_file *f;
    souk_error err = {0};
    if (model_file_open(&f, KEPT, true, &err) != SOUK_OK) fail_msg("the earlier model is gone: %s", err.message);
    bool old = model_file_find(f, "w/old") != NULL;
    if (status == SOUK_OK) assert_false(old);
    if (!old) check_small(f);
    model_file_close(f);
    assert_int_equal(save_old(), SOUK_OK);
}

static souk_status load(void *context, souk_error *err) {
    (void)context;
    model_file *f;
    souk_status status = model_file_open(&f, SMALL, true, err);
    assert_true((status == SOUK_OK) == (f != NULL));
    if (f) check_small(f);
    model_file_close(f);
    return status;
}

static void test_faults(void **state) {
    (void)state;
    assert_int_equal(save_old(), SOUK_OK);
    assert_int_equal(save_small(SMALL, false, NULL), SOUK_OK);
    fault_loop_alloc("save", save_new, check_kept, NULL);
    fault_loop_files("save", save_new, check_kept, NULL);
    fault_short_files("save", save_new, check_kept, NULL);
    fault_loop_alloc("load", load, NULL, NULL);
    fault_loop_files("load", load, NULL, NULL);
    fault_short_files("load", load, NULL, NULL);
}

int main(int argc, char **argv) {
    if (argc > 2 && strcmp(argv[1], "accepts") == 0) {
        for (int i = 2; i < argc; i++) {
            model_file *f;
            print_message("%d\n", model_file_open(&f, argv[i], false, NULL) == SOUK_OK);
            model_file_close(f);
        }
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_python_file),     cmocka_unit_test(test_every_flip),
        cmocka_unit_test(test_rules),      cmocka_unit_test(test_limits),          cmocka_unit_test(test_foreign),
        cmocka_unit_test(test_need),       cmocka_unit_test(test_writer_refusals), cmocka_unit_test(test_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
