/* SPDX-License-Identifier: MIT */
/* CSV files as tables and as traces: what is accepted is within its bounds, what is refused says
 * why and where. */
#include "tests/fuzz/fuzz.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "sim/tables/table.h"
#include "sim/tables/trace.h"

size_t fuzz_seed(int i, uint8_t *out, size_t cap)
{
    static const char *const texts[] = {
        "prompt,a,b,a_response,b_response\n\"x, \"\"y\"\"\n\",True,False,yes,\"no, "
        "no\"\nz,0.5,1,,\n",
        "sample_id,prompt,eval_name,a,b,a|model_response,a|total_cost,b|total_cost,"
        "oracle_model_to_route_to\nm.1,p,t,0.0,1.0,r,0.001,0.02,b\nm.2,p,t,0.0,1.0,r,0.001,0.02,"
        "a\n",
        "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.6805900,374,44\n"
        "2023-11-16 18:15:50.9951690,396,109\n",
        "t_s,in_tokens,out_tokens\n0.0,374,44\n4.314579,396,109\n",
        "client,t_s,rate_rps,cv\n35,0,8.34,1.359\n35,600,10.79,0.8761\n36,600,1.79,148.6\n",
        NULL};
    return fuzz_text(texts, i, out, cap);
}

static void as_table(const char *path)
{
    struct table t;
    struct problem p = {0};
    if (table_load_csv(path, "a=1:2,b=3:4", &t, &p) != STATUS_OK) {
        PROMISE(p.text[0] != '\0');
        return;
    }
    PROMISE(t.n > 0 && t.n_models >= 1 && t.n_models <= MODELS_MAX);
    for (size_t i = 0; i < t.n * (size_t)t.n_models; i++)
        PROMISE(t.q[i] >= 0 && t.q[i] <= 1 && t.cost_nano[i] >= 0 && t.in[i] >= 1);
    for (int m = 0; m < t.n_models; m++)
        PROMISE(t.model[m].usd_in >= 0 && t.model[m].usd_out >= 0);
    table_free(&t);
}

static void as_trace(const char *path)
{
    struct trace t;
    struct problem p = {0};
    if (trace_load(path, 500, 1, &t, &p) != STATUS_OK) {
        PROMISE(p.text[0] != '\0');
        return;
    }
    PROMISE(t.n > 0 && t.n <= 500 && t.at_ms[0] == 0);
    for (size_t i = 1; i < t.n; i++)
        PROMISE(t.at_ms[i] >= t.at_ms[i - 1]);
    for (size_t i = 0; t.in != NULL && i < t.n; i++)
        PROMISE(t.in[i] >= 0 && t.out[i] >= 0);
    trace_free(&t);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    char path[64];
    int fd = memfd_create("csv", 0);
    PROMISE(fd >= 0 && write(fd, bytes, n) == (ssize_t)n);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    as_table(path);
    as_trace(path);
    close(fd);
    return 0;
}
