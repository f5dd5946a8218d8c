/* score - predictions: one immutable model, any number of scorers, each with plans and sessions of its own.
 *
 * Rows are taken in batches of 1024, 256, 64, 16, 4 and 1, the largest that fits first, so that no row is padded; each
 * size has a plan, made when first needed and kept; one whose plan would need more than BATCH_BYTES is passed over for
 * a smaller one, so that long rows cost no more memory than short ones. Inputs are read where the dataset has them. A
 * row's result does not depend on the batch that it is in (graph/op.h), so neither on how the rows are cut.
 *
 * Invariant: after the first batch of a size, scoring allocates nothing. */
#include <assert.h>
#include <string.h>

#include "base/mem.h"
#include "graph/plan.h"
#include "model/model.h"

enum { SIZES = 6, BATCH_BYTES = 1 << 28 };
static const int64_t sizes[SIZES] = {1024, 256, 64, 16, 4, 1};

struct scorer {
    const model *m;
    plan *plan[SIZES];
    plan_session *session[SIZES];
    int threads[SIZES];  /* that the session was made for */
    bool large[SIZES];   /* passed over */
    const void **inputs; /* [inputs] where the rows of a batch are */
};

souk_status scorer_new(scorer **out, const model *m, souk_error *err) {
    *out = mem_calloc(1, sizeof **out);
    if (!*out) return err_nomem(err, "preparing to predict");
    (*out)->m = m;
    (*out)->inputs = mem_calloc((size_t)net_inputs(m->net) + 1, sizeof *(*out)->inputs);
    if (!(*out)->inputs) {
        scorer_free(*out);
        *out = NULL;
        return err_nomem(err, "preparing to predict");
    }
    return SOUK_OK;
}

void scorer_free(scorer *s) {
    if (!s) return;
    for (int i = 0; i < SIZES; i++) {
        plan_session_free(s->session[i]);
        plan_free(s->plan[i]);
    }
    mem_free(s->inputs);
    mem_free(s);
}

/* Plan and session of sizes[k]; sets large[k] instead where that is too much. */
static souk_status prepare(scorer *s, int k, int threads, souk_error *err) {
    if (!s->plan[k]) {
        graph g;
        graph_init(&g, sizes[k], false);
        souk_status status = net_build(s->m->net, &g, err);
        if (status == SOUK_OK) status = plan_new(&s->plan[k], &g, &(plan_options){0}, err);
        graph_clear(&g);
        TRY(status);
        s->large[k] = k < SIZES - 1 && plan_bytes(s->plan[k], 1) > BATCH_BYTES;
        if (s->large[k]) {
            plan_free(s->plan[k]);
            s->plan[k] = NULL;
            return SOUK_OK;
        }
    }
    if (s->session[k] && s->threads[k] >= threads) return SOUK_OK;
    plan_session_free(s->session[k]);
    s->session[k] = NULL;
    TRY(plan_session_new(&s->session[k], s->plan[k], threads, err));
    s->threads[k] = threads;
    return SOUK_OK;
}

souk_status model_check_ids(const model *m, const dataset *d, int64_t begin, int64_t n, souk_error *err) {
    for (int i = 0; i < d->n_inputs; i++) {
        const dataset_array *a = &d->inputs[i];
        int64_t limit = net_input_vocabulary(m->net, i);
        if (!a->is_ids || limit < 0) continue;
        for (int64_t k = begin * a->width; k < (begin + n) * a->width; k++)
            if (a->ids[k] < 0 || a->ids[k] >= limit)
                return err_set(err, SOUK_INPUT,
                               "input \"%s\": row %lld holds the id %d, and its embedding has %lld rows",
                               net_input_name(m->net, i), (long long)(k / a->width), (int)a->ids[k], (long long)limit);
    }
    return SOUK_OK;
}

/* A batch of sizes[k] rows from `row`. */
static void run(scorer *s, int k, const dataset *d, int64_t row, pool *crew) {
    for (int i = 0; i < d->n_inputs; i++) {
        const dataset_array *a = &d->inputs[i];
        s->inputs[i] = a->is_ids ? (const void *)(a->ids + row * a->width) : (const void *)(a->values + row * a->width);
    }
    plan_run(s->plan[k], s->session[k], &(plan_io){.inputs = s->inputs, .params = s->m->params, .seed = s->m->seed},
             crew);
}

souk_status scorer_run(scorer *s, const dataset *d, int64_t begin, int64_t n, int output, float *out, pool *crew,
                       souk_error *err) {
    const model *m = s->m;
    assert(d->n_inputs == net_inputs(m->net) && output < net_outputs(m->net));
    assert(begin >= 0 && n >= 0 && begin <= d->n - n);
    int64_t width = net_output_width(m->net, output), at = begin, end = begin + n;
    TRY(model_check_ids(m, d, begin, n, err));
    for (int k = 0; at < end;) {
        if (end - at < sizes[k] || s->large[k]) {
            k++;
            continue;
        }
        TRY(prepare(s, k, pool_threads(crew), err));
        if (s->large[k]) continue;
        run(s, k, d, at, crew);
        const real *y = plan_output(s->plan[k], s->session[k], output);
        memcpy(out + (at - begin) * width, y, (size_t)(sizes[k] * width) * sizeof *out);
        at += sizes[k];
    }
    if (m->pipeline && m->spec->outputs[output].feature.type == FEATURE_NUMBER) {
        double scale, offset;
        pipeline_target_scale(m->pipeline, output, &scale, &offset);
        for (int64_t i = 0; i < n * width; i++) out[i] = (float)((double)out[i] * scale + offset);
    }
    return SOUK_OK;
}
