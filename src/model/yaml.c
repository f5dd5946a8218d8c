/* yaml - libyaml's events into a tree. What the keys mean is the business of spec.c.
 *
 * Events come one by one and the builder keeps its own stack of YAML_MAX_DEPTH levels, so nothing recurses on input.
 * libyaml implements YAML 1.1; scalars are resolved here by the core schema of YAML 1.2 (chapter 10.3): `no`, `on` and
 * `1:30` are text, which is what a person who writes `country: no` means. JSON is read by the same way, being YAML 1.2
 * but for one thing: its surrogate pairs
 * (\ud83d\ude00) are replaced by the character before libyaml sees them.
 *
 * Invariant: every value and string lives in the tree's arena; a map's keys are distinct. */
#include "model/yaml.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>
#include <yaml.h>

#include "base/buf.h"
#include "base/map.h"
#include "base/num.h"
#include "base/utf8.h"

struct yaml_tree {
    arena arena;
    yaml_value *root;
    int64_t nodes;
};

typedef struct builder {
    yaml_tree *tree;
    const char *origin;
    int64_t line;                     /* added to libyaml's line; INT64_MIN: no positions (an override) */
    yaml_value *open[YAML_MAX_DEPTH]; /* lists and maps that are not closed yet */
    yaml_entry key[YAML_MAX_DEPTH];   /* of each map: the key that waits for its value */
    int depth;
    yaml_value *root;
    map *keys; /* (map's address, key) already seen */
    buf scratch;
} builder;

souk_status yaml_fault(souk_error *err, const char *origin, int64_t line, int64_t column, const char *format, ...) {
    char message[640];
    va_list args;
    va_start(args, format);
    num_vformat(message, sizeof message, format, args);
    va_end(args);
    if (line < 1) return err_set(err, SOUK_INPUT, "%s: %s", origin, message);
    return err_at(err, SOUK_INPUT, line, -1, "%s:%lld:%lld: %s", origin, (long long)line, (long long)column, message);
}

const char *yaml_kind_name(yaml_kind k) {
    static const char *const names[] = {"nothing", "true or false", "a whole number", "a number",
                                        "text",    "a list",        "a group of keys"};
    return names[k];
}

/* ---- scalars, YAML 1.2 core schema ---- */

static bool one_of(const char *s, const char *const *words) {
    for (; *words; words++) {
        if (strcmp(s, *words) == 0) return true;
    }
    return false;
}

/* 0o17, 0x1F */
static bool parse_radix(const char *s, int64_t *out) {
    if (s[0] != '0' || (s[1] != 'x' && s[1] != 'o') || !s[2]) return false;
    int64_t v = 0;
    int radix = s[1] == 'x' ? 16 : 8;
    for (const char *p = s + 2; *p; p++) {
        int digit = *p >= '0' && *p <= '9'   ? *p - '0'
                    : *p >= 'a' && *p <= 'f' ? *p - 'a' + 10
                    : *p >= 'A' && *p <= 'F' ? *p - 'A' + 10
                                             : 99;
        if (digit >= radix || v > (INT64_MAX - digit) / radix) return false;
        v = v * radix + digit;
    }
    *out = v;
    return true;
}

static void resolve(yaml_value *v) {
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
    static const char *const yes[] = {"true", "True", "TRUE", NULL}, *const no[] = {"false", "False", "FALSE", NULL};
    static const char *const infinities[] = {".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF", NULL};
    static const char *const minus[] = {"-.inf", "-.Inf", "-.INF", NULL}, *const nans[] = {".nan", ".NaN", ".NAN",
                                                                                           NULL};
    const char *s = v->text;
    size_t n = strlen(s);
    v->kind = YAML_TEXT;
    if (one_of(s, nulls)) {
        v->kind = YAML_NULL;
    } else if (one_of(s, yes) || one_of(s, no)) {
        v->kind = YAML_BOOL;
        v->b = one_of(s, yes);
    } else if (num_parse_int64(s, n, &v->i) || parse_radix(s, &v->i)) {
        v->kind = YAML_INT;
        v->d = (double)v->i;
    } else if (num_parse_double(s, n, &v->d)) {
        v->kind = YAML_REAL;
    } else if (one_of(s, infinities) || one_of(s, minus) || one_of(s, nans)) {
        v->kind = YAML_REAL;
        v->d = one_of(s, nans) ? NAN : one_of(s, minus) ? -INFINITY : INFINITY;
    }
}

/* ---- building ---- */

static souk_status fault_at(const builder *b, yaml_mark_t mark, souk_error *err, const char *what) {
    int64_t line = b->line == INT64_MIN ? 0 : (int64_t)mark.line + b->line;
    return yaml_fault(err, b->origin, line, (int64_t)mark.column + 1, "%s", what);
}

static souk_status new_value(builder *b, yaml_kind kind, yaml_mark_t mark, yaml_value **out, souk_error *err) {
    if (++b->tree->nodes > YAML_MAX_NODES)
        return fault_at(b, mark, err, "more than 200,000 values; a model file is much smaller");
    yaml_value *v = arena_alloc(&b->tree->arena, sizeof *v);
    if (!v) return err_nomem(err, "reading YAML");
    v->kind = kind;
    v->line = b->line == INT64_MIN ? 0 : (int64_t)mark.line + b->line;
    v->column = (int64_t)mark.column + 1;
    v->origin = b->origin;
    *out = v;
    return SOUK_OK;
}

/* Room for one more entry; the arena keeps the old array, doubling bounds that to as much again. */
static yaml_entry *new_entry(yaml_tree *t, yaml_value *parent) {
    if (parent->n == parent->capacity) {
        size_t capacity = parent->capacity ? parent->capacity * 2 : 4;
        yaml_entry *entry = arena_array(&t->arena, capacity, sizeof *entry);
        if (!entry) return NULL;
        if (parent->n > 0) memcpy(entry, parent->entry, parent->n * sizeof *entry);
        parent->entry = entry;
        parent->capacity = capacity;
    }
    return &parent->entry[parent->n++];
}

/* Puts a finished scalar, or a list or map that has just begun, where it belongs. */
static souk_status attach(builder *b, yaml_value *v, souk_error *err) {
    if (b->depth == 0) {
        b->root = v;
        return SOUK_OK;
    }
    yaml_value *parent = b->open[b->depth - 1];
    yaml_entry *e = new_entry(b->tree, parent);
    if (!e) return err_nomem(err, "reading YAML");
    *e = parent->kind == YAML_MAP ? b->key[b->depth - 1] : (yaml_entry){.line = v->line, .column = v->column};
    e->value = v;
    b->key[b->depth - 1].key = NULL;
    return SOUK_OK;
}

static bool waits_for_key(const builder *b) {
    return b->depth > 0 && b->open[b->depth - 1]->kind == YAML_MAP && !b->key[b->depth - 1].key;
}

static souk_status take_key(builder *b, const yaml_value *v, yaml_mark_t mark, souk_error *err) {
    const yaml_value *parent = b->open[b->depth - 1];
    bool is_new;
    buf_reset(&b->scratch);
    buf_add(&b->scratch, &parent, sizeof parent);
    buf_str(&b->scratch, v->text);
    TRY(buf_status(&b->scratch, "reading YAML", err));
    if (map_put(b->keys, b->scratch.data, b->scratch.len, &is_new) < 0) return err_nomem(err, "reading YAML");
    if (!is_new) {
        char what[200];
        buf_reset(&b->scratch);
        buf_printf(&b->scratch, "the key \"%.100s\" stands here for the second time", v->text);
        TRY(buf_status(&b->scratch, "reading YAML", err));
        memcpy(what, b->scratch.data, b->scratch.len + 1);
        return fault_at(b, mark, err, what);
    }
    b->key[b->depth - 1] = (yaml_entry){.key = v->text, .line = v->line, .column = v->column};
    return SOUK_OK;
}

static souk_status on_scalar(builder *b, const yaml_event_t *e, souk_error *err) {
    yaml_value *v;
    const char *text = (const char *)e->data.scalar.value;
    size_t n = e->data.scalar.length;
    if (e->data.scalar.anchor || (e->data.scalar.tag))
        return fault_at(b, e->start_mark, err,
                        "anchors (&name) and tags (!name) are not used in model files: write the value itself");
    if (memchr(text, 0, n)) return fault_at(b, e->start_mark, err, "a NUL character is not allowed");
    TRY(new_value(b, YAML_TEXT, e->start_mark, &v, err));
    v->text = arena_strndup(&b->tree->arena, text, n);
    if (!v->text) return err_nomem(err, "reading YAML");
    if (waits_for_key(b)) return take_key(b, v, e->start_mark, err);
    if (e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE) resolve(v);
    return attach(b, v, err);
}

static souk_status on_open(builder *b, yaml_kind kind, const yaml_event_t *e, souk_error *err) {
    yaml_value *v;
    if (waits_for_key(b)) return fault_at(b, e->start_mark, err, "a key must be text, not a list or a group");
    if (b->depth == YAML_MAX_DEPTH)
        return fault_at(b, e->start_mark, err, "lists and groups are nested more than 32 deep");
    TRY(new_value(b, kind, e->start_mark, &v, err));
    TRY(attach(b, v, err));
    b->open[b->depth] = v;
    b->key[b->depth] = (yaml_entry){0};
    b->depth++;
    return SOUK_OK;
}

static souk_status on_event(builder *b, const yaml_event_t *e, int *documents, souk_error *err) {
    switch (e->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (++*documents == 1) return SOUK_OK;
        return fault_at(b, e->start_mark, err, "a second document begins here (---): a model file holds one");
    case YAML_ALIAS_EVENT:
        return fault_at(b, e->start_mark, err, "aliases (*name) are not used in model files: write the value itself");
    case YAML_SCALAR_EVENT: return on_scalar(b, e, err);
    case YAML_SEQUENCE_START_EVENT:
        if (e->data.sequence_start.anchor || e->data.sequence_start.tag) break;
        return on_open(b, YAML_LIST, e, err);
    case YAML_MAPPING_START_EVENT:
        if (e->data.mapping_start.anchor || e->data.mapping_start.tag) break;
        return on_open(b, YAML_MAP, e, err);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT: b->depth--; return SOUK_OK;
    default: return SOUK_OK;
    }
    return fault_at(b, e->start_mark, err,
                    "anchors (&name) and tags (!name) are not used in model files: write the value itself");
}

static souk_status parser_fault(const builder *b, const yaml_parser_t *p, souk_error *err) {
    if (p->error == YAML_MEMORY_ERROR) return err_nomem(err, "reading YAML");
    const char *problem = p->problem ? p->problem : "it cannot be read", *hint = "";
    if (strstr(problem, "cannot start any token"))
        hint = " (indentation is made of spaces, not tabs; text that begins with @ ` % is quoted)";
    else if (strstr(problem, "mapping values are not allowed"))
        hint = " (text with a colon in it is quoted; a key is indented like its neighbours)";
    else if (strstr(problem, "did not find expected"))
        hint = " (look for a missing quote, bracket or comma before it, or for uneven indentation)";
    int64_t line = b->line == INT64_MIN ? 0 : (int64_t)p->problem_mark.line + b->line;
    return yaml_fault(err, b->origin, line, (int64_t)p->problem_mark.column + 1, "not valid YAML: %s%s", problem, hint);
}

/* ---- text ---- */

static int hex4(const char *s) {
    int v = 0;
    for (int i = 0; i < 4; i++) {
        char c = s[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0) return -1;
        v = v * 16 + digit;
    }
    return v;
}

/* JSON's pairs of surrogate escapes become the character itself; all else is copied. */
static void join_surrogates(const char *text, size_t n, buf *out) {
    size_t done = 0;
    for (size_t i = 0; i + 12 <= n; i++) {
        if (text[i] != '\\') continue;
        int high = text[i + 1] == 'u' ? hex4(text + i + 2) : -1;
        int low = text[i + 6] == '\\' && text[i + 7] == 'u' ? hex4(text + i + 8) : -1;
        if (high >= 0xd800 && high < 0xdc00 && low >= 0xdc00 && low < 0xe000) {
            char utf8[4];
            buf_add(out, text + done, i - done);
            buf_add(out, utf8,
                    utf8_encode(0x10000 + ((uint32_t)(high - 0xd800) << 10) + (uint32_t)(low - 0xdc00), utf8));
            i += 11;
            done = i + 1;
        } else {
            i++; /* the escaped character, perhaps a backslash itself */
        }
    }
    buf_add(out, text + done, n - done);
}

static souk_status check_utf8(const char *text, size_t n, const char *origin, souk_error *err) {
    size_t valid = utf8_valid_prefix(text, n), line = 1, begin = 0;
    if (valid == n) return SOUK_OK;
    for (size_t i = 0; i < valid; i++) {
        if (text[i] != '\n') continue;
        line++;
        begin = i + 1;
    }
    return yaml_fault(err, origin, (int64_t)line, (int64_t)utf8_count(text + begin, valid - begin) + 1,
                      "not valid UTF-8 (convert it first: iconv -t UTF-8)");
}

/* The events of valid UTF-8 into b->root. */
static souk_status build(builder *b, const char *text, size_t n, souk_error *err) {
    yaml_parser_t parser;
    souk_status status = SOUK_OK;
    int documents = 0;
    bool ended = false;
    if (!yaml_parser_initialize(&parser)) return err_nomem(err, "reading YAML");
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING); /* else a NUL in the first bytes would mean UTF-16 */
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, n);
    while (status == SOUK_OK && !ended) {
        yaml_event_t e;
        if (!yaml_parser_parse(&parser, &e)) {
            status = parser_fault(b, &parser, err);
            break;
        }
        ended = e.type == YAML_STREAM_END_EVENT;
        status = on_event(b, &e, &documents, err);
        yaml_event_delete(&e);
    }
    yaml_parser_delete(&parser);
    return status;
}

static souk_status parse_text(yaml_tree *t, yaml_value **out, const char *text, size_t n, const char *origin,
                              bool positions, souk_error *err) {
    builder b = {.tree = t, .origin = origin, .line = positions ? 1 : INT64_MIN};
    buf joined;
    buf_init(&joined, 0);
    buf_init(&b.scratch, 0);
    souk_status status;
    if (n > YAML_MAX_BYTES)
        return err_set(err, SOUK_REFUSED, "%s: %zu bytes; a model file has at most 8 MiB", origin, n);
    if (n >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
        text += 3;
        n -= 3;
    }
    TRY(check_utf8(text, n, origin, err));
    b.keys = map_new();
    if (!b.keys) return err_nomem(err, "reading YAML");
    bool json = n > 0 && (text[0] == '{' || text[0] == '[');
    if (json) join_surrogates(text, n, &joined);
    TRY_DONE(buf_status(&joined, "reading JSON", err));
    TRY_DONE(build(&b, json ? joined.data : text, json ? joined.len : n, err));
    *out = b.root;
    if (!b.root) status = new_value(&b, YAML_NULL, (yaml_mark_t){0}, out, err);
done:
    map_free(b.keys);
    buf_clear(&joined);
    buf_clear(&b.scratch);
    return status;
}

souk_status yaml_parse(yaml_tree **out, const char *text, size_t n, const char *name, souk_error *err) {
    *out = NULL;
    yaml_tree *t = mem_calloc(1, sizeof *t);
    if (!t) return err_nomem(err, "reading YAML");
    arena_init(&t->arena);
    const char *origin = arena_strdup(&t->arena, name);
    souk_status status = origin ? parse_text(t, &t->root, text, n, origin, true, err) : err_nomem(err, "reading YAML");
    if (status != SOUK_OK) {
        yaml_tree_free(t);
        return status;
    }
    *out = t;
    return SOUK_OK;
}

void yaml_tree_free(yaml_tree *t) {
    if (!t) return;
    arena_clear(&t->arena);
    mem_free(t);
}

yaml_value *yaml_root(const yaml_tree *t) { return t->root; }

const yaml_value *yaml_get(const yaml_value *group, const char *key) {
    for (size_t i = 0; group && group->kind == YAML_MAP && i < group->n; i++) {
        if (strcmp(group->entry[i].key, key) == 0) return group->entry[i].value;
    }
    return NULL;
}

souk_status yaml_parse_into(yaml_tree *t, yaml_value **out, const char *text, const char *origin, souk_error *err) {
    const char *copy = arena_strdup(&t->arena, origin);
    if (!copy) return err_nomem(err, "reading a setting");
    return parse_text(t, out, text, strlen(text), copy, false, err);
}

yaml_value *yaml_put(yaml_tree *t, yaml_value *group, const char *key, const char *origin) {
    const yaml_value *found = yaml_get(group, key);
    for (size_t i = 0; found && i < group->n; i++) {
        if (group->entry[i].value == found) return group->entry[i].value;
    }
    yaml_value *v = arena_alloc(&t->arena, sizeof *v);
    yaml_entry *e = v ? new_entry(t, group) : NULL;
    if (!e) return NULL;
    *e = (yaml_entry){.key = arena_strdup(&t->arena, key), .value = v};
    v->kind = YAML_MAP;
    v->origin = arena_strdup(&t->arena, origin);
    if (e->key && v->origin) return v;
    group->n--;
    return NULL;
}
