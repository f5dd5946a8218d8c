/* test_loop - fit: learning, Keras' bookkeeping, early stopping, weights of classes, threads; and checkpoints: a run
 * that is cut off after any of its checkpoints goes on to the same model file, bit for bit. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <math.h>
#include <stdio.h>

#include "simd/kern.h"
#include "train/loop.h"
#include "world.h"

#define LABEL "{name: label, type: binary}"
#define CKPT SOUK_BUILD_DIR "/test_loop.ckpt"
#define PATH SOUK_BUILD_DIR "/test_loop.souk"

/* ---- running ---- */

static souk_status fit(world *w, train_options *o, train_result *r, souk_error *err) {
    if (!o->fingerprint) o->fingerprint = "rows";
    return train_fit(w->m, w->train, w->valid, o, r, err);
}

/* A whole run; the weights of the result are in w->m. */
static train_result run(world *w, const char *outputs, const char *trainer, pool *crew) {
    souk_error err = {0};
    train_result r;
    train_options o = {.seed = 3, .pool = crew};
    world_new(w, outputs, trainer, 3);
    if (fit(w, &o, &r, &err) != SOUK_OK) fail_msg("%s", err.message);
    return r;
}

static int64_t param_count(const model *m, int i) {
    shape s = shape_make(net_param(m->net, i)->rank, net_param(m->net, i)->d);
    return shape_count(&s);
}

static bool same_weights(const model *a, const model *b) {
    for (int i = 0; i < a->n_params; i++)
        if (memcmp(a->params[i], b->params[i], (size_t)param_count(a, i) * sizeof(real)) != 0) return false;
    return a->n_params == b->n_params;
}

static void bytes_of(const model *m, char **data, size_t *n) {
    souk_error err = {0};
    if (model_save(m, PATH, &err) != SOUK_OK || fs_read_all(PATH, 1 << 28, data, n, &err) != SOUK_OK)
        fail_msg("%s", err.message);
}

/* ---- learning ---- */

static void test_learns(void **state) {
    world w;
    (void)state;
    train_result r = run(&w, LABEL, "{epochs: 30, batch_size: 16, learning_rate: 0.01}", NULL);
    assert_int_equal(r.n_epochs, 30);
    assert_true(r.history[29].loss < .3 && r.history[29].loss < .5 * r.history[0].loss);
    assert_int_equal(r.history[29].n_metrics, 2);
    assert_string_equal(r.history[29].metric_name[0], "accuracy");
    assert_string_equal(r.history[29].metric_name[1], "val_accuracy");
    assert_true(r.history[29].metric[1] > .85);
    assert_true(r.history[r.best_epoch - 1].val_loss <= r.history[29].val_loss);
    train_result_clear(&r);
    world_free(&w);
    r = run(&w, "{name: spend, type: number}", "{epochs: 30, batch_size: 16, learning_rate: 0.01}", NULL);
    assert_string_equal(r.history[0].metric_name[0], "mae");
    assert_true(r.history[29].metric[1] < 2); /* in the target's own unit */
    train_result_clear(&r);
    world_free(&w);
    r = run(&w, LABEL "\n  - {name: shop, type: category}", "{epochs: 2, batch_size: 16}", NULL);
    train_result_clear(&r);
    world_free(&w);
}

/* With a rate of almost nothing and no dropout the epoch's loss is the loss: the mean over rows, though 110 rows make 6
 * full batches and one of 14, and validation other batches. */
static void test_epoch_loss(void **state) {
    world w;
    souk_error err = {0};
    train_result r;
    (void)state;
    world_new(&w, LABEL, "{epochs: 2, batch_size: 16, learning_rate: 1.0e-30}", 3);
    layer_config *lstm = &w.m->spec->inputs[0].layers[1];
    lstm->rnn.dropout = lstm->rnn.recurrent_dropout = 0;
    w.m->spec->inputs[0].layers[2].rate = 0;
    net_free(w.m->net);
    feature_shape in[4], out;
    for (int i = 0; i < 4; i++) in[i] = pipeline_shape(w.m->pipeline, false, i);
    out = pipeline_shape(w.m->pipeline, true, 0);
    assert_int_equal(model_build_net(&w.m->net, w.m->spec, in, &out, &err), SOUK_OK);
    train_options o = {.seed = 3, .fingerprint = "x"};
    if (train_fit(w.m, w.train, w.train, &o, &r, &err) != SOUK_OK) fail_msg("%s", err.message);
    assert_true(fabs(r.history[0].loss - r.history[0].val_loss) < 1e-6);
    assert_true(fabs(r.history[0].metric[0] - r.history[0].metric[1]) < 1e-12);
    assert_true(r.history[1].loss == r.history[0].loss || fabs(r.history[1].loss - r.history[0].loss) < 1e-6);
    train_result_clear(&r);
    world_free(&w);
}

/* What early stopping restores is what a run of just so many epochs ends with. */
static void test_early_stopping(void **state) {
    world a, b;
    char trainer[160];
    (void)state;
    train_result r = run(&a, "{name: shop, type: category}",
                         "{epochs: 60, batch_size: 16, learning_rate: 0.02, early_stopping: {patience: 2}}", NULL);
    assert_true(r.stopped_early && r.n_epochs < 60 && r.n_epochs == r.best_epoch + 2);
    for (int64_t i = 0; i < r.n_epochs; i++) assert_true(r.history[i].val_loss >= r.history[r.best_epoch - 1].val_loss);
    snprintf(trainer, sizeof trainer, "{epochs: %d, batch_size: 16, learning_rate: 0.02}", (int)r.best_epoch);
    train_result again = run(&b, "{name: shop, type: category}", trainer, NULL);
    assert_true(same_weights(a.m, b.m));
    train_result_clear(&r);
    train_result_clear(&again);
    world_free(&a);
    world_free(&b);
}

static void test_plateau(void **state) {
    world w;
    (void)state;
    train_result r = run(&w, "{name: shop, type: category}",
                         "{epochs: 25, batch_size: 16, learning_rate: 0.02, learning_rate_schedule: {type: "
                         "reduce_on_plateau, patience: 2, factor: 0.5}}",
                         NULL);
    assert_true(r.history[0].learning_rate == .02 && r.history[24].learning_rate < .02);
    train_result_clear(&r);
    world_free(&w);
}

/* Balanced class weights are n / (2 count); the same as sample weights gives the same bits. */
static void test_class_weights(void **state) {
    world a, b;
    souk_error err = {0};
    train_result r, q;
    train_options o = {.seed = 3};
    (void)state;
    r = run(&a, "{name: label, type: binary, class_weight: balanced}", "{epochs: 2, batch_size: 16}", NULL);
    world_new(&b, LABEL, "{epochs: 2, batch_size: 16}", 3);
    double count[2] = {0, 0};
    for (int64_t i = 0; i < b.train->n; i++) count[b.train->targets[0].values[i] >= .5f]++;
    assert_true(count[0] > 0 && count[1] > 0 && count[0] != count[1]);
    b.train->weight = mem_array((size_t)b.train->n, sizeof(float));
    for (int64_t i = 0; i < b.train->n; i++)
        b.train->weight[i] = (float)((double)b.train->n / (2 * count[b.train->targets[0].values[i] >= .5f]));
    if (fit(&b, &o, &q, &err) != SOUK_OK) fail_msg("%s", err.message);
    assert_true(same_weights(a.m, b.m));
    train_result_clear(&r);
    train_result_clear(&q);
    world_free(&a);
    world_free(&b);
    world_new(&a, "{name: label, type: binary, class_weight: {\"1\": 2, \"0\": 1}}", "{epochs: 1}", 3);
    assert_int_equal(fit(&a, &o, &q, &err), SOUK_OK);
    train_result_clear(&q);
    world_free(&a);
    world_new(&a, "{name: label, type: binary, class_weight: {\"nought\": 2}}", "{epochs: 1}", 3);
    assert_int_equal(fit(&a, &o, &q, &err), SOUK_INPUT);
    assert_non_null(strstr(err.message, "\"nought\" is not a class of \"label\""));
    world_free(&a);
}

/* The rows of all epochs, given: the order of the table is what no shuffling gives. */
static void test_fixed_order(void **state) {
    world a, b;
    souk_error err = {0};
    train_result r, q;
    int64_t order[3 * WORLD_ROWS];
    (void)state;
    r = run(&a, LABEL, "{epochs: 3, batch_size: 16, shuffle: false}", NULL);
    world_new(&b, LABEL, "{epochs: 3, batch_size: 16}", 3);
    for (int64_t i = 0; i < 3 * b.train->n; i++) order[i] = i % b.train->n;
    train_options o = {.seed = 3, .fixed_order = order};
    if (fit(&b, &o, &q, &err) != SOUK_OK) fail_msg("%s", err.message);
    assert_true(same_weights(a.m, b.m));
    train_result_clear(&r);
    train_result_clear(&q);
    world_free(&a);
    world_free(&b);
}

static void test_not_finite(void **state) {
    world w;
    souk_error err = {0};
    train_result r;
    train_options o = {.seed = 3};
    (void)state;
    world_new(&w, "{name: spend, type: number}",
              "{epochs: 9, batch_size: 16, learning_rate: 100, optimizer: {type: sgd, momentum: 0.9}}", 3);
    assert_int_equal(fit(&w, &o, &r, &err), SOUK_NUMERIC);
    assert_non_null(strstr(err.message, "the loss is no longer a finite number in epoch "));
    assert_non_null(strstr(err.message, "try a lower trainer.learning_rate"));
    assert_null(r.history);
    world_free(&w);
}

/* More epochs, no more allocations: an epoch allocates nothing, and so does a step. */
static void test_no_allocation(void **state) {
    int64_t calls[2];
    (void)state;
    for (int k = 0; k < 2; k++) {
        world w;
        souk_error err = {0};
        train_result r;
        train_options o = {.seed = 3};
        world_new(
            &w, LABEL,
            "{epochs: 4, batch_size: 16, optimizer: {type: adam, use_ema: true, lazy_from: 1, global_clipnorm: 1}}", 3);
        w.m->spec->trainer.epochs = k ? 12 : 4;
        int64_t before = mem_calls();
        if (fit(&w, &o, &r, &err) != SOUK_OK) fail_msg("%s", err.message);
        calls[k] = mem_calls() - before;
        train_result_clear(&r);
        world_free(&w);
    }
    assert_int_equal(calls[0], calls[1]);
}

/* ---- same bits ---- */

static const char *const trainers[] = {
    "{epochs: 4, batch_size: 16, learning_rate: 0.01}",
    "{epochs: 4, batch_size: 16, learning_rate: 0.01, optimizer: {type: adamw, use_ema: true, "
    "gradient_accumulation_steps: 3, global_clipnorm: 0.1}}",
    "{epochs: 6, batch_size: 16, learning_rate: 0.05, optimizer: {type: adam, lazy_from: 1, weight_decay: 0.01},"
    " early_stopping: {patience: 1}, learning_rate_schedule: {type: reduce_on_plateau, patience: 1}}",
    "{epochs: 4, batch_size: 16, optimizer: {type: rmsprop, momentum: 0.9}, learning_rate_schedule: {type: cosine, "
    "warmup_steps: 5}}",
};
enum { TRAINERS = sizeof trainers / sizeof *trainers };

static void test_threads(void **state) {
    pool *three = pool_new(3);
    (void)state;
    for (int k = 0; k < TRAINERS; k++) {
        world a, b;
        train_result r = run(&a, LABEL, trainers[k], NULL), q = run(&b, LABEL, trainers[k], three);
        assert_true(same_weights(a.m, b.m));
        assert_true(r.n_epochs == q.n_epochs && r.history[0].loss == q.history[0].loss &&
                    r.history[0].val_loss == q.history[0].val_loss);
        train_result_clear(&r);
        train_result_clear(&q);
        world_free(&a);
        world_free(&b);
    }
    pool_free(three);
}

/* ---- checkpoints ---- */

static int renames_left;

/* The rename that puts a checkpoint in place fails once `renames_left` of them are done: what a kill leaves behind. */
static int failing_rename(const char *from, const char *to) {
    if (renames_left-- > 0) return fs_default_calls()->rename(from, to);
    errno = EIO;
    return -1;
}

static int no_fsync(int fd) {
    (void)fd;
    return 0;
}

static souk_status fit_cut_off(world *w, int after, souk_error *err) {
    fs_calls calls = *fs_default_calls();
    train_options o = {.seed = 3, .checkpoint_path = CKPT, .resume = true};
    train_result r;
    calls.rename = failing_rename;
    calls.fsync = no_fsync; /* hundreds of checkpoints, and no power cut to survive */
    renames_left = after;
    fs_set_calls(&calls);
    souk_status status = fit(w, &o, &r, err);
    fs_set_calls(NULL);
    if (status == SOUK_OK) train_result_clear(&r);
    return status;
}

/* Every number of checkpoints after which a run can be cut off; checkpoints are written after each batch. */
static void test_resume(void **state) {
    int cut = 0, equal = 0;
    fs_calls quick = *fs_default_calls();
    quick.fsync = no_fsync;
    (void)state;
    for (int k = 0; k < TRAINERS; k++) {
        world w;
        char *whole, *resumed;
        size_t n, m;
        train_result r = run(&w, LABEL, trainers[k], NULL);
        bytes_of(w.m, &whole, &n);
        world_free(&w);
        for (int after = 1;; after += 3) {
            souk_error err = {0};
            fs_remove(CKPT, NULL);
            world_new(&w, LABEL, trainers[k], 3);
            double seconds = w.m->spec->trainer.checkpoint_seconds;
            w.m->spec->trainer.checkpoint_seconds = 1e-9;
            souk_status status = fit_cut_off(&w, after, &err);
            world_free(&w);
            if (status == SOUK_OK) break; /* so many checkpoints are not written at all */
            assert_int_equal(status, SOUK_IO);
            world_new(&w, LABEL, trainers[k], 3);
            w.m->spec->trainer.checkpoint_seconds = 1e-9;
            train_options o = {.seed = 3, .checkpoint_path = CKPT, .resume = true};
            train_result q;
            err = (souk_error){0};
            fs_set_calls(&quick);
            if (fit(&w, &o, &q, &err) != SOUK_OK) fail_msg("%s", err.message);
            fs_set_calls(NULL);
            w.m->spec->trainer.checkpoint_seconds = seconds;
            bytes_of(w.m, &resumed, &m);
            bool history = q.n_epochs == r.n_epochs && q.best_epoch == r.best_epoch;
            for (int64_t i = 0; history && i < r.n_epochs; i++)
                history = q.history[i].loss == r.history[i].loss && q.history[i].val_loss == r.history[i].val_loss &&
                          q.history[i].metric[0] == r.history[i].metric[0];
            cut++;
            equal += history && n == m && memcmp(whole, resumed, n) == 0;
            mem_free(resumed);
            train_result_clear(&q);
            world_free(&w);
        }
        mem_free(whole);
        train_result_clear(&r);
    }
    fs_remove(CKPT, NULL);
    print_message("cut off and resumed: %d of %d ended with the same file\n", equal, cut);
    assert_true(cut > 20);
    assert_int_equal(equal, cut);
}

static bool stop_at_second(void *context, const train_progress *p) {
    (void)context;
    return !(p->finished && p->finished->epoch == 2);
}

/* The callback stops after two epochs: a checkpoint is there, and the rest gives the unbroken run's weights. */
static void test_interrupt(void **state) {
    world a, b;
    souk_error err = {0};
    train_options o = {.seed = 3, .checkpoint_path = CKPT, .progress = stop_at_second};
    train_result r = run(&a, LABEL, trainers[1], NULL), q;
    (void)state;
    fs_remove(CKPT, NULL);
    world_new(&b, LABEL, trainers[1], 3);
    assert_int_equal(fit(&b, &o, &q, &err), SOUK_INTERRUPTED);
    assert_non_null(strstr(err.message, "stopped after 2 of 4 epochs and 0 of 7 batches: "));
    assert_non_null(strstr(err.message, "--resume goes on from there"));
    world_free(&b);
    world_new(&b, LABEL, trainers[1], 3);
    o.progress = NULL;
    o.resume = true;
    assert_int_equal(fit(&b, &o, &q, NULL), SOUK_OK);
    assert_true(same_weights(a.m, b.m));
    train_result_clear(&q);
    train_result_clear(&r);
    world_free(&a);
    world_free(&b);
}

static void refused(const char *outputs, const char *trainer, uint64_t seed, const char *fingerprint,
                    const char *part) {
    world w;
    souk_error err = {0};
    train_result r;
    train_options o = {.seed = seed, .checkpoint_path = CKPT, .resume = true, .fingerprint = fingerprint};
    world_new(&w, outputs, trainer, seed);
    assert_int_equal(fit(&w, &o, &r, &err), SOUK_INPUT);
    if (!strstr(err.message, part)) fail_msg("\"%s\" does not say \"%s\"", err.message, part);
    world_free(&w);
}

static void test_refusals(void **state) {
    world w;
    souk_error err = {0};
    train_result r;
    train_options o = {.seed = 3, .checkpoint_path = CKPT};
    (void)state;
    world_new(&w, LABEL, trainers[0], 3);
    assert_int_equal(fit(&w, &o, &r, &err), SOUK_OK);
    train_result_clear(&r);
    refused(LABEL, trainers[0], 3, "other rows", "written with other data or another split of them");
    refused(LABEL, trainers[0], 4, "rows", "written with another seed");
    refused(LABEL, trainers[1], 3, "rows", "written with other settings");
    assert_int_equal(model_save(w.m, CKPT, NULL), SOUK_OK);
    refused(LABEL, trainers[0], 3, "rows", "this is not a checkpoint");
    world_free(&w);
    fs_remove(CKPT, NULL);
}

static int init(void **state) {
    (void)state;
    kern_init();
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_learns),     cmocka_unit_test(test_epoch_loss),    cmocka_unit_test(test_early_stopping),
        cmocka_unit_test(test_plateau),    cmocka_unit_test(test_class_weights), cmocka_unit_test(test_fixed_order),
        cmocka_unit_test(test_not_finite), cmocka_unit_test(test_no_allocation), cmocka_unit_test(test_threads),
        cmocka_unit_test(test_resume),     cmocka_unit_test(test_interrupt),     cmocka_unit_test(test_refusals)};
    return cmocka_run_group_tests(tests, init, NULL);
}
