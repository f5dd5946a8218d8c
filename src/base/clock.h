/* clock - time and memory of this process, for rates, the log and refusals; never part of a result. */
#ifndef SOUK_BASE_CLOCK_H
#define SOUK_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

double clock_seconds(void);      /* monotonic */
double clock_cpu_seconds(void);  /* CPU time of this process */
int64_t clock_peak_memory(void); /* peak resident bytes of this process (VmHWM) */
/* SOUK_REFUSED when `need` bytes for `what` ("the weights") are more than the machine's memory, or than its cgroup's
 * limit. Asked before large allocations: Linux hands out more than there is, and kills the program that uses it. */
souk_status clock_memory_check(size_t need, const char *what, souk_error *err);
/* "2026-11-24T09:30:00Z", for logs only. dst holds 24. */
void clock_utc(char dst[24]);

#endif
