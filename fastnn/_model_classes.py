"""The classes that a model file may hold."""

from __future__ import annotations

from typing import Any

from .discriminant import LinearDiscriminantAnalysis
from .gaussian import GaussianClassifier
from .linear import LogisticRegression, Ridge
from .mlp import MLPClassifier
from .mlp_regressor import MLPRegressor
from .naive_bayes import GaussianNB
from .network import Network
from .quadratic_discriminant import QuadraticDiscriminantAnalysis

CLASSES: tuple[Any, ...] = (
    GaussianClassifier,
    GaussianNB,
    LinearDiscriminantAnalysis,
    LogisticRegression,
    MLPClassifier,
    MLPRegressor,
    Network,
    QuadraticDiscriminantAnalysis,
    Ridge,
)
