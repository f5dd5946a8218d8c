/* vocab - words to numbers, for the tokenizers: an open-addressing table that decides most look-ups inside one slot.
 *
 * base/map serves every other table; this one exists because tokenising is bound by it. A slot holds the first 8 and
 * the last 8 bytes of its word (they overlap) and the length, which decides for words up to 16 bytes, so that a hit
 * touches one slot, calls nothing and branches once. Numbers are given in order of first insertion and never change;
 * the layout of the slots never shows. */
#ifndef SOUK_FEAT_VOCAB_H
#define SOUK_FEAT_VOCAB_H

#include <stdint.h>
#include <string.h>

#include "base/err.h"

enum { VOCAB_PAD = 8 }; /* bytes behind a word that must be readable: vocab_key_of loads whole words of 8 */

typedef struct vocab_slot {
    uint64_t head, tail; /* the word's first and last 8 bytes; both zero padded below 8 */
    uint32_t len;
    int32_t entry; /* number + 1; 0: empty */
} vocab_slot;

typedef struct vocab_word {
    uint64_t offset; /* into bytes */
    uint32_t len;
} vocab_word;

typedef struct vocab {
    vocab_slot *slot; /* [1 << bits], at most half full: a second probe is a mispredicted branch */
    int bits;
    int64_t n;        /* words */
    vocab_word *word; /* [n] */
    size_t word_capacity;
    char *bytes; /* all words one behind the other, then VOCAB_PAD zeros */
    size_t n_bytes, byte_capacity;
} vocab;

/* A word prepared for look-up: p[0 .. len + VOCAB_PAD) must be readable. */
typedef struct vocab_key {
    const char *p;
    uint64_t head, tail, hash;
    uint32_t len;
} vocab_key;

souk_status vocab_init(vocab *v, souk_error *err);
void vocab_clear(vocab *v);
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

enum { VOCAB_SHORT = 16 }; /* words up to here lie whole in their slot */

static inline vocab_key vocab_key_of(const char *p, uint32_t len) {
    vocab_key key = {.p = p, .len = len};
    static const uint64_t mask[9] = {
        0, 0xff, 0xffff, 0xffffff, UINT32_MAX, 0xffffffffff, 0xffffffffffff, 0xffffffffffffff, UINT64_MAX};
    uint32_t first = len < 8 ? len : 8; /* a table and no branch on the length: lengths cannot be guessed */
    key.head = vocab_load(p) & mask[first];
    key.tail = vocab_load(p + (len - first)) & mask[first];
    key.hash = vocab_mix(key.head ^ UINT64_C(0x9e3779b97f4a7c15), key.tail ^ (len * UINT64_C(0xd6e8feb86659fd93)));
    for (uint32_t i = 8; i + 8 < len; i += 8)
        key.hash = vocab_mix(key.hash ^ vocab_load(p + i), UINT64_C(0xa0761d6478bd642f));
    return key;
}

static inline vocab_slot *vocab_home(const vocab *v, const vocab_key *key) {
    return &v->slot[key->hash >> (64 - v->bits)];
}

static inline void vocab_prefetch(const vocab *v, const vocab_key *key) { __builtin_prefetch(vocab_home(v, key)); }

int64_t vocab_find_far(const vocab *v, const vocab_key *key);
/* The word's number, or -1. */
static inline int64_t vocab_find(const vocab *v, const vocab_key *key) {
    const vocab_slot *s = vocab_home(v, key);
    bool here = s->head == key->head && s->tail == key->tail && s->len == key->len && key->len <= VOCAB_SHORT;
    return __builtin_expect(here, 1) ? (int64_t)s->entry - 1 : vocab_find_far(v, key);
}

#endif
