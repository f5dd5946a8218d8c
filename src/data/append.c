/* append - from cells to typed columns, a column at a time over a batch that is still in the cache.
 *
 * Number columns go first: they alone can refuse a row, and a refused row must leave no trace. Text is copied cell by
 * cell into one run of bytes with 64-bit offsets.
 *
 * Invariant: between calls every column has exactly t->n rows. */
#include "data/append.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "data/schema.h"

static bool resize(void *pointer_to_p, size_t count, size_t size) {
    void *p;
    memcpy(&p, pointer_to_p, sizeof p);
    p = mem_realloc(p, count, size);
    if (p) memcpy(pointer_to_p, &p, sizeof p);
    return p != NULL;
}

static bool reserve(append *a, size_t more) {
    size_t need = (size_t)a->t->n + more;
    if (need <= a->capacity && a->capacity > 0) return true;
    size_t capacity = a->capacity + a->capacity / 2;
    if (capacity < need) capacity = need;
    if (capacity == 0) capacity = 1; /* a table without rows has offset[0] all the same */
    if (!resize(&a->t->row, capacity, sizeof(int64_t)) || !resize(&a->t->line, capacity, sizeof(int64_t))) return false;
    for (int i = 0; i < a->t->n_columns; i++) {
        column *c = a->t->columns + i;
        bool first = !c->offset;
        if (!resize(&c->missing, capacity, 1)) return false;
        if (c->is_number && !resize(&c->number, capacity, sizeof(double))) return false;
        if (c->is_number && !a->keep_text) continue;
        if (!resize(&c->offset, capacity + 1, sizeof(uint64_t))) return false;
        if (first) c->offset[0] = 0;
    }
    a->capacity = capacity;
    return true;
}

enum {
    SLACK = 16
}; /* bytes behind a column's text that a short cell's copy may touch; the buffer has as many behind it */

souk_status append_begin(append *a, int n_columns, const char *const *names, const bool *is_number, const int *from,
                         const table_options *options, souk_error *err) {
    *a = (append){
        .from = from, .decimal = options->decimal, .keep_text = options->keep_text, .t = mem_calloc(1, sizeof(table))};
    size_t count = (size_t)n_columns;
    a->bytes = mem_calloc(count, sizeof *a->bytes);
    a->strings = mem_calloc(count, sizeof *a->strings);
    if (!a->t || !a->bytes || !a->strings || !(a->t->columns = mem_calloc(count, sizeof(column)))) goto nomem;
    a->t->n_columns = n_columns;
    for (int i = 0; i < n_columns; i++) {
        a->t->columns[i].is_number = is_number && is_number[i];
        a->t->columns[i].n_distinct = -1;
        if (!(a->t->columns[i].name = mem_strdup(names[i]))) goto nomem;
    }
    if (!reserve(a, 0)) goto nomem;
    return SOUK_OK;
nomem:
    append_drop(a);
    return err_nomem(err, "making a table");
}

void append_drop(append *a) {
    table_free(a->t);
    mem_free(a->bytes);
    mem_free(a->strings);
    mem_free(a->misfit);
    *a = (append){0};
}

table *append_take(append *a) {
    table *t = a->t;
    a->t = NULL;
    append_drop(a);
    return t;
}

/* The usual cell: a sign, at most 8 bytes of digits and one decimal sign between them, where 8 bytes may be read. The
 * digits move to the end of a 64-bit word, the sign of the fraction out of it, and all are spelled at once
 * (little-endian); the one division of exact numbers is correctly rounded (Clinger 1990), so the value is
 * num_parse_double's. False: ask that one. */
static inline bool short_number(const char *p, size_t n, char decimal, double *out) {
    /* the sign rides on the divisor, for numbers of either sign come at random */
    static const double power[2][8] = {{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7},
                                       {-1, -1e1, -1e2, -1e3, -1e4, -1e5, -1e6, -1e7}};
    const uint64_t ones = UINT64_C(0x0101010101010101), zeros = '0' * ones, low = UINT64_C(0x7f7f7f7f7f7f7f7f);
    size_t minus = *p == '-';
    p += minus;
    n -= minus;
    if (n - 1 > 7) return false; /* 1 to 8; below 0 wraps round */
    uint64_t x;
    memcpy(&x, p, 8);
    unsigned shift = (unsigned)(64 - 8 * n);
    x = (x << shift) | (shift ? zeros >> (64 - shift) : 0);
    uint64_t y = x ^ ((unsigned char)decimal * ones), point = ~(((y & low) + low) | y | low);
    size_t fraction = 0;
    if (point) {
        unsigned at = (unsigned)__builtin_ctzll(point) & ~7u; /* bit where the sign's byte begins */
        fraction = 7 - at / 8;
        if (fraction == 0 || at == shift) return false; /* nothing before or behind it */
        uint64_t before = ((uint64_t)1 << at) - 1;
        x = (x & ~before & ~((uint64_t)0xff << at)) | (x & before) << 8 | '0';
    }
    if (((x & 0xF0F0F0F0F0F0F0F0u) | (((x + 0x0606060606060606u) & 0xF0F0F0F0F0F0F0F0u) >> 4)) != 0x3333333333333333u)
        return false;
    x -= zeros;
    x = x * 10 + (x >> 8);
    x = (((x & 0x000000FF000000FFu) * 0x000F424000000064u) +
         (((x >> 16) & 0x000000FF000000FFu) * 0x0000271000000001u)) >>
        32;
    *out = (double)x / power[minus][fraction];
    return true;
}

/* Fills a number column; how many cells fit neither as number nor as missing and make their rows bad. */
static int add_numbers(append *a, int k, const batch *b, const int *pick, int n) {
    column *c = a->t->columns + k;
    double *number = c->number + a->t->n;
    uint8_t *missing = c->missing + a->t->n;
    const cell *cells = b->cells + a->from[k];
    int misfits = 0;
    bool guess = a->misfit && !a->strict[k];
    char decimal = a->decimal == ',' ? ',' : '.';
    for (int i = 0; i < n; i++) {
        const cell *at = cells + (size_t)pick[i] * (size_t)b->n_columns;
        const char *p = cell_bytes(b, at);
        size_t len = at->len & CELL_LENGTH;
        missing[i] = 0;
        if (!(at->len & (CELL_STRING | CELL_SCRATCH)) && short_number(p, len, decimal, number + i)) continue;
        if (!(at->len & CELL_STRING) && cell_number(p, len, a->decimal, number + i) &&
            (!guess || !cell_is_code(p, len, number[i])))
            continue;
        number[i] = NAN;
        missing[i] = 1;
        if (cell_missing(p, len)) continue;
        if (guess) {
            a->misfit[k] = true;
            return misfits;
        }
        misfits++;
        batch_row *row = b->rows + pick[i];
        if (row->fault) continue;
        row->fault = ROW_CELL;
        row->detail = k;
    }
    return misfits;
}

static bool reserve_bytes(append *a, int k, uint64_t total) {
    column *c = a->t->columns + k;
    if (total <= a->bytes[k] && c->bytes) return true;
    size_t capacity = a->bytes[k] + a->bytes[k] / 2 + 64;
    if (capacity < total) capacity = total;
    if (!resize(&c->bytes, capacity, 1)) return false;
    a->bytes[k] = capacity;
    return true;
}

static bool add_text(append *a, int k, const batch *b, const int *pick, int n) {
    column *c = a->t->columns + k;
    const cell *cells = b->cells + a->from[k];
    uint64_t total = c->offset[a->t->n], at = total;
    for (int i = 0; i < n; i++) total += cells[(size_t)pick[i] * (size_t)b->n_columns].len & CELL_LENGTH;
    if (!reserve_bytes(a, k, total + SLACK)) return false;
    uint64_t *offset = c->offset + a->t->n + 1;
    uint8_t *missing = c->missing + a->t->n;
    bool only_empty = a->text_rule_known && c->type == COLUMN_TEXT;
    for (int i = 0; i < n; i++) {
        const cell *from = cells + (size_t)pick[i] * (size_t)b->n_columns;
        size_t len = from->len & CELL_LENGTH;
        const char *p = cell_bytes(b, from);
        if (len <= SLACK && !(from->len & CELL_SCRATCH))
            memcpy(c->bytes + at, p, SLACK); /* two moves instead of a call */
        else if (len > 0)
            memcpy(c->bytes + at, p, len);
        missing[i] = len == 0 || (!only_empty && cell_may_be_missing(*p) && cell_missing(p, len));
        if (from->len & CELL_STRING && !missing[i]) a->strings[k] = true;
        at += len;
        offset[i] = at;
    }
    return true;
}

souk_status append_rows(append *a, batch *b, int *pick, int n, int64_t first_row, souk_error *err) {
    table *t = a->t;
    if (!reserve(a, (size_t)n)) return err_nomem(err, "holding a table");
    for (int round = 0; round < 2; round++) {
        int misfits = 0;
        for (int k = 0; k < t->n_columns; k++)
            if (t->columns[k].is_number && !(a->misfit && a->misfit[k])) misfits += add_numbers(a, k, b, pick, n);
        if (misfits == 0) break;
        int kept = 0; /* once more, without the rows that were refused */
        for (int i = 0; i < n; i++)
            if (!b->rows[pick[i]].fault) pick[kept++] = pick[i];
        n = kept;
    }
    for (int k = 0; k < t->n_columns; k++)
        if ((!t->columns[k].is_number || a->keep_text) && !add_text(a, k, b, pick, n))
            return err_nomem(err, "holding a table");
    for (int i = 0; i < n; i++) {
        t->row[t->n + i] = first_row + pick[i];
        t->line[t->n + i] = b->rows[pick[i]].line;
    }
    for (int k = 0; k < t->n_columns; k++)
        for (int i = 0; i < n; i++) t->columns[k].n_missing += t->columns[k].missing[t->n + i];
    t->n += n;
    return SOUK_OK;
}

souk_status append_reserve(append *a, int64_t rows, souk_error *err) {
    return reserve(a, (size_t)rows) ? SOUK_OK : err_nomem(err, "holding a table");
}

void append_expect(append *a, int64_t rows) {
    int64_t n = a->t->n;
    if (rows <= n || n == 0 || !reserve(a, (size_t)(rows - n))) return;
    for (int k = 0; k < a->t->n_columns; k++) {
        const column *c = a->t->columns + k;
        if (c->offset) reserve_bytes(a, k, (uint64_t)((double)c->offset[n] / (double)n * (double)rows) + SLACK);
    }
}

souk_status append_copy(append *a, const table *s, int64_t from, int64_t n, souk_error *err) {
    table *t = a->t;
    size_t count = (size_t)n, at = (size_t)t->n;
    if (!reserve(a, count)) return err_nomem(err, "holding a table");
    memcpy(t->row + at, s->row + from, count * sizeof *t->row);
    memcpy(t->line + at, s->line + from, count * sizeof *t->line);
    for (int k = 0; k < t->n_columns; k++) {
        column *c = t->columns + k;
        const column *o = s->columns + k;
        memcpy(c->missing + at, o->missing + from, count);
        for (size_t i = 0; i < count; i++) c->n_missing += c->missing[at + i];
        if (c->is_number) memcpy(c->number + at, o->number + from, count * sizeof *c->number);
        if (!c->offset) continue;
        uint64_t first = o->offset[from], size = o->offset[from + n] - first, base = c->offset[at];
        if (!reserve_bytes(a, k, base + size)) return err_nomem(err, "holding a table");
        memcpy(c->bytes + base, o->bytes + first, (size_t)size);
        for (size_t i = 1; i <= count; i++) c->offset[at + i] = base + (o->offset[from + (int64_t)i] - first);
    }
    t->n += n;
    return SOUK_OK;
}

souk_status append_convert(append *a, int k, souk_error *err) {
    column *c = a->t->columns + k;
    c->number = mem_array(a->capacity, sizeof(double));
    if (!c->number) return err_nomem(err, "holding a table");
    for (int64_t i = 0; i < a->t->n; i++) {
        c->number[i] = NAN;
        if (!c->missing[i])
            cell_number(c->bytes + c->offset[i], (size_t)(c->offset[i + 1] - c->offset[i]), a->decimal, c->number + i);
    }
    c->is_number = true;
    if (a->keep_text) return SOUK_OK;
    mem_free(c->bytes);
    mem_free(c->offset);
    c->bytes = NULL;
    c->offset = NULL;
    a->bytes[k] = 0;
    return SOUK_OK;
}
