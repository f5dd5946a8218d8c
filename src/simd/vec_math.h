/* vec_math - exp, log, tanh, sigmoid, erf, sin, cos, softplus and pow, written once over the 16-lane vector.
 *
 * Included after vec_<isa>.h. Each is a range reduction and a minimax polynomial evaluated by Horner's rule with
 * explicit fused multiply-adds, so that every instruction set gives the same bits; no reciprocal or root estimates.
 * Coefficients: tools/fit_vec_math.py. Largest errors in units of the last place (tests/test_kern.c asserts them): exp,
 * log, erf 1.0; pow 1.1; sin, cos 1.6 for any argument; softplus 1.7; sigmoid 2.3; tanh 2.4. Zeros, infinities and NaN
 * give what C's Annex F says, signs of zero included. Where the true result is below FLT_MIN, sigmoid may return zero;
 * the others round correctly into the denormals unless the caller flushes them (kern_fp_enter).
 *
 * In the double build the lanes call libm. */
#ifndef SOUK_SIMD_VEC_MATH_H
#define SOUK_SIMD_VEC_MATH_H

#ifdef SOUK_DOUBLE

#include <math.h>

#define VEC_LIBM(name, expression)     \
    VEC vf name(vf a) {                \
        for (int i = 0; i < 16; i++) { \
            const double x = a.v[i];   \
            a.v[i] = (expression);     \
        }                              \
        return a;                      \
    }
VEC_LIBM(vf_exp, exp(x))
VEC_LIBM(vf_log, log(x))
VEC_LIBM(vf_tanh, tanh(x))
VEC_LIBM(vf_sigmoid, 1 / (1 + exp(-x)))
VEC_LIBM(vf_expm1_neg, expm1(x))
VEC_LIBM(vf_erf, erf(x))
VEC_LIBM(vf_sin, sin(x))
VEC_LIBM(vf_cos, cos(x))
VEC_LIBM(vf_softplus, (x > 0 ? x : 0) + log1p(exp(-fabs(x))))
#undef VEC_LIBM
VEC vf vf_pow(vf a, vf b) {
    for (int i = 0; i < 16; i++) a.v[i] = pow(a.v[i], b.v[i]);
    return a;
}

#else

#include <string.h>

#define VEC_INF __builtin_inff()
#define VEC_NAN __builtin_nanf("")
#define VEC_LN2_HI 0x1.62e430p-1f /* ln 2 as the sum of two floats */
#define VEC_LN2_LO (-0x1.05c610p-29f)
#define VEC_LOG2E 0x1.715476p+0f
#define VEC_MAGIC 12582912.0f /* 1.5 * 2^23: adding it to |x| < 2^22 rounds x to an integer in the low bits */

/* c[0] x^n + … + c[n], by Horner's rule. */
#define VEC_POLY(x, ...) \
    vec_poly((x), (const float[]){__VA_ARGS__}, (int)(sizeof((const float[]){__VA_ARGS__}) / sizeof(float)))
VEC vf vec_poly(vf x, const float *c, int n) {
    vf y = vf_set1(c[0]);
    VEC_UNROLL
    for (int i = 1; i < n; i++) y = vf_fma(y, x, vf_set1(c[i]));
    return y;
}

/* 2^n for the integer n in [-126, 127] that `shifted` = n + VEC_MAGIC holds. */
VEC vf vf_pow2_shifted(vf shifted) { return vf_bits(vi_add(vi_shl(vi_bits(shifted), 23), vi_set1(127 << 23))); }

/* e^r for |r| <= ln 2 / 2 */
VEC vf vec_exp_poly(vf r) {
    return VEC_POLY(r, 0.00138214685f, 0.00836866256f, 0.0416682549f, 0.166665211f, 0.49999994f, 1.0f, 1.0f);
}

/* e^r - 1 for |r| <= ln 2 / 2, accurate at 0 */
VEC vf vec_expm1_poly(vf r) {
    vf q = VEC_POLY(r, 0.00138699485f, 0.00836625323f, 0.0416674428f, 0.166665465f, 0.49999997f);
    return vf_fma(vf_mul(q, r), r, r);
}

VEC vf vf_exp(vf x) {
    x = vf_max(vf_set1(-105), vf_min(vf_set1(89), x)); /* beyond: 0 and infinity; NaN passes as the second operand */
    vf n = vf_sub(vf_fma(x, vf_set1(VEC_LOG2E), vf_set1(VEC_MAGIC)), vf_set1(VEC_MAGIC));
    vf r = vf_fnma(n, vf_set1(VEC_LN2_LO), vf_fnma(n, vf_set1(VEC_LN2_HI), x));
    return vf_scale2(vec_exp_poly(r), n);
}

/* e^x - 1 for x <= 0 */
VEC vf vf_expm1_neg(vf x) {
    vf y = vf_max(vf_set1(-40), x);
    vf shifted = vf_fma(y, vf_set1(VEC_LOG2E), vf_set1(VEC_MAGIC));
    vf n = vf_sub(shifted, vf_set1(VEC_MAGIC)), s = vf_pow2_shifted(shifted);
    /* The low part of ln 2 is not missed: |n| <= 58, and where n is large e^x is far below 1. */
    vf p = vec_expm1_poly(vf_fnma(n, vf_set1(VEC_LN2_HI), y));
    return vf_copysign(vf_fma(s, p, vf_sub(s, vf_set1(1))), x);
}

/* tanh |x| = t / (t + 2) with t = e^(2|x|) - 1, whose errors fade as t grows; from |x| = 9.02 it rounds to 1 */
VEC vf vf_tanh(vf x) {
    vf a = vf_min(vf_set1(10), vf_abs(x));
    vf shifted = vf_fma(a, vf_set1(2 * VEC_LOG2E), vf_set1(VEC_MAGIC));
    vf n = vf_sub(shifted, vf_set1(VEC_MAGIC)), s = vf_pow2_shifted(shifted);
    vf p = vec_expm1_poly(vf_fnma(n, vf_set1(VEC_LN2_HI), vf_add(a, a)));
    vf t = vf_fma(s, p, vf_sub(s, vf_set1(1)));
    return vf_copysign(vf_div(t, vf_add(t, vf_set1(2))), x);
}

/* 1 / (1 + e^-x); the denominator is (1 + s) + s w with e^-x = s (1 + w), so that w's rounding counts little */
VEC vf vf_sigmoid(vf x) {
    const vf one = vf_set1(1);
    vf y = vf_max(vf_set1(-88), vf_min(vf_set1(87), x));
    vf shifted = vf_fma(y, vf_set1(-VEC_LOG2E), vf_set1(VEC_MAGIC)), n = vf_sub(shifted, vf_set1(VEC_MAGIC));
    vf r = vf_fms(n, vf_set1(-VEC_LN2_LO), vf_fma(n, vf_set1(VEC_LN2_HI), y));
    vf s = vf_pow2_shifted(shifted), w = vec_expm1_poly(r);
    return vf_select(vm_lt(x, vf_set1(-88)), vf_zero(), vf_div(one, vf_fma(s, w, vf_add(s, one))));
}

/* log(1 + f) for f in [-1/3, 1/3] */
VEC vf vec_log1p_poly(vf f) {
    vf q = VEC_POLY(f, -0.128854081f, 0.139873028f, -0.121859618f, 0.140052691f, -0.16680339f, 0.20010446f,
                    -0.249998018f, 0.333332151f);
    return vf_fma(vf_fma(q, f, vf_set1(-0.5f)), vf_mul(f, f), f);
}

/* Splits x > 0 into m * 2^n with m in [low, 2 low); low is the bits of a float. Denormals are scaled up first. */
VEC vf vec_split(vf x, int32_t low, vf *n) {
    vm tiny = vm_lt(x, vf_set1(0x1p-126f));
    vi bits = vi_bits(vf_select(tiny, vf_mul(x, vf_set1(0x1p24f)), x));
    vi e = vi_and(vi_sub(bits, vi_set1(low)), vi_set1((int32_t)0xff800000));
    *n = vf_add(vf_from_vi(vi_sra(e, 23)), vf_select(tiny, vf_set1(-24), vf_zero()));
    return vf_bits(vi_sub(bits, e));
}

VEC vf vf_log(vf x) {
    vf n, m = vec_split(x, 0x3f2aaaab, &n); /* m in [2/3, 4/3) */
    vf r = vf_fma(n, vf_set1(VEC_LN2_HI), vec_log1p_poly(vf_sub(m, vf_set1(1))));
    vf other = vf_select(vm_lt(x, vf_zero()), vf_set1(VEC_NAN), x); /* infinity and NaN as they are */
    other = vf_select(vm_eq(x, vf_zero()), vf_set1(-VEC_INF), other);
    return vf_select(vm_and(vm_gt(x, vf_zero()), vm_lt(x, vf_set1(VEC_INF))), r, other);
}

/* Near 0 an odd polynomial; beyond, 1 - exp(-t - t q(t)), where q varies slowly. */
VEC vf vf_erf(vf x) {
    vf t = vf_min(vf_set1(4), vf_abs(x)), s = vf_mul(x, x);
    vf p = VEC_POLY(s, -0.000595957856f, 0.00498735206f, -0.0267629661f, 0.11281731f, -0.376124889f, 0.128379151f);
    vf q = VEC_POLY(t, 1.04296951e-05f, -0.000314830831f, 0.00361025869f, -0.0236944444f, 0.106158964f, 0.635198057f,
                    0.128637075f);
    vf v = vf_fma(q, t, t); /* in [0.9, 16] */
    vf shifted = vf_fma(v, vf_set1(-VEC_LOG2E), vf_set1(VEC_MAGIC)), n = vf_sub(shifted, vf_set1(VEC_MAGIC));
    vf e = vec_exp_poly(vf_neg(vf_fma(n, vf_set1(VEC_LN2_HI), v)));
    vf large = vf_copysign(vf_fnma(vf_pow2_shifted(shifted), e, vf_set1(1)), x);
    return vf_select(vm_lt(t, vf_set1(0.925f)), vf_fma(p, x, x), large);
}

/* log(1 + e^x) = max(x, 0) + log1p(u), u = e^-|x|; log1p(u) = 2 atanh(s) with s = u / (2 + u), and 2s = u - us, so that
 * the division's error counts little: log1p(u) = u - s (u - s^2 q) */
VEC vf vf_softplus(vf x) {
    vf u = vf_exp(vf_neg(vf_abs(x)));
    vf s = vf_div(u, vf_add(u, vf_set1(2))), z = vf_mul(s, s);
    vf q = VEC_POLY(z, 0.24246344f, 0.214437187f, 0.286152184f, 0.399989486f, 0.666666746f);
    return vf_add(vf_max(vf_zero(), x), vf_fnma(s, vf_fnma(z, q, u), u));
}

/* x - q pi/2 for the lanes beyond the reach of the three-part reduction (Payne and Hanek 1983): x = m 2^e; only the
 * bits of 2/pi of weight 2^(1-e) and below can change x * 2/pi mod 4, so m is multiplied by a window of 96 of them. */
static inline float vec_reduce_large(float x, int32_t *quadrant) {
    static const uint32_t two_over_pi[] = {0,          0xa2f9836e, 0x4e441529, 0xfc2757d1,
                                           0xf534ddc0, 0xdb629599, 0x3c439041, 0xfe5163ab};
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    const uint32_t exponent = (bits >> 23) & 255, m = (bits & 0x7fffff) | 0x800000;
    if (exponent == 255) return x - x;
    const uint32_t first = exponent - 150 - 1 + 32 - 1; /* e - 1 bits dropped after the 32 leading zeros, from bit 1 */
    const uint32_t *w = two_over_pi + first / 32;
    const unsigned shift = first % 32;
    const uint64_t high = (uint64_t)w[0] << 32 | w[1], low = (uint64_t)w[2] << 32 | w[3];
    const unsigned __int128 window = ((unsigned __int128)high << 64 | low) << shift;
    const unsigned __int128 product = (window >> 32) * m << 32;
    const int64_t top = (int64_t)(product >> 64); /* x * 2/pi mod 4 in units of 2^-62 */
    const int64_t q = (int64_t)(((uint64_t)top >> 61) + 1) >> 1;
    const double r = (double)(int64_t)((uint64_t)top - ((uint64_t)q << 62)) * (0x1.921fb54442d18p0 * 0x1p-62);
    *quadrant = (int32_t)(bits >> 31 ? -q : q);
    return (float)(bits >> 31 ? -r : r);
}

/* r in [-pi/4, pi/4] and the quadrant q with x = q pi/2 + r */
VEC vf vec_reduce(vf x, vi *quadrant) {
    vf n = vf_round(vf_mul(x, vf_set1(0x1.45f306p-1f)));
    vf r = vf_fnma(n, vf_set1(0x1.921fb6p+0f), x); /* pi/2 in three floats; this step is exact */
    r = vf_fnma(n, vf_set1(-0x1.777a5cp-25f), r);
    r = vf_fnma(n, vf_set1(-0x1.ee59dap-50f), r);
    *quadrant = vi_from_vf(n);
    if (__builtin_expect(vm_any(vm_not(vm_le(vf_abs(x), vf_set1(65536)))), 0)) {
        float xs[16], rs[16];
        int32_t qs[16];
        vf_store(xs, x);
        vf_store(rs, r);
        vi_store(qs, *quadrant);
        for (int i = 0; i < 16; i++)
            if (!(xs[i] <= 65536 && xs[i] >= -65536)) rs[i] = vec_reduce_large(xs[i], &qs[i]);
        r = vf_load(rs);
        *quadrant = vi_load(qs);
    }
    return r;
}

/* sin(r + quadrant pi/2) */
VEC vf vec_sin_quadrant(vf r, vi quadrant) {
    vf s = vf_mul(r, r);
    vf sine = vf_fma(vf_mul(r, s), VEC_POLY(s, -0.000195180997f, 0.00833218824f, -0.166666552f), r);
    vf cosine = VEC_POLY(s, 2.44325529e-05f, -0.00138873106f, 0.0416666456f, -0.5f, 1.0f);
    vf y = vf_select(vm_eq_i(vi_and(quadrant, vi_set1(1)), vi_set1(0)), sine, cosine);
    return vf_bits(vi_xor(vi_bits(y), vi_shl(vi_and(quadrant, vi_set1(2)), 30)));
}
VEC vf vf_sin(vf x) {
    vi q;
    vf r = vec_reduce(x, &q);
    return vf_select(vm_eq(x, vf_zero()), x, vec_sin_quadrant(r, q)); /* keeps the sign of zero */
}
VEC vf vf_cos(vf x) {
    vi q;
    vf r = vec_reduce(x, &q);
    return vec_sin_quadrant(r, vi_add(q, vi_set1(1)));
}

/* log x for finite x > 0 as *high + *low, to about 2^-37 relative: 2 atanh(s) with s = (m-1)/(m+1) in pairs of floats.
 */
VEC void vec_log_pair(vf x, vf *high, vf *low) {
    const vf one = vf_set1(1);
    vf n, m = vec_split(x, 0x3f3504f3, &n); /* m in [sqrt 1/2, sqrt 2) */
    vf f = vf_sub(m, one), d = vf_add(m, one), d_low = vf_sub(m, vf_sub(d, one));
    vf s = vf_div(f, d), s_low = vf_div(vf_fnma(s, d_low, vf_fnma(s, d, f)), d);
    vf z = vf_mul(s, s), z_low = vf_fma(vf_add(s, s), s_low, vf_fms(s, s, z));
    vf zq = vf_mul(z, VEC_POLY(z, 0.234196544f, 0.285470903f, 0.400001526f));
    const vf c = vf_set1(0x1.555556p-1f); /* 2/3 = c - 2^-25 * 2/3 */
    vf w = vf_add(c, zq), w_low = vf_add(vf_sub(zq, vf_sub(w, c)), vf_set1(-0x1.555556p-26f));
    vf u = vf_mul(z, w), u_low = vf_fma(z_low, w, vf_fma(z, w_low, vf_fms(z, w, u)));
    vf v = vf_mul(u, s), v_low = vf_fma(u_low, s, vf_fma(u, s_low, vf_fms(u, s, v)));
    vf s2 = vf_add(s, s), l = vf_add(s2, v), l_low = vf_add(vf_sub(v, vf_sub(l, s2)), vf_fma(vf_set1(2), s_low, v_low));
    vf k = vf_mul(n, vf_set1(0x1.62e4p-1f)); /* exact: n has 8 bits, the constant 14 */
    *high = vf_add(k, l);
    *low = vf_add(vf_sub(l, vf_sub(*high, k)), vf_fma(n, vf_set1(0x1.7f7d1cp-20f), l_low));
}

/* |x|^y for finite |x| > 0 and finite y */
VEC vf vec_pow_positive(vf x, vf y) {
    vf h, l;
    vec_log_pair(x, &h, &l);
    vf p = vf_mul(y, h), p_low = vf_fma(y, l, vf_fms(y, h, p));
    vm far = vm_gt(vf_abs(p), vf_set1(200));
    p = vf_max(vf_set1(-105), vf_min(vf_set1(89), p));
    p_low = vf_select(far, vf_zero(), p_low);
    vf n = vf_round(vf_mul(p, vf_set1(VEC_LOG2E)));
    vf r = vf_add(vf_fnma(n, vf_set1(VEC_LN2_LO), vf_fnma(n, vf_set1(VEC_LN2_HI), p)), p_low);
    return vf_scale2(vec_exp_poly(r), n);
}

/* C's pow, Annex F included. */
VEC vf vf_pow(vf x, vf y) {
    const vf zero = vf_zero(), one = vf_set1(1), inf = vf_set1(VEC_INF);
    vf a = vf_abs(x), half = vf_mul(y, vf_set1(0.5f));
    vm integer = vm_eq(vf_round(y), y), odd = vm_and(integer, vm_ne(vf_round(half), half));
    vm y_up = vm_gt(y, zero), y_inf = vm_eq(vf_abs(y), inf);
    vf r = vec_pow_positive(a, y);
    vf up = vf_select(y_up, inf, zero), down = vf_select(y_up, zero, inf); /* of |x| > 1 and of |x| < 1 at the limits */
    r = vf_select(vm_eq(a, zero), down, r);
    r = vf_select(vm_eq(a, inf), up, r);
    r = vf_select(y_inf, vf_select(vm_gt(a, one), up, down), r);
    r = vf_select(vm_and(y_inf, vm_eq(a, one)), one, r);
    r = vf_select(odd, vf_copysign(r, x), r);
    vm bad = vm_and(vm_and(vm_lt(x, zero), vm_gt(x, vf_neg(inf))), vm_not(integer));
    r = vf_select(bad, vf_set1(VEC_NAN), r);
    r = vf_select(vm_or(vm_ne(x, x), vm_ne(y, y)), vf_add(x, y), r);
    return vf_select(vm_or(vm_eq(x, one), vm_eq(y, zero)), one, r);
}

#endif
#endif
