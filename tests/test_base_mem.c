/* test_base_mem - checked sizes, counters, the fault hook, arenas. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/thread.h"
#include "fault.h"

#if defined(__SANITIZE_ADDRESS__)
#define POISONED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POISONED 1
#endif
#endif
#ifdef POISONED
#include <sanitizer/asan_interface.h>
#endif

static void counts_blocks_and_bytes(void **state) {
    (void)state;
    int64_t blocks = mem_live(), bytes = mem_live_bytes(), calls = mem_calls();
    char *a = mem_alloc(100), *b = mem_calloc(10, 7), *c = mem_aligned(3), *d = mem_alloc(0);
    assert_non_null(a);
    assert_non_null(d);
    for (int i = 0; i < 70; i++) assert_int_equal(b[i], 0);
    assert_int_equal((uintptr_t)c % 64, 0);
    assert_int_equal((uintptr_t)a % 16, 0);
    assert_int_equal(mem_live() - blocks, 4);
    assert_int_equal(mem_live_bytes() - bytes, 173);
    a = mem_realloc(a, 50, 4);
    assert_int_equal(mem_live_bytes() - bytes, 273);
    assert_int_equal(mem_calls() - calls, 5);
    mem_free(a);
    mem_free(b);
    mem_free(c);
    mem_free(d);
    mem_free(NULL);
    assert_int_equal(mem_live(), blocks);
    assert_int_equal(mem_live_bytes(), bytes);
}

static void refuses_impossible_sizes(void **state) {
    (void)state;
    arena a;
    arena_init(&a);
    char *p = mem_alloc(4);
    assert_null(mem_alloc(SIZE_MAX));
    assert_null(mem_alloc(SIZE_MAX - 10));
    assert_null(mem_array(SIZE_MAX / 2, 3));
    assert_null(mem_calloc(SIZE_MAX / 2, 3));
    assert_null(mem_aligned(SIZE_MAX - 60));
    assert_null(mem_realloc(p, SIZE_MAX / 4, 8));
    assert_null(mem_strndup("", SIZE_MAX));
    assert_null(arena_alloc(&a, SIZE_MAX - 1));
    assert_null(arena_array(&a, SIZE_MAX / 2, 4));
    assert_null(arena_strndup(&a, "", SIZE_MAX));
    mem_free(p);
    arena_clear(&a);
}

/* More than the machine has is refused by a message, before Linux promises it and kills the program for using it. */
static void refuses_more_than_there_is(void **state) {
    (void)state;
    souk_error err = {0};
    assert_int_equal(clock_memory_check(1 << 20, "a test", &err), SOUK_OK);
    assert_int_equal(clock_memory_check(((size_t)1 << 28) + 1, "a test", &err), SOUK_OK);
    assert_int_equal(clock_memory_check(SIZE_MAX / 2, "a test", &err), SOUK_REFUSED);
    assert_non_null(strstr(err.message, "a test would need 8796093022207 MiB beside "));
    /* what the program holds counts too: together they are more than the machine */
    char *held = mem_alloc(1 << 20);
    size_t all = (size_t)sysconf(_SC_PHYS_PAGES) * (size_t)sysconf(_SC_PAGE_SIZE);
    assert_non_null(held);
    assert_int_equal(clock_memory_check(all - (1 << 19), "a test", &err), SOUK_REFUSED);
    mem_free(held);
}

static void strings_and_growth(void **state) {
    (void)state;
    char *s = mem_strdup("souk"), *n = mem_strndup("a\0b", 3), *f = mem_printf("%s-%.1f", "x", 0.5);
    assert_string_equal(s, "souk");
    assert_memory_equal(n, "a\0b\0", 4);
    assert_string_equal(f, "x-0.5");
    mem_free(s);
    mem_free(n);
    mem_free(f);
    int *v = NULL;
    size_t capacity = 0;
    for (size_t i = 0; i < 100; i++) {
        assert_true(mem_grow(&v, &capacity, i, sizeof *v));
        v[i] = (int)i;
    }
    assert_int_equal(capacity, 128);
    for (int i = 0; i < 100; i++) assert_int_equal(v[i], i);
    size_t before = capacity;
    mem_set_fault(fault_alloc_hook, NULL);
    fault.at = 1;
    atomic_store(&fault.calls, 0);
    assert_false(mem_grow(&v, &capacity, 128, sizeof *v));
    mem_set_fault(NULL, NULL);
    fault.at = 0;
    assert_int_equal(capacity, before);
    assert_int_equal(v[99], 99);
    mem_free(v);
}

static void arena_hands_out_zeroed_lines(void **state) {
    (void)state;
    arena a = {0};
    unsigned char *pieces[300];
    for (size_t round = 0; round < 3; round++) {
        for (size_t i = 0; i < 300; i++) {
            size_t n = i * 37 % 5000;
            pieces[i] = arena_alloc(&a, n);
            assert_non_null(pieces[i]);
            assert_int_equal((uintptr_t)pieces[i] % 64, 0);
            for (size_t k = 0; k < n; k++) assert_int_equal(pieces[i][k], 0);
            memset(pieces[i], 0xA5, n);
        }
        for (size_t i = 0; i < 300; i++) /* nobody wrote into a neighbour */
            for (size_t k = 0; k < i * 37 % 5000; k++) assert_int_equal(pieces[i][k], 0xA5);
        assert_string_equal(arena_printf(&a, "%d", 7), "7");
        assert_string_equal(arena_strndup(&a, "abc", 2), "ab");
        arena_reset(&a);
        assert_int_equal(a.used, 0);
    }
    void *large = arena_alloc(&a, 10 << 20), *small = arena_alloc(&a, 10);
    assert_non_null(large);
    assert_non_null(small);
    arena_clear(&a);
    assert_null(a.head);
}

/* A large piece must not cost the free space of the current block. */
static void arena_keeps_its_head(void **state) {
    (void)state;
    arena a;
    arena_init(&a);
    assert_non_null(arena_alloc(&a, 64));
    arena_block *head = a.head;
    assert_non_null(arena_alloc(&a, 1 << 20));
    assert_ptr_equal(a.head, head);
    arena_clear(&a);
}

static void arena_poisons_its_gaps(void **state) {
    (void)state;
#ifdef POISONED
    arena a = {0};
    char *p = arena_alloc(&a, 10), *q = arena_strdup(&a, "four");
    assert_false(__asan_address_is_poisoned(p + 9));
    assert_true(__asan_address_is_poisoned(p + 10));
    assert_false(__asan_address_is_poisoned(q + 4));
    assert_true(__asan_address_is_poisoned(q + 5));
    arena_reset(&a);
    assert_true(__asan_address_is_poisoned(p));
    arena_clear(&a);
#else
    skip();
#endif
}

static souk_status use_an_arena(void *context, souk_error *err) {
    (void)context;
    arena a;
    arena_init(&a);
    souk_status status = SOUK_OK;
    for (size_t i = 0; i < 40 && status == SOUK_OK; i++)
        if (!arena_array(&a, i, 1000) || !arena_printf(&a, "piece %zu", i)) status = err_nomem(err, "testing");
    arena_clear(&a);
    return status;
}

static void arena_faults(void **state) {
    (void)state;
    fault_loop_alloc("arena", use_an_arena, NULL, NULL);
}

static void churn(void *context, int64_t task, int worker) {
    (void)context;
    (void)worker;
    for (size_t i = 0; i < 100; i++) mem_free(mem_alloc((size_t)task + i));
}

static void counters_survive_threads(void **state) {
    (void)state;
    pool *p = pool_new(4);
    int64_t live = mem_live(), bytes = mem_live_bytes(), calls = mem_calls();
    pool_run(p, 50, churn, NULL);
    assert_int_equal(mem_live(), live);
    assert_int_equal(mem_live_bytes(), bytes);
    assert_int_equal(mem_calls() - calls, 5000);
    pool_free(p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_blocks_and_bytes),      cmocka_unit_test(refuses_impossible_sizes),
        cmocka_unit_test(refuses_more_than_there_is),   cmocka_unit_test(strings_and_growth),
        cmocka_unit_test(arena_hands_out_zeroed_lines), cmocka_unit_test(arena_keeps_its_head),
        cmocka_unit_test(arena_poisons_its_gaps),       cmocka_unit_test(arena_faults),
        cmocka_unit_test(counters_survive_threads)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
