/* SPDX-License-Identifier: MIT */
/*
 * How long it takes to find out what a key opens, by what is wrong with it. A stranger may learn
 * nothing from that: a secret that is wrong in its first character must take as long as one that is
 * wrong in its last, and an id that there is not as long as one that there is.
 *
 * Kinds take turns, call by call, so what else the machine does falls on all alike; what is judged
 * is medians, which a busy machine does not move. A t of the differences is printed beside: it
 * sees a nanosecond, and its sign for a secret wrong at its end changes from run to run, with where
 * the strings lie in memory. A key that is not one is shorter and so a hundredth faster.
 *
 *   key_timing [CALLS]      exit 1: a median is off that of the first kind by more than a tenth
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "transport/keyring.h"

enum { KINDS = 5, OTHERS = 50, BLOCKS = 40 };
static const char *const what[KINDS] = {"wrong in the first character", "wrong in the last",
                                        "no such id", "revoked", "no key at all"};
static const double MOST_APART = 0.1;

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void stop(const char *text)
{
    fprintf(stderr, "key_timing: %s\n", text);
    exit(2);
}

static void make_key(struct keyring *r, char presented[KEY_TEXT_CAP])
{
    struct problem p = {0};
    const struct key like = {.role = ROLE_APP};
    if (keyring_make(r, &like, presented, &p) != STATUS_OK)
        stop(p.text);
}

/* The keys that are shown, of one that there is. */
static void show(struct keyring *r, char shown[KINDS][KEY_TEXT_CAP])
{
    char spare[KEY_TEXT_CAP];
    for (int i = 0; i < OTHERS; i++)
        make_key(r, spare);
    make_key(r, shown[0]);
    make_key(r, shown[3]);
    char *dot = strchr(shown[0], '.');
    memcpy(shown[1], shown[0], KEY_TEXT_CAP);
    memcpy(shown[2], shown[0], KEY_TEXT_CAP);
    size_t last = strlen(shown[1]) - 1;
    shown[1][last] = shown[1][last] == 'A' ? 'Q' : 'A';
    shown[2][dot - shown[0] - 1] = '_'; /* no id ends so */
    dot[1] = dot[1] == 'A' ? 'Q' : 'A';
    (void)snprintf(spare, sizeof spare, "%.*s", (int)(strchr(shown[3], '.') - shown[3]), shown[3]);
    if (!keyring_revoke(r, spare, 1))
        stop("the key to revoke is not there");
    strcpy(shown[4], "x");
}

static double median(double *t, size_t n)
{
    qsort(t, n, sizeof *t, by_size);
    return t[n / 2];
}

/* The mean without the slowest quarter; sorts. */
static double usual(double *t, size_t n)
{
    double sum = 0;
    qsort(t, n, sizeof *t, by_size);
    for (size_t i = 0; i < n - n / 4; i++)
        sum += t[i] / (double)(n - n / 4);
    return sum;
}

/* Student's t of the differences to the first kind, by blocks: what a machine does lasts. */
static double student(const double *t, const double *first, size_t calls)
{
    size_t n = calls / BLOCKS;
    double d[BLOCKS], mean = 0, variance = 0, *room = malloc(2 * n * sizeof *room);
    if (!room)
        stop("no memory");
    for (size_t b = 0; b < BLOCKS; b++) {
        memcpy(room, t + b * n, n * sizeof *room);
        memcpy(room + n, first + b * n, n * sizeof *room);
        d[b] = usual(room, n) - usual(room + n, n);
        mean += d[b] / BLOCKS;
    }
    for (size_t b = 0; b < BLOCKS; b++)
        variance += (d[b] - mean) * (d[b] - mean) / (BLOCKS - 1);
    free(room);
    return variance > 0 ? mean / sqrt(variance / BLOCKS) : 0;
}

int main(int argc, char **argv)
{
    size_t calls = argc > 1 ? (size_t)strtoul(argv[1], NULL, 10) : 20000;
    struct keyring *r = keyring_new();
    char shown[KINDS][KEY_TEXT_CAP] = {{0}};
    double *t = calloc(KINDS * calls, sizeof *t);
    if (calls < 100 || !r || !t)
        stop("usage: key_timing [CALLS], 100 at least");
    show(r, shown);
    for (size_t i = 0; i < calls; i++)
        for (size_t j = 0; j < KINDS; j++) {
            size_t step = 1 + i / KINDS % (KINDS - 1); /* none always follows the same one */
            size_t k = (i + j * step) % KINDS;
            double began = now_ns();
            int found = keyring_open(r, shown[k], 2);
            t[k * calls + i] = now_ns() - began;
            if (found >= 0)
                stop("a wrong key opens");
        }
    int wrong = 0;
    double t_of[KINDS], first = 0;
    for (size_t k = 0; k < KINDS; k++)
        t_of[k] = student(t + k * calls, t, calls);
    for (size_t k = 0; k < KINDS; k++) {
        double m = median(t + k * calls, calls);
        first = k == 0 ? m : first;
        bool bad = fabs(m / first - 1) > MOST_APART;
        printf("%-30s median %7.0f ns, %+5.1f%%, t %+6.1f%s\n", what[k], m, 100 * (m / first - 1),
               t_of[k], bad ? "  TELLS" : "");
        wrong += bad;
    }
    keyring_free(r);
    free(t);
    return wrong > 0;
}
