/* peer_gemm.c - single-precision matrix products of the libraries that others use, on one core. Built by compare.py,
 * one program per library: cc -O2 -DPEER_CBLAS peer_gemm.c -lopenblas (or -lblis), cc -O2 -DPEER_DNNL peer_gemm.c
 * -ldnnl. Prints GFLOP/s, best of many, for 512x512x512 and for 32x128x32 repeated. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#ifdef PEER_DNNL
#include <dnnl.h>
static void product(long m, long n, long k, const float *a, const float *b, float *c) {
    dnnl_sgemm('N', 'N', m, n, k, 1, a, k, b, n, 0, c, n);
}
#else
#include <cblas.h>
static void product(long m, long n, long k, const float *a, const float *b, float *c) {
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)m, (int)n, (int)k, 1, a, (int)k, b, (int)n, 0, c,
                (int)n);
}
#endif

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void bench(const char *peer, long m, long n, long k) {
    float *a = aligned_alloc(64, (size_t)(m * k) * 4), *b = aligned_alloc(64, (size_t)(k * n) * 4),
          *c = aligned_alloc(64, (size_t)(m * n) * 4);
    for (long i = 0; i < m * k; i++) a[i] = (float)(i % 7) - 3;
    for (long i = 0; i < k * n; i++) b[i] = (float)(i % 5) - 2;
    double flop = 2.0 * (double)m * (double)n * (double)k, best = 1e9;
    int inner = (int)(2e8 / flop) + 1;
    for (int r = 0; r < 15; r++) {
        double t = now();
        for (int i = 0; i < inner; i++) product(m, n, k, a, b, c);
        double took = (now() - t) / inner;
        if (took < best) best = took;
    }
    printf("{\"peer\": \"%s\", \"name\": \"product %ldx%ldx%ld\", \"value\": %.4g, \"unit\": \"GFLOP/s\"}\n", peer, m,
           n, k, flop / best * 1e-9);
    free(a);
    free(b);
    free(c);
}

int main(int argc, char **argv) {
    const char *peer = argc > 1 ? argv[1] : "peer";
    bench(peer, 512, 512, 512);
    bench(peer, 32, 128, 32);
    return 0;
}
