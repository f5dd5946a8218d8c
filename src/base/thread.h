/* thread - the only file that knows pthreads: one persistent pool, mutexes, call-once.
 *
 * pool_run cuts work into numbered tasks; which worker takes which task is a race by design, so tasks must not care.
 * The caller is worker 0 and takes part. A waiting thread spins for some microseconds, then parks in the kernel, and a
 * free thread takes the tasks of a late one: a busy neighbour costs its share and no more. */
#ifndef SOUK_BASE_THREAD_H
#define SOUK_BASE_THREAD_H

#include <stdbool.h>
#include <stdint.h>

typedef struct pool pool;

/* CPUs this process may use: affinity mask and cgroup quota (v1 and v2), at least 1. */
int thread_cpus(void);
/* threads <= 0: thread_cpus(). 1 makes no thread. NULL: out of memory or no thread could be started. */
pool *pool_new(int threads);
void pool_free(pool *p);
int pool_threads(const pool *p); /* NULL counts as 1 */
/* Runs fn(context, task, worker) for task 0 … n-1, worker in [0, pool_threads). Returns when all are done.
 * p NULL runs them in order here. Not reentrant: a task may not call pool_run on the same pool. Allocates nothing.
 * Two threads may call it on one pool at once; the second waits. */
void pool_run(pool *p, int64_t n, void (*fn)(void *context, int64_t task, int worker), void *context);

/* Holds a pthread_mutex_t (thread.c asserts that it fits). One of zeros, as at file scope, is ready: on Linux that is
 * what mutex_init makes, and a test says so. */
typedef struct mutex {
    uint64_t opaque[8];
} mutex;
void mutex_init(mutex *m);
void mutex_clear(mutex *m);
void mutex_lock(mutex *m);
void mutex_unlock(mutex *m);

/* Runs fn once in the life of the process, however many threads ask; *state starts as 0 (static). */
void thread_once(int *state, void (*fn)(void));
/* A plain thread, for tests and readers-ahead. NULL: could not be started. */
typedef struct thread thread;
thread *thread_start(void (*fn)(void *context), void *context);
void thread_join(thread *t); /* waits and frees */

#endif
