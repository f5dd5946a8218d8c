/* kern - chooses and fills the table of kernels.
 *
 * The table starts as plain C; each higher level that the machine has overwrites the slots that it implements. SOUK_CPU
 * caps the level, so that tests can run everything under each. The choice changes speed and never a bit of the results.
 */
#include "simd/kern.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/thread.h"
#include "simd/cpu.h"

#if defined(__SSE2__)
#include <immintrin.h>
#endif

kern_table kern;
static kern_isa current = KERN_C;

static const char *const names[] = {"c", "avx2", "avx512"};

const char *kern_isa_name(kern_isa isa) { return names[isa]; }
kern_isa kern_current(void) { return current; }

bool kern_supported(kern_isa isa) {
#ifdef SOUK_DOUBLE
    return isa == KERN_C;
#else
    return isa == KERN_C || (isa == KERN_AVX2 && cpu_has_avx2()) || (isa == KERN_AVX512 && cpu_has_avx512());
#endif
}

bool kern_use(kern_isa isa) {
    if (!kern_supported(isa)) return false;
    kern_fill_c(&kern);
#ifndef SOUK_DOUBLE
    if (isa >= KERN_AVX2) kern_fill_avx2(&kern);
    if (isa >= KERN_AVX512) kern_fill_avx512(&kern);
#endif
    current = isa;
    return true;
}

/* The level that SOUK_CPU names, or `best` where it is unset or cannot be had. */
static kern_isa requested(kern_isa best) {
    const char *cap = getenv("SOUK_CPU");
    if (!cap || !*cap) return best;
    for (kern_isa isa = KERN_C; isa <= KERN_AVX512; isa++) {
        if (strcmp(cap, names[isa]) != 0) continue;
        if (isa <= best) return isa;
        log_warn("SOUK_CPU=%s: this machine has not got it; %s is used", cap, names[best]);
        return best;
    }
    log_warn("SOUK_CPU=%s is not one of c, avx2, avx512; %s is used", cap, names[best]);
    return best;
}

static void choose(void) {
    kern_isa best = KERN_AVX512;
    while (!kern_supported(best)) best--;
    kern_use(requested(best));
}

void kern_init(void) {
    static int once;
    thread_once(&once, choose);
}

/* Round to nearest, exceptions masked, results and operands below FLT_MIN flushed to zero: the state that the same-bits
 * contract assumes, whatever the caller had set. */
uint32_t kern_fp_enter(void) {
#if defined(__SSE2__)
    const uint32_t saved = _mm_getcsr();
    _mm_setcsr(0x1f80 | 0x8040);
    return saved;
#else
    return 0;
#endif
}

void kern_fp_leave(uint32_t saved) {
#if defined(__SSE2__)
    _mm_setcsr(saved);
#else
    (void)saved;
#endif
}
