/* loop - fit: epochs of batches, validation, schedules, early stopping, checkpoints, exact resume, callbacks.
 *
 * Bits depend on spec, data and seed alone: not on threads, instruction set, interruption or checkpoint times. */
#ifndef SOUK_TRAIN_LOOP_H
#define SOUK_TRAIN_LOOP_H

#include "model/model.h"

typedef struct epoch_record {
    int64_t epoch;                                 /* 1-based */
    double seconds, loss, val_loss, learning_rate; /* val_loss NaN without validation */
    int n_metrics; /* of the training batches as the weights moved (Keras), and val_… */
    const char *metric_name[8];
    double metric[8];
} epoch_record;

typedef struct train_progress {
    int64_t epoch, epochs; /* epoch 1-based */
    int64_t step, steps;   /* within the epoch */
    int64_t rows_per_second;
    double seconds_left;
    double loss;                  /* running mean of this epoch */
    double accuracy;              /* NaN for number outputs */
    const epoch_record *finished; /* set once at the end of each epoch */
} train_progress;

typedef struct train_options {
    uint64_t seed;
    pool *pool;
    const char *checkpoint_path; /* NULL: none; OUT.ckpt */
    bool resume; /* start from the checkpoint when it is there; refused (SOUK_INPUT) when data, spec or seed differ */
    const char *fingerprint;                                  /* of data and split, stored in the checkpoint */
    bool (*progress)(void *context, const train_progress *p); /* about ten times a second and at each epoch's end; false
                                                                 stops: SOUK_INTERRUPTED after a checkpoint */
    void *context;
    const int64_t *fixed_order; /* tests: the rows of all epochs in order [epochs * n], instead of shuffling; NULL */
} train_options;

typedef struct train_result {
    int64_t n_epochs, best_epoch; /* 1-based; best by the monitored value */
    bool stopped_early;
    epoch_record *history; /* [n_epochs] of this and earlier, resumed runs */
    double seconds;
} train_result;
void train_result_clear(train_result *r);

/* Trains m in place (weights of the best epoch when early stopping restores them). valid may be NULL. */
souk_status train_fit(model *m, const dataset *train, const dataset *valid, const train_options *options,
                      train_result *result, souk_error *err);

#endif
