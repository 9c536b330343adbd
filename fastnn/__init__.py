"""Dense neural networks on a CPU, computed by compiled kernels.

`Network` trains and predicts; the functions of `kernels` are its parts, on plain arrays.
"""

from . import datasets, kernels, runtime
from .kernels import (
    dense_backward,
    dense_forward,
    sigmoid,
    sigmoid_cross_entropy,
    softmax,
    softmax_cross_entropy,
    squared_error,
)
from .network import Network
from .runtime import available_isas, backend, isa, show_config, use_isa

__version__ = "0.1.0"

__all__ = [
    "Network",
    "available_isas",
    "backend",
    "datasets",
    "dense_backward",
    "dense_forward",
    "isa",
    "kernels",
    "runtime",
    "show_config",
    "sigmoid",
    "sigmoid_cross_entropy",
    "softmax",
    "softmax_cross_entropy",
    "squared_error",
    "use_isa",
]
