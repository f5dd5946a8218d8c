/* fuzz_tokjson - tokenizer files from strangers: no crash, bounded memory, and what was read encodes within its
 * vocabulary, can be fitted further, and is written so that reading it back and writing it again gives the same file.
 */
#include <assert.h>

#include "base/mem.h"
#include "feat/tok_word.h"
#include "nested_json.h"

static const char sample[] = "The cat, the \xc3\x89t\xc3\xa9 <OOV> ab\r\nx";

static void check_encoding(const tok_word *t, tok_ids *ids) {
    ids->n = 0;
    if (tok_word_encode(t, sample, sizeof sample - 1, ids, NULL) != SOUK_OK) return;
    for (int64_t i = 0; i < ids->n; i++) assert(ids->id[i] >= 0 && ids->id[i] < tok_word_vocabulary(t));
    buf words;
    buf_init(&words, 0);
    assert(tok_word_decode(t, ids->id, ids->n, &words, NULL) == SOUK_OK);
    buf_clear(&words);
}

static void check_writing(const tok_word *t) {
    buf first, second;
    tok_word *copy;
    souk_error err = {0};
    buf_init(&first, 0);
    buf_init(&second, 0);
    if (tok_word_to_json(t, &first, &err) == SOUK_OK) {
        assert(tok_word_from_json(&copy, first.data, first.len, &err) == SOUK_OK);
        assert(tok_word_to_json(copy, &second, &err) == SOUK_OK);
        assert(first.len == second.len && memcmp(first.data, second.data, first.len) == 0);
        tok_word_free(copy);
    }
    buf_clear(&first);
    buf_clear(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    tok_word *t;
    tok_ids ids = {0};
    souk_error err = {0};
    int64_t live = mem_live();
    if (tok_word_from_json(&t, (const char *)data, size, &err) != SOUK_OK) {
        assert(err.message[0]);
    } else {
        check_encoding(t, &ids);
        check_writing(t);
        if (tok_word_fit(t, sample, sizeof sample - 1, NULL) == SOUK_OK && tok_word_finish(t, NULL) == SOUK_OK)
            check_encoding(t, &ids);
        tok_word_free(t);
    }
    tok_ids_clear(&ids);
    assert(mem_live() == live);
    return 0;
}
