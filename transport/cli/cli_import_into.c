/* SPDX-License-Identifier: MIT */
/*
 * What is imported goes into a configuration that people wrote: members are put into its text, all
 * else stays as it stands. What would not be a configuration is not written.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "core/config/config.h"
#include "transport/cli/cli_import.h"

int import_into_open(struct cli *c, const char *path, struct import_file *f)
{
    struct problem p = {0};
    *f = (struct import_file){0};
    if (strcmp(path, "-") == 0 || (access(path, F_OK) != 0 && errno == ENOENT))
        return CLI_OK; /* a new one */
    if (import_open(path, f, &p) != STATUS_OK)
        return cli_problem(c, path, &p, CLI_CONFIG);
    if (json_is_object(f->root))
        return CLI_OK;
    import_close(f);
    problem_set(&p, STATUS_BAD_JSON, "", "not a configuration");
    return cli_problem(c, path, &p, CLI_CONFIG);
}

char *import_edit(char *text, struct import_span of, const char *key, const json_t *value)
{
    char *json = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15)), *out = NULL;
    if (text && json)
        out = key ? import_set(text, of, key, json) : import_append(text, of, json);
    free(json);
    free(text);
    return out;
}

char *import_array(const struct import_file *f, const char *key)
{
    struct import_span at;
    char *text = strdup(f->text ? f->text : "{}\n");
    if (!text || import_member(text, import_whole(text), key, &at))
        return text;
    json_t *none = json_array();
    text = import_edit(text, import_whole(text), key, none);
    json_decref(none);
    return text;
}

char *import_order(char *text, const char *key, const size_t *order, size_t n)
{
    const char *was = text;
    struct import_span array, from, to;
    char *out = NULL;
    size_t size = 0, at = 0;
    FILE *f = was && import_member(was, import_whole(was), key, &array)
                  ? open_memstream(&out, &size)
                  : NULL;
    for (size_t i = 0; f && i < n; i++) {
        if (!import_item(was, array, i, &to) || !import_item(was, array, order[i], &from))
            continue;
        fprintf(f, "%.*s%.*s", (int)(to.from - at), was + at, (int)from.n, was + from.from);
        at = to.from + to.n;
    }
    if (f)
        fputs(was + at, f);
    if (f && fclose(f) != 0) {
        free(out);
        out = NULL;
    }
    free(text);
    return out;
}

int import_into_write(struct cli *c, const char *path, char *text, bool changed)
{
    struct problem p = {0};
    struct params *params = calloc(1, sizeof *params);
    struct settings settings;
    bool out = strcmp(path, "-") == 0;
    enum status s = text && params ? config_parse(text, strlen(text), params, &settings, &p)
                                   : problem_set(&p, STATUS_UNAVAILABLE, "", "no memory");
    if (s == STATUS_OK && out)
        fputs(text, stdout);
    else if (s == STATUS_OK && changed)
        s = import_replace(path, text, &p);
    free(params);
    free(text);
    return s == STATUS_OK ? CLI_OK : cli_problem(c, out ? "the result" : path, &p, CLI_CONFIG);
}
