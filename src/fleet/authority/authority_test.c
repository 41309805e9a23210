#include "fleet/authority/authority.h"

#include "base/clock.h"
#include "base/str.h"
#include "base/testing.h"
#include "fleet/testing/desk.h"
#include "robot/store/powercut.h"
#include "sys/file.h"
#include "sys/hash.h"
#include "trust/admission.h"
#include "trust/rule.h"

#include <inttypes.h>
#include <string.h>

enum { DAY_S = 86400 };

struct fixture {
    char base[64], dir[80];
    struct desk desk;
    struct authority *authority;
    int64_t now_s;
};

static void open_authority(struct fixture *f, const char *root)
{
    struct err err = {0};
    const struct authority_options options = {.dir = f->dir, .root = root};
    if (f->authority)
        authority_free(f->authority);
    f->authority = NULL;
    assert_ok(authority_open(&options, f->now_s, &f->authority, &err), err);
}

static int setup(void **state)
{
    struct fixture *f = mem_zalloc(1, sizeof *f);
    struct err err = {0};
    char online[160];
    str_copy(f->base, sizeof f->base, "/tmp/muster-authority-XXXXXX");
    assert_non_null(mkdtemp(f->base));
    snprintf(f->dir, sizeof f->dir, "%s/srv", f->base);
    snprintf(online, sizeof online, "%s/online.json", f->dir);
    assert_ok(file_make_dirs(f->dir, 0700, &err), err);
    assert_ok(online_make(f->dir, &err), err);
    desk_open(&f->desk, f->base, online);
    f->now_s = clock_wall_ms() / 1000;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    authority_free(f->authority);
    desk_close(&f->desk);
    assert_ok(file_remove_tree(f->base, &err), err);
    free(f);
    return 0;
}

static int take(struct fixture *f, const char *role, int64_t version, struct err *err)
{
    size_t len;
    cleanup_free char *bytes = desk_read(&f->desk, role, version, &len);
    return authority_take(f->authority, role, bytes, len, f->now_s, err);
}

static void take_ok(struct fixture *f, const char *role, int64_t version)
{
    struct err err = {0};
    assert_ok(take(f, role, version, &err), err);
}

static int64_t repo_root_version(const struct fixture *f)
{
    int64_t version = 0, expires_s;
    return authority_expiry(f->authority, TUF_ROOT, &version, &expires_s) ? version : 0;
}

static struct digest some_digest(const char *text)
{
    return hash_bytes(text, strlen(text));
}

static void assert_rule(const struct err *err, enum trust_rule rule)
{
    if (trust_rule_of(err->text) != rule)
        fail_msg("\"%s\", wanted rule %s", err->text, trust_rule_name(rule));
}

/* All files of the repository, to tell whether anything changed. */
static int add_file(const char *name, void *arg)
{
    char(*sum)[4096] = arg;
    size_t used = strlen(*sum);
    snprintf(*sum + used, sizeof *sum - used, "%s ", name);
    return 0;
}

static void list_files(const struct fixture *f, char out[4096])
{
    struct err err = {0};
    cleanup_buf struct buf timestamp = BUF_INIT(1 << 20);
    cleanup_free char *dir = file_join(f->dir, "trust");
    out[0] = 0;
    assert_ok(file_list(dir, add_file, (char(*)[4096])(void *)out, &err), err);
    if (authority_read(f->authority, "timestamp.json", &timestamp, &err) == 0) {
        struct digest digest = hash_bytes(timestamp.data, timestamp.len);
        size_t used = strlen(out);
        snprintf(out + used, 4096 - used, "%s", digest_format(&digest).text);
    }
}

/* ---- */

static void nothing_is_trusted_on_first_use(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    struct authority_release said;
    cleanup_buf struct buf bytes = BUF_INIT(1 << 20);
    open_authority(f, NULL);
    assert_null(authority_root(f->authority));
    assert_int_equal(take(f, "root", 1, &err), -1);
    assert_int_equal(err.code, ERR_CONFLICT);
    assert_int_equal(take(f, "targets", 1, &err), -1);
    assert_fails(authority_read(f->authority, "1.root.json", &bytes, &err), err, ERR_NOT_FOUND);
    assert_fails(authority_release(f->authority, "a", "1.0.0", f->now_s, &said, &err), err, ERR_CONFLICT);
    open_authority(f, f->desk.root_file);
    assert_string_equal(authority_fleet(f->authority), DESK_FLEET);
    open_authority(f, NULL); /* it is kept */
    assert_string_equal(authority_fleet(f->authority), DESK_FLEET);
    open_authority(f, f->desk.root_file); /* the same again is fine */
}

static void a_root_of_another_chain_stops_the_start(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    char scratch[96], online[160];
    struct desk other;
    struct authority *authority = NULL;
    open_authority(f, f->desk.root_file);
    snprintf(scratch, sizeof scratch, "%s/other", f->base);
    snprintf(online, sizeof online, "%s/online.json", f->dir);
    assert_ok(file_make_dirs(scratch, 0700, &err), err);
    desk_open(&other, scratch, online);
    const struct authority_options options = {.dir = f->dir, .root = other.root_file};
    assert_fails(authority_open(&options, f->now_s, &authority, &err), err, ERR_UNTRUSTED);
    desk_close(&other);
}

static void a_first_root_of_another_server_leaves_nothing_behind(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    char scratch[96], online[160];
    struct online *keys = NULL;
    struct desk other;
    struct authority *authority = NULL;
    snprintf(scratch, sizeof scratch, "%s/other", f->base);
    assert_ok(file_make_dirs(scratch, 0700, &err), err);
    assert_ok(online_make(scratch, &err), err);
    assert_ok(online_load(scratch, &keys, &err), err);
    online_free(keys);
    snprintf(online, sizeof online, "%s/online.json", scratch);
    desk_open(&other, scratch, online);
    const struct authority_options options = {.dir = f->dir, .root = other.root_file};
    assert_fails(authority_open(&options, f->now_s, &authority, &err), err, ERR_REFUSED);
    desk_close(&other);
    open_authority(f, f->desk.root_file); /* the right one is still the first */
    assert_string_equal(authority_fleet(f->authority), DESK_FLEET);
}

static void what_is_published_is_found_with_its_terms(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    struct authority_release said;
    struct digest digest = some_digest("manifest");
    const struct terms terms = {.threshold = 2,
                                .operator_count = 2,
                                .operators = {"alice", "bob"},
                                .scope = TERMS_OF_PLAN,
                                .floor = "1.0.0"};
    open_authority(f, f->desk.root_file);
    take_ok(f, "targets", 1);
    assert_int_equal(authority_release(f->authority, "detector", "2.0.0", f->now_s, &said, &err), -1);
    assert_rule(&err, TRUST_TARGETS_UNKNOWN);
    take_ok(f, "targets", desk_release(&f->desk, "detector", "2.0.0", &digest, 1234, &terms));
    assert_ok(authority_release(f->authority, "detector", "2.0.0", f->now_s, &said, &err), err);
    assert_true(digest_equal(&said.digest, &digest) && said.length == 1234);
    assert_true(said.terms.threshold == 2 && said.terms.scope == TERMS_OF_PLAN);
    take_ok(f, "targets", desk_drop(&f->desk, "detector/2.0.0"));
    assert_int_equal(authority_release(f->authority, "detector", "2.0.0", f->now_s, &said, &err), -1);
    assert_rule(&err, TRUST_TARGETS_UNKNOWN);
}

static void what_is_for_another_fleet_or_has_expired_is_not_given(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    struct authority_release said;
    struct digest digest = some_digest("manifest");
    const struct terms elsewhere = {.fleet = "drones-1"};
    open_authority(f, f->desk.root_file);
    take_ok(f, "targets", desk_release(&f->desk, "detector", "2.0.0", &digest, 1234, &elsewhere));
    assert_int_equal(authority_release(f->authority, "detector", "2.0.0", f->now_s, &said, &err), -1);
    assert_rule(&err, TRUST_RELEASE_FLEET);
    take_ok(f, "targets", desk_release(&f->desk, "detector", "2.0.1", &digest, 1234, NULL));
    assert_ok(authority_release(f->authority, "detector", "2.0.1", f->now_s, &said, &err), err);
    f->now_s += 91 * DAY_S;
    bool changed;
    assert_ok(authority_freshen(f->authority, f->now_s, &changed, &err), err);
    assert_int_equal(authority_release(f->authority, "detector", "2.0.1", f->now_s, &said, &err), -1);
    assert_rule(&err, TRUST_TARGETS_EXPIRED);
}

/* Each wrong metadata is refused by its rule, and nothing changes. */
static void wrong_metadata_change_nothing(void **state)
{
    struct fixture *f = *state;
    struct digest digest = some_digest("manifest");
    char before[4096], after[4096];
    size_t len, old_len;
    open_authority(f, f->desk.root_file);
    take_ok(f, "targets", 1);
    take_ok(f, "targets", desk_release(&f->desk, "detector", "1.0.0", &digest, 1, NULL));
    desk_release(&f->desk, "detector", "2.0.0", &digest, 1, NULL);
    cleanup_free char *good = desk_read(&f->desk, "targets", 3, &len);
    cleanup_free char *old = desk_read(&f->desk, "targets", 1, &old_len);
    cleanup_free char *forged = mem_strdup(good), *other = mem_strdup(good);
    char *at = strstr(forged, "detector/2.0.0");
    assert_non_null(at);
    at[9] = '3';
    at = strstr(other, "\"_type\":\"targets\"");
    assert_non_null(at);
    memcpy(at + 9, "\"rootxxx\"", 9);
    desk_rotate_root(&f->desk);
    desk_rotate_root(&f->desk);
    size_t far_len;
    cleanup_free char *far = desk_read(&f->desk, "root", 3, &far_len);
    const struct {
        const char *role, *bytes;
        size_t len;
        enum trust_rule rule;
    } wrong[] = {
        {"targets", forged, len, TRUST_TARGETS_SIGNATURES}, {"targets", old, old_len, TRUST_TARGETS_VERSION},
        {"targets", other, len, TRUST_METADATA_FORM},       {"targets", good, len - 2, TRUST_METADATA_FORM},
        {"root", good, len, TRUST_METADATA_FORM},           {"root", far, far_len, TRUST_ROOT_VERSION},
        {"stranger", good, len, TRUST_TARGETS_SIGNATURES},
    };
    list_files(f, before);
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct err err = {0};
        if (authority_take(f->authority, wrong[i].role, wrong[i].bytes, wrong[i].len, f->now_s, &err) == 0)
            fail_msg("wrong metadata %zu was taken", i);
        assert_rule(&err, wrong[i].rule);
        list_files(f, after);
        assert_string_equal(before, after);
    }
    static const char *const own[] = {"timestamp", "snapshot"};
    for (size_t i = 0; i < ARRAY_LEN(own); i++) {
        struct err err = {0};
        assert_fails(authority_take(f->authority, own[i], good, len, f->now_s, &err), err, ERR_REFUSED);
    }
    take_ok(f, "targets", 3);
    take_ok(f, "root", 2);
    take_ok(f, "root", 3);
}

static void snapshot_and_timestamp_are_renewed_at_half_of_their_time(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    int64_t version, expires_s, first, snapshot;
    bool changed;
    open_authority(f, f->desk.root_file);
    take_ok(f, "targets", 1);
    assert_true(authority_expiry(f->authority, TUF_TIMESTAMP, &first, &expires_s));
    assert_int_equal(expires_s, f->now_s + DAY_S);
    assert_true(authority_expiry(f->authority, TUF_SNAPSHOT, &snapshot, &expires_s));
    assert_int_equal(expires_s, f->now_s + 7 * DAY_S);
    assert_ok(authority_freshen(f->authority, f->now_s + DAY_S / 2 - 60, &changed, &err), err);
    assert_false(changed);
    f->now_s += DAY_S / 2 + 60;
    assert_ok(authority_freshen(f->authority, f->now_s, &changed, &err), err);
    assert_true(changed);
    assert_true(authority_expiry(f->authority, TUF_TIMESTAMP, &version, &expires_s));
    assert_int_equal(version, first + 1);
    assert_int_equal(expires_s, f->now_s + DAY_S);
    assert_true(authority_expiry(f->authority, TUF_SNAPSHOT, &version, &expires_s));
    assert_int_equal(version, snapshot);
    for (int day = 0; day < 20; day++) { /* whatever the day, nothing is near its end after a look */
        f->now_s += DAY_S / 2;
        assert_ok(authority_freshen(f->authority, f->now_s, &changed, &err), err);
        assert_true(authority_expiry(f->authority, TUF_TIMESTAMP, &version, &expires_s) &&
                    expires_s > f->now_s + DAY_S / 2);
        assert_true(authority_expiry(f->authority, TUF_SNAPSHOT, &version, &expires_s) &&
                    expires_s > f->now_s + DAY_S / 2);
    }
}

static int admit(struct fixture *f, const struct assignment *assignment, const char *robot, struct err *err)
{
    cleanup_assignment_envelope struct assignment_envelope envelope = {0};
    cleanup_free char *text = authority_sign(f->authority, assignment, err);
    if (!text || assignment_parse(text, strlen(text), &envelope, err) < 0)
        return -1;
    const struct admission_robot self = {
        .robot = robot, .root = authority_root(f->authority), .now_s = f->now_s, .floor = ""};
    return admission_assignment(&self, &envelope, err);
}

static void robots_believe_what_the_director_signs(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    struct assignment assignment = {.robot = "r1",
                                    .version = 7,
                                    .issued_s = f->now_s,
                                    .expires_s = f->now_s + DAY_S,
                                    .path = "detector/2.0.0",
                                    .length = 12,
                                    .release = some_digest("manifest")};
    open_authority(f, NULL);
    assert_null(authority_sign(f->authority, &assignment, &err));
    assert_int_equal(err.code, ERR_CONFLICT);
    open_authority(f, f->desk.root_file);
    assert_ok(admit(f, &assignment, "r1", &err), err);
    assert_int_equal(admit(f, &assignment, "r2", &err), -1);
    assert_rule(&err, TRUST_ASSIGNMENT_ROBOT);
    cleanup_free char *first = authority_sign(f->authority, &assignment, &err);
    cleanup_free char *second = authority_sign(f->authority, &assignment, &err);
    assert_string_equal(first, second);
}

/* The next key is made while the server runs, and waits until a root names it; then it is the key, also after a restart. */
static void online_keys_rotate(void **state)
{
    struct fixture *f = *state;
    struct digest digest = some_digest("manifest");
    struct authority_release said;
    open_authority(f, f->desk.root_file);
    take_ok(f, "targets", desk_release(&f->desk, "detector", "1.0.0", &digest, 1, NULL));
    for (int i = 0; i < ONLINE_ROLES; i++) {
        struct err err = {0};
        enum online_role role = (enum online_role)i;
        char path[160];
        cleanup_online_public struct online_public before = {0}, after = {0};
        snprintf(path, sizeof path, "%s/online.json", f->dir);
        assert_ok(online_public_load(path, &before, &err), err);
        assert_ok(online_rotate(f->dir, role, &err), err);
        assert_ok(online_rotate(f->dir, role, &err), err); /* again: the same next key */
        assert_ok(online_public_load(path, &after, &err), err);
        assert_string_not_equal(before.keys[i].id, after.keys[i].id);
        int64_t version = desk_rotate(&f->desk, role, &before.keys[i], &after.keys[i]);
        take_ok(f, "root", version);
        assert_string_equal(tuf_signer_public(online_signer(authority_online(f->authority), role))->id,
                            after.keys[i].id);
        assert_ok(authority_release(f->authority, "detector", "1.0.0", f->now_s, &said, &err), err);
        open_authority(f, NULL);
        assert_ok(authority_release(f->authority, "detector", "1.0.0", f->now_s, &said, &err), err);
    }
}

/* The disk is full at each moment of taking in a root that names a next key. As soon as there is room again the server goes on by itself. */
static void a_full_disk_while_a_key_is_exchanged_is_made_up_for(void **state)
{
    struct fixture *f = *state;
    bool changed, whole = false;
    open_authority(f, f->desk.root_file);
    take_ok(f, "targets", 1);
    for (long at = 1; !whole; at++) {
        struct err err = {0}, full = {0};
        char path[160];
        cleanup_online_public struct online_public before = {0}, after = {0};
        snprintf(path, sizeof path, "%s/online.json", f->dir);
        assert_ok(online_public_load(path, &before, &err), err);
        assert_ok(online_rotate(f->dir, ONLINE_TIMESTAMP, &err), err);
        assert_ok(online_public_load(path, &after, &err), err);
        int64_t version = desk_rotate(&f->desk, ONLINE_TIMESTAMP, &before.keys[ONLINE_TIMESTAMP],
                                      &after.keys[ONLINE_TIMESTAMP]);
        powercut_arm(CUT_ENOSPC, at, f->base);
        int rc = take(f, "root", version, &full);
        whole = powercut_disarm() < at;
        if (whole)
            assert_ok(rc, full);
        if (repo_root_version(f) < version) /* it was not published: sent again */
            take_ok(f, "root", version);
        assert_ok(authority_freshen(f->authority, f->now_s, &changed, &err), err);
        assert_string_equal(
            tuf_signer_public(online_signer(authority_online(f->authority), ONLINE_TIMESTAMP))->id,
            after.keys[ONLINE_TIMESTAMP].id);
    }
}

static void a_root_without_this_servers_keys_is_refused(void **state)
{
    struct fixture *f = *state;
    open_authority(f, f->desk.root_file);
    for (int i = 0; i < ONLINE_ROLES; i++) {
        struct err err = {0};
        enum online_role role = (enum online_role)i;
        cleanup_tuf_signer struct tuf_signer *stranger = NULL;
        const struct tuf_key *own = tuf_signer_public(online_signer(authority_online(f->authority), role));
        assert_ok(tuf_signer_generate(TUF_ED25519, &stranger, &err), err);
        int64_t version = desk_rotate(&f->desk, role, own, tuf_signer_public(stranger));
        assert_int_equal(version, 2);
        assert_int_equal(take(f, "root", version, &err), -1);
        assert_int_equal(err.code, ERR_REFUSED);
        assert_non_null(strstr(err.text, online_role_name(role)));
        desk_close(&f->desk); /* back to root 1, from the beginning */
        char online[160], scratch[96];
        snprintf(online, sizeof online, "%s/online.json", f->dir);
        snprintf(scratch, sizeof scratch, "%s/try-%d", f->base, i);
        assert_ok(file_make_dirs(scratch, 0700, &err), err);
        desk_open(&f->desk, scratch, online);
        cleanup_free char *trust = file_join(f->dir, "trust");
        assert_ok(file_remove_tree(trust, &err), err);
        open_authority(f, f->desk.root_file);
    }
}

/* A cut between storing targets and naming them: the next start finishes it. */
static void what_was_cut_is_finished_at_the_start(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    struct digest digest = some_digest("manifest");
    struct authority_release said;
    char path[160], name[64];
    size_t len;
    open_authority(f, f->desk.root_file);
    take_ok(f, "targets", 1);
    int64_t version = desk_release(&f->desk, "detector", "1.0.0", &digest, 1, NULL);
    cleanup_free char *bytes = desk_read(&f->desk, "targets", version, &len);
    snprintf(name, sizeof name, "trust/%" PRId64 ".targets.json", version);
    snprintf(path, sizeof path, "%s/%s", f->dir, name);
    assert_ok(file_replace(path, bytes, len, 0644, &err), err);
    assert_int_equal(authority_release(f->authority, "detector", "1.0.0", f->now_s, &said, &err), -1);
    open_authority(f, NULL);
    assert_ok(authority_release(f->authority, "detector", "1.0.0", f->now_s, &said, &err), err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_is_trusted_on_first_use, setup, teardown),
        cmocka_unit_test_setup_teardown(a_root_of_another_chain_stops_the_start, setup, teardown),
        cmocka_unit_test_setup_teardown(a_first_root_of_another_server_leaves_nothing_behind, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(what_is_published_is_found_with_its_terms, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_for_another_fleet_or_has_expired_is_not_given, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(wrong_metadata_change_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(snapshot_and_timestamp_are_renewed_at_half_of_their_time, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(robots_believe_what_the_director_signs, setup, teardown),
        cmocka_unit_test_setup_teardown(online_keys_rotate, setup, teardown),
        cmocka_unit_test_setup_teardown(a_full_disk_while_a_key_is_exchanged_is_made_up_for, setup, teardown),
        cmocka_unit_test_setup_teardown(a_root_without_this_servers_keys_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(what_was_cut_is_finished_at_the_start, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
