/* dataset - encoded rows: making, gathering, selecting, freeing. What the values mean is the encoders' business.
 *
 * Invariant: every array has n rows of `width` elements, and exactly one of ids and values. */
#include "feat/dataset.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "feat/encoder.h"

static void free_arrays(dataset_array *a, int n) {
    for (int i = 0; a && i < n; i++) {
        mem_free(a[i].ids);
        mem_free(a[i].values);
        mem_free(a[i].exact);
    }
    mem_free(a);
}

void dataset_free(dataset *d) {
    if (!d) return;
    free_arrays(d->inputs, d->n_inputs);
    free_arrays(d->targets, d->n_targets);
    mem_free(d->weight);
    mem_free(d->row);
    mem_free(d);
}

souk_status dataset_new(dataset **out, int64_t n, int n_inputs, int n_targets, souk_error *err) {
    *out = NULL;
    dataset *d = mem_calloc(1, sizeof *d);
    if (!d) return err_nomem(err, "making a data set");
    d->n = n;
    d->n_inputs = n_inputs;
    d->n_targets = n_targets;
    d->inputs = mem_calloc((size_t)n_inputs + 1, sizeof *d->inputs);
    d->targets = mem_calloc((size_t)n_targets + 1, sizeof *d->targets);
    d->row = mem_array((size_t)n + 1, sizeof *d->row);
    if (!d->inputs || !d->targets || !d->row) {
        dataset_free(d);
        return err_nomem(err, "making a data set");
    }
    *out = d;
    return SOUK_OK;
}

souk_status dataset_array_alloc(dataset_array *a, int64_t n, souk_error *err) {
    size_t count;
    if (!size_mul((size_t)n, (size_t)a->width, &count) || count > SIZE_MAX / sizeof *a->ids - 1)
        return err_nomem(err, "encoding rows");
    TRY(clock_memory_check(count * sizeof *a->ids, "the encoded rows", err));
    if (a->is_ids)
        a->ids = mem_array(count + 1, sizeof *a->ids);
    else
        a->values = mem_array(count + 1, sizeof *a->values);
    return a->ids || a->values ? SOUK_OK : err_nomem(err, "encoding rows");
}

void dataset_gather(const dataset_array *a, const int64_t *idx, int64_t n, void *dst) {
    _Static_assert(sizeof(int32_t) == sizeof(float), "ids and values are moved alike");
    const char *from = a->is_ids ? (const char *)a->ids : (const char *)a->values;
    size_t bytes = (size_t)a->width * sizeof(float);
    for (int64_t i = 0; i < n; i++) memcpy((char *)dst + (size_t)i * bytes, from + (size_t)idx[i] * bytes, bytes);
}

static souk_status select_arrays(dataset_array *to, const dataset_array *from, int count, const int64_t *idx, int64_t n,
                                 souk_error *err) {
    for (int i = 0; i < count; i++) {
        to[i] = (dataset_array){.is_ids = from[i].is_ids, .width = from[i].width};
        TRY(dataset_array_alloc(&to[i], n, err));
        dataset_gather(&from[i], idx, n, to[i].is_ids ? (void *)to[i].ids : (void *)to[i].values);
        if (!from[i].exact) continue;
        to[i].exact = mem_array((size_t)n + 1, sizeof *to[i].exact);
        if (!to[i].exact) return err_nomem(err, "selecting rows");
        for (int64_t k = 0; k < n; k++) to[i].exact[k] = from[i].exact[idx[k]];
    }
    return SOUK_OK;
}

souk_status dataset_select(dataset **out, const dataset *d, const int64_t *idx, int64_t n, souk_error *err) {
    dataset *part;
    TRY(dataset_new(&part, n, d->n_inputs, d->n_targets, err));
    souk_status status = select_arrays(part->inputs, d->inputs, d->n_inputs, idx, n, err);
    if (status == SOUK_OK) status = select_arrays(part->targets, d->targets, d->n_targets, idx, n, err);
    if (status == SOUK_OK && d->weight) {
        part->weight = mem_array((size_t)n + 1, sizeof *part->weight);
        if (!part->weight) status = err_nomem(err, "selecting rows");
        for (int64_t i = 0; part->weight && i < n; i++) part->weight[i] = d->weight[idx[i]];
    }
    for (int64_t i = 0; i < n; i++) part->row[i] = d->row[idx[i]];
    if (status == SOUK_OK)
        *out = part;
    else
        dataset_free(part);
    return status;
}
