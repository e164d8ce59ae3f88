/* SPDX-License-Identifier: MIT */
/*
 * Command line and output of `purser`. Arguments are asked for by name and marked; whatever nobody
 * asked for is an error, so a typo never passes silently. --json prints the service's reply as it
 * came; without it a summary for people. Errors go to stderr as "purser COMMAND: what: what to do".
 * Considered: getopt_long. Operands and options of fifteen commands in its tables are longer than
 * this file.
 */
#include "transport/cli/cli.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "core/encoding/json.h"
#include "store/whole.h"

bool cli_flag(struct cli *c, const char *name)
{
    for (int i = 0; i < c->argc; i++)
        if (!c->used[i] && strcmp(c->argv[i], name) == 0)
            return c->used[i] = true;
    return false;
}

bool cli_asks(const struct cli *c, const char *name)
{
    for (int i = 0; i < c->argc; i++)
        if (strcmp(c->argv[i], name) == 0)
            return true;
    return false;
}

const char *cli_option(struct cli *c, const char *name)
{
    size_t n = strlen(name);
    for (int i = 0; i < c->argc; i++) {
        if (c->used[i] || strncmp(c->argv[i], name, n) != 0)
            continue;
        if (c->argv[i][n] == '=') {
            c->used[i] = true;
            return c->argv[i] + n + 1;
        }
        if (c->argv[i][n] == '\0' && i + 1 < c->argc) {
            c->used[i] = c->used[i + 1] = true;
            return c->argv[i + 1];
        }
    }
    return NULL;
}

const char *cli_operand(struct cli *c)
{
    for (int i = 0; i < c->argc; i++)
        if (!c->used[i] && (c->argv[i][0] != '-' || c->argv[i][1] == '\0')) {
            c->used[i] = true;
            return c->argv[i];
        }
    return NULL;
}

int cli_usage(struct cli *c, const char *what)
{
    fprintf(stderr, "purser %s: %s\nusage: purser %s\n", c->command, what, c->help);
    return CLI_USAGE;
}

bool cli_end(struct cli *c)
{
    for (int i = 0; i < c->argc; i++)
        if (!c->used[i]) {
            char text[160];
            snprintf(text, sizeof text, "unexpected or incomplete argument '%.100s'", c->argv[i]);
            cli_usage(c, text);
            return false;
        }
    return true;
}

bool cli_number(struct cli *c, const char *name, double *out, bool *present)
{
    const char *s = cli_option(c, name);
    char *end;
    *present = s != NULL;
    if (!s)
        return true;
    *out = strtod(s, &end);
    if (end != s && *end == '\0' && isfinite(*out))
        return true;
    char text[160];
    snprintf(text, sizeof text, "%s needs a number, not '%.80s'", name, s);
    cli_usage(c, text);
    return false;
}

static int told(struct cli *c, const struct purser_client_error *e)
{
    bool away = strcmp(e->code, "timeout") == 0 || strcmp(e->code, "connection") == 0;
    fprintf(stderr, "purser %s: %s: %s%s%s%s\n", c->command, e->code, e->path,
            e->path[0] ? ": " : "", e->message, e->retryable && !away ? " (retry later)" : "");
    return away ? CLI_UNREACHABLE : CLI_REFUSED;
}

json_t *cli_call(struct cli *c, enum purser_client_door door, json_t *message, int *code)
{
    struct purser_client_error e = {.code = "no_memory"};
    char *text = message ? json_dumps(message, JSON_COMPACT) : NULL, *reply = NULL;
    json_decref(message);
    *code = CLI_OK;
    if (!text || purser_client_call(c->client, door, text, &reply, &e) != 0) {
        free(text);
        *code = told(c, &e);
        return NULL;
    }
    free(text);
    json_t *root = json_loads(reply, 0, NULL);
    purser_client_free(reply);
    return root;
}

json_t *cli_control(struct cli *c, const char *op, int *code)
{
    return cli_call(c, PURSER_CLIENT_CONTROL, json_pack("{s:i,s:s}", "v", 1, "op", op), code);
}

void cli_print_json(const json_t *reply)
{
    json_dumpf(reply, stdout, JSON_COMPACT | JSON_REAL_PRECISION(15));
    putchar('\n');
}

int cli_problem(const struct cli *c, const char *where, const struct problem *p, int code)
{
    fprintf(stderr, "purser %s: %s", c->command, where);
    if (p->line > 0)
        fprintf(stderr, ":%d", p->line);
    fprintf(stderr, ": %s: %s%s%s\n", status_code(p->code), p->path, p->path[0] ? ": " : "",
            p->text);
    return code;
}

static void *tree_memory(size_t n)
{
    static const char what[] = "purser: out of memory\n";
    void *p = malloc(n);
    if (p)
        return p;
    whole_abandon();
    (void)!write(STDERR_FILENO, what, sizeof what - 1);
    _exit(CLI_REFUSED);
}

void cli_memory(void)
{
    json_set_alloc_funcs(tree_memory, free);
}

json_t *cli_value(const char *s)
{
    json_t *v = json_loads(s, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
    return v ? v : json_string(s);
}

const char *cli_text(const json_t *o, const char *name)
{
    const char *s = json_string_value(json_object_get(o, name));
    return s ? s : "";
}

double cli_real(const json_t *o, const char *name)
{
    const json_t *v = json_object_get(o, name);
    return json_is_number(v) ? json_number_value(v) : (double)NAN;
}

void cli_identifier(char out[NAME_CAP], const char *s)
{
    size_t n = 0;
    for (; s[n] != '\0' && n < NAME_LEN; n++) {
        const char one[2] = {s[n], '\0'};
        out[n] = s[n];
        if (!json_name_ok(one))
            out[n] = '_';
    }
    out[n] = '\0';
}
