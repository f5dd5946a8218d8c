/* reader - rows over files: opens them one after the other, keeps the buffer, checks headers and encoding, runs the
 * filter.
 *
 *     text: [ used | pos: unread rows … partial row :n | 64 zero bytes ]
 *
 * When no whole row is left, the partial one moves to the front and more is read behind it; the buffer doubles for a
 * row that does not fit, up to max_row, beyond which the row is passed over and rejected. Which file, line and row a
 * byte belongs to never depends on where reads or the buffer cut the text.
 *
 * Invariant: a batch lies in one file, and its cells are slices of the buffer until the next fill. */
#include "data/reader.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "data/schema.h"
#include "simd/kern.h"

enum { READ_SIZE = 256 * 1024, PAD = 64, BATCH_CELLS = 1 << 13, ROW_SLACK = 1 << 20 };

static const char *shown(const char *path) { return strcmp(path, "-") == 0 ? "standard input" : path; }
static const char *file_name(const table_reader *r) {
    return shown(r->paths[r->at < r->n_paths ? r->at : r->n_paths - 1]);
}

/* ---- the buffer ---- */

static bool text_room(table_reader *r, size_t capacity) {
    if (capacity + PAD <= r->capacity) return true;
    char *p = mem_realloc(r->text, capacity + PAD, 1);
    if (!p) return false;
    r->text = p;
    r->capacity = capacity + PAD;
    return true;
}

static int64_t line_at(const table_reader *r) { return r->how.format == TABLE_JSONL ? r->json.line : r->csv.line; }

/* Until `want` unread bytes are there, or the end of the file. */
static souk_status fill(table_reader *r, size_t want, souk_error *err) {
    if (r->pos > 0) memmove(r->text, r->text + r->pos, r->n - r->pos);
    r->n -= r->pos;
    r->pos = 0;
    r->fresh = false;
    while (r->n < want && !r->eof) {
        size_t room = r->n + (r->n > READ_SIZE ? r->n : READ_SIZE),
               got = 0; /* grows with what comes, not with what is hoped for */
        if (!text_room(r, room < want ? room : want)) return err_nomem(err, "reading a table");
        size_t ask = r->capacity - PAD < want ? r->capacity - PAD - r->n : want - r->n;
        if (r->o.read_size > 0 && ask > (size_t)r->o.read_size) ask = (size_t)r->o.read_size;
        TRY(source_read(r->src, r->text + r->n, ask, &got, err));
        r->eof = got == 0;
        if (r->sniffed && memchr(r->text + r->n, 0, got)) {
            const char *nul = memchr(r->text + r->n, 0, got);
            int64_t line = line_at(r) + csv_count_lines(r->text, (size_t)(nul - r->text));
            return err_at(err, SOUK_INPUT, line, -1, "%s:%lld: a NUL byte; text has none. Remove them: tr -d '\\000'%s",
                          file_name(r), (long long)line,
                          strcmp(file_name(r), shown("-")) ? " < FILE > clean.csv" : " in the pipe");
        }
        r->n += got;
    }
    if (!text_room(r, r->n)) return err_nomem(err, "reading a table");
    memset(r->text + r->n, 0, PAD);
    return SOUK_OK;
}

static souk_status more(table_reader *r, souk_error *err) {
    size_t held = r->n - r->pos, step = held > READ_SIZE ? held : READ_SIZE;
    if (r->o.read_size > 0) step = (size_t)r->o.read_size + held / 4; /* a long row still arrives in few steps */
    return fill(r, held + step, err);
}

static souk_status masks(table_reader *r, souk_error *err) {
    if (r->fresh || r->how.format == TABLE_JSONL) return SOUK_OK;
    r->fresh = true;
    return csv_mask(&r->csv, r->text, r->n, err);
}

/* ---- columns ---- */

static bool names_room(table_reader *r, int n) {
    r->names = mem_calloc((size_t)n, sizeof *r->names);
    r->n_names = r->names ? n : 0;
    return r->names != NULL;
}

/* A header's names, or c1, c2 … where it has none. */
static souk_status take_names(table_reader *r, const batch *b, int n, bool header, souk_error *err) {
    if (!names_room(r, n)) return err_nomem(err, "reading a header");
    for (int i = 0; i < n; i++) {
        const char *p = header ? cell_bytes(b, b->cells + i) : NULL;
        size_t len = header ? b->cells[i].len & CELL_LENGTH : 0;
        while (len > 0 && (*p == ' ' || *p == '\t')) p++, len--;
        while (len > 0 && (p[len - 1] == ' ' || p[len - 1] == '\t')) len--;
        r->names[i] = len > 0 ? mem_strndup(p, len) : mem_printf("c%d", i + 1);
        if (!r->names[i]) return err_nomem(err, "reading a header");
    }
    map *seen = map_new();
    souk_status status = seen ? SOUK_OK : err_nomem(err, "reading a header");
    for (int i = 0; i < n && status == SOUK_OK; i++) {
        bool is_new = false;
        int64_t at = map_put(seen, r->names[i], strlen(r->names[i]), &is_new);
        if (at < 0)
            status = err_nomem(err, "reading a header");
        else if (!is_new)
            status = err_at(err, SOUK_INPUT, 1, -1,
                            "%s: two columns are named \"%s\" (number %lld and number %d); give each its own name, or "
                            "read with --no-header if the first line is data",
                            file_name(r), r->names[i], (long long)at + 1, i + 1);
    }
    map_free(seen);
    return status;
}

/* The header of a further file must repeat the first one's. */
static souk_status same_names(table_reader *r, const batch *b, int n, souk_error *err) {
    for (int i = 0; i < n && i < r->n_names; i++) {
        const char *p = cell_bytes(b, b->cells + i);
        size_t len = b->cells[i].len & CELL_LENGTH;
        while (len > 0 && (*p == ' ' || *p == '\t')) p++, len--;
        while (len > 0 && (p[len - 1] == ' ' || p[len - 1] == '\t')) len--;
        char standard[16];
        snprintf(standard, sizeof standard, "c%d", i + 1);
        bool same = len > 0 ? strlen(r->names[i]) == len && memcmp(r->names[i], p, len) == 0
                            : strcmp(r->names[i], standard) == 0;
        if (!same)
            return err_at(err, SOUK_INPUT, 1, -1,
                          "%s: column %d is \"%.*s\", but \"%s\" in %s; files read together need the same header",
                          file_name(r), i + 1, len < 100 ? (int)len : 100, p, r->names[i], shown(r->paths[0]));
    }
    if (n != r->n_names)
        return err_at(err, SOUK_INPUT, 1, -1,
                      "%s has %d columns, but %s has %d; files read together need the same header", file_name(r), n,
                      shown(r->paths[0]), r->n_names);
    return SOUK_OK;
}

/* The first row of a file; *n 0: there is none. Consumed only as a header. */
static souk_status first_row(table_reader *r, int *n, souk_error *err) {
    batch *b = &r->rows;
    int capacity = 256;
    for (;;) {
        TRY(masks(r, err));
        batch_reset(b, r->text, capacity);
        if (!batch_room(b)) return err_nomem(err, "reading a header");
        size_t pos = r->pos;
        int64_t line = r->csv.line;
        csv_end e = csv_row(&r->csv, r->text, r->n, r->eof, &pos, b->cells, capacity, n, b->rows, &b->scratch);
        bool header = r->how.header && e == CSV_ROW && *n > 0 && *n <= capacity;
        if (header || e == CSV_MORE) /* blank lines before the first row are passed once, however many they are */
            r->pos = pos;
        else
            r->csv.line = line;
        if (e == CSV_UNCLOSED) return csv_unclosed(&r->csv, file_name(r), err);
        if (e == CSV_NOMEM) return err_nomem(err, "reading a header");
        if (e == CSV_MORE) {
            if (r->n - r->pos > r->max_row)
                return err_at(err, SOUK_INPUT, 1, -1, "%s: the first line is longer than %lld bytes; is this a table?",
                              file_name(r), (long long)r->max_row);
            TRY(more(r, err));
            continue;
        }
        if (*n > READER_MAX_COLUMNS)
            return err_at(err, SOUK_INPUT, 1, -1, "%s: %d columns; a table has at most %d", file_name(r), *n,
                          READER_MAX_COLUMNS);
        if (*n > capacity) {
            capacity = *n;
            continue;
        }
        if (*n > 0 && header && !utf8_valid(r->text + b->rows->at, b->rows->len))
            return err_at(err, SOUK_INPUT, b->rows->line, -1,
                          "%s:%lld: the header is not UTF-8; if it is Latin-1, convert it: iconv -f LATIN1 -t UTF-8 %s "
                          "> utf8.csv",
                          file_name(r), (long long)b->rows->line, file_name(r));
        return SOUK_OK;
    }
}

/* ---- files ---- */

static souk_status empty_file(const table_reader *r, souk_error *err) {
    return err_set(err, SOUK_INPUT, "%s is empty; a table needs at least one row", file_name(r));
}

/* Columns of the file at hand: from its header, its first row, or its keys. */
static souk_status begin_columns(table_reader *r, souk_error *err) {
    bool first = !r->names;
    int n = 0;
    if (r->how.format == TABLE_JSONL) {
        if (!first) return SOUK_OK;
        TRY(fill(r, JSONL_DISCOVER_BYTES, err));
        TRY(jsonl_discover(&r->json, r->text, r->n < JSONL_DISCOVER_BYTES ? r->n : JSONL_DISCOVER_BYTES,
                           r->eof && r->n <= JSONL_DISCOVER_BYTES, err));
        if (r->json.n_columns == 0) {
            if (r->n == 0) return empty_file(r, err);
            return err_at(
                err, SOUK_INPUT, 1, -1,
                "%s:1: no line is a JSON object with a key; JSON Lines has one object a line: {\"column\": value, ...}",
                file_name(r));
        }
        if (!names_room(r, r->json.n_columns)) return err_nomem(err, "reading keys");
        for (int i = 0; i < r->n_names; i++) {
            size_t len;
            const char *p = jsonl_column(&r->json, i, &len);
            if (!(r->names[i] = mem_strndup(p, len))) return err_nomem(err, "reading keys");
        }
        return SOUK_OK;
    }
    TRY(first_row(r, &n, err));
    if (n == 0) return first || r->how.header ? empty_file(r, err) : SOUK_OK;
    if (first) return take_names(r, &r->rows, n, r->how.header, err);
    return r->how.header ? same_names(r, &r->rows, n, err) : SOUK_OK;
}

static souk_status begin_file(table_reader *r, souk_error *err) {
    r->n = r->pos = 0;
    r->eof = r->skipping = false;
    bool was_sniffed = r->sniffed;
    r->sniffed = false; /* the first fill is judged by sniff_encoding, which tells UTF-16 from stray NUL bytes */
    TRY(fill(r, SNIFF_BYTES, err));
    TRY(sniff_encoding(file_name(r), r->text, r->n, err));
    if (r->n >= 3 && memcmp(r->text, "\xef\xbb\xbf", 3) == 0) {
        r->pos = 3;
        TRY(fill(r, r->n - 3, err)); /* to the front, so that the masks begin there */
    }
    if (!was_sniffed) {
        TRY(sniff(r->paths[0], r->text, r->n, r->eof, &r->o, &r->how, err));
        if (r->how.format == TABLE_JSONL)
            TRY(jsonl_init(&r->json, r->o.max_field, r->max_row, r->o.keep != NULL, err));
        else
            csv_init(&r->csv, r->how.format, r->how.delimiter, r->o.max_field, r->max_row);
    }
    r->sniffed = true;
    r->csv.line = r->json.line = 1;
    return begin_columns(r, err);
}

static souk_status open_file(table_reader *r, bool record, souk_error *err) {
    TRY(source_open(&r->src, r->paths[r->at], err));
    if (record && strcmp(r->paths[r->at], "-") == 0) source_record(r->src);
    return begin_file(r, err);
}

static souk_status next_file(table_reader *r, souk_error *err) {
    if (++r->at >= r->n_paths) { /* standard input stays open: reader_restart replays it */
        r->done = true;
        return SOUK_OK;
    }
    source_close(r->src);
    r->src = NULL;
    return open_file(r, false, err);
}

souk_status reader_restart(table_reader *r, souk_error *err) {
    bool replay = strcmp(r->paths[0], "-") == 0;
    r->n_read = r->n_kept = 0;
    r->done = false;
    reject_abandon(&r->rejects);
    TRY(reject_open(&r->rejects, r->o.reject_path, err));
    r->at = 0;
    if (replay) {
        source_replay(r->src);
        return begin_file(r, err);
    }
    source_close(r->src);
    r->src = NULL;
    return open_file(r, false, err);
}

/* ---- batches ---- */

/* A row over the limit: its first bytes are in the buffer; the rest is passed over. */
static souk_status long_row(table_reader *r, souk_error *err) {
    if (!r->skipping) {
        int64_t line = line_at(r);
        char start[REJECT_TEXT + 4];
        size_t n = r->n - r->pos < sizeof start ? r->n - r->pos : sizeof start;
        memcpy(start, r->text + r->pos, n);
        r->n_read++;
        TRY(reject_add(&r->rejects, file_name(r), line, "the row is longer than rows may be (is a quote not closed?)",
                       start, n, err));
        r->skipping = true;
        csv_skip_begin(&r->csv);
    }
    for (;;) {
        size_t used = 0;
        bool end;
        if (r->how.format == TABLE_JSONL) {
            const char *lf = memchr(r->text + r->pos, '\n', r->n - r->pos);
            end = lf != NULL;
            used = end ? (size_t)(lf - r->text) - r->pos + 1 : r->n - r->pos;
            r->json.line += end;
        } else
            end = csv_skip(&r->csv, r->text + r->pos, r->n - r->pos, &used);
        r->pos += used;
        if (!end && !r->eof) {
            TRY(more(r, err));
            continue;
        }
        r->skipping = false;
        if (!end && r->csv.skip_quoted && !r->csv.skip_quote_seen) return csv_unclosed(&r->csv, file_name(r), err);
        return SOUK_OK;
    }
}

/* Marks the rows that are not UTF-8. */
static void check_utf8(table_reader *r) {
    batch *b = &r->rows;
    if (b->n == 0) return;
    size_t at = b->rows[0].at, end = b->rows[b->n - 1].at + b->rows[b->n - 1].len;
    int i = 0;
    while (at < end) {
        at += utf8_valid_prefix(r->text + at, end - at);
        if (at >= end) return;
        while (i < b->n && b->rows[i].at + b->rows[i].len <= at) i++;
        if (i == b->n) return;
        batch_row *row = b->rows + i;
        if (!row->fault || row->fault == ROW_JSON) {
            row->fault = ROW_UTF8;
            row->detail = (int64_t)at - row->at;
        }
        at = row->at + row->len;
    }
}

/* The next rows of the source, at most max_rows; none at the end. */
static souk_status next_batch(table_reader *r, int max_rows, souk_error *err) {
    batch *b = &r->rows;
    int fit = BATCH_CELLS / (r->n_names > 0 ? r->n_names : 1);
    if (max_rows > fit) max_rows = fit > 0 ? fit : 1;
    for (;;) {
        batch_reset(b, r->text, r->n_names);
        if (r->done) return SOUK_OK;
        TRY(masks(r, err));
        b->text = r->text;
        if (r->how.format == TABLE_JSONL)
            TRY(jsonl_rows(&r->json, r->text, r->n, r->eof, max_rows, b, &r->pos, err));
        else
            TRY(csv_rows(&r->csv, r->text, r->n, r->eof, max_rows, b, &r->pos, file_name(r), err));
        if (b->n > 0) {
            check_utf8(r);
            return SOUK_OK;
        }
        if (r->eof)
            TRY(next_file(r, err));
        else if (r->n - r->pos > r->max_row + 2)
            TRY(long_row(r, err)); /* 2: a line end that is still open */
        else
            TRY(more(r, err));
    }
}

/* ---- rows into a table ---- */

typedef struct row_cells {
    const batch *b;
    int row;
} row_cells;

static const char *filter_cell(const void *context, int k, size_t *len) {
    const row_cells *v = context;
    const cell *c = v->b->cells + (size_t)v->row * (size_t)v->b->n_columns + k;
    *len = c->len & CELL_LENGTH;
    return cell_bytes(v->b, c);
}

/* Why a row is rejected, in words. */
static void reason(const table_reader *r, const batch_row *row, const batch *b, int i, char *out, size_t size) {
    long long d = (long long)row->detail;
    switch (row->fault) {
    case ROW_FIELDS:
        snprintf(out, size, "%lld field%s where the %s has %d", d, d == 1 ? "" : "s",
                 r->how.header ? "header" : "first row", r->n_names);
        break;
    case ROW_LONG_FIELD:
        snprintf(out, size, "column \"%.60s\" holds more than %lld bytes", r->names[d], (long long)r->o.max_field);
        break;
    case ROW_LONG: snprintf(out, size, "the row is longer than rows may be (is a quote not closed?)"); break;
    case ROW_UTF8:
        snprintf(out, size, "byte %lld is not UTF-8 (if the file is Latin-1: iconv -f LATIN1 -t UTF-8)", d + 1);
        break;
    case ROW_KEY: snprintf(out, size, "a key at byte %lld that the first rows have not", d + 1); break;
    case ROW_JSON: snprintf(out, size, "not JSON at byte %lld: %s", d + 1, row->why); break;
    default: {
        row_cells v = {b, i};
        size_t len;
        const char *p = filter_cell(&v, r->from[d], &len);
        bool comma = len < 40 && memchr(p, ',', len) && r->o.decimal != ',';
        size_t most = len < 60 ? len : 60;
        while (most < len && most > 57 && ((unsigned char)p[most] & 0xc0) == 0x80) most--;
        snprintf(out, size, "column \"%.60s\": \"%.*s\" is not a number%s", r->out_names[d], (int)most, p,
                 comma ? " (try --decimal ,)" : "");
    }
    }
}

/* Sets the stream back to the start of batch row i, which is to be read again. */
static void put_back(table_reader *r, int i) {
    batch *b = &r->rows;
    if (i >= b->n) return;
    r->pos = b->rows[i].at;
    r->csv.line = r->json.line = b->rows[i].line;
    b->n = i;
}

/* Which rows of the batch are wanted: good, and let through by the filter. Stops behind the row that reaches a limit.
 */
static int choose(table_reader *r, int64_t max_bytes, int *pick) {
    batch *b = &r->rows;
    int n = 0;
    for (int i = 0; i < b->n; i++) {
        row_cells v = {b, i};
        bool wanted = !b->rows[i].fault && (!r->filter || where_match(r->filter, filter_cell, &v));
        if (wanted) pick[n++] = i;
        r->stage_bytes += wanted ? b->rows[i].len : 0;
        bool full = r->o.max_rows > 0 && r->n_kept + n >= r->o.max_rows;
        if (full || (max_bytes > 0 && r->stage_bytes >= max_bytes)) put_back(r, i + 1);
        if (full) r->done = true;
    }
    return n;
}

souk_status reader_rows(table_reader *r, append *a, int64_t rows, int64_t max_bytes, souk_error *err) {
    int64_t start = a->t->n;
    souk_status status = SOUK_OK;
    int *pick = NULL;
    size_t pick_capacity = 0;
    while (status == SOUK_OK && !r->done && a->t->n - start < rows) {
        int64_t left = rows - (a->t->n - start);
        TRY_DONE(next_batch(r, left < BATCH_CELLS ? (int)left : BATCH_CELLS, err));
        batch *b = &r->rows;
        if ((size_t)b->n > pick_capacity) {
            int *p = mem_realloc(pick, (size_t)b->n, sizeof *p);
            if (!p) TRY_DONE(err_nomem(err, "reading a table"));
            pick = p;
            pick_capacity = (size_t)b->n;
        }
        int n = choose(r, max_bytes, pick);
        r->n_kept += n;
        TRY_DONE(append_rows(a, b, pick, n, r->n_read, err));
        for (int i = 0; i < b->n; i++)
            if (b->rows[i].fault) {
                char why[320];
                reason(r, b->rows + i, b, i, why, sizeof why);
                TRY_DONE(reject_add(&r->rejects, file_name(r), b->rows[i].line, why, r->text + b->rows[i].at,
                                    b->rows[i].len, err));
            }
        r->n_read += b->n;
        if (max_bytes > 0 && r->stage_bytes >= max_bytes) break;
    }
    if (status == SOUK_OK && r->done) {
        TRY_DONE(reject_commit(&r->rejects, err));
        TRY_DONE(reject_verdict(&r->rejects, shown(r->path), r->n_read, r->o.max_bad, err));
    }
done:
    mem_free(pick);
    return status;
}

/* ---- opening ---- */

static souk_status unknown_column(const table_reader *r, const char *name, souk_error *err) {
    return table_no_column((const char *const *)r->names, r->n_names, name, shown(r->path), err);
}

static int find_name(const table_reader *r, const char *name) {
    for (int i = 0; i < r->n_names; i++)
        if (strcmp(r->names[i], name) == 0) return i;
    return -1;
}

/* from[] and out_names[]: the wanted columns in the order of the source. */
static souk_status choose_columns(table_reader *r, souk_error *err) {
    size_t n = (size_t)r->n_names;
    bool *wanted = mem_calloc(n, sizeof *wanted);
    r->from = mem_array(n, sizeof *r->from);
    r->out_names = mem_array(n, sizeof *r->out_names);
    r->told = mem_calloc(n, sizeof *r->told);
    r->types = mem_calloc(n, sizeof *r->types);
    r->is_number = mem_calloc(n, sizeof *r->is_number);
    souk_status status = SOUK_OK;
    if (!wanted || !r->from || !r->out_names || !r->told || !r->types || !r->is_number)
        TRY_DONE(err_nomem(err, "opening a table"));
    for (const char *const *k = r->o.keep; k && *k; k++) {
        int i = find_name(r, *k);
        if (i >= 0)
            wanted[i] = true;
        else if (!r->o.keep_optional)
            TRY_DONE(unknown_column(r, *k, err));
    }
    for (int i = 0; i < r->n_names; i++)
        if (!r->o.keep || wanted[i]) {
            r->from[r->n_out] = i;
            r->out_names[r->n_out++] = r->names[i];
        }
    for (const char *const *t = r->o.types; t && t[0]; t += 2) {
        column_type type;
        if (!column_type_parse(t[1], &type))
            TRY_DONE(err_set(err, SOUK_USAGE,
                             "column \"%s\": \"%s\" is no type; number, binary, category, text, date and id are", t[0],
                             t[1]));
        if (find_name(r, t[0]) < 0) TRY_DONE(unknown_column(r, t[0], err));
        for (int k = 0; k < r->n_out; k++)
            if (strcmp(r->out_names[k], t[0]) == 0) {
                r->told[k] = type != COLUMN_BINARY;
                r->types[k] = type;
                r->is_number[k] = type == COLUMN_NUMBER;
            }
    }
done:
    mem_free(wanted);
    return status;
}

static void describe(table_reader *r) {
    static const char *const formats[] = {"", "CSV", "TSV", "space-separated", "JSON Lines", "plain lines"};
    const char *delimiter = "";
    if (r->how.format == TABLE_CSV)
        delimiter = r->how.delimiter == ','    ? ", comma"
                    : r->how.delimiter == ';'  ? ", semicolon"
                    : r->how.delimiter == '\t' ? ", tab"
                    : r->how.delimiter == '|'  ? ", bar"
                                               : ", other delimiter";
    if (r->how.format == TABLE_TSV) delimiter = ", tab";
    bool headed = r->how.format != TABLE_JSONL && r->how.format != TABLE_LINES;
    const char *packed = r->src ? source_compression(r->src) : NULL;
    int n =
        snprintf(r->describe, sizeof r->describe, "%s%s%s, UTF-8%s%s, %d column%s", formats[r->how.format], delimiter,
                 !headed         ? ""
                 : r->how.header ? ", header"
                                 : ", no header",
                 packed ? ", " : "", packed ? packed : "", r->n_names, r->n_names == 1 ? "" : "s");
    if (r->n_paths > 1 && n > 0 && (size_t)n < sizeof r->describe)
        snprintf(r->describe + n, sizeof r->describe - (size_t)n, ", %zu files", r->n_paths);
}

souk_status reader_open(table_reader **out, const char *path, const table_options *options, bool record,
                        souk_error *err) {
    *out = NULL;
    table_reader *r = mem_calloc(1, sizeof *r);
    souk_status status = SOUK_OK;
    if (!r) return err_nomem(err, "opening a table");
    kern_init();
    batch_init(&r->rows);
    r->o = *options;
    if (r->o.max_field <= 0 || r->o.max_field > 256 << 20) r->o.max_field = r->o.max_field <= 0 ? 16 << 20 : 256 << 20;
    r->max_row = (size_t)(r->o.max_field * 2 + (r->o.max_field < ROW_SLACK / 64 ? r->o.max_field * 64 : ROW_SLACK));
    if (!(r->path = mem_strdup(path))) TRY_DONE(err_nomem(err, "opening a table"));
    TRY_DONE(fs_glob(path, &r->paths, &r->n_paths, err));
    TRY_DONE(reject_open(&r->rejects, r->o.reject_path, err));
    TRY_DONE(open_file(r, record, err));
    describe(r);
    TRY_DONE(choose_columns(r, err));
    if (r->o.where)
        TRY_DONE(where_compile(&r->filter, r->o.where, (const char *const *)r->names, (size_t)r->n_names,
                               r->o.decimal == ',' ? ',' : '.', err));
    *out = r;
    return SOUK_OK;
done:
    table_close(r);
    return status;
}

void table_close(table_reader *r) {
    if (!r) return;
    reject_abandon(&r->rejects);
    source_close(r->src);
    if (r->has_stage) append_drop(&r->staged);
    batch_clear(&r->rows);
    csv_clear(&r->csv);
    jsonl_clear(&r->json);
    where_free(r->filter);
    for (int i = 0; i < r->n_names; i++) mem_free(r->names[i]);
    mem_free(r->names);
    mem_free(r->from);
    mem_free(r->out_names);
    mem_free(r->told);
    mem_free(r->types);
    mem_free(r->is_number);
    fs_glob_free(r->paths, r->n_paths);
    mem_free(r->text);
    mem_free(r->path);
    mem_free(r);
}
