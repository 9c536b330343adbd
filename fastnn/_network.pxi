# The part of _core.pyx for networks: `fastnn.Network` as a function, its engine, and trainings.


import numpy as np


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

    def __cinit__(self, tuple sizes, tuple activations, str output, dtype, str loss=None,
                  double huber_delta=1.0):
        self.sizes = sizes
        self.layers = len(sizes) - 1
        self.outputs = sizes[self.layers]
        self.typenum = cnp.NPY_FLOAT if dtype.itemsize == 4 else cnp.NPY_DOUBLE
        self.flops_per_row = sum(2.0 * k * m for k, m in zip(sizes, sizes[1:]))
        acts = [_ACTIVATIONS[name] for name in activations]
        acts.append(FNN_EXP if output == "exp" else _ACTIVATIONS[output])
        cdef fnn_loss loss_code = _LOSSES[_rules.loss_function(output, loss)]
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
        if fnn_network_set_loss(self.net, loss_code, huber_delta) != FNN_OK:
            raise ValueError(f"huber_delta is {huber_delta}: it must be finite and positive")
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
            if type(x) is Csr:
                return self.forward_sparse(x, out)
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

    cdef object forward_sparse(self, object x, object out):
        cdef fnn_csr rows = csr_view(x)
        cdef cnp.ndarray result = empty(rows.rows, self.outputs, self.typenum)
        cdef fnn_out y_view = view(result)
        cdef fnn_status status
        with nogil:
            status = fnn_network_forward_sparse(self.net, rows, y_view)
        if status != FNN_OK:
            failed(status, "Network")
        return result if out is None else deliver(result, out)

    def activations(self, x not None):
        cdef bint sparse = type(x) is Csr, row = x.ndim == 1
        cdef fnn_csr csr
        cdef fnn_in x_view
        if sparse:
            csr = csr_view(x)
        else:
            x_view = view_in(x)
        results = [empty_row(m, self.typenum) if row else empty(len(x), m, self.typenum)
                   for m in self.sizes[1:]]
        cdef fnn_out *ys = <fnn_out *>PyMem_Malloc(self.layers * sizeof(fnn_out))
        if ys == NULL:
            raise MemoryError
        for l in range(self.layers):
            ys[l] = view(results[l])
        cdef fnn_status status
        with nogil:
            if sparse:
                status = fnn_network_activations_sparse(self.net, csr, ys)
            else:
                status = fnn_network_activations(self.net, x_view, ys)
        PyMem_Free(ys)
        if status != FNN_OK:
            failed(status, "Network.activations")
        return results

    def gradients(self, x not None, cnp.ndarray y not None, double alpha, sample_weight):
        cdef bint sparse = type(x) is Csr
        cdef fnn_csr csr
        cdef fnn_in x_view
        if sparse:
            csr = csr_view(x)
        else:
            x_view = view_in(x)
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
            if sparse:
                status = fnn_network_gradients_sparse(self.net, csr, y_view, alpha, &loss, outs,
                                                      outs + self.layers)
            else:
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
                 Py_ssize_t batch_size, *, double beta_1=0.9, double beta_2=0.999,
                 double epsilon=1e-8, bint per_batch_alpha=False, dropout=(), uint64_t seed=0):
        """Start a training with a fresh optimiser.

        With per_batch_alpha the penalty of a minibatch is alpha / (2 * sum of its weights) sum W^2.
        dropout has a rate for each hidden layer, or is empty.
        """
        cdef Training training = Training.__new__(Training)
        training.engine = self
        training.states = _rules.STATES[solver]
        cdef fnn_optimizer opt = fnn_optimizer_init(_SOLVERS[solver], learning_rate, momentum,
                                                    alpha)
        opt.beta1, opt.beta2, opt.epsilon = beta_1, beta_2, epsilon
        cdef fnn_status status = fnn_training_new(self.net, opt, batch_size, &training.training)
        if status != FNN_OK:
            failed(status, "Network.train")
        fnn_training_divide_alpha(training.training, per_batch_alpha)
        if len(dropout):
            training.drop(dropout, seed)
        return training


cdef class Training:
    """The optimiser's state and the loop over minibatches."""

    cdef fnn_training *training
    cdef NetworkEngine engine
    cdef int states
    cdef readonly double loss  # of the last epoch: the mean over its minibatches, with the penalty

    def __dealloc__(self):
        fnn_training_free(self.training)

    cdef drop(self, object rates, uint64_t seed):
        cdef cnp.ndarray values = np.array(rates, dtype=np.float64)
        if cnp.PyArray_NDIM(values) != 1 or cnp.PyArray_SIZE(values) != self.engine.layers - 1:
            raise ValueError(f"dropout {rates}: {self.engine.layers - 1} rates expected")
        cdef fnn_status status = fnn_training_set_dropout(
            self.training, <const double *>cnp.PyArray_DATA(values), seed)
        if status == FNN_EVALUE:
            raise ValueError(f"dropout {rates}: rates must be in [0, 1)")
        if status != FNN_OK:
            failed(status, "Network.train")

    @property
    def learning_rate(self):
        """The rate of the next step; may be set between epochs."""
        return fnn_training_optimizer(self.training).learning_rate

    @learning_rate.setter
    def learning_rate(self, double value):
        fnn_training_set_learning_rate(self.training, value)

    @property
    def steps(self):
        """How many steps the optimiser has taken, t of Adam."""
        return fnn_training_optimizer(self.training).steps

    cdef fnn_status move_state(self, int which, list arrays, bint out) except *:
        """Copy one state, as [W_1, b_1, W_2, b_2, ...], to the arrays, or from them."""
        cdef Py_ssize_t layers = self.engine.layers
        cdef fnn_out *to = <fnn_out *>PyMem_Malloc(2 * layers * sizeof(fnn_out))
        cdef fnn_in *source = <fnn_in *>PyMem_Malloc(2 * layers * sizeof(fnn_in))
        cdef fnn_status status = FNN_ENOMEM
        if to != NULL and source != NULL:
            for i in range(2 * layers):
                to[i % 2 * layers + i // 2] = view(arrays[i])
                source[i % 2 * layers + i // 2] = view_in(arrays[i])
            if out:
                status = fnn_training_state(self.training, which, to, to + layers)
            else:
                status = fnn_training_set_state(self.training, which, source, source + layers)
        PyMem_Free(to)
        PyMem_Free(source)
        if status != FNN_OK:
            failed(status, "Network.train")
        return status

    def state(self):
        """What the optimiser keeps, copied: "steps", and "states", [W_1, b_1, ...] each."""
        cdef tuple sizes = self.engine.sizes
        cdef int typenum = self.engine.typenum
        states = [[a for k, m in zip(sizes, sizes[1:])
                   for a in (empty(k, m, typenum), empty_row(m, typenum))]
                  for _ in range(self.states)]
        for which in range(self.states):
            self.move_state(which, states[which], True)
        return {"steps": self.steps, "states": states}

    def set_state(self, state):
        """Go on from what `state` returned, of any training of this solver and these sizes."""
        steps, states = _rules.optimizer_state(
            state, self.states, self.engine.sizes, cnp.PyArray_DescrFromType(self.engine.typenum))
        for which in range(self.states):
            self.move_state(which, states[which], False)
        fnn_training_resume(self.training, steps)

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

    def epoch(self, x not None, cnp.ndarray y not None, cnp.ndarray order not None,
              sample_weight):
        """Step through the minibatches; return the means of their losses and penalties.

        If the two of a minibatch make no finite loss, they are returned, and its step is not taken.
        Holds no lock of Python, but lets signal handlers run now and then.
        """
        cdef bint sparse = type(x) is Csr
        cdef fnn_csr csr
        cdef fnn_in x_view
        if sparse:
            csr = csr_view(x)
        else:
            x_view = view_in(x)
        sample_weight = contiguous(sample_weight)
        cdef fnn_targets y_view = self.engine.targets(y, sample_weight)
        cdef const int64_t *rows = <const int64_t *>cnp.PyArray_DATA(order)
        cdef Py_ssize_t count = cnp.PyArray_SIZE(order)
        cdef double[2] parts
        cdef fnn_status status
        with nogil:
            if sparse:
                status = fnn_training_epoch_sparse(self.training, csr, y_view, rows, count,
                                                   poll_signals, NULL, &self.loss, parts)
            else:
                status = fnn_training_epoch(self.training, x_view, y_view, rows, count,
                                            poll_signals, NULL, &self.loss, parts)
        if status == FNN_ESTOPPED:
            propagate()
        if status != FNN_OK:
            failed(status, "Network.train")
        return parts[0], parts[1]
