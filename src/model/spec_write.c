/* spec_write - a spec back as text: canonical JSON for the model file, readable YAML for people.
 *
 * Both come from one walk: the canonical text has every key with its value, the brief one leaves out what equals its
 * default and names encoders by their word. YAML is the brief JSON laid out again: block style down to the keys of
 * features and trainer, flow style below, quotes only where needed. Reading either gives the same spec. */
#include <string.h>
#include <strings.h>

#include "base/num.h"
#include "model/spec_impl.h"

typedef struct walk {
    json_writer j;
    bool brief; /* leave out what equals its default */
    bool shown; /* but not the rows that keys.def marks as shown */
} walk;

static const char *word_of(spec_section section, int value) {
    return spec_choice_word(spec_row_find(section, "type", NULL)->choices, value);
}

/* ---- the walk ---- */

static void write_preprocessing(walk *w, const feature_config *f) {
    json_writer *j = &w->j;
    const char *type = feature_type_name(f->type);
    feature_config defaults = feature_config_default(f->type);
    json_key(j, "preprocessing");
    json_object(j);
    spec_write_rows(j, SECTION_PREPROCESSING, type, f, w->brief ? &defaults : NULL, w->shown);
    if (f->type == FEATURE_TEXT || f->type == FEATURE_SEQUENCE) {
        json_key(j, "tokenizer");
        json_object(j);
        spec_write_rows(j, SECTION_TOKENIZER, type, &f->tokenizer, w->brief ? &defaults.tokenizer : NULL, w->shown);
        json_end_object(j);
        json_key(j, "pad_sequences");
        json_object(j);
        spec_write_rows(j, SECTION_PAD, NULL, &f->pad, w->brief ? &defaults.pad : NULL, w->shown);
        json_end_object(j);
    }
    json_end_object(j);
}

static void write_layers(walk *w, const layer_config *layers, int n) {
    json_key(&w->j, "layers");
    json_array(&w->j);
    for (int i = 0; i < n; i++) {
        layer_type type = spec_layer_type(&layers[i]);
        layer_config defaults = spec_layer_default(type);
        defaults.pool.stride = layers[i].pool.size;
        json_object(&w->j);
        spec_write_rows(&w->j, SECTION_LAYER, word_of(SECTION_LAYER, (int)type), &layers[i],
                        w->brief ? &defaults : NULL, w->shown);
        json_end_object(&w->j);
    }
    json_end_array(&w->j);
}

static void write_encoder(walk *w, const input_config *in) {
    encoder_args args, defaults;
    bool word = spec_encoder_word(in, &args);
    if (in->n_layers == 0 && w->brief) return;
    json_key(&w->j, "encoder");
    json_object(&w->j);
    if (in->n_layers == 0 || (word && w->brief)) {
        defaults = spec_encoder_default(args.type);
        spec_write_rows(&w->j, SECTION_ENCODER, word_of(SECTION_ENCODER, (int)args.type), &args, &defaults, w->shown);
    } else {
        spec_write_rows(&w->j, SECTION_ENCODER, "sequential", NULL, NULL, w->shown);
        write_layers(w, in->layers, in->n_layers);
    }
    json_end_object(&w->j);
}

static void write_class_weight(walk *w, const output_config *out) {
    if (w->brief && !out->balanced && out->n_class_weights == 0) return;
    json_key(&w->j, "class_weight");
    if (out->balanced) {
        json_put_string(&w->j, "balanced");
    } else if (out->n_class_weights == 0) {
        json_put_null(&w->j);
    } else {
        json_object(&w->j);
        for (int i = 0; i < out->n_class_weights; i++) {
            json_key(&w->j, out->class_name[i]);
            json_put_double(&w->j, out->class_weight[i]);
        }
        json_end_object(&w->j);
    }
}

static void write_output(walk *w, const output_config *out) {
    output_config defaults = spec_output_default(out->feature.type);
    const char *type = feature_type_name(out->feature.type);
    json_object(&w->j);
    spec_write_rows(&w->j, SECTION_OUTPUT, type, out, w->brief ? &defaults : NULL, w->shown);
    if (out->feature.type == FEATURE_BINARY || out->feature.type == FEATURE_CATEGORY) write_class_weight(w, out);
    write_preprocessing(w, &out->feature);
    json_end_object(&w->j);
}

static void write_trainer(walk *w, const trainer_config *t) {
    json_writer *j = &w->j;
    trainer_config defaults = spec_trainer_default();
    optimizer_args args = {t->optimizer, t->optimizer.ema_momentum > 0},
                   opt_defaults = {opt_options_default(t->optimizer.kind, t->optimizer.rule), false};
    sched_options sched_defaults = sched_options_default(t->schedule.kind);
    if (!args.use_ema) args.o.ema_momentum = .99;
    opt_defaults.o.ema_momentum = .99;
    opt_defaults.o.rule = OPT_RULE_KERAS; /* another rule is always written: the other defaults are its own */
    defaults.optimizer = opt_defaults.o;
    json_object(j);
    spec_write_rows(j, SECTION_TRAINER, NULL, t, w->brief ? &defaults : NULL, w->shown);
    json_key(j, "optimizer");
    json_object(j);
    spec_write_rows(j, SECTION_OPTIMIZER, word_of(SECTION_OPTIMIZER, (int)t->optimizer.kind), &args,
                    w->brief ? &opt_defaults : NULL, w->shown);
    json_end_object(j);
    if (!w->brief || t->schedule.kind != SCHED_CONSTANT) {
        json_key(j, "learning_rate_schedule");
        json_object(j);
        spec_write_rows(j, SECTION_SCHEDULE, word_of(SECTION_SCHEDULE, (int)t->schedule.kind), &t->schedule,
                        w->brief ? &sched_defaults : NULL, w->shown);
        json_end_object(j);
    }
    if (t->early_stopping) {
        json_key(j, "early_stopping");
        json_object(j);
        spec_write_rows(j, SECTION_EARLY, NULL, t, w->brief ? &defaults : NULL, w->shown);
        json_end_object(j);
    } else if (!w->brief) {
        json_key(j, "early_stopping");
        json_put_bool(j, false);
    }
    json_end_object(j);
}

static souk_status write_spec(const spec *s, bool brief, bool shown, buf *out, souk_error *err) {
    walk context = {.brief = brief, .shown = shown}, *w = &context;
    json_writer *j = &w->j;
    json_begin(j, out, false);
    json_object(j);
    json_key(j, "input_features");
    json_array(j);
    for (int i = 0; i < s->n_inputs; i++) {
        json_object(j);
        spec_write_rows(j, SECTION_INPUT, feature_type_name(s->inputs[i].feature.type), &s->inputs[i], NULL, w->shown);
        write_preprocessing(w, &s->inputs[i].feature);
        write_encoder(w, &s->inputs[i]);
        json_end_object(j);
    }
    json_end_array(j);
    if (!brief || s->n_combiner > 0) {
        json_key(j, "combiner");
        json_object(j);
        spec_write_rows(j, SECTION_COMBINER, "concat", NULL, NULL, w->shown);
        write_layers(w, s->combiner, s->n_combiner);
        json_end_object(j);
    }
    json_key(j, "output_features");
    json_array(j);
    for (int i = 0; i < s->n_outputs; i++) write_output(w, &s->outputs[i]);
    json_end_array(j);
    json_key(j, "trainer");
    write_trainer(w, &s->trainer);
    json_end_object(j);
    return buf_status(out, "writing the model's description", err);
}

souk_status spec_to_json(const spec *s, buf *out, souk_error *err) { return write_spec(s, false, false, out, err); }

souk_status spec_override(spec **s, const char *const *sets, souk_error *err) {
    buf text;
    spec *changed = NULL;
    buf_init(&text, 0);
    souk_status status = write_spec(*s, true, false, &text, err);
    if (status == SOUK_OK) status = spec_parse(&changed, text.data, text.len, "model", sets, err);
    buf_clear(&text);
    if (status != SOUK_OK) return status;
    spec_free(*s);
    *s = changed;
    return SOUK_OK;
}

/* ---- YAML ---- */

/* Plain where every reader takes it for the same text: letters, digits, _ and - that do not look like another type. */
static void yaml_text(buf *out, const char *s) {
    static const char *const taken[] = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"};
    bool plain = (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z');
    for (const char *p = s; *p && plain; p++) {
        plain =
            (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') || *p == '_' || *p == '-';
    }
    for (size_t i = 0; plain && i < sizeof taken / sizeof *taken; i++) plain = strcasecmp(s, taken[i]) != 0;
    if (plain) {
        buf_str(out, s);
        return;
    }
    json_writer j;
    json_begin(&j, out, false);
    json_put_string(&j, s);
}

static void yaml_flow(buf *out, const yaml_value *v) {
    bool first = true;
    switch (v->kind) {
    case YAML_NULL:
    case YAML_BOOL:
    case YAML_INT:
    case YAML_REAL: buf_str(out, v->text); break; /* as the canonical text has it */
    case YAML_TEXT: yaml_text(out, v->text); break;
    case YAML_LIST:
        buf_char(out, '[');
        for (size_t i = 0; i < v->n; i++) {
            if (i > 0) buf_str(out, ", ");
            yaml_flow(out, v->entry[i].value);
        }
        buf_char(out, ']');
        break;
    case YAML_MAP:
        buf_char(out, '{');
        for (size_t i = 0; i < v->n; i++) {
            const yaml_value *value = v->entry[i].value;
            if (value->kind == YAML_MAP && value->n == 0) continue;
            if (!first) buf_str(out, ", ");
            first = false;
            yaml_text(out, v->entry[i].key);
            buf_str(out, ": ");
            yaml_flow(out, value);
        }
        buf_char(out, '}');
        break;
    }
}

/* The keys of a group, one a line; a dash before the first where it is an element of a list. */
static void yaml_block(buf *out, const yaml_value *group, bool element) {
    for (size_t i = 0; i < group->n; i++) {
        const yaml_value *value = group->entry[i].value;
        if (value->kind == YAML_MAP && value->n == 0) continue;
        buf_str(out, !element ? "  " : i == 0 ? "  - " : "    ");
        yaml_text(out, group->entry[i].key);
        buf_str(out, ": ");
        yaml_flow(out, value);
        buf_char(out, '\n');
    }
}

/* A comment on one line, whatever a reason holds. */
static void yaml_comment(buf *out, const char *reason) {
    buf_str(out, "  # ");
    for (; *reason; reason++) buf_char(out, (unsigned char)*reason < 0x20 ? ' ' : *reason);
    buf_char(out, '\n');
}

souk_status spec_to_yaml(const spec *s, const char *const *reasons, buf *out, souk_error *err) {
    buf json;
    yaml_tree *tree = NULL;
    buf_init(&json, 0);
    souk_status status = write_spec(s, true, true, &json, err);
    if (status == SOUK_OK) status = yaml_parse(&tree, json.data, json.len, "model", err);
    for (size_t k = 0; status == SOUK_OK && k < yaml_root(tree)->n; k++) {
        const yaml_entry *e = &yaml_root(tree)->entry[k];
        buf_printf(out, "%s:\n", e->key);
        if (e->value->kind == YAML_MAP) yaml_block(out, e->value, false);
        for (size_t i = 0; e->value->kind == YAML_LIST && i < e->value->n; i++) {
            if (reasons && strcmp(e->key, "input_features") == 0 && reasons[i]) yaml_comment(out, reasons[i]);
            yaml_block(out, e->value->entry[i].value, true);
        }
    }
    yaml_tree_free(tree);
    buf_clear(&json);
    return status == SOUK_OK ? buf_status(out, "writing the model file", err) : status;
}
