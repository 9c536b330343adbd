"""A network's training written as in a textbook, independent of the package, in any float type."""

import numpy as np


def sigmoid(z):
    """Logistic sigmoid; the tests stay far from its overflow."""
    return 1 / (1 + np.exp(-z))


def loss_and_gradients(weights, biases, x, y, share, alpha):
    """Sigmoid hidden layers, softmax output, labels y; share holds the rows' shares of the mean."""
    a = [x]
    for w, b in zip(weights, biases):
        z = a[-1] @ w + b
        a.append(sigmoid(z))
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    rows = np.arange(len(x))
    loss = -(share * np.log(p[rows, y])).sum() + alpha / 2 * sum((w**2).sum() for w in weights)
    delta = p.copy()
    delta[rows, y] -= 1
    delta *= share[:, np.newaxis]
    dws, dbs = [], []
    for layer in reversed(range(len(weights))):
        dws.insert(0, a[layer].T @ delta + alpha * weights[layer])
        dbs.insert(0, delta.sum(axis=0))
        delta = delta @ weights[layer].T * (a[layer] - a[layer] ** 2)
    return loss, dws + dbs


def update(solver, p, g, s, rate, momentum, t):
    """One step of a parameter p with its gradient g, and the solver's state s (v, or m and v)."""
    if solver == "sgd":
        p -= rate * g
    elif solver == "momentum":
        s[0] = momentum * s[0] - rate * g
        p += s[0]
    elif solver == "nesterov":
        s[0] = momentum * s[0] - rate * g
        p += momentum * s[0] - rate * g
    else:
        one = p.dtype.type(1)
        b1, b2 = one * 0.9, one * 0.999
        s[0] = b1 * s[0] + (1 - b1) * g
        s[1] = b2 * s[1] + (1 - b2) * g**2
        p -= rate * np.sqrt(1 - b2**t) / (1 - b1**t) * s[0] / (np.sqrt(s[1]) + 1e-8)


def train(weights, biases, x, y, orders, weight, *, solver, batch_size, rate, momentum, alpha):
    """Train copies of the parameters on given orders of rows; return them and the losses."""
    weights, biases = [w.copy() for w in weights], [b.copy() for b in biases]
    parameters = weights + biases
    state = [[np.zeros_like(p), np.zeros_like(p)] for p in parameters]
    losses, t = [], 0
    for order in orders:
        total = 0
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            mass = weight[rows].sum()
            if mass == 0:
                continue
            t += 1
            share = weight[rows] / mass
            loss, gradients = loss_and_gradients(weights, biases, x[rows], y[rows], share, alpha)
            for p, g, s in zip(parameters, gradients, state):
                update(solver, p, g, s, rate, momentum, t)
            total += loss * mass
        losses.append(total / weight.sum())
    return parameters, np.array(losses)
