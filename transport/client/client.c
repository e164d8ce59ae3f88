/* SPDX-License-Identifier: MIT */
/*
 * The client library: one REQ socket per address, one context per call. Includes nothing of purser
 * but the client's own headers, so that it can be copied into a program or linked from a package.
 * Invariant: an attempt is either answered, or is known to have failed, or its time is up; only
 * then the next one starts, with the same bytes and thus the same id. REQ's own resend is off: it
 * repeats at once when a connection breaks, without bound and without jitter. Considered:
 * asynchronous calls. Whoever needs them has an event loop of its own and the wire format is one
 * message each way; this is for the many who want one blocking call.
 */
#include "transport/client/client.h"

#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <nng/nng.h>
#include <nng/protocol/reqrep0/req.h>
#include "transport/client/client_json.h"
#include "transport/client/client_line.h"
#include "transport/client/client_pack.h"

enum {
    DEFAULT_TIMEOUT_MS = 2000,
    DEFAULT_RETRIES = 3,
    BACKOFF_FIRST_MS = 50,
    BACKOFF_MOST_MS = 2000,
    SINGLE_MAX = 1024 * 1024,
    BATCH_MAX = 8 * 1024 * 1024
};

static bool copy_text(char **to, const char *from)
{
    return !from || (*to = strdup(from)) != NULL;
}

int purser_client_open(const char *route_url, const char *feedback_url,
                       const struct purser_client_options *options, struct purser_client **out,
                       struct purser_client_error *error)
{
    static const struct purser_client_options none;
    const struct purser_client_options *o = options ? options : &none;
    const char *urls[DOORS] = {route_url, feedback_url, o->control_url};
    struct purser_client *c = calloc(1, sizeof *c);
    if (!c || pthread_mutex_init(&c->lock, NULL) != 0) {
        free(c);
        return client_fail(error, "no_memory", true, "no memory for a client");
    }
    c->timeout_ms = o->timeout_ms > 0 ? o->timeout_ms : DEFAULT_TIMEOUT_MS;
    c->retries = o->retries == 0 ? DEFAULT_RETRIES : o->retries < 0 ? 0 : o->retries;
    c->json = o->json;
    bool copied = copy_text(&c->key, o->key) && copy_text(&c->tls_ca, o->tls_ca) &&
                  copy_text(&c->tls_cert, o->tls_cert);
    for (int i = 0; i < DOORS; i++)
        copied = copied && copy_text(&c->url[i], urls[i]);
    if (!copied)
        client_fail(error, "no_memory", true, "no memory for a client");
    for (int i = 0; i < DOORS && copied; i++)
        copied = !c->url[i] || (c->door[i] = client_line_open(c, c->url[i], error)) != NULL;
    if (!copied) {
        purser_client_close(c);
        return -1;
    }
    *out = c;
    return 0;
}

void purser_client_close(struct purser_client *c)
{
    if (!c)
        return;
    for (int i = 0; i < DOORS; i++) {
        if (c->door[i])
            client_line_close(c->door[i]);
        free(c->url[i]);
    }
    pthread_mutex_destroy(&c->lock);
    free(c->key);
    free(c->tls_ca);
    free(c->tls_cert);
    free(c);
}

void purser_client_free(char *reply)
{
    free(reply);
}

static void random_id(char id[33])
{
    unsigned char b[16];
    if (getrandom(b, sizeof b, 0) != sizeof b) {
        struct timespec t; /* before the kernel's pool is ready: unique is enough */
        clock_gettime(CLOCK_REALTIME, &t);
        memcpy(b, &t, sizeof b);
    }
    for (int i = 0; i < 16; i++)
        snprintf(id + 2 * i, 3, "%02x", b[i]);
}

static int64_t mono_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* A message to send. */
struct letter {
    char *bytes; /* NULL: could not be made */
    size_t n;
    bool batch;
};

/* One attempt within timeout_ms. Gives the reply message, or an NNG error. */
static int attempt(const struct purser_client *c, const struct line *line, const struct letter *l,
                   nng_msg **reply)
{
    nng_ctx ctx = NNG_CTX_INITIALIZER;
    nng_aio *aio = NULL;
    nng_msg *msg = NULL;
    int64_t deadline = mono_ms() + c->timeout_ms;
    int e;
    if ((e = nng_ctx_open(&ctx, line->socket)) != 0 ||
        (e = nng_ctx_set_ms(ctx, NNG_OPT_REQ_RESENDTIME, -1)) != 0 ||
        (e = nng_aio_alloc(&aio, NULL, NULL)) != 0 || (e = nng_msg_alloc(&msg, 0)) != 0 ||
        (e = nng_msg_append(msg, l->bytes, l->n)) != 0)
        goto out;
    nng_aio_set_timeout(aio, c->timeout_ms);
    nng_aio_set_msg(aio, msg);
    nng_ctx_send(ctx, aio);
    nng_aio_wait(aio);
    if ((e = nng_aio_result(aio)) != 0)
        goto out;
    msg = NULL; /* NNG has it */
    int64_t left = deadline - mono_ms();
    nng_aio_set_timeout(aio, left > 1 ? (nng_duration)left : 1);
    nng_ctx_recv(ctx, aio);
    nng_aio_wait(aio);
    if ((e = nng_aio_result(aio)) == 0)
        *reply = nng_aio_get_msg(aio);
out:
    if (msg)
        nng_msg_free(msg);
    if (nng_ctx_id(ctx) > 0)
        nng_ctx_close(ctx);
    if (aio)
        nng_aio_free(aio);
    return e;
}

/* Reads {"error":{...}} of a reply into e; false when it holds none. */
static bool reply_error_of(const json_t *root, struct purser_client_error *e)
{
    static const char *const later[] = {"budget_exhausted", "throttled", "overloaded",
                                        "storage_full", "unavailable"};
    const json_t *err = json_object_get(root, "error");
    if (!err)
        return false;
    const char *code = json_string_value(json_object_get(err, "code")),
               *message = json_string_value(json_object_get(err, "message")),
               *path = json_string_value(json_object_get(err, "path"));
    client_fail(e, code ? code : "bad_reply", false, "%s", message ? message : "");
    snprintf(e->path, sizeof e->path, "%s", path ? path : "");
    e->retry_after_ms = (long)json_integer_value(json_object_get(err, "retry_after_ms"));
    for (size_t i = 0; i < sizeof later / sizeof later[0]; i++)
        e->retryable |= strcmp(e->code, later[i]) == 0;
    return true;
}

/* Whether to try again at once: the service is in trouble, not the request. */
static bool worth_retrying(const struct purser_client_error *e)
{
    static const char *const codes[] = {"timeout", "connection", "overloaded", "storage_full",
                                        "unavailable"};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (strcmp(e->code, codes[i]) == 0)
            return true;
    return false;
}

/* Full jitter: somewhere in [half, whole) of a doubling delay, so that clients do not march in
 * step. */
static void back_off(int attempts, long advised_ms)
{
    unsigned r = 0;
    long ms = BACKOFF_FIRST_MS << (attempts < 6 ? attempts : 6);
    if (getrandom(&r, sizeof r, 0) != sizeof r)
        r = (unsigned)mono_ms();
    ms = ms > BACKOFF_MOST_MS ? BACKOFF_MOST_MS : ms;
    ms = ms / 2 + (long)(r % (unsigned)(ms / 2 + 1));
    if (advised_ms > ms)
        ms = advised_ms < BACKOFF_MOST_MS ? advised_ms : BACKOFF_MOST_MS;
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

/* The service answers in the encoding of the request, but for what never got as far. */
static json_t *parse(const char *bytes, size_t n)
{
    bool packed = n > 0 && (unsigned char)bytes[0] >= 0x80;
    return packed ? client_unpack(bytes, n) : json_loadb(bytes, n, 0, NULL);
}

/* One attempt, judged. Gives the parsed reply, and its bytes if they are wanted; NULL with e
 * filled. */
static json_t *ask(struct purser_client *c, enum purser_client_door door, const struct letter *l,
                   char **bytes, struct purser_client_error *e)
{
    nng_msg *msg = NULL;
    struct line *line = client_line_take(c, door);
    int r = attempt(c, line, l, &msg);
    client_line_give(c, door, line, r == NNG_ETIMEDOUT);
    if (r == NNG_ETIMEDOUT)
        client_fail(e, "timeout", true, "no answer within %d ms: is purserd up at this address?",
                    c->timeout_ms);
    else if (r != 0)
        client_fail(e, r == NNG_ENOMEM ? "no_memory" : "connection", true, "%s", nng_strerror(r));
    if (r != 0)
        return NULL;
    json_t *root = parse(nng_msg_body(msg), nng_msg_len(msg));
    char *copy = root && bytes ? strndup(nng_msg_body(msg), nng_msg_len(msg)) : NULL;
    nng_msg_free(msg);
    bool readable = root && (copy || !bytes);
    if (!readable)
        client_fail(e, "bad_reply", false,
                    "the answer cannot be read: does this address belong to purserd?");
    if (readable && !reply_error_of(root, e)) {
        if (bytes)
            *bytes = copy;
        return root;
    }
    json_decref(root);
    free(copy);
    return NULL;
}

/* Sends l (taken) with retries. Gives the parsed reply, and its bytes if they are wanted; NULL with
 * *error filled. */
static json_t *exchange(struct purser_client *c, enum purser_client_door door, struct letter l,
                        char **bytes, struct purser_client_error *error)
{
    struct purser_client_error e = {{0}, {0}, {0}, 0, false};
    const size_t most = l.batch ? BATCH_MAX : SINGLE_MAX;
    json_t *root = NULL;
    if (!l.bytes)
        client_fail(&e, "no_memory", true, "no memory for the message");
    else if (!c->url[door])
        client_fail(&e, "bad_request", false,
                    "this client was opened without an address for this call");
    else if (l.n > most)
        client_fail(&e, "too_large", false, "the message has %zu bytes, %zu are allowed", l.n,
                    most);
    else
        for (int i = 0;; i++) {
            root = ask(c, door, &l, bytes, &e);
            if (root || i >= c->retries || !worth_retrying(&e))
                break;
            back_off(i, e.retry_after_ms);
        }
    free(l.bytes);
    if (!root && error)
        *error = e;
    return root;
}

static void add_id(json_t *route)
{
    char id[33];
    if (json_object_get(route, "request_id"))
        return;
    random_id(id);
    json_object_set_new(route, "request_id", json_string(id));
}

/* Adds ids and key where they are missing. Gives whether it is a batch. */
static bool complete(const struct purser_client *c, json_t *root)
{
    const char *op = json_string_value(json_object_get(root, "op"));
    bool batch = op && (strcmp(op, "route_many") == 0 || strcmp(op, "feedback_many") == 0 ||
                        strcmp(op, "teach") == 0);
    if (op && (strcmp(op, "route") == 0 || strcmp(op, "escalate") == 0))
        add_id(root);
    if (op && strcmp(op, "route_many") == 0) {
        size_t i;
        json_t *item;
        json_array_foreach(json_object_get(root, "items"), i, item) if (json_is_object(item))
            add_id(item);
    }
    if (c->key && !json_object_get(root, "key"))
        json_object_set_new(root, "key", json_string(c->key));
    return batch;
}

static struct letter write_json(const json_t *root, bool batch)
{
    char *text = json_dumps(root, JSON_COMPACT | JSON_REAL_PRECISION(17));
    return (struct letter){text, text ? strlen(text) : 0, batch};
}

int purser_client_call(struct purser_client *c, enum purser_client_door door, const char *json,
                       char **reply, struct purser_client_error *error)
{
    json_error_t where;
    json_t *root = json_loads(json, JSON_REJECT_DUPLICATES, &where);
    *reply = NULL;
    if (!json_is_object(root)) {
        json_decref(root);
        return client_fail(error, "bad_request", false, "not a JSON object: line %d: %s",
                           where.line, where.text);
    }
    bool batch = complete(c, root);
    struct letter l = write_json(root, batch);
    json_decref(root);
    root = exchange(c, door, l, reply, error);
    if (!root)
        return -1;
    json_decref(root);
    return 0;
}

/* Sends a built message (taken), with the embedding of q (may be NULL); gives the parsed reply. */
static json_t *send_built(struct purser_client *c, enum purser_client_door door, json_t *o,
                          const struct purser_client_request *q, struct purser_client_error *error)
{
    struct letter l = {.batch = complete(c, o)};
    if (c->json && q)
        client_embedding_json(o, q);
    if (c->json)
        l = write_json(o, l.batch);
    else
        l.bytes = client_pack(o, q ? q->embedding : NULL, q ? q->n_embedding : 0, &l.n);
    json_decref(o);
    return exchange(c, door, l, NULL, error);
}

int purser_client_route(struct purser_client *c, const struct purser_client_request *request,
                        struct purser_client_decision *out, struct purser_client_error *error)
{
    return purser_client_escalate(c, NULL, request, out, error);
}

int purser_client_escalate(struct purser_client *c, const char *decision_id,
                           const struct purser_client_request *request,
                           struct purser_client_decision *out, struct purser_client_error *error)
{
    json_t *o = client_request_json(request, decision_id);
    if (!o)
        return client_fail(error, "bad_request", false, "the prompt is not valid UTF-8");
    json_t *root = send_built(c, PURSER_CLIENT_ROUTE, o, request, error);
    if (!root)
        return -1;
    client_decision_read(root, out);
    json_decref(root);
    return 0;
}

int purser_client_feedback(struct purser_client *c, const struct purser_client_report *report,
                           char status[16], struct purser_client_error *error)
{
    json_t *root = send_built(c, PURSER_CLIENT_FEEDBACK, client_report_json(report), NULL, error);
    if (!root)
        return -1;
    if (status)
        client_copy(status, 16, root, "status");
    json_decref(root);
    return 0;
}
