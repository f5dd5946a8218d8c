/* test_sched - learning-rate schedules against values computed with Keras 3 (float64) and by hand. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>

#include "train/sched.h"

static void near(double a, double b) {
    if (!(fabs(a - b) <= 1e-12 * fabs(b) + 1e-300)) fail_msg("%.17g, not %.17g", a, b);
}

static void test_decays(void **state) {
    (void)state;
    sched_options o = sched_options_default(SCHED_CONSTANT);
    near(sched_rate(&o, .01, 12345, 100), .01);
    o = sched_options_default(SCHED_EXPONENTIAL);
    o.decay_rate = .96;
    o.decay_steps = 1000;
    near(sched_rate(&o, .1, 0, 0), .1);
    near(sched_rate(&o, .1, 1500, 0), .1 * .9406040612287403); /* .1 * .96 ** 1.5 */
    o.staircase = true;
    near(sched_rate(&o, .1, 1999, 0), .096);
    near(sched_rate(&o, .1, 2000, 0), .09216);
    o = sched_options_default(SCHED_STEP);
    o.decay_rate = .5;
    o.decay_steps = 10;
    near(sched_rate(&o, 1, 9, 0), 1);
    near(sched_rate(&o, 1, 10, 0), .5);
    near(sched_rate(&o, 1, 39, 0), .125);
}

/* keras CosineDecay(0, 100, alpha=.1, warmup_target=.2, warmup_steps=20): rises to .2 in 20 steps, then falls for 100.
 */
static void test_cosine(void **state) {
    (void)state;
    sched_options o = sched_options_default(SCHED_COSINE);
    o.final_rate = .1;
    o.decay_steps = 100;
    o.warmup_steps = 20;
    near(sched_rate(&o, .2, 0, 0), 0);
    near(sched_rate(&o, .2, 5, 0), .05);
    near(sched_rate(&o, .2, 20, 0), .2);
    near(sched_rate(&o, .2, 45, 0), .1736396103067893);
    near(sched_rate(&o, .2, 70, 0), .11);
    near(sched_rate(&o, .2, 120, 0), .02);
    near(sched_rate(&o, .2, 1000, 0), .02);
    o.decay_steps = 0; /* what the warm-up leaves of a run of 120 steps */
    near(sched_rate(&o, .2, 45, 120), .1736396103067893);
}

static void test_linear(void **state) {
    (void)state;
    sched_options o = sched_options_default(SCHED_LINEAR);
    o.warmup_steps = 10;
    near(sched_rate(&o, 1, 5, 110), .5);
    near(sched_rate(&o, 1, 10, 110), 1);
    near(sched_rate(&o, 1, 60, 110), .5);
    near(sched_rate(&o, 1, 110, 110), 0);
    o.final_rate = .2;
    near(sched_rate(&o, 1, 60, 110), .6);
}

/* keras ReduceLROnPlateau(factor=.5, patience=2, min_delta=.01, cooldown=1, min_lr=.2) over the same losses gave these
 * rates. */
static void test_plateau(void **state) {
    (void)state;
    sched_options o = sched_options_default(SCHED_PLATEAU);
    sched_plateau s;
    o.factor = .5;
    o.patience = 2;
    o.min_delta = .01;
    o.cooldown = 1;
    o.min_rate = .2;
    static const double loss[] = {1, .995, .994, .993, .992, .9, .9, .9, .9, .9, .9, .9},
                        rate[] = {1, 1, .5, .5, .25, .25, .25, .2, .2, .2, .2, .2};
    sched_plateau_init(&s, 1);
    for (int i = 0; i < 12; i++) near(sched_plateau_update(&s, &o, loss[i]), rate[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_decays), cmocka_unit_test(test_cosine),
                                       cmocka_unit_test(test_linear), cmocka_unit_test(test_plateau)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
