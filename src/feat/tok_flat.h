/* tok_flat - reads the JSON objects that Keras keeps as strings inside its tokenizer file: {"word": 3, …} or {"3":
 * "word", …}.
 *
 * Flat, one member at a time, into two buffers: a vocabulary of a million words costs no tree. It exists beside
 * base/json for two reasons: keys may hold U+0000, which jansson refuses, and five such objects as trees would take ten
 * times the vocabulary. */
#ifndef SOUK_FEAT_TOK_FLAT_H
#define SOUK_FEAT_TOK_FLAT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

typedef struct tok_flat {
    const char *begin, *at, *end;
    const char *what; /* the object's name, for messages */
    bool first;
    buf key, text; /* the member's key and, after tok_flat_string, its value: UTF-8, then 8 zeros beyond len */
} tok_flat;

/* text is valid UTF-8 and borrowed until tok_flat_clear, which is needed in every case. */
souk_status tok_flat_begin(tok_flat *f, const char *text, size_t n, const char *what, souk_error *err);
/* Reads the next key; *more is false behind the last member. The value must then be read by one of the two below. */
souk_status tok_flat_next(tok_flat *f, bool *more, souk_error *err);
souk_status tok_flat_int(tok_flat *f, int64_t *value, souk_error *err);
souk_status tok_flat_string(tok_flat *f, souk_error *err);
void tok_flat_clear(tok_flat *f);

#endif
