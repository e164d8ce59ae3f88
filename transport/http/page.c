/* SPDX-License-Identifier: MIT */
#include "transport/http/page.h"

#include <string.h>

#define FILE_OF(name)                                                                              \
    extern const char name[], name##_tag[];                                                        \
    extern const size_t name##_n;
FILE_OF(page_index_html)
FILE_OF(page_app_css)
FILE_OF(page_app_js)
FILE_OF(page_charts_js)
FILE_OF(page_panels_js)
FILE_OF(page_service_js)
FILE_OF(page_weights_js)
FILE_OF(page_chart_min_js)

#define GIVEN(file, type, name)                                                                    \
    {                                                                                              \
        file, type, name, &name##_n, name##_tag                                                    \
    }
static const char script[] = "text/javascript; charset=utf-8";
static const struct page pages[] = {
    GIVEN("index.html", "text/html; charset=utf-8", page_index_html),
    GIVEN("app.css", "text/css; charset=utf-8", page_app_css),
    GIVEN("app.js", script, page_app_js),
    GIVEN("charts.js", script, page_charts_js),
    GIVEN("panels.js", script, page_panels_js),
    GIVEN("service.js", script, page_service_js),
    GIVEN("weights.js", script, page_weights_js),
    GIVEN("chart.min.js", script, page_chart_min_js),
};

const struct page *page_find(const char *name)
{
    for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++)
        if (strcmp(pages[i].name, name) == 0)
            return &pages[i];
    return NULL;
}
