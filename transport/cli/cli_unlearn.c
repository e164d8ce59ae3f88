/* SPDX-License-Identifier: MIT */
/*
 * purser unlearn: what a source said, what came since a time, what a batch of history taught, taken
 * back. The log is read twice through the service: once for who is concerned, once for what they
 * were told (transport/corrections). Then corrections go out in batches. Nothing is kept between
 * runs: a run that was cut short is begun again and finds what is left to do.
 *
 * Considered: reading the store's files. The corrections need the service anyway, and it may be on
 * another machine.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "core/moment.h"
#include "transport/cli/cli.h"
#include "transport/corrections.h"

enum { TOLD_MOST = 5 };

struct tally { /* what became of the corrections of a model */
    char model[NAME_CAP];
    long out, back, history, beyond, already;
};

struct unlearn {
    struct cli *cli;
    const char *source, *tenant, *batch, *reason;
    struct moment since, until;
    bool dry, yes, rollback; /* rollback: whoever said it */
    struct corrections corrections;
    json_t *items;         /* of the op unlearn, feedback only */
    uint64_t *row, *gone;  /* records of history to take out; that have been taken out */
    size_t n_rows, n_gone; /* row sorted by age */
    uint64_t first;        /* record of the log: what was before is gone */
    uint64_t next, head;   /* where reading goes on; where the log ended at the start */
    long done, refused;    /* items answered */
    struct tally tally[MODELS_MAX];
    int n_tally;
    json_t *before; /* stats */
};

static int no_memory(const struct unlearn *u)
{
    fprintf(stderr, "purser %s: no memory\n", u->cli->command);
    return CLI_REFUSED;
}

static void show_progress(const char *what, double share)
{
    enum { WIDTH = 30 };
    int full = (int)(fmin(1, fmax(0, share)) * WIDTH);
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r%-22s [%.*s%*s] %3.0f%%%s", what, full, "##############################",
                WIDTH - full, "", 100 * fmin(1, share), share >= 1 ? "\n" : "");
}

/* ---- reading ---- */

static uint64_t whole(const json_t *o, const char *name)
{
    return (uint64_t)json_integer_value(json_object_get(o, name));
}

static bool in_window(const struct unlearn *u, const json_t *label)
{
    uint64_t seq = whole(label, "seq");
    int64_t time_ms = json_integer_value(json_object_get(label, "time_ms"));
    return !moment_before(&u->since, seq, time_ms) && !moment_after(&u->until, seq, time_ms);
}

static bool append(uint64_t **list, size_t *n, uint64_t seq)
{
    if ((*n & (*n - 1)) == 0) { /* full at each power of 2 */
        uint64_t *more = realloc(*list, (*n ? 2 * *n : 1) * sizeof *more);
        if (!more)
            return false;
        *list = more;
    }
    (*list)[(*n)++] = seq;
    return true;
}

/* First pass: who is concerned. */
static bool concern(struct unlearn *u, const json_t *label)
{
    if (json_object_get(label, "undoes"))
        return append(&u->gone, &u->n_gone, whole(label, "undoes"));
    if (!in_window(u, label))
        return true;
    if (json_object_get(label, "taught"))
        return append(&u->row, &u->n_rows, whole(label, "taught"));
    return corrections_concern(&u->corrections, whole(label, "of"));
}

/* Second pass: all that was said about them. */
static bool fold(struct unlearn *u, const json_t *label)
{
    bool goes =
        in_window(u, label) && (!u->source || strcmp(cli_text(label, "source"), u->source) == 0);
    if (corrections_fold(&u->corrections, label, goes))
        return true;
    fprintf(stderr, "purser unlearn: record %" PRIu64 " cannot be folded\n", whole(label, "seq"));
    return false;
}

/* Later reading: only what others, or we, have taken out meanwhile. */
static bool note_gone(struct unlearn *u, const json_t *label)
{
    return !json_object_get(label, "undoes") ||
           append(&u->gone, &u->n_gone, whole(label, "undoes"));
}

static json_t *labels_message(const struct unlearn *u, bool filtered)
{
    json_t *m = json_pack("{s:i,s:s,s:I}", "v", 1, "op", "labels", "from", (json_int_t)u->next);
    if (m && filtered && u->source)
        json_object_set_new(m, "source", json_string(u->source));
    if (m && filtered && u->tenant)
        json_object_set_new(m, "tenant", json_string(u->tenant));
    if (m && filtered && u->batch)
        json_object_set_new(m, "batch", json_string(u->batch));
    if (m && filtered && u->rollback)
        json_object_set_new(m, "history", json_true());
    return m;
}

/* Reads the log from u->next to its end. */
static int walk(struct unlearn *u, const char *what, bool filtered,
                bool (*take)(struct unlearn *u, const json_t *label))
{
    for (bool more = true; more;) {
        int code;
        json_t *reply = cli_call(u->cli, PURSER_CLIENT_CONTROL, labels_message(u, filtered), &code),
               *label;
        size_t i;
        bool ok = true;
        if (!reply)
            return code;
        json_array_foreach(json_object_get(reply, "items"), i, label) ok = ok && take(u, label);
        u->next = whole(reply, "next");
        more = json_is_true(json_object_get(reply, "more"));
        json_decref(reply);
        if (!ok)
            return no_memory(u);
        if (what)
            show_progress(what, more ? (double)u->next / (double)(u->head + 1) : 1);
    }
    return CLI_OK;
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Drops the rows that have been taken out already. */
static void drop_gone(struct unlearn *u)
{
    size_t n = 0;
    if (u->n_gone)
        qsort(u->gone, u->n_gone, sizeof *u->gone, by_value);
    for (size_t i = 0; i < u->n_rows; i++)
        if (!u->n_gone || !bsearch(&u->row[i], u->gone, u->n_gone, sizeof *u->gone, by_value))
            u->row[n++] = u->row[i];
    u->n_rows = n;
}

/* Where the log ends, and where it begins. */
static int read_ends(struct unlearn *u)
{
    int code;
    json_t *state = cli_control(u->cli, "status", &code);
    if (!state)
        return code;
    u->head = whole(state, "seq");
    json_decref(state);
    json_t *log = cli_call(u->cli, PURSER_CLIENT_CONTROL,
                           json_pack("{s:i,s:s,s:i}", "v", 1, "op", "log", "limit", 1), &code);
    u->first = whole(json_array_get(json_object_get(log, "items"), 0), "seq");
    json_decref(log);
    return code;
}

static int read_log(struct unlearn *u)
{
    int code = read_ends(u);
    if (code != CLI_OK)
        return code;
    u->next = u->since.seq ? u->since.seq : 1;
    code = walk(u, "looking who is concerned", true, concern);
    if (code != CLI_OK)
        return code;
    drop_gone(u);
    uint64_t end = u->next;
    if (u->corrections.n > 0) {
        u->next = u->corrections.least;
        code = walk(u, "reading what they said", false, fold);
    }
    for (size_t i = 0; i < u->corrections.n; i++)
        corrections_of(&u->corrections, i, u->items);
    u->next = end; /* from here on, history may have been taken out by somebody else */
    return code;
}

/* ---- correcting ---- */

static struct tally *tally_of(struct unlearn *u, const char *model)
{
    for (int i = 0; i < u->n_tally; i++)
        if (strcmp(u->tally[i].model, model) == 0)
            return &u->tally[i];
    struct tally *t = &u->tally[u->n_tally < MODELS_MAX - 1 ? u->n_tally++ : MODELS_MAX - 1];
    snprintf(t->model, sizeof t->model, "%s", model);
    return t;
}

static void read_answer(struct unlearn *u, const json_t *item, const json_t *a)
{
    const json_t *e = json_object_get(a, "error");
    u->done++;
    if (e) {
        const char *id = cli_text(item, "decision_id");
        if (u->refused++ < TOLD_MOST)
            fprintf(stderr, "purser unlearn: %s%s%s: %s\n", id, *id ? ": " : "",
                    cli_text(e, "code"), cli_text(e, "message"));
        return;
    }
    struct tally *t = tally_of(u, cli_text(a, "model"));
    const char *status = cli_text(a, "status");
    if (!json_is_true(json_object_get(a, "learned")))
        t->beyond++;
    else if (strcmp(status, "duplicate") == 0 || strcmp(status, "superseded") == 0)
        t->already++;
    else if (json_object_get(item, "taught"))
        t->history++;
    else if (json_object_get(item, "retract"))
        t->out++;
    else
        t->back++;
}

/* Each batch has what was learned estimated anew: the shared prior's scales move a step at a time.
 */
static json_t *message(const struct unlearn *u, json_t *items)
{
    json_t *m =
        json_pack("{s:i,s:s,s:O,s:I,s:b,s:b}", "v", 1, "op", "unlearn", "items", items, "seen_to",
                  (json_int_t)(u->next - 1), "dry_run", u->dry, "settle", !u->dry);
    if (m && u->reason)
        json_object_set_new(m, "reason", json_string(u->reason));
    return m;
}

static int send_items(struct unlearn *u, json_t *items)
{
    int code;
    size_t i;
    json_t *reply = cli_call(u->cli, PURSER_CLIENT_CONTROL, message(u, items), &code), *item;
    if (!reply)
        return code;
    json_array_foreach(items, i, item)
        read_answer(u, item, json_array_get(json_object_get(reply, "items"), i));
    json_decref(reply);
    return CLI_OK;
}

static void show_sent(const struct unlearn *u)
{
    double all = (double)(json_array_size(u->items) + u->n_rows);
    show_progress(u->dry ? "asking for the models" : "correcting",
                  all > 0 ? (double)u->done / all : 1);
}

static int send_labels(struct unlearn *u)
{
    int code = CLI_OK;
    size_t n = json_array_size(u->items);
    for (size_t at = 0; code == CLI_OK && at < n; at += BATCH_ITEMS_MAX) {
        json_t *some = json_array();
        for (size_t i = at; i < n && i < at + BATCH_ITEMS_MAX; i++)
            json_array_append(some, json_array_get(u->items, i));
        code = send_items(u, some);
        json_decref(some);
        show_sent(u);
    }
    return code;
}

/* Rows have no book that would know a repetition: before each batch the log is read to its end. */
static int send_history(struct unlearn *u)
{
    int code = CLI_OK;
    for (size_t at = 0; code == CLI_OK && at < u->n_rows; at += BATCH_ITEMS_MAX) {
        json_t *some = json_array();
        u->n_gone = 0;
        code = u->dry ? CLI_OK : walk(u, NULL, true, note_gone);
        if (u->n_gone)
            qsort(u->gone, u->n_gone, sizeof *u->gone, by_value);
        for (size_t i = at; code == CLI_OK && i < u->n_rows && i < at + BATCH_ITEMS_MAX; i++)
            if (!u->n_gone || !bsearch(&u->row[i], u->gone, u->n_gone, sizeof *u->gone, by_value))
                json_array_append_new(some, json_pack("{s:I}", "taught", (json_int_t)u->row[i]));
        if (code == CLI_OK)
            code = send_items(u, some);
        json_decref(some);
        show_sent(u);
    }
    return code;
}

/* ---- telling ---- */

static double learned_quality(const json_t *stats, const char *model)
{
    size_t i;
    json_t *m;
    json_array_foreach(json_object_get(stats, "models"), i,
                       m) if (strcmp(cli_text(m, "model"), model) ==
                              0) return cli_real(m, "quality_learned");
    return (double)NAN;
}

static void tell_model(const struct unlearn *u, const struct tally *t, const json_t *after)
{
    printf("%-24.24s %9ld %9ld %9ld %9ld   %.4f", t->model, t->out, t->back, t->history, t->beyond,
           learned_quality(u->before, t->model));
    if (!u->dry)
        printf(" -> %.4f", learned_quality(after, t->model));
    putchar('\n');
}

static void tell(const struct unlearn *u, const json_t *after)
{
    long beyond = 0, already = 0;
    printf("%-24s %9s %9s %9s %9s   mean quality\n", "model", "retracted", "put back", "history",
           "beyond");
    for (int i = 0; i < u->n_tally; i++) {
        tell_model(u, &u->tally[i], after);
        beyond += u->tally[i].beyond;
        already += u->tally[i].already;
    }
    if (beyond)
        printf("%ld labels were learned under other features: the books say so now, the weights "
               "keep them.\n",
               beyond);
    if (already)
        printf("%ld were said again meanwhile, or by another run: repeat this command to see.\n",
               already);
    if (u->first > 1)
        printf("The log begins at record %" PRIu64 ": what was said before it cannot be taken "
               "back.\n",
               u->first);
    if (u->refused)
        printf("%ld corrections were refused.\n", u->refused);
    if (u->dry)
        puts("Nothing was changed: --dry-run.");
}

static void tell_json(const struct unlearn *u, const json_t *after)
{
    json_t *models = json_array();
    for (int i = 0; i < u->n_tally; i++) {
        const struct tally *t = &u->tally[i];
        json_t *m = json_pack("{s:s,s:I,s:I,s:I,s:I,s:I,s:f}", "model", t->model, "retracted",
                              (json_int_t)t->out, "put_back", (json_int_t)t->back, "history",
                              (json_int_t)t->history, "beyond", (json_int_t)t->beyond, "already",
                              (json_int_t)t->already, "quality_before",
                              learned_quality(u->before, t->model));
        if (!u->dry)
            json_object_set_new(m, "quality_after", json_real(learned_quality(after, t->model)));
        json_array_append_new(models, m);
    }
    json_t *all =
        json_pack("{s:b,s:I,s:I,s:I,s:I,s:I,s:o}", "dry_run", u->dry, "first_seq",
                  (json_int_t)u->first, "decisions", (json_int_t)u->corrections.n, "corrections",
                  (json_int_t)json_array_size(u->items), "history", (json_int_t)u->n_rows,
                  "refused", (json_int_t)u->refused, "models", models);
    cli_print_json(all);
    json_decref(all);
}

static int finish(struct unlearn *u)
{
    int code = CLI_OK;
    json_t *after = u->dry ? NULL : cli_control(u->cli, "stats", &code);
    if (code != CLI_OK)
        return code;
    if (u->cli->json)
        tell_json(u, after);
    else
        tell(u, after);
    json_decref(after);
    return u->refused ? CLI_REFUSED : CLI_OK;
}

/* ---- the command ---- */

static int agreed(const struct unlearn *u)
{
    char line[16];
    if (u->dry || u->yes)
        return CLI_OK;
    if (!isatty(STDIN_FILENO))
        return cli_usage(u->cli, "--yes is needed where nobody can be asked; --dry-run shows what "
                                 "would be done");
    fprintf(stderr, "Take back %zu labels of %zu decisions and %zu rows of history? [y/N] ",
            json_array_size(u->items), u->corrections.n, u->n_rows);
    if (fgets(line, sizeof line, stdin) && (line[0] == 'y' || line[0] == 'Y'))
        return CLI_OK;
    fprintf(stderr, "nothing was changed\n");
    return CLI_REFUSED;
}

static int run(struct unlearn *u)
{
    int code = read_log(u);
    if (code == CLI_OK && json_array_size(u->items) + u->n_rows > 0)
        code = agreed(u);
    if (code != CLI_OK)
        return code;
    u->before = cli_control(u->cli, "stats", &code);
    if (code == CLI_OK)
        code = send_labels(u);
    if (code == CLI_OK)
        code = send_history(u);
    if (code == CLI_UNREACHABLE)
        fprintf(stderr, "purser unlearn: stopped half-way: repeat the command, it goes on where it "
                        "stopped\n");
    return code == CLI_OK ? finish(u) : code;
}

static bool read_moment(struct cli *c, const char *option, struct moment *out)
{
    const char *s = cli_option(c, option);
    char text[160];
    if (!s || moment_parse(s, out))
        return true;
    snprintf(text, sizeof text,
             "%s takes a time as 2026-11-24T16:05:07 (UTC) or the number of a record", option);
    cli_usage(c, text);
    return false;
}

static bool options(struct unlearn *u)
{
    struct cli *c = u->cli;
    u->source = cli_option(c, "--source");
    u->tenant = cli_option(c, "--tenant");
    u->batch = cli_option(c, "--batch");
    u->reason = cli_option(c, "--reason");
    u->dry = cli_flag(c, "--dry-run");
    u->yes = cli_flag(c, "--yes");
    if (!read_moment(c, "--since", &u->since) || !read_moment(c, "--until", &u->until) ||
        !cli_end(c))
        return false;
    if (u->batch && (u->source || u->tenant || u->since.given || u->until.given))
        return cli_usage(c, "--batch stands alone"), false;
    if (!u->batch && !u->source && !u->tenant && !u->since.given)
        return cli_usage(c, "say what: --source, --tenant, --since or --batch"), false;
    u->rollback = !u->batch && !u->source && !u->tenant;
    return true;
}

int cli_unlearn(struct cli *c)
{
    int code = CLI_USAGE;
    struct unlearn *u = calloc(1, sizeof *u);
    if (!u)
        return CLI_REFUSED;
    u->cli = c;
    u->items = json_array();
    if (options(u))
        code = run(u);
    corrections_fini(&u->corrections);
    json_decref(u->items);
    json_decref(u->before);
    free(u->row);
    free(u->gone);
    free(u);
    return code;
}
