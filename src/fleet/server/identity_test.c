/* Who a robot is: renewals, certificates that are over, revocation under open connections, copies. */
#include "base/testing.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "fleet/testing/harness.h"
#include "sys/file.h"
#include "trust/ca.h"
#include "wire/api.h"

#include <string.h>
#include <unistd.h>

static const char question[] = "/api/v1/director";

/* ---- small talk ---- */

static char *read_text(const char *path)
{
    struct err err = {0};
    struct buf text = BUF_INIT(1 << 16);
    assert_ok(file_read(path, &text, &err), err);
    return buf_take(&text);
}

static struct reply say(struct peer *peer, const char *headers, const char *method, const char *path,
                        const char *body)
{
    size_t len;
    cleanup_free char *request = format_request(method, path, headers, body, body ? strlen(body) : 0, &len);
    return peer_send(peer, request, len) ? peer_read_reply(peer) : (struct reply){0};
}

static int status_on(struct peer *peer, const char *headers)
{
    cleanup_reply struct reply reply = say(peer, headers, "GET", question, NULL);
    return reply.status;
}

/* On a connection of its own; 0: refused in the handshake. */
static int status_as(const struct harness *h, const struct robot_peer *robot, const char *headers)
{
    struct peer peer;
    int status = 0;
    if (peer_open(&peer, h->robot_port, true, robot->cert, robot->key))
        status = status_on(&peer, headers);
    peer_close(&peer);
    return status;
}

static int status_of(const struct harness *h, const struct robot_peer *robot)
{
    return status_as(h, robot, "");
}

static void connect_robot(const struct harness *h, const struct robot_peer *robot, struct peer *out)
{
    assert_true(peer_open(out, h->robot_port, true, robot->cert, robot->key));
}

static bool server_says(const struct harness *h, const char *path, const char *word)
{
    cleanup_reply struct reply reply = harness_call(h, "GET", path, NULL, 0);
    assert_int_equal(reply.status, 200);
    return strstr(reply.body, word) != NULL;
}

static bool is_quarantined(const struct harness *h, const char *id)
{
    char path[96];
    snprintf(path, sizeof path, "/api/v1/robots/%s", id);
    return !server_says(h, path, "\"quarantined\":null");
}

static int post(const struct harness *h, const char *path)
{
    cleanup_reply struct reply reply = harness_call(h, "POST", path, "", 0);
    return reply.status;
}

/* ---- renewal ---- */

static char *renewal(const char *key, const char *name)
{
    struct err err = {0};
    struct api_renew renew = {0};
    cleanup_free char *csr = NULL;
    assert_ok(csr_make(key, name, &csr, &err), err);
    str_copy(renew.csr, sizeof renew.csr, csr);
    return api_renew_format(&renew);
}

static int renew_with(const struct harness *h, const struct robot_peer *robot, const char *body,
                      char out_certificate[4096])
{
    struct err err = {0};
    struct peer peer;
    if (!peer_open(&peer, h->robot_port, true, robot->cert, robot->key))
        return peer_close(&peer), 0;
    cleanup_reply struct reply reply = say(&peer, "", "POST", "/api/v1/renew", body);
    peer_close(&peer);
    cleanup_free struct api_enrolled *answer = mem_zalloc(1, sizeof *answer);
    if (reply.status == 200 && out_certificate) {
        assert_ok(api_enrolled_parse(reply.body, reply.len, answer, &err), err);
        assert_string_equal(answer->robot, robot->id);
        str_copy(out_certificate, 4096, answer->certificate);
    }
    return reply.status;
}

/* The same robot with another certificate beside the one it has. */
static struct robot_peer with_certificate(const struct harness *h, const struct robot_peer *robot,
                                          const char *file, const char *pem)
{
    struct err err = {0};
    struct robot_peer out = *robot;
    harness_path(h, file, out.cert);
    assert_ok(file_replace(out.cert, pem, strlen(pem), 0600, &err), err);
    return out;
}

static struct robot_peer renewed(const struct harness *h, const struct robot_peer *robot, const char *file)
{
    char certificate[4096];
    cleanup_free char *body = renewal(robot->key, robot->id);
    assert_int_equal(renew_with(h, robot, body, certificate), 200);
    return with_certificate(h, robot, file, certificate);
}

static void test_old_and_new_until_the_new_one_is_used(void **state)
{
    struct harness *h = *state;
    struct robot_peer old;
    struct peer kept;
    harness_enroll(h, "r1", &old);
    connect_robot(h, &old, &kept);
    assert_int_equal(status_on(&kept, ""), 204);
    struct robot_peer new = renewed(h, &old, "new.pem");
    assert_int_equal(status_of(h, &old), 204);
    assert_int_equal(status_on(&kept, ""), 204);
    assert_int_equal(status_of(h, &new), 204);
    assert_int_equal(status_on(&kept, ""), 403); /* may have been on its way: refused, and no more */
    assert_false(is_quarantined(h, "r1"));
    assert_int_equal(status_of(h, &new), 204);
    peer_close(&kept);
    struct robot_peer third = renewed(h, &new, "third.pem"); /* and so on */
    assert_int_equal(status_of(h, &new), 204);
    assert_int_equal(status_of(h, &third), 204);
    assert_false(is_quarantined(h, "r1"));
}

static void test_a_lost_answer_is_the_same_when_it_is_asked_again(void **state)
{
    struct harness *h = *state;
    struct robot_peer robot;
    char first[4096], again[4096], other[4096];
    harness_enroll(h, "r1", &robot);
    cleanup_free char *body = renewal(robot.key, "r1");
    cleanup_free char *another = renewal(robot.key, "r1");
    assert_int_equal(renew_with(h, &robot, body, first), 200);
    assert_int_equal(harness_stop(h, SIGKILL), SIGKILL);
    harness_start(h);
    assert_int_equal(renew_with(h, &robot, body, again), 200);
    assert_string_equal(first, again);
    struct robot_peer new = with_certificate(h, &robot, "new.pem", first);
    assert_int_equal(status_of(h, &new), 204);
    assert_int_equal(renew_with(h, &new, body, other), 200); /* it was used: the next one is another one */
    assert_string_not_equal(first, other);
    assert_int_equal(renew_with(h, &new, another, again), 200);
    assert_string_not_equal(other, again);
}

static void test_a_key_may_change_with_a_renewal(void **state)
{
    struct harness *h = *state;
    struct robot_peer robot, other;
    char certificate[4096];
    harness_enroll(h, "r1", &robot);
    other = robot;
    harness_path(h, "other.key", other.key);
    cleanup_free char *body = renewal(other.key, "r1");
    assert_int_equal(renew_with(h, &robot, body, certificate), 200);
    struct robot_peer new = with_certificate(h, &other, "other.pem", certificate);
    assert_int_equal(status_of(h, &robot), 204);
    assert_int_equal(status_of(h, &new), 204);
}

static void test_what_is_no_renewal(void **state)
{
    struct harness *h = *state;
    struct robot_peer robot, other;
    harness_enroll(h, "r1", &robot);
    harness_enroll(h, "r2", &other);
    cleanup_free char *foreign = renewal(robot.key, "r2");
    assert_int_equal(renew_with(h, &robot, foreign, NULL), 400);
    assert_int_equal(renew_with(h, &robot, "{}", NULL), 400);
    assert_int_equal(renew_with(h, &robot, "{\"csr\":\"-----BEGIN X\"}", NULL), 400);
    cleanup_free char *good = renewal(robot.key, "r1");
    cleanup_free char *more = mem_printf("%.*s,\"robot\":\"r2\"}", (int)strlen(good) - 1, good);
    assert_int_equal(renew_with(h, &robot, more, NULL), 400);
    cleanup_reply struct reply reply = harness_call(h, "POST", "/api/v1/renew", good, strlen(good));
    assert_int_equal(reply.status, 404); /* not on the operators' port */
    assert_int_equal(status_of(h, &robot), 204);
}

/* ---- over ---- */

static int short_lived(void **state)
{
    struct harness *h = mem_zalloc(1, sizeof *h);
    harness_init(h);
    h->extra[0] = "--certificate-hours";
    h->extra[1] = "0.0009"; /* 3 s */
    h->extra[2] = "--renew-grace-days";
    h->extra[3] = "0.00007"; /* 6 s */
    harness_start(h);
    *state = h;
    return 0;
}

static void wait_until_over(const struct robot_peer *robot, int64_t more_s)
{
    struct err err = {0};
    int64_t from_s, until_s;
    assert_ok(cert_validity(robot->cert, &from_s, &until_s, &err), err);
    while (clock_wall_ms() <= (until_s + more_s + 1) * 1000)
        usleep(20000);
}

static void test_what_is_over_may_be_renewed_and_nothing_else(void **state)
{
    struct harness *h = *state;
    struct robot_peer robot;
    struct peer kept;
    harness_enroll(h, "r1", &robot);
    connect_robot(h, &robot, &kept);
    assert_int_equal(status_on(&kept, ""), 204);
    wait_until_over(&robot, 0);
    assert_int_equal(status_on(&kept, ""), 403); /* also where the handshake was long ago */
    peer_close(&kept);
    connect_robot(h, &robot, &kept);
    cleanup_reply struct reply refused = say(&kept, "", "GET", question, NULL);
    assert_int_equal(refused.status, 403);
    assert_non_null(strstr(refused.body, "/api/v1/renew"));
    static const struct {
        const char *method, *path;
    } others[] = {{"GET", "/api/v1/commands"},
                  {"GET", "/api/v1/blobs/sha256:"
                          "0000000000000000000000000000000000000000000000000000000000000000"},
                  {"POST", "/api/v1/reports"},
                  {"POST", "/v1/metrics"},
                  {"POST", "/api/v1/incidents"}};
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        cleanup_reply struct reply reply = say(&kept, "", others[i].method, others[i].path, NULL);
        assert_int_equal(reply.status, 403);
    }
    peer_close(&kept);
    struct robot_peer new = renewed(h, &robot, "new.pem");
    assert_int_equal(status_of(h, &new), 204);
}

static void test_the_grace_ends(void **state)
{
    struct harness *h = *state;
    struct robot_peer robot;
    struct peer kept;
    harness_enroll(h, "r1", &robot);
    connect_robot(h, &robot, &kept);
    wait_until_over(&robot, 6);
    assert_int_equal(status_of(h, &robot), 0); /* in the handshake */
    cleanup_free char *body = renewal(robot.key, "r1");
    cleanup_reply struct reply reply = say(&kept, "", "POST", "/api/v1/renew", body);
    assert_int_equal(reply.status, 403);
    assert_non_null(strstr(reply.body, "token"));
    peer_close(&kept);
}

/* A certificate of that CA, issued at that time; its files are the robot's with another certificate. */
static struct robot_peer forged(const struct harness *h, const struct robot_peer *robot, const char *ca_dir,
                                int64_t issued_s, int64_t valid_s)
{
    struct err err = {0};
    char serial[CERT_SERIAL_SIZE];
    cleanup_free char *csr = NULL, *pem = NULL;
    assert_ok(csr_make(robot->key, robot->id, &csr, &err), err);
    assert_ok(ca_sign_csr(ca_dir, csr, strlen(csr), robot->id, valid_s, issued_s, &pem, serial, &err), err);
    return with_certificate(h, robot, "forged.pem", pem);
}

/* 30 days of grace, and what passes the handshake is refused by its serial number. */
static void test_nothing_but_age_is_forgiven(void **state)
{
    struct harness *h = *state;
    struct err err = {0};
    struct robot_peer robot;
    char other[160];
    int64_t now_s = clock_wall_ms() / 1000, day_s = 86400;
    harness_enroll(h, "r1", &robot);
    harness_path(h, "other-ca", other);
    assert_ok(ca_init(other, "localhost", now_s, &err), err);
    struct robot_peer one = forged(h, &robot, h->dir, now_s - 2 * day_s, day_s);
    assert_int_equal(status_of(h, &one), 403);
    one = forged(h, &robot, h->dir, now_s - 30 * day_s, day_s);
    assert_int_equal(status_of(h, &one), 403);
    one = forged(h, &robot, h->dir, now_s - 32 * day_s, day_s); /* over for 31 days */
    assert_int_equal(status_of(h, &one), 0);
    one = forged(h, &robot, h->dir, now_s + day_s, day_s); /* not yet */
    assert_int_equal(status_of(h, &one), 0);
    one = forged(h, &robot, other, now_s - 2 * day_s, day_s); /* another CA's */
    assert_int_equal(status_of(h, &one), 0);
    one = forged(h, &robot, h->dir, now_s - 2 * day_s, day_s);
    cleanup_free char *pem = read_text(one.cert);
    char *late = strstr(pem, "\n-----END");
    for (int skip = 8; skip > 0; skip -= *late != '\n') /* the very last bits may be nobody's */
        late--;
    *late = *late == 'A' ? 'B' : 'A'; /* its signature does not hold */
    one = with_certificate(h, &robot, "broken.pem", pem);
    assert_int_equal(status_of(h, &one), 0);
    struct robot_peer server = robot; /* issued for servers */
    snprintf(server.cert, sizeof server.cert, "%s/server.pem", h->dir);
    snprintf(server.key, sizeof server.key, "%s/server.key", h->dir);
    assert_int_equal(status_of(h, &server), 0);
    assert_int_equal(status_of(h, &robot), 204);
}

/* ---- revocation ---- */

static void test_revocation_ends_what_is_open(void **state)
{
    struct harness *h = *state;
    struct robot_peer robot;
    struct peer idle, held, other;
    char byte;
    size_t len;
    harness_enroll(h, "r1", &robot);
    connect_robot(h, &robot, &idle);
    assert_int_equal(status_on(&idle, ""), 204);
    connect_robot(h, &robot, &held);
    connect_robot(h, &robot, &other);
    cleanup_free char *request = format_request("GET", "/api/v1/director?wait=60", "", NULL, 0, &len);
    cleanup_free char *orders = format_request("GET", "/api/v1/commands?wait=60", "", NULL, 0, &len);
    assert_true(peer_send(&held, request, strlen(request)));
    assert_true(peer_send(&other, orders, strlen(orders)));
    while (!server_says(h, "/api/v1/robots/r1", "\"presence\":\"live\""))
        usleep(10000);
    usleep(200000); /* both questions are held; if they were not, they get their 403 all the same */
    assert_int_equal(post(h, "/api/v1/robots/r1/revoke"), 200);
    cleanup_reply struct reply answer = peer_read_reply(&held);
    assert_int_equal(answer.status, 403); /* at the end of its time it would be 204 */
    cleanup_reply struct reply order = peer_read_reply(&other);
    assert_int_equal(order.status, 403);
    assert_true(peer_read(&held, &byte, 1) <= 0); /* and that was the last word */
    assert_true(peer_read(&idle, &byte, 1) <= 0); /* without having asked */
    peer_close(&idle);
    peer_close(&held);
    peer_close(&other);
    assert_int_equal(status_of(h, &robot), 403);
}

/* ---- copies ---- */

#define LIFE_A "Muster-Instance: 00000000000000aa\r\n"
#define LIFE_B "Muster-Instance: 00000000000000bb\r\n"
#define LIFE_C "Muster-Instance: cc\r\n"

static void test_a_restart_is_no_copy(void **state)
{
    struct harness *h = *state;
    struct robot_peer robot;
    struct peer kept;
    harness_enroll(h, "r1", &robot);
    assert_int_equal(status_of(h, &robot), 204); /* an agent that is older than this */
    connect_robot(h, &robot, &kept);
    assert_int_equal(status_on(&kept, LIFE_A), 204);
    assert_int_equal(status_as(h, &robot, LIFE_B), 204);
    char byte;
    assert_true(peer_read(&kept, &byte, 1) <= 0); /* the dead need no connections */
    peer_close(&kept);
    assert_int_equal(status_as(h, &robot, LIFE_B), 204);
    assert_int_equal(harness_stop(h, SIGTERM), 0);
    harness_start(h);
    assert_int_equal(status_as(h, &robot, LIFE_B), 204);
    assert_int_equal(status_as(h, &robot, LIFE_C), 204);
    assert_false(is_quarantined(h, "r1"));
    assert_int_equal(status_as(h, &robot, "Muster-Instance: 0x1\r\n"), 400);
    assert_int_equal(status_as(h, &robot, "Muster-Instance: 00000000000000000\r\n"), 400);
}

/* A request of the one before that was on its way when the next one was heard. */
static void test_last_words_are_no_copy(void **state)
{
    struct harness *h = *state;
    struct robot_peer robot;
    struct peer late;
    harness_enroll(h, "r1", &robot);
    connect_robot(h, &robot, &late); /* and its request is not there yet */
    assert_int_equal(status_as(h, &robot, LIFE_B), 204);
    assert_int_equal(status_on(&late, LIFE_A), 204);
    assert_false(is_quarantined(h, "r1"));
    peer_close(&late);
    assert_int_equal(status_as(h, &robot, LIFE_B), 204);
}

static int enroll_anew(const struct harness *h, const char *key, struct robot_peer *robot)
{
    struct err err = {0};
    char token[80];
    struct api_enroll enroll = {0};
    cleanup_free char *csr = NULL;
    cleanup_free struct api_enrolled *answer = mem_zalloc(1, sizeof *answer);
    static const char body[] = "{\"robot\":\"r1\"}";
    cleanup_reply struct reply made = harness_call(h, "POST", "/api/v1/enroll-tokens", body, strlen(body));
    assert_int_equal(made.status, 201);
    assert_true(find_text(made.body, "token", token, sizeof token));
    assert_ok(csr_make(key, "r1", &csr, &err), err);
    str_copy(enroll.token, sizeof enroll.token, token);
    str_copy(enroll.csr, sizeof enroll.csr, csr);
    cleanup_free char *text = api_enroll_format(&enroll);
    cleanup_reply struct reply reply = harness_call(h, "POST", "/api/v1/enroll", text, strlen(text));
    if (reply.status != 200)
        return reply.status;
    assert_ok(api_enrolled_parse(reply.body, reply.len, answer, &err), err);
    str_copy(robot->key, sizeof robot->key, key);
    *robot = with_certificate(h, robot, "anew.pem", answer->certificate);
    return 200;
}

static void test_two_lives_at_once_are_quarantined(void **state)
{
    struct harness *h = *state;
    struct robot_peer robot, again;
    struct peer held;
    char key[160];
    size_t len;
    harness_enroll(h, "r1", &robot);
    cleanup_free char *wait = format_request("GET", "/api/v1/commands?wait=60", LIFE_A, NULL, 0, &len);
    assert_int_equal(status_as(h, &robot, LIFE_A), 204);
    assert_int_equal(status_as(h, &robot, LIFE_B), 204); /* a restart, for all that is known */
    connect_robot(h, &robot, &held);
    assert_int_equal(status_as(h, &robot, LIFE_B), 204);
    cleanup_reply struct reply refused = say(&held, LIFE_A, "GET", question, NULL);
    assert_int_equal(refused.status, 403);
    assert_non_null(strstr(refused.body, "quarantined: "));
    peer_close(&held);
    assert_int_equal(status_as(h, &robot, LIFE_B), 403); /* both of them */
    assert_int_equal(status_as(h, &robot, LIFE_C), 403);
    cleanup_free char *body = renewal(robot.key, "r1");
    assert_int_equal(renew_with(h, &robot, body, NULL), 403);
    assert_true(is_quarantined(h, "r1"));
    assert_true(server_says(h, "/api/v1/robots", "two agents live"));
    assert_true(server_says(h, "/api/v1/audit", "quarantined"));
    assert_int_equal(harness_stop(h, SIGKILL), SIGKILL);
    harness_start(h);
    assert_int_equal(status_as(h, &robot, LIFE_B), 403); /* it is on record */

    again = robot;
    assert_int_equal(enroll_anew(h, robot.key, &again), 409); /* the copy has this key, too */
    harness_path(h, "fresh.key", key);
    assert_int_equal(enroll_anew(h, key, &again), 200);
    assert_int_equal(status_as(h, &again, LIFE_C), 204);
    assert_int_equal(status_as(h, &robot, LIFE_A), 403); /* the copy stays outside, and harms nobody */
    assert_int_equal(status_as(h, &again, LIFE_C), 204);
    assert_false(is_quarantined(h, "r1"));
}

static void test_quarantine_is_released_by_who_knows(void **state)
{
    struct harness *h = *state;
    struct robot_peer robot;
    harness_enroll(h, "r1", &robot);
    assert_int_equal(post(h, "/api/v1/robots/r1/release-quarantine"), 409);
    assert_int_equal(status_as(h, &robot, LIFE_A), 204);
    assert_int_equal(status_as(h, &robot, LIFE_B), 204);
    assert_int_equal(status_as(h, &robot, LIFE_A), 403);
    assert_int_equal(post(h, "/api/v1/robots/r1/release-quarantine"), 200);
    assert_int_equal(status_as(h, &robot, LIFE_A), 204); /* whichever it is that was left */
    assert_int_equal(status_as(h, &robot, LIFE_A), 204);
    assert_int_equal(status_as(h, &robot, LIFE_B), 204); /* and if they both were … */
    assert_int_equal(status_as(h, &robot, LIFE_A), 403);
    assert_int_equal(post(h, "/api/v1/robots/r2/release-quarantine"), 404);
}

/* A thief who uses a copy while the robot is off, and never beside it. */
static void test_a_certificate_shown_after_its_successor_is_a_copy(void **state)
{
    struct harness *h = *state;
    struct robot_peer robot;
    harness_enroll(h, "r1", &robot);
    struct robot_peer thief = renewed(h, &robot, "thief.pem");
    assert_int_equal(status_of(h, &thief), 204);
    assert_int_equal(harness_stop(h, SIGKILL), SIGKILL); /* what was issued is not forgotten */
    harness_start(h);
    assert_int_equal(status_of(h, &robot), 403);
    assert_true(is_quarantined(h, "r1"));
    assert_int_equal(status_of(h, &thief), 403);
}

/* Both renew at the same time, from the same certificate, each with a request of its own. */
static void test_two_renewals_of_one_certificate(void **state)
{
    struct harness *h = *state;
    struct robot_peer robot;
    harness_enroll(h, "r1", &robot);
    struct robot_peer one = renewed(h, &robot, "one.pem");
    struct robot_peer two = renewed(h, &robot, "two.pem");
    assert_int_equal(status_of(h, &two), 204);
    assert_int_equal(status_of(h, &one), 403);
    assert_true(is_quarantined(h, "r1"));
}

/* ---- too much ---- */

/* Each certificate goes on record, and the record cannot be pruned: a stolen key must not fill the disk. */
static void test_certificates_are_not_to_be_had_without_end(void **state)
{
    struct harness *h = *state;
    struct robot_peer robot;
    int issued = 0, slowed = 0;
    harness_enroll(h, "r1", &robot);
    for (int i = 0; i < 70; i++) {
        cleanup_free char *body = renewal(robot.key, "r1");
        int status = renew_with(h, &robot, body, NULL);
        issued += status == 200;
        slowed += status == 429;
    }
    assert_int_equal(issued + slowed, 70);
    assert_in_range(slowed, 1, 10);
    assert_int_equal(status_of(h, &robot), 204); /* it is a robot as before */
}

/* ---- guessing ---- */

static void test_guessing_tokens_is_slow(void **state)
{
    struct harness *h = *state;
    int refused = 0, slowed = 0;
    for (int i = 0; i < 40; i++) {
        char body[160];
        struct peer peer;
        snprintf(body, sizeof body, "{\"token\":\"guess-%d\",\"csr\":\"-----BEGIN X\"}", i);
        assert_true(peer_open(&peer, h->operator_port, true, NULL, NULL));
        cleanup_reply struct reply reply = say(&peer, "", "POST", "/api/v1/enroll", body);
        peer_close(&peer);
        refused += reply.status == 403;
        slowed += reply.status == 429;
    }
    assert_int_equal(refused + slowed, 40);
    assert_in_range(refused, 20, 30);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, harness_setup, harness_teardown)
#define SHORT(name) cmocka_unit_test_setup_teardown(name, short_lived, harness_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_old_and_new_until_the_new_one_is_used),
        TEST(test_a_lost_answer_is_the_same_when_it_is_asked_again),
        TEST(test_a_key_may_change_with_a_renewal),
        TEST(test_what_is_no_renewal),
        SHORT(test_what_is_over_may_be_renewed_and_nothing_else),
        SHORT(test_the_grace_ends),
        TEST(test_nothing_but_age_is_forgiven),
        TEST(test_revocation_ends_what_is_open),
        TEST(test_a_restart_is_no_copy),
        TEST(test_last_words_are_no_copy),
        TEST(test_two_lives_at_once_are_quarantined),
        TEST(test_quarantine_is_released_by_who_knows),
        TEST(test_a_certificate_shown_after_its_successor_is_a_copy),
        TEST(test_two_renewals_of_one_certificate),
        TEST(test_certificates_are_not_to_be_had_without_end),
        TEST(test_guessing_tokens_is_slow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
