/* SIGTERM while connections are in every state there is: musterd ends with 0, and under a sanitizer that also says that
 * it has freed every one of them. */
#include "base/testing.h"

#include "base/mem.h"
#include "fleet/testing/harness.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { ROUNDS = 2, BUSY_PEERS = 6 };

struct busy {
    const struct harness *h;
    const struct robot_peer *robot;
    atomic_int *answers;
    pthread_t thread;
};

static const char poll_request[] = "GET /api/v1/director?after=0&wait=20 HTTP/1.1\r\nHost: m\r\n\r\n";

static void dial(const struct harness *h, const struct robot_peer *robot, struct peer *out, const char *say)
{
    assert_true(peer_open(out, h->robot_port, true, robot->cert, robot->key));
    assert_true(peer_send(out, say, strlen(say)));
}

/* Asks again as soon as it has an answer, until the server has gone: some answer is always on its way. */
static void *ask_and_ask(void *arg)
{
    const struct busy *busy = arg;
    static const char request[] = "GET /api/v1/director?after=0&wait=0 HTTP/1.1\r\nHost: m\r\n\r\n";
    struct peer peer;
    if (!peer_open(&peer, busy->h->robot_port, true, busy->robot->cert, busy->robot->key))
        return NULL;
    for (bool answered = true; answered && peer_send(&peer, request, strlen(request));) {
        cleanup_reply struct reply reply = peer_read_reply(&peer);
        answered = reply.status != 0;
        ++*busy->answers;
    }
    peer_close(&peer);
    return NULL;
}

static void stop_among_peers(struct harness *h, const struct robot_peer *robot)
{
    struct peer held, silent, halfway, greeting;
    struct busy busy[BUSY_PEERS];
    atomic_int answers = 0;
    dial(h, robot, &held, poll_request);
    dial(h, robot, &silent, "");
    dial(h, robot, &halfway, "POST /api/v1/reports HTTP/1.1\r\nHost: m\r\nContent-Length: 100\r\n\r\n{");
    assert_true(peer_open(&greeting, h->robot_port, false, NULL, NULL));
    assert_true(peer_send(&greeting, "\x16\x03\x01\x02", 4)); /* the first bytes of a handshake */
    for (int i = 0; i < BUSY_PEERS; i++) {
        busy[i] = (struct busy){.h = h, .robot = robot, .answers = &answers};
        assert_int_equal(pthread_create(&busy[i].thread, NULL, ask_and_ask, &busy[i]), 0);
    }
    while (answers < BUSY_PEERS)
        usleep(1000);
    assert_int_equal(harness_stop(h, SIGTERM), 0);
    for (int i = 0; i < BUSY_PEERS; i++)
        pthread_join(busy[i].thread, NULL);
    peer_close(&held);
    peer_close(&silent);
    peer_close(&halfway);
    peer_close(&greeting);
}

static void test_stopping_forgets_no_connection(void **state)
{
    struct harness *h = *state;
    struct robot_peer robot;
    harness_enroll(h, "r1", &robot);
    for (int round = 0; round < ROUNDS; round++) {
        stop_among_peers(h, &robot);
        harness_start(h);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_stopping_forgets_no_connection, harness_setup, harness_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
