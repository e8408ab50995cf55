"""Writes numpy_complex.txt: what NumPy's loops answer for complex128, edges above all.

Run with NPY_DISABLE_CPU_FEATURES="X86_V3 X86_V4 AVX512_ICL AVX512_SPR", so that products are not fused
(on other machines NumPy fuses them).
"""

import random

import numpy as np

np.seterr(all="ignore")
random.seed(7)
OPERATIONS = {
    "mul": np.multiply,
    "div": np.divide,
    "min": np.minimum,
    "max": np.maximum,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
    "eq": np.equal,
    "ne": np.not_equal,
}
SMALL = [0.0, -0.0, 1.0, -2.5, np.inf, np.nan]
EDGES = SMALL + [0.1, 3e38, 1e-40, -np.inf, 1e300, 5e-324, 7.0]


def number(re, im):
    z = np.zeros(1, np.complex128)
    z.real, z.imag = re, im
    return z


cases = [[random.choice(SMALL) for _ in range(4)] for _ in range(70)]
cases += [[random.choice(EDGES) for _ in range(4)] for _ in range(50)]
cases += [[random.uniform(-9, 9) for _ in range(4)] for _ in range(20)]
print(f"# NumPy {np.__version__}: operation, both parts of both arguments, the result")
for n, (a, b, c, d) in enumerate(cases):
    for name, function in OPERATIONS.items():
        if n >= 120 and name not in ("mul", "div"):
            continue
        result = function(number(a, b), number(c, d))[0]
        if result.dtype == bool:
            text = str(int(result))
        else:
            text = f"{float(result.real)!r} {float(result.imag)!r}"
        print(name, a, b, c, d, text)
