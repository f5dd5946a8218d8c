/* The matrix product: every combination of transposes, packing, chunks, accumulation, bias and activation over many
 * shapes, on every instruction set, between guard pages: the bits of plain C; and plain C against a product in double.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "simd/gemm.h"
#include "simd_guard.h"

enum { GAP = 3, MAX_A = 1 << 19 }; /* unused columns in every leading dimension; elements of the largest operand */

typedef struct arena_of_guards {
    guard a, b, c, want, bias, packed, scratch;
} arena_of_guards;
static arena_of_guards room;
static int64_t passed;

static int open_room(void **state) {
    (void)state;
    room = (arena_of_guards){guard_new(MAX_A * 4), guard_new(MAX_A * 4), guard_new(MAX_A * 4), guard_new(MAX_A * 4),
                             guard_new(1 << 14),   guard_new(MAX_A * 4), guard_new(1 << 21)};
    return 0;
}
static int close_room(void **state) {
    (void)state;
    guard *all[] = {&room.a, &room.b, &room.c, &room.want, &room.bias, &room.packed, &room.scratch};
    for (int i = 0; i < 7; i++) guard_free(all[i]);
    return 0;
}

/* Elements from the first to the last of a [rows, cols] operand. */
static int64_t span(int64_t rows, int64_t cols, int64_t ld) {
    return rows > 0 && cols > 0 ? (rows - 1) * ld + cols : 0;
}
static real *place(const guard *g, int64_t n) {
    assert_true(n <= MAX_A);
    return guard_place(g, (size_t)n * sizeof(real), true);
}

static double naive(const gemm_args *g, int64_t i, int64_t j, double c, double *size) {
    double sum = g->accumulate ? c : 0;
    *size = fabs(sum);
    for (int64_t p = 0; p < g->k; p++) {
        const real a = g->trans_a ? g->a[p * g->lda + i] : g->a[i * g->lda + p];
        const real b = g->trans_b ? g->b[j * g->ldb + p] : g->b[p * g->ldb + j];
        const double t = (double)a * (double)b;
        sum += t;
        *size += fabs(t);
    }
    if (g->bias) sum += (double)g->bias[j], *size += fabs((double)g->bias[j]);
    return sum;
}

static void check_against_double(const gemm_args *g, const real *before, const real *result) {
    for (int64_t i = 0; i < g->m; i++)
        for (int64_t j = 0; j < g->n; j++) {
            double size, want = naive(g, i, j, (double)before[i * g->ldc + j], &size);
            if (g->act == GEMM_RELU) want = want > 0 ? want : 0;
            if (g->act == GEMM_TANH) want = tanh(want);
            if (g->act == GEMM_SIGMOID) want = 1 / (1 + exp(-want));
            const double error = fabs((double)result[i * g->ldc + j] - want);
            if (g->act <= GEMM_TANH && !(error <= size * 6e-8 * (double)(g->k + 3) + 1e-6))
                fail_msg("plain C is wrong by %g at %lld, %lld of %lld x %lld x %lld, activation %d", error,
                         (long long)i, (long long)j, (long long)g->m, (long long)g->n, (long long)g->k, (int)g->act);
        }
}

/* Runs g at one level into c, which holds `before` first; scratch and packed B end at guard pages. */
static void run_level(gemm_args g, kern_isa isa, bool packed, real *c, const real *before, int64_t c_size) {
    assert_true(kern_use(isa));
    memcpy(c, before, (size_t)c_size * sizeof(real));
    g.c = c;
    const size_t scratch_size = (gemm_scratch(g.m, g.n, g.k) + 63) / 64 * 64;
    if (packed) {
        real *p = guard_place(&room.packed, gemm_packed_size(g.n, g.k), true);
        gemm_pack(&g, p);
        g.packed_b = p;
    }
    gemm(&g, guard_place(&room.scratch, scratch_size, true));
}

static void check(int64_t m, int64_t n, int64_t k, unsigned bits, int chunks, gemm_act act, int64_t rarity,
                  uint64_t seed) {
    static real before[MAX_A];
    gemm_args g = {.m = m,
                   .n = n,
                   .k = k,
                   .trans_a = bits & 1,
                   .trans_b = bits & 2,
                   .accumulate = bits & 4,
                   .chunks = chunks,
                   .act = act};
    g.lda = (g.trans_a ? m : k) + GAP, g.ldb = (g.trans_b ? k : n) + GAP, g.ldc = n + GAP;
    const int64_t a_size = span(g.trans_a ? k : m, g.trans_a ? m : k, g.lda),
                  b_size = span(g.trans_b ? n : k, g.trans_b ? k : n, g.ldb);
    const int64_t c_size = span(m, n, g.ldc);
    real *a = place(&room.a, a_size), *b = place(&room.b, b_size), *bias = place(&room.bias, n),
         *c = place(&room.c, c_size), *want = place(&room.want, c_size);
    test_fill(a, a_size, &seed, rarity);
    test_fill(b, b_size, &seed, rarity);
    test_fill(bias, n, &seed, 0);
    test_fill(before, c_size, &seed, 0);
    g.a = a, g.b = b, g.bias = bits & 8 ? bias : NULL;
    run_level(g, KERN_C, bits & 16, want, before, c_size);
    if (rarity == 0) check_against_double(&g, before, want);
    for (kern_isa isa = KERN_AVX2; isa <= KERN_AVX512; isa++) {
        if (!kern_supported(isa)) continue;
        run_level(g, isa, bits & 16, c, before, c_size);
        if (!test_same(c, want, c_size))
            fail_msg("%s differs from plain C: %lld x %lld x %lld, options %u, chunks %d, activation %d",
                     kern_isa_name(isa), (long long)m, (long long)n, (long long)k, bits, chunks, (int)act);
        passed++;
    }
}

static void test_all_combinations(void **state) {
    static const int64_t shapes[][3] = {
        {0, 5, 5},  {5, 0, 5},   {5, 5, 0},   {1, 1, 1},    {1, 1, 40},    {40, 1, 33},   {1, 40, 33},   {33, 2, 20},
        {50, 3, 9}, {5, 4, 70},  {2, 3, 7},   {6, 16, 12},  {12, 32, 16},  {13, 33, 17},  {7, 47, 5},    {3, 49, 18},
        {6, 64, 8}, {4, 65, 30}, {2, 100, 3}, {25, 31, 29}, {32, 128, 32}, {32, 32, 128}, {128, 32, 32}, {17, 15, 16}};
    int options = 0;
    (void)state;
    passed = 0;
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
        for (unsigned bits = 0; bits < 32; bits++)
            for (int chunks = 1; chunks <= 16; chunks *= 4) {
                const bool large = shapes[s][0] * shapes[s][1] * shapes[s][2] > 50000;
                if (large && (bits + (unsigned)chunks) % 3) continue;
                check(shapes[s][0], shapes[s][1], shapes[s][2], bits, chunks,
                      (gemm_act)(options++ % (GEMM_SOFTPLUS + 1)), 0, s * 1000 + bits);
            }
    print_message("products with the bits of plain C: %lld of %lld\n", (long long)passed, (long long)passed);
}

/* Beyond one slice of k, one block of rows, one block of a buffered product; rows of A and of B a page apart. */
static void test_blocks(void **state) {
    static const int64_t shapes[][3] = {{3, 20, 1100}, {400, 33, 20}, {14, 260, 1030}, {1025, 257, 130}, {100, 130, 40},
                                        {390, 2, 300}, {40, 1030, 8}, {97, 129, 33},   {1, 1100, 30}};
    (void)state;
    passed = 0;
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
        for (unsigned bits = 0; bits < 32; bits += 3)
            check(shapes[s][0], shapes[s][1], shapes[s][2], bits, bits % 2 ? 8 : 1, bits % 4 ? GEMM_LINEAR : GEMM_GELU,
                  0, s * 1000 + bits);
    print_message("blocked products with the bits of plain C: %lld of %lld\n", (long long)passed, (long long)passed);
}

static void test_random_shapes_and_special_values(void **state) {
    uint64_t random = 42;
    (void)state;
    passed = 0;
    for (int trial = 0; trial < 600; trial++) {
        const int64_t m = test_below(&random, 45), n = test_below(&random, 75), k = test_below(&random, 45);
        const bool flush = trial % 2;
        const uint32_t saved = flush ? kern_fp_enter() : 0;
        check(m, n, k, (unsigned)test_below(&random, 32), 1 << test_below(&random, 5),
              (gemm_act)test_below(&random, GEMM_SOFTPLUS + 1), trial % 3 ? 60 : 0, random);
        if (flush) kern_fp_leave(saved);
    }
    print_message("random products with the bits of plain C: %lld of %lld\n", (long long)passed, (long long)passed);
}

/* A product cut by rows, or by columns at multiples of 32 with a packed B, is the whole product: what callers rely on.
 */
static void test_cutting_changes_nothing(void **state) {
    enum { M = 37, N = 96, K = 50 };
    static real a[M * K], b[K * N], whole[M * N], parts[M * N];
    uint64_t random = 9;
    (void)state;
    test_fill(a, M * K, &random, 0);
    test_fill(b, K * N, &random, 0);
    for (kern_isa isa = KERN_C; isa <= KERN_AVX512; isa++) {
        if (!kern_use(isa)) continue;
        gemm_args g = {.m = M, .n = N, .k = K, .a = a, .lda = K, .b = b, .ldb = N, .c = whole, .ldc = N};
        real *packed = guard_place(&room.packed, gemm_packed_size(N, K), true);
        void *scratch = guard_place(&room.scratch, 1 << 20, true);
        gemm_pack(&g, packed);
        gemm(&g, scratch);
        for (int64_t i = 0; i < M; i += 10)
            for (int64_t j = 0; j < N; j += 32) {
                gemm_args part = g;
                part.m = M - i < 10 ? M - i : 10, part.n = 32;
                part.a = a + i * K, part.b = b + j, part.packed_b = packed + j * K, part.c = parts + i * N + j;
                gemm(&part, scratch);
            }
        assert_true(test_same(whole, parts, M * N));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_combinations),
        cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_random_shapes_and_special_values),
        cmocka_unit_test(test_cutting_changes_nothing),
    };
    kern_init();
    return cmocka_run_group_tests(tests, open_room, close_room);
}
