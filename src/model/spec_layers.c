/* spec_layers - encoders and combiners: lists of layers in Keras' words, and the one-word encoders that expand to them.
 *
 *   lstm, gru, rnn   embedding, recurrent layer (return_sequences: and the average over steps)
 *   cnn              embedding, conv1d, maximum over steps (Kim 2014, one width)
 *   embed            embedding, average over steps (fastText's classifier); for a category: embedding, flatten
 *   passthrough      nothing: a number or a binary goes to the combiner as it is
 *
 * Whether the list fits together is checked here as far as it can be without data: what reads a sequence must get one,
 * and the last layer must give one row of numbers. Sizes are the business of model.c. */
#include <string.h>

#include "base/num.h"
#include "model/spec_impl.h"

/* ---- types and defaults ---- */

static const struct {
    layer_kind kind;
    rnn_kind rnn;
    bool average;
} parts[] = {
    [TYPE_EMBEDDING] = {LAYER_EMBEDDING, RNN_SIMPLE, false},
    [TYPE_DENSE] = {LAYER_DENSE, RNN_SIMPLE, false},
    [TYPE_SIMPLE_RNN] = {LAYER_RNN, RNN_SIMPLE, false},
    [TYPE_LSTM] = {LAYER_RNN, RNN_LSTM, false},
    [TYPE_GRU] = {LAYER_RNN, RNN_GRU, false},
    [TYPE_CONV1D] = {LAYER_CONV1D, RNN_SIMPLE, false},
    [TYPE_MAX_POOLING1D] = {LAYER_POOL1D, RNN_SIMPLE, false},
    [TYPE_AVERAGE_POOLING1D] = {LAYER_POOL1D, RNN_SIMPLE, true},
    [TYPE_GLOBAL_MAX_POOLING1D] = {LAYER_GLOBAL_POOL, RNN_SIMPLE, false},
    [TYPE_GLOBAL_AVERAGE_POOLING1D] = {LAYER_GLOBAL_POOL, RNN_SIMPLE, true},
    [TYPE_LAYER_NORMALIZATION] = {LAYER_LAYER_NORM, RNN_SIMPLE, false},
    [TYPE_BATCH_NORMALIZATION] = {LAYER_BATCH_NORM, RNN_SIMPLE, false},
    [TYPE_DROPOUT] = {LAYER_DROPOUT, RNN_SIMPLE, false},
    [TYPE_SPATIAL_DROPOUT1D] = {LAYER_SPATIAL_DROPOUT, RNN_SIMPLE, false},
    [TYPE_ACTIVATION] = {LAYER_ACTIVATION, RNN_SIMPLE, false},
    [TYPE_FLATTEN] = {LAYER_FLATTEN, RNN_SIMPLE, false},
};
enum { PARTS = sizeof parts / sizeof *parts };

layer_config spec_layer_default(layer_type type) {
    return (layer_config){
        .kind = parts[type].kind,
        .use_bias = true,
        .rnn = {.kind = parts[type].rnn,
                .reset_after = true,
                .activation = GEMM_TANH,
                .recurrent_activation = GEMM_SIGMOID},
        .merge_mode = "concat",
        .conv = {.stride = 1, .dilation = 1, .padding = PAD_VALID},
        .pool = {.size = 2, .stride = 2, .padding = PAD_VALID, .average = parts[type].average},
        .epsilon = 1e-3,
        .momentum = .99,
    };
}

layer_type spec_layer_type(const layer_config *layer) {
    for (int t = 0; t < PARTS; t++) {
        if (parts[t].kind != layer->kind) continue;
        bool same = layer->kind == LAYER_RNN ? parts[t].rnn == layer->rnn.kind
                    : layer->kind == LAYER_POOL1D || layer->kind == LAYER_GLOBAL_POOL
                        ? parts[t].average == layer->pool.average
                        : true;
        if (same) return (layer_type)t;
    }
    return TYPE_DENSE;
}

encoder_args spec_encoder_default(encoder_type type) {
    return (encoder_args){.type = type,
                          .embedding_size = 16,
                          .units = 32,
                          .filters = 64,
                          .kernel_size = 3,
                          .reset_after = true,
                          .activation = type == ENCODER_CNN ? GEMM_RELU : GEMM_TANH};
}

encoder_type spec_encoder_for(feature_type type) {
    if (type == FEATURE_TEXT || type == FEATURE_SEQUENCE) return ENCODER_LSTM;
    return type == FEATURE_CATEGORY ? ENCODER_EMBED : ENCODER_PASSTHROUGH;
}

/* ---- words into layers, and back ---- */

static layer_config recurrent_layer(const encoder_args *a) {
    layer_config l = spec_layer_default(a->type == ENCODER_LSTM  ? TYPE_LSTM
                                        : a->type == ENCODER_GRU ? TYPE_GRU
                                                                 : TYPE_SIMPLE_RNN);
    l.units = l.rnn.units = a->units;
    l.rnn.return_sequences = a->return_sequences;
    l.rnn.activation = a->activation;
    l.rnn.reset_after = a->reset_after;
    l.rnn.dropout = (real)a->dropout;
    l.rnn.recurrent_dropout = (real)a->recurrent_dropout;
    l.bidirectional = a->bidirectional;
    return l;
}

int spec_encoder_expand(const encoder_args *a, feature_type type, layer_config *layers) {
    int n = 0;
    if (a->type == ENCODER_PASSTHROUGH || a->type == ENCODER_SEQUENTIAL) return 0;
    layers[n] = spec_layer_default(TYPE_EMBEDDING);
    layers[n].mask_zero = a->mask_zero;
    layers[n++].units = a->embedding_size;
    bool dropout = a->dropout > 0;
    switch (a->type) {
    case ENCODER_LSTM:
    case ENCODER_GRU:
    case ENCODER_RNN:
        layers[n++] = recurrent_layer(a);
        if (a->return_sequences) layers[n++] = spec_layer_default(TYPE_GLOBAL_AVERAGE_POOLING1D);
        dropout = false; /* it is the recurrent layer's own */
        break;
    case ENCODER_CNN:
        layers[n] = spec_layer_default(TYPE_CONV1D);
        layers[n].units = a->filters;
        layers[n].kernel_size = a->kernel_size;
        layers[n++].activation = a->activation;
        layers[n++] = spec_layer_default(TYPE_GLOBAL_MAX_POOLING1D);
        break;
    case ENCODER_EMBED:
        layers[n++] = spec_layer_default(type == FEATURE_CATEGORY ? TYPE_FLATTEN : TYPE_GLOBAL_AVERAGE_POOLING1D);
        break;
    case ENCODER_SEQUENTIAL:
    case ENCODER_PASSTHROUGH: break;
    }
    if (dropout) {
        layers[n] = spec_layer_default(TYPE_DROPOUT);
        layers[n++].rate = a->dropout;
    }
    return n;
}

static bool same_layers(const layer_config *a, int n, const layer_config *b, int m) {
    bool same = n == m;
    for (int i = 0; i < n && same; i++) {
        layer_type type = spec_layer_type(&a[i]);
        const char *word = spec_choice_word(spec_row_find(SECTION_LAYER, "type", NULL)->choices, (int)type);
        same = type == spec_layer_type(&b[i]) && spec_rows_equal(SECTION_LAYER, word, &a[i], &b[i]);
    }
    return same;
}

/* The shortest decimal of a float as a double: .2f gives .2, not .20000000298. */
static double widen(real x) {
    char text[32];
    double v = 0;
    num_parse_double(text, num_format_float(text, (float)x), &v);
    return v;
}

/* Reads the arguments off the layers, expands them again and compares: what no word says exactly differs there. */
bool spec_encoder_word(const input_config *in, encoder_args *args) {
    layer_config expanded[SPEC_MAX_LAYERS];
    const layer_config *l = in->layers;
    if (in->n_layers == 0) {
        *args = spec_encoder_default(ENCODER_PASSTHROUGH);
        return true;
    }
    if (in->n_layers < 2 || l[0].kind != LAYER_EMBEDDING) return false;
    encoder_type type = l[1].kind == LAYER_CONV1D   ? ENCODER_CNN
                        : l[1].kind != LAYER_RNN    ? ENCODER_EMBED
                        : l[1].rnn.kind == RNN_LSTM ? ENCODER_LSTM
                        : l[1].rnn.kind == RNN_GRU  ? ENCODER_GRU
                                                    : ENCODER_RNN;
    encoder_args a = spec_encoder_default(type);
    a.embedding_size = l[0].units;
    a.mask_zero = l[0].mask_zero;
    if (l[1].kind == LAYER_RNN) {
        a.units = l[1].units;
        a.return_sequences = l[1].rnn.return_sequences;
        a.activation = l[1].rnn.activation;
        a.reset_after = l[1].rnn.reset_after;
        a.dropout = widen(l[1].rnn.dropout);
        a.recurrent_dropout = widen(l[1].rnn.recurrent_dropout);
        a.bidirectional = l[1].bidirectional;
    } else {
        if (type == ENCODER_CNN) {
            a.filters = l[1].units;
            a.kernel_size = l[1].kernel_size;
            a.activation = l[1].activation;
        }
        if (l[in->n_layers - 1].kind == LAYER_DROPOUT) a.dropout = l[in->n_layers - 1].rate;
    }
    *args = a;
    return same_layers(l, in->n_layers, expanded, spec_encoder_expand(&a, in->feature.type, expanded));
}

/* ---- reading ---- */

static souk_status read_layer(const spec_reader *r, const yaml_value *v, const char *where, layer_config *out) {
    int type;
    const char *word;
    TRY(spec_select(r, v, SECTION_LAYER, where, -1, &type, &word));
    *out = spec_layer_default((layer_type)type);
    out->pool.stride = 0; /* none: pool_size */
    TRY(spec_read_rows(r, v, SECTION_LAYER, word, where, out));
    if (out->pool.stride == 0) out->pool.stride = out->pool.size;
    out->rnn.units = out->units;
    if (out->conv.stride > 1 && out->conv.dilation > 1) { /* Keras refuses the pair too */
        return yaml_fault(r->err, v->origin, v->line, v->column, "%s: strides and dilation_rate cannot both be over 1",
                          where);
    }
    return SOUK_OK;
}

/* What flows between layers: index numbers, a sequence [T,C], or one row of numbers [C]. */
typedef enum flow { FLOW_IDS, FLOW_SEQUENCE, FLOW_ROW } flow;

static bool reads_sequence(layer_kind k) {
    return k == LAYER_RNN || k == LAYER_CONV1D || k == LAYER_POOL1D || k == LAYER_GLOBAL_POOL ||
           k == LAYER_SPATIAL_DROPOUT;
}

static souk_status check_flow(const spec_reader *r, const yaml_value *v, const char *where, const layer_config *l,
                              flow *state) {
    const char *fault = NULL;
    if (l->kind == LAYER_EMBEDDING && *state != FLOW_IDS) {
        fault = "an embedding reads index numbers: it comes first, and only for text, sequence and category";
    } else if (l->kind != LAYER_EMBEDDING && *state == FLOW_IDS) {
        fault = "the first layer for text, sequence and category is an embedding";
    } else if (reads_sequence(l->kind) && *state == FLOW_ROW) {
        fault = "this layer reads a sequence, and what comes before gives one row of numbers (a recurrent layer there "
                "needs return_sequences: true)";
    }
    if (fault) return yaml_fault(r->err, v->origin, v->line, v->column, "%s: %s", where, fault);
    if (l->kind == LAYER_EMBEDDING) *state = FLOW_SEQUENCE;
    if (l->kind == LAYER_FLATTEN || l->kind == LAYER_GLOBAL_POOL || (l->kind == LAYER_RNN && !l->rnn.return_sequences))
        *state = FLOW_ROW;
    return SOUK_OK;
}

static souk_status read_layers(const spec_reader *r, const yaml_value *v, const char *where, flow state,
                               layer_config **out, int *n) {
    *n = 0;
    *out = NULL;
    if (!v || v->kind == YAML_NULL) return SOUK_OK;
    if (v->kind != YAML_LIST) return spec_wrong_type(r, v, where, "", "a list of layers");
    if (v->n > SPEC_MAX_LAYERS)
        return yaml_fault(r->err, v->origin, v->line, v->column, "%s: more than 64 layers", where);
    *out = arena_array(r->arena, v->n, sizeof **out);
    if (!*out) return err_nomem(r->err, "reading the model file");
    for (size_t i = 0; i < v->n; i++) {
        const char *path = arena_printf(r->arena, "%s[%zu]", where, i);
        if (!path) return err_nomem(r->err, "reading the model file");
        TRY(read_layer(r, v->entry[i].value, path, &(*out)[i]));
        TRY(check_flow(r, v->entry[i].value, path, &(*out)[i], &state));
    }
    *n = (int)v->n;
    if (state == FLOW_ROW || *n == 0) return SOUK_OK;
    return yaml_fault(r->err, v->origin, v->line, v->column,
                      "%s: the last layer gives a sequence, and one row of numbers is needed: end with "
                      "global_average_pooling1d, global_max_pooling1d, flatten or a recurrent layer",
                      where);
}

static souk_status check_encoder_type(const spec_reader *r, const yaml_value *v, const char *where,
                                      feature_type feature, encoder_type type, const char *word) {
    bool ids = feature == FEATURE_TEXT || feature == FEATURE_SEQUENCE || feature == FEATURE_CATEGORY;
    bool fits = type == ENCODER_SEQUENTIAL ||
                (ids ? type != ENCODER_PASSTHROUGH && (feature != FEATURE_CATEGORY || type == ENCODER_EMBED)
                     : type == ENCODER_PASSTHROUGH);
    if (fits) return SOUK_OK;
    return yaml_fault(r->err, v->origin, v->line, v->column, "%s: %s does not fit a %s feature: use %s or sequential",
                      where, word, feature_type_name(feature),
                      feature == FEATURE_CATEGORY ? "embed"
                      : ids                       ? "lstm, gru, rnn, cnn, embed"
                                                  : "passthrough");
}

souk_status spec_read_encoder(const spec_reader *r, const yaml_value *v, const char *where, input_config *in) {
    int type;
    const char *word;
    feature_type feature = in->feature.type;
    TRY(spec_select(r, v, SECTION_ENCODER, where, (int)spec_encoder_for(feature), &type, &word));
    encoder_args args = spec_encoder_default((encoder_type)type);
    if (v && v->kind == YAML_MAP) TRY(check_encoder_type(r, v, where, feature, (encoder_type)type, word));
    TRY(spec_read_rows(r, v, SECTION_ENCODER, word, where, &args));
    if (type == ENCODER_SEQUENTIAL) {
        const yaml_value *layers = yaml_get(v, "layers");
        const char *path = arena_printf(r->arena, "%s.layers", where);
        if (!path) return err_nomem(r->err, "reading the model file");
        if (!layers || layers->kind != YAML_LIST || layers->n == 0) {
            return yaml_fault(r->err, v->origin, v->line, v->column, "%s: a sequential encoder needs a list of layers",
                              where);
        }
        bool row = feature == FEATURE_NUMBER || feature == FEATURE_BINARY;
        return read_layers(r, layers, path, row ? FLOW_ROW : FLOW_IDS, &in->layers, &in->n_layers);
    }
    layer_config expanded[SPEC_MAX_LAYERS];
    in->n_layers = spec_encoder_expand(&args, feature, expanded);
    if (in->n_layers == 0) return SOUK_OK;
    in->layers = arena_array(r->arena, (size_t)in->n_layers, sizeof *in->layers);
    if (!in->layers) return err_nomem(r->err, "reading the model file");
    memcpy(in->layers, expanded, (size_t)in->n_layers * sizeof *in->layers);
    return SOUK_OK;
}

souk_status spec_read_combiner(const spec_reader *r, const yaml_value *v, spec *s) {
    int type;
    const char *word;
    TRY(spec_select(r, v, SECTION_COMBINER, "combiner", 0, &type, &word));
    TRY(spec_check_keys(r, v, SECTION_COMBINER, word, "combiner"));
    return read_layers(r, yaml_get(v, "layers"), "combiner.layers", FLOW_ROW, &s->combiner, &s->n_combiner);
}
