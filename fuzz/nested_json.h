/* nested_json - a mutator for JSON that holds JSON in its strings, as Keras' tokenizer files do: it works on tokens of
 * both levels, so that what comes out still gets past the brackets. A third of the turns is left to libFuzzer. */
#ifndef SOUK_FUZZ_NESTED_JSON_H
#define SOUK_FUZZ_NESTED_JSON_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Values that matter: limits of counts and indices, escapes, repeated keys, options of the other kind. */
static const char *const nested_tokens[] = {"0",
                                            "1",
                                            "-1",
                                            "2",
                                            "7",
                                            "65536",
                                            "2147483646",
                                            "2147483647",
                                            "9223372036854775807",
                                            "1e4",
                                            "0.5",
                                            "null",
                                            "true",
                                            "[]",
                                            "\\\"a\\\": 1, ",
                                            "\\\"the\\\": 2, ",
                                            "\\\"1\\\": \\\"the\\\", ",
                                            "\\\"<OOV>\\\": 1, ",
                                            "\\\"0\\\": \\\"<pad>\\\", ",
                                            "\\\"3\\\": 5, ",
                                            "\\\\u0000",
                                            "\\\\ud83d\\\\ude00",
                                            "\\\\ud800",
                                            "\\\\\\\"",
                                            "\\\\\\\\",
                                            "\xc3\xa9",
                                            "{}",
                                            "{",
                                            "}",
                                            "\\\"\\\": 3, ",
                                            "\"num_words\": 3, ",
                                            "\"split\": \"ab\", ",
                                            "\"filters\": \"\\u00e9ab\", ",
                                            "\"char_level\": true, ",
                                            "\"oov_token\": \"the\", ",
                                            "\"<OOV>\"",
                                            "\"\"",
                                            "\"pre\"",
                                            "\"post\"",
                                            "\"text\"",
                                            "\"number\"",
                                            "\"category\"",
                                            "\"binary\"",
                                            "\"error\"",
                                            "\"log1p\"",
                                            "[\"a\",\"b\"]"};

static size_t nested_end(const uint8_t *data, size_t size, size_t at) {
    size_t end = at + 1;
    if (data[at] == '\\' && end < size && data[end] == '"') { /* a string of the inner level */
        for (end++; end + 1 < size && !(data[end] == '\\' && data[end + 1] == '"') && data[end] != '"';) end++;
        return end + 2 < size ? end + 2 : size;
    }
    if (data[at] == '"' || strchr("{}[],: ", data[at])) return end;
    while (end < size && !strchr("{}[],: \"\\", data[end])) end++;
    return end;
}

static size_t nested_replace(uint8_t *data, size_t size, size_t max_size, size_t at, size_t end, const void *bytes,
                             size_t n) {
    if (size - (end - at) + n > max_size) return size;
    memmove(data + at + n, data + end, size - end);
    memcpy(data + at, bytes, n);
    return size - (end - at) + n;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed) {
    unsigned r = seed * 2654435761u;
    if (size == 0 || r % 3 == 0) return LLVMFuzzerMutate(data, size, max_size);
    size_t target = (r >> 7) % size, at = 0, end = nested_end(data, size, 0);
    while (end <= target) {
        at = end;
        end = nested_end(data, size, at);
    }
    const char *token = nested_tokens[(r >> 3) % (sizeof nested_tokens / sizeof *nested_tokens)];
    uint8_t copy[512];
    size_t far = end, n;
    for (int i = 0; i < 5 && far < size; i++) far = nested_end(data, size, far); /* about a member of a dictionary */
    n = far - at < sizeof copy ? far - at : sizeof copy;
    memcpy(copy, data + at, n);
    switch (r % 4) {
    case 0: return nested_replace(data, size, max_size, at, end, token, strlen(token));
    case 1: return nested_replace(data, size, max_size, at, at, token, strlen(token));
    case 2: return nested_replace(data, size, max_size, at, far, "", 0);
    default: return nested_replace(data, size, max_size, at, at, copy, n);
    }
}

#endif
