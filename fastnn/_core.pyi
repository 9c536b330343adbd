"""The compiled backend; what is public of it is documented in `kernels`, `network`, `runtime`."""

from collections.abc import Iterable, Sequence
from typing import Any, Literal, Self, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray
from typing_extensions import disjoint_base

from ._sparse import Csr

_Array = NDArray[Any]

def available_isas() -> tuple[str, ...]: ...
def isa() -> str: ...
def set_isa(name: str) -> None: ...
def get_num_threads() -> int: ...
def set_num_threads(threads: int) -> None: ...
def use_threads(threads: int) -> int: ...
def fma_burst(dtype: Any, iterations: int) -> float: ...
def elementwise(name: str, x: ArrayLike, *, out: _Array | None = None) -> _Array: ...
def sigmoid(x: ArrayLike, *, out: _Array | None = None) -> _Array: ...
def softmax(x: ArrayLike, *, out: _Array | None = None) -> _Array: ...
def dense_forward(
    x: ArrayLike,
    w: ArrayLike,
    b: ArrayLike | None = None,
    *,
    activation: str = "identity",
    out: _Array | None = None,
) -> _Array: ...
def dense_backward(
    x: ArrayLike,
    w: ArrayLike,
    y: ArrayLike,
    dy: ArrayLike,
    *,
    activation: str = "identity",
    needs: Iterable[str] = ("dx", "dw", "db"),
    out: tuple[_Array | None, _Array | None, _Array | None] | None = None,
) -> tuple[_Array | None, _Array | None, _Array | None]: ...
def softmax_cross_entropy(
    z: ArrayLike,
    y: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    out: _Array | None = None,
) -> tuple[float, _Array]: ...
def sigmoid_cross_entropy(
    z: ArrayLike,
    y: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    out: _Array | None = None,
) -> tuple[float, _Array]: ...
def squared_error(
    z: ArrayLike,
    y: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    out: _Array | None = None,
) -> tuple[float, _Array]: ...
def poisson_loss(
    z: ArrayLike,
    y: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    out: _Array | None = None,
) -> tuple[float, _Array]: ...
def huber_loss(
    z: ArrayLike,
    y: ArrayLike,
    *,
    delta: float = 1.0,
    sample_weight: ArrayLike | None = None,
    out: _Array | None = None,
) -> tuple[float, _Array]: ...
def absolute_error(
    z: ArrayLike,
    y: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    out: _Array | None = None,
) -> tuple[float, _Array]: ...

@disjoint_base
class NetworkCall:
    _engine: NetworkEngine
    def __call__(
        self, x: ArrayLike, *, out: _Array | None = None, num_threads: int | None = None
    ) -> _Array: ...

@disjoint_base
class NetworkEngine:
    def __new__(
        cls,
        sizes: tuple[int, ...],
        activations: tuple[str, ...],
        output: str,
        dtype: np.dtype[Any],
        loss: str | None = None,
        huber_delta: float = 1.0,
    ) -> Self: ...
    def weights(self, writable: bool = True) -> list[_Array]: ...
    def biases(self, writable: bool = True) -> list[_Array]: ...
    def forward(self, x: ArrayLike, out: _Array | None = None) -> _Array: ...
    def activations(self, x: _Array | Csr) -> list[_Array]: ...
    def gradients(
        self, x: _Array | Csr, y: _Array, alpha: float, sample_weight: _Array | None
    ) -> tuple[float, list[tuple[_Array, _Array]]]: ...
    def training(
        self,
        solver: str,
        learning_rate: float,
        momentum: float,
        alpha: float,
        batch_size: int,
        *,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        per_batch_alpha: bool = False,
        dropout: Sequence[float] = (),
        seed: int = 0,
    ) -> Training: ...

@disjoint_base
class Training:
    learning_rate: float
    @property
    def loss(self) -> float: ...
    @property
    def steps(self) -> int: ...
    def state(self) -> dict[str, Any]: ...
    def set_state(self, state: dict[str, Any]) -> None: ...
    def keep(self) -> None: ...
    def restore(self) -> None: ...
    def all_finite(self) -> bool: ...
    def epoch(
        self, x: _Array | Csr, y: _Array, order: _Array, sample_weight: _Array | None
    ) -> tuple[float, float]: ...

# The parts of Gaussian and linear models; arguments are checked by the callers.

def logsumexp(x: ArrayLike, *, out: _Array | None = None) -> _Array: ...
def log_softmax(x: ArrayLike, *, out: _Array | None = None) -> _Array: ...
def all_finite(a: _Array) -> bool: ...
def dot(a: _Array, b: _Array) -> float: ...
def cholesky(a: _Array) -> tuple[_Array, _Array]: ...
def cholesky_solve(l: _Array, b: _Array) -> _Array: ...
def triangular_inverse(l: _Array) -> _Array: ...

@disjoint_base
class Gaussians:
    def __new__(cls, dtype: Any, covariance: str, means: _Array, factors: _Array) -> Self: ...
    def evaluate(
        self,
        x: _Array,
        what: str,
        offsets: _Array | None = None,
        out: _Array | None = None,
    ) -> _Array: ...

def paired_logpdf(x: _Array, means: _Array, factors: _Array) -> _Array: ...
@overload
def class_moments(
    x: _Array,
    labels: _Array | None,
    n_classes: int,
    sample_weight: _Array | None,
    kind: Literal["full"],
    extra: _Array | None = None,
) -> tuple[_Array, _Array, _Array, _Array, _Array]: ...
@overload
def class_moments(
    x: _Array,
    labels: _Array | None,
    n_classes: int,
    sample_weight: _Array | None,
    kind: str,
    extra: _Array | None = None,
) -> tuple[_Array, _Array, _Array, _Array | None, _Array | None]: ...
def add_moments(
    total: tuple[Any, ...], part: tuple[Any, ...], sign: float
) -> tuple[_Array, _Array, _Array, _Array, _Array]: ...
@overload
def linear_terms(
    loss: str,
    x: _Array,
    y: _Array,
    theta: _Array,
    alpha: float,
    sample_weight: _Array | None,
    hessian: Literal[True],
) -> tuple[float, _Array, _Array]: ...
@overload
def linear_terms(
    loss: str,
    x: _Array,
    y: _Array,
    theta: _Array,
    alpha: float,
    sample_weight: _Array | None,
    hessian: bool,
) -> tuple[float, _Array, _Array | None]: ...

# The parts of what takes sparse rows.

def sparse_check(indices: _Array, starts: _Array, shape: tuple[int, int]) -> bool: ...
def sparse_forward(x: Csr, w: _Array, b: _Array | None = None) -> _Array: ...
def sparse_transpose(x: Csr) -> tuple[_Array, _Array, _Array]: ...
