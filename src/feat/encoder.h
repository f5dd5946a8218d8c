/* encoder - one column's part of a pipeline: fitted on training rows, then read-only. Internal to feat.
 *
 * Each kind is one file (encode_number, encode_class, encode_text) with a fit, an encode and its JSON. */
#ifndef SOUK_FEAT_ENCODER_H
#define SOUK_FEAT_ENCODER_H

#include "base/json.h"
#include "base/map.h"
#include "data/table.h"
#include "feat/dataset.h"
#include "feat/feature.h"
#include "feat/pipeline.h"

typedef struct encoder {
    feature_config config; /* strings in the pipeline's arena */
    bool output;

    /* number: encoded = (f(x) - offset) / scale, f = log1p for NORM_LOG1P, else the identity; a missing x is `fill` */
    double offset, scale, fill;

    /* binary and category: texts of the classes in order, and text -> class number */
    char **classes; /* [n_classes], in the arena */
    int64_t n_classes;
    map *class_of;
    bool numeric;           /* the column was read as numbers: texts are compared as numbers */
    int32_t other, missing; /* category inputs: index of the rare classes and of missing cells; 0: none */

    tok_word *tokenizer; /* text and sequence */
    int64_t maxlen;
} encoder;

/* Rows of one column of a table. */
typedef struct cells {
    const table *table;
    const column *column;
    const int64_t *rows; /* [n] or NULL: 0 … n-1 */
    int64_t n;
    const char *source; /* for messages */
} cells;

static inline int64_t cells_row(const cells *c, int64_t i) { return c->rows ? c->rows[i] : i; }
static inline bool cells_missing(const cells *c, int64_t i) { return c->column->missing[cells_row(c, i)] != 0; }
enum { CELL_SCRATCH = 32 };
/* The cell as text; numbers are written into scratch in their shortest form. */
const char *cells_text(const cells *c, int64_t i, char scratch[CELL_SCRATCH], size_t *len);
/* The cell as a number; false: it is none. */
bool cells_number(const cells *c, int64_t i, double *out);
/* SOUK_INPUT about one cell: `data.csv:17: column "price": WHAT`. */
souk_status cells_fault(const cells *c, int64_t i, souk_error *err, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* SOUK_INPUT: the target has one value (text) or none (NULL). */
souk_status cells_one_value(const cells *c, const char *value, souk_error *err);

/* `a` holds what lives as long as the pipeline. */
souk_status number_fit(encoder *e, const cells *c, souk_error *err);
souk_status class_fit(encoder *e, const cells *c, arena *a, souk_error *err);
souk_status text_fit(encoder *e, const cells *c, souk_error *err);

/* Is this row's target usable (present and, for classes, known)? */
bool number_known(const cells *c, int64_t i);
bool class_known(const encoder *e, const cells *c, int64_t i);

/* Shape of the encoded array (is_ids, width) and the values of all rows. */
dataset_array encoder_array(const encoder *e);
souk_status number_encode(const encoder *e, const cells *c, dataset_array *out, souk_error *err);
souk_status class_encode(const encoder *e, const cells *c, dataset_array *out, souk_error *err);
souk_status text_encode(const encoder *e, const cells *c, int32_t *out, souk_error *err); /* out [n, maxlen] */

/* Members of the encoder's JSON object, behind name and type. */
void number_to_json(const encoder *e, json_writer *w);
void class_to_json(const encoder *e, json_writer *w);
souk_status text_to_json(const encoder *e, json_writer *w, souk_error *err);
souk_status number_from_json(encoder *e, const json_value *v, souk_error *err);
souk_status class_from_json(encoder *e, const json_value *v, arena *a, souk_error *err);
souk_status text_from_json(encoder *e, const json_value *v, souk_error *err);
/* SOUK_CORRUPT: the stored encoder's member is not what it should be. */
souk_status encoder_bad_json(const encoder *e, const char *member, souk_error *err);

void encoder_clear(encoder *e);

souk_status dataset_new(dataset **out, int64_t n, int n_inputs, int n_targets, souk_error *err);
souk_status dataset_array_alloc(dataset_array *a, int64_t n, souk_error *err); /* is_ids and width are set */

/* pipeline_json.c and pipeline.c share the object's layout. */
struct pipeline {
    arena arena;
    encoder *inputs, *outputs;
    int n_inputs, n_outputs;
};
souk_status pipeline_new(pipeline **out, int n_inputs, int n_outputs, souk_error *err); /* encoders all zero */

#endif
