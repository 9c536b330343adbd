/* probe.inc.h -- for tests: one operation of the vocabulary on one vector of each operand.
 *
 * This list names every operation of simd/scalar.h. Operands are loaded where they are used, so
 * that load_n and store_n can be tried at the very end of a page. */
#ifndef FNN_PROBE_OPS
#define FNN_PROBE_A V(load)(a)
#define FNN_PROBE_B V(load)(b)
#define FNN_PROBE_C V(load)(c)
#define FNN_PROBE_OPS(OP, PUT)                                                              \
    OP(load, PUT(FNN_PROBE_A))                                                              \
    OP(store, PUT(FNN_PROBE_A))                                                             \
    OP(load_n, PUT(V(load_n)(a, n, FNN_PROBE_B)))                                           \
    OP(store_n, V(store_n)(r, FNN_PROBE_A, n))                                              \
    OP(set1, PUT(V(set1)(*a)))                                                              \
    OP(add, PUT(V(add)(FNN_PROBE_A, FNN_PROBE_B)))                                          \
    OP(sub, PUT(V(sub)(FNN_PROBE_A, FNN_PROBE_B)))                                          \
    OP(mul, PUT(V(mul)(FNN_PROBE_A, FNN_PROBE_B)))                                          \
    OP(div, PUT(V(div)(FNN_PROBE_A, FNN_PROBE_B)))                                          \
    OP(sqrt, PUT(V(sqrt)(FNN_PROBE_A)))                                                     \
    OP(fma, PUT(V(fma)(FNN_PROBE_A, FNN_PROBE_B, FNN_PROBE_C)))                             \
    OP(fnma, PUT(V(fnma)(FNN_PROBE_A, FNN_PROBE_B, FNN_PROBE_C)))                           \
    OP(max, PUT(V(max)(FNN_PROBE_A, FNN_PROBE_B)))                                          \
    OP(minus_abs, PUT(V(minus_abs)(FNN_PROBE_A)))                                           \
    OP(copysign, PUT(V(copysign)(FNN_PROBE_A, FNN_PROBE_B)))                                \
    OP(select_lt, PUT(V(select_lt)(FNN_PROBE_A, FNN_PROBE_B, FNN_PROBE_C, FNN_PROBE_A)))    \
    OP(select_sign, PUT(V(select_sign)(FNN_PROBE_A, FNN_PROBE_B, FNN_PROBE_C)))             \
    OP(any_lt, PUT(V(set1)((REAL)(V(any_lt)(FNN_PROBE_A, FNN_PROBE_B) != 0))))              \
    OP(pow2, PUT(V(pow2)(FNN_PROBE_A)))                                                     \
    OP(ldexp, PUT(V(ldexp)(FNN_PROBE_A, FNN_PROBE_B)))                                      \
    OP(exponent, PUT(V(exponent)(FNN_PROBE_A)))                                             \
    OP(first, PUT(V(set1)(V(first)(FNN_PROBE_A))))                                           \
    OP(exchange, PUT(n == 8 ? V(exchange)(FNN_PROBE_A, 8) : n == 4 ? V(exchange)(FNN_PROBE_A, 4) \
                     : n == 2 ? V(exchange)(FNN_PROBE_A, 2) : V(exchange)(FNN_PROBE_A, 1)))

#define FNN_PROBE_NUMBER(name, statement) FNN_PROBE_##name,
enum { FNN_PROBE_OPS(FNN_PROBE_NUMBER, ) FNN_NPROBE };
#undef FNN_PROBE_NUMBER
#endif

#ifdef T
#define PROBE_PUT(v) V(store)(r, v)
#define PROBE_CASE(name, statement) \
    case FNN_PROBE_##name:          \
        statement;                  \
        return 0;

static int FN(probe)(int op, const void *a_, const void *b_, const void *c_, ptrdiff_t n,
                     void *result)
{
    const REAL *a = a_, *b = b_, *c = c_;
    REAL *r = result;
    switch (op) {
        FNN_PROBE_OPS(PROBE_CASE, PROBE_PUT)
    default: return 1;
    }
}
#undef PROBE_CASE
#undef PROBE_PUT
#endif
