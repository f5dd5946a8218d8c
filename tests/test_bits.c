/* test_bits.c - same seed, same bits: whole model files for 1, 2, 3 and 8 threads and for plain C, AVX2 and AVX-512,
 * with dropout, a bidirectional layer, recurrent dropout and gradient accumulation in play. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <cmocka.h>

#include "program.h"

static const char yaml[] =
    "input_features:\n  - name: text\n    type: text\n    preprocessing: {tokenizer: {num_words: 300, oov_token: "
    "\"<OOV>\"}, pad_sequences: {maxlen: 24}}\n"
    "    encoder:\n      type: sequential\n      layers:\n"
    "        - {type: embedding, output_dim: 12, mask_zero: true}\n"
    "        - {type: lstm, units: 9, bidirectional: true, return_sequences: true, dropout: 0.1, recurrent_dropout: "
    "0.1}\n"
    "        - {type: dropout, rate: 0.2}\n"
    "        - {type: gru, units: 7}\n"
    "output_features:\n  - {name: label, type: binary}\n"
    "trainer: {epochs: 2, batch_size: 24, optimizer: {type: adam, gradient_accumulation_steps: 2, clipnorm: 1.0}}\n";
static const char plain[] = /* the fused path: embedding into an LSTM, pads shared */
    "input_features:\n  - name: text\n    type: text\n    preprocessing: {tokenizer: {num_words: 300, oov_token: "
    "\"<OOV>\"}, pad_sequences: {maxlen: 40}}\n"
    "    encoder: {type: lstm, embedding_size: 16, units: 32}\n"
    "output_features:\n  - {name: label, type: binary}\n"
    "trainer: {epochs: 2, batch_size: 32}\n";

static const char *const levels[] = {"SOUK_CPU=c", "SOUK_CPU=avx2", "SOUK_CPU=avx512"};
static const char *const threads[] = {"1", "2", "3", "8"};

static int setup(void **state) {
    (void)state;
    program_folder("bits");
    file_write("masked.yaml", yaml, sizeof yaml - 1);
    file_write("plain.yaml", plain, sizeof plain - 1);
    return system("head -401 '" SOUK_SOURCE_DIR "/examples/data/reviews.csv' > reviews.csv");
}

static void train(const char *env, const char *count, const char *config, const char *out) {
    program_run r = PROGRAM_ENV(env, "train", "reviews.csv", "--config", config, "--out", out, "--threads", count,
                                "--seed", "7", "--quiet", "--replicates", "50");
    if (r.status) print_message("%s %s threads: %s", env, count, r.err);
    assert_int_equal(r.status, 0);
    program_clear(&r);
}

/* A level that the machine has not got falls back to the one below and would pass for nothing: say what really ran. */
static bool level_runs(const char *env) {
    program_run r = PROGRAM_ENV(env, "doctor");
    char want[64];
    snprintf(want, sizeof want, "\"kernels\": \"%s\"", strchr(env, '=') + 1);
    bool runs = strstr(r.out, want) != NULL;
    program_clear(&r);
    return runs;
}

static void compare(const char *config) {
    int same = 0, all = 0, skipped = 0;
    train(levels[0], "1", config, "first.souk");
    for (size_t l = 0; l < 3; l++) {
        if (!level_runs(levels[l])) {
            print_message("%s: this machine has not got it, skipped\n", levels[l]);
            skipped++;
            continue;
        }
        for (size_t t = 0; t < 4; t++) {
            train(levels[l], threads[t], config, "other.souk");
            all++;
            if (file_same("first.souk", "other.souk"))
                same++;
            else
                print_message("%s, %s threads: another file than plain C on 1 thread\n", levels[l], threads[t]);
        }
    }
    print_message("%s: %d of %d model files identical (%d levels skipped)\n", config, same, all, skipped);
    assert_int_equal(same, all);
}

static void test_masked(void **state) {
    (void)state;
    compare("masked.yaml");
}

static void test_plain(void **state) {
    (void)state;
    compare("plain.yaml");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_masked), cmocka_unit_test(test_plain)};
    return cmocka_run_group_tests_name("bits", tests, setup, NULL);
}
