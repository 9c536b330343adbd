/* dtype.inc.h -- every kernel for one instruction set and one dtype (T, REAL). */

/* A vector of which `lanes` count: all of them, but for the last of a row. */
FNN_INLINE VEC FN(get)(const REAL *p, ptrdiff_t lanes)
{
    return lanes == LANES ? V(load)(p) : V(load_n)(p, lanes, V(set1)(0));
}
FNN_INLINE void FN(put)(REAL *p, VEC v, ptrdiff_t lanes)
{
    if (lanes == LANES)
        V(store)(p, v);
    else
        V(store_n)(p, v, lanes);
}

#include "vmath.inc.h"
#include "gemm.inc.h"
#include "rows.inc.h"
#include "loss.inc.h"
#include "gaussian.inc.h"
#include "moments.inc.h"
#include "factor.inc.h"
#include "optim.inc.h"
#ifdef FNN_TESTING
#include "probe.inc.h"
#endif
