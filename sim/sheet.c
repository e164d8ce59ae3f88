/* SPDX-License-Identifier: MIT */
#include "sim/sheet.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum status sheet_place_ready(const struct sheet_place *to, struct problem *problem)
{
    if (to->dir == NULL || mkdir(to->dir, 0777) == 0 || errno == EEXIST)
        return STATUS_OK;
    return problem_set(problem, STATUS_BAD_REQUEST, "", "%s: %s", to->dir, strerror(errno));
}

static enum status begin(struct sheet *s, const struct sheet_place *to, const char *file,
                         struct problem *problem)
{
    *s = (struct sheet){.jsonl = to->jsonl};
    if (to->dir == NULL)
        return STATUS_OK;
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/%s", to->dir, file) >= (int)sizeof path)
        return problem_set(problem, STATUS_BAD_REQUEST, "", "the folder's name is too long");
    enum status status = whole_begin(&s->file, path, problem);
    s->f = s->file.f;
    return status;
}

enum status sheet_begin(struct sheet *s, const struct sheet_place *to, const char *name,
                        struct problem *problem)
{
    char file[128];
    snprintf(file, sizeof file, "%s.%s", name, to->jsonl ? "jsonl" : "csv");
    return begin(s, to, file, problem);
}

static void part_file(char file[128], const char *name, int i)
{
    snprintf(file, 128, ".%s.%d.part", name, i);
}

enum status sheet_part(struct sheet *s, const struct sheet_place *to, const char *name, int i,
                       struct problem *problem)
{
    char file[128];
    part_file(file, name, i);
    enum status status = begin(s, to, file, problem);
    s->begun = true;
    return status;
}

void sheet_column(struct sheet *s, const char *name)
{
    assert(s->n < SHEET_COLUMNS_MAX);
    s->column[s->n++] = name;
}

void sheet_columns(struct sheet *s, const char *const *name, int n)
{
    for (int i = 0; i < n; i++)
        sheet_column(s, name[i]);
}

static void quoted(struct sheet *s, const char *value)
{
    fputc('"', s->f);
    for (const char *p = value; *p != '\0'; p++) {
        if (s->jsonl && (unsigned char)*p < ' ') {
            fprintf(s->f, "\\u%04x", (unsigned)*p);
            continue;
        }
        if (*p == '"' || (s->jsonl && *p == '\\'))
            fputc(s->jsonl ? '\\' : '"', s->f);
        fputc(*p, s->f);
    }
    fputc('"', s->f);
}

static void word(struct sheet *s, const char *value)
{
    if (s->jsonl || strpbrk(value, ",\"\r\n") != NULL)
        quoted(s, value);
    else
        fputs(value, s->f);
}

static void header(struct sheet *s)
{
    if (s->begun)
        return;
    s->begun = true;
    for (int i = 0; !s->jsonl && i < s->n; i++) {
        fputs(i > 0 ? "," : "", s->f);
        word(s, s->column[i]);
    }
    fputs(s->jsonl ? "" : "\n", s->f);
}

/* What stands ahead of a cell; behind the last one of the row before. */
static void ahead(struct sheet *s)
{
    header(s);
    fputs(s->at > 0 ? "," : s->jsonl ? "{" : "", s->f);
    if (s->jsonl) {
        quoted(s, s->column[s->at]);
        fputc(':', s->f);
    }
}

static void behind(struct sheet *s)
{
    if (++s->at < s->n)
        return;
    fputs(s->jsonl ? "}\n" : "\n", s->f);
    s->at = 0;
}

void sheet_text(struct sheet *s, const char *value)
{
    if (s->f == NULL)
        return;
    ahead(s);
    word(s, value);
    behind(s);
}

void sheet_number(struct sheet *s, double value)
{
    char text[40];
    if (s->f == NULL)
        return;
    ahead(s);
    int n = 15; /* the fewest digits that give the same bits */
    do
        snprintf(text, sizeof text, "%.*g", n, value);
    while (n++ < 17 && isfinite(value) && memcmp(&(double){strtod(text, NULL)}, &value, 8) != 0);
    fputs(isfinite(value) ? text : s->jsonl ? "null" : "", s->f);
    behind(s);
}

void sheet_count(struct sheet *s, int64_t value)
{
    if (s->f == NULL)
        return;
    ahead(s);
    fprintf(s->f, "%lld", (long long)value);
    behind(s);
}

enum status sheet_end(struct sheet *s, enum status so_far, struct problem *problem)
{
    if (s->f == NULL)
        return so_far;
    header(s);
    s->f = NULL;
    return whole_end(&s->file, so_far, problem);
}

static bool copy(FILE *from, FILE *to)
{
    char block[65536];
    for (size_t n; (n = fread(block, 1, sizeof block, from)) > 0;)
        if (fwrite(block, 1, n, to) != n)
            return false;
    return !ferror(from);
}

enum status sheet_join(struct sheet *s, const struct sheet_place *to, const char *name, int parts,
                       struct problem *problem)
{
    char file[128], path[4352];
    if (s->f == NULL)
        return STATUS_OK;
    header(s);
    for (int i = 0; i < parts; i++) {
        part_file(file, name, i);
        snprintf(path, sizeof path, "%s/%s", to->dir, file);
        FILE *f = fopen(path, "re");
        if (f == NULL && errno == ENOENT)
            continue;
        if (f == NULL)
            return problem_set(problem, STATUS_INTERNAL, "", "%s: %s", path, strerror(errno));
        bool ok = copy(f, s->f);
        fclose(f);
        if (!ok)
            return problem_set(problem, STATUS_INTERNAL, "", "%s: cannot be copied", path);
    }
    return STATUS_OK;
}

void sheet_clear(const struct sheet_place *to, const char *name, int parts)
{
    char file[128], path[4352];
    for (int i = 0; to->dir != NULL && i < parts; i++) {
        part_file(file, name, i);
        snprintf(path, sizeof path, "%s/%s", to->dir, file);
        unlink(path);
    }
}
