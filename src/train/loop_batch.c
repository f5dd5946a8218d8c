/* loop_batch - batches of a fit: plans made once, rows gathered, one step, one pass over the validation rows.
 *
 * A step allocates nothing: plans, sessions and buffers for the two sizes of batch exist before the first one. Rows of
 * an epoch come in a Philox permutation keyed by seed and epoch, so that an interruption cannot change it. Sample
 * weights and class weights are multiplied once for all rows (Keras turns class weights into sample weights). Metrics
 * are taken from the predictions of the training batches as the weights move, unweighted, as in Keras.
 *
 * Leaves to others: when to do what (loop.c), weights' updates (opt). */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "train/loop_impl.h"

enum { EVAL_ROWS = 256 };

/* ---- plans ---- */

static souk_status open_lane(fit *f, lane *l, int64_t rows, bool training, souk_error *err) {
    graph g;
    if (rows == 0) return SOUK_OK;
    l->rows = rows;
    graph_init(&g, rows, training);
    souk_status status = net_build_loss(f->m->net, &g, err);
    if (status == SOUK_OK) status = plan_new(&l->plan, &g, &(plan_options){.row_lists = training}, err);
    if (status == SOUK_OK) status = plan_session_new(&l->session, l->plan, pool_threads(f->o->pool), err);
    graph_clear(&g);
    return status;
}

static void close_lane(lane *l) {
    plan_session_free(l->session);
    plan_free(l->plan);
}

/* ---- weights of rows ---- */

static int64_t row_class(const dataset_array *target, int64_t row) {
    return target->is_ids ? target->ids[row] : target->values[row] >= .5f;
}

/* Inverse to the frequency among the training rows: n / (classes · count), scikit-learn's "balanced". */
static souk_status balanced_weights(const fit *f, int64_t k, double *weight, souk_error *err) {
    const dataset_array *target = &f->train->targets[0];
    for (int64_t c = 0; c < k; c++) weight[c] = 0;
    for (int64_t r = 0; r < f->train->n; r++) {
        int64_t c = row_class(target, r);
        if (c < 0 || c >= k)
            return err_set(err, SOUK_INPUT, "training row %lld has the class %lld of %lld", (long long)r, (long long)c,
                           (long long)k);
        weight[c]++;
    }
    for (int64_t c = 0; c < k; c++)
        if (weight[c] > 0) weight[c] = (double)f->train->n / ((double)k * weight[c]);
    return SOUK_OK;
}

static souk_status named_weights(const fit *f, const output_config *c, int64_t k, double *weight, souk_error *err) {
    for (int64_t i = 0; i < k; i++) weight[i] = 1;
    for (int i = 0; i < c->n_class_weights; i++) {
        int64_t at = 0;
        while (at < k && strcmp(pipeline_class(f->m->pipeline, 0, at), c->class_name[i]) != 0) at++;
        if (at == k) {
            const char **names = mem_array((size_t)k, sizeof *names);
            for (int64_t j = 0; names && j < k; j++) names[j] = pipeline_class(f->m->pipeline, 0, j);
            const char *near = names ? err_nearest(c->class_name[i], names, (size_t)k) : NULL;
            mem_free(names);
            return err_set(err, SOUK_INPUT, "class_weight: \"%s\" is not a class of \"%s\"%s%s%s", c->class_name[i],
                           c->feature.name, near ? " (did you mean \"" : "", near ? near : "", near ? "\"?)" : "");
        }
        weight[at] = c->class_weight[i];
    }
    return SOUK_OK;
}

static souk_status row_weights(fit *f, souk_error *err) {
    const dataset *d = f->train;
    const output_config *c = f->m->spec->outputs;
    bool by_class = c->balanced || c->n_class_weights > 0;
    for (int64_t i = 0; i < d->n; i++) f->weight[i] = d->weight ? d->weight[i] : 1;
    for (int64_t i = 0; f->valid && i < f->valid->n; i++)
        f->valid_weight[i] = f->valid->weight ? f->valid->weight[i] : 1;
    if (!by_class || !f->m->pipeline) return SOUK_OK;
    if (f->m->spec->n_outputs > 1)
        return err_set(err, SOUK_USAGE, "class_weight needs a model with one output: use sample weights");
    int64_t k = pipeline_class_count(f->m->pipeline, 0);
    double *weight = arena_array(&f->arena, (size_t)k + 1, sizeof *weight);
    if (!weight) return err_nomem(err, "weighting the classes");
    TRY(c->balanced ? balanced_weights(f, k, weight, err) : named_weights(f, c, k, weight, err));
    for (int64_t i = 0; i < d->n; i++) {
        int64_t class = row_class(&d->targets[0], i);
        if (class >= 0 && class < k) f->weight[i] = (real)((double)f->weight[i] * weight[class]);
    }
    return SOUK_OK;
}

/* ---- the optimiser ---- */

static souk_status open_optimiser(fit *f, souk_error *err) {
    const net *n = f->m->net;
    int count = net_params(n);
    opt_param *p = arena_array(&f->arena, (size_t)count + 1, sizeof *p);
    if (!p) return err_nomem(err, "preparing to train");
    size_t bytes; /* two states a parameter, and the best weights */
    if (!size_mul((size_t)net_param_count(n, true), 3 * sizeof(real), &bytes)) bytes = SIZE_MAX;
    TRY(clock_memory_check(bytes, "the optimiser's state", err));
    for (int i = 0; i < count; i++) {
        const param_def *d = net_param(n, i);
        shape s = shape_make(d->rank, d->d);
        p[i] = (opt_param){.name = d->name,
                           .value = f->m->params[i],
                           .count = shape_count(&s),
                           .row_width = d->is_table ? d->d[d->rank - 1] : 0,
                           .trainable = d->trainable,
                           .is_table = d->is_table,
                           .is_bias_or_norm = d->is_bias_or_norm};
    }
    TRY(opt_new(&f->opt, &f->t->optimizer, p, count, err));
    for (int i = 0; i < count; i++) {
        real *average = (real *)(uintptr_t)opt_average(f->opt, i);
        f->eval_params[i] = average ? average : f->m->params[i];
        if (!f->best_params) continue;
        f->best_params[i] = arena_array(&f->arena, (size_t)p[i].count, sizeof(real));
        if (!f->best_params[i]) return err_nomem(err, "keeping the best weights");
    }
    return SOUK_OK;
}

/* ---- all of it ---- */

static souk_status check_rows(const fit *f, const dataset *d, const char *what, souk_error *err) {
    const net *n = f->m->net;
    assert(d->n_inputs == net_inputs(n) && d->n_targets == net_outputs(n));
    for (int i = 0; i < d->n_targets; i++) {
        const dataset_array *a = &d->targets[i];
        for (int64_t r = 0; a->is_ids && r < d->n; r++)
            if (a->ids[r] < 0 || a->ids[r] >= net_output_width(n, i))
                return err_set(err, SOUK_INPUT, "%s: row %lld has the class %d of %lld", what, (long long)r,
                               (int)a->ids[r], (long long)net_output_width(n, i));
    }
    return model_check_ids(f->m, d, 0, d->n, err);
}

static souk_status allocate(fit *f, souk_error *err) {
    const dataset *d = f->train;
    size_t n = (size_t)d->n, count = (size_t)f->m->n_params + 1;
    int slots = d->n_inputs + d->n_targets + 1;
    bool keeps_best = f->t->early_stopping && f->t->restore_best_weights;
    f->order = arena_array(&f->arena, n, sizeof *f->order);
    f->weight = arena_array(&f->arena, n, sizeof *f->weight);
    f->valid_weight = arena_array(&f->arena, f->valid ? (size_t)f->valid->n : 1, sizeof *f->valid_weight);
    f->samples = arena_array(&f->arena, (size_t)f->batch, sizeof *f->samples);
    f->grads = arena_array(&f->arena, count, sizeof *f->grads);
    f->eval_params = arena_array(&f->arena, count, sizeof *f->eval_params);
    f->best_params = keeps_best ? arena_array(&f->arena, count, sizeof *f->best_params) : NULL;
    f->history = mem_calloc((size_t)f->t->epochs + 1, sizeof *f->history);
    f->gathered = arena_array(&f->arena, (size_t)slots, sizeof *f->gathered);
    f->slots = arena_array(&f->arena, (size_t)slots, sizeof *f->slots);
    f->valued = arena_array(&f->arena, (size_t)slots, sizeof *f->valued);
    bool fine = f->order && f->weight && f->valid_weight && f->samples && f->grads && f->eval_params && f->gathered &&
                f->slots && f->valued && (f->best_params || !keeps_best) && f->history;
    for (int i = 0; fine && i < slots; i++) {
        int64_t width = i < d->n_inputs ? d->inputs[i].width : i + 1 < slots ? d->targets[i - d->n_inputs].width : 1;
        size_t cells;
        fine = size_mul((size_t)f->batch, (size_t)width, &cells);
        f->gathered[i] = fine ? arena_array(&f->arena, cells, sizeof(real)) : NULL;
        f->slots[i] = f->gathered[i];
        fine = f->gathered[i] != NULL;
    }
    return fine ? SOUK_OK : err_nomem(err, "preparing to train");
}

souk_status fit_prepare(fit *f, souk_error *err) {
    const dataset *d = f->train;
    if (d->n == 0) return err_set(err, SOUK_INPUT, "there are no rows to train on");
    TRY(check_rows(f, d, "training", err));
    if (f->valid) TRY(check_rows(f, f->valid, "validation", err));
    f->batch = f->t->batch_size < d->n ? f->t->batch_size : d->n;
    f->steps = (d->n + f->batch - 1) / f->batch;
    TRY(allocate(f, err));
    TRY(row_weights(f, err));
    TRY(open_lane(f, &f->full, f->batch, true, err));
    TRY(open_lane(f, &f->last, d->n % f->batch, true, err));
    if (f->valid) {
        int64_t rows = f->valid->n < EVAL_ROWS ? f->valid->n : EVAL_ROWS;
        TRY(open_lane(f, &f->eval, rows, false, err));
        TRY(open_lane(f, &f->eval_last, f->valid->n % rows, false, err));
    }
    return open_optimiser(f, err);
}

void fit_clear(fit *f) {
    close_lane(&f->full);
    close_lane(&f->last);
    close_lane(&f->eval);
    close_lane(&f->eval_last);
    opt_free(f->opt);
    mem_free(f->history);
    arena_clear(&f->arena);
}

/* ---- metrics: the first output's ---- */

bool fit_has_accuracy(const fit *f) { return f->m->spec->outputs[0].feature.type != FEATURE_NUMBER; }

/* Sum over rows of: 1 where the class is right (mean over elements where binary outputs have several), or the absolute
 * error. */
static double metric_sum(const fit *f, const lane *l, const void *target) {
    const output_config *c = f->m->spec->outputs;
    const real *p = plan_output(l->plan, l->session, 0), *y = target;
    const int32_t *class = target;
    int64_t width = net_output_width(f->m->net, 0);
    double sum = 0, scale = 1, offset;
    if (c->feature.type == FEATURE_NUMBER && f->m->pipeline) pipeline_target_scale(f->m->pipeline, 0, &scale, &offset);
    for (int64_t r = 0; r < l->rows; r++, p += width, y += width) {
        if (c->feature.type == FEATURE_CATEGORY) {
            int64_t best = 0;
            for (int64_t k = 1; k < width; k++)
                if (p[k] > p[best]) best = k;
            sum += best == class[r];
            continue;
        }
        double row = 0;
        for (int64_t k = 0; k < width; k++)
            row += c->feature.type == FEATURE_BINARY ? (double)(((double)p[k] > c->threshold) == (y[k] >= (real).5))
                                                     : fabs((double)p[k] - (double)y[k]) * scale;
        sum += row / (double)width;
    }
    return sum;
}

/* ---- a training step ---- */

void fit_order(fit *f) {
    int64_t n = f->train->n;
    if (f->o->fixed_order)
        memcpy(f->order, f->o->fixed_order + f->s.epoch * n, (size_t)n * sizeof *f->order);
    else if (f->t->shuffle)
        rng_permutation((rng_key){f->o->seed, RNG_SHUFFLE, (uint32_t)f->s.epoch}, n, f->order);
    else
        for (int64_t i = 0; i < n; i++) f->order[i] = i;
}

static void gather(fit *f, const int64_t *rows, int64_t n) {
    const dataset *d = f->train;
    real *weight = f->gathered[d->n_inputs + d->n_targets];
    for (int i = 0; i < d->n_inputs; i++) dataset_gather(&d->inputs[i], rows, n, f->gathered[i]);
    for (int i = 0; i < d->n_targets; i++) dataset_gather(&d->targets[i], rows, n, f->gathered[d->n_inputs + i]);
    for (int64_t k = 0; k < n; k++) {
        weight[k] = f->weight[rows[k]];
        f->samples[k] = (uint64_t)(d->row ? d->row[rows[k]] : rows[k]);
    }
}

/* Keras' iterations count optimiser steps, not micro-batches. */
static double learning_rate(const fit *f) {
    const sched_options *s = &f->t->schedule;
    int64_t total = f->t->epochs * f->steps / f->t->optimizer.accumulate;
    double base = s->kind == SCHED_PLATEAU ? f->s.plateau.rate : f->t->optimizer.learning_rate;
    return sched_rate(s, base, opt_iterations(f->opt), total);
}

double fit_step(fit *f, double *metric) {
    const dataset *d = f->train;
    int64_t begin = f->s.step * f->batch, n = d->n - begin < f->batch ? d->n - begin : f->batch;
    lane *l = n == f->full.rows ? &f->full : &f->last;
    gather(f, f->order + begin, n);
    for (int i = 0; i < f->m->n_params; i++) {
        int input = opt_is_lazy(f->opt, i) ? net_table_input(f->m->net, i) : -1;
        if (input >= 0) opt_prepare(f->opt, i, f->gathered[input], n * d->inputs[input].width, f->o->pool);
    }
    plan_io io = {.inputs = f->slots,
                  .params = f->m->params,
                  .seed = f->o->seed,
                  .step = (uint32_t)f->s.batches,
                  .samples = f->samples};
    plan_run(l->plan, l->session, &io, f->o->pool);
    double loss = plan_loss(l->plan, l->session);
    if (!isfinite(loss)) return loss;
    *metric = metric_sum(f, l, f->gathered[d->n_inputs]);
    for (int i = 0; i < f->m->n_params; i++) f->grads[i] = plan_grad(l->plan, l->session, i);
    f->rate = learning_rate(f);
    opt_step(f->opt, f->grads, f->rate, f->o->pool);
    return loss;
}

/* ---- validation ---- */

static const void *rows_from(const dataset_array *a, int64_t row) {
    return a->is_ids ? (const void *)(a->ids + row * a->width) : (const void *)(a->values + row * a->width);
}

void fit_validate(fit *f, double *loss, double *metric) {
    const dataset *d = f->valid;
    const void **slots = f->valued;
    *loss = *metric = 0;
    opt_flush(f->opt, f->o->pool);
    for (int64_t at = 0; at < d->n;) {
        lane *l = d->n - at >= f->eval.rows ? &f->eval : &f->eval_last;
        for (int i = 0; i < d->n_inputs; i++) slots[i] = rows_from(&d->inputs[i], at);
        for (int i = 0; i < d->n_targets; i++) slots[d->n_inputs + i] = rows_from(&d->targets[i], at);
        slots[d->n_inputs + d->n_targets] = f->valid_weight + at;
        plan_run(l->plan, l->session, &(plan_io){.inputs = slots, .params = f->eval_params, .seed = f->o->seed},
                 f->o->pool);
        *loss += plan_loss(l->plan, l->session) * (double)l->rows;
        *metric += metric_sum(f, l, slots[d->n_inputs]);
        at += l->rows;
    }
    *loss /= (double)d->n;
    *metric /= (double)d->n;
}
