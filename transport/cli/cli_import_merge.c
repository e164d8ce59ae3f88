/* SPDX-License-Identifier: MIT */
/*
 * Rows of a price list to models of a configuration. Models that are there already get the new
 * prices and keep all else, for tiers, capabilities and limits are their operator's; new ones get
 * what the list knows and a tier. Without --models or --match only what is there already is looked
 * for, so that a cron job renews prices and adds nothing.
 */
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>
#include "core/encoding/json.h"
#include "transport/cli/cli_import_models.h"

/* ---- choosing rows */

static bool in_list(const char *list, const char *name)
{
    size_t n = strlen(name);
    for (const char *s = list; s; s = strchr(s, ',')) {
        s += *s == ',';
        if (strncmp(s, name, n) == 0 && (s[n] == ',' || s[n] == '\0'))
            return true;
    }
    return false;
}

size_t import_model_index(const json_t *models, const char *name)
{
    size_t i, n = json_array_size(models);
    for (i = 0; i < n && strcmp(cli_text(json_array_get(models, i), "name"), name) != 0;)
        i++;
    return i;
}

json_t *import_find_model(const json_t *models, const char *name)
{
    return json_array_get(models, import_model_index(models, name));
}

static bool chosen(const struct import *im, const char *name, const char *target, bool mapped)
{
    if (mapped || in_list(im->models, name) || (im->match && fnmatch(im->match, name, 0) == 0))
        return true;
    if (im->models || im->match)
        return false;
    if (im->apply || json_array_size(im->there) > 0)
        return import_find_model(im->there, target) != NULL;
    return json_object_size(im->map) == 0;
}

/* Names the rows that are wanted as purser will know them. */
static void choose(struct import *im)
{
    for (int i = 0; i < im->list.n; i++) {
        struct price_row *row = &im->list.row[i];
        const char *mapped = json_string_value(json_object_get(im->map, row->name)),
                   *target = mapped ? mapped : row->name;
        if (im->provider && strcmp(im->provider, row->provider) != 0)
            continue;
        row->wanted = chosen(im, row->name, target, mapped != NULL);
        if (!row->wanted)
            continue;
        if (!json_name_ok(target)) {
            row->wanted = false;
            import_tell(&im->report, IMPORT_REFUSED, "name", row->name, "%s",
                        strlen(target) > NAME_LEN ? "longer than 64 bytes" : "");
            continue;
        }
        snprintf(row->target, sizeof row->target, "%s", target);
    }
}

/* Names that were asked for and are not in the list. */
static void miss(struct import *im, const char *name)
{
    for (int i = 0; i < im->list.n; i++) {
        const struct price_row *row = &im->list.row[i];
        if (strcmp(row->name, name) == 0 &&
            (!im->provider || strcmp(im->provider, row->provider) == 0))
            return;
    }
    import_tell(&im->report, IMPORT_REFUSED, "unknown_model", name, "%s",
                im->provider ? "of that provider" : "");
}

static void miss_all(struct import *im)
{
    const char *key;
    json_t *v;
    char name[256];
    json_object_foreach(im->map, key, v) miss(im, key);
    for (const char *s = im->models; s && *s;) {
        size_t n = strcspn(s, ",");
        snprintf(name, sizeof name, "%.*s", (int)n, s);
        if (n > 0)
            miss(im, name);
        s += n + (s[n] == ',');
    }
}

static bool read_rows(struct import *im)
{
    for (int i = 0; i < im->list.n; i++) {
        struct price_row *row = &im->list.row[i];
        if (row->wanted)
            price_row_read(&im->list, row, im->as_of, im->free_too, &im->report);
    }
    if (!price_list_agree(&im->list, &im->report))
        return false;
    for (int i = 0; i < im->list.n; i++)
        im->usable += im->list.row[i].wanted && im->list.row[i].usable;
    return true;
}

bool import_choose(struct import *im)
{
    choose(im);
    miss_all(im);
    return read_rows(im);
}

/* ---- models of a configuration */

static int64_t price_of(const json_t *model, const char *key)
{
    int64_t pico;
    bool exact;
    return import_number(json_object_get(model, key), 6, &pico, &exact) ? pico : -1;
}

/* Prices that follow another one while they are not said: their place in import_price_key. */
enum { APART = 3 };
static const struct {
    const char *key, *follows;
} apart[APART] = {{"usd_per_mtok_reasoning", "usd_per_mtok_out"},
                  {"usd_per_mtok_batch_in", "usd_per_mtok_in"},
                  {"usd_per_mtok_batch_out", "usd_per_mtok_out"}};

static int64_t apart_of(const struct price_row *row, int i)
{
    return i == 0 ? row->reasoning : i == 1 ? row->batch_in : row->batch_out;
}

/* Writes what the row says of prices apart into a model that has its new in and out; tells whether
 * that changes anything. was: the model before, NULL = new. */
static bool put_apart(json_t *m, const struct price_row *row, const json_t *was)
{
    bool changed = false;
    for (int i = 0; i < APART; i++) {
        int64_t old = was ? price_of(was, apart[i].key) : -1, now = apart_of(row, i),
                base = price_of(m, apart[i].follows);
        bool followed = old >= 0 && old == price_of(was, apart[i].follows);
        if (now < 0 && followed)
            price_put(m, apart[i].key, base);
        if (now < 0 || now == (old >= 0 ? old : base))
            continue;
        price_put(m, apart[i].key, now);
        changed = true;
    }
    return changed;
}

/* Whether prices to come are those that are there. */
static bool same_later(const json_t *a, const json_t *b)
{
    bool same = json_array_size(a) == json_array_size(b);
    for (size_t i = 0; same && i < json_array_size(a); i++) {
        const json_t *x = json_array_get(a, i), *y = json_array_get(b, i);
        same = strcmp(cli_text(x, "from"), cli_text(y, "from")) == 0;
        for (int k = 0; same && k < PRICE_KEYS; k++)
            same = !json_object_get(x, import_price_key[k]) ||
                   price_of(x, import_price_key[k]) == price_of(y, import_price_key[k]);
    }
    return same;
}

static bool put_later(json_t *m, const struct price_row *row, const json_t *was)
{
    if (!row->later || same_later(row->later, json_object_get(was, "prices")))
        return false;
    return json_object_set(m, "prices", row->later) == 0;
}

/* A typical call has about three input tokens for each output token. */
static double worth(int64_t in, int64_t out)
{
    return 3 * (double)in + (double)out + 1;
}

/* The tier of the model that is nearest in price; without models, equal parts by price, a single
 * one in the middle. */
static const char *tier_of(const struct import *im, const struct price_row *row)
{
    double mine = worth(row->in, row->out), best = 0;
    const char *tier = NULL;
    size_t i;
    json_t *m;
    json_array_foreach(im->there, i, m)
    {
        double other = worth(price_of(m, "usd_per_mtok_in"), price_of(m, "usd_per_mtok_out"));
        double near = other < mine ? other / mine : mine / other;
        if (*cli_text(m, "tier") && near > best) {
            best = near;
            tier = cli_text(m, "tier");
        }
    }
    if (tier)
        return tier;
    size_t below = 0, tiers = json_array_size(im->tiers), all = im->usable ? (size_t)im->usable : 1;
    for (int k = 0; k < im->list.n; k++) {
        const struct price_row *other = &im->list.row[k];
        below += other->wanted && other->usable && worth(other->in, other->out) < mine;
    }
    return json_string_value(json_array_get(im->tiers, (2 * below + 1) * tiers / (2 * all)));
}

static json_t *new_model(struct import *im, const struct price_row *row)
{
    bool many = im->usable > MODELS_MAX; /* a look at the list: they cannot all be written */
    const char *tier = im->tier ? im->tier : many ? NULL : tier_of(im, row);
    json_t *m = json_pack("{s:s,s:s}", "name", row->target, "tier", tier ? tier : "small");
    price_put(m, "usd_per_mtok_in", row->in);
    if (row->cached >= 0)
        price_put(m, "usd_per_mtok_cached_in", row->cached);
    price_put(m, "usd_per_mtok_out", row->out);
    put_apart(m, row, NULL);
    put_later(m, row, NULL);
    if (row->in == 0 && row->out == 0)
        json_object_set_new(m, "free", json_true()); /* asked for: --free */
    if (row->context > 0)
        json_object_set_new(m, "context_tokens", json_integer(row->context));
    json_t *can = json_array();
    for (int i = 0; i < PRICE_CAPABILITIES; i++)
        if (row->capabilities >> i & 1)
            json_array_append_new(can, json_string(import_capability[i]));
    if (json_array_size(can) > 0)
        json_object_set(m, "capabilities", can);
    json_decref(can);
    if (!im->tier && !many)
        import_tell(&im->report, IMPORT_NOTE, "tier", row->target, "%s", cli_text(m, "tier"));
    return m;
}

static bool jumps(int64_t before, int64_t now)
{
    return before > 0 && now > 0 && (before / 10 > now || now / 10 > before);
}

/* Gives (new) the model with the row's prices, NULL if it has them already. */
static json_t *repriced(struct import *im, const struct price_row *row, const json_t *was)
{
    int64_t in = price_of(was, "usd_per_mtok_in"), out = price_of(was, "usd_per_mtok_out"),
            cached = price_of(was, "usd_per_mtok_cached_in");
    if (row->cached < 0 && cached >= 0 && cached != in)
        import_tell(&im->report, IMPORT_NOTE, "cached_kept", row->target, "$%g per million",
                    (double)cached / 1e6);
    if (jumps(in, row->in) || jumps(out, row->out))
        import_tell(&im->report, IMPORT_NOTE, "jump", row->target, "$%g/$%g, was $%g/$%g",
                    (double)row->in / 1e6, (double)row->out / 1e6, (double)in / 1e6,
                    (double)out / 1e6);
    /* A cached price that equals the input price follows it when it is not said. */
    int64_t cached_now = row->cached >= 0 ? row->cached : cached == in ? row->in : cached;
    int64_t cached_was = cached >= 0 ? cached : in,
            effective = cached_now >= 0 ? cached_now : row->in;
    json_t *m = json_deep_copy(was);
    price_put(m, "usd_per_mtok_in", row->in);
    price_put(m, "usd_per_mtok_out", row->out);
    if (cached >= 0 || row->cached >= 0)
        price_put(m, "usd_per_mtok_cached_in", cached_now);
    bool changed = in != row->in || out != row->out || cached_was != effective;
    changed |= put_apart(m, row, was);
    changed |= put_later(m, row, was);
    if (changed)
        return m;
    json_decref(m);
    return NULL;
}

static void tell_change(struct import *im, const struct price_row *row, const json_t *was,
                        const char *change)
{
    json_t *t =
        json_pack("{s:s,s:s,s:f,s:f}", "name", row->target, "change", change, "usd_per_mtok_in",
                  (double)row->in / 1e6, "usd_per_mtok_out", (double)row->out / 1e6);
    if (row->cached >= 0)
        price_put(t, "usd_per_mtok_cached_in", row->cached);
    for (int i = 0; i < APART; i++)
        if (apart_of(row, i) >= 0)
            price_put(t, apart[i].key, apart_of(row, i));
    if (row->later)
        json_object_set(t, "prices", row->later);
    if (was) {
        price_put(t, "was_in", price_of(was, "usd_per_mtok_in"));
        price_put(t, "was_out", price_of(was, "usd_per_mtok_out"));
    }
    json_array_append_new(im->told, t);
}

static void merge_row(struct import *im, const struct price_row *row)
{
    json_t *was = import_find_model(im->there, row->target);
    json_t *now = was ? repriced(im, row, was) : im->apply && !im->add ? NULL : new_model(im, row);
    if (!was && !now) {
        import_tell(&im->report, IMPORT_REFUSED, "not_there", row->target, "$%g/$%g per million",
                    (double)row->in / 1e6, (double)row->out / 1e6);
        return;
    }
    tell_change(im, row, was, !was ? "new" : now ? "repriced" : "same");
    if (!now)
        return;
    json_array_append_new(im->changed, now);
}

void import_merge(struct import *im)
{
    size_t i;
    json_t *m;
    for (int k = 0; k < im->list.n; k++)
        if (im->list.row[k].wanted && im->list.row[k].usable)
            merge_row(im, &im->list.row[k]);
    if (im->models || im->match)
        return;
    json_array_foreach(im->there, i, m)
    {
        bool found = import_find_model(im->told, cli_text(m, "name")) != NULL;
        if (!found && !json_is_false(json_object_get(m, "active")))
            import_tell(&im->report, IMPORT_NOTE, "not_in_list", cli_text(m, "name"),
                        "$%g/$%g per million", cli_real(m, "usd_per_mtok_in"),
                        cli_real(m, "usd_per_mtok_out"));
    }
}
