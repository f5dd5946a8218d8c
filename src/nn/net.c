/* net - recording a network and replaying it onto a graph.
 *
 * Layer functions (net_basic.c, net_seq.c) check shapes with the batch axis left out, register parameters under Keras'
 * names and append a layer. net_build walks the layers in that order for one batch size and mode, and composes ops.
 * Nothing is computed here.
 *
 * Losses are put on logits: where a prediction comes straight from a sigmoid or softmax, its cross-entropy is recorded
 * on what went into it, as Keras' TensorFlow backend recovers it (reference/engine.md 2.3).
 *
 * Invariants: a value's number is larger than those of its layer's inputs; parameters are numbered in recording order,
 * which is the order of slots on the graph and of keys of the initialisers; the first mistake sticks and later calls do
 * nothing. */
#include "nn/net.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "nn/init.h"
#include "nn/net_impl.h"

net *net_new(void) {
    net *n = mem_calloc(1, sizeof *n);
    if (n) arena_init(&n->arena);
    return n;
}

void net_free(net *n) {
    if (!n) return;
    arena_clear(&n->arena);
    mem_free(n->layers);
    mem_free(n->values);
    mem_free(n->params);
    mem_free(n->inputs);
    map_free(n->names);
    mem_free(n);
}

souk_status net_status(const net *n, souk_error *err) {
    if (n->err.code == SOUK_OK) return SOUK_OK;
    return err_set(err, n->err.code, "%s", n->err.message);
}

void net_fail(net *n, const char *layer_name, const char *format, ...) {
    char what[800];
    va_list ap;
    va_start(ap, format);
    vsnprintf(what, sizeof what, format, ap);
    va_end(ap);
    err_set(&n->err, SOUK_USAGE, "layer %s: %s", layer_name, what);
}

/* ---- recording ---- */

bool net_usable(net *n, const char *word, net_id x, dtype type) {
    if (n->err.code != SOUK_OK) return false;
    if (x <= 0 || x >= n->n_values) {
        net_fail(n, word, "its input is not a layer of this network");
        return false;
    }
    if (net_at(n, x)->type != type) {
        net_fail(n, word,
                 type == DT_I32 ? "its input must be integer ids, not the numbers of another layer"
                                : "its input is integer ids: put an embedding before it");
        return false;
    }
    return true;
}

static bool name_taken(const net *n, const char *name) { return map_find(n->names, name, strlen(name)) >= 0; }

/* Keras: "lstm", "lstm_1", "lstm_2" …, skipping what is taken. The search starts behind the last layer of the kind, so
 * that a table of thousands of columns takes no time. */
static const char *automatic_name(net *n, const layer_def *def, int *number) {
    const char *name = arena_strdup(&n->arena, def->word);
    int i = n->n_layers - 1;
    while (i >= 0 && (n->layers[i].def != def || n->layers[i].number == 0)) i--;
    *number = i < 0 ? 0 : n->layers[i].number;
    while (name && name_taken(n, name)) name = arena_printf(&n->arena, "%s_%d", def->word, ++*number);
    return name;
}

layer *layer_new(net *n, const layer_def *def, const char *name, int n_in, const net_id *in, const void *attr,
                 size_t attr_size) {
    if (n->err.code != SOUK_OK) return NULL;
    assert(n_in <= GRAPH_MAX_IN);
    if (!n->names && !(n->names = map_new())) {
        err_nomem(&n->err, "recording a layer");
        return NULL;
    }
    if (name && name_taken(n, name)) {
        net_fail(n, name, "another layer has this name already: names must differ, or be left out");
        return NULL;
    }
    layer l = {.def = def, .n_in = n_in, .first_param = n->n_params};
    l.name = name ? arena_strdup(&n->arena, name) : automatic_name(n, def, &l.number);
    for (int i = 0; i < n_in; i++) l.in[i] = in[i];
    void *copy = attr_size > 0 ? arena_alloc(&n->arena, attr_size) : NULL;
    if (copy) memcpy(copy, attr, attr_size);
    l.attr = copy;
    if (!l.name || (attr_size > 0 && !copy) || map_put(n->names, l.name, strlen(l.name), NULL) < 0 ||
        !mem_grow(&n->layers, &n->layer_capacity, (size_t)n->n_layers, sizeof *n->layers)) {
        err_nomem(&n->err, "recording a layer");
        return NULL;
    }
    n->layers[n->n_layers] = l;
    return &n->layers[n->n_layers++];
}

/* Every shape must be addressable in bytes, whatever the batch multiplies later. */
static bool dims_fit(int rank, const int64_t *d) {
    size_t bytes = sizeof(double);
    bool fits = rank >= 0 && rank < GRAPH_MAX_RANK;
    for (int i = 0; fits && i < rank; i++)
        fits = d[i] > 0 && size_mul(bytes, (size_t)d[i], &bytes) && bytes <= (SIZE_MAX >> 16);
    return fits;
}

/* Number of the input whose ids a layer reads, or -1. */
static int input_of(const net *n, const layer *l) {
    if (l->n_in == 0) return -1;
    const layer *from = &n->layers[net_at(n, l->in[0])->layer];
    return from->def == &layer_input ? *(const int32_t *)from->attr : -1;
}

void layer_param(net *n, const char *variable, init_def init, int rank, const int64_t *d, const param_def *flags) {
    if (n->err.code != SOUK_OK) return;
    layer *l = &n->layers[n->n_layers - 1];
    if (!dims_fit(rank, d)) {
        net_fail(n, l->name, "its %s would be too large", variable);
        return;
    }
    param_def p = *flags;
    p.name = arena_printf(&n->arena, "%s/%s", l->name, variable);
    p.rank = rank;
    memcpy(p.d, d, (size_t)rank * sizeof *d);
    p.init = init;
    if (!p.name || !mem_grow(&n->params, &n->param_capacity, (size_t)n->n_params, sizeof *n->params)) {
        err_nomem(&n->err, "recording a parameter");
        return;
    }
    n->params[n->n_params++] = p;
    l->n_params++;
    net_source *source = p.is_table && input_of(n, l) >= 0 ? &n->inputs[input_of(n, l)] : NULL;
    if (source && (source->vocabulary < 0 || d[0] < source->vocabulary)) source->vocabulary = d[0];
}

net_id layer_value(net *n, dtype type, int rank, const int64_t *d, net_id mask) {
    if (n->err.code != SOUK_OK) return 0;
    layer *l = &n->layers[n->n_layers - 1];
    if (!dims_fit(rank, d)) {
        net_fail(n, l->name, "its output has a dimension that is not positive, too many dimensions, or is too large");
        return 0;
    }
    for (;;) { /* the first call makes the invalid value 0 */
        if (!mem_grow(&n->values, &n->value_capacity, (size_t)n->n_values, sizeof *n->values)) {
            err_nomem(&n->err, "recording a layer");
            return 0;
        }
        net_value *v = &n->values[n->n_values];
        memset(v, 0, sizeof *v);
        if (n->n_values++ == 0) continue;
        *v = (net_value){.type = type, .rank = rank, .mask = mask, .layer = n->n_layers - 1};
        memcpy(v->d, d, (size_t)rank * sizeof *d);
        l->out = n->n_values - 1;
        return l->out;
    }
}

int64_t net_row(const net_value *v) {
    int64_t n = 1;
    for (int i = 0; i < v->rank; i++) n *= v->d[i];
    return n;
}

const char *net_value_text(const net_value *v, char dst[96]) {
    size_t at = (size_t)snprintf(dst, 96, "[B");
    for (int i = 0; i < v->rank && at < 72; i++) at += (size_t)snprintf(dst + at, 96 - at, ",%lld", (long long)v->d[i]);
    snprintf(dst + at, 96 - at, "]");
    return dst;
}

/* ---- inputs and outputs ---- */

static node_id build_input(builder *b, const layer *l) {
    const net_value *v = net_at(b->n, l->out);
    const int32_t *slot = l->attr;
    return graph_input(b->g, *slot, v->type, v->rank, v->d);
}

const layer_def layer_input = {"input_layer", "InputLayer", build_input};

net_id net_input(net *n, const char *name, dtype type, int rank, const int64_t *dims_without_batch) {
    int32_t slot = n->n_inputs;
    if (!layer_new(n, &layer_input, name, 0, NULL, &slot, sizeof slot)) return 0;
    if (!mem_grow(&n->inputs, &n->input_capacity, (size_t)n->n_inputs, sizeof *n->inputs)) {
        err_nomem(&n->err, "recording an input");
        return 0;
    }
    net_id id = layer_value(n, type, rank, dims_without_batch, 0);
    if (id) n->inputs[n->n_inputs++] = (net_source){id, -1};
    return id;
}

void net_output(net *n, const char *name, net_id prediction, const loss_attr *loss, double loss_weight,
                bool target_is_class) {
    char text[96];
    if (!net_usable(n, name ? name : "output", prediction, DT_REAL)) return;
    const net_value *v = net_at(n, prediction);
    const char *layer_name = n->layers[v->layer].name;
    int most = (int)(sizeof n->heads / sizeof *n->heads);
    if (n->n_heads == most) {
        net_fail(n, layer_name, "more than %d outputs", most);
    } else if (v->rank != 1) {
        net_fail(n, layer_name, "an output must be one row of numbers, not %s: flatten or pool it first",
                 net_value_text(v, text));
    } else if (target_is_class && loss->kind != LOSS_SOFTMAX_CE && loss->kind != LOSS_CE) {
        net_fail(n, layer_name, "class numbers as targets need a categorical cross-entropy");
    } else {
        const char *copy = arena_strdup(&n->arena, name ? name : layer_name);
        if (copy)
            n->heads[n->n_heads++] = (net_head){copy, prediction, *loss, loss_weight, target_is_class};
        else
            err_nomem(&n->err, "recording an output");
    }
}

/* ---- building ---- */

node_id built_mask(builder *b, net_id x) {
    net_id owner = net_at(b->n, x)->mask;
    if (!owner) return 0;
    if (!b->mask[owner]) {
        const layer *embedding = &b->n->layers[net_at(b->n, owner)->layer];
        b->mask[owner] = op_mask_nonzero(b->g, built(b, embedding, 0));
    }
    return b->mask[owner];
}

node_id built_activation(builder *b, const layer *l, node_id x, gemm_act act) {
    if (act == GEMM_LINEAR) return x;
    b->logits[l->out] = x;
    b->last_act[l->out] = act;
    return op_activation(b->g, x, act);
}

/* The loss as it is recorded: on logits where the activation that belongs to it made the prediction. */
static node_id build_loss(builder *b, const net_head *h, node_id target) {
    loss_attr attr = h->loss;
    node_id x = b->value[h->value], logits = b->logits[h->value];
    bool softmax = b->n->layers[net_at(b->n, h->value)->layer].def == &layer_softmax;
    bool sigmoid = logits && !softmax && b->last_act[h->value] == GEMM_SIGMOID;
    bool binary = attr.kind == LOSS_BCE || attr.kind == LOSS_SIGMOID_BCE,
         classes = attr.kind == LOSS_CE || attr.kind == LOSS_SOFTMAX_CE;
    if (sigmoid && (binary || attr.kind == LOSS_FOCAL)) {
        if (binary) attr.kind = LOSS_SIGMOID_BCE;
        x = logits;
    } else if (softmax && classes) {
        attr.kind = LOSS_SOFTMAX_CE;
        x = logits;
    }
    return op_loss(b->g, &attr, x, target);
}

/* Targets, sample weight and the weighted sum of the outputs' mean losses. */
static void build_losses(builder *b) {
    const net *n = b->n;
    graph *g = b->g;
    int32_t slot = n->n_inputs;
    node_id target[16], weight, total = 0;
    for (int i = 0; i < n->n_heads; i++) {
        const net_head *h = &n->heads[i];
        int64_t width = net_at(n, h->value)->d[0];
        graph_scope(g, h->name);
        target[i] =
            h->target_is_class ? graph_input(g, slot++, DT_I32, 0, NULL) : graph_input(g, slot++, DT_REAL, 1, &width);
    }
    weight = graph_input(g, slot, DT_REAL, 0, NULL);
    for (int i = 0; i < n->n_heads; i++) {
        graph_scope(g, n->heads[i].name);
        node_id loss = op_mean_loss(g, build_loss(b, &n->heads[i], target[i]), weight);
        if (n->heads[i].weight != 1) loss = op_scale(g, loss, (real)n->heads[i].weight);
        total = i ? op_add(g, total, loss) : loss;
    }
    graph_loss(g, total);
}

static souk_status build(const net *n, graph *g, bool with_loss, souk_error *err) {
    TRY(net_status(n, err));
    if (n->n_heads == 0) return err_set(err, SOUK_USAGE, "a network needs at least one output");
    arena scratch;
    arena_init(&scratch);
    size_t values = (size_t)n->n_values;
    builder b = {.n = n, .g = g};
    b.value = arena_array(&scratch, values, sizeof *b.value);
    b.logits = arena_array(&scratch, values, sizeof *b.logits);
    b.last_act = arena_array(&scratch, values, sizeof *b.last_act);
    b.mask = arena_array(&scratch, values, sizeof *b.mask);
    b.param = arena_array(&scratch, (size_t)n->n_params + 1, sizeof *b.param);
    souk_status status = SOUK_OK;
    if (!b.value || !b.logits || !b.last_act || !b.mask || !b.param) {
        status = err_nomem(err, "building a network");
        goto done;
    }
    for (int i = 0; i < n->n_layers; i++) {
        const layer *l = &n->layers[i];
        graph_scope(g, l->name);
        for (int k = l->first_param; k < l->first_param + l->n_params; k++)
            b.param[k] =
                graph_param(g, k, n->params[k].rank, n->params[k].d, n->params[k].trainable, n->params[k].name);
        b.value[l->out] = l->def->build(&b, l);
    }
    for (int i = 0; i < n->n_heads; i++) graph_output(g, b.value[n->heads[i].value]);
    if (with_loss) build_losses(&b);
    status = graph_status(g, err);
done:
    arena_clear(&scratch);
    return status;
}

souk_status net_build(const net *n, graph *g, souk_error *err) { return build(n, g, g->training, err); }
souk_status net_build_loss(const net *n, graph *g, souk_error *err) { return build(n, g, true, err); }

/* ---- asking ---- */

int net_inputs(const net *n) { return n->n_inputs; }
int net_outputs(const net *n) { return n->n_heads; }
const char *net_input_name(const net *n, int i) { return n->layers[net_at(n, n->inputs[i].value)->layer].name; }
bool net_input_is_ids(const net *n, int i) { return net_at(n, n->inputs[i].value)->type == DT_I32; }

int64_t net_input_width(const net *n, int i) { return net_row(net_at(n, n->inputs[i].value)); }

const char *net_output_name(const net *n, int i) { return n->heads[i].name; }
int64_t net_output_width(const net *n, int i) { return net_at(n, n->heads[i].value)->d[0]; }
int net_rank(const net *n, net_id x) {
    return n->err.code == SOUK_OK && x > 0 && x < n->n_values ? net_at(n, x)->rank : 0;
}
int net_params(const net *n) { return n->n_params; }
const param_def *net_param(const net *n, int i) { return &n->params[i]; }

static int64_t param_size(const param_def *p) {
    shape s = shape_make(p->rank, p->d);
    return shape_count(&s);
}

int64_t net_param_count(const net *n, bool trainable_only) {
    int64_t total = 0;
    for (int i = 0; i < n->n_params; i++)
        if (n->params[i].trainable || !trainable_only) total += param_size(&n->params[i]);
    return total;
}

int net_find_param(const net *n, const char *name) {
    for (int i = 0; i < n->n_params; i++)
        if (strcmp(n->params[i].name, name) == 0) return i;
    return -1;
}

int net_table_input(const net *n, int param) {
    int low = 0, high = n->n_layers - 1; /* first_param ascends: the last layer that begins at or before it has it */
    while (low < high) {
        int mid = low + (high - low + 1) / 2;
        if (n->layers[mid].first_param <= param)
            low = mid;
        else
            high = mid - 1;
    }
    return n->params[param].is_table ? input_of(n, &n->layers[low]) : -1;
}

int64_t net_input_vocabulary(const net *n, int i) { return n->inputs[i].vocabulary; }

souk_status net_init_param(const net *n, int i, uint64_t seed, real *values, souk_error *err) {
    const param_def *p = &n->params[i];
    rng_key key = {.seed = seed, .stream = RNG_INIT, .step = (uint32_t)i};
    return init_values(&p->init, key, p->rank, p->d, values, err);
}
