/* gemm - the matrix product. One calling form; everything else (dense, recurrent input, weight gradients) derives from
 * it.
 *
 *   C[m,n] = act( sum_k A[m,k] * B[k,n]  (+ C[m,n] if accumulate)  (+ bias[n]) )
 *
 * Canonical order: acc = accumulate ? C : 0; for k ascending: acc = fma(A, B, acc); then + bias; then act. With
 * `chunks` > 1 (a power of two) the k range is cut into that many fixed chunks of ceil(K / chunks), each summed from 0
 * in order, the partial sums added in a balanced tree ((c0+c1)+(c2+c3)) ..., then added to C if accumulate. Blocking
 * never changes a bit. */
#ifndef SOUK_SIMD_GEMM_H
#define SOUK_SIMD_GEMM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "simd/real.h"

typedef enum gemm_act {
    GEMM_LINEAR,
    GEMM_RELU,
    GEMM_SIGMOID,
    GEMM_TANH,
    GEMM_GELU,
    GEMM_GELU_TANH,
    GEMM_SILU,
    GEMM_ELU,
    GEMM_SOFTPLUS
} gemm_act;

typedef struct gemm_args {
    int64_t m, n, k;
    const real *a; /* A[m,k] = a[m*lda + k], or a[k*lda + m] when trans_a */
    int64_t lda;
    bool trans_a;
    const real *b; /* B[k,n] = b[k*ldb + n], or b[n*ldb + k] when trans_b */
    int64_t ldb;
    bool trans_b;
    real *c; /* row-major, ldc */
    int64_t ldc;
    bool accumulate;
    int chunks;       /* 0 or 1: one chain; else a power of two <= 16 */
    const real *bias; /* [n] or NULL */
    gemm_act act;
    const real *packed_b; /* gemm_pack of the same B, or NULL */
} gemm_args;

/* One thread. `scratch` is 64-byte aligned, of gemm_scratch(m, n, k) bytes; it may be shared by successive calls. */
void gemm(const gemm_args *args, void *scratch);
size_t gemm_scratch(int64_t m, int64_t n, int64_t k);
/* B packed once (weights): bytes needed, and the packing. The layout belongs to the level in force. */
size_t gemm_packed_size(int64_t n, int64_t k);
void gemm_pack(const gemm_args *args, real *packed);

#endif
