#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "robot/ring/pace.h"
#include "robot/runner/link.h"
#include "robot/runner/runner.h"

#include <poll.h>
#include <signal.h>

enum { ACTIVE_WAIT_MS = 100, IDLE_LOOK_MS = 1000 };

struct server {
    const struct runner_options *options;
    const struct runner_engine *engine;
    struct runner_link link;
    struct ring results;
    uint64_t result_count;
    uint64_t done_seq; /* of this stream; never again */
    uint64_t done_stream;
    struct ring_result result; /* scratch */
    struct pace pace;          /* of the frames */
    int64_t last_ns;           /* when the last one came; 0: none */
};

/* The frame to process now; 0: none. */
static uint64_t next_frame(const struct server *server, const struct ring_control *orders)
{
    const struct runner_link *link = &server->link;
    if (!link->stream || orders->stream != link->stream)
        return 0;
    uint64_t done = server->done_stream == link->stream ? server->done_seq : 0;
    uint64_t seq = MIN(ring_newest(&link->frames), orders->until_seq);
    return seq > done && seq >= orders->from_seq ? seq : 0;
}

static bool head_ok(const struct server *server, const struct ring_frame *head)
{
    return head->width >= 1 && head->width <= RING_MAX_SIDE && head->height >= 1 &&
           head->height <= RING_MAX_SIDE && head->pixel_bytes == (uint64_t)head->width * head->height * 3 &&
           head->pixel_bytes <= ring_pixel_capacity(&server->link.frames);
}

static enum ring_result_status compute(struct server *server, const struct ring_frame *head,
                                       const uint8_t *rgb)
{
    struct ring_result *result = &server->result;
    struct runner_times times = {0};
    struct err err = {0};
    size_t count = 0;
    if (!head_ok(server, head))
        return RING_RESULT_FAILED;
    const struct runner_engine *engine = server->engine;
    int done = engine->run(engine->self, rgb, head->width, head->height, result->detections,
                           RING_MAX_DETECTIONS, &count, &times, &err);
    result->preprocess_ns = times.preprocess_ns;
    result->run_ns = times.run_ns;
    result->decode_ns = times.decode_ns;
    if (!ring_still(&server->link.frames, result->seq))
        return RING_RESULT_STALE;
    if (done < 0) {
        log_warn("frame %llu: %s", (unsigned long long)result->seq, err.text);
        return err.code == ERR_INVALID ? RING_RESULT_NOT_FINITE : RING_RESULT_FAILED;
    }
    result->count = (uint32_t)count;
    return RING_RESULT_OK;
}

static void ring_guard(const struct server *server)
{
    uint8_t one = 1;
    ssize_t ignored = write(server->link.bell_fd, &one, sizeof one);
    (void)ignored; /* a guard that is gone is noticed on the socket */
}

static void process(struct server *server, uint64_t seq)
{
    struct ring_result *result = &server->result;
    struct ring_frame head;
    server->done_seq = seq;
    server->done_stream = server->link.stream;
    const uint8_t *body = ring_peek(&server->link.frames, seq);
    if (!body || !ring_read(&server->link.frames, seq, &head, sizeof head))
        return; /* overtaken: there is a newer one */
    result->seq = seq;
    result->stream = server->link.stream;
    result->generation = server->options->generation;
    result->preprocess_ns = result->run_ns = result->decode_ns = 0;
    result->count = 0;
    result->status = compute(server, &head, body + sizeof head);
    result->finished_ns = clock_mono_ns();
    size_t len = offsetof(struct ring_result, detections) + result->count * sizeof result->detections[0];
    if (ring_put(&server->results, ++server->result_count, result, len))
        ring_guard(server);
}

static void sleep_on_socket(const struct server *server, int timeout_ms)
{
    struct pollfd wait = {.fd = server->link.sock, .events = POLLIN};
    poll(&wait, 1, timeout_ms);
}

static void await_frame(struct server *server, uint32_t bell)
{
    int64_t until_ns = clock_mono_ns() + ACTIVE_WAIT_MS * 1000000ll;
    pace_wait(&server->pace, &server->link.frames, bell, server->last_ns, until_ns);
}

static void note_frame(struct server *server)
{
    int64_t now_ns = server->result.started_ns = clock_mono_ns();
    if (server->last_ns)
        pace_observe(&server->pace, now_ns - server->last_ns);
    server->last_ns = now_ns;
}

/* Until the guard is lost or says EXIT. */
static enum runner_news work(struct server *server)
{
    for (;;) {
        struct runner_link *link = &server->link;
        uint32_t bell = link->stream ? ring_bell(&link->frames) : 0;
        struct ring_control orders = runner_link_orders(link);
        uint64_t seq = next_frame(server, &orders);
        if (seq) {
            note_frame(server);
            process(server, seq);
        } else if (orders.mode == RING_MODE_ACTIVE && link->stream && orders.stream == link->stream) {
            await_frame(server, bell);
            if (ring_bell(&link->frames) != bell)
                continue; /* straight to the frame; packets after it */
        } else {
            sleep_on_socket(server, IDLE_LOOK_MS);
        }
        enum runner_news news = runner_link_read(link);
        if (news != RUNNER_NO_NEWS)
            return news;
    }
}

static int serve(struct server *server, struct err *err)
{
    for (;;) {
        if (runner_link_open(&server->link, server->options, &server->results, err) < 0)
            return -1;
        log_info("generation %llu is ready", (unsigned long long)server->options->generation);
        enum runner_news news = work(server);
        runner_link_close(&server->link);
        if (news == RUNNER_TOLD_TO_EXIT)
            return 0;
        log_warn("the guard is gone; waiting for the next one");
    }
}

int runner_serve(const struct runner_options *options, const struct runner_engine *engine, struct err *err)
{
    struct server *server = mem_zalloc(1, sizeof *server);
    if (!server)
        return err_no_memory(err);
    signal(SIGPIPE, SIG_IGN); /* the bell of a guard that was killed */
    *server = (struct server){.options = options, .engine = engine, .link = RUNNER_LINK_INIT};
    int done = ring_create(&server->results, RING_RESULTS, RING_SLOTS, 0, err);
    if (done == 0)
        done = serve(server, err);
    runner_link_close(&server->link);
    ring_fini(&server->results);
    free(server);
    return done;
}
