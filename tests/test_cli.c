/* test_cli.c - the program as a newcomer uses and misuses it. Bad input gets a sentence that names file, row and column
 * and says what to do, and exit status 2; each line of the table below is one such mistake. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <cmocka.h>

#include "program.h"

#define TRAIN "train", "bad.csv", "--target", "label", "--out", "x.souk"

static const char tiny_yaml[] = "input_features:\n  - name: text\n    type: text\n    preprocessing: {tokenizer: "
                                "{type: word, num_words: 200, oov_token: \"<OOV>\"}, pad_sequences: {maxlen: 20}}\n"
                                "    encoder: {type: lstm, embedding_size: 8, units: 8}\noutput_features:\n  - {name: "
                                "label, type: binary}\ntrainer: {epochs: 2, batch_size: 32}\n";

static void make_reviews(const char *path, int rows) {
    static const char *const good[] = {"great phone", "works very well", "love this place", "excellent food",
                                       "best film ever"};
    static const char *const poor[] = {"bad phone", "does not work", "hate this place", "cold food", "worst film ever"};
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs("text,label\n", f);
    for (int i = 0; i < rows; i++)
        fprintf(f, "\"%s number %d\",%d\n", i % 2 ? good[i / 2 % 5] : poor[i / 2 % 5], i % 17, i % 2);
    fclose(f);
}

static int setup(void **state) {
    (void)state;
    program_folder("cli");
    make_reviews("reviews.csv", 300);
    file_write("tiny.yaml", tiny_yaml, sizeof tiny_yaml - 1);
    program_run r =
        PROGRAM("train", "reviews.csv", "--config", "tiny.yaml", "--out", "m.souk", "--seed", "1", "--quiet");
    if (r.status) print_message("%s", r.err);
    assert_int_equal(r.status, 0);
    program_clear(&r);
    return 0;
}

/* ---- the acceptance commands ---- */

static void test_train_evaluate_predict(void **state) {
    (void)state;
    program_run r = PROGRAM("train", "reviews.csv", "--target", "label", "--config", "tiny.yaml", "--out", "a.souk",
                            "--seed", "1", "--json");
    assert_int_equal(r.status, 0);
    static const char *const keys[] = {"\"model\"",   "\"seconds\"",  "\"peak_memory_bytes\"", "\"metrics\"",
                                       "\"history\"", "\"accuracy\"", "\"val_loss\""};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) assert_non_null(strstr(r.out, keys[i]));
    assert_int_equal(r.out[0], '{');
    program_clear(&r);
    r = PROGRAM("evaluate", "a.souk", "reviews.csv", "--json", "--replicates", "200");
    assert_int_equal(r.status, 0);
    assert_non_null(strstr(r.out, "\"rows\": 300"));
    static const char *const metrics[] = {"accuracy", "balanced_accuracy", "precision", "recall",   "f1",
                                          "mcc",      "roc_auc",           "pr_auc",    "log_loss", "brier",
                                          "ece",      "intervals"};
    for (size_t i = 0; i < sizeof metrics / sizeof *metrics; i++) assert_non_null(strstr(r.out, metrics[i]));
    program_clear(&r);
    r = PROGRAM_INPUT("great phone\nworst film ever\n", "predict", "a.souk", "-");
    assert_int_equal(r.status, 0);
    assert_int_equal(strncmp(r.out, "text,label_prediction,label_probability\ngreat phone,", 52), 0);
    program_clear(&r);
    r = PROGRAM("predict", "a.souk", "reviews.csv", "--out", "p.csv", "--json");
    assert_int_equal(r.status, 0);
    assert_non_null(strstr(r.out, "\"rows\": 300"));
    size_t n;
    char *rows = file_read("p.csv", &n);
    assert_int_equal(strncmp(rows, "text,label,label_prediction,label_probability\n", 46), 0);
    free(rows);
    program_clear(&r);
}

static void test_no_config(void **state) {
    (void)state;
    program_run r = PROGRAM("train", "reviews.csv", "--target", "label", "--out", "b.souk", "--replicates", "100",
                            "--set", "trainer.epochs=1");
    assert_int_equal(r.status, 0);
    assert_non_null(strstr(r.err, "text"));
    assert_non_null(strstr(r.out, "test rows"));
    program_clear(&r);
    r = PROGRAM("init", "reviews.csv", "--target", "label", "--quiet");
    assert_int_equal(r.status, 0);
    assert_non_null(strstr(r.out, "input_features:"));
    file_write("init.yaml", r.out, r.out_len);
    program_clear(&r);
    r = PROGRAM("train", "reviews.csv", "--config", "init.yaml", "--set", "trainer.epochs=1", "--quiet", "--json");
    assert_int_equal(r.status, 0);
    program_clear(&r);
}

/* ---- output for spreadsheets; a path that JSON must escape ---- */

static void test_excel(void **state) {
    (void)state;
    static const char rows[] = "text,id\ngreat phone,007\n=1+1,12345678901234567\nbad phone,42";
    file_write("ids.csv", rows, sizeof rows - 1);
    program_run r = PROGRAM("predict", "m.souk", "ids.csv", "--excel", "--json", "--out", "a \"b\".csv");
    assert_int_equal(r.status, 0);
    assert_non_null(strstr(r.out, "{\"out\": \"a \\\"b\\\".csv\", \"rows\": 3,"));
    program_clear(&r);
    size_t n;
    char *text = file_read("a \"b\".csv", &n);
    assert_non_null(strstr(text, "\r\ngreat phone,'007,"));
    assert_non_null(strstr(text, "\r\n'=1+1,'12345678901234567,"));
    assert_non_null(strstr(text, "\r\nbad phone,42,"));
    free(text);
}

/* Numbers are numbers in JSON, as they were written; rows that cannot be read are owned up to. */
static void test_json_rows(void **state) {
    (void)state;
    static const char rows[] = "text,size,code\na phone,1.50,007\nb phone,-2e3,x\nc phone,,\"q\"\"\"\n";
    file_write("typed.csv", rows, sizeof rows - 1);
    program_run r = PROGRAM("predict", "m.souk", "typed.csv", "--json");
    assert_int_equal(r.status, 0);
    assert_non_null(strstr(r.out, "\"size\":1.50,\"code\":\"007\","));
    assert_non_null(strstr(r.out, "\"size\":-2e3,\"code\":\"x\","));
    assert_non_null(strstr(r.out, "\"size\":\"\",\"code\":\"q\\\"\","));
    program_clear(&r);
    file_write("torn.csv", "text\ngood\nbad,1,2\n", 18);
    r = PROGRAM("predict", "m.souk", "torn.csv", "--max-bad", "1");
    assert_int_equal(r.status, 0);
    assert_non_null(strstr(r.err, "1 of 2 rows"));
    program_clear(&r);
}

static void test_formats(void **state) {
    (void)state;
    assert_int_equal(system("gzip -kf reviews.csv && tr , '\\t' < reviews.csv > reviews.tsv"), 0);
    static const char *const sources[] = {"reviews.csv.gz", "reviews.tsv", "reviews.c*v"};
    for (size_t i = 0; i < 3; i++) {
        program_run r = PROGRAM("evaluate", "m.souk", sources[i], "--quiet", "--replicates", "0", "--json");
        assert_int_equal(r.status, 0);
        assert_non_null(strstr(r.out, "\"rows\": 300"));
        program_clear(&r);
    }
    size_t n;
    char *text = file_read("reviews.csv", &n);
    program_run r = PROGRAM_INPUT(text, "evaluate", "m.souk", "-", "--where", "label = 1", "--replicates", "0",
                                  "--json", "--quiet");
    free(text);
    assert_int_equal(r.status, 0);
    assert_non_null(strstr(r.out, "\"rows\": 150"));
    program_clear(&r);
}

static void test_inspect_doctor_help(void **state) {
    (void)state;
    const char *const *const commands[] = {(const char *const[]){"souk", "inspect", "m.souk", NULL},
                                           (const char *const[]){"souk", "inspect", "m.souk", "--json", NULL},
                                           (const char *const[]){"souk", "doctor", NULL},
                                           (const char *const[]){"souk", "doctor", "--json", NULL},
                                           (const char *const[]){"souk", "help", NULL},
                                           (const char *const[]){"souk", "help", "train", NULL},
                                           (const char *const[]){"souk", "help", "model", NULL},
                                           (const char *const[]){"souk", "help", "--man", NULL},
                                           (const char *const[]){"souk", "help", "--completion", "bash", NULL},
                                           (const char *const[]){"souk", "--version", NULL}};
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        program_run r = program_run_env(NULL, NULL, commands[i]);
        assert_int_equal(r.status, 0);
        assert_true(r.out_len > 5);
        program_clear(&r);
    }
}

/* More columns than an op has inputs, one of them named like a layer, one with a comma and a quote in its name. */
static void test_wide_table(void **state) {
    (void)state;
    FILE *f = fopen("wide.csv", "w");
    assert_non_null(f);
    fputs("y,kind,embedding,\"a \"\"b\"\", c\"", f);
    for (int c = 0; c < 40; c++) fprintf(f, ",x%d", c);
    for (int r = 0; r < 120; r++) {
        fprintf(f, "\n%s,%c,%c,%d", r % 2 ? "yes" : "no", 'a' + r % 3, 'p' + r % 5, r * 7 % 31);
        for (int c = 0; c < 40; c++) fprintf(f, ",%d", (r * 37 + c * c * 11) % 101);
    }
    fclose(f);
    program_run r = PROGRAM("train", "wide.csv", "--target", "y", "--out", "wide.souk", "--set", "trainer.epochs=2",
                            "--replicates", "0", "--quiet");
    if (r.status) print_message("%s", r.err);
    assert_int_equal(r.status, 0);
    program_clear(&r);
    r = PROGRAM("predict", "wide.souk", "wide.csv");
    assert_int_equal(r.status, 0);
    assert_non_null(strstr(r.out, "\"a \"\"b\"\", c\""));
    program_clear(&r);
}

/* ---- bad input ---- */

typedef struct mistake {
    const char *what;
    const char *file; /* contents of bad.csv; NULL: not written */
    size_t size;      /* 0: strlen */
    const char *const *argv;
    int status;
    const char *says[3]; /* what the message must hold */
} mistake;

#define ARGV(...) \
    (const char *const[]) { "souk", __VA_ARGS__, NULL }
#define ROWS20                                                                                                    \
    "a b,1\nc d,0\na b,1\nc d,0\na b,1\nc d,0\na b,1\nc d,0\na b,1\nc d,0\na b,1\nc d,0\na b,1\nc d,0\na b,1\nc " \
    "d,0\na b,1\nc d,0\na b,1\nc d,0\n"

static const mistake mistakes[] = {
    {"no such file", NULL, 0, ARGV("train", "nothing.csv", "--target", "label"), 2, {"nothing.csv"}},
    {"no such column", "text,lable\n" ROWS20, 0, ARGV(TRAIN), 2, {"label", "lable"}},
    {"one value in the target",
     "text,label\na b,1\nc d,1\ne f,1\na b,1\nc d,1\ne f,1\na b,1\nc d,1\ne f,1\na b,1\n",
     0,
     ARGV(TRAIN),
     2,
     {"label", "one value"}},
    {"an empty file", "", 1, ARGV(TRAIN), 2, {"bad.csv", "empty"}},
    {"only a header", "text,label\n", 0, ARGV(TRAIN), 2, {"bad.csv", "no rows"}},
    {"uneven rows", "text,label\n" ROWS20 "a b,1,2,3\nc d\n", 0, ARGV(TRAIN), 2, {"bad.csv:22", "--max-bad"}},
    {"invalid UTF-8", "text,label\n" ROWS20 "a\xff\xfe b,1\n", 0, ARGV(TRAIN), 2, {"bad.csv:22", "UTF-8"}},
    {"UTF-16", "\xff\xfet\0e\0x\0t\0,\0l\0a\0b\0e\0l\0\n\0", 24, ARGV(TRAIN), 2, {"UTF-16", "iconv"}},
    {"NUL bytes", "text,label\na\0b,1\nc d,0\n", 23, ARGV(TRAIN), 2, {"NUL"}},
    {"an unclosed quote",
     "text,label\n" ROWS20 "\"never closed,1\nc d,0\n",
     0,
     ARGV(TRAIN),
     2,
     {"bad.csv:22", "quote"}},
    {"an unknown extension",
     NULL,
     0,
     ARGV("train", "reviews.xlsx", "--target", "label"),
     2,
     {"reviews.xlsx", "--format"}},
    {"no target", NULL, 0, ARGV("train", "reviews.csv"), 2, {"--target"}},
    {"an unknown command", NULL, 0, ARGV("trian", "reviews.csv"), 2, {"trian", "train"}},
    {"an unknown option", NULL, 0, ARGV("train", "reviews.csv", "--tagret", "label"), 2, {"--tagret", "--target"}},
    {"a value that is no number", NULL, 0, ARGV("train", "reviews.csv", "--seed", "one"), 2, {"--seed", "one"}},
    {"a missing argument", NULL, 0, ARGV("evaluate", "m.souk"), 2, {"MODEL DATA"}},
    {"an unknown key of the model file",
     NULL,
     0,
     ARGV("train", "reviews.csv", "--config", "tiny.yaml", "--set", "trainer.epoch=3"),
     2,
     {"epoch", "epochs"}},
    {"an unknown role",
     NULL,
     0,
     ARGV("train", "reviews.csv", "--target", "label", "--roles", "wieght=label"),
     2,
     {"wieght", "weight"}},
    {"a split that is none",
     NULL,
     0,
     ARGV("train", "reviews.csv", "--target", "label", "--split", "80"),
     2,
     {"70:10:20"}},
    {"a filter with a mistake",
     NULL,
     0,
     ARGV("train", "reviews.csv", "--target", "label", "--where", "stars >="),
     2,
     {"where"}},
    {"a filter on no such column",
     NULL,
     0,
     ARGV("train", "reviews.csv", "--target", "label", "--where", "labl = 1"),
     2,
     {"labl", "label"}},
    {"a filter that keeps nothing",
     NULL,
     0,
     ARGV("train", "reviews.csv", "--target", "label", "--where", "label = 7"),
     2,
     {"--where"}},
    {"a missing column at predict", "txt\na b\n", 0, ARGV("predict", "m.souk", "bad.csv"), 2, {"text"}},
    {"a model file that is none", "text,label\n" ROWS20, 0, ARGV("predict", "bad.csv", "reviews.csv"), 2, {"bad.csv"}},
    {"a folder as data", NULL, 0, ARGV("train", ".", "--target", "label"), 2, {"."}},
    {"a folder that is not there for the model",
     NULL,
     0,
     ARGV("train", "reviews.csv", "--target", "label", "--out", "nowhere/m.souk"),
     1,
     {"nowhere"}},
    {"no such weight column",
     NULL,
     0,
     ARGV("train", "reviews.csv", "--target", "label", "--roles", "weight=weigth"),
     2,
     {"weigth"}},
    {"--resume without --out", NULL, 0, ARGV("train", "reviews.csv", "--target", "label", "--resume"), 2, {"--out"}},
    {"two columns of one name", "text,text,label\n" ROWS20, 0, ARGV(TRAIN), 2, {"bad.csv", "number 1 and number 2"}},
    {"nothing near the column", NULL, 0, ARGV("train", "reviews.csv", "--target", "zzz"), 2, {"zzz", "text, label"}},
    {"null as a value",
     NULL,
     0,
     ARGV("train", "reviews.csv", "--target", "label", "--where", "text = null"),
     2,
     {"is null"}},
    {"an element that is not there",
     NULL,
     0,
     ARGV("train", "reviews.csv", "--config", "tiny.yaml", "--set", "input_features[7].name=x"),
     2,
     {"no element \"7\""}},
    {"the data as the model",
     NULL,
     0,
     ARGV("train", "reviews.csv", "--target", "label", "--out", "./reviews.csv"),
     2,
     {"reviews.csv", "written over"}},
    {"a file of the pattern as the reject file",
     NULL,
     0,
     ARGV("train", "rev*.csv", "--target", "label", "--rejects", "reviews.csv"),
     2,
     {"reviews.csv", "written over"}},
    {"two outputs in one file", NULL, 0, ARGV(TRAIN, "--history", "x.souk"), 2, {"--history", "--out"}},
    {"predictions over the model", NULL, 0, ARGV("predict", "m.souk", "reviews.csv", "--out", "m.souk"), 2, {"m.souk"}},
    {"an output without a name", NULL, 0, ARGV("train", "reviews.csv", "--target", "label", "--out", ""), 2, {"--out"}},
    {"a history that cannot be written", NULL, 0, ARGV(TRAIN, "--history", "nowhere/h.csv"), 1, {"nowhere/h.csv"}},
    {"predictions as a spreadsheet",
     NULL,
     0,
     ARGV("predict", "m.souk", "reviews.csv", "--out", "p.xlsx"),
     2,
     {"p.xlsx", "--excel"}},
    {"predictions of predictions",
     "text,label_prediction\na b,1\nc d,0\n",
     0,
     ARGV("predict", "m.souk", "bad.csv"),
     2,
     {"label_prediction", "rename"}},
    {"the target with a second role",
     NULL,
     0,
     ARGV("train", "reviews.csv", "--target", "label", "--roles", "weight=label"),
     2,
     {"label", "target"}},
    {"a validation split that takes all",
     "text,label\n" ROWS20,
     0,
     ARGV("train", "bad.csv", "--config", "tiny.yaml", "--set", "trainer.validation_split=0.99"),
     3,
     {"validation_split"}},
    {"two rows", "text,label\na,1\nb,0\n", 0, ARGV(TRAIN), 3, {"2 rows", "too few"}},
    {"a negative number of threads", NULL, 0, ARGV(TRAIN, "--threads", "-3"), 2, {"--threads", "0 to 1000000"}},
    {"two formats at once", NULL, 0, ARGV(TRAIN, "--format", "csv|tsv"), 2, {"--format", "csv|tsv|space"}},
};

static void test_bad_input(void **state) {
    (void)state;
    size_t n = sizeof mistakes / sizeof *mistakes, right = 0;
    file_write("reviews.xlsx", "PK", 2);
    for (size_t i = 0; i < n; i++) {
        const mistake *m = &mistakes[i];
        if (m->file) file_write("bad.csv", m->file, m->size == 1 ? 0 : m->size ? m->size : strlen(m->file));
        program_run r = program_run_env(NULL, NULL, m->argv);
        bool good = r.status == m->status && r.err_len > 0;
        for (int s = 0; s < 3 && m->says[s]; s++) good &= strstr(r.err, m->says[s]) != NULL;
        if (good)
            right++;
        else
            print_message("%s: exit %d (want %d), says: %s", m->what, r.status, m->status,
                          r.err_len ? r.err : "nothing\n");
        program_clear(&r);
    }
    print_message("bad input: %zu of %zu mistakes named\n", right, n);
    assert_int_equal(right, n);
}

static void test_large_field(void **state) {
    (void)state;
    FILE *f = fopen("large.csv", "w");
    assert_non_null(f);
    fputs("text,label\n" ROWS20, f);
    for (int i = 0; i < 17 << 20; i++) fputc('a' + i % 26, f);
    fputs(",1\n", f);
    fclose(f);
    program_run r = PROGRAM("train", "large.csv", "--target", "label");
    assert_int_equal(r.status, 2);
    assert_non_null(strstr(r.err, "large.csv:22"));
    program_clear(&r);
    r = PROGRAM("train", "large.csv", "--target", "label", "--max-bad", "0.2", "--config", "tiny.yaml", "--rejects",
                "rejected.jsonl");
    assert_int_equal(r.status, 0);
    program_clear(&r);
    size_t n;
    char *rejected = file_read("rejected.jsonl", &n);
    assert_non_null(strstr(rejected, "\"line\""));
    assert_true(n < 4096);
    free(rejected);
}

/* ---- a model file that was damaged ---- */

static void test_damaged_model(void **state) {
    (void)state;
    size_t n;
    char *bytes = file_read("m.souk", &n);
    size_t cut[] = {0, 1, 7, 8, 9, n / 2, n - 1};
    for (size_t i = 0; i < sizeof cut / sizeof *cut; i++) {
        file_write("cut.souk", bytes, cut[i]);
        program_run r = PROGRAM("predict", "cut.souk", "reviews.csv");
        assert_int_equal(r.status, 2);
        assert_non_null(strstr(r.err, "cut.souk"));
        program_clear(&r);
    }
    for (size_t i = 0; i < 8; i++) {
        size_t at = n / 8 * i + i;
        bytes[at] ^= 0x10;
        file_write("flip.souk", bytes, n);
        program_run r = PROGRAM("predict", "flip.souk", "reviews.csv");
        assert_int_equal(r.status, 2);
        program_clear(&r);
        bytes[at] ^= 0x10;
    }
    free(bytes);
}

/* ---- Ctrl-C ---- */

static void test_interrupt(void **state) {
    (void)state;
    const char *const argv[] = {"souk",      "train", "reviews.csv",           "--config",
                                "tiny.yaml", "--set", "trainer.epochs=100000", "--out",
                                "i.souk",    NULL};
    int out = open("/dev/null", O_RDWR);
    int err[2];
    assert_int_equal(pipe(err), 0);
    pid_t pid = program_start(argv, NULL, out, out, err[1]);
    close(err[1]);
    char seen[8192];
    size_t n = 0;
    ssize_t got; /* the first finished epoch is announced: now it is training */
    while (n < sizeof seen - 1 && (got = read(err[0], seen + n, sizeof seen - 1 - n)) > 0) {
        n += (size_t)got;
        seen[n] = 0;
        if (strstr(seen, "epoch 1/")) break;
    }
    kill(pid, SIGINT);
    while (read(err[0], seen, sizeof seen) > 0) continue;
    close(err[0]);
    close(out);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 130);
    assert_int_equal(access("i.souk.ckpt", F_OK), 0);
    assert_int_not_equal(access("i.souk", F_OK), 0);
    program_run r = PROGRAM("train", "reviews.csv", "--config", "tiny.yaml", "--set", "trainer.epochs=3", "--out",
                            "i.souk", "--resume");
    assert_int_equal(r.status, 2); /* another spec: refused, with the reason */
    assert_non_null(strstr(r.err, "i.souk.ckpt"));
    program_clear(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_train_evaluate_predict),
        cmocka_unit_test(test_no_config),
        cmocka_unit_test(test_formats),
        cmocka_unit_test(test_excel),
        cmocka_unit_test(test_inspect_doctor_help),
        cmocka_unit_test(test_wide_table),
        cmocka_unit_test(test_json_rows),
        cmocka_unit_test(test_bad_input),
        cmocka_unit_test(test_large_field),
        cmocka_unit_test(test_damaged_model),
        cmocka_unit_test(test_interrupt),
    };
    return cmocka_run_group_tests_name("cli", tests, setup, NULL);
}
