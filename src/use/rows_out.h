/* rows_out - rows as CSV, JSON Lines or one JSON object, to a file (atomically) or to standard output. */
#ifndef SOUK_USE_ROWS_OUT_H
#define SOUK_USE_ROWS_OUT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

typedef struct rows_out rows_out;

/* as: "csv", "jsonl", "json" or NULL: by path's extension (.jsonl, .json, else CSV; .tsv: tabs). excel: a BOM, long
 * digit strings as text, and cells that a spreadsheet would take for formulas defused with an apostrophe. Nothing
 * appears at path before rows_out_commit. */
souk_status rows_out_open(rows_out **out, const char *path, const char *as, bool excel, souk_error *err);
void rows_out_column(rows_out *o, const char *name); /* header, in order */
souk_status rows_out_header_done(rows_out *o, souk_error *err);
void rows_out_text(rows_out *o, const char *s, size_t n); /* cells, in order */
/* A cell of a number column as it was read: in JSON a number, where it is written like one. */
void rows_out_number_text(rows_out *o, const char *s, size_t n);
void rows_out_number(rows_out *o, double v); /* shortest text that reads back; empty (null) for NaN */
souk_status rows_out_row_done(rows_out *o, souk_error *err);
souk_status rows_out_commit(rows_out *o, souk_error *err); /* frees o in every case */
void rows_out_abandon(rows_out *o);                        /* NULL is a no-op */

#endif
