/* SPDX-License-Identifier: MIT */
#ifndef PURSER_TESTS_STORE_FX_H
#define PURSER_TESTS_STORE_FX_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "core/meter/meter.h"
#include "core/router/snapshot.h"
#include "store/db_inside.h"
#include "store/maintain.h"

/*
 * A host for the tests of the store: a router, a store in a temporary directory, and the batch
 * between them. What fails in the fixture fails the test, with the problem's text.
 */
struct fx {
    char root[64], dir[96], other[96];
    struct db *db;
    struct router *router;
    struct batch *batch;
    struct event ev, decided;
    struct request request;
    char json[CONFIG_MAX];
    struct problem problem;
    int64_t now;
};

void ok(struct fx *fx, enum status s);
int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw);
int setup(void **state);
int teardown(void **state);
enum status open_store(struct fx *fx, bool read_only);
void close_store(struct fx *fx);
struct router *fresh_router(struct fx *fx);
void commit(struct fx *fx);
void fx_log(struct fx *fx);
void live_start(struct fx *fx);
void live_route(struct fx *fx, uint64_t i);
void live_feedback(struct fx *fx, uint64_t seq, double quality);
void live(struct fx *fx, uint64_t n);
void live_snapshot(struct fx *fx);
void live_history(struct fx *fx);
uint64_t recovered_digest(struct fx *fx, enum generation which, uint64_t until);
struct db_info info(struct fx *fx);
bool count_visit(void *ctx, const struct event *e);

#define STORE_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
