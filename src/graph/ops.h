/* ops - the functions that layer code calls. Each records one node and returns it; 0 after a mistake (graph_status).
 * Shapes: B batch, T time, C channels, E embedding width, H units, V vocabulary, N inputs, M outputs. */
#ifndef SOUK_GRAPH_OPS_H
#define SOUK_GRAPH_OPS_H

#include "graph/graph.h"
#include "simd/gemm.h"

/* y[B,…,M] = x[B,…,N] · w[N,M] + bias[M] (0: none). Keras' Dense kernel layout. */
node_id op_linear(graph *g, node_id x, node_id w, node_id bias);
/* Element-wise activation; the shape of x. */
node_id op_activation(graph *g, node_id x, gemm_act act);
node_id op_softmax(graph *g, node_id x); /* over the last axis */
/* y[B,T,E] = table[V,E][ids[B,T]]; ids outside [0,V) are a run-time error caught by the caller, who bounds them. */
node_id op_embedding(graph *g, node_id table, node_id ids);
/* mask[B,T] i32: 1 where ids != 0 */
node_id op_mask_nonzero(graph *g, node_id ids);
node_id op_add(graph *g, node_id a, node_id b); /* same shape */
node_id op_mul(graph *g, node_id a, node_id b);
node_id op_scale(graph *g, node_id x, real factor);
node_id op_concat(graph *g, int n, const node_id *x);                                 /* along the last axis */
node_id op_reshape(graph *g, node_id x, int rank, const int64_t *dims_without_batch); /* one -1 allowed */
node_id op_slice(graph *g, node_id x, int axis, int64_t begin, int64_t length);       /* axis >= 1 */
/* Inverted dropout with rate p; identity when not training. noise_axis_time: one mask for all T steps (Keras' noise
 * shape [B,1,C]). */
node_id op_dropout(graph *g, node_id x, real p, bool same_over_time);

/* Recurrent ops over a whole sequence. x[B,T,E], mask[B,T] i32 or 0. Keras' layouts:
 *   LSTM: w[E,4H], u[H,4H], bias[4H] or 0, gate blocks i,f,c,o.
 *   GRU: w[E,3H], u[H,3H], blocks z,r,h; bias[2,3H] with reset_after, [3H] without, or 0.
 *   simple RNN: w[E,H], u[H,H], bias[H] or 0.
 * Output [B,H] (the last step) or [B,T,H] with return_sequences. At a masked step the state is carried over and the
 * output repeats the previous one (zeros before the first), or is zero with zero_output_for_mask. */
typedef enum rnn_kind { RNN_SIMPLE, RNN_LSTM, RNN_GRU } rnn_kind;
typedef struct rnn_attr {
    rnn_kind kind;
    int64_t units; /* H */
    bool return_sequences;
    bool go_backwards; /* consumes x and mask from the last step to the first; outputs in that order, as Keras */
    bool reset_after;  /* GRU */
    bool zero_output_for_mask;
    gemm_act activation;           /* default tanh */
    gemm_act recurrent_activation; /* default sigmoid */
    real dropout; /* on x: one mask per sequence, shared by all steps (and by gates unless recurrent_dropout > 0) */
    real recurrent_dropout; /* on h: one mask per sequence and gate */
} rnn_attr;
node_id op_rnn(graph *g, const rnn_attr *attr, node_id x, node_id w, node_id u, node_id bias, node_id mask);
node_id op_reverse(graph *g, node_id x); /* [B,T,C] along T */

/* y[B,T',M] = conv over time of x[B,T,C] with w[K,C,M], bias[M] or 0. */
typedef enum conv_pad { PAD_VALID, PAD_SAME, PAD_CAUSAL } conv_pad;
typedef struct conv1d_attr {
    int64_t stride, dilation;
    conv_pad padding;
} conv1d_attr;
node_id op_conv1d(graph *g, const conv1d_attr *attr, node_id x, node_id w, node_id bias);
typedef struct pool1d_attr {
    int64_t size, stride;
    conv_pad padding;
    bool average;
} pool1d_attr;
node_id op_pool1d(graph *g, const pool1d_attr *attr, node_id x);
/* [B,T,C] -> [B,C]; with a mask the average counts valid steps only (Keras); max ignores the mask, as Keras does */
node_id op_global_pool(graph *g, node_id x, node_id mask, bool average);

/* Normalise the last axis; gain, bias [C]. Keras' eps is 1e-3. */
node_id op_layer_norm(graph *g, node_id x, node_id gain, node_id bias, real eps);
/* Per channel (last axis) over all other axes; moving mean and variance are non-trainable parameters that a training
 * run updates: moving = moving * momentum + batch * (1 - momentum), with the biased batch variance as in Keras. */
node_id op_batch_norm(graph *g, node_id x, node_id gain, node_id bias, node_id moving_mean, node_id moving_var,
                      real eps, real momentum);

/* Losses: [B] per row (mean over the row's other axes, as Keras), on logits where the activation is fused in. */
typedef enum loss_kind {
    LOSS_SIGMOID_BCE, /* logits [B,M], target real [B,M] in [0,1] */
    LOSS_SOFTMAX_CE,  /* logits [B,K], target i32 [B] class numbers, or real [B,K] when the target node is real */
    LOSS_BCE,
    LOSS_CE, /* on probabilities: clipped to [1e-7, 1-1e-7] (Keras); CE renormalises rows first */
    LOSS_MSE,
    LOSS_MAE,
    LOSS_HUBER,
    LOSS_FOCAL, /* focal: binary, on logits */
    LOSS_POISSON
} loss_kind;
typedef struct loss_attr {
    loss_kind kind;
    real label_smoothing; /* default 0 */
    real delta;           /* Huber; default 1 */
    real gamma, alpha;    /* focal; default 2 and 0.25 (alpha < 0: no alpha balancing) */
} loss_attr;
node_id op_loss(graph *g, const loss_attr *attr, node_id prediction, node_id target);
/* scalar [1] = sum_b weight[b] * loss[b] / B, summed in double in row order; weight 0: all ones. Keras'
 * sum_over_batch_size. */
node_id op_mean_loss(graph *g, node_id loss, node_id weight);

#endif
