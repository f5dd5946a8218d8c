/* dmath - exp, log, sin and cos in double from basic operations and explicit fused multiply-adds only.
 *
 * Each reduces its argument to a short interval and evaluates a Taylor series there by Horner's rule. +, -, *, /, sqrt
 * and fma are exactly defined by IEEE 754, the build never contracts (-ffp-contract=off), so the bits are the same on
 * every machine. Speed is secondary: these run per parameter or per step, never per element of a batch; those
 * kernels live in simd.
 * Invariant: an error below 2 ulp over the stated range; tests/test_base_rng.c measures it. */
#include "base/dmath.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

/* ln 2 and pi/2 in parts: the first is the nearest double (ln 2: 32 bits, so that k * LN2_HIGH is exact), the
 * following ones hold what it leaves over. */
static const double LN2_HIGH = 0x1.62e42fee00000p-1, LN2_LOW = 0x1.a39ef35793c76p-33;
static const double HALF_PI_1 = 0x1.921fb54442d18p+0, HALF_PI_2 = 0x1.1a62633145c07p-54,
                    HALF_PI_3 = -0x1.f1976b7ed8fbcp-110;

static uint64_t bits_of(double x) {
    uint64_t u;
    memcpy(&u, &x, 8);
    return u;
}

static double from_bits(uint64_t u) {
    double x;
    memcpy(&x, &u, 8);
    return x;
}

/* x * 2^k for |k| <= 1100, in two steps so that a denormal result is rounded once. */
static double scale2(double x, int k) {
    int first = k > 1000 ? 1000 : k < -1000 ? -1000 : k;
    x *= from_bits((uint64_t)(first + 1023) << 52);
    return x * from_bits((uint64_t)(k - first + 1023) << 52);
}

/* e^x = 2^k e^r, r = x - k ln 2 in [-ln2/2, ln2/2]; 14 terms leave less than 2^-58. */
double dmath_exp(double x) {
    static const double c[] = {1.0 / 6227020800, 1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800,
                               1.0 / 362880,     1.0 / 40320,     1.0 / 5040,     1.0 / 720,
                               1.0 / 120,        1.0 / 24,        1.0 / 6,        0.5};
    if (isnan(x)) return x;
    if (x > 709.79) return INFINITY;
    if (x < -745.14) return 0;
    double k = nearbyint(x * 0x1.71547652b82fep+0); /* 1 / ln 2 */
    double high = fma(-k, LN2_HIGH, x), low = k * LN2_LOW, r = high - low;
    double tail = (high - r) - low; /* what the subtraction rounded away */
    double p = c[0];
    for (int i = 1; i < 12; i++) p = fma(p, r, c[i]);
    p = fma(r * r, p, tail); /* e^r - 1 - r, to first order in the tail */
    return scale2(1 + (r + p), (int)k);
}

/* log(2^k m), m in [1/sqrt 2, sqrt 2): with s = (m-1)/(m+1), log m = 2 atanh s = f - s (f - R), f = m - 1,
 * R = 2 (s^2/3 + s^4/5 + ...); |s| < 0.172, 11 terms leave less than 2^-58. */
double dmath_log(double x) {
    if (isnan(x) || x < 0) return NAN;
    if (x == 0) return -INFINITY;
    if (isinf(x)) return x;
    int k = 0;
    if (x < 0x1p-1022) { /* denormal: bring it into range */
        x *= 0x1p54;
        k = -54;
    }
    uint64_t u = bits_of(x);
    k += (int)(u >> 52) - 1023;
    double m = from_bits((u & 0x000FFFFFFFFFFFFFu) | 0x3FF0000000000000u);
    if (m >= 0x1.6a09e667f3bcdp+0) { /* sqrt 2 */
        m *= 0.5;
        k++;
    }
    double f = m - 1, s = f / (2 + f), z = s * s, r = 2.0 / 25;
    for (int i = 23; i >= 3; i -= 2) r = fma(r, z, 2.0 / i);
    r *= z;
    return fma(k, LN2_HIGH, f - fma(s, f - r, -(k * LN2_LOW)));
}

/* x - n pi/2 as high + low, |high| <= pi/4; returns n mod 4. The first subtraction is exact: both sides are
 * multiples of 2^-53 and the result is below 1. */
static int reduce(double x, double *high, double *low) {
    double n = nearbyint(x * 0x1.45f306dc9c883p-1); /* 2 / pi */
    double r = fma(-n, HALF_PI_1, x);
    double h = fma(-n, HALF_PI_2, r);
    *low = fma(-n, HALF_PI_2, r - h) - n * HALF_PI_3;
    *high = h;
    return (int)((int64_t)n & 3);
}

/* sin(x + y) for |x| <= pi/4 and a tiny y: x - x^3/3! + ..., to x^19. */
static double sin_core(double x, double y) {
    static const double c[] = {-1.0 / 121645100408832000,
                               1.0 / 355687428096000,
                               -1.0 / 1307674368000,
                               1.0 / 6227020800,
                               -1.0 / 39916800,
                               1.0 / 362880,
                               -1.0 / 5040,
                               1.0 / 120,
                               -1.0 / 6};
    double z = x * x, p = c[0];
    for (int i = 1; i < 9; i++) p = fma(p, z, c[i]);
    return x + fma(x * z, p, y * fma(z, -0.5, 1));
}

/* cos(x + y): 1 - x^2/2 + ..., to x^18; the part of 1 - x^2/2 that rounding loses is added back. */
static double cos_core(double x, double y) {
    static const double c[] = {-1.0 / 6402373705728000, 1.0 / 20922789888000, -1.0 / 87178291200, 1.0 / 479001600,
                               -1.0 / 3628800,          1.0 / 40320,          -1.0 / 720,         1.0 / 24};
    double z = x * x, p = c[0];
    for (int i = 1; i < 8; i++) p = fma(p, z, c[i]);
    double half = 0.5 * z, w = 1 - half;
    return w + ((1 - w - half) + fma(z * z, p, -x * y));
}

double dmath_sin(double x) {
    double high, low;
    if (!(fabs(x) <= 0x1p30)) return NAN;
    if (fabs(x) < 0x1p-27) return x; /* keeps the sign of zero */
    switch (reduce(x, &high, &low)) {
    case 0: return sin_core(high, low);
    case 1: return cos_core(high, low);
    case 2: return -sin_core(high, low);
    default: return -cos_core(high, low);
    }
}

double dmath_cos(double x) {
    double high, low;
    if (!(fabs(x) <= 0x1p30)) return NAN;
    switch (reduce(x, &high, &low)) {
    case 0: return cos_core(high, low);
    case 1: return -sin_core(high, low);
    case 2: return -cos_core(high, low);
    default: return sin_core(high, low);
    }
}
