"""Plain values as JSON, with arrays beside it: what a model file holds.

None, bools, strings, integers and finite floats are themselves, lists are lists. All else is an
object with one name, which says what it is:

    {"float": "inf"}                 a float that JSON has not: inf, -inf, nan
    {"tuple": [...]}                 a tuple
    {"dict": [[key, value], ...]}    a dict
    {"array": "name"}                the array of that name, which is the path to it
    {"dates": "name", "dtype": ...}  an array of dates or durations, as int64
    {"text": "name"}                 an array of str, the code points along a further, last axis
    {"bytes": "name"}                an array of bytes likewise
    {"objects": [...]}               an array (n,) of objects
"""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._fields import ModelFileError

Array = NDArray[Any]

_DEEPEST = 16
_DATES = re.compile(r"<[mM]8\[\d{0,6}(Y|M|W|D|h|m|s|ms|us|ns|ps|fs|as)\]")
_NUMBERS = ("b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8")
_LAST_CODE_POINT = 0x10FFFF


def _below(path: str, name: Any) -> str:
    return f"{path}.{name}" if path else str(name)


# Writing


def written(value: Any, path: str, arrays: dict[str, Array], depth: int = 0) -> Any:
    """Return the value as JSON; arrays in it are added to `arrays` under their paths."""
    if depth > _DEEPEST:
        raise TypeError(f"{path} is nested too deeply to be saved")
    if isinstance(value, np.ndarray):
        return _array_written(value, path, arrays, depth)
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, str)):
        return value if value is None or isinstance(value, bool) else str(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {"float": repr(float(value))}
    if isinstance(value, (list, tuple)):
        items = [written(v, _below(path, i), arrays, depth + 1) for i, v in enumerate(value)]
        return items if isinstance(value, list) else {"tuple": items}
    if isinstance(value, dict):
        return {
            "dict": [
                [written(k, "", {}, depth + 1), written(v, _below(path, k), arrays, depth + 1)]
                for k, v in value.items()
            ]
        }
    raise TypeError(
        f"{path} is a {type(value).__name__}: only numbers, strings, bools, None, arrays, and lists, "
        "tuples and dicts of them can be saved; set_params can replace it before"
    )


def _array_written(a: Array, path: str, arrays: dict[str, Array], depth: int) -> Any:
    if a.dtype.kind == "O" and a.ndim == 1:
        return {"objects": [written(v, _below(path, i), {}, depth + 1) for i, v in enumerate(a)]}
    a = np.array(a, dtype=a.dtype.newbyteorder("="), order="C")
    kind = "array"
    result = {}
    if a.dtype.kind in "mM":
        result, kind, a = {"dtype": a.dtype.newbyteorder("<").str}, "dates", a.view(np.int64)
    elif a.dtype.kind in "US":
        kind, code = ("text", np.uint32) if a.dtype.kind == "U" else ("bytes", np.uint8)
        a = a.reshape(*a.shape, 1).view(code)
    elif a.dtype.str[1:] not in _NUMBERS:
        raise TypeError(f"{path} is an array of {a.dtype}, which cannot be saved")
    arrays[path] = a
    return {kind: path, **result}


# Reading


def _require(holds: bool, path: str, why: str) -> None:
    if not holds:
        raise ModelFileError(f"{path or 'the document'}: {why}")


def read(value: Any, path: str, arrays: dict[str, Array], depth: int = 0) -> Any:
    """Return the value of its JSON; arrays that are in it are taken from `arrays`."""
    _require(depth <= _DEEPEST, path, "nested too deeply")
    if isinstance(value, float):
        _require(math.isfinite(value), path, "a number beyond float64")
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, list):
        return [read(v, _below(path, i), arrays, depth + 1) for i, v in enumerate(value)]
    kind = next(iter(value), None)
    _require(set(value) == {kind} | ({"dtype"} if kind == "dates" else set()), path, "not known")
    inside = value[kind]
    if kind == "float":
        _require(inside in ("inf", "-inf", "nan"), path, f"{inside!r} is no such float")
        return float(inside)
    if kind in ("tuple", "objects", "dict"):
        _require(isinstance(inside, list), path, f"a {kind} is written as a list")
        if kind == "dict":
            return _dict_read(inside, path, arrays, depth)
        items = [read(v, _below(path, i), arrays, depth + 1) for i, v in enumerate(inside)]
        return tuple(items) if kind == "tuple" else _objects(items)
    _require(kind in ("array", "dates", "text", "bytes"), path, f"{kind!r} is not known")
    _require(inside == path, path, f"names the array {inside!r}, which is not its own")
    _require(path in arrays, path, "there is no such array")
    return _array_read(str(kind), value, path, arrays.pop(path))


def _objects(items: list[Any]) -> Array:
    a = np.empty(len(items), object)
    for i, item in enumerate(items):
        a[i] = item
    return a


def _dict_read(pairs: list[Any], path: str, arrays: dict[str, Array], depth: int) -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    for pair in pairs:
        _require(isinstance(pair, list) and len(pair) == 2, path, "an entry of a dict is no pair")
        key = read(pair[0], path, {}, depth + 1)
        _require(_is_hashable(key), path, "a name in a dict is none")
        _require(key not in found, path, f"{key!r} is twice in a dict")
        found[key] = read(pair[1], _below(path, key), arrays, depth + 1)
    return found


def _is_hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def _array_read(kind: str, entry: dict[str, Any], path: str, a: Array) -> Array:
    if kind == "array":
        return a
    if kind == "dates":
        dtype = entry["dtype"]
        _require(isinstance(dtype, str) and bool(_DATES.fullmatch(dtype)), path, "no such dtype")
        _require(a.dtype == np.int64 and a.ndim > 0, path, "dates are written as int64")
        return a.view(dtype)
    code = np.dtype(np.uint32 if kind == "text" else np.uint8)
    _require(a.dtype == code and a.ndim > 1 and a.size > 0, path, f"{kind} is written otherwise")
    if kind == "text":
        _require(int(a.max()) <= _LAST_CODE_POINT, path, "text has what is no code point")
    dtype = f"{'U' if kind == 'text' else 'S'}{a.shape[-1]}"
    return a.view(dtype)[..., 0]
