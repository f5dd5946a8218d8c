/* num - numbers to text and back, exactly, in every locale.
 *
 * Reading: up to 19 digits are gathered in 64 bits, w * 10^e. Where w < 2^53 and |e| <= 22 one floating-point operation
 * on two exact numbers is correctly rounded (Clinger 1990). Where |e| <= 27, 5^|e| fits 64 bits and the quotient or
 * product is rounded in 128-bit integers, sticky bit included. The rest (more digits, large exponents) goes to strtod
 * in the C locale. All three give the nearest double, so which one ran cannot be seen.
 *
 * Writing: the shortest decimal is found by trying more decimals until it reads back. Up to 15 digits this is one
 * multiplication and one division each; beyond, printf's digits are tried at 15, 16 and 17. */
#include "base/num.h"

#include <assert.h>
#include <ctype.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/thread.h"

enum { NUM_LONGEST = 1000 };

static const double power10[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

static locale_t c_locale;
static void make_c_locale(void) {
    c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0); /* glibc: static, never freed */
}
static locale_t get_c_locale(void) {
    static int once;
    thread_once(&once, make_c_locale);
    return c_locale;
}

int num_vformat(char *dst, size_t capacity, const char *format, va_list args) {
    locale_t before = uselocale(get_c_locale());
    int n = vsnprintf(dst, capacity, format, args);
    uselocale(before);
    return n;
}

/* ---- reading ---- */

static bool is_digit(char c) { return (unsigned char)(c - '0') < 10; }

/* True when all 8 bytes of v are ASCII digits. */
static bool eight_digits(uint64_t v) {
    return ((v & 0xF0F0F0F0F0F0F0F0u) | (((v + 0x0606060606060606u) & 0xF0F0F0F0F0F0F0F0u) >> 4)) ==
           0x3333333333333333u;
}

/* The number that 8 digits spell, first digit in the lowest byte: pairs, then fours, then eight. */
static uint64_t spell_eight(uint64_t v) {
    v -= 0x3030303030303030u;
    v = v * 10 + (v >> 8);
    return (((v & 0x000000FF000000FFu) * 0x000F424000000064u) +
            (((v >> 16) & 0x000000FF000000FFu) * 0x0000271000000001u)) >>
           32;
}

/* Adds the digits at s to *w; returns how many. *w is right only while the total stays within 19 digits. */
static size_t gather_digits(const char *s, const char *end, uint64_t *w) {
    const char *p = s;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    while (end - p >= 8) {
        uint64_t v;
        memcpy(&v, p, 8);
        if (!eight_digits(v)) break;
        *w = *w * 100000000u + spell_eight(v);
        p += 8;
    }
#endif
    for (; p < end && is_digit(*p); p++) *w = *w * 10 + (uint64_t)(*p - '0');
    return (size_t)(p - s);
}

/* m * 2^e rounded to nearest even, m != 0, far from overflow and denormals; sticky: something non-zero lies below m. */
static double round_to_double(unsigned __int128 m, int e, bool sticky) {
    uint64_t high = (uint64_t)(m >> 64), low = (uint64_t)m;
    int bits = high ? 128 - __builtin_clzll(high) : 64 - __builtin_clzll(low);
    int shift = bits - 53;
    if (shift <= 0) return ldexp((double)low, e); /* exact: callers with a sticky bit give at least 64 bits */
    unsigned __int128 rest = m & (((unsigned __int128)1 << shift) - 1), half = (unsigned __int128)1 << (shift - 1);
    uint64_t q = (uint64_t)(m >> shift);
    if (rest > half || (rest == half && (sticky || (q & 1)))) q++;
    return ldexp((double)q, e + shift);
}

/* w * 10^e for w != 0 and |e| <= 27, correctly rounded: 10^e = 5^e * 2^e and 5^27 < 2^63. */
static double scale_exact(uint64_t w, int e) {
    uint64_t five = 1;
    for (int i = 0; i < (e < 0 ? -e : e); i++) five *= 5;
    if (e >= 0) return round_to_double((unsigned __int128)w * five, e, false);
    int lead = __builtin_clzll(w);
    unsigned __int128 numerator = (unsigned __int128)(w << lead) << 64; /* w * 2^(lead + 64), at least 2^127 */
    unsigned __int128 q = numerator / five;                             /* at least 2^64: 53 bits and more to spare */
    return round_to_double(q, e - lead - 64, numerator % five != 0);
}

static bool parse_slowly(const char *s, size_t n, double *out) {
    char text[NUM_LONGEST + 1];
    memcpy(text, s, n);
    text[n] = '\0';
    char *end;
    *out = strtod_l(text, &end, get_c_locale());
    return end == text + n && isfinite(*out);
}

/* Digits of the exponent at p; at least one is needed. Saturates, because 1e99999 is too large in any case. */
static bool parse_exponent(const char *p, const char *end, int *out) {
    bool negative = p < end && *p == '-';
    if (p < end && (*p == '-' || *p == '+')) p++;
    if (p == end) return false;
    int e = 0;
    for (; p < end; p++) {
        if (!is_digit(*p)) return false;
        if (e < 100000) e = e * 10 + (*p - '0');
    }
    *out = negative ? -e : e;
    return true;
}

bool num_parse_double(const char *s, size_t n, double *out) {
    if (n == 0 || n > NUM_LONGEST) return false;
    const char *p = s, *end = s + n;
    bool negative = *p == '-';
    if (*p == '-' || *p == '+') p++;
    const char *digits = p;
    uint64_t w = 0;
    size_t whole = gather_digits(p, end, &w), fraction = 0;
    p += whole;
    if (p < end && *p == '.') {
        p++;
        fraction = gather_digits(p, end, &w);
        p += fraction;
    }
    if (whole + fraction == 0) return false;
    int exponent = 0;
    if (p < end) {
        if ((*p | 32) != 'e' || !parse_exponent(p + 1, end, &exponent)) return false;
    }
    size_t significant = whole + fraction;
    for (const char *z = digits; significant > 19 && (*z == '0' || *z == '.'); z++)
        if (*z == '0') significant--; /* leading zeros took no room in w */
    exponent -= (int)fraction;
    if (significant > 19 || exponent < -27 || exponent > 27) return parse_slowly(s, n, out);
    double v;
    if (w == 0)
        v = 0;
    else if (w >> 53 == 0 && exponent >= 0 && exponent <= 22)
        v = (double)w * power10[exponent];
    else if (w >> 53 == 0 && exponent < 0 && exponent >= -22)
        v = (double)w / power10[-exponent];
    else
        v = scale_exact(w, exponent);
    *out = negative ? -v : v;
    return true;
}

bool num_parse_int64(const char *s, size_t n, int64_t *out) {
    const char *p = s, *end = s + n;
    bool negative = n && *p == '-';
    if (n && (*p == '-' || *p == '+')) p++;
    if (p == end) return false;
    int64_t v = 0; /* gathered below zero, where int64 has one more value */
    for (; p < end; p++) {
        if (!is_digit(*p) || __builtin_mul_overflow(v, 10, &v) || __builtin_sub_overflow(v, *p - '0', &v)) return false;
    }
    if (!negative && __builtin_sub_overflow(0, v, &v)) return false;
    *out = v;
    return true;
}

/* ---- writing ---- */

/* v's decimal digits backwards from `end`; returns where they start. */
static char *put_digits(char *end, uint64_t v) {
    do {
        *--end = (char)('0' + v % 10);
        v /= 10;
    } while (v);
    return end;
}

size_t num_format_int64(char dst[24], int64_t v) {
    char text[20], *end = text + sizeof text;
    uint64_t magnitude = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    char *start = put_digits(end, magnitude);
    size_t n = (size_t)(end - start), sign = v < 0;
    dst[0] = '-';
    memcpy(dst + sign, start, n);
    dst[sign + n] = '\0';
    return sign + n;
}

/* Lays out 0.DIGITS * 10^point as Python's repr does: plain from 1e-4 up to 1e16, else with an exponent. */
static size_t lay_out(char *dst, bool negative, const char *digits, int n, int point) {
    char *p = dst;
    if (negative) *p++ = '-';
    while (n > 1 && digits[n - 1] == '0') n--;
    if (point > -4 && point <= 16) {
        if (point <= 0) {
            *p++ = '0';
            *p++ = '.';
            for (int i = point; i < 0; i++) *p++ = '0';
        }
        for (int i = 0; i < n || i < point; i++) {
            if (i == point && point > 0) *p++ = '.';
            *p++ = i < n ? digits[i] : '0';
        }
    } else {
        *p++ = digits[0];
        if (n > 1) *p++ = '.';
        for (int i = 1; i < n; i++) *p++ = digits[i];
        *p++ = 'e';
        *p++ = point - 1 < 0 ? '-' : '+';
        char text[8], *end = text + sizeof text, *start = put_digits(end, (uint64_t)abs(point - 1));
        if (end - start < 2) *p++ = '0';
        for (; start < end; start++) *p++ = *start;
    }
    *p = '\0';
    return (size_t)(p - dst);
}

static size_t put_word(char *dst, const char *word) {
    size_t n = strlen(word);
    memcpy(dst, word, n + 1);
    return n;
}

/* nan, infinities and zeros; 0 for every other value. */
static size_t format_special(char *dst, double v) {
    if (isnan(v)) return put_word(dst, "nan");
    if (isinf(v)) return put_word(dst, v < 0 ? "-inf" : "inf");
    if (v == 0) return put_word(dst, signbit(v) ? "-0" : "0");
    return 0;
}

typedef bool (*reads_back_fn)(double candidate, double v);
static bool same_double(double candidate, double v) { return candidate == v; }
static bool same_float(double candidate, double v) { return (float)candidate == (float)v; }

/* There the gap to the number below is half the gap above: the nearest n-digit decimal may miss where the one above
 * it reads back. */
static bool is_power_of_two(double a) {
    int exponent;
    return frexp(a, &exponent) == 0.5;
}

/* a > 0 as m / 10^k with the fewest decimals k such that it reads back, m < 10^15. Below that bound the product's
 * error (a quarter at most) cannot hide the right m, so that the first hit is the shortest text. 0: none. */
static size_t format_short(char *dst, bool negative, double a, reads_back_fn same) {
    bool power_of_two = is_power_of_two(a);
    for (int k = 0; k <= 22; k++) {
        double scaled = a * power10[k];
        if (scaled >= 1e15) return 0;
        double m = nearbyint(scaled); /* ties to even, as every printer of digits does */
        if (power_of_two && !same(m / power10[k], a)) m++;
        if (m < 1 || !same(m / power10[k], a)) continue;
        char text[20], *end = text + sizeof text, *start = put_digits(end, (uint64_t)m);
        return lay_out(dst, negative, start, (int)(end - start), (int)(end - start) - k);
    }
    return 0;
}

/* DIGITS (n of them) and exponent of a in scientific form, correctly rounded. */
static void scientific(double a, int n, char digits[24], int *point) {
    char text[40];
    locale_t before = uselocale(get_c_locale());
    snprintf(text, sizeof text, "%.*e", n - 1, a);
    uselocale(before);
    digits[0] = text[0];
    memcpy(digits + 1, text + 2, (size_t)n - 1);
    const char *e = strchr(text, 'e');
    int64_t exponent = 0;
    num_parse_int64(e + 1, strlen(e + 1), &exponent);
    *point = (int)exponent + 1;
}

static double read_digits(const char *digits, int n, int point) {
    char text[40];
    text[0] = '0';
    text[1] = '.';
    memcpy(text + 2, digits, (size_t)n);
    text[2 + n] = 'e';
    size_t m = 3 + (size_t)n + num_format_int64(text + 3 + n, point);
    double v = 0;
    return num_parse_double(text, m, &v) ? v : INFINITY;
}

/* The next larger n-digit decimal; false when it has one digit more. */
static bool next_digits(char *digits, int n) {
    for (int i = n - 1; i >= 0; i--) {
        if (digits[i] != '9') {
            digits[i]++;
            return true;
        }
        digits[i] = '0';
    }
    return false;
}

/* Any a > 0: n significant digits from `first` on (denormals: from 1), 17 at last. */
static size_t format_long(char *dst, bool negative, double a, int first, reads_back_fn same) {
    char digits[24];
    int point = 0;
    bool power_of_two = is_power_of_two(a);
    for (int n = a < 2.3e-308 ? 1 : first; n < 17; n++) {
        scientific(a, n, digits, &point);
        if (same(read_digits(digits, n, point), a)) return lay_out(dst, negative, digits, n, point);
        if (power_of_two && next_digits(digits, n) && same(read_digits(digits, n, point), a))
            return lay_out(dst, negative, digits, n, point);
    }
    scientific(a, 17, digits, &point);
    return lay_out(dst, negative, digits, 17, point);
}

size_t num_format_double(char dst[32], double v) {
    size_t n = format_special(dst, v);
    double a = fabs(v);
    if (n == 0 && a >= 1e-7) n = format_short(dst, v < 0, a, same_double);
    return n ? n : format_long(dst, v < 0, a, a >= 1e-7 && a < 1e15 ? 16 : 15, same_double);
}

size_t num_format_float(char dst[32], float v) {
    size_t n = format_special(dst, (double)v);
    double a = fabs((double)v);
    if (n == 0 && a >= 1e-7) n = format_short(dst, v < 0, a, same_float);
    return n ? n : format_long(dst, v < 0, a, 1, same_float);
}
