"""Data made by integer arithmetic alone, so that it is the same on every machine, and digests."""

import hashlib

import numpy as np

import fastnn


def integers(shape, seed):
    """Integers in [0, 2^24) that look random: squares and products modulo 2^32."""
    i = np.arange(np.prod(shape, dtype=np.int64), dtype=np.uint64)
    mask = np.uint64(2**32 - 1)
    a = (i * np.uint64(2654435761) + np.uint64(seed * 40503 + 12345)) & mask
    for _ in range(3):
        a = ((a ^ (a >> np.uint64(15))) * np.uint64(2246822519)) & mask
    return (a >> np.uint64(8)).reshape(shape)


def numbers(shape, seed, dtype, scale=1.0):
    """Multiples of 2^-23 `scale` in [-scale, scale); exact in either dtype if scale is 2^n."""
    return ((integers(shape, seed).astype(np.float64) / 2**23 - 1) * scale).astype(dtype)


def labels(n, c, seed):
    """Integers below c."""
    return (integers(n, seed) % np.uint64(c)).astype(np.int64)


def digest(*results):
    """SHA-256 of arrays and floats, little-endian."""
    sha = hashlib.sha256()
    for r in results:
        a = np.asarray(r)
        sha.update(np.ascontiguousarray(a, a.dtype.newbyteorder("<")).tobytes())
    return sha.hexdigest()


def network(dtype, sizes=(20, 33, 17, 10), activation=("sigmoid", "tanh"), output="softmax"):
    """A network whose parameters are exact data."""
    net = fastnn.Network(sizes, activation=activation, output=output, dtype=dtype)
    scales = [2.0 ** -(int(w.shape[0]).bit_length() // 2) for w in net.weights]
    shapes = [w.shape for w in net.weights]
    net.weights = [numbers(s, i, dtype, scale) for i, (s, scale) in enumerate(zip(shapes, scales))]
    net.biases = [numbers(b.shape, 9 + i, dtype, 0.25) for i, b in enumerate(net.biases)]
    return net


def parameters(net):
    """All weights and biases."""
    return [*net.weights, *net.biases]
