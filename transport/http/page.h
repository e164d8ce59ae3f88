/* SPDX-License-Identifier: MIT */
#ifndef PURSER_TRANSPORT_HTTP_PAGE_H
#define PURSER_TRANSPORT_HTTP_PAGE_H

#include <stddef.h>

/* The dashboard: files of transport/http/page and the charting library that the build found, put
 * into the program. */
struct page {
    const char *name; /* index.html is served at / as well */
    const char *type;
    const char *at;
    const size_t *n;
    const char *tag; /* an ETag: of the content */
};
/* page_find gives a file by name, NULL: there is none. */
const struct page *page_find(const char *name);

#endif
