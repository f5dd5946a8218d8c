/* thread - the only file that knows pthreads: a persistent pool, mutexes, call-once, plain threads.
 *
 * A job is published as `ticket` = (epoch << 32 | next task). Whoever is free takes the next task by compare-and-swap
 * on both halves, so a thread that comes late, or wakes up two jobs later, can neither take a task twice nor one of a
 * job that is over; the caller is one of the takers, so nobody waits for a thread that has not been scheduled.
 *
 *     caller:  ticket(epoch+1, closed) -> job fields -> ticket(epoch+1, 0) -> wake the parked -> take tasks -> wait
 *              until done == n
 *     worker:  wait for a new epoch -> take tasks -> done += taken -> wake the caller if it was the last
 *
 * Waiting is pause for a few microseconds, then sched_yield for some more (gives the CPU to a neighbour who wants it),
 * then a futex. A worker that the scheduler takes off its CPU in the middle of a task holds the job up for
 * milliseconds; where a job waited longer than it would have taken alone, the caller works alone for a while (20 ms,
 * doubling to 320) before it asks for help again: beside a busy neighbour one core's speed is safe, two are not to be
 * had. Invariant: the job's fields change only when done == n and the old epoch has left the ticket, so a successful
 * swap on a job's ticket proves that the fields read before belong to it. */
#include "base/thread.h"

#include <assert.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/cpus.h"
#include "base/mem.h"

typedef void (*task_fn)(void *context, int64_t task, int worker);

/* How long a waiting thread stays awake. A worker waits longer: between two steps of a plan it should still be there.
 */
enum { SPIN_PAUSES = 60, CALLER_YIELD_NS = 20000, WORKER_YIELD_NS = 60000, TASKS_MAX = 1 << 30 };

/* A wait this long is a descheduled worker; how long the caller then works alone, the first time and at most. */
enum { STALL_NS = 1000000, ALONE_FIRST_NS = 20000000, ALONE_MOST_NS = 320000000 };

typedef struct worker {
    pool *owner;
    int index; /* 1 … threads - 1 */
    pthread_t id;
} worker;

struct pool {
    _Alignas(64) atomic_uint_fast64_t ticket; /* epoch << 32 | next task */
    _Alignas(64) atomic_uint epoch;           /* futex of the workers: the ticket's epoch */
    atomic_uint parked;                       /* workers inside futex_wait */
    atomic_bool stop;
    _Atomic(task_fn) fn;
    _Atomic(void *) context;
    atomic_uint n;
    atomic_int_fast64_t first;     /* number of the job's task 0, for more than TASKS_MAX tasks */
    _Alignas(64) atomic_uint done; /* futex of the caller */
    atomic_uint caller_parked;
    pthread_mutex_t callers;       /* one job at a time; guards the two below */
    int64_t alone_until, alone_ns; /* the caller works alone until then (0: never did), for that long */
    int threads;
    worker workers[];
};

static _Thread_local const pool *inside; /* the pool whose task this thread runs: catches reentrance */

/* ---- waiting ---- */

static void futex_wait(atomic_uint *word, unsigned expected) {
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, NULL, NULL, 0);
}

static void futex_wake(atomic_uint *word, int threads) {
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, threads, NULL, NULL, 0);
}

static inline void pause_cpu(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("yield");
#endif
}

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Stays awake while *word == value, yield_ns at most after the pauses. True: it changed. */
static bool wait_awake(atomic_uint *word, unsigned value, int64_t yield_ns) {
    for (int i = 0; i < SPIN_PAUSES; i++) {
        if (atomic_load_explicit(word, memory_order_acquire) != value) return true;
        pause_cpu();
    }
    int64_t end = now_ns() + yield_ns;
    do {
        sched_yield();
        for (int i = 0; i < 8; i++) {
            if (atomic_load_explicit(word, memory_order_acquire) != value) return true;
            pause_cpu();
        }
    } while (now_ns() < end);
    return false;
}

/* ---- the pool ---- */

/* Takes and runs tasks of job `epoch` until none is left; adds them to done and returns how many. The last thread of a
 * job wakes its caller. */
static unsigned take_tasks(pool *p, uint32_t epoch, int worker_index) {
    task_fn fn = atomic_load_explicit(&p->fn, memory_order_acquire);
    void *context = atomic_load_explicit(&p->context, memory_order_acquire);
    int64_t first = atomic_load_explicit(&p->first, memory_order_acquire);
    unsigned n = atomic_load_explicit(&p->n, memory_order_acquire), taken = 0;
    inside = p;
    uint_fast64_t ticket = atomic_load_explicit(&p->ticket, memory_order_acquire);
    while ((uint32_t)(ticket >> 32) == epoch && (uint32_t)ticket < n) {
        if (!atomic_compare_exchange_weak_explicit(&p->ticket, &ticket, ticket + 1, memory_order_acq_rel,
                                                   memory_order_acquire))
            continue;
        fn(context, first + (uint32_t)ticket, worker_index);
        taken++;
        ticket = atomic_load_explicit(&p->ticket, memory_order_acquire);
    }
    inside = NULL;
    if (taken == 0) return 0;
    /* Sequentially consistent against the caller's store to caller_parked: one of the two sees the other. */
    unsigned before = atomic_fetch_add(&p->done, taken);
    if (before + taken == n && atomic_load(&p->caller_parked)) futex_wake(&p->done, 1);
    return taken;
}

static void *worker_main(void *argument) {
    worker *w = argument;
    pool *p = w->owner;
    uint32_t seen = 0;
    while (true) {
        if (!wait_awake(&p->epoch, seen, WORKER_YIELD_NS)) {
            atomic_fetch_add(&p->parked, 1); /* before the kernel compares epoch: see publish */
            while (atomic_load(&p->epoch) == seen) futex_wait(&p->epoch, seen);
            atomic_fetch_sub(&p->parked, 1);
        }
        if (atomic_load(&p->stop)) return NULL;
        seen = atomic_load_explicit(&p->epoch, memory_order_acquire);
        take_tasks(p, seen, w->index);
    }
}

/* Makes the job visible and wakes as many parked workers as can be of use. */
static uint32_t publish(pool *p, int64_t first, unsigned n, task_fn fn, void *context) {
    uint32_t epoch = atomic_load_explicit(&p->epoch, memory_order_relaxed) + 1;
    /* Closed before any field changes: a thread that wakes up late with the old epoch and reads the new, larger n must
     * not find the old ticket, whose next number would then look like a task. */
    atomic_store_explicit(&p->ticket, (uint_fast64_t)epoch << 32 | UINT32_MAX, memory_order_relaxed);
    atomic_store_explicit(&p->done, 0, memory_order_relaxed);
    atomic_store_explicit(&p->fn, fn, memory_order_release);
    atomic_store_explicit(&p->context, context, memory_order_release);
    atomic_store_explicit(&p->first, first, memory_order_release);
    atomic_store_explicit(&p->n, n, memory_order_release);
    atomic_store_explicit(&p->ticket, (uint_fast64_t)epoch << 32, memory_order_release);
    atomic_store(&p->epoch, epoch);
    if (atomic_load(&p->parked)) futex_wake(&p->epoch, n - 1 < INT_MAX ? (int)n - 1 : INT_MAX);
    return epoch;
}

/* True when it had to park. */
static bool wait_until_done(pool *p, unsigned n) {
    bool parked = false;
    unsigned done = atomic_load_explicit(&p->done, memory_order_acquire);
    while (done != n) {
        if (!wait_awake(&p->done, done, CALLER_YIELD_NS)) {
            parked = true;
            atomic_store(&p->caller_parked, 1);
            while ((done = atomic_load(&p->done)) != n) futex_wait(&p->done, done);
            atomic_store(&p->caller_parked, 0);
        }
        done = atomic_load_explicit(&p->done, memory_order_acquire);
    }
    return parked;
}

/* After a job in which the caller worked from `start` to `idle` on `own` of n tasks, and waited until now. A stall soon
 * after the last time alone doubles the next one. */
static void note_stall(pool *p, int64_t start, int64_t idle, unsigned own, unsigned n) {
    int64_t now = now_ns(), waited = now - idle;
    double by_itself = own ? (double)(idle - start) * n / own : 0;
    if (waited < STALL_NS || (double)waited < by_itself) return;
    bool again = p->alone_until && now - p->alone_until < 2 * p->alone_ns;
    p->alone_ns = !again ? ALONE_FIRST_NS : p->alone_ns * 2 < ALONE_MOST_NS ? p->alone_ns * 2 : ALONE_MOST_NS;
    p->alone_until = now + p->alone_ns;
}

static void run_together(pool *p, int64_t first, unsigned n, task_fn fn, void *context) {
    int64_t start = now_ns();
    uint32_t epoch = publish(p, first, n, fn, context);
    unsigned own = take_tasks(p, epoch, 0);
    int64_t idle = now_ns();
    if (wait_until_done(p, n)) note_stall(p, start, idle, own, n);
}

/* Runs tasks from `first` on here while help is not wanted, and the last one in any case; returns the next task. */
static int64_t run_alone(pool *p, int64_t first, int64_t n, task_fn fn, void *context) {
    inside = p;
    while (first < n && (first == n - 1 || (p->alone_until && now_ns() < p->alone_until))) fn(context, first++, 0);
    inside = NULL;
    return first;
}

void pool_run(pool *p, int64_t n, void (*fn)(void *context, int64_t task, int worker), void *context) {
    if (n <= 0) return;
    if (!p || p->threads == 1) {
        for (int64_t i = 0; i < n; i++) fn(context, i, 0);
        return;
    }
    assert(inside != p);
    pthread_mutex_lock(&p->callers);
    for (int64_t first = 0; (first = run_alone(p, first, n, fn, context)) < n;) {
        unsigned count = n - first < TASKS_MAX ? (unsigned)(n - first) : TASKS_MAX;
        run_together(p, first, count, fn, context);
        first += count;
    }
    pthread_mutex_unlock(&p->callers);
}

int pool_threads(const pool *p) { return p ? p->threads : 1; }

/* Signals go to the program's own threads: a worker must not run a host's handler. */
static bool start_quietly(pthread_t *id, void *(*fn)(void *), void *argument) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool started = pthread_create(id, NULL, fn, argument) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

pool *pool_new(int threads) {
    if (threads <= 0) threads = thread_cpus();
    size_t size;
    if (!size_mul((size_t)threads, sizeof(worker), &size) || !size_add(size, sizeof(pool), &size)) return NULL;
    pool *p = mem_aligned(size);
    if (!p) return NULL;
    memset(p, 0, size);
    p->threads = 1;
    pthread_mutex_init(&p->callers, NULL);
    for (int i = 1; i < threads; i++) {
        worker *w = &p->workers[i - 1];
        *w = (worker){.owner = p, .index = i};
        if (!start_quietly(&w->id, worker_main, w)) break; /* fewer threads: slower, the same results */
        p->threads++;
    }
    if (p->threads > 1 || threads == 1) return p;
    pool_free(p);
    return NULL;
}

void pool_free(pool *p) {
    if (!p) return;
    atomic_store(&p->stop, true);
    atomic_fetch_add(&p->epoch, 1);
    futex_wake(&p->epoch, INT_MAX);
    for (int i = 1; i < p->threads; i++) pthread_join(p->workers[i - 1].id, NULL);
    pthread_mutex_destroy(&p->callers);
    mem_free(p);
}

/* ---- the rest ---- */

_Static_assert(sizeof(mutex) >= sizeof(pthread_mutex_t), "mutex holds a pthread_mutex_t");
_Static_assert(_Alignof(mutex) >= _Alignof(pthread_mutex_t), "mutex holds a pthread_mutex_t");

static pthread_mutex_t *inner(mutex *m) { return (pthread_mutex_t *)(void *)m->opaque; }
void mutex_init(mutex *m) { pthread_mutex_init(inner(m), NULL); }
void mutex_clear(mutex *m) { pthread_mutex_destroy(inner(m)); }
void mutex_lock(mutex *m) { pthread_mutex_lock(inner(m)); }
void mutex_unlock(mutex *m) { pthread_mutex_unlock(inner(m)); }

/* *state: 0 not yet, 1 running, 2 done. */
void thread_once(int *state, void (*fn)(void)) {
    if (__atomic_load_n(state, __ATOMIC_ACQUIRE) == 2) return;
    int expected = 0;
    if (__atomic_compare_exchange_n(state, &expected, 1, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
        fn();
        __atomic_store_n(state, 2, __ATOMIC_RELEASE);
        return;
    }
    while (__atomic_load_n(state, __ATOMIC_ACQUIRE) != 2) sched_yield();
}

struct thread {
    pthread_t id;
    void (*fn)(void *context);
    void *context;
};

static void *thread_main(void *argument) {
    thread *t = argument;
    t->fn(t->context);
    return NULL;
}

thread *thread_start(void (*fn)(void *context), void *context) {
    thread *t = mem_alloc(sizeof *t);
    if (!t) return NULL;
    t->fn = fn;
    t->context = context;
    if (start_quietly(&t->id, thread_main, t)) return t;
    mem_free(t);
    return NULL;
}

void thread_join(thread *t) {
    if (!t) return;
    pthread_join(t->id, NULL);
    mem_free(t);
}

int thread_cpus(void) { return cpus_allowed("/proc/self/cgroup", "/sys/fs/cgroup"); }
