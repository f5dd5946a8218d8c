/* opt - optimisers over a list of parameters: Keras' update rules, and PyTorch's by name. Also part of the double
 * build.
 *
 * Order of one step, as in Keras: (accumulation average) → clipping → decoupled weight decay → update → EMA.
 * Weight decay is decoupled, but for PyTorch's SGD, Adam, RMSprop and Adagrad, which add it to the gradient. */
#ifndef SOUK_TRAIN_OPT_H
#define SOUK_TRAIN_OPT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/thread.h"
#include "graph/plan.h"

#include "model/opt_types.h"

typedef struct opt_param { /* description of one parameter */
    const char *name;
    real *value;
    int64_t count;
    int64_t row_width; /* tables: width of a row; else 0 */
    bool trainable, is_table, is_bias_or_norm;
} opt_param;

typedef struct opt opt;
/* Names are copied; values are borrowed for the life of the optimiser. */
souk_status opt_new(opt **out, const opt_options *options, const opt_param *params, int n, souk_error *err);
void opt_free(opt *o);
/* Adds one micro-batch's gradients (g[i] NULL where not trained); every `accumulate` calls it makes a step and returns
 * true. learning_rate is the schedule's value for this step. Allocates nothing. */
bool opt_step(opt *o, const param_grad *const *g, double learning_rate, pool *crew);
int64_t opt_iterations(const opt *o); /* steps made */

/* Tables of lazy_from parameters or more lag behind where rows had no gradient. Before a forward pass reads rows
 * ids[0..n) of parameter i, this brings them up to date; nothing happens for other parameters. Ids outside the table
 * are ignored. */
void opt_prepare(opt *o, int i, const int32_t *ids, int64_t n, pool *crew);
bool opt_is_lazy(const opt *o, int i);
void opt_flush(opt *o, pool *crew); /* all rows up to date; before reading or saving weights */

/* The exponential moving average of parameter i (after opt_flush); NULL without EMA or where i is not trained. */
const real *opt_average(const opt *o, int i);
/* State for checkpoints: number of slots, and each as (name, values, count). Values may be written to restore, then the
 * counters. */
int opt_slots(const opt *o);
void opt_slot(const opt *o, int i, const char **name, real **values, int64_t *count);
int64_t opt_counter(const opt *o, int i); /* i: 0 iterations, 1 micro-step within accumulation */
void opt_set_counter(opt *o, int i, int64_t v);
double opt_last_norm(const opt *o); /* global gradient norm of the last step, when clipping by global norm; else NaN */

#endif
