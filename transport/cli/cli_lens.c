/* SPDX-License-Identifier: MIT */
/* purser lens: what the running service looks at prompts through, and another one from a file. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/encoding/base64.h"
#include "core/features/lens.h"
#include "transport/cli/cli.h"

static void show(const json_t *reply)
{
    const json_t *l = json_object_get(reply, "lens");
    if (!json_is_object(l)) {
        puts("no lens");
        return;
    }
    printf("lens %s: %d directions, %d clusters, %d labels\n", cli_text(l, "id"),
           (int)cli_real(l, "dims"), (int)cli_real(l, "clusters"), (int)cli_real(l, "labels"));
}

/* The file as base64 (gives), NULL when it cannot be read or is too long for a lens. */
static char *read_lens(const char *path)
{
    static unsigned char bytes[LENS_BYTES_MAX + 1];
    FILE *f = fopen(path, "re");
    size_t n = f ? fread(bytes, 1, sizeof bytes, f) : 0;
    if (!f || ferror(f) || n == 0 || n > LENS_BYTES_MAX) {
        fprintf(stderr, "purser: %s: %s\n", path,
                !f || ferror(f) ? strerror(errno) : "not a lens: purser-sim lens fit makes one");
        if (f)
            fclose(f);
        return NULL;
    }
    fclose(f);
    char *out = malloc(base64_length(n) + 1);
    if (out)
        base64_encode(bytes, n, out);
    return out;
}

static json_t *set_message(const char *path, const char *reason)
{
    char *b64 = strcmp(path, "none") == 0 ? strdup("") : read_lens(path);
    if (!b64)
        return NULL;
    json_t *m = json_pack("{s:i,s:s,s:s}", "v", 1, "op", "lens.set", "lens_b64", b64);
    if (m && reason)
        json_object_set_new(m, "reason", json_string(reason));
    free(b64);
    return m;
}

int cli_lens(struct cli *c)
{
    const char *reason = cli_option(c, "--reason"), *verb = cli_operand(c);
    bool set = verb && strcmp(verb, "set") == 0;
    if (verb && !set && strcmp(verb, "get") != 0)
        return cli_usage(c, "get or set is needed");
    const char *path = set ? cli_operand(c) : NULL;
    if (set && !path)
        return cli_usage(c, "a FILE is needed, or none");
    if (!cli_end(c))
        return CLI_USAGE;
    json_t *m = set ? set_message(path, reason) : json_pack("{s:i,s:s}", "v", 1, "op", "lens.get");
    if (set && !m)
        return CLI_USAGE;
    int code;
    json_t *reply = cli_call(c, PURSER_CLIENT_CONTROL, m, &code);
    if (!reply)
        return code;
    if (c->json)
        cli_print_json(reply);
    else
        show(reply);
    json_decref(reply);
    return CLI_OK;
}
