/* vec_base - two macros that the vector headers and the loops over them share. */
#ifndef SOUK_SIMD_VEC_BASE_H
#define SOUK_SIMD_VEC_BASE_H

/* VEC: vector operations are inlined, except in plain C (VEC_CALLS). There a 16-lane loop each, inlined into every
 * tile, takes the compiler half a minute and 400 MB, minutes and a gigabyte under the sanitizers (1.2 s as calls), and
 * its time goes to fmaf anyway. VEC_UNROLL: before a loop of constant trip count (at most 16) whose arrays must become
 * registers: unrolls it whole, and early enough. */
#ifdef VEC_CALLS
#define VEC static __attribute__((noinline, unused))
#define VEC_UNROLL
#else
#define VEC static inline __attribute__((always_inline, unused))
#ifdef __clang__
#define VEC_UNROLL _Pragma("clang loop unroll(full)")
#else
#define VEC_UNROLL _Pragma("GCC unroll 16")
#endif
#endif

#endif
