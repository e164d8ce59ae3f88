/* SPDX-License-Identifier: MIT */
/*
 * Unlearning: what a poisoned source taught is taken back on a running service, and the weights are
 * then those that a fold without it gives; rollback, history, killing in the middle, late
 * decisions, sources that are ignored.
 */
#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "bandit/rng.h"
#include "core/config/config.h"
#include "core/moment.h"
#include "core/router/credit.h"
#include "core/router/router.h"
#include "store/db.h"
#include "tests/service.h"

/* No alarms, and no shared prior: its scales are chosen on the way, so they remember. */
#define PLAIN "\"learner\":{\"drift_threshold\":0,\"pool_labels\":0}"
#define WATCHED "\"learner\":{\"drift_threshold\":0}"

static int run(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static int run(const char *fmt, ...)
{
    char command[2048];
    va_list args;
    va_start(args, fmt);
    vsnprintf(command, sizeof command, fmt, args);
    va_end(args);
    int code = system(command);
    return WIFEXITED(code) ? WEXITSTATUS(code) : -1;
}

/* purser unlearn with these options; the report goes to DIR/out. Gives the exit code. */
static int unlearn(const struct service *s, const char *options)
{
    int code = run("%s unlearn --control %s --yes --json %s >%s/out 2>%s/err", PURSER, s->url[2],
                   options, s->dir, s->dir);
    if (code != 0)
        run("cat %s/out %s/err >&2", s->dir, s->dir);
    return code;
}

/* A member of the last report; of all models summed when it is theirs. */
static int64_t reported(const struct service *s, const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "%s/out", s->dir);
    json_t *r = json_load_file(path, 0, NULL), *m;
    assert_non_null(r);
    int64_t sum = json_integer_value(json_object_get(r, name));
    size_t i;
    json_array_foreach(json_object_get(r, "models"), i, m) sum +=
        json_integer_value(json_object_get(m, name));
    json_decref(r);
    return sum;
}

/* purser-sim refold, checked to be about the state that the service is in (asked before and after,
 * for a tick may come in between). Gives. */
static json_t *refold(struct service *s, const char *options)
{
    static const char ask_state[] = "{\"v\":1,\"op\":\"status\",\"digest\":true}";
    char path[256], digest[32];
    snprintf(path, sizeof path, "%s/fold", s->dir);
    for (;;) {
        const char *state = service_call(s, PURSER_CLIENT_CONTROL, ask_state);
        assert_true(service_string(state, "digest", digest, sizeof digest));
        int64_t seq = service_int(state, "seq");
        if (run("%s refold --full-speed --store %s --json %s >%s/fold 2>%s/err", PURSER_SIM,
                s->data, options, s->dir, s->dir) != 0) {
            run("cat %s/err >&2", s->dir);
            fail_msg("purser-sim refold %s", options);
        }
        json_t *r = json_load_file(path, 0, NULL);
        assert_non_null(r);
        if (json_integer_value(json_object_get(r, "last_seq")) != seq) {
            json_decref(r);
            continue;
        }
        assert_true(json_is_true(json_object_get(r, "own_digest")));
        assert_string_equal(json_string_value(json_object_get(r, "digest")), digest);
        return r;
    }
}

/* The greatest difference of any weight between the two folds; *labels: of label counts. */
static double difference(const json_t *fold, int64_t *labels)
{
    size_t a, i;
    json_t *m, *w, *list;
    const char *target;
    double most = 0;
    *labels = 0;
    json_array_foreach(json_object_get(fold, "with"), a, m)
    {
        json_t *n = json_array_get(json_object_get(fold, "without"), a);
        json_object_foreach(json_object_get(m, "weights"), target, list)
            json_array_foreach(list, i, w)
        {
            json_t *other =
                json_array_get(json_object_get(json_object_get(n, "weights"), target), i);
            most = fmax(most, fabs(json_real_value(w) - json_real_value(other)));
        }
        json_object_foreach(json_object_get(m, "labels"), target, w) *labels +=
            llabs(json_integer_value(w) -
                  json_integer_value(json_object_get(json_object_get(n, "labels"), target)));
    }
    return most;
}

static double compare(struct service *s, const char *options)
{
    int64_t labels;
    json_t *fold = refold(s, options);
    double most = difference(fold, &labels);
    json_decref(fold);
    assert_int_equal(labels, 0);
    return most;
}

/* Mean quality of a model as the fold has it now. */
static double quality_of(struct service *s, size_t model)
{
    json_t *fold = refold(s, "");
    double q = json_real_value(
        json_object_get(json_array_get(json_object_get(fold, "with"), model), "quality_mean"));
    json_decref(fold);
    return q;
}

/* ---- life ---- */

enum { ROWS_MAX = 4096 };
static char id[ROWS_MAX][64];
static int arm[ROWS_MAX];

/* Sends items (taken) and gives the answers, as many. */
static json_t *call_many(struct service *s, enum purser_client_door door, const char *op,
                         json_t *items)
{
    size_t n = json_array_size(items);
    json_t *m = json_pack("{s:i,s:s,s:o}", "v", 1, "op", op, "items", items);
    char *text = json_dumps(m, JSON_COMPACT);
    json_t *reply = json_loads(service_call(s, door, text), 0, NULL),
           *answers = json_incref(json_object_get(reply, "items"));
    free(text);
    json_decref(m);
    json_decref(reply);
    assert_int_equal(json_array_size(answers), n);
    return answers;
}

/* Sends feedback gathered in *items once there is enough of it, or `now`; all must be applied. */
static void flush(struct service *s, json_t **items, bool now)
{
    size_t k, n = json_array_size(*items);
    json_t *a;
    if (n == 0 || (n < 200 && !now))
        return;
    json_t *answers = call_many(s, PURSER_CLIENT_FEEDBACK, "feedback_many", *items);
    json_array_foreach(answers, k, a)
        assert_string_equal(json_string_value(json_object_get(a, "status")), "applied");
    json_decref(answers);
    *items = json_array();
}

/* Asks for rows from..to, a hundred at a time. */
static void ask(struct service *s, int from, int to)
{
    static const char *const name[] = {"small-1", "mid-1", "large-1"};
    for (int i = from; i < to;) {
        json_t *items = json_array(), *reply, *d;
        size_t k;
        for (int n = i; n < i + 100 && n < to; n++)
            json_array_append_new(items, json_pack("{s:o,s:s,s:s,s:o}", "request_id",
                                                   json_sprintf("r%d", n), "tenant",
                                                   n % 5 ? "acme" : "other", "task",
                                                   n % 3 ? "easy" : "hard", "prompt",
                                                   json_sprintf("question %d", n)));
        reply = call_many(s, PURSER_CLIENT_ROUTE, "route_many", items);
        json_array_foreach(reply, k, d)
        {
            const char *model = json_string_value(json_object_get(d, "model"));
            snprintf(id[i], sizeof id[i], "%s",
                     json_string_value(json_object_get(d, "decision_id")));
            for (int m = 0; m < 3; m++)
                arm[i] = strcmp(model, name[m]) == 0 ? m : arm[i];
            i++;
        }
        json_decref(reply);
    }
}

/* What the row is really worth: better models do better, with luck. */
static double truth(int row)
{
    double luck = (double)(mix64((uint64_t)row) >> 11) * 0x1p-53 - 0.5;
    double q = 0.5 + 0.15 * arm[row] + 0.2 * luck;
    return q > 1 ? 1 : q;
}

static const char *report(struct service *s, int row, const char *source, double quality)
{
    char members[200];
    snprintf(members, sizeof members, "\"source\":\"%s\",\"quality\":%.6f", source, quality);
    return service_feed(s, id[row], members);
}

/* Every row is judged but each tenth, which a bot lies about: the better the model, the worse. */
static void live(struct service *s, int from, int to, bool poison)
{
    json_t *items = json_array();
    for (int i = from; i < to; i++) {
        bool bot = i % 10 == 7;
        flush(s, &items, false);
        if (bot && poison)
            json_array_append_new(items, json_pack("{s:s,s:s,s:i}", "decision_id", id[i], "source",
                                                   "bot", "quality", arm[i] == 0));
        if (bot || poison)
            continue;
        json_array_append_new(items, json_pack("{s:s,s:s,s:f}", "decision_id", id[i], "source",
                                               "judge", "quality", truth(i)));
        json_array_append_new(items, json_pack("{s:s,s:s,s:i,s:f,s:f}", "decision_id", id[i],
                                               "source", "ops", "output_tokens", 90, "latency_ms",
                                               700.0, "cost_usd", 0.0004));
    }
    flush(s, &items, true);
    json_decref(items);
}

/* A source says the same of all these rows. */
static void repeat(struct service *s, int from, int to, const char *source, double quality)
{
    json_t *items = json_array();
    for (int i = from; i < to; i++) {
        flush(s, &items, false);
        json_array_append_new(items, json_pack("{s:s,s:s,s:f}", "decision_id", id[i], "source",
                                               source, "quality", quality));
    }
    flush(s, &items, true);
    json_decref(items);
}

static struct service started(const char *limits, const char *extra)
{
    struct service s;
    service_new(&s, limits, extra);
    service_start(&s);
    return s;
}

static void done(struct service *s)
{
    assert_int_equal(service_stop(s, SIGTERM), 0);
    assert_int_equal(run("%s verify --data %s >/dev/null", PURSER, s->data), 0);
    service_remove(s);
}

/* ---- one source ---- */

/* Also: a second source on the same decisions stays, and so do decisions that have left memory. */
static void test_source(void **state)
{
    enum { ROWS = 600 };
    struct service s = started("\"open_decisions\":64", PLAIN);
    double q[3][3];
    (void)state;
    ask(&s, 0, ROWS);
    live(&s, 0, ROWS, false);
    assert_string_equal(report(&s, 17, "judge", 0.8), "applied");
    for (int m = 0; m < 3; m++)
        q[m][0] = quality_of(&s, (size_t)m);
    live(&s, 0, ROWS, true);
    for (int m = 0; m < 3; m++)
        q[m][1] = quality_of(&s, (size_t)m);
    assert_true(compare(&s, "--without-source nobody") <= 0); /* folded anew, bit for bit */
    assert_int_equal(unlearn(&s, "--source bot --dry-run"), 0);
    assert_int_equal(reported(&s, "retracted"), ROWS / 10);
    int64_t seq = service_stat(&s, "seq");
    assert_int_equal(unlearn(&s, "--source bot --reason 'it lied'"), 0);
    assert_int_equal(reported(&s, "retracted"), ROWS / 10);
    assert_int_equal(reported(&s, "put_back") + reported(&s, "beyond"), 0);
    assert_true(service_stat(&s, "seq") >= seq + ROWS / 10);
    for (int m = 0; m < 3; m++)
        q[m][2] = quality_of(&s, (size_t)m);
    double most = compare(&s, "--without-source bot");
    for (int m = 0; m < 3; m++)
        print_message("model %d: quality %.4f, poisoned %.4f, after %.4f\n", m, q[m][0], q[m][1],
                      q[m][2]);
    print_message("greatest difference of a weight: %.3g\n", most);
    assert_true(most < 1e-9);
    for (int m = 0; m < 3; m++)
        assert_true(fabs(q[m][2] - q[m][0]) < 1e-6); /* seconds have passed, in a week of memory */
    assert_true(fabs(q[2][1] - q[2][0]) > 0.02);
    /* Again: nothing to say. And what the source says from now on counts. */
    seq = service_stat(&s, "feedbacks");
    assert_int_equal(unlearn(&s, "--source bot"), 0);
    assert_int_equal(reported(&s, "corrections"), 0);
    assert_int_equal(service_stat(&s, "feedbacks"), seq);
    assert_string_equal(report(&s, 7, "bot", 0.5), "applied");
    done(&s);
}

/* Two sources speak about the same decisions: one of them goes, of one tenant, then of all. */
static void test_beside(void **state)
{
    enum { ROWS = 200 };
    struct service s = started("", PLAIN);
    int64_t labels;
    (void)state;
    ask(&s, 0, ROWS);
    for (int i = 0; i < ROWS; i++) {
        assert_string_equal(report(&s, i, "judge", truth(i)), "applied");
        if (i % 2)
            assert_string_equal(report(&s, i, "bot", 0), "applied");
    }
    assert_int_equal(unlearn(&s, "--source bot --tenant other"), 0);
    assert_int_equal(reported(&s, "retracted"), ROWS / 10);
    json_t *fold = refold(&s, "--without-source bot");
    assert_true(difference(fold, &labels) > 1e-3); /* acme's are still in */
    assert_int_equal(labels, 0);                   /* every decision has the judge's */
    json_decref(fold);
    assert_int_equal(unlearn(&s, "--source bot"), 0);
    assert_int_equal(reported(&s, "retracted"), ROWS / 2 - ROWS / 10);
    double most = compare(&s, "--without-source bot");
    print_message("greatest difference of a weight: %.3g\n", most);
    assert_true(most < 1e-9);
    /* All that was said for a tenant. */
    assert_int_equal(unlearn(&s, "--tenant other"), 0);
    assert_int_equal(reported(&s, "retracted"), ROWS / 5);
    most = compare(&s, "--without-tenant other --without-source bot");
    assert_true(most < 1e-9);
    done(&s);
}

/* ---- rollback ---- */

/* A window: what a source said within it goes, what it had said before comes back, what it says
 * later stays. */
static void test_rollback(void **state)
{
    enum { ROWS = 240 };
    struct service s = started("\"open_decisions\":100", PLAIN);
    char options[160];
    (void)state;
    ask(&s, 0, ROWS);
    live(&s, 0, ROWS / 2, false);
    int64_t then = service_stat(&s, "seq"), clock_ms = service_stat(&s, "clock_ms") + 10;
    nanosleep(&(struct timespec){0, 20000000}, NULL);
    live(&s, ROWS / 2, ROWS, false); /* first labels */
    for (int i = 0; i < 20; i++) {   /* amended, retracted, from somebody new */
        assert_non_null(report(&s, i, "judge", 0.01 * i));
        assert_non_null(report(&s, 20 + i, "bot", 0));
        assert_non_null(service_feed(&s, id[40 + i], "\"source\":\"ops\",\"retract\":true"));
        assert_non_null(service_feed(&s, id[60 + i], "\"source\":\"ops\",\"latency_ms\":9999"));
    }
    assert_int_equal(
        run("printf '{\"task\":\"hard\",\"prompt\":\"p\",\"model\":\"mid-1\",\"quality\""
            ":0}\\n' >%s/history && %s train --control %s --from %s/history >/dev/null",
            s.dir, PURSER, s.url[2], s.dir),
        0);
    snprintf(options, sizeof options, "--until %lld", (long long)then);
    json_t *fold = refold(&s, options);
    int64_t labels;
    assert_true(difference(fold, &labels) > 1e-3 && labels > 100);
    json_decref(fold);
    /* The same by time: a moment in between. */
    char since[40];
    strftime(since, sizeof since, "%Y-%m-%dT%H:%M:%S", gmtime(&(time_t){clock_ms / 1000}));
    snprintf(options, sizeof options, "--dry-run --since %s.%03d", since, (int)(clock_ms % 1000));
    assert_int_equal(unlearn(&s, options), 0);
    int64_t by_time = reported(&s, "corrections");
    snprintf(options, sizeof options, "--since %lld", (long long)then + 1);
    assert_int_equal(unlearn(&s, options), 0);
    assert_int_equal(reported(&s, "corrections"), by_time);
    assert_true(reported(&s, "put_back") >= 54); /* of 60, but each tenth had no judge */
    snprintf(options, sizeof options, "--until %lld", (long long)then);
    double most = compare(&s, options);
    print_message("greatest difference of a weight: %.3g\n", most);
    assert_true(most < 1e-9);
    int64_t seq = service_stat(&s, "feedbacks");
    snprintf(options, sizeof options, "--since %lld", (long long)then + 1);
    assert_int_equal(unlearn(&s, options), 0);
    assert_int_equal(service_stat(&s, "feedbacks"), seq);
    assert_int_equal(service_stat(&s, "taught"), 0);
    done(&s);
}

/* ---- history ---- */

static void test_history(void **state)
{
    struct service s = started("", PLAIN);
    char path[256];
    (void)state;
    snprintf(path, sizeof path, "%s/history", s.dir);
    FILE *f = fopen(path, "we");
    for (int i = 0; i < 400; i++)
        fprintf(f,
                "{\"task\":\"%s\",\"prompt\":\"p %d\",\"outcomes\":{\"small-1\":{\"quality\":0,"
                "\"cost_usd\":0.01},\"large-1\":{\"quality\":0.%d,\"latency_ms\":5}}}\n",
                i % 2 ? "easy" : "hard", i, i % 10);
    fclose(f);
    ask(&s, 0, 60);
    live(&s, 0, 60, false);
    for (int k = 0; k < 2; k++)
        assert_int_equal(
            run("%s train --control %s --from %s --run import-%d --limit %d >/dev/null", PURSER,
                s.url[2], path, k, k ? 40 : 400),
            0);
    assert_int_equal(service_stat(&s, "taught"), 880);
    assert_int_equal(unlearn(&s, "--batch import-0 --dry-run"), 0);
    assert_int_equal(reported(&s, "history"), 2 * 800); /* as a whole, and by model */
    assert_int_equal(unlearn(&s, "--batch import-0"), 0);
    assert_int_equal(service_stat(&s, "taught"), 80);
    double most = compare(&s, "--without-batch import-0");
    print_message("greatest difference of a weight: %.3g\n", most);
    assert_true(most < 1e-9);
    assert_int_equal(unlearn(&s, "--batch import-0"), 0);
    assert_int_equal(service_stat(&s, "taught"), 80);
    /* The same message twice, as when an answer was lost: once. Row 1 of the rest is found in the
     * log. */
    const char *r = service_call(&s, PURSER_CLIENT_CONTROL,
                                 "{\"v\":1,\"op\":\"labels\",\"batch\":\"import-1\",\"from\":1}");
    long long row = (long long)service_int(r, "taught"), seq = (long long)service_stat(&s, "seq");
    char again[200];
    snprintf(again, sizeof again,
             "{\"v\":1,\"op\":\"unlearn\",\"seen_to\":%lld,\"items\":[{\"taught\":%lld}]}", seq,
             row);
    assert_non_null(strstr(service_call(&s, PURSER_CLIENT_CONTROL, again), "\"retracted\""));
    assert_non_null(strstr(service_call(&s, PURSER_CLIENT_CONTROL, again), "\"duplicate\""));
    assert_int_equal(service_stat(&s, "taught"), 79);
    assert_string_equal(service_call(&s, PURSER_CLIENT_CONTROL,
                                     "{\"v\":1,\"op\":\"unlearn\",\"items\":[{\"taught\":1}]}"),
                        "error:bad_request");
    snprintf(again, sizeof again,
             "{\"v\":1,\"op\":\"unlearn\",\"seen_to\":%lld,\"items\":[{\"taught\":1}]}", seq);
    assert_non_null(
        strstr(service_call(&s, PURSER_CLIENT_CONTROL, again), "\"code\":\"unknown_decision\""));
    done(&s);
}

/* ---- cut short ---- */

/* Begins to unlearn everything and kills the service when its log has this record. */
static void kill_at(struct service *s, int64_t seq)
{
    assert_int_equal(run("(%s unlearn --control %s --since 1 --yes --timeout 300 --retries 0 "
                         ">/dev/null 2>&1; echo $? >%s/code) &",
                         PURSER, s->url[2], s->dir),
                     0);
    while (service_stat(s, "seq") < seq)
        nanosleep(&(struct timespec){0, 200000}, NULL);
    service_stop(s, SIGKILL);
    assert_int_equal(
        run("for i in $(seq 100); do test -s %s/code && exit 0; sleep 0.1; done; exit 1", s->dir),
        0);
    assert_int_equal(run("rm %s/code", s->dir), 0);
    service_start(s);
}

/* Killed between two batches of corrections, of labels and of history, then begun again: the same
 * as in one go. */
static void test_killed(void **state)
{
    enum { ROWS = 1100 };
    struct service s = started("\"open_decisions\":100", PLAIN);
    (void)state;
    ask(&s, 0, ROWS);
    repeat(&s, 0, ROWS, "bot", 1);
    assert_int_equal(
        run("printf '{\"task\":\"hard\",\"prompt\":\"p\",\"model\":\"mid-1\",\"quality\""
            ":0}\\n%%.0s' $(seq 900) >%s/history && %s train --control %s --run r "
            "--from %s/history >/dev/null",
            s.dir, PURSER, s.url[2], s.dir),
        0);
    assert_int_equal(service_stat(&s, "taught"), 900);
    int64_t seq = service_stat(&s, "seq");
    kill_at(&s, seq + 50);
    int64_t first = service_stat(&s, "seq") - seq;
    kill_at(&s, seq + ROWS + 50);
    int64_t left = service_stat(&s, "taught");
    assert_int_equal(unlearn(&s, "--since 1"), 0);
    print_message("first kill after %lld of %d labels; second with %lld of 900 rows left\n",
                  (long long)first, ROWS, (long long)left);
    assert_int_equal(reported(&s, "history"), 2 * left);
    assert_true(compare(&s, "--until 1") < 1e-9);
    assert_int_equal(service_stat(&s, "taught"), 0);
    assert_int_equal(unlearn(&s, "--since 1"), 0);
    assert_int_equal(reported(&s, "corrections") + reported(&s, "history"), 0);
    done(&s);
}

/* ---- late, full, ignored ---- */

static void test_late(void **state)
{
    struct service s =
        started("\"open_decisions\":8", "\"learner\":{\"drift_threshold\":0,\"pool_labels\":0,"
                                        "\"join_window_hours\":0.001}");
    (void)state;
    ask(&s, 0, 40);
    for (int i = 0; i < 40; i++)
        assert_string_equal(report(&s, i, i % 4 ? "judge" : "bot", i % 4 ? truth(i) : 0),
                            "applied");
    nanosleep(&(struct timespec){3, 700000000}, NULL); /* the join window passes */
    assert_string_equal(report(&s, 0, "bot", 1), "late");
    assert_int_equal(unlearn(&s, "--source bot"), 0);
    assert_int_equal(reported(&s, "retracted"), 10);
    double most = compare(&s, "--without-source bot");
    print_message("greatest difference of a weight: %.3g\n", most);
    assert_true(most < 1e-9);
    done(&s);
}

/* A source that has used up a decision's messages can be taken back all the same. */
static void test_full_book(void **state)
{
    struct service s = started("", PLAIN);
    (void)state;
    ask(&s, 0, 2);
    for (int i = 0; i < SEEN_REPORTS; i++)
        assert_string_equal(report(&s, 0, "bot", 0.01 * i), i ? "amended" : "applied");
    assert_string_equal(report(&s, 0, "bot", 0.5), "error:conflict");
    assert_string_equal(service_feed(&s, id[1], /* the highest version there is */
                                     "\"source\":\"bot\",\"quality\":1,"
                                     "\"version\":9000000000000000000"),
                        "applied");
    assert_int_equal(unlearn(&s, "--source bot"), 0);
    assert_int_equal(reported(&s, "retracted"), 2);
    assert_true(compare(&s, "--without-source bot") < 1e-9);
    done(&s);
}

/* Waits until so many reports have been taken, those of silence included. */
static void await_feedbacks(struct service *s, int64_t n)
{
    for (int i = 0; i < 1000 && service_stat(s, "feedbacks") < n; i++)
        nanosleep(&(struct timespec){0, 10000000}, NULL);
    assert_int_equal(service_stat(s, "feedbacks"), n);
}

/* Silence among the sources: whoever is taken back, it speaks in his place; it can be taken back
 * itself, and a rollback takes it back with all else. */
static void test_silence(void **state)
{
    enum { ROWS = 60 };
    struct service s = started("", PLAIN ",\"silence\":[{\"quality\":1,\"after_hours\":0.0003}]");
    char options[160];
    (void)state;
    ask(&s, 0, ROWS);
    for (int i = 0; i < ROWS; i++) {
        if (i % 3 == 0) /* in time */
            assert_string_equal(report(&s, i, i % 2 ? "judge" : "bot", 0.2), "applied");
    }
    await_feedbacks(&s, ROWS);
    int64_t then = service_stat(&s, "seq");
    for (int i = 0; i < ROWS; i++)
        if (i % 3 == 1) /* after all */
            assert_string_equal(report(&s, i, i % 2 ? "judge" : "bot", 0.2), "applied");
    assert_true(compare(&s, "--without-source nobody") <= 0); /* followed anew, bit for bit */
    assert_int_equal(unlearn(&s, "--source bot"), 0);
    assert_int_equal(reported(&s, "retracted"), ROWS / 3);
    await_feedbacks(&s, ROWS + ROWS / 3 + ROWS / 3 + ROWS / 6); /* who had been in time is silent */
    assert_true(compare(&s, "--without-source bot") < 1e-9);
    snprintf(options, sizeof options, "--since %lld", (long long)then + 1);
    assert_int_equal(unlearn(&s, options), 0);
    snprintf(options, sizeof options, "--until %lld", (long long)then);
    assert_true(compare(&s, options) < 1e-9);
    int64_t n = service_stat(&s, "feedbacks");
    assert_int_equal(unlearn(&s, "--source silence"), 0);
    assert_true(service_stat(&s, "feedbacks") > n);
    snprintf(options, sizeof options, "--without-source silence --until %lld", (long long)then);
    assert_true(compare(&s, options) < 1e-9);
    n = service_stat(&s, "feedbacks");
    assert_int_equal(unlearn(&s, "--source silence"), 0);
    assert_int_equal(service_stat(&s, "feedbacks"), n);
    done(&s);
}

/* Waits until a report of the bot's on row 0 is answered like this. */
static void ignoring(struct service *s, const char *sources, const char *wanted)
{
    char extra[200];
    const char *r = "";
    snprintf(extra, sizeof extra, PLAIN ",\"feedback\":{\"ignore_sources\":[%s]}", sources);
    service_configure(s, "", extra);
    kill(s->pid, SIGHUP);
    for (int i = 0; i < 400 && strcmp(r, wanted) != 0; i++) {
        nanosleep(&(struct timespec){0, 5000000}, NULL);
        r = report(s, 0, "bot", 1);
    }
    assert_string_equal(r, wanted);
}

static void test_ignored(void **state)
{
    struct service s =
        started("", PLAIN ",\"feedback\":{\"ignore_sources\":[\"bot\",\"default\"]}");
    (void)state;
    ask(&s, 0, 4);
    assert_string_equal(report(&s, 0, "bot", 1), "error:forbidden");
    assert_string_equal(service_feed(&s, id[0], "\"quality\":1"), "error:forbidden");
    assert_string_equal(report(&s, 0, "judge", 1), "applied");
    ignoring(&s, "", "applied");
    ignoring(&s, "\"bot\"", "error:forbidden");
    /* What an ignored source has said can be taken back. */
    assert_int_equal(unlearn(&s, "--source bot"), 0);
    assert_int_equal(reported(&s, "retracted"), 1);
    assert_true(compare(&s, "--without-source bot") < 1e-9);
    done(&s);
}

/* With the shared prior at work. Its scales were chosen while the lies were in; taking them back
 * has them chosen anew. (For the comparison both folds choose theirs, until nothing changes.) */
static void test_pooled(void **state)
{
    enum { ROWS = 600 };
    struct service s = started("", WATCHED);
    (void)state;
    ask(&s, 0, ROWS);
    live(&s, 0, ROWS, false);
    live(&s, 0, ROWS, true);
    json_t *fold = refold(&s, "--without-source bot");
    int64_t labels;
    double poisoned = difference(fold, &labels);
    json_decref(fold);
    assert_int_equal(unlearn(&s, "--source bot"), 0);
    double most = compare(&s, "--without-source bot");
    print_message("greatest difference of a weight: poisoned %.3g, after %.3g\n", poisoned, most);
    assert_true(most < poisoned / 10);
    done(&s);
}

/* Lies that look as if the models had changed: the alarm fades what was known, and unlearning does
 * not bring it back. A fold without the lies raises no alarm, and gives what there was. */
static void test_drift(void **state)
{
    enum { ROWS = 500 };
    struct service s = started("", "\"learner\":{\"pool_labels\":0,\"half_life_hours\":0}");
    int64_t labels;
    (void)state;
    ask(&s, 0, ROWS);
    live(&s, 0, ROWS / 2, false);
    json_t *before = refold(&s, ""), *m;
    repeat(&s, ROWS / 2, ROWS, "bot", 0);
    assert_int_equal(run("%s log --data %s | grep -q '\"kind\":\"drifted\"'", PURSER, s.data), 0);
    assert_int_equal(unlearn(&s, "--source bot"), 0);
    json_t *fold = refold(&s, "--without-source bot");
    double most = difference(fold, &labels);
    print_message("greatest difference of a weight: %.3g\n", most);
    assert_true(most > 1e-3);
    assert_int_equal(labels, 0);
    size_t i;
    json_array_foreach(json_object_get(fold, "without"), i, m)
    {
        double now = json_real_value(json_object_get(m, "quality_mean")),
               was = json_real_value(json_object_get(
                   json_array_get(json_object_get(before, "with"), i), "quality_mean"));
        assert_true(fabs(now - was) < 1e-9);
    }
    json_decref(before);
    json_decref(fold);
    done(&s);
}

/* ---- beyond reach ---- */

/* Under other features what was learned stays in the weights, and that is told; a frozen learner
 * would not take out what has left memory, so it is refused. */
static void test_beyond(void **state)
{
    struct service s = started("\"open_decisions\":8", PLAIN);
    (void)state;
    ask(&s, 0, 20);
    repeat(&s, 0, 20, "bot", 0);
    assert_non_null(strstr(service_call(&s, PURSER_CLIENT_CONTROL, "{\"v\":1,\"op\":\"stats\"}"),
                           "\"quality_observed\":0,"));
    service_configure(&s, "\"open_decisions\":8",
                      "\"learner\":{\"drift_threshold\":0,\"pool_labels\":0,\"frozen\":true}");
    assert_int_equal(service_stop(&s, SIGTERM), 0);
    service_start(&s);
    assert_int_equal(
        run("%s unlearn --control %s --source bot --yes >%s/out 2>&1", PURSER, s.url[2], s.dir), 1);
    assert_int_equal(run("grep -q 'conflict: the learner is frozen' %s/out", s.dir), 0);
    assert_int_equal(run("grep -q '12 corrections were refused' %s/out", s.dir), 0);
    service_configure(&s, "\"open_decisions\":8", PLAIN ",\"features\":{\"shape\":false}");
    assert_int_equal(service_stop(&s, SIGTERM), 0);
    service_start(&s);
    ask(&s, 20, 22);
    assert_string_equal(report(&s, 20, "bot", 0), "applied");
    assert_int_equal(unlearn(&s, "--source bot"), 0);
    assert_int_equal(reported(&s, "beyond"), 12); /* those open were taken out by the thaw */
    assert_int_equal(reported(&s, "retracted"), 1);
    done(&s);
}

/* Takes the beginning of the log away, as retention does; the newest record that went. */
static uint64_t prune(const struct service *s)
{
    struct db_info info;
    struct db *db;
    struct problem p;
    assert_int_equal(db_open(s->data, &(struct db_options){.map_gib = 1}, &db, &p), STATUS_OK);
    assert_int_equal(db_info(db, &info, &p), STATUS_OK);
    uint64_t older = info.snapshot_seq[info.base];
    struct batch *b = batch_new();
    batch_prune(b, older / 2, 1000000);
    assert_int_equal(db_commit(db, b, &p), STATUS_OK);
    batch_free(b);
    db_close(db);
    return older / 2 - 1;
}

/* A log without its beginning is folded from the older snapshot. Of decisions before it, labels
 * said behind it are left out, and labels before stay. */
static void test_pruned(void **state)
{
    enum { ROWS = 400 };
    struct service s;
    (void)state;
    service_new(&s, "\"open_decisions\":32", PLAIN);
    s.store = "\"map_gib\":1,\"snapshot_events\":300";
    service_configure(&s, "\"open_decisions\":32", PLAIN);
    service_start(&s);
    for (int i = 0; i < ROWS; i += 50) {
        ask(&s, i, i + 50);
        live(&s, i, i + 50, false);
    }
    assert_int_equal(service_stop(&s, SIGTERM), 0);
    uint64_t gone = prune(&s);
    assert_true(gone > 50);
    service_start(&s);
    repeat(&s, ROWS / 2, ROWS, "bot", 0);
    ask(&s, ROWS, ROWS + 50);
    live(&s, ROWS, ROWS + 50, false);
    assert_true(compare(&s, "--without-source nobody") <= 0);
    json_t *fold = refold(&s, "--without-source bot --without-tenant nobody");
    int64_t labels;
    double poisoned = difference(fold, &labels);
    assert_true(json_integer_value(json_object_get(fold, "from_seq")) > 0);
    json_decref(fold);
    assert_int_equal(run("cd %s && %s refold --store data --without-source bot | "
                         "grep -q 'could not be left out'",
                         s.dir, PURSER_SIM),
                     0);
    assert_int_equal(unlearn(&s, "--source bot"), 0);
    assert_int_equal(reported(&s, "first_seq"), (int64_t)gone + 1);
    double most = compare(&s, "--without-source bot");
    print_message("greatest difference of a weight: poisoned %.3g, after %.3g\n", poisoned, most);
    assert_true(poisoned > 1e-3 && most < 1e-9);
    done(&s);
}

/* ---- words ---- */

static void test_moment(void **state)
{
    static const struct {
        const char *said;
        int64_t seq, ms;
    } good[] = {{"17", 17, 0},
                {"1970-01-01", 0, 0},
                {"2000-02-29T12:00", 0, 951825600000},
                {"2026-11-24T16:05:07Z", 0, 1795536307000},
                {"2026-11-24 16:05:07.25", 0, 1795536307250},
                {"1969-12-31T23:59:59", 0, -1000}};
    static const char *const bad[] = {"",           "0",           "now",
                                      "2026-13-01", "2026-02-29",  "2026-11-24T24:00",
                                      "2026-1-1",   "2026-11-24T", "2026-11-24T16:05:07+01:00",
                                      "-5",         "1e3"};
    struct moment m;
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(moment_parse(good[i].said, &m) && m.given);
        assert_int_equal((int64_t)m.seq, good[i].seq);
        assert_int_equal(m.time_ms, good[i].ms);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(moment_parse(bad[i], &m));
    m = (struct moment){.given = true, .seq = 5};
    assert_true(moment_before(&m, 4, 0) && !moment_before(&m, 5, 0) && !moment_after(&m, 5, 0) &&
                moment_after(&m, 6, 0));
    m = (struct moment){.given = true, .time_ms = 5};
    assert_true(moment_before(&m, 9, 4) && !moment_before(&m, 9, 5) && moment_after(&m, 1, 6));
    m.given = false;
    assert_false(moment_before(&m, 0, -9) || moment_after(&m, 9, 9));
    assert_true(batch_named("run", "run") && batch_named("run-17", "run"));
    assert_false(batch_named("run-x", "run") || batch_named("run-", "run") ||
                 batch_named("run2", "run") || batch_named("ru", "run"));
}

static void test_commands(void **state)
{
    static const struct {
        const char *arguments;
        int code;
        const char *printed;
    } cases[] = {
        {PURSER " unlearn", 64, "say what"},
        {PURSER " unlearn --batch b --source s", 64, "--batch stands alone"},
        {PURSER " unlearn --since yesterday", 64, "2026-11-24T16:05:07"},
        {PURSER " unlearn --source bot </dev/null", 64, "--yes"},
        {PURSER " unlearn --source nobody --yes", 0, "retracted"},
        {PURSER " unlearn --source bot --dry-run", 0, "Nothing was changed"},
        {PURSER " unlearn --source bot --yes", 0, "->"},
        {PURSER_SIM " refold", 2, "--store"},
        {PURSER_SIM " refold --store data --until soon", 2, "--until"},
        {PURSER_SIM " refold --store nowhere", 1, "nowhere"},
        {PURSER_SIM " refold --store data", 0, ", digest "},
        {PURSER_SIM " refold --store data --without-source bot", 0, "left out: 2 messages"},
    };
    struct service s = started("", "");
    (void)state;
    ask(&s, 0, 1);
    (void)report(&s, 0, "bot", 1);
    setenv("PURSER_CONTROL", s.url[2], 1);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int code = run("(cd %s; %s) >%s/out 2>&1", s.dir, cases[i].arguments, s.dir);
        if (code != cases[i].code || run("grep -qF -- '%s' %s/out", cases[i].printed, s.dir)) {
            run("cat %s/out >&2", s.dir);
            fail_msg("%s: exit %d, expected %d and %s", cases[i].arguments, code, cases[i].code,
                     cases[i].printed);
        }
    }
    unsetenv("PURSER_CONTROL");
    done(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_moment),   cmocka_unit_test(test_source),
        cmocka_unit_test(test_beside),   cmocka_unit_test(test_rollback),
        cmocka_unit_test(test_history),  cmocka_unit_test(test_killed),
        cmocka_unit_test(test_late),     cmocka_unit_test(test_full_book),
        cmocka_unit_test(test_ignored),  cmocka_unit_test(test_pooled),
        cmocka_unit_test(test_silence),  cmocka_unit_test(test_drift),
        cmocka_unit_test(test_beyond),   cmocka_unit_test(test_pruned),
        cmocka_unit_test(test_commands),
    };
    cmocka_set_test_filter(getenv("PURSER_TEST")); /* one test by name */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
