/* test_kill.c - SIGKILL at random moments of a training, half of them inside a checkpoint's write; each time `--resume`
 * must end with the same file, byte for byte, as a run that was never disturbed.
 *
 * Moments come from a fixed seed. A kill "inside a write" is aimed: the test waits until the checkpoint's temporary
 * file is there, and kills then. SOUK_CAMPAIGN=release makes it 1,000 kills instead of 100. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <time.h>

#include "program.h"

static const char yaml[] = "input_features:\n  - name: text\n    type: text\n    preprocessing: {tokenizer: "
                           "{num_words: 1000, oov_token: \"<OOV>\"}, pad_sequences: {maxlen: 40}}\n"
                           "    encoder: {type: lstm, embedding_size: 16, units: 16, dropout: 0.1}\n"
                           "output_features:\n  - {name: label, type: binary}\n"
                           "trainer: {epochs: 4, batch_size: 32, checkpoint_seconds: 0.002, validation_split: 0.2, "
                           "early_stopping: {patience: 2, restore_best_weights: true}}\n";

static const char *const train_args[] = {"souk",   "train",   "reviews.csv", "--config",  "kill.yaml", "--out",
                                         "k.souk", "--seed",  "3",           "--threads", "2",         "--replicates",
                                         "20",     "--quiet", "--resume",    NULL};

static int setup(void **state) {
    (void)state;
    program_folder("kill");
    file_write("kill.yaml", yaml, sizeof yaml - 1);
    return system("head -801 '" SOUK_SOURCE_DIR "/examples/data/reviews.csv' > reviews.csv");
}

static uint64_t random_state = 20261124;
static uint64_t next_random(void) { /* splitmix64 */
    uint64_t z = (random_state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static bool temporary_there(void) {
    DIR *d = opendir(".");
    bool there = false;
    for (struct dirent *e; d && (e = readdir(d));)
        if (strstr(e->d_name, ".ckpt.tmp")) there = true;
    if (d) closedir(d);
    return there;
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Runs the training and kills it; true: it was killed, false: it had finished. `inside` counts kills that met a
 * temporary file. */
static bool run_and_kill(double after, bool aim, int *inside) {
    int null = open("/dev/null", O_RDWR), log = open("err.txt", O_RDWR | O_CREAT | O_TRUNC, 0600);
    pid_t pid = program_start(train_args, NULL, null, null, log);
    close(null);
    close(log);
    double start = now();
    int status;
    for (;;) {
        if (waitpid(pid, &status, WNOHANG) == pid) {
            size_t n;
            char *text = file_read("err.txt", &n);
            if (!WIFEXITED(status) || WEXITSTATUS(status)) print_message("training failed by itself: %s", text);
            free(text);
            assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
            return false;
        }
        if (now() - start < after) {
            usleep(100);
            continue;
        }
        if (!aim || temporary_there()) break;
    }
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (temporary_there()) ++*inside;
    return true;
}

static void test_kill(void **state) {
    (void)state;
    const char *campaign = getenv("SOUK_CAMPAIGN");
    int kills = campaign && !strcmp(campaign, "release") ? 1000 : 100, done = 0, same = 0, inside = 0;
    double start = now();
    int ignored = 0;
    assert_false(run_and_kill(1e9, false, &ignored));
    double whole = now() - start;
    assert_int_equal(rename("k.souk", "whole.souk"), 0);
    while (done < kills) {
        if (!run_and_kill(whole * (double)(next_random() >> 11) * 0x1p-53, done % 2 == 1, &inside))
            continue; /* it was faster */
        done++;
        assert_false(run_and_kill(1e9, false, &ignored));
        if (file_same("k.souk", "whole.souk"))
            same++;
        else
            print_message("kill %d: the resumed training ended with another file\n", done);
        assert_int_not_equal(access("k.souk.ckpt", F_OK), 0);
        assert_false(temporary_there());
        unlink("k.souk");
    }
    print_message(
        "kill: %d of %d resumed trainings identical to the undisturbed one (%d kills inside a checkpoint's write)\n",
        same, done, inside);
    assert_int_equal(same, done);
    assert_true(inside >= kills / 5);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_kill)};
    return cmocka_run_group_tests_name("kill", tests, setup, NULL);
}
