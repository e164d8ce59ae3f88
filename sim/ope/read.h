/* SPDX-License-Identifier: MIT */
#ifndef PURSER_SIM_OPE_READ_H
#define PURSER_SIM_OPE_READ_H

#include "sim/ope/rows.h"
#include "sim/ope/target.h"

enum ope_format { FORMAT_STORE, FORMAT_CSV, FORMAT_JSONL, FORMAT_DSJSON, FORMATS };

struct ope_source {
    const char *path; /* directory of a store, or a file */
    enum ope_format format;
    uint64_t from, to; /* records of a store; 0 = all there are */
    int64_t since_ms;  /* 0 = all */
    bool lost;         /* of CSV: there are no probabilities, or they are not to be used */
    const struct ope_target *target; /* what must be asked while a store is read; NULL = nothing */
    void (*progress)(const char *path, uint64_t done, uint64_t of); /* may be NULL */
};

/* format_parse knows purser, csv, obp (a CSV by other column names), jsonl and dsjson. */
bool format_parse(const char *s, enum ope_format *out);
/* ope_read fills rows (all zeros before; rows_fini also after an error). A store is only read, in
 * short transactions, and may be live. Problems name the line or record. */
MUST_CHECK enum status ope_read(const struct ope_source *s, struct ope_rows *rows,
                                struct problem *problem);

/* The readers behind it, and what they share. */
enum status read_store(const struct ope_source *s, struct ope_rows *rows, struct problem *problem);
enum status read_csv(const struct ope_source *s, struct ope_rows *rows, struct problem *problem);
enum status read_json(const struct ope_source *s, struct ope_rows *rows, struct problem *problem);
/* read_time gives Unix milliseconds of a number of seconds or an ISO date and time; 0 = neither. */
int64_t read_time(const char *s);
/* read_checked refuses a row whose probabilities cannot be. */
enum status read_checked(const struct ope_rows *rows, size_t row, struct problem *problem);

#endif
