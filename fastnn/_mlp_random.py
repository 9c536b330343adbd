"""What a multilayer perceptron draws: initial weights, the split for early stopping, orders.

The draws are those of scikit-learn, in its order, so that a seed gives the same ones there and here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
if TYPE_CHECKING:  # np.random is not needed to import the package
    Source: TypeAlias = np.random.RandomState | np.random.Generator


def source(random_state: Any) -> Source:
    """Return the source of a seed, the source given, or for None a new one; never the global one."""
    if isinstance(random_state, (np.random.RandomState, np.random.Generator)):
        return random_state
    if isinstance(random_state, (bool, np.bool_)):
        raise TypeError(f"random_state must be None, an int or a source, not {random_state!r}")
    try:
        return np.random.RandomState(random_state)
    except TypeError:
        raise TypeError(
            f"random_state must be None, an int, a RandomState or a Generator, not {random_state!r}"
        ) from None


def seed(rng: Source) -> int:
    """Draw a seed."""
    draw = rng.integers if isinstance(rng, np.random.Generator) else rng.randint
    return int(draw(2**31 - 1))


def initial_parameters(
    rng: Source, sizes: Sequence[int], draws_as: Sequence[str]
) -> tuple[list[Array], list[Array]]:
    """Draw weights and biases, float64: uniform in (-r, r), r = sqrt(6 / (k + m)) for (k, m).

    For layers of sigmoids r = sqrt(2 / (k + m)).
    """
    weights, biases = [], []
    for k, m, name in zip(sizes, sizes[1:], draws_as):
        r = math.sqrt((2.0 if name == "sigmoid" else 6.0) / (k + m))
        weights.append(rng.uniform(-r, r, (k, m)))
        biases.append(rng.uniform(-r, r, m))
    return weights, biases


def shuffled(rng: Source, order: Array) -> Array:
    """Return the rows of an order in another one."""
    permutation = np.arange(len(order))
    rng.shuffle(permutation)
    return order[permutation]


# The split


def _shares(counts: Array, n: int, rng: Source) -> Array:
    """Divide n among classes by their counts; what rounding leaves goes to the largest remainders."""
    exact = counts / counts.sum() * n
    shares = np.floor(exact)
    left = int(n - shares.sum())
    remainders = exact - shares
    for remainder in np.unique(remainders)[::-1]:
        if left == 0:
            break
        (candidates,) = np.nonzero(remainders == remainder)
        taken = min(len(candidates), left)
        shares[rng.choice(candidates, size=taken, replace=False)] += 1
        left -= taken
    return shares.astype(np.int64)


def _require_members(labels: Array, names: Sequence[Any]) -> Array:
    """Return the number of rows of each class, of which each must have two or none."""
    counts = np.bincount(labels)
    few = [names[k] for k in np.flatnonzero((counts > 0) & (counts < 2)).tolist()]
    if few:
        raise ValueError(
            "The least populated classes in y have only 1 member, which is too few for a validation "
            f"set with each class in it. Classes with too few members are: {few}"
        )
    return counts


def split(
    rng: Source, n: int, fraction: float, labels: Array | None, names: Sequence[Any]
) -> tuple[Array, Array]:
    """Draw the rows for training and those for validation, a fraction of n.

    labels (n,), if given, are class indices whose shares are kept in both; names are the classes'.
    """
    n_test = math.ceil(fraction * n)
    n_train = n - n_test
    counts = None if labels is None else _require_members(labels, names)
    if n_test < 2 or n_train < 1:
        raise ValueError(
            "The validation set is too small. Increase 'validation_fraction' or the size of your "
            f"dataset: {fraction} of {n} rows are {n_test}."
        )
    if labels is None:
        permutation = rng.permutation(n)
        return permutation[n_test:], permutation[:n_test]
    assert counts is not None
    present = np.count_nonzero(counts)
    for size, what in ((n_train, "training"), (n_test, "validation")):
        if size < present:
            raise ValueError(f"{size} rows for {what} are fewer than the {present} classes of y")
    of_train = _shares(counts, n_train, rng)
    of_test = _shares(counts - of_train, n_test, rng)
    train, test = [], []
    for k, (a, b) in enumerate(zip(of_train, of_test)):
        rows = np.flatnonzero(labels == k)[rng.permutation(counts[k])]
        train.append(rows[:a])
        test.append(rows[a : a + b])
    return rng.permutation(np.concatenate(train)), rng.permutation(np.concatenate(test))
