/* feature - what a column becomes: the configuration of one input or output feature, in Ludwig's and Keras' words. */
#ifndef SOUK_FEAT_FEATURE_H
#define SOUK_FEAT_FEATURE_H

#include "feat/tok_word.h"

typedef enum feature_type {
    FEATURE_NUMBER,
    FEATURE_BINARY,
    FEATURE_CATEGORY,
    FEATURE_TEXT,
    FEATURE_SEQUENCE
} feature_type;
typedef enum normalization { NORM_NONE, NORM_ZSCORE, NORM_MINMAX, NORM_LOG1P } normalization;
typedef enum missing_strategy {
    MISSING_DEFAULT,
    MISSING_FILL_MEAN,
    MISSING_FILL_CONST,
    MISSING_OWN_CATEGORY,
    MISSING_DROP_ROW,
    MISSING_ERROR
} missing_strategy;

/* Strings are borrowed from the spec's arena. */
typedef struct feature_config {
    const char *name; /* also the column's name */
    feature_type type;
    tok_word_options tokenizer; /* text (and sequence: split by `split`, no filters, no lower-casing) */
    pad_options pad;
    normalization norm;       /* number; default zscore */
    missing_strategy missing; /* default: mean for number, own category for category, empty text for text, error for a
                                 target: the row is dropped and counted */
    double fill_value;
    int64_t most_common; /* category: at most so many, the rest is "other"; default 10,000 */
    const char
        *positive; /* binary: text of the positive class; NULL: chosen and printed (1, true, yes, …; else the rarer) */
} feature_config;
feature_config feature_config_default(feature_type type);
const char *feature_type_name(feature_type t);

#endif
