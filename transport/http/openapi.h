/* SPDX-License-Identifier: MIT */
#ifndef PURSER_TRANSPORT_HTTP_OPENAPI_H
#define PURSER_TRANSPORT_HTTP_OPENAPI_H

#include <stddef.h>

/* The description of the HTTP interface: transport/http/openapi.json, put into the program by the
 * build. */
extern const char openapi_json[];
extern const size_t openapi_json_n;

#endif
