"""Gaussian classifiers written as the formula, in long double, with bounds on a model's error.

A model whose sums have relative errors e has covariances within e, elementwise, of
``sqrt(Sigma_ii Sigma_jj)``; that moves ``u^T Sigma^-1 u`` by at most ``d e kappa`` of itself, and
the logarithm of the determinant by ``d e kappa``, kappa the condition number of the correlations.
"""

import numpy as np
from model_formulas import CHUNK, EPS64, forward_substitution

LONG = np.longdouble


def moments(x, y, classes, w=None):
    """(weights (c,), means (c, d), covariances (c, d, d)) of the rows; NaN-free."""
    x = x.astype(LONG)
    w = (np.ones(len(x)) if w is None else np.asarray(w)).astype(LONG)
    results = []
    for k in classes:
        rows = y == k
        weight = w[rows].sum()
        mean = w[rows] @ x[rows] / weight
        u = x[rows] - mean
        results.append((weight, mean, (w[rows][:, np.newaxis] * u).T @ u / weight))
    return tuple(np.stack(a) for a in zip(*results, strict=True))


def covariances(kind, weights, plain):
    """(c, d, d) of what a kind of covariance makes of the plain ones."""
    if kind == "diag":
        return plain * np.eye(plain.shape[-1])
    if kind == "shared":
        pooled = (weights[:, np.newaxis, np.newaxis] * plain).sum(axis=0) / weights.sum()
        return np.broadcast_to(pooled, plain.shape)
    return plain


def cholesky(a):
    """Lower factor of (d, d), in the type of a."""
    l = np.zeros_like(a)
    for j in range(len(a)):
        column = a[j:, j] - l[j:, :j] @ l[j, :j]
        l[j:, j] = column / np.sqrt(column[0])
    return l


def correlation_condition(covariance):
    """Condition number of the correlations."""
    deviation = np.sqrt(np.diagonal(covariance))
    return float(np.linalg.cond((covariance / np.outer(deviation, deviation)).astype(float)))


def log_densities(x, means, covs, n, eps):
    """(log N(x | k) (n, c), bound) for models fitted to n rows in the precision eps."""
    x, d = x.astype(LONG), x.shape[1]
    squares, constants = [], []
    for mean, cov in zip(means, covs, strict=True):
        l = cholesky(cov.astype(LONG))
        z = forward_substitution(l, (x - mean).T)
        squares.append((z * z).sum(axis=0))
        constants.append(np.log(np.diagonal(l)).sum() + d * np.log(2 * LONG(np.pi)) / 2)
    squares, constants = np.stack(squares, axis=1), np.stack(constants)
    value = -squares / 2 - constants
    kappa = max(correlation_condition(cov) for cov in covs)
    relative = (min(n, CHUNK) + 4 * d + 16) * eps * d * kappa
    reach = squares.max(axis=1, keepdims=True)  # a kernel may take deviations from another centre
    # A mean is rounded to float64, also where it is large beside the deviation.
    deviation = np.sqrt(min(np.diagonal(cov).min() for cov in covs))
    shift = EPS64 * np.abs(means).max() / deviation * d * kappa
    bound = relative * (reach + d) + shift * np.sqrt(reach) + shift**2 + eps * np.abs(value)
    return value, bound + eps * np.abs(constants)


def log_joint(x, means, covs, priors, n, eps):
    """(log N(x | k) + log P(k), bound)."""
    value, bound = log_densities(x, means, covs, n, eps)
    logs = np.log(np.asarray(priors, LONG))
    return value + logs, bound + (n + 4) * EPS64 + 2 * eps * (np.abs(value) + np.abs(logs))


def blobs(rng, dtype="float64", n=240, d=3, c=3, offset=0.0):
    """Rows of c classes about as far from each other as they are wide, of mixed shapes, labels."""
    labels = np.arange(n) % c
    shapes = np.eye(d) + rng.uniform(-0.4, 0.4, (c, d, d)) / np.sqrt(d)
    centres = offset + rng.normal(size=(c, d))
    x = centres[labels] + (rng.normal(size=(n, 1, d)) @ shapes[labels])[:, 0]
    return x.astype(dtype), labels
