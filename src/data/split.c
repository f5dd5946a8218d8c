/* split.c - three ways to part rows, all exact and repeatable.
 *
 * The hash split looks at nothing but a row's global number and the seed, so that the same row always falls in the same
 * part, whatever was rejected, filtered or appended. The time split never lets a later row train while an earlier one
 * judges. */
#include "data/split.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"

void split_clear(split *s) {
    mem_free(s->train);
    mem_free(s->valid);
    mem_free(s->test);
    memset(s, 0, sizeof *s);
}

souk_status split_parse(const char *text, split_shares *out, souk_error *err) {
    double v[3];
    int parts = 0;
    const char *p = text;
    while (parts < 3) {
        const char *end = strchr(p, ':');
        size_t n = end ? (size_t)(end - p) : strlen(p);
        if (!num_parse_double(p, n, &v[parts]) || !(v[parts] >= 0) || !isfinite(v[parts])) break;
        parts++;
        if (!end) break;
        p = end + 1;
        if (parts == 3) parts = 4; /* a fourth part follows: refused below */
    }
    if (parts != 3 || !(v[0] > 0))
        return err_set(err, SOUK_USAGE,
                       "split \"%s\" is not three shares: write train:validation:test, for example 70:10:20", text);
    *out = (split_shares){v[0], v[1], v[2]};
    return SOUK_OK;
}

static souk_status split_alloc(split *s, int64_t n, souk_error *err) {
    memset(s, 0, sizeof *s);
    s->train = mem_array((size_t)n, sizeof *s->train);
    s->valid = mem_array((size_t)n, sizeof *s->valid);
    s->test = mem_array((size_t)n, sizeof *s->test);
    if (s->train && s->valid && s->test) return SOUK_OK;
    split_clear(s);
    return err_nomem(err, "splitting the rows");
}

souk_status split_by_hash(split *out, const table *t, split_shares shares, uint64_t seed, souk_error *err) {
    TRY(split_alloc(out, t->n, err));
    double total = shares.train + shares.valid + shares.test;
    double first = shares.train / total, second = (shares.train + shares.valid) / total;
    for (int64_t i = 0; i < t->n; i++) {
        double u = (double)(table_row_hash(seed, t->row[i]) >> 11) * 0x1p-53;
        if (u < first)
            out->train[out->n_train++] = i;
        else if (u < second)
            out->valid[out->n_valid++] = i;
        else
            out->test[out->n_test++] = i;
    }
    return SOUK_OK;
}

typedef struct timed_row {
    double number;
    const char *text;
    size_t len;
    int64_t row;
} timed_row;

static int compare_time(const timed_row *x, const timed_row *y) {
    if (x->text) {
        size_t n = x->len < y->len ? x->len : y->len;
        int c = memcmp(x->text, y->text, n);
        return c ? c : (x->len > y->len) - (x->len < y->len);
    }
    return (x->number > y->number) - (x->number < y->number);
}

static int compare_row(const void *a, const void *b) {
    const timed_row *x = a, *y = b;
    int c = compare_time(x, y);
    return c ? c : (x->row > y->row) - (x->row < y->row);
}

/* End of a part that should hold about `target` rows: moved on until the time changes. */
static int64_t part_end(const timed_row *r, int64_t n, double target) {
    int64_t end = (int64_t)target;
    if (end <= 0 || end >= n) return end < 0 ? 0 : (end > n ? n : end);
    while (end < n && compare_time(&r[end - 1], &r[end]) == 0) end++;
    return end;
}

static int compare_int64(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

souk_status split_by_time(split *out, const table *t, const char *column_name, split_shares shares, souk_error *err) {
    column *c = NULL;
    TRY(table_require(t, column_name, "the data", &c, err));
    if (!c->is_number && c->type != COLUMN_DATE)
        return err_set(err, SOUK_INPUT,
                       "column \"%s\" has the role time, but it is neither numbers nor dates written year-month-day",
                       column_name);
    if (c->n_missing)
        return err_set(
            err, SOUK_INPUT,
            "column \"%s\" has the role time, but %lld rows have none: leave them out with --where \"%s is not null\"",
            column_name, (long long)c->n_missing, column_name);
    timed_row *r = mem_array((size_t)t->n, sizeof *r);
    if (!r) return err_nomem(err, "splitting by time");
    for (int64_t i = 0; i < t->n; i++) {
        r[i] = (timed_row){.row = i};
        if (c->is_number)
            r[i].number = c->number[i];
        else
            r[i].text = column_text(c, i, &r[i].len);
    }
    qsort(r, (size_t)t->n, sizeof *r, compare_row);
    souk_status status = split_alloc(out, t->n, err);
    if (status == SOUK_OK) {
        double total = shares.train + shares.valid + shares.test, n = (double)t->n;
        int64_t first = part_end(r, t->n, floor(n * shares.train / total));
        int64_t second = part_end(r, t->n, floor(n * (shares.train + shares.valid) / total));
        if (second < first) second = first;
        for (int64_t i = 0; i < t->n; i++) {
            if (i < first)
                out->train[out->n_train++] = r[i].row;
            else if (i < second)
                out->valid[out->n_valid++] = r[i].row;
            else
                out->test[out->n_test++] = r[i].row;
        }
        qsort(out->train, (size_t)out->n_train, sizeof *out->train, compare_int64);
        qsort(out->valid, (size_t)out->n_valid, sizeof *out->valid, compare_int64);
        qsort(out->test, (size_t)out->n_test, sizeof *out->test, compare_int64);
        out->by_time = true;
    }
    mem_free(r);
    return status;
}

souk_status split_last(split *out, int64_t n, double v, souk_error *err) {
    TRY(split_alloc(out, n, err));
    int64_t first = (int64_t)floor((double)n * (1.0 - v));
    out->last = true;
    for (int64_t i = 0; i < n; i++) {
        if (i < first)
            out->train[out->n_train++] = i;
        else
            out->valid[out->n_valid++] = i;
    }
    return SOUK_OK;
}

souk_status split_none(split *out, int64_t n, souk_error *err) { return split_last(out, n, 0, err); }
