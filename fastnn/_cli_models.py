"""The options of `fastnn train`, `predict` and `evaluate`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from ._cli_data import Table, open_table

DATA_HELP = (
    "table: .npz (arrays X and y, or an array a column), .parquet or .pq, anything else as CSV with "
    "a header row"
)
TRAIN_HELP = """\
Fit a model to a table of rows and columns, print how well it does, and write it to a file.

All columns but the target and those of --ignore are features; they must be numbers. A target of
words or whole numbers means classes, one of other numbers a regression, unless --task or --model
says otherwise. Progress goes to standard error, the summary to standard output."""
TRAIN_EXAMPLES = """\
examples:
  fastnn train iris.csv --target species --model gaussian -o iris.safetensors
  fastnn train sales.parquet --target price --model mlp --standardize --early-stopping -o m.safetensors
  fastnn train data.csv --target y --model logistic --C 0.1 --set class_weight=balanced -o m.safetensors

exit codes: 0 done, 1 failed, 2 wrong options or data, 130 interrupted (no file is written)"""
PREDICT_HELP = """\
Write the prediction of a model for each row of a table, in the same order, as CSV.

Columns are found by their names, in any order; others are ignored. A table without names must have
the features in the order of training. Rows are read, predicted and written in blocks: a CSV file
may be larger than memory."""
EVALUATE_HELP = """\
Print the scores of a model on a table that has the target, too: accuracy, log loss, recall and
precision of classes; R^2, mean squared and absolute error of a regression.

Columns are found as by predict. A CSV file may be larger than memory."""


def number_of(parse: type, check: Callable[[Any], bool], words: str) -> Callable[[str], Any]:
    """Return a parser of numbers for argparse, which says what is expected by `words`."""

    def read(text: str) -> Any:
        try:
            value = parse(text)
        except ValueError:
            value = None
        if value is None or not check(value):
            raise argparse.ArgumentTypeError(f"{text!r} is not {words}")
        return value

    return read


positive_integer = number_of(int, lambda n: n >= 1, "an integer of at least 1")
natural = number_of(int, lambda n: n >= 0, "an integer of at least 0")
positive = number_of(float, lambda v: v > 0, "a positive number")
not_negative = number_of(float, lambda v: 0 <= v < float("inf"), "a number of at least 0")
share = number_of(float, lambda v: 0 < v < 1, "a number between 0 and 1")


def layers(text: str) -> tuple[int, ...]:
    """Return the widths of hidden layers, as in 100,50; none for an empty text."""
    try:
        widths = tuple(int(part) for part in text.split(",")) if text else ()
    except ValueError:
        widths = (0,)
    if any(width < 1 for width in widths):
        raise argparse.ArgumentTypeError(f"{text!r} is no list of widths, such as 100,50")
    return widths


def delimiter(text: str) -> str:
    """Return the character between cells."""
    character = {"tab": "\t", "\\t": "\t"}.get(text, text)
    if len(character) != 1 or character in '"\r\n':
        raise argparse.ArgumentTypeError(f"{text!r} is not one character or the word tab")
    return character


def add_table_options(sub: argparse.ArgumentParser) -> None:
    """Add what says how to read a table, and how to go about it."""
    group = sub.add_argument_group("reading CSV")
    group.add_argument("--delimiter", type=delimiter, metavar="CHAR", help='default: ","; or tab')
    group.add_argument("--encoding", default="utf-8", metavar="NAME", help="default: %(default)s")
    group.add_argument(
        "--no-header",
        action="store_true",
        help="the first line is data; columns are named 1, 2, ...",
    )
    other = sub.add_argument_group("other options")
    other.add_argument("--threads", type=positive_integer, metavar="N", help="at most so many")
    other.add_argument("--quiet", action="store_true", help="no progress on standard error")


def with_table(command: Callable[[argparse.Namespace, Table], None]) -> Any:
    """Return a command that opens its table first."""

    def run(arguments: argparse.Namespace) -> None:
        import fastnn

        if arguments.threads is not None:
            fastnn.set_num_threads(arguments.threads)
        by_ending = "\t" if arguments.data.lower().endswith(".tsv") else ","
        table = open_table(
            arguments.data,
            delimiter=arguments.delimiter or by_ending,
            encoding=arguments.encoding,
            header=not arguments.no_header,
        )
        command(arguments, table)

    return run


def add_train(commands: Any) -> None:
    """Add the command `train` to the commands of a parser."""
    from ._cli_train import MODELS, train

    sub = commands.add_parser(
        "train",
        help="fit a model to a table and save it",
        description=TRAIN_HELP,
        epilog=TRAIN_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    sub.add_argument("data", metavar="DATA", help=DATA_HELP)
    sub.add_argument("--target", metavar="COLUMN", help="what to predict; y of an .npz file with X")
    sub.add_argument(
        "--model",
        choices=list(MODELS),
        required=True,
        help="mlp: a neural network; logistic: classes; ridge: numbers; gaussian: classes",
    )
    sub.add_argument("-o", "--output", required=True, metavar="MODEL", help="file to write")
    sub.add_argument("--task", choices=["auto", "classification", "regression"], default="auto")
    sub.add_argument(
        "--ignore",
        action="append",
        default=[],
        metavar="COLUMN",
        help="no feature; may be repeated",
    )
    sub.add_argument(
        "--validation",
        type=share,
        metavar="SHARE",
        help="share of the rows to keep from training, for the score; of each class alike",
    )
    sub.add_argument("--seed", type=natural, default=0, metavar="N", help="default: %(default)s")
    sub.add_argument(
        "--dtype",
        choices=["float32", "float64"],
        default="float64",
        help="of the features: float32 takes half the memory, and less time; default: %(default)s",
    )
    add_model_options(sub)
    add_table_options(sub)
    sub.set_defaults(run=with_table(train))


def add_model_options(sub: argparse.ArgumentParser) -> None:
    """Add the parameters of models."""
    mlp = sub.add_argument_group("mlp")
    mlp.add_argument("--hidden", type=layers, metavar="N,N", help="widths; default: 100")
    mlp.add_argument("--activation", choices=["identity", "logistic", "tanh", "relu"])
    mlp.add_argument("--epochs", type=positive_integer, metavar="N", help="at most; default: 200")
    mlp.add_argument("--batch-size", type=positive_integer, metavar="N", help="default: 200")
    mlp.add_argument("--learning-rate", type=positive, metavar="RATE", help="default: 0.001")
    mlp.add_argument(
        "--early-stopping",
        action="store_true",
        help="stop when the validation score no longer rises, and keep the best weights; "
        "--validation is 0.1 unless given",
    )
    mlp.add_argument(
        "--standardize",
        action="store_true",
        help="scale columns to mean 0 and deviation 1 for training (also the target of a "
        "regression); the saved model takes them as they are",
    )
    others = sub.add_argument_group("parameters of models")
    others.add_argument(
        "--alpha", type=not_negative, metavar="A", help="penalty of mlp (0.0001) or ridge (1)"
    )
    others.add_argument(
        "--C", type=positive, metavar="C", help="inverse penalty of logistic; default: 1"
    )
    others.add_argument(
        "--covariance", choices=["full", "shared", "diag"], help="of gaussian; default: full"
    )
    others.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="any parameter of the estimator's constructor; may be repeated",
    )


def add_predict(commands: Any) -> None:
    """Add the command `predict` to the commands of a parser."""
    from ._cli_serve import predict

    sub = commands.add_parser(
        "predict",
        help="apply a saved model to a table",
        description=PREDICT_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    sub.add_argument("model", metavar="MODEL", help="file that train or model.save wrote")
    sub.add_argument("data", metavar="DATA", help=DATA_HELP)
    sub.add_argument("-o", "--output", metavar="OUT.csv", help="default: standard output")
    sub.add_argument(
        "--proba", action="store_true", help="add a column with the probability of each class"
    )
    add_table_options(sub)
    sub.set_defaults(run=with_table(predict))


def add_evaluate(commands: Any) -> None:
    """Add the command `evaluate` to the commands of a parser."""
    from ._cli_serve import evaluate

    sub = commands.add_parser(
        "evaluate",
        help="score a saved model on a table",
        description=EVALUATE_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    sub.add_argument("model", metavar="MODEL", help="file that train or model.save wrote")
    sub.add_argument("data", metavar="DATA", help=DATA_HELP)
    sub.add_argument("--target", metavar="COLUMN", help="default: as in training")
    add_table_options(sub)
    sub.set_defaults(run=with_table(evaluate))
