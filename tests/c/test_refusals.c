/* test_refusals.c -- shapes, overlaps and values that the public functions refuse, and those near
 * by that they take. Everything lies in one buffer of 16 rows of 16. */
#include "suites.h"

enum { SIDE = 16 };
static double buffer[4 * SIDE * SIDE];

static fnn_out block(const variant *v, ptrdiff_t first, ptrdiff_t rows, ptrdiff_t cols,
                     ptrdiff_t rs,
                     ptrdiff_t cs)
{
    return (fnn_out){ fnn_at_out(v->dt, buffer, first), rows, cols, rs, cs };
}
static fnn_in in_block(const variant *v, ptrdiff_t first, ptrdiff_t rows, ptrdiff_t cols)
{
    return fnn_as_in(block(v, first, rows, cols, SIDE, 1));
}
enum { QUARTER = SIDE * SIDE }; /* elements apart from all that lies before */

static fnn_in reshaped(fnn_in v, int by)
{
    v.rows += by == 1;
    v.cols += by == 2;
    return v;
}
static fnn_out reshaped_out(fnn_out v, int by)
{
    v.rows += by == 1;
    v.cols += by == 2;
    return v;
}

static void test_forward_shapes(const variant *v)
{
    for (int arg = 0; arg < 4; arg++)
        for (int by = 1; by <= 2; by++) {
            const int change[4] = { arg == 0 ? by : 0, arg == 1 ? by : 0, arg == 2 ? by : 0,
                                    arg == 3 ? by : 0 };
            const fnn_status status = fnn_dense_forward(
                v->dt, FNN_TANH, reshaped(in_block(v, 0, 3, 4), change[0]),
                reshaped(in_block(v, QUARTER, 4, 5), change[1]),
                reshaped(in_block(v, 2 * QUARTER, 1, 5), change[2]),
                reshaped_out(block(v, 3 * QUARTER, 3, 5, SIDE, 1), change[3]));
            CHECK(status == FNN_ESHAPE, "argument %d, dimension %d: %d", arg, by, status);
        }
}

static void test_backward_shapes(const variant *v)
{
    for (int arg = 0; arg < 7; arg++)
        for (int by = 1; by <= 2; by++) {
            const fnn_in x = in_block(v, 0, 3, 4), w = in_block(v, 8, 4, 5);
            const fnn_in y = in_block(v, 64, 3, 5), dy = in_block(v, 72, 3, 5);
            const fnn_out dx = block(v, QUARTER, 3, 4, SIDE, 1);
            const fnn_out dw = block(v, 2 * QUARTER, 4, 5, SIDE, 1);
            const fnn_out db = block(v, 3 * QUARTER, 1, 5, SIDE, 1);
#define CHANGE(i) (arg == (i) ? by : 0)
            const fnn_status status = fnn_dense_backward(
                v->dt, FNN_TANH, reshaped(x, CHANGE(0)), reshaped(w, CHANGE(1)),
                reshaped(y, CHANGE(2)), reshaped(dy, CHANGE(3)), reshaped_out(dx, CHANGE(4)),
                reshaped_out(dw, CHANGE(5)), reshaped_out(db, CHANGE(6)));
#undef CHANGE
            CHECK(status == FNN_ESHAPE, "argument %d, dimension %d: %d", arg, by, status);
        }
}

static void test_forward_overlaps(const variant *v)
{
    const fnn_in x = in_block(v, 0, 4, 4), w = in_block(v, QUARTER, 4, 4);
    const fnn_in b = in_block(v, 2 * QUARTER, 1, 4);
    const struct { const char *what; fnn_out y; fnn_status right; } cases[] = {
        { "x itself", block(v, 0, 4, 4, SIDE, 1), FNN_EALIAS },
        { "one element of x", block(v, 3 * SIDE + 3, 4, 4, SIDE, 1), FNN_EALIAS },
        { "columns beside x's", block(v, 4, 4, 4, SIDE, 1), FNN_OK },
        { "columns beside x's, one shared", block(v, 3, 4, 4, SIDE, 1), FNN_EALIAS },
        { "columns that wrap into x's", block(v, SIDE - 3, 4, 4, SIDE, 1), FNN_EALIAS },
        { "rows under x's", block(v, 4 * SIDE, 4, 4, SIDE, 1), FNN_OK },
        { "x upside down", block(v, 3 * SIDE, 4, 4, -SIDE, 1), FNN_EALIAS },
        { "x transposed", block(v, 0, 4, 4, 1, SIDE), FNN_EALIAS },
        { "a column of w", block(v, QUARTER + 3, 4, 4, SIDE, 1), FNN_EALIAS },
        { "the bias", block(v, 2 * QUARTER, 4, 4, SIDE, 1), FNN_EALIAS },
        { "one row again and again", block(v, 3 * QUARTER, 4, 4, 0, 1), FNN_EALIAS },
        { "one column again and again", block(v, 3 * QUARTER, 4, 4, 1, 0), FNN_EALIAS },
        { "rows that run into each other", block(v, 3 * QUARTER, 4, 4, 3, 1), FNN_EALIAS },
        { "rows right after each other", block(v, 3 * QUARTER, 4, 4, 4, 1), FNN_OK },
        { "downwards", block(v, 3 * QUARTER + 3 * SIDE + 3, 4, 4, -SIDE, -1), FNN_OK },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const fnn_status status = fnn_dense_forward(v->dt, FNN_IDENTITY, x, w, b, cases[i].y);
        CHECK(status == cases[i].right, "y is %s: %d", cases[i].what, status);
    }
    fnn_in repeated = x;
    repeated.rs = 0; /* inputs may repeat */
    CHECK(fnn_dense_forward(v->dt, FNN_IDENTITY, repeated, w, b, block(v, 3 * QUARTER, 4, 4, 4, 1))
          == FNN_OK, "x of one row again and again");
}

static void test_backward_overlaps(const variant *v)
{
    const fnn_in x = in_block(v, 0, 4, 4), w = in_block(v, 4, 4, 4), y = in_block(v, 8, 4, 4);
    const fnn_in dy = in_block(v, 12, 4, 4);
    const ptrdiff_t free_place[] = { QUARTER, 2 * QUARTER, 3 * QUARTER };
    /* Each output on each input, and on each output before it. */
    for (int o = 0; o < 3; o++)
        for (int with = 0; with < 4 + o; with++) {
            ptrdiff_t place[] = { free_place[0], free_place[1], free_place[2] };
            place[o] = with < 4 ? 4 * with : free_place[with - 4];
            const fnn_status status = fnn_dense_backward(
                v->dt, FNN_TANH, x, w, y, dy, block(v, place[0], 4, 4, SIDE, 1),
                block(v, place[1], 4, 4, SIDE, 1), block(v, place[2], 1, 4, SIDE, 1));
            CHECK(status == FNN_EALIAS, "output %d on %d: %d", o, with, status);
        }
    CHECK(fnn_dense_backward(v->dt, FNN_TANH, x, w, y, dy, block(v, QUARTER, 4, 4, SIDE, 1),
                             block(v, QUARTER + 4, 4, 4, SIDE, 1),
                             block(v, 3 * QUARTER, 1, 4, SIDE, 1))
          == FNN_OK, "dx and dw side by side in one buffer");
}

static void test_elementwise(const variant *v)
{
    const fnn_in x = in_block(v, 0, 4, 4);
    CHECK(fnn_map(v->dt, FNN_MAP_EXP, x, block(v, 0, 4, 5, SIDE, 1)) == FNN_ESHAPE, "shape");
    CHECK(fnn_softmax(v->dt, x, block(v, 0, 5, 4, SIDE, 1)) == FNN_ESHAPE, "shape");
    CHECK(fnn_softmax(v->dt, in_block(v, 0, 4, 0), block(v, 0, 4, 0, SIDE, 1)) == FNN_ESHAPE,
          "softmax of no classes");
    CHECK(fnn_map(v->dt, FNN_MAP_EXP, x, block(v, 1, 4, 4, SIDE, 1)) == FNN_EALIAS, "moved by one");
    CHECK(fnn_softmax(v->dt, x, block(v, 0, 4, 4, 1, SIDE)) == FNN_EALIAS, "transposed");
    CHECK(fnn_map(v->dt, FNN_MAP_TANH, x, block(v, 0, 4, 4, SIDE, 1)) == FNN_OK, "in place");
    CHECK(fnn_map(v->dt, FNN_MAP_EXP, in_block(v, 0, 4, 0), block(v, 0, 4, 0, SIDE, 1)) == FNN_OK,
          "no columns");
    CHECK(fnn_softmax(v->dt, in_block(v, 0, 0, 4), block(v, 0, 0, 4, SIDE, 1)) == FNN_OK,
          "no rows");
}

static void test_loss_values(const variant *v)
{
    const fnn_in z = in_block(v, 0, 3, 4), y = in_block(v, 4, 3, 4), column = in_block(v, 0, 3, 1);
    const fnn_out dz = block(v, QUARTER, 3, 4, SIDE, 1), dz_1 = block(v, QUARTER, 3, 1, SIDE, 1);
    double loss, huber_delta = 0;
#define STATUS(fn, z, labels, y, weights, dz) \
    fnn_loss_gradient(v->dt, fn, huber_delta, z, ((fnn_targets){ labels, y, weights }), &loss, dz)
    const int64_t good[] = { 0, 3, 2 }, high[] = { 0, 4, 2 }, low[] = { 0, 1, -1 };
    const int64_t bits[] = { 0, 1, 1 };
    CHECK(STATUS(FNN_SOFTMAX_CE, z, good, y, NULL, dz) == FNN_OK, "labels");
    CHECK(STATUS(FNN_SOFTMAX_CE, z, NULL, y, NULL, dz) == FNN_OK, "targets");
    CHECK(STATUS(FNN_SOFTMAX_CE, z, high, y, NULL, dz) == FNN_EVALUE, "a label too high");
    CHECK(STATUS(FNN_SQUARED_ERROR, z, low, y, NULL, dz) == FNN_EVALUE, "a label too low");
    CHECK(STATUS(FNN_SIGMOID_CE, column, bits, y, NULL, dz_1) == FNN_OK, "one column: 0 or 1");
    CHECK(STATUS(FNN_SIGMOID_CE, column, good, y, NULL, dz_1) == FNN_EVALUE, "one column: no 3");
    CHECK(STATUS(FNN_SOFTMAX_CE, column, bits, y, NULL, dz_1) == FNN_EVALUE, "one class: only 0");
    CHECK(STATUS(FNN_SOFTMAX_CE, z, NULL, in_block(v, 4, 3, 5), NULL, dz) == FNN_ESHAPE, "targets");
    CHECK(STATUS(FNN_SOFTMAX_CE, z, good, y, NULL, dz_1) == FNN_ESHAPE, "dz");
    CHECK(STATUS(FNN_SQUARED_ERROR, in_block(v, 0, 0, 4), NULL, in_block(v, 4, 0, 4), NULL,
                 block(v, QUARTER, 0, 4, SIDE, 1)) == FNN_ESHAPE, "no rows");
    CHECK(STATUS(FNN_SQUARED_ERROR, in_block(v, 0, 3, 0), NULL, in_block(v, 4, 3, 0), NULL,
                 block(v, QUARTER, 3, 0, SIDE, 1)) == FNN_ESHAPE, "no columns");
    CHECK(STATUS(FNN_SOFTMAX_CE, z, good, y, NULL, block(v, 0, 3, 4, SIDE, 1)) == FNN_EALIAS,
          "dz is z");
    CHECK(STATUS(FNN_SOFTMAX_CE, z, NULL, y, NULL, block(v, 5, 3, 4, SIDE, 1)) == FNN_EALIAS,
          "dz is on targets");
    CHECK(STATUS(FNN_SOFTMAX_CE, z, good, y, NULL, block(v, 5, 3, 4, SIDE, 1)) == FNN_OK,
          "dz on targets that labels replace");

    const matrix w = new_matrix(v->dt, 1, 3, CONTIGUOUS);
    const double sums[][3] = { { 1, 0, 2 }, { 0, 0, 0 }, { 0, NAN, 0 } };
    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < 3; j++)
            put(v->dt, w.v, 0, j, sums[i][j]);
        CHECK(STATUS(FNN_SOFTMAX_CE, z, good, y, w.v.data, dz) == (i ? FNN_EVALUE : FNN_OK),
              "weights %d", i);
    }
    CHECK(STATUS(FNN_SOFTMAX_CE, z, good, y, dz.data, dz) == FNN_EALIAS, "dz is on weights");
    const double deltas[] = { 0, -1, NAN, 0.5, INFINITY };
    for (int i = 0; i < 5; i++) {
        huber_delta = deltas[i];
        CHECK(STATUS(FNN_HUBER, z, good, y, NULL, dz) == (i < 3 ? FNN_EVALUE : FNN_OK),
              "delta %g", huber_delta);
    }
#undef STATUS
}

static const test refusals_tests[] = {
    { "forward shapes", test_forward_shapes }, { "backward shapes", test_backward_shapes },
    { "forward overlaps", test_forward_overlaps }, { "backward overlaps", test_backward_overlaps },
    { "elementwise", test_elementwise }, { "loss values", test_loss_values },
};
SUITE(refusals, EACH);
