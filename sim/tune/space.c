/* SPDX-License-Identifier: MIT */
#include "sim/tune/space.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "bandit/rng.h"

enum { TUNE_PURPOSE = 0x74756e65 };

/* Drawn evenly on the scale of logarithms. `relative`: bounds are factors of the present value, and
 * those in brackets stand for a present value of 0. */
static const struct knob {
    const char *word;
    double low, high, low0, high0;
    bool relative, zero; /* zero: also drawn, one time in four */
} knobs[KNOBS] = {
    [KNOB_WIDTH] = {"width", 0.1, 3, 0, 0, false, false},
    [KNOB_GAMMA] = {"gamma", 3, 1000, 0, 0, false, false},
    [KNOB_BETA] = {"beta", 0.1, 3, 0, 0, false, false},
    [KNOB_FLOOR] = {"floor", 0.002, 0.1, 0, 0, false, false},
    [KNOB_HALF_LIFE] = {"half-life in hours", 12, 4000, 0, 0, false, true},
    [KNOB_SHRINK] = {"precision times", 0.1, 10, 0, 0, false, false},
    [KNOB_COST] = {"cost weight", 0.2, 5, 0.003, 0.3, true, false},
    [KNOB_LATENCY] = {"latency weight", 0.2, 5, 0.003, 0.3, true, false},
    [KNOB_FAILURE] = {"failure weight", 0.2, 5, 0.01, 1, true, false},
};
static const char *const policies[] = {"lints", "greedy", "igw", "linucb", "softmax"};
enum { POLICIES = sizeof policies / sizeof *policies };

void tune_point_of(const struct params *p, struct tune_point *out)
{
    memcpy(out->policy, p->policy.name, sizeof out->policy);
    out->knob[KNOB_WIDTH] = p->policy.width;
    out->knob[KNOB_GAMMA] = p->policy.gamma;
    out->knob[KNOB_BETA] = p->policy.beta;
    out->knob[KNOB_FLOOR] = p->policy.floor;
    out->knob[KNOB_HALF_LIFE] = p->learner.half_life_hours;
    out->knob[KNOB_SHRINK] = 1;
    out->knob[KNOB_COST] = p->objective.cost;
    out->knob[KNOB_LATENCY] = p->objective.latency;
    out->knob[KNOB_FAILURE] = p->objective.failure;
}

/* Three digits are more than is known of any of them. */
static double rounded(double v)
{
    char text[32];
    snprintf(text, sizeof text, "%.3g", v);
    return strtod(text, NULL);
}

static double draw(const struct knob *k, double now, struct rng *g)
{
    bool zero = rng_below(g, 4) == 0;
    double low = k->low, high = k->high, u = rng_uniform(g);
    if (k->relative) {
        low = now > 0 ? now * k->low : k->low0;
        high = now > 0 ? now * k->high : k->high0;
    }
    return k->zero && zero ? 0 : rounded(low * pow(high / low, u));
}

/* Knobs that a policy does not turn stay, so that points that act alike look alike. */
static bool idle(const struct tune_point *p, int knob)
{
    bool lints = strcmp(p->policy, "lints") == 0 || strcmp(p->policy, "bag") == 0;
    return (knob == KNOB_WIDTH && !lints) ||
           (knob == KNOB_GAMMA && strcmp(p->policy, "igw") != 0) ||
           (knob == KNOB_BETA && strcmp(p->policy, "linucb") != 0 &&
            strncmp(p->policy, "regcb", 5) != 0);
}

void tune_point_draw(const struct tune_point *from, unsigned still, uint64_t seed, uint64_t i,
                     struct tune_point *out)
{
    struct rng g = rng_stream(seed, TUNE_PURPOSE, i);
    *out = *from;
    if (i == 0)
        return;
    if (rng_below(&g, 2) == 0)
        snprintf(out->policy, sizeof out->policy, "%s", policies[rng_below(&g, POLICIES)]);
    for (int k = 0; k < KNOBS; k++) {
        bool turn = rng_below(&g, 2) == 0;
        double value = draw(&knobs[k], from->knob[k], &g);
        if (turn && !idle(out, k) && !(still & 1u << k))
            out->knob[k] = value;
    }
}

void tune_point_apply(const struct tune_point *point, struct params *p)
{
    double *const precision[] = {&p->learner.precision_bias,     &p->learner.precision_shape,
                                 &p->learner.precision_declared, &p->learner.precision_text,
                                 &p->learner.precision_lens,     &p->learner.precision_caller};
    memcpy(p->policy.name, point->policy, sizeof p->policy.name);
    p->policy.width = point->knob[KNOB_WIDTH];
    p->policy.gamma = point->knob[KNOB_GAMMA];
    p->policy.beta = point->knob[KNOB_BETA];
    p->policy.floor = point->knob[KNOB_FLOOR];
    p->policy.floor_min = fmin(p->policy.floor_min, p->policy.floor);
    p->learner.half_life_hours = point->knob[KNOB_HALF_LIFE];
    p->objective.cost = point->knob[KNOB_COST];
    p->objective.latency = point->knob[KNOB_LATENCY];
    p->objective.failure = point->knob[KNOB_FAILURE];
    for (size_t i = 0; i < sizeof precision / sizeof *precision; i++)
        *precision[i] = fmin(fmax(*precision[i] * point->knob[KNOB_SHRINK], 1e-6), 1e9);
}

static bool moved(const struct tune_point *a, const struct tune_point *b, int knob)
{
    return fabs(a->knob[knob] - b->knob[knob]) > 0;
}

static void member(struct text *t, const char *name, double v)
{
    text_printf(t, "%s\"%s\":", t->at[t->len - 1] == '{' ? "" : ",", name);
    text_json_number(t, v, 17);
}

void tune_point_patch(struct text *t, const struct params *p, const struct tune_point *point,
                      const struct tune_point *from)
{
    text_put(t, "{\"policy\":{");
    if (strcmp(point->policy, from->policy) != 0) {
        text_put(t, "\"name\":");
        text_json_string(t, point->policy);
    }
    if (moved(point, from, KNOB_WIDTH))
        member(t, "width", p->policy.width);
    if (moved(point, from, KNOB_GAMMA))
        member(t, "gamma", p->policy.gamma);
    if (moved(point, from, KNOB_BETA))
        member(t, "beta", p->policy.beta);
    if (moved(point, from, KNOB_FLOOR)) {
        member(t, "floor", p->policy.floor);
        member(t, "floor_min", p->policy.floor_min);
    }
    text_put(t, "},\"learner\":{");
    if (moved(point, from, KNOB_HALF_LIFE))
        member(t, "half_life_hours", p->learner.half_life_hours);
    if (moved(point, from, KNOB_SHRINK)) {
        text_printf(t, "%s\"precision\":{", t->at[t->len - 1] == '{' ? "" : ",");
        member(t, "bias", p->learner.precision_bias);
        member(t, "shape", p->learner.precision_shape);
        member(t, "declared", p->learner.precision_declared);
        member(t, "text", p->learner.precision_text);
        member(t, "lens", p->learner.precision_lens);
        member(t, "caller", p->learner.precision_caller);
        text_put(t, "}");
    }
    text_put(t, "},\"objective\":{");
    if (moved(point, from, KNOB_COST))
        member(t, "cost", p->objective.cost);
    if (moved(point, from, KNOB_LATENCY))
        member(t, "latency", p->objective.latency);
    if (moved(point, from, KNOB_FAILURE))
        member(t, "failure", p->objective.failure);
    text_put(t, "}}");
}

void tune_point_words(struct text *t, const struct tune_point *point, const struct tune_point *from)
{
    size_t empty = t->len;
    if (strcmp(point->policy, from->policy) != 0)
        text_printf(t, "policy %s", point->policy);
    for (int k = 0; k < KNOBS; k++)
        if (moved(point, from, k))
            text_printf(t, "%s%s %.3g", t->len > empty ? ", " : "", knobs[k].word, point->knob[k]);
    if (t->len == empty)
        text_put(t, "as it is");
}
