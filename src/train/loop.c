/* loop - fit: epochs of batches, validation, schedules, early stopping, progress, checkpoints.
 *
 * The course of training is a function of spec, data and seed; everything it depends on between two batches is in
 * fit_state, the weights and the optimiser, and all of that is in a checkpoint (checkpoint.c): a run that was killed
 * goes on with the same bits, wherever checkpoints happened to be written. Clocks decide only when to report and when
 * to save.
 *
 * Keras' rules (reference/engine.md 2.3): the epoch's loss is the mean of its batches' losses weighted by their rows,
 * as the weights move; early stopping counts epochs since the best; the plateau lowers the rate of later epochs. With
 * EMA, validation, best weights and the result are the averages.
 *
 * Leaves to others: what happens within a batch (loop_batch.c), updates (opt), rates (sched). */
#include "train/loop.h"

#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "train/loop_impl.h"

static const double REPORT_SECONDS = .1;

void train_result_clear(train_result *r) {
    mem_free(r->history);
    memset(r, 0, sizeof *r);
}

/* ---- the monitored value ---- */

static bool monitors(const fit *f, const char *word) { return f->t->monitor && strstr(f->t->monitor, word); }

/* Lower is better. Without validation rows the training batches' numbers stand in; a number output has no accuracy. */
static double monitored(const fit *f, const epoch_record *e) {
    bool validated = f->valid && (!f->t->monitor || monitors(f, "val_"));
    if (monitors(f, "accuracy") && fit_has_accuracy(f)) return -e->metric[validated ? 1 : 0];
    return validated ? e->val_loss : e->loss;
}

static int64_t param_bytes(const fit *f, int i) {
    shape s = shape_make(net_param(f->m->net, i)->rank, net_param(f->m->net, i)->d);
    return shape_count(&s) * (int64_t)sizeof(real);
}

/* Keras' EarlyStopping: wait grows each epoch and falls to 0 at an improvement by more than min_delta. */
static void watch(fit *f, double value) {
    fit_state *s = &f->s;
    double delta = f->t->early_stopping ? f->t->min_delta : 0;
    s->wait++;
    if (s->best_epoch == 0 || value + delta < s->best) {
        s->best = value;
        s->best_epoch = s->epoch + 1;
        s->wait = 0;
        for (int i = 0; f->best_params && i < f->m->n_params; i++)
            memcpy(f->best_params[i], f->eval_params[i], (size_t)param_bytes(f, i));
    }
    if (f->t->early_stopping && s->wait >= f->t->patience && s->epoch > 0 && s->wait > 0) s->stopped = 1;
}

/* ---- reports ---- */

static bool report(fit *f, const epoch_record *finished) {
    const fit_state *s = &f->s;
    double now = clock_seconds(), elapsed = now - f->started;
    f->last_report = now;
    if (!f->o->progress) return true;
    double rate = elapsed > 0 ? (double)f->rows_this_run / elapsed : 0;
    int64_t step = finished ? f->steps : s->step, epoch = finished ? finished->epoch : s->epoch + 1;
    double rows_left =
        (double)(f->t->epochs - epoch) * (double)f->train->n + (double)(f->steps - step) * (double)f->batch;
    train_progress p = {.epoch = epoch,
                        .epochs = f->t->epochs,
                        .step = step,
                        .steps = f->steps,
                        .rows_per_second = (int64_t)rate,
                        .seconds_left = rate > 0 ? rows_left / rate : 0,
                        .finished = finished};
    p.loss = finished ? finished->loss : s->rows > 0 ? s->loss_sum / s->rows : NAN;
    p.accuracy = !fit_has_accuracy(f) ? NAN
                 : finished           ? finished->metric[0]
                 : s->rows > 0        ? s->metric_sum / s->rows
                                      : NAN;
    return f->o->progress(f->o->context, &p);
}

static souk_status interrupted(const fit *f, souk_error *err) {
    const fit_state *s = &f->s;
    const char *path = f->o->checkpoint_path;
    return err_set(err, SOUK_INTERRUPTED, "stopped after %lld of %lld epochs and %lld of %lld batches%s%s%s",
                   (long long)s->epoch, (long long)f->t->epochs, (long long)s->step, (long long)f->steps,
                   path ? ": " : "", path ? path : "", path ? " holds the state, and --resume goes on from there" : "");
}

static souk_status not_finite(const fit *f, souk_error *err) {
    return err_set(err, SOUK_NUMERIC,
                   "the loss is no longer a finite number in epoch %lld, batch %lld of %lld (learning rate %g): try a "
                   "lower trainer.learning_rate or "
                   "trainer.optimizer.global_clipnorm=1, and look for extreme values in the inputs",
                   (long long)f->s.epoch + 1, (long long)f->s.step + 1, (long long)f->steps,
                   f->rate > 0 ? f->rate : f->t->optimizer.learning_rate);
}

/* ---- epochs ---- */

static souk_status run_batches(fit *f, souk_error *err) {
    fit_state *s = &f->s;
    while (s->step < f->steps) {
        int64_t rows = f->train->n - s->step * f->batch < f->batch ? f->train->n - s->step * f->batch : f->batch;
        double metric = 0, loss = fit_step(f, &metric);
        if (!isfinite(loss)) return not_finite(f, err);
        s->loss_sum += loss * (double)rows;
        s->metric_sum += metric;
        s->rows += (double)rows;
        s->step++;
        s->batches++;
        f->rows_this_run += rows;
        double now = clock_seconds();
        bool go_on = now - f->last_report < REPORT_SECONDS || s->step == f->steps || report(f, NULL);
        bool save =
            s->step < f->steps && f->t->checkpoint_seconds > 0 && now - f->last_checkpoint >= f->t->checkpoint_seconds;
        if (save || !go_on) TRY(checkpoint_write(f, err));
        if (!go_on) return interrupted(f, err);
    }
    return SOUK_OK;
}

static void finish_epoch(fit *f) {
    fit_state *s = &f->s;
    static const char *const names[2][2] = {{"mae", "val_mae"}, {"accuracy", "val_accuracy"}};
    epoch_record *e = &f->history[s->epoch];
    *e = (epoch_record){.epoch = s->epoch + 1,
                        .loss = s->loss_sum / s->rows,
                        .val_loss = NAN,
                        .learning_rate = f->rate,
                        .n_metrics = f->valid ? 2 : 1};
    e->metric[0] = s->metric_sum / s->rows;
    if (f->valid)
        fit_validate(f, &e->val_loss, &e->metric[1]);
    else
        opt_flush(f->opt, f->o->pool);
    for (int i = 0; i < e->n_metrics; i++) e->metric_name[i] = names[fit_has_accuracy(f)][i];
    double value = monitored(f, e);
    watch(f, value);
    if (f->t->schedule.kind == SCHED_PLATEAU) sched_plateau_update(&s->plateau, &f->t->schedule, value);
    s->epoch++;
    s->step = 0;
    s->loss_sum = s->metric_sum = s->rows = 0;
    e->seconds = clock_seconds() - f->epoch_started;
}

static souk_status run_epochs(fit *f, souk_error *err) {
    fit_state *s = &f->s;
    while (s->epoch < f->t->epochs && !s->stopped) {
        f->epoch_started = clock_seconds();
        fit_order(f);
        TRY(run_batches(f, err));
        finish_epoch(f);
        if (f->o->checkpoint_path) TRY(checkpoint_write(f, err));
        bool over = s->epoch == f->t->epochs || s->stopped;
        if (!report(f, &f->history[s->epoch - 1]) && !over) return interrupted(f, err);
    }
    return SOUK_OK;
}

/* The weights that the model keeps: the best epoch's, or the averages, or the last ones. */
static void keep_weights(fit *f) {
    opt_flush(f->opt, f->o->pool);
    real **from = f->best_params && f->s.best_epoch > 0 ? f->best_params : f->eval_params;
    for (int i = 0; i < f->m->n_params; i++)
        if (from[i] != f->m->params[i]) memcpy(f->m->params[i], from[i], (size_t)param_bytes(f, i));
}

static void warn_monitor(const fit *f) {
    if (!f->t->early_stopping) return;
    if (monitors(f, "val_") && !f->valid)
        log_warn("early stopping watches %s, but there are no validation rows: it watches the training batches instead",
                 f->t->monitor);
    if (monitors(f, "accuracy") && !fit_has_accuracy(f))
        log_warn("early stopping watches %s, but a number has no accuracy: it watches the loss instead", f->t->monitor);
}

souk_status train_fit(model *m, const dataset *train, const dataset *valid, const train_options *options,
                      train_result *result, souk_error *err) {
    fit f = {
        .m = m, .train = train, .valid = valid && valid->n > 0 ? valid : NULL, .o = options, .t = &m->spec->trainer};
    memset(result, 0, sizeof *result);
    arena_init(&f.arena);
    f.started = f.last_report = f.last_checkpoint = clock_seconds();
    souk_status status = fit_prepare(&f, err);
    if (status != SOUK_OK) goto done;
    warn_monitor(&f);
    sched_plateau_init(&f.s.plateau, f.t->optimizer.learning_rate);
    if (options->resume && options->checkpoint_path) TRY_DONE(checkpoint_read(&f, err));
    TRY_DONE(run_epochs(&f, err));
    keep_weights(&f);
    result->n_epochs = f.s.epoch;
    result->best_epoch = f.s.best_epoch;
    result->stopped_early = f.s.stopped != 0;
    result->history = f.history;
    f.history = NULL;
    result->seconds = clock_seconds() - f.started;
done:
    fit_clear(&f);
    return status;
}
