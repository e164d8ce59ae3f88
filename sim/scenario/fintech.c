/* SPDX-License-Identifier: MIT */
/*
 * Outcomes of the fintech scenario. A request has a difficulty, most of it readable (see
 * fintech_text.c) and some not; a model answers well up to its reach and loses quality beyond it,
 * at its own slope; now and then any model botches. So the small model is adequate for most
 * support and poor at most fraud, the large one is rarely needed and dear.
 * Each row draws from streams of (seed, purpose, row): a row is the same whatever the number of
 * rows, and a model's luck does not move another's. Values are rounded to what the files hold
 * (quality 1e-3, dollars 1e-9, milliseconds), so writing and reading back is exact.
 */
#include "sim/scenario/fintech.h"

#include "bandit/rng.h"
#include "core/config/catalog.h"
#include "sim/scenario/fintech_text.h"
#include "store/whole.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { PROMPT_CAP = 4096, MODELS = 3 };
enum purpose { STREAM_TEXT = 1, STREAM_LUCK = 2 /* + model */ };

struct kind {
    const char *name, *tier;
    double usd_in, usd_out;    /* per million tokens */
    double reach, slope;       /* difficulty mastered; quality lost per unit beyond */
    double botch;              /* share of answers that fail regardless */
    double wordy;              /* output tokens against the medium model's */
    double start_ms, token_ms; /* latency */
};

static const struct kind kind[MODELS] = {
    {"fin-small", "small", .10, .10, .26, 1.30, .030, 0.9, 220, 4},
    {"fin-medium", "medium", .50, 1.50, .44, 1.25, .020, 1.0, 380, 9},
    {"fin-large", "large", 2.50, 10.0, .88, 0.70, .012, 1.2, 650, 17},
};

/* Of each task: share of requests, account context sent along, typical answer. */
static const struct {
    double share, context_tokens, answer_tokens;
} mix[FINTECH_TASKS] = {{.64, 300, 60}, {.20, 380, 80}, {.16, 440, 90}};

static enum fintech_task draw_task(struct rng *rng)
{
    double u = rng_uniform(rng);
    if (u < mix[FINTECH_SUPPORT].share)
        return FINTECH_SUPPORT;
    return u < mix[FINTECH_SUPPORT].share + mix[FINTECH_DISPUTE].share ? FINTECH_DISPUTE
                                                                       : FINTECH_FRAUD;
}

static double clip01(double x)
{
    return x < 0 ? 0 : x > 1 ? 1 : x;
}

/* What one model makes of a request of this difficulty. */
static void answer(const struct kind *k, enum fintech_task task, double hard, struct rng *rng,
                   struct table_cells *c, int m)
{
    double beyond = hard - k->reach;
    double q = 0.97 - (beyond > 0 ? k->slope * beyond : 0) + 0.04 * rng_normal(rng);
    if (rng_uniform(rng) < k->botch)
        q *= 0.4;
    c->q[m] = round(1000 * clip01(q)) / 1000;
    double spread = exp(0.35 * rng_normal(rng));
    c->out[m] = 1 + (int32_t)(mix[task].answer_tokens * k->wordy * (0.8 + 0.5 * hard) * spread);
    struct model price = {.price.in = llround(k->usd_in * 1e6),
                          .price.out = llround(k->usd_out * 1e6)};
    c->cost_nano[m] = model_cost_nano(&price, c->in[m], 0, c->out[m]);
    double ms = (k->start_ms + k->token_ms * c->out[m]) * exp(0.2 * rng_normal(rng));
    c->lat_ms[m] = (float)round(ms);
}

static enum status add_row(struct table *t, uint64_t seed, size_t row, struct problem *problem)
{
    char prompt[PROMPT_CAP], id[32];
    struct text text = text_over(prompt, sizeof prompt);
    struct rng rng = rng_stream(seed, STREAM_TEXT, row);
    struct table_cells cells;
    enum fintech_task task = draw_task(&rng);
    double hard = clip01(fintech_text_write(task, &rng, &text) + 0.06 * rng_normal(&rng));
    double context = mix[task].context_tokens * exp(0.3 * rng_normal(&rng));
    int32_t in = (int32_t)(context + (double)text.len / 4);
    for (int m = 0; m < MODELS; m++) {
        struct rng luck = rng_stream(seed, STREAM_LUCK + (uint64_t)m, row);
        cells.in[m] = in;
        answer(&kind[m], task, hard, &luck, &cells, m);
    }
    snprintf(id, sizeof id, "fintech-%llu-%zu", (unsigned long long)seed, row);
    return table_add(t, id, fintech_text_task(task), prompt, text.len, 0, &cells, problem);
}

enum status fintech_table(uint64_t seed, size_t n, struct table *out, struct problem *problem)
{
    struct table t = {.n_models = MODELS};
    enum status s = STATUS_OK;
    if (n < 1 || n > FINTECH_ROWS_MAX)
        return problem_set(problem, STATUS_BAD_REQUEST, "", "a scenario has 1 to %d rows",
                           FINTECH_ROWS_MAX);
    for (int m = 0; s == STATUS_OK && m < MODELS; m++)
        s = table_set_model(&t, m, kind[m].name, kind[m].tier, kind[m].usd_in, kind[m].usd_out,
                            problem);
    for (size_t i = 0; s == STATUS_OK && i < n; i++)
        s = add_row(&t, seed, i, problem);
    if (s == STATUS_OK)
        *out = t;
    else
        table_free(&t);
    return s;
}

const char *fintech_config(void)
{
    return "{\n"
           "  \"rules\": [\n"
           "    {\"words\": [\"fraud\", \"recognise\", \"security\", \"logged\", \"pattern\", "
           "\"compliance\", \"lawyer\"], \"tier\": \"large\"},\n"
           "    {\"task\": \"fraud\", \"tier\": \"large\"},\n"
           "    {\"words\": [\"dispute\", \"chargeback\", \"refund\", \"charged\", \"cancelled\", "
           "\"fee\"], \"tier\": \"medium\"},\n"
           "    {\"task\": \"dispute\", \"tier\": \"medium\"}\n"
           "  ]\n"
           "}\n";
}

const char *fintech_values(void)
{
    return "{\"value\":{\"task\":{\"fraud\":5,\"dispute\":1.5,\"support\":0.5}}}";
}

static json_t *row_json(const struct table *t, size_t row)
{
    json_t *in = json_array(), *q = json_array(), *cost = json_array(), *out = json_array(),
           *lat = json_array();
    for (int m = 0; m < t->n_models; m++) {
        size_t cell = table_cell(t, row, m);
        json_array_append_new(in, json_integer(t->in[cell]));
        json_array_append_new(q, json_real(t->q[cell]));
        json_array_append_new(cost, json_real((double)t->cost_nano[cell] / 1e9));
        json_array_append_new(out, json_integer(t->out[cell]));
        json_array_append_new(lat, json_real((double)t->lat_ms[cell] / 1000));
    }
    return json_pack("{s:s,s:s,s:s,s:o,s:o,s:o,s:o,s:o}", "id", table_id(t, row), "task",
                     table_task(t, row), "prompt", table_prompt(t, row), "in", in, "out", out, "q",
                     q, "cost", cost, "lat", lat);
}

static bool write_rows(FILE *f, const struct table *t)
{
    for (size_t i = 0; i < t->n; i++) {
        json_t *row = row_json(t, i);
        bool ok = row != NULL && json_dumpf(row, f, JSON_COMPACT | JSON_REAL_PRECISION(12)) == 0 &&
                  fputc('\n', f) != EOF;
        json_decref(row);
        if (!ok)
            return false;
    }
    return true;
}

static bool write_models(FILE *f, const struct table *t)
{
    json_t *models = json_array();
    for (int m = 0; m < t->n_models; m++)
        json_array_append_new(models,
                              json_pack("{s:s,s:s,s:f,s:f}", "name", t->model[m].name, "tier",
                                        t->model[m].tier, "usd_per_mtok_in", t->model[m].usd_in,
                                        "usd_per_mtok_out", t->model[m].usd_out));
    json_t *root = json_pack("{s:o,s:s,s:s}", "models", models, "quality",
                             "graded 0 to 1 by the generator", "cost", "tokens times list price");
    bool ok = root != NULL && json_dumpf(root, f, JSON_INDENT(1) | JSON_REAL_PRECISION(12)) == 0;
    json_decref(root);
    return ok && fputc('\n', f) != EOF;
}

static bool write_config(FILE *f, const struct table *t)
{
    (void)t;
    return fputs(fintech_config(), f) != EOF;
}

static enum status write_file(const char *dir, const char *name,
                              bool (*write)(FILE *f, const struct table *t), const struct table *t,
                              struct problem *problem)
{
    char path[4096];
    if (snprintf(path, sizeof path, "%s/%s", dir, name) >= (int)sizeof path)
        return problem_set(problem, STATUS_BAD_REQUEST, "", "the folder's name is too long");
    struct whole file;
    enum status s = whole_begin(&file, path, problem);
    if (s == STATUS_OK && !write(file.f, t))
        s = problem_set(problem, STATUS_INTERNAL, "", "%s: cannot be written", path);
    return whole_end(&file, s, problem);
}

enum status fintech_write(const char *dir, const struct table *t, struct problem *problem)
{
    if (mkdir(dir, 0777) != 0 && errno != EEXIST)
        return problem_set(problem, STATUS_BAD_REQUEST, "", "%s: %s", dir, strerror(errno));
    enum status s = write_file(dir, "models.json", write_models, t, problem);
    if (s == STATUS_OK)
        s = write_file(dir, "prompts.jsonl", write_rows, t, problem);
    if (s == STATUS_OK)
        s = write_file(dir, "purser.json", write_config, t, problem);
    return s;
}
