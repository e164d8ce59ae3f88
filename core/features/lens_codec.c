/* SPDX-License-Identifier: MIT */
/*
 * The bytes of a lens: [u32 crc32c of what follows][u16 version][u16 buckets][u8 dims][u8 clusters]
 * [u8 labels][bool complexity] and the arrays in the order of the struct, only the parts in use.
 * Loading checks every number, so that a lens that loads can harm no decision: all features stay
 * finite and within unit length.
 */
#include "core/features/lens.h"

#include <assert.h>
#include <math.h>
#include <string.h>
#include "bandit/rng.h"
#include "core/event/bytes.h"
#include "core/event/event.h"

enum { LENS_VERSION = 1, CRC_LEN = 4 };

static bool sizes_valid(const struct lens *l)
{
    return l->buckets >= 16 && l->buckets <= LENS_BUCKETS_MAX &&
           (l->buckets & (l->buckets - 1)) == 0 && l->dims >= 1 && l->dims <= LENS_DIMS_MAX &&
           l->buckets * l->dims <= LENS_CELLS_MAX && l->clusters >= 1 &&
           l->clusters <= LENS_CLUSTERS_MAX && l->labels >= 0 && l->labels <= LENS_LABELS_MAX;
}

static int inputs_of(const struct lens *l)
{
    return l->dims + l->clusters + 1;
}

static void put_floats(struct filler *w, const float *v, int n)
{
    for (int i = 0; i < n; i++)
        put_f32(w, v[i]);
}

/* Reads n floats within +-most; others make the reader bad. */
static void get_floats(struct reader *r, float *v, int n, float most)
{
    for (int i = 0; i < n && !r->bad; i++) {
        v[i] = get_f32(r);
        if (!(fabsf(v[i]) <= most))
            r->bad = true;
    }
}

static void put_classifiers(struct filler *w, const struct lens *l)
{
    for (int i = 0; i < l->labels; i++) {
        put_str(w, l->label[i]);
        put_floats(w, l->label_weight[i], inputs_of(l));
    }
    put_f32(w, l->temperature);
    if (l->has_complexity)
        put_floats(w, l->complexity_weight, inputs_of(l));
}

static void get_classifiers(struct reader *r, struct lens *l)
{
    for (int i = 0; i < l->labels && !r->bad; i++) {
        get_str(r, l->label[i], sizeof l->label[i]);
        r->bad = r->bad || l->label[i][0] == '\0';
        get_floats(r, l->label_weight[i], inputs_of(l), 1e6F);
    }
    get_floats(r, &l->temperature, 1, 1e6F);
    if (!(l->temperature >= 1e-3F))
        r->bad = true;
    if (l->has_complexity)
        get_floats(r, l->complexity_weight, inputs_of(l), 1e6F);
}

size_t lens_save(const struct lens *l, uint8_t *out, size_t cap)
{
    assert(sizes_valid(l));
    struct filler w = filler_over(out, cap < LENS_BYTES_MAX ? cap : LENS_BYTES_MAX);
    put_u32(&w, 0);
    put_u16(&w, LENS_VERSION);
    put_u16(&w, (uint16_t)l->buckets);
    put_u8(&w, (uint8_t)l->dims);
    put_u8(&w, (uint8_t)l->clusters);
    put_u8(&w, (uint8_t)l->labels);
    put_bool(&w, l->has_complexity);
    put_floats(&w, l->idf, l->buckets);
    put_raw(&w, l->projection, (size_t)l->buckets * (size_t)l->dims);
    put_floats(&w, l->scale, l->dims);
    put_floats(&w, l->offset, l->dims);
    for (int c = 0; c < l->clusters; c++)
        put_floats(&w, l->centre[c], l->dims);
    put_classifiers(&w, l);
    if (w.full)
        return 0;
    size_t n = (size_t)(w.at - out);
    struct filler head = filler_over(out, CRC_LEN);
    put_u32(&head, crc32c(out + CRC_LEN, n - CRC_LEN, 0));
    return n;
}

static enum status damaged(struct problem *problem, const char *what)
{
    return problem_set(problem, STATUS_BAD_REQUEST, "", "this is not a lens: %s", what);
}

static void get_body(struct reader *r, struct lens *l)
{
    get_floats(r, l->idf, l->buckets, 1e6F);
    size_t cells = (size_t)l->buckets * (size_t)l->dims;
    const uint8_t *raw = get_raw(r, cells);
    if (raw)
        memcpy(l->projection, raw, cells);
    get_floats(r, l->scale, l->dims, 1e6F);
    get_floats(r, l->offset, l->dims, 1e6F);
    for (int c = 0; c < l->clusters && !r->bad; c++)
        get_floats(r, l->centre[c], l->dims, 1.001F);
    if (!r->bad)
        get_classifiers(r, l);
}

enum status lens_load(const uint8_t *bytes, size_t n, struct lens *out, struct problem *problem)
{
    struct reader r = reader_over(bytes, n);
    uint32_t crc = get_u32(&r);
    if (n > LENS_BYTES_MAX)
        return damaged(problem, "it is too large");
    if (r.bad || crc != crc32c(r.at, reader_left(&r), 0))
        return damaged(problem, "its checksum is wrong");
    if (get_u16(&r) != LENS_VERSION)
        return damaged(problem, "it is of another version");
    memset(out, 0, sizeof *out);
    out->buckets = get_u16(&r);
    out->dims = get_u8(&r);
    out->clusters = get_u8(&r);
    out->labels = get_u8(&r);
    out->has_complexity = get_bool(&r);
    if (r.bad || !sizes_valid(out))
        return damaged(problem, "its sizes are out of range");
    get_body(&r, out);
    if (!reader_done(&r))
        return damaged(problem, "a number is out of range or bytes are missing");
    uint64_t id = hash64(bytes, n, 11);
    out->id = id ? id : 1;
    return STATUS_OK;
}
