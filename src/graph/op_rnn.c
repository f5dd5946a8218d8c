/* op_rnn - simple RNN, LSTM and GRU over a whole sequence: one op, not T copies of a cell.
 *
 * Inputs x[B,T,E], w[E,GH], u[H,GH], bias, mask[B,T]. Forward: weights are packed once; then every shard of rows
 * projects its inputs for all steps in one product and runs the recurrence, alone. Backward: a shard runs its rows
 * back, which needs only dh = dG · U^T in sequence, and writes dx; the weights' gradients are products over all entries
 * afterwards (rnn.h).
 *
 * Dropout is Keras': one mask per sequence on x, shared by the gates unless recurrent_dropout is on, when each gate has
 * its own masks on x and on h. Masks come from Philox and are made anew in the backward pass.
 *
 * Canonical order of a pre-activation: x·W over k ascending, + bias, then h·U over k ascending, one chain throughout.
 */
#include <string.h>

#include "graph/op_util.h"
#include "graph/op_rnn.h"
#include "graph/rnn_cases.h"
#include "simd/kern.h"

enum { IN_X, IN_W, IN_U, IN_BIAS, IN_MASK };
enum { AUX_XS, AUX_PACKED, AUX_H, AUX_C, AUX_Z, AUX_Y, AUX_CARRY, AUX_HM, AUX_COUNT };

typedef struct dims {
    int64_t B, T, E, H, padded, G;
    int64_t inputs; /* copies of x under different masks: 1, or G */
    bool fast, training;
    size_t pack_size; /* reals of one packed U or U^T (fast), or of one gate's (general) */
} dims;

static dims dims_of(const shape *x, const rnn_attr *a, bool training) {
    dims d = {.B = x->d[0],
              .T = x->d[1],
              .E = x->d[2],
              .H = a->units,
              .padded = rnn_padded(a->units),
              .G = rnn_gate_count(a->kind)};
    d.training = training;
    d.fast = rnn_is_fast(a, training);
    d.inputs = training && a->dropout > 0 && a->recurrent_dropout > 0 ? d.G : 1;
    d.pack_size = d.fast ? (size_t)rnn_packed_size(d.H) : (gemm_packed_size(d.H, d.H) + 63) / 64 * 64 / sizeof(real);
    return d;
}
static dims dims_in(const op_run *r) { return dims_of(r->in_shape[IN_X], r->node->attr, r->training); }
static dims dims_at(const graph *g, const node *n) {
    return dims_of(&g->nodes[n->in[IN_X]].shape, n->attr, g->training);
}

/* ---- shape ---- */

static bool same_shape(const shape *s, int rank, int64_t d0, int64_t d1) {
    return s->rank == rank && s->d[0] == d0 && (rank < 2 || s->d[1] == d1);
}

static bool check_inputs(graph *g, const node *n, const rnn_attr *a) {
    char t1[96], t2[96], t3[96];
    const shape *x = &g->nodes[n->in[IN_X]].shape, *w = &g->nodes[n->in[IN_W]].shape, *u = &g->nodes[n->in[IN_U]].shape;
    const int64_t H = a->units, G = rnn_gate_count(a->kind);
    if (H < 1) {
        graph_fail(g, "a recurrent layer needs at least one unit, not %lld", (long long)H);
        return false;
    }
    if (x->rank != 3 || g->nodes[n->in[IN_X]].type != DT_REAL) {
        graph_fail(g, "x is %s: give a sequence of vectors [batch, steps, channels]", shape_text(x, t1));
        return false;
    }
    if (!same_shape(w, 2, x->d[2], G * H) || !same_shape(u, 2, H, G * H)) {
        graph_fail(g, "x is %s, w is %s, u is %s: with %lld units w must be [%lld,%lld] and u [%lld,%lld]",
                   shape_text(x, t1), shape_text(w, t2), shape_text(u, t3), (long long)H, (long long)x->d[2],
                   (long long)(G * H), (long long)H, (long long)(G * H));
        return false;
    }
    if (n->in[IN_BIAS]) {
        const shape *b = &g->nodes[n->in[IN_BIAS]].shape;
        const bool two = a->kind == RNN_GRU && a->reset_after;
        if (two ? !same_shape(b, 2, 2, G * H) : !same_shape(b, 1, G * H, 0)) {
            graph_fail(g, "bias is %s: it must be %s%lld]", shape_text(b, t1), two ? "[2," : "[", (long long)(G * H));
            return false;
        }
    }
    if (n->in[IN_MASK]) {
        const node *mask = &g->nodes[n->in[IN_MASK]];
        if (mask->type != DT_I32 || !same_shape(&mask->shape, 2, x->d[0], x->d[1])) {
            graph_fail(g, "mask is %s: it must hold integers [%lld,%lld]", shape_text(&mask->shape, t1),
                       (long long)x->d[0], (long long)x->d[1]);
            return false;
        }
    }
    if (!(a->dropout >= 0 && a->dropout < 1 && a->recurrent_dropout >= 0 && a->recurrent_dropout < 1)) {
        graph_fail(g, "dropout rates are %g and %g: they must lie in [0,1)", (double)a->dropout,
                   (double)a->recurrent_dropout);
        return false;
    }
    return true;
}

static void set_aux(node *n, int i, aux_life life, bool by_row, int rank, int64_t d0, int64_t d1, int64_t d2) {
    int64_t d[3] = {d0, d1, d2};
    n->aux[i] = (aux_def){.type = DT_REAL, .life = life, .shape = shape_make(rank, d), .by_row = by_row};
}

static void rnn_shape(graph *g, node *n) {
    const rnn_attr *a = n->attr;
    if (!check_inputs(g, n, a)) return;
    const dims d = dims_at(g, n);
    const int64_t entries = d.T + 1, slots = d.fast ? 1 : rnn_cell_slots(a->kind);
    const bool train = d.training;
    int64_t out[3] = {d.B, a->return_sequences ? d.T : d.H, d.H};
    n->type = DT_REAL;
    n->shape = shape_make(a->return_sequences ? 3 : 2, out);
    n->n_aux = AUX_COUNT;
    for (int i = 0; i < AUX_COUNT; i++) set_aux(n, i, AUX_SAVED, false, 1, 1, 0, 0); /* absent ones: one element */
    set_aux(n, AUX_PACKED, train ? AUX_SAVED : AUX_FORWARD, false, 1,
            (int64_t)d.pack_size * (d.fast ? 1 : d.G) * (train ? 2 : 1) + d.G * d.H, 0, 0);
    if (!train) {
        set_aux(n, AUX_Z, AUX_FORWARD, true, 3, d.B, d.T, d.G * d.padded);
        return;
    }
    set_aux(n, AUX_XS, AUX_SAVED, false, 3, d.B, entries, d.inputs * d.E);
    set_aux(n, AUX_H, AUX_SAVED, false, 3, d.B, entries, d.padded);
    if (a->kind == RNN_LSTM) set_aux(n, AUX_C, AUX_SAVED, true, 3, d.B, entries, d.padded);
    set_aux(n, AUX_Z, AUX_SAVED, false, 3, d.B, entries, d.G * d.padded);
    set_aux(n, AUX_Y, AUX_SAVED, d.fast || a->kind != RNN_GRU, 3, d.B, entries, slots * d.padded);
    set_aux(n, AUX_CARRY, AUX_BACKWARD, true, 3, d.B, 2, d.padded);
    if (a->recurrent_dropout > 0) set_aux(n, AUX_HM, AUX_SAVED, false, 3, d.B, entries, d.G * d.padded);
}

static op_cost rnn_cost(const graph *g, const node *n) {
    const dims d = dims_at(g, n);
    const double steps = (double)(d.B * d.T), width = (double)(d.G * d.H);
    return (op_cost){.flops = 2 * steps * width * (double)(d.E + d.H),
                     .bytes = (steps * (double)(d.E + 6 * d.H) + (double)(d.E + d.H) * width) * (double)sizeof(real)};
}

/* ---- masks ---- */

void rnn_dropout_mask(const op_run *r, int64_t row, bool on_state, int64_t gates, int64_t n, real p, real *dst) {
    const rng_key key = {.seed = r->seed, .stream = r->node->rng_stream, .step = r->step};
    const uint32_t threshold = (uint32_t)((double)p * 4294967296.0);
    const int64_t blocks = (n + 3) / 4;
    for (int64_t g = 0; g < gates; g++)
        for (int64_t b = 0; b < blocks; b++) {
            uint32_t words[4];
            rng_philox(key, r->sample[row], (on_state ? 1u << 31 : 0u) + (uint32_t)(g * blocks + b), words);
            for (int64_t j = b * 4; j < b * 4 + 4 && j < n; j++)
                dst[g * n + j] = words[j % 4] < threshold ? 0 : 1 / (1 - p);
        }
}

/* Leading steps of a row that are masked: they need no work, since the state there is zero. */
static int64_t leading_masked(const op_run *r, const dims *d, const rnn_attr *a, int64_t row) {
    const int32_t *mask = r->in[IN_MASK];
    int64_t s = 0;
    if (!mask) return 0;
    while (s < d->T && mask[row * d->T + (a->go_backwards ? d->T - 1 - s : s)] == 0) s++;
    return s;
}

/* ---- packing ---- */

static const real *packed_u(const op_run *r, const dims *d, int64_t gate, bool transposed) {
    return (const real *)r->aux[AUX_PACKED] + d->pack_size * (size_t)((transposed ? (d->fast ? 1 : d->G) : 0) + gate);
}
/* Bias of the input part [G*H], the last reals of AUX_PACKED. */
static real *input_bias(const op_run *r, const dims *d) {
    return (real *)r->aux[AUX_PACKED] + shape_count(&r->node->aux[AUX_PACKED].shape) - d->G * d->H;
}

static void rnn_pack(const op_run *r, int64_t lo, int64_t hi) {
    (void)lo, (void)hi;
    const dims d = dims_in(r);
    const rnn_attr *a = r->node->attr;
    const real *u = r->in[IN_U], *bias = r->in[IN_BIAS];
    real *to = input_bias(r, &d);
    for (int64_t j = 0; j < d.G * d.H; j++) to[j] = bias ? bias[j] : 0;
    if (bias && a->kind == RNN_GRU && a->reset_after) /* both biases of z and r simply add up */
        for (int64_t j = 0; j < 2 * d.H; j++) to[j] += bias[3 * d.H + j];
    real *packed = r->aux[AUX_PACKED];
    if (d.fast) {
        kern.lstm_pack(d.H, u, packed);
        if (d.training) kern.lstm_pack_t(d.H, u, packed + d.pack_size);
        return;
    }
    for (int t = 0; t <= (int)d.training; t++)
        for (int64_t g = 0; g < d.G; g++, packed += d.pack_size) {
            gemm_args args = {
                .m = RNN_CELL_ROWS, .n = d.H, .k = d.H, .b = u + g * d.H, .ldb = d.G * d.H, .trans_b = t == 1};
            gemm_pack(&args, packed);
        }
}

/* ---- forward ---- */

/* x of a row in the order of consumption, under its masks; one more step of zeros. xs[T+1, inputs, E] */
static void gather_input(const op_run *r, const dims *d, int64_t row, real *masks) {
    const rnn_attr *a = r->node->attr;
    const real *x = (const real *)r->in[IN_X] + row * d->T * d->E;
    real *xs = (real *)r->aux[AUX_XS] + row * (d->T + 1) * d->inputs * d->E;
    if (a->dropout > 0) rnn_dropout_mask(r, row, false, d->inputs, d->E, a->dropout, masks);
    for (int64_t s = 0; s < d->T; s++) {
        const real *from = x + (a->go_backwards ? d->T - 1 - s : s) * d->E;
        for (int64_t k = 0; k < d->inputs; k++, xs += d->E) {
            if (a->dropout > 0)
                kern.mul(d->E, from, masks + k * d->E, xs);
            else
                memcpy(xs, from, (size_t)d->E * sizeof *xs);
        }
    }
    memset(xs, 0, (size_t)(d->inputs * d->E) * sizeof *xs);
}

/* z = x·W + bias for all steps of rows [lo,hi); padded columns become zero */
static void project(const op_run *r, const dims *d, int64_t lo, int64_t hi, void *gemm_space) {
    const int64_t entries = d->training ? d->T + 1 : d->T, ldz = d->G * d->padded, lda = d->inputs * d->E;
    const bool whole = d->padded == d->H && d->inputs == 1;
    const int64_t parts = whole ? 1 : d->G, n = whole ? d->G * d->H : d->H;
    const real *a = d->training ? r->aux[AUX_XS] : r->in[IN_X];
    real *z = (real *)r->aux[AUX_Z] + lo * entries * ldz;
    for (int64_t p = 0; p < parts; p++) {
        gemm_args args = {.m = (hi - lo) * entries,
                          .n = n,
                          .k = d->E,
                          .a = a + lo * entries * lda + (d->inputs > 1 ? p * d->E : 0),
                          .lda = lda,
                          .b = (const real *)r->in[IN_W] + p * n,
                          .ldb = d->G * d->H,
                          .c = z + p * d->padded,
                          .ldc = ldz,
                          .bias = input_bias(r, d) + p * n,
                          .act = GEMM_LINEAR};
        gemm(&args, gemm_space);
    }
    for (int64_t i = 0; d->padded > d->H && i < (hi - lo) * entries * d->G; i++)
        memset(z + i * d->padded + d->H, 0, (size_t)(d->padded - d->H) * sizeof *z);
}

/* The fast LSTM's view of this node. `state` [2, rows, 2, Hp]: room for h and c at inference. */
static lstm_rows rows_view(const op_run *r, const dims *d, real *state) {
    const rnn_attr *a = r->node->attr;
    lstm_rows v = {.steps = d->T,
                   .units = d->H,
                   .backwards = a->go_backwards,
                   .sequences = a->return_sequences,
                   .zero_masked = a->zero_output_for_mask,
                   .save = d->training,
                   .skipped_entries = true,
                   .mask = r->in[IN_MASK],
                   .pre = r->aux[AUX_Z],
                   .packed = packed_u(r, d, 0, false),
                   .out = r->out,
                   .dout = r->dout};
    if (d->training) {
        v.h = r->aux[AUX_H];
        v.c = r->aux[AUX_C];
        v.gates = r->aux[AUX_Z];
        v.tanh_c = r->aux[AUX_Y];
    } else {
        v.h = state;
        v.c = state + 2 * RNN_MAX_ROWS * d->padded;
    }
    return v;
}

typedef struct starts {
    int32_t start[RNN_MAX_ROWS], entry[RNN_MAX_ROWS];
} starts;

static void find_starts(const op_run *r, const dims *d, int64_t lo, int64_t hi, starts *s) {
    for (int64_t i = 0; i < hi - lo; i++) {
        s->start[i] = (int32_t)leading_masked(r, d, r->node->attr, lo + i);
        s->entry[i] = (int32_t)((lo + i) * (d->T + 1));
    }
}

/* Scratch of one block of rows: masks and temporaries, and at inference states and values. */
typedef struct space {
    real *state, *y, *masks, *carry, *tmp, *dx;
    void *gemm;
    size_t bytes;
} space;

/* Cuts `count` reals off the scratch; with base NULL only counts (arithmetic on a null pointer is undefined). */
static real *take(char *base, size_t *used, int64_t count) {
    real *p = base ? (real *)(void *)(base + *used) : NULL;
    *used += ((size_t)count * sizeof(real) + 63) / 64 * 64;
    return p;
}

/* Lays the space out in `scratch`; NULL: for its `bytes` alone. */
static space carve(const dims *d, const rnn_attr *a, char *scratch) {
    size_t used = 0;
    space s = {0};
    const int64_t rows = d->fast ? RNN_MAX_ROWS : RNN_CELL_ROWS;
    s.state = take(scratch, &used, d->training ? 0 : 4 * rows * d->padded);
    s.y = take(scratch, &used, d->training || d->fast ? 0 : rows * rnn_cell_slots(a->kind) * d->padded);
    s.masks = take(scratch, &used, d->training ? d->G * d->E + (d->fast ? 0 : rows * d->G * d->H) : 0);
    s.carry = take(scratch, &used, d->fast || !d->training ? 0 : 2 * rows * d->padded);
    s.tmp = take(scratch, &used, d->fast ? 0 : 3 * rows * d->padded);
    s.dx = take(scratch, &used, d->training ? (d->T + 1) * d->E : 0);
    s.gemm = scratch ? scratch + used : NULL;
    size_t a1 = gemm_scratch(rows * (d->T + 1), d->G * d->H, d->E), a2 = gemm_scratch(rows, d->H, d->H),
           a3 = gemm_scratch(d->T + 1, d->E, d->G * d->H);
    size_t most = a1 > a2 ? a1 : a2;
    s.bytes = used + (most > a3 ? most : a3);
    return s;
}

static size_t rows_scratch(const graph *g, const node *n) {
    const dims d = dims_at(g, n);
    return carve(&d, n->attr, NULL).bytes;
}

/* The cell of step s for rows [lo,hi). At inference h and c alternate between two places by the parity of s. */
static rnn_cell cell_view(const op_run *r, const dims *d, const space *sp, int64_t lo, int64_t hi, int64_t s) {
    const rnn_attr *a = r->node->attr;
    const int64_t slots = rnn_cell_slots(a->kind), entries = d->T + 1;
    rnn_cell c = {.attr = a, .units = d->H, .n = hi - lo, .tmp = sp->tmp, .gemm_scratch = sp->gemm};
    for (int64_t g = 0; g < d->G; g++) {
        c.u[g] = (const real *)r->in[IN_U] + g * d->H;
        c.packed[g] = packed_u(r, d, g, false);
        if (d->training) c.packed_t[g] = packed_u(r, d, g, true);
    }
    if (a->kind == RNN_GRU && a->reset_after && r->in[IN_BIAS])
        c.candidate_bias = (const real *)r->in[IN_BIAS] + 5 * d->H;
    c.ld_z = d->G * d->padded;
    if (d->training) {
        const int64_t at = lo * entries + s;
        c.h0 = (real *)r->aux[AUX_H] + at * d->padded;
        c.c0 = (real *)r->aux[AUX_C] + (a->kind == RNN_LSTM ? at * d->padded : 0);
        c.h1 = (real *)r->aux[AUX_H] + (at + 1) * d->padded;
        c.c1 = (real *)r->aux[AUX_C] + (a->kind == RNN_LSTM ? (at + 1) * d->padded : 0);
        c.ld_state = entries * d->padded;
        c.z = (real *)r->aux[AUX_Z] + at * c.ld_z;
        c.y = (real *)r->aux[AUX_Y] + at * slots * d->padded;
        c.hm = (real *)r->aux[AUX_HM] + (a->recurrent_dropout > 0 ? at * d->G * d->padded : 0);
        c.ld_z *= entries;
        c.ld_y = entries * slots * d->padded;
        c.ld_hm = entries * d->G * d->padded;
        if (a->recurrent_dropout > 0) c.masks = sp->masks + d->G * d->E;
    } else {
        const int64_t half = RNN_CELL_ROWS * d->padded, even = s % 2 == 0 ? 0 : half;
        c.h0 = sp->state + even;
        c.h1 = sp->state + half - even;
        c.c0 = sp->state + 2 * half + even;
        c.c1 = sp->state + 3 * half - even;
        c.ld_state = d->padded;
        c.z = (real *)r->aux[AUX_Z] + (lo * d->T + (a->go_backwards ? d->T - 1 - s : s)) * c.ld_z;
        c.ld_z *= d->T;
        c.y = sp->y;
        c.ld_y = slots * d->padded;
    }
    return c;
}

static bool is_masked(const op_run *r, const dims *d, int64_t row, int64_t s) {
    const rnn_attr *a = r->node->attr;
    const int32_t *mask = r->in[IN_MASK];
    return mask && mask[row * d->T + (a->go_backwards ? d->T - 1 - s : s)] == 0;
}

static void state_masks(const op_run *r, const dims *d, const space *sp, int64_t lo, int64_t hi) {
    const rnn_attr *a = r->node->attr;
    for (int64_t row = lo; d->training && a->recurrent_dropout > 0 && row < hi; row++)
        rnn_dropout_mask(r, row, true, d->G, d->H, a->recurrent_dropout,
                         sp->masks + d->G * d->E + (row - lo) * d->G * d->H);
}

/* Row i sits a step out: it keeps its state. */
static void keep_state(const rnn_cell *c, int64_t i) {
    const size_t bytes = (size_t)c->units * sizeof(real);
    memcpy(c->h1 + i * c->ld_state, c->h0 + i * c->ld_state, bytes);
    if (c->attr->kind == RNN_LSTM) memcpy(c->c1 + i * c->ld_state, c->c0 + i * c->ld_state, bytes);
}

static void general_forward(const op_run *r, const dims *d, const space *sp, int64_t lo, int64_t hi) {
    const rnn_attr *a = r->node->attr;
    const size_t bytes = (size_t)d->H * sizeof(real);
    state_masks(r, d, sp, lo, hi);
    for (int64_t s = 0; s < d->T; s++) {
        const rnn_cell c = cell_view(r, d, sp, lo, hi, s);
        for (int64_t i = 0; s == 0 && i < c.n; i++) {
            memset(c.h0 + i * c.ld_state, 0, bytes);
            if (a->kind == RNN_LSTM) memset(c.c0 + i * c.ld_state, 0, bytes);
        }
        rnn_cell_forward(&c);
        for (int64_t i = 0; i < c.n; i++) {
            const bool masked = is_masked(r, d, lo + i, s);
            if (masked) keep_state(&c, i);
            if (!a->return_sequences && s < d->T - 1) continue;
            real *out = (real *)r->out + (a->return_sequences ? (lo + i) * d->T + s : lo + i) * d->H;
            if (masked && a->zero_output_for_mask)
                memset(out, 0, bytes);
            else
                memcpy(out, c.h1 + i * c.ld_state, bytes);
        }
    }
}

/* The last entries are operands of the weights' gradients, against zeros: they must not hold NaNs. */
static void close_entries(const op_run *r, const dims *d, int64_t lo, int64_t hi) {
    const rnn_attr *a = r->node->attr;
    const int64_t slots = rnn_cell_slots(a->kind);
    for (int64_t row = lo; row < hi; row++) {
        const int64_t last = row * (d->T + 1) + d->T;
        memset((real *)r->aux[AUX_Y] + last * slots * d->padded, 0, (size_t)(slots * d->padded) * sizeof(real));
        if (a->recurrent_dropout > 0)
            memset((real *)r->aux[AUX_HM] + last * d->G * d->padded, 0, (size_t)(d->G * d->padded) * sizeof(real));
    }
}

static void rnn_forward(const op_run *r, int64_t lo, int64_t hi) {
    const dims d = dims_in(r);
    const space sp = carve(&d, r->node->attr, r->scratch);
    const int64_t step = d.fast ? RNN_MAX_ROWS : RNN_CELL_ROWS;
    for (int64_t a = lo; a < hi; a += step) {
        const int64_t b = a + step < hi ? a + step : hi;
        for (int64_t row = a; d.training && row < b; row++) gather_input(r, &d, row, sp.masks);
        project(r, &d, a, b, sp.gemm);
        if (d.fast) {
            lstm_rows v = rows_view(r, &d, sp.state);
            starts st;
            find_starts(r, &d, a, b, &st);
            v.start = st.start;
            v.entry = st.entry;
            lstm_rows_forward(&v, a, b);
        } else {
            general_forward(r, &d, &sp, a, b);
            if (d.training) close_entries(r, &d, a, b);
        }
    }
}

/* ---- backward ---- */

static void general_backward(const op_run *r, const dims *d, const space *sp, int64_t lo, int64_t hi) {
    const rnn_attr *a = r->node->attr;
    const size_t bytes = (size_t)d->H * sizeof(real);
    real *dh = sp->carry, *dc = dh + RNN_CELL_ROWS * d->padded;
    bool masked[RNN_CELL_ROWS];
    state_masks(r, d, sp, lo, hi);
    for (int64_t i = 0; i < hi - lo; i++) {
        memset(dc + i * d->padded, 0, bytes);
        if (a->return_sequences || (a->zero_output_for_mask && is_masked(r, d, lo + i, d->T - 1)))
            memset(dh + i * d->padded, 0, bytes);
        else
            memcpy(dh + i * d->padded, r->dout + (lo + i) * d->H, bytes);
        memset((real *)r->aux[AUX_Z] + ((lo + i) * (d->T + 1) + d->T) * d->G * d->padded, 0,
               (size_t)(d->G * d->padded) * sizeof(real));
    }
    for (int64_t s = d->T - 1; s >= 0; s--) {
        rnn_cell c = cell_view(r, d, sp, lo, hi, s);
        for (int64_t i = 0; i < c.n; i++) {
            masked[i] = is_masked(r, d, lo + i, s);
            if (a->return_sequences && !(masked[i] && a->zero_output_for_mask))
                kern.add(d->H, dh + i * d->padded, r->dout + ((lo + i) * d->T + s) * d->H, dh + i * d->padded);
        }
        c.dh = dh;
        c.dc = dc;
        c.masked = masked;
        rnn_cell_backward(&c);
    }
}

/* dx of one row = dG · W^T, back in the input's order and under its masks; gates with masks of their own one by one. */
static void input_gradient(const op_run *r, const dims *d, const space *sp, int64_t row) {
    const rnn_attr *a = r->node->attr;
    const real *dz = (const real *)r->aux[AUX_Z] + row * (d->T + 1) * d->G * d->padded;
    real *dx = r->din[IN_X] + row * d->T * d->E;
    const bool direct = d->inputs == 1 && a->dropout <= 0 && !a->go_backwards;
    if (a->dropout > 0) rnn_dropout_mask(r, row, false, d->inputs, d->E, a->dropout, sp->masks);
    for (int64_t g = 0; g < d->G; g++) {
        real *to = direct ? dx : sp->dx;
        gemm_args args = {.m = d->T,
                          .n = d->E,
                          .k = d->H,
                          .a = dz + g * d->padded,
                          .lda = d->G * d->padded,
                          .b = (const real *)r->in[IN_W] + g * d->H,
                          .ldb = d->G * d->H,
                          .trans_b = true,
                          .c = to,
                          .ldc = d->E,
                          .accumulate = g > 0 && d->inputs == 1,
                          .act = GEMM_LINEAR};
        gemm(&args, sp->gemm);
        if (direct || (d->inputs == 1 && g < d->G - 1)) continue;
        for (int64_t s = 0; s < d->T; s++) {
            real *out = dx + (a->go_backwards ? d->T - 1 - s : s) * d->E, *in = to + s * d->E;
            if (a->dropout > 0) kern.mul(d->E, in, sp->masks + (d->inputs > 1 ? g : 0) * d->E, in);
            if (d->inputs > 1 && g > 0)
                kern.add(d->E, in, out, out);
            else
                memcpy(out, in, (size_t)d->E * sizeof *out);
        }
    }
}

static void rnn_backward(const op_run *r, int64_t lo, int64_t hi) {
    const dims d = dims_in(r);
    space sp = carve(&d, r->node->attr, r->scratch);
    const int64_t step = d.fast ? RNN_MAX_ROWS : RNN_CELL_ROWS;
    for (int64_t a = lo; a < hi; a += step) {
        const int64_t b = a + step < hi ? a + step : hi;
        if (d.fast) {
            lstm_rows v = rows_view(r, &d, NULL);
            starts st;
            find_starts(r, &d, a, b, &st);
            v.start = st.start;
            v.entry = st.entry;
            v.packed = packed_u(r, &d, 0, true);
            v.carry = r->aux[AUX_CARRY];
            lstm_rows_backward(&v, a, b);
        } else {
            general_backward(r, &d, &sp, a, b);
        }
        for (int64_t row = a; r->din[IN_X] && row < b; row++) input_gradient(r, &d, &sp, row);
    }
}

/* ---- gradients of the weights: products over all entries, cut into tiles of w, u and bias ---- */

enum { TILE_COLS = 32 }; /* columns of one gate */

static int64_t tile_units(const graph *g, const node *n) {
    const dims d = dims_at(g, n);
    return d.G * blocks_of(d.H, TILE_COLS);
}

static size_t tile_scratch(const graph *g, const node *n) {
    const dims d = dims_at(g, n);
    size_t w = gemm_scratch(d.E, TILE_COLS, d.B * (d.T + 1)), u = gemm_scratch(d.H, TILE_COLS, d.B * (d.T + 1));
    return w > u ? w : u;
}

/* One tile of a gradient: columns `at` … of gate `gate`. */
typedef struct tile {
    int64_t gate, at, width;
} tile;

static tile tile_of(const dims *d, int64_t unit) {
    const int64_t across = blocks_of(d->H, TILE_COLS), at = unit % across * TILE_COLS;
    return (tile){unit / across, at, d->H - at < TILE_COLS ? d->H - at : TILE_COLS};
}

/* dst[m, tile] = a[entries, m]^T · dz[entries, tile] */
static void tile_product(const op_run *r, const dims *d, const tile *t, int64_t m, const real *a, int64_t lda,
                         const real *dz, int64_t ldb, real *dst) {
    gemm_args args = {.m = m,
                      .n = t->width,
                      .k = d->B * (d->T + 1),
                      .a = a,
                      .lda = lda,
                      .trans_a = true,
                      .b = dz + t->at,
                      .ldb = ldb,
                      .c = dst + t->gate * d->H + t->at,
                      .ldc = d->G * d->H,
                      .chunks = op_chunks(),
                      .act = GEMM_LINEAR};
    gemm(&args, r->scratch);
}

static const real *gate_gradient(const op_run *r, const dims *d, int64_t gate) {
    return (const real *)r->aux[AUX_Z] + gate * d->padded;
}

static void rnn_dw(const op_run *r, int64_t lo, int64_t hi) {
    const dims d = dims_in(r);
    for (int64_t unit = lo; unit < hi; unit++) {
        const tile t = tile_of(&d, unit);
        const real *xs = (const real *)r->aux[AUX_XS] + (d.inputs > 1 ? t.gate * d.E : 0);
        tile_product(r, &d, &t, d.E, xs, d.inputs * d.E, gate_gradient(r, &d, t.gate), d.G * d.padded, r->din[IN_W]);
    }
}

/* A GRU's candidate sees h through q (rnn_cell.c): with reset_after its gradient is that of q, else q takes the place
 * of h. */
static void rnn_du(const op_run *r, int64_t lo, int64_t hi) {
    const dims d = dims_in(r);
    const rnn_attr *a = r->node->attr;
    for (int64_t unit = lo; unit < hi; unit++) {
        const tile t = tile_of(&d, unit);
        const bool candidate = a->kind == RNN_GRU && t.gate == 2, masked = d.training && a->recurrent_dropout > 0;
        const real *q = (const real *)r->aux[AUX_Y] + 3 * d.padded, *h = r->aux[AUX_H],
                   *dz = gate_gradient(r, &d, t.gate);
        int64_t ldh = d.padded, ldz = d.G * d.padded;
        if (masked) {
            h = (const real *)r->aux[AUX_HM] + t.gate * d.padded;
            ldh = d.G * d.padded;
        }
        if (candidate && a->reset_after) {
            dz = q;
            ldz = 4 * d.padded;
        } else if (candidate) {
            h = q;
            ldh = 4 * d.padded;
        }
        tile_product(r, &d, &t, d.H, h, ldh, dz, ldz, r->din[IN_U]);
    }
}

static void rnn_dbias(const op_run *r, int64_t lo, int64_t hi) {
    const dims d = dims_in(r);
    const rnn_attr *a = r->node->attr;
    const int64_t entries = d.B * (d.T + 1), width = d.G * d.H;
    for (int64_t unit = lo; unit < hi; unit++) {
        const tile t = tile_of(&d, unit);
        real *to = r->din[IN_BIAS] + t.gate * d.H + t.at;
        column_sums(entries, t.width, d.G * d.padded, gate_gradient(r, &d, t.gate) + t.at, NULL, to);
        if (a->kind != RNN_GRU || !a->reset_after) continue;
        if (t.gate < 2)
            memcpy(to + width, to, (size_t)t.width * sizeof *to);
        else
            column_sums(entries, t.width, 4 * d.padded, (const real *)r->aux[AUX_Y] + 3 * d.padded + t.at, NULL,
                        to + width);
    }
}

node_id op_rnn(graph *g, const rnn_attr *attr, node_id x, node_id w, node_id u, node_id bias, node_id mask) {
    return graph_op(g, &opdef_rnn, 5, (node_id[]){x, w, u, bias, mask}, attr, sizeof *attr);
}

const op_def opdef_rnn = {
    .name = "rnn",
    .min_in = 3,
    .max_in = 5,
    .reads_in = 1u << IN_W | 1u << IN_U | 1u << IN_BIAS | 1u << IN_MASK,
    .shape = rnn_shape,
    .cost = rnn_cost,
    .forward = {{.kind = PASS_ONCE, .run = rnn_pack, .skips = 1u << IN_X | 1u << IN_MASK | OP_SKIPS_OUT},
                {.kind = PASS_ROWS, .run = rnn_forward, .scratch = rows_scratch}},
    .backward =
        {{.kind = PASS_ROWS, .run = rnn_backward, .scratch = rows_scratch, .writes = OP_FILLS_AUX | 1u << IN_X},
         {.kind = PASS_SPLIT, .run = rnn_dw, .units = tile_units, .scratch = tile_scratch, .writes = 1u << IN_W},
         {.kind = PASS_SPLIT, .run = rnn_du, .units = tile_units, .scratch = tile_scratch, .writes = 1u << IN_U},
         {.kind = PASS_SPLIT, .run = rnn_dbias, .units = tile_units, .writes = 1u << IN_BIAS}},
    .cases = rnn_cases};
