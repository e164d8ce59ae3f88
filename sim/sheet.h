/* SPDX-License-Identifier: MIT */
#ifndef PURSER_SIM_SHEET_H
#define PURSER_SIM_SHEET_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "core/status.h"
#include "store/whole.h"

/*
 * Rows for other programs, one file a sheet: DIR/NAME.csv with a header, or DIR/NAME.jsonl with an
 * object a line. Cells are written from left to right, a row is done when all of them are. Numbers
 * are read back to the same bits; what is not defined is an empty cell, or null.
 */
struct sheet_place {
    const char
        *dir; /* made if it is not there; NULL: nothing is written, and all calls do nothing */
    bool jsonl;
};
enum { SHEET_COLUMNS_MAX = 256 };

struct sheet {
    FILE *f; /* NULL: nothing is written */
    const char *column[SHEET_COLUMNS_MAX];
    int n, at;
    bool jsonl, begun; /* begun: the header is written, or is not to be */
    struct whole file;
};

/* sheet_place_ready makes the folder. */
MUST_CHECK enum status sheet_place_ready(const struct sheet_place *to, struct problem *problem);
/* sheet_begin opens a sheet; columns are named by sheet_column (borrowed) before the first cell. */
MUST_CHECK enum status sheet_begin(struct sheet *s, const struct sheet_place *to, const char *name,
                                   struct problem *problem);
void sheet_column(struct sheet *s, const char *name);
void sheet_columns(struct sheet *s, const char *const *name, int n);
void sheet_text(struct sheet *s, const char *value);
void sheet_number(struct sheet *s, double value);
void sheet_count(struct sheet *s, int64_t value);
/* sheet_end closes it. The file is there when so_far is OK and all of it was written, else it is
 * not, and the answer is why. */
MUST_CHECK enum status sheet_end(struct sheet *s, enum status so_far, struct problem *problem);

/* A sheet whose rows are written in parts, by processes: sheet_part opens part i of it, without a
 * header; sheet_join appends parts 0 .. parts-1 to the sheet, in this order. A part that is not
 * there is passed over. sheet_clear removes the parts, joined or not. */
MUST_CHECK enum status sheet_part(struct sheet *s, const struct sheet_place *to, const char *name,
                                  int i, struct problem *problem);
MUST_CHECK enum status sheet_join(struct sheet *s, const struct sheet_place *to, const char *name,
                                  int parts, struct problem *problem);
void sheet_clear(const struct sheet_place *to, const char *name, int parts);

#endif
