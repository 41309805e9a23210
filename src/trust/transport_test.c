/* The transport as a fleet uses it: server and client over real TLS, with certificates of a real CA. */
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/testing.h"
#include "sys/fetch.h"
#include "sys/file.h"
#include "sys/http.h"
#include "sys/tls.h"
#include "trust/ca.h"

#include <event2/event.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>

enum { BLOB_BYTES = 3000000 };

static char dir[64];
static int64_t now_s;
static struct event_base *base;
static struct http_server *robot_port, *open_port;
static struct ssl_ctx_st *robot_tls, *open_tls;
static struct event *stopper;
static pthread_t thread;
static int stop_pipe[2];
static atomic_int gone_count, hold_count;
static char robot_serial[CERT_SERIAL_SIZE];

/* ---- server ---- */

static void whoami(struct http_request *request, void *arg)
{
    const char *name = http_client_name(request), *serial = http_client_serial(request);
    char text[200];
    snprintf(text, sizeof text, "%s %s", name ? name : "-", serial ? serial : "-");
    http_reply(request, 200, "text/plain", text, strlen(text));
}

static void blob(struct http_request *request, void *arg)
{
    cleanup_free char *path = file_join(dir, "blob");
    http_reply_file(request, open(path, O_RDONLY | O_CLOEXEC), BLOB_BYTES, NULL, "blob");
}

static void upload(struct http_request *request, void *arg)
{
    size_t len;
    char text[32];
    http_body(request, &len);
    snprintf(text, sizeof text, "%zu", len);
    http_reply(request, 201, "text/plain", text, strlen(text));
}

static void count_gone(struct http_request *request, void *arg)
{
    gone_count++;
}

static void hold(struct http_request *request, void *arg)
{
    http_hold(request, count_gone, NULL);
    hold_count++;
}

static struct http_server *make_server(struct ssl_ctx_st *tls)
{
    struct err err = {0};
    struct http_server *server = NULL;
    const struct http_server_options options = {.host = "127.0.0.1", .tls = tls};
    assert_ok(http_server_new(base, &options, &server, &err), err);
    assert_ok(http_server_handle(server, HTTP_GET, "/whoami", whoami, NULL, &err), err);
    assert_ok(http_server_handle(server, HTTP_GET, "/blob", blob, NULL, &err), err);
    assert_ok(http_server_handle(server, HTTP_PUT, "/upload", upload, NULL, &err), err);
    assert_ok(http_server_handle(server, HTTP_GET, "/hold", hold, NULL, &err), err);
    return server;
}

static void stop(evutil_socket_t fd, short what, void *arg)
{
    event_base_loopbreak(base);
}

static void *run_loop(void *arg)
{
    event_base_dispatch(base);
    return NULL;
}

static void save(const char *name, const char *text)
{
    struct err err = {0};
    cleanup_free char *path = file_join(dir, name);
    assert_ok(file_replace(path, text, strlen(text), 0600, &err), err);
}

/* A robot "r1" of CA folder `ca`; its files are `name`.pem and `name`.key. */
static void enroll(const char *ca, const char *name, int64_t from_s, int64_t valid_s,
                   char serial[CERT_SERIAL_SIZE])
{
    struct err err = {0};
    cleanup_free char *key_path = mem_printf("%s/%s.key", dir, name);
    cleanup_free char *pem_name = mem_printf("%s.pem", name);
    cleanup_free char *csr = NULL;
    cleanup_free char *pem = NULL;
    assert_ok(csr_make(key_path, "r1", &csr, &err), err);
    assert_ok(ca_sign_csr(ca, csr, strlen(csr), "r1", valid_s, from_s, &pem, serial, &err), err);
    save(pem_name, pem);
}

static void make_certificates(void)
{
    struct err err = {0};
    char serial[CERT_SERIAL_SIZE];
    cleanup_free char *other = file_join(dir, "other");
    assert_ok(ca_init(dir, "127.0.0.1,localhost", now_s, &err), err);
    assert_ok(ca_init(other, "127.0.0.1", now_s, &err), err);
    enroll(dir, "robot", now_s, 3600, robot_serial);
    enroll(dir, "expired", now_s - 86400, 3600, serial);
    enroll(other, "stranger", now_s, 3600, serial);
}

static struct ssl_ctx_st *server_tls(bool want_client)
{
    struct err err = {0};
    struct ssl_ctx_st *ctx = NULL;
    cleanup_free char *cert = file_join(dir, "server.pem");
    cleanup_free char *key = file_join(dir, "server.key");
    cleanup_free char *ca = file_join(dir, "ca.pem");
    assert_ok(tls_server_context(cert, key, want_client ? ca : NULL, &ctx, &err), err);
    return ctx;
}

static int start(void **state)
{
    now_s = clock_wall_ms() / 1000;
    gone_count = hold_count = 0;
    snprintf(dir, sizeof dir, "/tmp/muster-transport-XXXXXX");
    assert_non_null(mkdtemp(dir));
    make_certificates();
    struct err err = {0};
    cleanup_free char *path = file_join(dir, "blob");
    cleanup_free uint8_t *bytes = mem_zalloc(BLOB_BYTES, 1);
    for (size_t i = 0; i < BLOB_BYTES; i++)
        bytes[i] = (uint8_t)(i % 253);
    assert_ok(file_replace(path, bytes, BLOB_BYTES, 0600, &err), err);
    base = event_base_new();
    robot_tls = server_tls(true);
    open_tls = server_tls(false);
    robot_port = make_server(robot_tls);
    open_port = make_server(open_tls);
    assert_int_equal(pipe(stop_pipe), 0);
    stopper = event_new(base, stop_pipe[0], EV_READ, stop, NULL);
    event_add(stopper, NULL);
    return pthread_create(&thread, NULL, run_loop, NULL);
}

static void stop_servers(void)
{
    close(stop_pipe[1]);
    pthread_join(thread, NULL);
    close(stop_pipe[0]);
    event_free(stopper);
    http_server_free(robot_port);
    http_server_free(open_port);
    tls_context_free(robot_tls);
    tls_context_free(open_tls);
    http_base_free(base);
    base = NULL;
}

static int finish(void **state)
{
    struct err err = {0};
    if (base)
        stop_servers();
    return file_remove_tree(dir, &err);
}

/* ---- client ---- */

/* `ca` is a folder below dir ("" for dir itself); `who` the name of a certificate, NULL for none. */
static struct fetch *client(const char *ca, const char *who)
{
    struct err err = {0};
    struct fetch *fetch = NULL;
    cleanup_free char *ca_path = mem_printf("%s/%s/ca.pem", dir, ca);
    cleanup_free char *cert = who ? mem_printf("%s/%s.pem", dir, who) : NULL;
    cleanup_free char *key = who ? mem_printf("%s/%s.key", dir, who) : NULL;
    const struct fetch_options options = {.ca_path = ca_path, .cert_path = cert, .key_path = key};
    assert_ok(fetch_new(&options, &fetch, &err), err);
    return fetch;
}

static const char *url_of(const struct http_server *server, const char *host, const char *path)
{
    static char url[100];
    snprintf(url, sizeof url, "https://%s:%u%s", host, http_server_port(server), path);
    return url;
}

static void check_refused(struct fetch *fetch, const struct fetch_request *request, enum err_code code,
                          const char *why)
{
    struct err err = {0};
    struct fetch_response response;
    assert_fails(fetch_once(fetch, request, &response, &err), err, code);
    if (!strstr(err.text, why))
        fail_msg("'%s' does not say '%s'", err.text, why);
    assert_int_equal(response.status, 0);
    buf_fini(&response.body);
    fetch_free(fetch);
}

/* ---- tests ---- */

static void the_server_knows_who_calls(void **state)
{
    struct err err = {0};
    struct fetch *fetch = client("", "robot");
    cleanup_free char *want = mem_printf("r1 %s", robot_serial);
    for (int i = 0; i < 3; i++) { /* the first over a new connection, the others over the kept one */
        struct fetch_response response;
        const struct fetch_request request = {.method = "GET",
                                              .url = url_of(robot_port, "127.0.0.1", "/whoami")};
        assert_ok(fetch_once(fetch, &request, &response, &err), err);
        assert_string_equal(buf_text(&response.body), want);
        buf_fini(&response.body);
    }
    fetch_free(fetch);
}

static void the_robot_port_refuses_strangers_in_the_handshake(void **state)
{
    const struct fetch_request request = {.method = "GET", .url = url_of(robot_port, "127.0.0.1", "/whoami")};
    check_refused(client("", NULL), &request, ERR_DENIED, "refused our certificate");
    check_refused(client("", "stranger"), &request, ERR_DENIED, "refused our certificate");
    check_refused(client("", "expired"), &request, ERR_DENIED, "refused our certificate");
    check_refused(client("", "server"), &request, ERR_DENIED,
                  "refused our certificate"); /* not for clients */
}

/* The refusal comes while the client is still sending. */
static void a_refusal_is_told_also_in_the_middle_of_an_upload(void **state)
{
    static char body[4000000];
    const struct fetch_request request = {.method = "PUT",
                                          .url = url_of(robot_port, "127.0.0.1", "/upload"),
                                          .body = body,
                                          .body_len = sizeof body};
    for (int i = 0; i < 5; i++)
        check_refused(client("", NULL), &request, ERR_DENIED, "refused our certificate");
}

static void an_upload_that_is_too_big_gets_its_413(void **state)
{
    static char body[9000000];
    struct err err = {0};
    struct fetch *fetch = client("", "robot");
    struct fetch_response response;
    struct fetch_request request = {.method = "PUT",
                                    .url = url_of(robot_port, "127.0.0.1", "/upload"),
                                    .body = body,
                                    .body_len = sizeof body};
    assert_fails(fetch_once(fetch, &request, &response, &err), err, ERR_TOO_BIG);
    assert_int_equal(response.status, 413);
    assert_non_null(strstr(buf_text(&response.body), "\"code\":\"too_big\""));
    buf_fini(&response.body);
    request.body_len = 8 << 20;
    assert_ok(fetch_once(fetch, &request, &response, &err), err);
    assert_string_equal(buf_text(&response.body), "8388608");
    buf_fini(&response.body);
    fetch_free(fetch);
}

static void the_client_refuses_servers_that_are_not_ours(void **state)
{
    struct fetch_request request = {.method = "GET", .url = url_of(open_port, "127.0.0.1", "/whoami")};
    check_refused(client("other", NULL), &request, ERR_UNTRUSTED, "server certificate of 127.0.0.1:");
    request.url =
        url_of(open_port, "127.0.0.2", "/whoami"); /* a sound certificate, but for another address */
    struct err err = {0};
    struct fetch *fetch = client("", NULL);
    struct fetch_response response;
    assert_int_equal(fetch_once(fetch, &request, &response, &err), -1);
    assert_true(err.code == ERR_UNTRUSTED || err.code == ERR_UNREACHABLE);
    buf_fini(&response.body);
    fetch_free(fetch);
}

/* With another certificate. */
static void restart_servers(const char *hosts, int64_t issued_s)
{
    struct err err = {0};
    cleanup_free char *server = file_join(dir, "server.pem");
    unlink(server);
    assert_ok(ca_init(dir, hosts, issued_s, &err), err);
    stop_servers();
    base = event_base_new();
    robot_tls = server_tls(true);
    open_tls = server_tls(false);
    robot_port = make_server(robot_tls);
    open_port = make_server(open_tls);
    assert_int_equal(pipe(stop_pipe), 0);
    stopper = event_new(base, stop_pipe[0], EV_READ, stop, NULL);
    event_add(stopper, NULL);
    assert_int_equal(pthread_create(&thread, NULL, run_loop, NULL), 0);
}

static void the_host_name_is_checked(void **state)
{
    restart_servers("elsewhere.example", now_s);
    const char *const hosts[] = {"127.0.0.1", "localhost"};
    for (int i = 0; i < 2; i++) {
        const struct fetch_request request = {.method = "GET", .url = url_of(open_port, hosts[i], "/whoami")};
        check_refused(client("", NULL), &request, ERR_UNTRUSTED, "mismatch");
    }
}

static void without_client_certificates_there_is_no_name(void **state)
{
    struct err err = {0};
    struct fetch *fetch = client("", NULL);
    struct fetch_response response;
    const struct fetch_request request = {.method = "GET", .url = url_of(open_port, "localhost", "/whoami")};
    assert_ok(fetch_once(fetch, &request, &response, &err), err);
    assert_string_equal(buf_text(&response.body), "- -");
    buf_fini(&response.body);
    fetch_free(fetch);
}

struct download {
    uint64_t at, cut_at;
};

static int check_bytes(const void *data, size_t len, void *arg, struct err *err)
{
    struct download *download = arg;
    for (size_t i = 0; i < len; i++)
        assert_int_equal(((const uint8_t *)data)[i], (uint8_t)((download->at + i) % 253));
    download->at += len;
    return download->cut_at && download->at >= download->cut_at ? err_set(err, ERR_CONFLICT, "power cut") : 0;
}

static void a_download_that_was_cut_is_resumed(void **state)
{
    struct err err = {0};
    struct download download = {.cut_at = 1000000};
    struct fetch_request request = {.method = "GET",
                                    .url = url_of(robot_port, "127.0.0.1", "/blob"),
                                    .sink = check_bytes,
                                    .sink_arg = &download,
                                    .max_bytes = BLOB_BYTES};
    struct fetch *fetch = client("", "robot");
    struct fetch_response response;
    assert_fails(fetch_once(fetch, &request, &response, &err), err, ERR_CONFLICT);
    buf_fini(&response.body);
    request.resume_from = download.at;
    download.cut_at = 0;
    assert_ok(fetch_once(fetch, &request, &response, &err), err);
    assert_int_equal(response.status, 206);
    assert_int_equal(download.at, BLOB_BYTES);
    buf_fini(&response.body);
    request.resume_from = BLOB_BYTES;
    assert_fails(fetch_once(fetch, &request, &response, &err), err, ERR_CONFLICT);
    buf_fini(&response.body);
    fetch_free(fetch);
}

static void never(const struct fetch_response *response, void *arg)
{
    fail_msg("called after fetch_cancel");
}

static void a_cancelled_long_poll_is_gone_at_the_server(void **state)
{
    struct err err = {0};
    struct fetch *fetch = client("", "robot");
    int id;
    const struct fetch_request request = {.method = "GET", .url = url_of(robot_port, "127.0.0.1", "/hold")};
    assert_ok(fetch_start(fetch, &request, never, NULL, &id, &err), err);
    while (hold_count == 0)
        assert_ok(fetch_poll(fetch, -1, 10, &err), err);
    fetch_cancel(fetch, id);
    assert_ok(fetch_poll(fetch, -1, 0, &err), err);
    while (gone_count == 0)
        usleep(1000);
    fetch_free(fetch);
}

static void keep_response(const struct fetch_response *response, void *arg)
{
    *(int *)arg = response->status;
}

static void draining_answers_a_long_poll_over_tls(void **state)
{
    struct err err = {0};
    struct fetch *fetch = client("", "robot");
    int status = -1;
    const struct fetch_request request = {.method = "GET", .url = url_of(robot_port, "127.0.0.1", "/hold")};
    assert_ok(fetch_start(fetch, &request, keep_response, &status, NULL, &err), err);
    while (hold_count == 0)
        assert_ok(fetch_poll(fetch, -1, 10, &err), err);
    stop_servers();
    while (status < 0)
        assert_ok(fetch_poll(fetch, -1, 10, &err), err);
    assert_int_equal(status, 503);
    assert_int_equal(gone_count, 1);
    fetch_free(fetch);
}

/* A robot whose clock stands at some time before the server's certificate began. */
static void a_clock_that_is_behind_has_a_floor(void **state)
{
    enum { DAY_S = 86400 };
    struct err err = {0};
    struct fetch_response response;
    restart_servers("127.0.0.1", now_s + 2 * DAY_S);
    const struct fetch_request request = {.method = "GET", .url = url_of(open_port, "127.0.0.1", "/whoami")};
    check_refused(client("", NULL), &request, ERR_UNTRUSTED, "not yet valid");
    struct fetch *fetch = client("", NULL);
    fetch_raise_clock_floor(fetch, now_s + 3 * DAY_S);
    fetch_raise_clock_floor(fetch, now_s); /* never back */
    assert_ok(fetch_once(fetch, &request, &response, &err), err);
    buf_fini(&response.body);
    fetch_free(fetch);
    fetch = client("", NULL); /* and it opens nothing that is over */
    fetch_raise_clock_floor(fetch, now_s + 5000LL * DAY_S);
    check_refused(fetch, &request, ERR_UNTRUSTED, "expired");
}

static void expect_serial(struct fetch *fetch, const char *serial)
{
    struct err err = {0};
    struct fetch_response response;
    const struct fetch_request request = {.method = "GET", .url = url_of(robot_port, "127.0.0.1", "/whoami")};
    cleanup_free char *want = mem_printf("r1 %s", serial);
    assert_ok(fetch_once(fetch, &request, &response, &err), err);
    assert_string_equal(buf_text(&response.body), want);
    buf_fini(&response.body);
}

static void keep_text(const struct fetch_response *response, void *arg)
{
    str_copy(arg, 200, buf_text(&response->body));
}

static void an_identity_is_exchanged_under_running_transfers(void **state)
{
    struct err err = {0};
    char serial[CERT_SERIAL_SIZE], waiting[200] = "";
    int status = -1;
    struct download download = {0};
    struct fetch *fetch = client("", "robot");
    cleanup_free char *ca = file_join(dir, "ca.pem");
    cleanup_free char *cert = file_join(dir, "next.pem");
    cleanup_free char *key = file_join(dir, "next.key");
    cleanup_free char *other_key = file_join(dir, "robot.key");
    cleanup_free char *blob_url = mem_strdup(url_of(robot_port, "127.0.0.1", "/blob"));
    cleanup_free char *who_url = mem_strdup(url_of(robot_port, "127.0.0.1", "/whoami"));
    enroll(dir, "next", now_s, 3600, serial);
    expect_serial(fetch, robot_serial);
    const struct fetch_request get = {.method = "GET",
                                      .url = blob_url,
                                      .sink = check_bytes,
                                      .sink_arg = &download,
                                      .max_bytes = BLOB_BYTES};
    const struct fetch_request who = {.method = "GET", .url = who_url};
    assert_ok(fetch_start(fetch, &get, keep_response, &status, NULL, &err), err);
    while (download.at == 0)
        assert_ok(fetch_poll(fetch, -1, 10, &err), err);
    assert_ok(fetch_start(fetch, &who, keep_text, waiting, NULL, &err), err); /* not begun */
    assert_fails(fetch_use_identity(fetch, ca, cert, other_key, &err), err, ERR_CONFLICT);
    assert_ok(fetch_use_identity(fetch, ca, cert, key, &err), err);
    while (status < 0 || !waiting[0])
        assert_ok(fetch_poll(fetch, -1, 10, &err), err);
    assert_int_equal(status, 200);
    assert_int_equal(download.at, BLOB_BYTES);
    assert_non_null(strstr(waiting, serial));
    expect_serial(fetch, serial); /* nor is the download's connection used again */
    expect_serial(fetch, serial);
    fetch_free(fetch);
}

static void unfit_files_are_one_clear_error(void **state)
{
    struct err err = {0};
    struct ssl_ctx_st *ctx;
    cleanup_free char *cert = file_join(dir, "server.pem");
    cleanup_free char *key = file_join(dir, "server.key");
    cleanup_free char *other_key = file_join(dir, "ca.key");
    cleanup_free char *missing = file_join(dir, "missing");
    assert_fails(tls_server_context(cert, other_key, NULL, &ctx, &err), err, ERR_CONFLICT);
    assert_fails(tls_server_context(missing, key, NULL, &ctx, &err), err, ERR_NOT_FOUND);
    assert_fails(tls_server_context(key, key, NULL, &ctx, &err), err, ERR_INVALID);
    assert_fails(tls_server_context(cert, cert, NULL, &ctx, &err), err, ERR_INVALID);
    assert_fails(tls_client_context(key, NULL, NULL, &ctx, &err), err, ERR_INVALID);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, finish)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_server_knows_who_calls),
        TEST(a_clock_that_is_behind_has_a_floor),
        TEST(an_identity_is_exchanged_under_running_transfers),
        TEST(the_robot_port_refuses_strangers_in_the_handshake),
        TEST(a_refusal_is_told_also_in_the_middle_of_an_upload),
        TEST(an_upload_that_is_too_big_gets_its_413),
        TEST(the_client_refuses_servers_that_are_not_ours),
        TEST(the_host_name_is_checked),
        TEST(without_client_certificates_there_is_no_name),
        TEST(a_download_that_was_cut_is_resumed),
        TEST(a_cancelled_long_poll_is_gone_at_the_server),
        TEST(draining_answers_a_long_poll_over_tls),
        TEST(unfit_files_are_one_clear_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
