"""Models saved and loaded: the same answers, parameters and further learning; and how files are made."""

import json
import os
import pickle
import stat
import subprocess
import sys

import numpy as np
import pytest
from model_zoo import NAMES, answers, fitted, rows, same

import fastnn
from fastnn import _fields

pytest.importorskip("safetensors")


def through_file(model, tmp_path):
    path = tmp_path / "model.safetensors"
    model.save(path)
    return fastnn.load(path)


@pytest.mark.parametrize("name", NAMES)
def test_answers_have_the_same_bits(name, dtype, tmp_path):
    model = fitted(dtype)[name]
    copy = through_file(model, tmp_path)
    assert type(copy) is type(model)
    x, _ = rows(dtype)
    for rows_of in (x, x[:1]):
        assert same(answers(copy, rows_of), answers(model, rows_of))


@pytest.mark.parametrize("name", [name for name in NAMES if name != "network"])
def test_parameters_and_learned_attributes_come_back(name, dtype, tmp_path):
    model = fitted(dtype)[name]
    copy = through_file(model, tmp_path)
    assert same(copy.get_params(), model.get_params())
    opaque = ("_densities", "_network")  # compared by their answers above
    state, restored = (
        {k: v for k, v in m.__getstate__().items() if k not in opaque} for m in (model, copy)
    )
    assert restored.keys() == state.keys()
    assert same({k: restored[k] for k in state}, state)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_that_a_model_has_learned_is_forgotten(name):
    """An attribute that a class comes to have must be declared, or said to be left out."""
    model = fitted()[name]
    state = model._saved()
    known = {*model._fields(state), *getattr(model, "get_params", dict)(), "_fastnn_version"}
    assert set(state) <= known


def test_network_comes_back(dtype, tmp_path):
    net = fastnn.Network((3, 5, 4, 1), activation=("relu", "tanh"), output="sigmoid", dtype=dtype)
    copy = through_file(net, tmp_path)
    assert repr(copy) == repr(net)
    assert all(map(np.array_equal, (*copy.weights, *copy.biases), (*net.weights, *net.biases)))
    x, y = rows(dtype)
    copy.train(x, (y > 0).astype(np.int64), epochs=1)  # it has a lock and memory of its own


@pytest.mark.parametrize("covariance", ["full", "shared", "diag"])
def test_gaussian_classifier_goes_on_learning(covariance, tmp_path):
    x, y = rows()
    model = fastnn.GaussianClassifier(covariance).fit(x[:40], y[:40])
    copy = through_file(model, tmp_path)
    other = fastnn.GaussianClassifier(covariance).fit(x[50:], y[50:])
    for m in (model, copy):
        m.partial_fit(x[40:50], y[40:50]).merge(other).forget(x[:5], y[:5])
    assert same(answers(copy, x), answers(model, x))
    labels = np.r_[y[:5], 9] if covariance == "diag" else y[:6]
    assert len(copy.partial_fit(x[:6], labels).classes_) == len(
        model.partial_fit(x[:6], labels).classes_
    )


def test_classes_that_were_given_stay_the_only_ones(tmp_path):
    x, y = rows()
    model = fastnn.GaussianNB().partial_fit(x, y, classes=[0, 1, 2, 5])
    copy = through_file(model, tmp_path)
    with pytest.raises(ValueError, match="none of the classes"):
        copy.partial_fit(x[:1], [7])


def test_quadratic_and_bayes_go_on_learning(tmp_path):
    x, y = rows(np.float32)
    for cls in (fastnn.QuadraticDiscriminantAnalysis, fastnn.GaussianNB):
        model = cls().fit(x[:40], y[:40])
        copy = through_file(model, tmp_path)
        for m in (model, copy):
            m.partial_fit(x[40:], y[40:])
        assert same(answers(copy, x), answers(model, x))


def _train_on(model, x, y):
    for _ in range(5):
        model.partial_fit(x, y)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("how", ["file", "pickle"])
def test_perceptron_goes_on_training(solver, how, dtype, tmp_path):
    """With the optimiser's averages and steps, and the rate that a schedule has come to."""
    x, y = rows(dtype)
    model = fastnn.MLPRegressor(
        hidden_layer_sizes=(4,),
        solver=solver,
        learning_rate="adaptive",
        n_iter_no_change=1,
        tol=1e9,
        random_state=0,
    )
    _train_on(model, x, y.astype(dtype))
    rate = model._optimizer.learning_rate
    assert (rate < model.learning_rate_init) == (solver == "sgd")
    copy = through_file(model, tmp_path) if how == "file" else pickle.loads(pickle.dumps(model))
    for m in (model, copy):
        _train_on(m, x, y.astype(dtype))
    assert copy._optimizer.learning_rate == model._optimizer.learning_rate
    assert copy._optimizer.steps == model._optimizer.steps == 10
    assert same(copy.predict(x), model.predict(x))
    assert same(copy.loss_curve_, model.loss_curve_)


def test_perceptron_goes_on_with_validation(tmp_path):
    x, y = rows()
    model = fastnn.MLPClassifier((4,), random_state=0)
    validation = {"X_val": x[:20], "y_val": y[:20]}
    for _ in range(3):
        model.partial_fit(x, y, classes=[0, 1, 2], **validation)
    copy = through_file(model, tmp_path)
    assert same(copy._best_parameters, model._best_parameters)
    for m in (model, copy):
        m.partial_fit(x, y, **validation)
    assert same(answers(copy, x), answers(model, x))
    assert copy.validation_scores_ == model.validation_scores_


def test_callbacks_are_not_saved_and_may_save(tmp_path):
    """A checkpoint of each epoch."""
    x, y = rows()
    paths = []

    def save(progress):
        paths.append(tmp_path / f"epoch{progress.epoch}")
        progress.model.save(paths[-1])

    model = fastnn.MLPClassifier((4,), random_state=0, max_iter=300, callbacks=save, tol=0.01)
    model.fit(x, y)
    last = fastnn.load(paths[-1])
    assert last.callbacks is None
    assert len(paths) == model.n_iter_ == last.n_iter_
    assert same(answers(last, x), answers(model, x))


def test_random_generator_is_refused(tmp_path):
    model = fastnn.MLPClassifier(random_state=np.random.default_rng(0))
    with pytest.raises(TypeError, match=r"parameters\.random_state is a Generator"):
        model.save(tmp_path / "model")
    model.set_params(random_state=None).save(tmp_path / "model")


def test_variance_of_zero_is_still_an_error(tmp_path):
    model = fastnn.GaussianNB(var_smoothing=0).fit([[0.0], [0.0], [1.0]], [0, 0, 1])
    copy = through_file(model, tmp_path)
    with pytest.raises(ValueError, match="variance 0"):
        copy.predict([[0.0]])


def test_standard_errors_come_back(tmp_path):
    x, y = rows()
    model = fastnn.LogisticRegression(C=np.inf, tol=1e-8).fit(x, y)
    copy = through_file(model, tmp_path)
    assert same(tuple(copy.standard_errors()), tuple(model.standard_errors()))
    penalised = through_file(fastnn.LogisticRegression().fit(x, y), tmp_path)
    with pytest.raises(ValueError, match="penalty"):
        penalised.standard_errors()
    made = fastnn.GaussianClassifier("shared").fit(x, y).to_logistic()
    with pytest.raises(ValueError, match="made from another one"):
        through_file(made, tmp_path).standard_errors()


def _dates():
    return np.array(["2024-01-02", "2025-06-30"], "datetime64[D]")


@pytest.mark.parametrize(
    "classes",
    [
        np.array(["no", "yes"]),
        np.array(["a", "b"], "<U9"),
        np.array(["ä", "\N{SNOWMAN}\N{GRINNING FACE}"]),
        np.array([b"no", b"yes"]),
        np.array(["no", "yes"], object),
        np.array([-3, 10**18]),
        np.array([2, 3], np.uint8),
        np.array([1, 2], ">i4"),
        np.array([False, True]),
        np.array([1.0, 2.0], np.float32),
        np.array([(1, "a"), (1, "b"), 0], object)[:2],
        np.array([10**30, 10**31], object),
        _dates(),
    ],
    ids=lambda a: f"{a.dtype}",
)
def test_classes_keep_their_dtype(classes, tmp_path):
    x, y = rows(c=2)
    model = fastnn.LogisticRegression().fit(x, classes[y])
    copy = through_file(model, tmp_path)
    assert copy.classes_.dtype == model.classes_.dtype.newbyteorder("=")
    assert copy.classes_.tolist() == classes.tolist()
    assert copy.predict(x).tolist() == model.predict(x).tolist()


def test_parameters_of_every_plain_type_come_back(tmp_path):
    weights = {"a": 1, "b": 2.5, (1, "x"): np.float32(0.5), None: -np.inf, 3: [True, (1, 2)]}
    model = fastnn.LogisticRegression(C=np.float64(2), class_weight=weights, solver="auto")
    copy = through_file(model, tmp_path)
    assert copy.C == 2 and type(copy.C) is float
    assert copy.class_weight == weights
    assert list(copy.class_weight) == list(weights)
    assert not hasattr(copy, "coef_")
    model = fastnn.GaussianNB(priors=np.array([0.25, 0.75], np.float32))
    assert same(through_file(model, tmp_path).priors, model.priors)


class _Estimator:
    def fit(self, x):
        return self


def test_what_cannot_be_saved_is_refused(tmp_path):
    path = tmp_path / "model"
    model = fastnn.LinearDiscriminantAnalysis("lsqr", covariance_estimator=_Estimator())
    with pytest.raises(TypeError, match=r"parameters\.covariance_estimator is a _Estimator"):
        model.save(path)

    class Own(fastnn.Ridge):
        pass

    with pytest.raises(TypeError, match="Own is not a class of fastnn"):
        Own().save(path)
    ring: list = []
    ring.append(ring)
    with pytest.raises(TypeError, match="nested too deeply"):
        fastnn.Ridge(ring).save(path)
    model = fastnn.Ridge().fit([[0.0], [1.0]], [0.0, 1.0])
    model.coef_ = np.array([np.nan])
    with pytest.raises(ValueError, match=r"Ridge\.coef_ has values that are not finite"):
        model.save(path)
    net = fastnn.Network((2, 1))
    net.biases = [np.full(1, np.inf, np.float32)]
    with pytest.raises(ValueError, match=r"biases\[0\] has values that are not finite"):
        net.save(path)
    assert os.listdir(tmp_path) == []


def test_arrays_in_fortran_order_come_back_in_place(tmp_path):
    """The writer of safetensors takes memory as it lies there."""
    model = fastnn.Ridge().fit(np.eye(3), np.arange(6.0).reshape(3, 2))
    model.coef_ = np.asfortranarray(model.coef_)
    assert not model.coef_.flags.c_contiguous
    assert np.array_equal(through_file(model, tmp_path).coef_, model.coef_)
    model.coef_ = np.repeat(model.coef_, 2, axis=0)[::2, ::-1]
    assert np.array_equal(through_file(model, tmp_path).coef_, model.coef_)


def test_arrays_are_the_models_own(tmp_path):
    copy = through_file(fastnn.Ridge().fit(np.eye(3), np.ones(3)), tmp_path)
    assert copy.coef_.flags.writeable and copy.coef_.flags.aligned
    copy.coef_[0] = 2


def test_feature_names_come_back(tmp_path):
    model = fastnn.Ridge().fit(np.eye(3), np.ones(3))
    model.feature_names_in_ = np.array(["a", "größe", "\N{SNOWMAN}"], object)
    assert same(through_file(model, tmp_path).feature_names_in_, model.feature_names_in_)


# The file


def test_other_programs_read_the_arrays(tmp_path):
    import safetensors.numpy

    net = fastnn.Network((3, 4, 2))
    net.save(tmp_path / "net")
    found = safetensors.numpy.load_file(tmp_path / "net")
    assert sorted(found) == ["biases.0", "biases.1", "weights.0", "weights.1"]
    assert np.array_equal(found["weights.1"], net.weights[1])


def test_file_says_what_it_is(tmp_path):
    import safetensors

    fastnn.Ridge().save(tmp_path / "model")
    with safetensors.safe_open(tmp_path / "model", "np") as file:
        document = json.loads(file.metadata()["fastnn"])
    assert document["format"] == 1
    assert document["version"] == fastnn.__version__
    assert document["class"] == "Ridge"


def test_same_model_gives_the_same_bytes(tmp_path):
    for name in "ab":
        fitted()["gaussian-full"].save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_path_may_be_text_or_any_path(tmp_path):
    path = tmp_path / "модель \N{SNOWMAN} 模型.safetensors"
    for given in (path, str(path), os.fsencode(path)):
        fastnn.Ridge(3.0).save(given)
        assert fastnn.load(given).alpha == 3.0
        path.unlink()


def test_new_file_has_the_permissions_of_any(tmp_path):
    before = os.umask(0o027)
    try:
        fastnn.Ridge().save(tmp_path / "model")
    finally:
        os.umask(before)
    assert stat.S_IMODE(os.stat(tmp_path / "model").st_mode) == 0o640
    assert os.listdir(tmp_path) == ["model"]


def test_link_stays_a_link(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "model")
    fastnn.Ridge(2.0).save(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert fastnn.load(tmp_path / "model").alpha == 2.0


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_only_files_are_replaced(tmp_path):
    """Else a model saved to /dev/null would take the place of that for everybody."""
    os.mkfifo(pipe := tmp_path / "pipe")
    (link := tmp_path / "link").symlink_to(pipe)
    for path in (pipe, link):
        with pytest.raises(OSError, match="not a regular file"):
            fastnn.Ridge().save(path)
    with pytest.raises(IsADirectoryError, match="not a regular file"):
        fastnn.Ridge().save(tmp_path)
    assert pipe.is_fifo() and link.is_symlink()
    assert sorted(os.listdir(tmp_path)) == ["link", "pipe"]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_file_that_was_there_survives_a_failure(call, tmp_path, monkeypatch):
    path = tmp_path / "model"
    fastnn.Ridge(2.0).save(path)

    def fails(*arguments):
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fails)
        with pytest.raises(OSError, match="no space"):
            fastnn.Ridge(3.0).save(path)
    assert os.listdir(tmp_path) == ["model"]
    assert fastnn.load(path).alpha == 2.0


def test_folder_that_is_missing_or_read_only(tmp_path):
    with pytest.raises(FileNotFoundError):
        fastnn.Ridge().save(tmp_path / "missing" / "model")
    with pytest.raises(FileNotFoundError):
        fastnn.load(tmp_path / "missing")
    tmp_path.chmod(0o500)
    try:
        if os.access(tmp_path, os.W_OK):
            pytest.skip("this user may write anywhere")
        with pytest.raises(PermissionError):
            fastnn.Ridge().save(tmp_path / "model")
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.skipif(sys.platform != "linux", reason="needs a file system that refuses")
def test_file_system_that_takes_no_files():
    with pytest.raises(OSError):
        fastnn.Ridge().save("/proc/model")


def test_import_needs_neither_safetensors_nor_json():
    code = (
        "import sys, numpy; before = set(sys.modules); import fastnn; "
        "print(sorted({'safetensors', 'json', 'pickle'} & (set(sys.modules) - before)))"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_missing_package_is_named(tmp_path, monkeypatch):
    fastnn.Ridge().save(tmp_path / "model")
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    with pytest.raises(ImportError, match="pip install safetensors"):
        fastnn.Ridge().save(tmp_path / "model")
    with pytest.raises(ImportError, match="pip install safetensors"):
        fastnn.load(tmp_path / "model")


def test_every_kind_says_what_it_expects():
    for kind in vars(_fields).values():
        if isinstance(kind, type) and issubclass(kind, _fields.Kind) and kind is not _fields.Kind:
            assert kind.__doc__
