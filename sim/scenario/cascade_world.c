/* SPDX-License-Identifier: MIT */
/*
 * A document's difficulty comes from its kind, from its risky clauses, which can be read off its
 * head, and from what nobody sees beforehand. A model's summary is sound up to about its reach. The
 * checker misses some that are not, and finds fault with some that are. The large model's price and
 * the documents' length make half a dollar a document; nothing else here knows what the cascade
 * should come to.
 * Each document draws from streams of (seed, purpose, number), so a model's luck does not move
 * another's, and every strategy meets the same documents and the same answers.
 */
#include "sim/scenario/cascade_world.h"

#include "bandit/rng.h"
#include "core/config/catalog.h"
#include "core/encoding/text.h"

#include <math.h>

enum purpose { STREAM_TEXT = 1, STREAM_LUCK = 2 /* + model */ };

static const struct {
    const char *name;
    double usd_in, usd_out; /* per million tokens, as in cascade_config */
    double reach;           /* difficulty that it masters half of the time */
    double botch;           /* share of summaries that are unsound regardless */
    double start_ms, token_ms;
} model[CASCADE_MODELS] = {
    {"legal-small", .15, .60, .42, .010, 900, 4},
    {"legal-medium", 1.00, 4.00, .74, .008, 1500, 9},
    {"legal-large", 5.00, 15.00, 1.40, .004, 3000, 17},
};

static const double sharpness = 0.05;              /* of a model's reach */
static const double missed = 0.02, alarmed = 0.03; /* shares in which the checker errs */

static const struct {
    const char *name;
    double share, hard, pages, risky; /* risky: clauses, on average */
} kind[] = {
    {"nda", .27, .08, 65, 0.2},       {"lease", .24, .16, 110, 0.4},
    {"employment", .21, .18, 90, .4}, {"services", .15, .30, 130, 0.9},
    {"loan", .08, .48, 165, 1.5},     {"merger", .05, .84, 240, 2.5},
};
enum { KINDS = sizeof kind / sizeof *kind };

static const char *const plain[] = {
    "confidentiality", "notices",       "governing law", "term",
    "assignment",      "payment dates", "insurance",     "counterparts"};
static const char *const risk[] = {"uncapped indemnity", "change of control",
                                   "cross default",      "unilateral amendment",
                                   "liquidated damages", "non-compete beyond term"};
#define PICK(list, rng) ((list)[rng_below(rng, sizeof(list) / sizeof *(list))])

const char *cascade_model(int m)
{
    return model[m].name;
}

const char *cascade_config(void)
{
    return "{\n"
           "  \"tiers\": [\"small\", \"medium\", \"large\"],\n"
           "  \"models\": [\n"
           "    {\"name\": \"legal-small\", \"tier\": \"small\", \"usd_per_mtok_in\": 0.15, "
           "\"usd_per_mtok_out\": 0.60},\n"
           "    {\"name\": \"legal-medium\", \"tier\": \"medium\", \"usd_per_mtok_in\": 1.00, "
           "\"usd_per_mtok_out\": 4.00},\n"
           "    {\"name\": \"legal-large\", \"tier\": \"large\", \"usd_per_mtok_in\": 5.00, "
           "\"usd_per_mtok_out\": 15.00}\n"
           "  ],\n"
           "  \"objective\": {\"quality\": 1, \"cost\": 0.5, \"latency\": 0, \"failure\": 0},\n"
           "  \"escalation\": {\"share\": 1},\n"
           "  \"baseline\": \"legal-large\"\n"
           "}\n";
}

static int draw_kind(struct rng *rng)
{
    double u = rng_uniform(rng);
    int k = 0;
    for (; k < KINDS - 1 && u >= kind[k].share; k++)
        u -= kind[k].share;
    return k;
}

/* A count with this mean: the number of arrivals before the time is up. */
static int draw_count(double mean, struct rng *rng)
{
    int n = 0;
    for (double t = -log(1 - rng_uniform(rng)); t < mean && n < 8; n++)
        t -= log(1 - rng_uniform(rng));
    return n;
}

static void write_head(struct cascade_document *d, int pages, struct rng *rng)
{
    struct text t = text_over(d->prompt, sizeof d->prompt);
    text_printf(&t, "Summarise this %s agreement of %d pages and list what binds us. Clauses: %s",
                d->kind, pages, PICK(plain, rng));
    text_printf(&t, ", %s", PICK(plain, rng));
    for (int i = 0; i < d->risky; i++)
        text_printf(&t, ", %s", PICK(risk, rng));
    text_put(&t, ".");
}

static void answer(int m, double hard, int32_t tokens, struct rng *rng, struct cascade_answer *a)
{
    struct model price = {.price.in = llround(model[m].usd_in * 1e6),
                          .price.out = llround(model[m].usd_out * 1e6)};
    bool sound =
        rng_uniform(rng) < (1 - model[m].botch) / (1 + exp((hard - model[m].reach) / sharpness));
    double q = sound ? 0.95 + 0.02 * rng_normal(rng) : 0.45 + 0.08 * rng_normal(rng);
    a->quality = fmin(fmax(q, 0), 1);
    a->flagged = rng_uniform(rng) < (sound ? alarmed : 1 - missed);
    a->out = 1 + (int32_t)((double)tokens * 0.05 * exp(0.2 * rng_normal(rng)));
    a->cost_nano = model_cost_nano(&price, tokens, 0, a->out);
    a->latency_ms = model[m].start_ms + model[m].token_ms * a->out;
}

void cascade_document(uint64_t seed, size_t i, struct cascade_document *out)
{
    struct rng rng = rng_stream(seed, STREAM_TEXT, i);
    int k = draw_kind(&rng);
    out->kind = kind[k].name;
    out->risky = draw_count(kind[k].risky, &rng);
    int pages = 1 + (int)(kind[k].pages * exp(0.35 * rng_normal(&rng)));
    out->tokens = 755 * pages;
    write_head(out, pages, &rng);
    double hard = kind[k].hard + 0.12 * out->risky + 0.06 * rng_normal(&rng);
    for (int m = 0; m < CASCADE_MODELS; m++) {
        struct rng luck = rng_stream(seed, STREAM_LUCK + (uint64_t)m, i);
        answer(m, hard, out->tokens, &luck, &out->answer[m]);
    }
}
