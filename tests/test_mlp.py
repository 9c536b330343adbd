"""What the perceptrons do beyond scikit-learn's, and that they do it exactly."""

import copy
import doctest
import importlib
import inspect
import pickle
import signal
import threading
import time
import warnings

import numpy as np
import pytest

import fastnn
from fastnn import MLPClassifier, MLPRegressor
from fastnn.linear import ConvergenceWarning

N = 90


def rows(seed=0, n=N):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 4))
    return x, np.digitize(np.sin(x[:, 0]) + x[:, 1] * x[:, 2], [-0.4, 0.6])


def numbers(seed=0, n=N):
    x, _ = rows(seed, n)
    return x, np.sin(x[:, 0]) + x[:, 1] * x[:, 2]


def fitted(model, x, y, *args, **kwargs):
    """Fit, without the warning that so few epochs are not enough."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(x, y, *args, **kwargs)


def parameters(model):
    return [np.array(p) for p in (*model.coefs_, *model.intercepts_)]


def assert_same_bits(a, b):
    for p, q in zip(parameters(a), parameters(b), strict=True):
        np.testing.assert_array_equal(p, q)


# Validation


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("model", [MLPClassifier, MLPRegressor])
def test_the_best_weights_are_restored(model, solver):
    data = rows if model is MLPClassifier else numbers
    x, y = data()
    x_val, y_val = data(1)
    seen = []
    m = model(
        hidden_layer_sizes=30,
        solver=solver,
        learning_rate_init=0.05,
        max_iter=2000,
        n_iter_no_change=5,
        tol=0.0,
        random_state=0,
        alpha=0.0,
        callbacks=lambda p: seen.append((p.score, parameters(p.model))),
    )
    fitted(m, x, y, X_val=x_val, y_val=y_val)
    scores = [score for score, _ in seen]
    assert scores == m.validation_scores_
    assert len(scores) == m.n_iter_ < m.max_iter
    assert m.best_validation_score_ == max(scores) == m.score(x_val, y_val)
    for p, best in zip(parameters(m), seen[int(np.argmax(scores))][1]):
        np.testing.assert_array_equal(p, best)
    assert m.best_loss_ is None


def test_validation_does_not_change_training():
    x, y = rows()
    plain = fitted(MLPClassifier(8, max_iter=6, random_state=0), x, y)
    watched = MLPClassifier(8, max_iter=6, random_state=0, n_iter_no_change=100)
    fitted(watched, x, y, X_val=x, y_val=y)
    assert watched.loss_curve_ == plain.loss_curve_


def test_weights_of_validation_rows_count():
    x, y = rows()
    x_val, y_val = rows(1)
    w = np.random.default_rng(0).integers(0, 3, N).astype(float)
    m = fitted(
        MLPClassifier(8, max_iter=4, random_state=0),
        x, y, X_val=x_val, y_val=y_val, sample_weight_val=w,
    )  # fmt: skip
    assert m.best_validation_score_ == m.score(x_val, y_val, w) == max(m.validation_scores_)


def test_partial_fit_stops_early_and_restores_the_best():
    x, y = rows()
    x_val, y_val = rows(1)
    m = MLPClassifier(30, learning_rate_init=0.05, n_iter_no_change=3, tol=0.0, random_state=0)
    for call in range(300):
        m.partial_fit(x, y, classes=[0, 1, 2], X_val=x_val, y_val=y_val)
        if m.converged_:
            break
    assert m.converged_
    assert len(m.validation_scores_) == call + 1
    assert m.best_validation_score_ == m.score(x_val, y_val)
    best = int(np.argmax(m.validation_scores_))
    assert call - best > 3
    m.partial_fit(x, y, X_val=x_val, y_val=y_val)
    assert not m.converged_


# Weights of rows and classes


def test_class_weight_is_a_weight_of_rows():
    x, y = rows()
    factors = {0: 0.5, 1: 2.0, 2: 3.0}
    a = fitted(MLPClassifier(6, max_iter=5, random_state=0, class_weight=factors), x, y)
    w = np.array([factors[k] for k in y])
    b = fitted(MLPClassifier(6, max_iter=5, random_state=0), x, y, w)
    assert_same_bits(a, b)


def test_balanced_classes():
    x, y = rows()
    a = fitted(MLPClassifier(6, max_iter=5, random_state=0, class_weight="balanced"), x, y)
    counts = np.bincount(y)
    b = MLPClassifier(6, max_iter=5, random_state=0, class_weight=dict(enumerate(N / (3 * counts))))
    assert_same_bits(a, fitted(b, x, y))


def test_a_weight_counts_as_that_many_rows():
    x, y = numbers()
    w = np.random.default_rng(0).integers(0, 4, N)
    settings = {"hidden_layer_sizes": 5, "solver": "lbfgs", "max_iter": 20, "random_state": 0}
    a = fitted(MLPRegressor(**settings, activation="tanh"), x, y, w.astype(float))
    b = fitted(
        MLPRegressor(**settings, activation="tanh"), np.repeat(x, w, axis=0), np.repeat(y, w)
    )
    # Twenty iterations of L-BFGS multiply roundings of the sums over rows.
    np.testing.assert_allclose(a.loss_curve_, b.loss_curve_, rtol=1e6 * np.finfo(float).eps)


# The network


def test_one_activation_per_layer():
    x, y = rows()
    m = fitted(MLPClassifier((5, 6), ("tanh", "logistic"), max_iter=2, random_state=0), x, y)
    a = np.tanh(x @ m.coefs_[0] + m.intercepts_[0])
    b = 1 / (1 + np.exp(-(a @ m.coefs_[1] + m.intercepts_[1])))
    z = b @ m.coefs_[2] + m.intercepts_[2]
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(m.predict_proba(x), p, rtol=1e-13)


def test_no_hidden_layer_is_logistic_regression():
    x, y = rows()
    a = MLPClassifier((), solver="lbfgs", alpha=1.0, tol=1e-9, max_iter=1000, random_state=0)
    b = fastnn.LogisticRegression(C=1.0, tol=1e-10)
    # The minimum is strict but for a shift of all classes' biases; gradients are within tol of it.
    np.testing.assert_allclose(
        fitted(a, x, y).predict_proba(x), b.fit(x, y).predict_proba(x), atol=1e-6
    )


def test_starting_weights():
    x, y = rows()
    a = fitted(MLPClassifier(6, "tanh", max_iter=1, random_state=0), x, y)
    started = MLPClassifier(6, "tanh", max_iter=1, random_state=1, shuffle=False)
    fitted(started, x, y, coefs_init=a.coefs_, intercepts_init=a.intercepts_)
    again = MLPClassifier(6, "tanh", max_iter=1, random_state=2, shuffle=False)
    fitted(again, x, y, coefs_init=a.coefs_, intercepts_init=a.intercepts_)
    assert_same_bits(started, again)
    with pytest.raises(ValueError, match=r"coefs_init has arrays of shapes"):
        fitted(again, x, y, coefs_init=[np.zeros((4, 5)), np.zeros((6, 3))])


def test_weights_are_live():
    x, y = rows()
    m = fitted(MLPClassifier(6, max_iter=1, random_state=0), x, y)
    m.coefs_[1][...] = 0
    m.intercepts_[1] = np.log([1.0, 2.0, 5.0])
    np.testing.assert_allclose(m.predict_proba(x[:2]), [[1 / 8, 2 / 8, 5 / 8]] * 2, rtol=1e-14)
    with pytest.raises(ValueError, match="layer 0"):
        m.coefs_[0] = np.zeros(3)


def test_dropout_trains_and_predicts_with_all_units():
    x, y = rows()
    settings = {"hidden_layer_sizes": (40, 20), "max_iter": 3, "random_state": 0}
    none = fitted(MLPClassifier(**settings), x, y)
    some = fitted(MLPClassifier(**settings, dropout=[0.5, 0.0]), x, y)
    assert some.loss_curve_[0] != none.loss_curve_[0]
    zero = fitted(MLPClassifier(**settings, dropout=0.0), x, y)
    assert_same_bits(zero, none)
    np.testing.assert_array_equal(some.predict_proba(x), some.predict_proba(x))
    again = fitted(MLPClassifier(**settings, dropout=[0.5, 0.0]), x, y)
    assert_same_bits(some, again)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_do_not_change_bits(threads):
    x, y = rows(n=400)
    settings = {"hidden_layer_sizes": (90, 70), "max_iter": 3, "random_state": 0, "dropout": 0.2}
    a = fitted(MLPClassifier(**settings, num_threads=threads), x, y)
    assert_same_bits(a, fitted(MLPClassifier(**settings), x, y))
    np.testing.assert_array_equal(a.predict(x), a.set_params(num_threads=None).predict(x))


# Losses


def mean_loss(loss, p, y, delta):
    if loss == "poisson":
        return np.mean(p - y * np.log(p) + np.where(y > 0, y * np.log(np.maximum(y, 1)), 0) - y)
    r = np.abs(p - y)
    if loss == "huber":
        return np.mean(np.where(r <= delta, r**2 / 2, delta * (r - delta / 2)))
    return np.mean(r if loss == "absolute" else r**2 / 2)


@pytest.mark.parametrize("loss", ["squared_error", "huber", "absolute", "poisson"])
def test_the_loss_is_what_its_formula_says(loss):
    x, z = numbers()
    y = np.random.default_rng(0).poisson(np.exp(z)).astype(float) if loss == "poisson" else z
    m = MLPRegressor(
        loss, 8, "tanh", max_iter=2, batch_size=N, random_state=0, alpha=0.0, huber_delta=0.4
    )
    first = fitted(m, x, y).loss_curve_[1]
    fitted(m.set_params(max_iter=1), x, y)
    assert first == pytest.approx(mean_loss(loss, m.predict(x), y, 0.4), rel=1e-13)


@pytest.mark.parametrize("loss", ["huber", "absolute"])
def test_robust_losses_ignore_outliers(loss):
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (200, 1))
    y = 2 * x[:, 0] + 1
    y[:20] += 100
    m = MLPRegressor(
        loss, (), "identity", max_iter=2000, learning_rate_init=0.05, random_state=0,
        n_iter_no_change=50, alpha=0.0, tol=1e-7, huber_delta=0.1,
    )  # fmt: skip
    fitted(m, x, y)
    np.testing.assert_allclose(m.predict([[0.0], [1.0]]), [1.0, 3.0], atol=0.1)
    squares = fitted(m.set_params(loss="squared_error"), x, y)
    assert abs(squares.predict([[0.0]])[0] - 1.0) > 5


def test_several_targets():
    x, z = numbers()
    y = np.stack([z, -2 * z], axis=1)
    m = MLPRegressor(hidden_layer_sizes=20, solver="lbfgs", max_iter=500, random_state=0)
    assert fitted(m, x, y).predict(x).shape == (N, 2)
    assert m.score(x, y) > 0.99


# Continuing


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_the_optimiser_goes_on(solver):
    x, y = rows()
    settings = {
        "solver": solver,
        "shuffle": False,
        "random_state": 0,
        "learning_rate": "invscaling",
    }
    whole = fitted(MLPClassifier(6, max_iter=6, **settings), x, y)
    parts = fitted(MLPClassifier(6, max_iter=2, **settings, warm_start="optimizer"), x, y)
    fitted(parts.set_params(max_iter=4), x, y)
    assert parts.loss_curve_ == whole.loss_curve_
    assert_same_bits(parts, whole)
    afresh = fitted(MLPClassifier(6, max_iter=2, **settings, warm_start=True), x, y)
    fitted(afresh.set_params(max_iter=4), x, y)
    assert afresh.loss_curve_[:3] == whole.loss_curve_[:3]
    assert afresh.loss_curve_ != whole.loss_curve_


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_a_copy_goes_on_like_the_model(duplicate, solver):
    x, y = rows()
    m = MLPClassifier(6, solver=solver, random_state=0)
    m.partial_fit(x, y, classes=[0, 1, 2]).partial_fit(x, y)
    twin = duplicate(m)
    np.testing.assert_array_equal(twin.predict_proba(x), m.predict_proba(x))
    for _ in range(3):
        m.partial_fit(x, y)
        twin.partial_fit(x, y)
    assert_same_bits(m, twin)
    assert m.loss_curve_ == twin.loss_curve_


def test_a_parameter_may_change_between_partial_fits():
    x, y = rows()
    a = MLPClassifier(6, random_state=0).partial_fit(x, y, classes=[0, 1, 2])
    before = parameters(a)
    a.set_params(learning_rate_init=1e-12).partial_fit(x, y)
    for p, q in zip(parameters(a), before):
        np.testing.assert_allclose(p, q, atol=1e-10)


# Stopping


def test_callbacks_see_and_stop():
    x, y = rows()
    seen = []

    def stop(progress):
        seen.append(progress)
        return progress.epoch == 3

    m = MLPClassifier(6, random_state=0, callbacks=[stop, lambda p: "not a bool"]).fit(x, y)
    assert [p.epoch for p in seen] == [1, 2, 3] and m.n_iter_ == 3
    assert [p.loss for p in seen] == m.loss_curve_
    assert all(p.model is m and p.score is None for p in seen)
    assert 0 < seen[0].seconds < seen[2].seconds


def test_max_time_ends_the_fit():
    x, y = rows()
    m = MLPClassifier(6, max_iter=10**9, n_iter_no_change=10**9, max_time=0.05, random_state=0)
    started = time.perf_counter()
    with pytest.warns(ConvergenceWarning, match="max_time=0.05 s"):
        m.fit(x, y)
    assert 0.05 <= time.perf_counter() - started < 5
    with pytest.warns(ConvergenceWarning, match="max_time"):
        MLPClassifier(50, solver="lbfgs", max_iter=10**6, max_time=1e-9, tol=0.0).fit(x, y)


def test_interruption_keeps_what_is_learned():
    x, y = rows()
    m = MLPClassifier(
        20, max_iter=10**9, n_iter_no_change=10**9, random_state=0,
        callbacks=lambda p: signal.raise_signal(signal.SIGINT) if p.epoch == 5 else None,
    )  # fmt: skip
    with pytest.warns(UserWarning, match="interrupted by user"):
        m.fit(x, y)
    assert m.n_iter_ == 5
    assert m.predict(x).shape == (N,)


def test_lines_and_silence(capsys):
    x, y = rows()
    m = fitted(MLPClassifier(6, max_iter=2, verbose=2, random_state=0), x, y, X_val=x, y_val=y)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"Iteration 1, loss = {m.loss_curve_[0]:.8f}"
    assert lines[1] == f"Validation score: {m.validation_scores_[0]:f}"
    fitted(m.set_params(verbose=False), x, y)
    assert capsys.readouterr().out == ""


def test_a_bar_where_tqdm_is_installed(monkeypatch, capsys):
    x, y = rows()
    calls = []

    class Bar:
        def __init__(self, **options):
            calls.append(options)

        def set_postfix(self, figures):
            calls.append(sorted(figures))

        def update(self):
            calls.append("update")

        def write(self, message):
            calls.append(message)

        def close(self):
            calls.append("close")

    module = type(fastnn)("tqdm.auto")
    module.tqdm = Bar
    monkeypatch.setitem(__import__("sys").modules, "tqdm.auto", module)
    monkeypatch.setitem(__import__("sys").modules, "tqdm", type(fastnn)("tqdm"))
    fitted(MLPClassifier(6, max_iter=1, verbose=1, random_state=0), x, y)
    assert calls == [{"total": 1, "unit": "epoch"}, ["loss"], "update", "close"]
    monkeypatch.setitem(__import__("sys").modules, "tqdm.auto", None)
    fitted(MLPClassifier(6, max_iter=1, verbose=True, random_state=0), x, y)
    assert capsys.readouterr().out.startswith("Iteration 1, loss = ")


# Failure


@pytest.mark.parametrize("again", ["fit", "partial_fit", "warm"])
def test_a_fit_that_fails_leaves_the_model_as_it_was(again):
    x, y = numbers()
    m = fitted(MLPRegressor(hidden_layer_sizes=6, max_iter=3, random_state=0), x, y)
    m.partial_fit(x, y)
    learned, predicted = set(vars(m)) - {"_optimizer", "_optimizer_state"}, m.predict(x)
    curve = list(m.loss_curve_)
    m.set_params(learning_rate_init=1e200, solver="sgd", warm_start=again == "warm")
    with pytest.raises(ValueError, match="non-finite parameter weights"):
        for _ in range(20):
            getattr(m, "fit" if again == "warm" else again)(x, y)
            predicted, curve = m.predict(x), list(m.loss_curve_)
    np.testing.assert_array_equal(m.predict(x), predicted)
    assert m.loss_curve_ == curve
    assert set(vars(m)) >= learned


def test_an_error_of_a_callback_is_raised_and_undone():
    x, y = rows()
    m = fitted(MLPClassifier(6, max_iter=2, random_state=0), x, y)
    before = parameters(m)

    def fail(progress):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        m.set_params(callbacks=fail, warm_start=True).fit(x, y)
    for p, q in zip(parameters(m), before):
        np.testing.assert_array_equal(p, q)
    unfitted = MLPClassifier(6, callbacks=fail)
    with pytest.raises(KeyError, match="mine"):
        unfitted.fit(x, y)
    assert not hasattr(unfitted, "coefs_") and not hasattr(unfitted, "classes_")


def test_divergence_with_validation_keeps_the_best():
    x, y = numbers()
    m = MLPRegressor(
        hidden_layer_sizes=50, activation="identity", solver="sgd", learning_rate_init=10.0,
        random_state=0,
    )  # fmt: skip
    with pytest.warns(ConvergenceWarning, match="not finite"):
        m.fit(x, y, X_val=x, y_val=y)
    assert np.isnan(m.validation_scores_[-1])
    assert np.isfinite(m.predict(x)).all()


# Threads of Python


@pytest.mark.skipif(fastnn.backend() == "numpy", reason="NumPy holds the interpreter's lock")
def test_other_threads_run_during_an_epoch():
    x, y = np.random.default_rng(0).normal(size=(20000, 64)), np.arange(20000) % 3
    ticks, done = 0, threading.Event()

    def tick():
        nonlocal ticks
        while not done.is_set():
            ticks += 1
            time.sleep(0.001)

    thread = threading.Thread(target=tick, daemon=True)
    thread.start()
    started = time.perf_counter()
    try:
        fitted(MLPClassifier((128, 128), max_iter=2, random_state=0, num_threads=1), x, y)
        elapsed = time.perf_counter() - started
    finally:
        done.set()
        thread.join()
    assert ticks > elapsed / 0.02


# Sparse rows


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_sparse_rows_are_those_that_dense_ones_are(solver):
    sparse = pytest.importorskip("scipy.sparse", reason="needs SciPy")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(N, 12)) * (rng.random((N, 12)) < 0.3)
    y = np.arange(N) % 3
    settings = {"hidden_layer_sizes": 6, "solver": solver, "max_iter": 5, "random_state": 0}
    dense = fitted(MLPClassifier(**settings, early_stopping=True), x, y)
    for form in (sparse.csr_array, sparse.coo_matrix, sparse.csc_array):
        m = fitted(MLPClassifier(**settings, early_stopping=True), form(x), y)
        # The compiled sums over what is stored have the bits of those with zeros; NumPy's are in
        # another order, and five epochs carry its rounding along.
        rtol = 0 if fastnn.backend() == "compiled" else 1e4 * np.finfo(float).eps
        np.testing.assert_allclose(m.loss_curve_, dense.loss_curve_, rtol=rtol)
        np.testing.assert_allclose(m.predict_proba(form(x)), dense.predict_proba(x), rtol=rtol)
        np.testing.assert_array_equal(m.predict(form(x)), m.predict(x))
    m.set_params(solver="sgd", early_stopping=False)
    fitted(m, sparse.csr_array(x), y, X_val=sparse.csr_array(x), y_val=y)
    m.partial_fit(sparse.csr_array(x.astype(np.float32)), y)
    bad = sparse.csr_array(np.array([[np.inf] + [0.0] * 11]))
    with pytest.raises(ValueError, match="infinity"):
        m.predict(bad)


# Documents


@pytest.mark.parametrize("name", ["mlp", "mlp_regressor"])
def test_examples_run(name):
    results = doctest.testmod(importlib.import_module(f"fastnn.{name}"))
    assert results.attempted and not results.failed


@pytest.mark.parametrize("model", [MLPClassifier, MLPRegressor])
def test_every_method_is_documented(model):
    for name, method in inspect.getmembers(model, inspect.isfunction):
        if name.startswith("_") or name.endswith("_request"):
            continue
        doc = inspect.getdoc(method)
        assert "\nParameters\n----------\n" in doc or len(inspect.signature(method).parameters) == 1
        for parameter in list(inspect.signature(method).parameters)[1:]:
            assert parameter in doc
