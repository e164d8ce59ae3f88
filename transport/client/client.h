/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CLIENT_H
#define PURSER_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The C client of purser, a self-optimising LLM router.
 *
 *   struct purser_client *c;
 *   struct purser_client_error e;
 *   if (purser_client_open("tcp://127.0.0.1:7601", "tcp://127.0.0.1:7602", NULL, &c, &e) != 0)
 *       ...e.message says what is wrong...
 *   struct purser_client_request q = {.tenant = "acme", .task = "summary", .prompt = text};
 *   struct purser_client_decision d;
 *   if (purser_client_route(c, &q, &d, &e) == 0)
 *       ...call model d.model, then purser_client_feedback(c, ...d.decision_id...)...
 *
 * Threads: one client may be used by any number of threads at once; each call blocks its own
 * thread only. Close it when no call is under way. Do not fork between open and close.
 * Retries: a call that fails on the way, or that the service answers with overloaded, unavailable
 * or storage_full, is repeated a bounded number of times under the same id, so it takes effect
 * once. After an attempt that timed out the next one uses a fresh connection. The old one is closed
 * when its last call has left it; with NNG before 1.7.3, where closing may hang, by a thread of its
 * own, of which a process has at most 8: beyond that connections are not replaced any more, and an
 * unresponsive one is left open by purser_client_close.
 * Needs libnng, jansson and msgpack-c; nothing else of purser, and no GPL code.
 */
#ifdef __cplusplus
extern "C" {
#endif

#define PURSER_CLIENT_API __attribute__((visibility("default")))

enum { PURSER_CLIENT_ID_CAP = 64, PURSER_CLIENT_NAME_CAP = 65, PURSER_CLIENT_FALLBACKS = 8 };

struct purser_client;

/* Zero means default. */
struct purser_client_options {
    int timeout_ms;          /* of one attempt, connecting included; default 2000 */
    int retries;             /* further attempts, default 3; -1 = none */
    const char *control_url; /* operators' address, for purser_client_call; NULL = none */
    const char *key;         /* sent with each request; NULL = none */
    const char *tls_ca;      /* PEM file that vouches for the service, for tls+tcp:// */
    const char *tls_cert;    /* PEM file with our certificate and its key; NULL = none */
    bool json;               /* route, escalate and feedback speak JSON instead of MessagePack */
};

/* Why a call failed. code is the service's error code, or one of the client's own: "timeout",
 * "connection", "bad_request", "too_large", "no_memory", "bad_reply". */
struct purser_client_error {
    char code[32];
    char message[256];
    char path[96];       /* JSON path of the field that is wrong, "" = none */
    long retry_after_ms; /* what the service advises, 0 = nothing */
    bool retryable;      /* the same request may succeed later */
};

/* What to decide on. NULL, 0: not said. Strings are borrowed during the call. */
struct purser_client_request {
    const char *request_id; /* idempotency key; NULL = one is made for this call */
    const char *tenant, *task, *domain, *user_tier, *group, *session, *user, *outcome;
    const char *prompt; /* UTF-8; features are extracted, the text is not kept */
    int64_t prompt_tokens, cached_tokens, max_output_tokens;
    double value; /* importance of quality for this request; 0 = as configured */
    const char *min_tier;
    double min_quality, max_cost_usd, max_latency_ms;
    const char *const *allow, *const *deny, *const *needs; /* NULL-terminated arrays, or NULL */
    const float *embedding;
    size_t n_embedding;
    bool batch;   /* answered at batch prices */
    bool dry_run; /* say what would be decided; nothing is recorded */
};

struct purser_client_interval {
    double mean, low, high; /* NaN: not said */
};

struct purser_client_decision {
    char decision_id[PURSER_CLIENT_ID_CAP]; /* "" for a dry run, or when not_recorded */
    char model[PURSER_CLIENT_NAME_CAP], tier[PURSER_CLIENT_NAME_CAP];
    char policy[PURSER_CLIENT_NAME_CAP], baseline[PURSER_CLIENT_NAME_CAP];
    double propensity; /* probability with which this model was drawn */
    int attempt;       /* 1, or more after an escalation */
    struct purser_client_interval quality, cost_usd, latency_ms, output_tokens;
    int n_fallbacks;
    char fallback[PURSER_CLIENT_FALLBACKS][PURSER_CLIENT_NAME_CAP]; /* best first */
    bool not_recorded; /* the service's disk is full: usable, but feedback would be refused */
};

/* Fields of a report; combine with |. */
enum purser_client_has {
    PURSER_CLIENT_QUALITY = 1,
    PURSER_CLIENT_PROMPT_TOKENS = 2,
    PURSER_CLIENT_CACHED_TOKENS = 4,
    PURSER_CLIENT_OUTPUT_TOKENS = 8,
    PURSER_CLIENT_COST = 16,
    PURSER_CLIENT_LATENCY = 32,
    PURSER_CLIENT_FAILED = 64,
    PURSER_CLIENT_REASONING_TOKENS = 128
};

struct purser_client_report {
    const char *decision_id; /* needed */
    const char *feedback_id; /* NULL: identified by its content */
    const char *source;      /* who says so; NULL = "default" */
    unsigned has;            /* which of the following are said: enum purser_client_has */
    double quality;          /* 0..1 */
    int64_t prompt_tokens, cached_tokens, output_tokens, reasoning_tokens;
    double cost_usd, latency_ms;
    bool failed;
    bool retract;    /* take back what this source said */
    int64_t version; /* the highest wins; 0 = order of arrival */
};

/* Functions return 0, or -1 with *error filled (error may be NULL). Outputs are written on 0 only.
 */
/* purser_client_open connects in the background: a service that is not up yet is waited for by the
 * calls. feedback_url may be NULL for clients that only route; options may be NULL. */
PURSER_CLIENT_API int purser_client_open(const char *route_url, const char *feedback_url,
                                         const struct purser_client_options *options,
                                         struct purser_client **out,
                                         struct purser_client_error *error);
PURSER_CLIENT_API void purser_client_close(struct purser_client *c);

/* purser_client_route asks for a decision. It is on the service's disk when this returns. */
PURSER_CLIENT_API int purser_client_route(struct purser_client *c,
                                          const struct purser_client_request *request,
                                          struct purser_client_decision *out,
                                          struct purser_client_error *error);
/* purser_client_escalate asks again, on a higher tier, for a request whose answer was found
 * wanting: the same request, without a request_id or with a new one. The decision that it came from
 * is labelled as wanting. "no_eligible_model" when nothing stands above, "conflict" when it was
 * escalated before, "unknown_decision" when it is not known, too old or another tenant's. */
PURSER_CLIENT_API int purser_client_escalate(struct purser_client *c, const char *decision_id,
                                             const struct purser_client_request *request,
                                             struct purser_client_decision *out,
                                             struct purser_client_error *error);
/* purser_client_feedback reports on a decision; 0 means it is on the service's disk. status (may be
 * NULL) gets "applied", "amended", "retracted", "superseded", "duplicate" or "late". */
PURSER_CLIENT_API int purser_client_feedback(struct purser_client *c,
                                             const struct purser_client_report *report,
                                             char status[16], struct purser_client_error *error);

/* purser_client_call sends one JSON message as it is, always as JSON (a missing request_id is added
 * to route and escalate requests, also within route_many) and gives the reply, to be freed with
 * purser_client_free. An error that the service reports counts as failure; *reply is then NULL. */
enum purser_client_door { PURSER_CLIENT_ROUTE, PURSER_CLIENT_FEEDBACK, PURSER_CLIENT_CONTROL };
PURSER_CLIENT_API int purser_client_call(struct purser_client *c, enum purser_client_door door,
                                         const char *json, char **reply,
                                         struct purser_client_error *error);
PURSER_CLIENT_API void purser_client_free(char *reply);

#ifdef __cplusplus
}
#endif

#endif
