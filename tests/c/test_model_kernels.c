/* test_model_kernels.c -- the kernels under Gaussians, moments, linear models and factorisations,
 * each against sums in long double. */
#include "suites.h"

static const ptrdiff_t widths[] = { 1, 2, 3, 7, 8, 9, 13, 14, 15, 16, 17, 29, 33, 65 };
enum { WIDTHS = sizeof widths / sizeof *widths };

/* A dense matrix of random numbers. */
static matrix random_matrix(const variant *v, ptrdiff_t rows, ptrdiff_t cols, uint64_t seed)
{
    const matrix m = new_matrix(v->dt, rows, cols, CONTIGUOUS);
    fill(&m, NARROW, seed);
    return m;
}

/* Lower triangular, with a diagonal away from zero. */
static matrix random_factor(const variant *v, ptrdiff_t d)
{
    const matrix l = random_matrix(v, d, d, 3);
    for (ptrdiff_t i = 0; i < d; i++)
        for (ptrdiff_t j = i; j < d; j++)
            put(v->dt, l.v, i, j, j > i ? 777 : 1 + fabs(at(&l, i, j)));
    return l;
}

/* A running sum and the bound of its error: terms are products of `roundings` rounded factors. */
typedef struct { long double value, size; ptrdiff_t terms; } sum;
static void add_term(sum *s, long double term)
{
    s->value += term;
    s->size += fabsl(term);
    s->terms++;
}
static approx of_sum(const variant *v, sum s, int roundings)
{
    const long double eps = eps_of(v->dt);
    return (approx){ s.value, (s.terms + roundings) * eps * s.size + tiny_of(v->dt) };
}

static ptrdiff_t panel_rows(const variant *v) { return v->kn->tile_vectors * v->kn->lanes; }

/* Element (p, i) of panels of d features. */
static double in_panel(const variant *v, const matrix *panels, ptrdiff_t d, ptrdiff_t p, ptrdiff_t i)
{
    const ptrdiff_t w = panel_rows(v);
    return at(panels, 0, (i / w * d + p) * w + i % w);
}

static matrix panels_of(const variant *v, const matrix *x, const void *centre)
{
    const ptrdiff_t w = panel_rows(v), n = fnn_round_up(x->v.rows, w);
    const matrix panels = new_matrix(v->dt, 1, n * x->v.cols, CONTIGUOUS);
    v->kn->panels_in(x->v.rows, x->v.cols, x->v.data, x->v.rs, x->v.cs, centre, panels.v.data);
    return panels;
}

void test_panels_in(const variant *v)
{
    const ptrdiff_t w = panel_rows(v);
    for (ptrdiff_t n = 1; n <= 2 * w + 1; n += n < 4 ? 1 : w - 1)
        for (int how = 0; how < NLAYOUT; how++)
            for (int k = 0; k < WIDTHS; k += 3) {
                const ptrdiff_t d = widths[k];
                const matrix x = new_matrix(v->dt, n, d, (layout)how);
                fill(&x, SPREAD, 1);
                const matrix centre = random_matrix(v, 1, d, 2);
                const matrix panels = panels_of(v, &x, centre.v.data);
                bool right = true;
                for (ptrdiff_t i = 0; i < fnn_round_up(n, w); i++)
                    for (ptrdiff_t p = 0; p < d; p++) {
                        const double got = in_panel(v, &panels, d, p, i);
                        const long double want =
                            i < n ? (long double)at(&x, i, p) - at(&centre, 0, p) : 0;
                        const approx wanted = { want, fabsl(want) * eps_of(v->dt) };
                        right &= got == (double)want || miss(got, wanted) <= 1;
                    }
                CHECK(right, "n %td d %td layout %d", n, d, how);
                free_matrices();
            }
}

void test_whiten(const variant *v)
{
    for (int k = 0; k < WIDTHS; k++) {
        const ptrdiff_t d = widths[k], w = panel_rows(v), n = 2 * w;
        const matrix x = random_matrix(v, n, d, 1), l = random_factor(v, d);
        const matrix start = random_matrix(v, 1, d, 4), panels = panels_of(v, &x, NULL);
        const matrix y = new_matrix(v->dt, 1, n * d, CONTIGUOUS);
        const matrix squares = new_matrix(v->dt, 1, n, CONTIGUOUS);
        v->kn->whiten(d, 2, l.v.data, d, start.v.data, panels.v.data, y.v.data, NULL);
        v->kn->whiten(d, 2, l.v.data, d, start.v.data, panels.v.data, NULL, squares.v.data);
        double worst = 0;
        for (ptrdiff_t i = 0; i < n; i++) {
            approx total = exactly(0);
            for (ptrdiff_t j = 0; j < d; j++) {
                sum s = { 0 };
                add_term(&s, at(&start, 0, j));
                for (ptrdiff_t p = 0; p <= j; p++)
                    add_term(&s, (long double)at(&l, j, p) * at(&x, i, p));
                const approx y_ij = of_sum(v, s, 1);
                worst = fmax(worst, miss(in_panel(v, &y, d, j, i), y_ij));
                total = add(v->dt, total, multiply(v->dt, y_ij, y_ij));
            }
            worst = fmax(worst, miss(at(&squares, 0, i), total));
        }
        CHECK(worst <= 1, "d %td: %.3g bounds", d, worst);
        free_matrices();
    }
}

void test_distances(const variant *v)
{
    for (int k = 0; k < WIDTHS; k++)
        for (int scaled = 0; scaled < 3; scaled++) {
            const ptrdiff_t d = widths[k], w = panel_rows(v), n = 2 * w, c = 1 + k % 6;
            const matrix x = random_matrix(v, n, d, 1), panels = panels_of(v, &x, NULL);
            const matrix mean = random_matrix(v, c, d, 2), scale = random_matrix(v, c, d, 3);
            const matrix low = random_matrix(v, c, d, 4);
            const matrix squares = new_matrix(v->dt, c, n, CONTIGUOUS);
            v->kn->distances(&(fnn_distances){
                .d = d, .c = c, .panels = 2, .x = panels.v.data, .mean = mean.v.data,
                .scale = scaled ? scale.v.data : NULL, .low = scaled == 2 ? low.v.data : NULL,
                .ld = d, .squares = squares.v.data, .squares_ld = n });
            double worst = 0;
            for (ptrdiff_t i = 0; i < n; i++)
                for (ptrdiff_t l = 0; l < c; l++) {
                    approx total = exactly(0);
                    for (ptrdiff_t p = 0; p < d; p++) {
                        approx u = subtract(v->dt, exactly(at(&x, i, p)), exactly(at(&mean, l, p)));
                        if (scaled == 2)
                            u = subtract(v->dt, u, exactly(at(&low, l, p)));
                        if (scaled)
                            u = multiply(v->dt, u, exactly(at(&scale, l, p)));
                        total = add(v->dt, total, multiply(v->dt, u, u));
                    }
                    worst = fmax(worst, miss(at(&squares, l, i), total));
                }
            CHECK(worst <= 1, "d %td c %td scaled %d: %.3g bounds", d, c, scaled, worst);
            free_matrices();
        }
}

void test_posterior(const variant *v)
{
    const long double eps = eps_of(v->dt);
    for (ptrdiff_t c = 1; c <= 11; c += 2)
        for (int what = 0; what < FNN_NPOSTERIOR; what++) {
            const ptrdiff_t n = 3 * v->kn->lanes;
            const matrix z = random_matrix(v, c, n, 1), constants = random_matrix(v, 1, c, 2);
            const matrix got = new_matrix(v->dt, c, n, CONTIGUOUS);
            fnn_copy(v->dt, fnn_as_in(z.v), got.v);
            v->kn->posterior((fnn_posterior)what, c, n, constants.v.data, got.v.data, n);
            double worst = 0;
            for (ptrdiff_t i = 0; i < n; i++) {
                long double joint[11], top = -INFINITY, total = 0;
                ptrdiff_t best = 0;
                for (ptrdiff_t k = 0; k < c; k++) {
                    joint[k] = at(&constants, 0, k) - 0.5L * at(&z, k, i);
                    best = joint[k] > joint[best] ? k : best;
                    top = fmaxl(top, joint[k]);
                }
                for (ptrdiff_t k = 0; k < c; k++)
                    total += expl(joint[k] - top);
                const long double log_sum = top + logl(total), size = 16 + (long double)c;
                for (ptrdiff_t k = 0; k < c; k++) {
                    const long double log_p = joint[k] - log_sum;
                    const approx right =
                        what == FNN_JOINT ? (approx){ joint[k], size * eps }
                        : what == FNN_LOG_PROBA ? (approx){ log_p, 2 * size * eps }
                        : what == FNN_PROBA ? (approx){ expl(log_p), 2 * size * eps * expl(log_p) }
                        : what == FNN_LOG_DENSITY ? (approx){ log_sum, 2 * size * eps }
                        : exactly(best);
                    if (k == 0 || what <= FNN_PROBA)
                        worst = fmax(worst, miss(at(&got, k, i), right));
                }
            }
            CHECK(worst <= 1, "c %td what %d: %.3g bounds", c, what, worst);
            free_matrices();
        }
    /* The posterior of the larger of two classes keeps its last digits. */
    const matrix z = new_matrix(v->dt, 2, v->kn->lanes, CONTIGUOUS);
    for (ptrdiff_t i = 0; i < v->kn->lanes; i++) {
        put(v->dt, z.v, 0, i, 0);
        put(v->dt, z.v, 1, i, -60);
    }
    v->kn->posterior(FNN_LOG_PROBA, 2, v->kn->lanes, NULL, z.v.data, v->kn->lanes);
    const approx tail = { -expl(-60), 4 * eps * expl(-60) };
    CHECK(miss(at(&z, 0, 0), tail) <= 1, "log p of a sure class is %g", at(&z, 0, 0));
}

void test_dot(const variant *v)
{
    for (ptrdiff_t n = 0; n < 70; n++) {
        const matrix a = random_matrix(v, 1, n, 1), b = random_matrix(v, 1, n, 2);
        sum s = { 0 };
        for (ptrdiff_t i = 0; i < n; i++)
            add_term(&s, (long double)at(&a, 0, i) * at(&b, 0, i));
        CHECK(miss(v->kn->dot(n, a.v.data, b.v.data), of_sum(v, s, 2)) <= 1, "n %td", n);
        free_matrices();
    }
}

/* Whether L y = u to the rounding of a substitution. */
static double substitution_miss(const variant *v, const matrix *l, const matrix *y, const matrix *u,
                                ptrdiff_t col)
{
    double worst = 0;
    for (ptrdiff_t j = 0; j < l->v.rows; j++) {
        sum s = { 0 };
        for (ptrdiff_t p = 0; p <= j; p++)
            add_term(&s, (long double)at(l, j, p) * at(y, p, col));
        const long double bound = (s.terms + 2) * eps_of(v->dt) * (s.size + fabsl(at(u, j, col)));
        worst = fmax(worst, miss((double)s.value, (approx){ at(u, j, col), bound }));
    }
    return worst;
}

void test_substitute(const variant *v)
{
    for (int k = 0; k < WIDTHS; k++) {
        const ptrdiff_t d = widths[k];
        const matrix l = random_factor(v, d), u = random_matrix(v, d, 1, 5);
        const matrix y = new_matrix(v->dt, d, 1, CONTIGUOUS);
        fnn_copy(v->dt, fnn_as_in(u.v), y.v);
        const double square = v->kn->substitute(d, l.v.data, d, y.v.data);
        CHECK(substitution_miss(v, &l, &y, &u, 0) <= 1, "d %td", d);
        sum s = { 0 };
        for (ptrdiff_t j = 0; j < d; j++)
            add_term(&s, (long double)at(&y, j, 0) * at(&y, j, 0));
        CHECK(miss(square, of_sum(v, s, 2)) <= 1, "square of d %td", d);
        free_matrices();
    }
}

void test_eliminate(const variant *v)
{
    for (int k = 0; k < WIDTHS; k++) {
        const ptrdiff_t d = widths[k], m = widths[WIDTHS - 1 - k];
        const matrix l = random_factor(v, d), u = random_matrix(v, d, m, 5);
        const matrix y = new_matrix(v->dt, d, m, CONTIGUOUS);
        fnn_copy(v->dt, fnn_as_in(u.v), y.v);
        v->kn->eliminate(d, m, l.v.data, d, 1, y.v.data, m);
        double worst = 0;
        for (ptrdiff_t j = 0; j < m; j++)
            worst = fmax(worst, substitution_miss(v, &l, &y, &u, j));
        CHECK(worst <= 1, "d %td m %td: %.3g bounds", d, m, worst);
        free_matrices();
    }
}

void test_cholesky_rows(const variant *v)
{
    for (int k = 0; k < WIDTHS; k++) {
        const ptrdiff_t d = widths[k];
        const matrix l = random_factor(v, d), u = new_matrix(v->dt, d, d, CONTIGUOUS);
        for (ptrdiff_t i = 0; i < d; i++)
            for (ptrdiff_t j = 0; j < d; j++) {
                double a = 0;
                for (ptrdiff_t p = 0; p <= fnn_min(i, j); p++)
                    a += at(&l, i, p) * at(&l, j, p);
                put(v->dt, u.v, i, j, j < i ? 777 : a);
            }
        const matrix a = new_matrix(v->dt, d, d, CONTIGUOUS);
        fnn_copy(v->dt, fnn_as_in(u.v), a.v);
        CHECK(v->kn->cholesky_rows(d, d, u.v.data, d) == d, "d %td is definite", d);
        double worst = 0;
        for (ptrdiff_t i = 0; i < d; i++)
            for (ptrdiff_t j = i; j < d; j++) {
                sum s = { 0 };
                for (ptrdiff_t p = 0; p <= i; p++)
                    add_term(&s, (long double)at(&u, p, i) * at(&u, p, j));
                const approx right = { at(&a, i, j), (s.terms + 4) * eps_of(v->dt) * s.size };
                worst = fmax(worst, miss((double)s.value, right));
            }
        CHECK(worst <= 1, "d %td: %.3g bounds", d, worst);
        for (ptrdiff_t bad = 0; bad < d; bad += 5) { /* a pivot below zero is found */
            fnn_copy(v->dt, fnn_as_in(a.v), u.v);
            put(v->dt, u.v, bad, bad, -1);
            CHECK(v->kn->cholesky_rows(d, d, u.v.data, d) == bad, "d %td pivot %td", d, bad);
        }
        free_matrices();
    }
}

void test_gather(const variant *v)
{
    for (int k = 0; k < WIDTHS; k++)
        for (int how = 0; how < NLAYOUT; how++) {
            const ptrdiff_t m = widths[k], ld = fnn_round_up(m, v->kn->lanes);
            const ptrdiff_t index[] = { 4, 0, 3, 3, 1 };
            const matrix x = new_matrix(v->dt, 5, m, (layout)how);
            fill(&x, SPREAD, 1);
            const matrix y = new_matrix(v->dt, 5, ld, CONTIGUOUS);
            const fnn_in f = freeze(&x);
            v->kn->gather(5, m, f.data, f.rs, f.cs, index, y.v.data, ld);
            bool right = true;
            for (ptrdiff_t i = 0; i < 5; i++)
                for (ptrdiff_t j = 0; j < ld; j++)
                    right &= at(&y, i, j) == (j < m ? at(&x, index[i], j) : 0);
            CHECK(right, "m %td layout %d", m, how);
            free_matrices();
        }
}

void test_weigh(const variant *v)
{
    for (int k = 0; k < WIDTHS; k++) {
        const ptrdiff_t m = widths[k], ld = fnn_round_up(m, v->kn->lanes), n = 5;
        const matrix x = random_matrix(v, n, m, 1), centre = random_matrix(v, 1, m, 2);
        const matrix w = random_matrix(v, 1, n, 3), y = new_matrix(v->dt, n, ld, CONTIGUOUS);
        v->kn->weigh(n, m, x.v.data, m, centre.v.data, w.v.data, y.v.data, ld);
        double worst = 0;
        for (ptrdiff_t i = 0; i < n; i++)
            for (ptrdiff_t j = 0; j < ld; j++) {
                const approx u = j < m ? subtract(v->dt, exactly(at(&x, i, j)),
                                                  exactly(at(&centre, 0, j))) : exactly(0);
                worst = fmax(worst, miss(at(&y, i, j),
                                         multiply(v->dt, u, exactly(at(&w, 0, i)))));
            }
        CHECK(worst <= 1, "m %td: %.3g bounds", m, worst);
        free_matrices();
    }
}

void test_row_squares(const variant *v)
{
    for (int k = 0; k < WIDTHS; k++) {
        const ptrdiff_t m = widths[k], n = 5;
        const matrix x = random_matrix(v, n, m, 1), w = random_matrix(v, 1, n, 2);
        const matrix squares = new_matrix(v->dt, 1, n, CONTIGUOUS);
        const matrix weighted = new_matrix(v->dt, 1, n, CONTIGUOUS);
        v->kn->row_squares(n, m, x.v.data, m, w.v.data, squares.v.data, weighted.v.data);
        for (ptrdiff_t i = 0; i < n; i++) {
            sum s = { 0 };
            for (ptrdiff_t j = 0; j < m; j++)
                add_term(&s, (long double)at(&x, i, j) * at(&x, i, j));
            const approx square = of_sum(v, s, 1);
            CHECK(miss(at(&squares, 0, i), square) <= 1, "m %td", m);
            CHECK(miss(at(&weighted, 0, i),
                       multiply(v->dt, square, exactly(at(&w, 0, i)))) <= 1, "weighted m %td", m);
        }
        free_matrices();
    }
}

void test_row_dots(const variant *v)
{
    for (int k = 0; k < WIDTHS; k++) {
        const ptrdiff_t m = widths[k], n = 19;
        const matrix x = random_matrix(v, n, m, 1), w = random_matrix(v, 1, m, 2);
        const matrix bias = random_matrix(v, 1, 1, 3), z = new_matrix(v->dt, 1, n, CONTIGUOUS);
        v->kn->row_dots(n, m, freeze(&x).data, m, w.v.data, bias.v.data, z.v.data);
        double worst = 0;
        for (ptrdiff_t i = 0; i < n; i++) {
            sum s = { 0 };
            add_term(&s, at(&bias, 0, 0));
            for (ptrdiff_t j = 0; j < m; j++)
                add_term(&s, (long double)at(&x, i, j) * at(&w, 0, j));
            worst = fmax(worst, miss(at(&z, 0, i), of_sum(v, s, 1)));
        }
        CHECK(worst <= 1, "m %td: %.3g bounds", m, worst);
        free_matrices();
    }
}

void test_column_moments(const variant *v)
{
    for (int k = 0; k < WIDTHS; k++)
        for (int weighted = 0; weighted < 2; weighted++) {
            const ptrdiff_t m = widths[k], n = 37;
            const matrix x = random_matrix(v, n, m, 1), centre = random_matrix(v, 1, m, 2);
            const matrix w = random_matrix(v, 1, n, 3);
            const matrix sums = new_matrix(v->dt, 1, m, CONTIGUOUS);
            const matrix squares = new_matrix(v->dt, 1, m, CONTIGUOUS);
            v->kn->column_moments(n, m, freeze(&x).data, m, centre.v.data,
                                  weighted ? w.v.data : NULL, sums.v.data, squares.v.data);
            double worst = 0;
            for (ptrdiff_t j = 0; j < m; j++) {
                sum first = { 0 }, second = { 0 };
                for (ptrdiff_t i = 0; i < n; i++) {
                    const long double u = (long double)at(&x, i, j) - at(&centre, 0, j);
                    const long double wu = weighted ? u * at(&w, 0, i) : u;
                    add_term(&first, wu);
                    add_term(&second, wu * u);
                }
                worst = fmax(worst, miss(at(&sums, 0, j), of_sum(v, first, 3)));
                worst = fmax(worst, miss(at(&squares, 0, j), of_sum(v, second, 4)));
            }
            CHECK(worst <= 1, "m %td weighted %d: %.3g bounds", m, weighted, worst);
            free_matrices();
        }
}

void test_curvature(const variant *v)
{
    const ptrdiff_t n = 21;
    const matrix p = random_matrix(v, n, 3, 1), w = random_matrix(v, 1, n, 2);
    const matrix h = new_matrix(v->dt, 1, n, CONTIGUOUS);
    for (ptrdiff_t b = 0; b < 3; b++) {
        const void *q = fnn_at(v->dt, p.v.data, b);
        v->kn->curvature(n, p.v.data, q, 3, w.v.data, h.v.data);
        for (ptrdiff_t i = 0; i < n; i++) {
            const approx p_i = exactly(at(&p, i, 0));
            const approx other = b ? exactly(-(long double)at(&p, i, b))
                                   : subtract(v->dt, exactly(1), p_i);
            const approx right = multiply(v->dt, exactly(at(&w, 0, i)),
                                          multiply(v->dt, p_i, other));
            CHECK(miss(at(&h, 0, i), right) <= 1, "row %td of block %td", i, b);
        }
    }
}

void test_all_finite(const variant *v)
{
    const double odd[] = { INFINITY, -INFINITY, NAN };
    for (int k = 0; k < WIDTHS; k++) {
        const ptrdiff_t m = widths[k], n = 3;
        const matrix x = random_matrix(v, n, m, 1);
        CHECK(v->kn->all_finite(n, m, x.v.data, m), "m %td is finite", m);
        for (ptrdiff_t at_element = 0; at_element < n * m; at_element++) {
            const double before = at(&x, at_element / m, at_element % m);
            put(v->dt, x.v, at_element / m, at_element % m, odd[at_element % 3]);
            CHECK(!v->kn->all_finite(n, m, x.v.data, m), "m %td element %td", m, at_element);
            put(v->dt, x.v, at_element / m, at_element % m, before);
        }
        free_matrices();
    }
}
