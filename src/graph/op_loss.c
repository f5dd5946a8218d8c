/* op_loss - losses for each row of the batch: the mean over the row's other axes, as Keras. On logits the stable forms
 * are used (sigmoid or softmax and cross-entropy in one), so that no probability is ever rounded to 0 or 1 before its
 * logarithm.
 *
 * Keras' facts (keras/src/backend/tensorflow/nn.py, losses.py): probabilities are clipped to [1e-7, 1 - 1e-7];
 * categorical ones are scaled to sum 1 first; smoothing turns y into y(1-s) + s/2 or y(1-s) + s/K; focal is modulating
 * factor times cross-entropy, alpha balancing only on demand. exp, log and softplus are our kernels, run over blocks of
 * elements, so that the bits depend neither on the machine nor on the cut. */
#include "graph/op_util.h"

enum { BLOCK = 256 };

node_id op_loss(graph *g, const loss_attr *attr, node_id prediction, node_id target) {
    loss_attr a; /* a copy with defined padding, so that equal specs have equal bytes */
    memset(&a, 0, sizeof a);
    a.kind = attr->kind;
    a.label_smoothing = attr->label_smoothing;
    a.delta = attr->delta > 0 ? attr->delta : 1;
    a.gamma = attr->gamma;
    a.alpha = attr->alpha;
    bool over_classes = a.kind == LOSS_SOFTMAX_CE || a.kind == LOSS_CE;
    return graph_op(g, over_classes ? &opdef_loss_classes : &opdef_loss, 2, (node_id[]){prediction, target}, &a,
                    sizeof a);
}

/* ---- shapes ---- */

static void loss_common(graph *g, node *n) {
    const loss_attr *a = n->attr;
    n->type = DT_REAL;
    n->shape = shape_make(1, in_shape(g, n, 0)->d);
    want_real(g, n, 0, "the prediction");
    if (!(a->label_smoothing >= 0 && a->label_smoothing < 1))
        graph_fail(g, "label smoothing is %g: it must be at least 0 and below 1", (double)a->label_smoothing);
    if (a->kind == LOSS_FOCAL && !(a->gamma >= 0))
        graph_fail(g, "gamma is %g: it must be at least 0", (double)a->gamma);
}

static bool same_shape(const shape *a, const shape *b) {
    return a->rank == b->rank && memcmp(a->d, b->d, (size_t)a->rank * sizeof a->d[0]) == 0;
}

static void loss_shape(graph *g, node *n) {
    char p[96], y[96];
    loss_common(g, n);
    want_real(g, n, 1, "the target");
    if (!same_shape(in_shape(g, n, 0), in_shape(g, n, 1)))
        graph_fail(g, "the prediction is %s, the target is %s: both need the same shape",
                   shape_text(in_shape(g, n, 0), p), shape_text(in_shape(g, n, 1), y));
}

/* Prediction [B,…,K]; target: class numbers i32 [B,…], or real [B,…,K]. */
static void classes_shape(graph *g, node *n) {
    char p[96], y[96];
    const shape *z = in_shape(g, n, 0), *t = in_shape(g, n, 1);
    shape want = *z;
    bool numbers = g->nodes[n->in[1]].type == DT_I32;
    loss_common(g, n);
    if (z->rank < 2) graph_fail(g, "the prediction is %s: it needs an axis of classes", shape_text(z, p));
    want.rank -= numbers;
    if (!same_shape(&want, t))
        graph_fail(g, "the prediction is %s, the target is %s: %s", shape_text(z, p), shape_text(t, y),
                   numbers ? "class numbers need the prediction's shape without its last axis"
                           : "both need the same shape");
}

static op_cost loss_cost(const graph *g, const node *n) {
    double count = (double)shape_count(in_shape(g, n, 0));
    return (op_cost){25 * count, 2 * count * sizeof(real)};
}

/* ---- element-wise losses: values and derivatives of one block of elements ---- */

static const real CLIP = (real)1e-7;

static real smooth(const loss_attr *a, real y) { return y * (1 - a->label_smoothing) + (real)0.5 * a->label_smoothing; }
static real clip(real p) { return p < CLIP ? CLIP : p > 1 - CLIP ? 1 - CLIP : p; }
static real absolute(real x) { return x < 0 ? -x : x; }

/* max(z, 0) - z*y + log(1 + exp(-|z|)) */
static void bce_logits(int64_t n, const real *z, const real *y, real *loss) {
    real t[BLOCK] = {0};
    for (int64_t i = 0; i < n; i++) t[i] = -absolute(z[i]);
    kern.act(n, GEMM_SOFTPLUS, t, t);
    for (int64_t i = 0; i < n; i++) loss[i] = (z[i] > 0 ? z[i] : 0) - z[i] * y[i] + t[i];
}

static void bce_probability(int64_t n, const real *p, const real *y, real *loss) {
    real a[BLOCK] = {0}, b[BLOCK] = {0};
    for (int64_t i = 0; i < n; i++) a[i] = clip(p[i]), b[i] = 1 - a[i];
    kern.log(n, a, a);
    kern.log(n, b, b);
    for (int64_t i = 0; i < n; i++) loss[i] = -(y[i] * a[i] + (1 - y[i]) * b[i]);
}

/* q^e for q in [0, 1], e >= 0 */
static void powers(int64_t n, const real *q, real e, real *y) {
    if (e > 0) {
        kern.log(n, q, y);
        kern.scale(n, e, y, y);
        kern.exp(n, y, y);
    } else {
        kern.fill(n, 1, y);
    }
}

/* Focal: w * q^gamma * bce with q = 1 - p_t = y + p - 2yp and w = y*alpha + (1-y)*(1-alpha); p = sigmoid(z). The
 * derivative, wanted when dz is given: w * (gamma * q^(gamma-1) * (1-2y) * p(1-p) * bce + q^gamma * (p - y)). */
static void focal(int64_t n, const loss_attr *a, const real *z, const real *y, real *loss, real *dz) {
    real p[BLOCK], q[BLOCK], factor[BLOCK], slope[BLOCK];
    kern.act(n, GEMM_SIGMOID, z, p);
    for (int64_t i = 0; i < n; i++) q[i] = y[i] + p[i] - 2 * y[i] * p[i];
    for (int64_t i = 0; i < n; i++) q[i] = q[i] > (real)1e-30 ? q[i] : (real)1e-30;
    powers(n, q, a->gamma, factor);
    bce_logits(n, z, y, loss);
    if (dz) powers(n, q, a->gamma > 0 ? a->gamma : 1, slope);
    for (int64_t i = 0; i < n; i++) {
        real w = a->alpha < 0 ? 1 : y[i] * a->alpha + (1 - y[i]) * (1 - a->alpha);
        if (dz)
            dz[i] = w * (a->gamma * slope[i] / q[i] * (1 - 2 * y[i]) * p[i] * (1 - p[i]) * loss[i] +
                         factor[i] * (p[i] - y[i]));
        loss[i] = w * factor[i] * loss[i];
    }
}

static void losses(int64_t n, const loss_attr *a, const real *p, const real *target, real *loss) {
    real y[BLOCK];
    bool binary = a->kind == LOSS_SIGMOID_BCE || a->kind == LOSS_BCE || a->kind == LOSS_FOCAL;
    for (int64_t i = 0; i < n; i++) y[i] = binary ? smooth(a, target[i]) : target[i];
    switch (a->kind) {
    case LOSS_SIGMOID_BCE: bce_logits(n, p, y, loss); break;
    case LOSS_BCE: bce_probability(n, p, y, loss); break;
    case LOSS_FOCAL: focal(n, a, p, y, loss, NULL); break;
    case LOSS_MSE:
        for (int64_t i = 0; i < n; i++) loss[i] = (p[i] - y[i]) * (p[i] - y[i]);
        break;
    case LOSS_MAE:
        for (int64_t i = 0; i < n; i++) loss[i] = absolute(p[i] - y[i]);
        break;
    case LOSS_HUBER:
        for (int64_t i = 0; i < n; i++) {
            real e = absolute(p[i] - y[i]);
            loss[i] = e <= a->delta ? (real)0.5 * e * e : a->delta * e - (real)0.5 * a->delta * a->delta;
        }
        break;
    case LOSS_POISSON:
        for (int64_t i = 0; i < n; i++) loss[i] = p[i] + CLIP;
        kern.log(n, loss, loss);
        for (int64_t i = 0; i < n; i++) loss[i] = p[i] - y[i] * loss[i];
        break;
    case LOSS_SOFTMAX_CE:
    case LOSS_CE: assert(false && "a loss over classes"); break;
    }
}

static void derivatives(int64_t n, const loss_attr *a, const real *p, const real *target, real *d) {
    real y[BLOCK], unused[BLOCK];
    bool binary = a->kind == LOSS_SIGMOID_BCE || a->kind == LOSS_BCE || a->kind == LOSS_FOCAL;
    for (int64_t i = 0; i < n; i++) y[i] = binary ? smooth(a, target[i]) : target[i];
    switch (a->kind) {
    case LOSS_SIGMOID_BCE:
        kern.act(n, GEMM_SIGMOID, p, d);
        for (int64_t i = 0; i < n; i++) d[i] -= y[i];
        break;
    case LOSS_BCE: /* nothing flows where the clip holds */
        for (int64_t i = 0; i < n; i++)
            d[i] = p[i] < CLIP || p[i] > 1 - CLIP ? 0 : (1 - y[i]) / (1 - p[i]) - y[i] / p[i];
        break;
    case LOSS_FOCAL: focal(n, a, p, y, unused, d); break;
    case LOSS_MSE:
        for (int64_t i = 0; i < n; i++) d[i] = 2 * (p[i] - y[i]);
        break;
    case LOSS_MAE:
        for (int64_t i = 0; i < n; i++) d[i] = p[i] > y[i] ? 1 : p[i] < y[i] ? -1 : 0;
        break;
    case LOSS_HUBER:
        for (int64_t i = 0; i < n; i++) {
            real e = p[i] - y[i];
            d[i] = e > a->delta ? a->delta : e < -a->delta ? -a->delta : e;
        }
        break;
    case LOSS_POISSON:
        for (int64_t i = 0; i < n; i++) d[i] = 1 - y[i] / (p[i] + CLIP);
        break;
    case LOSS_SOFTMAX_CE:
    case LOSS_CE: assert(false && "a loss over classes"); break;
    }
}

/* ROWS. Blocks start at each row's first element, except where rows are single numbers, so that vectors are full there
 * too. */
static void loss_forward(const op_run *r, int64_t lo, int64_t hi) {
    const loss_attr *a = r->node->attr;
    const real *p = r->in[0], *y = r->in[1];
    int64_t row = shape_row(r->in_shape[0]);
    real *out = r->out, part[BLOCK];
    for (int64_t i = lo; row == 1 && i < hi; i += BLOCK)
        losses(hi - i < BLOCK ? hi - i : BLOCK, a, p + i, y + i, out + i);
    for (int64_t b = lo; row > 1 && b < hi; b++) {
        real sum = 0;
        for (int64_t i = 0; i < row; i += BLOCK) {
            int64_t n = row - i < BLOCK ? row - i : BLOCK;
            losses(n, a, p + b * row + i, y + b * row + i, part);
            sum += kern.sum(n, part);
        }
        out[b] = sum / (real)row;
    }
}

static void loss_backward(const op_run *r, int64_t lo, int64_t hi) {
    const loss_attr *a = r->node->attr;
    int64_t row = shape_row(r->in_shape[0]), end = hi * row;
    for (int64_t i = lo * row; i < end; i += BLOCK) {
        int64_t n = end - i < BLOCK ? end - i : BLOCK;
        real *d = r->din[0] + i;
        derivatives(n, a, (const real *)r->in[0] + i, (const real *)r->in[1] + i, d);
        for (int64_t k = 0; k < n; k++) d[k] *= r->dout[(i + k) / row] / (real)row;
    }
}

/* ---- losses over classes ---- */

/* Smoothed target of class k at position i. */
static real class_target(const op_run *r, int64_t i, int64_t k, int64_t K) {
    const loss_attr *a = r->node->attr;
    const real *dense = r->in[1];
    const int32_t *numbers = r->in[1];
    bool sparse = r->in_shape[1]->rank < r->in_shape[0]->rank;
    real y = sparse ? (real)(numbers[i] == k) : dense[i * K + k];
    return y * (1 - a->label_smoothing) + a->label_smoothing / (real)K;
}

/* Loss of one position: sum_k y_k * (lse(z) - z_k), or -sum_k y_k * log(clip(p_k / sum p)); in class order. */
static real class_loss(const op_run *r, int64_t i, int64_t K) {
    const loss_attr *a = r->node->attr;
    const real *p = (const real *)r->in[0] + i * K;
    real loss = 0, lse = a->kind == LOSS_SOFTMAX_CE ? kern.log_sum_exp(K, p) : 0,
         sum = a->kind == LOSS_CE ? kern.sum(K, p) : 1;
    for (int64_t k = 0; k < K; k++) {
        real y = class_target(r, i, k, K), minus_log = lse - p[k];
        if (y == 0) continue;
        if (a->kind == LOSS_CE) {
            real share = clip(p[k] / sum);
            kern.log(1, &share, &minus_log);
            minus_log = -minus_log;
        }
        loss += y * minus_log;
    }
    return loss;
}

static void classes_forward(const op_run *r, int64_t lo, int64_t hi) {
    int64_t K = last_dim(r->in_shape[0]), inner = inner_of(r->in_shape[0]);
    for (int64_t b = lo; b < hi; b++) {
        real sum = 0;
        for (int64_t i = b * inner; i < (b + 1) * inner; i++) sum += class_loss(r, i, K);
        ((real *)r->out)[b] = sum / (real)inner;
    }
}

/* d = scale * (softmax(z) * sum(y) - y) */
static void classes_logits_grad(const op_run *r, int64_t i, int64_t K, real scale, real *d) {
    real total = 0;
    kern.softmax(K, (const real *)r->in[0] + i * K, d);
    for (int64_t k = 0; k < K; k++) total += class_target(r, i, k, K);
    for (int64_t k = 0; k < K; k++) d[k] = scale * (d[k] * total - class_target(r, i, k, K));
}

/* With s = sum p and q = p / s: d_k = -y_k / q_k / s where q is not clipped, and the sum's share, sum_j (y_j/q_j) q_j /
 * s, for all. */
static void classes_probability_grad(const op_run *r, int64_t i, int64_t K, real scale, real *d) {
    const real *p = (const real *)r->in[0] + i * K;
    real sum = kern.sum(K, p), share = 0;
    for (int64_t k = 0; k < K; k++) {
        real q = p[k] / sum, free = q < CLIP || q > 1 - CLIP ? 0 : class_target(r, i, k, K);
        d[k] = free > 0 ? -free / p[k] : 0;
        share += free;
    }
    for (int64_t k = 0; k < K; k++) d[k] = scale * (d[k] + share / sum);
}

static void classes_backward(const op_run *r, int64_t lo, int64_t hi) {
    const loss_attr *a = r->node->attr;
    int64_t K = last_dim(r->in_shape[0]), inner = inner_of(r->in_shape[0]);
    for (int64_t i = lo * inner; i < hi * inner; i++) {
        real scale = r->dout[i / inner] / (real)inner;
        if (a->kind == LOSS_SOFTMAX_CE)
            classes_logits_grad(r, i, K, scale, r->din[0] + i * K);
        else
            classes_probability_grad(r, i, K, scale, r->din[0] + i * K);
    }
}

/* ---- cases ---- */

static node_id case_of(graph *g, op_tester *t, loss_attr a, int64_t M, double low, double high) {
    node_id p = op_test_input(g, t, 2, (int64_t[]){g->batch, M}, low, high);
    return op_loss(g, &a, p, op_test_target(g, t, 2, (int64_t[]){g->batch, M}, 0, 1));
}
static node_id case_sigmoid(graph *g, op_tester *t) {
    return case_of(g, t, (loss_attr){.kind = LOSS_SIGMOID_BCE}, 1, -4, 4);
}
static node_id case_smooth(graph *g, op_tester *t) {
    return case_of(g, t, (loss_attr){.kind = LOSS_SIGMOID_BCE, .label_smoothing = (real)0.1}, 3, -4, 4);
}
static node_id case_bce(graph *g, op_tester *t) { return case_of(g, t, (loss_attr){.kind = LOSS_BCE}, 2, .05, .95); }
static node_id case_mse(graph *g, op_tester *t) { return case_of(g, t, (loss_attr){.kind = LOSS_MSE}, 300, -2, 2); }
static node_id case_mae(graph *g, op_tester *t) { return case_of(g, t, (loss_attr){.kind = LOSS_MAE}, 2, 1.1, 3); }
static node_id case_huber(graph *g, op_tester *t) {
    return case_of(g, t, (loss_attr){.kind = LOSS_HUBER, .delta = 1}, 4, -3, 3);
}
static node_id case_focal(graph *g, op_tester *t) {
    return case_of(g, t, (loss_attr){.kind = LOSS_FOCAL, .gamma = 2, .alpha = (real)0.25}, 2, -4, 4);
}
static node_id case_focal_plain(graph *g, op_tester *t) {
    return case_of(g, t, (loss_attr){.kind = LOSS_FOCAL, .gamma = 0, .alpha = -1}, 2, -4, 4);
}
static node_id case_poisson(graph *g, op_tester *t) {
    return case_of(g, t, (loss_attr){.kind = LOSS_POISSON}, 2, .5, 4);
}

static node_id classes_case(graph *g, op_tester *t, loss_kind kind, int64_t T, bool sparse, double low) {
    loss_attr a = {.kind = kind, .label_smoothing = T > 1 ? (real)0.2 : 0};
    int64_t dims[3] = {g->batch, T, 5};
    node_id p = op_test_input(g, t, 3, dims, low, 3);
    node_id y = sparse ? op_test_ids(g, t, 2, dims, 0, 5) : op_test_target(g, t, 3, dims, 0, 1);
    return op_loss(g, &a, p, y);
}
static node_id case_ce_sparse(graph *g, op_tester *t) { return classes_case(g, t, LOSS_SOFTMAX_CE, 1, true, -3); }
static node_id case_ce_dense(graph *g, op_tester *t) { return classes_case(g, t, LOSS_SOFTMAX_CE, 3, false, -3); }
static node_id case_ce_probability(graph *g, op_tester *t) { return classes_case(g, t, LOSS_CE, 1, true, .2); }
static node_id case_ce_smooth(graph *g, op_tester *t) { return classes_case(g, t, LOSS_CE, 2, false, .2); }

static const op_case cases[] = {{"sigmoid", case_sigmoid}, {"sigmoid, smoothed", case_smooth},
                                {"bce", case_bce},         {"mse, two blocks", case_mse},
                                {"mae", case_mae},         {"huber", case_huber},
                                {"focal", case_focal},     {"focal, gamma 0", case_focal_plain},
                                {"poisson", case_poisson}, {NULL, NULL}};
static const op_case class_cases[] = {{"softmax, class numbers", case_ce_sparse},
                                      {"softmax, smoothed sequence", case_ce_dense},
                                      {"probabilities, class numbers", case_ce_probability},
                                      {"probabilities, smoothed sequence", case_ce_smooth},
                                      {NULL, NULL}};

const op_def opdef_loss = {.name = "loss",
                           .min_in = 2,
                           .max_in = 2,
                           .reads_in = 3,
                           .shape = loss_shape,
                           .cost = loss_cost,
                           .forward = {{.kind = PASS_ROWS, .run = loss_forward}},
                           .backward = {{.kind = PASS_ROWS, .run = loss_backward, .writes = 1}},
                           .cases = cases};

const op_def opdef_loss_classes = {.name = "loss_classes",
                                   .min_in = 2,
                                   .max_in = 2,
                                   .reads_in = 3,
                                   .shape = classes_shape,
                                   .cost = loss_cost,
                                   .forward = {{.kind = PASS_ROWS, .run = classes_forward}},
                                   .backward = {{.kind = PASS_ROWS, .run = classes_backward, .writes = 1}},
                                   .cases = class_cases};
