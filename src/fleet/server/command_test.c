/* Commands on their way through the server: kept, offered at once, settled by the robot's word, and audited. */
#include "base/testing.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "fleet/testing/harness.h"
#include "trust/command.h"
#include "trust/merkle/follow.h"
#include "wire/api.h"
#include "wire/json.h"

#include <string.h>
#include <unistd.h>

struct fixture {
    struct harness h;
    struct robot_peer r1, r2;
    struct signing_key *key;
    unsigned nonces;
    uint64_t seq; /* of r1's reports */
};

static int setup(void **state)
{
    struct fixture *f = mem_zalloc(1, sizeof *f);
    struct err err = {0};
    harness_init(&f->h);
    harness_start(&f->h);
    harness_enroll(&f->h, "r1", &f->r1);
    harness_enroll(&f->h, "r2", &f->r2);
    assert_ok(signing_key_generate(&f->key, &err), err);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    harness_fini(&f->h);
    signing_key_free(f->key);
    free(f);
    return 0;
}

/* robots: "r1" or "r1 r2". free() it. */
static char *signed_command(struct fixture *f, enum command_verb verb, const char *robots, int64_t issued_ms,
                            int64_t life_ms)
{
    struct err err = {0};
    char ids[2][64] = {{0}};
    struct command command = {
        .verb = verb, .issued_ms = issued_ms, .expires_ms = issued_ms + life_ms, .robots = ids};
    command.robot_count = sscanf(robots, "%63s %63s", ids[0], ids[1]) == 2 ? 2 : 1;
    str_copy(command.operator_name, sizeof command.operator_name, "alice");
    str_copy(command.reason, sizeof command.reason, "blocked aisle");
    snprintf(command.nonce, sizeof command.nonce, "%032x", ++f->nonces);
    char *text = command_sign(&command, f->key, &err);
    if (!text)
        fail_msg("%s", err.text);
    return text;
}

static int post(const struct fixture *f, const char *envelope, uint64_t *out_id)
{
    cleanup_reply struct reply reply =
        harness_call(&f->h, "POST", "/api/v1/commands", envelope, strlen(envelope));
    int64_t id = reply.body ? find_number(reply.body, "id") : -1;
    if (out_id)
        *out_id = (uint64_t)id;
    return reply.status;
}

static uint64_t order(struct fixture *f, enum command_verb verb, const char *robots)
{
    uint64_t id = 0;
    cleanup_free char *text = signed_command(f, verb, robots, clock_wall_ms(), 60000);
    assert_int_equal(post(f, text, &id), 201);
    return id;
}

/* How many commands the robot is given behind `after`; *out_last: the newest. */
static size_t asked(const struct fixture *f, const struct robot_peer *robot, uint64_t after,
                    uint64_t *out_last)
{
    char path[96];
    snprintf(path, sizeof path, "/api/v1/commands?after=%llu", (unsigned long long)after);
    cleanup_reply struct reply reply = robot_call(&f->h, robot, "GET", path, NULL, 0);
    if (reply.status == 204)
        return 0;
    assert_int_equal(reply.status, 200);
    size_t count = 0;
    for (const char *at = reply.body; (at = strstr(at, "\"id\":")); at += 5, count++)
        *out_last = strtoull(at + 5, NULL, 10);
    return count;
}

static void robot_says(struct fixture *f, uint64_t id, enum command_verb verb, bool accepted,
                       const char *text)
{
    cleanup_free struct api_reports *reports = mem_zalloc(1, sizeof *reports);
    struct command_outcome outcome = {
        .id = id, .verb = verb, .accepted = accepted, .lease = accepted ? 7 : 0, .generation = 4};
    str_copy(outcome.who, sizeof outcome.who, "alice");
    str_copy(outcome.text, sizeof outcome.text, text);
    str_copy(reports->stream, sizeof reports->stream, "0123456789abcdef0123456789abcdef");
    reports->count = 1;
    reports->records[0] = (struct api_report){.seq = ++f->seq, .time_ms = 1, .kind = REPORT_OPERATOR};
    memset(reports->records[0].release.bytes, 0xab, sizeof reports->records[0].release.bytes);
    command_outcome_format(&outcome, reports->records[0].text, sizeof reports->records[0].text);
    cleanup_free char *body = api_reports_format(reports);
    cleanup_reply struct reply reply =
        robot_call(&f->h, &f->r1, "POST", "/api/v1/reports", body, strlen(body));
    assert_int_equal(reply.status, 200);
}

/* The state of the command on r1. */
static void state_of(const struct fixture *f, uint64_t id, char out[16])
{
    char path[64];
    snprintf(path, sizeof path, "/api/v1/commands/%llu", (unsigned long long)id);
    cleanup_reply struct reply reply = harness_call(&f->h, "GET", path, NULL, 0);
    assert_int_equal(reply.status, 200);
    assert_true(find_text(strstr(reply.body, "\"robot\":\"r1\""), "state", out, 16));
}

static void assert_state(const struct fixture *f, uint64_t id, const char *wanted)
{
    char state[16];
    state_of(f, id, state);
    assert_string_equal(state, wanted);
}

/* The whole log, followed from its beginning. How many entries hold `word`. */
static size_t audited(const struct fixture *f, const char *word)
{
    struct follow follow = {0};
    struct err err = {0};
    struct json_reader reader;
    size_t count = 0, found = 0;
    cleanup_reply struct reply reply = harness_call(&f->h, "GET", "/api/v1/audit", NULL, 0);
    assert_int_equal(reply.status, 200);
    assert_ok(json_read(&reader, "audit", reply.body, reply.len, &err), err);
    struct json_at list = json_list(json_root(&reader), "entries", 1000, &count);
    for (size_t i = 0; i < count; i++) {
        struct json_at at = json_as_object(json_item(list, i));
        char entry[4096] = "";
        uint64_t seq = 0;
        struct digest hash = {0};
        json_get_u64(at, "seq", INT64_MAX, &seq);
        json_get_digest(at, "hash", &hash);
        json_get_string(at, "entry", entry, sizeof entry);
        assert_ok(follow_entry(&follow, seq, entry, strlen(entry), &hash, &err), err);
        found += strstr(entry, word) != NULL;
    }
    assert_ok(json_finish(&reader, &err), err);
    return found;
}

static void test_the_way_of_a_command(void **state)
{
    struct fixture *f = *state;
    uint64_t last = 0, id = order(f, COMMAND_HOLD, "r1 r2");
    assert_state(f, id, "queued");
    assert_int_equal(asked(f, &f->r1, 0, &last), 1);
    assert_int_equal(last, id);
    assert_state(f, id, "delivered");
    assert_int_equal(asked(f, &f->r1, id, &last), 0);
    robot_says(f, id, COMMAND_HOLD, true, "blocked aisle");
    assert_state(f, id, "accepted");
    assert_int_equal(asked(f, &f->r1, 0, &last), 0); /* settled for good */
    assert_int_equal(asked(f, &f->r2, 0, &last), 1); /* the other one's is another matter */
    assert_int_equal(audited(f, "\"kind\":\"command\""), 1);
    assert_int_equal(audited(f, "\"kind\":\"outcome\""), 1);
    assert_int_equal(audited(f, "\"why\":\"blocked aisle\""), 2);
    assert_int_equal(audited(f, "\"release\":\"sha256:abab"), 1);
}

static void test_a_held_question_is_answered_at_once(void **state)
{
    struct fixture *f = *state;
    struct peer peer;
    size_t len;
    cleanup_free char *request = format_request("GET", "/api/v1/commands?after=0&wait=60", "", NULL, 0, &len);
    assert_true(peer_open(&peer, f->h.robot_port, true, f->r1.cert, f->r1.key));
    assert_true(peer_send(&peer, request, len));
    usleep(100000);
    uint64_t id = order(f, COMMAND_STOP, "r1");
    cleanup_reply struct reply reply = peer_read_reply(&peer);
    assert_int_equal(reply.status, 200);
    assert_int_equal(find_number(reply.body, "id"), (int64_t)id);
    assert_state(f, id, "delivered");
    peer_close(&peer);
}

/* Both questions of one robot are held side by side. */
static void test_questions_do_not_disturb_each_other(void **state)
{
    struct fixture *f = *state;
    struct peer orders, assignment;
    size_t len;
    cleanup_free char *one = format_request("GET", "/api/v1/commands?wait=60", "", NULL, 0, &len);
    assert_true(peer_open(&orders, f->h.robot_port, true, f->r1.cert, f->r1.key) &&
                peer_send(&orders, one, len));
    cleanup_free char *two = format_request("GET", "/api/v1/director?wait=1", "", NULL, 0, &len);
    assert_true(peer_open(&assignment, f->h.robot_port, true, f->r1.cert, f->r1.key) &&
                peer_send(&assignment, two, len));
    cleanup_reply struct reply nothing = peer_read_reply(&assignment);
    assert_int_equal(nothing.status, 204);
    order(f, COMMAND_STOP, "r1");
    cleanup_reply struct reply reply = peer_read_reply(&orders);
    assert_int_equal(reply.status, 200);
    peer_close(&orders);
    peer_close(&assignment);
}

static void test_unanswered_commands_survive_both_sides(void **state)
{
    struct fixture *f = *state;
    uint64_t last = 0, first = order(f, COMMAND_HOLD, "r1");
    assert_int_equal(asked(f, &f->r1, 0, &last), 1);
    harness_stop(&f->h, SIGKILL);
    harness_start(&f->h);
    uint64_t second = order(f, COMMAND_STOP, "r1");
    assert_true(second > first);
    assert_int_equal(asked(f, &f->r1, 0, &last), 2); /* a robot that was killed asks from 0 */
    assert_int_equal(last, second);
    assert_int_equal(asked(f, &f->r1, second + 1000, &last), 2); /* one that knows more than we do */
    robot_says(f, first, COMMAND_HOLD, true, "x");
    robot_says(f, second, COMMAND_STOP, true, "x");
    assert_int_equal(asked(f, &f->r1, 0, &last), 0);
    audited(f, "x");
}

static void test_the_first_word_of_the_robot_counts(void **state)
{
    struct fixture *f = *state;
    uint64_t id = order(f, COMMAND_HOLD, "r1");
    robot_says(f, id, COMMAND_HOLD, true, "x");
    robot_says(f, id, COMMAND_HOLD, false, "a replay");
    assert_state(f, id, "accepted");
    uint64_t other = order(f, COMMAND_RELEASE, "r2");
    robot_says(f, other, COMMAND_RELEASE, true, "not mine"); /* r1 speaks of a command to r2 */
    char path[64];
    snprintf(path, sizeof path, "/api/v1/commands/%llu", (unsigned long long)other);
    cleanup_reply struct reply reply = harness_call(&f->h, "GET", path, NULL, 0);
    assert_non_null(strstr(reply.body, "\"queued\""));
    assert_int_equal(audited(f, "refused: a replay"), 1);
    robot_says(f, 0, COMMAND_STOP, true, "by hand");
    assert_int_equal(audited(f, "\"kind\":\"local\""), 1);
}

static void test_what_cannot_be_meant_is_turned_away(void **state)
{
    struct fixture *f = *state;
    int64_t now = clock_wall_ms();
    cleanup_free char *stranger = signed_command(f, COMMAND_HOLD, "nobody", now, 60000);
    assert_int_equal(post(f, stranger, NULL), 404);
    cleanup_free char *old = signed_command(f, COMMAND_HOLD, "r1", now - 100000, 50000);
    assert_int_equal(post(f, old, NULL) / 100, 4);
    assert_int_equal(post(f, "{}", NULL) / 100, 4);
    assert_int_equal(post(f, "", NULL) / 100, 4);
    cleanup_free char *twice = signed_command(f, COMMAND_HOLD, "r1", now, 60000);
    assert_int_equal(post(f, twice, NULL), 201);
    assert_int_equal(post(f, twice, NULL), 409);
    cleanup_reply struct reply revoked = harness_call(&f->h, "POST", "/api/v1/robots/r2/revoke", "", 0);
    assert_int_equal(revoked.status, 200);
    cleanup_free char *deaf = signed_command(f, COMMAND_HOLD, "r1 r2", now, 60000);
    assert_int_equal(post(f, deaf, NULL) / 100, 4);
    uint64_t last = 0;
    assert_int_equal(asked(f, &f->r1, 0, &last), 1); /* nothing half done */
    assert_int_equal(audited(f, "\"kind\":\"command\""), 1);
}

static void test_a_command_expires(void **state)
{
    struct fixture *f = *state;
    uint64_t id = 0, last = 0;
    cleanup_free char *text = signed_command(f, COMMAND_HOLD, "r1", clock_wall_ms(), 1000);
    assert_int_equal(post(f, text, &id), 201);
    char now[16] = "";
    for (int i = 0; i < 150 && !str_eq(now, "expired"); i++) {
        usleep(100000);
        state_of(f, id, now);
    }
    assert_string_equal(now, "expired");
    assert_int_equal(asked(f, &f->r1, 0, &last), 0);
    assert_int_equal(audited(f, "expired"), 1);
}

static void test_lists(void **state)
{
    struct fixture *f = *state;
    uint64_t one = order(f, COMMAND_HOLD, "r1"), two = order(f, COMMAND_STOP, "r2");
    static const struct {
        const char *query;
        bool one, two;
    } table[] = {{"", true, true},
                 {"?robot=r1", true, false},
                 {"?robot=r2", false, true},
                 {"?state=open", false, true},
                 {"?robot=nobody", false, false},
                 {"?limit=1", false, true}};
    robot_says(f, one, COMMAND_HOLD, true, "x");
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        cleanup_free char *path = mem_printf("/api/v1/commands%s", table[i].query);
        cleanup_reply struct reply reply = harness_call(&f->h, "GET", path, NULL, 0);
        assert_int_equal(reply.status, 200);
        cleanup_free char *first = mem_printf("\"id\":%llu,", (unsigned long long)one);
        cleanup_free char *second = mem_printf("\"id\":%llu,", (unsigned long long)two);
        assert_int_equal(strstr(reply.body, first) != NULL, table[i].one);
        assert_int_equal(strstr(reply.body, second) != NULL, table[i].two);
    }
    cleanup_reply struct reply bad = harness_call(&f->h, "GET", "/api/v1/commands?state=odd", NULL, 0);
    assert_int_equal(bad.status / 100, 4);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_the_way_of_a_command),
        TEST(test_a_held_question_is_answered_at_once),
        TEST(test_questions_do_not_disturb_each_other),
        TEST(test_unanswered_commands_survive_both_sides),
        TEST(test_the_first_word_of_the_robot_counts),
        TEST(test_what_cannot_be_meant_is_turned_away),
        TEST(test_a_command_expires),
        TEST(test_lists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
