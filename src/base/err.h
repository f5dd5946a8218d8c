/* err - statuses and messages. The types come from the public header, so that no layer translates them.
 *
 * A function that can fail returns souk_status and takes `souk_error *err` last; NULL is allowed everywhere.
 * Builders (graph, net, spec) hold an error of their own and keep the first one: err_set never overwrites. */
#ifndef SOUK_BASE_ERR_H
#define SOUK_BASE_ERR_H

#include "souk.h"

/* Fills `err` if it is not NULL and holds no error yet; returns `code` so that callers can `return err_set(…)`.
 * The message says what happened, where, and what to do next: `orders.csv:1042: column "price": "12,5" is not a
 * number (try --decimal ,)`. Too long a message is cut at a UTF-8 boundary. */
souk_status err_set(souk_error *err, souk_status code, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* The same with a position: line is 1-based, byte 0-based; -1 for none. */
souk_status err_at(souk_error *err, souk_status code, int64_t line, int64_t byte, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
/* Puts "prefix: " before the message that is already there (a file's name before a parser's message). */
void err_prefix(souk_error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Out of memory while doing `what`, in the house's words. */
souk_status err_nomem(souk_error *err, const char *what);
void err_clear(souk_error *err);

/* The candidate nearest to `word` (Damerau-Levenshtein, at most a third of its length away, case ignored), or NULL.
 * Used for every unknown column, key and option. Borrowed from `candidates`. */
const char *err_nearest(const char *word, const char *const *candidates, size_t n);

#define TRY(expression)                               \
    do {                                              \
        souk_status try_status = (expression);        \
        if (try_status != SOUK_OK) return try_status; \
    } while (0)
/* The same where clean-up is needed: sets `status` and goes to `done`. */
#define TRY_DONE(expression)              \
    do {                                  \
        status = (expression);            \
        if (status != SOUK_OK) goto done; \
    } while (0)

#endif
