"""Which outputs of hidden layers are dropped: the compiled kernels' masks, bit for bit, in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

Array = NDArray[Any]


def mixed(x: Any) -> Array:
    """Map 64-bit numbers one to one, so that close ones have nothing to do with each other.

    It is the function of SplitMix (G. Steele, D. Lea, C. Flood, Fast splittable pseudorandom number
    generators, 2014).
    """
    with np.errstate(over="ignore"):  # arithmetic is modulo 2^64
        x = x + np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ x >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ x >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
        return x ^ x >> np.uint64(31)


def numbers(seed: int, step: int, layer: int, n: int, m: int) -> Array:
    """Return the 32-bit numbers of the elements (n, m) of a layer's outputs for a minibatch.

    Seed, step, layer and row give two keys, with which the column is mixed by the function that ends
    MurmurHash3 (A. Appleby).
    """
    x: Any
    with np.errstate(over="ignore"):
        key = mixed(np.array([seed], np.uint64)) + np.uint64(step)
        key = mixed(mixed(key) + np.uint64(layer))
        row = mixed(key + np.arange(n, dtype=np.uint64))[:, np.newaxis]
        x = row.astype(np.uint32) + np.arange(m, dtype=np.uint32)
        x = (x ^ x >> np.uint32(16)) * np.uint32(0x85EBCA6B)
        x = x ^ (row >> np.uint64(32)).astype(np.uint32)
        x = (x ^ x >> np.uint32(13)) * np.uint32(0xC2B2AE35)
        return x ^ x >> np.uint32(16)


def mask(rate: float, seed: int, step: int, layer: int, n: int, m: int, dtype: DTypeLike) -> Array:
    """Return what the outputs (n, m) are multiplied by: 0 for the share `rate`, else 1 / (1 - rate)."""
    dropped = numbers(seed, step, layer, n, m) < np.uint32(int(rate * 2**32))
    return np.where(dropped, 0, 1 / (1 - rate)).astype(dtype)
