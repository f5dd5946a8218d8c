/* append - batches of rows onto the columns of a table. */
#ifndef SOUK_DATA_APPEND_H
#define SOUK_DATA_APPEND_H

#include "data/batch.h"
#include "data/table.h"

typedef struct append {
    table *t;
    const int *from; /* [t->n_columns] column of the batch */
    char decimal;
    bool text_rule_known; /* the columns' types are known: text columns take only the empty cell as missing */
    bool keep_text;       /* number columns hold their text too */
    size_t capacity;      /* rows */
    size_t *bytes;        /* [t->n_columns] capacity of each text column's bytes */
    bool *strings;        /* [t->n_columns] a present cell was a JSON string */
    bool *misfit;       /* NULL: a cell that is not a number makes its row bad; else it makes misfit[column] true … */
    const bool *strict; /* … unless strict[column] */
} append;

/* An empty table with these columns (names copied); is_number[] is their storage. Caller append_take's or append_drop's
 * it. */
souk_status append_begin(append *a, int n_columns, const char *const *names, const bool *is_number, const int *from,
                         const table_options *options, souk_error *err);
/* Adds the rows pick[0..n) of b, rows numbers first_row + pick[i]. Rows with a misfit get the fault ROW_CELL and are
 * left out. */
souk_status append_rows(append *a, batch *b, int *pick, int n, int64_t first_row, souk_error *err);
/* Adds rows from, from + 1 … of a table with the same columns. */
souk_status append_copy(append *a, const table *s, int64_t from, int64_t n, souk_error *err);
/* Makes a number column of a text one; every present cell must be a number. */
souk_status append_convert(append *a, int column, souk_error *err);
/* That the table will have about `rows` rows like those it has: makes the room for them if it can. */
void append_expect(append *a, int64_t rows);
/* Room for `rows` more at once. */
souk_status append_reserve(append *a, int64_t rows, souk_error *err);
table *append_take(append *a);
void append_drop(append *a);

#endif
