/* SPDX-License-Identifier: MIT */
/*
 * The bytes of the log. A record is a header, [u32 crc32c of what follows][u8 version][u8 kind]
 * [u16 0][u64 seq][i64 time], and the fields of its kind in the order of the struct, numbers of
 * fixed width, strings with a length byte. One record = one byte string: decode refuses what encode
 * would not have written (a wrong checksum, a byte too many, a slot outside the catalog), and
 * encode asserts the same ranges, so that nothing enters a log that the next start would refuse.
 * The decoder never trusts a count before comparing it with its array.
 * Rejected: JSON or CBOR records (3-5 times the bytes and of the time, for records nobody edits);
 * fields by tag (a new version number is as good while one program writes and reads them).
 */
#include "core/event/event.h"

#include <assert.h>
#include <string.h>
#include "core/event/bytes.h"
#include "core/event/decided_codec.h"
#include "core/event/event_valid.h"
#include "core/event/hull_codec.h"
#include "core/event/row.h"
#include "core/router/book.h"

enum { EVENT_VERSION = 1, CRC_LEN = 4 };

/* ---- feedback */

static void message_put(struct filler *w, const struct feedback *f)
{
    put_u32(w, f->epoch);
    put_u64(w, f->seq);
    put_u64(w, f->mac);
    put_str(w, f->feedback_id);
    put_str(w, f->source);
    put_u64(w, f->digest);
    put_u8(w, (uint8_t)f->has);
    put_bool(w, f->retract);
    put_bool(w, f->failed);
    put_i64(w, f->version);
    put_i64(w, f->attempt);
    put_f64(w, f->quality);
    put_i64(w, f->prompt_tokens);
    put_i64(w, f->cached_tokens);
    put_i64(w, f->output_tokens);
    put_i64(w, f->reasoning_tokens);
    put_i64(w, f->cost_nano);
    put_f64(w, f->latency_ms);
}

static void message_get(struct reader *r, struct feedback *f)
{
    f->epoch = get_u32(r);
    f->seq = get_u64(r);
    f->mac = get_u64(r);
    get_str(r, f->feedback_id, sizeof f->feedback_id);
    get_str(r, f->source, sizeof f->source);
    f->digest = get_u64(r);
    f->has = get_u8(r);
    f->retract = get_bool(r);
    f->failed = get_bool(r);
    f->version = get_i64(r);
    f->attempt = get_i64(r);
    f->quality = get_f64(r);
    f->prompt_tokens = get_i64(r);
    f->cached_tokens = get_i64(r);
    f->output_tokens = get_i64(r);
    f->reasoning_tokens = get_i64(r);
    f->cost_nano = get_i64(r);
    f->latency_ms = get_f64(r);
}

static void paced_put(struct filler *w, const struct event_paced *p)
{
    put_u8(w, (uint8_t)(p->pool + 1));
    put_u8(w, p->unit);
    put_f64(w, p->multiplier);
    put_f64(w, p->rate);
    put_f64(w, p->least);
    put_f64(w, p->wanted);
}

static void paced_get(struct reader *r, struct event_paced *p)
{
    p->pool = (int8_t)(get_u8(r) - 1);
    p->unit = get_u8(r);
    p->multiplier = get_f64(r);
    p->rate = get_f64(r);
    p->least = get_f64(r);
    p->wanted = get_f64(r);
}

static void learned_put(struct filler *w, const struct event_learned *e)
{
    put_str(w, e->name);
    put_u8(w, e->turn);
    put_u8(w, e->part);
    put_u8(w, e->learner);
    put_u8(w, e->arm);
    put_i64(w, e->as_of_ms);
    put_i64(w, e->added_ms);
    put_f64(w, e->share);
    put_u64(w, e->schema);
    put_u32(w, e->len);
    put_raw(w, e->bytes, e->len);
}

static void learned_get(struct reader *r, struct event_learned *e)
{
    get_str(r, e->name, sizeof e->name);
    e->turn = get_u8(r);
    e->part = get_u8(r);
    e->learner = get_u8(r);
    e->arm = get_u8(r);
    e->as_of_ms = get_i64(r);
    e->added_ms = get_i64(r);
    e->share = get_f64(r);
    e->schema = get_u64(r);
    e->len = get_u32(r);
    e->bytes = get_raw(r, e->len);
}

static void feedback_put(struct filler *w, const struct event_feedback *f)
{
    message_put(w, &f->feedback);
    put_bool(w, f->recalled);
    if (!f->recalled)
        return;
    row_put(w, &f->row);
    x_put(w, f->x, f->row.d);
    book_put(w, &f->book);
}

static void feedback_get(struct reader *r, struct event_feedback *f)
{
    message_get(r, &f->feedback);
    f->recalled = get_bool(r);
    if (!f->recalled)
        return;
    row_get(r, &f->row);
    f->row.d = x_get(r, f->x);
    book_get(r, &f->book);
}

/* ---- the record */

static void body_put(struct filler *w, const struct event *e)
{
    switch (e->kind) {
    case EVENT_STARTED:
        put_u32(w, e->started.epoch);
        put_i64(w, e->started.max_open);
        break;
    case EVENT_CONFIGURED:
        put_str(w, e->configured.origin);
        put_u64(w, e->configured.file_hash);
        put_u32(w, e->configured.len);
        put_raw(w, e->configured.json, e->configured.len);
        break;
    case EVENT_LENS:
        put_str(w, e->lens.origin);
        put_u32(w, e->lens.len);
        put_raw(w, e->lens.bytes, e->lens.len);
        break;
    case EVENT_DECIDED:
        decided_put(w, &e->decided);
        break;
    case EVENT_FEEDBACK:
    case EVENT_TAUGHT:
        feedback_put(w, &e->feedback);
        break;
    case EVENT_PACED:
        paced_put(w, &e->paced);
        break;
    case EVENT_DRIFTED:
        put_u8(w, e->drifted.arm);
        put_u8(w, e->drifted.target);
        put_bool(w, e->drifted.up);
        put_u8(w, e->drifted.learner);
        break;
    case EVENT_EXPIRED:
        put_u64(w, e->expired.decision);
        break;
    case EVENT_HULL:
        hull_event_put(w, &e->hull);
        break;
    case EVENT_LENT:
        put_bool(w, e->lent.on);
        break;
    case EVENT_LEARNED:
        learned_put(w, &e->learned);
        break;
    case EVENT_TICKED:
    case EVENT_NONE:
        break;
    }
}

static void body_get(struct reader *r, struct event *e)
{
    switch (e->kind) {
    case EVENT_STARTED:
        e->started.epoch = get_u32(r);
        e->started.max_open = get_i64(r);
        break;
    case EVENT_CONFIGURED:
        get_str(r, e->configured.origin, sizeof e->configured.origin);
        e->configured.file_hash = get_u64(r);
        e->configured.len = get_u32(r);
        e->configured.json = (const char *)get_raw(r, e->configured.len);
        break;
    case EVENT_LENS:
        get_str(r, e->lens.origin, sizeof e->lens.origin);
        e->lens.len = get_u32(r);
        e->lens.bytes = get_raw(r, e->lens.len);
        break;
    case EVENT_DECIDED:
        decided_get(r, &e->decided);
        break;
    case EVENT_FEEDBACK:
    case EVENT_TAUGHT:
        feedback_get(r, &e->feedback);
        break;
    case EVENT_PACED:
        paced_get(r, &e->paced);
        break;
    case EVENT_DRIFTED:
        e->drifted.arm = get_u8(r);
        e->drifted.target = get_u8(r);
        e->drifted.up = get_bool(r);
        e->drifted.learner = get_u8(r);
        break;
    case EVENT_EXPIRED:
        e->expired.decision = get_u64(r);
        break;
    case EVENT_HULL:
        hull_event_get(r, &e->hull);
        break;
    case EVENT_LENT:
        e->lent.on = get_bool(r);
        break;
    case EVENT_LEARNED:
        learned_get(r, &e->learned);
        break;
    case EVENT_TICKED:
        break;
    case EVENT_NONE:
    default:
        r->bad = true;
    }
}

size_t event_encode(const struct event *e, uint8_t *out, size_t cap)
{
    assert(event_valid(e));
    struct filler w = filler_over(out, cap);
    put_u32(&w, 0);
    put_u8(&w, EVENT_VERSION);
    put_u8(&w, (uint8_t)e->kind);
    put_u16(&w, 0);
    put_u64(&w, e->seq);
    put_i64(&w, e->time_ms);
    body_put(&w, e);
    if (w.full)
        return 0;
    size_t n = (size_t)(w.at - out);
    struct filler head = filler_over(out, CRC_LEN);
    put_u32(&head, crc32c(out + CRC_LEN, n - CRC_LEN, 0));
    return n;
}

enum status event_decode(const uint8_t *bytes, size_t n, struct event *out, struct problem *problem)
{
    struct reader r = reader_over(bytes, n);
    uint32_t crc = get_u32(&r);
    if (r.bad || crc != crc32c(r.at, reader_left(&r), 0))
        return problem_set(problem, STATUS_INTERNAL, "", "record of %zu bytes has a wrong checksum",
                           n);
    unsigned version = get_u8(&r);
    unsigned kind = get_u8(&r);
    if (version != EVENT_VERSION)
        return problem_set(problem, STATUS_INTERNAL, "",
                           "record has format version %u, this program reads version %d", version,
                           EVENT_VERSION);
    memset(out, 0, sizeof *out);
    out->kind = kind;
    bool reserved = get_u16(&r) != 0;
    out->seq = get_u64(&r);
    out->time_ms = get_i64(&r);
    body_get(&r, out);
    if (reserved || !reader_done(&r) || !event_valid(out))
        return problem_set(problem, STATUS_INTERNAL, "",
                           "record %llu of kind %u has a right checksum but impossible contents",
                           (unsigned long long)out->seq, (unsigned)out->kind);
    return STATUS_OK;
}
