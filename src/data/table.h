/* table - rows from files as columns: what every reader produces and what feat consumes.
 *
 * A column is text or number. Types are inferred from what was read, unless told (table_options.types); schema.h has
 * the rule. Blank lines are not rows. A cell is missing when it is empty or only spaces, or one of NA, N/A, NaN, nan,
 * null, NULL, None, ?; in a column of type text only the empty cell is. column_text gives a missing cell's bytes all
 * the same. Row numbers are global (0-based over all files, rejected rows counted too, so that a row's hash never
 * depends on --max-bad). */
#ifndef SOUK_DATA_TABLE_H
#define SOUK_DATA_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"

typedef enum column_type {
    COLUMN_NUMBER,
    COLUMN_BINARY,
    COLUMN_CATEGORY,
    COLUMN_TEXT,
    COLUMN_DATE,
    COLUMN_ID,
    COLUMN_EMPTY
} column_type;

typedef struct column {
    char *name;
    column_type type; /* inferred or told */
    bool is_number;   /* storage: true: number[]; false: text */
    double *number;   /* [n]; NaN where missing */
    uint64_t *offset; /* [n+1] into bytes */
    char *bytes;      /* all cells, not NUL-separated */
    uint8_t *missing; /* [n] 1: missing (empty, NA, NaN, null, NULL, None, N/A, ? as documented) */
    int64_t n_missing;
    int64_t n_distinct; /* exact up to 1,000, then -1 */
} column;

typedef struct table {
    int64_t n; /* rows */
    int n_columns;
    column *columns;
    int64_t *row;   /* [n] global row number of each row */
    int64_t *line;  /* [n] line (1-based) in its file where the row starts */
    int64_t n_read; /* rows seen, rejected ones included */
    int64_t n_rejected;
} table;

typedef enum table_format { TABLE_AUTO, TABLE_CSV, TABLE_TSV, TABLE_SPACE, TABLE_JSONL, TABLE_LINES } table_format;

typedef struct table_options {
    table_format
        format; /* AUTO: by extension (also behind .gz, .zst), then by sniffing; LINES: one text column, a line each */
    char delimiter;           /* 0: sniffed among , ; TAB |. TAB means TSV unless the format says CSV */
    char decimal;             /* 0 or '.'; ',' for decimal commas */
    int header;               /* -1: sniffed; 0: no (c1, c2 …); 1: yes */
    const char *where;        /* filter expression or NULL: comparisons, and, or, not, in (…), is null, parentheses */
    const char *reject_path;  /* NULL: rejected rows are only counted; else JSON Lines {file, line, reason, text} */
    double max_bad;           /* share of rows that may be rejected, default .01; beyond it SOUK_INPUT */
    int64_t max_field;        /* bytes; default 16 MiB */
    int64_t max_rows;         /* 0: all */
    const char *const *types; /* pairs name, type-name, … NULL: "label", "category" */
    const char *const *keep;  /* NULL-terminated names of the only columns wanted, or NULL; a name that is not there:
                                 SOUK_INPUT with the nearest */
    bool keep_optional;       /* names in `keep` that are not there are skipped */
    bool
        keep_text; /* number columns keep their cells' text too (offset, bytes): predict gives rows back as they were */
    int64_t read_size; /* bytes asked of the source at a time; 0: 256 KiB. The result does not depend on it. */
} table_options;
table_options table_options_default(void);

/* A stream of rows over files: PATH, a glob, or "-" (standard input). Memory is bounded by the chunk. */
typedef struct table_reader table_reader;
souk_status table_open(table_reader **out, const char *path, const table_options *options, souk_error *err);
/* The next chunk of at most max_rows rows; an empty table (n = 0) at the end. Column types are those inferred from the
 * first chunk (at least 10,000 rows or the whole source); a later cell that does not fit is a rejected row with its
 * reason. Caller table_free's *out. */
souk_status table_next(table_reader *r, int64_t max_rows, table **out, souk_error *err);
/* What was sniffed, as one line: "CSV, comma, header, UTF-8, 4 columns". Borrowed. */
const char *table_describe(const table_reader *r);
int64_t table_rejected(const table_reader *r);
void table_close(table_reader *r);

/* The whole source in memory; types inferred from all rows. */
souk_status table_read(table **out, const char *path, const table_options *options, souk_error *err);
void table_free(table *t);
column *table_column(const table *t, const char *name); /* NULL: none */
/* The same, with the error that names the nearest column. `where` names the source for the message. */
souk_status table_require(const table *t, const char *name, const char *where, column **out, souk_error *err);
/* That error, for names [n]. */
souk_status table_no_column(const char *const *names, int n, const char *name, const char *where, souk_error *err);
const char *column_text(const column *c, int64_t row, size_t *len); /* text storage only */
const char *column_type_name(column_type type);                     /* "number", "binary", … */
bool column_type_parse(const char *name, column_type *out);
/* Hash of a row's content-independent number, for splits: the same on every machine. */
uint64_t table_row_hash(uint64_t seed, int64_t row);
/* BLAKE-free fingerprint of everything read (names, cells, order): 64 bits as 16 hex digits; for checkpoints and
 * records. */
void table_fingerprint(const table *t, char out[17]);

#endif
