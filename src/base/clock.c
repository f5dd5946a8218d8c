/* clock - time and memory of this process, for rates, progress and the log.
 *
 * Nothing here may reach a model or a metric: the same run gives the same file. Peak memory comes from VmHWM, because
 * getrusage's figure is inherited from the parent through exec (a small program started by a large one reads as large).
 * Leaves to others: dates in data (feat). */
#include "base/clock.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "base/fs.h"
#include "base/mem.h"

static double seconds_of(clockid_t id) {
    struct timespec t;
    if (clock_gettime(id, &t) != 0) return 0;
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double clock_seconds(void) { return seconds_of(CLOCK_MONOTONIC); }
double clock_cpu_seconds(void) { return seconds_of(CLOCK_PROCESS_CPUTIME_ID); }

int64_t clock_peak_memory(void) {
    char *text;
    size_t n;
    long long kib = -1;
    if (fs_read_all("/proc/self/status", 1 << 16, &text, &n, NULL) == SOUK_OK) {
        const char *line = strstr(text, "VmHWM:");
        if (!line || sscanf(line, "VmHWM: %lld", &kib) != 1) kib = -1;
        mem_free(text);
    }
    if (kib >= 0) return (int64_t)kib * 1024;
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (int64_t)usage.ru_maxrss * 1024 : 0;
}

void clock_utc(char dst[24]) {
    time_t now = time(NULL);
    struct tm t;
    if (!gmtime_r(&now, &t) || strftime(dst, 24, "%Y-%m-%dT%H:%M:%SZ", &t) == 0) memcpy(dst, "1970-01-01T00:00:00Z", 21);
}
