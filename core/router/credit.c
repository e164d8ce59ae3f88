/* SPDX-License-Identifier: MIT */
/*
 * Every message about a decision goes through its label book; the labels are a function of the
 * whole book, recomputed after each message, so the order of messages cannot matter: late,
 * repeated, amended and retracted feedback end in the same state (exactly so when versions are
 * given).
 *
 * Without a feedback_id a message is identified by its content: the same content twice is a
 * repetition. Someone who wants to return to an earlier value gives an id or a version.
 */
#include "core/router/credit.h"

#include <string.h>
#include "bandit/repro.h"
#include "bandit/rng.h"

/* Their quality labels count only while no other source has one, each only while those before it
 * have none. */
enum { RESERVED = 2 };
static const char *const reserved[RESERVED] = {ESCALATION_SOURCE, SILENCE_SOURCE};

static uint64_t name_hash(const char *name)
{
    uint64_t h = hash64(name, strlen(name), 1);
    return h ? h : 1;
}

const char *source_name(const struct feedback *f)
{
    return f->source[0] ? f->source : "default";
}

bool batch_named(const char *batch_id, const char *name)
{
    size_t n = strlen(name);
    if (strncmp(batch_id, name, n) != 0)
        return false;
    const char *rest = batch_id + n;
    return rest[0] == '\0' ||
           (rest[0] == '-' && rest[1] != '\0' && rest[1 + strspn(rest + 1, "0123456789")] == '\0');
}

/* ---- taking a message ---- */

static int find_source(const struct label_book *b, uint64_t source)
{
    for (int i = 0; i < b->n_sources; i++)
        if (b->source[i] == source)
            return i;
    return -1;
}

bool source_reserved(const char *name)
{
    for (int i = 0; i < RESERVED; i++)
        if (strcmp(name, reserved[i]) == 0)
            return true;
    return false;
}

/* Whether n of most places are taken for this message: one among the sources, and one among the
 * messages, is kept for each reserved source until it speaks. */
static bool full(int n, int most, const struct label_book *b, const struct feedback *f)
{
    if (n + RESERVED < most)
        return false;
    int kept = 0;
    for (int i = 0; i < RESERVED; i++)
        kept += strcmp(f->source, reserved[i]) != 0 && find_source(b, name_hash(reserved[i])) < 0;
    return n + kept >= most;
}

static enum status check_seen(const struct label_book *b, const struct feedback *f, uint64_t id,
                              bool *duplicate, struct problem *problem)
{
    *duplicate = false;
    for (int i = 0; i < b->n_seen; i++) {
        if (b->seen_id[i] != id)
            continue;
        if (b->seen_digest[i] == f->digest) {
            *duplicate = true;
            return STATUS_OK;
        }
        if (id != 0)
            return problem_set(problem, STATUS_CONFLICT, "/feedback_id",
                               "this feedback_id was used for this decision with another body; "
                               "give a new feedback_id, or the same body to repeat it");
    }
    bool after = f->retract || source_reserved(f->source); /* has a place after all others */
    if (full(b->n_seen, after ? SEEN_MAX : SEEN_REPORTS + RESERVED, b, f))
        return problem_set(problem, STATUS_CONFLICT, "/decision_id",
                           "a decision takes at most %d distinct feedback messages, and %d more "
                           "that retract",
                           SEEN_REPORTS, SEEN_MAX - RESERVED - SEEN_REPORTS);
    return STATUS_OK;
}

static int64_t version_of(const struct label_book *b, const struct feedback *f, int source)
{
    if (f->version >= 0)
        return f->version;
    int64_t newest = -1;
    for (int c = 0; c < CELLS && source < b->n_sources; c++)
        if (b->cell[source][c].set && b->cell[source][c].version > newest)
            newest = b->cell[source][c].version;
    return newest + 1;
}

static double field_value(const struct feedback *f, int cell)
{
    switch (1 << cell) {
    case FB_QUALITY:
        return f->quality;
    case FB_PROMPT_TOKENS:
        return (double)f->prompt_tokens;
    case FB_CACHED_TOKENS:
        return (double)f->cached_tokens;
    case FB_OUTPUT_TOKENS:
        return (double)f->output_tokens;
    case FB_COST:
        return (double)f->cost_nano;
    case FB_LATENCY:
        return f->latency_ms;
    case FB_REASONING_TOKENS:
        return (double)f->reasoning_tokens;
    default:
        return f->failed ? 1 : 0;
    }
}

/* Writes the cells that this message wins; tells whether any was won, and whether one was held
 * before. */
static bool write_cells(struct label_book *b, const struct feedback *f, int source, int64_t version,
                        bool *amends)
{
    unsigned fields = f->retract && f->has == 0 ? (1u << CELLS) - 1 : f->has;
    bool won = false;
    *amends = false;
    for (int c = 0; c < CELLS; c++) {
        struct label_cell *cell = &b->cell[source][c];
        if (!(fields & (1u << c)) || (cell->set && version <= cell->version))
            continue;
        won = true;
        *amends |= cell->present;
        *cell = (struct label_cell){.version = version,
                                    .value = f->retract ? 0 : field_value(f, c),
                                    .set = true,
                                    .present = !f->retract};
    }
    return won;
}

enum status book_take(struct label_book *b, const struct feedback *f, enum feedback_result *result,
                      struct problem *problem)
{
    uint64_t id = f->feedback_id[0] ? name_hash(f->feedback_id) : 0;
    bool duplicate, amends;
    enum status s = check_seen(b, f, id, &duplicate, problem);
    if (s != STATUS_OK)
        return s;
    *result = FEEDBACK_DUPLICATE;
    if (duplicate)
        return STATUS_OK;
    uint64_t source = name_hash(source_name(f));
    int at = find_source(b, source);
    if (at < 0 && full(b->n_sources, SOURCES_MAX, b, f))
        return problem_set(problem, STATUS_CONFLICT, "/source",
                           "a decision takes feedback from at most %d sources",
                           SOURCES_MAX - RESERVED);
    if (at < 0)
        at = b->n_sources;
    *result = FEEDBACK_SUPERSEDED;
    if (!write_cells(b, f, at, version_of(b, f, at), &amends))
        return STATUS_OK;
    if (at == b->n_sources) {
        b->source[at] = source;
        b->n_sources++;
    }
    b->seen_id[b->n_seen] = id;
    b->seen_digest[b->n_seen] = f->digest;
    b->n_seen++;
    *result = f->retract ? FEEDBACK_RETRACTED : amends ? FEEDBACK_AMENDED : FEEDBACK_APPLIED;
    return STATUS_OK;
}

/* ---- what it amounts to ---- */

/* The average over the sources that hold this field, those with a bit in `except` left out; false
 * if none does. Added up in order of size: the order of arrival must not reach the last bit. */
static bool average_but(const struct label_book *b, enum feedback_field field, unsigned except,
                        double *out)
{
    int cell = __builtin_ctz((unsigned)field), n = 0;
    double value[SOURCES_MAX], sum = 0;
    for (int s = 0; s < b->n_sources; s++) {
        if ((except >> s & 1) || !b->cell[s][cell].present)
            continue;
        int at = n++;
        for (; at > 0 && value[at - 1] > b->cell[s][cell].value; at--)
            value[at] = value[at - 1];
        value[at] = b->cell[s][cell].value;
    }
    for (int i = 0; i < n; i++)
        sum += value[i];
    if (n)
        *out = sum / n;
    return n > 0;
}

bool credit_average(const struct label_book *b, enum feedback_field field, double *out)
{
    return average_but(b, field, 0, out);
}

/* Of the quality labels: those of reserved sources count only while nobody else speaks, the last in
 * rank left out first. */
static bool average_quality(const struct label_book *b, double *out)
{
    unsigned except = 0;
    int at[RESERVED];
    for (int i = 0; i < RESERVED; i++) {
        at[i] = find_source(b, name_hash(reserved[i]));
        except |= at[i] >= 0 ? 1u << at[i] : 0;
    }
    bool has = average_but(b, FB_QUALITY, except, out);
    for (int i = 0; i < RESERVED && !has; i++)
        has = at[i] >= 0 && average_but(b, FB_QUALITY, ~(1u << at[i]), out);
    return has;
}

static int64_t to_nano(double pico)
{
    double nano = pico / 1000 + 0.5;
    return nano >= 9.2e18 ? INT64_MAX : nano < 0 ? 0 : (int64_t)nano;
}

static void credit_cost(const struct label_book *b, const struct decision_row *row,
                        struct credit *out)
{
    double in = (double)row->prompt_tokens, cached = (double)row->cached_tokens, tokens = 0,
           thought = 0, cost = 0;
    (void)credit_average(b, FB_PROMPT_TOKENS, &in);
    (void)credit_average(b, FB_CACHED_TOKENS, &cached);
    double fresh = in > cached ? in - cached : 0;
    double input = (double)row->price_in * fresh + (double)row->price_cached * cached;
    (void)credit_average(b, FB_REASONING_TOKENS, &thought);
    bool counted = credit_average(b, FB_OUTPUT_TOKENS, &tokens),
         reported = credit_average(b, FB_COST, &cost);
    bool has_tokens = counted;
    if (!has_tokens && reported && row->price_out > 0) {
        double implied = (cost * 1000 - input) / (double)row->price_out;
        tokens = implied > 0 ? implied : 0;
        has_tokens = true;
    }
    if (has_tokens && !out->has[TARGET_TOKENS]) {
        out->has[TARGET_TOKENS] = true;
        out->label[TARGET_TOKENS] = repro_log(1 + tokens);
    }
    out->has_cost = reported || has_tokens;
    out->counted = counted;
    out->tokens = has_tokens ? (int64_t)(in + tokens + 0.5) : -1;
    if (!out->has_cost)
        return;
    double plain = has_tokens ? (double)row->price_out * tokens : 0;
    double apart =
        (double)(row->price_reasoning - row->price_out) * (thought < tokens ? thought : tokens);
    out->priced_nano = to_nano(input + plain);
    out->computed_nano = to_nano(input + plain + apart);
    out->cost_nano = reported ? (int64_t)(cost + 0.5) : out->computed_nano;
    out->learned_nano = out->cost_nano;
}

void credit_of(const struct label_book *b, const struct decision_row *row, struct credit *out)
{
    double v;
    memset(out, 0, sizeof *out);
    credit_cost(b, row, out);
    bool latency = credit_average(b, FB_LATENCY, &v);
    if (latency)
        out->label[TARGET_LATENCY] = repro_log(1 + v);
    out->has[TARGET_LATENCY] = latency;
    bool quality = average_quality(b, &v);
    if (quality)
        out->label[TARGET_QUALITY] = v;
    double failed = 0;
    bool told = credit_average(b, FB_FAILED, &failed);
    out->has[TARGET_FAILURE] = told || out->has_cost || latency || quality;
    out->label[TARGET_FAILURE] = failed;
    out->has[TARGET_QUALITY] = quality && failed < 0.5;
    if (failed >= 0.5) /* a failed call says nothing about the length of an answer */
        out->has[TARGET_TOKENS] = false;
}

bool credit_awaits(const struct label_book *b)
{
    double quality, failed = 0;
    (void)credit_average(b, FB_FAILED, &failed);
    return failed < 0.5 && !average_quality(b, &quality) &&
           find_source(b, name_hash(SILENCE_SOURCE)) < 0;
}

bool credit_escalated(const struct label_book *b)
{
    return find_source(b, name_hash(ESCALATION_SOURCE)) >= 0;
}
