/* SPDX-License-Identifier: MIT */
#ifndef PURSER_TRANSPORT_HISTORY_H
#define PURSER_TRANSPORT_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include "core/encoding/json.h"
#include "core/limits.h"

/*
 * Labelled history, line by line: what stands in files of several forms becomes a request and what
 * models made of it, as the op teach takes it. A file is read twice: first to count (how much
 * evidence there is of a model, who was preferred to whom), then to teach.
 */
struct history_row {
    json_t *request;
    int n;
    struct {
        int model;   /* index into history.name */
        double base; /* evidence: 1, or less for what says less */
        json_t *values;
    } outcome[MODELS_MAX];
    bool pair;         /* outcomes 0 and 1 were compared */
    double preference; /* for outcome 0, 0..1 */
};

struct history {
    int n_models;
    char name[MODELS_MAX][NAME_CAP]; /* as the service knows them, in order of appearance */
    double evidence[MODELS_MAX];
    int n_columns, column[MODELS_MAX]; /* models of a table, in the order of its lists */
    int n_map;
    char map[MODELS_MAX][2][NAME_CAP]; /* name in the file, name of the service */
    long pairs;
    double win[MODELS_MAX * MODELS_MAX];
    double strength[MODELS_MAX]; /* after history_fit; 1 before */
    int n_ignored;
    char ignored[8][NAME_CAP]; /* members of lines that nothing reads, the first few */
};

void history_init(struct history *h);
/* history_map adds "old=new"; false when it is not that. Before all others. */
bool history_map(struct history *h, const char *assignment);
/* history_columns takes the models of a table from models.json's list. */
MUST_CHECK enum status history_columns(struct history *h, const json_t *models,
                                       struct problem *problem);
/* history_read decodes a line into *row, to be cleared with history_clear also on errors. */
MUST_CHECK enum status history_read(struct history *h, const char *line, size_t n,
                                    struct history_row *row, struct problem *problem);
void history_clear(struct history_row *row);
/* history_count adds a row to the evidence; history_fit then gives the compared models their
 * strengths, false when that fails. */
void history_count(struct history *h, const struct history_row *row);
bool history_fit(struct history *h);
/* history_weight gives the weight of outcome k if a model's whole history is to be worth n_eff rows
 * (0 = what it is worth). */
double history_weight(const struct history *h, const struct history_row *row, int k, double n_eff);

#endif
