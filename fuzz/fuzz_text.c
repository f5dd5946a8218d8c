/* fuzz_text - numbers and UTF-8 from strangers, against slow definitions.
 *
 * A number that num_parse_double takes must be what strtod reads in the C locale, and must survive being printed and
 * read again; text is validated by the byte-wise decoder too, and lower-casing must give well-formed text.
 * The mutator builds numbers digit by digit in half of the turns: random bytes are no numbers. */
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "base/utf8.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_number(const char *s, size_t n) {
    double v, back;
    int64_t i;
    char text[1100];
    if (num_parse_int64(s, n, &i)) {
        size_t m = num_format_int64(text, i);
        int64_t again;
        assert(num_parse_int64(text, m, &again) && again == i);
    }
    if (!num_parse_double(s, n, &v)) return;
    memcpy(text, s, n);
    text[n] = '\0';
    double truth = strtod(text, NULL); /* a fuzz target runs in the C locale */
    assert(memcmp(&v, &truth, sizeof v) == 0 && isfinite(v));
    size_t m = num_format_double(text, v);
    assert(m < 32 && num_parse_double(text, m, &back) && memcmp(&v, &back, sizeof v) == 0);
}

static void check_text(const char *s, size_t n) {
    size_t valid = utf8_valid_prefix(s, n), at = 0;
    while (at < n) {
        uint32_t c;
        size_t length = utf8_decode(s + at, n - at, &c);
        if (length == 1 && (unsigned char)s[at] >= 0x80) break;
        at += length;
    }
    assert(at == valid);
    buf out;
    buf_init(&out, 0);
    utf8_lower(&out, s, n);
    assert(buf_status(&out, "lowering", NULL) == SOUK_OK && utf8_valid(out.data, out.len));
    (void)utf8_width(s, n);
    (void)utf8_count(s, n);
    buf_clear(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    check_number((const char *)data, size);
    check_text((const char *)data, size);
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed) {
    static const char characters[] = "0123456789000999.e-+";
    unsigned r = seed * 2654435761u + 1;
    if (r >> 31 || max_size < 8) return LLVMFuzzerMutate(data, size, max_size);
    size_t n = 1 + (r >> 8) % (max_size < 40 ? max_size : 40);
    for (size_t i = 0; i < n; i++) {
        r = r * 1664525u + 1013904223u;
        data[i] = (uint8_t)characters[(r >> 16) % (i % 7 ? 16 : 20)];
    }
    return n;
}
