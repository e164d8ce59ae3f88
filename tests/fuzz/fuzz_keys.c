/* SPDX-License-Identifier: MIT */
/* Key files: refused with words, or written back and read again to the same keys. */
#include "tests/fuzz/fuzz.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "transport/keyring.h"

#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000"

size_t fuzz_seed(int i, uint8_t *out, size_t cap)
{
    static const char *const texts[] = {
        "{\"v\":1,\"pepper\":\"" ZEROS "\",\"keys\":[]}",
        "{\"v\":1,\"pepper\":\"" ZEROS "\",\"keys\":[{\"id\":\"app-1\",\"role\":\"app\",\"tenant\":"
        "\"acme\",\"rate\":2.5,\"created\":\"2026-01-01T00:00:00Z\",\"expires\":\"\",\"note\":"
        "\"n\","
        "\"mac\":\"" ZEROS "\"},{\"id\":\"op\",\"role\":\"operator\",\"revoked\":"
        "\"2026-02-01T00:00:00Z\",\"mac\":\"" ZEROS "\"}]}",
        NULL};
    return fuzz_text(texts, i, out, cap);
}

static void put(const char *path, const uint8_t *bytes, size_t n)
{
    FILE *f = fopen(path, "wb");
    PROMISE(f && fwrite(bytes, 1, n, f) == n && fclose(f) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static char path[64];
    struct keyring *r = NULL, *again = NULL;
    struct problem p = {0};
    if (path[0] == '\0') {
        strcpy(path, "/tmp/purser-fuzz-XXXXXX");
        PROMISE(mkdtemp(path));
        strcat(path, "/keys");
        umask(077);
    }
    put(path, bytes, n);
    if (keyring_load(path, &r, &p) != STATUS_OK) {
        PROMISE(!r && p.text[0] != '\0');
        return 0;
    }
    PROMISE(keyring_save(r, path, &p) == STATUS_OK);
    PROMISE(keyring_load(path, &again, &p) == STATUS_OK);
    PROMISE(keyring_count(r) == keyring_count(again));
    for (int i = 0; i < keyring_count(r); i++) {
        const struct key *a = keyring_at(r, i), *b = keyring_at(again, i);
        PROMISE(strcmp(a->id, b->id) == 0 && a->role == b->role && a->rate == b->rate);
        PROMISE(strcmp(a->note, b->note) == 0 && memcmp(a->mac, b->mac, sizeof a->mac) == 0);
        PROMISE(a->expires_ms / 1000 == b->expires_ms / 1000);
    }
    keyring_free(r);
    keyring_free(again);
    return 0;
}
