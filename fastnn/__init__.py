"""Neural networks, linear models and Gaussian classifiers on a CPU, computed by compiled kernels.

`MLPClassifier`, `MLPRegressor`, `LogisticRegression`, `Ridge` and `GaussianClassifier` are fitted and
predict, as `LinearDiscriminantAnalysis`, `QuadraticDiscriminantAnalysis` and `GaussianNB` do; `Network`
is what the first two train. The functions of `kernels` are their parts, on plain arrays.
"""

import typing as _typing

from . import datasets, kernels, runtime
from .kernels import (
    absolute_error,
    cholesky_factors,
    dense_backward,
    dense_forward,
    gaussian_logpdf,
    gaussian_moments,
    huber_loss,
    linear_loss,
    log_softmax,
    logsumexp,
    poisson_loss,
    sigmoid,
    sigmoid_cross_entropy,
    softmax,
    softmax_cross_entropy,
    squared_error,
)
from .network import Network
from .runtime import (
    available_isas,
    backend,
    get_num_threads,
    isa,
    set_num_threads,
    show_config,
    use_isa,
)

if _typing.TYPE_CHECKING:
    from ._mlp_training import Progress
    from ._model_file import ModelFileError, load
    from .discriminant import LinearDiscriminantAnalysis
    from .gaussian import GaussianClassifier
    from .linear import LogisticRegression, Ridge
    from .mlp import MLPClassifier
    from .mlp_regressor import MLPRegressor
    from .naive_bayes import GaussianNB
    from .quadratic_discriminant import QuadraticDiscriminantAnalysis

__version__ = "0.1.0"

__all__ = [
    "GaussianClassifier",
    "GaussianNB",
    "LinearDiscriminantAnalysis",
    "LogisticRegression",
    "MLPClassifier",
    "MLPRegressor",
    "ModelFileError",
    "Network",
    "Progress",
    "QuadraticDiscriminantAnalysis",
    "Ridge",
    "absolute_error",
    "available_isas",
    "backend",
    "cholesky_factors",
    "datasets",
    "dense_backward",
    "dense_forward",
    "gaussian_logpdf",
    "gaussian_moments",
    "get_num_threads",
    "huber_loss",
    "isa",
    "kernels",
    "linear_loss",
    "load",
    "log_softmax",
    "logsumexp",
    "poisson_loss",
    "runtime",
    "set_num_threads",
    "show_config",
    "sigmoid",
    "sigmoid_cross_entropy",
    "softmax",
    "softmax_cross_entropy",
    "squared_error",
    "use_isa",
]

# Where the names are that are loaded when they are first asked for: of all estimators a program
# uses one or two, and a service starts in less time without the others.
_LAZY = {
    "GaussianClassifier": "gaussian",
    "GaussianNB": "naive_bayes",
    "LinearDiscriminantAnalysis": "discriminant",
    "LogisticRegression": "linear",
    "MLPClassifier": "mlp",
    "MLPRegressor": "mlp_regressor",
    "ModelFileError": "_model_file",
    "Progress": "_mlp_training",
    "QuadraticDiscriminantAnalysis": "quadratic_discriminant",
    "Ridge": "linear",
    "load": "_model_file",
}

if not _typing.TYPE_CHECKING:  # which has imported them, and is not to take any other name

    def __getattr__(name: str) -> object:
        from importlib import import_module

        if name in _LAZY.values():
            return import_module(f".{name}", __name__)
        if name not in _LAZY:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(f".{_LAZY[name]}", __name__), name)
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
