/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CORE_ENCODING_FIELDS_H
#define PURSER_CORE_ENCODING_FIELDS_H

#include <stddef.h>
#include <stdint.h>
#include "core/encoding/json.h"
#include "core/encoding/text.h"
#include "core/status.h"

/* JSON objects to C structs by table: one row a field. For readers of JSON, like json.h. */
enum field_kind {
    FIELD_INT,    /* int64_t; 812 and 812.0 are the same */
    FIELD_REAL,   /* double; -0 becomes 0 */
    FIELD_BOOL,   /* bool, strictly true or false */
    FIELD_NAME,   /* char[NAME_CAP], an identifier; min 0: may be "" */
    FIELD_TEXT,   /* char[max + 1] without control bytes */
    FIELD_CHOICE, /* bool: the second of two words */
    FIELD_MONEY,  /* int64_t: USD times unit, rounded half up */
    FIELD_VALUE,  /* const struct doc_value *, read by the caller; fields_take only */
    FIELD_OTHER   /* known here, read by the caller */
};

struct field {
    const char *path; /* keys joined by '/'; rows of one object stand together */
    enum field_kind kind;
    int part;          /* index into the bases */
    size_t offset;     /* from the base */
    double min, max;   /* of numbers; bytes of names and texts */
    double unit;       /* FIELD_MONEY: integers per dollar, a divisor of 1e9 */
    unsigned bit;      /* set in *seen when the field was there */
    double number;     /* default, as the document would say it */
    const char *text;  /* default of names and texts; FIELD_CHOICE: both words */
    const char *other; /* FIELD_OTHER: what is allowed; defaults that depend on others */
    const char *help;
};
struct field_table {
    const struct field *row;
    int n;
};

/* fields_read reads an object into the bases. Unknown keys are refused with the nearest known one
 * unless they begin with x_; a field whose base is NULL is refused as not to be changed here. On
 * error the bases are partly written. seen may be NULL. */
MUST_CHECK enum status fields_read(struct field_table table, json_t *object,
                                   const struct json_at *at, void *const base[], unsigned *seen,
                                   struct problem *problem);
/* field_read reads one value (FIELD_OTHER: does nothing). */
MUST_CHECK enum status field_read(const struct field *f, const json_t *v, const struct json_at *at,
                                  void *base, struct problem *problem);
/* fields_take and field_take read likewise from a message. */
MUST_CHECK enum status fields_take(struct field_table table, const struct doc_value *object,
                                   const struct json_at *at, void *const base[], unsigned *seen,
                                   struct problem *problem);
MUST_CHECK enum status field_take(const struct field *f, const struct doc_value *v,
                                  const struct json_at *at, void *base, struct problem *problem);
/* fields_default writes the defaults of one part. */
void fields_default(struct field_table table, int part, void *base);
/* fields_render writes the members of an object (no braces) from one part: what fields_read
 * reads back to the same bits. Gives the number of members; FIELD_OTHER is left to the caller. */
int fields_render(struct field_table table, int part, const void *base, struct text *out);
/* fields_reference writes one row of a Markdown table per field, paths behind prefix. */
void fields_reference(struct field_table table, const char *prefix, struct text *out);
/* What stands at a FIELD_OTHER of this path: members of a schema, or objects of a table, an array
 * of at most `most` or (0) one. A list ends with path NULL. */
struct field_shape {
    const char *path;
    struct field_table table;
    int most;
    const char *json; /* NULL: by table */
};
/* fields_schema writes the members of a JSON Schema (no braces) of the object that fields_read
 * takes. shape may be NULL. */
void fields_schema(struct field_table table, const struct field_shape *shape, struct text *out);

#endif
