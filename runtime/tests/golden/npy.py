"""Files written by NumPy that the reader must understand; run in this directory: python3 npy.py

Each holds 0 .. n-1 (for bool: odd or not) in C order of its shape."""

import numpy as np

DTYPES = ["?", "i1", "<i2", ">i2", "<i4", ">i4", "<i8", ">i8", "u1", "<u2", ">u2", "<u4", ">u4",
          "<u8", ">u8", "<f2", ">f2", "<f4", ">f4", "<f8", ">f8", "<c8", ">c8", "<c16", ">c16"]
arrays = {}
for dtype in DTYPES:
    values = np.arange(6) % 2 if dtype == "?" else np.arange(6)
    name = np.dtype(dtype).name + ("_big" if dtype.startswith(">") else "")
    arrays[name] = values.astype(dtype).reshape(2, 3)
arrays["fortran"] = np.asfortranarray(np.arange(24, dtype="<f4").reshape(2, 3, 4))
arrays["fortran_big"] = np.asfortranarray(np.arange(6, dtype=">i4").reshape(2, 3))
arrays["zero_d"] = np.array(0, "<i8")
arrays["empty"] = np.zeros((0, 3), "<f8")
arrays["one_d"] = np.arange(5, dtype="<f8")
for name, array in arrays.items():
    np.save(name + ".npy", array)
with open("version2.npy", "wb") as f:
    np.lib.format.write_array(f, np.arange(4, dtype="<i4"), version=(2, 0))
with open("version3.npy", "wb") as f:
    np.lib.format.write_array(f, np.arange(4, dtype="<i4"), version=(3, 0))
np.save("unsupported_record.npy", np.zeros(2, [("a", "<f4"), ("b", "<i4")]))
np.save("unsupported_text.npy", np.array(["ab", "c"]))
np.savez("two.npz", x=np.arange(3, dtype="<f4"), y=np.arange(4, dtype=">i2"))
np.savez_compressed("packed.npz", z=np.arange(1000, dtype="<i8"))
