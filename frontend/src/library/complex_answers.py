#!/usr/bin/env python3
"""Values of functions of complex numbers: writes `complex_answers.txt`, beside this file, for library_complex_test.rs.

Run it with Python 3.11 or later, `mpmath` and NumPy (pip install mpmath numpy):

    python3 frontend/src/library/complex_answers.py

A line is `function dtype re im .. re im`, arguments first, numbers as the bits of the float in hexadecimal, and the answer
rounded from 2400 bits. Lines that start with `edge` have zeros, infinities and NaN, and answers that the C library gives by
way of NumPy, which follow C99 (annex G).
"""

import random
from pathlib import Path

import mpmath as mp
import numpy as np
from answers import FORMATS, bits, to_dtype

mp.mp.prec = 2400
FUNCTIONS = {
    "exp": mp.exp, "exp2": lambda z: mp.exp(z * mp.log(2)), "expm1": mp.expm1, "log": mp.log,
    "log2": lambda z: mp.log(z) / mp.log(2), "log10": lambda z: mp.log(z) / mp.log(10), "log1p": lambda z: mp.log(1 + z),
    "sqrt": mp.sqrt, "sin": mp.sin, "cos": mp.cos, "tan": mp.tan, "sinh": mp.sinh, "cosh": mp.cosh, "tanh": mp.tanh,
    "asin": mp.asin, "acos": mp.acos, "atan": mp.atan, "asinh": mp.asinh, "acosh": mp.acosh, "atanh": mp.atanh,
    "sign": lambda z: z / abs(z),
}
EDGES = ["exp", "log", "sqrt", "sin", "cos", "tan", "sinh", "cosh", "tanh"]
EDGES += ["arcsin", "arccos", "arctan", "arcsinh", "arccosh", "arctanh", "sign"]
GROWING_RE, GROWING_IM = {"exp", "exp2", "expm1", "sinh", "cosh"}, {"sin", "cos"}


def part(name, which, dtype, rng):
    top = FORMATS[dtype][5]
    if name in (GROWING_RE if which == "re" else GROWING_IM):
        return rng.uniform(-1, 1) * rng.choice([1, 10, top * 0.69])
    if name in GROWING_RE | GROWING_IM:
        return rng.uniform(-1, 1) * rng.choice([1, 10, 1000])
    if name in ("tan", "tanh"):
        return rng.uniform(-1, 1) * rng.choice([0.01, 1, 10, 30])
    return rng.choice([-1, 1]) * rng.uniform(1, 2) * 2.0 ** rng.choice([-1, 0, 0, -2, rng.randint(-30, 30), rng.randint(-10, 10)])


def numbers(name, dtype, rng):
    for n in range(40):
        x, y = part(name, "re", dtype, rng), part(name, "im", dtype, rng)
        if n % 8 == 0 and name in ("log", "log2", "log10"):
            angle = rng.uniform(-3, 3)  # near the unit circle
            x, y = float(mp.cos(angle)), float(mp.sin(angle))
        yield to_dtype(mp.mpf(x), dtype), to_dtype(mp.mpf(y), dtype)


# Arguments of which some part, square, product or power is out of range, or lost beside another, where the result is not: for f32
# and for f64.
HARD = {
    "log": [(1e20, 0.9e20), (-4.6e18, -35229.0), (1e-30, 2e-31), (3e38, 3e38), (1e-45, 1e-40), (2.0**-40, 0.0), (2.0**90, 3.0)],
    "sqrt": [(1.27e22, 7.3e-20), (-1.34e18, 1.49e-18), (3e38, 3e38), (1e-45, 3e-44), (-1e-40, 1e-45)],
    "exp": [(100.0, 1e-20), (20.0, 1e-45), (150.0, 1e-40), (-100.0, 1.0), (95.0, 1.5707963)],
    "sin": [(1e-45, 95.0), (1e-30, 120.0)],
    "sinh": [(95.0, 1e-45), (29.0, 1e-45)],
    "exp2": [(0.5, 1e6), (0.5, 60000.0), (20.0, 1e-45), (130.0, 1e-30)],
    "expm1": [(45.0, 1.5707963), (100.0, 1e-20)],
    "asin": [(0.99999994, 1e-45), (1.7e38, 4e37), (1e-30, 1e-30)],
    "acos": [(1.0000001, 1e-45), (1.7e38, 4e37)],
    "sign": [(3.4e38, 8.5e37), (1e-45, 3e-45)],
}
HARD_WIDE = {
    "log": [(1e40, 0.3e40), (-3e150, 1e150), (1e-310, 0.0), (5e-324, 1e-320), (1.7e308, 1.7e308), (2.0**-600, 2.0**-640)],
    "sqrt": [(-1.34e154, 1.49e-154), (1.7e308, 1.7e308), (1e-320, 3e-322), (2.0**1000, 2.0**-500)],
    "exp": [(740.0, 1e-20), (45.0, 5e-324), (1400.0, 1e-310), (-740.0, 1.0), (720.0, 1.5707963267948966)],
    "sin": [(5e-324, 720.0), (1e-300, 1000.0)],
    "sinh": [(720.0, 5e-324), (29.0, 5e-324)],
    "exp2": [(0.5, 1e15), (0.5, 1e12), (90.0, 5e-324), (1100.0, 1e-300)],
    "expm1": [(45.0, 1.5707963267948966), (750.0, 1e-20)],
    "asin": [(0.9999999999999999, 5e-324), (1.797e308, 4.49e307), (1e-200, 1e-200)],
    "acos": [(1.0000000000000002, 5e-324), (1.797e308, 4.49e307)],
    "sign": [(1.797e308, 4.49e307), (5e-324, 1e-323)],
}


def edges():
    """Numbers with a part that is zero, infinite or NaN; numbers on branch cuts from both sides."""
    inf, nan = float("inf"), float("nan")
    parts = [0.0, -0.0, 0.5, -0.5, 1.0, -1.0, 2.0, -2.0, inf, -inf, nan]
    with np.errstate(all="ignore"):
        for name in EDGES:
            f = getattr(np, name)
            for x in parts:
                for y in parts:
                    if all(abs(v) in (0.5, 1.0, 2.0) for v in (x, y)):
                        continue
                    w = f(np.complex128(complex(x, y)))
                    yield f"edge {name} f64 {' '.join(bits(float(v), 'f64') for v in (x, y, w.real, w.imag))}"
        # Infinities beside parts that are large or small, where an exponential or a bound stands in for the infinity.
        for name, x, y in [("exp", inf, 5e-324), ("exp", inf, -1e-300), ("sin", 5e-324, inf), ("sinh", inf, 5e-324),
                           ("cosh", inf, 1e-300), ("tan", inf, 45.0), ("tanh", 45.0, inf), ("tanh", 45.0, nan), ("log", 1e300, inf),
                           ("sqrt", -1e300, inf), ("arcsin", 1e300, inf), ("arctan", inf, 1e300)]:
            w = getattr(np, name)(np.complex128(complex(x, y)))
            yield f"edge {name} f64 {' '.join(bits(float(v), 'f64') for v in (x, y, w.real, w.imag))}"


def main():
    lines = []
    for dtype in FORMATS:
        for name, f in FUNCTIONS.items():
            rng = random.Random(f"{name} {dtype}")
            hard = (HARD if dtype == "f32" else HARD_WIDE).get(name, [])
            hard = [(to_dtype(mp.mpf(x), dtype), to_dtype(mp.mpf(y), dtype)) for x, y in hard]
            for x, y in [*numbers(name, dtype, rng), *hard]:
                w = mp.mpc(f(mp.mpc(x, y)))
                words = [bits(v, dtype) for v in (x, y, to_dtype(w.real, dtype), to_dtype(w.imag, dtype))]
                lines.append(f"{name} {dtype} {' '.join(words)}")
        rng = random.Random(f"pow {dtype}")
        for n in range(40):
            z = [to_dtype(mp.mpf(rng.uniform(-3, 3)), dtype) for _ in range(2)]
            w = [to_dtype(mp.mpf(rng.uniform(-3, 3)), dtype) for _ in range(2)]
            if n % 4 == 0:
                w = [float(rng.randint(-9, 9)), 0.0]
            v = mp.power(mp.mpc(*z), mp.mpc(*w))
            answer = [to_dtype(v.real, dtype), to_dtype(v.imag, dtype)]
            lines.append(f"pow {dtype} {' '.join(bits(x, dtype) for x in z + w + answer)}")
    lines += edges()
    Path(__file__).with_name("complex_answers.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
