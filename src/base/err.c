/* err - statuses, messages and the search for the nearest name.
 *
 * A souk_error is a plain struct on the caller's stack; it is filled once and never overwritten, so the first cause
 * is what the user reads. Formatting goes through num_vformat: a German locale does not turn "0.5" into "0,5".
 * Leaves to others: who prints the message (cli), and which names are candidates (each reader of names).
 *
 * Invariant: a message is always valid as a C string and as UTF-8, and is cut only between characters; so is what a
 * "%.60s" takes of a name. */
#include "base/err.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "base/utf8.h"

const char *souk_status_text(souk_status status) {
    switch (status) {
#define CASE(name, text, exit_status) \
    case SOUK_##name: return text;
        SOUK_STATUS_MAP(CASE)
#undef CASE
    }
    return "unknown status";
}

int souk_status_exit(souk_status status) {
    switch (status) {
#define CASE(name, text, exit_status) \
    case SOUK_##name: return exit_status;
        SOUK_STATUS_MAP(CASE)
#undef CASE
    }
    return 1;
}

/* Removes a UTF-8 character that was cut in two at the end of s[0..n). */
static void trim_partial(char *s, size_t n) {
    size_t start = n;
    while (start > 0 && n - start < 4 && ((unsigned char)s[start - 1] & 0xC0) == 0x80) start--;
    if (start == 0) return;
    unsigned char lead = (unsigned char)s[start - 1];
    size_t need = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
    if (need > 1 && n - (start - 1) < need) s[start - 1] = '\0';
}

static void format_message(char *dst, size_t capacity, const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));
static void format_message(char *dst, size_t capacity, const char *format, va_list args) {
    int n = num_vformat(dst, capacity, format, args);
    if (n < 0) dst[0] = '\0';
    if (n > 0 && (size_t)n >= capacity) trim_partial(dst, capacity - 1);
}

/* Takes out bytes that make no character: the front of one that a precision has cut. */
static void drop_broken(char *text) {
    size_t n = strlen(text), at = 0;
    while ((at += utf8_valid_prefix(text + at, n - at)) < n) memmove(text + at, text + at + 1, n-- - at);
}

static souk_status set_error(souk_error *err, souk_status code, int64_t line, int64_t byte, const char *format,
                             va_list args) __attribute__((format(printf, 5, 0)));
static souk_status set_error(souk_error *err, souk_status code, int64_t line, int64_t byte, const char *format,
                             va_list args) {
    assert(code != SOUK_OK);
    if (!err || err->code != SOUK_OK) return code;
    err->code = code;
    err->line = line;
    err->byte = byte;
    format_message(err->message, sizeof err->message, format, args);
    drop_broken(err->message);
    return code;
}

souk_status err_set(souk_error *err, souk_status code, const char *format, ...) {
    va_list args;
    va_start(args, format);
    souk_status status = set_error(err, code, -1, -1, format, args);
    va_end(args);
    return status;
}

souk_status err_at(souk_error *err, souk_status code, int64_t line, int64_t byte, const char *format, ...) {
    va_list args;
    va_start(args, format);
    souk_status status = set_error(err, code, line, byte, format, args);
    va_end(args);
    return status;
}

void err_prefix(souk_error *err, const char *format, ...) {
    if (!err || err->code == SOUK_OK) return;
    char prefix[512], old[sizeof err->message];
    va_list args;
    va_start(args, format);
    format_message(prefix, sizeof prefix, format, args);
    va_end(args);
    size_t n = strlen(prefix), m = strlen(err->message), room = sizeof err->message - 1;
    memcpy(old, err->message, m + 1);
    memcpy(err->message, prefix, n);
    memcpy(err->message + n, ": ", 2);
    n += 2;
    bool cut = n + m > room;
    if (cut) m = room - n;
    memcpy(err->message + n, old, m);
    err->message[n + m] = '\0';
    if (cut) trim_partial(err->message, n + m);
}

souk_status err_nomem(souk_error *err, const char *what) {
    return err_set(err, SOUK_NOMEM,
                   "out of memory while %s (close other programs, or use a smaller batch, fewer columns or less data)",
                   what);
}

void err_clear(souk_error *err) {
    if (!err) return;
    err->code = SOUK_OK;
    err->line = err->byte = -1;
    err->message[0] = '\0';
}

/* ---- the nearest name ---- */

enum { NAME_MAX_CHARACTERS = 128 }; /* longer names have no nearest one */

/* Code points of s with ASCII letters lowered; 0 when there are too many. */
static size_t name_characters(const char *s, uint32_t out[NAME_MAX_CHARACTERS]) {
    size_t n = strlen(s), count = 0;
    for (size_t i = 0; i < n; count++) {
        if (count == NAME_MAX_CHARACTERS) return 0;
        uint32_t c;
        i += utf8_decode(s + i, n - i, &c);
        out[count] = c >= 'A' && c <= 'Z' ? c + 32 : c;
    }
    return count;
}

/* Edits (insert, delete, replace, swap of neighbours) from a[0..n) to b[0..m), by dynamic programming over three rows.
 */
static size_t edit_distance(const uint32_t *a, size_t n, const uint32_t *b, size_t m) {
    size_t rows[3][NAME_MAX_CHARACTERS + 1];
    size_t *before = rows[0], *last = rows[1], *row = rows[2];
    for (size_t j = 0; j <= m; j++) last[j] = j;
    for (size_t i = 1; i <= n; i++) {
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t best = last[j - 1] + (a[i - 1] != b[j - 1]);
            if (last[j] + 1 < best) best = last[j] + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if (swapped && before[j - 2] + 1 < best) best = before[j - 2] + 1;
            row[j] = best;
        }
        size_t *free_row = before;
        before = last;
        last = row;
        row = free_row;
    }
    return last[m];
}

const char *err_nearest(const char *word, const char *const *candidates, size_t n) {
    uint32_t a[NAME_MAX_CHARACTERS], b[NAME_MAX_CHARACTERS];
    size_t word_length = name_characters(word, a), best_distance = SIZE_MAX;
    const char *best = NULL;
    if (word_length == 0) return NULL;
    for (size_t i = 0; i < n; i++) {
        size_t length = name_characters(candidates[i], b);
        if (length == 0) continue;
        size_t distance = edit_distance(a, word_length, b, length);
        size_t allowed = (length > word_length ? length : word_length) / 3;
        if (distance > allowed || distance >= best_distance) continue; /* the first of equals wins */
        best_distance = distance;
        best = candidates[i];
    }
    return best;
}
