/* net_impl - what net.c and the layers share: how a net is kept, and what a layer must say about itself.
 *
 * A layer is recorded once (net_dense …: checks shapes, registers parameters, appends a `layer`) and built for each
 * batch size and mode (layer_def.build: composes ops). docs/add-a-layer.md walks through one. */
#ifndef SOUK_NN_NET_IMPL_H
#define SOUK_NN_NET_IMPL_H

#include "base/map.h"
#include "base/mem.h"
#include "nn/net.h"

typedef struct layer layer;
typedef struct builder builder;

/* Words of a kind of layer, and its ops. */
typedef struct layer_def {
    const char *word;  /* Keras' automatic name: "lstm", then "lstm_1" … */
    const char *title; /* Keras' class name, for net_describe */
    node_id (*build)(builder *b, const layer *l);
} layer_def;

struct layer {
    const layer_def *def;
    const char *name;
    int number; /* of an automatic name: 1 for "lstm_1"; 0 for "lstm" and for names that were given */
    int n_in;
    net_id in[GRAPH_MAX_IN];
    net_id out;
    int first_param, n_params;
    const void *attr; /* copy in the net's arena, or NULL */
};

/* An activation as recorded; the batch axis is left out. */
typedef struct net_value {
    dtype type;
    int rank;
    int64_t d[GRAPH_MAX_RANK];
    net_id mask; /* the embedding's output whose ids make the mask; 0: not masked */
    int layer;   /* number of the layer that made it */
} net_value;

typedef struct net_source { /* an input */
    net_id value;
    int64_t vocabulary; /* rows of the smallest embedding that reads it; -1: none does */
} net_source;

typedef struct net_head { /* an output */
    const char *name;
    net_id value;
    loss_attr loss;
    double weight;
    bool target_is_class;
} net_head;

struct net {
    arena arena;
    layer *layers;
    int n_layers;
    size_t layer_capacity;
    net_value *values; /* values[0] is invalid */
    int n_values;
    size_t value_capacity;
    param_def *params;
    int n_params;
    size_t param_capacity;
    net_source *inputs;
    int n_inputs;
    size_t input_capacity;
    map *names; /* of all layers; made with the first */
    net_head heads[16];
    int n_heads;
    souk_error err; /* the first mistake */
};

/* One replay onto a graph. */
struct builder {
    const net *n;
    graph *g;
    node_id *value;     /* [n_values] */
    node_id *logits;    /* [n_values] what a value was before its sigmoid or softmax; 0: no such thing */
    gemm_act *last_act; /* [n_values] that activation */
    node_id *mask;      /* [n_values] mask made by an embedding, recorded when first asked for */
    node_id *param;     /* [n_params] */
};

/* ---- recording ---- */
/* False after a mistake, and when x is not a recorded value of the wanted type. `word` names the layer in the message.
 */
bool net_usable(net *n, const char *word, net_id x, dtype type);
void net_fail(net *n, const char *layer_name, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Appends a layer with its inputs and a copy of attr; NULL after a mistake (a name used twice among them). Borrowed
 * until the next layer. Add its parameters next, then its value. */
layer *layer_new(net *n, const layer_def *def, const char *name, int n_in, const net_id *in, const void *attr,
                 size_t attr_size);
/* Parameter "layer/variable" of the layer added last. */
void layer_param(net *n, const char *variable, init_def init, int rank, const int64_t *d, const param_def *flags);
/* The layer's output; the value's number. */
net_id layer_value(net *n, dtype type, int rank, const int64_t *d, net_id mask);
static inline const net_value *net_at(const net *n, net_id x) { return &n->values[x]; }
int64_t net_row(const net_value *v);                          /* elements for each batch row */
const char *net_value_text(const net_value *v, char dst[96]); /* "[B,100,16]" */

/* ---- building ---- */
static inline node_id built(const builder *b, const layer *l, int i) { return b->value[l->in[i]]; }
static inline node_id built_param(const builder *b, const layer *l, int i) { return b->param[l->first_param + i]; }
node_id built_mask(builder *b, net_id x); /* mask of x, or 0 */
/* Applies an activation and remembers x as the logits of the layer's value. */
node_id built_activation(builder *b, const layer *l, node_id x, gemm_act act);

extern const layer_def layer_input, layer_softmax;
static inline param_def param_flags(bool table, bool bias_or_norm) {
    return (param_def){.trainable = true, .is_table = table, .is_bias_or_norm = bias_or_norm};
}

#endif
