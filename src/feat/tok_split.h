/* tok_split - a text becomes words, in batches: lower-casing, filters and splitting by Keras' rules, without an
 * allocation per word.
 *
 * The rules are Python's: text.lower(), then every filter character replaced by the split string, then
 * text.split(split), empty pieces dropped; or, by characters, every code point of text.lower(). */
#ifndef SOUK_FEAT_TOK_SPLIT_H
#define SOUK_FEAT_TOK_SPLIT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

typedef struct tok_rules {
    bool lower, char_level;
    bool bytewise;    /* every separator is one ASCII byte: the kernel's way */
    uint8_t set[16];  /* separators among ASCII, as tok_classify takes them (filters and the split byte) */
    bool filter[128]; /* ASCII filters */
    uint32_t *wide;   /* [n_wide] filters beyond ASCII, ascending */
    size_t n_wide;
    char *split;
    size_t split_len;
} tok_rules;

/* Filters: UTF-8, each code point one filter. Copies what it needs. An empty split is refused unless char_level. */
souk_status tok_rules_init(tok_rules *r, const char *filters, size_t n_filters, const char *split, size_t n_split,
                           bool lower, bool char_level, souk_error *err);
void tok_rules_clear(tok_rules *r);

enum { TOK_BLOCK = 2048, TOK_SLACK = 64 };

/* A walk over the words of one text. About 11 KB: lives on the stack. */
typedef struct tok_scan {
    const tok_rules *rules;
    const char *text; /* what is left */
    size_t n;
    buf *scratch;
    bool in_scratch; /* text lies in scratch, lower-cased, and reaches to its end */
    bool whole;      /* text is the translated copy in scratch: split by string, no kernel */
    bool lower;      /* still to be lower-cased byte by byte */
    const char
        *base; /* the batch's words: base + bound[2i] to base + bound[2i+1]; VOCAB_PAD bytes behind are readable */
    souk_status status;
    uint32_t bound[TOK_BLOCK + 16];
    uint64_t separator[TOK_BLOCK / 64];
    char mapped[TOK_BLOCK + TOK_SLACK];
} tok_scan;

/* text is borrowed until the walk ends; scratch is used for all but plain ASCII and keeps its memory for the next text.
 */
souk_status tok_scan_begin(tok_scan *s, const tok_rules *rules, const char *text, size_t n, buf *scratch,
                           souk_error *err);
/* Number of words in the next batch; 0: the end, or a failure (tok_scan_end tells). */
int tok_scan_next(tok_scan *s);
souk_status tok_scan_end(const tok_scan *s, souk_error *err);

#endif
