/* map - byte strings to int64, insertion-ordered; the table behind every vocabulary.
 *
 * Open addressing over 64-bit hashes, keys in one arena; no allocation per key. Keys may hold any bytes, NUL included.
 * Entry i (0-based, in order of first insertion) keeps its number for ever; there is no removal. */
#ifndef SOUK_BASE_MAP_H
#define SOUK_BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct map_entry {
    const char *key; /* not NUL-terminated */
    uint32_t key_len;
    uint32_t unused;
    uint64_t hash;
    int64_t value;
} map_entry;

typedef struct map map;

map *map_new(void); /* NULL: out of memory */
void map_free(map *m);
uint64_t map_hash(const void *bytes, size_t n); /* fixed function: the same on every machine and run */
/* The entry's index, or -1 when there is none. */
int64_t map_find(const map *m, const void *key, size_t n);
int64_t map_find_hash(const map *m, const void *key, size_t n, uint64_t hash);
/* Finds or inserts (value 0 for a new key); returns the index, or -1 on out of memory. *is_new may be NULL. */
int64_t map_put(map *m, const void *key, size_t n, bool *is_new);
int64_t map_put_hash(map *m, const void *key, size_t n, uint64_t hash, bool *is_new);
int64_t map_count(const map *m);
map_entry *map_at(map *m, int64_t index); /* borrowed until the next put */
const map_entry *map_at_const(const map *m, int64_t index);

#endif
