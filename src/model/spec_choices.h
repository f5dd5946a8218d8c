/* spec_choices - the words that keys of the model file may have, with the values that they stand for.
 *
 * X is a word, A another name of an earlier value: read, never written. Words are Keras' and Ludwig's. */
#ifndef SOUK_MODEL_SPEC_CHOICES_H
#define SOUK_MODEL_SPEC_CHOICES_H

#include "model/spec.h"

/* clang-format off */
#define FEATURE_TYPES(X, A)                                                                 \
    X("number", FEATURE_NUMBER) X("binary", FEATURE_BINARY) X("category", FEATURE_CATEGORY) \
    X("text", FEATURE_TEXT) X("sequence", FEATURE_SEQUENCE) A("numerical", FEATURE_NUMBER)
#define OUTPUT_TYPES(X, A)                                                                  \
    X("binary", FEATURE_BINARY) X("category", FEATURE_CATEGORY) X("number", FEATURE_NUMBER) \
    A("numerical", FEATURE_NUMBER)
#define NORMALIZATIONS(X, A)                                                                      \
    X("none", NORM_NONE) X("zscore", NORM_ZSCORE) X("minmax", NORM_MINMAX) X("log1p", NORM_LOG1P)
#define MISSING_STRATEGIES(X, A)                                                     \
    X("default", MISSING_DEFAULT) X("fill_with_mean", MISSING_FILL_MEAN)             \
    X("fill_with_const", MISSING_FILL_CONST) X("own_category", MISSING_OWN_CATEGORY) \
    X("drop_row", MISSING_DROP_ROW) X("error", MISSING_ERROR)
#define TOKENIZERS(X, A) X("word", 0)
#define SIDES(X, A) X("pre", 0) X("post", 1)
#define ACTIVATIONS(X, A)                                                                         \
    X("linear", GEMM_LINEAR) X("relu", GEMM_RELU) X("sigmoid", GEMM_SIGMOID) X("tanh", GEMM_TANH) \
    X("gelu", GEMM_GELU) X("gelu_tanh", GEMM_GELU_TANH) X("silu", GEMM_SILU) X("elu", GEMM_ELU)   \
    X("softplus", GEMM_SOFTPLUS) A("swish", GEMM_SILU)
#define PADDINGS(X, A) X("valid", PAD_VALID) X("same", PAD_SAME)
#define CONV_PADDINGS(X, A) PADDINGS(X, A) X("causal", PAD_CAUSAL)
#define MERGE_MODES(X, A) X("concat", 0) X("sum", 1) X("mul", 2) X("ave", 3)
#define COMBINERS(X, A) X("concat", 0)
#define LOSSES(X, A)                                                                                        \
    X("binary_crossentropy", LOSS_SIGMOID_BCE) X("categorical_crossentropy", LOSS_SOFTMAX_CE)               \
    X("mse", LOSS_MSE) X("mae", LOSS_MAE) X("huber", LOSS_HUBER) X("binary_focal_crossentropy", LOSS_FOCAL) \
    X("poisson", LOSS_POISSON) A("sparse_categorical_crossentropy", LOSS_SOFTMAX_CE)                        \
    A("mean_squared_error", LOSS_MSE) A("mean_absolute_error", LOSS_MAE) A("focal", LOSS_FOCAL)
#define OPTIMIZERS(X, A)                                                                  \
    X("sgd", OPT_SGD) X("rmsprop", OPT_RMSPROP) X("adam", OPT_ADAM) X("adamw", OPT_ADAMW) \
    X("adagrad", OPT_ADAGRAD)
#define RULES(X, A) X("keras", OPT_RULE_KERAS) X("torch", OPT_RULE_TORCH) A("pytorch", OPT_RULE_TORCH)
#define SCHEDULES(X, A)                                                                       \
    X("constant", SCHED_CONSTANT) X("step", SCHED_STEP) X("exponential", SCHED_EXPONENTIAL)   \
    X("cosine", SCHED_COSINE) X("linear", SCHED_LINEAR) X("reduce_on_plateau", SCHED_PLATEAU)
#define MONITORS(X, A) X("val_loss", 0) X("loss", 1) X("val_accuracy", 2) X("accuracy", 3)
#define ENCODERS(X, A)                                                                                      \
    X("sequential", ENCODER_SEQUENTIAL) X("lstm", ENCODER_LSTM) X("gru", ENCODER_GRU) X("rnn", ENCODER_RNN) \
    X("cnn", ENCODER_CNN) X("embed", ENCODER_EMBED) X("passthrough", ENCODER_PASSTHROUGH)
#define LAYER_TYPES(X, A)                                                                                   \
    X("embedding", TYPE_EMBEDDING) X("dense", TYPE_DENSE) X("simple_rnn", TYPE_SIMPLE_RNN)                  \
    X("lstm", TYPE_LSTM) X("gru", TYPE_GRU) X("conv1d", TYPE_CONV1D) X("max_pooling1d", TYPE_MAX_POOLING1D) \
    X("average_pooling1d", TYPE_AVERAGE_POOLING1D) X("global_max_pooling1d", TYPE_GLOBAL_MAX_POOLING1D)     \
    X("global_average_pooling1d", TYPE_GLOBAL_AVERAGE_POOLING1D)                                            \
    X("layer_normalization", TYPE_LAYER_NORMALIZATION) X("batch_normalization", TYPE_BATCH_NORMALIZATION)   \
    X("dropout", TYPE_DROPOUT) X("spatial_dropout1d", TYPE_SPATIAL_DROPOUT1D)                               \
    X("activation", TYPE_ACTIVATION) X("flatten", TYPE_FLATTEN) A("rnn", TYPE_SIMPLE_RNN)
/* clang-format on */

/* Encoders by one word; all but sequential are expanded to layers when read. */
typedef enum encoder_type {
    ENCODER_SEQUENTIAL,
    ENCODER_LSTM,
    ENCODER_GRU,
    ENCODER_RNN,
    ENCODER_CNN,
    ENCODER_EMBED,
    ENCODER_PASSTHROUGH
} encoder_type;
typedef struct encoder_args {
    encoder_type type;
    int64_t embedding_size, units, filters, kernel_size;
    bool bidirectional, mask_zero, return_sequences, reset_after;
    double dropout, recurrent_dropout;
    gemm_act activation;
} encoder_args;

/* The word of a layer: its kind, and for recurrent and pooling layers which one. */
typedef enum layer_type {
    TYPE_EMBEDDING,
    TYPE_DENSE,
    TYPE_SIMPLE_RNN,
    TYPE_LSTM,
    TYPE_GRU,
    TYPE_CONV1D,
    TYPE_MAX_POOLING1D,
    TYPE_AVERAGE_POOLING1D,
    TYPE_GLOBAL_MAX_POOLING1D,
    TYPE_GLOBAL_AVERAGE_POOLING1D,
    TYPE_LAYER_NORMALIZATION,
    TYPE_BATCH_NORMALIZATION,
    TYPE_DROPOUT,
    TYPE_SPATIAL_DROPOUT1D,
    TYPE_ACTIVATION,
    TYPE_FLATTEN
} layer_type;

/* Keras' use_ema beside opt_options, whose 0 means off. */
typedef struct optimizer_args {
    opt_options o;
    bool use_ema;
} optimizer_args;
#endif
