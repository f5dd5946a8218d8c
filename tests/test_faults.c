/* test_faults.c - each allocation and each file call of a small train, save and predict failing in turn, once and for
 * ever, and a real full disk: a clear error, no leak, and the earlier model as it was. Prints N of N. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/mount.h>

#include "fault.h"
#include "program.h"

static const char yaml[] = "input_features:\n  - name: text\n    type: text\n    preprocessing: {tokenizer: "
                           "{num_words: 50, oov_token: \"<OOV>\"}, pad_sequences: {maxlen: 8}}\n"
                           "    encoder: {type: lstm, embedding_size: 4, units: 4}\n"
                           "output_features:\n  - {name: label, type: binary}\n"
                           "trainer: {epochs: 1, batch_size: 32}\n";

static char *good; /* bytes of the earlier model */
static size_t good_size;

static souk_status train(void *context, souk_error *err) {
    (void)context;
    souk_train_options o = souk_train_options_default();
    o.config_text = yaml;
    o.out = "f.souk";
    o.seed = 2;
    o.threads = 1;
    o.replicates = 3;
    souk_model *m = NULL;
    souk_train_report *r = NULL;
    souk_status status = souk_train("reviews.csv", &o, &m, &r, err);
    souk_model_free(m);
    souk_train_report_free(r);
    return status;
}

static souk_status predict(void *context, souk_error *err) {
    (void)context;
    souk_model *m = NULL;
    souk_status status = souk_model_load("f.souk", &m, err);
    souk_predict_options o = souk_predict_options_default();
    o.out = "p.csv";
    o.threads = 1;
    if (status == SOUK_OK) status = souk_predict(m, "reviews.csv", &o, NULL, err);
    souk_model_free(m);
    return status;
}

static souk_status evaluate(void *context, souk_error *err) {
    (void)context;
    souk_model *m = NULL;
    souk_evaluation *e = NULL;
    souk_status status = souk_model_load("f.souk", &m, err);
    souk_evaluate_options o = souk_evaluate_options_default();
    o.replicates = 2;
    o.threads = 1;
    if (status == SOUK_OK) status = souk_evaluate(m, "reviews.csv", &o, &e, err);
    souk_evaluation_free(e);
    souk_model_free(m);
    return status;
}

/* Whatever failed, the file at OUT is a whole model: the earlier one, which the same training writes again. */
static void check_model(void *context, souk_status status) {
    (void)context;
    (void)status;
    size_t n;
    char *now = file_read("f.souk", &n);
    assert_non_null(now);
    assert_int_equal(n, good_size);
    assert_memory_equal(now, good, n);
    free(now);
    /* what a failed run may leave behind for --resume or for `rm`, never for the next run of the loop */
    unlink("f.souk.ckpt");
    unlink("f.souk.log.jsonl");
}

static int setup(void **state) {
    (void)state;
    program_folder("faults");
    if (system("head -61 '" SOUK_SOURCE_DIR "/examples/data/reviews.csv' > reviews.csv")) return 1;
    souk_error err = {0};
    if (train(NULL, &err) != SOUK_OK) {
        print_message("%s\n", err.message);
        return 1;
    }
    good = file_read("f.souk", &good_size);
    return good == NULL;
}

static int teardown(void **state) {
    (void)state;
    free(good);
    return 0;
}

/* Sanitizers make every run slow: they see every seventh fault, the release build all of them. */
static long step(void) {
#ifdef SOUK_SANITIZED
    return 7;
#else
    const char *campaign = getenv("SOUK_CAMPAIGN");
    return campaign ? 1 : 1;
#endif
}

static void test_train_alloc(void **state) {
    (void)state;
    fault_loop_alloc_step("train and save", train, check_model, NULL, step());
}

static void test_predict_alloc(void **state) {
    (void)state;
    fault_loop_alloc_step("load and predict", predict, check_model, NULL, step());
    fault_loop_alloc_step("load and evaluate", evaluate, check_model, NULL, step());
}

static void test_train_files(void **state) {
    (void)state;
    fault_loop_files("train and save", train, check_model, NULL);
}

static void test_predict_files(void **state) {
    (void)state;
    fault_loop_files("load and predict", predict, check_model, NULL);
}

/* A file system of 64 kB, really full. Needs the right to mount; elsewhere /dev/full stands in, and the test says so.
 */
static void test_full_disk(void **state) {
    (void)state;
    souk_error err = {0};
    mkdir("small", 0700);
    bool mounted = mount("none", "small", "tmpfs", 0, "size=64k") == 0;
    if (!mounted) {
        print_message("no right to mount a small disk here: writing to /dev/full instead\n");
        program_run r = program_run_env(
            NULL, NULL,
            (const char *const[]){"souk", "train", "reviews.csv", "--target", "label", "--out", "/dev/full", NULL});
        assert_int_not_equal(r.status, 0);
        program_clear(&r);
        return;
    }
    file_write("small/f.souk", good, good_size);
    size_t fill = 64 * 1024 - good_size - 8192; /* leaves less than a model */
    char *zeros = calloc(1, fill);
    file_write("small/filler", zeros, fill);
    free(zeros);
    souk_train_options o = souk_train_options_default();
    o.config_text = yaml;
    o.out = "small/f.souk";
    o.seed = 3;
    o.threads = 1;
    o.replicates = 0;
    souk_status status = souk_train("reviews.csv", &o, NULL, NULL, &err);
    size_t n = 0;
    char *now = file_read("small/f.souk", &n);
    bool intact = now && n == good_size && !memcmp(now, good, n);
    free(now);
    umount("small");
    assert_int_equal(status, SOUK_IO);
    assert_non_null(strstr(err.message, "small"));
    print_message("full disk: %s\n", err.message);
    assert_true(intact);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_train_files), cmocka_unit_test(test_predict_files),
                                       cmocka_unit_test(test_train_alloc), cmocka_unit_test(test_predict_alloc),
                                       cmocka_unit_test(test_full_disk)};
    return cmocka_run_group_tests_name("faults", tests, setup, teardown);
}
