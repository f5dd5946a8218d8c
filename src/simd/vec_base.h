/* vec_base - two macros that the vector headers and the loops over them share. */
#ifndef SOUK_SIMD_VEC_BASE_H
#define SOUK_SIMD_VEC_BASE_H

#define VEC static inline __attribute__((always_inline, unused))

/* Before a loop of constant trip count (at most 16) whose arrays must become registers: unrolls it whole, and early enough. */
#ifdef __clang__
#define VEC_UNROLL _Pragma("clang loop unroll(full)")
#else
#define VEC_UNROLL _Pragma("GCC unroll 16")
#endif

#endif
