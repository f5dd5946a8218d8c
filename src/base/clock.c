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
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/num.h"

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

/* A limit in a file of the cgroup's; SIZE_MAX where there is none ("max", no such file). */
static size_t memory_limit(const char *path) {
    char *text;
    size_t n;
    int64_t limit = 0;
    if (!fs_exists(path) || fs_read_all(path, 64, &text, &n, NULL) != SOUK_OK) return SIZE_MAX;
    bool is_number = num_parse_int64(text, strcspn(text, "\n"), &limit);
    mem_free(text);
    return is_number && limit > 0 ? (size_t)limit : SIZE_MAX;
}

souk_status clock_memory_check(size_t need, const char *what, souk_error *err) {
    static const size_t always = (size_t)1 << 28; /* a quarter of a GiB: nobody needs to look */
    if (need <= always) return SOUK_OK;
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGE_SIZE);
    size_t most = SIZE_MAX, v2 = memory_limit("/sys/fs/cgroup/memory.max"),
           v1 = memory_limit("/sys/fs/cgroup/memory/memory.limit_in_bytes");
    if (pages <= 0 || page <= 0 || !size_mul((size_t)pages, (size_t)page, &most)) most = SIZE_MAX;
    most = v2 < most ? v2 : most;
    most = v1 < most ? v1 : most;
    size_t live = (size_t)mem_live_bytes();
    if (need <= most && live <= most - need) return SOUK_OK;
    return err_set(err, SOUK_REFUSED,
                   "%s would need %zu MiB beside %zu MiB in use, and this machine has %zu MiB of memory: use a smaller "
                   "batch_size, maxlen, vocabulary or layer",
                   what, need >> 20, live >> 20, most >> 20);
}

void clock_utc(char dst[24]) {
    time_t now = time(NULL);
    struct tm t;
    if (!gmtime_r(&now, &t) || strftime(dst, 24, "%Y-%m-%dT%H:%M:%SZ", &t) == 0)
        memcpy(dst, "1970-01-01T00:00:00Z", 21);
}
