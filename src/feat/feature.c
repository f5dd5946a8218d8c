/* feature - names and defaults of feature configurations. The words are Ludwig's and Keras'. */
#include "feat/feature.h"

static const char *const type_names[] = {"number", "binary", "category", "text", "sequence"};

const char *feature_type_name(feature_type t) { return type_names[t]; }

feature_config feature_config_default(feature_type type) {
    feature_config f = {.type = type,
                        .tokenizer = tok_word_options_default(),
                        .norm = NORM_ZSCORE,
                        .missing = MISSING_DEFAULT,
                        .most_common = 10000};
    if (type == FEATURE_SEQUENCE) { /* items are taken as they are written */
        f.tokenizer.filters = "";
        f.tokenizer.lower = false;
    }
    return f;
}
