/* recipe_parts.c - options and small checks of the training flow; recipe_report.c has its words. */
#include "train/recipe_parts.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/fs.h"
#include "base/log.h"

void recipe_table_options(table_options *out, const souk_table_options *o) {
    static const struct {
        const char *name;
        table_format format;
    } formats[] = {
        {"csv", TABLE_CSV}, {"tsv", TABLE_TSV}, {"space", TABLE_SPACE}, {"jsonl", TABLE_JSONL}, {"lines", TABLE_LINES}};
    *out = table_options_default();
    for (size_t i = 0; o->format && i < sizeof formats / sizeof *formats; i++)
        if (!strcmp(o->format, formats[i].name)) out->format = formats[i].format;
    out->delimiter = o->delimiter;
    out->decimal = o->decimal;
    out->header = o->no_header ? 0 : -1;
    out->where = o->where;
    out->reject_path = o->rejects;
    out->max_bad = o->max_bad;
}

souk_status recipe_forced_types(const spec *s, const char *target, const char ***types, souk_error *err) {
    *types = NULL;
    (void)target;
    if (!s) return SOUK_OK;
    const char **t = mem_calloc((size_t)s->n_inputs * 2 + 1, sizeof *t);
    if (!t) return err_nomem(err, "reading the data");
    size_t n = 0;
    for (int i = 0; i < s->n_inputs; i++) {
        feature_type type = s->inputs[i].feature.type;
        if (type != FEATURE_TEXT && type != FEATURE_SEQUENCE && type != FEATURE_NUMBER) continue;
        t[n++] = s->inputs[i].feature.name;
        t[n++] = type == FEATURE_NUMBER ? "number" : "text";
    }
    *types = t;
    return SOUK_OK;
}

souk_status recipe_copy_spec(const spec *s, spec **out, souk_error *err) {
    buf text;
    buf_init(&text, 0);
    souk_status status = spec_to_json(s, &text, err);
    if (status == SOUK_OK) status = buf_status(&text, "writing the model's settings", err);
    if (status == SOUK_OK) status = spec_parse(out, text.data, text.len, "model", NULL, err);
    buf_clear(&text);
    return status;
}

const char *const recipe_checkpoint[RECIPE_CHECKPOINTS] = {".ckpt", ".refit.ckpt"};

souk_status recipe_prepare_out(const char *out, souk_error *err) {
    fs_writer *w = NULL;
    fs_sweep(out);
    for (int i = 0; i < RECIPE_CHECKPOINTS; i++) {
        char *path = mem_printf("%s%s", out, recipe_checkpoint[i]);
        if (!path) return err_nomem(err, "opening the model file");
        fs_sweep(path);
        mem_free(path);
    }
    TRY(fs_create(&w, out, err));
    fs_abandon(w);
    return SOUK_OK;
}

char *recipe_fingerprint(const table *t, const table *valid, const souk_train_options *o, const char *phase) {
    char rows[17], valid_rows[17] = "none";
    table_fingerprint(t, rows);
    if (valid) table_fingerprint(valid, valid_rows);
    return mem_printf("%s %s %s split=%s roles=%s", phase, rows, valid_rows, o->split ? o->split : "",
                      o->table.roles ? o->table.roles : "");
}

/* Position of a global row number in t->row, which ascends. */
static int64_t find_row(const table *t, int64_t row) {
    int64_t low = 0, high = t->n - 1;
    while (low < high) {
        int64_t mid = low + (high - low) / 2;
        if (t->row[mid] < row)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

souk_status recipe_weights(dataset *d, const table *t, const char *column_name, const char *source, souk_error *err) {
    column *c = NULL;
    TRY(table_require(t, column_name, source, &c, err));
    if (!c->is_number)
        return err_set(err, SOUK_INPUT, "%s: column \"%s\" has the role weight, but it is not numbers", source,
                       column_name);
    d->weight = mem_array((size_t)d->n, sizeof *d->weight);
    if (!d->weight) return err_nomem(err, "reading the weights");
    for (int64_t i = 0; i < d->n; i++) {
        int64_t at = find_row(t, d->row[i]);
        double v = c->number[at];
        if (!(v >= 0) || isinf(v))
            return err_at(err, SOUK_INPUT, t->line[at], -1,
                          "%s:%lld: column \"%s\": a weight must be a number that is not negative", source,
                          (long long)t->line[at], column_name);
        d->weight[i] = (float)v;
    }
    return SOUK_OK;
}

void recipe_epoch(souk_epoch *out, const epoch_record *r) {
    memset(out, 0, sizeof *out);
    out->epoch = r->epoch;
    out->seconds = r->seconds;
    out->loss = r->loss;
    out->val_loss = r->val_loss;
    out->learning_rate = r->learning_rate;
    out->metrics = r->n_metrics;
    for (int i = 0; i < r->n_metrics; i++) {
        out->metric_name[i] = r->metric_name[i];
        out->metric[i] = r->metric[i];
    }
}

souk_progress recipe_progress(const train_progress *p, const char *phase, souk_epoch *epoch) {
    if (p->finished) recipe_epoch(epoch, p->finished);
    return (souk_progress){.phase = phase,
                           .epoch = p->epoch,
                           .epochs = p->epochs,
                           .step = p->step,
                           .steps = p->steps,
                           .rows_per_second = p->rows_per_second,
                           .seconds_left = p->seconds_left,
                           .loss = p->loss,
                           .accuracy = p->accuracy,
                           .finished = p->finished ? epoch : NULL};
}

void recipe_log_columns(const table *t, const char *source) {
    log_info("%s: %lld rows, %d columns%s", source, (long long)t->n, t->n_columns,
             t->n_rejected ? "" : ", none rejected");
    if (t->n_rejected)
        log_warn("%s: %lld of %lld rows were rejected (--rejects FILE writes them with their reasons)", source,
                 (long long)t->n_rejected, (long long)t->n_read);
    for (int i = 0; i < t->n_columns; i++) {
        const column *c = &t->columns[i];
        char distinct[48] = "over 1,000 distinct values";
        if (c->n_distinct >= 0) snprintf(distinct, sizeof distinct, "%lld distinct values", (long long)c->n_distinct);
        if (c->n_missing)
            log_info("  %s: %s, %s, %lld missing", c->name, column_type_name(c->type), distinct,
                     (long long)c->n_missing);
        else
            log_info("  %s: %s, %s", c->name, column_type_name(c->type), distinct);
    }
}

void recipe_log_split(const souk_train_options *o, const split *s, int64_t n_valid, int64_t n_test) {
    const char *rest = s->by_time ? "in order of time" : s->n_test || (s->n_valid && !s->last) ? "by row hash" : "";
    const char *valid = o->validation ? o->validation : s->last ? "the last rows" : rest;
    const char *test = o->test ? o->test : rest;
    log_info("split: %lld rows train, %lld validate%s%s%s, %lld test%s%s%s", (long long)s->n_train, (long long)n_valid,
             n_valid ? " (" : "", n_valid ? valid : "", n_valid ? ")" : "", (long long)n_test, n_test ? " (" : "",
             n_test ? test : "", n_test ? ")" : "");
}

void recipe_warn_sorted(const table *t, const char *target, double validation_split) {
    const column *c = table_column(t, target);
    if (!c || t->n < 20 || validation_split <= 0) return;
    int64_t changes = 0;
    for (int64_t i = 1; i < t->n; i++) {
        if (c->is_number)
            changes += c->number[i] != c->number[i - 1];
        else {
            size_t a, b;
            const char *x = column_text(c, i, &a), *y = column_text(c, i - 1, &b);
            changes += a != b || memcmp(x, y, a) != 0;
        }
    }
    int64_t values = c->n_distinct < 0 ? 1000 : c->n_distinct;
    if (values > 1 && changes < 2 * values)
        log_warn("the rows are sorted by \"%s\", and trainer.validation_split takes the last ones: they are not like "
                 "the others; shuffle the file or use --split",
                 target);
}
