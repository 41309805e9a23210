/* The loop: which frame is next, how it is answered, how the one after it is awaited. */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "robot/ring/pace.h"
#include "robot/runner/link.h"
#include "robot/runner/priority.h"
#include "robot/runner/runner.h"

#include <poll.h>
#include <sched.h>
#include <signal.h>

/* Room for one answer to each frame of a ring of the usual size, and then some. */
enum { RESULT_SLOTS = 2 * RING_SLOTS };
enum { ACTIVE_WAIT_MS = 100, IDLE_LOOK_MS = 1000, SPIN_WAIT_MS = 2, READ_EVERY_NS = 1000000 };

struct server {
    const struct runner_options *options;
    const struct runner_engine *engine;
    struct runner_link link;
    struct ring results;
    uint64_t result_count;
    bool no_bell;              /* the guard looks by itself */
    uint64_t stream;           /* the one that done_seq and `attached` speak of */
    uint64_t done_seq;         /* answered, and all before it; never again */
    bool attached;             /* the engine knows the stream */
    uint64_t complaints;       /* failed runs */
    struct ring_result result; /* scratch */
    struct pace pace;          /* of the frames */
    int64_t last_ns;           /* when the last one came; 0: none */
    int64_t read_ns;           /* when the socket was looked at */
};

static void meet_stream(struct server *server)
{
    const struct ring *frames = &server->link.frames;
    struct runner_slots slots = {.count = frames->slot_count, .payload_bytes = ring_pixel_capacity(frames)};
    struct err err = {0};
    for (uint32_t i = 0; i < slots.count; i++)
        slots.payload[i] = ring_slot(frames, i) + sizeof(struct ring_frame);
    server->stream = server->link.stream;
    server->done_seq = 0;
    server->last_ns = 0;
    server->attached =
        !server->engine->attach || server->engine->attach(server->engine->self, &slots, &err) == 0;
    if (!server->attached)
        log_warn("the frames of this robot program do not fit the model: %s", err.text);
}

/* Frames that were left to this runner and not answered yet: *first … *last. False: none. */
static bool frames_owed(const struct server *server, const struct ring_control *orders, uint64_t *first,
                        uint64_t *last)
{
    const struct runner_link *link = &server->link;
    if (!link->stream || orders->stream != link->stream)
        return false;
    *first = MAX(server->done_seq + 1, orders->from_seq);
    *last = MIN(ring_newest(&link->frames), orders->until_seq);
    return *first <= *last;
}

static void ring_guard(const struct server *server)
{
    uint8_t one = 1;
    ssize_t ignored = write(server->link.bell_fd, &one, sizeof one);
    (void)ignored; /* a guard that is gone is noticed on the socket */
}

static size_t result_bytes(const struct ring_result *result)
{
    size_t each = result->kind == RING_VALUES ? sizeof result->values[0] : sizeof result->detections[0];
    return (offsetof(struct ring_result, detections) + result->count * each + 7) & ~(size_t)7;
}

/* To the guard, where it shares this core: ahead of what is still to do here. A real-time guard needs no such help, and a
 * runner that has the next frame already has no time to give away. */
static void hand_over(const struct server *server)
{
    if (server->options->wait != RUNNER_WAIT_PACE && ring_newest(&server->link.frames) <= server->done_seq)
        sched_yield();
}

static void answer(struct server *server, enum ring_result_status status)
{
    struct ring_result *result = &server->result;
    result->status = status;
    if (status != RING_RESULT_OK)
        result->count = 0;
    result->finished_ns = clock_mono_ns();
    if (ring_put(&server->results, ++server->result_count, result, result_bytes(result)) && !server->no_bell)
        ring_guard(server);
    hand_over(server);
}

static void begin_result(struct server *server, uint64_t seq, int64_t now_ns, bool shadow)
{
    struct ring_result *result = &server->result;
    result->seq = seq;
    result->stream = server->stream;
    result->generation = server->options->generation;
    result->started_ns = now_ns;
    result->preprocess_ns = result->run_ns = result->decode_ns = 0;
    result->signals = (struct frame_signals){0};
    result->kind = RING_DETECTIONS;
    result->shadow = shadow;
    result->count = 0;
    server->done_seq = seq;
}

/* Frames first … before - 1 will not be looked at. Of those that the ring no longer holds the guard knows by itself. */
static void drop(struct server *server, uint64_t first, uint64_t before, bool shadow)
{
    uint64_t slots = server->link.frames.slot_count;
    for (uint64_t seq = before - first > slots ? before - slots : first; seq < before; seq++) {
        begin_result(server, seq, clock_mono_ns(), shadow);
        answer(server, RING_RESULT_STALE);
    }
}

static bool payload_ok(const struct ring_frame *head, size_t room)
{
    bool picture = head->format == RING_RGB8 && head->width >= 1 && head->width <= RING_MAX_SIDE &&
                   head->height >= 1 && head->height <= RING_MAX_SIDE &&
                   head->pixel_bytes == (uint64_t)head->width * head->height * 3;
    bool floats = head->format == RING_FLOAT32 && head->width >= 1 && head->height == 1 &&
                  head->pixel_bytes == (uint64_t)head->width * sizeof(float);
    return (picture || floats) && head->pixel_bytes <= room;
}

/* The head's numbers are anybody's. */
static int64_t deadline_of(const struct server *server, const struct ring_frame *head)
{
    int64_t deadline_ns = head->deadline_ns, allowed_ns;
    if (server->options->deadline_us > 0 &&
        !__builtin_add_overflow(head->capture_ns, server->options->deadline_us * 1000, &allowed_ns))
        deadline_ns = MIN(deadline_ns, allowed_ns);
    return deadline_ns;
}

static void complain(struct server *server, const char *why)
{
    uint64_t n = ++server->complaints;
    if ((n & (n - 1)) == 0) /* a model that always fails must not fill the disk */
        log_warn("frame %llu: %s (failure %llu)", (unsigned long long)server->result.seq, why,
                 (unsigned long long)n);
}

static enum ring_result_status compute(struct server *server, const struct runner_frame *frame)
{
    const struct runner_engine *engine = server->engine;
    struct err err = {0};
    int done = engine->run(engine->self, frame, &server->result, &err);
    if (!ring_still(&server->link.frames, frame->seq))
        return RING_RESULT_STALE;
    if (done == 0)
        return RING_RESULT_OK;
    if (server->result.shadow && err.code == ERR_TIMEOUT)
        return RING_RESULT_STALE; /* at the lowest priority being late is no fault */
    complain(server, err.text);
    return err.code == ERR_INVALID ? RING_RESULT_NOT_FINITE : RING_RESULT_FAILED;
}

static enum ring_result_status look_at(struct server *server, uint64_t seq)
{
    const struct ring *frames = &server->link.frames;
    struct ring_frame head;
    const uint8_t *body = ring_peek(frames, seq);
    if (!body || !ring_read(frames, seq, &head, sizeof head))
        return RING_RESULT_STALE;
    if (!server->attached || !payload_ok(&head, ring_pixel_capacity(frames)))
        return RING_RESULT_FAILED;
    struct runner_frame frame = {.seq = seq,
                                 .payload = body + sizeof head,
                                 .payload_bytes = head.pixel_bytes,
                                 .slot = (uint32_t)(seq & (frames->slot_count - 1)),
                                 .width = head.width,
                                 .height = head.height,
                                 .format = (enum ring_format)head.format,
                                 .deadline_ns = deadline_of(server, &head)};
    if (frame.deadline_ns <= server->result.started_ns)
        return RING_RESULT_STALE;
    return compute(server, &frame);
}

/* One frame, and the answers to those left out before it. */
static void process(struct server *server, uint64_t first, uint64_t last, bool shadow)
{
    int64_t now_ns = clock_mono_ns();
    uint64_t newest = ring_newest(&server->link.frames), slots = server->link.frames.slot_count;
    uint64_t oldest = newest >= slots ? newest - slots + 1 : 1, seq = last;
    if (server->options->lossless)
        seq = MIN(MAX(first, oldest), last);
    if (server->last_ns)
        pace_observe(&server->pace, now_ns - server->last_ns);
    server->last_ns = now_ns;
    if (first < seq)
        drop(server, first, seq, shadow);
    begin_result(server, seq, now_ns, shadow);
    answer(server, look_at(server, seq));
}

static void sleep_on_socket(const struct server *server, int timeout_ms)
{
    struct pollfd wait = {.fd = server->link.sock, .events = POLLIN};
    poll(&wait, 1, timeout_ms);
}

static void await_frame(struct server *server, uint32_t bell, bool shadow)
{
    const struct ring *frames = &server->link.frames;
    int64_t now_ns = clock_mono_ns(), until_ns = now_ns + ACTIVE_WAIT_MS * 1000000ll;
    if (shadow || server->options->wait == RUNNER_WAIT_SLEEP)
        ring_wait(frames, bell, until_ns, 0);
    else if (server->options->wait == RUNNER_WAIT_SPIN)
        ring_spin(frames, bell, now_ns + SPIN_WAIT_MS * 1000000ll);
    else
        pace_wait(&server->pace, frames, bell, server->last_ns, until_ns);
}

/* Back to normal as soon as it is no shadow any more, not only when it is needed: it has to be on its feet then. */
static void follow_mode(const struct server *server, uint32_t mode)
{
    if (mode == RING_MODE_SHADOW && !server->options->keep_priority)
        priority_lower();
    else if (mode != RING_MODE_SHADOW)
        priority_restore();
}

/* Until the guard is lost or says EXIT. */
static enum runner_news work(struct server *server)
{
    struct runner_link *link = &server->link;
    for (;;) {
        if (link->stream && link->stream != server->stream)
            meet_stream(server);
        uint32_t bell = link->stream ? ring_bell(&link->frames) : 0;
        struct ring_control orders = runner_link_orders(link);
        bool shadow = orders.mode == RING_MODE_SHADOW;
        uint64_t first, last;
        follow_mode(server, orders.mode);
        server->no_bell = orders.flags & RING_CONTROL_NO_BELL;
        if (frames_owed(server, &orders, &first, &last)) {
            process(server, first, last, shadow);
            if (server->result.finished_ns - server->read_ns < READ_EVERY_NS)
                continue; /* frames come quickly: no look at the socket behind each of them */
        } else if (orders.mode != RING_MODE_IDLE && link->stream && orders.stream == link->stream) {
            await_frame(server, bell, shadow);
            if (ring_bell(&link->frames) != bell)
                continue; /* straight to the frame; packets after it */
        } else {
            sleep_on_socket(server, IDLE_LOOK_MS);
        }
        server->read_ns = clock_mono_ns();
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
        server->stream = 0;
        priority_restore();
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
    int done = ring_create(&server->results, RING_RESULTS, RESULT_SLOTS, 0, err);
    if (done == 0)
        done = serve(server, err);
    runner_link_close(&server->link);
    ring_fini(&server->results);
    free(server);
    return done;
}
