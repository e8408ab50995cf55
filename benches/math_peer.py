"""The Python sides of benches/math.rs, which starts this twice: `numpy` (and SciPy where it is) and `numba` (with SVML)."""

import math
import sys

import numpy as np

from ufunc_peer import serve


def loop(expression, arguments, dtype, fast):
    """A compiled loop that writes `expression` of x (and y) into z, and whether it calls SVML."""
    import numba

    places = ["x", "y"][:arguments]
    inputs = ", ".join(places)
    values = "; ".join(f"{p} = {p}s[i]" for p in places)
    params = ", ".join(f"{p}s" for p in places)
    text = f"def f({params}, zs):\n for i in range(zs.size):\n  {values}; zs[i] = {expression}"
    names = {"math": math, "np": np}
    exec(text, names)
    array = numba.types.Array(numba.from_dtype(np.dtype(dtype)), 1, "C")
    signature = numba.void(*[array] * (arguments + 1))
    compiled = numba.njit(signature, fastmath=fast, error_model="numpy")(names["f"])
    asm = "".join(compiled.inspect_asm().values())
    return compiled, "__svml_" in asm


def main():
    known = {"np": np}
    if sys.argv[1] == "numpy":
        try:
            import scipy
            import scipy.special

            known["special"] = scipy.special
            version = f"numpy {np.__version__}, scipy {scipy.__version__}"
        except ImportError:
            version = f"numpy {np.__version__}"
    else:
        import numba

        in_effect = all(loop("math.exp(x)", 1, dtype, False)[1] for dtype in ("f4", "f8"))
        version = f"numba {numba.__version__}, {'with' if in_effect else 'WITHOUT'} SVML"
        known["loop"] = loop
    serve(version, known)


main()
