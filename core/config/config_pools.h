/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CORE_CONFIG_CONFIG_POOLS_H
#define PURSER_CORE_CONFIG_CONFIG_POOLS_H

#include "core/budget/pool_spec.h"
#include "core/encoding/fields.h"

/*
 * "pools" and "zones" of a configuration document. Private to core/config/config*.c.
 * config_pools_read and config_zones_read replace the list; config_pools_check then checks what
 * concerns more than one field, and must be called after either. A pool without a window has its
 * parent's. The outputs are partly written on error.
 */
MUST_CHECK enum status config_pools_read(struct pool_config *c, const json_t *array,
                                         struct problem *problem);
MUST_CHECK enum status config_zones_read(struct pool_config *c, const json_t *array,
                                         struct problem *problem);
MUST_CHECK enum status config_pools_check(const struct pool_config *c, struct problem *problem);

/* Renders the entries (without brackets): what the readers read back to the same bits. */
void config_pools_render(const struct pool_config *c, struct text *out);
void config_zones_render(const struct pool_config *c, struct text *out);

/* For the reference: paths below /pools/ *, /zones/ * and /zones/ * /changes/ *. */
struct field_table config_pool_table(void);
struct field_table config_zone_table(void);
struct field_table config_zone_change_table(void);

/* Shared by these readers: a refusal at a field; an array of at most `most`; a time. */
enum status config_pools_fail(struct problem *problem, const struct json_at *at, const char *key,
                              const char *text);
MUST_CHECK enum status config_pools_array(const json_t *v, const struct json_at *at, int most,
                                          struct problem *problem);
MUST_CHECK enum status config_pools_time(const char *text, const struct json_at *at,
                                         const char *key, int64_t *ms, struct problem *problem);

/* config_pool_labels names the labels of enum pool_label, as requests and the document do. */
extern const char *const config_pool_labels[POOL_LABELS];

#endif
