/* SPDX-License-Identifier: MIT */
#ifndef PURSER_TRANSPORT_CLI_CLI_H
#define PURSER_TRANSPORT_CLI_CLI_H

#include <jansson.h>
#include <stdbool.h>
#include "core/limits.h"
#include "core/status.h"
#include "transport/client/client.h"

/* What the commands of `purser` share: the command line, the connection, the output. */
enum {
    CLI_OK = 0,
    CLI_REFUSED = 1,     /* the service, or the store, said no: the message says why */
    CLI_UNREACHABLE = 2, /* no answer */
    CLI_USAGE = 64,
    CLI_DAMAGED = 65, /* verify found a difference */
    CLI_CONFIG = 78   /* check found an error in a configuration */
};

enum { CLI_ARGS_MAX = 256 };

struct cli {
    const char *command, *help;
    int argc;
    char **argv;             /* after the command */
    bool used[CLI_ARGS_MAX]; /* arguments somebody asked for */
    bool json;               /* print what the service said, for programs */
    struct purser_client *client;
    const char *route, *feedback; /* what it was opened with */
    struct purser_client_options options;
};

/* Ask for flags and options first, then for operands (NULL = no more), then cli_end, which refuses
 * what nobody asked for. cli_option gives NULL when absent; cli_usage prints and gives CLI_USAGE.
 */
bool cli_flag(struct cli *c, const char *name);
bool cli_asks(const struct cli *c, const char *name); /* whether a flag is there, unmarked */
const char *cli_option(struct cli *c, const char *name);
const char *cli_operand(struct cli *c);
bool cli_end(struct cli *c);
int cli_usage(struct cli *c, const char *what);
/* cli_number reads an option as a number; false when it is there but is none (told on stderr). */
bool cli_number(struct cli *c, const char *name, double *out, bool *present);

/* cli_connect opens the client from options and environment (purser.c): for commands that ask the
 * service only sometimes; the others find it open. Gives an exit code. */
int cli_connect(struct cli *c);
/* cli_call sends a message (taken; NULL is told as lack of memory) and gives the reply. NULL: the
 * error has been told, and *code is the exit code. */
json_t *cli_call(struct cli *c, enum purser_client_door door, json_t *message, int *code);
/* cli_control is cli_call of an op without fields. */
json_t *cli_control(struct cli *c, const char *op, int *code);
void cli_print_json(const json_t *reply);
/* cli_problem tells a problem of the store or a configuration and gives the exit code. */
int cli_problem(const struct cli *c, const char *where, const struct problem *p, int code);
const char *cli_text(const json_t *o, const char *name);
double cli_real(const json_t *o, const char *name);

/* cli_memory has the trees of JSON end the program when there is no memory for them: a member that
 * is missing would be a wrong answer that looks right. */
void cli_memory(void);
/* cli_value reads a JSON value where it is one, else text: 5, true, null, quantile. */
json_t *cli_value(const char *s);

/* cli_identifier copies a name as the identifier that a configuration made from a table uses. */
void cli_identifier(char out[NAME_CAP], const char *s);

/* The commands. cli_ask.c */
int cli_route(struct cli *c);
int cli_escalate(struct cli *c);
int cli_feedback(struct cli *c);
int cli_demo(struct cli *c);
/* cli_play.c */
int cli_play(struct cli *c);
/* cli_train.c */
int cli_train(struct cli *c);
/* cli_operate.c */
int cli_status(struct cli *c);
int cli_top(struct cli *c);
int cli_models(struct cli *c);
int cli_weights(struct cli *c);
int cli_policy(struct cli *c);
int cli_learners(struct cli *c);
int cli_explain(struct cli *c);
/* cli_settings.c: any part of the configuration. cli_part_history and cli_part_rollback serve the
 * commands of a part (its member of the document, NULL = all); cli_part_set one that was given as
 * NAME=VALUE or --NAME VALUE. */
int cli_config(struct cli *c);
int cli_part_history(struct cli *c, const char *part);
int cli_part_rollback(struct cli *c, const char *part);
int cli_part_set(struct cli *c, const char *part, const char *const options[]);
/* cli_changes.c: changes (path, from, to) at, below or above a path, and an entry of the audit with
 * those that it made, for people. */
void cli_show_changes(const json_t *changes, const char *about);
void cli_show_entry(const json_t *entry, const char *about);
/* cli_operate.c: cli_part_set of one model or pool, whose name is the next operand. */
int cli_element_set(struct cli *c, const char *list);
/* cli_audit.c */
int cli_audit(struct cli *c);
/* cli_pools.c */
int cli_pools(struct cli *c);
/* cli_import_models.c, cli_import_pools.c */
int cli_models_import(struct cli *c);
int cli_pools_import(struct cli *c);
/* cli_spend.c, cli_export.c */
int cli_spend(struct cli *c);
int cli_export(struct cli *c);
/* cli_keys.c */
int cli_keys(struct cli *c);
/* cli_unlearn.c */
int cli_unlearn(struct cli *c);
/* cli_learned.c */
int cli_learned(struct cli *c);
/* cli_lens.c */
int cli_lens(struct cli *c);
int cli_snapshot(struct cli *c);
/* cli_store.c */
int cli_log(struct cli *c);
int cli_check(struct cli *c);
int cli_verify(struct cli *c);
int cli_repair(struct cli *c);
int cli_backup(struct cli *c);
int cli_restore(struct cli *c);

#endif
