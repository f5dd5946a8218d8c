/* sched - learning-rate schedules, by optimiser step (and by epoch for plateau). Keras' formulas. */
#ifndef SOUK_TRAIN_SCHED_H
#define SOUK_TRAIN_SCHED_H

#include <stdbool.h>
#include <stdint.h>

#include "model/opt_types.h"

double sched_rate(const sched_options *o, double base_rate, int64_t step, int64_t total_steps);
typedef struct sched_plateau {
    double best, rate;
    int wait, cooldown_left;
} sched_plateau;
void sched_plateau_init(sched_plateau *s, double rate);
/* After each epoch with the monitored value (lower is better); returns the rate for the next epoch. */
double sched_plateau_update(sched_plateau *s, const sched_options *o, double monitored);

#endif
