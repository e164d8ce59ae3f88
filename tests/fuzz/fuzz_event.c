/* SPDX-License-Identifier: MIT */
/*
 * Records of the log, with a checksum that is put right so that what lies behind it is reached:
 * what is decoded encodes to the same bytes, is described within bounds, and is folded or refused
 * without a trace by a router that has lived a little.
 */
#include "tests/fuzz/fuzz.h"

#include <string.h>
#include "core/encoding/text.h"
#include "core/event/bytes.h"
#include "tests/fold_fx.h"

enum { CRC_LEN = 4 };

/* A router that has routed, learned, ticked and been changed. */
static struct fold *lived(void)
{
    struct fold *f = fold_new("{\"pools\":[{\"name\":\"p\",\"usd\":1,\"mode\":\"quantile\"}],"
                              "\"silence\":[{\"quality\":0.5,\"after_hours\":1}]}",
                              8);
    for (int i = 0; i < 40; i++) {
        uint64_t seq = fold_route(f, i & 1 ? "acme" : "globex", "sum");
        fold_follow(f);
        struct feedback report = fold_report(f, seq, i & 2 ? "judge" : "", i % 5 / 4.0);
        fold_feed(f, &report);
        fold_follow(f);
        f->now += 600000;
        if (i % 7 == 0)
            fold_tick(f);
    }
    fold_configure(f, "{\"objective\":{\"cost\":0.5}}");
    fold_follow(f);
    return f;
}

static struct fold *life(void)
{
    static struct fold *f;
    if (!f)
        f = lived();
    return f;
}

size_t fuzz_seed(int i, uint8_t *out, size_t cap)
{
    const struct fold *f = life();
    uint64_t seq = (uint64_t)i + 1;
    if (seq > f->n || f->len[seq] > cap)
        return 0;
    memcpy(out, f->record[seq], f->len[seq]);
    return f->len[seq];
}

/* A fresh router folds the record first; one that has lived, as its next. */
static void fold_in(struct event *e)
{
    static const struct router_init init = {.seed = 42, .max_open = 8};
    struct problem p = {0};
    struct router *fresh = router_new(&init);
    PROMISE(fresh);
    e->seq = 1;
    uint64_t before = snapshot_digest(fresh);
    if (router_apply(fresh, e, &p) == STATUS_OK)
        PROMISE(router_seq(fresh) == 1);
    else
        PROMISE(p.text[0] != '\0' && snapshot_digest(fresh) == before);
    router_free(fresh);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static uint8_t right[EVENT_BYTES_MAX], again[EVENT_BYTES_MAX];
    static struct event e;
    static char line[1 << 18];
    struct problem p = {0};
    if (n < CRC_LEN || n > sizeof right)
        return 0;
    memcpy(right, bytes, n);
    struct filler head = filler_over(right, CRC_LEN);
    put_u32(&head, crc32c(right + CRC_LEN, n - CRC_LEN, 0));
    if (event_decode(right, n, &e, &p) != STATUS_OK) {
        PROMISE(p.text[0] != '\0');
        return 0;
    }
    PROMISE(event_encode(&e, again, sizeof again) == n && memcmp(right, again, n) == 0);
    struct text t = text_over(line, sizeof line);
    event_describe(&e, &t);
    PROMISE(!t.full && t.len > 0);
    if (e.kind != EVENT_STARTED || e.started.max_open <= 4096) /* memory as configured, up to GiB */
        fold_in(&e);
    return 0;
}
