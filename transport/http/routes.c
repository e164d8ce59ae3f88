/* SPDX-License-Identifier: MIT */
/*
 * The table of paths. A question by GET becomes the message that asks the same over NNG, so there
 * is one set of answers; its arguments are written as they should be read and are checked with the
 * message. docs and the description at /v1/openapi.json are held against this table by
 * tests/test_http.py. Considered: a method for each op. Operators' rarer ops go to /v1/control,
 * with the body they have everywhere.
 */
#include "transport/http/routes.h"

#include <string.h>

enum kind { PARAM_INT, PARAM_TEXT, PARAM_LIST, PARAM_FLAG, PARAM_WHERE };

struct param {
    const char *name;
    enum kind kind;
};

static const struct param
    none[] = {{0}},
    status_params[] = {{"digest", PARAM_FLAG}, {0}},
    pools_params[] = {{"pool", PARAM_TEXT}, {"from", PARAM_INT}, {"limit", PARAM_INT}, {0}},
    decisions_params[] = {{"limit", PARAM_INT}, {0}},
    audit_params[] = {{"from", PARAM_INT}, {"limit", PARAM_INT}, {"about", PARAM_TEXT}, {0}},
    log_params[] = {{"from", PARAM_INT}, {"to", PARAM_INT}, {"limit", PARAM_INT}, {0}},
    usage_params[] = {{"from", PARAM_INT},     {"to", PARAM_INT},
                      {"tenant", PARAM_WHERE}, {"model", PARAM_WHERE},
                      {"task", PARAM_WHERE},   {"domain", PARAM_WHERE},
                      {"group", PARAM_WHERE},  {0}},
    fairness_params[] = {{"from", PARAM_INT},     {"to", PARAM_INT},
                         {"bucket", PARAM_TEXT},  {"tenant", PARAM_WHERE},
                         {"model", PARAM_WHERE},  {"task", PARAM_WHERE},
                         {"domain", PARAM_WHERE}, {0}},
    spend_params[] = {{"from", PARAM_INT},
                      {"to", PARAM_INT},
                      {"by", PARAM_LIST},
                      {"bucket", PARAM_TEXT},
                      {"tenant", PARAM_WHERE},
                      {"model", PARAM_WHERE},
                      {"task", PARAM_WHERE},
                      {"domain", PARAM_WHERE},
                      {"group", PARAM_WHERE},
                      {"cluster", PARAM_WHERE},
                      {"complexity", PARAM_WHERE},
                      {"tier", PARAM_WHERE},
                      {0}};

#define SEND(method, purpose, op)                                                                  \
    {                                                                                              \
        method, SERVE_MESSAGE, purpose, op, NULL, NULL                                             \
    }
#define ASK(op, params, fixed)                                                                     \
    {                                                                                              \
        "GET", SERVE_ASK, PURPOSE_CONTROL, op, params, fixed                                       \
    }
#define GIVE(serve)                                                                                \
    {                                                                                              \
        "GET", serve, PURPOSE_CONTROL, NULL, none, NULL                                            \
    }
#define CONTROL PURPOSE_CONTROL

static const char get[] = "GET, HEAD, OPTIONS", put[] = "GET, HEAD, PUT, OPTIONS",
                  post[] = "POST, OPTIONS";

static const struct route routes[] = {
    {"/v1/route", false, post, {SEND("POST", PURPOSE_ROUTE, NULL)}},
    {"/v1/feedback", false, post, {SEND("POST", PURPOSE_FEEDBACK, NULL)}},
    {"/v1/control", false, post, {SEND("POST", CONTROL, NULL)}},
    {"/v1/decisions", false, get, {ASK("decisions", decisions_params, NULL)}},
    {"/v1/decisions/{decision_id}", false, get, {ASK("explain", none, NULL)}},
    {"/v1/weights",
     false,
     put,
     {ASK("weights.get", none, NULL), SEND("PUT", CONTROL, "weights.set")}},
    {"/v1/policies",
     false,
     put,
     {ASK("policy.get", none, NULL), SEND("PUT", CONTROL, "policy.set")}},
    {"/v1/models",
     false,
     put,
     {ASK("models.list", none, NULL), SEND("PUT", CONTROL, "models.set")}},
    {"/v1/pools",
     false,
     put,
     {ASK("pools.list", pools_params, NULL), SEND("PUT", CONTROL, "pools.set")}},
    {"/v1/learners",
     false,
     put,
     {ASK("learners.get", none, NULL), SEND("PUT", CONTROL, "learners.set")}},
    {"/v1/config", false, put, {ASK("config.get", none, NULL), SEND("PUT", CONTROL, "config.set")}},
    {"/v1/whatif", false, post, {SEND("POST", CONTROL, "whatif")}},
    {"/v1/stats", false, get, {ASK("stats", none, NULL)}},
    {"/v1/status", false, get, {ASK("status", status_params, NULL)}},
    {"/v1/audit", false, get, {ASK("audit", audit_params, NULL)}},
    {"/v1/log", false, get, {ASK("log", log_params, NULL)}},
    {"/v1/spend", false, get, {ASK("spend.get", spend_params, NULL)}},
    {"/v1/usage",
     false,
     get,
     {ASK("spend.get", usage_params,
          ",\"bucket\":\"hour\",\"by\":[\"tenant\",\"model\",\"task\",\"domain\",\"group\","
          "\"cluster\",\"complexity\"]")}},
    {"/v1/fairness", false, get, {ASK("spend.get", fairness_params, ",\"by\":[\"group\"]")}},
    {"/v1/alerts", false, get, {ASK("alerts", none, NULL)}},
    {"/v1/events", false, get, {GIVE(SERVE_EVENTS)}},
    {"/", false, get, {GIVE(SERVE_PAGE)}},
    {"/page/{file}", false, get, {GIVE(SERVE_PAGE)}},
    {"/v1/openapi.json", false, get, {GIVE(SERVE_OPENAPI)}},
    {"/healthz", true, get, {GIVE(SERVE_HEALTH)}},
    {"/readyz", true, get, {GIVE(SERVE_READY)}},
    {"/metrics", true, get, {GIVE(SERVE_METRICS)}},
};

const struct route *route_at(size_t i)
{
    return i < sizeof routes / sizeof routes[0] ? &routes[i] : NULL;
}

/* The name of the path's value: from its brace to the end. */
static const char *hole(const char *path)
{
    return strchr(path, '{');
}

static bool matches(const struct route *r, const char *path, const char **value)
{
    const char *brace = hole(r->path);
    *value = NULL;
    if (!brace)
        return strcmp(path, r->path) == 0;
    size_t n = (size_t)(brace - r->path);
    *value = path + n;
    return strncmp(path, r->path, n) == 0 && **value != '\0' && !strchr(*value, '/');
}

const struct route *route_find(const char *path, bool aside, const char **value)
{
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++)
        if (routes[i].aside == aside && matches(&routes[i], path, value))
            return &routes[i];
    return NULL;
}

const struct act *route_act(const struct route *r, const char *method)
{
    if (strcmp(method, "HEAD") == 0)
        method = "GET";
    for (int i = 0; i < 2 && r->act[i].method; i++)
        if (strcmp(r->act[i].method, method) == 0)
            return &r->act[i];
    return NULL;
}

/* ---- messages ---- */

static int hex(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

bool route_unescape(char out[VALUE_CAP], const char *s)
{
    size_t n = 0;
    for (; *s && n + 1 < VALUE_CAP; s++) {
        int high = *s == '%' ? hex(s[1]) : 0, low = *s == '%' && high >= 0 ? hex(s[2]) : 0;
        if (high < 0 || low < 0 || (*s == '%' && high + low == 0))
            return false;
        out[n++] = *s == '%' ? (char)(high * 16 + low) : *s == '+' ? ' ' : *s;
        s += *s == '%' ? 2 : 0;
    }
    out[n] = '\0';
    return *s == '\0';
}

static enum status refuse(struct problem *p, const char *name, const char *what)
{
    char path[NAME_CAP + 1];
    struct text t = text_over(path, sizeof path);
    text_put(&t, "/");
    text_put(&t, name);
    return problem_set(p, STATUS_BAD_REQUEST, t.full ? "" : path, "%s", what);
}

static void put_member(struct text *t, const char *name, const char *value)
{
    text_put(t, ",");
    text_json_string(t, name);
    text_put(t, ":");
    text_json_string(t, value);
}

static void put_list(struct text *t, const char *name, char *value)
{
    text_printf(t, ",\"%s\":[", name);
    for (char *word = value, *comma; word; word = comma ? comma + 1 : NULL) {
        comma = strchr(word, ',');
        if (comma)
            *comma = '\0';
        text_put(t, word > value ? "," : "");
        text_json_string(t, word);
    }
    text_put(t, "]");
}

static bool is_number(const char *s)
{
    size_t n = strlen(s);
    return n > 0 && n <= 18 && strspn(s, "0123456789") == n && (s[0] != '0' || n == 1);
}

static enum status put_argument(struct ask *a, const struct param *p, char *value,
                                struct problem *problem)
{
    struct text *t = p->kind == PARAM_WHERE ? &a->where : a->out;
    switch (p->kind) {
    case PARAM_INT:
        if (!is_number(value))
            return refuse(problem, p->name, "expected a whole number, from 0");
        text_printf(t, ",\"%s\":%s", p->name, value);
        break;
    case PARAM_FLAG:
        if (strcmp(value, "true") != 0 && strcmp(value, "false") != 0)
            return refuse(problem, p->name, "expected true or false");
        text_printf(t, ",\"%s\":%s", p->name, value);
        break;
    case PARAM_LIST:
        put_list(t, p->name, value);
        break;
    case PARAM_TEXT:
    case PARAM_WHERE:
        put_member(t, p->name, value);
        break;
    }
    return STATUS_OK;
}

enum status ask_begin(struct ask *a, const struct act *act, const struct route *r,
                      const char *value, struct text *out, struct problem *problem)
{
    char id[VALUE_CAP];
    *a = (struct ask){.act = act, .out = out};
    a->where = text_over(a->where_at, sizeof a->where_at);
    text_printf(out, "{\"v\":1,\"op\":\"%s\"%s", act->op, act->fixed ? act->fixed : "");
    if (!value)
        return STATUS_OK;
    char name[NAME_CAP] = "";
    const char *from = hole(r->path) + 1;
    strncat(name, from, strcspn(from, "}"));
    if (!route_unescape(id, value))
        return refuse(problem, name, "a percent sign without two hexadecimal digits, or too long");
    put_member(out, name, id);
    return STATUS_OK;
}

enum status ask_argument(struct ask *a, const char *name, const char *value,
                         struct problem *problem)
{
    char plain[VALUE_CAP];
    const struct param *p = a->act->params;
    unsigned bit = 1;
    for (; p->name && strcmp(p->name, name) != 0; p++)
        bit <<= 1;
    if (!p->name)
        return problem_set(problem, STATUS_UNKNOWN_FIELD, "",
                           "unknown argument %.40s; /v1/openapi.json names those of each path",
                           name);
    if (a->seen & bit)
        return refuse(problem, name, "given twice");
    a->seen |= bit;
    if (!value || !route_unescape(plain, value))
        return refuse(problem, name,
                      "expected a value; a percent sign is followed by two hexadecimal digits");
    return put_argument(a, p, plain, problem);
}

enum status ask_end(struct ask *a, struct problem *problem)
{
    if (a->where.len > 0)
        text_printf(a->out, ",\"where\":{%s}", a->where_at + 1); /* without its first comma */
    text_put(a->out, "}");
    if (a->out->full || a->where.full)
        return problem_set(problem, STATUS_TOO_LARGE, "", "the arguments are too long");
    return STATUS_OK;
}
