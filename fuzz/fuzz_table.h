/* fuzz_table.h - what the fuzz targets of tables share: the input as standard input, the promises that are checked, and
 * mutations that keep the structure of rows.
 *
 * Promises: no crash; every refusal has words; the result (cells, rows, lines, rejects, message) does not depend on how
 * the bytes arrive; a stream gives the rows of the whole table. */
#ifndef SOUK_FUZZ_TABLE_H
#define SOUK_FUZZ_TABLE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/map.h"
#include "base/mem.h"
#include "data/table.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline void require(bool condition) {
    if (!condition) abort();
}

/* Standard input becomes a file in memory with these bytes, at its start. */
static inline void feed(const uint8_t *data, size_t size) {
    static int fd = -1;
    if (fd < 0) {
        fd = memfd_create("fuzz", 0);
        require(fd >= 0 && dup2(fd, 0) == 0);
    }
    require(ftruncate(0, 0) == 0 && pwrite(0, data, size, 0) == (ssize_t)size && lseek(0, 0, SEEK_SET) == 0);
}

/* Everything that can be seen of a table. */
static inline uint64_t table_hash(const table *t) {
    char print[17];
    table_fingerprint(t, print);
    uint64_t h = map_hash(print, 16) ^ map_hash(t->row, (size_t)t->n * 8) * 3 ^ map_hash(t->line, (size_t)t->n * 8) * 5;
    for (int k = 0; k < t->n_columns; k++) {
        const column *c = t->columns + k;
        require(c->is_number || c->offset[0] == 0);
        h = h * 31 + (uint64_t)c->type * 7 + (uint64_t)c->n_missing + map_hash(c->missing, (size_t)t->n);
    }
    return h * 31 + (uint64_t)t->n_rejected;
}

typedef struct outcome {
    souk_status status;
    souk_error err;
    int64_t rows, rejected;
    uint64_t hash;
} outcome;

static inline outcome whole(const uint8_t *data, size_t size, table_options o, int64_t read_size) {
    outcome r = {0};
    table *t = NULL;
    int64_t live = mem_live();
    feed(data, size);
    o.read_size = read_size;
    r.status = table_read(&t, "-", &o, &r.err);
    require((r.status == SOUK_OK) == (t != NULL) && (t || (r.err.code == r.status && r.err.message[0])));
    if (t) {
        r.rows = t->n;
        r.rejected = t->n_rejected;
        r.hash = table_hash(t);
    }
    table_free(t);
    require(mem_live() == live);
    return r;
}

static inline outcome stream(const uint8_t *data, size_t size, table_options o, int64_t chunk, int64_t read_size) {
    outcome r = {0};
    table_reader *reader = NULL;
    int64_t live = mem_live(), n = 1;
    feed(data, size);
    o.read_size = read_size;
    r.status = table_open(&reader, "-", &o, &r.err);
    while (r.status == SOUK_OK && n > 0) {
        table *t = NULL;
        r.status = table_next(reader, chunk, &t, &r.err);
        n = t ? t->n : 0;
        if (t) r.hash = r.hash * 31 + map_hash(t->row, (size_t)n * 8);
        r.rows += n;
        table_free(t);
    }
    r.rejected = reader ? table_rejected(reader) : 0;
    table_close(reader);
    require(mem_live() == live && (r.status == SOUK_OK || r.err.message[0]));
    return r;
}

static inline void check_table(const uint8_t *data, size_t size, const table_options *o, int64_t read_size,
                               int64_t chunk) {
    outcome a = whole(data, size, *o, 0), b = whole(data, size, *o, read_size);
    require((a.status == SOUK_OK) == (b.status == SOUK_OK));
    if (a.status != SOUK_CORRUPT) /* a damaged stream fails where it is noticed */
        require(a.status == b.status && strcmp(a.err.message, b.err.message) == 0);
    require(a.hash == b.hash && a.rejected == b.rejected);
    outcome s = stream(data, size, *o, chunk, read_size);
    if (a.status == SOUK_OK) require(s.status == SOUK_OK && s.rows == a.rows && s.rejected == a.rejected);
}

/* ---- mutations ---- */

typedef struct random {
    uint64_t state;
} random_state;

static inline uint32_t pick(random_state *r, size_t n) {
    r->state = r->state * 6364136223846793005u + 1442695040888963407u;
    return n ? (uint32_t)((r->state >> 33) % n) : 0;
}

static inline size_t insert(uint8_t *data, size_t size, size_t max_size, size_t at, const void *bytes, size_t n) {
    if (size + n > max_size) return size;
    memmove(data + at + n, data + at, size - at);
    memcpy(data + at, bytes, n);
    return size + n;
}

/* Puts in a token, a run of one byte, a copy of another part, or takes a part away; the first `head` bytes stay. */
static inline size_t mutate_rows(uint8_t *data, size_t size, size_t max_size, unsigned seed, size_t head,
                                 const char *const *tokens, size_t n_tokens) {
    random_state r = {seed * 2654435761u + 1};
    if (size <= head || pick(&r, 4) == 0) return LLVMFuzzerMutate(data, size, max_size);
    for (uint32_t times = 1 + pick(&r, 4); times > 0; times--) {
        size_t at = head + pick(&r, size - head + 1);
        uint8_t run[1500];
        size_t n;
        switch (pick(&r, 5)) {
        case 0:
        case 1: {
            const char *token = tokens[pick(&r, n_tokens)];
            size = insert(data, size, max_size, at, token, strlen(token));
            break;
        }
        case 2:
            n = 1 + pick(&r, pick(&r, 8) ? 40 : sizeof run);
            memset(run, "a1, \"\n"[pick(&r, 6)], n);
            size = insert(data, size, max_size, at, run, n);
            break;
        case 3:
            n = 1 + pick(&r, size - head < 200 ? size - head : 200);
            if (n > sizeof run || size - head < n) break;
            memcpy(run, data + head + pick(&r, size - head - n + 1), n);
            size = insert(data, size, max_size, at, run, n);
            break;
        default:
            if (at >= size) break;
            n = 1 + pick(&r, size - at < 60 ? size - at : 60);
            memmove(data + at, data + at + n, size - at - n);
            size -= n;
        }
        if (size <= head) break;
    }
    return size;
}

#endif
