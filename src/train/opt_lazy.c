/* opt_lazy - tables too large to be swept in every step: a row's missed steps are replayed when it is next touched.
 *
 * A row without a gradient still moves under Adam, momentum, weight decay and EMA. Its step t needs the row, its state
 * and the step's scalars only, so the scalars of the last OPT_HISTORY steps are kept and the very kernel of the dense
 * sweep is run with a gradient of zeros, once for each missed step (engine.md 3.5). The result is dense's, bit for bit.
 * Rows that never had a gradient do not move at all unless there is decay or EMA, and are skipped. After OPT_HISTORY
 * steps all rows are brought up to date.
 *
 * Once parameters have stopped moving under Adam, and the step size cannot grow faster than the first moment shrinks,
 * they will not move again before their next gradient: from there only the moments are replayed (kern.adam_idle).
 *
 * Invariant: last[r] is the number of steps that row r has been through; one task owns a row. */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "simd/kern.h"
#include "train/opt_impl.h"

enum { ROWS_PER_TASK = 64 };

/* A row without gradient and history stays as it is, bit for bit. */
static bool idle_rows_rest(const opt_state *s) { return !s->decays && !s->average; }

static int64_t rows_of(const opt_state *s) { return s->p.count / s->p.row_width; }

static bool all_zero(const real *x, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        if (x[i] != 0) return false;
    return true;
}

/* -0 is no resting place: the kernels' additions of +0 turn it into +0. */
static bool has_negative_zero(const real *x, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        if (x[i] == 0 && signbit(x[i])) return true;
    return false;
}

/* After a start or a restored state all rows are up to date; those whose moments are zero need no replay. SGD without
 * momentum and Adagrad move rows by their gradient alone. */
void opt_lazy_rescan(opt *o) {
    o->rescan = false;
    for (int i = 0; i < o->n; i++) {
        opt_state *s = &o->state[i];
        if (!s->lazy) continue;
        int64_t w = s->p.row_width;
        bool rests = idle_rows_rest(s), stateless = o->o.kind == OPT_ADAGRAD || (o->o.kind == OPT_SGD && !s->m);
        for (int64_t r = 0; r < rows_of(s); r++) {
            bool still = stateless || ((!s->m || all_zero(s->m + r * w, w)) && (!s->v || all_zero(s->v + r * w, w)));
            s->last[r] = rests && still && !has_negative_zero(s->p.value + r * w, w) ? OPT_UNTOUCHED : o->iterations;
        }
    }
}

/* Steps from … to-1 of row r with a gradient of zeros. */
static void replay(const opt *o, const opt_state *s, int64_t r, int64_t from, int64_t to) {
    static const real zeros[256];
    int64_t width = s->p.row_width, at = r * width, steps = to - from, rest = o->rough > from ? o->rough - from : 0;
    const opt_scalars *history = o->history + (from - o->first_kept);
    bool adam = o->o.kind == OPT_ADAM || o->o.kind == OPT_ADAMW;
    assert(from >= o->first_kept && steps <= OPT_HISTORY);
    if (adam && o->o.rule == OPT_RULE_KERAS && !s->decays && !s->average) {
        kern.adam_idle(width, s->p.value + at, s->m + at, s->v + at, o->o.beta1, o->o.beta2,
                       o->alpha + (from - o->first_kept), steps, rest, (real)o->o.epsilon);
        return;
    }
    for (int64_t part = 0; part < width; part += 256) {
        int64_t n = width - part < 256 ? width - part : 256, x = at + part;
        for (int64_t t = 0; t < steps; t++)
            opt_apply(o, &history[t], s->decays, n, s->p.value + x, zeros, s->m ? s->m + x : NULL,
                      s->v ? s->v + x : NULL, s->average ? s->average + x : NULL);
    }
}

/* ---- bringing rows up to date ---- */

typedef struct replay_work {
    const opt *o;
    const opt_state *s;
    int64_t n;
    int64_t to;
} replay_work;

static void replay_task(void *context, int64_t task, int worker) {
    const replay_work *w = context;
    int64_t end = (task + 1) * ROWS_PER_TASK;
    (void)worker;
    for (int64_t k = task * ROWS_PER_TASK; k < end && k < w->n; k++)
        replay(w->o, w->s, w->s->stale[k], w->s->stale_from[k], w->to);
}

/* Marks row r as up to date and lists it for replay when it lags. */
static inline void list_stale(const opt *o, opt_state *s, int64_t r, int64_t *n) {
    if (s->last[r] >= o->iterations) return; /* OPT_UNTOUCHED is larger than any step */
    s->stale[*n] = (int32_t)r;
    s->stale_from[(*n)++] = s->last[r];
    s->last[r] = o->iterations;
}

static void replay_listed(const opt *o, const opt_state *s, int64_t n, pool *crew) {
    replay_work w = {o, s, n, o->iterations};
    opt_run(crew, (n + ROWS_PER_TASK - 1) / ROWS_PER_TASK, replay_task, &w);
}

void opt_prepare(opt *o, int i, const int32_t *ids, int64_t n, pool *crew) {
    opt_state *s = &o->state[i];
    int64_t listed = 0, rows = s->lazy ? rows_of(s) : 0;
    if (!s->lazy) return;
    if (o->rescan) opt_lazy_rescan(o);
    for (int64_t k = 0; k < n; k++)
        if (ids[k] >= 0 && ids[k] < rows) list_stale(o, s, ids[k], &listed);
    replay_listed(o, s, listed, crew);
}

void opt_lazy_flush(opt *o, int i, pool *crew) {
    opt_state *s = &o->state[i];
    int64_t listed = 0;
    if (o->rescan) opt_lazy_rescan(o);
    for (int64_t r = 0; r < rows_of(s); r++) list_stale(o, s, r, &listed);
    replay_listed(o, s, listed, crew);
}

/* ---- this step's rows ---- */

typedef struct row_work {
    const opt *o;
    const opt_state *s;
    const grad_rows *rows;
    const opt_scalars *scalars;
} row_work;

static void step_row(const row_work *w, int64_t k) {
    const opt_state *s = w->s;
    int64_t width = s->p.row_width, at = w->rows->ids[k] * width;
    const real *g = w->rows->rows + k * width;
    real clipped[OPT_BLOCK], limit = (real)w->o->o.clip_value;
    for (int64_t part = 0; part < width; part += OPT_BLOCK) {
        int64_t n = width - part < OPT_BLOCK ? width - part : OPT_BLOCK, x = at + part;
        const real *h = g + part;
        if (s->clip != 1) kern.scale(n, (real)s->clip, h, clipped);
        for (int64_t i = 0; limit > 0 && i < n; i++) clipped[i] = h[i] > limit ? limit : h[i] < -limit ? -limit : h[i];
        if (s->clip != 1 || limit > 0) h = clipped;
        opt_apply(w->o, w->scalars, s->decays, n, s->p.value + x, h, s->m ? s->m + x : NULL, s->v ? s->v + x : NULL,
                  s->average ? s->average + x : NULL);
    }
}

static void row_task(void *context, int64_t task, int worker) {
    const row_work *w = context;
    int64_t end = (task + 1) * ROWS_PER_TASK;
    (void)worker;
    for (int64_t k = task * ROWS_PER_TASK; k < end && k < w->rows->n; k++) step_row(w, k);
}

void opt_lazy_rows(opt *o, int i, const grad_rows *rows, const opt_scalars *scalars, pool *crew) {
    opt_state *s = &o->state[i];
    bool forgets = idle_rows_rest(s) && (o->o.kind == OPT_ADAGRAD || (o->o.kind == OPT_SGD && !s->m));
    opt_prepare(o, i, rows->ids, rows->n, crew); /* nothing left to do where the caller prepared */
    row_work w = {o, s, rows, scalars};
    opt_run(crew, (rows->n + ROWS_PER_TASK - 1) / ROWS_PER_TASK, row_task, &w);
    for (int64_t k = 0; k < rows->n; k++) s->last[rows->ids[k]] = forgets ? OPT_UNTOUCHED : o->iterations + 1;
}
