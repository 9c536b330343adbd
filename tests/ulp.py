"""Errors of exp, sigmoid, tanh and log1p in units in the last place, and arguments to try.

An error is |got - exact| divided by the distance of the floating-point numbers at `exact`, which is
known in the next wider type: float64 for float32, long double for float64.
"""

import numpy as np

WIDER = {np.dtype(np.float32): np.float64, np.dtype(np.float64): np.longdouble}


def sigmoid(x):
    """Logistic sigmoid, from the side that does not overflow."""
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1) / (1 + e)


ORACLE = {"exp": np.exp, "sigmoid": sigmoid, "tanh": np.tanh, "log1p": np.log1p}


def exact(name, x):
    """The function of `x` in the next wider type."""
    with np.errstate(all="ignore"):
        return ORACLE[name](x.astype(WIDER[x.dtype]))


def unit(value, dtype):
    """The distance of the numbers of `dtype` in the binade of each value, never below the least."""
    if value.dtype == np.float64:
        power = (value.view(np.int64) & (0x7FF << 52)).view(np.float64)
    else:
        power = np.ldexp(np.longdouble(1), np.frexp(value)[1] - 1)
    info = np.finfo(dtype)
    return np.maximum(power, info.smallest_normal) * info.eps


def errors(got, value):
    """Errors of `got` in units in the last place; infinite where only one of the two is NaN."""
    with np.errstate(all="ignore"):
        error = (np.abs(got - value) / unit(value, got.dtype)).astype(np.float64)
        odd = np.flatnonzero(~(error < np.inf))
        g, v = got[odd], value[odd]
        right = (np.isnan(g) & np.isnan(v)) | (g == v.astype(got.dtype))
        error[odd] = np.where(right, 0, np.inf)
    return error


def worst(name, x, got):
    """(largest error, the argument that attains it)."""
    error = errors(got, exact(name, x))
    i = int(error.argmax())
    return float(error[i]), x[i]


def bit_patterns(dtype, start, stop, step=1):
    """The numbers of `dtype` whose bits, as an integer, are start, start + step, ..."""
    kind = np.uint32 if dtype.itemsize == 4 else np.uint64
    return np.arange(start, stop, step, dtype=kind).view(dtype)


def sample(dtype, count, rng):
    """About 3 `count` arguments: all magnitudes evenly, and where the functions bend more densely.

    The exponents of half of the second part run from eps/4 to where every function is flat.
    """
    bits = 8 * dtype.itemsize
    step = 2**bits // count | 1
    reach = 105 if bits == 32 else 750
    lowest = np.finfo(dtype).eps / 4
    small = np.exp(rng.uniform(np.log(lowest), np.log(reach), count))
    small = np.where(rng.random(count) < 0.5, -small, small)
    linear = rng.uniform(-reach, reach, count)
    dense = np.concatenate([small, linear]).astype(dtype)
    return np.concatenate([bit_patterns(dtype, 0, 2**bits, step), dense])
