/* linalg - small dense problems in double: QR for the orthogonal initialiser, Cholesky, solves. Row-major. */
#ifndef SOUK_STAT_LINALG_H
#define SOUK_STAT_LINALG_H

#include <stdint.h>

#include "base/err.h"

/* Householder QR of a [m,n], m >= n: q [m,n] with orthonormal columns, signs so that diag(R) >= 0 (as the orthogonal
 * initialiser wants); r [n,n] may be NULL. Deterministic order; no library. */
souk_status linalg_qr(int64_t m, int64_t n, const double *a, double *q, double *r, souk_error *err);

#endif
