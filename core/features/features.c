/* SPDX-License-Identifier: MIT */
/*
 * The context vector: [bias | shape | declared | text | lens | caller], each block about unit
 * length so that a prior precision per block says how much it must earn.
 *
 * - declared: random sign codes of task, domain and user tier: 0.8 of the whole name, 0.6 shared
 *   among its parts, so that mmlu:physics and mmlu:chemistry have something in common;
 * - shape: what the text looks like (core/features/shape.c);
 * - text: hashed words and character 4-grams through a fixed sign projection;
 * - lens: what a lens learned from a corpus sees in the text (core/features/lens.c);
 * - caller: the caller's own features or embedding through a fixed sign projection.
 *
 * Sign codes in m dimensions keep up to m names apart exactly and degrade gently beyond, where
 * hashed one-hots collide outright (13 tasks in 32 buckets lost a third of the gain). Everything
 * here is evaluated once and logged with the decision; replay never repeats it.
 */
#include "core/features/features.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>
#include "bandit/ridge/clones.h"
#include "bandit/rng.h"
#include "core/features/shape.h"

enum { SCHEMA_VERSION = 1 };

struct layout features_layout(const struct params *p, const struct lens *lens)
{
    struct layout l = {.n = {[BLOCK_BIAS] = 1}};
    l.n[BLOCK_SHAPE] = p->features.shape ? SHAPE_DIM : 0;
    l.n[BLOCK_DECLARED] = p->features.declared ? (int)p->features.dim_declared : 0;
    l.n[BLOCK_TEXT] = p->features.text ? (int)p->features.dim_text : 0;
    l.n[BLOCK_CALLER] = p->features.caller ? (int)p->features.dim_caller : 0;
    if (p->features.lens && lens) {
        l.n[BLOCK_LENS] = lens_entries(lens);
        l.lens = lens->id;
    }
    return l;
}

int features_dim(const struct layout *l)
{
    int d = 0;
    for (int b = 0; b < BLOCKS; b++)
        d += l->n[b];
    return d;
}

uint64_t features_schema(const struct layout *l)
{
    const int layout[] = {SCHEMA_VERSION, l->n[BLOCK_SHAPE], l->n[BLOCK_DECLARED], l->n[BLOCK_TEXT],
                          l->n[BLOCK_CALLER]};
    uint64_t h = hash64(layout, sizeof layout, 7);
    if (l->lens)
        h = hash64(&l->lens, sizeof l->lens, h);
    return h ? h : 1;
}

void features_map(const struct layout *from, const struct layout *to, int *map)
{
    int at = 0;
    for (int b = 0; b < BLOCKS; b++) {
        /* Codes depend on the length of their block, a lens block on the lens. */
        bool same = from->n[b] == to->n[b] && (b != BLOCK_LENS || from->lens == to->lens);
        for (int i = 0; i < to->n[b]; i++)
            *map++ = same ? at + i : -1;
        at += from->n[b];
    }
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
    switch (c) {
    case ':':
    case '/':
    case '_':
    case '-':
    case ' ':
    case '.':
        return true;
    default:
        return false;
    }
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

/* Sums of many codes of equal size, counted: eight entries in the bytes of a word, so that a code
 * costs one addition for eight of them. A byte holds how often the sign was +; before it could
 * overflow, bytes are emptied into the counts. What is hashed waits until there is enough of it for
 * vectors: of each hash64 the last two steps are left to do. */
enum { TALLY_MOST = 255, TALLY_BATCH = 64 };
static const uint64_t GOLDEN = 0x9e3779b97f4a7c15u; /* as in bandit/rng.h */
struct tally {
    int m, codes, pending, waiting;
    uint64_t hash[TALLY_BATCH];
    uint64_t bytes[DIM_MAX / 8];
    int32_t plus[DIM_MAX];
};

static void tally_begin(struct tally *t, int m)
{
    t->m = m;
    t->codes = t->pending = t->waiting = 0;
    memset(t->bytes, 0, (size_t)(m + 7) / 8 * sizeof *t->bytes);
    memset(t->plus, 0, (size_t)m * sizeof *t->plus);
}

static void tally_empty(struct tally *t)
{
    for (int i = 0; i < t->m; i++)
        t->plus[i] += (int32_t)(t->bytes[i / 8] >> 8 * (i % 8) & 0xff);
    memset(t->bytes, 0, (size_t)(t->m + 7) / 8 * sizeof *t->bytes);
    t->codes += t->pending;
    t->pending = 0;
}

/* Bit i of the low eight to byte i, as 0 or 1. */
static inline uint64_t spread(uint64_t bits)
{
    uint64_t each = (bits & 0xff) * 0x0101010101010101u & 0x8040201008040201u;
    return (each + 0x00406070787c7e7fu) >> 7 & 0x0101010101010101u;
}

/* Counts what add_code would add for all that wait. */
WIDE_CLONES static void tally_count(struct tally *t)
{
    int n = t->waiting;
    uint64_t bits[TALLY_BATCH];
    if (t->pending + n > TALLY_MOST)
        tally_empty(t);
    for (int i = 0; i < n; i++)
        t->hash[i] = mix64(mix64(t->hash[i] + GOLDEN) + GOLDEN);
    for (int k = 0; 8 * k < t->m; k++) {
        uint64_t sum = 0;
        if (k % 8 == 0)
            for (int i = 0; i < n; i++)
                bits[i] = mix64(t->hash[i] + 8 * (uint64_t)k);
        for (int i = 0; i < n; i++) {
            sum += spread(bits[i]);
            bits[i] >>= 8;
        }
        t->bytes[k] += sum;
    }
    t->pending += n;
    t->waiting = 0;
}

/* hash: hash64 before its last two steps. */
static inline void tally_code(struct tally *t, uint64_t hash)
{
    t->hash[t->waiting++] = hash;
    if (t->waiting == TALLY_BATCH)
        tally_count(t);
}

/* x += unit times (how often + less how often -). */
static void tally_add(struct tally *t, double unit, double *x)
{
    tally_count(t);
    tally_empty(t);
    for (int i = 0; i < t->m; i++)
        x[i] += unit * (2 * t->plus[i] - t->codes);
}

/* Eight bytes, little end first; of fewer the rest is 0. */
static inline uint64_t load_eight(const char *s, size_t n)
{
    const unsigned char *p = (const unsigned char *)s;
    uint64_t word = 0;
    if (n >= 8)
        return (uint64_t)p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 | (uint64_t)p[3] << 24 |
               (uint64_t)p[4] << 32 | (uint64_t)p[5] << 40 | (uint64_t)p[6] << 48 |
               (uint64_t)p[7] << 56;
    for (size_t i = 0; i < n; i++)
        word |= (uint64_t)p[i] << 8 * i;
    return word;
}

static const uint64_t EACH = 0x0101010101010101u, TOPS = 0x8080808080808080u;

/* The top bit of each byte, none above 0x7f, that is at least least. */
static inline uint64_t at_least(uint64_t bytes, unsigned char least)
{
    return bytes + EACH * (0x80u - least);
}

/* A bit for each of eight bytes that is part of a word: letters and digits of ASCII, and whatever
 * is beyond it. */
static inline uint64_t in_word(uint64_t bytes)
{
    uint64_t plain = bytes & ~TOPS, low = plain | EACH * 0x20;
    uint64_t letter = at_least(low, 'a') & ~at_least(low, 'z' + 1);
    uint64_t digit = at_least(plain, '0') & ~at_least(plain, '9' + 1);
    uint64_t top = (letter | digit | bytes) & TOPS;
    return (top >> 7) * 0x0102040810204080u >> 56;
}

/* The same of up to 64 bytes. */
static uint64_t words_in(const char *s, size_t n)
{
    uint64_t mask = 0;
    for (size_t i = 0; i < n; i += 8)
        mask |= in_word(load_eight(s + i, n - i)) << i;
    return mask;
}

/* hash64, but for two steps, of a word in lower case, of at most 32 bytes of it. What is in a word
 * and not beyond ASCII is a digit, which has the bit that makes a letter a small one, or a letter.
 * room: readable bytes from s on. */
static uint64_t word_hash(const char *s, size_t n, size_t room)
{
    size_t k = n < 32 ? n : 32;
    uint64_t h = mix64(21 + GOLDEN) ^ k;
    for (size_t i = 0;; i += 8) {
        uint64_t word = load_eight(s + i, room - i);
        word |= (~word & TOPS) >> 2;
        if (k - i <= 8)
            return h ^ (word & ~(uint64_t)0 >> 8 * (8 - (k - i)));
        h = mix64((h ^ word) + GOLDEN);
    }
}

/* Shorter words are mostly function words. */
static inline double take_word(struct tally *t, const char *s, size_t from, size_t to, size_t end)
{
    if (to - from < 3)
        return 0;
    tally_code(t, word_hash(s + from, to - from, end - from));
    return 1;
}

static double hash_words(struct tally *t, const char *s, size_t n)
{
    double count = 0;
    size_t from = 0;
    uint64_t inside = 0; /* 1: a word began at from */
    for (size_t at = 0; at < n; at += 64) {
        uint64_t mask = words_in(s + at, n - at < 64 ? n - at : 64);
        for (uint64_t edges = mask ^ (mask << 1 | inside); edges; edges &= edges - 1) {
            size_t edge = at + (size_t)__builtin_ctzll(edges);
            if (inside)
                count += take_word(t, s, from, edge, n);
            from = edge;
            inside ^= 1;
        }
    }
    return inside ? count + take_word(t, s, from, n, n) : count;
}

/* hash64, but for two steps, of every fourth four bytes. Counted in batches that a register keeps:
 * one by one, each would wait for the count in memory. */
static double hash_grams(struct tally *t, const char *s, size_t n)
{
    const uint64_t seed = mix64(22 + GOLDEN) ^ 4;
    size_t grams = n / 4, done = 0;
    while (done < grams) {
        size_t room = (size_t)(TALLY_BATCH - t->waiting), left = grams - done;
        size_t some = left < room ? left : room;
        const unsigned char *p = (const unsigned char *)s + 4 * done;
        uint64_t *hash = t->hash + t->waiting;
        for (size_t i = 0; i < some; i++, p += 4)
            hash[i] = seed ^ ((uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
                              (uint64_t)p[3] << 24);
        done += some;
        t->waiting += (int)some;
        if (t->waiting == TALLY_BATCH)
            tally_count(t);
    }
    return 0.25 * (double)grams;
}

static void build_text(const struct excerpt *e, int m, float *x)
{
    struct tally words, grams;
    double count = 0, sum[DIM_MAX];
    memset(sum, 0, (size_t)m * sizeof *sum);
    tally_begin(&words, m);
    tally_begin(&grams, m);
    for (int k = 0; k < 2; k++) {
        count += hash_words(&words, e->part[k], e->len[k]);
        count += hash_grams(&grams, e->part[k], e->len[k]);
    }
    double scale = count > 0 ? 1 / sqrt(count) : 0;
    tally_add(&words, code_unit(m, 1), sum);
    tally_add(&grams, code_unit(m, 0.5), sum);
    for (int i = 0; i < m; i++)
        x[i] = (float)(sum[i] * scale);
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

/* ---- the lens ---- */

/* With labels: the mean of their codes under the posterior. Over five public tables, each lens
 * learned from the half that is not counted, that gave 0.006 of quality more than the shape of the
 * text alone, the directions themselves 0.002, the two together no more than the codes. */
static void build_lens(const struct lens *l, const struct excerpt *e, float *x,
                       struct lens_view *view)
{
    lens_apply(l, e, view);
    if (l->labels == 0)
        memcpy(x, view->x, (size_t)l->dims * sizeof *x);
    for (int i = 0; i < l->labels; i++)
        add_code(x, LENS_CODE, hash64(l->label[i], strlen(l->label[i]), 100),
                 code_unit(LENS_CODE, (double)view->posterior[i]));
}

void features_build(const struct params *p, const struct lens *lens, const struct request *r,
                    float *x, struct lens_view *view)
{
    struct excerpt e = excerpt_of(r->prompt, r->prompt_len);
    struct layout l = features_layout(p, lens);
    struct lens_view unread, *seen = view ? view : &unread;
    seen->cluster = 0; /* the rest is there if a lens has looked */
    seen->label = -1;
    seen->complexity = -1;
    memset(x, 0, (size_t)features_dim(&l) * sizeof *x);
    *x++ = 1;
    if (l.n[BLOCK_SHAPE])
        shape_build(&e, r->prompt_len,
                    r->prompt_tokens >= 0 ? r->prompt_tokens : features_tokens(r), x);
    x += l.n[BLOCK_SHAPE];
    if (l.n[BLOCK_DECLARED])
        build_declared(&r->labels, l.n[BLOCK_DECLARED], x);
    x += l.n[BLOCK_DECLARED];
    if (l.n[BLOCK_TEXT] && r->prompt)
        build_text(&e, l.n[BLOCK_TEXT], x);
    x += l.n[BLOCK_TEXT];
    if (l.n[BLOCK_LENS] && r->prompt)
        build_lens(lens, &e, x, seen);
    x += l.n[BLOCK_LENS];
    if (l.n[BLOCK_CALLER])
        build_caller(r, l.n[BLOCK_CALLER], x);
}

void features_precision(const struct params *p, const struct layout *l, enum target t,
                        const struct precision_scale *scale, double *precision)
{
    /* What happens at completion (tokens, latency, failure) depends on the text more directly than
     * quality does and may follow it sooner. */
    const bool quality = t == TARGET_QUALITY;
    const double of[BLOCKS] = {
        [BLOCK_BIAS] = quality ? p->learner.precision_bias : 1,
        [BLOCK_SHAPE] = quality ? p->learner.precision_shape * scale->text : 2,
        [BLOCK_DECLARED] = quality ? p->learner.precision_declared * scale->declared : 1,
        [BLOCK_TEXT] = quality ? p->learner.precision_text * scale->text : 8,
        [BLOCK_LENS] = quality ? p->learner.precision_lens * scale->text : 2,
        [BLOCK_CALLER] = quality ? p->learner.precision_caller * scale->text : 8,
    };
    for (int b = 0; b < BLOCKS; b++)
        for (int i = 0; i < l->n[b]; i++)
            *precision++ = of[b];
}
