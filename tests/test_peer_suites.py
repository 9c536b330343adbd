"""scikit-learn's own tests of its estimators, run with fastnn's in their place.

The files are those that are installed with scikit-learn; peer_suites/stand_in.py changes what they
import. Every test that uses one of fastnn's estimators must pass, or fail as
docs/peer_differences.toml says; and what is said there must be so.
"""

import importlib.util
import json
import os
import re
import subprocess
import sys
import tomllib
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

HERE = Path(__file__).parent
DIFFERENCES = HERE.parent / "docs" / "peer_differences.toml"
SUITES = {
    "mlp": "sklearn.neural_network.tests.test_mlp",
    "discriminant_analysis": "sklearn.tests.test_discriminant_analysis",
    "naive_bayes": "sklearn.tests.test_naive_bayes",
    "logistic": "sklearn.linear_model.tests.test_logistic",
    "ridge": "sklearn.linear_model.tests.test_ridge",
}
LONG = ("logistic", "ridge")  # a minute each
KINDS = ("deliberate", "missing", "private", "wording")
SECONDS = 300


def difference(entry):
    """Return an entry of the list, checked."""
    assert entry.keys() == {"suite", "tests", "fails_with", "kind", "reason"}, entry
    assert entry["suite"] in SUITES and entry["kind"] in KINDS, entry
    assert entry["tests"] and len(entry["reason"]) > 20 and re.compile(entry["fails_with"])
    return entry


def explains(entry, test, result):
    """Whether a difference is the reason for which a test fails."""
    # Brackets are part of a test's name, not a set of characters.
    named = any(fnmatchcase(test, p.replace("[", "[[]")) for p in entry["tests"])
    return named and re.search(entry["fails_with"], result["message"]) is not None


def judge(results, differences):
    """Return what is wrong with a list of differences, in words."""
    failed = {test: r for test, r in results.items() if r["used"] and r["outcome"] == "failed"}
    faults = []
    for test, result in failed.items():
        if not any(explains(entry, test, result) for entry in differences):
            faults.append(f"{test} fails, and no difference is the reason: {result['message']}")
    for entry in differences:
        found = [test for test, result in failed.items() if explains(entry, test, result)]
        if not found:
            faults.append(f"stale: no test fails any more for the difference {entry}")
        for name in entry["tests"]:
            if results.get(name, {}).get("outcome") == "passed":
                faults.append(f"stale: {name} passes")
            if "*" not in name and name not in results:
                faults.append(f"stale: there is no test {name}")
    return faults


@pytest.fixture(scope="module")
def differences():
    """All entries of the list."""
    return [difference(entry) for entry in tomllib.loads(DIFFERENCES.read_text())["difference"]]


def run(module, folder):
    """Run a test module of scikit-learn in a process of its own; return its results."""
    (folder / "pytest.ini").write_text("[pytest]\n")  # not the settings of this package
    written = folder / "results.json"
    path = os.pathsep.join([str(HERE / "peer_suites"), str(HERE.parent), *sys.path])
    environment = {
        **os.environ,
        "PYTHONPATH": path,
        "STAND_IN_MODULE": module,
        "STAND_IN_RESULTS": str(written),
    }
    options = ["-c", "pytest.ini", "--rootdir=.", "-p", "stand_in", "-p", "no:cacheprovider", "-q"]
    file = importlib.util.find_spec(module).origin
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "--tb=no", file],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert written.exists() and done.returncode in (0, 1), done.stdout[-3000:] + done.stderr[-3000:]
    return json.loads(written.read_text())


@pytest.mark.parametrize(
    "suite", [pytest.param(s, marks=[pytest.mark.slow] if s in LONG else []) for s in SUITES]
)
def test_tests_of_scikit_learn_pass_or_are_explained(suite, differences, tmp_path):
    sklearn = pytest.importorskip("sklearn")
    if not sklearn.__version__.startswith("1.9."):
        pytest.skip(f"the list is of scikit-learn 1.9, not of {sklearn.__version__}")
    results = run(SUITES[suite], tmp_path)
    concerned = [r for r in results.values() if r["used"] and r["outcome"] != "skipped"]
    assert len(concerned) >= 10  # so that the stand-ins are not just overlooked
    faults = judge(results, [entry for entry in differences if entry["suite"] == suite])
    assert not faults, "\n".join(faults)


def made(outcome, message="", used=("Ridge",)):
    """A result of a test."""
    return {"outcome": outcome, "message": message, "used": list(used)}


def test_the_judge_misses_nothing():
    entry = {"tests": ["test_a[1]", "test_b*"], "fails_with": "no attribute '_x'"}
    results = {
        "test_a[1]": made("failed", "Model has no attribute '_x'"),
        "test_b[1]": made("failed", "Model has no attribute '_x'"),
        "test_b[2]": made("passed"),
        "test_c": made("failed", "of others", used=()),
        "test_d": made("skipped"),
    }
    assert judge(results, [entry]) == []
    assert "test_a[1] passes" in judge({**results, "test_a[1]": made("passed")}, [entry])[0]
    other = judge({**results, "test_a[1]": made("failed", "another reason")}, [entry])
    assert len(other) == 1 and other[0].startswith("test_a[1] fails, and no difference")
    assert len(judge(results, [])) == 2
    gone = judge({"test_b[2]": made("passed")}, [entry])
    assert gone[0].startswith("stale: no test fails any more") and "no test test_a[1]" in gone[1]
