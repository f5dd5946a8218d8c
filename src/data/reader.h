/* reader - the stream of rows over files, inside the data layer: files, buffer, header, batches. table.h is its
 * outside. */
#ifndef SOUK_DATA_READER_H
#define SOUK_DATA_READER_H

#include "data/append.h"
#include "data/csv.h"
#include "data/jsonl.h"
#include "data/reject.h"
#include "data/sniff.h"
#include "data/source.h"
#include "data/where.h"

enum { READER_STAGE_ROWS = 10000, READER_STAGE_BYTES = 64 << 20, READER_MAX_COLUMNS = 65536 };

struct table_reader {
    table_options o;
    char *path; /* as asked for */
    char **paths;
    size_t n_paths, at; /* `at` is the file being read, n_paths at the end */
    source *src;
    /* the buffer: text[pos..n) is unread; 64 zero bytes lie behind it */
    char *text;
    size_t n, pos, capacity;
    bool eof, fresh; /* fresh: masks are up to date */
    bool skipping;   /* inside a row that is over the limit */
    size_t max_row;
    sniffed how;
    bool sniffed;
    csv_scan csv;
    jsonl_scan json;
    batch rows;
    /* columns of the source, and those that are wanted */
    char **names;
    int n_names;
    int *from; /* [n_out] */
    int n_out;
    const char **out_names; /* [n_out] */
    bool *told;             /* [n_out] */
    column_type *types;     /* [n_out] told, later inferred */
    bool *is_number;        /* [n_out] storage */
    where *filter;
    reject_log rejects;
    int64_t n_read, n_kept;
    bool done;
    append staged; /* the first rows, handed out first by table_next */
    bool has_stage;
    int64_t stage_pos, stage_bytes;
    int64_t told_read, told_rejected; /* already counted in a chunk */
    char describe[200];
};

/* Everything up to the first row. */
souk_status reader_open(table_reader **out, const char *path, const table_options *options, bool record,
                        souk_error *err);
/* Begins again at the first row, with the columns as they are. */
souk_status reader_restart(table_reader *r, souk_error *err);
/* Adds rows to `a` until it has `rows` more than at the start or the source ends (r->done). max_bytes > 0: stops behind
 * the row that reaches it. */
souk_status reader_rows(table_reader *r, append *a, int64_t rows, int64_t max_bytes, souk_error *err);

#endif
