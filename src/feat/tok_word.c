/* tok_word - the word tokenizer: fit, numbering, encoding and padding, equal to Keras' Tokenizer and pad_sequences.
 *
 * The rules were read in keras/src/legacy/preprocessing/text.py. Words are counted in the order in which texts first
 * hold them and sorted by count, descending and stable; numbers start at 1, or at 2 behind the OOV token. An OOV token
 * that occurs in the texts is numbered twice there and keeps the later number, which may reach num_words and is given
 * out all the same: tok_word_vocabulary allows for it.
 *
 * Leaves to others: words (tok_split), their table (vocab), JSON (tok_word_json), matrices and texts (tok_word_use).
 * Invariant: index, emit, listed, by_index and index_docs belong to the state of the last finish. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "feat/tok_word_impl.h"
#include "simd/kern.h"

static const char *const default_filters = "!\"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n";

tok_word_options tok_word_options_default(void) {
    return (tok_word_options){.num_words = 0,
                              .filters = NULL,
                              .lower = true,
                              .split = " ",
                              .char_level = false,
                              .oov_token = NULL,
                              .fix_crlf = false};
}

/* The filters as kept: with a CR added where fix_crlf asks, so that a file written for Keras behaves the same there. */
static char *filters_of(const tok_word_options *o, size_t *n) {
    bool add = o->fix_crlf && !memchr(o->filters, '\r', *n);
    char *filters = mem_alloc(*n + 2);
    if (!filters) return NULL;
    memcpy(filters, o->filters, *n);
    if (add) filters[(*n)++] = '\r';
    filters[*n] = '\0';
    return filters;
}

souk_status tok_word_make(tok_word **out, const tok_word_options *o, size_t n_filters, size_t n_split, size_t n_oov,
                          souk_error *err) {
    souk_status status = SOUK_OK;
    *out = NULL;
    kern_init();
    if (o->num_words < 0)
        return err_set(err, SOUK_INPUT,
                       "num_words is %lld: give the number of words to keep, or leave it out to keep all",
                       (long long)o->num_words);
    tok_word *t = mem_calloc(1, sizeof *t);
    if (!t) return err_nomem(err, "making a tokenizer");
    t->num_words = o->num_words;
    t->n_filters = n_filters;
    t->filters = filters_of(o, &t->n_filters);
    if (o->oov_token) {
        t->oov_token = mem_strndup(o->oov_token, n_oov);
        t->n_oov_token = n_oov;
    }
    if (!t->filters || (o->oov_token && !t->oov_token)) {
        status = err_nomem(err, "making a tokenizer");
        goto done;
    }
    TRY_DONE(tok_rules_init(&t->rules, t->filters, t->n_filters, o->split, n_split, o->lower, o->char_level, err));
    TRY_DONE(vocab_init(&t->words, err));
    if (t->oov_token && tok_entry_of(t, t->oov_token, t->n_oov_token) < 0)
        status = err_nomem(err, "making a tokenizer");
done:
    if (status == SOUK_OK)
        *out = t;
    else
        tok_word_free(t);
    return status;
}

souk_status tok_word_new(tok_word **out, const tok_word_options *options, souk_error *err) {
    tok_word_options o = *options;
    if (!o.filters) o.filters = default_filters;
    if (!o.split) o.split = " ";
    return tok_word_make(out, &o, strlen(o.filters), strlen(o.split), o.oov_token ? strlen(o.oov_token) : 0, err);
}

void tok_word_free(tok_word *t) {
    if (!t) return;
    tok_rules_clear(&t->rules);
    vocab_clear(&t->words);
    mem_free(t->filters);
    mem_free(t->oov_token);
    mem_free(t->stat);
    mem_free(t->order);
    mem_free(t->index);
    mem_free(t->emit);
    mem_free(t->listed);
    mem_free(t->by_index);
    mem_free(t->index_docs);
    buf_clear(&t->scratch);
    mem_free(t);
}

tok_word_options tok_word_get_options(const tok_word *t) {
    return (tok_word_options){.num_words = t->num_words,
                              .filters = t->filters,
                              .lower = t->rules.lower,
                              .split = t->rules.split,
                              .char_level = t->rules.char_level,
                              .oov_token = t->oov_token};
}

/* ---- fit ---- */

int64_t tok_entry(tok_word *t, const vocab_key *key) {
    /* room in `stat` first: an entry without one must never exist */
    if (!mem_grow(&t->stat, &t->stat_capacity, (size_t)t->words.n, sizeof *t->stat)) return -1;
    int64_t before = t->words.n, e = vocab_put(&t->words, key);
    if (t->words.n > before) t->stat[e] = (tok_stat){0};
    return e;
}

int64_t tok_entry_of(tok_word *t, const char *word, size_t n) {
    if (n > UINT32_MAX) return -1;
    buf_reset(&t->scratch);
    if (!buf_reserve(&t->scratch, n + VOCAB_PAD)) return -1;
    memcpy(t->scratch.data, word, n);
    memset(t->scratch.data + n, 0, VOCAB_PAD);
    vocab_key key = vocab_key_of(t->scratch.data, (uint32_t)n);
    return tok_entry(t, &key);
}

bool tok_order_add(tok_word *t, int64_t entry) {
    if (!mem_grow(&t->order, &t->order_capacity, (size_t)t->n_order, sizeof *t->order)) return false;
    t->order[t->n_order++] = (int32_t)entry;
    return true;
}

/* Keys of up to KEYS words ahead, their slots on the way to the cache before the first is looked up. */
enum { KEYS = 32 };
static int prepare(const vocab *v, const tok_scan *s, int from, int n, vocab_key key[KEYS]) {
    int count = n - from < KEYS ? n - from : KEYS;
    const uint32_t *bound = s->bound + 2 * (ptrdiff_t)from;
    for (int i = 0; i < count; i++) {
        key[i] = vocab_key_of(s->base + bound[2 * i], bound[2 * i + 1] - bound[2 * i]);
        vocab_prefetch(v, &key[i]);
    }
    return count;
}

static bool count_words(tok_word *t, const tok_scan *s, int n) {
    vocab_key key[KEYS];
    int32_t doc = (int32_t)t->documents;
    for (int from = 0; from < n; from += KEYS) {
        int count = prepare(&t->words, s, from, n, key);
        for (int i = 0; i < count; i++) {
            int64_t e = vocab_find(&t->words, &key[i]);
            if (e < 0) e = tok_entry(t, &key[i]);
            if (e < 0) return false;
            tok_stat *stat = &t->stat[e];
            if (stat->count++ == 0 && !tok_order_add(t, e)) return false;
            stat->docs += stat->last_doc != doc;
            stat->last_doc = doc;
        }
    }
    return true;
}

souk_status tok_word_fit(tok_word *t, const char *text, size_t n, souk_error *err) {
    if (t->documents == INT32_MAX)
        return err_set(err, SOUK_REFUSED,
                       "the tokenizer has counted 2,147,483,647 texts and takes no more: fit it on a sample");
    t->numbered = false;
    t->documents++;
    tok_scan scan;
    TRY(tok_scan_begin(&scan, &t->rules, text, n, &t->scratch, err));
    for (int words; (words = tok_scan_next(&scan)) > 0;)
        if (!count_words(t, &scan, words)) return err_nomem(err, "counting words");
    return tok_scan_end(&scan, err);
}

/* ---- numbers ---- */

typedef struct rank {
    int64_t count, seen;
    int32_t entry;
} rank;

/* By count, descending; ties by first sight: a total order, so an unstable sort gives what a stable one would. */
static int compare_ranks(const void *a, const void *b) {
    const rank *x = a, *y = b;
    if (x->count != y->count) return x->count > y->count ? -1 : 1;
    return (x->seen > y->seen) - (x->seen < y->seen);
}

static bool renew(void *pointer_to_p, int64_t n, size_t size) {
    void *p;
    memcpy(&p, pointer_to_p, sizeof p); /* the caller's pointer has a type of its own: no void ** alias */
    mem_free(p);
    p = mem_array((size_t)n + 1, size);
    memcpy(pointer_to_p, &p, sizeof p);
    return p != NULL;
}

souk_status tok_numbers_alloc(tok_word *t, int64_t n_index, souk_error *err) {
    int64_t n = t->words.n;
    t->n_listed = t->n_numbered = t->n_index = 0;
    if (!renew(&t->index, n, sizeof *t->index) || !renew(&t->emit, n, sizeof *t->emit) ||
        !renew(&t->listed, n, sizeof *t->listed) || !renew(&t->by_index, n_index, sizeof *t->by_index) ||
        !renew(&t->index_docs, n_index, sizeof *t->index_docs))
        return err_nomem(err, "numbering words");
    t->n_numbered = n;
    t->n_index = n_index;
    for (int64_t e = 0; e < n; e++) t->index[e] = TOK_NO_INDEX;
    for (int64_t i = 0; i < n_index; i++) {
        t->by_index[i] = TOK_NO_ENTRY;
        t->index_docs[i] = 0;
    }
    return SOUK_OK;
}

int32_t tok_oov_index(const tok_word *t) {
    return t->oov_token ? t->index[0] : TOK_NO_INDEX; /* tok_word_make mentions the OOV token first */
}

void tok_emit_update(tok_word *t) {
    int32_t oov = tok_oov_index(t);
    t->emit_unknown = oov == TOK_NO_INDEX ? TOK_DROP : oov;
    for (int64_t e = 0; e < t->n_numbered; e++) {
        int32_t i = t->index[e];
        bool kept = i != TOK_NO_INDEX && (t->num_words == 0 || i < t->num_words);
        t->emit[e] = kept ? i : t->emit_unknown;
    }
}

souk_status tok_word_finish(tok_word *t, souk_error *err) {
    if (t->numbered) return SOUK_OK;
    rank *ranks = mem_array((size_t)t->n_order + 1, sizeof *ranks);
    if (!ranks) return err_nomem(err, "numbering words");
    for (int64_t k = 0; k < t->n_order; k++)
        ranks[k] = (rank){.count = t->stat[t->order[k]].count, .seen = k, .entry = t->order[k]};
    qsort(ranks, (size_t)t->n_order, sizeof *ranks, compare_ranks);

    int32_t next = t->oov_token ? 2 : 1;
    souk_status status = tok_numbers_alloc(t, t->n_order + next, err);
    if (status == SOUK_OK) {
        if (t->oov_token) {
            t->listed[t->n_listed++] = 0;
            t->index[0] = 1;
        }
        for (int64_t k = 0; k < t->n_order; k++) {
            int32_t e = ranks[k].entry;
            if (t->index[e] == TOK_NO_INDEX) t->listed[t->n_listed++] = e;
            t->index[e] = next++;
        }
        for (int64_t k = 0; k < t->n_listed; k++) t->by_index[t->index[t->listed[k]]] = t->listed[k];
        for (int64_t e = 0; e < t->words.n; e++)
            if (t->stat[e].docs > 0 && t->index[e] != TOK_NO_INDEX) t->index_docs[t->index[e]] = t->stat[e].docs;
        tok_emit_update(t);
        t->numbered = true;
    }
    mem_free(ranks);
    return status;
}

souk_status tok_need_numbers(const tok_word *t, souk_error *err) {
    if (t->numbered) return SOUK_OK;
    return err_set(err, SOUK_USAGE,
                   "the tokenizer's words have no numbers yet: fit it on texts, then finish it, before it encodes");
}

/* ---- encoding ---- */

void tok_ids_clear(tok_ids *ids) {
    mem_free(ids->id);
    buf_clear(&ids->scratch);
    *ids = (tok_ids){0};
}

static bool reserve_ids(tok_ids *ids, int n) {
    size_t need = (size_t)ids->n + (size_t)n;
    if (need <= ids->capacity) return true;
    size_t capacity = ids->capacity ? ids->capacity : 256;
    while (capacity < need)
        if (!size_mul(capacity, 2, &capacity)) return false;
    int32_t *id = mem_realloc(ids->id, capacity, sizeof *id);
    if (!id) return false;
    ids->id = id;
    ids->capacity = capacity;
    return true;
}

static void encode_words(const tok_word *t, const tok_scan *s, int n, tok_ids *out) {
    vocab_key key[KEYS];
    for (int from = 0; from < n; from += KEYS) {
        int count = prepare(&t->words, s, from, n, key);
        for (int i = 0; i < count; i++) {
            int64_t e = vocab_find(&t->words, &key[i]);
            int32_t id = e < 0 ? t->emit_unknown : t->emit[e];
            out->id[out->n] = id; /* room for all n is there; a dropped word is overwritten by the next */
            out->n += id != TOK_DROP;
        }
    }
}

souk_status tok_word_encode(const tok_word *t, const char *text, size_t n, tok_ids *out, souk_error *err) {
    TRY(tok_need_numbers(t, err));
    tok_scan scan;
    TRY(tok_scan_begin(&scan, &t->rules, text, n, &out->scratch, err));
    for (int words; (words = tok_scan_next(&scan)) > 0;) {
        if (!reserve_ids(out, words)) return err_nomem(err, "encoding a text");
        encode_words(t, &scan, words, out);
    }
    return tok_scan_end(&scan, err);
}

int64_t tok_word_vocabulary(const tok_word *t) {
    int64_t largest = t->numbered && t->emit_unknown > 0 ? t->emit_unknown : 0;
    for (int64_t e = 0; t->numbered && e < t->n_numbered; e++)
        if (t->emit[e] > largest) largest = t->emit[e];
    return largest + 1;
}

int64_t tok_word_documents(const tok_word *t) { return t->documents; }

void pad_sequence(const pad_options *o, const int32_t *ids, int64_t n, int32_t *out) {
    assert(o->maxlen > 0);
    int64_t kept = n < o->maxlen ? n : o->maxlen;
    const int32_t *from = ids + (o->post_truncating ? 0 : n - kept);
    int32_t *to = out + (o->post_padding ? 0 : o->maxlen - kept);
    if (kept > 0) memcpy(to, from, (size_t)kept * sizeof *out);
    int32_t *gap = o->post_padding ? out + kept : out;
    for (int64_t i = 0; i < o->maxlen - kept; i++) gap[i] = o->value;
}
