/* bench.h - what the benchmarks in C share: the machine's line, best-of-many timing, the core's peak and the bandwidth.
 *
 * Other processes may use the machine meanwhile. So a figure is the best of many short bursts, and a share of the peak
 * compares with peak bursts taken in between, not before. */
#ifndef SOUK_BENCH_H
#define SOUK_BENCH_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static inline double bench_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* The first line that `command` prints, or "unknown". */
static inline void bench_line_of(const char *command, char *out, size_t n) {
    FILE *f = popen(command, "r");
    snprintf(out, n, "unknown");
    if (f && fgets(out, (int)n, f)) out[strcspn(out, "\n")] = 0;
    if (f) pclose(f);
}

static inline void bench_print_machine(void) {
    char cpu[128], commit[128];
    bench_line_of("grep -m1 'model name' /proc/cpuinfo | cut -d: -f2 | sed 's/^ *//'", cpu, sizeof cpu);
    bench_line_of("git -C '" SOUK_SOURCE_DIR "' describe --always --dirty 2>/dev/null", commit, sizeof commit);
    printf("machine: %s; commit %s; compiler %s\n", cpu, commit, __VERSION__);
}

/* CPU seconds of this thread: what a single-threaded kernel is timed by, so that a neighbour's turn on the core is left
 * out. */
static inline double bench_cpu(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* CPU seconds of a burst of `runs` calls of fn(context). */
static inline double bench_burst(void (*fn)(void *), void *context, int64_t runs) {
    const double start = bench_cpu();
    for (int64_t i = 0; i < runs; i++) fn(context);
    return bench_cpu() - start;
}

/* Calls that make a burst of about `seconds`. */
static inline int64_t bench_runs(void (*fn)(void *), void *context, double seconds) {
    int64_t runs = 1;
    double took = bench_burst(fn, context, 1);
    while (took < seconds / 2 && runs < INT64_C(1) << 30) took = bench_burst(fn, context, runs *= 2);
    return runs;
}

/* Best seconds of one call, over `bursts` bursts of about 0.5 ms, long beside the clock. */
static inline double bench_best(void (*fn)(void *), void *context, int bursts) {
    const int64_t runs = bench_runs(fn, context, 5e-4);
    double best = 1e30;
    for (int i = 0; i < bursts; i++) {
        const double took = bench_burst(fn, context, runs) / (double)runs;
        if (took < best) best = took;
    }
    return best;
}

/* ---- the core's fp32 peak: independent fused multiply-adds on registers and nothing else ---- */
#define BENCH_PEAK_FLOPS_AVX2 (1000.0 * 12 * 8 * 2)
#define BENCH_PEAK_FLOPS_AVX512 (1000.0 * 12 * 16 * 2)
#define BENCH_FMA(n, r) "vfmadd231ps %%" r "mm15, %%" r "mm14, %%" r "mm" n "\n\t"
#define BENCH_FMA12(r)                                                                                          \
    BENCH_FMA("0", r)                                                                                           \
    BENCH_FMA("1", r)                                                                                           \
    BENCH_FMA("2", r) BENCH_FMA("3", r) BENCH_FMA("4", r) BENCH_FMA("5", r) BENCH_FMA("6", r) BENCH_FMA("7", r) \
        BENCH_FMA("8", r) BENCH_FMA("9", r) BENCH_FMA("10", r) BENCH_FMA("11", r)
#define BENCH_PEAK(r)                                                                                           \
    int64_t i = 1000;                                                                                           \
    __asm__ volatile("vzeroall\n1:\n\t" BENCH_FMA12(r) "dec %0\n\tjnz 1b\n\tvzeroupper"                         \
                     : "+r"(i)::"xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", \
                       "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "cc")
static inline void bench_peak_avx2(void *unused) {
    (void)unused;
    BENCH_PEAK("y");
}
static inline void bench_peak_avx512(void *unused) {
    (void)unused;
    BENCH_PEAK("z");
}

#endif
