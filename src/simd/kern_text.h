/* kern_text - bytes of text, 64 at a time: lower-case ASCII and mark the separators among them.
 *
 * A set of ASCII characters is 16 bytes: bit (c >> 4) of set[c & 15]. Two shuffles look up 64 bytes at once: one by the
 * low half of each byte, one that turns its high half into a bit; bytes over 127 find no bit (the scheme of simdjson,
 * arXiv 1902.08318 section 3.1.2). Integer work only, so every instruction set agrees trivially.
 *
 * Included by each kern_<isa>.c; what it may use follows from the compiler's flags. */
#ifndef SOUK_SIMD_KERN_TEXT_H
#define SOUK_SIMD_KERN_TEXT_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#if defined(__AVX512BW__)
#include <immintrin.h>
static inline uint64_t text_block(const char *text, uint64_t valid, const uint8_t set[16], bool lower, char *mapped) {
    const __m512i bits = _mm512_broadcast_i32x4(_mm_setr_epi8(1, 2, 4, 8, 16, 32, 64, -128, 0, 0, 0, 0, 0, 0, 0, 0));
    const __m512i low = _mm512_broadcast_i32x4(_mm_loadu_si128((const void *)set));
    __m512i c = _mm512_maskz_loadu_epi8(valid, text);
    if (lower) {
        __mmask64 upper = _mm512_cmplt_epu8_mask(_mm512_sub_epi8(c, _mm512_set1_epi8('A')), _mm512_set1_epi8(26));
        c = _mm512_mask_add_epi8(c, upper, c, _mm512_set1_epi8(32));
    }
    _mm512_storeu_si512((void *)mapped, c);
    __m512i high = _mm512_and_si512(_mm512_srli_epi16(c, 4), _mm512_set1_epi8(15));
    return _mm512_test_epi8_mask(_mm512_shuffle_epi8(low, c), _mm512_shuffle_epi8(bits, high)) | ~valid;
}
#elif defined(__AVX2__)
#include <immintrin.h>
static inline uint32_t text_half(__m256i c, __m256i low, bool lower, char *mapped) {
    const __m256i bits =
        _mm256_broadcastsi128_si256(_mm_setr_epi8(1, 2, 4, 8, 16, 32, 64, -128, 0, 0, 0, 0, 0, 0, 0, 0));
    if (lower) { /* signed comparison: bytes over 127 are negative and stay out */
        __m256i upper = _mm256_and_si256(_mm256_cmpgt_epi8(c, _mm256_set1_epi8('A' - 1)),
                                         _mm256_cmpgt_epi8(_mm256_set1_epi8('Z' + 1), c));
        c = _mm256_add_epi8(c, _mm256_and_si256(upper, _mm256_set1_epi8(32)));
    }
    _mm256_storeu_si256((void *)mapped, c);
    __m256i high = _mm256_and_si256(_mm256_srli_epi16(c, 4), _mm256_set1_epi8(15));
    __m256i hit = _mm256_and_si256(_mm256_shuffle_epi8(low, c), _mm256_shuffle_epi8(bits, high));
    return ~(uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(hit, _mm256_setzero_si256()));
}

static inline uint64_t text_block(const char *text, uint64_t valid, const uint8_t set[16], bool lower, char *mapped) {
    const __m256i low = _mm256_broadcastsi128_si256(_mm_loadu_si128((const void *)set));
    char tail[64];
    if (valid != UINT64_MAX) { /* the last bytes of a text: never read beyond it */
        memset(tail, 0, sizeof tail);
        memcpy(tail, text, (size_t)__builtin_popcountll(valid));
        text = tail;
    }
    uint32_t l = text_half(_mm256_loadu_si256((const void *)text), low, lower, mapped);
    uint32_t h = text_half(_mm256_loadu_si256((const void *)(text + 32)), low, lower, mapped + 32);
    return ((uint64_t)h << 32 | l) | ~valid;
}
#else
static inline uint64_t text_block(const char *text, uint64_t valid, const uint8_t set[16], bool lower, char *mapped) {
    uint64_t separator = ~valid;
    for (unsigned i = 0; i < 64; i++) {
        unsigned c = valid >> i & 1 ? (unsigned char)text[i] : 0;
        if (lower && c - 'A' < 26) c += 32;
        mapped[i] = (char)c;
        if (c < 128 && (set[c & 15] >> (c >> 4) & 1)) separator |= UINT64_C(1) << i;
    }
    return separator;
}
#endif

static void kern_tok_classify(int64_t n, const char *text, const uint8_t set[16], bool lower, char *mapped,
                              uint64_t *separator) {
    for (int64_t i = 0; i < n; i += 64) {
        uint64_t valid = n - i >= 64 ? UINT64_MAX : (UINT64_C(1) << (n - i)) - 1;
        separator[i / 64] = text_block(text + i, valid, set, lower, mapped + i);
    }
}

#endif
