/* SPDX-License-Identifier: MIT */
/* Changes of a configuration and entries of the audit, as people read them. Of values too long for
 * a line that part is shown in which they differ. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/budget/window.h"
#include "transport/cli/cli.h"

enum { SHOWN = 60, LEAD = 20 }; /* bytes of a value, and of them before the first difference */

/* The start of the character that the byte at `i` is of (UTF-8). */
static size_t whole(const char *s, size_t i)
{
    while (i > 0 && ((unsigned char)s[i] & 0xc0) == 0x80)
        i--;
    return i;
}

/* `at`: from where a value too long to be shown whole is of interest. */
static void show_value(const char *s, size_t at)
{
    size_t n = strlen(s), from = n > SHOWN && at > LEAD ? at - LEAD : 0;
    if (n > SHOWN && from > n - SHOWN)
        from = n - SHOWN;
    from = whole(s, from);
    size_t to = n - from > SHOWN ? whole(s, from + SHOWN) : n;
    printf("%s%.*s%s", from > 0 ? "..." : "", (int)(to - from), s + from, to < n ? "..." : "");
}

static void show_both(const json_t *from, const json_t *to)
{
    size_t flags = JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(12), same = 0;
    char *a = from ? json_dumps(from, flags) : NULL, *b = to ? json_dumps(to, flags) : NULL;
    while (a && b && a[same] && a[same] == b[same])
        same++;
    show_value(a ? a : "(none)", same);
    printf(" -> ");
    show_value(b ? b : "(none)", same);
    free(a);
    free(b);
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
        printf("  %s: ", path);
        show_both(json_object_get(x, "from"), json_object_get(x, "to"));
        putchar('\n');
    }
}

void cli_show_entry(const json_t *e, const char *about)
{
    char at[WINDOW_TIME_CAP];
    window_time_write(json_integer_value(json_object_get(e, "at_ms")), at);
    printf("%4" JSON_INTEGER_FORMAT "  %s  %s  %s%s%s\n",
           json_integer_value(json_object_get(e, "n")), at, cli_text(e, "who"), cli_text(e, "op"),
           *cli_text(e, "why") ? ": " : "", cli_text(e, "why"));
    cli_show_changes(json_object_get(e, "changes"), about);
}
