/* inspect.c - what a model file holds, in words: architecture, parameters, the memory plan of a training batch, FLOPs,
 * and the record of its training. Nothing is run. */
#include <string.h>

#include "base/json.h"
#include "model/sizing.h"
#include "use/evaluate.h"

static void inspect_features(const model *m, buf *out) {
    const pipeline *p = m->pipeline;
    for (int i = 0; i < pipeline_inputs(p); i++) {
        feature_shape s = pipeline_shape(p, false, i);
        buf_printf(out, "  %-20s %-9s", pipeline_config(p, false, i)->name, feature_type_name(s.type));
        if (s.type == FEATURE_TEXT || s.type == FEATURE_SEQUENCE)
            buf_printf(out, " %lld steps of %lld tokens", (long long)s.width, (long long)s.vocabulary);
        else if (s.is_ids)
            buf_printf(out, " %lld values", (long long)s.vocabulary);
        buf_char(out, '\n');
    }
    for (int i = 0; i < pipeline_outputs(p); i++) {
        buf_printf(out, "  %-20s %-9s target", pipeline_config(p, true, i)->name,
                   feature_type_name(pipeline_shape(p, true, i).type));
        int64_t k = pipeline_class_count(p, i);
        for (int64_t c = 0; c < k && c < 12; c++) buf_printf(out, "%s%s", c ? ", " : " of ", pipeline_class(p, i, c));
        if (k > 12) buf_printf(out, " … (%lld classes)", (long long)k);
        buf_char(out, '\n');
    }
}

/* ---- the record of training ---- */

static long long record_int(const json_value *object, const char *key) {
    int64_t v = 0;
    json_int(json_get(object, key), &v);
    return (long long)v;
}

static void record_metrics(const json_value *judged, buf *out) {
    void *it = NULL;
    const char *name;
    const json_value *value, *intervals = json_get(judged, "intervals");
    while (json_next(json_get(judged, "metrics"), &it, &name, &value)) {
        const json_value *interval = json_get(intervals, name);
        double v, low, high;
        buf_printf(out, "    %-18s", name);
        if (json_number(value, &v))
            buf_printf(out, " %10.4f", v);
        else
            buf_str(out, " undefined");
        if (json_number(json_index(interval, 0), &low) && json_number(json_index(interval, 1), &high))
            buf_printf(out, "   95 %% interval %.4f to %.4f", low, high);
        buf_char(out, '\n');
    }
}

/* As recipe_record wrote it; what is not there is passed over. */
static souk_status inspect_record(const char *text, buf *out, souk_error *err) {
    json_doc *doc;
    bool refitted = false;
    void *it = NULL;
    const char *name;
    const json_value *judged;
    TRY(json_parse(&doc, text, strlen(text), 0, err));
    const json_value *r = json_root(doc), *rows = json_get(r, "rows");
    const char *of = json_string(json_get(r, "metrics_of"));
    json_bool(json_get(r, "refitted_on_all_rows"), &refitted);
    buf_printf(out, "\ntraining record\n  rows: %lld train, %lld validation, %lld test, %lld rejected\n",
               record_int(rows, "train"), record_int(rows, "validation"), record_int(rows, "test"),
               record_int(rows, "rejected"));
    buf_printf(out, "  epochs: %zu, the best was %lld%s\n", json_length(json_get(r, "history")),
               record_int(r, "best_epoch"), refitted ? "; then fitted again on all rows" : "");
    if (of) buf_printf(out, "  metrics of the %s rows\n", of);
    record_metrics(r, out);
    while (json_next(json_get(r, "outputs"), &it, &name, &judged)) {
        buf_printf(out, "   %s\n", name);
        record_metrics(judged, out);
    }
    json_free(doc);
    return SOUK_OK;
}

static souk_status inspect_text(const model *m, buf *out, souk_error *err) {
    sizing one, batch;
    int64_t size = m->spec->trainer.batch_size;
    buf_str(out, "features\n");
    inspect_features(m, out);
    buf_str(out, "\nlayers\n");
    net_describe(m->net, out);
    buf_printf(out, "\nplan of a training batch of %lld rows\n", (long long)size);
    TRY(model_sizing(m, size, true, 1, &batch, out, err));
    TRY(model_sizing(m, 1, false, 1, &one, NULL, err));
    buf_printf(out,
               "\n%lld parameters, %lld of them trained; training batch: %.2f MB, %.2f MFLOP forward, %.2f MFLOP "
               "backward; one prediction: %.2f MFLOP\n",
               (long long)batch.parameters, (long long)batch.trainable, (double)batch.plan_bytes / 1e6,
               batch.flops_forward / 1e6, batch.flops_backward / 1e6, one.flops_forward / 1e6);
    buf_printf(out, "seed %llu, data %s\n", (unsigned long long)m->seed, m->fingerprint);
    return m->metrics ? inspect_record(m->metrics, out, err) : SOUK_OK;
}

static souk_status inspect_json(const model *m, buf *out, souk_error *err) {
    sizing one, batch;
    buf spec_text, layers, steps;
    json_writer w;
    buf_init(&spec_text, 0);
    buf_init(&layers, 0);
    buf_init(&steps, 0);
    souk_status status = spec_to_json(m->spec, &spec_text, err);
    if (status == SOUK_OK) status = model_sizing(m, m->spec->trainer.batch_size, true, 1, &batch, &steps, err);
    if (status == SOUK_OK) status = model_sizing(m, 1, false, 1, &one, NULL, err);
    if (status == SOUK_OK) {
        net_describe(m->net, &layers);
        json_begin(&w, out, false);
        json_object(&w);
        json_key(&w, "parameters");
        json_put_int(&w, batch.parameters);
        json_key(&w, "trainable_parameters");
        json_put_int(&w, batch.trainable);
        json_key(&w, "batch_size");
        json_put_int(&w, m->spec->trainer.batch_size);
        json_key(&w, "batch_memory_bytes");
        json_put_int(&w, (int64_t)batch.plan_bytes);
        json_key(&w, "batch_flops");
        json_put_double(&w, batch.flops_forward + batch.flops_backward);
        json_key(&w, "prediction_flops");
        json_put_double(&w, one.flops_forward);
        json_key(&w, "seed");
        json_put_int(&w, (int64_t)m->seed);
        json_key(&w, "fingerprint");
        json_put_string(&w, m->fingerprint);
        json_key(&w, "layers");
        json_put_string(&w, layers.data ? layers.data : "");
        json_key(&w, "plan");
        json_put_string(&w, steps.data ? steps.data : "");
        json_key(&w, "spec");
        json_put_raw(&w, spec_text.data);
        json_key(&w, "training");
        if (m->metrics)
            json_put_raw(&w, m->metrics);
        else
            json_put_null(&w);
        json_end_object(&w);
        buf_char(out, '\n');
    }
    buf_clear(&spec_text);
    buf_clear(&layers);
    buf_clear(&steps);
    return status;
}

souk_status inspect_model(const model *m, bool json, buf *out, souk_error *err) {
    souk_status status = json ? inspect_json(m, out, err) : inspect_text(m, out, err);
    return status == SOUK_OK ? buf_status(out, "describing the model", err) : status;
}
