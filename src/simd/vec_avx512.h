/* vec_avx512 - the 16-lane vector on AVX-512 F, BW, VL, DQ: one register. What each function means is said in vec_c.h,
 * which this header must equal bit for bit. */
#ifndef SOUK_SIMD_VEC_AVX512_H
#define SOUK_SIMD_VEC_AVX512_H

#include <immintrin.h>
#include <stdbool.h>
#include <stdint.h>

#include "simd/real.h"
#include "simd/vec_base.h"

typedef __m512 vf;
typedef __m512i vi;
typedef __mmask16 vm;
typedef struct vd {
    __m512d l, h;
} vd;

/* ---- load, store ---- */
VEC vm vm_first(int64_t n) { return (vm)_bzhi_u32(0xffff, (uint32_t)n); }
VEC vf vf_set1(real a) { return _mm512_set1_ps(a); }
VEC vf vf_zero(void) { return _mm512_setzero_ps(); }
VEC vf vf_load(const real *p) { return _mm512_loadu_ps(p); }
VEC void vf_store(real *p, vf a) { _mm512_storeu_ps(p, a); }
VEC vf vf_load_n(const real *p, int64_t n) { return _mm512_maskz_loadu_ps(vm_first(n), p); }
VEC void vf_store_n(real *p, vf a, int64_t n) { _mm512_mask_storeu_ps(p, vm_first(n), a); }

/* ---- arithmetic ---- */
VEC vf vf_add(vf a, vf b) { return _mm512_add_ps(a, b); }
VEC vf vf_sub(vf a, vf b) { return _mm512_sub_ps(a, b); }
VEC vf vf_mul(vf a, vf b) { return _mm512_mul_ps(a, b); }
VEC vf vf_div(vf a, vf b) { return _mm512_div_ps(a, b); }
VEC vf vf_fma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }
VEC vf vf_fnma(vf a, vf b, vf c) { return _mm512_fnmadd_ps(a, b, c); }
VEC vf vf_fms(vf a, vf b, vf c) { return _mm512_fmsub_ps(a, b, c); }
VEC vf vf_min(vf a, vf b) { return _mm512_min_ps(a, b); }
VEC vf vf_max(vf a, vf b) { return _mm512_max_ps(a, b); }
VEC vf vf_sqrt(vf a) { return _mm512_sqrt_ps(a); }
VEC vf vf_abs(vf a) { return _mm512_abs_ps(a); }
VEC vf vf_neg(vf a) { return _mm512_xor_ps(a, _mm512_set1_ps(-0.0f)); }
VEC vf vf_copysign(vf a, vf sign) {
    /* truth table 0xe4: the third operand chooses the first (sign) where set, else the second */
    return _mm512_castsi512_ps(_mm512_ternarylogic_epi32(_mm512_castps_si512(sign), _mm512_castps_si512(a),
                                                         _mm512_set1_epi32(INT32_MIN), 0xe4));
}
VEC vf vf_round(vf a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }

/* ---- masks ---- */
VEC vm vm_lt(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
VEC vm vm_le(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_LE_OQ); }
VEC vm vm_gt(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ); }
VEC vm vm_ge(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_GE_OQ); }
VEC vm vm_eq(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ); }
VEC vm vm_ne(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_NEQ_UQ); }
VEC vm vm_and(vm a, vm b) { return (vm)(a & b); }
VEC vm vm_or(vm a, vm b) { return (vm)(a | b); }
VEC vm vm_not(vm a) { return (vm)~a; }
VEC bool vm_any(vm a) { return a != 0; }
VEC vf vf_select(vm m, vf a, vf b) { return _mm512_mask_blend_ps(m, b, a); }

/* ---- 32-bit integers ---- */
VEC vi vi_set1(int32_t a) { return _mm512_set1_epi32(a); }
VEC vi vi_iota(void) { return _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15); }
VEC vi vi_load(const int32_t *p) { return _mm512_loadu_si512(p); }
VEC void vi_store(int32_t *p, vi a) { _mm512_storeu_si512(p, a); }
VEC vi vi_add(vi a, vi b) { return _mm512_add_epi32(a, b); }
VEC vi vi_sub(vi a, vi b) { return _mm512_sub_epi32(a, b); }
VEC vi vi_and(vi a, vi b) { return _mm512_and_si512(a, b); }
VEC vi vi_or(vi a, vi b) { return _mm512_or_si512(a, b); }
VEC vi vi_xor(vi a, vi b) { return _mm512_xor_si512(a, b); }
VEC vi vi_shl(vi a, int s) { return _mm512_slli_epi32(a, (unsigned)s); }
VEC vi vi_shr(vi a, int s) { return _mm512_srli_epi32(a, (unsigned)s); }
VEC vi vi_sra(vi a, int s) { return _mm512_srai_epi32(a, (unsigned)s); }
VEC vm vm_eq_i(vi a, vi b) { return _mm512_cmpeq_epi32_mask(a, b); }
VEC vm vm_gt_i(vi a, vi b) { return _mm512_cmpgt_epi32_mask(a, b); }
VEC vm vm_ge_u(vi a, vi b) { return _mm512_cmpge_epu32_mask(a, b); }
VEC vi vi_select(vm m, vi a, vi b) { return _mm512_mask_blend_epi32(m, b, a); }
VEC void vi_mul_wide(vi a, uint32_t b, vi *hi, vi *lo) {
    vi k = _mm512_set1_epi32((int32_t)b);
    vi even = _mm512_mul_epu32(a, k), odd = _mm512_mul_epu32(_mm512_srli_epi64(a, 32), k);
    *hi = _mm512_mask_blend_epi32(0xaaaa, _mm512_srli_epi64(even, 32), odd);
    *lo = _mm512_mask_blend_epi32(0xaaaa, even, _mm512_slli_epi64(odd, 32));
}
VEC void vi_zip4(const vi x[4], vi y[4]) {
    vi a = _mm512_unpacklo_epi32(x[0], x[1]), b = _mm512_unpackhi_epi32(x[0], x[1]);
    vi c = _mm512_unpacklo_epi32(x[2], x[3]), d = _mm512_unpackhi_epi32(x[2], x[3]);
    y[0] = _mm512_unpacklo_epi64(a, c);
    y[1] = _mm512_unpackhi_epi64(a, c);
    y[2] = _mm512_unpacklo_epi64(b, d);
    y[3] = _mm512_unpackhi_epi64(b, d);
}
VEC void vi_zip_blocks(const vi x[4], vi y[4]) {
    vi a = _mm512_shuffle_i32x4(x[0], x[1], 0x44), b = _mm512_shuffle_i32x4(x[0], x[1], 0xee);
    vi c = _mm512_shuffle_i32x4(x[2], x[3], 0x44), d = _mm512_shuffle_i32x4(x[2], x[3], 0xee);
    y[0] = _mm512_shuffle_i32x4(a, c, 0x88);
    y[1] = _mm512_shuffle_i32x4(a, c, 0xdd);
    y[2] = _mm512_shuffle_i32x4(b, d, 0x88);
    y[3] = _mm512_shuffle_i32x4(b, d, 0xdd);
}

/* ---- folds ---- */
VEC real vf_sum(vf a) {
    __m256 b = _mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
    __m128 c = _mm_add_ps(_mm256_castps256_ps128(b), _mm256_extractf128_ps(b, 1));
    c = _mm_add_ps(c, _mm_movehl_ps(c, c));
    return _mm_cvtss_f32(_mm_add_ss(c, _mm_movehdup_ps(c)));
}
VEC real vf_hmax(vf a) {
    __m256 b = _mm256_max_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
    __m128 c = _mm_max_ps(_mm256_castps256_ps128(b), _mm256_extractf128_ps(b, 1));
    c = _mm_max_ps(c, _mm_movehl_ps(c, c));
    return _mm_cvtss_f32(_mm_max_ss(c, _mm_movehdup_ps(c)));
}
VEC vd vd_zero(void) { return (vd){_mm512_setzero_pd(), _mm512_setzero_pd()}; }
VEC vd vd_add_square(vd a, vf x) {
    __m512d l = _mm512_cvtps_pd(_mm512_castps512_ps256(x)), h = _mm512_cvtps_pd(_mm512_extractf32x8_ps(x, 1));
    return (vd){_mm512_fmadd_pd(l, l, a.l), _mm512_fmadd_pd(h, h, a.h)};
}
VEC double vd_sum(vd a) {
    __m512d s = _mm512_add_pd(a.l, a.h);
    __m256d b = _mm256_add_pd(_mm512_castpd512_pd256(s), _mm512_extractf64x4_pd(s, 1));
    __m128d c = _mm_add_pd(_mm256_castpd256_pd128(b), _mm256_extractf128_pd(b, 1));
    return _mm_cvtsd_f64(_mm_add_sd(c, _mm_unpackhi_pd(c, c)));
}

/* ---- float bits ---- */
VEC vi vi_bits(vf a) { return _mm512_castps_si512(a); }
VEC vf vf_bits(vi a) { return _mm512_castsi512_ps(a); }
VEC vf vf_from_vi(vi a) { return _mm512_cvtepi32_ps(a); }
VEC vi vi_from_vf(vf a) { return _mm512_cvtps_epi32(a); }
VEC vf vf_scale2(vf a, vf n) { return _mm512_scalef_ps(a, n); }

#endif
