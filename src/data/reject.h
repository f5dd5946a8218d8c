/* reject - rows that could not be read: their reasons in words, the reject file, and the verdict of --max-bad. */
#ifndef SOUK_DATA_REJECT_H
#define SOUK_DATA_REJECT_H

#include "base/fs.h"
#include "data/batch.h"

enum { REJECT_TEXT = 1024 };

typedef struct reject_log {
    fs_writer *file; /* NULL: only counted */
    int64_t n;
    char first[320]; /* "orders.csv:17: 3 fields where the header has 4" */
} reject_log;

/* path NULL: no file. The file is there after reject_commit, even when nothing was rejected. */
souk_status reject_open(reject_log *l, const char *path, souk_error *err);
souk_status reject_add(reject_log *l, const char *file, int64_t line, const char *reason, const char *text, size_t n,
                       souk_error *err);
souk_status reject_commit(reject_log *l, souk_error *err);
void reject_abandon(reject_log *l);
/* SOUK_INPUT when more than max_bad of the rows were rejected. */
souk_status reject_verdict(const reject_log *l, const char *source, int64_t rows, double max_bad, souk_error *err);

#endif
