/* test_model_kernels.c -- the kernels under Gaussians, moments, linear models and factorisations:
 * panels of transposed rows, triangular factors, sums over rows. */
#include "suites.h"

/* ---- what they work on -------------------------------------------------------------------- */

static ptrdiff_t panel_rows(const variant *v) { return v->kn->tile_vectors * v->kn->lanes; }

/* An input: full of numbers, and read-only. */
static matrix input(const variant *v, ptrdiff_t rows, ptrdiff_t cols, layout how, uint64_t seed)
{
    const matrix m = new_matrix(v->dt, rows, cols, how);
    fill(&m, NARROW, seed);
    freeze(&m);
    return m;
}

/* Lower triangular with a diagonal from 1 on; NaN above it, where nothing is to be read. */
static matrix factor(const variant *v, ptrdiff_t d, layout how, uint64_t seed)
{
    const matrix l = new_matrix(v->dt, d, d, how);
    fill(&l, NARROW, seed);
    for (ptrdiff_t i = 0; i < d; i++)
        for (ptrdiff_t j = i; j < d; j++)
            put(v->dt, l.v, i, j, j > i ? NAN : 1 + fabs(at(&l, i, i)));
    freeze(&l);
    return l;
}

/* Panels of x: element (p, i) of them is feature p of row i. */
static matrix panels_for(const variant *v, ptrdiff_t panels, ptrdiff_t d)
{
    return new_matrix(v->dt, panels, d * panel_rows(v), CONTIGUOUS);
}
static double in_panel(const variant *v, const matrix *panels, ptrdiff_t p, ptrdiff_t i)
{
    const ptrdiff_t w = panel_rows(v);
    return at(panels, i / w, p * w + i % w);
}

/* start + sum over p of a_p b_p for chains: within (k + 2) eps of the sum of their sizes. */
typedef struct { long double value, magnitude, terms; } chain;
static void add_term(chain *c, long double term)
{
    c->value += term;
    c->magnitude += fabsl(term);
    c->terms++;
}
static approx end_chain(const variant *v, chain c)
{
    return (approx){ c.value, (c.terms + 2) * eps_of(v->dt) * c.magnitude
                              + c.terms * tiny_of(v->dt) };
}
/* A sum in 16 lanes, and four to fold them. */
static approx end_lanes(const variant *v, chain c)
{
    return (approx){ c.value, (floorl(c.terms / 16) + 6) * eps_of(v->dt) * c.magnitude
                              + c.terms * tiny_of(v->dt) };
}

/* The numbers of features that kernels of panels and of factors are tried with. */
static int dimensions(const variant *v, ptrdiff_t *list)
{
    return sizes(v->kn, quick() ? 33 : 67, list);
}

/* ---- panels_in ---------------------------------------------------------------------------- */

static void try_panels_in(const variant *v, ptrdiff_t n, ptrdiff_t d, layout how, bool centred)
{
    const ptrdiff_t w = panel_rows(v), panels = (n + w - 1) / w;
    const matrix x = input(v, n, d, how, 1), centre = input(v, 1, d, CONTIGUOUS, 2);
    const matrix to = panels_for(v, panels, d);
    v->kn->panels_in(n, d, x.v.data, x.v.rs, x.v.cs, centred ? centre.v.data : NULL, to.v.data);
    double worst = 0;
    for (ptrdiff_t i = 0; i < panels * w; i++)
        for (ptrdiff_t p = 0; p < d; p++) {
            const approx c = exactly(centred ? at(&centre, 0, p) : 0);
            worst = fmax(worst, miss(in_panel(v, &to, p, i), i >= n ? exactly(0)
                                     : centred ? subtract(v->dt, exactly(at(&x, i, p)), c)
                                               : exactly(at(&x, i, p))));
        }
    CHECK(worst <= 1, "n %td d %td layout %d centred %d: %.3g bounds", n, d, how, centred, worst);
    free_matrices();
}

void test_panels_in(const variant *v)
{
    const ptrdiff_t w = panel_rows(v), rows[] = { 0, 1, 2, w - 1, w, w + 1, 2 * w, 3 * w + 1 };
    ptrdiff_t size[MOST_SIZES];
    const int levels[] = { 8, dimensions(v, size), NLAYOUT, 2, 0 };
    int level[MOST_FACTORS];
    for (pairs *p = new_pairs(levels); next_case(p, level);)
        try_panels_in(v, rows[level[0]], size[level[1]], (layout)level[2], level[3]);
}

/* ---- whiten ------------------------------------------------------------------------------- */

static void try_whiten(const variant *v, ptrdiff_t d, ptrdiff_t panels, layout how)
{
    const ptrdiff_t w = panel_rows(v);
    const matrix x = panels_for(v, panels, d), y = panels_for(v, panels, d);
    const matrix squares = new_matrix(v->dt, 1, panels * w, CONTIGUOUS);
    const matrix l = factor(v, d, how, 1), start = input(v, 1, d, CONTIGUOUS, 2);
    fill(&x, NARROW, 3);
    freeze(&x);
    v->kn->whiten(d, panels, l.v.data, l.v.rs, start.v.data, x.v.data, y.v.data, NULL);
    v->kn->whiten(d, panels, l.v.data, l.v.rs, start.v.data, x.v.data, NULL, squares.v.data);
    double worst = 0;
    for (ptrdiff_t i = 0; i < panels * w; i++) {
        approx sum = { 0, 0 };
        for (ptrdiff_t j = 0; j < d; j++) {
            chain c = { 0, 0, 0 };
            add_term(&c, at(&start, 0, j));
            for (ptrdiff_t p = 0; p <= j; p++)
                add_term(&c, (long double)at(&l, j, p) * in_panel(v, &x, p, i));
            const approx y_j = end_chain(v, c);
            worst = fmax(worst, miss(in_panel(v, &y, j, i), y_j));
            /* The squares are those of the values that are stored. */
            const approx stored = exactly(in_panel(v, &y, j, i));
            sum = add(v->dt, sum, multiply(v->dt, stored, stored));
        }
        worst = fmax(worst, miss(at(&squares, 0, i), sum));
    }
    CHECK(worst <= 1, "d %td panels %td layout %d: %.3g bounds", d, panels, how, worst);
    free_matrices();
}

void test_whiten(const variant *v)
{
    ptrdiff_t size[MOST_SIZES];
    const int levels[] = { dimensions(v, size), 4, 2, 0 };
    int level[MOST_FACTORS];
    for (pairs *p = new_pairs(levels); next_case(p, level);)
        if (size[level[0]] > 0)
            try_whiten(v, size[level[0]], level[1], level[2] ? PADDED : CONTIGUOUS);
}

/* ---- distances ---------------------------------------------------------------------------- */

enum { PLAIN, SCALED, SCALED_LOW, NSCALE };

static void try_distances(const variant *v, ptrdiff_t d, ptrdiff_t c, ptrdiff_t panels, int scaling,
                          layout how)
{
    const fnn_dtype dt = v->dt;
    const ptrdiff_t w = panel_rows(v);
    const matrix x = panels_for(v, panels, d), squares = new_matrix(dt, c, panels * w, how);
    const matrix mean = input(v, c, d, how, 1), low = input(v, c, d, how, 2);
    const matrix scale = input(v, c, d, how, 3);
    fill(&x, NARROW, 4);
    freeze(&x);
    v->kn->distances(&(fnn_distances){
        .d = d, .c = c, .panels = panels, .x = x.v.data, .mean = mean.v.data, .ld = mean.v.rs,
        .scale = scaling ? scale.v.data : NULL, .low = scaling == SCALED_LOW ? low.v.data : NULL,
        .squares = squares.v.data, .squares_ld = squares.v.rs });
    double worst = 0;
    for (ptrdiff_t i = 0; i < panels * w; i++)
        for (ptrdiff_t k = 0; k < c; k++) {
            approx sum = { 0, 0 };
            for (ptrdiff_t p = 0; p < d; p++) {
                approx u = subtract(dt, exactly(in_panel(v, &x, p, i)), exactly(at(&mean, k, p)));
                if (scaling == SCALED_LOW)
                    u = subtract(dt, u, exactly(at(&low, k, p)));
                if (scaling)
                    u = multiply(dt, u, exactly(at(&scale, k, p)));
                sum = add(dt, sum, multiply(dt, u, u));
            }
            worst = fmax(worst, miss(at(&squares, k, i), sum));
        }
    CHECK(worst <= 1, "d %td c %td panels %td scaling %d layout %d: %.3g bounds", d, c, panels,
          scaling, how, worst);
    CHECK(padding_intact(&squares), "d %td c %td panels %td: wrote beside", d, c, panels);
    free_matrices();
}

void test_distances(const variant *v)
{
    ptrdiff_t size[MOST_SIZES];
    const int levels[] = { dimensions(v, size), 9, 3, NSCALE, 2, 0 };
    int level[MOST_FACTORS];
    for (pairs *p = new_pairs(levels); next_case(p, level);)
        try_distances(v, size[level[0]], level[1] + 1, level[2], level[3],
                      level[4] ? PADDED : CONTIGUOUS);
}

/* ---- posterior ---------------------------------------------------------------------------- */

enum { MOST_CLASSES = 40 };

static void try_posterior(const variant *v, fnn_posterior what, ptrdiff_t c, ptrdiff_t vectors,
                          bool constants, data_kind kind)
{
    const fnn_dtype dt = v->dt;
    const ptrdiff_t count = vectors * v->kn->lanes;
    const ptrdiff_t cols = what == FNN_LOG_DENSITY || what == FNN_LABEL ? 1 : c;
    const matrix before = new_matrix(dt, c, count, PADDED), z = new_matrix(dt, c, count, PADDED);
    const matrix level = input(v, 1, c, CONTIGUOUS, 1);
    fill(&before, kind, 2);
    fill(&z, kind, 2);
    v->kn->posterior(what, c, count, constants ? level.v.data : NULL, z.v.data, z.v.rs);
    double worst = 0;
    for (ptrdiff_t i = 0; i < count; i++) {
        approx joint[MOST_CLASSES];
        double got[MOST_CLASSES];
        for (ptrdiff_t k = 0; k < c; k++) {
            joint[k] = exactly(at(&before, k, i));
            if (constants)
                joint[k] = subtract(dt, exactly(at(&level, 0, k)),
                                    multiply(dt, exactly(0.5L), joint[k]));
            got[k] = at(&z, k, i);
        }
        worst = fmax(worst, miss_posterior(dt, what, c, joint, got));
    }
    CHECK(worst <= 1, "what %d c %td count %td constants %d kind %d: %.3g bounds", what, c, count,
          constants, kind, worst);
    CHECK(cols <= c && padding_intact(&z), "what %d c %td count %td: wrote beside", what, c, count);
    free_matrices();
}

/* Values of one row, in every lane, and what is to become of them. */
static void check_row(const variant *v, fnn_posterior what, ptrdiff_t c, const double *values,
                      const double *right, ptrdiff_t count)
{
    const ptrdiff_t lanes = v->kn->lanes;
    const matrix z = new_matrix(v->dt, c, lanes, CONTIGUOUS);
    for (ptrdiff_t k = 0; k < c; k++)
        for (ptrdiff_t i = 0; i < lanes; i++)
            put(v->dt, z.v, k, i, values[k]);
    v->kn->posterior(what, c, lanes, NULL, z.v.data, lanes);
    for (ptrdiff_t k = 0; k < count; k++)
        for (ptrdiff_t i = 0; i < lanes; i++)
            CHECK(miss(at(&z, k, i), exactly(right[k])) == 0, "what %d of %g ...: %g, not %g", what,
                  values[0], at(&z, k, i), right[k]);
    free_matrices();
}

void test_posterior(const variant *v)
{
    const ptrdiff_t classes[] = { 1, 2, 3, 4, 5, 10, 17, MOST_CLASSES };
    const int levels[] = { FNN_NPOSTERIOR, 8, 4, 2, 3, 0 };
    int level[MOST_FACTORS];
    for (pairs *p = new_pairs(levels); next_case(p, level);)
        try_posterior(v, (fnn_posterior)level[0], classes[level[1]], level[2], level[3],
                      (data_kind)level[4]);

    /* The first of equals; never a NaN. Equals share, exactly where there is a power of two. */
    check_row(v, FNN_LABEL, 3, (double[]){ 1, 2, 2 }, (double[]){ 1 }, 1);
    check_row(v, FNN_LABEL, 3, (double[]){ NAN, -INFINITY, -7 }, (double[]){ 2 }, 1);
    check_row(v, FNN_LABEL, 3, (double[]){ NAN, NAN, NAN }, (double[]){ 0 }, 1);
    check_row(v, FNN_LABEL, 2, (double[]){ 3, NAN }, (double[]){ 0 }, 1);
    check_row(v, FNN_PROBA, 4, (double[]){ 5, 5, 5, 5 }, (double[]){ .25, .25, .25, .25 }, 4);
    /* A NaN spreads over its row. */
    for (int what = FNN_LOG_PROBA; what <= FNN_LOG_DENSITY; what++)
        for (int k = 0; k < 3; k++) {
            double values[] = { 1, 2, 3 };
            values[k] = NAN;
            check_row(v, (fnn_posterior)what, 3, values, (double[]){ NAN, NAN, NAN },
                      what == FNN_LOG_DENSITY ? 1 : 3);
        }
    /* Densities of zero. */
    const double zero[] = { -INFINITY, 4, -INFINITY };
    check_row(v, FNN_PROBA, 3, zero, (double[]){ 0, 1, 0 }, 3);
    check_row(v, FNN_LOG_PROBA, 3, zero, (double[]){ -INFINITY, 0, -INFINITY }, 3);
    check_row(v, FNN_LOG_DENSITY, 3, zero, (double[]){ 4 }, 1);
    check_row(v, FNN_LOG_DENSITY, 2, (double[]){ -INFINITY, -INFINITY }, (double[]){ -INFINITY },
              1);
    /* The posterior of a sure class keeps its last digits. */
    const approx joint[] = { exactly(0), exactly(-60) };
    approx tail[2];
    expect_posterior(v->dt, FNN_LOG_PROBA, 2, joint, tail);
    CHECK(fabsl(tail[0].value + expl(-60)) < 1e-40L && tail[0].bound < 1e-5L * expl(-60),
          "%Lg +- %Lg", tail[0].value, tail[0].bound);
    const matrix sure = new_matrix(v->dt, 2, v->kn->lanes, CONTIGUOUS);
    for (ptrdiff_t i = 0; i < v->kn->lanes; i++) {
        put(v->dt, sure.v, 0, i, 0);
        put(v->dt, sure.v, 1, i, -60);
    }
    v->kn->posterior(FNN_LOG_PROBA, 2, v->kn->lanes, NULL, sure.v.data, v->kn->lanes);
    CHECK(miss(at(&sure, 0, 0), tail[0]) <= 1, "log p of a sure class: %g", at(&sure, 0, 0));
}

/* ---- inner products ----------------------------------------------------------------------- */

static void try_dot(const variant *v, ptrdiff_t n, ptrdiff_t count, layout how)
{
    (void)n;
    for (int kind = SPREAD; kind <= CANCELLING; kind++) {
        const matrix a = new_matrix(v->dt, 1, count, how), b = input(v, 1, count, how, 2);
        chain c = { 0, 0, 0 };
        fill(&a, (data_kind)kind, 1);
        for (ptrdiff_t j = 0; j < count; j++)
            add_term(&c, (long double)at(&a, 0, j) * at(&b, 0, j));
        const double got = v->kn->dot(count, freeze(&a).data, b.v.data);
        CHECK(miss(got, end_lanes(v, c)) <= 1, "count %td kind %d: %g", count, kind, got);
        free_matrices();
    }
}

void test_dot(const variant *v) { each_rows(v, 0, try_dot); }

static void try_row_squares(const variant *v, ptrdiff_t n, ptrdiff_t m, layout how)
{
    for (int weighted = 0; weighted < 2; weighted++) {
        const matrix x = input(v, n, m, how, 1), w = input(v, 1, n, CONTIGUOUS, 2);
        const matrix squares = new_matrix(v->dt, 1, n, CONTIGUOUS);
        const matrix products = new_matrix(v->dt, 1, n, CONTIGUOUS);
        v->kn->row_squares(n, m, x.v.data, x.v.rs, weighted ? w.v.data : NULL, squares.v.data,
                           products.v.data);
        double worst = 0;
        for (ptrdiff_t i = 0; i < n; i++) {
            chain c = { 0, 0, 0 };
            for (ptrdiff_t j = 0; j < m; j++)
                add_term(&c, (long double)at(&x, i, j) * at(&x, i, j));
            const approx square = exactly(at(&squares, 0, i));
            const approx weight = exactly(weighted ? at(&w, 0, i) : 1);
            worst = fmax(worst, miss(at(&squares, 0, i), end_lanes(v, c)));
            worst = fmax(worst, miss(at(&products, 0, i), multiply(v->dt, square, weight)));
        }
        CHECK(worst <= 1, "n %td m %td layout %d: %.3g bounds", n, m, how, worst);
    }
}

void test_row_squares(const variant *v) { each_rows(v, 0, try_row_squares); }

static void try_row_dots(const variant *v, ptrdiff_t n, ptrdiff_t m, layout how)
{
    const matrix x = input(v, n, m, how, 1), w = input(v, 1, m, CONTIGUOUS, 2);
    const matrix bias = input(v, 1, 1, CONTIGUOUS, 3), z = new_matrix(v->dt, 1, n, CONTIGUOUS);
    v->kn->row_dots(n, m, x.v.data, x.v.rs, w.v.data, bias.v.data, z.v.data);
    double worst = 0;
    for (ptrdiff_t i = 0; i < n; i++) {
        chain c = { 0, 0, 0 };
        for (ptrdiff_t j = 0; j < m; j++)
            add_term(&c, (long double)at(&x, i, j) * at(&w, 0, j));
        worst = fmax(worst, miss(at(&z, 0, i),
                                 add(v->dt, end_lanes(v, c), exactly(at(&bias, 0, 0)))));
    }
    CHECK(worst <= 1, "n %td m %td layout %d: %.3g bounds", n, m, how, worst);
}

void test_row_dots(const variant *v) { each_rows(v, 0, try_row_dots); }

/* ---- triangular factors ------------------------------------------------------------------- */

/* By how many bounds L y is off u in column t: y_j is a sum of j + 1 terms and a quotient. With
 * `backwards`, rows and columns of L and rows of y and u count from the last one. */
static double substitution_miss(const variant *v, const matrix *l, bool backwards, const matrix *y,
                                const matrix *u, ptrdiff_t t)
{
    const ptrdiff_t last = l->v.rows - 1;
    double worst = 0;
    for (ptrdiff_t j = 0; j <= last; j++) {
        const ptrdiff_t row = backwards ? last - j : j;
        long double sum = 0, magnitude = 0;
        for (ptrdiff_t p = 0; p <= j; p++) {
            const long double term = backwards ? (long double)at(l, last - p, row)
                                                 * at(y, last - p, t)
                                               : (long double)at(l, row, p) * at(y, p, t);
            sum += term;
            magnitude += fabsl(term);
        }
        magnitude += fabsl((long double)at(u, row, t));
        const approx right = { sum, (long double)(j + 4) * eps_of(v->dt) * magnitude };
        worst = fmax(worst, miss(at(u, row, t), right));
    }
    return worst;
}

void test_substitute(const variant *v)
{
    ptrdiff_t size[MOST_SIZES];
    const int count = dimensions(v, size);
    for (int i = 0; i < count; i++)
        for (int how = CONTIGUOUS; how <= PADDED; how++) {
            const ptrdiff_t d = size[i];
            const matrix l = factor(v, d, (layout)how, 1), u = input(v, d, 1, CONTIGUOUS, 2);
            const matrix y = new_matrix(v->dt, d, 1, CONTIGUOUS);
            chain c = { 0, 0, 0 };
            fnn_copy(v->dt, fnn_as_in(u.v), y.v);
            const double square = v->kn->substitute(d, l.v.data, l.v.rs, y.v.data);
            const double worst = substitution_miss(v, &l, false, &y, &u, 0);
            for (ptrdiff_t j = 0; j < d; j++)
                add_term(&c, (long double)at(&y, j, 0) * at(&y, j, 0));
            CHECK(worst <= 1, "d %td layout %d: %.3g bounds", d, how, worst);
            CHECK(miss(square, end_lanes(v, c)) <= 1, "d %td layout %d: y'y is %g", d, how, square);
            free_matrices();
        }
}

static void try_eliminate(const variant *v, ptrdiff_t d, ptrdiff_t m, bool backwards, layout how)
{
    const matrix l = factor(v, d, PADDED, 1), u = input(v, d, m, CONTIGUOUS, 2);
    const matrix y = new_matrix(v->dt, d, m, how);
    fnn_copy(v->dt, fnn_as_in(u.v), y.v);
    if (!backwards)
        v->kn->eliminate(d, m, l.v.data, l.v.rs, 1, y.v.data, y.v.rs);
    else if (d > 0)
        v->kn->eliminate(d, m, fnn_at(v->dt, l.v.data, (d - 1) * (l.v.rs + 1)), -1, -l.v.rs,
                         fnn_at_out(v->dt, y.v.data, (d - 1) * y.v.rs), -y.v.rs);
    double worst = 0;
    for (ptrdiff_t t = 0; t < m; t++)
        worst = fmax(worst, substitution_miss(v, &l, backwards, &y, &u, t));
    CHECK(worst <= 1, "d %td m %td backwards %d layout %d: %.3g bounds", d, m, backwards, how,
          worst);
    CHECK(padding_intact(&y), "d %td m %td layout %d: wrote beside x", d, m, how);
    free_matrices();
}

void test_eliminate(const variant *v)
{
    ptrdiff_t size[MOST_SIZES], cols[MOST_SIZES];
    const int levels[] = { sizes(v->kn, 33, size), sizes(v->kn, 67, cols), 2, NROW_LAYOUT, 0 };
    int level[MOST_FACTORS];
    for (pairs *p = new_pairs(levels); next_case(p, level);)
        try_eliminate(v, size[level[0]], cols[level[1]], level[2], (layout)level[3]);
}

/* The upper triangle of U'U for an upper triangular U of order m, 777 below it, in rows padded to
 * `how`. */
static matrix definite(const variant *v, ptrdiff_t m, layout how)
{
    const matrix l = factor(v, m, CONTIGUOUS, 1), a = new_matrix(v->dt, m, m, how);
    for (ptrdiff_t i = 0; i < m; i++)
        for (ptrdiff_t j = 0; j < m; j++) {
            long double sum = 0;
            for (ptrdiff_t p = 0; p <= i && i <= j; p++)
                sum += (long double)at(&l, i, p) * at(&l, j, p);
            put(v->dt, a.v, i, j, j < i ? 777 : (double)sum);
        }
    return a;
}

/* The first n rows of the factor of order m; what is below the diagonal, and below them, stays. */
static void try_cholesky_rows(const variant *v, ptrdiff_t n, ptrdiff_t m, layout how)
{
    const matrix a = definite(v, m, CONTIGUOUS), u = new_matrix(v->dt, m, m, how);
    fnn_copy(v->dt, freeze(&a), u.v);
    const ptrdiff_t done = v->kn->cholesky_rows(n, m, u.v.data, u.v.rs);
    CHECK(done == n, "n %td m %td layout %d: %td rows", n, m, how, done);
    double worst = 0;
    for (ptrdiff_t i = 0; i < m; i++)
        for (ptrdiff_t j = 0; j < m; j++) {
            if (j < i || i >= n) {
                CHECK(at(&u, i, j) == at(&a, i, j), "n %td m %td: %td %td has changed", n, m, i, j);
                continue;
            }
            chain c = { 0, 0, 0 };
            for (ptrdiff_t p = 0; p <= i; p++)
                add_term(&c, (long double)at(&u, p, i) * at(&u, p, j));
            c.terms += 3; /* a root, and two quotients */
            worst = fmax(worst, miss(at(&a, i, j), end_chain(v, c)));
        }
    CHECK(worst <= 1, "n %td m %td layout %d: %.3g bounds", n, m, how, worst);
    CHECK(padding_intact(&u), "n %td m %td layout %d: wrote beside u", n, m, how);
    free_matrices();
}

void test_cholesky_rows(const variant *v)
{
    ptrdiff_t size[MOST_SIZES];
    const int count = sizes(v->kn, quick() ? 17 : 33, size);
    for (int i = 0; i < count; i++)
        for (int how = 0; how < NROW_LAYOUT; how++) {
            const ptrdiff_t m = size[i], rows[] = { 0, m / 2, m };
            for (int r = 0; r < 3; r++)
                try_cholesky_rows(v, rows[r], m, (layout)how);
        }
    const double pivots[] = { 0, -1, NAN, INFINITY, -INFINITY };
    for (ptrdiff_t bad = 0; bad < 20; bad++)
        for (int p = 0; p < 5; p++) {
            const matrix a = definite(v, 20, PADDED);
            for (ptrdiff_t i = 0; i < bad; i++) /* nothing is taken from the pivot */
                put(v->dt, a.v, i, bad, 0);
            put(v->dt, a.v, bad, bad, pivots[p]);
            const ptrdiff_t done = v->kn->cholesky_rows(20, 20, a.v.data, a.v.rs);
            CHECK(done == bad, "pivot %g of row %td is found in row %td", pivots[p], bad, done);
            free_matrices();
        }
}

/* ---- rows brought together ---------------------------------------------------------------- */

/* Rows of whole vectors, apart by some elements more if `how` says so. */
static matrix vector_rows(const variant *v, ptrdiff_t n, ptrdiff_t m, layout how)
{
    return new_matrix(v->dt, n, fnn_round_up(m, v->kn->lanes), how);
}

static void try_gather(const variant *v, ptrdiff_t n, ptrdiff_t m, layout from, layout to,
                       bool indexed)
{
    const ptrdiff_t index[] = { 4, 0, 3, 3, 1, 6 };
    const matrix x = input(v, 7, m, from, 1), y = vector_rows(v, n, m, to);
    v->kn->gather(n, m, x.v.data, x.v.rs, x.v.cs, indexed ? index : NULL, y.v.data, y.v.rs);
    bool right = true;
    for (ptrdiff_t i = 0; i < n; i++)
        for (ptrdiff_t j = 0; j < y.v.cols; j++)
            right &= at(&y, i, j) == (j < m ? at(&x, indexed ? index[i] : i, j) : 0);
    CHECK(right, "n %td m %td layouts %d %d indexed %d", n, m, from, to, indexed);
    CHECK(padding_intact(&y), "n %td m %td layouts %d %d: wrote beside y", n, m, from, to);
    free_matrices();
}

void test_gather(const variant *v)
{
    ptrdiff_t size[MOST_SIZES];
    const int levels[] = { 7, sizes(v->kn, 67, size), NLAYOUT, NROW_LAYOUT, 2, 0 };
    int level[MOST_FACTORS];
    for (pairs *p = new_pairs(levels); next_case(p, level);)
        try_gather(v, level[0], size[level[1]], (layout)level[2], (layout)level[3], level[4]);
}

static void try_weigh(const variant *v, ptrdiff_t n, ptrdiff_t m, layout how)
{
    const fnn_dtype dt = v->dt;
    for (int kind = 0; kind < 8; kind++) { /* bit 0: centre, bit 1: weights, bit 2: in place */
        const matrix x = input(v, n, m, how, 1), y = vector_rows(v, n, m, how);
        const matrix centre = input(v, 1, m, CONTIGUOUS, 2), w = input(v, 1, n, CONTIGUOUS, 3);
        const bool in_place = kind & 4;
        if (in_place)
            fnn_copy(dt, fnn_as_in(x.v), (fnn_out){ y.v.data, n, m, y.v.rs, 1 });
        v->kn->weigh(n, m, in_place ? y.v.data : x.v.data, in_place ? y.v.rs : x.v.rs,
                     kind & 1 ? centre.v.data : NULL, kind & 2 ? w.v.data : NULL, y.v.data, y.v.rs);
        double worst = 0;
        for (ptrdiff_t i = 0; i < n; i++)
            for (ptrdiff_t j = 0; j < y.v.cols; j++) {
                approx right = exactly(j < m ? at(&x, i, j) : 0);
                if (kind & 1 && j < m)
                    right = subtract(dt, right, exactly(at(&centre, 0, j)));
                if (kind & 2)
                    right = multiply(dt, right, exactly(at(&w, 0, i)));
                worst = fmax(worst, miss(at(&y, i, j), j < m ? right : exactly(0)));
            }
        CHECK(worst <= 1, "n %td m %td layout %d kind %d: %.3g bounds", n, m, how, kind, worst);
        CHECK(padding_intact(&y), "n %td m %td layout %d kind %d: wrote beside y", n, m, how, kind);
        free_matrices();
    }
}

void test_weigh(const variant *v) { each_rows(v, 0, try_weigh); }

/* ---- sums over rows ----------------------------------------------------------------------- */

static void try_column_moments(const variant *v, ptrdiff_t n, ptrdiff_t m, layout how)
{
    const fnn_dtype dt = v->dt;
    for (int weighted = 0; weighted < 2; weighted++) {
        const matrix x = input(v, n, m, how, 1), centre = input(v, 1, m, CONTIGUOUS, 2);
        const matrix w = input(v, 1, n, CONTIGUOUS, 3), sums = new_matrix(dt, 1, m, CONTIGUOUS);
        const matrix squares = new_matrix(dt, 1, m, CONTIGUOUS);
        v->kn->column_moments(n, m, x.v.data, x.v.rs, centre.v.data, weighted ? w.v.data : NULL,
                              sums.v.data, squares.v.data);
        double worst = 0;
        for (ptrdiff_t j = 0; j < m; j++) {
            approx sum = { 0, 0 }, square = { 0, 0 };
            for (ptrdiff_t i = 0; i < n; i++) {
                const approx u = subtract(dt, exactly(at(&x, i, j)), exactly(at(&centre, 0, j)));
                const approx wu = weighted ? multiply(dt, u, exactly(at(&w, 0, i))) : u;
                sum = add(dt, sum, wu);
                square = add(dt, square, multiply(dt, wu, u));
            }
            worst = fmax(worst, miss(at(&sums, 0, j), sum));
            worst = fmax(worst, miss(at(&squares, 0, j), square));
        }
        CHECK(worst <= 1, "n %td m %td layout %d weighted %d: %.3g bounds", n, m, how, weighted,
              worst);
    }
}

static void try_many_rows(const variant *v, ptrdiff_t n, ptrdiff_t m, layout how)
{
    try_column_moments(v, 13 * n + 1, m, how);
}

void test_column_moments(const variant *v)
{
    each_rows(v, 0, try_column_moments);
    each_rows(v, 0, try_many_rows);
}

void test_curvature(const variant *v)
{
    const fnn_dtype dt = v->dt;
    for (ptrdiff_t n = 0; n < 40; n++)
        for (int how = 0; how < NROW_LAYOUT; how++) {
            const matrix p = input(v, n, 3, (layout)how, 1), w = input(v, 1, n, CONTIGUOUS, 2);
            for (ptrdiff_t q = 0; q < 3; q++) {
                const matrix h = new_matrix(dt, 1, n, CONTIGUOUS);
                v->kn->curvature(n, p.v.data, fnn_at(dt, p.v.data, q), p.v.rs, w.v.data, h.v.data);
                double worst = 0;
                for (ptrdiff_t i = 0; i < n; i++) {
                    const approx p_i = exactly(at(&p, i, 0)), q_i = exactly(-at(&p, i, q));
                    const approx other = q == 0 ? add(dt, exactly(1), q_i) : q_i;
                    const approx right =
                        multiply(dt, exactly(at(&w, 0, i)), multiply(dt, p_i, other));
                    worst = fmax(worst, miss(at(&h, 0, i), right));
                }
                CHECK(worst <= 1, "n %td class %td layout %d: %.3g bounds", n, q, how, worst);
            }
            free_matrices();
        }
}

/* What lies between the rows is NaN, and does not count. */
static void try_all_finite(const variant *v, ptrdiff_t n, ptrdiff_t m, layout how)
{
    const double most = v->dt == FNN_F32 ? FLT_MAX : DBL_MAX, odd[] = { INFINITY, -INFINITY, NAN };
    const matrix x = new_matrix(v->dt, n, m, how);
    for (ptrdiff_t i = 0; i < n; i++)
        for (ptrdiff_t j = 0; j < m; j++)
            put(v->dt, x.v, i, j, (i + j) % 2 ? most : -most);
    CHECK(v->kn->all_finite(n, m, x.v.data, x.v.rs), "n %td m %td layout %d", n, m, how);
    for (ptrdiff_t i = 0; i < n; i++)
        for (ptrdiff_t j = 0; j < m; j++) {
            put(v->dt, x.v, i, j, odd[(i + j) % 3]);
            CHECK(!v->kn->all_finite(n, m, x.v.data, x.v.rs), "n %td m %td layout %d: %g at %td "
                  "%td is not seen", n, m, how, odd[(i + j) % 3], i, j);
            put(v->dt, x.v, i, j, most);
        }
}

void test_all_finite(const variant *v) { each_rows(v, 0, try_all_finite); }
