/* fuzz_pipeline - stored pipelines from strangers: no crash, and what was read encodes rows within the shapes that it
 * states and is written so that reading it back and writing it again gives the same text. */
#include <assert.h>

#include "base/json.h"
#include "base/mem.h"
#include "feat/pipeline.h"
#include "nested_json.h"

/* Two rows of the columns that the seeds name. */
static char cell_bytes[] = "the cat1.5redyes";
static uint64_t text_offset[] = {0, 7, 7}, color_offset[] = {0, 3, 6};
static double price[] = {-1, 2.5};
static uint8_t missing[] = {0, 1}, none_missing[] = {0, 0};
static char names[4][8] = {"text", "price", "color", "label"};
static column columns[] = {
    {.name = names[0], .offset = text_offset, .bytes = cell_bytes, .missing = missing},
    {.name = names[1], .is_number = true, .number = price, .missing = none_missing},
    {.name = names[2], .offset = color_offset, .bytes = cell_bytes + 10, .missing = none_missing},
    {.name = names[3], .offset = color_offset, .bytes = cell_bytes + 10, .missing = missing},
};
static int64_t rows[] = {0, 1}, lines[] = {2, 3};
static const table two_rows = {.n = 2, .n_columns = 4, .columns = columns, .row = rows, .line = lines, .n_read = 2};

static void check_ids(const dataset_array *a, int64_t n, int64_t vocabulary) {
    for (int64_t i = 0; a->is_ids && i < n * a->width; i++) assert(a->ids[i] >= 0 && a->ids[i] < vocabulary);
}

static void check_encoding(const pipeline *p, bool targets) {
    dataset *d;
    int64_t dropped;
    for (int i = 0; i < pipeline_inputs(p); i++)
        if (pipeline_shape(p, false, i).width > 10000) return; /* legal, and slow */
    if (pipeline_encode(p, &two_rows, NULL, 2, targets, "rows", &d, &dropped, NULL) != SOUK_OK) return;
    for (int i = 0; i < d->n_inputs; i++) check_ids(&d->inputs[i], d->n, pipeline_shape(p, false, i).vocabulary);
    for (int i = 0; i < d->n_targets; i++) check_ids(&d->targets[i], d->n, pipeline_shape(p, true, i).vocabulary);
    dataset_free(d);
}

static void write_pipeline(const pipeline *p, buf *out) {
    json_writer w;
    buf_init(out, 0);
    json_begin(&w, out, false);
    json_object(&w);
    assert(pipeline_to_json(p, &w, NULL) == SOUK_OK);
    json_end_object(&w);
}

static souk_status read_pipeline(pipeline **p, const char *text, size_t n, souk_error *err) {
    json_doc *doc;
    souk_status status = json_parse(&doc, text, n, 0, err);
    if (status != SOUK_OK) return status;
    status = pipeline_from_json(p, json_root(doc), err);
    json_free(doc);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    pipeline *p, *q;
    souk_error err = {0};
    int64_t live = mem_live();
    if (read_pipeline(&p, (const char *)data, size, &err) != SOUK_OK) {
        assert(err.message[0]);
    } else {
        buf first, second;
        check_encoding(p, false);
        check_encoding(p, true);
        write_pipeline(p, &first);
        assert(read_pipeline(&q, first.data, first.len, &err) == SOUK_OK);
        write_pipeline(q, &second);
        assert(first.len == second.len && memcmp(first.data, second.data, first.len) == 0);
        buf_clear(&first);
        buf_clear(&second);
        pipeline_free(p);
        pipeline_free(q);
    }
    assert(mem_live() == live);
    return 0;
}
