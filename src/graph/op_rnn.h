/* op_rnn - what the recurrent ops share: the row engine of the fast LSTM (rnn_lstm.c) and the step of any other cell
 * (rnn_cell.c).
 *
 * Time is counted in steps s = 0 … T-1 in the order of consumption; the input's time is t = s, or T-1-s when going
 * backwards. A row's steps live in consecutive entries: entry s of h, c holds the state before step s, entry T the
 * final state; entry s of the gates and of the input belongs to step s, and their entry T is zero when the backward
 * pass has run. So the weight gradients of the whole batch are plain products over all entries, dU = H^T · dG, whatever
 * was masked. */
#ifndef SOUK_GRAPH_OP_RNN_H
#define SOUK_GRAPH_OP_RNN_H

#include "graph/op.h"
#include "graph/ops.h"
#include "simd/rnn.h"

static inline int64_t rnn_gate_count(rnn_kind kind) { return kind == RNN_LSTM ? 4 : kind == RNN_GRU ? 3 : 1; }

/* LSTM with tanh, sigmoid and no masks on h: the kernels of simd/rnn.h. */
static inline bool rnn_is_fast(const rnn_attr *a, bool training) {
    return a->kind == RNN_LSTM && a->activation == GEMM_TANH && a->recurrent_activation == GEMM_SIGMOID &&
           !(training && a->recurrent_dropout > 0);
}

/* Inverted dropout's factors for one sample: dst[gates, n] holds 0 or 1/(1-p). `on_state` tells h's masks from x's.
 * Keyed by the run's seed, the op's stream, the step and the global sample; gate and channel make the position. */
void rnn_dropout_mask(const op_run *r, int64_t row, bool on_state, int64_t gates, int64_t n, real p, real *dst);

/* ---- rnn_lstm.c: rows of a fast LSTM through all their steps ---- */

typedef struct lstm_rows {
    int64_t steps, units; /* T, H */
    bool backwards, sequences, zero_masked;
    bool save;            /* training: h, c, gates, tanh_c are kept; else h, c are scratch of two entries a row */
    bool skipped_entries; /* rows have entries for the steps before `start` too (their gradients are cleared) */
    const int32_t *mask;  /* [B,T] in the input's time, or NULL */
    const int32_t *start; /* [rows of the call] steps before it need no work: the state there is zero or the chain's */
    const int32_t *entry; /* [rows of the call] entry of step 0 (a number only, where steps before start have none) */
    const real *pre;      /* [*, 4, Hp] input part of the pre-activations */
    const int32_t *pre_index;      /* [B,T] row of pre for step s; NULL: the entry (save) or b*T + t */
    const real *packed;            /* of U or, backward, of its transpose */
    real *h, *c, *gates, *tanh_c;  /* by entry */
    const real *chain_h, *chain_c; /* [T+1, Hp] states before step s that rows start from; NULL: zeros */
    real *out;                     /* [B,H], or [B,T,H] by step */
    const real *dout;
    real *carry; /* [B,2,Hp] backward: gradients of h and c, those of the state at `start` when done */
} lstm_rows;

/* Rows [lo,hi), at most RNN_MAX_ROWS; start and entry are those of row lo. */
void lstm_rows_forward(const lstm_rows *a, int64_t lo, int64_t hi);
void lstm_rows_backward(const lstm_rows *a, int64_t lo, int64_t hi);

/* ---- rnn_cell.c: one step of any cell for a few rows, products through gemm ---- */

enum { RNN_CELL_ROWS = 16 };

typedef struct rnn_cell {
    const rnn_attr *attr;
    int64_t units, n; /* H, rows */
    const real *u[4]; /* U of gate g: columns g*H … of u[H,G*H] */
    const real *packed[4], *packed_t[4];
    const real *candidate_bias; /* GRU with reset_after: recurrent bias of the candidate [H], or NULL */
    const real *masks;          /* [n,G,H] recurrent dropout, or NULL */
    real *h0, *c0, *h1, *c1;    /* before and after the step; row i at i * ld_state */
    int64_t ld_state;
    real *z; /* [G,Hp] pre-activations; backward: replaced by their gradients */
    int64_t ld_z;
    real *y; /* [Y,Hp] values after activation: LSTM i f g o tanh(c); GRU z r h q; simple h */
    int64_t ld_y;
    real *hm; /* [G,Hp] h under the masks */
    int64_t ld_hm;
    real *dh, *dc;      /* [n,Hp] backward: gradient of the state after, replaced by that of the state before */
    const bool *masked; /* [n] backward: the row sits this step out */
    real *tmp;          /* [3, n, Hp] */
    void *gemm_scratch;
} rnn_cell;

/* Slots of y. q is h·U_h + b with reset_after, else r*h: backward it becomes the gradient of the former. */
static inline int64_t rnn_cell_slots(rnn_kind kind) { return kind == RNN_LSTM ? 5 : kind == RNN_GRU ? 4 : 1; }
void rnn_cell_forward(const rnn_cell *c);
void rnn_cell_backward(const rnn_cell *c);

#endif
