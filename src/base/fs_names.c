/* fs_names - file names: globs, extensions, and the temporaries that killed processes left.
 *
 * Matches are sorted by bytes, not by the locale, so that several input files are read in the same order on every
 * machine. A pattern that is also the name of a file means that file ("sales[1].csv").
 * Leaves to others: reading what was found (fs.c). */
#include "base/fs_names.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/num.h"

typedef struct name_list {
    char **names;
    size_t n, capacity;
} name_list;

static bool list_add(name_list *l, const char *name) {
    if (!mem_grow(&l->names, &l->capacity, l->n, sizeof *l->names)) return false;
    char *copy = mem_strdup(name);
    if (!copy) return false;
    l->names[l->n++] = copy;
    return true;
}

static int by_bytes(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

void fs_glob_free(char **paths, size_t n) {
    for (size_t i = 0; paths && i < n; i++) mem_free(paths[i]);
    mem_free(paths);
}

souk_status fs_glob(const char *pattern, char ***paths, size_t *n, souk_error *err) {
    name_list list = {0};
    glob_t found = {0};
    souk_status status = SOUK_OK;
    *paths = NULL;
    *n = 0;
    if (!strpbrk(pattern, "*?[") || fs_exists(pattern)) {
        if (!list_add(&list, pattern)) status = err_nomem(err, "listing files");
    } else {
        int result = glob(pattern, GLOB_NOSORT, NULL, &found);
        if (result == GLOB_NOMATCH)
            status = err_set(err, SOUK_INPUT, "%s: no file has a name like that (check the pattern and the folder)",
                             pattern);
        else if (result == GLOB_NOSPACE)
            status = err_nomem(err, "listing files");
        else if (result != 0)
            status = err_set(err, SOUK_IO, "%s: cannot read the folder (check its permissions)", pattern);
        for (size_t i = 0; status == SOUK_OK && i < found.gl_pathc; i++)
            if (!list_add(&list, found.gl_pathv[i])) status = err_nomem(err, "listing files");
        globfree(&found);
    }
    if (status != SOUK_OK) {
        fs_glob_free(list.names, list.n);
        return status;
    }
    qsort(list.names, list.n, sizeof *list.names, by_bytes);
    *paths = list.names;
    *n = list.n;
    return SOUK_OK;
}

const char *fs_extension(const char *path) {
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path, *dot = strrchr(name, '.');
    return dot && dot != name ? dot : name + strlen(name);
}

/* "tmp-123" or "tmp-123-4" behind "NAME.": the process number; -1 for any other name. */
static int64_t temporary_process(const char *suffix) {
    int64_t pid, number;
    if (strncmp(suffix, ".tmp-", 5) != 0) return -1;
    suffix += 5;
    size_t digits = strspn(suffix, "0123456789");
    if (!num_parse_int64(suffix, digits, &pid) || pid <= 0 || pid > INT_MAX) return -1;
    if (suffix[digits] == '\0') return pid;
    const char *rest = suffix + digits + 1;
    bool numbered = suffix[digits] == '-' && *rest != '+' && *rest != '-';
    return numbered && num_parse_int64(rest, strlen(rest), &number) ? pid : -1;
}

static bool process_gone(int64_t pid) { return kill((pid_t)pid, 0) != 0 && errno == ESRCH; }

souk_status fs_stale_temporaries(const char *path, char ***names, size_t *n) {
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    size_t folder_length = (size_t)(name - path), name_length = strlen(name);
    char folder[PATH_MAX], full[PATH_MAX + NAME_MAX + 1];
    if (folder_length >= sizeof folder) return SOUK_INPUT;
    memcpy(folder, path, folder_length);
    folder[folder_length] = '\0';
    DIR *d = opendir(folder_length ? folder : ".");
    if (!d) return SOUK_IO;
    name_list list = {0};
    souk_status status = SOUK_OK;
    for (struct dirent *e; status == SOUK_OK && (e = readdir(d));) {
        if (strncmp(e->d_name, name, name_length) != 0) continue;
        int64_t pid = temporary_process(e->d_name + name_length);
        if (pid < 0 || (pid != getpid() && !process_gone(pid))) continue;
        memcpy(full, folder, folder_length);
        memcpy(full + folder_length, e->d_name, strlen(e->d_name) + 1);
        if (!list_add(&list, full)) status = SOUK_NOMEM;
    }
    closedir(d);
    if (status != SOUK_OK) {
        fs_glob_free(list.names, list.n);
        return status;
    }
    *names = list.names;
    *n = list.n;
    return SOUK_OK;
}
