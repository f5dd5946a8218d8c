/* fuse - rewrites of the recorded graph, before it is lowered. Each rule looks at one node and may turn it into another op over
 * earlier nodes; what nobody reads afterwards is not lowered. Numbers, random streams and shapes stay as they were.
 *
 * A rule may change the bits of a result within rounding; `no_fuse` switches all of them off, and tests compare. */
#include "graph/fuse.h"

#include <assert.h>
#include <string.h>

#include "graph/plan_impl.h"

/* In this order, each over the whole graph. */
static const fuse_rule rules[] = {NULL};

bool fuse_replace(graph *g, node_id id, const op_def *op, int n_in, const node_id *in, const void *attr, size_t attr_size)
{
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
    assert(!fine || (n->shape.rank == before.rank && shape_count(&n->shape) == shape_count(&before)));
    return fine;
}

/* Readers of each node, outputs and the loss included; nodes that nobody reads do not count as readers. */
static void count_uses(const graph *g, int32_t *uses)
{
    memset(uses, 0, (size_t)g->n_nodes * sizeof *uses);
    for (int i = 0; i < g->n_outputs; i++) uses[g->outputs[i]]++;
    uses[g->loss]++;
    for (int32_t i = g->n_nodes - 1; i > 0; i--)
        for (int k = 0; uses[i] > 0 && k < g->nodes[i].n_in; k++) uses[g->nodes[i].in[k]]++;
}

void plan_fuse(graph *g)
{
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
