/* buf - a byte buffer that grows twofold up to a stated maximum.
 *
 * The first failure sticks in `status` and every later call does nothing, so that code that writes a page of text
 * checks once, at the end, with buf_status. Numbers go through num, so no locale changes them.
 *
 * Invariant: data, once there, has a NUL at data[len]; len <= max. */
#include "base/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"

enum { BUF_FIRST = 64 };
#define BUF_DEFAULT_MAX ((size_t)1 << 30)

void buf_init(buf *b, size_t max) { *b = (buf){.max = max ? max : BUF_DEFAULT_MAX}; }

static size_t buf_max(const buf *b) { return b->max ? b->max : BUF_DEFAULT_MAX; } /* a buf of zeros is a fresh one */

bool buf_reserve(buf *b, size_t n) {
    if (b->status != SOUK_OK) return false;
    size_t max = buf_max(b);
    if (n > max - b->len) {
        b->status = SOUK_REFUSED;
        return false;
    }
    size_t need = b->len + n + 1;
    if (need <= b->capacity) return true;
    size_t wanted = b->capacity > max / 2 ? max + 1 : b->capacity * 2;
    if (wanted < BUF_FIRST) wanted = BUF_FIRST;
    if (wanted < need) wanted = need;
    char *grown = mem_realloc(b->data, wanted, 1);
    if (!grown) {
        b->status = SOUK_NOMEM;
        return false;
    }
    b->data = grown;
    b->capacity = wanted;
    b->data[b->len] = '\0';
    return true;
}

void buf_add(buf *b, const void *bytes, size_t n) {
    if (!buf_reserve(b, n)) return;
    if (n) memcpy(b->data + b->len, bytes, n);
    b->len += n;
    b->data[b->len] = '\0';
}

void buf_str(buf *b, const char *s) { buf_add(b, s, strlen(s)); }

void buf_char(buf *b, char c) {
    if (!buf_reserve(b, 1)) return;
    b->data[b->len++] = c;
    b->data[b->len] = '\0';
}

void buf_printf(buf *b, const char *format, ...) {
    if (b->status != SOUK_OK) return;
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    size_t room = b->capacity - b->len; /* 0 while nothing is allocated */
    int n = num_vformat(room ? b->data + b->len : NULL, room, format, args);
    if (n < 0) {
        b->status = SOUK_NOMEM; /* the only way a correct format fails */
    } else if ((size_t)n < room && (size_t)n <= buf_max(b) - b->len) {
        b->len += (size_t)n;
    } else if (buf_reserve(b, (size_t)n)) {
        num_vformat(b->data + b->len, (size_t)n + 1, format, again);
        b->len += (size_t)n;
    } else if (b->data) {
        b->data[b->len] = '\0'; /* drop what the first attempt left behind the end */
    }
    va_end(again);
    va_end(args);
}

void buf_reset(buf *b) {
    b->len = 0;
    b->status = SOUK_OK;
    if (b->data) b->data[0] = '\0';
}

void buf_clear(buf *b) {
    mem_free(b->data);
    buf_init(b, b->max);
}

char *buf_take(buf *b) {
    if (!buf_reserve(b, 0)) return NULL;
    char *data = b->data;
    b->data = NULL;
    buf_clear(b);
    return data;
}

souk_status buf_status(const buf *b, const char *what, souk_error *err) {
    if (b->status == SOUK_OK) return SOUK_OK;
    if (b->status == SOUK_NOMEM) return err_nomem(err, what);
    return err_set(err, b->status,
                   "stopped while %s: the text grew past its limit of %zu bytes (use less data at once)", what,
                   buf_max(b));
}

size_t buf_format_double(char dst[32], double v) { return num_format_double(dst, v); }

void buf_double(buf *b, double v) {
    char text[32];
    buf_add(b, text, num_format_double(text, v));
}
