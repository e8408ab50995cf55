"""Records NumPy's promotion and casting tables; run in this directory: python3 promote.py"""

import numpy as np

NAMES = {
    "bool": "bool", "i8": "int8", "i16": "int16", "i32": "int32", "i64": "int64",
    "u8": "uint8", "u16": "uint16", "u32": "uint32", "u64": "uint64",
    "f16": "float16", "f32": "float32", "f64": "float64", "c64": "complex64", "c128": "complex128",
}
SHORT = {v: k for k, v in NAMES.items()}
short = lambda dtype: SHORT[np.dtype(dtype).name]

with open("promote.txt", "w") as out:
    print(f"# NumPy {np.__version__}: a b promote(a, b) | casts a -> b: safe same_kind", file=out)
    for a, na in NAMES.items():
        for b, nb in NAMES.items():
            casts = [int(np.can_cast(na, nb, kind)) for kind in ("safe", "same_kind")]
            print("pair", a, b, short(np.promote_types(na, nb)), *casts, file=out)
    for a, na in NAMES.items():
        array = np.ones(1, na)
        print("weak", a, short((array + 1).dtype), short((array + 1.0).dtype), file=out)
