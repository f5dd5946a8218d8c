/* pipeline_json - a fitted pipeline as JSON and back: members "inputs" and "outputs", arrays of encoders.
 *
 * Doubles are written in the shortest form that reads back to the same bits, so that a stored pipeline encodes as the
 * fitted one did. What is read comes from strangers: every member is checked, and what does not fit is SOUK_CORRUPT. */
#include <string.h>

#include "base/mem.h"
#include "feat/encoder.h"

enum { MAX_FEATURES = 100000 };

static const char *const missing_names[] = {"default",      "fill_with_mean", "fill_with_const",
                                            "own_category", "drop_row",       "error"};
enum { MISSING_NAMES = sizeof missing_names / sizeof *missing_names };

/* ---- writing ---- */

static souk_status encoder_to_json(const encoder *e, json_writer *w, souk_error *err) {
    souk_status status = SOUK_OK;
    json_object(w);
    json_key(w, "name");
    json_put_string(w, e->config.name);
    json_key(w, "type");
    json_put_string(w, feature_type_name(e->config.type));
    json_key(w, "missing");
    json_put_string(w, missing_names[e->config.missing]);
    json_key(w, "fill_value");
    json_put_double(w, e->config.fill_value);
    json_key(w, "most_common");
    json_put_int(w, e->config.most_common);
    if (e->config.type == FEATURE_NUMBER)
        number_to_json(e, w);
    else if (e->config.type == FEATURE_BINARY || e->config.type == FEATURE_CATEGORY)
        class_to_json(e, w);
    else
        status = text_to_json(e, w, err);
    json_end_object(w);
    return status;
}

souk_status pipeline_to_json(const pipeline *p, json_writer *w, souk_error *err) {
    for (int side = 0; side < 2; side++) {
        json_key(w, side ? "outputs" : "inputs");
        json_array(w);
        for (int i = 0; i < (side ? p->n_outputs : p->n_inputs); i++)
            TRY(encoder_to_json(side ? &p->outputs[i] : &p->inputs[i], w, err));
        json_end_array(w);
    }
    return buf_status(w->out, "storing the pipeline", err);
}

/* ---- reading ---- */

static souk_status read_type(encoder *e, const json_value *v, souk_error *err) {
    const char *name = json_string(json_get(v, "type"));
    for (int k = FEATURE_NUMBER; name && k <= FEATURE_SEQUENCE; k++)
        if (strcmp(name, feature_type_name((feature_type)k)) == 0) {
            const char *column_name = e->config.name;
            e->config = feature_config_default((feature_type)k);
            e->config.name = column_name;
            bool sequence = k == FEATURE_TEXT || k == FEATURE_SEQUENCE;
            return e->output && sequence ? encoder_bad_json(e, "type", err) : SOUK_OK;
        }
    return encoder_bad_json(e, "type", err);
}

static souk_status read_missing(encoder *e, const json_value *v, souk_error *err) {
    const char *name = json_string(json_get(v, "missing"));
    for (int k = 0; name && k < MISSING_NAMES; k++)
        if (strcmp(name, missing_names[k]) == 0) {
            e->config.missing = (missing_strategy)k;
            return SOUK_OK;
        }
    return encoder_bad_json(e, "missing", err);
}

static souk_status encoder_from_json(encoder *e, const json_value *v, bool output, arena *a, souk_error *err) {
    const json_value *name = json_get(v, "name");
    e->output = output;
    if (json_kind(name) != JSON_KIND_STRING || strlen(json_string(name)) != json_string_len(name))
        return encoder_bad_json(e, "name", err);
    e->config.name = arena_strdup(a, json_string(name));
    if (!e->config.name) return err_nomem(err, "reading a pipeline");
    TRY(read_type(e, v, err));
    TRY(read_missing(e, v, err));
    if (!json_number(json_get(v, "fill_value"), &e->config.fill_value)) return encoder_bad_json(e, "fill_value", err);
    if (!json_int(json_get(v, "most_common"), &e->config.most_common) || e->config.most_common < 0)
        return encoder_bad_json(e, "most_common", err);
    if (e->config.type == FEATURE_NUMBER) return number_from_json(e, v, err);
    if (e->config.type == FEATURE_BINARY || e->config.type == FEATURE_CATEGORY) return class_from_json(e, v, a, err);
    return text_from_json(e, v, err);
}

static souk_status read_side(encoder *e, const json_value *array, bool output, arena *a, souk_error *err) {
    for (size_t i = 0; i < json_length(array); i++) TRY(encoder_from_json(&e[i], json_index(array, i), output, a, err));
    return SOUK_OK;
}

souk_status pipeline_from_json(pipeline **out, const json_value *object, souk_error *err) {
    const json_value *inputs = json_get(object, "inputs"), *outputs = json_get(object, "outputs");
    *out = NULL;
    if (json_kind(inputs) != JSON_KIND_ARRAY || json_kind(outputs) != JSON_KIND_ARRAY ||
        json_length(inputs) > MAX_FEATURES || json_length(outputs) > MAX_FEATURES)
        return err_set(err, SOUK_CORRUPT, "the stored pipeline is damaged: its \"inputs\" or \"outputs\" are missing");
    pipeline *p;
    TRY(pipeline_new(&p, (int)json_length(inputs), (int)json_length(outputs), err));
    souk_status status = read_side(p->inputs, inputs, false, &p->arena, err);
    if (status == SOUK_OK) status = read_side(p->outputs, outputs, true, &p->arena, err);
    if (status == SOUK_OK)
        *out = p;
    else
        pipeline_free(p);
    return status;
}
