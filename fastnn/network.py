"""Dense networks: `Network` checks, documents and keeps state; the backend's engine computes."""

from __future__ import annotations

import copyreg
import math
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from . import _check, _fields, _full_batch
from . import _check_network as _rules
from .runtime import backend_module as _backend
from .runtime import threads_of_call

if TYPE_CHECKING:
    from ._core import NetworkCall
else:
    NetworkCall = _backend.NetworkCall

__all__ = ["Network"]

Array = NDArray[Any]


class Network(NetworkCall):
    """A dense (fully connected) feed-forward network.

    ``a_0 = x``, ``a_l = act_l(a_{l-1} W_l + b_l)``; the loss follows from the output layer: softmax
    has softmax cross-entropy, sigmoid has sigmoid cross-entropy, identity has squared error, exp has
    the Poisson loss of counts.

    Parameters
    ----------
    sizes : sequence of int
        Width of the input, of each hidden layer, and of the output; at least two, each at least 1.
    activation : {"identity", "sigmoid", "tanh", "relu"} or sequence of them
        One name, or one for each hidden layer.
    output : {"softmax", "sigmoid", "identity", "exp"}
        Activation of the output layer.
    loss : {"squared_error", "huber", "absolute"}, optional
        Another loss than the usual one, which only identity has; see `squared_error`, `huber_loss`
        and `absolute_error`. The usual one may be named, too.
    huber_delta : float
        Finite and positive: from which residual on the loss "huber" is a line.
    dtype : {"float32", "float64"}
        Of the parameters, the data and the arithmetic.
    rng : None, int or numpy.random.Generator
        Source of the initial weights.

    Raises
    ------
    TypeError
        If dtype is another one, or a size is not an integer.
    ValueError
        If a size is less than 1, a name is unknown, the number of activations does not match, the
        output has no such loss, or huber_delta is out of range.

    Notes
    -----
    Initial weights are uniform in (-r, r): ``r = sqrt(6 / (k + m))`` (Glorot) for a layer (k, m),
    ``r = sqrt(6 / k)`` (He) before relu. They are drawn in float64 and rounded to dtype, so a seed
    gives the same network in both. Biases start at zero.

    ``net(x, *, out=None, num_threads=None)`` returns the outputs (n, m) for x (n, k), or (m,) for one
    row (k,). x is array_like of the network's dtype; `out`, of the shape and dtype of the result,
    receives it and is returned. NaN and infinity in a row stay in that row, and with the compiled
    kernels a row gives the same bits alone and in any batch. A TypeError says that a dtype is
    another one, a ValueError that a rank or width is, or that `out` is read-only or shares memory
    with x or a parameter. This is also the fast path for one row: an ndarray x with an `out` costs
    one call of C, all checks included, and allocates nothing. Outputs take longer while an array of
    `weights` or `biases` is alive, as it may be written.

    num_threads, here and in the methods, is the most threads that the call may use; the default is
    `fastnn.get_num_threads()`. No result depends on it.

    Numerics: those of `fastnn.kernels`. Predictions may run in several threads at once, but not
    while another thread trains the same network: they would mix weights of different steps.

    Examples
    --------
    Exclusive or:

    >>> import numpy as np, fastnn
    >>> x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=np.float64)
    >>> net = fastnn.Network((2, 8, 2), activation="tanh", dtype="float64", rng=0)
    >>> losses = net.train(x, [0, 1, 1, 0], epochs=200, learning_rate=0.05)
    >>> net(x).argmax(axis=1)
    array([0, 1, 1, 0])

    One row, into memory that is there:

    >>> y = np.empty(2)
    >>> net(x[1], out=y) is y
    True

    References
    ----------
    X. Glorot, Y. Bengio, Understanding the difficulty of training deep feedforward neural networks,
    AISTATS 2010. K. He et al., Delving deep into rectifiers, ICCV 2015.
    """

    __slots__ = (
        "__weakref__",
        "_activation",
        "_dtype",
        "_huber_delta",
        "_lock",
        "_loss",
        "_output",
        "_sizes",
    )

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        activation: str | Sequence[str] = "sigmoid",
        output: str = "softmax",
        loss: str | None = None,
        huber_delta: float = 1.0,
        dtype: DTypeLike = "float32",
        rng: int | np.random.Generator | None = None,
    ) -> None:
        self._build(_rules.layer_sizes(sizes), activation, output, dtype, loss, huber_delta)
        self._draw_weights(_rules.generator(rng))

    def _build(
        self,
        sizes: tuple[int, ...],
        activation: str | Sequence[str],
        output: str,
        dtype: DTypeLike,
        loss: str | None,
        huber_delta: float,
    ) -> None:
        self._sizes = sizes
        self._activation = _rules.hidden_activations(activation, len(sizes) - 2)
        self._output = _check.one_of("output", output, tuple(_rules.LOSSES))
        self._loss = _rules.loss_name(output, loss)
        self._huber_delta = _rules.positive("huber_delta", huber_delta)
        self._dtype = _rules.float_dtype(dtype)
        self._lock = threading.Lock()
        self._engine = _backend.NetworkEngine(
            sizes, self._activation, output, self._dtype, self._loss, self._huber_delta
        )

    def _draw_weights(self, rng: np.random.Generator) -> None:
        for w, name in zip(self._engine.weights(), (*self._activation, self._output)):
            k, m = w.shape
            limit = math.sqrt(6 / k) if name == "relu" else math.sqrt(6 / (k + m))
            w[...] = rng.uniform(-limit, limit, (k, m))

    @property
    def sizes(self) -> tuple[int, ...]:
        """Width of the input, of each hidden layer, and of the output."""
        return self._sizes

    @property
    def activation(self) -> tuple[str, ...]:
        """Activation of each hidden layer."""
        return self._activation

    @property
    def output(self) -> str:
        """Activation of the output layer."""
        return self._output

    @property
    def loss(self) -> str:
        """Name of the loss that is trained for."""
        return self._loss

    @property
    def huber_delta(self) -> float:
        """From which residual on the loss "huber" is a line."""
        return self._huber_delta

    @property
    def dtype(self) -> np.dtype[Any]:
        """dtype of the parameters and of the data."""
        return self._dtype

    @property
    def n_parameters(self) -> int:
        """Number of weights and biases."""
        return sum((k + 1) * m for k, m in zip(self._sizes, self._sizes[1:]))

    @property
    def weights(self) -> tuple[Array, ...]:
        """The weights W (k, m) of each layer: live arrays; to write into them changes the network.

        Assigning a sequence of arrays checks all of them (number, shapes, dtype) and then copies
        their values.
        """
        return tuple(self._engine.weights())

    @weights.setter
    def weights(self, arrays: Iterable[ArrayLike]) -> None:
        self._assign("weights", self._engine.weights(), arrays)

    @property
    def biases(self) -> tuple[Array, ...]:
        """The biases b (m,) of each layer, in the same manner as `weights`."""
        return tuple(self._engine.biases())

    @biases.setter
    def biases(self, arrays: Iterable[ArrayLike]) -> None:
        self._assign("biases", self._engine.biases(), arrays)

    def _assign(self, what: str, live: list[Array], arrays: Iterable[ArrayLike]) -> None:
        given = list(arrays)
        if len(given) != len(live):
            raise ValueError(f"{what}: {len(given)} arrays given, expected {len(live)}")
        pairs = enumerate(zip(given, live))
        values = [_rules.parameter(f"{what}[{i}]", a, p) for i, (a, p) in pairs]
        with self._exclusive(f"set {what}"):
            for p, value in zip(live, values):
                p[...] = value

    def activations(self, x: ArrayLike, *, num_threads: int | None = None) -> list[Array]:
        """Output of every layer, the hidden ones and the last.

        Parameters
        ----------
        x : array_like (n, k) or (k,), or sparse matrix of SciPy (n, k), dtype of the network
        num_threads : int, optional
            The most threads to use, at least 1.

        Returns
        -------
        list of ndarray (n, m_l), or (m_l,) for one row (k,)

        Raises
        ------
        TypeError
            If x is of another dtype.
        ValueError
            If x has another rank or width.

        Examples
        --------
        >>> import numpy as np, fastnn
        >>> [a.shape for a in fastnn.Network((4, 3, 2)).activations(np.ones((5, 4), np.float32))]
        [(5, 3), (5, 2)]
        """
        rows = _rules.rows(x, self._sizes[0], self._dtype, (1, 2))
        with threads_of_call(num_threads):
            return self._engine.activations(rows)

    def loss_and_gradients(
        self,
        x: ArrayLike,
        y: ArrayLike,
        *,
        alpha: float = 0.0,
        sample_weight: ArrayLike | None = None,
        num_threads: int | None = None,
    ) -> tuple[float, list[tuple[Array, Array]]]:
        """Loss over the rows and its gradient by every parameter.

        ``loss = sum_i w_i l_i / sum_i w_i + alpha / 2 * sum W^2``, l_i the loss of row i

        Parameters
        ----------
        x : array_like or sparse matrix of SciPy (n, k), dtype of the network, n >= 1
        y : array_like of integers (n,), or array_like (n, c) of the network's dtype
            Labels or targets, as in the loss functions of `fastnn.kernels`; counts, at least 0, for
            the output exp.
        alpha : float
            Weight of the penalty, at least 0; biases are not penalised.
        sample_weight : array_like (n,), dtype of the network, optional
            Weights w of the rows, finite, at least 0, with a positive sum.
        num_threads : int, optional
            The most threads to use, at least 1.

        Returns
        -------
        loss : float
        gradients : list of (dW, db)
            One pair for each layer, of the shapes of its W (k, m) and b (m,).

        Raises
        ------
        TypeError
            If an array is of another dtype.
        ValueError
            If there are no rows, shapes do not match, or labels, weights or alpha are out of range.

        Notes
        -----
        Numerics: the loss is taken from the logits and accumulated in float64.

        Examples
        --------
        >>> import numpy as np, fastnn
        >>> net = fastnn.Network((3, 2), dtype="float64")
        >>> net.weights = [np.zeros((3, 2))]
        >>> loss, [(dw, db)] = net.loss_and_gradients(np.ones((1, 3)), [1])
        >>> round(loss, 6), db
        (0.693147, array([ 0.5, -0.5]))
        """
        alpha = _rules.number("alpha", alpha, "finite and at least 0", lambda a: a >= 0)
        data = self._data(x, y, sample_weight)
        with threads_of_call(num_threads):
            return self._engine.gradients(*data[:2], alpha, data[2])

    def _data(
        self, x: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None
    ) -> tuple[Array, Array, Array | None]:
        return _rules.loss_data(
            _rules.loss_function(self._output, self._loss),
            self._sizes,
            self._dtype,
            x,
            y,
            sample_weight,
        )

    def train(
        self,
        x: ArrayLike,
        y: ArrayLike,
        *,
        epochs: int,
        batch_size: int = 64,
        solver: str = "adam",
        learning_rate: float = 1e-3,
        momentum: float = 0.9,
        alpha: float = 0.0,
        dropout: float | Sequence[float] = 0.0,
        shuffle: bool = True,
        tol: float = 1e-5,
        rng: int | np.random.Generator | None = None,
        sample_weight: ArrayLike | None = None,
        callback: Callable[[int, float], Any] | None = None,
        num_threads: int | None = None,
    ) -> list[float]:
        """Fit the parameters by minibatch gradient descent, or on all rows at once by L-BFGS.

        With g the gradient of `loss_and_gradients` over a minibatch and r the learning rate:
        sgd ``p -= r g``; momentum ``v = mu v - r g, p += v``; nesterov ``v = mu v - r g,
        p += mu v - r g``; adam with ``beta = (0.9, 0.999)``, ``eps = 1e-8``. lbfgs goes along
        ``-H g``, g over all rows, H the inverse Hessian that its last 10 steps imply.

        Parameters
        ----------
        x, y, alpha, sample_weight
            As in `loss_and_gradients`. A minibatch whose weights are all 0 is skipped.
        epochs : int
            Passes over the rows, at least 0; for lbfgs the most iterations, each a pass or a few.
        batch_size : int
            Rows of a minibatch, at least 1; the last one of an epoch may be shorter.
        solver : {"sgd", "momentum", "nesterov", "adam", "lbfgs"}
            Its state starts afresh in every call. lbfgs makes no use of batch_size, learning_rate,
            momentum, shuffle and rng: it takes all rows and finds its step by a line search.
        learning_rate : float
            Positive.
        momentum : float
            mu, in [0, 1), of momentum and nesterov.
        dropout : float or sequence of float
            One rate in [0, 1), or one for each hidden layer: in each step this share of its outputs,
            drawn anew, is 0, and the others are divided by 1 - rate. Outputs outside of training
            are those of the whole network. Not for lbfgs, which needs the same loss twice.
        shuffle : bool
            Draw a new order of the rows for each epoch.
        tol : float
            At least 0; of lbfgs alone: it stops where no entry of the gradient is larger, or where
            rounding hides any decrease of the loss.
        rng : None, int or numpy.random.Generator
            Source of the orders, and of the seed of what is dropped.
        callback : callable, optional
            Called after each epoch as ``callback(epoch, loss)``, epoch from 0; training stops if it
            returns True. It must not train the network or assign its weights or biases.
        num_threads : int, optional
            The most threads to use, at least 1.

        Returns
        -------
        list of float
            The loss of each epoch: the mean over its minibatches, each before its own update. For
            lbfgs the loss after each iteration, fewer than `epochs` if it stops by itself.

        Raises
        ------
        FloatingPointError
            If the loss or a parameter stops being finite; the parameters from before that epoch
            are restored. lbfgs shortens such steps, so only where the loss is so at the start.
        RuntimeError
            If the network is already being trained.
        TypeError, ValueError
            If an argument is invalid; nothing has changed then.

        Notes
        -----
        Numerics: arithmetic in the network's dtype, losses accumulated in float64. lbfgs keeps its
        parameters in float64 and rounds them to the network's dtype. What is dropped depends on the
        seed, the step, the layer, and row and column in the minibatch, not on threads or machine.
        Ctrl-C leaves the network at its last whole step.

        Examples
        --------
        >>> import numpy as np, fastnn
        >>> x = np.linspace(-1, 1, 50).reshape(-1, 1)
        >>> net = fastnn.Network((1, 1), output="identity", dtype="float64", rng=0)
        >>> losses = net.train(x, 3 * x + 1, epochs=200, solver="momentum", learning_rate=0.1)
        >>> bool(abs(net.weights[0][0, 0] - 3) < 1e-3), bool(abs(net.biases[0][0] - 1) < 1e-3)
        (True, True)

        References
        ----------
        I. Sutskever et al., On the importance of initialization and momentum in deep learning, ICML
        2013. D. P. Kingma, J. Ba, Adam: a method for stochastic optimization, ICLR 2015. J. Nocedal,
        S. J. Wright, Numerical Optimization (2006), section 7.2. N. Srivastava et al., Dropout: a
        simple way to prevent neural networks from overfitting, JMLR 2014.
        """
        epochs = _rules.integer("epochs", epochs, 0)
        options = (
            _check.one_of("solver", solver, _rules.SOLVERS),
            _rules.number("learning_rate", learning_rate, "finite and positive", lambda r: r > 0),
            _rules.number("momentum", momentum, "in [0, 1)", lambda mu: 0 <= mu < 1),
            _rules.number("alpha", alpha, "finite and at least 0", lambda a: a >= 0),
            _rules.integer("batch_size", batch_size, 1),
        )
        rates = _rules.dropout_rates(dropout, len(self._activation))
        if rates and solver == "lbfgs":
            raise ValueError("lbfgs takes no dropout: it needs the same loss twice")
        tol = _rules.number("tol", tol, "finite and at least 0", lambda t: t >= 0)
        if callback is not None and not callable(callback):
            raise TypeError(f"callback must be callable, not {type(callback).__name__}")
        x, y, sample_weight = self._data(x, y, sample_weight)
        generator = _rules.generator(rng) if shuffle or rates else None
        seed = int(generator.integers(2**63)) if generator and rates else 0
        orders = _orders(len(x), generator if shuffle else None)

        def stops(epoch: int, loss: float) -> bool:
            return callback is not None and _is_true(callback(epoch, loss))

        with self._exclusive("train"), threads_of_call(num_threads):
            if solver == "lbfgs":
                objective = _full_batch.Objective(self._engine, x, y, sample_weight, options[3])
                return _full_batch.train(objective, epochs, tol, stops)
            losses: list[float] = []
            training = self._engine.training(*options, dropout=rates, seed=seed)
            for epoch, order in zip(range(epochs), orders):
                training.keep()
                training.epoch(x, y, order, sample_weight)
                _keep_finite(training, epoch, training.loss)
                losses.append(training.loss)
                if stops(epoch, training.loss):
                    break
        return losses

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the network to a file that `fastnn.load` reads.

        Parameters
        ----------
        path : str or PathLike
            A file that is there is replaced, once the new one is complete.

        Raises
        ------
        ImportError
            If the package safetensors is not installed.
        TypeError
            If the class is not fastnn's own.
        ValueError
            If a weight or bias is not finite.
        OSError
            If the file cannot be written; one that was there is still as it was.

        Notes
        -----
        The format is safetensors: other programs read the arrays weights.0, biases.0, weights.1, ...

        Examples
        --------
        >>> import os, tempfile, numpy as np, fastnn
        >>> net, x = fastnn.Network((4, 3, 2), rng=0), np.ones((1, 4), np.float32)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "net.safetensors")
        ...     net.save(path)
        ...     np.array_equal(fastnn.load(path)(x), net(x))
        True
        """
        from . import _model_file

        _model_file.save(self, path)

    @classmethod
    def _fields(cls, state: Mapping[str, Any]) -> dict[str, _fields.Kind]:
        """Return what is saved of a network that has this state, or this tree in a file."""
        widths = _fields.Many(_fields.Count(1), tuple)
        given = state.get("sizes")
        given = list(given) if isinstance(given, tuple) else given
        sizes = widths.value(given, {}, f"{cls.__name__}.sizes")
        dtype = _fields.Text(("float32", "float64")).value(
            state.get("dtype"), {}, f"{cls.__name__}.dtype"
        )
        pairs = list(pairwise(sizes))
        return {
            "sizes": widths,
            "activation": _fields.Many(_fields.Text(), tuple),
            "output": _fields.Text(),
            "loss": _fields.Text(),
            "huber_delta": _fields.Number(),
            "dtype": _fields.Text(),
            "weights": _fields.Each(_fields.Floats(k, m, dtype=dtype) for k, m in pairs),
            "biases": _fields.Each(_fields.Floats(m, dtype=dtype) for _, m in pairs),
        }

    def _saved(self) -> dict[str, Any]:
        return self.__getstate__()

    def _saved_parameters(self) -> dict[str, Any]:
        return {}

    @classmethod
    def _restored(cls, parameters: Mapping[str, Any], state: Mapping[str, Any]) -> Self:
        """Return the network of this state, the arrays of which have the shapes of its sizes."""
        if parameters:
            raise _fields.ModelFileError(f"a network has no parameters {list(parameters)}")
        network = cls.__new__(cls)
        network.__setstate__(dict(state))
        return network

    @contextmanager
    def _exclusive(self, what: str) -> Iterator[None]:
        if not self._lock.acquire(blocking=False):
            raise RuntimeError(f"cannot {what}: this network is being trained")
        try:
            yield
        finally:
            self._lock.release()

    def __reduce__(self) -> tuple[Any, ...]:
        # That of object refuses, with old protocols, a class whose base is compiled.
        return copyreg.__newobj__, (type(self),), self.__getstate__()  # type: ignore[attr-defined]

    def __getstate__(self) -> dict[str, Any]:
        return {
            "sizes": self._sizes,
            "activation": self._activation,
            "output": self._output,
            "loss": self._loss,
            "huber_delta": self._huber_delta,
            "dtype": self._dtype.name,
            "weights": [np.array(w, order="C") for w in self._engine.weights(False)],
            "biases": [np.array(b, order="C") for b in self._engine.biases(False)],
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._build(
            state["sizes"],
            state["activation"],
            state["output"],
            state["dtype"],
            state.get("loss"),  # of before there were other losses, and so with the usual one
            state.get("huber_delta", 1.0),
        )
        self.weights = state["weights"]
        self.biases = state["biases"]

    def __repr__(self) -> str:
        names = set(self._activation)
        activation = names.pop() if len(names) == 1 else self._activation
        loss = ""
        if self._loss != _rules.loss_name(self._output, None):
            loss = f"loss={self._loss!r}, "
        if self._loss == "huber":
            loss += f"huber_delta={self._huber_delta!r}, "
        return (
            f"{type(self).__name__}({self._sizes}, activation={activation!r}, "
            f"output={self._output!r}, {loss}dtype={self._dtype.name!r})"
        )


def _keep_finite(training: Any, epoch: int, loss: float) -> None:
    """Restore the parameters from before the epoch, and say so, if it has diverged."""
    if math.isfinite(loss) and training.all_finite():
        return
    what = "a weight" if math.isfinite(loss) else "loss"
    training.restore()
    raise FloatingPointError(
        f"epoch {epoch}: {what} is not finite; the weights before this epoch are kept; "
        "lower learning_rate or check x for NaN"
    )


def _orders(n: int, rng: np.random.Generator | None) -> Iterator[Array]:
    while True:
        yield np.arange(n) if rng is None else rng.permutation(n)


def _is_true(answer: Any) -> bool:
    return isinstance(answer, (bool, np.bool_)) and bool(answer)
