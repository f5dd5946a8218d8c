/* cpu - CPUID says what the processor can do, XGETBV what the operating system saves on a context switch. An
 * instruction set is used only when both agree: a kernel or hypervisor may switch AVX-512 off on a processor that has
 * it. */
#include "simd/cpu.h"

#include <stdint.h>

#if defined(__x86_64__)
#include <cpuid.h>

/* Bits of the leaves, as the Intel manual (volume 2, CPUID) and AMD's agree on. */
enum {
    LEAF1_ECX = 1u << 12 | 1u << 27 | 1u << 28 | 1u << 29, /* FMA, OSXSAVE, AVX, F16C */
    LEAF7_AVX2 = 1u << 5 | 1u << 8,                        /* AVX2, BMI2 */
    XCR0_AVX = 0x06,                                       /* xmm, ymm */
    XCR0_AVX512 = 0xe6                                     /* and masks, upper halves, upper registers */
};
#define LEAF7_AVX512 (1u << 16 | 1u << 17 | 1u << 28 | 1u << 30 | 1u << 31) /* F, DQ, CD, BW, VL */

static uint32_t leaf7_ebx(void) {
    uint32_t a, b, c, d;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) ? b : 0;
}

static bool os_saves(uint32_t states) {
    uint32_t a, b, c, d, low, high;
    if (!__get_cpuid(1, &a, &b, &c, &d) || (c & LEAF1_ECX) != LEAF1_ECX) return false;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0)); /* legal: OSXSAVE is set */
    return (low & states) == states;
}

bool cpu_has_avx2(void) { return os_saves(XCR0_AVX) && (leaf7_ebx() & LEAF7_AVX2) == LEAF7_AVX2; }

bool cpu_has_avx512(void) {
    return os_saves(XCR0_AVX512) && cpu_has_avx2() && (leaf7_ebx() & LEAF7_AVX512) == LEAF7_AVX512;
}

#else

bool cpu_has_avx2(void) { return false; }
bool cpu_has_avx512(void) { return false; }

#endif
