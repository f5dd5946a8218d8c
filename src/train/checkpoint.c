/* checkpoint - all that a fit depends on, in one file beside the model to be: a model file with `opt/…` and `state/…`
 * added.
 *
 *   opt/PARAMETER/SLOT     the optimiser's state (F32)
 *   state/counts I64[9]    epochs, batch of the epoch, batches in all, wait, best epoch, stopped, optimiser steps,
 * micro-step, plateau's wait and cool-down state/sums F64[7]      best value, sums of the epoch under way, plateau's
 * best and rate, last learning rate state/history F64[epochs, 5 + metrics] state/best/PARAMETER   the best weights so
 * far, where they are kept (F32) Metadata adds `checkpoint_data`, the fingerprint of data and split, and
 * `checkpoint_seed`. Data order and random masks need nothing: they are functions of seed and counters. Written
 * atomically (file.h), so that a kill leaves the earlier checkpoint.
 *
 * A checkpoint of other data, another spec or another seed is refused. Invariant: writing one changes nothing in the
 * fit. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "train/loop_impl.h"

enum { COUNTS = 10, SUMS = 7, RECORD = 7 };

static const char *const metric_names[2][2] = {{"mae", "val_mae"}, {"accuracy", "val_accuracy"}};

/* ---- state as numbers ---- */

static void pack(const fit *f, int64_t counts[COUNTS], double sums[SUMS]) {
    const fit_state *s = &f->s;
    const int64_t c[COUNTS] = {s->epoch,
                               s->step,
                               s->batches,
                               s->wait,
                               s->best_epoch,
                               s->stopped,
                               opt_counter(f->opt, 0),
                               opt_counter(f->opt, 1),
                               s->plateau.wait,
                               s->plateau.cooldown_left};
    const double d[SUMS] = {s->best, s->loss_sum, s->metric_sum, s->rows, s->plateau.best, s->plateau.rate, f->rate};
    memcpy(counts, c, sizeof c);
    memcpy(sums, d, sizeof d);
}

static bool unpack(fit *f, const int64_t counts[COUNTS], const double sums[SUMS]) {
    for (int i = 0; i < COUNTS; i++)
        if (counts[i] < 0) return false;
    f->s = (fit_state){.epoch = counts[0],
                       .step = counts[1],
                       .batches = counts[2],
                       .wait = counts[3],
                       .best_epoch = counts[4],
                       .stopped = counts[5],
                       .best = sums[0],
                       .loss_sum = sums[1],
                       .metric_sum = sums[2],
                       .rows = sums[3]};
    f->s.plateau =
        (sched_plateau){.best = sums[4], .rate = sums[5], .wait = (int)counts[8], .cooldown_left = (int)counts[9]};
    f->rate = sums[6];
    if (f->s.epoch > f->t->epochs || f->s.step >= f->steps || counts[7] >= f->t->optimizer.accumulate ||
        counts[8] > INT32_MAX || counts[9] > INT32_MAX)
        return false;
    opt_set_counter(f->opt, 0, counts[6]);
    opt_set_counter(f->opt, 1, counts[7]);
    return true;
}

static void pack_history(const fit *f, double *out) {
    for (int64_t i = 0; i < f->s.epoch; i++, out += RECORD) {
        const epoch_record *e = &f->history[i];
        const double d[RECORD] = {e->seconds,           e->loss,      e->val_loss, e->learning_rate,
                                  (double)e->n_metrics, e->metric[0], e->metric[1]};
        memcpy(out, d, sizeof d);
    }
}

static void unpack_history(fit *f, const double *in) {
    for (int64_t i = 0; i < f->s.epoch; i++, in += RECORD) {
        epoch_record *e = &f->history[i];
        *e = (epoch_record){.epoch = i + 1,
                            .seconds = in[0],
                            .loss = in[1],
                            .val_loss = in[2],
                            .learning_rate = in[3],
                            .n_metrics = in[4] >= 2 ? 2 : 1};
        for (int k = 0; k < 2; k++) {
            e->metric[k] = in[5 + k];
            e->metric_name[k] = metric_names[fit_has_accuracy(f)][k];
        }
    }
}

/* ---- writing ---- */

static souk_status add_state(fit *f, model_writer *w, arena *keep, souk_error *err) {
    int64_t *counts = arena_array(keep, COUNTS, sizeof *counts), n_counts = COUNTS, n_sums = SUMS;
    double *sums = arena_array(keep, SUMS, sizeof *sums),
           *history = arena_array(keep, (size_t)f->s.epoch * RECORD + 1, sizeof *history);
    int64_t records[2] = {f->s.epoch, RECORD};
    if (!counts || !sums || !history) return err_nomem(err, "writing a checkpoint");
    pack(f, counts, sums);
    pack_history(f, history);
    const char *seed = arena_printf(keep, "%lld", (long long)f->o->seed);
    if (!seed) return err_nomem(err, "writing a checkpoint");
    TRY(model_writer_meta(w, "checkpoint_data", f->o->fingerprint ? f->o->fingerprint : "", err));
    TRY(model_writer_meta(w, "checkpoint_seed", seed, err));
    TRY(model_writer_tensor(w, "state/counts", FILE_I64, 1, &n_counts, counts, err));
    TRY(model_writer_tensor(w, "state/sums", FILE_F64, 1, &n_sums, sums, err));
    return model_writer_tensor(w, "state/history", FILE_F64, 2, records, history, err);
}

static souk_status add_optimiser(fit *f, model_writer *w, arena *keep, souk_error *err) {
    for (int i = 0; i < opt_slots(f->opt); i++) {
        const char *name;
        real *values;
        int64_t n;
        opt_slot(f->opt, i, &name, &values, &n);
        const char *key = arena_printf(keep, "opt/%s", name);
        if (!key) return err_nomem(err, "writing a checkpoint");
        TRY(model_writer_tensor(w, key, FILE_F32, 1, &n, values, err));
    }
    for (int i = 0; f->best_params && i < f->m->n_params; i++) {
        const param_def *p = net_param(f->m->net, i);
        const char *key = arena_printf(keep, "state/best/%s", p->name);
        if (!key) return err_nomem(err, "writing a checkpoint");
        TRY(model_writer_tensor(w, key, FILE_F32, p->rank, p->d, f->best_params[i], err));
    }
    return SOUK_OK;
}

souk_status checkpoint_write(fit *f, souk_error *err) {
    model_writer *w = NULL;
    arena keep;
    f->last_checkpoint = clock_seconds();
    if (!f->o->checkpoint_path) return SOUK_OK;
    opt_flush(f->opt, f->o->pool);
    arena_init(&keep);
    souk_status status = f->texts.spec ? SOUK_OK : model_texts_make(f->m, &f->texts, &f->arena, err);
    if (status == SOUK_OK) status = model_writer_new(&w, err);
    if (status == SOUK_OK) status = model_write(f->m, &f->texts, w, &keep, err);
    if (status == SOUK_OK) status = add_state(f, w, &keep, err);
    if (status == SOUK_OK) status = add_optimiser(f, w, &keep, err);
    if (status == SOUK_OK) status = model_writer_save(w, f->o->checkpoint_path, err);
    model_writer_free(w);
    arena_clear(&keep);
    f->last_checkpoint = clock_seconds(); /* a slow disk must not take all the time */
    return status;
}

/* ---- reading ---- */

static souk_status refuse(const fit *f, const char *what, souk_error *err) {
    return err_set(
        err, SOUK_INPUT,
        "%s: this checkpoint was written with %s: give what it was started with, or leave out --resume to start again",
        f->o->checkpoint_path, what);
}

static souk_status check_identity(const fit *f, const model_file *file, souk_error *err) {
    const char *data = model_file_meta(file, "checkpoint_data"), *spec_text = model_file_meta(file, "spec"),
               *seed = model_file_meta(file, "checkpoint_seed");
    char own_seed[24];
    buf own;
    if (!data || !spec_text || !seed)
        return err_set(err, SOUK_INPUT, "%s: this is not a checkpoint: move it away, or leave out --resume",
                       f->o->checkpoint_path);
    if (strcmp(data, f->o->fingerprint ? f->o->fingerprint : "") != 0)
        return refuse(f, "other data or another split of them", err);
    snprintf(own_seed, sizeof own_seed, "%lld", (long long)f->o->seed);
    if (strcmp(seed, own_seed) != 0) return refuse(f, "another seed", err);
    buf_init(&own, 0);
    souk_status status = spec_to_json(f->m->spec, &own, err);
    if (status == SOUK_OK) status = buf_status(&own, "comparing specs", err);
    bool same = status == SOUK_OK && strcmp(own.data, spec_text) == 0;
    buf_clear(&own);
    return status != SOUK_OK || same ? status : refuse(f, "other settings (its spec differs)", err);
}

static souk_status copy(const model_file *file, const char *key, int rank, const int64_t *d, real *to,
                        souk_error *err) {
    const file_tensor *t;
    TRY(model_file_need(file, key, FILE_F32, rank, d, &t, err));
    memcpy(to, t->data, t->bytes);
    return SOUK_OK;
}

static souk_status read_weights(fit *f, const model_file *file, souk_error *err) {
    char key[4200];
    for (int i = 0; i < f->m->n_params; i++) {
        const param_def *p = net_param(f->m->net, i);
        snprintf(key, sizeof key, "w/%s", p->name);
        TRY(copy(file, key, p->rank, p->d, f->m->params[i], err));
        snprintf(key, sizeof key, "state/best/%s", p->name);
        if (f->best_params) TRY(copy(file, key, p->rank, p->d, f->best_params[i], err));
    }
    for (int i = 0; i < opt_slots(f->opt); i++) {
        const char *name;
        real *values;
        int64_t n;
        opt_slot(f->opt, i, &name, &values, &n);
        snprintf(key, sizeof key, "opt/%s", name);
        TRY(copy(file, key, 1, &n, values, err));
    }
    return SOUK_OK;
}

static souk_status read_state(fit *f, const model_file *file, souk_error *err) {
    const file_tensor *counts, *sums, *history;
    int64_t n_counts = COUNTS, n_sums = SUMS, records[2] = {0, RECORD}, c[COUNTS];
    double d[SUMS];
    TRY(model_file_need(file, "state/counts", FILE_I64, 1, &n_counts, &counts, err));
    TRY(model_file_need(file, "state/sums", FILE_F64, 1, &n_sums, &sums, err));
    memcpy(c, counts->data, sizeof c);
    memcpy(d, sums->data, sizeof d);
    if (!unpack(f, c, d))
        return err_set(err, SOUK_CORRUPT, "%s: its counters do not belong to this run: delete it to start again",
                       f->o->checkpoint_path);
    records[0] = f->s.epoch;
    TRY(model_file_need(file, "state/history", FILE_F64, 2, records, &history, err));
    double *values = arena_array(&f->arena, (size_t)f->s.epoch * RECORD + 1, sizeof *values);
    if (!values) return err_nomem(err, "reading a checkpoint");
    memcpy(values, history->data, history->bytes);
    unpack_history(f, values);
    return SOUK_OK;
}

souk_status checkpoint_read(fit *f, souk_error *err) {
    model_file *file = NULL;
    if (!fs_exists(f->o->checkpoint_path)) {
        log_info("%s is not there: training starts from the beginning", f->o->checkpoint_path);
        return SOUK_OK;
    }
    TRY(model_file_open(&file, f->o->checkpoint_path, true, err));
    souk_status status = check_identity(f, file, err);
    if (status == SOUK_OK) status = read_weights(f, file, err);
    if (status == SOUK_OK) status = read_state(f, file, err);
    model_file_close(file);
    if (status == SOUK_OK)
        log_info("resumed from %s: %lld epochs and %lld batches are done", f->o->checkpoint_path, (long long)f->s.epoch,
                 (long long)f->s.step);
    return status;
}
