/* SPDX-License-Identifier: MIT */
#include "sim/options_setup.h"

#include "core/config/config.h"

#include "sim/scenario/fintech.h"
#include "sim/setup.h"

#include <stdio.h>
#include <unistd.h>

enum status options_table(const struct options *o, struct table *t, struct problem *problem)
{
    if (o->scenario != NULL)
        return fintech_table((uint64_t)o->scenario_seed, (size_t)(o->rows ? o->rows : FINTECH_ROWS),
                             t, problem);
    if (o->prices != NULL && !table_is_file(o->dir))
        return problem_set(problem, STATUS_BAD_REQUEST, "--prices",
                           "is for CSV files: %.60s has its prices in models.json", o->dir);
    return table_is_file(o->dir) ? table_load_csv(o->dir, o->prices, t, problem)
                                 : table_load(o->dir, t, problem);
}

/* Patches with the part of a configuration that lies beside a table, if one does. */
static enum status set_up_own(const struct options *o, struct params *p, struct problem *problem)
{
    char path[4096];
    int n = snprintf(path, sizeof path, "%s/purser.json", o->dir);
    if (n >= (int)sizeof path || access(path, F_OK) != 0)
        return STATUS_OK;
    return setup_file(p, path, problem);
}

enum status options_params(const struct options *o, const struct table *t, struct params *p,
                           struct problem *problem)
{
    params_default(p);
    enum status s = setup_pool(p, t, problem);
    if (s == STATUS_OK && o->scenario != NULL)
        s = setup_text(p, fintech_config(), problem);
    if (s == STATUS_OK && o->values)
        s = setup_text(p, fintech_values(), problem);
    if (s == STATUS_OK && o->own)
        s = set_up_own(o, p, problem);
    if (s == STATUS_OK && o->config != NULL)
        s = setup_file(p, o->config, problem);
    for (int i = 0; s == STATUS_OK && i < o->n_sets; i++)
        s = setup_set(p, o->set[i], problem);
    if (s == STATUS_OK && o->features != NULL)
        s = setup_features(p, o->features, problem);
    if (s != STATUS_OK)
        return s;
    if (o->policy != NULL)
        snprintf(p->policy.name, sizeof p->policy.name, "%s", o->policy);
    if (o->budget >= 0)
        p->budget.usd_per_request = o->budget;
    return setup_check(p, t, problem);
}
