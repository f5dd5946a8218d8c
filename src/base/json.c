/* json - JSON in through jansson, out straight into a buf. The only file that knows jansson.
 *
 * Before jansson sees a text its depth is checked by a scan over the brackets (jansson's own limit is 2,048 calls
 * deep), and jansson is told to refuse duplicate keys: two readers must not see two different documents. jansson
 * allocates through mem_plain_alloc; as its lexer ignores a failed allocation here and there, a failure during a parse
 * is remembered per thread and turns the whole parse into SOUK_NOMEM.
 * Leaves to others: what the keys mean; unknown keys are reported by the readers of each format.
 * Invariant: the writer emits valid UTF-8 and valid JSON whatever the strings hold; nesting errors of the caller are
 * asserted. */
#include <jansson.h> /* before json.h, which renames four names that both have */

#include "base/json.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"
#include "base/thread.h"
#include "base/utf8.h"

struct json_doc {
    json_t *root;
};

static _Thread_local bool allocation_failed;
/* jansson's lexer appends to its text buffer without looking whether it grew, and then reads beyond the end of what is
 * there, or asserts. So the first allocation that fails during a parse is met from a reserve as large as that buffer
 * can get, and the input ends there (next_byte): the lexer never wants another byte, and everything later checks. */
static _Thread_local void *reserve;
static _Thread_local size_t reserve_size;

static void *noting_alloc(size_t n) {
    void *p = mem_plain_alloc(n);
    if (p) return p;
    allocation_failed = true;
    if (n > reserve_size) return NULL;
    p = reserve;
    reserve = NULL;
    reserve_size = 0;
    return p;
}

/* Interchangeable with malloc and free, so that a host program with jansson values of its own is not disturbed; a host
 * that set functions of its own keeps them. */
static void set_allocator(void) {
    json_malloc_t host_alloc;
    json_free_t host_free;
    json_get_alloc_funcs(&host_alloc, &host_free);
    if (host_alloc == malloc && host_free == free) json_set_alloc_funcs(noting_alloc, mem_plain_free);
}

/* ---- reading ---- */

typedef struct position {
    int64_t line, column;
} position;

static position position_of(const char *text, size_t at) {
    position p = {1, 1};
    for (size_t i = 0; i < at; i++) {
        if (text[i] == '\n')
            p = (position){p.line + 1, 1};
        else if (((unsigned char)text[i] & 0xC0) != 0x80)
            p.column++;
    }
    return p;
}

/* Refuses brackets deeper than max_depth. Strings are skipped; whether the text is JSON at all is jansson's business.
 */
static souk_status check_depth(const char *text, size_t n, int max_depth, souk_error *err) {
    int depth = 0;
    for (size_t i = 0; i < n; i++) {
        char c = text[i];
        if (c == '"') {
            for (i++; i < n && text[i] != '"'; i++) i += text[i] == '\\';
        } else if (c == '[' || c == '{') {
            if (++depth <= max_depth) continue;
            position p = position_of(text, i);
            return err_at(err, SOUK_INPUT, p.line, (int64_t)i,
                          "line %lld, column %lld: arrays and objects are nested deeper than the limit of %d levels",
                          (long long)p.line, (long long)p.column, max_depth);
        } else if (c == ']' || c == '}') {
            depth--;
        }
    }
    return SOUK_OK;
}

/* jansson's message with line and column. Its text quotes the input, possibly cut inside a character. */
static souk_status parse_error(const json_error_t *e, souk_error *err) {
    if (allocation_failed || json_error_code(e) == json_error_out_of_memory) return err_nomem(err, "reading JSON");
    char text[JSON_ERROR_TEXT_LENGTH * 3 + 1];
    size_t n = 0, length = strlen(e->text);
    for (size_t i = 0; i < length;) {
        uint32_t c;
        i += utf8_decode(e->text + i, length - i, &c);
        n += utf8_encode(c < ' ' ? ' ' : c, text + n);
    }
    text[n] = '\0';
    int64_t line = e->line > 0 ? e->line : 1, column = e->column > 0 ? e->column : 1;
    return err_at(err, SOUK_INPUT, line, e->position, "line %lld, column %lld: not valid JSON: %s", (long long)line,
                  (long long)column, n ? text : "unreadable");
}

typedef struct source {
    const char *at, *end;
} source;

/* One byte at a time, so that nothing is read ahead of a failed allocation. */
static size_t next_byte(void *buffer, size_t n, void *context) {
    source *s = context;
    if (n == 0 || s->at == s->end || allocation_failed) return 0;
    *(char *)buffer = *s->at++;
    return 1;
}

souk_status json_parse(json_doc **out, const char *text, size_t n, int max_depth, souk_error *err) {
    static int once;
    thread_once(&once, set_allocator);
    *out = NULL;
    TRY(check_depth(text, n, max_depth > 0 ? max_depth : 64, err));
    json_doc *d = mem_alloc(sizeof *d);
    if (!d) return err_nomem(err, "reading JSON");
    json_error_t e = {0};
    allocation_failed = false;
    source from = {text, text + n};
    if (!size_mul(n + 32, 2, &reserve_size) || !(reserve = mem_plain_alloc(reserve_size))) {
        reserve_size = 0;
        mem_free(d);
        return err_nomem(err, "reading JSON");
    }
    d->root = json_load_callback(next_byte, &from, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &e);
    mem_plain_free(reserve);
    reserve = NULL;
    reserve_size = 0;
    if (d->root && !allocation_failed) {
        *out = d;
        return SOUK_OK;
    }
    souk_status status = parse_error(&e, err);
    json_free(d);
    return status;
}

void json_free(json_doc *d) {
    if (!d) return;
    json_decref(d->root);
    mem_free(d);
}

static const json_t *inner(const json_value *v) { return (const json_t *)(const void *)v; }
static const json_value *outer(const json_t *v) { return (const json_value *)(const void *)v; }

const json_value *json_root(const json_doc *d) { return outer(d->root); }

json_type json_kind(const json_value *v) {
    if (!v) return JSON_KIND_NULL;
    switch (json_typeof(inner(v))) {
    case JSON_OBJECT: return JSON_KIND_OBJECT;
    case JSON_ARRAY: return JSON_KIND_ARRAY;
    case JSON_STRING: return JSON_KIND_STRING;
    case JSON_INTEGER: return JSON_KIND_INT;
    case JSON_REAL: return JSON_KIND_REAL;
    case JSON_TRUE:
    case JSON_FALSE: return JSON_KIND_BOOL;
    case JSON_NULL: break;
    }
    return JSON_KIND_NULL;
}

const json_value *json_get(const json_value *object, const char *key) {
    return outer(json_object_get(inner(object), key));
}

size_t json_length(const json_value *v) {
    return json_kind(v) == JSON_KIND_OBJECT ? json_object_size(inner(v)) : json_array_size(inner(v));
}

const json_value *json_index(const json_value *array, size_t i) { return outer(json_array_get(inner(array), i)); }
const char *json_string(const json_value *v) { return json_string_value(inner(v)); }
size_t json_string_len(const json_value *v) { return json_string_length(inner(v)); }

bool json_int(const json_value *v, int64_t *out) {
    if (json_kind(v) != JSON_KIND_INT) return false;
    *out = json_integer_value(inner(v));
    return true;
}

bool json_number(const json_value *v, double *out) {
    json_type kind = json_kind(v);
    if (kind != JSON_KIND_INT && kind != JSON_KIND_REAL) return false;
    *out = json_number_value(inner(v));
    return true;
}

bool json_bool(const json_value *v, bool *out) {
    if (json_kind(v) != JSON_KIND_BOOL) return false;
    *out = json_is_true(inner(v));
    return true;
}

bool json_next(const json_value *object, void **it, const char **key, const json_value **value) {
    json_t *o = (json_t *)(uintptr_t)inner(object); /* jansson's iterators want a mutable object, and leave it alone */
    *it = *it ? json_object_iter_next(o, *it) : json_object_iter(o);
    if (!*it) return false;
    if (key) *key = json_object_iter_key(*it);
    if (value) *value = outer(json_object_iter_value(*it));
    return true;
}

/* ---- writing ---- */

enum { JSON_DEEPEST = 63 };

void json_begin(json_writer *w, buf *out, bool pretty) { *w = (json_writer){.out = out, .pretty = pretty}; }

static void new_line(json_writer *w) {
    if (!w->pretty) return;
    buf_char(w->out, '\n');
    for (int i = 0; i < w->depth; i++) buf_str(w->out, "  ");
}

/* The comma and the line before a value or a key. */
static void separate(json_writer *w) {
    if (w->after_key) {
        w->after_key = false;
        return;
    }
    if (w->need_comma >> w->depth & 1) buf_char(w->out, ',');
    w->need_comma |= (uint64_t)1 << w->depth;
    if (w->depth > 0) new_line(w);
}

static void open_level(json_writer *w, char bracket) {
    separate(w);
    buf_char(w->out, bracket);
    assert(w->depth < JSON_DEEPEST);
    w->depth++;
    w->need_comma &= ~((uint64_t)1 << w->depth);
}

static void close_level(json_writer *w, char bracket) {
    assert(w->depth > 0 && !w->after_key);
    bool empty = !(w->need_comma >> w->depth & 1);
    w->depth--;
    if (!empty) new_line(w);
    buf_char(w->out, bracket);
}

void json_object(json_writer *w) { open_level(w, '{'); }
void json_end_object(json_writer *w) { close_level(w, '}'); }
void json_array(json_writer *w) { open_level(w, '['); }
void json_end_array(json_writer *w) { close_level(w, ']'); }

static void put_quoted(buf *out, const char *s, size_t n) {
    static const char short_escapes[] = "btn\0fr"; /* for 8, 9, 10, 12, 13 */
    size_t plain = 0;                              /* start of the bytes that need no escape */
    buf_char(out, '"');
    for (size_t i = 0; i < n;) {
        unsigned char c = (unsigned char)s[i];
        uint32_t code = c;
        size_t length = c < 0x80 ? 1 : utf8_decode(s + i, n - i, &code);
        bool broken = c >= 0x80 && length == 1;
        if (c >= ' ' && c != '"' && c != '\\' && !broken) {
            i += length;
            continue;
        }
        buf_add(out, s + plain, i - plain);
        if (broken)
            buf_str(out, "\xEF\xBF\xBD");
        else if (c == '"' || c == '\\')
            buf_add(out, (char[]){'\\', (char)c}, 2);
        else if (c >= 8 && c <= 13 && c != 11)
            buf_add(out, (char[]){'\\', short_escapes[c - 8]}, 2);
        else
            buf_printf(out, "\\u%04x", (unsigned)c);
        i += length;
        plain = i;
    }
    buf_add(out, s + plain, n - plain);
    buf_char(out, '"');
}

void json_key(json_writer *w, const char *key) {
    assert(w->depth > 0 && !w->after_key);
    separate(w);
    put_quoted(w->out, key, strlen(key));
    buf_str(w->out, w->pretty ? ": " : ":");
    w->after_key = true;
}

void json_put_string_n(json_writer *w, const char *s, size_t n) {
    separate(w);
    put_quoted(w->out, s, n);
}

void json_put_string(json_writer *w, const char *s) {
    if (s)
        json_put_string_n(w, s, strlen(s));
    else
        json_put_null(w);
}

void json_put_int(json_writer *w, int64_t v) {
    char text[24];
    separate(w);
    buf_add(w->out, text, num_format_int64(text, v));
}

void json_put_double(json_writer *w, double v) {
    if (!isfinite(v)) {
        json_put_null(w);
        return;
    }
    separate(w);
    if (v == 0 && signbit(v))
        buf_str(w->out, "-0.0"); /* "-0" would be read as the integer 0 */
    else
        buf_double(w->out, v);
}

void json_put_raw(json_writer *w, const char *json) {
    separate(w);
    buf_str(w->out, json);
}

void json_put_bool(json_writer *w, bool v) { json_put_raw(w, v ? "true" : "false"); }
void json_put_null(json_writer *w) { json_put_raw(w, "null"); }
