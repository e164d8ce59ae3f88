/* SPDX-License-Identifier: MIT */
/*
 * purser play: a full-information table played to a running service, as an application would use
 * it. Some threads take rows, ask for a decision, report tokens, cost and latency of the chosen
 * model at once, and its quality a little later, out of order: quality waits in a small hand of
 * cards from which a random one is dealt whenever the hand is full. Only what the service has
 * acknowledged is written to the choices file, one line each and flushed, so that after a crash the
 * file is a claim that can be checked against the store. A row is read when it is played (the order
 * is an array of file positions), so memory does not grow with the prompts.
 * A client whose calls keep failing on the way is replaced by a new one: NNG before 1.7.3 sometimes
 * does not connect again after a service was killed. The ids stay the same, so nothing counts
 * twice. Considered: asynchronous sends instead of threads. Blocking calls with retries are what
 * the client library offers to applications, and this is one.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "bandit/rng.h"
#include "core/limits.h"
#include "transport/cli/cli.h"
#include "transport/cli/cli_table.h"

enum { HAND = 48, PARALLEL_MAX = 64, PATH_CAP = 4096, CLIENTS_MAX = 16 };
enum purpose { ORDER = 1, DEAL = 2 };

/* Quality that is known but not yet reported. */
struct card {
    char decision_id[PURSER_CLIENT_ID_CAP];
    size_t row;
    double quality;
};

/* What all threads share; everything below `lock` is guarded by it. */
struct table_play {
    struct cli *cli;
    json_t *models; /* of models.json, read only */
    char run[24];   /* distinguishes the ids of this run */
    long *at;       /* start of each line of the rows file, in playing order */
    size_t n;
    FILE *rows, *choices;
    pthread_mutex_t lock;
    pthread_cond_t finished;
    struct purser_client *client[CLIENTS_MAX]; /* the last is in use */
    int clients;
    struct rng deal;
    struct card hand[HAND];
    size_t held, next, done, reports, applied, duplicates;
    int threads; /* still at work */
    double spend_usd;
    bool failed;
    struct purser_client_error error;
    char where[NAME_CAP + 64];
};

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* ---- what threads do. NULL or false: the error is in *e. */

static void fail_with(struct purser_client_error *e, const char *code, const char *text)
{
    *e = (struct purser_client_error){.retryable = false};
    snprintf(e->code, sizeof e->code, "%s", code);
    snprintf(e->message, sizeof e->message, "%s", text);
}

static bool on_the_way(const struct purser_client_error *e)
{
    return strcmp(e->code, "timeout") == 0 || strcmp(e->code, "connection") == 0;
}

static struct purser_client *client_now(struct table_play *p)
{
    pthread_mutex_lock(&p->lock);
    struct purser_client *client = p->client[p->clients - 1];
    pthread_mutex_unlock(&p->lock);
    return client;
}

/* Whether a call that failed with e is worth another try, with a new client unless another thread
 * has seen to it. Old clients stay open: others may be using them. */
static bool renew(struct table_play *p, const struct purser_client *used,
                  const struct purser_client_error *e)
{
    struct purser_client *fresh;
    if (!on_the_way(e))
        return false;
    pthread_mutex_lock(&p->lock);
    bool seen_to = p->client[p->clients - 1] != used;
    if (!seen_to && p->clients < CLIENTS_MAX &&
        purser_client_open(p->cli->route, p->cli->feedback, &p->cli->options, &fresh, NULL) == 0) {
        p->client[p->clients++] = fresh;
        seen_to = true;
    }
    pthread_mutex_unlock(&p->lock);
    return seen_to;
}

static bool ask(struct table_play *p, const struct purser_client_request *q,
                struct purser_client_decision *d, struct purser_client_error *e)
{
    struct purser_client *client;
    do {
        client = client_now(p);
        if (purser_client_route(client, q, d, e) == 0)
            return true;
    } while (renew(p, client, e));
    return false;
}

static bool report(struct table_play *p, const struct purser_client_report *r, char status[16],
                   struct purser_client_error *e)
{
    struct purser_client *client;
    do {
        client = client_now(p);
        if (purser_client_feedback(client, r, status, e) == 0)
            return true;
    } while (renew(p, client, e));
    return false;
}

static bool send_report(struct table_play *p, struct purser_client_report *r, size_t row,
                        const char *what, struct purser_client_error *e)
{
    char id[NAME_CAP], status[16] = "";
    snprintf(id, sizeof id, "%s-%zu/%s", p->run, row, what);
    r->feedback_id = id;
    r->source = "play";
    bool told = report(p, r, status, e);
    r->feedback_id = NULL; /* the text ends with this call */
    if (!told)
        return false;
    pthread_mutex_lock(&p->lock);
    p->reports++;
    p->applied += strcmp(status, "applied") == 0;
    p->duplicates += strcmp(status, "duplicate") == 0;
    fprintf(p->choices, "{\"feedback_id\":\"%s\",\"status\":\"%s\"}\n", id, status);
    fflush(p->choices);
    pthread_mutex_unlock(&p->lock);
    return true;
}

static void write_choice(struct table_play *p, const json_t *row, const char *request_id,
                         const struct purser_client_decision *d, double cost_usd)
{
    json_t *o = json_pack("{s:O,s:s,s:s,s:s,s:f}", "id", json_object_get(row, "id"), "request_id",
                          request_id, "decision_id", d->decision_id, "model", d->model,
                          "propensity", d->propensity);
    pthread_mutex_lock(&p->lock);
    if (o)
        json_dumpf(o, p->choices, JSON_COMPACT | JSON_REAL_PRECISION(9));
    fputc('\n', p->choices);
    fflush(p->choices);
    p->spend_usd += cost_usd;
    pthread_mutex_unlock(&p->lock);
    json_decref(o);
}

/* Asks for a decision on a row and reports what the chosen model did; its quality goes to *card. */
static bool play_row(struct table_play *p, const json_t *row, size_t number, struct card *card,
                     struct purser_client_error *e)
{
    char request_id[NAME_CAP], task[NAME_CAP];
    struct purser_client_decision d;
    const char *prompt = json_string_value(json_object_get(row, "prompt"));
    size_t models = json_array_size(p->models);
    cli_identifier(task, cli_text(row, "task"));
    snprintf(request_id, sizeof request_id, "%s-%zu", p->run, number);
    struct purser_client_request q = {.request_id = request_id,
                                      .task = task,
                                      .prompt = prompt,
                                      .prompt_tokens = cli_table_tokens(row, models)};
    if (!ask(p, &q, &d, e))
        return false;
    int m = cli_table_model(p->models, d.model);
    if (m < 0) {
        fail_with(e, "unknown_model",
                  "the service chose a model that models.json does not have: configure it with "
                  "purser-sim config DIR");
        return false;
    }
    struct purser_client_report r = cli_table_report(row, (size_t)m);
    write_choice(p, row, request_id, &d, r.cost_usd);
    r.decision_id = d.decision_id;
    *card = (struct card){.row = number, .quality = cli_table_quality(row, (size_t)m)};
    memcpy(card->decision_id, d.decision_id, sizeof card->decision_id);
    return send_report(p, &r, number, "ops", e);
}

/* Takes the next row; NULL when there is none, or *broken when it cannot be read. */
static json_t *take_row(struct table_play *p, size_t *number, bool *broken)
{
    char *line = NULL;
    size_t cap = 0;
    ssize_t n = -1;
    pthread_mutex_lock(&p->lock);
    bool more = !p->failed && p->next < p->n;
    *number = p->next;
    if (more && fseek(p->rows, p->at[p->next++], SEEK_SET) == 0)
        n = getline(&line, &cap, p->rows);
    pthread_mutex_unlock(&p->lock);
    json_t *row = n > 0 ? json_loadb(line, (size_t)n, JSON_ALLOW_NUL, NULL) : NULL;
    *broken = more && (!json_is_string(json_object_get(row, "id")) ||
                       !json_is_string(json_object_get(row, "prompt")));
    free(line);
    return row;
}

/* Puts a card into the hand (NULL: none) and takes a random one out when the hand is full, or when
 * `rest` is asked for; false when nothing is to be reported now. */
static bool exchange_card(struct table_play *p, const struct card *in, bool rest, struct card *out)
{
    pthread_mutex_lock(&p->lock);
    if (in)
        p->hand[p->held++] = *in;
    bool dealt = rest ? p->held > 0 && !p->failed : p->held == HAND;
    if (dealt) {
        size_t i = (size_t)rng_below(&p->deal, p->held);
        *out = p->hand[i];
        p->hand[i] = p->hand[--p->held];
    }
    pthread_mutex_unlock(&p->lock);
    return dealt;
}

static bool report_quality(struct table_play *p, const struct card *card,
                           struct purser_client_error *e)
{
    struct purser_client_report r = {
        .decision_id = card->decision_id, .has = PURSER_CLIENT_QUALITY, .quality = card->quality};
    return send_report(p, &r, card->row, "quality", e);
}

static void give_up(struct table_play *p, size_t row, const struct purser_client_error *e)
{
    pthread_mutex_lock(&p->lock);
    if (!p->failed) {
        p->failed = true;
        p->error = *e;
        snprintf(p->where, sizeof p->where, "request %zu", row + 1);
    }
    pthread_mutex_unlock(&p->lock);
}

static void *play_rows(void *ctx)
{
    struct table_play *p = ctx;
    struct purser_client_error e;
    struct card card, dealt;
    size_t number = 0;
    bool broken, ok = true;
    for (json_t *row; ok && (row = take_row(p, &number, &broken)) != NULL;) {
        if (broken)
            fail_with(&e, "bad_row", "a row needs at least id, task, prompt, in, q and cost");
        ok = !broken && play_row(p, row, number, &card, &e);
        json_decref(row);
        if (ok && exchange_card(p, &card, false, &dealt))
            ok = report_quality(p, &dealt, &e);
        pthread_mutex_lock(&p->lock);
        p->done += ok;
        pthread_mutex_unlock(&p->lock);
    }
    if (ok && broken) {
        ok = false;
        fail_with(&e, "bad_row", "not a JSON object");
    }
    while (ok && exchange_card(p, NULL, true, &dealt))
        ok = report_quality(p, &dealt, &e);
    if (!ok)
        give_up(p, number, &e);
    pthread_mutex_lock(&p->lock);
    p->threads--;
    pthread_cond_signal(&p->finished);
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

/* ---- around it */

/* Notes where each line of the rows file starts, shuffles, and keeps `limit`. */
static bool plan(struct table_play *p, size_t limit, uint64_t seed)
{
    char *line = NULL;
    size_t cap = 0, room = 0;
    bool ok = true;
    long at = 0;
    ssize_t n = 1;
    for (; ok && (n = getline(&line, &cap, p->rows)) > 0; at += n) {
        if (strspn(line, " \t\r\n") == (size_t)n)
            continue;
        if (p->n == room) {
            room = room ? 2 * room : 4096;
            long *more = reallocarray(p->at, room, sizeof *more);
            ok = more != NULL;
            p->at = ok ? more : p->at;
        }
        if (ok)
            p->at[p->n++] = at;
    }
    free(line);
    struct rng rng = rng_stream(seed, ORDER, 0);
    for (size_t i = p->n; i > 1; i--) {
        size_t j = (size_t)rng_below(&rng, i);
        long t = p->at[i - 1];
        p->at[i - 1] = p->at[j];
        p->at[j] = t;
    }
    p->n = limit > 0 && limit < p->n ? limit : p->n;
    return ok && (n > 0 || feof(p->rows)) && p->n > 0;
}

static int cannot(const struct cli *c, const char *path, const char *what)
{
    fprintf(stderr, "purser %s: %s: %s\n", c->command, path, what);
    return CLI_REFUSED;
}

static int open_files(struct table_play *p, const char *dir, const char *out, size_t limit,
                      uint64_t seed)
{
    char path[PATH_CAP];
    json_error_t e;
    snprintf(path, sizeof path, "%s/models.json", dir);
    json_t *root = json_load_file(path, 0, &e);
    p->models = json_incref(json_object_get(root, "models"));
    json_decref(root);
    if (json_array_size(p->models) == 0)
        return cannot(p->cli, path, root ? "has no list \"models\"" : e.text);
    snprintf(path, sizeof path, "%s/prompts.jsonl", dir);
    if (!(p->rows = fopen(path, "re")))
        return cannot(p->cli, path, "cannot be read: is this a table's folder?");
    if (!plan(p, limit, seed))
        return cannot(p->cli, path, "has no rows, or more than memory holds");
    if (!(p->choices = fopen(out, "we")))
        return cannot(p->cli, out, "cannot be written");
    return CLI_OK;
}

/* One line: how far, how fast, how dear, how long still. With the lock held. */
static void show_progress(const struct table_play *p, double began, bool tty)
{
    double elapsed = seconds() - began, rate = (double)p->done / (elapsed > 0 ? elapsed : 1);
    fprintf(stderr, "%s%7zu of %zu requests  %6.0f/s  $%.4f spent so far  %4.0f s left%s",
            tty ? "\r" : "", p->done, p->n, rate, p->spend_usd,
            rate > 0 ? (double)(p->n - p->done) / rate : 0, tty ? "  " : "\n");
    fflush(stderr);
}

static void watch(struct table_play *p, double began)
{
    bool tty = isatty(STDERR_FILENO);
    double next = began;
    pthread_mutex_lock(&p->lock);
    while (p->threads > 0) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += 200000000;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        pthread_cond_timedwait(&p->finished, &p->lock, &until);
        if (p->threads > 0 && seconds() < next)
            continue;
        show_progress(p, began, tty);
        next = seconds() + (tty ? 0.2 : 2);
    }
    pthread_mutex_unlock(&p->lock);
    if (tty)
        fputc('\n', stderr);
}

/* Starts the threads, watches, and gives how many seconds it took. */
static double run_threads(struct table_play *p, int parallel)
{
    pthread_t thread[PARALLEL_MAX];
    double began = seconds();
    int started = 0;
    p->threads = parallel;
    while (started < parallel && pthread_create(&thread[started], NULL, play_rows, p) == 0)
        started++;
    pthread_mutex_lock(&p->lock);
    p->threads -= parallel - started;
    if (started == 0) {
        p->failed = true;
        fail_with(&p->error, "no_memory", "no thread could be started");
    }
    pthread_mutex_unlock(&p->lock);
    watch(p, began);
    for (int i = 0; i < started; i++)
        pthread_join(thread[i], NULL);
    return seconds() - began;
}

static int tell(const struct table_play *p, double took)
{
    if (p->failed) {
        fprintf(stderr, "purser play: %s: %s: %s%s%s\n", p->where, p->error.code, p->error.path,
                p->error.path[0] ? ": " : "", p->error.message);
        return on_the_way(&p->error) ? CLI_UNREACHABLE : CLI_REFUSED;
    }
    if (p->cli->json)
        printf("{\"requests\":%zu,\"reports\":%zu,\"applied\":%zu,\"duplicate\":%zu,"
               "\"seconds\":%.3f,\"spend_usd\":%.9g}\n",
               p->done, p->reports, p->applied, p->duplicates, took, p->spend_usd);
    else
        printf("%zu requests decided and %zu reports acknowledged in %.1f s (%.0f requests/s), "
               "$%.4f spent\n",
               p->done, p->reports, took, (double)p->done / took, p->spend_usd);
    return CLI_OK;
}

int cli_play(struct cli *c)
{
    const char *out = cli_option(c, "--choices");
    double parallel = 8, limit = 0, seed = 1;
    bool present;
    if (!cli_number(c, "--parallel", &parallel, &present) ||
        !cli_number(c, "--limit", &limit, &present) || !cli_number(c, "--seed", &seed, &present))
        return CLI_USAGE;
    const char *dir = cli_operand(c);
    if (!cli_end(c))
        return CLI_USAGE;
    if (!dir || !out || strlen(dir) > PATH_CAP - 32)
        return cli_usage(c, "DIR (models.json, prompts.jsonl) and --choices FILE are needed");
    if (!(parallel >= 1 && parallel <= PARALLEL_MAX) || !(limit >= 0 && limit < 1e12) ||
        !(seed >= 0 && seed < 9e15))
        return cli_usage(c, "--parallel is 1 to 64, --limit and --seed are whole numbers");
    struct table_play *p = calloc(1, sizeof *p);
    struct timespec t;
    if (!p)
        return cannot(c, dir, "no memory");
    clock_gettime(CLOCK_REALTIME, &t);
    snprintf(p->run, sizeof p->run, "play-%" PRIx64,
             (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000);
    p->cli = c;
    p->client[p->clients++] = c->client;
    p->deal = rng_stream((uint64_t)seed, DEAL, 0);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->finished, NULL);
    int code = open_files(p, dir, out, (size_t)limit, (uint64_t)seed);
    if (code == CLI_OK)
        code = tell(p, run_threads(p, (int)parallel));
    if (p->rows)
        fclose(p->rows);
    if (p->choices && fclose(p->choices) != 0 && code == CLI_OK)
        code = cannot(c, out, "could not be written to its end: is the disk full?");
    if (p->clients > 1) { /* what could not connect again may not be possible to close either */
        fflush(stdout);
        _exit(code);
    }
    json_decref(p->models);
    pthread_cond_destroy(&p->finished);
    pthread_mutex_destroy(&p->lock);
    free(p->at);
    free(p);
    return code;
}
