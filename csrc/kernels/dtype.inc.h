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

/* Lane l of row i becomes lane i of row l, for as many rows as lanes: blocks of 2 x 2, whose places
 * off the diagonal change, then blocks of those. */
FNN_INLINE void FN(transpose)(VEC *rows)
{
    FNN_UNROLL
    for (int half = 1; half < LANES; half *= 2) {
        REAL side[LANES]; /* negative in the lanes of the right half of each block */
        FNN_UNROLL
        for (int l = 0; l < LANES; l++)
            side[l] = l & half ? -1 : 1;
        const VEC right = V(load)(side);
        FNN_UNROLL
        for (int i = 0; i < LANES; i++) {
            if (i & half)
                continue;
            const VEC a = rows[i], b = rows[i + half];
            rows[i] = V(select_sign)(right, V(exchange)(b, half), a);
            rows[i + half] = V(select_sign)(right, b, V(exchange)(a, half));
        }
    }
}

#include "vmath.inc.h"
#include "gemm.inc.h"
#include "sparse.inc.h"
#include "rows.inc.h"
#include "loss.inc.h"
#include "gaussian.inc.h"
#include "moments.inc.h"
#include "factor.inc.h"
#include "optim.inc.h"
#ifdef FNN_TESTING
#include "probe.inc.h"
#endif
