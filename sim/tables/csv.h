/* SPDX-License-Identifier: MIT */
#ifndef PURSER_SIM_TABLES_CSV_H
#define PURSER_SIM_TABLES_CSV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include "core/status.h"

/*
 * CSV with a header (RFC 4180): a record at a time, cells in place. Quoted cells may hold commas,
 * doubled quotes and line ends. Lines count from 1, columns too.
 */
struct csv {
    const char *path;     /* borrowed */
    char **name, **cell;  /* [n] of the header, of the record in hand; valid until the next one */
    int n;                /* columns; a record with another number of cells is refused */
    uint64_t line, lines; /* where the record in hand begins; lines read */
    FILE *in;
    char *head, *text;
    size_t room;
    struct problem *problem; /* borrowed */
};
enum { CSV_COLUMNS_MAX = 4096 };

/* csv_open reads the header. Call csv_close in any case. */
MUST_CHECK enum status csv_open(struct csv *c, const char *path, struct problem *problem);
void csv_close(struct csv *c);
/* csv_next reads the next record that is not blank; false at the end or when *s tells why not. */
bool csv_next(struct csv *c, enum status *s);
/* csv_find gives the column of this name, -1 = none. */
int csv_find(const struct csv *c, const char *name);
/* csv_fault says what is wrong with the record in hand, or with its cell in a column (>= 0). */
enum status csv_fault(const struct csv *c, int column, const char *what);
/* csv_number reads a finite number, the whole cell; false when it is none. */
bool csv_number(const char *cell, double *out);

#endif
