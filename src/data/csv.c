/* csv - rows out of delimited text.
 *
 * The scan has two stages. Stage one classifies 64 bytes at a time into bit masks of separators (delimiter, LF, CR) and
 * of quotes. Stage two walks the set bits: a field that does not begin with a quote ends at the next separator bit,
 * whatever quotes it holds; one that does is closed by way of the quote bits, and the walk goes on behind it. So there
 * is no parity of quotes over the whole text (the trick of simdjson): real exports hold stray quotes, and one would
 * turn the rest inside out.
 *
 * Invariant: nothing is decided by a byte that is not there yet. A row counts only when the byte behind its end is
 * known (CR may be half of CRLF, a quote half of a doubled one), so the rows do not depend on how the text was cut. */
#include "data/csv.h"

#include <string.h>

#include "base/mem.h"
#include "simd/kern.h"

void batch_init(batch *b) {
    *b = (batch){0};
    buf_init(&b->scratch, 0);
}

void batch_clear(batch *b) {
    buf_clear(&b->scratch);
    mem_free(b->cells);
    mem_free(b->rows);
    *b = (batch){0};
}

void batch_reset(batch *b, const char *text, int n_columns) {
    buf_reset(&b->scratch);
    b->text = text;
    b->n_columns = n_columns;
    b->n = 0;
}

bool batch_room(batch *b) {
    size_t need = 0;
    if (!mem_grow(&b->rows, &b->row_capacity, (size_t)b->n, sizeof *b->rows)) return false;
    if (!size_mul((size_t)b->n + 1, (size_t)b->n_columns, &need)) return false;
    if (need <= b->cell_capacity && b->cells) return true;
    size_t capacity = need + need / 2 + 64;
    cell *p = mem_realloc(b->cells, capacity, sizeof *p);
    if (!p) return false;
    b->cells = p;
    b->cell_capacity = capacity;
    return true;
}

void csv_init(csv_scan *s, table_format format, char delimiter, int64_t max_field, size_t max_row) {
    *s = (csv_scan){.format = format,
                    .delimiter = format == TABLE_LINES ? '\n' : delimiter,
                    .max_field = max_field,
                    .max_row = max_row,
                    .line = 1};
}

void csv_clear(csv_scan *s) {
    mem_free(s->separators);
    mem_free(s->quotes);
    mem_free(s->ends);
    s->separators = s->quotes = NULL;
    s->ends = NULL;
    s->words = s->ends_capacity = 0;
}

/* ---- stage one ---- */

/* Positions of the set bits of a word, in order. Always sixteen are written, for a loop over the true number would be
 * mispredicted at each word; few words hold more. Returns the end. */
static inline uint32_t *positions(uint64_t bits, uint32_t base, uint32_t *out) {
    int n = __builtin_popcountll(bits);
    for (int i = 0; i < 16; i++) {
        out[i] = base + (uint32_t)__builtin_ctzll(bits | (uint64_t)1 << 63); /* the guard keeps ctz defined at 0 */
        bits &= bits - 1;
    }
    for (int i = 16; i < n; i++) {
        out[i] = base + (uint32_t)__builtin_ctzll(bits);
        bits &= bits - 1;
    }
    return out + n;
}

static bool mask_room(csv_scan *s, size_t words) {
    if (words <= s->words) return true;
    uint64_t *a = mem_realloc(s->separators, words, sizeof *a);
    if (a) s->separators = a;
    uint64_t *b = mem_realloc(s->quotes, words, sizeof *b);
    if (b) s->quotes = b;
    if (!a || !b) return false;
    s->words = words;
    return true;
}

/* Words whose positions surely have room at once. */
enum { FLATTEN_WORDS = 64 };

souk_status csv_mask(csv_scan *s, const char *text, size_t n, souk_error *err) {
    size_t words = n / 64 + 1, count = 0;
    if (!mask_room(s, words)) return err_nomem(err, "reading a table");
    kern.csv_masks((int64_t)words, text, s->delimiter, s->separators, s->quotes);
    uint64_t tail = ((uint64_t)1 << (n % 64)) - 1; /* nothing beyond the text */
    s->separators[words - 1] &= tail;
    s->quotes[words - 1] &= tail;
    for (size_t w = 0; w < words; w += FLATTEN_WORDS) {
        size_t need = count + 64 * FLATTEN_WORDS + 16;
        if (need > s->ends_capacity) {
            uint32_t *p = mem_realloc(s->ends, need + need / 2, sizeof *p);
            if (!p) return err_nomem(err, "reading a table");
            s->ends = p;
            s->ends_capacity = need + need / 2;
        }
        uint32_t *out = s->ends + count;
        for (size_t k = w; k < words && k < w + FLATTEN_WORDS; k++)
            out = positions(s->separators[k], (uint32_t)(64 * k), out);
        count = (size_t)(out - s->ends);
    }
    s->ends[count] = (uint32_t)n; /* the end of the text closes the list */
    s->n_ends = count;
    s->at = 0;
    return SOUK_OK;
}

/* ---- stage two ---- */

/* A walk over the set bits of a mask. */
typedef struct walk {
    const uint64_t *mask;
    size_t word, words, n;
    uint64_t bits;
} walk;

static inline void walk_to(walk *w, size_t pos) {
    w->word = pos / 64;
    w->bits = w->word < w->words ? w->mask[w->word] & (~(uint64_t)0 << (pos % 64)) : 0;
}

/* Position of the next set bit, which is passed; n when there is none. */
static inline size_t walk_next(walk *w) {
    while (w->bits == 0) {
        if (++w->word >= w->words) {
            w->word = w->words;
            return w->n;
        }
        w->bits = w->mask[w->word];
    }
    size_t pos = w->word * 64 + (size_t)__builtin_ctzll(w->bits);
    w->bits &= w->bits - 1;
    return pos;
}

static inline walk walk_begin(const uint64_t *mask, size_t n, size_t pos) {
    walk w = {.mask = mask, .words = n / 64 + 1, .n = n};
    walk_to(&w, pos);
    return w;
}

/* The first end at or behind pos, s->at staying with it. Rows come in order, so this is a step or none; a row that is
 * read again steps back. */
static inline size_t end_from(csv_scan *s, size_t pos) {
    while (s->at > 0 && s->ends[s->at - 1] >= pos) s->at--;
    while (s->at < s->n_ends && s->ends[s->at] < pos) s->at++;
    return s->ends[s->at];
}

int64_t csv_count_lines(const char *p, size_t n) {
    int64_t lines = 0;
    for (size_t i = 0; i < n; i++)
        if (p[i] == '\n' || (p[i] == '\r' && !(i + 1 < n && p[i + 1] == '\n'))) lines++;
    return lines;
}

/* A quoted field: where its text begins and ends, and where the field ends. */
typedef struct quoted {
    size_t close; /* the closing quote */
    size_t end;   /* the separator behind the field, or n */
    bool doubled; /* holds "" */
    bool literal; /* not a quoted field after all */
} quoted;

/* CSV rule: the first quote that is not doubled closes the field; the rest up to a separator is kept literally. */
static csv_end quoted_csv(csv_scan *s, const char *t, size_t n, bool last, size_t start, quoted *q) {
    walk w = walk_begin(s->quotes, n, start + 1);
    *q = (quoted){0};
    for (;;) {
        size_t p = walk_next(&w);
        if (p == n) return last ? CSV_UNCLOSED : CSV_MORE;
        if (p + 1 == n && !last) return CSV_MORE;
        if (p + 1 < n && t[p + 1] == '"') {
            q->doubled = true;
            walk_next(&w);
            continue;
        }
        q->close = p;
        q->end = end_from(s, p + 1);
        return q->end == n && !last ? CSV_MORE : CSV_ROW;
    }
}

static inline bool is_line_end(char c) { return c == '\n' || c == '\r'; }
static inline bool is_blank(char c) { return c == ' ' || c == '\t'; }

/* TSV and space rule: quoted only if a closing quote stands before a delimiter or the end of the same line. */
static csv_end quoted_line(const csv_scan *s, const char *t, size_t n, bool last, size_t start, quoted *q) {
    *q = (quoted){0};
    for (size_t p = start + 1; p < n; p++) {
        if (is_line_end(t[p])) {
            q->literal = true;
            return CSV_ROW;
        }
        if (t[p] != '"') continue;
        if (p + 1 == n && !last) return CSV_MORE;
        if (p + 1 < n && t[p + 1] == '"') {
            q->doubled = true;
            p++;
            continue;
        }
        q->close = p;
        q->end = p + 1;
        bool delimited = p + 1 == n || is_line_end(t[p + 1]) ||
                         (s->format == TABLE_SPACE ? is_blank(t[p + 1]) : t[p + 1] == s->delimiter);
        q->literal = !delimited;
        return CSV_ROW;
    }
    q->literal = true;
    return last ? CSV_ROW : CSV_MORE;
}

/* Makes the cell of a quoted field: a slice where the bytes stand together, else a copy without the quotes' doubling.
 */
static bool quoted_cell(const char *t, size_t start, const quoted *q, cell *c, buf *scratch) {
    const char *p = t + start + 1, *close = t + q->close;
    if (!q->doubled && q->end == q->close + 1) {
        *c = (cell){(uint32_t)(start + 1), (uint32_t)(q->close - start - 1)};
        return true;
    }
    size_t from = scratch->len;
    while (p < close) {
        const char *quote = memchr(p, '"', (size_t)(close - p));
        size_t run = quote ? (size_t)(quote - p) + 1 : (size_t)(close - p);
        buf_add(scratch, p, run);
        p += run + (quote ? 1 : 0);
    }
    buf_add(scratch, close + 1, q->end - q->close - 1);
    *c = (cell){(uint32_t)from, (uint32_t)(scratch->len - from) | CELL_SCRATCH};
    return scratch->status == SOUK_OK;
}

/* Passes line ends: false when the text ends in a CR whose LF may still come. */
static bool pass_line_end(csv_scan *s, const char *t, size_t n, bool last, size_t *pos) {
    if (t[*pos] == '\r') {
        if (*pos + 1 == n && !last) return false;
        if (*pos + 1 < n && t[*pos + 1] == '\n') ++*pos;
    }
    ++*pos;
    s->line++;
    return true;
}

/* Fields between runs of spaces and tabs; those at the ends of the line count for nothing. */
static csv_end space_fields(csv_scan *s, const char *t, size_t n, bool last, size_t start, cell *cells, int capacity,
                            int *n_fields, size_t *end, buf *scratch) {
    size_t p = start;
    for (;;) {
        while (p < n && is_blank(t[p])) p++;
        if (p == n || is_line_end(t[p])) break;
        cell c;
        quoted q = {.literal = true};
        if (t[p] == '"') {
            csv_end e = quoted_line(s, t, n, last, p, &q);
            if (e != CSV_ROW) return e;
        }
        if (q.literal) {
            size_t from = p;
            while (p < n && !is_blank(t[p]) && !is_line_end(t[p])) p++;
            c = (cell){(uint32_t)from, (uint32_t)(p - from)};
        } else {
            if (!quoted_cell(t, p, &q, &c, scratch)) return CSV_NOMEM;
            p = q.end;
        }
        if (*n_fields < capacity) cells[*n_fields] = c;
        ++*n_fields;
    }
    *end = p;
    return p == n && !last ? CSV_MORE : CSV_ROW;
}

/* A field that begins with a quote: its cell and its end. */
static csv_end quoted_field(csv_scan *s, const char *t, size_t n, bool last, size_t start, cell *c, size_t *stop,
                            buf *scratch) {
    quoted q;
    s->saw_quoted = true;
    csv_end e = s->format == TABLE_TSV ? quoted_line(s, t, n, last, start, &q) : quoted_csv(s, t, n, last, start, &q);
    if (e != CSV_ROW) return e;
    if (q.literal) q.end = end_from(s, start);
    if (q.literal)
        *c = (cell){(uint32_t)start, (uint32_t)(q.end - start)};
    else if (!quoted_cell(t, start, &q, c, scratch))
        return CSV_NOMEM;
    *stop = end_from(s, q.end);
    return CSV_ROW;
}

/* Fields between delimiters. */
static csv_end delimited_fields(csv_scan *s, const char *t, size_t n, bool last, size_t start, cell *cells,
                                int capacity, int *n_fields, size_t *end, buf *scratch) {
    const bool quotes = s->format != TABLE_LINES;
    const char delimiter = quotes ? s->delimiter : 0; /* a line has one field, and no NUL bytes */
    int f = 0;
    end_from(s, start);
    const uint32_t *ends = s->ends + s->at;
    for (;;) {
        size_t stop = *ends;
        cell spare, *c = f < capacity ? cells + f : &spare;
        if (t[start] == '"' && quotes && start < n) {
            csv_end e = quoted_field(s, t, n, last, start, c, &stop, scratch);
            if (e != CSV_ROW) {
                *end = start;
                return e;
            }
            ends = s->ends + s->at;
        } else { /* member by member: a cell built aside and copied costs a stalled load each time */
            c->at = (uint32_t)start;
            c->len = (uint32_t)(stop - start);
        }
        f++;
        if (t[stop] != delimiter || stop == n) {
            s->at = (size_t)(ends - s->ends);
            *n_fields = f;
            *end = stop;
            return stop == n && !last ? CSV_MORE : CSV_ROW;
        }
        start = stop + 1;
        ends++;
    }
}

csv_end csv_row(csv_scan *s, const char *t, size_t n, bool last, size_t *pos, cell *cells, int capacity, int *n_fields,
                batch_row *row, buf *scratch) {
    *n_fields = 0;
    for (;;) {
        while (*pos < n && is_line_end(t[*pos]))
            if (!pass_line_end(s, t, n, last, pos)) return CSV_MORE;
        if (*pos == n) return last ? CSV_ROW : CSV_MORE;
        size_t start = *pos, end = 0;
        s->saw_quoted = false;
        csv_end e = s->format == TABLE_SPACE
                        ? space_fields(s, t, n, last, start, cells, capacity, n_fields, &end, scratch)
                        : delimited_fields(s, t, n, last, start, cells, capacity, n_fields, &end, scratch);
        if (e == CSV_UNCLOSED) s->open_line = s->line + csv_count_lines(t + start, end - start);
        if (e != CSV_ROW) return e;
        *row = (batch_row){.at = (uint32_t)start, .len = (uint32_t)(end - start), .line = s->line};
        size_t next = end;
        int64_t line = s->line;
        /* only a quoted field can hold line ends */
        if (s->saw_quoted && s->format == TABLE_CSV) s->line += csv_count_lines(t + start, end - start);
        if (next < n && !pass_line_end(s, t, n, last, &next)) {
            s->line = line;
            return CSV_MORE;
        }
        *pos = next;
        if (*n_fields > 0) return CSV_ROW; /* space-separated: a line of blanks is no row */
    }
}

/* Judges the form of a row that was scanned. */
static void judge(const csv_scan *s, batch_row *row, const cell *cells, int n_columns, int n_fields) {
    if (row->len > s->max_row) {
        row->fault = ROW_LONG;
        return;
    }
    if ((int64_t)row->len > s->max_field)
        for (int f = 0; f < n_fields && f < n_columns; f++)
            if ((int64_t)(cells[f].len & CELL_LENGTH) > s->max_field) {
                row->fault = ROW_LONG_FIELD;
                row->detail = f;
                return;
            }
    if (n_fields != n_columns) {
        row->fault = ROW_FIELDS;
        row->detail = n_fields;
    }
}

souk_status csv_rows(csv_scan *s, const char *text, size_t n, bool last, int max_rows, batch *b, size_t *pos,
                     const char *path, souk_error *err) {
    while (b->n < max_rows) {
        if (!batch_room(b)) return err_nomem(err, "reading a table");
        cell *cells = b->cells + (size_t)b->n * (size_t)b->n_columns;
        batch_row *row = b->rows + b->n;
        int n_fields = 0;
        csv_end e = csv_row(s, text, n, last, pos, cells, b->n_columns, &n_fields, row, &b->scratch);
        if (e == CSV_UNCLOSED) return csv_unclosed(s, path, err);
        if (e == CSV_NOMEM) return err_nomem(err, "reading a table");
        if (e == CSV_MORE || n_fields == 0) break;
        judge(s, row, cells, b->n_columns, n_fields);
        b->n++;
    }
    return SOUK_OK;
}

souk_status csv_unclosed(const csv_scan *s, const char *path, souk_error *err) {
    return err_at(err, SOUK_INPUT, s->open_line, -1,
                  "%s:%lld: the quote opened on this line is never closed; close it, double quotes inside the field "
                  "(\"\"), or read with "
                  "--format tsv or --format lines if quotes are ordinary characters there",
                  path, (long long)s->open_line);
}

/* ---- rows longer than the buffer ---- */

void csv_skip_begin(csv_scan *s) {
    s->skip_quoted = s->skip_quote_seen = s->skip_cr = false;
    s->skip_field_start = true;
}

/* One byte at a time: rows this long are rare and end up rejected. Only CSV's quotes can span lines. */
bool csv_skip(csv_scan *s, const char *text, size_t n, size_t *consumed) {
    for (size_t i = 0; i < n; i++) {
        char c = text[i];
        if (s->skip_cr) { /* a line ended in CR: an LF belongs to it */
            s->skip_cr = false;
            if (!s->skip_quoted) {
                s->line++;
                *consumed = i + (c == '\n');
                return true;
            }
            s->line++;
            if (c == '\n') continue;
        }
        if (s->skip_quoted) {
            if (s->skip_quote_seen) {
                s->skip_quote_seen = false;
                if (c != '"')
                    s->skip_quoted = false; /* it was the closing quote; c is judged below */
                else
                    continue;
            } else {
                if (c == '"')
                    s->skip_quote_seen = true;
                else if (c == '\n')
                    s->line++;
                else if (c == '\r')
                    s->skip_cr = true;
                continue;
            }
        }
        if (c == '\n') {
            s->line++;
            *consumed = i + 1;
            return true;
        }
        if (c == '\r')
            s->skip_cr = true;
        else if (c == '"' && s->skip_field_start && s->format == TABLE_CSV) {
            s->skip_quoted = true;
            s->open_line = s->line;
        }
        s->skip_field_start = c == s->delimiter;
    }
    *consumed = n;
    return false;
}
