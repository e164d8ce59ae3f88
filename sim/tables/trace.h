/* SPDX-License-Identifier: MIT */
#ifndef PURSER_SIM_TABLES_TRACE_H
#define PURSER_SIM_TABLES_TRACE_H

#include <stddef.h>
#include <stdint.h>
#include "core/request.h"
#include "core/status.h"
#include "sim/tables/table.h"

/* When requests arrived and how long they were; who sent them, where the file says. */
struct trace {
    size_t n;
    int64_t *at_ms;    /* [n] since the first, never going back */
    int32_t *in, *out; /* [n] tokens; NULL: the file has none */
    uint32_t *client;  /* [n] NULL: the file has none */
};

/*
 * trace_load reads a CSV file of one of two shapes, told by its columns:
 *   requests  TIMESTAMP, ContextTokens, GeneratedTokens (Azure's), or t_s, in_tokens, out_tokens:
 *             the first n of them (all, if there are fewer)
 *   rates     client, t_s, rate_rps, cv (ServeGen's, by window): about n requests drawn so that
 *             they span the file: a random share of those that the rates amount to. A function
 *             of seed.
 * A problem names file, line and column. trace_free is for the caller when it is OK.
 */
MUST_CHECK enum status trace_load(const char *path, size_t n, uint64_t seed, struct trace *out,
                                  struct problem *problem);
void trace_free(struct trace *t);
/* trace_digest folds what it holds into a hash. */
uint64_t trace_digest(const struct trace *t, uint64_t h);

/*
 * trace_onto makes the table whose i-th row is what the i-th request of the trace meets: prompt and
 * qualities of one of n rows of a table, in an order that the seed decides (again from the front
 * when there are fewer rows than requests), with the tokens of the trace. A model that needed more
 * tokens than the mean of the models needs as much more of the trace's, and a call costs by the
 * list what it cost relative to the list. Latencies stay. On OK the caller frees the table.
 */
MUST_CHECK enum status trace_onto(const struct trace *trace, const struct table *from,
                                  const uint32_t *row, size_t n, uint64_t seed, struct table *out,
                                  struct problem *problem);
/* trace_lengthen gives a row of a table the tokens of the i-th request, by the rule above; nothing
 * when the trace has none. */
void trace_lengthen(const struct trace *trace, size_t i, struct table *of, size_t row);
/* trace_tenant names the client of a request as its tenant, where the trace has them. */
void trace_tenant(const struct trace *t, size_t i, char tenant[NAME_CAP]);

#endif
