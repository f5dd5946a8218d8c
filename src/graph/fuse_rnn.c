/* fuse_rnn - embedding + LSTM becomes op_lstm_tokens, which projects each distinct token once and runs shared leading
 * pads once. Legal where nobody else reads the embedding's output, no dropout is in force, and the mask, if any, is ids
 * != 0. */
#include "graph/fuse.h"

#include "graph/op_rnn.h"
#include "graph/rnn_tokens.h"

bool fuse_lstm_tokens(graph *g, const int32_t *uses, node_id id) {
    const node *n = &g->nodes[id], *x = &g->nodes[n->in[0]];
    if (n->op != &opdef_rnn || x->op != &opdef_embedding || uses[n->in[0]] != 1) return false;
    const rnn_attr *a = n->attr;
    const node_id table = x->in[0], ids = x->in[1], mask = n->in[4];
    if (!rnn_is_fast(a, g->training) || (g->training && a->dropout > 0)) return false;
    if (mask && (g->nodes[mask].op != &opdef_mask_nonzero || g->nodes[mask].in[0] != ids)) return false;
    const lstm_tokens_attr attr = {.rnn = *a, .masked = mask != 0};
    const node_id in[5] = {table, ids, n->in[1], n->in[2], n->in[3]};
    return fuse_replace(g, id, &opdef_lstm_tokens, 5, in, &attr, sizeof attr);
}
