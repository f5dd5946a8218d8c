/* fuse - rewrites of the recorded graph, before it is lowered. Each rule looks at one node and may turn it into another
 * op over earlier nodes; what nobody reads afterwards is not lowered. Numbers, random streams and shapes stay as they
 * were.
 *
 * A rule may change the bits of a result within rounding; `no_fuse` switches all of them off, and tests compare. */
#include "graph/fuse.h"

#include <assert.h>
#include <string.h>

#include "graph/op_activation.h"
#include "graph/ops.h"
#include "graph/plan_impl.h"

/* Losses first, so that a product whose logits go to a loss keeps its activation apart; each over the whole graph. */
static const fuse_rule rules[] = {fuse_loss_logits, fuse_linear_activation, fuse_lstm_tokens, NULL};

/* Cross-entropy of sigmoid or softmax becomes the stable form on logits; so does Keras' TensorFlow backend
 * (_get_logits). The probabilities are still computed if somebody else reads them. */
bool fuse_loss_logits(graph *g, const int32_t *uses, node_id id) {
    (void)uses;
    const node *n = &g->nodes[id], *p = &g->nodes[n->in[0]];
    if (n->op != &opdef_loss && n->op != &opdef_loss_classes) return false;
    loss_attr a;
    memcpy(&a, n->attr, sizeof a);
    bool sigmoid = p->op == &opdef_activation && ((const activation_attr *)p->attr)->act == GEMM_SIGMOID;
    if (a.kind == LOSS_BCE && sigmoid)
        a.kind = LOSS_SIGMOID_BCE;
    else if (a.kind == LOSS_CE && p->op == &opdef_softmax)
        a.kind = LOSS_SOFTMAX_CE;
    else
        return false;
    node_id in[2] = {p->in[0], n->in[1]};
    return fuse_replace(g, id, n->op, 2, in, &a, sizeof a);
}

/* linear + activation becomes the product's epilogue, where nobody else reads the pre-activation and the derivative
 * follows from the output. */
bool fuse_linear_activation(graph *g, const int32_t *uses, node_id id) {
    const node *n = &g->nodes[id], *p = &g->nodes[n->in[0]];
    if (n->op != &opdef_activation || p->op != &opdef_linear || uses[n->in[0]] != 1) return false;
    activation_attr a = *(const activation_attr *)n->attr;
    node_id in[3] = {p->in[0], p->in[1], p->in[2]};
    return fuse_replace(g, id, &opdef_linear_act, 3, in, &a, sizeof a);
}

bool fuse_replace(graph *g, node_id id, const op_def *op, int n_in, const node_id *in, const void *attr,
                  size_t attr_size) {
    node *n = &g->nodes[id];
    shape before = n->shape;
    void *copy = attr_size > 0 ? arena_alloc(&g->arena, attr_size) : NULL;
    if (attr_size > 0 && !copy) {
        err_nomem(&g->err, "rewriting a graph");
        return false;
    }
    if (copy) memcpy(copy, attr, attr_size);
    n->op = op;
    n->attr = copy;
    n->attr_size = attr_size;
    n->n_in = n_in;
    memset(n->in, 0, sizeof n->in);
    for (int i = 0; i < n_in; i++) {
        assert(in[i] < id);
        n->in[i] = in[i];
    }
    bool fine = graph_node_finish(g, n);
    bool same = n->shape.rank == before.rank && shape_count(&n->shape) == shape_count(&before);
    assert(!fine || same);
    return fine && same;
}

/* Readers of each node, outputs and the loss included; nodes that nobody reads do not count as readers. */
static void count_uses(const graph *g, int32_t *uses) {
    memset(uses, 0, (size_t)g->n_nodes * sizeof *uses);
    for (int i = 0; i < g->n_outputs; i++) uses[g->outputs[i]]++;
    uses[g->loss]++;
    for (int32_t i = g->n_nodes - 1; i > 0; i--)
        for (int k = 0; uses[i] > 0 && k < g->nodes[i].n_in; k++) uses[g->nodes[i].in[k]]++;
}

void plan_fuse(graph *g) {
    int32_t *uses = mem_array((size_t)g->n_nodes, sizeof *uses);
    if (!uses) {
        err_nomem(&g->err, "rewriting a graph");
        return;
    }
    for (const fuse_rule *rule = rules; *rule; rule++) {
        count_uses(g, uses);
        for (int32_t i = 1; i < g->n_nodes && g->err.code == SOUK_OK; i++)
            if (uses[i] > 0 && g->nodes[i].kind == NODE_OP && (*rule)(g, uses, i)) count_uses(g, uses);
    }
    mem_free(uses);
}
