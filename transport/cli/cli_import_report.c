/* SPDX-License-Identifier: MIT */
/*
 * The account of an import. A list has 1700 models and some reason to look at most of them, so
 * people get reasons with a few names each; programs get every line with --json.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "transport/cli/cli_import.h"

/* A place is found by going through the tree: often enough for a person, not for each line of a
 * file made to be slow. */
enum { NAMES_SHOWN = 5, PLACES_MOST = 200, PATH_BYTES = 256 };

static const struct {
    const char *code, *meaning;
} meaning[] = {
    {"unpriced", "no price: an alarm, not a zero"},
    {"zero", "priced at 0, which may mean not known: --free takes it"},
    {"price", "a price that is none"},
    {"implausible", "a token cheaper than a character: wrong by a factor"},
    {"not_text", "answers no prompts"},
    {"name", "not a name for purser: give it one with --map"},
    {"conflict", "several rows with different prices: choose with --provider"},
    {"twice", "several rows with the same prices: one taken"},
    {"unreadable", "not a row"},
    {"unknown_model", "not in the list"},
    {"dated", "a price that is to change"},
    {"constraint", "a condition that is not understood: that price is passed over"},
    {"by_hour", "priced by the hour: the dearest taken"},
    {"rounded", "not whole: rounded"},
    {"deprecated", "withdrawn by its vendor, or about to be"},
    {"cached", "cached input dearer than input"},
    {"cached_kept", "the list has no cached price: yours stays"},
    {"jump", "a price changed by more than a factor of ten"},
    {"tier", "tier chosen by price: check, or give --tier"},
    {"not_there", "no such model in the service: --add adds it"},
    {"not_in_list", "no price under that name: yours stays; --map gives the name in the list"},
    {"window", "a period that no window of a pool has"},
    {"amount", "an amount that is none"},
    {"zero_budget", "a budget of 0 stops everything"},
    {"secret", "a key known by its secret only, which must not stand in a configuration: name it"},
    {"no_model", "no such model in the configuration: name the pool's model as it is there"},
    {"owner", "a budget that belongs to nobody"},
    {"provider", "a budget of a provider without a list of its models"},
    {"tag", "a tag that is no label here"},
    {"scope", "more labels, or more of each, than one pool looks at"},
    {"total", "all values together: requests without the tag count here too"},
    {"priority", "rules of lower priority hold here too"},
    {"disabled", "switched off there"},
    {"identifier", "no identifier: written as one, which requests must send"},
    {"key", "a key is a user here: requests must send its name as user"},
    {"models", "one budget of several models: a pool looks at one or at all"},
    {"name_twice", "a second pool of this name is written: rename it"},
    {"rolls", "a fixed period there, a rolling window here"},
    {"raise", "a raise for the running period, by the calendar of UTC: an override of the cap"},
    {"calendar", "begins with the calendar's period here"},
};

bool import_report_init(struct import_report *r)
{
    *r = (struct import_report){.line = json_array()};
    return r->line != NULL;
}

void import_report_free(struct import_report *r)
{
    json_decref(r->line);
    r->line = NULL;
}

/* For terminals, and so that a text cut anywhere is still UTF-8. */
static char plain(char c)
{
    return (unsigned char)c < ' ' || (unsigned char)c >= 0x7f ? '?' : c;
}

const char *import_plain(char out[128], const char *s)
{
    size_t i = 0;
    for (; s[i] && i < 127; i++) {
        out[i] = plain(s[i]);
    }
    out[i] = '\0';
    return out;
}

/* Adds the text to the line of the same thing and reason, which is among the last. */
static bool joined(json_t *lines, const char *code, const char *name, const char *text)
{
    for (size_t i = json_array_size(lines); i-- > 0;) {
        json_t *l = json_array_get(lines, i);
        if (strcmp(cli_text(l, "name"), name) != 0)
            return false;
        if (strcmp(cli_text(l, "code"), code) != 0)
            continue;
        json_object_set_new(l, "text", json_sprintf("%.300s, %s", cli_text(l, "text"), text));
        return true;
    }
    return false;
}

/* Adds a step to a path, whose end is at len; gives the new end. */
static size_t step(char path[PATH_BYTES], size_t len, const char *key)
{
    if (len + 1 < PATH_BYTES)
        path[len++] = '/';
    for (; *key && len + 3 < PATH_BYTES; key++) {
        if (*key == '~' || *key == '/')
            path[len++] = '~';
        path[len++] = *key == '~' ? '0' : *key == '/' ? '1' : plain(*key);
    }
    path[len] = '\0';
    return len;
}

/* Writes the place of a value at or below `in`; false: it is not there. */
static bool find_place(const json_t *in, const json_t *value, char path[PATH_BYTES], size_t len)
{
    const char *key;
    char number[24];
    json_t *v;
    size_t i;
    path[len] = '\0';
    if (in == value)
        return true;
    json_object_foreach((json_t *)(uintptr_t)in, key, v)
    {
        if (find_place(v, value, path, step(path, len, key)))
            return true;
    }
    json_array_foreach(in, i, v)
    {
        (void)snprintf(number, sizeof number, "%zu", i);
        if (find_place(v, value, path, step(path, len, number)))
            return true;
    }
    return false;
}

static bool place_of(struct import_report *r, const json_t *value, char path[PATH_BYTES])
{
    return value && r->places++ < PLACES_MOST &&
           find_place(r->root, value, path, r->member ? step(path, 0, r->member) : 0);
}

void import_root(struct import_report *r, const json_t *tree, const char *member)
{
    r->root = tree;
    r->member = member;
}

static void tell(struct import_report *r, enum import_kind kind, const char *code, const char *name,
                 const json_t *at, const char *fmt, va_list args)
{
    static const char *const kinds[] = {"refused", "not_taken_over", "note"};
    char text[256], word[128], shown[128];
    char place[PATH_BYTES];
    vsnprintf(text, sizeof text, fmt, args);
    for (char *c = text; *c; c++)
        *c = plain(*c);
    if (kind == IMPORT_LOST &&
        joined(r->line, import_plain(word, code), import_plain(shown, name), text))
        return;
    json_array_append_new(r->line, json_pack("{s:s,s:s,s:s,s:s}", "kind", kinds[kind], "code",
                                             import_plain(word, code), "name",
                                             import_plain(shown, name), "text", text));
    if (place_of(r, at, place))
        json_object_set_new(json_array_get(r->line, json_array_size(r->line) - 1), "path",
                            json_string(place));
    r->count[kind]++;
}

void import_tell(struct import_report *r, enum import_kind kind, const char *code, const char *name,
                 const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    tell(r, kind, code, name, NULL, fmt, args);
    va_end(args);
}

void import_tell_at(struct import_report *r, enum import_kind kind, const char *code,
                    const char *name, const json_t *at, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    tell(r, kind, code, name, at, fmt, args);
    va_end(args);
}

const json_t *import_list(struct import_report *r, const json_t *object, const char *key)
{
    const json_t *list = json_object_get(object, key);
    size_t i;
    json_t *v;
    if (list && !json_is_array(list) && !json_is_null(list))
        import_tell_at(r, IMPORT_REFUSED, "unreadable", key, list, "a list is needed");
    json_array_foreach(list, i, v)
    {
        if (!json_is_object(v))
            import_tell_at(r, IMPORT_REFUSED, "unreadable", key, v, "an object is needed");
    }
    return json_is_array(list) ? list : NULL;
}

static const char *meaning_of(const char *code)
{
    for (size_t i = 0; i < sizeof meaning / sizeof meaning[0]; i++)
        if (strcmp(meaning[i].code, code) == 0)
            return meaning[i].meaning;
    return NULL;
}

static bool same(const json_t *a, const json_t *b, const char *member)
{
    return strcmp(cli_text(a, member), cli_text(b, member)) == 0;
}

static bool alike(const json_t *a, const json_t *b)
{
    return same(a, b, "kind") && same(a, b, "code");
}

static void print_group(const json_t *lines, size_t first, FILE *to)
{
    const json_t *head = json_array_get(lines, first);
    const char *code = cli_text(head, "code"), *what = meaning_of(code);
    size_t n = json_array_size(lines), count = 0;
    for (size_t i = first; i < n; i++)
        count += alike(head, json_array_get(lines, i));
    fprintf(to, "  %s (%zu)%s%s\n", code, count, what ? ": " : "", what ? what : "");
    for (size_t i = first, shown = 0; i < n && shown < NAMES_SHOWN; i++) {
        const json_t *l = json_array_get(lines, i);
        const char *text = cli_text(l, "text");
        if (!alike(head, l))
            continue;
        shown++;
        const char *path = cli_text(l, "path");
        fprintf(to, "    %s%s%s%s%s\n", cli_text(l, "name"), *text ? ": " : "", text,
                *path ? ", at " : "", path);
    }
    if (count > NAMES_SHOWN)
        fprintf(to, "    and %zu more (--json has them all)\n", count - NAMES_SHOWN);
}

void import_report_print(const struct import_report *r, FILE *to)
{
    static const char *const head[] = {"not imported:", "not taken over:", "look at:"},
                             *const kinds[] = {"refused", "not_taken_over", "note"};
    for (int k = 0; k < 3; k++) {
        if (r->count[k] == 0)
            continue;
        fprintf(to, "%s\n", head[k]);
        for (size_t i = 0; i < json_array_size(r->line); i++) {
            const json_t *l = json_array_get(r->line, i);
            bool first = strcmp(cli_text(l, "kind"), kinds[k]) == 0;
            for (size_t j = 0; first && j < i; j++)
                first = !alike(l, json_array_get(r->line, j));
            if (first)
                print_group(r->line, i, to);
        }
    }
}
