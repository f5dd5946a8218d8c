/* kern_gemm_plain - the matrix product in plain C: the reference for the canonical order that gemm.h states, and the
 * level "c" and the double build's product. Body file, included by kern_c.c. No blocking, no packing beyond what the
 * interface asks: a block of one output row is carried through k, once for each chunk. */

enum { PLAIN_LANES = 16, PLAIN_CHUNKS = 16 };

/* packed[(j / 16) * k * 16 + p * 16 + j % 16] = B[p,j], zero beyond n: columns can be split at multiples of 16. */
static size_t kern_gemm_packed_size(int64_t n, int64_t k) {
    return (size_t)((n + PLAIN_LANES - 1) / PLAIN_LANES * PLAIN_LANES) * (size_t)k * sizeof(real);
}
static void kern_gemm_pack(const void *gemm_args_, real *packed) {
    const gemm_args *g = gemm_args_;
    for (int64_t j = 0; j < g->n; j += PLAIN_LANES)
        for (int64_t p = 0; p < g->k; p++)
            for (int64_t i = j; i < j + PLAIN_LANES; i++)
                *packed++ = i >= g->n ? 0 : g->trans_b ? g->b[i * g->ldb + p] : g->b[p * g->ldb + i];
}
static size_t kern_gemm_scratch(int64_t m, int64_t n, int64_t k) {
    (void)m, (void)n, (void)k;
    return 0;
}

static real plain_b(const gemm_args *g, int64_t p, int64_t j) {
    if (g->packed_b) return g->packed_b[(j / PLAIN_LANES * g->k + p) * PLAIN_LANES + j % PLAIN_LANES];
    return g->trans_b ? g->b[j * g->ldb + p] : g->b[p * g->ldb + j];
}

/* acc[0..w) += A[i, from..to) * B[from..to, j..j+w), k ascending */
static void plain_chain(const gemm_args *g, int64_t i, int64_t j, int64_t w, int64_t from, int64_t to, real *acc) {
    for (int64_t p = from; p < to; p++) {
        const real a = g->trans_a ? g->a[p * g->lda + i] : g->a[i * g->lda + p];
        for (int64_t x = 0; x < w; x++) acc[x] = REAL_FMA(a, plain_b(g, p, j + x), acc[x]);
    }
}

/* C[i, j..j+w): the chains of the chunks, their balanced tree, bias and activation */
static void plain_block(const gemm_args *g, int64_t i, int64_t j, int64_t w) {
    real part[PLAIN_CHUNKS][PLAIN_LANES] = {{0}}, *c = g->c + i * g->ldc + j;
    const int chunks = g->chunks > 1 ? g->chunks : 1;
    const int64_t length = (g->k + chunks - 1) / chunks;
    for (int64_t x = 0; x < w && chunks == 1 && g->accumulate; x++) part[0][x] = c[x];
    for (int s = 0; s < chunks; s++) {
        const int64_t from = s * length < g->k ? s * length : g->k, to = from + length < g->k ? from + length : g->k;
        plain_chain(g, i, j, w, from, to, part[s]);
    }
    for (int step = 1; step < chunks; step *= 2)
        for (int s = 0; s < chunks; s += 2 * step)
            for (int64_t x = 0; x < w; x++) part[s][x] = part[s][x] + part[s + step][x];
    for (int64_t x = 0; x < w; x++) {
        real v = chunks > 1 && g->accumulate ? c[x] + part[0][x] : part[0][x];
        c[x] = g->bias ? v + g->bias[j + x] : v;
    }
    if (g->act != GEMM_LINEAR) kern_act(w, (int)g->act, c, c);
}

static void kern_gemm(const void *gemm_args_, void *scratch) {
    const gemm_args *g = gemm_args_;
    (void)scratch;
    for (int64_t i = 0; i < g->m; i++)
        for (int64_t j = 0; j < g->n; j += PLAIN_LANES)
            plain_block(g, i, j, g->n - j < PLAIN_LANES ? g->n - j : PLAIN_LANES);
}
