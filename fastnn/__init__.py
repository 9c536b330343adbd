"""Neural networks, linear models and Gaussian classifiers on a CPU, computed by compiled kernels.

`MLPClassifier`, `MLPRegressor`, `LogisticRegression`, `Ridge` and `GaussianClassifier` are fitted and
predict, as `LinearDiscriminantAnalysis`, `QuadraticDiscriminantAnalysis` and `GaussianNB` do; `Network`
is what the first two train. The functions of `kernels` are their parts, on plain arrays.
"""

from . import datasets, kernels, runtime
from ._mlp_training import Progress
from ._model_file import ModelFileError, load
from .discriminant import LinearDiscriminantAnalysis
from .gaussian import GaussianClassifier
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
from .linear import LogisticRegression, Ridge
from .mlp import MLPClassifier
from .mlp_regressor import MLPRegressor
from .naive_bayes import GaussianNB
from .network import Network
from .quadratic_discriminant import QuadraticDiscriminantAnalysis
from .runtime import (
    available_isas,
    backend,
    get_num_threads,
    isa,
    set_num_threads,
    show_config,
    use_isa,
)

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
