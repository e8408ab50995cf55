"""NumPy beside kjit, through the command line: python3 benches/numpy_peer.py [n]

Prints the time of each in this one run and their ratio. kjit's figure is the `run` line of `--time`: the calls
themselves, as NumPy's figure is; files and process start are in neither.
"""

import os
import re
import subprocess
import sys
import tempfile
import time

import numpy as np

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
KJIT = os.path.join(ROOT, "target", "release", "kjit")
N = int(float(sys.argv[1])) if len(sys.argv) > 1 else 10_000_000

POLYNOMIAL = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3]
SOURCE = """
ufunc saxpy<T: float>(a: T, x: T, y: T) -> T { a * x + y }
ufunc discriminant<T: float>(a: T, b: T, c: T) -> T { sqrt(b * b - 4 * a * c) }
ufunc polynomial<T: float>(x: T) -> T { let mut p: T = 1.0; %s p }
""" % " ".join(f"p = p * x + {c};" for c in POLYNOMIAL)


def horner(x):
    p = np.ones_like(x)
    for c in POLYNOMIAL:
        p = p * x + x.dtype.type(c)
    return p


def best(run, repeats=5):
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def kjit(source, ufunc, args, target):
    command = [KJIT, "call", source, ufunc, *args, "-o", "z.npy", "--target", target, "--time"]
    times = []
    for _ in range(3):
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        times.append(float(re.search(r"run +([0-9.]+) ms", done.stderr).group(1)) / 1e3)
    return min(times)


def main():
    if not os.path.exists(KJIT):
        sys.exit("build kjit first: cargo build --release")
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        with open("bench.k", "w") as file:
            file.write(SOURCE)
        print(f"n = {N}, NumPy {np.__version__}; milliseconds, and NumPy's time over kjit's")
        for dtype in ["float32", "float64"]:
            rng = np.random.default_rng(1)
            x, y, w = (rng.random(N).astype(dtype) for _ in range(3))
            for name, array in [("x", x), ("y", y), ("w", w)]:
                np.save(name + ".npy", array)
            a = x.dtype.type(2.5)
            files = ["x.npy", "y.npy", "w.npy"]
            cases = [
                ("saxpy", lambda: a * x + y, ["2.5", *files[:2]]),
                ("discriminant", lambda: np.sqrt(np.abs(y * y - 4 * x * w)), files),
                ("polynomial", lambda: horner(x), files[:1]),
            ]
            for name, peer, args in cases:
                numpy_time = best(peer)
                line = f"{name:<13}{dtype:<8} numpy {numpy_time * 1e3:8.2f}"
                for target in ["cpu", "parallel"]:
                    ours = kjit("bench.k", name, args, target)
                    line += f"   {target} {ours * 1e3:8.2f} ({numpy_time / ours:.2f} x)"
                print(line)


main()
