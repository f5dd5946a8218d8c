/* encode_number - number columns: fill what is missing, scale by what the training rows gave.
 *
 * zscore takes mean and population deviation (as scikit-learn's StandardScaler), two passes in row order in double;
 * minmax maps the training range to 0 … 1. A column without spread has scale 1. Values outside float's range are
 * clamped to it. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "base/dmath.h"
#include "base/num.h"
#include "feat/encoder.h"

static double transformed(const encoder *e, double x) { return e->config.norm == NORM_LOG1P ? dmath_log(1 + x) : x; }

bool number_known(const cells *c, int64_t i) {
    double x;
    return !cells_missing(c, i) && cells_number(c, i, &x);
}

static souk_status read_number(const cells *c, int64_t i, double *x, souk_error *err) {
    if (cells_number(c, i, x)) return SOUK_OK;
    char scratch[CELL_SCRATCH];
    size_t len;
    const char *text = cells_text(c, i, scratch, &len);
    return cells_fault(
        c, i, err,
        "\"%.*s\" is not a number; declare the column as category or text, or give --decimal , for decimal commas",
        (int)(len < 60 ? len : 60), text);
}

typedef struct spread {
    int64_t n;
    double sum, min, max;
} spread;

static souk_status measure(const cells *c, spread *s, souk_error *err) {
    *s = (spread){.min = INFINITY, .max = -INFINITY};
    for (int64_t i = 0; i < c->n; i++) {
        double x;
        if (cells_missing(c, i)) continue;
        TRY(read_number(c, i, &x, err));
        s->n++;
        s->sum += x;
        s->min = x < s->min ? x : s->min;
        s->max = x > s->max ? x : s->max;
    }
    return SOUK_OK;
}

static double deviation(const encoder *e, const cells *c, double mean, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < c->n; i++) {
        double x;
        if (cells_missing(c, i) || !cells_number(c, i, &x)) continue;
        double d = transformed(e, x) - mean;
        sum += d * d;
    }
    return sqrt(sum / (double)n);
}

static souk_status check_target(const encoder *e, const cells *c, const spread *s, souk_error *err) {
    if (s->n == 0) return cells_one_value(c, NULL, err);
    if (s->min == s->max) {
        char text[32];
        num_format_double(text, s->min);
        return cells_one_value(c, text, err);
    }
    if (e->config.norm == NORM_LOG1P)
        return err_set(err, SOUK_UNSUPPORTED,
                       "%s: target \"%s\": log1p does not scale a target here; use zscore, or take the logarithm of "
                       "the column beforehand",
                       c->source, c->column->name);
    return SOUK_OK;
}

souk_status number_fit(encoder *e, const cells *c, souk_error *err) {
    spread s;
    TRY(measure(c, &s, err));
    if (e->output) TRY(check_target(e, c, &s, err));
    e->offset = 0;
    e->scale = 1;
    e->fill = e->config.missing == MISSING_FILL_CONST ? e->config.fill_value : s.n ? s.sum / (double)s.n : 0;
    if (e->config.norm == NORM_LOG1P && (s.min <= -1 || e->fill <= -1))
        return err_set(err, SOUK_INPUT,
                       "%s: column \"%s\": log1p needs values above -1, and the smallest is %.6g; use zscore",
                       c->source, c->column->name, s.min < e->fill ? s.min : e->fill);
    if (s.n > 0 && e->config.norm == NORM_ZSCORE) {
        e->offset = s.sum / (double)s.n;
        e->scale = deviation(e, c, e->offset, s.n);
    } else if (s.n > 0 && e->config.norm == NORM_MINMAX) {
        e->offset = s.min;
        e->scale = s.max - s.min;
    }
    if (e->scale == 0) e->scale = 1;
    if (!isfinite(e->offset) || !isfinite(e->scale) || !isfinite(e->fill))
        return err_set(
            err, SOUK_INPUT,
            "%s: column \"%s\": its values are too large to add up (up to %.3g); divide the column by a power of ten",
            c->source, c->column->name, s.max > -s.min ? s.max : s.min);
    return SOUK_OK;
}

souk_status number_encode(const encoder *e, const cells *c, dataset_array *out, souk_error *err) {
    if (e->output && !(out->exact = mem_array((size_t)c->n + 1, sizeof *out->exact)))
        return err_nomem(err, "encoding rows");
    for (int64_t i = 0; i < c->n; i++) {
        double x = e->fill;
        if (!cells_missing(c, i))
            TRY(read_number(c, i, &x, err));
        else if (e->config.missing == MISSING_ERROR)
            return cells_fault(c, i, err, "the cell is empty, and the model says missing_value: error");
        if (e->config.norm == NORM_LOG1P && x <= -1)
            x = e->fill; /* no training row was like this: as good as missing */
        double y = (transformed(e, x) - e->offset) / e->scale;
        if (out->exact) out->exact[i] = x;
        out->values[i] = (float)(y > FLT_MAX ? FLT_MAX : y < -FLT_MAX ? -FLT_MAX : y);
    }
    return SOUK_OK;
}

static const char *const norm_names[] = {"none", "zscore", "minmax", "log1p"};

void number_to_json(const encoder *e, json_writer *w) {
    json_key(w, "normalization");
    json_put_string(w, norm_names[e->config.norm]);
    json_key(w, "offset");
    json_put_double(w, e->offset);
    json_key(w, "scale");
    json_put_double(w, e->scale);
    json_key(w, "fill");
    json_put_double(w, e->fill);
}

souk_status number_from_json(encoder *e, const json_value *v, souk_error *err) {
    const char *norm = json_string(json_get(v, "normalization"));
    int k = 0;
    while (k < 4 && (!norm || strcmp(norm, norm_names[k]) != 0)) k++;
    if (k == 4) return encoder_bad_json(e, "normalization", err);
    e->config.norm = (normalization)k;
    if (!json_number(json_get(v, "offset"), &e->offset) || !isfinite(e->offset))
        return encoder_bad_json(e, "offset", err);
    if (!json_number(json_get(v, "scale"), &e->scale) || !isfinite(e->scale) || e->scale == 0)
        return encoder_bad_json(e, "scale", err);
    bool known = json_number(json_get(v, "fill"), &e->fill) && isfinite(e->fill);
    return known && (e->config.norm != NORM_LOG1P || e->fill > -1) ? SOUK_OK : encoder_bad_json(e, "fill", err);
}
