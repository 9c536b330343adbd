"""Tables and models for the tests of the command line."""

import csv
import os
import re
import subprocess
import sys

import numpy as np
import pytest

import fastnn

N, D = 120, 3
NAMES = ["a", "b", "c"]
KINDS = {"mlp": ["--model", "mlp", "--hidden", "8", "--epochs", "5", "--batch-size", "16"]} | {
    name: ["--model", name] for name in ("logistic", "gaussian", "ridge")
}
CLASSIFIERS = ["mlp", "logistic", "gaussian"]


@pytest.fixture
def cli_rows():
    """Features, labels of three overlapping classes, and a number that depends on all features."""
    rng = np.random.default_rng(7)
    x = rng.normal(size=(N, D))
    kind = np.array(["ash", "elm", "oak"])[(x[:, 0] > 0.3).astype(int) + (x[:, 1] > 0)]
    return x, kind, x @ [1.0, -2.0, 0.5] + 0.1 * rng.normal(size=N)


def write_csv(path, header, columns, **options):
    with open(path, "w", newline="", encoding=options.pop("encoding", "utf-8")) as file:
        writer = csv.writer(file, lineterminator="\n", **options)
        if header is not None:
            writer.writerow(header)
        writer.writerows(zip(*(c.tolist() for c in columns)))
    return path


@pytest.fixture
def cli_data(tmp_path, cli_rows):
    x, kind, size = cli_rows
    return write_csv(tmp_path / "data.csv", [*NAMES, "kind", "size"], [*x.T, kind, size])


@pytest.fixture
def cli(capsys):
    """Run the command line; return the exit code and both outputs."""
    from fastnn.__main__ import main

    def command(*arguments):
        try:
            code = main(list(map(str, arguments)))
        except SystemExit as end:
            code = end.code
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return command


@pytest.fixture
def cli_train(cli, cli_data, tmp_path):
    """Train on the file of all columns; return the path of the model."""

    def command(model, *more, source=cli_data):
        path = tmp_path / f"{model}.fnn"
        target, other = ("size", "kind") if model == "ridge" else ("kind", "size")
        if "--target" not in more:
            more = ("--target", target, "--ignore", other, *more)
        code, out, err = cli("train", source, *KINDS[model], "-o", path, *more)
        assert code == 0, err
        return path, out

    return command


def results(text):
    """The header, and the columns of a file of results."""
    header, *lines = csv.reader(text.splitlines())
    return header, list(zip(*lines))


def figure(out, name):
    return float(re.search(rf"^{re.escape(name)}  +(\S+)$", out, re.MULTILINE).group(1))


class Columns:
    """Rows with names."""

    def __init__(self, x):
        self.columns, self.shape, self._x = NAMES, x.shape, x

    def __array__(self, dtype=None, copy=None):
        return np.array(self._x, dtype, copy=copy)

    def __len__(self):
        return len(self._x)


def process(*command, folder):
    paths = [os.path.dirname(os.path.dirname(fastnn.__file__)), os.environ.get("PYTHONPATH", "")]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(
        [sys.executable, *map(str, command)], cwd=folder, env=env, text=True, **pipes
    )
