/* opt_step - one step over all parameters: sum, clip, decay, update, average, in blocks that threads pick up.
 *
 * A block is a fixed range of one parameter. What its gradient is - dense, rows of a list with zeros between them, a
 * sum of micro-batches, clipped, with PyTorch's decay added - is put together in the task's own scratch; without any of
 * these the plan's gradient is read in place. Then one kernel passes over parameter, gradient and state
 * (engine.md 3.4).
 *
 * Norms: sums of squares in double, each row (or block) by the 16-lane kernel, rows in order within a block, blocks in
 * order: a list of rows and the same gradient with its zeros written out give the same bits, because adding zero
 * changes nothing.
 *
 * Invariant: nothing depends on which thread takes which block; nothing is allocated. */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "simd/kern.h"
#include "train/opt_impl.h"

typedef struct work {
    opt *o;
    const param_grad *const *g;
    opt_scalars s;
    bool final; /* the micro-batch that completes a step */
} work;

/* First entry of a row list whose id is at least `row`. */
static int64_t first_row(const grad_rows *rows, int64_t row) {
    int64_t lo = 0, hi = rows->n;
    while (lo < hi) {
        int64_t mid = lo + (hi - lo) / 2;
        if (rows->ids[mid] < row)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* Part of listed row k that lies in the block: offsets [from, to) in the block, and its values. False: the row is
 * behind it. */
static bool row_part(const grad_rows *rows, int64_t k, const opt_block *b, int64_t *from, int64_t *to,
                     const real **values) {
    int64_t w = rows->width, begin = rows->ids[k] * w, end = begin + w;
    if (begin >= b->begin + b->count) return false;
    int64_t lo = begin > b->begin ? begin : b->begin, hi = end < b->begin + b->count ? end : b->begin + b->count;
    *from = lo - b->begin;
    *to = hi - b->begin;
    *values = rows->rows + k * w + (lo - begin);
    return true;
}

/* ---- gradient of a block ---- */

static void expand_rows(const grad_rows *rows, const opt_block *b, real *dst) {
    int64_t from, to, filled = 0;
    const real *values;
    for (int64_t k = first_row(rows, b->begin / rows->width); k < rows->n && row_part(rows, k, b, &from, &to, &values);
         k++) {
        memset(dst + filled, 0, (size_t)(from - filled) * sizeof *dst);
        memcpy(dst + from, values, (size_t)(to - from) * sizeof *dst);
        filled = to;
    }
    memset(dst + filled, 0, (size_t)(b->count - filled) * sizeof *dst);
}

static void add_to_sum(const param_grad *g, const opt_block *b, real *sum) {
    int64_t from, to;
    const real *values;
    if (!g->is_rows) {
        kern.add(b->count, sum, g->dense + b->begin, sum);
        return;
    }
    for (int64_t k = first_row(&g->rows, b->begin / g->rows.width);
         k < g->rows.n && row_part(&g->rows, k, b, &from, &to, &values); k++)
        kern.add(to - from, sum + from, values, sum + from);
}

/* Before clipping: in place, or in scratch [OPT_BLOCK]. */
static const real *raw_gradient(const work *w, const opt_block *b, real *scratch) {
    const opt_state *s = &w->o->state[b->param];
    const param_grad *g = w->g[b->param];
    if (s->sum) {
        const real *sum = s->sum + b->begin;
        real k = (real)w->o->o.accumulate;
        for (int64_t i = 0; i < b->count; i++) scratch[i] = sum[i] / k;
        return scratch;
    }
    if (!g->is_rows) return g->dense + b->begin;
    expand_rows(&g->rows, b, scratch);
    return scratch;
}

/* After clipping, and with a coupled decay. NaN passes through every clip, as in Keras. */
static const real *final_gradient(const work *w, const opt_block *b, real *scratch) {
    const opt_options *o = &w->o->o;
    const opt_state *s = &w->o->state[b->param];
    const real *g = raw_gradient(w, b, scratch);
    if (s->clip != 1) {
        kern.scale(b->count, (real)s->clip, g, scratch);
        g = scratch;
    }
    if (o->clip_value > 0) {
        real c = (real)o->clip_value;
        for (int64_t i = 0; i < b->count; i++) scratch[i] = g[i] > c ? c : g[i] < -c ? -c : g[i];
        g = scratch;
    }
    if (s->decays && opt_coupled(o)) {
        real decay = (real)o->weight_decay;
        const real *p = s->p.value + b->begin;
        for (int64_t i = 0; i < b->count; i++) scratch[i] = g[i] + decay * p[i];
        g = scratch;
    }
    return g;
}

/* ---- tasks ---- */

static void sum_task(void *context, int64_t task, int worker) {
    const work *w = context;
    const opt_block *b = &w->o->blocks[task];
    (void)worker;
    if (w->g[b->param]) add_to_sum(w->g[b->param], b, w->o->state[b->param].sum + b->begin);
}

/* Rows one by one for tables, so that zeros between listed rows need not be there. */
static void norm_task(void *context, int64_t task, int worker) {
    const work *w = context;
    const opt_block *b = &w->o->blocks[task];
    const opt_param *p = &w->o->state[b->param].p;
    const param_grad *g = w->g[b->param];
    real scratch[OPT_BLOCK];
    double sum = 0;
    (void)worker;
    if (g && g->is_rows && !w->o->state[b->param].sum) {
        int64_t from, to;
        const real *values;
        for (int64_t k = first_row(&g->rows, b->begin / g->rows.width);
             k < g->rows.n && row_part(&g->rows, k, b, &from, &to, &values); k++)
            sum += kern.sum_squares(to - from, values);
    } else if (g) {
        const real *x = raw_gradient(w, b, scratch);
        int64_t width = p->is_table && p->row_width > 0 ? p->row_width : b->count;
        for (int64_t at = 0; at < b->count; at += width)
            sum += kern.sum_squares(b->count - at < width ? b->count - at : width, x + at);
    }
    w->o->partial[task] = sum;
}

static void update_task(void *context, int64_t task, int worker) {
    const work *w = context;
    const opt_block *b = &w->o->blocks[task];
    opt_state *s = &w->o->state[b->param];
    int64_t at = b->begin;
    (void)worker;
    if (s->lazy) return;
    if (!w->final || !w->g[b->param]) { /* Keras averages after every micro-batch */
        if (s->average) kern.average(b->count, s->p.value + at, s->average + at, w->s.average);
        return;
    }
    real scratch[OPT_BLOCK];
    const real *g = final_gradient(w, b, scratch);
    opt_apply(w->o, &w->s, s->decays, b->count, s->p.value + at, g, s->m ? s->m + at : NULL, s->v ? s->v + at : NULL,
              s->average ? s->average + at : NULL);
    if (s->sum) memset(s->sum + at, 0, (size_t)b->count * sizeof *s->sum);
}

/* ---- the step ---- */

static double clip_factor(double limit, double norm) {
    if (isnan(norm)) return norm;
    return norm > limit ? limit / norm : 1;
}

/* Sets the clip factor of every parameter. Keras: one factor for all under global_clipnorm, and NaN for all if that
 * norm is not finite. */
static void clip(work *w, pool *crew) {
    opt *o = w->o;
    for (int i = 0; i < o->n; i++) o->state[i].clip = 1;
    if (o->o.clip_norm == 0 && o->o.clip_global_norm == 0) return;
    opt_run(crew, o->n_blocks, norm_task, w);
    double all = 0;
    for (int64_t k = 0; k < o->n_blocks;) {
        int i = o->blocks[k].param;
        double sum = 0;
        for (; k < o->n_blocks && o->blocks[k].param == i; k++) sum += o->partial[k];
        all += sum;
        if (o->o.clip_norm > 0) o->state[i].clip = clip_factor(o->o.clip_norm, sqrt(sum));
    }
    if (o->o.clip_global_norm == 0) return;
    o->last_norm = sqrt(all);
    double factor = isfinite(o->last_norm) ? clip_factor(o->o.clip_global_norm, o->last_norm) : NAN;
    for (int i = 0; i < o->n; i++) o->state[i].clip = factor;
}

/* Lazy tables: the listed rows only; every row where the factor is not a number, since that spoils zeros too. */
static void step_lazy(work *w, pool *crew) {
    opt *o = w->o;
    for (int i = 0; i < o->n; i++) {
        opt_state *s = &o->state[i];
        if (!s->lazy) continue;
        if (w->g[i] && w->g[i]->is_rows && isfinite(s->clip)) {
            opt_lazy_rows(o, i, &w->g[i]->rows, &w->s, crew);
            continue;
        }
        opt_lazy_flush(o, i, crew);
        s->lazy = false;
        uint32_t saved = kern_fp_enter();
        for (int64_t k = 0; k < o->n_blocks; k++)
            if (o->blocks[k].param == i) update_task(w, k, 0);
        kern_fp_leave(saved);
        s->lazy = true;
        for (int64_t r = 0; r < s->p.count / s->p.row_width; r++) s->last[r] = o->iterations + 1;
    }
}

/* Adam's step for a row without gradient changes by b1 / sqrt(b2) times the growth of alpha, and by a few roundings. */
static void keep_scalars(opt *o, const opt_scalars *s) {
    int64_t at = o->iterations - o->first_kept;
    double growth = at > 0 ? (double)s->rate / (double)o->alpha[at - 1] : INFINITY;
    if (!(growth * o->o.beta1 < .999 * sqrt(o->o.beta2))) o->rough = o->iterations;
    o->history[at] = *s;
    o->alpha[at] = s->rate;
}

bool opt_step(opt *o, const param_grad *const *g, double learning_rate, pool *crew) {
    work w = {.o = o, .g = g, .s = opt_scalars_at(o, o->iterations, learning_rate)};
    pool *few = o->total >= OPT_SERIAL ? crew : NULL; /* small models stay on this thread */
    if (o->rescan) opt_lazy_rescan(o);
    if (o->o.accumulate > 1) opt_run(few, o->n_blocks, sum_task, &w);
    o->micro++;
    w.final = o->micro >= o->o.accumulate;
    if (w.final) clip(&w, few);
    opt_run(few, o->n_blocks, update_task, &w);
    if (!w.final) return false;
    if (o->history) {
        if (o->iterations - o->first_kept == OPT_HISTORY) opt_flush(o, crew);
        keep_scalars(o, &w.s);
        step_lazy(&w, crew);
    }
    o->micro = 0;
    o->iterations++;
    return true;
}
