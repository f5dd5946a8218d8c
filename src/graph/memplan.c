/* memplan - gives every tensor its place: an offset in the session's arena, or in a worker's own area.
 *
 * A tensor lives from its first access to its last. In the arena lifetimes are counted in groups, since the shards of a
 * group run at different paces; two tensors may share bytes when no group needs both. A tensor that only the ROWS steps
 * of one group touch needs no more than one shard's rows at a time and goes to the worker's area (PLACE_LOCAL), where
 * lifetimes are counted in steps. In-place ops take over the memory of their input when theirs is the last access to
 * it.
 *
 * Placing is first fit in order of falling size (Pisarchyk & Lee 2020, "greedy by size"). The result is known before
 * any run. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "graph/plan_impl.h"

typedef struct memplan {
    plan *p;
    int32_t *group_of; /* [n_steps] by position in order */
    int32_t position;  /* of the step being visited */
    bool *shared_use;  /* [n_tensors] touched by a step that is not PASS_ROWS */
} memplan;

typedef struct block { /* one tensor (and those that share its memory) to be placed */
    int32_t tensor;
    int32_t first, last; /* in groups, or in positions within a group */
    size_t bytes, offset;
} block;

static size_t align_up(size_t n) { return (n + PLAN_ALIGN - 1) / PLAN_ALIGN * PLAN_ALIGN; }

static void visit_life(void *context, int32_t id, bool written) {
    memplan *m = context;
    plan *p = m->p;
    tensor *t = &p->tensors[id];
    (void)written;
    if (t->first > t->last) t->first = m->position;
    t->last = m->position;
    if (p->steps[p->order[m->position]].kind != PASS_ROWS) m->shared_use[id] = true;
}

static int32_t root(const plan *p, int32_t id) {
    while (p->tensors[id].shares != id) id = p->tensors[id].shares;
    return id;
}

/* Lets tensor `to`, first written at `position`, take over the memory of `from`, whose last access is the same step.
 * Other shards may be behind in this group, but on other rows: so both must be cut by rows and the step a ROWS step.
 * (Steps that are not stand behind the ROWS steps of their group, so they cannot still be reading `from`.) */
static void take_over(const memplan *m, int32_t from, int32_t to, int32_t position) {
    plan *p = m->p;
    if (from < 0 || to < 0 || root(p, from) == root(p, to)) return;
    int32_t r = root(p, from);
    tensor *a = &p->tensors[r], *b = &p->tensors[to];
    if (a->place != PLACE_ARENA || b->place != PLACE_ARENA || a->keep || a->bytes != b->bytes) return;
    if (a->last != position || b->first != position || b->shares != to) return;
    if (p->steps[p->order[position]].kind != PASS_ROWS || !a->by_row || !b->by_row) return;
    b->shares = r;
    a->last = b->last;
    a->keep = b->keep;
    m->shared_use[r] |= m->shared_use[to];
}

static void share_in_place(const memplan *m) {
    plan *p = m->p;
    for (int32_t i = 0; i < (int32_t)p->n_steps; i++) {
        const step *s = &p->steps[p->order[i]];
        if (!s->pass) continue;
        const op_def *op = p->g.nodes[s->node].op;
        if (!s->backward && (op->flags & OP_IN_PLACE) && !op->forward[1].run && s->in[0] != s->in[1])
            take_over(m, s->in[0], s->out, i);
        if (s->backward && (op->flags & OP_GRAD_IN_PLACE) && s->din[0] >= 0) take_over(m, s->dout, s->din[0], i);
    }
}

static int by_size(const void *a, const void *b) {
    const block *x = a, *y = b;
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? 1 : -1;
    return x->tensor < y->tensor ? -1 : x->tensor > y->tensor;
}

/* Lowest offset that collides with no placed block alive at the same time; placed blocks are kept in order of offset.
 */
static size_t first_fit(const block *const *placed, size_t n, const block *b) {
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        const block *o = placed[i];
        if (o->last < b->first || b->last < o->first) continue;
        if (o->offset >= at + b->bytes) break;
        size_t end = o->offset + o->bytes;
        if (end > at) at = end;
    }
    return at;
}

/* Gives offsets to n blocks; returns the bytes needed. `placed` has room for n. */
static size_t place_blocks(block *blocks, size_t n, const block **placed, bool reuse) {
    size_t total = 0;
    if (n > 0) qsort(blocks, n, sizeof *blocks, by_size);
    for (size_t i = 0; i < n; i++) {
        block *b = &blocks[i];
        b->offset = reuse ? first_fit(placed, i, b) : total;
        if (b->offset + b->bytes > total) total = b->offset + b->bytes;
        size_t k = i;
        for (; k > 0 && placed[k - 1]->offset > b->offset; k--) placed[k] = placed[k - 1];
        placed[k] = b;
    }
    return total;
}

/* Tensors of the arena whose memory is their own: those that only ROWS steps of one group touch become local. */
static void choose_places(const memplan *m) {
    plan *p = m->p;
    for (size_t i = 0; i < p->n_tensors; i++) {
        tensor *t = &p->tensors[i];
        if (t->place != PLACE_ARENA || t->shares != (int32_t)i) continue;
        if (t->first > t->last) {
            if (!t->keep) t->place = PLACE_NEVER;
            continue;
        }
        bool one_group = m->group_of[t->first] == m->group_of[t->last];
        if (one_group && t->by_row && !t->keep && !m->shared_use[i] && !p->options.no_reuse) t->place = PLACE_LOCAL;
    }
}

static void write_back(plan *p, const block *blocks, size_t n) {
    for (size_t i = 0; i < n; i++) p->tensors[blocks[i].tensor].offset = blocks[i].offset;
}

static void place_arena(const memplan *m, block *blocks, const block **placed) {
    plan *p = m->p;
    size_t n = 0;
    for (size_t i = 0; i < p->n_tensors; i++) {
        const tensor *t = &p->tensors[i];
        if (t->place < PLACE_ARENA) continue;
        p->unshared_bytes += align_up(t->bytes);
        if (t->place != PLACE_ARENA || t->shares != (int32_t)i) continue;
        bool touched = t->first <= t->last;
        int32_t last = t->keep || !touched ? INT32_MAX : m->group_of[t->last];
        blocks[n++] = (block){(int32_t)i, touched ? m->group_of[t->first] : 0, last, align_up(t->bytes), 0};
    }
    p->arena_bytes = place_blocks(blocks, n, placed, !p->options.no_reuse);
    write_back(p, blocks, n);
}

static void place_local(const memplan *m, int32_t g, block *blocks, const block **placed) {
    plan *p = m->p;
    const group *u = &p->groups[g];
    size_t n = 0;
    for (size_t i = 0; i < p->n_tensors; i++) {
        const tensor *t = &p->tensors[i];
        if (t->place != PLACE_LOCAL || t->shares != (int32_t)i || m->group_of[t->first] != g) continue;
        blocks[n++] = (block){(int32_t)i, t->first, t->last, align_up(t->row_bytes * (size_t)u->shard), 0};
    }
    size_t bytes = place_blocks(blocks, n, placed, true);
    write_back(p, blocks, n);
    if (bytes > p->local_bytes) p->local_bytes = bytes;
}

static void follow_shares(plan *p) {
    for (size_t i = 0; i < p->n_tensors; i++) {
        tensor *t = &p->tensors[i];
        const tensor *r = &p->tensors[root(p, (int32_t)i)];
        if (t->shares == (int32_t)i) continue;
        t->place = r->place;
        t->offset = r->offset;
    }
}

souk_status plan_memory(plan *p, souk_error *err) {
    souk_status status = SOUK_OK;
    memplan m = {.p = p};
    m.group_of = mem_array(p->n_steps + 1, sizeof *m.group_of);
    m.shared_use = mem_calloc(p->n_tensors + 1, sizeof *m.shared_use);
    block *blocks = mem_array(p->n_tensors + 1, sizeof *blocks);
    const block **placed = mem_array(p->n_tensors + 1, sizeof *placed);
    if (!m.group_of || !m.shared_use || !blocks || !placed) {
        status = err_nomem(err, "planning memory");
        goto done;
    }
    for (size_t i = 0; i < p->n_tensors; i++) {
        p->tensors[i].first = 1;
        p->tensors[i].last = 0;
    }
    for (m.position = 0; m.position < (int32_t)p->n_steps; m.position++) {
        const step *s = &p->steps[p->order[m.position]];
        m.group_of[m.position] = s->group;
        if (s->scratch > p->scratch_bytes) p->scratch_bytes = s->scratch;
        step_each(p, s, visit_life, &m);
    }
    if (!p->options.no_reuse) share_in_place(&m);
    choose_places(&m);
    place_arena(&m, blocks, placed);
    for (size_t g = 0; g < p->n_groups; g++) place_local(&m, (int32_t)g, blocks, placed);
    follow_shares(p);
    p->local_bytes = align_up(p->local_bytes);
    p->scratch_bytes = align_up(p->scratch_bytes);
done:
    mem_free(m.group_of);
    mem_free(m.shared_use);
    mem_free(blocks);
    mem_free(placed);
    return status;
}
