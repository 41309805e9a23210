/* The two that the data plane is compared with. Each is a child of this program, made before it holds any thread. */
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "bench/dataplane.h"
#include "infer/pipeline.h"
#include "sys/http.h"

#include <arpa/inet.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum { BARE_SLOTS = RING_SLOTS, MAX_OUTPUT = 128 };

struct output {
    float values[MAX_OUTPUT];
    struct detection detections[MAX_OUTPUT];
    size_t count;
};

static pid_t child_begin(void)
{
    pid_t pid = fork();
    if (pid == 0)
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    return pid;
}

static void child_end(pid_t pid)
{
    if (pid <= 0)
        return;
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static int open_pipeline(const char *store, struct pipeline **out, struct err *err)
{
    cleanup_image struct image image = {0};
    cleanup_free char *path = NULL;
    if (image_open(store, NULL, &image, err) < 0 || image_model_path(&image, &path, err) < 0)
        return -1;
    return pipeline_open(path, &image.release, &(struct pipeline_options){.threads = 1}, out, err);
}

static int process(struct pipeline *pipeline, const void *data, const struct frames *frames,
                   struct output *out, struct pipeline_times *times, struct err *err)
{
    const struct pipeline_frame frame = {.data = data,
                                         .width = (int)(frames->floats ? frames->floats : frames->width),
                                         .height = (int)(frames->floats ? 1 : frames->height)};
    struct pipeline_result result = {.detections = out->detections,
                                     .max_detections = MAX_OUTPUT,
                                     .values = out->values,
                                     .max_values = MAX_OUTPUT};
    int done = pipeline_process(pipeline, &frame, &result, times, err);
    out->count = result.count;
    return done;
}

/* ---- the bare Run() ---- */

static int serve_bare(struct bare *bare, const char *store, const struct frames *frames, struct err *err)
{
    struct pipeline *pipeline = NULL;
    const void *slots[BARE_SLOTS];
    struct output output;
    for (uint32_t i = 0; i < BARE_SLOTS; i++)
        slots[i] = ring_slot(&bare->frames, i) + sizeof(struct ring_frame);
    if (open_pipeline(store, &pipeline, err) < 0 ||
        pipeline_bind_frames(pipeline, slots, BARE_SLOTS, err) < 0)
        return -1;
    struct ring_result ready = {.seq = 1};
    ring_put(&bare->results, 1, &ready, offsetof(struct ring_result, detections));
    ring_wake(&bare->results);
    for (uint64_t seq = 2;; seq++) {
        uint32_t bell;
        while (bell = ring_bell(&bare->frames), ring_newest(&bare->frames) < seq)
            ring_wait(&bare->frames, bell, INT64_MAX / 2, 0);
        struct pipeline_times times = {0};
        if (process(pipeline, slots[seq % BARE_SLOTS], frames, &output, &times, err) < 0)
            return -1;
        struct ring_result done = {.seq = seq, .run_ns = times.run_ns};
        ring_put(&bare->results, seq, &done, offsetof(struct ring_result, detections));
        ring_wake(&bare->results);
    }
}

static int await_bare(struct bare *bare, bool spin, struct ring_result *out, struct err *err)
{
    int64_t until_ns = clock_mono_ns() + PATIENCE_MS * 1000000ll;
    uint32_t bell;
    while (bell = ring_bell(&bare->results), ring_newest(&bare->results) < bare->seq) {
        if (clock_mono_ns() > until_ns)
            return err_set(err, ERR_TIMEOUT, "the bare Run() does not answer");
        if (spin)
            ring_spin(&bare->results, bell, until_ns);
        else
            ring_wait(&bare->results, bell, until_ns, 0);
    }
    ring_read(&bare->results, bare->seq, out, offsetof(struct ring_result, detections));
    return 0;
}

int bare_start(struct bare *bare, const char *store, const struct frames *frames, int core, struct err *err)
{
    struct ring_result ready;
    *bare = (struct bare){.frames = {.fd = -1}, .results = {.fd = -1}, .seq = 1};
    if (ring_create(&bare->frames, RING_FRAMES, BARE_SLOTS, frames_bytes(frames), err) < 0 ||
        ring_create(&bare->results, RING_RESULTS, RING_SLOTS, 0, err) < 0)
        return -1;
    bare->pid = child_begin();
    if (bare->pid == 0) {
        int done = pin(0, core, err) < 0 ? -1 : serve_bare(bare, store, frames, err);
        fprintf(stderr, "bench-dataplane: bare: %s\n", err->text);
        _exit(done < 0);
    }
    return bare->pid < 0 ? err_errno(err, "fork") : await_bare(bare, false, &ready, err);
}

uint8_t *bare_begin(struct bare *bare)
{
    return (uint8_t *)ring_begin(&bare->frames, bare->seq + 1) + sizeof(struct ring_frame);
}

int bare_run(struct bare *bare, bool spin, int64_t *out_run_ns, struct err *err)
{
    struct ring_result result;
    ring_publish(&bare->frames, ++bare->seq);
    ring_wake(&bare->frames);
    if (await_bare(bare, spin, &result, err) < 0)
        return -1;
    *out_run_ns = result.run_ns;
    return 0;
}

void bare_stop(struct bare *bare)
{
    child_end(bare->pid);
    ring_fini(&bare->frames);
    ring_fini(&bare->results);
}

/* ---- behind an HTTP server ---- */

struct service {
    struct pipeline *pipeline;
    const struct frames *frames;
};

static void answer_infer(struct http_request *request, void *arg)
{
    const struct service *service = arg;
    struct output output;
    struct pipeline_times times = {0};
    struct err err = {0};
    char run_ns[24];
    size_t len = 0;
    const uint8_t *body = http_body(request, &len);
    if (len != frames_bytes(service->frames))
        err_set(&err, ERR_INVALID, "a frame has %zu bytes", frames_bytes(service->frames));
    if (err.code || process(service->pipeline, body, service->frames, &output, &times, &err) < 0) {
        http_reply_error(request, &err);
        return;
    }
    snprintf(run_ns, sizeof run_ns, "%lld", (long long)times.run_ns);
    http_set_header(request, "X-Run-Ns", run_ns);
    http_reply(request, 200, "application/octet-stream", output.values, output.count * sizeof(float));
}

static int serve_http(const char *store, const struct frames *frames, int port_out, struct err *err)
{
    struct service service = {.frames = frames};
    struct http_server *server = NULL;
    struct event_base *base = event_base_new();
    const struct http_server_options options = {.host = "127.0.0.1",
                                                .max_body_bytes = frames_bytes(frames) + 1024};
    if (open_pipeline(store, &service.pipeline, err) < 0 ||
        http_server_new(base, &options, &server, err) < 0 ||
        http_server_handle(server, HTTP_POST, "/infer", answer_infer, &service, err) < 0)
        return -1;
    uint16_t port = http_server_port(server);
    if (write(port_out, &port, sizeof port) != sizeof port)
        return err_errno(err, "pipe");
    return event_base_dispatch(base);
}

static int dial(uint16_t port, struct err *err)
{
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    cleanup_close int sock = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    if (sock < 0 || connect(sock, (const struct sockaddr *)&address, sizeof address) < 0 ||
        setsockopt(sock, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0)
        return err_errno(err, "HTTP peer");
    return TAKE_FD(sock);
}

int http_start(struct http_peer *peer, const char *store, const struct frames *frames, int core,
               struct err *err)
{
    int ends[2];
    uint16_t port = 0;
    *peer = (struct http_peer){.sock = -1};
    if (pipe(ends) < 0)
        return err_errno(err, "pipe");
    peer->pid = child_begin();
    if (peer->pid == 0) {
        int done = pin(0, core, err) < 0 ? -1 : serve_http(store, frames, ends[1], err);
        fprintf(stderr, "bench-dataplane: HTTP: %s\n", err->text);
        _exit(done < 0);
    }
    close(ends[1]);
    bool told = peer->pid > 0 && read(ends[0], &port, sizeof port) == sizeof port;
    close(ends[0]);
    if (!told)
        return err_set(err, ERR_UNREACHABLE, "the HTTP peer did not come up");
    peer->sock = dial(port, err);
    return peer->sock < 0 ? -1 : 0;
}

static int send_all(int sock, const void *data, size_t len, struct err *err)
{
    for (size_t done = 0; done < len;) {
        ssize_t sent = send(sock, (const uint8_t *)data + done, len - done, MSG_NOSIGNAL);
        if (sent < 0)
            return err_errno(err, "HTTP peer");
        done += (size_t)sent;
    }
    return 0;
}

/* The head and a body of a few values: they come in one piece or two. */
static int read_answer(int sock, int64_t *out_run_ns, struct err *err)
{
    char text[2048];
    size_t len = 0;
    for (;;) {
        ssize_t got = recv(sock, text + len, sizeof text - 1 - len, 0);
        if (got <= 0)
            return err_errno(err, "HTTP peer");
        len += (size_t)got;
        text[len] = 0;
        const char *end = strstr(text, "\r\n\r\n"), *size = strcasestr(text, "\r\nContent-Length: "),
                   *run = strcasestr(text, "\r\nX-Run-Ns: ");
        if (!end)
            continue;
        if (!str_starts(text, "HTTP/1.1 200") || !size || !run)
            return err_set(err, ERR_REFUSED, "the HTTP peer says %.40s", text);
        if (len < (size_t)(end - text) + 4 + strtoul(size + 18, NULL, 10))
            continue;
        *out_run_ns = strtoll(run + 12, NULL, 10);
        return 0;
    }
}

int http_run(struct http_peer *peer, const void *frame, size_t bytes, int64_t *out_run_ns, struct err *err)
{
    char head[160];
    int len = snprintf(head, sizeof head,
                       "POST /infer HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/octet-stream\r\n"
                       "Content-Length: %zu\r\n\r\n",
                       bytes);
    if (send_all(peer->sock, head, (size_t)len, err) < 0 || send_all(peer->sock, frame, bytes, err) < 0)
        return -1;
    return read_answer(peer->sock, out_run_ns, err);
}

void http_stop(struct http_peer *peer)
{
    mem_cleanup_close(&peer->sock);
    child_end(peer->pid);
}
