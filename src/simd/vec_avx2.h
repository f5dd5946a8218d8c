/* vec_avx2 - the 16-lane vector on AVX2 + FMA: two registers, lanes 0-7 in l and 8-15 in h. What each function means is
 * said in vec_c.h, which this header must equal bit for bit. Masks are all-ones lanes. */
#ifndef SOUK_SIMD_VEC_AVX2_H
#define SOUK_SIMD_VEC_AVX2_H

#include <immintrin.h>
#include <stdbool.h>
#include <stdint.h>

#include "simd/real.h"
#include "simd/vec_base.h"

typedef struct vf {
    __m256 l, h;
} vf;
typedef struct vi {
    __m256i l, h;
} vi;
typedef struct vm {
    __m256 l, h;
} vm;
typedef struct vd {
    __m256d a, b, c, d;
} vd;

/* Sixteen set words and sixteen clear ones: a window of it masks the first n lanes. */
static const int32_t vec_window[32]
    __attribute__((unused, aligned(64))) = {-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1};
VEC vi vi_first(int64_t n) {
    const int32_t *w = vec_window + 16 - n;
    return (vi){_mm256_loadu_si256((const void *)w), _mm256_loadu_si256((const void *)(w + 8))};
}

/* ---- load, store ---- */
VEC vm vm_first(int64_t n) {
    vi w = vi_first(n);
    return (vm){_mm256_castsi256_ps(w.l), _mm256_castsi256_ps(w.h)};
}
VEC vf vf_set1(real a) {
    __m256 r = _mm256_set1_ps(a);
    return (vf){r, r};
}
VEC vf vf_zero(void) { return (vf){_mm256_setzero_ps(), _mm256_setzero_ps()}; }
VEC vf vf_load(const real *p) { return (vf){_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
VEC void vf_store(real *p, vf a) {
    _mm256_storeu_ps(p, a.l);
    _mm256_storeu_ps(p + 8, a.h);
}
VEC vf vf_load_n(const real *p, int64_t n) {
    vi w = vi_first(n);
    return (vf){_mm256_maskload_ps(p, w.l), _mm256_maskload_ps(p + 8, w.h)};
}
VEC void vf_store_n(real *p, vf a, int64_t n) {
    vi w = vi_first(n);
    _mm256_maskstore_ps(p, w.l, a.l);
    _mm256_maskstore_ps(p + 8, w.h, a.h);
}

/* ---- arithmetic ---- */
VEC vf vf_add(vf a, vf b) { return (vf){_mm256_add_ps(a.l, b.l), _mm256_add_ps(a.h, b.h)}; }
VEC vf vf_sub(vf a, vf b) { return (vf){_mm256_sub_ps(a.l, b.l), _mm256_sub_ps(a.h, b.h)}; }
VEC vf vf_mul(vf a, vf b) { return (vf){_mm256_mul_ps(a.l, b.l), _mm256_mul_ps(a.h, b.h)}; }
VEC vf vf_div(vf a, vf b) { return (vf){_mm256_div_ps(a.l, b.l), _mm256_div_ps(a.h, b.h)}; }
VEC vf vf_fma(vf a, vf b, vf c) { return (vf){_mm256_fmadd_ps(a.l, b.l, c.l), _mm256_fmadd_ps(a.h, b.h, c.h)}; }
VEC vf vf_fnma(vf a, vf b, vf c) { return (vf){_mm256_fnmadd_ps(a.l, b.l, c.l), _mm256_fnmadd_ps(a.h, b.h, c.h)}; }
VEC vf vf_fms(vf a, vf b, vf c) { return (vf){_mm256_fmsub_ps(a.l, b.l, c.l), _mm256_fmsub_ps(a.h, b.h, c.h)}; }
VEC vf vf_min(vf a, vf b) { return (vf){_mm256_min_ps(a.l, b.l), _mm256_min_ps(a.h, b.h)}; }
VEC vf vf_max(vf a, vf b) { return (vf){_mm256_max_ps(a.l, b.l), _mm256_max_ps(a.h, b.h)}; }
VEC vf vf_sqrt(vf a) { return (vf){_mm256_sqrt_ps(a.l), _mm256_sqrt_ps(a.h)}; }
VEC vf vf_abs(vf a) {
    __m256 s = _mm256_set1_ps(-0.0f);
    return (vf){_mm256_andnot_ps(s, a.l), _mm256_andnot_ps(s, a.h)};
}
VEC vf vf_neg(vf a) {
    __m256 s = _mm256_set1_ps(-0.0f);
    return (vf){_mm256_xor_ps(a.l, s), _mm256_xor_ps(a.h, s)};
}
VEC vf vf_copysign(vf a, vf sign) {
    __m256 s = _mm256_set1_ps(-0.0f);
    return (vf){_mm256_or_ps(_mm256_andnot_ps(s, a.l), _mm256_and_ps(s, sign.l)),
                _mm256_or_ps(_mm256_andnot_ps(s, a.h), _mm256_and_ps(s, sign.h))};
}
#define VEC_NEAREST (_MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)
VEC vf vf_round(vf a) { return (vf){_mm256_round_ps(a.l, VEC_NEAREST), _mm256_round_ps(a.h, VEC_NEAREST)}; }

/* ---- masks ---- */
VEC vm vm_lt(vf a, vf b) { return (vm){_mm256_cmp_ps(a.l, b.l, _CMP_LT_OQ), _mm256_cmp_ps(a.h, b.h, _CMP_LT_OQ)}; }
VEC vm vm_le(vf a, vf b) { return (vm){_mm256_cmp_ps(a.l, b.l, _CMP_LE_OQ), _mm256_cmp_ps(a.h, b.h, _CMP_LE_OQ)}; }
VEC vm vm_gt(vf a, vf b) { return (vm){_mm256_cmp_ps(a.l, b.l, _CMP_GT_OQ), _mm256_cmp_ps(a.h, b.h, _CMP_GT_OQ)}; }
VEC vm vm_ge(vf a, vf b) { return (vm){_mm256_cmp_ps(a.l, b.l, _CMP_GE_OQ), _mm256_cmp_ps(a.h, b.h, _CMP_GE_OQ)}; }
VEC vm vm_eq(vf a, vf b) { return (vm){_mm256_cmp_ps(a.l, b.l, _CMP_EQ_OQ), _mm256_cmp_ps(a.h, b.h, _CMP_EQ_OQ)}; }
VEC vm vm_ne(vf a, vf b) { return (vm){_mm256_cmp_ps(a.l, b.l, _CMP_NEQ_UQ), _mm256_cmp_ps(a.h, b.h, _CMP_NEQ_UQ)}; }
VEC vm vm_and(vm a, vm b) { return (vm){_mm256_and_ps(a.l, b.l), _mm256_and_ps(a.h, b.h)}; }
VEC vm vm_or(vm a, vm b) { return (vm){_mm256_or_ps(a.l, b.l), _mm256_or_ps(a.h, b.h)}; }
VEC vm vm_not(vm a) {
    __m256 ones = _mm256_castsi256_ps(_mm256_set1_epi32(-1));
    return (vm){_mm256_xor_ps(a.l, ones), _mm256_xor_ps(a.h, ones)};
}
VEC bool vm_any(vm a) { return (_mm256_movemask_ps(a.l) | _mm256_movemask_ps(a.h)) != 0; }
VEC vf vf_select(vm m, vf a, vf b) { return (vf){_mm256_blendv_ps(b.l, a.l, m.l), _mm256_blendv_ps(b.h, a.h, m.h)}; }

/* ---- 32-bit integers ---- */
VEC vm vm_from_vi(vi a) { return (vm){_mm256_castsi256_ps(a.l), _mm256_castsi256_ps(a.h)}; }
VEC vi vi_set1(int32_t a) {
    __m256i r = _mm256_set1_epi32(a);
    return (vi){r, r};
}
VEC vi vi_iota(void) {
    return (vi){_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), _mm256_setr_epi32(8, 9, 10, 11, 12, 13, 14, 15)};
}
VEC vi vi_load(const int32_t *p) {
    return (vi){_mm256_loadu_si256((const void *)p), _mm256_loadu_si256((const void *)(p + 8))};
}
VEC void vi_store(int32_t *p, vi a) {
    _mm256_storeu_si256((void *)p, a.l);
    _mm256_storeu_si256((void *)(p + 8), a.h);
}
VEC vi vi_add(vi a, vi b) { return (vi){_mm256_add_epi32(a.l, b.l), _mm256_add_epi32(a.h, b.h)}; }
VEC vi vi_sub(vi a, vi b) { return (vi){_mm256_sub_epi32(a.l, b.l), _mm256_sub_epi32(a.h, b.h)}; }
VEC vi vi_and(vi a, vi b) { return (vi){_mm256_and_si256(a.l, b.l), _mm256_and_si256(a.h, b.h)}; }
VEC vi vi_or(vi a, vi b) { return (vi){_mm256_or_si256(a.l, b.l), _mm256_or_si256(a.h, b.h)}; }
VEC vi vi_xor(vi a, vi b) { return (vi){_mm256_xor_si256(a.l, b.l), _mm256_xor_si256(a.h, b.h)}; }
VEC vi vi_shl(vi a, int s) { return (vi){_mm256_slli_epi32(a.l, s), _mm256_slli_epi32(a.h, s)}; }
VEC vi vi_shr(vi a, int s) { return (vi){_mm256_srli_epi32(a.l, s), _mm256_srli_epi32(a.h, s)}; }
VEC vi vi_sra(vi a, int s) { return (vi){_mm256_srai_epi32(a.l, s), _mm256_srai_epi32(a.h, s)}; }
VEC vm vm_eq_i(vi a, vi b) { return vm_from_vi((vi){_mm256_cmpeq_epi32(a.l, b.l), _mm256_cmpeq_epi32(a.h, b.h)}); }
VEC vm vm_gt_i(vi a, vi b) { return vm_from_vi((vi){_mm256_cmpgt_epi32(a.l, b.l), _mm256_cmpgt_epi32(a.h, b.h)}); }
VEC vm vm_ge_u(vi a, vi b) /* a >= b where max(a, b) is a */
{
    return vm_from_vi(
        (vi){_mm256_cmpeq_epi32(_mm256_max_epu32(a.l, b.l), a.l), _mm256_cmpeq_epi32(_mm256_max_epu32(a.h, b.h), a.h)});
}
VEC vi vi_select(vm m, vi a, vi b) {
    return (vi){_mm256_blendv_epi8(b.l, a.l, _mm256_castps_si256(m.l)),
                _mm256_blendv_epi8(b.h, a.h, _mm256_castps_si256(m.h))};
}
VEC void vec_mul_wide_half(__m256i a, __m256i k, __m256i *hi, __m256i *lo) {
    __m256i even = _mm256_mul_epu32(a, k), odd = _mm256_mul_epu32(_mm256_srli_epi64(a, 32), k);
    *hi = _mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xaa);
    *lo = _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xaa);
}
VEC void vi_mul_wide(vi a, uint32_t b, vi *hi, vi *lo) {
    __m256i k = _mm256_set1_epi32((int32_t)b);
    vec_mul_wide_half(a.l, k, &hi->l, &lo->l);
    vec_mul_wide_half(a.h, k, &hi->h, &lo->h);
}
#define VEC_ZIP4(half)                                                                                            \
    do {                                                                                                          \
        __m256i a = _mm256_unpacklo_epi32(x[0].half, x[1].half), b = _mm256_unpackhi_epi32(x[0].half, x[1].half); \
        __m256i c = _mm256_unpacklo_epi32(x[2].half, x[3].half), d = _mm256_unpackhi_epi32(x[2].half, x[3].half); \
        y[0].half = _mm256_unpacklo_epi64(a, c);                                                                  \
        y[1].half = _mm256_unpackhi_epi64(a, c);                                                                  \
        y[2].half = _mm256_unpacklo_epi64(b, d);                                                                  \
        y[3].half = _mm256_unpackhi_epi64(b, d);                                                                  \
    } while (0)
VEC void vi_zip4(const vi x[4], vi y[4]) {
    VEC_ZIP4(l);
    VEC_ZIP4(h);
}
#undef VEC_ZIP4
VEC void vi_zip_blocks(const vi x[4], vi y[4]) {
    y[0] = (vi){_mm256_permute2x128_si256(x[0].l, x[1].l, 0x20), _mm256_permute2x128_si256(x[2].l, x[3].l, 0x20)};
    y[1] = (vi){_mm256_permute2x128_si256(x[0].l, x[1].l, 0x31), _mm256_permute2x128_si256(x[2].l, x[3].l, 0x31)};
    y[2] = (vi){_mm256_permute2x128_si256(x[0].h, x[1].h, 0x20), _mm256_permute2x128_si256(x[2].h, x[3].h, 0x20)};
    y[3] = (vi){_mm256_permute2x128_si256(x[0].h, x[1].h, 0x31), _mm256_permute2x128_si256(x[2].h, x[3].h, 0x31)};
}

/* ---- folds ---- */
VEC real vf_sum(vf a) {
    __m256 b = _mm256_add_ps(a.l, a.h);
    __m128 c = _mm_add_ps(_mm256_castps256_ps128(b), _mm256_extractf128_ps(b, 1));
    c = _mm_add_ps(c, _mm_movehl_ps(c, c));
    return _mm_cvtss_f32(_mm_add_ss(c, _mm_movehdup_ps(c)));
}
VEC real vf_hmax(vf a) {
    __m256 b = _mm256_max_ps(a.l, a.h);
    __m128 c = _mm_max_ps(_mm256_castps256_ps128(b), _mm256_extractf128_ps(b, 1));
    c = _mm_max_ps(c, _mm_movehl_ps(c, c));
    return _mm_cvtss_f32(_mm_max_ss(c, _mm_movehdup_ps(c)));
}
VEC vd vd_zero(void) {
    __m256d z = _mm256_setzero_pd();
    return (vd){z, z, z, z};
}
VEC __m256d vec_add_square(__m256d acc, __m128 x) {
    __m256d w = _mm256_cvtps_pd(x);
    return _mm256_fmadd_pd(w, w, acc);
}
VEC vd vd_add_square(vd s, vf x) {
    return (vd){vec_add_square(s.a, _mm256_castps256_ps128(x.l)), vec_add_square(s.b, _mm256_extractf128_ps(x.l, 1)),
                vec_add_square(s.c, _mm256_castps256_ps128(x.h)), vec_add_square(s.d, _mm256_extractf128_ps(x.h, 1))};
}
VEC double vd_sum(vd s) {
    __m256d b = _mm256_add_pd(_mm256_add_pd(s.a, s.c), _mm256_add_pd(s.b, s.d));
    __m128d c = _mm_add_pd(_mm256_castpd256_pd128(b), _mm256_extractf128_pd(b, 1));
    return _mm_cvtsd_f64(_mm_add_sd(c, _mm_unpackhi_pd(c, c)));
}

/* ---- float bits ---- */
VEC vi vi_bits(vf a) { return (vi){_mm256_castps_si256(a.l), _mm256_castps_si256(a.h)}; }
VEC vf vf_bits(vi a) { return (vf){_mm256_castsi256_ps(a.l), _mm256_castsi256_ps(a.h)}; }
VEC vf vf_from_vi(vi a) { return (vf){_mm256_cvtepi32_ps(a.l), _mm256_cvtepi32_ps(a.h)}; }
VEC vi vi_from_vf(vf a) { return (vi){_mm256_cvtps_epi32(a.l), _mm256_cvtps_epi32(a.h)}; }
VEC vf vf_scale2(vf a, vf n) {
    vi k = vi_from_vf(n), h = vi_sra(k, 1);
    vf p = vf_bits(vi_shl(vi_add(h, vi_set1(127)), 23));
    vf q = vf_bits(vi_shl(vi_add(vi_sub(k, h), vi_set1(127)), 23));
    return vf_mul(vf_mul(a, p), q);
}

#endif
