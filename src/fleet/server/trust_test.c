/* The real server and its fleet's trust: metadata in and out, releases that the targets name, the director, and a death while publishing. */
#include "base/testing.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "fleet/testing/desk.h"
#include "fleet/testing/harness.h"
#include "sys/file.h"
#include "sys/hash.h"
#include "sys/proc.h"
#include "trust/admission.h"
#include "trust/rule.h"
#include "trust/tuf/shelf.h"
#include "trust/tuf/update.h"
#include "wire/director.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

struct fixture {
    struct harness h;
    struct robot_peer robot;
    struct tuf_shelf *shelf; /* what the robot trusts */
};

static void start(struct fixture *f, const char *const *more)
{
    size_t count = 0;
    memset(f->h.extra, 0, sizeof f->h.extra);
    while (more && *more)
        f->h.extra[count++] = *more++;
    harness_start(&f->h);
}

static int setup_stopped(void **state)
{
    struct fixture *f = mem_zalloc(1, sizeof *f);
    struct err err = {0};
    size_t len;
    harness_init(&f->h);
    cleanup_free char *root = desk_read(&f->h.desk, "root", 1, &len);
    f->shelf = tuf_shelf_memory();
    assert_ok(tuf_trust(f->shelf, root, len, &err), err);
    *state = f;
    return 0;
}

static int setup(void **state)
{
    setup_stopped(state);
    struct fixture *f = *state;
    start(f, NULL);
    harness_enroll(&f->h, "r1", &f->robot);
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    tuf_shelf_free(f->shelf);
    harness_fini(&f->h);
    free(f);
    return 0;
}

/* ---- the workstation's side ---- */

static struct reply post_metadata(struct fixture *f, const char *role, const void *bytes, size_t len)
{
    char path[96];
    snprintf(path, sizeof path, "/api/v1/tuf/%s", role);
    return harness_call(&f->h, "POST", path, bytes, len);
}

static void push(struct fixture *f, const char *role, int64_t version)
{
    harness_publish(&f->h, role, version);
}

static struct digest push_release(struct fixture *f, const char *version, const struct terms *terms)
{
    uint64_t length;
    struct digest digest = harness_upload(&f->h, version, &length);
    push(f, "targets", desk_release(&f->h.desk, "quadrants", version, &digest, length, terms));
    cleanup_reply struct reply reply = harness_post_release(&f->h, &digest);
    if (reply.status != 201)
        fail_msg("release: %d %s", reply.status, reply.body);
    return digest;
}

static uint64_t roll_out(struct fixture *f, const char *version)
{
    char spec[256];
    snprintf(spec, sizeof spec,
             "{\"name\":\"roll-%s\",\"release\":\"quadrants:%s\",\"waves\":[{\"name\":\"all\",\"percent\":"
             "100,\"bake_s\":0}],"
             "\"gates\":{\"min_frames\":1},\"wave_timeout_s\":600}",
             version, version);
    cleanup_reply struct reply reply = harness_call(&f->h, "POST", "/api/v1/rollouts", spec, strlen(spec));
    if (reply.status != 201)
        fail_msg("rollout: %d %s", reply.status, reply.body);
    return (uint64_t)find_number(reply.body, "id");
}

static struct reply see_rollout(struct fixture *f, uint64_t id)
{
    char path[64];
    snprintf(path, sizeof path, "/api/v1/rollouts/%" PRIu64, id);
    return harness_call(&f->h, "GET", path, NULL, 0);
}

/* ---- the robot's side ---- */

static void fetch(struct fixture *f, struct tuf_update *update, const struct tuf_want *want)
{
    char path[160];
    snprintf(path, sizeof path, "/api/v1/tuf/%s", want->name);
    cleanup_reply struct reply reply = robot_call(&f->h, &f->robot, "GET", path, NULL, 0);
    if (reply.status == 200)
        tuf_update_give(update, reply.body, reply.len);
    else if (reply.status == 404)
        tuf_update_lack(update);
    else
        fail_msg("%s: %d %s", path, reply.status, reply.body ? reply.body : "");
}

/* What the robot believes of NAME/VERSION; the update stays with the caller. */
static int seek(struct fixture *f, const char *path, struct tuf_update **out, struct err *err)
{
    const struct tuf_update_options options = {.shelf = f->shelf, .now_s = clock_wall_ms() / 1000};
    struct tuf_want want;
    enum tuf_step step;
    assert_ok(tuf_update_new(&options, out, err), *err);
    tuf_update_seek(*out, path);
    while ((step = tuf_update_step(*out, &want, err)) == TUF_WANT)
        fetch(f, *out, &want);
    return step == TUF_DONE ? 0 : -1;
}

static int64_t trusted_version(struct fixture *f, const char *role)
{
    struct err err = {0};
    cleanup_tuf_update struct tuf_update *update = NULL;
    const struct tuf_update_options options = {.shelf = f->shelf, .now_s = clock_wall_ms() / 1000};
    struct tuf_want want;
    enum tuf_step step;
    assert_ok(tuf_update_new(&options, &update, &err), err);
    tuf_update_refresh(update);
    while ((step = tuf_update_step(update, &want, &err)) == TUF_WANT)
        fetch(f, update, &want);
    if (step != TUF_DONE)
        fail_msg("refresh: %s", err.text);
    const struct tuf_metadata *found = tuf_update_role(update, role);
    return found ? found->version : 0;
}

static struct reply ask_director(struct fixture *f, uint64_t after, int wait_s)
{
    char path[96];
    snprintf(path, sizeof path, "/api/v1/director?after=%" PRIu64 "&wait=%d", after, wait_s);
    return robot_call(&f->h, &f->robot, "GET", path, NULL, 0);
}

/* Waits until there is something behind `after`; the answer. */
static void await_director(struct fixture *f, uint64_t after, struct director_answer *out)
{
    struct err err = {0};
    for (int i = 0; i < 12; i++) {
        cleanup_reply struct reply reply = ask_director(f, after, 5);
        if (reply.status == 204)
            continue;
        if (reply.status != 200)
            fail_msg("director: %d %s", reply.status, reply.body);
        assert_ok(director_answer_parse(reply.body, reply.len, out, &err), err);
        return;
    }
    fail_msg("the director says nothing behind %" PRIu64, after);
}

static void open_assignment(const struct director_answer *answer, struct assignment_envelope *out)
{
    struct err err = {0};
    assert_ok(assignment_parse(answer->assignment, strlen(answer->assignment), out, &err), err);
}

/* Both keys, as on the robot: the whole way from the answer to the admission. */
static int admit(struct fixture *f, const struct director_answer *answer, const struct keyring *operators,
                 const char *plan, struct err *err)
{
    char floor[64];
    struct text_span approvals[ASSIGNMENT_MAX_APPROVALS];
    cleanup_assignment_envelope struct assignment_envelope envelope = {0};
    cleanup_tuf_update struct tuf_update *update = NULL;
    open_assignment(answer, &envelope);
    for (size_t i = 0; i < answer->approval_count; i++)
        approvals[i] = (struct text_span){answer->approvals[i], strlen(answer->approvals[i])};
    if (seek(f, envelope.assignment.path, &update, err) < 0)
        return -1;
    const struct admission_robot self = {.robot = f->robot.id,
                                         .root = tuf_update_root(update),
                                         .now_s = clock_wall_ms() / 1000,
                                         .floor = "",
                                         .running_name = "",
                                         .running_version = "",
                                         .operators = operators};
    const struct admission_evidence evidence = {.assignment = &envelope.assignment,
                                                .target = tuf_update_target(update),
                                                .approval_count = answer->approval_count,
                                                .approvals = approvals,
                                                .plan = plan,
                                                .plan_len = plan ? strlen(plan) : 0};
    if (admission_assignment(&self, &envelope, err) < 0)
        return -1;
    return admission_target(&self, &evidence, floor, err);
}

/* ---- metadata ---- */

static void test_no_root_comes_over_the_network(void **state)
{
    struct fixture *f = *state;
    size_t len;
    uint64_t length;
    struct err err = {0};
    char log_path[160];
    cleanup_buf struct buf log = BUF_INIT(1 << 20);
    cleanup_free char *root = desk_read(&f->h.desk, "root", 1, &len);
    f->h.rootless = true;
    harness_start(&f->h);
    harness_enroll(&f->h, "r1", &f->robot);
    cleanup_reply struct reply posted = post_metadata(f, "root", root, len);
    assert_int_equal(posted.status, 409);
    cleanup_reply struct reply got = harness_call(&f->h, "GET", "/api/v1/tuf/1.root.json", NULL, 0);
    assert_int_equal(got.status, 404);
    struct digest release = harness_upload(&f->h, "1.0.0", &length);
    cleanup_reply struct reply refused = harness_post_release(&f->h, &release);
    assert_int_equal(refused.status, 409);
    assert_non_null(strstr(refused.body, "no root of trust"));
    harness_path(&f->h, "server.log", log_path);
    assert_ok(file_read(log_path, &log, &err), err);
    assert_non_null(strstr(buf_text(&log), "no release is accepted"));
    assert_int_equal(harness_stop(&f->h, SIGTERM), 0);
    f->h.rootless = false;
    start(f, NULL);
    cleanup_reply struct reply again = harness_call(&f->h, "GET", "/api/v1/tuf/1.root.json", NULL, 0);
    assert_int_equal(again.status, 200);
    assert_int_equal(again.len, len);
    assert_memory_equal(again.body, root, len); /* byte for byte */
    cleanup_reply struct reply robots =
        robot_call(&f->h, &f->robot, "GET", "/api/v1/tuf/1.root.json", NULL, 0);
    assert_memory_equal(robots.body, root, len);
    static const char *const odd[] = {"2.root.json", "..%2fca.key", ".%2e", "timestamp.json", "online"};
    for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
        char path[96];
        snprintf(path, sizeof path, "/api/v1/tuf/%s", odd[i]);
        cleanup_reply struct reply none = robot_call(&f->h, &f->robot, "GET", path, NULL, 0);
        assert_true(none.status == 404 || none.status == 400);
    }
}

static void test_a_robot_follows_what_is_published(void **state)
{
    struct fixture *f = *state;
    struct digest digest = hash_bytes("m", 1);
    push(f, "targets", 1);
    assert_int_equal(trusted_version(f, "targets"), 1);
    push(f, "targets", desk_release(&f->h.desk, "detector", "1.0.0", &digest, 1, NULL));
    push(f, "root", desk_rotate_root(&f->h.desk));
    push(f, "targets", desk_release(&f->h.desk, "detector", "1.1.0", &digest, 1, NULL));
    assert_int_equal(trusted_version(f, "targets"), 3);
    assert_int_equal(trusted_version(f, "root"), 2);
    push(f, "targets", 3); /* again is fine */
    assert_int_equal(harness_stop(&f->h, SIGKILL), SIGKILL);
    start(f, NULL);
    assert_int_equal(trusted_version(f, "targets"), 3);
}

static void test_refusals_name_their_rule_and_change_nothing(void **state)
{
    struct fixture *f = *state;
    struct digest digest = hash_bytes("m", 1);
    size_t len, old_len;
    push(f, "targets", 1);
    push(f, "targets", desk_release(&f->h.desk, "detector", "1.0.0", &digest, 1, NULL));
    int64_t next = desk_release(&f->h.desk, "detector", "1.1.0", &digest, 1, NULL);
    cleanup_free char *old = desk_read(&f->h.desk, "targets", 1, &old_len);
    cleanup_free char *good = desk_read(&f->h.desk, "targets", next, &len);
    cleanup_free char *forged = mem_strdup(good);
    strstr(forged, "detector/1.1.0")[9] = '9';
    const struct {
        const char *role, *bytes;
        size_t len;
        const char *rule;
    } wrong[] = {
        {"targets", forged, len, "[targets.signatures]"}, {"targets", old, old_len, "[targets.version]"},
        {"root", good, len, "[metadata.form]"},           {"targets", "{}", 2, "[metadata.form]"},
        {"nobody", good, len, "[targets.signatures]"},    {"snapshot", good, len, "made by the server"}};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        int64_t before = trusted_version(f, "timestamp");
        cleanup_reply struct reply reply = post_metadata(f, wrong[i].role, wrong[i].bytes, wrong[i].len);
        assert_int_equal(reply.status, 422);
        if (!strstr(reply.body, wrong[i].rule))
            fail_msg("%s: %s", wrong[i].rule, reply.body);
        assert_int_equal(trusted_version(f, "timestamp"), before);
        assert_int_equal(trusted_version(f, "targets"), 2);
    }
    push(f, "targets", next);
}

static void test_short_lives_are_renewed_by_the_timer(void **state)
{
    struct fixture *f = *state;
    static const char *const options[] = {"--timestamp-hours", "0.001", "--snapshot-days", "0.0001", NULL};
    start(f, options);
    harness_enroll(&f->h, "r1", &f->robot);
    push(f, "targets", 1);
    int64_t first = trusted_version(f, "timestamp"), snapshot = trusted_version(f, "snapshot");
    for (int i = 0; i < 200 && trusted_version(f, "timestamp") < first + 3; i++)
        usleep(100000);
    assert_true(trusted_version(f, "timestamp") >= first + 3);
    for (int i = 0; i < 200 && trusted_version(f, "snapshot") == snapshot; i++)
        usleep(100000);
    assert_true(trusted_version(f, "snapshot") > snapshot);
    cleanup_reply struct reply metrics = harness_call(&f->h, "GET", "/metrics", NULL, 0);
    static const char *const roles[] = {"root", "timestamp", "snapshot", "targets"};
    for (size_t i = 0; i < ARRAY_LEN(roles); i++) {
        char line[96];
        snprintf(line, sizeof line, "muster_trust_expires_seconds{role=\"%s\"} ", roles[i]);
        assert_non_null(strstr(metrics.body, line));
    }
}

static void test_the_end_of_offline_metadata_is_told_once(void **state)
{
    struct fixture *f = *state;
    int told = 0;
    push(f, "targets", 1);
    push(f, "targets", desk_expires(&f->h.desk, "targets", clock_wall_ms() / 1000 + 21 * 43200));
    for (int i = 0; i < 2; i++) { /* told at a start, once for each version */
        assert_int_equal(harness_stop(&f->h, SIGTERM), 0);
        start(f, NULL);
    }
    struct peer peer;
    char text[16384] = "", headers[200];
    size_t used = 0, len;
    snprintf(headers, sizeof headers, "Authorization: Bearer %s\r\n", f->h.token);
    cleanup_free char *request = format_request("GET", "/api/v1/events?after=0", headers, NULL, 0, &len);
    assert_true(peer_open(&peer, f->h.operator_port, true, NULL, NULL) && peer_send(&peer, request, len));
    while (!strstr(text, "expires (10 days)") && used < sizeof text - 1) {
        long got = peer_read(&peer, text + used, sizeof text - 1 - used);
        if (got <= 0)
            break;
        used += (size_t)got;
        text[used] = 0;
    }
    peer_close(&peer);
    for (const char *at = text; (at = strstr(at, "expires (10 days)")); at++)
        told++;
    if (told != 1)
        fail_msg("told %d times: %s", told, text);
}

/* Dies at random moments of publishing. Whatever was answered stands; what a robot sees is always whole and never older. */
static void test_death_while_publishing(void **state)
{
    struct fixture *f = *state;
    struct digest digest = hash_bytes("m", 1);
    int64_t acknowledged = 1, seen = 0, timestamp = 0;
    push(f, "targets", 1);
    for (int round = 0; round < 12; round++) {
        char version[32], headers[200];
        snprintf(version, sizeof version, "1.0.%d", round);
        int64_t next = desk_release(&f->h.desk, "detector", version, &digest, 1, NULL);
        size_t len, request_len;
        struct peer peer;
        cleanup_free char *bytes = desk_read(&f->h.desk, "targets", next, &len);
        snprintf(headers, sizeof headers, "Authorization: Bearer %s\r\n", f->h.token);
        cleanup_free char *request =
            format_request("POST", "/api/v1/tuf/targets", headers, bytes, len, &request_len);
        assert_true(peer_open(&peer, f->h.operator_port, true, NULL, NULL));
        assert_true(peer_send(&peer, request, request_len));
        usleep((unsigned)(round * 1500)); /* into the commit of the record, the files, the timestamp */
        if (round % 4 == 3) {
            cleanup_reply struct reply reply = peer_read_reply(&peer);
            assert_int_equal(reply.status, 200);
            acknowledged = next;
        }
        harness_stop(&f->h, SIGKILL);
        peer_close(&peer);
        start(f, NULL);
        int64_t now = trusted_version(f, "targets"), stamp = trusted_version(f, "timestamp");
        assert_true(now >= acknowledged && now >= seen && now <= next && stamp >= timestamp);
        seen = now;
        timestamp = stamp;
        push(f, "targets", next);
        acknowledged = next;
        assert_int_equal(trusted_version(f, "targets"), next);
    }
}

/* The next key is made beside the server that runs; it counts when a root names it. */
static void test_a_next_key_is_made_while_it_serves(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    char online[160];
    int status = -1;
    cleanup_online_public struct online_public before = {0}, after = {0};
    const char *const rotate[] = {
        MUSTER_BUILD_BIN "/musterd", "rotate", "--dir", f->h.dir, "--role", "timestamp", NULL};
    harness_path(&f->h, "srv/online.json", online);
    push(f, "targets", 1);
    int64_t first = trusted_version(f, "timestamp");
    assert_ok(online_public_load(online, &before, &err), err);
    assert_ok(proc_run(rotate, 30000, NULL, &status, &err), err);
    assert_int_equal(status, 0);
    assert_ok(online_public_load(online, &after, &err), err);
    push(f, "root",
         desk_rotate(&f->h.desk, ONLINE_TIMESTAMP, &before.keys[ONLINE_TIMESTAMP],
                     &after.keys[ONLINE_TIMESTAMP]));
    assert_int_equal(trusted_version(f, "root"), 2);
    assert_true(trusted_version(f, "timestamp") > first); /* signed anew, with the new key */
    cleanup_reply struct reply log = harness_call(&f->h, "GET", "/api/v1/audit", NULL, 0);
    assert_non_null(strstr(log.body, "musterd rotate"));
}

/* ---- releases ---- */

static void test_a_release_wants_to_be_named_by_the_targets(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    uint64_t length;
    char signer[96];
    const struct terms elsewhere = {.fleet = "drones-1"};
    struct digest digest = harness_upload(&f->h, "1.0.0", &length), other = hash_bytes("x", 1);
    const struct {
        const struct digest *digest;
        uint64_t length;
        const struct terms *terms;
        const char *rule;
    } wrong[] = {{NULL, 0, NULL, "[targets.unknown]"},
                 {&other, length, NULL, "[assignment.target]"},
                 {&digest, length + 1, NULL, "[assignment.target]"},
                 {&digest, length, &elsewhere, "[release.fleet]"}};
    push(f, "targets", 1);
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        if (wrong[i].digest)
            push(f, "targets",
                 desk_release(&f->h.desk, "quadrants", "1.0.0", wrong[i].digest, wrong[i].length,
                              wrong[i].terms));
        cleanup_reply struct reply reply = harness_post_release(&f->h, &digest);
        assert_int_equal(reply.status, 422);
        if (!strstr(reply.body, wrong[i].rule))
            fail_msg("%s: %s", wrong[i].rule, reply.body);
    }
    push(f, "targets", desk_release(&f->h.desk, "quadrants", "1.0.0", &digest, length, NULL));
    cleanup_reply struct reply good = harness_post_release(&f->h, &digest);
    assert_int_equal(good.status, 201);
    assert_non_null(strstr(good.body, "\"withdrawn\":false,\"terms\":{\"approvals\":0"));
    snprintf(signer, sizeof signer, "\"signed_by\":[\"%s\"]", tuf_signer_public(f->h.desk.release)->id);
    assert_non_null(strstr(good.body, signer));
    cleanup_reply struct reply again = harness_post_release(&f->h, &digest);
    assert_int_equal(again.status, 200);
    cleanup_tuf_update struct tuf_update *update = NULL;
    assert_ok(seek(f, "quadrants/1.0.0", &update, &err), err);
    assert_non_null(tuf_update_target(update));
}

/* ---- the director ---- */

static void test_the_director_assigns_what_the_robot_admits(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    cleanup_director_answer struct director_answer answer = {0};
    cleanup_assignment_envelope struct assignment_envelope envelope = {0};
    push_release(f, "1.0.0", NULL);
    cleanup_reply struct reply nothing = ask_director(f, 0, 0);
    assert_int_equal(nothing.status, 204);
    roll_out(f, "1.0.0");
    await_director(f, 0, &answer);
    assert_ok(admit(f, &answer, NULL, NULL, &err), err);
    open_assignment(&answer, &envelope);
    const struct assignment *assignment = &envelope.assignment;
    assert_string_equal(assignment->path, "quadrants/1.0.0");
    assert_string_equal(assignment->robot, "r1");
    assert_string_equal(assignment->fleet, DESK_FLEET);
    assert_int_equal(assignment->version, 1);
    assert_int_equal(assignment->expires_s - assignment->issued_s, 7 * 86400);
    cleanup_reply struct reply first = ask_director(f, 0, 0), second = ask_director(f, 0, 0);
    assert_string_equal(first.body, second.body); /* the same until it changes */
    cleanup_reply struct reply none = ask_director(f, assignment->version, 0);
    assert_int_equal(none.status, 204);
    struct robot_peer other;
    harness_enroll(&f->h, "r2", &other);
    struct robot_peer own = f->robot;
    str_copy(f->robot.id, sizeof f->robot.id, other.id); /* r1's assignment shown to r2 */
    assert_int_equal(admit(f, &answer, NULL, NULL, &err), -1);
    assert_int_equal(trust_rule_of(err.text), TRUST_ASSIGNMENT_ROBOT);
    f->robot = own;
}

/* A robot that has seen more than this server: it comes from a backup. */
static void test_the_director_jumps_over_a_counter(void **state)
{
    struct fixture *f = *state;
    cleanup_director_answer struct director_answer answer = {0};
    cleanup_assignment_envelope struct assignment_envelope envelope = {0};
    push_release(f, "1.0.0", NULL);
    roll_out(f, "1.0.0");
    await_director(f, 0, &answer);
    director_answer_fini(&answer);
    await_director(f, 500, &answer);
    open_assignment(&answer, &envelope);
    assert_int_equal(envelope.assignment.version, 501);
    /* whoever has its key cannot use up the numbers: what comes next is still heard of */
    cleanup_reply struct reply far = ask_director(f, INT64_MAX - 1, 0), next = ask_director(f, 501, 0);
    assert_int_equal(far.status, 409);
    assert_int_equal(next.status, 204);
}

static void test_assignments_are_renewed_while_the_targets_name_the_release(void **state)
{
    struct fixture *f = *state;
    static const char *const options[] = {"--assignment-days", "0.0000463", NULL}; /* 4 s */
    struct err err = {0};
    cleanup_director_answer struct director_answer answer = {0};
    start(f, options);
    harness_enroll(&f->h, "r1", &f->robot);
    push_release(f, "1.0.0", NULL);
    roll_out(f, "1.0.0");
    await_director(f, 0, &answer);
    for (uint64_t version = 2; version <= 3; version++) {
        cleanup_assignment_envelope struct assignment_envelope envelope = {0};
        director_answer_fini(&answer);
        for (int i = 0; i < 100; i++) { /* a robot asks now and then */
            cleanup_reply struct reply reply = ask_director(f, version - 1, 0);
            if (reply.status == 200) {
                assert_ok(director_answer_parse(reply.body, reply.len, &answer, &err), err);
                break;
            }
            usleep(100000);
        }
        open_assignment(&answer, &envelope);
        assert_int_equal(envelope.assignment.version, version);
        assert_ok(admit(f, &answer, NULL, NULL, &err), err);
    }
    push(f, "targets", desk_drop(&f->h.desk, "quadrants/1.0.0"));
    cleanup_reply struct reply last = ask_director(f, 0, 0);
    assert_int_equal(last.status, 200);
    uint64_t version = (uint64_t)find_number(strstr(last.body, "\"version\""), "version");
    sleep(5);
    cleanup_reply struct reply none = ask_director(f, version, 0);
    assert_int_equal(none.status, 204); /* not renewed; who runs it keeps it */
}

static void test_a_withdrawn_release_is_not_rolled_out(void **state)
{
    struct fixture *f = *state;
    push_release(f, "1.0.0", NULL);
    push_release(f, "2.0.0", NULL);
    push(f, "targets", desk_drop(&f->h.desk, "quadrants/1.0.0"));
    static const char spec[] =
        "{\"name\":\"old\",\"release\":\"quadrants:1.0.0\",\"waves\":[{\"name\":\"all\","
        "\"percent\":100,\"bake_s\":0}],\"wave_timeout_s\":600}";
    cleanup_reply struct reply refused = harness_call(&f->h, "POST", "/api/v1/rollouts", spec, strlen(spec));
    assert_int_equal(refused.status, 409);
    assert_non_null(strstr(refused.body, "[targets.unknown]"));
    cleanup_reply struct reply list = harness_call(&f->h, "GET", "/api/v1/releases", NULL, 0);
    assert_non_null(strstr(list.body, "\"withdrawn\":true,\"terms\":null"));
    roll_out(f, "2.0.0");
}

/* ---- approvals ---- */

static struct keyring *publish_operators(struct fixture *f)
{
    struct err err = {0};
    int64_t version;
    char path[160];
    struct keyring *ring = mem_zalloc(1, sizeof *ring);
    cleanup_free char *text = desk_operators(&f->h.desk, &version);
    struct digest digest = hash_bytes(text, strlen(text));
    snprintf(path, sizeof path, "/api/v1/blobs/%s", digest_format(&digest).text);
    cleanup_reply struct reply reply = harness_call(&f->h, "PUT", path, text, strlen(text));
    assert_int_equal(reply.status, 201);
    push(f, "targets", version);
    assert_ok(keyring_parse(text, strlen(text), ring, &err), err);
    return ring;
}

static int post_approval(struct fixture *f, const char *envelope, char *message, size_t size)
{
    cleanup_reply struct reply reply =
        harness_call(&f->h, "POST", "/api/v1/approvals", envelope, strlen(envelope));
    snprintf(message, size, "%s", reply.body ? reply.body : "");
    return reply.status;
}

static void approve(struct fixture *f, int who, const struct digest *release, const char *version,
                    const struct digest *plan)
{
    char message[512];
    cleanup_free char *text =
        desk_approve(&f->h.desk, who, release, "quadrants", version, plan, clock_wall_ms());
    int status = post_approval(f, text, message, sizeof message);
    if (status != 201)
        fail_msg("approval: %d %s", status, message);
}

static void expect_approvals(struct fixture *f, uint64_t id, const char *state, const char *approvals)
{
    for (int i = 0; i < 100; i++) {
        cleanup_reply struct reply reply = see_rollout(f, id);
        char want[64];
        snprintf(want, sizeof want, "\"state\":\"%s\"", state);
        if (strstr(reply.body, want) && strstr(reply.body, approvals))
            return;
        usleep(50000);
    }
    cleanup_reply struct reply reply = see_rollout(f, id);
    fail_msg("wanted %s with %s: %s", state, approvals, reply.body);
}

static const struct terms two_of_plan = {
    .threshold = 2, .operator_count = 3, .operators = {"alice", "bob", "carol"}, .scope = TERMS_OF_PLAN};

static void test_a_rollout_waits_for_approvals_of_its_plan(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    char plan_text[96], path[160];
    struct digest plan;
    cleanup_director_answer struct director_answer answer = {0};
    cleanup_free struct keyring *ring = publish_operators(f);
    struct digest release = push_release(f, "1.0.0", &two_of_plan);
    uint64_t id = roll_out(f, "1.0.0");
    expect_approvals(f, id, "waiting", "\"approvals\":{\"needed\":2,\"have\":0,\"of\":\"plan\",\"from\":[]}");
    cleanup_reply struct reply seen = see_rollout(f, id);
    assert_true(find_text(seen.body, "plan", plan_text, sizeof plan_text) && digest_parse(plan_text, &plan));
    approve(f, 0, &release, "1.0.0", &plan);
    approve(f, 0, &release, "1.0.0", &plan); /* twice is once */
    expect_approvals(f, id, "waiting", "\"have\":1,\"of\":\"plan\",\"from\":[\"alice\"]");
    assert_int_equal(harness_stop(&f->h, SIGKILL), SIGKILL); /* all of it outlives the server */
    start(f, NULL);
    expect_approvals(f, id, "waiting", "\"have\":1");
    usleep(1500000);
    cleanup_reply struct reply nothing = ask_director(f, 0, 0);
    assert_int_equal(nothing.status, 204); /* the engine looks several times; nobody is assigned before */
    approve(f, 1, &release, "1.0.0", &plan);
    expect_approvals(f, id, "running", "\"have\":2");
    await_director(f, 0, &answer);
    snprintf(path, sizeof path, "/api/v1/blobs/%s", plan_text);
    cleanup_reply struct reply blob = robot_call(&f->h, &f->robot, "GET", path, NULL, 0);
    assert_int_equal(blob.status, 200);
    assert_int_equal(answer.approval_count, 2);
    assert_ok(admit(f, &answer, ring, blob.body, &err), err);
    answer.approval_count = 1;
    assert_int_equal(admit(f, &answer, ring, blob.body, &err), -1);
    assert_int_equal(trust_rule_of(err.text), TRUST_APPROVALS_MISSING);
    answer.approval_count = 2;
}

/* A robot that comes later is in no plan. */
static void test_a_plan_is_not_for_robots_that_come_later(void **state)
{
    struct fixture *f = *state;
    struct robot_peer late;
    cleanup_director_answer struct director_answer answer = {0};
    char plan_text[96];
    struct digest plan;
    cleanup_free struct keyring *ring = publish_operators(f);
    struct digest release = push_release(f, "1.0.0", &two_of_plan);
    uint64_t id = roll_out(f, "1.0.0");
    harness_enroll(&f->h, "r0", &late); /* would be first by its name */
    cleanup_reply struct reply seen = see_rollout(f, id);
    assert_true(find_text(seen.body, "plan", plan_text, sizeof plan_text) && digest_parse(plan_text, &plan));
    approve(f, 1, &release, "1.0.0", &plan);
    approve(f, 2, &release, "1.0.0", &plan);
    await_director(f, 0, &answer);
    usleep(1500000);
    cleanup_reply struct reply none = robot_call(&f->h, &late, "GET", "/api/v1/director?after=0", NULL, 0);
    assert_int_equal(none.status, 204);
}

static void test_a_release_that_is_approved_starts_at_once(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    const struct terms one = {.threshold = 1, .operator_count = 1, .operators = {"bob"}};
    cleanup_director_answer struct director_answer answer = {0};
    cleanup_free struct keyring *ring = publish_operators(f);
    struct digest release = push_release(f, "1.0.0", &one);
    approve(f, 1, &release, "1.0.0", NULL);
    uint64_t id = roll_out(f, "1.0.0");
    expect_approvals(f, id, "running",
                     "\"approvals\":{\"needed\":1,\"have\":1,\"of\":\"release\",\"from\":[\"bob\"]}");
    await_director(f, 0, &answer);
    assert_ok(admit(f, &answer, ring, NULL, &err), err);
}

static void test_approvals_that_cannot_count_are_refused(void **state)
{
    struct fixture *f = *state;
    const struct terms one = {.threshold = 1, .operator_count = 2, .operators = {"bob", "carol"}};
    char message[512];
    cleanup_free struct keyring *ring = publish_operators(f);
    struct digest release = push_release(f, "1.0.0", &one), free_one = push_release(f, "1.1.0", NULL),
                  stranger = hash_bytes("x", 1);
    int64_t now_ms = clock_wall_ms();
    cleanup_free char *forged = desk_approve(&f->h.desk, 1, &release, "quadrants", "1.0.0", NULL, now_ms);
    char *sig = strstr(forged, "\"sig\":\"");
    sig[7] = sig[7] == '0' ? '1' : '0';
    const struct {
        char *envelope;
        int status;
        const char *text;
    } wrong[] = {
        {mem_strdup(forged), 422, "[approvals.forged]"},
        {desk_approve(&f->h.desk, 0, &release, "quadrants", "1.0.0", NULL, now_ms), 422, "of alice"},
        {desk_approve(&f->h.desk, 1, &free_one, "quadrants", "1.1.0", NULL, now_ms), 422, "of bob"},
        {desk_approve(&f->h.desk, 1, &release, "quadrants", "1.1.0", NULL, now_ms), 422,
         "[approvals.forged]"},
        {desk_approve(&f->h.desk, 1, &stranger, "quadrants", "1.0.0", NULL, now_ms), 404, "not known"},
        {desk_approve(&f->h.desk, 1, &release, "quadrants", "1.0.0", &stranger, now_ms), 404, "plan"},
        {desk_approve(&f->h.desk, 1, &release, "quadrants", "1.0.0", NULL, now_ms - 4000000), 422, "expired"},
        {desk_approve(&f->h.desk, 1, &release, "quadrants", "1.0.0", NULL, now_ms + 4000000), 422, "future"},
        {mem_strdup("{}"), 400, ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        int status = post_approval(f, wrong[i].envelope, message, sizeof message);
        if (status != wrong[i].status || !strstr(message, wrong[i].text))
            fail_msg("%zu: %d %s", i, status, message);
        free(wrong[i].envelope);
    }
    cleanup_reply struct reply list = harness_call(&f->h, "GET", "/api/v1/approvals", NULL, 0);
    assert_string_equal(list.body, "{\"approvals\":[]}");
    approve(f, 1, &release, "1.0.0", NULL);
    char path[160];
    snprintf(path, sizeof path, "/api/v1/approvals?release=%s", digest_format(&release).text);
    cleanup_reply struct reply one_listed = harness_call(&f->h, "GET", path, NULL, 0);
    assert_non_null(strstr(one_listed.body, "\"operator\":\"bob\""));
    cleanup_reply struct reply log = harness_call(&f->h, "GET", "/api/v1/audit", NULL, 0);
    assert_non_null(strstr(log.body, "approve"));
    assert_non_null(strstr(log.body, "metadata"));
}

#define SERVED(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
#define STOPPED(test) cmocka_unit_test_setup_teardown(test, setup_stopped, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STOPPED(test_no_root_comes_over_the_network),
        SERVED(test_a_robot_follows_what_is_published),
        SERVED(test_refusals_name_their_rule_and_change_nothing),
        STOPPED(test_short_lives_are_renewed_by_the_timer),
        SERVED(test_the_end_of_offline_metadata_is_told_once),
        SERVED(test_death_while_publishing),
        SERVED(test_a_next_key_is_made_while_it_serves),
        SERVED(test_a_release_wants_to_be_named_by_the_targets),
        SERVED(test_the_director_assigns_what_the_robot_admits),
        SERVED(test_the_director_jumps_over_a_counter),
        STOPPED(test_assignments_are_renewed_while_the_targets_name_the_release),
        SERVED(test_a_withdrawn_release_is_not_rolled_out),
        SERVED(test_a_rollout_waits_for_approvals_of_its_plan),
        SERVED(test_a_plan_is_not_for_robots_that_come_later),
        SERVED(test_a_release_that_is_approved_starts_at_once),
        SERVED(test_approvals_that_cannot_count_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
