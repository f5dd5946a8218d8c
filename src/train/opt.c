/* opt - optimisers: their options checked, their state laid out, their scalars worked out once for each step.
 *
 * Rules are Keras' (keras/src/optimizers/) or PyTorch's (torch/optim/); where they differ is said at opt_scalars_at and
 * in simd/kern_opt.h. Powers b^t are taken in double and rounded once, so that no machine differs.
 *
 * Leaves to others: the update itself (opt_step.c), tables whose rows lag behind (opt_lazy.c), kernels (simd).
 * Invariant: parameters, state and their cut into blocks depend on shapes and options only; threads pick blocks up in
 * any order. */
#include "train/opt.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "simd/kern.h"
#include "train/opt_impl.h"

/* ---- options ---- */

static bool share(double x) { return x >= 0 && x < 1; }

static souk_status check_options(const opt_options *o, souk_error *err) {
    int clips = (o->clip_value != 0) + (o->clip_norm != 0) + (o->clip_global_norm != 0);
    if (!share(o->beta1) || !share(o->beta2))
        return err_set(err, SOUK_USAGE, "optimizer: beta_1 and beta_2 must be at least 0 and below 1");
    if (!share(o->momentum) || !share(o->rho))
        return err_set(err, SOUK_USAGE, "optimizer: momentum and rho must be at least 0 and below 1");
    if (!share(o->ema_momentum))
        return err_set(err, SOUK_USAGE, "optimizer: ema_momentum must be at least 0 and below 1");
    if (!(o->epsilon >= 0) || !isfinite(o->epsilon))
        return err_set(err, SOUK_USAGE, "optimizer: epsilon must not be negative");
    if (!(o->weight_decay >= 0) || !isfinite(o->weight_decay))
        return err_set(err, SOUK_USAGE, "optimizer: weight_decay must not be negative");
    if (!(o->clip_value >= 0) || !(o->clip_norm >= 0) || !(o->clip_global_norm >= 0))
        return err_set(err, SOUK_USAGE, "optimizer: clipping thresholds must be positive");
    if (clips > 1)
        return err_set(err, SOUK_USAGE, "optimizer: only one of clipvalue, clipnorm and global_clipnorm may be set");
    if (o->accumulate < 1)
        return err_set(err, SOUK_USAGE, "optimizer: gradient_accumulation_steps must be at least 1, not %d",
                       o->accumulate);
    if (!(o->initial_accumulator >= 0))
        return err_set(err, SOUK_USAGE, "optimizer: initial_accumulator_value must not be negative");
    return SOUK_OK;
}

static bool has_m(const opt_options *o) {
    return o->kind == OPT_ADAM || o->kind == OPT_ADAMW ||
           ((o->kind == OPT_SGD || o->kind == OPT_RMSPROP) && o->momentum > 0);
}

static bool has_v(const opt_options *o) { return o->kind != OPT_SGD; }

/* Replay knows zero gradients only: no sums, no decay inside the gradient, no division of zero by zero. */
static bool may_be_lazy(const opt_options *o) { return o->accumulate == 1 && !opt_coupled(o) && o->epsilon > 0; }

/* ---- state ---- */

static bool add_slot(opt *o, const char *param, const char *what, int64_t count, double value, real **out) {
    real *values = arena_array(&o->arena, (size_t)count, sizeof *values);
    const char *name = arena_printf(&o->arena, "%s/%s", param, what);
    if (!values || !name) return false;
    if (value != 0)
        for (int64_t i = 0; i < count; i++) values[i] = (real)value;
    o->slots[o->n_slots++] = (opt_slot_entry){name, values, count};
    *out = values;
    return true;
}

static bool new_lazy(opt *o, opt_state *s) {
    size_t rows = (size_t)(s->p.count / s->p.row_width);
    s->last = arena_array(&o->arena, rows, sizeof *s->last);
    s->stale = arena_array(&o->arena, rows, sizeof *s->stale);
    s->stale_from = arena_array(&o->arena, rows, sizeof *s->stale_from);
    if (!o->history) o->history = arena_array(&o->arena, OPT_HISTORY, sizeof *o->history);
    if (!o->alpha) o->alpha = arena_array(&o->arena, OPT_HISTORY, sizeof *o->alpha);
    o->rescan = true;
    return s->last && s->stale && s->stale_from && o->history && o->alpha;
}

static bool new_state(opt *o, const opt_param *p, opt_state *s) {
    s->p = *p;
    s->p.name = arena_strdup(&o->arena, p->name);
    if (!s->p.name || !p->trainable) return s->p.name != NULL;
    s->decays = o->o.weight_decay > 0 && (o->o.decay_bias_and_norm || !p->is_bias_or_norm);
    s->lazy = p->is_table && p->row_width > 0 && p->count >= o->o.lazy_from && may_be_lazy(&o->o);
    double first_v = o->o.kind == OPT_ADAGRAD ? o->o.initial_accumulator : 0;
    bool fine = !has_m(&o->o) || add_slot(o, p->name, "m", p->count, 0, &s->m);
    fine = fine && (!has_v(&o->o) || add_slot(o, p->name, "v", p->count, first_v, &s->v));
    fine = fine && (o->o.accumulate == 1 || add_slot(o, p->name, "sum", p->count, 0, &s->sum));
    fine = fine && (o->o.ema_momentum == 0 || add_slot(o, p->name, "average", p->count, 0, &s->average));
    return fine && (!s->lazy || new_lazy(o, s));
}

/* Whole rows to a block where a row fits, so that a row's sum of squares is never cut. */
static int64_t block_size(const opt_param *p) {
    return p->is_table && p->row_width > 0 && p->row_width <= OPT_BLOCK ? OPT_BLOCK / p->row_width * p->row_width
                                                                        : OPT_BLOCK;
}

static bool new_blocks(opt *o) {
    for (int i = 0; i < o->n; i++) {
        const opt_param *p = &o->state[i].p;
        if (p->trainable) o->n_blocks += (p->count + block_size(p) - 1) / block_size(p);
        if (p->trainable && !o->state[i].lazy) o->total += p->count;
    }
    o->blocks = arena_array(&o->arena, (size_t)o->n_blocks + 1, sizeof *o->blocks);
    o->partial = arena_array(&o->arena, (size_t)o->n_blocks + 1, sizeof *o->partial);
    if (!o->blocks || !o->partial) return false;
    int64_t at = 0;
    for (int i = 0; i < o->n; i++) {
        const opt_param *p = &o->state[i].p;
        int64_t size = block_size(p);
        for (int64_t begin = 0; p->trainable && begin < p->count; begin += size)
            o->blocks[at++] = (opt_block){i, begin, p->count - begin < size ? p->count - begin : size};
    }
    assert(at == o->n_blocks);
    return true;
}

souk_status opt_new(opt **out, const opt_options *options, const opt_param *params, int n, souk_error *err) {
    *out = NULL;
    TRY(check_options(options, err));
    opt *o = mem_calloc(1, sizeof *o);
    if (!o) return err_nomem(err, "making the optimiser");
    arena_init(&o->arena);
    o->o = *options;
    o->n = n;
    o->last_norm = NAN;
    o->state = arena_array(&o->arena, (size_t)n + 1, sizeof *o->state);
    o->slots = arena_array(&o->arena, (size_t)n * 4 + 1, sizeof *o->slots);
    bool fine = o->state && o->slots;
    for (int i = 0; fine && i < n; i++) fine = new_state(o, &params[i], &o->state[i]);
    if (!fine || !new_blocks(o)) {
        opt_free(o);
        return err_nomem(err, "making the optimiser's state");
    }
    *out = o;
    return SOUK_OK;
}

void opt_free(opt *o) {
    if (!o) return;
    arena_clear(&o->arena);
    mem_free(o);
}

/* ---- scalars of a step ---- */

/* b^t by squaring: the same products on every machine. */
static double power(double b, int64_t t) {
    double result = 1;
    for (; t > 0; t >>= 1, b *= b)
        if (t & 1) result *= b;
    return result;
}

/* step counts from 0. Keras puts epsilon outside the bias correction ("epsilon hat" of Kingma & Ba 2015, end of section
 * 2); PyTorch corrects the second moment before adding epsilon. */
opt_scalars opt_scalars_at(const opt *o, int64_t step, double learning_rate) {
    opt_scalars s = {.rate = (real)learning_rate};
    if (o->o.kind == OPT_ADAM || o->o.kind == OPT_ADAMW) {
        double c1 = 1 - power(o->o.beta1, step + 1), c2 = 1 - power(o->o.beta2, step + 1);
        s.rate = (real)(o->o.rule == OPT_RULE_KERAS ? learning_rate * sqrt(c2) / c1 : learning_rate / c1);
        s.rsqrt_c2 = (real)(1 / sqrt(c2));
    }
    if (!opt_coupled(&o->o)) s.decay = (real)(o->o.weight_decay * learning_rate);
    s.average = step == 0 ? 0 : (real)o->o.ema_momentum; /* the first step copies the weights */
    return s;
}

void opt_apply(const opt *o, const opt_scalars *s, bool decays, int64_t n, real *p, const real *g, real *m, real *v,
               real *average) {
    const opt_options *a = &o->o;
    bool keras = a->rule == OPT_RULE_KERAS;
    real eps = (real)a->epsilon, decay = decays ? s->decay : 0;
    switch (a->kind) {
    case OPT_ADAM:
    case OPT_ADAMW:
        if (keras)
            kern.adam(n, p, g, m, v, a->beta1, a->beta2, s->rate, eps, decay);
        else
            kern.adam_torch(n, p, g, m, v, a->beta1, a->beta2, s->rate, s->rsqrt_c2, eps, decay);
        break;
    case OPT_RMSPROP: kern.rmsprop(n, p, g, v, m, a->rho, s->rate, eps, (real)a->momentum, keras, decay); break;
    case OPT_SGD: kern.sgd(n, p, g, m, s->rate, (real)a->momentum, a->nesterov, !keras, decay); break;
    case OPT_ADAGRAD: kern.adagrad(n, p, g, v, s->rate, eps, keras, decay); break;
    }
    if (average) kern.average(n, p, average, s->average);
}

typedef struct flushed {
    void (*fn)(void *context, int64_t task, int worker);
    void *context;
} flushed;

static void flushed_task(void *context, int64_t task, int worker) {
    const flushed *f = context;
    uint32_t saved = kern_fp_enter();
    f->fn(f->context, task, worker);
    kern_fp_leave(saved);
}

void opt_run(pool *crew, int64_t n, void (*fn)(void *context, int64_t task, int worker), void *context) {
    flushed f = {fn, context};
    pool_run(crew, n, flushed_task, &f);
}

/* ---- asking, saving, restoring ---- */

int64_t opt_iterations(const opt *o) { return o->iterations; }
double opt_last_norm(const opt *o) { return o->last_norm; }
bool opt_is_lazy(const opt *o, int i) { return o->state[i].lazy; }
const real *opt_average(const opt *o, int i) { return o->state[i].average; }
int opt_slots(const opt *o) { return o->n_slots; }

void opt_slot(const opt *o, int i, const char **name, real **values, int64_t *count) {
    *name = o->slots[i].name;
    *values = o->slots[i].values;
    *count = o->slots[i].count;
}

int64_t opt_counter(const opt *o, int i) { return i == 0 ? o->iterations : o->micro; }

void opt_set_counter(opt *o, int i, int64_t v) {
    if (i != 0) {
        o->micro = v;
        return;
    }
    o->iterations = v;
    o->first_kept = v;
    o->rough = v;
    o->rescan = o->history != NULL;
}

void opt_flush(opt *o, pool *crew) {
    for (int i = 0; i < o->n; i++)
        if (o->state[i].lazy) opt_lazy_flush(o, i, crew);
    o->first_kept = o->iterations;
}
