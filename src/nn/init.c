/* init - Keras' initialisers, with the same bits on every machine.
 *
 * VarianceScaling (Glorot & Bengio 2010; He et al. 2015; LeCun et al. 1998) draws from a uniform of limit sqrt(3 s / n)
 * or from a normal of deviation sqrt(s / n) cut at two deviations, which is first divided by 0.8796… so that the cut
 * one has the variance asked for. Orthogonal (Saxe et al. 2014) is the Q of a standard normal matrix with at least as
 * many rows as columns, its columns signed so that diag(R) >= 0, transposed back where the parameter is wide.
 *
 * Leaves the choice of initialiser and key to net.c. Invariant: value i depends on the key and on i alone (orthogonal:
 * on the key and the shape); everything is computed in double and rounded once, so fp32 and double builds start from
 * the same numbers. */
#include "nn/init.h"

#include <math.h>

#include "base/mem.h"
#include "stat/linalg.h"

/* Standard deviation of a standard normal that is cut at -2 and 2. */
static const double CUT_NORMAL_DEVIATION = 0.87962566103423978;

void init_fans(int rank, const int64_t *dims, double *fan_in, double *fan_out) {
    double field = 1;
    for (int i = 0; i + 2 < rank; i++) field *= (double)dims[i];
    *fan_in = field * (double)dims[rank >= 2 ? rank - 2 : 0];
    *fan_out = field * (double)dims[rank - 1];
}

static void fill_constant(int64_t n, double value, real *out) {
    for (int64_t i = 0; i < n; i++) out[i] = (real)value;
}

/* [low, high) */
static void fill_uniform(rng_key key, int64_t n, double low, double high, real *out) {
    for (int64_t i = 0; i < n; i++) out[i] = (real)(low + (high - low) * rng_uniform(key, (uint64_t)i));
}

/* Draws beyond two deviations are drawn again; value i owns draws 64 i … 64 i + 63, so that no value moves another. */
static void fill_cut_normal(rng_key key, int64_t n, double mean, double deviation, real *out) {
    for (int64_t i = 0; i < n; i++) {
        double z;
        uint64_t draw = (uint64_t)i << 6;
        do z = rng_normal(key, draw++);
        while (fabs(z) > 2);
        out[i] = (real)(mean + deviation * z);
    }
}

static souk_status fill_orthogonal(rng_key key, int rank, const int64_t *dims, double gain, real *out,
                                   souk_error *err) {
    int64_t columns = dims[rank - 1], rows = 1; /* Keras flattens all axes but the last */
    for (int i = 0; i + 1 < rank; i++) rows *= dims[i];
    bool wide = rows < columns;
    int64_t m = wide ? columns : rows, n = wide ? rows : columns;
    size_t count;
    double *a = NULL, *q = NULL;
    souk_status status = SOUK_OK;
    if (size_mul((size_t)m, (size_t)n, &count)) {
        a = mem_array(count, sizeof *a);
        q = mem_array(count, sizeof *q);
    }
    if (!a || !q) {
        status = err_nomem(err, "drawing initial weights");
        goto done;
    }
    for (size_t i = 0; i < count; i++) a[i] = rng_normal(key, i);
    TRY_DONE(linalg_qr(m, n, a, q, NULL, err));
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++)
            out[i * columns + j] = (real)(gain * (wide ? q[j * n + i] : q[i * n + j]));
done:
    mem_free(a);
    mem_free(q);
    return status;
}

/* Scale s over n = fan_in or the mean of both fans. */
static void fill_scaled(rng_key key, int64_t n, double scale, double fan, bool uniform, real *out) {
    if (fan < 1) fan = 1;
    if (uniform) {
        double limit = sqrt(3 * scale / fan);
        fill_uniform(key, n, -limit, limit, out);
    } else {
        fill_cut_normal(key, n, 0, sqrt(scale / fan) / CUT_NORMAL_DEVIATION, out);
    }
}

souk_status init_values(const init_def *def, rng_key key, int rank, const int64_t *dims, real *values,
                        souk_error *err) {
    shape s = shape_make(rank, dims);
    int64_t n = shape_count(&s);
    double fan_in, fan_out;
    init_fans(rank, dims, &fan_in, &fan_out);
    double fan_mean = (fan_in + fan_out) / 2;
    switch (def->kind) {
    case INIT_ZEROS: fill_constant(n, 0, values); break;
    case INIT_ONES: fill_constant(n, 1, values); break;
    case INIT_CONSTANT: fill_constant(n, def->a, values); break;
    case INIT_UNIFORM: fill_uniform(key, n, def->a, def->b, values); break;
    case INIT_NORMAL:
        for (int64_t i = 0; i < n; i++) values[i] = (real)(def->a + def->b * rng_normal(key, (uint64_t)i));
        break;
    case INIT_TRUNCATED_NORMAL: fill_cut_normal(key, n, def->a, def->b, values); break;
    case INIT_GLOROT_UNIFORM: fill_scaled(key, n, 1, fan_mean, true, values); break;
    case INIT_GLOROT_NORMAL: fill_scaled(key, n, 1, fan_mean, false, values); break;
    case INIT_HE_UNIFORM: fill_scaled(key, n, 2, fan_in, true, values); break;
    case INIT_HE_NORMAL: fill_scaled(key, n, 2, fan_in, false, values); break;
    case INIT_LECUN_UNIFORM: fill_scaled(key, n, 1, fan_in, true, values); break;
    case INIT_LECUN_NORMAL: fill_scaled(key, n, 1, fan_in, false, values); break;
    case INIT_ORTHOGONAL: return fill_orthogonal(key, rank, dims, def->a > 0 ? def->a : 1, values, err);
    case INIT_LSTM_BIAS: {
        int64_t units = dims[rank - 1] / 4; /* blocks i, f, c, o */
        for (int64_t i = 0; i < n; i++) values[i] = i % (4 * units) / units == 1 ? (real)1 : (real)0;
        break;
    }
    }
    return SOUK_OK;
}
