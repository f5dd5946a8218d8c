/* spec - the model file from text to a checked structure: features, combiner, trainer.
 *
 * The tree comes from yaml.c, scalar keys are read by spec_keys.c from the rows of keys.def, encoders by spec_layers.c.
 * What is left to this file is what no row can say: defaults that depend on a type, sections inside sections, and
 * checks across keys. Words are Ludwig's where it has them (ludwig-ai/ludwig, "Configuration") and Keras' for text,
 * layers, losses and optimisers.
 *
 * Invariant: a spec that was returned has at least one input and one output, distinct names, and every number in its
 * range. */
#include "model/spec.h"

#include <string.h>

#include "base/fs.h"
#include "model/spec_impl.h"

/* ---- features ---- */

static souk_status nested(const spec_reader *r, const char *where, const char *key, const char **out) {
    *out = arena_printf(r->arena, "%s.%s", where, key);
    return *out ? SOUK_OK : err_nomem(r->err, "reading the model file");
}

static souk_status read_preprocessing(const spec_reader *r, const yaml_value *v, const char *where, bool target,
                                      feature_config *f) {
    const char *path, *inner, *type = feature_type_name(f->type);
    TRY(nested(r, where, "preprocessing", &path));
    TRY(spec_read_rows(r, v, SECTION_PREPROCESSING, type, path, f));
    if (f->missing == MISSING_FILL_MEAN && (f->type != FEATURE_NUMBER || target)) {
        return yaml_fault(r->err, v->origin, v->line, v->column, "%s: fill_with_mean is for number inputs", path);
    }
    if (target && (f->missing == MISSING_FILL_CONST || f->missing == MISSING_OWN_CATEGORY)) {
        return yaml_fault(r->err, v->origin, v->line, v->column,
                          "%s: a missing target cannot be filled in: use drop_row or error", path);
    }
    if (f->type != FEATURE_TEXT && f->type != FEATURE_SEQUENCE) return SOUK_OK;
    const yaml_value *tokenizer = yaml_get(v, "tokenizer");
    const char *word;
    int value;
    TRY(nested(r, path, "tokenizer", &inner));
    TRY(spec_select(r, tokenizer, SECTION_TOKENIZER, inner, 0, &value, &word));
    TRY(spec_read_rows(r, tokenizer, SECTION_TOKENIZER, type, inner, &f->tokenizer));
    if (!*f->tokenizer.split)
        return yaml_fault(r->err, tokenizer->origin, tokenizer->line, tokenizer->column,
                          "%s.split: it cannot be empty (char_level: true cuts into characters)", inner);
    TRY(nested(r, path, "pad_sequences", &inner));
    return spec_read_rows(r, yaml_get(v, "pad_sequences"), SECTION_PAD, NULL, inner, &f->pad);
}

static souk_status read_input(const spec_reader *r, const yaml_value *v, const char *where, input_config *in) {
    int type;
    const char *word, *path;
    TRY(spec_select(r, v, SECTION_INPUT, where, -1, &type, &word));
    *in = (input_config){.feature = feature_config_default((feature_type)type)};
    TRY(spec_read_rows(r, v, SECTION_INPUT, word, where, in));
    TRY(read_preprocessing(r, yaml_get(v, "preprocessing"), where, false, &in->feature));
    TRY(nested(r, where, "encoder", &path));
    return spec_read_encoder(r, yaml_get(v, "encoder"), path, in);
}

output_config spec_output_default(feature_type type) {
    loss_kind loss = type == FEATURE_BINARY ? LOSS_SIGMOID_BCE : type == FEATURE_CATEGORY ? LOSS_SOFTMAX_CE : LOSS_MSE;
    return (output_config){.feature = feature_config_default(type),
                           .loss = {.kind = loss, .delta = 1, .gamma = 2, .alpha = -1},
                           .loss_weight = 1,
                           .threshold = .5};
}

static souk_status check_loss(const spec_reader *r, const yaml_value *v, const char *where, const output_config *out) {
    loss_kind k = out->loss.kind;
    const char *fitting = NULL;
    switch (out->feature.type) {
    case FEATURE_BINARY:
        if (k != LOSS_SIGMOID_BCE && k != LOSS_FOCAL) fitting = "binary_crossentropy or binary_focal_crossentropy";
        break;
    case FEATURE_CATEGORY:
        if (k != LOSS_SOFTMAX_CE) fitting = "categorical_crossentropy";
        break;
    default:
        if (k != LOSS_MSE && k != LOSS_MAE && k != LOSS_HUBER && k != LOSS_POISSON)
            fitting = "mse, mae, huber or poisson";
    }
    if (!fitting) return SOUK_OK;
    const yaml_value *loss = yaml_get(v, "loss");
    return yaml_fault(r->err, loss->origin, loss->line, loss->column,
                      "%s.loss: \"%s\" does not fit a %s output: use %s", where, loss->text,
                      feature_type_name(out->feature.type), fitting);
}

static souk_status read_class_weight(const spec_reader *r, const yaml_value *v, const char *where, output_config *out) {
    const char *path;
    if (!v || v->kind == YAML_NULL) return SOUK_OK;
    TRY(nested(r, where, "class_weight", &path));
    out->balanced = v->kind == YAML_TEXT && strcmp(v->text, "balanced") == 0;
    if (out->balanced) return SOUK_OK;
    if (v->kind != YAML_MAP) return spec_wrong_type(r, v, path, "", "balanced or a group of class: number");
    const char **names = arena_array(r->arena, v->n, sizeof *names);
    double *weights = arena_array(r->arena, v->n, sizeof *weights);
    if (!names || !weights) return err_nomem(r->err, "reading the model file");
    for (size_t i = 0; i < v->n; i++) {
        const yaml_value *w = v->entry[i].value;
        names[i] = arena_strdup(r->arena, v->entry[i].key);
        if (!names[i]) return err_nomem(r->err, "reading the model file");
        if (w->kind != YAML_INT && w->kind != YAML_REAL)
            return spec_wrong_type(r, w, path, v->entry[i].key, yaml_kind_name(YAML_REAL));
        if (!spec_in_range("at least 0", w->d))
            return yaml_fault(r->err, w->origin, w->line, w->column, "%s.%s: %s is out of range: at least 0", path,
                              names[i], w->text);
        weights[i] = w->d;
    }
    out->class_name = names;
    out->class_weight = weights;
    out->n_class_weights = (int)v->n;
    return SOUK_OK;
}

static souk_status read_output(const spec_reader *r, const yaml_value *v, const char *where, output_config *out) {
    int type;
    const char *word;
    TRY(spec_select(r, v, SECTION_OUTPUT, where, -1, &type, &word));
    *out = spec_output_default((feature_type)type);
    TRY(spec_read_rows(r, v, SECTION_OUTPUT, word, where, out));
    TRY(check_loss(r, v, where, out));
    TRY(read_class_weight(r, yaml_get(v, "class_weight"), where, out));
    return read_preprocessing(r, yaml_get(v, "preprocessing"), where, true, &out->feature);
}

/* ---- lists of features ---- */

static souk_status list_of(const spec_reader *r, const yaml_value *root, const char *key, const yaml_value **list) {
    *list = yaml_get(root, key);
    if (!*list || (*list)->kind == YAML_NULL || ((*list)->kind == YAML_LIST && (*list)->n == 0)) {
        return yaml_fault(r->err, root->origin, root->line, root->column,
                          "%s is missing: list at least one column there", key);
    }
    return (*list)->kind == YAML_LIST ? SOUK_OK : spec_wrong_type(r, *list, key, "", yaml_kind_name(YAML_LIST));
}

static const char *name_of(const spec *s, int i) {
    return i < s->n_inputs ? s->inputs[i].feature.name : s->outputs[i - s->n_inputs].feature.name;
}

static souk_status check_names(const spec_reader *r, const spec *s, const yaml_value *inputs,
                               const yaml_value *outputs) {
    for (int i = 0; i < s->n_inputs + s->n_outputs; i++) {
        const yaml_value *v = i < s->n_inputs ? inputs->entry[i].value : outputs->entry[i - s->n_inputs].value;
        if (!*name_of(s, i)) return yaml_fault(r->err, v->origin, v->line, v->column, "a feature's name is empty");
        for (int k = 0; k < i; k++) {
            if (strcmp(name_of(s, i), name_of(s, k)) != 0) continue;
            return yaml_fault(r->err, v->origin, v->line, v->column,
                              k < s->n_inputs && i >= s->n_inputs ? "column \"%.100s\" is both an input and an output"
                                                                  : "column \"%.100s\" is listed for the second time",
                              name_of(s, i));
        }
    }
    return SOUK_OK;
}

static souk_status read_features(const spec_reader *r, const yaml_value *root, spec *s) {
    const yaml_value *inputs, *outputs;
    TRY(list_of(r, root, "input_features", &inputs));
    TRY(list_of(r, root, "output_features", &outputs));
    if (inputs->n + outputs->n > 10000)
        return yaml_fault(r->err, inputs->origin, inputs->line, inputs->column, "more than 10,000 features");
    s->inputs = arena_array(r->arena, inputs->n, sizeof *s->inputs);
    s->outputs = arena_array(r->arena, outputs->n, sizeof *s->outputs);
    if (!s->inputs || !s->outputs) return err_nomem(r->err, "reading the model file");
    for (size_t i = 0; i < inputs->n + outputs->n; i++) {
        bool in = i < inputs->n;
        size_t k = in ? i : i - inputs->n;
        const char *where = arena_printf(r->arena, "%s[%zu]", in ? "input_features" : "output_features", k);
        if (!where) return err_nomem(r->err, "reading the model file");
        TRY(in ? read_input(r, inputs->entry[k].value, where, &s->inputs[k])
               : read_output(r, outputs->entry[k].value, where, &s->outputs[k]));
    }
    s->n_inputs = (int)inputs->n;
    s->n_outputs = (int)outputs->n;
    return check_names(r, s, inputs, outputs);
}

/* ---- the trainer ---- */

trainer_config spec_trainer_default(void) {
    return (trainer_config){
        .epochs = 10,
        .batch_size = 32,
        .optimizer = opt_options_default(OPT_ADAM, OPT_RULE_KERAS),
        .schedule = sched_options_default(SCHED_CONSTANT),
        .validation_split = -1,
        .shuffle = true,
        .monitor = "val_loss",
        .patience = 3,
        .restore_best_weights = true,
        .checkpoint_seconds = 60,
    };
}

/* The rule decides the defaults, so it is read before the rest. */
static souk_status read_optimizer(const spec_reader *r, const yaml_value *v, opt_options *out) {
    const char *where = "trainer.optimizer", *word;
    int kind, rule = OPT_RULE_KERAS;
    TRY(spec_select(r, v, SECTION_OPTIMIZER, where, OPT_ADAM, &kind, &word));
    const yaml_value *given = yaml_get(v, "rule");
    if (given && given->text)
        (void)spec_choice_value(spec_row_find(SECTION_OPTIMIZER, "rule", NULL)->choices, given->text, &rule);
    optimizer_args args = {.o = opt_options_default((opt_kind)kind, (opt_rule)rule)};
    args.o.ema_momentum = .99;
    TRY(spec_read_rows(r, v, SECTION_OPTIMIZER, word, where, &args));
    if (!args.use_ema) args.o.ema_momentum = 0;
    if ((args.o.clip_value > 0) + (args.o.clip_norm > 0) + (args.o.clip_global_norm > 0) > 1) {
        return yaml_fault(r->err, v->origin, v->line, v->column,
                          "%s: give one of clipvalue, clipnorm and global_clipnorm, not several", where);
    }
    *out = args.o;
    return SOUK_OK;
}

static souk_status read_schedule(const spec_reader *r, const yaml_value *v, sched_options *out) {
    const char *where = "trainer.learning_rate_schedule", *word;
    int kind;
    TRY(spec_select(r, v, SECTION_SCHEDULE, where, SCHED_CONSTANT, &kind, &word));
    *out = sched_options_default((sched_kind)kind);
    return spec_read_rows(r, v, SECTION_SCHEDULE, word, where, out);
}

static souk_status read_trainer(const spec_reader *r, const yaml_value *v, trainer_config *t) {
    *t = spec_trainer_default();
    TRY(spec_check_keys(r, v, SECTION_TRAINER, NULL, "trainer"));
    TRY(read_optimizer(r, yaml_get(v, "optimizer"), &t->optimizer));
    TRY(read_schedule(r, yaml_get(v, "learning_rate_schedule"), &t->schedule));
    const yaml_value *stop = yaml_get(v, "early_stopping");
    if (stop && stop->kind == YAML_BOOL) {
        t->early_stopping = stop->b;
    } else if (stop && stop->kind != YAML_NULL) {
        t->early_stopping = true;
        TRY(spec_read_rows(r, stop, SECTION_EARLY, NULL, "trainer.early_stopping", t));
    }
    return spec_read_rows(r, v, SECTION_TRAINER, NULL, "trainer", t);
}

/* ---- the whole ---- */

static souk_status read_root(const spec_reader *r, const yaml_value *root, spec *s) {
    if (root->kind != YAML_MAP) {
        return yaml_fault(
            r->err, root->origin, root->line, root->column,
            "this is not a model file: it should begin with input_features (souk init DATA --target C writes one)");
    }
    TRY(spec_check_keys(r, root, SECTION_ROOT, NULL, ""));
    TRY(read_features(r, root, s));
    TRY(spec_read_combiner(r, yaml_get(root, "combiner"), s));
    return read_trainer(r, yaml_get(root, "trainer"), &s->trainer);
}

static spec *spec_new(void) {
    spec *s = mem_calloc(1, sizeof *s);
    if (s) arena_init(&s->arena);
    return s;
}

souk_status spec_parse(spec **out, const char *text, size_t n, const char *name, const char *const *sets,
                       souk_error *err) {
    *out = NULL;
    yaml_tree *tree = NULL;
    spec *s = spec_new();
    if (!s) return err_nomem(err, "reading the model file");
    souk_status status = yaml_parse(&tree, text, n, name, err);
    for (; sets && *sets && status == SOUK_OK; sets++) status = spec_set(tree, *sets, err);
    if (status == SOUK_OK) status = read_root(&(spec_reader){&s->arena, err}, yaml_root(tree), s);
    yaml_tree_free(tree);
    if (status != SOUK_OK) {
        spec_free(s);
        return status;
    }
    *out = s;
    return SOUK_OK;
}

souk_status spec_read(spec **out, const char *path, const char *const *sets, souk_error *err) {
    char *text;
    size_t n;
    *out = NULL;
    TRY(fs_read_all(path, YAML_MAX_BYTES, &text, &n, err));
    souk_status status = spec_parse(out, text, n, path, sets, err);
    mem_free(text);
    return status;
}

void spec_free(spec *s) {
    if (!s) return;
    arena_clear(&s->arena);
    mem_free(s);
}

/* ---- the spec for a table without a model file ---- */

static bool copy_text(arena *a, const char **text) {
    if (!*text) return true;
    *text = arena_strdup(a, *text);
    return *text != NULL;
}

static bool copy_feature(arena *a, const feature_config *from, feature_config *to) {
    *to = *from;
    return copy_text(a, &to->name) && copy_text(a, &to->positive) && copy_text(a, &to->tokenizer.filters) &&
           copy_text(a, &to->tokenizer.split) && copy_text(a, &to->tokenizer.oov_token);
}

static bool default_encoder(arena *a, input_config *in) {
    encoder_args args = spec_encoder_default(spec_encoder_for(in->feature.type));
    layer_config layers[SPEC_MAX_LAYERS];
    in->n_layers = spec_encoder_expand(&args, in->feature.type, layers);
    if (in->n_layers == 0) return true;
    in->layers = arena_array(a, (size_t)in->n_layers, sizeof *in->layers);
    if (in->layers) memcpy(in->layers, layers, (size_t)in->n_layers * sizeof *in->layers);
    return in->layers != NULL;
}

/* What Keras leaves open for text, the worked example closes: unknown words have an index, and rows one length. */
static void default_text(feature_config *f) {
    if (f->type != FEATURE_TEXT) return;
    if (f->tokenizer.num_words == 0) f->tokenizer.num_words = 10000;
    if (!f->tokenizer.oov_token) f->tokenizer.oov_token = "<OOV>";
    if (f->pad.maxlen == 0) f->pad.maxlen = 100;
}

/* One text column alone is the worked example as it stands. Several columns get a hidden layer behind the join, without
 * which their effects could only add up. Early stopping decides the number of epochs, up to 30. */
souk_status spec_default(spec **out, const feature_config *inputs, int n_inputs, const feature_config *output,
                         souk_error *err) {
    *out = NULL;
    spec *s = spec_new();
    if (!s) return err_nomem(err, "choosing a model");
    bool plain = n_inputs == 1 && (inputs[0].type == FEATURE_TEXT || inputs[0].type == FEATURE_SEQUENCE);
    s->inputs = arena_array(&s->arena, (size_t)n_inputs, sizeof *s->inputs);
    s->outputs = arena_array(&s->arena, 1, sizeof *s->outputs);
    s->combiner = plain ? NULL : arena_array(&s->arena, 1, sizeof *s->combiner);
    bool ok = s->inputs && s->outputs && (plain || s->combiner);
    for (int i = 0; ok && i < n_inputs; i++) {
        ok = copy_feature(&s->arena, &inputs[i], &s->inputs[i].feature) && default_encoder(&s->arena, &s->inputs[i]);
        default_text(&s->inputs[i].feature);
    }
    if (ok) s->outputs[0] = spec_output_default(output->type);
    ok = ok && copy_feature(&s->arena, output, &s->outputs[0].feature);
    if (!ok) {
        spec_free(s);
        return err_nomem(err, "choosing a model");
    }
    s->n_inputs = n_inputs;
    s->n_outputs = 1;
    if (!plain) {
        s->n_combiner = 1;
        s->combiner[0] = spec_layer_default(TYPE_DENSE);
        s->combiner[0].units = s->combiner[0].rnn.units = 64;
        s->combiner[0].activation = GEMM_RELU;
    }
    s->trainer = spec_trainer_default();
    s->trainer.epochs = 30;
    s->trainer.early_stopping = true;
    *out = s;
    return SOUK_OK;
}
