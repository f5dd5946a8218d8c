/* encoder - what the encoders share: cells of a column as text or number, the messages about them, clean-up. */
#include "feat/encoder.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"

const char *cells_text(const cells *c, int64_t i, char scratch[CELL_SCRATCH], size_t *len) {
    if (!c->column->is_number) return column_text(c->column, cells_row(c, i), len);
    *len = num_format_double(scratch, c->column->number[cells_row(c, i)]);
    return scratch;
}

bool cells_number(const cells *c, int64_t i, double *out) {
    int64_t row = cells_row(c, i);
    size_t len;
    if (!c->column->is_number) {
        const char *text = column_text(c->column, row, &len);
        return num_parse_double(text, len, out);
    }
    *out = c->column->number[row];
    return true;
}

souk_status cells_fault(const cells *c, int64_t i, souk_error *err, const char *format, ...) {
    char what[512];
    va_list args;
    va_start(args, format);
    num_vformat(what, sizeof what, format, args);
    va_end(args);
    int64_t line = c->table->line ? c->table->line[cells_row(c, i)] : -1;
    if (line <= 0)
        return err_set(err, SOUK_INPUT, "%s: row %lld: column \"%s\": %s", c->source, (long long)cells_row(c, i) + 1,
                       c->column->name, what);
    return err_at(err, SOUK_INPUT, line, -1, "%s:%lld: column \"%s\": %s", c->source, (long long)line, c->column->name,
                  what);
}

souk_status cells_one_value(const cells *c, const char *value, souk_error *err) {
    const char *name = c->column->name;
    if (c->n == 0)
        return err_set(err, SOUK_INPUT,
                       "%s: there are no rows to learn \"%s\" from: look at the file, and at --where if it was given",
                       c->source, name);
    if (!value)
        return err_set(
            err, SOUK_INPUT,
            "%s: column \"%s\" is empty in all %lld training rows: there is nothing to learn; choose another target",
            c->source, name, (long long)c->n);
    return err_set(
        err, SOUK_INPUT,
        "%s: column \"%s\" has one value (\"%.60s\") in all %lld training rows: there is nothing to learn; choose "
        "another target, or give rows of other outcomes too",
        c->source, name, value, (long long)c->n);
}

souk_status encoder_bad_json(const encoder *e, const char *member, souk_error *err) {
    return err_set(err, SOUK_CORRUPT,
                   "the stored encoder of column \"%.200s\" is damaged: its \"%s\" is missing or makes no sense",
                   e->config.name ? e->config.name : "?", member);
}

dataset_array encoder_array(const encoder *e) {
    switch (e->config.type) {
    case FEATURE_NUMBER:
    case FEATURE_BINARY: return (dataset_array){.is_ids = false, .width = 1};
    case FEATURE_CATEGORY: return (dataset_array){.is_ids = true, .width = 1};
    case FEATURE_TEXT:
    case FEATURE_SEQUENCE: break;
    }
    return (dataset_array){.is_ids = true, .width = e->maxlen};
}

void encoder_clear(encoder *e) {
    map_free(e->class_of);
    tok_word_free(e->tokenizer);
    *e = (encoder){0};
}
