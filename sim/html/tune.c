/* SPDX-License-Identifier: MIT */
/* A search: all that was tried, on the earlier requests, and the finalists on the later ones. */
#include "sim/html/draw.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const json_t *trial_at(const json_t *tune, size_t i)
{
    return json_array_get(json_object_get(tune, "trials"), i);
}

static void title(struct page *p, const json_t *tune, size_t best)
{
    static const char read[] = "Up and to the left is better. Named are the finalists on the later "
                               "requests, which no choice "
                               "has looked at, with 95% intervals over requests; grey points are "
                               "all that played the earlier "
                               "ones to their end.";
    struct span gain = page_span(json_object_get(trial_at(tune, best), "gain"), "utility");
    if (json_is_true(json_object_get(tune, "better")))
        page_figure(p, "tune", read,
                    "Trial %zu is better than the present configuration: utility %+.4f (%+.4f to "
                    "%+.4f)",
                    best, gain.mean, gain.low, gain.high);
    else if (best == 0)
        page_figure(p, "tune", read, "No better than what you have: it was the best already");
    else
        page_figure(p, "tune", read,
                    "No better than what you have: the best found has utility %+.4f (%+.4f to "
                    "%+.4f) beyond it",
                    gain.mean, gain.low, gain.high);
}

static void add(struct frontier *f, const json_t *trial, const char *part, const char *name,
                int ink, bool router)
{
    const json_t *aims = json_object_get(trial, part);
    frontier_add(f, name, page_span(aims, "spend_per_request"), page_span(aims, "quality"), ink,
                 router);
}

static void numbers(struct page *p, const json_t *tune)
{
    page_table(p, "_trial|_what it changes|earlier quality|USD/1000|utility|later quality|low|high|"
                  "USD/1000|low|high|utility beyond the present|low|high");
    for (size_t i = 0; i < json_array_size(json_object_get(tune, "trials")); i++) {
        const json_t *t = trial_at(tune, i);
        const json_t *earlier = json_object_get(t, "earlier"), *later = json_object_get(t, "later");
        char name[32];
        snprintf(name, sizeof name, "%zu", i);
        page_row(p, name);
        page_word(p, page_string(t, "words"));
        page_cell(p, page_span(earlier, "quality").mean, "4f");
        page_cell(p, page_span(earlier, "spend_per_request").mean * PER_THOUSAND, "4f");
        page_cell(p, page_span(earlier, "utility").mean, "4f");
        page_cells(p, page_span(later, "quality"), 1, "4f");
        page_cells(p, page_span(later, "spend_per_request"), PER_THOUSAND, "4f");
        page_cells(p, page_span(json_object_get(t, "gain"), "utility"), 1, "4f");
    }
    page_table_end(p);
    page_figure_end(p);
}

void draw_tune(struct page *p, const json_t *tune)
{
    const json_t *trials = json_object_get(tune, "trials");
    size_t n = json_array_size(trials), best = (size_t)fmax(page_number(tune, "best"), 0);
    static char name[DRAWN_MAX][48];
    struct frontier f = {0};
    char below[300];
    int named = 0;
    snprintf(below, sizeof below, "%.200s: %zu configurations tried.", page_string(tune, "source"),
             n);
    page_section(p, "Tuning", below);
    for (size_t i = 0; i < n; i++)
        if (page_number(trial_at(tune, i), "rungs") > 2)
            add(&f, trial_at(tune, i), "earlier", "", INK_AXIS, false);
    for (size_t i = 0; i < n; i++) {
        if (json_object_get(trial_at(tune, i), "later") == NULL || named == DRAWN_MAX)
            continue;
        if (i == 0)
            snprintf(name[named], sizeof name[named], "present");
        else
            snprintf(name[named], sizeof name[named], "trial %zu%s", i, i == best ? " (best)" : "");
        add(&f, trial_at(tune, i), "later", name[named], INK_SERIES + named, true);
        named++;
    }
    title(p, tune, best);
    draw_frontier(p, &f);
    numbers(p, tune);
}
