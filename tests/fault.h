/* fault.h - makes the n-th allocation or file call fail, for n = 1, 2, 3 …, once and for ever. Include it after
 * cmocka.h.
 *
 * The function under test does its whole job, frees what it made and returns the status:
 *
 *     static souk_status save(void *context, souk_error *err) { … }
 *     static void check(void *context, souk_status status) { … the old file is intact if status is not SOUK_OK … }
 *
 *     fault_loop_alloc("save", save, check, &context);      -> "save: 41 of 41 allocation faults"
 *     fault_loop_files("save", save, check, &context);      -> "save: 96 of 96 file faults"
 *     fault_short_files("save", save, check, &context);     every transfer a few bytes, every other call interrupted
 *
 * Each loop first runs the function once without a fault (caches fill, it must succeed), then goes on until the fault
 * no longer fires. After each run: the status is SOUK_OK (the fault was absorbed; `check` verifies the result) or an
 * error with a message; no block (mem_live) and no file descriptor is left behind; `check`, which may be NULL, is
 * content. Use fault_loop_alloc_step with a step of 7, say, where the function takes long. */
#ifndef SOUK_TESTS_FAULT_H
#define SOUK_TESTS_FAULT_H

#include <dirent.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"

typedef souk_status (*fault_run_fn)(void *context, souk_error *err);
typedef void (*fault_check_fn)(void *context, souk_status status);

/* The fault: call number `at` (1-based) fails, and every later one if `for_ever`. */
static struct fault_state {
    atomic_long calls;
    long at;
    bool for_ever;
    int call; /* which file call, below; unused for allocations */
    int code; /* errno */
} fault;

static inline bool fault_now(void) {
    long n = atomic_fetch_add(&fault.calls, 1) + 1;
    return fault.at > 0 && (n == fault.at || (fault.for_ever && n > fault.at));
}

static inline int fault_open_files(void) {
    int n = 0;
    DIR *d = opendir("/proc/self/fd");
    while (d && readdir(d)) n++;
    if (d) closedir(d);
    return n;
}

/* What every run must leave: nothing of its own, and words for a failure. */
static inline void fault_verify(const char *label, fault_check_fn check, void *context, souk_status status,
                                const souk_error *err, int64_t live, int files) {
    const char *often = fault.for_ever ? " for ever" : "";
    if (mem_live() != live)
        fail_msg("%s: fault %ld%s: %lld blocks leaked", label, fault.at, often, (long long)(mem_live() - live));
    if (fault_open_files() != files) fail_msg("%s: fault %ld%s: a file was left open", label, fault.at, often);
    if (status != SOUK_OK && (err->code != status || err->message[0] == '\0'))
        fail_msg("%s: fault %ld: status %d (%s) without its message", label, fault.at, (int)status,
                 souk_status_text(status));
    if (check) check(context, status);
}

/* The run without a fault: it must succeed. */
static inline void fault_warm_up(const char *label, fault_run_fn run, fault_check_fn check, void *context) {
    souk_error err = {0};
    souk_status status = run(context, &err);
    if (status != SOUK_OK) fail_msg("%s: fails without a fault: %s", label, err.message);
    if (check) check(context, status);
}

/* ---- allocations ---- */

static inline bool fault_alloc_hook(void *context) {
    (void)context;
    return fault_now();
}

static inline void fault_loop_alloc_step(const char *label, fault_run_fn run, fault_check_fn check, void *context,
                                         long step) {
    long faults = 0, absorbed = 0;
    fault_warm_up(label, run, check, context);
    for (int mode = 0; mode < 2; mode++) {
        for (long at = 1;; at += step) {
            fault.at = at;
            fault.for_ever = mode == 1;
            atomic_store(&fault.calls, 0);
            int64_t live = mem_live();
            int files = fault_open_files();
            souk_error err = {0};
            mem_set_fault(fault_alloc_hook, NULL);
            souk_status status = run(context, &err);
            mem_set_fault(NULL, NULL);
            bool fired = atomic_load(&fault.calls) >= at;
            if (!fired && status != SOUK_OK) fail_msg("%s: fails without a fault: %s", label, err.message);
            if (fired && status != SOUK_OK && status != SOUK_NOMEM)
                fail_msg("%s: allocation %ld failed, and the status is %d, not SOUK_NOMEM: %s", label, at, (int)status,
                         err.message);
            fault_verify(label, check, context, status, &err, live, files);
            if (!fired) break;
            faults++;
            absorbed += status == SOUK_OK;
        }
    }
    printf("%s: %ld of %ld allocation faults (%ld absorbed)\n", label, faults, faults, absorbed);
}

static inline void fault_loop_alloc(const char *label, fault_run_fn run, fault_check_fn check, void *context) {
    fault_loop_alloc_step(label, run, check, context, 1);
}

/* ---- file calls ---- */

enum { FAULT_OPEN, FAULT_READ, FAULT_WRITE, FAULT_FSYNC, FAULT_CLOSE, FAULT_RENAME, FAULT_UNLINK, FAULT_CALLS };

static inline bool fault_file(int call) {
    if (call != fault.call || !fault_now()) return false;
    errno = fault.code;
    return true;
}

static inline int fault_open(const char *path, int flags, mode_t mode) {
    return fault_file(FAULT_OPEN) ? -1 : fs_default_calls()->open(path, flags, mode);
}
static inline ssize_t fault_read(int fd, void *p, size_t n) {
    return fault_file(FAULT_READ) ? -1 : fs_default_calls()->read(fd, p, n);
}
static inline ssize_t fault_write(int fd, const void *p, size_t n) {
    return fault_file(FAULT_WRITE) ? -1 : fs_default_calls()->write(fd, p, n);
}
static inline int fault_fsync(int fd) { return fault_file(FAULT_FSYNC) ? -1 : fs_default_calls()->fsync(fd); }
static inline int fault_close(int fd) {
    bool failing = fault_file(FAULT_CLOSE);
    int result = fs_default_calls()->close(fd); /* Linux gives the descriptor back even when close fails */
    if (failing) errno = fault.code;
    return failing ? -1 : result;
}
static inline int fault_rename(const char *from, const char *to) {
    return fault_file(FAULT_RENAME) ? -1 : fs_default_calls()->rename(from, to);
}
static inline int fault_unlink(const char *path) {
    return fault_file(FAULT_UNLINK) ? -1 : fs_default_calls()->unlink(path);
}

static inline void fault_loop_files(const char *label, fault_run_fn run, fault_check_fn check, void *context) {
    static const fs_calls calls = {fault_open,  fault_read,   fault_write, fault_fsync,
                                   fault_close, fault_rename, fault_unlink};
    static const int codes[] = {EIO, ENOSPC};
    long faults = 0, absorbed = 0;
    fault_warm_up(label, run, check, context);
    for (int variant = 0; variant < FAULT_CALLS * 4; variant++) {
        fault.call = variant / 4;
        fault.code = codes[variant / 2 % 2];
        fault.for_ever = variant % 2 == 1;
        for (fault.at = 1;; fault.at++) {
            atomic_store(&fault.calls, 0);
            int64_t live = mem_live();
            int files = fault_open_files();
            souk_error err = {0};
            fs_set_calls(&calls);
            souk_status status = run(context, &err);
            fs_set_calls(NULL);
            bool fired = atomic_load(&fault.calls) >= fault.at;
            if (!fired && status != SOUK_OK) fail_msg("%s: fails without a fault: %s", label, err.message);
            fault_verify(label, check, context, status, &err, live, files);
            if (!fired) break;
            faults++;
            absorbed += status == SOUK_OK;
        }
    }
    fault.at = 0;
    printf("%s: %ld of %ld file faults (%ld absorbed)\n", label, faults, faults, absorbed);
}

/* ---- short transfers and interruptions ---- */

static inline bool fault_interrupted(void) {
    if (atomic_fetch_add(&fault.calls, 1) % 2 == 1) return false;
    errno = EINTR;
    return true;
}
static inline int fault_short_open(const char *path, int flags, mode_t mode) {
    return fault_interrupted() ? -1 : fs_default_calls()->open(path, flags, mode);
}
static inline ssize_t fault_short_read(int fd, void *p, size_t n) {
    return fault_interrupted() ? -1 : fs_default_calls()->read(fd, p, n < 7 ? n : 7);
}
static inline ssize_t fault_short_write(int fd, const void *p, size_t n) {
    return fault_interrupted() ? -1 : fs_default_calls()->write(fd, p, n < 7 ? n : 7);
}

static inline void fault_short_files(const char *label, fault_run_fn run, fault_check_fn check, void *context) {
    fs_calls calls = *fs_default_calls();
    calls.open = fault_short_open;
    calls.read = fault_short_read;
    calls.write = fault_short_write;
    atomic_store(&fault.calls, 0);
    int64_t live = mem_live();
    int files = fault_open_files();
    fs_set_calls(&calls);
    souk_error err = {0};
    souk_status status = run(context, &err);
    fs_set_calls(NULL);
    fault.at = 0;
    fault.for_ever = false;
    fault_verify(label, check, context, status, &err, live, files);
    if (status != SOUK_OK) fail_msg("%s: short transfers made it fail: %s", label, err.message);
    printf("%s: short transfers and interruptions: %ld calls\n", label, atomic_load(&fault.calls));
}

#endif
