/* SPDX-License-Identifier: MIT */
#include "sim/ope/read.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "core/moment.h"

bool format_parse(const char *s, enum ope_format *out)
{
    static const struct {
        const char *name;
        enum ope_format format;
    } known[] = {{"purser", FORMAT_STORE},
                 {"csv", FORMAT_CSV},
                 {"obp", FORMAT_CSV},
                 {"jsonl", FORMAT_JSONL},
                 {"dsjson", FORMAT_DSJSON}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(s, known[i].name) != 0)
            continue;
        *out = known[i].format;
        return true;
    }
    return false;
}

int64_t read_time(const char *s)
{
    char *end, cut[24] = "";
    struct moment m = {0};
    double seconds = strtod(s, &end);
    if (end != s && *end == '\0')
        return (int64_t)(seconds * 1000);
    strncat(cut, s, 19); /* to the second; zones other than UTC are not read */
    return moment_parse(cut, &m) && m.seq == 0 ? m.time_ms : 0;
}

enum status read_checked(const struct ope_rows *r, size_t i, struct problem *problem)
{
    const double *pmf = r->pmf + i * (size_t)r->k;
    double sum = 0;
    if (!(r->p[i] > 0 && r->p[i] <= 1))
        return problem_set(problem, STATUS_BAD_REQUEST, "",
                           "row %" PRIu64 ": the logged probability is %g, not in (0,1]: without "
                           "it the row says nothing; take it out",
                           r->seq[i], r->p[i]);
    for (int a = 0; r->has_pmf && a < r->k; a++)
        sum += pmf[a];
    if (r->has_pmf && !(fabs(sum - 1) < 1e-3))
        return problem_set(problem, STATUS_BAD_REQUEST, "",
                           "row %" PRIu64 ": the logged probabilities sum to %g, not 1", r->seq[i],
                           sum);
    if (r->has_pmf && !(fabs(pmf[r->arm[i]] - r->p[i]) < 1e-3))
        return problem_set(problem, STATUS_BAD_REQUEST, "",
                           "row %" PRIu64 ": its probability is %g, but among all it has %g",
                           r->seq[i], r->p[i], pmf[r->arm[i]]);
    return STATUS_OK;
}

/* A target that came with the log must be one for each row of it. */
static enum status given_checked(const struct ope_rows *r, struct problem *problem)
{
    for (size_t i = 0; i < r->n; i++) {
        double sum = 0;
        for (int a = 0; a < r->k; a++)
            sum += r->given[i * (size_t)r->k + (size_t)a];
        if (!(fabs(sum - 1) < 1e-3))
            return problem_set(problem, STATUS_BAD_REQUEST, "",
                               "row %" PRIu64 ": the target's probabilities sum to %g, not 1",
                               r->seq[i], sum);
    }
    return STATUS_OK;
}

/* Rows without a unit are one by themselves. */
static void own_units(struct ope_rows *r)
{
    uint32_t next = (uint32_t)r->units.n;
    for (size_t i = 0; i < r->n; i++)
        if (r->unit[i] == NAMES_NONE)
            r->unit[i] = next++;
}

enum status ope_read(const struct ope_source *s, struct ope_rows *rows, struct problem *problem)
{
    enum status (*const read[FORMATS])(const struct ope_source *, struct ope_rows *,
                                       struct problem *) = {read_store, read_csv, read_json,
                                                            read_json};
    enum status status = read[s->format](s, rows, problem);
    if (status == STATUS_OK && rows->n == 0)
        status = problem_set(problem, STATUS_BAD_REQUEST, "",
                             "no decisions in it (%" PRId64 " records are none)", rows->skipped);
    if (status == STATUS_OK && rows->has_given && s->target && s->target->kind == TARGET_GIVEN)
        status = given_checked(rows, problem);
    if (status == STATUS_OK && !rows_week(rows))
        status = problem_set(problem, STATUS_UNAVAILABLE, "", "out of memory");
    own_units(rows);
    return status;
}
