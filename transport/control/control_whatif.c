/* SPDX-License-Identifier: MIT */
/*
 * The op whatif: what a change of the configuration would have made of recent decisions. It is
 * worked out in libuv's thread pool over short read transactions on the open store, and not from
 * the engine, so the loop goes on deciding; what it needs of the engine is copied before. One at a
 * time, and a bound on the records that are read: a question costs a core for its while.
 */
#include <inttypes.h>
#include <stdlib.h>
#include "core/whatif/whatif.h"
#include "store/lookback.h"
#include "transport/control/control_inside.h"

enum {
    DECISIONS = 10000,        /* unless the question says otherwise */
    RECORDS_A_DECISION = 8,   /* read at most, on average: reports, and what else is logged */
    REPORT_BYTES = 512 * 1024 /* of 17 segments with 15 lines each, and then some */
};
static const double DAY_MS = 86400e3, DAYS_MOST = 3650;

struct whatif_job {
    uv_work_t work;
    struct control *control;
    struct slot *slot;
    struct params now, *then;
    struct learner *known; /* a copy: the service goes on learning */
    struct whatif_query query;
    struct lookback look;
    struct whatif_report report;
    uint64_t config_seq;
    enum status status;
    struct problem problem;
};

static bool go_on(void *ctx, uint64_t done, uint64_t of)
{
    const struct whatif_job *j = ctx;
    (void)done;
    (void)of;
    return !atomic_load(&j->control->stopping);
}

/* Pool thread. Touches the job, the slot's reply and, by read transactions, the open store. */
static void work(uv_work_t *w)
{
    struct whatif_job *j = w->data;
    struct outbuf *o = slot_out(j->slot);
    struct whatif *what = NULL;
    j->status = whatif_new(&j->query, &what, &j->problem);
    if (j->status == STATUS_OK)
        j->status = lookback_run(j->control->desk->db, &j->look, what, &j->problem);
    if (j->status == STATUS_OK)
        j->status = whatif_report(what, &j->report, &j->problem);
    whatif_free(what);
    if (j->status != STATUS_OK)
        return;
    char *table = malloc(REPORT_BYTES);
    if (!table || !outbuf_reserve(o, 4 * REPORT_BYTES)) {
        free(table);
        j->status = problem_set(&j->problem, STATUS_UNAVAILABLE, "", "no memory for the answer");
        return;
    }
    struct text t = text_over(table, REPORT_BYTES);
    whatif_table(&t, &j->report);
    text_printf(&o->text, "{\"v\":1,\"config_seq\":%" PRIu64 ",\"report\":", j->config_seq);
    whatif_json(&o->text, &j->report);
    text_put(&o->text, ",\"table\":");
    text_json_string(&o->text, table);
    text_put(&o->text, "}");
    free(table);
}

static void job_free(struct whatif_job *j)
{
    if (j) {
        learner_drop(j->known);
        free(j->then);
    }
    free(j);
}

static void done(uv_work_t *w, int cancelled)
{
    struct whatif_job *j = w->data;
    j->control->looking = false;
    control_over(j->control, j->slot, cancelled != 0, j->status, &j->problem);
    job_free(j);
}

static enum status read_bounds(struct whatif_job *j, const json_t *root, struct problem *p)
{
    const json_t *days = json_object_get(root, "days"),
                 *decisions = json_object_get(root, "decisions");
    int64_t rows = decisions ? json_integer_value(decisions) : DECISIONS;
    double back = days ? json_number_value(days) : 0;
    if (days && !(back > 0 && back <= DAYS_MOST))
        return problem_set(p, STATUS_BAD_REQUEST, "/days",
                           "expected a number above 0, up to %.0f: how far to look back",
                           DAYS_MOST);
    if (rows < 1 || rows > WHATIF_ROWS)
        return problem_set(p, STATUS_BAD_REQUEST, "/decisions",
                           "expected a whole number of 1 to %d: the newest are looked at",
                           WHATIF_ROWS);
    j->query.rows = (size_t)rows;
    j->look.records = (uint64_t)rows * RECORDS_A_DECISION;
    if (days)
        j->look.since_ms = router_clock(j->control->desk->router) - (int64_t)(back * DAY_MS);
    return STATUS_OK;
}

/* Quality labels that the shared learner rests on. */
static int64_t labels_of(const struct router *r)
{
    static struct learner_stats known; /* loop thread only; too big for the stack */
    int64_t labels = 0;
    for (int a = 0; router_learner_stats(r, 0, &known) && a < router_params(r)->catalog.n; a++)
        labels += known.quality_labels[a];
    return labels;
}

static enum status ask(struct whatif_job *j, struct call *c, struct problem *p)
{
    const struct router *r = c->control->desk->router;
    struct router_init made = {0};
    db_init(c->control->desk->db, &made);
    j->work.data = j;
    j->control = c->control;
    j->slot = c->slot;
    j->config_seq = router_config_seq(r);
    j->now = *router_params(r);
    j->then = control_change(c, p);
    if (!j->then)
        return p->code;
    j->known = router_known(r);
    if (!j->known)
        return problem_set(p, STATUS_UNAVAILABLE, "", "no memory to look back");
    j->query = (struct whatif_query){.now = &j->now,
                                     .then = j->then,
                                     .seed = made.seed,
                                     .labels = labels_of(r),
                                     .known = j->known};
    j->look = (struct lookback){.go_on = go_on, .ctx = j};
    enum status s = read_bounds(j, c->root, p);
    if (s == STATUS_OK && uv_queue_work(c->control->loop, &j->work, work, done) != 0)
        s = problem_set(p, STATUS_UNAVAILABLE, "", "no thread to look back");
    return s;
}

enum status control_whatif(struct call *c, struct problem *p)
{
    if (c->control->looking) {
        enum status s = problem_set(p, STATUS_OVERLOADED, "",
                                    "another what-if is being worked out: retry when it is done");
        if (p)
            p->retry_after_ms = 1000;
        return s;
    }
    struct whatif_job *j = calloc(1, sizeof *j);
    enum status s =
        j ? ask(j, c, p) : problem_set(p, STATUS_UNAVAILABLE, "", "no memory to look back");
    if (s != STATUS_OK) {
        job_free(j);
        return s;
    }
    c->control->jobs++;
    c->control->looking = true;
    c->later = true;
    return STATUS_OK;
}
