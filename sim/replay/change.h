/* SPDX-License-Identifier: MIT */
#ifndef PURSER_SIM_REPLAY_CHANGE_H
#define PURSER_SIM_REPLAY_CHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/config/catalog.h"
#include "sim/tables/hull.h"
#include "sim/tables/table.h"

/* A change of one model while counted requests at .. until-1 are played; until 0 = to the end. */
struct change {
    char name[TABLE_NAME_CAP]; /* of the model, as in models.json or to the engine */
    int64_t at, until;
    double quality; /* added to its mean quality, [-1,1] */
    double cost;    /* factor on what calls cost, > 0; nobody is told */
    double price;   /* factor on that and on the list price, > 0; the configuration says so */
    double failure; /* share of its calls that fail, [0,1] */
    bool withdrawn; /* it cannot be chosen; the configuration says so */
};
enum { CHANGES_MAX = 8, PHASES_MAX = 2 * CHANGES_MAX + 1 };

/* change_parse reads "model=NAME,at=N[,until=N][,quality=D][,cost=xF][,price=xF][,failure=R]
 * [,active=false]";
 * false when it is not of that form, out of range, or changes nothing. */
bool change_parse(const char *text, struct change *out);

/* Requests between two changes: a table of the same rows with the outcomes of that time. */
struct phase {
    size_t from, n;     /* counted requests from .. from + n - 1 */
    struct table table; /* borrows all but q and cost_nano, and those unless owns */
    bool owns;
    uint8_t *failed;           /* [cells] the call fails; NULL = none does */
    bool may_fail[MODELS_MAX]; /* models whose calls say whether they failed */
    double price[MODELS_MAX];  /* factor on the list price, by model of the table */
    bool absent[MODELS_MAX];   /* cannot be had: worth nothing and costs nothing */
};
struct phases {
    int n; /* >= 1 */
    struct phase phase[PHASES_MAX];
    int model[CHANGES_MAX]; /* of each change */
};

/*
 * phases_build makes the phases of n_rows counted requests under the changes; without any, one
 * phase that is the table. A quality shift moves a model's every outcome by the same amount and
 * clips to [0,1]; the amount is such that the mean over the given rows moves by the shift, or as
 * far as it can. Outcomes that fail (a hash of id and model decides) have quality 0 and their cost.
 * Errors name the change. phases_free is for the caller in either case.
 */
MUST_CHECK enum status phases_build(struct phases *out, const struct change *change, int n,
                                    const struct table *t, const uint32_t *row, size_t n_rows,
                                    struct problem *problem);
void phases_free(struct phases *p);

/* phase_announce puts into a catalogue what the phase says openly: prices, and which models of the
 * table there are. */
void phase_announce(const struct phase *p, const struct table *t, struct catalog *c);

/* phases_fixed writes the point of every model over the phases between two boundaries, as a mix
 * that looks neither at request nor clock has them. row are the counted rows, in their order if
 * given, else each is as likely in each phase. */
void phases_fixed(const struct phases *p, const uint32_t *row, bool given, size_t from, size_t to,
                  struct point *out);

/* change_end gives the first request after a change, of n_rows. */
size_t change_end(const struct change *c, size_t n_rows);

#endif
