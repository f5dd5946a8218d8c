/* test_tok_word - the word tokenizer against Keras' own results (tests/ref/make_tok_word.py), its files, and its
 * failures. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "fault.h"
#include "feat/tok_word.h"
#include "simd/kern.h"

static json_doc *fixture;
static const json_value *texts, *small;

static const json_value *member(const char *key) { return json_get(json_root(fixture), key); }
static const char *text_at(const json_value *array, size_t i, size_t *n) {
    *n = json_string_len(json_index(array, i));
    return json_string(json_index(array, i));
}

static int load(void **state) {
    (void)state;
    char *data;
    size_t n;
    souk_error e = {0};
    if (fs_read_all(SOUK_SOURCE_DIR "/tests/ref/tok_word.json", 1 << 24, &data, &n, &e) != SOUK_OK)
        fail_msg("%s", e.message);
    if (json_parse(&fixture, data, n, 0, &e) != SOUK_OK) fail_msg("%s", e.message);
    mem_free(data);
    texts = member("texts");
    small = member("small");
    return 0;
}

static int unload(void **state) {
    (void)state;
    json_free(fixture);
    assert_int_equal(mem_live(), 0);
    return 0;
}

/* ---- helpers ---- */

static uint64_t fnv(uint64_t h, const void *bytes, size_t n) {
    const unsigned char *p = bytes;
    for (size_t i = 0; i < n; i++) h = (h ^ p[i]) * UINT64_C(0x100000001b3);
    return h;
}
static const uint64_t fnv_start = UINT64_C(0xcbf29ce484222325);

static void assert_hash(const char *what, const char *name, uint64_t got, const json_value *expected) {
    char text[17];
    snprintf(text, sizeof text, "%016llx", (unsigned long long)got);
    if (strcmp(text, json_string(expected)) != 0)
        fail_msg("%s of \"%s\": %s, Keras %s", what, name, text, json_string(expected));
}

static int64_t int_of(const json_value *v) {
    int64_t i = 0;
    assert_true(json_int(v, &i));
    return i;
}

static souk_error failure;
/* `expression` fills the `err` made here. */
#define OK(expression)                                                              \
    do {                                                                            \
        souk_error *err = &failure;                                                 \
        err_clear(err);                                                             \
        if ((expression) != SOUK_OK) fail_msg("%s: %s", #expression, err->message); \
    } while (0)

static tok_word_options options_of(const json_value *o) {
    tok_word_options r = tok_word_options_default();
    bool b;
    if (json_get(o, "num_words")) r.num_words = int_of(json_get(o, "num_words"));
    if (json_bool(json_get(o, "lower"), &b)) r.lower = b;
    if (json_bool(json_get(o, "char_level"), &b)) r.char_level = b;
    r.oov_token = json_string(json_get(o, "oov_token"));
    r.filters = json_string(json_get(o, "filters"));
    if (json_get(o, "split")) r.split = json_string(json_get(o, "split"));
    return r;
}

static tok_word *fitted(const tok_word_options *o, size_t stop_at) {
    tok_word *t;
    OK(tok_word_new(&t, o, err));
    for (size_t i = 0, n; i < json_length(texts); i++) {
        const char *text = text_at(texts, i, &n);
        if (i == stop_at) OK(tok_word_finish(t, err));
        OK(tok_word_fit(t, text, n, err));
    }
    OK(tok_word_finish(t, err));
    return t;
}

static void encode(const tok_word *t, const json_value *from, size_t i, tok_ids *ids) {
    size_t n;
    const char *text = text_at(from, i, &n);
    ids->n = 0;
    OK(tok_word_encode(t, text, n, ids, err));
}

static void assert_ids(const char *name, const tok_ids *ids, const json_value *expected) {
    if ((size_t)ids->n != json_length(expected))
        fail_msg("%s: %lld ids, Keras %zu", name, (long long)ids->n, json_length(expected));
    for (int64_t k = 0; k < ids->n; k++) assert_int_equal(ids->id[k], int_of(json_index(expected, (size_t)k)));
}

/* ---- against Keras ---- */

static void check_ids(const json_value *set, const tok_word *t) {
    const char *name = json_string(json_get(set, "name"));
    uint64_t hash = fnv_start, decoded = fnv_start;
    int64_t total = 0, largest = 0;
    tok_ids ids = {0};
    buf words;
    buf_init(&words, 0);
    for (size_t i = 0; i < json_length(texts); i++) {
        encode(t, texts, i, &ids);
        int32_t count = (int32_t)ids.n;
        hash = fnv(fnv(hash, &count, sizeof count), ids.id, (size_t)ids.n * sizeof *ids.id);
        total += ids.n;
        for (int64_t k = 0; k < ids.n; k++) largest = ids.id[k] > largest ? ids.id[k] : largest;
        if (i) decoded = fnv(decoded, "\n", 1);
        buf_reset(&words);
        OK(tok_word_decode(t, ids.id, ids.n, &words, err));
        decoded = fnv(decoded, words.data, words.len);
    }
    const json_value *samples = json_get(set, "samples");
    for (size_t k = 0; k < json_length(samples); k++) {
        encode(t, texts, (size_t)int_of(json_index(json_index(samples, k), 0)), &ids);
        assert_ids(name, &ids, json_index(json_index(samples, k), 1));
    }
    assert_int_equal(total, int_of(json_get(set, "n_ids")));
    assert_int_equal(largest, int_of(json_get(set, "largest")));
    assert_true(tok_word_vocabulary(t) > largest);
    assert_hash("ids", name, hash, json_get(set, "ids"));
    assert_hash("sequences_to_texts", name, decoded, json_get(set, "texts"));
    tok_ids_clear(&ids);
    buf_clear(&words);
}

static void check_pads(const json_value *set, const tok_word *t) {
    const json_value *pads = json_get(set, "pads");
    tok_ids ids = {0};
    int32_t row[64];
    for (size_t k = 0; k < json_length(pads); k++) {
        const json_value *pad = json_index(pads, k);
        pad_options o = {.maxlen = int_of(json_index(pad, 0)),
                         .post_padding = !strcmp(json_string(json_index(pad, 1)), "post"),
                         .post_truncating = !strcmp(json_string(json_index(pad, 2)), "post"),
                         .value = (int32_t)int_of(json_index(pad, 3))};
        uint64_t hash = fnv_start;
        for (size_t i = 0; i < json_length(texts); i++) {
            encode(t, texts, i, &ids);
            pad_sequence(&o, ids.id, ids.n, row);
            hash = fnv(hash, row, (size_t)o.maxlen * sizeof *row);
        }
        assert_hash("pad_sequences", json_string(json_get(set, "name")), hash, json_index(pad, 4));
    }
    tok_ids_clear(&ids);
}

static void check_matrices(const json_value *set, const tok_word *t) {
    static const char *const modes[] = {"binary", "count", "freq", "tfidf"};
    const json_value *all = json_get(set, "matrices");
    for (size_t k = 0; k < json_length(all); k++) {
        const json_value *m = json_index(all, k), *cells = json_index(m, 3);
        int mode = 0;
        while (strcmp(modes[mode], json_string(json_index(m, 0))) != 0) mode++;
        int64_t width = tok_word_matrix_width(t);
        assert_int_equal(width, int_of(json_index(m, 2)));
        double *row = mem_array((size_t)width, sizeof *row);
        size_t n, next = 0;
        const char *text = text_at(texts, (size_t)int_of(json_index(m, 1)), &n);
        OK(tok_word_matrix(t, text, n, (tok_matrix)mode, row, err));
        for (int64_t j = 0; j < width; j++) {
            double expected = 0;
            if (next < json_length(cells) && int_of(json_index(json_index(cells, next), 0)) == j)
                assert_true(json_number(json_index(json_index(cells, next++), 1), &expected));
            double tolerance = mode == TOK_TFIDF ? 1e-14 * fabs(expected) : 0;
            if (!(fabs(row[j] - expected) <= tolerance))
                fail_msg("%s, column %lld: %.17g, Keras %.17g", modes[mode], (long long)j, row[j], expected);
        }
        assert_int_equal(next, json_length(cells));
        mem_free(row);
    }
}

/* The file has Keras' bytes; what is read back from it encodes the same and writes the same. */
static void check_file(const json_value *set, const tok_word *t) {
    const char *name = json_string(json_get(set, "name"));
    buf json, again;
    buf_init(&json, 0);
    buf_init(&again, 0);
    OK(tok_word_to_json(t, &json, err));
    assert_hash("to_json", name, fnv(fnv_start, json.data, json.len), json_get(set, "json"));
    tok_word *copy;
    OK(tok_word_from_json(&copy, json.data, json.len, err));
    check_ids(set, copy);
    OK(tok_word_to_json(copy, &again, err));
    assert_int_equal(json.len, again.len);
    assert_memory_equal(json.data, again.data, json.len);
    tok_word_free(copy);
    buf_clear(&json);
    buf_clear(&again);
}

static void equals_keras(void **state) {
    (void)state;
    const json_value *sets = member("sets");
    assert_true(json_length(texts) >= 1000 && json_length(sets) >= 20);
    for (size_t k = 0; k < json_length(sets); k++) {
        const json_value *set = json_index(sets, k);
        tok_word_options o = options_of(json_get(set, "options"));
        bool twice = strcmp(json_string(json_get(set, "name")), "twice") == 0;
        tok_word *t = fitted(&o, twice ? 500 : SIZE_MAX);
        assert_int_equal(tok_word_documents(t), int_of(json_get(set, "documents")));
        check_ids(set, t);
        check_pads(set, t);
        check_matrices(set, t);
        check_file(set, t);
        tok_word_free(t);
    }
}

/* Every instruction set splits alike: the fixture's hashes again, under each. */
static void every_level(void **state) {
    (void)state;
    kern_init();
    kern_isa before = kern_current();
    const json_value *sets = member("sets");
    for (kern_isa isa = KERN_C; isa <= KERN_AVX512; isa++) {
        if (!kern_use(isa)) continue;
        for (size_t k = 0; k < json_length(sets); k += 2) {
            tok_word_options o = options_of(json_get(json_index(sets, k), "options"));
            tok_word *t = fitted(&o, SIZE_MAX);
            check_ids(json_index(sets, k), t);
            tok_word_free(t);
        }
    }
    kern_use(before);
}

/* ---- files of users ---- */

static void reads_files(void **state) {
    (void)state;
    const json_value *files = member("files");
    tok_ids ids = {0};
    for (size_t k = 0; k < json_length(files); k++) {
        const json_value *file = json_index(files, k), *json = json_get(file, "json");
        tok_word *t;
        OK(tok_word_from_json(&t, json_string(json), json_string_len(json), err));
        for (size_t i = 0; i < json_length(small); i++) {
            encode(t, small, i, &ids);
            assert_ids(json_string(json_get(file, "name")), &ids, json_index(json_get(file, "ids"), i));
            buf words;
            buf_init(&words, 0);
            OK(tok_word_decode(t, ids.id, ids.n, &words, err));
            size_t n;
            const char *expected = text_at(json_get(file, "texts"), i, &n);
            assert_int_equal(words.len, n);
            if (n) assert_memory_equal(words.data, expected, n);
            buf_clear(&words);
        }
        tok_word_free(t);
    }
    tok_ids_clear(&ids);
}

static const json_value *file_named(const char *name) {
    for (size_t i = 0; i < json_length(member("files")); i++) {
        const json_value *file = json_index(member("files"), i);
        if (strcmp(json_string(json_get(file, "name")), name) == 0) return json_get(file, "json");
    }
    fail_msg("no file \"%s\" in the fixture", name);
    return NULL;
}

static void fits_on_after_reading(void **state) {
    (void)state;
    tok_ids ids = {0};
    for (size_t k = 0; k < json_length(member("refits")); k++) {
        const json_value *refit = json_index(member("refits"), k), *expected = json_get(refit, "ids"),
                         *json = file_named(json_string(json_get(refit, "name")));
        const char *text = json_string(json_get(refit, "text"));
        tok_word *t;
        OK(tok_word_from_json(&t, json_string(json), json_string_len(json), err));
        OK(tok_word_fit(t, text, strlen(text), err));
        OK(tok_word_finish(t, err));
        for (size_t i = 0; i < json_length(small); i++) {
            encode(t, small, i, &ids);
            assert_ids(json_string(json_get(refit, "name")), &ids, json_index(expected, i));
        }
        ids.n = 0;
        OK(tok_word_encode(t, "new words", 9, &ids, err));
        assert_ids("new words", &ids, json_index(expected, json_length(small)));
        tok_word_free(t);
    }
    tok_ids_clear(&ids);
}

#define CONFIG(dictionaries)                                                                    \
    "{\"class_name\":\"Tokenizer\",\"config\":{\"num_words\":null,\"lower\":true,\"split\":\" " \
    "\",\"filters\":\"\"," dictionaries "}}"
#define DICTIONARIES(counts, docs, idocs, iword, windex)                                                             \
    "\"word_counts\":\"" counts "\",\"word_docs\":\"" docs "\",\"index_docs\":\"" idocs "\",\"index_word\":\"" iword \
    "\",\"word_index\":\"" windex "\""

static void refuses_files(void **state) {
    (void)state;
    static const struct {
        const char *json, *says;
    } cases[] = {
        {"", "line 1"},
        {"[]", "\"config\""},
        {"{\"class_name\":\"TextVectorization\",\"config\":{}}", "Keras' word tokenizer"},
        {"{\"config\":{}}", "word_counts"},
        {CONFIG(DICTIONARIES("[1]", "{}", "{}", "{}", "{}")), "an object was expected"},
        {CONFIG(DICTIONARIES("{\\\"a\\\": 0}", "{}", "{}", "{}", "{}")), "count that no text can give"},
        {CONFIG(DICTIONARIES("{\\\"a\\\": 1, \\\"a\\\": 1}", "{}", "{}", "{}", "{}")), "twice"},
        {CONFIG(DICTIONARIES("{\\\"a\\\": 1.5}", "{}", "{}", "{}", "{}")), "comma"},
        {CONFIG(DICTIONARIES("{\\\"a\\\": x}", "{}", "{}", "{}", "{}")), "integer"},
        {CONFIG(DICTIONARIES("{\\\"a\\\": 1} {", "{}", "{}", "{}", "{}")), "more behind"},
        {CONFIG(DICTIONARIES("{\\\"\\\\ud800\\\": 1}", "{}", "{}", "{}", "{}")), "surrogate"},
        {CONFIG(DICTIONARIES("{\\\"\\\\u12g4\\\": 1}", "{}", "{}", "{}", "{}")), "hexadecimal"},
        {CONFIG(DICTIONARIES("{\\\"a", "{}", "{}", "{}", "{}")), "ends inside"},
        {CONFIG(DICTIONARIES("{}", "{}", "{}", "{}", "{\\\"a\\\": 2000000000}")), "without large gaps"},
        {CONFIG(DICTIONARIES("{}", "{}", "{}", "{}", "{\\\"a\\\": -1}")), "outside"},
        {CONFIG(DICTIONARIES("{}", "{}", "{}", "{\\\"x\\\": \\\"a\\\"}", "{}")), "is not an integer"},
        {CONFIG("\"oov_token\":\"<O>\"," DICTIONARIES("{\\\"a\\\": 1}", "{}", "{}", "{}", "{\\\"a\\\": 1}")),
         "oov_token"},
        {CONFIG("\"document_count\":-3," DICTIONARIES("{}", "{}", "{}", "{}", "{}")), "document_count"},
        {CONFIG("\"char_level\":7," DICTIONARIES("{}", "{}", "{}", "{}", "{}")), "char_level"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tok_word *t = (tok_word *)1;
        souk_error e = {0};
        souk_status status = tok_word_from_json(&t, cases[i].json, strlen(cases[i].json), &e);
        if (status != SOUK_INPUT || t || !strstr(e.message, cases[i].says))
            fail_msg("case %zu (%s): status %d, %s", i, cases[i].json, (int)status, e.message);
    }
}

/* ---- options, misuse ---- */

static void wants_numbers_first(void **state) {
    (void)state;
    tok_word_options o = tok_word_options_default();
    tok_word *t;
    tok_ids ids = {0};
    buf out;
    buf_init(&out, 0);
    souk_error e = {0};
    OK(tok_word_new(&t, &o, err));
    assert_int_equal(tok_word_encode(t, "a", 1, &ids, &e), SOUK_USAGE);
    assert_non_null(strstr(e.message, "fit"));
    OK(tok_word_fit(t, "a", 1, err));
    assert_int_equal(tok_word_to_json(t, &out, NULL), SOUK_USAGE);
    size_t len;
    assert_null(tok_word_word(t, 1, &len));
    OK(tok_word_finish(t, err));
    assert_memory_equal(tok_word_word(t, 1, &len), "a", 1);
    assert_null(tok_word_word(t, 0, &len));
    assert_null(tok_word_word(t, 2, &len));
    tok_word_free(t);
    tok_word_free(NULL);
}

static void refuses_options(void **state) {
    (void)state;
    tok_word *t;
    souk_error e = {0};
    tok_word_options o = tok_word_options_default();
    o.split = "";
    assert_int_equal(tok_word_new(&t, &o, &e), SOUK_INPUT);
    assert_non_null(strstr(e.message, "split"));
    o.char_level = true;
    OK(tok_word_new(&t, &o, err));
    tok_word_free(t);
    o.num_words = -1;
    assert_int_equal(tok_word_new(&t, &o, NULL), SOUK_INPUT);
}

static void mends_crlf_on_request(void **state) {
    (void)state;
    tok_word_options o = tok_word_options_default();
    tok_ids ids = {0};
    for (int fix = 0; fix < 2; fix++) {
        tok_word *t;
        o.fix_crlf = fix == 1;
        OK(tok_word_new(&t, &o, err));
        OK(tok_word_fit(t, "one\r\ntwo one\r\n", 14, err));
        OK(tok_word_finish(t, err));
        ids.n = 0;
        OK(tok_word_encode(t, "one", 3, &ids, err));
        assert_int_equal(ids.n, fix); /* "one\r" is another word */
        tok_word_free(t);
    }
    tok_ids_clear(&ids);
}

/* The largest index that encoding gives is below the number of rows, also where Keras' own rule goes beyond num_words.
 */
static void counts_rows(void **state) {
    (void)state;
    static const struct {
        int64_t num_words;
        const char *oov;
        int64_t rows;
    } cases[] = {{0, NULL, 4}, {2, NULL, 2}, {100, NULL, 4}, {0, "?", 5},
                 {3, "?", 3},  {1, "?", 2},  {2, "c", 5},    {1, NULL, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tok_word_options o = tok_word_options_default();
        o.num_words = cases[i].num_words;
        o.oov_token = cases[i].oov;
        tok_word *t;
        OK(tok_word_new(&t, &o, err));
        OK(tok_word_fit(t, "a a a b b c", 11, err));
        OK(tok_word_finish(t, err));
        assert_int_equal(tok_word_vocabulary(t), cases[i].rows);
        tok_word_free(t);
    }
}

/* Encoding allocates nothing once its buffers have grown. */
static void encodes_without_allocating(void **state) {
    (void)state;
    tok_word_options o = tok_word_options_default();
    tok_word *t = fitted(&o, SIZE_MAX);
    tok_ids ids = {0};
    for (int round = 0; round < 2; round++) {
        int64_t calls = mem_calls();
        for (size_t i = 0; i < json_length(texts); i++) encode(t, texts, i, &ids);
        if (round == 1) assert_int_equal(mem_calls(), calls);
    }
    tok_ids_clear(&ids);
    tok_word_free(t);
}

/* ---- failing allocations ---- */

static souk_status whole_life(void *context, souk_error *err) {
    (void)context;
    souk_status status = SOUK_OK;
    tok_word *t = NULL;
    tok_ids ids = {0};
    buf json;
    buf_init(&json, 0);
    tok_word_options o = tok_word_options_default();
    o.oov_token = "<OOV>";
    double row[2048];
    TRY_DONE(tok_word_new(&t, &o, err));
    for (size_t i = 0, n; i < 60; i++) {
        const char *text = text_at(texts, i * 20, &n);
        TRY_DONE(tok_word_fit(t, text, n, err));
    }
    TRY_DONE(tok_word_fit(t,
                          "\xc3\x9c"
                          "ber alles",
                          11, err));
    TRY_DONE(tok_word_finish(t, err));
    TRY_DONE(tok_word_encode(t,
                             "\xc3\x9c"
                             "ber alles the movie",
                             21, &ids, err));
    TRY_DONE(tok_word_to_json(t, &json, err));
    assert_true(tok_word_matrix_width(t) <= 2048);
    TRY_DONE(tok_word_matrix(t, "the movie", 9, TOK_TFIDF, row, err));
    buf_reset(&json);
    TRY_DONE(tok_word_decode(t, ids.id, ids.n, &json, err));
done:
    tok_word_free(t);
    tok_ids_clear(&ids);
    buf_clear(&json);
    return status;
}

typedef struct stored {
    const char *text;
    size_t n;
} stored;
static souk_status read_file(void *context, souk_error *err) {
    const stored *s = context;
    tok_word *t;
    souk_status status = tok_word_from_json(&t, s->text, s->n, err);
    tok_word_free(t);
    return status;
}

static void survives_faults(void **state) {
    (void)state;
    for (size_t k = 0; k < json_length(member("files")); k++) {
        const json_value *json = json_get(json_index(member("files"), k), "json");
        stored s = {json_string(json), json_string_len(json)};
        fault_loop_alloc("tok_word_from_json", read_file, NULL, &s);
    }
    fault_loop_alloc("tok_word", whole_life, NULL, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_keras),    cmocka_unit_test(every_level),
        cmocka_unit_test(reads_files),     cmocka_unit_test(fits_on_after_reading),
        cmocka_unit_test(refuses_files),   cmocka_unit_test(wants_numbers_first),
        cmocka_unit_test(refuses_options), cmocka_unit_test(mends_crlf_on_request),
        cmocka_unit_test(counts_rows),     cmocka_unit_test(encodes_without_allocating),
        cmocka_unit_test(survives_faults),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
