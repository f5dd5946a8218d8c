/* test_ops - walks the op table and every case of every op.
 *
 * For each case the op is recorded between ops that make its inputs and a squared-error loss, and run
 *   - on every instruction set, 1 and 7 threads, shards of 1, 3 and 8 rows, with the memory planner and depth-first
 * order on and off, dense and row-list gradients: outputs, loss and all gradients must be the same bits as plain C;
 *   - with and without rewrites: equal within rounding;
 *   - in the double build: gradients against central differences.
 * An op without cases, or with neither a backward nor a stated reason, fails. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/thread.h"
#include "graph/ops.h"
#include "graph/plan.h"
#include "simd/kern.h"

enum { BATCH = 19, MAX_SLOTS = 48, SAMPLES = 40 };

typedef struct slot {
    int64_t count;
    bool trainable, integers;
    void *data, *work; /* work: what the run sees; moving statistics change there */
} slot;

struct op_tester {
    slot params[MAX_SLOTS], inputs[MAX_SLOTS];
    int n_params, n_inputs;
};

static int64_t checks, passed;
static pool *threads_7;

static void check(bool good, const char *op, const char *name, const char *what) {
    checks++;
    passed += good;
    if (!good) fprintf(stderr, "FAILED: %s, case \"%s\": %s\n", op, name, what);
}

/* ---- inputs of a case: the same numbers whenever the same case is recorded ---- */

static slot *slot_at(slot *slots, int number, int64_t count, size_t size) {
    slot *s = &slots[number];
    assert_true(number < MAX_SLOTS);
    if (s->data && s->count == count) return s;
    free(s->data);
    free(s->work);
    s->data = calloc((size_t)count + 1, size);
    s->work = calloc((size_t)count + 1, size);
    s->count = count;
    return s;
}

static int64_t product(int rank, const int64_t *d) {
    int64_t n = 1;
    for (int i = 0; i < rank; i++) n *= d[i];
    return n;
}

static node_id make_param(graph *g, op_tester *t, int rank, const int64_t *dims, double low, double high,
                          bool trainable) {
    slot *s = slot_at(t->params, t->n_params, product(rank, dims), sizeof(real));
    rng_key key = {77, (uint32_t)t->n_params, 0};
    s->trainable = trainable;
    for (int64_t i = 0; i < s->count; i++)
        ((real *)s->data)[i] = (real)(low + (high - low) * rng_uniform(key, (uint64_t)i));
    char name[32];
    snprintf(name, sizeof name, "p%d", t->n_params);
    return graph_param(g, t->n_params++, rank, dims, trainable, name);
}

node_id op_test_param(graph *g, op_tester *t, int rank, const int64_t *dims, double low, double high) {
    return make_param(g, t, rank, dims, low, high, true);
}

node_id op_test_constant(graph *g, op_tester *t, int rank, const int64_t *dims, double low, double high) {
    return make_param(g, t, rank, dims, low, high, false);
}

node_id op_test_input(graph *g, op_tester *t, int rank, const int64_t *dims_with_batch, double low, double high) {
    return op_scale(g, make_param(g, t, rank, dims_with_batch, low, high, true), 1);
}

node_id op_test_ids(graph *g, op_tester *t, int rank, const int64_t *dims_with_batch, int32_t low, int32_t high) {
    slot *s = slot_at(t->inputs, t->n_inputs, product(rank, dims_with_batch), sizeof(int32_t));
    rng_key key = {78, (uint32_t)t->n_inputs, 0};
    s->integers = true;
    for (int64_t i = 0; i < s->count; i++)
        ((int32_t *)s->data)[i] = low + (int32_t)rng_below(key, (uint64_t)i, (uint64_t)(high - low));
    return graph_input(g, t->n_inputs++, DT_I32, rank - 1, dims_with_batch + 1);
}

node_id op_test_target(graph *g, op_tester *t, int rank, const int64_t *dims_with_batch, double low, double high) {
    slot *s = slot_at(t->inputs, t->n_inputs, product(rank, dims_with_batch), sizeof(real));
    rng_key key = {79, (uint32_t)t->n_inputs, 0};
    s->integers = false;
    for (int64_t i = 0; i < s->count; i++)
        ((real *)s->data)[i] = (real)(low + (high - low) * rng_uniform(key, (uint64_t)i));
    return graph_input(g, t->n_inputs++, DT_REAL, rank - 1, dims_with_batch + 1);
}

static void tester_clear(op_tester *t) {
    for (int i = 0; i < MAX_SLOTS; i++) {
        free(t->params[i].data);
        free(t->params[i].work);
        free(t->inputs[i].data);
        free(t->inputs[i].work);
    }
}

/* ---- one configuration ---- */

typedef struct config {
    kern_isa isa;
    plan_options options;
    bool seven, inference;
} config;

typedef struct result {
    size_t out_bytes, grad_count;
    unsigned char *out;
    real *grads; /* of all parameters, dense, one after the other */
    double loss;
    bool is_int;
} result;

static void result_clear(result *r) {
    free(r->out);
    free(r->grads);
    memset(r, 0, sizeof *r);
}

/* Records the case; the node under test is output 0, and feeds a weighted squared error unless it is a loss itself. */
static void record(graph *g, op_tester *t, const op_case *c, bool training) {
    graph_init(g, BATCH, training);
    t->n_params = t->n_inputs = 0;
    graph_scope(g, c->name);
    node_id y = c->build(g, t);
    souk_error err = {0};
    if (graph_status(g, &err) != SOUK_OK) fail_msg("%s", err.message);
    graph_output(g, y);
    if (graph_node(g, y)->type != DT_REAL || !training) return;
    const shape s = graph_node(g, y)->shape;
    if (shape_count(&s) == 1) {
        graph_loss(g, y);
        return;
    }
    loss_attr mse = {.kind = LOSS_MSE};
    node_id loss = s.rank == 1 ? op_mul(g, y, op_test_target(g, t, 1, s.d, -1, 1))
                               : op_loss(g, &mse, y, op_test_target(g, t, s.rank, s.d, -1, 1));
    int64_t B = g->batch;
    graph_loss(g, op_mean_loss(g, loss, op_test_target(g, t, 1, &B, .5, 2)));
    assert_int_equal(graph_status(g, &err), SOUK_OK);
}

static void run_plan(const plan *p, plan_session *s, op_tester *t, pool *workers) {
    const void *inputs[MAX_SLOTS];
    real *params[MAX_SLOTS];
    uint64_t samples[BATCH];
    for (int i = 0; i < t->n_params; i++) {
        memcpy(t->params[i].work, t->params[i].data, (size_t)t->params[i].count * sizeof(real));
        params[i] = t->params[i].work;
    }
    for (int i = 0; i < t->n_inputs; i++) inputs[i] = t->inputs[i].data;
    for (int i = 0; i < BATCH; i++) samples[i] = 1000003u * (uint64_t)i + ((uint64_t)i << 33);
    plan_io io = {.inputs = inputs, .params = params, .seed = 0x123456789abcdefu, .step = 3, .samples = samples};
    plan_run(p, s, &io, workers);
}

static void collect_grad(const param_grad *g, const slot *s, real *to) {
    if (!g) return;
    if (!g->is_rows) {
        memcpy(to, g->dense, (size_t)s->count * sizeof *to);
        return;
    }
    for (int64_t i = 0; i < g->rows.n; i++) {
        assert_true(i == 0 || g->rows.ids[i] > g->rows.ids[i - 1]);
        memcpy(to + g->rows.ids[i] * g->rows.width, g->rows.rows + i * g->rows.width,
               (size_t)g->rows.width * sizeof *to);
    }
}

static result collect(const plan *p, const plan_session *s, const op_tester *t, const graph *g) {
    result r = {0};
    const node *n = graph_node(g, g->outputs[0]);
    r.is_int = n->type == DT_I32;
    r.out_bytes = (size_t)shape_count(&n->shape) * (r.is_int ? sizeof(int32_t) : sizeof(real));
    r.out = calloc(r.out_bytes + 1, 1);
    memcpy(r.out, plan_output(p, s, 0), r.out_bytes);
    for (int i = 0; i < t->n_params; i++) r.grad_count += (size_t)t->params[i].count;
    r.grads = calloc(r.grad_count + 1, sizeof *r.grads);
    if (!g->loss) return r;
    r.loss = plan_loss(p, s);
    size_t at = 0;
    for (int i = 0; i < t->n_params; i++) {
        collect_grad(plan_grad(p, s, i), &t->params[i], r.grads + at);
        at += (size_t)t->params[i].count;
    }
    return r;
}

static result run_case(op_tester *t, const op_case *c, const config *k) {
    graph g;
    plan *p;
    plan_session *s;
    souk_error err = {0};
    assert_true(kern_use(k->isa));
    record(&g, t, c, !k->inference);
    if (plan_new(&p, &g, &k->options, &err) != SOUK_OK) fail_msg("%s", err.message);
    assert_int_equal(plan_session_new(&s, p, 7, &err), SOUK_OK);
    run_plan(p, s, t, k->seven ? threads_7 : NULL);
    result r = collect(p, s, t, &g);
    int64_t calls = mem_calls();
    run_plan(p, s, t, k->seven ? threads_7 : NULL); /* a second run over used memory, without an allocation */
    assert_int_equal(mem_calls(), calls);
    result again = collect(p, s, t, &g);
    check(memcmp(r.out, again.out, r.out_bytes) == 0 && memcmp(r.grads, again.grads, r.grad_count * sizeof(real)) == 0,
          graph_node(&g, g.outputs[0])->op->name, c->name, "a second run gives other bits");
    result_clear(&again);
    plan_session_free(s);
    plan_free(p);
    graph_clear(&g);
    return r;
}

static bool same_bits(const result *a, const result *b) {
    return a->out_bytes == b->out_bytes && memcmp(a->out, b->out, a->out_bytes) == 0 &&
           a->grad_count == b->grad_count && memcmp(a->grads, b->grads, a->grad_count * sizeof(real)) == 0 &&
           memcmp(&a->loss, &b->loss, sizeof a->loss) == 0;
}

static double most_difference(const real *a, const real *b, size_t n) {
    double most = 0, scale = 1e-3;
    for (size_t i = 0; i < n; i++) {
        double d = fabs((double)a[i] - (double)b[i]);
        if (!(d <= most)) most = d;
        if (fabs((double)a[i]) > scale) scale = fabs((double)a[i]);
    }
    return most / scale;
}

static bool nearly(const result *a, const result *b, double tolerance) {
    size_t n = a->out_bytes / sizeof(real);
    bool out = a->is_int ? memcmp(a->out, b->out, a->out_bytes) == 0
                         : most_difference((const real *)(void *)a->out, (const real *)(void *)b->out, n) <= tolerance;
    return out && most_difference(a->grads, b->grads, a->grad_count) <= tolerance;
}

static bool all_finite(const result *r) {
    bool fine = true;
    for (size_t i = 0; i < r->grad_count; i++) fine = fine && isfinite((double)r->grads[i]);
    for (size_t i = 0; !r->is_int && i < r->out_bytes / sizeof(real); i++)
        fine = fine && isfinite((double)((const real *)(void *)r->out)[i]);
    return fine;
}

static void same_as(const result *base, op_tester *t, const op_def *op, const op_case *c, config k, const char *what) {
    result r = run_case(t, c, &k);
    check(same_bits(base, &r), op->name, c->name, what);
    result_clear(&r);
}

/* Every way of running that must not change a bit. */
static void walk_configs(op_tester *t, const op_def *op, const op_case *c, bool inference) {
    config base_config = {.isa = KERN_C, .inference = inference, .options = {.no_reuse = true, .no_depth_first = true}};
    result base = run_case(t, c, &base_config);
    check(all_finite(&base), op->name, c->name, "a result is not finite");
    for (int isa = KERN_C; isa <= KERN_AVX512; isa++) {
        if (!kern_supported((kern_isa)isa)) continue;
        config k = {.isa = (kern_isa)isa, .inference = inference};
        same_as(&base, t, op, c, k, kern_isa_name((kern_isa)isa));
        k.options.no_reuse = true;
        same_as(&base, t, op, c, k, "without memory reuse");
        k.options = (plan_options){.no_depth_first = true};
        same_as(&base, t, op, c, k, "not depth first");
        k.options = (plan_options){.row_lists = true};
        k.seven = true;
        same_as(&base, t, op, c, k, "7 threads, row lists");
        for (int64_t rows = 1; rows <= 3; rows += 2) {
            k.options = (plan_options){.shard_rows = rows, .split_tasks = rows};
            same_as(&base, t, op, c, k, rows == 1 ? "shards of 1 row, one piece" : "shards of 3 rows, 3 pieces");
        }
    }
    config unfused = {.isa = KERN_C, .inference = inference, .options = {.no_fuse = true}};
    result r = run_case(t, c, &unfused);
    check(nearly(&base, &r, sizeof(real) == 8 ? 1e-12 : 2e-5), op->name, c->name,
          "without rewrites the result differs");
    result_clear(&r);
    result_clear(&base);
}

/* ---- central differences ---- */

#ifdef SOUK_DOUBLE
static double loss_at(const plan *p, plan_session *s, op_tester *t) {
    run_plan(p, s, t, NULL);
    return plan_loss(p, s);
}

/* Up to SAMPLES elements of each trained parameter. */
static void check_gradients(op_tester *t, const op_def *op, const op_case *c) {
    graph g;
    plan *p;
    plan_session *s;
    souk_error err = {0};
    record(&g, t, c, true);
    assert_int_equal(plan_new(&p, &g, &(plan_options){0}, &err), SOUK_OK);
    assert_int_equal(plan_session_new(&s, p, 1, &err), SOUK_OK);
    run_plan(p, s, t, NULL);
    result r = collect(p, s, t, &g);
    size_t at = 0;
    for (int i = 0; g.loss && i < t->n_params; i++) {
        real *x = t->params[i].data;
        int64_t count = t->params[i].count, tried = count < SAMPLES ? count : SAMPLES;
        double worst = 0;
        for (int64_t k = 0; t->params[i].trainable && k < tried; k++) {
            int64_t e = tried == count ? k : (int64_t)rng_below((rng_key){5, 6, 7}, (uint64_t)k, (uint64_t)count);
            double kept = x[e], h = 1e-5;
            x[e] = kept + h;
            double up = loss_at(p, s, t);
            x[e] = kept - h;
            double down = loss_at(p, s, t);
            x[e] = kept;
            double numeric = (up - down) / (2 * h),
                   error = fabs(numeric - r.grads[at + (size_t)e]) / (1 + fabs(numeric));
            if (!(error <= worst)) worst = error;
        }
        char what[96];
        snprintf(what, sizeof what, "gradient of parameter %d is off by %.2g", i, worst);
        check(worst <= 1e-7, op->name, c->name, what);
        at += (size_t)count;
    }
    check(!g.loss || t->n_params > 0, op->name, c->name, "nothing to differentiate");
    result_clear(&r);
    plan_session_free(s);
    plan_free(p);
    graph_clear(&g);
}
#endif

static void test_table(void **state) {
    (void)state;
    int ops = 0, cases = 0;
    for (const op_def *const *op = op_table; *op; op++, ops++) {
        bool alias = (*op)->flags & OP_ALIAS;
        check((*op)->cases && (*op)->cases[0].name, (*op)->name, "-", "has no cases");
        check(alias || (*op)->backward[0].run || (*op)->no_grad, (*op)->name, "-",
              "has neither a backward nor a reason why not");
        for (const op_case *c = (*op)->cases; c && c->name; c++, cases++) {
            op_tester t = {0};
            walk_configs(&t, *op, c, false);
            walk_configs(&t, *op, c, true);
#ifdef SOUK_DOUBLE
            kern_use(KERN_C);
            check_gradients(&t, *op, c);
#endif
            tester_clear(&t);
        }
    }
    printf("%lld of %lld checks passed: %d ops, %d cases\n", (long long)passed, (long long)checks, ops, cases);
    assert_int_equal(passed, checks);
}

static int make_pool(void **state) {
    (void)state;
    kern_init();
    threads_7 = pool_new(7);
    return threads_7 ? 0 : -1;
}

static int free_pool(void **state) {
    (void)state;
    pool_free(threads_7);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_table)};
    return cmocka_run_group_tests(tests, make_pool, free_pool);
}
