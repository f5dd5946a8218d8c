/* model - spec + fitted pipeline + net + weights: what is trained, saved, loaded and asked. Immutable once made; shared
 * by threads.
 *
 * Scratch (plans and their sessions) belongs to a scorer, one per thread. */
#ifndef SOUK_MODEL_MODEL_H
#define SOUK_MODEL_MODEL_H

#include "base/thread.h"
#include "feat/pipeline.h"
#include "model/file.h"
#include "model/spec.h"
#include "nn/net.h"

typedef struct model {
    spec *spec;
    pipeline *pipeline; /* NULL: a net that was made layer by layer, whose inputs come encoded; it cannot be loaded from
                           a file */
    net *net;
    real **params; /* [net_params]: values, each of its param_def's shape */
    int n_params;
    char *metrics;        /* JSON object of the training record (metrics, rows, seed), or NULL */
    char fingerprint[17]; /* of the training data */
    uint64_t seed;
} model;

/* Builds the net for a spec and a fitted pipeline, with initial weights from the seed. Takes both over (freed by
 * model_free, also on failure). */
souk_status model_new(model **out, spec *s, pipeline *p, uint64_t seed, souk_error *err);
void model_free(model *m);
/* The net of a spec for given feature shapes; for tests and model_new. */
souk_status model_build_net(net **out, const spec *s, const feature_shape *inputs, const feature_shape *outputs,
                            souk_error *err);
/* Makes the parameters of m->net, with initial values from m->seed. */
souk_status model_init_weights(model *m, souk_error *err);
souk_status model_save(const model *m, const char *path, souk_error *err);
/* The texts of a model file that training does not change; a checkpoint is written often, and makes them once. They
 * live in the arena. */
typedef struct model_texts {
    const char *spec, *seed, *pipeline; /* pipeline NULL: the model has none */
    int64_t pipeline_bytes;
} model_texts;
souk_status model_texts_make(const model *m, model_texts *out, arena *keep, souk_error *err);
/* Adds texts, record and weights to a writer: what a model file and a checkpoint have in common. `keep` holds names
 * that the writer borrows until it is saved. */
souk_status model_write(const model *m, const model_texts *texts, model_writer *w, arena *keep, souk_error *err);
souk_status model_load(model **out, const char *path, souk_error *err);
souk_status model_from_file(model **out, const model_file *f, const char *name, souk_error *err);

/* Every id of rows [begin, begin + n) must have its row in the table that it is looked up in; SOUK_INPUT names the
 * first that has not. */
souk_status model_check_ids(const model *m, const dataset *d, int64_t begin, int64_t n, souk_error *err);

/* ---- scoring ---- */
typedef struct scorer scorer;
souk_status scorer_new(scorer **out, const model *m, souk_error *err);
void scorer_free(scorer *s);
/* Predictions of output `output` for rows [begin, begin + n) of d: [n, width] floats (probabilities; numbers in their
 * own unit). */
souk_status scorer_run(scorer *s, const dataset *d, int64_t begin, int64_t n, int output, float *out, pool *crew,
                       souk_error *err);

#endif
