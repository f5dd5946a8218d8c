/* fuse - what a rewrite rule needs. A rule is a function in a file fuse_<name>.c or fuse.c, and one line in fuse.c's
 * table. */
#ifndef SOUK_GRAPH_FUSE_H
#define SOUK_GRAPH_FUSE_H

#include "graph/graph.h"
#include "graph/op.h"

/* Looks at op node `id`; may call fuse_replace on it and returns whether it did. uses[i] counts the readers of node i
 * (outputs and the loss included; dead nodes do not count): a value that only this node reads has uses 1. */
typedef bool (*fuse_rule)(graph *g, const int32_t *uses, node_id id);

/* Turns node `id` into `op` over earlier nodes: same number, same random stream, same shape. False after running out of
 * memory. */
bool fuse_replace(graph *g, node_id id, const op_def *op, int n_in, const node_id *in, const void *attr,
                  size_t attr_size);

/* The rules, in fuse.c unless said otherwise. */
bool fuse_loss_logits(graph *g, const int32_t *uses, node_id id);
bool fuse_linear_activation(graph *g, const int32_t *uses, node_id id);
bool fuse_lstm_tokens(graph *g, const int32_t *uses, node_id id); /* fuse_rnn.c */

#endif
