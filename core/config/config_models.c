/* SPDX-License-Identifier: MIT */
/*
 * The lists of a configuration document: tiers, models, rules. A model is known by its name: a
 * patch names what it changes and the rest stays, so slots never move. New models must bring their
 * prices; there is no default for what a thing costs.
 *
 * A price that equals what it would be if nobody said it counts as not said, and follows the price
 * it hangs on when that alone is patched: the same outcome as a restart with the new file.
 * Prices to come are read over prices in force by the same rows; the fold puts them in force.
 * Capabilities dropped by a patch leave their bits behind until the catalog is renumbered, which
 * config.c does once at the end.
 */
#include "core/config/config_fields.h"

#include <string.h>
#include "core/budget/window.h"

/* As the document says it: the tier by name, because tiers and models arrive together. */
struct model_doc {
    struct model model;
    char tier[NAME_CAP];
    char from[WINDOW_TIME_CAP]; /* of prices to come */
};
enum model_bit {
    HAS_NAME = 1,
    HAS_TIER = 2,
    HAS_IN = 4,
    HAS_CACHED = 8,
    HAS_OUT = 16,
    HAS_REASONING = 32,
    HAS_BATCH_IN = 64,
    HAS_BATCH_CACHED = 128,
    HAS_BATCH_OUT = 256,
    HAS_BATCH_REASONING = 512,
    HAS_FROM = 1024
};

#define M(member) .offset = offsetof(struct model_doc, member)
#define PRICE .kind = FIELD_MONEY, .max = 100000, .unit = 1e6
#define ID .kind = FIELD_NAME, .min = 1, .max = NAME_LEN

static const struct field model_rows[] = {
    {.path = "name", ID, M(model.name), .bit = HAS_NAME, .other = "required", .help = "unique"},
    {.path = "tier", ID, M(tier), .bit = HAS_TIER, .other = "required", .help = "one of tiers"},
    {.path = "context_tokens",
     .kind = FIELD_INT,
     M(model.context_tokens),
     .max = 1e9,
     .help = "input and output together; 0 = no limit"},
    {.path = "capabilities",
     .kind = FIELD_OTHER,
     .other = "0 to 32 names",
     .help = "what requests may need, such as vision"},
    {.path = "typical_quality",
     .kind = FIELD_REAL,
     M(model.typical_quality),
     .min = -1,
     .max = 1,
     .number = -1,
     .help = "expected before there is evidence; below 0 = by price among the others"},
    {.path = "typical_output_tokens",
     .kind = FIELD_REAL,
     M(model.typical_output_tokens),
     .max = 1e6,
     .number = 150,
     .help = "likewise"},
    {.path = "typical_latency_ms",
     .kind = FIELD_REAL,
     M(model.typical_latency_ms),
     .max = 1e7,
     .number = 1000,
     .help = "likewise"},
    {.path = "active",
     .kind = FIELD_BOOL,
     M(model.active),
     .number = 1,
     .help = "false = keep what was learned, never choose"},
    {.path = "free", .kind = FIELD_BOOL, M(model.free), .help = "prices of 0 are meant"},
    {.path = "prices",
     .kind = FIELD_OTHER,
     .other = "0 to 4 objects",
     .help = "to come, ascending: from, a time such as 2026-12-01T00:00:00Z, and prices by the "
             "names below"},
    {.path = "usd_per_mtok_in",
     PRICE,
     M(model.price.in),
     .bit = HAS_IN,
     .other = "required",
     .help = "per million input tokens"},
    {.path = "usd_per_mtok_cached_in",
     PRICE,
     M(model.price.cached),
     .bit = HAS_CACHED,
     .other = "as usd_per_mtok_in",
     .help = "per million cached input tokens"},
    {.path = "usd_per_mtok_out",
     PRICE,
     M(model.price.out),
     .bit = HAS_OUT,
     .other = "required",
     .help = "per million output tokens, reasoning included"},
    {.path = "usd_per_mtok_reasoning",
     PRICE,
     M(model.price.reasoning),
     .bit = HAS_REASONING,
     .other = "as usd_per_mtok_out",
     .help = "per million output tokens that are reported as reasoning_tokens"},
    {.path = "usd_per_mtok_batch_in",
     PRICE,
     M(model.batch.in),
     .bit = HAS_BATCH_IN,
     .other = "as usd_per_mtok_in",
     .help = "of requests with batch true"},
    {.path = "usd_per_mtok_batch_cached_in",
     PRICE,
     M(model.batch.cached),
     .bit = HAS_BATCH_CACHED,
     .other = "the lower of usd_per_mtok_cached_in and usd_per_mtok_batch_in",
     .help = "likewise"},
    {.path = "usd_per_mtok_batch_out",
     PRICE,
     M(model.batch.out),
     .bit = HAS_BATCH_OUT,
     .other = "as usd_per_mtok_out",
     .help = "likewise"},
    {.path = "usd_per_mtok_batch_reasoning",
     PRICE,
     M(model.batch.reasoning),
     .bit = HAS_BATCH_REASONING,
     .other = "as usd_per_mtok_batch_out",
     .help = "likewise"},
    {.path = "from",
     .kind = FIELD_TEXT,
     M(from),
     .max = WINDOW_TIME_CAP - 1,
     .bit = HAS_FROM,
     .other = "a time"},
};

/* A model is all but `from`; prices to come are the last rows. */
enum { ROWS = sizeof model_rows / sizeof model_rows[0], PRICES = 8 };
static const struct field_table prices_table = {model_rows + ROWS - 1 - PRICES, PRICES + 1};

struct field_table config_model_table(void)
{
    return (struct field_table){model_rows, ROWS - 1};
}

const char *config_names(char out[NAMES_CAP], const char (*names)[NAME_CAP], int n)
{
    struct text t = text_over(out, NAMES_CAP);
    for (int i = 0; i < n; i++) {
        char quoted[QUOTE_CAP];
        text_printf(&t, "%s%s", i > 0 ? ", " : "", json_quote(quoted, names[i]));
    }
    return out;
}

static enum status need_array(const json_t *v, const struct json_at *at, size_t least, size_t most,
                              struct problem *p)
{
    char found[FOUND_CAP];
    if (json_is_array(v) && json_array_size(v) >= least && json_array_size(v) <= most)
        return STATUS_OK;
    return json_fail(p, STATUS_BAD_REQUEST, at, "expected an array of %zu to %zu, found %s", least,
                     most, json_found(found, v));
}

static enum status need_name(const json_t *v, const struct json_at *at, char out[NAME_CAP],
                             struct problem *p)
{
    static const struct field name = {ID};
    return field_read(&name, v, at, out, p);
}

/* The tier of the same name in the new list, -1 if it is gone. */
static int moved_tier(const struct catalog *before, int tier, const struct catalog *now)
{
    return tier >= 0 && tier < before->n_tiers ? catalog_tier(now, before->tier[tier]) : -1;
}

enum status config_tiers_read(struct params *p, const json_t *array, struct problem *problem)
{
    struct json_at list = {.key = "tiers"};
    struct catalog *c = &p->catalog, before = *c;
    enum status st = need_array(array, &list, 1, TIERS_MAX, problem);
    if (st != STATUS_OK)
        return st;
    c->n_tiers = 0;
    memset(c->tier, 0, sizeof c->tier); /* a name left behind would make equal catalogs differ */
    for (size_t i = 0; i < json_array_size(array); i++) {
        struct json_at item = {.up = &list, .index = (int)i};
        char name[NAME_CAP];
        st = need_name(json_array_get(array, i), &item, name, problem);
        if (st != STATUS_OK)
            return st;
        if (catalog_tier(c, name) >= 0)
            return json_fail(problem, STATUS_BAD_REQUEST, &item, "the same tier twice");
        memcpy(c->tier[c->n_tiers++], name, sizeof name);
    }
    for (int i = 0; i < c->n; i++)
        c->model[i].tier = moved_tier(&before, c->model[i].tier, c);
    for (int i = 0; i < p->n_rules; i++) {
        p->rule[i].tier = moved_tier(&before, p->rule[i].tier, c);
        p->rule[i].min_tier = moved_tier(&before, p->rule[i].min_tier, c);
    }
    return STATUS_OK;
}

/* A new model brings its tier and its prices, prices to come these. */
static enum status complete(unsigned seen, const struct json_at *at, unsigned need,
                            struct problem *problem)
{
    static const struct {
        enum model_bit bit;
        const char *key;
    } needed[] = {{HAS_NAME, "name"},
                  {HAS_TIER, "tier"},
                  {HAS_IN, "usd_per_mtok_in"},
                  {HAS_OUT, "usd_per_mtok_out"}};
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++) {
        struct json_at field = {.up = at, .key = needed[i].key};
        if (need & needed[i].bit && !(seen & needed[i].bit))
            return json_fail(problem, STATUS_BAD_REQUEST, &field, "required for a model, missing");
    }
    return STATUS_OK;
}

static enum status tier_read(const struct catalog *c, const char *name, const struct json_at *at,
                             int *tier, struct problem *problem)
{
    struct json_at field = {.up = at, .key = "tier"};
    char names[NAMES_CAP], quoted[QUOTE_CAP];
    int found = catalog_tier(c, name);
    if (found < 0)
        return json_fail(problem, STATUS_BAD_REQUEST, &field, "no tier \"%s\"; tiers are: %s",
                         json_quote(quoted, name), config_names(names, c->tier, c->n_tiers));
    *tier = found;
    return STATUS_OK;
}

static enum status capabilities_read(struct catalog *c, struct model *m, const json_t *array,
                                     const struct json_at *at, struct problem *problem)
{
    struct json_at list = {.up = at, .key = "capabilities"};
    enum status st = need_array(array, &list, 0, NEEDS_MAX, problem);
    m->needs = 0;
    for (size_t i = 0; st == STATUS_OK && i < json_array_size(array); i++) {
        struct json_at item = {.up = &list, .index = (int)i};
        char name[NAME_CAP];
        st = need_name(json_array_get(array, i), &item, name, problem);
        if (st != STATUS_OK)
            return st;
        int bit = catalog_need(c, name);
        if (bit < 0 && c->n_needs == NEEDS_MAX)
            return json_fail(problem, STATUS_BAD_REQUEST, &item,
                             "more than %d distinct capabilities in the catalog", NEEDS_MAX);
        if (bit < 0) {
            bit = c->n_needs++;
            memcpy(c->need[bit], name, sizeof name);
        }
        m->needs |= 1u << bit;
    }
    return st;
}

static int64_t lower(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* The prices as they are when of each other nothing was said, in the order of who hangs on whom. */
static void follow(struct model *m, const struct model *was, unsigned seen)
{
    const struct {
        unsigned bit;
        bool said; /* before: by another number than the one it follows */
        int64_t *price;
        const int64_t *of, *or_of;
    } rows[] = {
        {HAS_CACHED, was->price.cached != was->price.in, &m->price.cached, &m->price.in, NULL},
        {HAS_REASONING, was->price.reasoning != was->price.out, &m->price.reasoning, &m->price.out,
         NULL},
        {HAS_BATCH_IN, was->batch.in != was->price.in, &m->batch.in, &m->price.in, NULL},
        {HAS_BATCH_CACHED, was->batch.cached != lower(was->price.cached, was->batch.in),
         &m->batch.cached, &m->price.cached, &m->batch.in},
        {HAS_BATCH_OUT, was->batch.out != was->price.out, &m->batch.out, &m->price.out, NULL},
        {HAS_BATCH_REASONING, was->batch.reasoning != was->batch.out, &m->batch.reasoning,
         &m->batch.out, NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (!(seen & rows[i].bit) && !rows[i].said)
            *rows[i].price = rows[i].or_of ? lower(*rows[i].of, *rows[i].or_of) : *rows[i].of;
}

static enum status repricing_read(json_t *object, const struct json_at *at, struct repricing *out,
                                  struct problem *problem)
{
    static const struct model unsaid;
    struct json_at from = {.up = at, .key = "from"};
    struct model_doc doc;
    unsigned seen = 0;
    void *base[] = {&doc};
    memset(&doc, 0, sizeof doc);
    enum status st = fields_read(prices_table, object, at, base, &seen, problem);
    if (st == STATUS_OK)
        st = complete(seen, at, HAS_IN | HAS_OUT, problem);
    if (st != STATUS_OK)
        return st;
    if (!window_time_read(doc.from, &out->from_ms))
        return json_fail(problem, STATUS_BAD_REQUEST, &from,
                         "expected a time such as 2026-12-01T00:00:00Z");
    follow(&doc.model, &unsaid, seen);
    out->price = doc.model.price;
    out->batch = doc.model.batch;
    return STATUS_OK;
}

static enum status repricings_read(struct model *m, const json_t *array, const struct json_at *at,
                                   struct problem *problem)
{
    struct json_at list = {.up = at, .key = "prices"};
    enum status st = need_array(array, &list, 0, REPRICINGS_MAX, problem);
    if (st != STATUS_OK)
        return st;
    m->n_later = 0;
    memset(m->later, 0, sizeof m->later);
    for (size_t i = 0; st == STATUS_OK && i < json_array_size(array); i++) {
        struct json_at item = {.up = &list, .index = (int)i};
        struct repricing *r = &m->later[m->n_later];
        st = repricing_read(json_array_get(array, i), &item, r, problem);
        if (st == STATUS_OK && i > 0 && r->from_ms <= r[-1].from_ms)
            st = json_fail(problem, STATUS_BAD_REQUEST, &item,
                           "from is not later than that of the prices before");
        m->n_later += st == STATUS_OK;
    }
    return st;
}

/* Reads one model over what the slot holds (n = a new slot). */
static enum status model_read(struct catalog *c, int slot, json_t *object, const struct json_at *at,
                              struct problem *problem)
{
    bool fresh = slot == c->n;
    struct model_doc doc;
    memset(&doc, 0, sizeof doc);
    fields_default(config_model_table(), 0, &doc);
    if (!fresh)
        doc.model = c->model[slot];
    const struct model was = doc.model;
    unsigned seen = 0;
    void *base[] = {&doc};
    enum status st = fields_read(config_model_table(), object, at, base, &seen, problem);
    if (st == STATUS_OK && fresh)
        st = complete(seen, at, HAS_NAME | HAS_TIER | HAS_IN | HAS_OUT, problem);
    if (st == STATUS_OK && (seen & HAS_TIER))
        st = tier_read(c, doc.tier, at, &doc.model.tier, problem);
    const json_t *capabilities = json_object_get(object, "capabilities");
    if (st == STATUS_OK && capabilities)
        st = capabilities_read(c, &doc.model, capabilities, at, problem);
    const json_t *prices = json_object_get(object, "prices");
    if (st == STATUS_OK && prices)
        st = repricings_read(&doc.model, prices, at, problem);
    if (st != STATUS_OK)
        return st;
    follow(&doc.model, &was, seen);
    c->model[slot] = doc.model;
    c->n += fresh;
    return STATUS_OK;
}

enum status config_models_read(struct params *p, const json_t *array, struct problem *problem)
{
    struct json_at list = {.key = "models"};
    struct catalog *c = &p->catalog;
    enum status st = need_array(array, &list, 1, MODELS_MAX, problem);
    uint64_t touched = 0;
    for (size_t i = 0; st == STATUS_OK && i < json_array_size(array); i++) {
        json_t *object = json_array_get(array, i);
        struct json_at at = {.up = &list, .index = (int)i}, name_at = {.up = &at, .key = "name"};
        char name[NAME_CAP], found[FOUND_CAP];
        if (!json_is_object(object))
            return json_fail(problem, STATUS_BAD_REQUEST, &at, "expected an object, found %s",
                             json_found(found, object));
        if (!json_object_get(object, "name"))
            return json_fail(problem, STATUS_BAD_REQUEST, &name_at, "missing");
        st = need_name(json_object_get(object, "name"), &name_at, name, problem);
        if (st != STATUS_OK)
            return st;
        int slot = catalog_find(c, name) >= 0 ? catalog_find(c, name) : c->n;
        if (slot == MODELS_MAX)
            return json_fail(problem, STATUS_BAD_REQUEST, &at, "more than %d models in all",
                             MODELS_MAX);
        if (touched >> slot & 1)
            return json_fail(problem, STATUS_BAD_REQUEST, &name_at, "the same name twice");
        touched |= (uint64_t)1 << slot;
        st = model_read(c, slot, object, &at, problem);
    }
    return st;
}

static void repricings_render(const struct model *m, struct text *out)
{
    for (int i = 0; i < m->n_later; i++) {
        struct model_doc doc;
        memset(&doc, 0, sizeof doc);
        doc.model.price = m->later[i].price;
        doc.model.batch = m->later[i].batch;
        window_time_write(m->later[i].from_ms, doc.from);
        text_put(out, i > 0 ? ",{" : ",\"prices\":[{");
        fields_render(prices_table, 0, &doc, out);
        text_put(out, i + 1 < m->n_later ? "}" : "}]");
    }
}

void config_models_render(const struct catalog *c, struct text *out)
{
    for (int i = 0; i < c->n; i++) {
        struct model_doc doc = {.model = c->model[i]};
        if (doc.model.tier >= 0 && doc.model.tier < c->n_tiers)
            memcpy(doc.tier, c->tier[doc.model.tier], NAME_CAP);
        text_put(out, i > 0 ? ",{" : "{");
        fields_render(config_model_table(), 0, &doc, out);
        text_put(out, ",\"capabilities\":[");
        int written = 0;
        for (int bit = 0; bit < c->n_needs; bit++) {
            if (!(doc.model.needs >> bit & 1))
                continue;
            text_put(out, written++ > 0 ? "," : "");
            text_json_string(out, c->need[bit]);
        }
        text_put(out, "]");
        repricings_render(&doc.model, out);
        text_put(out, "}");
    }
}
