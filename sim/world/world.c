/* SPDX-License-Identifier: MIT */
/*
 * From a specification to a full-information table with true means beside it. Each row draws from
 * streams of (seed, purpose, row), as the fintech scenario does: a row is the same whatever the
 * number of rows, and a model's luck does not move another's. How long answers are is a property of
 * the request (one draw for all models), so which model is cheaper is not a matter of luck.
 * Outcomes have exactly the mean that is told: graded noise is even around it and narrowed near 0
 * and 1 instead of clipped.
 */
#include "sim/world/world.h"

#include "core/config/catalog.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { PROMPT_CAP = WORLD_WORDS_MAX * 12 }; /* a word has at most 8 letters */
enum purpose { STREAM_TEXT = 1, STREAM_LENGTH = 2, STREAM_LUCK = 16 /* + model */ };

static double outcome(const struct world_spec *s, double mean, struct rng *rng)
{
    double u = rng_uniform(rng);
    if (s->bernoulli)
        return u < mean ? 1 : 0;
    double half = fmin(s->noise, fmin(mean, 1 - mean));
    return mean + half * (2 * u - 1);
}

double world_outcome(const struct world_spec *spec, size_t row, int m, double mean)
{
    struct rng luck = rng_stream((uint64_t)spec->seed, STREAM_LUCK + (uint64_t)m, row);
    return outcome(spec, mean, &luck);
}

/* Milliseconds, a function of the tokens; unknown when the model does not say. */
static float latency_of(const struct world_model *m, int32_t tokens)
{
    double ms = m->latency_ms + m->ms_per_token * (double)tokens;
    return ms > 0 ? (float)ms : TABLE_UNKNOWN;
}

static void answer(const struct world_spec *s, const struct world_request *r, size_t row, int m,
                   double words, struct table_cells *c)
{
    const struct world_model *model = &s->model[m];
    struct model price = {.price.in = llround(model->usd_in * 1e6),
                          .price.out = llround(model->usd_out * 1e6)};
    double tokens = model->output_tokens * r->length * words;
    c->q[m] = world_outcome(s, row, m, r->mean[m]);
    c->out[m] = (int32_t)fmin(fmax(round(tokens), 1), 1e9);
    c->cost_nano[m] = model_cost_nano(&price, c->in[m], 0, c->out[m]);
    c->lat_ms[m] = latency_of(model, c->out[m]);
}

static enum status add_row(const struct world_spec *s, const struct world_family *f, size_t row,
                           struct world *w, struct problem *problem)
{
    char prompt[PROMPT_CAP], id[64];
    struct text text = text_over(prompt, sizeof prompt);
    struct rng rng = rng_stream((uint64_t)s->seed, STREAM_TEXT, row),
               length = rng_stream((uint64_t)s->seed, STREAM_LENGTH, row);
    struct world_request r;
    struct table_cells cells;
    f->draw(s, &rng, &text, &r);
    w->cluster[row] = (int16_t)r.cluster;
    assert(!text.full);
    double words = exp(s->tokens_spread * rng_normal(&length));
    for (int m = 0; m < s->n_models; m++) {
        cells.in[m] = (int32_t)(s->context_tokens + (double)text.len / 4);
        answer(s, &r, row, m, words, &cells);
        w->mean[row * (size_t)s->n_models + (size_t)m] = r.mean[m];
    }
    snprintf(id, sizeof id, "w%lld-%zu", (long long)s->seed, row);
    return table_add(&w->table, id, r.task, prompt, text.len, 0, &cells, problem);
}

enum status world_make(const struct world_spec *spec, size_t more, struct world *out,
                       struct problem *problem)
{
    const struct world_family *f = world_family(spec->family);
    size_t n = (size_t)spec->requests + more;
    struct world w = {.table = {.n_models = spec->n_models}};
    assert(f != NULL && spec->n_models > 0);
    w.mean = calloc(n * (size_t)spec->n_models, sizeof *w.mean);
    w.cluster = calloc(n, sizeof *w.cluster);
    enum status s = w.mean != NULL && w.cluster != NULL
                        ? STATUS_OK
                        : problem_set(problem, STATUS_INTERNAL, "", "out of memory");
    for (int m = 0; s == STATUS_OK && m < spec->n_models; m++)
        s = table_set_model(&w.table, m, spec->model[m].name, spec->model[m].tier,
                            spec->model[m].usd_in, spec->model[m].usd_out, problem);
    for (size_t i = 0; s == STATUS_OK && i < n; i++)
        s = add_row(spec, f, i, &w, problem);
    if (s == STATUS_OK)
        *out = w;
    else
        world_free(&w);
    return s;
}

void world_free(struct world *w)
{
    table_free(&w->table);
    free(w->mean);
    free(w->cluster);
    *w = (struct world){.mean = NULL};
}
