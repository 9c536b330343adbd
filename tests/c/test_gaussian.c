/* test_gaussian.c -- densities and posteriors by their public functions: against the formulas, the
 * same for a row in any batch, NaN where it belongs. */
#include "naive_models.h"
#include "suites.h"

enum { MOST_CLASSES = 10, MOST_DIMENSIONS = 130 };

static ptrdiff_t panel_rows(const variant *v) { return v->kn->tile_vectors * v->kn->lanes; }
static ptrdiff_t outputs(fnn_posterior what, ptrdiff_t c)
{
    return what == FNN_LOG_DENSITY || what == FNN_LABEL ? 1 : c;
}

/* Around a tile's rows, up to two blocks of a factorisation. */
static const ptrdiff_t dimensions[] = { 1, 2, 3, 13, 14, 15, 16, 17, 29, 64, 65, MOST_DIMENSIONS };
static const ptrdiff_t class_counts[] = { 1, 2, 3, 5, MOST_CLASSES };
enum {
    DIMENSIONS = sizeof dimensions / sizeof *dimensions, QUICK_DIMENSIONS = 9,
    CLASS_COUNTS = sizeof class_counts / sizeof *class_counts
};

static const double offsets[MOST_CLASSES] = { -0.5, -3, 0.25, -1, 0, 2, -7, 0.125, -0.75, 1 };

/* ---- values ------------------------------------------------------------------------------- */

/* Check all that can be asked about rows 0, step, 2 step, ... and the last one. */
static void check_rows(const naive_gaussians *g, const double *added, fnn_in x, const matrix *y,
                       ptrdiff_t step)
{
    approx joint[MOST_CLASSES], differences[MOST_CLASSES];
    double worst[FNN_NPOSTERIOR] = { 0 }, got[MOST_CLASSES];
    for (ptrdiff_t i = 0; i < x.rows; i = i < x.rows - 1 ? fnn_min(i + step, x.rows - 1) : x.rows) {
        naive_joint(g, FNN_JOINT, added, x, i, joint);
        naive_joint(g, FNN_PROBA, added, x, i, differences);
        for (int w = 0; w < FNN_NPOSTERIOR; w++) {
            const bool whole = w == FNN_JOINT || w == FNN_LOG_DENSITY;
            for (ptrdiff_t k = 0; k < y[w].v.cols; k++)
                got[k] = at(&y[w], i, k);
            worst[w] = fmax(worst[w], miss_posterior(g->dt, (fnn_posterior)w, g->c,
                                                     whole ? joint : differences, got));
        }
    }
    for (int w = 0; w < FNN_NPOSTERIOR; w++)
        CHECK(worst[w] <= 1, "covariance %d n %td d %td c %td own centres %d strides %td %td %td "
              "%td what %d: %.3g bounds", g->covariance, x.rows, g->d, g->c, g->own_centres, x.rs,
              x.cs, y[w].v.rs, y[w].v.cs, w, worst[w]);
}

typedef struct {
    fnn_covariance covariance;
    int means;
    double base;
    ptrdiff_t n, d, c;
    layout x, y;
    const double *offsets;
} density_case;

static void try_values(const variant *v, const density_case *a)
{
    const ptrdiff_t n = a->n, d = a->d, c = a->c;
    naive_gaussians right = new_naive_gaussians(v->dt, a->covariance, c, d, a->means, a->base, 1);
    fnn_workspace_clear(&fnn_shared_workspace); /* sanitizers see where new memory ends */
    fnn_gaussians *g = new_gaussians(&right);
    fnn_workspace_clear(&fnn_shared_workspace);
    CHECK(a->covariance == FNN_DIAG || right.own_centres == (a->means == FAR_MEANS && c > 1),
          "means %d of %td classes in %td dimensions", a->means, c, d);
    const matrix x = new_matrix(v->dt, n, d, a->x);
    fill_samples(&right, &x, 2);
    const fnn_in x_in = freeze(&x);
    matrix y[FNN_NPOSTERIOR];
    for (int what = 0; what < FNN_NPOSTERIOR; what++) {
        y[what] = new_matrix(v->dt, n, outputs((fnn_posterior)what, c), a->y);
        CHECK(fnn_gaussians_evaluate(g, (fnn_posterior)what, a->offsets, x_in, y[what].v)
              == FNN_OK, "status");
        CHECK(padding_intact(&y[what]), "n %td layout %d what %d: wrote beside y", n, a->y, what);
    }
    check_rows(&right, a->offsets, x_in, y, 1 + n * c * d * d / 20000);
    fnn_gaussians_free(g);
    free_naive_gaussians(&right);
    free_matrices();
}

static void test_values(const variant *v)
{
    const ptrdiff_t w = panel_rows(v), rows[] = { 1, 2, w - 1, w, w + 1, 2 * w + 1 };
    const int levels[] = { FNN_NCOVARIANCE * NMEANS, 2, 6, quick() ? QUICK_DIMENSIONS : DIMENSIONS,
                           CLASS_COUNTS, NLAYOUT, NLAYOUT, 2, 0 };
    int level[MOST_FACTORS];
    for (pairs *p = new_pairs(levels); next_case(p, level);) {
        const ptrdiff_t d = dimensions[level[3]], c = class_counts[level[4]];
        const density_case a = {
            .covariance = (fnn_covariance)(level[0] / NMEANS), .means = level[0] % NMEANS,
            .base = level[1] ? 1e4 : 0, .n = rows[level[2]], .d = d, .c = d > 29 && c > 3 ? 3 : c,
            .x = (layout)level[5], .y = (layout)level[6], .offsets = level[7] ? offsets : NULL,
        };
        try_values(v, &a);
    }
}

/* ---- rows by themselves ------------------------------------------------------------------- */

/* Blocks have 512 rows at most, fewer of many dimensions: however a batch is divided, across blocks
 * too, a row has the same bits; and they are right on either side of a block's end. */
static void try_splits(const variant *v, fnn_covariance covariance, int means, ptrdiff_t n,
                       ptrdiff_t d, ptrdiff_t c)
{
    naive_gaussians right = new_naive_gaussians(v->dt, covariance, c, d, means, 0, 3);
    fnn_gaussians *g = new_gaussians(&right);
    const matrix x = new_matrix(v->dt, n, d, PADDED);
    fill_samples(&right, &x, 4);
    const fnn_in x_in = freeze(&x);
    const ptrdiff_t steps[] = { 1, 100, 7, panel_rows(v), 511, 512, 513 };
    matrix whole[FNN_NPOSTERIOR];
    for (int w = 0; w < FNN_NPOSTERIOR; w++) {
        const fnn_posterior what = (fnn_posterior)w;
        const matrix parts = new_matrix(v->dt, n, outputs(what, c), TRANSPOSED);
        whole[w] = new_matrix(v->dt, n, outputs(what, c), PADDED);
        CHECK(fnn_gaussians_evaluate(g, what, offsets, x_in, whole[w].v) == FNN_OK, "status");
        for (int s = 0; s < (quick() ? 2 : 7); s++) {
            for (ptrdiff_t i = 0; i < n; i += steps[s]) {
                const ptrdiff_t part = fnn_min(steps[s], n - i);
                CHECK(fnn_gaussians_evaluate(g, what, offsets, fnn_slice(v->dt, x_in, i, part),
                                             fnn_slice_out(v->dt, parts.v, i, part)) == FNN_OK,
                      "status");
            }
            CHECK(same_bits(&whole[w], &parts), "covariance %d means %d what %d, %td at a time",
                  covariance, means, w, steps[s]);
        }
    }
    check_rows(&right, offsets, x_in, whole, 17);
    fnn_gaussians_free(g);
    free_naive_gaussians(&right);
    free_matrices();
}

static void test_splits(const variant *v)
{
    for (int covariance = 0; covariance < FNN_NCOVARIANCE; covariance++)
        for (int means = 0; means < NMEANS; means++) {
            try_splits(v, (fnn_covariance)covariance, means, 1030, 3, 2);
            if (!quick())
                try_splits(v, (fnn_covariance)covariance, means, 400, 65, 3);
        }
}

static void test_classify(const variant *v)
{
    enum { N = 70, D = 5, C = 4 };
    for (int covariance = 0; covariance < FNN_NCOVARIANCE; covariance++)
        for (int how = 0; how < NLAYOUT; how++) {
            naive_gaussians right =
                new_naive_gaussians(v->dt, (fnn_covariance)covariance, C, D, how % NMEANS, 0, 5);
            fnn_gaussians *g = new_gaussians(&right);
            const matrix x = new_matrix(v->dt, N, D, (layout)how);
            const matrix y = new_matrix(v->dt, N, 1, CONTIGUOUS);
            int64_t labels[N];
            int seen = 0; /* bit k: class k */
            fill_samples(&right, &x, 6);
            CHECK(fnn_gaussians_evaluate(g, FNN_LABEL, offsets, freeze(&x), y.v) == FNN_OK, "y");
            CHECK(fnn_gaussians_classify(g, offsets, freeze(&x), labels) == FNN_OK, "labels");
            for (ptrdiff_t i = 0; i < N; i++) {
                CHECK((double)labels[i] == at(&y, i, 0), "label of row %td", i);
                seen |= 1 << labels[i];
            }
            CHECK((seen & 0xd) == 0xd, "classes 0x%x of covariance %d", seen, covariance);
            fnn_gaussians_free(g);
            free_naive_gaussians(&right);
            free_matrices();
        }
}

/* A row with NaN or infinity is as it was alone, and the others as they were without it. */
static void try_special(const variant *v, fnn_covariance covariance, int means, ptrdiff_t c,
                        double special, ptrdiff_t column)
{
    enum { N = 70, D = 18, AT = 5 };
    naive_gaussians right = new_naive_gaussians(v->dt, covariance, c, D, means, 0, 7);
    fnn_gaussians *g = new_gaussians(&right);
    const matrix x = new_matrix(v->dt, N, D, PADDED), z = new_matrix(v->dt, N, D, PADDED);
    fill_samples(&right, &x, 8);
    fill_samples(&right, &z, 8);
    put(v->dt, z.v, AT, column, special);
    for (int w = 0; w < FNN_NPOSTERIOR; w++) {
        const ptrdiff_t cols = outputs((fnn_posterior)w, c);
        const matrix before = new_matrix(v->dt, N, cols, PADDED);
        const matrix after = new_matrix(v->dt, N, cols, PADDED);
        const fnn_posterior what = (fnn_posterior)w;
        CHECK(fnn_gaussians_evaluate(g, what, NULL, freeze(&x), before.v) == FNN_OK, "before");
        CHECK(fnn_gaussians_evaluate(g, what, NULL, freeze(&z), after.v) == FNN_OK, "after");
        for (ptrdiff_t i = 0; i < N; i++)
            for (ptrdiff_t k = 0; k < cols; k++)
                if (i != AT)
                    CHECK(at(&before, i, k) == at(&after, i, k), "row %td for what %d", i, w);
                else if (isnan(special) && what == FNN_LABEL)
                    CHECK(at(&after, i, k) == 0, "label %g of NaN", at(&after, i, k));
                else if (isnan(special))
                    CHECK(isnan(at(&after, i, k)), "covariance %d means %d what %d: %g of NaN",
                          covariance, means, w, at(&after, i, k));
                else if (what == FNN_JOINT || what == FNN_LOG_DENSITY) /* inf - inf is NaN */
                    CHECK(!(at(&after, i, k) > -INFINITY), "log density %g at infinity",
                          at(&after, i, k));
    }
    fnn_gaussians_free(g);
    free_naive_gaussians(&right);
    free_matrices();
}

static void test_special(const variant *v)
{
    for (int covariance = 0; covariance < FNN_NCOVARIANCE; covariance++)
        for (int means = 0; means < NMEANS; means++)
            for (ptrdiff_t c = 1; c <= 3; c += 2)
                for (ptrdiff_t column = 0; column < 18; column += 17) {
                    try_special(v, (fnn_covariance)covariance, means, c, NAN, column);
                    try_special(v, (fnn_covariance)covariance, means, c, INFINITY, column);
                }
}

/* ---- logarithms of sums ------------------------------------------------------------------- */

static void try_log_sums(const variant *v, ptrdiff_t n, ptrdiff_t c, layout from, layout to,
                         data_kind kind)
{
    enum { MOST = 257 };
    const fnn_dtype dt = v->dt;
    const matrix z = new_matrix(dt, n, c, from), p = new_matrix(dt, n, c, to);
    const matrix sum = new_matrix(dt, n, 1, to), place = new_matrix(dt, n, c, to);
    fill(&z, kind, 9);
    fnn_copy(dt, fnn_as_in(z.v), place.v);
    const fnn_in z_in = freeze(&z);
    CHECK(fnn_log_softmax(dt, z_in, p.v) == FNN_OK, "log_softmax");
    CHECK(fnn_log_softmax(dt, fnn_as_in(place.v), place.v) == FNN_OK, "log_softmax in place");
    CHECK(fnn_logsumexp(dt, z_in, sum.v) == FNN_OK, "logsumexp");
    CHECK(same_bits(&p, &place), "n %td c %td layout %d in place", n, c, to);
    CHECK(padding_intact(&p) && padding_intact(&place) && padding_intact(&sum), "wrote beside y");
    double worst = 0;
    for (ptrdiff_t i = 0; i < n; i++) {
        approx z_i[MOST];
        double p_i[MOST], sum_i = at(&sum, i, 0);
        for (ptrdiff_t k = 0; k < c; k++) {
            z_i[k] = exactly(at(&z, i, k));
            p_i[k] = at(&p, i, k);
        }
        worst = fmax(worst, miss_posterior(dt, FNN_LOG_PROBA, c, z_i, p_i));
        worst = fmax(worst, miss_posterior(dt, FNN_LOG_DENSITY, c, z_i, &sum_i));
    }
    CHECK(worst <= 1, "n %td c %td layouts %d %d kind %d: %.3g bounds", n, c, from, to, kind,
          worst);
    free_matrices();
}

static void test_log_sums(const variant *v)
{
    const ptrdiff_t w = panel_rows(v), rows[] = { 0, 1, w - 1, w, w + 1, 67 };
    const ptrdiff_t cols[] = { 1, 2, 3, 17, quick() ? 18 : 257 };
    const int levels[] = { 6, 5, NLAYOUT, NLAYOUT, 3, 0 };
    int level[MOST_FACTORS];
    for (pairs *p = new_pairs(levels); next_case(p, level);)
        try_log_sums(v, rows[level[0]], cols[level[1]], (layout)level[2], (layout)level[3],
                     (data_kind)level[4]);
}

/* Logits that just do not overflow when they are subtracted; infinite ones; NaN. */
static void test_extreme_logits(const variant *v)
{
    enum { C = 5 };
    const fnn_dtype dt = v->dt;
    const double most = dt == FNN_F32 ? FLT_MAX : DBL_MAX, inf = INFINITY;
    const struct { double z[C], sum, p[C]; } cases[] = {
        { { most / 4, -most / 4, 0, 1, -1 }, most / 4,
          { 0, -most / 2, -most / 4, -most / 4, -most / 4 } },
        { { 0, -inf, -inf, -inf, -inf }, 0, { 0, -inf, -inf, -inf, -inf } },
        { { -most, -inf, -inf, -inf, -inf }, -most, { 0, -inf, -inf, -inf, -inf } },
        { { -inf, -inf, -inf, -inf, -inf }, -inf, { NAN, NAN, NAN, NAN, NAN } },
        { { 0, 1, NAN, 2, 3 }, NAN, { NAN, NAN, NAN, NAN, NAN } },
        { { 0, inf, -inf, 1, 2 }, inf, { -inf, NAN, -inf, -inf, -inf } },
    };
    enum { CASES = sizeof cases / sizeof *cases };
    const matrix z = new_matrix(dt, CASES, C, PADDED), p = new_matrix(dt, CASES, C, PADDED);
    const matrix sum = new_matrix(dt, CASES, 1, PADDED);
    for (int i = 0; i < CASES; i++)
        for (int k = 0; k < C; k++)
            put(dt, z.v, i, k, cases[i].z[k]);
    CHECK(fnn_log_softmax(dt, freeze(&z), p.v) == FNN_OK, "status");
    CHECK(fnn_logsumexp(dt, freeze(&z), sum.v) == FNN_OK, "status");
    for (int i = 0; i < CASES; i++) {
        CHECK(miss(at(&sum, i, 0), exactly(cases[i].sum)) == 0, "case %d: sum %g", i,
              at(&sum, i, 0));
        for (int k = 0; k < C; k++)
            CHECK(miss(at(&p, i, k), exactly(cases[i].p[k])) == 0, "case %d: p[%d] is %g", i, k,
                  at(&p, i, k));
    }
}

/* ---- one Gaussian a row ------------------------------------------------------------------- */

static void try_paired(const variant *v, ptrdiff_t n, ptrdiff_t d, const layout *how, double base)
{
    const fnn_dtype dt = v->dt;
    const matrix x = new_matrix(dt, n, d, how[0]), means = new_matrix(dt, n, d, how[1]);
    const matrix factors = new_matrix(dt, n, d * d, how[2]), y = new_matrix(dt, n, 1, how[3]);
    for (ptrdiff_t i = 0; i < n; i++) {
        naive_gaussians g =
            new_naive_gaussians(dt, FNN_SHARED, 1, d, NEAR_MEANS, base, (uint64_t)i + 11);
        const matrix row = { .dt = dt, .v = fnn_slice_out(dt, x.v, i, 1) };
        fill_samples(&g, &row, (uint64_t)i);
        for (ptrdiff_t e = 0; e < d * d; e++)
            put(dt, factors.v, i, e, g.factors[e]);
        for (ptrdiff_t j = 0; j < d; j++)
            put(dt, means.v, i, j, g.means[j]);
        free_naive_gaussians(&g);
    }
    const fnn_in x_in = freeze(&x), means_in = freeze(&means), factors_in = freeze(&factors);
    CHECK(fnn_gaussian_paired(dt, x_in, means_in, factors_in, y.v) == FNN_OK, "status");
    double worst = 0;
    for (ptrdiff_t i = 0; i < n; i++)
        worst = fmax(worst, miss(at(&y, i, 0), naive_paired(dt, x_in, means_in, factors_in, i)));
    CHECK(worst <= 1, "n %td d %td layouts %d %d %d %d base %g: %.3g bounds", n, d, how[0], how[1],
          how[2], how[3], base, worst);
    CHECK(padding_intact(&y), "n %td d %td: wrote beside y", n, d);
    free_matrices();
}

static void test_paired(const variant *v)
{
    const int levels[] = { quick() ? QUICK_DIMENSIONS : DIMENSIONS, 3, NLAYOUT, NLAYOUT,
                           NROW_LAYOUT, NLAYOUT, 2, 0 };
    int level[MOST_FACTORS];
    for (pairs *p = new_pairs(levels); next_case(p, level);) {
        const layout how[] = { (layout)level[2], (layout)level[3], (layout)level[4],
                               (layout)level[5] };
        try_paired(v, level[1], dimensions[level[0]], how, level[6] ? 1e4 : 0);
    }
}

static const test gaussians_tests[] = {
    { "values", test_values }, { "splits", test_splits }, { "classify", test_classify },
    { "special", test_special }, { "log sums", test_log_sums },
    { "extreme logits", test_extreme_logits }, { "paired", test_paired },
};
SUITE(gaussians, GUARDED);
