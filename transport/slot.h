/* SPDX-License-Identifier: MIT */
#ifndef PURSER_TRANSPORT_SLOT_H
#define PURSER_TRANSPORT_SLOT_H

#include "core/wire/wire.h"
#include "transport/outbuf.h"

/*
 * One request inside the service, from arrival until its reply is gone, whichever door it came in
 * by. The door owns it and embeds it in what it knows beside that. Loop thread.
 */
struct slot;

/* How a reply leaves: hold marks that it is written and waits, reply sends it. prompt: sending it
 * wakes no other thread, so it may as well go at once if it waits for nothing. bearer makes who the
 * bearer of the connection that the request came by, unless who is 0, and gives who was before: the
 * key with a limit on connections that was shown there last, as keyring_bearer numbers it; 0 =
 * none. */
struct slot_door {
    void (*hold)(struct slot *s);
    void (*reply)(struct slot *s);
    uint64_t (*bearer)(struct slot *s, uint64_t who);
    bool prompt;
};

/* A request as its door's threads have read it: any thread fills one, one at a time. */
struct arrival {
    struct message message; /* with STATUS_OK */
    struct problem problem; /* else */
    enum status status;
    bool done;
};
void arrival_read(struct arrival *r, const void *bytes, size_t n);
/* arrival_close accepts one that is not done. */
void arrival_close(struct arrival *r);

/* What may be asked for. */
enum purpose { PURPOSE_ROUTE, PURPOSE_FEEDBACK, PURPOSE_CONTROL };

struct slot {
    const struct slot_door *door;
    enum purpose purpose;
    const char *op;       /* of the purpose only this one; NULL = all */
    const char *key;      /* who asks, if the door was told beside the message; NULL = not */
    bool packed;          /* asked in MessagePack, so answered in it */
    struct arrival *read; /* of the request, when it is done; NULL: this door reads nothing */
    struct outbuf out;
};

/* slot_asked takes over the encoding of the request. slot_out gives where the reply is written;
 * what is JSON there though MessagePack was asked for (out.text.packed says) is turned into it at
 * last. */
void slot_asked(struct slot *s, const void *bytes, size_t n);
struct outbuf *slot_out(struct slot *s);
void slot_hold(struct slot *s);
void slot_reply(struct slot *s);

#endif
