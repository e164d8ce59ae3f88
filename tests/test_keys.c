/* SPDX-License-Identifier: MIT */
/*
 * Keys: what the file holds, the table of ops and roles cell by cell, and the service behind a key
 * file: who is refused and how, tenants, rates, revocation while it runs.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <sys/stat.h>
#include <unistd.h>
#include "tests/service.h"
#include "transport/control/control.h"
#include "transport/gate.h"

static const enum purser_client_door R = PURSER_CLIENT_ROUTE, F = PURSER_CLIENT_FEEDBACK,
                                     C = PURSER_CLIENT_CONTROL;

static void make(struct keyring *r, enum role role, const char *tenant, double rate, char *out)
{
    struct key like = {.role = role, .rate = rate, .connections = 7, .created_ms = 1000};
    snprintf(like.tenant, sizeof like.tenant, "%s", tenant);
    assert_int_equal(keyring_make(r, &like, out, NULL), STATUS_OK);
}

/* ---- the file ---- */

static void file_comes_back(void **state)
{
    char path[] = "/tmp/purser-keys-XXXXXX", a[KEY_TEXT_CAP], b[KEY_TEXT_CAP], text[4096] = "";
    struct keyring *r = keyring_new(), *again = NULL;
    struct problem p = {0};
    struct stat st;
    (void)state;
    close(mkstemp(path));
    make(r, ROLE_APP, "acme", 5, a);
    make(r, ROLE_OPERATOR, "", 0, b);
    assert_int_equal(keyring_save(r, path, &p), STATUS_OK);
    assert_int_equal(keyring_load(path, &again, &p), STATUS_OK);
    int i = keyring_open(again, a, 2000);
    assert_true(i >= 0);
    assert_string_equal(keyring_at(again, i)->tenant, "acme");
    assert_true(keyring_at(again, i)->rate == 5);
    assert_int_equal(keyring_at(again, i)->connections, 7);
    assert_true(keyring_open(again, b, 2000) >= 0);
    /* The secret is not in it, and nobody else may read it. */
    FILE *f = fopen(path, "r");
    assert_true(f && fread(text, 1, sizeof text - 1, f) > 0);
    fclose(f);
    assert_null(strstr(text, strchr(a, '.') + 1));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    keyring_free(again);
    /* One that others may read is refused. */
    chmod(path, 0640);
    assert_int_equal(keyring_load(path, &again, &p), STATUS_BAD_REQUEST);
    assert_non_null(strstr(p.text, "chmod 600"));
    keyring_free(r);
    unlink(path);
}

/* covers: C4 */
static void damaged_files_are_refused(void **state)
{
    static const char pepper[] = "\"pepper\":"
                                 "\"00000000000000000000000000000000"
                                 "00000000000000000000000000000000\"";
    static const char *const bad[][2] = {
        {"{\"v\":1,\"keys\":[]}", "/pepper"},
        {"{%s}", "/keys"},
        {"{%s,\"keys\":[1]}", "/keys/0"},
        {"{%s,\"keys\":[{\"id\":\"a\",\"role\":\"god\",\"mac\":\"M\"}]}", "/keys/0/"},
        {"{%s,\"keys\":[{\"id\":\"a\",\"role\":\"app\",\"mac\":\"zz\"}]}", "/keys/0/mac"},
        {"{%s,\"keys\":[{\"id\":\"a\",\"roles\":\"app\"}]}", "/keys/0/roles"},
        {"{%s,\"keys\":", ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char path[] = "/tmp/purser-keys-XXXXXX";
        struct keyring *r = NULL;
        struct problem p = {0};
        FILE *f = fdopen(mkstemp(path), "w");
        const char *percent = strstr(bad[i][0], "%s");
        if (percent)
            fprintf(f, "%.*s%s%s", (int)(percent - bad[i][0]), bad[i][0], pepper, percent + 2);
        else
            fputs(bad[i][0], f);
        fclose(f);
        assert_int_not_equal(keyring_load(path, &r, &p), STATUS_OK);
        assert_null(r);
        if (!strstr(p.path, bad[i][1]))
            fail_msg("%s: at %s: %s", bad[i][0], p.path, p.text);
        unlink(path);
    }
}

static void nothing_else_opens(void **state)
{
    struct keyring *r = keyring_new();
    char key[KEY_TEXT_CAP], wrong[KEY_TEXT_CAP + 1];
    (void)state;
    make(r, ROLE_APP, "", 0, key);
    assert_int_equal(keyring_open(r, key, 0), 0);
    static const char *const other[] = {
        "", ".", "..", "a.b", "no-dot", "\xff.\xff", "app-0000000000000000."};
    for (size_t i = 0; i < sizeof other / sizeof other[0]; i++)
        assert_int_equal(keyring_open(r, other[i], 0), -1);
    for (size_t i = 0; key[i] != '\0'; i++) { /* any character changed, added or left out */
        strcpy(wrong, key);
        wrong[i] = wrong[i] == 'x' ? 'y' : 'x';
        assert_int_equal(keyring_open(r, wrong, 0), -1);
        wrong[i] = '\0';
        assert_int_equal(keyring_open(r, wrong, 0), -1);
    }
    snprintf(wrong, sizeof wrong, "%sA", key);
    assert_int_equal(keyring_open(r, wrong, 0), -1);
    assert_true(keyring_revoke(r, keyring_at(r, 0)->id, 5));
    assert_int_equal(keyring_open(r, key, 6), -1);
    assert_false(keyring_revoke(r, "nobody", 5));
    keyring_free(r);
}

static void keys_expire(void **state)
{
    struct keyring *r = keyring_new();
    struct key like = {.role = ROLE_APP, .expires_ms = 1000};
    char key[KEY_TEXT_CAP];
    (void)state;
    assert_int_equal(keyring_make(r, &like, key, NULL), STATUS_OK);
    assert_int_equal(keyring_open(r, key, 999), 0);
    assert_int_equal(keyring_open(r, key, 1000), -1);
    keyring_free(r);
}

/* ---- the table ---- */

/* Written out again, on purpose: whoever changes the table says it twice. covers: S17 */
static void every_cell(void **state)
{
    static const char *const app[] = {"route",    "route_many",    "escalate",
                                      "feedback", "feedback_many", "explain"};
    static const char *const reader[] = {"explain",     "stats",      "status",       "models.list",
                                         "weights.get", "policy.get", "learners.get", "pools.list",
                                         "config.get",  "spend.get",  "decisions",    "alerts",
                                         "whatif"};
    static const char *const not_operator[] = {"route", "route_many", "feedback", "feedback_many"};
    const char *op;
    (void)state;
    for (size_t i = 0; (op = control_op(i)) != NULL; i++) {
        bool for_app = false, for_reader = false;
        for (size_t j = 0; j < sizeof app / sizeof app[0]; j++)
            for_app |= strcmp(op, app[j]) == 0;
        for (size_t j = 0; j < sizeof reader / sizeof reader[0]; j++)
            for_reader |= strcmp(op, reader[j]) == 0;
        if (gate_allows(ROLE_APP, op) != for_app || gate_allows(ROLE_READER, op) != for_reader ||
            !gate_allows(ROLE_OPERATOR, op))
            fail_msg("the table's row of %s", op);
    }
    for (size_t j = 0; j < sizeof app / sizeof app[0]; j++)
        assert_true(gate_allows(ROLE_APP, app[j]));
    for (size_t j = 0; j < sizeof not_operator / sizeof not_operator[0]; j++) {
        assert_false(gate_allows(ROLE_OPERATOR, not_operator[j]));
        assert_false(gate_allows(ROLE_READER, not_operator[j]));
    }
    for (int role = 0; role < ROLES; role++)
        assert_false(gate_allows((enum role)role, "an op of tomorrow"));
    assert_true(gate_allows(ROLE_OPERATOR, "teach"));
    assert_false(gate_allows(ROLE_APP, "teach") || gate_allows(ROLE_READER, "teach"));
}

/* ---- the service ---- */

struct guarded {
    struct service s;
    char file[256];
    struct keyring *ring;
    char app[KEY_TEXT_CAP], acme[KEY_TEXT_CAP], slow[KEY_TEXT_CAP],
        reader[KEY_TEXT_CAP], operator[KEY_TEXT_CAP];
};

static int setup(void **state)
{
    struct guarded *g = calloc(1, sizeof *g);
    char extra[400];
    service_new(&g->s, "", "");
    snprintf(g->file, sizeof g->file, "%s/keys.json", g->s.dir);
    g->ring = keyring_new();
    make(g->ring, ROLE_APP, "", 0, g->app);
    make(g->ring, ROLE_APP, "acme", 0, g->acme);
    make(g->ring, ROLE_APP, "slow", 2, g->slow);
    make(g->ring, ROLE_READER, "", 0, g->reader);
    make(g->ring, ROLE_OPERATOR, "", 0, g->operator);
    assert_int_equal(keyring_save(g->ring, g->file, NULL), STATUS_OK);
    snprintf(extra, sizeof extra, "\"keys\":{\"file\":\"%s\"}", g->file);
    service_configure(&g->s, "", extra);
    service_start(&g->s);
    *state = g;
    return 0;
}

static int teardown(void **state)
{
    struct guarded *g = *state;
    service_remove(&g->s);
    keyring_free(g->ring);
    free(g);
    return 0;
}

/* Sends {"v":1,"op":op,"key":key,rest}. */
static const char *say(struct guarded *g, enum purser_client_door door, const char *op,
                       const char *key, const char *rest)
{
    char json[1024];
    snprintf(json, sizeof json, "{\"v\":1,\"op\":\"%s\"%s%s%s%s}", op, key ? ",\"key\":\"" : "",
             key ? key : "", key ? "\"" : "", rest);
    return service_call(&g->s, door, json);
}

/* covers: A1 */
static void same_answer_to_all_strangers(void **state)
{
    struct guarded *g = *state;
    char wrong[KEY_TEXT_CAP];
    strcpy(wrong, g->app);
    wrong[strlen(wrong) - 2] ^= 1;
    const char *const strangers[] = {NULL, "", "nobody.secret", wrong};
    for (size_t i = 0; i < sizeof strangers / sizeof strangers[0]; i++) {
        assert_string_equal(say(g, R, "route", strangers[i], ""), "error:unauthorized");
        assert_string_equal(say(g, C, "stats", strangers[i], ""), "error:unauthorized");
        assert_string_equal(say(g, C, "weights.set", strangers[i], ",\"weights\":{\"cost\":1}"),
                            "error:unauthorized");
    }
}

static void roles_bind(void **state)
{
    struct guarded *g = *state;
    static const char cost[] = ",\"weights\":{\"cost\":1}";
    assert_non_null(strstr(say(g, R, "route", g->app, ""), "decision_id"));
    assert_string_equal(say(g, C, "stats", g->app, ""), "error:forbidden");
    assert_string_equal(say(g, C, "weights.set", g->app, cost), "error:forbidden");
    assert_non_null(strstr(say(g, C, "stats", g->reader, ""), "decisions"));
    assert_string_equal(say(g, C, "weights.set", g->reader, cost), "error:forbidden");
    assert_string_equal(say(g, C, "log", g->reader, ""), "error:forbidden");
    assert_string_equal(say(g, R, "route", g->operator, ""), "error:forbidden");
    assert_non_null(strstr(say(g, C, "weights.set", g->operator, cost), "\"cost\":1"));
}

/* covers: A3 S7 */
static void tenant_comes_from_the_key(void **state)
{
    struct guarded *g = *state;
    char id[64], rest[200];
    assert_string_equal(say(g, R, "route", g->acme, ",\"tenant\":\"umbrella\""), "error:forbidden");
    assert_true(service_string(say(g, R, "route", g->acme, ""), "decision_id", id, sizeof id));
    snprintf(rest, sizeof rest, ",\"decision_id\":\"%s\"", id);
    const char *record = say(g, C, "explain", g->operator, rest);
    assert_non_null(strstr(record, "\"tenant\":\"acme\""));
    /* Another tenant's key finds no such decision; its own and one for all do. */
    assert_string_equal(say(g, C, "explain", g->slow, rest), "error:unknown_decision");
    assert_non_null(strstr(say(g, C, "explain", g->acme, rest), "record"));
    snprintf(rest, sizeof rest, ",\"decision_id\":\"%s\",\"quality\":1", id);
    usleep(1500000); /* slow's bucket */
    assert_string_equal(say(g, F, "feedback", g->slow, rest), "error:unknown_decision");
    assert_non_null(strstr(say(g, F, "feedback", g->acme, rest), "applied"));
    assert_non_null(strstr(say(g, F, "feedback", g->app, rest), "duplicate"));
}

static void rates_bind(void **state)
{
    struct guarded *g = *state;
    int refused = 0;
    char last[1024] = "";
    for (int i = 0; i < 10; i++) {
        snprintf(last, sizeof last, "%s", say(g, R, "route", g->slow, ""));
        refused += strstr(last, "error:throttled") != NULL;
    }
    assert_in_range(refused, 6, 9); /* two at once, perhaps one or two more meanwhile */
    assert_non_null(strstr(say(g, R, "route", g->app, ""), "decision_id"));
}

static void revocation_needs_no_restart(void **state)
{
    struct guarded *g = *state;
    char fresh[KEY_TEXT_CAP];
    const char *answer = "";
    make(g->ring, ROLE_APP, "", 0, fresh); /* two live keys at a time: rotation */
    assert_int_equal(keyring_save(g->ring, g->file, NULL), STATUS_OK);
    for (int i = 0; i < 100 && !strstr(answer, "decision_id"); i++, usleep(50000))
        answer = say(g, R, "route", fresh, "");
    assert_non_null(strstr(answer, "decision_id"));
    assert_non_null(strstr(say(g, R, "route", g->app, ""), "decision_id"));
    char id[NAME_CAP];
    snprintf(id, sizeof id, "%.*s", (int)strcspn(g->app, "."), g->app);
    assert_true(keyring_revoke(g->ring, id, service_ms()));
    assert_int_equal(keyring_save(g->ring, g->file, NULL), STATUS_OK);
    for (int i = 0; i < 100 && strcmp(answer, "error:unauthorized") != 0; i++, usleep(50000))
        answer = say(g, R, "route", g->app, "");
    assert_string_equal(answer, "error:unauthorized");
    assert_non_null(strstr(say(g, R, "route", fresh, ""), "decision_id"));
    /* A file that cannot be read changes nothing. */
    FILE *f = fopen(g->file, "w");
    fputs("{", f);
    fclose(f);
    assert_true(service_logged(&g->s, "keys_refused"));
    assert_non_null(strstr(say(g, R, "route", fresh, ""), "decision_id"));
}

/* covers: A2 A6 */
static void secrets_are_not_logged(void **state)
{
    struct guarded *g = *state;
    char command[700], canary[] = "app-0123456789abcdef.CANARYcanaryCANARY";
    (void)say(g, R, "route", canary, "");
    (void)say(g, R, "route", g->app, ",\"prompt\":\"PROMPTcanary\"");
    service_stop(&g->s, SIGTERM);
    snprintf(command, sizeof command, "grep -raq -e CANARY -e PROMPTcanary -e '%s' %s/data %s",
             strchr(g->app, '.') + 1, g->s.dir, g->s.log);
    assert_int_not_equal(system(command), 0);
}

static void open_doors_stay_at_home(void **state)
{
    struct service s;
    (void)state;
    service_new(&s, "", "");
    service_start(&s);
    assert_true(service_logged(&s, "event=open"));
    service_stop(&s, SIGTERM);
    snprintf(s.url[0], sizeof s.url[0], "tcp://0.0.0.0:%d", s.port[0]);
    service_configure(&s, "", "");
    assert_int_equal(service_try(&s, s.config), 78);
    service_configure(&s, "", "\"keys\":{\"file\":\"/nowhere/keys.json\"}");
    assert_int_equal(service_try(&s, s.config), 78);
    service_remove(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(file_comes_back),
        cmocka_unit_test(damaged_files_are_refused),
        cmocka_unit_test(nothing_else_opens),
        cmocka_unit_test(keys_expire),
        cmocka_unit_test(every_cell),
        cmocka_unit_test_setup_teardown(same_answer_to_all_strangers, setup, teardown),
        cmocka_unit_test_setup_teardown(roles_bind, setup, teardown),
        cmocka_unit_test_setup_teardown(tenant_comes_from_the_key, setup, teardown),
        cmocka_unit_test_setup_teardown(rates_bind, setup, teardown),
        cmocka_unit_test_setup_teardown(revocation_needs_no_restart, setup, teardown),
        cmocka_unit_test_setup_teardown(secrets_are_not_logged, setup, teardown),
        cmocka_unit_test(open_doors_stay_at_home),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
