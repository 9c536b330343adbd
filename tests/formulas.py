"""The formulas in a wider type, independent of the package, with bounds on the error of a kernel.

A bound says how far a kernel may be from the value. A dot product of k terms plus a bias is within
(k + 2) eps of the sum of its absolute terms; an elementwise function is within ULP units in the
last place, and each adds what the error of its input contributes.
"""

import numpy as np

ULP = 4  # of any elementwise function, with a rounding before and one after it


def wide(a):
    """Return float32 as float64, anything else as long double."""
    a = np.asarray(a)
    return a.astype(np.float64 if a.dtype == np.float32 else np.longdouble)


def assert_within(value, expected_and_bound):
    """Assert that an array is within the bounds of its expected values, element by element."""
    expected, bound = expected_and_bound
    assert value.shape == expected.shape
    excess = np.abs(value - expected) - bound
    assert (excess <= 0).all(), f"{(~(excess <= 0)).sum()} of {value.size} beyond their bounds"


def sigmoid(z):
    """Logistic sigmoid, from the side that does not overflow."""
    e = np.exp(-np.abs(wide(z)))
    return np.where(z >= 0, 1, e) / (1 + e)


def softmax(z):
    """Softmax over the last axis."""
    z = wide(z)
    e = np.exp(z - z.max(axis=-1, keepdims=True, initial=-np.inf))
    return e / e.sum(axis=-1, keepdims=True)


ACTIVATION = {
    "identity": wide,
    "sigmoid": sigmoid,
    "tanh": lambda z: np.tanh(wide(z)),
    "relu": lambda z: np.maximum(wide(z), 0),
    "softmax": softmax,
}


def activation_bound(name, z, z_error, y, eps):
    """Bound the error of act(z) when z itself is within z_error."""
    tiny = np.finfo(np.float32 if eps > 1e-10 else np.float64).tiny
    if name in ("identity", "relu"):
        return z_error
    if name == "softmax":
        # d p_j = p_j (dz_j - sum p dz), so at most 2 p_j max|dz|; the sum adds c roundings, and the
        # rounding of z - max is an error of the exponent.
        reach = np.abs(z - z.max(axis=-1, keepdims=True, initial=-np.inf))
        shift = 2 * z_error.max(axis=-1, keepdims=True, initial=0)
        return y * np.expm1(shift + (z.shape[-1] + 2 * ULP + reach) * eps) + tiny
    # |sigmoid'| and |tanh'| are at most 1.
    return z_error + ULP * eps * np.abs(y) + tiny


def dense_forward(x, w, b=None, *, activation="identity"):
    """act(x w + b) and its bound."""
    eps = np.finfo(x.dtype).eps
    b = np.zeros(w.shape[1], x.dtype) if b is None else b
    z = wide(x) @ wide(w) + wide(b)
    magnitude = np.abs(wide(x)) @ np.abs(wide(w)) + np.abs(wide(b))
    y = ACTIVATION[activation](z)
    z_error = (x.shape[1] + 2) * eps * magnitude
    return y, activation_bound(activation, z, z_error, y, eps)


def delta(activation, y, dy):
    """dy * act'(y), and the sum of the absolute values of its terms."""
    y, dy = wide(y), wide(dy)
    if activation == "softmax":
        inner = (y * dy).sum(axis=-1, keepdims=True)
        size = np.abs(y) * (np.abs(dy) + np.abs(y * dy).sum(axis=-1, keepdims=True))
        return y * (dy - inner), size
    derivative = {"identity": 1, "sigmoid": y - y * y, "tanh": 1 - y * y, "relu": y > 0}[activation]
    size = {"identity": 1, "sigmoid": y + y * y, "tanh": 1 + y * y, "relu": y > 0}[activation]
    return dy * derivative, np.abs(dy) * size


def dense_backward(x, w, y, dy, *, activation="identity"):
    """(dx, dw, db) with their bounds: [(value, bound), ...]."""
    eps = np.finfo(x.dtype).eps
    (n, _), m = x.shape, w.shape[1]
    d, size = delta(activation, y, dy)
    x, w = wide(x), wide(w)
    own = m + 4 if activation == "softmax" else 4  # roundings inside delta
    return [
        (d @ w.T, (m + 2 + own) * eps * (size @ np.abs(w.T))),
        (x.T @ d, (n + 2 + own) * eps * (np.abs(x.T) @ size)),
        (d.sum(axis=0), (n + 2 + own) * eps * size.sum(axis=0)),
    ]


def softmax_cross_entropy(z, t):
    """Loss and gradient of each row, and the size of what is rounded in each of the two."""
    z = wide(z)
    top = z.max(axis=1, keepdims=True)
    log_sum = top + np.log(np.exp(z - top).sum(axis=1, keepdims=True))
    p, mass = softmax(z), t.sum(axis=1, keepdims=True)
    # The rounding of top - z is an error of an exponent.
    size = (z.shape[1] + 2 * ULP + top - z) * p * np.abs(mass) + np.abs(t)
    loss_size = (np.abs(t) * (np.abs(log_sum) + np.abs(z))).sum(axis=1)
    return (t * (log_sum - z)).sum(axis=1), loss_size, p * mass - t, size


def sigmoid_cross_entropy(z, t):
    """As softmax_cross_entropy, summed over the columns."""
    z, p = wide(z), sigmoid(z)
    logarithm = np.log1p(np.exp(-np.abs(z)))
    row_loss = (np.maximum(z, 0) - z * t + logarithm).sum(axis=1)
    loss_size = (np.abs(z) * (1 + np.abs(t)) + logarithm).sum(axis=1)
    return row_loss, loss_size, p - t, ULP * p + np.abs(p - t)


def squared_error(z, t):
    """As softmax_cross_entropy; the difference is rounded once."""
    r = wide(z) - t
    row_loss = (r * r).sum(axis=1) / 2
    return row_loss, row_loss, r, np.abs(r)


def poisson_loss(z, t):
    """As softmax_cross_entropy; the logarithm of the targets' factorial is left out."""
    mean = np.exp(wide(z))
    loss_size = (mean + np.abs(wide(z) * t)).sum(axis=1)
    return (mean - wide(z) * t).sum(axis=1), loss_size, mean - t, ULP * mean + np.abs(mean - t)


def huber_loss(z, t, delta=1):
    """As softmax_cross_entropy."""
    r = wide(z) - t
    near = np.minimum(np.abs(r), delta)
    row_loss = (near * (np.abs(r) - near / 2)).sum(axis=1)
    return row_loss, row_loss, np.sign(r) * near, near


def absolute_error(z, t):
    """As softmax_cross_entropy."""
    r = wide(z) - t
    return np.abs(r).sum(axis=1), np.abs(r).sum(axis=1), np.sign(r), np.abs(np.sign(r))


LOSS = {
    f.__name__: f
    for f in (
        softmax_cross_entropy,
        sigmoid_cross_entropy,
        squared_error,
        poisson_loss,
        huber_loss,
        absolute_error,
    )
}


def targets(name, y, c):
    """Targets (n, c) of labels or targets; for softmax, 0 in a single column is its one-hot row."""
    y = np.asarray(y)
    if y.ndim == 2:
        return wide(y)
    if c == 1 and name != "softmax_cross_entropy":
        return wide(y)[:, np.newaxis]
    return np.eye(c, dtype=np.longdouble)[y.astype(int)]


def mean_loss(name, z, y, sample_weight=None):
    """((loss, bound), (dz, bound)) of the weighted mean over the rows; y is labels or targets."""
    n, c = z.shape
    eps, eps64 = np.finfo(z.dtype).eps, np.finfo(np.float64).eps
    share = wide(np.ones(n) if sample_weight is None else sample_weight)
    share = share / share.sum()
    row_loss, loss_size, gradient, size = LOSS[name](z, targets(name, y, c))
    # A term of the loss may be computed in the dtype of z; the sums are in float64.
    loss_bound = (share * loss_size).sum() * ((c + 2 * ULP) * eps + (n + 2) * eps64)
    share = share[:, np.newaxis]
    # The sum of the weights, in float64, is itself within n roundings.
    gradient_bound = share * ((size + 3 * np.abs(gradient)) * eps + n * eps64 * np.abs(gradient))
    return (
        ((share[:, 0] * row_loss).sum(), loss_bound),
        (share * gradient, gradient_bound + np.finfo(z.dtype).tiny),
    )
