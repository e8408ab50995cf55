"""NumPy beside kjit, through the command line: python3 benches/numpy_peer.py [n]

Prints the time of each in this one run and their ratio. Both figures are of the first call in a fresh process, which
also touches the memory of the result for the first time, the best of five processes that take turns: NumPy's is the
expression alone, kjit's the `run` line of `--time`. Files and process start are in neither.
"""

import os
import re
import subprocess
import sys
import tempfile

import numpy as np

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
KJIT = os.path.join(ROOT, "target", "release", "kjit")
N = int(float(sys.argv[1])) if len(sys.argv) > 1 else 10_000_000

POLYNOMIAL = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3]
SOURCE = """
ufunc saxpy<T: float>(a: T, x: T, y: T) -> T { a * x + y }
ufunc discriminant<T: float>(a: T, b: T, c: T) -> T { sqrt(b * b + 4 * a * c) }
ufunc polynomial<T: float>(x: T) -> T { let mut p: T = 1.0; %s p }
""" % " ".join(f"p = p * x + {c};" for c in POLYNOMIAL)


NUMPY = """
import sys, time
import numpy as np
x, y, w = (np.load(name + ".npy") for name in "xyw")
a = x.dtype.type(2.5)
coefficients = [x.dtype.type(c) for c in %r]
def horner(x):
    p = np.ones_like(x)
    for c in coefficients:
        p = p * x + c
    return p
start = time.perf_counter()
z = eval(sys.argv[1])
print(time.perf_counter() - start)
""" % POLYNOMIAL


def numpy(expression):
    done = subprocess.run([sys.executable, "-c", NUMPY, expression], capture_output=True, text=True, check=True)
    return float(done.stdout)


def kjit(source, ufunc, args, target):
    command = [KJIT, "call", source, ufunc, *args, "-o", "z.npy", "--target", target, "--time"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(re.search(r"run +([0-9.]+) ms", done.stderr).group(1)) / 1e3


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
            x, y, w = (rng.uniform(0.1, 0.2, N).astype(dtype) for _ in range(3))
            for name, array in [("x", x), ("y", y), ("w", w)]:
                np.save(name + ".npy", array)
            files = ["x.npy", "y.npy", "w.npy"]
            cases = [
                ("saxpy", "a * x + y", ["2.5", *files[:2]]),
                ("discriminant", "np.sqrt(y * y + 4 * x * w)", ["x.npy", "y.npy", "w.npy"]),
                ("polynomial", "horner(x)", files[:1]),
            ]
            for name, expression, args in cases:
                times = {}
                for _ in range(5):
                    times.setdefault("numpy", []).append(numpy(expression))
                    for target in ["cpu", "parallel"]:
                        times.setdefault(target, []).append(kjit("bench.k", name, args, target))
                best = {who: min(list) for who, list in times.items()}
                line = f"{name:<13}{dtype:<8} numpy {best['numpy'] * 1e3:8.2f}"
                for target in ["cpu", "parallel"]:
                    line += f"   {target} {best[target] * 1e3:8.2f} ({best['numpy'] / best[target]:.2f} x)"
                print(line)


main()
