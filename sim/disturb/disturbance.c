/* SPDX-License-Identifier: MIT */
/*
 * The kinds of disturbances and their knobs, a table of fields each. A knob that a kind does not
 * have is refused like any unknown key, with the nearest one that it has.
 */
#include "sim/disturb/disturbance.h"

#include "core/encoding/fields.h"
#include "sim/spec.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define D(member) .offset = offsetof(struct disturbance, member)
#define REAL .kind = FIELD_REAL
#define INT .kind = FIELD_INT
#define NAME .kind = FIELD_NAME, .max = NAME_LEN, .text = ""
#define KIND                                                                                       \
    {                                                                                              \
        .path = "kind", .other = "required", .help = "what happens", .kind = FIELD_OTHER           \
    }
#define AT                                                                                         \
    {                                                                                              \
        .path = "at", .help = "share of the counted requests at which it begins", REAL, D(at),     \
        .max = 1                                                                                   \
    }
#define UNTIL                                                                                      \
    {                                                                                              \
        .path = "until", .help = "share at which it ends", REAL, D(until), .max = 1, .number = 1   \
    }
#define MODEL                                                                                      \
    {                                                                                              \
        .path = "model", .help = "to which it happens; none: to all", NAME, D(name)                \
    }
#define SHARE                                                                                      \
    {                                                                                              \
        .path = "share", .help = "of the requests concerned", REAL, D(share), .max = 1,            \
        .number = 1                                                                                \
    }

static const struct field drift[] = {
    KIND,
    AT,
    UNTIL,
    {.path = "shape",
     .help = "abrupt, gradual, seasonal or alternating",
     .kind = FIELD_NAME,
     D(form),
     .max = NAME_LEN,
     .text = "abrupt"},
    {.path = "over",
     .help = "share of the requests it takes, or its period",
     REAL,
     D(over),
     .min = 1e-6,
     .max = 1,
     .number = 0.2},
    {.path = "weight", .help = "how much is taken over", REAL, D(weight), .max = 1, .number = 1},
    {.path = "turn",
     .help = "how many models on",
     INT,
     D(turn),
     .min = 1,
     .max = MODELS_MAX,
     .number = 1}};
static const struct field regression[] = {KIND,
                                          AT,
                                          UNTIL,
                                          MODEL,
                                          {.path = "shift",
                                           .help = "added to mean quality",
                                           REAL,
                                           D(shift),
                                           .min = -1,
                                           .max = 1,
                                           .number = -0.3}};
static const struct field price[] = {KIND,
                                     AT,
                                     UNTIL,
                                     MODEL,
                                     {.path = "factor",
                                      .help = "on prices, or latency",
                                      REAL,
                                      D(factor),
                                      .min = 1e-6,
                                      .max = 1e6,
                                      .number = 10}};
static const struct field outage[] = {KIND,
                                      AT,
                                      UNTIL,
                                      MODEL,
                                      SHARE,
                                      {.path = "factor",
                                       .help = "on prices, or latency",
                                       REAL,
                                       D(factor),
                                       .min = 1,
                                       .max = 1e3,
                                       .number = 1}};
static const struct field absent[] = {KIND, AT, UNTIL, MODEL};
static const struct field tokens[] = {KIND,
                                      AT,
                                      UNTIL,
                                      MODEL,
                                      {.path = "tail",
                                       .help = "index of the Pareto distribution of lengths",
                                       REAL,
                                       D(tail),
                                       .min = 1.01,
                                       .max = 100,
                                       .number = 2}};
static const struct field tenants[] = {
    KIND,
    {.path = "n", .help = "how many", INT, D(n), .min = 1, .max = TENANTS_MAX, .number = 10},
    {.path = "skew", .help = "of the law of Zipf", REAL, D(skew), .max = 10, .number = 1}};
static const struct field arrivals[] = {
    KIND,
    {.path = "day", .help = "requests in a day", INT, D(day), .min = 2, .max = 1e7, .number = 2000},
    {.path = "swing", .help = "of the rate over a day", REAL, D(swing), .max = 0.99, .number = 0.8},
    {.path = "gap_s",
     .help = "mean seconds between requests",
     REAL,
     D(gap_s),
     .min = 1e-3,
     .max = 1e5,
     .number = 1}};
static const struct field delay[] = {
    KIND,
    AT,
    UNTIL,
    {.path = "law",
     .help = "fixed, exponential, lognormal, reward or batch",
     .kind = FIELD_NAME,
     D(form),
     .max = NAME_LEN,
     .text = "exponential"},
    {.path = "mean",
     .help = "requests",
     INT,
     D(mean),
     .min = 1,
     .max = DISTURBED_DELAY_MAX,
     .number = 100},
    {.path = "spread", .help = "of delays", REAL, D(spread), .max = 3, .number = 1}};
static const struct field missing[] = {
    KIND,
    AT,
    UNTIL,
    MODEL,
    SHARE,
    {.path = "low", .help = "least quality concerned", REAL, D(low), .max = 1},
    {.path = "high", .help = "greatest quality concerned", REAL, D(high), .max = 1, .number = 1}};
static const struct field repeat[] = {
    KIND,
    AT,
    UNTIL,
    SHARE,
    {.path = "mean", .help = "requests", INT, D(mean), .max = DISTURBED_DELAY_MAX, .number = 100}};
static const struct field judge[] = {
    KIND,
    AT,
    UNTIL,
    MODEL,
    {.path = "noise", .help = "of what is told", REAL, D(noise), .max = 1},
    {.path = "shift", .help = "added to mean quality", REAL, D(shift), .min = -1, .max = 1}};
static const struct field poison[] = {
    KIND, AT, UNTIL, SHARE, {.path = "tenant", .help = "whose feedback it is", NAME, D(tenant)}};
static const struct field restart[] = {KIND,
                                       AT,
                                       {.path = "keep",
                                        .help = "what was learned survives",
                                        .kind = FIELD_BOOL,
                                        D(keep),
                                        .number = 1}};
static const struct field memory[] = {KIND,
                                      {.path = "open",
                                       .help = "decisions that are remembered",
                                       INT,
                                       D(n),
                                       .min = 1,
                                       .max = 1e6,
                                       .number = 64}};

#define TABLE(rows)                                                                                \
    {                                                                                              \
        rows, sizeof rows / sizeof rows[0]                                                         \
    }
static const struct {
    const char *name;
    struct field_table fields;
} kind[DISTURB_KINDS] = {
    [DISTURB_DRIFT] = {"drift", TABLE(drift)},
    [DISTURB_REGRESSION] = {"regression", TABLE(regression)},
    [DISTURB_PRICE] = {"price", TABLE(price)},
    [DISTURB_OUTAGE] = {"outage", TABLE(outage)},
    [DISTURB_ABSENT] = {"absent", TABLE(absent)},
    [DISTURB_TOKENS] = {"tokens", TABLE(tokens)},
    [DISTURB_TENANTS] = {"tenants", TABLE(tenants)},
    [DISTURB_ARRIVALS] = {"arrivals", TABLE(arrivals)},
    [DISTURB_DELAY] = {"delay", TABLE(delay)},
    [DISTURB_MISSING] = {"missing", TABLE(missing)},
    [DISTURB_REPEAT] = {"repeat", TABLE(repeat)},
    [DISTURB_JUDGE] = {"judge", TABLE(judge)},
    [DISTURB_POISON] = {"poison", TABLE(poison)},
    [DISTURB_RESTART] = {"restart", TABLE(restart)},
    [DISTURB_MEMORY] = {"memory", TABLE(memory)},
};

static const char *const shape_name[] = {"abrupt", "gradual", "seasonal", "alternating", NULL};
static const char *const law_name[] = {"fixed",  "exponential", "lognormal",
                                       "reward", "batch",       NULL};

const char *disturbance_name(enum disturbance_kind k)
{
    return kind[k].name;
}

size_t disturbance_at(double share, size_t n)
{
    return (size_t)llround(share * (double)n);
}

bool disturbance_on(const struct disturbance *d, size_t i, size_t n)
{
    return i >= disturbance_at(d->at, n) && i < disturbance_at(d->until, n);
}

/* Finds a word among words (NULL at the end); tells those there are. */
static enum status find(const char *word, const char *const *words, const struct json_at *at,
                        int *out, struct problem *problem)
{
    char known[200], quoted[QUOTE_CAP];
    struct text t = text_over(known, sizeof known);
    for (*out = 0; words[*out] != NULL; ++*out) {
        if (strcmp(words[*out], word) == 0)
            return STATUS_OK;
        text_printf(&t, "%s%s", *out > 0 ? ", " : "", words[*out]);
    }
    return json_fail(problem, STATUS_BAD_REQUEST, at, "\"%s\" is none of %s",
                     json_quote(quoted, word), known);
}

static enum status find_kind(const json_t *v, const struct json_at *at, int *out,
                             struct problem *problem)
{
    struct json_at kind_at = {.up = at, .key = "kind"};
    const char *word = json_string_value(json_object_get(v, "kind")), *names[DISTURB_KINDS + 1];
    for (int i = 0; i < DISTURB_KINDS; i++)
        names[i] = kind[i].name;
    names[DISTURB_KINDS] = NULL;
    return find(word != NULL ? word : "", names, &kind_at, out, problem);
}

static enum status find_model(struct disturbance *d, const struct json_at *at,
                              const struct table *t, struct problem *problem)
{
    struct json_at model_at = {.up = at, .key = "model"};
    d->model = -1;
    for (int m = 0; m < t->n_models; m++)
        if (strcmp(d->name, t->model[m].engine_name) == 0)
            d->model = m;
    bool needs = d->kind == DISTURB_REGRESSION || d->kind == DISTURB_ABSENT;
    if (d->name[0] != '\0' && d->model < 0)
        return json_fail(problem, STATUS_UNKNOWN_MODEL, &model_at, "there is no model %s", d->name);
    if (needs && d->model < 0)
        return json_fail(problem, STATUS_BAD_REQUEST, &model_at, "missing: which model is it");
    return STATUS_OK;
}

static enum status read_one(json_t *v, const struct json_at *at, const struct table *t,
                            struct disturbance *d, struct problem *problem)
{
    struct json_at shape_at = {.up = at, .key = "shape"}, law_at = {.up = at, .key = "law"},
                   until_at = {.up = at, .key = "until"};
    void *base[] = {d};
    int k, word;
    *d = (struct disturbance){.until = 1};
    enum status s = find_kind(v, at, &k, problem);
    if (s != STATUS_OK)
        return s;
    d->kind = (enum disturbance_kind)k;
    fields_default(kind[k].fields, 0, d);
    s = fields_read(kind[k].fields, v, at, base, NULL, problem);
    if (s == STATUS_OK)
        s = find_model(d, at, t, problem);
    if (s == STATUS_OK && d->kind == DISTURB_DRIFT) {
        s = find(d->form, shape_name, &shape_at, &word, problem);
        d->shape = (enum drift_shape)word;
    }
    if (s == STATUS_OK && d->kind == DISTURB_DELAY) {
        s = find(d->form, law_name, &law_at, &word, problem);
        d->law = (enum delay_law)word;
    }
    if (s == STATUS_OK && d->until <= d->at && d->kind != DISTURB_RESTART)
        s = json_fail(problem, STATUS_BAD_REQUEST, &until_at, "must be later than \"at\"");
    return s;
}

enum status disturbances_read(const json_t *v, const struct json_at *at, const struct table *t,
                              struct disturbances *out, struct problem *problem)
{
    struct json_at list = {.up = at, .key = "disturbances"};
    out->n = 0;
    if (v == NULL)
        return STATUS_OK;
    enum status s = spec_list(v, &list, 0, DISTURBANCES_MAX, problem);
    for (size_t i = 0; s == STATUS_OK && i < json_array_size(v); i++) {
        struct json_at here = {.up = &list, .index = (int)i};
        s = read_one(json_array_get(v, i), &here, t, &out->item[i], problem);
        out->n = (int)i + 1;
    }
    return s;
}

void disturbance_schema(struct text *out)
{
    for (int k = 0; k < DISTURB_KINDS; k++) {
        char name[64];
        snprintf(name, sizeof name, "\"const\":\"%s\"", kind[k].name);
        const struct field_shape shapes[] = {{.path = "kind", .json = name}, {0}};
        text_put(out, k > 0 ? ",{" : "{");
        fields_schema(kind[k].fields, shapes, out);
        text_put(out, "}");
    }
}
