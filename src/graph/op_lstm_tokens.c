/* op_lstm_tokens - embedding and LSTM in one: token ids in, states out. Made by fuse_rnn.c, never recorded by layers.
 *
 * Two things that a batch of texts repeats are computed once:
 * - Tokens. A distinct token of the batch is projected once, P[d] = table[id_d]·W + b; every occurrence reads the row.
 *   Backward sums the pre-activation gradients of a token's occurrences (rows ascending, then steps), and the
 * input-side products run over distinct tokens, not over all positions.
 * - The shared prefix. Keras pads in front with token 0, so leading zeros give every row the same states: a chain run
 * once as one row. Row r joins it at its own step start[r], its number of leading zeros. Backward is linear in (dh,
 * dc): the gradients of rows that leave the chain at a state are added in row order, and one row is run back. With a
 * mask (ids != 0) leading zeros are skipped altogether, and the chain is empty. Exact in both directions; the order of
 * sums is the op's canonical order, whoever runs which row.
 *
 * Entries (rnn.h) are packed: row r has entries for steps start[r] … T only, at entry[r] + s; the chain's follow those
 * of all rows, so that dU is one product over what was really run. */
#include <string.h>

#include "graph/op_util.h"
#include "graph/op_rnn.h"
#include "graph/rnn_cases.h"
#include "graph/rnn_tokens.h"
#include "simd/kern.h"

enum { IN_TABLE, IN_IDS, IN_W, IN_U, IN_BIAS };
enum { AUX_INDEX, AUX_INFO, AUX_PACKED, AUX_P, AUX_X, AUX_STATE, AUX_GATES, AUX_CARRY, AUX_COUNT };
enum { TOKEN_BLOCK = 64, TILE_COLS = 32 };

typedef struct dims {
    int64_t V, E, B, T, H, padded;
    int64_t most;     /* distinct tokens that a batch can have */
    int64_t chain_at; /* entry of the chain's state before step 0 */
    bool training;
} dims;

static dims dims_of(const shape *table, const shape *ids, const lstm_tokens_attr *a, bool training) {
    dims d = {.V = table->d[0],
              .E = table->d[1],
              .B = ids->d[0],
              .T = ids->d[1],
              .H = a->rnn.units,
              .padded = rnn_padded(a->rnn.units)};
    d.training = training;
    d.most = d.V < d.B * d.T ? d.V : d.B * d.T;
    d.chain_at = training ? d.B * (d.T + 1) : 0;
    return d;
}
static dims dims_in(const op_run *r) {
    return dims_of(r->in_shape[IN_TABLE], r->in_shape[IN_IDS], r->node->attr, r->training);
}
static dims dims_at(const graph *g, const node *n) {
    return dims_of(in_shape(g, n, IN_TABLE), in_shape(g, n, IN_IDS), n->attr, g->training);
}

/* AUX_INFO: what the ids of the batch say. */
typedef struct info {
    int32_t *count;          /* [3] distinct tokens, steps of the chain, entries of all rows */
    int32_t *start, *entry;  /* [B] */
    int32_t *ids;            /* [most] distinct tokens, ascending */
    int32_t *segment, *list; /* [most + 1], [B*T] training: entries of token d are list[segment[d]] … */
} info;
static int64_t info_size(const dims *d) {
    return 3 + 2 * d->B + d->most + (d->training ? d->most + 1 + d->B * d->T : 0);
}
static info info_of(const op_run *r, const dims *d) {
    int32_t *p = r->aux[AUX_INFO];
    info i = {.count = p, .start = p + 3, .entry = p + 3 + d->B, .ids = p + 3 + 2 * d->B};
    i.segment = i.ids + d->most;
    i.list = i.segment + d->most + 1;
    return i;
}

static void tokens_shape(graph *g, node *n) {
    const lstm_tokens_attr *a = n->attr;
    const dims d = dims_at(g, n);
    const aux_life life = d.training ? AUX_SAVED : AUX_FORWARD;
    const int64_t states = d.training ? d.chain_at + d.T + 1 : d.T + 1;
    int64_t out[3] = {d.B, a->rnn.return_sequences ? d.T : d.H, d.H};
    n->type = DT_REAL;
    n->shape = shape_make(a->rnn.return_sequences ? 3 : 2, out);
    node_aux_add(n, DT_I32, life, 2, (int64_t[]){d.B, d.T}, false);
    node_aux_add(n, DT_I32, life, 1, (int64_t[]){info_size(&d)}, false);
    node_aux_add(n, DT_REAL, life, 1, (int64_t[]){rnn_packed_size(d.H) * (d.training ? 2 : 1)}, false);
    node_aux_add(n, DT_REAL, life, 2, (int64_t[]){d.most, 4 * d.padded}, false);
    node_aux_add(n, DT_REAL, life, 2, (int64_t[]){d.most, d.E}, false);
    node_aux_add(n, DT_REAL, life, 3, (int64_t[]){d.training ? 3 : 2, states, d.padded}, false);
    node_aux_add(n, DT_REAL, AUX_SAVED, 2, (int64_t[]){states, 4 * d.padded}, false);
    node_aux_add(n, DT_REAL, AUX_BACKWARD, 3, (int64_t[]){d.B, 2, d.padded}, true);
}

static op_cost tokens_cost(const graph *g, const node *n) {
    const dims d = dims_at(g, n);
    const double steps = (double)(d.B * d.T), width = (double)(4 * d.H);
    return (op_cost){.flops = 2 * steps * width * (double)(d.E + d.H),
                     .bytes = (steps * (double)(6 * d.H) + (double)(d.E + d.H) * width) * (double)sizeof(real)};
}

/* ---- what the ids say ---- */

static const lstm_tokens_attr *attr_of(const op_run *r) { return r->node->attr; }
static int64_t time_of(const op_run *r, const dims *d, int64_t s) {
    return attr_of(r)->rnn.go_backwards ? d->T - 1 - s : s;
}

/* starts, entries, length of the chain */
static void find_starts(const op_run *r, const dims *d, const info *f) {
    const int32_t *ids = r->in[IN_IDS];
    int32_t chain = 0, entries = 0;
    for (int64_t row = 0; row < d->B; row++) {
        int32_t s = 0;
        while (s < d->T && ids[row * d->T + time_of(r, d, s)] == 0) s++;
        f->start[row] = s;
        f->entry[row] = entries - s;
        entries += (int32_t)d->T - s + 1;
        if (s > chain) chain = s;
    }
    f->count[1] = attr_of(r)->masked ? 0 : chain;
    f->count[2] = entries;
}

static size_t bit_words(const dims *d) { return (size_t)((d->V + 63) / 64); }

/* Distinct tokens in ascending order, by a set of V bits; `number` of a token is filled, and read, for those in the set
 * only. */
static void number_tokens(const op_run *r, const dims *d, const info *f) {
    const int32_t *ids = r->in[IN_IDS];
    int32_t *index = r->aux[AUX_INDEX], n = 0;
    const size_t words = bit_words(d);
    uint64_t *bits = r->scratch;
    int32_t *number = (int32_t *)(bits + words);
    memset(bits, 0, words * sizeof *bits);
    if (f->count[1] > 0) bits[0] = 1;
    for (int64_t row = 0; row < d->B; row++)
        for (int64_t s = f->start[row]; s < d->T; s++) {
            const int32_t id = ids[row * d->T + time_of(r, d, s)];
            bits[id >> 6] |= (uint64_t)1 << (id & 63);
        }
    for (size_t w = 0; w < words; w++)
        for (uint64_t b = bits[w]; b != 0; b &= b - 1) {
            const int32_t id = (int32_t)(w * 64) + __builtin_ctzll(b);
            number[id] = n;
            f->ids[n++] = id;
        }
    f->count[0] = n;
    for (int64_t row = 0; row < d->B; row++)
        for (int64_t s = f->start[row]; s < d->T; s++)
            index[row * d->T + s] = number[ids[row * d->T + time_of(r, d, s)]];
}

/* Entries by token: counting sort, so that rows and steps ascend within a token. */
static void list_entries(const op_run *r, const dims *d, const info *f) {
    const int32_t *index = r->aux[AUX_INDEX];
    const int32_t n = f->count[0];
    memset(f->segment, 0, (size_t)(n + 1) * sizeof *f->segment);
    for (int64_t row = 0; row < d->B; row++)
        for (int64_t s = f->start[row]; s < d->T; s++) f->segment[index[row * d->T + s]]++;
    int32_t sum = 0;
    for (int32_t k = 0; k <= n; k++) {
        const int32_t count = f->segment[k];
        f->segment[k] = sum;
        sum += k < n ? count : 0;
    }
    for (int64_t row = 0; row < d->B; row++)
        for (int64_t s = f->start[row]; s < d->T; s++)
            f->list[f->segment[index[row * d->T + s]]++] = f->entry[row] + (int32_t)s;
    for (int32_t k = n; k > 0; k--) f->segment[k] = f->segment[k - 1]; /* each start had moved to its end */
    f->segment[0] = 0;
}

static size_t prepare_scratch(const graph *g, const node *n) {
    const dims d = dims_at(g, n);
    return bit_words(&d) * (sizeof(uint64_t) + 64 * sizeof(int32_t));
}

static void tokens_prepare(const op_run *r, int64_t lo, int64_t hi) {
    (void)lo, (void)hi;
    const dims d = dims_in(r);
    const info f = info_of(r, &d);
    find_starts(r, &d, &f);
    number_tokens(r, &d, &f);
    kern.lstm_pack(d.H, r->in[IN_U], r->aux[AUX_PACKED]);
}

/* ---- projection and chain ---- */

static real *state_h(const op_run *r) { return r->aux[AUX_STATE]; }
static real *state_c(const op_run *r) { return (real *)r->aux[AUX_STATE] + shape_row(&r->node->aux[AUX_STATE].shape); }
static real *state_tanh(const op_run *r) {
    return (real *)r->aux[AUX_STATE] + 2 * shape_row(&r->node->aux[AUX_STATE].shape);
}

/* p[n, 4, Hp] = x[n, E]·W + bias, padded columns zero */
static void project(const op_run *r, const dims *d, int64_t n, const real *x, real *p, void *space) {
    const bool whole = d->padded == d->H;
    const int64_t parts = whole ? 1 : 4, width = whole ? 4 * d->H : d->H;
    const real *bias = r->in[IN_BIAS];
    for (int64_t g = 0; g < parts; g++) {
        gemm_args args = {.m = n,
                          .n = width,
                          .k = d->E,
                          .a = x,
                          .lda = d->E,
                          .b = (const real *)r->in[IN_W] + g * width,
                          .ldb = 4 * d->H,
                          .c = p + g * d->padded,
                          .ldc = 4 * d->padded,
                          .bias = bias ? bias + g * width : NULL,
                          .act = GEMM_LINEAR};
        gemm(&args, space);
    }
    for (int64_t i = 0; !whole && i < n * 4; i++)
        memset(p + i * d->padded + d->H, 0, (size_t)(d->padded - d->H) * sizeof *p);
}

/* The prefix as one row: states before step 0 … chain, at entries chain_at …; scratch: its projection, then gemm's. */
static void chain_forward(const op_run *r, const dims *d, const info *f) {
    real *p = r->scratch;
    const int64_t zero = 0;
    int64_t before = d->chain_at, after;
    const size_t bytes = (size_t)d->padded * sizeof(real);
    kern_rnn_args k = {.units = d->H,
                       .n = 1,
                       .before = &before,
                       .after = &after,
                       .pre = p,
                       .pre_row = &zero,
                       .packed = r->aux[AUX_PACKED],
                       .h = state_h(r),
                       .c = state_c(r),
                       .gates = d->training ? r->aux[AUX_GATES] : NULL,
                       .tanh_c = state_tanh(r)};
    if (f->count[1] == 0) return;
    project(r, d, 1, r->in[IN_TABLE], p, p + 4 * d->padded);
    memset(k.h + before * d->padded, 0, bytes);
    memset(k.c + before * d->padded, 0, bytes);
    for (int64_t s = 0; s < f->count[1]; s++, before++) {
        after = before + 1;
        kern.lstm_forward(&k);
    }
}

static size_t project_scratch(const graph *g, const node *n) {
    const dims d = dims_at(g, n);
    return (size_t)(4 * d.padded) * sizeof(real) + gemm_scratch(TOKEN_BLOCK, 4 * d.H, d.E);
}

static int64_t project_units(const graph *g, const node *n) {
    const dims d = dims_at(g, n);
    return 2 + blocks_of(d.most, TOKEN_BLOCK);
}

/* SPLIT: the chain, the lists for the backward pass, then blocks of tokens */
static void tokens_project(const op_run *r, int64_t lo, int64_t hi) {
    const dims d = dims_in(r);
    const info f = info_of(r, &d);
    const real *table = r->in[IN_TABLE];
    for (int64_t unit = lo; unit < hi; unit++) {
        if (unit == 0) chain_forward(r, &d, &f);
        if (unit == 1 && d.training) {
            list_entries(r, &d, &f);
            kern.lstm_pack_t(d.H, r->in[IN_U], (real *)r->aux[AUX_PACKED] + rnn_packed_size(d.H));
        }
        const int64_t from = (unit - 2) * TOKEN_BLOCK,
                      to = from + TOKEN_BLOCK < f.count[0] ? from + TOKEN_BLOCK : f.count[0];
        if (unit < 2 || from >= to) continue;
        real *x = (real *)r->aux[AUX_X] + from * d.E;
        for (int64_t k = from; k < to; k++)
            memcpy(x + (k - from) * d.E, table + f.ids[k] * d.E, (size_t)d.E * sizeof *x);
        project(r, &d, to - from, x, (real *)r->aux[AUX_P] + from * 4 * d.padded, r->scratch);
    }
}

/* ---- rows ---- */

static lstm_rows rows_view(const op_run *r, const dims *d, const info *f) {
    const lstm_tokens_attr *a = attr_of(r);
    lstm_rows v = {.steps = d->T,
                   .units = d->H,
                   .backwards = a->rnn.go_backwards,
                   .sequences = a->rnn.return_sequences,
                   .zero_masked = a->rnn.zero_output_for_mask,
                   .save = d->training,
                   .mask = a->masked ? r->in[IN_IDS] : NULL,
                   .pre = r->aux[AUX_P],
                   .pre_index = r->aux[AUX_INDEX],
                   .packed = r->aux[AUX_PACKED],
                   .out = r->out,
                   .dout = r->dout};
    if (f->count[1] > 0) {
        v.chain_h = state_h(r) + d->chain_at * d->padded;
        v.chain_c = state_c(r) + d->chain_at * d->padded;
    }
    if (d->training) {
        v.h = state_h(r);
        v.c = state_c(r);
        v.tanh_c = state_tanh(r);
        v.gates = r->aux[AUX_GATES];
        v.carry = r->aux[AUX_CARRY];
    } else {
        v.h = r->scratch;
        v.c = v.h + 2 * RNN_MAX_ROWS * d->padded;
    }
    return v;
}

static size_t rows_scratch(const graph *g, const node *n) {
    const dims d = dims_at(g, n);
    return d.training ? 0 : (size_t)(4 * RNN_MAX_ROWS * d.padded) * sizeof(real);
}

static void tokens_rows(const op_run *r, int64_t lo, int64_t hi) {
    const dims d = dims_in(r);
    const info f = info_of(r, &d);
    lstm_rows v = rows_view(r, &d, &f);
    for (int64_t a = lo; a < hi; a += RNN_MAX_ROWS) {
        v.start = f.start + a;
        v.entry = f.entry + a;
        lstm_rows_forward(&v, a, a + RNN_MAX_ROWS < hi ? a + RNN_MAX_ROWS : hi);
    }
}

static void tokens_rows_backward(const op_run *r, int64_t lo, int64_t hi) {
    const dims d = dims_in(r);
    const info f = info_of(r, &d);
    lstm_rows v = rows_view(r, &d, &f);
    v.packed = (const real *)r->aux[AUX_PACKED] + rnn_packed_size(d.H);
    for (int64_t a = lo; a < hi; a += RNN_MAX_ROWS) {
        v.start = f.start + a;
        v.entry = f.entry + a;
        lstm_rows_backward(&v, a, a + RNN_MAX_ROWS < hi ? a + RNN_MAX_ROWS : hi);
    }
}

/* ---- backward: the chain, and gradients by token ---- */

/* Adds to (dh, dc) of the chain's state `s` what the rows put there, in row order: those that leave the chain at s, and
 * the output of step s-1 of those that were still in it. */
static void chain_collect(const op_run *r, const dims *d, const info *f, int64_t s, real *dh, real *dc) {
    const real *carry = r->aux[AUX_CARRY];
    const bool sequences = attr_of(r)->rnn.return_sequences;
    for (int64_t row = 0; row < d->B; row++) {
        if (sequences && s > 0 && f->start[row] >= s) kern.add(d->H, dh, r->dout + (row * d->T + s - 1) * d->H, dh);
        if (f->start[row] != s) continue;
        kern.add(d->padded, dh, carry + 2 * row * d->padded, dh);
        kern.add(d->padded, dc, carry + (2 * row + 1) * d->padded, dc);
    }
}

static void chain_backward(const op_run *r, const dims *d, const info *f) {
    real *dh = r->scratch, *dc = dh + d->padded;
    const int64_t zero = 0;
    int64_t before;
    kern_rnn_args k = {.units = d->H,
                       .n = 1,
                       .before = &before,
                       .packed = (const real *)r->aux[AUX_PACKED] + rnn_packed_size(d->H),
                       .c = state_c(r),
                       .gates = r->aux[AUX_GATES],
                       .tanh_c = state_tanh(r),
                       .dh = dh,
                       .dc = dc,
                       .grad_row = &zero};
    memset(dh, 0, (size_t)(2 * d->padded) * sizeof *dh);
    for (int64_t s = f->count[1]; s > 0; s--) {
        chain_collect(r, d, f, s, dh, dc);
        before = d->chain_at + s - 1;
        kern.lstm_backward(&k);
    }
}

/* dP of tokens [from,to): sums over the lists. Token 0 has the chain's steps besides, s ascending after its other ones.
 */
static void token_sums(const op_run *r, const dims *d, const info *f, int64_t from, int64_t to) {
    const real *gates = r->aux[AUX_GATES];
    for (int64_t k = from; k < to; k++) {
        real *dp = (real *)r->aux[AUX_P] + k * 4 * d->padded;
        kern.sum_rows(f->segment[k + 1] - f->segment[k], f->list + f->segment[k], 4 * d->padded, 4 * d->padded, gates,
                      dp);
        for (int64_t s = 0; f->ids[k] == 0 && s < f->count[1]; s++)
            kern.add(4 * d->padded, dp, gates + (d->chain_at + s) * 4 * d->padded, dp);
    }
}

static size_t sums_scratch(const graph *g, const node *n) {
    const dims d = dims_at(g, n);
    return (size_t)(2 * d.padded) * sizeof(real);
}

static int64_t sums_units(const graph *g, const node *n) {
    const dims d = dims_at(g, n);
    return 1 + blocks_of(d.most, TOKEN_BLOCK);
}

/* SPLIT: the chain and token 0, then blocks of the other tokens */
static void tokens_sums(const op_run *r, int64_t lo, int64_t hi) {
    const dims d = dims_in(r);
    const info f = info_of(r, &d);
    const int64_t first = f.count[0] > 0 && f.ids[0] == 0; /* token 0 is there */
    for (int64_t unit = lo; unit < hi; unit++) {
        if (unit == 0) {
            chain_backward(r, &d, &f);
            token_sums(r, &d, &f, 0, first);
            continue;
        }
        const int64_t from = first + (unit - 1) * TOKEN_BLOCK,
                      to = from + TOKEN_BLOCK < f.count[0] ? from + TOKEN_BLOCK : f.count[0];
        token_sums(r, &d, &f, from, to);
    }
}

/* ---- gradients of the parameters ---- */

static int64_t tile_units(const graph *g, const node *n) {
    const dims d = dims_at(g, n);
    return 4 * blocks_of(d.H, TILE_COLS);
}

typedef struct tile {
    int64_t padded_column, column, width;
} tile;

static tile tile_of(const dims *d, int64_t unit) {
    const int64_t across = blocks_of(d->H, TILE_COLS), gate = unit / across, at = unit % across * TILE_COLS;
    return (tile){gate * d->padded + at, gate * d->H + at, d->H - at < TILE_COLS ? d->H - at : TILE_COLS};
}

static size_t du_scratch(const graph *g, const node *n) {
    const dims d = dims_at(g, n);
    return gemm_scratch(d.H, TILE_COLS, d.B * (d.T + 1));
}

/* dU = H^T · dG over the rows' entries in chunks, then over the chain's steps */
static void tokens_du(const op_run *r, int64_t lo, int64_t hi) {
    const dims d = dims_in(r);
    const info f = info_of(r, &d);
    for (int64_t unit = lo; unit < hi; unit++) {
        const tile t = tile_of(&d, unit);
        gemm_args args = {.m = d.H,
                          .n = t.width,
                          .k = f.count[2],
                          .a = state_h(r),
                          .lda = d.padded,
                          .trans_a = true,
                          .b = (const real *)r->aux[AUX_GATES] + t.padded_column,
                          .ldb = 4 * d.padded,
                          .c = r->din[IN_U] + t.column,
                          .ldc = 4 * d.H,
                          .chunks = op_chunks(),
                          .act = GEMM_LINEAR};
        gemm(&args, r->scratch);
        if (f.count[1] == 0) continue;
        args.k = f.count[1];
        args.a += d.chain_at * d.padded;
        args.b += d.chain_at * 4 * d.padded;
        args.accumulate = true;
        gemm(&args, r->scratch);
    }
}

static size_t dw_scratch(const graph *g, const node *n) {
    const dims d = dims_at(g, n);
    return gemm_scratch(d.E, TILE_COLS, d.most);
}

static void tokens_dw(const op_run *r, int64_t lo, int64_t hi) {
    const dims d = dims_in(r);
    const info f = info_of(r, &d);
    for (int64_t unit = lo; unit < hi; unit++) {
        const tile t = tile_of(&d, unit);
        gemm_args args = {.m = d.E,
                          .n = t.width,
                          .k = f.count[0],
                          .a = r->aux[AUX_X],
                          .lda = d.E,
                          .trans_a = true,
                          .b = (const real *)r->aux[AUX_P] + t.padded_column,
                          .ldb = 4 * d.padded,
                          .c = r->din[IN_W] + t.column,
                          .ldc = 4 * d.H,
                          .chunks = op_chunks(),
                          .act = GEMM_LINEAR};
        gemm(&args, r->scratch);
    }
}

static void tokens_dbias(const op_run *r, int64_t lo, int64_t hi) {
    const dims d = dims_in(r);
    const info f = info_of(r, &d);
    for (int64_t unit = lo; unit < hi; unit++) {
        const tile t = tile_of(&d, unit);
        column_sums(f.count[0], t.width, 4 * d.padded, (const real *)r->aux[AUX_P] + t.padded_column, NULL,
                    r->din[IN_BIAS] + t.column);
    }
}

static size_t dtable_scratch(const graph *g, const node *n) {
    const dims d = dims_at(g, n);
    return (size_t)(TOKEN_BLOCK * d.E) * sizeof(real) + gemm_scratch(TOKEN_BLOCK, d.E, 4 * d.H);
}

/* rows[from … to) of the list = dP · W^T */
static void token_rows(const op_run *r, const dims *d, int64_t from, int64_t to, real *rows, void *space) {
    const bool whole = d->padded == d->H;
    for (int64_t g = 0; g < (whole ? 1 : 4); g++) {
        const int64_t k = whole ? 4 * d->H : d->H;
        gemm_args args = {.m = to - from,
                          .n = d->E,
                          .k = k,
                          .a = (const real *)r->aux[AUX_P] + from * 4 * d->padded + g * d->padded,
                          .lda = 4 * d->padded,
                          .b = (const real *)r->in[IN_W] + g * d->H,
                          .ldb = 4 * d->H,
                          .trans_b = true,
                          .c = rows,
                          .ldc = d->E,
                          .accumulate = g > 0,
                          .act = GEMM_LINEAR};
        if (to > from) gemm(&args, space);
    }
}

static int64_t dtable_units(const graph *g, const node *n) {
    const dims d = dims_at(g, n);
    return blocks_of(d.most, TOKEN_BLOCK);
}

/* A block of tokens gives rows of the list, or of a dense gradient in which its share of the other rows becomes zero:
 * those behind the id before its first, up to its last id (the last block: up to V). */
static void tokens_dtable(const op_run *r, int64_t lo, int64_t hi) {
    const dims d = dims_in(r);
    const info f = info_of(r, &d);
    grad_rows *list = r->drows[IN_TABLE];
    if (lo == 0 && list) list->n = f.count[0];
    for (int64_t unit = lo; unit < hi; unit++) {
        const int64_t from = unit * TOKEN_BLOCK < f.count[0] ? unit * TOKEN_BLOCK : f.count[0];
        const int64_t to = from + TOKEN_BLOCK < f.count[0] ? from + TOKEN_BLOCK : f.count[0];
        if (list) {
            memcpy(list->ids + from, f.ids + from, (size_t)(to - from) * sizeof *list->ids);
            token_rows(r, &d, from, to, list->rows + from * d.E, r->scratch);
            continue;
        }
        real *rows = r->scratch, *dense = r->din[IN_TABLE];
        token_rows(r, &d, from, to, rows, rows + TOKEN_BLOCK * d.E);
        int64_t next = unit == 0 ? 0 : from > 0 ? f.ids[from - 1] + 1 : 0;
        if (unit > 0 && from == to) continue;
        for (int64_t k = from; k < to; k++) {
            memset(dense + next * d.E, 0, (size_t)((f.ids[k] - next) * d.E) * sizeof *dense);
            memcpy(dense + f.ids[k] * d.E, rows + (k - from) * d.E, (size_t)d.E * sizeof *dense);
            next = f.ids[k] + 1;
        }
        if (to == f.count[0]) memset(dense + next * d.E, 0, (size_t)((d.V - next) * d.E) * sizeof *dense);
    }
}

const op_def opdef_lstm_tokens = {
    .name = "lstm_tokens",
    .min_in = 4,
    .max_in = 5,
    .row_list = 1u << IN_TABLE,
    .reads_in = 1u << IN_IDS | 1u << IN_W,
    .shape = tokens_shape,
    .cost = tokens_cost,
    .forward = {{.kind = PASS_ONCE, .run = tokens_prepare, .scratch = prepare_scratch},
                {.kind = PASS_SPLIT, .run = tokens_project, .units = project_units, .scratch = project_scratch},
                {.kind = PASS_ROWS, .run = tokens_rows, .scratch = rows_scratch}},
    .backward =
        {{.kind = PASS_ROWS, .run = tokens_rows_backward, .writes = OP_FILLS_AUX},
         {.kind = PASS_SPLIT, .run = tokens_sums, .units = sums_units, .scratch = sums_scratch, .writes = OP_FILLS_AUX},
         {.kind = PASS_SPLIT, .run = tokens_du, .units = tile_units, .scratch = du_scratch, .writes = 1u << IN_U},
         {.kind = PASS_SPLIT, .run = tokens_dw, .units = tile_units, .scratch = dw_scratch, .writes = 1u << IN_W},
         {.kind = PASS_SPLIT, .run = tokens_dbias, .units = tile_units, .writes = 1u << IN_BIAS},
         {.kind = PASS_SPLIT,
          .run = tokens_dtable,
          .units = dtable_units,
          .scratch = dtable_scratch,
          .writes = 1u << IN_TABLE}},
    .cases = lstm_tokens_cases};
