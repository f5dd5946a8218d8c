/* tok_flat - the reader of flat JSON objects (tok_flat.h). Strict as RFC 8259, but for what cannot occur in a flat
 * object of integers and strings: anything else is an error with its byte.
 *
 * Leaves to others: what keys and values mean (tok_word_json). Input from strangers: every read is checked against
 * `end`. */
#include "feat/tok_flat.h"

#include <string.h>

#include "base/num.h"
#include "base/utf8.h"
#include "feat/vocab.h"

static souk_status fail(const tok_flat *f, souk_error *err, const char *what) {
    return err_at(err, SOUK_INPUT, -1, f->at - f->begin, "tokenizer JSON, \"%s\", byte %lld: %s", f->what,
                  (long long)(f->at - f->begin), what);
}

static void skip_space(tok_flat *f) {
    while (f->at < f->end && (*f->at == ' ' || *f->at == '\t' || *f->at == '\n' || *f->at == '\r')) f->at++;
}

static bool take(tok_flat *f, char c) {
    skip_space(f);
    if (f->at == f->end || *f->at != c) return false;
    f->at++;
    return true;
}

souk_status tok_flat_begin(tok_flat *f, const char *text, size_t n, const char *what, souk_error *err) {
    *f = (tok_flat){.begin = text, .at = text, .end = text + n, .what = what, .first = true};
    buf_init(&f->key, 0);
    buf_init(&f->text, 0);
    return take(f, '{')
               ? SOUK_OK
               : fail(f, err, "an object was expected: this is not a file written by Keras' Tokenizer.to_json");
}

void tok_flat_clear(tok_flat *f) {
    buf_clear(&f->key);
    buf_clear(&f->text);
}

/* Four hexadecimal digits. */
static bool hex4(tok_flat *f, uint32_t *out) {
    if (f->end - f->at < 4) return false;
    *out = 0;
    for (int i = 0; i < 4; i++) {
        unsigned char c = (unsigned char)*f->at++;
        unsigned lower = c | 0x20u;
        if (c >= '0' && c <= '9')
            *out = *out * 16 + (uint32_t)(c - '0');
        else if (lower >= 'a' && lower <= 'f')
            *out = *out * 16 + (uint32_t)(lower - 'a') + 10;
        else
            return false;
    }
    return true;
}

/* Behind "\u": a code point of one escape or of a pair of surrogates. */
static souk_status unicode_escape(tok_flat *f, buf *out, souk_error *err) {
    uint32_t point, low;
    char bytes[4];
    if (!hex4(f, &point)) return fail(f, err, "four hexadecimal digits were expected behind \\u");
    if (point >= 0xD800 && point <= 0xDFFF) {
        bool pair = point < 0xDC00 && f->end - f->at >= 6 && f->at[0] == '\\' && f->at[1] == 'u';
        if (pair) {
            f->at += 2;
            pair = hex4(f, &low) && low >= 0xDC00 && low <= 0xDFFF;
        }
        if (!pair)
            return fail(f, err,
                        "half of a surrogate pair is no character: the texts that the tokenizer was fitted on were not "
                        "valid Unicode");
        point = 0x10000 + ((point - 0xD800) << 10) + (low - 0xDC00);
    }
    buf_add(out, bytes, utf8_encode(point, bytes));
    return SOUK_OK;
}

static souk_status escape(tok_flat *f, buf *out, souk_error *err) {
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (f->at == f->end) return fail(f, err, "the text ends inside a string");
    char c = *f->at++;
    if (c == 'u') return unicode_escape(f, out, err);
    const char *hit = c ? strchr(from, c) : NULL;
    if (!hit) return fail(f, err, "an unknown escape in a string");
    buf_char(out, to[hit - from]);
    return SOUK_OK;
}

static souk_status string(tok_flat *f, buf *out, souk_error *err) {
    buf_reset(out);
    if (!take(f, '"')) return fail(f, err, "a string was expected");
    for (;;) {
        const char *start = f->at;
        while (f->at < f->end && *f->at != '"' && *f->at != '\\' && (unsigned char)*f->at >= 0x20) f->at++;
        buf_add(out, start, (size_t)(f->at - start));
        if (f->at == f->end) return fail(f, err, "the text ends inside a string");
        if ((unsigned char)*f->at < 0x20) return fail(f, err, "a control character inside a string");
        if (*f->at++ == '"') break;
        TRY(escape(f, out, err));
    }
    if (buf_reserve(out, VOCAB_PAD)) memset(out->data + out->len, 0, VOCAB_PAD);
    return buf_status(out, "reading a tokenizer", err);
}

souk_status tok_flat_next(tok_flat *f, bool *more, souk_error *err) {
    *more = false;
    if (take(f, '}')) {
        skip_space(f);
        return f->at == f->end ? SOUK_OK : fail(f, err, "there is more behind the object");
    }
    if (!f->first && !take(f, ',')) return fail(f, err, "a comma or } was expected");
    f->first = false;
    TRY(string(f, &f->key, err));
    if (!take(f, ':')) return fail(f, err, "a colon was expected");
    *more = true;
    return SOUK_OK;
}

souk_status tok_flat_int(tok_flat *f, int64_t *value, souk_error *err) {
    skip_space(f);
    const char *start = f->at, *end = start;
    if (end < f->end && *end == '-') end++;
    while (end < f->end && *end >= '0' && *end <= '9') end++;
    if (!num_parse_int64(start, (size_t)(end - start), value)) return fail(f, err, "an integer was expected");
    f->at = end;
    return SOUK_OK;
}

souk_status tok_flat_string(tok_flat *f, souk_error *err) { return string(f, &f->text, err); }
