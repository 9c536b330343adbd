# The C interface, csrc/fastnn.h, where it is documented.
from libc.stdint cimport int64_t, uint64_t

cdef extern from "fastnn.h" nogil:
    ctypedef enum fnn_dtype:
        FNN_F32
        FNN_F64

    ctypedef enum fnn_status:
        FNN_OK
        FNN_ESHAPE
        FNN_EALIAS
        FNN_EVALUE
        FNN_ENOMEM
        FNN_EISA
        FNN_ESTOPPED

    ctypedef enum fnn_act:
        FNN_IDENTITY
        FNN_SIGMOID
        FNN_TANH
        FNN_RELU
        FNN_EXP
        FNN_SOFTMAX

    ctypedef enum fnn_function:
        FNN_MAP_EXP
        FNN_MAP_LOG1P
        FNN_MAP_SIGMOID
        FNN_MAP_TANH

    ctypedef enum fnn_loss:
        FNN_SOFTMAX_CE
        FNN_SIGMOID_CE
        FNN_SQUARED_ERROR
        FNN_POISSON
        FNN_HUBER
        FNN_ABSOLUTE_ERROR

    ctypedef enum fnn_solver:
        FNN_SGD
        FNN_MOMENTUM
        FNN_NESTEROV
        FNN_ADAM

    ctypedef enum fnn_covariance:
        FNN_FULL
        FNN_SHARED
        FNN_DIAG

    ctypedef enum fnn_posterior:
        FNN_JOINT
        FNN_LOG_PROBA
        FNN_PROBA
        FNN_LOG_DENSITY
        FNN_LABEL

    ctypedef enum fnn_isa:
        FNN_NISA

    ctypedef struct fnn_in:
        const void *data
        Py_ssize_t rows, cols, rs, cs

    ctypedef struct fnn_out:
        void *data
        Py_ssize_t rows, cols, rs, cs

    ctypedef struct fnn_csr:
        Py_ssize_t rows, cols
        const void *values
        const void *places
        const int64_t *starts
        int wide

    ctypedef struct fnn_targets:
        const int64_t *labels
        fnn_in targets
        const void *weights

    ctypedef struct fnn_optimizer:
        double learning_rate, beta1, beta2, epsilon
        int64_t steps

    ctypedef struct fnn_network:
        pass

    ctypedef struct fnn_training:
        pass

    ctypedef int (*fnn_poll)(void *context) noexcept nogil

    fnn_isa fnn_get_isa()
    fnn_status fnn_set_isa(fnn_isa isa)
    int fnn_isa_available(fnn_isa isa)
    const char *fnn_isa_name(fnn_isa isa)

    int fnn_get_num_threads()
    void fnn_set_num_threads(int threads)
    int fnn_use_threads(int threads)

    fnn_status fnn_map(fnn_dtype dt, fnn_function fn, fnn_in x, fnn_out y)
    fnn_status fnn_softmax(fnn_dtype dt, fnn_in z, fnn_out y)
    fnn_status fnn_log_softmax(fnn_dtype dt, fnn_in z, fnn_out y)
    fnn_status fnn_logsumexp(fnn_dtype dt, fnn_in z, fnn_out y)
    int fnn_all_finite(fnn_dtype dt, fnn_in x)
    fnn_status fnn_dense_forward(fnn_dtype dt, fnn_act act, fnn_in x, fnn_in w, fnn_in b,
                                 fnn_out y)
    fnn_status fnn_dense_backward(fnn_dtype dt, fnn_act act, fnn_in x, fnn_in w, fnn_in y,
                                  fnn_in dy, fnn_out dx, fnn_out dw, fnn_out db)
    fnn_status fnn_loss_gradient(fnn_dtype dt, fnn_loss fn, double huber_delta, fnn_in z,
                                 fnn_targets y, double *loss, fnn_out dz)

    fnn_optimizer fnn_optimizer_init(fnn_solver solver, double learning_rate, double momentum,
                                     double alpha)

    fnn_status fnn_network_new(fnn_dtype dt, Py_ssize_t layers, const Py_ssize_t *sizes,
                               const fnn_act *acts, fnn_network **net)
    void fnn_network_free(fnn_network *net)
    fnn_status fnn_network_set_loss(fnn_network *net, fnn_loss loss, double huber_delta)
    fnn_out fnn_network_weight(const fnn_network *net, Py_ssize_t layer)
    fnn_out fnn_network_bias(const fnn_network *net, Py_ssize_t layer)
    void fnn_network_hold(fnn_network *net)
    void fnn_network_release(fnn_network *net)
    void fnn_network_refresh(fnn_network *net)
    fnn_status fnn_network_forward(fnn_network *net, fnn_in x, fnn_out y)
    fnn_status fnn_network_activations(fnn_network *net, fnn_in x, const fnn_out *ys)
    fnn_status fnn_network_gradients(fnn_network *net, fnn_in x, fnn_targets y, double alpha,
                                     double *loss, const fnn_out *dw, const fnn_out *db)

    fnn_status fnn_training_new(fnn_network *net, fnn_optimizer opt, Py_ssize_t batch_size,
                                fnn_training **training)
    void fnn_training_free(fnn_training *training)
    const fnn_optimizer *fnn_training_optimizer(const fnn_training *training)
    void fnn_training_set_learning_rate(fnn_training *training, double learning_rate)
    void fnn_training_resume(fnn_training *training, int64_t steps)
    fnn_status fnn_training_state(fnn_training *training, int which, const fnn_out *w,
                                  const fnn_out *b)
    fnn_status fnn_training_set_state(fnn_training *training, int which, const fnn_in *w,
                                      const fnn_in *b)
    void fnn_training_divide_alpha(fnn_training *training, int divide)
    fnn_status fnn_training_set_dropout(fnn_training *training, const double *rates,
                                        uint64_t seed)
    fnn_status fnn_training_keep(fnn_training *training)
    void fnn_training_restore(fnn_training *training)
    int fnn_training_all_finite(const fnn_training *training)
    fnn_status fnn_training_epoch(fnn_training *training, fnn_in x, fnn_targets y,
                                  const int64_t *order, Py_ssize_t count, fnn_poll poll,
                                  void *context, double *loss, double *parts)

    fnn_status fnn_cholesky(Py_ssize_t d, double *a, Py_ssize_t *pivot)
    fnn_status fnn_cholesky_solve(Py_ssize_t d, const double *l, Py_ssize_t t, double *b)
    fnn_status fnn_triangular_inverse(Py_ssize_t d, const double *l, double *inverse)
    fnn_status fnn_dot(Py_ssize_t count, const double *a, const double *b, double *dot)

    ctypedef struct fnn_gaussians:
        pass

    fnn_status fnn_gaussians_new(fnn_dtype dt, fnn_covariance covariance, Py_ssize_t c,
                                 Py_ssize_t d, const double *means, const double *factors,
                                 fnn_gaussians **gaussians)
    void fnn_gaussians_free(fnn_gaussians *gaussians)
    fnn_status fnn_gaussians_evaluate(const fnn_gaussians *gaussians, fnn_posterior what,
                                      const double *offsets, fnn_in x, fnn_out y)
    fnn_status fnn_gaussians_classify(const fnn_gaussians *gaussians, const double *offsets,
                                      fnn_in x, int64_t *labels)
    fnn_status fnn_gaussian_paired(fnn_dtype dt, fnn_in x, fnn_in means, fnn_in factors, fnn_out y)

    ctypedef struct fnn_moments:
        double *weight
        double *mean
        double *scatter
        double *third
        double *fourth

    fnn_status fnn_moments_of(fnn_dtype dt, fnn_covariance covariance, fnn_in x, fnn_in extra,
                              const int64_t *labels, const void *weights, Py_ssize_t c,
                              fnn_moments moments)
    fnn_status fnn_moments_add(Py_ssize_t c, Py_ssize_t d, fnn_moments total, fnn_moments part,
                               double sign)

    fnn_status fnn_linear_loss(fnn_dtype dt, fnn_loss fn, fnn_in x, fnn_targets y, Py_ssize_t c,
                               Py_ssize_t width, const double *theta, double alpha, double *loss,
                               double *gradient, double *hessian)

    fnn_status fnn_fma_burst(fnn_dtype dt, Py_ssize_t iterations, double *flops)

    fnn_status fnn_csr_check(fnn_csr x, Py_ssize_t stored)
    fnn_status fnn_sparse_forward(fnn_dtype dt, fnn_act act, fnn_csr x, fnn_in w, fnn_in b,
                                  fnn_out y)
    fnn_status fnn_csr_transpose(fnn_dtype dt, fnn_csr x, void *values, int64_t *places,
                                 int64_t *starts)
    fnn_status fnn_network_forward_sparse(fnn_network *net, fnn_csr x, fnn_out y)
    fnn_status fnn_network_activations_sparse(fnn_network *net, fnn_csr x, const fnn_out *ys)
    fnn_status fnn_network_gradients_sparse(fnn_network *net, fnn_csr x, fnn_targets y,
                                            double alpha, double *loss, const fnn_out *dw,
                                            const fnn_out *db)
    fnn_status fnn_training_epoch_sparse(fnn_training *training, fnn_csr x, fnn_targets y,
                                         const int64_t *order, Py_ssize_t count, fnn_poll poll,
                                         void *context, double *loss, double *parts)
