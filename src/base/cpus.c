/* cpus - how many CPUs this process may use.
 *
 * Two limits count: the affinity mask (taskset, cpuset) and the CPU quota of the cgroup (containers). A quota may be
 * set on any folder between the process' own cgroup and the root, so each is asked; inside a container the path in
 * /proc/self/cgroup often names a folder of the host, and the limit then sits in the mount's root.
 *     v2:  line "0::/PATH", file MOUNT/PATH/cpu.max: "QUOTA PERIOD" or "max PERIOD"
 *     v1:  line "4:cpu,cpuacct:/PATH", files MOUNT/cpu/PATH/cpu.cfs_quota_us (-1: none) and cpu.cfs_period_us
 * Whatever cannot be read sets no limit. 1.5 CPUs count as 2: the kernel throttles, and half a CPU is not wasted. */
#include "base/cpus.h"

#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/num.h"

/* The number in the word at *text (which moves behind it); false for "max" and anything else. */
static bool next_number(const char **text, int64_t *out) {
    const char *start = *text + strspn(*text, " \n");
    size_t n = strcspn(start, " \n");
    *text = start + n;
    return num_parse_int64(start, n, out);
}

static bool read_numbers(const char *path, int64_t *first, int64_t *second) {
    char *text;
    size_t n;
    if (!fs_exists(path) || fs_read_all(path, 4096, &text, &n, NULL) != SOUK_OK) return false;
    const char *at = text;
    bool ok = next_number(&at, first) && (!second || next_number(&at, second));
    mem_free(text);
    return ok;
}

static void lower_to(int *cpus, int64_t quota, int64_t period) {
    if (quota <= 0 || period <= 0) return;
    int64_t whole = (quota - 1) / period + 1;
    if (*cpus == 0 || whole < *cpus) *cpus = whole < 1 << 20 ? (int)whole : 1 << 20;
}

/* The quota of one folder. */
static void ask_folder(const char *folder, bool v2, int *cpus) {
    char path[1200];
    int64_t quota, period;
    if (v2) {
        snprintf(path, sizeof path, "%s/cpu.max", folder);
        if (read_numbers(path, &quota, &period)) lower_to(cpus, quota, period);
        return;
    }
    snprintf(path, sizeof path, "%s/cpu.cfs_quota_us", folder);
    if (!read_numbers(path, &quota, NULL)) return;
    snprintf(path, sizeof path, "%s/cpu.cfs_period_us", folder);
    if (read_numbers(path, &period, NULL)) lower_to(cpus, quota, period);
}

/* ROOT/PATH, then each folder above it, down to ROOT. */
static void ask_upwards(const char *root, const char *path, bool v2, int *cpus) {
    char folder[1100];
    size_t base = strlen(root), length = strlen(path);
    if (base + length >= sizeof folder) return;
    memcpy(folder, root, base);
    memcpy(folder + base, path, length + 1);
    while (strlen(folder) > base) {
        ask_folder(folder, v2, cpus);
        *strrchr(folder, '/') = '\0'; /* path starts with a slash, so there is one behind the root */
    }
    ask_folder(root, v2, cpus);
}

static bool has_word(const char *list, const char *word) {
    size_t n = strlen(word);
    for (const char *p = list; p; p = strchr(p, ',')) {
        if (*p == ',') p++;
        if (strncmp(p, word, n) == 0 && (p[n] == ',' || p[n] == '\0')) return true;
    }
    return false;
}

/* One line of /proc/self/cgroup: NUMBER:CONTROLLERS:/PATH. */
static void ask_line(char *line, const char *mount, int *cpus) {
    char *controllers = strchr(line, ':');
    char *path = controllers ? strchr(controllers + 1, ':') : NULL;
    if (!path || path[1] != '/') return;
    *path++ = '\0';
    controllers++;
    char root[512];
    if (*controllers == '\0') {
        ask_upwards(mount, path, true, cpus);
        snprintf(root, sizeof root, "%s/unified", mount);
        ask_upwards(root, path, true, cpus);
    } else if (has_word(controllers, "cpu")) {
        snprintf(root, sizeof root, "%s/cpu", mount); /* a link to "cpu,cpuacct" where the two are mounted together */
        ask_upwards(root, path, false, cpus);
    }
}

int cpus_quota(const char *proc_cgroup, const char *mount) {
    char *text;
    size_t n;
    int cpus = 0;
    if (fs_read_all(proc_cgroup, 1 << 16, &text, &n, NULL) != SOUK_OK) return 0;
    for (char *line = text, *next; line; line = next) {
        next = strchr(line, '\n');
        if (next) *next++ = '\0';
        ask_line(line, mount, &cpus);
    }
    mem_free(text);
    return cpus;
}

int cpus_allowed(const char *proc_cgroup, const char *mount) {
    cpu_set_t set[64]; /* 65,536 CPUs: no allocation needed */
    int cpus = 1, quota = cpus_quota(proc_cgroup, mount);
    if (sched_getaffinity(0, sizeof set, set) == 0) cpus = CPU_COUNT_S(sizeof set, set);
    if (quota > 0 && quota < cpus) cpus = quota;
    return cpus > 0 ? cpus : 1;
}
