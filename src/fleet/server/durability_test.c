/* kill -9 in the middle of traffic: what was acknowledged is there, exactly once; what was not may be sent
 * again. */
#include "base/testing.h"

#include "base/mem.h"
#include "base/str.h"
#include "fleet/testing/harness.h"
#include "wire/api.h"

#include <string.h>
#include <unistd.h>

enum { ROBOTS = 4, ROUNDS = 6, PER_ROUND = 15, BATCH = 5 };

struct sender {
    struct robot_peer robot;
    struct peer peer;
    uint64_t acked; /* the last number the server gave back */
    uint64_t sent;
};

static char *reports_text(uint64_t first)
{
    struct api_reports *reports = mem_zalloc(1, sizeof *reports);
    str_copy(reports->stream, sizeof reports->stream, "0123456789abcdef0123456789abcdef");
    for (; reports->count < BATCH; reports->count++)
        reports->records[reports->count] =
            (struct api_report){.seq = first + reports->count, .kind = REPORT_GUARD, .time_ms = 1};
    char *text = api_reports_format(reports);
    free(reports);
    return text;
}

static bool send_batch(struct sender *sender)
{
    size_t len;
    cleanup_free char *text = reports_text(sender->acked + 1);
    cleanup_free char *request = format_request("POST", "/api/v1/reports", "", text, strlen(text), &len);
    return peer_send(&sender->peer, request, len);
}

static bool take_ack(struct sender *sender)
{
    struct err err = {0};
    uint64_t acked = 0;
    cleanup_reply struct reply reply = peer_read_reply(&sender->peer);
    if (reply.status != 200)
        return false;
    assert_ok(api_acked_parse(reply.body, reply.len, &acked, &err), err);
    assert_true(acked >= sender->acked); /* never back */
    sender->acked = acked;
    return true;
}

/* All robots at once, so that one transaction holds several; the last batch is under way when the server
 * dies. */
static void traffic(struct harness *h, struct sender senders[ROBOTS])
{
    for (int i = 0; i < ROBOTS; i++)
        assert_true(
            peer_open(&senders[i].peer, h->robot_port, true, senders[i].robot.cert, senders[i].robot.key));
    for (int round = 0; round < PER_ROUND; round++) {
        for (int i = 0; i < ROBOTS; i++)
            assert_true(send_batch(&senders[i]));
        for (int i = 0; i < ROBOTS; i++)
            assert_true(take_ack(&senders[i]));
    }
    for (int i = 0; i < ROBOTS; i++)
        send_batch(&senders[i]);
    usleep(2000);
    harness_stop(h, SIGKILL);
    for (int i = 0; i < ROBOTS; i++) {
        take_ack(&senders[i]); /* it may have come through */
        peer_close(&senders[i].peer);
    }
}

static void check_last(const struct harness *h, struct sender *sender)
{
    char path[96];
    snprintf(path, sizeof path, "/api/v1/robots/%s", sender->robot.id);
    cleanup_reply struct reply reply = harness_call(h, "GET", path, NULL, 0);
    assert_int_equal(reply.status, 200);
    int64_t last = find_number(reply.body, "seq"), expected = last;
    assert_true(last >= (int64_t)sender->acked);         /* nothing acknowledged is lost */
    assert_true(last <= (int64_t)sender->acked + BATCH); /* at most what was under way is new */
    for (const char *at = reply.body; (at = strstr(at, "\"seq\":")); at += 6)
        assert_int_equal(strtoll(at + 6, NULL, 10), expected--); /* no hole, nothing twice */
}

static void test_acknowledged_reports_survive_kill(void **state)
{
    struct harness h;
    struct sender senders[ROBOTS] = {0};
    harness_init(&h);
    harness_start(&h);
    for (int i = 0; i < ROBOTS; i++) {
        char id[16];
        snprintf(id, sizeof id, "r%d", i);
        harness_enroll(&h, id, &senders[i].robot);
    }
    for (int round = 0; round < ROUNDS; round++) {
        traffic(&h, senders);
        harness_start(&h);
        for (int i = 0; i < ROBOTS; i++)
            check_last(&h, &senders[i]);
    }
    harness_fini(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_acknowledged_reports_survive_kill),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
