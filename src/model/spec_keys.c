/* spec_keys - keys.def made into a table, and the code that walks it: one reader and one writer for every scalar key.
 *
 * What differs between keys is in their rows: section, kinds, field (offset and size), words, range. The size tells an
 * int64 from an int, a double from a float, and a stored word from its number, so that a row needs no type of its own
 * for them. Lists, groups and the shorthands are spec.c's. The idea is redis' table of settings (`src/config.c`).
 *
 * Invariant: a key is found by (section, name, kind), and at most one row matches. */
#include "model/spec_keys.h"

#include <math.h>
#include <string.h>

#include "base/num.h"

/* ---- the table ---- */

#define WORD(word, value) {word, value},
#define WORD_TEXT(word, value) "|" word
#define NO_TEXT(word, value)
#define LIST_OF(LIST) ((const spec_choice[]){LIST(WORD, WORD){NULL, 0}})
#define TEXT_OF(LIST) (&("" LIST(WORD_TEXT, NO_TEXT))[1])

typedef struct root_struct {
    int unused;
} root_struct;
#define STRUCT_ROOT root_struct
#define STRUCT_INPUT input_config
#define STRUCT_PREPROCESSING feature_config
#define STRUCT_TOKENIZER tok_word_options
#define STRUCT_PAD pad_options
#define STRUCT_ENCODER encoder_args
#define STRUCT_LAYER layer_config
#define STRUCT_OUTPUT output_config
#define STRUCT_TRAINER trainer_config
#define STRUCT_OPTIMIZER optimizer_args
#define STRUCT_SCHEDULE sched_options
#define STRUCT_EARLY trainer_config

#define PATH_ROOT ""
#define PATH_INPUT "input_features[]."
#define PATH_PREPROCESSING "input_features[].preprocessing."
#define PATH_TOKENIZER "input_features[].preprocessing.tokenizer."
#define PATH_PAD "input_features[].preprocessing.pad_sequences."
#define PATH_ENCODER "input_features[].encoder."
#define PATH_LAYER "input_features[].encoder.layers[]."
#define PATH_OUTPUT "output_features[]."
#define PATH_COMBINER "combiner."
#define PATH_TRAINER "trainer."
#define PATH_OPTIMIZER "trainer.optimizer."
#define PATH_SCHEDULE "trainer.learning_rate_schedule."
#define PATH_EARLY "trainer.early_stopping."

#define FIELD(section, field) offsetof(STRUCT_##section, field), sizeof(((STRUCT_##section *)NULL)->field)
#define SETTING(section, name, type, value, range, help) \
    { SOUK_SETTING_KEY, "", PATH_##section name, type, value, range, help }
#define SCALAR(section, name, kinds, kind, choices, field, shown, type, value, range, help) \
    {SECTION_##section,                                                                     \
     name,                                                                                  \
     kinds,                                                                                 \
     kind,                                                                                  \
     choices,                                                                               \
     FIELD(section, field),                                                                 \
     shown,                                                                                 \
     SETTING(section, name, type, value, range, help)},
#define INT(section, name, kinds, field, range, value, shown, help) \
    SCALAR(section, name, kinds, SPEC_INT, NULL, field, shown, "int", value, range, help)
#define NUMBER(section, name, kinds, field, range, value, shown, help) \
    SCALAR(section, name, kinds, SPEC_NUMBER, NULL, field, shown, "number", value, range, help)
#define MAYBE(section, name, kinds, field, range, value, shown, help) \
    SCALAR(section, name, kinds, SPEC_MAYBE, NULL, field, shown, "number", value, range, help)
#define FLAG(section, name, kinds, field, value, shown, help) \
    SCALAR(section, name, kinds, SPEC_FLAG, NULL, field, shown, "false|true", value, "", help)
#define TEXT(section, name, kinds, field, value, shown, help) \
    SCALAR(section, name, kinds, SPEC_TEXT, NULL, field, shown, "text", value, "", help)
#define CHOICE(section, name, kinds, field, list, value, shown, help) \
    SCALAR(section, name, kinds, SPEC_CHOICE, LIST_OF(list), field, shown, TEXT_OF(list), value, "", help)
#define SELECT(section, name, list, value, shown, help) \
    {SECTION_##section,                                 \
     name,                                              \
     "",                                                \
     SPEC_SELECT,                                       \
     LIST_OF(list),                                     \
     0,                                                 \
     0,                                                 \
     shown,                                             \
     SETTING(section, name, TEXT_OF(list), value, "", help)},
#define GROUP(section, name, kinds, type, help) \
    {SECTION_##section, name, kinds, SPEC_GROUP, NULL, 0, 0, false, SETTING(section, name, type, "", "", help)},

static const spec_row rows[] = {
#include "model/keys.def"
};
enum { ROWS = sizeof rows / sizeof *rows };

size_t spec_key_count(void) { return ROWS; }
const souk_setting *spec_key_setting(size_t i) { return &rows[i].setting; }
const spec_row *spec_row_at(size_t i) { return &rows[i]; }

/* ---- lookups ---- */

static bool word_in(const char *list, const char *word) {
    size_t n = strlen(word);
    for (const char *at = list; *at;) {
        size_t m = strcspn(at, "|");
        if (m == n && memcmp(at, word, n) == 0) return true;
        at += m + (at[m] == '|');
    }
    return false;
}

static bool has_kind(const spec_row *row, const char *kind) {
    return !kind || !*row->kinds || word_in(row->kinds, kind);
}

const spec_row *spec_row_find(spec_section section, const char *name, const char *kind) {
    for (size_t i = 0; i < ROWS; i++) {
        if (rows[i].section == section && strcmp(rows[i].name, name) == 0 && has_kind(&rows[i], kind)) return &rows[i];
    }
    return NULL;
}

const char *spec_choice_word(const spec_choice *choices, int value) {
    for (; choices->word; choices++) {
        if (choices->value == value) return choices->word;
    }
    return NULL;
}

bool spec_choice_value(const spec_choice *choices, const char *word, int *value) {
    for (; choices->word; choices++) {
        if (strcmp(choices->word, word) != 0) continue;
        *value = choices->value;
        return true;
    }
    return false;
}

static bool take(const char **s, const char *prefix) {
    size_t n = strlen(prefix);
    if (strncmp(*s, prefix, n) != 0) return false;
    *s += n;
    return true;
}

bool spec_in_range(const char *range, double v) {
    double low, high;
    if (!isfinite(v)) return false;
    if (!*range) return true;
    bool open = take(&range, "above ");
    take(&range, "at least ");
    size_t n = strcspn(range, " ");
    if (!num_parse_double(range, n, &low) || (open ? v <= low : v < low)) return false;
    range += n;
    if (!take(&range, " to ")) return true;
    open = take(&range, "below ");
    return num_parse_double(range, strlen(range), &high) && (open ? v < high : v <= high);
}

/* ---- reading ---- */

/* "in trainer", "at the top level" */
static const char *place(const char *where) { return *where ? where : "the top level"; }

static souk_status unknown_key(const spec_reader *r, const yaml_entry *e, const char *origin, spec_section section,
                               const char *kind, const char *where) {
    const spec_row *other = spec_row_find(section, e->key, NULL);
    if (other) {
        return yaml_fault(r->err, origin, e->line, e->column,
                          "key \"%.60s\" does not apply in %s of type %s: it is for %s", e->key, place(where), kind,
                          other->kinds);
    }
    const char *names[ROWS];
    size_t n = 0;
    for (size_t i = 0; i < ROWS; i++) {
        if (rows[i].section == section && has_kind(&rows[i], kind)) names[n++] = rows[i].name;
    }
    const char *nearest = err_nearest(e->key, names, n);
    if (nearest) {
        return yaml_fault(r->err, origin, e->line, e->column, "unknown key \"%.60s\" in %s: did you mean \"%s\"?",
                          e->key, place(where), nearest);
    }
    for (size_t i = 0; i < ROWS; i++) {
        if (strcmp(rows[i].name, e->key) != 0) continue;
        return yaml_fault(r->err, origin, e->line, e->column,
                          "unknown key \"%.60s\" in %s: it belongs elsewhere, as %s", e->key, place(where),
                          rows[i].setting.name);
    }
    buf known;
    buf_init(&known, 0);
    for (size_t i = 0; i < n; i++) buf_printf(&known, "%s%s", i ? ", " : "", names[i]);
    souk_status status = buf_status(&known, "reading the model file", r->err);
    if (status == SOUK_OK) {
        status = yaml_fault(r->err, origin, e->line, e->column, "unknown key \"%.60s\" in %s (known: %.400s)", e->key,
                            place(where), known.data);
    }
    buf_clear(&known);
    return status;
}

souk_status spec_wrong_type(const spec_reader *r, const yaml_value *v, const char *where, const char *key,
                            const char *wanted) {
    const char *dot = *where && *key ? "." : "";
    if (v->text && v->kind != YAML_NULL) {
        const char *hint =
            v->kind == YAML_TEXT && strcmp(wanted, yaml_kind_name(YAML_BOOL)) == 0 ? " (write true or false)" : "";
        return yaml_fault(r->err, v->origin, v->line, v->column, "%s%s%s: \"%.60s\" is not %s%s", where, dot, key,
                          v->text, wanted, hint);
    }
    return yaml_fault(r->err, v->origin, v->line, v->column, "%s%s%s: %s is given where %s belongs", where, dot, key,
                      yaml_kind_name(v->kind), wanted);
}

souk_status spec_check_keys(const spec_reader *r, const yaml_value *v, spec_section section, const char *kind,
                            const char *where) {
    if (!v || v->kind == YAML_NULL) return SOUK_OK;
    if (v->kind != YAML_MAP)
        return spec_wrong_type(r, v, *where ? where : "the model file", "", yaml_kind_name(YAML_MAP));
    for (size_t i = 0; i < v->n; i++) {
        const yaml_entry *e = &v->entry[i];
        if (!spec_row_find(section, e->key, kind))
            return unknown_key(r, e, e->line > 0 ? v->origin : e->value->origin, section, kind, where);
    }
    return SOUK_OK;
}

static souk_status not_a_word(const spec_reader *r, const yaml_value *v, const spec_row *row, const char *where) {
    const char *names[64];
    size_t n = 0;
    for (const spec_choice *c = row->choices; c->word && n < 64; c++) names[n++] = c->word;
    const char *nearest = err_nearest(v->text, names, n);
    if (nearest) {
        return yaml_fault(r->err, v->origin, v->line, v->column, "%s.%s: \"%.60s\" is not known: did you mean \"%s\"?",
                          where, row->name, v->text, nearest);
    }
    return yaml_fault(r->err, v->origin, v->line, v->column, "%s.%s: \"%.60s\" is not one of %s", where, row->name,
                      v->text, row->setting.type);
}

static souk_status read_word(const spec_reader *r, const yaml_value *v, const spec_row *row, const char *where,
                             int *value) {
    if (!v->text) return spec_wrong_type(r, v, where, row->name, yaml_kind_name(YAML_TEXT));
    return spec_choice_value(row->choices, v->text, value) ? SOUK_OK : not_a_word(r, v, row, where);
}

souk_status spec_select(const spec_reader *r, const yaml_value *v, spec_section section, const char *where,
                        int otherwise, int *value, const char **word) {
    const spec_row *row = spec_row_find(section, "type", NULL);
    const yaml_value *given = yaml_get(v, "type");
    *value = otherwise;
    if (v && v->kind != YAML_MAP && v->kind != YAML_NULL)
        return spec_wrong_type(r, v, where, "", yaml_kind_name(YAML_MAP));
    if (given && given->kind != YAML_NULL) {
        TRY(read_word(r, given, row, where, value));
    } else if (otherwise < 0) {
        return yaml_fault(r->err, v->origin, v->line, v->column, "%s has no type: it is one of %s", where,
                          row->setting.type);
    }
    *word = spec_choice_word(row->choices, *value);
    return SOUK_OK;
}

static souk_status out_of_range(const spec_reader *r, const yaml_value *v, const spec_row *row, const char *where) {
    return yaml_fault(r->err, v->origin, v->line, v->column, "%s.%s: %s is out of range: %s", where, row->name, v->text,
                      *row->setting.range ? row->setting.range : "a finite number");
}

static souk_status store_number(const spec_reader *r, const yaml_value *v, const spec_row *row, const char *where,
                                char *field) {
    bool whole = row->type == SPEC_INT;
    if (v->kind != YAML_INT && (whole || v->kind != YAML_REAL))
        return spec_wrong_type(r, v, where, row->name, yaml_kind_name(whole ? YAML_INT : YAML_REAL));
    if (!spec_in_range(row->setting.range, v->d)) return out_of_range(r, v, row, where);
    if (whole && row->size == sizeof(int64_t))
        memcpy(field, &v->i, sizeof v->i);
    else if (whole)
        memcpy(field, &(int32_t){(int32_t)v->i}, sizeof(int32_t));
    else if (row->size == sizeof(double))
        memcpy(field, &v->d, sizeof v->d);
    else
        memcpy(field, &(float){(float)v->d}, sizeof(float));
    return SOUK_OK;
}

static souk_status store(const spec_reader *r, const yaml_value *v, const spec_row *row, const char *where,
                         void *base) {
    char *field = (char *)base + row->offset;
    const char *text;
    int value;
    switch (row->type) {
    case SPEC_INT:
    case SPEC_NUMBER:
    case SPEC_MAYBE: return store_number(r, v, row, where, field);
    case SPEC_FLAG:
        if (v->kind != YAML_BOOL) return spec_wrong_type(r, v, where, row->name, yaml_kind_name(YAML_BOOL));
        memcpy(field, &v->b, sizeof v->b);
        return SOUK_OK;
    case SPEC_TEXT:
        if (!v->text) return spec_wrong_type(r, v, where, row->name, yaml_kind_name(YAML_TEXT));
        text = arena_strdup(r->arena, v->text);
        if (!text) return err_nomem(r->err, "reading the model file");
        memcpy(field, &text, sizeof text);
        return SOUK_OK;
    case SPEC_CHOICE:
        TRY(read_word(r, v, row, where, &value));
        text = spec_choice_word(row->choices, value);
        if (row->size == sizeof text)
            memcpy(field, &text, sizeof text);
        else if (row->size == sizeof value)
            memcpy(field, &value, sizeof value);
        else
            memcpy(field, &(bool){value != 0}, sizeof(bool));
        return SOUK_OK;
    case SPEC_SELECT:
    case SPEC_GROUP: break; /* the caller's */
    }
    return SOUK_OK;
}

/* Texts and whole numbers without a default can be none, and so can MAYBE numbers. */
static bool can_be_none(const spec_row *row) {
    return row->type == SPEC_MAYBE || ((row->type == SPEC_TEXT || row->type == SPEC_INT) && !*row->setting.value);
}

/* null: none where there can be none, else the default stays. None is NULL, 0, or -1 for MAYBE. */
static void store_null(const spec_row *row, void *base) {
    char *field = (char *)base + row->offset;
    if (!can_be_none(row)) return;
    if (row->type != SPEC_MAYBE)
        memset(field, 0, row->size);
    else if (row->size == sizeof(double))
        memcpy(field, &(double){-1}, sizeof(double));
    else
        memcpy(field, &(float){-1}, sizeof(float));
}

souk_status spec_read_rows(const spec_reader *r, const yaml_value *v, spec_section section, const char *kind,
                           const char *where, void *base) {
    TRY(spec_check_keys(r, v, section, kind, where));
    for (size_t i = 0; v && v->kind == YAML_MAP && i < v->n; i++) {
        const yaml_value *value = v->entry[i].value;
        const spec_row *row = spec_row_find(section, v->entry[i].key, kind);
        if (value->kind == YAML_NULL)
            store_null(row, base);
        else
            TRY(store(r, value, row, where, base));
    }
    for (size_t i = 0; i < ROWS; i++) {
        const spec_row *row = &rows[i];
        if (row->section != section || row->type == SPEC_SELECT || !has_kind(row, kind) ||
            strcmp(row->setting.value, "required") != 0)
            continue;
        const yaml_value *value = yaml_get(v, row->name);
        if (value && value->kind != YAML_NULL) continue;
        if (!v) return err_set(r->err, SOUK_INPUT, "%s.%s must be given", where, row->name);
        return yaml_fault(r->err, v->origin, v->line, v->column, "%s.%s must be given: %s", where, row->name,
                          row->setting.help);
    }
    return SOUK_OK;
}

/* ---- writing ---- */

static int64_t whole_at(const spec_row *row, const char *field) {
    int64_t wide;
    int32_t narrow;
    if (row->size == sizeof wide) {
        memcpy(&wide, field, sizeof wide);
        return wide;
    }
    memcpy(&narrow, field, sizeof narrow);
    return narrow;
}

static void write_number(json_writer *j, const spec_row *row, const char *field) {
    double number;
    float single;
    char text[32];
    if (row->size == sizeof number) {
        memcpy(&number, field, sizeof number);
        num_format_double(text, number);
    } else {
        memcpy(&single, field, sizeof single);
        num_format_float(text, single); /* "0.2", which reads back to the same float */
        number = (double)single;
    }
    if (row->type == SPEC_MAYBE && number < 0)
        json_put_null(j);
    else
        json_put_raw(j, text); /* finite: the ranges say so */
}

static void write_field(json_writer *j, const spec_row *row, const char *field) {
    bool flag = false;
    const char *text = NULL;
    int value = 0;
    switch (row->type) {
    case SPEC_INT:
        if (can_be_none(row) && whole_at(row, field) == 0)
            json_put_null(j);
        else
            json_put_int(j, whole_at(row, field));
        break;
    case SPEC_NUMBER:
    case SPEC_MAYBE: write_number(j, row, field); break;
    case SPEC_FLAG:
        memcpy(&flag, field, sizeof flag);
        json_put_bool(j, flag);
        break;
    case SPEC_TEXT:
        memcpy(&text, field, sizeof text);
        json_put_string(j, text);
        break;
    case SPEC_CHOICE:
        if (row->size == sizeof text) {
            memcpy(&text, field, sizeof text);
        } else if (row->size == sizeof value) {
            memcpy(&value, field, sizeof value);
            text = spec_choice_word(row->choices, value);
        } else {
            memcpy(&flag, field, sizeof flag);
            text = spec_choice_word(row->choices, flag);
        }
        json_put_string(j, text);
        break;
    case SPEC_SELECT:
    case SPEC_GROUP: break;
    }
}

static bool same_field(const spec_row *row, const char *a, const char *b) {
    bool text = row->type == SPEC_TEXT || (row->type == SPEC_CHOICE && row->size == sizeof(char *));
    if (!text) return memcmp(a, b, row->size) == 0;
    const char *x, *y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return x == y || (x && y && strcmp(x, y) == 0);
}

bool spec_rows_equal(spec_section section, const char *kind, const void *a, const void *b) {
    bool equal = true;
    for (size_t i = 0; i < ROWS && equal; i++) {
        const spec_row *row = &rows[i];
        if (row->section != section || row->type == SPEC_GROUP || row->type == SPEC_SELECT || !has_kind(row, kind))
            continue;
        equal = same_field(row, (const char *)a + row->offset, (const char *)b + row->offset);
    }
    return equal;
}

void spec_write_rows(json_writer *j, spec_section section, const char *kind, const void *base, const void *defaults,
                     bool keep_shown) {
    for (size_t i = 0; i < ROWS; i++) {
        const spec_row *row = &rows[i];
        if (row->section != section || row->type == SPEC_GROUP || !has_kind(row, kind)) continue;
        if (row->type == SPEC_SELECT) {
            int value;
            json_key(j, row->name);
            json_put_string(j, spec_choice_value(row->choices, kind, &value) ? kind : row->choices[0].word);
            continue;
        }
        const char *field = (const char *)base + row->offset;
        if (defaults && !(keep_shown && row->shown) && same_field(row, field, (const char *)defaults + row->offset))
            continue;
        json_key(j, row->name);
        write_field(j, row, field);
    }
}
