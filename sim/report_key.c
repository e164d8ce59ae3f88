/* SPDX-License-Identifier: MIT */
#include "sim/report_key.h"

void report_key(struct text *t, const char *name)
{
    text_put(t, t->len > 0 && t->at[t->len - 1] == '{' ? "" : ",");
    text_json_string(t, name);
    text_put(t, ":");
}

void report_number(struct text *t, const char *name, double v)
{
    report_key(t, name);
    text_json_number(t, v, 9);
}

void report_interval(struct text *t, const char *name, struct interval v)
{
    report_key(t, name);
    text_put(t, "{");
    report_number(t, "mean", v.mean);
    report_number(t, "low", v.low);
    report_number(t, "high", v.high);
    text_put(t, "}");
}

void report_points(struct text *t, const char *name, const struct point *p, int n)
{
    report_key(t, name);
    text_put(t, "[");
    for (int i = 0; i < n; i++) {
        text_put(t, i > 0 ? ",{" : "{");
        report_number(t, "cost", p[i].cost);
        report_number(t, "quality", p[i].quality);
        text_put(t, "}");
    }
    text_put(t, "]");
}
