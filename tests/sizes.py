"""Sizes at the edges of vectors, tiles and blocks, memory layouts, and data that is hard to sum."""

import itertools
import math

import numpy as np

KC = 256  # the length of a block of the reduction
LANES = {"avx512": 16, "avx2": 8, "neon": 4, "scalar": 1, "numpy": 16}  # of float32
TILE_ROWS = {"avx512": 14, "avx2": 6, "neon": 12, "scalar": 4, "numpy": 14}
TILE_VECTORS = {"avx512": 2, "avx2": 2, "neon": 2, "scalar": 4, "numpy": 2}
BLOCK_ROWS = {4: 512, 8: 256}  # rows (and columns) that a product takes at a time


def lanes(isa, dtype):
    """Elements of a vector."""
    return max(1, LANES[isa] * 4 // dtype.itemsize) if LANES[isa] > 1 else 1


def edges(isa, dtype):
    """The sizes of a dimension: none, few, and next to a vector, a tile, a block and two blocks."""
    v = lanes(isa, dtype)
    steps = (v, TILE_ROWS[isa], TILE_VECTORS[isa] * v, KC)
    near = {size + d for size in steps for d in (-1, 0, 1)}
    return sorted({0, 1, 2, 3, 2 * KC + 3} | near)


def pairwise(isa, dtype):
    """Sizes (n, k, m) in which every two dimensions meet in every pair of edges.

    The third is a Latin square over the other two, turned so that the products are the least work.
    One more case has several blocks in every dimension, and small batches meet their wide tiles.
    """
    values = edges(isa, dtype)
    count = len(values)

    def square(turn):
        for i, j in itertools.product(range(count), repeat=2):
            yield values[i], values[j], values[(i + j + turn) % count]

    yield from min(map(list, map(square, range(count))), key=lambda s: sum(map(math.prod, s)))
    rows = BLOCK_ROWS[dtype.itemsize]
    yield rows + 3, KC + 3, 2 * rows + 3
    for n, vectors in [(1, 8), (2, 4), (3, 4)]:
        for d in (-1, 0, 1):
            yield n, 5, vectors * lanes(isa, dtype) + d


# Each takes a shape (n, m) and a dtype and returns a buffer and a view of it of that shape.


def _c(n, m, dtype):
    buffer = np.empty((n, m), dtype)
    return buffer, buffer


def _fortran(n, m, dtype):
    buffer = np.empty((m, n), dtype)
    return buffer, buffer.T


def _padded(n, m, dtype):
    buffer = np.empty((n + 2, m + 5), dtype)
    return buffer, buffer[1 : n + 1, 2 : m + 2]


def _columns(n, m, dtype):
    buffer = np.empty((n, 2 * m + 1), dtype)
    return buffer, buffer[:, 1::2]


def _reversed(n, m, dtype):
    buffer = np.empty((n, m), dtype)
    return buffer, buffer[::-1, ::-1]


def _misaligned(n, m, dtype):
    buffer = np.empty(n * m * dtype.itemsize + 1, np.uint8)
    return buffer, buffer[1:].view(dtype).reshape(n, m)


LAYOUTS = {
    "c": _c,
    "fortran": _fortran,
    "padded": _padded,
    "columns": _columns,
    "reversed": _reversed,
    "misaligned": _misaligned,
}
OUT_LAYOUTS = tuple(name for name in LAYOUTS if name != "misaligned")


def laid_out(a, layout):
    """A copy of a vector or matrix in another layout."""
    if a.ndim == 1:
        return laid_out(a[np.newaxis], layout)[0]
    _, view = LAYOUTS[layout](*a.shape, a.dtype)
    view[...] = a
    return view


class Out:
    """An `out` of any layout that knows whether anything beside it was written."""

    def __init__(self, shape, dtype, layout):
        n, m = shape if len(shape) == 2 else (1, *shape)
        self._buffer, view = LAYOUTS[layout](n, m, np.dtype(dtype))
        self._buffer[...] = -777
        self.array = view if len(shape) == 2 else view[0]

    def assert_nothing_beside_it(self):
        """Assert that the rest of the buffer is as it was."""
        values = self.array.copy()
        self.array[...] = -777
        assert (self._buffer == -777).all()
        self.array[...] = values


def spread(rng, shape, dtype, low=-12, high=3):
    """Numbers of both signs whose exponents spread evenly over low .. high."""
    mantissa = rng.uniform(1, 2, shape) * rng.choice([-1, 1], shape)
    return np.ldexp(mantissa, rng.integers(low, high, shape)).astype(dtype)


def dense_case(rng, n, k, m, dtype, cancelling=False):
    """x (n, k), w (k, m), b (m,); cancelling: the terms of every sum nearly cancel in pairs."""
    x = spread(rng, (n, k), dtype)
    w = spread(rng, (k, m), dtype, high=0)
    b = spread(rng, m, dtype)
    if cancelling:
        half = k // 2
        x[:, half : 2 * half] = x[:, :half]
        w[half : 2 * half] = -w[:half] * dtype.type(1 + 2**-10)
        b[...] *= dtype.type(2**-10)
    return x, w, b
