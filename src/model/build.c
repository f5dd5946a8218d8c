/* build - from a spec and the shapes of fitted features to a net.
 *
 *   text, sequence   ids [B,T] -> the encoder's layers, which end in one row of numbers
 *   category         ids [B,1] -> embedding -> flatten
 *   number, binary   [B,1], passed through
 * joined in the order of the spec, then the combiner's layers, then for each output a dense layer with the activation
 * that belongs to its type: sigmoid (binary), softmax (category), none (number). The loss goes onto the logits
 * (nn/net.c).
 *
 * Invariant: the net is a function of spec and shapes, so that a model file need not store it. */
#include "model/build.h"

#include <string.h>

/* One layer of an encoder or combiner; fitted is the feature's, NULL in the combiner. */
static net_id apply(net *n, net_id x, const layer_config *c, const feature_shape *fitted) {
    switch (c->kind) {
    case LAYER_EMBEDDING: {
        int64_t rows = fitted ? fitted->vocabulary : 0;
        return net_embedding(n, c->name, x, rows, c->units > 0 ? c->units : build_embedding_width(rows), c->mask_zero);
    }
    case LAYER_DENSE: return net_dense(n, c->name, x, c->units, c->activation, c->use_bias);
    case LAYER_RNN: {
        rnn_attr a = c->rnn;
        if (c->units > 0) a.units = c->units;
        return c->bidirectional ? net_bidirectional(n, c->name, x, &a, c->use_bias, c->merge_mode)
                                : net_rnn(n, c->name, x, &a, c->use_bias);
    }
    case LAYER_CONV1D: return net_conv1d(n, c->name, x, c->units, c->kernel_size, &c->conv, c->activation, c->use_bias);
    case LAYER_POOL1D: return net_pool1d(n, c->name, x, &c->pool);
    case LAYER_GLOBAL_POOL: return net_global_pool(n, c->name, x, c->pool.average);
    case LAYER_LAYER_NORM: return net_layer_norm(n, c->name, x, c->epsilon);
    case LAYER_BATCH_NORM: return net_batch_norm(n, c->name, x, c->epsilon, c->momentum);
    case LAYER_DROPOUT: return net_dropout(n, c->name, x, c->rate);
    case LAYER_SPATIAL_DROPOUT: return net_spatial_dropout1d(n, c->name, x, c->rate);
    case LAYER_ACTIVATION: return net_activation(n, c->name, x, c->activation);
    case LAYER_FLATTEN: return net_flatten(n, c->name, x);
    }
    return 0;
}

static net_id encode(net *n, net_id x, const input_config *c, const feature_shape *fitted) {
    if (c->n_layers == 0 && fitted->is_ids)
        return net_flatten(
            n, NULL, net_embedding(n, NULL, x, fitted->vocabulary, build_embedding_width(fitted->vocabulary), false));
    for (int i = 0; i < c->n_layers; i++) x = apply(n, x, &c->layers[i], fitted);
    return x;
}

static void decode(net *n, net_id x, const output_config *c, const feature_shape *fitted) {
    bool classes = fitted->type == FEATURE_CATEGORY, binary = fitted->type == FEATURE_BINARY;
    net_id y = net_dense(n, NULL, x, classes ? fitted->vocabulary : 1, binary ? GEMM_SIGMOID : GEMM_LINEAR, true);
    if (classes) y = net_softmax(n, NULL, y);
    net_output(n, c->feature.name, y, &c->loss, c->loss_weight, classes);
}

souk_status model_build_net(net **out, const spec *s, const feature_shape *inputs, const feature_shape *outputs,
                            souk_error *err) {
    *out = NULL;
    net *n = net_new();
    net_id *encoded = mem_array((size_t)s->n_inputs + 1, sizeof *encoded);
    souk_status status = SOUK_OK;
    if (!n || !encoded) {
        status = err_nomem(err, "building the network");
        goto done;
    }
    /* Inputs first: a column may be called "embedding", and automatic names make way for it. */
    for (int i = 0; i < s->n_inputs; i++)
        encoded[i] = net_input(n, s->inputs[i].feature.name, inputs[i].is_ids ? DT_I32 : DT_REAL, 1, &inputs[i].width);
    for (int i = 0; i < s->n_inputs; i++) {
        encoded[i] = encode(n, encoded[i], &s->inputs[i], &inputs[i]);
        TRY_DONE(net_status(n, err));
        if (net_rank(n, encoded[i]) != 1) {
            status = err_set(err, SOUK_USAGE,
                             "input feature \"%s\": its encoder ends in a sequence: add a global pooling or flatten "
                             "layer, or leave out return_sequences",
                             s->inputs[i].feature.name);
            goto done;
        }
    }
    net_id x = net_concat(n, NULL, s->n_inputs, encoded);
    for (int i = 0; i < s->n_combiner; i++) x = apply(n, x, &s->combiner[i], NULL);
    for (int i = 0; i < s->n_outputs; i++) decode(n, x, &s->outputs[i], &outputs[i]);
    status = net_status(n, err);
done:
    mem_free(encoded);
    if (status == SOUK_OK)
        *out = n;
    else
        net_free(n);
    return status;
}
