#include "trust/repo/fleet_testing.h"

#include "wire/tuf/format.h"

static void assert_refused(const struct err *err, enum trust_rule rule)
{
    if (trust_rule_of(err->text) != rule)
        fail_msg("%s, wanted rule %s", err->text, trust_rule_name(rule));
}

/* Everything below a directory, as one digest: has anything changed? */
struct sum {
    const char *dir;
    struct hash *hash;
};

static int add_to_sum(const char *name, void *arg)
{
    struct sum *sum = arg;
    cleanup_free char *path = file_join(sum->dir, name);
    struct err err = {0};
    cleanup_buf struct buf bytes = BUF_INIT(6000000);
    hash_update(sum->hash, name, strlen(name));
    if (file_read(path, &bytes, &err) == 0)
        hash_update(sum->hash, bytes.data, bytes.len);
    return 0;
}

static struct digest sum_of(const char *dir)
{
    struct err err = {0};
    cleanup_hash struct hash *hash = hash_new();
    struct sum sum = {.dir = dir, .hash = hash};
    assert_ok(file_list(dir, add_to_sum, &sum, &err), err);
    return hash_finish(hash);
}

static void a_release_reaches_a_robot(void **state)
{
    struct fleet fleet;
    struct err err = {0};
    struct digest got, want = hash_bytes("weights", 7);
    fleet_found(&fleet, 1);
    release(&fleet, "detector/1.0.0", "weights", 1);
    push_all(&fleet);
    cleanup_tuf_shelf struct tuf_shelf *robot = robot_new(&fleet, 1);
    assert_ok(robot_asks(&fleet, robot, "detector/1.0.0", &got, &err), err);
    assert_true(digest_equal(&got, &want));
    assert_int_equal(robot_asks(&fleet, robot, "detector/1.0.1", NULL, &err), -1);
    assert_refused(&err, TRUST_TARGETS_UNKNOWN);
    fleet_end(&fleet);
}

static void what_was_removed_is_unknown(void **state)
{
    struct fleet fleet;
    struct err err = {0};
    cleanup_tuf_metadata struct tuf_metadata edit = {0};
    fleet_found(&fleet, 1);
    release(&fleet, "detector/1.0.0", "weights", 1);
    push_all(&fleet);
    cleanup_tuf_shelf struct tuf_shelf *robot = robot_new(&fleet, 1);
    assert_ok(robot_asks(&fleet, robot, "detector/1.0.0", NULL, &err), err);
    assert_ok(repo_edit_targets(fleet.station, "targets", &edit, &err), err);
    assert_ok(repo_remove_target(&edit, "detector/1.0.0", &err), err);
    assert_fails(repo_remove_target(&edit, "detector/1.0.0", &err), err, ERR_NOT_FOUND);
    err = (struct err){0};
    assert_ok(repo_put_pending(fleet.station, "targets", &edit, &err), err);
    sign_and_publish(fleet.station, "targets", fleet.release, 1);
    push_all(&fleet);
    assert_int_equal(robot_asks(&fleet, robot, "detector/1.0.0", NULL, &err), -1);
    assert_refused(&err, TRUST_TARGETS_UNKNOWN);
    fleet_end(&fleet);
}

/* ---- rotation ---- */

/* The keys of `role` in the next root: `old` goes, `new` comes. Signed by the root keys before and after. */
static void rotate(struct fleet *fleet, const char *role, struct tuf_signer **slot)
{
    struct err err = {0};
    cleanup_tuf_metadata struct tuf_metadata edit = {0};
    struct tuf_signer *old = *slot, *new = new_key();
    assert_ok(repo_edit_root(fleet->station, &edit, &err), err);
    assert_ok(repo_remove_key(&edit, role, tuf_signer_public(old)->id, &err), err);
    assert_ok(repo_add_key(&edit, role, tuf_signer_public(new), &err), err);
    assert_ok(repo_put_pending(fleet->station, "root", &edit, &err), err);
    assert_ok(repo_sign_pending(fleet->station, "root", fleet->root[0], &err), err);
    if (str_eq(role, "root"))
        assert_ok(repo_sign_pending(fleet->station, "root", new, &err), err);
    assert_ok(repo_publish(fleet->station, "root", &err), err);
    *slot = new;
    tuf_signer_free(old);
}

static void every_role_rotates_over_the_air(void **state)
{
    static const char *const roles[] = {"root", "targets", "timestamp", "snapshot", "director", "root"};
    struct fleet fleet;
    struct err err = {0};
    fleet_found(&fleet, 1);
    release(&fleet, "detector/1.0.0", "weights", 1);
    push_all(&fleet);
    struct tuf_signer **const slots[] = {&fleet.root[0],  &fleet.release[0], &fleet.timestamp,
                                         &fleet.snapshot, &fleet.director,   &fleet.root[0]};
    cleanup_tuf_shelf struct tuf_shelf *old = robot_new(&fleet, 1), *off = robot_new(&fleet, 1);
    assert_ok(robot_asks(&fleet, old, "detector/1.0.0", NULL, &err), err);
    for (size_t i = 0; i < ARRAY_LEN(roles); i++) {
        rotate(&fleet, roles[i], slots[i]);
        if (str_eq(roles[i], "targets"))
            release(&fleet, "detector/1.1.0", "more weights", 1);
        push_all(&fleet);
        assert_ok(robot_asks(&fleet, old, "detector/1.0.0", NULL, &err), err);
    }
    assert_ok(robot_asks(&fleet, off, "detector/1.1.0", NULL, &err), err); /* was off all the time */
    assert_int_equal(repo_root(fleet.server)->version, 1 + ARRAY_LEN(roles));
    fleet_end(&fleet);
}

static void a_server_whose_keys_root_does_not_name_signs_nothing(void **state)
{
    struct fleet fleet;
    struct err err = {0};
    bool changed = false;
    fleet_found(&fleet, 1);
    push_all(&fleet);
    struct digest before = sum_of(fleet.server_dir);
    struct tuf_signer *good = fleet.timestamp;
    fleet.timestamp = new_key();
    fleet.now_s += DAY;
    assert_fails(freshen(&fleet, &changed, &err), err, ERR_CONFLICT);
    struct digest after = sum_of(fleet.server_dir);
    assert_true(digest_equal(&before, &after));
    tuf_signer_free(fleet.timestamp);
    fleet.timestamp = good;
    fleet_end(&fleet);
}

/* ---- thresholds ---- */

static void two_of_three_must_sign(void **state)
{
    struct fleet fleet;
    struct err err = {0};
    struct repo_signatures count;
    fleet_make(&fleet, 2);
    assert_fails(repo_publish(fleet.station, "root", &err), err, ERR_CONFLICT);
    err = (struct err){0};
    assert_ok(repo_sign_pending(fleet.station, "root", fleet.root[1], &err), err);
    assert_ok(repo_sign_pending(fleet.station, "root", fleet.root[1], &err), err); /* twice is once */
    assert_fails(repo_publish(fleet.station, "root", &err), err, ERR_CONFLICT);
    assert_non_null(strstr(err.text, "1 of 2"));
    assert_fails(repo_sign_pending(fleet.station, "root", fleet.release[0], &err), err, ERR_REFUSED);
    err = (struct err){0};
    assert_ok(repo_count_signatures(fleet.station, "root", &count, &err), err);
    assert_int_equal(count.have, 1);
    assert_int_equal(count.need, 2);
    assert_int_equal(count.before_need, 0);
    sign_and_publish(fleet.station, "root", &fleet.root[2], 1);
    assert_fails(repo_pending(fleet.station, "root", &(struct tuf_metadata){0}, &err), err, ERR_NOT_FOUND);
    fleet_end(&fleet);
}

/* The new root wants two of its own and two of those before. */
static void a_new_root_needs_the_old_keys_and_the_new(void **state)
{
    struct fleet fleet;
    struct err err = {0};
    cleanup_tuf_metadata struct tuf_metadata edit = {0};
    cleanup_tuf_signer struct tuf_signer *fresh = new_key();
    struct repo_signatures count;
    fleet_found(&fleet, 2);
    assert_ok(repo_edit_root(fleet.station, &edit, &err), err);
    for (int i = 0; i < 2; i++)
        assert_ok(repo_remove_key(&edit, "root", tuf_signer_public(fleet.root[i])->id, &err), err);
    assert_ok(repo_add_key(&edit, "root", tuf_signer_public(fresh), &err), err);
    assert_ok(repo_put_pending(fleet.station, "root", &edit, &err), err);
    assert_ok(repo_sign_pending(fleet.station, "root", fresh, &err), err);
    assert_ok(repo_sign_pending(fleet.station, "root", fleet.root[2], &err), err);
    assert_ok(repo_count_signatures(fleet.station, "root", &count, &err), err);
    assert_int_equal(count.have, 2);
    assert_int_equal(count.before_have, 1);
    assert_fails(repo_publish(fleet.station, "root", &err), err, ERR_CONFLICT);
    err = (struct err){0};
    sign_and_publish(fleet.station, "root", fleet.root, 1);
    push_all(&fleet);
    cleanup_tuf_shelf struct tuf_shelf *robot = robot_new(&fleet, 1);
    assert_ok(robot_asks(&fleet, robot, NULL, NULL, &err), err);
    fleet_end(&fleet);
}

static void a_role_without_enough_keys_cannot_be_pending(void **state)
{
    struct fleet fleet;
    struct err err = {0};
    cleanup_tuf_metadata struct tuf_metadata edit = {0};
    fleet_found(&fleet, 1);
    assert_ok(repo_edit_root(fleet.station, &edit, &err), err);
    repo_keyset(&edit, "targets")->threshold = 4;
    assert_fails(repo_put_pending(fleet.station, "root", &edit, &err), err, ERR_INVALID);
    repo_keyset(&edit, "targets")->threshold = 0;
    assert_fails(repo_put_pending(fleet.station, "root", &edit, &err), err, ERR_INVALID);
    fleet_end(&fleet);
}

/* Two people sign copies of their own. */
static void signatures_of_copies_come_together(void **state)
{
    struct fleet fleet;
    struct err err = {0};
    cleanup_buf struct buf copy = BUF_INIT(512000);
    fleet_make(&fleet, 2);
    cleanup_free char *path = mem_printf("%s/pending/1.root.json", fleet.station_dir);
    assert_ok(repo_sign_pending(fleet.station, "root", fleet.root[0], &err), err);
    assert_ok(file_read(path, &copy, &err), err);
    cleanup_tuf_metadata struct tuf_metadata edit = {0};
    assert_ok(repo_edit_root(fleet.station, &edit, &err), err); /* the same, without signatures */
    assert_ok(repo_put_pending(fleet.station, "root", &edit, &err), err);
    assert_ok(repo_sign_pending(fleet.station, "root", fleet.root[1], &err), err);
    assert_ok(repo_merge_pending(fleet.station, "root", buf_text(&copy), copy.len, &err), err);
    assert_ok(repo_publish(fleet.station, "root", &err), err);
    assert_fails(repo_merge_pending(fleet.station, "targets", buf_text(&copy), copy.len, &err), err,
                 ERR_CONFLICT);
    fleet_end(&fleet);
}

/* ---- time ---- */

static void what_will_expire_is_made_anew(void **state)
{
    struct fleet fleet;
    struct err err = {0};
    bool changed = true;
    fleet_found(&fleet, 1);
    push_all(&fleet);
    cleanup_tuf_shelf struct tuf_shelf *robot = robot_new(&fleet, 1);
    assert_ok(freshen(&fleet, &changed, &err), err);
    assert_false(changed);
    fleet.now_s += DAY / 2 - 1;
    assert_ok(freshen(&fleet, &changed, &err), err);
    assert_false(changed);
    fleet.now_s += DAY;
    assert_int_equal(robot_asks(&fleet, robot, NULL, NULL, &err), -1);
    assert_refused(&err, TRUST_TIMESTAMP_EXPIRED);
    assert_ok(freshen(&fleet, &changed, &err), err);
    assert_true(changed);
    assert_ok(robot_asks(&fleet, robot, NULL, NULL, &err), err);
    fleet.now_s += 7 * DAY;
    assert_ok(freshen(&fleet, &changed, &err), err);
    assert_ok(robot_asks(&fleet, robot, NULL, NULL, &err), err);
    fleet.now_s += 90 * DAY; /* targets are the workstation's affair */
    assert_ok(freshen(&fleet, &changed, &err), err);
    assert_int_equal(robot_asks(&fleet, robot, NULL, NULL, &err), -1);
    assert_refused(&err, TRUST_TARGETS_EXPIRED);
    fleet_end(&fleet);
}

/* A timestamp that was lost or damaged is replaced by one that robots do not take for an older one. */
static void a_lost_timestamp_does_not_go_back(void **state)
{
    struct fleet fleet;
    struct err err = {0};
    bool changed = false;
    fleet_found(&fleet, 1);
    push_all(&fleet);
    release(&fleet, "detector/1.0.0", "weights", 1);
    push_all(&fleet);
    cleanup_tuf_shelf struct tuf_shelf *robot = robot_new(&fleet, 1);
    assert_ok(robot_asks(&fleet, robot, NULL, NULL, &err), err);
    cleanup_free char *path = file_join(fleet.server_dir, "timestamp.json");
    assert_ok(file_replace(path, "{", 1, 0644, &err), err);
    assert_ok(freshen(&fleet, &changed, &err), err);
    assert_true(changed);
    assert_ok(robot_asks(&fleet, robot, "detector/1.0.0", NULL, &err), err);
    fleet_end(&fleet);
}

/* ---- delegation ---- */

static void delegate(struct fleet *fleet, struct tuf_signer *to, struct err *err)
{
    cleanup_tuf_metadata struct tuf_metadata edit = {0};
    const struct tuf_key *key = tuf_signer_public(to);
    assert_ok(repo_edit_targets(fleet->station, "targets", &edit, err), *err);
    struct tuf_targets *targets = &edit.targets;
    targets->keys = mem_zalloc(1, sizeof *targets->keys);
    targets->keys[targets->key_count++] = (struct tuf_key){
        .id = mem_strdup(key->id), .scheme = key->scheme, .public_text = mem_strdup(key->public_text)};
    targets->delegations = mem_zalloc(1, sizeof *targets->delegations);
    struct tuf_delegation *delegation = &targets->delegations[targets->delegation_count++];
    delegation->name = mem_strdup("partner");
    delegation->keys.threshold = 1;
    delegation->keys.keyids = mem_zalloc(1, sizeof(char *));
    delegation->keys.keyids[delegation->keys.count++] = mem_strdup(key->id);
    delegation->paths = mem_zalloc(1, sizeof(char *));
    delegation->paths[delegation->path_count++] = mem_strdup("partner/*");
    assert_ok(repo_put_pending(fleet->station, "targets", &edit, err), *err);
    sign_and_publish(fleet->station, "targets", fleet->release, 1);
}

static void a_delegated_role_is_served_and_held_to_its_keys(void **state)
{
    struct fleet fleet;
    struct err err = {0};
    cleanup_tuf_signer struct tuf_signer *partner = new_key();
    cleanup_tuf_metadata struct tuf_metadata edit = {0};
    struct digest digest = hash_bytes("x", 1);
    fleet_found(&fleet, 1);
    assert_ok(repo_edit_targets(fleet.station, "partner", &edit, &err), err);
    edit.expires_s = NOW + 30 * DAY;
    assert_ok(repo_set_target(&edit, "partner/1.0.0", 1, &digest, NULL, &err), err);
    assert_ok(repo_put_pending(fleet.station, "partner", &edit, &err), err);
    assert_fails(repo_sign_pending(fleet.station, "partner", partner, &err), err,
                 ERR_REFUSED); /* nobody delegates yet */
    err = (struct err){0};
    delegate(&fleet, partner, &err);
    assert_fails(repo_sign_pending(fleet.station, "partner", fleet.release[0], &err), err, ERR_REFUSED);
    err = (struct err){0};
    sign_and_publish(fleet.station, "partner", &partner, 1);
    push_all(&fleet);
    assert_ok(push(&fleet, "partner", 1, &err), err);
    push_all(&fleet);
    cleanup_tuf_shelf struct tuf_shelf *robot = robot_new(&fleet, 1);
    assert_ok(robot_asks(&fleet, robot, "partner/1.0.0", NULL, &err), err);
    fleet_end(&fleet);
}

/* ---- the server takes in ---- */

static int take_text(struct fleet *fleet, const char *role, const char *text, struct err *err)
{
    return repo_take(fleet->server, role, text, strlen(text), fleet->now_s, err);
}

static void wrong_metadata_is_refused_by_its_rule(void **state)
{
    struct fleet fleet;
    struct err err = {0};
    cleanup_buf struct buf bytes = BUF_INIT(512000);
    fleet_found(&fleet, 1);
    release(&fleet, "detector/1.0.0", "weights", 1);
    release(&fleet, "detector/1.1.0", "more weights", 1);
    push_all(&fleet);
    struct digest before = sum_of(fleet.server_dir);
    cleanup_free char *big = mem_zalloc(1, 512002);
    memset(big, ' ', 512001);
    struct {
        const char *role, *text;
        enum trust_rule rule;
    } const texts[] = {
        {"root", "", TRUST_METADATA_FORM},
        {"root", big, TRUST_METADATA_SIZE},
        {"targets", "{}", TRUST_METADATA_FORM},
        {"targets", "[", TRUST_METADATA_FORM},
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        assert_int_equal(take_text(&fleet, texts[i].role, texts[i].text, &err), -1);
        assert_refused(&err, texts[i].rule);
    }
    assert_int_equal(push(&fleet, "targets", 2, &err), -1);
    assert_refused(&err, TRUST_TARGETS_VERSION);
    assert_ok(repo_read(fleet.station, "1.root.json", &bytes, &err), err);
    assert_int_equal(take_text(&fleet, "targets", buf_text(&bytes), &err), -1);
    assert_refused(&err, TRUST_METADATA_FORM);
    assert_int_equal(take_text(&fleet, "partner", "{}", &err), -1);
    assert_refused(&err, TRUST_METADATA_FORM);
    assert_fails(take_text(&fleet, "snapshot", "{}", &err), err, ERR_REFUSED);
    assert_fails(take_text(&fleet, "../x", "{}", &err), err, ERR_INVALID);
    struct digest after = sum_of(fleet.server_dir);
    assert_true(digest_equal(&before, &after));
    fleet_end(&fleet);
}

/* A stranger makes a root and targets of his own, which are right in themselves. */
static void a_strangers_metadata_is_refused(void **state)
{
    struct fleet ours, strangers;
    struct err err = {0};
    fleet_found(&ours, 1);
    push_all(&ours);
    fleet_found(&strangers, 1);
    rotate(&strangers, "root", &strangers.root[0]);
    release(&strangers, "detector/6.6.6", "malice", 1);
    struct digest before = sum_of(ours.server_dir);
    static const struct {
        const char *role;
        int version;
        enum trust_rule rule;
    } cases[] = {{"root", 1, TRUST_ROOT_VERSION},
                 {"root", 2, TRUST_ROOT_SIGNATURES},
                 {"targets", 1, TRUST_TARGETS_SIGNATURES},
                 {"targets", 2, TRUST_TARGETS_SIGNATURES}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct repo *own = strangers.server;
        strangers.server = ours.server;
        assert_int_equal(push(&strangers, cases[i].role, cases[i].version, &err), -1);
        strangers.server = own;
        assert_refused(&err, cases[i].rule);
    }
    struct digest after = sum_of(ours.server_dir);
    assert_true(digest_equal(&before, &after));
    fleet_end(&strangers);
    fleet_end(&ours);
}

static void roots_come_one_after_the_other(void **state)
{
    struct fleet fleet;
    struct err err = {0};
    fleet_found(&fleet, 1);
    rotate(&fleet, "root", &fleet.root[0]);
    rotate(&fleet, "root", &fleet.root[0]);
    assert_int_equal(push(&fleet, "root", 3, &err), -1);
    assert_refused(&err, TRUST_ROOT_VERSION);
    assert_ok(push(&fleet, "root", 2, &err), err);
    assert_ok(push(&fleet, "root", 3, &err), err);
    assert_ok(push(&fleet, "root", 2, &err), err); /* there already */
    assert_int_equal(repo_root(fleet.server)->version, 3);
    fleet_end(&fleet);
}

/* A server that was made anew with the newest root gets the older ones for robots that were off. */
static void roots_before_the_anchor_are_taken_backwards(void **state)
{
    struct fleet fleet;
    struct err err = {0};
    cleanup_buf struct buf root = BUF_INIT(512000);
    fleet_found(&fleet, 1);
    rotate(&fleet, "root", &fleet.root[0]);
    rotate(&fleet, "root", &fleet.root[0]);
    repo_free(fleet.server);
    fleet.server = NULL;
    assert_ok(file_remove_tree(fleet.server_dir, &err), err);
    assert_ok(repo_read(fleet.station, "root.json", &root, &err), err);
    assert_ok(repo_create(fleet.server_dir, buf_text(&root), root.len, &fleet.server, &err), err);
    assert_int_equal(push(&fleet, "root", 1, &err), -1);
    assert_refused(&err, TRUST_ROOT_VERSION);
    for (int v = 3; v > 0; v--)
        assert_ok(push(&fleet, "root", v, &err), err);
    push_all(&fleet);
    assert_int_equal(repo_root(fleet.server)->version, 3);
    cleanup_tuf_shelf struct tuf_shelf *robot = robot_new(&fleet, 1);
    assert_ok(robot_asks(&fleet, robot, NULL, NULL, &err), err);
    fleet_end(&fleet);
}

static void expired_targets_are_not_taken(void **state)
{
    struct fleet fleet;
    struct err err = {0};
    fleet_found(&fleet, 1);
    fleet.now_s = NOW + 90 * DAY;
    assert_int_equal(push(&fleet, "targets", 1, &err), -1);
    assert_refused(&err, TRUST_TARGETS_EXPIRED);
    fleet_end(&fleet);
}

/* Robots refuse what is older than they know, also if it is only a server's old backup. New keys of the two online roles begin anew. */
static void a_server_from_an_old_backup_recovers_by_new_keys(void **state)
{
    struct fleet fleet;
    struct err err = {0};
    fleet_found(&fleet, 1);
    push_all(&fleet);
    cleanup_free char *backup = mem_printf("cp -a %s %s/backup", fleet.server_dir, fleet.base),
                      *restore = mem_printf("rm -rf %s && cp -a %s/backup %s", fleet.server_dir, fleet.base,
                                            fleet.server_dir);
    assert_int_equal(system(backup), 0);
    release(&fleet, "detector/1.0.0", "weights", 1);
    push_all(&fleet);
    cleanup_tuf_shelf struct tuf_shelf *robot = robot_new(&fleet, 1);
    assert_ok(robot_asks(&fleet, robot, "detector/1.0.0", NULL, &err), err);
    repo_free(fleet.server);
    assert_int_equal(system(restore), 0);
    assert_ok(repo_open(fleet.server_dir, &fleet.server, &err), err);
    assert_int_equal(robot_asks(&fleet, robot, NULL, NULL, &err), -1);
    assert_refused(&err, TRUST_TIMESTAMP_ROLLBACK);
    rotate(&fleet, "timestamp", &fleet.timestamp);
    rotate(&fleet, "snapshot", &fleet.snapshot);
    push_all(&fleet);
    err = (struct err){0};
    assert_ok(robot_asks(&fleet, robot, "detector/1.0.0", NULL, &err), err);
    fleet_end(&fleet);
}

/* Without a server: from the trusted root to the targets. */
static void a_workstation_is_followed_offline(void **state)
{
    struct fleet ours, strangers;
    struct err err = {0};
    cleanup_buf struct buf first = BUF_INIT(512000), strange = BUF_INIT(512000);
    fleet_found(&ours, 1);
    fleet_found(&strangers, 1);
    rotate(&ours, "root", &ours.root[0]);
    rotate(&ours, "targets", &ours.release[0]);
    assert_ok(repo_read(ours.station, "1.root.json", &first, &err), err);
    assert_ok(repo_read(strangers.station, "1.root.json", &strange, &err), err);
    assert_int_equal(repo_verify(ours.station, buf_text(&first), first.len, NOW, &err), -1);
    assert_refused(&err, TRUST_TARGETS_SIGNATURES); /* not signed by the new key yet */
    release(&ours, "detector/1.0.0", "weights", 1);
    assert_ok(repo_verify(ours.station, buf_text(&first), first.len, NOW, &err), err);
    assert_int_equal(repo_verify(ours.station, buf_text(&strange), strange.len, NOW, &err), -1);
    assert_refused(&err, TRUST_ROOT_SIGNATURES);
    assert_int_equal(repo_verify(ours.station, buf_text(&first), first.len - 2, NOW, &err), -1);
    assert_refused(&err, TRUST_METADATA_FORM);
    assert_int_equal(repo_verify(ours.station, buf_text(&first), first.len, NOW + 90 * DAY, &err), -1);
    assert_refused(&err, TRUST_TARGETS_EXPIRED);
    assert_int_equal(repo_verify(ours.station, buf_text(&first), first.len, NOW + 365 * DAY, &err), -1);
    assert_refused(&err, TRUST_ROOT_EXPIRED);
    fleet_end(&strangers);
    fleet_end(&ours);
}

static void odd_names_are_not_found(void **state)
{
    static const char *const names[] = {"",
                                        ".",
                                        "..",
                                        "../1.root.json",
                                        "pending/1.root.json",
                                        "1.root",
                                        "01.root.json",
                                        "0.root.json",
                                        "-1.root.json",
                                        "1..json",
                                        "/1.root.json",
                                        "1.root.json/",
                                        ".1.root.json",
                                        "1.ro\not.json",
                                        "99999999999999999999.root.json",
                                        "9.root.json",
                                        "snapshot.json",
                                        "1.root.json.tmp-abcdef",
                                        "pending"};
    struct fleet fleet;
    struct err err = {0};
    fleet_found(&fleet, 1);
    push_all(&fleet);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        cleanup_buf struct buf out = BUF_INIT(1 << 20);
        assert_fails(repo_read(fleet.server, names[i], &out, &err), err, ERR_NOT_FOUND);
    }
    fleet_end(&fleet);
}

static void a_repository_is_not_made_twice(void **state)
{
    struct fleet fleet;
    struct err err = {0};
    cleanup_buf struct buf root = BUF_INIT(512000);
    struct repo *again = NULL;
    fleet_found(&fleet, 1);
    assert_fails(repo_init(fleet.station_dir, &(struct repo_plan){.fleet = "x"}, &err), err, ERR_EXISTS);
    err = (struct err){0};
    assert_ok(repo_read(fleet.station, "1.root.json", &root, &err), err);
    assert_fails(repo_create(fleet.server_dir, buf_text(&root), root.len, &again, &err), err, ERR_EXISTS);
    assert_fails(repo_open("/tmp/muster-there-is-no-such-directory", &again, &err), err, ERR_NOT_FOUND);
    fleet_end(&fleet);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_release_reaches_a_robot),
        cmocka_unit_test(what_was_removed_is_unknown),
        cmocka_unit_test(every_role_rotates_over_the_air),
        cmocka_unit_test(a_server_whose_keys_root_does_not_name_signs_nothing),
        cmocka_unit_test(two_of_three_must_sign),
        cmocka_unit_test(a_new_root_needs_the_old_keys_and_the_new),
        cmocka_unit_test(a_role_without_enough_keys_cannot_be_pending),
        cmocka_unit_test(signatures_of_copies_come_together),
        cmocka_unit_test(what_will_expire_is_made_anew),
        cmocka_unit_test(a_lost_timestamp_does_not_go_back),
        cmocka_unit_test(a_delegated_role_is_served_and_held_to_its_keys),
        cmocka_unit_test(wrong_metadata_is_refused_by_its_rule),
        cmocka_unit_test(a_strangers_metadata_is_refused),
        cmocka_unit_test(roots_come_one_after_the_other),
        cmocka_unit_test(roots_before_the_anchor_are_taken_backwards),
        cmocka_unit_test(expired_targets_are_not_taken),
        cmocka_unit_test(a_server_from_an_old_backup_recovers_by_new_keys),
        cmocka_unit_test(a_workstation_is_followed_offline),
        cmocka_unit_test(odd_names_are_not_found),
        cmocka_unit_test(a_repository_is_not_made_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
