/* fs - every file call of the library goes through this table of hooks, so that tests can make the n-th one fail.
 *
 * Files that matter are written whole: temporary file in the same folder, fsync, rename, fsync of the folder. A failed
 * fsync is never retried on the same file. EINTR and short transfers are handled here and nowhere else. */
#ifndef SOUK_BASE_FS_H
#define SOUK_BASE_FS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

/* The system calls, replaceable as a whole. Signatures and errno as in POSIX. */
typedef struct fs_calls {
    int (*open)(const char *path, int flags, mode_t mode);
    ssize_t (*read)(int fd, void *p, size_t n);
    ssize_t (*write)(int fd, const void *p, size_t n);
    int (*fsync)(int fd);
    int (*close)(int fd);
    int (*rename)(const char *from, const char *to);
    int (*unlink)(const char *path);
} fs_calls;
const fs_calls *fs_default_calls(void);
void fs_set_calls(const fs_calls *calls); /* NULL: back to the default. Borrowed for as long as it is set. */

/* ---- reading ---- */
typedef struct fs_reader fs_reader;
/* "-" is standard input. A folder, a FIFO opened by mistake or a missing file gives SOUK_INPUT and says so. */
souk_status fs_open(fs_reader **out, const char *path, souk_error *err);
/* Up to n bytes into p; *got is 0 at the end of the file only. */
souk_status fs_read(fs_reader *r, void *p, size_t n, size_t *got, souk_error *err);
void fs_close(fs_reader *r);
/* The whole file, NUL added behind it; at most max bytes (SOUK_REFUSED beyond). Caller mem_free's *data. */
souk_status fs_read_all(const char *path, size_t max, char **data, size_t *size, souk_error *err);
int64_t fs_size(const char *path); /* -1: not a regular file or not there */
bool fs_exists(const char *path);

/* ---- writing whole files ---- */
typedef struct fs_writer fs_writer;
/* Opens PATH.tmp-PID (0600; at commit the mode of the file it replaces, or the umask's); nothing at PATH changes before
 * fs_commit. "-" writes to standard output and commit only flushes; so does a device (/dev/null), which is not
 * replaced. A link stays a link: the file it leads to is replaced. */
souk_status fs_create(fs_writer **out, const char *path, souk_error *err);
souk_status fs_write(fs_writer *w, const void *p, size_t n, souk_error *err);
uint64_t fs_written(const fs_writer *w);
/* Flush, fsync, rename over PATH, fsync the folder; frees w in every case. On failure PATH is as it was and the
 * temporary is gone; with one exception: when only the folder's fsync fails, PATH is the new file, whole, and the
 * message says so. */
souk_status fs_commit(fs_writer *w, souk_error *err);
void fs_abandon(fs_writer *w); /* removes the temporary and frees; NULL is a no-op */
souk_status fs_write_all(const char *path, const void *p, size_t n, souk_error *err); /* create + write + commit */
/* Appends one record to a log (not atomic, for NAME.log.jsonl): open, write, close. */
souk_status fs_append(const char *path, const void *p, size_t n, souk_error *err);
souk_status fs_remove(const char *path, souk_error *err); /* a missing file is fine */
/* Removes temporaries of PATH whose process is no longer alive (after a kill). */
void fs_sweep(const char *path);

/* ---- names ---- */
/* Sorted matches of a glob (or the path itself when it has no wildcard): array of n strings, free with fs_glob_free. */
souk_status fs_glob(const char *pattern, char ***paths, size_t *n, souk_error *err);
void fs_glob_free(char **paths, size_t n);
const char *fs_extension(const char *path); /* ".csv", "" ; borrowed */

#endif
