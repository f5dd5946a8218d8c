/* vocab - words to numbers, for the tokenizers: an open-addressing table that decides most look-ups inside one slot.
 *
 * base/map serves every other table; this one exists because tokenising is bound by it. A slot holds the first 8 bytes of
 * its word and the length, which is the whole word for most of running text, so that a hit touches 16 bytes and calls
 * nothing. Numbers are given in order of first insertion and never change; the layout of the slots never shows. */
#ifndef SOUK_FEAT_VOCAB_H
#define SOUK_FEAT_VOCAB_H

#include <stdint.h>
#include <string.h>

#include "base/err.h"

enum { VOCAB_PAD = 8 };       /* bytes behind a word that must be readable: vocab_key_of loads whole words of 8 */

typedef struct vocab_slot {
    uint64_t head;            /* the word's first 8 bytes, zero padded */
    uint32_t len;
    int32_t entry;            /* number + 1; 0: empty */
} vocab_slot;

typedef struct vocab_word {
    uint64_t offset;          /* into bytes */
    uint32_t len;
} vocab_word;

typedef struct vocab {
    vocab_slot *slot;         /* [1 << bits], at most 2/3 full */
    int bits;
    int64_t n;                /* words */
    vocab_word *word;         /* [n] */
    size_t word_capacity;
    char *bytes;              /* all words one behind the other, then VOCAB_PAD zeros */
    size_t n_bytes, byte_capacity;
} vocab;

/* A word prepared for look-up: p[0 .. len + VOCAB_PAD) must be readable. */
typedef struct vocab_key {
    const char *p;
    uint64_t head, hash;
    uint32_t len;
} vocab_key;

souk_status vocab_init(vocab *v, souk_error *err);
void vocab_clear(vocab *v);
/* The word's number, or -1. */
int64_t vocab_find(const vocab *v, const vocab_key *key);
/* Finds or inserts; -1: out of memory, or 2^31 - 2 words reached. */
int64_t vocab_put(vocab *v, const vocab_key *key);
/* Bytes of word i; borrowed until the next put. */
const char *vocab_text(const vocab *v, int64_t i, size_t *len);

static inline uint64_t vocab_load(const char *p) {
    uint64_t x;
    memcpy(&x, p, 8);
    return x;
}

/* Both halves of a 64 x 64 bit product, folded: every input bit reaches every output bit. */
static inline uint64_t vocab_mix(uint64_t a, uint64_t b) {
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline vocab_key vocab_key_of(const char *p, uint32_t len) {
    vocab_key key = {.p = p, .len = len};
    uint64_t first = vocab_load(p);
    key.head = len >= 8 ? first : first & ((UINT64_C(1) << (8 * len)) - 1);
    key.hash = vocab_mix(key.head ^ UINT64_C(0x9e3779b97f4a7c15), len ^ UINT64_C(0xd6e8feb86659fd93));
    for (uint32_t i = 8; i < len; i += 8) {    /* the last load overlaps the one before it rather than cross the end */
        uint64_t next = vocab_load(p + (i + 8 <= len ? i : len - 8));
        key.hash = vocab_mix(key.hash ^ next, UINT64_C(0xa0761d6478bd642f));
    }
    return key;
}

static inline void vocab_prefetch(const vocab *v, const vocab_key *key) {
    __builtin_prefetch(&v->slot[key->hash >> (64 - v->bits)]);
}

#endif
