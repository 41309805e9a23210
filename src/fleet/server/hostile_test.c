/* Malformed requests on every route of every listener: an answer of 4xx, or the connection closed; never a
 * crash, never 5xx. */
#include "base/testing.h"

#include "base/mem.h"
#include "base/str.h"
#include "fleet/testing/harness.h"

#include <string.h>
#include <unistd.h>

struct target {
    enum { ROBOT_PORT, OPERATOR_PORT, CONSOLE_PORT } port;
    const char *method, *path;
};

static const char digest[] = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

static const struct target targets[] = {
    {ROBOT_PORT, "GET", "/api/v1/director?after=%s&wait=0"},
    {ROBOT_PORT, "GET", "/api/v1/director?wait=%s"},
    {ROBOT_PORT, "GET", "/api/v1/tuf/%s"},
    {ROBOT_PORT, "GET", "/api/v1/blobs/%s"},
    {ROBOT_PORT, "POST", "/api/v1/reports"},
    {ROBOT_PORT, "POST", "/v1/metrics"},
    {OPERATOR_PORT, "POST", "/api/v1/enroll"},
    {OPERATOR_PORT, "POST", "/api/v1/enroll-tokens"},
    {OPERATOR_PORT, "GET", "/api/v1/robots?limit=%s"},
    {OPERATOR_PORT, "GET", "/api/v1/robots/%s"},
    {OPERATOR_PORT, "POST", "/api/v1/robots/%s/revoke"},
    {OPERATOR_PORT, "GET", "/api/v1/blobs/%s"},
    {OPERATOR_PORT, "PUT", "/api/v1/blobs/%s"},
    {OPERATOR_PORT, "PUT",
     "/api/v1/blobs/sha256:0000000000000000000000000000000000000000000000000000000000000000?offset=%s"},
    {OPERATOR_PORT, "POST", "/api/v1/releases"},
    {OPERATOR_PORT, "GET", "/api/v1/releases/%s"},
    {OPERATOR_PORT, "GET", "/api/v1/tuf/%s"},
    {OPERATOR_PORT, "POST", "/api/v1/tuf/%s"},
    {OPERATOR_PORT, "POST", "/api/v1/approvals"},
    {OPERATOR_PORT, "GET", "/api/v1/approvals?release=%s"},
    {OPERATOR_PORT, "POST", "/api/v1/rollouts"},
    {OPERATOR_PORT, "GET", "/api/v1/rollouts/%s"},
    {OPERATOR_PORT, "POST", "/api/v1/rollouts/%s/pause"},
    {OPERATOR_PORT, "POST", "/api/v1/rollouts/%s/abort"},
    {ROBOT_PORT, "POST", "/api/v1/samples?stream=0123456789abcdef0123456789abcdef&seq=%s"},
    {OPERATOR_PORT, "GET", "/api/v1/reviews?release=%s"},
    {OPERATOR_PORT, "GET", "/api/v1/reviews?before=%s"},
    {OPERATOR_PORT, "POST", "/api/v1/reviews/%s"},
    {OPERATOR_PORT, "GET", "/api/v1/reviews/%s/picture"},
    {OPERATOR_PORT, "POST", "/api/v1/missed"},
    {OPERATOR_PORT, "GET", "/api/v1/accuracy?release=%s"},
    {OPERATOR_PORT, "GET", "/api/v1/decisions?rollout=%s"},
    {OPERATOR_PORT, "GET", "/api/v1/drift/%s"},
    {OPERATOR_PORT, "POST", "/api/v1/drift/%s/acknowledge"},
    {OPERATOR_PORT, "GET", "/api/v1/series?name=x&from=%s"},
    {CONSOLE_PORT, "GET", "/api/v1/events?after=%s"},
    {CONSOLE_PORT, "GET", "/assets/%s"},
    {CONSOLE_PORT, "GET", "/%s"},
};

static const char *const words[] = {
    "x",       "-1",        "99999999999999999999",
    "%00",     "..",        "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "sha256:", "sha256:zz", "'",
    "%ff%fe",  "1e9",       "sha256%3A0000000000000000000000000000000000000000000000000000000000000001",
};

static const char *const bodies[] = {
    "",
    "{",
    "{}",
    "[]",
    "null",
    "{\"a\":1,\"a\":2}",
    "{\"records\":[],\"stream\":\"x\"}",
    "{\"token\":\"x\",\"csr\":\"y\"}",
    "{\"token\":\"x\",\"csr\":\"-----BEGIN CERTIFICATE REQUEST-----\\nAAAA\\n-----END CERTIFICATE "
    "REQUEST-----\\n\"}",
    "{\"robot\":\"../..\"}",
    "{\"robot\":\"r\",\"labels\":{\"a b\":1}}",
    "{\"labels\":{\"a\":\"b\\nc\"}}",
    "{\"valid_s\":-1}",
    "{\"manifest\":\"sha256:00\"}",
    "{\"name\":\"x\",\"release\":\"y:1\",\"waves\":[]}",
    "\xff\xfe\x00\x01",
    "\x0a\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01",
};

struct fixture {
    struct harness h;
    struct robot_peer robot;
    unsigned seed;
};

static int setup(void **state)
{
    struct fixture *f = mem_zalloc(1, sizeof *f);
    harness_init(&f->h);
    harness_start(&f->h);
    harness_enroll(&f->h, "r1", &f->robot);
    f->seed = 1;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    harness_fini(&f->h);
    free(f);
    return 0;
}

static unsigned dice(struct fixture *f, unsigned sides)
{
    f->seed = f->seed * 1103515245u + 12345u;
    return (f->seed >> 8) % sides;
}

static bool open_target(struct fixture *f, const struct target *target, struct peer *peer)
{
    if (target->port == ROBOT_PORT)
        return peer_open(peer, f->h.robot_port, true, f->robot.cert, f->robot.key);
    if (target->port == OPERATOR_PORT)
        return peer_open(peer, f->h.operator_port, true, NULL, NULL);
    return peer_open(peer, f->h.console_port, false, NULL, NULL);
}

static void assert_alive(struct fixture *f)
{
    cleanup_reply struct reply reply = harness_call(&f->h, "GET", "/healthz", NULL, 0);
    assert_int_equal(reply.status, 200);
}

static void check_answer(struct fixture *f, const struct target *target, const char *request, size_t len,
                         bool whole)
{
    struct peer peer;
    struct reply reply = {0};
    assert_true(open_target(f, target, &peer));
    if (peer_send(&peer, request, len)) {
        if (!whole)
            peer_end(&peer);
        reply = peer_read_reply(&peer);
    }
    peer_close(&peer);
    if (whole && !reply.status)
        fail_msg("%s %s: no answer", target->method, target->path);
    if (reply.status >= 500)
        fail_msg("%s %s: %d %s", target->method, target->path, reply.status, reply.body);
    if (reply.status >= 400 && !strstr(reply.body, "\"error\""))
        fail_msg("%s %s: %d without a reason: %s", target->method, target->path, reply.status, reply.body);
    reply_fini(&reply);
}

static char *make_request(struct fixture *f, const struct target *target, const char *word, const char *body,
                          size_t body_len, size_t *out_len)
{
    char path[512], headers[160] = "";
    const char *slot = strstr(target->path, "%s");
    snprintf(path, sizeof path, "%.*s%s%s", slot ? (int)(slot - target->path) : (int)strlen(target->path),
             target->path, slot ? word : "", slot ? slot + 2 : "");
    if (target->port != ROBOT_PORT)
        snprintf(headers, sizeof headers, "Authorization: Bearer %s\r\n", f->h.token);
    return format_request(target->method, path, headers, body, body_len, out_len);
}

static void test_wrong_words_and_bodies(void **state)
{
    struct fixture *f = *state;
    for (size_t t = 0; t < ARRAY_LEN(targets); t++) {
        bool slot = strstr(targets[t].path, "%s"), post = !str_eq(targets[t].method, "GET");
        for (size_t i = 0; i < (slot ? ARRAY_LEN(words) : ARRAY_LEN(bodies)); i++) {
            const char *body = slot ? "" : bodies[i];
            size_t len;
            cleanup_free char *request = make_request(f, &targets[t], slot ? words[i] : "",
                                                      post ? body : NULL, post ? strlen(body) : 0, &len);
            check_answer(f, &targets[t], request, len, true);
        }
    }
    assert_alive(f);
}

/* Good requests with bytes flipped, cut and put in. */
static void test_broken_bytes(void **state)
{
    struct fixture *f = *state;
    for (int round = 0; round < 250; round++) {
        const struct target *target = &targets[dice(f, ARRAY_LEN(targets))];
        const char *body = bodies[dice(f, ARRAY_LEN(bodies))];
        bool post = !str_eq(target->method, "GET");
        size_t len;
        cleanup_free char *request =
            make_request(f, target, digest, post ? body : NULL, post ? strlen(body) : 0, &len);
        for (unsigned i = 0; i < 1 + dice(f, 4); i++)
            request[dice(f, (unsigned)len)] = (char)dice(f, 256);
        check_answer(f, target, request, 1 + dice(f, (unsigned)len), false);
    }
    assert_alive(f);
}

/* Bytes that were never a request. */
static void test_noise(void **state)
{
    struct fixture *f = *state;
    for (int round = 0; round < 60; round++) {
        struct target target = {.port = (int)(round % 3), .method = "noise", .path = ""};
        char noise[2000];
        for (size_t i = 0; i < sizeof noise; i++)
            noise[i] = (char)dice(f, round % 2 ? 256 : 96);
        check_answer(f, &target, noise, 1 + dice(f, sizeof noise), false);
    }
    assert_alive(f);
}

/* A raw connection that is no TLS, and one that says nothing. */
static void test_no_tls(void **state)
{
    struct fixture *f = *state;
    struct peer silent, plain;
    assert_true(peer_open(&silent, f->h.robot_port, false, NULL, NULL));
    assert_true(peer_open(&plain, f->h.robot_port, false, NULL, NULL));
    peer_send(&plain, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 27);
    char bytes[64];
    while (peer_read(&plain, bytes, sizeof bytes) > 0)
        ;
    assert_alive(f);
    peer_close(&plain);
    peer_close(&silent);
    assert_alive(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_wrong_words_and_bodies, setup, teardown),
        cmocka_unit_test_setup_teardown(test_broken_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_noise, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_tls, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
