/* SPDX-License-Identifier: MIT */
/*
 * Checks that the generated part of docs/configuration.md is what config_reference says today, or
 * with --write puts it there. Everything behind the marker line is generated.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/config.h"

enum { DOC_CAP = 1 << 20 };
static const char marker[] = "<!-- generated: reference --write docs/configuration.md -->\n";

static int fail(const char *path, const char *what)
{
    fprintf(stderr, "reference: %s: %s\n", path, what);
    return EXIT_FAILURE;
}

static int write_doc(const char *path, const char *head, size_t n, const char *table)
{
    FILE *f = fopen(path, "w");
    if (!f)
        return fail(path, strerror(errno));
    bool ok = fwrite(head, 1, n, f) == n && fputs(marker, f) != EOF && fputs("\n", f) != EOF &&
              fputs(table, f) != EOF;
    return fclose(f) == 0 && ok ? EXIT_SUCCESS : fail(path, "cannot be written");
}

int main(int argc, char **argv)
{
    static char doc[DOC_CAP], table[DOC_CAP];
    bool write = argc == 3 && strcmp(argv[1], "--write") == 0;
    const char *path = argv[argc - 1];
    if (argc != 2 && !write) {
        fprintf(stderr, "usage: reference [--write] FILE\n");
        return EXIT_FAILURE;
    }
    FILE *f = fopen(path, "r");
    if (!f)
        return fail(path, strerror(errno));
    doc[fread(doc, 1, sizeof doc - 1, f)] = '\0';
    fclose(f);
    if (config_reference(table, sizeof table) == 0)
        return fail(path, "the reference does not fit");
    char *at = strstr(doc, marker);
    if (!at)
        return fail(path, "has no marker line");
    if (write)
        return write_doc(path, doc, (size_t)(at - doc), table);
    const char *held = at + strlen(marker);
    if (held[0] == '\n' && strcmp(held + 1, table) == 0)
        return EXIT_SUCCESS;
    return fail(path, "is not current; run: reference --write docs/configuration.md");
}
