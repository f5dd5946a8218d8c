/* recipe_report.c - what a training run says: to people, to programs, and in the model file.
 *
 * The record in the model file is a function of data, spec and seed; seconds and memory go to the report and the log
 * only. */
#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/fs.h"
#include "train/recipe_parts.h"

static void put_epoch(json_writer *w, const epoch_record *e, bool with_seconds) {
    json_object(w);
    json_key(w, "epoch");
    json_put_int(w, e->epoch);
    if (with_seconds) {
        json_key(w, "seconds");
        json_put_double(w, e->seconds);
    }
    json_key(w, "loss");
    json_put_double(w, e->loss);
    json_key(w, "val_loss");
    json_put_double(w, e->val_loss);
    for (int i = 0; i < e->n_metrics; i++) {
        json_key(w, e->metric_name[i]);
        json_put_double(w, e->metric[i]);
    }
    json_key(w, "learning_rate");
    json_put_double(w, e->learning_rate);
    json_end_object(w);
}

static void put_history(json_writer *w, const train_result *h, bool with_seconds) {
    json_key(w, "history");
    json_array(w);
    for (int64_t i = 0; i < h->n_epochs; i++) put_epoch(w, &h->history[i], with_seconds);
    json_end_array(w);
}

static void put_common(json_writer *w, const recipe_facts *f) {
    json_key(w, "rows");
    json_object(w);
    json_key(w, "train");
    json_put_int(w, f->n_train);
    json_key(w, "validation");
    json_put_int(w, f->n_valid);
    json_key(w, "test");
    json_put_int(w, f->n_test);
    json_key(w, "rejected");
    json_put_int(w, f->n_rejected);
    json_end_object(w);
    json_key(w, "seed");
    json_put_int(w, (int64_t)f->seed);
    json_key(w, "refitted_on_all_rows");
    json_put_bool(w, f->refitted);
    json_key(w, "best_epoch");
    json_put_int(w, f->history->best_epoch);
    json_key(w, "metrics_of");
    if (f->judged_on)
        json_put_string(w, f->judged_on);
    else
        json_put_null(w);
    if (f->n_metrics == 1)
        judge_json(w, f->model, 0, &f->metrics[0]);
    else {
        json_key(w, "outputs");
        json_object(w);
        for (int i = 0; i < f->n_metrics; i++) {
            json_key(w, pipeline_config(f->model->pipeline, true, i)->name);
            json_object(w);
            judge_json(w, f->model, i, &f->metrics[i]);
            json_end_object(w);
        }
        json_end_object(w);
    }
}

souk_status recipe_record(model *m, const recipe_facts *f, souk_error *err) {
    buf text;
    json_writer w;
    buf_init(&text, 0);
    json_begin(&w, &text, false);
    json_object(&w);
    put_common(&w, f);
    put_history(&w, f->history, false);
    json_end_object(&w);
    souk_status status = buf_status(&text, "recording the training", err);
    if (status == SOUK_OK) {
        mem_free(m->metrics);
        m->metrics = buf_take(&text);
    }
    buf_clear(&text);
    return status;
}

static void report_json(buf *out, const recipe_facts *f) {
    json_writer w;
    json_begin(&w, out, true);
    json_object(&w);
    json_key(&w, "model");
    if (f->out)
        json_put_string(&w, f->out);
    else
        json_put_null(&w);
    json_key(&w, "seconds");
    json_put_double(&w, f->seconds);
    json_key(&w, "peak_memory_bytes");
    json_put_int(&w, clock_peak_memory());
    put_common(&w, f);
    put_history(&w, f->history, true);
    json_end_object(&w);
}

static void report_text(buf *out, const recipe_facts *f) {
    const train_result *h = f->history;
    if (h->stopped_early) buf_printf(out, "stopped early: epoch %lld was best\n", (long long)h->best_epoch);
    if (!f->judged_on)
        buf_str(
            out,
            "no rows were kept back, so this model has not been judged: `souk evaluate` does it on rows of yours\n");
    for (int i = 0; i < f->n_metrics; i++) {
        int64_t rows = f->metrics[i].rows;
        buf_printf(out, "%s: metrics of the %lld %s rows%s\n", pipeline_config(f->model->pipeline, true, i)->name,
                   (long long)rows, f->judged_on,
                   strcmp(f->judged_on, "test") == 0 ? ", which training never saw" : "");
        judge_text(out, f->model, i, &f->metrics[i]);
    }
    if (f->refitted) buf_str(out, "the saved model was then fitted again on all rows, by the same recipe\n");
    if (f->out)
        buf_printf(out, "%s written in %.1f s, at most %.0f MB of memory\n", f->out, f->seconds,
                   (double)clock_peak_memory() / 1e6);
}

static void report_history_csv(buf *out, const train_result *h) {
    buf_str(out, "epoch,seconds,loss,val_loss,learning_rate");
    for (int i = 0; h->n_epochs && i < h->history[0].n_metrics; i++)
        buf_printf(out, ",%s", h->history[0].metric_name[i]);
    buf_char(out, '\n');
    for (int64_t i = 0; i < h->n_epochs; i++) {
        const epoch_record *e = &h->history[i];
        buf_printf(out, "%lld,", (long long)e->epoch);
        buf_double(out, e->seconds);
        buf_char(out, ',');
        buf_double(out, e->loss);
        buf_char(out, ',');
        if (!isnan(e->val_loss)) buf_double(out, e->val_loss);
        buf_char(out, ',');
        buf_double(out, e->learning_rate);
        for (int j = 0; j < e->n_metrics; j++) {
            buf_char(out, ',');
            if (!isnan(e->metric[j])) buf_double(out, e->metric[j]);
        }
        buf_char(out, '\n');
    }
}

souk_status recipe_report(recipe_result *r, const recipe_facts *f, souk_error *err) {
    report_text(&r->text, f);
    report_json(&r->json, f);
    report_history_csv(&r->history_csv, f->history);
    TRY(buf_status(&r->text, "writing the report", err));
    TRY(buf_status(&r->json, "writing the report", err));
    return buf_status(&r->history_csv, "writing the report", err);
}

souk_status recipe_log_file(const char *out, const train_result *history, souk_error *err) {
    char *path = mem_printf("%s.log.jsonl", out);
    buf text;
    buf_init(&text, 0);
    souk_status status = path ? SOUK_OK : err_nomem(err, "writing the log");
    for (int64_t i = 0; status == SOUK_OK && i < history->n_epochs; i++) {
        json_writer w;
        json_begin(&w, &text, false);
        put_epoch(&w, &history->history[i], true);
        buf_char(&text, '\n');
    }
    if (status == SOUK_OK) status = buf_status(&text, "writing the log", err);
    if (status == SOUK_OK && text.len) status = fs_append(path, text.data, text.len, err);
    buf_clear(&text);
    mem_free(path);
    return status;
}
