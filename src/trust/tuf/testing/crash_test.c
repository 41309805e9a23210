/* Cut, full and failing disks: a fault at every single change of the shelf. Whatever is left is old-good or new-good, the next refresh gets to
 * the end, and nothing older is believed on the way. */
#include "trust/tuf/testing/faulty.h"
#include "trust/tuf/testing/world.h"

#include "sys/file.h"

#include <sys/wait.h>
#include <unistd.h>

static const char *const names[] = {"root", "timestamp", "snapshot", "targets", "a"};

/* The client knows versions 1 (timestamp 2); since then root went on to 4, with new keys for timestamp and snapshot, and all else to newer. */
static void make_history(struct world *w, struct tuf_shelf *shelf)
{
    struct err err = {0};
    tuf_mock_delegate(w->mock, "targets",
                      &(struct tuf_mock_delegation){.name = "a", .paths = (const char *const[]){"*", NULL}});
    world_put(w, "a", "x");
    tuf_mock_release(w->mock);
    assert_ok(tuf_mock_seek(w->mock, shelf, "x", NULL, &err), err);
}

static void go_on(struct world *w)
{
    tuf_mock_rotate(w->mock, "root", "root");
    tuf_mock_publish(w->mock, "root");
    tuf_mock_rotate(w->mock, "root", "timestamp");
    tuf_mock_rotate(w->mock, "root", "snapshot");
    tuf_mock_publish(w->mock, "root");
    tuf_mock_publish(w->mock, "root");
    world_put(w, "targets", "y");
    world_put(w, "a", "z");
    tuf_mock_release(w->mock);
}

static int64_t version_on(struct tuf_shelf *shelf, const char *role)
{
    struct world at = {.shelf = shelf};
    return world_holds(&at, role);
}

static void copy_shelf(struct tuf_shelf *from, struct tuf_shelf *to)
{
    struct err err = {0};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        cleanup_buf struct buf bytes = BUF_INIT(1 << 20);
        if (from->ops->load(from, names[i], &bytes, &err) == 0)
            assert_ok(to->ops->store(to, names[i], bytes.data, bytes.len, &err), err);
    }
}

/* Every role that is there is one that was published, and none is older than before; only those whose keys changed may be gone. */
static void check_between(struct world *w, struct tuf_shelf *shelf, const int64_t before[])
{
    struct world at = {.mock = w->mock, .shelf = shelf};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        int64_t now = world_holds(&at, names[i]);
        bool may_go = str_eq(names[i], "timestamp") || str_eq(names[i], "snapshot");
        if (now < before[i] && !(may_go && now == 0))
            fail_msg("%s went from %d to %d", names[i], (int)before[i], (int)now);
        if (now > 0)
            world_exact(&at, names[i], now);
    }
}

/* Just after the cut the attacker shows nothing but what he kept: the root that the client has, and the first timestamp. It was good once, and
 * its key may be good still; but the client has seen a newer one. */
static void check_replay(struct world *w, struct tuf_shelf *shelf)
{
    struct err err = {0};
    cleanup_tuf_shelf struct tuf_shelf *copy = tuf_shelf_memory();
    copy_shelf(shelf, copy);
    cleanup_free char *next = mem_printf("%d.root.json", (int)version_on(shelf, "root") + 1);
    const struct buf *kept = tuf_mock_file(w->mock, next);
    const struct buf root = kept ? *kept : (struct buf){0}; /* files of a mock stay where they are */
    tuf_mock_hide(w->mock, next);
    const struct buf *old = tuf_mock_past(w->mock, "timestamp", 1);
    tuf_mock_serve(w->mock, "timestamp.json", buf_text(old), old->len);
    int result = tuf_mock_refresh(w->mock, copy, &err);
    enum trust_rule rule = trust_rule_of(err.text);
    if (result == 0 || (rule != TRUST_TIMESTAMP_ROLLBACK && rule != TRUST_TIMESTAMP_SIGNATURES))
        fail_msg("an old timestamp after the cut: %s", result == 0 ? "accepted" : err.text);
    const struct buf *now = tuf_mock_past(w->mock, "timestamp", tuf_mock_version(w->mock, "timestamp"));
    tuf_mock_serve(w->mock, "timestamp.json", buf_text(now), now->len);
    if (kept)
        tuf_mock_serve(w->mock, next, buf_text(&root), root.len);
}

static void check_end(struct world *w, struct tuf_shelf *shelf)
{
    struct err err = {0};
    assert_ok(tuf_mock_seek(w->mock, shelf, "z", NULL, &err), err);
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        assert_int_equal(version_on(shelf, names[i]), tuf_mock_version(w->mock, names[i]));
    const struct buf *old =
        tuf_mock_past(w->mock, "timestamp", 2); /* what the attacker kept, signed by the old key */
    tuf_mock_serve(w->mock, "timestamp.json", buf_text(old), old->len);
    world_refused("the old timestamp", tuf_mock_refresh(w->mock, shelf, &err), &err,
                  TRUST_TIMESTAMP_SIGNATURES);
    const struct buf *now = tuf_mock_past(w->mock, "timestamp", tuf_mock_version(w->mock, "timestamp"));
    tuf_mock_serve(w->mock, "timestamp.json", buf_text(now), now->len);
}

static int changes_of_an_update(struct world *w)
{
    struct err err = {0};
    struct tuf_faulty counting;
    cleanup_tuf_shelf struct tuf_shelf *shelf = tuf_shelf_memory();
    copy_shelf(w->shelf, shelf);
    tuf_faulty_init(&counting, shelf, TUF_FAULT_NONE, 0);
    assert_ok(tuf_mock_seek(w->mock, &counting.shelf, "z", NULL, &err), err);
    return counting.changes;
}

static void remember(struct tuf_shelf *shelf, int64_t versions[])
{
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        versions[i] = version_on(shelf, names[i]);
}

static void fault_at_each(struct world *w, enum tuf_fault fault)
{
    int64_t before[ARRAY_LEN(names)];
    make_history(w, w->shelf);
    remember(w->shelf, before);
    go_on(w);
    int changes = changes_of_an_update(w);
    assert_true(changes >= 7); /* 3 roots, timestamp, snapshot, targets, a */
    for (int at = 1; at <= changes; at++) {
        struct err err = {0};
        struct tuf_faulty faulty;
        cleanup_tuf_shelf struct tuf_shelf *shelf = tuf_shelf_memory();
        copy_shelf(w->shelf, shelf);
        tuf_faulty_init(&faulty, shelf, fault, at);
        if (tuf_mock_seek(w->mock, &faulty.shelf, "z", NULL, &err) == 0)
            fail_msg("the fault at change %d of %d was not seen", at, changes);
        check_between(w, shelf, before);
        check_replay(w, shelf);
        check_end(w, shelf);
    }
}

static void test_crash_before_each_change(void **state)
{
    fault_at_each(*state, TUF_FAULT_CUT_BEFORE);
}

static void test_crash_after_each_change(void **state)
{
    fault_at_each(*state, TUF_FAULT_CUT_AFTER);
}

static void test_crash_disk_full_at_each_change(void **state)
{
    fault_at_each(*state, TUF_FAULT_FULL);
}

static void test_crash_disk_error_at_each_change(void **state)
{
    fault_at_each(*state, TUF_FAULT_IO);
}

/* What is said of a disk is not that the server lies: a full disk is no rule of trust. */
static void test_crash_disk_full_is_said(void **state)
{
    struct world *w = *state;
    struct err err = {0};
    struct tuf_faulty faulty;
    tuf_faulty_init(&faulty, w->shelf, TUF_FAULT_FULL, 1);
    assert_fails(tuf_mock_refresh(w->mock, &faulty.shelf, &err), err, ERR_NO_SPACE);
}

/* In a directory, by a process that is killed. */
static int kill_at(struct world *w, const char *dir, int at)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct err err = {0};
        struct tuf_faulty faulty;
        struct tuf_shelf *shelf = tuf_shelf_dir(dir, &err);
        if (!shelf)
            _exit(2);
        tuf_faulty_init(&faulty, shelf, TUF_FAULT_KILL, at);
        _exit(tuf_mock_seek(w->mock, &faulty.shelf, "z", NULL, &err) == 0 ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void test_crash_kill_at_each_change(void **state)
{
    struct world *w = *state;
    struct err err = {0};
    int64_t before[ARRAY_LEN(names)];
    make_history(w, w->shelf);
    remember(w->shelf, before);
    go_on(w);
    int changes = changes_of_an_update(w);
    for (int at = 1; at <= changes + 1; at++) {
        char dir[] = "/tmp/muster-tuf-XXXXXX";
        assert_non_null(mkdtemp(dir));
        cleanup_tuf_shelf struct tuf_shelf *shelf = tuf_shelf_dir(dir, &err);
        assert_non_null(shelf);
        copy_shelf(w->shelf, shelf);
        assert_int_equal(kill_at(w, dir, at), at <= changes ? 137 : 0);
        cleanup_tuf_shelf struct tuf_shelf *again = tuf_shelf_dir(dir, &err);
        assert_non_null(again);
        check_between(w, again, before);
        check_replay(w, again);
        check_end(w, again);
        assert_ok(file_remove_tree(dir, &err), err);
    }
}

/* Damage that no cut makes, but a disk does: a file of the shelf that no longer reads is as if it were not there. */
static void test_crash_damaged_files(void **state)
{
    struct world *w = *state;
    struct err err = {0};
    make_history(w, w->shelf);
    for (size_t i = 1; i < ARRAY_LEN(names); i++) {
        assert_ok(w->shelf->ops->store(w->shelf, names[i], "{\"sig", 5, &err), err);
        assert_found(w, "x");
        assert_int_equal(world_holds(w, names[i]), tuf_mock_version(w->mock, names[i]));
    }
    assert_ok(w->shelf->ops->store(w->shelf, "root", "{\"sig", 5, &err), err);
    assert_int_equal(tuf_mock_refresh(w->mock, w->shelf, &err), -1);
    assert_true(err.code == ERR_CORRUPT || err.code == ERR_UNTRUSTED);
}

/* A shelf whose k-th load, from 1, fails once. */
struct blind {
    struct tuf_shelf shelf;
    struct tuf_shelf *inner;
    int at, loads;
};

static int blind_load(struct tuf_shelf *shelf, const char *role, struct buf *out, struct err *err)
{
    struct blind *blind = (struct blind *)shelf; /* its first member */
    if (++blind->loads == blind->at)
        return err_set(err, ERR_IO, "the disk says no");
    return blind->inner->ops->load(blind->inner, role, out, err);
}

static int blind_store(struct tuf_shelf *shelf, const char *role, const void *bytes, size_t len,
                       struct err *err)
{
    struct blind *blind = (struct blind *)shelf;
    return blind->inner->ops->store(blind->inner, role, bytes, len, err);
}

static int blind_remove(struct tuf_shelf *shelf, const char *role, struct err *err)
{
    struct blind *blind = (struct blind *)shelf;
    return blind->inner->ops->remove(blind->inner, role, err);
}

static void unreadable_at_each_load(struct world *w, const char *path)
{
    static const struct tuf_shelf_ops ops = {blind_load, blind_store, blind_remove};
    struct err err = {0};
    struct blind counting = {.shelf.ops = &ops, .inner = tuf_shelf_memory()};
    copy_shelf(w->shelf, counting.inner);
    assert_ok(tuf_mock_seek(w->mock, &counting.shelf, path, NULL, &err), err);
    tuf_shelf_free(counting.inner);
    assert_true(counting.loads >= 5); /* root, timestamp, snapshot, targets, a */
    for (int at = 1; at <= counting.loads; at++) {
        cleanup_tuf_shelf struct tuf_shelf *shelf = tuf_shelf_memory();
        struct blind blind = {.shelf.ops = &ops, .inner = shelf, .at = at};
        copy_shelf(w->shelf, shelf);
        err = (struct err){0};
        assert_fails(tuf_mock_seek(w->mock, &blind.shelf, path, NULL, &err), err, ERR_IO);
        assert_ok(tuf_mock_seek(w->mock, &blind.shelf, path, NULL, &err), err);
    }
}

/* What cannot be read is not as if it were not there: without the baseline nothing may be judged, let alone stored. */
static void test_crash_unreadable_at_each_load(void **state)
{
    struct world *w = *state;
    make_history(w, w->shelf);
    unreadable_at_each_load(w, "x"); /* nothing is new */
    go_on(w);
    unreadable_at_each_load(w, "z");
}

/* A disk lost the timestamp, and with it the version of the newest one; the snapshot still knows better than what the server replays. */
static void test_crash_lost_timestamp(void **state)
{
    struct world *w = *state;
    struct err err = {0};
    make_history(w, w->shelf);
    tuf_mock_release(w->mock); /* nothing but the numbers of snapshot and timestamp */
    assert_accepted(w);
    assert_ok(w->shelf->ops->remove(w->shelf, "timestamp", &err), err);
    const struct buf *old = tuf_mock_past(w->mock, "timestamp", 2);
    tuf_mock_serve(w->mock, "timestamp.json", buf_text(old), old->len);
    assert_refused(w, TRUST_SNAPSHOT_ROLLBACK);
    world_exact(w, "snapshot", 3);
}

/* Somebody who can write to the shelf, but has no key: what is read back is verified again. `version` is what makes the forgery hurt. */
static void forge(struct world *w, struct tuf_mock *other, const char *role, int version)
{
    struct err err = {0};
    tuf_mock_set(other, role, "/version", "%d", version);
    tuf_mock_republish(other, role);
    const struct buf *evil = tuf_mock_past(other, role, version);
    assert_non_null(evil);
    assert_ok(w->shelf->ops->store(w->shelf, role, evil->data, evil->len, &err), err);
}

static void test_crash_forged_files(void **state)
{
    struct world *w = *state;
    struct err err = {0};
    make_history(w, w->shelf);
    cleanup_tuf_mock struct tuf_mock *other = tuf_mock_new(WORLD_NOW_S);
    tuf_mock_delegate(other, "targets",
                      &(struct tuf_mock_delegation){.name = "a", .paths = (const char *const[]){"*", NULL}});
    tuf_mock_target(other, "targets", "evil", "evil", 4);
    tuf_mock_release(other);
    tuf_mock_set(other, "snapshot", "/meta/targets.json/version", "9");
    forge(w, other, "targets", (int)tuf_mock_version(w->mock, "targets"));
    assert_not_found(w, "evil", TRUST_TARGETS_UNKNOWN);
    forge(w, other, "a", (int)tuf_mock_version(w->mock, "a"));
    assert_not_found(w, "evil", TRUST_TARGETS_UNKNOWN);
    forge(w, other, "snapshot",
          (int)tuf_mock_version(w->mock, "snapshot")); /* the timestamp names this version, without a hash */
    assert_accepted(w);
    forge(w, other, "timestamp", 1000); /* as a baseline it would shut every honest one out */
    assert_accepted(w);
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        world_exact(w, names[i], tuf_mock_version(w->mock, names[i]));
    const struct buf *root = tuf_mock_past(w->mock, "root", 1); /* the right keys, but not what they signed */
    cleanup_free char *bent = mem_strdup(buf_text(root));
    char *version = strstr(bent, "\"version\": 1");
    assert_non_null(version);
    version[strlen("\"version\": ")] = '7';
    assert_ok(w->shelf->ops->store(w->shelf, "root", bent, root->len, &err), err);
    assert_int_equal(tuf_mock_refresh(w->mock, w->shelf, &err), -1);
    assert_true(err.code == ERR_CORRUPT || err.code == ERR_UNTRUSTED);
}

/* The snapshot key was stolen and its version driven up; root takes the key away. The cut comes when the new root is stored, and before the old
 * snapshot and the timestamp that names it are gone: the robot must not be shut out for ever. */
static void test_crash_between_a_rotation_and_its_recovery(void **state)
{
    struct world *w = *state;
    tuf_mock_set(w->mock, "snapshot", "/version", "2147483647");
    tuf_mock_release(w->mock);
    assert_accepted(w);
    tuf_mock_rotate(w->mock, "root", "snapshot");
    tuf_mock_publish(w->mock, "root");
    tuf_mock_set(w->mock, "snapshot", "/version", "2");
    tuf_mock_release(w->mock);
    for (int at = 1; at <= 4; at++) {
        struct err err = {0};
        struct tuf_faulty faulty;
        cleanup_tuf_shelf struct tuf_shelf *shelf = tuf_shelf_memory();
        copy_shelf(w->shelf, shelf);
        tuf_faulty_init(&faulty, shelf, TUF_FAULT_CUT_AFTER, at);
        assert_int_equal(tuf_mock_refresh(w->mock, &faulty.shelf, &err), -1);
        assert_ok(tuf_mock_refresh(w->mock, shelf, &err), err);
        assert_int_equal(version_on(shelf, "snapshot"), 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(test_crash_before_each_change),
        WORLD_TEST(test_crash_after_each_change),
        WORLD_TEST(test_crash_disk_full_at_each_change),
        WORLD_TEST(test_crash_disk_error_at_each_change),
        WORLD_TEST(test_crash_disk_full_is_said),
        WORLD_TEST(test_crash_kill_at_each_change),
        WORLD_TEST(test_crash_damaged_files),
        WORLD_TEST(test_crash_unreadable_at_each_load),
        WORLD_TEST(test_crash_lost_timestamp),
        WORLD_TEST(test_crash_forged_files),
        WORLD_TEST(test_crash_between_a_rotation_and_its_recovery),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
