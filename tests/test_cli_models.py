"""`fastnn train`, `predict` and `evaluate`: what they compute."""

import re

import numpy as np
import pytest
from cli_case import CLASSIFIERS, KINDS, NAMES, Columns, N, figure, results, write_csv

import fastnn

pytest.importorskip("safetensors")


@pytest.mark.parametrize("model", CLASSIFIERS)
def test_a_classifier_from_the_command_line(cli_train, cli, cli_data, cli_rows, model, tmp_path):
    x, kind, _ = cli_rows
    path, out = cli_train(model)
    loaded = fastnn.load(path)
    assert loaded.feature_names_in_.tolist() == NAMES and loaded.target_name_ == "kind"
    assert loaded.classes_.tolist() == ["ash", "elm", "oak"]
    named = Columns(x)
    accuracy = loaded.score(named, kind)
    assert f"{figure(out, 'training accuracy'):.4f}" == f"{accuracy:.4f}"
    code, _, err = cli("predict", path, cli_data, "--proba", "-o", tmp_path / "out.csv")
    assert code == 0 and f"{N} predictions written" in err
    header, columns = results((tmp_path / "out.csv").read_text())
    assert header == ["prediction", "probability_ash", "probability_elm", "probability_oak"]
    assert list(columns[0]) == loaded.predict(named).tolist()
    proba = np.array(columns[1:], float).T
    np.testing.assert_array_equal(proba, loaded.predict_proba(named))  # repr keeps all bits
    code, out, _ = cli("evaluate", path, cli_data)
    assert code == 0 and f"{figure(out, 'accuracy'):.4f}" == f"{accuracy:.4f}"
    loss = -np.log(proba[np.arange(N), np.searchsorted(loaded.classes_, kind)]).mean()
    assert figure(out, "log loss") == pytest.approx(loss, rel=1e-5)  # six digits are printed
    right = loaded.predict(named) == kind
    for label in loaded.classes_:
        cells = re.search(rf"^{label} +(.*)$", out, re.MULTILINE).group(1).split()
        of, taken = kind == label, loaded.predict(named) == label
        shares = [f"{right[of].mean():.4f}", f"{right[taken].mean():.4f}"]
        assert cells == [str(of.sum()), str(taken.sum()), *shares]


@pytest.mark.parametrize("model", ["ridge", "mlp"])
def test_a_regression(cli_train, cli, cli_data, cli_rows, model, monkeypatch):
    x, _, size = cli_rows
    path, _ = cli_train(model, "--target", "size", "--ignore", "kind")
    loaded = fastnn.load(path)
    assert type(loaded).__name__ == {"ridge": "Ridge", "mlp": "MLPRegressor"}[model]
    code, out, _ = cli("predict", path, cli_data)
    header, (predictions,) = results(out)
    assert code == 0 and header == ["prediction"]
    np.testing.assert_array_equal(np.array(predictions, float), loaded.predict(Columns(x)))
    monkeypatch.setattr("fastnn._cli_data.BLOCK_CELLS", 3 * 17)  # several blocks, merged
    code, out, _ = cli("evaluate", path, cli_data)
    residual = size - loaded.predict(Columns(x))
    assert code == 0
    assert f"{figure(out, 'R^2'):.4f}" == f"{loaded.score(Columns(x), size):.4f}"
    assert figure(out, "mean squared error") == pytest.approx((residual**2).mean(), rel=1e-5)
    assert figure(out, "mean absolute error") == pytest.approx(abs(residual).mean(), rel=1e-5)


def test_columns_are_matched_by_name(cli_train, cli, cli_data, cli_rows, tmp_path):
    x, _, _ = cli_rows
    path, _ = cli_train("logistic")
    other = write_csv(
        tmp_path / "o.csv", ["c", "id", "b", "a"], [x[:, 2], np.arange(N), *x.T[1::-1]]
    )
    assert cli("predict", path, cli_data)[1] == cli("predict", path, other)[1]


def test_without_a_header(cli_train, cli, cli_rows, tmp_path):
    x, kind, _ = cli_rows
    whole = write_csv(tmp_path / "whole.csv", None, [kind, *x.T])
    features = write_csv(tmp_path / "features.csv", None, list(x.T))
    path, _ = cli_train("gaussian", "--target", "1", "--no-header", source=whole)
    loaded = fastnn.load(path)
    assert loaded.target_name_ == "1" and not hasattr(loaded, "feature_names_in_")
    expected = loaded.predict(x).tolist()
    for source in (whole, features):
        code, out, err = cli("predict", path, source, "--no-header")
        assert code == 0, err
        assert list(results(out)[1][0]) == expected
    assert cli("evaluate", path, whole, "--no-header")[0] == 0
    code, _, err = cli("evaluate", path, features, "--no-header")
    assert code == 2 and "2 columns of features, but the model was trained on 3" in err


@pytest.mark.parametrize("kind", ["npz", "parquet"])
def test_other_files(cli_train, cli, cli_data, cli_rows, tmp_path, kind):
    x, labels, _ = cli_rows
    path, _ = cli_train("logistic")
    if kind == "npz":
        source = tmp_path / "t.npz"
        np.savez(source, X=x, y=labels, feature_names=np.array(NAMES))
    else:
        polars, source = pytest.importorskip("polars"), tmp_path / "t.parquet"
        polars.DataFrame({**dict(zip(NAMES, x.T)), "kind": labels}).write_parquet(source)
    own = tmp_path / "own.fnn"
    target = () if kind == "npz" else ("--target", "kind")
    code, _, err = cli("train", source, "--model", "logistic", "-o", own, *target)
    assert code == 0, err
    expected = cli("predict", path, cli_data)[1]
    assert expected == cli("predict", path, source)[1] == cli("predict", own, cli_data)[1]
    code, out, err = cli("evaluate", path, source)
    assert code == 0, err
    assert figure(out, "accuracy") == figure(cli("evaluate", path, cli_data)[1], "accuracy")


@pytest.mark.parametrize(
    ("cells", "options", "classes"),
    [
        (["0", "1"], (), [0, 1]),
        (["1.0", "2.0"], (), [1, 2]),
        (["007", "1"], (), ["007", "1"]),
        (["x", "1"], (), ["1", "x"]),
        (["True", "False"], (), ["False", "True"]),
        (["1.5", "1"], (), None),
        (["1", "2"], ("--task", "regression"), None),
    ],
)
def test_what_a_target_means(cli, tmp_path, cells, options, classes):
    source = tmp_path / "t.csv"
    source.write_text("x,y\n" + "".join(f"{i},{cells[i % 2]}\n" for i in range(8)))
    given = ("--target", "y", "--epochs", 1, "--hidden", 2, "-o", tmp_path / "m")
    code, out, err = cli("train", source, "--model", "mlp", *given, *options)
    assert code == 0, err
    loaded = fastnn.load(tmp_path / "m")
    if classes is None:
        assert type(loaded) is fastnn.MLPRegressor and "target" in out and "regression" in out
    else:
        assert loaded.classes_.tolist() == classes
    assert cli("evaluate", tmp_path / "m", source)[0] == 0


def test_options_reach_the_model(cli_train):
    options = ["--activation", "tanh", "--learning-rate", "0.01", "--alpha", "0", "--seed", 3]
    own = ["--set", "solver=sgd", "--set", "momentum=0.5", "--set", "class_weight='balanced'"]
    loaded = fastnn.load(cli_train("mlp", *options, *own)[0])
    params = loaded.get_params()
    expected = {
        "hidden_layer_sizes": (8,),
        "activation": "tanh",
        "max_iter": 5,
        "batch_size": 16,
        "learning_rate_init": 0.01,
        "alpha": 0.0,
        "random_state": 3,
        "solver": "sgd",
        "momentum": 0.5,
        "class_weight": "balanced",
        "callbacks": None,
    }
    assert {name: params.get(name) for name in expected} == expected
    assert fastnn.load(cli_train("logistic", "--C", "inf")[0]).C == np.inf
    assert fastnn.load(cli_train("gaussian", "--covariance", "shared")[0]).covariance == "shared"
    assert (
        fastnn.load(cli_train("ridge", "--alpha", "3", "--set", "fit_intercept=False")[0]).alpha
        == 3
    )


@pytest.mark.parametrize("model", ["logistic", "mlp"])
def test_float32(cli_train, cli, cli_data, cli_rows, model):
    x, kind, _ = cli_rows
    more = ["--standardize"] if model == "mlp" else []
    path, out = cli_train(model, "--dtype", "float32", *more)
    loaded = fastnn.load(path)
    first = loaded.coef_ if model == "logistic" else loaded.coefs_[0]
    assert first.dtype == np.float32
    assert f"{loaded.score(Columns(x.astype(np.float32)), kind):.4f}" in out
    code, out, err = cli("predict", path, cli_data)
    assert code == 0, err
    assert list(results(out)[1][0]) == loaded.predict(Columns(x)).tolist()


@pytest.mark.parametrize("model", ["logistic", "ridge", "mlp"])
def test_validation_keeps_rows_from_training(cli_train, model):
    _, out = cli_train(model, "--validation", "0.25")
    assert re.search(rf"^rows +{N - 30}, and 30 for validation$", out, re.MULTILINE)
    assert re.search(r"^validation (accuracy|R\^2) +-?[\d.]+$", out, re.MULTILINE)
    assert cli_train(model, "--validation", "0.25")[1].split("time")[0] == out.split("time")[0]


def test_early_stopping_keeps_the_best_weights(cli_train):
    path, out = cli_train("mlp", "--early-stopping")
    assert f"{N - 12}, and 12 for validation" in out
    best = max(fastnn.load(path).validation_scores_)
    assert f"{figure(out, 'validation accuracy'):.4f}" == f"{best:.4f}"


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
@pytest.mark.parametrize("target", ["kind", "size"])
def test_a_standardized_network_takes_plain_rows(cli_train, cli_rows, tmp_path, target):
    """Its outputs are those of a network trained on scaled rows, but for rounding."""
    x, kind, size = cli_rows
    x, size = x * [1e-3, 1.0, 1e4] + [0.5, 0.0, -3e4], 1e3 * size + 5e4
    x[:, 1] = 7  # a constant
    source = write_csv(
        tmp_path / "t.csv", [*NAMES, target], [*x.T, kind if target == "kind" else size]
    )
    options = ("--target", target, "--standardize", "--epochs", 30)
    path, _ = cli_train("mlp", *options, source=source)
    loaded = fastnn.load(path)
    scaled = (x - x.mean(axis=0)) / [x[:, 0].std(), 1, x[:, 2].std()]
    other = type(loaded)(**loaded.get_params())
    # Sums of 8 hidden values; rounding of x, W and b is amplified by |mean| / deviation < 1e3.
    bound = 1e3 * 16 * np.finfo(float).eps * 30
    if target == "kind":
        other.fit(scaled, kind)
        expected, got = other.predict_proba(scaled), loaded.predict_proba(Columns(x))
    else:
        other.fit(scaled, (size - size.mean()) / size.std())
        expected = other.predict(scaled)
        got = (loaded.predict(Columns(x)) - size.mean()) / size.std()
    np.testing.assert_allclose(got, expected, rtol=0, atol=bound)
    assert np.ptp(expected) > 0.01


def test_threads_change_no_result(cli_train, cli, cli_data):
    before = fastnn.get_num_threads()
    try:
        outputs = []
        for threads in (1, 2):
            path, _ = cli_train("mlp", "--threads", threads)
            assert fastnn.get_num_threads() == threads
            outputs.append(cli("predict", path, cli_data, "--proba")[1])
    finally:
        fastnn.set_num_threads(before)
    assert outputs[0] == outputs[1] and outputs[0]


def test_progress_is_on_standard_error(cli, cli_data, tmp_path):
    given = ("train", cli_data, "--target", "kind", "--ignore", "size", "-o", tmp_path / "m")
    code, out, err = cli(*given, *KINDS["mlp"])
    lines = re.findall(r"^epoch +(\d+)  loss [\d.]+ +[\d,]+ rows/s$", err, re.MULTILINE)
    assert code == 0 and lines == ["1", "2", "3", "4", "5"] and "epoch" not in out
    code, _, err = cli(*given, *KINDS["logistic"], "--quiet")
    assert code == 0 and err == ""


def test_missing_values_where_the_model_takes_them(cli_train, cli, cli_rows, tmp_path):
    x, kind, _ = cli_rows
    cells = x.astype(object)
    cells[::5, 1] = ""
    source = write_csv(tmp_path / "gaps.csv", [*NAMES, "kind"], [*cells.T, kind])
    path, _ = cli_train("gaussian", "--covariance", "diag", "--target", "kind", source=source)
    code, out, err = cli("predict", path, source)
    assert code == 0, err
    gaps = np.where(cells == "", np.nan, cells).astype(float)
    assert list(results(out)[1][0]) == fastnn.load(path).predict(Columns(gaps)).tolist()
