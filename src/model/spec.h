/* spec - the model file (YAML or JSON) as a checked structure, and back as canonical JSON text.
 *
 * Every key is a row of keys.def (path, type, default, range, help): the reader, `souk help model` and the docs come
 * from it. An unknown key is an error with line and column that names the nearest known one; so is a wrong type or a
 * value out of range. */
#ifndef SOUK_MODEL_SPEC_H
#define SOUK_MODEL_SPEC_H

#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"
#include "feat/feature.h"
#include "graph/ops.h"
#include "model/opt_types.h"

typedef enum layer_kind {
    LAYER_EMBEDDING,
    LAYER_DENSE,
    LAYER_RNN,
    LAYER_CONV1D,
    LAYER_POOL1D,
    LAYER_GLOBAL_POOL,
    LAYER_LAYER_NORM,
    LAYER_BATCH_NORM,
    LAYER_DROPOUT,
    LAYER_SPATIAL_DROPOUT,
    LAYER_ACTIVATION,
    LAYER_FLATTEN
} layer_kind;

/* One layer of an encoder, combiner or decoder; Keras' argument names in the file. */
typedef struct layer_config {
    layer_kind kind;
    const char *name;    /* NULL: Keras' automatic name */
    int64_t units;       /* dense, rnn: units; conv1d: filters; embedding: output width */
    int64_t kernel_size; /* conv1d */
    gemm_act activation;
    bool use_bias;
    rnn_attr rnn;
    bool bidirectional;
    const char *merge_mode; /* "concat" */
    conv1d_attr conv;
    pool1d_attr pool;         /* pool1d; global_pool uses .average */
    bool mask_zero;           /* embedding */
    double rate;              /* dropout */
    double epsilon, momentum; /* norms */
} layer_config;

typedef struct input_config {
    feature_config feature;
    layer_config *layers; /* the encoder as a list of layers; `type: lstm` and the like are expanded to it when read */
    int n_layers;
} input_config;

typedef struct output_config {
    feature_config feature; /* binary, category or number */
    loss_attr loss;
    double loss_weight;
    const char *const *class_name; /* class weights by class text, or n_class_weights 0; "balanced" sets balanced */
    double *class_weight;
    int n_class_weights;
    bool balanced;
    double threshold; /* binary; .5 */
} output_config;

typedef struct trainer_config {
    int64_t epochs;     /* 10 (Keras' tutorial) */
    int64_t batch_size; /* 32 */
    opt_options optimizer;
    sched_options schedule;
    double validation_split; /* Keras': the last share, before shuffling; < 0: not given */
    bool shuffle;
    bool early_stopping;
    const char *monitor; /* val_loss */
    int64_t patience;
    double min_delta;
    bool restore_best_weights;
    double checkpoint_seconds; /* within an epoch; 60; 0: at epochs only */
    const char *weight_column; /* sample weights, or NULL */
} trainer_config;

typedef struct spec {
    arena arena; /* everything below lives here */
    input_config *inputs;
    int n_inputs;
    output_config *outputs;
    int n_outputs;
    layer_config *combiner; /* after concat of the encoders' outputs */
    int n_combiner;
    trainer_config trainer;
} spec;

/* Parses YAML or JSON text; name is for messages. sets: NULL-terminated "key.path=value" overrides (--set), applied
 * before checking. */
souk_status spec_parse(spec **out, const char *text, size_t n, const char *name, const char *const *sets,
                       souk_error *err);
souk_status spec_read(spec **out, const char *path, const char *const *sets, souk_error *err);
void spec_free(spec *s);
/* Canonical JSON (all keys with their values, fixed order): what the model file stores; spec_parse of it gives the same
 * spec. */
souk_status spec_to_json(const spec *s, buf *out, souk_error *err);
/* Overrides of a spec that is already there, as of the file that would say it in the fewest words: after
 * `trainer.optimizer.type=sgd` the rest of the optimiser is SGD's. On failure *s is as it was. */
souk_status spec_override(spec **s, const char *const *sets, souk_error *err);
/* YAML with a comment per choice, as `init` writes it. reasons[i] belongs to input i (may be NULL). */
souk_status spec_to_yaml(const spec *s, const char *const *reasons, buf *out, souk_error *err);
/* The spec that `train` uses with no config: the worked example's encoder for text, embeddings for categories, z-scores
 * for numbers; concat, dense, the output's loss. */
souk_status spec_default(spec **out, const feature_config *inputs, int n_inputs, const feature_config *output,
                         souk_error *err);

#endif
