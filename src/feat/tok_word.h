/* tok_word - the Keras Tokenizer and pad_sequences, bit for bit.
 *
 * Its rules: lower-case, replace every filter character by `split`, split at `split`, drop what is empty; number the
 * words by count, descending, ties in order of first sight, from 1, or from 2 behind the OOV token; num_words applies
 * when encoding. */
#ifndef SOUK_FEAT_TOK_WORD_H
#define SOUK_FEAT_TOK_WORD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

typedef struct tok_word_options {
    int64_t num_words;     /* 0: all; n keeps indices < n */
    const char *filters;   /* NULL: Keras' default set; each code point is a filter */
    bool lower;            /* default true */
    const char *split;     /* default " "; may be several characters */
    bool char_level;       /* default false; true: every code point is a word, filters and split are ignored */
    const char *oov_token; /* NULL: none */
    bool fix_crlf;         /* adds CR to the filters; default false, as Keras: CR stays glued to the last word */
} tok_word_options;
tok_word_options tok_word_options_default(void);

typedef struct tok_word tok_word;
souk_status tok_word_new(tok_word **out, const tok_word_options *options, souk_error *err);
void tok_word_free(tok_word *t);
/* The options that t was made with; strings borrowed from it. fix_crlf has become a filter. */
tok_word_options tok_word_get_options(const tok_word *t);
/* Adds documents to the counts; may be called again (streaming). Text must be valid UTF-8. */
souk_status tok_word_fit(tok_word *t, const char *text, size_t n, souk_error *err);
/* Sorts and numbers the words; needed before encoding, which is SOUK_USAGE otherwise. */
souk_status tok_word_finish(tok_word *t, souk_error *err);
/* Appends the indices of one text to out, which grows and keeps its memory; start with tok_ids ids = {0}. Const and
 * thread-safe, each thread with its own tok_ids. */
typedef struct tok_ids {
    int32_t *id; /* [n] */
    int64_t n;
    size_t capacity;
    buf scratch; /* lower-cased copy of a text that is not ASCII */
} tok_ids;
void tok_ids_clear(tok_ids *ids);
souk_status tok_word_encode(const tok_word *t, const char *text, size_t n, tok_ids *out, souk_error *err);
/* Rows an embedding needs: the largest index that encoding can give, plus 1. That is min(num_words, words + 1), unless
 * the OOV token occurs in the texts: Keras then gives out its later index even where that reaches num_words. */
int64_t tok_word_vocabulary(const tok_word *t);
int64_t tok_word_documents(const tok_word *t);
/* Word of index i (1-based as in Keras), NULL: none. Not NUL-terminated. */
const char *tok_word_word(const tok_word *t, int64_t index, size_t *len);
/* sequences_to_texts for one sequence. */
souk_status tok_word_decode(const tok_word *t, const int32_t *ids, int64_t n, buf *out, souk_error *err);
/* texts_to_matrix for one text: row [tok_word_matrix_width], num_words or len(word_index) + 1. tf-idf is (1 + ln tf)
 * ln(1 + N / (1 + df)). */
int64_t tok_word_matrix_width(const tok_word *t);
typedef enum tok_matrix { TOK_BINARY, TOK_COUNT, TOK_FREQ, TOK_TFIDF } tok_matrix;
souk_status tok_word_matrix(const tok_word *t, const char *text, size_t n, tok_matrix mode, double *row,
                            souk_error *err);
/* Keras' to_json and tokenizer_from_json. What is written has Keras' bytes, but for the order inside word_docs and
 * index_docs, which follows Python's sets there and so changes from run to run; here it is the order of word_counts and
 * of the indices. */
souk_status tok_word_to_json(const tok_word *t, buf *out, souk_error *err);
souk_status tok_word_from_json(tok_word **out, const char *json, size_t n, souk_error *err);

typedef struct pad_options {
    int64_t maxlen;       /* > 0 (0 is refused: Keras would keep everything) */
    bool post_padding;    /* default false: "pre" */
    bool post_truncating; /* default false: "pre" */
    int32_t value;        /* default 0 */
} pad_options;
/* out [maxlen] */
void pad_sequence(const pad_options *o, const int32_t *ids, int64_t n, int32_t *out);

#endif
