/* tok_word_use - what else Keras' Tokenizer offers once it is fitted: words of indices, texts of sequences, matrices.
 *
 * Equal to sequences_to_texts and sequences_to_matrix; the logarithms of tf-idf are our own (base/dmath), so that last
 * bits may differ from numpy's. Nothing here changes the tokenizer. */
#include <string.h>

#include "base/dmath.h"
#include "base/mem.h"
#include "feat/tok_word_impl.h"

const char *tok_word_word(const tok_word *t, int64_t index, size_t *len) {
    if (!t->numbered || index < 0 || index >= t->n_index || t->by_index[index] == TOK_NO_ENTRY) return NULL;
    return vocab_text(&t->words, t->by_index[index], len);
}

souk_status tok_word_decode(const tok_word *t, const int32_t *ids, int64_t n, buf *out, souk_error *err) {
    TRY(tok_need_numbers(t, err));
    int32_t oov = tok_oov_index(t);
    bool first = true;
    for (int64_t i = 0; i < n; i++) {
        size_t len = 0;
        const char *word = tok_word_word(t, ids[i], &len);
        bool kept = word && (t->num_words == 0 || ids[i] < t->num_words);
        if (!kept) word = oov == TOK_NO_INDEX ? NULL : tok_word_word(t, oov, &len);
        if (!word) continue;
        if (!first) buf_char(out, ' ');
        buf_add(out, word, len);
        first = false;
    }
    return buf_status(out, "turning indices into text", err);
}

int64_t tok_word_matrix_width(const tok_word *t) { return t->num_words > 0 ? t->num_words : t->n_listed + 1; }

static double cell(const tok_word *t, int64_t index, double count, int64_t n, tok_matrix mode) {
    switch (mode) {
    case TOK_BINARY: return 1;
    case TOK_COUNT: return count;
    case TOK_FREQ: return count / (double)n;
    case TOK_TFIDF: break;
    }
    double docs = index < t->n_index ? (double)t->index_docs[index] : 0;
    return (1 + dmath_log(count)) * dmath_log(1 + (double)t->documents / (1 + docs));
}

souk_status tok_word_matrix(const tok_word *t, const char *text, size_t n, tok_matrix mode, double *row,
                            souk_error *err) {
    if (mode == TOK_TFIDF && t->documents == 0)
        return err_set(err, SOUK_USAGE, "tf-idf needs document counts: fit the tokenizer on texts first");
    int64_t width = tok_word_matrix_width(t);
    tok_ids ids = {0};
    souk_status status = tok_word_encode(t, text, n, &ids, err);
    if (status != SOUK_OK) goto done;
    memset(row, 0, (size_t)width * sizeof *row);
    for (int64_t i = 0; i < ids.n; i++)
        if (ids.id[i] < width) row[ids.id[i]] += 1;
    for (int64_t j = 0; j < width; j++)
        if (row[j] > 0) row[j] = cell(t, j, row[j], ids.n, mode);
done:
    tok_ids_clear(&ids);
    return status;
}
