#!/usr/bin/env python3
"""What NumPy gives for functions that have one right answer: writes `numpy_answers.txt`, beside this file, for
library_numbers_test.rs.

Run it with Python 3.11 or later and NumPy 2:

    python3 frontend/src/library/numpy_answers.py

A line is `function dtypes: argument.. -> answer..`, numbers as their bits in hexadecimal; `dtypes` are those of the
arguments and the answers, in this order.
"""

import warnings
from pathlib import Path

import numpy as np

warnings.simplefilter("ignore")
NAMES = {np.float16: "f16", np.float32: "f32", np.float64: "f64", np.int32: "i32", np.bool_: "bool"}
NAMES |= {np.dtype(f"{s}{8 * n}").type: f"{s[0]}{8 * n}" for s in ("int", "uint") for n in (1, 2, 4, 8)}


def bits(x):
    return x.tobytes()[::-1].hex()


def row(name, args, answers):
    dtypes = " ".join(NAMES[type(x)] for x in [*args, *answers])
    return f"{name} {dtypes}: {' '.join(map(bits, args))} -> {' '.join(map(bits, answers))}"


def floats(t, rng):
    info = np.finfo(t)
    special = [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, info.max, -info.max, info.smallest_normal]
    special += [info.smallest_subnormal, -info.smallest_subnormal, info.smallest_subnormal * 3, 0.5, -2.0, 3.0, 7.25, -7.25]
    more = rng.standard_normal(14) * np.exp2(rng.integers(-12, 12, 14))
    return [t(x) for x in special] + [t(x) for x in more]


def unary(t, rng):
    for x in floats(t, rng):
        for name in ("modf", "spacing", "nan_to_num", "isposinf", "isneginf", "square", "reciprocal", "rint"):
            out = getattr(np, name)(x)
            # For f16 alone NumPy's spacing is that towards +inf.
            if name != "spacing" or t != np.float16 or not np.signbit(x):
                yield name, [x], out if isinstance(out, tuple) else (out,)
        # C leaves the exponent of infinities and NaN open; here it is 0.
        m, e = np.frexp(x)
        yield "frexp", [x], (m, e if np.isfinite(x) else np.int32(0))


def binary(t, rng):
    values = floats(t, rng)
    for x in values:
        for y in rng.choice(np.array(values), 3):
            for name in ("remainder", "floor_divide", "divmod", "nextafter", "heaviside"):
                out = getattr(np, name)(x, y)
                yield name, [x, y], out if isinstance(out, tuple) else (out,)
        for n in [0, 1, -1, *rng.integers(-60, 60, 1), *rng.integers(-2200, 2200, 2), 2**31 - 1, -(2**31)]:
            yield "ldexp", [x, np.int32(n)], (np.ldexp(x, np.int32(n)),)


def integers(t, rng):
    info = np.iinfo(t)
    values = [0, 1, 2, 3, 12, 18, 100, info.max, info.max - 1, info.min, info.min + 1]
    values += [-1, -2, -12] if info.min else []
    values += [int(x) for x in rng.integers(info.min, info.max, 10, dtype=t, endpoint=True)]
    for a in values:
        for b in rng.choice(np.array(values, dtype=t), 3):
            for name in ("remainder", "floor_divide", "divmod", "gcd", "lcm"):
                out = getattr(np, name)(t(a), b)
                yield name, [t(a), b], out if isinstance(out, tuple) else (out,)
            if 0 <= b:
                yield "pow", [t(a), b], (np.power(t(a), b),)


def main():
    rng = np.random.default_rng(1)
    lines = []
    for t in (np.float16, np.float32, np.float64):
        lines += [row(*case) for case in unary(t, rng)]
        lines += [row(*case) for case in binary(t, rng)]
    for t in (np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64):
        lines += [row(*case) for case in integers(t, rng)]
    Path(__file__).with_name("numpy_answers.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
