/* rnn - operands of the recurrent kernels: one time step of an LSTM for a handful of rows, forward or backward.
 *
 * The kernels know rows, not time or batches: the caller says which rows take part in the step, and where the state
 * before and after it lives. State, gates and pre-activations are padded to Hp = a multiple of 16 units per gate, so
 * that every access is a whole vector; padded lanes hold finite junk that no product ever reads (products run over k <
 * H).
 *
 * Canonical order, for any tile height and instruction set: a pre-activation is pre + sum_k h[k]*U[k][j], one chain of
 * fused multiply-adds with k ascending that starts from pre; dh[j] is one such chain over gate-major k that starts from
 * 0. */
#ifndef SOUK_SIMD_RNN_H
#define SOUK_SIMD_RNN_H

#include <stdint.h>

#include "simd/real.h"

enum { RNN_LANES = 16, RNN_MAX_ROWS = 64 }; /* rows of one kernel call */

static inline int64_t rnn_padded(int64_t units) { return (units + RNN_LANES - 1) / RNN_LANES * RNN_LANES; }

struct kern_rnn_args {
    int64_t units;          /* H */
    int64_t n;              /* rows in this step, at most RNN_MAX_ROWS */
    const int64_t *before;  /* [n] entry of h, c (and of gates, tanh_c) that holds the row's state before the step */
    const int64_t *after;   /* [n] entry of h, c after the step; never equal to before[] */
    const real *pre;        /* [*, 4, Hp] x·W + bias, gates i, f, c, o (forward) */
    const int64_t *pre_row; /* [n] row of pre (forward) */
    const real *packed;     /* forward: rnn_pack of U; backward: rnn_pack_t of U */
    real *h, *c;            /* [entries, Hp] */
    real *gates;  /* [entries, 4, Hp] saved gate values; the backward step overwrites them with their gradients. NULL:
                     inference */
    real *tanh_c; /* [entries, Hp] saved tanh(c) at `before`; NULL: inference */
    real *dh,
        *dc; /* [*, Hp] backward: gradients of the state after the step, replaced by those of the state before it */
    const int64_t *grad_row; /* [n] row of dh, dc (backward) */
};

/* Elements of a packed U: the same for both directions. */
static inline int64_t rnn_packed_size(int64_t units) { return 4 * units * rnn_padded(units); }

#endif
