/* SPDX-License-Identifier: MIT */
/*
 * The op spend.get: the rollups grouped as asked. Reading them may take a while, so it is done in
 * libuv's thread pool over one read transaction, whose sums are exactly those of the log up to the
 * `seq` of the answer; what it needs of the engine, the names of the models, is copied before.
 * Considered: pages. Their sums would be of several moments. So an answer has a bound instead, and
 * whoever needs more asks for less time at once.
 */
#include "transport/control/control_spend.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/meter/meter.h"
#include "core/router/rules.h"
#include "store/rollup.h"
#include "transport/control/control_inside.h"
#include "transport/control/control_savings.h"

enum dimension {
    BY_TENANT,
    BY_USER,
    BY_MODEL,
    BY_TASK,
    BY_DOMAIN,
    BY_GROUP,
    BY_CLUSTER,
    BY_BAND,
    BY_TIER,
    BYS
};
static const char *const by_name[BYS] = {"tenant", "user",    "model",      "task", "domain",
                                         "group",  "cluster", "complexity", "tier"};
static const char *const band_name[BANDS] = {"0-0.25", "0.25-0.5", "0.5-0.75", "0.75-1"};
enum { ROW_BYTES = 2048, DAY_HOURS = 24 };
static const double z95 = 1.959964; /* of the normal distribution, two-sided */

struct spend_job {
    uv_work_t work;
    struct control *control;
    struct slot *slot;
    struct {
        uint32_t from, to; /* hours */
        unsigned by;       /* bits of enum dimension */
        uint32_t bucket;   /* hours: 1, 24, 0 = all in one */
        unsigned where;    /* bits of the dimensions that must be as in match */
        char match[BYS][NAME_CAP];
    } query;
    int n_models;
    char model[MODELS_MAX][NAME_CAP], tier[MODELS_MAX][NAME_CAP];
    uint8_t like[MODELS_MAX]; /* the first model of the same tier */
    int baseline;             /* that savings are told against now */
    struct savings savings;
    struct meter groups;
    struct meter_sums total;
    struct rollup_state state;
    bool too_many;
    enum status status;
    struct problem problem;
};

/* ---- in the pool ---- */

/* A dimension of a key as text; "" = not known. */
static const char *shown_value(const struct spend_job *j, const struct meter_key *k, int by,
                               char number[16])
{
    bool other = strcmp(k->tenant, METER_OTHER) == 0;
    switch ((enum dimension)by) {
    case BY_TENANT:
        return k->tenant;
    case BY_USER:
        return other ? METER_OTHER : k->user;
    case BY_MODEL:
        return k->arm < j->n_models ? j->model[k->arm] : "";
    case BY_TASK:
        return other ? METER_OTHER : k->task;
    case BY_DOMAIN:
        return other ? METER_OTHER : k->domain;
    case BY_GROUP:
        return other ? METER_OTHER : k->group;
    case BY_CLUSTER:
        snprintf(number, 16, "%d", k->cluster);
        return other ? METER_OTHER : k->cluster == CLUSTER_NONE ? "" : number;
    case BY_BAND:
        return other ? METER_OTHER : k->band < BANDS ? band_name[k->band] : "";
    case BY_TIER:
        return k->arm < j->n_models ? j->tier[k->arm] : "";
    case BYS:
        break;
    }
    return "";
}

static bool matches(const struct spend_job *j, const struct meter_key *k, unsigned but)
{
    char number[16];
    for (int by = 0; by < BYS; by++)
        if ((j->query.where & ~but) >> by & 1 &&
            strcmp(shown_value(j, k, by, number), j->query.match[by]) != 0)
            return false;
    return true;
}

/* Leaves of a key what the rows are to be told apart by. */
static void reduce(const struct spend_job *j, struct meter_key *k)
{
    bool other = strcmp(k->tenant, METER_OTHER) == 0;
    unsigned by = j->query.by;
    k->hour = j->query.bucket > 0 ? k->hour - k->hour % j->query.bucket : 0;
    char *const names[] = {k->user, k->task, k->domain, k->group};
    static const enum dimension dimension[] = {BY_USER, BY_TASK, BY_DOMAIN, BY_GROUP};
    for (int i = 0; i < 4; i++)
        if (!(by >> dimension[i] & 1))
            names[i][0] = '\0';
        else if (other)
            strcpy(names[i], METER_OTHER);
    if (!(by >> BY_TENANT & 1) &&
        !(other && (by >> BY_CLUSTER & 1 || by >> BY_BAND & 1))) /* keep apart from unknown */
        k->tenant[0] = '\0';
    if (!(by >> BY_MODEL & 1)) {
        if (!(by >> BY_TIER & 1))
            k->arm = 0;
        else if (k->arm < j->n_models)
            k->arm = j->like[k->arm];
    }
    if (!(by >> BY_CLUSTER & 1))
        k->cluster = CLUSTER_NONE;
    if (!(by >> BY_BAND & 1))
        k->band = BAND_NONE;
}

static bool on_row(void *ctx, const struct meter_key *key, int hours, const struct meter_sums *sums)
{
    struct spend_job *j = ctx;
    struct meter_key k = *key;
    uint8_t bytes[METER_KEY_MAX];
    (void)hours;
    if (key->arm == j->baseline && matches(j, key, 1u << BY_MODEL | 1u << BY_TIER))
        savings_take(&j->savings, sums);
    if (!matches(j, key, 0))
        return true;
    reduce(j, &k);
    size_t n = meter_key_put(&k, bytes);
    meter_sums_add(&j->total, sums);
    if (!meter_add(&j->groups, bytes, n, sums, 0))
        j->status = problem_set(&j->problem, STATUS_UNAVAILABLE, "", "no memory for the answer");
    j->too_many = j->groups.n > SPEND_ROWS_MAX;
    return j->status == STATUS_OK && !j->too_many;
}

/* What a dollar bought, a sum in units of 1/per of what has a label; what has none is taken to be
 * as good as what has. */
static void put_per_usd(struct text *t, const char *name, const struct meter_sums *s, int field,
                        double per)
{
    double labels = (double)s->v[METER_LABELS], usd = (double)s->v[METER_COST] * 1e-9;
    text_printf(t, ",\"%s\":", name);
    if (labels > 0 && usd > 0)
        text_json_number(
            t, (double)s->v[field] / per * ((double)s->v[METER_REQUESTS] / labels) / usd, 9);
    else
        text_put(t, "null");
}

/* The mean quality with Wilson's interval (JASA 22, 1927, eq. 3). A label in [0,1] has no larger
 * variance than a coin of the same mean, so the interval is not too narrow for graded labels
 * either. It speaks of labelled requests; whether those are like the others is for who reads it. */
static void put_quality(struct text *t, const struct meter_sums *s)
{
    double n = (double)s->v[METER_LABELS], mean = (double)s->v[METER_QUALITY] * 1e-9 / n;
    if (!(n > 0)) {
        text_put(t, ",\"quality_mean\":null,\"quality_low\":null,\"quality_high\":null");
        return;
    }
    double shrink = 1 / (1 + z95 * z95 / n), middle = (mean + z95 * z95 / (2 * n)) * shrink;
    double spread = fmax(mean * (1 - mean), 0) / n + z95 * z95 / (4 * n * n);
    double half = z95 * sqrt(spread) * shrink;
    text_put(t, ",\"quality_mean\":");
    text_json_number(t, mean, 9);
    text_put(t, ",\"quality_low\":");
    text_json_number(t, fmax(middle - half, 0), 9);
    text_put(t, ",\"quality_high\":");
    text_json_number(t, fmin(middle + half, 1), 9);
}

static void put_sums(struct text *t, const struct meter_sums *s)
{
    for (int f = 0; f < METER_FIELDS; f++)
        text_printf(t, "%s\"%s\":%" PRId64, f ? "," : "", meter_field_name(f), s->v[f]);
    put_per_usd(t, "quality_per_usd", s, METER_QUALITY, 1e9);
    put_per_usd(t, "value_per_usd", s, METER_VALUE, 1e6);
    put_quality(t, s);
}

static void put_row(struct text *t, const struct spend_job *j, const struct meter_key *k,
                    const struct meter_sums *s)
{
    char number[16];
    text_put(t, "{");
    if (j->query.bucket > 0)
        text_printf(t, "\"bucket_ms\":%" PRId64 ",", (int64_t)k->hour * HOUR_MS);
    for (int by = 0; by < BYS; by++) {
        if (!(j->query.by >> by & 1))
            continue;
        text_printf(t, "\"%s\":", by_name[by]);
        text_json_string(t, shown_value(j, k, by, number));
        text_put(t, ",");
    }
    put_sums(t, s);
    text_put(t, "}");
}

static int by_key(const void *a, const void *b, void *ctx)
{
    const struct spend_job *j = ctx;
    const struct meter_entry *x = a, *y = b;
    size_t n = x->key_len < y->key_len ? x->key_len : y->key_len;
    int c = memcmp(j->groups.keys + x->key_at, j->groups.keys + y->key_at, n);
    return c != 0 ? c : x->key_len - y->key_len;
}

static void render(struct spend_job *j)
{
    struct outbuf *o = slot_out(j->slot);
    struct meter_key k;
    bool room = outbuf_reserve(o, OUTBUF_ITEM);
    if (room)
        text_printf(
            &o->text,
            "{\"v\":1,\"seq\":%" PRIu64 ",\"since\":%" PRIu64 ",\"from_ms\":%" PRId64
            ",\"to_ms\":%" PRId64 ",\"hours_from_ms\":%" PRId64 ",\"other\":%" PRId64 ",\"rows\":[",
            j->state.seq, j->state.since, (int64_t)j->query.from * HOUR_MS,
            (int64_t)j->query.to * HOUR_MS, (int64_t)j->state.folded * HOUR_MS, j->state.other);
    if (j->groups.n > 0)
        qsort_r(j->groups.entry, j->groups.n, sizeof *j->groups.entry, by_key, j);
    for (size_t i = 0; room && i < j->groups.n; i++) {
        const struct meter_entry *e = &j->groups.entry[i];
        room = outbuf_reserve(o, ROW_BYTES) &&
               meter_key_get(j->groups.keys + e->key_at, e->key_len, &k);
        if (!room)
            break;
        text_put(&o->text, i > 0 ? "," : "");
        put_row(&o->text, j, &k, &e->sums);
    }
    if (room && outbuf_reserve(o, OUTBUF_ITEM)) {
        text_put(&o->text, "],\"total\":{");
        put_sums(&o->text, &j->total);
        text_put(&o->text, "},");
        savings_put(&o->text, &j->savings, j->model[j->baseline], &j->total);
        text_put(&o->text, "}");
    } else {
        j->status = problem_set(&j->problem, STATUS_UNAVAILABLE, "", "no memory for the answer");
    }
}

/* Pool thread. Touches the job, the slot's reply and, by a read transaction, the open store. */
static void work(uv_work_t *w)
{
    struct spend_job *j = w->data;
    enum status s = rollup_scan(j->control->desk->db, j->query.from, j->query.to, on_row, j,
                                &j->state, &j->problem);
    if (j->status == STATUS_OK)
        j->status = s;
    if (j->status == STATUS_OK && j->too_many)
        j->status = problem_set(&j->problem, STATUS_TOO_LARGE, "/by",
                                "more than %d rows: ask for fewer dimensions in by, longer "
                                "buckets, less time between from and to, or a where",
                                SPEND_ROWS_MAX);
    if (j->status == STATUS_OK)
        render(j);
}

/* ---- on the loop ---- */

static void job_free(struct spend_job *j)
{
    meter_fini(&j->groups);
    free(j);
}

static void done(uv_work_t *w, int cancelled)
{
    struct spend_job *j = w->data;
    j->control->queries--;
    control_over(j->control, j->slot, cancelled != 0, j->status, &j->problem);
    job_free(j);
}

static int find_by(const char *name)
{
    int by = 0;
    while (by < BYS && (!name || strcmp(name, by_name[by]) != 0))
        by++;
    return by;
}

static enum status unknown_by(struct problem *p, const char *path)
{
    return problem_set(
        p, STATUS_BAD_REQUEST, path,
        "expected names of tenant, user, model, task, domain, group, cluster, complexity, tier");
}

static enum status read_by(struct spend_job *j, const json_t *by, struct problem *p)
{
    if (by && !json_is_array(by))
        return unknown_by(p, "/by");
    for (size_t i = 0; i < json_array_size(by); i++) {
        int k = find_by(json_string_value(json_array_get(by, i)));
        if (k == BYS)
            return unknown_by(p, "/by");
        j->query.by |= 1u << k;
    }
    return STATUS_OK;
}

static enum status read_where(struct spend_job *j, const json_t *where, struct problem *p)
{
    if (where && !json_is_object(where))
        return unknown_by(p, "/where");
    /* jansson's iterators take no const, though nothing is changed. */
    json_t *doc = (json_t *)(uintptr_t)where;
    for (void *i = json_object_iter(doc); i; i = json_object_iter_next(doc, i)) {
        int k = find_by(json_object_iter_key(i));
        const char *value = json_string_value(json_object_iter_value(i));
        if (k == BYS)
            return unknown_by(p, "/where");
        if (!value || strlen(value) > NAME_LEN)
            return problem_set(p, STATUS_BAD_REQUEST, "/where",
                               "%s: expected a text of 0 to %d "
                               "bytes; \"\" = not known",
                               by_name[k], NAME_LEN);
        j->query.where |= 1u << k;
        strcpy(j->query.match[k], value);
    }
    return STATUS_OK;
}

/* Reads a time in milliseconds as hours; what is not there stays. */
static bool read_hour(const json_t *v, int64_t round_up, uint32_t *out)
{
    static const int64_t most = INT64_C(4000000000) * HOUR_MS;
    if (!v)
        return true;
    if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > most)
        return false;
    *out = (uint32_t)((json_integer_value(v) + round_up) / HOUR_MS);
    return true;
}

static enum status read_query(struct spend_job *j, const json_t *root, struct problem *p)
{
    const json_t *bucket = json_object_get(root, "bucket");
    const char *name = bucket ? json_string_value(bucket) : "all";
    j->query.to = UINT32_MAX;
    if (!read_hour(json_object_get(root, "from"), 0, &j->query.from) ||
        !read_hour(json_object_get(root, "to"), HOUR_MS - 1, &j->query.to))
        return problem_set(p, STATUS_BAD_REQUEST, "/from",
                           "from and to are Unix milliseconds; whole hours are counted, the one of "
                           "from and up to, not with, the one that begins at to");
    if (!name ||
        (strcmp(name, "hour") != 0 && strcmp(name, "day") != 0 && strcmp(name, "all") != 0))
        return problem_set(p, STATUS_BAD_REQUEST, "/bucket", "expected hour, day or all");
    j->query.bucket = name[0] == 'h' ? 1 : name[0] == 'd' ? DAY_HOURS : 0;
    enum status s = read_by(j, json_object_get(root, "by"), p);
    return s == STATUS_OK ? read_where(j, json_object_get(root, "where"), p) : s;
}

static void copy_model(struct spend_job *j, const struct catalog *k, int i)
{
    memcpy(j->model[i], k->model[i].name, NAME_CAP);
    memcpy(j->tier[i], k->tier[k->model[i].tier], NAME_CAP);
    while (k->model[j->like[i]].tier != k->model[i].tier)
        j->like[i]++;
}

enum status control_spend(struct control *c, struct slot *slot, const json_t *root,
                          struct problem *p)
{
    const struct catalog *k = &router_params(c->desk->router)->catalog;
    if (c->queries >= SPEND_JOBS)
        return problem_set(p, STATUS_OVERLOADED, "", "%d such questions are being answered: retry",
                           SPEND_JOBS);
    struct spend_job *j = calloc(1, sizeof *j);
    if (!j)
        return problem_set(p, STATUS_UNAVAILABLE, "", "no memory to add up");
    j->work.data = j;
    j->control = c;
    j->slot = slot;
    j->n_models = k->n;
    for (int i = 0; i < k->n; i++)
        copy_model(j, k, i);
    const char *baseline = router_params(c->desk->router)->baseline;
    j->baseline = baseline[0] ? catalog_find(k, baseline) : rules_extreme(k, true);
    j->baseline = j->baseline >= 0 ? j->baseline : 0;
    enum status s = read_query(j, root, p);
    if (s == STATUS_OK && uv_queue_work(c->loop, &j->work, work, done) != 0)
        s = problem_set(p, STATUS_UNAVAILABLE, "", "no thread to add up");
    if (s != STATUS_OK) {
        job_free(j);
        return s;
    }
    c->jobs++;
    c->queries++;
    return STATUS_OK;
}
