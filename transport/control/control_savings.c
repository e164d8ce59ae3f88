/* SPDX-License-Identifier: MIT */
#include "transport/control/control_savings.h"

#include <inttypes.h>
#include <math.h>

enum { CELLS_LEAST = 8 };

void savings_take(struct savings *s, const struct meter_sums *cell)
{
    double x = (double)cell->v[METER_BASELINE] * 1e-9, y = (double)cell->v[METER_COST] * 1e-9;
    if (cell->v[METER_SETTLED] < cell->v[METER_ATTEMPTS] || !(x > 0) ||
        cell->v[METER_ATTEMPTS] != cell->v[METER_REQUESTS]) /* escalated: at other prices, too */
        return;
    s->cells++;
    s->requests += cell->v[METER_REQUESTS];
    s->x += x;
    s->y += y;
    s->xx += x * x;
    s->xy += x * y;
    s->yy += y * y;
}

/* Student's t at 97.5%, by Fisher's expansion in 1/df (Abramowitz and Stegun, 26.7.5): within 0.001
 * from 7 degrees of freedom on. */
static double student(double df)
{
    static const double z = 1.959964;
    double z2 = z * z;
    return z + z * (z2 + 1) / (4 * df) + z * ((5 * z2 + 16) * z2 + 3) / (96 * df * df) +
           z * (((3 * z2 + 19) * z2 + 17) * z2 - 15) / (384 * df * df * df);
}

/* Bills per expected dollar: the ratio of sums and its standard error by linearization (Cochran,
 * Sampling Techniques, 6.4). */
static double ratio(const struct savings *s, double *half)
{
    double n = (double)s->cells, r = s->y / s->x;
    double off = fmax(s->yy - 2 * r * s->xy + r * r * s->xx, 0);
    *half = student(n - 1) * sqrt(n / (n - 1) * off) / s->x;
    return r;
}

void savings_put(struct text *t, const struct savings *s, const char *baseline,
                 const struct meter_sums *total)
{
    double half = 0, b = (double)total->v[METER_BASELINE], c = (double)total->v[METER_COST];
    double r = s->cells >= CELLS_LEAST ? ratio(s, &half) : 0;
    text_put(t, "\"savings\":{\"baseline\":");
    text_json_string(t, baseline);
    text_put(t, ",\"share\":");
    if (b > 0)
        text_json_number(t, 1 - c / b, 9);
    else
        text_put(t, "null");
    if (b > 0 && r - half > 0) {
        text_put(t, ",\"low\":");
        text_json_number(t, 1 - c / b / fmin(r - half, 1), 9);
        text_put(t, ",\"high\":");
        text_json_number(t, 1 - c / b / fmax(r + half, 1), 9);
    } else {
        text_put(t, ",\"low\":null,\"high\":null");
    }
    text_printf(t, ",\"bills\":%" PRId64 "}", s->requests);
}
