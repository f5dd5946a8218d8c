/* jsonl - rows out of JSON Lines: one object a line, its keys the columns.
 *
 * Strings (escapes decoded), numbers, true and false are cells; null and an absent key are missing; an array or object
 * is kept as its JSON text. The columns are the keys of the first rows (JSONL_DISCOVER_ROWS or JSONL_DISCOVER_BYTES,
 * whichever comes first). A later new key makes its row bad, unless only named columns are wanted. A key twice in a row
 * makes it bad. Checked: the whole grammar of RFC 8259, depth at most 64, no NUL character. Lines end at LF; CR before
 * it is blank space. */
#ifndef SOUK_DATA_JSONL_H
#define SOUK_DATA_JSONL_H

#include "base/map.h"
#include "data/batch.h"

enum { JSONL_DISCOVER_ROWS = 10000, JSONL_DISCOVER_BYTES = 8 << 20, JSONL_MAX_COLUMNS = 4096, JSONL_MAX_DEPTH = 64 };

typedef struct jsonl_scan {
    int64_t max_field;
    size_t max_row;
    int64_t line;
    bool ignore_new; /* keys that are no columns are passed over */
    bool discover;
    map *keys;      /* every key seen while discovering; value: its column or -1 */
    int64_t *stamp; /* [keys] serial of the row that last held it: finds duplicates */
    size_t stamp_capacity;
    int64_t *row_keys; /* the current row's, while discovering */
    size_t n_row_keys, row_keys_capacity;
    int64_t serial;
    int n_columns;
    int64_t *columns; /* [n_columns] index in keys */
    size_t columns_capacity;
} jsonl_scan;

souk_status jsonl_init(jsonl_scan *s, int64_t max_field, size_t max_row, bool ignore_new, souk_error *err);
void jsonl_clear(jsonl_scan *s);
/* Takes the keys of the good rows of text[0..n), in order of appearance, as columns. */
souk_status jsonl_discover(jsonl_scan *s, const char *text, size_t n, bool last, souk_error *err);
const char *jsonl_column(const jsonl_scan *s, int column, size_t *len);
/* As csv_rows. */
souk_status jsonl_rows(jsonl_scan *s, const char *text, size_t n, bool last, int max_rows, batch *b, size_t *pos,
                       souk_error *err);

#endif
