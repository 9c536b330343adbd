"""The command line, in processes of its own."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest

import fastnn

EPOCH = re.compile(r"epoch +(\d+)  loss ([\d.e-]+) +test accuracy ([\d.]+) +([\d,]+) rows/s")
WITHOUT_MATPLOTLIB = (
    "import sys; sys.modules['matplotlib'] = None\n"
    "from fastnn.__main__ import main; sys.exit(main(sys.argv[1:]))"
)


def fastnn_command(*arguments, folder, code=None):
    """Run the command line from a folder, where no source shadows the package."""
    start = ["-m", "fastnn"] if code is None else ["-c", code]
    command = [sys.executable, "-W", "error", *start, *map(str, arguments)]
    paths = [os.path.dirname(os.path.dirname(fastnn.__file__)), os.environ.get("PYTHONPATH", "")]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "MPLCONFIGDIR": str(folder)}
    return subprocess.run(
        command, capture_output=True, text=True, cwd=folder, env=env, check=False, timeout=300
    )


def epochs_of(done):
    """The lines of the epochs: number, loss, accuracy, speed."""
    assert done.returncode == 0, done.stderr
    return [m.groups() for m in EPOCH.finditer(done.stdout)]


def test_a_short_demo(tmp_path):
    done = fastnn_command("demo", "--epochs", 2, folder=tmp_path)
    epochs = epochs_of(done)
    assert [int(e[0]) for e in epochs] == [1, 2]
    assert float(epochs[1][1]) < float(epochs[0][1])
    assert all(repr(float(e[1])) == e[1] for e in epochs)
    assert f"backend {fastnn.backend()}, ISA {fastnn.isa()}" in done.stdout
    assert done.stderr == ""


def test_the_demo_reads_digits_well(tmp_path):
    done = fastnn_command("demo", folder=tmp_path)
    epochs = epochs_of(done)
    assert len(epochs) <= 30
    accuracy = float(re.search(r"^test accuracy ([\d.]+)$", done.stdout, re.M).group(1))
    assert accuracy >= 0.94 and float(epochs[-1][2]) == accuracy
    rows = re.findall(r"^ +(\d)((?: +\d+){10})$", done.stdout, re.M)
    counts = np.array([row.split() for _, row in rows], int)
    assert counts.shape == (10, 10) and (counts.sum(axis=1) == 100).all()
    assert abs(np.trace(counts) / 1000 - accuracy) < 1e-9


def test_a_seed_repeats_a_run(tmp_path):
    def losses(seed):
        options = ("--epochs", 1, "--seed", seed, "--batch-size", 128)
        return [e[1] for e in epochs_of(fastnn_command("demo", *options, folder=tmp_path))]

    first = losses(3)
    assert losses(3) == first
    assert losses(4) != first


def test_info(tmp_path):
    done = fastnn_command("info", folder=tmp_path)
    assert done.returncode == 0 and done.stderr == ""
    for value in (fastnn.__version__, fastnn.backend(), *fastnn.available_isas()):
        assert value in done.stdout


def test_plot(tmp_path):
    pytest.importorskip("matplotlib")
    path = tmp_path / "curve.png"
    done = fastnn_command("demo", "--epochs", 2, "--plot", path, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert path.read_bytes().startswith(b"\x89PNG")
    assert str(path) in done.stdout


def test_plot_without_matplotlib_says_what_to_install(tmp_path):
    path = tmp_path / "curve.png"
    done = fastnn_command("demo", "--plot", path, folder=tmp_path, code=WITHOUT_MATPLOTLIB)
    assert done.returncode == 2
    assert "pip install matplotlib" in done.stderr
    assert "epoch" not in done.stdout and not path.exists()


def test_the_demo_needs_no_matplotlib(tmp_path):
    done = fastnn_command("demo", "--epochs", 1, folder=tmp_path, code=WITHOUT_MATPLOTLIB)
    assert len(epochs_of(done)) == 1


@pytest.mark.parametrize("name", ["missing/curve.png", ".", "curve.xyz", "curve"])
def test_an_impossible_plot_is_refused_before_training(name, tmp_path):
    pytest.importorskip("matplotlib")
    done = fastnn_command("demo", "--plot", name, folder=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith(f"fastnn: error: --plot {name}: ")
    assert "epoch" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "required: command"),
        (("fly",), "invalid choice: 'fly'"),
        (("demo", "--epochs", "0"), "--epochs: invalid integer of at least 1 value: '0'"),
        (("demo", "--epochs", "many"), "--epochs: invalid integer"),
        (("demo", "--batch-size", "-5"), "--batch-size: invalid integer"),
        (("demo", "--seed", "-1"), "--seed: invalid integer of at least 0 value: '-1'"),
        (("info", "--loud"), "unrecognized arguments: --loud"),
    ],
)
def test_bad_arguments(arguments, message, tmp_path):
    done = fastnn_command(*arguments, folder=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr and "Traceback" not in done.stderr
