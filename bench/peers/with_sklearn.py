"""scikit-learn's MLPClassifier."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from . import ADAM_RATE, EPOCHS, SGD_RATE, Run, Task


def classifier(task: Task, **options: Any) -> MLPClassifier:
    return MLPClassifier(
        task.sizes[1:-1],
        activation="logistic",
        alpha=0.0,
        batch_size=task.batch,
        random_state=0,
        **options,
    )


def steps(task: Task) -> Run:
    model = classifier(task, solver="sgd", momentum=0.0, learning_rate_init=SGD_RATE, shuffle=False)
    minibatches = task.minibatches()
    # Its parameters are there after a first step; the optimizer works on these very arrays.
    model.partial_fit(*minibatches[0], classes=np.arange(task.sizes[-1]))
    for w, b, (w_0, b_0) in zip(model.coefs_, model.intercepts_, task.layers):
        w[...], b[...] = w_0, b_0

    def run() -> Any:
        for x, y in minibatches:
            model.partial_fit(x, y)
        return zip(model.coefs_, model.intercepts_)

    return run


def epochs(task: Task) -> Run:
    model = classifier(task, learning_rate_init=ADAM_RATE, max_iter=EPOCHS, tol=0.0)

    def run() -> float:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            return model.fit(task.x, task.y).loss_curve_[-1]

    return run


CONTENDERS = {"step": {"scikit-learn": steps}, "epoch": {"scikit-learn": epochs}}
