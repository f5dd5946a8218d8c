/* clock - monotonic seconds for rates and the log; never part of a result. */
#ifndef SOUK_BASE_CLOCK_H
#define SOUK_BASE_CLOCK_H

#include <stdint.h>

double clock_seconds(void);                 /* monotonic */
double clock_cpu_seconds(void);             /* CPU time of this process */
int64_t clock_peak_memory(void);            /* peak resident bytes of this process (VmHWM) */
/* "2026-11-24T09:30:00Z", for logs only. dst holds 24. */
void clock_utc(char dst[24]);

#endif
