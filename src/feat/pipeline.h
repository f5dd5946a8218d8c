/* pipeline - encoders fitted on training rows and stored with the model; the same object encodes at training and at
 * predict time.
 *
 * Test rows never reach the fit. A fitted pipeline is immutable and shared by threads. */
#ifndef SOUK_FEAT_PIPELINE_H
#define SOUK_FEAT_PIPELINE_H

#include "base/json.h"
#include "data/table.h"
#include "feat/dataset.h"
#include "feat/feature.h"

typedef struct pipeline pipeline;

/* What the network must know of a fitted feature. */
typedef struct feature_shape {
    feature_type type;
    bool is_ids;
    int64_t width;      /* T for text and sequence; 1 for number, binary, category */
    int64_t vocabulary; /* text: rows of the embedding; category: classes (inputs: + unknown at 0); else 0 */
} feature_shape;

/* Fits on rows[0..n) of t (NULL: all). Configurations are copied. A missing column, a target with one value … are
 * SOUK_INPUT. */
souk_status pipeline_fit(pipeline **out, const feature_config *inputs, int n_inputs, const feature_config *outputs,
                         int n_outputs, const table *t, const int64_t *rows, int64_t n, const char *source,
                         souk_error *err);
void pipeline_free(pipeline *p);
int pipeline_inputs(const pipeline *p);
int pipeline_outputs(const pipeline *p);
const feature_config *pipeline_config(const pipeline *p, bool output, int i);
feature_shape pipeline_shape(const pipeline *p, bool output, int i);
/* Classes of a category or binary output (binary: 0 negative, 1 positive): count and text. Borrowed. */
int64_t pipeline_class_count(const pipeline *p, int output);
const char *pipeline_class(const pipeline *p, int output, int64_t i);
/* number outputs are learned scaled: value = scaled * scale + offset */
void pipeline_target_scale(const pipeline *p, int output, double *scale, double *offset);

/* Encodes rows (NULL: all) of a table. Without targets when with_targets is false (predict). Missing input columns are
 * named in the error; unknown ones are ignored. Rows whose target is missing or unknown are left out and counted in
 * *dropped. */
souk_status pipeline_encode(const pipeline *p, const table *t, const int64_t *rows, int64_t n, bool with_targets,
                            const char *source, dataset **out, int64_t *dropped, souk_error *err);
/* For explanations and `inspect`: the tokenizer of input i, or NULL. */
const tok_word *pipeline_tokenizer(const pipeline *p, int input);

/* Assets: named byte strings that the model file stores. write: appends to the JSON object that w is in; read: from
 * that object. */
souk_status pipeline_to_json(const pipeline *p, json_writer *w, souk_error *err);
souk_status pipeline_from_json(pipeline **out, const json_value *object, souk_error *err);

#endif
