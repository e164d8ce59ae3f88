/* SPDX-License-Identifier: MIT */
/* Tables and traces in the shapes that others publish, and what they are refused for. */
#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "bandit/rng.h"
#include "core/config/config.h"
#include "sim/play/flight.h"
#include "sim/replay/replay.h"
#include "sim/run/experiment.h"
#include "sim/setup.h"
#include "sim/tables/csv.h"
#include "sim/tables/table.h"
#include "sim/tables/trace.h"

/* Short decimals go another way than through strtod; to the same bits. */
static void numbers(void **state)
{
    static const char *const odd[] = {"",      "-",   ".",   "-.",
                                      "1.2.3", "1 ",  "0x",  "nan",
                                      "1e999", "--1", "1,5", "12345678901234567890x"};
    struct rng r = rng_stream(8, 1, 0);
    char text[64];
    double v;
    (void)state;
    for (int i = 0; i < 200000; i++) {
        int behind = (int)rng_below(&r, 12), ahead = (int)rng_below(&r, 14);
        double x = (rng_uniform(&r) - .5) * pow(10, ahead - 6);
        snprintf(text, sizeof text, i % 3 ? "%.*f" : i % 2 ? "%.*g" : "%.*e", behind, x);
        double want = strtod(text, NULL);
        assert_true(csv_number(text, &v));
        assert_memory_equal(&v, &want, sizeof v);
    }
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
        assert_false(csv_number(odd[i], &v));
    assert_true(csv_number("-0", &v) && signbit(v));
    assert_true(csv_number("5.", &v) && csv_number(".5", &v));
}

struct folder {
    char dir[64], path[96];
};

static int setup(void **state)
{
    struct folder *f = calloc(1, sizeof *f);
    assert_non_null(f);
    strcpy(f->dir, "/tmp/purser_traces_XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->path, sizeof f->path, "%s/x.csv", f->dir);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct folder *f = *state;
    char path[96];
    snprintf(path, sizeof path, "%s/models.json", f->dir);
    unlink(path);
    unlink(f->path);
    rmdir(f->dir);
    free(f);
    return 0;
}

static void put(const char *path, const char *text)
{
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    assert_true(fputs(text, out) >= 0);
    assert_int_equal(fclose(out), 0);
}

static void says(const struct problem *p, const char *want)
{
    if (strstr(p->text, want) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", p->text, want);
}

static const char routellm[] = "\xef\xbb\xbfprompt,mixtral-8x7b,gpt-4,mixtral-8x7b_response,"
                               "gpt-4_response\r\n"
                               "\"Find \"\"x\"\",\nplease.\",True,False,\"one, two\",\r\n"
                               "\r\n"
                               "Janet's ducks,false,TRUE,,yes\r\n";
static const char prices[] = "mixtral-8x7b=0.6:0.6,gpt-4=10:30";

static void routellm_shape(void **state)
{
    struct folder *f = *state;
    struct problem p = {0};
    struct table t;
    put(f->path, routellm);
    assert_int_equal(table_load_csv(f->path, NULL, &t, &p), STATUS_BAD_REQUEST);
    says(&p, "--prices");
    assert_int_equal(table_load_csv(f->path, prices, &t, &p), STATUS_OK);
    assert_int_equal(t.n, 2);
    assert_int_equal(t.n_models, 2);
    assert_string_equal(table_prompt(&t, 0), "Find \"x\",\nplease.");
    assert_string_equal(table_id(&t, 1), "line-5");
    assert_true(t.q[0] > 0.5 && t.q[1] < 0.5 && t.q[2] < 0.5 && t.q[3] > 0.5);
    assert_int_equal(t.in[0], 5); /* 17 bytes */
    assert_int_equal(t.out[0], 2);
    assert_int_equal(t.out[1], 1);                       /* an answer has one at least */
    assert_int_equal(t.cost_nano[0], 600 * 5 + 600 * 2); /* 0.6 dollars a million, in and out */
    assert_int_equal(t.cost_nano[1], 10000 * 5 + 30000 * 1);
    table_free(&t);
    static const char *const bad[][2] = {{"gpt-5=1:1", "gpt-5"},
                                         {"gpt-4", "NAME="},
                                         {"gpt-4=1", "IN:OUT"},
                                         {"gpt-4=-1:1", "IN:OUT"},
                                         {"gpt-4=1:2x", "IN:OUT"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(table_load_csv(f->path, bad[i][0], &t, &p), STATUS_BAD_REQUEST);
        says(&p, bad[i][1]);
    }
}

static void prices_beside_the_file(void **state)
{
    struct folder *f = *state;
    struct problem p = {0};
    struct table t;
    char path[96];
    snprintf(path, sizeof path, "%s/models.json", f->dir);
    put(f->path, routellm);
    put(path, "{\"models\":[{\"name\":\"gpt-4\",\"usd_per_mtok_in\":10,\"usd_per_mtok_out\":30},"
              "{\"name\":\"mixtral-8x7b\",\"usd_per_mtok_in\":1,\"usd_per_mtok_out\":2}]}");
    assert_int_equal(table_load(f->path, &t, &p), STATUS_OK); /* table_load takes files as well */
    assert_int_equal(t.cost_nano[0], 1000 * 5 + 2000 * 2);
    table_free(&t);
}

static const char routerbench[] =
    "sample_id,prompt,eval_name,W/13B,gpt-4,W/13B|model_response,gpt-4|model_response,"
    "W/13B|total_cost,gpt-4|total_cost,oracle_model_to_route_to\n"
    "mmlu.1,['what?'],mmlu,0.0,1.0,['a'],['bcdef'],0.0001,0.002,gpt-4\n"
    "mmlu.2,['what?'],mmlu,0.25,1.0,['a'],['bcdef'],0.0003,0.002,gpt-4\n";

static void routerbench_shape(void **state)
{
    struct folder *f = *state;
    struct problem p = {0};
    struct table t;
    put(f->path, routerbench);
    assert_int_equal(table_load(f->path, &t, &p), STATUS_OK);
    assert_int_equal(t.n_models, 2);
    assert_string_equal(t.model[0].name, "W/13B");
    assert_string_equal(table_id(&t, 1), "mmlu.2");
    assert_string_equal(table_task(&t, 1), "mmlu");
    assert_int_equal(t.cost_nano[2], 300000);
    assert_true(fabs(t.q[2] - 0.25) < 1e-12);
    assert_int_equal(t.in[0], 3);
    assert_int_equal(t.out[1], 3);
    /* 0.0004 dollars for 2 x (3 + 2) tokens */
    assert_true(fabs(t.model[0].usd_in - 40) < 1e-9 && fabs(t.model[0].usd_out - 40) < 1e-9);
    table_free(&t);
}

static void tables_are_refused_by_place(void **state)
{
    struct folder *f = *state;
    static const struct {
        const char *text, *want;
    } bad[] = {
        {"", ":1: no header"},
        {"prompt,a\n", "no rows"},
        {"a,b\n1,1\n", ":1: there is no column prompt"},
        {"prompt,a_response\nx,y\n", "no column of a model"},
        {"prompt,a,a\nx,1,1\n", ":1: column 3 (a): models 0 and 1"},
        {"prompt,a,b,a|total_cost\nx,1,1,1\n", ":1: column 3 (b): has no |total_cost"},
        {"prompt,a\nx,1,1\n", ":2: 3 cells, the header has 2"},
        {"prompt,a\n\nx,1\n\"x\ny\",Flase\n", ":4: column 2 (a): expected True, False or 0 to 1, "
                                              "found \"Flase\""},
        {"prompt,a\nx,1.5\n", ":2: column 2 (a): expected"},
        {"prompt,a\nx,\n", ":2: column 2 (a): expected"},
        {"prompt,a\nx,nan\n", ":2: column 2 (a): expected"},
        {"prompt,a,a|total_cost\nx,1,-1\n", ":2: column 3 (a|total_cost): expected dollars"},
        {"prompt,a,a|total_cost\nx,1,\n", ":2: column 3 (a|total_cost): expected dollars"},
        {"prompt,a\nx,1\n\"x,1\n", ":3: a quote is opened and never closed"},
        {"id,prompt,a,a|total_cost\nr,x,1,1\nr,y,1,1\n", ":3: id \"r\" is already that of line 2"},
        {"id,prompt,a,a|total_cost\n,x,1,1\n", ":2: column 1 (id): is empty"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct problem p = {0};
        struct table t;
        put(f->path, bad[i].text);
        assert_int_equal(table_load_csv(f->path, NULL, &t, &p), STATUS_BAD_REQUEST);
        says(&p, bad[i].want);
    }
}

static void azure_shape(void **state)
{
    struct folder *f = *state;
    struct problem p = {0};
    struct trace t;
    put(f->path, "TIMESTAMP,ContextTokens,GeneratedTokens\n"
                 "2023-11-16 18:15:46.6805900,374,44\n"
                 "2023-11-16 18:15:50.9951690,396,109\n"
                 "2023-11-16 18:16:00.0000000+00:00,879,55\n");
    assert_int_equal(trace_load(f->path, 100, 1, &t, &p), STATUS_OK);
    assert_int_equal(t.n, 3);
    assert_int_equal(t.at_ms[1], 4315); /* 4.314579 s */
    assert_int_equal(t.at_ms[2], 13319);
    assert_int_equal(t.in[1], 396);
    assert_int_equal(t.out[2], 55);
    assert_null(t.client);
    trace_free(&t);
    assert_int_equal(trace_load(f->path, 2, 1, &t, &p), STATUS_OK);
    assert_int_equal(t.n, 2);
    trace_free(&t);
}

/* Two clients, one twice as fast, both silent in the second half. */
static void rates_shape(void **state)
{
    enum { N = 20000 };
    struct folder *f = *state;
    struct problem p = {0};
    struct trace t, again;
    put(f->path, "client,t_s,rate_rps,cv\n7,0,20,1\n7,600,20,1\n9,0,40,2\n9,600,40,2\n"
                 "7,1200,0,1\n9,1800,0,1\n");
    assert_int_equal(trace_load(f->path, N, 1, &t, &p), STATUS_OK);
    assert_int_equal(trace_load(f->path, N, 1, &again, &p), STATUS_OK);
    assert_true(t.n > 0.95 * N && t.n <= N);
    size_t of_7 = 0, first_half = 0;
    for (size_t i = 0; i < t.n; i++) {
        of_7 += t.client[i] == 7;
        first_half += t.at_ms[i] < 600000;
        assert_true(t.client[i] == 7 || t.client[i] == 9);
        assert_true(i == 0 || t.at_ms[i] >= t.at_ms[i - 1]);
        assert_true(t.at_ms[i] <= 1200000);
    }
    assert_true(fabs((double)of_7 / (double)t.n - 1.0 / 3) < 0.02);
    assert_true(fabs((double)first_half / (double)t.n - 0.5) < 0.03);
    assert_int_equal(again.n, t.n);
    assert_memory_equal(again.at_ms, t.at_ms, t.n * sizeof *t.at_ms);
    trace_free(&again);
    trace_free(&t);
}

static const char *const chunk_names[] = {"chunk-7-trace.csv", "chunk-7-dataset.json",
                                          "chunk-9-trace.csv", "chunk-9-dataset.json"};

static const char *chunk(const struct folder *f, int i)
{
    static char path[160];
    snprintf(path, sizeof path, "%s/%s", f->dir, chunk_names[i]);
    return path;
}

static int teardown_chunks(void **state)
{
    struct folder *f = *state;
    for (int i = 0; i < 4; i++)
        unlink(chunk(f, i));
    return teardown(state);
}

/* A folder of pairs is the same requests as the file of their rates; lengths are those of the
 * client, of the epoch that has begun. */
static void chunks_shape(void **state)
{
    enum { N = 20000 };
    struct folder *f = *state;
    struct problem p = {0};
    struct trace t, rates;
    size_t early[2] = {0}, late[2] = {0};
    put(f->path,
        "client,t_s,rate_rps,cv\n7,0,20,1\n7,600,20,1\n7,1200,0,0\n9,0,40,2\n9,600,40,2\n");
    put(chunk(f, 0), "0,20,1,Gamma,1,0.05\r\n600,20,1,Weibull,1,0.05\n1200,0,0,,0,0\n");
    put(chunk(f, 1),
        "{\"0\":{\"input_tokens\":\"{11: 0.25, 12: 0.75}\",\"output_tokens\":\"{5: 1}\"},"
        "\"600\":{\"input_tokens\":\"{13: 0.5}\",\"output_tokens\":\"{6:0.5,7:0.5}\","
        "\"reason_ratio\":\"{0.1: 1}\"},"
        "\"900\":{\"input_tokens\":\"{}\",\"output_tokens\":\"{}\"}}");
    put(chunk(f, 2), "0,40,2,Gamma,1,0.05\n600,40,2,Gamma,1,0.05\n");
    put(chunk(f, 3), "{\"1200\":{\"input_tokens\":\"{21: 1}\",\"output_tokens\":\"{22: 1}\"}}");
    assert_int_equal(trace_load(f->path, N, 1, &rates, &p), STATUS_OK);
    assert_int_equal(trace_load(f->dir, N, 1, &t, &p), STATUS_OK);
    assert_int_equal(t.n, rates.n);
    assert_memory_equal(t.at_ms, rates.at_ms, t.n * sizeof *t.at_ms);
    assert_memory_equal(t.client, rates.client, t.n * sizeof *t.client);
    for (size_t i = 0; i < t.n; i++) {
        if (t.client[i] == 9) {
            assert_true(t.in[i] == 21 && t.out[i] == 22);
            continue;
        }
        bool first = t.out[i] == 5;
        assert_true(first ? t.in[i] == 11 || t.in[i] == 12
                          : t.in[i] == 13 && (t.out[i] == 6 || t.out[i] == 7));
        assert_true(first ? t.at_ms[i] < 601000 : t.at_ms[i] > 599000); /* since the first one */
        early[0] += first;
        early[1] += first && t.in[i] == 11;
        late[0] += !first;
        late[1] += t.out[i] == 6;
    }
    assert_true(fabs((double)early[1] / (double)early[0] - 0.25) < 0.05); /* 6 deviations */
    assert_true(fabs((double)late[1] / (double)late[0] - 0.5) < 0.06);
    trace_free(&t);
    assert_int_equal(trace_load(chunk(f, 2), 100, 1, &t, &p), STATUS_OK); /* one client alone */
    assert_true(t.n > 0 && t.client[0] == 9 && t.in[0] == 21);
    trace_free(&t);
    trace_free(&rates);
    unlink(chunk(f, 1));
    unlink(chunk(f, 3));
    assert_int_equal(trace_load(f->dir, N, 1, &t, &p), STATUS_OK);
    assert_null(t.in);
    trace_free(&t);
}

static void chunks_are_refused_by_place(void **state)
{
    struct folder *f = *state;
    static const char fine[] = "0,40,2,Gamma,1,0.05\n",
                      lengths[] =
                          "{\"0\":{\"input_tokens\":\"{1: 1}\",\"output_tokens\":\"{1: 1}\"}}";
    static const struct {
        const char *windows, *lengths, *want;
    } bad[] = {
        {NULL, NULL, "no chunk-N-trace.csv"},
        {"", NULL, "no requests"},
        {"0,0,0,,0,0\n", NULL, "no requests"},
        {"0,1\n", NULL, "chunk-7-trace.csv:1: expected start,rate,cv"},
        {"0,1,1,Gamma,1,1,1\n", NULL, "chunk-7-trace.csv:1: expected start,rate,cv"},
        {"0,1,1,Gamma,1,1\nx,1,1,Gamma,1,1\n", NULL, "chunk-7-trace.csv:2: expected seconds"},
        {"0,-1,1,Gamma,1,1\n", NULL, "chunk-7-trace.csv:1: expected requests"},
        {"0,1,,Gamma,1,1\n", NULL, "chunk-7-trace.csv:1: expected a coefficient"},
        {"0,1,1,Gamma,1,1\n0,2,1,Gamma,1,1\n", NULL,
         "chunk-7-trace.csv:2: has the window of line 1"},
        {fine, "{", "chunk-7-dataset.json:1: "},
        {fine, "{}", "no lengths of requests"},
        {fine, "{\"noon\":{}}", "\"noon\": the name of each member must be seconds"},
        {fine, "{\"0\":{\"input_tokens\":\"{1: 1}\"}}", "\"0\": needs \"input_tokens\""},
        {fine, "{\"0\":{\"input_tokens\":\"{1: 1\",\"output_tokens\":\"{1: 1}\"}}", "\"0\": needs"},
        {fine, "{\"0\":{\"input_tokens\":\"{-1: 1}\",\"output_tokens\":\"{1: 1}\"}}",
         "\"0\": needs"},
        {fine, "{\"0\":{\"input_tokens\":\"{1: 0}\",\"output_tokens\":\"{1: 1}\"}}",
         "\"0\": needs"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct problem p = {0};
        struct trace t;
        if (bad[i].windows != NULL)
            put(chunk(f, 0), bad[i].windows);
        if (bad[i].lengths != NULL)
            put(chunk(f, 1), bad[i].lengths);
        assert_int_equal(trace_load(f->dir, 10, 1, &t, &p), STATUS_BAD_REQUEST);
        says(&p, bad[i].want);
    }
    struct problem p = {0};
    struct trace t;
    put(chunk(f, 1), lengths);
    put(chunk(f, 2), fine);
    assert_int_equal(trace_load(f->dir, 10, 1, &t, &p), STATUS_BAD_REQUEST);
    says(&p, "chunk-9-dataset.json is missing");
}

/* Gaps keep their coefficient of variation when all requests are kept, and get more even when a
 * share is: 1 + share (cv^2 - 1). */
static void gaps_vary_as_told(void **state)
{
    struct folder *f = *state;
    static const struct {
        size_t n;
        double cv2;
    } want[] = {{100000, 9}, {10000, 1.8}};
    struct problem p = {0};
    put(f->path, "client,t_s,rate_rps,cv\n1,0,100,3\n1,1000,0,3\n");
    for (size_t k = 0; k < 2; k++) {
        struct trace t;
        double sum = 0, square = 0;
        assert_int_equal(trace_load(f->path, want[k].n, 3, &t, &p), STATUS_OK);
        for (size_t i = 1; i < t.n; i++) {
            double gap = (double)(t.at_ms[i] - t.at_ms[i - 1]);
            sum += gap;
            square += gap * gap;
        }
        double n = (double)(t.n - 1), mean = sum / n,
               cv2 = (square / n - mean * mean) / mean / mean;
        if (fabs(cv2 / want[k].cv2 - 1) > 0.15)
            fail_msg("%zu requests: squared variation %g, expected %g", t.n, cv2, want[k].cv2);
        trace_free(&t);
    }
}

static void traces_are_refused_by_place(void **state)
{
    struct folder *f = *state;
    static const struct {
        const char *text, *want;
    } bad[] = {
        {"TIMESTAMP,ContextTokens\n", ":1: needs columns TIMESTAMP,ContextTokens,GeneratedTokens"},
        {"t_s,in_tokens,out_tokens\n", "no requests"},
        {"t_s,in_tokens,out_tokens\n1,2,3\n0.5,2,3\n", ":3: column 1 (t_s): is earlier"},
        {"t_s,in_tokens,out_tokens\nnoon,2,3\n", ":2: column 1 (t_s): expected seconds"},
        {"t_s,in_tokens,out_tokens\n2023-11-16 18:15:46.68x,2,3\n", ":2: column 1 (t_s)"},
        {"t_s,in_tokens,out_tokens\n1,-2,3\n", ":2: column 2 (in_tokens): expected a number"},
        {"t_s,in_tokens,out_tokens\n1,2,many\n", ":2: column 3 (out_tokens): expected a number"},
        {"t_s,in_tokens,out_tokens\n1,2\n", ":2: 2 cells, the header has 3"},
        {"client,t_s,rate_rps\n1,2,3\n", "client,t_s,rate_rps,cv"},
        {"client,t_s,rate_rps,cv\n1,2,-3,1\n", ":2: column 3 (rate_rps): expected requests"},
        {"client,t_s,rate_rps,cv\nx,2,3,1\n", ":2: column 1 (client): expected the number"},
        {"client,t_s,rate_rps,cv\n1,2,3,1\n1,2,3,1\n", ":3: client 1 has this window twice"},
        {"client,t_s,rate_rps,cv\n1,2,0,1\n", "no requests"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct problem p = {0};
        struct trace t;
        put(f->path, bad[i].text);
        assert_int_equal(trace_load(f->path, 10, 1, &t, &p), STATUS_BAD_REQUEST);
        says(&p, bad[i].want);
    }
}

/* Tokens are the trace's on average over models; a call costs what it did relative to the list. */
static void onto_a_table(void **state)
{
    struct table t = {.n_models = 2}, out;
    struct problem p = {0};
    int64_t at[] = {0, 5, 9};
    int32_t in[] = {20, 40, 60}, to[] = {10, 100, 1000};
    uint32_t client[] = {3, 4, 3}, row[] = {0, 1};
    struct trace trace = {.n = 3, .at_ms = at, .in = in, .out = to, .client = client};
    struct table_cells cells = {.in = {10, 30},
                                .out = {5, 15},
                                .q = {0.5, 1},
                                .cost_nano = {2 * (1000 * 10 + 2000 * 5), 1000 * 30 + 3000 * 15},
                                .lat_ms = {1, 2}};
    char tenant[NAME_CAP];
    (void)state;
    assert_int_equal(table_set_model(&t, 0, "a", "", 1, 2, &p), STATUS_OK);
    assert_int_equal(table_set_model(&t, 1, "b", "", 1, 3, &p), STATUS_OK);
    for (int i = 0; i < 2; i++)
        assert_int_equal(table_add(&t, i ? "y" : "x", "t", "p", 1, 0, &cells, &p), STATUS_OK);
    assert_int_equal(trace_onto(&trace, &t, row, 2, 1, &out, &p), STATUS_OK);
    assert_int_equal(out.n, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(out.in[2 * i], in[i] / 2);
        assert_int_equal(out.in[2 * i + 1], in[i] / 2 * 3);
        assert_int_equal(out.out[2 * i], to[i] / 2);
        assert_int_equal(out.out[2 * i + 1], to[i] / 2 * 3);
        assert_int_equal(out.cost_nano[2 * i], 2000 * (in[i] / 2 + 2 * (to[i] / 2)));
    }
    assert_string_equal(table_id(&out, 0), table_id(&out, 2)); /* two rows, again from the front */
    assert_string_not_equal(table_id(&out, 0), table_id(&out, 1));
    trace_tenant(&trace, 1, tenant);
    assert_string_equal(tenant, "c4");
    table_free(&out);
    table_free(&t);
}

/* A strict pool of one hour, over a trace of three: what one hour does not spend, no other does;
 * feedback that comes seconds later is heard by seconds, not by requests. */
static void replayed_in_virtual_time(void **state)
{
    enum { ROWS = 300 };
    struct table t = {.n_models = 1};
    struct problem p = {0};
    struct params *params = malloc(sizeof *params);
    struct replay_report got[2];
    int64_t at[ROWS];
    int32_t in[ROWS], to[ROWS];
    struct trace trace = {.n = ROWS, .at_ms = at, .in = in, .out = to};
    (void)state;
    assert_non_null(params);
    assert_int_equal(table_set_model(&t, 0, "a", "", 1, 1, &p), STATUS_OK);
    for (int i = 0; i < ROWS; i++) {
        struct table_cells cells = {
            .in = {100}, .out = {100}, .q = {1}, .cost_nano = {200000}, .lat_ms = {TABLE_UNKNOWN}};
        char id[16];
        snprintf(id, sizeof id, "r%d", i);
        assert_int_equal(table_add(&t, id, "t", "p", 1, 0, &cells, &p), STATUS_OK);
        at[i] = (i / 100) * (int64_t)3600000 + i % 100 * 1000;
        in[i] = to[i] = 100;
    }
    for (int k = 0; k < 2; k++) {
        params_default(params);
        assert_int_equal(setup_pool(params, &t, &p), STATUS_OK);
        /* 50 requests an hour: 0.0002 dollars each, none of it given back late */
        assert_int_equal(setup_text(params,
                                    "{\"pools\":[{\"name\":\"h\",\"window\":\"hour\",\"usd\":0.01}]"
                                    "}",
                                    &p),
                         STATUS_OK);
        struct replay r = {.table = &t,
                           .params = params,
                           .trace = k == 0 ? &trace : NULL,
                           .max_output_tokens = 100,
                           .delay = {.mean = 5, .seconds = true},
                           .seeds = 1,
                           .first_seed = 1,
                           .crew = {.workers = 1}};
        assert_int_equal(replay_run(&r, &got[k], &p), STATUS_OK);
    }
    /* Three hours with the trace, one (300 s) without. */
    assert_true(fabs(got[0].refused.mean * ROWS - 150) <= 6);
    assert_true(fabs(got[1].refused.mean * ROWS - 250) <= 2);
    free(params);
    table_free(&t);
}

/* An experiment under a trace: as many requests, at its times, of its lengths, in an order of each
 * seed's own. */
static void experiment_under_a_trace(void **state)
{
    struct folder *f = *state;
    struct experiment *e = calloc(1, sizeof *e);
    struct problem p = {0};
    struct course c[2];
    char text[512];
    put(f->path,
        "t_s,in_tokens,out_tokens\n0,30,10\n7.5,40,20\n3600,50,30\n3600,50,40\n3600,50,50\n"
        "3600,50,60\n3600,50,70\n3600,50,80\n");
    snprintf(text, sizeof text,
             "{\"world\":{\"base\":\"clusters12\",\"requests\":40},\"trace\":\"%s\","
             "\"policies\":[{\"name\":\"a\"}]}",
             f->path);
    json_t *root = json_loads(text, 0, NULL);
    assert_non_null(e);
    if (experiment_read(root, "", e, &p) != STATUS_OK)
        fail_msg("%s: %s", p.path, p.text);
    uint64_t digest = e->digest;
    const struct course_of of = {&e->world, e->spec, &e->disturbances, e->count, e->n, e->trace};
    assert_int_equal(e->n, 8);
    for (int k = 0; k < 2; k++) {
        assert_int_equal(course_make(&of, (uint64_t)k + 1, &c[k], &p), STATUS_OK);
        assert_int_equal(c[k].clock_ms[1], 7500);
        assert_int_equal(c[k].clock_ms[2], 3600000);
        for (size_t i = 0; i < 8; i++) {
            double out = 0;
            for (int m = 0; m < c[k].table.n_models; m++)
                out += c[k].table.out[table_cell(&c[k].table, i, m)];
            assert_true(fabs(out / c[k].table.n_models - 10 * (double)(i + 1)) <= 0.5);
        }
    }
    assert_memory_not_equal(c[0].source, c[1].source, 8 * sizeof *c[0].source);
    course_free(&c[0]);
    course_free(&c[1]);
    experiment_free(e);
    put(f->path, "t_s,in_tokens,out_tokens\n0,30,10\n7.5,40,20\n3600,50,31\n");
    assert_int_equal(experiment_read(root, "", e, &p), STATUS_OK);
    assert_true(e->digest != digest); /* another trace makes other jobs */
    experiment_free(e);
    put(f->path, "t_s,in_tokens,out_tokens\n0,30,ten\n");
    assert_int_not_equal(experiment_read(root, "", e, &p), STATUS_OK);
    assert_string_equal(p.path, "/trace");
    says(&p, ":2: column 3 (out_tokens)");
    json_decref(root);
    free(e);
}

static void delays_in_seconds(void **state)
{
    struct delay d;
    (void)state;
    assert_true(delay_parse("30s", &d) && d.seconds && d.mean == 30 && !d.random);
    assert_true(delay_parse("exp:30s", &d) && d.seconds && d.random);
    assert_true(delay_parse("30", &d) && !d.seconds);
    assert_false(delay_parse("s", &d));
    assert_false(delay_parse("30ss", &d));
    d = (struct delay){.mean = 30, .seconds = true};
    assert_int_equal(delay_due(d, 1, 7, 1000, 250), 1000 + 30000 + 250);
    assert_int_equal(delay_due(d, 1, 7, 1000, -1), 31000);
    d.seconds = false;
    assert_int_equal(delay_due(d, 1, 7, 1000, 250), 37);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(routellm_shape, setup, teardown),
        cmocka_unit_test_setup_teardown(prices_beside_the_file, setup, teardown),
        cmocka_unit_test_setup_teardown(routerbench_shape, setup, teardown),
        cmocka_unit_test_setup_teardown(tables_are_refused_by_place, setup, teardown),
        cmocka_unit_test_setup_teardown(azure_shape, setup, teardown),
        cmocka_unit_test_setup_teardown(rates_shape, setup, teardown),
        cmocka_unit_test_setup_teardown(chunks_shape, setup, teardown_chunks),
        cmocka_unit_test_setup_teardown(chunks_are_refused_by_place, setup, teardown_chunks),
        cmocka_unit_test_setup_teardown(gaps_vary_as_told, setup, teardown),
        cmocka_unit_test_setup_teardown(traces_are_refused_by_place, setup, teardown),
        cmocka_unit_test(numbers),
        cmocka_unit_test(onto_a_table),
        cmocka_unit_test(replayed_in_virtual_time),
        cmocka_unit_test_setup_teardown(experiment_under_a_trace, setup, teardown),
        cmocka_unit_test(delays_in_seconds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
