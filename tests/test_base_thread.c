/* test_base_thread - the pool under many sizes, callers and rounds; call-once; CPU quotas. Also run under TSan. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/cpus.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/thread.h"

enum { MOST = 2000 };

typedef struct job {
    int threads;
    int hits[MOST]; /* plain: each task has its own, and pool_run is the only synchronisation */
    atomic_int bad_worker;
} job;

static void hit(void *context, int64_t task, int worker) {
    job *j = context;
    if (worker < 0 || worker >= j->threads) atomic_store(&j->bad_worker, 1);
    j->hits[task]++;
}

static void every_task_runs_once(void **state) {
    (void)state;
    static const int64_t sizes[] = {0, 1, 2, 3, 7, 64, MOST};
    for (int threads = 1; threads <= 9; threads += 2) {
        pool *p = pool_new(threads);
        assert_non_null(p);
        static job j;
        memset(&j, 0, sizeof j);
        j.threads = pool_threads(p);
        assert_int_equal(j.threads, threads);
        int expected[MOST] = {0};
        for (int round = 0; round < 200; round++) {
            int64_t n = sizes[round % 7];
            pool_run(p, n, hit, &j);
            for (int64_t i = 0; i < n; i++) expected[i]++;
            assert_memory_equal(j.hits, expected, sizeof expected);
        }
        assert_int_equal(atomic_load(&j.bad_worker), 0);
        pool_free(p);
    }
    pool_free(NULL);
}

/* Many short jobs of changing size on more threads than CPUs: a thread that wakes up late, in the middle of the next
 * job's publication, must not take one of its tasks under the old number. */
static void late_threads_take_nothing(void **state) {
    (void)state;
    static const int64_t sizes[] = {2, 40, 3, 64, 2, 17};
    static job j;
    memset(&j, 0, sizeof j);
    pool *p = pool_new(7);
    assert_non_null(p);
    j.threads = pool_threads(p);
    int expected[64] = {0};
    for (int round = 0; round < 6000; round++) {
        int64_t n = sizes[round % 6];
        pool_run(p, n, hit, &j);
        for (int64_t i = 0; i < n; i++) expected[i]++;
    }
    assert_memory_equal(j.hits, expected, sizeof expected);
    pool_free(p);
}

/* What a file-scope mutex relies on. */
static void a_mutex_of_zeros_is_ready(void **state) {
    (void)state;
    static mutex zeros;
    mutex made;
    memset(&made, 0, sizeof made);
    mutex_init(&made);
    assert_memory_equal(&made, &zeros, sizeof made);
    mutex_clear(&made);
}

static void no_pool_runs_here(void **state) {
    (void)state;
    static job j = {.threads = 1};
    pool_run(NULL, 5, hit, &j);
    for (int i = 0; i < 5; i++) assert_int_equal(j.hits[i], 1);
    assert_int_equal(pool_threads(NULL), 1);
    pool *p = pool_new(0);
    assert_int_equal(pool_threads(p), thread_cpus());
    pool_free(p);
}

typedef struct caller {
    pool *pool;
    int64_t sum;
} caller;

static void add(void *context, int64_t task, int worker) {
    (void)worker;
    ((int64_t *)context)[task] = task + 1;
}

static void call_often(void *context) {
    caller *c = context;
    for (int round = 0; round < 300; round++) {
        int64_t parts[8] = {0};
        pool_run(c->pool, 8, add, parts);
        for (int i = 0; i < 8; i++) c->sum += parts[i];
    }
}

static void two_callers_share_a_pool(void **state) {
    (void)state;
    pool *p = pool_new(3);
    caller a = {p, 0}, b = {p, 0};
    thread *t = thread_start(call_often, &a);
    assert_non_null(t);
    call_often(&b);
    thread_join(t);
    assert_int_equal(a.sum, 300 * 36);
    assert_int_equal(b.sum, 300 * 36);
    pool_free(p);
}

/* pool_run inside a task of another pool is allowed; allocations are not made. */
static void run_inner(void *context, int64_t task, int worker) {
    (void)worker;
    caller *c = &((caller *)context)[task];
    int64_t parts[8] = {0};
    pool_run(c->pool, 8, add, parts);
    for (int i = 0; i < 8; i++) c->sum += parts[i];
}

static void nested_pools_and_no_allocation(void **state) {
    (void)state;
    pool *outer = pool_new(2), *inner = pool_new(2);
    caller c[4] = {{inner, 0}, {inner, 0}, {inner, 0}, {inner, 0}};
    int64_t calls = mem_calls();
    pool_run(outer, 4, run_inner, c);
    assert_int_equal(mem_calls(), calls);
    for (int i = 0; i < 4; i++) assert_int_equal(c[i].sum, 36);
    pool_free(outer);
    pool_free(inner);
}

static void workers_that_parked_come_back(void **state) {
    (void)state;
    pool *p = pool_new(2);
    static job j = {.threads = 2};
    for (int round = 0; round < 30; round++) {
        pool_run(p, 40, hit, &j);
        for (volatile int spin = 0; spin < 200000; spin++) {
        } /* long enough that the worker parks on most machines */
    }
    for (int i = 0; i < 40; i++) assert_int_equal(j.hits[i], 30);
    pool_free(p);
}

static int once_state, once_calls;
static void count_once(void) { once_calls++; }
static void ask_once(void *context, int64_t task, int worker) {
    (void)task;
    (void)worker;
    thread_once(&once_state, count_once);
    if (once_calls != 1) atomic_store((atomic_int *)context, 1);
}

static void once_is_once(void **state) {
    (void)state;
    pool *p = pool_new(4);
    atomic_int wrong = 0;
    pool_run(p, 100, ask_once, &wrong);
    assert_int_equal(once_calls, 1);
    assert_int_equal(atomic_load(&wrong), 0);
    pool_free(p);
}

typedef struct guarded {
    mutex lock;
    int64_t n;
} guarded;

static void count_guarded(void *context, int64_t task, int worker) {
    (void)task;
    (void)worker;
    guarded *g = context;
    mutex_lock(&g->lock);
    g->n++;
    mutex_unlock(&g->lock);
}

static void mutexes_exclude(void **state) {
    (void)state;
    pool *p = pool_new(4);
    guarded g = {.n = 0};
    mutex_init(&g.lock);
    pool_run(p, 1000, count_guarded, &g);
    assert_int_equal(g.n, 1000);
    mutex_clear(&g.lock);
    pool_free(p);
}

/* Quotas as the kernel shows them, in a tree of folders of our own. */
static void quotas_of_cgroups(void **state) {
    (void)state;
    static const char *const root = SOUK_SOURCE_DIR "/tests/ref/cgroup";
    char mount[512], file[600];
    static const struct {
        const char *name;
        int quota;
    } cases[] = {{"v2", 2}, {"v2_parent", 1}, {"v2_none", 0}, {"v1", 3}, {"v1_root", 4}, {"nothing", 0}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        snprintf(mount, sizeof mount, "%s/%s", root, cases[i].name);
        snprintf(file, sizeof file, "%s/proc_self_cgroup", mount);
        if (cpus_quota(file, mount) != cases[i].quota)
            fail_msg("%s: %d, not %d", cases[i].name, cpus_quota(file, mount), cases[i].quota);
    }
    assert_true(cpus_allowed("/nowhere", "/nowhere") >= 1);
    assert_true(thread_cpus() >= 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_task_runs_once),
                                       cmocka_unit_test(no_pool_runs_here),
                                       cmocka_unit_test(two_callers_share_a_pool),
                                       cmocka_unit_test(nested_pools_and_no_allocation),
                                       cmocka_unit_test(late_threads_take_nothing),
                                       cmocka_unit_test(a_mutex_of_zeros_is_ready),
                                       cmocka_unit_test(workers_that_parked_come_back),
                                       cmocka_unit_test(once_is_once),
                                       cmocka_unit_test(mutexes_exclude),
                                       cmocka_unit_test(quotas_of_cgroups)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
