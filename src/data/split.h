/* split - which rows train, which validate, which judge: by a hash of the row's number, or in order of time. */
#ifndef SOUK_DATA_SPLIT_H
#define SOUK_DATA_SPLIT_H

#include "data/table.h"

/* Row positions (not global numbers) of each part, ascending; the parts are disjoint and cover the table. */
typedef struct split {
    int64_t *train, *valid, *test;
    int64_t n_train, n_valid, n_test;
    bool by_time;
    bool last; /* the validation rows are the last ones */
} split;

typedef struct split_shares {
    double train, valid, test;
} split_shares; /* not negative, train > 0; used as shares of their sum */
/* "70:10:20" (any positive scale). */
souk_status split_parse(const char *text, split_shares *out, souk_error *err);
/* By a hash of each row's global number and the seed: adding rows at the end moves none of the others. */
souk_status split_by_hash(split *out, const table *t, split_shares shares, uint64_t seed, souk_error *err);
/* Oldest rows train, newest judge; equal times stay together in the earlier part. The column is a number or an ISO
 * date. */
souk_status split_by_time(split *out, const table *t, const char *column_name, split_shares shares, souk_error *err);
/* Keras' validation_split: of rows[0..n) (NULL: the table's order) the last part, n - floor(n * (1 - v)), validates; no
 * test rows. */
souk_status split_last(split *out, int64_t n, double v, souk_error *err);
/* All rows train. */
souk_status split_none(split *out, int64_t n, souk_error *err);
void split_clear(split *s);

#endif
