"""saxpy through `kjit call`, compared with NumPy bit for bit: numpy_saxpy.py KJIT saxpy.k

float32 and float64; C order, Fortran order, strided views (by slices of the argument) and big-endian files; 0, 1, 17 and
10 million elements; every target.
"""

import subprocess
import sys

import numpy as np

kjit, source = sys.argv[1:]
TARGETS = ["cpu", "parallel", "gpu"]


def call(target, x, y, out):
    command = [kjit, "call", source, "saxpy", "2.5", x, y, "-o", out, "--target", target]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return np.load(out)


def check(name, target, got, x, y):
    expected = x.dtype.type(2.5) * x + y
    assert got.dtype == expected.dtype, f"{name} {target}: {got.dtype}, not {expected.dtype}"
    assert got.shape == expected.shape, f"{name} {target}: {got.shape}, not {expected.shape}"
    same = np.ascontiguousarray(got).tobytes() == np.ascontiguousarray(expected).tobytes()
    assert same, f"{name} {target}: differs at {np.argwhere(got != expected)[:5].tolist()}"


def cases(dtype, n):
    rng = np.random.default_rng(n)
    x = (rng.standard_normal(n) * 1e3).astype(dtype)
    y = rng.standard_normal(n).astype(dtype)
    yield "contiguous", x, y, x, y, "x.npy", "y.npy"
    if n >= 17:
        yield "strided", x, y, x[::3], y[::-3], "x.npy[::3]", "y.npy[::-3]"
    rows = 10 if n % 10 == 0 else 1
    a, b = x.reshape(rows, n // rows), y.reshape(rows, n // rows)
    yield "fortran", np.asfortranarray(a), b, a, b, "x.npy", "y.npy"
    if n <= 17:
        yield "big-endian", x.astype(x.dtype.newbyteorder(">")), y, x, y, "x.npy", "y.npy"
        yield "broadcast", x.reshape(n, 1), y, x.reshape(n, 1), y, "x.npy", "y.npy"


for dtype in ["float32", "float64"]:
    for n in [0, 1, 17, 10_000_000]:
        for name, file_x, file_y, x, y, arg_x, arg_y in cases(dtype, n):
            np.save("x.npy", file_x)
            np.save("y.npy", file_y)
            for target in TARGETS:
                got = call(target, arg_x, arg_y, "z.npy")
                check(f"{name} {dtype} n={n}", target, got, x, y)
print("saxpy equals NumPy")
