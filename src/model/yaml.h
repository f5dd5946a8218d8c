/* yaml - YAML 1.2 (core schema) or JSON text as a small tree with positions. The only file that knows libyaml.
 *
 * Refused: aliases, anchors, tags, several documents, repeated keys, more than YAML_MAX_DEPTH levels or YAML_MAX_BYTES
 * bytes. */
#ifndef SOUK_MODEL_YAML_H
#define SOUK_MODEL_YAML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"
#include "base/err.h"

enum { YAML_MAX_DEPTH = 32, YAML_MAX_BYTES = 8 << 20, YAML_MAX_NODES = 200000 };

typedef enum yaml_kind { YAML_NULL, YAML_BOOL, YAML_INT, YAML_REAL, YAML_TEXT, YAML_LIST, YAML_MAP } yaml_kind;

typedef struct yaml_tree yaml_tree;
typedef struct yaml_value yaml_value;
typedef struct yaml_entry {
    const char *key;      /* maps; NULL in lists */
    int64_t line, column; /* of the key, or of the element */
    yaml_value *value;
} yaml_entry;
struct yaml_value {
    yaml_kind kind;
    int64_t line, column; /* 1-based, in characters */
    const char
        *origin; /* what messages put before the position: the file's name, or "--set KEY=VALUE" (then line is 0) */
    const char *text;  /* scalars as written, NUL-terminated; never holds a NUL */
    bool b;            /* YAML_BOOL */
    int64_t i;         /* YAML_INT */
    double d;          /* YAML_INT and YAML_REAL */
    yaml_entry *entry; /* lists and maps, in the order of the text */
    size_t n, capacity;
};

/* name is for messages ("reviews.yaml:7:5: …") and is copied. The tree owns everything in it. */
souk_status yaml_parse(yaml_tree **out, const char *text, size_t n, const char *name, souk_error *err);
void yaml_tree_free(yaml_tree *t); /* not yaml_free: libyaml has and calls a function of that name */
yaml_value *yaml_root(const yaml_tree *t);
const char *yaml_kind_name(yaml_kind k);                              /* "a whole number", with its article */
const yaml_value *yaml_get(const yaml_value *group, const char *key); /* NULL: absent, or not a map */

/* Overrides: values parsed as above, from the text behind a `=`; they live in tree t. */
souk_status yaml_parse_into(yaml_tree *t, yaml_value **out, const char *text, const char *origin, souk_error *err);
/* The value under key, made (as an empty map) if need be; NULL: out of memory. */
yaml_value *yaml_put(yaml_tree *t, yaml_value *group, const char *key, const char *origin);

/* "NAME:LINE:COLUMN: message", or "ORIGIN: message" without a position; returns SOUK_INPUT. */
souk_status yaml_fault(souk_error *err, const char *origin, int64_t line, int64_t column, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

#endif
