/* interval - bootstrap percentile intervals for any number of statistics at once. */
#ifndef SOUK_STAT_INTERVAL_H
#define SOUK_STAT_INTERVAL_H

#include <stdint.h>

#include "base/err.h"
#include "base/thread.h"

/* values [m] of the statistics under row weights w [n]; NaN: undefined. worker tells scratch apart. */
typedef void (*interval_fn)(void *context, const double *w, int worker, double *values);

/* The 95 % interval of each statistic: rows are drawn n at a time with replacement, `replicates` times, and low and
 * high [m] are the 2.5 and 97.5 percentiles. w [n] are the rows' own weights (NULL: ones); a row drawn twice counts
 * twice. Replicates where a statistic is undefined are left out; where more than half are, its interval is NaN. Same
 * bits on any number of threads. */
souk_status interval_bootstrap(int64_t n, const double *w, int replicates, uint64_t seed, int m, interval_fn fn,
                               void *context, pool *workers, double *low, double *high, souk_error *err);
/* q in [0,1] of sorted x [n], linear between neighbours (numpy's default, Hyndman & Fan type 7). */
double interval_percentile(const double *sorted, int64_t n, double q);

#endif
