/* init - initial values of a parameter: Keras' initialisers by name (reference: keras/src/initializers). */
#ifndef SOUK_NN_INIT_H
#define SOUK_NN_INIT_H

#include "base/rng.h"
#include "nn/net.h"

/* Fills values [dims] from the sequence of `key`: computed in double, rounded once. SOUK_NOMEM is the only failure. */
souk_status init_values(const init_def *def, rng_key key, int rank, const int64_t *dims, real *values, souk_error *err);

/* Keras' fans: kernel [K…, in, out] has fan_in K·in and fan_out K·out; a vector counts as both. */
void init_fans(int rank, const int64_t *dims, double *fan_in, double *fan_out);

#endif
