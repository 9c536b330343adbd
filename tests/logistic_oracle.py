"""Logistic regression written as the formula, in long double and independent of the package.

Parameters are theta (columns, d + 1), the intercept last: one column for two classes, one for each
of more. A solution is judged by its own gradient: the objective is strongly convex, so the minimum
is no farther away than |gradient| over the least curvature.
"""

import numpy as np

LD = np.longdouble


def data(n, d, c, rng, scale=1.0):
    """x (n, d) float64 with correlated features, and labels (n,) drawn from a logistic model."""
    x = rng.normal(size=(n, d)) @ (np.eye(d) + rng.normal(size=(d, d)) / (2 * np.sqrt(d)))
    z = x @ rng.normal(size=(d, c)) * scale / np.sqrt(d) + rng.normal(size=c) / 2
    labels = (z + rng.gumbel(size=(n, c))).argmax(axis=1)
    assert np.bincount(labels, minlength=c).min() > 0
    return x, labels


def one_hot(labels, c):
    """Targets (n, c), or (n, 1) for two classes."""
    return labels[:, np.newaxis].astype(LD) if c == 2 else np.eye(c, dtype=LD)[labels]


class Objective:
    """sum w loss / sum w + |W|^2 / (2 C sum w), with its derivatives."""

    def __init__(self, x, labels, c, C=1.0, w=None, fit_intercept=True):
        self.x = np.column_stack([x, np.full(len(x), float(fit_intercept))]).astype(LD)
        self.y = one_hot(labels, c)
        self.w = np.ones(len(x), LD) if w is None else np.asarray(w).astype(LD)
        self.total = self.w.sum()
        self.alpha = 1 / (LD(C) * self.total)
        self.free = np.ones(self.x.shape[1], bool)
        self.free[-1] = fit_intercept

    def _penalty(self, theta):
        penalised = self.alpha * theta.astype(LD)
        penalised[:, -1] = 0
        return penalised

    def probabilities(self, theta):
        """P (n, columns)."""
        z = self.x @ theta.astype(LD).T
        if z.shape[1] == 1:
            e = np.exp(-np.abs(z))
            return np.where(z >= 0, 1, e) / (1 + e)
        e = np.exp(z - z.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)

    def value(self, theta):
        """The objective."""
        z = self.x @ theta.astype(LD).T
        if z.shape[1] == 1:
            loss = (np.maximum(z, 0) - z * self.y + np.log1p(np.exp(-np.abs(z))))[:, 0]
        else:
            top = z.max(axis=1, keepdims=True)
            loss = (np.log(np.exp(z - top).sum(axis=1)) + top[:, 0]) - (z * self.y).sum(axis=1)
        return (self.w * loss).sum() / self.total + (self._penalty(theta) * theta).sum() / 2

    def gradient(self, theta):
        """(columns, d + 1); 0 for an intercept that is not fitted."""
        r = (self.probabilities(theta) - self.y) * (self.w / self.total)[:, np.newaxis]
        return r.T @ self.x + self._penalty(theta)

    def hessian(self, theta):
        """Float64, of the parameters that are fitted, class by class."""
        p, x = self.probabilities(theta), self.x[:, self.free]
        c, d = theta.shape[0], x.shape[1]
        penalty = np.diag(np.where(np.arange(d) < self.x.shape[1] - 1, self.alpha, 0))
        h = np.zeros((c, d, c, d), LD)
        for a in range(c):
            for b in range(c):
                curvature = p[:, a] * (1 - p[:, a]) if a == b else -p[:, a] * p[:, b]
                h[a, :, b] = (x * (self.w * curvature / self.total)[:, np.newaxis]).T @ x
            h[a, :, a] += penalty
        return h.reshape(c * d, c * d).astype(np.float64)

    def least_curvature(self, theta):
        """The least eigenvalue of the Hessian for steps whose sum over the classes is zero."""
        h, c = self.hessian(theta), len(theta)
        if c > 1:
            across = np.linalg.qr(np.eye(c)[:, 1:] - 1 / c)[0]
            basis = np.kron(across, np.eye(len(h) // c))
            h = basis.T @ h @ basis
        return np.linalg.eigvalsh(h)[0]

    def distance(self, theta):
        """A bound on the distance of theta from the minimum, in the Euclidean norm.

        It takes half of the curvature at theta. That is right if no logit changes by more than
        log(2)/2 on the way, as p (1 - p) then keeps half of its value.
        """
        gradient = np.linalg.norm(self.gradient(theta)[:, self.free].astype(np.float64))
        bound = 2 * gradient / self.least_curvature(theta)
        assert bound * float(np.sqrt((self.x**2).sum(axis=1)).max()) < 0.34
        return bound


def parameters(model):
    """theta of a fitted model, of the representative whose sum over the classes is zero."""
    theta = np.column_stack([model.coef_, model.intercept_]).astype(np.float64)
    return theta - theta.mean(axis=0) if len(theta) > 1 else theta
