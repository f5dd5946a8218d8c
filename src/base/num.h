/* num - numbers to text and back, the same in every locale.
 *
 * Parsing is exact: the result is the double nearest to the decimal text (ties to even). Grammar: an optional sign,
 * digits with an optional point, an optional exponent; nothing before or behind. "nan", "inf" and hexadecimal are not
 * numbers here: whoever wants them as missing values asks first. */
#ifndef SOUK_BASE_NUM_H
#define SOUK_BASE_NUM_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* False: not a number as above, over 1,000 bytes long, or too large for a double (a tiny one becomes 0 or a denormal).
 */
bool num_parse_double(const char *s, size_t n, double *out);
/* An optional sign and digits. False: anything else, or outside int64. */
bool num_parse_int64(const char *s, size_t n, int64_t *out);

/* Decimal digits of v, NUL added; returns the length. dst holds 24. */
size_t num_format_int64(char dst[24], int64_t v);
/* Shortest decimal text that reads back to the same double, laid out as Python's repr without the ".0": "0.1", "1e-05",
 * "1e+16", "12", "-0", "nan", "-inf". NUL added; returns the length. dst holds 32. */
size_t num_format_double(char dst[32], double v);
/* The same for a value that was computed in fp32: shortest text whose nearest double, rounded to float, is v. Whole
 * numbers below 1e15 are written in full. */
size_t num_format_float(char dst[32], float v);

/* vsnprintf in the C locale, whatever the program has set: a decimal point is a point. */
int num_vformat(char *dst, size_t capacity, const char *format, va_list args) __attribute__((format(printf, 3, 0)));

#endif
