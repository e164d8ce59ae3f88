/* SPDX-License-Identifier: MIT */
/*
 * purser train: labelled history taught to a running service. Lines become items
 * (transport/history), every item is read here as the service would read it, so that a bad line is
 * named by its number and spoils no batch; what is left goes out in batches by the op teach. A
 * batch is small, because the service decides nothing while it learns one.
 *
 * A batch has a name, of the run and its first line: one whose answer was lost is sent again and
 * learned once, also by a second run that goes on with --run and --skip.
 * Considered: several batches under way. The service learns them one after the other anyway.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "core/wire/wire.h"
#include "transport/cli/cli.h"
#include "transport/history.h"

enum { OUTCOMES_WANTED = 256, BYTES_WANTED = 512 * 1024, TOLD_MOST = 10, RUN_LEN = 40 };

struct train {
    struct cli *cli;
    struct history history;
    const char *path;
    FILE *file;
    char run[RUN_LEN + 1];
    double n_eff;
    long limit, skip; /* rows at most, lines passed over */
    bool dry;
    long rows, done, learned, known, refused, outcomes; /* rows of the file; what became of them */
    double began, shown;
    /* The batch being filled: items, and of each the line and whether it ends its row. */
    json_t *items;
    long line[BATCH_ITEMS_MAX];
    bool last[BATCH_ITEMS_MAX];
    int batch_outcomes;
    size_t bytes;
    long first_line;
};

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int cannot(const struct train *t, const char *path, const char *what)
{
    fprintf(stderr, "purser %s: %s: %s\n", t->cli->command, path, what);
    return CLI_REFUSED;
}

/* Tells of a line that is not learned; of very many only the first. */
static void refuse(struct train *t, long line, const char *code, const char *path, const char *text)
{
    static const char item[] = "/items/";
    if (strncmp(path, item, sizeof item - 1) == 0) { /* the place in the line, not in the batch */
        path += sizeof item - 1;
        path += strcspn(path, "/");
    }
    if (t->refused++ < TOLD_MOST)
        fprintf(stderr, "%s%s:%ld: %s: %s%s%s\n", isatty(STDERR_FILENO) ? "\r" : "", t->path, line,
                code, path, path[0] ? ": " : "", text);
    if (t->refused == TOLD_MOST)
        fprintf(stderr, "(further refused rows are only counted)\n");
}

static void show_progress(struct train *t)
{
    bool tty = isatty(STDERR_FILENO);
    double now = seconds(), took = now - t->began;
    if (now - t->shown < (tty ? 0.2 : 2))
        return;
    double rate = took > 0 ? (double)t->done / took : 0;
    t->shown = now;
    fprintf(stderr, "%s%8ld of %ld rows  %7.0f/s  %ld refused  %5.0f s left%s", tty ? "\r" : "",
            t->done, t->rows, rate, t->refused, rate > 0 ? (double)(t->rows - t->done) / rate : 0,
            tty ? "  " : "\n");
    fflush(stderr);
}

/* ---- batches */

static json_t *message(const struct train *t, json_t *items)
{
    char id[NAME_CAP];
    snprintf(id, sizeof id, "%s-%ld", t->run, t->first_line);
    return json_pack("{s:i,s:s,s:s,s:O}", "v", 1, "op", "teach", "batch_id", id, "items", items);
}

/* What the service answered to the batch, item by item. */
static void read_answers(struct train *t, const json_t *answers, size_t n)
{
    bool refused = false, known = false; /* of the row in hand */
    for (size_t i = 0; i < n; i++) {
        const json_t *a = json_array_get(answers, i), *e = json_object_get(a, "error");
        if (e && !refused)
            refuse(t, t->line[i], cli_text(e, "code"), cli_text(e, "path"), cli_text(e, "message"));
        refused |= e != NULL;
        known |= strcmp(cli_text(a, "status"), "duplicate") == 0;
        t->outcomes += (long)json_integer_value(json_object_get(a, "outcomes"));
        if (!t->last[i])
            continue;
        t->known += !refused && known;
        t->learned += !refused && !known;
        refused = known = false;
    }
}

static void begin_batch(struct train *t)
{
    json_array_clear(t->items);
    t->batch_outcomes = 0;
    t->bytes = 0;
}

/* Sends what has been gathered. */
static int flush(struct train *t)
{
    int code = CLI_OK;
    size_t n = json_array_size(t->items);
    if (n == 0)
        return CLI_OK;
    if (t->dry) {
        for (size_t i = 0; i < n; i++)
            t->learned += t->last[i];
        t->outcomes += t->batch_outcomes;
    } else {
        json_t *reply = cli_call(t->cli, PURSER_CLIENT_CONTROL, message(t, t->items), &code);
        if (!reply) {
            fprintf(stderr,
                    "purser train: stopped: lines before %ld are done; go on with the same options "
                    "and --skip %ld --run %s\n",
                    t->first_line, t->first_line - 1, t->run);
            return code;
        }
        read_answers(t, json_object_get(reply, "items"), n);
        json_decref(reply);
    }
    begin_batch(t);
    show_progress(t);
    return CLI_OK;
}

/* ---- rows */

/* Reads an item as the service will; *bytes is its length. */
static enum status check_item(const struct train *t, json_t *item, size_t *bytes, struct problem *p)
{
    static struct request request; /* too big for the stack */
    struct message m = {.items = 0};
    struct feedback outcome;
    char model[NAME_CAP];
    double weight;
    json_t *one = json_pack("[O]", item), *whole = message(t, one);
    char *text = whole ? json_dumps(whole, JSON_COMPACT | JSON_REAL_PRECISION(17)) : NULL;
    json_decref(one);
    json_decref(whole);
    if (!text)
        return problem_set(p, STATUS_UNAVAILABLE, "", "no memory");
    *bytes = strlen(text);
    enum status s = wire_open(&m, text, *bytes, p);
    free(text);
    if (s != STATUS_OK)
        return s;
    s = wire_teach(&m, 0, &request, &weight, p);
    for (int j = 0; s == STATUS_OK && j < wire_teach_count(&m, 0); j++)
        s = wire_teach_outcome(&m, 0, j, model, &outcome, p);
    wire_close(&m);
    return s;
}

/* The items of a row: one for each weight that its outcomes have. */
static json_t *items_of(const struct train *t, const struct history_row *row)
{
    json_t *items = json_array();
    double last = 0;
    for (;;) {
        double weight = HUGE_VAL; /* the next greater one */
        for (int k = 0; k < row->n; k++) {
            double w = history_weight(&t->history, row, k, t->n_eff);
            if (w > last && w < weight)
                weight = w;
        }
        if (weight > 1)
            return items;
        json_t *outcomes = json_array();
        for (int k = 0; k < row->n; k++)
            if (!(history_weight(&t->history, row, k, t->n_eff) < weight) &&
                !(history_weight(&t->history, row, k, t->n_eff) > weight))
                json_array_append(outcomes, row->outcome[k].values);
        json_array_append_new(items, json_pack("{s:O,s:o,s:f}", "request", row->request, "outcomes",
                                               outcomes, "weight", weight));
        last = weight;
    }
}

/* Puts a row into the batch, which is sent first if it is full. */
static int add_row(struct train *t, long line, const struct history_row *row)
{
    struct problem p = {0};
    json_t *items = items_of(t, row);
    size_t n = json_array_size(items), bytes = 0;
    enum status s = n ? STATUS_OK : problem_set(&p, STATUS_UNAVAILABLE, "", "no memory");
    for (size_t i = 0; s == STATUS_OK && i < n; i++) {
        size_t more = 0;
        s = check_item(t, json_array_get(items, i), &more, &p);
        bytes += more;
    }
    if (s != STATUS_OK) {
        json_decref(items);
        refuse(t, line, status_code(s), p.path, p.text);
        return CLI_OK;
    }
    int code = CLI_OK;
    if (json_array_size(t->items) + n > BATCH_ITEMS_MAX ||
        t->batch_outcomes + row->n > OUTCOMES_WANTED || t->bytes + bytes > BYTES_WANTED)
        code = flush(t);
    if (json_array_size(t->items) == 0)
        t->first_line = line;
    for (size_t i = 0; code == CLI_OK && i < n; i++) {
        size_t at = json_array_size(t->items);
        t->line[at] = line;
        t->last[at] = i + 1 == n;
        json_array_append(t->items, json_array_get(items, i));
    }
    t->batch_outcomes += row->n;
    t->bytes += bytes;
    json_decref(items);
    return code;
}

/* ---- passes */

/* Goes through the rows that are wanted; f gives an exit code. */
static int each_row(struct train *t,
                    int (*f)(struct train *t, long number, const char *s, size_t n))
{
    char *line = NULL;
    size_t cap = 0;
    long number = 0, rows = 0;
    int code = CLI_OK;
    ssize_t n = 1;
    rewind(t->file);
    while (code == CLI_OK && (n = getline(&line, &cap, t->file)) > 0) {
        number++;
        if (strspn(line, " \t\r\n") == (size_t)n)
            continue;
        if (number > t->skip && t->limit > 0 && ++rows > t->limit)
            break;
        code = f(t, number, line, (size_t)n);
    }
    free(line);
    bool end = n > 0 || feof(t->file); /* getline also stops for want of memory */
    return end ? code : cannot(t, t->path, "cannot be read to its end");
}

/* The first pass: how much there is. What cannot be read is told of in the second. */
static int count_row(struct train *t, long number, const char *s, size_t n)
{
    struct history_row row;
    struct problem p = {0};
    if (history_read(&t->history, s, n, &row, &p) == STATUS_OK)
        history_count(&t->history, &row);
    history_clear(&row);
    t->rows += number > t->skip;
    return CLI_OK;
}

static int teach_row(struct train *t, long number, const char *s, size_t n)
{
    struct history_row row;
    struct problem p = {0};
    int code = CLI_OK;
    if (number <= t->skip)
        return CLI_OK;
    enum status st = history_read(&t->history, s, n, &row, &p);
    if (st == STATUS_OK)
        code = add_row(t, number, &row);
    else
        refuse(t, number, status_code(st), p.path, p.text);
    history_clear(&row);
    t->done++;
    return code;
}

static int run(struct train *t)
{
    int code = each_row(t, count_row);
    if (code != CLI_OK)
        return code;
    if (t->rows == 0)
        return cannot(t, t->path, "has no rows");
    if (!history_fit(&t->history))
        return cannot(t, t->path, "the preferences give no strengths");
    t->began = t->shown = seconds();
    code = each_row(t, teach_row);
    if (code == CLI_OK)
        code = flush(t);
    if (isatty(STDERR_FILENO))
        fputc('\n', stderr);
    return code;
}

/* ---- the command */

static json_t *by_model(const struct history *h, const double *value, double n_eff)
{
    json_t *o = json_object();
    for (int i = 0; i < h->n_models; i++) {
        double v = value[i];
        if (n_eff > 0)
            v = v > n_eff ? n_eff / v : 1;
        json_object_set_new(o, h->name[i], json_real(v));
    }
    return o;
}

static void tell_json(const struct train *t, double took)
{
    const struct history *h = &t->history;
    json_t *ignored = json_array();
    for (int i = 0; i < h->n_ignored; i++)
        json_array_append_new(ignored, json_string(h->ignored[i]));
    json_t *o = json_pack("{s:b,s:I,s:I,s:I,s:I,s:I,s:f,s:o,s:o,s:s}", "dry_run", t->dry, "rows",
                          (json_int_t)t->rows, "learned", (json_int_t)t->learned, "duplicate",
                          (json_int_t)t->known, "refused", (json_int_t)t->refused, "outcomes",
                          (json_int_t)t->outcomes, "seconds", took, "evidence",
                          by_model(h, h->evidence, 0), "ignored", ignored, "run", t->run);
    if (o && t->n_eff > 0)
        json_object_set_new(o, "scale", by_model(h, h->evidence, t->n_eff));
    if (o && h->pairs)
        json_object_set_new(o, "strength", by_model(h, h->strength, 0));
    cli_print_json(o);
    json_decref(o);
}

static void tell(const struct train *t, double took)
{
    const struct history *h = &t->history;
    printf("%ld rows %s (%ld outcomes) in %.1f s, %.0f rows/s; %ld refused", t->learned,
           t->dry ? "could be learned" : "learned", t->outcomes, took,
           took > 0 ? (double)t->done / took : 0, t->refused);
    printf(t->known ? "; %ld learned before\n" : "\n", t->known);
    printf("%-24s %10s %10s%s\n", "model", "rows", "worth", h->pairs ? "   strength" : "");
    for (int i = 0; i < h->n_models; i++) {
        double e = h->evidence[i];
        printf("%-24.24s %10.1f %10.1f", h->name[i], e, t->n_eff > 0 ? fmin(e, t->n_eff) : e);
        if (h->pairs)
            printf(" %10.4f", h->strength[i]);
        putchar('\n');
    }
    for (int i = 0; i < h->n_ignored; i++)
        printf("%s%s%s", i ? ", " : "not used: ", h->ignored[i], i + 1 == h->n_ignored ? "\n" : "");
}

static int open_files(struct train *t, const char *models)
{
    struct problem p = {0};
    json_error_t e;
    if (models) {
        json_t *root = json_load_file(models, 0, &e);
        if (!root)
            return cannot(t, models, e.text);
        enum status s = history_columns(
            &t->history, json_is_array(root) ? root : json_object_get(root, "models"), &p);
        json_decref(root);
        if (s != STATUS_OK)
            return cli_problem(t->cli, models, &p, CLI_REFUSED);
    }
    t->items = json_array();
    t->file = fopen(t->path, "re");
    if (!t->file)
        return cannot(t, t->path, "cannot be read");
    return fseek(t->file, 0, SEEK_SET) == 0
               ? CLI_OK
               : cannot(t, t->path, "must be a file: it is read twice");
}

/* Reads the command line; false when it has been refused. */
static bool options(struct train *t, const char **models)
{
    struct cli *c = t->cli;
    double limit = 0, skip = 0;
    bool present, worth;
    struct timespec now;
    const char *run_id = cli_option(c, "--run"), *map;
    t->path = cli_option(c, "--from");
    *models = cli_option(c, "--models");
    t->dry = cli_flag(c, "--dry-run");
    if (!cli_number(c, "--n-eff", &t->n_eff, &worth) ||
        !cli_number(c, "--limit", &limit, &present) || !cli_number(c, "--skip", &skip, &present))
        return false;
    for (map = cli_option(c, "--map"); map; map = cli_option(c, "--map"))
        if (!history_map(&t->history, map))
            return cli_usage(c, "--map needs OLD=NEW"), false;
    for (map = cli_operand(c); map; map = cli_operand(c))
        if (t->history.n_map == 0 || !history_map(&t->history, map))
            return cli_usage(c, "unexpected argument"), false;
    if (!cli_end(c))
        return false;
    if (!t->path)
        return cli_usage(c, "--from FILE.jsonl is needed"), false;
    if ((worth && !(t->n_eff > 0 && t->n_eff <= 1e9)) || !(limit >= 0 && limit < 1e15) ||
        !(skip >= 0 && skip < 1e15))
        return cli_usage(c, "--n-eff is above 0, --limit and --skip are whole numbers"), false;
    t->limit = (long)limit;
    t->skip = (long)skip;
    if (run_id && (!json_name_ok(run_id) || strlen(run_id) > RUN_LEN))
        return cli_usage(c, "--run is as an earlier run told it"), false;
    clock_gettime(CLOCK_REALTIME, &now);
    snprintf(t->run, sizeof t->run, "train-%" PRIx64,
             (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec);
    if (run_id)
        snprintf(t->run, sizeof t->run, "%s", run_id);
    return true;
}

int cli_train(struct cli *c)
{
    const char *models;
    int code = CLI_USAGE;
    struct train *t = calloc(1, sizeof *t);
    if (!t)
        return CLI_REFUSED;
    t->cli = c;
    history_init(&t->history);
    if (options(t, &models))
        code = open_files(t, models);
    if (code == CLI_OK)
        code = run(t);
    if (t->began > 0 && c->json)
        tell_json(t, seconds() - t->began);
    else if (t->began > 0)
        tell(t, seconds() - t->began);
    if (t->file)
        fclose(t->file);
    json_decref(t->items);
    if (code == CLI_OK && t->refused)
        code = CLI_REFUSED;
    free(t);
    return code;
}
