/* roles.c - what each column is for, in the words of DESIGN.md section 2.
 *
 * A column is left out with a reason, never silently: identifiers, dates, empty and constant columns teach nothing that
 * holds for the next customer. Everything chosen here is printed, stored in the spec, and can be overruled by a model
 * file. */
#include "train/roles.h"

#include <math.h>
#include <string.h>

#include "base/utf8.h"

static const char *const role_names[] = {"id",     "ignore", "weight",    "time",    "customer", "user", "item",
                                         "amount", "group",  "treatment", "outcome", "arm",      "post", "channel"};
enum { N_ROLES = sizeof role_names / sizeof *role_names };

void roles_clear(roles *r) {
    arena_clear(&r->arena);
    memset(r, 0, sizeof *r);
}

bool roles_leaves_out(const roles *r, const char *column_name) {
    for (int i = 0; i < r->n_left_out; i++)
        if (!strcmp(r->left_out[i], column_name)) return true;
    return false;
}

static souk_status add_role(roles *r, const char *role, const char *name, souk_error *err) {
    if (!strcmp(role, "weight"))
        r->weight = name;
    else if (!strcmp(role, "time"))
        r->time = name;
    else if (!strcmp(role, "id") || !strcmp(role, "ignore") || !strcmp(role, "customer") || !strcmp(role, "user") ||
             !strcmp(role, "post"))
        r->left_out[r->n_left_out++] = name;
    else {
        for (int i = 0; i < N_ROLES; i++)
            if (!strcmp(role_names[i], role))
                return err_set(err, SOUK_USAGE,
                               "role \"%s\" says nothing to a classifier: use id, ignore, weight or time here", role);
        const char *near = err_nearest(role, role_names, N_ROLES);
        return near ? err_set(err, SOUK_USAGE, "unknown role \"%s\": did you mean \"%s\"?", role, near)
                    : err_set(err, SOUK_USAGE, "unknown role \"%s\": the roles here are id, ignore, weight and time",
                              role);
    }
    return SOUK_OK;
}

souk_status roles_parse(roles *out, const char *text, const table *t, const char *source, souk_error *err) {
    memset(out, 0, sizeof *out);
    arena_init(&out->arena);
    if (!text || !*text) return SOUK_OK;
    size_t most = strlen(text) + 1;
    out->left_out = arena_array(&out->arena, most, sizeof *out->left_out);
    char *copy = arena_strdup(&out->arena, text);
    if (!out->left_out || !copy) return err_nomem(err, "reading the roles");
    for (char *pair = copy; pair;) {
        char *next = strchr(pair, ',');
        if (next) *next++ = 0;
        char *value = strchr(pair, '=');
        if (!value)
            return err_set(err, SOUK_USAGE, "role \"%s\" names no column: write role=column, for example weight=%s",
                           pair, pair);
        *value++ = 0;
        for (char *name = value; name;) {
            char *plus = strchr(name, '+');
            if (plus) *plus++ = 0;
            column *c;
            if (t) TRY(table_require(t, name, source, &c, err));
            TRY(add_role(out, pair, name, err));
            name = plus;
        }
        pair = next;
    }
    return SOUK_OK;
}

feature_type roles_target_type(const table *t, const column *c) {
    if (c->n_distinct == 2) return FEATURE_BINARY;
    if (!c->is_number) return FEATURE_CATEGORY;
    if (c->n_distinct < 0 || c->n_distinct > 20) return FEATURE_NUMBER;
    for (int64_t i = 0; i < t->n; i++)
        if (!c->missing[i] && c->number[i] != floor(c->number[i])) return FEATURE_NUMBER;
    return FEATURE_CATEGORY;
}

enum { LETTER_ROWS = 2000 }; /* rows that are looked at: enough to tell a script */

/* Chinese and Japanese are written without spaces: to a tokenizer of words a sentence is one word, never seen again. */
static bool mostly_cjk(const table *t, const column *c) {
    int64_t cjk = 0, letters = 0;
    for (int64_t i = 0; i < t->n && i < LETTER_ROWS; i++) {
        size_t len, at = 0;
        const char *s = column_text(c, i, &len);
        while (at < len) {
            uint32_t code;
            at += utf8_decode(s + at, len - at, &code);
            bool is_cjk = utf8_is_cjk(code) || (code >= 0x3040 && code <= 0x30FF); /* kana */
            cjk += is_cjk;
            letters += is_cjk || (code | 32) - 'a' < 26 || (code >= 0xC0 && code < 0x2000);
        }
    }
    return cjk * 2 > letters;
}

static const char *distinct_text(arena *a, const column *c) {
    return c->n_distinct < 0 ? "over 1,000" : arena_printf(a, "%lld", (long long)c->n_distinct);
}

/* The feature for a column, with the reason; false: left out, with a note. */
static bool choose_feature(arena *a, const table *t, const column *c, feature_config *f, const char **reason,
                           const char **note) {
    const char *why = NULL;
    if (c->type == COLUMN_EMPTY || c->n_distinct == 0)
        why = "it is empty";
    else if (c->n_distinct == 1)
        why = "it has one value only";
    else if (c->type == COLUMN_ID)
        why = "it looks like an identifier";
    else if (c->type == COLUMN_DATE)
        why = "it is a date: give it the role time to split by it";
    if (why) {
        *note = arena_printf(a, "%s: left out, %s", c->name, why);
        return false;
    }
    switch (c->type) {
    case COLUMN_TEXT:
        *f = feature_config_default(FEATURE_TEXT);
        f->tokenizer.char_level = mostly_cjk(t, c);
        if (f->tokenizer.char_level) f->pad.maxlen = 200; /* about what 100 words say */
        *reason = f->tokenizer.char_level
                      ? "text in characters, as most of its letters are Chinese or Japanese: read by an LSTM"
                      : "text in words: the tokenizer's most frequent, read by an LSTM";
        break;
    case COLUMN_BINARY:
    case COLUMN_CATEGORY:
        *f = feature_config_default(FEATURE_CATEGORY);
        *reason =
            arena_printf(a, "%s distinct values: an embedding, rare and new values share one", distinct_text(a, c));
        break;
    default:
        *f = feature_config_default(FEATURE_NUMBER);
        *reason = "a number: z-scored with mean and deviation of the training rows";
    }
    f->name = arena_strdup(a, c->name);
    return true;
}

souk_status roles_choose(chosen *out, roles *r, const table *t, const char *target, const char *source,
                         souk_error *err) {
    memset(out, 0, sizeof *out);
    column *y = NULL;
    TRY(table_require(t, target, source, &y, err));
    size_t n = (size_t)t->n_columns;
    feature_config *inputs = arena_array(&r->arena, n, sizeof *inputs);
    out->reasons = arena_array(&r->arena, n, sizeof *out->reasons);
    out->notes = arena_array(&r->arena, n, sizeof *out->notes);
    if (!inputs || !out->reasons || !out->notes) return err_nomem(err, "choosing the features");
    int n_inputs = 0;
    for (int i = 0; i < t->n_columns; i++) {
        const column *c = &t->columns[i];
        if (c == y || (r->weight && !strcmp(c->name, r->weight)) || (r->time && !strcmp(c->name, r->time)) ||
            roles_leaves_out(r, c->name))
            continue;
        if (choose_feature(&r->arena, t, c, &inputs[n_inputs], &out->reasons[n_inputs], &out->notes[out->n_notes]))
            n_inputs++;
        else
            out->n_notes++;
    }
    if (n_inputs == 0 && t->n_columns == 1)
        return err_set(err, SOUK_INPUT,
                       "%s: the target \"%s\" is its only column, so there is nothing to learn it from; was the "
                       "delimiter read right? --format and --delimiter say what it is",
                       source, target);
    if (n_inputs == 0)
        return err_set(err, SOUK_INPUT,
                       "%s: besides the target \"%s\" no column can be learned from: the others are empty, constant, "
                       "dates or identifiers",
                       source, target);
    feature_config output = feature_config_default(roles_target_type(t, y));
    output.name = arena_strdup(&r->arena, target);
    if (!output.name) return err_nomem(err, "choosing the features");
    return spec_default(&out->spec, inputs, n_inputs, &output, err);
}
