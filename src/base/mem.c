/* mem - the only caller of malloc: checked sizes, counters, a fault hook, arenas.
 *
 * A block is [header 16 bytes][user bytes]; the header keeps the size (for the counters) and how far back the start
 * of the malloc'ed memory lies (64 for aligned blocks). An arena is a list of such blocks from which pieces are cut:
 *
 *     head -> [arena_block, 64 bytes][piece][zone][piece][zone] ... free      -> older block -> ... -> NULL
 *
 * In sanitizer builds everything of a block that is not a piece is poisoned, so that one byte too far is a report;
 * the zones between pieces exist in those builds only.
 * Invariant: a failed call changes nothing, and every failure goes through `refused`, which a test can drive. */
#include "base/mem.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"

#if defined(__SANITIZE_ADDRESS__)
#define MEM_POISON 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MEM_POISON 1
#endif
#endif
#ifdef MEM_POISON
#include <sanitizer/asan_interface.h>
#define poison(p, n) ASAN_POISON_MEMORY_REGION(p, n)
#define unpoison(p, n) ASAN_UNPOISON_MEMORY_REGION(p, n)
enum { ARENA_ZONE = 64 };
#else
#define poison(p, n) ((void)(p), (void)(n))
#define unpoison(p, n) ((void)(p), (void)(n))
enum { ARENA_ZONE = 0 };
#endif

enum { MEM_MAGIC = 0x6b756f73, MEM_ALIGN = 64, ARENA_FIRST = 4096, ARENA_LARGEST = 1 << 20 };

/* One block of a tebibyte is a wrong size, not a wish; sanitizers stop the program at this limit instead of refusing.
 */
#define MEM_LARGEST ((size_t)1 << 40)

typedef struct mem_header {
    size_t size;     /* user bytes */
    uint32_t offset; /* user pointer - start of the malloc'ed memory */
    uint32_t magic;
} mem_header;
_Static_assert(sizeof(mem_header) == 16, "user memory keeps malloc's alignment of 16");

typedef bool (*fault_fn)(void *context);
static _Atomic(fault_fn) fault_hook;
static _Atomic(void *) fault_context;
static atomic_int_fast64_t live_blocks, live_bytes, calls;

void mem_set_fault(bool (*fail)(void *context), void *context) {
    atomic_store(&fault_hook, NULL);
    atomic_store(&fault_context, context);
    atomic_store(&fault_hook, fail);
}

int64_t mem_live(void) { return atomic_load(&live_blocks); }
int64_t mem_live_bytes(void) { return atomic_load(&live_bytes); }
int64_t mem_calls(void) { return atomic_load(&calls); }

/* Counts the call; true when it must fail, because of its size or because a test says so. */
static bool refused(size_t n) {
    atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed);
    fault_fn fail = atomic_load_explicit(&fault_hook, memory_order_acquire);
    if (fail && fail(atomic_load(&fault_context))) return true;
    return n > MEM_LARGEST - 2 * MEM_ALIGN;
}

static void count_live(int64_t blocks, int64_t bytes) {
    atomic_fetch_add_explicit(&live_blocks, blocks, memory_order_relaxed);
    atomic_fetch_add_explicit(&live_bytes, bytes, memory_order_relaxed);
}

static mem_header *header_of(void *p) {
    mem_header *h = (mem_header *)p - 1;
    assert(h->magic == MEM_MAGIC); /* a pointer that did not come from here, or was freed already */
    return h;
}

static void *finish_block(char *raw, size_t offset, size_t n) {
    if (!raw) return NULL;
    mem_header *h = (mem_header *)(void *)(raw + offset) - 1;
    *h = (mem_header){.size = n, .offset = (uint32_t)offset, .magic = MEM_MAGIC};
    count_live(1, (int64_t)n);
    return raw + offset;
}

void *mem_alloc(size_t n) {
    if (refused(n)) return NULL;
    return finish_block(malloc(n + sizeof(mem_header)), sizeof(mem_header), n);
}

void *mem_calloc(size_t count, size_t size) {
    size_t n;
    if (!size_mul(count, size, &n) || refused(n)) return NULL;
    return finish_block(calloc(1, n + sizeof(mem_header)), sizeof(mem_header), n);
}

void *mem_array(size_t count, size_t size) {
    size_t n;
    return size_mul(count, size, &n) ? mem_alloc(n) : NULL;
}

void *mem_realloc(void *p, size_t count, size_t size) {
    size_t n;
    if (!size_mul(count, size, &n)) return NULL;
    if (!p) return mem_alloc(n);
    if (refused(n)) return NULL;
    mem_header *h = header_of(p);
    assert(h->offset == sizeof(mem_header)); /* aligned blocks do not grow */
    size_t old = h->size;
    mem_header *moved = realloc(h, n + sizeof(mem_header));
    if (!moved) return NULL;
    moved->size = n;
    count_live(0, (int64_t)n - (int64_t)old);
    return moved + 1;
}

void *mem_aligned(size_t n) {
    if (refused(n)) return NULL;
    size_t rounded = (n + MEM_ALIGN - 1) / MEM_ALIGN * MEM_ALIGN;
    return finish_block(aligned_alloc(MEM_ALIGN, rounded + MEM_ALIGN), MEM_ALIGN, n);
}

void mem_free(void *p) {
    if (!p) return;
    mem_header *h = header_of(p);
    count_live(-1, -(int64_t)h->size);
    h->magic = 0;
    free((char *)p - h->offset);
}

void *mem_plain_alloc(size_t n) {
    if (refused(n)) return NULL;
    void *p = malloc(n ? n : 1);
    if (p) count_live(1, 0);
    return p;
}

void mem_plain_free(void *p) {
    if (!p) return;
    count_live(-1, 0);
    free(p);
}

char *mem_strndup(const char *s, size_t n) {
    size_t size;
    char *copy = size_add(n, 1, &size) ? mem_alloc(size) : NULL;
    if (!copy) return NULL;
    if (n) memcpy(copy, s, n);
    copy[n] = '\0';
    return copy;
}

char *mem_strdup(const char *s) { return mem_strndup(s, strlen(s)); }

char *mem_printf(const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = num_vformat(NULL, 0, format, args);
    char *s = n < 0 ? NULL : mem_alloc((size_t)n + 1);
    if (s) num_vformat(s, (size_t)n + 1, format, again);
    va_end(again);
    va_end(args);
    return s;
}

bool mem_grow(void *pointer_to_p, size_t *capacity, size_t count, size_t size) {
    if (count < *capacity) return true;
    size_t wanted = 16;
    if (*capacity && !size_mul(*capacity, 2, &wanted)) return false;
    void *p, *grown;
    memcpy(&p, pointer_to_p, sizeof p); /* the caller's pointer has a type of its own: no void ** alias */
    grown = mem_realloc(p, wanted, size);
    if (!grown) return false;
    memcpy(pointer_to_p, &grown, sizeof grown);
    *capacity = wanted;
    return true;
}

/* ---- arenas ---- */

struct arena_block {
    arena_block *next;
    size_t capacity; /* bytes behind this struct */
    size_t used;
    char unused[40];
};
_Static_assert(sizeof(arena_block) == MEM_ALIGN, "the first piece starts on a cache line");

void arena_init(arena *a) { *a = (arena){.block_size = ARENA_FIRST}; }

static char *block_data(arena_block *b) { return (char *)(b + 1); }

/* A new block with room for n bytes becomes the head; one made for a single large piece goes behind the head instead,
 * so that the head's free space is not lost. */
static arena_block *arena_add_block(arena *a, size_t n) {
    if (a->block_size == 0) a->block_size = ARENA_FIRST; /* an arena of zeros is an empty one */
    bool large = n > a->block_size;
    size_t capacity = large ? n : a->block_size, size;
    if (!size_add(capacity, sizeof(arena_block), &size)) return NULL;
    arena_block *b = mem_aligned(size);
    if (!b) return NULL;
    *b = (arena_block){.capacity = capacity};
    poison(block_data(b), capacity);
    if (large && a->head) {
        b->next = a->head->next;
        a->head->next = b;
    } else {
        b->next = a->head;
        a->head = b;
    }
    if (!large && a->block_size < ARENA_LARGEST) a->block_size *= 2;
    return b;
}

/* Cuts n bytes at a multiple of align (a power of two from 8 to 64) off the head, or off a new block. Zeroed. */
static void *arena_cut(arena *a, size_t n, size_t align) {
    size_t wanted;
    if (!size_add(n, ARENA_ZONE + MEM_ALIGN, &wanted)) return NULL;
    arena_block *b = a->head;
    size_t start = b ? (b->used + align - 1) & ~(align - 1) : 0;
    if (!b || start > b->capacity || b->capacity - start < n + ARENA_ZONE) {
        b = arena_add_block(a, wanted);
        if (!b) return NULL;
        start = 0;
    }
    char *p = block_data(b) + start;
    b->used = start + n + ARENA_ZONE;
    a->used += n;
    unpoison(p, n);
    memset(p, 0, n);
    return p;
}

void *arena_alloc(arena *a, size_t n) { return arena_cut(a, n, MEM_ALIGN); }

void *arena_array(arena *a, size_t count, size_t size) {
    size_t n;
    return size_mul(count, size, &n) ? arena_alloc(a, n) : NULL;
}

char *arena_strndup(arena *a, const char *s, size_t n) {
    size_t size;
    char *copy = size_add(n, 1, &size) ? arena_cut(a, size, 8) : NULL;
    if (copy && n) memcpy(copy, s, n);
    return copy;
}

char *arena_strdup(arena *a, const char *s) { return arena_strndup(a, s, strlen(s)); }

char *arena_printf(arena *a, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = num_vformat(NULL, 0, format, args);
    char *s = n < 0 ? NULL : arena_cut(a, (size_t)n + 1, 8);
    if (s) num_vformat(s, (size_t)n + 1, format, again);
    va_end(again);
    va_end(args);
    return s;
}

static void block_free(arena_block *b) {
    unpoison(block_data(b), b->capacity);
    mem_free(b);
}

void arena_reset(arena *a) {
    arena_block *largest = a->head;
    for (arena_block *b = a->head; b; b = b->next)
        if (b->capacity > largest->capacity) largest = b;
    for (arena_block *b = a->head, *next; b; b = next) {
        next = b->next;
        if (b != largest) block_free(b);
    }
    a->head = largest;
    a->used = 0;
    if (!largest) return;
    largest->next = NULL;
    largest->used = 0;
    poison(block_data(largest), largest->capacity);
}

void arena_clear(arena *a) {
    for (arena_block *b = a->head, *next; b; b = next) {
        next = b->next;
        block_free(b);
    }
    arena_init(a);
}
