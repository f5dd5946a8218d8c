/* test_rnn - recurrent layers against Keras in float64 (tests/ref/make_rnn.py), the same bits however a batch is cut,
 * and the LSTM over tokens against embedding + LSTM. Gradients by central differences are test_ops' business. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "base/fs.h"
#include "base/mem.h"
#include "graph/ops.h"
#include "graph/plan.h"
#include "simd/kern.h"

#ifdef SOUK_DOUBLE
static const double TOLERANCE = 1e-10;
#else
static const double TOLERANCE = 1e-5;
#endif

/* ---- running one graph whose loss is sum(d * output) / B ---- */

enum { MAX_SLOTS = 6 };
typedef struct net {
    graph g;
    node_id out;
    int64_t B, count[MAX_SLOTS]; /* elements of each parameter */
    real *value[MAX_SLOTS];
    int params;
    const void *inputs[2]; /* ids or mask [B,T]; d [B,…] */
} net;

/* Adds the loss over the output: a product with d, and a row sum by a column of ones (parameter of its own, not
 * trained). */
static void add_loss(net *n) {
    graph *g = &n->g;
    const int64_t row = shape_row(&graph_node(g, n->out)->shape);
    static real ones[20000];
    for (int i = 0; i < 20000; i++) ones[i] = 1;
    assert_true(row <= 20000);
    node_id flat = op_reshape(g, n->out, 1, &row), d = graph_input(g, 1, DT_REAL, 1, &row);
    node_id w = graph_param(g, n->params, 2, (int64_t[]){row, 1}, false, "ones");
    n->value[n->params++] = ones;
    node_id sum = op_linear(g, op_mul(g, flat, d), w, 0);
    graph_loss(g, op_mean_loss(g, op_reshape(g, sum, 0, NULL), 0));
    graph_output(g, n->out);
}

static node_id add_param(net *n, int rank, const int64_t *dims, real *value, const char *name) {
    shape s = shape_make(rank, dims);
    n->count[n->params] = shape_count(&s);
    n->value[n->params] = value;
    return graph_param(&n->g, n->params++, rank, dims, true, name);
}

/* Runs; copies the output to y and the gradients, one after another, to dw (dense: row lists are spread). Either may be
 * NULL. */
static void run_net(net *n, plan_options o, int threads, real *y, real *grads) {
    souk_error err = {0};
    plan *p = NULL;
    plan_session *s = NULL;
    pool *workers = threads > 1 ? pool_new(threads) : NULL;
    graph_status(&n->g, &err);
    if (err.code) fail_msg("%s", err.message);
    if (plan_new(&p, &n->g, &o, &err) != SOUK_OK) fail_msg("%s", err.message);
    if (plan_session_new(&s, p, threads, &err) != SOUK_OK) fail_msg("%s", err.message);
    const plan_io io = {.inputs = n->inputs, .params = n->value, .seed = 5, .step = 3};
    for (int twice = 0; twice < 2; twice++) plan_run(p, s, &io, workers);
    if (y) memcpy(y, plan_output(p, s, 0), (size_t)shape_count(&graph_node(&n->g, n->out)->shape) * sizeof *y);
    for (int i = 0; grads && i < n->params; i++) {
        const param_grad *pg = plan_grad(p, s, i);
        if (!pg) continue;
        if (!pg->is_rows)
            memcpy(grads, pg->dense, (size_t)n->count[i] * sizeof *grads);
        else
            memset(grads, 0, (size_t)n->count[i] * sizeof *grads);
        for (int64_t k = 0; pg->is_rows && k < pg->rows.n; k++)
            memcpy(grads + pg->rows.ids[k] * pg->rows.width, pg->rows.rows + k * pg->rows.width,
                   (size_t)pg->rows.width * sizeof *grads);
        grads += n->count[i];
    }
    plan_session_free(s);
    plan_free(p);
    pool_free(workers);
}

/* ---- Keras ---- */

typedef struct reader {
    const char *at, *end;
} reader;

static real *take(reader *f, int64_t n) {
    real *p = mem_array((size_t)n, sizeof *p);
    assert_non_null(p);
    assert_true(f->end - f->at >= n * 8);
    for (int64_t i = 0; i < n; i++, f->at += 8) {
        double v;
        memcpy(&v, f->at, 8);
        p[i] = (real)v;
    }
    return p;
}

static void compare(const char *what, int record, const real *got, const real *want, int64_t n, double scale) {
    for (int64_t i = 0; i < n; i++) {
        const double error = fabs((double)got[i] * scale - (double)want[i]);
        if (!(error <= TOLERANCE * (1 + fabs((double)want[i]))))
            fail_msg("record %d, %s[%lld]: got %.12g, Keras has %.12g", record, what, (long long)i,
                     (double)got[i] * scale, (double)want[i]);
    }
}

static void check_record(reader *f, int record) {
    int64_t h[13];
    memcpy(h, f->at, sizeof h);
    f->at += sizeof h;
    const rnn_attr a = {.kind = (rnn_kind)h[0],
                        .reset_after = h[1] != 0,
                        .return_sequences = h[2] != 0,
                        .go_backwards = h[3] != 0,
                        .zero_output_for_mask = h[4] != 0,
                        .activation = (gemm_act)h[7],
                        .recurrent_activation = (gemm_act)h[8],
                        .units = h[12]};
    const int64_t B = h[9], T = h[10], E = h[11], H = h[12], GH = H * (h[0] == 0 ? 1 : h[0] == 1 ? 4 : 3);
    const bool two = a.kind == RNN_GRU && a.reset_after;
    const int64_t outputs = B * H * (a.return_sequences ? T : 1), biases = h[5] ? GH * (two ? 2 : 1) : 0;
    const int64_t total = B * T * E + E * GH + H * GH + biases;
    real *x = take(f, B * T * E), *w = take(f, E * GH), *u = take(f, H * GH), *bias = take(f, biases),
         *mask = take(f, h[6] ? B * T : 0);
    real *d = take(f, outputs), *y = take(f, outputs), *grads = take(f, total);
    int32_t steps[256];
    for (int64_t i = 0; i < B * T && h[6]; i++) steps[i] = mask[i] > 0;
    net n = {.B = B, .inputs = {steps, d}};
    graph_init(&n.g, B, true);
    node_id mask_node = h[6] ? graph_input(&n.g, 0, DT_I32, 1, &T) : 0;
    node_id xn = add_param(&n, 3, (int64_t[]){B, T, E}, x, "x"), wn = add_param(&n, 2, (int64_t[]){E, GH}, w, "w");
    node_id un = add_param(&n, 2, (int64_t[]){H, GH}, u, "u"), bn = 0;
    if (h[5]) bn = two ? add_param(&n, 2, (int64_t[]){2, GH}, bias, "bias") : add_param(&n, 1, &GH, bias, "bias");
    n.out = op_rnn(&n.g, &a, xn, wn, un, bn, mask_node);
    add_loss(&n);
    real *got = mem_array((size_t)outputs, sizeof *got), *dgot = mem_array((size_t)total, sizeof *dgot);
    run_net(&n, (plan_options){0}, 1, got, dgot);
    compare("output", record, got, y, outputs, 1);
    compare("dx", record, dgot, grads, B * T * E, (double)B);
    compare("dw, du, dbias", record, dgot + B * T * E, grads + B * T * E, total - B * T * E, (double)B);
    graph_clear(&n.g);
    real *all[] = {x, w, u, bias, mask, d, y, grads, got, dgot};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) mem_free(all[i]);
}

static void equals_keras(void **state) {
    (void)state;
    char *data;
    size_t size;
    souk_error err = {0};
    if (fs_read_all(SOUK_SOURCE_DIR "/tests/ref/rnn.bin", 1 << 20, &data, &size, &err) != SOUK_OK)
        fail_msg("%s", err.message);
    reader f = {data, data + size};
    int record = 0;
    for (; f.at < f.end; record++) check_record(&f, record);
    assert_int_equal(record, 28);
    mem_free(data);
}

/* ---- the same bits ---- */

static void fill(real *p, int64_t n, double amplitude, uint32_t seed) {
    for (int64_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        p[i] = (real)(((double)(seed >> 8) / 8388608.0 - 1) * amplitude);
    }
}

typedef struct layer_case {
    rnn_attr attr;
    int64_t B, T, E;
    bool mask;
} layer_case;

/* Output and gradients of one configuration, into one array. Returns their number. */
static int64_t run_layer(const layer_case *c, plan_options o, int threads, real *out) {
    const int64_t H = c->attr.units, G = c->attr.kind == RNN_LSTM ? 4 : c->attr.kind == RNN_GRU ? 3 : 1, GH = G * H;
    static real x[60000], w[20000], u[40000], bias[2000], d[60000];
    static int32_t steps[4000];
    fill(x, c->B * c->T * c->E, 1, 1);
    fill(w, c->E * GH, .4, 2);
    fill(u, H * GH, .3, 3);
    fill(bias, 2 * GH, .5, 4);
    fill(d, c->B * c->T * H, 1, 5);
    for (int64_t i = 0; i < c->B * c->T; i++) steps[i] = i % c->T >= i / c->T % 5 && i % 7 != 3;
    net n = {.B = c->B, .inputs = {steps, d}};
    graph_init(&n.g, c->B, true);
    node_id mask = c->mask ? graph_input(&n.g, 0, DT_I32, 1, &c->T) : 0;
    node_id xn = add_param(&n, 3, (int64_t[]){c->B, c->T, c->E}, x, "x"),
            wn = add_param(&n, 2, (int64_t[]){c->E, GH}, w, "w");
    node_id un = add_param(&n, 2, (int64_t[]){H, GH}, u, "u");
    const bool two = c->attr.kind == RNN_GRU && c->attr.reset_after;
    node_id bn = two ? add_param(&n, 2, (int64_t[]){2, GH}, bias, "bias") : add_param(&n, 1, &GH, bias, "bias");
    n.out = op_rnn(&n.g, &c->attr, xn, wn, un, bn, mask);
    add_loss(&n);
    const int64_t outputs = shape_count(&graph_node(&n.g, n.out)->shape);
    run_net(&n, o, threads, out, out + outputs);
    int64_t total = outputs;
    for (int i = 0; i < 4; i++) total += n.count[i];
    graph_clear(&n.g);
    return total;
}

static void same_bits(void **state) {
    (void)state;
    static real want[200000], got[200000];
    const rnn_attr usual = {
        .kind = RNN_LSTM, .units = 32, .activation = GEMM_TANH, .recurrent_activation = GEMM_SIGMOID};
    layer_case cases[5] = {{usual, 13, 9, 16, false},
                           {usual, 9, 7, 5, true},
                           {usual, 13, 6, 8, true},
                           {usual, 13, 6, 8, true},
                           {usual, 13, 6, 8, true}};
    cases[1].attr.units = 45;
    cases[1].attr.return_sequences = true;
    cases[2].attr.dropout = cases[2].attr.recurrent_dropout = (real).2;
    cases[3].attr.kind = RNN_GRU;
    cases[3].attr.reset_after = cases[3].attr.go_backwards = true;
    cases[4].attr.kind = RNN_GRU;
    cases[4].attr.dropout = (real).2;
    const kern_isa best = kern_current();
    for (int i = 0; i < 5; i++) {
        kern_use(KERN_C);
        const int64_t total = run_layer(&cases[i], (plan_options){0}, 1, want);
        for (kern_isa isa = KERN_C; isa <= KERN_AVX512; isa++) {
            if (!kern_use(isa)) continue;
            for (int64_t shard = 1; shard <= 16; shard += 5) {
                run_layer(&cases[i], (plan_options){.shard_rows = shard, .no_depth_first = shard == 6},
                          (int)(shard % 4), got);
                if (memcmp(want, got, (size_t)total * sizeof *got) != 0)
                    fail_msg("case %d differs on %s with shards of %lld rows", i, kern_isa_name(isa), (long long)shard);
            }
        }
    }
    kern_use(best);
}

/* ---- LSTM over tokens against embedding + LSTM ---- */

typedef struct text_case {
    rnn_attr attr;
    int64_t B, T, E, V;
    bool masked, row_lists;
    int32_t least_pad;
} text_case;

/* Ids pre-padded (post-padded when going backwards) by least_pad … T pads a row, now and then a zero inside. */
static void make_ids(const text_case *c, int32_t *ids) {
    for (int64_t b = 0; b < c->B; b++) {
        const int64_t pads = b == 2 ? c->T : c->least_pad + b * 5 % (c->T - c->least_pad);
        for (int64_t s = 0; s < c->T; s++) {
            const int64_t t = c->attr.go_backwards ? c->T - 1 - s : s;
            ids[b * c->T + t] = s < pads || (b + s) % 11 == 0 ? 0 : (int32_t)((b * 31 + s * s * 7) % c->V);
        }
    }
}

static int64_t run_text(const text_case *c, plan_options o, int threads, bool training, real *out) {
    const int64_t H = c->attr.units, B = c->B, T = c->T;
    static real table[4000], w[20000], u[40000], bias[400], d[60000];
    static int32_t ids[4000];
    fill(table, c->V * c->E, .5, 1);
    fill(w, c->E * 4 * H, .4, 2);
    fill(u, H * 4 * H, .3, 3);
    fill(bias, 4 * H, .5, 4);
    fill(d, B * T * H, 1, 5);
    make_ids(c, ids);
    net n = {.B = B, .inputs = {ids, d}};
    graph_init(&n.g, B, training);
    node_id idn = graph_input(&n.g, 0, DT_I32, 1, &T);
    node_id tn = add_param(&n, 2, (int64_t[]){c->V, c->E}, table, "table");
    node_id wn = add_param(&n, 2, (int64_t[]){c->E, 4 * H}, w, "w"),
            un = add_param(&n, 2, (int64_t[]){H, 4 * H}, u, "u");
    node_id bn = add_param(&n, 1, (int64_t[]){4 * H}, bias, "bias");
    n.out = op_rnn(&n.g, &c->attr, op_embedding(&n.g, tn, idn), wn, un, bn, c->masked ? op_mask_nonzero(&n.g, idn) : 0);
    if (training)
        add_loss(&n);
    else
        graph_output(&n.g, n.out);
    o.row_lists = c->row_lists;
    const int64_t outputs = shape_count(&graph_node(&n.g, n.out)->shape);
    run_net(&n, o, threads, out, training ? out + outputs : NULL);
    int64_t total = outputs;
    for (int i = 0; training && i < 4; i++) total += n.count[i];
    graph_clear(&n.g);
    return total;
}

static int text_cases(text_case *cases) {
    const rnn_attr usual = {
        .kind = RNN_LSTM, .units = 32, .activation = GEMM_TANH, .recurrent_activation = GEMM_SIGMOID};
    const text_case base = {usual, 13, 12, 16, 40, false, true, 0};
    for (int i = 0; i < 7; i++) cases[i] = base;
    cases[1].attr.return_sequences = true;
    cases[1].row_lists = false;
    cases[1].least_pad = 3;
    cases[2].masked = true;
    cases[2].attr.return_sequences = cases[2].attr.zero_output_for_mask = true;
    cases[3].attr.go_backwards = true;
    cases[3].attr.units = 20;
    cases[4].masked = cases[4].attr.return_sequences = true;
    cases[4].V = 230;
    cases[4].row_lists = false;
    cases[5].V = 1; /* pads and nothing else */
    cases[6].least_pad = 11;
    cases[6].attr.return_sequences = cases[6].attr.go_backwards = true;
    return 7;
}

static void fused_equals_unfused(void **state) {
    (void)state;
    static real want[60000], got[60000];
    text_case cases[8];
    const int n = text_cases(cases);
#ifdef SOUK_DOUBLE
    const double tolerance = 1e-12;
#else
    const double tolerance = 3e-6;
#endif
    for (int i = 0; i < n; i++)
        for (int training = 0; training <= 1; training++) {
            const int64_t total = run_text(&cases[i], (plan_options){.no_fuse = true}, 1, training, want);
            run_text(&cases[i], (plan_options){0}, 1, training, got);
            for (int64_t k = 0; k < total; k++)
                if (!(fabs((double)got[k] - (double)want[k]) <= tolerance * (1 + fabs((double)want[k]))))
                    fail_msg("case %d, training %d, number %lld: %.9g fused, %.9g not", i, training, (long long)k,
                             (double)got[k], (double)want[k]);
        }
}

static void tokens_same_bits(void **state) {
    (void)state;
    static real want[60000], got[60000];
    text_case cases[8];
    const int n = text_cases(cases);
    const kern_isa best = kern_current();
    for (int i = 0; i < n; i++) {
        kern_use(KERN_C);
        const int64_t total = run_text(&cases[i], (plan_options){0}, 1, true, want);
        for (kern_isa isa = KERN_C; isa <= KERN_AVX512; isa++) {
            if (!kern_use(isa)) continue;
            for (int64_t shard = 1; shard <= 16; shard += 5) {
                run_text(&cases[i], (plan_options){.shard_rows = shard, .no_depth_first = shard == 6}, (int)(shard % 4),
                         true, got);
                if (memcmp(want, got, (size_t)total * sizeof *got) != 0)
                    fail_msg("case %d differs on %s with shards of %lld rows", i, kern_isa_name(isa), (long long)shard);
            }
        }
    }
    kern_use(best);
}

static int set_up(void **state) {
    (void)state;
    kern_init();
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(equals_keras), cmocka_unit_test(same_bits),
                                       cmocka_unit_test(fused_equals_unfused), cmocka_unit_test(tokens_same_bits)};
    return cmocka_run_group_tests(tests, set_up, NULL);
}
