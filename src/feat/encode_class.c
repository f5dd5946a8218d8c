/* encode_class - binary and category columns: cells to class numbers.
 *
 * Input categories: 0 unknown at predict time, then classes by falling count (ties: first seen), then "other" for those
 * beyond most_common and one for missing cells, where training had them. Target classes: numbers ascending if all are
 * numbers, else by bytes, as scikit-learn's LabelEncoder sorts them. Binary: 0 negative, 1 positive; the positive class
 * is told, or the one of the two that says so (1, true, yes, …), else the rarer, and it is stored.
 *
 * A column that was read as numbers is compared as numbers, so that "1", "1.0" and 1 are one class in any file. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/num.h"
#include "base/utf8.h"
#include "feat/encoder.h"

typedef struct tally {
    const char *text; /* in the map */
    uint32_t len;
    int64_t count, seen;
    double number; /* where all are numbers */
} tally;

/* The class text of a cell: as written, or the shortest form of its number in a numeric column. */
static const char *class_text(const encoder *e, const cells *c, int64_t i, char scratch[CELL_SCRATCH], size_t *len) {
    double x;
    const char *text = cells_text(c, i, scratch, len);
    if (!e->numeric || c->column->is_number || !num_parse_double(text, *len, &x)) return text;
    *len = num_format_double(scratch, x);
    return scratch;
}

static int64_t class_find(const encoder *e, const cells *c, int64_t i) {
    char scratch[CELL_SCRATCH];
    size_t len;
    const char *text = class_text(e, c, i, scratch, &len);
    int64_t k = map_find(e->class_of, text, len);
    return k < 0 ? -1 : map_at_const(e->class_of, k)->value;
}

bool class_known(const encoder *e, const cells *c, int64_t i) {
    return !cells_missing(c, i) && class_find(e, c, i) >= 0;
}

/* ---- fit ---- */

static int by_count(const void *a, const void *b) {
    const tally *x = a, *y = b;
    if (x->count != y->count) return x->count > y->count ? -1 : 1;
    return (x->seen > y->seen) - (x->seen < y->seen);
}

static int by_bytes(const void *a, const void *b) {
    const tally *x = a, *y = b;
    int d = memcmp(x->text, y->text, x->len < y->len ? x->len : y->len);
    return d ? d : (x->len > y->len) - (x->len < y->len);
}

static int by_number(const void *a, const void *b) {
    const tally *x = a, *y = b;
    if (x->number != y->number) return x->number < y->number ? -1 : 1;
    return by_bytes(a, b);
}

static souk_status count_classes(const encoder *e, const cells *c, map *counts, int64_t *missing, souk_error *err) {
    *missing = 0;
    for (int64_t i = 0; i < c->n; i++) {
        char scratch[CELL_SCRATCH];
        size_t len;
        if (cells_missing(c, i)) {
            ++*missing;
            continue;
        }
        const char *text = class_text(e, c, i, scratch, &len);
        int64_t k = map_put(counts, text, len, NULL);
        if (k < 0) return err_nomem(err, "counting classes");
        map_at(counts, k)->value++;
    }
    return SOUK_OK;
}

/* Distinct values with their counts; true: all of them are numbers. Caller mem_free's *out. */
static bool tallies(const map *counts, tally **out) {
    int64_t n = map_count(counts);
    bool numbers = true;
    tally *t = *out = mem_array((size_t)n + 1, sizeof *t);
    for (int64_t k = 0; t && k < n; k++) {
        const map_entry *m = map_at_const(counts, k);
        t[k] = (tally){.text = m->key, .len = m->key_len, .count = m->value, .seen = k};
        numbers &= num_parse_double(m->key, m->key_len, &t[k].number);
    }
    return numbers;
}

static souk_status keep_class(encoder *e, const char *text, size_t len, int64_t value, arena *a, souk_error *err) {
    bool is_new;
    int64_t k = map_put(e->class_of, text, len, &is_new);
    char *copy = arena_strndup(a, text, len);
    if (k < 0 || !copy) return err_nomem(err, "fitting classes");
    map_at(e->class_of, k)->value = value;
    e->classes[e->n_classes++] = copy;
    return SOUK_OK;
}

static souk_status keep_classes(encoder *e, const tally *t, int64_t n, int64_t first, arena *a, souk_error *err) {
    e->class_of = map_new();
    e->classes = arena_array(a, (size_t)n + 1, sizeof *e->classes);
    if (!e->class_of || !e->classes) return err_nomem(err, "fitting classes");
    for (int64_t k = 0; k < n; k++) TRY(keep_class(e, t[k].text, t[k].len, first + k, a, err));
    return SOUK_OK;
}

/* ---- binary ---- */

static bool equals(const tally *t, const char *word) {
    return strlen(word) == t->len && strncasecmp(word, t->text, t->len) == 0;
}

static bool says_yes(const tally *t) {
    static const char *const words[] = {
        "true",      "t",   "yes", "y",   "positive", "pos",          "ja",           "oui",         "si",
        "s\xc3\xad", "sim", "da",  "tak", "on",       "\xe6\x98\xaf", "\xe7\x9c\x9f", "\xe6\x9c\x89"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (equals(t, words[i])) return true;
    return false;
}

/* 1 or 0: which of the two is positive where nobody said; t is in class order. */
static int choose_positive(const tally t[2]) {
    for (int k = 0; k < 2; k++)
        if (equals(&t[k], "1") && (equals(&t[1 - k], "0") || equals(&t[1 - k], "-1"))) return k;
    if (says_yes(&t[0]) != says_yes(&t[1])) return says_yes(&t[1]);
    return t[0].count < t[1].count ? 0 : 1;
}

static souk_status told_positive(const encoder *e, const cells *c, const tally t[2], int *positive, souk_error *err) {
    const char *told = e->config.positive;
    for (int k = 0; k < 2; k++)
        if (strlen(told) == t[k].len && memcmp(told, t[k].text, t[k].len) == 0) {
            *positive = k;
            return SOUK_OK;
        }
    return err_set(err, SOUK_INPUT,
                   "%s: column \"%s\": the positive class \"%s\" is not one of its two values, \"%.*s\" and \"%.*s\"",
                   c->source, c->column->name, told, (int)(t[0].len < 100 ? t[0].len : 100), t[0].text,
                   (int)(t[1].len < 100 ? t[1].len : 100), t[1].text);
}

static souk_status not_two(const cells *c, const tally *t, int64_t n, souk_error *err) {
    char shown[200] = "";
    size_t used = 0;
    for (int64_t k = 0; k < n && k < 5; k++) {
        size_t len = utf8_valid_prefix(t[k].text, t[k].len < 30 ? t[k].len : 30);
        if (k > 0) shown[used++] = ' ';
        memcpy(shown + used, t[k].text, len);
        used += len;
        if (k + 1 < n) shown[used++] = ',';
    }
    shown[used] = '\0';
    return err_set(err, SOUK_INPUT,
                   "%s: column \"%s\" has %lld values (%s%s), and a binary feature has two: make it a category, or "
                   "filter rows with --where",
                   c->source, c->column->name, (long long)n, shown, n > 5 ? " …" : "");
}

static souk_status fit_binary(encoder *e, const cells *c, tally *t, int64_t n, bool numbers, arena *a,
                              souk_error *err) {
    qsort(t, (size_t)n, sizeof *t, numbers ? by_number : by_bytes);
    if (n != 2) return not_two(c, t, n, err);
    int positive = 1;
    if (e->config.positive)
        TRY(told_positive(e, c, t, &positive, err));
    else
        positive = choose_positive(t);
    if (positive == 0) {
        tally first = t[0];
        t[0] = t[1];
        t[1] = first;
    }
    TRY(keep_classes(e, t, 2, 0, a, err));
    e->config.positive = e->classes[1];
    e->fill = e->config.missing == MISSING_FILL_CONST ? e->config.fill_value : t[1].count > t[0].count ? 1 : 0;
    return SOUK_OK;
}

/* ---- category ---- */

static souk_status fit_input_category(encoder *e, tally *t, int64_t n, int64_t missing, arena *a, souk_error *err) {
    qsort(t, (size_t)n, sizeof *t, by_count);
    int64_t kept = e->config.most_common > 0 && n > e->config.most_common ? e->config.most_common : n;
    TRY(keep_classes(e, t, kept, 1, a, err));
    int32_t next = (int32_t)kept + 1;
    bool own = e->config.missing == MISSING_DEFAULT || e->config.missing == MISSING_OWN_CATEGORY;
    e->other = kept < n ? next++ : 0;
    e->missing = own && missing > 0 ? next : 0;
    for (int64_t k = kept; k < n; k++) { /* rare ones are known, so that they are told from new ones */
        int64_t m = map_put(e->class_of, t[k].text, t[k].len, NULL);
        if (m < 0) return err_nomem(err, "fitting classes");
        map_at(e->class_of, m)->value = e->other;
    }
    return SOUK_OK;
}

static souk_status fit_counted(encoder *e, const cells *c, const map *counts, int64_t missing, arena *a,
                               souk_error *err) {
    int64_t n = map_count(counts);
    tally *t;
    bool numbers = tallies(counts, &t);
    if (!t) return err_nomem(err, "fitting classes");
    souk_status status;
    if (n > INT32_MAX - 3) {
        status = err_set(err, SOUK_REFUSED, "%s: column \"%s\" has more than two thousand million values", c->source,
                         c->column->name);
    } else if (e->output && n < 2) {
        char *text = n ? mem_strndup(t[0].text, t[0].len) : NULL;
        status = n && !text ? err_nomem(err, "fitting classes") : cells_one_value(c, text, err);
        mem_free(text);
    } else if (e->config.type == FEATURE_BINARY) {
        status = fit_binary(e, c, t, n, numbers, a, err);
    } else if (e->output) {
        qsort(t, (size_t)n, sizeof *t, numbers ? by_number : by_bytes);
        status = keep_classes(e, t, n, 0, a, err);
    } else {
        status = fit_input_category(e, t, n, missing, a, err);
    }
    mem_free(t);
    return status;
}

souk_status class_fit(encoder *e, const cells *c, arena *a, souk_error *err) {
    int64_t missing;
    e->numeric = c->column->is_number;
    map *counts = map_new();
    if (!counts) return err_nomem(err, "counting classes");
    souk_status status = count_classes(e, c, counts, &missing, err);
    if (status == SOUK_OK) status = fit_counted(e, c, counts, missing, a, err);
    map_free(counts);
    return status;
}

/* ---- encode ---- */

souk_status class_encode(const encoder *e, const cells *c, dataset_array *out, souk_error *err) {
    for (int64_t i = 0; i < c->n; i++) {
        bool missing = cells_missing(c, i);
        if (missing && e->config.missing == MISSING_ERROR && !e->output)
            return cells_fault(c, i, err, "the cell is empty, and the model says missing_value: error");
        int64_t k = missing ? -1 : class_find(e, c, i);
        if (out->is_ids)
            out->ids[i] = (int32_t)(missing ? e->missing : k < 0 ? 0 : k);
        else
            out->values[i] = (float)(k < 0 ? e->fill : (double)k);
    }
    return SOUK_OK;
}

/* ---- JSON ---- */

void class_to_json(const encoder *e, json_writer *w) {
    json_key(w, "numeric");
    json_put_bool(w, e->numeric);
    json_key(w, "classes");
    json_array(w);
    for (int64_t k = 0; k < e->n_classes; k++) json_put_string(w, e->classes[k]);
    json_end_array(w);
    if (e->config.type == FEATURE_BINARY) {
        json_key(w, "fill");
        json_put_double(w, e->fill);
        return;
    }
    if (e->output) return;
    json_key(w, "rare"); /* known, and encoded as "other" */
    json_array(w);
    for (int64_t k = e->n_classes; k < map_count(e->class_of); k++) {
        const map_entry *m = map_at_const(e->class_of, k);
        json_put_string_n(w, m->key, m->key_len);
    }
    json_end_array(w);
    json_key(w, "missing_class");
    json_put_bool(w, e->missing != 0);
}

static souk_status read_rare(encoder *e, const json_value *rare, souk_error *err) {
    size_t n = json_length(rare);
    if (json_kind(rare) != JSON_KIND_ARRAY || n >= (size_t)INT32_MAX / 2) return encoder_bad_json(e, "rare", err);
    e->other = n ? (int32_t)e->n_classes + 1 : 0;
    for (size_t k = 0; k < n; k++) {
        const json_value *v = json_index(rare, k);
        bool is_new;
        if (json_kind(v) != JSON_KIND_STRING) return encoder_bad_json(e, "rare", err);
        int64_t m = map_put(e->class_of, json_string(v), json_string_len(v), &is_new);
        if (m < 0) return err_nomem(err, "reading a model's classes");
        if (!is_new) return encoder_bad_json(e, "rare", err);
        map_at(e->class_of, m)->value = e->other;
    }
    return SOUK_OK;
}

static souk_status read_classes(encoder *e, const json_value *classes, arena *a, souk_error *err) {
    size_t n = json_length(classes);
    bool binary = e->config.type == FEATURE_BINARY;
    if (json_kind(classes) != JSON_KIND_ARRAY || n >= (size_t)INT32_MAX / 2 || (binary && n != 2) ||
        (e->output && n < 2))
        return encoder_bad_json(e, "classes", err);
    e->class_of = map_new();
    e->classes = arena_array(a, n + 1, sizeof *e->classes);
    if (!e->class_of || !e->classes) return err_nomem(err, "reading a model's classes");
    for (size_t k = 0; k < n; k++) {
        const json_value *v = json_index(classes, k);
        if (json_kind(v) != JSON_KIND_STRING || map_find(e->class_of, json_string(v), json_string_len(v)) >= 0)
            return encoder_bad_json(e, "classes", err);
        TRY(keep_class(e, json_string(v), json_string_len(v), (int64_t)k + (binary || e->output ? 0 : 1), a, err));
    }
    if (binary) e->config.positive = e->classes[1];
    return SOUK_OK;
}

souk_status class_from_json(encoder *e, const json_value *v, arena *a, souk_error *err) {
    bool missing;
    if (!json_bool(json_get(v, "numeric"), &e->numeric)) return encoder_bad_json(e, "numeric", err);
    TRY(read_classes(e, json_get(v, "classes"), a, err));
    if (e->config.type == FEATURE_BINARY)
        return json_number(json_get(v, "fill"), &e->fill) ? SOUK_OK : encoder_bad_json(e, "fill", err);
    if (e->output) return SOUK_OK;
    TRY(read_rare(e, json_get(v, "rare"), err));
    if (!json_bool(json_get(v, "missing_class"), &missing)) return encoder_bad_json(e, "missing_class", err);
    e->missing = missing ? (int32_t)e->n_classes + (e->other ? 2 : 1) : 0;
    return SOUK_OK;
}
