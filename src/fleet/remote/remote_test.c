/* Against a receiver of the test's own: answers what it is told to, keeps what it got, unpacked by snappy and read as protobuf. */
#include "base/buf.h"
#include "base/clock.h"
#include "base/str.h"
#include "base/testing.h"
#include "fleet/remote/remote.h"

#include <arpa/inet.h>
#include <poll.h>
#include <snappy-c.h>
#include <string.h>
#include <sys/socket.h>

enum { MOST = 4096 };

struct receiver {
    int listener, peer;
    uint16_t port;
    const int *answers; /* statuses, the last one for ever */
    size_t answer_count, requests, bad;
    struct buf in;
    size_t count;
    struct {
        char labels[256];
        double value;
        int64_t time_ms;
    } got[MOST];
};

static void receiver_open(struct receiver *r, const int *answers, size_t count)
{
    *r = (struct receiver){.peer = -1, .answers = answers, .answer_count = count, .in = BUF_INIT(8 << 20)};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    r->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(r->listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(r->listener, 4), 0);
    assert_int_equal(getsockname(r->listener, (struct sockaddr *)&address, &len), 0);
    r->port = ntohs(address.sin_port);
}

static void receiver_close(struct receiver *r)
{
    if (r->peer >= 0)
        close(r->peer);
    close(r->listener);
    buf_fini(&r->in);
}

/* ---- the fewest lines that read a WriteRequest, apart from the code under test ---- */

static uint64_t varint(const uint8_t **at)
{
    uint64_t value = 0;
    for (unsigned shift = 0;; shift += 7) {
        uint8_t byte = *(*at)++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return value;
    }
}

static void read_label(const uint8_t *at, char *out, size_t size)
{
    for (int part = 0; part < 2; part++) {
        assert_int_equal(*at++, part ? 0x12 : 0x0a);
        size_t len = varint(&at);
        size_t have = strlen(out);
        snprintf(out + have, size - have, "%.*s%s", (int)len, (const char *)at, part ? ";" : "=");
        at += len;
    }
}

static void read_series(struct receiver *r, const uint8_t *at, const uint8_t *end)
{
    assert_true(r->count < MOST);
    r->got[r->count].labels[0] = '\0';
    while (at < end) {
        uint8_t tag = *at++;
        size_t len = varint(&at);
        if (tag == 0x0a) {
            read_label(at, r->got[r->count].labels, sizeof r->got[0].labels);
        } else {
            assert_int_equal(tag, 0x12);
            const uint8_t *in = at;
            assert_int_equal(*in++, 0x09);
            memcpy(&r->got[r->count].value, in, 8);
            in += 8;
            assert_int_equal(*in++, 0x10);
            r->got[r->count].time_ms = (int64_t)varint(&in);
        }
        at += len;
    }
    r->count++;
}

static void read_request(struct receiver *r, const char *body, size_t len)
{
    size_t size;
    assert_int_equal(snappy_uncompressed_length(body, len, &size), SNAPPY_OK);
    cleanup_free uint8_t *plain = mem_zalloc(size, 1);
    assert_int_equal(snappy_uncompress(body, len, (char *)plain, &size), SNAPPY_OK);
    const uint8_t *at = plain, *end = plain + size;
    while (at < end) {
        assert_int_equal(*at++, 0x0a);
        size_t one = varint(&at);
        read_series(r, at, at + one);
        at += one;
    }
}

static void answer(struct receiver *r, const char *body, size_t len)
{
    size_t which = MIN(r->requests, r->answer_count - 1);
    int status = r->answers[which];
    r->requests++;
    if (status == 0) { /* hangs up */
        close(r->peer);
        r->peer = -1;
        return;
    }
    if (status == 204)
        read_request(r, body, len);
    char text[128];
    int size = snprintf(text, sizeof text, "HTTP/1.1 %d x\r\nContent-Length: %d\r\n\r\n%s", status,
                        status == 204 ? 0 : 2, status == 204 ? "" : "no");
    if (status == 204)
        size = snprintf(text, sizeof text, "HTTP/1.1 204 x\r\n\r\n");
    assert_int_equal(send(r->peer, text, (size_t)size, MSG_NOSIGNAL), size);
}

static void receiver_step(struct receiver *r)
{
    struct err err = {0};
    char piece[65536];
    if (r->peer < 0) {
        r->peer = accept4(r->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        buf_reset(&r->in);
    }
    if (r->peer < 0)
        return;
    ssize_t got = recv(r->peer, piece, sizeof piece, 0);
    if (got == 0) {
        close(r->peer);
        r->peer = -1;
        return;
    }
    if (got > 0)
        assert_ok(buf_put(&r->in, piece, (size_t)got, &err), err);
    const char *head = buf_text(&r->in), *body = strstr(head, "\r\n\r\n"),
               *length = strstr(head, "Content-Length: ");
    if (!body || !length)
        return;
    size_t want = (size_t)strtoul(length + 16, NULL, 10);
    if (r->in.len < (size_t)(body + 4 - head) + want)
        return;
    r->bad += !str_starts(head, "POST /api/v1/write HTTP/1.1\r\n") ||
              !strstr(head, "Content-Encoding: snappy\r\n") ||
              !strstr(head, "Content-Type: application/x-protobuf\r\n") ||
              !strstr(head, "X-Prometheus-Remote-Write-Version: 0.1.0\r\n");
    answer(r, body + 4, want);
    buf_reset(&r->in);
}

static struct remote *begin(struct receiver *r)
{
    struct err err = {0};
    struct remote *remote;
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%u/api/v1/write", r->port);
    assert_ok(remote_new(&(struct remote_options){.url = url}, &remote, &err), err);
    return remote;
}

/* Time of the sender runs as fast as it likes. */
static void run(struct remote *remote, struct receiver *r, int64_t *now_ms, size_t until_requests)
{
    struct remote_counters counters;
    for (int i = 0; i < 20000; i++) {
        *now_ms += remote_tick(remote, *now_ms) > 500 ? 500 : 1;
        receiver_step(r);
        remote_look(remote, &counters);
        if (r->requests >= until_requests && !counters.pending)
            return;
        poll(NULL, 0, i % 20 == 19);
    }
    remote_look(remote, &counters);
    fail_msg("%zu requests, %llu pending: %s", r->requests, (unsigned long long)counters.pending,
             counters.last_error);
}

static void put(struct remote *remote, const char *name, const char *robot, double value, int64_t time_ms)
{
    const struct remote_label labels[] = {{"robot", robot}, {"__name__", name}, {"empty", ""}};
    remote_put(remote, labels, ARRAY_LEN(labels), value, time_ms);
}

static void samples_arrive_in_order_of_time(void **state)
{
    static const int answers[] = {204};
    struct receiver r;
    int64_t now_ms = 1000;
    receiver_open(&r, answers, 1);
    cleanup_remote struct remote *remote = begin(&r);
    for (int i = 0; i < 3000; i++)
        put(remote, "m", "r-01", i, 1700000000000 + (i * 7919) % 3000);
    run(remote, &r, &now_ms, 2);
    assert_int_equal(r.requests, 2);
    assert_int_equal(r.bad, 0);
    assert_int_equal(r.count, 3000);
    assert_string_equal(r.got[0].labels, "__name__=m;robot=r-01;");
    for (size_t i = 1; i < r.count; i++)
        if (i != REMOTE_BATCH_SAMPLES)
            assert_true(r.got[i].time_ms >= r.got[i - 1].time_ms);
    struct remote_counters counters;
    remote_look(remote, &counters);
    assert_true(counters.sent == 3000 && counters.dropped == 0 && counters.refused == 0 &&
                counters.pending == 0);
    receiver_close(&r);
}

static void what_may_work_later_is_sent_again_and_once(void **state)
{
    static const int answers[] = {503, 429, 0, 500, 204};
    struct receiver r;
    int64_t now_ms = 1000;
    receiver_open(&r, answers, ARRAY_LEN(answers));
    cleanup_remote struct remote *remote = begin(&r);
    put(remote, "m", "r-01", 1, 1);
    remote_flush(remote);
    run(remote, &r, &now_ms, 5);
    assert_int_equal(r.count, 1);
    assert_true(now_ms >= 1000 + 1000 + 2000 + 4000 + 8000);
    struct remote_counters counters;
    remote_look(remote, &counters);
    assert_true(counters.sent == 1 && counters.retries == 4 && counters.refused == 0);
    receiver_close(&r);
}

static void what_is_refused_is_counted_and_not_sent_again(void **state)
{
    static const int answers[] = {400, 204};
    struct receiver r;
    int64_t now_ms = 1000;
    receiver_open(&r, answers, ARRAY_LEN(answers));
    cleanup_remote struct remote *remote = begin(&r);
    put(remote, "m", "r-01", 1, 1);
    run(remote, &r, &now_ms, 1);
    put(remote, "m", "r-01", 2, 2);
    run(remote, &r, &now_ms, 2);
    assert_int_equal(r.count, 1);
    assert_true(r.got[0].value == 2);
    struct remote_counters counters;
    remote_look(remote, &counters);
    assert_true(counters.sent == 1 && counters.refused == 1 && counters.dropped == 0);
    receiver_close(&r);
}

static void without_a_receiver_memory_is_bounded_and_losses_counted(void **state)
{
    static const int answers[] = {0};
    struct receiver r;
    struct remote_counters counters;
    receiver_open(&r, answers, 1);
    cleanup_remote struct remote *remote = begin(&r);
    receiver_close(&r);
    const uint64_t total = (uint64_t)(REMOTE_QUEUE + 20) * REMOTE_BATCH_SAMPLES;
    for (uint64_t i = 0; i < total; i++) {
        put(remote, "m", "r-01", (double)i, (int64_t)i);
        if (i % 1000 == 0)
            remote_tick(remote, (int64_t)i);
    }
    put(remote, "m", "r-01", __builtin_nan(""), 1);
    remote_look(remote, &counters);
    assert_true(counters.pending <= (uint64_t)(REMOTE_QUEUE + 1) * REMOTE_BATCH_SAMPLES);
    assert_int_equal(counters.pending + counters.dropped, total + 1);
    assert_int_equal(counters.sent, 0);
}

static void http_goes_no_further_than_this_machine(void **state)
{
    struct err err = {0};
    struct remote_counters counters;
    struct remote *remote;
    assert_ok(remote_new(&(struct remote_options){.url = "http://192.0.2.1/api/v1/write"}, &remote, &err),
              err);
    put(remote, "m", "r-01", 1, 1);
    remote_flush(remote);
    remote_tick(remote, 1000);
    remote_look(remote, &counters);
    assert_non_null(strstr(counters.last_error, "http"));
    remote_free(remote);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_arrive_in_order_of_time),
        cmocka_unit_test(what_may_work_later_is_sent_again_and_once),
        cmocka_unit_test(what_is_refused_is_counted_and_not_sent_again),
        cmocka_unit_test(without_a_receiver_memory_is_bounded_and_losses_counted),
        cmocka_unit_test(http_goes_no_further_than_this_machine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
