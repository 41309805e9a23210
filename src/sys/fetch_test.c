#include "base/mem.h"
#include "base/str.h"
#include "base/testing.h"
#include "sys/fetch.h"
#include "sys/fetch_engine.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>

/* ---- a server that follows a script ---- */

/* One connection per act; the answer is sent when a whole request head has come. */
struct act {
    const char *answer;
    bool loop; /* send the answer again and again */
    bool hang; /* then keep still until the client hangs up */
    int more;  /* further requests to be answered on this connection in the same way */
};

static struct {
    int listener;
    uint16_t port;
    pthread_t thread;
    const struct act *acts;
    size_t count;
    char last_head[4096];
    int connections;
} stage;

static bool read_request(int fd)
{
    size_t len = 0;
    stage.last_head[0] = 0;
    while (len < sizeof stage.last_head - 1 && !str_ends(stage.last_head, "\r\n\r\n")) {
        if (recv(fd, stage.last_head + len, 1, 0) != 1)
            return false;
        stage.last_head[++len] = 0;
    }
    return true;
}

static bool send_text(int fd, const char *text)
{
    size_t len = strlen(text);
    return send(fd, text, len, MSG_NOSIGNAL) == (ssize_t)len;
}

static void play_act(int fd, const struct act *act)
{
    char byte;
    for (int i = 0; i <= act->more; i++) {
        if (!read_request(fd) || !send_text(fd, act->answer))
            return;
    }
    while (act->loop && send_text(fd, act->answer))
        ;
    while (act->hang && recv(fd, &byte, 1, 0) > 0)
        ;
}

static void *play(void *arg)
{
    for (size_t i = 0; i < stage.count; i++) {
        int fd = accept(stage.listener, NULL, NULL);
        stage.connections++;
        if (fd < 0)
            break;
        play_act(fd, &stage.acts[i]);
        close(fd);
    }
    return NULL;
}

static void open_stage(const struct act *acts, size_t count)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    stage.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(stage.listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(stage.listener, 8), 0);
    assert_int_equal(getsockname(stage.listener, (struct sockaddr *)&address, &len), 0);
    stage.port = ntohs(address.sin_port);
    stage.acts = acts;
    stage.count = count;
    stage.connections = 0;
    assert_int_equal(pthread_create(&stage.thread, NULL, play, NULL), 0);
}

static void close_stage(void)
{
    shutdown(stage.listener, SHUT_RDWR);
    pthread_join(stage.thread, NULL);
    close(stage.listener);
}

static struct fetch *new_fetch(void)
{
    struct err err = {0};
    struct fetch *fetch = NULL;
    const struct fetch_options options = {.ca_path = NULL};
    assert_ok(fetch_new(&options, &fetch, &err), err);
    return fetch;
}

static const char *url_of(const char *host)
{
    static char url[64];
    snprintf(url, sizeof url, "http://%s:%u/x?y", host, stage.port);
    return url;
}

/* ---- tests ---- */

static void addresses_are_taken_apart(void **state)
{
    static const struct {
        const char *text, *host, *port, *target, *origin;
    } good[] = {
        {"https://fleet.example/api/v1?x=1", "fleet.example", "443", "/api/v1?x=1",
         "https://fleet.example:443"},
        {"https://10.0.0.1:8443", "10.0.0.1", "8443", "/", "https://10.0.0.1:8443"},
        {"https://[::1]:8443/", "::1", "8443", "/", "https://[::1]:8443"},
        {"http://localhost:80/a", "localhost", "80", "/a", "http://localhost:80"},
        {"http://127.0.0.1/", "127.0.0.1", "80", "/", "http://127.0.0.1:80"},
    };
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct err err = {0};
        struct fetch_url url;
        assert_ok(fetch_url_parse(good[i].text, &url, &err), err);
        assert_string_equal(url.host, good[i].host);
        assert_string_equal(url.port, good[i].port);
        assert_string_equal(url.target, good[i].target);
        assert_string_equal(url.origin, good[i].origin);
    }
    static const char *const bad[] = {"",
                                      "fleet",
                                      "ftp://a/",
                                      "https://",
                                      "https:///x",
                                      "http://fleet.example/",
                                      "http://127.evil.example/",
                                      "http://127.0.0.1@evil.example/",
                                      "https://u:p@h/",
                                      "https://h:0/",
                                      "https://h:70000/",
                                      "https://h:x/",
                                      "https://h/ x",
                                      "https://h/\r\nX: y",
                                      "https://h/#f",
                                      "https://h?x",
                                      "https://[::1/",
                                      "https://[::1]x/",
                                      "https://h\xc3\xa4/"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct err err = {0};
        struct fetch_url url;
        assert_fails(fetch_url_parse(bad[i], &url, &err), err, ERR_INVALID);
    }
}

static void a_request_says_what_was_asked(void **state)
{
    static const struct act acts[] = {{.answer = "HTTP/1.1 204 No Content\r\n\r\n"}};
    struct err err = {0};
    struct fetch *fetch = new_fetch();
    struct fetch_response response;
    open_stage(acts, 1);
    const struct fetch_request request = {.method = "PUT",
                                          .url = url_of("127.0.0.1"),
                                          .content_type = "text/plain",
                                          .bearer = "t0ken",
                                          .body = "hi",
                                          .body_len = 2};
    assert_ok(fetch_once(fetch, &request, &response, &err), err);
    assert_int_equal(response.status, 204);
    buf_fini(&response.body);
    fetch_free(fetch);
    close_stage();
    assert_true(str_starts(stage.last_head, "PUT /x?y HTTP/1.1\r\nHost: 127.0.0.1:"));
    assert_non_null(strstr(stage.last_head, "\r\nContent-Type: text/plain\r\n"));
    assert_non_null(strstr(stage.last_head, "\r\nAuthorization: Bearer t0ken\r\n"));
    assert_non_null(strstr(stage.last_head, "\r\nContent-Length: 2\r\n"));
}

static void requests_with_line_breaks_are_refused(void **state)
{
    struct err err = {0};
    struct fetch *fetch = new_fetch();
    struct fetch_response response;
    struct fetch_request request = {.method = "GET", .url = "http://127.0.0.1:9/", .bearer = "a\r\nX: y"};
    assert_fails(fetch_once(fetch, &request, &response, &err), err, ERR_INVALID);
    request.bearer = NULL;
    request.content_type = "a\nb";
    assert_fails(fetch_once(fetch, &request, &response, &err), err, ERR_INVALID);
    request.content_type = NULL;
    request.method = "G T";
    assert_fails(fetch_once(fetch, &request, &response, &err), err, ERR_INVALID);
    request.method = "GET";
    request.url = "https://127.0.0.1:9/"; /* no CA was given: the server could not be checked */
    assert_int_equal(fetch_once(fetch, &request, &response, &err), -1);
    fetch_free(fetch);
}

/* Each answer, and what becomes of it. */
static const struct answer_case {
    struct act act;
    enum err_code code;
    int status;
    const char *body;
} answers[] = {
    {{.answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"}, ERR_NONE, 200, "hello"},
    {{.answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"}, ERR_NONE, 200, ""},
    {{.answer = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok"},
     ERR_NONE,
     201,
     "ok"},
    {{.answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3\r\n, y\r\n0\r\n\r\n"},
     ERR_NONE,
     200,
     "hello, y"},
    {{.answer = "HTTP/1.1 200 OK\r\n\r\nuntil the end"}, ERR_NONE, 200, "until the end"},
    {{.answer = "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnope"}, ERR_NOT_FOUND, 404, "nope"},
    {{.answer = "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\nContent-Length: 0\r\n\r\n"},
     ERR_INVALID,
     302,
     ""},
    {{.answer = "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"}, ERR_BUSY, 503, ""},
    {{.answer = "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello"}, ERR_UNREACHABLE, 0, ""},
    {{.answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"},
     ERR_UNREACHABLE,
     0,
     ""},
    {{.answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"}, ERR_INVALID, 0, ""},
    {{.answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"},
     ERR_INVALID,
     0,
     ""},
    {{.answer = "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello"}, ERR_UNREACHABLE, 0, ""},
    {{.answer = "SSH-2.0-OpenSSH\r\n\r\n"}, ERR_INVALID, 0, ""},
    {{.answer = ""}, ERR_UNREACHABLE, 0, ""},
    {{.answer = "HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n"}, ERR_TOO_BIG, 0, ""},
    {{.answer = "HTTP/1.1 200 OK\r\nX: ", .loop = true}, ERR_TOO_BIG, 0, ""},
};

static void answers_are_judged(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        struct err err = {0};
        struct fetch *fetch = new_fetch();
        struct fetch_response response;
        open_stage(&answers[i].act, 1);
        const struct fetch_request request = {.method = "GET", .url = url_of("127.0.0.1"), .max_bytes = 100};
        int rc = fetch_once(fetch, &request, &response, &err);
        fetch_free(fetch);
        close_stage();
        bool right = rc == (answers[i].code ? -1 : 0) && response.err.code == answers[i].code &&
                     err.code == answers[i].code && response.status == answers[i].status;
        if (!right)
            fail_msg("case %zu: %d, %s (%s), status %d", i, rc, err_code_name(err.code), err.text,
                     response.status);
        if (response.status)
            assert_string_equal(buf_text(&response.body), answers[i].body);
        buf_fini(&response.body);
    }
}

static int count_bytes(const void *data, size_t len, void *arg, struct err *err)
{
    *(size_t *)arg += len;
    return 0;
}

static void endless_bodies_are_cut(void **state)
{
    static char text[2000];
    int len = snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\n\r\n");
    snprintf(text + len, sizeof text - (size_t)len, "%01024d", 7);
    const struct act acts[] = {{.answer = text, .loop = true}};
    struct err err = {0};
    struct fetch *fetch = new_fetch();
    struct fetch_response response;
    size_t got = 0;
    open_stage(acts, 1);
    const struct fetch_request request = {.method = "GET",
                                          .url = url_of("127.0.0.1"),
                                          .max_bytes = 1000000,
                                          .sink = count_bytes,
                                          .sink_arg = &got};
    assert_fails(fetch_once(fetch, &request, &response, &err), err, ERR_TOO_BIG);
    assert_true(got <= 1000000);
    fetch_free(fetch);
    close_stage();
    buf_fini(&response.body);
}

static void silence_runs_into_the_stall_or_the_total_limit(void **state)
{
    static const struct act silent[] = {
        {.answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe", .hang = true}};
    for (int i = 0; i < 2; i++) {
        struct err err = {0};
        struct fetch *fetch = new_fetch();
        struct fetch_response response;
        open_stage(silent, 1);
        struct fetch_request request = {.method = "GET", .url = url_of("127.0.0.1"), .stall_s = 1};
        if (i == 1)
            request = (struct fetch_request){.method = "GET", .url = url_of("127.0.0.1"), .timeout_ms = 50};
        assert_fails(fetch_once(fetch, &request, &response, &err), err, ERR_TIMEOUT);
        fetch_free(fetch);
        close_stage();
        buf_fini(&response.body);
    }
}

static int refuse_bytes(const void *data, size_t len, void *arg, struct err *err)
{
    return err_set(err, ERR_NO_SPACE, "disk full");
}

static void a_sink_can_give_up_and_gets_no_error_bodies(void **state)
{
    static const struct act acts[] = {{.answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"},
                                      {.answer = "HTTP/1.1 404 No\r\nContent-Length: 5\r\n\r\nsorry"}};
    struct err err = {0};
    struct fetch *fetch = new_fetch();
    struct fetch_response response;
    open_stage(acts, 2);
    const struct fetch_request request = {.method = "GET", .url = url_of("127.0.0.1"), .sink = refuse_bytes};
    assert_fails(fetch_once(fetch, &request, &response, &err), err, ERR_NO_SPACE);
    assert_string_equal(err.text, "disk full");
    buf_fini(&response.body);
    assert_fails(fetch_once(fetch, &request, &response, &err), err, ERR_NOT_FOUND);
    assert_string_equal(buf_text(&response.body), "sorry");
    buf_fini(&response.body);
    fetch_free(fetch);
    close_stage();
}

static void resuming_wants_exactly_the_rest(void **state)
{
    static const struct {
        struct act act;
        enum err_code code;
    } cases[] = {
        {{.answer = "HTTP/1.1 206 Part\r\nContent-Range: bytes 3-4/5\r\nContent-Length: 2\r\n\r\nlo"},
         ERR_NONE},
        {{.answer = "HTTP/1.1 206 Part\r\nContent-Range: bytes 30-4/5\r\nContent-Length: 2\r\n\r\nlo"},
         ERR_CONFLICT},
        {{.answer = "HTTP/1.1 206 Part\r\nContent-Length: 2\r\n\r\nlo"}, ERR_CONFLICT},
        {{.answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"}, ERR_CONFLICT},
        {{.answer = "HTTP/1.1 416 Range\r\nContent-Length: 0\r\n\r\n"}, ERR_CONFLICT},
        {{.answer = "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"}, ERR_NOT_FOUND},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = {0};
        struct fetch *fetch = new_fetch();
        struct fetch_response response;
        size_t got = 0;
        open_stage(&cases[i].act, 1);
        const struct fetch_request request = {.method = "GET",
                                              .url = url_of("127.0.0.1"),
                                              .resume_from = 3,
                                              .sink = count_bytes,
                                              .sink_arg = &got};
        int rc = fetch_once(fetch, &request, &response, &err);
        assert_int_equal(rc, cases[i].code ? -1 : 0);
        assert_int_equal(response.err.code, cases[i].code);
        assert_int_equal(got, cases[i].code ? 0 : 2); /* a wrong part never reaches the sink */
        buf_fini(&response.body);
        fetch_free(fetch);
        close_stage();
        assert_non_null(strstr(stage.last_head, "\r\nRange: bytes=3-\r\n"));
    }
}

static void connections_are_kept_and_a_dead_one_is_replaced(void **state)
{
    static const struct act acts[] = {
        {.answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", .more = 2},
        {.answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", .more = 9}};
    struct err err = {0};
    struct fetch *fetch = new_fetch();
    open_stage(acts, 2);
    for (int i = 0; i < 6; i++) { /* the server hangs up after the third */
        struct fetch_response response;
        const struct fetch_request request = {.method = "GET", .url = url_of("127.0.0.1")};
        assert_ok(fetch_once(fetch, &request, &response, &err), err);
        assert_string_equal(buf_text(&response.body), "ok");
        buf_fini(&response.body);
    }
    fetch_free(fetch);
    close_stage();
    assert_int_equal(stage.connections, 2);
}

struct tally {
    int done, cancelled_id;
    struct fetch *fetch;
};

static void count_done(const struct fetch_response *response, void *arg)
{
    struct tally *tally = arg;
    tally->done++;
    if (tally->cancelled_id)
        fetch_cancel(tally->fetch, tally->cancelled_id);
}

static void many_run_at_once_and_one_is_cancelled(void **state)
{
    static const struct act acts[] = {
        {.answer = "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n", .hang = false},
        {.answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"},
        {.answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"}};
    struct err err = {0};
    struct tally tally = {.fetch = new_fetch()};
    open_stage(acts, 3);
    int ids[4];
    const struct fetch_request request = {.method = "GET", .url = url_of("127.0.0.1")};
    for (int i = 0; i < 3; i++)
        assert_ok(fetch_start(tally.fetch, &request, count_done, &tally, &ids[i], &err), err);
    const struct fetch_request unreachable = {.method = "GET", .url = "http://127.0.0.1:1/"};
    assert_ok(fetch_start(tally.fetch, &unreachable, count_done, &tally, &ids[3], &err), err);
    fetch_cancel(tally.fetch, ids[3]);
    assert_int_equal(tally.done, 0); /* never from fetch_start */
    while (tally.done < 3)
        assert_ok(fetch_poll(tally.fetch, -1, 1000, &err), err);
    assert_ok(fetch_poll(tally.fetch, -1, 0, &err), err);
    assert_int_equal(tally.done, 3);
    fetch_free(tally.fetch);
    close_stage();
}

static void an_answer_after_none_is_counted(void **state)
{
    static const struct act acts[] = {
        {.answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"},
        {.answer = "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno"},
        {.answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"}};
    struct fetch *fetch = new_fetch();
    open_stage(acts, 3);
    const struct fetch_request there = {.method = "GET", .url = url_of("127.0.0.1")};
    const struct fetch_request nobody = {.method = "GET", .url = "http://127.0.0.1:1/"};
    const struct fetch_request *const requests[] = {&there, &nobody, &nobody, &there, &there};
    static const uint64_t counts[] = {0, 0, 0, 1, 1}; /* a refusal is an answer, too */
    for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
        struct fetch_response response = {0};
        struct err err = {0};
        int rc = fetch_once(fetch, requests[i], &response, &err);
        assert_int_equal(rc == 0 || response.status, requests[i] == &there);
        assert_int_equal(fetch_recovered(fetch), counts[i]);
        buf_fini(&response.body);
    }
    fetch_free(fetch);
    close_stage();
}

static void one_callback_may_cancel_another(void **state)
{
    struct err err = {0};
    struct tally tally = {.fetch = new_fetch()};
    const struct fetch_request unreachable = {.method = "GET", .url = "http://127.0.0.1:1/"};
    assert_ok(fetch_start(tally.fetch, &unreachable, count_done, &tally, NULL, &err), err);
    assert_ok(fetch_start(tally.fetch, &unreachable, count_done, &tally, &tally.cancelled_id, &err), err);
    for (int i = 0; i < 20; i++)
        assert_ok(fetch_poll(tally.fetch, -1, 5, &err), err);
    assert_int_equal(tally.done, 1);
    fetch_free(tally.fetch);
}

static void the_callers_descriptor_ends_the_wait(void **state)
{
    struct err err = {0};
    struct fetch *fetch = new_fetch();
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "x", 1), 1);
    assert_ok(fetch_poll(fetch, ends[0], 600000, &err), err); /* would hang for ten minutes */
    close(ends[0]);
    close(ends[1]);
    fetch_free(fetch);
}

static void who_is_not_there_is_named(void **state)
{
    static const char *const urls[] = {"http://127.0.0.1:1/", "http://localhost:1/"};
    for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
        struct err err = {0};
        struct fetch *fetch = new_fetch();
        struct fetch_response response;
        const struct fetch_request request = {.method = "GET", .url = urls[i]};
        assert_fails(fetch_once(fetch, &request, &response, &err), err, ERR_UNREACHABLE);
        assert_non_null(strstr(err.text, ":1: Connection refused"));
        fetch_free(fetch);
    }
}

static void names_are_resolved(void **state)
{
    static const struct act acts[] = {{.answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"}};
    struct err err = {0};
    struct fetch *fetch = new_fetch();
    struct fetch_response response;
    open_stage(acts, 1);
    const struct fetch_request request = {.method = "GET", .url = url_of("localhost")};
    assert_ok(fetch_once(fetch, &request, &response, &err), err);
    buf_fini(&response.body);
    fetch_free(fetch);
    close_stage();
    struct fetch_resolve *resolve = NULL;
    assert_ok(fetch_resolve_start("no-such-host.invalid", "1", &resolve, &err), err);
    fetch_resolve_free(resolve); /* while it runs */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_taken_apart),
        cmocka_unit_test(a_request_says_what_was_asked),
        cmocka_unit_test(requests_with_line_breaks_are_refused),
        cmocka_unit_test(answers_are_judged),
        cmocka_unit_test(endless_bodies_are_cut),
        cmocka_unit_test(silence_runs_into_the_stall_or_the_total_limit),
        cmocka_unit_test(a_sink_can_give_up_and_gets_no_error_bodies),
        cmocka_unit_test(resuming_wants_exactly_the_rest),
        cmocka_unit_test(connections_are_kept_and_a_dead_one_is_replaced),
        cmocka_unit_test(many_run_at_once_and_one_is_cancelled),
        cmocka_unit_test(an_answer_after_none_is_counted),
        cmocka_unit_test(one_callback_may_cancel_another),
        cmocka_unit_test(the_callers_descriptor_ends_the_wait),
        cmocka_unit_test(who_is_not_there_is_named),
        cmocka_unit_test(names_are_resolved),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
