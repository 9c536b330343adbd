"""Exclusive or
============

Logistic regression cannot learn it, a network with two hidden units can. The classes lie at
opposite corners of a square. No line separates them, so P(1 | x) = sigmoid(w x + b) stays near 1/2;
sigmoid(W_2 sigmoid(W_1 x + b_1) + b_2) with two hidden units cuts a band out. Such a small network
has poor local minima; of a few starts the best one is taken.
"""

import argparse

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

import fastnn

CORNERS = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])


def draw_rows(n, rng):
    """n noisy rows at each corner."""
    X = np.repeat(CORNERS, n, axis=0) + rng.normal(scale=0.12, size=(4 * n, 2))
    return X, np.repeat([0, 1, 1, 0], n)


def best_network(X, y, starts=10):
    """The 2-2-1 network of the smallest loss, and that loss."""
    best = None
    for seed in range(starts):
        net = fastnn.Network((2, 2, 1), output="sigmoid", dtype="float64", rng=seed)
        loss = net.train(X, y, epochs=500, solver="lbfgs", alpha=1e-5)[-1]
        if best is None or loss < best[1]:
            best = net, loss
    return best


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("-o", "--output", default="xor.png")
    args = parser.parse_args()

    X, y = draw_rows(100, np.random.default_rng(0))
    logistic = fastnn.LogisticRegression().fit(X, y)
    net, loss = best_network(X, y)
    surfaces = {
        "logistic regression": lambda x: logistic.predict_proba(x)[:, 1],
        "network 2-2-1": lambda x: net(x)[:, 0],
    }
    first, second = np.meshgrid(np.linspace(-0.5, 1.5, 300), np.linspace(-0.5, 1.5, 300))
    grid = np.column_stack([first.ravel(), second.ravel()])
    figure, axes = plt.subplots(1, 2, figsize=(9, 4.5), sharey=True, constrained_layout=True)
    for axis, (name, surface) in zip(axes, surfaces.items()):
        accuracy = ((surface(X) > 0.5) == y).mean()
        print(f"{name:<22}accuracy {accuracy:.3f}")
        p = surface(grid).reshape(first.shape)
        axis.contourf(first, second, p, levels=np.linspace(0, 1, 21), cmap="RdBu_r", alpha=0.7)
        axis.contour(first, second, p, levels=[0.5], colors="black", linewidths=2)
        axis.scatter(*X.T, c=y, cmap="RdBu_r", s=8, edgecolors="black", linewidths=0.3)
        axis.set_title(f"{name}: accuracy {accuracy:.2f}")
    print(f"loss of the network: {loss:.4f}")
    figure.savefig(args.output, dpi=100)
    print(f"picture: {args.output}")


if __name__ == "__main__":
    main()
