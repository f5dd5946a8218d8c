/* world - a small table with every type of feature, its spec, and models of it: shared by test_model and test_loop. */
#ifndef SOUK_TESTS_WORLD_H
#define SOUK_TESTS_WORLD_H

#include <string.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/rng.h"
#include "data/table.h"
#include "model/model.h"

enum { WORLD_ROWS = 150 };

/* label follows words, number and colour, with some noise; "shop" has three classes, "spend" is a number. */
static void world_write(const char *path) {
    static const char *const words[] = {"good", "fine", "great", "nice", "warm", "the",
                                        "a",    "it",   "bad",   "poor", "cold", "awful"};
    static const char *const colours[] = {"red", "green", "blue", "grey"}, *const shops[] = {"north", "south", "web"};
    rng_key key = {.seed = 5, .stream = RNG_USER};
    uint64_t draw = 0;
    buf b;
    souk_error err = {0};
    buf_init(&b, 0);
    buf_str(&b, "text,size,colour,member,label,shop,spend\n");
    for (int r = 0; r < WORLD_ROWS; r++) {
        int good = rng_uniform(key, draw++) < .6;
        int n = 2 + (int)rng_below(key, draw++, 7);
        for (int k = 0; k < n; k++)
            buf_printf(&b, "%s%s", k ? " " : "", words[(good ? 0 : 4) + (int)rng_below(key, draw++, 8)]);
        double size = (good ? 2 : 1) + rng_uniform(key, draw++), spend = 10 * size + rng_uniform(key, draw++);
        const char *colour = colours[rng_below(key, draw++, 4)], *shop = shops[rng_below(key, draw++, 3)];
        const char *member = rng_uniform(key, draw++) < .5 ? "yes" : "no";
        buf_printf(&b, ",%.3f,%s,%s,%d,%s,%.2f\n", size, colour, member, good, shop, spend);
    }
    if (fs_write_all(path, b.data, b.len, &err) != SOUK_OK) fail_msg("%s", err.message);
    buf_clear(&b);
}

static const char world_inputs[] =
    "input_features:\n"
    "  - name: text\n"
    "    type: text\n"
    "    preprocessing: {tokenizer: {type: word, num_words: 30, oov_token: \"<OOV>\"}, pad_sequences: {maxlen: 9}}\n"
    "    encoder: {type: sequential, layers: [{type: embedding, output_dim: 5, mask_zero: true},"
    " {type: lstm, units: 6, bidirectional: true, dropout: 0.1, recurrent_dropout: 0.1}, {type: dropout, rate: 0.2}]}\n"
    "  - {name: size, type: number}\n"
    "  - {name: colour, type: category}\n"
    "  - {name: member, type: binary}\n";

typedef struct world {
    table *t;
    spec *spec;
    dataset *train, *valid;
    model *m;
} world;

/* outputs and trainer are YAML; validation takes the last 40 rows. */
static void world_new(world *w, const char *outputs, const char *trainer, uint64_t seed) {
    souk_error err = {0};
    char text[4000];
    int64_t rows[WORLD_ROWS], dropped;
    memset(w, 0, sizeof *w);
    for (int i = 0; i < WORLD_ROWS; i++) rows[i] = i;
    if (!fs_exists(SOUK_BUILD_DIR "/world.csv")) world_write(SOUK_BUILD_DIR "/world.csv");
    snprintf(
        text, sizeof text,
        "%soutput_features:\n  - %s\ncombiner: {layers: [{type: dense, units: 7, activation: relu}]}\ntrainer: %s\n",
        world_inputs, outputs, trainer);
    table_options options = table_options_default();
    if (spec_parse(&w->spec, text, strlen(text), "world", NULL, &err) != SOUK_OK) fail_msg("%s", err.message);
    if (table_read(&w->t, SOUK_BUILD_DIR "/world.csv", &options, &err) != SOUK_OK) fail_msg("%s", err.message);
    feature_config in[4], out[2];
    for (int i = 0; i < w->spec->n_inputs; i++) in[i] = w->spec->inputs[i].feature;
    for (int i = 0; i < w->spec->n_outputs; i++) out[i] = w->spec->outputs[i].feature;
    pipeline *p;
    if (pipeline_fit(&p, in, w->spec->n_inputs, out, w->spec->n_outputs, w->t, rows, WORLD_ROWS - 40, "world.csv",
                     &err) != SOUK_OK)
        fail_msg("%s", err.message);
    if (pipeline_encode(p, w->t, rows, WORLD_ROWS - 40, true, "world.csv", &w->train, &dropped, &err) != SOUK_OK ||
        pipeline_encode(p, w->t, rows + WORLD_ROWS - 40, 40, true, "world.csv", &w->valid, &dropped, &err) != SOUK_OK)
        fail_msg("%s", err.message);
    if (model_new(&w->m, w->spec, p, seed, &err) != SOUK_OK) fail_msg("%s", err.message);
}

static void world_free(world *w) {
    table_free(w->t);
    dataset_free(w->train);
    dataset_free(w->valid);
    model_free(w->m);
}

#endif
