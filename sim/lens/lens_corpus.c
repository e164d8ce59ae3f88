/* SPDX-License-Identifier: MIT */
/*
 * Reading prompts. Anything with a "prompt" will do; rows without one are counted as missing only
 * when there are no others. Labels and outcomes are taken where they are. One line is held at a
 * time.
 */
#include "sim/lens/lens_corpus.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "bandit/rng.h"
#include "sim/replay/replay.h"
#include "sim/tables/table.h"

void corpus_free(struct corpus *c)
{
    free(c->row);
    free(c->text);
    free(c->label);
    free(c->label_count);
    *c = (struct corpus){0};
}

static bool room_for(struct corpus *c, size_t bytes)
{
    if (c->n == c->cap) {
        size_t cap = c->cap ? 2 * c->cap : 1024;
        struct corpus_row *row = reallocarray(c->row, cap, sizeof *row);
        if (!row)
            return false;
        c->row = row;
        c->cap = cap;
    }
    if (c->text_len + bytes <= c->text_cap)
        return true;
    size_t cap = 2 * c->text_cap + bytes + 65536;
    char *text = realloc(c->text, cap);
    if (!text)
        return false;
    c->text = text;
    c->text_cap = cap;
    return true;
}

/* The index of a label, a new one if need be; -1 without a name or memory. */
static int label_of(struct corpus *c, const char *name)
{
    char id[NAME_CAP] = {0}; /* the lens gets it as it is */
    if (!name || !name[0])
        return -1;
    table_identifier(id, name);
    for (int i = 0; i < c->n_labels; i++)
        if (strcmp(c->label[i], id) == 0)
            return i;
    if (c->n_labels == c->label_cap) {
        int cap = c->label_cap ? 2 * c->label_cap : 64;
        void *label = reallocarray(c->label, (size_t)cap, sizeof *c->label);
        if (label)
            c->label = label;
        void *count = reallocarray(c->label_count, (size_t)cap, sizeof *c->label_count);
        if (count)
            c->label_count = count;
        if (!label || !count)
            return -1;
        c->label_cap = cap;
    }
    memcpy(c->label[c->n_labels], id, sizeof id);
    c->label_count[c->n_labels] = 0;
    return c->n_labels++;
}

static float hardness(const json_t *q)
{
    double sum = 0;
    size_t n = json_array_size(q);
    for (size_t i = 0; i < n; i++)
        sum += json_number_value(json_array_get(q, i));
    return n > 0 ? (float)(1 - sum / (double)n) : -1;
}

static bool add_row(struct corpus *c, const json_t *root, double split)
{
    const json_t *prompt = json_object_get(root, "prompt");
    const char *id = json_string_value(json_object_get(root, "id"));
    const char *task = json_string_value(json_object_get(root, "task"));
    if (!json_is_string(prompt))
        return true;
    size_t n = json_string_length(prompt);
    const char *text = json_string_value(prompt);
    if (!room_for(c, n + 1))
        return false;
    if (!task)
        task = json_string_value(json_object_get(root, "domain"));
    struct corpus_row *row = &c->row[c->n++];
    *row = (struct corpus_row){.text = c->text_len,
                               .len = n,
                               .hash = hash64(text, n, 5),
                               .label = label_of(c, task),
                               .hard = hardness(json_object_get(root, "q"))};
    row->held_out = split < 1 && !replay_learned_first(id ? id : text, split);
    if (row->label >= 0 && !row->held_out)
        c->label_count[row->label]++;
    memcpy(c->text + c->text_len, text, n + 1);
    c->text_len += n + 1;
    return true;
}

static enum status read_lines(struct corpus *c, FILE *f, const char *path, double split,
                              struct problem *problem)
{
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    int number = 0;
    enum status s = STATUS_OK;
    while (s == STATUS_OK && (n = getline(&line, &cap, f)) > 0) {
        number++;
        if (strspn(line, " \t\r\n") == (size_t)n)
            continue;
        json_t *root = json_loadb(line, (size_t)n, JSON_ALLOW_NUL, NULL);
        if (!json_is_object(root))
            s = problem_set(problem, STATUS_BAD_REQUEST, "", "%s:%d: not a JSON object", path,
                            number);
        else if (!add_row(c, root, split))
            s = problem_set(problem, STATUS_INTERNAL, "", "out of memory");
        json_decref(root);
    }
    if (s == STATUS_OK && !feof(f)) /* getline also stops for want of memory */
        s = problem_set(problem, STATUS_BAD_REQUEST, "", "%s: cannot be read", path);
    free(line);
    return s;
}

enum status corpus_read(struct corpus *c, const char *path, double split, struct problem *problem)
{
    char name[4096];
    struct stat st;
    bool dir = stat(path, &st) == 0 && S_ISDIR(st.st_mode);
    int k = snprintf(name, sizeof name, "%s%s", path, dir ? "/prompts.jsonl" : "");
    FILE *f = k < (int)sizeof name ? fopen(name, "rb") : NULL;
    if (!f)
        return problem_set(problem, STATUS_BAD_REQUEST, "", "%s: %s", name, strerror(errno));
    enum status s = read_lines(c, f, name, split, problem);
    fclose(f);
    return s;
}
