"""What the gufunc examples save, compared with NumPy: numpy_gufuncs.py EXAMPLE, in the folder of the results."""

import sys

import numpy as np


def same(name, expected, ulps=0):
    got = np.load(name)
    assert got.dtype == expected.dtype, f"{name}: {got.dtype}, not {expected.dtype}"
    assert got.shape == expected.shape, f"{name}: {got.shape}, not {expected.shape}"
    near = np.abs(got - expected) <= ulps * np.spacing(np.abs(expected)) if ulps else got == expected
    assert near.all(), f"{name} differs at {np.argwhere(~near)[:5].tolist()}"


def matmul():
    a = (np.arange(60 * 50) % 17 - 8).reshape(60, 50).astype(float)
    b = (np.arange(50 * 40) % 13 - 6).reshape(50, 40).astype(float)
    same("product.npy", a @ b)
    pages = (np.arange(3 * 60 * 50) % 11 - 5).reshape(3, 60, 50).astype(float)
    same("products.npy", pages @ b)


def moving_average():
    x = (np.arange(3000) * 37 % 101).reshape(3, 1000).astype(float)
    y = np.empty_like(x)
    y[:, 6:] = np.lib.stride_tricks.sliding_window_view(x, 7, axis=1).sum(-1) / 7
    for i in range(6):
        y[:, i] = x[:, : i + 1].sum(-1) / (i + 1)
    same("moving_average.npy", y)


def sum_rows():
    x = (np.arange(2 * 500 * 200) * 7919 % 1009).reshape(2, 500, 200)
    same("sum_rows.npy", x.sum(-1))


def softmax():
    x = (np.arange(6400) * 37 % 1009).reshape(100, 64) / 10
    e = np.exp((x - x.max(-1, keepdims=True)).astype(np.longdouble))
    # e^-100 keeps the error that x - max has for each of its units
    same("softmax.npy", (e / e.sum(-1, keepdims=True)).astype(float), ulps=32)


def stencil():
    x = (np.arange(3 * 64 * 64) * 37 % 101).reshape(3, 64, 64).astype(np.float32)
    y = x.copy()
    y[..., 1:-1] = x[..., :-2] - 2 * x[..., 1:-1] + x[..., 2:]
    same("differences.npy", y)
    y = x.copy()
    y[:, 1:-1, 1:-1] = x[:, :-2, 1:-1] + x[:, 2:, 1:-1] + x[:, 1:-1, :-2] + x[:, 1:-1, 2:] - 4 * x[:, 1:-1, 1:-1]
    same("laplacian.npy", y)


globals()[sys.argv[1]]()
