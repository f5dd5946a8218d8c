/* lower - nodes to a flat list of steps: forward passes in recording order, backward passes in reverse.
 *
 * Only what somebody wants is lowered: nodes that lead to an output or the loss, and gradients on the way to a trained
 * parameter. A gradient with several contributions (a tensor read twice, a tied parameter) is summed by explicit steps,
 * in the order in which the contributions arise, so that the bits are fixed: the first writes the gradient, each later
 * one a temporary that a step adds. OP_ALIAS nodes share the tensors of their input and cost nothing.
 *
 * Which thread, which address and which barrier are left to schedule.c, memplan.c and run.c. */
#include <assert.h>
#include <string.h>

#include "graph/plan_impl.h"

/* Rough speeds for step.seconds; they choose what is worth a barrier and never touch a bit. */
static const double FLOPS_PER_SECOND = 3e10, BYTES_PER_SECOND = 1e10;

typedef struct lowering {
    plan *p;
    souk_error *err;
    bool *live;    /* [n_nodes] leads to an output or the loss */
    int32_t *uses; /* [n_nodes] inputs of live nodes that are this node */
    souk_status status;
} lowering;

static int32_t tensor_new(lowering *l, place where, dtype type, const shape *s) {
    plan *p = l->p;
    if (!mem_grow(&p->tensors, &p->tensor_capacity, p->n_tensors, sizeof *p->tensors)) {
        l->status = err_nomem(l->err, "planning a graph");
        return 0;
    }
    int32_t id = (int32_t)p->n_tensors++;
    size_t each = type == DT_REAL ? sizeof(real) : sizeof(int32_t);
    tensor *t = &p->tensors[id];
    memset(t, 0, sizeof *t);
    t->place = where;
    t->bytes = (size_t)shape_count(s) * each;
    t->row_bytes = s->d[0] == p->g.batch ? (size_t)shape_row(s) * each : 0;
    t->shares = id;
    return id;
}

/* A step with nothing attached, or NULL. Pointers into p->steps die with the next call. */
static step *step_new(lowering *l, node_id id, const op_pass *pass, bool backward) {
    plan *p = l->p;
    if (l->status != SOUK_OK) return NULL;
    if (!mem_grow(&p->steps, &p->step_capacity, p->n_steps, sizeof *p->steps)) {
        l->status = err_nomem(l->err, "planning a graph");
        return NULL;
    }
    step *s = &p->steps[p->n_steps++];
    memset(s, 0, sizeof *s);
    s->node = id;
    s->pass = pass;
    s->backward = backward;
    s->out = s->dout = -1;
    s->tasks = 1;
    for (int i = 0; i < GRAPH_MAX_IN; i++) s->in[i] = s->din[i] = s->rows[i] = -1;
    for (int i = 0; i < GRAPH_MAX_AUX; i++) s->aux[i] = -1;
    return s;
}

/* Pieces of a SPLIT step. */
static int32_t split_tasks(const plan *p, const step *s) {
    int64_t most = p->options.split_tasks > 0 ? p->options.split_tasks : s->seconds > 1e-6 ? PLAN_MAX_TASKS : 1;
    return (int32_t)(s->range < most ? s->range : most);
}

/* Kind, range, scratch and estimate of a pass of node n. */
static void step_measure(const plan *p, step *s, const node *n) {
    s->kind = s->pass->kind;
    s->range = 1;
    if (s->kind == PASS_SPLIT) {
        s->range = s->pass->units(&p->g, n);
        assert(s->range >= 1);
    } else if (s->kind == PASS_ROWS) {
        s->range = p->g.batch;
        if (!node_has_batch(&p->g, n)) {
            s->kind = PASS_ONCE;
            s->range = n->shape.d[0];
        }
    }
    if (s->pass->scratch) s->scratch = s->pass->scratch(&p->g, n);
    op_cost cost = n->op->cost(&p->g, n);
    s->seconds = cost.flops / FLOPS_PER_SECOND + cost.bytes / BYTES_PER_SECOND;
    if (s->kind == PASS_SPLIT) s->tasks = split_tasks(p, s);
}

/* ---- which nodes matter ---- */

static souk_status find_live(lowering *l) {
    const graph *g = &l->p->g;
    l->live = mem_calloc((size_t)g->n_nodes, sizeof *l->live);
    l->uses = mem_calloc((size_t)g->n_nodes, sizeof *l->uses);
    if (!l->live || !l->uses) return err_nomem(l->err, "planning a graph");
    for (int i = 0; i < g->n_outputs; i++) l->live[g->outputs[i]] = true;
    if (g->loss) l->live[g->loss] = true;
    for (int32_t i = g->n_nodes - 1; i > 0; i--) {
        const node *n = &g->nodes[i];
        if (!l->live[i] || n->kind != NODE_OP) continue;
        for (int k = 0; k < n->n_in; k++) {
            if (!n->in[k]) continue;
            l->live[n->in[k]] = true;
            l->uses[n->in[k]]++;
        }
    }
    return SOUK_OK;
}

/* ---- forward ---- */

/* Tensors of aux i are made here and found again in the backward pass by p->value-like numbering: saved[i] of the node.
 */
typedef struct node_aux {
    int32_t t[GRAPH_MAX_AUX];
} node_aux;

static void forward_value(lowering *l, node_id id, node_aux *aux) {
    plan *p = l->p;
    const node *n = &p->g.nodes[id];
    if (n->kind == NODE_OP && (n->op->flags & OP_ALIAS)) {
        p->value[id] = p->value[n->in[0]];
        return;
    }
    place where = n->kind == NODE_INPUT ? PLACE_INPUT : n->kind == NODE_PARAM ? PLACE_PARAM : PLACE_ARENA;
    p->value[id] = tensor_new(l, where, n->type, &n->shape);
    if (l->status != SOUK_OK) return;
    tensor *t = &p->tensors[p->value[id]];
    t->slot = n->slot;
    t->by_row = n->kind == NODE_OP && t->row_bytes > 0;
    for (int i = 0; n->kind == NODE_OP && i < n->n_aux; i++) {
        const aux_def *a = &n->aux[i];
        aux->t[i] = -1;
        if (a->life == AUX_BACKWARD || (a->life == AUX_SAVED && !p->g.training)) continue;
        aux->t[i] = tensor_new(l, PLACE_ARENA, a->type, &a->shape);
        if (l->status != SOUK_OK) return;
        p->tensors[aux->t[i]].by_row = a->by_row && p->tensors[aux->t[i]].row_bytes > 0;
    }
}

static void forward_steps(lowering *l, node_id id, const node_aux *aux) {
    plan *p = l->p;
    const node *n = &p->g.nodes[id];
    for (int k = 0; k < OP_MAX_PASS && n->op->forward[k].run; k++) {
        step *s = step_new(l, id, &n->op->forward[k], false);
        if (!s) return;
        step_measure(p, s, n);
        for (int i = 0; i < n->n_in; i++) {
            const node *in = &p->g.nodes[n->in[i]];
            if (!n->in[i] || (s->pass->skips >> i & 1)) continue;
            s->in[i] = p->value[n->in[i]];
            if ((n->op->flags & OP_WRITES_STATE) && p->g.training && in->kind == NODE_PARAM && !in->trainable)
                s->in_written |= 1u << i;
        }
        s->out_written = !(s->pass->skips & OP_SKIPS_OUT);
        s->out = s->out_written ? p->value[id] : -1;
        for (int i = 0; i < n->n_aux; i++) s->aux[i] = aux->t[i];
        s->aux_written = ~0u;
    }
}

/* ---- backward ---- */

/* The sum grad += extra. The constant 1 (a loss that is another node reshaped) is left alone: the sum gets a place of
 * its own. */
static void add_step(lowering *l, node_id id, int32_t grad, int32_t extra) {
    plan *p = l->p;
    step *s = step_new(l, id, NULL, true);
    if (!s) return;
    s->in[0] = grad;
    s->in[1] = extra;
    if (p->tensors[grad].place == PLACE_ONE) {
        grad = p->grad[id] = tensor_new(l, PLACE_ARENA, DT_REAL, &p->g.nodes[id].shape);
        if (l->status != SOUK_OK) return;
    }
    const tensor *t = &p->tensors[grad];
    s->out = grad;
    s->out_written = true;
    s->kind = t->row_bytes > 0 && t->by_row ? PASS_ROWS : PASS_SPLIT;
    s->range = s->kind == PASS_ROWS ? p->g.batch : ((int64_t)(t->bytes / sizeof(real)) + 4095) / 4096;
    s->seconds = 3.0 * (double)t->bytes / BYTES_PER_SECOND;
    if (s->kind == PASS_SPLIT) s->tasks = split_tasks(p, s);
}

/* Where the next contribution to the gradient of `id` is to be written; *extra is set where it must be added
 * afterwards. */
static int32_t contribution(lowering *l, node_id id, bool *extra) {
    plan *p = l->p;
    const node *n = &p->g.nodes[id];
    int32_t t = tensor_new(l, PLACE_ARENA, DT_REAL, &n->shape);
    if (l->status != SOUK_OK) return -1;
    p->tensors[t].by_row = n->kind == NODE_OP && p->tensors[t].row_bytes > 0;
    *extra = p->grad[id] >= 0;
    if (!*extra) p->grad[id] = t;
    return t;
}

/* Row lists: table `id` of width E, at most min(V, ids of the node) rows. */
static void row_list(lowering *l, node_id id, const node *user) {
    plan *p = l->p;
    const node *table = &p->g.nodes[id];
    int64_t most = 0;
    for (int i = 0; i < user->n_in; i++) {
        const node *in = &p->g.nodes[user->in[i]];
        if (user->in[i] && in->type == DT_I32 && shape_count(&in->shape) > most) most = shape_count(&in->shape);
    }
    param_plan *pp = &p->params[table->slot];
    pp->most = most < table->shape.d[0] ? most : table->shape.d[0];
    pp->width = shape_row(&table->shape);
    int64_t dims[2] = {pp->most, pp->width};
    shape s = shape_make(1, dims);
    pp->ids = tensor_new(l, PLACE_ARENA, DT_I32, &s);
    s = shape_make(2, dims);
    pp->rows = tensor_new(l, PLACE_ARENA, DT_REAL, &s);
    if (l->status != SOUK_OK) return;
    p->tensors[pp->ids].row_bytes = p->tensors[pp->rows].row_bytes = 0;
    p->tensors[pp->ids].keep = p->tensors[pp->rows].keep = true;
}

/* A reshaped gradient is the gradient. */
static void backward_alias(lowering *l, node_id id) {
    plan *p = l->p;
    node_id in = p->g.nodes[id].in[0];
    if (!p->g.nodes[in].needs_grad) return;
    if (p->grad[in] < 0)
        p->grad[in] = p->grad[id];
    else
        add_step(l, in, p->grad[in], p->grad[id]);
}

typedef struct wanted {
    uint32_t mask; /* inputs whose gradient is wanted */
    int32_t din[GRAPH_MAX_IN];
    int32_t rows[GRAPH_MAX_IN];
    bool extra[GRAPH_MAX_IN];
} wanted;

static wanted wanted_inputs(lowering *l, const node *n) {
    plan *p = l->p;
    wanted w = {0};
    for (int i = 0; i < GRAPH_MAX_IN; i++) w.din[i] = w.rows[i] = -1;
    for (int i = 0; i < n->n_in && l->status == SOUK_OK; i++) {
        const node *in = &p->g.nodes[n->in[i]];
        if (!n->in[i] || in->type != DT_REAL || !in->needs_grad) continue;
        w.mask |= 1u << i;
        bool list =
            p->options.row_lists && (n->op->row_list >> i & 1) && in->kind == NODE_PARAM && l->uses[n->in[i]] == 1;
        if (list) {
            row_list(l, n->in[i], n);
            w.rows[i] = in->slot;
        } else {
            w.din[i] = contribution(l, n->in[i], &w.extra[i]);
        }
    }
    return w;
}

static void backward_pass(lowering *l, node_id id, const op_pass *pass, const wanted *w, const node_aux *aux) {
    const plan *p = l->p;
    const node *n = &p->g.nodes[id];
    bool fills = pass->writes == 0 || (pass->writes & OP_FILLS_AUX);
    if (!fills && !(pass->writes & w->mask)) return;
    step *s = step_new(l, id, pass, true);
    if (!s) return;
    step_measure(p, s, n);
    for (int i = 0; i < n->n_in; i++) {
        if (n->in[i] && (n->op->reads_in & ~pass->skips) >> i & 1) s->in[i] = p->value[n->in[i]];
        if (pass->writes >> i & w->mask >> i & 1) {
            s->din[i] = w->din[i];
            s->rows[i] = w->rows[i];
        }
    }
    bool reads_out = !(pass->skips & OP_SKIPS_OUT);
    if (reads_out && (n->op->flags & OP_READS_OUT)) s->out = p->value[id];
    s->dout = reads_out ? p->grad[id] : -1;
    for (int i = 0; i < n->n_aux; i++) {
        s->aux[i] = aux->t[i];
        if (fills && n->aux[i].life == AUX_BACKWARD) s->aux_written |= 1u << i;
    }
}

static void backward_steps(lowering *l, node_id id, node_aux *aux) {
    plan *p = l->p;
    const node *n = &p->g.nodes[id];
    if (n->op->flags & OP_ALIAS) {
        backward_alias(l, id);
        return;
    }
    wanted w = wanted_inputs(l, n);
    for (int i = 0; i < n->n_aux && l->status == SOUK_OK; i++) {
        if (n->aux[i].life == AUX_FORWARD) aux->t[i] = -1;
        if (n->aux[i].life != AUX_BACKWARD) continue;
        aux->t[i] = tensor_new(l, PLACE_ARENA, n->aux[i].type, &n->aux[i].shape);
        if (l->status != SOUK_OK) return;
        p->tensors[aux->t[i]].by_row = n->aux[i].by_row && p->tensors[aux->t[i]].row_bytes > 0;
    }
    for (int k = 0; k < OP_MAX_PASS && n->op->backward[k].run; k++) backward_pass(l, id, &n->op->backward[k], &w, aux);
    for (int i = 0; i < n->n_in; i++)
        if (w.extra[i]) add_step(l, n->in[i], p->grad[n->in[i]], w.din[i]);
}

static void lower_backward(lowering *l, node_aux *aux) {
    plan *p = l->p;
    const graph *g = &p->g;
    int64_t one = 1;
    shape scalar = shape_make(1, &one);
    p->grad[g->loss] = tensor_new(l, PLACE_ONE, DT_REAL, &scalar);
    for (int32_t i = g->loss; i > 0 && l->status == SOUK_OK; i--) {
        const node *n = &g->nodes[i];
        if (l->live[i] && n->kind == NODE_OP && n->needs_grad && p->grad[i] >= 0) backward_steps(l, i, &aux[i]);
    }
    for (int32_t i = 1; i < g->n_nodes && l->status == SOUK_OK; i++) {
        if (g->nodes[i].kind != NODE_PARAM || p->grad[i] < 0) continue;
        p->params[g->nodes[i].slot].grad = p->grad[i];
        p->tensors[p->grad[i]].keep = true;
    }
}

souk_status plan_lower(plan *p, souk_error *err) {
    const graph *g = &p->g;
    lowering l = {.p = p, .err = err, .status = SOUK_OK};
    node_aux *aux = mem_array((size_t)g->n_nodes, sizeof *aux);
    p->value = mem_array((size_t)g->n_nodes, sizeof *p->value);
    p->grad = mem_array((size_t)g->n_nodes, sizeof *p->grad);
    p->params = mem_array((size_t)g->n_params, sizeof *p->params);
    if (!aux || !p->value || !p->grad || !p->params) {
        l.status = err_nomem(err, "planning a graph");
        goto done;
    }
    for (int32_t i = 0; i < g->n_nodes; i++) p->value[i] = p->grad[i] = -1;
    for (int32_t i = 0; i < g->n_params; i++) p->params[i] = (param_plan){.grad = -1, .ids = -1, .rows = -1};
    l.status = find_live(&l);
    for (int32_t i = 1; i < g->n_nodes && l.status == SOUK_OK; i++) {
        if (!l.live[i]) continue;
        forward_value(&l, i, &aux[i]);
        if (l.status == SOUK_OK && g->nodes[i].kind == NODE_OP) forward_steps(&l, i, &aux[i]);
    }
    p->backward = g->training && g->loss && g->nodes[g->loss].needs_grad;
    if (l.status == SOUK_OK && p->backward) lower_backward(&l, aux);
    for (int i = 0; i < g->n_outputs && l.status == SOUK_OK; i++) p->tensors[p->value[g->outputs[i]]].keep = true;
    if (l.status == SOUK_OK && g->loss) p->tensors[p->value[g->loss]].keep = true;
done:
    mem_free(aux);
    mem_free(l.live);
    mem_free(l.uses);
    return l.status;
}
