/* mem - the only caller of malloc. Sizes are checked, failures are NULL, and a test can make the n-th call fail.
 *
 * Arenas: one per job (model, plan, scratch). Memory from an arena is freed with the arena, never singly. */
#ifndef SOUK_BASE_MEM_H
#define SOUK_BASE_MEM_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Checked arithmetic: false on overflow (and *out is unspecified). The only way sizes are multiplied. */
static inline bool size_add(size_t a, size_t b, size_t *out) { return !__builtin_add_overflow(a, b, out); }
static inline bool size_mul(size_t a, size_t b, size_t *out) { return !__builtin_mul_overflow(a, b, out); }

/* All return NULL on failure or overflow; n == 0 gives a pointer that may be freed. mem_free(NULL) is a no-op. */
void *mem_alloc(size_t n);
void *mem_calloc(size_t count, size_t size);
void *mem_array(size_t count, size_t size);            /* uninitialised count * size, checked */
void *mem_realloc(void *p, size_t count, size_t size); /* checked; on failure p stays valid */
void *mem_aligned(size_t n);                           /* 64-byte aligned; free with mem_free */
void mem_free(void *p);
char *mem_strdup(const char *s);
char *mem_strndup(const char *s, size_t n); /* n bytes and a NUL */
char *mem_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Makes room for one more element: doubles *capacity (from 16) when count == *capacity. False: out of memory, *p as it
 * was. */
bool mem_grow(void *pointer_to_p, size_t *capacity, size_t count, size_t size);

/* For libraries that take an allocator (jansson, zlib, zstd): counted and failed like the rest, but interchangeable
 * with malloc and free, because a host program may share the library and free the library's blocks itself, or we its.
 */
void *mem_plain_alloc(size_t n);
void mem_plain_free(void *p);

/* Test hook: `fail(context)` is asked before each allocation; true makes it fail. NULL takes the hook away. */
void mem_set_fault(bool (*fail)(void *context), void *context);
int64_t mem_live(void); /* blocks now allocated through this file, for leak checks */
int64_t mem_live_bytes(void);
int64_t mem_calls(void); /* allocations asked for since the start; a training step must not change it */

/* ---- arenas ---- */
typedef struct arena_block arena_block;
typedef struct arena {
    arena_block *head; /* newest block first */
    size_t block_size; /* size of the next ordinary block; grows twofold up to 1 MiB */
    size_t used;       /* bytes handed out */
} arena;

void arena_init(arena *a);                              /* allocates nothing */
void *arena_alloc(arena *a, size_t n);                  /* 64-byte aligned, zeroed; NULL: out of memory */
void *arena_array(arena *a, size_t count, size_t size); /* checked, zeroed */
char *arena_strdup(arena *a, const char *s);
char *arena_strndup(arena *a, const char *s, size_t n);
char *arena_printf(arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));
void arena_reset(arena *a); /* forgets everything, keeps the largest block */
void arena_clear(arena *a); /* frees everything; the arena may be used again */

#endif
