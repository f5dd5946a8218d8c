/* tok_word_json - the file that Keras users have on disk: Tokenizer.to_json and tokenizer_from_json.
 *
 * {"class_name": "Tokenizer", "config": {"num_words": …, …, "word_counts": "{\"the\": 12, …}", …}}: the dictionaries
 * are JSON strings inside the JSON. Written as Python's json.dumps does it (", " and ": ", ASCII only, \uXXXX in lower
 * case). Read with suspicion, but as Keras reads it: dictionaries that a user has edited (word_index cut short, "<pad>"
 * at 0) need not agree with each other, and each is taken at its word.
 *
 * Leaves to others: the outer JSON (base/json), the inner (tok_flat), numbering (tok_word). */
#include <math.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/utf8.h"
#include "feat/tok_flat.h"
#include "feat/tok_word_impl.h"

/* ---- writing ---- */

static void put_unit(buf *out, uint32_t unit) {
    static const char digit[] = "0123456789abcdef";
    char text[6] = {'\\', 'u', digit[unit >> 12 & 15], digit[unit >> 8 & 15], digit[unit >> 4 & 15], digit[unit & 15]};
    buf_add(out, text, sizeof text);
}

static void put_escaped(buf *out, const char *s, size_t n) {
    for (size_t i = 0; i < n;) {
        size_t plain = i;
        while (plain < n && s[plain] >= ' ' && s[plain] <= '~' && s[plain] != '"' && s[plain] != '\\') plain++;
        buf_add(out, s + i, plain - i);
        i = plain;
        if (i == n) break;
        uint32_t point;
        i += utf8_decode(s + i, n - i, &point);
        static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
        const char *hit = point > 0 && point < 128 ? strchr(from, (int)point) : NULL;
        if (hit) {
            buf_char(out, '\\');
            buf_char(out, to[hit - from]);
        } else if (point < 0x10000) {
            put_unit(out, point);
        } else {
            put_unit(out, 0xD800 + ((point - 0x10000) >> 10));
            put_unit(out, 0xDC00 + ((point - 0x10000) & 0x3FF));
        }
    }
}

static void put_string(buf *out, const char *s, size_t n) {
    buf_char(out, '"');
    put_escaped(out, s, n);
    buf_char(out, '"');
}

/* One member of a dictionary: the key a word or an integer, the value likewise; exactly one of them is the word. */
static void put_word_int(buf *out, const tok_word *t, int64_t entry, int64_t value) {
    size_t len;
    const char *word = vocab_text(&t->words, entry, &len);
    buf_str(out, out->len > 1 ? ", " : "");
    put_string(out, word, len);
    buf_printf(out, ": %lld", (long long)value);
}

static void put_int_word(buf *out, const tok_word *t, int64_t index) {
    size_t len;
    const char *word = vocab_text(&t->words, t->by_index[index], &len);
    buf_printf(out, "%s\"%lld\": ", out->len > 1 ? ", " : "", (long long)index);
    put_string(out, word, len);
}

static void dump_counts(buf *out, const tok_word *t) {
    for (int64_t k = 0; k < t->n_order; k++) put_word_int(out, t, t->order[k], t->stat[t->order[k]].count);
}

/* In the order of word_counts; words that only an edited file has here follow. */
static void dump_docs(buf *out, const tok_word *t) {
    for (int64_t k = 0; k < t->n_order; k++)
        if (t->stat[t->order[k]].docs > 0) put_word_int(out, t, t->order[k], t->stat[t->order[k]].docs);
    for (int64_t e = 0; e < t->words.n; e++)
        if (t->stat[e].count == 0 && t->stat[e].docs > 0) put_word_int(out, t, e, t->stat[e].docs);
}

static void dump_index_docs(buf *out, const tok_word *t) {
    for (int64_t i = 0; i < t->n_index; i++)
        if (t->index_docs[i] > 0)
            buf_printf(out, "%s\"%lld\": %lld", out->len > 1 ? ", " : "", (long long)i, (long long)t->index_docs[i]);
}

/* Keras inverts word_index, so its order comes first; indices that a user has given otherwise follow, ascending. */
static void dump_index_word(buf *out, const tok_word *t) {
    for (int64_t k = 0; k < t->n_listed; k++) {
        int32_t e = t->listed[k];
        if (t->index[e] < t->n_index && t->by_index[t->index[e]] == e) put_int_word(out, t, t->index[e]);
    }
    for (int64_t i = 0; i < t->n_index; i++)
        if (t->by_index[i] != TOK_NO_ENTRY && t->index[t->by_index[i]] != i) put_int_word(out, t, i);
}

static void dump_word_index(buf *out, const tok_word *t) {
    for (int64_t k = 0; k < t->n_listed; k++) put_word_int(out, t, t->listed[k], t->index[t->listed[k]]);
}

static const char *const dictionaries[] = {"word_counts", "word_docs", "index_docs", "index_word", "word_index"};

static void dump(buf *out, const tok_word *t, int which) {
    buf_char(out, '{');
    switch (which) {
    case 0: dump_counts(out, t); break;
    case 1: dump_docs(out, t); break;
    case 2: dump_index_docs(out, t); break;
    case 3: dump_index_word(out, t); break;
    default: dump_word_index(out, t); break;
    }
    buf_char(out, '}');
}

souk_status tok_word_to_json(const tok_word *t, buf *out, souk_error *err) {
    TRY(tok_need_numbers(t, err));
    buf_str(out, "{\"class_name\": \"Tokenizer\", \"config\": {\"num_words\": ");
    if (t->num_words)
        buf_printf(out, "%lld", (long long)t->num_words);
    else
        buf_str(out, "null");
    buf_str(out, ", \"filters\": ");
    put_string(out, t->filters, t->n_filters);
    buf_printf(out, ", \"lower\": %s, \"split\": ", t->rules.lower ? "true" : "false");
    put_string(out, t->rules.split, t->rules.split_len);
    buf_printf(out, ", \"char_level\": %s, \"oov_token\": ", t->rules.char_level ? "true" : "false");
    if (t->oov_token)
        put_string(out, t->oov_token, t->n_oov_token);
    else
        buf_str(out, "null");
    buf_printf(out, ", \"document_count\": %lld", (long long)t->documents);
    buf inner;
    buf_init(&inner, 0);
    for (int i = 0; i < 5; i++) {
        buf_reset(&inner);
        dump(&inner, t, i);
        if (inner.status != SOUK_OK) break;
        buf_printf(out, ", \"%s\": ", dictionaries[i]);
        put_string(out, inner.data, inner.len);
    }
    souk_status status = buf_status(&inner, "writing a tokenizer", err);
    buf_clear(&inner);
    TRY(status);
    buf_str(out, "}}");
    return buf_status(out, "writing a tokenizer", err);
}

/* ---- reading ---- */

static souk_status bad(souk_error *err, const char *name, const char *what) {
    return err_set(err, SOUK_INPUT, "tokenizer JSON: \"%s\" %s", name, what);
}

static souk_status get_bool(const json_value *config, const char *name, bool *out, souk_error *err) {
    const json_value *v = json_get(config, name);
    int64_t i;
    if (!v || json_bool(v, out)) return SOUK_OK;
    if (!json_int(v, &i) || (i != 0 && i != 1)) return bad(err, name, "is neither true nor false");
    *out = i == 1;
    return SOUK_OK;
}

/* A string or, where `fallback` allows it, nothing. */
static souk_status get_string(const json_value *config, const char *name, bool nullable, const char **out, size_t *n,
                              souk_error *err) {
    const json_value *v = json_get(config, name);
    if (!v || (nullable && json_kind(v) == JSON_KIND_NULL)) {
        *n = *out ? strlen(*out) : 0;
        return SOUK_OK;
    }
    if (json_kind(v) != JSON_KIND_STRING) return bad(err, name, "is not a text");
    *out = json_string(v);
    *n = json_string_len(v);
    return SOUK_OK;
}

/* Keras compares an index with num_words, which may be 1e4 as well as 10000; null and 0 mean all. */
static souk_status get_num_words(const json_value *config, int64_t *out, souk_error *err) {
    const json_value *v = json_get(config, "num_words");
    double d;
    *out = 0;
    if (json_kind(v) == JSON_KIND_NULL) return SOUK_OK;
    if (!json_number(v, &d) || !(d >= 0 && d <= 9e15))
        return bad(err, "num_words", "is not a number of words: give 0 or more, or null for all");
    *out = (int64_t)ceil(d);
    return SOUK_OK;
}

static souk_status check_class(const json_value *root, souk_error *err) {
    const json_value *name = json_get(root, "class_name");
    if (json_kind(json_get(root, "config")) != JSON_KIND_OBJECT)
        return err_set(
            err, SOUK_INPUT,
            "tokenizer JSON: there is no \"config\": the file should be what Keras' Tokenizer.to_json() returns");
    if (name && (!json_string(name) || strcmp(json_string(name), "Tokenizer") != 0))
        return bad(err, "class_name", "is not \"Tokenizer\": only Keras' word tokenizer can be read here");
    return SOUK_OK;
}

/* Reads the options and makes an empty tokenizer of them. */
static souk_status make_from_config(tok_word **out, const json_value *config, souk_error *err) {
    tok_word_options o = tok_word_options_default();
    tok_word *plain = NULL;
    size_t n_filters = 0, n_split = 0, n_oov = 0;
    int64_t documents = 0;
    const json_value *count = json_get(config, "document_count");
    TRY(get_num_words(config, &o.num_words, err));
    TRY(get_bool(config, "lower", &o.lower, err));
    TRY(get_bool(config, "char_level", &o.char_level, err));
    TRY(get_string(config, "split", false, &o.split, &n_split, err));
    TRY(get_string(config, "oov_token", true, &o.oov_token, &n_oov, err));
    TRY(get_string(config, "filters", false, &o.filters, &n_filters, err));
    if (count && (!json_int(count, &documents) || documents < 0 || documents >= INT32_MAX))
        return bad(err, "document_count", "is not a number of texts");
    if (o.filters)
        TRY(tok_word_make(&plain, &o, n_filters, n_split, n_oov, err));
    else
        TRY(tok_word_new(&plain, &o, err));
    plain->documents = documents;
    *out = plain;
    return SOUK_OK;
}

typedef souk_status (*member_fn)(tok_word *t, tok_flat *f, souk_error *err);

static souk_status each_member(tok_word *t, const json_value *config, const char *name, member_fn member,
                               souk_error *err) {
    const json_value *v = json_get(config, name);
    if (json_kind(v) != JSON_KIND_STRING)
        return bad(
            err, name,
            "is missing, or not a text with JSON in it: the file should be what Keras' Tokenizer.to_json() returns");
    tok_flat f;
    bool more = false;
    souk_status status = tok_flat_begin(&f, json_string(v), json_string_len(v), name, err);
    while (status == SOUK_OK) {
        TRY_DONE(tok_flat_next(&f, &more, err));
        if (!more) break;
        TRY_DONE(member(t, &f, err));
    }
done:
    tok_flat_clear(&f);
    return status;
}

/* What a member gets wrong, with its key cut to a length that fits. */
static souk_status bad_member(const tok_flat *f, souk_error *err, const char *what) {
    int shown = (int)utf8_valid_prefix(f->key.data, f->key.len < 60 ? f->key.len : 60);
    return err_set(err, SOUK_INPUT, "tokenizer JSON: \"%s\": \"%.*s\" %s", f->what, shown, f->key.data, what);
}

static souk_status entry_of_key(tok_word *t, const buf *word, int64_t *entry, souk_error *err) {
    if (word->len > UINT32_MAX) return err_set(err, SOUK_INPUT, "tokenizer JSON: a word is longer than 4 GiB");
    vocab_key key = vocab_key_of(word->data, (uint32_t)word->len);
    *entry = tok_entry(t, &key);
    return *entry < 0 ? err_nomem(err, "reading a tokenizer") : SOUK_OK;
}

static souk_status read_count(tok_word *t, tok_flat *f, souk_error *err) {
    int64_t e, count;
    TRY(entry_of_key(t, &f->key, &e, err));
    TRY(tok_flat_int(f, &count, err));
    if (count <= 0 || count > INT64_MAX / 2) return bad_member(f, err, "has a count that no text can give");
    if (t->stat[e].count != 0) return bad_member(f, err, "is there twice");
    t->stat[e].count = count;
    return tok_order_add(t, e) ? SOUK_OK : err_nomem(err, "reading a tokenizer");
}

static souk_status read_docs(tok_word *t, tok_flat *f, souk_error *err) {
    int64_t e, docs;
    TRY(entry_of_key(t, &f->key, &e, err));
    TRY(tok_flat_int(f, &docs, err));
    if (docs <= 0 || docs >= INT32_MAX) return bad_member(f, err, "has a number of texts that cannot be");
    if (t->stat[e].docs != 0) return bad_member(f, err, "is there twice");
    t->stat[e].docs = (uint32_t)docs;
    return SOUK_OK;
}

/* First pass over the numbered dictionaries: entries and the largest number (in n_index, plus 1), so that arrays can be
 * sized. */
static souk_status grow_index(tok_word *t, const tok_flat *f, int64_t index, souk_error *err) {
    if (index < 0 || index >= INT32_MAX) return bad_member(f, err, "has a number outside 0 … 2,147,483,646");
    if (index >= t->n_index) t->n_index = index + 1;
    return SOUK_OK;
}

static souk_status key_index(const tok_flat *f, int64_t *index, souk_error *err) {
    return num_parse_int64(f->key.data, f->key.len, index) ? SOUK_OK : bad_member(f, err, "is not an integer");
}

static souk_status size_word_index(tok_word *t, tok_flat *f, souk_error *err) {
    int64_t e, index;
    TRY(entry_of_key(t, &f->key, &e, err));
    TRY(tok_flat_int(f, &index, err));
    return grow_index(t, f, index, err);
}

static souk_status size_index_word(tok_word *t, tok_flat *f, souk_error *err) {
    int64_t e, index;
    TRY(key_index(f, &index, err));
    TRY(tok_flat_string(f, err));
    TRY(entry_of_key(t, &f->text, &e, err));
    return grow_index(t, f, index, err);
}

static souk_status size_index_docs(tok_word *t, tok_flat *f, souk_error *err) {
    int64_t docs, index;
    TRY(key_index(f, &index, err));
    TRY(tok_flat_int(f, &docs, err));
    return docs < 0 ? bad_member(f, err, "has a number of texts that cannot be") : grow_index(t, f, index, err);
}

/* Second pass: the arrays are there, and no number lies outside them. */
static souk_status read_index(tok_word *t, tok_flat *f, souk_error *err) {
    int64_t e, index;
    TRY(entry_of_key(t, &f->key, &e, err));
    TRY(tok_flat_int(f, &index, err));
    if (t->index[e] != TOK_NO_INDEX) return bad_member(f, err, "is there twice");
    t->index[e] = (int32_t)index;
    t->listed[t->n_listed++] = (int32_t)e;
    return SOUK_OK;
}

static souk_status read_by_index(tok_word *t, tok_flat *f, souk_error *err) {
    int64_t e, index;
    TRY(key_index(f, &index, err));
    TRY(tok_flat_string(f, err));
    TRY(entry_of_key(t, &f->text, &e, err));
    if (t->by_index[index] != TOK_NO_ENTRY) return bad_member(f, err, "is there twice");
    t->by_index[index] = (int32_t)e;
    return SOUK_OK;
}

static souk_status read_index_docs(tok_word *t, tok_flat *f, souk_error *err) {
    int64_t index;
    TRY(key_index(f, &index, err));
    return tok_flat_int(f, &t->index_docs[index], err);
}

static souk_status read_dictionaries(tok_word *t, const json_value *config, souk_error *err) {
    TRY(each_member(t, config, "word_counts", read_count, err));
    TRY(each_member(t, config, "word_docs", read_docs, err));
    TRY(each_member(t, config, "word_index", size_word_index, err));
    TRY(each_member(t, config, "index_word", size_index_word, err));
    TRY(each_member(t, config, "index_docs", size_index_docs, err));
    /* a user's numbering may be sparse, but a small file must not ask for arrays as large as it likes */
    if (t->n_index > 16 * t->words.n + 65536)
        return err_set(err, SOUK_INPUT,
                       "tokenizer JSON: %lld words are numbered up to %lld: renumber them without large gaps",
                       (long long)t->words.n, (long long)t->n_index - 1);
    TRY(tok_numbers_alloc(t, t->n_index, err));
    TRY(each_member(t, config, "word_index", read_index, err));
    TRY(each_member(t, config, "index_word", read_by_index, err));
    TRY(each_member(t, config, "index_docs", read_index_docs, err));
    if (t->n_listed == 0 && t->n_order == 0) return SOUK_OK; /* saved before any fit: it still wants one */
    if (t->oov_token && tok_oov_index(t) == TOK_NO_INDEX)
        return bad(err, "oov_token", "has no number in \"word_index\": add one, or set oov_token to null");
    tok_emit_update(t);
    t->numbered = true;
    return SOUK_OK;
}

souk_status tok_word_from_json(tok_word **out, const char *json, size_t n, souk_error *err) {
    json_doc *doc = NULL;
    tok_word *t = NULL;
    *out = NULL;
    TRY(json_parse(&doc, json, n, 8, err));
    const json_value *root = json_root(doc);
    souk_status status = check_class(root, err);
    if (status == SOUK_OK) status = make_from_config(&t, json_get(root, "config"), err);
    if (status == SOUK_OK) status = read_dictionaries(t, json_get(root, "config"), err);
    json_free(doc);
    if (status == SOUK_OK)
        *out = t;
    else
        tok_word_free(t);
    return status;
}
