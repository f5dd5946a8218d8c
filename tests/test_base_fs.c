/* test_base_fs - whole files, refusals, names, sweeps, and every file call failing in turn. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/fs.h"
#include "base/mem.h"
#include "fault.h"

static char folder[] = "/tmp/souk-fs-XXXXXX";
static char scratch[3][256];

/* A path in the test's folder; valid until the third call after. */
static const char *in_folder(const char *name) {
    static int turn;
    char *path = scratch[turn++ % 3];
    snprintf(path, sizeof scratch[0], "%s/%s", folder, name);
    return path;
}

static int files_in_folder(void) {
    int n = 0;
    DIR *d = opendir(folder);
    assert_non_null(d);
    while (readdir(d)) n++;
    closedir(d);
    return n - 2;
}

static int set_up(void **state) {
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    char command[300];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static void expect_content(const char *path, const char *content) {
    char *data;
    size_t n;
    souk_error err = {0};
    if (fs_read_all(path, 1 << 20, &data, &n, &err) != SOUK_OK) fail_msg("%s", err.message);
    assert_int_equal(n, strlen(content));
    assert_memory_equal(data, content, n + 1);
    mem_free(data);
}

static void writes_whole_files(void **state) {
    (void)state;
    const char *path = in_folder("plain");
    souk_error err = {0};
    fs_writer *w;
    assert_int_equal(fs_write_all(path, "old", 3, &err), SOUK_OK);
    assert_int_equal(fs_create(&w, path, &err), SOUK_OK);
    char block[1000];
    memset(block, 'x', sizeof block);
    for (int i = 0; i < 200; i++) assert_int_equal(fs_write(w, block, sizeof block, &err), SOUK_OK);
    expect_content(path, "old"); /* until the commit */
    assert_int_equal(fs_written(w), 200000);
    assert_int_equal(fs_commit(w, &err), SOUK_OK);
    assert_int_equal(fs_size(path), 200000);
    assert_int_equal(fs_create(&w, path, &err), SOUK_OK);
    fs_abandon(w);
    fs_abandon(NULL);
    assert_int_equal(fs_size(path), 200000);
    assert_int_equal(fs_append(path, "y\n", 2, &err), SOUK_OK);
    assert_int_equal(fs_size(path), 200002);
    assert_int_equal(fs_remove(path, &err), SOUK_OK);
    assert_int_equal(fs_remove(path, &err), SOUK_OK);
    assert_int_equal(files_in_folder(), 0);
}

static void modes_and_links(void **state) {
    (void)state;
    struct stat st;
    const char *target = in_folder("target"), *link = in_folder("link");
    mode_t before = umask(027);
    assert_int_equal(fs_write_all(target, "1", 1, NULL), SOUK_OK);
    umask(before);
    assert_int_equal(stat(target, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
    assert_int_equal(chmod(target, 0604), 0);
    assert_int_equal(symlink("target", link), 0);
    assert_int_equal(fs_write_all(link, "22", 2, NULL), SOUK_OK);
    assert_int_equal(lstat(link, &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    assert_int_equal(stat(target, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0604);
    expect_content(target, "22");
    fs_remove(link, NULL);
    fs_remove(target, NULL);
    assert_int_equal(fs_write_all("/dev/null", "gone", 4, NULL), SOUK_OK);
    assert_int_equal(stat("/dev/null", &st), 0);
    assert_true(S_ISCHR(st.st_mode));
}

static void expect_refusal(souk_status got, souk_status expected, const souk_error *err, const char *words) {
    assert_int_equal(got, expected);
    if (!strstr(err->message, words)) fail_msg("\"%s\" does not say \"%s\"", err->message, words);
}

static void refuses_what_is_no_file(void **state) {
    (void)state;
    fs_reader *r;
    fs_writer *w;
    char *data;
    size_t n;
    souk_error err = {0};
    expect_refusal(fs_open(&r, folder, &err), SOUK_INPUT, &err, "this is a folder");
    err_clear(&err);
    const char *pipe_path = in_folder("pipe");
    assert_int_equal(mkfifo(pipe_path, 0600), 0);
    expect_refusal(fs_open(&r, pipe_path, &err), SOUK_INPUT, &err, "named pipe");
    fs_remove(pipe_path, NULL);
    err_clear(&err);
    expect_refusal(fs_open(&r, in_folder("absent"), &err), SOUK_INPUT, &err, "there is no such file");
    err_clear(&err);
    expect_refusal(fs_create(&w, folder, &err), SOUK_INPUT, &err, "it is a folder");
    err_clear(&err);
    expect_refusal(fs_create(&w, in_folder("no/such/x"), &err), SOUK_IO, &err, "create the folder first");
    err_clear(&err);
    const char *large = in_folder("large");
    assert_int_equal(fs_write_all(large, "12345678901", 11, NULL), SOUK_OK);
    expect_refusal(fs_read_all(large, 10, &data, &n, &err), SOUK_REFUSED, &err, "limit of 10 bytes");
    assert_null(data);
    assert_int_equal(fs_read_all(large, 11, &data, &n, NULL), SOUK_OK);
    mem_free(data);
    err_clear(&err);
    expect_refusal(fs_read_all("/dev/zero", 5000, &data, &n, &err), SOUK_REFUSED, &err, "limit of 5000 bytes");
    fs_remove(large, NULL);
    assert_int_equal(fs_size(folder), -1);
    assert_true(fs_exists(folder));
    assert_int_equal(fs_read_all("/dev/null", 10, &data, &n, NULL), SOUK_OK);
    assert_int_equal(n, 0);
    mem_free(data);
    if (access("/dev/full", W_OK) == 0) {
        err_clear(&err);
        expect_refusal(fs_write_all("/dev/full", "x", 1, &err), SOUK_IO, &err, "the disk is full");
    }
}

static void standard_streams(void **state) {
    (void)state;
    int ends[2], kept_in = dup(0), kept_out = dup(1);
    assert_int_equal(pipe(ends), 0);
    fflush(stdout);
    dup2(ends[1], 1);
    souk_status written = fs_write_all("-", "through", 7, NULL);
    dup2(kept_out, 1);
    assert_int_equal(written, SOUK_OK);
    close(ends[1]);
    dup2(ends[0], 0);
    expect_content("-", "through");
    dup2(kept_in, 0);
    close(ends[0]);
    close(kept_in);
    close(kept_out);
}

/* Temporaries of dead processes go, of living ones stay; our own stay while a writer has them. */
static void sweeps_what_kills_left(void **state) {
    (void)state;
    char name[300];
    const char *path = in_folder("model");
    pid_t child = fork();
    if (child == 0) _exit(0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    static const char *const kept[] = {".tmp-", ".tmp-12x", ".tmp-1", ".tmp-0", ".other"};
    for (int i = 0; i < 5; i++) {
        snprintf(name, sizeof name, "%s%s", path, kept[i]);
        assert_int_equal(fs_append(name, "", 0, NULL), SOUK_OK);
    }
    for (int i = 0; i < 3; i++) { /* two of the dead child, one of an earlier process with our number */
        if (i == 2)
            snprintf(name, sizeof name, "%s.tmp-%d-7", path, (int)getpid());
        else
            snprintf(name, sizeof name, "%s.tmp-%d%s", path, (int)child, i ? "-3" : "");
        assert_int_equal(fs_append(name, "", 0, NULL), SOUK_OK);
    }
    fs_writer *a, *b;
    assert_int_equal(fs_create(&a, path, NULL), SOUK_OK);
    assert_int_equal(fs_create(&b, path, NULL), SOUK_OK);
    assert_int_equal(files_in_folder(), 10);
    fs_sweep(path);
    assert_int_equal(files_in_folder(), 7);
    assert_int_equal(fs_write(a, "a", 1, NULL), SOUK_OK);
    assert_int_equal(fs_commit(a, NULL), SOUK_OK);
    assert_int_equal(fs_commit(b, NULL), SOUK_OK);
    expect_content(path, "");
    assert_int_equal(files_in_folder(), 6);
    for (int i = 0; i < 5; i++) {
        snprintf(name, sizeof name, "%s%s", path, kept[i]);
        fs_remove(name, NULL);
    }
    fs_remove(path, NULL);
    fs_sweep("/no/such/folder/model");
}

static void globs_and_extensions(void **state) {
    (void)state;
    static const char *const names[] = {"b.csv", "a.csv", "C.csv", "x[1].csv", "n.txt"};
    char **paths;
    size_t n;
    souk_error err = {0};
    for (int i = 0; i < 5; i++) assert_int_equal(fs_write_all(in_folder(names[i]), "", 0, NULL), SOUK_OK);
    assert_int_equal(fs_glob(in_folder("?.csv"), &paths, &n, &err), SOUK_OK);
    assert_int_equal(n, 3);
    assert_string_equal(paths[0], in_folder("C.csv")); /* by bytes: capitals first, in every locale */
    assert_string_equal(paths[2], in_folder("b.csv"));
    fs_glob_free(paths, n);
    assert_int_equal(fs_glob(in_folder("x[1].csv"), &paths, &n, &err), SOUK_OK);
    assert_int_equal(n, 1);
    fs_glob_free(paths, n);
    assert_int_equal(fs_glob("plain name", &paths, &n, &err), SOUK_OK);
    assert_string_equal(paths[0], "plain name");
    fs_glob_free(paths, n);
    expect_refusal(fs_glob(in_folder("*.gz"), &paths, &n, &err), SOUK_INPUT, &err, "no file has a name like that");
    for (int i = 0; i < 5; i++) fs_remove(in_folder(names[i]), NULL);
    assert_string_equal(fs_extension("a/b.csv"), ".csv");
    assert_string_equal(fs_extension("a.b/c"), "");
    assert_string_equal(fs_extension("a/.hidden"), "");
    assert_string_equal(fs_extension("x.csv.gz"), ".gz");
}

/* ---- faults ---- */

static const char OLD[] = "the old model";
static char NEW[150000];

static souk_status save(void *context, souk_error *err) { return fs_write_all(context, NEW, sizeof NEW, err); }

/* The file is the old or the new one, whole; old if the save failed, except when only the folder's sync did. */
static void check_saved(void *context, souk_status status) {
    char *data;
    size_t n;
    assert_int_equal(fs_read_all(context, 1 << 20, &data, &n, NULL), SOUK_OK);
    bool is_old = n == sizeof OLD && memcmp(data, OLD, n) == 0, is_new = n == sizeof NEW && memcmp(data, NEW, n) == 0;
    mem_free(data);
    bool folder_sync = fault.call == FAULT_FSYNC || fault.call == FAULT_CLOSE;
    if (!is_old && !is_new) fail_msg("the file is neither the old nor the new one");
    if (status != SOUK_OK && !is_old && !(folder_sync && fault.at == 2)) fail_msg("a failed save changed the file");
    if (status == SOUK_OK && !is_new) fail_msg("a save that succeeded changed nothing");
    assert_int_equal(files_in_folder(), 1);
    assert_int_equal(fs_write_all(context, OLD, sizeof OLD, NULL), SOUK_OK);
}

static souk_status load(void *context, souk_error *err) {
    char *data;
    size_t n;
    TRY(fs_read_all(context, 1 << 20, &data, &n, err));
    assert_int_equal(n, sizeof OLD);
    assert_memory_equal(data, OLD, n);
    mem_free(data);
    return SOUK_OK;
}

static souk_status append(void *context, souk_error *err) { return fs_append(context, "line\n", 5, err); }

static souk_status list(void *context, souk_error *err) {
    char **paths;
    size_t n;
    TRY(fs_glob(context, &paths, &n, err));
    fs_glob_free(paths, n);
    return SOUK_OK;
}

static void every_call_fails_in_turn(void **state) {
    (void)state;
    char path[256], pattern[260];
    snprintf(path, sizeof path, "%s/faulty", folder);
    snprintf(pattern, sizeof pattern, "%s*", path);
    memset(NEW, 'n', sizeof NEW);
    assert_int_equal(fs_write_all(path, OLD, sizeof OLD, NULL), SOUK_OK);
    fault_loop_files("fs_write_all", save, check_saved, path);
    fault_loop_alloc("fs_write_all", save, check_saved, path);
    fault_short_files("fs_write_all", save, check_saved, path);
    fault_loop_files("fs_read_all", load, NULL, path);
    fault_loop_alloc("fs_read_all", load, NULL, path);
    fault_short_files("fs_read_all", load, NULL, path);
    fault_loop_alloc("fs_glob", list, NULL, pattern);
    fault_loop_files("fs_append", append, NULL, path);
    fs_remove(path, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_whole_files),      cmocka_unit_test(modes_and_links),
        cmocka_unit_test(refuses_what_is_no_file), cmocka_unit_test(standard_streams),
        cmocka_unit_test(sweeps_what_kills_left),  cmocka_unit_test(globs_and_extensions),
        cmocka_unit_test(every_call_fails_in_turn)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
