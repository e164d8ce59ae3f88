/* SPDX-License-Identifier: MIT */
/*
 * The families of worlds. A new one is a check, a draw, and a row in the table at the end.
 *
 *   clusters      A request belongs to a task; a model's mean quality depends on the task alone.
 *                 With the task declared, what is to be learned lies in the span of the features.
 *   linear        Shares z of topics in the prompt; mean quality linear in z. The words tell z, but
 *                 only through hashing: what a router sees of it is up to its features.
 *   misspecified  The same with squares of z: no linear learner can be right everywhere.
 *   logistic      The log-odds of quality are linear in z (and its squares): no clipping, no floor.
 *   mlp           To these log-odds a layer of tanh units over z adds what it sees, with weights
 *                 that the seed draws: topics count together, in ways of each model's own.
 *   neighbours    Quality is that of the nearest of a few exemplars, which lie where the seed says:
 *                 constant within cells whose borders no feature shows.
 *
 * Words are made up, from syllables keyed by vocabulary and number, so that a world of any size
 * needs no word lists and no word leans on another. Vocabulary 0 is shared by all.
 */
#include "sim/world/world.h"

#include <math.h>
#include <string.h>

enum { EXEMPLARS = 3, HIDDEN = 4, OUTWARD = 5 }; /* streams beside those of world.c */
enum { UNITS = 16 };                             /* of the hidden layer */

static void put_word(struct text *out, uint64_t vocabulary, uint64_t number)
{
    static const char consonant[] = "bdfgklmnprstvz", vowel[] = "aeiou";
    uint64_t bits = mix64(mix64(vocabulary + 1) + number);
    char word[16];
    size_t n = 0, syllables = 2 + bits % 3;
    bits >>= 2;
    for (size_t i = 0; i < syllables; i++) {
        word[n++] = consonant[bits % 14];
        word[n++] = vowel[bits / 14 % 5];
        bits /= 70;
    }
    text_put(out, out->len > 0 ? " " : "");
    text_put_n(out, word, n);
}

static uint64_t draw_count(const struct world_spec *s, struct rng *rng)
{
    uint64_t low = (uint64_t)(s->prompt_words + 1) / 2; /* from half the mean to one and a half */
    return low + rng_below(rng, (uint64_t)s->prompt_words + 1);
}

static uint64_t draw_number(const struct world_spec *s, struct rng *rng)
{
    return rng_below(rng, (uint64_t)s->vocabulary);
}

/* Draws an index with the given weights, of which one at least is above 0. */
static int draw_index(const double *weight, int n, struct rng *rng)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += weight[i];
    double left = rng_uniform(rng) * sum;
    int last = 0;
    for (int i = 0; i < n; i++) {
        if (!(weight[i] > 0))
            continue;
        last = i;
        left -= weight[i];
        if (left < 0)
            break;
    }
    return last;
}

/* ---- clusters ---- */

static enum status check_clusters(const struct world_spec *s, const struct json_at *at,
                                  struct problem *p)
{
    struct json_at clusters_at = {.up = at, .key = "clusters"},
                   latents_at = {.up = at, .key = "latents"};
    double shares = 0;
    if (s->n_clusters == 0)
        return json_fail(p, STATUS_BAD_REQUEST, &clusters_at,
                         "missing: this family needs at least one");
    if (s->latents > 0)
        return json_fail(p, STATUS_BAD_REQUEST, &latents_at, "not of this family");
    for (int i = 0; i < s->n_clusters; i++)
        shares += s->cluster[i].share;
    if (!(shares > 0))
        return json_fail(p, STATUS_BAD_REQUEST, &clusters_at, "their shares sum to 0");
    return STATUS_OK;
}

static void draw_clusters(const struct world_spec *s, struct rng *rng, struct text *prompt,
                          struct world_request *out)
{
    double share[WORLD_CLUSTERS_MAX];
    for (int i = 0; i < s->n_clusters; i++)
        share[i] = s->cluster[i].share;
    int c = draw_index(share, s->n_clusters, rng);
    for (uint64_t n = draw_count(s, rng); n > 0; n--) {
        bool topical = rng_uniform(rng) < s->topical;
        put_word(prompt, topical ? 1 + (uint64_t)c : 0, draw_number(s, rng));
    }
    out->task = s->declared ? s->cluster[c].name : "";
    out->cluster = c;
    out->length = s->cluster[c].length;
    memcpy(out->mean, s->cluster[c].quality, sizeof out->mean);
}

/* ---- linear, misspecified ---- */

/* Quality of a model for a prompt with these shares of topics. */
static double curve(const struct world_spec *s, const struct world_model *m, const double *z)
{
    double q = m->intercept;
    for (int i = 0; i < s->latents; i++)
        q += m->weight[i] * z[i] + m->square[i] * z[i] * z[i];
    return q;
}

static enum status check_latents(const struct world_spec *s, const struct json_at *at,
                                 struct problem *p)
{
    struct json_at clusters_at = {.up = at, .key = "clusters"},
                   latents_at = {.up = at, .key = "latents"};
    if (s->n_clusters > 0)
        return json_fail(p, STATUS_BAD_REQUEST, &clusters_at, "not of this family");
    if (s->latents == 0)
        return json_fail(p, STATUS_BAD_REQUEST, &latents_at,
                         "missing: this family needs at least one");
    return STATUS_OK;
}

/* Shares sum to 1, so the extremes of a linear quality are at the single topics: nothing is ever
 * clipped, which would make it something else. */
static enum status check_linear(const struct world_spec *s, const struct json_at *at,
                                struct problem *p)
{
    struct json_at models_at = {.up = at, .key = "models"};
    enum status st = check_latents(s, at, p);
    for (int m = 0; st == STATUS_OK && m < s->n_models; m++) {
        struct json_at model_at = {.up = &models_at, .index = m};
        for (int i = 0; st == STATUS_OK && i < s->latents; i++) {
            double z[WORLD_LATENTS_MAX] = {0};
            z[i] = 1;
            double q = curve(s, &s->model[m], z);
            if (s->model[m].square[i] < 0 || s->model[m].square[i] > 0)
                st = json_fail(p, STATUS_BAD_REQUEST, &model_at,
                               "squares are of the family misspecified");
            else if (!(q >= 0 && q <= 1))
                st = json_fail(p, STATUS_BAD_REQUEST, &model_at,
                               "a prompt of latent %d alone would have quality %g, allowed is 0 "
                               "to 1",
                               i, q);
        }
    }
    return st;
}

/* Shares of topics: cubes of exponentials, so that one or two stand out. */
static void draw_weights(const struct world_spec *s, struct rng *rng, double *weight)
{
    for (int i = 0; i < s->latents; i++)
        weight[i] = pow(-log(1 - rng_uniform(rng)), 3);
}

/* Writes a prompt about a mixture of topics, and the shares z that its words have. */
static void draw_mixture(const struct world_spec *s, struct rng *rng, struct text *prompt,
                         double z[WORLD_LATENTS_MAX])
{
    double weight[WORLD_LATENTS_MAX], told = 0;
    memset(z, 0, WORLD_LATENTS_MAX * sizeof *z);
    draw_weights(s, rng, weight);
    for (uint64_t n = draw_count(s, rng); n > 0; n--) {
        bool topical = told < 1 || rng_uniform(rng) < s->topical;
        int i = topical ? draw_index(weight, (int)s->latents, rng) : -1;
        put_word(prompt, (uint64_t)(i + 1), draw_number(s, rng));
        told += topical;
        if (topical)
            z[i]++;
    }
    for (int i = 0; i < s->latents; i++)
        z[i] /= told;
}

static void draw_latents(const struct world_spec *s, struct rng *rng, struct text *prompt,
                         struct world_request *out)
{
    double z[WORLD_LATENTS_MAX];
    draw_mixture(s, rng, prompt, z);
    *out = (struct world_request){.task = "", .cluster = -1, .length = 1};
    for (int m = 0; m < s->n_models; m++)
        out->mean[m] = fmin(fmax(curve(s, &s->model[m], z), 0), 1);
}

static void draw_logistic(const struct world_spec *s, struct rng *rng, struct text *prompt,
                          struct world_request *out)
{
    double z[WORLD_LATENTS_MAX];
    draw_mixture(s, rng, prompt, z);
    *out = (struct world_request){.task = "", .cluster = -1, .length = 1};
    for (int m = 0; m < s->n_models; m++)
        out->mean[m] = 1 / (1 + exp(-curve(s, &s->model[m], z)));
}

/* ---- mlp ---- */

/* The hidden layer's view of z: shares lie within 0 to 1 and sum to 1, so weights of 3 bend it. */
static void hidden(const struct world_spec *s, const double *z, double h[UNITS])
{
    for (uint64_t j = 0; j < UNITS; j++) {
        struct rng g = rng_stream((uint64_t)s->seed, HIDDEN, j);
        double sum = rng_normal(&g);
        for (int i = 0; i < s->latents; i++)
            sum += 3 * rng_normal(&g) * z[i];
        h[j] = tanh(sum);
    }
}

static void draw_mlp(const struct world_spec *s, struct rng *rng, struct text *prompt,
                     struct world_request *out)
{
    double z[WORLD_LATENTS_MAX], h[UNITS];
    draw_mixture(s, rng, prompt, z);
    hidden(s, z, h);
    *out = (struct world_request){.task = "", .cluster = -1, .length = 1};
    for (int m = 0; m < s->n_models; m++) {
        struct rng g = rng_stream((uint64_t)s->seed, OUTWARD, (uint64_t)m);
        double logit = curve(s, &s->model[m], z);
        for (int j = 0; j < UNITS; j++)
            logit += rng_normal(&g) * 2 / sqrt(UNITS) * h[j];
        out->mean[m] = 1 / (1 + exp(-logit));
    }
}

/* ---- neighbours ---- */

static enum status check_neighbours(const struct world_spec *s, const struct json_at *at,
                                    struct problem *p)
{
    struct json_at latents_at = {.up = at, .key = "latents"},
                   clusters_at = {.up = at, .key = "clusters"};
    if (s->latents == 0)
        return json_fail(p, STATUS_BAD_REQUEST, &latents_at,
                         "missing: this family needs at least one");
    if (s->n_clusters == 0)
        return json_fail(p, STATUS_BAD_REQUEST, &clusters_at,
                         "missing: the exemplars of this family are its clusters");
    return STATUS_OK;
}

/* The exemplar of a cluster is a mixture like those of the requests; drawn once per world. */
static int nearest(const struct world_spec *s, const double *z)
{
    int best = 0;
    double least = INFINITY;
    for (int c = 0; c < s->n_clusters; c++) {
        double weight[WORLD_LATENTS_MAX], sum = 0, far = 0;
        struct rng g = rng_stream((uint64_t)s->seed, EXEMPLARS, (uint64_t)c);
        draw_weights(s, &g, weight);
        for (int i = 0; i < s->latents; i++)
            sum += weight[i];
        for (int i = 0; i < s->latents; i++)
            far += (z[i] - weight[i] / sum) * (z[i] - weight[i] / sum);
        if (far < least) {
            least = far;
            best = c;
        }
    }
    return best;
}

static void draw_neighbours(const struct world_spec *s, struct rng *rng, struct text *prompt,
                            struct world_request *out)
{
    double z[WORLD_LATENTS_MAX];
    draw_mixture(s, rng, prompt, z);
    int c = nearest(s, z);
    *out = (struct world_request){.task = "", .cluster = c, .length = s->cluster[c].length};
    memcpy(out->mean, s->cluster[c].quality, sizeof out->mean);
}

static const struct world_family family[] = {
    {"clusters", check_clusters, draw_clusters},
    {"linear", check_linear, draw_latents},
    {"misspecified", check_latents, draw_latents},
    {"logistic", check_latents, draw_logistic},
    {"mlp", check_latents, draw_mlp},
    {"neighbours", check_neighbours, draw_neighbours},
};

const struct world_family *world_family_at(int i)
{
    return i >= 0 && (size_t)i < sizeof family / sizeof *family ? &family[i] : NULL;
}

const struct world_family *world_family(const char *name)
{
    const struct world_family *f = NULL;
    for (int i = 0; (f = world_family_at(i)) != NULL && strcmp(f->name, name) != 0;)
        i++;
    return f;
}
