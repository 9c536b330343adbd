"""Pickles of estimators know their version, and say so where it is another one."""

import copy
import pickle
import subprocess
import sys
import warnings

import joblib
import numpy as np
import pytest
import sklearn.exceptions
from model_zoo import NAMES, answers, fitted, rows, same

import fastnn
from fastnn._estimator import InconsistentVersionWarning

ESTIMATORS = [name for name in NAMES if name != "network"]


def _joblib(model, tmp_path):
    joblib.dump(model, tmp_path / "model")
    return joblib.load(tmp_path / "model")


def _cloudpickle(model, tmp_path):
    return pickle.loads(pytest.importorskip("cloudpickle").dumps(model))


DUPLICATES = {
    "pickle": lambda model, _: pickle.loads(pickle.dumps(model)),
    "oldest": lambda model, _: pickle.loads(pickle.dumps(model, protocol=0)),
    "cloudpickle": _cloudpickle,
    "joblib": _joblib,
    "copy": lambda model, _: copy.copy(model),
    "deepcopy": lambda model, _: copy.deepcopy(model),
}


@pytest.mark.parametrize("how", DUPLICATES)
@pytest.mark.parametrize("name", ESTIMATORS)
def test_duplicates_are_the_same_without_a_warning(name, how, tmp_path):
    model = fitted()[name]
    twin = DUPLICATES[how](model, tmp_path)
    x, _ = rows()
    assert same(answers(twin, x), answers(model, x))
    assert twin.__getstate__().keys() == model.__getstate__().keys()


def test_another_version_warns(monkeypatch):
    model = fastnn.Ridge(2.0).fit(np.eye(3), np.ones(3))
    pickled = pickle.dumps(model)
    monkeypatch.setattr(fastnn, "__version__", "99.0")
    with pytest.warns(
        InconsistentVersionWarning, match=r"by version .* unpickled by 99\.0"
    ) as seen:
        twin = pickle.loads(pickled)
    assert len(seen) == 1
    assert issubclass(seen[0].category, sklearn.exceptions.InconsistentVersionWarning)
    assert np.array_equal(twin.coef_, model.coef_)
    assert not hasattr(twin, "_fastnn_version")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(sklearn.exceptions.InconsistentVersionWarning):
            pickle.loads(pickled)


def test_pickle_without_a_version_warns():
    model = fastnn.Ridge()
    with pytest.warns(InconsistentVersionWarning, match="by an unknown version"):
        model.__setstate__({"alpha": 3.0})
    assert model.alpha == 3.0


def test_warning_needs_no_scikit_learn():
    code = (
        "import warnings, fastnn; from fastnn._estimator import InconsistentVersionWarning as W\n"
        "with warnings.catch_warnings(record=True) as seen:\n"
        "    fastnn.Ridge().__setstate__({})\n"
        "print([w.category is W for w in seen], 'fastnn' in str(seen[0].message))"
    )
    out = subprocess.check_output([sys.executable, "-W", "always", "-c", code], text=True)
    assert out.strip() == "[True] True"


def test_warning_is_pickled(monkeypatch):
    with pytest.warns(InconsistentVersionWarning) as seen:
        fastnn.Ridge().__setstate__({})
    warning = pickle.loads(pickle.dumps(seen[0].message))
    assert str(warning) == str(seen[0].message)


def test_slots_of_a_subclass_are_kept():
    class Slotted(fastnn.Ridge):
        __slots__ = ("extra",)

    model = Slotted(2.0)
    model.extra = 3
    twin = copy.deepcopy(model)
    assert (twin.alpha, twin.extra) == (2.0, 3)
