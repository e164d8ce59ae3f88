/* SPDX-License-Identifier: MIT */
/*
 * What is wrong now is read off the state, so an alert goes when its cause does and a restart hides
 * none; only what was notable lately is remembered. Texts say what to do. Considered: thresholds of
 * their own. Whoever wants others has the metrics (docs/grafana/alerts.yml).
 */
#include "transport/control/control_alerts.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include "core/budget/pools.h"

enum { LISTED_MOST = 100, POOLS_LOOKED_AT = 20000, TEXT_CAP = 400 };
static const double nearly = 0.9; /* of a cap, from which it is told of */

enum level { LEVEL_ERROR, LEVEL_WARN, LEVEL_INFO, LEVELS };
static const char *const level_name[LEVELS] = {"error", "warn", "info"};

struct alerts {
    struct outbuf *out;
    int n, left_off;
};

static void alert(struct alerts *a, enum level level, const char *kind, const char *about,
                  const char *fmt, ...) __attribute__((format(printf, 5, 6)));
static void alert(struct alerts *a, enum level level, const char *kind, const char *about,
                  const char *fmt, ...)
{
    char text[TEXT_CAP];
    va_list ap;
    if (a->n >= LISTED_MOST || !outbuf_reserve(a->out, 2 * TEXT_CAP)) {
        a->left_off++;
        return;
    }
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    struct text *t = &a->out->text;
    text_printf(t, "%s{\"level\":\"%s\",\"kind\":\"%s\",\"about\":", a->n++ ? "," : "",
                level_name[level], kind);
    text_json_string(t, about);
    text_put(t, ",\"text\":");
    text_json_string(t, text);
    text_put(t, "}");
}

/* ---- now ---- */

static void of_service(struct alerts *a, const struct desk *d)
{
    if (d->broken)
        alert(a, LEVEL_ERROR, "failed", "service",
              "Memory and log have parted: the service stops; restart it.");
    if (d->full)
        alert(a, LEVEL_ERROR, "storage_full", "service",
              "The store is full: requests are answered without being recorded. Make room on its "
              "disk or raise store.map_gib.");
}

static void of_hull(struct alerts *a, const struct desk *d)
{
    static struct router_stats st; /* loop thread only; too big for the stack */
    router_stats(d->router, &st);
    if (st.hull.on && st.hull.guarded)
        alert(a, LEVEL_WARN, "hull_guard", "policy",
              "The best mix of fixed models is served instead of the policy: by %" PRId64
              " labels the policy is %.4f quality points below it (95%%: %.4f to %.4f).",
              st.hull.labels, -st.hull.policy, -st.hull.upper, -st.hull.lower);
}

static void of_models(struct alerts *a, const struct desk *d)
{
    const struct catalog *k = &router_params(d->router)->catalog;
    for (int i = 0; i < k->n; i++) {
        const struct invoice *v = &d->invoice[i];
        if (v->off)
            alert(a, LEVEL_WARN, "invoice_drift", k->model[i].name,
                  "Reported costs are %.2f times what the tokens cost at the configured prices: "
                  "compare them with the provider's.",
                  v->computed > 0 ? v->reported / v->computed : 0);
        if (k->model[i].active && model_unpriced(&k->model[i]))
            alert(a, LEVEL_WARN, "unpriced", k->model[i].name,
                  "It has no prices, and %" PRId64 " requests have no reported cost so far: "
                  "import prices (purser models import) or report cost_usd.",
                  v->unpriced);
    }
}

static void of_reports(struct alerts *a, const struct desk *d)
{
    struct finding f;
    for (int i = 0; suspicion_at(d->suspicion, i, &f); i++)
        alert(a, LEVEL_WARN, "reports_unlike", f.tenant,
              "Its reports on %s have changed and the others' have not (%s by %.3f, %" PRId64
              " reports): check a sample; purser unlearn takes them out.",
              router_params(d->router)->catalog.model[f.arm].name,
              f.odd ? "share of those far off" : "quality", f.moved, f.labels);
}

/* The used share of the cap that is nearest; -1 = no cap. */
static double used_share(const struct pools *p, const struct pool_entry *e)
{
    double most = -1;
    for (int u = 0; u < POOL_UNITS; u++) {
        double used = (double)pools_used(p, e, (enum pool_unit)u), cap = (double)e->cap[u];
        double share = cap > 0 ? used / cap : cap == 0 ? 1 : -1;
        most = share > most ? share : most;
    }
    return most;
}

/* Whether nothing more may be reserved: a cap may be passed with what siblings lend. */
static bool shut(const struct pools *p, const struct pool_path *path)
{
    struct pool_room room = pools_headroom(p, path);
    for (int u = 0; u < POOL_UNITS; u++)
        if (room.left[u] == 0)
            return true;
    return false;
}

static void of_pool(struct alerts *a, const struct pools *p, const struct pool_path *path)
{
    const struct pool_entry *e = &path->entry[path->n - 1];
    const struct pool_spec *s = &p->config.spec[e->spec];
    char name[2 * NAME_CAP];
    double share = used_share(p, e), soft = s->soft > 0 && s->soft < nearly ? s->soft : nearly;
    snprintf(name, sizeof name, "%s%s%s", s->name, s->each >= 0 ? "=" : "",
             s->each >= 0 ? e->value : "");
    if (s->kill)
        alert(a, LEVEL_ERROR, "pool_killed", name,
              "It is switched off and refuses everything: purser pools set %s kill=null", s->name);
    else if (pools_fused(p, path, path->n - 1))
        alert(a, LEVEL_ERROR, "pool_fused", name,
              "Spending ran ahead of its forecast and the fuse has tripped: purser pools rearm %s",
              s->name);
    else if (share >= 1 && (s->soft_only || shut(p, path)))
        alert(a, s->soft_only ? LEVEL_WARN : LEVEL_ERROR, "pool_exhausted", name,
              "Its cap is used up (%.1f%%) in this window.", 100 * share);
    else if (share >= soft)
        alert(a, LEVEL_WARN, "pool_pressure", name, "%.1f%% of its cap is used in this window.",
              floor(1000 * share) / 10);
}

static void of_pools(struct alerts *a, const struct desk *d)
{
    const struct pools *p = router_pools(d->router);
    int64_t now = router_clock(d->router), looked_at = 0, left = p->used;
    struct pool_path path;
    for (int64_t i = 0; i < p->cap && left > 0 && looked_at < POOLS_LOOKED_AT; i++) {
        if (!pools_path_of(p, i, now, &path))
            continue;
        looked_at++;
        left--;
        of_pool(a, p, &path);
    }
    for (int i = 0; i < p->config.n; i++)
        if (pools_path_unused(p, i, now, &path))
            of_pool(a, p, &path);
}

static void of_settings(struct alerts *a, const struct desk *d)
{
    const struct params *p = router_params(d->router);
    if (p->policy.apprentice)
        alert(a, LEVEL_INFO, "apprentice", "policy",
              "The policy is an apprentice: the baseline is served (policy.apprentice).");
    if (p->learner.frozen)
        alert(a, LEVEL_INFO, "frozen", "learner",
              "Labels are kept, nothing is learned from them until learner.frozen is false.");
    if (d->meter_other > 0)
        alert(a, LEVEL_INFO, "meter_other", "metering",
              "Hours had more combinations of labels than meter.keys: some are summed up as "
              "other.");
}

/* ---- lately ---- */

static void put_what(struct text *t, const struct note *n, const struct catalog *k)
{
    static const char *const target[TARGETS] = {"quality", "output tokens", "latency", "failures"};
    char text[TEXT_CAP] = "";
    const char *model = n->arm < k->n ? k->model[n->arm].name : "a model that is gone";
    if (n->kind == EVENT_DRIFTED)
        snprintf(text, sizeof text,
                 "%s has changed: %s %s than predicted. Older evidence counts less from here on.",
                 model, target[n->target < TARGETS ? n->target : 0], n->up ? "higher" : "lower");
    else if (n->kind == EVENT_HULL)
        snprintf(text, sizeof text, "%s",
                 n->gone ? "The policy was put aside for the best mix of fixed models."
                         : "The policy is served again: it is shown to be no worse than the mix.");
    else if (n->kind == EVENT_LENS)
        snprintf(text, sizeof text, "The lens was %s (%s).", n->gone ? "taken out" : "changed",
                 n->origin);
    else if (canary_why(n->origin))
        snprintf(text, sizeof text, "The trial of other settings is over: %s.",
                 canary_why(n->origin));
    else
        snprintf(text, sizeof text, "The configuration was changed (%s).", n->origin);
    text_json_string(t, text);
}

static void put_notes(const struct desk *d, struct text *t)
{
    static const struct {
        enum event_kind kind;
        const char *name, *level;
    } told[] = {{EVENT_DRIFTED, "drifted", "warn"},
                {EVENT_HULL, "hull", "warn"},
                {EVENT_LENS, "lens", "info"},
                {EVENT_CONFIGURED, "configured", "info"}};
    const struct note *n;
    for (size_t i = 0; (n = notes_at(&d->notes, i)) != NULL; i++) {
        size_t k = 0;
        while (told[k].kind != n->kind)
            k++;
        text_printf(t,
                    "%s{\"seq\":%" PRIu64 ",\"time_ms\":%" PRId64
                    ",\"level\":\"%s\",\"kind\":\"%s\",\"text\":",
                    i ? "," : "", n->seq, n->time_ms, told[k].level, told[k].name);
        put_what(t, n, &router_params(d->router)->catalog);
        text_put(t, "}");
    }
}

enum status control_alerts(struct desk *d, struct outbuf *out, struct problem *p)
{
    struct alerts a = {.out = out};
    text_printf(&out->text, "{\"v\":1,\"clock_ms\":%" PRId64 ",\"now\":[", router_clock(d->router));
    of_service(&a, d);
    of_pools(&a, d);
    of_hull(&a, d);
    of_models(&a, d);
    of_reports(&a, d);
    of_settings(&a, d);
    if (!outbuf_reserve(out, OUTBUF_ITEM))
        return problem_set(p, STATUS_UNAVAILABLE, "", "no memory for the answer");
    text_printf(&out->text, "],\"left_off\":%d,\"lately\":[", a.left_off);
    put_notes(d, &out->text);
    text_put(&out->text, "]}");
    return STATUS_OK;
}
