/* SPDX-License-Identifier: MIT */
/* Feedback under way: when it arrives, and in which order. */
#include "sim/play/flight.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "bandit/repro.h"
#include "bandit/rng.h"

enum { DELAYS = 0x64656c61 };

bool delay_parse(const char *text, struct delay *out)
{
    static const char prefix[] = "exp:";
    char *end;
    bool random = strncmp(text, prefix, sizeof prefix - 1) == 0;
    const char *number = random ? text + sizeof prefix - 1 : text;
    long long mean = strtoll(number, &end, 10);
    bool seconds = end != number && *end == 's';
    end += seconds;
    *out = (struct delay){.mean = mean, .random = random, .seconds = seconds};
    return end != number && *end == '\0' && mean >= 0 && mean <= DELAY_MAX;
}

int64_t delay_draw(struct delay d, uint64_t seed, uint64_t index)
{
    if (!d.random)
        return d.mean;
    struct rng g = rng_stream(seed, DELAYS, index);
    return (int64_t)(-(double)d.mean * repro_log(1 - rng_uniform(&g)));
}

int64_t delay_due(struct delay d, uint64_t seed, int64_t step, int64_t now_ms, double answer_ms)
{
    int64_t late = delay_draw(d, seed, (uint64_t)step);
    if (!d.seconds)
        return step + late;
    return now_ms + late * 1000 + (answer_ms > 0 ? (int64_t)answer_ms : 0);
}

size_t delay_most(struct delay d, size_t n)
{
    return d.seconds ? n + 1 : (size_t)d.mean * (d.random ? DELAY_MOST : 1) + 1;
}

bool flight_init(struct flight *f, size_t cap)
{
    *f = (struct flight){.heap = calloc(cap, sizeof *f->heap), .cap = cap};
    return f->heap != NULL;
}

void flight_fini(struct flight *f)
{
    free(f->heap);
    *f = (struct flight){0};
}

static bool earlier(const struct outcome *a, const struct outcome *b)
{
    return a->due != b->due ? a->due < b->due : a->seq < b->seq;
}

void flight_push(struct flight *f, const struct outcome *o)
{
    assert(f->len < f->cap);
    size_t i = f->len++;
    for (size_t up = (i - 1) / 2; i > 0 && earlier(o, &f->heap[up]); up = (i - 1) / 2) {
        f->heap[i] = f->heap[up];
        i = up;
    }
    f->heap[i] = *o;
}

bool flight_pop(struct flight *f, int64_t now, struct outcome *out)
{
    if (f->len == 0 || f->heap[0].due > now)
        return false;
    *out = f->heap[0];
    struct outcome last = f->heap[--f->len];
    size_t i = 0;
    for (size_t down = 1; down < f->len; down = 2 * i + 1) {
        if (down + 1 < f->len && earlier(&f->heap[down + 1], &f->heap[down]))
            down++;
        if (!earlier(&f->heap[down], &last))
            break;
        f->heap[i] = f->heap[down];
        i = down;
    }
    f->heap[i] = last;
    return true;
}
