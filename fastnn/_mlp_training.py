"""The training of a multilayer perceptron: epochs of minibatches, or L-BFGS, until it may stop.

A model is changed as it goes, so that callbacks see it as it is; `restored_on_failure` brings back
what was there before if that does not end well.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import _full_batch, _lbfgs, _mlp_random
from ._mlp_report import Report
from ._mlp_settings import Settings

Array = NDArray[Any]

_NOT_FINITE = (
    "Solver produced non-finite parameter weights. The input data may contain large values and need "
    "to be preprocessed."
)
_LEAST_RATE = 1e-6  # of the schedule "adaptive", which divides by 5 down to there


class Data(NamedTuple):
    """Rows x (n, d), dense or CSR; labels (n,) or targets (n, t); weights (n,) or None."""

    x: Any
    y: Array
    weights: Array | None

    def rows(self, of: Array) -> Data:
        """Return some of the rows."""
        x = self.x[of] if isinstance(self.x, np.ndarray) else self.x.take(of)
        return Data(x, self.y[of], None if self.weights is None else self.weights[of])

    def total_weight(self) -> float:
        """Return the sum of the weights."""
        if self.weights is None:
            return float(len(self.y))
        return float(self.weights.sum(dtype=np.float64))


class Progress(NamedTuple):
    """What a callback is given after each epoch, or iteration of L-BFGS.

    epoch counts from 1 in this fit; loss is that of the training rows, score that of the validation
    rows or None; model is the estimator, which can predict; seconds have passed since the start.
    """

    epoch: int
    loss: float
    score: float | None
    model: Any
    seconds: float


def parameters(model: Any) -> list[Array]:
    """Return copies of all weights and biases."""
    engine = model._network._engine
    return [np.array(p) for p in (*engine.weights(False), *engine.biases(False))]


def set_parameters(model: Any, values: list[Array]) -> None:
    """Write weights and biases, also while the network is being trained."""
    engine = model._network._engine
    for p, value in zip((*engine.weights(), *engine.biases()), values):
        p[...] = value


_CURVES = ("loss_curve_", "validation_scores_")


@contextmanager
def restored_on_failure(model: Any, partial: bool) -> Iterator[None]:
    """Leave the model as it was before if the block raises.

    For a partial fit the optimiser keeps the parameters, which costs less than to copy them here.
    """
    before = dict(model.__dict__)
    values = parameters(model) if "_network" in before and not partial else None
    optimizer = before.get("_optimizer")
    steps = None if optimizer is None else optimizer.steps
    lengths = {name: len(before[name]) for name in _CURVES if before.get(name) is not None}
    try:
        yield
    except BaseException:
        model.__dict__.clear()
        model.__dict__.update(before)
        if values is not None:
            set_parameters(model, values)
        if optimizer is not None and optimizer.steps != steps:
            del model._optimizer  # its averages are of steps that are undone
        for name, length in lengths.items():
            del before[name][length:]
        raise


# Whether to go on


class _Run:
    """One fit under way, whichever way it trains."""

    def __init__(
        self, model: Any, settings: Settings, validation: Data | None, incremental: bool
    ) -> None:
        self.model, self.settings, self.validation = model, settings, validation
        self.incremental, self.diverged, self.timed_out = incremental, False, False
        self._started = perf_counter()
        self._report = Report(settings.verbose, 1 if incremental else settings.max_iter)
        model.n_iter_ = 0
        if validation is None:
            model.validation_scores_ = model.best_validation_score_ = None
            if model.best_loss_ is None:
                model.best_loss_ = math.inf
            return
        model.best_loss_ = None
        if model.validation_scores_ is None:
            model.validation_scores_, model.best_validation_score_ = [], -math.inf
        if not hasattr(model, "_best_parameters"):
            model._best_parameters = parameters(model)

    def epoch_ends(self, loss: float) -> None:
        """Take down the loss and the score, and whether they are better than before."""
        model, tol = self.model, self.settings.tol
        model.n_iter_ += 1
        model.loss_ = loss
        model.loss_curve_.append(loss)
        if self.validation is None:
            worse = loss > model.best_loss_ - tol
            model.best_loss_ = min(loss, model.best_loss_)
        else:
            score = math.nan if self.diverged else self._score(self.validation)
            model.validation_scores_.append(score)
            worse = score < model.best_validation_score_ + tol
            if score > model.best_validation_score_:
                model.best_validation_score_ = score
                model._best_parameters = parameters(model)
        model._no_improvement_count = model._no_improvement_count + 1 if worse else 0

    def _score(self, validation: Data) -> float:
        outputs = self.model._outputs(validation.x)
        if not np.isfinite(outputs).all():
            return math.nan
        return float(self.model._score_of(outputs, validation.y, validation.weights))

    def stalls(self) -> bool:
        """Whether there has been no improvement for too long."""
        return bool(self.model._no_improvement_count > self.settings.n_iter_no_change)

    def why_stalled(self) -> str:
        """Say so."""
        what = "Training loss" if self.validation is None else "Validation score"
        return (
            f"{what} did not improve more than tol={self.settings.tol:f} for "
            f"{self.settings.n_iter_no_change} consecutive epochs."
        )

    def asked_to_stop(self) -> bool:
        """Report the epoch; whether a callback or the clock ends the fit."""
        model = self.model
        score = None if self.validation is None else model.validation_scores_[-1]
        seconds = perf_counter() - self._started
        self._report.epoch(model.n_iter_, model.loss_, score)
        progress = Progress(model.n_iter_, model.loss_, score, model, seconds)
        answers = [callback(progress) for callback in self.settings.callbacks]
        self.timed_out = seconds >= self.settings.max_time
        return self.timed_out or any(isinstance(a, (bool, np.bool_)) and a for a in answers)

    def say(self, message: str) -> None:
        """Print a message if the fit is verbose."""
        self._report.say(message)

    def ends(self) -> None:
        """Close the report; go back to the parameters of the best score, if this is the end."""
        model = self.model
        self._report.close()
        if self.validation is None:
            return
        last = not self.incremental or self.diverged or self.stalls()
        if last:
            set_parameters(model, model._best_parameters)
        if not self.incremental:
            del model._best_parameters
            return
        model.converged_ = last
        if last:
            model._no_improvement_count = 0


@contextmanager
def _undone_on_failure(optimizer: Any) -> Iterator[None]:
    """Bring back the parameters that were there before if the block raises."""
    optimizer.keep()
    try:
        yield
    except BaseException:
        optimizer.restore()
        raise


@contextmanager
def _interruptible(run: _Run) -> Iterator[None]:
    """Let Ctrl-C end the training where it is, and keep what has been learned."""
    try:
        yield
    except KeyboardInterrupt:
        warnings.warn("Training interrupted by user.", stacklevel=7)
    finally:
        run.ends()


# Minibatches


def optimizer(model: Any, settings: Settings, resume: bool, rng: _mlp_random.Source) -> Any:
    """Return the optimiser of the network: the last one if it is to go on, else a new one."""
    made_of = settings.optimizer()
    state = None
    if resume and model.__dict__.get("_optimizer_made_of", (None,))[0] == settings.solver:
        if hasattr(model, "_optimizer") and model._optimizer_made_of == made_of:
            return model._optimizer
        state = optimizer_state(model)
    new = model._network._engine.training(
        settings.solver,
        settings.learning_rate,
        settings.momentum,
        settings.alpha,
        settings.batch_size,
        beta_1=settings.beta_1,
        beta_2=settings.beta_2,
        epsilon=settings.epsilon,
        per_batch_alpha=True,
        dropout=settings.dropout,
        seed=_mlp_random.seed(rng) if settings.dropout else 0,
    )
    if state is not None:
        new.set_state(state)
        if model._optimizer_made_of[1] == settings.learning_rate:
            new.learning_rate = state["learning_rate"]  # where its schedule had come to
    model._optimizer, model._optimizer_made_of = new, made_of
    model.__dict__.pop("_optimizer_state", None)
    return new


def optimizer_state(model: Any) -> dict[str, Any] | None:
    """Return the state of the model's optimiser, as arrays; None if it has none."""
    if hasattr(model, "_optimizer"):
        return {**model._optimizer.state(), "learning_rate": model._optimizer.learning_rate}
    state: dict[str, Any] | None = getattr(model, "_optimizer_state", None)
    return state


def _end_of_schedule(model: Any, settings: Settings, run: _Run) -> bool:
    """Change the learning rate as the schedule wants; whether training has come to its end."""
    sgd = settings.solver != "adam"
    if sgd and settings.schedule == "invscaling":
        rate = settings.learning_rate / (model.t_ + 1) ** settings.power_t
        model._optimizer.learning_rate = rate
    if not run.stalls():
        return False
    if not (sgd and settings.schedule == "adaptive"):
        run.say(f"{run.why_stalled()} Stopping.")
        return True
    if model._optimizer.learning_rate <= _LEAST_RATE:
        run.say(f"{run.why_stalled()} Learning rate too small. Stopping.")
        return True
    model._optimizer.learning_rate /= 5
    run.say(f"{run.why_stalled()} Setting learning rate to {model._optimizer.learning_rate:f}")
    model._no_improvement_count = 0
    return False


def stochastic(
    model: Any,
    settings: Settings,
    data: Data,
    validation: Data | None,
    rng: _mlp_random.Source,
    incremental: bool,
    warn: Callable[[str], None],
) -> None:
    """Train by minibatches, with the model's optimiser; `incremental`: for one epoch."""
    n = len(data.y)
    order = np.arange(n)
    factor, term = model._reported(data)
    run = _Run(model, settings, validation, incremental)
    with _undone_on_failure(model._optimizer), _interruptible(run):
        for epoch in range(1, 2 if incremental else settings.max_iter + 1):
            if settings.shuffle:
                order = _mlp_random.shuffled(rng, order)
            data_loss, penalty = model._optimizer.epoch(data.x, data.y, order, data.weights)
            loss = factor * data_loss + term + penalty
            run.diverged = not (math.isfinite(loss) and model._optimizer.all_finite())
            if run.diverged and validation is None:
                raise ValueError(_NOT_FINITE)
            model.t_ += n
            run.epoch_ends(loss)
            if run.asked_to_stop() or _end_of_schedule(model, settings, run):
                break
            if run.diverged:
                warn(f"the loss is not finite after {epoch} epochs; the best weights are kept")
                break
            if epoch == settings.max_iter and not incremental:
                warn(
                    f"Stochastic Optimizer: Maximum iterations ({settings.max_iter}) reached and "
                    "the optimization hasn't converged yet."
                )
    if run.timed_out:
        warn(f"max_time={settings.max_time} s has passed after {model.n_iter_} epochs")


# All rows


class _OutOfCalls(Exception):
    """The objective was evaluated as often as it may be."""


class _Counted(_full_batch.Objective):
    """The objective, up to so many evaluations."""

    calls_left = 0

    def __call__(self, theta: Array) -> tuple[float, Array]:
        if self.calls_left == 0:
            raise _OutOfCalls
        self.calls_left -= 1
        return super().__call__(theta)


def full_batch(
    model: Any,
    settings: Settings,
    data: Data,
    validation: Data | None,
    warn: Callable[[str], None],
) -> None:
    """Train on all rows at once by L-BFGS."""
    alpha = settings.alpha / data.total_weight()
    objective = _Counted(model._network._engine, data.x, data.y, data.weights, alpha)
    objective.calls_left = settings.max_fun
    theta = objective.read()
    factor, term = model._reported(data)
    run = _Run(model, settings, validation, incremental=False)

    def reported(value: float) -> float:
        weights = model._network._engine.weights(False)
        squares = sum(float((w.astype(np.float64) ** 2).sum()) for w in weights)
        penalty = alpha / 2 * squares
        return factor * (value - penalty) + term + penalty

    def step(iteration: int, new: Array, value: float) -> bool:
        nonlocal theta
        theta = new
        objective.write(theta)
        run.epoch_ends(reported(value))
        stalled = validation is not None and run.stalls()
        if stalled:
            run.say(f"{run.why_stalled()} Stopping.")
        return run.asked_to_stop() or stalled

    message = f"the objective was evaluated max_fun={settings.max_fun} times"
    with _interruptible(run):
        try:
            result = _lbfgs.minimize(
                objective,
                theta,
                tol=settings.tol,
                max_iter=settings.max_iter,
                callback=step,
                rounding=objective.rounding,
            )
            theta, message = result.theta, "" if result.converged else result.message
            if message == _lbfgs.NOT_FINITE:
                raise ValueError(_NOT_FINITE)
        except _OutOfCalls:
            pass
        finally:
            objective.write(theta)
    if model.n_iter_ == 0:  # it has converged where it started, or ran out of calls
        model.loss_ = reported(_full_batch.Objective.__call__(objective, theta)[0])
    if run.timed_out:
        warn(f"max_time={settings.max_time} s has passed after {model.n_iter_} iterations")
    elif message and message != _lbfgs.STOPPED:
        warn(
            f"lbfgs failed to converge after {model.n_iter_} iteration(s): {message}. Increase "
            "max_iter to improve the convergence, or scale the data."
        )
