/* SPDX-License-Identifier: MIT */
/*
 * Files of others: read within bounds before jansson sees them (it allows 2048 levels, and turns
 * 1 MiB of "{}," into 77 MB), and configurations written back with nothing changed but one member.
 * core/json has such a gate for messages; price lists are deeper and larger, and may be arrays.
 * Considered: to write the whole document from its tree. It would reformat what people wrote.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "transport/cli/cli_import.h"

enum { BYTES_MAX = 16 << 20, DEPTH_MAX = 32, ELEMENTS_MAX = 1000000 };

static bool blank(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* Gives the index behind the string that begins at i, at most n. */
static size_t string_end(const char *s, size_t n, size_t i)
{
    for (i++; i < n && s[i] != '"'; i++)
        i += s[i] == '\\';
    return i < n ? i + 1 : n;
}

static enum status bounded(const struct import_file *f, struct problem *p)
{
    int depth = 0, elements = 0;
    for (size_t i = 0; i < f->n; i++) {
        char c = f->text[i];
        if (c == '"') {
            i = string_end(f->text, f->n, i) - 1;
            continue;
        }
        depth += c == '{' || c == '[';
        depth -= c == '}' || c == ']';
        elements += c == '{' || c == '[' || c == ',';
        if (depth > DEPTH_MAX)
            return problem_set(p, STATUS_TOO_LARGE, "", "nested deeper than %d levels", DEPTH_MAX);
        if (elements > ELEMENTS_MAX)
            return problem_set(p, STATUS_TOO_LARGE, "", "more than %d elements", ELEMENTS_MAX);
    }
    return STATUS_OK;
}

static enum status slurp(const char *path, struct import_file *f, struct problem *p)
{
    FILE *in = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    f->text = in ? malloc(BYTES_MAX + 2) : NULL;
    if (f->text)
        f->n = fread(f->text, 1, BYTES_MAX + 1, in);
    bool bad = !f->text || ferror(in);
    const char *why = strerror(errno);
    if (in && in != stdin)
        fclose(in);
    if (bad)
        return problem_set(p, STATUS_BAD_REQUEST, "", "cannot be read: %s", why);
    if (f->n > BYTES_MAX)
        return problem_set(p, STATUS_TOO_LARGE, "", "more than %d bytes", BYTES_MAX);
    if (f->n >= 3 && memcmp(f->text, "\xef\xbb\xbf", 3) == 0)
        memmove(f->text, f->text + 3, f->n -= 3);
    f->text[f->n] = '\0';
    return STATUS_OK;
}

static enum status parse(struct import_file *f, struct problem *p)
{
    json_error_t e;
    size_t start = 0;
    while (start < f->n && blank(f->text[start]))
        start++;
    if (start == f->n)
        return problem_set(p, STATUS_BAD_JSON, "", "empty");
    if (f->text[start] != '{' && f->text[start] != '[')
        return problem_set(p, STATUS_BAD_JSON, "",
                           "not JSON; if it is YAML, convert it: python3 -c 'import json,sys,yaml; "
                           "json.dump(yaml.safe_load(sys.stdin),sys.stdout)' <FILE >FILE.json");
    enum status s = bounded(f, p);
    if (s != STATUS_OK)
        return s;
    f->root = json_loadb(f->text, f->n, 0, &e);
    if (f->root)
        return STATUS_OK;
    s = problem_set(p, STATUS_BAD_JSON, "", "%s", e.text);
    if (p && e.line > 0)
        p->line = e.line;
    return s;
}

enum status import_open(const char *path, struct import_file *f, struct problem *p)
{
    *f = (struct import_file){0};
    enum status s = slurp(path, f, p);
    if (s == STATUS_OK)
        s = parse(f, p);
    if (s != STATUS_OK)
        import_close(f);
    return s;
}

void import_close(struct import_file *f)
{
    json_decref(f->root);
    free(f->text);
    *f = (struct import_file){0};
}

/* Gives the index of the comma or bracket that ends the value beginning at i. */
static size_t value_end(const char *s, size_t n, size_t i)
{
    for (int depth = 0; i < n; i++) {
        if (s[i] == '"') {
            i = string_end(s, n, i) - 1;
            continue;
        }
        if (depth == 0 && strchr(",}]", s[i]))
            return i;
        depth += s[i] == '{' || s[i] == '[';
        depth -= s[i] == '}' || s[i] == ']';
    }
    return n;
}

void import_walk(const char *s, struct import_span of, import_visit *visit, void *ctx)
{
    size_t n = of.from + of.n, i = of.from;
    bool keyed = i < n && s[i] == '{';
    for (i++; i < n; i++) {
        struct import_span key = {0}, value;
        while (i < n && blank(s[i]))
            i++;
        if (i == n || s[i] == '}' || s[i] == ']')
            return;
        if (keyed) {
            key = (struct import_span){i, string_end(s, n, i) - i};
            for (i += key.n; i < n && (blank(s[i]) || s[i] == ':');)
                i++;
        }
        value.from = i;
        i = value_end(s, n, i);
        for (value.n = i - value.from; value.n > 0 && blank(s[value.from + value.n - 1]);)
            value.n--;
        visit(ctx, s, key, value);
    }
}

struct search {
    const char *key; /* NULL: items are counted */
    size_t index, seen;
    bool found, any;
    struct import_span value, last; /* last: from its beginning to its end, key included */
};

static void look(void *ctx, const char *s, struct import_span key, struct import_span value)
{
    struct search *l = ctx;
    size_t n = l->key ? strlen(l->key) : 0;
    bool it =
        l->key ? key.n == n + 2 && memcmp(s + key.from + 1, l->key, n) == 0 : l->seen == l->index;
    l->seen++;
    l->any = true;
    l->last = value;
    if (key.n > 0)
        l->last = (struct import_span){key.from, value.from + value.n - key.from};
    if (it) {
        l->found = true;
        l->value = value;
    }
}

bool import_member(const char *s, struct import_span object, const char *key,
                   struct import_span *value)
{
    struct search l = {.key = key};
    import_walk(s, object, look, &l);
    *value = l.value;
    return l.found;
}

bool import_item(const char *s, struct import_span array, size_t index, struct import_span *value)
{
    struct search l = {.index = index};
    import_walk(s, array, look, &l);
    *value = l.value;
    return l.found;
}

/* Gives the text with a span of it replaced by four pieces. */
static char *replaced(const char *s, struct import_span gone, const char *a, int a_n, const char *b,
                      const char *c, const char *d)
{
    char *out = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&out, &n);
    if (!f)
        return NULL;
    fprintf(f, "%.*s%.*s%s%s%s%s", (int)gone.from, s, a_n, a, b, c, d, s + gone.from + gone.n);
    if (fclose(f) == 0)
        return out;
    free(out);
    return NULL;
}

/* Adds behind the last entry, with the white space that stands before that one. */
static char *added(const char *s, struct import_span of, const struct search *l, const char *key,
                   const char *value)
{
    char name[NAME_CAP + 8] = "";
    if (key)
        snprintf(name, sizeof name, "\"%.64s\": ", key);
    if (!l->any)
        return replaced(s, (struct import_span){of.from + 1, of.n - 2}, "\n  ", 3, name, value,
                        "\n");
    size_t space = l->last.from, end = l->last.from + l->last.n;
    while (space > of.from + 1 && blank(s[space - 1]))
        space--;
    char before[64];
    snprintf(before, sizeof before, ",%.*s", (int)(l->last.from - space), s + space);
    return replaced(s, (struct import_span){end, 0}, before, (int)strlen(before), name, value, "");
}

char *import_set(const char *s, struct import_span object, const char *key, const char *value)
{
    struct search l = {.key = key};
    import_walk(s, object, look, &l);
    return l.found ? replaced(s, l.value, "", 0, "", value, "") : added(s, object, &l, key, value);
}

char *import_append(const char *s, struct import_span array, const char *value)
{
    struct search l = {.index = SIZE_MAX};
    import_walk(s, array, look, &l);
    return added(s, array, &l, NULL, value);
}

struct import_span import_whole(const char *s)
{
    size_t from = strspn(s, " \n\r\t"), n = strlen(s);
    while (n > from && blank(s[n - 1]))
        n--;
    return (struct import_span){from, n - from};
}

enum status import_replace(const char *path, const char *text, struct problem *p)
{
    char real[PATH_MAX], temporary[PATH_MAX + 8];
    struct stat st;
    mode_t mode = 0644;
    if (!realpath(path, real)) /* not there yet: as it was said */
        snprintf(real, sizeof real, "%s", path);
    else if (stat(real, &st) == 0)
        mode = st.st_mode & 07777;
    snprintf(temporary, sizeof temporary, "%s.XXXXXX", real);
    int fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0)
        return problem_set(p, STATUS_BAD_REQUEST, "", "cannot be written: %s", strerror(errno));
    size_t n = strlen(text);
    bool ok = write(fd, text, n) == (ssize_t)n && fchmod(fd, mode) == 0 && fsync(fd) == 0;
    ok &= close(fd) == 0;
    ok = ok && rename(temporary, real) == 0;
    if (ok)
        return STATUS_OK;
    const char *why = strerror(errno);
    unlink(temporary);
    return problem_set(p, STATUS_BAD_REQUEST, "", "cannot be written: %s", why);
}
