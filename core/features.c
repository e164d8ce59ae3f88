/* SPDX-License-Identifier: MIT */
/*
 * The context vector: [bias | shape | declared | text | caller], each block about unit length so
 * that a prior precision per block says how much it must earn.
 *
 * - declared: random sign codes of task, domain and user tier: 0.8 of the whole name, 0.6 shared
 *   among its parts, so that mmlu:physics and mmlu:chemistry have something in common;
 * - shape: what the text looks like (core/shape.c);
 * - text: hashed words and character 4-grams through a fixed sign projection;
 * - caller: the caller's own features or embedding through a fixed sign projection.
 *
 * Sign codes in m dimensions keep up to m names apart exactly and degrade gently beyond, where
 * hashed one-hots collide outright (13 tasks in 32 buckets lost a third of the gain). Everything
 * here is evaluated once and logged with the decision; replay never repeats it.
 */
#include "core/features.h"

#include <ctype.h>
#include <math.h>
#include <string.h>
#include "bandit/rng.h"
#include "core/shape.h"

enum { SCHEMA_VERSION = 1 };

static int dim_shape(const struct params *p)
{
    return p->features.shape ? SHAPE_DIM : 0;
}
static int dim_declared(const struct params *p)
{
    return p->features.declared ? (int)p->features.dim_declared : 0;
}
static int dim_text(const struct params *p)
{
    return p->features.text ? (int)p->features.dim_text : 0;
}
static int dim_caller(const struct params *p)
{
    return p->features.caller ? (int)p->features.dim_caller : 0;
}

int features_dim(const struct params *p)
{
    return 1 + dim_shape(p) + dim_declared(p) + dim_text(p) + dim_caller(p);
}

uint64_t features_schema(const struct params *p)
{
    const int layout[] = {SCHEMA_VERSION, dim_shape(p), dim_declared(p), dim_text(p),
                          dim_caller(p)};
    uint64_t h = hash64(layout, sizeof layout, 7);
    return h ? h : 1;
}

int64_t features_tokens(const struct request *r)
{
    /* About 4.2 bytes a token in English prose and code (fitted on counted prompts). */
    return r->prompt_len ? (int64_t)((double)r->prompt_len / 4.2) + 1 : 0;
}

/* Size of each entry of a code of length scale in m dimensions. */
static double code_unit(int m, double scale)
{
    return scale / sqrt((double)m);
}

/* Adds a code to m entries: independent signs, +-unit each. Signs come from a table, because a
 * branch on random bits is mispredicted half the time. */
static void add_code(float *x, int m, uint64_t hash, double unit)
{
    const float sign[2] = {(float)-unit, (float)unit};
    uint64_t bits = 0;
    for (int i = 0; i < m; i++) {
        if (i % 64 == 0)
            bits = mix64(hash + (uint64_t)i);
        x[i] += sign[bits & 1];
        bits >>= 1;
    }
}

/* ---- declared ---- */

static bool separator(char c)
{
    return strchr(":/_- .", c) != NULL;
}

static int count_parts(const char *name)
{
    int n = 0;
    for (const char *c = name; *c; c++)
        if (!separator(*c) && (c == name || separator(c[-1])))
            n++;
    return n;
}

static void add_name(float *x, int m, const char *name, uint64_t field, double scale)
{
    int parts = count_parts(name);
    add_code(x, m, hash64(name, strlen(name), field),
             code_unit(m, parts > 1 ? 0.8 * scale : scale));
    if (parts < 2)
        return;
    double each = 0.6 * scale / sqrt(parts);
    for (const char *c = name; *c;) {
        size_t n = strcspn(c, ":/_- .");
        if (n > 0)
            add_code(x, m, hash64(c, n, field + 1), code_unit(m, each));
        c += n + (c[n] != '\0');
    }
}

static void build_declared(const struct labels *l, int m, float *x)
{
    const char *name[] = {l->task, l->domain, l->user_tier};
    int given = 0;
    for (int i = 0; i < 3; i++)
        given += name[i][0] != '\0';
    for (int i = 0; i < 3; i++)
        if (name[i][0])
            add_name(x, m, name[i], 100 + 2 * (uint64_t)i, 1 / sqrt(given));
}

/* ---- text ---- */

static uint64_t word_hash(const char *s, size_t n)
{
    char low[32];
    size_t k = n < sizeof low ? n : sizeof low;
    for (size_t i = 0; i < k; i++)
        low[i] = (char)tolower((unsigned char)s[i]);
    return hash64(low, k, 21);
}

static double hash_words(float *x, int m, const char *s, size_t n)
{
    double count = 0, unit = code_unit(m, 1);
    for (size_t i = 0; i < n;) {
        size_t from = i;
        while (i < n && (isalnum((unsigned char)s[i]) || (unsigned char)s[i] >= 0x80))
            i++;
        if (i - from >= 3) { /* shorter words are mostly function words */
            add_code(x, m, word_hash(s + from, i - from), unit);
            count++;
        }
        i += i == from;
    }
    return count;
}

static double hash_grams(float *x, int m, const char *s, size_t n)
{
    double count = 0, unit = code_unit(m, 0.5);
    for (size_t i = 0; i + 4 <= n; i += 4) {
        add_code(x, m, hash64(s + i, 4, 22), unit);
        count += 0.25;
    }
    return count;
}

static void build_text(const struct excerpt *e, int m, float *x)
{
    double count = 0;
    for (int k = 0; k < 2; k++) {
        count += hash_words(x, m, e->part[k], e->len[k]);
        count += hash_grams(x, m, e->part[k], e->len[k]);
    }
    double scale = count > 0 ? 1 / sqrt(count) : 0;
    for (int i = 0; i < m; i++)
        x[i] = (float)((double)x[i] * scale);
}

/* ---- the caller's own ---- */

static void build_caller(const struct request *r, int m, float *x)
{
    double norm = 0;
    for (int i = 0; i < r->n_features; i++) {
        double v = r->feature[i].value, squashed = v / (1 + fabs(v)); /* any unit of measure */
        add_code(x, m, r->feature[i].hash, code_unit(m, squashed));
        norm += squashed * squashed;
    }
    for (int i = 0; i < r->n_embedding; i++) {
        double v = (double)r->embedding[i];
        norm += v * v;
    }
    if (!(norm > 0))
        return;
    for (int i = 0; i < r->n_embedding; i++)
        add_code(x, m, mix64(0x9e37u + (uint64_t)i), code_unit(m, (double)r->embedding[i]));
    double scale = norm > 1 ? 1 / sqrt(norm) : 1;
    for (int i = 0; i < m; i++)
        x[i] = (float)((double)x[i] * scale);
}

void features_build(const struct params *p, const struct request *r, float *x)
{
    struct excerpt e = excerpt_of(r->prompt, r->prompt_len);
    memset(x, 0, (size_t)features_dim(p) * sizeof *x);
    *x++ = 1;
    if (p->features.shape)
        shape_build(&e, r->prompt_len,
                    r->prompt_tokens >= 0 ? r->prompt_tokens : features_tokens(r), x);
    x += dim_shape(p);
    if (p->features.declared)
        build_declared(&r->labels, dim_declared(p), x);
    x += dim_declared(p);
    if (p->features.text && r->prompt)
        build_text(&e, dim_text(p), x);
    x += dim_text(p);
    if (p->features.caller)
        build_caller(r, dim_caller(p), x);
}

void features_precision(const struct params *p, enum target t, const struct precision_scale *scale,
                        double *precision)
{
    /* What happens at completion (tokens, latency, failure) depends on the text more directly than
     * quality does and may follow it sooner. */
    const bool quality = t == TARGET_QUALITY;
    const struct {
        int n;
        double precision;
    } block[] = {
        {1, quality ? p->learner.precision_bias : 1},
        {dim_shape(p), quality ? p->learner.precision_shape * scale->text : 2},
        {dim_declared(p), quality ? p->learner.precision_declared * scale->declared : 1},
        {dim_text(p), quality ? p->learner.precision_text * scale->text : 8},
        {dim_caller(p), quality ? p->learner.precision_caller * scale->text : 8},
    };
    for (size_t b = 0; b < sizeof block / sizeof *block; b++)
        for (int i = 0; i < block[b].n; i++)
            *precision++ = block[b].precision;
}
