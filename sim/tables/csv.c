/* SPDX-License-Identifier: MIT */
/*
 * One record is held at a time; lines are joined while a quote is open, up to RECORD_MAX, so that a
 * quote that is never closed does not swallow the file. Not done: other separators, and guessing
 * whether there is a header.
 */
#include "sim/tables/csv.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { RECORD_MAX = 1 << 26, FOUND_MAX = 40, PATH_SHOWN = 48 };

enum status csv_fault(const struct csv *c, int column, const char *what)
{
    char place[FOUND_MAX + 32] = "";
    size_t n = strlen(c->path); /* the end of a long path says more than its beginning */
    const char *path = n > PATH_SHOWN ? c->path + n - PATH_SHOWN : c->path;
    if (column >= 0)
        snprintf(place, sizeof place, "column %d (%.*s): ", column + 1, FOUND_MAX, c->name[column]);
    enum status s = problem_set(c->problem, STATUS_BAD_REQUEST, "", "%s:%llu: %s%s", path,
                                (unsigned long long)c->line, place, what);
    if (c->problem != NULL)
        c->problem->line = (int)c->line;
    return s;
}

/* Digits with at most one point, few enough that digits and power of ten are exact in a double: one
 * division then rounds as strtod does (Clinger 1990), in a quarter of its time. */
static bool short_decimal(const char *cell, double *out)
{
    enum { DIGITS = 15 };
    static const double tens[DIGITS + 1] = {1,   1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                            1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
    const char *p = cell + (*cell == '-');
    int64_t whole = 0;
    int digits = 0, behind = 0;
    for (bool point = false; *p != '\0'; p++) {
        if (*p == '.' && !point) {
            point = true;
            continue;
        }
        if (*p < '0' || *p > '9' || ++digits > DIGITS)
            return false;
        whole = 10 * whole + (*p - '0');
        behind += point;
    }
    double size = (double)whole / tens[behind];
    *out = *cell == '-' ? -size : size;
    return digits > 0;
}

bool csv_number(const char *cell, double *out)
{
    char *end;
    if (short_decimal(cell, out))
        return true;
    *out = strtod(cell, &end);
    return end != cell && *end == '\0' && isfinite(*out);
}

/* Whether the quotes of a text leave one open: doubled ones come in pairs. */
static bool quote_open(const char *text, size_t n, bool open)
{
    for (const char *p = text; (p = memchr(p, '"', n - (size_t)(p - text))) != NULL; p++)
        open = !open;
    return open;
}

/* Splits in place and gives the number of cells. */
static int split(char *text, char **cell)
{
    int n = 0;
    for (char *p = text; n < CSV_COLUMNS_MAX;) {
        char *to = p, *from = p;
        cell[n++] = p;
        for (bool quoted = false; *from != '\0' && (quoted || *from != ','); from++) {
            if (*from == '"' && quoted && from[1] == '"')
                *to++ = *from++;
            else if (*from == '"')
                quoted = !quoted;
            else
                *to++ = *from;
        }
        bool more = *from == ',';
        *to = '\0';
        if (!more)
            break;
        p = from + 1;
    }
    return n;
}

/* Reads the lines of a record into text; gives its length, 0 at the end or when *s says so. */
static size_t read_record(struct csv *c, enum status *s)
{
    ssize_t n = getline(&c->text, &c->room, c->in);
    if (n <= 0)
        return 0;
    size_t len = (size_t)n;
    char *more = NULL;
    size_t room = 0;
    c->line = ++c->lines;
    for (bool open = quote_open(c->text, len, false); open;) {
        n = getline(&more, &room, c->in);
        if (n <= 0 || len + (size_t)n >= RECORD_MAX) {
            *s = csv_fault(c, -1,
                           n <= 0 ? "a quote is opened and never closed"
                                  : "a record is longer than 64 MiB: a quote too many?");
            break;
        }
        c->lines++;
        if (c->room <= len + (size_t)n) {
            size_t want = (len + (size_t)n + 1) * 2;
            char *grown = realloc(c->text, want);
            if (grown == NULL) {
                *s = problem_set(c->problem, STATUS_UNAVAILABLE, "", "out of memory");
                break;
            }
            c->text = grown;
            c->room = want;
        }
        memcpy(c->text + len, more, (size_t)n + 1);
        open = quote_open(c->text + len, (size_t)n, open);
        len += (size_t)n;
    }
    free(more);
    if (*s == STATUS_OK && memchr(c->text, '\0', len) != NULL)
        *s = csv_fault(c, -1, "a zero byte");
    return *s == STATUS_OK ? len : 0;
}

/* The same without the line's end; false when there is no record. */
static bool next_text(struct csv *c, enum status *s)
{
    size_t len;
    do {
        len = read_record(c, s);
        if (len == 0)
            return false;
        while (len > 0 && (c->text[len - 1] == '\n' || c->text[len - 1] == '\r'))
            c->text[--len] = '\0';
    } while (len == 0);
    return true;
}

enum status csv_open(struct csv *c, const char *path, struct problem *problem)
{
    enum status s = STATUS_OK;
    *c = (struct csv){.path = path, .problem = problem};
    c->in = fopen(path, "re");
    if (c->in == NULL)
        return problem_set(problem, STATUS_BAD_REQUEST, "", "%s: %s", path, strerror(errno));
    c->name = calloc(CSV_COLUMNS_MAX, sizeof *c->name);
    c->cell = calloc(CSV_COLUMNS_MAX, sizeof *c->cell);
    if (c->name == NULL || c->cell == NULL)
        return problem_set(problem, STATUS_UNAVAILABLE, "", "out of memory");
    if (!next_text(c, &s)) {
        c->line = 1;
        if (s == STATUS_OK && !feof(c->in))
            return problem_set(problem, STATUS_BAD_REQUEST, "", "%s: cannot be read", path);
        return s == STATUS_OK ? csv_fault(c, -1, "no header") : s;
    }
    c->head = c->text;
    c->text = NULL;
    c->room = 0;
    if (strncmp(c->head, "\xef\xbb\xbf", 3) == 0) /* a byte order mark */
        memmove(c->head, c->head + 3, strlen(c->head) - 2);
    c->n = split(c->head, c->name);
    return STATUS_OK;
}

void csv_close(struct csv *c)
{
    if (c->in != NULL)
        fclose(c->in);
    free(c->name);
    free(c->cell);
    free(c->head);
    free(c->text);
    *c = (struct csv){0};
}

bool csv_next(struct csv *c, enum status *s)
{
    char text[80];
    *s = STATUS_OK;
    if (!next_text(c, s)) {
        if (*s == STATUS_OK && !feof(c->in)) /* getline also stops for want of memory */
            *s = problem_set(c->problem, STATUS_BAD_REQUEST, "", "%s: cannot be read", c->path);
        return false;
    }
    int n = split(c->text, c->cell);
    if (n == c->n)
        return true;
    snprintf(text, sizeof text, "%d cells, the header has %d", n, c->n);
    *s = csv_fault(c, -1, text);
    return false;
}

int csv_find(const struct csv *c, const char *name)
{
    for (int i = 0; i < c->n; i++)
        if (strcmp(c->name[i], name) == 0)
            return i;
    return -1;
}
