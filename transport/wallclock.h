/* SPDX-License-Identifier: MIT */
#ifndef PURSER_TRANSPORT_WALLCLOCK_H
#define PURSER_TRANSPORT_WALLCLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* Time for the fold: Unix milliseconds that only advance. */
enum {
    WALLCLOCK_JUMP_MS = 5 * 60 * 1000,      /* beyond this a step is not believed at once */
    WALLCLOCK_GAP_MS = 24 * 60 * 60 * 1000, /* at a start: since the last record, told of */
    WALLCLOCK_CONFIRM_MS = 60 * 60 * 1000,  /* how long it must last to be believed */
};

struct wallclock {
    int64_t last_ms;      /* last time given */
    int64_t last_mono_ms; /* when it was given */
    int64_t jump_ms;      /* offset of the jump under watch, 0 = none */
    int64_t jump_mono_ms; /* when it was first seen */
    int64_t back_mono_ms; /* when a backward jump was last reported, 0 = never */
};

/* wallclock_init starts at the greater of the fold's clock and the wall. */
void wallclock_init(struct wallclock *c, int64_t fold_ms, int64_t wall_ms, int64_t mono_ms);
/* wallclock_at gives the fold's time for these readings; never less than before. */
int64_t wallclock_at(struct wallclock *c, int64_t wall_ms, int64_t mono_ms);
/* wallclock_now reads both clocks. Monotonic time counts suspends (CLOCK_BOOTTIME), so that waking
 * up is not a jump. */
int64_t wallclock_now(struct wallclock *c);
void wallclock_read(int64_t *wall_ms, int64_t *mono_ms);

#endif
