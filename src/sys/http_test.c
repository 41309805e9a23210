#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/testing.h"
#include "sys/http.h"
#include "sys/http_wire.h"

#include <arpa/inet.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>

/* A server in a thread of its own, and blocking sockets against it. */
enum { MAX_BODY = 100000, FILE_BYTES = 300000 };

static struct event_base *base;
static struct http_server *server;
static struct event *stopper;
static pthread_t thread;
static int stop_pipe[2];
static struct http_request *held;
static atomic_int gone_count, hold_count;
static char file_path[64];

/* ---- handlers ---- */

static void hello(struct http_request *request, void *arg)
{
    http_set_header(request, "X-Test", "a\r\nb");
    http_reply(request, 200, "text/plain", arg, strlen(arg));
}

static void show(struct http_request *request, void *arg)
{
    char text[400];
    const char *id = http_param(request, "id"), *rest = http_param(request, "*"),
               *query = http_query(request, "q");
    snprintf(text, sizeof text, "path=%s id=%s rest=%s q=%s", http_request_path(request), id ? id : "-",
             rest ? rest : "-", query ? query : "-");
    http_reply(request, 200, "text/plain", text, strlen(text));
}

static void echo(struct http_request *request, void *arg)
{
    size_t len;
    const uint8_t *body = http_body(request, &len);
    http_reply(request, 201, NULL, body, len);
}

static void refuse(struct http_request *request, void *arg)
{
    struct err err;
    err_set(&err, ERR_CONFLICT, "not \"now\"");
    http_reply_error(request, &err);
}

static void count_gone(struct http_request *request, void *arg)
{
    held = NULL;
    gone_count++;
}

static void hold(struct http_request *request, void *arg)
{
    held = request;
    http_hold(request, arg ? count_gone : NULL, NULL);
    hold_count++;
}

static void release(struct http_request *request, void *arg)
{
    bool had = held;
    if (held)
        http_reply(held, 200, NULL, "later", 5);
    held = NULL;
    http_reply(request, 200, NULL, had ? "yes" : "no", had ? 3 : 2);
}

static void stream(struct http_request *request, void *arg)
{
    http_stream_start(request, 200, "text/event-stream");
    http_stream_write(request, "one ", 4);
    http_stream_write(request, "", 0);
    http_stream_write(request, "two", 3);
    http_stream_end(request);
}

static void begin_stream(struct http_request *request, void *arg)
{
    http_stream_start(request, 200, "text/event-stream");
    held = request;
    hold_count++;
}

static void end_stream(struct http_request *request, void *arg)
{
    http_stream_end(held);
    held = NULL;
    http_reply(request, 200, NULL, "ended", 5);
}

/* Writes into a peer that reads nothing. */
static void flood(struct http_request *request, void *arg)
{
    static const char block[65536];
    http_hold(request, count_gone, NULL);
    http_stream_start(request, 200, "text/event-stream");
    for (int i = 0; i < 400; i++)
        http_stream_write(request, block, sizeof block);
}

static void file(struct http_request *request, void *arg)
{
    http_reply_file(request, open(file_path, O_RDONLY | O_CLOEXEC), FILE_BYTES, "application/octet-stream",
                    "tag");
}

static void forgetful(struct http_request *request, void *arg)
{
}

static void short_file(struct http_request *request, void *arg)
{
    http_reply_file(request, open(file_path, O_RDONLY | O_CLOEXEC), FILE_BYTES + 10, NULL, NULL);
}

/* ---- the world ---- */

static void stop(evutil_socket_t fd, short what, void *arg)
{
    event_base_loopbreak(base);
}

static void *run_loop(void *arg)
{
    event_base_dispatch(base);
    return NULL;
}

static void add_routes(void)
{
    static const struct {
        enum http_method method;
        const char *pattern;
        http_handler *handler;
        const char *arg;
    } routes[] = {
        {HTTP_GET, "/", hello, "root"},
        {HTTP_GET, "/hello", hello, "hello"},
        {HTTP_GET, "/r/:id/x", show, NULL},
        {HTTP_GET, "/files/*", show, NULL},
        {HTTP_POST, "/echo", echo, NULL},
        {HTTP_PUT, "/echo", echo, NULL},
        {HTTP_GET, "/fail", refuse, NULL},
        {HTTP_GET, "/hold", hold, "tell"},
        {HTTP_GET, "/blind", hold, NULL},
        {HTTP_POST, "/release", release, NULL},
        {HTTP_GET, "/stream", stream, NULL},
        {HTTP_GET, "/stream/begin", begin_stream, NULL},
        {HTTP_POST, "/stream/end", end_stream, NULL},
        {HTTP_GET, "/flood", flood, NULL},
        {HTTP_GET, "/file", file, NULL},
        {HTTP_GET, "/short", short_file, NULL},
        {HTTP_GET, "/forgetful", forgetful, NULL},
    };
    struct err err = {0};
    for (size_t i = 0; i < ARRAY_LEN(routes); i++)
        assert_ok(http_server_handle(server, routes[i].method, routes[i].pattern, routes[i].handler,
                                     (void *)(uintptr_t)routes[i].arg, &err),
                  err);
}

static void write_test_file(void)
{
    snprintf(file_path, sizeof file_path, "/tmp/muster-http-XXXXXX");
    cleanup_close int fd = mkstemp(file_path);
    cleanup_free uint8_t *bytes = mem_zalloc(FILE_BYTES, 1);
    for (size_t i = 0; i < FILE_BYTES; i++)
        bytes[i] = (uint8_t)(i % 251);
    assert_int_equal(write(fd, bytes, FILE_BYTES), FILE_BYTES);
}

static int start(void **state)
{
    struct err err = {0};
    const struct http_server_options options = {
        .host = "127.0.0.1", .max_body_bytes = MAX_BODY, .timeout_s = 1};
    write_test_file();
    gone_count = hold_count = 0;
    held = NULL;
    base = event_base_new();
    assert_ok(http_server_new(base, &options, &server, &err), err);
    add_routes();
    assert_int_equal(pipe(stop_pipe), 0);
    stopper = event_new(base, stop_pipe[0], EV_READ, stop, NULL);
    event_add(stopper, NULL);
    return pthread_create(&thread, NULL, run_loop, NULL);
}

static void stop_loop(void)
{
    close(stop_pipe[1]);
    pthread_join(thread, NULL);
    close(stop_pipe[0]);
    event_free(stopper);
}

static int finish(void **state)
{
    if (base) {
        stop_loop();
        http_server_free(server);
        http_base_free(base);
        base = NULL;
    }
    unlink(file_path);
    return 0;
}

/* ---- a client that knows nothing ---- */

static int dial(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_port = htons(http_server_port(server)),
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct timeval limit = {.tv_sec = 20};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void say(int fd, const char *text)
{
    size_t len = strlen(text);
    assert_int_equal(send(fd, text, len, MSG_NOSIGNAL), len);
}

struct answer {
    struct http_head head;
    struct buf body;
};

static void forget(struct answer *answer)
{
    http_head_fini(&answer->head);
    buf_fini(&answer->body);
}
#define cleanup_answer __attribute__((cleanup(forget)))

static bool get_byte(int fd, struct buf *to)
{
    struct err err = {0};
    uint8_t byte;
    if (recv(fd, &byte, 1, 0) != 1)
        return false;
    assert_ok(buf_put(to, &byte, 1, &err), err);
    return true;
}

static void read_head(int fd, struct answer *answer)
{
    struct err err = {0};
    cleanup_buf struct buf text = BUF_INIT(10000);
    while (!str_ends(buf_text(&text), "\r\n\r\n"))
        if (!get_byte(fd, &text))
            fail_msg("the answer ends in its head: '%s'", buf_text(&text));
    assert_ok(http_head_parse_answer(text.data, text.len, &answer->head, &err), err);
}

/* Returns false if the body is cut. */
static bool read_body(int fd, struct answer *answer)
{
    struct err err = {0};
    struct http_chunks chunks = {0};
    answer->body.max = 1 << 20;
    if (answer->head.framing == HTTP_LENGTH)
        while (answer->body.len < answer->head.content_length)
            if (!get_byte(fd, &answer->body))
                return false;
    for (int rc = 0; answer->head.framing == HTTP_CHUNKED && rc == 0;) {
        uint8_t byte;
        size_t eaten;
        struct http_span span;
        if (recv(fd, &byte, 1, 0) != 1)
            return false;
        rc = http_chunks_next(&chunks, &byte, 1, &eaten, &span, &err);
        assert_true(rc >= 0);
        assert_ok(buf_put(&answer->body, span.data, span.len, &err), err);
    }
    return true;
}

static void read_answer(int fd, struct answer *answer)
{
    read_head(fd, answer);
    assert_true(read_body(fd, answer));
}

static void check_answer(int fd, int status, const char *body)
{
    cleanup_answer struct answer answer = {0};
    read_answer(fd, &answer);
    if (answer.head.status != status || !strstr(buf_text(&answer.body), body))
        fail_msg("%d '%s', wanted %d '%s'", answer.head.status, buf_text(&answer.body), status, body);
}

static void check_closed(int fd)
{
    char byte;
    shutdown(fd, SHUT_WR);
    assert_true(recv(fd, &byte, 1, 0) <= 0);
}

/* ---- tests ---- */

static void routes_and_parameters(void **state)
{
    static const struct {
        const char *target;
        int status;
        const char *body;
    } cases[] = {
        {"/", 200, "root"},
        {"/hello", 200, "hello"},
        {"/hello?x=1", 200, "hello"},
        {"/hello/", 404, "not_found"},
        {"/r/r%201/x?q=a+b%26", 200, "path=/r/r 1/x id=r 1 rest=- q=a b&"},
        {"/r//x", 404, "not_found"},
        {"/r/1/x/y", 404, "not_found"},
        {"/files/a/b%20c", 200, "rest=a/b c"},
        {"/files/", 200, "rest= "},
        {"/files", 404, "not_found"},
        {"/files/../hello", 400, "invalid"},
        {"/files/a%2fb", 400, "invalid"},
        {"/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a", 413, "too_big"},
        {"/fail", 409, "{\"error\":{\"code\":\"conflict\",\"message\":\"not \\\"now\\\"\"}}"},
        {"/echo", 405, "only POST, PUT"},
        {"/forgetful", 500, "no answer from the handler"},
    };
    cleanup_close int fd = dial(); /* all of them on one connection */
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cleanup_free char *request = mem_printf("GET %s HTTP/1.1\r\nHost: m\r\n\r\n", cases[i].target);
        say(fd, request);
        check_answer(fd, cases[i].status, cases[i].body);
    }
}

static void headers_cannot_be_split(void **state)
{
    cleanup_close int fd = dial();
    cleanup_answer struct answer answer = {0};
    say(fd, "GET /hello HTTP/1.1\r\nHost: m\r\n\r\n");
    read_answer(fd, &answer);
    assert_string_equal(http_head_find(&answer.head, "x-test"), "a  b");
}

static void head_has_the_length_and_no_body(void **state)
{
    cleanup_close int fd = dial();
    cleanup_answer struct answer answer = {0};
    say(fd, "HEAD /hello HTTP/1.1\r\nHost: m\r\n\r\n");
    read_head(fd, &answer);
    assert_int_equal(answer.head.status, 200);
    assert_int_equal(answer.head.content_length, 5);
    say(fd, "GET /hello HTTP/1.1\r\nHost: m\r\n\r\n"); /* would fail if a body were in between */
    check_answer(fd, 200, "hello");
}

static void bodies_come_counted_or_in_chunks_and_requests_in_a_row(void **state)
{
    cleanup_close int fd = dial();
    say(fd,
        "POST /echo HTTP/1.1\r\nHost: m\r\nContent-Length: 5\r\n\r\nfirstPOST /echo HTTP/1.1\r\nHost: m\r\n"
        "Transfer-Encoding: chunked\r\n\r\n3\r\nsec\r\n3\r\nond\r\n0\r\n\r\nGET /hello HTTP/1.1\r\nHost: "
        "m\r\n\r\n");
    check_answer(fd, 201, "first");
    check_answer(fd, 201, "second");
    check_answer(fd, 200, "hello");
    say(fd, "POST /echo HTTP/1.1\r\nHost: m\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    cleanup_answer struct answer go_on = {0};
    read_head(fd, &go_on);
    assert_int_equal(go_on.head.status, 100);
    say(fd, "ok");
    check_answer(fd, 201, "ok");
    say(fd, "GET /hello HTTP/1.1\r\nHost: m\r\nConnection: close\r\n\r\n");
    check_answer(fd, 200, "hello");
    check_closed(fd);
}

static void what_is_malformed_is_refused_in_json_and_closed(void **state)
{
    static const struct {
        const char *request;
        int status;
    } cases[] = {
        {"nonsense\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n\r\n", 400},
        {"GET http://m/ HTTP/1.1\r\nHost: m\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: m\r\nHost: n\r\n\r\n", 400},
        {"POST /echo HTTP/1.1\r\nHost: m\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx", 400},
        {"POST /echo HTTP/1.1\r\nHost: m\r\nContent-Length: 5\r\nTransfer-Encoding: "
         "chunked\r\n\r\n0\r\n\r\nGET /hello",
         400},
        {"POST /echo HTTP/1.1\r\nHost: m\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400},
        {"POST /echo HTTP/1.1\r\nHost: m\r\nContent-Length: 100001\r\n\r\n", 413},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cleanup_close int fd = dial();
        say(fd, cases[i].request);
        check_answer(fd, cases[i].status, "{\"error\":{\"code\":");
        check_closed(fd);
    }
}

static void sizes_are_limited(void **state)
{
    cleanup_buf struct buf big = BUF_INIT(1 << 20);
    struct err err = {0};
    assert_ok(buf_puts(&big, "GET / HTTP/1.1\r\nHost: m\r\n", &err), err);
    for (int i = 0; i < 100; i++)
        assert_ok(buf_printf(&big, &err, "X-%d: y\r\n", i), err);
    cleanup_close int many = dial();
    assert_ok(buf_puts(&big, "\r\n", &err), err);
    say(many, buf_text(&big));
    check_answer(many, 413, "header fields");
    check_closed(many);

    buf_reset(&big);
    assert_ok(buf_printf(&big, &err, "GET / HTTP/1.1\r\nHost: m\r\nX: %09000d", 1), err);
    cleanup_close int endless_head = dial();
    say(endless_head, buf_text(&big));
    check_answer(endless_head, 413, "too_big");
    check_closed(endless_head);

    buf_reset(&big);
    assert_ok(buf_puts(&big, "POST /echo HTTP/1.1\r\nHost: m\r\nTransfer-Encoding: chunked\r\n\r\n", &err),
              err);
    for (int i = 0; i < 110; i++)
        assert_ok(buf_printf(&big, &err, "3e8\r\n%01000d\r\n", i), err);
    cleanup_close int endless_body = dial();
    say(endless_body, buf_text(&big));
    check_answer(endless_body, 413, "too_big");
    check_closed(endless_body);
}

static void slow_requests_are_given_up(void **state)
{
    cleanup_close int head = dial();
    cleanup_close int idle = dial();
    cleanup_close int body = dial();
    say(head, "GET / HTTP/1.1\r\nHo");
    say(body, "POST /echo HTTP/1.1\r\nHost: m\r\nContent-Length: 5\r\n\r\nab");
    check_answer(head, 408, "timeout");
    check_answer(body, 408, "timeout");
    char byte;
    assert_int_equal(recv(idle, &byte, 1, 0), 0);
}

static void a_held_request_is_answered_later(void **state)
{
    cleanup_close int waiting = dial();
    cleanup_close int other = dial();
    say(waiting, "GET /hold HTTP/1.1\r\nHost: m\r\n\r\nGET /hello HTTP/1.1\r\nHost: m\r\n\r\n");
    while (hold_count == 0)
        usleep(1000);
    say(other, "POST /release HTTP/1.1\r\nHost: m\r\n\r\n");
    check_answer(other, 200, "yes");
    check_answer(waiting, 200, "later");
    check_answer(waiting, 200, "hello");
    close(TAKE_FD(waiting));
    say(other, "GET /hello HTTP/1.1\r\nHost: m\r\n\r\n");
    check_answer(other, 200, "hello");
    assert_int_equal(gone_count, 0); /* it was answered: nobody is told */
}

static void a_peer_that_hangs_up_is_reported_once(void **state)
{
    int waiting = dial();
    cleanup_close int other = dial();
    say(waiting, "GET /hold HTTP/1.1\r\nHost: m\r\n\r\n");
    while (hold_count == 0)
        usleep(1000);
    close(waiting);
    while (gone_count == 0)
        usleep(1000);
    say(other, "POST /release HTTP/1.1\r\nHost: m\r\n\r\n");
    check_answer(other, 200, "no");
    assert_int_equal(gone_count, 1);
}

static void without_a_gone_callback_the_handle_stays_good(void **state)
{
    int waiting = dial();
    cleanup_close int other = dial();
    say(waiting, "GET /blind HTTP/1.1\r\nHost: m\r\n\r\n");
    while (hold_count == 0)
        usleep(1000);
    close(waiting);
    say(other, "GET /hello HTTP/1.1\r\nHost: m\r\n\r\n");
    check_answer(other, 200, "hello");
    say(other, "POST /release HTTP/1.1\r\nHost: m\r\n\r\n"); /* ASan would tell */
    check_answer(other, 200, "yes");
}

static void streams_end_and_floods_are_cut(void **state)
{
    cleanup_close int fd = dial();
    say(fd, "GET /stream HTTP/1.1\r\nHost: m\r\n\r\n");
    check_answer(fd, 200, "one two");
    say(fd, "GET /flood HTTP/1.1\r\nHost: m\r\n\r\n");
    while (gone_count == 0)
        usleep(1000);
    cleanup_answer struct answer answer = {0};
    read_head(fd, &answer);
    answer.body.max = 1;
    char sink[65536];
    while (recv(fd, sink, sizeof sink, 0) > 0)
        ;
    assert_int_equal(gone_count, 1);
}

/* The end of a stream without a body writes nothing, so no write tells of it. */
static void after_the_head_of_a_stream_the_connection_goes_on(void **state)
{
    cleanup_close int fd = dial();
    cleanup_close int other = dial();
    cleanup_answer struct answer answer = {0};
    say(fd, "HEAD /stream/begin HTTP/1.1\r\nHost: m\r\n\r\n");
    read_head(fd, &answer);
    while (hold_count == 0)
        usleep(1000);
    say(other, "POST /stream/end HTTP/1.1\r\nHost: m\r\n\r\n");
    check_answer(other, 200, "ended");
    say(fd, "GET /hello HTTP/1.1\r\nHost: m\r\n\r\n");
    check_answer(fd, 200, "hello");
}

static void check_file_part(const char *fields, int status, uint64_t first, uint64_t len)
{
    cleanup_close int fd = dial();
    cleanup_answer struct answer answer = {0};
    cleanup_free char *request = mem_printf("GET /file HTTP/1.1\r\nHost: m\r\n%s\r\n", fields);
    say(fd, request);
    read_answer(fd, &answer);
    assert_int_equal(answer.head.status, status);
    assert_int_equal(answer.body.len, len);
    assert_string_equal(http_head_find(&answer.head, "etag"), "\"tag\"");
    for (uint64_t i = 0; i < len; i++)
        assert_int_equal(answer.body.data[i], (uint8_t)((first + i) % 251));
    const char *range = http_head_find(&answer.head, "content-range");
    cleanup_free char *want = mem_printf("bytes %llu-%llu/%d", (unsigned long long)first,
                                         (unsigned long long)(first + len - 1), FILE_BYTES);
    if (status == 206)
        assert_string_equal(range, want);
    if (status == 416)
        assert_string_equal(range, "bytes */300000");
}

static void files_come_whole_or_in_part(void **state)
{
    check_file_part("", 200, 0, FILE_BYTES);
    check_file_part("Range: bytes=0-\r\n", 206, 0, FILE_BYTES);
    check_file_part("Range: bytes=299990-\r\n", 206, 299990, 10);
    check_file_part("Range: bytes=10-10\r\n", 206, 10, 1);
    check_file_part("Range: bytes=-5\r\nIf-Range: \"tag\"\r\n", 206, 299995, 5);
    check_file_part("Range: bytes=5-6\r\nIf-Range: \"other\"\r\n", 200, 0, FILE_BYTES);
    check_file_part("Range: bytes=0-1,5-6\r\n", 200, 0, FILE_BYTES);
    check_file_part("Range: bytes=300000-\r\n", 416, 0, 0);
}

static void a_file_shorter_than_told_is_cut_and_not_padded(void **state)
{
    cleanup_close int fd = dial();
    cleanup_answer struct answer answer = {0};
    say(fd, "GET /short HTTP/1.1\r\nHost: m\r\n\r\n");
    read_head(fd, &answer);
    assert_int_equal(answer.head.content_length, FILE_BYTES + 10);
    assert_false(read_body(fd, &answer));
}

static void draining_answers_who_waits(void **state)
{
    cleanup_close int waiting = dial();
    say(waiting, "GET /hold HTTP/1.1\r\nHost: m\r\n\r\n");
    while (hold_count == 0)
        usleep(1000);
    stop_loop();
    http_server_free(server);
    http_base_free(base);
    base = NULL;
    assert_int_equal(gone_count, 1);
    check_answer(waiting, 503, "shutting down");
    check_closed(waiting);
}

static void a_port_in_use_is_one_clear_error(void **state)
{
    struct err err = {0};
    struct http_server *second;
    struct http_server_options options = {.host = "127.0.0.1", .port = http_server_port(server)};
    struct event_base *own = event_base_new();
    assert_fails(http_server_new(own, &options, &second, &err), err, ERR_BUSY);
    options.host = "no host";
    assert_fails(http_server_new(own, &options, &second, &err), err, ERR_INVALID);
    event_base_free(own);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, finish)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(routes_and_parameters),
        TEST(headers_cannot_be_split),
        TEST(head_has_the_length_and_no_body),
        TEST(bodies_come_counted_or_in_chunks_and_requests_in_a_row),
        TEST(what_is_malformed_is_refused_in_json_and_closed),
        TEST(sizes_are_limited),
        TEST(slow_requests_are_given_up),
        TEST(a_held_request_is_answered_later),
        TEST(a_peer_that_hangs_up_is_reported_once),
        TEST(without_a_gone_callback_the_handle_stays_good),
        TEST(streams_end_and_floods_are_cut),
        TEST(after_the_head_of_a_stream_the_connection_goes_on),
        TEST(files_come_whole_or_in_part),
        TEST(a_file_shorter_than_told_is_cut_and_not_padded),
        TEST(draining_answers_who_waits),
        TEST(a_port_in_use_is_one_clear_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
