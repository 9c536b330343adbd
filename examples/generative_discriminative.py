"""Generative against discriminative classification
================================================

Two classes in the plane. Each panel shows where a model is undecided, P(1 | x) = 1/2: a Gaussian
classifier with each of the three covariances, log p(x, k) = log N(x; mu_k, Sigma_k) + log P(k), and
logistic regression, P(1 | x) = sigmoid(w x + b). With a shared covariance the Gaussian posterior is
a logistic function, too: the boundary of `to_logistic()`, dotted, lies on it.
"""

import argparse

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

import fastnn


def draw_rows(n, rng):
    """n rows of each of two Gaussians of different shape."""
    shapes = np.array([[[1.0, 0.0], [0.9, 0.5]], [[0.6, 0.0], [-0.5, 1.1]]])
    means = np.array([[-1.0, 0.0], [1.2, 0.6]])
    X = np.concatenate([rng.normal(size=(n, 2)) @ s.T + m for s, m in zip(shapes, means)])
    return X, np.repeat([0, 1], n)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("-o", "--output", default="generative_discriminative.png")
    args = parser.parse_args()

    X, y = draw_rows(400, np.random.default_rng(0))
    models = {
        f'GaussianClassifier("{c}")': fastnn.GaussianClassifier(c).fit(X, y)
        for c in ("full", "shared", "diag")
    }
    shared = models['GaussianClassifier("shared")']
    converted = shared.to_logistic()
    models["LogisticRegression()"] = fastnn.LogisticRegression().fit(X, y)

    first, second = np.meshgrid(np.linspace(-5, 5, 300), np.linspace(-4, 5, 300))
    grid = np.column_stack([first.ravel(), second.ravel()])
    figure, axes = plt.subplots(1, 4, figsize=(16, 4), sharey=True, constrained_layout=True)
    print(f"{'model':<30}accuracy")
    for axis, (name, model) in zip(axes, models.items()):
        print(f"{name:<30}{model.score(X, y):.3f}")
        p = model.predict_proba(grid)[:, 1].reshape(first.shape)
        axis.contourf(first, second, p, levels=np.linspace(0, 1, 21), cmap="RdBu_r", alpha=0.7)
        axis.contour(first, second, p, levels=[0.5], colors="black", linewidths=2)
        axis.scatter(*X.T, c=y, cmap="RdBu_r", s=6, edgecolors="black", linewidths=0.2)
        axis.set_title(name)
    p = converted.predict_proba(grid)[:, 1].reshape(first.shape)
    axes[1].contour(
        first, second, p, levels=[0.5], colors="gold", linestyles="dotted", linewidths=3
    )
    axes[1].set_title(axes[1].get_title() + "\nand, dotted, its to_logistic()")
    difference = np.abs(converted.predict_proba(grid) - shared.predict_proba(grid)).max()
    # A probability is off by at most a quarter of what the logit is off.
    size = (np.abs(grid) @ np.abs(converted.coef_[0]) + np.abs(converted.intercept_[0])).max()
    print(f"largest difference of to_logistic: {difference:.1e}")
    print(f"rounding of a probability: {np.finfo(float).eps * size / 4:.1e}")
    figure.savefig(args.output, dpi=100)
    print(f"picture: {args.output}")


if __name__ == "__main__":
    main()
