/* fuzz_yaml - model files in YAML and JSON from strangers, with overrides: no crash, every refusal has words, and a
 * spec that was accepted is written as JSON and as YAML and read back as the same.
 *
 * An input that begins with a line "#set KEY=VALUE" also has that override applied. The mutator works on words: it puts
 * in keys of keys.def, their words and values, moves indentation, repeats and drops lines; a quarter of the turns is
 * libFuzzer's own. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/spec_keys.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition) {
    if (!condition) abort();
}

static void expect_same(const char *text, size_t n, const buf *canonical) {
    spec *s;
    buf b;
    souk_error err = {0};
    buf_init(&b, 0);
    require(spec_parse(&s, text, n, "again", NULL, &err) == SOUK_OK);
    require(spec_to_json(s, &b, &err) == SOUK_OK);
    require(b.len == canonical->len && memcmp(b.data, canonical->data, b.len) == 0);
    buf_clear(&b);
    spec_free(s);
}

static void check_spec(const spec *s) {
    buf json, yaml;
    souk_error err = {0};
    buf_init(&json, 0);
    buf_init(&yaml, 0);
    require(spec_to_json(s, &json, &err) == SOUK_OK && spec_to_yaml(s, NULL, &yaml, &err) == SOUK_OK);
    expect_same(json.data, json.len, &json);
    expect_same(yaml.data, yaml.len, &json);
    buf_clear(&json);
    buf_clear(&yaml);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *text = (const char *)data, *sets[2] = {NULL, NULL};
    char *set = NULL;
    spec *s;
    souk_error err = {0};
    const uint8_t *line = size > 5 && memcmp(data, "#set ", 5) == 0 ? memchr(data, '\n', size) : NULL;
    if (line) {
        set = mem_strndup(text + 5, (size_t)(line - data) - 5);
        sets[0] = set;
    }
    souk_status status = spec_parse(&s, text, size, "fuzz", sets, &err);
    mem_free(set);
    require((status == SOUK_OK) == (s != NULL) && (s || (err.message[0] && err.code == status)));
    if (s) check_spec(s);
    spec_free(s);
    require(mem_live() == 0);
    return 0;
}

/* ---- the mutator ---- */

typedef struct dice {
    uint64_t state;
} dice;

static uint32_t roll(dice *d, size_t n) {
    d->state = d->state * 6364136223846793005u + 1442695040888963407u;
    return n ? (uint32_t)((d->state >> 33) % n) : 0;
}

/* A key, a word of a list, or a value. */
static const char *word(dice *d) {
    static const char *const values[] = {"0",        "1",      "-1",
                                         "0.5",      "1e9",    "true",
                                         "false",    "null",   "no",
                                         "\"a: b\"", "[]",     "{}",
                                         "balanced", "[1, 2]", "{type: lstm}",
                                         "\n",       "\n  ",   "\n    ",
                                         ": ",       ", ",     "- ",
                                         "{",        "}",      "[",
                                         "]",        "#",      "&a ",
                                         "*a",       "!!str ", "|",
                                         ">",        "---",    "\"\\ud83d\\ude00\"",
                                         "'",        "\"",     "\xc3\xa9",
                                         "\xff"};
    const spec_row *row = spec_row_at(roll(d, spec_key_count()));
    if (roll(d, 3) == 0) return values[roll(d, sizeof values / sizeof *values)];
    if (!row->choices || roll(d, 2)) return row->name;
    size_t n = 0;
    while (row->choices[n].word) n++;
    return row->choices[roll(d, n)].word;
}

static size_t splice(uint8_t *data, size_t size, size_t max_size, size_t at, size_t length, const char *text,
                     size_t m) {
    if (at + length > size || size - length + m > max_size) return size;
    memmove(data + at + m, data + at + length, size - at - length);
    memcpy(data + at, text, m);
    return size - length + m;
}

static bool is_word(uint8_t c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.'; }

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed) {
    dice d = {seed};
    roll(&d, 1);
    if (size == 0 || roll(&d, 4) == 0) return LLVMFuzzerMutate(data, size, max_size);
    size_t at = roll(&d, size), end = at;
    const char *text = word(&d);
    char line[128];
    switch (roll(&d, 5)) {
    case 0: /* another word in place of one */
    case 1:
        while (at > 0 && is_word(data[at - 1])) at--;
        while (end < size && is_word(data[end])) end++;
        return splice(data, size, max_size, at, end - at, text, strlen(text));
    case 2: return splice(data, size, max_size, at, 0, text, strlen(text));
    default: /* a line, or what is behind a comma: dropped or repeated */
        while (at > 0 && data[at - 1] != '\n' && data[at - 1] != ',') at--;
        while (end < size && data[end] != '\n' && data[end] != ',') end++;
        if (end < size) end++;
        if (roll(&d, 2) || end - at > sizeof line) return splice(data, size, max_size, at, end - at, "", 0);
        memcpy(line, data + at, end - at);
        return splice(data, size, max_size, at, 0, line, end - at);
    }
}
