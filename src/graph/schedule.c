/* schedule - puts the steps into groups; there is one barrier after each group and none inside.
 *
 * One scan over the waiting steps makes one group: a step joins when nothing that still waits before it conflicts with
 * it (reads what that one writes, or the other way about), and when within the group it depends on nothing - except
 * that ROWS steps may depend on earlier ROWS steps, since every shard runs all of them in order on its own rows. So a
 * network of row-wise ops runs forward and backward in one group, shard by shard, and all its weight gradients in a
 * second one.
 *
 * Where a ROWS step waits only for other steps of the group (a layer packs its weights first), the group is made anew
 * of those steps alone, so that the ROWS steps stay together behind them.
 *
 * A ROWS step whose parameters would push the group's weights out of half an L2 cache waits for the next group: a large
 * network goes op by op. All limits are constants: the cut follows from shapes, never from the machine or its threads.
 */
#include <assert.h>
#include <string.h>

#include "graph/plan_impl.h"

/* Weights that a depth-first group may touch; below SMALL_SECONDS of estimated work a group is not worth a barrier. */
static const size_t WEIGHT_BYTES = 512 << 10;
static const double SMALL_SECONDS = 4e-6;

enum {
    WAIT_READ = 1,
    WAIT_WRITE = 2,
    ROWS_READ = 4,
    ROWS_WRITE = 8,
    OTHER_READ = 16,
    OTHER_WRITE = 32,
    COUNTED = 64,
    NEEDED = 128
};

typedef struct scan {
    const plan *p;
    uint8_t *flags;      /* [n_tensors] */
    bool rows;           /* the step asked about is a ROWS step */
    bool waits, clashes; /* answers of visit_ask */
    bool needed;         /* the step asked about touches something NEEDED */
    bool only_needed;    /* the group is made of such steps that are not ROWS */
    int32_t held_up;     /* ROWS steps that wait for other members of the group only */
    uint8_t read, write; /* marks of visit_mark */
    size_t weights;      /* parameters read by the ROWS steps of the group, or by the step asked about */
} scan;

void step_each(const plan *p, const step *s, step_visit visit, void *context) {
    for (int i = 0; i < GRAPH_MAX_IN; i++) {
        if (s->in[i] >= 0) visit(context, s->in[i], s->in_written >> i & 1);
        if (s->din[i] >= 0) visit(context, s->din[i], true);
        if (s->rows[i] >= 0) {
            visit(context, p->params[s->rows[i]].ids, true);
            visit(context, p->params[s->rows[i]].rows, true);
        }
    }
    if (s->out >= 0) visit(context, s->out, s->out_written);
    if (s->dout >= 0) visit(context, s->dout, false);
    for (int i = 0; i < GRAPH_MAX_AUX; i++)
        if (s->aux[i] >= 0) visit(context, s->aux[i], s->aux_written >> i & 1);
}

static void visit_ask(void *context, int32_t t, bool written) {
    scan *c = context;
    uint8_t f = c->flags[t];
    if (f & WAIT_WRITE || (written && f & WAIT_READ)) c->waits = true;
    if (f & NEEDED && written) c->needed = true;
    if (f & OTHER_WRITE || (written && f & OTHER_READ)) c->clashes = true;
    if (!c->rows && (f & ROWS_WRITE || (written && f & ROWS_READ))) c->clashes = true;
    if (c->rows && c->p->tensors[t].place == PLACE_PARAM && !(f & COUNTED)) c->weights += c->p->tensors[t].bytes;
}

static void visit_need(void *context, int32_t t, bool written) {
    scan *c = context;
    if (c->flags[t] & OTHER_WRITE || (written && c->flags[t] & OTHER_READ)) c->flags[t] |= NEEDED;
}

static void visit_mark(void *context, int32_t t, bool written) {
    scan *c = context;
    c->flags[t] |= written ? c->write : c->read;
    if (c->write == ROWS_WRITE) c->flags[t] |= COUNTED;
}

/* True and marked as a member of the group, or false and marked as waiting. */
static bool scan_step(scan *c, const step *s, int32_t n_rows) {
    size_t before = c->weights;
    c->rows = s->kind == PASS_ROWS;
    c->waits = c->clashes = c->needed = false;
    step_each(c->p, s, visit_ask, c);
    bool joins = !c->waits && !c->clashes && (!c->only_needed || (c->needed && !c->rows));
    if (c->rows && c->clashes && !c->waits) {
        c->held_up++;
        step_each(c->p, s, visit_need, c);
    }
    if (joins && c->rows && n_rows > 0 && (c->p->options.no_depth_first || c->weights > WEIGHT_BYTES)) joins = false;
    if (!joins) c->weights = before;
    c->read = joins ? (c->rows ? ROWS_READ : OTHER_READ) : WAIT_READ;
    c->write = joins ? (c->rows ? ROWS_WRITE : OTHER_WRITE) : WAIT_WRITE;
    step_each(c->p, s, visit_mark, c);
    return joins;
}

/* Rows of a shard: 8 keeps a recurrent layer's rows in L1 and feeds four threads at a batch of 32; many rows, or
 * weights that are streamed anew by each shard, ask for larger ones. A multiple of 8. */
static int64_t shard_rows(const plan *p, size_t weights) {
    if (p->options.shard_rows > 0) return p->options.shard_rows;
    int64_t B = p->g.batch;
    int64_t most = weights > WEIGHT_BYTES ? 256 : 64;
    int64_t pieces = weights > WEIGHT_BYTES ? PLAN_MAX_TASKS : 2 * PLAN_MAX_TASKS;
    int64_t rows = (B / pieces + 7) / 8 * 8;
    return rows < 8 ? 8 : rows > most ? most : rows;
}

static void group_finish(plan *p, group *u, size_t weights) {
    double seconds = 0;
    for (int32_t i = u->begin; i < u->end; i++) seconds += p->steps[p->order[i]].seconds;
    u->shard = shard_rows(p, weights);
    u->n_shards = u->n_rows > 0 ? (p->g.batch + u->shard - 1) / u->shard : 0;
    u->n_tasks = u->n_shards;
    for (int32_t i = u->begin + u->n_rows; i < u->end; i++) u->n_tasks += p->steps[p->order[i]].tasks;
    u->inlined = u->n_tasks == 1 || seconds < SMALL_SECONDS;
}

/* One scan: marks the group's members as done and returns how many of them are ROWS steps. */
static int32_t scan_group(plan *p, scan *c, bool *done) {
    int32_t n_rows = 0;
    for (size_t i = 0; i < p->n_tensors; i++) c->flags[i] &= NEEDED;
    c->weights = 0;
    c->held_up = 0;
    for (size_t i = 0; i < p->n_steps; i++) {
        step *s = &p->steps[i];
        if (done[i] || !scan_step(c, s, n_rows)) continue;
        done[i] = true;
        s->group = (int32_t)p->n_groups;
        n_rows += s->kind == PASS_ROWS;
    }
    return n_rows;
}

/* Appends the members of the next group to p->order from *at: ROWS steps, then the others, each in lowering order. */
static souk_status group_new(plan *p, scan *c, bool *done, int32_t *at, souk_error *err) {
    if (!mem_grow(&p->groups, &p->group_capacity, p->n_groups, sizeof *p->groups))
        return err_nomem(err, "planning a graph");
    group *u = &p->groups[p->n_groups];
    *u = (group){.begin = *at};
    memset(c->flags, 0, p->n_tensors);
    c->only_needed = false;
    u->n_rows = scan_group(p, c, done);
    if (c->held_up > 0 && !p->options.no_depth_first) {
        for (size_t i = 0; i < p->n_steps; i++)
            if (p->steps[i].group == (int32_t)p->n_groups) done[i] = false, p->steps[i].group = -1;
        c->only_needed = true;
        u->n_rows = scan_group(p, c, done);
    }
    for (int others = 0; others <= 1; others++)
        for (size_t i = 0; i < p->n_steps; i++)
            if (p->steps[i].group == (int32_t)p->n_groups && (p->steps[i].kind != PASS_ROWS) == others)
                p->order[(*at)++] = (int32_t)i;
    u->end = *at;
    assert(u->end > u->begin);
    group_finish(p, u, c->weights);
    p->n_groups++;
    return SOUK_OK;
}

souk_status plan_schedule(plan *p, souk_error *err) {
    souk_status status = SOUK_OK;
    int32_t at = 0;
    bool *done = mem_calloc(p->n_steps + 1, sizeof *done);
    scan c = {.p = p, .flags = mem_alloc(p->n_tensors + 1)};
    p->order = mem_array(p->n_steps + 1, sizeof *p->order);
    if (!done || !c.flags || !p->order) status = err_nomem(err, "planning a graph");
    for (size_t i = 0; i < p->n_steps; i++) p->steps[i].group = -1;
    while (status == SOUK_OK && at < (int32_t)p->n_steps) status = group_new(p, &c, done, &at, err);
    mem_free(done);
    mem_free(c.flags);
    return status;
}
