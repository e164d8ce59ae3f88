/* SPDX-License-Identifier: MIT */
/*
 * Reading and writing pools and zones. Limits that are not set must differ from limits of 0, so
 * optional fields have a bit: it is set when the field was there, and only then is it written back.
 *
 * A parent stands before its children. That makes cycles impossible to write down, and lets one
 * pass over the list see parents first, here and in the engine.
 */
#include "core/config/config_pools.h"

#include <string.h>

const char *const config_pool_labels[POOL_LABELS] = {
    "tenant", "user", "task", "domain", "user_tier", "group", "session", "model",
};

/* As the document says it. */
struct pool_doc {
    struct pool_spec spec;
    char parent[NAME_CAP], each[NAME_CAP], window[NAME_CAP];
    int64_t length_s, reset_s;
    char from[WINDOW_TIME_CAP], until[WINDOW_TIME_CAP], over_until[WINDOW_TIME_CAP],
        rearmed[WINDOW_TIME_CAP];
};
/* Bits beside those of enum pool_has, which are kept. */
enum doc_bit {
    HAS_KEPT = (1 << 7) - 1,
    HAS_NAME = 1 << 7,
    HAS_WINDOW = 1 << 8,
    HAS_ZONE = 1 << 9,
    HAS_LENGTH = 1 << 10,
    HAS_FROM = 1 << 11,
    HAS_UNTIL = 1 << 12,
    HAS_PARENT = 1 << 13,
    HAS_EACH = 1 << 14,
    HAS_OVER_FOR = 1 << 15,
    HAS_OVER_UNTIL = 1 << 16,
    HAS_RATE_USD = 1 << 17,
    HAS_RATE_TOKENS = 1 << 18,
    HAS_RESET = 1 << 19,
    HAS_REARMED = 1 << 20
};

#define D(member) .offset = offsetof(struct pool_doc, member)
#define ID .kind = FIELD_NAME, .min = 1, .max = NAME_LEN
#define USD .kind = FIELD_MONEY, .max = 1e9, .unit = 1e6
#define COUNT .kind = FIELD_INT, .max = 1e15
#define SHARE .kind = FIELD_REAL, .max = 1
#define WHEN                                                                                       \
    .kind = FIELD_TEXT, .max = WINDOW_TIME_CAP - 1, .other = "a time such as 2026-01-31T00:00:00Z"
#define MATCH(label_, index_)                                                                      \
    {                                                                                              \
        .path = "match/" label_, .kind = FIELD_NAME, .max = NAME_LEN, D(spec.match[index_]),       \
        .help = "requests with this " label_ "; \"\" = any"                                        \
    }

static const struct field rows[] = {
    {.path = "name",
     ID,
     D(spec.name),
     .bit = HAS_NAME,
     .other = "required",
     .help = "by which it is known"},
    {.path = "parent",
     ID,
     D(parent),
     .bit = HAS_PARENT,
     .other = "none",
     .help = "a pool named before this one; its requests are charged to it too"},
    MATCH("tenant", POOL_TENANT),
    MATCH("user", POOL_USER),
    MATCH("task", POOL_TASK),
    MATCH("domain", POOL_DOMAIN),
    MATCH("user_tier", POOL_USER_TIER),
    MATCH("group", POOL_GROUP),
    MATCH("session", POOL_SESSION),
    MATCH("model", POOL_MODEL),
    {.path = "each",
     ID,
     D(each),
     .bit = HAS_EACH,
     .other = "none",
     .help = "one such pool per value of tenant, user, task, domain, user_tier, group, session or "
             "model"},
    {.path = "window",
     ID,
     D(window),
     .bit = HAS_WINDOW,
     .other = "the parent's, else month",
     .help = "minute, hour, day, week, month, quarter, year, rolling or once"},
    {.path = "length_s",
     .kind = FIELD_INT,
     D(length_s),
     .min = 1,
     .max = 366 * 86400,
     .bit = HAS_LENGTH,
     .other = "for rolling: required",
     .help = "seconds; counted in twelfths: what was spent comes free up to a twelfth later"},
    {.path = "from", WHEN, D(from), .bit = HAS_FROM, .help = "for once: nothing before"},
    {.path = "until", WHEN, D(until), .bit = HAS_UNTIL, .help = "for once: nothing from then on"},
    {.path = "zone",
     ID,
     D(spec.zone),
     .bit = HAS_ZONE,
     .other = "the parent's, else UTC",
     .help = "one of zones; for days and longer"},
    {.path = "usd",
     USD,
     D(spec.limit[POOL_NANO]),
     .bit = POOL_HAS_USD,
     .other = "none",
     .help = "cap per window"},
    {.path = "tokens",
     COUNT,
     D(spec.limit[POOL_TOKENS]),
     .bit = POOL_HAS_TOKENS,
     .other = "none",
     .help = "cap per window"},
    {.path = "share",
     SHARE,
     D(spec.share),
     .bit = POOL_HAS_SHARE,
     .other = "none",
     .help = "of the parent's cap, instead of usd and tokens; in millionths"},
    {.path = "enforce",
     .kind = FIELD_CHOICE,
     D(spec.soft_only),
     .text = "hard|soft",
     .help = "soft: the cap warns, it does not refuse"},
    {.path = "soft",
     SHARE,
     D(spec.soft),
     .number = 1,
     .help = "share of the cap above which requests are warned of"},
    {.path = "mode",
     .kind = FIELD_CHOICE,
     D(spec.quantile),
     .text = "strict|quantile",
     .help = "strict reserves the worst case, so requests need max_output_tokens"},
    {.path = "risk",
     .kind = FIELD_REAL,
     D(spec.risk),
     .min = 1e-6,
     .max = 0.5,
     .number = 0.05,
     .help = "quantile: chance that a request costs more than was reserved"},
    {.path = "borrow",
     .kind = FIELD_BOOL,
     D(spec.borrow),
     .help = "may use what its siblings lend; what they need themselves is lent no longer"},
    {.path = "keep",
     SHARE,
     D(spec.keep),
     .number = 1,
     .help = "share of the cap that stays free for itself; what is left beyond is lent; 1 = no "
             "loans"},
    {.path = "pace",
     .kind = FIELD_BOOL,
     D(spec.pace),
     .help = "spread spending over the window: dearer models only as far as what is left lasts for "
             "the requests expected"},
    {.path = "throttle",
     .kind = FIELD_REAL,
     D(spec.throttle),
     .max = 100,
     .help =
         "of a paced pool: when even the cheapest models are too dear, requests worth less than "
         "up to this are put off, those of least value first; 0 = none"},
    {.path = "kill", .kind = FIELD_BOOL, D(spec.kill), .help = "nothing is admitted"},
    {.path = "override/for",
     ID,
     D(spec.over.value),
     .bit = HAS_OVER_FOR,
     .other = "all",
     .help = "the value of each whose cap is overridden"},
    {.path = "override/usd",
     USD,
     D(spec.over.limit[POOL_NANO]),
     .bit = POOL_HAS_OVERRIDE_USD,
     .other = "none",
     .help = "the cap until then"},
    {.path = "override/tokens",
     COUNT,
     D(spec.over.limit[POOL_TOKENS]),
     .bit = POOL_HAS_OVERRIDE_TOKENS,
     .other = "none",
     .help = "the cap until then"},
    {.path = "override/until",
     WHEN,
     D(over_until),
     .bit = HAS_OVER_UNTIL,
     .help = "when the override ends"},
    {.path = "fuse/usd",
     USD,
     D(spec.fuse.burst[POOL_NANO]),
     .bit = POOL_HAS_FUSE_USD,
     .other = "none",
     .help = "spending above the forecast that trips the fuse"},
    {.path = "fuse/usd_per_hour",
     USD,
     D(spec.fuse.per_hour[POOL_NANO]),
     .bit = HAS_RATE_USD,
     .other = "with fuse/usd",
     .help = "the forecast"},
    {.path = "fuse/tokens",
     COUNT,
     D(spec.fuse.burst[POOL_TOKENS]),
     .bit = POOL_HAS_FUSE_TOKENS,
     .other = "none",
     .help = "likewise"},
    {.path = "fuse/tokens_per_hour",
     COUNT,
     D(spec.fuse.per_hour[POOL_TOKENS]),
     .bit = HAS_RATE_TOKENS,
     .other = "with fuse/tokens",
     .help = "the forecast"},
    {.path = "fuse/reset_s",
     .kind = FIELD_INT,
     D(reset_s),
     .min = 1,
     .max = 366 * 86400,
     .bit = HAS_RESET,
     .other = "never",
     .help = "seconds after which it closes again"},
    {.path = "fuse/rearmed",
     WHEN,
     D(rearmed),
     .bit = HAS_REARMED,
     .help = "closes it by hand: trips up to then are void"},
};
enum { ROWS = sizeof rows / sizeof rows[0] };

struct field_table config_pool_table(void)
{
    return (struct field_table){rows, ROWS};
}

static int pool_index(const struct pool_config *c, const char *name)
{
    for (int i = 0; i < c->n; i++) {
        if (strcmp(c->spec[i].name, name) == 0)
            return i;
    }
    return -1;
}

static enum status times_read(struct pool_doc *d, unsigned seen, const struct json_at *at,
                              struct problem *problem)
{
    struct json_at over_at = {.up = at, .key = "override"}, fuse_at = {.up = at, .key = "fuse"};
    enum status st = STATUS_OK;
    if (seen & HAS_FROM)
        st = config_pools_time(d->from, at, "from", &d->spec.window.from_ms, problem);
    if (st == STATUS_OK && (seen & HAS_UNTIL))
        st = config_pools_time(d->until, at, "until", &d->spec.window.until_ms, problem);
    if (st == STATUS_OK && (seen & HAS_OVER_UNTIL))
        st = config_pools_time(d->over_until, &over_at, "until", &d->spec.over.until_ms, problem);
    if (st == STATUS_OK && (seen & HAS_REARMED))
        st = config_pools_time(d->rearmed, &fuse_at, "rearmed", &d->spec.fuse.rearmed_ms, problem);
    return st;
}

/* Names that stand for numbers: the window, the label and the parent. */
static enum status names_read(const struct pool_config *c, struct pool_doc *d, unsigned seen,
                              const struct json_at *at, struct problem *problem)
{
    char quoted[QUOTE_CAP];
    struct json_at parent_at = {.up = at, .key = "parent"};
    int kind = seen & HAS_WINDOW ? window_kind_find(d->window) : (int)WINDOW_MONTH;
    if (kind < 0)
        return config_pools_fail(
            problem, at, "window",
            "expected one of minute, hour, day, week, month, quarter, year, rolling, once");
    d->spec.window.kind = (enum window_kind)kind;
    d->spec.each = seen & HAS_EACH ? POOL_LABELS : -1;
    for (int l = 0; l < POOL_LABELS; l++) {
        if (strcmp(d->each, config_pool_labels[l]) == 0)
            d->spec.each = l;
    }
    if (d->spec.each == POOL_LABELS)
        return config_pools_fail(
            problem, at, "each",
            "expected one of tenant, user, task, domain, user_tier, group, session, model");
    d->spec.parent = seen & HAS_PARENT ? pool_index(c, d->parent) : -1;
    if ((seen & HAS_PARENT) && d->spec.parent < 0)
        return json_fail(problem, STATUS_BAD_REQUEST, &parent_at,
                         "no pool \"%s\" stands before this one: parents come first",
                         json_quote(quoted, d->parent));
    return STATUS_OK;
}

static enum status window_read(struct pool_spec *s, unsigned seen, const struct json_at *at,
                               struct problem *problem)
{
    bool rolling = s->window.kind == WINDOW_ROLLING, once = s->window.kind == WINDOW_ONCE;
    if (rolling != !!(seen & HAS_LENGTH))
        return config_pools_fail(
            problem, at, "length_s",
            rolling ? "required for a rolling window, missing"
                    : "only a rolling window has a length: say \"window\":\"rolling\"");
    if (!once && (seen & (HAS_FROM | HAS_UNTIL)))
        return config_pools_fail(problem, at, seen & HAS_FROM ? "from" : "until",
                                 "only for \"window\":\"once\"");
    if ((seen & HAS_UNTIL) && s->window.until_ms <= s->window.from_ms)
        return config_pools_fail(problem, at, "until", "must be later than from");
    return STATUS_OK;
}

static enum status pool_read(struct pool_config *c, json_t *object, const struct json_at *at,
                             struct problem *problem)
{
    struct pool_doc d;
    memset(&d, 0, sizeof d);
    fields_default(config_pool_table(), 0, &d);
    unsigned seen = 0;
    void *base[] = {&d};
    enum status st = fields_read(config_pool_table(), object, at, base, &seen, problem);
    if (st == STATUS_OK && !(seen & HAS_NAME))
        st = config_pools_fail(problem, at, "name", "required for a pool, missing");
    if (st == STATUS_OK && pool_index(c, d.spec.name) >= 0)
        st = config_pools_fail(problem, at, "name", "the same name twice");
    if (st == STATUS_OK)
        st = names_read(c, &d, seen, at, problem);
    if (st == STATUS_OK)
        st = times_read(&d, seen, at, problem);
    if (st != STATUS_OK)
        return st;
    const struct pool_spec *up = d.spec.parent < 0 ? NULL : &c->spec[d.spec.parent];
    d.spec.window.length_ms = d.length_s * 1000;
    d.spec.fuse.reset_ms = d.reset_s * 1000;
    st = window_read(&d.spec, seen, at, problem);
    if (up && !(seen & HAS_WINDOW))
        d.spec.window = up->window;
    if (up && !(seen & HAS_ZONE))
        memcpy(d.spec.zone, up->zone, sizeof d.spec.zone);
    d.spec.has = seen & HAS_KEPT;
    if (st == STATUS_OK)
        c->spec[c->n++] = d.spec;
    return st;
}

enum status config_pools_read(struct pool_config *c, const json_t *array, struct problem *problem)
{
    struct json_at list = {.key = "pools"};
    enum status st = config_pools_array(array, &list, POOL_SPECS_MAX, problem);
    if (st != STATUS_OK)
        return st;
    memset(c->spec, 0, sizeof c->spec);
    c->n = 0;
    for (size_t i = 0; st == STATUS_OK && i < json_array_size(array); i++) {
        struct json_at at = {.up = &list, .index = (int)i};
        st = pool_read(c, json_array_get(array, i), &at, problem);
    }
    return st;
}

/* The document's form of a pool; gives the bits of the fields that are to be written. */
static unsigned doc_of(const struct pool_config *c, int i, struct pool_doc *d)
{
    const struct pool_spec *s = &c->spec[i];
    unsigned has = s->has | HAS_NAME | HAS_WINDOW;
    memset(d, 0, sizeof *d);
    d->spec = *s;
    strcpy(d->window, window_kind_name((int)s->window.kind));
    strcpy(d->each, s->each < 0 ? "" : config_pool_labels[s->each]);
    strcpy(d->parent, s->parent < 0 ? "" : c->spec[s->parent].name);
    d->length_s = s->window.length_ms / 1000;
    d->reset_s = s->fuse.reset_ms / 1000;
    window_time_write(s->window.from_ms, d->from);
    window_time_write(s->window.until_ms, d->until);
    window_time_write(s->over.until_ms, d->over_until);
    window_time_write(s->fuse.rearmed_ms, d->rearmed);
    has |= s->each < 0 ? 0 : HAS_EACH;
    has |= s->parent < 0 ? 0 : HAS_PARENT;
    has |= s->zone[0] ? HAS_ZONE : 0;
    has |= s->window.length_ms ? HAS_LENGTH : 0;
    has |= s->window.from_ms ? HAS_FROM : 0;
    has |= s->window.until_ms ? HAS_UNTIL : 0;
    has |= s->over.value[0] ? HAS_OVER_FOR : 0;
    has |= s->over.until_ms ? HAS_OVER_UNTIL : 0;
    has |= s->fuse.reset_ms ? HAS_RESET : 0;
    has |= s->fuse.rearmed_ms ? HAS_REARMED : 0;
    has |= s->has & POOL_HAS_FUSE_USD ? HAS_RATE_USD : 0;
    has |= s->has & POOL_HAS_FUSE_TOKENS ? HAS_RATE_TOKENS : 0;
    return has;
}

void config_pools_render(const struct pool_config *c, struct text *out)
{
    for (int i = 0; i < c->n; i++) {
        struct pool_doc d;
        struct field row[ROWS];
        struct field_table table = {row, 0};
        unsigned has = doc_of(c, i, &d);
        for (int k = 0; k < ROWS; k++) {
            if (rows[k].bit == 0 || (rows[k].bit & has))
                row[table.n++] = rows[k];
        }
        text_put(out, i > 0 ? ",{" : "{");
        fields_render(table, 0, &d, out);
        text_put(out, "}");
    }
}
