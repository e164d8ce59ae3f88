/* SPDX-License-Identifier: MIT */
/*
 * Price lists as people have them, row by row:
 *   litellm       an object of models, dollars per token, a member for each thing that has a price
 *   genai-prices  an array of providers with models, dollars per million tokens; a price may be
 *                 {"base","tiers"}, and prices a list of which the last whose constraint holds
 *                 applies
 * A row gives prices of input, cached input, output, reasoning and batches, those that are to come
 * on a day, a context length and capabilities. Every other price in it is told as not taken over,
 * by its name, known or not. Considered: the highest tier instead of the base price. It would be
 * wrong for nearly all requests to be right for the longest; who sends those is told.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/encoding/json.h"
#include "transport/cli/cli_import.h"

static const int64_t price_most = 100000000000; /* $100,000 per million tokens, as core allows */

const char *const import_price_key[PRICE_KEYS] = {
    "usd_per_mtok_in",        "usd_per_mtok_cached_in", "usd_per_mtok_out",
    "usd_per_mtok_reasoning", "usd_per_mtok_batch_in",  "usd_per_mtok_batch_out"};

bool price_put(json_t *model, const char *key, int64_t pico)
{
    return json_object_set_new(model, key, json_real((double)pico / 1e6)) == 0;
}

const char *const import_capability[PRICE_CAPABILITIES] = {
    "tools",     "vision",     "json_schema",  "pdf",         "audio_input",   "audio_output",
    "reasoning", "web_search", "computer_use", "video_input", "parallel_tools"};
static const char *const supports[PRICE_CAPABILITIES] = {"supports_function_calling",
                                                         "supports_vision",
                                                         "supports_response_schema",
                                                         "supports_pdf_input",
                                                         "supports_audio_input",
                                                         "supports_audio_output",
                                                         "supports_reasoning",
                                                         "supports_web_search",
                                                         "supports_computer_use",
                                                         "supports_video_input",
                                                         "supports_parallel_function_calling"};

/* Prices that purser has no place for, by a part of their names; the first that fits. */
static const struct {
    const char *part, *label;
} lost[] = {
    {"_above_", "prices by length"},
    {"reasoning", "reasoning tokens priced apart"},
    {"batch", "batch prices"},
    {"priority", "priority prices"},
    {"flex", "flex prices"},
    {"cache_creation", "cache writes"},
    {"cache_write", "cache writes"},
    {"audio", "audio"},
    {"image", "images"},
    {"pixel", "images"},
    {"video", "video"},
    {"character", "prices per character"},
    {"per_second", "prices per second"},
    {"search", "searches"},
    {"request", "prices per request"},
    {"query", "prices per request"},
    {"dbu", "prices in other units"},
};

static void tell_lost(const char *key, const char *name, const char *detail,
                      struct import_report *r)
{
    const char *label = "other prices"; /* one word for all: a file must not make up thousands */
    for (size_t i = sizeof lost / sizeof lost[0]; i-- > 0;) /* the first that fits */
        if (strstr(key, lost[i].part))
            label = lost[i].label;
    import_tell(r, IMPORT_LOST, label, name, "%s", detail);
}

/* Takes one price; -1 when it is not there. False when it is there and is none. */
static bool take(const json_t *v, int shift, const char *key, const char *name, int64_t *out,
                 struct import_report *r)
{
    bool exact;
    *out = -1;
    if (!v || json_is_null(v))
        return true;
    if (!import_number(v, shift, out, &exact) || *out > price_most) {
        char found[FOUND_CAP];
        *out = -1;
        import_tell_at(r, IMPORT_REFUSED, "price", name, v, "%s is %s", key, json_found(found, v));
        return false;
    }
    if (!exact)
        import_tell(r, IMPORT_NOTE, "rounded", name, "%s to $%.6f per million", key,
                    (double)*out / 1e6);
    return true;
}

/* A price that matters: there, and not 0. */
static bool matters(const json_t *v)
{
    return json_is_object(v) || json_is_string(v) ||
           (json_is_number(v) && json_number_value(v) > 0);
}

/* ---- LiteLLM */

static bool litellm_text(const json_t *body)
{
    static const char *const modes[] = {"", "chat", "completion", "responses"};
    const char *mode = cli_text(body, "mode");
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++)
        if (strcmp(mode, modes[i]) == 0)
            return true;
    return false;
}

static const char reasoning_key[] = "output_cost_per_reasoning_token";
static const char *const batch_keys[] = {"input_cost_per_token_batches",
                                         "output_cost_per_token_batches"};
static const char *const cached_keys[] = {"cache_read_input_token_cost",
                                          "input_cost_per_token_cache_hit"};

static bool is_cached_key(const char *key)
{
    return strcmp(key, cached_keys[0]) == 0 || strcmp(key, cached_keys[1]) == 0;
}

/* Everything that has a price and was not taken. */
static void litellm_rest(const struct price_row *row, struct import_report *r)
{
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)row->body, key, v)
    {
        int64_t pico;
        bool exact;
        char detail[96];
        if (!strstr(key, "cost") || !matters(v) || strcmp(key, "input_cost_per_token") == 0 ||
            strcmp(key, "output_cost_per_token") == 0 || strcmp(key, reasoning_key) == 0 ||
            strcmp(key, batch_keys[0]) == 0 || strcmp(key, batch_keys[1]) == 0)
            continue;
        bool number = import_number(v, 12, &pico, &exact);
        if (number && is_cached_key(key) && pico == row->cached)
            continue;
        snprintf(detail, sizeof detail, "%.80s", key);
        tell_lost(key, row->name, detail, r);
    }
}

static void litellm_row(struct price_row *row, const char *as_of, struct import_report *r)
{
    const json_t *b = row->body;
    const char *cached = cached_keys[json_object_get(b, cached_keys[0]) == NULL];
    if (!litellm_text(b)) {
        import_tell(r, IMPORT_REFUSED, "not_text", row->name, "mode %.40s", cli_text(b, "mode"));
        return;
    }
    bool ok = take(json_object_get(b, "input_cost_per_token"), 12, "input", row->name, &row->in, r);
    ok &= take(json_object_get(b, "output_cost_per_token"), 12, "output", row->name, &row->out, r);
    ok &= take(json_object_get(b, cached), 12, "cached input", row->name, &row->cached, r);
    ok &= take(json_object_get(b, reasoning_key), 12, "reasoning", row->name, &row->reasoning, r);
    ok &= take(json_object_get(b, batch_keys[0]), 12, "batch input", row->name, &row->batch_in, r);
    ok &=
        take(json_object_get(b, batch_keys[1]), 12, "batch output", row->name, &row->batch_out, r);
    int64_t letter, context;
    bool exact;
    if (import_number(json_object_get(b, "input_cost_per_character"), 12, &letter, &exact) &&
        letter > row->in && row->in > 0) {
        import_tell(r, IMPORT_REFUSED, "implausible", row->name,
                    "$%.6f per million, characters $%.6f", (double)row->in / 1e6,
                    (double)letter / 1e6);
        return;
    }
    row->usable = ok;
    if (!ok)
        return;
    if (import_number(json_object_get(b, "max_input_tokens"), 0, &context, &exact) && exact)
        row->context = context;
    for (int i = 0; i < PRICE_CAPABILITIES; i++)
        if (json_is_true(json_object_get(b, supports[i])))
            row->capabilities |= 1u << i;
    const char *end = cli_text(b, "deprecation_date");
    if (*end)
        import_tell(r, IMPORT_NOTE, "deprecated", row->name, "%.10s%s", end,
                    strcmp(end, as_of) <= 0 ? ", which is past" : "");
}

/* ---- genai-prices */

/* {"base":..,"tiers":[..]} or the price itself. */
static const json_t *base_of(const json_t *v)
{
    return json_is_object(v) ? json_object_get(v, "base") : v;
}

struct genai {
    const json_t *now, *hour[8];
    int hours;
    json_t *later;
};

/* Prices to come; the list has them in the order of their days. */
static bool genai_later(const json_t *prices, const char *start, const char *name, struct genai *g,
                        struct import_report *r)
{
    static const char *const keys[] = {"input_mtok", "cache_read_mtok", "output_mtok"};
    int64_t v[3];
    char from[32];
    for (int i = 0; i < 3; i++)
        if (!take(base_of(json_object_get(prices, keys[i])), 6, keys[i], name, &v[i], r))
            return false;
    if (v[0] < 0 || v[2] < 0 || json_array_size(g->later) == REPRICINGS_MAX)
        return false;
    (void)snprintf(from, sizeof from, "%.10sT00:00:00Z", start);
    json_t *one = json_pack("{s:s}", "from", from);
    for (int i = 0; i < 3; i++)
        if (v[i] >= 0)
            price_put(one, import_price_key[i], v[i]);
    g->later = g->later ? g->later : json_array();
    return json_array_append_new(g->later, one) == 0;
}

static void genai_constraint(const json_t *item, const char *as_of, const char *name,
                             struct genai *g, struct import_report *r)
{
    const json_t *c = json_object_get(item, "constraint"),
                 *prices = json_object_get(item, "prices");
    const char *start = json_string_value(json_object_get(c, "start_date"));
    bool hours = json_object_get(c, "start_time") && json_object_get(c, "end_time");
    if (!json_is_object(prices)) {
        import_tell_at(r, IMPORT_NOTE, "unreadable", name, item, "an entry without prices");
    } else if (!c || json_is_null(c)) {
        g->now = prices;
    } else if (json_object_size(c) == 1 && start && strlen(start) == 10) {
        if (strcmp(start, as_of) <= 0)
            g->now = prices;
        else if (genai_later(prices, start, name, g, r))
            import_tell(r, IMPORT_NOTE, "dated", name, "another price from %.10s", start);
        else
            import_tell(r, IMPORT_NOTE, "dated", name, "another price from %.10s: import again",
                        start);
    } else if (json_object_size(c) == 2 && hours && g->hours < 8) {
        g->hour[g->hours++] = prices;
    } else {
        char *text = json_dumps(c, JSON_COMPACT);
        import_tell(r, IMPORT_NOTE, "constraint", name, "%.120s", text ? text : "");
        free(text);
    }
}

static double blend(const json_t *prices)
{
    return json_number_value(base_of(json_object_get(prices, "input_mtok"))) * 3 +
           json_number_value(base_of(json_object_get(prices, "output_mtok")));
}

/* The prices in force: what is spent must not be more than what was said, so by the hour the
 * dearest. */
static const json_t *genai_prices(struct price_row *row, const char *as_of, struct import_report *r)
{
    const json_t *all = json_object_get(row->body, "prices");
    struct genai g = {0};
    if (!json_is_array(all))
        return all;
    for (size_t i = 0; i < json_array_size(all); i++)
        genai_constraint(json_array_get(all, i), as_of, row->name, &g, r);
    for (int i = 0; i < g.hours; i++)
        if (!g.now || blend(g.hour[i]) > blend(g.now))
            g.now = g.hour[i];
    row->later = g.later;
    if (g.hours > 0)
        import_tell(r, IMPORT_NOTE, "by_hour", row->name, "%d hourly price(s)", g.hours);
    return g.now;
}

static void genai_rest(const struct price_row *row, struct import_report *r)
{
    const char *key;
    json_t *v, *t;
    size_t i;
    json_object_foreach((json_t *)(uintptr_t)row->prices, key, v)
    {
        bool taken = strcmp(key, "input_mtok") == 0 || strcmp(key, "output_mtok") == 0 ||
                     strcmp(key, "cache_read_mtok") == 0;
        if (!taken && matters(v))
            tell_lost(key, row->name, key, r);
        if (!taken)
            continue;
        json_array_foreach(json_object_get(v, "tiers"), i, t)
        {
            char detail[96];
            snprintf(detail, sizeof detail, "%.24s above %.0f tokens: $%g per million", key,
                     cli_real(t, "start"), cli_real(t, "price"));
            tell_lost("_above_", row->name, detail, r);
        }
    }
}

static void genai_row(struct price_row *row, const char *as_of, struct import_report *r)
{
    const json_t *p = genai_prices(row, as_of, r);
    bool ok = take(base_of(json_object_get(p, "input_mtok")), 6, "input", row->name, &row->in, r);
    ok &= take(base_of(json_object_get(p, "output_mtok")), 6, "output", row->name, &row->out, r);
    ok &= take(base_of(json_object_get(p, "cache_read_mtok")), 6, "cached input", row->name,
               &row->cached, r);
    int64_t context;
    bool exact;
    row->usable = ok;
    if (!ok)
        return;
    if (import_number(json_object_get(row->body, "context_window"), 0, &context, &exact) && exact)
        row->context = context;
    if (json_is_true(json_object_get(row->body, "deprecated")))
        import_tell(r, IMPORT_NOTE, "deprecated", row->name, "says the list");
    row->prices = p;
}

/* Whether there are prices, and no zeroes that nobody vouches for. */
static bool priced(const struct price_row *row, bool free_too, struct import_report *r)
{
    static const char *const which[] = {"", "input", "output", "input and output"};
    int missing = (row->in < 0) + 2 * (row->out < 0), zero = (row->in == 0) + 2 * (row->out == 0);
    if (missing)
        import_tell(r, IMPORT_REFUSED, "unpriced", row->name, "no price of %s", which[missing]);
    else if (zero && !free_too)
        import_tell(r, IMPORT_REFUSED, "zero", row->name, "%s", which[zero]);
    return !missing && (!zero || free_too);
}

void price_row_read(const struct price_list *l, struct price_row *row, const char *as_of,
                    bool free_too, struct import_report *r)
{
    bool litellm = l->format == PRICES_LITELLM;
    row->in = row->cached = row->out = row->reasoning = row->batch_in = row->batch_out = -1;
    import_root(r, litellm ? row->body : l->file.root, litellm ? row->name : NULL);
    (litellm ? litellm_row : genai_row)(row, as_of, r);
    if (row->context < 0 || row->context > 1000000000)
        row->context = 0;
    row->usable = row->usable && priced(row, free_too, r);
    if (!row->usable)
        return;
    if (row->cached > row->in)
        import_tell(r, IMPORT_NOTE, "cached", row->name, "$%g, input $%g per million",
                    (double)row->cached / 1e6, (double)row->in / 1e6);
    (litellm ? litellm_rest : genai_rest)(row, r);
}

/* ---- rows */

static bool add_row(struct price_list *l, const char *name, const char *provider,
                    const json_t *body)
{
    if (l->n == l->cap) {
        int cap = l->cap ? 2 * l->cap : 256;
        struct price_row *more = realloc(l->row, (size_t)cap * sizeof *more);
        if (!more)
            return false;
        l->row = more;
        l->cap = cap;
    }
    l->row[l->n++] = (struct price_row){.name = name, .provider = provider, .body = body};
    return true;
}

struct litellm_read {
    struct price_list *list;
    struct import_report *report;
    bool failed;
};

/* One by one, because of a key that stands twice jansson keeps only the last. */
static void litellm_member(void *ctx, const char *text, struct import_span key,
                           struct import_span value)
{
    struct litellm_read *c = ctx;
    json_error_t e;
    json_t *name = json_loadb(text + key.from, key.n, JSON_DECODE_ANY, NULL),
           *body =
               json_loadb(text + value.from, value.n, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &e);
    const char *s = json_string_value(name);
    if (name && body && json_is_object(body))
        c->failed |= json_array_append(c->list->bodies, name) != 0 ||
                     json_array_append(c->list->bodies, body) != 0 ||
                     !add_row(c->list, s, cli_text(body, "litellm_provider"), body);
    else {
        import_root(c->report, name, s); /* parsed by itself */
        import_tell_at(c->report, IMPORT_REFUSED, "unreadable", s ? s : "?", name, "%.120s",
                       body ? "an object is needed" : e.text);
    }
    json_decref(name);
    json_decref(body);
}

static bool genai_read(struct price_list *l, struct import_report *r)
{
    size_t i, k;
    json_t *provider, *m;
    import_root(r, l->file.root, NULL);
    json_array_foreach(l->file.root, i, provider)
    {
        const char *id = cli_text(provider, "id");
        if (!json_is_array(json_object_get(provider, "models")))
            import_tell_at(r, IMPORT_REFUSED, "unreadable", *id ? id : "?", provider,
                           "a provider without models");
        json_array_foreach(json_object_get(provider, "models"), k, m)
        {
            const char *name = cli_text(m, "id");
            if (!*name)
                import_tell_at(r, IMPORT_REFUSED, "unreadable", id, m, "a model without an id");
            else if (!add_row(l, name, id, m))
                return false;
        }
    }
    return true;
}

enum status price_list_open(const char *path, enum price_format format, struct price_list *l,
                            struct import_report *r, struct problem *p)
{
    *l = (struct price_list){.format = format};
    enum status s = import_open(path, &l->file, p);
    if (s != STATUS_OK)
        return s;
    bool array = json_is_array(l->file.root), ok = true;
    if (format == PRICES_AUTO)
        l->format = array ? PRICES_GENAI : PRICES_LITELLM;
    if (array != (l->format == PRICES_GENAI))
        return problem_set(p, STATUS_BAD_REQUEST, "", "%s",
                           array ? "an array: LiteLLM's list is an object of models"
                                 : "an object: genai-prices is an array of providers");
    if (l->format == PRICES_LITELLM) {
        struct litellm_read c = {.list = l, .report = r};
        l->bodies = json_array();
        if (l->bodies)
            import_walk(l->file.text, import_whole(l->file.text), litellm_member, &c);
        ok = l->bodies && !c.failed;
    } else {
        ok = genai_read(l, r);
    }
    if (!ok)
        return problem_set(p, STATUS_UNAVAILABLE, "", "no memory for the list");
    const char *none = "no model in it: not a price list";
    return l->n > 0 ? STATUS_OK : problem_set(p, STATUS_BAD_REQUEST, "", "%s", none);
}

void price_list_close(struct price_list *l)
{
    for (int i = 0; i < l->n; i++)
        json_decref(l->row[i].later);
    free(l->row);
    json_decref(l->bodies);
    import_close(&l->file);
    *l = (struct price_list){0};
}

static int by_target(const void *a, const void *b)
{
    const struct price_row *x = *(struct price_row *const *)a, *y = *(struct price_row *const *)b;
    int c = strcmp(x->target, y->target);
    return c ? c : (x > y) - (x < y);
}

static void settle_group(struct price_row **row, int n, struct import_report *r)
{
    char text[200] = "";
    bool differ = false;
    for (int i = 0; i < n; i++) {
        size_t len = strlen(text);
        const struct price_row *a = row[0], *b = row[i];
        differ |= a->in != b->in || a->out != b->out || a->cached != b->cached;
        snprintf(text + len, sizeof text - len, "%s%.40s $%g/$%g", i ? ", " : "",
                 *b->provider ? b->provider : b->name, (double)b->in / 1e6, (double)b->out / 1e6);
    }
    import_tell(r, differ ? IMPORT_REFUSED : IMPORT_NOTE, differ ? "conflict" : "twice",
                row[0]->target, "%s", text);
    for (int i = differ ? 0 : 1; i < n; i++)
        row[i]->usable = false;
}

bool price_list_agree(struct price_list *l, struct import_report *r)
{
    struct price_row **by = calloc((size_t)l->n + 1, sizeof *by);
    int n = 0;
    if (!by)
        return false;
    for (int i = 0; i < l->n; i++)
        if (l->row[i].wanted && l->row[i].usable)
            by[n++] = &l->row[i];
    qsort(by, (size_t)n, sizeof *by, by_target);
    for (int i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && strcmp(by[i]->target, by[end]->target) == 0;)
            end++;
        if (end > i + 1)
            settle_group(by + i, end - i, r);
    }
    free(by);
    return true;
}
