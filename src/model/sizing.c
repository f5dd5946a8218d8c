/* sizing.c - records the net for one batch size, plans it, and reads the figures off the plan; nothing is run. */
#include "model/sizing.h"

#include <string.h>

#include "graph/plan.h"

souk_status model_sizing(const model *m, int64_t batch, bool training, int threads, sizing *out, buf *steps,
                         souk_error *err) {
    memset(out, 0, sizeof *out);
    out->parameters = net_param_count(m->net, false);
    out->trainable = net_param_count(m->net, true);
    graph g;
    plan *p = NULL;
    plan_options options = {.row_lists = true};
    graph_init(&g, batch, training);
    souk_status status = net_build(m->net, &g, err);
    if (status == SOUK_OK) status = plan_new(&p, &g, &options, err);
    if (status == SOUK_OK) {
        out->plan_bytes = plan_bytes(p, threads);
        out->flops_forward = plan_flops(p, false);
        out->flops_backward = training ? plan_flops(p, true) : 0;
        if (steps) plan_describe(p, steps);
    }
    plan_free(p);
    graph_clear(&g);
    return status;
}
