/* kern_rnn - one LSTM time step on register tiles; body file, included by each kern_<isa>.c.
 *
 * U is packed gate-interleaved by 16 units, so that the four gates of the same 16 units of a row are four vectors of
 * one tile: when the chain over k ends, the activations, c and h are computed on the accumulators and the
 * pre-activations never reach memory (the idea of oneDNN's post-product pass and of libxsmm's TPP, arXiv 2104.05755). A
 * tile is R rows x 4 gates forward and R rows x 2 unit blocks backward; R fits the register file of the instruction set
 * and changes no bit, because each output element is one chain of its own. Loops over time, masks and batches are the
 * caller's (graph/rnn_lstm.c).
 *
 * The gates need sigma(i), sigma(f), tanh(g), sigma(o): four reciprocals of 1 + exp(.), got from a single division (the
 * product of the four denominators is inverted and the others multiplied back); arguments are clamped to +-20, where
 * fp32 has saturated, so that the product stays below 6e34. */
#include "simd/rnn.h"

#ifdef __AVX512F__
enum { RNN_TILE_F = 4, RNN_TILE_B = 8 }; /* 16 accumulators of 32 registers */
#else
enum { RNN_TILE_F = 1, RNN_TILE_B = 2 }; /* a vf is two registers of 16 */
#endif

/* packed[(block*H + k)*64 + gate*16 + lane] = u[k][gate*H + block*16 + lane], zero beyond H */
static void kern_lstm_pack(int64_t units, const real *u, real *packed) {
    for (int64_t block = 0; block * 16 < units; block++) {
        const int width = units - block * 16 < 16 ? (int)(units - block * 16) : 16;
        for (int64_t k = 0; k < units; k++)
            for (int64_t gate = 0; gate < 4; gate++, packed += 16)
                vf_store(packed, vf_load_n(u + (k * 4 + gate) * units + block * 16, width));
    }
}

/* Pairs of unit blocks: packed[pair][(gate*H + k)][32], lane l of a pair being unit pair*32 + l; a last single block
 * has 16 lanes. Value: u[unit][gate*H + k], zero beyond H. */
static void kern_lstm_pack_t(int64_t units, const real *u, real *packed) {
    const int64_t padded = rnn_padded(units);
    for (int64_t first = 0; first < padded; first += 32) {
        const int64_t lanes = padded - first < 32 ? 16 : 32;
        for (int64_t lane = 0; lane < lanes; lane++) {
            const int64_t unit = first + lane;
            for (int64_t k = 0; k < 4 * units; k++)
                packed[k * lanes + lane] = unit < units ? u[unit * 4 * units + k] : (real)0;
        }
        packed += 4 * units * lanes;
    }
}

#ifdef SOUK_DOUBLE
static inline void rnn_gates(vf *i, vf *f, vf *g, vf *o) {
    *i = vf_sigmoid(*i);
    *f = vf_sigmoid(*f);
    *g = vf_tanh(*g);
    *o = vf_sigmoid(*o);
}
static inline vf rnn_tanh(vf x) { return vf_tanh(x); }
#else
/* Range reduction of exp(-x): -x = n ln2 - r with |r| <= ln2 / 2; 2^n is kept as integer bits. x is clamped; NaN
 * passes. */
static inline vf rnn_reduce(vf x, vi *power) {
    const vf magic = vf_set1(12582912.0f); /* 1.5 * 2^23: adding it rounds to an integer, left in the low bits */
    const vf y = vf_max(vf_set1(-20), vf_min(vf_set1(20), x));
    const vf shifted = vf_fnma(y, vf_set1(1.44269504f), magic);
    *power = vi_shl(vi_bits(shifted), 23);
    return vf_fma(vf_sub(shifted, magic), vf_set1(0.693147182f), y);
}

/* (exp(-r) - 1) / -r: minimax of degree 5, so that r times it has relative error 2e-8 near 0 too */
static inline vf rnn_poly(vf r) {
    vf q = vf_fma(vf_set1(-0.0013940699864178896f), r, vf_set1(0.008369503542780876f));
    q = vf_fma(q, r, vf_set1(-0.04166640341281891f));
    q = vf_fma(q, r, vf_set1(0.16666513681411743f));
    q = vf_fma(q, r, vf_set1(-0.5f));
    return vf_fma(q, r, vf_set1(1));
}

/* exp(-x) */
static inline vf rnn_exp(vf x) {
    vi power;
    const vf r = rnn_reduce(x, &power);
    return vf_bits(vi_add(vi_bits(vf_fnma(rnn_poly(r), r, vf_set1(1))), power));
}

/* 1 - exp(-x), without cancellation near 0 */
static inline vf rnn_one_minus_exp(vf x) {
    vi power;
    const vf r = rnn_reduce(x, &power);
    const vf s = vf_bits(vi_add(vi_bits(vf_set1(1)), power));
    return vf_fma(s, vf_mul(rnn_poly(r), r), vf_sub(vf_set1(1), s));
}

static inline void rnn_gates(vf *i, vf *f, vf *g, vf *o) {
    const vf one = vf_set1(1), two = vf_set1(2), m = rnn_one_minus_exp(vf_add(*g, *g));
    const vf di = vf_add(one, rnn_exp(*i)), df = vf_add(one, rnn_exp(*f)), dg = vf_sub(two, m),
             d_o = vf_add(one, rnn_exp(*o));
    const vf dif = vf_mul(di, df), dgo = vf_mul(dg, d_o);
    const vf inverse = vf_div(one, vf_mul(dif, dgo));
    const vf rif = vf_mul(inverse, dgo), rgo = vf_mul(inverse, dif); /* 1/(di*df), 1/(dg*do) */
    *i = vf_mul(rif, df);
    *f = vf_mul(rif, di);
    *g = vf_mul(vf_mul(rgo, d_o), m); /* tanh(x) = m / (2 - m), m = 1 - exp(-2x) */
    *o = vf_mul(rgo, dg);
}

static inline vf rnn_tanh(vf x) {
    const vf m = rnn_one_minus_exp(vf_add(x, x));
    return vf_div(m, vf_sub(vf_set1(2), m));
}
#endif

/* One tile of the forward step: rows first … first+R-1, units of one block. */
static inline __attribute__((always_inline)) void rnn_tile_forward(const kern_rnn_args *a, int64_t block, int64_t first,
                                                                   const int R) {
    const int64_t units = a->units, padded = rnn_padded(units), at = block * 16;
    const real *w = a->packed + block * units * 64;
    const real *h[RNN_TILE_F];
    vf z[RNN_TILE_F][4];
#pragma GCC unroll 8
    for (int r = 0; r < R; r++) {
        h[r] = a->h + a->before[first + r] * padded;
        const real *pre = a->pre + a->pre_row[first + r] * 4 * padded + at;
#pragma GCC unroll 4
        for (int gate = 0; gate < 4; gate++) z[r][gate] = vf_load(pre + gate * padded);
    }
    for (int64_t k = 0; k < units; k++, w += 64) {
        const vf w0 = vf_load(w), w1 = vf_load(w + 16), w2 = vf_load(w + 32), w3 = vf_load(w + 48);
#pragma GCC unroll 8
        for (int r = 0; r < R; r++) {
            const vf x = vf_set1(h[r][k]);
            z[r][0] = vf_fma(x, w0, z[r][0]);
            z[r][1] = vf_fma(x, w1, z[r][1]);
            z[r][2] = vf_fma(x, w2, z[r][2]);
            z[r][3] = vf_fma(x, w3, z[r][3]);
        }
    }
    /* In two stages, so that the rows' long dependency chains overlap: first gates and c of all rows, then tanh(c) and
     * h. */
#pragma GCC unroll 8
    for (int r = 0; r < R; r++) {
        vf i = z[r][0], f = z[r][1], g = z[r][2], o = z[r][3];
        rnn_gates(&i, &f, &g, &o);
        const vf c = vf_fma(f, vf_load(a->c + a->before[first + r] * padded + at), vf_mul(i, g));
        vf_store(a->c + a->after[first + r] * padded + at, c);
        if (a->gates) {
            real *saved = a->gates + a->before[first + r] * 4 * padded + at;
            vf_store(saved, i);
            vf_store(saved + padded, f);
            vf_store(saved + 2 * padded, g);
            vf_store(saved + 3 * padded, o);
        }
        z[r][0] = c;
        z[r][1] = o;
    }
#pragma GCC unroll 8
    for (int r = 0; r < R; r++) {
        const vf t = rnn_tanh(z[r][0]);
        vf_store(a->h + a->after[first + r] * padded + at, vf_mul(z[r][1], t));
        if (a->gates) vf_store(a->tanh_c + a->before[first + r] * padded + at, t);
    }
}

/* A function for each tile height, so that each gets the registers to itself. */
#define RNN_FORWARD(R)                                                                                            \
    static __attribute__((noinline)) void rnn_forward_##R(const kern_rnn_args *a, int64_t block, int64_t first) { \
        rnn_tile_forward(a, block, first, R);                                                                     \
    }
RNN_FORWARD(1)
#ifdef __AVX512F__
RNN_FORWARD(2)
RNN_FORWARD(3)
RNN_FORWARD(4)
#endif
#undef RNN_FORWARD

static void kern_lstm_forward(const kern_rnn_args *a) {
    for (int64_t block = 0; block * 16 < a->units; block++) {
        int64_t r = 0;
#ifdef __AVX512F__
        for (; r + 4 <= a->n; r += 4) rnn_forward_4(a, block, r);
        if (a->n - r == 3)
            rnn_forward_3(a, block, r);
        else if (a->n - r == 2)
            rnn_forward_2(a, block, r);
        else if (a->n - r == 1)
            rnn_forward_1(a, block, r);
#else
        for (; r < a->n; r++) rnn_forward_1(a, block, r);
#endif
    }
}

/* Gradients of the four pre-activations of one row, written over its saved gates; dc becomes the gradient of c before.
 */
static inline void rnn_row_backward(const kern_rnn_args *a, int64_t row) {
    const int64_t padded = rnn_padded(a->units);
    const vf one = vf_set1(1);
    real *gates = a->gates + a->before[row] * 4 * padded;
    real *dc = a->dc + a->grad_row[row] * padded;
    const real *dh = a->dh + a->grad_row[row] * padded;
    const real *tanh_c = a->tanh_c + a->before[row] * padded, *c = a->c + a->before[row] * padded;
    for (int64_t j = 0; j < padded; j += 16) {
        const vf i = vf_load(gates + j), f = vf_load(gates + padded + j);
        const vf g = vf_load(gates + 2 * padded + j), o = vf_load(gates + 3 * padded + j);
        const vf t = vf_load(tanh_c + j), up = vf_load(dh + j);
        const vf d = vf_fma(vf_mul(up, o), vf_fnma(t, t, one), vf_load(dc + j));
        vf_store(dc + j, vf_mul(d, f));
        vf_store(gates + j, vf_mul(vf_mul(d, g), vf_mul(i, vf_sub(one, i))));
        vf_store(gates + padded + j, vf_mul(vf_mul(d, vf_load(c + j)), vf_mul(f, vf_sub(one, f))));
        vf_store(gates + 2 * padded + j, vf_mul(vf_mul(d, i), vf_fnma(g, g, one)));
        vf_store(gates + 3 * padded + j, vf_mul(vf_mul(up, t), vf_mul(o, vf_sub(one, o))));
    }
}

/* dh[rows, 16*V units from `at`] = dG · U^T; w: the packed pair (or last single block) of these units. */
static inline __attribute__((always_inline)) void rnn_tile_backward(const kern_rnn_args *a, const real *w, int64_t at,
                                                                    int64_t first, const int R, const int V) {
    const int64_t units = a->units, padded = rnn_padded(units);
    const real *d[RNN_TILE_B];
    vf z[RNN_TILE_B][2];
#pragma GCC unroll 8
    for (int r = 0; r < R; r++) {
        d[r] = a->gates + a->before[first + r] * 4 * padded;
#pragma GCC unroll 2
        for (int v = 0; v < V; v++) z[r][v] = vf_set1(0);
    }
    for (int gate = 0; gate < 4; gate++) {
        for (int64_t k = 0; k < units; k++, w += 16 * V) {
            const vf w0 = vf_load(w), w1 = vf_load(w + (V - 1) * 16);
#pragma GCC unroll 8
            for (int r = 0; r < R; r++) {
                const vf x = vf_set1(d[r][k]);
                z[r][0] = vf_fma(x, w0, z[r][0]);
                if (V > 1) z[r][1] = vf_fma(x, w1, z[r][1]);
            }
        }
#pragma GCC unroll 8
        for (int r = 0; r < R; r++) d[r] += padded;
    }
#pragma GCC unroll 8
    for (int r = 0; r < R; r++) {
        real *dh = a->dh + a->grad_row[first + r] * padded + at;
#pragma GCC unroll 2
        for (int v = 0; v < V; v++) vf_store(dh + v * 16, z[r][v]);
    }
}

typedef void rnn_backward_fn(const kern_rnn_args *a, const real *w, int64_t at, int64_t first);
#define RNN_BACKWARD(R, V)                                                                                          \
    static __attribute__((noinline)) void rnn_backward_##R##_##V(const kern_rnn_args *a, const real *w, int64_t at, \
                                                                 int64_t first) {                                   \
        rnn_tile_backward(a, w, at, first, R, V);                                                                   \
    }
RNN_BACKWARD(1, 1)
RNN_BACKWARD(2, 1)
RNN_BACKWARD(1, 2)
RNN_BACKWARD(2, 2)
#ifdef __AVX512F__
RNN_BACKWARD(3, 1)
RNN_BACKWARD(4, 1)
RNN_BACKWARD(5, 1)
RNN_BACKWARD(6, 1)
RNN_BACKWARD(7, 1)
RNN_BACKWARD(8, 1)
RNN_BACKWARD(3, 2)
RNN_BACKWARD(4, 2)
RNN_BACKWARD(5, 2)
RNN_BACKWARD(6, 2)
RNN_BACKWARD(7, 2)
RNN_BACKWARD(8, 2)
#endif
#undef RNN_BACKWARD

static rnn_backward_fn *const rnn_backward_tiles[2][RNN_TILE_B] = {
#ifdef __AVX512F__
    {rnn_backward_1_1, rnn_backward_2_1, rnn_backward_3_1, rnn_backward_4_1, rnn_backward_5_1, rnn_backward_6_1,
     rnn_backward_7_1, rnn_backward_8_1},
    {rnn_backward_1_2, rnn_backward_2_2, rnn_backward_3_2, rnn_backward_4_2, rnn_backward_5_2, rnn_backward_6_2,
     rnn_backward_7_2, rnn_backward_8_2},
#else
    {rnn_backward_1_1, rnn_backward_2_1},
    {rnn_backward_1_2, rnn_backward_2_2},
#endif
};

static void kern_lstm_backward(const kern_rnn_args *a) {
    const int64_t padded = rnn_padded(a->units);
    for (int64_t r = 0; r < a->n; r++) rnn_row_backward(a, r);
    for (int64_t at = 0; at < padded; at += 32) {
        rnn_backward_fn *const *run = rnn_backward_tiles[at + 32 <= padded];
        const real *w = a->packed + at * 4 * a->units;
        int64_t r = 0;
        for (; r + RNN_TILE_B <= a->n; r += RNN_TILE_B) run[RNN_TILE_B - 1](a, w, at, r);
        if (r < a->n) run[a->n - r - 1](a, w, at, r);
    }
}

/* 64 columns at a time stay in registers while the list is walked. */
static void kern_sum_rows(int64_t n, const int32_t *rows, int64_t width, int64_t ld, const real *x, real *y) {
    int64_t j = 0;
    for (; j + 64 <= width; j += 64) {
        vf s0 = vf_zero(), s1 = s0, s2 = s0, s3 = s0;
        for (int64_t i = 0; i < n; i++) {
            const real *row = x + rows[i] * ld + j;
            s0 = vf_add(s0, vf_load(row));
            s1 = vf_add(s1, vf_load(row + 16));
            s2 = vf_add(s2, vf_load(row + 32));
            s3 = vf_add(s3, vf_load(row + 48));
        }
        vf_store(y + j, s0);
        vf_store(y + j + 16, s1);
        vf_store(y + j + 32, s2);
        vf_store(y + j + 48, s3);
    }
    for (; j < width; j += 16) {
        const int lanes = width - j < 16 ? (int)(width - j) : 16;
        vf s = vf_zero();
        for (int64_t i = 0; i < n; i++) s = vf_add(s, vf_load_n(x + rows[i] * ld + j, lanes));
        vf_store_n(y + j, s, lanes);
    }
}
