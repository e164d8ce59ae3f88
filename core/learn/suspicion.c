/* SPDX-License-Identifier: MIT */
/*
 * Marks are copies of the sums at earlier moments, dense near both ends of what there is, so that
 * one of them lies near any moment from which reports may have been false. At a look each mark
 * splits each tenant's labels into before and since. The change of its mean, less the mean change
 * of the others (each against its own past, weighted by labels since), is held against Bernstein's
 * inequality with the sums' own variances. The same for how many labels lie far from the
 * prediction: where labels scatter little, a few false ones show there long before they move a
 * mean.
 *
 * LEVEL 16 is exp(-16) = 1e-7 a side and look. Looks at nearly the same stretches are nearly the
 * same look; how often an alarm is false is measured in tests/test_influence.c.
 *
 * Considered: the level of a tenant against the others' instead of its change. Tenants do differ,
 * beyond what features know of them, so only a gross difference may count (GROSS), and that is all
 * that can be said of a tenant that was never otherwise. Who is unlike is told by the majority of
 * the evidence: of two tenants it cannot be known which one lies.
 */
#include "core/learn/suspicion.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MARKS = 24, ENOUGH = 32, STREAMS = 2 };
static const double LEVEL = 16, GROSS = 0.25, NEAR = 2, FAR = 4;

struct tally {
    int64_t n;
    double sum[STREAMS], square[STREAMS]; /* of residuals; of those far off, as 0 and 1 */
};
struct mark {
    int64_t labels; /* of the model, when it was made */
    struct tally of[SUSPECTS];
};
struct watch {
    int64_t labels;
    double square; /* of the residuals of the first SUSPECT_FROM labels */
    struct tally of[SUSPECTS];
    struct mark mark[MARKS]; /* oldest first */
    int marks;
    struct finding told[SUSPECTS]; /* unlike: it lasts */
};
struct suspicion {
    int n;
    char tenant[SUSPECTS][NAME_CAP]; /* the last place: all others */
    struct watch *watch[MODELS_MAX];
};

struct suspicion *suspicion_new(void)
{
    struct suspicion *s = calloc(1, sizeof *s);
    if (s)
        strcpy(s->tenant[SUSPECTS - 1], "*");
    return s;
}

void suspicion_free(struct suspicion *s)
{
    for (int a = 0; s && a < MODELS_MAX; a++)
        free(s->watch[a]);
    free(s);
}

static int place(struct suspicion *s, const char *tenant)
{
    for (int i = 0; i < s->n; i++)
        if (strcmp(s->tenant[i], tenant) == 0)
            return i;
    if (s->n == SUSPECTS - 1)
        return SUSPECTS - 1;
    strncpy(s->tenant[s->n], tenant, NAME_CAP - 1);
    return s->n++;
}

/* ---- marks ---- */

/* How much there is before a moment for what there is since. */
static double odds(const struct watch *w, int i)
{
    double at = (double)w->mark[i].labels;
    return at / ((double)w->labels - at + 1);
}

/* Takes out the one whose neighbours lie closest together. */
static void thin(struct watch *w)
{
    int least = 1;
    double ratio = INFINITY;
    for (int i = 1; i < w->marks - 1; i++) {
        double r = odds(w, i + 1) / odds(w, i - 1);
        if (r < ratio) {
            ratio = r;
            least = i;
        }
    }
    w->marks--;
    memmove(&w->mark[least], &w->mark[least + 1], (size_t)(w->marks - least) * sizeof w->mark[0]);
}

static void set_mark(struct watch *w)
{
    if (w->marks == MARKS)
        thin(w);
    struct mark *m = &w->mark[w->marks++];
    m->labels = w->labels;
    memcpy(m->of, w->of, sizeof m->of);
}

/* ---- looking ---- */

/* A tenant's labels before and since a mark. */
struct split {
    int64_t before, since;
    double moved, variance; /* of the mean; of one label */
};

static bool split(const struct tally *then, const struct tally *now, int k, struct split *out)
{
    int64_t since = now->n - then->n;
    if (then->n < ENOUGH || since < ENOUGH)
        return false;
    double b = (double)then->n, a = (double)since;
    double old_mean = then->sum[k] / b, new_mean = (now->sum[k] - then->sum[k]) / a;
    double old_v = then->square[k] / b - old_mean * old_mean;
    double new_v = (now->square[k] - then->square[k]) / a - new_mean * new_mean;
    *out = (struct split){.before = then->n,
                          .since = since,
                          .moved = new_mean - old_mean,
                          .variance = fmax((b * old_v + a * new_v) / (a + b), 0)};
    return true;
}

static double thinness(const struct split *s)
{
    return 1 / (double)s->before + 1 / (double)s->since;
}

/* What all of them did: sums over tenants, from which one can be taken out. */
struct others {
    double before, since, moved, variance;
};

static void other(struct others *o, const struct split *s, double sign)
{
    double a = (double)s->since;
    o->before += sign * (double)s->before;
    o->since += sign * a;
    o->moved += sign * a * s->moved;
    o->variance += sign * a * a * s->variance * thinness(s);
}

/* How far a tenant's change is beyond what chance explains, as a multiple of that. */
static double beyond(const struct split *s, const struct others *rest, double *moved)
{
    if (rest->since < ENOUGH)
        return 0;
    double by = rest->moved / rest->since, v = rest->variance / (rest->since * rest->since);
    *moved = s->moved - by;
    return fabs(*moved) /
           (sqrt(2 * LEVEL * (s->variance * thinness(s) + fmax(v, 0))) + LEVEL / 3 * thinness(s));
}

/* Of each tenant what shows most: by how much beyond chance, and what. */
struct most {
    double ratio;
    struct finding f;
};

static void note(struct most *m, double ratio, bool odd, double moved, int64_t labels)
{
    if (ratio > m->ratio)
        *m = (struct most){ratio, {.odd = odd, .moved = moved, .labels = labels}};
}

/* Whoever is found already is no measure for others. Beside one who moves all others seem to have
 * moved the other way, and those whose labels scatter less show it sooner: so what shows is laid to
 * whoever moved furthest for its number of labels. */
static void look_at(const struct watch *w, const struct mark *m, int k, struct most *most)
{
    struct split s[SUSPECTS];
    bool has[SUSPECTS];
    struct others all = {0};
    int who = -1, parts = 0, known = 0;
    double shows = 0, furthest = 0, by = 0;
    for (int i = 0; i < SUSPECTS; i++) {
        has[i] = split(&m->of[i], &w->of[i], k, &s[i]);
        known += w->of[i].n >= ENOUGH && !w->told[i].unlike;
        if (!has[i] || w->told[i].unlike)
            continue;
        other(&all, &s[i], 1);
        parts++;
    }
    if (parts < 3 && parts < known) /* too few have spoken since to tell who of them has moved */
        return;
    for (int i = 0; i < SUSPECTS; i++) {
        struct others rest = all;
        double moved = 0;
        if (!has[i])
            continue;
        if (!w->told[i].unlike)
            other(&rest, &s[i], -1);
        double r = beyond(&s[i], &rest, &moved), far = fabs(moved) / sqrt(thinness(&s[i]));
        if (w->told[i].unlike) {
            note(&most[i], r, k == 1, moved, s[i].since);
            continue;
        }
        shows = fmax(shows, r);
        if (far > furthest) {
            furthest = far;
            who = i;
            by = moved;
        }
    }
    if (who >= 0)
        note(&most[who], shows, k == 1, by, s[who].since);
}

/* Against the others as they are: what remains where there is no before. */
static void look_across(const struct watch *w, struct most *most)
{
    double n = 0, sum = 0;
    for (int i = 0; i < SUSPECTS; i++) {
        n += w->told[i].unlike ? 0 : (double)w->of[i].n;
        sum += w->told[i].unlike ? 0 : w->of[i].sum[0];
    }
    for (int i = 0; i < SUSPECTS; i++) {
        const struct tally *t = &w->of[i];
        bool counted = !w->told[i].unlike;
        double own = (double)t->n, rest = n - (counted ? own : 0);
        if (own < 2 * ENOUGH || rest < 2 * ENOUGH)
            continue;
        double off = t->sum[0] / own - (sum - (counted ? t->sum[0] : 0)) / rest;
        double r = fabs(off) / (GROSS + sqrt(LEVEL / 2 * (1 / own + 1 / rest))); /* Hoeffding */
        note(&most[i], r, false, off, t->n);
    }
}

/* One begins at a time, the one that shows most: beside it the others look changed as well. */
static int look(struct suspicion *s, int arm, struct finding found[FINDINGS_MOST])
{
    struct watch *w = s->watch[arm];
    struct most most[SUSPECTS] = {{0}};
    int first = -1, n = 0;
    for (int m = 0; m < w->marks; m++)
        for (int k = 0; k < STREAMS; k++)
            look_at(w, &w->mark[m], k, most);
    look_across(w, most);
    for (int i = 0; i < SUSPECTS; i++) {
        struct finding *told = &w->told[i];
        if (!told->unlike && most[i].ratio > 1 && (first < 0 || most[i].ratio > most[first].ratio))
            first = i;
        if (told->unlike && most[i].ratio < 0.5 && n < FINDINGS_MOST - 1) {
            told->unlike = false;
            found[n++] = *told;
        }
    }
    if (first >= 0) {
        struct finding *told = &w->told[first];
        *told = most[first].f;
        told->arm = arm;
        told->unlike = true;
        memcpy(told->tenant, s->tenant[first], NAME_CAP);
        found[n++] = *told;
    }
    return n;
}

/* How far off a label is, from 0 at NEAR usual deviations to 1 at FAR: no edge on which labels of
 * one kind could fall to either side. */
static double oddness(const struct watch *w, double residual)
{
    double usual = sqrt(w->square / SUSPECT_FROM);
    return fmin(fmax((fabs(residual) - NEAR * usual) / ((FAR - NEAR) * usual + 1e-9), 0), 1);
}

int suspicion_add(struct suspicion *s, const char *tenant, int arm, double residual,
                  struct finding found[FINDINGS_MOST])
{
    struct watch *w = s->watch[arm];
    if (!w)
        w = s->watch[arm] = calloc(1, sizeof *w);
    if (!w || !isfinite(residual)) /* no memory: it is not watched */
        return 0;
    if (++w->labels <= SUSPECT_FROM) {
        w->square += residual * residual;
        return 0;
    }
    struct tally *t = &w->of[place(s, tenant)];
    double r[STREAMS] = {residual, oddness(w, residual)};
    t->n++;
    for (int k = 0; k < STREAMS; k++) {
        t->sum[k] += r[k];
        t->square[k] += r[k] * r[k];
    }
    if (w->labels % SUSPECT_STEP != 0)
        return 0;
    int n = look(s, arm, found);
    set_mark(w);
    return n;
}

bool suspicion_at(const struct suspicion *s, int i, struct finding *out)
{
    for (int a = 0; a < MODELS_MAX; a++)
        for (int k = 0; s->watch[a] && k < SUSPECTS; k++)
            if (s->watch[a]->told[k].unlike && i-- == 0) {
                *out = s->watch[a]->told[k];
                return true;
            }
    return false;
}
