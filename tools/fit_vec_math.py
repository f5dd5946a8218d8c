#!/usr/bin/env python3
"""Fits the polynomials of src/simd/vec_math.h. Prints each as C float literals, highest power first.

Each is the minimax (Remez by Lawson's reweighted least squares, in double) of a smooth function on the interval that the
range reduction leaves, then rounded to float from the highest weight down: each coefficient is rounded and the rest is
fitted again, so that later ones absorb the rounding of earlier ones. `weight` turns the error of the fitted part into the
relative error of the whole result. Needs numpy and scipy; the header records what this printed.
"""
import numpy as np
from scipy import special

def lawson(x, y, w, powers):
    """Coefficients c minimising max |w (sum c_i x^p_i - y)|."""
    lam = np.ones_like(x)
    scale = np.abs(x).max()
    a = np.stack([(x / scale) ** p for p in powers], 1)
    best, best_err = None, np.inf
    for _ in range(300):
        s = np.sqrt(lam) * w
        c = np.linalg.lstsq(a * s[:, None], y * s, rcond=None)[0]
        err = np.abs(w * (a @ c - y))
        if err.max() < best_err:
            best, best_err = c, err.max()
        lam *= err + 1e-300
        lam /= lam.max()
        lam = np.maximum(lam, 1e-30)
    return best / scale ** np.array(powers, float), best_err

def fit(name, f, lo, hi, powers, weight):
    """Over Chebyshev points, so that the ends are covered."""
    t = np.cos(np.pi * (np.arange(4000) + 0.5) / 4000)
    x = (lo + hi) / 2 + (hi - lo) / 2 * t
    x = x[x != 0]
    y, w = f(x), weight(x)
    rest = y
    todo, done = list(powers), {}
    while todo:      # round the coefficient that matters most first
        c, _ = lawson(x, rest, w, todo)
        k = todo[0]
        v = float(np.float32(c[0]))
        done[k] = v
        rest = rest - v * x ** k
        todo = todo[1:]
    err = np.abs(w * rest).max()
    print(f"/* {name}: max relative error {err:.2e} */")
    print("  " + ", ".join(f"{done[p]:.9g}f" for p in sorted(done, reverse=True)))

L = np.log(2) / 2 * 1.0001
# exp(r) = 1 + r + r^2 q(r)
fit("exp: q in e^r = 1 + r + r^2 q", lambda r: (np.expm1(r) - r) / r**2, -L, L, range(0, 5),
    lambda r: r**2 / np.exp(r))
fit("expm1: q in e^r - 1 = r + r^2 q", lambda r: (np.expm1(r) - r) / r**2, -L, L, range(0, 5), lambda r: np.abs(r**2 / np.expm1(r)))
def log_q(f):
    small = np.abs(f) < 1e-2
    fs = np.where(small, f, 0)
    series = sum((-1)**k * fs**k / (k + 3) for k in range(12))
    fl = np.where(small, 0.5, f)
    return np.where(small, series, (np.log1p(fl) - fl + fl**2 / 2) / fl**3)
fit("log: q in log(1+f) = f - f^2/2 + f^3 q", log_q, -1/3 - 1e-4, 1/3 + 1e-4, range(0, 8), lambda f: np.abs(f**3 / np.log1p(f)))
# erf(x) = x + x p(x^2), |x| < 0.925; beyond: erf(t) = 1 - exp(-t - t q(t))
fit("erf small: p(s)", lambda s: special.erf(np.sqrt(s)) / np.sqrt(s) - 1, 1e-12, 0.93**2, range(0, 6), lambda s: np.sqrt(s) / special.erf(np.sqrt(s)))
def erf_q(t):
    return (-np.log(special.erfc(t)) - t) / t
fit("erf large: q(t)", erf_q, 0.9, 4.0, range(0, 7), lambda t: t * special.erfc(t) / special.erf(t))
Q = np.pi / 4 * 1.0005
def sin_p(s):
    r = np.sqrt(s)
    return np.where(s < 1e-3, -1/6 + s/120 - s**2/5040 + s**3/362880, (np.sin(r) - r) / np.where(s < 1e-3, 1, r**3))
def cos_p(s):
    r = np.sqrt(s)
    return np.where(s < 1e-2, 1/24 - s/720 + s**2/40320 - s**3/3628800, (np.cos(r) - 1 + s/2) / np.where(s < 1e-2, 1, s**2))
fit("sin: p in sin r = r + r^3 p(r^2)", sin_p, 1e-12, Q**2, range(0, 3), lambda s: s**1.5 / np.sin(np.sqrt(s)))
fit("cos: p in cos r = 1 - r^2/2 + r^4 p(r^2)", cos_p, 1e-12, Q**2, range(0, 3), lambda s: s**2 / np.cos(np.sqrt(s)))
def atanh_q(z):
    s = np.sqrt(z)
    return np.where(z < 1e-2, 2/3 + 2*z/5 + 2*z**2/7 + 2*z**3/9 + 2*z**4/11 + 2*z**5/13 + 2*z**6/15, (2 * np.arctanh(s) - 2 * s) / np.where(z < 1e-2, 1, s**3))
fit("log1p: q in 2 atanh s = 2s + s^3 q(s^2), s <= 1/3", atanh_q, 1e-12, 1/9, range(0, 5), lambda z: z**1.5 / (2 * np.arctanh(np.sqrt(z))))
def atanh_q5(z):
    s = np.sqrt(z)
    return np.where(z < 1e-2, 2/5 + 2*z/7 + 2*z**2/9 + 2*z**3/11 + 2*z**4/13 + 2*z**5/15, (2 * np.arctanh(s) - 2 * s - 2*s**3/3) / np.where(z < 1e-2, 1, s**5))
M = ((np.sqrt(2) - 1) / (np.sqrt(2) + 1))**2 * 1.001
fit("pow: q in 2 atanh s = 2s + 2/3 s^3 + s^5 q(s^2), s <= 0.1716", atanh_q5, 1e-12, M, range(0, 3), lambda z: z**2.5 / (2 * np.arctanh(np.sqrt(z))))
