/* test_linear.c -- losses of linear models with gradient and Hessian: against the formulas, in all
 * layouts, of targets that sum to anything. */
#include "naive_models.h"
#include "suites.h"

enum { LABELS, ONE_HOT, TARGETS, NKIND }; /* TARGETS: of both signs, rows of any sum */

typedef struct {
    fnn_loss fn;
    ptrdiff_t n, d, c;
    bool intercept, weighted, hessian;
    int kind;
    layout x, targets;
    double alpha;
} linear_case;

/* A batch, its parameters, and room for results, f64 between guard pages and NaN so far. */
typedef struct {
    matrix x, targets, weights, theta, gradient, hessian;
    int64_t *labels;
    fnn_targets y;
    double loss;
} problem;

static problem new_problem(fnn_dtype dt, const linear_case *a)
{
    const ptrdiff_t n = a->n, c = a->c, width = a->d + a->intercept;
    const ptrdiff_t rows = a->fn == FNN_SQUARED_ERROR ? width : c * width;
    const ptrdiff_t cols = a->fn == FNN_SOFTMAX_CE ? c * width : width;
    problem p = {
        new_matrix(dt, n, a->d, a->x), new_matrix(dt, n, c, a->targets),
        new_matrix(dt, 1, n, CONTIGUOUS), new_matrix(FNN_F64, c, width, CONTIGUOUS),
        new_matrix(FNN_F64, c, width, CONTIGUOUS),
        new_matrix(FNN_F64, a->hessian ? rows : 0, cols, CONTIGUOUS),
        calloc((size_t)n, sizeof *p.labels), { 0 }, NAN,
    };
    must(p.labels != NULL, "calloc");
    fill(&p.x, NARROW, 1);
    fill(&p.targets, NARROW, 2);
    fill(&p.weights, NARROW, 3);
    fill(&p.theta, NARROW, 4);
    for (ptrdiff_t i = 0; i < n; i++) {
        p.labels[i] = (7 * i + 3) % (c == 1 && a->fn != FNN_SOFTMAX_CE ? 2 : c);
        put(dt, p.weights.v, 0, i, i % 5 == 1 ? 0 : fabs(at(&p.weights, 0, i)));
        for (ptrdiff_t j = 0; a->kind == ONE_HOT && j < c; j++)
            put(dt, p.targets.v, i, j, p.labels[i] == j);
    }
    p.y = (fnn_targets){ a->kind == LABELS ? p.labels : NULL, freeze(&p.targets),
                         a->weighted ? freeze(&p.weights).data : NULL };
    freeze(&p.x);
    freeze(&p.theta);
    return p;
}

/* Scratch memory is new, so that the sanitizers see where it ends. */
static fnn_status call(fnn_dtype dt, const linear_case *a, problem *p)
{
    fnn_workspace_clear(&fnn_shared_workspace);
    return fnn_linear_loss(dt, a->fn, fnn_as_in(p->x.v), p->y, a->c, a->d + a->intercept,
                           p->theta.v.data, a->alpha, &p->loss, p->gradient.v.data,
                           a->hessian ? p->hessian.v.data : NULL);
}

static void free_problem(problem *p)
{
    free(p->labels);
    free_matrices();
}

/* ---- values ------------------------------------------------------------------------------- */

/* All elements, or some 60 of them if there are more; and what mirrors each is the same. */
static double worst_hessian(const naive_linear *right, const matrix *h)
{
    const ptrdiff_t cols = hessian_cols(right), count = hessian_rows(right) * cols;
    const ptrdiff_t step = count <= 60 ? 1 : count / 60 * 2 + 1;
    double worst = 0;
    CHECK(h->v.rows == hessian_rows(right) && h->v.cols == cols, "shape");
    for (ptrdiff_t at_element = 0, e = 0; at_element < count; at_element += step, e++) {
        const ptrdiff_t place = e % 2 ? count - 1 - at_element / 2 : at_element / 2;
        worst = fmax(worst, miss(at(h, place / cols, place % cols),
                                 naive_hessian(right, place / cols, place % cols)));
    }
    for (ptrdiff_t i = 0; i < h->v.rows; i++)
        for (ptrdiff_t j = 0; j < i % cols; j++)
            CHECK(at(h, i, j) == at(h, i - i % cols + j, i % cols), "symmetric at %td %td", i, j);
    return worst;
}

static void check_values(const variant *v, const linear_case *a, problem *p)
{
    CHECK(call(v->dt, a, p) == FNN_OK, "status");
    naive_linear right = new_naive_linear(v->dt, a->fn, fnn_as_in(p->x.v), p->y, a->c,
                                          a->d + a->intercept, p->theta.v.data, a->alpha);
    double of_gradient = 0;
    for (ptrdiff_t i = 0; i < p->gradient.v.rows; i++)
        for (ptrdiff_t j = 0; j < p->gradient.v.cols; j++)
            of_gradient = fmax(of_gradient, miss(at(&p->gradient, i, j),
                                                 right.gradient[i * p->gradient.v.cols + j]));
    const double of_loss = miss(p->loss, right.loss);
    const double of_hessian = a->hessian ? worst_hessian(&right, &p->hessian) : 0;
    CHECK(of_loss <= 1 && of_gradient <= 1 && of_hessian <= 1,
          "loss %d n %td d %td c %td intercept %d weighted %d targets %d layouts %d %d alpha %g: "
          "%.3g, %.3g and %.3g bounds", a->fn, a->n, a->d, a->c, a->intercept, a->weighted,
          a->kind, a->x, a->targets, a->alpha, of_loss, of_gradient, of_hessian);
    free_naive_linear(&right);
}

static void try_linear(const variant *v, const linear_case *a)
{
    problem p = new_problem(v->dt, a);
    check_values(v, a, &p);
    free_problem(&p);
}

/* Chunks have 256 rows. */
static void test_values(const variant *v)
{
    const ptrdiff_t rows[] = { 1, 2, 5, 255, 256, 257, 520 };
    const ptrdiff_t cols[] = { 1, 2, 3, 13, 16, 17, 33, 65 }, classes[] = { 1, 2, 3, 5, 10 };
    const int levels[] = { LINEAR_LOSSES * NKIND, quick() ? 6 : 7, quick() ? 6 : 8, 5, 2, 2, NLAYOUT,
                           NLAYOUT, 2, 0 };
    int level[MOST_FACTORS];
    for (pairs *p = new_pairs(levels); next_case(p, level);) {
        const linear_case a = {
            .fn = (fnn_loss)(level[0] / NKIND), .kind = level[0] % NKIND, .n = rows[level[1]],
            .d = cols[level[2]], .c = classes[level[3]], .intercept = level[4],
            .weighted = level[5], .hessian = true, .x = (layout)level[6],
            .targets = (layout)level[7], .alpha = level[8] ? 0.25 : 0,
        };
        try_linear(v, &a);
    }
}

/* An intercept and nothing else. */
static void test_no_features(const variant *v)
{
    for (int fn = 0; fn < LINEAR_LOSSES; fn++)
        for (ptrdiff_t c = 1; c <= 3; c++)
            try_linear(v, &(linear_case){ .fn = (fnn_loss)fn, .n = 300, .d = 0, .c = c,
                                          .intercept = true, .hessian = true, .kind = TARGETS,
                                          .alpha = 0.5 });
}

/* Many classes, and rows of x a power of two apart, so that panels of them are copied to be
 * multiplied; features in one panel and a half. */
static void test_rows_that_lie_badly(const variant *v)
{
    const ptrdiff_t panel = v->kn->tile_vectors * v->kn->lanes;
    const ptrdiff_t features[] = { 3 * panel / 2, 32 * panel };
    for (int f = 0; f < 2; f++) {
        const linear_case a = { .fn = FNN_SOFTMAX_CE, .n = 9, .d = features[f], .c = 40,
                                .intercept = true, .kind = LABELS };
        problem p = new_problem(v->dt, &a);
        const matrix wide = new_matrix(v->dt, a.n, 32 * panel, CONTIGUOUS);
        const fnn_out x = { wide.v.data, a.n, a.d, wide.v.rs, 1 };
        fnn_copy(v->dt, fnn_as_in(p.x.v), x);
        p.x.v = x;
        check_values(v, &a, &p);
        free_problem(&p);
    }
}

/* ---- bits --------------------------------------------------------------------------------- */

static bool same_problem(const problem *a, const problem *b)
{
    return a->loss == b->loss && same_bits(&a->gradient, &b->gradient)
        && (!a->hessian.v.rows || !b->hessian.v.rows || same_bits(&a->hessian, &b->hessian));
}

/* Layouts do not change a bit, nor does the Hessian's being wanted, nor do weights that are 1. */
static void test_bits(const variant *v)
{
    for (int fn = 0; fn < LINEAR_LOSSES; fn++)
        for (ptrdiff_t c = 1; c <= 3; c += 2) {
            linear_case a = { .fn = (fnn_loss)fn, .n = 300, .d = 19, .c = c, .intercept = true,
                              .hessian = true, .kind = ONE_HOT, .alpha = 0.5 };
            problem first = new_problem(v->dt, &a);
            CHECK(call(v->dt, &a, &first) == FNN_OK, "status");
            for (int how = 0; how < NLAYOUT; how++) {
                linear_case b = a;
                b.x = (layout)how;
                b.targets = (layout)(NLAYOUT - 1 - how);
                b.hessian = how % 2;
                b.weighted = how % 3 == 0;
                problem other = new_problem(v->dt, &b);
                const matrix ones = new_matrix(v->dt, 1, b.n, CONTIGUOUS);
                for (ptrdiff_t i = 0; i < b.n; i++)
                    put(v->dt, ones.v, 0, i, 1);
                other.y.weights = b.weighted ? freeze(&ones).data : NULL;
                CHECK(call(v->dt, &b, &other) == FNN_OK, "status");
                CHECK(same_problem(&first, &other), "loss %d c %td layouts %d", fn, c, how);
                free(other.labels);
            }
            free_problem(&first);
        }
}

/* ---- extremes ----------------------------------------------------------------------------- */

/* Logits of any size give a finite loss; NaN gives NaN. */
static void test_extremes(const variant *v)
{
    for (int fn = 0; fn < FNN_SQUARED_ERROR; fn++)
        for (ptrdiff_t c = 2; c <= 5; c += 3) {
            const linear_case a = { .fn = (fnn_loss)fn, .n = 40, .d = 3, .c = c, .intercept = true,
                                    .hessian = true, .kind = LABELS };
            problem p = new_problem(v->dt, &a);
            const matrix huge = new_matrix(FNN_F64, c, 4, CONTIGUOUS);
            for (ptrdiff_t k = 0; k < c; k++)
                for (ptrdiff_t j = 0; j < 4; j++)
                    put(FNN_F64, huge.v, k, j, at(&p.theta, k, j) * 1e30);
            p.theta = huge;
            CHECK(call(v->dt, &a, &p) == FNN_OK, "status");
            bool finite = isfinite(p.loss) && p.loss > 0;
            for (ptrdiff_t i = 0; i < p.gradient.v.rows; i++)
                for (ptrdiff_t j = 0; j < p.gradient.v.cols; j++)
                    finite &= isfinite(at(&p.gradient, i, j));
            for (ptrdiff_t i = 0; i < p.hessian.v.rows; i++)
                for (ptrdiff_t j = 0; j < p.hessian.v.cols; j++)
                    finite &= isfinite(at(&p.hessian, i, j));
            CHECK(finite, "loss %d c %td: %g", fn, c, p.loss);
            put(FNN_F64, huge.v, 1, 2, NAN);
            CHECK(call(v->dt, &a, &p) == FNN_OK, "status");
            CHECK(isnan(p.loss) && isnan(at(&p.gradient, 1, 0)), "loss %d c %td: %g", fn, c,
                  p.loss);
            free_problem(&p);
        }
}

static const test linear_tests[] = {
    { "values", test_values }, { "no features", test_no_features },
    { "rows that lie badly", test_rows_that_lie_badly }, { "bits", test_bits },
    { "extremes", test_extremes },
};
SUITE(linear, GUARDED);
