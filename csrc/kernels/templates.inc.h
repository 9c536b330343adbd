/* templates.inc.h -- every kernel for one instruction set, f32 then f64, and its pair of tables.
 * Included by isa_*.c after the vocabulary, with FNN_ISA set to the set's name. */

#define VEC FNN_PASTE(T, _v)
#define LANES FNN_PASTE(T, _lanes)
#define TILE_ROWS FNN_PASTE(T, _tile_rows)
#define TILE_VECTORS FNN_PASTE(T, _tile_vectors)
#define V(op) FNN_PASTE(T, _##op)
#define FN(name) FNN_PASTE(T, _k_##name)

/* For each vector of a row of `cols` elements, of which it covers `lanes`, from column j on. */
#define EACH_VECTOR(j, lanes, cols)                      \
    for (ptrdiff_t j = 0, lanes; j < (cols); j += LANES) \
        if (lanes = fnn_min(LANES, (cols) - j), true)

#ifndef FNN_TILE_LOOP /* how a set wants the tile's loop over k unrolled: not */
#define FNN_TILE_LOOP
#endif

#define T f32
#define REAL float
#include "dtype.inc.h"
#undef T
#undef REAL

#define T f64
#define REAL double
#include "dtype.inc.h"
#undef T
#undef REAL

const fnn_kernels FNN_PASTE(fnn_kernels_, FNN_ISA)[FNN_NDTYPE] = {
#define FNN_KERNEL(name, ret, args) .name = f32_k_##name,
    [FNN_F32] = {
#include "../kernels.def"
        .lanes = f32_lanes, .tile_rows = f32_tile_rows, .tile_vectors = f32_tile_vectors },
#undef FNN_KERNEL
#define FNN_KERNEL(name, ret, args) .name = f64_k_##name,
    [FNN_F64] = {
#include "../kernels.def"
        .lanes = f64_lanes, .tile_rows = f64_tile_rows, .tile_vectors = f64_tile_vectors },
#undef FNN_KERNEL
};
