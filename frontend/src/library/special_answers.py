#!/usr/bin/env python3
"""Correctly rounded values of the special functions: writes `special_answers.txt`, beside this file, for library_test.rs.

Run it with Python 3.11 or later and `mpmath` (pip install mpmath):

    python3 frontend/src/library/special_answers.py

Lines are those of `answers.py`. Arguments are the edges between the ranges of each function, both ends of its range, some
that are near its zeros and poles, and pseudo-random ones; answers are computed in 400 bits, with what cancels on top.
"""

import random
from pathlib import Path

import mpmath as mp

from answers import FORMATS, bits, to_dtype

mp.mp.prec = 400


def ndtr(x):
    return mp.erfc(-x / mp.sqrt(2)) / 2


def ndtri(p):
    """By way of the smaller tail, where Newton's method for the logarithm ends from anywhere."""
    if p > 0.5:
        return -ndtri(1 - p)
    v = mp.mpf(-1)
    for _ in range(100):
        v -= mp.log(ndtr(v) / p) * ndtr(v) * mp.sqrt(2 * mp.pi) * mp.exp(v * v / 2)
    return v


def lgamma(x):
    return mp.log(abs(mp.gamma(x)))


FUNCTIONS = {
    "erf": mp.erf, "erfc": mp.erfc, "ndtr": ndtr, "erfinv": mp.erfinv, "ndtri": ndtri,
    "gamma": mp.gamma, "lgamma": lgamma, "digamma": mp.digamma,
}

# Ends of the ranges of each method, arguments where results are hard to tell from a number, and ends of results.
EDGES = {
    "erf": [0.5, 0.6, 3.9, 5.9, 1e-30, 1e-40],
    "erfc": [0.25, 0.5, 0.6, 4.0, 9.19, 10.05, 26.5, 27.22, -1e-20, -5.9],
    "erfinv": [0.5, 0.9, 1 - 2.0**-20, 1 - 2.0**-53, 1e-30],
    "ndtri": [0.25, 0.5, 0.75, 0.82, 2.0**-25, 2.0**-54, 1e-30, 1e-40, 1e-300, 5e-324],
    "gamma": [0.5, 2.0, 35.04, 171.6, 1e-20, 1e-38, -1.5, -20.5, -40.25, -100.3, -184.2],
    "lgamma": [0.5, 1.25, 2.5, 1.0, 2.0, 1e-30, 1e6, 1e30, -0.25, -0.5, -1.5],
    "digamma": [0.5, 1.0, 2.0, 3.0, 1.4616321449683623, 1e-20, 1e6, 1e30, -0.125, -1e-10],
    "ndtr": [0.25, 0.5, 5.0, 8.3, -12.9, -14.1, -37.5, -38.4, 1e-20, -1e-20],
}


def spread(name, rng):
    """One pseudo-random argument."""
    size = rng.uniform(1, 2) * 2.0 ** rng.choice([-2, -1, 0, 1, rng.randint(-30, 2)])
    if name == "erf":
        return rng.choice([-1, 1]) * size
    if name == "erfc":
        return rng.choice([size, -size, rng.uniform(0, 10), rng.uniform(5, 27)])
    if name == "ndtr":
        return rng.choice([size, -size, rng.uniform(-14, 0), rng.uniform(-38, -5)])
    if name == "erfinv":
        return rng.choice([rng.uniform(-1, 1), 1 - 2.0 ** -rng.uniform(1, 40)])
    if name == "ndtri":
        return rng.choice([rng.uniform(0, 1), 2.0 ** -rng.uniform(1, 140), 2.0 ** -rng.uniform(1, 1000)])
    if name == "gamma":
        return rng.choice([size, rng.uniform(1, 35), rng.uniform(30, 171), rng.uniform(-40, 0)])
    return rng.choice([size, rng.uniform(0.5, 3), rng.uniform(1, 100), 2.0 ** rng.uniform(0, 60)])


def arguments(name, dtype, rng):
    step = 2.0 ** (1 - FORMATS[dtype][3])
    for x in EDGES[name]:
        yield from (x * (1 - step), x, x * (1 + step))
        if name in ("erf", "erfc", "ndtr", "erfinv"):
            yield -x
    for _ in range(40):
        yield spread(name, rng)


def inside(name, x):
    """Is the result neither a pole nor one of the special values?"""
    return {"erfinv": 0 < abs(x) < 1, "ndtri": 0 < x < 1 and x != 0.5}.get(name, x != 0)


def main():
    rng = random.Random(4)
    lines = []
    for dtype in FORMATS:
        for name, f in FUNCTIONS.items():
            for x in arguments(name, dtype, rng):
                x = to_dtype(mp.mpf(x), dtype)
                if abs(x) == mp.inf or not inside(name, x):
                    continue
                lines.append(f"{name} {dtype} {bits(x, dtype)} {bits(to_dtype(f(mp.mpf(x)), dtype), dtype)}")
    Path(__file__).with_name("special_answers.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
