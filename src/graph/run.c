/* run - runs a plan: group after group, the tasks of a group through the pool.
 *
 * A session owns what changes: the arena, and for each worker an area for the rows of its shard and for scratch. A run
 * allocates nothing and takes no decision: all cuts were made by the plan, so that the bits depend on shapes alone.
 *
 * Fresh memory is filled with NaNs, so that an op that reads what nobody wrote shows itself. */
#include <assert.h>
#include <string.h>

#include "base/clock.h"
#include "graph/plan_impl.h"
#include "simd/kern.h"

struct plan_session {
    const plan *p;
    int threads;
    char *arena;
    char *areas; /* threads x area_bytes: local, then scratch */
    size_t area_bytes;
    uint64_t *samples;    /* [B] 0, 1, … for callers that give none */
    param_grad *grads;    /* [n_params] */
    const void **outputs; /* [n_outputs] */
    const real *loss;
    plan_io io;
    const group *group; /* being run */
};

static const real the_one = 1;

souk_status plan_session_new(plan_session **out, const plan *p, int threads, souk_error *err) {
    *out = NULL;
    if (threads < 1) threads = 1;
    plan_session *s = mem_calloc(1, sizeof *s);
    if (!s) return err_nomem(err, "opening a session");
    souk_status status = clock_memory_check(plan_bytes(p, threads), "a step's work space", err);
    if (status != SOUK_OK) {
        mem_free(s);
        return status;
    }
    size_t areas = 0;
    s->p = p;
    s->threads = threads;
    s->area_bytes = p->local_bytes + p->scratch_bytes + PLAN_ALIGN;
    bool fits = size_mul(s->area_bytes, (size_t)threads, &areas);
    s->arena = mem_aligned(p->arena_bytes + PLAN_ALIGN);
    s->areas = fits ? mem_aligned(areas) : NULL;
    s->samples = mem_array((size_t)p->g.batch, sizeof *s->samples);
    s->grads = mem_calloc((size_t)p->g.n_params + 1, sizeof *s->grads);
    s->outputs = mem_calloc((size_t)p->g.n_outputs + 1, sizeof *s->outputs);
    if (!s->arena || !s->areas || !s->samples || !s->grads || !s->outputs) {
        plan_session_free(s);
        return err_set(err, SOUK_NOMEM,
                       "out of memory: a step needs %zu bytes of work space; a smaller batch needs less",
                       plan_bytes(p, threads));
    }
    memset(s->arena, 0xff, p->arena_bytes + PLAN_ALIGN);
    memset(s->areas, 0xff, areas);
    for (int64_t i = 0; i < p->g.batch; i++) s->samples[i] = (uint64_t)i;
    *out = s;
    return SOUK_OK;
}

void plan_session_free(plan_session *s) {
    if (!s) return;
    mem_free(s->arena);
    mem_free(s->areas);
    mem_free(s->samples);
    mem_free(s->grads);
    mem_free(s->outputs);
    mem_free(s);
}

/* Address of row 0 of a tensor. One that holds only the shard from row `lo` lies in the worker's area: its row 0 is a
 * number that nobody follows, hence the arithmetic on integers. */
static void *address(const plan_session *s, int32_t id, int worker, int64_t lo) {
    if (id < 0) return NULL;
    const tensor *t = &s->p->tensors[id];
    switch (t->place) {
    case PLACE_INPUT: return (void *)(uintptr_t)s->io.inputs[t->slot];
    case PLACE_PARAM: return s->io.params[t->slot];
    case PLACE_ONE: return (void *)(uintptr_t)&the_one;
    case PLACE_ARENA: return s->arena + t->offset;
    case PLACE_LOCAL: {
        uintptr_t area = (uintptr_t)(s->areas + (size_t)worker * s->area_bytes);
        return (void *)(area + t->offset - (size_t)lo * t->row_bytes);
    }
    case PLACE_NEVER: break;
    }
    return NULL;
}

static void run_sum(const plan_session *s, const step *st, int worker, int64_t lo, int64_t hi) {
    const tensor *t = &s->p->tensors[st->out];
    int64_t count = (int64_t)(t->bytes / sizeof(real)),
            each = st->kind == PASS_ROWS ? (int64_t)(t->row_bytes / sizeof(real)) : 4096;
    int64_t from = lo * each, to = hi * each < count ? hi * each : count;
    int64_t base = st->kind == PASS_ROWS ? lo : 0;
    const real *a = address(s, st->in[0], worker, base), *b = address(s, st->in[1], worker, base);
    real *y = address(s, st->out, worker, base);
    kern.add(to - from, a + from, b + from, y + from);
}

static void run_step(const plan_session *s, const step *st, int worker, int64_t lo, int64_t hi) {
    if (!st->pass) {
        run_sum(s, st, worker, lo, hi);
        return;
    }
    const plan *p = s->p;
    const node *n = &p->g.nodes[st->node];
    int64_t base = st->kind == PASS_ROWS ? lo : 0;
    op_run r = {.node = n,
                .seed = s->io.seed,
                .step = s->io.step,
                .sample = s->io.samples,
                .training = p->g.training,
                .scratch = s->areas + (size_t)worker * s->area_bytes + p->local_bytes};
    for (int i = 0; i < n->n_in; i++) {
        r.in_shape[i] = n->in[i] ? &p->g.nodes[n->in[i]].shape : NULL;
        r.in[i] = address(s, st->in[i], worker, base);
        r.din[i] = address(s, st->din[i], worker, base);
        if (st->rows[i] >= 0) r.drows[i] = &s->grads[st->rows[i]].rows;
    }
    for (int i = 0; i < n->n_aux; i++) r.aux[i] = address(s, st->aux[i], worker, base);
    r.out = address(s, st->out, worker, base);
    r.dout = address(s, st->dout, worker, base);
    st->pass->run(&r, lo, hi);
}

static void run_task(void *context, int64_t task, int worker) {
    const plan_session *s = context;
    const plan *p = s->p;
    const group *u = s->group;
    uint32_t saved = kern_fp_enter();
    if (task < u->n_shards) {
        int64_t lo = task * u->shard, hi = lo + u->shard < p->g.batch ? lo + u->shard : p->g.batch;
        for (int32_t i = u->begin; i < u->begin + u->n_rows; i++) run_step(s, &p->steps[p->order[i]], worker, lo, hi);
    } else {
        int32_t i = u->begin + u->n_rows;
        for (task -= u->n_shards; task >= p->steps[p->order[i]].tasks; i++) task -= p->steps[p->order[i]].tasks;
        const step *st = &p->steps[p->order[i]];
        run_step(s, st, worker, st->range * task / st->tasks, st->range * (task + 1) / st->tasks);
    }
    kern_fp_leave(saved);
}

/* Addresses that the caller asks for afterwards. */
static void settle(plan_session *s) {
    const plan *p = s->p;
    for (int i = 0; i < p->g.n_outputs; i++) s->outputs[i] = address(s, p->value[p->g.outputs[i]], 0, 0);
    if (p->g.loss) s->loss = address(s, p->value[p->g.loss], 0, 0);
    for (int32_t i = 0; i < p->g.n_params; i++) {
        const param_plan *pp = &p->params[i];
        param_grad *pg = &s->grads[i];
        pg->is_rows = pp->rows >= 0;
        pg->dense = address(s, pp->grad, 0, 0);
        pg->rows.ids = address(s, pp->ids, 0, 0);
        pg->rows.rows = address(s, pp->rows, 0, 0);
        pg->rows.width = pp->width;
    }
}

void plan_run(const plan *p, plan_session *s, const plan_io *io, pool *workers) {
    assert(s->p == p && pool_threads(workers) <= s->threads);
    s->io = *io;
    if (!s->io.samples) s->io.samples = s->samples;
    settle(s);
    for (size_t k = 0; k < p->n_groups; k++) {
        s->group = &p->groups[k];
        pool_run(s->group->inlined ? NULL : workers, s->group->n_tasks, run_task, s);
    }
}

const void *plan_output(const plan *p, const plan_session *s, int output) {
    (void)p;
    assert(output >= 0 && output < p->g.n_outputs);
    return s->outputs[output];
}

double plan_loss(const plan *p, const plan_session *s) {
    (void)p;
    assert(p->g.loss);
    return s->loss ? (double)*s->loss : 0;
}

const param_grad *plan_grad(const plan *p, const plan_session *s, int32_t param_slot) {
    assert(param_slot >= 0 && param_slot < p->g.n_params);
    const param_plan *pp = &p->params[param_slot];
    return pp->grad >= 0 || pp->rows >= 0 ? &s->grads[param_slot] : NULL;
}
