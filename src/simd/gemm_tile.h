/* gemm_tile - the register tiles of the matrix product: R rows by V vectors of 16 columns, over a range of k.
 *
 * Body file of kern_gemm.h for the levels with vector registers. Both operands are addressed by strides, so that
 * neither has to be packed: A[r,p] = a[r*rs + p*ks] is broadcast, B's row p is V vectors. A tile of 12 x 32 on AVX-512
 * keeps 24 accumulators, two vectors of B and one of A; 6 x 16 on AVX2 is the same count in half registers. Wide tiles
 * serve few rows: enough independent chains to hide the four cycles of a fused multiply-add.
 *
 * Invariant: each output is one chain over ascending p that starts from C or from zero; which tile computes it changes
 * nothing. */
#ifndef SOUK_SIMD_GEMM_TILE_H
#define SOUK_SIMD_GEMM_TILE_H

#ifdef __AVX512F__
enum { TILE_ROWS = 12, TILE_VECS = 2 };
#else
enum { TILE_ROWS = 6, TILE_VECS = 1 };
#endif
enum { TILE_COLS = 16 * TILE_VECS, WIDE_ROWS = TILE_ROWS / 2, WIDE_COLS = 2 * TILE_COLS };

typedef struct tile {
    int64_t k;
    const real *a;
    int64_t rs, ks; /* strides of A in elements: next row, next k */
    const real *b;
    int64_t b_step; /* from one k to the next */
    int64_t b_gap;  /* from the first TILE_COLS columns to the next, for wide tiles */
    real *c;
    int64_t ldc;
    int64_t last; /* columns of the last vector, 1 … 16 */
    bool load;    /* start from C */
    bool relu;
    const real *bias; /* [columns] or NULL */
} tile;

/* The last vector of a row of B is masked where registers have masks; elsewhere B is padded (use_panel sees to it). */
#ifdef __AVX512F__
#define TILE_LOAD_LAST(p, n) vf_load_n((p), (n))
#else
#define TILE_LOAD_LAST(p, n) vf_load(p)
#endif

/* Runs the statements for every row r and vector v of the tile, unrolled. */
#define TILE_EACH(...)                    \
    {                                     \
        VEC_UNROLL                        \
        for (int r = 0; r < R; r++) {     \
            VEC_UNROLL                    \
            for (int v = 0; v < V; v++) { \
                __VA_ARGS__               \
            }                             \
        }                                 \
    }

/* Row r of A is three rows' base plus 0, 1 or 2 strides, which is what an x86 address can hold. */
VEC void tile_run(const tile *t, const int R, const int V) {
    vf acc[TILE_ROWS][2 * TILE_VECS];
    const real *a[(TILE_ROWS + 2) / 3];
    const real *b = t->b;
    const int64_t rs = t->rs, step = t->b_step, gap = t->b_gap, last = t->last;
    int64_t ks = t->ks;
    TILE_EACH(acc[r][v] = vf_zero();)
    if (t->load) {
        const real *below = t->c + R * t->ldc; /* C of the next tile, before its turn */
        TILE_EACH(__builtin_prefetch(below + r * t->ldc + v * 16, 1, 2);)
        TILE_EACH(const real *c = t->c + r * t->ldc + v * 16; acc[r][v] = v == V - 1 ? vf_load_n(c, last) : vf_load(c);)
    }
    VEC_UNROLL
    for (int r = 0; r < R; r += 3) a[r / 3] = t->a + r * rs;
    for (int64_t p = t->k; p > 0; p--) {
        __asm__("" : "+r"(ks)); /* keeps gcc from making a second loop for ks == 1 */
        vf bv[2 * TILE_VECS];
        VEC_UNROLL
        for (int v = 0; v < V; v++) {
            const real *from = b + v / TILE_VECS * gap + v % TILE_VECS * 16;
            bv[v] = v == V - 1 ? TILE_LOAD_LAST(from, last) : vf_load(from);
        }
        b += step;
        VEC_UNROLL
        for (int r = 0; r < R; r++) {
            const vf av = vf_set1(a[r / 3][r % 3 * rs]);
            VEC_UNROLL
            for (int v = 0; v < V; v++) acc[r][v] = vf_fma(av, bv[v], acc[r][v]);
        }
        VEC_UNROLL
        for (int r = 0; r < R; r += 3) a[r / 3] += ks;
    }
    if (t->bias) {
        const real *bias = t->bias;
        TILE_EACH(vf add = v == V - 1 ? vf_load_n(bias + v * 16, last) : vf_load(bias + v * 16);
                  acc[r][v] = vf_add(acc[r][v], add);)
    }
    if (t->relu) TILE_EACH(acc[r][v] = vf_act_relu(acc[r][v]);)
    if (last == 16)
        TILE_EACH(vf_store(t->c + r * t->ldc + v * 16, acc[r][v]);)
    else
        TILE_EACH(real *c = t->c + r * t->ldc + v * 16; if (v == V - 1) vf_store_n(c, acc[r][v], last);
                  else vf_store(c, acc[r][v]);)
}

#define TILE(R, V) \
    static __attribute__((noinline)) void tile_##R##x##V(const tile *t) { tile_run(t, R, V); }
#define TILE3(R0, R1, R2, V) TILE(R0, V) TILE(R1, V) TILE(R2, V)
typedef void (*tile_fn)(const tile *t);
TILE3(1, 2, 3, 1)
TILE3(4, 5, 6, 1)
TILE3(1, 2, 3, 2)
#ifdef __AVX512F__
TILE3(7, 8, 9, 1)
TILE3(10, 11, 12, 1)
TILE3(4, 5, 6, 2)
TILE3(7, 8, 9, 2)
TILE3(10, 11, 12, 2)
TILE3(1, 2, 3, 4)
TILE3(4, 5, 6, 4)
/* By vectors 1, 2, 4 (AVX2: 1, 2); by rows. */
/* clang-format off */
static const tile_fn tiles[3][TILE_ROWS + 1] = {
    {0, tile_1x1, tile_2x1, tile_3x1, tile_4x1, tile_5x1, tile_6x1,
     tile_7x1, tile_8x1, tile_9x1, tile_10x1, tile_11x1, tile_12x1},
    {0, tile_1x2, tile_2x2, tile_3x2, tile_4x2, tile_5x2, tile_6x2,
     tile_7x2, tile_8x2, tile_9x2, tile_10x2, tile_11x2, tile_12x2},
    {0, tile_1x4, tile_2x4, tile_3x4, tile_4x4, tile_5x4, tile_6x4}};
#else
static const tile_fn tiles[2][TILE_ROWS + 1] = {
    {0, tile_1x1, tile_2x1, tile_3x1, tile_4x1, tile_5x1, tile_6x1}, {0, tile_1x2, tile_2x2, tile_3x2}};
#endif

#endif
