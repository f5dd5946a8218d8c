/* buf - a byte buffer that grows, up to a stated maximum; the first failure sticks, so that writers check once. */
#ifndef SOUK_BASE_BUF_H
#define SOUK_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

typedef struct buf {
    char *data; /* NUL-terminated once anything was added; NULL before */
    size_t len;
    size_t capacity;
    size_t max;         /* growing past it is the error SOUK_REFUSED; 0 means 1 GiB */
    souk_status status; /* SOUK_OK, SOUK_NOMEM or SOUK_REFUSED; after a failure every call is a no-op */
} buf;

void buf_init(buf *b, size_t max);
void buf_add(buf *b, const void *bytes, size_t n);
void buf_str(buf *b, const char *s);
void buf_char(buf *b, char c);
void buf_printf(buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool buf_reserve(buf *b, size_t n); /* room for n more bytes */
void buf_reset(buf *b);             /* len = 0, memory kept, status cleared */
void buf_clear(buf *b);             /* frees */
char *buf_take(buf *b);             /* hands over data (caller mem_free's), NULL on a stuck failure */
souk_status buf_status(const buf *b, const char *what, souk_error *err); /* the stuck failure as a message */

/* Shortest decimal text that reads back to the same double ("0.1", "1e-05", "nan"), locale ignored. dst holds 32. */
size_t buf_format_double(char dst[32], double v);
void buf_double(buf *b, double v);

#endif
