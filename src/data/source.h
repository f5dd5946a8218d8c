/* source - the bytes of one input: a file or standard input, plain, gzip or zstd (told apart by their first bytes).
 *
 * The only file that knows zlib and zstd. Output is bounded: a stream that expands more than 1,100-fold beyond 256 MiB
 * is refused. A stream cut off in the middle is SOUK_CORRUPT, never a short table. */
#ifndef SOUK_DATA_SOURCE_H
#define SOUK_DATA_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

typedef struct source source;

/* "-" is standard input. `path` is copied. */
souk_status source_open(source **out, const char *path, souk_error *err);
/* Up to n plain bytes into p; *got is 0 at the end only. */
souk_status source_read(source *s, void *p, size_t n, size_t *got, souk_error *err);
const char *source_compression(const source *s); /* "gzip", "zstd" or NULL */
void source_close(source *s);                    /* NULL is a no-op */

/* Standard input cannot be read twice: source_record keeps every byte from now on; source_replay starts again from the
 * first recorded byte (what was not yet read follows behind). */
void source_record(source *s);
void source_replay(source *s);

#endif
