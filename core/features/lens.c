/* SPDX-License-Identifier: MIT */
/*
 * Looking at a text through a lens. Letters are folded to lower case, digits to 0, runs of anything
 * else to one space; n-grams of that are hashed to buckets with a sign (Weinberger et al. 2009), so
 * that collisions cancel on average. v_b = sign(c_b) sqrt|c_b| idf_b, scaled to unit length;
 * x = P v - offset, scaled to unit length again, because how long a text is says the shape block
 * already. A few thousand bytes of a text are looked at: more says little more about its topic.
 *
 * Considered and not done: exact n-grams with a dictionary (ten times the bytes for the same
 * quality), and floats for the projection (a lens must fit one record of the log).
 */
#include "core/features/lens.h"

#include <assert.h>
#include <math.h>
#include <string.h>

int lens_entries(const struct lens *l)
{
    return l->labels > 0 ? LENS_CODE : l->dims;
}

/* ---- n-grams ---- */

struct counting {
    int32_t *counts;
    unsigned shift; /* 64 - log2(buckets) */
    int n;
};

static void count_gram(struct counting *c, uint64_t v, uint64_t factor)
{
    uint64_t h = v * factor;
    h ^= h >> 29;
    h *= 0xbf58476d1ce4e5b9u;
    c->counts[h >> c->shift] += h & 1 ? 1 : -1;
    c->n++;
}

static uint8_t folded(unsigned char b)
{
    if (b >= 'A' && b <= 'Z')
        return (uint8_t)(b + 32);
    if (b >= '0' && b <= '9')
        return '0';
    return (b >= 'a' && b <= 'z') || b >= 0x80 || b > ' ' ? b : ' ';
}

/* Writes a leading space, the folded text with white space collapsed, and eight zeros. */
static size_t fold_text(const char *s, size_t n, uint8_t *out)
{
    size_t k = 0;
    out[k++] = ' ';
    for (size_t i = 0; i < n && i < LENS_TEXT_MAX; i++) {
        uint8_t b = folded((unsigned char)s[i]);
        if (b != ' ' || out[k - 1] != ' ')
            out[k++] = b;
    }
    memset(out + k, 0, 8);
    return k;
}

static void count_characters(struct counting *c, const uint8_t *s, size_t n)
{
    static const uint64_t factor[3] = {0x9e3779b97f4a7c15u, 0xd6e8feb86659fd93u,
                                       0xa0761d6478bd642fu};
    for (size_t i = 0; i + 3 <= n; i++) {
        uint64_t v;
        memcpy(&v, s + i, sizeof v); /* of one byte order, like all hosts of the service */
        for (unsigned k = 3; k <= 5 && i + k <= n; k++)
            count_gram(c, v & (((uint64_t)1 << (8 * k)) - 1), factor[k - 3]);
    }
}

static bool in_word(uint8_t b)
{
    return (b >= 'a' && b <= 'z') || b == '0' || b >= 0x80;
}

/* Words and neighbouring pairs. */
static void count_words(struct counting *c, const uint8_t *s, size_t n)
{
    uint64_t before = 0;
    for (size_t i = 0; i < n; i++) {
        uint64_t h = 0xcbf29ce484222325u;
        size_t from = i;
        for (; i < n && in_word(s[i]); i++)
            h = (h ^ s[i]) * 0x100000001b3u;
        if (i == from)
            continue;
        count_gram(c, h, 0xe7037ed1a0b428dbu);
        if (before)
            count_gram(c, h + 31 * before, 0x8ebc6af09c88c6e3u);
        before = h;
    }
}

int lens_counts(const struct excerpt *e, int buckets, int32_t *counts)
{
    struct counting c = {.counts = counts,
                         .shift = 64 - (unsigned)__builtin_ctz((unsigned)buckets)};
    uint8_t room[LENS_TEXT_MAX + 16];
    memset(counts, 0, (size_t)buckets * sizeof *counts);
    for (int k = 0; k < 2; k++) {
        if (!e->part[k] || e->len[k] == 0)
            continue;
        size_t skip = k == 1 && e->len[1] > LENS_TEXT_MAX ? e->len[1] - LENS_TEXT_MAX : 0;
        size_t n = fold_text(e->part[k] + skip, e->len[k] - skip, room);
        count_words(&c, room, n);
        count_characters(&c, room, n);
    }
    return c.n;
}

/* ---- projection ---- */

static void add_row(float *restrict sum, const int8_t *restrict row, float v, int dims)
{
    for (int k = 0; k < dims; k++)
        sum[k] += v * (float)row[k];
}

bool lens_project(const struct lens *l, const struct excerpt *e, float *x)
{
    int32_t counts[LENS_BUCKETS_MAX];
    float sum[LENS_DIMS_MAX] = {0}, norm = 0;
    memset(x, 0, (size_t)l->dims * sizeof *x);
    if (lens_counts(e, l->buckets, counts) == 0)
        return false;
    for (int b = 0; b < l->buckets; b++) {
        if (counts[b] == 0)
            continue;
        float root = sqrtf((float)(counts[b] < 0 ? -counts[b] : counts[b]));
        float v = (counts[b] < 0 ? -root : root) * l->idf[b];
        norm += v * v;
        add_row(sum, l->projection + (size_t)b * (size_t)l->dims, v, l->dims);
    }
    if (!(norm > 0))
        return false;
    float unit = 1 / sqrtf(norm);
    for (int k = 0; k < l->dims; k++)
        x[k] = sum[k] * unit * l->scale[k] - l->offset[k];
    return true;
}

static float dot_f32(const float *a, const float *b, int n)
{
    float sum = 0;
    for (int i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

static void scale_to_unit(float *x, int n)
{
    float norm = dot_f32(x, x, n);
    float unit = norm > 0 ? 1 / sqrtf(norm) : 0;
    for (int k = 0; k < n; k++)
        x[k] *= unit;
}

void lens_apply(const struct lens *l, const struct excerpt *e, struct lens_view *out)
{
    memset(out, 0, sizeof *out);
    if (lens_project(l, e, out->x))
        scale_to_unit(out->x, l->dims);
    for (int c = 0; c < l->clusters; c++) {
        out->similarity[c] = dot_f32(l->centre[c], out->x, l->dims);
        if (out->similarity[c] > out->similarity[out->cluster])
            out->cluster = c;
    }
    lens_judge(l, out);
}

/* ---- classifiers ---- */

int lens_inputs(const struct lens *l, const struct lens_view *v, float *input)
{
    memcpy(input, v->x, (size_t)l->dims * sizeof *input);
    memcpy(input + l->dims, v->similarity, (size_t)l->clusters * sizeof *input);
    input[l->dims + l->clusters] = 1;
    return l->dims + l->clusters + 1;
}

static void judge_label(const struct lens *l, const float *input, int n, struct lens_view *v)
{
    float sum = 0;
    v->label = -1;
    for (int i = 0; i < l->labels; i++) {
        v->posterior[i] = dot_f32(l->label_weight[i], input, n) / l->temperature;
        if (v->label < 0 || v->posterior[i] > v->posterior[v->label])
            v->label = i;
    }
    if (v->label < 0)
        return;
    float most = v->posterior[v->label];
    for (int i = 0; i < l->labels; i++)
        sum += v->posterior[i] = expf(v->posterior[i] - most);
    for (int i = 0; i < l->labels; i++)
        v->posterior[i] /= sum;
}

void lens_judge(const struct lens *l, struct lens_view *v)
{
    float input[LENS_INPUTS_MAX];
    int n = lens_inputs(l, v, input);
    judge_label(l, input, n, v);
    v->complexity = -1;
    if (l->has_complexity) {
        float hard = dot_f32(l->complexity_weight, input, n);
        v->complexity = hard < 0 ? 0 : hard > 1 ? 1 : hard;
    }
}
