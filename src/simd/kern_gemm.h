/* kern_gemm - the matrix product of gemm.h on vector registers: blocks, panels, chunks. Body file of kern_<isa>.c.
 *
 * Two views of one product. A plain view writes C where it lies: for each slice of k, for each block of rows, for each
 * panel of columns, tiles down the rows; the panel of B stays in L1, the block of A in L2. A product with a column or
 * three is computed transposed, C' = B' A', so that lanes run over the rows of C. A chunked product, and a transposed
 * one, collect each block in a buffer of scratch: chunks are added up as in a binary counter, which is the balanced
 * tree of gemm.h.
 *
 * B is read where it lies while that is cheaper than copying: a panel is packed when its lanes are not contiguous, when
 * a masked load would be needed that the level has not got, or when rows of B lie so far apart that they fight for
 * the same cache sets; A, when its rows do and many columns will read it. Nothing of this changes a bit (gemm_tile.h).
 */
#include <assert.h>

#include "simd/gemm_tile.h"

enum {
    SLICE_K = 512,            /* k of a slice */
    BLOCK_M = 288,            /* rows of A in a block: up to 576 KB a slice, about half of L2 */
    PACK_A_N = 8 * TILE_COLS, /* from this many columns on, a copy of A can pay */
    PACK_A_K = 128,
    BUFFER_M = 96,
    BUFFER_N = 128, /* a block of a buffered product */
    BUFFERS = 5     /* 1 + log2 of the most chunks, 16 */
};

/* One product: C[m,n] from A[i,p] = a[i*rs + p*ks] and B[p,j] = b[p*b_step + j*b_lane], or its panels. */
typedef struct view {
    int64_t m, n;
    const real *a;
    int64_t rs, ks;
    const real *b;
    int64_t b_step, b_lane;
    const real *packed; /* panel j / TILE_COLS is packed + (j / TILE_COLS) * packed_k * TILE_COLS */
    int64_t packed_k;
    real *panel; /* room for SLICE_K x WIDE_COLS */
    real *rows;  /* room for a block of A, or NULL where it is always read in place */
} view;

/* Where the tiles write: `bias` and `act` only in the last slice of k. */
typedef struct sink {
    real *c;
    int64_t ldc;
    bool load;
    const real *bias;
    int act;
} sink;

static inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

/* out[p][0..16) = b[j*ld + p] for j < rows, zero beyond; p in [0, k): 16 rows of length k become k rows of 16, `step`
 * apart. */
static void pack_transposed(const real *b, int64_t ld, int64_t rows, int64_t k, real *out, int64_t step) {
    for (int64_t p = 0; p < k; p += 16) {
        const int64_t lanes = least(16, k - p);
        vi x[4], y[4][4], z[4];
        for (int g = 0; g < 4; g++) {
            for (int j = 0; j < 4; j++) {
                const real *from = b + (4 * g + j) * ld + p;
                x[j] = vi_bits(4 * g + j >= rows ? vf_zero() : lanes == 16 ? vf_load(from) : vf_load_n(from, lanes));
            }
            vi_zip4(x, y[g]); /* y[g][w] block L = column 4L+w of the four rows */
        }
        for (int w = 0; w < 4; w++) {
            const vi column[4] = {y[0][w], y[1][w], y[2][w], y[3][w]};
            vi_zip_blocks(column, z);
            for (int l = 0; l < 4; l++)
                if (4 * l + w < lanes) vf_store(out + (p + 4 * l + w) * step, vf_bits(z[l]));
        }
    }
}

/* out[p*TILE_COLS + j] = B[from + p, j0 + j] for p < k; columns beyond n are zero. */
static void pack_panel(const view *v, int64_t j0, int64_t from, int64_t k, real *out) {
    for (int64_t j = 0; j < TILE_COLS; j += 16) {
        const int64_t lanes = least(16, v->n - (j0 + j));
        const real *b = v->b + from * v->b_step + (j0 + j) * v->b_lane;
        if (lanes <= 0) {
            for (int64_t p = 0; p < k; p++) vf_store(out + p * TILE_COLS + j, vf_zero());
        } else if (v->b_lane != 1) {
            pack_transposed(b, v->b_lane, lanes, k, out + j, TILE_COLS);
        } else {
            for (int64_t p = 0; p < k; p++)
                vf_store(out + p * TILE_COLS + j,
                         lanes == 16 ? vf_load(b + p * v->b_step) : vf_load_n(b + p * v->b_step, lanes));
        }
    }
}

/* Rows of B a page or so apart cost a translation each and share cache sets; where many rows of A read the panel, a
 * copy pays, and for a narrow panel, which has more rows for its size, sooner. Below that, reading in place is as fast
 * as reading a copy: the lines come from L2 well ahead of their use. */
static bool panel_conflicts(const view *v, int64_t rows) { return rows > 3 * TILE_ROWS && v->b_step >= 32 * TILE_COLS; }

/* Copies rows [i, i+rows) of A in slice [from, from+k) tile by tile, each as k rows of 16, where their stride makes
 * them fight for cache sets and translations. Returns the stride between tiles, or 0: read in place. */
static int64_t pack_rows(const view *v, int64_t i, int64_t rows, int64_t from, int64_t k) {
    /* Rows of a tile side by side (A transposed) use a part of a line at each k, a low tile the smaller one: it suffers
     * sooner. */
    const bool apart = v->ks == 1 ? v->rs >= 1024 : v->ks >= 32 * TILE_COLS;
    if (!v->rows || !apart || v->n < PACK_A_N || k < PACK_A_K) return 0;
    const int64_t count = (rows + TILE_ROWS - 1) / TILE_ROWS;
    const real *a = v->a + i * v->rs + from * v->ks;
    real *out = v->rows;
    for (int64_t x = 0; x < count; x++, out += k * 16) {
        const int64_t r = rows / count + (x < rows % count);
        if (v->ks == 1)
            pack_transposed(a, v->rs, r, k, out, 16);
        else
            for (int64_t p = 0; p < k; p++) vf_store(out + p * 16, vf_load_n(a + p * v->ks, r));
        a += r * v->rs;
    }
    return k * 16;
}

/* Points the tile at columns j … j+w of B in slice [from, from+k), packing them first where that is needed. */
static void use_panel(const view *v, int64_t j, int64_t w, int64_t from, int64_t k, int64_t rows, tile *t) {
#ifdef __AVX512F__
    const bool whole = true;
#else
    const bool whole = w % 16 == 0;
#endif
    if (v->packed) {
        t->b = v->packed + (j / TILE_COLS * v->packed_k + from) * TILE_COLS;
        t->b_step = TILE_COLS;
        t->b_gap = v->packed_k * TILE_COLS;
    } else if (v->b_lane == 1 && whole && !panel_conflicts(v, rows)) {
        t->b = v->b + from * v->b_step + j;
        t->b_step = v->b_step;
        t->b_gap = TILE_COLS;
    } else {
        for (int64_t at = 0; at < w; at += TILE_COLS) pack_panel(v, j + at, from, k, v->panel + at * SLICE_K);
        t->b = v->panel;
        t->b_step = TILE_COLS;
        t->b_gap = TILE_COLS * SLICE_K;
    }
}

/* Columns that the next tile takes, and its row of the table of tiles. */
static int64_t next_columns(int64_t left, int64_t rows, int *kind) {
    if (rows <= WIDE_ROWS && left > WIDE_COLS - 16) {
        *kind = TILE_VECS;
        return least(left, WIDE_COLS);
    }
    *kind = left > 16 && TILE_VECS == 2 ? 1 : 0;
    return least(left, TILE_COLS);
}

/* One panel: tiles down `rows` rows of the block, of nearly equal height; `packed` is the stride of pack_rows. */
static void run_panel(const sink *s, tile *t, const tile_fn *by_rows, int64_t rows, int64_t w, int64_t packed) {
    const int64_t count = (rows + TILE_ROWS - 1) / TILE_ROWS;
    for (int64_t i = 0; i < count; i++) {
        const int64_t r = rows / count + (i < rows % count);
        by_rows[r](t);
        if (s->act > GEMM_RELU)
            for (int64_t x = 0; x < r; x++) kern_act(w, s->act, t->c + x * t->ldc, t->c + x * t->ldc);
        t->a += packed ? packed : r * t->rs;
        t->c += r * t->ldc;
    }
}

/* C = act(A B over p in [from, to) (+ C if load) + bias) */
static void product(const view *v, int64_t from, int64_t to, const sink *s) {
    tile t = {.ldc = s->ldc};
    int64_t p = from;
    do { /* an empty range still stores zeros, bias and activation */
        const int64_t k = least(SLICE_K, to - p);
        const bool end = p + k == to;
        const sink now = {s->c, s->ldc, s->load || p > from, end ? s->bias : NULL, end ? s->act : GEMM_LINEAR};
        t.k = k;
        t.load = now.load;
        t.relu = now.act == GEMM_RELU;
        const int64_t blocks =
            (v->m + BLOCK_M - 1) / BLOCK_M; /* of nearly equal height: each packs the panels of B anew */
        for (int64_t block = 0, i = 0, rows; block < blocks; block++, i += rows) {
            rows = v->m / blocks + (block < v->m % blocks);
            const int64_t packed = pack_rows(v, i, rows, p, k);
            t.rs = packed ? 1 : v->rs;
            t.ks = packed ? 16 : v->ks;
            for (int64_t j = 0, w; j < v->n; j += w) {
                int kind;
                w = next_columns(v->n - j, rows, &kind);
                use_panel(v, j, w, p, k, rows, &t);
                t.a = packed ? v->rows : v->a + i * v->rs + p * v->ks;
                t.c = s->c + i * s->ldc + j;
                t.last = (w - 1) % 16 + 1;
                t.bias = now.bias ? now.bias + j : NULL;
                run_panel(&now, &t, tiles[kind], rows, w, packed);
            }
        }
        p += k;
    } while (p < to);
}

/* Sums of the chunks in balanced-tree order into buffer 0; each buffer is [m,n], dense, `size` elements apart. */
static real *chunked_product(const view *v, int64_t k, int chunks, real *buffers, int64_t size) {
    const int64_t length = (k + chunks - 1) / chunks;
    real *top = buffers;
    assert(chunks <= 1 << (BUFFERS - 1) && (chunks & (chunks - 1)) == 0);
    for (int s = 0; s < chunks; s++, top += size) {
        const int64_t from = least(s * length, k);
        product(v, from, least(from + length, k), &(sink){.c = top, .ldc = v->n});
        for (int pairs = s + 1; pairs % 2 == 0; pairs /= 2, top -= size)
            kern_add(v->m * v->n, top - size, top, top - size);
    }
    return buffers;
}

/* One block of a buffered product: v is the block's view, (i, j) its corner in C or, when `swapped`, in C transposed.
 */
static void buffered_block(const gemm_args *g, view *v, int64_t i, int64_t j, bool swapped, real *buffers) {
    const int64_t size = v->m * v->n, down = swapped ? 1 : g->ldc, across = swapped ? g->ldc : 1;
    real *c = g->c + i * down + j * across;
    const bool chunked = g->chunks > 1;
    if (chunked) {
        chunked_product(v, g->k, g->chunks, buffers, (size + 15) / 16 * 16);
    } else {
        for (int64_t x = 0; x < size && g->accumulate; x++) buffers[x] = c[x / v->n * down + x % v->n * across];
        product(v, 0, g->k, &(sink){.c = buffers, .ldc = v->n, .load = g->accumulate});
    }
    for (int64_t r = 0; r < v->m; r++) {
        real *row = buffers + r * v->n, *out = c + r * down;
        for (int64_t x = 0; x < v->n; x++) {
            if (chunked && g->accumulate) row[x] = out[x * across] + row[x];
            if (g->bias) row[x] = row[x] + g->bias[swapped ? i + r : j + x];
        }
        if (g->act != GEMM_LINEAR) kern_act(v->n, (int)g->act, row, row);
        for (int64_t x = 0; x < v->n; x++) out[x * across] = row[x];
    }
}

static view view_of(const gemm_args *g, bool swapped, real *panel) {
    view v = {.m = g->m, .n = g->n, .packed = g->packed_b, .packed_k = g->k, .panel = panel};
    v.a = g->a, v.rs = g->trans_a ? 1 : g->lda, v.ks = g->trans_a ? g->lda : 1;
    v.b = g->b, v.b_step = g->trans_b ? 1 : g->ldb, v.b_lane = g->trans_b ? g->ldb : 1;
    if (!swapped) return v;
    return (view){.m = g->n,
                  .n = g->m,
                  .a = v.b,
                  .rs = v.b_lane,
                  .ks = v.b_step,
                  .b = v.a,
                  .b_step = v.ks,
                  .b_lane = v.rs,
                  .panel = panel};
}

/* Lanes over the rows of C pay when C has many rows and so few columns that most lanes would idle. */
static bool better_swapped(const gemm_args *g) { return g->n <= 4 && g->m > g->n && g->b; }

/* Elements that pack_rows may fill. */
static int64_t rows_scratch(int64_t m, int64_t n, int64_t k) {
    if (n < PACK_A_N || k < PACK_A_K) return 0;
    return (least(m, BLOCK_M) + TILE_ROWS - 1) / TILE_ROWS * 16 * least(k, SLICE_K);
}

static void kern_gemm(const void *gemm_args_, void *scratch) {
    const gemm_args *g = gemm_args_;
    if (g->m <= 0 || g->n <= 0) return;
    real *panel = scratch, *buffers = panel + SLICE_K * WIDE_COLS;
    const bool swapped = better_swapped(g);
    view whole = view_of(g, swapped, panel);
    if (!swapped && g->chunks <= 1) {
        if (rows_scratch(g->m, g->n, g->k) > 0) whole.rows = buffers; /* this product has no other use for it */
        product(&whole, 0, g->k, &(sink){g->c, g->ldc, g->accumulate, g->bias, (int)g->act});
        return;
    }
    for (int64_t i = 0; i < whole.m; i += BUFFER_M)
        for (int64_t j = 0; j < whole.n; j += BUFFER_N) {
            view block = whole;
            block.m = least(BUFFER_M, whole.m - i);
            block.n = least(BUFFER_N, whole.n - j);
            block.a += i * whole.rs;
            if (block.packed) block.packed += j * g->k;
            if (block.b) block.b += j * whole.b_lane;
            buffered_block(g, &block, i, j, swapped, buffers);
        }
}

static size_t kern_gemm_scratch(int64_t m, int64_t n, int64_t k) {
    int64_t size = least(m, BUFFER_M) * least(n, BUFFER_N), across = least(n, BUFFER_M) * least(m, BUFFER_N);
    if (across > size && n <= 4) size = across;
    size = BUFFERS * ((size + 15) / 16 * 16);
    if (rows_scratch(m, n, k) > size) size = rows_scratch(m, n, k);
    return (size_t)(SLICE_K * WIDE_COLS + size) * sizeof(real);
}

static size_t kern_gemm_packed_size(int64_t n, int64_t k) {
    return (size_t)((n + TILE_COLS - 1) / TILE_COLS * TILE_COLS) * (size_t)k * sizeof(real);
}

static void kern_gemm_pack(const void *gemm_args_, real *packed) {
    const gemm_args *g = gemm_args_;
    const view v = view_of(g, false, NULL);
    for (int64_t j = 0; j < g->n; j += TILE_COLS) pack_panel(&v, j, 0, g->k, packed + j * g->k);
}
