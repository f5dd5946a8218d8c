/* table - columns in memory: names, lookups, text cells, fingerprints. The readers fill them (reader.c, append.c).
 *
 * Invariant: a text column has offset[0] = 0 and offset[n] bytes; a number column has NaN exactly where missing is 1.
 */
#include "data/table.h"

#include <string.h>

#include "base/buf.h"
#include "base/map.h"

static const char *const type_names[] = {"number", "binary", "category", "text", "date", "id", "empty"};

table_options table_options_default(void) {
    return (table_options){.header = -1, .max_bad = .01, .max_field = 16 << 20};
}

void table_free(table *t) {
    if (!t) return;
    for (int i = 0; i < t->n_columns; i++) {
        column *c = t->columns + i;
        mem_free(c->name);
        mem_free(c->number);
        mem_free(c->offset);
        mem_free(c->bytes);
        mem_free(c->missing);
    }
    mem_free(t->columns);
    mem_free(t->row);
    mem_free(t->line);
    mem_free(t);
}

column *table_column(const table *t, const char *name) {
    for (int i = 0; i < t->n_columns; i++)
        if (strcmp(t->columns[i].name, name) == 0) return t->columns + i;
    return NULL;
}

souk_status table_no_column(const char *const *names, int n, const char *name, const char *where, souk_error *err) {
    enum { SHOWN = 8 }; /* a few names help more than a count */
    const char *nearest = err_nearest(name, names, (size_t)n);
    if (nearest) return err_set(err, SOUK_INPUT, "%s: no column \"%s\"; the nearest is \"%s\"", where, name, nearest);
    buf list;
    buf_init(&list, 0);
    for (int i = 0; i < n && i < SHOWN; i++) buf_printf(&list, "%s%.40s", i ? ", " : "", names[i]);
    if (n > SHOWN) buf_printf(&list, " … (%d in all)", n);
    souk_status status =
        err_set(err, SOUK_INPUT, "%s: no column \"%s\"; its columns are: %s", where, name, list.data ? list.data : "");
    buf_clear(&list);
    return status;
}

souk_status table_require(const table *t, const char *name, const char *where, column **out, souk_error *err) {
    *out = table_column(t, name);
    if (*out) return SOUK_OK;
    const char **names = mem_array((size_t)t->n_columns + 1, sizeof *names);
    if (!names) return err_nomem(err, "looking for a column");
    for (int i = 0; i < t->n_columns; i++) names[i] = t->columns[i].name;
    souk_status status = table_no_column(names, t->n_columns, name, strcmp(where, "-") ? where : "standard input", err);
    mem_free(names);
    return status;
}

const char *column_text(const column *c, int64_t row, size_t *len) {
    *len = (size_t)(c->offset[row + 1] - c->offset[row]);
    return c->bytes + c->offset[row];
}

const char *column_type_name(column_type type) { return type_names[type]; }

bool column_type_parse(const char *name, column_type *out) {
    for (int i = 0; i <= COLUMN_EMPTY; i++)
        if (strcmp(name, type_names[i]) == 0) {
            *out = (column_type)i;
            return true;
        }
    return false;
}

/* splitmix64 (Steele, Lea, Flood 2014): a bijection, so two rows never collide under one seed. */
static uint64_t mix64(uint64_t x) {
    x += 0x9e3779b97f4a7c15ull;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
    return x ^ (x >> 31);
}

uint64_t table_row_hash(uint64_t seed, int64_t row) { return mix64(mix64(seed) ^ (uint64_t)row); }

void table_fingerprint(const table *t, char out[17]) {
    uint64_t h = mix64((uint64_t)t->n);
    for (int i = 0; i < t->n_columns; i++) {
        const column *c = t->columns + i;
        h = mix64(h ^ map_hash(c->name, strlen(c->name)));
        if (c->is_number)
            h = mix64(h ^ map_hash(c->number, (size_t)t->n * sizeof *c->number));
        else {
            h = mix64(h ^ map_hash(c->offset, ((size_t)t->n + 1) * sizeof *c->offset));
            h = mix64(h ^ map_hash(c->bytes, (size_t)c->offset[t->n]));
        }
    }
    for (int i = 0; i < 16; i++) out[i] = "0123456789abcdef"[h >> (60 - 4 * i) & 15];
    out[16] = 0;
}
