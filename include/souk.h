/* souk.h - the public interface of Souk, a deep-learning engine for marketing decisions.
 *
 * From a table to a judged, saved model, and back to predictions:
 *
 *     #include <souk.h>
 *     #include <stdio.h>
 *
 *     int main(void) {
 *         souk_error err = {0};
 *         souk_train_options o = souk_train_options_default();
 *         o.target = "label";
 *         o.out = "reviews.souk";
 *         souk_model *model = NULL;
 *         souk_train_report *report = NULL;
 *         if (souk_train("reviews.csv", &o, &model, &report, &err) != SOUK_OK) {
 *             fprintf(stderr, "%s\n", err.message);
 *             return souk_status_exit(err.code);
 *         }
 *         const char *text = "great phone";
 *         double p = 0;
 *         souk_predict_texts(model, &text, 1, &p, &err);      // probability of the positive class
 *         souk_train_report_free(report);
 *         souk_model_free(model);
 *     }
 *
 * Simple things first (tables and models), then networks layer by layer.
 *
 * This is the only installed header. Everything is C17, compiles as C++17, and never aborts, exits or prints:
 * a function that can fail returns a souk_status and fills the souk_error that it was given (which may be NULL).
 */
#ifndef SOUK_H
#define SOUK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__) && !defined(SOUK_STATIC)
#define SOUK_API __attribute__((visibility("default")))
#else
#define SOUK_API
#endif

/* ---- Status and errors ---------------------------------------------------------------------------------------- */

/* X(name, text, exit status of the program) */
#define SOUK_STATUS_MAP(X)               \
    X(OK, "success", 0)                  \
    X(FAILED, "failed", 1)               \
    X(NOMEM, "out of memory", 1)         \
    X(IO, "input/output error", 1)       \
    X(NUMERIC, "not a finite number", 1) \
    X(USAGE, "wrong usage", 2)           \
    X(INPUT, "wrong input", 2)           \
    X(CORRUPT, "damaged file", 2)        \
    X(UNSUPPORTED, "not supported", 2)   \
    X(REFUSED, "refused", 3)             \
    X(NOT_CONVERGED, "not converged", 4) \
    X(INTERRUPTED, "interrupted", 130)

typedef enum souk_status {
#define SOUK_STATUS_ENUM(name, text, exit_status) SOUK_##name,
    SOUK_STATUS_MAP(SOUK_STATUS_ENUM)
#undef SOUK_STATUS_ENUM
} souk_status;

/* What went wrong, where, and what to do next. `message` is complete: file, line and hint are already in it.
 * `line` (1-based) and `byte` (0-based) repeat the position for programs; -1 where there is none. */
typedef struct souk_error {
    souk_status code;
    int64_t line;
    int64_t byte;
    char message[1024];
} souk_error;

/* Short text of a status ("out of memory"); never NULL. */
SOUK_API const char *souk_status_text(souk_status status);
/* The exit status that the program uses for it: 0, 1, 2, 3, 4 or 130. */
SOUK_API int souk_status_exit(souk_status status);

/* ---- The library ---------------------------------------------------------------------------------------------- */

SOUK_API const char *souk_version(void); /* "0.1.0" */
/* Lines that the library has to say (warnings, what was inferred) go to one callback; without one they are dropped.
 * Level: 0 debug, 1 information, 2 warning. Not to be changed while other calls run. */
typedef void (*souk_log_fn)(void *context, int level, const char *message);
SOUK_API void souk_set_log(souk_log_fn fn, void *context);
/* What this machine offers and what is used: CPU level, threads, memory. A JSON object; caller souk_free's it. NULL:
 * out of memory. */
SOUK_API char *souk_doctor(void);
/* Frees a string that this library returned. NULL is a no-op. */
SOUK_API void souk_free(void *p);

/* ---- Reading tables ------------------------------------------------------------------------------------------- */

/* How to read DATA: a path or glob (.csv .tsv .txt .jsonl, each also .gz or .zst), or "-" for standard input. */
typedef struct souk_table_options {
    size_t size;
    const char *format;  /* NULL: sniffed; "csv", "tsv", "space", "jsonl", "lines" */
    char delimiter;      /* 0: sniffed */
    char decimal;        /* '.'; ',' for decimal commas */
    bool no_header;      /* columns are named c1, c2 … */
    const char *where;   /* NULL: all rows; an expression: "stars >= 4 and country in ('DE', 'FR')" */
    const char *rejects; /* NULL: bad rows are only counted; else a path for them, as JSON Lines with line and reason */
    double max_bad;      /* .01: the share of bad rows beyond which reading fails (SOUK_INPUT) */
    const char *roles;   /* NULL: inferred; "id=customer,ignore=a+b,weight=w,time=date" */
} souk_table_options;
SOUK_API souk_table_options souk_table_options_default(void);

/* ---- Training ------------------------------------------------------------------------------------------------- */

typedef struct souk_model souk_model; /* immutable; may be used by many threads at once */

/* One epoch of the history. Losses are means over rows; val_loss is NaN without validation rows. */
typedef struct souk_epoch {
    int64_t epoch; /* 1-based */
    double seconds;
    double loss, val_loss;
    double learning_rate;
    int metrics;                /* number of entries used below */
    const char *metric_name[8]; /* "accuracy", "val_accuracy" … */
    double metric[8];
} souk_epoch;

typedef struct souk_progress {
    const char *phase;     /* "train" or "refit" */
    int64_t epoch, epochs; /* epoch is 1-based */
    int64_t step, steps;   /* batches of this epoch */
    int64_t rows_per_second;
    double seconds_left;        /* of the whole run, at the present rate */
    double loss;                /* running mean of this epoch */
    double accuracy;            /* NaN where it means nothing */
    const souk_epoch *finished; /* not NULL at the end of an epoch */
} souk_progress;

typedef struct souk_train_options {
    size_t size;
    souk_table_options table;
    const char *config;      /* path of a model file (YAML or JSON), or NULL: the program chooses */
    const char *config_text; /* its text instead of a path, or NULL */
    const char *const *set;  /* NULL-terminated "key.path=value" overrides, or NULL */
    const char *target;      /* column to learn; NULL: the config's output feature */
    const char *validation;  /* file of validation rows, or NULL */
    const char *test;        /* file of test rows, or NULL */
    const char *split;       /* NULL: "70:10:20" by row hash (or by time with a time role) */
    const char *out;         /* where the model file goes, or NULL: not saved. The checkpoint is OUT.ckpt */
    bool resume;             /* go on from the checkpoint; without one, from the beginning */
    bool no_refit;           /* keep the judged fit even where the program chose the model */
    uint64_t seed;           /* 1 */
    int threads;             /* 0: all CPUs of this process */
    int replicates;          /* 1000 bootstrap replicates for the intervals */
    bool (*progress)(void *context, const souk_progress *p); /* false: checkpoint, then SOUK_INTERRUPTED */
    void *context;
} souk_train_options;
SOUK_API souk_train_options souk_train_options_default(void);

typedef struct souk_metric {
    const char *name;        /* docs/metrics.md defines each */
    double value, low, high; /* 95 % bootstrap interval; NaN where undefined */
} souk_metric;

typedef struct souk_train_report souk_train_report;
/* Reads DATA, splits, fits the pipeline on training rows only, trains, judges on test rows, and saves. The outputs may
 * be NULL. The caller frees *model with souk_model_free and *report with souk_train_report_free. On failure both are
 * NULL. */
SOUK_API souk_status souk_train(const char *data, const souk_train_options *options, souk_model **model,
                                souk_train_report **report, souk_error *err);
SOUK_API void souk_train_report_free(souk_train_report *r);
/* JSON: model, seconds, peak_memory_bytes, metrics, history; text: for people. Borrowed from the report. */
SOUK_API const char *souk_train_report_json(const souk_train_report *r);
SOUK_API const char *souk_train_report_text(const souk_train_report *r);
SOUK_API int64_t souk_train_report_epochs(const souk_train_report *r);
SOUK_API const souk_epoch *souk_train_report_epoch(const souk_train_report *r, int64_t i); /* i from 0 */
SOUK_API const char *souk_train_report_history_csv(const souk_train_report *r);
/* What `train` would do with no config, as readable YAML with the reason for each choice. Caller souk_free's *yaml. */
SOUK_API souk_status souk_init(const char *data, const souk_train_options *options, char **yaml, souk_error *err);

/* ---- Models --------------------------------------------------------------------------------------------------- */

SOUK_API souk_status souk_model_load(const char *path, souk_model **model, souk_error *err);
SOUK_API souk_status souk_model_save(const souk_model *model, const char *path, souk_error *err);
SOUK_API void souk_model_free(souk_model *model);
/* Architecture, parameters, memory plan, FLOPs, training record; text or JSON. Caller souk_free's *out. */
SOUK_API souk_status souk_model_inspect(const souk_model *model, bool json, char **out, souk_error *err);

typedef struct souk_evaluate_options {
    size_t size;
    souk_table_options table;
    double threshold; /* binary: NaN: the model's own (.5) */
    int replicates;   /* 1000; 0: no intervals */
    uint64_t seed;    /* 1: of the bootstrap */
    int threads;      /* 0: all */
} souk_evaluate_options;
SOUK_API souk_evaluate_options souk_evaluate_options_default(void);
typedef struct souk_evaluation souk_evaluation;
SOUK_API souk_status souk_evaluate(const souk_model *model, const char *data, const souk_evaluate_options *options,
                                   souk_evaluation **out, souk_error *err);
SOUK_API void souk_evaluation_free(souk_evaluation *e);
SOUK_API int64_t souk_evaluation_rows(const souk_evaluation *e);
SOUK_API int souk_evaluation_metrics(const souk_evaluation *e);
SOUK_API souk_metric souk_evaluation_metric(const souk_evaluation *e, int i);
SOUK_API const char *souk_evaluation_json(const souk_evaluation *e); /* rows, metrics, intervals, confusion */
SOUK_API const char *souk_evaluation_text(const souk_evaluation *e);

typedef struct souk_predict_options {
    size_t size;
    souk_table_options table;
    const char *out;  /* path, or "-" for standard output */
    bool excel;       /* CSV for spreadsheets: BOM, ids as text, formulas defused */
    const char *as;   /* NULL: by the extension of `out`; "csv", "jsonl", or "json" (one object) */
    double threshold; /* binary: NaN: the model's own */
    int threads;
    bool (*progress)(void *context, int64_t rows); /* after some thousands of rows; false: nothing is left at `out`, and
                                                      SOUK_INTERRUPTED; NULL: not asked */
    void *context;
} souk_predict_options;
SOUK_API souk_predict_options souk_predict_options_default(void);
typedef struct souk_predict_summary {
    int64_t rows, rejected;
    double seconds;
} souk_predict_summary;
/* Streams DATA through the model: every column as it was read, then NAME_prediction and NAME_probability (binary) or
 * NAME_probability_CLASS. A model with one text column takes bare lines from a source that has no such column. */
SOUK_API souk_status souk_predict(const souk_model *model, const char *data, const souk_predict_options *options,
                                  souk_predict_summary *summary, souk_error *err);
/* One text column in, p [n, width] out: width is 1 (binary: probability of the positive class; number: the value) or
 * the number of classes. Thread-safe; text is NUL-terminated UTF-8. */
SOUK_API souk_status souk_predict_texts(const souk_model *model, const char *const *texts, int64_t n, double *p,
                                        souk_error *err);
SOUK_API int64_t souk_model_classes(const souk_model *model); /* 0 for number outputs; 2 for binary */
SOUK_API const char *souk_model_class(const souk_model *model, int64_t i);

/* ---- Text ----------------------------------------------------------------------------------------------------- */

/* The Keras Tokenizer and pad_sequences, bit for bit. */
typedef struct souk_tokenizer souk_tokenizer;
typedef struct souk_tokenizer_options {
    size_t size;
    int64_t num_words;     /* 0: all; n keeps indices below n */
    const char *filters;   /* NULL: Keras' set */
    bool lower;            /* true */
    const char *split;     /* " " */
    bool char_level;       /* false */
    const char *oov_token; /* NULL: none */
} souk_tokenizer_options;
SOUK_API souk_tokenizer_options souk_tokenizer_options_default(void);
SOUK_API souk_status souk_tokenizer_fit(souk_tokenizer **out, const souk_tokenizer_options *options,
                                        const char *const *texts, int64_t n, souk_error *err);
SOUK_API void souk_tokenizer_free(souk_tokenizer *t);
/* texts_to_sequences and pad_sequences(maxlen) in one: ids [n, maxlen], padded and cut at the front. */
SOUK_API souk_status souk_tokenizer_encode(const souk_tokenizer *t, const char *const *texts, int64_t n, int64_t maxlen,
                                           int32_t *ids, souk_error *err);
SOUK_API int64_t souk_tokenizer_vocabulary(const souk_tokenizer *t); /* rows that an embedding needs */
/* Keras' tokenizer JSON. Caller souk_free's *json. */
SOUK_API souk_status souk_tokenizer_to_json(const souk_tokenizer *t, char **json, souk_error *err);
SOUK_API souk_status souk_tokenizer_from_json(souk_tokenizer **out, const char *json, size_t n, souk_error *err);

/* ---- Networks, layer by layer --------------------------------------------------------------------------------- */

/* Each call adds a layer and returns a handle of its output; 0 after a mistake, which sticks and which souk_net_fit
 * reports. Names and defaults are Keras'. */
typedef struct souk_net souk_net;
typedef int32_t souk_tensor;
typedef enum souk_activation {
    SOUK_LINEAR,
    SOUK_RELU,
    SOUK_SIGMOID,
    SOUK_TANH,
    SOUK_GELU,
    SOUK_GELU_TANH,
    SOUK_SILU,
    SOUK_ELU,
    SOUK_SOFTPLUS,
    SOUK_SOFTMAX
} souk_activation;
typedef enum souk_rnn_kind { SOUK_RNN_SIMPLE, SOUK_RNN_LSTM, SOUK_RNN_GRU } souk_rnn_kind;
typedef enum souk_loss {
    SOUK_BINARY_CROSSENTROPY,
    SOUK_SPARSE_CATEGORICAL_CROSSENTROPY,
    SOUK_MSE,
    SOUK_MAE,
    SOUK_HUBER,
    SOUK_BINARY_FOCAL_CROSSENTROPY
} souk_loss;

SOUK_API souk_net *souk_net_new(void); /* NULL: out of memory */
SOUK_API void souk_net_free(souk_net *net);
SOUK_API souk_tensor souk_input_ids(souk_net *net, const char *name, int64_t length);   /* int32 [n, length] */
SOUK_API souk_tensor souk_input_values(souk_net *net, const char *name, int64_t width); /* float [n, width] */
SOUK_API souk_tensor souk_embedding(souk_net *net, souk_tensor ids, int64_t vocabulary, int64_t width, bool mask_zero);
typedef struct souk_rnn_options {
    size_t size;
    souk_rnn_kind kind; /* LSTM */
    int64_t units;      /* 32 */
    bool return_sequences, go_backwards, bidirectional;
    bool reset_after; /* GRU: true */
    double dropout, recurrent_dropout;
} souk_rnn_options;
SOUK_API souk_rnn_options souk_rnn_options_default(void);
SOUK_API souk_tensor souk_rnn(souk_net *net, souk_tensor x, const souk_rnn_options *options);
SOUK_API souk_tensor souk_lstm(souk_net *net, souk_tensor x, int64_t units); /* the last state */
SOUK_API souk_tensor souk_dense(souk_net *net, souk_tensor x, int64_t units, souk_activation activation);
SOUK_API souk_tensor souk_conv1d(souk_net *net, souk_tensor x, int64_t filters, int64_t kernel_size,
                                 souk_activation activation);
SOUK_API souk_tensor souk_max_pooling1d(souk_net *net, souk_tensor x, int64_t pool_size);
SOUK_API souk_tensor souk_global_average_pooling1d(souk_net *net, souk_tensor x);
SOUK_API souk_tensor souk_global_max_pooling1d(souk_net *net, souk_tensor x);
SOUK_API souk_tensor souk_dropout(souk_net *net, souk_tensor x, double rate);
SOUK_API souk_tensor souk_layer_normalization(souk_net *net, souk_tensor x);
SOUK_API souk_tensor souk_batch_normalization(souk_net *net, souk_tensor x);
SOUK_API souk_tensor souk_concatenate(souk_net *net, int count, const souk_tensor *x);
SOUK_API souk_tensor souk_add(souk_net *net, souk_tensor a, souk_tensor b);
SOUK_API souk_tensor souk_flatten(souk_net *net, souk_tensor x);
SOUK_API void souk_output(souk_net *net, const char *name, souk_tensor prediction, souk_loss loss);

/* An array of n rows: `ids` for id inputs and class targets, `values` otherwise; [n, width] as the input or output
 * says. */
typedef struct souk_array {
    const int32_t *ids;
    const float *values;
} souk_array;
typedef struct souk_fit_options {
    size_t size;
    int64_t epochs;          /* 10 */
    int64_t batch_size;      /* 32 */
    const char *optimizer;   /* "adam"; "sgd", "rmsprop", "adamw", "adagrad" */
    double learning_rate;    /* 0: the optimiser's default */
    double validation_split; /* 0: none; the last share of the rows, before shuffling */
    int64_t n_validation;    /* rows of the arrays below; 0: none */
    const souk_array *validation_inputs, *validation_targets;
    int64_t patience; /* 0: no early stopping; else epochs without a better val_loss, and the best weights come back */
    uint64_t seed;    /* 1: initial weights, shuffling, dropout */
    int threads;      /* 0: all */
    bool (*progress)(void *context, const souk_progress *p);
    void *context;
} souk_fit_options;
SOUK_API souk_fit_options souk_fit_options_default(void);
/* history [epochs] may be NULL; *epochs_done gives how many entries were filled. Called again, it goes on from the
 * weights reached. */
SOUK_API souk_status souk_net_fit(souk_net *net, int64_t n, const souk_array *inputs, const souk_array *targets,
                                  const souk_fit_options *options, souk_epoch *history, int64_t *epochs_done,
                                  souk_error *err);
/* p [n, width of output 0]. Not for two threads at once on one net: a souk_model is. */
SOUK_API souk_status souk_net_predict(souk_net *net, int64_t n, const souk_array *inputs, float *p, souk_error *err);
SOUK_API souk_status souk_net_summary(const souk_net *net, char **text, souk_error *err); /* caller souk_free's */
SOUK_API souk_status souk_net_save_weights(const souk_net *net, const char *path,
                                           souk_error *err); /* a safetensors file */
SOUK_API souk_status souk_net_load_weights(souk_net *net, const char *path, souk_error *err);

/* ---- The settings table --------------------------------------------------------------------------------------- */

/* One table describes every command, option and key of the model file; the program's parser, help, man page and
 * completion are made from it. */
typedef enum souk_setting_kind { SOUK_SETTING_COMMAND, SOUK_SETTING_OPTION, SOUK_SETTING_KEY } souk_setting_kind;
typedef struct souk_setting {
    souk_setting_kind kind;
    const char *commands; /* options: commands that take it, separated by spaces; "*" all */
    const char *name;     /* "train", "--seed", "trainer.epochs" */
    const char *type;     /* "flag", "text", "path", "int", "number", a list "a|b|c"; commands: their arguments */
    const char *value;    /* default, as text; "" none */
    const char *range;    /* keys: allowed values, "" any */
    const char *help;     /* one sentence */
} souk_setting;
SOUK_API size_t souk_setting_count(void);
SOUK_API const souk_setting *souk_setting_at(size_t i);

#ifdef __cplusplus
}
#endif
#endif
