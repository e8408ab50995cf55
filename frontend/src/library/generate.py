#!/usr/bin/env python3
"""Coefficients and constants of the math library: writes `coefficients.k` and `special_coefficients.k`, beside this file.

Run it with Python 3.11 or later, `mpmath`, `numpy` and `scipy` (pip install mpmath numpy scipy):

    python3 frontend/src/library/generate.py           # writes both
    python3 frontend/src/library/generate.py --check   # fails if they are not what it would write

**Method.** Every polynomial minimises the largest weighted error `w(z) |p(z) - g(z)|` on an interval, where the
weight makes it the relative error of the function that the polynomial is used for. All functions are evaluated in
240 bits. The exchange runs as a linear program on what is left of the error, which is scaled up so that double
precision solves it (dual simplex on a fixed set of Chebyshev points is Stiefel's form of Remez's exchange). Coefficients
are rounded to the target's precision one after the other, beginning with that of the lowest power; after each one the
others are optimised anew, so that they make up for the rounding.

**Bound.** The error printed is that of the rounded coefficients, in exact arithmetic. The weighted error is an analytic
function: it is interpolated by a polynomial of degree N in Chebyshev points, whose last coefficients are checked to be
negligible (2^-20 of the error). The maximum of a polynomial of degree N exceeds its maximum on 8 N Chebyshev points by a
factor of at most 1 / cos(pi / 16) (H. Ehlich, K. Zeller, 1964), which is included. Rounding errors of the evaluation
are not: docs/numerics.md has what was measured with them.
"""

import sys
from pathlib import Path

import mpmath as mp
import numpy as np
from scipy.optimize import linprog

mp.mp.prec = 240
BITS = {"f32": 24, "f64": 53}


def rounded(x, dtype, bits=None):
    """x to nearest in the dtype, or in fewer bits."""
    bits = bits or BITS[dtype]
    if x == 0:
        return mp.mpf(0)
    m, e = mp.frexp(x)
    return mp.ldexp(mp.nint(mp.ldexp(m, bits)), int(e) - bits)


def literal(x, dtype):
    """The shortest decimal that reads back as x."""
    value = np.float32(float(x)) if dtype == "f32" else np.float64(float(x))
    assert mp.mpf(float(value)) == x, (x, dtype)
    text = np.format_float_scientific(value, trim="0", unique=True)
    text = text.replace("e+0", "e").replace("e-0", "e-").replace("e+", "e")
    return text.removesuffix("e0")


def chebyshev_points(a, b, n):
    return [(a + b) / 2 + (b - a) / 2 * mp.cos(mp.pi * (2 * k + 1) / (2 * n)) for k in range(n)]


def value(coefficients, z):
    return mp.polyval(coefficients[::-1], z)


class Approximation:
    """A polynomial for g on [a, b] with weight w."""

    def __init__(self, g, w, a, b, degree, dtype):
        self.g, self.w, self.a, self.b = g, w, mp.mpf(a), mp.mpf(b)
        self.dtype = dtype
        nodes = chebyshev_points(self.a, self.b, degree + 1)
        matrix = mp.matrix(degree + 1, degree + 1)
        for i, z in enumerate(nodes):
            for j in range(degree + 1):
                matrix[i, j] = z**j
        start = mp.lu_solve(matrix, mp.matrix([g(z) for z in nodes]))
        self.c = list(start)
        self.points = chebyshev_points(self.a, self.b, 24 * (degree + 2))
        self.goals = [g(z) for z in self.points]
        self.weights = [w(z) for z in self.points]
        self.optimise(0)
        self.optimise(0)
        for n in range(degree + 1):
            self.c[n] = rounded(self.c[n], dtype)
            if n < degree:
                self.optimise(n + 1)
        self.bound = self.bound()

    def optimise(self, first):
        """Changes the coefficients from `first` on to the best ones."""
        errors = [w * (value(self.c, z) - g) for z, g, w in zip(self.points, self.goals, self.weights)]
        scale = max(abs(e) for e in errors)
        radius = max(abs(self.a), abs(self.b))
        powers = range(first, len(self.c))
        rows = [[float(w * (z / radius) ** j) for j in powers] for z, w in zip(self.points, self.weights)]
        right = [float(-e / scale) for e in errors]
        # Unknowns are the changes, in columns of norm 1, and the largest error.
        rows = np.array(rows)
        norms = np.abs(rows).max(axis=0)
        rows = rows / norms
        ones = np.ones((len(rows), 1))
        matrix = np.vstack([np.hstack([rows, -ones]), np.hstack([-rows, -ones])])
        bounds = [(None, None)] * len(norms) + [(0, None)]
        goal = [0.0] * len(norms) + [1.0]
        found = linprog(goal, matrix, np.concatenate([right, [-r for r in right]]), bounds=bounds, method="highs-ds")
        if found.status != 0:
            return  # no better than it is
        for j, step, norm in zip(powers, found.x, norms):
            self.c[j] += scale * mp.mpf(float(step)) / norm / radius**j

    def bound(self):
        def error(z):
            return self.w(z) * (value(self.c, z) - self.g(z))

        n = 40
        while True:
            n += n // 2
            values = [error(z) for z in chebyshev_points(self.a, self.b, n)]
            largest = max(abs(e) for e in values)
            last = range(n - 4, n)
            angles = [mp.pi * (2 * i + 1) / (2 * n) for i in range(n)]
            tail = [2 * mp.fsum(v * mp.cos(k * t) for v, t in zip(values, angles)) / n for k in last]
            if max(abs(c) for c in tail) < largest / 2**20:
                break
        dense = chebyshev_points(self.a, self.b, 8 * n)
        return max(abs(error(z)) for z in dense) / mp.cos(mp.pi / 16)


# ---- what is approximated -------------------------------------------------------------------------------------

LN2 = mp.log(2)
LOG10_2 = mp.log(2) / mp.log(10)
LN_10 = rounded(mp.log(10), "f32")
# Reduced arguments may exceed their interval by what rounding moves the choice of the multiple.
SLACK = 1 + mp.mpf(2) ** -12


def away_from_zero(f, at_zero):
    """f, which has a removable singularity at zero."""
    return lambda z: at_zero if abs(z) < mp.mpf(2) ** -60 else f(z)


def odd(f, series):
    """(f(x) - x) / x^3 as a function of z = x^2."""
    return away_from_zero(lambda z: (f(mp.sqrt(z)) - mp.sqrt(z)) / mp.sqrt(z) ** 3, mp.mpf(series))


def odd_weight(f):
    return away_from_zero(lambda z: mp.sqrt(z) ** 3 / f(mp.sqrt(z)), 0)


# name, variable, degrees for f32 and f64, g, weight, a, b, what it is for
POLYNOMIALS = [
    ("exp_poly", "r", 5, 10,
     away_from_zero(lambda r: mp.expm1(r) / r, mp.mpf(1)), lambda r: r / mp.exp(r),
     -LN2 / 2 * SLACK, LN2 / 2 * SLACK,
     "exp(r) = 1 + r p(r), |r| <= ln(2) / 2; relative"),
    ("expm1_poly", "r", 5, 10,
     away_from_zero(lambda r: (mp.expm1(r) - r) / r**2, mp.mpf(0.5)), lambda r: r,
     -LN2 / 2 * SLACK, LN2 / 2 * SLACK,
     "exp(r) - 1 = r + r^2 p(r), |r| <= ln(2) / 2; relative"),
    ("exp2_poly", "r", 5, 10,
     away_from_zero(lambda r: mp.expm1(r * LN2) / r, LN2), lambda r: r / mp.mpf(2) ** r,
     -SLACK / 2, SLACK / 2,
     "2^r = 1 + r p(r), |r| <= 1/2; relative"),
    ("exp10_poly", "r", 5, 10,
     away_from_zero(lambda r: mp.expm1(r * mp.log(10)) / r, mp.log(10)), lambda r: r / mp.mpf(10) ** r,
     -LOG10_2 / 2 * SLACK, LOG10_2 / 2 * SLACK,
     "10^r = 1 + r p(r), |r| <= log10(2) / 2; relative"),
    ("exp10_tail", "r", 4, None,
     away_from_zero(lambda r: (mp.expm1(r * mp.log(10)) - r * LN_10) / r**2, mp.log(10) ** 2 / 2),
     lambda r: r**2 / mp.mpf(10) ** r,
     -LOG10_2 / 2 * SLACK, LOG10_2 / 2 * SLACK,
     "10^r = 1 + r ln_10_hi + r^2 p(r), |r| <= log10(2) / 2; relative"),
    ("log_poly", "f", 8, None,
     away_from_zero(lambda f: (mp.log1p(f) - f) / f**2, mp.mpf(-0.5)), away_from_zero(lambda f: f**2 / mp.log1p(f), 0),
     mp.sqrt(0.5) - 1, mp.sqrt(2) - 1,
     "log(1 + f) = f + f^2 p(f), sqrt(1/2) <= 1 + f <= sqrt(2); relative"),
    ("log2_poly", "f", 8, None,
     away_from_zero(lambda f: (mp.log1p(f) - f) / f**2 / LN2, mp.mpf(-0.5) / LN2),
     away_from_zero(lambda f: f**2 * LN2 / mp.log1p(f), 0),
     mp.sqrt(0.5) - 1, mp.sqrt(2) - 1,
     "log2(1 + f) = f / ln(2) + f^2 p(f), sqrt(1/2) <= 1 + f <= sqrt(2); relative"),
    ("log10_poly", "f", 8, None,
     away_from_zero(lambda f: (mp.log1p(f) - f) / f**2 / mp.log(10), mp.mpf(-0.5) / mp.log(10)),
     away_from_zero(lambda f: f**2 * mp.log(10) / mp.log1p(f), 0),
     mp.sqrt(0.5) - 1, mp.sqrt(2) - 1,
     "log10(1 + f) = f / ln(10) + f^2 p(f), sqrt(1/2) <= 1 + f <= sqrt(2); relative"),
    ("atanh_poly", "z", None, 6,
     away_from_zero(lambda z: (mp.atanh(mp.sqrt(z)) / mp.sqrt(z) - 1) / z, mp.mpf(1) / 3), lambda z: z,
     0, (3 - 2 * mp.sqrt(2)) ** 2 * SLACK,
     "atanh(s) = s + s z p(z), z = s^2, |s| <= 3 - sqrt(8); relative"),
    ("atanh_tail", "z", 1, 5,
     away_from_zero(lambda z: (mp.atanh(mp.sqrt(z)) / mp.sqrt(z) - 1 - z / 3) / z**2, mp.mpf(1) / 5), lambda z: z**2,
     0, mp.mpf(0.0866) ** 2,
     "atanh(s) = s + s z / 3 + s z^2 p(z), z = s^2, |s| <= 0.0866; relative"),
    ("sin_poly", "z", 2, 5, odd(lambda x: 2 * x - mp.sin(x), mp.mpf(1) / 6), odd_weight(mp.sin),
     0, (mp.pi / 4 * SLACK) ** 2,
     "sin(r) = r - r z p(z), z = r^2, |r| <= pi / 4; relative"),
    ("cos_poly", "z", 2, 5,
     away_from_zero(lambda z: (mp.cos(mp.sqrt(z)) - 1 + z / 2) / z**2, mp.mpf(1) / 24),
     lambda z: z**2 / mp.cos(mp.sqrt(z)),
     0, (mp.pi / 4 * SLACK) ** 2,
     "cos(r) = 1 - z / 2 + z^2 p(z), z = r^2, |r| <= pi / 4; relative"),
    ("sin_half_poly", "z", 3, 6, odd(mp.sin, mp.mpf(-1) / 6), odd_weight(mp.sin),
     0, (mp.pi / 2 * SLACK) ** 2,
     "sin(r) = r + r z p(z), z = r^2, |r| <= pi / 2; relative"),
    ("atan_poly", "z", 4, 10, odd(mp.atan, mp.mpf(-1) / 3), odd_weight(mp.atan),
     0, (mp.sqrt(2) - 1) ** 2 * SLACK,
     "atan(t) = t + t z p(z), z = t^2, |t| <= tan(pi / 8); relative"),
    ("asin_poly", "z", 5, 12, odd(mp.asin, mp.mpf(1) / 6), odd_weight(mp.asin),
     0, mp.mpf(0.25) * SLACK,
     "asin(x) = x + x z p(z), z = x^2 <= 1/4; relative"),
    ("asinh_poly", "z", 4, 10, odd(mp.asinh, mp.mpf(-1) / 6), odd_weight(mp.asinh),
     0, mp.mpf(0.25) * SLACK,
     "asinh(x) = x + x z p(z), z = x^2 <= 1/4; relative"),
    ("atanh_half_poly", "z", 5, 12, odd(mp.atanh, mp.mpf(1) / 3), odd_weight(mp.atanh),
     0, mp.mpf(0.25) * SLACK,
     "atanh(x) = x + x z p(z), z = x^2 <= 1/4; relative"),
    ("acosh_poly", "t", 4, 11,
     away_from_zero(lambda t: (mp.acosh(1 + t) / mp.sqrt(2 * t) - 1) / t, mp.mpf(-1) / 12),
     lambda t: t / (1 - t / 12),
     0, mp.mpf(0.5) * SLACK,
     "acosh(1 + t) = sqrt(2 t) (1 + t p(t)), 0 <= t <= 1/2; relative"),
    ("sinh_poly", "z", 2, 4, odd(mp.sinh, mp.mpf(1) / 6), odd_weight(mp.sinh),
     0, (LN2 / 2 * SLACK) ** 2,
     "sinh(r) = r + r z p(z), z = r^2, |r| <= ln(2) / 2; relative"),
    ("cosh_poly", "z", 2, 4,
     away_from_zero(lambda z: (mp.cosh(mp.sqrt(z)) - 1) / z, mp.mpf(0.5)), lambda z: z / mp.cosh(mp.sqrt(z)),
     0, (LN2 / 2 * SLACK) ** 2,
     "cosh(r) = 1 + z p(z), z = r^2, |r| <= ln(2) / 2; relative"),
]

# ---- special functions ----------------------------------------------------------------------------------------

def erfcx(x):
    """exp(x^2) erfc(x)."""
    return mp.exp(x * x) * mp.erfc(x)


def erfc_ratio(q):
    """(1 + 2 x) erfcx(x), which is between 1 and 1.29 for positive x, with q = 4 / (x + 4) - 1/2."""
    x = 4 / (q + mp.mpf(0.5)) - 4
    return (1 + 2 * x) * erfcx(x)


ERFC_MID = erfc_ratio(mp.mpf(0))


def erfc_entry(single, double, end):
    end = mp.mpf(end)
    return ("erfc_poly", "q", single, double,
            lambda q: (erfc_ratio(q) - ERFC_MID) / q, lambda q: q / erfc_ratio(q),
            4 / (end + 4) - mp.mpf(0.5), mp.mpf(0.5),
            f"exp(x^2) (1 + 2 x) erfc(x) = mid + q p(q), q = 4 / (x + 4) - 1/2, 0 <= x <= {mp.nstr(end, 4)}; relative")


def erfcinv(y):
    """The x with erfc(x) = y, for small y by way of the logarithm."""
    x = mp.sqrt(-mp.log(y)) * mp.mpf(0.9)
    while True:
        f = mp.erfc(x)
        step = mp.log(f / y) * f * mp.sqrt(mp.pi) / 2 * mp.exp(x * x)
        x += step
        if abs(step) < mp.mpf(2) ** -150:
            return x


def inverse_ratio(t, k):
    """erfcinv(exp(-s^2)) / s where t = 1 / (s + k)."""
    s = 1 / t - k
    return erfcinv(mp.exp(-s * s)) / s


# Where s ends: below 2^-24 and 2^-53 there is a second polynomial, down to the smallest number.
INVERSE_MID, INVERSE_TAIL_MID = (inverse_ratio(mp.mpf(t), k) for t, k in ((0.34375, 1), (0.0625, 4)))


def inverse_entry(name, mid, centre, k, single, double, start, end):
    centre, start, end = mp.mpf(centre), mp.mpf(start), mp.mpf(end)
    return (name, "q", single, double,
            away_from_zero(lambda q: (inverse_ratio(q + centre, k) - mid) / q,
                           mp.diff(lambda t: inverse_ratio(t, k), centre)),
            lambda q: q / inverse_ratio(q + centre, k),
            1 / (end + k) - centre, 1 / (start + k) - centre,
            f"erfcinv(exp(-s^2)) = s (mid + q p(q)), q = 1 / (s + {k}) - {float(centre)}, "
            f"{mp.nstr(start, 4)} <= s <= {mp.nstr(end, 4)}; relative")


def stirling(x):
    """log(gamma(x)) less Stirling's formula without its series."""
    return mp.loggamma(x) - ((x - mp.mpf(0.5)) * mp.log(x) - x + mp.log(2 * mp.pi) / 2)


def lgamma_ratio(f):
    """log(gamma(2 + f)) / (f (1 + f)), which is nearly constant."""
    return mp.loggamma(2 + f) / (f * (1 + f))


LGAMMA_MID = mp.digamma(2)
DIGAMMA_ZERO = mp.findroot(mp.digamma, mp.mpf("1.4616321449683623"))


def digamma_ratio(u):
    y = u + mp.mpf(1.5)
    return mp.digamma(y) / (y - DIGAMMA_ZERO)


DIGAMMA_MID = digamma_ratio(mp.mpf(0))
# Series of functions that stand for x up to infinity are taken up to here; beyond they are constant but for rounding.
FAR = mp.mpf(2) ** -40

SPECIAL_POLYNOMIALS = [
    ("erf_poly", "z", 4, 10,
     away_from_zero(lambda z: (mp.erf(mp.sqrt(z)) / mp.sqrt(z) - 2 / mp.sqrt(mp.pi)) / z, -2 / (3 * mp.sqrt(mp.pi))),
     lambda z: z / (2 / mp.sqrt(mp.pi)),
     0, mp.mpf(0.36) * SLACK,
     "erf(x) = 2 / sqrt(pi) x + x z p(z), z = x^2, |x| <= 0.6; relative"),
    erfc_entry(10, None, "10.3"),
    erfc_entry(None, 22, "27.4"),
    ("erfinv_poly", "z", 6, 13,
     away_from_zero(lambda z: (mp.erfinv(mp.sqrt(z)) / mp.sqrt(z) - mp.sqrt(mp.pi) / 2) / z, mp.sqrt(mp.pi) ** 3 / 24),
     lambda z: z / (mp.sqrt(mp.pi) / 2),
     0, mp.mpf(0.25) * SLACK,
     "erfinv(x) = sqrt(pi) / 2 x + x z p(z), z = x^2 <= 1/4; relative"),
    inverse_entry("erfcinv_poly", INVERSE_MID, 0.34375, 1, 9, None, "0.8325", "4.1"),
    inverse_entry("erfcinv_poly", INVERSE_MID, 0.34375, 1, None, 25, "0.8325", "6.08"),
    inverse_entry("erfcinv_tail", INVERSE_TAIL_MID, 0.0625, 4, 6, None, "4.07", "10.2"),
    inverse_entry("erfcinv_tail", INVERSE_TAIL_MID, 0.0625, 4, None, 20, "6.05", "27.4"),
    ("gamma_poly", "v", 9, 21,
     lambda v: mp.expm1(stirling(1 / (v + mp.mpf(0.5)))), lambda v: 1,
     mp.mpf(1) / 200 - mp.mpf(0.5), mp.mpf(0.5),
     "gamma(x) = sqrt(2 pi) x^(x - 1/2) e^-x (1 + p(1/x - 1/2)), 1 <= x <= 200; relative"),
    ("lgamma_poly", "f", 10, 22,
     away_from_zero(lambda f: (lgamma_ratio(f) - LGAMMA_MID) / f, mp.polygamma(1, 2) / 2 - LGAMMA_MID),
     lambda f: f / lgamma_ratio(f) if f else mp.mpf(0),
     mp.mpf(-0.75), mp.mpf(0.5),
     "log(gamma(2 + f)) = f (1 + f) (mid + f p(f)), -3/4 <= f <= 1/2; relative"),
    ("stirling_poly", "w", 4, 14,
     lambda w: stirling(1 / mp.sqrt(w)) / mp.sqrt(w), lambda w: 1,
     FAR, mp.mpf(0.16),
     "log(gamma(x)) = (x - 1/2) log(x) - x + log(2 pi) / 2 + p(w) / x, w = 1 / x^2, x >= 5/2; absolute"),
    ("digamma_poly", "u", 9, 21,
     away_from_zero(lambda u: (digamma_ratio(u) - DIGAMMA_MID) / u, mp.diff(digamma_ratio, 0)),
     lambda u: u / digamma_ratio(u),
     -SLACK / 2, SLACK / 2,
     "digamma(y) = (y - zero) (mid + u p(u)), u = y - 3/2, 1 <= y <= 2; relative"),
    ("psi_poly", "w", 4, 13,
     lambda w: (mp.log(1 / mp.sqrt(w)) - mp.sqrt(w) / 2 - mp.digamma(1 / mp.sqrt(w))) / w, lambda w: 1,
     FAR, mp.mpf(1) / 9,
     "digamma(x) = log(x) - 1 / (2 x) - w p(w), w = 1 / x^2, x >= 3; absolute"),
]

SPECIAL_SPLITS = [
    ("erfc_mid", ERFC_MID, None, None, ["hi", "lo"], "9 exp(16) erfc(4)"),
    ("two_over_root_pi", 2 / mp.sqrt(mp.pi), None, None, ["hi", "lo"], "2 / sqrt(pi)"),
    ("half_root_pi", mp.sqrt(mp.pi) / 2, None, None, ["hi", "lo"], "sqrt(pi) / 2"),
    ("erfcinv_mid", INVERSE_MID, None, None, ["hi", "lo"], "what `erfcinv_poly` starts from"),
    ("erfcinv_tail_mid", INVERSE_TAIL_MID, None, None, ["hi", "lo"], "what `erfcinv_tail` starts from"),
    ("gamma_factor", mp.sqrt(2 * mp.pi / mp.e), None, None, ["hi", "lo"], "sqrt(2 pi / e)"),
    ("lgamma_mid", LGAMMA_MID, None, None, ["hi", "lo"], "digamma(2)"),
    ("lgamma_constant", (mp.log(2 * mp.pi) - 1) / 2, None, None, ["hi", "lo"], "(log(2 pi) - 1) / 2"),
    ("digamma_mid", DIGAMMA_MID, None, None, ["hi", "lo"], "what `digamma_poly` starts from"),
    ("digamma_zero", DIGAMMA_ZERO, None, None, ["hi", "lo"], "the positive zero of digamma"),
    ("density", 1 / mp.sqrt(2 * mp.pi), None, None, ["hi", "lo"], "1 / sqrt(2 pi)"),
    ("root_2", mp.sqrt(2), None, None, ["hi", "lo"], "sqrt(2)"),
    ("root_half", mp.sqrt(mp.mpf(0.5)), None, None, ["hi", "lo"], "sqrt(1/2)"),
]

# name, value, bits of all parts but the last for f32 and f64 (None: all the dtype has), parts, what for
SPLITS = [
    ("ln2", LN2, 15, 41, ["hi", "lo"], "ln(2): multiples of hi are exact for exponents"),
    ("log_2", LN2, None, None, ["hi", "lo"], "ln(2)"),
    ("log10_2", LOG10_2, 15, 41, ["hi", "lo"], "log10(2), in the same way"),
    ("ln_10", mp.log(10), None, None, ["hi"], "ln(10)"),
    ("log2_e", 1 / LN2, None, None, ["hi", "lo"], "log2(e)"),
    ("log10_e", 1 / mp.log(10), None, None, ["hi", "lo"], "log10(e)"),
    ("log2_10", mp.log(10) / LN2, None, None, ["hi"], "log2(10)"),
    ("two_thirds_log2_e", 2 / (3 * LN2), None, None, ["hi", "lo"], "2 / (3 ln(2))"),
    ("two_thirds_log2_e", 2 / (3 * LN2), 12, 26, ["up", "down"], "2 / (3 ln(2)), the first part with half the bits"),
    ("log2_step", mp.log(mp.mpf(181) / 128, 2), 12, 26, ["hi", "lo"], "log2(181 / 128)"),
    ("two_log2_e", 2 / LN2, 12, 26, ["up", "down"], "2 / ln(2)"),
    ("two_over_pi", 2 / mp.pi, None, None, ["hi"], "2 / pi"),
    ("pi", mp.pi, None, None, ["hi", "lo"], "pi"),
    ("pi", mp.pi, 12, 33, ["a", "b", "c", "d"], "pi once more: multiples of a, b and c are exact for small factors"),
    ("one_over_pi", 1 / mp.pi, None, None, ["hi"], "1 / pi"),
    ("half_pi", mp.pi / 2, None, None, ["hi", "lo", "low"], "pi / 2"),
    ("quarter_turn", mp.pi / 2, 23, None, ["hi", "lo", "low"], "pi / 2, lo positive"),
    ("quarter_pi", mp.pi / 4, None, None, ["hi", "lo"], "pi / 4"),
]


# Polynomials whose higher terms are summed in pairs (G. Estrin, 1960), which makes the chain of operations shorter; the lowest
# two follow one after the other, because their roundings count most.
IN_PAIRS = {("log_poly", "f32")}


def in_pairs(terms, x):
    """Lines of code that evaluate such a polynomial, of at least four terms."""
    lines, square, power = [], x, 1
    items = [(n, n, t) for n, t in enumerate(terms) if n >= 2]
    while len(items) > 1:
        joined = []
        for low, high in zip(items[::2], items[1::2]):
            name = f"p{low[0]}{high[1]}"
            lines.append(f"    let {name} = fma({high[2]}, {square}, {low[2]});")
            joined.append((low[0], high[1], name))
        items = joined + items[len(joined) * 2:]
        if len(items) > 1:
            lines.append(f"    let {x}{2 * power} = {square} * {square};")
            square, power = f"{x}{2 * power}", 2 * power
    return lines + [f"    fma(fma({items[0][2]}, {x}, {terms[1]}), {x}, {terms[0]})"]


def polynomial(entry, log):
    name, variable, single, double, g, w, a, b, what = entry
    lines = [f"// {what}."]
    for dtype, degree in (("f32", single), ("f64", double)):
        if degree is None:
            continue
        p = Approximation(g, w, a, b, degree, dtype)
        log(f"{name}_{dtype}: degree {degree}, error 2^{float(mp.log(p.bound, 2)):.2f}")
        lines.append(f"// {dtype}: error <= 2^{float(mp.ceil(10 * mp.log(p.bound, 2)) / 10):.1f}.")
        lines.append(f"fn {name}_{dtype}({variable}: {dtype}) -> {dtype} {{")
        terms = [literal(c, dtype) for c in p.c]
        if degree == 0:
            lines.append(f"    {terms[0]}")
        elif (name, dtype) in IN_PAIRS:
            lines += in_pairs(terms, variable)
        else:
            lines.append(f"    let p = fma({terms[-1]}, {variable}, {terms[-2]});")
            lines += [f"    let p = fma(p, {variable}, {t});" for t in terms[-3::-1]]
            lines.append("    p")
        lines += ["}", ""]
    return lines


def split(name, x, single, double, parts, what):
    lines = [f"// {what}."]
    for dtype, short in (("f32", single), ("f64", double)):
        rest = x
        for part in parts:
            piece = rounded(rest, dtype, None if part == parts[-1] else short)
            rest -= piece
            lines.append(f"fn {name}_{part}_{dtype}() -> {dtype} {{ {literal(piece, dtype)} }}")
    return lines + [""]


def two_over_pi_words(bits, count):
    """Words of the binary expansion of 2/pi, behind one of zeros."""
    mp.mp.prec, before = bits * count + 100, mp.mp.prec
    whole = int(mp.floor(mp.ldexp(2 / mp.pi, bits * count)))
    mp.mp.prec = before
    mask = (1 << bits) - 1
    return [0] + [(whole >> (bits * (count - 1 - n))) & mask for n in range(count)]


def table(bits, count):
    """Four words of 2/pi from word `n` on, by selects: halves of the table, then of what is left."""
    t = f"u{bits}"
    words = two_over_pi_words(bits, count)
    digits = bits // 4
    names = [f"0x{w:0{digits}x}" for w in words]
    steps = []
    step = 1
    while step + 4 <= len(words):
        steps.append(step)
        step *= 2
    lines = [f"// Four words of the bits of 2/pi, from word n on; word 0 is zero, word 1 holds the first {bits} bits.",
             f"fn two_over_pi_words_{t}(n: i32) -> ({t}, {t}, {t}, {t}) {{"]
    for step in reversed(steps):
        keep = 4 + step - 1
        lines.append(f"    let s{step} = n & {step} != 0;")
        new = []
        for k in range(min(keep, len(names))):
            if k + step < len(names):
                lines.append(f"    let w{step}_{k} = select(s{step}, {names[k + step]}, {names[k]});")
                new.append(f"w{step}_{k}")
            else:
                new.append(names[k])
        names = new
    lines += [f"    ({', '.join(names[:4])})", "}", ""]
    return lines


HEADER = [
    "// Polynomials and constants of the library: written by generate.py, which says how they were found and how the",
    "// errors were bounded. Do not edit.",
    "",
]


def elementary(log):
    lines = list(HEADER)
    for entry in POLYNOMIALS:
        lines += polynomial(entry, log)
    for entry in SPLITS:
        lines += split(*entry)
    return lines + table(32, 7) + table(64, 19)


def special(log):
    lines = list(HEADER)
    for entry in SPECIAL_POLYNOMIALS:
        lines += polynomial(entry, log)
    for entry in SPECIAL_SPLITS:
        lines += split(*entry)
    return lines


def main():
    checking = sys.argv[1:] == ["--check"]
    if sys.argv[1:] and not checking:
        sys.exit(f"usage: {sys.argv[0]} [--check]")
    for name, write in (("coefficients.k", elementary), ("special_coefficients.k", special)):
        path = Path(__file__).with_name(name)
        made = "\n".join(write(log=lambda line: print(line, flush=True))).rstrip("\n") + "\n"
        if not checking:
            path.write_text(made)
        elif path.read_text() != made:
            sys.exit(f"{path} is not what this script writes: run it without --check and read the difference")


if __name__ == "__main__":
    main()
