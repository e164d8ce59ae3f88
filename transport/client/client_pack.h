/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CLIENT_PACK_H
#define PURSER_CLIENT_PACK_H

#include <jansson.h>
#include <stddef.h>

/* The client library's second encoding, MessagePack. Private to it. */

/* client_pack gives a message as MessagePack (free it), with an embedding as binary if n > 0; NULL
 * when memory is short. client_unpack gives a reply as a tree, NULL if it is none. */
char *client_pack(const json_t *root, const float *embedding, size_t n, size_t *length);
json_t *client_unpack(const void *bytes, size_t n);

#endif
