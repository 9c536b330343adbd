"""What `import fastnn` imports: NumPy, and nothing that takes time."""

import os
import subprocess
import sys

import fastnn

HEAVY = ("sklearn", "scipy", "pandas", "polars", "narwhals", "joblib", "torch", "matplotlib")


def run(code):
    """Run code in a process of its own; return what it prints."""
    here = os.path.dirname(os.path.dirname(fastnn.__file__))
    environment = {**os.environ, "PYTHONPATH": here}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_nothing_of_others_is_imported():
    code = f"""
import sys, numpy as np, fastnn
x, y = np.random.default_rng(0).normal(size=(40, 3)), np.arange(40) % 2
for cls in (fastnn.LogisticRegression, fastnn.Ridge, fastnn.GaussianNB, fastnn.GaussianClassifier):
    model = cls().fit(x, y)
    model.predict(x), model.score(x, y), repr(model), model._repr_html_(), model.get_params()
try:
    fastnn.Ridge().set_fit_request(sample_weight=True)
except RuntimeError:
    pass
print(sorted(set({HEAVY}) & set(sys.modules)))
"""
    assert run(code) == "[]\n"


def test_little_is_imported_beside_numpy():
    new = run(
        "import sys, numpy; old = set(sys.modules); sys.modules['threadpoolctl'] = None;"
        "import fastnn;"
        "print(*sorted(m for m in set(sys.modules) - old if not m.startswith(('fastnn', 'numpy'))))"
    ).split()
    slow = {
        "argparse",
        "dataclasses",
        "html",
        "importlib.resources",
        "json",
        "logging",
        "statistics",
    }
    assert not slow & set(new), new
