/* SPDX-License-Identifier: MIT */
/*
 * Runs a target over its seeds, over files, and over changes of both: bits, bytes, numbers, pieces
 * left out, doubled, swapped between inputs. No coverage guides it, so it is for every day; the
 * long hunt is libFuzzer's, over the same targets. The same seed tries the same inputs. An input
 * that ends the process is left in crash-TARGET.
 */
#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "bandit/rng.h"

enum { INPUT_CAP = 64 * 1024, INPUTS_MAX = 512 };

static struct {
    uint8_t *at;
    size_t n;
} pool[INPUTS_MAX];
static int n_pool;
static uint8_t input[INPUT_CAP];
static size_t input_n;
static const char *leave_as = "crash";

static void keep(const uint8_t *bytes, size_t n)
{
    if (n_pool == INPUTS_MAX || n > INPUT_CAP)
        return;
    pool[n_pool].at = malloc(n + 1);
    memcpy(pool[n_pool].at, bytes, n);
    pool[n_pool++].n = n;
}

/* Only what a signal handler may call. */
static void leave(int number)
{
    int fd = open(leave_as, O_CREAT | O_TRUNC | O_WRONLY, 0600);
    if (fd >= 0 && write(fd, input, input_n) == (ssize_t)input_n)
        close(fd);
    signal(number, SIG_DFL);
    raise(number);
}

static void read_file(const char *path)
{
    static uint8_t bytes[INPUT_CAP];
    FILE *f = fopen(path, "rb");
    size_t n = f ? fread(bytes, 1, sizeof bytes, f) : 0;
    if (f)
        fclose(f);
    keep(bytes, n);
}

static void read_path(const char *path)
{
    struct stat st;
    DIR *d = stat(path, &st) == 0 && S_ISDIR(st.st_mode) ? opendir(path) : NULL;
    if (!d) {
        read_file(path);
        return;
    }
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        char file[4096];
        snprintf(file, sizeof file, "%s/%s", path, e->d_name);
        if (e->d_name[0] != '.')
            read_file(file);
    }
    closedir(d);
}

/* Draws below n (n >= 1). */
static size_t pick(struct rng *r, size_t n)
{
    return (size_t)rng_below(r, n);
}

static void cut(struct rng *r)
{
    size_t from = pick(r, input_n), n = 1 + pick(r, input_n - from);
    memmove(input + from, input + from + n, input_n - from - n);
    input_n -= n;
}

/* Puts a piece of some input at some place. */
static void insert(struct rng *r)
{
    const int from = (int)pick(r, (size_t)n_pool);
    if (pool[from].n == 0)
        return;
    size_t start = pick(r, pool[from].n), n = 1 + pick(r, pool[from].n - start);
    size_t at = pick(r, input_n + 1);
    if (n > 256)
        n = 256;
    if (input_n + n > INPUT_CAP)
        return;
    memmove(input + at + n, input + at, input_n - at);
    memcpy(input + at, pool[from].at + start, n);
    input_n += n;
}

static void set(struct rng *r)
{
    static const uint8_t bytes[] = {0,   1,   0x7f, 0x80, 0xff, '"', '\\', '{',  '}',  '[',  ']',
                                    ',', ':', '-',  '.',  'e',  '0', '9',  '\n', 0xc0, 0xe2, 0xf4};
    size_t at = pick(r, input_n);
    size_t how = pick(r, 4);
    if (how == 0)
        input[at] ^= (uint8_t)(1u << pick(r, 8));
    else if (how == 1)
        input[at] = bytes[pick(r, sizeof bytes)];
    else if (how == 2)
        input[at] = (uint8_t)pick(r, 256);
    else
        for (size_t i = at; i < input_n && i < at + 8; i++)
            input[i] = at & 1 ? 0xff : 0;
}

static void change(struct rng *r)
{
    const int from = (int)pick(r, (size_t)n_pool);
    memcpy(input, pool[from].at, pool[from].n);
    input_n = pool[from].n;
    for (size_t i = 1 + pick(r, 4); i > 0; i--) {
        size_t how = pick(r, 8);
        if (how < 5 && input_n > 0)
            set(r);
        else if (how == 5 && input_n > 0)
            cut(r);
        else
            insert(r);
    }
}

static int write_seeds(const char *dir)
{
    for (int i = 0; i < n_pool; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/seed-%03d", dir, i);
        FILE *f = fopen(path, "wb");
        if (!f || fwrite(pool[i].at, 1, pool[i].n, f) != pool[i].n || fclose(f) != 0) {
            perror(path);
            return EXIT_FAILURE;
        }
    }
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    long rounds = 20000;
    uint64_t seed = 1;
    const char *seeds = NULL;
    for (int i = 0; (input_n = fuzz_seed(i, input, sizeof input)) > 0; i++)
        keep(input, input_n);
    for (int i = 1; i < argc; i++) {
        bool more = i + 1 < argc;
        if (more && strcmp(argv[i], "--rounds") == 0)
            rounds = atol(argv[++i]);
        else if (more && strcmp(argv[i], "--seed") == 0)
            seed = strtoull(argv[++i], NULL, 10);
        else if (more && strcmp(argv[i], "--write-seeds") == 0)
            seeds = argv[++i];
        else if (more && strcmp(argv[i], "--leave") == 0)
            leave_as = argv[++i];
        else
            read_path(argv[i]);
    }
    if (seeds)
        return write_seeds(seeds);
    signal(SIGABRT, leave);
    signal(SIGSEGV, leave);
    signal(SIGBUS, leave);
    signal(SIGFPE, leave);
    struct rng r = rng_stream(seed, 0, 0);
    for (int i = 0; i < n_pool; i++) {
        memcpy(input, pool[i].at, pool[i].n);
        input_n = pool[i].n;
        LLVMFuzzerTestOneInput(input, input_n);
    }
    for (long i = 0; i < rounds; i++) {
        change(&r);
        LLVMFuzzerTestOneInput(input, input_n);
    }
    printf("%d inputs, %ld changes of them, seed %llu: no promise broken\n", n_pool, rounds,
           (unsigned long long)seed);
    for (int i = 0; i < n_pool; i++)
        free(pool[i].at);
    return EXIT_SUCCESS;
}
