"""Records NumPy's (and SciPy's) answers for the conformance table: python3 tests/conformance/generate.py

Writes tests/conformance/answers.txt, beside this file. Lines of it:

    numpy VERSION                               what made the answers; scipy VERSION, python VERSION
    in NAME DTYPE SHAPE HEX                     an input: the bytes of its elements in C order, little-endian
    in NAME DTYPE SHAPE mix:SEED                an input that both sides compute (see `mix`)
    answer @NUMBER ANSWER                       an answer, named so that cases can share it
    case METHOD OP DTYPE LAYOUTS KEY=VALUE ..   one call, to be made once for each of these layouts
    none METHOD DTYPES LAYOUTS REASON           why these cells of the table have no case

An argument of a case is `NAME`, `NAME>SHAPE` (a view of it that repeats), `NAME~SHAPE` (windows: a view whose rows start
one element apart), `NAME[A:B]` (part of the first axis) or `#NUMBER` (a plain number). The answer is `error`, a named one, or
outputs `DTYPE:SHAPE:HEX` separated by `;`. `tol` says how it is compared:

    exact       the same bits (any NaN for a NaN)
    zeros       the same, but zeros may differ in sign: NumPy leaves it open which zero `maximum` gives, and that of a
                product of complex numbers depends on the order of the factors
    ulp:N       at most N units in the last place from the answer, which is computed in extended precision
    bound:B     at most B from the exact sum: see `sum_bound`

Layouts that only move elements in memory (LAYOUTS of a case) must not change the answer: NumPy is asked with each of
them, and has to agree with itself before the answer is written.
"""

import math
import os
import platform
import warnings

import numpy as np
import scipy
import scipy.ndimage
import scipy.special

np.seterr(all="ignore")
warnings.simplefilter("ignore")

DTYPES = {
    "bool": np.bool_, "i8": np.int8, "i16": np.int16, "i32": np.int32, "i64": np.int64,
    "u8": np.uint8, "u16": np.uint16, "u32": np.uint32, "u64": np.uint64,
    "f16": np.float16, "f32": np.float32, "f64": np.float64, "c64": np.complex64, "c128": np.complex128,
}
NAMES = {np.dtype(d): name for name, d in DTYPES.items()}
INTS = [n for n in DTYPES if n[0] in "iu"]
FLOATS = ["f16", "f32", "f64"]
COMPLEX = ["c64", "c128"]
SAME = ["contiguous", "strided", "negative", "fortran", "unaligned"]
LAYOUTS = [*SAME, "broadcast", "overlapping", "empty"]

lines = []
inputs = {}
answers = {}


def is_float(d):
    return d in FLOATS


def is_complex(d):
    return d in COMPLEX


def name_of(dtype):
    return NAMES[np.dtype(dtype)]


def ops(d):
    if d == "bool":
        return ["logical_or", "logical_and", "logical_xor"]
    if d in INTS:
        return ["add", "subtract", "multiply", "maximum", "bitwise_xor"]
    if is_float(d):
        return ["add", "subtract", "multiply", "maximum", "divide"]
    return ["add", "subtract", "multiply", "maximum"]


# ---- inputs --------------------------------------------------------------------------------------------------------


def cycle(values, d, shape):
    n = math.prod(shape)
    with np.errstate(all="ignore"):
        return np.resize(np.array(values, dtype=DTYPES[d]), n).reshape(shape)


def edge_values(d, second):
    """Values at the edges of a dtype; `second` gives partners for them."""
    if d == "bool":
        return [True, False, False] if second else [True, True, False, False]
    if d in INTS:
        info = np.iinfo(DTYPES[d])
        low, high = int(info.min), int(info.max)
        a = [0, 1, high, low, high - 1, low + 1, 2, 3, 5, 7, 100, 17, high // 2, 64, 11, 13, 99]
        b = [1, high, high, low, 2, low, 3, 7, 0, 64, 27, 5, 3]
        return b if second else a
    if is_float(d):
        info = np.finfo(DTYPES[d])
        tiny, sub = float(info.tiny), float(info.smallest_subnormal)
        big, eps = float(info.max), float(info.eps)
        a = [0.0, -0.0, 1.0, math.nan, math.inf, -math.inf, tiny, sub, big, 1 + eps, 1 / 3, -2.5, 0.1, 7.0, 1e-3, 3 * sub, -1.0]
        b = [-0.0, 3.0, 1 / 3, 1.5, -math.inf, math.nan, -1.0, tiny / 2, 2.0, eps / 2, -0.75, big, 0.7]
        return b if second else a
    nan, inf = math.nan, math.inf
    # dyadic and far from the subnormals, so that every product is exact: NumPy fuses some of them
    a = [complex(0, 0), complex(-0.0, 0.0), complex(1, 2), complex(-1.5, 0.25), complex(nan, 1), complex(1, nan), complex(inf, 0),
         complex(0, -inf), complex(3, -4), complex(2, 0), complex(0.5, 0.5), complex(1, 1), complex(-8, 2.75)]
    b = [complex(1, 1), complex(2, -0.5), complex(-3, 0.75), complex(0, 1), complex(1, 2), complex(inf, inf), complex(1, -2)]
    return b if second else a


def dyadic(d, shape, seed):
    """Numbers whose sums are exact in the dtype, in any order."""
    rng = np.random.default_rng(seed)
    if d == "bool":
        return rng.integers(0, 2, shape).astype(bool)
    if d in INTS:
        info = np.iinfo(DTYPES[d])
        return rng.integers(info.min, info.max, shape, dtype=DTYPES[d], endpoint=True)
    if is_complex(d):
        parts = rng.integers(-32, 33, (2, *shape)) / 4
        return (parts[0] + 1j * parts[1]).astype(DTYPES[d])
    return (rng.integers(-32, 33, shape) / 4).astype(DTYPES[d])


def factors(d, shape, seed):
    """Numbers whose products are exact in the dtype, in any order."""
    rng = np.random.default_rng(seed)
    if d == "bool" or d in INTS:
        return dyadic(d, shape, seed)
    if is_complex(d):
        return rng.choice(np.array([1, -1, 1j, -1j, 1, 1j], dtype=DTYPES[d]), shape)
    flat = rng.choice(np.array([1, -1, 1, 2, 0.5]), shape).astype(DTYPES[d]).ravel()
    if flat.size > 17:
        flat[::17] *= 1.5
    return flat.reshape(shape)


def small(d, shape, seed):
    """Numbers whose sums of products are exact in the dtype, in any order."""
    rng = np.random.default_rng(seed)
    if d == "bool" or d in INTS:
        return dyadic(d, shape, seed)
    if is_complex(d):
        parts = rng.integers(-6, 7, (2, *shape)) / 2
        return (parts[0] + 1j * parts[1]).astype(DTYPES[d])
    return (rng.integers(-6, 7, shape) / 2).astype(DTYPES[d])


def mix(n, seed, d):
    """Numbers in [0, 1): the upper 24 bits of a product, so that each is exact in f32 and f64."""
    k = (np.arange(n, dtype=np.uint64) + np.uint64(seed)) * np.uint64(0x9E3779B97F4A7C15)
    k ^= k >> np.uint64(29)
    k *= np.uint64(0xBF58476D1CE4E5B9)
    return ((k >> np.uint64(40)).astype(np.float64) / 2.0**24).astype(DTYPES[d])


def shape_text(shape):
    return ",".join(map(str, shape)) if shape else "-"


def little(a):
    a = np.asarray(a)
    return np.ascontiguousarray(a).astype(a.dtype.newbyteorder("<")).tobytes().hex()


def put(name, a):
    a = np.asarray(a)
    assert name not in inputs, name
    inputs[name] = a
    lines.append(f"in {name} {name_of(a.dtype)} {shape_text(a.shape)} {little(a)}")
    return name


def put_mix(name, d, shape, seed):
    inputs[name] = mix(math.prod(shape), seed, d).reshape(shape)
    lines.append(f"in {name} {d} {shape_text(shape)} mix:{seed}")
    return name


# ---- cases ---------------------------------------------------------------------------------------------------------


def relayout(a, layout):
    """The same elements elsewhere in memory."""
    if layout == "strided":
        base = np.zeros([2 * n for n in a.shape], a.dtype)
        view = base[tuple(slice(None, None, 2) for _ in a.shape)]
    elif layout == "negative":
        base = np.zeros(a.shape, a.dtype)
        view = base[tuple(slice(None, None, -1) for _ in a.shape)]
    elif layout == "fortran":
        view = np.zeros(a.shape, a.dtype, order="F")
    elif layout == "unaligned":
        view = np.zeros(a.nbytes + 1, np.uint8)[1:].view(a.dtype).reshape(a.shape)
    else:
        return a
    view[...] = a
    return view


def windows(a, shape):
    return np.lib.stride_tricks.as_strided(a, shape, (a.itemsize, a.itemsize))


def resolve(text, layout):
    """The array or number that an argument's text names."""
    if text.startswith("#"):
        return float(text[1:]) if "." in text else int(text[1:])
    for mark in ">~":
        if mark in text:
            name, shape = text.split(mark)
            shape = tuple(map(int, shape.split(",")))
            base = relayout(inputs[name], layout)
            return np.broadcast_to(base, shape) if mark == ">" else windows(inputs[name], shape)
    if text.endswith("]"):
        name, span = text[:-1].split("[")
        start, stop = (int(s) if s else None for s in span.split(":"))
        return inputs[name][start:stop]
    return relayout(inputs[text], layout)


def same(a, b, zeros):
    """Bits are the same, but for NaNs, and where asked for signs of zeros."""
    if len(a) != len(b):
        return False
    for x, y in zip(a, b):
        if x.dtype != y.dtype or x.shape != y.shape:
            return False
        if x.dtype.kind == "c":
            part = np.float32 if x.dtype == np.complex64 else np.float64
            x, y = (np.ascontiguousarray(v).view(part) for v in (x.reshape(-1), y.reshape(-1)))
        if x.dtype.kind == "f":
            bits = f"u{x.dtype.itemsize}"
            equal = np.ascontiguousarray(x).view(bits) == np.ascontiguousarray(y).view(bits)
            equal |= np.isnan(x) & np.isnan(y)
            if zeros:
                equal |= (x == 0) & (y == 0)
            if not equal.all():
                return False
        elif not (x == y).all():
            return False
    return True


def case(method, op, d, layouts, args, run, tol="exact", answer=None, **keys):
    """Asks NumPy by `run(arrays)` with each layout, and writes what it answers."""
    if op == "maximum" or (op == "multiply" and is_complex(d) and method.startswith("reduce")):
        tol = "zeros"
    first = None
    for layout in layouts:
        try:
            result = run([resolve(a, layout) for a in args])
            result = [np.asarray(r) for r in (result if isinstance(result, tuple) else (result,))]
        except (TypeError, ValueError, IndexError, OverflowError) as error:
            result = error
        if tol in ["exact", "zeros"]:
            agrees = first is None or (isinstance(first, Exception) and isinstance(result, Exception)) or (
                not isinstance(first, Exception) and same(first, result, tol == "zeros"))
            assert agrees, (method, op, d, layout, first, result)
        if first is None:
            first = result
    if answer is not None:
        first = [np.asarray(answer)]
    words = [f"{k}={v}" for k, v in keys.items() if v is not None]
    if isinstance(first, Exception):
        out = "error"
    else:
        out = ";".join(f"{name_of(r.dtype)}:{shape_text(r.shape)}:{little(r)}" for r in first)
    if len(out) > 60:
        # many calls have the same answer: it is written once
        if out not in answers:
            answers[out] = f"@{len(answers)}"
            lines.append(f"answer {answers[out]} {out}")
        out = answers[out]
    lines.append(" ".join(["case", method, op, d, ",".join(layouts), "args=" + "|".join(args), *words, f"tol={tol}", f"answer={out}"]))


def none(method, dtypes, layouts, reason):
    lines.append(f"none {method} {','.join(dtypes)} {','.join(layouts)} {reason}")


def function(op):
    if op == "sum_difference":
        return lambda a, b: (np.add(a, b), np.subtract(a, b))
    return getattr(np, op)


# ---- calls ---------------------------------------------------------------------------------------------------------


def put_inputs(d):
    """The arrays that the cases of a dtype share."""
    shape = (2, 19)
    put(f"x.{d}", cycle(edge_values(d, False), d, shape))
    put(f"y.{d}", cycle(edge_values(d, True), d, shape))
    put(f"row.{d}", cycle(edge_values(d, True)[1:], d, (19,)))
    put(f"column.{d}", cycle(edge_values(d, False)[2:], d, (2, 1)))
    put(f"one.{d}", cycle(edge_values(d, True)[1:], d, ()))
    put(f"e.{d}", np.zeros((0, 19), DTYPES[d]))
    put(f"long.{d}", cycle(edge_values(d, False), d, (39,)))
    put(f"old.{d}", dyadic(d, shape, 4))
    put(f"s.{d}", dyadic(d, (4, 3, 5), 1))
    put(f"p.{d}", factors(d, (4, 3, 5), 2))
    put(f"sv.{d}", dyadic(d, (3, 1), 5))
    put(f"pv.{d}", factors(d, (3, 1), 6))
    put(f"sw.{d}", dyadic(d, (12,), 7))
    put(f"pw.{d}", factors(d, (12,), 8))
    put(f"e3.{d}", np.zeros((4, 0, 5), DTYPES[d]))
    put(f"e0.{d}", np.zeros((0, 3, 5), DTYPES[d]))
    put(f"pos.{d}", (np.arange(14) * 4 if d != "bool" else np.arange(14) % 3 == 0).astype(DTYPES[d]).reshape(2, 7))
    put(f"a.{d}", small(d, (2, 3, 4), 9))
    put(f"b.{d}", small(d, (2, 4, 2), 10))
    put(f"ew.{d}", np.zeros((3, 0), DTYPES[d]))


def calls(d):
    extra = [] if d == "bool" else ["sum_difference"]
    extra += ["less"] if d in INTS or is_float(d) else []
    for op in ops(d) + extra:
        f = function(op)
        call = lambda v: f(*v)
        case("call", op, d, SAME, [f"x.{d}", f"y.{d}"], call)
        for other in ["row", "column", "one"]:
            case("call", op, d, ["broadcast"], [f"x.{d}", f"{other}.{d}"], call)
        case("call", op, d, ["broadcast"], [f"column.{d}", f"row.{d}>2,19"], call)
        case("call", op, d, ["empty"], [f"e.{d}", f"row.{d}"], call)
        case("call", op, d, ["overlapping"], [f"long.{d}~2,19", f"long.{d}[19:38]"], call)
    # an output that shares memory with the inputs, ahead of them, behind them and in place
    for op in ops(d)[:2]:
        f = function(op)
        for source, target in [("[:-1]", "[1:]"), ("[1:]", "[:-1]"), ("[:]", "[:]")]:
            def shared(v, source=source, target=target):
                base = inputs[f"long.{d}"].copy()
                at = lambda text: base[slice(*(int(s) if s else None for s in text[1:-1].split(":")))]
                f(at(source), v[1], out=at(target))
                return at(target)
            case("call", op, d, ["overlapping"], [f"long.{d}{source}", f"one.{d}"], shared, out=f"long.{d}{target}")


def mask(shape):
    return (np.arange(math.prod(shape)) * 7 % 5 < 3).reshape(shape)


def calls_where(d):
    for op in ops(d)[:3]:
        f = function(op)
        def run(v, m=None):
            out = v[3].copy()
            f(v[0], v[1], out=out, where=v[2])
            return out
        keys = {"where": "mask", "out": f"old.{d}"}
        case("call_where", op, d, SAME, [f"x.{d}", f"y.{d}", "mask", f"old.{d}"], run, **keys)
        keys["where"] = "maskrow"
        case("call_where", op, d, ["broadcast"], [f"x.{d}", f"one.{d}", "maskrow", f"old.{d}"], run, **keys)
        case("call_where", op, d, ["empty"], [f"e.{d}", f"e.{d}", "maskrow", f"e.{d}"], run, where="maskrow", out=f"e.{d}")
        def shared(v):
            base = inputs[f"long.{d}"].copy()
            f(base[1:], v[1], out=base[:-1], where=v[2])
            return base[:-1]
        case("call_where", op, d, ["overlapping"], [f"long.{d}[1:]", f"one.{d}", "masklong", f"long.{d}[:-1]"], shared,
             where="masklong", out=f"long.{d}[:-1]")


def out_dtypes(d):
    """Other dtypes that take results of this one under same_kind."""
    found = [o for o in DTYPES if o != d and np.can_cast(DTYPES[d], DTYPES[o], "same_kind")]
    narrower = [o for o in found if not np.can_cast(DTYPES[d], DTYPES[o], "safe")]
    wider = [o for o in found if np.can_cast(DTYPES[d], DTYPES[o], "safe")]
    return narrower[:2] + wider[:1] + wider[-1:]


def calls_out(d):
    for op in ops(d)[:2]:
        f = function(op)
        for o in out_dtypes(d):
            def run(v):
                out = np.zeros(np.broadcast_shapes(*(np.shape(a) for a in v)), DTYPES[o])
                return f(*v, out=out)
            case("call_out", op, d, SAME, [f"x.{d}", f"y.{d}"], run, outdtype=o)
            case("call_out", op, d, ["broadcast"], [f"x.{d}", f"row.{d}"], run, outdtype=o)
            case("call_out", op, d, ["empty"], [f"e.{d}", f"e.{d}"], run, outdtype=o)
            case("call_out", op, d, ["overlapping"], [f"long.{d}~2,19", f"row.{d}"], run, outdtype=o)
    worse = {"bool": None, "c64": "f32", "c128": "f64"}.get(d, "bool")
    if worse:
        # a result that does not go into the output
        def run(v):
            return function(ops(d)[0])(*v, out=np.zeros((2, 19), DTYPES[worse]))
        case("call_out", ops(d)[0], d, ["contiguous"], [f"x.{d}", f"y.{d}"], run, outdtype=worse)
    def run(v):
        return function(ops(d)[0])(*v, out=np.zeros((3, 19), DTYPES[d]))
    case("call_out", ops(d)[0], d, ["contiguous"], [f"x.{d}", f"y.{d}"], run, outshape="3,19")


def calls_mixed(d):
    for other in DTYPES:
        if other == d or (d, other) in [("bool", "bool")]:
            continue
        add = lambda v: np.add(*v)
        case("call_mixed", "add", d, SAME if other in ["i8", "u64", "f32", "c128"] else ["contiguous", "strided"],
             [f"x.{d}", f"y.{other}"], add)
        if other in ["i16", "f64"]:
            case("call_mixed", "add", d, ["broadcast"], [f"x.{d}", f"row.{other}"], add)
            case("call_mixed", "add", d, ["overlapping"], [f"long.{d}~2,19", f"row.{other}"], add)
            case("call_mixed", "add", d, ["empty"], [f"e.{d}", f"row.{other}"], add)
    if d != "bool":
        for number in ["#2", "#-1", "#300", "#1.5", "#100000"]:
            # a plain number takes the dtype of the array, or the default of its kind
            for op in ["add", "multiply"]:
                if op == "multiply" and is_complex(d):
                    continue
                f = function(op)
                case("call_mixed", op, d, ["contiguous", "negative"], [f"x.{d}", number], lambda v: f(*v))
                case("call_mixed", op, d, ["contiguous"], [number, f"x.{d}"], lambda v: f(*v))


def calls_casting(d):
    op = ops(d)[0]
    f = function(op)
    if d == "bool":
        for casting in ["no", "equiv", "safe", "same_kind", "unsafe"]:
            case("call_casting", op, d, SAME, [f"x.{d}", f"y.{d}"], lambda v: f(*v, casting=casting), casting=casting)
        return
    for target in DTYPES:
        if target == "bool":
            continue
        for casting in ["no", "equiv", "safe", "same_kind", "unsafe"]:
            # the lossy conversions of C that NumPy leaves open are not asked for: `pos` fits every dtype
            layouts = SAME if casting == "unsafe" and target in ["i8", "f16", "f32", "c128"] else ["contiguous"]
            run = lambda v: f(*v, dtype=DTYPES[target], casting=casting)
            case("call_casting", op, d, layouts, [f"pos.{d}", f"pos.{d}"], run, dtype=target, casting=casting)
    for other in ["i16", "f64"]:
        for casting in ["no", "same_kind"]:
            run = lambda v: f(*v, casting=casting)
            case("call_casting", op, d, ["contiguous"], [f"pos.{d}", f"pos.{other}"], run, casting=casting)
    c = np.dtype(DTYPES[d]).char
    for signature in [f"{c}{c}->{c}", "dd->d", "FF->F", "bb->b"]:
        run = lambda v: f(*v, signature=signature, casting="unsafe")
        case("call_casting", op, d, ["contiguous", "strided"], [f"pos.{d}", f"pos.{d}"], run, signature=signature, casting="unsafe")


# ---- methods -------------------------------------------------------------------------------------------------------


def operand(op, d):
    """Which input a fold of this operation takes: one on which every order gives the same."""
    return "p" if op in ["multiply", "divide"] else "s"


def fold_ops(d):
    return ops(d)[:4]


def axis_text(axis):
    return "none" if axis is None else ",".join(map(str, axis)) + ("," if len(axis) == 1 else "") if isinstance(axis, tuple) else str(axis)


def sum_bound(values, d):
    """Bound of the error of a sum of n numbers by leaves of 16 lanes and a balanced tree (docs/numerics.md): each number
    passes at most ceil(min(n, 1024) / 16) + 4 + ceil(log2(leaves)) + 1 roundings of half an ulp."""
    n = values.size
    depth = math.ceil(min(n, 1024) / 16) + 4 + math.ceil(math.log2(max(1, math.ceil(n / 1024)))) + 1
    u = float(np.finfo(DTYPES[d]).eps) / 2
    return depth * u / (1 - depth * u) * math.fsum(abs(float(v)) for v in values.ravel())


def reductions(d):
    for op in fold_ops(d):
        f = function(op)
        k = operand(op, d)
        x, view, w = f"{k}.{d}", f"{k}v.{d}>4,3,5", f"{k}w.{d}~4,3"
        def both(method, layouts=SAME, wide=True, mask=None, **keys):
            python = {}
            for key, value in keys.items():
                if key == "dtype":
                    python[key] = DTYPES[value]
                elif key == "initial":
                    python[key] = value
                else:
                    python[key] = value
            text = dict(keys)
            if "axis" in text:
                text["axis"] = axis_text(text["axis"])
            if "keepdims" in text:
                text["keepdims"] = "true"
            m = {"where": mask} if mask else {}
            def run(v):
                return f.reduce(v[0], **python, **({"where": v[1]} if mask else {}))
            extra = [mask] if mask else []
            case(method, op, d, layouts, [x, *extra], run, **text, **m)
            if wide:
                case(method, op, d, ["broadcast"], [view, *extra], run, **text, **m)
        both("reduce_axis0", axis=0)
        both("reduce_axis-1", axis=-1)
        both("reduce_all", axis=None)
        both("reduce_axes", axis=(0, 2))
        both("reduce_axes", axis=(-1, 1), layouts=["contiguous", "fortran"], wide=False)
        both("reduce_axes", axis=(), layouts=["contiguous", "negative"], wide=False)
        both("reduce_keepdims", axis=1, keepdims=True)
        both("reduce_keepdims", axis=None, keepdims=True, layouts=["contiguous", "strided"], wide=False)
        start = True if d == "bool" else 3
        both("reduce_initial", axis=1, initial=start)
        if op not in ["subtract", "divide"]:
            both("reduce_initial", axis=None, initial=start, layouts=["contiguous", "unaligned"], wide=False)
            first = {"initial": start} if op in ["maximum"] else {}
            both("reduce_where", axis=0, mask="mask3", **first)
            both("reduce_where", axis=None, mask="mask3row", layouts=["contiguous", "fortran"], wide=False, **first)
        else:
            both("reduce_where", axis=0, mask="mask3")
        for e in ["e3", "e0"]:
            for method, keys in [("reduce_axis0", {"axis": 0}), ("reduce_axis-1", {"axis": -1}), ("reduce_all", {"axis": None}),
                                 ("reduce_axes", {"axis": (0, 1)}), ("reduce_keepdims", {"axis": 1, "keepdims": True}),
                                 ("reduce_initial", {"axis": 0, "initial": start})]:
                text = dict(keys)
                text["axis"] = axis_text(text["axis"])
                if "keepdims" in text:
                    text["keepdims"] = "true"
                case(method, op, d, ["empty"], [f"{e}.{d}"], lambda v: f.reduce(v[0], **keys), **text)
        case("reduce_where", op, d, ["empty"], [f"e3.{d}", "mask0"], lambda v: f.reduce(v[0], axis=0, where=v[1]), axis="0", where="mask0")
        for method, axis in [("reduce_axis0", 0), ("reduce_axis-1", -1), ("reduce_all", None), ("reduce_axes", (0, 1)), ("reduce_keepdims", 0)]:
            keep = {"keepdims": True} if method == "reduce_keepdims" else {}
            text = {"keepdims": "true"} if keep else {}
            case(method, op, d, ["overlapping"], [w], lambda v: f.reduce(v[0], axis=axis, **keep), axis=axis_text(axis), **text)
        case("reduce_initial", op, d, ["overlapping"], [w], lambda v: f.reduce(v[0], axis=0, initial=start), axis="0", initial=start)
        if op not in ["maximum", "subtract", "divide", "logical_xor"]:
            case("reduce_where", op, d, ["overlapping"], [w, "maskw"], lambda v: f.reduce(v[0], axis=0, where=v[1]), axis="0", where="maskw")
        accumulations(op, f, d, x, f"{k}v.{d}>3,4", w)
    reductions_dtype(d)
    if is_float(d) or is_complex(d):
        accuracy(d)


def accumulations(op, f, d, x, view, w):
    for axis in [0, -1]:
        case("accumulate", op, d, SAME, [x], lambda v: f.accumulate(v[0], axis=axis), axis=axis)
    case("accumulate", op, d, ["broadcast"], [view], lambda v: f.accumulate(v[0], axis=1), axis=1)
    case("accumulate", op, d, ["overlapping"], [w], lambda v: f.accumulate(v[0], axis=0), axis=0)
    for e in ["e3", "e0"]:
        case("accumulate", op, d, ["empty"], [f"{e}.{d}"], lambda v: f.accumulate(v[0], axis=1), axis=1)
    for axis, index in [(0, "index0"), (-1, "index2")]:
        case("reduceat", op, d, SAME, [x, index], lambda v: f.reduceat(v[0], np.ascontiguousarray(v[1]), axis=axis), axis=axis)
    case("reduceat", op, d, ["broadcast"], [view, "index1"], lambda v: f.reduceat(v[0], v[1], axis=1), axis=1)
    case("reduceat", op, d, ["overlapping"], [w, "index0"], lambda v: f.reduceat(v[0], v[1], axis=0), axis=0)
    case("reduceat", op, d, ["empty"], [f"e3.{d}", "index0"], lambda v: f.reduceat(v[0], v[1], axis=0), axis=0)
    case("reduceat", op, d, ["empty"], [f"e0.{d}", "index0"], lambda v: f.reduceat(v[0], v[1], axis=0), axis=0)
    case("reduceat", op, d, ["contiguous"], [x, "indexbad"], lambda v: f.reduceat(v[0], v[1], axis=0), axis=0)


def reductions_dtype(d):
    if d == "bool":
        none("reduce_dtype", ["bool"], LAYOUTS, "the operations of bool have no other dtype: `+` of bools is not in the language")
        return
    for op in ["add", "maximum"]:
        f = function(op)
        targets = [t for t in DTYPES if t != "bool" and t != d and np.can_cast(DTYPES[d], DTYPES[t], "same_kind")]
        for target in targets[:1] + targets[-2:]:
            run = lambda v: f.reduce(v[0], axis=0, dtype=DTYPES[target])
            keys = {"axis": 0, "dtype": target}
            # sums of them fit every dtype
            case("reduce_dtype", op, d, SAME, [f"pos.{d}"], run, **keys)
            case("reduce_dtype", op, d, ["broadcast"], [f"pos.{d}>2,2,7"], run, **keys)
            case("reduce_dtype", op, d, ["empty"], [f"e.{d}"], run, **keys)
            case("reduce_dtype", op, d, ["overlapping"], [f"posw.{d}~4,3"], run, **keys)
    if is_complex(d):
        return
    # into a smaller dtype of the same kind: cast first, then added
    case("reduce_dtype", "add", d, SAME, [f"pos.{d}"], lambda v: np.add.reduce(v[0], axis=1, dtype=DTYPES[d]), axis=1, dtype=d)


def accuracy(d):
    """Sums that round: against the exact sum, within the bound of the tree."""
    if is_complex(d):
        none_part = "f32" if d == "c64" else "f64"
        name = put(f"g.{d}", (mix(120, 3, none_part) - 1j * mix(120, 77, none_part)).astype(DTYPES[d]).reshape(40, 3))
        x = inputs[name]
        for axis, method in [(0, "reduce_axis0"), (-1, "reduce_axis-1"), (None, "reduce_all")]:
            sums = [np.apply_along_axis(math.fsum, axis, p.astype(float)) if axis is not None else np.array(math.fsum(p.astype(float).ravel()))
                    for p in (x.real, x.imag)]
            exact = (sums[0] + 1j * sums[1]).astype(DTYPES[d])
            bound = sum_bound(np.abs(x.real), none_part)
            case(method, "add", d, ["contiguous", "strided"], [name], lambda v: np.add.reduce(v[0], axis=axis), tol=f"bound:{bound!r}",
                 answer=exact, axis=axis_text(axis))
        return
    for name, shape in [("g", (40, 30)), ("big", (70, 301))]:
        name = put_mix(f"{name}.{d}", d, shape, 5)
        x = inputs[name]
        for axis, method in [(0, "reduce_axis0"), (-1, "reduce_axis-1"), (None, "reduce_all")]:
            exact = np.apply_along_axis(math.fsum, axis, x.astype(float)) if axis is not None else np.array(math.fsum(x.astype(float).ravel()))
            if axis is None and d == "f16":
                continue  # their sum leaves few digits of f16
            # the answer is itself rounded to the dtype: half an ulp more
            lane = x if axis is None else np.moveaxis(x, axis, 0)[:, 0] * 0 + 1
            bound = sum_bound(lane, d) + float(np.max(np.abs(exact))) * float(np.finfo(DTYPES[d]).eps)
            case(method, "add", d, SAME, [name], lambda v: np.add.reduce(v[0], axis=axis), tol=f"bound:{bound!r}",
                 answer=exact.astype(DTYPES[d]), axis=axis_text(axis))


def outers(d):
    for op in ops(d):
        f = function(op)
        run = lambda v: f.outer(*v)
        case("outer", op, d, SAME, [f"o1.{d}", f"o2.{d}"], run)
        case("outer", op, d, ["broadcast"], [f"column.{d}>2,3", f"o1.{d}"], run)
        case("outer", op, d, ["overlapping"], [f"sw.{d}~2,3", f"o2.{d}"], run)
        case("outer", op, d, ["empty"], [f"e0.{d}", f"o2.{d}"], run)


def ats(d):
    for op in ops(d):
        f = function(op)
        k = operand(op, d)
        def run(v):
            target = v[0].copy()
            f.at(target, np.ascontiguousarray(v[1]), v[2])
            return target
        case("at", op, d, SAME, [f"{k}.{d}", "indexat", f"t.{d}"], run)
        case("at", op, d, ["broadcast"], [f"{k}.{d}", "indexat", f"{k}v.{d}>3,5"], run)
        case("at", op, d, ["overlapping"], [f"{k}.{d}", "indexat", f"{k}w.{d}~3,5"], run)
        case("at", op, d, ["empty"], [f"{k}.{d}", "index_none", f"one.{d}"], run)
        case("at", op, d, ["contiguous"], [f"{k}.{d}", "indexbad", f"one.{d}"], run)
    if d != "bool":
        def run(v):
            target = v[0].copy()
            np.negative.at(target, v[1])
            return target
        case("at", "negative", d, ["contiguous", "strided"], [f"s.{d}", "indexat"], run)


# ---- gufuncs -------------------------------------------------------------------------------------------------------


def moving_average(x, w):
    w = int(w)
    x = np.asarray(x)
    out = np.empty(x.shape, x.dtype)
    for i in range(x.shape[-1]):
        part = x[..., max(0, i - w + 1):i + 1].astype(np.float64)
        out[..., i] = (part.sum(-1) / part.shape[-1]).astype(x.dtype)
    if x.size and w <= x.shape[-1]:
        whole = np.lib.stride_tricks.sliding_window_view(x.astype(np.float64), w, axis=-1).mean(-1)
        assert np.array_equal(whole.astype(x.dtype), out[..., w - 1:])
    return out


def stencil3(x):
    x = np.asarray(x)
    out = np.array(x)
    if x.shape[-1] > 2:
        with np.errstate(all="ignore"):
            out[..., 1:-1] = x[..., :-2] - x[..., 1:-1] - x[..., 1:-1] + x[..., 2:]
    if x.dtype.kind == "f" and x.shape[-1] > 2:
        other = scipy.ndimage.convolve1d(x.astype(np.float64), [1, -2, 1], axis=-1)
        assert np.array_equal(other[..., 1:-1].astype(x.dtype), out[..., 1:-1])
    return out


def stencil5(x):
    x = np.asarray(x)
    out = np.array(x)
    if x.size and min(x.shape[-2:]) > 2:
        c = x[..., 1:-1, 1:-1]
        out[..., 1:-1, 1:-1] = (x[..., :-2, 1:-1] + x[..., 2:, 1:-1] + x[..., 1:-1, :-2] + x[..., 1:-1, 2:] - c - c - c - c)
        if x.dtype.kind == "f":
            flat = x.reshape(-1, *x.shape[-2:]).astype(np.float64)
            other = np.stack([scipy.ndimage.laplace(page) for page in flat]).reshape(x.shape)
            assert np.array_equal(other[..., 1:-1, 1:-1].astype(x.dtype), out[..., 1:-1, 1:-1])
    return out


def softmax(x):
    wide = np.asarray(x).astype(np.longdouble)
    if not wide.size:
        return np.asarray(x)
    e = np.exp(wide - wide.max(-1, keepdims=True))
    exact = (e / e.sum(-1, keepdims=True)).astype(np.asarray(x).dtype)
    theirs = scipy.special.softmax(np.asarray(x), axis=-1)
    near = np.abs(theirs.astype(np.float64) - exact.astype(np.float64)) <= 8 * np.spacing(exact).astype(np.float64)
    assert near.all(), (x, theirs, exact)
    return exact


def gufuncs(d):
    if d == "bool":
        for method in GUFUNCS:
            none(method, ["bool"], LAYOUTS, "bool has no `+` and `*` in the language")
        return
    a, b, s = f"a.{d}", f"b.{d}", f"s.{d}"
    windows3 = f"sw.{d}~4,3"
    matmul = lambda v: np.matmul(*v)
    case("matmul", "matmul", d, SAME, [a, b], matmul)
    case("matmul", "matmul", d, ["broadcast"], [f"a1.{d}", b], matmul)
    case("matmul", "matmul", d, ["broadcast"], [f"a1.{d}>2,3,4", b], matmul)
    case("matmul", "matmul", d, ["overlapping"], [f"aw.{d}~3,4", b], matmul)
    case("matmul", "matmul", d, ["empty"], [f"ew.{d}", f"ek.{d}"], matmul)
    case("matmul", "matmul", d, ["empty"], [f"eb.{d}", b], matmul)
    case("matmul", "matmul", d, ["contiguous"], [a, a], matmul)
    for axes in ["0,1|1,0|0,1", "-2,-1|-2,-1|-1,-2", "1,2|1,2|0,2"]:
        tuples = [tuple(map(int, t.split(","))) for t in axes.split("|")]
        pair = [f"a1.{d}", f"a1.{d}"] if axes.startswith("0") else [a, b]
        run = lambda v: np.matmul(*v, axes=tuples)
        case("matmul_axes", "matmul", d, SAME, pair, run, axes=axes)
        if pair[1] == b:
            case("matmul_axes", "matmul", d, ["broadcast"], [f"a1.{d}>2,3,4", b], run, axes=axes)
            case("matmul_axes", "matmul", d, ["empty"], [f"eb.{d}", b], run, axes=axes)
        else:
            case("matmul_axes", "matmul", d, ["overlapping"], [f"aw.{d}~3,4", f"a1.{d}"], run, axes=axes)
    total = lambda **keys: lambda v: np.add.reduce(v[0], dtype=DTYPES[d], **keys)
    for axis in [0, 1, -1]:
        for keep in [None, "true"]:
            keys = {"keepdims": True} if keep else {}
            case("inner_sum_axis", "inner_sum", d, SAME, [s], total(axis=axis, **keys), axis=axis, keepdims=keep)
            case("inner_sum_axis", "inner_sum", d, ["broadcast"], [f"sv.{d}>4,3,5"], total(axis=axis, **keys), axis=axis, keepdims=keep)
    case("inner_sum_axis", "inner_sum", d, ["overlapping"], [windows3], total(axis=0), axis=0)
    case("inner_sum_axis", "inner_sum", d, ["empty"], [f"e3.{d}"], total(axis=1), axis=1)
    case("inner_sum_axis", "inner_sum", d, ["empty"], [f"e3.{d}"], total(axis=0), axis=0)
    rows = total(axis=-1)
    case("sum_rows", "sum_rows", d, SAME, [s], rows)
    case("sum_rows", "sum_rows", d, ["broadcast"], [f"sv.{d}>4,3,5"], rows)
    case("sum_rows", "sum_rows", d, ["overlapping"], [windows3], rows)
    case("sum_rows", "sum_rows", d, ["empty"], [f"e3.{d}"], rows)
    case("sum_rows", "sum_rows", d, ["empty"], [f"ew.{d}"], rows)
    for method, f in [("stencil3", stencil3), ("stencil5", stencil5)]:
        run = lambda v: f(v[0])
        case(method, method, d, SAME, [s], run)
        case(method, method, d, ["broadcast"], [f"sv.{d}>4,3,5"], run)
        case(method, method, d, ["overlapping"], [windows3], run)
        case(method, method, d, ["empty"], [f"e3.{d}"], run)
    if not is_float(d):
        why = "its mean is no integer" if d in INTS else "its class is `float`: a mean of complex numbers adds nothing to test"
        none("moving_average", [d], LAYOUTS, why)
        none("softmax", [d], LAYOUTS, "`exp` is of floats")
        return
    for w in [1, 4, 9]:
        run = lambda v: moving_average(v[0], v[1])
        case("moving_average", "moving_average", d, SAME, [s, f"#{w}"], run)
        case("moving_average", "moving_average", d, ["broadcast"], [f"sv.{d}>4,3,5", f"#{w}"], run)
    case("moving_average", "moving_average", d, ["overlapping"], [windows3, "#2"], run)
    case("moving_average", "moving_average", d, ["empty"], [f"e0.{d}", "#2"], run)
    case("moving_average", "moving_average", d, ["empty"], [f"ew.{d}", "#2"], run)
    run = lambda v: softmax(v[0])
    case("softmax", "softmax", d, SAME, [s], run, tol="ulp:4")
    case("softmax", "softmax", d, ["broadcast"], [f"sv.{d}>4,3,5"], run, tol="ulp:4")
    case("softmax", "softmax", d, ["overlapping"], [windows3], run, tol="ulp:4")
    case("softmax", "softmax", d, ["empty"], [f"e0.{d}"], run, tol="ulp:4")


GUFUNCS = ["matmul", "matmul_axes", "inner_sum_axis", "sum_rows", "moving_average", "softmax", "stencil3", "stencil5"]


def main():
    lines.append(f"numpy {np.__version__}")
    lines.append(f"scipy {scipy.__version__}")
    lines.append(f"python {platform.python_version()}")
    put("mask", mask((2, 19)))
    put("maskrow", mask((19,)))
    put("masklong", mask((38,)))
    put("mask3", mask((4, 3, 5)))
    put("mask3row", mask((3, 1)))
    put("mask0", mask((4, 0, 5)))
    put("maskw", mask((4, 3)))
    put("index0", np.array([0, 2, 1, 3, 3], np.int64))
    put("index1", np.array([1, 0, 2], np.int64))
    put("index2", np.array([4, 0, 3], np.int64))
    put("indexat", np.array([0, 2, 2, -1, 0, 2], np.int64))
    put("indexbad", np.array([0, 4], np.int64))
    put("index_none", np.array([], np.int64))
    for d in DTYPES:
        put_inputs(d)
        put(f"o1.{d}", cycle(edge_values(d, False), d, (2, 3)))
        put(f"o2.{d}", cycle(edge_values(d, True), d, (2, 2)))
        put(f"t.{d}", factors(d, (6, 3, 5), 12))
        put(f"a1.{d}", small(d, (3, 4), 13))
        put(f"aw.{d}", small(d, (12,), 14))
        put(f"ek.{d}", np.zeros((0, 2), DTYPES[d]))
        put(f"eb.{d}", np.zeros((0, 3, 4), DTYPES[d]))
        put(f"posw.{d}", inputs[f"pos.{d}"].ravel()[:12])
    for d in DTYPES:
        calls(d)
        calls_where(d)
        calls_out(d)
        calls_mixed(d)
        calls_casting(d)
        reductions(d)
        outers(d)
        ats(d)
        gufuncs(d)
    none("call_casting", list(DTYPES), ["broadcast", "overlapping", "empty"],
         "which casts are allowed does not depend on it; the copies that casts make are in `call_mixed`")
    none("matmul_axes", ["bool"], LAYOUTS, "bool has no `+` and `*` in the language")
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "answers.txt")
    with open(path, "w") as file:
        file.write("\n".join(lines) + "\n")
    count = sum(line.startswith("case ") for line in lines)
    print(f"{count} cases, {os.path.getsize(path)} bytes, NumPy {np.__version__}")


main()
