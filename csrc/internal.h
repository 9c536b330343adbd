/* internal.h -- what the files of this folder share: compiler macros, the kernel table, scratch
 * memory, and the product that dense.c and network.c are made of. */
#ifndef FNN_INTERNAL_H
#define FNN_INTERNAL_H

#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fastnn.h"

#if !defined(__GNUC__)
#error "fastnn needs GCC or Clang"
#endif

#define FNN_INLINE static inline __attribute__((always_inline))
#define FNN_PRAGMA(x) _Pragma(#x)

#if defined(__clang__)
#define FNN_UNROLL _Pragma("clang loop unroll(full)")
#define FNN_UNROLL_BY(n) FNN_PRAGMA(clang loop unroll_count(n))
#define FNN_TARGET_BEGIN(isa) \
    FNN_PRAGMA(clang attribute push(__attribute__((target(isa))), apply_to = function))
#define FNN_TARGET_END _Pragma("clang attribute pop")
#else
#define FNN_UNROLL _Pragma("GCC unroll 32")
#define FNN_UNROLL_BY(n) FNN_PRAGMA(GCC unroll n)
#define FNN_TARGET_BEGIN(isa) FNN_PRAGMA(GCC push_options) FNN_PRAGMA(GCC target(isa))
#define FNN_TARGET_END FNN_PRAGMA(GCC pop_options)
#endif

#define FNN_PASTE(a, b) FNN_PASTE_(a, b)
#define FNN_PASTE_(a, b) a##b

#if defined(__x86_64__)
#define FNN_X86 1
#elif defined(__aarch64__)
#define FNN_AARCH64 1
#endif

FNN_INLINE ptrdiff_t fnn_min(ptrdiff_t a, ptrdiff_t b) { return a < b ? a : b; }
FNN_INLINE ptrdiff_t fnn_round_up(ptrdiff_t a, ptrdiff_t step)
{
    return (a + step - 1) / step * step;
}
FNN_INLINE size_t fnn_sizeof(fnn_dtype dt)
{
    return dt == FNN_F32 ? sizeof(float) : sizeof(double);
}

/* Byte address of element `offset`. */
FNN_INLINE const void *fnn_at(fnn_dtype dt, const void *p, ptrdiff_t offset)
{
    return (const char *)p + offset * (ptrdiff_t)fnn_sizeof(dt);
}
FNN_INLINE void *fnn_at_out(fnn_dtype dt, void *p, ptrdiff_t offset)
{
    return (char *)p + offset * (ptrdiff_t)fnn_sizeof(dt);
}
/* Element `i` of an array, as a double. */
FNN_INLINE double fnn_get(fnn_dtype dt, const void *p, ptrdiff_t i)
{
    return dt == FNN_F32 ? (double)((const float *)p)[i] : ((const double *)p)[i];
}
FNN_INLINE void fnn_put(fnn_dtype dt, void *p, ptrdiff_t i, double value)
{
    if (dt == FNN_F32)
        ((float *)p)[i] = (float)value;
    else
        ((double *)p)[i] = value;
}
FNN_INLINE fnn_in fnn_as_in(fnn_out v)
{
    return (fnn_in){ v.data, v.rows, v.cols, v.rs, v.cs };
}

/* Rows i .. i + n - 1. */
FNN_INLINE fnn_in fnn_slice(fnn_dtype dt, fnn_in v, ptrdiff_t i, ptrdiff_t n)
{
    return (fnn_in){ fnn_at(dt, v.data, i * v.rs), n, v.cols, v.rs, v.cs };
}
FNN_INLINE fnn_out fnn_slice_out(fnn_dtype dt, fnn_out v, ptrdiff_t i, ptrdiff_t n)
{
    return (fnn_out){ fnn_at_out(dt, v.data, i * v.rs), n, v.cols, v.rs, v.cs };
}

/* ---- what kernels are given --------------------------------------------------------------- */

/* Sums along a row (of exponentials, of squares) run in this many lanes, folded in one fixed order,
 * on every instruction set. */
enum { FNN_SUM_LANES = 16 };

/* Rows that will be needed soon, in places that the hardware cannot foresee: a product has a few
 * of their cache lines fetched after each tile, so that the fetching costs no time of its own. */
typedef struct {
    const char *const *row;
    ptrdiff_t rows, bytes; /* of each row */
    ptrdiff_t at_row, at_byte;
} fnn_ahead;

FNN_INLINE void fnn_fetch_ahead(fnn_ahead *ahead)
{
    enum { LINES = 12, LINE = 64 };
    for (int i = 0; i < LINES && ahead->at_row < ahead->rows; i++) {
        __builtin_prefetch(ahead->row[ahead->at_row] + ahead->at_byte, 0, 2);
        ahead->at_byte += LINE;
        if (ahead->at_byte >= ahead->bytes) {
            ahead->at_byte = 0;
            ahead->at_row++;
        }
    }
}

/* One panel of a product: y = act(start + x w) * a_act'(a), for n rows and `cols` columns.
 * Row stride of w is w_rs, its columns are contiguous and readable up to a whole vector; start is
 * y itself (accumulate), or bias, or zero. Each element is one chain of FMAs in the order of k. */
typedef struct {
    ptrdiff_t n, k, cols;
    const void *x;
    ptrdiff_t x_rs, x_cs;
    bool x_streams; /* x comes from memory: a tile has the rows after its own fetched meanwhile */
    const void *w;
    ptrdiff_t w_rs, w_ps; /* every tile_vectors vectors are w_ps elements after those before */
    int w_vectors;        /* width of the panel: 1, 2, 4 or 8 vectors */
    void *y;
    ptrdiff_t y_rs, y_cs;
    const void *bias;
    bool accumulate;
    fnn_act act;
    const void *a; /* NULL, or (n, cols) with contiguous columns: multiply by a_act'(a) */
    ptrdiff_t a_rs;
    fnn_act a_act;
    fnn_ahead *ahead; /* or NULL */
} fnn_panel;

/* y = act(start + x w) for one row x (k,) and w (k, m), as in fnn_panel; everything is contiguous but w,
 * whose rows are readable up to a whole vector. */
typedef struct {
    ptrdiff_t k, m;
    const void *x, *w;
    ptrdiff_t w_rs, w_ps;
    const void *bias;
    fnn_act act;
    void *y;
} fnn_one_row;

/* y = act(start + x w) for n sparse rows x; start is y itself (accumulate), or bias, or zero. Row i is
 * row rows[i] of a matrix whose row r has values[p] in column places[p], starts[r] <= p < starts[r + 1].
 * The columns of w and y are contiguous; no element past `cols` is read. */
typedef struct {
    ptrdiff_t n, cols;
    const void *values, *places; /* places: int64 if wide, else int32 */
    bool wide;
    const int64_t *starts, *rows; /* rows NULL: 0, 1, 2, ... */
    const void *w;
    ptrdiff_t w_rs, w_ps; /* as in fnn_panel */
    void *y;
    ptrdiff_t y_rs;
    const void *bias;
    bool accumulate;
    fnn_act act;
} fnn_sparse;

/* Rows of a loss; the columns of z, targets and dz are contiguous. */
typedef struct {
    ptrdiff_t n, c;
    const void *z;
    ptrdiff_t z_rs;
    const int64_t *labels; /* or NULL */
    const void *targets;
    ptrdiff_t targets_rs;
    const void *weights; /* or NULL */
    double scale;        /* 1 / sum of the weights */
    double delta;        /* of huber_loss */
    void *dz;
    ptrdiff_t dz_rs;
    double *losses; /* NULL, or where each row's loss times its weight goes */
} fnn_loss_rows;

/* Which elements of a matrix are dropped: row `row` + i, column `col` + j of it to mask (n, m), which is
 * 0 if the element's number is below `least`, of 2^32 possible ones, else scale. */
typedef struct {
    uint64_t key;
    ptrdiff_t row, col, n, m;
    uint32_t least;
    double scale;
    void *mask;
    ptrdiff_t mask_rs;
} fnn_mask;

/* A bijection after which close numbers have nothing to do with each other: the one of SplitMix (G. Steele,
 * D. Lea, C. Flood, 2014). */
FNN_INLINE uint64_t fnn_mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

/* Squared distances of the rows in `panels` panels of x to c means (c, d), rows ld apart, into
 * squares (c, panels * W), rows squares_ld apart: sums over p of (((x - mean) - low) * scale)^2.
 * scale may be NULL, which is 1, and with a scale low may be NULL, which is 0. */
typedef struct {
    ptrdiff_t d, c, panels;
    const void *x, *mean, *low, *scale;
    ptrdiff_t ld;
    void *squares;
    ptrdiff_t squares_ld;
} fnn_distances;

typedef struct {
#define FNN_KERNEL(name, ret, args) ret(*name) args;
#include "kernels.def"
#undef FNN_KERNEL
    int lanes, tile_rows, tile_vectors;
} fnn_kernels;

/* One pair of tables for each isa_*.c; those of other machines do not exist. */
extern const fnn_kernels fnn_kernels_scalar[FNN_NDTYPE];
extern const fnn_kernels fnn_kernels_neon[FNN_NDTYPE];
extern const fnn_kernels fnn_kernels_avx2[FNN_NDTYPE];
extern const fnn_kernels fnn_kernels_avx512[FNN_NDTYPE];

/* The table in use for dt, or NULL when FASTNN_ISA names a set that is not there. */
const fnn_kernels *fnn_kernels_for(fnn_dtype dt);
/* One set's pair of tables, or NULL; for tests. */
const fnn_kernels *fnn_kernels_of(fnn_isa isa);

/* ---- scratch memory (workspace.c) --------------------------------------------------------- */

/* A place that keeps one block between calls, so that steady work allocates nothing. Two calls at
 * once are safe: the second one finds the place empty and allocates. */
typedef struct { void *_Atomic block; } fnn_workspace;

/* 64-byte aligned memory of at least `bytes`, or NULL. */
void *fnn_workspace_take(fnn_workspace *ws, size_t bytes);
void fnn_workspace_give(fnn_workspace *ws, void *memory);
void fnn_workspace_clear(fnn_workspace *ws);

/* Aligned, zeroed, or NULL. */
void *fnn_alloc(size_t bytes);
void fnn_free(void *memory);

/* The place shared by the functions that have none of their own. */
extern fnn_workspace fnn_shared_workspace;

/* *total += a * b elements of dt, each part rounded up to whole cache lines; false on overflow. */
bool fnn_reserve(size_t *total, fnn_dtype dt, ptrdiff_t a, ptrdiff_t b);

/* Hand out the parts of a block in the order in which they were reserved. */
void *fnn_part(char **cursor, fnn_dtype dt, ptrdiff_t a, ptrdiff_t b);

/* ---- threads (threads.c) ------------------------------------------------------------------ */

enum { FNN_MOST_THREADS = 128 };

/* The work that is worth a thread of its own, in floating-point operations of a product: some
 * microseconds, where handing it over takes a few tenths of one. */
#define FNN_PART_WORK 1e6

/* In how many parts to do so much work: as many as there are threads, or fewer if it is little. */
int fnn_parts(double work);

/* Call task(context, part, parts) for part = 0 .. parts - 1, from several threads if there are any to
 * be had, and return when all calls have returned. Parts may not wait for each other. */
typedef void (*fnn_task)(void *context, int part, int parts);
void fnn_run(int parts, fnn_task task, void *context);

/* Where part number `part` of `count` things begins; it ends where the next one begins. */
FNN_INLINE ptrdiff_t fnn_share(ptrdiff_t count, int part, int parts)
{
    return count / parts * part + fnn_min(count % parts, part);
}

/* The processors that this process may use. */
int fnn_processors(void);

/* ---- the product (dense.c) ---------------------------------------------------------------- */

/* The right-hand factor as panels read it: the first direct_cols columns in place, the others
 * packed. See dense.c. */
typedef struct {
    fnn_in w;
    ptrdiff_t direct_cols;
    int vectors;          /* that a tile takes at once */
    ptrdiff_t width;      /* of the packed panels */
    const void *packed;   /* panel after panel, each w.rows x width */
    void *panel;          /* each part's room for a copy of a direct panel; NULL: read in place */
    ptrdiff_t panel_size;
} fnn_rhs;

/* y = act(start + x w) * a_act'(a); the fields mean what they do in fnn_panel. */
typedef struct {
    fnn_in x;
    bool x_streams;
    fnn_rhs w;
    fnn_out y;
    const void *bias;
    bool accumulate;
    fnn_act act;
    fnn_in a; /* data NULL: no factor; cs == 1 */
    fnn_act a_act;
} fnn_product;

/* Make w the factor of products of n rows in so many parts. The scratch memory that this takes is
 * first added to *bytes, then cut from *scratch. */
bool fnn_rhs_reserve(const fnn_kernels *kn, fnn_dtype dt, ptrdiff_t n, fnn_in w, int parts,
                     size_t *bytes);
fnn_rhs fnn_rhs_prepare(const fnn_kernels *kn, fnn_dtype dt, ptrdiff_t n, fnn_in w, int parts,
                        char **scratch);
/* The same without any, for a w whose columns are contiguous, whose rows are readable to whole cache
 * lines, and do not lie badly for the cache. */
fnn_rhs fnn_rhs_direct(const fnn_kernels *kn, ptrdiff_t n, fnn_in w);

/* Panels as wide as the main tile that hold all of w, `k x fnn_panels_row()` elements. */
ptrdiff_t fnn_panels_row(const fnn_kernels *kn, ptrdiff_t m);
void fnn_panels_pack(const fnn_kernels *kn, fnn_dtype dt, fnn_in w, void *panels);
void fnn_panels_unpack(const fnn_kernels *kn, fnn_dtype dt, const void *panels, fnn_out w);
fnn_rhs fnn_rhs_panels(const fnn_kernels *kn, ptrdiff_t n, ptrdiff_t k, ptrdiff_t m,
                       const void *panels);
void fnn_multiply(const fnn_kernels *kn, fnn_dtype dt, const fnn_product *p);
/* The same, the rows of y divided among threads; the scratch memory of w must be for as many. */
void fnn_multiply_in_parts(const fnn_kernels *kn, fnn_dtype dt, const fnn_product *p, int parts);
/* The part of it that computes columns j .. end - 1, for a w in panels or in place without scratch
 * memory; j is a multiple of a panel's width. */
fnn_product fnn_product_columns(fnn_dtype dt, fnn_product p, ptrdiff_t j, ptrdiff_t end);

/* The upper triangle of u' wu, for two matrices of one shape of at most 256 rows (one block of K);
 * wu's columns are contiguous and readable to whole cache lines. */
void fnn_gram(const fnn_kernels *kn, fnn_dtype dt, fnn_in u, fnn_in wu, fnn_out gram);

/* The row stride for rows of `cols` elements: whole cache lines, of an odd number where there are
 * many, so that neighbouring rows do not compete for the same places of a cache. Below cols on
 * overflow. */
FNN_INLINE ptrdiff_t fnn_leading(fnn_dtype dt, ptrdiff_t cols)
{
    const ptrdiff_t line = 64 / (ptrdiff_t)fnn_sizeof(dt);
    if (cols > PTRDIFF_MAX - 2 * line)
        return -1;
    const ptrdiff_t lines = (cols + line - 1) / line;
    return (lines >= 8 ? lines | 1 : lines) * line;
}

/* ---- sparse rows (sparse.c) --------------------------------------------------------------- */

/* The row where part number `part` begins, so that all have about as many values. */
ptrdiff_t fnn_csr_share(const fnn_csr *x, int part, int parts);
/* The work of a product of n sparse rows with m columns, as fnn_parts counts it. */
double fnn_sparse_work(double stored, ptrdiff_t n, ptrdiff_t m);

/* ---- views (view.c) ----------------------------------------------------------------------- */

bool fnn_has_shape(fnn_in v, ptrdiff_t rows, ptrdiff_t cols);
bool fnn_same_view(fnn_in a, fnn_in b);

/* Whether a and b may share memory: false for columns side by side in rows of one length, else as
 * their extents say, so also true for interleaved views that share none. */
bool fnn_overlap(fnn_dtype dt, fnn_in a, fnn_in b);

/* FNN_OK if `out` can take results: no element of it twice, none of the inputs' (those whose data
 * is NULL are passed over). */
fnn_status fnn_check_out(fnn_dtype dt, fnn_out out, const fnn_in *inputs, int count);

/* Row kernels want contiguous columns. These give rows i .. i + n - 1 of a view in place when they
 * are so, else by way of scratch, whose rows are `cols` apart: rows_in copies there, rows_at says
 * where results go, and rows_back brings these home. */
enum { FNN_ROW_BLOCK = 64 };
const void *fnn_rows_in(fnn_dtype dt, fnn_in v, ptrdiff_t i, ptrdiff_t n, void *scratch,
                        ptrdiff_t *rs);
void *fnn_rows_at(fnn_dtype dt, fnn_out v, ptrdiff_t i, void *scratch, ptrdiff_t *rs);
void fnn_rows_back(fnn_dtype dt, fnn_out v, ptrdiff_t i, ptrdiff_t n, const void *scratch);

/* Copy element by element; shapes are equal. */
void fnn_copy(fnn_dtype dt, fnn_in from, fnn_out to);

/* ---- losses (loss.c) ---------------------------------------------------------------------- */

/* FNN_OK if y fits (n, c) logits: its shape, and every label in range. */
fnn_status fnn_check_targets(fnn_loss fn, fnn_targets y, ptrdiff_t n, ptrdiff_t c);
double fnn_weight(fnn_dtype dt, fnn_targets y, ptrdiff_t i);
double fnn_loss_block(const fnn_kernels *kn, fnn_loss fn, const fnn_loss_rows *rows);

#endif
