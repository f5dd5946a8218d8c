/* paths.c - what would be written over: no output of a command may be one of its inputs, or another output. A model, a
 * file of rejected rows or predictions in place of the firm's own table is the one mistake that cannot be undone.
 *
 * Files are compared by name and, where they exist, by device and inode, so that links do not hide them. Devices and
 * pipes are left alone: /dev/null may be named twice. */
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cli.h"

static bool same_file(const char *a, const char *b) {
    struct stat x, y;
    if (stat(a, &x) || stat(b, &y)) return !strcmp(a, b);
    return S_ISREG(x.st_mode) && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* An input may be a pattern. */
static bool is_input(const char *output, const char *input) {
    struct stat s;
    glob_t found;
    if (!strcmp(input, "-")) return false;
    if (same_file(output, input)) return true;
    if (stat(input, &s) == 0 || glob(input, 0, NULL, &found)) return false;
    bool same = false;
    for (size_t i = 0; i < found.gl_pathc && !same; i++) same = same_file(output, found.gl_pathv[i]);
    globfree(&found);
    return same;
}

static int refuse(const char *option, const char *path, const char *what) {
    fprintf(stderr, "souk: %s %s would be written over %s: give it another name\n", option, path, what);
    return 2;
}

int paths_check(const args *a) {
    static const char *const outputs[] = {"--out", "--rejects", "--history"};
    static const char *const inputs[] = {"--config", "--validation", "--test"};
    enum { N_OUTPUTS = sizeof outputs / sizeof *outputs, N_INPUTS = sizeof inputs / sizeof *inputs };
    for (int i = 0; i < N_OUTPUTS; i++) {
        const char *path = args_text(a, outputs[i]), *other;
        if (!path || !strcmp(path, "-")) continue;
        if (!*path) {
            fprintf(stderr, "souk: %s needs the name of a file\n", outputs[i]);
            return 2;
        }
        for (int k = 0; k < a->n_positional; k++)
            if (is_input(path, a->positional[k])) return refuse(outputs[i], path, "a file that is read");
        for (int k = 0; k < N_INPUTS; k++)
            if ((other = args_text(a, inputs[k])) && is_input(path, other))
                return refuse(outputs[i], path, "a file that is read");
        for (int k = 0; k < i; k++)
            if ((other = args_text(a, outputs[k])) && same_file(path, other))
                return refuse(outputs[i], path, outputs[k]);
    }
    return 0;
}
