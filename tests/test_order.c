/* SPDX-License-Identifier: MIT */
/*
 * The order of messages never matters. A backbone of facts with fixed times (decisions of several
 * models, history taught, evidence fading, a model joining, prices changing, a restart, a freeze)
 * is folded many times; the same messages (every field, several sources, amendments with versions,
 * retractions, some never sent) arrive in random orders at random places behind their decisions,
 * some repeated, some when the decision has left memory, between refreshes at random times and
 * messages that are refused.
 *
 * Compared with one fold in which each message comes once, right behind its decision, by version:
 * - the label books (but for the list of messages taken: those superseded on arrival are not in
 *   it) and the integer counters, exactly; messages applied + not applied = messages sent;
 * - the regressions' sums, pending rows, smearing and cost ratios, the pacer's carry with what is
 * still to come into it, to 1e-9;
 * - after a tick and a refresh of everything at the same time, theta and sigma2, to 1e-9.
 * Not compared, since they follow the course of events by intent: the running label rate (it
 * scales pending rows in widths), the drift test's sums and when an alarm is raised, the end of a
 * quota, the pacer's multiplier. Alarms act through logged facts only: here these are part of
 * the backbone. Fewer than TUNE_FROM labels (core/learn/learner.c) keep the scales of the priors as
 * they are: these are tuned in steps, where labels have doubled.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "bandit/ridge/ridge_inside.h"
#include "bandit/rng.h"
#include "core/config/config.h"
#include "core/event/decision_id.h"
#include "core/router/router_state.h"

static const char CONFIG[] =
    "{\"policy\":{\"name\":\"uniform\"},\"budget\":{\"usd_per_request\":0.01},"
    "\"features\":{\"shape\":false,\"text\":false,\"caller\":false,\"dim_declared\":7},"
    "\"models\":["
    "{\"name\":\"small\",\"tier\":\"small\",\"usd_per_mtok_in\":0.1,\"usd_per_mtok_out\":0.1},"
    "{\"name\":\"mid\",\"tier\":\"medium\",\"usd_per_mtok_in\":0.5,\"usd_per_mtok_out\":1.5},"
    "{\"name\":\"big\",\"tier\":\"large\",\"usd_per_mtok_in\":2.5,\"usd_per_mtok_out\":10}]}";
static const char JOINED[] =
    "{\"models\":[{\"name\":\"new\",\"tier\":\"large\",\"usd_per_mtok_in\":5,"
    "\"usd_per_mtok_out\":20},{\"name\":\"mid\",\"usd_per_mtok_in\":0.4}]}";

enum {
    DECISIONS = 90,
    FACTS = DECISIONS + 20,
    MESSAGES = DECISIONS * SEEN_MAX,
    DELIVERIES = 3 * MESSAGES,
    STREAMS = 8,
    ORDERS = 60,
    HOUR = 3600000
};

struct fact {
    struct event ev;
    int decision; /* which one it is, -1 = another fact */
    char *json;   /* of a configuration, owned */
};

struct message {
    struct feedback f; /* epoch, seq and mac are those of the run */
    int decision;
};

struct stream {
    struct router_init init;
    struct fact fact[FACTS];
    int n_facts, fact_of[DECISIONS]; /* index of a decision's fact */
    struct message message[MESSAGES];
    int n_messages;
    int64_t end_ms;
};

/* One fold of a stream. */
struct run {
    const struct stream *s;
    struct router *router;
    uint64_t seq_of[DECISIONS]; /* 0 = not decided yet */
    struct label_book evicted[DECISIONS];
    int64_t now_ms, sent;
    struct event ev;
    struct problem problem;
};

/* ---- a stream ---- */

static void must(enum status s, const struct problem *p)
{
    if (s != STATUS_OK)
        fail_msg("%s: %s", p->path, p->text);
}

static void keep_fact(struct stream *s, const struct event *ev, int decision)
{
    if (ev->kind == EVENT_NONE)
        return;
    assert_true(s->n_facts < FACTS);
    struct fact *f = &s->fact[s->n_facts++];
    f->ev = *ev;
    f->decision = decision;
    f->json = NULL;
    if (ev->kind == EVENT_CONFIGURED) {
        f->json = malloc(ev->configured.len + 1);
        memcpy(f->json, ev->configured.json, ev->configured.len);
        f->ev.configured.json = f->json;
    }
    if (decision >= 0)
        s->fact_of[decision] = s->n_facts - 1;
}

static void configure(struct run *r, const char *patch, struct event *ev)
{
    static char json[CONFIG_MAX];
    static struct params p;
    if (router_params(r->router)->catalog.n == 0)
        must(config_parse(CONFIG, strlen(CONFIG), &p, NULL, &r->problem), &r->problem);
    else
        p = *router_params(r->router);
    must(config_patch(&p, patch, strlen(patch), &r->problem), &r->problem);
    must(router_configure(r->router, r->now_ms, &p, "test", 0, json, sizeof json, ev, &r->problem),
         &r->problem);
}

static const struct request *request_at(int i, struct rng *g)
{
    static struct request r;
    memset(&r, 0, sizeof r);
    (void)snprintf(r.request_id, NAME_CAP, "q%d", i);
    (void)snprintf(r.labels.task, NAME_CAP, "task%d", (int)rng_below(g, 4));
    (void)snprintf(r.labels.domain, NAME_CAP, "domain%d", (int)rng_below(g, 3));
    r.prompt_tokens = 20 + (int64_t)rng_below(g, 2000);
    r.cached_tokens = (int64_t)rng_below(g, 20);
    r.value = 1;
    r.digest = (uint64_t)i + 1;
    return &r;
}

/* Values of every kind; averages of three such qualities are not exact in binary. */
static struct feedback values(struct rng *g)
{
    return (struct feedback){.quality = rng_uniform(g),
                             .prompt_tokens = (int64_t)rng_below(g, 3000),
                             .cached_tokens = (int64_t)rng_below(g, 500),
                             .output_tokens = (int64_t)rng_below(g, 4000),
                             .cost_nano = (int64_t)rng_below(g, 20000000),
                             .latency_ms = 100 + 5000 * rng_uniform(g),
                             .failed = rng_below(g, 6) == 0,
                             .has = 1 + (unsigned)rng_below(g, (1u << CELLS) - 1),
                             .version = -1};
}

static void fade(struct run *r, struct event *ev, int arm, enum target t)
{
    router_begin(r->router, r->now_ms, EVENT_DRIFTED, ev);
    ev->drifted.learner = 0;
    ev->drifted.arm = (uint8_t)arm;
    ev->drifted.target = (uint8_t)t;
    ev->drifted.up = false;
    must(router_apply(r->router, ev, &r->problem), &r->problem);
}

/* What else happens, at the time of decision i and right behind it: fading then meets rows of the
 * very millisecond. Frozen, labels of decisions that leave memory wait for another message, so
 * only streams that keep all decisions freeze. */
static void other_facts(struct stream *s, struct run *r, int i, bool freezes, struct rng *g)
{
    struct event *ev = &r->ev;
    ev->kind = EVENT_NONE;
    if (i == 50 || i == 65 || i == 80)
        fade(r, ev, (int)rng_below(g, 3), (enum target)rng_below(g, TARGETS));
    if (i == 20 || i == 55) {
        struct feedback f = values(g);
        must(router_teach(r->router, r->now_ms, request_at(1000 + i, g), "mid", &f, 0.5, ev,
                          &r->problem),
             &r->problem);
    }
    if (i == 40)
        configure(r, JOINED, ev);
    if (i == 60)
        router_start(r->router, r->now_ms, ev);
    if (freezes && (i == 30 || i == 70))
        configure(r,
                  i == 30 ? "{\"learner\":{\"frozen\":true}}" : "{\"learner\":{\"frozen\":false}}",
                  ev);
    keep_fact(s, ev, -1);
}

/* Decides, with every label at once, so that predictions differ from decision to decision. */
static void make_facts(struct stream *s, const char *patch, bool freezes, struct rng *g)
{
    static struct run r;
    enum route_result result;
    enum feedback_result taken;
    r = (struct run){.s = s, .router = router_new(&s->init), .now_ms = 1700000000000};
    router_start(r.router, r.now_ms, &r.ev);
    keep_fact(s, &r.ev, -1);
    configure(&r, patch, &r.ev);
    keep_fact(s, &r.ev, -1);
    for (int i = 0; i < DECISIONS; i++) {
        r.now_ms += (int64_t)rng_below(g, 3 * HOUR);
        must(router_route(r.router, r.now_ms, request_at(i, g), &r.ev, &result, &r.problem),
             &r.problem);
        keep_fact(s, &r.ev, i);
        struct feedback f = values(g);
        f.epoch = router_epoch(r.router);
        f.seq = r.ev.seq;
        f.mac = decision_mac(f.epoch, f.seq, s->init.mac_key);
        must(router_feedback(r.router, r.now_ms, &f, NULL, &r.ev, &taken, &r.problem), &r.problem);
        other_facts(s, &r, i, freezes, g);
    }
    s->end_ms = r.now_ms + HOUR;
    router_free(r.router);
}

/* Up to four messages of each of up to three sources, versions ascending with gaps. */
static void make_messages(struct stream *s, struct rng *g)
{
    static const char *const source[] = {"", "judge", "user"};
    for (int i = 0; i < DECISIONS; i++) {
        if (rng_below(g, 8) == 0)
            continue; /* lost altogether */
        for (int k = 0; k < 3; k++) {
            int n = k > 0 && rng_below(g, 2) == 0 ? 0 : 1 + (int)rng_below(g, 4);
            int64_t version = 0;
            for (int j = 0; j < n; j++) {
                version += 1 + (int64_t)rng_below(g, 3);
                struct message m = {.f = values(g), .decision = i};
                m.f.version = version;
                m.f.digest = (uint64_t)(s->n_messages + 1);
                (void)snprintf(m.f.source, NAME_CAP, "%s", source[k]);
                if (rng_below(g, 2) == 0)
                    (void)snprintf(m.f.feedback_id, NAME_CAP, "f%d-%d-%d", i, k, j);
                m.f.retract = rng_below(g, 5) == 0;
                if (m.f.retract && rng_below(g, 2) == 0)
                    m.f.has = 0;          /* all that this source said */
                if (rng_below(g, 10) > 0) /* some are lost; none of the folds sees them */
                    s->message[s->n_messages++] = m;
            }
        }
    }
}

static struct stream *stream_new(uint64_t seed)
{
    struct stream *s = calloc(1, sizeof *s);
    struct rng g = rng_stream(seed, 9, 9);
    bool keeps = seed % 4 == 3;
    char patch[160];
    s->init = (struct router_init){
        .seed = seed, .mac_key = {4, 5, 6}, .max_open = keeps ? 1000 : 10 + (int64_t)seed * 3};
    (void)snprintf(
        patch, sizeof patch,
        "{\"learner\":{\"pool_labels\":%d,\"half_life_hours\":%s,\"refresh_labels\":%d}}",
        seed % 2 ? 8 : 0,
        seed % 3 == 0   ? "1"
        : seed % 3 == 1 ? "0"
                        : "168",
        seed % 2 ? 32 : 4);
    make_facts(s, patch, keeps, &g);
    make_messages(s, &g);
    return s;
}

static void stream_free(struct stream *s)
{
    for (int i = 0; i < s->n_facts; i++)
        free(s->fact[i].json);
    free(s);
}

/* ---- a fold of it ---- */

static void on_evict(void *ctx, uint64_t seq, const struct label_book *book)
{
    struct run *r = ctx;
    for (int i = 0; i < DECISIONS; i++)
        if (r->seq_of[i] == seq)
            r->evicted[i] = *book;
}

static void take_fact(struct run *r, const struct fact *f)
{
    r->ev = f->ev;
    r->ev.seq = router_seq(r->router) + 1;
    r->now_ms = r->ev.time_ms;
    if (f->decision >= 0)
        r->seq_of[f->decision] = r->ev.seq;
    must(router_apply(r->router, &r->ev, &r->problem), &r->problem);
}

static enum status send(struct run *r, struct feedback f, int decision,
                        enum feedback_result *result)
{
    static struct recalled recalled;
    bool here = router_has(r->router, f.seq);
    if (!here) {
        recalled.decided = r->s->fact[r->s->fact_of[decision]].ev;
        recalled.decided.seq = f.seq;
        recalled.book = r->evicted[decision];
    }
    return router_feedback(r->router, r->now_ms, &f, here ? NULL : &recalled, &r->ev, result,
                           &r->problem);
}

static void take_message(struct run *r, const struct message *m)
{
    enum feedback_result result;
    struct feedback f = m->f;
    f.epoch = r->s->fact[r->s->fact_of[m->decision]].ev.decided.epoch;
    f.seq = r->seq_of[m->decision];
    f.mac = decision_mac(f.epoch, f.seq, r->s->init.mac_key);
    must(send(r, f, m->decision, &result), &r->problem);
    assert_true(result != FEEDBACK_LATE);
    r->sent++;
}

/* A forged id is refused and leaves no trace. */
static void take_forgery(struct run *r, int decision)
{
    enum feedback_result result;
    struct feedback f = {.epoch = router_epoch(r->router),
                         .seq = r->seq_of[decision],
                         .mac = 77,
                         .has = FB_QUALITY,
                         .quality = 1,
                         .version = 1000};
    assert_int_equal(send(r, f, decision, &result), STATUS_UNKNOWN_DECISION);
}

static struct run *run_new(const struct stream *s)
{
    struct run *r = calloc(1, sizeof *r);
    r->s = s;
    r->router = router_new(&s->init);
    router_on_evict(r->router, on_evict, r);
    return r;
}

static void run_free(struct run *r)
{
    router_free(r->router);
    free(r);
}

/* One more decision and its label, then everything is refreshed, all at the same time. The label
 * makes sure that there is something to pool. */
static void finish(struct run *r)
{
    const struct stream *s = r->s;
    r->now_ms = s->end_ms;
    router_tick(r->router, r->now_ms, &r->ev);
    struct fact f = s->fact[s->fact_of[DECISIONS - 1]];
    f.decision = -1;
    f.ev.time_ms = s->end_ms;
    (void)snprintf(f.ev.decided.request_id, NAME_CAP, "last");
    take_fact(r, &f);
    struct feedback last = {.epoch = f.ev.decided.epoch,
                            .seq = r->ev.seq,
                            .has = FB_QUALITY,
                            .quality = 0.5,
                            .version = 1,
                            .digest = 1};
    enum feedback_result result;
    last.mac = decision_mac(last.epoch, last.seq, s->init.mac_key);
    must(router_feedback(r->router, r->now_ms, &last, NULL, &r->ev, &result, &r->problem),
         &r->problem);
    r->sent++;
    router_tick(r->router, r->now_ms, &r->ev);
    configure(r, "{}", &r->ev);
}

/* Each message once, right behind its decision, by version. */
static struct run *run_in_order(const struct stream *s)
{
    struct run *r = run_new(s);
    for (int i = 0, m = 0; i < s->n_facts; i++) {
        take_fact(r, &s->fact[i]);
        for (; m < s->n_messages && s->message[m].decision == s->fact[i].decision; m++)
            take_message(r, &s->message[m]);
    }
    finish(r);
    return r;
}

struct delivery {
    double at; /* facts that went before, and a random part */
    const struct message *m;
};

static int by_time(const void *a, const void *b)
{
    double x = ((const struct delivery *)a)->at, y = ((const struct delivery *)b)->at;
    return (x > y) - (x < y);
}

static int deal(const struct stream *s, struct rng *g, struct delivery *d)
{
    int n = 0;
    double haste = rng_uniform(g); /* some orders deliver soon, some late */
    for (int i = 0; i < s->n_messages; i++) {
        const struct message *m = &s->message[i];
        int from = s->fact_of[m->decision] + 1, copies = 1 + (int)(rng_below(g, 4) == 0);
        for (int k = 0; k < copies; k++) {
            double wait = rng_uniform(g) < haste ? 0.1 * rng_uniform(g) : rng_uniform(g);
            d[n++] = (struct delivery){from + wait * (s->n_facts + 1 - from), m};
        }
    }
    qsort(d, (size_t)n, sizeof *d, by_time);
    return n;
}

static struct run *run_shuffled(const struct stream *s, struct rng *g)
{
    static struct delivery d[DELIVERIES];
    struct run *r = run_new(s);
    int n = deal(s, g, d), at = 0;
    for (int i = 0; i <= s->n_facts; i++) {
        for (; at < n && d[at].at < i + 1; at++) {
            take_message(r, d[at].m);
            if (rng_below(g, 40) == 0)
                router_tick(r->router, r->now_ms, &r->ev);
            if (rng_below(g, 20) == 0)
                take_forgery(r, d[at].m->decision);
        }
        if (i < s->n_facts)
            take_fact(r, &s->fact[i]);
    }
    assert_int_equal(at, n);
    finish(r);
    return r;
}

/* ---- what must be the same ---- */

static const double TOLERANCE = 1e-9;

static void assert_near(double a, double b, double size, const char *what, int at)
{
    if (!(fabs(a - b) <= TOLERANCE * fmax(fmax(fabs(a), fabs(b)), size)))
        fail_msg("%s %d: %.17g and %.17g", what, at, a, b);
}

/* fa, fb: from their epochs to now. Relative to the largest entry, or one row of today. */
static void compare_array(const double *a, double fa, const double *b, double fb, size_t n,
                          const char *what)
{
    double size = 1;
    for (size_t i = 0; i < n; i++)
        size = fmax(size, fabs(fa * a[i]));
    for (size_t i = 0; i < n; i++)
        assert_near(fa * a[i], fb * b[i], size, what, (int)i);
}

static void compare_ridges(const struct ridge *a, const struct ridge *b, int64_t now_ms)
{
    double fa = ridge_scale(a, now_ms), fb = ridge_scale(b, now_ms);
    const double sa[] = {fa * a->yy, fa * a->w, fa * fa * a->w2},
                 sb[] = {fb * b->yy, fb * b->w, fb * fb * b->w2};
    assert_int_equal(a->count, b->count);
    assert_int_equal(a->pending, b->pending);
    assert_int_equal(ridge_stale(a), 0);
    assert_int_equal(ridge_stale(b), 0);
    compare_array(a->s, fa, b->s, fb, a->packed, "S");
    compare_array(a->b, fa, b->b, fb, (size_t)a->d, "b");
    compare_array(sa, 1, sb, 1, 3, "yy, W, W2");
    compare_array(a->p, 1, b->p, 1, a->packed, "pending");
    compare_array(a->mean, 1, b->mean, 1, (size_t)a->d, "prior");
    compare_array(a->theta, 1, b->theta, 1, (size_t)a->d, "theta");
    assert_near(a->sigma2, b->sigma2, 0, "sigma2", 0);
}

static void compare_ratios(const struct learner *l, const struct ratio *a, const struct ratio *b,
                           double unit)
{
    double fa = 1, fb = 1;
    if (l->forgets.half_life_ms > 0) {
        fa = exp2((double)(a->epoch_ms - l->now_ms) / (double)l->forgets.half_life_ms);
        fb = exp2((double)(b->epoch_ms - l->now_ms) / (double)l->forgets.half_life_ms);
    }
    assert_near(fa * a->num, fb * b->num, unit, "ratio above", 0);
    assert_near(fa * a->den, fb * b->den, unit, "ratio below", 0);
    assert_near(fa * a->weight, fb * b->weight, 1, "ratio weight", 0);
}

static void compare_learners(const struct learner *a, const struct learner *b)
{
    assert_int_equal(a->now_ms, b->now_ms);
    assert_int_equal(a->n_arms, 4);
    assert_memory_equal(a->labels, b->labels, sizeof a->labels);
    assert_memory_equal(a->arm_labels, b->arm_labels, sizeof a->arm_labels);
    assert_memory_equal(&a->scale, &b->scale, sizeof a->scale);
    for (int m = 0; m < a->n_arms; m++) {
        for (int t = 0; t < TARGETS; t++) {
            compare_ridges(a->ridge[m][t], b->ridge[m][t], a->now_ms);
            compare_ratios(a, &a->smear[m][t], &b->smear[m][t], 1e3); /* tokens, ms */
        }
        compare_ratios(a, &a->cost[m], &b->cost[m], 1e6); /* nanodollars */
    }
}

static struct label_book book_of(const struct run *r, int i)
{
    struct label_book book = r->evicted[i];
    int64_t slot = pending_find(&r->router->pending, r->seq_of[i]);
    if (slot >= 0)
        pending_book(&r->router->pending, slot, &book);
    return book;
}

static void compare_books(const struct label_book *a, const struct label_book *b)
{
    assert_int_equal(a->n_sources, b->n_sources);
    assert_int_equal(a->applied, b->applied);
    assert_int_equal(a->has_cost, b->has_cost);
    assert_int_equal(a->cost_nano, b->cost_nano);
    assert_int_equal(a->priced_nano, b->priced_nano);
    for (int t = 0; t < TARGETS; t++)
        if (a->label[t] != b->label[t])
            fail_msg("label %d: %.17g and %.17g", t, a->label[t], b->label[t]);
    for (int s = 0; s < a->n_sources; s++) { /* in order of arrival */
        int at = 0;
        while (at < b->n_sources && b->source[at] != a->source[s])
            at++;
        assert_true(at < b->n_sources);
        for (int c = 0; c < CELLS; c++) {
            const struct label_cell *x = &a->cell[s][c], *y = &b->cell[at][c];
            assert_true(x->set == y->set && x->present == y->present);
            assert_true(x->version == y->version && x->value == y->value);
        }
    }
}

static void compare_counters(const struct run *a, const struct run *b)
{
    const struct counters *x = &a->router->counters, *y = &b->router->counters;
    assert_int_equal(x->decisions, y->decisions);
    assert_int_equal(x->spent_nano, y->spent_nano);
    assert_int_equal(x->baseline_nano, y->baseline_nano);
    assert_int_equal(x->taught, y->taught);
    assert_int_equal(x->feedbacks + a->router->duplicates, a->sent);
    assert_int_equal(y->feedbacks + b->router->duplicates, b->sent);
    assert_int_equal(pending_count(&a->router->pending), pending_count(&b->router->pending));
    for (int m = 0; m < 4; m++) {
        assert_int_equal(x->model[m].decisions, y->model[m].decisions);
        assert_int_equal(x->model[m].spent_nano, y->model[m].spent_nano);
        assert_memory_equal(x->model[m].labels, y->model[m].labels, sizeof x->model[m].labels);
        assert_near(x->model[m].quality_sum, y->model[m].quality_sum, 1, "quality_sum", m);
    }
    const struct pacer *p = &a->router->pacer, *q = &b->router->pacer;
    assert_near(p->carry_usd + p->owed_usd, q->carry_usd + q->owed_usd, 1e-3, "carry", 0);
}

static void compare(const struct run *a, const struct run *b)
{
    for (int i = 0; i < DECISIONS; i++) {
        struct label_book of_a = book_of(a, i), of_b = book_of(b, i);
        compare_books(&of_a, &of_b);
    }
    compare_counters(a, b);
    compare_learners(&a->router->learner, &b->router->learner);
}

/* covers: R7 */
static void test_any_order(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < STREAMS; seed++) {
        struct stream *s = stream_new(seed);
        struct run *reference = run_in_order(s);
        struct rng g = rng_stream(seed, 8, 8);
        assert_true(s->n_messages > 2 * DECISIONS);
        for (int k = 0; k < ORDERS; k++) {
            struct run *r = run_shuffled(s, &g);
            compare(r, reference);
            run_free(r);
        }
        run_free(reference);
        stream_free(s);
    }
}

static int64_t expected_cost(struct run *r, struct rng *g)
{
    enum route_result result;
    struct request q = *request_at(5000, g);
    q.dry_run = true;
    must(router_route(r->router, r->now_ms, &q, &r->ev, &result, &r->problem), &r->problem);
    return r->ev.decided.view[0].cost_nano;
}

/* A model without prices costs what it was reported to cost. When all reports are taken back it
 * costs nothing again, not the quotient of what rounding left in the sums. */
static void test_all_taken_back(void **state)
{
    (void)state;
    enum { REPORTS = 8 };
    static const char config[] =
        "{\"policy\":{\"name\":\"uniform\"},\"learner\":{\"half_life_hours\":7},"
        "\"models\":[{\"name\":\"unpriced\",\"tier\":\"small\",\"usd_per_mtok_in\":0,"
        "\"usd_per_mtok_out\":0}]}";
    static struct params p;
    static char json[CONFIG_MAX];
    const struct router_init init = {.seed = 1, .mac_key = {4, 5, 6}, .max_open = 100};
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct rng g = rng_stream(seed, 7, 7);
        struct run r = {.router = router_new(&init), .now_ms = 1700000000000};
        struct feedback f[REPORTS];
        enum feedback_result taken;
        enum route_result result;
        router_start(r.router, r.now_ms, &r.ev);
        must(config_parse(config, strlen(config), &p, NULL, &r.problem), &r.problem);
        must(router_configure(r.router, r.now_ms, &p, "test", 0, json, sizeof json, &r.ev,
                              &r.problem),
             &r.problem);
        for (int i = 0; i < REPORTS; i++) {
            r.now_ms += (int64_t)rng_below(&g, HOUR);
            must(router_route(r.router, r.now_ms, request_at(i, &g), &r.ev, &result, &r.problem),
                 &r.problem);
            f[i] = (struct feedback){.epoch = router_epoch(r.router),
                                     .seq = r.ev.seq,
                                     .has = FB_COST,
                                     .version = 1,
                                     .digest = 1,
                                     .cost_nano = 1000 + (int64_t)rng_below(&g, 5000000)};
            f[i].mac = decision_mac(f[i].epoch, f[i].seq, init.mac_key);
            must(router_feedback(r.router, r.now_ms, &f[i], NULL, &r.ev, &taken, &r.problem),
                 &r.problem);
        }
        assert_true(expected_cost(&r, &g) > 1000);
        for (int i = 0, at = (int)rng_below(&g, REPORTS); i < REPORTS; i++) {
            struct feedback *back = &f[(at + 3 * i) % REPORTS];
            back->retract = true;
            back->version = 2;
            back->digest = 2;
            must(router_feedback(r.router, r.now_ms, back, NULL, &r.ev, &taken, &r.problem),
                 &r.problem);
        }
        assert_int_equal(expected_cost(&r, &g), 0);
        router_free(r.router);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_order),
        cmocka_unit_test(test_all_taken_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
