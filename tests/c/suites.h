/* suites.h -- the suites, one for each test_*.c or so, in the order in which they run. */
#ifndef FNN_SUITES_H
#define FNN_SUITES_H

#include "harness.h"
#include "oracle.h"

#define SUITES(S) \
    S(dispatch) S(harness) S(oracles) S(kernels) S(vmath) S(dense) S(extremes) S(refusals) \
    S(network) S(training) S(gaussians) S(moments) S(linear) S(sparse) \
    S(factor) S(models) S(memory) S(bits) S(golden) S(pool) S(panels) S(threads)

#define SUITE_DECLARE(id) extern const suite suite_##id;
SUITES(SUITE_DECLARE)
#undef SUITE_DECLARE

/* One test for each kernel. A kernel without one does not link. */
#define FNN_KERNEL(name, ret, args) test_function test_##name;
#include "kernels.def"
#undef FNN_KERNEL

void print_golden(void);

#endif
