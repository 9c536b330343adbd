"""What the attributes of a model must be to be saved and loaded: kinds, dtypes and shapes.

A class declares its attributes in `_SAVED`, a kind for each. A kind turns the attribute into plain
values and arrays, and back; on the way back it trusts nothing. Sizes that attributes share have
names: "d" features, "c" classes, "k" logits (1 for two classes, else c), others as a class likes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Scope = dict[str, int]


class ModelFileError(ValueError):
    """A file is not a model that this version of fastnn can load; the message says why."""


class Kind:
    """Any value is saved as it is; a subclass says which may be loaded."""

    def tree(self, value: Any) -> Any:
        """Return the value as plain values and arrays."""
        return value

    def value(self, tree: Any, scope: Scope, where: str) -> Any:
        """Return what `tree` stands for, checked; `scope` knows the sizes by name."""
        raise NotImplementedError


def _expect(holds: bool, where: str, what: str, found: Any) -> None:
    if not holds:
        shown = f"{found.dtype} {found.shape}" if isinstance(found, np.ndarray) else repr(found)
        shown = shown if len(shown) <= 80 else shown[:77] + "..."
        raise ModelFileError(f"{where} must be {what}, not {shown}")


def _bind(scope: Scope, name: str, size: int) -> int:
    """Return the size of that name, which is this one if it has none yet."""
    return scope.setdefault(name, size)


class Flag(Kind):
    """True or False."""

    def value(self, tree: Any, scope: Scope, where: str) -> bool:
        _expect(isinstance(tree, bool), where, "True or False", tree)
        return bool(tree)


class Count(Kind):
    """An integer, at least `least`; the size `name`, if it has one."""

    def __init__(self, least: int = 0, name: str = "") -> None:
        self._least, self._name = least, name

    def tree(self, value: Any) -> Any:
        return int(value)

    def value(self, tree: Any, scope: Scope, where: str) -> int:
        _expect(type(tree) is int, where, "an integer", tree)
        _expect(self._least <= tree < 2**63, where, f"at least {self._least}", tree)
        if self._name:
            _expect(_bind(scope, self._name, tree) == tree, where, f"{scope[self._name]}", tree)
        return int(tree)


class Number(Kind):
    """A float: any, as a loss may be infinite or NaN, or only positive and finite ones."""

    def __init__(self, *, positive: bool = False) -> None:
        self._positive = positive

    def tree(self, value: Any) -> Any:
        return float(value)

    def value(self, tree: Any, scope: Scope, where: str) -> float:
        _expect(type(tree) is float, where, "a float", tree)
        _expect(not self._positive or 0 < tree < math.inf, where, "finite and positive", tree)
        return float(tree)


class Text(Kind):
    """A string, one of `choices` if there are any."""

    def __init__(self, choices: Iterable[str] = ()) -> None:
        self._choices = tuple(choices)

    def value(self, tree: Any, scope: Scope, where: str) -> str:
        _expect(isinstance(tree, str), where, "a string", tree)
        what = "one of " + ", ".join(map(repr, self._choices))
        _expect(not self._choices or tree in self._choices, where, what, tree)
        return str(tree)


class FloatType(Kind):
    """The dtype float32 or float64."""

    def tree(self, value: Any) -> Any:
        return np.dtype(value).name

    def value(self, tree: Any, scope: Scope, where: str) -> np.dtype[Any]:
        return np.dtype(Text(("float32", "float64")).value(tree, scope, where))


class Floats(Kind):
    """An array of float32 or float64, finite unless said otherwise; a scalar if it has no axes."""

    dtypes: tuple[str, ...] = ("float32", "float64")

    def __init__(self, *shape: str | int, dtype: str | None = None, finite: bool = True) -> None:
        self._shape, self._finite = shape, finite
        if dtype is not None:
            self.dtypes = (dtype,)

    def tree(self, value: Any) -> Any:
        return np.asarray(value)

    def value(self, tree: Any, scope: Scope, where: str) -> Any:
        axes = ", ".join(map(str, self._shape))
        what = f"an array ({axes}) of {' or '.join(self.dtypes)}"
        _expect(isinstance(tree, np.ndarray) and tree.dtype.name in self.dtypes, where, what, tree)
        _expect(tree.ndim == len(self._shape), where, what, tree)
        expected = tuple(
            name if isinstance(name, int) else _bind(scope, name, size)
            for name, size in zip(self._shape, tree.shape)
        )
        _expect(tree.shape == expected, where, f"of shape {expected}", tree)
        if self._finite and tree.dtype.kind == "f" and not np.isfinite(tree).all():
            raise ModelFileError(f"{where} has values that are not finite")
        return tree[()]


class F64(Floats):
    """An array of float64."""

    dtypes = ("float64",)


class Integers(Floats):
    """An array of int64 or int32."""

    dtypes = ("int64", "int32")


class Labels(Kind):
    """The classes (c,): distinct and sorted, of any dtype that labels may have."""

    def value(self, tree: Any, scope: Scope, where: str) -> Array:
        _expect(isinstance(tree, np.ndarray) and tree.ndim == 1, where, "an array (c,)", tree)
        _expect(len(tree) > 0, where, "an array of at least one label", tree)
        values = list(tree) if tree.dtype.kind in "mM" else tree.tolist()
        try:
            in_order = all(a < b for a, b in pairwise(values)) and values[0] == values[0]
            hash(tuple(values))
        except TypeError as error:
            raise ModelFileError(f"{where} are no labels: {error}") from None
        _expect(in_order, where, "distinct labels in order", values)
        c = len(tree)
        _expect(_bind(scope, "c", c) == c, where, f"{scope['c']} labels", tree)
        scope["k"] = 1 if c == 2 else c
        return tree


class Names(Kind):
    """Names (d,) of the features, an array of str objects."""

    def value(self, tree: Any, scope: Scope, where: str) -> Array:
        _expect(isinstance(tree, np.ndarray) and tree.dtype == object, where, "names", tree)
        _expect(tree.shape == (scope["d"],), where, f"{scope['d']} names", tree)
        _expect(all(isinstance(name, str) for name in tree), where, "strings", tree.tolist())
        return tree


class Each(Kind):
    """A list with one value of each of the kinds; a tuple if `make` says so."""

    def __init__(self, kinds: Iterable[Kind], make: type = list) -> None:
        self._kinds, self._make = tuple(kinds), make

    def tree(self, value: Any) -> Any:
        values = list(value)
        return [kind.tree(v) for kind, v in zip(self._kinds, values)] + values[len(self._kinds) :]

    def value(self, tree: Any, scope: Scope, where: str) -> Any:
        _expect(isinstance(tree, list), where, "a list", tree)
        if len(tree) != len(self._kinds):
            raise ModelFileError(f"{where} has {len(tree)} entries, expected {len(self._kinds)}")
        pairs = enumerate(zip(self._kinds, tree))
        return self._make(kind.value(t, scope, f"{where}[{i}]") for i, (kind, t) in pairs)


class Many(Kind):
    """A list of any number of values of one kind; a tuple if `make` says so."""

    def __init__(self, kind: Kind, make: type = list) -> None:
        self._kind, self._make = kind, make

    def tree(self, value: Any) -> Any:
        return [self._kind.tree(v) for v in value]

    def value(self, tree: Any, scope: Scope, where: str) -> Any:
        _expect(isinstance(tree, list), where, "a list", tree)
        return self._make(self._kind.value(t, scope, f"{where}[{i}]") for i, t in enumerate(tree))


class Optional(Kind):
    """The value of a kind, or None."""

    def __init__(self, kind: Kind) -> None:
        self._kind = kind

    def tree(self, value: Any) -> Any:
        return None if value is None else self._kind.tree(value)

    def value(self, tree: Any, scope: Scope, where: str) -> Any:
        return None if tree is None else self._kind.value(tree, scope, where)


class Maybe(Kind):
    """An attribute that a model may lack."""

    def __init__(self, kind: Kind) -> None:
        self.tree = kind.tree  # type: ignore[method-assign]
        self.value = kind.value  # type: ignore[method-assign]


class Record(Kind):
    """What `make` makes of named fields; `parts` gives them back, by default as attributes."""

    def __init__(self, make: Any, fields: Mapping[str, Kind], parts: Any = None) -> None:
        self._make, self._fields = make, fields
        self._parts = parts or (lambda record: {name: getattr(record, name) for name in fields})

    def tree(self, value: Any) -> Any:
        return trees(self._fields, self._parts(value))

    def value(self, tree: Any, scope: Scope, where: str) -> Any:
        return self._make(**values(self._fields, tree, where, scope))


class Model(Kind):
    """A model inside another, with sizes of its own."""

    def __init__(self, cls: Any) -> None:
        self._cls = cls

    def tree(self, value: Any) -> Any:
        state = value._saved()
        return trees(self._cls._fields(state), state)

    def value(self, tree: Any, scope: Scope, where: str) -> Any:
        _expect(isinstance(tree, dict), where, "a model", tree)
        return self._cls._restored({}, values(self._cls._fields(tree), tree, where))


def trees(fields: Mapping[str, Kind], state: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is saved of a state: the fields that it has."""
    return {name: kind.tree(state[name]) for name, kind in fields.items() if name in state}


def values(
    fields: Mapping[str, Kind], tree: Any, where: str, scope: Scope | None = None
) -> dict[str, Any]:
    """Return the attributes that a tree of the fields stands for, all of them checked."""
    _expect(isinstance(tree, dict), where, "named values", tree)
    scope = {} if scope is None else scope
    for name in tree:
        _expect(name in fields, where, "of known names", name)
    for name, kind in fields.items():
        if name not in tree and not isinstance(kind, Maybe):
            raise ModelFileError(f"{where}.{name} is missing")
    present = {name: kind for name, kind in fields.items() if name in tree}
    return {name: k.value(tree[name], scope, f"{where}.{name}") for name, k in present.items()}


def declared(cls: type, common: Mapping[str, Kind] | None = None) -> dict[str, Kind]:
    """Return common fields, with those of a class and its bases; None there takes one back."""
    fields: dict[str, Kind | None] = dict(common or {})
    for base in reversed(cls.__mro__):
        fields |= base.__dict__.get("_SAVED", {})
    return {name: kind for name, kind in fields.items() if kind is not None}
