/* vec_c - the 16-lane vector in plain C: the reference that the AVX2 and AVX-512 headers must equal bit for bit.
 *
 * Every instruction set has the same type `vf` of 16 logical lanes of real, `vi` of 16 int32, `vm` of 16 truth values
 * and `vd` of 16 doubles, so that a loop written once sums in the same order everywhere. This header also serves the
 * double build, where real is double; the functions on float bits at the end exist for float only.
 *
 * Invariants: minimum, maximum and comparisons follow the x86 rules (a < b ? a : b: the second operand when one is
 * NaN); fused multiply-adds round once; nothing reads or writes past the n of a _n function. Which NaN comes out of an
 * operation on NaNs (sign, payload) is not part of the contract. */
#ifndef SOUK_SIMD_VEC_C_H
#define SOUK_SIMD_VEC_C_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#if defined(__SSE__)
#include <immintrin.h>
#endif

#include "simd/real.h"
#include "simd/vec_base.h"

/* One line an operation. */
/* clang-format off */
#define VEC_EACH for (int i = 0; i < 16; i++)

typedef struct vf { real v[16]; } vf;
typedef struct vi { int32_t v[16]; } vi;
typedef struct vm { bool v[16]; } vm;
typedef struct vd { double v[16]; } vd;

#ifdef SOUK_DOUBLE
#define VEC_SQRT(x) __builtin_sqrt(x)
#define VEC_RINT(x) __builtin_rint(x)
#define VEC_ABS(x) __builtin_fabs(x)
#define VEC_COPYSIGN(x, s) __builtin_copysign((x), (s))
#else
#define VEC_SQRT(x) __builtin_sqrtf(x)
#define VEC_RINT(x) __builtin_rintf(x)
#define VEC_ABS(x) __builtin_fabsf(x)
#define VEC_COPYSIGN(x, s) __builtin_copysignf((x), (s))
#endif

/* a < b ? a : b and a > b ? a : b. By instruction on x86, because it flushes a denormal that it returns and a branch
 * does not: a compiler may choose either for the expression. */
#if defined(__SSE__) && !defined(SOUK_DOUBLE)
static inline real vec_min(real a, real b) { return _mm_cvtss_f32(_mm_min_ss(_mm_set_ss(a), _mm_set_ss(b))); }
static inline real vec_max(real a, real b) { return _mm_cvtss_f32(_mm_max_ss(_mm_set_ss(a), _mm_set_ss(b))); }
#else
static inline real vec_min(real a, real b) { return a < b ? a : b; }
static inline real vec_max(real a, real b) { return a > b ? a : b; }
#endif

/* ---- load, store ---- */
VEC vf vf_set1(real a) { vf r; VEC_EACH r.v[i] = a; return r; }
VEC vf vf_zero(void) { return vf_set1(0); }
VEC vf vf_load(const real *p) { vf r; memcpy(r.v, p, sizeof r.v); return r; }
VEC void vf_store(real *p, vf a) { memcpy(p, a.v, sizeof a.v); }
/* The first n lanes, 0 <= n <= 16; the others are zero. */
VEC vf vf_load_n(const real *p, int64_t n) { vf r; VEC_EACH r.v[i] = i < n ? p[i] : 0; return r; }
VEC void vf_store_n(real *p, vf a, int64_t n) { for (int i = 0; i < n; i++) p[i] = a.v[i]; }

/* ---- arithmetic ---- */
VEC vf vf_add(vf a, vf b) { VEC_EACH a.v[i] = a.v[i] + b.v[i]; return a; }
VEC vf vf_sub(vf a, vf b) { VEC_EACH a.v[i] = a.v[i] - b.v[i]; return a; }
VEC vf vf_mul(vf a, vf b) { VEC_EACH a.v[i] = a.v[i] * b.v[i]; return a; }
VEC vf vf_div(vf a, vf b) { VEC_EACH a.v[i] = a.v[i] / b.v[i]; return a; }
VEC vf vf_fma(vf a, vf b, vf c) { VEC_EACH a.v[i] = REAL_FMA(a.v[i], b.v[i], c.v[i]); return a; }    /* a*b + c */
VEC vf vf_fnma(vf a, vf b, vf c) { VEC_EACH a.v[i] = REAL_FMA(-a.v[i], b.v[i], c.v[i]); return a; }  /* c - a*b */
VEC vf vf_fms(vf a, vf b, vf c) { VEC_EACH a.v[i] = REAL_FMA(a.v[i], b.v[i], -c.v[i]); return a; }   /* a*b - c */
VEC vf vf_min(vf a, vf b) { VEC_EACH a.v[i] = vec_min(a.v[i], b.v[i]); return a; }
VEC vf vf_max(vf a, vf b) { VEC_EACH a.v[i] = vec_max(a.v[i], b.v[i]); return a; }
VEC vf vf_sqrt(vf a) { VEC_EACH a.v[i] = VEC_SQRT(a.v[i]); return a; }
VEC vf vf_abs(vf a) { VEC_EACH a.v[i] = VEC_ABS(a.v[i]); return a; }
VEC vf vf_neg(vf a) { VEC_EACH a.v[i] = -a.v[i]; return a; }
VEC vf vf_copysign(vf a, vf sign) { VEC_EACH a.v[i] = VEC_COPYSIGN(a.v[i], sign.v[i]); return a; }
/* nearest even */
VEC vf vf_round(vf a) { VEC_EACH a.v[i] = VEC_RINT(a.v[i]); return a; }

/* ---- masks: comparisons are false on NaN, except vm_ne ---- */
VEC vm vm_lt(vf a, vf b) { vm r; VEC_EACH r.v[i] = a.v[i] < b.v[i]; return r; }
VEC vm vm_le(vf a, vf b) { vm r; VEC_EACH r.v[i] = a.v[i] <= b.v[i]; return r; }
VEC vm vm_gt(vf a, vf b) { vm r; VEC_EACH r.v[i] = a.v[i] > b.v[i]; return r; }
VEC vm vm_ge(vf a, vf b) { vm r; VEC_EACH r.v[i] = a.v[i] >= b.v[i]; return r; }
VEC vm vm_eq(vf a, vf b) { vm r; VEC_EACH r.v[i] = a.v[i] == b.v[i]; return r; }
VEC vm vm_ne(vf a, vf b) { vm r; VEC_EACH r.v[i] = a.v[i] != b.v[i]; return r; }
VEC vm vm_first(int64_t n) { vm r; VEC_EACH r.v[i] = i < n; return r; }
VEC vm vm_and(vm a, vm b) { VEC_EACH a.v[i] = a.v[i] && b.v[i]; return a; }
VEC vm vm_or(vm a, vm b) { VEC_EACH a.v[i] = a.v[i] || b.v[i]; return a; }
VEC vm vm_not(vm a) { VEC_EACH a.v[i] = !a.v[i]; return a; }
VEC bool vm_any(vm a) { bool r = false; VEC_EACH r = r || a.v[i]; return r; }
VEC vf vf_select(vm m, vf a, vf b) { VEC_EACH a.v[i] = m.v[i] ? a.v[i] : b.v[i]; return a; }         /* m ? a : b */

/* ---- 32-bit integers: wrap round, shifts by a constant ---- */
VEC vi vi_set1(int32_t a) { vi r; VEC_EACH r.v[i] = a; return r; }
VEC vi vi_iota(void) { vi r; VEC_EACH r.v[i] = i; return r; }
VEC vi vi_load(const int32_t *p) { vi r; memcpy(r.v, p, sizeof r.v); return r; }
VEC void vi_store(int32_t *p, vi a) { memcpy(p, a.v, sizeof a.v); }
VEC vi vi_add(vi a, vi b) { VEC_EACH a.v[i] = (int32_t)((uint32_t)a.v[i] + (uint32_t)b.v[i]); return a; }
VEC vi vi_sub(vi a, vi b) { VEC_EACH a.v[i] = (int32_t)((uint32_t)a.v[i] - (uint32_t)b.v[i]); return a; }
VEC vi vi_and(vi a, vi b) { VEC_EACH a.v[i] &= b.v[i]; return a; }
VEC vi vi_or(vi a, vi b) { VEC_EACH a.v[i] |= b.v[i]; return a; }
VEC vi vi_xor(vi a, vi b) { VEC_EACH a.v[i] ^= b.v[i]; return a; }
VEC vi vi_shl(vi a, int s) { VEC_EACH a.v[i] = (int32_t)((uint32_t)a.v[i] << s); return a; }
VEC vi vi_shr(vi a, int s) { VEC_EACH a.v[i] = (int32_t)((uint32_t)a.v[i] >> s); return a; }
VEC vi vi_sra(vi a, int s) { VEC_EACH a.v[i] >>= s; return a; }
VEC vm vm_eq_i(vi a, vi b) { vm r; VEC_EACH r.v[i] = a.v[i] == b.v[i]; return r; }
VEC vm vm_gt_i(vi a, vi b) { vm r; VEC_EACH r.v[i] = a.v[i] > b.v[i]; return r; }
VEC vm vm_ge_u(vi a, vi b) { vm r; VEC_EACH r.v[i] = (uint32_t)a.v[i] >= (uint32_t)b.v[i]; return r; }
VEC vi vi_select(vm m, vi a, vi b) { VEC_EACH a.v[i] = m.v[i] ? a.v[i] : b.v[i]; return a; }
/* The 64-bit unsigned products of each lane with b, as high and low words. */
VEC void vi_mul_wide(vi a, uint32_t b, vi *hi, vi *lo) {
    VEC_EACH {
        uint64_t p = (uint64_t)(uint32_t)a.v[i] * b;
        hi->v[i] = (int32_t)(uint32_t)(p >> 32);
        lo->v[i] = (int32_t)(uint32_t)p;
    }
}
/* Transposes the 4 x 4 blocks that lanes 4L … 4L+3 of four vectors form: y[w] lane 4L+j = x[j] lane 4L+w. */
VEC void vi_zip4(const vi x[4], vi y[4]) {
    for (int w = 0; w < 4; w++)
        VEC_EACH y[w].v[i] = x[i & 3].v[(i & ~3) + w];
}

/* Transposes the 4 x 4 matrix of 128-bit blocks: y[g] block b = x[b] block g. With vi_zip4: a 16 x 16 transpose. */
VEC void vi_zip_blocks(const vi x[4], vi y[4]) {
    for (int g = 0; g < 4; g++)
        VEC_EACH y[g].v[i] = x[i / 4].v[4 * g + i % 4];
}

/* ---- folds: lane i + lane i+8, then +4, +2, +1 ---- */
VEC real vf_sum(vf a) {
    for (int h = 8; h >= 1; h /= 2)
        for (int i = 0; i < h; i++) a.v[i] = a.v[i] + a.v[i + h];
    return a.v[0];
}
VEC real vf_hmax(vf a) {
    for (int h = 8; h >= 1; h /= 2)
        for (int i = 0; i < h; i++) a.v[i] = vec_max(a.v[i], a.v[i + h]);
    return a.v[0];
}
VEC vd vd_zero(void) { vd r; VEC_EACH r.v[i] = 0; return r; }
VEC vd vd_add_square(vd a, vf x) { VEC_EACH a.v[i] = __builtin_fma((double)x.v[i], (double)x.v[i], a.v[i]); return a; }
VEC double vd_sum(vd a) {
    for (int h = 8; h >= 1; h /= 2)
        for (int i = 0; i < h; i++) a.v[i] = a.v[i] + a.v[i + h];
    return a.v[0];
}

#ifndef SOUK_DOUBLE
/* ---- float bits ---- */
VEC vi vi_bits(vf a) { vi r; memcpy(r.v, a.v, sizeof r.v); return r; }
VEC vf vf_bits(vi a) { vf r; memcpy(r.v, a.v, sizeof r.v); return r; }
VEC vf vf_from_vi(vi a) { vf r; VEC_EACH r.v[i] = (float)a.v[i]; return r; }
/* Nearest even, as cvtps2dq: what does not fit becomes INT32_MIN. */
VEC vi vi_from_vf(vf a) {
    vi r;
    VEC_EACH r.v[i] = a.v[i] >= -0x1p31f && a.v[i] < 0x1p31f ? (int32_t)__builtin_rintf(a.v[i]) : INT32_MIN;
    return r;
}
/* a * 2^n for an integral n with |n| <= 250 and |a| in [2^-20, 2^20], zero, infinite or NaN: rounded once. */
VEC vf vf_scale2(vf a, vf n) {
    vi k = vi_from_vf(n), h = vi_sra(k, 1);
    vf p = vf_bits(vi_shl(vi_add(h, vi_set1(127)), 23));
    vf q = vf_bits(vi_shl(vi_add(vi_sub(k, h), vi_set1(127)), 23));
    return vf_mul(vf_mul(a, p), q);
}
#endif

#undef VEC_EACH
#endif
