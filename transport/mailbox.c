/* SPDX-License-Identifier: MIT */
/*
 * The only way into the loop from other threads. Invariant: a mail is in at most one box, and is
 * owned by whoever took it. The loop is woken only when the box was empty (a box that is not empty
 * already has a wake-up under way), so a burst costs one system call. Memory order comes from the
 * mutex, not from uv_async_send, whose fast path is a relaxed load.
 * Considered: a lock-free stack. It reverses arrival order and saves nothing measurable here.
 */
#include "transport/mailbox.h"

#include <assert.h>

static void on_wake(uv_async_t *wake)
{
    struct mailbox *box = wake->data;
    struct mail *list = mailbox_take(box);
    if (list)
        box->on_mail(box->ctx, list);
}

enum status mailbox_init(struct mailbox *m, uv_loop_t *loop,
                         void (*on_mail)(void *ctx, struct mail *list), void *ctx)
{
    *m = (struct mailbox){.on_mail = on_mail, .ctx = ctx};
    m->tail = &m->head;
    if (uv_mutex_init(&m->lock) != 0)
        return STATUS_UNAVAILABLE;
    if (uv_async_init(loop, &m->wake, on_wake) != 0) {
        uv_mutex_destroy(&m->lock);
        return STATUS_UNAVAILABLE;
    }
    m->wake.data = m;
    return STATUS_OK;
}

/* Any thread. */
void mailbox_push(struct mailbox *box, struct mail *m)
{
    m->next = NULL;
    uv_mutex_lock(&box->lock);
    bool was_empty = box->head == NULL;
    *box->tail = m;
    box->tail = &m->next;
    if (was_empty) /* under the lock: the box cannot be closed before the wake-up is out */
        uv_async_send(&box->wake);
    uv_mutex_unlock(&box->lock);
}

struct mail *mailbox_take(struct mailbox *box)
{
    uv_mutex_lock(&box->lock);
    struct mail *list = box->head;
    box->head = NULL;
    box->tail = &box->head;
    uv_mutex_unlock(&box->lock);
    return list;
}

static void on_close(uv_handle_t *handle)
{
    struct mailbox *box = handle->data;
    uv_mutex_destroy(&box->lock);
    box->on_closed(box->ctx);
}

void mailbox_close(struct mailbox *box, void (*on_closed)(void *ctx))
{
    assert(box->head == NULL);
    box->on_closed = on_closed;
    uv_close((uv_handle_t *)&box->wake, on_close);
}
