#include "base/testing.h"

#include "base/str.h"
#include "fleet/audit/ledger.h"
#include "sys/file.h"
#include "trust/merkle/proof.h"

#include <sqlite3.h>
#include <string.h>
#include <unistd.h>

struct fixture {
    char dir[64], path[96];
    struct store *store;
    struct ledger *ledger;
};

static void reopen(struct fixture *f)
{
    struct err err = {0};
    ledger_free(f->ledger);
    f->ledger = NULL;
    store_free(f->store);
    f->store = NULL;
    assert_ok(store_open_sqlite(f->path, &f->store, &err), err);
    assert_ok(ledger_open(f->store, f->dir, &f->ledger, &err), err);
}

static int setup(void **state)
{
    struct fixture *f = mem_zalloc(1, sizeof *f);
    str_copy(f->dir, sizeof f->dir, "/tmp/muster-ledger-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->path, sizeof f->path, "%s/muster.db", f->dir);
    reopen(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    ledger_free(f->ledger);
    store_free(f->store);
    assert_ok(file_remove_tree(f->dir, &err), err);
    free(f);
    return 0;
}

static void append(struct fixture *f, size_t count)
{
    struct err err = {0};
    assert_ok(f->store->ops->begin(f->store, &err), err);
    for (size_t i = 0; i < count; i++)
        assert_ok(ledger_append(f->store, &(struct audit_entry){.kind = "audit", .what = "test"}, &err), err);
}

static void commit(struct fixture *f, bool now, int64_t now_ms)
{
    struct err err = {0};
    assert_ok(ledger_seal(f->ledger, now, now_ms, &err), err);
    assert_ok(f->store->ops->commit(f->store, &err), err);
    ledger_settle(f->ledger, true);
}

static struct checkpoint opened(const struct fixture *f)
{
    struct checkpoint checkpoint;
    struct err err = {0};
    const char *text = ledger_checkpoint(f->ledger);
    assert_ok(checkpoint_open(text, strlen(text), ledger_key(f->ledger), 1, &checkpoint, &err), err);
    assert_int_equal(checkpoint.size, ledger_size(f->ledger));
    return checkpoint;
}

static void assert_extends(const struct fixture *f, const struct checkpoint *before)
{
    struct checkpoint now = opened(f);
    struct merkle_source source = ledger_source(f->ledger);
    struct merkle_proof proof;
    struct err err = {0};
    assert_ok(merkle_prove_consistency(&source, before->size, now.size, &proof, &err), err);
    assert_true(merkle_check_consistency(before->size, &before->root, now.size, &now.root, &proof));
    assert_string_equal(before->origin, now.origin);
}

static void checkpoints_come_when_they_are_due(void **state)
{
    struct fixture *f = *state;
    append(f, 3);
    commit(f, false, 10000);
    assert_int_equal(ledger_size(f->ledger), 0);
    assert_false(ledger_due(f->ledger, 10999));
    assert_true(ledger_due(f->ledger, 11000));
    append(f, 1);
    commit(f, false, 11000);
    assert_int_equal(opened(f).size, 4);
    assert_false(ledger_due(f->ledger, 99999)); /* nothing is new */
    append(f, 255);
    commit(f, false, 11001);
    assert_int_equal(ledger_size(f->ledger), 4);
    append(f, 1);
    commit(f, false, 11002);
    assert_int_equal(ledger_size(f->ledger), 260);
    append(f, 1);
    commit(f, true, 11003);
    assert_int_equal(opened(f).size, 261);
}

/* Whatever is opened again, in tiles and between them, goes on with the same log. */
static void a_log_goes_on_where_it_was(void **state)
{
    struct fixture *f = *state;
    static const size_t steps[] = {1, 200, 55, 1, 300, 600, 0, 7};
    struct checkpoint before = {0};
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        append(f, steps[i]);
        commit(f, true, 1000 * (int64_t)i);
        struct checkpoint now = opened(f);
        if (i)
            assert_extends(f, &before);
        before = now;
        reopen(f);
        assert_null(ledger_broken(f->ledger));
        assert_extends(f, &before);
    }
    assert_int_equal(before.size, 1164);
}

static void what_is_not_committed_was_never_there(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    append(f, 250);
    commit(f, true, 1000);
    struct checkpoint before = opened(f);
    append(f, 20); /* over the end of a tile */
    assert_ok(ledger_seal(f->ledger, true, 2000, &err), err);
    f->store->ops->rollback(f->store);
    ledger_settle(f->ledger, false);
    assert_int_equal(ledger_size(f->ledger), 250);
    append(f, 10);
    commit(f, true, 3000);
    assert_extends(f, &before);
    assert_int_equal(opened(f).size, 260);
    reopen(f);
    assert_extends(f, &before);
}

/* A request that had a checkpoint made and is taken back, in a transaction that goes on. */
static void a_request_taken_back_does_no_harm(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    append(f, 300);
    assert_ok(ledger_seal(f->ledger, true, 1000, &err), err);
    assert_ok(f->store->ops->mark(f->store, &err), err);
    assert_ok(ledger_append(f->store, &(struct audit_entry){.kind = "audit"}, &err), err);
    assert_ok(ledger_seal(f->ledger, true, 1001, &err), err);
    f->store->ops->undo(f->store);
    ledger_settle(f->ledger, false);
    commit(f, true, 1002);
    assert_int_equal(opened(f).size, 300);
    reopen(f);
    assert_null(ledger_broken(f->ledger));
}

/* Entries of another process (musterd token) are taken in; many robots become many entries. */
static void entries_of_others_are_taken_in(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    cleanup_store struct store *other = NULL;
    const char *robots[AUDIT_ENTRY_ROBOTS * 2 + 1];
    for (size_t i = 0; i < ARRAY_LEN(robots); i++)
        robots[i] = "robot-with-a-name-of-sixty-three-characters-which-is-the-longest";
    append(f, 1);
    commit(f, true, 1000);
    assert_ok(store_open_sqlite(f->path, &other, &err), err);
    assert_ok(other->ops->begin(other, &err), err);
    const struct audit_entry entry = {.kind = "command", .robots = robots, .robot_count = ARRAY_LEN(robots)};
    assert_ok(ledger_append(other, &entry, &err), err);
    assert_ok(other->ops->commit(other, &err), err);
    append(f, 1);
    commit(f, true, 2000);
    assert_int_equal(opened(f).size, 5);
}

/* The key is replaced under a ledger that runs; the log goes on under its name. */
static void another_key_takes_over(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    cleanup_signing_key struct signing_key *next = NULL;
    cleanup_free char *path = file_join(f->dir, "online/audit.key"), *other = file_join(f->dir, "next.key");
    append(f, 3);
    commit(f, true, 1000);
    struct checkpoint before = opened(f);
    struct public_key old = *ledger_key(f->ledger);
    assert_ok(signing_key_generate(&next, &err), err);
    assert_ok(signing_key_save(next, other, &err), err);
    assert_int_equal(rename(other, path), 0);
    append(f, 0);
    commit(f, true, 2000); /* nothing is new but the key */
    struct checkpoint now = opened(f);
    assert_int_equal(now.size, 3);
    assert_memory_not_equal(ledger_key(f->ledger)->raw, old.raw, sizeof old.raw);
    assert_extends(f, &before);
    reopen(f);
    append(f, 1);
    commit(f, true, 3000);
    assert_int_equal(opened(f).size, 4);
    assert_extends(f, &before);
}

/* ---- a database in other hands ---- */

static void tamper(struct fixture *f, const char *sql)
{
    sqlite3 *db = NULL;
    ledger_free(f->ledger);
    f->ledger = NULL;
    store_free(f->store);
    f->store = NULL;
    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
    cleanup_free char *all =
        mem_printf("DROP TRIGGER audit_log_is_never_changed; DROP TRIGGER audit_log_is_never_cut;"
                   "DROP TRIGGER audit_hashes_are_never_changed;"
                   "DROP TRIGGER audit_hashes_are_never_cut; %s",
                   sql);
    if (sqlite3_exec(db, all, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    sqlite3_close(db);
    reopen(f);
}

static void a_log_in_other_hands_is_not_signed_again(void **state)
{
    static const char *const acts[] = {
        "UPDATE audit_log SET hash = zeroblob(32) WHERE seq = 590", /* in the last, unfinished tile */
        "UPDATE audit_hashes SET hash = zeroblob(32) WHERE at = 1",
        "DELETE FROM audit_log WHERE seq = 600",
        "DELETE FROM audit_log WHERE seq > 100",
        "DELETE FROM audit_log",
        "DELETE FROM audit_log WHERE seq = 599; UPDATE audit_log SET seq = 599 WHERE seq = 600",
    };
    for (size_t i = 0; i < ARRAY_LEN(acts); i++) {
        void *fresh = NULL;
        setup(&fresh);
        struct fixture *f = fresh;
        append(f, 600);
        commit(f, true, 1000);
        struct checkpoint before = opened(f);
        tamper(f, acts[i]);
        if (!ledger_broken(f->ledger))
            fail_msg("%s: not noticed", acts[i]);
        append(f, 300); /* the server goes on */
        commit(f, true, 2000);
        struct checkpoint after = opened(f);
        assert_int_equal(after.size, before.size);
        assert_true(digest_equal(&after.root, &before.root));
        teardown(&fresh);
    }
}

int main(void)
{
#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        WITH(checkpoints_come_when_they_are_due),
        WITH(a_log_goes_on_where_it_was),
        WITH(what_is_not_committed_was_never_there),
        WITH(a_request_taken_back_does_no_harm),
        WITH(entries_of_others_are_taken_in),
        WITH(another_key_takes_over),
        cmocka_unit_test(a_log_in_other_hands_is_not_signed_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
