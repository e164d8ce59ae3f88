/* SPDX-License-Identifier: MIT */
#ifndef PURSER_TRANSPORT_CLI_CLI_IMPORT_H
#define PURSER_TRANSPORT_CLI_CLI_IMPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/limits.h"
#include "core/status.h"
#include "transport/cli/cli.h"

/*
 * What `purser models import` and `purser pools import` share: files of others, read within bounds;
 * decimal numbers as integers without binary rounding; and an account of what was not taken.
 */

/* ---- files (cli_import_file.c) */

/* A JSON file in memory: the text (without a byte order mark) and its tree. Of a key that stands
 * twice in an object the tree has the last; import_walk sees both. */
struct import_file {
    char *text;
    size_t n;
    json_t *root;
};

/* import_open reads and parses a file of at most 16 MiB, 32 levels and a million elements; BAD_JSON
 * with the line, TOO_LARGE, or BAD_REQUEST when it cannot be read. import_close frees it; both
 * accept zeroes. */
MUST_CHECK enum status import_open(const char *path, struct import_file *f, struct problem *p);
void import_close(struct import_file *f);

/* A piece of a text: what stands there is an object, an array or a value. */
struct import_span {
    size_t from, n;
};
typedef void import_visit(void *ctx, const char *text, struct import_span key,
                          struct import_span value);

/* import_whole gives the span of the document. import_walk shows the entries of an object (key with
 * its quotes) or array (key empty). import_member and import_item find one; false: not there.
 * Only for text that import_open has accepted. */
struct import_span import_whole(const char *text);
void import_walk(const char *text, struct import_span of, import_visit *visit, void *ctx);
bool import_member(const char *text, struct import_span object, const char *key,
                   struct import_span *value);
bool import_item(const char *text, struct import_span array, size_t index,
                 struct import_span *value);
/* import_set gives (malloc) the text with a member replaced, or added, import_append with a further
 * item; all other bytes stay. NULL: no memory. */
char *import_set(const char *text, struct import_span object, const char *key, const char *value);
char *import_append(const char *text, struct import_span array, const char *value);
/* import_edit takes the text and gives it with a member set, or (key NULL) with a further item. */
char *import_edit(char *text, struct import_span of, const char *key, const json_t *value);
/* import_replace writes a file so that it is either the old or the new one, whatever happens. */
MUST_CHECK enum status import_replace(const char *path, const char *text, struct problem *p);

/* ---- a configuration to import into (cli_import_into.c) */

/* import_into_open reads it; "-" and a file that is not there yet leave f empty, so does a failure.
 * import_array gives (malloc) its text, with an empty array under the key if it has none.
 * import_order takes the text and gives it with the n items of an array in another order, each as
 * it is written. import_into_write takes the text, refuses what is no configuration, and prints it
 * for "-", else replaces the file if something has changed. Exit codes; the problem is told. */
int import_into_open(struct cli *c, const char *path, struct import_file *f);
char *import_array(const struct import_file *f, const char *key);
char *import_order(char *text, const char *key, const size_t *order, size_t n);
int import_into_write(struct cli *c, const char *path, char *text, bool changed);

/* ---- numbers (cli_import_number.c) */

/* import_decimal reads a decimal number, times 10^shift, as an integer, rounded half up; *exact
 * tells whether there was nothing to round. False: not a number, negative, or above 10^17. */
bool import_decimal(const char *s, int shift, int64_t *out, bool *exact);
/* import_number is import_decimal of a JSON number, or of a string that holds one. Of a real number
 * the 15 digits count that a double keeps of any decimal: what the file said. */
bool import_number(const json_t *v, int shift, int64_t *out, bool *exact);

/* ---- the account (cli_import_report.c) */

enum import_kind {
    IMPORT_REFUSED, /* not imported */
    IMPORT_LOST,    /* imported, but for this, which purser has no place for */
    IMPORT_NOTE     /* imported; to be looked at */
};

/* One line for each thing and reason. Reasons (codes) are words of a closed list in the .c file,
 * which has what they mean and what to do; others mean themselves. */
struct import_report {
    json_t *line; /* array of {"kind","code","name","text"} and, where one place is wrong, "path" */
    int count[3];
    const json_t *root; /* of import_root */
    const char *member;
    int places; /* looked for so far */
};

bool import_report_init(struct import_report *r);
void import_report_free(struct import_report *r);
void import_tell(struct import_report *r, enum import_kind kind, const char *code, const char *name,
                 const char *fmt, ...) __attribute__((format(printf, 5, 6)));
/* import_root says where places are looked for: in a tree, and which member of the document it is
 * (NULL: all of it); borrowed until others are said. import_tell_at also names the place of a value
 * there, as a JSON path. */
void import_root(struct import_report *r, const json_t *tree, const char *member);
void import_tell_at(struct import_report *r, enum import_kind kind, const char *code,
                    const char *name, const json_t *at, const char *fmt, ...)
    __attribute__((format(printf, 6, 7)));
/* import_list gives an array that stands in an object under a key, its items objects; what else
 * stands there, or in it, is told. NULL: none. */
const json_t *import_list(struct import_report *r, const json_t *object, const char *key);
/* import_report_print groups by reason and names the first few of each. */
void import_report_print(const struct import_report *r, FILE *to);
/* import_plain copies a name from a file for a terminal: control and other bytes become '?'. */
const char *import_plain(char out[128], const char *s);

/* ---- price lists (cli_import_prices.c) */

enum price_format { PRICES_AUTO, PRICES_LITELLM, PRICES_GENAI };
enum { PRICE_CAPABILITIES = 11 };
extern const char *const import_capability[PRICE_CAPABILITIES];

struct price_row {
    const char *name, *provider; /* as the list has them (borrowed from it); provider may be "" */
    const json_t *body, *prices; /* the row; genai-prices: what of it is in force */
    char target[NAME_CAP];       /* its name in purser */
    bool wanted, usable;         /* chosen; and has prices that can be taken */
    int64_t in, cached, out;     /* picodollars per token; -1 = not said */
    int64_t reasoning, batch_in, batch_out; /* likewise */
    json_t *later;                          /* owned; as `prices` of a model; NULL = none */
    int64_t context;                        /* tokens; 0 = not said */
    unsigned capabilities;                  /* bits, by import_capability */
};

struct price_list {
    enum price_format format;
    struct import_file file;
    json_t *bodies; /* keeps rows that were parsed one by one */
    int n, cap;
    struct price_row *row;
};

MUST_CHECK enum status price_list_open(const char *path, enum price_format format,
                                       struct price_list *l, struct import_report *r,
                                       struct problem *p);
void price_list_close(struct price_list *l);
/* The prices of a model in a configuration, by name. */
enum { PRICE_KEYS = 6 };
extern const char *const import_price_key[PRICE_KEYS];
/* price_put writes picodollars as dollars per million. */
bool price_put(json_t *model, const char *key, int64_t pico);
/* price_row_read takes the prices in force on a day (YYYY-MM-DD) into a row and tells the rest;
 * prices of 0 are usable only if free_too. */
void price_row_read(const struct price_list *l, struct price_row *row, const char *as_of,
                    bool free_too, struct import_report *r);
/* price_list_agree leaves of several usable rows with one target one if their prices are the same,
 * none if they are not. */
MUST_CHECK bool price_list_agree(struct price_list *l, struct import_report *r);

#endif
