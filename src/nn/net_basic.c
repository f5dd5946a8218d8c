/* net_basic - layers without time or statistics: embedding, dense, dropout, activations, merging, reshaping.
 *
 * Each is a recording function and a build function of a few ops. Defaults and mask rules are Keras': dense, dropout
 * and activations pass a mask on; reshaping drops it; concatenation and addition keep it where all inputs carry the
 * same one and drop it where one carries none (Keras takes "or" of the masks: with an unmasked input nothing is
 * masked). Different masks are refused. */
#include <string.h>

#include "nn/net_impl.h"

static const init_def zeros = {.kind = INIT_ZEROS}, glorot_uniform = {.kind = INIT_GLOROT_UNIFORM};

/* ---- embedding: ids [B,T] -> [B,T,width] ---- */

static node_id build_embedding(builder *b, const layer *l) {
    return op_embedding(b->g, built_param(b, l, 0), built(b, l, 0));
}
static const layer_def layer_embedding = {"embedding", "Embedding", build_embedding};

net_id net_embedding(net *n, const char *name, net_id ids, int64_t vocabulary, int64_t width, bool mask_zero) {
    if (!net_usable(n, name ? name : "embedding", ids, DT_I32) ||
        !layer_new(n, &layer_embedding, name, 1, &ids, NULL, 0))
        return 0;
    net_value in = *net_at(n, ids);
    const char *self = n->layers[n->n_layers - 1].name;
    if (in.rank != 1) {
        char text[96];
        net_fail(n, self, "it wants ids of shape [B,T], not %s", net_value_text(&in, text));
        return 0;
    }
    int64_t table[2] = {vocabulary, width}, d[2] = {in.d[0], width};
    param_def flags = param_flags(true, false);
    layer_param(n, "embeddings", (init_def){INIT_UNIFORM, -0.05, 0.05}, 2, table, &flags);
    net_id id = layer_value(n, DT_REAL, 2, d, 0);
    if (id && mask_zero) n->values[id].mask = id;
    return id;
}

/* ---- dense: [B,…,N] -> [B,…,units] ---- */

typedef struct dense_attr {
    gemm_act activation;
    bool use_bias;
} dense_attr;

static node_id build_dense(builder *b, const layer *l) {
    const dense_attr *a = l->attr;
    node_id bias = a->use_bias ? built_param(b, l, 1) : 0;
    return built_activation(b, l, op_linear(b->g, built(b, l, 0), built_param(b, l, 0), bias), a->activation);
}

static const layer_def layer_dense = {"dense", "Dense", build_dense};

net_id net_dense(net *n, const char *name, net_id x, int64_t units, gemm_act activation, bool use_bias) {
    dense_attr a = {activation, use_bias};
    if (!net_usable(n, name ? name : "dense", x, DT_REAL) || !layer_new(n, &layer_dense, name, 1, &x, &a, sizeof a))
        return 0;
    net_value in = *net_at(n, x);
    if (in.rank < 1) {
        net_fail(n, n->layers[n->n_layers - 1].name, "its input has no axis beside the batch");
        return 0;
    }
    int64_t kernel[2] = {in.d[in.rank - 1], units};
    param_def weight = param_flags(false, false), bias = param_flags(false, true);
    layer_param(n, "kernel", glorot_uniform, 2, kernel, &weight);
    if (use_bias) layer_param(n, "bias", zeros, 1, &units, &bias);
    in.d[in.rank - 1] = units;
    return layer_value(n, DT_REAL, in.rank, in.d, in.mask);
}

/* ---- layers that keep the shape ---- */

static net_id keep_shape(net *n, const layer_def *def, const char *name, net_id x, const void *attr, size_t attr_size) {
    if (!net_usable(n, name ? name : def->word, x, DT_REAL) || !layer_new(n, def, name, 1, &x, attr, attr_size))
        return 0;
    net_value in = *net_at(n, x);
    return layer_value(n, DT_REAL, in.rank, in.d, in.mask);
}

static bool rate_valid(net *n, const char *word, double rate) {
    if (rate >= 0 && rate < 1) return true;
    net_fail(n, word, "a dropout rate must be at least 0 and below 1, not %g", rate);
    return false;
}

static node_id build_dropout(builder *b, const layer *l) {
    double rate = *(const double *)l->attr;
    return rate > 0 ? op_dropout(b->g, built(b, l, 0), (real)rate, false) : built(b, l, 0);
}

static const layer_def layer_dropout = {"dropout", "Dropout", build_dropout};

net_id net_dropout(net *n, const char *name, net_id x, double rate) {
    return rate_valid(n, name ? name : "dropout", rate) ? keep_shape(n, &layer_dropout, name, x, &rate, sizeof rate)
                                                        : 0;
}

/* One mask for all steps of a sequence: whole channels are dropped (Keras' noise shape [B,1,C]). */
static node_id build_spatial_dropout(builder *b, const layer *l) {
    double rate = *(const double *)l->attr;
    return rate > 0 ? op_dropout(b->g, built(b, l, 0), (real)rate, true) : built(b, l, 0);
}

static const layer_def layer_spatial_dropout = {"spatial_dropout1d", "SpatialDropout1D", build_spatial_dropout};

net_id net_spatial_dropout1d(net *n, const char *name, net_id x, double rate) {
    const char *word = name ? name : "spatial_dropout1d";
    if (!rate_valid(n, word, rate) || !net_usable(n, word, x, DT_REAL)) return 0;
    if (net_at(n, x)->rank != 2) {
        net_fail(n, word, "it wants a sequence [B,T,C]");
        return 0;
    }
    return keep_shape(n, &layer_spatial_dropout, name, x, &rate, sizeof rate);
}

static node_id build_activation(builder *b, const layer *l) {
    return built_activation(b, l, built(b, l, 0), *(const gemm_act *)l->attr);
}

static const layer_def layer_activation = {"activation", "Activation", build_activation};

net_id net_activation(net *n, const char *name, net_id x, gemm_act activation) {
    return keep_shape(n, &layer_activation, name, x, &activation, sizeof activation);
}

static node_id build_softmax(builder *b, const layer *l) {
    b->logits[l->out] = built(b, l, 0);
    return op_softmax(b->g, built(b, l, 0));
}

const layer_def layer_softmax = {"softmax", "Softmax", build_softmax};

net_id net_softmax(net *n, const char *name, net_id x) { return keep_shape(n, &layer_softmax, name, x, NULL, 0); }

/* ---- merging ---- */

/* The mask of several inputs merged; -1 where they carry different ones. */
static net_id merged_mask(const net *n, int count, const net_id *x) {
    net_id mask = net_at(n, x[0])->mask;
    bool differ = false;
    for (int i = 1; i < count; i++) {
        net_id other = net_at(n, x[i])->mask;
        if (!other || !mask)
            mask = 0;
        else if (other != mask)
            differ = true;
    }
    return mask && differ ? -1 : mask;
}

static net_id merged_value(net *n, int rank, const int64_t *d, int count, const net_id *x) {
    net_id mask = merged_mask(n, count, x);
    if (mask < 0) {
        net_fail(n, n->layers[n->n_layers - 1].name,
                 "its inputs are masked differently: merge them after their masks are used up");
        return 0;
    }
    return layer_value(n, DT_REAL, rank, d, mask);
}

static node_id build_concat(builder *b, const layer *l) {
    node_id x[GRAPH_MAX_IN];
    for (int i = 0; i < l->n_in; i++) x[i] = built(b, l, i);
    return op_concat(b->g, l->n_in, x);
}

static const layer_def layer_concat = {"concatenate", "Concatenate", build_concat};

/* One concat op takes GRAPH_MAX_IN inputs; more are concatenated in groups first, in order. */
static net_id concat_groups(net *n, const char *name, int count, const net_id *x) {
    net_id group[GRAPH_MAX_IN];
    int groups = 0, most = GRAPH_MAX_IN, each = (count + most - 1) / most;
    for (int at = 0; at < count; at += each) {
        int size = count - at < each ? count - at : each;
        group[groups++] = size == 1 ? x[at] : net_concat(n, NULL, size, x + at);
    }
    return net_concat(n, name, groups, group);
}

net_id net_concat(net *n, const char *name, int count, const net_id *x) {
    const char *word = name ? name : "concatenate";
    char a[96], c[96];
    if (count < 1) net_fail(n, word, "it needs at least one input");
    for (int i = 0; i < count; i++)
        if (!net_usable(n, word, x[i], DT_REAL)) return 0;
    if (n->err.code != SOUK_OK) return 0;
    if (count == 1) return x[0];
    net_value out = *net_at(n, x[0]);
    for (int i = 1; i < count; i++) {
        const net_value *v = net_at(n, x[i]);
        if (v->rank != out.rank || v->rank < 1 || memcmp(v->d, out.d, (size_t)(v->rank - 1) * sizeof *v->d) != 0) {
            net_fail(n, word, "its inputs %s and %s differ in more than the last axis",
                     net_value_text(net_at(n, x[0]), a), net_value_text(v, c));
            return 0;
        }
        if (__builtin_add_overflow(out.d[out.rank - 1], v->d[v->rank - 1], &out.d[out.rank - 1])) {
            net_fail(n, word, "its output would be too wide");
            return 0;
        }
    }
    if (count > GRAPH_MAX_IN) return concat_groups(n, name, count, x);
    if (!layer_new(n, &layer_concat, name, count, x, NULL, 0)) return 0;
    return merged_value(n, out.rank, out.d, count, x);
}

static node_id build_add(builder *b, const layer *l) { return op_add(b->g, built(b, l, 0), built(b, l, 1)); }
static const layer_def layer_add = {"add", "Add", build_add};

net_id net_add(net *n, const char *name, net_id a, net_id b) {
    const char *word = name ? name : "add";
    if (!net_usable(n, word, a, DT_REAL) || !net_usable(n, word, b, DT_REAL)) return 0;
    net_value x = *net_at(n, a), y = *net_at(n, b);
    net_id in[2] = {a, b};
    if (x.rank != y.rank || memcmp(x.d, y.d, (size_t)x.rank * sizeof *x.d) != 0) {
        char p[96], q[96];
        net_fail(n, word, "its inputs %s and %s have different shapes", net_value_text(&x, p), net_value_text(&y, q));
        return 0;
    }
    if (!layer_new(n, &layer_add, name, 2, in, NULL, 0)) return 0;
    return merged_value(n, x.rank, x.d, 2, in);
}

/* ---- reshaping ---- */

static node_id build_reshape(builder *b, const layer *l) {
    const net_value *v = net_at(b->n, l->out);
    return op_reshape(b->g, built(b, l, 0), v->rank, v->d);
}

static const layer_def layer_reshape = {"reshape", "Reshape", build_reshape},
                       layer_flatten = {"flatten", "Flatten", build_reshape};

static net_id reshape(net *n, const layer_def *def, const char *name, net_id x, int rank, const int64_t *d) {
    char text[96];
    if (!net_usable(n, name ? name : def->word, x, DT_REAL) || !layer_new(n, def, name, 1, &x, NULL, 0)) return 0;
    const char *self = n->layers[n->n_layers - 1].name;
    net_value in = *net_at(n, x), out = {.rank = rank};
    int64_t known = 1, open = -1, total = net_row(&in);
    for (int i = 0; i < rank && i < GRAPH_MAX_RANK - 1; i++) {
        out.d[i] = d[i];
        if (d[i] > 0 && !__builtin_mul_overflow(known, d[i], &known)) continue;
        if (d[i] != -1 || open >= 0) {
            net_fail(n, self, "the new shape may hold positive sizes and one -1");
            return 0;
        }
        open = i;
    }
    if (open >= 0 && total % known == 0) known *= out.d[open] = total / known;
    if (rank < 1 || rank >= GRAPH_MAX_RANK || known != total) {
        net_fail(n, self, "%s cannot be given the new shape: the number of elements differs",
                 net_value_text(&in, text));
        return 0;
    }
    return layer_value(n, DT_REAL, rank, out.d, 0);
}

net_id net_reshape(net *n, const char *name, net_id x, int rank, const int64_t *dims_without_batch) {
    return reshape(n, &layer_reshape, name, x, rank, dims_without_batch);
}

net_id net_flatten(net *n, const char *name, net_id x) {
    int64_t all = -1;
    return reshape(n, &layer_flatten, name, x, 1, &all);
}
