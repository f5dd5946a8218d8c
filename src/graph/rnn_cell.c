/* rnn_cell - one step of a simple RNN, GRU (both kinds) or LSTM with any activations and with recurrent dropout.
 *
 * Products go through gemm gate by gate, since each gate may see h under a mask of its own; activations through the
 * kernel table. The common LSTM has faster tiles (rnn_lstm.c); this is the general form, and the loops here are plain.
 *
 * Keras' equations, h' the state before, m_g the mask of gate g (ones without recurrent dropout):
 *   simple  h = act(z),  z = xW + b + (m h')U
 *   LSTM    i, f, o = ract(z_g), g = act(z_c), z_g = xW_g + b_g + (m_g h')U_g;  c = f c' + i g;  h = o act(c)
 *   GRU     z, r = ract(…);  reset_after: q = (m_h h')U_h + b_rec, h~ = act(xW_h + b + r q);
 *           else q = r (m_h h'), h~ = act(xW_h + b + q U_h);  h = z h' + (1 - z) h~ */
#include <string.h>

#include "graph/op_rnn.h"
#include "simd/gemm.h"
#include "simd/kern.h"

static int64_t gates_of(const rnn_cell *c) { return rnn_gate_count(c->attr->kind); }
static real *z_at(const rnn_cell *c, int64_t i, int64_t gate) {
    return c->z + i * c->ld_z + gate * rnn_padded(c->units);
}
static real *y_at(const rnn_cell *c, int64_t i, int64_t slot) {
    return c->y + i * c->ld_y + slot * rnn_padded(c->units);
}
static const real *mask_at(const rnn_cell *c, int64_t i, int64_t gate) {
    return c->masks + (i * gates_of(c) + gate) * c->units;
}

/* out[n,H] (+)= a[n,H] · U_g, or · U_g^T */
static void product(const rnn_cell *c, int64_t gate, bool transposed, const real *a, int64_t lda, bool accumulate,
                    const real *bias, real *out, int64_t ldc) {
    gemm_args args = {.m = c->n,
                      .n = c->units,
                      .k = c->units,
                      .a = a,
                      .lda = lda,
                      .b = c->u[gate],
                      .ldb = gates_of(c) * c->units,
                      .trans_b = transposed,
                      .c = out,
                      .ldc = ldc,
                      .accumulate = accumulate,
                      .bias = bias,
                      .act = GEMM_LINEAR,
                      .packed_b = transposed ? c->packed_t[gate] : c->packed[gate]};
    gemm(&args, c->gemm_scratch);
}

/* h as gate g sees it */
static const real *state_for(const rnn_cell *c, int64_t gate, int64_t *ld) {
    if (!c->masks) {
        *ld = c->ld_state;
        return c->h0;
    }
    *ld = c->ld_hm;
    return c->hm + gate * rnn_padded(c->units);
}

static void mask_states(const rnn_cell *c) {
    for (int64_t i = 0; i < c->n; i++)
        for (int64_t g = 0; g < gates_of(c); g++)
            kern.mul(c->units, c->h0 + i * c->ld_state, mask_at(c, i, g),
                     c->hm + i * c->ld_hm + g * rnn_padded(c->units));
}

static void simple_forward(const rnn_cell *c) {
    for (int64_t i = 0; i < c->n; i++) {
        kern.act(c->units, (int)c->attr->activation, z_at(c, i, 0), y_at(c, i, 0));
        memcpy(c->h1 + i * c->ld_state, y_at(c, i, 0), (size_t)c->units * sizeof(real));
    }
}

static void lstm_forward(const rnn_cell *c) {
    const int64_t H = c->units;
    for (int64_t i = 0; i < c->n; i++) {
        for (int g = 0; g < 4; g++)
            kern.act(H, (int)(g == 2 ? c->attr->activation : c->attr->recurrent_activation), z_at(c, i, g),
                     y_at(c, i, g));
        const real *in = y_at(c, i, 0), *forget = y_at(c, i, 1), *g = y_at(c, i, 2), *o = y_at(c, i, 3),
                   *c0 = c->c0 + i * c->ld_state;
        real *c1 = c->c1 + i * c->ld_state;
        for (int64_t j = 0; j < H; j++) c1[j] = forget[j] * c0[j] + in[j] * g[j];
        kern.act(H, (int)c->attr->activation, c1, y_at(c, i, 4));
        kern.mul(H, o, y_at(c, i, 4), c->h1 + i * c->ld_state);
    }
}

static void gru_forward(const rnn_cell *c) {
    const int64_t H = c->units;
    int64_t ld;
    const real *h = state_for(c, 2, &ld);
    for (int64_t i = 0; i < c->n; i++) {
        kern.act(H, (int)c->attr->recurrent_activation, z_at(c, i, 0), y_at(c, i, 0));
        kern.act(H, (int)c->attr->recurrent_activation, z_at(c, i, 1), y_at(c, i, 1));
        if (!c->attr->reset_after) kern.mul(H, y_at(c, i, 1), h + i * ld, y_at(c, i, 3));
    }
    if (c->attr->reset_after) {
        product(c, 2, false, h, ld, false, c->candidate_bias, y_at(c, 0, 3), c->ld_y);
        for (int64_t i = 0; i < c->n; i++) {
            real *z = z_at(c, i, 2), *r = y_at(c, i, 1), *q = y_at(c, i, 3);
            for (int64_t j = 0; j < H; j++) z[j] = z[j] + r[j] * q[j];
        }
    } else {
        product(c, 2, false, y_at(c, 0, 3), c->ld_y, true, NULL, z_at(c, 0, 2), c->ld_z);
    }
    for (int64_t i = 0; i < c->n; i++) {
        kern.act(H, (int)c->attr->activation, z_at(c, i, 2), y_at(c, i, 2));
        const real *z = y_at(c, i, 0), *candidate = y_at(c, i, 2), *h0 = c->h0 + i * c->ld_state;
        real *h1 = c->h1 + i * c->ld_state;
        for (int64_t j = 0; j < H; j++) h1[j] = z[j] * h0[j] + (1 - z[j]) * candidate[j];
    }
}

void rnn_cell_forward(const rnn_cell *c) {
    const int64_t early = c->attr->kind == RNN_GRU ? 2 : gates_of(c); /* a GRU's candidate waits for r */
    if (c->masks) mask_states(c);
    for (int64_t g = 0; g < early; g++) {
        int64_t ld;
        const real *h = state_for(c, g, &ld);
        product(c, g, false, h, ld, true, NULL, z_at(c, 0, g), c->ld_z);
    }
    if (c->attr->kind == RNN_SIMPLE)
        simple_forward(c);
    else if (c->attr->kind == RNN_LSTM)
        lstm_forward(c);
    else
        gru_forward(c);
}

/* ---- backward ---- */

/* Gradients are written over z, from which some activations need their argument: so through a copy of the incoming one.
 */
static void act_grad(const rnn_cell *c, gemm_act act, int64_t i, int64_t gate, const real *dy) {
    kern.act_grad(c->units, (int)act, z_at(c, i, gate), y_at(c, i, gate), dy, z_at(c, i, gate));
}

static void simple_backward(const rnn_cell *c, int64_t i) {
    act_grad(c, c->attr->activation, i, 0, c->dh + i * rnn_padded(c->units));
    memset(c->dh + i * rnn_padded(c->units), 0, (size_t)c->units * sizeof(real));
}

static void lstm_backward(const rnn_cell *c, int64_t i) {
    const int64_t H = c->units, padded = rnn_padded(H);
    const real *in = y_at(c, i, 0), *forget = y_at(c, i, 1), *g = y_at(c, i, 2), *o = y_at(c, i, 3), *t = y_at(c, i, 4);
    const real *c0 = c->c0 + i * c->ld_state, *c1 = c->c1 + i * c->ld_state;
    real *dh = c->dh + i * padded, *dc = c->dc + i * padded, *d = c->tmp + i * padded, *d_gate = d + c->n * padded;
    kern.mul(H, dh, o, d);
    kern.act_grad(H, (int)c->attr->activation, c1, t, d, d);
    kern.add(H, d, dc, d);
    kern.mul(H, d, forget, dc);
    kern.mul(H, d, g, d_gate);
    act_grad(c, c->attr->recurrent_activation, i, 0, d_gate);
    kern.mul(H, d, c0, d_gate);
    act_grad(c, c->attr->recurrent_activation, i, 1, d_gate);
    kern.mul(H, d, in, d_gate);
    act_grad(c, c->attr->activation, i, 2, d_gate);
    kern.mul(H, dh, t, d_gate);
    act_grad(c, c->attr->recurrent_activation, i, 3, d_gate);
    memset(dh, 0, (size_t)H * sizeof *dh);
}

/* Gates z and candidate; dh becomes its direct part dh*z. */
static void gru_backward(const rnn_cell *c, int64_t i) {
    const int64_t H = c->units, padded = rnn_padded(H);
    const real *z = y_at(c, i, 0), *candidate = y_at(c, i, 2), *h0 = c->h0 + i * c->ld_state;
    real *dh = c->dh + i * padded, *d = c->tmp + i * padded, *d_candidate = d + c->n * padded;
    for (int64_t j = 0; j < H; j++) {
        d[j] = dh[j] * (h0[j] - candidate[j]);
        d_candidate[j] = dh[j] * (1 - z[j]);
        dh[j] = dh[j] * z[j];
    }
    act_grad(c, c->attr->recurrent_activation, i, 0, d);
    act_grad(c, c->attr->activation, i, 2, d_candidate);
}

static void clear_gradients(const rnn_cell *c, int64_t i) {
    const size_t bytes = (size_t)c->units * sizeof(real);
    for (int64_t g = 0; g < gates_of(c); g++) memset(z_at(c, i, g), 0, bytes);
    if (c->attr->kind == RNN_GRU && c->attr->reset_after) memset(y_at(c, i, 3), 0, bytes);
}

/* dh += (operand · U_g^T) under the gate's mask, for the rows that take part */
static void add_product(const rnn_cell *c, int64_t gate, const real *operand, int64_t ld) {
    const int64_t H = c->units, padded = rnn_padded(H);
    real *d = c->tmp + 2 * c->n * padded;
    product(c, gate, true, operand, ld, false, NULL, d, padded);
    for (int64_t i = 0; i < c->n; i++) {
        if (c->masked[i]) continue;
        if (c->masks) kern.mul(H, d + i * padded, mask_at(c, i, gate), d + i * padded);
        kern.add(H, c->dh + i * padded, d + i * padded, c->dh + i * padded);
    }
}

/* The candidate's way back: through r*q where q = h·U_h + b, or through q = r*h where z_h holds q·U_h. */
static void gru_candidate_backward(const rnn_cell *c) {
    const int64_t H = c->units, padded = rnn_padded(H);
    int64_t ld;
    const real *h = state_for(c, 2, &ld);
    real *dq = c->tmp + c->n * padded;
    if (!c->attr->reset_after) product(c, 2, true, z_at(c, 0, 2), c->ld_z, false, NULL, dq, padded);
    for (int64_t i = 0; i < c->n; i++) {
        real *r = y_at(c, i, 1), *q = y_at(c, i, 3), *d = c->tmp + i * padded, *dh = c->dh + i * padded;
        if (c->masked[i]) continue;
        if (c->attr->reset_after) {
            kern.mul(H, z_at(c, i, 2), q, d);
            kern.mul(H, z_at(c, i, 2), r, q);
        } else {
            kern.mul(H, dq + i * padded, h + i * ld, d);
            kern.mul(H, dq + i * padded, r, dq + i * padded);
            if (c->masks) kern.mul(H, dq + i * padded, mask_at(c, i, 2), dq + i * padded);
            kern.add(H, dh, dq + i * padded, dh);
        }
        act_grad(c, c->attr->recurrent_activation, i, 1, d);
    }
}

void rnn_cell_backward(const rnn_cell *c) {
    for (int64_t i = 0; i < c->n; i++) {
        if (c->masked[i])
            clear_gradients(c, i);
        else if (c->attr->kind == RNN_SIMPLE)
            simple_backward(c, i);
        else if (c->attr->kind == RNN_LSTM)
            lstm_backward(c, i);
        else
            gru_backward(c, i);
    }
    if (c->attr->kind == RNN_GRU) gru_candidate_backward(c);
    for (int64_t g = 0; g < gates_of(c); g++) {
        if (c->attr->kind == RNN_GRU && g == 2) {
            if (c->attr->reset_after) add_product(c, g, y_at(c, 0, 3), c->ld_y);
        } else {
            add_product(c, g, z_at(c, 0, g), c->ld_z);
        }
    }
}
