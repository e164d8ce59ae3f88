/* SPDX-License-Identifier: MIT */
/* The lens: what it is learned by, what a file of it may hold, and what the fold does with one. */
#include <gsl/gsl_linalg.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "bandit/repro.h"
#include "bandit/ridge/ridge.h"
#include "bandit/rng.h"
#include "core/config/config.h"
#include "core/encoding/text.h"
#include "core/event/decision_id.h"
#include "core/features/features.h"
#include "core/features/lens.h"
#include "core/router/router.h"
#include "core/router/snapshot.h"
#include "core/wire/wire.h"
#include "sim/lens/lens_fit.h"
#include "sim/lens/lens_svd.h"

/* ---- learning ---- */

enum { ROWS = 40, COLUMNS = 12, KEPT = 5 };

/* A matrix with a few zeros, columns of falling size so that singular values lie apart. */
static void make_matrix(struct sparse *a, gsl_matrix *dense)
{
    struct rng g = rng_stream(3, 1, 1);
    assert_true(sparse_init(a, COLUMNS));
    for (int i = 0; i < ROWS; i++) {
        float row[COLUMNS];
        for (int j = 0; j < COLUMNS; j++) {
            row[j] = rng_uniform(&g) < 0.3 ? 0 : (float)(rng_normal(&g) / (1 + j) + 0.5);
            gsl_matrix_set(dense, (size_t)i, (size_t)j, (double)row[j]);
        }
        assert_true(sparse_add(a, row));
    }
}

static void centre_columns(gsl_matrix *m)
{
    for (size_t j = 0; j < COLUMNS; j++) {
        double mean = 0;
        for (size_t i = 0; i < ROWS; i++)
            mean += gsl_matrix_get(m, i, j) / ROWS;
        for (size_t i = 0; i < ROWS; i++)
            gsl_matrix_set(m, i, j, gsl_matrix_get(m, i, j) - mean);
    }
}

static void test_svd_is_gsls(void **state)
{
    (void)state;
    struct sparse a;
    double s[KEPT], v[COLUMNS * KEPT], mean[COLUMNS];
    gsl_matrix *dense = gsl_matrix_alloc(ROWS, COLUMNS),
               *right = gsl_matrix_alloc(COLUMNS, COLUMNS);
    gsl_vector *values = gsl_vector_alloc(COLUMNS);
    make_matrix(&a, dense);
    centre_columns(dense);
    assert_int_equal(gsl_linalg_SV_decomp_jacobi(dense, right, values), 0);
    assert_true(svd_principal(&a, KEPT, 1, s, v, mean));
    for (size_t c = 0; c < KEPT; c++) {
        double dot = 0;
        for (size_t j = 0; j < COLUMNS; j++)
            dot += v[j * KEPT + c] * gsl_matrix_get(right, j, c);
        assert_true(fabs(s[c] - gsl_vector_get(values, c)) < 1e-6);
        assert_true(fabs(fabs(dot) - 1) < 1e-6);
    }
    gsl_matrix_free(dense);
    gsl_matrix_free(right);
    gsl_vector_free(values);
    sparse_free(&a);
}

static void test_kmeans_finds_blobs(void **state)
{
    (void)state;
    enum { N = 300, D = 4, K = 3 };
    static float x[N * D];
    float centre[K * D];
    int of[K] = {-1, -1, -1};
    struct rng g = rng_stream(5, 1, 1);
    for (int i = 0; i < N; i++) {
        double norm = 0;
        for (int j = 0; j < D; j++) {
            x[i * D + j] = (float)((j == i % K) + 0.1 * rng_normal(&g));
            norm += (double)x[i * D + j] * (double)x[i * D + j];
        }
        for (int j = 0; j < D; j++)
            x[i * D + j] /= (float)sqrt(norm);
    }
    assert_true(kmeans_unit(x, N, D, K, 9, centre) > 0.95);
    for (int c = 0; c < K; c++)
        for (int j = 0; j < K; j++)
            if ((double)centre[c * D + j] > 0.95)
                of[c] = j;
    assert_true(of[0] >= 0 && of[1] >= 0 && of[2] >= 0);
    assert_true(of[0] != of[1] && of[1] != of[2] && of[0] != of[2]);
}

/* Two kinds of prompts by their words, the second harder. */
static const char *const words[2][6] = {
    {"balance", "account", "statement", "payment", "card", "fee"},
    {"integral", "theorem", "matrix", "proof", "lemma", "limit"}};

static void make_prompt(int kind, uint64_t i, char *out, size_t cap)
{
    struct rng g = rng_stream(11, (uint64_t)kind, i);
    size_t n = 0;
    for (int k = 0; k < 8; k++)
        n += (size_t)snprintf(out + n, cap - n, "%s ", words[kind][rng_below(&g, 6)]);
}

static void make_corpus(const char *path)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    for (uint64_t i = 0; i < 400; i++) {
        char prompt[256];
        int kind = (int)(i % 2);
        make_prompt(kind, i, prompt, sizeof prompt);
        fprintf(f, "{\"id\":\"r%d\",\"task\":\"%s\",\"prompt\":\"%s\",\"q\":[%g,%g]}\n", (int)i,
                kind ? "math" : "bank", prompt, kind ? 0.1 : 0.9, kind ? 0.5 : 1.0);
    }
    assert_int_equal(fclose(f), 0);
}

static struct lens *learn(bool labels, uint64_t seed, struct lens_report *report)
{
    struct lens *l = malloc(sizeof *l);
    struct corpus c = {0};
    struct problem problem;
    char path[] = "lens-corpus-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    make_corpus(path);
    assert_int_equal(corpus_read(&c, path, 0.5, &problem), STATUS_OK);
    struct lens_fit fit = {
        .dims = 4, .clusters = 2, .buckets = 256, .labels = labels, .seed = seed};
    assert_int_equal(lens_fit_run(&fit, &c, l, report, &problem), STATUS_OK);
    corpus_free(&c);
    (void)remove(path);
    (void)fd;
    return l;
}

static struct lens_view view_of(const struct lens *l, const char *prompt)
{
    struct lens_view v;
    struct excerpt e = excerpt_of(prompt, strlen(prompt));
    lens_apply(l, &e, &v);
    return v;
}

static void test_fit_tells_kinds_apart(void **state)
{
    (void)state;
    struct lens_report report;
    struct lens *l = learn(true, 1, &report), *again = learn(true, 1, &report);
    assert_int_equal(memcmp(l, again, sizeof *l), 0);
    assert_true(report.score.n > 100 && report.score.accuracy > 0.99);
    assert_true(report.score.complexity_r2 > 0.8);
    assert_true(report.score.complexity_ece > 0 &&
                report.score.complexity_ece < report.score.complexity_error);
    char bank[256], math[256];
    make_prompt(0, 999, bank, sizeof bank);
    make_prompt(1, 999, math, sizeof math);
    struct lens_view b = view_of(l, bank), m = view_of(l, math);
    assert_true(b.cluster != m.cluster);
    assert_string_equal(l->label[b.label], "bank");
    assert_string_equal(l->label[m.label], "math");
    assert_true(b.complexity < 0.25F && m.complexity > 0.55F);
    free(again);
    free(l);
}

static void test_apply_edges(void **state)
{
    (void)state;
    struct lens_report report;
    struct lens *l = learn(true, 1, &report);
    static char huge[3 * PROMPT_HASHED_MAX];
    memset(huge, 'a', sizeof huge - 1);
    const char *const text[] = {"", " ", "a", "\xff\xfe", "ab", "\xe4\xb8\xad\xe6\x96\x87", huge};
    for (size_t i = 0; i < sizeof text / sizeof *text; i++) {
        struct lens_view v = view_of(l, text[i]), again = view_of(l, text[i]);
        double norm = 0, sum = 0;
        for (int k = 0; k < l->dims; k++)
            norm += (double)v.x[k] * (double)v.x[k];
        for (int k = 0; k < l->labels; k++)
            sum += (double)v.posterior[k];
        assert_true(norm <= 1.0001 && fabs(sum - 1) < 1e-4);
        assert_memory_equal(&v, &again, sizeof v);
    }
    free(l);
}

/* ---- files ---- */

static void test_round_trip_and_damage(void **state)
{
    (void)state;
    static uint8_t bytes[LENS_BYTES_MAX], again[LENS_BYTES_MAX];
    struct lens_report report;
    struct problem problem;
    struct lens *l = learn(true, 1, &report), *read = malloc(sizeof *read);
    size_t n = lens_save(l, bytes, sizeof bytes);
    assert_true(n > 0);
    assert_int_equal(lens_save(l, again, n - 1), 0);
    assert_int_equal(lens_load(bytes, n, read, &problem), STATUS_OK);
    assert_true(read->id != 0);
    assert_int_equal(lens_save(read, again, sizeof again), n);
    assert_memory_equal(bytes, again, n);
    for (size_t i = 0; i < n; i++) {
        bytes[i] ^= 0x10;
        assert_int_equal(lens_load(bytes, n, read, &problem), STATUS_BAD_REQUEST);
        bytes[i] ^= 0x10;
        assert_int_equal(lens_load(bytes, i, read, &problem), STATUS_BAD_REQUEST);
    }
    free(read);
    free(l);
}

/* With a right checksum anything may stand in it: it loads, and then does no harm, or it does not.
 */
static void test_forged(void **state)
{
    (void)state;
    static uint8_t bytes[LENS_BYTES_MAX];
    struct lens_report report;
    struct problem problem;
    struct lens *l = learn(true, 1, &report), *read = malloc(sizeof *read);
    size_t n = lens_save(l, bytes, sizeof bytes);
    struct rng g = rng_stream(17, 1, 1);
    for (int i = 0; i < 4000; i++) {
        size_t at = i < 64 ? 4 + (size_t)i : 4 + (size_t)rng_below(&g, n - 4);
        uint8_t was = bytes[at];
        bytes[at] = (uint8_t)rng_next(&g);
        uint32_t crc = crc32c(bytes + 4, n - 4, 0);
        for (int k = 0; k < 4; k++)
            bytes[k] = (uint8_t)(crc >> 8 * k);
        if (lens_load(bytes, n, read, &problem) == STATUS_OK) {
            struct lens_view v = view_of(read, "theorem of the account");
            for (int k = 0; k < read->dims; k++)
                assert_true(fabsf(v.x[k]) <= 1.001F);
            for (int k = 0; k < read->labels; k++)
                assert_true(v.posterior[k] >= 0 && v.posterior[k] <= 1);
        }
        bytes[at] = was;
    }
    free(read);
    free(l);
}

/* ---- the fold ---- */

static void test_reshape_keeps_the_rest(void **state)
{
    (void)state;
    enum { D = 5, WIDE = 7 };
    const int map[WIDE] = {0, 1, -1, 2, 3, -1, 4}, back[D] = {0, 1, 3, 4, 6};
    struct ridge *narrow = ridge_new(D, 3600000, 0.1, 10);
    struct rng g = rng_stream(4, 1, 1);
    for (int i = 0; i < 200; i++) {
        float x[D] = {1};
        for (int j = 1; j < D; j++)
            x[j] = (float)rng_normal(&g);
        ridge_add(narrow, x, rng_normal(&g) + (double)x[2], 1000000 + i * 1000, 1);
    }
    struct ridge *wide = ridge_reshape(narrow, WIDE, map);
    struct ridge *again = ridge_reshape(wide, D, back);
    assert_true(ridge_refresh(narrow, 2000000) && ridge_refresh(wide, 2000000) &&
                ridge_refresh(again, 2000000));
    for (int i = 0; i < WIDE; i++)
        assert_true(fabs(ridge_theta(wide)[i] - (map[i] >= 0 ? ridge_theta(narrow)[map[i]] : 0)) <
                    1e-12);
    assert_memory_equal(ridge_theta(again), ridge_theta(narrow), D * sizeof(double));
    assert_true(fabs(ridge_sigma2(wide) - ridge_sigma2(narrow)) < 1e-12);
    assert_int_equal(ridge_count(again), 200);
    ridge_free(narrow);
    ridge_free(wide);
    ridge_free(again);
}

enum { LOG_MAX = 2000 };
struct host {
    struct router *router;
    uint8_t *record[LOG_MAX];
    size_t len[LOG_MAX], n;
    int64_t now;
    char json[CONFIG_MAX];
    struct event ev;
    struct problem problem;
};
static const struct router_init INIT = {.seed = 42, .mac_key = {1, 2, 3}, .max_open = 300};

static void keep_event(struct host *h)
{
    static uint8_t bytes[EVENT_BYTES_MAX];
    if (h->ev.kind == EVENT_NONE)
        return;
    size_t n = event_encode(&h->ev, bytes, sizeof bytes);
    assert_true(n > 0 && h->n < LOG_MAX);
    h->record[h->n] = malloc(n);
    memcpy(h->record[h->n], bytes, n);
    h->len[h->n++] = n;
}

static struct host *host_new(void)
{
    static const char config[] =
        "{\"models\":[{\"name\":\"small\",\"tier\":\"small\",\"usd_per_mtok_in\":0.1,"
        "\"usd_per_mtok_out\":0.1},{\"name\":\"big\",\"tier\":\"large\",\"usd_per_mtok_in\":2,"
        "\"usd_per_mtok_out\":8}]}";
    static struct params p;
    struct host *h = calloc(1, sizeof *h);
    h->router = router_new(&INIT);
    h->now = 1700000000000;
    router_start(h->router, h->now, &h->ev);
    keep_event(h);
    assert_int_equal(config_parse(config, strlen(config), &p, NULL, &h->problem), STATUS_OK);
    assert_int_equal(router_configure(h->router, h->now, &p, "test", 0, h->json, sizeof h->json,
                                      &h->ev, &h->problem),
                     STATUS_OK);
    keep_event(h);
    return h;
}

static void host_free(struct host *h)
{
    for (size_t i = 0; i < h->n; i++)
        free(h->record[i]);
    router_free(h->router);
    free(h);
}

static void set_lens(struct host *h, const struct lens *l)
{
    static uint8_t bytes[LENS_BYTES_MAX];
    size_t n = l ? lens_save(l, bytes, sizeof bytes) : 0;
    if (router_set_lens(h->router, h->now, bytes, n, "test", &h->ev, &h->problem) != STATUS_OK)
        fail_msg("%s", h->problem.text);
    keep_event(h);
    memset(bytes, 0xee, sizeof bytes); /* the router has a copy */
}

static void decide(struct host *h, int i, bool dry)
{
    static struct request r;
    static char prompt[256];
    enum route_result result;
    make_prompt(i % 2, (uint64_t)i + 5000, prompt, sizeof prompt);
    memset(&r, 0, sizeof r);
    r.prompt = prompt;
    r.prompt_len = strlen(prompt);
    r.prompt_tokens = -1;
    r.value = 1;
    r.digest = (uint64_t)i;
    r.dry_run = dry;
    h->now += 1000;
    assert_int_equal(router_route(h->router, h->now, &r, &h->ev, &result, &h->problem), STATUS_OK);
}

static void play(struct host *h, int from, int n)
{
    for (int i = from; i < from + n; i++) {
        enum feedback_result result;
        decide(h, i, false);
        keep_event(h);
        struct feedback f = {.epoch = router_epoch(h->router), .seq = h->ev.seq, .version = -1};
        f.mac = decision_mac(f.epoch, f.seq, INIT.mac_key);
        f.has = FB_QUALITY | FB_OUTPUT_TOKENS;
        f.quality = i % 2 && h->ev.decided.arm == 0 ? 0 : 1;
        f.output_tokens = 100 + i % 7;
        f.digest = (uint64_t)i;
        assert_int_equal(router_feedback(h->router, h->now, &f, NULL, &h->ev, &result, &h->problem),
                         STATUS_OK);
        keep_event(h);
    }
}

static struct router *replayed(const struct host *h)
{
    static struct event ev;
    struct problem problem;
    struct router *r = router_new(&INIT);
    for (size_t i = 0; i < h->n; i++) {
        assert_int_equal(event_decode(h->record[i], h->len[i], &ev, &problem), STATUS_OK);
        if (router_apply(r, &ev, &problem) != STATUS_OK)
            fail_msg("%s", problem.text);
    }
    return r;
}

enum { ITEMS_MAX = 64 };
struct items {
    int n;
    uint8_t key[ITEMS_MAX][ITEM_KEY_LEN];
    void *bytes[ITEMS_MAX];
    size_t len[ITEMS_MAX];
};

static void keep_item(void *ctx, const uint8_t key[ITEM_KEY_LEN], const void *bytes, size_t n)
{
    struct items *s = ctx;
    assert_true(s->n < ITEMS_MAX);
    memcpy(s->key[s->n], key, ITEM_KEY_LEN);
    s->bytes[s->n] = malloc(n + 1);
    memcpy(s->bytes[s->n], bytes, n);
    s->len[s->n++] = n;
}

static struct router *restored(struct router *from)
{
    struct items s = {0};
    struct problem problem;
    struct router *r = router_new(&INIT);
    snapshot_write(from, 0, keep_item, &s);
    for (int place = 0; place < 16 * 256; place++) /* in the order of the keys */
        for (int i = 0; i < s.n; i++)
            if (s.key[i][0] == place / 256 && s.key[i][4] == place % 256 &&
                snapshot_load(r, 0, s.key[i], s.bytes[i], s.len[i], &problem) != STATUS_OK)
                fail_msg("%s", problem.text);
    assert_int_equal(snapshot_done(r, 0, &problem), STATUS_OK);
    for (int i = 0; i < s.n; i++)
        free(s.bytes[i]);
    return r;
}

static void test_fold_with_lenses(void **state)
{
    (void)state;
    struct lens_report report;
    struct lens *plain = learn(false, 1, &report), *labelled = learn(true, 2, &report);
    struct host *h = host_new();
    const struct lens *const then[] = {NULL, plain, labelled, plain, NULL};
    for (int i = 0; i < 5; i++) {
        if (i > 0)
            set_lens(h, then[i]);
        assert_int_equal(router_lens(h->router) != NULL, then[i] != NULL);
        play(h, 100 * i, 100);
        struct router *r = replayed(h), *s = restored(h->router);
        assert_int_equal(snapshot_digest(r), snapshot_digest(h->router));
        assert_int_equal(snapshot_digest(s), snapshot_digest(h->router));
        router_free(r);
        router_free(s);
    }
    host_free(h);
    free(plain);
    free(labelled);
}

static void test_new_lens_loses_nothing(void **state)
{
    (void)state;
    struct lens_report report;
    struct lens *l = learn(true, 2, &report);
    struct host *h = host_new();
    float before[2];
    play(h, 0, 300);
    router_tick(h->router, h->now, &h->ev); /* every regression is fresh */
    keep_event(h);
    decide(h, 9001, true);
    assert_int_equal(h->ev.decided.cluster, CLUSTER_NONE);
    uint64_t schema = h->ev.decided.schema;
    for (int a = 0; a < 2; a++)
        before[a] = h->ev.decided.view[a].mean[TARGET_QUALITY];
    set_lens(h, l);
    decide(h, 9001, true);
    assert_true(h->ev.decided.schema != schema);
    for (int a = 0; a < 2; a++)
        assert_true(fabsf(h->ev.decided.view[a].mean[TARGET_QUALITY] - before[a]) < 1e-4F);
    assert_string_equal(h->ev.decided.domain, "math");
    assert_true(h->ev.decided.complexity > 0.5F && h->ev.decided.cluster < 2);
    host_free(h);
    free(l);
}

static void assert_says(const struct text *t, const char *what, bool says)
{
    if ((strstr(t->at, what) != NULL) != says)
        fail_msg("%s %s: %.*s", says ? "not found:" : "not expected:", what, (int)t->len, t->at);
}

/* What was inferred is told with an explanation and in the log: task and complexity with labels,
 * the cluster without, nothing without a lens. */
static void test_told(void **state)
{
    (void)state;
    static char out[65536];
    struct lens_report report;
    struct lens *plain = learn(false, 1, &report), *labelled = learn(true, 1, &report);
    struct host *h = host_new();
    const struct lens *const lens[] = {NULL, plain, labelled};
    for (int i = 0; i < 3; i++) {
        if (i > 0)
            set_lens(h, lens[i]);
        decide(h, 9001, false);
        struct text t = text_over(out, sizeof out);
        reply_decision(&t, &h->ev, &router_params(h->router)->catalog, INIT.mac_key,
                       &(struct reply_ask){.explain = true});
        assert_says(&t, ",\"prompt\":{\"cluster\":", i > 0);
        assert_says(&t, "\"complexity\":0.", i == 2);
        assert_says(&t, "\"domain\":\"math\"}", i == 2);
        t = text_over(out, sizeof out);
        reply_decision(&t, &h->ev, &router_params(h->router)->catalog, INIT.mac_key,
                       &(struct reply_ask){.explain = false});
        assert_says(&t, "complexity", false);
        t = text_over(out, sizeof out);
        event_describe(&h->ev, &t);
        assert_says(&t, "\"cluster\":", i > 0);
        assert_says(&t, "\"complexity\":0.", i == 2);
        assert_says(&t, "\"inferred_domain\":\"math\"", i == 2);
    }
    host_free(h);
    free(plain);
    free(labelled);
}

static void test_refused(void **state)
{
    (void)state;
    struct host *h = host_new();
    uint8_t bytes[64] = {1, 2, 3};
    play(h, 0, 20);
    uint64_t digest = snapshot_digest(h->router);
    assert_int_equal(
        router_set_lens(h->router, h->now, bytes, sizeof bytes, "test", &h->ev, &h->problem),
        STATUS_BAD_REQUEST);
    assert_int_equal(snapshot_digest(h->router), digest);
    host_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_svd_is_gsls),
        cmocka_unit_test(test_kmeans_finds_blobs),
        cmocka_unit_test(test_fit_tells_kinds_apart),
        cmocka_unit_test(test_apply_edges),
        cmocka_unit_test(test_round_trip_and_damage),
        cmocka_unit_test(test_forged),
        cmocka_unit_test(test_reshape_keeps_the_rest),
        cmocka_unit_test(test_fold_with_lenses),
        cmocka_unit_test(test_new_lens_loses_nothing),
        cmocka_unit_test(test_told),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
