/* SPDX-License-Identifier: MIT */
/*
 * Checks that what is generated from the tables of fields is what they say today, or with --write
 * puts it there: docs/configuration.md behind its marker line, or a whole JSON Schema.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/config/config.h"
#include "sim/run/experiment.h"

enum { DOC_CAP = 1 << 20 };
static const char marker[] = "<!-- generated: reference --write docs/configuration.md -->\n\n";

static int fail(const char *path, const char *what)
{
    fprintf(stderr, "reference: %s: %s\n", path, what);
    return EXIT_FAILURE;
}

static int write_doc(const char *path, const char *head, size_t n, const char *generated)
{
    FILE *f = fopen(path, "w");
    if (!f)
        return fail(path, strerror(errno));
    bool ok = fwrite(head, 1, n, f) == n && fputs(generated, f) != EOF;
    return fclose(f) == 0 && ok ? EXIT_SUCCESS : fail(path, "cannot be written");
}

int main(int argc, char **argv)
{
    static char doc[DOC_CAP], generated[DOC_CAP];
    bool write = argc == 3 && strcmp(argv[1], "--write") == 0;
    const char *path = argv[argc - 1], *held = doc;
    if (argc != 2 && !write) {
        fprintf(stderr, "usage: reference [--write] FILE.md|FILE.json\n");
        return EXIT_FAILURE;
    }
    bool schema = strlen(path) > 5 && strcmp(path + strlen(path) - 5, ".json") == 0;
    size_t (*const generate)(char *, size_t) = !schema                       ? config_reference
                                               : strstr(path, "experiment.") ? experiment_schema
                                                                             : config_schema;
    if (generate(generated, sizeof generated) == 0)
        return fail(path, "the reference does not fit");
    FILE *f = fopen(path, "r");
    if (!f && !(write && schema))
        return fail(path, strerror(errno));
    if (f) {
        doc[fread(doc, 1, sizeof doc - 1, f)] = '\0';
        fclose(f);
    }
    if (!schema) {
        held = strstr(doc, marker);
        if (!held)
            return fail(path, "has no marker line");
        held += strlen(marker);
    }
    if (write)
        return write_doc(path, doc, (size_t)(held - doc), generated);
    if (strcmp(held, generated) == 0)
        return EXIT_SUCCESS;
    fprintf(stderr, "reference: %s is not current; run: reference --write %s\n", path, path);
    return EXIT_FAILURE;
}
