/* tok_word_impl - the inside of a word tokenizer, shared by tok_word.c, tok_word_use.c and tok_word_json.c.
 *
 * It mirrors the dictionaries of Keras' Tokenizer, whose order matters: word_counts is `order` with the entries'
 * counts, word_index is `listed` with the entries' indices, index_word is `by_index`, index_docs is `index_docs`. */
#ifndef SOUK_FEAT_TOK_WORD_IMPL_H
#define SOUK_FEAT_TOK_WORD_IMPL_H

#include "feat/tok_split.h"
#include "feat/tok_word.h"
#include "feat/vocab.h"

enum { TOK_NO_INDEX = -1, TOK_NO_ENTRY = -1, TOK_DROP = -1 };

typedef struct tok_stat {
    int64_t count;    /* occurrences; 0: not in word_counts */
    uint32_t docs;    /* documents that hold it: at most INT32_MAX from a file and as many from fits */
    int32_t last_doc; /* number of the last of them, 1-based */
} tok_stat;

struct tok_word {
    tok_rules rules;
    char *filters, *oov_token; /* as given; oov_token NULL: none. Lengths beside them, since both may hold NUL */
    size_t n_filters, n_oov_token;
    int64_t num_words; /* 0: all */
    int64_t documents;
    bool numbered; /* false after a fit, until tok_word_finish */

    vocab words;    /* entries, in order of first mention; the OOV token is mentioned first */
    tok_stat *stat; /* [words.n] */
    size_t stat_capacity;
    int32_t *order; /* [n_order] entries in the order in which a text first held them */
    size_t order_capacity;
    int64_t n_order;

    int32_t *index;       /* [words.n] word_index, or TOK_NO_INDEX */
    int32_t *emit;        /* [words.n] what texts_to_sequences gives for it, or TOK_DROP */
    int32_t emit_unknown; /* … and for a word that is not here */
    int64_t n_numbered;   /* entries that index and emit were made for */
    int32_t *listed;      /* [n_listed] entries in word_index order */
    int64_t n_listed;
    int32_t *by_index;   /* [n_index] entry of an index, or TOK_NO_ENTRY */
    int64_t *index_docs; /* [n_index] documents that hold the word of an index; 0: not there */
    int64_t n_index;     /* largest index + 1 */
    buf scratch;         /* of fits */
};

/* Entry of a word whose VOCAB_PAD bytes behind are readable, made if it is new; -1: out of memory. */
int64_t tok_entry(tok_word *t, const vocab_key *key);
/* Entry of the OOV token or of any other unpadded string, made if new. */
int64_t tok_entry_of(tok_word *t, const char *word, size_t n);
/* Entry that word_index gives the OOV token's index to, or TOK_NO_INDEX: none, or no such word in word_index. */
int32_t tok_oov_index(const tok_word *t);
/* Appends an entry to `order`. */
bool tok_order_add(tok_word *t, int64_t entry);
/* Room for numbering: index, emit for all entries (index TOK_NO_INDEX), listed empty with room for all, by_index and
 * index_docs of n_index elements without a word. */
souk_status tok_numbers_alloc(tok_word *t, int64_t n_index, souk_error *err);
/* emit and emit_unknown from index, num_words and the OOV token. */
void tok_emit_update(tok_word *t);
/* SOUK_USAGE with what to do when the words have no numbers yet. */
souk_status tok_need_numbers(const tok_word *t, souk_error *err);
/* An empty tokenizer with lengths given, since strings of a file may hold NUL. */
souk_status tok_word_make(tok_word **out, const tok_word_options *o, size_t n_filters, size_t n_split, size_t n_oov,
                          souk_error *err);

#endif
