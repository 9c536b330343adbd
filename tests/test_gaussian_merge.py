"""Learning in pieces, merging and forgetting: the same model as from all rows at once."""

import copy
import pickle

import gaussian_oracle as oracle
import numpy as np
import pytest
from formulas import assert_within
from model_formulas import EPS64

from fastnn import GaussianClassifier

KINDS = ("full", "shared", "diag")
NAMES = np.array(["a", "b", "c", "d"])


@pytest.fixture(params=KINDS)
def kind(request):
    """Each covariance."""
    return request.param


def model_of(kind, x, y, **options):
    """A fitted model that keeps its covariance."""
    return GaussianClassifier(kind, store_covariance=True, **options).fit(x, y)


def assert_same(model, expected, x, steps=1):
    """Assert that two models agree to the rounding of their sums, of the rows x, in some steps.

    A sum of w |u_i u_j| over n rows in float64 is within ``n eps`` of itself, and each step adds a
    few roundings; the float32 kernels sum 256 rows at a time, within ``256 eps``. A mean that has
    moved by its rounding changes deviations by that much.
    """
    eps = np.finfo(x.dtype).eps
    relative = (256 + 8 * steps) * eps + len(x) * EPS64
    reach, size = np.ptp(x), np.abs(x).max()
    assert model.classes_.tolist() == expected.classes_.tolist()
    assert model.classes_.dtype == expected.classes_.dtype
    bounds = {
        "class_count_": len(x) ** 2 * EPS64,
        "priors_": len(x) * EPS64,
        "means_": relative * reach + steps * EPS64 * size,
        "covariance_": relative * reach**2 + steps * EPS64 * size * reach,
    }
    for name, bound in bounds.items():
        value = getattr(expected, name)
        assert_within(getattr(model, name), (value, np.full(value.shape, bound)))
    assert np.array_equal(model.predict(x), expected.predict(x))


@pytest.mark.parametrize("offset", [0.0, 300.0])
@pytest.mark.parametrize("pieces", [2, 3, 17])
def test_partial_fit_in_pieces(kind, dtype, pieces, offset, rng):
    x, y = oracle.blobs(rng, dtype, n=300, offset=offset)
    model = GaussianClassifier(kind, store_covariance=True)
    for rows in np.array_split(np.arange(300), pieces):
        assert model.partial_fit(x[rows], y[rows]) is model
    assert_same(model, model_of(kind, x, y), x, pieces)


def test_partial_fit_row_by_row(kind, rng):
    x, y = oracle.blobs(rng, n=60)
    model = GaussianClassifier(kind, store_covariance=True)
    for i in range(60):
        model.partial_fit(x[i : i + 1], y[i : i + 1])
        assert np.isfinite(model.score_samples(x)).all()
    assert_same(model, model_of(kind, x, y), x, 60)


def test_weights_in_pieces(kind, dtype, rng):
    x, y = oracle.blobs(rng, dtype)
    w = rng.uniform(0.5, 2, len(x)).astype(dtype)
    model = GaussianClassifier(kind, store_covariance=True)
    for rows in (slice(100), slice(100, 240)):
        model.partial_fit(x[rows], y[rows], sample_weight=w[rows])
    expected = GaussianClassifier(kind, store_covariance=True).fit(x, y, w)
    assert_same(model, expected, x, 2)


@pytest.mark.parametrize("grouping", ["left", "right", "tree", "shuffled"])
@pytest.mark.parametrize("offset", [0.0, 300.0])
def test_merging_in_any_grouping(kind, dtype, grouping, offset, rng):
    x, y = oracle.blobs(rng, dtype, n=320, offset=offset)
    parts = [model_of(kind, x[i::8], y[i::8]) for i in range(8)]
    if grouping == "tree":
        while len(parts) > 1:
            parts = [a.merge(b) for a, b in zip(parts[::2], parts[1::2])]
    if grouping == "right":
        parts.reverse()
    if grouping == "shuffled":
        rng.shuffle(parts)
    model = parts[0]
    for part in parts[1:]:
        assert model.merge(part) is model
    assert_same(model, model_of(kind, x, y), x, 8)


def test_merged_models_shrink_as_one(kind, rng):
    """Where rows are few in each part and on the whole, the intensity comes from all moments."""
    x, y = oracle.blobs(rng, n=24, d=9)
    x[:, 3] = 1
    expected = model_of(kind, x, y)
    model = model_of(kind, x[:8], y[:8]).merge(model_of(kind, x[8:], y[8:]))
    assert np.all(expected.shrinkage_ > 0)
    # Fourth powers of sums of 9 squares, of 24 rows
    bound = 4 * (24 + 81) * EPS64 * np.ones(np.shape(expected.shrinkage_))
    assert_within(np.asarray(model.shrinkage_), (np.asarray(expected.shrinkage_), bound))
    value = expected.covariance_
    bound = (256 + 8) * EPS64 * np.ptp(x) ** 2 * np.ones(value.shape)
    assert_within(model.covariance_, (value, bound))


def test_merging_leaves_the_other_as_it_was(kind, rng):
    x, y = oracle.blobs(rng)
    a, b = model_of(kind, x[:100], NAMES[y[:100]]), model_of(kind, x[100:] + 3, NAMES[1 + y[100:]])
    state, bits = dict(b.__dict__), pickle.dumps(b)
    a.merge(b)
    assert a.classes_.tolist() == ["a", "b", "c", "d"]
    assert all(b.__dict__[name] is value for name, value in state.items())
    assert pickle.dumps(b) == bits
    expected = a.predict_proba(x)
    b.partial_fit(x, NAMES[y])
    assert np.array_equal(a.predict_proba(x), expected)


def test_a_model_can_be_merged_with_itself(kind, rng):
    x, y = oracle.blobs(rng)
    model = model_of(kind, x, y)
    model.merge(model)
    assert_same(model, model_of(kind, np.vstack([x, x]), np.append(y, y)), x, 2)


def test_classes_of_merged_models_are_united(kind, rng):
    x, y = oracle.blobs(rng, c=4)
    labels = np.array([-5, 2, 7, 100], np.int16)[y]
    model = model_of(kind, x[y < 2], labels[y < 2])
    model.merge(model_of(kind, x[y >= 2], labels[y >= 2].astype(np.int64)))
    assert_same(model, model_of(kind, x, labels.astype(np.int64)), x, 2)
    words = model_of(kind, x, NAMES[y])
    with pytest.raises(ValueError, match="have no order"):
        model.merge(words)
    longer = model_of(kind, x, np.array(["aa", "bbb", "c", "d"])[y])
    assert words.merge(longer).classes_.tolist() == ["a", "aa", "b", "bbb", "c", "d"]


def test_models_that_do_not_match(kind, rng):
    x, y = oracle.blobs(rng)
    model = model_of(kind, x, y)
    state, expected = dict(model.__dict__), model.predict_proba(x)
    other = KINDS[(KINDS.index(kind) + 1) % 3]
    with pytest.raises(ValueError, match=f"covariance is {kind} here, {other} in other"):
        model.merge(model_of(other, x, y))
    with pytest.raises(ValueError, match="n_features is 3 here, 2 in other"):
        model.merge(model_of(kind, x[:, :2], y))
    with pytest.raises(ValueError, match="dtype is float64 here, float32 in other"):
        model.merge(model_of(kind, x.astype(np.float32), y))
    with pytest.raises(ValueError, match="not fitted"):
        model.merge(GaussianClassifier(kind))
    with pytest.raises(ValueError, match="not fitted"):
        GaussianClassifier(kind).merge(model)
    with pytest.raises(TypeError, match="other must be a GaussianClassifier, not ndarray"):
        model.merge(x)
    assert all(model.__dict__[name] is value for name, value in state.items())
    assert np.array_equal(model.predict_proba(x), expected)


def test_forgetting_is_never_having_seen(kind, dtype, rng):
    x, y = oracle.blobs(rng, dtype)
    w = rng.uniform(0.5, 2, len(x)).astype(dtype)
    gone = rng.random(len(x)) < 0.4
    model = GaussianClassifier(kind, store_covariance=True).fit(x, y, w)
    for rows in np.array_split(np.flatnonzero(gone), 3):
        assert model.forget(x[rows], y[rows], w[rows]) is model
    expected = GaussianClassifier(kind, store_covariance=True).fit(x[~gone], y[~gone], w[~gone])
    assert_same(model, expected, x, 5)


def test_what_is_merged_can_be_forgotten(kind, rng):
    x, y = oracle.blobs(rng)
    model = model_of(kind, x[:150], y[:150])
    expected = copy.copy(model)
    model.merge(model_of(kind, x[150:], y[150:])).forget(x[150:], y[150:])
    assert_same(model, expected, x, 4)


def test_a_far_class_can_be_added():
    x = np.array([[1.0], [2.0]])
    far = 1e160 + 1e147 * x  # the squares of these overflow, those of their deviations do not
    model = model_of("diag", x, ["a", "a"]).partial_fit(far, ["b", "b"])
    expected = model_of("diag", np.vstack([x, far]), ["a", "a", "b", "b"])
    assert np.array_equal(model.means_, expected.means_)
    assert np.array_equal(model.covariance_, expected.covariance_)


def test_what_cannot_be_forgotten(kind, rng):
    x, y = oracle.blobs(rng)
    model = model_of(kind, x, NAMES[y])
    state, expected = dict(model.__dict__), model.predict_proba(x)
    with pytest.raises(ValueError, match=r"labels \['d'\] that are none of the classes"):
        model.forget(x[:2], ["a", "d"])
    with pytest.raises(ValueError, match="class 'b' is left without weight"):
        model.forget(x[y == 1], NAMES[y[y == 1]])
    with pytest.raises(ValueError, match="class 'b' is left without weight"):
        model.forget(x[y == 1], NAMES[y[y == 1]], 1 - 1e-14)
    with pytest.raises(ValueError, match="class 'b' is left without weight"):
        model.forget(x, NAMES[np.ones_like(y)])
    with pytest.raises(ValueError, match="they are not its own"):
        model.forget(x[:6] * 100, NAMES[y[:6]])
    assert all(model.__dict__[name] is value for name, value in state.items())
    assert np.array_equal(model.predict_proba(x), expected)
    with pytest.raises(ValueError, match="not fitted"):
        GaussianClassifier(kind).forget(x, y)


def test_classes_without_rows_are_never_predicted(kind, dtype, rng):
    x, y = oracle.blobs(rng, dtype)
    model = GaussianClassifier(kind, store_covariance=True)
    model.partial_fit(x[y < 2], NAMES[y[y < 2]], classes=["d", "c", "b", "a"])
    assert model.classes_.tolist() == ["a", "b", "c", "d"]
    assert model.class_count_.tolist() == [80, 80, 0, 0] and model.priors_.tolist() == [
        0.5,
        0.5,
        0,
        0,
    ]
    proba, joint = model.predict_proba(x), model.joint_log_likelihood(x)
    assert (proba[:, 2:] == 0).all() and (joint[:, 2:] == -np.inf).all()
    assert np.isin(model.predict(x), ["a", "b"]).all() and np.isfinite(joint[:, :2]).all()
    two = model_of(kind, x[y < 2], NAMES[y[y < 2]])
    bound = 64 * np.finfo(dtype).eps * np.abs(joint[:, :2]).max() * np.ones((len(x), 2))
    assert_within(proba[:, :2], (two.predict_proba(x), bound))
    with pytest.raises(ValueError, match=r"labels \['e'\] that are none of the classes"):
        model.partial_fit(x[:1], ["e"])
    with pytest.raises(ValueError, match="are not those of before"):
        model.partial_fit(x[:1], ["a"], classes=["a", "b"])
    model.partial_fit(x[y == 2], NAMES[y[y == 2]], classes=NAMES)
    assert model.class_count_.tolist() == [80, 80, 80, 0] and (model.predict(x) == "c").any()


def test_classes_can_grow_unless_they_are_given(kind, rng):
    x, y = oracle.blobs(rng, c=4)
    model = GaussianClassifier(kind, store_covariance=True)
    for k in (2, 0, 3, 1):
        model.partial_fit(x[y == k], NAMES[y[y == k]])
    assert_same(model, model_of(kind, x, NAMES[y]), x, 4)
    grown = model_of(kind, x[y < 3], y[y < 3]).partial_fit(x[y == 3], y[y == 3])
    assert grown.classes_.tolist() == [0, 1, 2, 3]


def test_given_priors_count_only_where_there_are_rows(kind, rng):
    x, y = oracle.blobs(rng)
    model = GaussianClassifier(kind, priors=[0.5, 0.3, 0.2])
    model.partial_fit(x[y > 0], y[y > 0], classes=[0, 1, 2])
    assert_within(model.priors_, (np.array([0, 0.6, 0.4]), 4 * EPS64 * np.ones(3)))
    model.partial_fit(x[y == 0], y[y == 0])
    assert_within(model.priors_, (np.array([0.5, 0.3, 0.2]), 4 * EPS64 * np.ones(3)))
    only = GaussianClassifier(kind, priors=[1.0, 0.0])
    with pytest.raises(ValueError, match="every class that has rows has prior 0"):
        only.partial_fit(x, np.ones_like(y), classes=[0, 1])


def test_fit_starts_anew(kind, rng):
    x, y = oracle.blobs(rng, d=4)
    model = model_of(kind, x[:, :2], NAMES[y])
    assert_same(model.fit(x, y), model_of(kind, x, y), x)


def test_float32_and_float64_pieces(kind, rng):
    x, y = oracle.blobs(rng, "float32")
    model = GaussianClassifier(kind, store_covariance=True)
    model.partial_fit(x[:99], y[:99]).partial_fit(x[99:].astype(float), y[99:])
    assert_same(model, model_of(kind, x, y), x, 2)
    assert model.sample()[0].dtype == np.float32


def test_the_covariance_of_later_pieces(rng):
    """The statistics of "full" serve "shared" too, but not "diag"."""
    x, y = oracle.blobs(rng)
    model = model_of("full", x[:100], y[:100]).set_params(covariance="shared")
    assert_same(model.partial_fit(x[100:], y[100:]), model_of("shared", x, y), x, 2)
    expected = model.predict_proba(x)
    model.set_params(covariance="diag")
    assert np.array_equal(model.predict_proba(x), expected)
    for learn in (model.partial_fit, model.forget):
        with pytest.raises(ValueError, match="covariance='shared', which leaves no statistics"):
            learn(x[:5], y[:5])
    assert_same(model.fit(x, y), model_of("diag", x, y), x)
