"""Numba's side of benches/numba.rs, which starts it: the kernels of benches/common/kernels.rs as loops that Numba compiles."""

import math
import re
import time

import numba
import numpy as np

from ufunc_peer import serve

NDTR = "(0.5 * math.erfc(-({}) * 0.7071067811865476))"

# Inputs, and the body of the loop over i, with x, y and w for the inputs' elements and z for the result's.
KERNELS = {
    "saxpy": ("a ys ws", "zs[i] = a * ys[i] + ws[i]"),
    "discriminant": ("xs ys ws", "zs[i] = math.sqrt(ys[i] * ys[i] - 4.0 * xs[i] * ws[i])"),
    "polynomial": (
        "xs",
        "x = xs[i]; y = 0.5; "
        + "; ".join(f"y = y * x + {n}.{d}" for n in range(4) for d in range(1, 5))
        + "; zs[i] = y",
    ),
    "gaussian": ("xs", "zs[i] = math.exp(-0.5 * xs[i] * xs[i]) * 0.3989422804014327"),
    "black_scholes": (
        "xs ys ws",
        "s = xs[i]; k = ys[i]; t = ws[i]; root = 0.2 * math.sqrt(t); d = (math.log(s / k) + 0.05 * t) / root; "
        f"zs[i] = s * {NDTR.format('d')} - k * math.exp(-0.03 * t) * {NDTR.format('d - root')}",
    ),
    "mandelbrot": (
        "xs ys",
        "zr = 0.0; zi = 0.0; n = 0\n"
        "  while n < 64 and zr * zr + zi * zi <= 4.0:\n"
        "   zr, zi = zr * zr - zi * zi + xs[i], 2.0 * zr * zi + ys[i]; n += 1\n"
        "  zs[i] = n",
    ),
    "sum": ("xs", "total += xs[i]"),
    "dot": ("xs ys", "total += xs[i] * ys[i]"),
}


def values(n, dtype, k, span):
    """The numbers that benches/numba.rs makes."""
    low, high = span
    if low == high:
        return np.dtype(dtype).type(low)
    part = (np.arange(n) * 7919 + k * 104_729) % 10_007 / 10_007.0
    return (low + (high - low) * part).astype(dtype)


def result(name, inputs):
    """Where a kernel writes: a list of one array, or of none."""
    if name in ("sum", "dot"):
        return []
    like = inputs[-1]
    return [np.empty(like.shape, np.int32 if name == "mandelbrot" else like.dtype)]


def kernel(name, dtype, parallel, inputs):
    """The compiled loop, which says how many microseconds it took to compile."""
    params, body = KERNELS[name]
    names = params.split()
    scalar = np.dtype(dtype).type
    known = {"math": math, "prange": numba.prange}

    # Numbers of the kernel's own dtype, as they are in kjit: an f32 times a Python float would be an f64.
    def constant(match):
        known[f"c{len(known)}"] = scalar(match[0])
        return f"c{len(known) - 1}"

    body = re.sub(r"\b\d+\.\d+\b", constant, body)
    size = f"{names[-1]}.size"
    if name in ("sum", "dot"):
        zero = constant(["0.0"])
        text = f"def f({', '.join(names)}):\n total = {zero}\n for i in prange({size}):\n  {body}\n return total"
    else:
        text = f"def f({', '.join(names)}, zs):\n for i in prange({size}):\n  {body}"
    exec(text, known)
    signature = tuple(numba.typeof(v) for v in [*inputs, *result(name, inputs)])
    start = time.perf_counter()
    compiled = numba.njit(signature, parallel=parallel, error_model="numpy")(known["f"])
    compiled.microseconds = (time.perf_counter() - start) * 1e6
    return compiled


def main():
    # Everything of Numba's own is compiled once before times are taken.
    warm = kernel("gaussian", "f4", False, [np.zeros(4, "f4")])
    kernel("sum", "f4", True, [np.zeros(4, "f4")])
    svml = "__svml_" in "".join(warm.inspect_asm().values())
    serve(
        f"numba {numba.__version__}, {'with' if svml else 'WITHOUT'} SVML",
        {"values": values, "result": result, "kernel": kernel},
    )


main()
