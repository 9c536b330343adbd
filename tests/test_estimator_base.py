"""What the estimators share: parameters, and the checks of X, y and sample_weight."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastnn import _estimator
from fastnn._estimator import ClassifierMixin, Estimator, NotFittedError, RegressorMixin


class Sign(ClassifierMixin, Estimator):
    """Predicts whether the first feature is positive."""

    def __init__(self, threshold=0.0, *, names=None):
        self.threshold = threshold
        self.names = names

    def predict(self, X):
        """Bools (n,)."""
        return self._rows(X)[:, 0] > self.threshold


class First(RegressorMixin, Estimator):
    """Predicts the features themselves."""

    def predict(self, X):
        """Array (n, d), or (n,) of a single feature."""
        x = _estimator.data(X)
        return x[:, 0] if x.shape[1] == 1 else x


def fitted():
    """A Sign that has seen three features."""
    model = Sign()
    model.n_features_in_ = 3
    return model


# Parameters


def test_parameters_can_be_read_and_set():
    model = Sign(1.5)
    assert model.get_params() == model.get_params(deep=False) == {"threshold": 1.5, "names": None}
    assert model.set_params(names=["a"], threshold=2) is model
    assert model.threshold == 2 and model.names == ["a"]
    assert model.set_params() is model


def test_an_unknown_parameter_changes_none():
    model = Sign()
    with pytest.raises(
        ValueError, match="Sign has no parameter 'depth'; valid names: threshold, n"
    ):
        model.set_params(threshold=3, depth=2)
    assert model.threshold == 0


def test_repr_shows_what_is_not_default():
    assert repr(Sign()) == "Sign()"
    assert repr(Sign(2, names="x")) == "Sign(threshold=2, names='x')"
    assert repr(Sign(names=np.zeros(2))) == "Sign(names=array([0., 0.]))"
    assert repr(Sign(float("nan"))) == "Sign(threshold=nan)"


def test_scikit_learn_clones():
    sklearn = pytest.importorskip("sklearn.base")
    names = np.array(["a", "b"])
    twin = sklearn.clone(Sign(2, names=names))
    assert twin.threshold == 2 and np.array_equal(twin.names, names)
    assert not hasattr(sklearn.clone(fitted()), "n_features_in_")
    assert sklearn.is_classifier(Sign()) and sklearn.is_regressor(First())


def test_a_model_that_is_not_fitted():
    with pytest.raises(NotFittedError, match="This Sign instance is not fitted yet; call fit"):
        Sign().predict([[1.0]])
    assert issubclass(NotFittedError, ValueError) and issubclass(NotFittedError, AttributeError)


def test_scikit_learn_knows_the_error_of_a_model_that_is_not_fitted():
    exceptions = pytest.importorskip("sklearn.exceptions")
    with pytest.raises(exceptions.NotFittedError) as caught:
        Sign().predict([[1.0]])
    assert isinstance(caught.value, NotFittedError)
    copy = pickle.loads(pickle.dumps(caught.value))
    assert type(copy) is NotFittedError and str(copy) == str(caught.value)


# X


@pytest.mark.parametrize(
    "given, expected",
    [
        ("float32", "float32"),
        (">f4", "float32"),
        ("float64", "float64"),
        (">f8", "float64"),
        ("float16", "float64"),
        ("longdouble", "float64"),
        ("int8", "float64"),
        ("uint64", "float64"),
        ("bool", "float64"),
        ("object", "float64"),
    ],
)
def test_dtypes(given, expected):
    x = np.array([[1, 0], [1, 1], [0, 1]]).astype(given)
    a = _estimator.data(x)
    assert a.dtype == expected and a.dtype.isnative and np.array_equal(a, x)


def test_floats_are_not_copied(dtype):
    x = np.ones((6, 4), dtype)
    for view in (x, x.T, x[::2], x[::-1, 1:3]):
        assert _estimator.data(view) is view
    assert _estimator.data(x.tolist()).dtype == np.float64
    assert np.array_equal(_estimator.data([[1, 2.5]]), [[1, 2.5]])


class Sparse:
    """Stands for a sparse matrix of any library."""

    def toarray(self):
        """Do not call this."""
        raise AssertionError


@pytest.mark.parametrize(
    "x, error, message",
    [
        (1.0, ValueError, r"must have 2 dimensions, not 0"),
        ([1.0, 2.0], ValueError, r"not 1 \(shape \(2,\)\). Reshape your data: X.reshape\(-1, 1\)"),
        (np.ones((1, 1, 1)), ValueError, "must have 2 dimensions, not 3"),
        (np.ones((0, 2)), ValueError, r"0 sample\(s\) \(shape=\(0, 2\)\)"),
        (np.ones((2, 0)), ValueError, r"0 feature\(s\) \(shape=\(2, 0\)\) while a minimum of 1"),
        ([[1j]], ValueError, "Complex data not supported"),
        ([["1"]], ValueError, "X must hold numbers, not <U1"),
        ([[b"1"]], ValueError, "X must hold numbers"),
        (np.array([["2020-01-01"]], "M8[D]"), ValueError, "X must hold numbers"),
        (np.array([["x"]], object), ValueError, "could not convert string"),
        (np.array([[{}]], object), TypeError, "argument must be a string or a real number"),
        ([[1, 2], [3]], ValueError, "X is not an array"),
        (np.ma.masked_array([[1.0]], [[True]]), TypeError, "masked array"),
        (Sparse(), TypeError, r"X is a sparse Sparse; convert it with X.toarray\(\)"),
        ([[0, np.inf]], ValueError, r"X contains infinity, first at X\[0, 1\]"),
        ([[0], [-np.inf]], ValueError, r"X contains infinity, first at X\[1, 0\]"),
        ([[0], [np.nan]], ValueError, r"X contains NaN, first at X\[1, 0\]"),
        (np.array([[1.0, None]], object), ValueError, r"X contains NaN, first at X\[0, 1\]"),
        (np.array([[2]], np.longdouble) ** 2000, ValueError, "X contains infinity"),
    ],
)
def test_data_that_is_none(x, error, message):
    with pytest.raises(error, match=message):
        _estimator.data(x)


def test_missing_values_may_be_allowed():
    x = np.array([[np.nan, 1.0]])
    assert _estimator.data(x, missing=True) is x
    with pytest.raises(ValueError, match="X contains infinity"):
        _estimator.data([[np.nan, -np.inf]], missing=True)


def test_scipy_sparse_becomes_csr_where_it_may():
    sparse = pytest.importorskip("scipy.sparse")
    x = _estimator.data(sparse.coo_array(np.array([[0, 2], [1, 0]])), sparse=True)
    np.testing.assert_array_equal(x.toarray(), [[0.0, 2.0], [1.0, 0.0]])
    assert x.dtype == np.float64
    assert fitted()._rows(sparse.eye_array(3), sparse=True).shape == (3, 3)
    with pytest.raises(ValueError, match="X has 2 features, but Sign is expecting 3 features"):
        fitted()._rows(sparse.eye_array(2), sparse=True)
    with pytest.raises(ValueError, match=r"X has 0 sample\(s\)"):
        _estimator.data(sparse.csr_array((0, 2)), sparse=True)
    for value, name in ((np.nan, "NaN"), (np.inf, "infinity")):
        x = sparse.csr_array(np.array([[0.0, 0.0], [1.0, value]]))
        with pytest.raises(ValueError, match=rf"X contains {name}, first at X\[1, 1\]"):
            _estimator.data(x, sparse=True)


def test_scipy_sparse_is_refused():
    sparse = pytest.importorskip("scipy.sparse")
    for x in (sparse.eye_array(3).tocsr(), sparse.coo_matrix((3, 3))):
        with pytest.raises(TypeError, match="sparse"):
            _estimator.data(x)


def test_another_number_of_features():
    message = "X has 2 features, but Sign is expecting 3 features as input"
    with pytest.raises(ValueError, match=message):
        fitted().predict([[1.0, 2.0]])
    with pytest.raises(ValueError, match="X has 2 features, but Ridge is expecting 1 features"):
        _estimator.data(np.ones((1, 2)), n_features=1, name="Ridge")


# y


@given(st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(-5, 5), min_size=1))
def test_integers_are_encoded_as_by_unique(values):
    y = np.array(values, np.int64)
    classes, labels = _estimator.encode(y)
    expected, inverse = np.unique(y, return_inverse=True)
    assert np.array_equal(classes, expected) and np.array_equal(labels, inverse)
    assert classes.dtype == y.dtype and labels.dtype == np.int64 and labels.flags.c_contiguous


LABELS = [
    np.array([3, -1, 3, 0], np.int8),
    np.array([-128, 127, 0], np.int8),
    np.array([250, 3, 250], np.uint8),
    np.array([2**64 - 1, 0, 2**64 - 1], np.uint64),
    np.array([2**64 - 1, 2**64 - 2], np.uint64),
    np.array([-(2**63), 2**63 - 1]),
    np.array([True, False, True]),
    np.array([False]),
    np.array([1.0, -2.0, 1.0, 1e300]),
    np.array([0.0, 1.0], np.float32),
    np.array(["dog", "cat", "dog"]),
    np.array([b"dog", b"cat"]),
    np.array(["dog", "cat", "dog"], object),
    np.array([3, 1, 2, 1], object),
    np.array([2.0, 1, True], object),
    np.array(["2020-02-01", "2020-01-01"], "M8[D]"),
    np.arange(1000) * 10**6,
    np.arange(20).astype(">i4")[::-3],
]


@pytest.mark.parametrize("y", LABELS, ids=lambda y: f"{y.dtype.str}-{len(y)}")
def test_labels_of_every_kind(y):
    classes, labels = _estimator.encode(y, len(y))
    expected, inverse = np.unique(y, return_inverse=True)
    assert classes.tolist() == expected.tolist() and classes.dtype == y.dtype
    assert np.array_equal(labels, inverse) and labels.dtype == np.int64
    assert labels.flags.c_contiguous
    assert np.array_equal(_estimator.lookup(y[::-1], classes), labels[::-1])


def test_labels_that_are_tuples():
    y = np.empty(3, object)
    y[:] = [(2, "b"), (1, "a"), (2, "b")]
    classes, labels = _estimator.encode(y)
    assert classes.tolist() == [(1, "a"), (2, "b")] and labels.tolist() == [1, 0, 1]


def test_lists_are_labels():
    assert _estimator.encode(["b", "a"])[0].tolist() == ["a", "b"]
    assert _estimator.encode([2, 1])[0].tolist() == [1, 2]
    assert _estimator.encode((True, False))[0].dtype == bool


@pytest.mark.parametrize(
    "y, message",
    [
        (None, "requires y to be passed, but the target y is None"),
        ([], "y has no labels"),
        (5, r"not an array of shape \(\)"),
        ([[0, 1], [1, 0]], r"y must be labels \(n,\), one a row, not an array of shape \(2, 2\)"),
        ([0.5, 1.0], "Unknown label type: continuous"),
        ([np.inf, 1.0], "Unknown label type: continuous"),
        (np.array([0.5, 1], object), "Unknown label type: continuous"),
        ([np.nan, 1.0], "y contains NaN"),
        (["a", None], "y contains None or NaN"),
        (["a", np.nan], "y contains None or NaN"),
        (np.array([1, np.nan], object), "y contains None or NaN"),
        (np.array(["NaT"], "M8[D]"), "y contains None or NaN"),
        (["a", 1], "the labels of y have no order"),
        (np.array([[1], {}], object), "Unknown label type"),
        ([1j, 2j], "the labels of y have no order"),
    ],
)
def test_labels_that_are_none(y, message):
    with pytest.raises(ValueError, match=message):
        _estimator.encode(y)


def test_a_wrong_number_of_labels():
    with pytest.raises(ValueError, match="y has 3 labels, but X has 2 rows"):
        _estimator.encode([0, 1, 0], 2)
    with pytest.raises(ValueError, match="y has 3 labels, but X has 2 rows"):
        _estimator.lookup([0, 1, 0], np.array([0, 1]), 2)


def test_a_column_of_labels_is_taken_with_a_warning():
    with pytest.warns(UserWarning, match="column-vector y was passed"):
        classes, labels = _estimator.encode(np.array([["b"], ["a"]]))
    assert classes.tolist() == ["a", "b"] and labels.tolist() == [1, 0]


def test_unseen_labels_are_listed():
    classes = np.array(["a", "b"])
    with pytest.raises(ValueError, match=r"\['c', 'd'\] that are none of the classes 'a', 'b'"):
        _estimator.lookup(["d", "a", "c"], classes)
    with pytest.raises(ValueError, match=r"labels \[1\] that are none"):
        _estimator.lookup([1, 1], classes)
    assert _estimator.lookup([1.0, 0.0], np.array([0, 1])).tolist() == [1, 0]


# sample_weight


def test_weights(dtype):
    assert _estimator.weights(None, 3, dtype) is None
    w = _estimator.weights([1, 0, 2], 3, dtype)
    assert w.dtype == dtype and w.tolist() == [1, 0, 2]
    assert _estimator.weights(2, 3, dtype).tolist() == [2, 2, 2]
    strided = _estimator.weights(np.arange(6.0)[::2], 3, dtype)
    assert strided.flags.c_contiguous and strided.tolist() == [0, 2, 4]


@pytest.mark.parametrize(
    "w, message",
    [
        ([1.0, -1.0, 1.0], r"sample_weight\[1\] is -1.0"),
        ([1.0, np.nan, 1.0], r"sample_weight\[1\] is nan"),
        ([1.0, 1e400, 1.0], r"sample_weight\[1\] is inf"),
        ([1.0, 1.0], r"shape \(2,\), expected \(3,\)"),
        (np.ones((3, 1)), r"1D array or scalar: sample_weight has shape \(3, 1\)"),
        (["a", "b", "c"], "sample_weight must hold numbers"),
        ([0.0, 0.0, 0.0], "sample_weight is zero for every row"),
        (0, "sample_weight is zero for every row"),
        (-1, r"sample_weight\[0\] is -1.0"),
    ],
)
def test_weights_that_are_none(w, message):
    with pytest.raises(ValueError, match=message):
        _estimator.weights(w, 3, np.float64)


def test_weights_beyond_float32_are_infinite():
    with pytest.raises(ValueError, match=r"sample_weight\[0\] is inf"):
        _estimator.weights([1e300, 1.0], 2, np.float32)


# Scores


def test_accuracy():
    x = np.array([[1.0, 0, 0], [-1, 0, 0], [2, 0, 0]])
    assert fitted().score(x, [True, True, True]) == 2 / 3
    assert fitted().score(x, [True, True, True], sample_weight=[1, 4, 3]) == 0.5
    with pytest.raises(ValueError, match="y has 2 labels"):
        fitted().score(x, [True, True])


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("t", [1, 3])
def test_r2_is_that_of_scikit_learn(weighted, t, rng):
    metrics = pytest.importorskip("sklearn.metrics")
    p = rng.normal(size=(30, t))
    y = p + 0.3 * rng.normal(size=(30, t))
    w = rng.uniform(0.1, 2, 30) if weighted else None
    expected = metrics.r2_score(y, p, sample_weight=w)
    bound = 4 * 30 * np.finfo(float).eps
    assert abs(First().score(p, y if t > 1 else y[:, 0], w) - expected) <= bound


def test_r2_of_one_row():
    with pytest.warns(_estimator.UndefinedMetricWarning, match="not well-defined with less than"):
        assert np.isnan(First().score([[1.0]], [1.0]))
    exceptions = pytest.importorskip("sklearn.exceptions")
    with pytest.warns(exceptions.UndefinedMetricWarning):
        First().score([[1.0]], [1.0])


def test_r2_of_a_constant_target():
    x = np.array([[2.0], [2.0]])
    assert First().score(x, [2.0, 2.0]) == 1
    assert First().score(x, [1.0, 1.0]) == 0
    with pytest.raises(ValueError, match=r"y has shape \(3,\), expected \(2,\)"):
        First().score(x, [1.0, 2.0, 3.0])
