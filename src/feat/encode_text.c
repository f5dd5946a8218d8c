/* encode_text - text and sequence columns: the word tokenizer fitted on training rows, then rows of exactly maxlen
 * indices.
 *
 * A missing cell is an empty text; it is not counted as a document. Without a maxlen the longest training row decides,
 * up to AUTO_MAXLEN: longer ones are rare and would cost every row their steps. The tokenizer is stored as Keras' own
 * JSON. */
#include <string.h>

#include "base/mem.h"
#include "feat/encoder.h"

enum { AUTO_MAXLEN = 512, MAX_MAXLEN = 1000000, MAX_PAD_VALUE = 1000000 };

static souk_status fit_tokenizer(tok_word *t, const cells *c, int64_t *texts, souk_error *err) {
    *texts = 0;
    for (int64_t i = 0; i < c->n; i++) {
        char scratch[CELL_SCRATCH];
        size_t len;
        if (cells_missing(c, i)) continue;
        const char *text = cells_text(c, i, scratch, &len);
        TRY(tok_word_fit(t, text, len, err));
        ++*texts;
    }
    return tok_word_finish(t, err);
}

static souk_status longest(const tok_word *t, const cells *c, int64_t *out, souk_error *err) {
    tok_ids ids = {0};
    souk_status status = SOUK_OK;
    *out = 1;
    for (int64_t i = 0; i < c->n && *out < AUTO_MAXLEN && status == SOUK_OK; i++) {
        char scratch[CELL_SCRATCH];
        size_t len;
        if (cells_missing(c, i)) continue;
        const char *text = cells_text(c, i, scratch, &len);
        ids.n = 0;
        status = tok_word_encode(t, text, len, &ids, err);
        if (ids.n > *out) *out = ids.n < AUTO_MAXLEN ? ids.n : AUTO_MAXLEN;
    }
    tok_ids_clear(&ids);
    return status;
}

souk_status text_fit(encoder *e, const cells *c, souk_error *err) {
    int64_t texts;
    if (e->output)
        return err_set(err, SOUK_UNSUPPORTED,
                       "%s: column \"%s\": a %s cannot be a target yet: use number, binary or category", c->source,
                       c->column->name, feature_type_name(e->config.type));
    if (e->config.pad.maxlen < 0 || e->config.pad.maxlen > MAX_MAXLEN)
        return err_set(err, SOUK_INPUT, "%s: column \"%s\": maxlen is %lld: give 1 to 1,000,000 steps", c->source,
                       c->column->name, (long long)e->config.pad.maxlen);
    if (e->config.pad.value < 0 || e->config.pad.value > MAX_PAD_VALUE)
        return err_set(err, SOUK_INPUT,
                       "%s: column \"%s\": the padding value is %d: it is an index of the embedding, 0 to 1,000,000",
                       c->source, c->column->name, (int)e->config.pad.value);
    TRY(tok_word_new(&e->tokenizer, &e->config.tokenizer, err));
    TRY(fit_tokenizer(e->tokenizer, c, &texts, err));
    if (texts == 0)
        return err_set(err, SOUK_INPUT, "%s: column \"%s\" is empty in all %lld rows: leave it out of input_features",
                       c->source, c->column->name, (long long)c->n);
    e->maxlen = e->config.pad.maxlen;
    return e->maxlen ? SOUK_OK : longest(e->tokenizer, c, &e->maxlen, err);
}

souk_status text_encode(const encoder *e, const cells *c, int32_t *out, souk_error *err) {
    pad_options pad = e->config.pad;
    pad.maxlen = e->maxlen;
    tok_ids ids = {0};
    souk_status status = SOUK_OK;
    for (int64_t i = 0; i < c->n && status == SOUK_OK; i++) {
        char scratch[CELL_SCRATCH];
        size_t len;
        ids.n = 0;
        if (!cells_missing(c, i)) {
            const char *text = cells_text(c, i, scratch, &len);
            status = tok_word_encode(e->tokenizer, text, len, &ids, err);
        } else if (e->config.missing == MISSING_ERROR) {
            status = cells_fault(c, i, err, "the cell is empty, and the model says missing_value: error");
        }
        if (status == SOUK_OK) pad_sequence(&pad, ids.id, ids.n, out + i * e->maxlen);
    }
    tok_ids_clear(&ids);
    return status;
}

souk_status text_to_json(const encoder *e, json_writer *w, souk_error *err) {
    buf json;
    buf_init(&json, 0);
    souk_status status = tok_word_to_json(e->tokenizer, &json, err);
    if (status == SOUK_OK) {
        json_key(w, "tokenizer");
        json_put_string_n(w, json.data, json.len);
        json_key(w, "maxlen");
        json_put_int(w, e->maxlen);
        json_key(w, "padding");
        json_put_string(w, e->config.pad.post_padding ? "post" : "pre");
        json_key(w, "truncating");
        json_put_string(w, e->config.pad.post_truncating ? "post" : "pre");
        json_key(w, "value");
        json_put_int(w, e->config.pad.value);
    }
    buf_clear(&json);
    return status;
}

static bool read_side(const json_value *v, bool *post) {
    const char *side = json_string(v);
    *post = side && strcmp(side, "post") == 0;
    return side && (*post || strcmp(side, "pre") == 0);
}

souk_status text_from_json(encoder *e, const json_value *v, souk_error *err) {
    const json_value *tokenizer = json_get(v, "tokenizer");
    int64_t value;
    if (json_kind(tokenizer) != JSON_KIND_STRING) return encoder_bad_json(e, "tokenizer", err);
    souk_status status = tok_word_from_json(&e->tokenizer, json_string(tokenizer), json_string_len(tokenizer), err);
    if (status != SOUK_OK) return status;
    e->config.tokenizer = tok_word_get_options(e->tokenizer);
    tok_ids none = {0};
    if (tok_word_encode(e->tokenizer, "", 0, &none, NULL) != SOUK_OK)
        return encoder_bad_json(e, "tokenizer", err); /* never fitted */
    if (!json_int(json_get(v, "maxlen"), &e->maxlen) || e->maxlen < 1 || e->maxlen > MAX_MAXLEN)
        return encoder_bad_json(e, "maxlen", err);
    e->config.pad.maxlen = e->maxlen;
    if (!read_side(json_get(v, "padding"), &e->config.pad.post_padding)) return encoder_bad_json(e, "padding", err);
    if (!read_side(json_get(v, "truncating"), &e->config.pad.post_truncating))
        return encoder_bad_json(e, "truncating", err);
    if (!json_int(json_get(v, "value"), &value) || value < 0 || value > MAX_PAD_VALUE)
        return encoder_bad_json(e, "value", err);
    e->config.pad.value = (int32_t)value;
    return SOUK_OK;
}
