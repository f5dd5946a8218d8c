/* dmath - exp, log, sin and cos in double with the same bits on every machine.
 *
 * libm's results differ in the last bit between versions and processors; whatever ends in a model (initial weights,
 * schedules) is computed here instead. All stay below 2 ulp of the true value. */
#ifndef SOUK_BASE_DMATH_H
#define SOUK_BASE_DMATH_H

double dmath_exp(double x); /* inf above 709.79, 0 below -745.14 */
double dmath_log(double x); /* -inf at 0, nan below */
double dmath_sin(double x); /* |x| <= 2^30; nan beyond */
double dmath_cos(double x); /* |x| <= 2^30; nan beyond */

#endif
