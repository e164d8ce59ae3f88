/* SPDX-License-Identifier: MIT */
/*
 * The audit: differences of documents and back, the chain of hashes, what outlives what. Through
 * the service: tests/http/settings.py.
 */
#include "store_fx.h"

#include <lmdb.h>
#include "bandit/rng.h"
#include "transport/audit.h"
#include "transport/audit_diff.h"
#include "transport/outbuf.h"

/* ---- documents ---- */

/* A document of some depth: objects, lists of named elements, other lists, plain values. */
static json_t *some_value(struct rng *g, int depth)
{
    static const char *const key[] = {"a", "b/c", "d~e", "tilde~1"};
    double u = rng_uniform(g);
    if (depth == 0 || u < .3)
        return u < .1 ? json_true() : json_integer((json_int_t)(rng_uniform(g) * 3));
    json_t *v = u < .6 ? json_object() : json_array();
    int n = (int)(rng_uniform(g) * 4);
    for (int i = 0; i < n; i++) {
        json_t *below = some_value(g, depth - 1);
        if (u < .6)
            json_object_set_new(v, key[i], below);
        else if (u < .85)
            json_array_append_new(v, json_pack("{s:s,s:o}", "name", key[i], "of", below));
        else
            json_array_append_new(v, below);
    }
    return v;
}

static void differences_lead_back(void **state)
{
    struct rng g = rng_stream(11, 1, 0);
    (void)state;
    int undone = 0;
    for (int i = 0; i < 3000; i++) {
        json_t *from = json_pack("{s:o,s:o}", "x", some_value(&g, 3), "y", some_value(&g, 3));
        json_t *to = i % 3 == 0 ? json_deep_copy(from) : json_object();
        json_object_set_new(to, "x", some_value(&g, 3));
        json_t *now = json_deep_copy(to), *changes = diff_documents(from, to);
        const char *path = "";
        assert_non_null(changes);
        assert_true((json_array_size(changes) == 0) == json_equal(from, to));
        if (!diff_undo(now, changes, &path))
            fail_msg("%s", path);
        assert_true(json_equal(now, from));
        undone += json_array_size(changes) > 0;
        json_decref(changes);
        json_decref(now);
        json_decref(to);
        json_decref(from);
    }
    assert_true(undone > 2000);
}

/* What stands there is not what the list says: it is told, not overwritten. */
static void a_foreign_document_is_refused(void **state)
{
    (void)state;
    json_t *a = json_pack("{s:{s:i}}", "objective", "cost", 1),
           *b = json_pack("{s:{s:i}}", "objective", "cost", 2),
           *c = json_pack("{s:{s:i}}", "objective", "cost", 3);
    const char *path = "";
    json_t *changes = diff_documents(a, b);
    assert_false(diff_undo(c, changes, &path));
    assert_string_equal(path, "/objective/cost");
    assert_true(
        diff_set(c, "objective/cost", json_object_get(json_object_get(a, "objective"), "cost")));
    assert_true(json_equal(a, c));
    json_decref(changes);
    json_decref(a);
    json_decref(b);
    json_decref(c);
}

static void elements_go_by_name(void **state)
{
    (void)state;
    json_t *doc = json_pack("{s:[{s:s,s:i},{s:s,s:i}],s:[i,i]}", "models", "name", "acme/small",
                            "p", 1, "name", "b", "p", 2, "plain", 5, 6);
    json_t *seven = json_integer(7);
    assert_true(diff_set(doc, "models/acme~1small/p", seven));
    assert_true(diff_set(doc, "/plain/1", seven));
    assert_true(diff_set(doc, "new/group/x", seven));
    assert_true(diff_set(doc, "models/c/p", seven));
    assert_false(diff_set(doc, "plain/7", seven));
    assert_false(diff_set(doc, "plain/0/x", seven));
    assert_true(diff_set(doc, "models/b", NULL));
    assert_int_equal(json_integer_value(diff_get(doc, "models/acme~1small/p")), 7);
    assert_int_equal(json_integer_value(diff_get(doc, "plain/1")), 7);
    assert_int_equal(json_integer_value(diff_get(doc, "new/group/x")), 7);
    assert_string_equal(json_string_value(diff_get(doc, "models/c/name")), "c");
    assert_null(diff_get(doc, "models/b"));
    json_decref(seven);
    json_decref(doc);
}

/* ---- the chain ---- */

static struct audit *began(struct fx *fx)
{
    struct audit *a = NULL;
    ok(fx, audit_open(fx->db, json_object(), &a, &fx->problem));
    return a;
}

static void note(struct fx *fx, struct audit *a, int i)
{
    char cost[16];
    snprintf(cost, sizeof cost, "%d", i);
    struct audit_hand hand = {.who = "boss", .op = "weights.set", .why = cost};
    ok(fx, audit_config(a, fx->batch, 1000 + i, &hand, (uint64_t)i,
                        json_pack("{s:{s:i,s:i}}", "objective", "cost", i, "quality", 1)));
}

/* Reads all by pages; gives the first entry that does not hold, 0 = all do. */
static json_int_t broken(struct fx *fx, json_int_t *entries)
{
    json_int_t from = 1, n = 0;
    for (*entries = 0; from > 0 && n == 0;) {
        struct outbuf o = {0};
        assert_true(outbuf_reserve(&o, OUTBUF_ITEM));
        text_put(&o.text, "{");
        ok(fx, audit_page(fx->db, (uint64_t)from, 7, NULL, &o, &fx->problem));
        text_put(&o.text, "}");
        json_t *page = json_loads(o.text.at, 0, NULL);
        assert_non_null(page);
        *entries += (json_int_t)json_array_size(json_object_get(page, "entries"));
        n = json_integer_value(json_object_get(json_object_get(page, "broken"), "n"));
        from = json_integer_value(json_object_get(page, "next"));
        json_decref(page);
        outbuf_fini(&o);
    }
    return n;
}

static void chain_of(struct fx *fx, int n)
{
    ok(fx, open_store(fx, false));
    struct audit *a = began(fx);
    for (int i = 1; i <= n; i++) {
        note(fx, a, i);
        if (i % 4 == 0)
            commit(fx);
        if (i % 6 == 0) { /* another start goes on */
            commit(fx);
            audit_free(a);
            a = NULL;
            ok(fx,
               audit_open(fx->db, json_pack("{s:{s:i,s:i}}", "objective", "cost", i, "quality", 1),
                          &a, &fx->problem));
        }
    }
    commit(fx);
    audit_free(a);
}

static void entries_follow_over_restarts(void **state)
{
    struct fx *fx = *state;
    json_int_t entries;
    chain_of(fx, 30);
    assert_int_equal(broken(fx, &entries), 0);
    assert_int_equal(entries, 30);
    close_store(fx);
    ok(fx, open_store(fx, true));
    assert_int_equal(broken(fx, &entries), 0);
    assert_int_equal(entries, 30);
}

/* Replaces entry n by what change makes of it; NULL takes it out. */
static void tamper(struct fx *fx, uint64_t n, void (*change)(uint8_t *bytes, size_t n, size_t at),
                   size_t at)
{
    MDB_txn *txn;
    struct seq_key k = seq_key(n);
    MDB_val key = {sizeof k.at, k.at}, value;
    assert_int_equal(mdb_txn_begin(fx->db->env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_get(txn, fx->db->audit, &key, &value), 0);
    uint8_t *copy = malloc(value.mv_size);
    memcpy(copy, value.mv_data, value.mv_size);
    MDB_val other = {value.mv_size, copy};
    if (change) {
        change(copy, value.mv_size, at);
        assert_int_equal(mdb_put(txn, fx->db->audit, &key, &other, 0), 0);
    } else {
        assert_int_equal(mdb_del(txn, fx->db->audit, &key, NULL), 0);
    }
    assert_int_equal(mdb_txn_commit(txn), 0);
    free(copy);
}

static void flip(uint8_t *bytes, size_t n, size_t at)
{
    bytes[at % n] ^= 1;
}

static void each_flipped_byte_is_named(void **state)
{
    struct fx *fx = *state;
    json_int_t entries;
    chain_of(fx, 12);
    for (uint64_t n = 1; n <= 12; n++)
        for (size_t at = 0; at < 250; at += 7) {
            tamper(fx, n, flip, at);
            assert_int_equal(broken(fx, &entries), n);
            assert_int_equal(entries, n - 1);
            tamper(fx, n, flip, at);
        }
    assert_int_equal(broken(fx, &entries), 0);
    tamper(fx, 5, NULL, 0);
    assert_int_equal(broken(fx, &entries), 5);
}

/* The log is pruned and the store copied: the audit is there, and whole. */
static void it_outlives_the_log(void **state)
{
    struct fx *fx = *state;
    json_int_t entries;
    struct verify_report report;
    live_history(fx);
    struct audit *a = began(fx);
    note(fx, a, 1);
    batch_prune(fx->batch, router_seq(fx->router), 1000);
    commit(fx);
    note(fx, a, 2);
    commit(fx);
    audit_free(a);
    assert_true(info(fx).first_seq > 1);
    assert_int_equal(broken(fx, &entries), 0);
    assert_int_equal(entries, 2);
    ok(fx, store_backup_open(fx->db, fx->other, &report, &fx->problem));
    close_store(fx);
    struct db_options o = {.read_only = true};
    ok(fx, db_open(fx->other, &o, &fx->db, &fx->problem));
    assert_int_equal(broken(fx, &entries), 0);
    assert_int_equal(entries, 2);
}

static void time_goes_back(void **state)
{
    struct fx *fx = *state;
    chain_of(fx, 20);
    for (uint64_t n = 1; n <= 20; n++) {
        json_t *now = json_pack("{s:{s:i,s:i}}", "objective", "cost", 20, "quality", 1),
               *then = audit_document(fx->db, now, n, &fx->problem);
        assert_non_null(then);
        assert_int_equal(json_integer_value(diff_get(then, "objective/cost")), n);
        json_decref(then);
    }
    assert_null(audit_document(fx->db, json_object(), 21, &fx->problem));
    assert_null(audit_document(fx->db, json_object(), 0, &fx->problem));
    assert_null(audit_document(fx->db, json_object(), 3, &fx->problem));
    assert_int_equal(fx->problem.code, STATUS_CONFLICT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(differences_lead_back),
        cmocka_unit_test(a_foreign_document_is_refused),
        cmocka_unit_test(elements_go_by_name),
        STORE_TEST(entries_follow_over_restarts),
        STORE_TEST(each_flipped_byte_is_named),
        STORE_TEST(it_outlives_the_log),
        STORE_TEST(time_goes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
