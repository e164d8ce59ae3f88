/* SPDX-License-Identifier: MIT */
/*
 * The fold's lens: taking effect, changing. The log holds the lens itself, so replay needs no file.
 * A new lens does not start the learner again: what was learned of all other entries of x is
 * carried over exactly (ridge_reshape), the lens block starts from its prior and has to earn its
 * weight.
 *
 * Considered and not done: keeping the former learner to decide while a new one learns beside it.
 * It needs x under both schemas in every record, and with the sums carried over there is nothing
 * that the former would know better, but for its own lens block.
 */
#include <string.h>
#include "core/features/lens.h"
#include "core/router/router_state.h"

enum status router_shape(struct router *r, struct problem *problem)
{
    uint64_t schema = r->learner.schema;
    const struct lens *lens = r->lens->id ? r->lens : NULL;
    bool ok = learner_shape(&r->learner, &r->params, lens, r->clock_ms);
    if (ok && (schema != r->learner.schema || r->pending.stride != r->learner.d))
        ok = pending_reshape(&r->pending, r->learner.d);
    ok = ok && router_shape_learners(r);
    return ok ? STATUS_OK
              : problem_set(problem, STATUS_UNAVAILABLE, "", "out of memory while configuring");
}

enum status router_fits(const struct params *p, const struct lens *lens, struct problem *problem)
{
    struct layout layout = features_layout(p, lens->id ? lens : NULL);
    if (features_dim(&layout) <= DIM_MAX)
        return STATUS_OK;
    return problem_set(problem, STATUS_BAD_REQUEST, "/features",
                       "%d entries in all with the lens, at most %d are possible: make a dim_ "
                       "smaller, or use a lens of fewer dims",
                       features_dim(&layout), DIM_MAX);
}

enum status router_adopt_lens(struct router *r, const uint8_t *bytes, size_t n,
                              struct problem *problem)
{
    struct lens *next = r->next_lens;
    enum status s = STATUS_OK;
    if (n > 0)
        s = lens_load(bytes, n, next, problem);
    else
        memset(next, 0, sizeof *next);
    if (s == STATUS_OK)
        s = router_fits(&r->params, next, problem);
    if (s != STATUS_OK)
        return s;
    r->next_lens = r->lens;
    r->lens = next;
    r->lens_dirty = DIRTY_ALL;
    return router_shape(r, problem);
}

enum status router_set_lens(struct router *r, int64_t now_ms, const uint8_t *bytes, size_t n,
                            const char *origin, struct event *ev, struct problem *problem)
{
    if (n > LENS_BYTES_MAX)
        return problem_set(problem, STATUS_TOO_LARGE, "", "a lens has at most %d bytes",
                           LENS_BYTES_MAX);
    router_begin(r, now_ms, EVENT_LENS, ev);
    (void)strncpy(ev->lens.origin, origin, NAME_CAP - 1);
    ev->lens.origin[NAME_CAP - 1] = '\0';
    ev->lens.bytes = bytes;
    ev->lens.len = (uint32_t)n;
    return router_apply(r, ev, problem);
}
