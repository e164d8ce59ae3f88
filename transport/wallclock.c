/* SPDX-License-Identifier: MIT */
/*
 * The wall clock may lie: an operator types a wrong year, a virtual machine wakes up in 1970. The
 * fold must not expire every open decision because of that. So:
 *   - ahead by at most 5 minutes: believed at once;
 *   - further ahead: logged, time goes on by the monotonic clock; believed once the jump has lasted
 *     an hour of monotonic time;
 *   - behind: time goes on at half the monotonic rate until the wall has caught up. It never stops,
 *     so forgetting and pacing go on, and it never goes back.
 * What a clock does while no service runs cannot be told from time that passed: it is believed, and
 * logged when it is more than a day, since time that the fold has seen never comes back.
 * Considered: monotonic time alone. Restarts would lose the relation to dates that people read.
 */
#include "transport/wallclock.h"

#include <time.h>
#include "transport/log.h"

void wallclock_init(struct wallclock *c, int64_t fold_ms, int64_t wall_ms, int64_t mono_ms)
{
    if (fold_ms > 0 && wall_ms - fold_ms > WALLCLOCK_GAP_MS)
        log_event(LOG_LEVEL_WARN, "clock_gap", "ahead_ms", LOG_NUMBER(wall_ms - fold_ms), "text",
                  "nothing was recorded for so long, or the clock was set meanwhile: windows of "
                  "budgets, reservations and deadlines go by it from here on",
                  "action", "if the clock is wrong: stop, set it, and go on from a backup", NULL);
    *c = (struct wallclock){.last_ms = fold_ms > wall_ms ? fold_ms : wall_ms,
                            .last_mono_ms = mono_ms};
}

/* Whether a wall this far ahead of what we expect is to be believed now. */
static bool confirmed(struct wallclock *c, int64_t ahead_ms, int64_t mono_ms)
{
    int64_t change = ahead_ms - c->jump_ms;
    if (c->jump_ms == 0 || change > WALLCLOCK_JUMP_MS || change < -WALLCLOCK_JUMP_MS) {
        c->jump_ms = ahead_ms;
        c->jump_mono_ms = mono_ms;
        log_event(LOG_LEVEL_WARN, "clock_jump", "ahead_ms", LOG_NUMBER(ahead_ms), "held_ms",
                  LOG_NUMBER(WALLCLOCK_CONFIRM_MS), NULL);
    }
    return mono_ms - c->jump_mono_ms >= WALLCLOCK_CONFIRM_MS;
}

static void report_backward(struct wallclock *c, int64_t behind_ms, int64_t mono_ms)
{
    if (behind_ms <= WALLCLOCK_JUMP_MS ||
        (c->back_mono_ms && mono_ms - c->back_mono_ms < WALLCLOCK_CONFIRM_MS))
        return;
    c->back_mono_ms = mono_ms;
    log_event(LOG_LEVEL_WARN, "clock_jump", "behind_ms", LOG_NUMBER(behind_ms), NULL);
}

int64_t wallclock_at(struct wallclock *c, int64_t wall_ms, int64_t mono_ms)
{
    int64_t passed = mono_ms > c->last_mono_ms ? mono_ms - c->last_mono_ms : 0;
    int64_t expected = c->last_ms + passed, now;
    if (wall_ms > expected + WALLCLOCK_JUMP_MS) {
        now = confirmed(c, wall_ms - expected, mono_ms) ? wall_ms : expected;
        if (now == wall_ms)
            log_event(LOG_LEVEL_WARN, "clock_accepted", "ahead_ms", LOG_NUMBER(wall_ms - expected),
                      NULL);
    } else if (wall_ms >= c->last_ms) {
        c->jump_ms = 0;
        now = wall_ms;
    } else {
        c->jump_ms = 0;
        report_backward(c, c->last_ms - wall_ms, mono_ms);
        if (passed < 2) /* keep what is too short to halve */
            return c->last_ms;
        now = c->last_ms + passed / 2;
    }
    c->last_ms = now;
    c->last_mono_ms = mono_ms;
    return now;
}

void wallclock_read(int64_t *wall_ms, int64_t *mono_ms)
{
    struct timespec w, m;
    clock_gettime(CLOCK_REALTIME, &w);
    clock_gettime(CLOCK_BOOTTIME, &m);
    *wall_ms = (int64_t)w.tv_sec * 1000 + w.tv_nsec / 1000000;
    *mono_ms = (int64_t)m.tv_sec * 1000 + m.tv_nsec / 1000000;
}

int64_t wallclock_now(struct wallclock *c)
{
    int64_t wall, mono;
    wallclock_read(&wall, &mono);
    return wallclock_at(c, wall, mono);
}
