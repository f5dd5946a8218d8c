/* op_embedding - y[B,…,E] = table[V,E][ids[B,…]]. The caller bounds the ids.
 *
 * Backward: positions are sorted by id (a stable radix sort, so within an id they keep their order of occurrence), and
 * every distinct id's rows of dy are summed in that order: no atomics, the same bits however the work is cut, and with
 * row lists the gradient comes out as the list of distinct rows that the optimiser wants. With a dense gradient the
 * same sums go into a table of zeros. */
#include "graph/op_util.h"

enum { DIGIT = 11, BUCKETS = 1 << DIGIT, SEGMENT_UNITS = 16 };

node_id op_embedding(graph *g, node_id table, node_id ids) {
    return graph_op(g, &opdef_embedding, 2, (node_id[]){table, ids}, NULL, 0);
}

static void embedding_shape(graph *g, node *n) {
    const shape *table = in_shape(g, n, 0), *ids = in_shape(g, n, 1);
    char text[96];
    if (!want_rank(g, n, 0, 2, "the table")) return;
    if (g->nodes[n->in[1]].type != DT_I32) graph_fail(g, "ids must be integers");
    if (ids->rank >= GRAPH_MAX_RANK) graph_fail(g, "ids are %s: too many dimensions", shape_text(ids, text));
    if (shape_count(ids) > INT32_MAX / 2) graph_fail(g, "ids are %s: too many for one batch", shape_text(ids, text));
    if (g->err.code != SOUK_OK) return;
    n->type = DT_REAL;
    n->shape = *ids;
    n->shape.d[n->shape.rank++] = table->d[1];
    int64_t N = shape_count(ids);
    node_aux_add(n, DT_I32, AUX_BACKWARD, 1, (int64_t[]){2 * N},
                 false); /* 0: positions by id; the other half is work space */
    node_aux_add(n, DT_I32, AUX_BACKWARD, 1, (int64_t[]){N + 2},
                 false); /* 1: number of segments, starts of segments, N */
}

static op_cost embedding_cost(const graph *g, const node *n) {
    (void)g;
    double c = (double)shape_count(&n->shape);
    return (op_cost){c, 2 * c * sizeof(real)};
}

static void embedding_forward(const op_run *r, int64_t lo, int64_t hi) {
    int64_t E = r->in_shape[0]->d[1], per = shape_row(r->in_shape[1]);
    const real *table = r->in[0];
    const int32_t *ids = r->in[1];
    real *y = r->out;
    for (int64_t i = lo * per; i < hi * per; i++) memcpy(y + i * E, table + ids[i] * E, (size_t)E * sizeof *y);
}

/* Stable sort of positions 0 … n-1 by ids < limit, least digit first; the result ends in `order`. */
static void sort_positions(const int32_t *ids, int64_t n, int64_t limit, int32_t *order, int32_t *other) {
    int passes = 0;
    while (passes < 3 && (limit - 1) >> (passes * DIGIT) > 0) passes++;
    int32_t *from = passes % 2 ? other : order, *to = passes % 2 ? order : other;
    for (int64_t i = 0; i < n; i++) from[i] = (int32_t)i;
    for (int pass = 0; pass < passes; pass++) {
        int32_t start[BUCKETS] = {0}, sum = 0;
        int shift = pass * DIGIT;
        for (int64_t i = 0; i < n; i++) start[ids[i] >> shift & (BUCKETS - 1)]++;
        for (int b = 0; b < BUCKETS; b++) {
            int32_t count = start[b];
            start[b] = sum;
            sum += count;
        }
        for (int64_t i = 0; i < n; i++) to[start[ids[from[i]] >> shift & (BUCKETS - 1)]++] = from[i];
        int32_t *swap = from;
        from = to;
        to = swap;
    }
    assert(from == order);
}

/* ONCE: sorts, finds the segments of equal ids, and names the rows of a row list. */
static void embedding_sort(const op_run *r, int64_t lo, int64_t hi) {
    (void)lo, (void)hi;
    int64_t N = shape_count(r->in_shape[1]);
    const int32_t *ids = r->in[1];
    int32_t *order = r->aux[0], *starts = (int32_t *)r->aux[1] + 1, segments = 0;
    sort_positions(ids, N, r->in_shape[0]->d[0], order, order + N);
    for (int64_t i = 0; i < N; i++) {
        if (i > 0 && ids[order[i]] == ids[order[i - 1]]) continue;
        if (r->drows[0]) r->drows[0]->ids[segments] = ids[order[i]];
        starts[segments++] = (int32_t)i;
    }
    starts[segments] = (int32_t)N;
    starts[-1] = segments;
    if (r->drows[0]) r->drows[0]->n = segments;
}

/* Sum of the rows of segment s, in order of occurrence. */
static void segment_sum(const op_run *r, int32_t s, real *sum) {
    int64_t E = r->in_shape[0]->d[1];
    const int32_t *order = r->aux[0], *starts = (const int32_t *)r->aux[1] + 1;
    memcpy(sum, r->dout + order[starts[s]] * E, (size_t)E * sizeof *sum);
    for (int32_t i = starts[s] + 1; i < starts[s + 1]; i++) kern.add(E, r->dout + order[i] * E, sum, sum);
}

/* First segment whose id is at least `id`. */
static int32_t segment_from(const op_run *r, int64_t id) {
    const int32_t *ids = r->in[1], *order = r->aux[0], *starts = (const int32_t *)r->aux[1] + 1;
    int32_t lo = 0, hi = starts[-1];
    while (lo < hi) {
        int32_t mid = lo + (hi - lo) / 2;
        if (ids[order[starts[mid]]] < id)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static int64_t embedding_units(const graph *g, const node *n) {
    (void)g, (void)n;
    return SEGMENT_UNITS;
}

/* SPLIT into 16 parts: of the segments with a row list, else of the table's rows. */
static void embedding_sums(const op_run *r, int64_t lo, int64_t hi) {
    int64_t E = r->in_shape[0]->d[1], V = r->in_shape[0]->d[0];
    const int32_t *ids = r->in[1], *order = r->aux[0], *starts = (const int32_t *)r->aux[1] + 1;
    if (r->drows[0]) {
        int64_t n = starts[-1];
        for (int64_t s = n * lo / SEGMENT_UNITS; s < n * hi / SEGMENT_UNITS; s++)
            segment_sum(r, (int32_t)s, r->drows[0]->rows + s * E);
        return;
    }
    int64_t from = V * lo / SEGMENT_UNITS, to = V * hi / SEGMENT_UNITS;
    memset(r->din[0] + from * E, 0, (size_t)((to - from) * E) * sizeof(real));
    for (int32_t s = segment_from(r, from), end = segment_from(r, to); s < end; s++)
        segment_sum(r, s, r->din[0] + ids[order[starts[s]]] * E);
}

static node_id case_sequence(graph *g, op_tester *t) {
    node_id table = op_test_param(g, t, 2, (int64_t[]){29, 5}, -1, 1);
    return op_embedding(g, table, op_test_ids(g, t, 2, (int64_t[]){g->batch, 7}, 0, 29));
}

static node_id case_category(graph *g, op_tester *t) {
    node_id table = op_test_param(g, t, 2, (int64_t[]){2500, 3}, -1, 1); /* two digits */
    return op_embedding(g, table, op_test_ids(g, t, 1, (int64_t[]){g->batch}, 0, 2500));
}

static node_id case_single(graph *g, op_tester *t) {
    node_id table = op_test_param(g, t, 2, (int64_t[]){1, 4}, -1, 1);
    return op_embedding(g, table, op_test_ids(g, t, 2, (int64_t[]){g->batch, 3}, 0, 1));
}

static const op_case cases[] = {
    {"sequence", case_sequence}, {"category", case_category}, {"one row", case_single}, {NULL, NULL}};

const op_def opdef_embedding = {
    .name = "embedding",
    .min_in = 2,
    .max_in = 2,
    .reads_in = 2,
    .row_list = 1,
    .shape = embedding_shape,
    .cost = embedding_cost,
    .forward = {{.kind = PASS_ROWS, .run = embedding_forward}},
    .backward = {{.kind = PASS_ONCE, .run = embedding_sort, .writes = OP_FILLS_AUX | 1, .skips = OP_SKIPS_OUT},
                 {.kind = PASS_SPLIT, .run = embedding_sums, .units = embedding_units, .writes = 1}},
    .cases = cases};
