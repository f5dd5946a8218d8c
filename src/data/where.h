/* where - a row filter: comparisons (= == != <> < <= > >=), and, or, not, [not] in (...), is [not] null, parentheses.
 *
 * Names are bare or in "double quotes" or `backticks`; text is in 'single quotes', '' being a quote in it; true and
 * false are text that matches in any case. Two sides that are numbers compare as numbers, else their bytes do. A
 * missing cell is null: a comparison with it is neither true nor false, as in SQL, and only rows for which the whole is
 * true are kept. */
#ifndef SOUK_DATA_WHERE_H
#define SOUK_DATA_WHERE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

typedef struct where where;

/* `names` are the columns that may be named; `decimal` is the decimal sign of the cells. A mistake is SOUK_USAGE (an
 * unknown column SOUK_INPUT) with the position in the expression as err->byte. */
souk_status where_compile(where **out, const char *expression, const char *const *names, size_t n_names, char decimal,
                          souk_error *err);
/* The cell of `column` in the row at hand. */
typedef const char *(*where_cell)(const void *context, int column, size_t *len);
bool where_match(const where *w, where_cell cell, const void *context);
void where_free(where *w);

#endif
