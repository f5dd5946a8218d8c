/* read - tables from readers: types from the first rows, chunks of a stream, whole tables.
 *
 * The first 10,000 rows (or 64 MiB) are staged as text; a column whose present cells are all numbers becomes one. A
 * stream keeps to these types. A whole table takes them as a guess: a column that later turns out to hold something
 * else is dropped for the rest of the pass, and a second pass over the source reads it as text. Guesses fail rarely,
 * and this way a number's text is never kept beside it. Standard input is recorded for the second pass.
 *
 * Invariant: table_read's types depend on all rows, table_next's on the first ones, neither on chunks. */
#include <string.h>

#include "base/mem.h"
#include "data/reader.h"
#include "data/schema.h"

enum { CHUNK_ROOM = 8192 }; /* rows of a chunk that get their room at once */

/* Reads the first rows and decides the storage of each column. `unseen`: what a column without any value is. */
static souk_status stage(table_reader *r, bool unseen, souk_error *err) {
    TRY(append_begin(&r->staged, r->n_out, r->out_names, r->is_number, r->from, &r->o, err));
    r->has_stage = true;
    r->stage_bytes = 0;
    TRY(reader_rows(r, &r->staged, READER_STAGE_ROWS, READER_STAGE_BYTES, err));
    table *t = r->staged.t;
    for (int k = 0; k < t->n_columns; k++) {
        column *c = t->columns + k;
        if (r->told[k] || c->is_number) continue;
        bool number = !r->staged.strings[k] && (unseen || c->n_missing < t->n);
        for (int64_t i = 0; i < t->n && number; i++) {
            double v;
            if (c->missing[i]) continue;
            const char *p = c->bytes + c->offset[i];
            size_t len = (size_t)(c->offset[i + 1] - c->offset[i]);
            number = cell_number(p, len, r->o.decimal, &v) && !cell_is_code(p, len, v);
        }
        r->is_number[k] = number;
        if (number && t->n > 0) TRY(append_convert(&r->staged, k, err));
        c->is_number = number;
    }
    return SOUK_OK;
}

/* A column without a value is text without bytes, whatever it was taken for. */
static bool make_empty(column *c, int64_t n) {
    if (!c->offset) c->offset = mem_calloc((size_t)n + 1, sizeof *c->offset);
    if (!c->bytes) c->bytes = mem_alloc(1);
    if (!c->offset || !c->bytes) return false;
    mem_free(c->number);
    c->number = NULL;
    c->is_number = false;
    return true;
}

/* Types and distinct counts of a finished table. */
static souk_status finish(const table_reader *r, table *t, souk_error *err) {
    for (int k = 0; k < t->n_columns; k++) {
        column *c = t->columns + k;
        if (!schema_infer(c, t->n, k)) return err_nomem(err, "judging the columns");
        if (c->type == COLUMN_EMPTY && c->is_number && !r->told[k] && !make_empty(c, t->n))
            return err_nomem(err, "judging the columns");
        if (r->told[k]) {
            c->type = r->types[k];
            schema_mark_missing(c, t->n);
        }
    }
    return SOUK_OK;
}

souk_status table_open(table_reader **out, const char *path, const table_options *options, souk_error *err) {
    souk_status status = SOUK_OK;
    TRY(reader_open(out, path, options, false, err));
    table_reader *r = *out;
    TRY_DONE(stage(r, false, err));
    TRY_DONE(finish(r, r->staged.t, err));
    for (int k = 0; k < r->n_out; k++) r->types[k] = r->staged.t->columns[k].type;
    return SOUK_OK;
done:
    table_close(r);
    *out = NULL;
    return status;
}

const char *table_describe(const table_reader *r) { return r->describe; }
int64_t table_rejected(const table_reader *r) { return r->rejects.n; }

souk_status table_next(table_reader *r, int64_t max_rows, table **out, souk_error *err) {
    append a;
    souk_status status = SOUK_OK;
    *out = NULL;
    if (max_rows <= 0) return err_set(err, SOUK_USAGE, "a chunk needs at least one row");
    TRY(append_begin(&a, r->n_out, r->out_names, r->is_number, r->from, &r->o, err));
    a.text_rule_known = true;
    for (int k = 0; k < r->n_out; k++) a.t->columns[k].type = r->types[k];
    int64_t left = r->has_stage ? r->staged.t->n - r->stage_pos : 0;
    if (left > 0) { /* staged rows come alone: a chunk may be shorter than asked for */
        int64_t n = left < max_rows ? left : max_rows;
        TRY_DONE(append_copy(&a, r->staged.t, r->stage_pos, n, err));
        r->stage_pos += n;
    } else {
        if (r->has_stage) {
            append_drop(&r->staged);
            r->has_stage = false;
        }
        r->stage_bytes = 0;
        TRY_DONE(append_reserve(&a, max_rows < CHUNK_ROOM ? max_rows : CHUNK_ROOM, err));
        TRY_DONE(reader_rows(r, &a, max_rows, 0, err));
    }
    a.t->n_read = r->n_read - r->told_read;
    a.t->n_rejected = r->rejects.n - r->told_rejected;
    r->told_read = r->n_read;
    r->told_rejected = r->rejects.n;
    *out = append_take(&a);
    return SOUK_OK;
done:
    append_drop(&a);
    return status;
}

static souk_status nothing(const table_reader *r, souk_error *err) {
    const char *name = strcmp(r->path, "-") == 0 ? "standard input" : r->path;
    if (r->n_read == 0) return err_set(err, SOUK_INPUT, "%s has a header and no rows", name);
    if (r->o.where && r->rejects.n < r->n_read)
        return err_set(err, SOUK_INPUT, "%s: none of its %lld rows meets --where %s", name, (long long)r->n_read,
                       r->o.where);
    return err_set(err, SOUK_INPUT, "%s: none of its %lld rows can be read; the first is %s", name,
                   (long long)r->n_read, r->rejects.first);
}

/* Rows that a plain file holds, by its size and the rows so far; 0: no telling. Only a hint for the room of columns. */
static int64_t expected_rows(const table_reader *r) {
    int64_t size = r->n_paths == 1 && !source_compression(r->src) ? fs_size(r->paths[0]) : -1;
    if (size <= 0 || r->n_kept == 0 || r->stage_bytes <= 0 || r->o.max_rows > 0) return 0;
    double kept = (double)r->n_kept, bytes = (double)r->stage_bytes + kept; /* a line end each */
    double rows = 1.02 * (double)size / bytes * kept * kept / (double)r->n_read;
    double most = 4 * (double)size / (double)r->n_out / 9; /* the first rows may be shorter than the rest */
    return (int64_t)(rows < most ? rows : most);
}

/* One pass over the source into r->staged. *again: some columns are not what they seemed. */
static souk_status pass(table_reader *r, bool *again, souk_error *err) {
    append *a = &r->staged;
    a->misfit = mem_calloc((size_t)r->n_out, sizeof *a->misfit);
    if (!a->misfit) return err_nomem(err, "reading a table");
    a->strict = r->told;
    if (!r->done) append_expect(a, expected_rows(r));
    while (!r->done) TRY(reader_rows(r, a, INT64_MAX, 0, err));
    *again = false;
    for (int k = 0; k < r->n_out; k++)
        if (a->misfit[k]) {
            r->is_number[k] = false;
            *again = true;
        }
    return SOUK_OK;
}

souk_status table_read(table **out, const char *path, const table_options *options, souk_error *err) {
    table_reader *r = NULL;
    souk_status status = SOUK_OK;
    bool again = false;
    *out = NULL;
    TRY(reader_open(&r, path, options, true, err));
    TRY_DONE(stage(r, true, err));
    TRY_DONE(pass(r, &again, err));
    for (int tries = 0; again; tries++) {
        if (tries == 3) TRY_DONE(err_set(err, SOUK_FAILED, "%s changes while it is read", path));
        append_drop(&r->staged);
        TRY_DONE(reader_restart(r, err));
        TRY_DONE(append_begin(&r->staged, r->n_out, r->out_names, r->is_number, r->from, &r->o, err));
        TRY_DONE(pass(r, &again, err));
    }
    table *t = r->staged.t;
    if (t->n == 0) TRY_DONE(nothing(r, err));
    TRY_DONE(finish(r, t, err));
    t->n_read = r->n_read;
    t->n_rejected = r->rejects.n;
    *out = append_take(&r->staged);
    r->has_stage = false;
done:
    table_close(r);
    return status;
}
