/* fuzz_jsonl - JSON Lines from strangers: the promises of fuzz_table.h, and line by line the judgement of json.h: what
 * it accepts we accept (but for NUL characters), with the same keys and strings; what we accept it accepts too, but for
 * keys twice below the top and numbers beyond a double, which stay text here.
 *
 * Byte 0: bit 0 tiny fields, bit 1 every row may be bad; byte 1: how many bytes arrive at a time. */
#include "fuzz_table.h"

#include "base/json.h"
#include "base/utf8.h"
#include "data/jsonl.h"

static void same_strings(const jsonl_scan *s, const batch *b, const json_value *object) {
    void *it = NULL;
    const char *key;
    const json_value *v;
    int keys = 0;
    while (json_next(object, &it, &key, &v)) {
        bool found = false;
        for (int k = 0; k < s->n_columns && !found; k++) {
            size_t n;
            const char *p = jsonl_column(s, k, &n);
            found = n == strlen(key) && memcmp(p, key, n) == 0;
            if (!found || json_kind(v) != JSON_KIND_STRING) continue;
            require((b->cells[k].len & CELL_LENGTH) == json_string_len(v));
            require(memcmp(cell_bytes(b, b->cells + k), json_string(v), json_string_len(v)) == 0);
        }
        require(found);
        keys++;
    }
    require(keys == s->n_columns);
}

static void one_line(const char *line, size_t n) {
    jsonl_scan s;
    batch b;
    size_t pos = 0;
    json_doc *doc = NULL;
    souk_error err = {0};
    if (!utf8_valid(line, n)) return;
    char *text = mem_calloc(n + 64, 1);
    memcpy(text, line, n);
    batch_init(&b);
    require(jsonl_init(&s, 1 << 20, 1 << 20, false, NULL) == SOUK_OK);
    require(jsonl_discover(&s, text, n, true, NULL) == SOUK_OK);
    batch_reset(&b, text, s.n_columns);
    require(jsonl_rows(&s, text, n, true, 1, &b, &pos, NULL) == SOUK_OK);
    bool object = json_parse(&doc, text, n, 0, &err) == SOUK_OK && json_kind(json_root(doc)) == JSON_KIND_OBJECT;
    bool ours = b.n == 1 && b.rows[0].fault == ROW_GOOD;
    if (object && !ours)
        require(memmem(line, n, "\\u0000", 6) != NULL);
    else if (object) {
        same_strings(&s, &b, json_root(doc));
    } else if (ours)
        require(strstr(err.message, "duplicate") || strstr(err.message, "twice") || strstr(err.message, "big") ||
                strstr(err.message, "overflow"));
    json_free(doc);
    jsonl_clear(&s);
    batch_clear(&b);
    mem_free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2) return 0;
    table_options o = table_options_default();
    o.format = TABLE_JSONL;
    if (data[0] & 1) o.max_field = 16;
    if (data[0] & 2) o.max_bad = 1;
    check_table(data + 2, size - 2, &o, 1 + data[1] % 67, 1 + data[1] / 16);
    const char *p = (const char *)data + 2, *end = (const char *)data + size;
    while (p < end) {
        const char *lf = memchr(p, '\n', (size_t)(end - p)), *stop = lf ? lf : end;
        if (!memchr(p, 0, (size_t)(stop - p))) one_line(p, (size_t)(stop - p));
        p = stop + 1;
    }
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed) {
    static const char *const tokens[] = {"{",
                                         "}",
                                         "[",
                                         "]",
                                         "\"",
                                         "\\\"",
                                         ":",
                                         ",",
                                         "\n",
                                         "\r\n",
                                         " ",
                                         "null",
                                         "true",
                                         "false",
                                         "1",
                                         "-0.5e3",
                                         "1e999",
                                         "\"a\":",
                                         "\"b\": \"x\",",
                                         "\\u0041",
                                         "\\ud83d\\ude00",
                                         "\\ud800",
                                         "\\u0000",
                                         "\\\\",
                                         "{\"a\":1}\n",
                                         "{\"a\":[1,{\"k\":\"]\"}]}\n",
                                         "\xef\xbb\xbf",
                                         "\xc3\xa9",
                                         "\xff",
                                         "123456789012345678901",
                                         "[[[["};
    return mutate_rows(data, size, max_size, seed, 2, tokens, sizeof tokens / sizeof *tokens);
}
