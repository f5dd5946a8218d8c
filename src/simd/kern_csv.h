/* kern_csv - the separators and quotes of delimited text as bit masks, 64 bytes at a time.
 *
 * One comparison per byte value and instruction set; plain C does eight bytes in a 64-bit word. Integer work only, so
 * every instruction set agrees trivially. Reads whole blocks: the caller's text is padded to 64 bytes.
 *
 * Included by each kern_<isa>.c; what it may use follows from the compiler's flags. */
#ifndef SOUK_SIMD_KERN_CSV_H
#define SOUK_SIMD_KERN_CSV_H

#include <stdint.h>
#include <string.h>

#if defined(__AVX512BW__)
#include <immintrin.h>
static inline void csv_block(const char *p, char delimiter, uint64_t *separators, uint64_t *quotes) {
    __m512i c = _mm512_loadu_si512((const void *)p);
    *separators = _mm512_cmpeq_epi8_mask(c, _mm512_set1_epi8(delimiter)) |
                  _mm512_cmpeq_epi8_mask(c, _mm512_set1_epi8('\n')) | _mm512_cmpeq_epi8_mask(c, _mm512_set1_epi8('\r'));
    *quotes = _mm512_cmpeq_epi8_mask(c, _mm512_set1_epi8('"'));
}
#elif defined(__AVX2__)
#include <immintrin.h>
static inline uint64_t csv_bits(__m256i low, __m256i high) {
    return (uint64_t)(uint32_t)_mm256_movemask_epi8(high) << 32 | (uint32_t)_mm256_movemask_epi8(low);
}
static inline __m256i csv_ends(__m256i c, char delimiter) {
    __m256i lines =
        _mm256_or_si256(_mm256_cmpeq_epi8(c, _mm256_set1_epi8('\n')), _mm256_cmpeq_epi8(c, _mm256_set1_epi8('\r')));
    return _mm256_or_si256(lines, _mm256_cmpeq_epi8(c, _mm256_set1_epi8(delimiter)));
}
static inline void csv_block(const char *p, char delimiter, uint64_t *separators, uint64_t *quotes) {
    __m256i a = _mm256_loadu_si256((const void *)p), b = _mm256_loadu_si256((const void *)(p + 32));
    *separators = csv_bits(csv_ends(a, delimiter), csv_ends(b, delimiter));
    *quotes = csv_bits(_mm256_cmpeq_epi8(a, _mm256_set1_epi8('"')), _mm256_cmpeq_epi8(b, _mm256_set1_epi8('"')));
}
#else
/* 0x80 in each byte of x that is zero, exactly (no carry between bytes). */
static inline uint64_t csv_zeros(uint64_t x) {
    const uint64_t low = UINT64_C(0x7f7f7f7f7f7f7f7f);
    return ~(((x & low) + low) | x | low);
}
/* Eight flags 0x80, the first byte lowest, to eight bits: the product gathers them at the top. */
static inline uint64_t csv_gather(uint64_t flags) { return ((flags >> 7) * UINT64_C(0x0102040810204080)) >> 56; }
static inline void csv_block(const char *p, char delimiter, uint64_t *separators, uint64_t *quotes) {
    const uint64_t ones = UINT64_C(0x0101010101010101);
    const uint64_t d = (uint64_t)(unsigned char)delimiter * ones;
    uint64_t s = 0, q = 0;
    for (int i = 0; i < 8; i++) {
        uint64_t x = 0;
        for (int k = 7; k >= 0; k--) x = x << 8 | (unsigned char)p[8 * i + k]; /* one load on little-endian machines */
        s |= csv_gather(csv_zeros(x ^ d) | csv_zeros(x ^ ('\n' * ones)) | csv_zeros(x ^ ('\r' * ones))) << (8 * i);
        q |= csv_gather(csv_zeros(x ^ ('"' * ones))) << (8 * i);
    }
    *separators = s;
    *quotes = q;
}
#endif

static void kern_csv_masks(int64_t blocks, const char *text, char delimiter, uint64_t *separators, uint64_t *quotes) {
    for (int64_t i = 0; i < blocks; i++) csv_block(text + 64 * i, delimiter, separators + i, quotes + i);
}

#endif
