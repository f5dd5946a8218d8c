/* metric: equal to scikit-learn to 1e-9 on every case of ref/metrics.json (ties, weights, zero weights, edges), the
 * undefined values, invariance to the order of rows, the names in docs/metrics.md, and bad input to metric_all. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "fault.h"
#include "stat/metric.h"

enum { ROWS = 400, CELLS = 4 * ROWS };

typedef struct sample {
    const char *name;
    metric_task task;
    int64_t n, k;
    double y[ROWS], p[CELLS], weight[ROWS], *w;
    int32_t class[ROWS], guess[ROWS];
} sample;

static int64_t read_numbers(const json_value *array, double *out) {
    for (size_t i = 0; i < json_length(array); i++) assert_true(json_number(json_index(array, i), &out[i]));
    return (int64_t)json_length(array);
}

static void read_sample(const json_value *v, sample *s) {
    const char *task = json_string(json_get(v, "task"));
    s->name = json_string(json_get(v, "name"));
    s->task = strcmp(task, "binary") == 0 ? TASK_BINARY : strcmp(task, "classes") == 0 ? TASK_CLASSES : TASK_NUMBER;
    assert_true(json_int(json_get(v, "k"), &s->k));
    s->n = read_numbers(json_get(v, "y"), s->y);
    read_numbers(json_get(v, "p"), s->p);
    s->w = read_numbers(json_get(v, "w"), s->weight) > 0 ? s->weight : NULL;
    for (int64_t i = 0; i < s->n && s->k > 0; i++) {
        s->class[i] = (int32_t)s->y[i];
        s->guess[i] = 0;
        if (s->task == TASK_BINARY) s->guess[i] = s->p[i] > .5;
        for (int32_t c = 1; s->task == TASK_CLASSES && c < s->k; c++) {
            if (s->p[i * s->k + c] > s->p[i * s->k + s->guess[i]]) s->guess[i] = c;
        }
    }
}

/* The value of a name by its own function; the other averages have "_macro" and the like behind them. */
static double single(const sample *s, const confusion *t, const char *name) {
    static const struct {
        const char *suffix;
        average_kind kind;
    } averages[] = {{"_binary", AVERAGE_BINARY},
                    {"_macro", AVERAGE_MACRO},
                    {"_weighted", AVERAGE_WEIGHTED},
                    {"_micro", AVERAGE_MICRO}};
    for (int i = 0; i < 4; i++) {
        const char *at = strstr(name, averages[i].suffix);
        if (!at) continue;
        if (strncmp(name, "precision", 9) == 0) return metric_precision(t, averages[i].kind);
        if (strncmp(name, "recall", 6) == 0) return metric_recall(t, averages[i].kind);
        return metric_f1(t, averages[i].kind);
    }
    bool binary = s->task == TASK_BINARY;
#define IS(text) (strcmp(name, text) == 0)
    if (IS("accuracy")) return metric_accuracy(t);
    if (IS("balanced_accuracy")) return metric_balanced_accuracy(t);
    if (IS("mcc")) return metric_mcc(t);
    if (IS("roc_auc")) {
        return binary ? metric_roc_auc(s->n, s->y, s->p, s->w, NULL)
                      : metric_roc_auc_ovr(s->n, s->k, s->class, s->p, s->w, NULL);
    }
    if (IS("log_loss"))
        return binary ? metric_log_loss(s->n, s->y, s->p, s->w)
                      : metric_log_loss_classes(s->n, s->k, s->class, s->p, s->w);
    if (IS("pr_auc")) return metric_pr_auc(s->n, s->y, s->p, s->w, NULL);
    if (IS("brier")) return metric_brier(s->n, s->y, s->p, s->w);
    if (IS("ece")) return metric_ece(s->n, s->y, s->p, s->w, 15, false);
    if (IS("ece_equal_mass")) return metric_ece(s->n, s->y, s->p, s->w, 15, true);
    if (IS("rmse")) return metric_rmse(s->n, s->y, s->p, s->w);
    if (IS("mae")) return metric_mae(s->n, s->y, s->p, s->w);
    if (IS("r2")) return metric_r2(s->n, s->y, s->p, s->w);
    if (IS("mape")) return metric_mape(s->n, s->y, s->p, s->w);
#undef IS
    fail_msg("no function for %s", name);
    return NAN;
}

/* metric_all's name for a reference value, or NULL: precision is the binary or the macro one. */
static const char *set_name(const sample *s, const char *name) {
    const char *suffix = s->task == TASK_BINARY ? "_binary" : "_macro";
    static char plain[32];
    size_t n = strlen(name), m = strlen(suffix);
    if (n > m && strcmp(name + n - m, suffix) == 0) {
        memcpy(plain, name, n - m);
        plain[n - m] = 0;
        return plain;
    }
    return strstr(name, "_macro") || strstr(name, "_weighted") || strstr(name, "_micro") || strstr(name, "_binary") ||
                   strstr(name, "equal_mass")
               ? NULL
               : name;
}

static bool close_to(double a, double b) { return fabs(a - b) <= 1e-9 * fmax(1, fabs(b)); }

static int check_sample(const json_value *v) {
    static sample s;
    int compared = 0;
    read_sample(v, &s);
    confusion t = {0};
    metric_set all;
    souk_error err = {0};
    if (s.k > 0) assert_int_equal(confusion_new(&t, s.k, s.n, s.class, s.guess, s.w, &err), SOUK_OK);
    assert_int_equal(metric_all(&all, s.task, s.n, s.k, s.y, s.p, s.w, .5, 0, 1, NULL, &err), SOUK_OK);
    void *it = NULL;
    const char *name;
    const json_value *value;
    while (json_next(json_get(v, "want"), &it, &name, &value)) {
        double want;
        assert_true(json_number(value, &want));
        bool only_all = s.task == TASK_CLASSES &&
                        (strcmp(name, "pr_auc") == 0 || strcmp(name, "brier") == 0 || strcmp(name, "ece") == 0);
        if (!only_all) {
            double got = single(&s, &t, name);
            if (!close_to(got, want)) fail_msg("%s: %s is %.17g, not %.17g", s.name, name, got, want);
            compared++;
        }
        const char *in_set = set_name(&s, name);
        if (!in_set) continue;
        const metric_value *m = metric_find(&all, in_set);
        assert_non_null(m);
        if (!close_to(m->value, want))
            fail_msg("%s: metric_all's %s is %.17g, not %.17g", s.name, name, m->value, want);
        assert_true(isnan(m->low) && isnan(m->high));
        compared++;
    }
    metric_set_clear(&all);
    confusion_clear(&t);
    return compared;
}

static void test_reference(void **state) {
    (void)state;
    char *text;
    size_t n;
    int compared = 0;
    json_doc *doc;
    assert_int_equal(fs_read_all(SOUK_SOURCE_DIR "/tests/ref/metrics.json", 1 << 24, &text, &n, NULL), SOUK_OK);
    assert_int_equal(json_parse(&doc, text, n, 0, NULL), SOUK_OK);
    for (size_t i = 0; i < json_length(json_root(doc)); i++) compared += check_sample(json_index(json_root(doc), i));
    print_message("%d values of %zu cases equal to scikit-learn's to 1e-9\n", compared, json_length(json_root(doc)));
    json_free(doc);
    mem_free(text);
    assert_int_equal(mem_live(), 0);
}

static void test_undefined(void **state) {
    (void)state;
    const double ones[3] = {1, 1, 1}, zeros[3] = {0, 0, 0}, p[3] = {.2, .7, .7};
    souk_error err = {0};
    assert_true(isnan(metric_roc_auc(3, ones, p, NULL, &err)));
    assert_non_null(strstr(err.message, "one class only"));
    err = (souk_error){0};
    assert_true(isnan(metric_pr_auc(3, zeros, p, NULL, &err)));
    assert_non_null(strstr(err.message, "no positive"));
    assert_true(metric_pr_auc(3, ones, p, NULL, NULL) == 1);
    assert_true(isnan(metric_r2(3, ones, p, NULL)));
    assert_true(isnan(metric_mape(3, zeros, p, NULL)));
    const double bad[3] = {.2, NAN, .7};
    err = (souk_error){0};
    assert_true(isnan(metric_roc_auc(3, p, bad, NULL, &err)));
    assert_int_equal(err.code, SOUK_NUMERIC);
    /* Nothing is ever predicted to be class 1: 0, as zero_division=0. */
    confusion t;
    assert_int_equal(confusion_new(&t, 2, 2, (int32_t[]){0, 1}, (int32_t[]){0, 0}, NULL, NULL), SOUK_OK);
    assert_true(metric_precision(&t, AVERAGE_BINARY) == 0 && metric_f1(&t, AVERAGE_BINARY) == 0 && metric_mcc(&t) == 0);
    confusion_clear(&t);
    assert_int_equal(confusion_new(&t, 2, 2, (int32_t[]){0, 2}, (int32_t[]){0, 0}, NULL, &err), SOUK_INPUT);
}

/* Rows in another order: the same areas to the last bit where weights are whole, since groups hold sums of small
 * integers. */
static void test_order(void **state) {
    (void)state;
    double y[ROWS], p[ROWS], y2[ROWS], p2[ROWS];
    for (int i = 0; i < ROWS; i++) {
        y[i] = i % 3 == 0;
        p[i] = (double)(i * 7 % 20) / 20;
        y2[ROWS - 1 - i] = y[i];
        p2[ROWS - 1 - i] = p[i];
    }
    assert_true(metric_roc_auc(ROWS, y, p, NULL, NULL) == metric_roc_auc(ROWS, y2, p2, NULL, NULL));
    assert_true(metric_pr_auc(ROWS, y, p, NULL, NULL) == metric_pr_auc(ROWS, y2, p2, NULL, NULL));
}

/* A weight of 2 is a row that stands twice. */
static void test_weight_is_repetition(void **state) {
    (void)state;
    const double y[4] = {1, 0, 1, 0}, p[4] = {.8, .8, .4, .1}, w[4] = {2, 1, 1, 3};
    const double y2[7] = {1, 1, 0, 1, 0, 0, 0}, p2[7] = {.8, .8, .8, .4, .1, .1, .1};
    metric_set a, b;
    assert_int_equal(metric_all(&a, TASK_BINARY, 4, 2, y, p, w, .5, 0, 1, NULL, NULL), SOUK_OK);
    assert_int_equal(metric_all(&b, TASK_BINARY, 7, 2, y2, p2, NULL, .5, 0, 1, NULL, NULL), SOUK_OK);
    for (int i = 0; i < a.n; i++) assert_true(fabs(a.v[i].value - b.v[i].value) < 1e-14);
    assert_true(a.table.count[3] == 2 && a.table.count[1] == 1);
    metric_set_clear(&a);
    metric_set_clear(&b);
}

/* Above two million cells the areas come from one ranking at a time and have no interval: same value as
 * metric_roc_auc_ovr. */
static void test_many_classes(void **state) {
    (void)state;
    enum { N = 2100, K = 1000 };
    double *y = mem_array(N, sizeof *y), *p = mem_array((size_t)N * K, sizeof *p);
    int32_t *class = mem_array(N, sizeof *class);
    for (int i = 0; i < N; i++) {
        class[i] = i * 37 % K;
        y[i] = class[i];
        for (int c = 0; c < K; c++) p[i * K + c] = (double)((i * 31 + c * 17) % 101 + (c == class[i]) * 20) / 50000;
    }
    metric_set a;
    assert_int_equal(metric_all(&a, TASK_CLASSES, N, K, y, p, NULL, .5, 20, 1, NULL, NULL), SOUK_OK);
    const metric_value *m = metric_find(&a, "roc_auc");
    assert_true(m->value == metric_roc_auc_ovr(N, K, class, p, NULL, NULL));
    assert_true(isnan(m->low));
    assert_true(metric_find(&a, "accuracy")->low <= metric_find(&a, "accuracy")->high);
    metric_set_clear(&a);
    mem_free(y);
    mem_free(p);
    mem_free(class);
    assert_int_equal(mem_live(), 0);
}

static void test_bad_input(void **state) {
    (void)state;
    const double y[2] = {0, 1}, half[2] = {0, .5}, p[2] = {.1, .9}, over[2] = {.1, 1.5}, zero[2] = {0, 0},
                 negative[2] = {1, -1};
    metric_set a;
    souk_error err = {0};
    assert_int_equal(metric_all(&a, TASK_BINARY, 0, 2, y, p, NULL, .5, 0, 1, NULL, &err), SOUK_INPUT);
    err = (souk_error){0};
    assert_int_equal(metric_all(&a, TASK_BINARY, 2, 2, half, p, NULL, .5, 0, 1, NULL, &err), SOUK_INPUT);
    assert_non_null(strstr(err.message, "row 2: the true value 0.5"));
    err = (souk_error){0};
    assert_int_equal(metric_all(&a, TASK_BINARY, 2, 2, y, over, NULL, .5, 0, 1, NULL, &err), SOUK_NUMERIC);
    assert_non_null(strstr(err.message, "row 2: the prediction 1.5 is not a probability"));
    assert_int_equal(metric_all(&a, TASK_BINARY, 2, 2, y, p, zero, .5, 0, 1, NULL, NULL), SOUK_INPUT);
    assert_int_equal(metric_all(&a, TASK_BINARY, 2, 2, y, p, negative, .5, 0, 1, NULL, NULL), SOUK_INPUT);
    assert_int_equal(metric_all(&a, TASK_CLASSES, 2, 1, y, p, NULL, .5, 0, 1, NULL, NULL), SOUK_USAGE);
    assert_int_equal(a.n, 0);
    assert_int_equal(metric_all(&a, TASK_NUMBER, 1, 0, y, p, NULL, .5, 10, 1, NULL, NULL), SOUK_OK);
    assert_true(isnan(metric_find(&a, "r2")->value) && isnan(metric_find(&a, "mape")->value));
    assert_null(metric_find(&a, "accuracy"));
}

static void test_documented(void **state) /* every name has its section in docs/metrics.md */
{
    (void)state;
    char *text;
    size_t n;
    const double y[2] = {0, 1}, p[2] = {.1, .9};
    assert_int_equal(fs_read_all(SOUK_SOURCE_DIR "/docs/metrics.md", 1 << 20, &text, &n, NULL), SOUK_OK);
    for (int task = TASK_BINARY; task <= TASK_NUMBER; task += TASK_NUMBER - TASK_BINARY) {
        metric_set a;
        assert_int_equal(metric_all(&a, (metric_task)task, 2, 2, y, p, NULL, .5, 0, 1, NULL, NULL), SOUK_OK);
        for (int i = 0; i < a.n; i++) {
            char heading[64];
            snprintf(heading, sizeof heading, "\n| `%s` |", a.v[i].name);
            if (!strstr(text, heading)) fail_msg("docs/metrics.md does not define %s", a.v[i].name);
        }
        metric_set_clear(&a);
    }
    mem_free(text);
}

static souk_status run_all(void *context, souk_error *err) {
    (void)context;
    const double y[3] = {0, 1, 2}, p[9] = {.5, .3, .2, .2, .6, .2, .4, .3, .3};
    metric_set a;
    souk_status status = metric_all(&a, TASK_CLASSES, 3, 3, y, p, NULL, .5, 5, 1, NULL, err);
    metric_set_clear(&a);
    return status;
}

static void test_faults(void **state) {
    (void)state;
    fault_loop_alloc("metric_all", run_all, NULL, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reference),    cmocka_unit_test(test_undefined),
        cmocka_unit_test(test_order),        cmocka_unit_test(test_weight_is_repetition),
        cmocka_unit_test(test_many_classes), cmocka_unit_test(test_bad_input),
        cmocka_unit_test(test_documented),   cmocka_unit_test(test_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
