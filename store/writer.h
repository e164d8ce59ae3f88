/* SPDX-License-Identifier: MIT */
#ifndef PURSER_STORE_WRITER_H
#define PURSER_STORE_WRITER_H

#include <uv.h>
#include "store/batch.h"
#include "store/db.h"

/*
 * The thread that commits. One batch is in flight at a time: the loop submits it and must not touch
 * it until on_done gives it back on the loop thread.
 */
struct writer;

/* writer_start starts the thread over db (borrowed until writer_stop). on_done runs on the loop
 * thread. */
MUST_CHECK enum status writer_start(uv_loop_t *loop, struct db *db,
                                    void (*on_done)(void *ctx, struct batch *b, enum status s,
                                                    const struct problem *problem),
                                    void *ctx, struct writer **out, struct problem *problem);
/* writer_submit hands over a batch; none may be in flight. */
void writer_submit(struct writer *w, struct batch *b);
bool writer_busy(const struct writer *w);
/* writer_stop joins the thread; nothing may be in flight. The async handle closes on the loop
 * afterwards; on_closed runs when w is freed. */
void writer_stop(struct writer *w, void (*on_closed)(void *ctx), void *ctx);

#endif
