/* plan - making, measuring and describing plans. The work is done by fuse.c, lower.c, schedule.c and memplan.c, in that
 * order; run.c runs the result. A plan holds a copy of its graph, so the caller may clear the original at once. */
#include <assert.h>
#include <string.h>

#include "graph/plan_impl.h"
#include "simd/kern.h"

souk_status plan_new(plan **out, const graph *g, const plan_options *options, souk_error *err) {
    *out = NULL;
    kern_init();
    TRY(graph_status(g, err));
    if (g->n_nodes < 2 || (g->n_outputs == 0 && g->loss == 0))
        return err_set(err, SOUK_USAGE, "a graph without outputs and without a loss computes nothing");
    plan *p = mem_calloc(1, sizeof *p);
    if (!p) return err_nomem(err, "planning a graph");
    if (options) p->options = *options;
    souk_status status = graph_copy(&p->g, g, err);
    if (status != SOUK_OK) {
        mem_free(p);
        return status;
    }
    if (!p->options.no_fuse) plan_fuse(&p->g);
    TRY_DONE(graph_status(&p->g, err));
    TRY_DONE(plan_lower(p, err));
    TRY_DONE(plan_schedule(p, err));
    TRY_DONE(plan_memory(p, err));
    *out = p;
done:
    if (status != SOUK_OK) plan_free(p);
    return status;
}

void plan_free(plan *p) {
    if (!p) return;
    graph_clear(&p->g);
    mem_free(p->tensors);
    mem_free(p->value);
    mem_free(p->grad);
    mem_free(p->steps);
    mem_free(p->order);
    mem_free(p->groups);
    mem_free(p->params);
    mem_free(p);
}

size_t plan_bytes(const plan *p, int threads) {
    return p->arena_bytes + (size_t)(threads > 1 ? threads : 1) * (p->local_bytes + p->scratch_bytes);
}

size_t plan_bytes_unshared(const plan *p) { return p->unshared_bytes; }

/* The cost of an op is counted once for its forward passes, and once for each backward pass that makes gradients. */
static double step_flops(const plan *p, const step *s) {
    if (!s->pass) return (double)p->tensors[s->out].bytes / sizeof(real);
    const node *n = &p->g.nodes[s->node];
    bool counts = s->backward ? s->pass->writes != 0 : s->pass == &n->op->forward[0];
    return counts ? n->op->cost(&p->g, n).flops : 0;
}

double plan_flops(const plan *p, bool backward) {
    double sum = 0;
    for (size_t i = 0; i < p->n_steps; i++)
        if (backward || !p->steps[i].backward) sum += step_flops(p, &p->steps[i]);
    return sum;
}

int plan_barriers(const plan *p) {
    int n = 0;
    for (size_t i = 0; i < p->n_groups; i++) n += !p->groups[i].inlined;
    return n;
}

static void describe_step(const plan *p, const step *s, const group *u, buf *out) {
    static const char *const kinds[] = {"rows", "split", "once"};
    static const char *const places[] = {"-", "input", "param", "one", "arena", "shard"};
    const node *n = &p->g.nodes[s->node];
    char shape_[96];
    int32_t written = s->out_written ? s->out : -1;
    for (int i = 0; i < GRAPH_MAX_IN && written < 0; i++)
        written = s->rows[i] >= 0 ? p->params[s->rows[i]].rows : s->din[i];
    const tensor *t = written >= 0 ? &p->tensors[written] : NULL;
    buf_printf(out, "%5d %c %-6s %-9s %-14s %-20s %-16s %10lld %-6s %10.0f", s->group, u->inlined ? ' ' : '|',
               kinds[s->kind],
               !s->pass      ? "sum"
               : s->backward ? "backward"
                             : "forward",
               n->op ? n->op->name : "parameter", n->name, shape_text(&n->shape, shape_), t ? (long long)t->bytes : 0LL,
               t ? places[t->place] : "-", step_flops(p, s));
    if (s->kind == PASS_ROWS)
        buf_printf(out, "  %lld shards of %lld\n", (long long)u->n_shards, (long long)u->shard);
    else
        buf_printf(out, "  %d task%s\n", s->tasks, s->tasks == 1 ? "" : "s");
}

void plan_describe(const plan *p, buf *out) {
    buf_printf(out,
               "batch %lld, %zu steps in %zu groups, %d of them with a barrier; arena %zu bytes (%zu without sharing), "
               "each worker %zu bytes; %.0f FLOPs forward, %.0f in all\n",
               (long long)p->g.batch, p->n_steps, p->n_groups, plan_barriers(p), p->arena_bytes, p->unshared_bytes,
               p->local_bytes + p->scratch_bytes, plan_flops(p, false), plan_flops(p, true));
    buf_printf(out, "%5s   %-6s %-9s %-14s %-20s %-16s %10s %-6s %10s  %s\n", "group", "kind", "pass", "op", "layer",
               "shape", "bytes", "place", "FLOPs", "cut");
    for (size_t k = 0; k < p->n_groups; k++) {
        const group *u = &p->groups[k];
        for (int32_t i = u->begin; i < u->end; i++) describe_step(p, &p->steps[p->order[i]], u, out);
    }
}
