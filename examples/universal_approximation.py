"""One hidden layer approximates any continuous function
=====================================================

The error falls as the layer widens: f(x) = sum_j v_j sigmoid(w_j x + b_j) + c with 2, 4, ..., 256
hidden units is fitted to a function with a kink by least squares, full batch, with L-BFGS (G.
Cybenko, 1989; K. Hornik, 1991).
"""

import argparse

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

import fastnn

WIDTHS = [2, 4, 8, 16, 32, 64, 128, 256]


def target(x):
    """A wave of rising frequency, with a kink at 0."""
    return np.sin(2 * np.pi * x * np.abs(x)) + np.abs(x)


def fit(x, y, width):
    """A network of that width; its first layer starts as steps spread over the interval."""
    net = fastnn.Network((1, width, 1), output="identity", dtype="float64", rng=0)
    rng = np.random.default_rng(0)
    slopes = rng.choice([-1.0, 1.0], width) * (4 + width / 4)
    biases = -slopes * np.linspace(x.min(), x.max(), width)
    net.weights = [slopes[np.newaxis], np.zeros((width, 1))]
    net.biases = [biases, np.zeros(1)]
    net.train(x, y, epochs=600, solver="lbfgs", tol=1e-9)
    return net


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("-o", "--output", default="universal_approximation.png")
    args = parser.parse_args()

    x = np.linspace(-1.5, 1.5, 1001)[:, np.newaxis]
    y = target(x)
    figure, (curves, errors) = plt.subplots(1, 2, figsize=(12, 4.5), constrained_layout=True)
    curves.plot(x, y, "black", linewidth=3, alpha=0.4, label="function")
    found = []
    print("units  root mean square error")
    for width in WIDTHS:
        net = fit(x, y, width)
        found.append(float(np.sqrt(np.mean((net(x) - y) ** 2))))
        print(f"{width:>5}  {found[-1]:.2e}")
        if width in (2, 8, 32, 256):
            curves.plot(x, net(x), label=f"{width} units")
    curves.legend()
    curves.set_title("one hidden layer")
    errors.loglog(WIDTHS, found, "o-")
    errors.set(xlabel="hidden units", ylabel="root mean square error")
    figure.savefig(args.output, dpi=100)
    print(f"picture: {args.output}")


if __name__ == "__main__":
    main()
