/* rnn_tokens - attributes of op_lstm_tokens, shared by the op, its cases and the rewrite that makes it. */
#ifndef SOUK_GRAPH_RNN_TOKENS_H
#define SOUK_GRAPH_RNN_TOKENS_H

#include "graph/ops.h"

typedef struct lstm_tokens_attr {
    rnn_attr rnn;   /* of the LSTM: the fast kind, no dropout in force (rnn_is_fast) */
    int32_t masked; /* steps whose id is 0 are masked (Embedding(mask_zero=True)) */
} lstm_tokens_attr;

#endif
