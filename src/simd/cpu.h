/* cpu - what this processor and its operating system support. */
#ifndef SOUK_SIMD_CPU_H
#define SOUK_SIMD_CPU_H

#include <stdbool.h>

bool cpu_has_avx2(void); /* AVX2, FMA, F16C, BMI2, and the OS saves 256-bit registers */
bool cpu_has_avx512(
    void); /* all of the above, AVX-512 F, BW, VL, DQ, CD, and the OS saves 512-bit registers and masks */

#endif
