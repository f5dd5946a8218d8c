/* fuzz_csv - delimited text, spaces, lines, compressed files and filters from strangers.
 *
 * Byte 0 chooses the form (bits 0-2: automatic, CSV, TSV, space, JSON Lines, lines; 8: no header, 16: tiny fields, 32:
 * decimal comma, 64: the first line of the rest is a --where, 128: every row may be bad), byte 1 how many bytes arrive
 * at a time. */
#include "fuzz_table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2) return 0;
    table_options o = table_options_default();
    uint8_t form = data[0], step = data[1];
    char *filter = NULL;
    o.format = (table_format)((form & 7) % 6);
    if (form & 8) o.header = 0;
    if (form & 16) o.max_field = 16;
    if (form & 32) o.decimal = ',';
    if (form & 128) o.max_bad = 1;
    data += 2;
    size -= 2;
    if (form & 64) {
        const uint8_t *lf = memchr(data, '\n', size);
        if (lf) {
            filter = mem_strndup((const char *)data, (size_t)(lf - data));
            size -= (size_t)(lf - data) + 1;
            data = lf + 1;
            o.where = filter;
        }
    }
    check_table(data, size, &o, 1 + step % 67, 1 + step / 16);
    mem_free(filter);
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed) {
    static const char *const tokens[] = {"\"",
                                         "\"\"",
                                         ",",
                                         ";",
                                         "\t",
                                         "|",
                                         "\n",
                                         "\r\n",
                                         "\r",
                                         "\n\n",
                                         " ",
                                         "\xef\xbb\xbf",
                                         "\"\n\"",
                                         "\",\"",
                                         "\"\r\n",
                                         "NA",
                                         "1.5",
                                         "-2e3",
                                         "1,5",
                                         "2026-11-24",
                                         "99999999999999999999",
                                         "\xc3\xa9",
                                         "\xff",
                                         "\xed\xa0\x80",
                                         "a,b\n",
                                         "c1",
                                         " and ",
                                         " or not ",
                                         "(",
                                         ")",
                                         " in (1,'x')",
                                         " is null",
                                         "= 'it''s'",
                                         "`a`",
                                         "\"a\nb\",c\n",
                                         "\"a\"b\"c,"};
    return mutate_rows(data, size, max_size, seed, 2, tokens, sizeof tokens / sizeof *tokens);
}
