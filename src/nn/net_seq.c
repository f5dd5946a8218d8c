/* net_seq - layers over sequences [B,T,C] and norms: recurrent, bidirectional, convolution, pooling, layer and batch
 * normalisation.
 *
 * Layouts, names, initialisers and mask rules are Keras' (reference/engine.md 2.2). A recurrent layer consumes the mask
 * and passes it on only when it returns sequences; bidirectional forces zero outputs at masked steps then. Convolution
 * and window pooling drop the mask, the global average uses it, the global maximum ignores it. Batch normalisation of a
 * masked sequence is refused, because its statistics would have to leave out the masked steps, as Keras' do. */
#include <string.h>

#include "nn/net_impl.h"

static const init_def zeros = {.kind = INIT_ZEROS}, ones = {.kind = INIT_ONES},
                      glorot_uniform = {.kind = INIT_GLOROT_UNIFORM};

/* x when it is a sequence [B,T,C], else a message. */
static bool is_sequence(net *n, const char *word, net_id x) {
    char text[96];
    if (!net_usable(n, word, x, DT_REAL)) return false;
    if (net_at(n, x)->rank == 2) return true;
    net_fail(n, word, "it wants a sequence [B,T,C], not %s%s", net_value_text(net_at(n, x), text),
             net_at(n, x)->rank == 1 ? ": the layer before it needs return_sequences" : "");
    return false;
}

/* ---- recurrent ---- */

typedef struct recurrent_attr {
    rnn_attr rnn;
    bool use_bias;
    enum merge { MERGE_NONE, MERGE_CONCAT, MERGE_SUM, MERGE_MUL, MERGE_AVE } merge;
} recurrent_attr;

static int64_t gates_of(rnn_kind kind) { return kind == RNN_LSTM ? 4 : kind == RNN_GRU ? 3 : 1; }

static const char *const rnn_word[] = {"simple_rnn", "lstm", "gru"};

static bool rnn_valid(net *n, const char *word, const rnn_attr *a) {
    if (a->units <= 0 || a->units > INT32_MAX)
        net_fail(n, word, "units must be a positive number, not %lld", (long long)a->units);
    else if (!(a->dropout >= 0 && a->dropout < 1) || !(a->recurrent_dropout >= 0 && a->recurrent_dropout < 1))
        net_fail(n, word, "dropout and recurrent_dropout must be at least 0 and below 1");
    return n->err.code == SOUK_OK;
}

/* kernel [E, gates H], recurrent_kernel [H, gates H], bias; prefix "" or "forward_lstm/". */
static void rnn_params(net *n, const char *prefix, int64_t width, const rnn_attr *a, bool use_bias) {
    int64_t gates = gates_of(a->kind), kernel[2] = {width, gates * a->units},
            recurrent[2] = {a->units, gates * a->units};
    int64_t bias[2] = {2, gates * a->units};
    bool two = a->kind == RNN_GRU && a->reset_after; /* the input's row and the recurrent row */
    param_def weight = param_flags(false, false), plain = param_flags(false, true);
    char name[64];
    struct {
        const char *word;
        init_def init;
        int rank;
        const int64_t *d;
        const param_def *flags;
    } v[] = {
        {"kernel", glorot_uniform, 2, kernel, &weight},
        {"recurrent_kernel", {.kind = INIT_ORTHOGONAL}, 2, recurrent, &weight},
        {"bias", a->kind == RNN_LSTM ? (init_def){.kind = INIT_LSTM_BIAS} : zeros, two ? 2 : 1, two ? bias : bias + 1,
         &plain},
    };
    for (int i = 0; i < (use_bias ? 3 : 2); i++) {
        size_t length = strlen(prefix), word = strlen(v[i].word);
        memcpy(name, prefix, length);
        memcpy(name + length, v[i].word, word + 1);
        layer_param(n, name, v[i].init, v[i].rank, v[i].d, v[i].flags);
    }
}

static node_id build_direction(builder *b, const layer *l, const rnn_attr *a, bool use_bias, int first) {
    node_id bias = use_bias ? built_param(b, l, first + 2) : 0;
    return op_rnn(b->g, a, built(b, l, 0), built_param(b, l, first), built_param(b, l, first + 1), bias,
                  built_mask(b, l->in[0]));
}

static node_id build_rnn(builder *b, const layer *l) {
    const recurrent_attr *a = l->attr;
    return build_direction(b, l, &a->rnn, a->use_bias, 0);
}

static const layer_def layer_rnn[] = {
    {"simple_rnn", "SimpleRNN", build_rnn}, {"lstm", "LSTM", build_rnn}, {"gru", "GRU", build_rnn}};

net_id net_rnn(net *n, const char *name, net_id x, const rnn_attr *attr, bool use_bias) {
    recurrent_attr a = {.rnn = *attr, .use_bias = use_bias};
    const char *word = name ? name : rnn_word[attr->kind];
    if (!is_sequence(n, word, x) || !rnn_valid(n, word, attr) ||
        !layer_new(n, &layer_rnn[attr->kind], name, 1, &x, &a, sizeof a))
        return 0;
    net_value in = *net_at(n, x);
    rnn_params(n, "", in.d[1], attr, use_bias);
    int64_t d[2] = {in.d[0], attr->units};
    return attr->return_sequences ? layer_value(n, DT_REAL, 2, d, in.mask) : layer_value(n, DT_REAL, 1, d + 1, 0);
}

static node_id build_bidirectional(builder *b, const layer *l) {
    const recurrent_attr *a = l->attr;
    rnn_attr backward = a->rnn;
    backward.go_backwards = !backward.go_backwards;
    node_id y[2];
    y[0] = build_direction(b, l, &a->rnn, a->use_bias, 0);
    y[1] = build_direction(b, l, &backward, a->use_bias, a->use_bias ? 3 : 2);
    if (backward.return_sequences) y[1] = op_reverse(b->g, y[1]);
    switch (a->merge) {
    case MERGE_SUM: return op_add(b->g, y[0], y[1]);
    case MERGE_MUL: return op_mul(b->g, y[0], y[1]);
    case MERGE_AVE: return op_scale(b->g, op_add(b->g, y[0], y[1]), (real)0.5);
    default: return op_concat(b->g, 2, y);
    }
}

static const layer_def layer_bidirectional = {"bidirectional", "Bidirectional", build_bidirectional};

net_id net_bidirectional(net *n, const char *name, net_id x, const rnn_attr *attr, bool use_bias, const char *merge) {
    static const char *const modes[] = {"concat", "sum", "mul", "ave"};
    static const char *const prefix[][2] = {{"forward_simple_rnn/", "backward_simple_rnn/"},
                                            {"forward_lstm/", "backward_lstm/"},
                                            {"forward_gru/", "backward_gru/"}};
    recurrent_attr a = {.rnn = *attr, .use_bias = use_bias, .merge = MERGE_NONE};
    a.rnn.zero_output_for_mask = attr->return_sequences; /* as Keras forces it */
    const char *word = name ? name : "bidirectional";
    if (!is_sequence(n, word, x) || !rnn_valid(n, word, attr)) return 0;
    for (int i = 0; i < 4; i++)
        if (strcmp(merge ? merge : "concat", modes[i]) == 0) a.merge = (enum merge)(MERGE_CONCAT + i);
    if (a.merge == MERGE_NONE) {
        const char *near = err_nearest(merge, modes, 4);
        net_fail(n, word, "merge mode \"%s\" is not one of concat, sum, mul, ave%s%s%s", merge,
                 near ? ": did you mean \"" : "", near ? near : "", near ? "\"?" : "");
        return 0;
    }
    if (!layer_new(n, &layer_bidirectional, name, 1, &x, &a, sizeof a)) return 0;
    net_value in = *net_at(n, x);
    for (int i = 0; i < 2; i++) rnn_params(n, prefix[attr->kind][i], in.d[1], attr, use_bias);
    int64_t d[2] = {in.d[0], a.merge == MERGE_CONCAT ? 2 * attr->units : attr->units};
    return attr->return_sequences ? layer_value(n, DT_REAL, 2, d, in.mask) : layer_value(n, DT_REAL, 1, d + 1, 0);
}

/* ---- convolution and pooling over time ---- */

/* Steps that a window of `size` (dilated) gives over `steps`; 0 or less: it does not fit. As TensorFlow counts them. */
static int64_t window_steps(int64_t steps, int64_t size, int64_t stride, int64_t dilation, conv_pad padding) {
    if (padding != PAD_VALID) return (steps + stride - 1) / stride;
    int64_t reach = (size - 1) * dilation + 1;
    return steps < reach ? 0 : (steps - reach) / stride + 1;
}

static bool window_valid(net *n, const char *word, int64_t steps, int64_t size, int64_t stride, int64_t dilation,
                         conv_pad padding) {
    if (size <= 0 || stride <= 0 || dilation <= 0 || size > INT32_MAX || stride > INT32_MAX || dilation > INT32_MAX) {
        net_fail(n, word, "window, stride and dilation must be positive");
        return false;
    }
    if (window_steps(steps, size, stride, dilation, padding) > 0) return true;
    net_fail(n, word, "a window of %lld steps does not fit into a sequence of %lld: shorten it, or pad with \"same\"",
             (long long)((size - 1) * dilation + 1), (long long)steps);
    return false;
}

typedef struct conv_layer_attr {
    conv1d_attr conv;
    gemm_act activation;
    bool use_bias;
} conv_layer_attr;

static node_id build_conv1d(builder *b, const layer *l) {
    const conv_layer_attr *a = l->attr;
    node_id bias = a->use_bias ? built_param(b, l, 1) : 0;
    return built_activation(b, l, op_conv1d(b->g, &a->conv, built(b, l, 0), built_param(b, l, 0), bias), a->activation);
}

static const layer_def layer_conv1d = {"conv1d", "Conv1D", build_conv1d};

net_id net_conv1d(net *n, const char *name, net_id x, int64_t filters, int64_t kernel_size, const conv1d_attr *attr,
                  gemm_act activation, bool use_bias) {
    conv_layer_attr a = {.conv = *attr, .activation = activation, .use_bias = use_bias};
    const char *word = name ? name : "conv1d";
    if (!is_sequence(n, word, x)) return 0;
    net_value in = *net_at(n, x);
    if (!window_valid(n, word, in.d[0], kernel_size, attr->stride, attr->dilation, attr->padding)) return 0;
    if (!layer_new(n, &layer_conv1d, name, 1, &x, &a, sizeof a)) return 0;
    int64_t kernel[3] = {kernel_size, in.d[1], filters};
    int64_t d[2] = {window_steps(in.d[0], kernel_size, attr->stride, attr->dilation, attr->padding), filters};
    param_def weight = param_flags(false, false), bias = param_flags(false, true);
    layer_param(n, "kernel", glorot_uniform, 3, kernel, &weight);
    if (use_bias) layer_param(n, "bias", zeros, 1, &filters, &bias);
    return layer_value(n, DT_REAL, 2, d, 0);
}

static node_id build_pool1d(builder *b, const layer *l) { return op_pool1d(b->g, l->attr, built(b, l, 0)); }
static const layer_def layer_pool1d[] = {{"max_pooling1d", "MaxPooling1D", build_pool1d},
                                         {"average_pooling1d", "AveragePooling1D", build_pool1d}};

net_id net_pool1d(net *n, const char *name, net_id x, const pool1d_attr *attr) {
    const layer_def *def = &layer_pool1d[attr->average];
    pool1d_attr a = *attr;
    if (a.stride == 0) a.stride = a.size; /* Keras' default */
    const char *word = name ? name : def->word;
    if (!is_sequence(n, word, x)) return 0;
    net_value in = *net_at(n, x);
    if (!window_valid(n, word, in.d[0], a.size, a.stride, 1, a.padding) ||
        !layer_new(n, def, name, 1, &x, &a, sizeof a))
        return 0;
    int64_t d[2] = {window_steps(in.d[0], a.size, a.stride, 1, a.padding), in.d[1]};
    return layer_value(n, DT_REAL, 2, d, 0);
}

static node_id build_global_pool(builder *b, const layer *l) {
    bool average = *(const bool *)l->attr;
    return op_global_pool(b->g, built(b, l, 0), average ? built_mask(b, l->in[0]) : 0, average);
}

static const layer_def layer_global_pool[] = {
    {"global_max_pooling1d", "GlobalMaxPooling1D", build_global_pool},
    {"global_average_pooling1d", "GlobalAveragePooling1D", build_global_pool}};

net_id net_global_pool(net *n, const char *name, net_id x, bool average) {
    const layer_def *def = &layer_global_pool[average];
    if (!is_sequence(n, name ? name : def->word, x) || !layer_new(n, def, name, 1, &x, &average, sizeof average))
        return 0;
    int64_t channels = net_at(n, x)->d[1];
    return layer_value(n, DT_REAL, 1, &channels, 0);
}

/* ---- norms over the last axis ---- */

typedef struct norm_attr {
    double epsilon, momentum;
} norm_attr;

static node_id build_layer_norm(builder *b, const layer *l) {
    const norm_attr *a = l->attr;
    return op_layer_norm(b->g, built(b, l, 0), built_param(b, l, 0), built_param(b, l, 1), (real)a->epsilon);
}

static node_id build_batch_norm(builder *b, const layer *l) {
    const norm_attr *a = l->attr;
    return op_batch_norm(b->g, built(b, l, 0), built_param(b, l, 0), built_param(b, l, 1), built_param(b, l, 2),
                         built_param(b, l, 3), (real)a->epsilon, (real)a->momentum);
}

static const layer_def layer_layer_norm = {"layer_normalization", "LayerNormalization", build_layer_norm};
static const layer_def layer_batch_norm = {"batch_normalization", "BatchNormalization", build_batch_norm};

static net_id norm(net *n, const layer_def *def, const char *name, net_id x, const norm_attr *a, bool moving) {
    const char *word = name ? name : def->word;
    if (!net_usable(n, word, x, DT_REAL)) return 0;
    net_value in = *net_at(n, x);
    if (in.rank < 1 || !(a->epsilon > 0) || !(a->momentum >= 0 && a->momentum <= 1)) {
        net_fail(n, word,
                 in.rank < 1 ? "its input has no axis beside the batch"
                             : "epsilon must be positive, and momentum between 0 and 1");
        return 0;
    }
    if (moving && in.mask) {
        net_fail(n, word,
                 "its input is a masked sequence, whose masked steps its statistics would have to leave out: use layer "
                 "normalisation, or put "
                 "it behind the recurrent or pooling layer");
        return 0;
    }
    if (!layer_new(n, def, name, 1, &x, a, sizeof *a)) return 0;
    int64_t channels = in.d[in.rank - 1];
    param_def trained = param_flags(false, true), kept = trained;
    kept.trainable = false;
    layer_param(n, "gamma", ones, 1, &channels, &trained);
    layer_param(n, "beta", zeros, 1, &channels, &trained);
    if (moving) layer_param(n, "moving_mean", zeros, 1, &channels, &kept);
    if (moving) layer_param(n, "moving_variance", ones, 1, &channels, &kept);
    return layer_value(n, DT_REAL, in.rank, in.d, in.mask);
}

net_id net_layer_norm(net *n, const char *name, net_id x, double epsilon) {
    return norm(n, &layer_layer_norm, name, x, &(norm_attr){epsilon, 0}, false);
}

net_id net_batch_norm(net *n, const char *name, net_id x, double epsilon, double momentum) {
    return norm(n, &layer_batch_norm, name, x, &(norm_attr){epsilon, momentum}, true);
}
