/* test_training.c -- what ends an epoch early, what it skips, and what networks refuse. */
#include "naive.h"
#include "suites.h"

#include <float.h>
#include <time.h>

enum { ROWS = 40, MANY = 515 };

static const design small = { FNN_SOFTMAX_CE, 2, { 4, 9, 3 }, { FNN_TANH, FNN_SOFTMAX } };

/* A network, its data and a training run; freed by `finish`. */
typedef struct {
    fnn_dtype dt;
    fnn_network *net;
    fnn_training *training;
    matrix x, weights;
    fnn_in x_in;
    int64_t labels[MANY], order[MANY];
    fnn_targets y;
    double loss, parts[2];
} run;

static void start(run *r, const variant *v, ptrdiff_t batch_size)
{
    r->dt = v->dt;
    r->net = new_network(v->dt, &small, 1);
    r->x = new_matrix(v->dt, MANY, 4, PADDED);
    r->weights = new_matrix(v->dt, 1, MANY, CONTIGUOUS);
    fill(&r->x, NARROW, 1);
    r->x_in = fnn_as_in(r->x.v);
    for (int i = 0; i < MANY; i++) {
        r->order[i] = i;
        r->labels[i] = i % 3;
        put(v->dt, r->weights.v, 0, i, 1);
    }
    r->y = (fnn_targets){ .labels = r->labels };
    r->loss = NAN;
    const fnn_optimizer opt = fnn_optimizer_init(FNN_ADAM, 0.0625, 0, 0.001);
    CHECK(fnn_training_new(r->net, opt, batch_size, &r->training) == FNN_OK, "training");
}

static void finish(run *r)
{
    fnn_training_free(r->training);
    fnn_network_free(r->net);
}

static fnn_status epoch(run *r, ptrdiff_t count, fnn_poll poll, void *context)
{
    return fnn_training_epoch(r->training, r->x_in, r->y, r->order, count, poll, context, &r->loss,
                              r->parts);
}

static bool same_networks(const run *a, const run *b)
{
    for (int l = 0; l < small.layers; l++) {
        const matrix w[] = { { .dt = a->dt, .v = fnn_network_weight(a->net, l) },
                             { .dt = a->dt, .v = fnn_network_weight(b->net, l) } };
        const matrix bias[] = { { .dt = a->dt, .v = fnn_network_bias(a->net, l) },
                                { .dt = a->dt, .v = fnn_network_bias(b->net, l) } };
        if (!same_bits(&w[0], &w[1]) || !same_bits(&bias[0], &bias[1]))
            return false;
    }
    return true;
}

/* Says stop at call number `last`, only then; takes so long that the next block asks again. */
typedef struct { int calls, last; } stopper;
static int slow_poll(void *context)
{
    stopper *s = context;
    nanosleep(&(struct timespec){ .tv_nsec = 60000000 }, NULL);
    return ++s->calls == s->last;
}

static void test_poll(const variant *v)
{
    run stopped, whole;
    start(&stopped, v, 16);
    start(&whole, v, 16);
    stopper s = { 0, 1 };
    CHECK(epoch(&stopped, ROWS, slow_poll, &s) == FNN_ESTOPPED, "stopped before the first step");
    CHECK(same_networks(&stopped, &whole), "no step was taken");

    s = (stopper){ 0, 3 };
    CHECK(epoch(&stopped, ROWS, slow_poll, &s) == FNN_ESTOPPED, "stopped in the third batch");
    CHECK(s.calls == 3, "%d calls", s.calls);
    CHECK(epoch(&whole, 32, NULL, NULL) == FNN_OK, "two batches");
    CHECK(same_networks(&stopped, &whole), "two steps were taken");

    s = (stopper){ 0, 100 };
    CHECK(epoch(&stopped, ROWS, slow_poll, &s) == FNN_OK, "never stopped");
    CHECK(epoch(&whole, ROWS, NULL, NULL) == FNN_OK && same_networks(&stopped, &whole)
          && stopped.loss == whole.loss, "polling changes nothing, nor does having been stopped");
    finish(&stopped);
    finish(&whole);
}

/* Inside a batch of three blocks, too, and then without a step. */
static void test_poll_in_batch(const variant *v)
{
    run stopped, untouched;
    start(&stopped, v, MANY);
    start(&untouched, v, MANY);
    stopper s = { 0, 2 };
    CHECK(epoch(&stopped, MANY, slow_poll, &s) == FNN_ESTOPPED, "stopped in the second block");
    CHECK(same_networks(&stopped, &untouched), "no step was taken");
    finish(&stopped);
    finish(&untouched);
}

/* What a training keeps, as arrays. */
typedef struct { matrix w[2], b[2]; } parameters;

static parameters new_parameters(fnn_dtype dt)
{
    return (parameters){ { new_matrix(dt, 4, 9, PADDED), new_matrix(dt, 9, 3, TRANSPOSED) },
                         { new_matrix(dt, 1, 9, PADDED), new_matrix(dt, 1, 3, TRANSPOSED) } };
}

static void copy_network(const run *from, const run *to)
{
    for (int l = 0; l < small.layers; l++) {
        fnn_copy(from->dt, fnn_as_in(fnn_network_weight(from->net, l)),
                 fnn_network_weight(to->net, l));
        fnn_copy(from->dt, fnn_as_in(fnn_network_bias(from->net, l)), fnn_network_bias(to->net, l));
    }
}

/* Move what `from` has learned and keeps to `to`, by way of arrays. */
static void continue_in(const variant *v, const run *from, const run *to)
{
    copy_network(from, to);
    fnn_training_resume(to->training, fnn_training_optimizer(from->training)->steps);
    for (int which = 0; which < 2; which++) {
        const parameters p = new_parameters(v->dt);
        const fnn_out w[] = { p.w[0].v, p.w[1].v }, b[] = { p.b[0].v, p.b[1].v };
        const fnn_in w_in[] = { fnn_as_in(w[0]), fnn_as_in(w[1]) };
        const fnn_in b_in[] = { fnn_as_in(b[0]), fnn_as_in(b[1]) };
        CHECK(fnn_training_state(from->training, which, w, b) == FNN_OK, "state");
        CHECK(fnn_training_set_state(to->training, which, w_in, b_in) == FNN_OK, "set state");
        for (int i = 0; i < 2; i++)
            CHECK(padding_intact(&p.w[i]) && padding_intact(&p.b[i]), "wrote beside the state");
    }
}

/* An epoch is the same whether its optimiser has been there all along or came by way of arrays. */
static void test_state(const variant *v)
{
    run whole, first, second, fresh;
    run *const all[] = { &whole, &first, &second, &fresh };
    for (int i = 0; i < 4; i++)
        start(all[i], v, 16);
    CHECK(epoch(&whole, ROWS, NULL, NULL) == FNN_OK && epoch(&first, ROWS, NULL, NULL) == FNN_OK,
          "first epoch");
    CHECK(fnn_training_optimizer(whole.training)->steps == 3, "three batches, three steps");
    continue_in(v, &first, &second);
    copy_network(&first, &fresh);
    for (int i = 0; i < 4; i++)
        CHECK(i == 1 || epoch(all[i], ROWS, NULL, NULL) == FNN_OK, "second epoch");
    CHECK(same_networks(&whole, &second) && whole.loss == second.loss, "went on elsewhere");
    CHECK(!same_networks(&whole, &fresh), "without a state it is another epoch");
    CHECK(fnn_training_optimizer(second.training)->steps == 6, "six steps");

    const parameters p = new_parameters(v->dt);
    const fnn_out w[] = { p.w[0].v, p.w[1].v }, b[] = { p.b[0].v, p.b[1].v };
    const fnn_in w_in[] = { fnn_as_in(w[0]), fnn_as_in(w[1]) };
    const fnn_in wrong[] = { fnn_as_in(b[0]), fnn_as_in(w[1]) };
    CHECK(fnn_training_state(whole.training, 2, w, b) == FNN_ESHAPE, "adam has two");
    CHECK(fnn_training_state(whole.training, -1, w, b) == FNN_ESHAPE, "a negative number");
    CHECK(fnn_training_set_state(whole.training, 0, w_in, wrong) == FNN_ESHAPE, "biases of weights");
    CHECK(fnn_training_set_state(whole.training, 1, wrong, wrong) == FNN_ESHAPE, "a row of weights");
    for (int i = 0; i < 4; i++)
        finish(all[i]);
}

/* Steps that are so many that the powers have come to rest cost no more, and give a finite rate. */
static void test_many_steps(const variant *v)
{
    (void)v;
    fnn_optimizer opt = fnn_optimizer_init(FNN_ADAM, 0.5, 0, 0);
    fnn_optimizer_resume(&opt, INT64_MAX - 1);
    fnn_optimizer_advance(&opt);
    CHECK(opt.rate == 0.5 && opt.steps == INT64_MAX, "rate %g", opt.rate);
    fnn_optimizer stepped = fnn_optimizer_init(FNN_ADAM, 0.5, 0, 0);
    for (int t = 0; t < 777; t++)
        fnn_optimizer_advance(&stepped);
    fnn_optimizer_resume(&opt, 777);
    CHECK(opt.beta1_power == stepped.beta1_power && opt.beta2_power == stepped.beta2_power
          && opt.steps == stepped.steps, "resumed and stepped");
}

/* A learning rate that is set counts from the next step on. */
static void test_learning_rate(const variant *v)
{
    run set, made;
    start(&set, v, 16);
    start(&made, v, 16);
    fnn_training_free(made.training);
    CHECK(fnn_training_new(made.net, fnn_optimizer_init(FNN_ADAM, 0.25, 0, 0.001), 16,
                           &made.training) == FNN_OK, "training");
    CHECK(epoch(&made, ROWS, NULL, NULL) == FNN_OK, "epoch");
    fnn_training_set_learning_rate(set.training, 0.25);
    CHECK(epoch(&set, ROWS, NULL, NULL) == FNN_OK, "epoch");
    CHECK(same_networks(&set, &made) && set.loss == made.loss, "0.25 from the start");
    CHECK(fnn_training_optimizer(set.training)->learning_rate == 0.25, "told");
    finish(&set);
    finish(&made);
}

/* Of batches of 16 rows, alpha over 16 is the alpha of each; the last, of 8, would have another. */
static void test_divided_alpha(const variant *v)
{
    run divided, plain;
    start(&divided, v, 16);
    start(&plain, v, 16);
    fnn_training_divide_alpha(divided.training, 1);
    fnn_training_free(plain.training);
    const fnn_optimizer opt = fnn_optimizer_init(FNN_ADAM, 0.0625, 0, 0.001 / 16);
    CHECK(fnn_training_new(plain.net, opt, 16, &plain.training) == FNN_OK, "training");
    CHECK(epoch(&divided, 32, NULL, NULL) == FNN_OK && epoch(&plain, 32, NULL, NULL) == FNN_OK,
          "epoch");
    CHECK(same_networks(&divided, &plain) && divided.loss == plain.loss, "two batches of 16");
    CHECK(divided.parts[1] == plain.parts[1] && plain.parts[1] > 0, "penalty");
    CHECK(fabs(plain.parts[0] + plain.parts[1] - plain.loss) <= 4 * DBL_EPSILON * plain.loss,
          "%g and %g make %g", plain.parts[0], plain.parts[1], plain.loss);
    CHECK(epoch(&divided, 8, NULL, NULL) == FNN_OK && epoch(&plain, 8, NULL, NULL) == FNN_OK,
          "epoch");
    CHECK(fabs(divided.parts[1] - 2 * plain.parts[1]) <= 4 * DBL_EPSILON * divided.parts[1],
          "twice the penalty for half the rows");
    CHECK(!same_networks(&divided, &plain), "and another step");
    finish(&divided);
    finish(&plain);
}

/* A rate of 0 drops nothing; others drop other outputs in each step and for each seed, and in no other
 * place than training. */
static void test_dropout(const variant *v)
{
    enum { NONE, ZERO, HALF, AGAIN, OTHER_SEED, RUNS };
    const double rates[RUNS] = { 0, 0, 0.5, 0.5, 0.5 }, bad[] = { -0.1, 1, NAN };
    run r[RUNS];
    for (int i = 0; i < RUNS; i++) {
        start(&r[i], v, 300);
        if (i != NONE)
            CHECK(fnn_training_set_dropout(r[i].training, &rates[i], i == OTHER_SEED ? 8 : 7) == FNN_OK,
                  "dropout");
        CHECK(epoch(&r[i], MANY, NULL, NULL) == FNN_OK && isfinite(r[i].loss), "epoch");
    }
    CHECK(same_networks(&r[NONE], &r[ZERO]) && r[NONE].loss == r[ZERO].loss, "a rate of 0");
    CHECK(same_networks(&r[HALF], &r[AGAIN]) && r[HALF].loss == r[AGAIN].loss, "the same again");
    CHECK(!same_networks(&r[HALF], &r[NONE]) && !same_networks(&r[HALF], &r[OTHER_SEED]),
          "another rate, another seed");
    for (int i = 0; i < 3; i++)
        CHECK(fnn_training_set_dropout(r[HALF].training, &bad[i], 7) == FNN_EVALUE, "rate %g", bad[i]);
    for (int i = 0; i < RUNS; i++)
        finish(&r[i]);
}

/* An epoch over all rows whose first batch has no weight is one over the others. */
static void test_weightless_batch(const variant *v)
{
    run all, others;
    start(&all, v, 8);
    start(&others, v, 8);
    for (int i = 0; i < 8; i++)
        put(v->dt, all.weights.v, 0, i, 0);
    all.y.weights = all.weights.v.data;
    memmove(others.order, others.order + 8, (ROWS - 8) * sizeof *others.order);
    CHECK(epoch(&all, ROWS, NULL, NULL) == FNN_OK, "epoch");
    CHECK(epoch(&others, ROWS - 8, NULL, NULL) == FNN_OK, "epoch of the others");
    CHECK(same_networks(&all, &others) && all.loss == others.loss, "the batch was skipped");
    for (int i = 0; i < ROWS; i++)
        put(v->dt, all.weights.v, 0, i, 0);
    CHECK(epoch(&all, ROWS, NULL, NULL) == FNN_EVALUE, "no weight at all");
    CHECK(same_networks(&all, &others), "refused, and nothing changed");
    finish(&all);
    finish(&others);
}

/* A loss that is not finite ends the epoch before its step. */
static void test_not_finite(const variant *v)
{
    run bad, good;
    start(&bad, v, 16);
    start(&good, v, 16);
    put(v->dt, bad.x.v, 20, 0, NAN); /* in the second batch */
    CHECK(epoch(&bad, ROWS, NULL, NULL) == FNN_OK, "status");
    CHECK(isnan(bad.loss), "loss %g", bad.loss);
    CHECK(epoch(&good, 16, NULL, NULL) == FNN_OK, "first batch");
    CHECK(same_networks(&bad, &good), "one step was taken");
    finish(&bad);
    finish(&good);
}

static void test_refused_epochs(const variant *v)
{
    run r, untouched;
    start(&r, v, 16);
    start(&untouched, v, 16);
    const int64_t good = r.order[5];
    const int64_t bad[] = { -1, MANY, INT64_MIN, INT64_MAX };
    for (int i = 0; i < 4; i++) {
        r.order[5] = bad[i];
        CHECK(epoch(&r, ROWS, NULL, NULL) == FNN_EVALUE, "row %lld", (long long)bad[i]);
    }
    r.order[5] = good;
    r.labels[MANY - 1] = 3;
    CHECK(epoch(&r, ROWS, NULL, NULL) == FNN_EVALUE, "label 3 of 3");
    r.labels[MANY - 1] = 0;
    CHECK(epoch(&r, 0, NULL, NULL) == FNN_ESHAPE, "no rows");
    r.x_in.cols = 3;
    CHECK(epoch(&r, ROWS, NULL, NULL) == FNN_ESHAPE, "too few columns");
    r.x_in.cols = 4;
    r.y = (fnn_targets){ .targets = r.x_in };
    CHECK(epoch(&r, ROWS, NULL, NULL) == FNN_ESHAPE, "targets of 4 columns for 3 outputs");
    CHECK(same_networks(&r, &untouched), "refused, and nothing changed");

    fnn_training *none = NULL;
    const fnn_optimizer opt = fnn_optimizer_init(FNN_SGD, 1, 0, 0);
    CHECK(fnn_training_new(r.net, opt, 0, &none) == FNN_ESHAPE && !none, "batches of no rows");
    fnn_training_free(NULL);
    finish(&r);
    finish(&untouched);
}

static void test_refused_networks(const variant *v)
{
    const fnn_act acts[] = { FNN_TANH, FNN_SOFTMAX }, early[] = { FNN_SOFTMAX, FNN_TANH };
    const ptrdiff_t sizes_0[] = { 3, 0, 2 }, sizes_ok[] = { 3, 2, 2 };
    const ptrdiff_t huge[] = { 1, PTRDIFF_MAX, 2 };
    const ptrdiff_t wide[] = { (ptrdiff_t)1 << 31, (ptrdiff_t)1 << 31, 2 };
    fnn_network *net = NULL;
    CHECK(fnn_network_new(v->dt, 0, sizes_ok, acts, &net) == FNN_ESHAPE, "no layers");
    CHECK(fnn_network_new(v->dt, 2, sizes_0, acts, &net) == FNN_ESHAPE, "a layer of no outputs");
    CHECK(fnn_network_new(v->dt, 2, sizes_ok, early, &net) == FNN_ESHAPE, "an early softmax");
    CHECK(fnn_network_new(v->dt, 2, huge, acts, &net) == FNN_ENOMEM, "too wide for its rows");
    CHECK(fnn_network_new(v->dt, 2, wide, acts, &net) == FNN_ENOMEM, "too many parameters");
    CHECK(!net, "no network came of it");
    fnn_network_free(NULL);

    const struct { fnn_act output; fnn_loss loss; double delta; fnn_status right; } losses[] = {
        { FNN_IDENTITY, FNN_HUBER, 1, FNN_OK }, { FNN_IDENTITY, FNN_HUBER, 0, FNN_EVALUE },
        { FNN_IDENTITY, FNN_HUBER, NAN, FNN_EVALUE }, { FNN_IDENTITY, FNN_ABSOLUTE_ERROR, 0, FNN_OK },
        { FNN_IDENTITY, FNN_SQUARED_ERROR, 0, FNN_OK }, { FNN_IDENTITY, FNN_POISSON, 1, FNN_EVALUE },
        { FNN_EXP, FNN_POISSON, 0, FNN_OK }, { FNN_EXP, FNN_HUBER, 1, FNN_EVALUE },
        { FNN_SOFTMAX, FNN_SIGMOID_CE, 0, FNN_EVALUE }, { FNN_RELU, FNN_SQUARED_ERROR, 0, FNN_EVALUE },
    };
    for (int i = 0; i < (int)(sizeof losses / sizeof *losses); i++) {
        fnn_network *of_loss = NULL;
        must(fnn_network_new(v->dt, 1, sizes_ok, &losses[i].output, &of_loss) == FNN_OK, "network");
        CHECK(fnn_network_set_loss(of_loss, losses[i].loss, losses[i].delta) == losses[i].right,
              "loss %d: another status than %d", i, losses[i].right);
        fnn_network_free(of_loss);
    }

    const design no_loss = { FNN_NLOSS, 1, { 4, 3 }, { FNN_RELU } };
    fnn_training *none = NULL;
    double loss;
    const matrix x = new_matrix(v->dt, 5, 4, PADDED), y = new_matrix(v->dt, 5, 3, PADDED);
    const matrix dw = new_matrix(v->dt, 4, 3, PADDED), db = new_matrix(v->dt, 1, 3, PADDED);
    fill(&x, NARROW, 1);
    net = new_network(v->dt, &no_loss, 1);
    const fnn_in x_in = fnn_as_in(x.v);
    const fnn_targets targets = { .targets = x_in };
    CHECK(fnn_training_new(net, fnn_optimizer_init(FNN_SGD, 1, 0, 0), 1, &none) == FNN_ESHAPE,
          "no loss");
    CHECK(fnn_network_gradients(net, x_in, targets, 0, &loss, &dw.v, &db.v) == FNN_ESHAPE,
          "no loss");
    CHECK(fnn_network_forward(net, x_in, y.v) == FNN_OK, "forward");
    CHECK(fnn_network_forward(net, x_in, x.v) == FNN_ESHAPE, "outputs of 4 columns");
    CHECK(fnn_network_forward(net, fnn_as_in(y.v), y.v) == FNN_ESHAPE, "inputs of 3 columns");
    const fnn_out on_x = { x.v.data, 5, 3, x.v.rs, 1 };
    CHECK(fnn_network_forward(net, x_in, on_x) == FNN_EALIAS, "outputs on inputs");
    CHECK(fnn_network_activations(net, x_in, &on_x) == FNN_EALIAS, "activations on inputs");
    CHECK(fnn_network_forward(net, fnn_slice(v->dt, x_in, 0, 0), fnn_slice_out(v->dt, y.v, 0, 0))
          == FNN_OK, "no rows");
    fnn_network_free(net);

    net = new_network(v->dt, &small, 1);
    const matrix dws[] = { new_matrix(v->dt, 4, 9, PADDED), new_matrix(v->dt, 9, 3, PADDED) };
    const matrix dbs[] = { new_matrix(v->dt, 1, 9, PADDED), new_matrix(v->dt, 1, 3, PADDED) };
    const int64_t labels[] = { 0, 1, 2, 0, 1 };
    for (int wrong = 0; wrong < 5; wrong++) { /* 4: none */
        fnn_out dw_v[] = { dws[0].v, dws[1].v }, db_v[] = { dbs[0].v, dbs[1].v };
        if (wrong < 2)
            dw_v[wrong].rows--;
        else if (wrong < 4)
            db_v[wrong - 2].cols--;
        const fnn_targets y_of = { .labels = labels };
        const fnn_status status = fnn_network_gradients(net, x_in, y_of, 0, &loss, dw_v, db_v);
        CHECK(status == (wrong < 4 ? FNN_ESHAPE : FNN_OK), "gradient %d: %d", wrong, status);
    }
    fnn_network_free(net);
}

/* Outputs of several layers on each other, on inputs or on parameters. */
static void test_refused_overlaps(const variant *v)
{
    fnn_network *net = new_network(v->dt, &small, 1);
    const matrix x = new_matrix(v->dt, 9, 4, PADDED), y = new_matrix(v->dt, 9, 3, PADDED);
    const matrix weights = new_matrix(v->dt, 1, 9, CONTIGUOUS);
    const matrix a[] = { new_matrix(v->dt, 9, 9, PADDED), new_matrix(v->dt, 9, 3, PADDED) };
    const matrix dw[] = { new_matrix(v->dt, 4, 9, PADDED), new_matrix(v->dt, 9, 3, PADDED) };
    const matrix db[] = { new_matrix(v->dt, 1, 9, PADDED), new_matrix(v->dt, 1, 3, PADDED) };
    fill(&x, NARROW, 1);
    fill(&y, NARROW, 2);
    for (int i = 0; i < 9; i++)
        put(v->dt, weights.v, 0, i, 1);
    const fnn_in x_in = fnn_as_in(x.v);
    const fnn_out w_0 = fnn_network_weight(net, 0);

    const struct { void *data; fnn_status right; } layers[] = { /* where the second layer's go */
        { a[1].v.data, FNN_OK }, { a[0].v.data, FNN_EALIAS }, { x.v.data, FNN_EALIAS },
        { w_0.data, FNN_EALIAS },
    };
    for (int i = 0; i < 4; i++) {
        const fnn_out ys[] = { a[0].v, { layers[i].data, 9, 3, 3, 1 } };
        CHECK(fnn_network_activations(net, x_in, ys) == layers[i].right, "activations, place %d",
              i);
        CHECK(i == 1 || fnn_network_forward(net, x_in, ys[1]) == layers[i].right,
              "forward, place %d", i);
    }

    const fnn_targets targets = { NULL, fnn_as_in(y.v), weights.v.data };
    void *const places[] = { x.v.data, y.v.data, weights.v.data, w_0.data, dw[0].v.data,
                             db[0].v.data,
                             dw[1].v.data };
    for (int o = 0; o < 4; o++)
        for (int i = 0; i < 7; i++) {
            double loss;
            fnn_out dw_v[] = { dw[0].v, dw[1].v }, db_v[] = { db[0].v, db[1].v };
            fnn_out *const moved = o % 2 ? &db_v[o / 2] : &dw_v[o / 2];
            const bool at_home = moved->data == places[i];
            moved->data = places[i];
            const fnn_status status =
                fnn_network_gradients(net, x_in, targets, 0, &loss, dw_v, db_v);
            CHECK(status == (at_home ? FNN_OK : FNN_EALIAS), "gradient %d, place %d: %d", o, i,
                  status);
        }
    fnn_network_free(net);
}

static const test training_tests[] = {
    { "poll", test_poll }, { "poll in batch", test_poll_in_batch },
    { "state", test_state }, { "many steps", test_many_steps },
    { "learning rate", test_learning_rate }, { "dropout", test_dropout }, { "divided alpha", test_divided_alpha },
    { "weightless batch", test_weightless_batch }, { "not finite", test_not_finite },
    { "refused epochs", test_refused_epochs }, { "refused networks", test_refused_networks },
    { "refused overlaps", test_refused_overlaps },
};
SUITE(training, EACH);
