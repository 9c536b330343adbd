"""Sparse rows: what is taken from SciPy and what is refused."""

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import fastnn
from fastnn._sparse import Csr, from_scipy, is_sparse

sparse = pytest.importorskip("scipy.sparse")

FORMATS = ("csr", "csc", "coo", "lil", "dok", "bsr", "dia")
DENSE = np.array([[0.0, 1.5, 0.0, -2.0], [0.0, 0.0, 0.0, 0.0], [3.0, 0.0, 4.0, 0.0]])


def raw(data, indices, indptr, shape):
    """A csr_matrix that SciPy has not checked."""
    x = sparse.csr_matrix(shape)
    x.data, x.indices, x.indptr = np.asarray(data), np.asarray(indices), np.asarray(indptr)
    return x


def random_rows(rng, n=9, d=7, density=0.3, dtype=np.float64):
    """A Csr, and the same as an array."""
    dense = rng.normal(size=(n, d)) * (rng.random((n, d)) < density)
    dense = dense.astype(dtype)
    return from_scipy(sparse.csr_array(dense)), dense


@pytest.mark.parametrize("container", ["matrix", "array"])
@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_the_same(name, container, dtype):
    x = getattr(sparse, f"{name}_{container}")(DENSE.astype(dtype))
    assert is_sparse(x)
    rows = from_scipy(x)
    assert rows.dtype == dtype and rows.shape == (3, 4) and len(rows) == 3
    assert rows.indptr.dtype == np.int64 and rows.indices.dtype in (np.int32, np.int64)
    np.testing.assert_array_equal(rows.toarray(), DENSE)


def test_what_is_not_sparse():
    assert not is_sparse(DENSE) and not is_sparse(DENSE.tolist())
    assert is_sparse(from_scipy(sparse.csr_array(DENSE)))


@pytest.mark.parametrize(
    "given, expected",
    [
        ("f4", "f4"), ("f8", "f8"), (">f4", "f4"), ("i1", "f8"), ("u8", "f8"), ("?", "f8"),
        ("g", "f8"),
    ],
)  # fmt: skip
def test_dtypes(given, expected):
    x = raw(np.array([1, 1], given), [0, 1], [0, 2], (1, 2))
    rows = from_scipy(x)
    assert rows.dtype == np.dtype(expected) and rows.dtype.isnative
    np.testing.assert_array_equal(rows.toarray(), [[1.0, 1.0]])


@pytest.mark.parametrize("width", [np.int32, np.int64])
def test_indices_keep_their_width_and_become_the_rows_own(width):
    x = raw([1.0, 2.0], np.array([0, 2], width), np.array([0, 1, 2], width), (2, 3))
    rows = from_scipy(x)
    assert rows.indices.dtype == width
    assert not np.shares_memory(rows.indices, x.indices)
    x.indices[0] = 2**30  # whatever the caller does, the rows stay valid
    np.testing.assert_array_equal(rows.toarray(), [[1.0, 0.0, 0.0], [0.0, 0.0, 2.0]])
    with pytest.raises(ValueError, match="read-only"):
        rows.indices[0] = 5


def test_duplicates_are_added_and_columns_sorted_in_a_copy():
    data, indices = np.array([1.0, 2.0, 4.0, 8.0, 16.0]), np.array([2, 0, 2, 1, 1])
    x = raw(data, indices, [0, 3, 3, 5], (3, 3))
    rows = from_scipy(x)
    np.testing.assert_array_equal(rows.toarray(), [[2.0, 0, 5], [0, 0, 0], [0, 24, 0]])
    np.testing.assert_array_equal(rows.indices, [0, 2, 1])
    np.testing.assert_array_equal(x.data, [1.0, 2.0, 4.0, 8.0, 16.0])
    np.testing.assert_array_equal(x.indices, [2, 0, 2, 1, 1])


def test_duplicates_of_small_integers_do_not_overflow():
    x = raw(np.array([100, 100], np.int8), [0, 0], [0, 2], (1, 1))
    assert from_scipy(x).toarray() == 200.0


def test_duplicates_of_a_coo_matrix():
    x = sparse.coo_array(([1.0, 2.0, 3.0], ([0, 0, 1], [1, 1, 0])), shape=(2, 2))
    np.testing.assert_array_equal(from_scipy(x).toarray(), [[0.0, 3.0], [3.0, 0.0]])


def test_zeros_that_are_stored_stay():
    x = raw([0.0, -0.0], [0, 1], [0, 2], (1, 3))
    rows = from_scipy(x)
    assert rows.nnz == 2
    np.testing.assert_array_equal(np.signbit(rows.data), [False, True])


@pytest.mark.parametrize("shape", [(0, 4), (3, 0), (0, 0), (3, 4)])
def test_nothing_stored(shape):
    rows = from_scipy(sparse.csr_array(shape))
    assert rows.nnz == 0 and rows.shape == shape and rows.all_finite()
    np.testing.assert_array_equal(rows.toarray(), np.zeros(shape))
    assert rows.transpose().shape == shape[::-1]


def test_longer_arrays_than_needed_are_cut():
    rows = from_scipy(raw([1.0, 9.0], [0, 99], [0, 1], (1, 2)))
    np.testing.assert_array_equal(rows.toarray(), [[1.0, 0.0]])


@pytest.mark.parametrize(
    "data, indices, indptr, message",
    [
        ([1.0], [3], [0, 1, 1], r"column 3 is not in \[0, 3\)"),
        ([1.0], [-1], [0, 1, 1], r"column -1 is not in \[0, 3\)"),
        ([1.0], [2**40], [0, 1, 1], "is not in"),
        ([1.0], [0], [0, 2, 2], "end at most at 1"),
        ([1.0, 2.0], [0, 1], [0, 2, 1], "must not decrease"),
        ([1.0], [0], [1, 1, 1], "start"),
        ([1.0], [0], [0, 1], "does not start 2 rows"),
        ([1.0], [0.0], [0, 1, 1], "indices must be integers"),
        ([1.0], [[0]], [0, 1, 1], "one dimension"),
        ([], [0], [0, 1, 1], "0 values for 1 places"),
    ],
)
def test_bad_places_are_refused(data, indices, indptr, message):
    x = raw(np.array(data), np.array(indices), np.array(indptr), (2, 3))
    with pytest.raises(ValueError, match=message):
        from_scipy(x)


def test_complex_and_text_are_refused():
    with pytest.raises(ValueError, match="Complex data not supported: X is complex128"):
        from_scipy(sparse.csr_array(DENSE * 1j))
    with pytest.raises(ValueError, match="must hold numbers, not <U1"):
        from_scipy(raw(np.array(["a"]), [0], [0, 1], (1, 1)))
    with pytest.raises(ValueError, match="not a number"):
        from_scipy(raw(np.array(["a"], object), [0], [0, 1], (1, 1)))


def test_one_dimension_is_refused():
    with pytest.raises(ValueError, match="X must have 2 dimensions, not 1"):
        from_scipy(sparse.coo_array(np.array([0.0, 1.0])))


def test_the_constructor_checks():
    one, i = np.ones(2), np.array([0, 1])
    assert Csr(one, i, np.array([0, 2]), (1, 2)).nnz == 2
    with pytest.raises(ValueError, match="must increase"):
        Csr(one, i[::-1], np.array([0, 2]), (1, 2))
    with pytest.raises(ValueError, match="must increase"):
        Csr(one, i * 0, np.array([0, 2]), (1, 2))
    with pytest.raises(ValueError, match="not int64"):
        Csr(i, i, np.array([0, 2]), (1, 2))
    with pytest.raises(ValueError, match="data has shape"):
        Csr(one[:1], i, np.array([0, 2]), (1, 2))


def test_rows_with_numbers_that_are_not_finite():
    for value in (np.nan, np.inf, -np.inf):
        x = from_scipy(raw([1.0, value], [1, 2], [0, 1, 1, 2], (3, 3)))
        assert not x.all_finite()
        assert x.where(1) == (2, 2) and x.where(0) == (0, 1)


def test_parts_of_rows(rng, dtype):
    x, dense = random_rows(rng, dtype=dtype)
    for part in (slice(2, 5), slice(None), slice(4, 4), slice(7, 100), slice(5, 2), slice(0, 9, 4),
                 slice(None, None, -1)):  # fmt: skip
        np.testing.assert_array_equal(x[part].toarray(), dense[part])
    assert np.shares_memory(x[2:5].data, x.data)
    for rows in ([3, 3, 0], [], np.arange(9)[::-1]):
        rows = np.array(rows, np.int64)
        np.testing.assert_array_equal(x.take(rows).toarray(), dense[rows])
    with pytest.raises(IndexError):
        x.take(np.array([9]))


def test_other_forms(rng, dtype):
    x, dense = random_rows(rng, dtype=dtype)
    np.testing.assert_array_equal(x.transpose().toarray(), dense.T)
    t = x.transpose()
    Csr(t.data, t.indices, t.indptr, t.shape)  # valid
    other = np.float32 if dtype == np.float64 else np.float64
    assert x.astype(dtype) is x and x.astype(other).dtype == other
    factors = rng.normal(size=9)
    expected = dense * factors.astype(dtype)[:, np.newaxis]
    np.testing.assert_array_equal(x.times(factors).toarray(), expected)
    for twin in (pickle.loads(pickle.dumps(x)), copy.deepcopy(x)):
        np.testing.assert_array_equal(twin.toarray(), dense)
    assert repr(x) == f"Csr(9 x 7 {dtype}, {x.nnz} stored)"


@given(
    hnp.arrays(np.int64, st.tuples(st.integers(1, 30), st.just(2)), elements=st.integers(0, 5)),
    st.data(),
)
def test_any_list_of_places_adds_up(places, draw):
    values = draw.draw(hnp.arrays(np.float64, len(places), elements=st.integers(-9, 9)))
    expected = np.zeros((6, 6))
    np.add.at(expected, tuple(places.T), values)  # small whole numbers: exact in any order
    order = np.argsort(places[:, 0], kind="stable")
    indptr = np.searchsorted(places[order, 0], np.arange(7))
    x = raw(values[order], places[order, 1], indptr, (6, 6))
    np.testing.assert_array_equal(from_scipy(x).toarray(), expected)


def test_scipy_is_not_imported():
    code = "import sys, fastnn, fastnn._sparse; assert 'scipy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


# Products

backend = fastnn.runtime.backend_module


@pytest.mark.parametrize("width", [np.int32, np.int64])
def test_the_product_is_the_dense_one(isa, dtype, width, rng):
    for n, d, m in [(0, 5, 3), (1, 1, 1), (9, 7, 1), (40, 300, 2), (33, 64, 10), (300, 500, 100)]:
        x, dense = random_rows(rng, n, d, 0.1, dtype)
        x = Csr(x.data, x.indices.astype(width), x.indptr, x.shape)
        w, b = rng.normal(size=(d, m)).astype(dtype), rng.normal(size=m).astype(dtype)
        y = backend.sparse_forward(x, w, b)
        assert y.dtype == dtype and y.shape == (n, m)
        if isa != "numpy":  # the same chains: equal, but for the sign of a zero
            np.testing.assert_array_equal(y, fastnn.dense_forward(dense, w, b))
        exact = dense.astype(np.longdouble) @ w + b
        size = np.abs(dense).astype(np.longdouble) @ np.abs(w) + np.abs(b)
        assert (np.abs(y - exact) <= (d + 2) * np.finfo(dtype).eps * size).all()
        for strided in (np.asfortranarray(w), w[::-1][::-1], np.repeat(w, 2, axis=1)[:, ::2]):
            np.testing.assert_array_equal(backend.sparse_forward(x, strided, b), y)
        np.testing.assert_array_equal(
            backend.sparse_forward(x, w), backend.sparse_forward(x, w, 0 * b)
        )


def test_the_product_does_not_depend_on_threads_or_the_batch(isa, dtype, rng):
    x, _ = random_rows(rng, 3000, 400, 0.05, dtype)
    w = rng.normal(size=(400, 20)).astype(dtype)
    with fastnn.runtime.threads_of_call(1):
        whole = backend.sparse_forward(x, w)
    for threads in (2, 3):
        with fastnn.runtime.threads_of_call(threads):
            np.testing.assert_array_equal(backend.sparse_forward(x, w), whole)
    for rows in (slice(0, 1), slice(7, 12), slice(100, 2000)):
        np.testing.assert_array_equal(backend.sparse_forward(x[rows], w), whole[rows])


def test_one_type_for_a_product(rng):
    x, _ = random_rows(rng)
    with pytest.raises(TypeError, match="float64 and w float32"):
        if fastnn.backend() == "numpy":
            pytest.skip("NumPy casts")
        backend.sparse_forward(x, np.ones((7, 2), np.float32))


def test_nan_and_infinity_reach_only_their_rows(isa, dtype):
    x = from_scipy(raw(np.array([np.nan, np.inf, 1.0], dtype), [0, 0, 1], [0, 1, 2, 3], (3, 2)))
    y = backend.sparse_forward(x, np.ones((2, 3), dtype))
    assert np.isnan(y[0]).all() and np.isposinf(y[1]).all() and (y[2] == 1).all()
