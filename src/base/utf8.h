/* utf8 - validation, decoding and case, through utf8proc. The only file that knows utf8proc. */
#ifndef SOUK_BASE_UTF8_H
#define SOUK_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* Length of the valid prefix of s[0..n): n when all is well-formed UTF-8 (no surrogates, no overlong forms, <= 10FFFF).
 */
size_t utf8_valid_prefix(const char *s, size_t n);
static inline bool utf8_valid(const char *s, size_t n) { return utf8_valid_prefix(s, n) == n; }
/* Decodes one code point of well-formed text; returns its length in bytes (1 to 4). An ill-formed byte gives U+FFFD
 * and 1. */
size_t utf8_decode(const char *s, size_t n, uint32_t *code_point);
size_t utf8_encode(uint32_t code_point, char out[4]);
size_t utf8_count(const char *s, size_t n); /* code points */
/* Appends the text lower-cased as Python's str.lower() does it: full mappings (U+0130 becomes two code points) and the
 * context-sensitive final sigma. ASCII takes a fast path. */
void utf8_lower(buf *out, const char *s, size_t n);
/* Width in terminal columns (wide East Asian characters count 2). */
size_t utf8_width(const char *s, size_t n);
bool utf8_is_space(uint32_t code_point); /* White_Space */
bool utf8_is_cjk(uint32_t code_point);

#endif
