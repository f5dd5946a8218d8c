/* json - JSON in and out, through jansson (duplicate keys refused, depth bounded). The only file that knows jansson.
 *
 * Values are borrowed from their document. Reading is tolerant of absence (json_get returns NULL, the getters take a
 * default), never of the wrong type: ask json_kind first where it matters. */
#ifndef SOUK_BASE_JSON_H
#define SOUK_BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/* jansson has functions of these four names; at link time ours carry the project's prefix. */
#define json_type souk_json_type
#define json_string souk_json_string
#define json_object souk_json_object
#define json_array souk_json_array

typedef struct json_doc json_doc;     /* owns everything in it */
typedef struct json_value json_value; /* opaque; in fact a jansson json_t */
typedef enum json_type {
    JSON_KIND_NULL,
    JSON_KIND_BOOL,
    JSON_KIND_INT,
    JSON_KIND_REAL,
    JSON_KIND_STRING,
    JSON_KIND_ARRAY,
    JSON_KIND_OBJECT
} json_type;

/* Parses n bytes; the error has line and column. max_depth 0 means 64. The root may be of any kind. */
souk_status json_parse(json_doc **out, const char *text, size_t n, int max_depth, souk_error *err);
void json_free(json_doc *d);
const json_value *json_root(const json_doc *d);

json_type json_kind(const json_value *v);                              /* v NULL counts as null */
const json_value *json_get(const json_value *object, const char *key); /* NULL: absent or not an object */
size_t json_length(const json_value *v);                               /* elements of an array or object, else 0 */
const json_value *json_index(const json_value *array, size_t i);
const char *json_string(const json_value *v); /* NULL: not a string; NUL bytes inside: use json_string_len */
size_t json_string_len(const json_value *v);
bool json_int(const json_value *v, int64_t *out);   /* integers only */
bool json_number(const json_value *v, double *out); /* integer or real */
bool json_bool(const json_value *v, bool *out);
/* Iterates an object in the order of the text: start with *it = NULL; false at the end. */
bool json_next(const json_value *object, void **it, const char **key, const json_value **value);

/* ---- writing: straight into a buf, keys in the order of the calls, so that output is the same every time ---- */
typedef struct json_writer {
    buf *out;
    uint64_t need_comma; /* a bit for each depth */
    int depth;
    bool pretty; /* two-space indent */
    bool after_key;
} json_writer;
void json_begin(json_writer *w, buf *out, bool pretty);
void json_object(json_writer *w);
void json_end_object(json_writer *w);
void json_array(json_writer *w);
void json_end_array(json_writer *w);
void json_key(json_writer *w, const char *key);
void json_put_string(json_writer *w, const char *s);
void json_put_string_n(json_writer *w, const char *s, size_t n); /* invalid UTF-8 becomes U+FFFD */
void json_put_int(json_writer *w, int64_t v);
void json_put_double(json_writer *w, double v); /* nan and infinities become null */
void json_put_bool(json_writer *w, bool v);
void json_put_null(json_writer *w);
void json_put_raw(json_writer *w, const char *json);

#endif
