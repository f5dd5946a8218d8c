/* program.h - runs build/souk as a user would: arguments, input, environment; captures both streams and the exit
 * status. Include it after cmocka.h. */
#ifndef SOUK_TESTS_PROGRAM_H
#define SOUK_TESTS_PROGRAM_H

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct program_run {
    int status;      /* exit status, or 128 + signal */
    char *out, *err; /* NUL-terminated; free with program_clear */
    size_t out_len, err_len;
} program_run;

static inline void program_clear(program_run *r) {
    free(r->out);
    free(r->err);
    memset(r, 0, sizeof *r);
}

static inline void program_append(char **text, size_t *len, const char *p, size_t n) {
    *text = realloc(*text, *len + n + 1);
    assert_non_null(*text);
    memcpy(*text + *len, p, n);
    *len += n;
    (*text)[*len] = 0;
}

/* argv[0] is "souk" (the program under test); ends with NULL. input may be NULL (empty). env: "NAME=value" or NULL. */
static inline pid_t program_start(const char *const *argv, const char *env, int in, int out, int err) {
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid) return pid;
    if (env) putenv((char *)(uintptr_t)env);
    dup2(in, 0);
    dup2(out, 1);
    dup2(err, 2);
    for (int fd = 3; fd < 64; fd++) close(fd);
    execv(SOUK_BUILD_DIR "/souk", (char *const *)(uintptr_t)argv);
    _exit(127);
}

static inline program_run program_run_env(const char *env, const char *input, const char *const *argv) {
    program_run r = {0};
    int in[2], out[2], err[2];
    assert_int_equal(pipe(in) | pipe(out) | pipe(err), 0);
    signal(SIGPIPE, SIG_IGN);
    pid_t pid = program_start(argv, env, in[0], out[1], err[1]);
    close(in[0]);
    close(out[1]);
    close(err[1]);
    size_t left = input ? strlen(input) : 0;
    program_append(&r.out, &r.out_len, "", 0);
    program_append(&r.err, &r.err_len, "", 0);
    struct pollfd p[3] = {{out[0], POLLIN, 0}, {err[0], POLLIN, 0}, {in[1], POLLOUT, 0}};
    while (p[0].fd >= 0 || p[1].fd >= 0) {
        char block[65536];
        if (p[2].fd >= 0 && left == 0) {
            close(in[1]);
            p[2].fd = -1;
        }
        assert_true(poll(p, 3, -1) > 0);
        for (int i = 0; i < 2; i++) {
            if (p[i].fd < 0 || !p[i].revents) continue;
            ssize_t n = read(p[i].fd, block, sizeof block);
            if (n <= 0) {
                close(p[i].fd);
                p[i].fd = -1;
            } else if (i == 0)
                program_append(&r.out, &r.out_len, block, (size_t)n);
            else
                program_append(&r.err, &r.err_len, block, (size_t)n);
        }
        if (p[2].fd >= 0 && p[2].revents) {
            ssize_t n = write(in[1], input, left);
            if (n <= 0) {
                close(in[1]);
                p[2].fd = -1;
            } else {
                input += n;
                left -= (size_t)n;
            }
        }
    }
    if (p[2].fd >= 0) close(in[1]);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    r.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return r;
}

#define PROGRAM(...) program_run_env(NULL, NULL, (const char *const[]){"souk", __VA_ARGS__, NULL})
#define PROGRAM_INPUT(input, ...) program_run_env(NULL, input, (const char *const[]){"souk", __VA_ARGS__, NULL})
#define PROGRAM_ENV(env, ...) program_run_env(env, NULL, (const char *const[]){"souk", __VA_ARGS__, NULL})

/* A folder of this test's own under the build folder, emptied of what `rm` can remove; the tests run in it. */
static inline void program_folder(const char *name) {
    char path[512];
    snprintf(path, sizeof path, "%s/tests.d", SOUK_BUILD_DIR);
    mkdir(path, 0700);
    snprintf(path, sizeof path, "rm -rf '%s/tests.d/%s'", SOUK_BUILD_DIR, name);
    assert_int_equal(system(path), 0);
    snprintf(path, sizeof path, "%s/tests.d/%s", SOUK_BUILD_DIR, name);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(chdir(path), 0);
}

static inline void file_write(const char *path, const void *bytes, size_t n) {
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static inline char *file_read(const char *path, size_t *n) {
    FILE *f = fopen(path, "rb");
    if (!f) return NULL;
    char *text = NULL;
    *n = 0;
    char block[65536];
    size_t got;
    program_append(&text, n, "", 0);
    while ((got = fread(block, 1, sizeof block, f)) > 0) program_append(&text, n, block, got);
    fclose(f);
    return text;
}

static inline bool file_same(const char *a, const char *b) {
    size_t n, m;
    char *x = file_read(a, &n), *y = file_read(b, &m);
    bool same = x && y && n == m && !memcmp(x, y, n);
    free(x);
    free(y);
    return same;
}

#endif
