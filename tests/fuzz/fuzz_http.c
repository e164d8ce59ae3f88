/* SPDX-License-Identifier: MIT */
/*
 * Paths and arguments of HTTP, as they come: "/path?name=value&name=value". What is taken becomes
 * one JSON message of the op of the path; what is not says why. (What lies before, the protocol
 * itself, is libmicrohttpd's; raw sockets: tests/http/abuse.py.)
 */
#include "tests/fuzz/fuzz.h"

#include <jansson.h>
#include <string.h>
#include "core/wire/wire.h"
#include "transport/http/routes.h"

size_t fuzz_seed(int i, uint8_t *out, size_t cap)
{
    static const char *const texts[] = {
        "/v1/spend?from=1&to=2&by=tenant,model&bucket=hour&tenant=acme&task=a%20b",
        "/v1/decisions/6553f100-3-852750bcd7e91e11",
        "/v1/status?digest=true",
        "/v1/pools?pool=all&from=0&limit=10",
        "/v1/usage?tenant=%C3%BC&group=x+y",
        "/v1/fairness?bucket=day&domain=legal",
        "/v1/weights",
        "/v1/log?from=1&to=9&limit=3",
        "/v1/spend?tenant=a&tenant=b&by=&from=-1&to=99999999999999999999",
        NULL};
    return fuzz_text(texts, i, out, cap);
}

/* Reads the arguments and gives whether the whole was taken. */
static bool compose(struct ask *a, char *query, struct problem *p)
{
    enum status s = STATUS_OK;
    for (char *rest = query, *item; s == STATUS_OK && (item = strsep(&rest, "&")) != NULL;) {
        char *value = strchr(item, '=');
        if (value)
            *value++ = '\0';
        if (*item)
            s = ask_argument(a, item, value, p);
    }
    return s == STATUS_OK && ask_end(a, p) == STATUS_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static struct ask a;
    static char path[4096], out[ASK_BYTES];
    struct problem p = {0};
    const char *value;
    if (n >= sizeof path)
        n = sizeof path - 1;
    memcpy(path, bytes, n);
    path[n] = '\0';
    char *query = strchr(path, '?');
    if (query)
        *query++ = '\0';
    const struct route *r = route_find(path, false, &value);
    const struct act *act = r ? route_act(r, "GET") : NULL;
    if (!act || act->serve != SERVE_ASK)
        return 0;
    struct text t = text_over(out, sizeof out);
    if (ask_begin(&a, act, r, value, &t, &p) != STATUS_OK || !compose(&a, query, &p)) {
        PROMISE(p.code != STATUS_OK && p.text[0] != '\0');
        return 0;
    }
    PROMISE(!t.full);
    json_t *message = json_loadb(t.at, t.len, JSON_REJECT_DUPLICATES, NULL);
    if (!message) { /* bytes of the path that are no text are refused with the message */
        struct message m;
        PROMISE(wire_open(&m, t.at, t.len, &p) != STATUS_OK && p.text[0] != '\0');
        return 0;
    }
    PROMISE(strcmp(json_string_value(json_object_get(message, "op")), act->op) == 0);
    json_decref(message);
    return 0;
}
