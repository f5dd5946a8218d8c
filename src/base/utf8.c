/* utf8 - validation, decoding, case and width. The only file that knows utf8proc (Unicode 15).
 *
 * Lower-casing equals Python's str.lower(): simple mappings from utf8proc, U+0130 as the one full mapping that differs,
 * and the Final_Sigma rule of the Unicode standard (section 3.13): a capital sigma becomes final when a cased letter
 * stands before it and none behind it, case-ignorable characters being skipped. tests/ref/make_utf8_lower.py asked
 * Python about every code point.
 * ASCII, which is most text, goes eight bytes at a time.
 * Invariant: whatever the input, output is well-formed UTF-8; an ill-formed byte becomes U+FFFD. */
#include "base/utf8.h"

#include <string.h>
#include <utf8proc.h>

#define HIGH_BITS 0x8080808080808080u

static inline uint64_t load8(const char *p) {
    uint64_t v;
    memcpy(&v, p, 8);
    return v;
}

static inline bool continuation(unsigned char c) { return (c & 0xC0) == 0x80; }

/* Length of the well-formed character at s (n > 0), 0 when there is none: table 3-7 of the Unicode standard. */
static size_t character_length(const unsigned char *s, size_t n) {
    unsigned char lead = s[0];
    if (lead < 0x80) return 1;
    if (lead < 0xC2) return 0;
    if (lead < 0xE0) return n >= 2 && continuation(s[1]) ? 2 : 0;
    if (lead < 0xF0) {
        if (n < 3 || !continuation(s[1]) || !continuation(s[2])) return 0;
        if ((lead == 0xE0 && s[1] < 0xA0) || (lead == 0xED && s[1] > 0x9F)) return 0; /* overlong, surrogate */
        return 3;
    }
    if (lead > 0xF4 || n < 4 || !continuation(s[1]) || !continuation(s[2]) || !continuation(s[3])) return 0;
    if ((lead == 0xF0 && s[1] < 0x90) || (lead == 0xF4 && s[1] > 0x8F)) return 0; /* overlong, beyond 10FFFF */
    return 4;
}

size_t utf8_valid_prefix(const char *s, size_t n) {
    size_t i = 0;
    while (i < n) {
        while (n - i >= 16 && ((load8(s + i) | load8(s + i + 8)) & HIGH_BITS) == 0) i += 16;
        if (i == n) break;
        size_t length = character_length((const unsigned char *)s + i, n - i);
        if (length == 0) return i;
        i += length;
    }
    return n;
}

size_t utf8_decode(const char *s, size_t n, uint32_t *code_point) {
    const unsigned char *u = (const unsigned char *)s;
    size_t length = n ? character_length(u, n) : 0;
    switch (length) {
    case 1: *code_point = u[0]; return 1;
    case 2: *code_point = (u[0] & 0x1Fu) << 6 | (u[1] & 0x3Fu); return 2;
    case 3: *code_point = (u[0] & 0x0Fu) << 12 | (u[1] & 0x3Fu) << 6 | (u[2] & 0x3Fu); return 3;
    case 4: *code_point = (u[0] & 0x07u) << 18 | (u[1] & 0x3Fu) << 12 | (u[2] & 0x3Fu) << 6 | (u[3] & 0x3Fu); return 4;
    default: *code_point = 0xFFFD; return 1;
    }
}

size_t utf8_encode(uint32_t c, char out[4]) {
    if (c > 0x10FFFF || (c >= 0xD800 && c < 0xE000)) c = 0xFFFD;
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xC0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3F));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xE0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3F));
        out[2] = (char)(0x80 | (c & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3F));
    out[2] = (char)(0x80 | (c >> 6 & 0x3F));
    out[3] = (char)(0x80 | (c & 0x3F));
    return 4;
}

size_t utf8_count(const char *s, size_t n) {
    size_t count = 0;
    for (size_t i = 0; i < n; count++) {
        uint32_t c;
        i += utf8_decode(s + i, n - i, &c);
    }
    return count;
}

/* ---- case ---- */

typedef struct range {
    uint32_t first, last;
} range;

static bool in_ranges(const range *r, size_t n, uint32_t c) {
    for (size_t i = 0; i < n; i++)
        if (c >= r[i].first && c <= r[i].last) return true;
    return false;
}
#define IN(ranges, c) in_ranges(ranges, sizeof(ranges) / sizeof(ranges)[0], c)

/* Case_Ignorable: marks, format characters, modifiers, and the punctuation that may stand inside a word. */
static bool case_ignorable(uint32_t c) {
    static const range inside_words[] = {{'\'', '\''},     {'.', '.'},       {':', ':'},       {0xB7, 0xB7},
                                         {0x387, 0x387},   {0x55F, 0x55F},   {0x5F4, 0x5F4},   {0x2018, 0x2019},
                                         {0x2024, 0x2024}, {0x2027, 0x2027}, {0xFE13, 0xFE13}, {0xFE52, 0xFE52},
                                         {0xFE55, 0xFE55}, {0xFF07, 0xFF07}, {0xFF0E, 0xFF0E}, {0xFF1A, 0xFF1A}};
    switch (utf8proc_category((utf8proc_int32_t)c)) {
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_SK: return true;
    default: return IN(inside_words, c);
    }
}

/* Cased, for characters that are not case-ignorable: letters with case, and numerals and symbols made of them. */
static bool cased(uint32_t c) {
    static const range other[] = {{0xAA, 0xAA},       {0xBA, 0xBA},       {0x2160, 0x217F},  {0x24B6, 0x24E9},
                                  {0x1F130, 0x1F149}, {0x1F150, 0x1F169}, {0x1F170, 0x1F189}};
    switch (utf8proc_category((utf8proc_int32_t)c)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT: return true;
    default: return IN(other, c);
    }
}

/* Start of the character that ends before s[end], end > 0. */
static size_t step_back(const char *s, size_t end) {
    size_t at = end - 1;
    while (at > 0 && end - at < 4 && continuation((unsigned char)s[at])) at--;
    uint32_t c;
    return at + utf8_decode(s + at, end - at, &c) == end ? at : end - 1;
}

/* Whether the sigma at s[at], two bytes long, ends a word. */
static bool final_sigma(const char *s, size_t n, size_t at) {
    uint32_t c;
    bool before = false;
    for (size_t i = at; i > 0 && !before;) {
        i = step_back(s, i);
        utf8_decode(s + i, at - i, &c);
        if (case_ignorable(c)) continue;
        before = cased(c);
        if (!before) return false;
    }
    if (!before) return false;
    for (size_t i = at + 2; i < n;) {
        i += utf8_decode(s + i, n - i, &c);
        if (!case_ignorable(c)) return !cased(c);
    }
    return true;
}

/* Lowers eight ASCII bytes at once: adds 32 where a byte lies in 'A'..'Z'. */
static inline uint64_t lower8(uint64_t v) {
    uint64_t above_at = v + 0x3F3F3F3F3F3F3F3Fu, above_z = v + 0x2525252525252525u; /* high bit: >= 'A', > 'Z' */
    return v + (((above_at & ~above_z) & HIGH_BITS) >> 2);
}

/* Lowers ASCII from s into d until a byte above 127 or the end; returns how many bytes. */
static size_t lower_ascii(char *d, const char *s, size_t n) {
    size_t i = 0;
    for (; n - i >= 8; i += 8) {
        uint64_t v = load8(s + i);
        if (v & HIGH_BITS) break;
        v = lower8(v);
        memcpy(d + i, &v, 8);
    }
    for (; i < n && (unsigned char)s[i] < 0x80; i++) d[i] = (char)(s[i] >= 'A' && s[i] <= 'Z' ? s[i] + 32 : s[i]);
    return i;
}

/* Lower case of the character at s[at]; appends it. Returns its length in s. */
static size_t lower_one(buf *out, const char *s, size_t n, size_t at) {
    uint32_t c;
    size_t length = utf8_decode(s + at, n - at, &c);
    char text[4];
    if (c == 0x130) { /* capital I with dot: i and a combining dot above */
        buf_add(out, "i\xCC\x87", 3);
        return length;
    }
    if (c == 0x3A3)
        c = final_sigma(s, n, at) ? 0x3C2 : 0x3C3;
    else
        c = (uint32_t)utf8proc_tolower((utf8proc_int32_t)c);
    buf_add(out, text, utf8_encode(c, text));
    return length;
}

void utf8_lower(buf *out, const char *s, size_t n) {
    for (size_t i = 0; i < n;) {
        if (!buf_reserve(out, n - i)) return;
        size_t ascii = lower_ascii(out->data + out->len, s + i, n - i);
        out->len += ascii;
        out->data[out->len] = '\0';
        i += ascii;
        while (i < n && (unsigned char)s[i] >= 0x80) i += lower_one(out, s, n, i);
    }
}

/* ---- properties ---- */

size_t utf8_width(const char *s, size_t n) {
    size_t width = 0;
    for (size_t i = 0; i < n;) {
        uint32_t c;
        i += utf8_decode(s + i, n - i, &c);
        int w = utf8proc_charwidth((utf8proc_int32_t)c);
        if (w > 0) width += (size_t)w;
    }
    return width;
}

bool utf8_is_space(uint32_t c) {
    if (c < 0x80) return c == ' ' || (c >= 9 && c <= 13);
    if (c >= 0x2000 && c <= 0x200A) return true;
    return c == 0x85 || c == 0xA0 || c == 0x1680 || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
           c == 0x3000;
}

/* The blocks that BERT's tokenizer splits into single characters. */
bool utf8_is_cjk(uint32_t c) {
    static const range blocks[] = {{0x4E00, 0x9FFF},   {0x3400, 0x4DBF}, {0x20000, 0x2A6DF},
                                   {0x2A700, 0x2CEAF}, {0xF900, 0xFAFF}, {0x2F800, 0x2FA1F}};
    return c >= 0x3400 && IN(blocks, c);
}
