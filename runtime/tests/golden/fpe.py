"""Writes fpe.txt: which floating-point errors NumPy reports, operation by operation.

Run in this directory with NPY_DISABLE_CPU_FEATURES="X86_V3 X86_V4 AVX512_ICL AVX512_SPR", so that products
of complex numbers are not fused: python3 fpe.py
"""

import itertools

import numpy as np

raised = set()
np.seterrcall(lambda kind, flag: raised.add(kind))
BITS = {"divide by zero": 1, "invalid value": 2, "overflow": 4, "underflow": 0}
lines = []


def number(x, dtype):
    with np.errstate(all="ignore"):
        return np.array([x]).astype(dtype)


def record(name, dtype, function, *args):
    raised.clear()
    with np.errstate(all="call"):
        function(*args)
    parts = []
    for arg in args:
        value = arg[0]
        if np.iscomplexobj(value):
            parts += [repr(float(value.real)), repr(float(value.imag))]
        elif arg.dtype.kind == "f":
            parts.append(repr(float(value)))
        else:
            parts.append(str(int(value)))
    lines.append(f"{name} {dtype} {' '.join(parts)} = {sum(BITS[kind] for kind in raised)}")


FLOATS = {
    "f16": (np.float16, [0.0, -0.0, 1.0, -2.5, 60000.0, -6e4, 1e-7, np.inf, -np.inf, np.nan]),
    "f32": (np.float32, [0.0, -0.0, 1.0, -2.5, 3e38, -3e38, 1e-40, np.inf, -np.inf, np.nan]),
    "f64": (np.float64, [0.0, -0.0, 1.0, -2.5, 1e308, -1e308, 1e-310, np.inf, -np.inf, np.nan]),
}
for dtype, (numpy_dtype, values) in FLOATS.items():
    values = [number(x, numpy_dtype) for x in values]
    for a, b in itertools.product(values, values):
        for name in ["add", "subtract", "multiply", "divide"]:
            record(name, dtype, getattr(np, name), a, b)
    for x in values + [number(x, numpy_dtype) for x in [88.0, 720.0, 12.0, -1.0]]:
        for name in ["sqrt", "log", "log2", "log10", "exp"]:
            record(name, dtype, getattr(np, name), x)
UNARY = {
    "exp2": np.exp2, "expm1": np.expm1, "log1p": np.log1p, "sin": np.sin, "cos": np.cos, "tan": np.tan,
    "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan, "sinh": np.sinh, "cosh": np.cosh, "tanh": np.tanh,
    "asinh": np.arcsinh, "acosh": np.arccosh, "atanh": np.arctanh, "cbrt": np.cbrt, "reciprocal": np.reciprocal,
    "spacing": np.spacing, "floor": np.floor, "sign": np.sign,
}
# Without logaddexp, of which NumPy reports the steps on the way, too: a NaN in its comparison, a difference that overflows.
BINARY = {
    "pow": np.power, "hypot": np.hypot, "atan2": np.arctan2, "fmod": np.fmod, "nextafter": np.nextafter,
    "copysign": np.copysign,
}
for dtype in ["f32", "f64"]:
    numpy_dtype, values = FLOATS[dtype]
    largest = float(np.finfo(numpy_dtype).max)
    values = [number(x, numpy_dtype) for x in values + [-1.0, 0.5, 89.0, 720.0, largest, -largest]]
    for name, function in UNARY.items():
        for x in values:
            record(name, dtype, function, x)
    for name, function in BINARY.items():
        for a, b in itertools.product(values[:10], values[:10]):
            record(name, dtype, function, a, b)
for dtype, numpy_dtype, values in [
    ("i8", np.int8, [0, 1, -1, 7, -128, 127]),
    ("i32", np.int32, [0, 1, -1, 7, -(2**31), 2**31 - 1]),
    ("u16", np.uint16, [0, 1, 7, 65535]),
]:
    for a, b in itertools.product(values, values):
        record("idivide", dtype, np.floor_divide, number(a, numpy_dtype), number(b, numpy_dtype))
CASTS = [0.0, -0.5, -1.0, 127.0, 128.5, -129.0, 65504.0, 65520.0, 2147483520.0, 2147483648.0, 4e9, 1e19,
         3e38, np.inf, -np.inf, np.nan]
for dtype, numpy_dtype in [("f32", np.float32), ("f64", np.float64)]:
    for x in CASTS + ([1e300] if dtype == "f64" else []):
        value = number(x, numpy_dtype)
        record("to_f16", dtype, lambda v: v.astype(np.float16), value)
        # NumPy casts to smaller integers by way of larger ones, and reports for those.
        record("to_i64", dtype, lambda v: v.astype(np.int64), value)
        record("to_i32", dtype, lambda v: v.astype(np.int32), value)
        if dtype == "f64":
            record("to_f32", dtype, lambda v: v.astype(np.float32), value)
for n, parts in enumerate(itertools.product([0.0, 1.0, -2.5, 1e308, np.inf, np.nan], repeat=4)):
    if sum(np.isnan(parts)) > 1 or n % 5 > 1:
        continue
    x, y = number(complex(*parts[:2]), np.complex128), number(complex(*parts[2:]), np.complex128)
    for name in ["add", "multiply", "divide"]:
        if name == "divide" and np.isnan(parts[2:]).any():
            # NumPy's comparison of the divisor's parts is invalid, whatever comes out.
            continue
        record(name, "c128", getattr(np, name), x, y)
print(f"# NumPy {np.__version__}: operation, dtype, arguments, flags: 1 divide, 2 invalid, 4 overflow")
print("\n".join(lines))
