/* real - the number that graph, nn and the plain-C kernels compute with: float, or double in the test library that
 * checks gradients and Keras in float64 (-DSOUK_DOUBLE). Vector files exist for float only. */
#ifndef SOUK_SIMD_REAL_H
#define SOUK_SIMD_REAL_H

#ifdef SOUK_DOUBLE
typedef double real;
#define REAL_FMA(a, b, c) __builtin_fma((a), (b), (c))
#else
typedef float real;
#define REAL_FMA(a, b, c) __builtin_fmaf((a), (b), (c))
#endif

#endif
