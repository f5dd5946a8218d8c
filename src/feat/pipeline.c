/* pipeline - fits and applies the encoders of a model's columns (pipeline.h).
 *
 * Leaves to others: what each kind of column becomes (encode_*), storage (pipeline_json), splitting rows (data/split).
 * Invariant: after pipeline_fit nothing is written; encoding uses scratch of its own, so threads may share a pipeline.
 */
#include "feat/pipeline.h"

#include <string.h>

#include "base/mem.h"
#include "feat/encoder.h"

/* ---- columns ---- */

static souk_status add_missing(buf *names, const table *t, const char *name, souk_error *err) {
    const char **candidates = mem_array((size_t)t->n_columns + 1, sizeof *candidates);
    if (!candidates) return err_nomem(err, "looking for columns");
    for (int i = 0; i < t->n_columns; i++) candidates[i] = t->columns[i].name;
    const char *nearest = err_nearest(name, candidates, (size_t)t->n_columns);
    if (names->len < 700)
        buf_printf(names, nearest ? "%s\"%.100s\" (nearest: \"%.100s\")" : "%s\"%.100s\"", names->len ? ", " : "", name,
                   nearest);
    mem_free(candidates);
    return SOUK_OK;
}

/* One missing column is table_require's sentence; several are one list. */
static souk_status check_columns(const encoder *const *e, int n, const table *t, const char *source, souk_error *err) {
    int missing = 0, last = 0;
    buf names;
    buf_init(&names, 0);
    souk_status status = SOUK_OK;
    for (int i = 0; i < n && status == SOUK_OK; i++) {
        if (table_column(t, e[i]->config.name)) continue;
        missing++;
        last = i;
        status = add_missing(&names, t, e[i]->config.name, err);
    }
    column *c;
    if (status == SOUK_OK) status = buf_status(&names, "looking for columns", err);
    if (status == SOUK_OK && missing == 1)
        status = table_require(t, e[last]->config.name, source, &c, err);
    else if (status == SOUK_OK && missing > 1)
        status = err_set(err, SOUK_INPUT, "%s: %d columns are missing: %s", source, missing, names.data);
    buf_clear(&names);
    return status;
}

static souk_status check_all_columns(const pipeline *p, bool outputs, const table *t, const char *source,
                                     souk_error *err) {
    int n = p->n_inputs + (outputs ? p->n_outputs : 0);
    const encoder **e = mem_array((size_t)n + 1, sizeof *e);
    if (!e) return err_nomem(err, "looking for columns");
    for (int i = 0; i < n; i++) e[i] = i < p->n_inputs ? &p->inputs[i] : &p->outputs[i - p->n_inputs];
    souk_status status = check_columns(e, n, t, source, err);
    mem_free(e);
    return status;
}

/* ---- fit ---- */

static bool copy_string(arena *a, const char **s) {
    if (!*s) return true;
    *s = arena_strdup(a, *s);
    return *s != NULL;
}

static bool copy_config(arena *a, feature_config *to, const feature_config *from) {
    *to = *from;
    return copy_string(a, &to->name) && copy_string(a, &to->positive) && copy_string(a, &to->tokenizer.filters) &&
           copy_string(a, &to->tokenizer.split) && copy_string(a, &to->tokenizer.oov_token);
}

static souk_status fit_encoder(encoder *e, const cells *c, arena *a, souk_error *err) {
    switch (e->config.type) {
    case FEATURE_NUMBER: return number_fit(e, c, err);
    case FEATURE_BINARY:
    case FEATURE_CATEGORY: return class_fit(e, c, a, err);
    case FEATURE_TEXT:
    case FEATURE_SEQUENCE: break;
    }
    return text_fit(e, c, err);
}

static souk_status fit_all(pipeline *p, encoder *e, int count, cells c, souk_error *err) {
    for (int i = 0; i < count; i++) {
        c.column = table_column(c.table, e[i].config.name);
        TRY(fit_encoder(&e[i], &c, &p->arena, err));
    }
    return SOUK_OK;
}

souk_status pipeline_new(pipeline **out, int n_inputs, int n_outputs, souk_error *err) {
    *out = NULL;
    pipeline *p = mem_calloc(1, sizeof *p);
    if (!p) return err_nomem(err, "making a pipeline");
    arena_init(&p->arena);
    p->inputs = mem_calloc((size_t)n_inputs + 1, sizeof *p->inputs);
    p->outputs = mem_calloc((size_t)n_outputs + 1, sizeof *p->outputs);
    p->n_inputs = n_inputs;
    p->n_outputs = n_outputs;
    if (!p->inputs || !p->outputs) {
        pipeline_free(p);
        return err_nomem(err, "making a pipeline");
    }
    *out = p;
    return SOUK_OK;
}

souk_status pipeline_fit(pipeline **out, const feature_config *inputs, int n_inputs, const feature_config *outputs,
                         int n_outputs, const table *t, const int64_t *rows, int64_t n, const char *source,
                         souk_error *err) {
    pipeline *p;
    *out = NULL;
    TRY(pipeline_new(&p, n_inputs, n_outputs, err));
    souk_status status = SOUK_OK;
    bool copied = true;
    for (int i = 0; i < n_inputs; i++) copied &= copy_config(&p->arena, &p->inputs[i].config, &inputs[i]);
    for (int i = 0; i < n_outputs; i++) {
        copied &= copy_config(&p->arena, &p->outputs[i].config, &outputs[i]);
        p->outputs[i].output = true;
    }
    if (!copied) status = err_nomem(err, "making a pipeline");
    if (status == SOUK_OK) status = check_all_columns(p, true, t, source, err);
    cells c = {.table = t, .rows = rows, .n = rows ? n : t->n, .source = source};
    if (status == SOUK_OK)
        status = fit_all(p, p->outputs, n_outputs, c, err); /* a bad target is what to hear of first */
    if (status == SOUK_OK) status = fit_all(p, p->inputs, n_inputs, c, err);
    if (status == SOUK_OK)
        *out = p;
    else
        pipeline_free(p);
    return status;
}

void pipeline_free(pipeline *p) {
    if (!p) return;
    for (int i = 0; p->inputs && i < p->n_inputs; i++) encoder_clear(&p->inputs[i]);
    for (int i = 0; p->outputs && i < p->n_outputs; i++) encoder_clear(&p->outputs[i]);
    mem_free(p->inputs);
    mem_free(p->outputs);
    arena_clear(&p->arena);
    mem_free(p);
}

/* ---- what others may know ---- */

static const encoder *encoder_at(const pipeline *p, bool output, int i) {
    return output ? &p->outputs[i] : &p->inputs[i];
}

int pipeline_inputs(const pipeline *p) { return p->n_inputs; }
int pipeline_outputs(const pipeline *p) { return p->n_outputs; }
const feature_config *pipeline_config(const pipeline *p, bool output, int i) {
    return &encoder_at(p, output, i)->config;
}
const tok_word *pipeline_tokenizer(const pipeline *p, int input) { return p->inputs[input].tokenizer; }

feature_shape pipeline_shape(const pipeline *p, bool output, int i) {
    const encoder *e = encoder_at(p, output, i);
    dataset_array a = encoder_array(e);
    feature_shape s = {.type = e->config.type, .is_ids = a.is_ids, .width = a.width};
    if (e->tokenizer) {
        s.vocabulary = tok_word_vocabulary(e->tokenizer);
        if (e->config.pad.value >= s.vocabulary) s.vocabulary = (int64_t)e->config.pad.value + 1;
    } else if (e->config.type == FEATURE_CATEGORY) {
        s.vocabulary = e->n_classes + (output ? 0 : 1 + (e->other != 0) + (e->missing != 0));
    }
    return s;
}

int64_t pipeline_class_count(const pipeline *p, int output) { return p->outputs[output].n_classes; }
const char *pipeline_class(const pipeline *p, int output, int64_t i) { return p->outputs[output].classes[i]; }

void pipeline_target_scale(const pipeline *p, int output, double *scale, double *offset) {
    bool number = p->outputs[output].config.type == FEATURE_NUMBER;
    *scale = number ? p->outputs[output].scale : 1;
    *offset = number ? p->outputs[output].offset : 0;
}

/* ---- encode ---- */

static souk_status encode_column(const encoder *e, const cells *c, dataset_array *a, souk_error *err) {
    *a = encoder_array(e);
    TRY(dataset_array_alloc(a, c->n, err));
    switch (e->config.type) {
    case FEATURE_NUMBER: return number_encode(e, c, a, err);
    case FEATURE_BINARY:
    case FEATURE_CATEGORY: return class_encode(e, c, a, err);
    case FEATURE_TEXT:
    case FEATURE_SEQUENCE: break;
    }
    return text_encode(e, c, a->ids, err);
}

static bool target_usable(const encoder *e, const cells *c, int64_t i) {
    return e->config.type == FEATURE_NUMBER ? number_known(c, i) : class_known(e, c, i);
}

/* Marks rows to leave out: drop[i] = 1. */
static souk_status mark_dropped(const pipeline *p, cells c, uint8_t *drop, souk_error *err) {
    for (int k = 0; k < p->n_outputs; k++) {
        const encoder *e = &p->outputs[k];
        c.column = table_column(c.table, e->config.name);
        for (int64_t i = 0; i < c.n; i++) {
            if (e->config.missing == MISSING_ERROR && cells_missing(&c, i))
                return cells_fault(&c, i, err, "the target is missing, and the model says missing_value: error");
            drop[i] |= !target_usable(e, &c, i);
        }
    }
    for (int k = 0; k < p->n_inputs; k++) {
        if (p->inputs[k].config.missing != MISSING_DROP_ROW) continue;
        c.column = table_column(c.table, p->inputs[k].config.name);
        for (int64_t i = 0; i < c.n; i++) drop[i] |= cells_missing(&c, i);
    }
    return SOUK_OK;
}

/* Rows of the table that stay, in order, into kept [c.n]; returns how many. */
static int64_t keep_rows(const cells *c, const uint8_t *drop, int64_t *kept) {
    int64_t n = 0;
    for (int64_t i = 0; i < c->n; i++)
        if (!drop[i]) kept[n++] = cells_row(c, i);
    return n;
}

static souk_status encode_rows(const pipeline *p, cells c, bool with_targets, dataset **out, souk_error *err) {
    dataset *d;
    TRY(dataset_new(&d, c.n, p->n_inputs, with_targets ? p->n_outputs : 0, err));
    souk_status status = SOUK_OK;
    for (int k = 0; k < d->n_inputs + d->n_targets && status == SOUK_OK; k++) {
        bool output = k >= d->n_inputs;
        const encoder *e = encoder_at(p, output, output ? k - d->n_inputs : k);
        c.column = table_column(c.table, e->config.name);
        status = encode_column(e, &c, output ? &d->targets[k - d->n_inputs] : &d->inputs[k], err);
    }
    for (int64_t i = 0; i < c.n; i++) d->row[i] = c.table->row[cells_row(&c, i)];
    if (status == SOUK_OK)
        *out = d;
    else
        dataset_free(d);
    return status;
}

souk_status pipeline_encode(const pipeline *p, const table *t, const int64_t *rows, int64_t n, bool with_targets,
                            const char *source, dataset **out, int64_t *dropped, souk_error *err) {
    *out = NULL;
    if (dropped) *dropped = 0;
    cells c = {.table = t, .rows = rows, .n = rows ? n : t->n, .source = source};
    TRY(check_all_columns(p, with_targets, t, source, err));
    if (!with_targets) return encode_rows(p, c, false, out, err);
    uint8_t *drop = mem_calloc((size_t)c.n + 1, 1);
    int64_t *kept = mem_array((size_t)c.n + 1, sizeof *kept);
    souk_status status = drop && kept ? mark_dropped(p, c, drop, err) : err_nomem(err, "encoding rows");
    if (status == SOUK_OK) {
        int64_t before = c.n;
        c.n = keep_rows(&c, drop, kept);
        c.rows = kept;
        if (dropped) *dropped = before - c.n;
        status = encode_rows(p, c, true, out, err);
    }
    mem_free(drop);
    mem_free(kept);
    return status;
}
