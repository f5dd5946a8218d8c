/* fs - reading, and writing whole files so that a failure leaves the old one.
 *
 * The calls that move data or names (open, read, write, fsync, close, rename, unlink) go through one table of hooks, so
 * that tests can make each fail; questions (stat, umask, folder listings) and fchmod do not. EINTR and short
 * transfers are handled in `read_some` and `write_fully` and nowhere else.
 *
 *     fs_create:  open PATH.tmp-PID (0600, never through a link)      fs_write: 64 KiB buffer
 *     fs_commit:  flush, mode, fsync, close, open the folder, rename, fsync the folder
 *
 * Everything that can fail comes before the rename, except the folder's own fsync: when that fails the new file is in
 * place and complete, and the error says that it may not survive a power cut. A failed fsync is never retried (the
 * kernel marks the pages clean). Names and globs are in fs_names.c. */
#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs_names.h"
#include "base/mem.h"
#include "base/thread.h"

enum { WRITE_BUFFER = 1 << 16 };

/* ---- the hooks ---- */

static int call_open(const char *path, int flags, mode_t mode) { return open(path, flags, mode); }

static const fs_calls default_calls = {call_open, read, write, fsync, close, rename, unlink};
static _Atomic(const fs_calls *) current_calls = &default_calls;

const fs_calls *fs_default_calls(void) { return &default_calls; }
void fs_set_calls(const fs_calls *calls) { atomic_store(&current_calls, calls ? calls : &default_calls); }
static const fs_calls *hooks(void) { return atomic_load_explicit(&current_calls, memory_order_acquire); }

static int open_path(const char *path, int flags, mode_t mode) {
    int fd;
    do fd = hooks()->open(path, flags | O_CLOEXEC, mode);
    while (fd < 0 && errno == EINTR);
    return fd;
}

static ssize_t read_some(int fd, void *p, size_t n) {
    ssize_t got;
    do got = hooks()->read(fd, p, n < SSIZE_MAX ? n : SSIZE_MAX);
    while (got < 0 && errno == EINTR);
    return got;
}

/* False with errno set. A write of 0 bytes for n > 0 is not progress: it counts as an error. */
static bool write_fully(int fd, const void *bytes, size_t n) {
    const char *p = bytes;
    while (n > 0) {
        ssize_t put = hooks()->write(fd, p, n < SSIZE_MAX ? n : SSIZE_MAX);
        if (put < 0 && errno == EINTR) continue;
        if (put == 0) errno = EIO;
        if (put <= 0) return false;
        p += put;
        n -= (size_t)put;
    }
    return true;
}

/* errno as a person would say it. */
static const char *reason(int code, char scratch[128]) {
    switch (code) {
    case ENOENT: return "there is no such file or folder";
    case EACCES:
    case EPERM: return "permission denied";
    case ENOSPC: return "the disk is full";
    case EDQUOT: return "the disk quota is used up";
    case EROFS: return "the disk is read-only";
    case EIO: return "the disk reported an input/output error";
    case EISDIR: return "it is a folder";
    case ENOTDIR: return "a part of the path is a file, not a folder";
    case ENAMETOOLONG: return "the name is too long";
    case EMFILE:
    case ENFILE: return "too many files are open";
    case ELOOP: return "the links lead in a circle";
    case EPIPE: return "the program that reads this output has stopped";
    case EFBIG: return "the file would be larger than allowed";
    case ETXTBSY: return "it is a program that is running";
    default: return strerror_r(code, scratch, 128);
    }
}

static souk_status io_error(souk_error *err, souk_status status, const char *path, const char *what, int code,
                            const char *hint) {
    char scratch[128];
    return err_set(err, status, "%s: cannot %s: %s%s", path, what, reason(code, scratch), hint);
}

/* ---- reading ---- */

struct fs_reader {
    int fd;
    bool standard; /* standard input: not ours to close */
    char *name;
};

/* Checks what was opened and undoes O_NONBLOCK, which only kept a FIFO from blocking the open. */
static souk_status check_readable(int fd, const char *path, souk_error *err) {
    struct stat st;
    if (fstat(fd, &st) != 0) return io_error(err, SOUK_IO, path, "examine the file", errno, "");
    if (S_ISDIR(st.st_mode))
        return err_set(err, SOUK_INPUT,
                       "%s: this is a folder, not a file (name a file in it, or a pattern: '%s/*.csv')", path, path);
    if (S_ISFIFO(st.st_mode))
        return err_set(err, SOUK_INPUT,
                       "%s: this is a named pipe, not a file (to read from it give - and redirect: < %s)", path, path);
    if (!S_ISREG(st.st_mode) && !S_ISCHR(st.st_mode))
        return err_set(err, SOUK_INPUT, "%s: this is not a regular file (to read from a program give - and use a pipe)",
                       path);
    int flags = fcntl(fd, F_GETFL);
    if (flags >= 0) fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
    return SOUK_OK;
}

/* The failed open of an input as a message: mostly a wrong name, which is wrong input and not a broken disk. */
static souk_status open_error(const char *path, int code, souk_error *err) {
    bool theirs =
        code == ENOENT || code == ENOTDIR || code == EACCES || code == ENAMETOOLONG || code == ELOOP || code == ENXIO;
    const char *hint = code == ENOENT ? " (check the spelling; a relative name starts at the current folder)" : "";
    return io_error(err, theirs ? SOUK_INPUT : SOUK_IO, path, "open it", code, hint);
}

souk_status fs_open(fs_reader **out, const char *path, souk_error *err) {
    *out = NULL;
    bool standard = strcmp(path, "-") == 0;
    fs_reader *r = mem_calloc(1, sizeof *r);
    if (!r || !(r->name = mem_strdup(standard ? "standard input" : path))) {
        mem_free(r);
        return err_nomem(err, "opening a file");
    }
    r->standard = standard;
    r->fd = standard ? STDIN_FILENO : open_path(path, O_RDONLY | O_NONBLOCK, 0);
    souk_status status = SOUK_OK;
    if (r->fd < 0)
        status = open_error(path, errno, err);
    else if (!standard)
        status = check_readable(r->fd, path, err);
    if (status != SOUK_OK) {
        fs_close(r);
        return status;
    }
    *out = r;
    return SOUK_OK;
}

souk_status fs_read(fs_reader *r, void *p, size_t n, size_t *got, souk_error *err) {
    ssize_t count = read_some(r->fd, p, n);
    *got = count > 0 ? (size_t)count : 0;
    return count < 0 ? io_error(err, SOUK_IO, r->name, "read it", errno, "") : SOUK_OK;
}

void fs_close(fs_reader *r) {
    if (!r) return;
    if (!r->standard && r->fd >= 0) hooks()->close(r->fd); /* nothing was written: a failure loses nothing */
    mem_free(r->name);
    mem_free(r);
}

static souk_status too_large(const fs_reader *r, size_t max, souk_error *err) {
    return err_set(err, SOUK_REFUSED, "%s: larger than the limit of %zu bytes for this kind of file", r->name, max);
}

/* Reads r to its end. The size that stat tells is a first guess: /proc says 0, and files grow while they are read. */
static souk_status read_to_end(fs_reader *r, const char *path, size_t max, char **data, size_t *size, souk_error *err) {
    int64_t guess = r->standard ? -1 : fs_size(path);
    if (guess > 0 && (uint64_t)guess > max) return too_large(r, max, err);
    size_t capacity = guess > 0 ? (size_t)guess + 1 : 4096, len = 0, got = 1;
    char *p = mem_alloc(capacity + 1);
    while (p && got > 0) {
        if (len == capacity) {
            if (!size_mul(capacity, 2, &capacity)) break;
            char *grown = mem_realloc(p, capacity + 1, 1);
            if (!grown) break;
            p = grown;
        }
        souk_status status = fs_read(r, p + len, capacity - len, &got, err);
        len += got;
        if (status == SOUK_OK && len > max) status = too_large(r, max, err);
        if (status != SOUK_OK) {
            mem_free(p);
            return status;
        }
    }
    if (!p || got > 0) {
        mem_free(p);
        return err_nomem(err, "reading a file");
    }
    p[len] = '\0';
    *data = p;
    *size = len;
    return SOUK_OK;
}

souk_status fs_read_all(const char *path, size_t max, char **data, size_t *size, souk_error *err) {
    fs_reader *r;
    *data = NULL;
    *size = 0;
    TRY(fs_open(&r, path, err));
    souk_status status = read_to_end(r, path, max, data, size, err);
    fs_close(r);
    return status;
}

int64_t fs_size(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) ? (int64_t)st.st_size : -1;
}

bool fs_exists(const char *path) {
    struct stat st;
    return stat(path, &st) == 0;
}

/* ---- writing ---- */

struct fs_writer {
    int fd;
    bool direct;   /* standard output or a device: bytes go there at once, commit only flushes */
    bool standard; /* not ours to close */
    mode_t mode;   /* of the finished file */
    char *path, *temporary;
    uint64_t written;
    size_t filled;
    fs_writer *next; /* in `writers` */
    char buffer[WRITE_BUFFER];
};

static const char AS_BEFORE[] = " (nothing was changed)";

/* The writers of this process, so that a sweep knows which temporaries of its own process number are in use. */
static mutex writers_lock;
static fs_writer *writers;

static bool in_use(const char *temporary) {
    bool found = false;
    mutex_lock(&writers_lock);
    for (fs_writer *w = writers; w && !found; w = w->next) found = w->temporary && strcmp(w->temporary, temporary) == 0;
    mutex_unlock(&writers_lock);
    return found;
}

/* Gives w the name of a temporary unless another writer has it; name NULL takes it away again. */
static bool claim(fs_writer *w, char *name) {
    bool taken = false;
    mutex_lock(&writers_lock);
    for (fs_writer *o = writers; name && o && !taken; o = o->next)
        taken = o->temporary && strcmp(o->temporary, name) == 0;
    if (!taken) w->temporary = name;
    mutex_unlock(&writers_lock);
    return !taken;
}

static void writer_add(fs_writer *w) {
    mutex_lock(&writers_lock);
    w->next = writers;
    writers = w;
    mutex_unlock(&writers_lock);
}

static void writer_free(fs_writer *w) {
    mutex_lock(&writers_lock);
    for (fs_writer **at = &writers; *at; at = &(*at)->next)
        if (*at == w) {
            *at = w->next;
            break;
        }
    mutex_unlock(&writers_lock);
    mem_free(w->path);
    mem_free(w->temporary);
    mem_free(w);
}

/* Asking for the umask means setting it for a moment; 077 errs on the safe side for other threads. */
static mode_t mode_of_new_file(void) {
    mutex_lock(&writers_lock);
    mode_t mask = umask(077);
    umask(mask);
    mutex_unlock(&writers_lock);
    return 0666 & ~mask;
}

/* What stands at the path: a link is followed, so that it stays one; a device is written to directly, never replaced.
 */
static souk_status examine_target(fs_writer *w, const char *path, souk_error *err) {
    char real[PATH_MAX];
    struct stat st;
    bool there = stat(path, &st) == 0;
    if (there && S_ISDIR(st.st_mode))
        return err_set(err, SOUK_INPUT, "%s: cannot write there: it is a folder (give a file name)", path);
    w->direct = there && !S_ISREG(st.st_mode);
    w->mode = there && !w->direct ? st.st_mode & 0777 : mode_of_new_file();
    const char *target = there && !w->direct && realpath(path, real) ? real : path;
    w->path = mem_strdup(target);
    return w->path ? SOUK_OK : err_nomem(err, "opening a file");
}

/* PATH.tmp-PID, or PATH.tmp-PID-1 … while another writer of this process has that name. A file of that name without a
 * writer was left by a killed process with our number: it goes. */
static souk_status open_temporary(fs_writer *w, souk_error *err) {
    for (int attempt = 0; attempt < 100; attempt++) {
        char suffix[16] = "";
        if (attempt) snprintf(suffix, sizeof suffix, "-%d", attempt);
        char *name = mem_printf("%s.tmp-%ld%s", w->path, (long)getpid(), suffix);
        if (!name) return err_nomem(err, "opening a file");
        int code = EEXIST;
        if (claim(w, name)) {
            const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;
            w->fd = open_path(name, flags, 0600);
            if (w->fd < 0 && errno == EEXIST && hooks()->unlink(name) == 0) w->fd = open_path(name, flags, 0600);
            if (w->fd >= 0) return SOUK_OK;
            code = errno;
            claim(w, NULL);
        }
        mem_free(name);
        if (code == EEXIST) continue;
        return io_error(err, SOUK_IO, w->path, "write there", code,
                        code == ENOENT ? " (create the folder first)" : AS_BEFORE);
    }
    return err_set(err, SOUK_IO,
                   "%s: cannot write there: 100 temporary files of that name exist already (remove %s.tmp-*)", w->path,
                   w->path);
}

static souk_status aim_at_output(fs_writer *w, souk_error *err) {
    w->direct = true;
    w->fd = STDOUT_FILENO;
    w->path = mem_strdup("standard output");
    return w->path ? SOUK_OK : err_nomem(err, "opening a file");
}

souk_status fs_create(fs_writer **out, const char *path, souk_error *err) {
    *out = NULL;
    fs_writer *w = mem_alloc(sizeof *w);
    if (!w) return err_nomem(err, "opening a file");
    memset(w, 0, offsetof(fs_writer, buffer));
    w->fd = -1;
    w->standard = strcmp(path, "-") == 0;
    writer_add(w);
    souk_status status = w->standard ? aim_at_output(w, err) : examine_target(w, path, err);
    if (status == SOUK_OK && !w->direct) status = open_temporary(w, err);
    if (status == SOUK_OK && w->direct && !w->standard) {
        w->fd = open_path(path, O_WRONLY, 0);
        if (w->fd < 0) status = io_error(err, SOUK_IO, path, "write there", errno, "");
    }
    if (status != SOUK_OK) {
        fs_abandon(w);
        return status;
    }
    *out = w;
    return SOUK_OK;
}

static souk_status write_error(const fs_writer *w, int code, souk_error *err) {
    bool full = code == ENOSPC || code == EDQUOT;
    const char *hint = w->direct ? "" : full ? " (free some space and run again; nothing was changed)" : AS_BEFORE;
    return io_error(err, SOUK_IO, w->path, "write it", code, hint);
}

static souk_status flush(fs_writer *w, souk_error *err) {
    size_t n = w->filled;
    w->filled = 0; /* after a failure the writer is only good for fs_abandon */
    return write_fully(w->fd, w->buffer, n) ? SOUK_OK : write_error(w, errno, err);
}

souk_status fs_write(fs_writer *w, const void *p, size_t n, souk_error *err) {
    w->written += n;
    if (n >= WRITE_BUFFER - w->filled) {
        TRY(flush(w, err));
        if (n >= WRITE_BUFFER) return write_fully(w->fd, p, n) ? SOUK_OK : write_error(w, errno, err);
    }
    if (n) memcpy(w->buffer + w->filled, p, n);
    w->filled += n;
    return SOUK_OK;
}

uint64_t fs_written(const fs_writer *w) { return w->written; }

/* The folder that holds path, opened for fsync; -1 with errno. */
static int open_folder(const char *path) {
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t n = slash ? (size_t)(slash - path) : 0;
    if (n >= sizeof folder) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(folder, path, n);
    folder[n] = '\0';
    return open_path(n ? folder : slash ? "/" : ".", O_RDONLY | O_DIRECTORY, 0);
}

static int close_once(int *fd) {
    int result = *fd >= 0 ? hooks()->close(*fd) : 0; /* on Linux the descriptor is gone even when close fails */
    *fd = -1;
    return result;
}

/* Steps of a commit behind the flush. Sets *renamed once PATH is the new file. */
static souk_status put_in_place(fs_writer *w, bool *renamed, souk_error *err) {
    if (fchmod(w->fd, w->mode) != 0) return io_error(err, SOUK_IO, w->path, "set its permissions", errno, AS_BEFORE);
    if (hooks()->fsync(w->fd) != 0) return io_error(err, SOUK_IO, w->path, "save it to the disk", errno, AS_BEFORE);
    if (close_once(&w->fd) != 0) return io_error(err, SOUK_IO, w->path, "finish it", errno, AS_BEFORE);
    int folder = open_folder(w->path);
    if (folder < 0) return io_error(err, SOUK_IO, w->path, "open its folder", errno, AS_BEFORE);
    if (hooks()->rename(w->temporary, w->path) != 0) {
        int code = errno;
        close_once(&folder);
        return io_error(err, SOUK_IO, w->path, "put it in place", code, AS_BEFORE);
    }
    *renamed = true;
    /* EINVAL: a file system without such a thing, where nothing can be done or lost */
    bool synced = hooks()->fsync(folder) == 0 || errno == EINVAL;
    int code = errno;
    if (close_once(&folder) != 0 && synced) {
        code = errno;
        synced = false;
    }
    if (synced) return SOUK_OK;
    return io_error(err, SOUK_IO, w->path, "save its folder to the disk", code,
                    " (the new file is complete and in place, but a power cut may bring the old one back)");
}

souk_status fs_commit(fs_writer *w, souk_error *err) {
    bool renamed = false;
    souk_status status = flush(w, err);
    if (status == SOUK_OK && !w->direct) status = put_in_place(w, &renamed, err);
    if (w->direct && !w->standard && close_once(&w->fd) != 0 && status == SOUK_OK) status = write_error(w, errno, err);
    if (renamed || w->direct)
        writer_free(w);
    else
        fs_abandon(w);
    return status;
}

void fs_abandon(fs_writer *w) {
    if (!w) return;
    if (!w->standard) close_once(&w->fd);
    if (w->temporary) hooks()->unlink(w->temporary); /* if that fails too, a later fs_sweep finds it */
    writer_free(w);
}

souk_status fs_write_all(const char *path, const void *p, size_t n, souk_error *err) {
    fs_writer *w;
    TRY(fs_create(&w, path, err));
    souk_status status = fs_write(w, p, n, err);
    if (status == SOUK_OK) return fs_commit(w, err);
    fs_abandon(w);
    return status;
}

souk_status fs_append(const char *path, const void *p, size_t n, souk_error *err) {
    int fd = open_path(path, O_WRONLY | O_CREAT | O_APPEND, 0666);
    if (fd < 0) return io_error(err, SOUK_IO, path, "write there", errno, "");
    bool written = write_fully(fd, p, n);
    int code = errno;
    if (close_once(&fd) != 0 && written) {
        code = errno;
        written = false;
    }
    return written ? SOUK_OK : io_error(err, SOUK_IO, path, "add to it", code, "");
}

souk_status fs_remove(const char *path, souk_error *err) {
    if (hooks()->unlink(path) == 0 || errno == ENOENT) return SOUK_OK;
    return io_error(err, SOUK_IO, path, "remove it", errno, "");
}

void fs_sweep(const char *path) {
    char **stale;
    size_t n;
    if (fs_stale_temporaries(path, &stale, &n) != SOUK_OK) return;
    for (size_t i = 0; i < n; i++)
        if (!in_use(stale[i])) hooks()->unlink(stale[i]);
    fs_glob_free(stale, n);
}
