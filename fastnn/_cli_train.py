"""`fastnn train`: fits an estimator to a table and writes it to a file."""

from __future__ import annotations

import argparse
import ast
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

import fastnn

from . import _cli_scale
from ._cli_data import Array, Failure, Frame, Table, UsageError, require_values, require_writable
from ._cli_targets import CLASSIFICATION, REGRESSION, Column, learned

# The estimator for each task; the options of the command by the parameter that they set.
MODELS = {
    "mlp": {CLASSIFICATION: "MLPClassifier", REGRESSION: "MLPRegressor"},
    "logistic": {CLASSIFICATION: "LogisticRegression"},
    "ridge": {REGRESSION: "Ridge"},
    "gaussian": {CLASSIFICATION: "GaussianClassifier"},
}
PARAMETERS = {
    "hidden": "hidden_layer_sizes",
    "activation": "activation",
    "epochs": "max_iter",
    "batch_size": "batch_size",
    "learning_rate": "learning_rate_init",
    "alpha": "alpha",
    "C": "C",
    "covariance": "covariance",
}
ONLY_MLP = (
    "hidden",
    "activation",
    "epochs",
    "batch_size",
    "learning_rate",
    "early_stopping",
    "standardize",
)
SCORES = {CLASSIFICATION: "accuracy", REGRESSION: "R^2"}
VALIDATION = 0.1  # share of the rows for early stopping, if none is given
INTERRUPTED = "Training interrupted"  # how the warning of an interrupted fit begins
CLASSES_SHOWN = 5


class Data(NamedTuple):
    """Rows to learn from: x (n, d), y (n,), and the names of the features, if the file has any."""

    x: Array
    y: Array
    names: list[str] | None

    def rows(self) -> Any:
        """Return x with the names of its columns."""
        return self.x if self.names is None else Frame(self.x, self.names)

    def part(self, of: Array) -> Data:
        """Return some of the rows."""
        return Data(self.x[of], self.y[of], self.names)

    def scaled(self, by: _cli_scale.Scaling) -> Data:
        """Return the rows with columns of mean 0 and deviation 1."""
        return Data(by.features(self.x), by.target(self.y), self.names)


class Progress:
    """Prints a line for each epoch."""

    def __init__(self, rows: int) -> None:
        self._rows, self._started = rows, time.perf_counter()

    def __call__(self, progress: Any) -> None:
        now = time.perf_counter()
        speed, self._started = self._rows / (now - self._started), now
        score = "" if progress.score is None else f"  validation score {progress.score:.4f}"
        say(f"epoch {progress.epoch:4d}  loss {progress.loss:.6f}{score}  {speed:12,.0f} rows/s")


def say(words: str) -> None:
    """Print what is no result."""
    print(words, file=sys.stderr, flush=True)


def print_table(rows: dict[str, str]) -> None:
    """Print names and values under each other."""
    width = max(map(len, rows))
    for name, value in rows.items():
        print(f"{name:<{width}}  {value}")


# The model


def value_of(text: str) -> Any:
    """Return the Python literal in a text, or a number such as inf, or the text itself."""
    for parse in (ast.literal_eval, float):
        try:
            return parse(text)
        except (ValueError, SyntaxError):
            continue
    return text


def own_settings(settings: list[str]) -> dict[str, Any]:
    """Return the parameters of --set by name."""
    values: dict[str, Any] = {}
    for setting in settings:
        name, sign, text = setting.partition("=")
        if not sign or not name:
            raise UsageError(f"--set {setting}: name=value is expected, such as --set tol=1e-5")
        if name in values:
            raise UsageError(f"--set {setting}: {name} is given twice")
        values[name] = value_of(text)
    return values


def require_options_of(arguments: argparse.Namespace) -> None:
    """Raise for an option that the model has no use for, and for a task that it is not for."""
    kinds = MODELS[arguments.model]
    if arguments.task != "auto" and arguments.task not in kinds:
        others = " or ".join(name for name, tasks in MODELS.items() if arguments.task in tasks)
        raise UsageError(
            f"--model {arguments.model} is not for --task {arguments.task}; use --model {others}"
        )
    allowed = {"alpha": ("mlp", "ridge"), "C": ("logistic",), "covariance": ("gaussian",)}
    allowed |= {name: ("mlp",) for name in ONLY_MLP}
    for name, models in allowed.items():
        if getattr(arguments, name) not in (None, False) and arguments.model not in models:
            option = "--" + name.replace("_", "-")
            raise UsageError(
                f"{option} is for --model {' or '.join(models)}, not for {arguments.model}"
            )


def make_model(arguments: argparse.Namespace, task: str) -> Any:
    """Return the estimator that the options describe."""
    require_options_of(arguments)
    estimator = getattr(fastnn, MODELS[arguments.model][task])
    valid = estimator().get_params()
    own = own_settings(arguments.set)
    for name in own:
        if name not in valid:
            raise UsageError(
                f"--set {name}: {estimator.__name__} has no such parameter; it has {', '.join(valid)}"
            )
    given = {PARAMETERS[o]: getattr(arguments, o) for o in PARAMETERS}
    given = {name: value for name, value in given.items() if value is not None}
    if "random_state" in valid:
        given["random_state"] = arguments.seed
    for name in own:
        if name in given and name != "random_state":
            raise UsageError(f"--set {name}: an option gives it already; remove one of the two")
    return estimator(**{**given, **own})


# The rows


def features_of(table: Table, target: str, ignored: list[str]) -> list[int]:
    """Return the positions of the columns to learn from."""
    left_out = {table.index(name) for name in (target, *ignored)}
    features = [i for i in table.candidates if i not in left_out]
    if not features:
        raise UsageError(f"{table.path}: there is no column left to learn from")
    for i in features:
        if table.index(table.names[i]) == i and not table.names[i].strip():
            raise UsageError(
                f"{table.path}: column {i + 1} has no name; name it in the header, or leave it out "
                f"by --ignore {table.names[i]!r}"
            )
    return features


def read(table: Table, arguments: argparse.Namespace) -> tuple[Data, str]:
    """Return the rows to learn from, and the task."""
    target = arguments.target or table.default_target
    if target is None:
        raise UsageError(f"--target is needed for {table.path}: {table.columns_there()}")
    features = features_of(table, target, arguments.ignore)
    own = own_settings(arguments.set)
    diagonal = (own.get("covariance") or arguments.covariance) == "diag"
    missing = arguments.model == "gaussian" and diagonal and own.get("missing") != "error"
    help_missing = (
        "Fill such cells or remove the rows; --covariance diag of --model gaussian takes them"
    )
    parts, cells, places = [], [], []
    for block in table.blocks(features, table.index(target)):
        require_values(table, block, features, missing=missing, help_missing=help_missing)
        parts.append(block.x)
        cells.extend(block.target)
        places.append(block.places)
    if not parts:
        raise UsageError(f"{table.path}: there are no rows of data, only names of columns")
    column = Column(table, target, cells, np.concatenate(places))
    kinds = list(MODELS[arguments.model])
    task, y, note = learned(column, kinds, arguments.task)
    if task == CLASSIFICATION and len(np.unique(y)) < 2:
        raise UsageError(
            f"{table.path}, column {target!r}: all rows are of the class {y[0]!s}; at least two "
            "classes are expected"
        )
    if note is not None:
        say(f"fastnn: note: {note}")
    with np.errstate(over="ignore"):  # infinite then, which the model refuses
        x = np.concatenate(parts, dtype=arguments.dtype, casting="same_kind")
    if arguments.model == "mlp" and not arguments.standardize:
        advise_scaling(x, [table.names[i] for i in features])
    return Data(x, y, [table.names[i] for i in features] if table.named else None), task


def advise_scaling(x: Array, names: list[str]) -> None:
    """Tell the user if values are too large for a network."""
    large = _cli_scale.first_large(x)
    if large is not None:
        say(
            f"fastnn: note: values of {names[large]!r} are larger than {_cli_scale.LARGE:g}; "
            "networks learn better with --standardize"
        )


def divided(data: Data, task: str, share: float, seed: int) -> tuple[Data, Data]:
    """Return rows for training, and this share of them for validation, of each class alike."""
    order = np.random.default_rng(seed).permutation(len(data.y))
    if task == CLASSIFICATION:
        order = order[np.argsort(data.y[order], kind="stable")]
    size = round(share * len(order))
    held_out = np.zeros(len(order), bool)
    held_out[order[(np.arange(size) + 0.5).astype(np.int64) * len(order) // max(1, size)]] = True
    if task == CLASSIFICATION:  # a class cannot be learned from none of its rows
        held_out &= np.isin(data.y, data.y[~held_out])
    if not held_out.any() or held_out.all():
        raise UsageError(
            f"--validation {share}: of {len(order)} rows that leaves none for validation or training"
        )
    return data.part(~held_out), data.part(held_out)


# The command


@contextmanager
def warnings_told() -> Iterator[list[str]]:
    """Print warnings as lines of this command, and keep their messages."""
    messages: list[str] = []

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        messages.append(str(message))
        say(f"fastnn: warning: {message}")

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = show
        yield messages


def fit(model: Any, data: Data, held_out: Data | None, arguments: argparse.Namespace) -> None:
    """Train the model, with a line for each epoch if it has any."""
    scaling = _cli_scale.of_model(model, data.x, data.y) if arguments.standardize else None
    if scaling is not None:
        data = data.scaled(scaling)
        held_out = None if held_out is None else held_out.scaled(scaling)
    options: dict[str, Any] = {}
    if arguments.early_stopping and held_out is not None:
        options = {"X_val": held_out.rows(), "y_val": held_out.y}
    has_epochs = "callbacks" in model.get_params()
    if has_epochs and not arguments.quiet:
        model.callbacks = Progress(len(data.y))
    try:
        with warnings_told() as messages:
            model.fit(data.rows(), data.y, **options)
    except (ValueError, TypeError) as error:
        raise UsageError(f"{type(model).__name__}: {error}") from None
    finally:
        if has_epochs:
            model.callbacks = None
    if any(message.startswith(INTERRUPTED) for message in messages):
        raise KeyboardInterrupt
    if scaling is not None:
        scaling.move_into(model)


def summary(model: Any, data: Data, held_out: Data | None, task: str) -> dict[str, str]:
    """Return what there is to say about a trained model."""
    rows = {"model": repr(model), "rows": f"{len(data.y):,}", "features": f"{data.x.shape[1]:,}"}
    if held_out is not None:
        rows["rows"] += f", and {len(held_out.y):,} for validation"
    rows["target"] = f"{model.target_name_}, {task}"
    if task == CLASSIFICATION:
        labels = [str(label) for label in model.classes_.tolist()]
        shown = ", ".join(labels[:CLASSES_SHOWN]) + (", ..." if len(labels) > CLASSES_SHOWN else "")
        rows["classes"] = f"{len(labels)}: {shown}"
    if getattr(model, "n_iter_", None) is not None:  # a direct solution takes none
        rows["iterations"] = str(int(np.max(model.n_iter_)))
    if hasattr(model, "loss_"):
        rows["loss"] = f"{model.loss_:.6g}"
    rows[f"training {SCORES[task]}"] = f"{model.score(data.rows(), data.y):.4f}"
    if held_out is not None:
        score = model.score(held_out.rows(), held_out.y)
        rows[f"validation {SCORES[task]}"] = f"{score:.4f}"
    return rows


def require_safetensors() -> None:
    """Raise before any training if the model could not be written."""
    try:
        import safetensors.numpy  # noqa: F401
    except ImportError:
        raise UsageError(
            "model files need safetensors; install it: pip install safetensors"
        ) from None


def save(model: Any, path: str) -> None:
    """Write the model to a file."""
    try:
        model.save(path)
    except OSError as error:
        raise Failure(f"{path}: cannot be written: {error.strerror or error}") from None
    except (ValueError, TypeError) as error:
        raise Failure(f"{path}: the model cannot be saved: {error}") from None


def train(arguments: argparse.Namespace, table: Table) -> None:
    """Fit a model to a table of rows and columns, print how well it does, and write it."""
    require_writable(arguments.output, "-o")
    require_safetensors()
    require_options_of(arguments)
    started = time.perf_counter()
    data, task = read(table, arguments)
    model = make_model(arguments, task)
    if not arguments.quiet:
        n, d = data.x.shape
        seconds = time.perf_counter() - started
        say(f"read {n:,} rows of {d:,} features in {seconds:.2f} s")
    share, held_out = arguments.validation, None
    if share is None and arguments.early_stopping:
        share = VALIDATION
    if share is not None:
        data, held_out = divided(data, task, share, arguments.seed)
    started = time.perf_counter()
    fit(model, data, held_out, arguments)
    seconds = time.perf_counter() - started
    model.target_name_ = arguments.target or table.default_target
    rows = summary(model, data, held_out, task)
    print_table({**rows, "time": f"{seconds:.2f} s of training"})
    save(model, arguments.output)
    print(f"model written to {arguments.output}")
