/* api_net.c - networks layer by layer, over nn and the same training loop that tables use.
 *
 * A souk_net is a net and, from the first fit on, a model around it that has no pipeline: arrays come encoded. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "simd/kern.h"
#include "train/loop.h"
#include "train/recipe.h"

struct souk_net {
    net *net;
    model *model; /* parameters, spec of the trainer; NULL before the first fit or load */
    souk_loss loss[16];
    int n_losses;
    scorer *scorer; /* kept between predictions; dropped by fit and load */
    pool *threads;  /* for large predictions; made by the first one */
};

enum { POOL_ROWS = 256 }; /* predictions of fewer rows stay on the caller's thread */

souk_net *souk_net_new(void) {
    souk_net *n = mem_calloc(1, sizeof *n);
    if (n && !(n->net = net_new())) {
        mem_free(n);
        return NULL;
    }
    return n;
}

static void drop_scorer(souk_net *n) {
    scorer_free(n->scorer);
    n->scorer = NULL;
}

void souk_net_free(souk_net *n) {
    if (!n) return;
    drop_scorer(n);
    pool_free(n->threads);
    if (n->model) {
        n->model->net = NULL;
        model_free(n->model);
    }
    net_free(n->net);
    mem_free(n);
}

/* ---- layers ---- */

static gemm_act act_of(souk_activation a) {
    static const gemm_act map[] = {GEMM_LINEAR,    GEMM_RELU, GEMM_SIGMOID, GEMM_TANH,     GEMM_GELU,
                                   GEMM_GELU_TANH, GEMM_SILU, GEMM_ELU,     GEMM_SOFTPLUS, GEMM_LINEAR};
    return (unsigned)a < sizeof map / sizeof *map ? map[a] : GEMM_LINEAR;
}

souk_tensor souk_input_ids(souk_net *n, const char *name, int64_t length) {
    return net_input(n->net, name, DT_I32, 1, &length);
}
souk_tensor souk_input_values(souk_net *n, const char *name, int64_t width) {
    return net_input(n->net, name, DT_REAL, 1, &width);
}
souk_tensor souk_embedding(souk_net *n, souk_tensor ids, int64_t vocabulary, int64_t width, bool mask_zero) {
    return net_embedding(n->net, NULL, ids, vocabulary, width, mask_zero);
}

souk_rnn_options souk_rnn_options_default(void) {
    return (souk_rnn_options){
        .size = sizeof(souk_rnn_options), .kind = SOUK_RNN_LSTM, .units = 32, .reset_after = true};
}

souk_tensor souk_rnn(souk_net *n, souk_tensor x, const souk_rnn_options *o) {
    rnn_attr a = {.kind = o->kind == SOUK_RNN_LSTM  ? RNN_LSTM
                          : o->kind == SOUK_RNN_GRU ? RNN_GRU
                                                    : RNN_SIMPLE,
                  .units = o->units,
                  .return_sequences = o->return_sequences,
                  .go_backwards = o->go_backwards,
                  .reset_after = o->reset_after,
                  .activation = GEMM_TANH,
                  .recurrent_activation = GEMM_SIGMOID,
                  .dropout = (real)o->dropout,
                  .recurrent_dropout = (real)o->recurrent_dropout};
    return o->bidirectional ? net_bidirectional(n->net, NULL, x, &a, true, "concat")
                            : net_rnn(n->net, NULL, x, &a, true);
}

souk_tensor souk_lstm(souk_net *n, souk_tensor x, int64_t units) {
    souk_rnn_options o = souk_rnn_options_default();
    o.units = units;
    return souk_rnn(n, x, &o);
}

souk_tensor souk_dense(souk_net *n, souk_tensor x, int64_t units, souk_activation activation) {
    net_id y = net_dense(n->net, NULL, x, units, act_of(activation), true);
    return activation == SOUK_SOFTMAX ? net_softmax(n->net, NULL, y) : y;
}

souk_tensor souk_conv1d(souk_net *n, souk_tensor x, int64_t filters, int64_t kernel_size, souk_activation activation) {
    conv1d_attr a = {.stride = 1, .dilation = 1, .padding = PAD_VALID};
    return net_conv1d(n->net, NULL, x, filters, kernel_size, &a, act_of(activation), true);
}

souk_tensor souk_max_pooling1d(souk_net *n, souk_tensor x, int64_t pool_size) {
    pool1d_attr a = {.size = pool_size, .stride = pool_size, .padding = PAD_VALID};
    return net_pool1d(n->net, NULL, x, &a);
}

souk_tensor souk_global_average_pooling1d(souk_net *n, souk_tensor x) { return net_global_pool(n->net, NULL, x, true); }
souk_tensor souk_global_max_pooling1d(souk_net *n, souk_tensor x) { return net_global_pool(n->net, NULL, x, false); }
souk_tensor souk_dropout(souk_net *n, souk_tensor x, double rate) { return net_dropout(n->net, NULL, x, rate); }
souk_tensor souk_layer_normalization(souk_net *n, souk_tensor x) { return net_layer_norm(n->net, NULL, x, 1e-3); }
souk_tensor souk_batch_normalization(souk_net *n, souk_tensor x) { return net_batch_norm(n->net, NULL, x, 1e-3, .99); }
souk_tensor souk_concatenate(souk_net *n, int count, const souk_tensor *x) {
    return net_concat(n->net, NULL, count, x);
}
souk_tensor souk_add(souk_net *n, souk_tensor a, souk_tensor b) { return net_add(n->net, NULL, a, b); }
souk_tensor souk_flatten(souk_net *n, souk_tensor x) { return net_flatten(n->net, NULL, x); }

void souk_output(souk_net *n, const char *name, souk_tensor prediction, souk_loss loss) {
    static const loss_kind kinds[] = {LOSS_BCE, LOSS_CE, LOSS_MSE, LOSS_MAE, LOSS_HUBER, LOSS_FOCAL};
    loss_attr a = {.kind = (unsigned)loss < sizeof kinds / sizeof *kinds ? kinds[loss] : LOSS_MSE,
                   .delta = 1,
                   .gamma = 2,
                   .alpha = (real)-1};
    net_output(n->net, name, prediction, &a, 1, loss == SOUK_SPARSE_CATEGORICAL_CROSSENTROPY);
    if (n->n_losses < 16) n->loss[n->n_losses++] = loss;
}

/* ---- the model around a net ---- */

static feature_type target_type(souk_loss loss) {
    switch (loss) {
    case SOUK_BINARY_CROSSENTROPY:
    case SOUK_BINARY_FOCAL_CROSSENTROPY: return FEATURE_BINARY;
    case SOUK_SPARSE_CATEGORICAL_CROSSENTROPY: return FEATURE_CATEGORY;
    default: return FEATURE_NUMBER;
    }
}

/* A spec that holds the trainer's settings and the kinds of the outputs; the net itself is the caller's. */
static souk_status make_spec(const souk_net *n, const souk_fit_options *o, spec **out, souk_error *err) {
    buf text;
    json_writer w;
    buf_init(&text, 0);
    json_begin(&w, &text, false);
    json_object(&w);
    json_key(&w, "input_features");
    json_put_raw(&w, "[{\"name\":\"x\",\"type\":\"number\"}]"); /* arrays come encoded: the net has its own inputs */
    json_key(&w, "output_features");
    json_array(&w);
    for (int i = 0; i < n->n_losses; i++) {
        feature_type t = target_type(n->loss[i]);
        json_object(&w);
        json_key(&w, "name");
        json_put_string(&w, net_output_name(n->net, i));
        json_key(&w, "type");
        json_put_string(&w, feature_type_name(t));
        json_end_object(&w);
    }
    json_end_array(&w);
    json_key(&w, "trainer");
    json_object(&w);
    json_key(&w, "epochs");
    json_put_int(&w, o->epochs);
    json_key(&w, "batch_size");
    json_put_int(&w, o->batch_size);
    json_key(&w, "optimizer");
    json_object(&w);
    json_key(&w, "type");
    json_put_string(&w, o->optimizer);
    json_end_object(&w);
    if (o->learning_rate > 0) {
        json_key(&w, "learning_rate");
        json_put_double(&w, o->learning_rate);
    }
    if (o->patience > 0) {
        json_key(&w, "early_stopping");
        json_object(&w);
        json_key(&w, "patience");
        json_put_int(&w, o->patience);
        json_key(&w, "restore_best_weights");
        json_put_bool(&w, true);
        json_end_object(&w);
    }
    json_end_object(&w);
    json_end_object(&w);
    souk_status status = buf_status(&text, "preparing to fit", err);
    if (status == SOUK_OK) status = spec_parse(out, text.data, text.len, "fit options", NULL, err);
    buf_clear(&text);
    return status;
}

/* Layers added after the weights were made have none. */
static souk_status check_complete(const souk_net *n, souk_error *err) {
    if (n->model->n_params == net_params(n->net) && n->model->spec->n_outputs == net_outputs(n->net)) return SOUK_OK;
    return err_set(err, SOUK_USAGE,
                   "layers or outputs were added after the net got its weights: make a new net, and add all of them "
                   "before the first fit or load");
}

static souk_status need_model(souk_net *n, const souk_fit_options *o, souk_error *err) {
    drop_scorer(n);
    TRY(net_status(n->net, err));
    if (n->n_losses == 0) return err_set(err, SOUK_USAGE, "the net has no output: call souk_output before fitting");
    if (n->model) TRY(check_complete(n, err));
    spec *s = NULL;
    TRY(make_spec(n, o, &s, err));
    if (n->model) { /* fitted before: new settings, the same weights */
        spec_free(n->model->spec);
        n->model->spec = s;
        return SOUK_OK;
    }
    n->model = mem_calloc(1, sizeof *n->model);
    if (!n->model) {
        spec_free(s);
        return err_nomem(err, "preparing to fit");
    }
    n->model->spec = s;
    n->model->net = n->net;
    n->model->seed = o->seed;
    souk_status status = model_init_weights(n->model, err);
    if (status != SOUK_OK) {
        n->model->net = NULL;
        model_free(n->model);
        n->model = NULL;
    }
    return status;
}

/* ---- arrays as a dataset; everything but the descriptions is borrowed ---- */

/* An id outside its embedding table is found here, not in a kernel. */
static souk_status check_ids(const souk_net *n, int input, const dataset_array *a, int64_t first, int64_t rows,
                             souk_error *err) {
    int64_t limit = a->is_ids ? net_input_vocabulary(n->net, input) : -1;
    for (int64_t j = 0; limit >= 0 && j < rows * a->width; j++)
        if (a->ids[j] < 0 || a->ids[j] >= limit)
            return err_set(err, SOUK_INPUT, "input \"%s\": row %lld holds the id %d, and the embedding has %lld rows",
                           net_input_name(n->net, input), (long long)(first + j / a->width), (int)a->ids[j],
                           (long long)limit);
    return SOUK_OK;
}

static souk_status make_dataset(const souk_net *n, int64_t first, int64_t rows, const souk_array *inputs,
                                const souk_array *targets, dataset *d, souk_error *err) {
    int n_in = net_inputs(n->net), n_out = targets ? net_outputs(n->net) : 0;
    memset(d, 0, sizeof *d);
    d->n = rows;
    d->n_inputs = n_in;
    d->n_targets = n_out;
    d->inputs = mem_calloc((size_t)n_in, sizeof *d->inputs);
    d->targets = mem_calloc((size_t)n_out, sizeof *d->targets);
    d->row = mem_array((size_t)rows, sizeof *d->row);
    if (!d->inputs || !d->targets || !d->row) return err_nomem(err, "reading the arrays");
    for (int64_t i = 0; i < rows; i++) d->row[i] = first + i;
    for (int i = 0; i < n_in; i++) {
        dataset_array *a = &d->inputs[i];
        a->width = net_input_width(n->net, i);
        a->is_ids = inputs[i].ids != NULL;
        if (a->is_ids != net_input_is_ids(n->net, i))
            return err_set(err, SOUK_USAGE, "input \"%s\" takes %s", net_input_name(n->net, i),
                           a->is_ids ? "values, and ids were given" : "ids, and none were given");
        if (!a->is_ids && !inputs[i].values)
            return err_set(err, SOUK_USAGE, "input \"%s\" takes values, and none were given",
                           net_input_name(n->net, i));
        a->ids = inputs[i].ids ? (int32_t *)(uintptr_t)inputs[i].ids + first * a->width : NULL;
        a->values = inputs[i].values ? (float *)(uintptr_t)inputs[i].values + first * a->width : NULL;
        TRY(check_ids(n, i, a, first, rows, err));
    }
    for (int i = 0; i < n_out; i++) {
        dataset_array *a = &d->targets[i];
        bool class_target = n->loss[i] == SOUK_SPARSE_CATEGORICAL_CROSSENTROPY;
        a->width = class_target ? 1 : net_output_width(n->net, i);
        a->is_ids = class_target;
        if (class_target ? !targets[i].ids : !targets[i].values)
            return err_set(err, SOUK_USAGE, "output \"%s\" needs its targets as %s", net_output_name(n->net, i),
                           class_target ? "ids (class numbers)" : "values");
        a->ids = class_target ? (int32_t *)(uintptr_t)targets[i].ids + first : NULL;
        a->values = class_target ? NULL : (float *)(uintptr_t)targets[i].values + first * a->width;
        for (int64_t j = 0; class_target && j < rows; j++)
            if (a->ids[j] < 0 || a->ids[j] >= net_output_width(n->net, i))
                return err_set(err, SOUK_INPUT, "output \"%s\": row %lld has the class %d of %lld",
                               net_output_name(n->net, i), (long long)(first + j), (int)a->ids[j],
                               (long long)net_output_width(n->net, i));
    }
    return SOUK_OK;
}

static void drop_dataset(dataset *d) {
    mem_free(d->inputs);
    mem_free(d->targets);
    mem_free(d->row);
}

/* ---- fit and predict ---- */

souk_fit_options souk_fit_options_default(void) {
    return (souk_fit_options){
        .size = sizeof(souk_fit_options), .epochs = 10, .batch_size = 32, .optimizer = "adam", .seed = 1};
}

static bool forward(void *context, const train_progress *p) {
    const souk_fit_options *o = context;
    souk_epoch epoch;
    souk_progress q = recipe_progress(p, "train", &epoch);
    return o->progress(o->context, &q);
}

static souk_status fit(souk_net *n, const dataset *train, const dataset *valid, const souk_fit_options *o,
                       souk_epoch *history, int64_t *done, souk_error *err) {
    pool *threads = pool_new(o->threads);
    if (!threads) return err_nomem(err, "starting threads");
    train_options options = {.seed = o->seed,
                             .pool = threads,
                             .fingerprint = "",
                             .progress = o->progress ? forward : NULL,
                             .context = (void *)(uintptr_t)o};
    train_result result = {0};
    souk_status status = train_fit(n->model, train, valid, &options, &result, err);
    for (int64_t i = 0; status == SOUK_OK && history && i < result.n_epochs && i < o->epochs; i++)
        recipe_epoch(&history[i], &result.history[i]);
    if (status == SOUK_OK && done) *done = result.n_epochs;
    train_result_clear(&result);
    pool_free(threads);
    return status;
}

souk_status souk_net_fit(souk_net *n, int64_t rows, const souk_array *inputs, const souk_array *targets,
                         const souk_fit_options *o, souk_epoch *history, int64_t *epochs_done, souk_error *err) {
    if (epochs_done) *epochs_done = 0;
    if (o->size != sizeof *o)
        return err_set(err, SOUK_USAGE,
                       "souk_fit_options was not made by its default function, or by another version of souk.h");
    if (rows < 1) return err_set(err, SOUK_INPUT, "there are no rows to fit");
    if (!(o->validation_split >= 0 && o->validation_split < 1))
        return err_set(err, SOUK_USAGE, "validation_split is a share from 0 up to, but not including, 1");
    if (!(o->learning_rate >= 0))
        return err_set(err, SOUK_USAGE, "learning_rate is %g: give a positive number, or 0 for the optimizer's own",
                       o->learning_rate);
    kern_init();
    TRY(need_model(n, o, err));
    int64_t n_train = o->n_validation ? rows : (int64_t)floor((double)rows * (1 - o->validation_split)),
            n_valid = o->n_validation ? o->n_validation : rows - n_train;
    if (n_train < 1)
        return err_set(err, SOUK_USAGE, "validation_split %g of %lld rows leaves none to fit", o->validation_split,
                       (long long)rows);
    dataset train, valid;
    memset(&valid, 0, sizeof valid);
    souk_status status = make_dataset(n, 0, n_train, inputs, targets, &train, err);
    if (status == SOUK_OK && n_valid) {
        status = o->n_validation ? make_dataset(n, 0, n_valid, o->validation_inputs, o->validation_targets, &valid, err)
                                 : make_dataset(n, n_train, n_valid, inputs, targets, &valid, err);
    }
    if (status == SOUK_OK) status = fit(n, &train, n_valid ? &valid : NULL, o, history, epochs_done, err);
    drop_dataset(&train);
    drop_dataset(&valid);
    return status;
}

souk_status souk_net_predict(souk_net *n, int64_t rows, const souk_array *inputs, float *p, souk_error *err) {
    if (!n->model) return err_set(err, SOUK_USAGE, "the net has no weights yet: fit it or load them first");
    TRY(net_status(n->net, err));
    TRY(check_complete(n, err));
    if (rows < 0) return err_set(err, SOUK_USAGE, "%lld rows cannot be predicted", (long long)rows);
    kern_init();
    dataset d;
    souk_status status = make_dataset(n, 0, rows, inputs, NULL, &d, err);
    if (status == SOUK_OK && !n->scorer) status = scorer_new(&n->scorer, n->model, err);
    if (status == SOUK_OK && rows >= POOL_ROWS && !n->threads && !(n->threads = pool_new(0)))
        status = err_nomem(err, "starting threads");
    if (status == SOUK_OK)
        status = scorer_run(n->scorer, &d, 0, rows, 0, p, rows >= POOL_ROWS ? n->threads : NULL, err);
    drop_dataset(&d);
    return status;
}

souk_status souk_net_summary(const souk_net *n, char **text, souk_error *err) {
    buf out;
    *text = NULL;
    TRY(net_status(n->net, err));
    buf_init(&out, 0);
    net_describe(n->net, &out);
    souk_status status = buf_status(&out, "describing the net", err);
    if (status == SOUK_OK) *text = buf_take(&out);
    buf_clear(&out);
    return status;
}

/* ---- weights ---- */

souk_status souk_net_save_weights(const souk_net *n, const char *path, souk_error *err) {
    if (!n->model) return err_set(err, SOUK_USAGE, "the net has no weights yet: fit it first");
    model_writer *w = NULL;
    arena names;
    arena_init(&names);
    souk_status status = model_writer_new(&w, err);
    for (int i = 0; status == SOUK_OK && i < n->model->n_params; i++) {
        const param_def *d = net_param(n->net, i);
        const char *name = arena_printf(&names, "w/%s", d->name);
        status = name ? model_writer_tensor(w, name, FILE_F32, d->rank, d->d, n->model->params[i], err)
                      : err_nomem(err, "saving weights");
    }
    if (status == SOUK_OK) status = model_writer_save(w, path, err);
    model_writer_free(w);
    arena_clear(&names);
    return status;
}

souk_status souk_net_load_weights(souk_net *n, const char *path, souk_error *err) {
    model_file *f = NULL;
    souk_fit_options o = souk_fit_options_default();
    TRY(need_model(n, &o, err));
    souk_status status = model_file_open(&f, path, true, err);
    int count = n->model->n_params;
    for (int k = 0; status == SOUK_OK && k < 2 * count; k++) { /* all are looked for before any is changed */
        const param_def *d = net_param(n->net, k % count);
        const file_tensor *t = NULL;
        char name[600];
        snprintf(name, sizeof name, "w/%s", d->name);
        status = model_file_need(f, name, FILE_F32, d->rank, d->d, &t, err);
        if (status == SOUK_OK && k >= count) memcpy(n->model->params[k - count], t->data, t->bytes);
    }
    model_file_close(f);
    return status;
}
