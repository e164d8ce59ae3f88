/* SPDX-License-Identifier: MIT */
/*
 * purser-sim refold: what a store has learned, and what it would have learned without some of its
 * messages. The table shows a model's mean quality as its weight of the bias, which is what it
 * promises before anything is known of a request; --json has all weights.
 */
#include "sim/refold/refold_command.h"

#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>
#include "core/encoding/text.h"
#include "sim/background.h"
#include "sim/refold/refold.h"

static void show_progress(uint64_t done, uint64_t of)
{
    fprintf(stderr, "\r%" PRIu64 " of %" PRIu64 " records%s", done, of, done >= of ? "\n" : "");
}

/* ---- the table ---- */

static void tell_scope(const struct options *o, const struct refold *f)
{
    printf("%s: records %" PRIu64 " to %" PRIu64 ", digest %016" PRIx64 "%s\n", o->store,
           f->from_seq + 1, f->last_seq, f->digest,
           f->own ? " as the store's own" : ", NOT that of the store: run purser verify");
    if (f->from_seq > 0)
        printf("The log begins at record %" PRIu64 ": what was said up to record %" PRIu64
               " is in the snapshot\nthe fold began at, and could not be left out.\n",
               f->first_seq, f->from_seq);
    if (!f->without)
        return;
    printf("left out: %" PRId64 " messages of feedback, %" PRId64 " rows of history\n",
           f->feedback_out, f->taught_out);
    if (f->unknown > 0)
        printf("%" PRId64 " messages are about decisions whose records are gone: their tenant is "
               "not known,\nthey were not left out.\n",
               f->unknown);
}

static void tell_models(const struct refold *f)
{
    static struct router_stats a, b; /* too big for the stack */
    const struct catalog *k = &router_params(f->with)->catalog;
    router_stats(f->with, &a);
    if (f->without)
        router_stats(f->without, &b);
    printf("%-24s %19s %19s %19s\n", "", "quality labels", "mean quality", "cost ratio");
    printf("%-24s", "model");
    for (int i = 0; i < 3; i++)
        printf(" %9s %9s", "with", f->without ? "without" : "");
    putchar('\n');
    for (int i = 0; i < a.n_models; i++) {
        const struct model_stats *m = &a.model[i], *n = &b.model[i];
        printf("%-24.24s", k->model[i].name);
        if (f->without)
            printf(" %9" PRId64 " %9" PRId64 " %9.4f %9.4f %9.4f %9.4f\n",
                   m->labels[TARGET_QUALITY], n->labels[TARGET_QUALITY], m->quality_mean,
                   n->quality_mean, m->cost_ratio, n->cost_ratio);
        else
            printf(" %9" PRId64 " %9s %9.4f %9s %9.4f\n", m->labels[TARGET_QUALITY], "",
                   m->quality_mean, "", m->cost_ratio);
    }
}

/* ---- JSON ---- */

static void put_weights(struct text *t, const struct router *r, int arm)
{
    static const char *const name[TARGETS] = {"quality", "tokens", "latency", "failure"};
    for (int k = 0; k < TARGETS; k++) {
        int d;
        const double *w = router_weights(r, arm, (enum target)k, &d);
        text_printf(t, "%s\"%s\":[", k ? "," : "", name[k]);
        for (int i = 0; i < d; i++) {
            text_put(t, i ? "," : "");
            text_json_number(t, w[i], 17);
        }
        text_put(t, "]");
    }
}

static void put_fold(struct text *t, const struct router *r)
{
    static struct router_stats st; /* too big for the stack */
    const struct catalog *k = &router_params(r)->catalog;
    router_stats(r, &st);
    text_put(t, "[");
    for (int i = 0; i < st.n_models; i++) {
        const struct model_stats *m = &st.model[i];
        text_printf(t, "%s{\"model\":", i ? "," : "");
        text_json_string(t, k->model[i].name);
        text_printf(t,
                    ",\"labels\":{\"quality\":%" PRId64 ",\"tokens\":%" PRId64
                    ",\"latency\":%" PRId64 ",\"failure\":%" PRId64 "},\"quality_mean\":",
                    m->labels[TARGET_QUALITY], m->labels[TARGET_TOKENS], m->labels[TARGET_LATENCY],
                    m->labels[TARGET_FAILURE]);
        text_json_number(t, m->quality_mean, 17);
        text_put(t, ",\"cost_ratio\":");
        text_json_number(t, m->cost_ratio, 17);
        text_put(t, ",\"weights\":{");
        put_weights(t, r, i);
        text_put(t, "}}");
    }
    text_put(t, "]");
}

static bool tell_json(const struct refold *f)
{
    enum { ROOM = 2 * MODELS_MAX * (TARGETS * DIM_MAX * 28 + 1024) + 1024 };
    char *room = malloc(ROOM);
    if (!room)
        return false;
    struct text t = text_over(room, ROOM);
    text_printf(&t,
                "{\"first_seq\":%" PRIu64 ",\"last_seq\":%" PRIu64 ",\"from_seq\":%" PRIu64
                ",\"digest\":\"%016" PRIx64
                "\",\"own_digest\":%s,\"left_out\":{\"feedback\":%" PRId64 ",\"history\":%" PRId64
                ",\"tenant_unknown\":%" PRId64 "},\"with\":",
                f->first_seq, f->last_seq, f->from_seq, f->digest, f->own ? "true" : "false",
                f->feedback_out, f->taught_out, f->unknown);
    put_fold(&t, f->with);
    text_put(&t, ",\"without\":");
    if (f->without)
        put_fold(&t, f->without);
    else
        text_put(&t, "null");
    text_put(&t, "}");
    puts(room);
    free(room);
    return true;
}

int refold_command(const struct options *o)
{
    struct refold_filter filter = {
        .source = o->without_source, .tenant = o->without_tenant, .batch = o->without_batch};
    struct problem problem = {0};
    struct refold f;
    if (!o->store)
        return options_refuse("refold needs --store DIR", NULL);
    if (o->until && !moment_parse(o->until, &filter.until))
        return options_refuse("--until takes 2026-11-24T16:05:07 (UTC) or the number of a record",
                              o->until);
    if (!o->full_speed)
        background_run(o->store); /* a live service comes first */
    bool show = isatty(STDERR_FILENO) || o->progress;
    enum status s = refold_store(o->store, &filter, show ? show_progress : NULL, &f, &problem);
    if (s != STATUS_OK) {
        fprintf(stderr, "purser-sim: %s: %s\n", o->store, problem.text);
        return EXIT_FAILURE;
    }
    int code = f.own ? EXIT_SUCCESS : EXIT_FAILURE;
    if (o->json) {
        if (!tell_json(&f)) {
            fputs("purser-sim: out of memory\n", stderr);
            code = EXIT_FAILURE;
        }
    } else {
        tell_scope(o, &f);
        tell_models(&f);
    }
    refold_free(&f);
    return code;
}
