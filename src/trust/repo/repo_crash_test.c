/* Every kill, every power cut and every full disk, at every change of the file system, while a root and targets are edited, signed, published, taken in
 * and named by snapshot and timestamp. Whatever is there afterwards is valid: a robot gets what was or what is new, and the same work, done
 * again, ends where it would have ended. See robot/store/powercut.h. */
#include "trust/repo/fleet_testing.h"

#include "robot/store/powercut.h"

#include <sys/wait.h>

/* Keys are made once: the same in every process. */
static struct fleet fleet;
static struct tuf_signer *next_root;
static char graveyard[64], before[64];

static int copy_tree(const char *from, const char *to)
{
    cleanup_free char *command = mem_printf("rm -rf %s && cp -a %s %s", to, from, to);
    return system(command);
}

/* ---- the work: a new root key, a release, and the server told of both. Each step may have been done already. ---- */

static int change_root(struct err *err)
{
    cleanup_tuf_metadata struct tuf_metadata edit = {0};
    struct repo *station = fleet.station;
    if (repo_root(station)->version == 2)
        return 0;
    if (repo_edit_root(station, &edit, err) < 0)
        return -1;
    if (!repo_key(&edit, tuf_signer_public(next_root)->id) &&
        (repo_remove_key(&edit, "root", tuf_signer_public(fleet.root[0])->id, err) < 0 ||
         repo_add_key(&edit, "root", tuf_signer_public(next_root), err) < 0))
        return -1;
    if (repo_put_pending(station, "root", &edit, err) < 0 ||
        repo_sign_pending(station, "root", fleet.root[0], err) < 0 ||
        repo_sign_pending(station, "root", next_root, err) < 0)
        return -1;
    return repo_publish(station, "root", err);
}

static int change_targets(struct err *err)
{
    cleanup_tuf_metadata struct tuf_metadata edit = {0};
    struct repo *station = fleet.station;
    struct digest digest = hash_bytes("weights", 7);
    if (repo_targets(station)->version == 2)
        return 0;
    if (repo_edit_targets(station, "targets", &edit, err) < 0 ||
        repo_set_target(&edit, "detector/1.0.0", 7, &digest, NULL, err) < 0 ||
        repo_put_pending(station, "targets", &edit, err) < 0 ||
        repo_sign_pending(station, "targets", fleet.release[0], err) < 0)
        return -1;
    return repo_publish(station, "targets", err);
}

static int give(const char *name, const char *role, struct err *err)
{
    cleanup_buf struct buf bytes = BUF_INIT(5000000);
    if (repo_read(fleet.station, name, &bytes, err) < 0)
        return -1;
    return repo_take(fleet.server, role, buf_text(&bytes), bytes.len, fleet.now_s, err);
}

static int open_both(struct err *err)
{
    if (repo_open(fleet.station_dir, &fleet.station, err) < 0)
        return -1;
    return repo_open(fleet.server_dir, &fleet.server, err);
}

static void close_both(void)
{
    if (fleet.station)
        repo_free(fleet.station);
    if (fleet.server)
        repo_free(fleet.server);
    fleet.station = fleet.server = NULL;
}

static int work(struct err *err)
{
    bool changed = false;
    if (open_both(err) < 0 || change_root(err) < 0 || change_targets(err) < 0 ||
        give("2.root.json", "root", err) < 0 || freshen(&fleet, &changed, err) < 0 ||
        give("2.targets.json", "targets", err) < 0)
        return -1;
    return freshen(&fleet, &changed, err);
}

/* ---- cut at `at` ---- */

/* False: there were fewer changes than that. */
static bool cut(enum powercut_mode mode, long at)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct err err = {0};
        powercut_arm(mode, at, graveyard);
        int result = work(&err);
        long count = powercut_disarm();
        if (result < 0 && count < at)
            fprintf(stderr, "after %ld changes, without a cut: %s\n", count, err.text);
        _exit(mode == CUT_ENOSPC && count >= at ? CUT_STATUS : result < 0 ? 99 : 0);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (!WIFEXITED(status) || (WEXITSTATUS(status) != CUT_STATUS && WEXITSTATUS(status) != 0))
        fail_msg("cut %d at %ld: the process ended with %x", mode, at, status);
    return WEXITSTATUS(status) == CUT_STATUS;
}

/* A robot that knew the state before, and one that is new, get a valid one; what the first has seen does not go back afterwards. */
static void check(enum powercut_mode mode, long at)
{
    struct err err = {0};
    if (open_both(&err) < 0)
        fail_msg("cut %d at %ld: %s", mode, at, err.text);
    cleanup_tuf_shelf struct tuf_shelf *robot = robot_new(&fleet, 1);
    if (robot_asks(&fleet, robot, NULL, NULL, &err) < 0)
        fail_msg("cut %d at %ld: a robot is told: %s", mode, at, err.text);
    close_both();
    if (work(&err) < 0)
        fail_msg("cut %d at %ld: done again: %s", mode, at, err.text);
    if (robot_asks(&fleet, robot, "detector/1.0.0", NULL, &err) < 0)
        fail_msg("cut %d at %ld: after all a robot is told: %s", mode, at, err.text);
    assert_int_equal(repo_root(fleet.server)->version, 2);
    assert_int_equal(repo_targets(fleet.server)->version, 2);
    close_both();
}

static void cut_everywhere(enum powercut_mode mode)
{
    long at = 1;
    for (;; at++) {
        struct err err = {0};
        assert_int_equal(copy_tree(before, fleet.base), 0);
        assert_ok(file_make_dirs(graveyard, 0700, &err), err);
        bool happened = cut(mode, at);
        check(mode, at);
        assert_ok(file_remove_tree(graveyard, &err), err);
        if (!happened)
            break;
    }
    assert_true(at > 40); /* it did cut something */
}

static void kills_keep_it_valid(void **state)
{
    cut_everywhere(CUT_KILL);
}

static void power_cuts_keep_it_valid(void **state)
{
    cut_everywhere(CUT_POWER);
}

static void a_full_disk_keeps_it_valid(void **state)
{
    cut_everywhere(CUT_ENOSPC);
}

static int set_up(void **state)
{
    fleet_found(&fleet, 1);
    push_all(&fleet);
    close_both();
    next_root = new_key();
    snprintf(before, sizeof before, "%s.before", fleet.base);
    snprintf(graveyard, sizeof graveyard, "%s.graves", fleet.base);
    return copy_tree(fleet.base, before);
}

static int tear_down(void **state)
{
    struct err err = {0};
    tuf_signer_free(next_root);
    assert_ok(file_remove_tree(before, &err), err);
    fleet_end(&fleet);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kills_keep_it_valid),
        cmocka_unit_test(power_cuts_keep_it_valid),
        cmocka_unit_test(a_full_disk_keeps_it_valid),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
