/* recipe_parts - the smaller steps of recipe.c: options, weights, records and reports. Included by recipe*.c only. */
#ifndef SOUK_TRAIN_RECIPE_PARTS_H
#define SOUK_TRAIN_RECIPE_PARTS_H

#include "data/split.h"
#include "data/table.h"
#include "train/judge.h"
#include "train/recipe.h"

void recipe_table_options(table_options *out, const souk_table_options *o);
/* Pairs name, type for the columns whose storage the spec decides; NULL-terminated, caller mem_free's; s NULL: none. */
souk_status recipe_forced_types(const spec *s, const char *target, const char ***types, souk_error *err);
souk_status recipe_copy_spec(const spec *s, spec **out, souk_error *err);
/* Extensions of the checkpoints: of the judged fit and of the refit. */
enum { RECIPE_CHECKPOINTS = 2 };
extern const char *const recipe_checkpoint[RECIPE_CHECKPOINTS];
/* Before training, not after it: temporaries of killed runs are swept away, and a folder that is not there or not
 * writable is found. */
souk_status recipe_prepare_out(const char *out, souk_error *err);
/* What a checkpoint must agree on besides spec and seed. Caller mem_free's; NULL: out of memory. */
char *recipe_fingerprint(const table *t, const table *valid, const souk_train_options *o, const char *phase);
/* Fills d->weight from a column of the table that d was encoded from. Negative, missing or infinite weights are
 * SOUK_INPUT. */
souk_status recipe_weights(dataset *d, const table *t, const char *column_name, const char *source, souk_error *err);

void recipe_log_columns(const table *t, const char *source);
void recipe_log_split(const souk_train_options *o, const split *s, int64_t n_valid, int64_t n_test);
/* Keras' validation_split takes the last rows: on a file sorted by its target they are all of one class. */
void recipe_warn_sorted(const table *t, const char *target, double validation_split);

typedef struct recipe_facts {
    const model *model;
    const metric_set *metrics; /* [n_metrics] one for each output, or none */
    int n_metrics;
    const char *judged_on, *out;
    bool refitted;
    int64_t n_train, n_valid, n_test, n_rejected;
    uint64_t seed;
    double seconds;
    const train_result *history;
} recipe_facts;
/* The training record that goes into the model file: nothing in it depends on clock, host, path or threads. */
souk_status recipe_record(model *m, const recipe_facts *f, souk_error *err);
souk_status recipe_report(recipe_result *r, const recipe_facts *f, souk_error *err);
/* One line per epoch, with seconds, appended to OUT.log.jsonl. */
souk_status recipe_log_file(const char *out, const train_result *history, souk_error *err);

#endif
