/* spec_keys - keys.def as a table: finding a key, reading values into structs, writing them back.
 *
 * A section is a group of keys of one struct; `kind` is the word of its SELECT key ("lstm"), which decides what keys it
 * has. */
#ifndef SOUK_MODEL_SPEC_KEYS_H
#define SOUK_MODEL_SPEC_KEYS_H

#include "model/spec.h"
#include "model/spec_choices.h"
#include "model/yaml.h"
#include "souk.h"

/* Every key as the public settings table shows it, in the order of keys.def. */
size_t spec_key_count(void);
const souk_setting *spec_key_setting(size_t i);

typedef enum spec_section {
    SECTION_ROOT,
    SECTION_INPUT,
    SECTION_PREPROCESSING,
    SECTION_TOKENIZER,
    SECTION_PAD,
    SECTION_ENCODER,
    SECTION_LAYER,
    SECTION_OUTPUT,
    SECTION_COMBINER,
    SECTION_TRAINER,
    SECTION_OPTIMIZER,
    SECTION_SCHEDULE,
    SECTION_EARLY
} spec_section;
typedef enum spec_type {
    SPEC_INT,
    SPEC_NUMBER,
    SPEC_MAYBE,
    SPEC_FLAG,
    SPEC_TEXT,
    SPEC_CHOICE,
    SPEC_SELECT,
    SPEC_GROUP
} spec_type;
typedef struct spec_choice {
    const char *word;
    int value;
} spec_choice;
typedef struct spec_row {
    spec_section section;
    const char *name, *kinds; /* kinds: "" all, or "lstm|gru" */
    spec_type type;
    const spec_choice *choices; /* CHOICE, SELECT; ends with word NULL */
    size_t offset, size;        /* of the field in the section's struct */
    bool shown;
    souk_setting setting; /* path, type, default, range, help */
} spec_row;
const spec_row *spec_row_at(size_t i);
/* The row of a key for a kind (NULL: any kind); NULL: none. */
const spec_row *spec_row_find(spec_section section, const char *name, const char *kind);
const char *spec_choice_word(const spec_choice *choices, int value);
bool spec_choice_value(const spec_choice *choices, const char *word, int *value);
/* Whether v lies in a range as keys.def writes it: "", "1 to 10", "0 to below 1", "above 0", "above 0 to 1", "at least
 * 0". */
bool spec_in_range(const char *range, double v);

/* ---- reading. `where` is the section's path for messages: "trainer", "input_features[0].encoder" ---- */
typedef struct spec_reader {
    arena *arena; /* texts go here */
    souk_error *err;
} spec_reader;
/* v must be a group (NULL and null count as an empty one) all of whose keys exist for `kind`. */
souk_status spec_check_keys(const spec_reader *r, const yaml_value *v, spec_section section, const char *kind,
                            const char *where);
/* The SELECT key: its value, or `otherwise` when absent (-1: it is required). *word is its canonical word. */
souk_status spec_select(const spec_reader *r, const yaml_value *v, spec_section section, const char *where,
                        int otherwise, int *value, const char **word);
/* spec_check_keys, then every scalar key that is there into the struct at base; absent keys leave the field as it is,
 * null too, but for texts and MAYBE rows that can be none. */
souk_status spec_read_rows(const spec_reader *r, const yaml_value *v, spec_section section, const char *kind,
                           const char *where, void *base);
souk_status spec_wrong_type(const spec_reader *r, const yaml_value *v, const char *where, const char *key,
                            const char *wanted);

/* ---- writing: key and value of each scalar row. With `defaults`, a struct of the same kind, rows equal to theirs are
 * left out, unless keep_shown and the row is marked as shown ---- */
void spec_write_rows(json_writer *j, spec_section section, const char *kind, const void *base, const void *defaults,
                     bool keep_shown);
/* Whether two structs of a section agree in all scalar keys of that kind. */
bool spec_rows_equal(spec_section section, const char *kind, const void *a, const void *b);

#endif
