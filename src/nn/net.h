/* net - a network as a list of layers over named parameters. A layer is about forty lines that compose ops.
 *
 * Recording a net (net_dense, net_lstm …) checks shapes without a batch size and registers parameters; net_build
 * replays it onto a graph for one batch size and mode. Names, defaults and initialisers are Keras'
 * (reference/engine.md 2.2). The first mistake sticks. */
#ifndef SOUK_NN_NET_H
#define SOUK_NN_NET_H

#include "base/buf.h"
#include "graph/ops.h"

typedef int32_t net_id; /* an activation; 0: invalid. A mask travels with it as in Keras */
typedef struct net net;

typedef enum init_kind {
    INIT_ZEROS,
    INIT_ONES,
    INIT_CONSTANT,
    INIT_UNIFORM,
    INIT_NORMAL,
    INIT_GLOROT_UNIFORM,
    INIT_GLOROT_NORMAL,
    INIT_HE_UNIFORM,
    INIT_HE_NORMAL,
    INIT_LECUN_UNIFORM,
    INIT_LECUN_NORMAL,
    INIT_TRUNCATED_NORMAL,
    INIT_ORTHOGONAL,
    INIT_LSTM_BIAS /* zeros, ones in the forget block */
} init_kind;
typedef struct init_def {
    init_kind kind;
    double a, b;
} init_def; /* uniform: [a,b); normal: mean a, stddev b; constant a; orthogonal: gain a (0: 1) */

typedef struct param_def {
    const char *name; /* "lstm/recurrent_kernel": layer's name, then Keras' variable name; unique */
    int rank;
    int64_t d[GRAPH_MAX_RANK];
    init_def init;
    bool trainable;
    bool is_table;        /* embedding table: row-list gradients allowed */
    bool is_bias_or_norm; /* left out of weight decay on request */
} param_def;

net *net_new(void); /* NULL: out of memory */
void net_free(net *n);
souk_status net_status(const net *n, souk_error *err);

net_id net_input(net *n, const char *name, dtype type, int rank, const int64_t *dims_without_batch);
/* Every layer takes a name or NULL (then Keras' style: "lstm", "lstm_1" …). */
net_id net_embedding(net *n, const char *name, net_id ids, int64_t vocabulary, int64_t width, bool mask_zero);
net_id net_dense(net *n, const char *name, net_id x, int64_t units, gemm_act activation, bool use_bias);
net_id net_rnn(net *n, const char *name, net_id x, const rnn_attr *attr, bool use_bias);
/* merge: "concat" (default), "sum", "mul", "ave" */
net_id net_bidirectional(net *n, const char *name, net_id x, const rnn_attr *attr, bool use_bias, const char *merge);
net_id net_conv1d(net *n, const char *name, net_id x, int64_t filters, int64_t kernel_size, const conv1d_attr *attr,
                  gemm_act activation, bool use_bias);
net_id net_pool1d(net *n, const char *name, net_id x, const pool1d_attr *attr);
net_id net_global_pool(net *n, const char *name, net_id x, bool average);
net_id net_layer_norm(net *n, const char *name, net_id x, double epsilon);
net_id net_batch_norm(net *n, const char *name, net_id x, double epsilon, double momentum);
net_id net_dropout(net *n, const char *name, net_id x, double rate);
net_id net_spatial_dropout1d(net *n, const char *name, net_id x, double rate);
net_id net_activation(net *n, const char *name, net_id x, gemm_act activation);
net_id net_softmax(net *n, const char *name, net_id x);
net_id net_concat(net *n, const char *name, int count, const net_id *x);
net_id net_add(net *n, const char *name, net_id a, net_id b);
net_id net_reshape(net *n, const char *name, net_id x, int rank, const int64_t *dims_without_batch);
net_id net_flatten(net *n, const char *name, net_id x);
/* An output: `prediction` is what predict gives (probabilities, values). In training, a target input (real [B,M], or
 * i32 [B] for LOSS_SOFTMAX_CE and LOSS_CE with classes) and the loss are added; several outputs' losses are summed with
 * their weights. */
void net_output(net *n, const char *name, net_id prediction, const loss_attr *loss, double loss_weight,
                bool target_is_class);

int net_inputs(const net *n);
int net_outputs(const net *n);
const char *net_input_name(const net *n, int i);
bool net_input_is_ids(const net *n, int i);   /* i32, else real */
int64_t net_input_width(const net *n, int i); /* elements per row */
const char *net_output_name(const net *n, int i);
int64_t net_output_width(const net *n, int i);
int net_rank(const net *n, net_id x); /* axes of an activation beside the batch; 0 after a mistake */
int net_params(const net *n);
const param_def *net_param(const net *n, int i);
int64_t net_param_count(const net *n, bool trainable_only);
int net_find_param(const net *n, const char *name); /* -1: none */
/* Number of the input whose ids are looked up in table `param`; -1: not an embedding table. For opt_prepare. */
int net_table_input(const net *n, int param);
/* Ids of input i must lie in [0, this): rows of the smallest table that it is looked up in; -1: it feeds no table. */
int64_t net_input_vocabulary(const net *n, int i);

/* Records the net on a graph. Input slots: the net's inputs in order; when training, then one target per output, then
 * the sample weight [B] real. Outputs of the graph: the predictions in order. Parameters: slot i is net_param(i). */
souk_status net_build(const net *n, graph *g, souk_error *err);
/* The same with targets, weight and loss also where g is not for training: the loss as evaluation has it. */
souk_status net_build_loss(const net *n, graph *g, souk_error *err);
/* Initial values of parameter i (shape of net_param(i)), from Philox keyed by the seed and the parameter's number. */
souk_status net_init_param(const net *n, int i, uint64_t seed, real *values, souk_error *err);
/* Architecture as `inspect` prints it: layer, output shape, parameters, connected to. */
void net_describe(const net *n, buf *out);

#endif
