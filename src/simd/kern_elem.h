/* kern_elem - element-wise kernels, reductions and rows: softmax, layer norm, dropout. Body file, included by each
 * kern_<isa>.c after its vector header; what each kernel computes is said in kern.def.
 *
 * Invariant: every sum runs over 16 logical lanes (element i goes to lane i % 16, in order) and ends in the fixed fold
 * of vf_sum; lanes beyond n add zero. So one vector or two half vectors or a scalar loop give the same bits. */
#include "simd/gemm.h"
#include "simd/vec_act.h"

/* Runs the body for i = 0, 16, …; LOAD and STORE touch whole vectors, and the first n - i lanes of the last one. The
 * body is compiled twice, so that the loop proper carries no masks. */
#define KERN_FOR(n, ...)                    \
    for (int64_t i = 0; i < (n); i += 16) { \
        if ((n)-i >= 16) {                  \
            enum { whole = 1 };             \
            const int64_t lanes = 16;       \
            (void)lanes;                    \
            __VA_ARGS__                     \
        } else {                            \
            enum { whole = 0 };             \
            const int64_t lanes = (n)-i;    \
            (void)lanes;                    \
            __VA_ARGS__                     \
        }                                   \
    }
#define LOAD(p) (whole ? vf_load((p) + i) : vf_load_n((p) + i, lanes))
#define STORE(p, v)                          \
    do {                                     \
        if (whole)                           \
            vf_store((p) + i, (v));          \
        else                                 \
            vf_store_n((p) + i, (v), lanes); \
    } while (0)
/* v in the lanes that exist, `other` beyond */
#define ONLY(v, other) (whole ? (v) : vf_select(vm_first(lanes), (v), (other)))

VEC real kern_lane0(vf a) {
    real r[16];
    vf_store(r, a);
    return r[0];
}

static void kern_add(int64_t n, const real *a, const real *b, real *y) {
    KERN_FOR(n, STORE(y, vf_add(LOAD(a), LOAD(b)));)
}
static void kern_sub(int64_t n, const real *a, const real *b, real *y) {
    KERN_FOR(n, STORE(y, vf_sub(LOAD(a), LOAD(b)));)
}
static void kern_mul(int64_t n, const real *a, const real *b, real *y) {
    KERN_FOR(n, STORE(y, vf_mul(LOAD(a), LOAD(b)));)
}
static void kern_mul_add(int64_t n, const real *a, const real *b, real *y) {
    KERN_FOR(n, STORE(y, vf_fma(LOAD(a), LOAD(b), LOAD(y)));)
}
static void kern_axpy(int64_t n, real a, const real *x, real *y) {
    const vf va = vf_set1(a);
    KERN_FOR(n, STORE(y, vf_fma(va, LOAD(x), LOAD(y)));)
}
static void kern_scale(int64_t n, real a, const real *x, real *y) {
    const vf va = vf_set1(a);
    KERN_FOR(n, STORE(y, vf_mul(va, LOAD(x)));)
}
static void kern_fill(int64_t n, real a, real *y) {
    const vf va = vf_set1(a);
    KERN_FOR(n, STORE(y, va);)
}

static real kern_sum(int64_t n, const real *x) {
    vf s = vf_zero();
    KERN_FOR(n, s = vf_add(s, LOAD(x));)
    return vf_sum(s);
}
static real kern_dot(int64_t n, const real *a, const real *b) {
    vf s = vf_zero();
    KERN_FOR(n, s = vf_fma(LOAD(a), LOAD(b), s);)
    return vf_sum(s);
}
static double kern_sum_squares(int64_t n, const real *x) {
    vd s = vd_zero();
    KERN_FOR(n, s = vd_add_square(s, LOAD(x));)
    return vd_sum(s);
}
static real kern_max(int64_t n, const real *x) {
    const vf lowest = vf_set1((real)-__builtin_inf());
    vf m = lowest, nan = vf_zero(); /* of the NaNs a lane has met, the last */
    KERN_FOR(n, vf v = ONLY(LOAD(x), lowest); m = vf_max(m, v); nan = vf_select(vm_ne(v, v), v, nan);)
    return vm_any(vm_ne(nan, nan)) ? (real)__builtin_nan("") : vf_hmax(m);
}

static void kern_act(int64_t n, int act, const real *x, real *y) {
    switch (act) {
#define ACT(name, f) \
    case name: KERN_FOR(n, STORE(y, vf_act_##f(LOAD(x)));) break;
        VEC_ACTS(ACT)
#undef ACT
    }
}
static void kern_act_grad(int64_t n, int act, const real *x, const real *y, const real *dy, real *dx) {
    switch (act) {
#define ACT(name, f) \
    case name: KERN_FOR(n, STORE(dx, vf_back_##f(LOAD(x), LOAD(y), LOAD(dy)));) break;
        VEC_ACTS(ACT)
#undef ACT
    }
}
static void kern_exp(int64_t n, const real *x, real *y) { KERN_FOR(n, STORE(y, vf_exp(LOAD(x)));) }
static void kern_log(int64_t n, const real *x, real *y) { KERN_FOR(n, STORE(y, vf_log(LOAD(x)));) }
static void kern_erf(int64_t n, const real *x, real *y) { KERN_FOR(n, STORE(y, vf_erf(LOAD(x)));) }
static void kern_sin(int64_t n, const real *x, real *y) { KERN_FOR(n, STORE(y, vf_sin(LOAD(x)));) }
static void kern_cos(int64_t n, const real *x, real *y) { KERN_FOR(n, STORE(y, vf_cos(LOAD(x)));) }
static void kern_pow(int64_t n, const real *x, const real *exponent, real *y) {
    KERN_FOR(n, STORE(y, vf_pow(LOAD(x), LOAD(exponent)));)
}

static void kern_softmax(int64_t n, const real *x, real *y) {
    const vf m = vf_set1(kern_max(n, x));
    vf s = vf_zero();
    KERN_FOR(n, vf e = vf_exp(vf_sub(LOAD(x), m)); STORE(y, e); s = vf_add(s, ONLY(e, vf_zero()));)
    kern_scale(n, 1 / vf_sum(s), y, y);
}
static real kern_log_sum_exp(int64_t n, const real *x) {
    const real highest = kern_max(n, x);
    if (highest - highest != 0) return highest; /* infinite or NaN: the answer as it is */
    const vf m = vf_set1(highest);
    vf s = vf_zero();
    KERN_FOR(n, s = vf_add(s, ONLY(vf_exp(vf_sub(LOAD(x), m)), vf_zero()));)
    return highest + kern_lane0(vf_log(vf_set1(vf_sum(s))));
}

#define OR_ONE(p) ((p) ? LOAD(p) : vf_set1(1))
#define OR_ZERO(p) ((p) ? LOAD(p) : vf_zero())

static void kern_layer_norm(int64_t n, const real *x, const real *gain, const real *bias, real eps, real *y, real *mean,
                            real *rstd) {
    const real mu = kern_sum(n, x) / (real)n;
    const vf vmu = vf_set1(mu);
    vf s = vf_zero();
    KERN_FOR(n, vf d = ONLY(vf_sub(LOAD(x), vmu), vf_zero()); s = vf_fma(d, d, s);)
    const real r = 1 / kern_lane0(vf_sqrt(vf_set1(vf_sum(s) / (real)n + eps)));
    const vf vr = vf_set1(r);
    KERN_FOR(n, STORE(y, vf_fma(vf_mul(vf_sub(LOAD(x), vmu), vr), OR_ONE(gain), OR_ZERO(bias)));)
    *mean = mu;
    *rstd = r;
}
/* xhat = (x - mean) rstd, g = dy gain; dx = rstd (g - mean(g) - xhat mean(g xhat)) */
static void kern_layer_norm_grad(int64_t n, const real *x, const real *gain, const real *dy, real mean, real rstd,
                                 real *dx) {
    const vf vmu = vf_set1(mean), vr = vf_set1(rstd);
    vf sg = vf_zero(), sx = vf_zero();
    KERN_FOR(n, vf g = vf_mul(LOAD(dy), OR_ONE(gain)); sg = vf_add(sg, ONLY(g, vf_zero()));
             sx = vf_fma(ONLY(g, vf_zero()), ONLY(vf_mul(vf_sub(LOAD(x), vmu), vr), vf_zero()), sx);)
    const vf mg = vf_set1(vf_sum(sg) / (real)n), mx = vf_set1(vf_sum(sx) / (real)n);
    KERN_FOR(n, vf xhat = vf_mul(vf_sub(LOAD(x), vmu), vr); vf g = vf_mul(LOAD(dy), OR_ONE(gain));
             STORE(dx, vf_mul(vr, vf_fnma(xhat, mx, vf_sub(g, mg))));)
}
#undef OR_ONE
#undef OR_ZERO

/* Sixteen blocks of Philox4x32-10 (Salmon et al., SC 2011) at once: x holds the counters, word by word. */
VEC void kern_philox(vi x[4], uint32_t k0, uint32_t k1) {
    for (int round = 0; round < 10; round++, k0 += 0x9e3779b9u, k1 += 0xbb67ae85u) {
        vi hi0, lo0, hi1, lo1;
        vi_mul_wide(x[0], 0xd2511f53u, &hi0, &lo0);
        vi_mul_wide(x[2], 0xcd9e8d57u, &hi1, &lo1);
        x[0] = vi_xor(vi_xor(hi1, x[1]), vi_set1((int32_t)k0));
        x[1] = lo1;
        x[2] = vi_xor(vi_xor(hi0, x[3]), vi_set1((int32_t)k1));
        x[3] = lo0;
    }
}
static void kern_dropout(int64_t n, const uint32_t key[2], const uint32_t counter[4], real p, const real *x, real *y) {
    /* Lane 4L+w computes block 4w+L, so that vi_zip4 brings 16 consecutive words into each vector. */
    static const int32_t block[16] = {0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15};
    const vi threshold = vi_set1((int32_t)(uint32_t)((double)p * 4294967296.0)), lane_block = vi_load(block);
    const vf keep_scale = vf_set1(1 / (1 - p));
    for (int64_t first = 0; first < n; first += 64) {
        vi words[4] = {vi_set1((int32_t)counter[0]), vi_set1((int32_t)counter[1]), vi_set1((int32_t)counter[2]),
                       vi_add(lane_block, vi_set1((int32_t)(counter[3] + (uint32_t)(first / 4))))};
        vi uniform[4];
        kern_philox(words, key[0], key[1]);
        vi_zip4(words, uniform);
        const real *from = x + first;
        real *to = y + first;
        KERN_FOR(n - first < 64 ? n - first : 64,
                 STORE(to, vf_select(vm_ge_u(uniform[i / 16], threshold), vf_mul(LOAD(from), keep_scale), vf_zero()));)
    }
}
