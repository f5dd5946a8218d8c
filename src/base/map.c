/* map - byte strings to int64: open addressing with 64-bit slots, insertion-ordered entries, keys in one arena.
 *
 * A slot holds a 32-bit tag (high half of the hash) above a 32-bit entry number + 1 (0: free); probing is linear, so a
 * miss is decided from one cache line nearly always, and an entry is touched only when 32 bits of the hash agree.
 *
 *     slots  [ tag | entry + 1 ] [ 0 ] [ tag | entry + 1 ] ...     2^k, at most 5/8 full
 *     entries[ key, length, hash, value ]  in order of insertion   -> arena of keys
 *
 * The hash reads 16 bytes a step and folds 128-bit products (the idea of wyhash and of Lemire's folded multiplication);
 * it is a fixed function, so a crafted set of keys can slow a map down: limits on input sizes bound that.
 * Invariant: a failed put leaves the map as it was. */
#include "base/map.h"

#include <string.h>

#include "base/mem.h"

enum { MAP_FIRST_SLOTS = 64 };

struct map {
    uint64_t *slots;
    size_t mask; /* number of slots - 1 */
    map_entry *entries;
    size_t count, capacity;
    arena keys;
};

/* Odd constants with about half of their bits set: fractional parts of the square roots of 2, 3, 5 and 7. */
static const uint64_t K0 = 0x6a09e667f3bcc909u, K1 = 0xbb67ae8584caa73bu, K2 = 0x3c6ef372fe94f82bu,
                      K3 = 0xa54ff53a5f1d36f1u;

static inline uint64_t load8(const unsigned char *p) {
    uint64_t v;
    memcpy(&v, p, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap64(v);
#endif
    return v;
}

static inline uint64_t load4(const unsigned char *p) {
    uint32_t v;
    memcpy(&v, p, 4);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap32(v);
#endif
    return v;
}

/* Both halves of the product, folded; the operands are added back, so that a zero operand does not erase the other. */
static inline uint64_t fold(uint64_t a, uint64_t b) {
    unsigned __int128 p = (unsigned __int128)a * b;
    return ((uint64_t)p ^ (uint64_t)(p >> 64)) + (a ^ b);
}

/* The at most 16 bytes at p as two words that determine them, given n. */
static inline void load_short(const unsigned char *p, size_t n, uint64_t *a, uint64_t *b) {
    if (n >= 8) {
        *a = load8(p);
        *b = load8(p + n - 8);
    } else if (n >= 4) {
        *a = load4(p);
        *b = load4(p + n - 4);
    } else {
        *a = n ? (uint64_t)p[0] << 16 | (uint64_t)p[n / 2] << 8 | p[n - 1] : 0;
        *b = 0;
    }
}

uint64_t map_hash(const void *bytes, size_t n) {
    const unsigned char *p = bytes;
    uint64_t state = K0 ^ (n * K3), a, b;
    size_t left = n;
    for (; left > 16; left -= 16, p += 16) state = fold(load8(p) ^ K1 ^ state, load8(p + 8) ^ K2) ^ (state >> 7);
    load_short(p, left, &a, &b);
    return fold(fold(a ^ K1, b ^ state), K2 ^ state);
}

static inline bool same_bytes(const void *x, const void *y, size_t n) {
    if (n > 16) return memcmp(x, y, n) == 0;
    uint64_t a, b, c, d;
    load_short(x, n, &a, &b);
    load_short(y, n, &c, &d);
    return a == c && b == d;
}

map *map_new(void) {
    map *m = mem_calloc(1, sizeof *m);
    if (!m) return NULL;
    arena_init(&m->keys);
    m->slots = mem_calloc(MAP_FIRST_SLOTS, sizeof *m->slots);
    m->mask = MAP_FIRST_SLOTS - 1;
    if (m->slots) return m;
    mem_free(m);
    return NULL;
}

void map_free(map *m) {
    if (!m) return;
    arena_clear(&m->keys);
    mem_free(m->entries);
    mem_free(m->slots);
    mem_free(m);
}

/* The slot of the key, or the free slot where it belongs. */
static inline size_t find_slot(const map *m, const void *key, size_t n, uint64_t hash) {
    uint64_t tag = hash & 0xFFFFFFFF00000000u;
    for (size_t at = (size_t)hash & m->mask;; at = (at + 1) & m->mask) {
        uint64_t slot = m->slots[at];
        if (slot == 0) return at;
        if ((slot & 0xFFFFFFFF00000000u) != tag) continue;
        const map_entry *e = &m->entries[(uint32_t)slot - 1];
        if (e->hash == hash && e->key_len == n && same_bytes(e->key, key, n)) return at;
    }
}

int64_t map_find_hash(const map *m, const void *key, size_t n, uint64_t hash) {
    return (int64_t)(uint32_t)m->slots[find_slot(m, key, n, hash)] - 1;
}

int64_t map_find(const map *m, const void *key, size_t n) { return map_find_hash(m, key, n, map_hash(key, n)); }

static bool grow_slots(map *m) {
    size_t slots;
    if (!size_mul(m->mask + 1, 2, &slots)) return false;
    uint64_t *grown = mem_calloc(slots, sizeof *grown);
    if (!grown) return false;
    for (size_t i = 0; i < m->count; i++) {
        uint64_t hash = m->entries[i].hash;
        size_t at = (size_t)hash & (slots - 1);
        while (grown[at]) at = (at + 1) & (slots - 1);
        grown[at] = (hash & 0xFFFFFFFF00000000u) | (i + 1);
    }
    mem_free(m->slots);
    m->slots = grown;
    m->mask = slots - 1;
    return true;
}

int64_t map_put_hash(map *m, const void *key, size_t n, uint64_t hash, bool *is_new) {
    size_t at = find_slot(m, key, n, hash);
    if (is_new) *is_new = m->slots[at] == 0;
    if (m->slots[at]) return (int64_t)(uint32_t)m->slots[at] - 1;
    if (is_new) *is_new = false; /* until it is there */
    if (n > UINT32_MAX || m->count >= UINT32_MAX - 1) return -1;
    if (!mem_grow(&m->entries, &m->capacity, m->count, sizeof *m->entries)) return -1;
    if (m->count + 1 > (m->mask + 1) / 8 * 5) {
        if (!grow_slots(m)) return -1;
        at = find_slot(m, key, n, hash);
    }
    char *copy = arena_strndup(&m->keys, key, n);
    if (!copy) return -1;
    m->entries[m->count] = (map_entry){.key = copy, .key_len = (uint32_t)n, .hash = hash};
    m->slots[at] = (hash & 0xFFFFFFFF00000000u) | (m->count + 1);
    if (is_new) *is_new = true;
    return (int64_t)m->count++;
}

int64_t map_put(map *m, const void *key, size_t n, bool *is_new) {
    return map_put_hash(m, key, n, map_hash(key, n), is_new);
}

int64_t map_count(const map *m) { return (int64_t)m->count; }

map_entry *map_at(map *m, int64_t index) { return index < 0 || (size_t)index >= m->count ? NULL : &m->entries[index]; }

const map_entry *map_at_const(const map *m, int64_t index) {
    return index < 0 || (size_t)index >= m->count ? NULL : &m->entries[index];
}
