/* test_opt - optimisers beyond their formulas (those are test_keras_steps'): row lists, lazy tables, threads, clipping,
 * averages, restoring, options. Whatever must not change a bit is compared with memcmp. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "simd/kern.h"
#include "train/opt.h"

enum { ROWS = 300, WIDTH = 24, DENSE = 5000, MOST = 40 };

/* A table and a dense parameter, and the gradients of one step: a list of rows, drawn with small ids more often. */
typedef struct world {
    real table[ROWS * WIDTH], dense[DENSE];
    real rows[MOST * WIDTH], written_out[ROWS * WIDTH], g[DENSE];
    int32_t ids[MOST];
    param_grad list, full, plain;
    const param_grad *as_list[2], *as_full[2];
    opt *o;
} world;

static uint64_t stream(int step, int what) { return (uint64_t)step * 1000003u + (uint64_t)what; }

static void make_gradients(world *w, int step) {
    rng_key key = {.seed = 11, .stream = RNG_USER, .step = (uint32_t)step};
    bool wanted[ROWS] = {false};
    for (int i = 0; i < MOST; i++) {
        double u = rng_uniform(key, (uint64_t)i);
        wanted[(int)(u * u * u * ROWS)] = true;
    }
    memset(w->written_out, 0, sizeof w->written_out);
    int n = 0;
    for (int r = 0; r < ROWS; r++) {
        if (!wanted[r]) continue;
        w->ids[n] = r;
        for (int k = 0; k < WIDTH; k++) {
            real x = (real)(.4 * rng_uniform(key, stream(r, 100 + k)) - .2);
            w->rows[n * WIDTH + k] = x;
            w->written_out[r * WIDTH + k] = x;
        }
        n++;
    }
    for (int i = 0; i < DENSE; i++) w->g[i] = (real)(.1 * rng_uniform(key, stream(i, 7)) - .05);
    w->list = (param_grad){.is_rows = true, .rows = {n, w->ids, w->rows, WIDTH}};
    w->full = (param_grad){.dense = w->written_out};
    w->plain = (param_grad){.dense = w->g};
    w->as_list[0] = &w->list;
    w->as_full[0] = &w->full;
    w->as_list[1] = w->as_full[1] = &w->plain;
}

static world *world_new(const opt_options *o) {
    souk_error err = {0};
    world *w = mem_calloc(1, sizeof *w);
    for (int i = 0; i < ROWS * WIDTH; i++)
        w->table[i] = (real)(rng_uniform((rng_key){1, RNG_USER, 0}, (uint64_t)i) - .5);
    for (int i = 0; i < DENSE; i++) w->dense[i] = (real)(rng_uniform((rng_key){2, RNG_USER, 0}, (uint64_t)i) - .5);
    opt_param p[2] = {{"table", w->table, ROWS * WIDTH, WIDTH, true, true, false},
                      {"dense", w->dense, DENSE, 0, true, false, true}};
    if (opt_new(&w->o, o, p, 2, &err) != SOUK_OK) fail_msg("%s", err.message);
    return w;
}

static void world_free(world *w) {
    opt_free(w->o);
    mem_free(w);
}

static void same(const world *a, const world *b, const char *what) {
    if (memcmp(a->table, b->table, sizeof a->table) != 0) fail_msg("%s: tables differ", what);
    if (memcmp(a->dense, b->dense, sizeof a->dense) != 0) fail_msg("%s: dense parameters differ", what);
    for (int i = 0; i < opt_slots(a->o); i++) {
        const char *name;
        real *x, *y;
        int64_t n;
        opt_slot(a->o, i, &name, &x, &n);
        opt_slot(b->o, i, &name, &y, &n);
        if (memcmp(x, y, (size_t)n * sizeof *x) != 0) fail_msg("%s: %s differs", what, name);
    }
}

typedef struct rule {
    const char *name;
    opt_options o;
} rule;

static int rules(rule *r) {
    int n = 0;
    for (int torch = 0; torch < 2; torch++) {
        opt_rule kind = torch ? OPT_RULE_TORCH : OPT_RULE_KERAS;
        r[n++] = (rule){"adam", opt_options_default(OPT_ADAM, kind)};
        r[n++] = (rule){"adamw", opt_options_default(OPT_ADAMW, kind)};
        r[n++] = (rule){"rmsprop", opt_options_default(OPT_RMSPROP, kind)};
        r[n++] = (rule){"sgd", opt_options_default(OPT_SGD, kind)};
        r[n++] = (rule){"adagrad", opt_options_default(OPT_ADAGRAD, kind)};
        r[n] = (rule){"rmsprop with momentum", opt_options_default(OPT_RMSPROP, kind)};
        r[n++].o.momentum = .8;
        r[n] = (rule){"sgd with momentum", opt_options_default(OPT_SGD, kind)};
        r[n++].o.momentum = .9;
        r[n] = (rule){"nesterov", r[n - 1].o};
        r[n++].o.nesterov = true;
        r[n] = (rule){"adam with global norm", opt_options_default(OPT_ADAM, kind)};
        r[n++].o.clip_global_norm = 1;
        r[n] = (rule){"adam with norm", opt_options_default(OPT_ADAM, kind)};
        r[n++].o.clip_norm = .5;
        r[n] = (rule){"adam with value", opt_options_default(OPT_ADAM, kind)};
        r[n++].o.clip_value = .02;
        r[n] = (rule){"adamw with average", opt_options_default(OPT_ADAMW, kind)};
        r[n++].o.ema_momentum = .99;
    }
    r[n] = (rule){"sgd with decay and average", opt_options_default(OPT_SGD, OPT_RULE_KERAS)};
    r[n].o.weight_decay = .01;
    r[n++].o.ema_momentum = .9;
    r[n] = (rule){"adam with coupled decay", opt_options_default(OPT_ADAM, OPT_RULE_TORCH)};
    r[n++].o.weight_decay = .01;
    r[n] = (rule){"adam accumulated", opt_options_default(OPT_ADAM, OPT_RULE_KERAS)};
    r[n++].o.accumulate = 3;
    return n;
}

/* Rate moves, so that replay must take each step's own. */
static double rate(const opt_options *o, int step) { return o->learning_rate * (1 + .5 * sin(step * .1)); }

/* 200 steps: dense gradient, row list, and lazy rows give the same bits; also the rows that a forward pass would read.
 */
static void test_lazy_is_dense(void **state) {
    rule r[40];
    int n = rules(r), lazy = 0;
    (void)state;
    for (int k = 0; k < n; k++) {
        opt_options late = r[k].o;
        late.lazy_from = 1;
        world *full = world_new(&r[k].o), *list = world_new(&r[k].o), *rows = world_new(&late);
        assert_false(opt_is_lazy(full->o, 0));
        lazy += opt_is_lazy(rows->o, 0);
        for (int step = 0; step < 200; step++) {
            make_gradients(full, step);
            make_gradients(list, step);
            make_gradients(rows, step);
            opt_prepare(rows->o, 0, rows->ids, rows->list.rows.n, NULL);
            for (int i = 0; i < rows->list.rows.n; i++)
                if (memcmp(full->table + rows->ids[i] * WIDTH, rows->table + rows->ids[i] * WIDTH,
                           WIDTH * sizeof(real)) != 0)
                    fail_msg("%s: step %d reads an outdated row %d", r[k].name, step, (int)rows->ids[i]);
            double lr = rate(&r[k].o, step);
            bool stepped = opt_step(full->o, full->as_full, lr, NULL);
            assert_int_equal(stepped, opt_step(list->o, list->as_list, lr, NULL));
            assert_int_equal(stepped, opt_step(rows->o, rows->as_list, lr, NULL));
            if (step == 100) opt_flush(rows->o, NULL);
        }
        opt_flush(rows->o, NULL);
        same(full, list, r[k].name);
        same(full, rows, r[k].name);
        world_free(full);
        world_free(list);
        world_free(rows);
    }
    print_message("lazy rows equal dense, bit for bit, under %d of %d rules; the others take the dense path\n", lazy,
                  n);
    assert_int_equal(lazy, n - 2);
}

/* More steps than scalars are kept for: rows are flushed on the way, and rows that stopped moving stay exact. */
static void test_lazy_long(void **state) {
    opt_options o = opt_options_default(OPT_ADAM, OPT_RULE_KERAS), late = o;
    (void)state;
    late.lazy_from = 1;
    world *a = world_new(&o), *b = world_new(&late);
    make_gradients(a, 1);
    make_gradients(b, 1);
    for (int step = 0; step < 9000; step++) {
        b->list.rows.n = a->list.rows.n = step % 2500 == 0 ? 20 : 2; /* most rows are left alone for long */
        opt_prepare(b->o, 0, b->ids, b->list.rows.n, NULL);
        opt_step(a->o, a->as_list, .01, NULL);
        opt_step(b->o, b->as_list, .01, NULL);
    }
    opt_flush(b->o, NULL);
    same(a, b, "9000 steps");
    world_free(a);
    world_free(b);
}

static void test_threads(void **state) {
    rule r[40];
    int n = rules(r);
    pool *three = pool_new(3);
    (void)state;
    for (int k = 0; k < n; k++) {
        opt_options o = r[k].o;
        o.lazy_from = k % 2 ? 1 : 1 << 30;
        world *a = world_new(&o), *b = world_new(&o);
        for (int step = 0; step < 20; step++) {
            make_gradients(a, step);
            make_gradients(b, step);
            int64_t before = mem_calls();
            opt_prepare(b->o, 0, b->ids, b->list.rows.n, three);
            opt_step(b->o, b->as_list, .01, three);
            assert_int_equal(mem_calls(), before); /* a step allocates nothing */
            opt_prepare(a->o, 0, a->ids, a->list.rows.n, NULL);
            opt_step(a->o, a->as_list, .01, NULL);
        }
        opt_flush(a->o, NULL);
        opt_flush(b->o, three);
        same(a, b, r[k].name);
        world_free(a);
        world_free(b);
    }
    pool_free(three);
}

/* A large parameter is cut into blocks that threads share; same bits. */
static void test_threads_large(void **state) {
    enum { N = 300001 };
    opt_options o = opt_options_default(OPT_ADAMW, OPT_RULE_KERAS);
    o.clip_global_norm = 1;
    real *p[2], *g = mem_array(N, sizeof *g);
    pool *three = pool_new(3);
    (void)state;
    for (int i = 0; i < N; i++) g[i] = (real)(rng_uniform((rng_key){3, RNG_USER, 0}, (uint64_t)i) - .5);
    param_grad grad = {.dense = g};
    const param_grad *list[1] = {&grad};
    for (int k = 0; k < 2; k++) {
        opt *made;
        p[k] = mem_calloc(N, sizeof(real));
        opt_param one = {"p", p[k], N, 0, true, false, false};
        assert_int_equal(opt_new(&made, &o, &one, 1, NULL), SOUK_OK);
        for (int step = 0; step < 5; step++) opt_step(made, list, .01, k ? three : NULL);
        opt_free(made);
    }
    assert_memory_equal(p[0], p[1], N * sizeof(real));
    mem_free(p[0]);
    mem_free(p[1]);
    mem_free(g);
    pool_free(three);
}

/* Slots and counters taken at any step, put into a new optimiser, go on with the same bits. */
static void test_restore(void **state) {
    rule r[40];
    int n = rules(r);
    (void)state;
    for (int k = 0; k < n; k++) {
        opt_options o = r[k].o;
        o.lazy_from = k % 2 ? 1 << 30 : 1;
        world *a = world_new(&o), *b = world_new(&o);
        for (int step = 0; step < 40; step++) {
            make_gradients(a, step);
            opt_prepare(a->o, 0, a->ids, a->list.rows.n, NULL);
            opt_step(a->o, a->as_list, rate(&o, step), NULL);
            if (step == 16) { /* in the middle of an accumulation of three */
                opt_flush(a->o, NULL);
                memcpy(b->table, a->table, sizeof a->table);
                memcpy(b->dense, a->dense, sizeof a->dense);
                for (int i = 0; i < opt_slots(a->o); i++) {
                    const char *name, *other;
                    real *x, *y;
                    int64_t count;
                    opt_slot(a->o, i, &name, &x, &count);
                    opt_slot(b->o, i, &other, &y, &count);
                    assert_string_equal(name, other);
                    memcpy(y, x, (size_t)count * sizeof *x);
                }
                for (int i = 0; i < 2; i++) opt_set_counter(b->o, i, opt_counter(a->o, i));
            } else if (step > 16) {
                make_gradients(b, step);
                opt_prepare(b->o, 0, b->ids, b->list.rows.n, NULL);
                opt_step(b->o, b->as_list, rate(&o, step), NULL);
            }
        }
        opt_flush(a->o, NULL);
        opt_flush(b->o, NULL);
        assert_int_equal(opt_iterations(a->o), opt_iterations(b->o));
        same(a, b, r[k].name);
        world_free(a);
        world_free(b);
    }
}

/* Keras: NaN for all under global_clipnorm if the norm is not finite, rows without gradient included. */
static void test_global_norm(void **state) {
    opt_options o = opt_options_default(OPT_SGD, OPT_RULE_KERAS);
    (void)state;
    o.clip_global_norm = .5;
    for (int lazy = 0; lazy < 2; lazy++) {
        o.lazy_from = lazy ? 1 : 1 << 30;
        world *w = world_new(&o);
        make_gradients(w, 3);
        double squares = 0;
        for (int i = 0; i < ROWS * WIDTH; i++) squares += (double)w->written_out[i] * (double)w->written_out[i];
        for (int i = 0; i < DENSE; i++) squares += (double)w->g[i] * (double)w->g[i];
        real before = w->dense[17];
        opt_step(w->o, w->as_list, 1, NULL);
        assert_true(fabs(opt_last_norm(w->o) - sqrt(squares)) < 1e-9);
        assert_true(fabs((double)(before - w->dense[17]) - (double)w->g[17] * .5 / sqrt(squares)) < 1e-7);
        w->g[5] = (real)INFINITY;
        opt_step(w->o, w->as_list, 1, NULL);
        for (int i = 0; i < ROWS * WIDTH; i++) assert_true(isnan(w->table[i]));
        for (int i = 0; i < DENSE; i++) assert_true(isnan(w->dense[i]));
        world_free(w);
    }
}

static void test_decay_exclusion(void **state) {
    opt_options o = opt_options_default(OPT_ADAMW, OPT_RULE_KERAS);
    (void)state;
    o.weight_decay = .5;
    o.decay_bias_and_norm = false; /* "dense" is marked as a bias */
    world *w = world_new(&o);
    make_gradients(w, 1);
    memset(w->g, 0, sizeof w->g);
    memset(w->rows, 0, sizeof w->rows);
    real table = w->table[3], dense = w->dense[3];
    opt_step(w->o, w->as_list, .1, NULL);
    assert_true(w->dense[3] == dense);
    assert_true(fabs((double)(w->table[3] - table * (real).95)) < 1e-7);
    world_free(w);
}

static void refuse(void (*spoil)(opt_options *o), const char *part) {
    opt_options o = opt_options_default(OPT_ADAM, OPT_RULE_KERAS);
    souk_error err = {0};
    opt *made;
    spoil(&o);
    assert_int_equal(opt_new(&made, &o, NULL, 0, &err), SOUK_USAGE);
    assert_null(made);
    assert_non_null(strstr(err.message, part));
}

static void two_clips(opt_options *o) { o->clip_norm = o->clip_value = 1; }
static void large_beta(opt_options *o) { o->beta1 = 1; }
static void no_steps(opt_options *o) { o->accumulate = 0; }
static void not_a_number(opt_options *o) { o->epsilon = NAN; }

static void test_options(void **state) {
    (void)state;
    refuse(two_clips, "only one of clipvalue, clipnorm and global_clipnorm may be set");
    refuse(large_beta, "beta_1 and beta_2 must be at least 0 and below 1");
    refuse(no_steps, "gradient_accumulation_steps must be at least 1, not 0");
    refuse(not_a_number, "epsilon must not be negative");
}

static int init(void **state) {
    (void)state;
    kern_init();
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_lazy_is_dense),   cmocka_unit_test(test_lazy_long),
                                       cmocka_unit_test(test_threads),         cmocka_unit_test(test_threads_large),
                                       cmocka_unit_test(test_restore),         cmocka_unit_test(test_global_norm),
                                       cmocka_unit_test(test_decay_exclusion), cmocka_unit_test(test_options)};
    return cmocka_run_group_tests(tests, init, NULL);
}
