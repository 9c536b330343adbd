"""Argument checks: the one place where bad input is explained.

Each operation has a function here that takes its arguments as the caller gave them, raises the
exception that explains what is wrong, and otherwise returns them as arrays that a kernel can read:
float32 or float64, native byte order, aligned, with strides that are multiples of the item size.
An array that is already so is returned as it is; any other is copied once, values unchanged.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

ACTIVATIONS = ("identity", "sigmoid", "tanh", "relu", "softmax")
GRADIENTS = ("dx", "dw", "db")
DTYPES = (np.dtype(np.float32), np.dtype(np.float64))
_OVERLAP_WORK = 10_000  # steps of NumPy's exact test, after which the bounds of the memory decide


def one_of(what: str, name: object, valid: tuple[str, ...]) -> str:
    """Return `name` if it is one of `valid`."""
    if isinstance(name, str) and name in valid:
        return name
    listed = ", ".join(repr(v) for v in valid)
    raise ValueError(f"unknown {what} {name!r}; valid names: {listed}")


def _as_ndarray(name: str, a: Any) -> Array:
    if type(a) is np.ndarray:
        return a
    # The mask of a masked array is an array or a NumPy bool; that of a pandas object is a method.
    if isinstance(getattr(a, "mask", None), (np.ndarray, np.bool_)):
        raise TypeError(f"{name} is a masked array; fill its gaps first, e.g. with .filled(value)")
    try:
        return np.asarray(a)
    except ValueError as error:
        raise ValueError(f"{name} is not an array: {error}") from None


def _is_element_strided(a: Array) -> bool:
    size = a.itemsize
    for stride in a.strides:  # not all(...): a generator costs more than a row of a small network
        if stride % size:
            return False
    return True


def array(name: str, a: Any, ndim: int | tuple[int, ...] | None = None) -> Array:
    """Return `a` as an array that a kernel can read; `ndim` is its rank or ranks, None for any."""
    a = _as_ndarray(name, a)
    native = a.dtype if a.dtype.isnative else a.dtype.newbyteorder("=")
    if native not in DTYPES:
        raise TypeError(
            f"{name} must be float32 or float64, not {a.dtype} (shape {a.shape}); "
            "convert it, e.g. with .astype(np.float32)"
        )
    ranks = (ndim,) if isinstance(ndim, int) else ndim
    if ranks is not None and a.ndim not in ranks:
        wanted = " or ".join(str(r) for r in ranks)
        raise ValueError(f"{name} must have {wanted} dimensions, not {a.ndim} (shape {a.shape})")
    if a.dtype is native and a.flags.aligned and _is_element_strided(a):
        return a
    return np.array(a, dtype=native, order="C")


def same_dtype(fn: str, **arrays: Array | None) -> None:
    """Raise unless the arrays that are given have one dtype."""
    given = {name: a.dtype for name, a in arrays.items() if a is not None}
    if len(set(given.values())) > 1:
        listed = ", ".join(f"{name} is {dtype}" for name, dtype in given.items())
        raise TypeError(f"{fn}: arrays of one dtype expected, but {listed}")


def shape(fn: str, name: str, a: Array, expected: tuple[int, ...], why: str) -> None:
    """Raise unless `a` has the expected shape."""
    if a.shape != expected:
        raise ValueError(f"{fn}: {name} has shape {a.shape}, expected {expected} {why}")


def _overlaps_itself(a: Array) -> bool:
    """Tell whether elements may share memory: an axis steps by less than the inner ones span."""
    if a.size <= 1 or a.flags.forc:
        return False
    extent = a.itemsize
    for stride, length in sorted((abs(s), d) for s, d in zip(a.strides, a.shape) if d > 1):
        if stride < extent:
            return True
        extent += stride * (length - 1)
    return False


def out_array(name: str, a: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Raise unless `a` can receive a result of that shape and dtype."""
    if not isinstance(a, np.ndarray) or hasattr(a, "mask"):
        raise TypeError(f"{name} must be a numpy.ndarray, not {type(a).__name__}")
    if a.dtype != dtype:
        raise TypeError(f"{name} must be native {dtype} like the inputs, not {a.dtype}")
    if a.shape != shape:
        raise ValueError(f"{name} has shape {a.shape}, expected {shape}")
    if not a.flags.writeable:
        raise ValueError(f"{name} {a.shape} is read-only")
    if not (a.flags.aligned and _is_element_strided(a)):
        raise ValueError(f"{name} {a.shape} is misaligned")
    if _overlaps_itself(a):
        raise ValueError(f"{name} {a.shape} overlaps itself (strides {a.strides})")


def _share_memory(a: Array, b: Array) -> bool:
    try:
        # NumPy takes any number of steps, but has types only for all (-1) and none (0).
        return np.shares_memory(a, b, max_work=_OVERLAP_WORK)  # type: ignore[arg-type]
    except np.exceptions.TooHardError:
        return np.may_share_memory(a, b)


def no_overlap(name: str, out: Array, **inputs: Any) -> None:
    """Raise if `out` shares memory with an input that is an array."""
    for other, a in inputs.items():
        if isinstance(a, np.ndarray) and _share_memory(out, a):
            raise ValueError(f"{name} shares memory with {other}; give separate arrays")


def _same_elements(a: Any, b: Array) -> bool:
    """Tell whether `a` and `b` are the same elements in the same memory."""
    return (
        isinstance(a, np.ndarray)
        and a.dtype == b.dtype
        and a.shape == b.shape
        and a.strides == b.strides
        and a.ctypes.data == b.ctypes.data
    )


def elementwise(fn: str, x: Any, out: Any) -> Array:
    """Check sigmoid (any shape), or softmax or log_softmax ((n, c) or (c,), c > 0) of x.

    `out` may be `x` itself.
    """
    given, of_rows = x, fn in ("softmax", "log_softmax")
    x = array(f"{fn}: x", x, (1, 2) if of_rows else None)
    if of_rows and x.shape[-1] == 0:
        raise ValueError(f"{fn}: x {x.shape} has no columns")
    if out is not None:
        out_array(f"{fn}: out", out, x.shape, x.dtype)
        if not _same_elements(given, out):
            no_overlap(f"{fn}: out", out, x=given)
    return x


def chain(fn: str, x: Array, w: Array) -> None:
    """Raise unless x (n, k) w (k, m) is a product."""
    if x.shape[1] != w.shape[0]:
        raise ValueError(
            f"{fn}: x {x.shape} and w {w.shape} do not chain: w must have {x.shape[1]} rows"
        )


def dense_forward(
    x: Any, w: Any, b: Any, activation: object, out: Any
) -> tuple[Array, Array, Array | None]:
    """Check one layer: x (n, k), w (k, m), b (m,) or None, out (n, m) or None. Returns x, w, b."""
    fn = "dense_forward"
    one_of("activation", activation, ACTIVATIONS)
    given = {"x": x, "w": w, "b": b}
    x, w = array(f"{fn}: x", x, 2), array(f"{fn}: w", w, 2)
    b = None if b is None else array(f"{fn}: b", b, 1)
    same_dtype(fn, x=x, w=w, b=b)
    chain(fn, x, w)
    if b is not None:
        shape(fn, "b", b, (w.shape[1],), f"to match w {w.shape}")
    if out is not None:
        out_array(f"{fn}: out", out, (x.shape[0], w.shape[1]), x.dtype)
        no_overlap(f"{fn}: out", out, **given)
    return x, w, b


def needed(needs: Any) -> tuple[str, ...]:
    """Return the names of the wanted gradients."""
    if isinstance(needs, str) or not isinstance(needs, Iterable):
        raise TypeError(f"needs must be a tuple of names out of {GRADIENTS}, not {needs!r}")
    return tuple(one_of("gradient in needs", name, GRADIENTS) for name in needs)


def _gradient_outs(fn: str, out: Any, needs: tuple[str, ...]) -> dict[str, Array]:
    """Return the arrays given in `out`, a tuple (dx, dw, db) with None for what to allocate."""
    if out is None:
        return {}
    if not isinstance(out, (tuple, list)):
        raise TypeError(f"{fn}: out must be a tuple (dx, dw, db), not {type(out).__name__}")
    if len(out) != len(GRADIENTS):
        raise ValueError(f"{fn}: out must be a tuple (dx, dw, db), not of length {len(out)}")
    outs = {name: a for name, a in zip(GRADIENTS, out) if a is not None}
    for name in outs:
        if name not in needs:
            raise ValueError(f"{fn}: out holds an array for {name}, which is not in needs {needs}")
    return outs


def dense_backward(
    x: Any, w: Any, y: Any, dy: Any, activation: object, needs: Any, out: Any
) -> tuple[Array, Array, Array, Array]:
    """Check the backward pass of one layer. Returns x (n, k), w (k, m), y (n, m), dy (n, m)."""
    fn = "dense_backward"
    one_of("activation", activation, ACTIVATIONS)
    outs = _gradient_outs(fn, out, needed(needs))
    given = {"x": x, "w": w, "y": y, "dy": dy}
    x, w, y, dy = (array(f"{fn}: {name}", a, 2) for name, a in given.items())
    same_dtype(fn, x=x, w=w, y=y, dy=dy)
    chain(fn, x, w)
    n_m = (x.shape[0], w.shape[1])
    shape(fn, "y", y, n_m, f"from x {x.shape} and w {w.shape}")
    shape(fn, "dy", dy, n_m, f"from x {x.shape} and w {w.shape}")
    shapes = {"dx": x.shape, "dw": w.shape, "db": (w.shape[1],)}
    for name, a in outs.items():
        out_array(f"{fn}: out {name}", a, shapes[name], x.dtype)
    for name, a in outs.items():
        others = {f"out {other}": b for other, b in outs.items() if other != name}
        no_overlap(f"{fn}: out {name}", a, **given, **others)
    return x, w, y, dy


def labels(name: str, y: Any, n: int, classes: int) -> Array:
    """Return integers as contiguous int64 (n,), all in [0, classes)."""
    y = _as_ndarray(name, y)
    if y.dtype.kind not in "biu":
        raise TypeError(f"{name} is {y.dtype} {y.shape}: labels must be integers ({n},)")
    if y.shape != (n,):
        raise ValueError(f"{name} has shape {y.shape}, expected {n} labels, one a row")
    y = np.ascontiguousarray(y)
    for i in (y.argmin(), y.argmax()) if n else ():
        if not 0 <= int(y[i]) < classes:
            raise ValueError(f"{name}[{i}] is {y[i]}: labels must be in [0, {classes})")
    return np.require(y, np.int64, ["C_CONTIGUOUS", "ALIGNED"])


def labels_or_targets(
    y: Any, n: int, c: int, dtype: np.dtype[Any], classes: int | None = None
) -> tuple[Array | None, Array | None]:
    """Return (labels int64 (n,), None) or (None, targets (n, c)); labels are below classes or c."""
    y = _as_ndarray("y", y)
    if y.dtype.kind in "biu" and y.ndim != 2:
        return labels("y", y, n, c if classes is None else classes), None
    if y.dtype.kind != "f" or y.ndim == 1 or y.dtype.newbyteorder("=") != dtype:
        raise TypeError(
            f"y is {y.dtype} {y.shape}: labels must be integers ({n},); "
            f"targets a matrix (n, c) = ({n}, {c}) of {dtype} like the data"
        )
    y = array("y", y, 2)
    if y.shape != (n, c):
        raise ValueError(f"y has shape {y.shape}, expected targets {(n, c)} or integer labels")
    return None, y


def counts(targets: Array | None) -> None:
    """Refuse a negative target of the Poisson loss, which is not bounded below for it."""
    if targets is not None and (targets < 0).any():
        raise ValueError(f"y has {targets[targets < 0][0]}: counts must be at least 0")


def weights(
    sample_weight: Any, n: int, dtype: np.dtype[Any], positive: bool = True
) -> Array | None:
    """Return the checked weights (n,) of the rows, or None; `positive`: their sum must be."""
    if sample_weight is None:
        return None
    w = array("sample_weight", sample_weight, 1)
    if w.dtype != dtype:
        raise TypeError(f"sample_weight is {w.dtype}, expected {dtype} like the data")
    if w.shape != (n,):
        raise ValueError(f"sample_weight has shape {w.shape}, expected ({n},), one a row")
    valid = (w >= 0) & (w < np.inf)
    if not valid.all():
        i = int(valid.argmin())
        raise ValueError(f"sample_weight[{i}] is {w[i]}: weights must be finite and at least 0")
    with np.errstate(over="ignore"):
        total = float(w.sum(dtype=np.float64))
    if total == np.inf or (positive and total == 0):
        raise ValueError(f"the sum of sample_weight is {total}: it must be positive and finite")
    return w


def n_label_values(fn: str, c: int) -> int:
    """Return how many values a label may have: 0 and 1 for one column, unless it is softmax's."""
    return c if fn == "softmax_cross_entropy" else max(c, 2)


def loss(
    fn: str, z: Any, y: Any, sample_weight: Any, out: Any
) -> tuple[Array, Array | None, Array | None, Array | None]:
    """Check a loss. Returns z (n, c), labels (n,) or None, targets (n, c) or None, weights."""
    given = {"z": z, "y": y, "sample_weight": sample_weight}
    z = array(f"{fn}: z", z, 2)
    n, c = z.shape
    if n == 0 or c == 0:
        missing = "columns" if n else "rows to take the mean over"
        raise ValueError(f"{fn}: z {z.shape} has no {missing}")
    if out is not None:
        out_array(f"{fn}: out", out, z.shape, z.dtype)
        no_overlap(f"{fn}: out", out, **given)
    labels, targets = labels_or_targets(y, n, c, z.dtype, n_label_values(fn, c))
    if fn == "poisson_loss":
        counts(targets)
    return z, labels, targets, weights(sample_weight, n, z.dtype)
