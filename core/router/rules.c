/* SPDX-License-Identifier: MIT */
/*
 * Keyword rules: what teams write before they have a router. They serve as the `rules` policy, the
 * baseline that purser is compared with, and, where they set the lowest tier, as constraints that
 * hold under any policy. Words match whole, ASCII case ignored, within the part of
 * the prompt that features see too.
 */
#include "core/router/rules.h"

#include <ctype.h>
#include <string.h>

static bool word_byte(char c)
{
    return isalnum((unsigned char)c) || (unsigned char)c >= 0x80 || c == '_';
}

static bool word_at(const char *text, size_t i, size_t n, const char *word, size_t w)
{
    if (i + w > n || (i > 0 && word_byte(text[i - 1])) || (i + w < n && word_byte(text[i + w])))
        return false;
    for (size_t k = 0; k < w; k++)
        if (tolower((unsigned char)text[i + k]) != tolower((unsigned char)word[k]))
            return false;
    return true;
}

static bool has_word(const char *text, size_t n, const char *word)
{
    size_t w = strlen(word);
    if (n > PROMPT_HASHED_MAX)
        n = PROMPT_HASHED_MAX;
    for (size_t i = 0; i + w <= n; i++)
        if (word_at(text, i, n, word, w))
            return true;
    return false;
}

static bool same_or_any(const char *wanted, const char *given)
{
    return wanted[0] == '\0' || strcmp(wanted, given) == 0;
}

static bool declared(const struct rule *rule, const struct labels *l, int64_t tokens)
{
    return same_or_any(rule->task, l->task) && same_or_any(rule->domain, l->domain) &&
           same_or_any(rule->user_tier, l->user_tier) && tokens >= rule->min_prompt_tokens;
}

static bool rule_matches(const struct rule *rule, const struct request *r, int64_t tokens)
{
    if (!declared(rule, &r->labels, tokens))
        return false;
    if (rule->n_words == 0)
        return true;
    for (int i = 0; i < rule->n_words && r->prompt; i++)
        if (has_word(r->prompt, r->prompt_len, rule->words[i]))
            return true;
    return false;
}

static int64_t list_price(const struct model *m)
{
    return m->price.in + m->price.out;
}

static int extreme(const struct catalog *c, bool dearest, int tier)
{
    int best = -1;
    for (int i = 0; i < c->n; i++) {
        if (!c->model[i].active || (tier >= 0 && c->model[i].tier != tier))
            continue;
        int64_t price = list_price(&c->model[i]);
        int64_t held = best < 0 ? 0 : list_price(&c->model[best]);
        if (best < 0 || (dearest ? price > held : price < held))
            best = i;
    }
    return best;
}

int rules_extreme(const struct catalog *c, bool dearest)
{
    return extreme(c, dearest, -1);
}

int rules_model(const struct params *p, const struct request *r, int64_t tokens, bool *matched)
{
    if (matched)
        *matched = false;
    for (int i = 0; i < p->n_rules; i++) {
        if (p->rule[i].min_tier >= 0 || !rule_matches(&p->rule[i], r, tokens))
            continue;
        int slot = p->rule[i].model[0] ? catalog_find(&p->catalog, p->rule[i].model)
                                       : extreme(&p->catalog, false, p->rule[i].tier);
        if (slot < 0 || !p->catalog.model[slot].active)
            continue;
        if (matched)
            *matched = true;
        return slot;
    }
    int named = p->policy.model[0] ? catalog_find(&p->catalog, p->policy.model) : -1;
    return named >= 0 && p->catalog.model[named].active ? named : rules_extreme(&p->catalog, false);
}

int rules_min_tier(const struct params *p, const struct request *r, int64_t tokens)
{
    int least = 0;
    for (int i = 0; i < p->n_rules; i++)
        if (p->rule[i].min_tier > least && rule_matches(&p->rule[i], r, tokens))
            least = p->rule[i].min_tier;
    return least;
}

int rules_min_tier_declared(const struct params *p, const struct labels *l, int64_t tokens)
{
    int least = 0;
    for (int i = 0; i < p->n_rules; i++)
        if (p->rule[i].min_tier > least && p->rule[i].n_words == 0 &&
            declared(&p->rule[i], l, tokens))
            least = p->rule[i].min_tier;
    return least;
}

static bool same_words(const struct rule *a, const struct rule *b)
{
    bool same = a->n_words == b->n_words;
    for (int i = 0; same && i < a->n_words; i++)
        same = strcmp(a->words[i], b->words[i]) == 0;
    return same;
}

bool rules_hold(const struct params *p, const struct rule *rule)
{
    for (int i = 0; i < p->n_rules; i++) {
        const struct rule *r = &p->rule[i];
        if (r->min_tier >= rule->min_tier && same_words(r, rule) &&
            same_or_any(r->task, rule->task) && same_or_any(r->domain, rule->domain) &&
            same_or_any(r->user_tier, rule->user_tier) &&
            r->min_prompt_tokens <= rule->min_prompt_tokens)
            return true;
    }
    return false;
}
