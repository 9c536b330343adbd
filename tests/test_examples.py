"""The examples run, draw a picture, and show what they say."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("matplotlib")

EXAMPLES = Path(__file__).parent.parent / "examples"


def numbers(name, tmp_path):
    """Run an example; return the lines that it prints, and assert that its picture is there."""
    picture = tmp_path / f"{name}.png"
    done = subprocess.run(
        [sys.executable, EXAMPLES / f"{name}.py", "-o", picture],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert picture.read_bytes().startswith(b"\x89PNG") and picture.stat().st_size > 10_000
    return done.stdout


def test_generative_and_discriminative(tmp_path):
    out = numbers("generative_discriminative", tmp_path)
    accuracies = [float(a) for a in re.findall(r"\)\s+(0\.\d+)", out)]
    assert len(accuracies) == 4 and min(accuracies) > 0.85
    difference = float(re.search(r"to_logistic: (\S+)", out)[1])
    # A product of two terms and a sum are within (2 + 2) eps, in either model.
    rounding = float(re.search(r"of a probability: (\S+)", out)[1])
    assert difference <= 8 * rounding


def test_xor(tmp_path):
    out = numbers("xor", tmp_path)
    logistic, network = (float(a) for a in re.findall(r"accuracy (\S+)", out))
    assert logistic <= 0.76  # no line has more than three corners on their sides
    assert network == 1.0


def test_universal_approximation(tmp_path):
    out = numbers("universal_approximation", tmp_path)
    errors = [float(e) for e in re.findall(r"^ *\d+ +(\S+)$", out, re.MULTILINE)]
    assert len(errors) == 8
    assert all(wider < narrower for narrower, wider in zip(errors, errors[1:]))
    assert errors[-1] < 1e-2 * errors[0]
