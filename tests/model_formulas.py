"""The formulas of Gaussian and linear models in a wider type, with bounds on a kernel's error.

Each function returns (value, bound) pairs, as `formulas` does. A sum of k products is within
(k + 2) eps of its absolute terms; what is computed from inexact values adds their errors.
"""

import formulas
import numpy as np
from formulas import ULP, wide

EPS64 = np.finfo(np.float64).eps
NEAR = 16  # deviations: means that are all closer to their mean share it as the centre of x


def tiny(dtype):
    """Below this a result may be lost to underflow."""
    return np.finfo(dtype).tiny


# Rows


def _around_the_top(x):
    """Of each row: x - max, the sum of the other exponentials, and the error of log1p(sum)."""
    z, eps = wide(x), np.finfo(x.dtype).eps
    top = z.argmax(axis=-1)[..., np.newaxis]
    below = z - np.take_along_axis(z, top, axis=-1)
    e = np.exp(below)
    np.put_along_axis(e, top, 0, axis=-1)
    rest = e.sum(axis=-1, keepdims=True)
    # The rounding of x - max is an error of the exponent, until nothing is left of the exponential.
    reach = np.minimum((z.shape[-1] + 2 * ULP - below) * eps, 1)
    error = (e * np.expm1(reach)).sum(axis=-1, keepdims=True)
    return below, rest, error / (1 + rest) + ULP * eps * np.log1p(rest)


def log_softmax(x):
    """x - log sum exp x over the last axis."""
    eps = np.finfo(x.dtype).eps
    below, rest, error = _around_the_top(x)
    y = below - np.log1p(rest)
    return y, error + eps * (np.abs(below) + np.abs(y)) + tiny(x.dtype)


def logsumexp(x):
    """log sum exp x of each row."""
    _, rest, error = _around_the_top(x)
    y = wide(x).max(axis=1) + np.log1p(rest)[:, 0]
    return y, error[:, 0] + np.finfo(x.dtype).eps * np.abs(y) + tiny(x.dtype)


# Gaussians


def forward_substitution(l, b):
    """Solve l z = b for l (..., d, d), lower, and b (..., d, t)."""
    z = np.zeros(np.broadcast_shapes(l.shape[:-1], b.shape[:-1]) + b.shape[-1:], l.dtype)
    for j in range(l.shape[-1]):
        known = (l[..., j, :j, np.newaxis] * z[..., :j, :]).sum(axis=-2)
        z[..., j, :] = (b[..., j, :] - known) / l[..., j, j, np.newaxis]
    return z


def inverse(l):
    """The inverse of lower triangles (..., d, d)."""
    return forward_substitution(l, np.eye(l.shape[-1], dtype=l.dtype))


def _density(z, z_error, scales, eps):
    """-|z|^2 / 2 - sum log scales - d/2 log 2 pi, for z (n, d) within z_error."""
    d = z.shape[-1]
    squares = (z * z).sum(axis=-1)
    logs = np.log(scales)
    constant = logs.sum(axis=-1) + d * np.log(2 * np.pi * np.ones((), z.dtype)) / 2
    bound = (np.abs(z) * z_error + z_error**2 / 2).sum(axis=-1)
    bound = bound + eps * ((d + 2) * squares / 2 + 3 * np.abs(constant))
    bound = bound + (d + ULP) * EPS64 * (np.abs(logs).sum(axis=-1) + d)
    return -squares / 2 - constant, bound


def _one_gaussian(x, mean, centre, l, w, eps):
    """Log densities of rows under one Gaussian, computed as w (x - centre) - w (mean - centre)."""
    d = x.shape[1]
    size = np.abs(x - centre) + np.abs(mean - centre)
    # w is rounded, and is computed by substitution in float64.
    weight = (d + 6) * eps * np.abs(w) + d * EPS64 * np.abs(w) @ np.abs(l) @ np.abs(w)
    return _density((x - mean) @ w.T, size @ weight.T, np.diagonal(l), eps)


def _centre_of(means, factors, whiten):
    """The centre of each Gaussian: the mean of the means if all are near it, else its own."""
    middle = means.mean(axis=0)
    far = max(np.abs(w @ (mean - middle)).max() for w, mean in zip(whiten, means, strict=True))
    return np.broadcast_to(middle, means.shape) if far <= NEAR else means


def _each_row_its_own(x, means, l, eps):
    """Paired Gaussians, by substitution or by the inverse."""
    w, d = np.abs(inverse(l)), x.shape[1]
    r = (x - means)[..., np.newaxis]
    z = forward_substitution(l, r)
    size = w @ np.abs(r) + w @ (np.abs(l) @ np.abs(z))
    size = (d + 6) * eps * size + d * EPS64 * (w @ (np.abs(l) @ (w @ np.abs(r))))
    scales = np.diagonal(l, axis1=-2, axis2=-1)
    return _density(z[..., 0], size[..., 0], scales, eps)


def gaussian_logpdf(x, means, factors, *, covariance="full", paired=False):
    """log N(x; means, factors), (n, c) or, paired, (n,)."""
    eps, kind = np.finfo(x.dtype).eps, x.dtype
    x, means, factors = wide(x), wide(means), wide(factors)
    if covariance == "diag":
        z = ((x if paired else x[:, np.newaxis]) - means) / factors
        value, bound = _density(z, 3 * eps * np.abs(z), factors, eps)
        return value, bound + tiny(kind)
    factors = np.tril(factors)
    if paired:
        value, bound = _each_row_its_own(x, means, factors, eps)
        return value, bound + tiny(kind)
    factors = np.broadcast_to(factors, (len(means), *factors.shape[-2:]))
    whiten = [inverse(l) for l in (factors if covariance == "full" else factors[:1])]
    whiten = whiten if covariance == "full" else whiten * len(means)
    rows = zip(means, _centre_of(means, factors, whiten), factors, whiten, strict=True)
    values, bounds = zip(*(_one_gaussian(x, *row, eps) for row in rows), strict=True)
    return np.stack(values, axis=1), np.stack(bounds, axis=1) + tiny(kind)


def posterior(joint, error, eps):
    """{what: (value, bound)} of log densities with priors (n, c) that are within `error`."""
    top = joint.max(axis=1, keepdims=True)
    log_density = top + np.log(np.exp(joint - top).sum(axis=1, keepdims=True))
    log_proba, worst = joint - log_density, error.max(axis=1, keepdims=True)
    # The rounding of joint - top is an error of the exponent.
    reach = (top - joint + joint.shape[1] + 2 * ULP) * eps
    rounding = (np.exp(log_proba) * reach).sum(axis=1, keepdims=True) + ULP * eps
    log_bound = 2 * worst + 2 * rounding + reach
    size = eps * np.abs(log_density)
    return {
        "joint": (joint, error),
        "log_proba": (log_proba, log_bound),
        "proba": (np.exp(log_proba), np.exp(log_proba) * np.expm1(log_bound) + 2.0**-126),
        "log_density": (log_density[:, 0], (worst + rounding + size)[:, 0]),
    }


# Moments

CHUNK = 256  # rows of a class that are summed at a time, about their own mean


def _class_moments(x, w, eps):
    """(weight, mean, scatter) with bounds, of the rows of a class with a positive weight.

    The sums of a chunk are of the dtype of x, about its mean as that comes out; then float64.
    """
    n, d = x.shape
    total = w.sum()
    mean = w @ x / total
    scatter, within, between = (np.zeros((d, d), x.dtype) for _ in range(3))
    merged, chunks, centre_error = 0, [], 0
    for i in range(0, n, CHUNK):
        x_b, w_b = x[i : i + CHUNK], w[i : i + CHUNK]
        weight = w_b.sum()
        if weight == 0:
            continue
        mean_b = w_b @ x_b / weight
        off = (n + 4) * eps * (w_b @ np.abs(x_b)) / weight  # of the centre from the mean
        u = np.abs(x_b - mean_b) + off
        first = (n + 4) * eps * (w_b @ u)
        scatter += (w_b[:, np.newaxis] * (x_b - mean)).T @ (x_b - mean)
        within += (n + 8) * eps * (w_b[:, np.newaxis] * u).T @ u
        moved = np.outer(weight * off, first)
        within += (moved + moved.T + np.outer(first, first)) / weight
        centre_error = centre_error + first
        merged += 1
        chunks.append((weight, np.abs(mean_b - mean), first / weight))
    mean_error = centre_error / total + (merged + 4) * EPS64 * (w @ np.abs(x)) / total
    for weight, delta, error in chunks:
        cross = np.outer(delta, error + mean_error)
        between += weight * (cross + cross.T + np.outer(error + mean_error, error + mean_error))
        between += (merged + 8) * EPS64 * weight * np.outer(delta, delta)
    between += (merged + 8) * EPS64 * (w[:, np.newaxis] * np.abs(x - mean)).T @ np.abs(x - mean)
    return (total, n * EPS64 * total), (mean, mean_error), (scatter, within + between)


def gaussian_moments(x, labels, n_classes, *, sample_weight=None, covariance="full"):
    """[(weights, bound), (means, bound), (scatter, bound)]."""
    n, d = x.shape
    eps = np.finfo(x.dtype).eps
    w = wide(np.ones(n, x.dtype) if sample_weight is None else sample_weight)
    x = wide(x)
    shapes = (n_classes,), (n_classes, d), (n_classes, d, d)
    results = [(np.zeros(s, x.dtype), np.zeros(s, x.dtype)) for s in shapes]
    for k in range(n_classes):
        rows = labels == k
        if w[rows].sum() == 0:
            continue
        for (value, bound), exact in zip(results, _class_moments(x[rows], w[rows], eps)):
            value[k], bound[k] = exact
    weights, means, scatter = results
    if covariance == "diag":
        scatter = tuple(np.diagonal(a, axis1=1, axis2=2) for a in scatter)
    elif covariance == "shared":
        total, bound = (a.sum(axis=0) for a in scatter)
        scatter = total, bound + n_classes * EPS64 * np.abs(scatter[0]).sum(axis=0)
    return weights, means, scatter


# Linear models


def _logits(x, w, b):
    """z = x w + b and its bound."""
    b = np.zeros(w.shape[1], x.dtype) if b is None else b
    eps = np.finfo(x.dtype).eps
    size = np.abs(wide(x)) @ np.abs(wide(w)) + np.abs(wide(b))
    return wide(x) @ wide(w) + wide(b), (x.shape[1] + 2) * eps * size


def _delta(loss, z, z_error, t, eps):
    """dz, its error, and the probabilities with theirs, where the loss has any."""
    if loss == "squared_error":
        return z - t, z_error + eps * np.abs(z - t), None, None
    mass = np.ones((len(z), 1))
    if loss == "softmax_cross_entropy":
        p, mass = formulas.softmax(z), t.sum(axis=1, keepdims=True)
        reach = z.max(axis=1, keepdims=True) - z + z.shape[1] + 2 * ULP
        p_error = p * np.expm1(2 * z_error.max(axis=1, keepdims=True) + reach * eps)
    else:
        p = formulas.sigmoid(z)
        p_error = p * (1 - p) * np.expm1(z_error) + ULP * eps * p
    dz = mass * p - t
    return dz, np.abs(mass) * (p_error + eps * p) + eps * (np.abs(dz) + np.abs(t)), p, p_error


def _curvatures(loss, z, t, p, p_error, eps):
    """{(a, b): (second derivative by z_a and z_b, its error)} of the blocks that are not 0."""
    c = z.shape[1]
    if loss == "squared_error":
        return {(0, 0): (np.ones(len(z), z.dtype), np.zeros(len(z)))}
    softmax = loss == "softmax_cross_entropy"
    mass = t.sum(axis=1) if softmax else 1
    blocks = {}
    for a in range(c):
        rest = np.delete(p, a, axis=1).sum(axis=1) if softmax else formulas.sigmoid(-z[:, a])
        error = p_error[:, a] + 3 * eps * p[:, a]  # 1 - p_a may be rounded beside 1
        blocks[a, a] = mass * p[:, a] * rest, np.abs(mass) * error
        for b in range(c) if softmax else ():
            if b != a:
                error = (
                    p_error[:, a] * p[:, b] + p[:, a] * p_error[:, b] + 3 * eps * p[:, a] * p[:, b]
                )
                blocks[a, b] = -mass * p[:, a] * p[:, b], np.abs(mass) * error
    return blocks


def _hessian(loss, x, blocks, share, alpha, d, eps):
    """The Hessian and its bound, for x with a column of ones if there is an intercept."""
    n, width = x.shape
    c = 1 + max(a for a, _ in blocks)
    penalty = np.diag(np.where(np.arange(width) < d, alpha, 0.0)).astype(x.dtype)
    value, bound = np.zeros((2, c, c, width, width), x.dtype)
    for (a, b), (h, error) in blocks.items():
        size = share * (error + (n + 8) * eps * np.abs(h))
        value[a, b] = (x * (share * h)[:, np.newaxis]).T @ x + (a == b) * penalty
        bound[a, b] = (np.abs(x) * size[:, np.newaxis]).T @ np.abs(x)
        bound[a, b] += 2 * eps * np.abs(value[a, b]) + tiny(np.float32)
    if loss == "softmax_cross_entropy":
        return [m.swapaxes(1, 2).reshape(c * width, c * width) for m in (value, bound)]
    if loss == "squared_error":
        return value[0, 0], bound[0, 0]
    i = np.arange(c)
    return value[i, i], bound[i, i]


def linear_loss(x, y, w, b=None, *, loss, alpha=0.0, sample_weight=None):
    """[(loss, bound), (dw, bound), (db, bound), (Hessian, bound)]; db is None without b."""
    (n, d), c = x.shape, w.shape[1]
    kind, eps = x.dtype, np.finfo(x.dtype).eps
    z, z_error = _logits(x, w, b)
    t = formulas.targets(loss, y, c).astype(z.dtype)
    share = wide(np.ones(n, kind) if sample_weight is None else sample_weight)
    share = share / share.sum()
    dz, dz_error, p, p_error = _delta(loss, z, z_error, t, eps)

    row_loss, size, _, _ = formulas.LOSS[loss](z, t)
    # Moving z by at most e changes a loss by |dz| e and, its curvature being at most that of the
    # squares but for the mass of the targets, half of mass e^2.
    mass = np.maximum(1, np.abs(t.sum(axis=1)))
    most = z_error.max(axis=1)
    moved = (np.abs(dz) * z_error).sum(axis=1) + c * mass * most**2
    squares = (wide(w) ** 2).sum() * alpha / 2
    value = (share * row_loss).sum() + squares
    bound = (share * (size * (c + 2 * ULP) * eps + moved)).sum()
    bound = bound + (n + d * c + 4) * EPS64 * ((share * size).sum() + squares)

    design = wide(x) if b is None else np.hstack([wide(x), np.ones((n, 1), z.dtype)])
    g_error = share[:, np.newaxis] * (dz_error + (n + 8) * eps * np.abs(dz))
    penalty = np.vstack([alpha * wide(w)] + [np.zeros((1, c))] * (b is not None))
    gradient = design.T @ (share[:, np.newaxis] * dz) + penalty
    g_bound = np.abs(design).T @ g_error + 2 * eps * np.abs(penalty)
    g_bound += eps * np.abs(gradient) + tiny(kind)
    blocks = _curvatures(loss, z, t, p, p_error, eps)
    return (
        (value, bound),
        (gradient[:d], g_bound[:d]),
        None if b is None else (gradient[d], g_bound[d]),
        _hessian(loss, design, blocks, share, alpha, d, eps),
    )
