/* test_base_map - the hash table against a plain list, its hash function, its faults. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "base/map.h"
#include "base/rng.h"
#include "fault.h"

static size_t make_key(char *key, int i) {
    return (size_t)snprintf(key, 64, "key-%d%s", i, i % 3 ? "" : "-with-a-much-longer-tail");
}

static void keeps_order_and_values(void **state) {
    (void)state;
    map *m = map_new();
    char key[64];
    bool is_new;
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 20000; i++) {
            size_t n = make_key(key, i);
            assert_int_equal(map_put(m, key, n, &is_new), i);
            assert_int_equal(is_new, round == 0);
            if (is_new) assert_int_equal(map_at(m, i)->value, 0);
            map_at(m, i)->value += i;
        }
    }
    assert_int_equal(map_count(m), 20000);
    for (int i = 0; i < 20000; i++) {
        size_t n = make_key(key, i);
        assert_int_equal(map_find(m, key, n), i);
        const map_entry *e = map_at_const(m, i);
        assert_int_equal(e->key_len, n);
        assert_memory_equal(e->key, key, n);
        assert_int_equal(e->value, 2 * i);
        assert_true(e->hash == map_hash(key, n));
    }
    assert_int_equal(map_find(m, "absent", 6), -1);
    assert_null(map_at(m, 20000));
    assert_null(map_at_const(m, -1));
    map_free(m);
    map_free(NULL);
}

/* All strings over two letters and NUL up to length 8 are different keys, the empty one included. */
static void any_bytes_are_a_key(void **state) {
    (void)state;
    map *m = map_new();
    char key[8];
    int64_t count = 0;
    bool is_new;
    for (size_t n = 0, total = 1; n <= 8; n++, total *= 3) {
        for (size_t code = 0; code < total; code++) {
            for (size_t k = 0, c = code; k < n; k++, c /= 3) key[k] = "ab\0"[c % 3];
            assert_int_equal(map_put(m, key, n, &is_new), count++);
            assert_true(is_new);
        }
    }
    assert_int_equal(map_find(m, "", 0), 0);
    assert_int_equal(map_put_hash(m, "ab", 2, map_hash("ab", 2), &is_new), map_find(m, "ab", 2));
    map_free(m);
}

/* Equal hashes and equal tags must not confuse keys. */
static void collisions_are_told_apart(void **state) {
    (void)state;
    map *m = map_new();
    char key[64];
    for (int i = 0; i < 500; i++) assert_int_equal(map_put_hash(m, key, make_key(key, i), 42, NULL), i);
    for (int i = 0; i < 500; i++) assert_int_equal(map_find_hash(m, key, make_key(key, i), 42), i);
    assert_int_equal(map_find_hash(m, "other", 5, 42), -1);
    map_free(m);
}

static int by_value(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* Known values: splits by row hash rest on the function, so it must not change by accident. Then: no
 * collision in 64 bits among 200,000 keys that differ little, and each half of the hash spreads evenly. */
static void hash_is_fixed_and_spreads(void **state) {
    (void)state;
    enum { KEYS = 200000 };
    uint64_t *hashes = malloc(KEYS * sizeof *hashes);
    int64_t low[256] = {0}, high[256] = {0};
    char key[64];
    for (int i = 0; i < KEYS; i++) {
        size_t n = (size_t)(i % 2 ? snprintf(key, sizeof key, "%d", i)
                                  : snprintf(key, sizeof key, "customer number %09d of the shop", i));
        hashes[i] = map_hash(key, n);
        low[hashes[i] & 255]++;
        high[hashes[i] >> 56]++;
    }
    qsort(hashes, KEYS, sizeof *hashes, by_value);
    for (int i = 1; i < KEYS; i++) assert_true(hashes[i] != hashes[i - 1]);
    double chi_low = 0, chi_high = 0, mean = KEYS / 256.0;
    for (int i = 0; i < 256; i++) {
        chi_low += ((double)low[i] - mean) * ((double)low[i] - mean) / mean;
        chi_high += ((double)high[i] - mean) * ((double)high[i] - mean) / mean;
    }
    assert_true(chi_low < 360 && chi_high < 360); /* 255 degrees of freedom: 99.999 % lie below 361 */
    free(hashes);
    assert_true(map_hash("", 0) == 0x91a4ab243f53f1e4 && map_hash("souk", 4) == 0x84066d14f75646a5);
    assert_true(map_hash("customers", 9) == 0xa501a095e31e829f);
    assert_true(map_hash("a key that is longer than sixteen bytes", 39) == 0x2f5d42b194dac4a1);
}

static souk_status build(void *context, souk_error *err) {
    (void)context;
    souk_status status = SOUK_OK;
    map *m = map_new();
    if (!m) return err_nomem(err, "testing");
    char key[64];
    for (int i = 0; i < 300 && status == SOUK_OK; i++) {
        size_t n = make_key(key, i);
        bool is_new = true;
        if (map_put(m, key, n, &is_new) >= 0) continue;
        assert_false(is_new);
        assert_int_equal(map_count(m), i); /* as it was, and still sound */
        assert_int_equal(map_find(m, key, n), -1);
        for (int k = 0; k < i; k++) assert_int_equal(map_find(m, key, make_key(key, k)), k);
        status = err_nomem(err, "testing");
    }
    map_free(m);
    return status;
}

static void faults(void **state) {
    (void)state;
    fault_loop_alloc("map", build, NULL, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(keeps_order_and_values), cmocka_unit_test(any_bytes_are_a_key),
                                       cmocka_unit_test(collisions_are_told_apart),
                                       cmocka_unit_test(hash_is_fixed_and_spreads), cmocka_unit_test(faults)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
