/* cpus - how many CPUs this process may use: the affinity mask, lowered by cgroup quotas. */
#ifndef SOUK_BASE_CPUS_H
#define SOUK_BASE_CPUS_H

/* proc_cgroup: the file "/proc/self/cgroup" or a copy; mount: the folder where the cgroup trees hang. At least 1. */
int cpus_allowed(const char *proc_cgroup, const char *mount);
/* The quota alone, rounded up to whole CPUs; 0: no quota. */
int cpus_quota(const char *proc_cgroup, const char *mount);

#endif
