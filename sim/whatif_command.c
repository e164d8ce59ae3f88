/* SPDX-License-Identifier: MIT */
/*
 * purser-sim whatif: what other weights, prices, models, policy or budget would do, from the log of
 * a store, also of a live one. The settings in force are those of the store's own state.
 */
#include "sim/whatif_command.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "core/encoding/text.h"
#include "core/router/router.h"
#include "sim/background.h"
#include "sim/setup.h"
#include "store/lookback.h"

enum { ROOM = 1 << 20, PATCH_MAX = 4096 };
static const double DAY_MS = 86400e3;

static bool show_progress(void *ctx, uint64_t done, uint64_t of)
{
    (void)ctx;
    fprintf(stderr, "\r%" PRIu64 " of %" PRIu64 " records%s", done, of, done >= of ? "\n" : "");
    return true;
}

/* ---- the change ---- */

/* Calls each item of a comma list. */
static enum status each(const char *list, struct params *p,
                        enum status (*one)(struct params *p, const char *item,
                                           struct problem *problem),
                        struct problem *problem)
{
    enum status s = STATUS_OK;
    while (list && *list && s == STATUS_OK) {
        char item[256];
        size_t n = strcspn(list, ",");
        if (n == 0 || n >= sizeof item)
            return problem_set(problem, STATUS_BAD_REQUEST, "", "an item of \"%.40s\" is not one",
                               list);
        memcpy(item, list, n);
        item[n] = '\0';
        s = one(p, item, problem);
        list += n + (list[n] == ',');
    }
    return s;
}

static enum status set_weight(struct params *p, const char *item, struct problem *problem)
{
    char assignment[300];
    snprintf(assignment, sizeof assignment, "objective.%s", item);
    return setup_set(p, assignment, problem);
}

/* A patch of one model that must exist: a new one would have no decisions to tell from. */
static enum status patch_model(struct params *p, const char *name, const char *members,
                               struct problem *problem)
{
    char patch[PATCH_MAX];
    struct text t = text_over(patch, sizeof patch);
    if (catalog_find(&p->catalog, name) < 0)
        return problem_set(problem, STATUS_UNKNOWN_MODEL, "", "the store has no model \"%s\"",
                           name);
    text_put(&t, "{\"models\":[{\"name\":");
    text_json_string(&t, name);
    text_printf(&t, ",%s}]}", members);
    return setup_text(p, patch, problem);
}

static enum status set_price(struct params *p, const char *item, struct problem *problem)
{
    char name[NAME_CAP], members[160], *end;
    const char *equals = strrchr(item, '=');
    if (!equals || equals == item || equals - item >= NAME_CAP)
        return problem_set(problem, STATUS_BAD_REQUEST, "", "--prices takes NAME=IN:OUT, not %s",
                           item);
    snprintf(name, sizeof name, "%.*s", (int)(equals - item), item);
    double in = strtod(equals + 1, &end), out = *end == ':' ? strtod(end + 1, &end) : -1;
    if (*end != '\0' || !(in >= 0) || !(out >= 0))
        return problem_set(problem, STATUS_BAD_REQUEST, "", "--prices takes NAME=IN:OUT, not %s",
                           item);
    snprintf(members, sizeof members, "\"usd_per_mtok_in\":%.9g,\"usd_per_mtok_out\":%.9g", in,
             out);
    return patch_model(p, name, members, problem);
}

static enum status withdraw(struct params *p, const char *item, struct problem *problem)
{
    return patch_model(p, item, "\"active\":false", problem);
}

static enum status change(const struct options *o, struct params *p, struct problem *problem)
{
    enum status s = o->config ? setup_file(p, o->config, problem) : STATUS_OK;
    for (int i = 0; s == STATUS_OK && i < o->n_sets; i++)
        s = setup_set(p, o->set[i], problem);
    if (s == STATUS_OK)
        s = each(o->weights, p, set_weight, problem);
    if (s == STATUS_OK)
        s = each(o->prices, p, set_price, problem);
    if (s == STATUS_OK)
        s = each(o->withdraw, p, withdraw, problem);
    if (s == STATUS_OK && o->policy) {
        char assignment[NAME_CAP + 16];
        snprintf(assignment, sizeof assignment, "policy.name=%s", o->policy);
        s = setup_set(p, assignment, problem);
    }
    if (o->budget >= 0)
        p->budget.usd_per_request = o->budget;
    return s;
}

/* ---- the question ---- */

/* The state that the store would start with: settings in force, and how much was learned. */
static enum status read_state(struct db *db, struct params *now, struct whatif_query *q,
                              struct learner **known_today, int64_t *clock_ms,
                              struct problem *problem)
{
    struct router_init init = {.max_open = 64};
    static struct learner_stats known; /* too big for the stack */
    db_init(db, &init);
    struct router *r = router_new(&init);
    enum status s = r ? db_recover(db, GENERATION_CURRENT, 0, r, NULL, NULL, problem)
                      : problem_set(problem, STATUS_UNAVAILABLE, "", "out of memory");
    if (s == STATUS_OK) {
        *now = *router_params(r);
        *clock_ms = router_clock(r);
        q->seed = init.seed;
        q->known = *known_today = router_known(r);
        if (q->known == NULL)
            s = problem_set(problem, STATUS_UNAVAILABLE, "", "out of memory");
        for (int a = 0; router_learner_stats(r, 0, &known) && a < now->catalog.n; a++)
            q->labels += known.quality_labels[a];
    }
    router_free(r);
    return s;
}

static enum status ask(const struct options *o, struct db *db, struct params side[2],
                       struct whatif_report *out, struct problem *problem)
{
    struct whatif *w = NULL;
    struct whatif_query q = {.now = &side[0], .then = &side[1], .rows = (size_t)o->rows};
    struct lookback look = {.go_on = isatty(STDERR_FILENO) || o->progress ? show_progress : NULL};
    int64_t clock_ms = 0;
    struct learner *known = NULL;
    enum status s = read_state(db, &side[0], &q, &known, &clock_ms, problem);
    side[1] = side[0];
    look.since_ms = o->days > 0 ? clock_ms - (int64_t)(o->days * DAY_MS) : 0;
    if (s == STATUS_OK)
        s = change(o, &side[1], problem);
    if (s == STATUS_OK)
        s = whatif_new(&q, &w, problem);
    if (s == STATUS_OK)
        s = lookback_run(db, &look, w, problem);
    if (s == STATUS_OK)
        s = whatif_report(w, out, problem);
    whatif_free(w);
    learner_drop(known);
    return s;
}

static enum status tell(const struct options *o, const struct whatif_report *r,
                        struct problem *problem)
{
    char *room = malloc(ROOM);
    if (!room)
        return problem_set(problem, STATUS_UNAVAILABLE, "", "out of memory");
    struct text t = text_over(room, ROOM);
    (o->json ? whatif_json : whatif_table)(&t, r);
    fputs(room, stdout);
    if (o->json)
        putchar('\n');
    free(room);
    return STATUS_OK;
}

int whatif_command(const struct options *o)
{
    struct problem problem = {0};
    struct db *db = NULL;
    struct params *side = calloc(2, sizeof *side);
    struct whatif_report *report = malloc(sizeof *report);
    if (!o->store) {
        free(side);
        free(report);
        return options_refuse("whatif needs --store DIR", NULL);
    }
    if (!o->full_speed)
        background_run(o->store); /* a live service comes first */
    enum status s = !side || !report
                        ? problem_set(&problem, STATUS_UNAVAILABLE, "", "out of memory")
                        : db_open(o->store, &(struct db_options){.read_only = true}, &db, &problem);
    if (s == STATUS_OK)
        s = ask(o, db, side, report, &problem);
    if (s == STATUS_OK)
        s = tell(o, report, &problem);
    int code = EXIT_FAILURE;
    if (s == STATUS_OK)
        code = report->floor == WHATIF_BROKEN ? EXIT_GATE : EXIT_SUCCESS;
    else
        fprintf(stderr, "purser-sim: %s: %s%s%s\n", o->store, problem.path,
                problem.path[0] ? ": " : "", problem.text);
    db_close(db);
    free(report);
    free(side);
    return code;
}
