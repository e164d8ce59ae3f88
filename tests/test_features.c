/* SPDX-License-Identifier: MIT */
/* From a request to its context vector: the same each time, bounded, telling apart what differs. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "bandit/rng.h"
#include "core/config/config.h"
#include "core/features/features.h"
#include "core/features/shape.h"

/* Where the blocks begin with the default dimensions, and entries of shape that have a meaning of
 * their own. */
enum { SHAPE = 1, DECLARED = SHAPE + SHAPE_DIM, TEXT = DECLARED + 24, CALLER = TEXT + 8 };
enum { CODE = SHAPE + 10, ASKS = SHAPE + 17, LAST_ASKS = SHAPE + 20, SCRIPTS = SHAPE + 24 };

static struct params params;

static int dim(void)
{
    struct layout l = features_layout(&params, NULL);
    return features_dim(&l);
}

static uint64_t schema_of(void)
{
    struct layout l = features_layout(&params, NULL);
    return features_schema(&l);
}
static struct request request;

static void ask(const char *task, const char *prompt, size_t n)
{
    memset(&request, 0, sizeof request);
    params_default(&params);
    request.prompt_tokens = -1;
    strcpy(request.labels.task, task);
    request.prompt = prompt;
    request.prompt_len = n;
}

static void build(float *x, const char *task, const char *prompt)
{
    ask(task, prompt, prompt ? strlen(prompt) : 0);
    features_build(&params, NULL, &request, x, NULL);
}

static double dot(const float *a, const float *b, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

static void check_bounds(const float *x)
{
    const double most = 3 / sqrt(24) + 1e-6;
    for (int i = 0; i < dim(); i++)
        assert_true(isfinite(x[i]));
    assert_true(x[0] == 1);
    for (int i = SHAPE; i < DECLARED; i++)
        assert_true(fabs((double)x[i]) <= most);
    assert_true(dot(x + SHAPE, x + SHAPE, SHAPE_DIM) < 4);
    assert_true(dot(x + DECLARED, x + DECLARED, 24) < 4);
}

/* covers: N4 */
static void test_any_text(void **state)
{
    float x[DIM_MAX], again[DIM_MAX];
    (void)state;
    for (uint64_t k = 0; k < 500; k++) {
        char text[600];
        size_t n = mix64(k) % sizeof text;
        for (size_t i = 0; i < n; i++) /* any bytes: features need no valid UTF-8 */
            text[i] = (char)(mix64(k * 1000 + i) >> 40);
        ask("a:b_c", text, n);
        features_build(&params, NULL, &request, x, NULL);
        memset(again, 0xff, sizeof again);
        features_build(&params, NULL, &request, again, NULL);
        assert_memory_equal(x, again, (size_t)dim() * sizeof *x);
        check_bounds(x);
        assert_true(dot(x + TEXT, x + TEXT, 8) < 16);
    }
    build(x, "", NULL); /* nothing said: bias and lengths only */
    check_bounds(x);
    assert_true(dot(x + DECLARED, x + DECLARED, 24) == 0 && dot(x + TEXT, x + TEXT, 8) == 0);
}

static void test_declared_names(void **state)
{
    static const char *const names[] = {"summary", "contract_analysis", "chat",
                                        "code",    "mmlu:law",          "a"};
    float x[6][DIM_MAX], y[DIM_MAX];
    (void)state;
    for (int i = 0; i < 6; i++)
        build(x[i], names[i], NULL);
    for (int i = 0; i < 6; i++)
        for (int j = 0; j < i; j++)
            assert_true(fabs(dot(x[i] + DECLARED, x[j] + DECLARED, 24)) < 0.75);
    build(y, "mmlu:physics", NULL); /* a shared part brings two names together */
    assert_true(dot(y + DECLARED, x[4] + DECLARED, 24) > dot(y + DECLARED, x[0] + DECLARED, 24));
    ask("", NULL, 0);
    strcpy(request.labels.domain, "summary"); /* the same word in another field is another thing */
    features_build(&params, NULL, &request, y, NULL);
    assert_true(fabs(dot(y + DECLARED, x[0] + DECLARED, 24)) < 0.75);
}

static void test_shape(void **state)
{
    static const char *const scripts[] = {"\xc3\xa4\xc3\xb6\xc3\xbc r\xc3\xa9sum\xc3\xa9",
                                          "\xd0\xbf\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82",
                                          "\xe6\xbc\xa2\xe5\xad\x97", "\xe0\xa4\xb9\xe0\xa4\xbf"};
    float x[DIM_MAX], y[DIM_MAX];
    (void)state;
    for (int i = 0; i < 4; i++) {
        build(x, "", scripts[i]);
        for (int j = 0; j < 4; j++)
            assert_true((x[SCRIPTS + j] > 0) == (i == j));
    }
    build(x, "", "def f(x):\n    return g() == h()\n");
    build(y, "", "Please tell me a story of the sea.");
    assert_true(x[CODE] > y[CODE]);
    build(x, "", "What is the capital of France?");
    assert_true(x[ASKS] > 0 && x[LAST_ASKS] > 0 && y[ASKS] == 0 && y[LAST_ASKS] == 0);
}

/* The caller's own: a projection keeps likeness and sign, and size does not run away. */
static void test_caller(void **state)
{
    float x[DIM_MAX], y[DIM_MAX];
    (void)state;
    for (int n = 1; n <= EMBEDDING_MAX; n *= 4) {
        ask("", NULL, 0);
        request.n_embedding = n;
        for (int i = 0; i < n; i++)
            request.embedding[i] = (float)(mix64((uint64_t)i) % 2000000) - 1e6f;
        features_build(&params, NULL, &request, x, NULL);
        double size = dot(x + CALLER, x + CALLER, 16);
        assert_true(size > 0.05 && size < 4);
        for (int i = 0; i < n; i++)
            request.embedding[i] *= -0.5f;
        features_build(&params, NULL, &request, y, NULL);
        assert_true(fabs(dot(x + CALLER, y + CALLER, 16) + size) < 1e-3);
    }
    ask("", NULL, 0);
    request.n_features = 2;
    request.feature[0] = (struct named_feature){"depth", 1e6, 11};
    request.feature[1] = (struct named_feature){"width", -1e-6, 12};
    features_build(&params, NULL, &request, x, NULL);
    double size = dot(x + CALLER, x + CALLER, 16);
    assert_true(size > 0.5 && size < 2); /* any unit of measure */
}

/* Of a long prompt the first and last 16 KiB are looked at, and its length. */
static void test_long_prompt(void **state)
{
    enum { LONG = 100 * 1024 };
    char *text = malloc(LONG);
    float x[DIM_MAX], y[DIM_MAX];
    (void)state;
    memset(text, 'a', LONG);
    for (size_t i = 7; i < LONG; i += 8)
        text[i] = ' ';
    struct excerpt e = excerpt_of(text, LONG);
    assert_ptr_equal(e.part[0], text);
    assert_ptr_equal(e.part[1] + e.len[1], text + LONG);
    assert_true(e.len[0] == PROMPT_HASHED_MAX && e.len[1] == PROMPT_HASHED_MAX);
    ask("", text, LONG);
    assert_in_range(features_tokens(&request), LONG / 5, LONG / 3);
    features_build(&params, NULL, &request, x, NULL);
    check_bounds(x);
    memset(text + LONG / 2, '?', 1000); /* not seen */
    features_build(&params, NULL, &request, y, NULL);
    assert_memory_equal(x, y, sizeof(float) * (size_t)dim());
    memset(text + LONG - 1000, '?', 1000); /* seen */
    features_build(&params, NULL, &request, y, NULL);
    assert_true(y[LAST_ASKS] > 0);
    free(text);
    ask("", NULL, 0);
    assert_int_equal(features_tokens(&request), 0);
}

/* covers: S12 */
static void test_schema(void **state)
{
    (void)state;
    params_default(&params);
    uint64_t schema = schema_of();
    assert_int_equal(dim(), CALLER + 16);
    assert_true(schema != 0 && schema == schema_of());
    params.features.dim_text++;
    assert_true(schema_of() != schema);
    params.features.dim_text--;
    params.features.dim_declared--; /* the same total, cut otherwise */
    params.features.dim_caller++;
    assert_true(schema_of() != schema);
    params_default(&params);
    params.features.shape = false;
    assert_true(schema_of() != schema);
    assert_int_equal(dim(), CALLER + 16 - SHAPE_DIM);
    double precision[DIM_MAX];
    struct layout layout = features_layout(&params, NULL);
    features_precision(&params, &layout, TARGET_QUALITY, &(struct precision_scale){2, 3, 1},
                       precision);
    assert_true(precision[0] == params.learner.precision_bias &&
                precision[1] == 2 * params.learner.precision_declared &&
                precision[25] == 3 * params.learner.precision_text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_text),    cmocka_unit_test(test_declared_names),
        cmocka_unit_test(test_shape),       cmocka_unit_test(test_caller),
        cmocka_unit_test(test_long_prompt), cmocka_unit_test(test_schema),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
