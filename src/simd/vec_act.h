/* vec_act - activations and their derivatives over the 16-lane vector; included after vec_math.h.
 *
 * vf_act_X(x) is the activation; vf_back_X(x, y, dy) is dy times its derivative, from the output y alone where that
 * suffices. Products of x with something that vanishes clamp x first, so that infinities give the limit and not NaN.
 * NaN passes. There is no product with a constant 1: compilers drop it, or not, and a flushed denormal would tell. */
#ifndef SOUK_SIMD_VEC_ACT_H
#define SOUK_SIMD_VEC_ACT_H

VEC vf vf_act_linear(vf x) { return x; }
VEC vf vf_back_linear(vf x, vf y, vf dy) {
    (void)x, (void)y;
    return dy;
}

VEC vf vf_act_relu(vf x) { return vf_max(vf_zero(), x); }
VEC vf vf_back_relu(vf x, vf y, vf dy) {
    (void)x;
    return vf_select(vm_gt(y, vf_zero()), dy, vf_zero());
}

VEC vf vf_act_sigmoid(vf x) { return vf_sigmoid(x); }
VEC vf vf_back_sigmoid(vf x, vf y, vf dy) {
    (void)x;
    return vf_mul(dy, vf_fnma(y, y, y));
}

VEC vf vf_act_tanh(vf x) { return vf_tanh(x); }
VEC vf vf_back_tanh(vf x, vf y, vf dy) {
    (void)x;
    return vf_mul(dy, vf_fnma(y, y, vf_set1(1)));
}

VEC vf vec_clamp(vf x, real low, real high) { return vf_max(vf_set1(low), vf_min(vf_set1(high), x)); }

/* x Phi(x), Phi the normal distribution function (Hendrycks & Gimpel 2016) */
VEC vf vec_normal_cdf(vf x) {
    const vf half = vf_set1((real)0.5);
    return vf_fma(half, vf_erf(vf_mul(x, vf_set1((real)0.70710678118654752))), half);
}
VEC vf vf_act_gelu(vf x) { return vf_mul(vf_max(vf_set1(-100), x), vec_normal_cdf(x)); }
VEC vf vf_back_gelu(vf x, vf y, vf dy) {
    (void)y;
    vf c = vec_clamp(x, -40, 40);
    vf density = vf_mul(vf_set1((real)0.39894228040143268), vf_exp(vf_mul(vf_mul(c, c), vf_set1((real)-0.5))));
    return vf_mul(dy, vf_fma(c, density, vec_normal_cdf(x)));
}

/* 0.5 x (1 + tanh u) = x sigmoid(2u), u = sqrt(2/pi) (x + 0.044715 x^3) */
VEC vf vec_gelu_2u(vf x) {
    vf c = vf_fma(vf_mul(x, x), vf_set1((real)0.071354816272540752), vf_set1((real)1.5957691216057308));
    return vf_mul(x, c);
}
VEC vf vf_act_gelu_tanh(vf x) { return vf_mul(vf_max(vf_set1(-100), x), vf_sigmoid(vec_gelu_2u(x))); }
VEC vf vf_back_gelu_tanh(vf x, vf y, vf dy) {
    (void)y;
    vf c = vec_clamp(x, -40, 40), s = vf_sigmoid(vec_gelu_2u(c));
    vf slope = vf_fma(vf_mul(c, c), vf_set1((real)0.21406444881762225), vf_set1((real)1.5957691216057308));
    return vf_mul(dy, vf_fma(vf_mul(c, slope), vf_fnma(s, s, s), s));
}

VEC vf vf_act_silu(vf x) { return vf_mul(vf_max(vf_set1(-200), x), vf_sigmoid(x)); }
VEC vf vf_back_silu(vf x, vf y, vf dy) {
    (void)y;
    vf c = vec_clamp(x, -200, 200), s = vf_sigmoid(c);
    return vf_mul(dy, vf_fma(c, vf_fnma(s, s, s), s));
}

VEC vf vf_act_elu(vf x) { return vf_select(vm_gt(x, vf_zero()), x, vf_expm1_neg(vf_min(vf_zero(), x))); }
VEC vf vf_back_elu(vf x, vf y, vf dy) {
    (void)x;
    return vf_mul(dy, vf_add(vf_min(vf_zero(), y), vf_set1(1)));
}

VEC vf vf_act_softplus(vf x) { return vf_softplus(x); }
VEC vf vf_back_softplus(vf x, vf y, vf dy) {
    (void)y;
    return vf_mul(dy, vf_sigmoid(x));
}

/* VEC_ACTS(X) applies X(enumerator, suffix) to every gemm_act. */
#define VEC_ACTS(X)                                                                                                \
    X(GEMM_LINEAR, linear)                                                                                         \
    X(GEMM_RELU, relu)                                                                                             \
    X(GEMM_SIGMOID, sigmoid) X(GEMM_TANH, tanh) X(GEMM_GELU, gelu) X(GEMM_GELU_TANH, gelu_tanh) X(GEMM_SILU, silu) \
        X(GEMM_ELU, elu) X(GEMM_SOFTPLUS, softplus)

#endif
