/* reject - the reject file (JSON Lines: file, line, reason, text) and the verdict.
 *
 * The file is written whole and renamed at the end, as every file of the library; it exists, empty, when all rows were
 * good, so that an old one never speaks for a new run.
 *
 * Invariant: lines come in the order of the source. */
#include "data/reject.h"

#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/num.h"
#include "base/utf8.h"

souk_status reject_open(reject_log *l, const char *path, souk_error *err) {
    *l = (reject_log){0};
    return path ? fs_create(&l->file, path, err) : SOUK_OK;
}

/* The first kilobyte, cut between characters. */
static size_t cut(const char *text, size_t n) {
    if (n <= REJECT_TEXT) return n;
    n = REJECT_TEXT;
    while (n > REJECT_TEXT - 3 && ((unsigned char)text[n] & 0xc0) == 0x80) n--;
    return n;
}

souk_status reject_add(reject_log *l, const char *file, int64_t line, const char *reason, const char *text, size_t n,
                       souk_error *err) {
    if (l->n++ == 0) {
        buf b;
        buf_init(&b, 0);
        buf_printf(&b, "%s:%lld: %s", file, (long long)line, reason);
        size_t len = b.len < sizeof l->first ? b.len : sizeof l->first - 1;
        if (b.data) {
            while (len > 0 && len < b.len && ((unsigned char)b.data[len] & 0xc0) == 0x80) len--;
            memcpy(l->first, b.data, len);
            l->first[len] = 0;
        }
        souk_status status = buf_status(&b, "noting a rejected row", err);
        buf_clear(&b);
        TRY(status);
    }
    if (!l->file) return SOUK_OK;
    buf b;
    buf_init(&b, 0);
    json_writer w;
    json_begin(&w, &b, false);
    json_object(&w);
    json_key(&w, "file");
    json_put_string(&w, file);
    json_key(&w, "line");
    json_put_int(&w, line);
    json_key(&w, "reason");
    json_put_string(&w, reason);
    json_key(&w, "text");
    json_put_string_n(&w, text, cut(text, n));
    json_end_object(&w);
    buf_char(&b, '\n');
    souk_status status = buf_status(&b, "writing the reject file", err);
    if (status == SOUK_OK) status = fs_write(l->file, b.data, b.len, err);
    buf_clear(&b);
    return status;
}

souk_status reject_commit(reject_log *l, souk_error *err) {
    fs_writer *file = l->file;
    l->file = NULL;
    return file ? fs_commit(file, err) : SOUK_OK;
}

void reject_abandon(reject_log *l) {
    fs_abandon(l->file);
    l->file = NULL;
}

souk_status reject_verdict(const reject_log *l, const char *source, int64_t rows, double max_bad, souk_error *err) {
    if (rows == 0 || !((double)l->n / (double)rows > max_bad)) return SOUK_OK;
    char allowed[32], share[32];
    num_format_double(allowed, 100 * max_bad);
    num_format_double(share, (double)(int64_t)(1000 * ((double)l->n / (double)rows) + .5) / 10);
    return err_set(err, SOUK_INPUT,
                   "%s: %lld of %lld rows (%s %%) cannot be read and --max-bad allows %s %%; the first is %s. Mend "
                   "them, list them all with "
                   "--rejects FILE, or leave them out with a larger --max-bad",
                   source, (long long)l->n, (long long)rows, share, allowed, l->first);
}
