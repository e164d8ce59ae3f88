/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CORE_CONFIG_CONFIG_FIELDS_H
#define PURSER_CORE_CONFIG_CONFIG_FIELDS_H

#include "core/config/config.h"
#include "core/encoding/fields.h"

/* The pieces of the configuration document. Private to core/config/config*.c and
 * core/config/params.c. */
enum { PART_PARAMS, PART_SETTINGS, PARTS };

/* config_table has every field with one value; "models", "rules" and "tiers" have readers below. */
struct field_table config_table(void);
struct field_table config_model_table(void);
struct field_table config_rule_table(void);
struct field_table config_learner_table(void);
struct field_table config_silence_table(void);
struct field_table config_value_table(void);

/* config_tiers_read replaces the tiers; models and rules follow theirs by name, and whoever loses
 * its tier has -1 until config.c checks. config_models_read merges by name, config_learners_read by
 * tenant. config_rules_read and config_silence_read replace. */
MUST_CHECK enum status config_tiers_read(struct params *p, const json_t *array,
                                         struct problem *problem);
MUST_CHECK enum status config_models_read(struct params *p, const json_t *array,
                                          struct problem *problem);
MUST_CHECK enum status config_rules_read(struct params *p, const json_t *array,
                                         struct problem *problem);
MUST_CHECK enum status config_learners_read(struct params *p, const json_t *array,
                                            struct problem *problem);
MUST_CHECK enum status config_silence_read(struct params *p, const json_t *array,
                                           struct problem *problem);
/* config_silence_check refuses deadlines behind the join window. */
MUST_CHECK enum status config_silence_check(const struct params *p, struct problem *problem);
void config_silence_render(const struct params *p, struct text *out);
/* config_value_read replaces the tables that the object names; default: bounds, no factors. */
MUST_CHECK enum status config_value_read(struct params *p, json_t *object, struct problem *problem);
void config_value_default(struct value_tables *v);
void config_value_render(const struct params *p, struct text *out);
/* config_ignore_read replaces the sources that are not listened to. */
MUST_CHECK enum status config_ignore_read(struct params *p, const json_t *array,
                                          struct problem *problem);
void config_ignore_render(const struct params *p, struct text *out);
void config_models_render(const struct catalog *c, struct text *out);
void config_rules_render(const struct params *p, struct text *out);
void config_learners_render(const struct learner_list *l, struct text *out);

/* config_tiers_default sets small, medium, large; settings_default all of settings. */
void config_tiers_default(struct catalog *c);
void settings_default(struct settings *s);

/* config_names lists names for a message, as many as fit. */
enum { NAMES_CAP = 240 };
const char *config_names(char out[NAMES_CAP], const char (*names)[NAME_CAP], int n);

#endif
