/* rnn_cases - test cases of op_rnn and of the LSTM over tokens, in a file of their own. */
#ifndef SOUK_GRAPH_RNN_CASES_H
#define SOUK_GRAPH_RNN_CASES_H

#include "graph/op.h"

extern const op_case rnn_cases[];
extern const op_case lstm_tokens_cases[];

#endif
