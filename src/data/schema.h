/* schema - what a cell is and what type a column has.
 *
 * The rule, over all rows that were read (streams: over the first 10,000), d distinct values among n present cells:
 *   empty     no cell is present
 *   number    every present cell is a number (JSON: and none a string), and none has more whole digits than a double
 * keeps binary    exactly two values, numbers or text id        a name like an identifier's (id, *_id, *Id, key, code,
 * uuid, index, nothing …) and d >= .95 n, n >= 3, whole numbers or single words; or whole numbers that go up by one
 * from 0 or 1 in an unnamed first column date      every present cell is a date: 2026-11-24, 2026/11/24, 24.11.2026,
 * 11/24/2026, each with an optional time, or 20261124 in a column whose name says date, day or time (that one is stored
 * as number) text      prose: on average 2.5 words or 40 bytes a cell, unless few distinct (d <= max(20, 2 sqrt n) and
 * d <= n / 3); or mostly distinct (d > n / 2) with 1.5 words a cell category  every other text */
#ifndef SOUK_DATA_SCHEMA_H
#define SOUK_DATA_SCHEMA_H

#include <string.h>

#include "data/table.h"

/* Empty, blank, or one of NA, N/A, NaN, nan, null, NULL, None, ? */
bool cell_missing(const char *p, size_t n);
/* By its first byte, which settles it for nearly every cell. */
static inline bool cell_may_be_missing(char first) {
    return first == 'N' || first == 'n' || first == '?' || first == ' ' || first == '\t';
}
/* A number, blanks around it allowed; decimal is '.' or ','. */
bool cell_number(const char *p, size_t n, char decimal, double *out);
/* Whole digits too many for a double: a code, which a number would blur. `v` is the cell's number. */
static inline bool cell_is_code(const char *p, size_t n, double v) {
    return (v > 0x1p53 || v < -0x1p53) && !memchr(p, '.', n) && !memchr(p, ',', n) && !memchr(p, 'e', n) &&
           !memchr(p, 'E', n);
}
bool cell_date(const char *p, size_t n);
/* Fills type and n_distinct of a column of n rows; `position` is its place in the table. False: out of memory. */
bool schema_infer(column *c, int64_t n, int position);
/* Recounts `missing` under the rule of the column's type. */
void schema_mark_missing(column *c, int64_t n);

#endif
