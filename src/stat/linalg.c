/* linalg - Householder QR in double, written out so that its bits are the same everywhere.
 *
 * Only + - * / and sqrt are used, all correctly rounded by IEEE 754, and every sum runs over rows from top to bottom:
 * the orthogonal initialiser (nn/init.c) gets the same weights on every machine and instruction set. No library is
 * called, because LAPACK's blocking changes the order of the sums. Golub & Van Loan, Matrix Computations,
 * algorithms 5.1.1 and 5.1.6.
 *
 * Invariant: column j of the work matrix holds the reflector v_j in rows j..m-1 (unscaled, v_j' v_j = norm2[j]), and R
 * above. */
#include "stat/linalg.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"

/* a[begin..m-1, column] -= v * (2 v'x / v'v), where v is column k of w. */
static void reflect(double *a, int64_t a_width, int64_t column, const double *w, int64_t w_width, int64_t k, int64_t m,
                    double norm2) {
    double dot = 0;
    for (int64_t i = k; i < m; i++) dot += w[i * w_width + k] * a[i * a_width + column];
    double scale = 2 * dot / norm2;
    for (int64_t i = k; i < m; i++) a[i * a_width + column] -= scale * w[i * w_width + k];
}

/* Replaces column k of w, rows k.., by its reflector, and returns the diagonal element of R (norm2 0: nothing to
 * reflect). */
static double make_reflector(double *w, int64_t m, int64_t n, int64_t k, double *norm2) {
    double largest = 0;
    for (int64_t i = k; i < m; i++) {
        double x = fabs(w[i * n + k]);
        if (x > largest) largest = x;
    }
    *norm2 = 0;
    if (largest == 0) return 0;
    double sum = 0; /* scaled by the largest element, so that squares neither overflow nor vanish */
    for (int64_t i = k; i < m; i++) {
        double x = w[i * n + k] / largest;
        sum += x * x;
    }
    double norm = sqrt(sum) * largest, first = w[k * n + k];
    double diagonal = first > 0 ? -norm : norm; /* the sign that avoids cancellation in first - diagonal */
    for (int64_t i = k; i < m; i++) w[i * n + k] /= largest;
    w[k * n + k] = (first - diagonal) / largest;
    for (int64_t i = k; i < m; i++) *norm2 += w[i * n + k] * w[i * n + k];
    return diagonal;
}

souk_status linalg_qr(int64_t m, int64_t n, const double *a, double *q, double *r, souk_error *err) {
    if (n < 1 || m < n) {
        return err_set(err, SOUK_USAGE, "QR needs at least as many rows as columns, and one column; got %lld x %lld",
                       (long long)m, (long long)n);
    }
    size_t size;
    if (!size_mul((size_t)m, (size_t)n, &size)) return err_nomem(err, "factorising a matrix");
    for (size_t i = 0; i < size; i++) {
        if (!isfinite(a[i])) return err_set(err, SOUK_NUMERIC, "QR needs finite numbers; element %zu is %g", i, a[i]);
    }
    double *w = mem_array(size, sizeof *w), *side = mem_array((size_t)n, 2 * sizeof *side);
    if (!w || !side) {
        mem_free(w);
        mem_free(side);
        return err_nomem(err, "factorising a matrix");
    }
    double *diagonal = side, *norm2 = side + n;
    memcpy(w, a, size * sizeof *w);
    for (int64_t k = 0; k < n; k++) {
        diagonal[k] = make_reflector(w, m, n, k, &norm2[k]);
        if (norm2[k] == 0) continue;
        for (int64_t j = k + 1; j < n; j++) reflect(w, n, j, w, n, k, m, norm2[k]);
    }
    /* Q = H_0 … H_{n-1} applied to the first n columns of the identity, each column's sign turned so that diag(R) >= 0.
     */
    for (int64_t i = 0; i < m; i++) {
        for (int64_t j = 0; j < n; j++) q[i * n + j] = i != j ? 0 : diagonal[j] < 0 ? -1 : 1;
    }
    for (int64_t k = n - 1; k >= 0; k--) {
        if (norm2[k] == 0) continue;
        for (int64_t j = k; j < n; j++) reflect(q, n, j, w, n, k, m, norm2[k]);
    }
    for (int64_t i = 0; r && i < n; i++) {
        double sign = diagonal[i] < 0 ? -1 : 1;
        for (int64_t j = 0; j < n; j++) r[i * n + j] = j < i ? 0 : sign * (j == i ? diagonal[i] : w[i * n + j]);
    }
    mem_free(w);
    mem_free(side);
    return SOUK_OK;
}
