"""What `fastnn train`, `predict` and `evaluate` refuse, and how they end."""

import os
import re
import signal
import subprocess
import sys

import numpy as np
import pytest
from cli_case import NAMES, process, write_csv

import fastnn

pytest.importorskip("safetensors")

SOURCE = os.path.dirname(os.path.dirname(fastnn.__file__))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--model", "logistic", "--target", "none"], "there is no column 'none'; columns: 'a'"),
        (["--model", "logistic"], "--target is needed"),
        (["--model", "logistic", "--target", "size", "--ignore", "kind"], "not a whole number"),
        (["--model", "logistic", "--target", "kind"], None),
        (["--model", "ridge", "--target", "kind"], "is not a number. A regression needs"),
        (["--model", "logistic", "--target", "size"], "line 2, column 'kind': '"),
        (["--model", "ridge", "--target", "size", "--task", "classification"], "is not for --task"),
        (["--model", "gaussian", "--target", "kind", "--task", "regression"], "is not for --task"),
        (["--model", "ridge", "--target", "a", "--ignore", "x"], "there is no column 'x'"),
        (["--model", "ridge", "--target", "a", "--hidden", "3"], "--hidden is for --model mlp"),
        (
            ["--model", "ridge", "--target", "a", "--standardize"],
            "--standardize is for --model mlp",
        ),
        (["--model", "mlp", "--target", "a", "--C", "3"], "--C is for --model logistic"),
        (
            ["--model", "logistic", "--target", "kind", "--set", "x=1"],
            "no such parameter; it has penalty, C,",
        ),
        (["--model", "logistic", "--target", "kind", "--set", "tol"], "name=value is expected"),
        (["--model", "logistic", "--target", "kind", "--set", "tol=-1"], "tol"),
        (
            ["--model", "logistic", "--target", "kind", "--C", "1", "--set", "C=1"],
            "gives it already",
        ),
        (["--model", "logistic", "--target", "kind", "--validation", "1e-9"], "leaves none for"),
        (["--model", "logistic", "--target", "kind", "--validation", "2"], "between 0 and 1"),
        (["--model", "mlp", "--target", "kind", "--hidden", "3,x"], "no list of widths"),
        (["--model", "forest", "--target", "kind"], "invalid choice: 'forest'"),
        (["--model", "logistic", "--target", "kind", "--delimiter", ",,"], "not one character"),
    ],
)
def test_bad_training(cli, cli_data, tmp_path, options, message):
    path, target = tmp_path / "m.fnn", options[3:4]
    ignored = ["--ignore", "size"] if target == ["kind"] else []
    code, out, err = cli("train", cli_data, "-o", path, *options, *ignored)
    if message is None:  # the same options are right without the fault
        assert code == 0 and path.exists()
        return
    assert code == 2 and message in err and "Traceback" not in err and out == ""
    assert not path.exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "bad.csv: empty"),
        ("a,y\n", "bad.csv: there are no rows of data"),
        ("a,y\n1,u\n,v\n", "bad.csv, line 3, column 'a': empty or NaN. Fill such cells"),
        ("a,y\n1,u\nnan,v\n", "bad.csv, line 3, column 'a': empty or NaN"),
        ("a,y\n1,u\ninf,v\n", "bad.csv, line 3, column 'a': infinite"),
        ("a,y\n1,u\n2,\n", "bad.csv, line 3, column 'y': the target is empty"),
        ("a,y\n1,u\n2,u\n", "column 'y': all rows are of the class u"),
        ("a,a,y\n1,2,u\n1,2,v\n", "columns 1 and 2 have the same name 'a'"),
        ("a,y,y\n1,2,u\n1,2,v\n", "columns 2 and 3 have the same name 'y'"),
        (",y\n0,u\n1,v\n", "column 1 has no name"),
        ("y\nu\nv\n", "there is no column left to learn from"),
        ("a;y\n1;u\n2;v\n", "there is no column 'y'.*try --delimiter ';'"),
        ("a,y\n1,u\n2,v,\n", "bad.csv, line 3: 3 cells, but the header has 2"),
    ],
)
def test_bad_training_data(cli, tmp_path, text, message):
    (tmp_path / "bad.csv").write_text(text)
    given = ("--model", "logistic", "--target", "y", "-o", tmp_path / "m")
    code, out, err = cli("train", tmp_path / "bad.csv", *given)
    assert code == 2 and re.search(message, err) and out == ""
    assert err.startswith("fastnn: error: ") and not (tmp_path / "m").exists()


def test_numbers_beyond_float32(cli, tmp_path):
    source = write_csv(
        tmp_path / "t.csv", ["a", "y"], [np.array([1e39, 2.0]), np.array(["u", "v"])]
    )
    given = ("train", source, "--target", "y", "--model", "logistic", "-o", tmp_path / "m")
    code, _, err = cli(*given, "--dtype", "float32")
    assert code == 2 and "infinity" in err and not (tmp_path / "m").exists()


def test_outputs_that_cannot_be_written(cli_train, cli, cli_data, tmp_path):
    given = ("train", cli_data, "--target", "kind", "--ignore", "size", "--model", "gaussian", "-o")
    for bad in (tmp_path / "none" / "m", tmp_path):
        code, _, err = cli(*given, bad)
        assert code == 2 and f"-o {bad}: " in err and "read" not in err
    path, _ = cli_train("gaussian")
    code, _, err = cli("predict", path, cli_data, "-o", tmp_path / "none" / "o.csv")
    assert code == 2 and "create it first" in err
    before = cli_data.read_bytes()
    code, _, err = cli("predict", path, cli_data, "-o", cli_data)
    assert code == 2 and "that is the input" in err and cli_data.read_bytes() == before


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_pipes_are_neither_read_nor_replaced(cli, cli_train, cli_data, tmp_path):
    """A table is read twice, which of a pipe finds nothing."""
    os.mkfifo(pipe := tmp_path / "pipe")
    model, _ = cli_train("logistic")
    for given in (("predict", model, pipe), ("evaluate", pipe, cli_data)):
        code, _, err = cli(*given)
        assert code == 2 and err.startswith(f"fastnn: error: {pipe}: a pipe or device; write")
    code, _, err = cli(
        "train", cli_data, "--target", "kind", "--model", "gaussian", "--ignore", "size", "-o", pipe
    )
    assert code == 2 and err.startswith(f"fastnn: error: -o {pipe}: a pipe or device; name a file")
    assert pipe.is_fifo()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device that is full")
def test_a_full_disk_is_a_failure(cli, cli_train, cli_data):
    code, _, err = cli("predict", cli_train("logistic")[0], cli_data, "-o", "/dev/full")
    assert code == 1 and err.startswith(
        "fastnn: error: /dev/full: cannot be written: No space left"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "the model needs columns that are not there: 'c'; columns: 'a', 'b'"),
        ("a,b,c\n", "there are no rows of data"),
        ("a,b,c\n1,2,3\n1,2,x\n", "new.csv, line 3, column 'c': 'x' is not a number"),
        ("a,b,c\n1,2,3\n1,,3\n", "new.csv, line 3, column 'b': empty or NaN. This model takes no"),
        ("a,b,c,c\n1,2,3,4\n", "columns 3 and 4 have the same name 'c'"),
    ],
)
def test_bad_data_for_predictions(cli_train, cli, tmp_path, text, message):
    path, _ = cli_train("logistic")
    (tmp_path / "new.csv").write_text(text)
    output = tmp_path / "out.csv"
    code, _, err = cli("predict", path, tmp_path / "new.csv", "-o", output)
    assert code == 2 and message in err
    assert not output.exists() and not list(tmp_path.glob("*.part"))


def test_bad_evaluations(cli_train, cli, cli_data, tmp_path):
    path, _ = cli_train("logistic")
    for text, message in (
        ("a,b,c\n1,2,3\n", "there is no column 'kind'"),
        (
            "a,b,c,kind\n1,2,3,elm\n1,2,3,fir\n",
            "line 3, column 'kind': 'fir' is none of the model's",
        ),
        ("a,b,c,kind\n1,2,3,\n", "line 2, column 'kind': the target is empty"),
    ):
        (tmp_path / "new.csv").write_text(text)
        code, _, err = cli("evaluate", path, tmp_path / "new.csv")
        assert code == 2 and message in err
    code, _, err = cli("predict", cli_train("ridge")[0], cli_data, "--proba")
    assert code == 2 and "a Ridge has no probabilities" in err


def test_files_that_are_no_models(cli, cli_data, tmp_path):
    code, _, err = cli("predict", cli_data, cli_data)
    assert code == 2 and f"{cli_data}: no model can be read from it" in err
    code, _, err = cli("evaluate", tmp_path / "none.fnn", cli_data)
    assert code == 2 and "there is no such file" in err
    fastnn.Network((3, 2), rng=0).save(tmp_path / "net.fnn")
    code, _, err = cli("predict", tmp_path / "net.fnn", cli_data)
    assert code == 2 and "holds a Network; a fitted estimator is expected" in err


def test_many_whole_numbers_are_doubted(cli, tmp_path):
    source = write_csv(tmp_path / "t.csv", ["x", "y"], [np.arange(400), np.arange(400) % 200])
    given = ("--target", "y", "--model", "gaussian", "--covariance", "shared", "-o", tmp_path / "m")
    code, _, err = cli("train", source, *given)
    assert code == 0 and "note: 'y' has 200 whole numbers, which are taken for classes" in err


# Processes

MEMORY = (
    "import sys, tracemalloc\n"
    "from fastnn.__main__ import main\n"
    "import fastnn._cli_data as tables\n"
    "tables.BLOCK_CELLS = 3000\n"
    "tracemalloc.start()\n"
    "code = main(sys.argv[1:])\n"
    "print(tracemalloc.get_traced_memory()[1], file=sys.stderr)\n"
    "sys.exit(code)\n"
)


@pytest.mark.parametrize("command", ["predict", "evaluate"])
def test_memory_does_not_grow_with_a_csv_file(cli_train, cli_rows, tmp_path, monkeypatch, command):
    x, kind, _ = cli_rows
    path, _ = cli_train("gaussian")
    lines = [",".join(map(repr, row)) + f",{k}\n" for row, k in zip(x.tolist(), kind.tolist())]
    peaks = []
    for repeats in (50, 400):  # 6,000 and 48,000 rows; a block has 1,000 of them
        source = tmp_path / "long.csv"
        source.write_text(",".join([*NAMES, "kind"]) + "\n" + "".join(lines) * repeats)
        more = ("-o", tmp_path / "out.csv") if command == "predict" else ()
        done = process("-c", MEMORY, command, path, source, *more, "--quiet", folder=tmp_path)
        _, err = done.communicate(timeout=300)
        assert done.returncode == 0, err
        peaks.append(int(err))
    assert peaks[1] - peaks[0] < 84_000  # two bytes for each further row; a number takes 8


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_an_interrupted_training_writes_nothing(cli_data, tmp_path):
    given = ["train", cli_data, "--target", "kind", "--ignore", "size", "--model", "mlp"]
    endless = ["--epochs", 10**8, "--set", "tol=0", "--set", "n_iter_no_change=inf"]
    started = process("-m", "fastnn", *given, *endless, "-o", "m.fnn", folder=tmp_path)
    for line in started.stderr:
        if line.startswith("epoch"):
            break
    started.send_signal(signal.SIGINT)
    _, err = started.communicate(timeout=60)
    assert started.returncode == 130, err
    assert "fastnn: interrupted" in err and "Traceback" not in err
    assert not (tmp_path / "m.fnn").exists()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device that is full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_standard_output_that_is_full_or_closed(unbuffered, cli_train, cli_data, tmp_path):
    model, _ = cli_train("gaussian")
    command = f'"{sys.executable}" -m fastnn predict "{model}" "{cli_data}"'
    env = {**os.environ, "PYTHONPATH": SOURCE, "PYTHONUNBUFFERED": unbuffered}
    for redirection, code in (("> /dev/full", 1), (">&-", 0)):
        done = subprocess.run(
            f"{command} {redirection}",
            check=False,
            shell=True,
            capture_output=True,
            text=True,
            env=env,
        )
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr
        assert ("standard output: No space left on device" in done.stderr) == (code == 1)


def test_the_package_imports_no_part_of_the_command_line(tmp_path):
    code = (
        "import sys, numpy; before = set(sys.modules); import fastnn\n"
        "new = set(sys.modules) - before\n"
        "assert not new & {'csv', 'argparse'}, new\n"
        "assert not any(name.startswith('fastnn._cli') for name in new)\n"
    )
    done = process("-c", code, folder=tmp_path)
    _, err = done.communicate(timeout=60)
    assert done.returncode == 0, err
