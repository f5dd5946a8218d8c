/* net_describe - the architecture as a table, in the manner of Keras' summary: layer, output shape, parameters,
 * connected to.
 *
 * Plain text in columns as wide as their longest cell; counts are exact, totals split into trained and not trained. */
#include <stdio.h>
#include <string.h>

#include "nn/net_impl.h"

enum { COLUMNS = 4 };

static int64_t layer_params(const net *n, const layer *l, bool trainable_only) {
    int64_t total = 0;
    for (int i = l->first_param; i < l->first_param + l->n_params; i++) {
        shape s = shape_make(n->params[i].rank, n->params[i].d);
        if (n->params[i].trainable || !trainable_only) total += shape_count(&s);
    }
    return total;
}

/* Cells of one layer; each holds 160 bytes, longer names are cut. */
static void describe_layer(const net *n, const layer *l, char cell[COLUMNS][160]) {
    char text[96];
    snprintf(cell[0], 160, "%s (%s)", l->name, l->def->title);
    snprintf(cell[1], 160, "%s", net_value_text(net_at(n, l->out), text));
    snprintf(cell[2], 160, "%lld", (long long)layer_params(n, l, false));
    size_t at = 0;
    cell[3][0] = 0;
    for (int i = 0; i < l->n_in && at < 120; i++)
        at += (size_t)snprintf(cell[3] + at, 160 - at, "%s%.100s", i ? ", " : "",
                               n->layers[net_at(n, l->in[i])->layer].name);
}

void net_describe(const net *n, buf *out) {
    static const char *const title[COLUMNS] = {"layer", "output", "parameters", "connected to"};
    int width[COLUMNS];
    char cell[COLUMNS][160];
    for (int c = 0; c < COLUMNS; c++) width[c] = (int)strlen(title[c]);
    for (int i = 0; i < n->n_layers; i++) {
        describe_layer(n, &n->layers[i], cell);
        for (int c = 0; c < COLUMNS; c++)
            if ((int)strlen(cell[c]) > width[c]) width[c] = (int)strlen(cell[c]);
    }
    for (int i = -1; i < n->n_layers; i++) {
        if (i >= 0) describe_layer(n, &n->layers[i], cell);
        const char *text[COLUMNS];
        for (int c = 0; c < COLUMNS; c++) text[c] = i < 0 ? title[c] : cell[c];
        buf_printf(out, "%-*s  %-*s  %*s  %s", width[0], text[0], width[1], text[1], width[2], text[2], text[3]);
        while (out->status == SOUK_OK && out->len > 0 && out->data[out->len - 1] == ' ') out->data[--out->len] = 0;
        buf_char(out, '\n');
    }
    int64_t all = net_param_count(n, false), trained = net_param_count(n, true);
    buf_printf(out, "%lld parameters, %lld trained", (long long)all, (long long)trained);
    buf_printf(out, all == trained ? "\n" : ", %lld moving statistics\n", (long long)(all - trained));
}
