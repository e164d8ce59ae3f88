/* SPDX-License-Identifier: MIT */
#include "store/lookback.h"

enum { EVERY = 4096 };

struct walk {
    const struct lookback *look;
    struct whatif *whatif;
    uint64_t from, to;
    uint64_t config_seq; /* in force at the first decision; 0 = not seen */
    enum status status;
    struct problem *problem;
};

/* The first record at or after a time: times never go back along the log. */
static enum status find_time(struct db *db, int64_t since_ms, uint64_t *from, uint64_t to,
                             struct problem *problem)
{
    struct event e;
    uint64_t high = to + 1;
    while (*from < high) {
        uint64_t middle = *from + (high - *from) / 2;
        enum status s = db_read_event(db, middle, &e, problem);
        if (s != STATUS_OK)
            return s;
        if (e.time_ms < since_ms)
            *from = middle + 1;
        else
            high = middle;
    }
    return STATUS_OK;
}

static bool find_config(void *ctx, const struct event *e)
{
    struct walk *walk = ctx;
    if (e->kind == EVENT_DECIDED)
        walk->config_seq = e->decided.config_seq;
    return e->kind != EVENT_DECIDED && e->kind != EVENT_CONFIGURED;
}

static bool take(void *ctx, const struct event *e)
{
    struct walk *walk = ctx;
    const struct lookback *l = walk->look;
    walk->status = whatif_take(walk->whatif, e, walk->problem);
    if (walk->status == STATUS_OK && l->go_on && e->seq % EVERY == 0 &&
        !l->go_on(l->ctx, e->seq - walk->from, walk->to - walk->from + 1))
        walk->status = problem_set(walk->problem, STATUS_UNAVAILABLE, "", "it was given up");
    return walk->status == STATUS_OK;
}

static enum status scan(struct db *db, struct walk *walk, uint64_t from, uint64_t to)
{
    enum status s = db_scan(db, from, to, take, walk, walk->problem);
    return walk->status != STATUS_OK ? walk->status : s;
}

enum status lookback_run(struct db *db, const struct lookback *l, struct whatif *w,
                         struct problem *problem)
{
    struct db_info info;
    struct walk walk = {.look = l, .whatif = w, .status = STATUS_OK, .problem = problem};
    enum status s = db_info(db, &info, problem);
    if (s != STATUS_OK || info.last_seq == 0)
        return s;
    walk.from = info.first_seq;
    walk.to = info.last_seq;
    if (l->records > 0 && walk.to - walk.from >= l->records)
        walk.from = walk.to - l->records + 1;
    if (l->since_ms > 0)
        s = find_time(db, l->since_ms, &walk.from, walk.to, problem);
    if (s != STATUS_OK || walk.from > walk.to)
        return s;
    s = db_scan(db, walk.from, walk.to, find_config, &walk, problem);
    if (s == STATUS_OK && walk.config_seq >= info.first_seq && walk.config_seq < walk.from)
        s = scan(db, &walk, walk.config_seq, walk.config_seq);
    if (s == STATUS_OK)
        s = scan(db, &walk, walk.from, walk.to);
    if (s == STATUS_OK && l->go_on)
        l->go_on(l->ctx, walk.to - walk.from + 1, walk.to - walk.from + 1);
    return s;
}
