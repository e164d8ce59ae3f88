/* SPDX-License-Identifier: MIT */
/*
 * Independent jobs spread over processes. Each worker takes the next index from a counter in
 * shared memory and writes into that job's own slot, so the outcome does not depend on who ran
 * what. fork rather than threads: jobs share the loaded table copy-on-write, a crash is one
 * worker's, and the engine need not be known to be free of statics. Workers never touch stdio and
 * leave by _exit; they die with their parent.
 */
#include "sim/run/crew.h"

#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "sim/background.h"

enum { WORKERS_MAX = 256 };

struct shared {
    atomic_int next, done;
    _Alignas(64) char results[];
};

int crew_cores(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return 1;
    int n = CPU_COUNT(&set);
    return n < 1 ? 1 : n;
}

static void work(struct shared *shared, int jobs, crew_job job, void *ctx, size_t size)
{
    for (;;) {
        int i = atomic_fetch_add(&shared->next, 1);
        if (i >= jobs)
            return;
        job(ctx, i, shared->results + (size_t)i * size);
        atomic_fetch_add(&shared->done, 1);
    }
}

static void run_here(const struct crew *crew, int jobs, crew_job job, void *ctx, char *results,
                     size_t size)
{
    for (int i = 0; i < jobs; i++) {
        job(ctx, i, results + (size_t)i * size);
        if (crew->progress != NULL)
            crew->progress(crew->progress_ctx, i + 1, jobs);
    }
}

/* Waits for all workers; polls only when somebody wants to see progress. */
static void wait_all(const struct crew *crew, const pid_t *pid, int n, struct shared *shared,
                     int jobs)
{
    int shown = 0;
    for (int i = 0; i < n; i++) {
        for (;;) {
            pid_t got = waitpid(pid[i], NULL, crew->progress == NULL ? 0 : WNOHANG);
            if (got == pid[i] || (got < 0 && errno != EINTR))
                break;
            int done = atomic_load(&shared->done);
            if (crew->progress == NULL)
                continue;
            if (done != shown)
                crew->progress(crew->progress_ctx, done, jobs);
            shown = done;
            nanosleep(&(struct timespec){.tv_nsec = 50 * 1000 * 1000}, NULL);
        }
    }
    if (crew->progress != NULL)
        crew->progress(crew->progress_ctx, atomic_load(&shared->done), jobs);
}

static void run_forked(const struct crew *crew, int jobs, crew_job job, void *ctx, size_t size,
                       struct shared *shared)
{
    pid_t pid[WORKERS_MAX], parent = getpid();
    int n = 0, workers = crew->workers < jobs ? crew->workers : jobs;
    for (int i = 0; i < workers && i < WORKERS_MAX; i++) {
        pid_t child = fork();
        if (child == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            background_go_on();
            if (getppid() == parent)
                work(shared, jobs, job, ctx, size);
            _exit(0);
        }
        if (child > 0)
            pid[n++] = child;
    }
    if (n == 0) /* no process to be had: slower, not wrong */
        work(shared, jobs, job, ctx, size);
    wait_all(crew, pid, n, shared, jobs);
}

enum status crew_run(const struct crew *crew, int jobs, crew_job job, void *ctx, void *results,
                     size_t size, struct problem *problem)
{
    assert(jobs >= 1 && crew->workers >= 1);
    memset(results, 0, (size_t)jobs * size);
    if (crew->workers == 1 || jobs == 1) {
        run_here(crew, jobs, job, ctx, results, size);
        return STATUS_OK;
    }
    size_t bytes = sizeof(struct shared) + (size_t)jobs * size;
    struct shared *shared =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return problem_set(problem, STATUS_INTERNAL, "", "out of memory");
    run_forked(crew, jobs, job, ctx, size, shared);
    bool complete = atomic_load(&shared->done) == jobs;
    memcpy(results, shared->results, (size_t)jobs * size);
    munmap(shared, bytes);
    if (!complete)
        return problem_set(problem, STATUS_INTERNAL, "", "a worker process died");
    return STATUS_OK;
}
