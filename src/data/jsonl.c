/* jsonl - a JSON parser for flat rows, which makes slices instead of a tree.
 *
 * One pass over a line by recursive descent; only strings with a backslash are copied (to scratch). The usual row has
 * its keys in the order of the row before, so a key is compared with the next column's name before it is looked up.
 *
 * Invariant: a row is good only if the whole line was one object of RFC 8259; a fault is the first byte that is wrong.
 */
#include "data/jsonl.h"

#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"

souk_status jsonl_init(jsonl_scan *s, int64_t max_field, size_t max_row, bool ignore_new, souk_error *err) {
    *s = (jsonl_scan){
        .max_field = max_field, .max_row = max_row, .line = 1, .ignore_new = ignore_new, .keys = map_new()};
    return s->keys ? SOUK_OK : err_nomem(err, "reading JSON Lines");
}

void jsonl_clear(jsonl_scan *s) {
    map_free(s->keys);
    mem_free(s->stamp);
    mem_free(s->row_keys);
    mem_free(s->columns);
    *s = (jsonl_scan){0};
}

const char *jsonl_column(const jsonl_scan *s, int column, size_t *len) {
    const map_entry *e = map_at_const(s->keys, s->columns[column]);
    *len = e->key_len;
    return e->key;
}

/* One line being parsed. */
typedef struct line {
    jsonl_scan *s;
    const char *base; /* the text: cells are offsets from it */
    const char *p, *end;
    buf *scratch;
    const char *why; /* the first fault */
    row_fault fault;
    bool nomem;
} line;

static bool fail(line *l, row_fault fault, const char *why) {
    if (!l->fault) {
        l->fault = fault;
        l->why = why;
    }
    return false;
}

static inline void blanks(line *l) {
    while (l->p < l->end && (*l->p == ' ' || *l->p == '\t' || *l->p == '\r')) l->p++;
}

static bool expect(line *l, char c, const char *why) {
    if (l->p < l->end && *l->p == c) {
        l->p++;
        return true;
    }
    return fail(l, ROW_JSON, why);
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

static bool hex4(line *l, uint32_t *out) {
    uint32_t v = 0;
    if (l->end - l->p < 4) return fail(l, ROW_JSON, "a \\u escape without four hexadecimal digits");
    for (int i = 0; i < 4; i++) {
        int d = hex_digit(l->p[i]);
        if (d < 0) return fail(l, ROW_JSON, "a \\u escape without four hexadecimal digits");
        v = v * 16 + (uint32_t)d;
    }
    l->p += 4;
    *out = v;
    return true;
}

/* Behind "\u": one code point, from a surrogate pair where it is one. */
static bool unicode_escape(line *l) {
    uint32_t c, low;
    if (!hex4(l, &c)) return false;
    if (c == 0) return fail(l, ROW_JSON, "a NUL character (\\u0000)");
    if (c >= 0xdc00 && c <= 0xdfff) return fail(l, ROW_JSON, "half of a surrogate pair");
    if (c >= 0xd800 && c <= 0xdbff) {
        if (l->end - l->p < 2 || l->p[0] != '\\' || l->p[1] != 'u')
            return fail(l, ROW_JSON, "half of a surrogate pair");
        l->p += 2;
        if (!hex4(l, &low)) return false;
        if (low < 0xdc00 || low > 0xdfff) return fail(l, ROW_JSON, "half of a surrogate pair");
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
    }
    char utf8[4];
    buf_add(l->scratch, utf8, utf8_encode(c, utf8));
    return true;
}

static bool escape(line *l) {
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (l->p == l->end) return fail(l, ROW_JSON, "the line ends inside a string");
    char c = *l->p++;
    if (c == 'u') return unicode_escape(l);
    const char *at = c ? strchr(from, c) : NULL;
    if (!at) {
        l->p--;
        return fail(l, ROW_JSON, "an unknown escape in a string");
    }
    buf_char(l->scratch, to[at - from]);
    return true;
}

/* The next byte of a string that is a quote, a backslash or a control character; eight at a time. */
static const char *string_run(const char *p, const char *end) {
    const uint64_t ones = 0x0101010101010101ull, high = 0x80 * ones;
    while (end - p >= 8) {
        uint64_t x;
        memcpy(&x, p, 8);
        uint64_t q = x ^ ('"' * ones), b = x ^ ('\\' * ones);
        uint64_t hit = ((q - ones) & ~q) | ((b - ones) & ~b) | ((x - 0x20 * ones) & ~x);
        hit &= high;
        if (hit) return p + __builtin_ctzll(hit) / 8; /* the lowest flag is exact: borrows only run upwards */
        p += 8;
    }
    while (p < end && *p != '"' && *p != '\\' && (unsigned char)*p >= 0x20) p++;
    return p;
}

/* A string; p is at its opening quote. */
static bool string(line *l, cell *out) {
    const char *start = ++l->p;
    size_t from = l->scratch->len;
    bool copied = false;
    for (;;) {
        const char *run = l->p;
        l->p = string_run(l->p, l->end);
        if (l->p == l->end) return fail(l, ROW_JSON, "the line ends inside a string");
        if (*l->p == '"') {
            if (copied) buf_add(l->scratch, run, (size_t)(l->p - run));
            *out = copied ? (cell){(uint32_t)from, (uint32_t)(l->scratch->len - from) | CELL_SCRATCH | CELL_STRING}
                          : (cell){(uint32_t)(start - l->base), (uint32_t)(l->p - start) | CELL_STRING};
            l->p++;
            if (l->scratch->status == SOUK_OK) return true;
            l->nomem = true;
            return fail(l, ROW_JSON, "out of memory");
        }
        if (*l->p != '\\') return fail(l, ROW_JSON, "a control character inside a string");
        buf_add(l->scratch, copied ? run : start, (size_t)(l->p - (copied ? run : start)));
        copied = true;
        l->p++;
        if (!escape(l)) return false;
    }
}

static bool digits(line *l) {
    const char *from = l->p;
    while (l->p < l->end && *l->p >= '0' && *l->p <= '9') l->p++;
    return l->p > from || fail(l, ROW_JSON, "a number without digits");
}

static bool number(line *l) {
    if (*l->p == '-') l->p++;
    if (l->p < l->end && *l->p == '0')
        l->p++;
    else if (!digits(l))
        return false;
    if (l->p < l->end && *l->p == '.') {
        l->p++;
        if (!digits(l)) return false;
    }
    if (l->p < l->end && (*l->p == 'e' || *l->p == 'E')) {
        l->p++;
        if (l->p < l->end && (*l->p == '+' || *l->p == '-')) l->p++;
        if (!digits(l)) return false;
    }
    return true;
}

static bool word(line *l, const char *w, size_t n) {
    if ((size_t)(l->end - l->p) < n || memcmp(l->p, w, n) != 0)
        return fail(l, ROW_JSON, "a value that is not JSON (text needs double quotes)");
    l->p += n;
    return true;
}

static bool value(line *l, int depth, cell *out);

/* An array or object inside a row: checked, and kept as its text by the caller. */
static bool nested(line *l, int depth) {
    char open = *l->p++, close = open == '[' ? ']' : '}';
    if (depth >= JSONL_MAX_DEPTH) return fail(l, ROW_JSON, "nested more than 64 deep");
    blanks(l);
    if (l->p < l->end && *l->p == close) {
        l->p++;
        return true;
    }
    for (;;) {
        cell unused;
        blanks(l);
        if (open == '{') {
            if (l->p == l->end || *l->p != '"') return fail(l, ROW_JSON, "a key in double quotes is missing");
            if (!string(l, &unused)) return false;
            blanks(l);
            if (!expect(l, ':', "a colon is missing after a key")) return false;
        }
        if (!value(l, depth + 1, &unused)) return false;
        blanks(l);
        if (l->p < l->end && *l->p == close) break;
        if (!expect(l, ',', open == '[' ? "a comma or ] is missing" : "a comma or } is missing")) return false;
    }
    l->p++;
    return true;
}

static bool value(line *l, int depth, cell *out) {
    blanks(l);
    if (l->p == l->end) return fail(l, ROW_JSON, "a value is missing");
    const char *from = l->p;
    bool ok;
    switch (*from) {
    case '"': return string(l, out);
    case '{':
    case '[': ok = nested(l, depth); break;
    case 't': ok = word(l, "true", 4); break;
    case 'f': ok = word(l, "false", 5); break;
    case 'n': *out = (cell){0}; return word(l, "null", 4);
    default: ok = *from == '-' || (*from >= '0' && *from <= '9') ? number(l) : word(l, "true", 4);
    }
    *out =
        (cell){(uint32_t)(from - l->base), (uint32_t)(l->p - from) | (*from == '{' || *from == '[' ? CELL_STRING : 0)};
    return ok;
}

/* The column of a key: -1 to be ignored, -2 a fault. `guess` is the column expected next. */
static int key_column(line *l, const char *key, size_t n, int guess) {
    jsonl_scan *s = l->s;
    int64_t index;
    if (s->discover) {
        bool is_new = false;
        index = map_put(s->keys, key, n, &is_new);
        if (index >= 0 && is_new) map_at(s->keys, index)->value = -1;
        if (index < 0 || !mem_grow(&s->stamp, &s->stamp_capacity, (size_t)index, sizeof *s->stamp) ||
            !mem_grow(&s->row_keys, &s->row_keys_capacity, s->n_row_keys, sizeof *s->row_keys)) {
            l->nomem = true;
            fail(l, ROW_JSON, "out of memory");
            return -2;
        }
        if (is_new) s->stamp[index] = 0;
        s->row_keys[s->n_row_keys++] = index;
    } else {
        index = -1;
        if (guess < s->n_columns) {
            const map_entry *e = map_at_const(s->keys, s->columns[guess]);
            if (e->key_len == n && memcmp(e->key, key, n) == 0) index = s->columns[guess];
        }
        if (index < 0) index = map_find(s->keys, key, n);
        if (index < 0 || map_at_const(s->keys, index)->value < 0) {
            if (s->ignore_new) return -1;
            fail(l, ROW_KEY, NULL);
            return -2;
        }
    }
    if (s->stamp[index] == s->serial) {
        fail(l, ROW_JSON, "a key twice in one row");
        return -2;
    }
    s->stamp[index] = s->serial;
    return (int)map_at_const(s->keys, index)->value;
}

/* A whole line; cells NULL while discovering. */
static bool object(line *l, cell *cells) {
    l->s->serial++;
    l->s->n_row_keys = 0;
    blanks(l);
    if (!expect(l, '{', "not a JSON object: each line is one, {\"column\": value, ...}")) return false;
    blanks(l);
    bool first = true;
    int guess = 0;
    while (l->p < l->end && (*l->p != '}' || !first)) {
        if (!first && !expect(l, ',', "a comma or } is missing")) return false;
        blanks(l);
        cell key, c;
        const char *at = l->p;
        if (l->p == l->end || *l->p != '"') return fail(l, ROW_JSON, "a key in double quotes is missing");
        if (!string(l, &key)) return false;
        const char *bytes = (key.len & CELL_SCRATCH ? l->scratch->data : l->base) + key.at;
        const char *behind = l->p;
        l->p = at; /* a fault of the key points at the key */
        int column = key_column(l, bytes, key.len & CELL_LENGTH, guess);
        if (column == -2) return false;
        l->p = behind;
        blanks(l);
        if (!expect(l, ':', "a colon is missing after a key") || !value(l, 1, &c)) return false;
        if (cells && column >= 0) {
            cells[column] = c;
            guess = column + 1;
        }
        blanks(l);
        first = false;
        if (l->p < l->end && *l->p == '}') break;
    }
    if (!expect(l, '}', "the line ends inside the object")) return false;
    blanks(l);
    return l->p == l->end || fail(l, ROW_JSON, "text behind the object");
}

static bool is_blank_line(const char *p, const char *end) {
    while (p < end && (*p == ' ' || *p == '\t' || *p == '\r')) p++;
    return p == end;
}

static souk_status take_keys(jsonl_scan *s, souk_error *err) {
    for (size_t i = 0; i < s->n_row_keys; i++) {
        map_entry *e = map_at(s->keys, s->row_keys[i]);
        if (e->value >= 0) continue;
        if (s->n_columns >= JSONL_MAX_COLUMNS)
            return err_set(err, SOUK_REFUSED,
                           "more than %d different keys in the first rows: these are not the columns of a table; write "
                           "one object with the same keys on each line",
                           JSONL_MAX_COLUMNS);
        if (!mem_grow(&s->columns, &s->columns_capacity, (size_t)s->n_columns, sizeof *s->columns))
            return err_nomem(err, "reading JSON Lines");
        s->columns[s->n_columns] = s->row_keys[i];
        e->value = s->n_columns++;
    }
    return SOUK_OK;
}

souk_status jsonl_discover(jsonl_scan *s, const char *text, size_t n, bool last, souk_error *err) {
    buf scratch;
    buf_init(&scratch, 0);
    souk_status status = SOUK_OK;
    size_t pos = 0;
    s->discover = true;
    for (int rows = 0; rows < JSONL_DISCOVER_ROWS && pos < n;) {
        const char *lf = memchr(text + pos, '\n', n - pos);
        if (!lf && !last) break;
        const char *end = lf ? lf : text + n;
        line l = {.s = s, .base = text, .p = text + pos, .end = end, .scratch = &scratch};
        pos = (size_t)(end - text) + 1;
        if (is_blank_line(l.p, end)) continue;
        rows++;
        buf_reset(&scratch);
        bool good = (size_t)(end - l.p) <= s->max_row && utf8_valid(l.p, (size_t)(end - l.p)) && object(&l, NULL);
        if (l.nomem) TRY_DONE(err_nomem(err, "reading JSON Lines"));
        if (good) TRY_DONE(take_keys(s, err));
    }
done:
    s->discover = false;
    buf_clear(&scratch);
    return status;
}

souk_status jsonl_rows(jsonl_scan *s, const char *text, size_t n, bool last, int max_rows, batch *b, size_t *at,
                       souk_error *err) {
    size_t pos = *at;
    while (b->n < max_rows && pos < n) {
        const char *lf = memchr(text + pos, '\n', n - pos);
        if (!lf && !last) break;
        const char *start = text + pos, *end = lf ? lf : text + n;
        pos = (size_t)(end - text) + (lf ? 1 : 0);
        int64_t at_line = s->line++;
        if (is_blank_line(start, end)) continue;
        if (!batch_room(b)) return err_nomem(err, "reading JSON Lines");
        cell *cells = b->cells + (size_t)b->n * (size_t)b->n_columns;
        batch_row *row = b->rows + b->n++;
        *row = (batch_row){.at = (uint32_t)(start - text), .len = (uint32_t)(end - start), .line = at_line};
        if (row->len > 0 && end[-1] == '\r') row->len--;
        if (row->len > s->max_row) {
            row->fault = ROW_LONG;
            continue;
        }
        memset(cells, 0, (size_t)b->n_columns * sizeof *cells);
        line l = {.s = s, .base = text, .p = start, .end = end, .scratch = &b->scratch};
        if (!object(&l, cells)) {
            if (l.nomem) return err_nomem(err, "reading JSON Lines");
            row->fault = l.fault;
            row->why = l.why;
            row->detail = l.p - start;
            continue;
        }
        for (int c = 0; c < b->n_columns && (int64_t)row->len > s->max_field; c++)
            if ((int64_t)(cells[c].len & CELL_LENGTH) > s->max_field && !row->fault) {
                row->fault = ROW_LONG_FIELD;
                row->detail = c;
            }
    }
    *at = pos;
    return SOUK_OK;
}
