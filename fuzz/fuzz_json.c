/* fuzz_json - JSON from strangers: no crash, and what was read can be written and read again as the same document.
 *
 * The mutator works on tokens, because single bytes nearly always die at the first bracket: it inserts tokens, wraps a
 * value, repeats one (duplicate keys, deep nesting) or drops one, and leaves a third of the turns to libFuzzer. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void copy_value(json_writer *w, const json_value *v) {
    int64_t i;
    double d;
    bool b;
    void *it = NULL;
    const char *key;
    const json_value *child;
    switch (json_kind(v)) {
    case JSON_KIND_NULL: json_put_null(w); break;
    case JSON_KIND_BOOL: json_put_bool(w, json_bool(v, &b) && b); break;
    case JSON_KIND_INT: json_put_int(w, json_int(v, &i) ? i : 0); break;
    case JSON_KIND_REAL: json_put_double(w, json_number(v, &d) ? d : 0); break;
    case JSON_KIND_STRING: json_put_string_n(w, json_string(v), json_string_len(v)); break;
    case JSON_KIND_ARRAY:
        json_array(w);
        for (size_t k = 0; k < json_length(v); k++) copy_value(w, json_index(v, k));
        json_end_array(w);
        break;
    case JSON_KIND_OBJECT:
        json_object(w);
        while (json_next(v, &it, &key, &child)) {
            json_key(w, key);
            copy_value(w, child);
        }
        json_end_object(w);
        break;
    }
}

/* The document as text; NULL when it could not be written. Caller frees with buf_clear. */
static void write_document(buf *out, const json_doc *d) {
    json_writer w;
    buf_init(out, 0);
    json_begin(&w, out, false);
    copy_value(&w, json_root(d));
    assert(buf_status(out, "writing", NULL) == SOUK_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    json_doc *first, *second;
    souk_error err = {0};
    if (json_parse(&first, (const char *)data, size, 32, &err) != SOUK_OK) {
        assert(err.message[0] && err.line >= 1);
        return 0;
    }
    buf a, b;
    write_document(&a, first);
    assert(json_parse(&second, a.data, a.len, 32, NULL) == SOUK_OK);
    write_document(&b, second);
    assert(a.len == b.len && memcmp(a.data, b.data, a.len) == 0);
    buf_clear(&a);
    buf_clear(&b);
    json_free(first);
    json_free(second);
    return 0;
}

/* ---- the mutator ---- */

static const char *const tokens[] = {"{",
                                     "}",
                                     "[",
                                     "]",
                                     ",",
                                     ":",
                                     "\"a\":",
                                     "\"a\":1,",
                                     "null",
                                     "true",
                                     "-0",
                                     "1e308",
                                     "9223372036854775807",
                                     "0.1",
                                     "\"\"",
                                     "\"\\u0000\"",
                                     "\"\\ud83d\\ude00\"",
                                     "\"\\\"\"",
                                     "[[[[",
                                     "{\"k\":[1,2]}",
                                     "\xEF\xBB\xBF",
                                     "\n"};

/* End of the token that starts at `at`: a string, a word or number, or one character. */
static size_t token_end(const uint8_t *data, size_t size, size_t at) {
    size_t end = at + 1;
    if (data[at] == '"') {
        while (end < size && data[end] != '"') end += data[end] == '\\' ? 2 : 1;
        return end < size ? end + 1 : size;
    }
    if (strchr("{}[],:", data[at])) return end;
    while (end < size && !strchr("{}[],:\" \n", data[end])) end++;
    return end;
}

static size_t insert(uint8_t *data, size_t size, size_t max_size, size_t at, const void *bytes, size_t n) {
    if (size + n > max_size) return size;
    memmove(data + at + n, data + at, size - at);
    memcpy(data + at, bytes, n);
    return size + n;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed) {
    unsigned r = seed * 2654435761u;
    if (size == 0 || r % 3 == 0) return LLVMFuzzerMutate(data, size, max_size);
    size_t target = (r >> 8) % size, at = 0, end = token_end(data, size, 0);
    while (end <= target) {
        at = end;
        end = token_end(data, size, at);
    }
    uint8_t copy[256];
    size_t n = end - at < sizeof copy ? end - at : sizeof copy;
    memcpy(copy, data + at, n);
    const char *token = tokens[(r >> 4) % (sizeof tokens / sizeof tokens[0])];
    switch (r % 4) {
    case 0: return insert(data, size, max_size, at, token, strlen(token));
    case 1: return insert(data, size, max_size, end, copy, n);
    case 2: memmove(data + at, data + end, size - end); return size - (end - at);
    default: size = insert(data, size, max_size, end, "]", 1); return insert(data, size, max_size, at, "[", 1);
    }
}
