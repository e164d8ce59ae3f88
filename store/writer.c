/* SPDX-License-Identifier: MIT */
/*
 * The writer: a thread that sleeps until it is handed a batch, commits it, and hands it back. Two
 * words cross between the threads, `todo` and `done`, both under the mutex: memory order comes from
 * it, never from uv_async_send, whose fast path is a relaxed load. `busy` belongs to the loop
 * alone. A batch is always in exactly one place: with the loop, in todo, in the thread's hand, in
 * done. Rejected: a queue of batches (more than one in flight buys nothing: commits are serial, and
 * what piles up meanwhile rides in the other batch); uv_queue_work (its threads change, an LMDB
 * write transaction and its fsync would queue behind name look-ups and files).
 */
#include "store/writer.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct writer {
    struct db *db;
    uv_thread_t thread;
    uv_async_t async; /* wakes the loop: done is set */
    uv_mutex_t mutex;
    uv_cond_t cond;            /* wakes the thread: todo or stop is set */
    struct batch *todo, *done; /* under mutex */
    bool stop;                 /* under mutex */
    enum status status;        /* of done, under mutex */
    struct problem problem;
    bool busy; /* loop thread */
    void (*on_done)(void *ctx, struct batch *b, enum status s, const struct problem *problem);
    void (*on_closed)(void *ctx);
    void *done_ctx, *closed_ctx;
};

/* Writer thread. Waits for the next batch; NULL = stop. */
static struct batch *take(struct writer *w)
{
    uv_mutex_lock(&w->mutex);
    while (w->todo == NULL && !w->stop)
        uv_cond_wait(&w->cond, &w->mutex);
    struct batch *b = w->todo;
    w->todo = NULL;
    uv_mutex_unlock(&w->mutex);
    return b;
}

/* Writer thread. Gives a batch back to the loop. */
static void give(struct writer *w, struct batch *b, enum status s, const struct problem *problem)
{
    uv_mutex_lock(&w->mutex);
    assert(w->done == NULL);
    w->done = b;
    w->status = s;
    w->problem = *problem;
    uv_mutex_unlock(&w->mutex);
    uv_async_send(&w->async);
}

/* Writer thread. */
static void run(void *arg)
{
    struct writer *w = arg;
    for (struct batch *b = take(w); b != NULL; b = take(w)) {
        struct problem problem = {0};
        enum status s = db_commit(w->db, b, &problem);
        give(w, b, s, &problem);
    }
}

/* Loop thread. Wake-ups may be merged or spurious: done tells whether there is anything. */
static void on_async(uv_async_t *async)
{
    struct writer *w = async->data;
    uv_mutex_lock(&w->mutex);
    struct batch *b = w->done;
    enum status s = w->status;
    struct problem problem = w->problem;
    w->done = NULL;
    uv_mutex_unlock(&w->mutex);
    if (b == NULL)
        return;
    assert(w->busy);
    w->busy = false; /* before the callback, which may submit the next one */
    w->on_done(w->done_ctx, b, s, &problem);
}

static void on_close(uv_handle_t *handle)
{
    struct writer *w = handle->data;
    void (*on_closed)(void *ctx) = w->on_closed;
    void *ctx = w->closed_ctx;
    free(w);
    if (on_closed != NULL)
        on_closed(ctx);
}

/* Starts everything but the async handle, which must be last: it can only be closed by the loop. */
static int start_locks(struct writer *w)
{
    int rc = uv_mutex_init(&w->mutex);
    if (rc != 0)
        return rc;
    rc = uv_cond_init(&w->cond);
    if (rc != 0)
        uv_mutex_destroy(&w->mutex);
    return rc;
}

static void stop_locks(struct writer *w)
{
    uv_cond_destroy(&w->cond);
    uv_mutex_destroy(&w->mutex);
}

enum status writer_start(uv_loop_t *loop, struct db *db,
                         void (*on_done)(void *ctx, struct batch *b, enum status s,
                                         const struct problem *problem),
                         void *ctx, struct writer **out, struct problem *problem)
{
    struct writer *w = calloc(1, sizeof *w);
    int rc = w != NULL ? start_locks(w) : UV_ENOMEM;
    if (rc != 0)
        goto no_locks;
    w->db = db;
    w->on_done = on_done;
    w->done_ctx = ctx;
    w->async.data = w;
    rc = uv_async_init(loop, &w->async, on_async);
    if (rc != 0)
        goto no_async;
    rc = uv_thread_create(&w->thread, run, w);
    if (rc != 0)
        goto no_thread;
    *out = w;
    return STATUS_OK;
no_thread:
    stop_locks(w);
    uv_close((uv_handle_t *)&w->async, on_close); /* frees w */
    goto failed;
no_async:
    stop_locks(w);
no_locks:
    free(w);
failed:
    return problem_set(problem, STATUS_UNAVAILABLE, "", "cannot start the writer thread: %s",
                       uv_strerror(rc));
}

void writer_submit(struct writer *w, struct batch *b)
{
    assert(!w->busy && b != NULL);
    w->busy = true;
    uv_mutex_lock(&w->mutex);
    assert(w->todo == NULL && w->done == NULL && !w->stop);
    w->todo = b;
    uv_cond_signal(&w->cond);
    uv_mutex_unlock(&w->mutex);
}

bool writer_busy(const struct writer *w)
{
    return w->busy;
}

void writer_stop(struct writer *w, void (*on_closed)(void *ctx), void *ctx)
{
    assert(!w->busy);
    uv_mutex_lock(&w->mutex);
    w->stop = true;
    uv_cond_signal(&w->cond);
    uv_mutex_unlock(&w->mutex);
    int rc = uv_thread_join(&w->thread);
    assert(rc == 0);
    (void)rc;
    stop_locks(w);
    w->on_closed = on_closed;
    w->closed_ctx = ctx;
    uv_close((uv_handle_t *)&w->async, on_close);
}
