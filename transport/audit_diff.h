/* SPDX-License-Identifier: MIT */
#ifndef PURSER_TRANSPORT_AUDIT_DIFF_H
#define PURSER_TRANSPORT_AUDIT_DIFF_H

#include "core/encoding/json.h"

/* Differences of two documents as a list of {"path","from","to"}, and back. Paths are JSON pointers
 * (RFC 6901), but for elements of lists that have names (`name` or `tenant`): those go by name,
 * unless the lists differ in more than what they have at the end. */

/* diff_documents gives the list; NULL without memory. */
json_t *diff_documents(const json_t *from, const json_t *to);
/* diff_undo takes the list back in document, last first. False: what stands there is not what the
 * list says, or memory is short; *path (borrowed from changes) then says where. */
bool diff_undo(json_t *document, const json_t *changes, const char **path);
/* diff_get gives what stands at a path, NULL = nothing. */
const json_t *diff_get(const json_t *document, const char *path);
/* diff_set puts a value (NULL: nothing) at a path, its first slash may be missing; elements without
 * names go by number, objects and named elements that are missing on the way are made. False: there
 * is no such place. */
bool diff_set(json_t *document, const char *path, const json_t *value);

#endif
