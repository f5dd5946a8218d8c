/* batch - a batch of rows as slices of the reader's buffer: what the scanners (csv, jsonl) produce and the reader
 * consumes.
 *
 * A cell is 8 bytes: an offset and a length, in `text` (the buffer) or in `scratch` (cells that had to be unescaped).
 * Rows that are not well-formed stay in the batch with the reason, so that they are counted and reported in the order
 * of the file. */
#ifndef SOUK_DATA_BATCH_H
#define SOUK_DATA_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define CELL_SCRATCH 0x80000000u /* the bytes are in batch.scratch */
#define CELL_STRING 0x40000000u  /* a JSON string: never a number */
#define CELL_LENGTH 0x3fffffffu

typedef struct cell {
    uint32_t at;
    uint32_t len; /* with the flags above */
} cell;

/* Why a row is rejected. `detail` depends on it. */
typedef enum row_fault {
    ROW_GOOD,
    ROW_FIELDS,     /* detail: fields found */
    ROW_LONG_FIELD, /* detail: column */
    ROW_LONG,       /* the whole row is over the limit */
    ROW_UTF8,       /* detail: byte within the row */
    ROW_JSON,       /* why: what is wrong; detail: byte within the row */
    ROW_KEY,        /* a key that the first rows have not; detail: byte within the row */
    ROW_CELL        /* the cell does not fit the column's type; detail: output column */
} row_fault;

typedef struct batch_row {
    uint32_t at, len; /* the row's bytes in text, without its line end */
    row_fault fault;
    int64_t detail;
    int64_t line;    /* 1-based, where it starts */
    const char *why; /* static text */
} batch_row;

typedef struct batch {
    const char *text;
    buf scratch;
    int n_columns;
    int n;
    cell *cells; /* [n, n_columns] */
    batch_row *rows;
    size_t cell_capacity, row_capacity;
} batch;

static inline const char *cell_bytes(const batch *b, const cell *c) {
    return (c->len & CELL_SCRATCH ? b->scratch.data : b->text) + c->at;
}

void batch_init(batch *b);
void batch_clear(batch *b);
void batch_reset(batch *b, const char *text, int n_columns);
/* Room for one more row and its cells (not counted in n yet). False: out of memory. */
bool batch_room(batch *b);

#endif
