/* bench_lstm - one training step of the worked example's network (embedding, LSTM, dense, sigmoid cross-entropy, Adam),
 * its parts, and inference; batches of synthetic texts with the statistics of gen_text.py: Zipf over 20,000 words of
 * which 998 and "out of vocabulary" have ids, 60 +- 15 words, pre-padded to 100.
 *
 * Two counts of work. Nominal: 24 H (E + H) FLOP for each of the B*T positions, what a framework without sharing does.
 * Done: 24 H H for each step really run (pads in front once a batch) and 24 E H for each distinct token. "share" is
 * done work over this machine's peak, measured in the same run between the steps; each batch counts with its best time
 * of many. usage: bench_lstm [REPEATS=60 [E H]]; with E and H, their training step alone */
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/thread.h"
#include "bench.h"
#include "graph/ops.h"
#include "graph/plan.h"
#include "simd/kern.h"
#include "train/opt.h"

enum { B = 32, T = 100, V = 1000, WORDS = 20000, BATCHES = 12, PARAMS = 6 };

static int repeats = 60;
static int32_t ids[BATCHES][1024 * T];
static real targets[1024];

/* ---- texts ---- */

static uint64_t state = 88172645463325252u;
static double uniform(void) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (double)(state >> 11) / 9007199254740992.0;
}

static void make_texts(int64_t rows) {
    static double upto[WORDS];
    double sum = 0;
    for (int i = 0; i < WORDS; i++) upto[i] = sum += pow(i + 1, -1.05);
    for (int b = 0; b < BATCHES; b++)
        for (int64_t row = 0; row < rows; row++) {
            double normal = -6;
            for (int k = 0; k < 12; k++) normal += uniform();
            int64_t words = (int64_t)(60 + 15 * normal);
            words = words < 10 ? 10 : words > T ? T : words;
            for (int64_t t = 0; t < T; t++) {
                int lo = 0, hi = WORDS - 1;
                const double u = uniform() * sum;
                while (lo < hi) {
                    const int mid = (lo + hi) / 2;
                    if (upto[mid] < u)
                        lo = mid + 1;
                    else
                        hi = mid;
                }
                ids[b][row * T + t] = t < T - words ? 0 : lo < V - 2 ? lo + 2 : 1;
            }
        }
    for (int i = 0; i < 1024; i++) targets[i] = (real)(i % 2);
}

/* Work really done by a training step of batch b (a third of it forward). */
static double done_flops(int b, int64_t rows, double E, double H) {
    bool seen[V] = {false};
    int64_t steps = 0, longest = 0, distinct = 0;
    for (int64_t row = 0; row < rows; row++) {
        int64_t pads = 0;
        while (pads < T && ids[b][row * T + pads] == 0) pads++;
        steps += T - pads;
        longest = pads > longest ? pads : longest;
        for (int64_t t = 0; t < T; t++) seen[ids[b][row * T + t]] = true;
    }
    for (int i = 0; i < V; i++) distinct += seen[i];
    return 24 * H * H * (double)(steps + longest) + 24 * E * H * (double)distinct;
}

/* ---- the network ---- */

typedef struct network {
    int64_t E, H, rows;
    real *value[PARAMS];
    int64_t count[PARAMS], width[PARAMS];
    plan *p;
    plan_session *s;
    pool *crew;
    opt *o;
    int batch;
    uint32_t step;
} network;

static node_id param(graph *g, network *n, int i, int rank, int64_t d0, int64_t d1, const char *name) {
    int64_t d[2] = {d0, d1};
    const int64_t count = rank == 1 ? d0 : d0 * d1;
    if (!n->value[i]) {
        n->value[i] = mem_aligned((size_t)count * sizeof(real));
        const double limit = name[0] == 't' ? .05 : sqrt(6.0 / (double)(d0 + (rank > 1 ? d1 : 0)));
        for (int64_t k = 0; k < count; k++) n->value[i][k] = rank == 1 ? 0 : (real)((2 * uniform() - 1) * limit);
    }
    n->count[i] = count;
    n->width[i] = i == 0 ? d1 : 0;
    return graph_param(g, i, rank, d, true, name);
}

typedef enum part { PART_PREDICT, PART_FORWARD, PART_STEP } part;

/* Whole network; PART_FORWARD keeps what the backward pass would read. shared false: rewrites off. */
static void build(network *n, part what, bool shared, int threads) {
    graph g;
    souk_error err = {0};
    const int64_t E = n->E, H = n->H, time = T, one = 1;
    const rnn_attr lstm = {.kind = RNN_LSTM, .units = H, .activation = GEMM_TANH, .recurrent_activation = GEMM_SIGMOID};
    graph_init(&g, n->rows, what != PART_PREDICT);
    node_id in = graph_input(&g, 0, DT_I32, 1, &time), table = param(&g, n, 0, 2, V, E, "table");
    node_id w = param(&g, n, 1, 2, E, 4 * H, "w"), u = param(&g, n, 2, 2, H, 4 * H, "u"),
            b = param(&g, n, 3, 1, 4 * H, 0, "bias");
    node_id h = op_rnn(&g, &lstm, op_embedding(&g, table, in), w, u, b, 0);
    node_id y = op_activation(
        &g, op_linear(&g, h, param(&g, n, 4, 2, H, 1, "dense"), param(&g, n, 5, 1, 1, 0, "dense bias")), GEMM_SIGMOID);
    graph_output(&g, y);
    if (what == PART_STEP) {
        const loss_attr bce = {.kind = LOSS_BCE};
        graph_loss(&g, op_mean_loss(&g, op_loss(&g, &bce, y, graph_input(&g, 1, DT_REAL, 1, &one)), 0));
    }
    const plan_options o = {.row_lists = true, .no_fuse = !shared};
    if (graph_status(&g, &err) || plan_new(&n->p, &g, &o, &err) || plan_session_new(&n->s, n->p, threads, &err)) {
        fprintf(stderr, "%s\n", err.message);
        exit(1);
    }
    graph_clear(&g);
    n->crew = threads > 1 ? pool_new(threads) : NULL;
}

static void unbuild(network *n) {
    plan_session_free(n->s);
    plan_free(n->p);
    pool_free(n->crew);
    n->s = NULL;
    n->p = NULL;
    n->crew = NULL;
}

static void run_plan(void *context) {
    network *n = context;
    const void *inputs[2] = {ids[n->batch], targets};
    plan_run(n->p, n->s, &(plan_io){.inputs = inputs, .params = n->value, .seed = 1, .step = n->step}, n->crew);
}

static void run_step(void *context) {
    network *n = context;
    const param_grad *grads[PARAMS];
    run_plan(n);
    for (int i = 0; i < PARAMS; i++) grads[i] = plan_grad(n->p, n->s, i);
    opt_step(n->o, grads, 1e-3, n->crew);
    n->step++;
}

static void run_opt(void *context) {
    network *n = context;
    const param_grad *grads[PARAMS];
    for (int i = 0; i < PARAMS; i++) grads[i] = plan_grad(n->p, n->s, i);
    opt_step(n->o, grads, 1e-3, n->crew);
}

/* ---- figures ---- */

static void peak_task(void *context, int64_t task, int worker) {
    (void)task, (void)worker;
    if (kern_current() == KERN_AVX512)
        bench_peak_avx512(context);
    else
        bench_peak_avx2(context);
}

/* Best GFLOP/s of `threads` cores in a few bursts, folded into *best. */
static void measure_peak(pool *crew, int threads, double *best) {
    for (int i = 0; i < 4; i++) {
        const double start = bench_now();
        pool_run(crew, 8 * threads, peak_task, NULL);
        const double each = kern_current() == KERN_AVX512 ? BENCH_PEAK_FLOPS_AVX512 : BENCH_PEAK_FLOPS_AVX2;
        const double rate = 8 * threads * each / (bench_now() - start) / 1e9;
        *best = rate > *best ? rate : *best;
    }
}

/* One thread is timed by its CPU clock, which a busy neighbour does not stop; several by the wall's. */
static double seconds_now(int threads) {
    struct timespec t;
    clock_gettime(threads == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Mean over the batches of each one's best seconds, with peak bursts in between. */
static double measure(network *n, void (*fn)(void *), int threads, double *peak) {
    double best[BATCHES], sum = 0;
    for (int b = 0; b < BATCHES; b++) best[b] = 1e9;
    for (int r = 0; r < repeats; r++)
        for (int b = 0; b < BATCHES; b++) {
            n->batch = b;
            const double start = seconds_now(threads);
            fn(n);
            const double took = seconds_now(threads) - start;
            best[b] = took < best[b] ? took : best[b];
            if (b == 0) measure_peak(n->crew, threads, peak);
        }
    for (int b = 0; b < BATCHES; b++) sum += best[b];
    return sum / BATCHES;
}

static void optimiser(network *n) {
    opt_param list[PARAMS];
    souk_error err = {0};
    const char *names[PARAMS] = {"table", "w", "u", "bias", "dense", "dense bias"};
    for (int i = 0; i < PARAMS; i++)
        list[i] = (opt_param){.name = names[i],
                              .value = n->value[i],
                              .count = n->count[i],
                              .row_width = n->width[i],
                              .trainable = true,
                              .is_table = i == 0};
    const opt_options o = opt_options_default(OPT_ADAM, OPT_RULE_KERAS);
    if (opt_new(&n->o, &o, list, PARAMS, &err)) {
        fprintf(stderr, "%s\n", err.message);
        exit(1);
    }
}

static void training(int64_t E, int64_t H, int threads) {
    network n = {.E = E, .H = H, .rows = B};
    double peak = 0, done = 0, forward = 0;
    const double nominal = 24.0 * (double)H * (double)(E + H) * B * T;
    for (int b = 0; b < BATCHES; b++) done += done_flops(b, B, (double)E, (double)H) / BATCHES;
    build(&n, PART_FORWARD, true, threads);
    forward = measure(&n, run_plan, threads, &peak);
    unbuild(&n);
    build(&n, PART_STEP, true, threads);
    optimiser(&n);
    const double both = measure(&n, run_plan, threads, &peak), adam = measure(&n, run_opt, threads, &peak);
    const double step = measure(&n, run_step, threads, &peak);
    unbuild(&n);
    build(&n, PART_STEP, false, threads);
    const double plain = measure(&n, run_plan, threads, &peak);
    printf("E %3d H %3d, %d thread%s: forward %6.0f us, backward %6.0f, Adam %4.0f, whole step %6.0f us = %4.0f "
           "GFLOP/s nominal, %4.0f done: "
           "%3.0f %% of peak %.0f | no sharing %6.0f us = %4.0f GFLOP/s: %3.0f %%\n",
           (int)E, (int)H, threads, threads > 1 ? "s" : "", forward * 1e6, (both - forward) * 1e6, adam * 1e6,
           step * 1e6, nominal / step / 1e9, done / step / 1e9, 100 * done / step / 1e9 / peak, peak, plain * 1e6,
           nominal / plain / 1e9, 100 * nominal / plain / 1e9 / peak);
    fflush(stdout);
    unbuild(&n);
    opt_free(n.o);
    for (int i = 0; i < PARAMS; i++) mem_free(n.value[i]);
}

static void prediction(int64_t E, int64_t H, int64_t rows, int threads) {
    network n = {.E = E, .H = H, .rows = rows};
    double peak = 0;
    build(&n, PART_PREDICT, true, threads);
    const double seconds = measure(&n, run_plan, threads, &peak);
    printf("E %3d H %3d, %d thread%s: %4d documents in %7.1f us: %7.0f documents/s\n", (int)E, (int)H, threads,
           threads > 1 ? "s" : "", (int)rows, seconds * 1e6, (double)rows / seconds);
    fflush(stdout);
    unbuild(&n);
    for (int i = 0; i < PARAMS; i++) mem_free(n.value[i]);
}

int main(int argc, char **argv) {
    int64_t sizes[][2] = {{16, 32}, {32, 32}, {64, 64}, {128, 64}, {128, 128}};
    size_t n = sizeof sizes / sizeof *sizes;
    if (argc > 1) repeats = atoi(argv[1]);
    if (argc > 3) {
        sizes[0][0] = atoi(argv[2]);
        sizes[0][1] = atoi(argv[3]);
        n = 1;
    }
    kern_init();
    make_texts(1024);
    bench_print_machine();
    printf("instruction set %s; batch %d, %d steps\n", kern_isa_name(kern_current()), B, T);
    for (size_t i = 0; i < n; i++)
        for (int threads = 1; threads <= 2; threads++) training(sizes[i][0], sizes[i][1], threads);
    if (argc <= 3) prediction(sizes[0][0], sizes[0][1], 1, 1);
    for (int threads = 1; threads <= 2 && argc <= 3; threads++) prediction(sizes[0][0], sizes[0][1], 1024, threads);
    return 0;
}
