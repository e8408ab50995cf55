#!/usr/bin/env python3
"""Correctly rounded values of the library's functions: writes `answers.txt`, beside this file, for library_test.rs.

Run it with Python 3.11 or later and `mpmath` (pip install mpmath):

    python3 frontend/src/library/answers.py

A line is `function dtype argument.. answer`, numbers as the bits of the float in hexadecimal. Arguments are edges of each
function, some that are hard to reduce or to round, and pseudo-random ones; answers are computed in 2400 bits, which is
more than any argument needs. Special values (NaN, infinities, poles) are in the test itself.
"""

import random
import struct
from pathlib import Path

import mpmath as mp

mp.mp.prec = 2400
FORMATS = {"f32": ("<f", "<I", 8, 24, -149, 128), "f64": ("<d", "<Q", 16, 53, -1074, 1024)}


def to_dtype(x, dtype):
    """The float nearest to x, as a Python float; infinite if it overflows."""
    _, _, _, bits, least, top = FORMATS[dtype]
    if mp.isinf(x) or x == 0:
        return float(x)
    _, e = mp.frexp(x)
    shift = max(int(e) - bits, least)
    rounded = mp.ldexp(mp.nint(mp.ldexp(x, -shift)), shift)
    if abs(rounded) >= mp.ldexp(1, top):
        return float("inf") if x > 0 else float("-inf")
    return float(rounded)


def bits(x, dtype):
    as_float, as_int, digits, *_ = FORMATS[dtype]
    return f"{struct.unpack(as_int, struct.pack(as_float, x))[0]:0{digits}x}"


def turns(f, x):
    """f(pi x) where it is not zero, by way of an exact reduction."""
    r = x - 2 * mp.nint(x / 2)
    return f(mp.pi * r)


UNARY = {
    "exp": mp.exp, "exp2": lambda x: mp.power(2, x), "exp10": lambda x: mp.power(10, x), "expm1": mp.expm1,
    "log": mp.log, "log2": lambda x: mp.log(x) / mp.log(2), "log10": lambda x: mp.log(x) / mp.log(10),
    "log1p": mp.log1p, "cbrt": lambda x: mp.sign(x) * mp.cbrt(abs(x)), "rsqrt": lambda x: 1 / mp.sqrt(x),
    "sin": mp.sin, "cos": mp.cos, "tan": mp.tan, "asin": mp.asin, "acos": mp.acos, "atan": mp.atan,
    "sinh": mp.sinh, "cosh": mp.cosh, "tanh": mp.tanh, "asinh": mp.asinh, "acosh": mp.acosh, "atanh": mp.atanh,
    "sinpi": lambda x: turns(mp.sin, x), "cospi": lambda x: turns(mp.cos, x),
    "tanpi": lambda x: turns(mp.tan, x),
    "degrees": mp.degrees, "radians": mp.radians, "sinc": lambda x: turns(mp.sin, x) / (mp.pi * x),
}
BINARY = {
    "pow": mp.power, "hypot": lambda x, y: mp.sqrt(x * x + y * y), "atan2": mp.atan2,
    "logaddexp": lambda x, y: mp.log(mp.exp(x) + mp.exp(y)),
    "logaddexp2": lambda x, y: mp.log(mp.power(2, x) + mp.power(2, y)) / mp.log(2),
}

# Ranges of the random arguments: powers of two, for both signs or for one.
POSITIVE, ABOVE_1, BELOW_1 = {"log", "log2", "log10", "rsqrt"}, {"acosh"}, {"asin", "acos", "atanh"}
EXPONENTIAL = {"exp", "exp2", "exp10", "expm1", "sinh", "cosh"}
PERIODIC = {"sin", "cos", "tan"}
TURNS = {"sinpi", "cospi", "tanpi", "sinc"}
LATER = {"degrees", "radians", "sinc", "logaddexp", "logaddexp2"}


def arguments(name, dtype, rng):
    _, _, _, _, least, top = FORMATS[dtype]
    limit = {"exp2": top, "exp10": top * 0.301}.get(name, top * 0.693)
    out = []
    for n in range(26):
        sign = rng.choice([-1, 1])
        m = rng.uniform(1, 2)
        if name in POSITIVE:
            x = m * 2.0 ** rng.choice([-1, 0, rng.randint(least + 1, top - 1)])
        elif name in ABOVE_1:
            x = 1 + m * 2.0 ** rng.choice([-1, rng.randint(-20, 60)])
        elif name in BELOW_1:
            x = sign * min(m * 2.0 ** rng.choice([-1, -2, -3, rng.randint(-30, -1)]), 0.999) * 0.5
        elif name in EXPONENTIAL:
            x = rng.uniform(-1, 1) * rng.choice([1, 4, limit])
        elif name in PERIODIC:
            x = sign * m * 2.0 ** rng.choice([-1, 0, 3, 10, rng.randint(0, top - 1)])
        elif name in TURNS:
            x = sign * m * 2.0 ** rng.choice([-2, -1, 0, 3, rng.randint(-20, 18)])
        elif name == "log1p":
            x = rng.choice([m * 2.0 ** rng.randint(-20, 60), -rng.uniform(0, 1), rng.uniform(-0.4, 0.6)])
        elif name == "tanh":
            x = sign * m * 2.0 ** rng.randint(-6, 3)
        else:
            x = sign * m * 2.0 ** rng.choice([-1, 0, rng.randint(-30, 60)])
        out.append(x)
    # Multiples of pi/2 and of pi, where sine and tangent all but vanish; the hardest f64 to reduce (W. Kahan).
    if name in PERIODIC:
        out += [k * 1.5707963267948966 for k in (1, 2, 3, 11, 355, 103993, 1e6, 2.0**25)]
        out += [6381956970095103.0 * 2.0**797, 16367173.0 * 2.0**72] if dtype == "f64" else [16367173.0 * 2.0**72]
    if name in EXPONENTIAL:
        out += [1e-10, -1e-10, limit * 0.9999]
    return [to_dtype(mp.mpf(x), dtype) for x in out]


def pairs(name, dtype, rng):
    _, _, _, _, least, top = FORMATS[dtype]
    for _ in range(60):
        x = rng.uniform(1, 2) * 2.0 ** rng.choice([-1, 0, 1, rng.randint(least + 1, top - 1)])
        if name == "pow":
            log2 = abs(float(mp.log(mp.mpf(x)) / mp.log(2))) or 1.0
            y = rng.uniform(-1, 1) * (top - 1) / log2
            if rng.random() < 0.2:
                x, y = -rng.uniform(0.5, 3), float(rng.randint(-40, 40))
        elif name in ("logaddexp", "logaddexp2"):
            # Not both below 0, where results are near 0 and what is lost is told by the larger argument.
            x = rng.uniform(0, 1) * rng.choice([1, 30, 1000])
            y = x + rng.uniform(-1, 1) * rng.choice([0, 1, 20, 200])
        else:
            y = x * rng.uniform(1, 2) * 2.0 ** rng.randint(-4, 3) * rng.choice([-1, 1])
            x *= rng.choice([-1, 1])
        x, y = to_dtype(mp.mpf(x), dtype), to_dtype(mp.mpf(y), dtype)
        if x and y and abs(x) != float("inf") and abs(y) != float("inf"):
            yield x, y


def source(name, dtype, rng):
    """Random numbers: of one stream for the first functions, of their own for later ones, which change no other rows."""
    return random.Random(f"{name} {dtype}") if name in LATER else rng


def main():
    rng = random.Random(1)
    lines = []
    for dtype in FORMATS:
        for name, f in UNARY.items():
            for x in arguments(name, dtype, source(name, dtype, rng)):
                lines.append(f"{name} {dtype} {bits(x, dtype)} {bits(to_dtype(f(mp.mpf(x)), dtype), dtype)}")
        for name, f in BINARY.items():
            for x, y in pairs(name, dtype, source(name, dtype, rng)):
                answer = to_dtype(f(mp.mpf(x), mp.mpf(y)), dtype)
                lines.append(f"{name} {dtype} {bits(x, dtype)} {bits(y, dtype)} {bits(answer, dtype)}")
    Path(__file__).with_name("answers.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
