#include "robot/agent/fake_fleet.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/testing.h"
#include "release/image.h"
#include "sys/file.h"
#include "trust/ca.h"
#include "wire/otlp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>

enum { MAX_REPORTS = 2000, MAX_TALLIES = 64, MAX_BLOBS = 512, MAX_STREAMS = 64 };

struct blob_book {
    struct digest digest;
    enum fault fault;
    int times;
    unsigned requests;
    uint64_t last_range;
};

struct stream_book {
    char stream[33];
    uint64_t last;
};

static struct {
    pthread_mutex_t lock;
    char ca_dir[256], layout[256];
    int listen_fd;
    uint16_t port;
    pthread_t thread;
    bool stop;
    size_t report_count;
    struct api_report reports[MAX_REPORTS];
    struct stream_book report_streams[MAX_STREAMS], metric_streams[MAX_STREAMS];
    struct {
        struct digest release;
        uint64_t frames;
    } tallies[MAX_TALLIES];
    struct blob_book blobs[MAX_BLOBS];
    bool gap;
    int astray_status, astray; /* the next exports get this status from somebody else */
    fleet_part *part;
} fleet = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Books; all under the lock. */

static struct blob_book *blob_book(const struct digest *digest)
{
    struct blob_book *unused = NULL;
    for (size_t i = 0; i < MAX_BLOBS; i++) {
        if (digest_equal(&fleet.blobs[i].digest, digest))
            return &fleet.blobs[i];
        if (!unused && digest_is_zero(&fleet.blobs[i].digest))
            unused = &fleet.blobs[i];
    }
    assert_non_null(unused);
    unused->digest = *digest;
    return unused;
}

static struct stream_book *stream_book(struct stream_book *books, const char *stream)
{
    for (size_t i = 0; i < MAX_STREAMS; i++) {
        if (!books[i].stream[0])
            str_copy(books[i].stream, sizeof books[i].stream, stream);
        if (str_eq(books[i].stream, stream))
            return &books[i];
    }
    fail_msg("too many streams");
    return NULL;
}

/* Answers. */

struct call {
    int fd;
    char method[8], path[256], query[128];
    int64_t range;
    struct buf body;
};

static bool send_all(int fd, const void *data, size_t len)
{
    for (const char *at = data; len > 0;) {
        ssize_t put = send(fd, at, len, MSG_NOSIGNAL);
        if (put <= 0)
            return false;
        at += put;
        len -= (size_t)put;
    }
    return true;
}

static bool send_head(const struct call *call, int status, uint64_t len, const char *extra)
{
    char head[512];
    int used = snprintf(head, sizeof head,
                        "HTTP/1.1 %d X\r\nContent-Length: %llu\r\nConnection: close\r\nContent-Type: "
                        "application/octet-stream\r\n%s\r\n",
                        status, (unsigned long long)len, extra);
    return send_all(call->fd, head, (size_t)used);
}

static void reply(const struct call *call, int status, const void *data, size_t len)
{
    if (status == 204) {
        static const char none[] = "HTTP/1.1 204 X\r\nConnection: close\r\n\r\n";
        send_all(call->fd, none, strlen(none));
    } else if (send_head(call, status, len, "")) {
        send_all(call->fd, data, len);
    }
}

static void reply_error(const struct call *call, const struct err *err)
{
    cleanup_free char *text = api_error_format(err);
    reply(call, err_http_status(err->code), text, strlen(text));
}

static void wait_for_peer(int fd)
{
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    poll(&wait, 1, 20000);
}

static void send_endless(int fd)
{
    char noise[4096];
    memset(noise, 'x', sizeof noise);
    for (int i = 0; i < 100000 && send_all(fd, noise, sizeof noise); i++)
        ;
}

static void send_body(const struct call *call, struct buf *body, enum fault fault)
{
    char range[128] = "";
    size_t from = (size_t)MAX(call->range, (int64_t)0), len = body->len - MIN(from, body->len);
    if (call->range >= 0)
        snprintf(range, sizeof range, "Content-Range: bytes %zu-%zu/%zu\r\n", from, body->len - 1, body->len);
    if (fault == FAULT_FLIP)
        body->data[from + len / 2] ^= 1;
    if (fault == FAULT_ENDLESS) {
        static const char head[] = "HTTP/1.1 200 X\r\nConnection: close\r\n\r\n";
        if (send_all(call->fd, head, strlen(head)))
            send_endless(call->fd);
        return;
    }
    bool part = fault == FAULT_TRUNCATE || fault == FAULT_STALL;
    if (!send_head(call, call->range >= 0 ? 206 : 200, len, range) ||
        !send_all(call->fd, body->data + from, part ? len / 2 : len))
        return;
    if (fault == FAULT_STALL)
        wait_for_peer(call->fd);
}

static void get_blob(const struct call *call, const char *name)
{
    struct digest digest;
    struct err err = {0};
    cleanup_buf struct buf body = BUF_INIT(1 << 24);
    cleanup_free char *path = digest_parse(name, &digest) ? image_blob_path(fleet.layout, &digest) : NULL;
    if (!path || file_read(path, &body, &err) < 0) {
        err_set(&err, ERR_NOT_FOUND, "no such blob");
        reply_error(call, &err);
        return;
    }
    pthread_mutex_lock(&fleet.lock);
    struct blob_book *book = blob_book(&digest);
    enum fault fault = book->times > 0 ? book->fault : FAULT_NONE;
    book->times -= book->times > 0;
    book->requests++;
    book->last_range = (uint64_t)MAX(call->range, (int64_t)0);
    pthread_mutex_unlock(&fleet.lock);
    if (fault == FAULT_ERROR) {
        err_set(&err, ERR_BUSY, "busy");
        reply_error(call, &err);
    } else {
        send_body(call, &body, fault);
    }
}

static void post_enroll(const struct call *call)
{
    struct err err = {0};
    char serial[CERT_SERIAL_SIZE];
    cleanup_free char *pem = NULL;
    struct api_enroll *asked = mem_zalloc(1, sizeof *asked);
    struct api_enrolled *answer = mem_zalloc(1, sizeof *answer);
    cleanup_buf struct buf ca = BUF_INIT(1 << 16);
    cleanup_free char *ca_path = file_join(fleet.ca_dir, "ca.pem");
    if (api_enroll_parse(call->body.data, call->body.len, asked, &err) == 0 &&
        !str_eq(asked->token, "good-token"))
        err_set(&err, ERR_DENIED, "the token is unknown or used");
    if (err.code != ERR_NONE || file_read(ca_path, &ca, &err) < 0 ||
        ca_sign_csr(fleet.ca_dir, asked->csr, strlen(asked->csr), "r1", 86400, clock_wall_ms() / 1000, &pem,
                    serial, &err) < 0) {
        reply_error(call, &err);
    } else {
        str_copy(answer->robot, sizeof answer->robot, "r1");
        str_copy(answer->certificate, sizeof answer->certificate, pem);
        str_copy(answer->ca, sizeof answer->ca, buf_text(&ca));
        cleanup_free char *text = api_enrolled_format(answer);
        reply(call, 200, text, strlen(text));
    }
    free(asked);
    free(answer);
}

static void post_reports(const struct call *call)
{
    struct err err = {0};
    struct api_reports *reports = mem_zalloc(1, sizeof *reports);
    if (api_reports_parse(call->body.data, call->body.len, reports, &err) < 0) {
        reply_error(call, &err);
        free(reports);
        return;
    }
    pthread_mutex_lock(&fleet.lock);
    struct stream_book *book = stream_book(fleet.report_streams, reports->stream);
    for (size_t i = 0; i < reports->count; i++) {
        fleet.gap |= reports->records[i].seq > book->last + 1;
        if (reports->records[i].seq != book->last + 1 || fleet.report_count == MAX_REPORTS)
            continue;
        fleet.reports[fleet.report_count++] = reports->records[i];
        book->last++;
    }
    uint64_t acked = book->last;
    pthread_mutex_unlock(&fleet.lock);
    cleanup_free char *text = api_acked_format(acked);
    reply(call, 200, text, strlen(text));
    free(reports);
}

static void count_window(const struct otlp_window *window)
{
    struct digest release;
    if (!digest_parse(window->release, &release))
        return;
    for (size_t i = 0; i < MAX_TALLIES; i++) {
        if (digest_is_zero(&fleet.tallies[i].release))
            fleet.tallies[i].release = release;
        if (!digest_equal(&fleet.tallies[i].release, &release))
            continue;
        fleet.tallies[i].frames += window->frames;
        return;
    }
}

static bool goes_astray(int *out_status)
{
    pthread_mutex_lock(&fleet.lock);
    bool astray = fleet.astray > 0;
    fleet.astray -= astray;
    *out_status = fleet.astray_status;
    pthread_mutex_unlock(&fleet.lock);
    return astray;
}

static void post_metrics(const struct call *call)
{
    struct err err = {0};
    int status;
    if (goes_astray(&status)) {
        reply(call, status, "", 0);
        return;
    }
    struct otlp_export *export = mem_zalloc(1, sizeof *export);
    if (otlp_parse(call->body.data, call->body.len, export, &err) < 0) {
        reply_error(call, &err);
        free(export);
        return;
    }
    pthread_mutex_lock(&fleet.lock);
    struct stream_book *book = stream_book(fleet.metric_streams, export->stream);
    fleet.gap |= export->seq > book->last + 1;
    if (export->seq > book->last) {
        book->last = export->seq;
        for (size_t i = 0; i < export->window_count; i++)
            count_window(&export->windows[i]);
    }
    pthread_mutex_unlock(&fleet.lock);
    free(export);
    reply(call, 200, "", 0);
}

/* Connections. */

static bool read_head(struct call *call, struct buf *in)
{
    struct err err = {0};
    for (;;) {
        char piece[4096];
        const char *end = strstr(buf_text(in), "\r\n\r\n");
        const char *length = strcasestr(buf_text(in), "\ncontent-length:");
        size_t want = end && length && length < end ? strtoull(length + 16, NULL, 10) : 0;
        if (end && in->len >= (size_t)(end + 4 - buf_text(in)) + want) {
            size_t from = (size_t)(end + 4 - buf_text(in));
            return buf_put(&call->body, in->data + from, in->len - from, &err) == 0;
        }
        ssize_t got = recv(call->fd, piece, sizeof piece, 0);
        if (got <= 0 || buf_put(in, piece, (size_t)got, &err) < 0)
            return false;
    }
}

static bool parse_head(struct call *call, const char *head)
{
    const char *range = strcasestr(head, "\nrange: bytes=");
    call->range = range ? strtoll(range + 14, NULL, 10) : -1;
    if (sscanf(head, "%7s %255s", call->method, call->path) != 2)
        return false;
    char *question = strchr(call->path, '?');
    if (question) {
        str_copy(call->query, sizeof call->query, question + 1);
        *question = 0;
    }
    return true;
}

/* The head promises more than comes. */
static void send_part(const struct call *call, const struct buf *body)
{
    if (send_head(call, 200, body->len + 4096, "") && send_all(call->fd, buf_text(body), body->len / 2))
        wait_for_peer(call->fd);
}

static bool by_part(const struct call *call)
{
    cleanup_buf struct buf body = BUF_INIT(1 << 24);
    int status = 200;
    if (!fleet.part || !fleet.part(call->path, call->query, &body, &status))
        return false;
    static const char head[] = "HTTP/1.1 200 X\r\nConnection: close\r\n\r\n";
    if (status == FLEET_STALLS)
        send_part(call, &body);
    else if (status != FLEET_ENDLESS)
        reply(call, status, buf_text(&body), body.len);
    else if (send_all(call->fd, head, strlen(head)))
        send_endless(call->fd);
    return true;
}

static void route(struct call *call)
{
    static const char blobs[] = "/api/v1/blobs/";
    if (by_part(call))
        return;
    if (str_eq(call->path, "/api/v1/enroll"))
        post_enroll(call);
    else if (str_eq(call->path, "/api/v1/reports"))
        post_reports(call);
    else if (str_eq(call->path, "/v1/metrics"))
        post_metrics(call);
    else if (str_starts(call->path, blobs))
        get_blob(call, call->path + strlen(blobs));
    else
        reply(call, 404, "", 0);
}

static void *serve(void *arg)
{
    struct call call = {.fd = (int)(intptr_t)arg, .body = BUF_INIT(1 << 22)};
    cleanup_buf struct buf in = BUF_INIT(1 << 22);
    if (read_head(&call, &in) && parse_head(&call, buf_text(&in)))
        route(&call);
    buf_fini(&call.body);
    shutdown(call.fd, SHUT_WR);
    close(call.fd);
    return NULL;
}

static void *listen_loop(void *arg)
{
    while (!fleet.stop) {
        struct pollfd wait = {.fd = fleet.listen_fd, .events = POLLIN};
        if (poll(&wait, 1, 50) <= 0)
            continue;
        int fd = accept4(fleet.listen_fd, NULL, NULL, SOCK_CLOEXEC);
        pthread_t thread;
        if (fd >= 0 && pthread_create(&thread, NULL, serve, (void *)(intptr_t)fd) == 0)
            pthread_detach(thread);
    }
    return NULL;
}

void fleet_start(const char *dir)
{
    struct err err = {0};
    snprintf(fleet.ca_dir, sizeof fleet.ca_dir, "%s/ca", dir);
    snprintf(fleet.layout, sizeof fleet.layout, "%s/releases", dir);
    assert_ok(file_make_dirs(fleet.ca_dir, 0700, &err), err);
    assert_ok(ca_init(fleet.ca_dir, "127.0.0.1", clock_wall_ms() / 1000, &err), err);
    assert_ok(layout_init(fleet.layout, &err), err);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    fleet.listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fleet.listen_fd, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(fleet.listen_fd, 64), 0);
    getsockname(fleet.listen_fd, (struct sockaddr *)&address, &len);
    fleet.port = ntohs(address.sin_port);
    assert_int_equal(pthread_create(&fleet.thread, NULL, listen_loop, NULL), 0);
}

void fleet_stop(void)
{
    fleet.stop = true;
    pthread_join(fleet.thread, NULL);
    close(fleet.listen_fd);
    usleep(100000); /* held answers see `stop` */
}

const char *fleet_layout(void)
{
    return fleet.layout;
}

void fleet_extend(fleet_part *part)
{
    fleet.part = part;
}

bool fleet_stopping(void)
{
    return fleet.stop;
}

uint16_t fleet_port(void)
{
    return fleet.port;
}

/* Orders and questions. */

void fleet_fault(const struct digest *blob, enum fault fault, int times)
{
    pthread_mutex_lock(&fleet.lock);
    blob_book(blob)->fault = fault;
    blob_book(blob)->times = times;
    pthread_mutex_unlock(&fleet.lock);
}

static const struct api_report *find_report(enum report_kind kind, const struct digest *release,
                                            unsigned *out_count)
{
    const struct api_report *last = NULL;
    *out_count = 0;
    for (size_t i = 0; i < fleet.report_count; i++) {
        const struct api_report *report = &fleet.reports[i];
        if (report->kind != kind || (release && !digest_equal(&report->release, release)))
            continue;
        last = report;
        ++*out_count;
    }
    return last;
}

unsigned fleet_reports(enum report_kind kind, const struct digest *release)
{
    unsigned count;
    pthread_mutex_lock(&fleet.lock);
    find_report(kind, release, &count);
    pthread_mutex_unlock(&fleet.lock);
    return count;
}

unsigned fleet_reports_with(enum report_kind kind, const char *words)
{
    unsigned count = 0;
    pthread_mutex_lock(&fleet.lock);
    for (size_t i = 0; i < fleet.report_count; i++)
        count += fleet.reports[i].kind == kind && strstr(fleet.reports[i].text, words) != NULL;
    pthread_mutex_unlock(&fleet.lock);
    return count;
}

void fleet_report_text(enum report_kind kind, const struct digest *release, char out[API_MAX_SUMMARY])
{
    unsigned count;
    pthread_mutex_lock(&fleet.lock);
    const struct api_report *report = find_report(kind, release, &count);
    str_copy(out, API_MAX_SUMMARY, report ? report->text : "");
    pthread_mutex_unlock(&fleet.lock);
}

uint64_t fleet_frames(const struct digest *release)
{
    uint64_t frames = 0;
    pthread_mutex_lock(&fleet.lock);
    for (size_t i = 0; i < MAX_TALLIES; i++)
        if (digest_equal(&fleet.tallies[i].release, release))
            frames = fleet.tallies[i].frames;
    pthread_mutex_unlock(&fleet.lock);
    return frames;
}

unsigned fleet_requests(const struct digest *blob)
{
    pthread_mutex_lock(&fleet.lock);
    unsigned requests = blob_book(blob)->requests;
    pthread_mutex_unlock(&fleet.lock);
    return requests;
}

uint64_t fleet_last_range(const struct digest *blob)
{
    pthread_mutex_lock(&fleet.lock);
    uint64_t range = blob_book(blob)->last_range;
    pthread_mutex_unlock(&fleet.lock);
    return range;
}

void fleet_lead_astray(int status, int times)
{
    pthread_mutex_lock(&fleet.lock);
    fleet.astray_status = status;
    fleet.astray = times;
    pthread_mutex_unlock(&fleet.lock);
}

bool fleet_astray(void)
{
    pthread_mutex_lock(&fleet.lock);
    bool astray = fleet.astray > 0;
    pthread_mutex_unlock(&fleet.lock);
    return astray;
}

bool fleet_saw_a_gap(void)
{
    pthread_mutex_lock(&fleet.lock);
    bool gap = fleet.gap;
    pthread_mutex_unlock(&fleet.lock);
    return gap;
}
