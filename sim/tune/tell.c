/* SPDX-License-Identifier: MIT */
#include <math.h>
#include "sim/report_key.h"
#include "sim/tune/tune.h"

static void put_number(struct text *t, const char *name, struct tune_number v)
{
    report_key(t, name);
    text_put(t, "{");
    report_number(t, "rows", v.n);
    report_number(t, "mean", v.mean);
    report_number(t, "low", v.low);
    report_number(t, "high", v.high);
    text_put(t, "}");
}

static void put_aims(struct text *t, const char *name, const struct tune_number *aim)
{
    report_key(t, name);
    text_put(t, "{");
    put_number(t, "quality", aim[TUNE_QUALITY]);
    put_number(t, "spend_per_request", aim[TUNE_COST]);
    put_number(t, "utility", aim[TUNE_UTILITY]);
    text_put(t, "}");
}

static void put_words(struct text *t, const struct tune_report *r, const struct tune_trial *trial)
{
    char room[256];
    struct text words = text_over(room, sizeof room);
    tune_point_words(&words, &trial->point, &r->trial[0].point);
    text_json_string(t, words.at);
}

static void put_trial(struct text *t, const struct params *current, const struct tune_report *r,
                      int i)
{
    const struct tune_trial *trial = &r->trial[i];
    struct params p = *current;
    tune_point_apply(&trial->point, &p);
    text_printf(t, "{\"trial\":%d,\"words\":", i);
    put_words(t, r, trial);
    text_put(t, ",\"settings\":");
    tune_point_patch(t, &p, &trial->point, &r->trial[0].point);
    text_printf(t, ",\"rungs\":%d,\"hull\":%s", trial->rungs, trial->hull ? "true" : "false");
    put_aims(t, "earlier", trial->aim);
    if (trial->final) {
        put_aims(t, "later", trial->later);
        put_aims(t, "gain", trial->gain);
    }
    text_put(t, "}");
}

void tune_json(struct text *t, const char *source, const struct params *current,
               const struct tune_report *r)
{
    text_put(t, "{\"source\":");
    text_json_string(t, source);
    text_printf(t, ",\"better\":%s,\"best\":%d,\"trials\":[", r->better ? "true" : "false",
                r->best);
    for (int i = 0; i < r->trials; i++) {
        text_put(t, i > 0 ? "," : "");
        put_trial(t, current, r, i);
    }
    text_put(t, "]}\n");
}

static void line(struct text *t, const struct tune_report *r, int i)
{
    const struct tune_trial *trial = &r->trial[i];
    const struct tune_number *later = trial->later, *gain = trial->gain;
    text_printf(t, "%c %5.4f (%5.4f..%5.4f) %10.4f (%.4f..%.4f) %+8.4f (%+.4f..%+.4f)  ",
                i == r->best ? '*' : ' ', later[TUNE_QUALITY].mean, later[TUNE_QUALITY].low,
                later[TUNE_QUALITY].high, 1000 * later[TUNE_COST].mean, 1000 * later[TUNE_COST].low,
                1000 * later[TUNE_COST].high, i == 0 ? 0 : gain[TUNE_UTILITY].mean,
                i == 0 ? 0 : gain[TUNE_UTILITY].low, i == 0 ? 0 : gain[TUNE_UTILITY].high);
    tune_point_words(t, &trial->point, &r->trial[0].point);
    text_put(t, "\n");
}

void tune_text(struct text *t, const char *source, const struct tune_report *r)
{
    const struct tune_number *gain = r->trial[r->best].gain;
    text_printf(t,
                "%s: %d configurations tried on the earlier requests; on the later ones, which "
                "chose nothing\n(* = best on the earlier; 95%% intervals over requests; utility as "
                "the present weights have it):\n\n"
                "  quality                   USD per 1000               utility beyond the present "
                "one\n",
                source, r->trials);
    for (int i = 0; i < r->trials; i++)
        if (r->trial[i].final)
            line(t, r, i);
    text_put(t, "\n");
    if (r->best == 0)
        text_put(t, "No better than what you have: it was the best on the earlier requests too.\n");
    else if (!r->better)
        text_printf(t,
                    "No better than what you have: %+.4f (%+.4f..%+.4f) on the later requests%s.\n",
                    gain[TUNE_UTILITY].mean, gain[TUNE_UTILITY].low, gain[TUNE_UTILITY].high,
                    gain[TUNE_UTILITY].high < 0 ? "" : " can be luck");
    else
        text_printf(t, "Better than what you have: %+.4f (%+.4f..%+.4f) on the later requests.\n",
                    gain[TUNE_UTILITY].mean, gain[TUNE_UTILITY].low, gain[TUNE_UTILITY].high);
}
