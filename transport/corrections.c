/* SPDX-License-Identifier: MIT */
/*
 * Books are taken from the engine (book_take), so what this finds is what replay without those
 * messages would give, versions and all. A correction carries the version after the newest one of
 * its source: if that source says something new in the meantime, the correction loses, and is found
 * to be due again by the next run. Its feedback_id is a function of the messages seen, so repeating
 * it is recognised.
 *
 * Considered: one correction per field. A label book takes a bounded number of messages.
 */
#include "transport/corrections.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "bandit/rng.h"
#include "core/event/decision_id.h"
#include "core/router/credit.h"

struct subject {
    uint64_t decision, last_seq; /* of its messages */
    char id[DECISION_ID_CAP];
    struct label_book all, stays;
    char source[SOURCES_MAX][NAME_CAP]; /* names of all.source */
};

/* As the wire names them, in the order of enum feedback_field. */
static const char *const field_name[CELLS] = {"quality",       "prompt_tokens",   "cached_tokens",
                                              "output_tokens", "cost_usd",        "latency_ms",
                                              "failed",        "reasoning_tokens"};
static const double USD_PER_NANO = 1e-9;

/* ---- who is concerned ---- */

static uint32_t *place(const struct corrections *c, uint64_t decision)
{
    size_t i = mix64(decision) & (c->index_cap - 1);
    while (c->index[i] && c->subject[c->index[i] - 1]->decision != decision)
        i = (i + 1) & (c->index_cap - 1);
    return &c->index[i];
}

static bool grow(struct corrections *c)
{
    size_t cap = c->cap ? 2 * c->cap : 256;
    struct subject **subject = realloc(c->subject, cap * sizeof *subject);
    uint32_t *index = calloc(2 * cap, sizeof *index);
    if (subject)
        c->subject = subject;
    if (!subject || !index) {
        free(index);
        return false;
    }
    free(c->index);
    c->cap = cap;
    c->index = index;
    c->index_cap = 2 * cap;
    for (size_t i = 0; i < c->n; i++)
        *place(c, c->subject[i]->decision) = (uint32_t)(i + 1);
    return true;
}

bool corrections_concern(struct corrections *c, uint64_t decision)
{
    if (c->n == c->cap && !grow(c))
        return false;
    uint32_t *at = place(c, decision);
    if (*at)
        return true;
    struct subject *s = calloc(1, sizeof *s);
    if (!s)
        return false;
    s->decision = decision;
    c->subject[c->n++] = s;
    *at = (uint32_t)c->n;
    if (c->least == 0 || decision < c->least)
        c->least = decision;
    return true;
}

/* ---- folding ---- */

static uint64_t whole(const json_t *o, const char *name)
{
    return (uint64_t)json_integer_value(json_object_get(o, name));
}

static double real(const json_t *o, const char *name)
{
    return json_number_value(json_object_get(o, name));
}

static void read_message(const json_t *label, struct feedback *f)
{
    const char *source = json_string_value(json_object_get(label, "source"));
    *f = (struct feedback){.digest = whole(label, "seq"), /* no two are alike */
                           .has = (unsigned)whole(label, "has"),
                           .retract = json_is_true(json_object_get(label, "retract")),
                           .version = json_integer_value(json_object_get(label, "version")),
                           .quality = real(label, "quality"),
                           .prompt_tokens = (int64_t)real(label, "prompt_tokens"),
                           .cached_tokens = (int64_t)real(label, "cached_tokens"),
                           .output_tokens = (int64_t)real(label, "output_tokens"),
                           .reasoning_tokens = (int64_t)real(label, "reasoning_tokens"),
                           .cost_nano = (int64_t)real(label, "cost_nano"),
                           .latency_ms = real(label, "latency_ms"),
                           .failed = real(label, "failed") > 0};
    snprintf(f->source, sizeof f->source, "%s", source ? source : "");
}

bool corrections_fold(struct corrections *c, const json_t *label, bool goes)
{
    struct feedback f;
    enum feedback_result result;
    uint32_t at = c->cap ? *place(c, whole(label, "of")) : 0;
    const char *id = json_string_value(json_object_get(label, "decision_id"));
    if (!at)
        return true;
    struct subject *s = c->subject[at - 1];
    int sources = s->all.n_sources;
    read_message(label, &f);
    snprintf(s->id, sizeof s->id, "%s", id ? id : "");
    s->last_seq = f.digest;
    if (book_take(&s->all, &f, &result, NULL) != STATUS_OK ||
        (!goes && book_take(&s->stays, &f, &result, NULL) != STATUS_OK))
        return false;
    if (s->all.n_sources > sources)
        memcpy(s->source[sources], f.source, NAME_CAP);
    return true;
}

/* ---- what is to be said ---- */

static const struct label_cell *cells_of(const struct label_book *b, uint64_t source)
{
    for (int i = 0; i < b->n_sources; i++)
        if (b->source[i] == source)
            return b->cell[i];
    return NULL;
}

static json_t *cell_json(int cell, double value)
{
    switch (1 << cell) {
    case FB_QUALITY:
    case FB_LATENCY:
        return json_real(value);
    case FB_COST:
        return json_real(value * USD_PER_NANO);
    case FB_FAILED:
        return json_boolean(value > 0);
    default:
        return json_integer((json_int_t)value);
    }
}

static json_t *message(const struct subject *s, int source, bool retract)
{
    uint64_t h = hash64(s->source[source], strlen(s->source[source]), s->last_seq);
    char id[NAME_CAP];
    int64_t newest = -1;
    for (int c = 0; c < CELLS; c++) {
        const struct label_cell *cell = &s->all.cell[source][c];
        if (cell->set && cell->version > newest)
            newest = cell->version;
    }
    snprintf(id, sizeof id, "unlearn-%016" PRIx64 "-%s", h, retract ? "out" : "back");
    json_t *m = json_pack("{s:s,s:s,s:s,s:I}", "decision_id", s->id, "feedback_id", id, "source",
                          s->source[source], "version", (json_int_t)(newest + 1));
    if (retract)
        json_object_set_new(m, "retract", json_true());
    return m;
}

/* The corrections of one source: values to put back, fields to retract. */
static int correct_source(const struct subject *s, int source, json_t *items)
{
    const struct label_cell *all = s->all.cell[source],
                            *stays = cells_of(&s->stays, s->all.source[source]);
    json_t *back = message(s, source, false), *out = message(s, source, true);
    int n_back = 0, n_out = 0;
    for (int c = 0; c < CELLS; c++) {
        bool held = stays && stays[c].present;
        bool same = held ? all[c].present && all[c].value >= stays[c].value &&
                               all[c].value <= stays[c].value
                         : !all[c].present;
        if (same)
            continue;
        json_object_set_new(held ? back : out, field_name[c],
                            cell_json(c, held ? stays[c].value : 0));
        n_back += held;
        n_out += !held;
    }
    if (n_back)
        json_array_append(items, back);
    if (n_out)
        json_array_append(items, out);
    json_decref(back);
    json_decref(out);
    return (n_back > 0) + (n_out > 0);
}

int corrections_of(const struct corrections *c, size_t i, json_t *items)
{
    const struct subject *s = c->subject[i];
    int n = 0;
    for (int k = 0; k < s->all.n_sources; k++)
        n += correct_source(s, k, items);
    return n;
}

void corrections_fini(struct corrections *c)
{
    for (size_t i = 0; i < c->n; i++)
        free(c->subject[i]);
    free(c->subject);
    free(c->index);
    memset(c, 0, sizeof *c);
}
