/* SPDX-License-Identifier: MIT */
/*
 * A parallel loop. One word holds which loop is on, how long it is and which index is next, so that
 * a thread takes an index and knows in one step whether it is one; it may then read what the loop
 * is about, since the caller begins no other before all indices are done. Whoever comes late finds
 * none left: nobody waits for a thread that the kernel has not woken yet, and with no processor
 * free the caller does it all. A thread with nothing to do looks for more for some microseconds,
 * the time between two requests under load, and then sleeps. Considered: a queue of what is to be
 * learned for each learner. It must be learned before the next decision of that learner, and most
 * requests have one in common, so threads would hand every message to and fro.
 */
#include "transport/hands.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <uv.h>

enum { LOOKS = 1000 }; /* some 20 us */

struct hands {
    struct parallel parallel; /* first: what the engine knows of it */
    _Atomic uint64_t word;    /* number of the loop << 32 | its length << 16 | next index */
    void (*job)(void *arg, int i);
    void *arg;
    _Atomic int left; /* indices not done */
    uv_mutex_t lock;
    uv_cond_t more;
    _Atomic int asleep;
    _Atomic bool ending;
    int threads; /* begun */
    uv_thread_t thread[HANDS_MOST - 1];
};

static int next_of(uint64_t word)
{
    return (int)(word & 0xffff);
}

static int length_of(uint64_t word)
{
    return (int)(word >> 16 & 0xffff);
}

static bool any_left(struct hands *h)
{
    uint64_t word = atomic_load(&h->word);
    return next_of(word) < length_of(word);
}

static void look_again(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

/* Takes indices until there are none left. A thread overshoots by one at most, so next stays small.
 */
static void work(struct hands *h)
{
    while (any_left(h)) {
        uint64_t word = atomic_fetch_add(&h->word, 1);
        if (next_of(word) >= length_of(word))
            return;
        h->job(h->arg, next_of(word));
        atomic_fetch_sub(&h->left, 1);
    }
}

static void share(struct parallel *parallel, int n, void (*job)(void *arg, int i), void *arg)
{
    struct hands *h = (struct hands *)parallel;
    assert(n >= 0 && n < 0x8000);
    uint64_t loop = (atomic_load(&h->word) >> 32) + 1;
    h->job = job;
    h->arg = arg;
    atomic_store(&h->left, n);
    atomic_store(&h->word, loop << 32 | (uint64_t)n << 16);
    if (atomic_load(&h->asleep) > 0) {
        uv_mutex_lock(&h->lock);
        uv_cond_broadcast(&h->more);
        uv_mutex_unlock(&h->lock);
    }
    work(h);
    while (atomic_load(&h->left) > 0)
        look_again();
}

static void sleep_until_more(struct hands *h)
{
    uv_mutex_lock(&h->lock);
    atomic_fetch_add(&h->asleep, 1); /* before the look: share sees one of the two */
    while (!any_left(h) && !atomic_load(&h->ending))
        uv_cond_wait(&h->more, &h->lock);
    atomic_fetch_sub(&h->asleep, 1);
    uv_mutex_unlock(&h->lock);
}

static void stand_by(void *arg)
{
    struct hands *h = arg;
    while (!atomic_load(&h->ending)) {
        work(h);
        for (int i = 0; i < LOOKS && !any_left(h); i++)
            look_again();
        if (!any_left(h))
            sleep_until_more(h);
    }
}

struct hands *hands_new(int threads)
{
    struct hands *h = calloc(1, sizeof *h);
    if (!h)
        return NULL;
    h->parallel.each = share;
    if (uv_mutex_init(&h->lock) != 0) {
        free(h);
        return NULL;
    }
    if (uv_cond_init(&h->more) != 0) {
        uv_mutex_destroy(&h->lock);
        free(h);
        return NULL;
    }
    int wanted = threads < HANDS_MOST ? threads - 1 : HANDS_MOST - 1;
    while (h->threads < wanted && uv_thread_create(&h->thread[h->threads], stand_by, h) == 0)
        h->threads++; /* with fewer it is slower, nothing else */
    return h;
}

void hands_free(struct hands *h)
{
    if (!h)
        return;
    uv_mutex_lock(&h->lock);
    atomic_store(&h->ending, true);
    uv_cond_broadcast(&h->more);
    uv_mutex_unlock(&h->lock);
    for (int i = 0; i < h->threads; i++)
        uv_thread_join(&h->thread[i]);
    uv_cond_destroy(&h->more);
    uv_mutex_destroy(&h->lock);
    free(h);
}

struct parallel *hands_parallel(struct hands *h)
{
    return &h->parallel;
}

int hands_wanted(int processors)
{
    int n = processors - 2;
    return n < 1 ? 1 : n > 4 ? 4 : n;
}
