/* SPDX-License-Identifier: MIT */
#include "transport/audit_diff.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_MAX_BYTES = 1024 };

/* By what the elements of a list are told: NULL = by nothing. */
static const char *name_key(const json_t *list)
{
    static const char *const keys[] = {"name", "tenant"};
    for (int k = 0; k < 2; k++) {
        size_t i = 0, n = json_array_size(list);
        while (i < n && json_is_string(json_object_get(json_array_get(list, i), keys[k])))
            i++;
        if (n > 0 && i == n)
            return keys[k];
    }
    return NULL;
}

static const char *name_of(const json_t *list, size_t i, const char *key)
{
    return json_string_value(json_object_get(json_array_get(list, i), key));
}

/* Whether one list is the other with elements behind; then *key is what they go by. */
static bool grows(const json_t *from, const json_t *to, const char **key)
{
    size_t a = json_array_size(from), b = json_array_size(to);
    *key = name_key(a > 0 ? from : to);
    const char *other = name_key(b > 0 ? to : from);
    if (!*key || !other || strcmp(*key, other) != 0)
        return false;
    for (size_t i = 0; i < a && i < b; i++)
        if (strcmp(name_of(from, i, *key), name_of(to, i, *key)) != 0)
            return false;
    return true;
}

/* Appends "/name", escaped; false when it does not fit. */
static bool step(char path[PATH_MAX_BYTES], const char *name)
{
    size_t n = strlen(path);
    path[n++] = '/';
    for (; *name; name++) {
        if (n + 3 > PATH_MAX_BYTES)
            return false;
        path[n++] = *name == '~' || *name == '/' ? '~' : *name;
        if (*name == '~' || *name == '/')
            path[n++] = *name == '~' ? '0' : '1';
    }
    path[n] = '\0';
    return true;
}

static bool note(json_t *out, const char *path, const json_t *from, const json_t *to)
{
    json_t *change = json_pack("{s:s}", "path", path);
    bool ok = change != NULL;
    if (from)
        ok = ok && json_object_set_new(change, "from", json_deep_copy(from)) == 0;
    if (to)
        ok = ok && json_object_set_new(change, "to", json_deep_copy(to)) == 0;
    if (!ok)
        json_decref(change);
    return ok && json_array_append_new(out, change) == 0;
}

static bool compare(json_t *out, char path[PATH_MAX_BYTES], const json_t *from, const json_t *to);

static bool below(json_t *out, char path[PATH_MAX_BYTES], const char *name, const json_t *from,
                  const json_t *to)
{
    size_t n = strlen(path);
    bool ok = step(path, name) && compare(out, path, from, to);
    path[n] = '\0';
    return ok;
}

static bool compare_objects(json_t *out, char path[PATH_MAX_BYTES], const json_t *from,
                            const json_t *to)
{
    /* jansson's iterators take no const, though nothing is changed. */
    json_t *a = (json_t *)(uintptr_t)from, *b = (json_t *)(uintptr_t)to, *v;
    const char *key;
    json_object_foreach(a, key, v)
    {
        if (!below(out, path, key, v, json_object_get(b, key)))
            return false;
    }
    json_object_foreach(b, key, v)
    {
        if (!json_object_get(a, key) && !below(out, path, key, NULL, v))
            return false;
    }
    return true;
}

static bool compare(json_t *out, char path[PATH_MAX_BYTES], const json_t *from, const json_t *to)
{
    const char *key;
    if (from && to && json_equal(from, to))
        return true;
    if (json_is_object(from) && json_is_object(to))
        return compare_objects(out, path, from, to);
    if (!json_is_array(from) || !json_is_array(to) || !grows(from, to, &key))
        return note(out, path, from, to);
    size_t a = json_array_size(from), b = json_array_size(to);
    /* What is gone is told from the end, so that it comes back from the beginning. */
    for (size_t k = 0, n = a > b ? a : b; k < n; k++) {
        size_t i = a > b ? n - 1 - k : k;
        if (!below(out, path, name_of(i < a ? from : to, i, key),
                   i < a ? json_array_get(from, i) : NULL, i < b ? json_array_get(to, i) : NULL))
            return false;
    }
    return true;
}

json_t *diff_documents(const json_t *from, const json_t *to)
{
    char path[PATH_MAX_BYTES] = "";
    json_t *out = json_array();
    if (out && compare(out, path, from, to))
        return out;
    json_decref(out);
    return NULL;
}

/* ---- back ---- */

/* The next step of a path, unescaped, and what is behind it. */
static const char *next_step(const char *path, char name[PATH_MAX_BYTES])
{
    size_t n = 0;
    for (path++; *path && *path != '/'; path++) {
        name[n] = *path;
        if (*path == '~') {
            path++;
            name[n] = *path == '1' ? '/' : '~';
        }
        n++;
    }
    name[n] = '\0';
    return path;
}

/* Where an element of this name, or number, stands in a list; its size where there is none. */
static size_t index_of(const json_t *list, const char *name)
{
    const char *key = name_key(list);
    char *end;
    size_t i = 0, n = json_array_size(list);
    while (key && i < n && strcmp(name_of(list, i, key), name) != 0)
        i++;
    if (key)
        return i;
    unsigned long at = strtoul(name, &end, 10);
    return *name >= '0' && *name <= '9' && *end == '\0' && at < n ? at : n;
}

static json_t *child(json_t *at, const char *name)
{
    return json_is_array(at) ? json_array_get(at, index_of(at, name)) : json_object_get(at, name);
}

static bool put(json_t *at, const char *name, const json_t *value)
{
    if (json_is_array(at)) {
        size_t i = index_of(at, name), n = json_array_size(at);
        if (!value)
            return json_array_remove(at, i) == 0;
        json_t *copy = json_deep_copy(value);
        return (i < n ? json_array_set_new(at, i, copy) : json_array_append_new(at, copy)) == 0;
    }
    return value ? json_object_set_new(at, name, json_deep_copy(value)) == 0
                 : json_object_del(at, name) == 0;
}

static bool undo(json_t *at, const json_t *change)
{
    char name[PATH_MAX_BYTES];
    const char *path = json_string_value(json_object_get(change, "path"));
    const json_t *from = json_object_get(change, "from"), *to = json_object_get(change, "to");
    if (!path || path[0] != '/' || strlen(path) >= PATH_MAX_BYTES)
        return false;
    for (path = next_step(path, name); *path; path = next_step(path, name)) {
        at = child(at, name);
        if (!at)
            return false;
    }
    const json_t *there = child(at, name);
    if (to ? !there || !json_equal(there, to) : there != NULL)
        return false;
    return put(at, name, from);
}

bool diff_undo(json_t *document, const json_t *changes, const char **path)
{
    for (size_t i = json_array_size(changes); i-- > 0;) {
        const json_t *change = json_array_get(changes, i);
        *path = json_string_value(json_object_get(change, "path"));
        if (!undo(document, change))
            return false;
    }
    return true;
}

/* An object of this name, where names can be had. */
static void add_child(json_t *at, const char *name)
{
    const char *key = json_array_size(at) > 0 ? name_key(at) : "name";
    if (json_is_object(at))
        (void)json_object_set_new(at, name, json_object());
    else if (json_is_array(at) && key)
        (void)json_array_append_new(at, json_pack("{s:s}", key, name));
}

/* The container that a path ends in, its last step in name; makes what is missing if so wished. */
static json_t *walk(json_t *at, const char *path, bool make, char name[PATH_MAX_BYTES])
{
    char whole[PATH_MAX_BYTES] = "/";
    if (strlen(path) + 2 > sizeof whole)
        return NULL;
    strcpy(whole + (path[0] != '/'), path);
    for (path = next_step(whole, name); at && *path; path = next_step(path, name)) {
        if (make && !child(at, name))
            add_child(at, name);
        at = child(at, name);
    }
    return at;
}

const json_t *diff_get(const json_t *document, const char *path)
{
    char name[PATH_MAX_BYTES];
    /* The walk makes nothing here. */
    json_t *at = walk((json_t *)(uintptr_t)document, path, false, name);
    return at ? child(at, name) : NULL;
}

bool diff_set(json_t *document, const char *path, const json_t *value)
{
    char name[PATH_MAX_BYTES];
    json_t *at = walk(document, path, true, name);
    bool open = json_is_object(at) || name_key(at); /* for what is not there yet */
    return at && (child(at, name) || (value && open)) && put(at, name, value);
}
