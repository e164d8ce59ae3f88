/* SPDX-License-Identifier: MIT */
/* What a change of the configuration changes, a line a path: of long values where they begin to
 * differ. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "transport/cli/cli.h"

enum { SHOWN = 60, LED_BY = 20 }; /* bytes of a value, and of what is the same before them */

static char *dumped(const json_t *v)
{
    return v ? json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(12)) : NULL;
}

/* Where to begin so that the difference is seen: at a letter, not inside one of several bytes. */
static size_t begin_of(const char *a, const char *b)
{
    size_t same = 0;
    if (!a || !b || (strlen(a) <= SHOWN && strlen(b) <= SHOWN))
        return 0;
    while (a[same] && a[same] == b[same])
        same++;
    size_t at = same > LED_BY ? same - LED_BY : 0;
    while (at > 0 && ((unsigned char)a[at] & 0xc0) == 0x80)
        at--;
    return at;
}

static void show_value(const char *s, size_t from)
{
    if (!s) {
        printf("(none)");
        return;
    }
    size_t n = strlen(s + from), most = SHOWN;
    while (n > most && ((unsigned char)s[from + most] & 0xc0) == 0x80)
        most--;
    printf("%s%.*s%s", from > 0 ? "..." : "", (int)most, s + from, n > most ? "..." : "");
}

void cli_show_changes(const json_t *changes, const char *about)
{
    size_t i;
    json_t *x;
    json_array_foreach(changes, i, x)
    {
        const char *path = cli_text(x, "path");
        size_t n = strlen(path), m = strlen(about);
        if (strncmp(path, about, n < m ? n : m) != 0)
            continue;
        char *was = dumped(json_object_get(x, "from")), *now = dumped(json_object_get(x, "to"));
        size_t from = begin_of(was, now);
        printf("  %s: ", path);
        show_value(was, from);
        printf(" -> ");
        show_value(now, from);
        putchar('\n');
        free(was);
        free(now);
    }
}
