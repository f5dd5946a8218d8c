/* rnn_cases - small recurrent layers for the test that walks the op table: every kind, with and without masks, dropout,
 * direction and sequences, units that fill vectors and units that do not. Shapes are small: central differences visit
 * every element of every parameter. */
#include "graph/rnn_cases.h"

#include "graph/ops.h"
#include "graph/op_rnn.h"
#include "graph/rnn_tokens.h"

enum { STEPS = 5, CHANNELS = 3 };

static node_id record(graph *g, op_tester *t, const rnn_attr *a, bool use_bias, bool use_mask) {
    const int64_t H = a->units, GH = rnn_gate_count(a->kind) * H;
    const bool two = a->kind == RNN_GRU && a->reset_after;
    node_id x = op_test_input(g, t, 3, (int64_t[]){g->batch, STEPS, CHANNELS}, -1, 1);
    node_id w = op_test_param(g, t, 2, (int64_t[]){CHANNELS, GH}, -.8, .8),
            u = op_test_param(g, t, 2, (int64_t[]){H, GH}, -.6, .6);
    node_id bias = !use_bias ? 0
                   : two     ? op_test_param(g, t, 2, (int64_t[]){2, GH}, -.5, .5)
                             : op_test_param(g, t, 1, (int64_t[]){GH}, -.5, .5);
    node_id mask = use_mask ? op_mask_nonzero(g, op_test_ids(g, t, 2, (int64_t[]){g->batch, STEPS}, 0, 2)) : 0;
    return op_rnn(g, a, x, w, u, bias, mask);
}

#define CASE(id, bias, mask, ...)                     \
    static node_id id(graph *g, op_tester *t) {       \
        const rnn_attr a = {.units = 3, __VA_ARGS__}; \
        return record(g, t, &a, bias, mask);          \
    }

CASE(lstm, true, false, .kind = RNN_LSTM, .activation = GEMM_TANH, .recurrent_activation = GEMM_SIGMOID)
CASE(lstm_sequences, true, true, .kind = RNN_LSTM, .return_sequences = true, .activation = GEMM_TANH,
     .recurrent_activation = GEMM_SIGMOID)
CASE(lstm_masked, false, true, .kind = RNN_LSTM, .activation = GEMM_TANH, .recurrent_activation = GEMM_SIGMOID)
CASE(lstm_backwards, true, true, .kind = RNN_LSTM, .go_backwards = true, .return_sequences = true,
     .zero_output_for_mask = true, .activation = GEMM_TANH, .recurrent_activation = GEMM_SIGMOID)
CASE(lstm_zero_last, true, true, .kind = RNN_LSTM, .zero_output_for_mask = true, .activation = GEMM_TANH,
     .recurrent_activation = GEMM_SIGMOID)
CASE(lstm_input_dropout, true, false, .kind = RNN_LSTM, .dropout = (real).4, .activation = GEMM_TANH,
     .recurrent_activation = GEMM_SIGMOID)
CASE(lstm_dropout, true, true, .kind = RNN_LSTM, .dropout = (real).3, .recurrent_dropout = (real).3,
     .return_sequences = true, .activation = GEMM_TANH, .recurrent_activation = GEMM_SIGMOID)
CASE(lstm_relu, true, false, .kind = RNN_LSTM, .activation = GEMM_ELU, .recurrent_activation = GEMM_TANH)
CASE(lstm_silu, true, false, .kind = RNN_LSTM, .activation = GEMM_SILU, .recurrent_activation = GEMM_SIGMOID)
CASE(gru, true, false, .kind = RNN_GRU, .reset_after = true, .activation = GEMM_TANH,
     .recurrent_activation = GEMM_SIGMOID)
CASE(gru_masked, true, true, .kind = RNN_GRU, .reset_after = true, .return_sequences = true, .go_backwards = true,
     .activation = GEMM_TANH, .recurrent_activation = GEMM_SIGMOID)
CASE(gru_dropout, true, true, .kind = RNN_GRU, .reset_after = true, .dropout = (real).3, .recurrent_dropout = (real).3,
     .activation = GEMM_TANH, .recurrent_activation = GEMM_SIGMOID)
CASE(gru_before, true, false, .kind = RNN_GRU, .activation = GEMM_TANH, .recurrent_activation = GEMM_SIGMOID)
CASE(gru_before_masked, false, true, .kind = RNN_GRU, .return_sequences = true, .zero_output_for_mask = true,
     .activation = GEMM_TANH, .recurrent_activation = GEMM_SIGMOID)
CASE(gru_before_dropout, true, true, .kind = RNN_GRU, .dropout = (real).3, .recurrent_dropout = (real).3,
     .return_sequences = true, .activation = GEMM_TANH, .recurrent_activation = GEMM_SIGMOID)
CASE(simple, true, false, .kind = RNN_SIMPLE, .activation = GEMM_TANH, .recurrent_activation = GEMM_SIGMOID)
CASE(simple_masked, true, true, .kind = RNN_SIMPLE, .return_sequences = true, .activation = GEMM_SOFTPLUS,
     .recurrent_activation = GEMM_SIGMOID)
CASE(simple_dropout, false, true, .kind = RNN_SIMPLE, .go_backwards = true, .dropout = (real).3,
     .recurrent_dropout = (real).3, .activation = GEMM_TANH, .recurrent_activation = GEMM_SIGMOID)

/* A whole vector of units and a rest; 33 units make a pair of unit blocks and a single one. */
static node_id lstm_wide(graph *g, op_tester *t) {
    const rnn_attr a = {.kind = RNN_LSTM, .units = 17, .activation = GEMM_TANH, .recurrent_activation = GEMM_SIGMOID};
    return record(g, t, &a, true, true);
}
static node_id lstm_wider(graph *g, op_tester *t) {
    const rnn_attr a = {.kind = RNN_LSTM, .units = 33, .activation = GEMM_TANH, .recurrent_activation = GEMM_SIGMOID};
    return record(g, t, &a, true, false);
}

const op_case rnn_cases[] = {{"lstm", lstm},
                             {"lstm, sequences and mask", lstm_sequences},
                             {"lstm, mask, no bias", lstm_masked},
                             {"lstm, backwards, zero output", lstm_backwards},
                             {"lstm, zero last output", lstm_zero_last},
                             {"lstm, input dropout", lstm_input_dropout},
                             {"lstm, both dropouts", lstm_dropout},
                             {"lstm, elu and tanh", lstm_relu},
                             {"lstm, silu", lstm_silu},
                             {"lstm, 17 units", lstm_wide},
                             {"lstm, 33 units", lstm_wider},
                             {"gru", gru},
                             {"gru, mask, backwards", gru_masked},
                             {"gru, both dropouts", gru_dropout},
                             {"gru, reset before", gru_before},
                             {"gru, reset before, mask", gru_before_masked},
                             {"gru, reset before, both dropouts", gru_before_dropout},
                             {"simple", simple},
                             {"simple, mask, softplus", simple_masked},
                             {"simple, both dropouts", simple_dropout},
                             {NULL, NULL}};

/* ---- LSTM over tokens. Ids of two values make leading zeros of every length; of one value, rows that never leave the
 * prefix. */

static node_id record_tokens(graph *g, op_tester *t, const rnn_attr *a, bool masked, int32_t ids_below, bool use_bias) {
    const int64_t H = a->units;
    const lstm_tokens_attr attr = {.rnn = *a, .masked = masked};
    node_id table = op_test_param(g, t, 2, (int64_t[]){5, CHANNELS}, -1, 1);
    node_id ids = op_test_ids(g, t, 2, (int64_t[]){g->batch, STEPS}, 0, ids_below);
    node_id w = op_test_param(g, t, 2, (int64_t[]){CHANNELS, 4 * H}, -.8, .8),
            u = op_test_param(g, t, 2, (int64_t[]){H, 4 * H}, -.6, .6);
    node_id bias = use_bias ? op_test_param(g, t, 1, (int64_t[]){4 * H}, -.5, .5) : 0;
    return graph_op(g, &opdef_lstm_tokens, 5, (node_id[]){table, ids, w, u, bias}, &attr, sizeof attr);
}

#define TOKENS(id, masked, below, bias, ...)                                                               \
    static node_id id(graph *g, op_tester *t) {                                                            \
        const rnn_attr a = {                                                                               \
            .kind = RNN_LSTM, .activation = GEMM_TANH, .recurrent_activation = GEMM_SIGMOID, __VA_ARGS__}; \
        return record_tokens(g, t, &a, masked, below, bias);                                               \
    }

TOKENS(tokens, false, 5, true, .units = 3)
TOKENS(tokens_prefix, false, 2, true, .units = 3)
TOKENS(tokens_sequences, false, 2, false, .units = 3, .return_sequences = true)
TOKENS(tokens_only_pads, false, 1, true, .units = 2, .return_sequences = true)
TOKENS(tokens_pads_last, false, 1, true, .units = 2)
TOKENS(tokens_backwards, false, 3, true, .units = 3, .return_sequences = true, .go_backwards = true)
TOKENS(tokens_masked, true, 2, true, .units = 3, .return_sequences = true)
TOKENS(tokens_masked_zero, true, 2, true, .units = 3, .zero_output_for_mask = true)
TOKENS(tokens_wide, false, 3, true, .units = 18)

const op_case lstm_tokens_cases[] = {{"five tokens", tokens},
                                     {"prefix", tokens_prefix},
                                     {"prefix, sequences, no bias", tokens_sequences},
                                     {"pads only, sequences", tokens_only_pads},
                                     {"pads only", tokens_pads_last},
                                     {"backwards, sequences", tokens_backwards},
                                     {"masked, sequences", tokens_masked},
                                     {"masked, zero output", tokens_masked_zero},
                                     {"18 units", tokens_wide},
                                     {NULL, NULL}};
