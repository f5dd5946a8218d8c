/* rnn_lstm - rows of an LSTM with Keras' usual activations, through all their steps, on the kernels of simd/rnn.h.
 *
 * A call owns its rows and runs them through the whole sequence without meeting another thread (batch split, not gate
 * or time split). Each step asks the kernel for the rows that take part: those past their start (leading pads or masked
 * steps cost nothing) and not masked. A masked row keeps its state.
 *
 * Who takes part never changes a bit of a row's result: rows only share a kernel call. */
#include <assert.h>
#include <string.h>

#include "graph/op_rnn.h"
#include "simd/kern.h"

/* The rows of one step. */
typedef struct step_rows {
    int64_t n;
    int64_t before[RNN_MAX_ROWS], after[RNN_MAX_ROWS], pre_row[RNN_MAX_ROWS], grad_row[RNN_MAX_ROWS];
} step_rows;

static bool is_masked(const lstm_rows *a, int64_t row, int64_t s) {
    if (!a->mask) return false;
    return a->mask[row * a->steps + (a->backwards ? a->steps - 1 - s : s)] == 0;
}

/* State before the first step, and the outputs of the steps that need no work. */
static void begin_row(const lstm_rows *a, int64_t row, int64_t start, int64_t first_entry, int64_t entry) {
    const int64_t H = a->units, padded = rnn_padded(H);
    const size_t bytes = (size_t)padded * sizeof(real);
    if (a->chain_h) {
        memcpy(a->h + entry * padded, a->chain_h + start * padded, bytes);
        memcpy(a->c + entry * padded, a->chain_c + start * padded, bytes);
    } else {
        /* entries of skipped steps are operands of dU: they must not hold NaNs */
        int64_t from = a->save && a->skipped_entries ? first_entry : entry;
        memset(a->h + from * padded, 0, (size_t)(entry + 1 - from) * bytes);
        memset(a->c + entry * padded, 0, bytes);
    }
    for (int64_t s = 0; a->sequences && s < start; s++) {
        real *out = a->out + (row * a->steps + s) * H;
        if (a->chain_h)
            memcpy(out, a->chain_h + (s + 1) * padded, (size_t)H * sizeof *out);
        else
            memset(out, 0, (size_t)H * sizeof *out);
    }
}

void lstm_rows_forward(const lstm_rows *a, int64_t lo, int64_t hi) {
    const int64_t n = hi - lo, T = a->steps, H = a->units, padded = rnn_padded(H);
    int64_t at[RNN_MAX_ROWS], first = T; /* entry of each row's present state */
    step_rows now;
    kern_rnn_args k = {.units = H,
                       .before = now.before,
                       .after = now.after,
                       .pre = a->pre,
                       .pre_row = now.pre_row,
                       .packed = a->packed,
                       .h = a->h,
                       .c = a->c,
                       .gates = a->save ? a->gates : NULL,
                       .tanh_c = a->tanh_c};
    assert(n > 0 && n <= RNN_MAX_ROWS);
    for (int64_t i = 0; i < n; i++) {
        at[i] = a->save ? a->entry[i] + a->start[i] : 2 * i;
        begin_row(a, lo + i, a->start[i], a->entry[i], at[i]);
        if (a->start[i] < first) first = a->start[i];
    }
    for (int64_t s = first; s < T; s++) {
        bool out_zero[RNN_MAX_ROWS];
        now.n = 0;
        for (int64_t i = 0; i < n; i++) {
            const int64_t row = lo + i, t = a->backwards ? T - 1 - s : s;
            if (a->start[i] > s) continue;
            const bool masked = is_masked(a, row, s);
            const int64_t next = a->save ? at[i] + 1 : 2 * i + (at[i] == 2 * i);
            out_zero[i] = masked && a->zero_masked;
            if (masked && !a->save) continue;
            if (masked) {
                memcpy(a->h + next * padded, a->h + at[i] * padded, (size_t)padded * sizeof(real));
                memcpy(a->c + next * padded, a->c + at[i] * padded, (size_t)padded * sizeof(real));
            } else {
                now.before[now.n] = at[i];
                now.after[now.n] = next;
                now.pre_row[now.n++] = a->pre_index ? a->pre_index[row * T + s] : a->save ? at[i] : row * T + t;
            }
            at[i] = next;
        }
        k.n = now.n;
        if (now.n > 0) kern.lstm_forward(&k);
        for (int64_t i = 0; a->sequences && i < n; i++) {
            real *out = a->out + ((lo + i) * T + s) * H;
            if (a->start[i] > s) continue;
            if (out_zero[i])
                memset(out, 0, (size_t)H * sizeof *out);
            else
                memcpy(out, a->h + at[i] * padded, (size_t)H * sizeof *out);
        }
    }
    for (int64_t i = 0; !a->sequences && i < n; i++) {
        real *out = a->out + (lo + i) * H;
        if (a->zero_masked && is_masked(a, lo + i, T - 1))
            memset(out, 0, (size_t)H * sizeof *out);
        else
            memcpy(out, a->h + at[i] * padded, (size_t)H * sizeof *out);
    }
}

/* Gradient of the final state, and zeros where the products over entries must find them. */
static void begin_row_backward(const lstm_rows *a, int64_t row, int64_t start, int64_t entry) {
    const int64_t H = a->units, T = a->steps, padded = rnn_padded(H);
    const size_t bytes = (size_t)padded * sizeof(real);
    real *carry = a->carry + 2 * row * padded;
    memset(carry, 0, 2 * bytes);
    if (!a->sequences && !(a->zero_masked && is_masked(a, row, T - 1)))
        memcpy(carry, a->dout + row * H, (size_t)H * sizeof *carry);
    memset(a->gates + (entry + T) * 4 * padded, 0, 4 * bytes);
    if (a->skipped_entries) memset(a->gates + entry * 4 * padded, 0, (size_t)start * 4 * bytes);
}

void lstm_rows_backward(const lstm_rows *a, int64_t lo, int64_t hi) {
    const int64_t n = hi - lo, T = a->steps, H = a->units, padded = rnn_padded(H);
    int64_t first = T;
    step_rows now;
    kern_rnn_args k = {.units = H,
                       .before = now.before,
                       .packed = a->packed,
                       .c = a->c,
                       .gates = a->gates,
                       .tanh_c = a->tanh_c,
                       .dh = a->carry,
                       .dc = a->carry + padded,
                       .grad_row = now.grad_row};
    assert(n > 0 && n <= RNN_MAX_ROWS);
    for (int64_t i = 0; i < n; i++) {
        begin_row_backward(a, lo + i, a->start[i], a->entry[i]);
        if (a->start[i] < first) first = a->start[i];
    }
    for (int64_t s = T - 1; s >= first; s--) {
        now.n = 0;
        for (int64_t i = 0; i < n; i++) {
            const int64_t row = lo + i, entry = a->entry[i] + s;
            if (a->start[i] > s) continue;
            const bool masked = is_masked(a, row, s);
            /* a masked step's output repeats the state, so its gradient joins that of the state */
            if (a->sequences && !(masked && a->zero_masked)) {
                real *dh = a->carry + 2 * row * padded;
                kern.add(H, dh, a->dout + (row * T + s) * H, dh);
            }
            if (masked) {
                memset(a->gates + entry * 4 * padded, 0, (size_t)padded * 4 * sizeof(real));
                continue;
            }
            now.before[now.n] = entry;
            now.grad_row[now.n++] = 2 * row;
        }
        k.n = now.n;
        if (now.n > 0) kern.lstm_backward(&k);
    }
}
