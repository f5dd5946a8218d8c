/* vec_base - two macros that the vector headers and the loops over them share. */
#ifndef SOUK_SIMD_VEC_BASE_H
#define SOUK_SIMD_VEC_BASE_H

/* Vector operations are inlined, except in plain C (VEC_CALLS): there a 16-lane loop each, inlined into every tile, takes the compiler
 * half a minute and 400 MB (1.2 s as calls), and its time goes to fmaf anyway. */
#ifdef VEC_CALLS
#define VEC static __attribute__((noinline, unused))
#else
/* Plain C under the sanitizers is left to the compiler: whole kernels of instrumented 16-lane loops in one function take it
 * minutes and a gigabyte. */
#if defined(SOUK_SANITIZED) && !defined(__AVX2__)
#define VEC static inline __attribute__((unused))
#else
#define VEC static inline __attribute__((always_inline, unused))
#endif
#endif

/* Before a loop of constant trip count (at most 16) whose arrays must become registers: unrolls it whole, and early enough. */
#ifdef __clang__
#define VEC_UNROLL _Pragma("clang loop unroll(full)")
#else
#define VEC_UNROLL _Pragma("GCC unroll 16")
#endif

#endif
