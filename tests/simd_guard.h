/* simd_guard.h - what the kernel tests share: buffers that end (or start) at an inaccessible page, numbers with every
 * kind of special value among them, and comparison of bits in which one NaN is as good as another. */
#ifndef SOUK_TESTS_SIMD_GUARD_H
#define SOUK_TESTS_SIMD_GUARD_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include "simd/kern.h"

enum { GUARD_PAGE = 4096 };

/* Room for up to `most` bytes between two inaccessible pages. */
typedef struct guard {
    uint8_t *base;
    size_t most; /* a multiple of the page */
} guard;

static inline guard guard_new(size_t most) {
    guard g = {NULL, (most + GUARD_PAGE - 1) / GUARD_PAGE * GUARD_PAGE + GUARD_PAGE};
    g.base = mmap(NULL, g.most + 2 * GUARD_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(g.base != MAP_FAILED);
    assert_int_equal(mprotect(g.base + GUARD_PAGE, g.most, PROT_READ | PROT_WRITE), 0);
    return g;
}
static inline void guard_free(guard *g) { munmap(g->base, g->most + 2 * GUARD_PAGE); }
/* The n bytes that end at the upper guard page, or start at the lower one. */
static inline void *guard_place(const guard *g, size_t n, bool at_end) {
    return at_end ? g->base + GUARD_PAGE + g->most - n : g->base + GUARD_PAGE;
}

static inline uint32_t test_random(uint64_t *state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 32);
}
static inline int64_t test_below(uint64_t *state, int64_t n) { return (int64_t)(test_random(state) % (uint64_t)n); }

/* n numbers in (-4, 4); one in `rarity` is special (0: none). */
static inline void test_fill(real *p, int64_t n, uint64_t *state, int64_t rarity) {
    static const real special[] = {0.0f,   -0.0f,  INFINITY, -INFINITY, NAN, 1e-40f, -1e-45f, 0x1p-126f, 3e38f,
                                   -3e38f, 1e-20f, 100,      -100,      1,   -1,     0x1p24f, 7e5f};
    for (int64_t i = 0; i < n; i++) {
        p[i] = (real)((int32_t)test_random(state)) / (real)0x1p29f;
        if (rarity > 0 && test_below(state, rarity) == 0)
            p[i] = special[test_below(state, sizeof special / sizeof *special)];
    }
}

/* Bits for comparison: each NaN becomes the same NaN. */
static inline uint32_t test_bits(real x) {
    uint32_t u;
    if (x != x) return 0x7fc00000;
    memcpy(&u, &x, sizeof u);
    return u;
}
static inline bool test_same(const real *a, const real *b, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        if (test_bits(a[i]) != test_bits(b[i])) return false;
    return true;
}

#endif
