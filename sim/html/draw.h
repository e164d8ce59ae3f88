/* SPDX-License-Identifier: MIT */
#ifndef PURSER_SIM_HTML_DRAW_H
#define PURSER_SIM_HTML_DRAW_H

#include "sim/html/page.h"

/* Figures of one result each; all borrow. Costs are told in dollars per 1000 requests. */
enum { DRAWN_MAX = SERIES_INKS, MARKS_MAX = 256 };
static const double PER_THOUSAND = 1000;

/* A point of quality and cost. */
struct mark {
    const char *name;          /* "" = is not named in the drawing */
    struct span cost, quality; /* USD per request */
    int ink;
    bool router; /* its name stands at the right, with a line to it; else a mark by itself */
};
struct frontier {
    struct mark mark[MARKS_MAX];
    int n;
    const json_t *hull; /* array of {"cost","quality"}; NULL = none */
};
void frontier_add(struct frontier *f, const char *name, struct span cost, struct span quality,
                  int ink, bool router);
/* draw_frontier draws it within a figure; the caller has begun and ends it. */
void draw_frontier(struct page *p, const struct frontier *f);

/* draw_main gives the number of the policy that titles speak of: one named purser... if there is
 * any, and of these or all that which gains most over the static hull. */
size_t draw_main(const json_t *policies);

/* draw_name gives the name of a result: that of its file, without folder and ending. */
void draw_name(const char *path, char *out, size_t cap);

/* What `run` told: draw_run is all of it, the others its parts. */
void draw_run(struct page *p, const json_t *run, const char *name);
void draw_over_time(struct page *p, const json_t *run);
void draw_shares(struct page *p, const json_t *run);
void draw_truth(struct page *p, const json_t *run);

void draw_replay(struct page *p, const json_t *replay);
void draw_ope(struct page *p, const json_t *ope);
void draw_tune(struct page *p, const json_t *tune);
void draw_metrics(struct page *p, const json_t *metrics, const char *name);
void draw_compare(struct page *p, const json_t *const *cell, int n);

/* Policies against worlds. */
enum { WORLDS_MAX = 64, CONTESTANTS_MAX = 32 };
struct matrix {
    int worlds, policies;
    char world[WORLDS_MAX][64], policy[CONTESTANTS_MAX][64];
    struct span value[WORLDS_MAX][CONTESTANTS_MAX]; /* NaN = did not take part */
};
void matrix_init(struct matrix *m);
/* matrix_put notes a value, of names met before or new; what does not fit is left out. */
void matrix_put(struct matrix *m, const char *world, const char *policy, struct span value);
/* draw_matrix draws it when there are two worlds or more with two policies or more each. */
void draw_matrix(struct page *p, const struct matrix *m, const char *what);

#endif
