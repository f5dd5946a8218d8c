/* souk.h - the public interface of Souk, a deep-learning engine for marketing decisions.
 *
 * This is the only installed header. Everything is C17, compiles as C++17, and never aborts, exits or prints:
 * a function that can fail returns a souk_status and fills the souk_error that it was given (which may be NULL).
 */
#ifndef SOUK_H
#define SOUK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__) && !defined(SOUK_STATIC)
#define SOUK_API __attribute__((visibility("default")))
#else
#define SOUK_API
#endif

/* ---- Status and errors ---------------------------------------------------------------------------------------- */

/* X(name, text, exit status of the program) */
#define SOUK_STATUS_MAP(X)                                        \
    X(OK, "success", 0)                                           \
    X(FAILED, "failed", 1)                                        \
    X(NOMEM, "out of memory", 1)                                  \
    X(IO, "input/output error", 1)                                \
    X(NUMERIC, "not a finite number", 1)                          \
    X(USAGE, "wrong usage", 2)                                    \
    X(INPUT, "wrong input", 2)                                    \
    X(CORRUPT, "damaged file", 2)                                 \
    X(UNSUPPORTED, "not supported", 2)                            \
    X(REFUSED, "refused", 3)                                      \
    X(NOT_CONVERGED, "not converged", 4)                          \
    X(INTERRUPTED, "interrupted", 130)

typedef enum souk_status {
#define SOUK_STATUS_ENUM(name, text, exit_status) SOUK_##name,
    SOUK_STATUS_MAP(SOUK_STATUS_ENUM)
#undef SOUK_STATUS_ENUM
} souk_status;

/* What went wrong, where, and what to do next. `message` is complete: file, line and hint are already in it.
 * `line` (1-based) and `byte` (0-based) repeat the position for programs; -1 where there is none. */
typedef struct souk_error {
    souk_status code;
    int64_t line;
    int64_t byte;
    char message[1024];
} souk_error;

/* Short text of a status ("out of memory"); never NULL. */
SOUK_API const char *souk_status_text(souk_status status);
/* The exit status that the program uses for it: 0, 1, 2, 3, 4 or 130. */
SOUK_API int souk_status_exit(souk_status status);

#ifdef __cplusplus
}
#endif
#endif
