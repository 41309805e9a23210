/* Who gets in: tokens, certificates, revocation. */
#include "base/testing.h"

#include "base/mem.h"
#include "base/str.h"
#include "fleet/testing/harness.h"
#include "sys/file.h"
#include "trust/ca.h"
#include "wire/api.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* `key` names the key pair that asks. */
static char *enroll_body(const struct harness *h, const char *token, const char *name, const char *key_name)
{
    struct err err = {0};
    char key[160], file[40];
    cleanup_free char *csr = NULL;
    struct api_enroll enroll = {0};
    snprintf(file, sizeof file, "%s.key", key_name);
    harness_path(h, file, key);
    assert_ok(csr_make(key, name, &csr, &err), err);
    str_copy(enroll.token, sizeof enroll.token, token);
    str_copy(enroll.csr, sizeof enroll.csr, csr);
    return api_enroll_format(&enroll);
}

static void make_token(const struct harness *h, const char *body, char token[80])
{
    cleanup_reply struct reply reply = harness_call(h, "POST", "/api/v1/enroll-tokens", body, strlen(body));
    assert_int_equal(reply.status, 201);
    assert_true(find_text(reply.body, "token", token, 80));
}

static int enroll_by(const struct harness *h, const char *token, const char *name, const char *key_name)
{
    cleanup_free char *body = enroll_body(h, token, name, key_name);
    cleanup_reply struct reply reply = harness_call(h, "POST", "/api/v1/enroll", body, strlen(body));
    return reply.status;
}

static int enroll(const struct harness *h, const char *token, const char *name)
{
    return enroll_by(h, token, name, "any");
}

static void test_token_is_good_for_one_key(void **state)
{
    struct harness *h = *state;
    char token[80];
    make_token(h, "{\"robot\":\"r1\"}", token);
    assert_int_equal(enroll_by(h, token, "r1", "own"), 200);
    assert_int_equal(enroll_by(h, token, "r1", "thief"), 409);
    assert_int_equal(enroll_by(h, token, "r1", "own"),
                     200); /* the first answer may have been lost on the way */
    cleanup_reply struct reply revoked = harness_call(h, "POST", "/api/v1/robots/r1/revoke", NULL, 0);
    assert_int_equal(revoked.status, 200);
    assert_int_equal(enroll_by(h, token, "r1", "own"), 403); /* but not after a revocation */
    assert_int_equal(enroll(h, "no-such-token", "r1"), 403);
}

/* Both send their whole request before either reads. */
static void test_two_at_once_get_one_certificate(void **state)
{
    struct harness *h = *state;
    char token[80];
    for (int round = 0; round < 5; round++) {
        make_token(h, "{}", token);
        struct peer peers[2];
        int got200 = 0, refused = 0;
        char name[16];
        for (int i = 0; i < 2; i++) {
            size_t len;
            snprintf(name, sizeof name, "new-%d-%d", round, i);
            cleanup_free char *body = enroll_body(h, token, name, name);
            cleanup_free char *request =
                format_request("POST", "/api/v1/enroll", "", body, strlen(body), &len);
            assert_true(peer_open(&peers[i], h->operator_port, true, NULL, NULL));
            assert_true(peer_send(&peers[i], request, len));
        }
        for (int i = 0; i < 2; i++) {
            cleanup_reply struct reply reply = peer_read_reply(&peers[i]);
            got200 += reply.status == 200;
            refused += reply.status == 409;
            peer_close(&peers[i]);
        }
        assert_int_equal(got200, 1);
        assert_int_equal(refused, 1);
    }
}

static void test_open_token_does_not_take_over_a_robot(void **state)
{
    struct harness *h = *state;
    struct robot_peer robot;
    char token[80];
    harness_enroll(h, "r1", &robot);
    make_token(h, "{}", token);
    assert_int_equal(enroll(h, token, "r1"), 409);
    assert_int_equal(enroll(h, token, "../etc"), 400);
    assert_int_equal(enroll(h, token, "r2"), 200); /* refusals did not use it up */
}

static int status_of(const struct harness *h, const struct robot_peer *robot)
{
    cleanup_reply struct reply reply = robot_call(h, robot, "GET", "/api/v1/director", NULL, 0);
    return reply.status;
}

static void test_only_our_certificates_pass_the_handshake(void **state)
{
    struct harness *h = *state;
    struct robot_peer robot, stranger;
    struct err err = {0};
    char dir[160], serial[CERT_SERIAL_SIZE];
    cleanup_free char *csr = NULL, *pem = NULL;
    harness_enroll(h, "r1", &robot);
    assert_int_equal(status_of(h, &robot), 204);
    assert_int_equal(status_of(h, NULL), 0); /* refused before a byte of HTTP */
    stranger = robot;
    harness_path(h, "other-ca", dir);
    assert_ok(ca_init(dir, "localhost", 1700000000, &err), err);
    assert_ok(csr_make(robot.key, "r1", &csr, &err), err);
    assert_ok(ca_sign_csr(dir, csr, strlen(csr), "r1", 1000000000, 1700000000, &pem, serial, &err), err);
    harness_path(h, "stranger.pem", stranger.cert);
    assert_ok(file_replace(stranger.cert, pem, strlen(pem), 0600, &err), err);
    assert_int_equal(status_of(h, &stranger), 0);
}

static void test_revoked_and_replaced_certificates(void **state)
{
    struct harness *h = *state;
    struct robot_peer robot, renewed;
    harness_enroll(h, "r1", &robot);
    struct robot_peer old = robot;
    harness_path(h, "old.pem", old.cert);
    struct err err = {0};
    struct buf pem = BUF_INIT(1 << 16);
    assert_ok(file_read(robot.cert, &pem, &err), err);
    assert_ok(file_replace(old.cert, pem.data, pem.len, 0600, &err), err);
    buf_fini(&pem);
    harness_enroll(h, "r1", &renewed);
    assert_int_equal(status_of(h, &renewed), 204);
    assert_int_equal(status_of(h, &old), 403);

    char token[80];
    make_token(h, "{\"robot\":\"r1\"}", token);
    cleanup_reply struct reply reply = harness_call(h, "POST", "/api/v1/robots/r1/revoke", "", 0);
    assert_int_equal(reply.status, 200);
    assert_non_null(strstr(reply.body, "\"revoked\":true"));
    assert_int_equal(status_of(h, &renewed), 403);
    assert_int_equal(enroll(h, token, "r1"), 403); /* its open token is void */
    harness_enroll(h, "r1", &renewed);             /* a token made after it admits it again */
    assert_int_equal(status_of(h, &renewed), 204);
    assert_int_equal(status_of(h, NULL), 0);
}

static int plain_status(const struct harness *h, const char *headers)
{
    struct peer peer;
    size_t len;
    cleanup_free char *request = format_request("GET", "/api/v1/robots", headers, NULL, 0, &len);
    assert_true(peer_open(&peer, h->console_port, false, NULL, NULL));
    assert_true(peer_send(&peer, request, len));
    cleanup_reply struct reply reply = peer_read_reply(&peer);
    peer_close(&peer);
    return reply.status;
}

static void test_operators_need_their_token(void **state)
{
    struct harness *h = *state;
    char good[160], bad[160];
    snprintf(good, sizeof good, "Authorization: Bearer %s\r\n", h->token);
    snprintf(bad, sizeof bad, "Authorization: Bearer %s\r\n", h->token);
    bad[strlen(bad) - 3] ^= 1;
    assert_int_equal(plain_status(h, good), 200);
    assert_int_equal(plain_status(h, bad), 401);
    assert_int_equal(plain_status(h, ""), 401);
    assert_int_equal(plain_status(h, "Authorization: Basic eA==\r\n"), 401);
    assert_int_equal(plain_status(h, "Authorization: Bearer \r\n"), 401);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_token_is_good_for_one_key, harness_setup, harness_teardown),
        cmocka_unit_test_setup_teardown(test_two_at_once_get_one_certificate, harness_setup,
                                        harness_teardown),
        cmocka_unit_test_setup_teardown(test_open_token_does_not_take_over_a_robot, harness_setup,
                                        harness_teardown),
        cmocka_unit_test_setup_teardown(test_only_our_certificates_pass_the_handshake, harness_setup,
                                        harness_teardown),
        cmocka_unit_test_setup_teardown(test_revoked_and_replaced_certificates, harness_setup,
                                        harness_teardown),
        cmocka_unit_test_setup_teardown(test_operators_need_their_token, harness_setup, harness_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
