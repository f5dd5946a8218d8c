/* sched - learning rates by optimiser step, in double and with our own exp, log and cos: part of what must be the same
 * everywhere.
 *
 * Keras' formulas (keras/src/optimizers/schedules/learning_rate_schedule.py): exponential (and by stairs), cosine with
 * linear warm-up (Loshchilov & Hutter, arXiv 1608.03983) and the polynomial of power 1; "step" is the staircase of
 * PyTorch's StepLR. The plateau rule is keras/src/callbacks/reduce_lr_on_plateau.py in its "min" mode.
 *
 * Invariant: the rate is a function of its arguments; only the plateau has state, which the caller keeps and saves. */
#include "train/sched.h"

#include <math.h>

#include "base/dmath.h"

static double power(double base, double exponent) {
    if (exponent == 0) return 1;
    return base > 0 ? dmath_exp(exponent * dmath_log(base)) : 0;
}

/* Share of the decay that is done: 0 … 1. */
static double progress(double step, double decay_steps) {
    return decay_steps <= 0 || step >= decay_steps ? 1 : step / decay_steps;
}

double sched_rate(const sched_options *o, double base_rate, int64_t step, int64_t total_steps) {
    const double pi = 0x1.921fb54442d18p+1;
    double at = (double)step, decay = o->decay_steps > 0 ? o->decay_steps : (double)total_steps;
    switch (o->kind) {
    case SCHED_CONSTANT:
    case SCHED_PLATEAU: return base_rate;
    case SCHED_STEP:
    case SCHED_EXPONENTIAL: {
        double times = decay > 0 ? at / decay : 0;
        return base_rate * power(o->decay_rate, o->staircase || o->kind == SCHED_STEP ? floor(times) : times);
    }
    case SCHED_COSINE:
    case SCHED_LINEAR: break;
    }
    if (at < o->warmup_steps) return base_rate * (at / o->warmup_steps);
    if (o->decay_steps <= 0) decay -= o->warmup_steps; /* what the warm-up leaves of the run */
    double done = progress(at - o->warmup_steps, decay);
    double left = o->kind == SCHED_LINEAR ? 1 - done : .5 * (1 + dmath_cos(pi * done));
    return base_rate * ((1 - o->final_rate) * left + o->final_rate);
}

void sched_plateau_init(sched_plateau *s, double rate) { *s = (sched_plateau){.best = INFINITY, .rate = rate}; }

double sched_plateau_update(sched_plateau *s, const sched_options *o, double monitored) {
    if (s->cooldown_left > 0) {
        s->cooldown_left--;
        s->wait = 0;
    }
    if (monitored + o->min_delta < s->best) {
        s->best = monitored;
        s->wait = 0;
    } else if (s->cooldown_left == 0 && ++s->wait >= o->patience && s->rate > o->min_rate) {
        s->rate = fmax(s->rate * o->factor, o->min_rate);
        s->cooldown_left = o->cooldown;
        s->wait = 0;
    }
    return s->rate;
}
