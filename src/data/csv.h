/* csv - rows out of delimited text: CSV, TSV, plain lines (by bit masks of separators) and space-separated text.
 *
 * Quotes. CSV (RFC 4180, and what spreadsheets write): a field is quoted if its first byte is a quote; "" is a quote,
 * line ends inside are text; bytes behind the closing quote up to the delimiter are kept as they are; a quote elsewhere
 * is an ordinary byte. TSV and space: the same, but only if the closing quote stands before a delimiter or line end of
 * the same line; otherwise the field is taken literally (texts with stray quotes). Lines: quotes mean nothing. A line
 * ends at LF, CR or CRLF, mixed as they come. Lines without a byte are not rows. */
#ifndef SOUK_DATA_CSV_H
#define SOUK_DATA_CSV_H

#include "data/batch.h"
#include "data/table.h"

typedef struct csv_scan {
    table_format format;  /* CSV, TSV, SPACE or LINES */
    char delimiter;       /* LF for LINES */
    int64_t max_field;    /* bytes */
    size_t max_row;       /* bytes */
    int64_t line;         /* of the next byte, 1-based */
    uint64_t *separators; /* a bit for each byte of the text: delimiter, LF or CR */
    uint64_t *quotes;
    size_t words;   /* capacity of the two, in 64-bit words */
    uint32_t *ends; /* [n_ends] positions of the separators, and behind them that of the text's end */
    size_t n_ends, at, ends_capacity;
    bool saw_quoted; /* the current row has a quoted field */
    /* of a row too long for the buffer */
    bool skip_quoted, skip_quote_seen, skip_field_start, skip_cr;
    int64_t open_line; /* where the last quote was opened */
} csv_scan;

typedef enum csv_end { CSV_ROW, CSV_MORE, CSV_UNCLOSED, CSV_NOMEM } csv_end;

void csv_init(csv_scan *s, table_format format, char delimiter, int64_t max_field, size_t max_row);
void csv_clear(csv_scan *s);
/* Builds the masks of text[0..n); 64 bytes behind it must be readable. */
souk_status csv_mask(csv_scan *s, const char *text, size_t n, souk_error *err);
/* One row from *pos: up to `capacity` cells, *n_fields counts all. CSV_MORE: the text ends inside the row and `last` is
 * false. At the end of the text *pos == n and *n_fields is 0. Cells that need unescaping go to scratch. */
csv_end csv_row(csv_scan *s, const char *text, size_t n, bool last, size_t *pos, cell *cells, int capacity,
                int *n_fields, batch_row *row, buf *scratch);
/* Rows of text from *pos into b until b->n == max_rows or the text ends; *pos becomes where the next one starts. */
souk_status csv_rows(csv_scan *s, const char *text, size_t n, bool last, int max_rows, batch *b, size_t *pos,
                     const char *path, souk_error *err);
int64_t csv_count_lines(const char *p, size_t n); /* line ends in p[0..n) */
/* Passes over the rest of a row that is longer than max_row: *consumed bytes of text; true when its end was found.
 * csv_skip_begin first, at the row's first byte. At the end of the file without an end, csv_skip_unclosed says whether
 * a quote is open. */
void csv_skip_begin(csv_scan *s);
bool csv_skip(csv_scan *s, const char *text, size_t n, size_t *consumed);
souk_status csv_unclosed(const csv_scan *s, const char *path, souk_error *err);

#endif
