/* SPDX-License-Identifier: MIT */
#ifndef PURSER_TRANSPORT_MAILBOX_H
#define PURSER_TRANSPORT_MAILBOX_H

#include <stdbool.h>
#include <uv.h>
#include "core/status.h"

/* From any thread to the loop: an intrusive list and a wake-up. */
struct mail {
    struct mail *next; /* NULL or the next in line; owned by the mailbox between push and take */
};

struct mailbox {
    uv_mutex_t lock;
    uv_async_t wake;
    struct mail *head, **tail;
    void (*on_mail)(void *ctx, struct mail *list);
    void (*on_closed)(void *ctx);
    void *ctx;
};

/* mailbox_init; on_mail runs on the loop thread with the whole list, in order of arrival, at least
 * once after each push. The mailbox must not move. */
MUST_CHECK enum status mailbox_init(struct mailbox *m, uv_loop_t *loop,
                                    void (*on_mail)(void *ctx, struct mail *list), void *ctx);
/* mailbox_push hands m over. Any thread; holds a mutex for a few instructions. */
void mailbox_push(struct mailbox *box, struct mail *m);
/* mailbox_take empties the box. Loop thread. */
struct mail *mailbox_take(struct mailbox *box);
/* mailbox_close: no producer may be left. on_closed runs on the loop; the box's memory must live
 * till then. */
void mailbox_close(struct mailbox *box, void (*on_closed)(void *ctx));

#endif
