/* vocab - the table behind the tokenizers (vocab.h). Linear probing, load at most 1/2, doubled when it fills.
 *
 * Leaves to others: what a word is (tok_split), what its number means (tok_word). The invariant: slot[] holds each word
 * once, at or after its home position with no empty slot between, and word[i] is where its bytes lie. A failed put
 * leaves the table as it was. */
#include "feat/vocab.h"

#include <assert.h>

#include "base/mem.h"

enum { FIRST_BITS = 10 };

souk_status vocab_init(vocab *v, souk_error *err) {
    *v = (vocab){.bits = FIRST_BITS};
    v->slot = mem_calloc((size_t)1 << FIRST_BITS, sizeof *v->slot);
    return v->slot ? SOUK_OK : err_nomem(err, "making a vocabulary");
}

void vocab_clear(vocab *v) {
    mem_free(v->slot);
    mem_free(v->word);
    mem_free(v->bytes);
    *v = (vocab){0};
}

const char *vocab_text(const vocab *v, int64_t i, size_t *len) {
    assert(i >= 0 && i < v->n);
    *len = v->word[i].len;
    return v->bytes + v->word[i].offset;
}

static bool slot_matches(const vocab *v, const vocab_slot *s, const vocab_key *key) {
    if (s->head != key->head || s->tail != key->tail || s->len != key->len) return false;
    if (key->len <= VOCAB_SHORT) return true;
    return memcmp(v->bytes + v->word[s->entry - 1].offset + 8, key->p + 8, key->len - 16) == 0;
}

/* The slot that holds the key, or the empty one where it belongs. */
static vocab_slot *probe(const vocab *v, const vocab_key *key) {
    size_t mask = ((size_t)1 << v->bits) - 1;
    size_t i = (size_t)(vocab_home(v, key) - v->slot);
    while (v->slot[i].entry != 0 && !slot_matches(v, &v->slot[i], key)) i = (i + 1) & mask;
    return &v->slot[i];
}

int64_t vocab_find_far(const vocab *v, const vocab_key *key) { return (int64_t)probe(v, key)->entry - 1; }

static bool grow_slots(vocab *v) {
    vocab bigger = *v;
    bigger.bits++;
    bigger.slot = mem_calloc((size_t)1 << bigger.bits, sizeof *bigger.slot);
    if (!bigger.slot) return false;
    size_t mask = ((size_t)1 << bigger.bits) - 1;
    for (int64_t e = 0; e < v->n; e++) {
        vocab_key key = vocab_key_of(v->bytes + v->word[e].offset, v->word[e].len);
        size_t i = (size_t)(vocab_home(&bigger, &key) - bigger.slot);
        while (bigger.slot[i].entry != 0) i = (i + 1) & mask;
        bigger.slot[i] = (vocab_slot){.head = key.head, .tail = key.tail, .len = key.len, .entry = (int32_t)(e + 1)};
    }
    mem_free(v->slot);
    *v = bigger;
    return true;
}

static bool reserve_bytes(vocab *v, uint32_t len) {
    size_t need = v->n_bytes + len + VOCAB_PAD;
    if (need <= v->byte_capacity) return true;
    size_t capacity = v->byte_capacity ? v->byte_capacity : 4096;
    while (capacity < need)
        if (!size_mul(capacity, 2, &capacity)) return false;
    char *bytes = mem_realloc(v->bytes, capacity, 1);
    if (!bytes) return false;
    v->bytes = bytes;
    v->byte_capacity = capacity;
    return true;
}

static int64_t insert(vocab *v, const vocab_key *key) {
    if (v->n >= INT32_MAX - 1) return -1;
    if (((size_t)v->n + 1) * 2 > (size_t)1 << v->bits && !grow_slots(v)) return -1;
    if (!mem_grow(&v->word, &v->word_capacity, (size_t)v->n, sizeof *v->word) || !reserve_bytes(v, key->len)) return -1;
    char *dst = v->bytes + v->n_bytes;
    memcpy(dst, key->p, key->len);
    memset(dst + key->len, 0, VOCAB_PAD);
    v->word[v->n] = (vocab_word){.offset = v->n_bytes, .len = key->len};
    v->n_bytes += key->len;
    *probe(v, key) = (vocab_slot){.head = key->head, .tail = key->tail, .len = key->len, .entry = (int32_t)(v->n + 1)};
    return v->n++;
}

int64_t vocab_put(vocab *v, const vocab_key *key) {
    vocab_slot *s = probe(v, key);
    return s->entry != 0 ? (int64_t)s->entry - 1 : insert(v, key);
}
