/* SPDX-License-Identifier: MIT */
/*
 * Decisions that others logged, for evaluation: CSV, JSON lines and Decision Service JSON. The
 * first byte says which. What is taken are rows whose probabilities can be; what is not names the
 * line.
 */
#include "tests/fuzz/fuzz.h"

#include <math.h>
#include <string.h>
#include <unistd.h>
#include "sim/ope/read.h"

size_t fuzz_seed(int i, uint8_t *out, size_t cap)
{
    static const char *const texts[] = {
        "carm,p,quality,cost_usd,session,time,tenant,pmf_0,pmf_1,x_0\n"
        "0,0.5,1,0.001,s1,2026-01-01T00:00:00Z,acme,0.5,0.5,1\n1,0.25,0,,s2,1,b,0.75,0.25,-2\n",
        "citem_id,position,click,propensity_score,user_feature_0\n3,1,0,0.1,abc\n0,2,1,0.2,d\n",
        "j{\"arm\":\"a\",\"p\":0.5,\"pmf\":[0.5,0.5],\"quality\":1,\"x\":[1,2]}\n"
        "{\"arm\":\"b\",\"p\":0.5,\"pmf\":[0.5,0.5],\"quality\":0,\"x\":[0,1]}\n",
        "d{\"_label_cost\":-1,\"_label_probability\":0.8,\"_label_Action\":1,\"_labelIndex\":0,"
        "\"Timestamp\":\"2026-01-01T00:00:00Z\",\"EventId\":\"e\",\"a\":[1,2],\"c\":{\"User\":{"
        "\"x\":1},\"_multi\":[{\"A\":{\"f\":1}},{\"A\":{\"f\":2}}]},\"p\":[0.8,0.2]}\n",
        NULL};
    return fuzz_text(texts, i, out, cap);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static char path[64];
    struct ope_rows rows = {0};
    struct problem p = {0};
    if (n == 0)
        return 0;
    if (path[0] == '\0') {
        strcpy(path, "/dev/shm/purser-fuzz-XXXXXX");
        PROMISE(mkdtemp(path));
        strcat(path, "/log");
    }
    FILE *f = fopen(path, "wb");
    PROMISE(f && fwrite(bytes + 1, 1, n - 1, f) == n - 1 && fclose(f) == 0);
    enum ope_format format = bytes[0] == 'j'   ? FORMAT_JSONL
                             : bytes[0] == 'd' ? FORMAT_DSJSON
                                               : FORMAT_CSV;
    struct ope_source s = {.path = path, .format = format};
    if (ope_read(&s, &rows, &p) == STATUS_OK) {
        for (size_t i = 0; i < rows.n; i++)
            PROMISE(rows.p[i] > 0 && rows.p[i] <= 1 + 1e-9 && isfinite(rows.p[i]) &&
                    (int)rows.arm[i] < rows.k);
    } else {
        PROMISE(p.text[0] != '\0');
    }
    rows_fini(&rows);
    return 0;
}
