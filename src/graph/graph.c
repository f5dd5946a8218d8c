/* graph - recording: an array of nodes in an arena, shapes checked at once, the first mistake kept.
 *
 * Layer code calls the functions of ops.h without looking at results; after a mistake every call returns node 0 and
 * does nothing, and graph_status tells what went wrong first (as sqlite3_str does). What is recorded is shapes and
 * attributes: no data, no addresses. Lowering, memory and running are plan.h's.
 *
 * Invariant: inputs have smaller numbers than the nodes that read them, so index order is a topological order. */
#include "graph/graph.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "graph/op.h"

const op_def *const op_table[] = {
#define OP(name) &opdef_##name,
#include "graph/ops.def"
#undef OP
    NULL};

void graph_init(graph *g, int64_t batch, bool training) {
    memset(g, 0, sizeof *g);
    arena_init(&g->arena);
    g->batch = batch;
    g->training = training;
    g->scope = "";
    if (batch <= 0)
        err_set(&g->err, SOUK_USAGE, "a graph needs a batch of at least one row, not %lld", (long long)batch);
}

void graph_clear(graph *g) {
    arena_clear(&g->arena);
    mem_free(g->nodes);
    memset(g, 0, sizeof *g);
}

souk_status graph_status(const graph *g, souk_error *err) {
    if (g->err.code == SOUK_OK) return SOUK_OK;
    return err_set(err, g->err.code, "%s", g->err.message);
}

void graph_scope(graph *g, const char *layer_name) {
    const char *copy = layer_name ? arena_strdup(&g->arena, layer_name) : "";
    if (copy)
        g->scope = copy;
    else
        err_nomem(&g->err, "recording a layer");
}

void graph_fail(graph *g, const char *format, ...) {
    char what[640];
    va_list ap;
    va_start(ap, format);
    if (num_vformat(what, sizeof what, format, ap) < 0) what[0] = '\0';
    va_end(ap);
    const char *op = g->failing ? g->failing->name : "graph";
    if (g->scope[0])
        err_set(&g->err, SOUK_USAGE, "layer %s: %s: %s", g->scope, op, what);
    else
        err_set(&g->err, SOUK_USAGE, "%s: %s", op, what);
}

/* ---- shapes ---- */

shape shape_make(int rank, const int64_t *d) {
    assert(rank >= 1 && rank <= GRAPH_MAX_RANK);
    shape s = {.rank = rank};
    memcpy(s.d, d, (size_t)rank * sizeof *d);
    return s;
}

int64_t shape_count(const shape *s) {
    int64_t n = 1;
    for (int i = 0; i < s->rank; i++) n *= s->d[i];
    return n;
}

int64_t shape_row(const shape *s) {
    int64_t n = 1;
    for (int i = 1; i < s->rank; i++) n *= s->d[i];
    return n;
}

const char *shape_text(const shape *s, char dst[96]) {
    size_t at = 0;
    dst[at++] = '[';
    for (int i = 0; i < s->rank && at < 80; i++)
        at += (size_t)snprintf(dst + at, 96 - at, i ? ",%lld" : "%lld", (long long)s->d[i]);
    snprintf(dst + at, 96 - at, "]");
    return dst;
}

/* No tensor may be larger than the largest block that mem gives: so sums over all tensors of a plan, and what an op
 * multiplies later, stay countable. */
enum { TENSOR_BITS = 40 };

static bool shape_valid(graph *g, const shape *s) {
    char text[96];
    size_t bytes = sizeof(double);
    bool fits = s->rank >= 1 && s->rank <= GRAPH_MAX_RANK;
    for (int i = 0; fits && i < s->rank; i++) {
        if (s->d[i] <= 0) {
            graph_fail(g, "shape %s has a dimension that is not positive", shape_text(s, text));
            return false;
        }
        fits = size_mul(bytes, (size_t)s->d[i], &bytes) && bytes <= (size_t)1 << TENSOR_BITS;
    }
    if (!fits)
        graph_fail(
            g, "shape %s has more than %d dimensions, or more than 2^37 elements: use a smaller batch, maxlen or layer",
            shape_text(s, text), GRAPH_MAX_RANK);
    return fits;
}

/* ---- nodes ---- */

/* Room for one more node; node 0 is made on the first call. The node comes zeroed and named, and is not counted yet. */
static node *node_new(graph *g) {
    if (g->err.code != SOUK_OK) return NULL;
    for (;;) {
        if (!mem_grow(&g->nodes, &g->capacity, (size_t)g->n_nodes, sizeof *g->nodes)) {
            err_nomem(&g->err, "recording a graph");
            return NULL;
        }
        node *n = &g->nodes[g->n_nodes];
        memset(n, 0, sizeof *n);
        if (g->n_nodes > 0) {
            n->name = g->scope;
            return n;
        }
        n->name = "";
        g->n_nodes = 1;
    }
}

node_id graph_input(graph *g, int32_t slot, dtype type, int rank, const int64_t *dims_without_batch) {
    node *n = node_new(g);
    if (!n) return 0;
    if (rank < 0 || rank >= GRAPH_MAX_RANK) {
        graph_fail(g, "input %d has %d dimensions beside the batch; at most %d are allowed", slot, rank,
                   GRAPH_MAX_RANK - 1);
        return 0;
    }
    n->kind = NODE_INPUT;
    n->slot = slot;
    n->type = type;
    n->shape.rank = rank + 1;
    n->shape.d[0] = g->batch;
    for (int i = 0; i < rank; i++) n->shape.d[i + 1] = dims_without_batch[i];
    if (!shape_valid(g, &n->shape)) return 0;
    if (slot >= g->n_inputs) g->n_inputs = slot + 1;
    return g->n_nodes++;
}

node_id graph_param(graph *g, int32_t slot, int rank, const int64_t *dims, bool trainable, const char *name) {
    node *n = node_new(g);
    if (!n) return 0;
    const char *copy = arena_strdup(&g->arena, name);
    if (!copy) {
        err_nomem(&g->err, "recording a parameter");
        return 0;
    }
    if (rank < 1 || rank > GRAPH_MAX_RANK) {
        graph_fail(g, "parameter %s has %d dimensions; 1 to %d are allowed", copy, rank, GRAPH_MAX_RANK);
        return 0;
    }
    n->kind = NODE_PARAM;
    n->slot = slot;
    n->type = DT_REAL;
    n->shape = shape_make(rank, dims);
    n->trainable = trainable;
    n->needs_grad = trainable;
    n->name = copy;
    if (!shape_valid(g, &n->shape)) return 0;
    if (slot >= g->n_params) g->n_params = slot + 1;
    return g->n_nodes++;
}

void graph_output(graph *g, node_id id) {
    if (g->err.code != SOUK_OK) return;
    int most = (int)(sizeof g->outputs / sizeof *g->outputs);
    if (id <= 0 || id >= g->n_nodes)
        graph_fail(g, "an output must be a node of this graph");
    else if (g->n_outputs == most)
        graph_fail(g, "more than %d outputs", most);
    else
        g->outputs[g->n_outputs++] = id;
}

void graph_loss(graph *g, node_id id) {
    char text[96];
    if (g->err.code != SOUK_OK) return;
    if (id <= 0 || id >= g->n_nodes) {
        graph_fail(g, "the loss must be a node of this graph");
    } else if (shape_count(&g->nodes[id].shape) != 1 || g->nodes[id].type != DT_REAL) {
        graph_fail(g, "the loss must be one number, not %s: take the mean first",
                   shape_text(&g->nodes[id].shape, text));
    } else {
        g->loss = id;
    }
}

/* The shape rule and what follows from the inputs; false after a mistake. Also used by rewrites (fuse.c). */
bool graph_node_finish(graph *g, node *n) {
    g->failing = n->op;
    n->n_aux = 0;
    n->op->shape(g, n);
    bool fine = g->err.code == SOUK_OK && shape_valid(g, &n->shape);
    for (int i = 0; fine && i < n->n_aux; i++) fine = shape_valid(g, &n->aux[i].shape);
    g->failing = NULL;
    n->needs_grad = false;
    for (int i = 0; i < n->n_in; i++)
        if (n->in[i] && !n->op->no_grad) n->needs_grad |= g->nodes[n->in[i]].needs_grad;
    return fine;
}

node_id graph_op(graph *g, const op_def *op, int n_in, const node_id *in, const void *attr, size_t attr_size) {
    node *n = node_new(g);
    if (!n) return 0;
    assert(n_in >= op->min_in && n_in <= op->max_in && n_in <= GRAPH_MAX_IN);
    g->failing = op;
    for (int i = 0; i < n_in; i++) {
        assert(in[i] < g->n_nodes);
        if (in[i] <= 0 && i < op->min_in) graph_fail(g, "input %d is missing", i);
        n->in[i] = in[i] > 0 ? in[i] : 0;
    }
    n->kind = NODE_OP;
    n->op = op;
    n->n_in = n_in;
    n->rng_stream = g->next_stream++;
    if (attr_size > 0) {
        void *copy = arena_alloc(&g->arena, attr_size);
        if (copy)
            memcpy(copy, attr, attr_size);
        else
            err_nomem(&g->err, "recording an op");
        n->attr = copy;
        n->attr_size = attr_size;
    }
    if (g->err.code != SOUK_OK || !graph_node_finish(g, n)) return 0;
    return g->n_nodes++;
}

souk_status graph_copy(graph *dst, const graph *src, souk_error *err) {
    graph_init(dst, src->batch, src->training);
    arena kept = dst->arena;
    *dst = *src;
    dst->arena = kept;
    dst->capacity = (size_t)src->n_nodes;
    dst->scope = "";
    dst->failing = NULL;
    dst->nodes = mem_array((size_t)src->n_nodes + 1, sizeof *dst->nodes);
    bool fine = dst->nodes != NULL;
    if (fine && src->n_nodes > 0) memcpy(dst->nodes, src->nodes, (size_t)src->n_nodes * sizeof *dst->nodes);
    for (int32_t i = 0; fine && i < src->n_nodes; i++) {
        node *n = &dst->nodes[i];
        const node *s = &src->nodes[i];
        n->name =
            i > 0 && s->name == src->nodes[i - 1].name ? dst->nodes[i - 1].name : arena_strdup(&dst->arena, s->name);
        fine = n->name != NULL;
        if (fine && s->attr_size > 0) {
            void *copy = arena_alloc(&dst->arena, s->attr_size);
            if (copy) memcpy(copy, s->attr, s->attr_size);
            n->attr = copy;
            fine = copy != NULL;
        }
    }
    if (!fine) {
        graph_clear(dst);
        return err_nomem(err, "copying a graph");
    }
    return SOUK_OK;
}
