/* SPDX-License-Identifier: MIT */
#include "transport/control/control_savings.h"

#include <inttypes.h>
#include <math.h>
#include "bandit/ope/ope.h"

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

/* Bills per expected dollar: the ratio of sums and its standard error by linearization (Cochran,
 * Sampling Techniques, 6.4), with 95% of Student's t. */
static struct ope_interval ratio(const struct savings *s)
{
    double n = (double)s->cells, r = s->y / s->x;
    double off = fmax(s->yy - 2 * r * s->xy + r * r * s->xx, 0);
    struct ope_estimate e = {
        .value = r, .variance = n / (n - 1) * off / (s->x * s->x), .freedom = n - 1, .valid = true};
    return ope_student(&e, 0.05);
}

void savings_put(struct text *t, const struct savings *s, const char *baseline,
                 const struct meter_sums *total)
{
    double b = (double)total->v[METER_BASELINE], c = (double)total->v[METER_COST];
    struct ope_interval r = {0, 0};
    if (s->cells >= CELLS_LEAST)
        r = ratio(s);
    text_put(t, "\"savings\":{\"baseline\":");
    text_json_string(t, baseline);
    text_put(t, ",\"share\":");
    if (b > 0)
        text_json_number(t, 1 - c / b, 9);
    else
        text_put(t, "null");
    if (b > 0 && r.low > 0) {
        text_put(t, ",\"low\":");
        text_json_number(t, 1 - c / b / fmin(r.low, 1), 9);
        text_put(t, ",\"high\":");
        text_json_number(t, 1 - c / b / fmax(r.high, 1), 9);
    } else {
        text_put(t, ",\"low\":null,\"high\":null");
    }
    text_printf(t, ",\"bills\":%" PRId64 "}", s->requests);
}
