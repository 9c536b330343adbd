# The part of _core.pyx for networks: `fastnn.Network` as a function, its engine, and trainings.


cdef int poll_signals(void *context) noexcept nogil:
    """Let Python's signal handlers run; an exception that they raise stays set."""
    with gil:
        return check_signals()


cdef int propagate() except -1:
    """Raise the exception that is already set."""
    return -1


cdef class NetworkEngine


cdef class NetworkCall:
    """A network as a function: the base of `fastnn.Network`, for which one call of C is enough."""

    cdef public NetworkEngine _engine

    @cython.nonecheck(True)  # a subclass may not have called its base's __init__
    def __call__(self, x, *, out=None, num_threads=None):
        """Outputs of the network; see `fastnn.Network`."""
        if num_threads is None:
            return self._engine.forward(x, out)
        cdef int before = fnn_use_threads(_rules.threads(num_threads))
        try:
            return self._engine.forward(x, out)
        finally:
            fnn_use_threads(before)


@cython.no_gc_clear  # the engine is needed to the end
cdef class Lease:
    """The base of an array over a network's parameters, which may be written while it lives."""

    cdef NetworkEngine engine

    def __dealloc__(self):
        if self.engine is not None:
            fnn_network_release(self.engine.net)


cdef class NetworkEngine:
    """The arithmetic of `fastnn.Network`, which has checked the arguments but those of forward."""

    cdef fnn_network *net
    cdef Py_ssize_t layers, outputs
    cdef int typenum
    cdef double flops_per_row
    cdef tuple sizes

    def __cinit__(self, tuple sizes, tuple activations, str output, dtype):
        self.sizes = sizes
        self.layers = len(sizes) - 1
        self.outputs = sizes[self.layers]
        self.typenum = cnp.NPY_FLOAT if dtype.itemsize == 4 else cnp.NPY_DOUBLE
        self.flops_per_row = sum(2.0 * k * m for k, m in zip(sizes, sizes[1:]))
        acts = [_ACTIVATIONS[name] for name in (*activations, output)]
        cdef Py_ssize_t *c_sizes = <Py_ssize_t *>PyMem_Malloc((self.layers + 1) * sizeof(Py_ssize_t))
        cdef fnn_act *c_acts = <fnn_act *>PyMem_Malloc(self.layers * sizeof(fnn_act))
        cdef fnn_status status = FNN_ENOMEM
        cdef fnn_dtype dt = FNN_F32 if dtype.itemsize == 4 else FNN_F64
        try:
            if c_sizes != NULL and c_acts != NULL:
                for l in range(self.layers + 1):
                    c_sizes[l] = sizes[l]
                for l in range(self.layers):
                    c_acts[l] = acts[l]
                status = fnn_network_new(dt, self.layers, c_sizes, c_acts, &self.net)
        finally:
            PyMem_Free(c_sizes)
            PyMem_Free(c_acts)
        if status == FNN_ENOMEM:
            raise MemoryError(f"no memory for the parameters of a network of sizes {sizes}")
        if status != FNN_OK:
            failed(status, "Network")
        fnn_network_release(self.net)

    def __dealloc__(self):
        fnn_network_free(self.net)

    cdef cnp.ndarray parameter(self, fnn_out v, int ndim, bint writable):
        """An array over the engine's own memory, which keeps the engine alive."""
        cdef Lease lease
        base = self
        if not writable:
            fnn_network_refresh(self.net)
        else:
            lease = Lease.__new__(Lease)
            lease.engine = self
            fnn_network_hold(self.net)
            base = lease
        cdef int flags = cnp.NPY_ARRAY_BEHAVED if writable else cnp.NPY_ARRAY_ALIGNED
        cdef cnp.npy_intp shape[2]
        cdef cnp.npy_intp strides[2]
        cdef Py_ssize_t size = 4 if self.typenum == cnp.NPY_FLOAT else 8
        shape[0], shape[1] = v.rows, v.cols
        strides[0], strides[1] = v.rs * size, v.cs * size
        cdef int skip = 2 - ndim
        array = cnp.PyArray_New(cnp.ndarray, ndim, shape + skip, self.typenum, strides + skip,
                                v.data, 0, flags, <object>NULL)
        cnp.set_array_base(array, base)
        return array

    def weights(self, bint writable=True):
        """Live arrays; while those that are writable exist, outputs take longer."""
        return [self.parameter(fnn_network_weight(self.net, l), 2, writable)
                for l in range(self.layers)]

    def biases(self, bint writable=True):
        """Live arrays, likewise."""
        return [self.parameter(fnn_network_bias(self.net, l), 1, writable)
                for l in range(self.layers)]

    cpdef forward(self, x, out=None):
        """Outputs (n, m) of x (n, k), or (m,) of (k,); checks both."""
        cdef int ndim = 1 if readable(x, 1, self.typenum) else 2
        if not (ndim == 1 or readable(x, 2, self.typenum)) or not (
            out is None or writable(out, ndim, self.typenum)
        ):
            x = _rules.forward(x, out, self.weights(False), self.biases(False))
            ndim = x.ndim
        cdef fnn_in x_view = view_in(x)
        result = out
        if out is None:
            result = (empty_row(self.outputs, self.typenum) if ndim == 1
                      else empty(x_view.rows, self.outputs, self.typenum))
        cdef fnn_out y_view = view(result)
        cdef fnn_status status
        if x_view.rows * self.flops_per_row < SMALL_FLOPS:
            status = fnn_network_forward(self.net, x_view, y_view)
        else:
            with nogil:
                status = fnn_network_forward(self.net, x_view, y_view)
        if status == FNN_OK:
            return result
        _rules.forward(x, out, self.weights(False), self.biases(False))
        if status == FNN_EALIAS:
            return deliver(self.forward(x), out)
        return failed(status, "Network")

    def activations(self, cnp.ndarray x not None):
        cdef fnn_in x_view = view_in(x)
        cdef bint row = cnp.PyArray_NDIM(x) == 1
        results = [empty_row(m, self.typenum) if row else empty(x_view.rows, m, self.typenum)
                   for m in self.sizes[1:]]
        cdef fnn_out *ys = <fnn_out *>PyMem_Malloc(self.layers * sizeof(fnn_out))
        if ys == NULL:
            raise MemoryError
        for l in range(self.layers):
            ys[l] = view(results[l])
        cdef fnn_status status
        with nogil:
            status = fnn_network_activations(self.net, x_view, ys)
        PyMem_Free(ys)
        if status != FNN_OK:
            failed(status, "Network.activations")
        return results

    def gradients(self, cnp.ndarray x not None, cnp.ndarray y not None, double alpha,
                  sample_weight):
        cdef fnn_in x_view = view_in(x)
        sample_weight = contiguous(sample_weight)
        cdef fnn_targets y_view = self.targets(y, sample_weight)
        dw = [empty(k, m, self.typenum) for k, m in zip(self.sizes, self.sizes[1:])]
        db = [empty_row(m, self.typenum) for m in self.sizes[1:]]
        cdef fnn_out *outs = <fnn_out *>PyMem_Malloc(2 * self.layers * sizeof(fnn_out))
        if outs == NULL:
            raise MemoryError
        for l in range(self.layers):
            outs[l], outs[self.layers + l] = view(dw[l]), view(db[l])
        cdef double loss = 0
        cdef fnn_status status
        with nogil:
            status = fnn_network_gradients(self.net, x_view, y_view, alpha, &loss, outs,
                                           outs + self.layers)
        PyMem_Free(outs)
        if status != FNN_OK:
            failed(status, "Network.loss_and_gradients")
        return loss, list(zip(dw, db))

    cdef fnn_targets targets(self, cnp.ndarray y, object sample_weight) noexcept:
        if cnp.PyArray_NDIM(y) == 1:
            return targets_view(y, None, sample_weight)
        return targets_view(None, y, sample_weight)

    def training(self, str solver, double learning_rate, double momentum, double alpha,
                 Py_ssize_t batch_size):
        """Start a training with a fresh optimiser."""
        cdef Training training = Training.__new__(Training)
        training.engine = self
        cdef fnn_optimizer opt = fnn_optimizer_init(_SOLVERS[solver], learning_rate, momentum,
                                                    alpha)
        cdef fnn_status status = fnn_training_new(self.net, opt, batch_size, &training.training)
        if status != FNN_OK:
            failed(status, "Network.train")
        return training


cdef class Training:
    """The optimiser's state and the loop over minibatches."""

    cdef fnn_training *training
    cdef NetworkEngine engine

    def __dealloc__(self):
        fnn_training_free(self.training)

    def keep(self):
        """Keep a copy of the parameters as they are now."""
        cdef fnn_status status = fnn_training_keep(self.training)
        if status != FNN_OK:
            failed(status, "Network.train")

    def restore(self):
        """Put it back."""
        fnn_training_restore(self.training)

    def all_finite(self):
        """Whether no parameter is infinite or NaN."""
        return bool(fnn_training_all_finite(self.training))

    def epoch(self, cnp.ndarray x not None, cnp.ndarray y not None, cnp.ndarray order not None,
              sample_weight):
        """Step through the minibatches; return their mean loss, or the first that is not finite.

        Holds no lock of Python, but lets signal handlers run now and then.
        """
        cdef fnn_in x_view = view_in(x)
        sample_weight = contiguous(sample_weight)
        cdef fnn_targets y_view = self.engine.targets(y, sample_weight)
        cdef const int64_t *rows = <const int64_t *>cnp.PyArray_DATA(order)
        cdef Py_ssize_t count = cnp.PyArray_SIZE(order)
        cdef double loss = 0
        cdef fnn_status status
        with nogil:
            status = fnn_training_epoch(self.training, x_view, y_view, rows, count, poll_signals,
                                        NULL, &loss)
        if status == FNN_ESTOPPED:
            propagate()
        if status != FNN_OK:
            failed(status, "Network.train")
        return loss
