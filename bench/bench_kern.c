/* bench_kern.c - the kernels: matrix products against the core's measured peak, activations, optimiser, bandwidth, at
 * each level of instructions that the machine has. usage: bench_kern [bursts] [level]    (default 400, all) */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/thread.h"
#include "bench.h"
#include "simd/gemm.h"
#include "simd/kern.h"

static int bursts = 400;

static real *filled(int64_t n, real low, real high) {
    real *p = mem_aligned((size_t)(n > 0 ? n : 1) * sizeof *p);
    uint32_t state = 12345;
    if (!p) exit(1);
    for (int64_t i = 0; i < n; i++) {
        state = state * 1664525u + 1013904223u;
        p[i] = low + (high - low) * (real)(state >> 8) / (real)(1 << 24);
    }
    return p;
}

/* ---- peak and bandwidth ---- */
static void (*peak_of(kern_isa isa))(void *) { return isa == KERN_AVX512 ? bench_peak_avx512 : bench_peak_avx2; }
static double peak_flops(kern_isa isa) { return isa == KERN_AVX512 ? BENCH_PEAK_FLOPS_AVX512 : BENCH_PEAK_FLOPS_AVX2; }

enum { STREAM = 64 << 20 }; /* elements: 256 MB */
typedef struct stream {
    const real *from;
    int64_t n;
    double seconds;
    bool peak;
} stream;

static void stream_thread(void *context) {
    stream *s = context;
    if (s->peak) {
        s->seconds = bench_best(peak_of(kern_current()), NULL, bursts * 4);
        return;
    }
    s->seconds = 1e30;
    for (int i = 0; i < 5; i++) {
        const double start = bench_now();
        const real sum = kern.sum(s->n, s->from);
        const double took = bench_now() - start;
        if (took < s->seconds && sum != 0) s->seconds = took;
    }
}

static void bench_machine(kern_isa isa) {
    real *data = filled(STREAM, 1, 2);
    for (int threads = 1; threads <= 2; threads++) {
        stream s[2];
        double flops = 0, bytes = 0;
        for (int peak = 0; peak < 2; peak++) {
            thread *second = NULL;
            for (int i = 0; i < threads; i++)
                s[i] = (stream){data + i * (STREAM / threads), STREAM / threads, 0, peak == 1};
            if (threads == 2) second = thread_start(stream_thread, &s[1]);
            stream_thread(&s[0]);
            if (second) thread_join(second);
            for (int i = 0; i < threads; i++) {
                if (peak)
                    flops += peak_flops(isa) / s[i].seconds;
                else
                    bytes += (double)s[i].n * sizeof(real) / s[i].seconds;
            }
        }
        printf("%-7s %d thread%s: peak %.1f GFLOP/s, streaming read %.1f GB/s\n", kern_isa_name(isa), threads,
               threads > 1 ? "s" : "", flops * 1e-9, bytes * 1e-9);
    }
    mem_free(data);
}

/* ---- products ---- */
typedef struct product {
    gemm_args args;
    void *scratch;
} product;

static void run_product(void *context) {
    product *p = context;
    gemm(&p->args, p->scratch);
}

typedef struct shape {
    int64_t m, n, k;
    bool trans_a, trans_b, packed;
    int chunks;
    gemm_act act;
    const char *what;
} shape;

static const shape shapes[] = {
    {32, 128, 32, 0, 0, 1, 1, 0, "packed"},
    {32, 32, 128, 0, 0, 1, 1, 0, "packed"},
    {128, 32, 32, 0, 0, 1, 1, 0, "packed"},
    {32, 128, 32, 0, 0, 0, 1, 0, "in place"},
    {32, 128, 32, 0, 1, 0, 1, 0, "B transposed"},
    {32, 128, 32, 0, 0, 1, 1, GEMM_RELU, "packed, relu"},
    {32, 128, 32, 0, 0, 1, 1, GEMM_TANH, "packed, tanh"},
    {64, 64, 64, 0, 0, 1, 1, 0, "packed"},
    {128, 128, 128, 0, 0, 1, 1, 0, "packed"},
    {256, 256, 256, 0, 0, 0, 1, 0, "in place"},
    {512, 512, 512, 0, 0, 0, 1, 0, "as given"},
    {512, 512, 512, 0, 0, 1, 1, 0, "packed"},
    {512, 512, 512, 0, 1, 0, 1, 0, "B transposed"},
    {512, 512, 512, 1, 0, 0, 1, 0, "A transposed"},
    {1024, 1024, 1024, 0, 0, 0, 1, 0, "as given"},
    {1024, 1024, 1024, 1, 0, 0, 1, 0, "A transposed"},
    {3200, 128, 16, 0, 0, 1, 1, 0, "recurrent input"},
    {3200, 128, 32, 0, 0, 1, 1, 0, "recurrent input"},
    {3200, 32, 128, 0, 1, 0, 1, 0, "gradient of the input"},
    {32, 128, 3200, 1, 0, 0, 8, 0, "weight gradient"},
    {16, 128, 3200, 1, 0, 0, 8, 0, "weight gradient"},
    {256, 128, 1024, 1, 0, 0, 16, 0, "weight gradient"},
    {1024, 256, 40, 0, 0, 1, 1, GEMM_RELU, "dense, relu"},
    {32, 1, 32, 0, 0, 0, 1, 0, "dense head"},
    {1024, 1, 128, 0, 0, 0, 1, 0, "dense head"},
    {32, 1, 3200, 1, 0, 0, 8, 0, "its gradient"},
    {1, 128, 32, 0, 0, 1, 1, 0, "one row"},
    {1, 1024, 1024, 0, 0, 1, 1, 0, "one row"},
    {4, 1024, 1024, 0, 0, 1, 1, 0, "four rows"},
    {13, 40, 50, 0, 0, 1, 1, 0, "edges"},
    {100, 100, 100, 0, 0, 0, 1, 0, "edges"},
};

static void bench_shape(const shape *s, kern_isa isa) {
    real *a = filled(s->m * s->k, -1, 1), *b = filled(s->k * s->n, -1, 1), *c = filled(s->m * s->n, 0, 0),
         *bias = filled(s->n, -1, 1);
    real *packed = mem_aligned(gemm_packed_size(s->n, s->k));
    product p = {.scratch = mem_aligned(gemm_scratch(s->m, s->n, s->k))};
    p.args = (gemm_args){
        s->m, s->n, s->k,  a,         s->trans_a ? s->m : s->k, s->trans_a, b,   s->trans_b ? s->k : s->n, s->trans_b,
        c,    s->n, false, s->chunks, s->act ? bias : NULL,     s->act,     NULL};
    if (!packed || !p.scratch) exit(1);
    if (s->packed) {
        gemm_pack(&p.args, packed);
        p.args.packed_b = packed;
    }
    void (*peak)(void *) = peak_of(isa);
    const int64_t runs = bench_runs(run_product, &p, 5e-4), peak_runs = bench_runs(peak, NULL, 5e-4);
    double best = 1e30, best_peak = 1e30;
    for (int i = 0; i < bursts; i++) { /* product and peak in turn: both see the same machine */
        const double took = bench_burst(run_product, &p, runs) / (double)runs,
                     top = bench_burst(peak, NULL, peak_runs) / (double)peak_runs;
        if (took < best) best = took;
        if (top < best_peak) best_peak = top;
    }
    const double rate = 2.0 * (double)(s->m * s->n * s->k) / best, top = peak_flops(isa) / best_peak;
    printf("%-7s %4lld x %4lld x %4lld %-22s %7.1f GFLOP/s %5.1f %% of %.1f\n", kern_isa_name(isa), (long long)s->m,
           (long long)s->n, (long long)s->k, s->what, rate * 1e-9, 100 * rate / top, top * 1e-9);
    mem_free(a), mem_free(b), mem_free(c), mem_free(bias), mem_free(packed), mem_free(p.scratch);
}

/* ---- element-wise ---- */
enum { ELEMENTS = 2048 }; /* 8 KB an array: in L1 */
typedef struct element {
    const char *name;
    int act; /* a gemm_act, or one of the below */
    int64_t n;
    real *x, *y, *z, *w;
} element;
enum { EL_EXP = 100, EL_LOG, EL_SOFTMAX, EL_LAYER_NORM, EL_DROPOUT, EL_ADAM, EL_ADD };

static void run_element(void *context) {
    const element *e = context;
    static const uint32_t key[2] = {1, 2}, counter[4] = {3, 4, 5, 6};
    real mean, rstd;
    switch (e->act) {
    case EL_EXP: kern.exp(e->n, e->x, e->y); break;
    case EL_LOG: kern.log(e->n, e->z, e->y); break;
    case EL_SOFTMAX: kern.softmax(e->n, e->x, e->y); break;
    case EL_LAYER_NORM: kern.layer_norm(e->n, e->x, e->z, e->w, (real)1e-3, e->y, &mean, &rstd); break;
    case EL_DROPOUT: kern.dropout(e->n, key, counter, (real)0.5, e->x, e->y); break;
    case EL_ADAM: kern.adam(e->n, e->y, e->x, e->z, e->w, 0.9, 0.999, (real)1e-9, (real)1e-7, 0); break;
    case EL_ADD: kern.add(e->n, e->x, e->z, e->y); break;
    default: kern.act(e->n, e->act, e->x, e->y);
    }
}

static void bench_elements(kern_isa isa) {
    element list[] = {{.name = "exp", .act = EL_EXP},
                      {.name = "log", .act = EL_LOG},
                      {.name = "sigmoid", .act = GEMM_SIGMOID},
                      {.name = "tanh", .act = GEMM_TANH},
                      {.name = "relu", .act = GEMM_RELU},
                      {.name = "gelu", .act = GEMM_GELU},
                      {.name = "gelu tanh", .act = GEMM_GELU_TANH},
                      {.name = "silu", .act = GEMM_SILU},
                      {.name = "elu", .act = GEMM_ELU},
                      {.name = "softplus", .act = GEMM_SOFTPLUS},
                      {.name = "softmax", .act = EL_SOFTMAX},
                      {.name = "layer norm", .act = EL_LAYER_NORM},
                      {.name = "dropout", .act = EL_DROPOUT},
                      {.name = "add", .act = EL_ADD},
                      {.name = "adam, in L1", .act = EL_ADAM},
                      {.name = "adam, 640,000", .act = EL_ADAM, .n = 640000},
                      {.name = "adam, 6,400,000", .act = EL_ADAM, .n = 6400000}};
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        element *e = &list[i];
        if (e->n == 0) e->n = ELEMENTS;
        e->x = filled(e->n, -4, 4), e->y = filled(e->n, -1, 1), e->z = filled(e->n, (real)0.1, 4),
        e->w = filled(e->n, (real)0.1, 1);
        printf("%-7s %-16s %6.3f ns/element\n", kern_isa_name(isa), e->name,
               1e9 * bench_best(run_element, e, e->n > 1000000 ? 20 : bursts) / (double)e->n);
        mem_free(e->x), mem_free(e->y), mem_free(e->z), mem_free(e->w);
    }
}

int main(int argc, char **argv) {
    if (argc > 1) bursts = atoi(argv[1]);
    bench_print_machine();
    for (kern_isa isa = KERN_AVX512;; isa--) {
        if ((argc < 3 || strcmp(argv[2], kern_isa_name(isa)) == 0) && kern_use(isa)) {
            const uint32_t saved = kern_fp_enter();
            if (isa != KERN_C) bench_machine(isa);
            for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
                if (isa != KERN_C || shapes[i].m * shapes[i].n * shapes[i].k < 1 << 20) bench_shape(&shapes[i], isa);
            bench_elements(isa);
            kern_fp_leave(saved);
        }
        if (isa == KERN_C) return 0;
    }
}
