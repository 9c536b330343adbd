"""The command line: models for tables, a demonstration on handwritten digits, and the build."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import Network, backend, isa, show_config
from ._cli_data import Failure, UsageError
from ._cli_models import add_evaluate, add_predict, add_train
from .datasets import Digits, load_digits16

SIZES = (256, 128, 10)
SOLVER, LEARNING_RATE = "adam", 0.03
N_MISREAD = 12  # images that the plot shows


class Progress:
    """Prints a line for each epoch, and keeps the time spent on training alone."""

    def __init__(self, net: Network, digits: Digits) -> None:
        self.seconds = 0.0
        self.accuracies: list[float] = []
        self._net, self._digits = net, digits
        self._started = time.perf_counter()

    def __call__(self, epoch: int, loss: float) -> None:
        elapsed = time.perf_counter() - self._started
        self.seconds += elapsed
        accuracy = float(np.mean(predict(self._net, self._digits.x_test) == self._digits.y_test))
        self.accuracies.append(accuracy)
        speed = len(self._digits.x_train) / elapsed
        print(
            f"epoch {epoch + 1:3d}  loss {loss!r:<22}  test accuracy {accuracy:.3f}  "
            f"{speed:10,.0f} rows/s",
            flush=True,
        )
        self._started = time.perf_counter()


def predict(net: Network, x: NDArray[np.float32]) -> NDArray[np.intp]:
    """Return the class of the largest output of each row."""
    return net(x).argmax(axis=1)


def confusion_matrix(y: NDArray[Any], predicted: NDArray[Any]) -> NDArray[np.int64]:
    """Count the digits: rows by the true class, columns by the predicted one."""
    counts = np.zeros((10, 10), np.int64)
    np.add.at(counts, (y, predicted), 1)
    return counts


def print_result(digits: Digits, predicted: NDArray[Any], seconds: float) -> None:
    """Print the accuracy on the test part, the confusion matrix, and what it took."""
    counts = confusion_matrix(digits.y_test, predicted)
    print(f"\ntest accuracy {np.trace(counts) / counts.sum():.3f}\n")
    print("confusion matrix (rows: true digit, columns: predicted digit)")
    print("    " + "".join(f"{digit:5d}" for digit in range(10)))
    for digit, row in enumerate(counts):
        print(f"{digit:4d}" + "".join(f"{count:5d}" for count in row))
    print(f"\ntraining took {seconds:.2f} s (backend {backend()}, ISA {isa()})")


def check_plot(path: str) -> None:
    """Raise before any training if the plot could not be drawn or written."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
    except ImportError:
        raise UsageError("--plot needs matplotlib; install it: pip install matplotlib") from None
    folder = os.path.dirname(path) or "."
    formats = FigureCanvasAgg.get_supported_filetypes()
    if not os.path.isdir(folder):
        raise UsageError(f"--plot {path}: there is no folder {folder}")
    if os.path.isdir(path) or not os.access(path if os.path.exists(path) else folder, os.W_OK):
        raise UsageError(f"--plot {path}: not a file that can be written")
    if os.path.splitext(path)[1].lstrip(".").lower() not in formats:
        raise UsageError(f"--plot {path}: the name must end in one of .{', .'.join(formats)}")


def plot(
    path: str, digits: Digits, predicted: NDArray[Any], losses: list[float], accuracies: list[float]
) -> None:
    """Draw the learning curve and some misread digits."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4), layout="constrained")
    left, right = figure.subfigures(1, 2, squeeze=False)[0]
    draw_curve(left.subplots(), losses, accuracies)
    misread = np.flatnonzero(predicted != digits.y_test)[:N_MISREAD]
    right.suptitle("Misread test digits: true / predicted")
    for i, axes in enumerate(right.subplots(3, N_MISREAD // 3).flat):
        axes.set_axis_off()
        if i < len(misread):
            row = misread[i]
            axes.imshow(digits.x_test[row].reshape(16, 16), cmap="gray_r")
            axes.set_title(f"{digits.y_test[row]} / {predicted[row]}")
    try:
        figure.savefig(path)
    except OSError as error:
        raise UsageError(f"--plot {path}: {error.strerror or error}") from None
    print(f"plot written to {path}")


def draw_curve(axes: Any, losses: list[float], accuracies: list[float]) -> None:
    """Draw the training loss and the test accuracy by epoch."""
    epochs = np.arange(1, len(losses) + 1)
    axes.plot(epochs, losses, "o-", color="tab:blue", markersize=3)
    axes.set_xlabel("epoch")
    axes.set_ylabel("training loss", color="tab:blue")
    twin = axes.twinx()
    twin.plot(epochs, accuracies, "s-", color="tab:orange", markersize=3)
    twin.set_ylabel("test accuracy", color="tab:orange")


def demo(arguments: argparse.Namespace) -> None:
    """Train a network of 256-128-10 on the packaged digits and show how well it reads."""
    if arguments.plot is not None:
        check_plot(arguments.plot)
    digits = load_digits16()
    rng = np.random.default_rng(arguments.seed)
    net = Network(SIZES, rng=rng)
    print(f"training {net} on {len(digits.x_train):,} digits of 16 x 16 pixels", flush=True)
    progress = Progress(net, digits)
    losses = net.train(
        digits.x_train,
        digits.y_train,
        epochs=arguments.epochs,
        batch_size=arguments.batch_size,
        solver=SOLVER,
        learning_rate=LEARNING_RATE,
        rng=rng,
        callback=progress,
    )
    predicted = predict(net, digits.x_test)
    print_result(digits, predicted, progress.seconds)
    if arguments.plot is not None:
        plot(arguments.plot, digits, predicted, losses, progress.accuracies)


def info(arguments: argparse.Namespace) -> None:
    """Print the version, the backend, the instruction sets and the machine."""
    show_config()


def integer_of_at_least(least: int) -> Any:
    """Return a parser of integers for argparse."""

    def parse(text: str) -> int:
        if int(text) < least:
            raise ValueError
        return int(text)

    parse.__name__ = f"integer of at least {least}"  # argparse names it: "invalid <name> value"
    return parse


def add_demo(commands: Any) -> None:
    """Add the command `demo` to the commands of a parser."""
    sub = commands.add_parser("demo", help="train on handwritten digits", description=demo.__doc__)
    positive, natural = integer_of_at_least(1), integer_of_at_least(0)
    default = "default: %(default)s"
    sub.add_argument("--epochs", type=positive, default=20, metavar="N", help=default)
    sub.add_argument("--batch-size", type=positive, default=64, metavar="N", help=default)
    sub.add_argument("--seed", type=natural, default=0, metavar="N", help=default)
    sub.add_argument("--plot", metavar="FILE.png", help="draw the learning curve (matplotlib)")
    sub.set_defaults(run=demo)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    main_parser = argparse.ArgumentParser(
        prog="fastnn",
        description="Dense networks, linear models and Gaussian classifiers on a CPU.",
    )
    commands = main_parser.add_subparsers(required=True, metavar="command")
    add_train(commands)
    add_predict(commands)
    add_evaluate(commands)
    add_demo(commands)
    info_parser = commands.add_parser("info", help="describe this build", description=info.__doc__)
    info_parser.set_defaults(run=info)
    return main_parser


def give_up_output() -> None:
    """Let what is still to be written to standard output go nowhere, instead of failing at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    if sys.stdout is None:  # closed by whoever has started this
        sys.stdout = open(os.devnull, "w")
    arguments = parser().parse_args(argv)
    try:
        arguments.run(arguments)
        sys.stdout.flush()
    except UsageError as error:
        print(f"fastnn: error: {error}", file=sys.stderr)
        return 2
    except (Failure, MemoryError) as error:
        print(f"fastnn: error: {error or 'out of memory'}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("fastnn: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader, such as head, has seen enough
        give_up_output()
        return 1
    except OSError as error:  # of standard output: errors of files are told apart where they occur
        give_up_output()
        print(f"fastnn: error: standard output: {error.strerror or error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
