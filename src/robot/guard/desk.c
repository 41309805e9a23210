#include "robot/guard/desk.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/testing.h"

#include <fcntl.h>
#include <poll.h>

const struct ctl_limits desk_limits = {
    .deadline_us = 60000000, .max_detections = 4, .label_count = 3, .min_score = 0.25f};

struct digest desk_release(uint64_t generation)
{
    struct digest digest = {{0xab, 0xcd}};
    memcpy(digest.bytes + 8, &generation, sizeof generation);
    return digest;
}

void desk_make(struct desk *d)
{
    *d = (struct desk){.dir = "/tmp/muster-desk-XXXXXX", .agent = -1};
    assert_non_null(mkdtemp(d->dir));
    snprintf(d->state, sizeof d->state, "%s/state", d->dir);
    testbed_clock_set(DESK_START_NS);
    testbed_pause(true);
    setenv("MUSTER_LOG", "error", 0);
    log_init("desk");
}

int desk_start(struct desk *d, const struct guard_options *options, struct err *err)
{
    struct guard_options own = options ? *options : (struct guard_options){0};
    own.run_dir = d->dir;
    if (own.state_dir)
        own.state_dir = d->state;
    d->guard = NULL;
    testbed_pause(false);
    int done = guard_open(&own, &d->guard, err);
    testbed_pause(true);
    return done;
}

static void start(struct desk *d, const struct guard_options *options)
{
    struct err err = {0};
    assert_ok(desk_start(d, options, &err), err);
    d->agent = desk_join(d, CTL_ROLE_AGENT);
}

void desk_open(struct desk *d, const struct guard_options *options)
{
    desk_make(d);
    start(d, options);
}

static void stop(struct desk *d)
{
    mem_cleanup_close(&d->agent);
    d->agent = -1;
    if (d->guard)
        guard_close(d->guard);
    d->guard = NULL;
}

void desk_reopen(struct desk *d, const struct guard_options *options)
{
    stop(d);
    start(d, options);
}

void desk_sweep(struct desk *d)
{
    static const char *const files[] = {"state/guard.latch", "state/guard.latch.new", "guard.sock",
                                        "guard.lock"};
    char path[96];
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        snprintf(path, sizeof path, "%s/%s", d->dir, files[i]);
        unlink(path);
    }
    rmdir(d->state);
    rmdir(d->dir);
    testbed_clock_set(0);
    testbed_pause(false);
}

void desk_close(struct desk *d)
{
    stop(d);
    desk_sweep(d);
}

static struct {
    unsigned nth;
    void (*act)(void);
} between;

void desk_between(unsigned nth, void (*act)(void))
{
    between.nth = nth;
    between.act = act;
}

bool __real_ring_read(const struct ring *ring, uint64_t seq, void *out, size_t len);
bool __wrap_ring_read(const struct ring *ring, uint64_t seq, void *out, size_t len);
bool __wrap_ring_read(const struct ring *ring, uint64_t seq, void *out, size_t len)
{
    bool done = __real_ring_read(ring, seq, out, len);
    if (between.nth > 0 && --between.nth == 0)
        between.act();
    return done;
}

void desk_turn(struct desk *d)
{
    struct err err = {0};
    testbed_pause(false);
    int done = guard_turn(d->guard, &err);
    testbed_pause(true);
    assert_ok(done, err);
}

void desk_settle(struct desk *d)
{
    int turns = 0;
    do {
        desk_turn(d);
        assert_true(++turns < 1000); /* else it would never sleep */
    } while (testbed_slept_ns() < 0);
}

void desk_pass(struct desk *d, int64_t ns)
{
    int64_t until_ns = testbed_clock() + ns;
    for (int turns = 0;; turns++) {
        desk_settle(d);
        int64_t left_ns = until_ns - testbed_clock(), slept_ns = testbed_slept_ns();
        if (left_ns == 0)
            return;
        assert_true(turns < 200000);
        slept_ns = MAX(slept_ns, 1); /* it wakes at that very moment and looks again in the next */
        testbed_clock_set(testbed_clock() + MIN(slept_ns, left_ns));
    }
}

void desk_jump(struct desk *d, int64_t ns)
{
    testbed_clock_set(testbed_clock() + ns);
    desk_settle(d);
}

int desk_knock(struct desk *d)
{
    struct err err = {0};
    int fd = -1;
    assert_ok(ctl_dial(d->dir, &fd, &err), err);
    desk_settle(d);
    return fd;
}

void desk_send(struct desk *d, int fd, const struct ctl_message *message)
{
    struct err err = {0};
    assert_ok(ctl_send(fd, message, NULL, &err), err);
    desk_settle(d);
}

bool desk_hear(int fd, union ctl_packet *out, struct ctl_fds *fds)
{
    struct ctl_fds own;
    struct err err = {0};
    int got = ctl_recv(fd, out, fds ? fds : &own, &err);
    if (!fds)
        ctl_fds_close(&own);
    return got == 1;
}

bool desk_hung_up(int fd)
{
    struct pollfd look = {.fd = fd};
    return poll(&look, 1, 0) == 1 && (look.revents & POLLHUP);
}

int desk_join(struct desk *d, enum ctl_role role)
{
    union ctl_packet packet;
    struct ctl_message hello;
    int fd = desk_knock(d);
    ctl_message_init(&hello, CTL_HELLO);
    hello.role = role;
    desk_send(d, fd, &hello);
    assert_true(desk_hear(fd, &packet, NULL));
    assert_int_equal(packet.message.kind, CTL_WELCOME);
    return fd;
}

void desk_leave(struct desk *d, int *fd)
{
    mem_cleanup_close(fd);
    *fd = -1;
    desk_settle(d);
}

int desk_ask(struct desk *d, int fd, struct ctl_message *message, struct ctl_message *out)
{
    union ctl_packet packet;
    int result = -1;
    desk_send(d, fd, message);
    while (desk_hear(fd, &packet, NULL))
        if (packet.message.kind == CTL_REPLY && packet.message.count == message->kind) {
            result = packet.message.result;
            if (out)
                *out = packet.message;
        }
    return result;
}

int desk_order(struct desk *d, enum ctl_kind kind, uint64_t generation, uint64_t fallback, uint32_t count)
{
    struct ctl_message message;
    ctl_message_init(&message, kind);
    message.generation = generation;
    message.fallback = fallback;
    message.count = count;
    return desk_ask(d, d->agent, &message, NULL);
}

int desk_admit(struct desk *d, uint64_t generation, const struct ctl_limits *limits)
{
    struct ctl_message message;
    ctl_message_init(&message, CTL_ADMIT);
    message.generation = generation;
    message.release = desk_release(generation);
    message.limits = *limits;
    return desk_ask(d, d->agent, &message, NULL);
}

int desk_command(struct desk *d, int fd, enum ctl_verb verb, uint64_t lease, uint32_t ttl_ms)
{
    struct ctl_message message;
    ctl_message_init(&message, CTL_COMMAND);
    message.command = (struct ctl_command){
        .verb = verb, .lease = lease, .ttl_ms = ttl_ms, .who = "ann", .reason = "a test"};
    return desk_ask(d, fd, &message, NULL);
}

bool desk_runner_try(struct desk *d, struct desk_runner *r, uint64_t generation, uint32_t degraded)
{
    struct err err = {0};
    struct ctl_message hello;
    union ctl_packet packet;
    struct ctl_fds got;
    *r = (struct desk_runner){
        .generation = generation, .bell = -1, .frames = {.fd = -1}, .control = {.fd = -1}};
    assert_ok(ring_create(&r->results, RING_RESULTS, RING_SLOTS, 0, &err), err);
    r->fd = desk_knock(d);
    struct ctl_fds fds = {.fd = {r->results.fd, -1}};
    ctl_message_init(&hello, CTL_HELLO);
    hello.role = CTL_ROLE_RUNNER;
    hello.generation = generation;
    hello.release = desk_release(generation);
    hello.count = degraded;
    if (ctl_send(r->fd, &hello, &fds, &err) < 0)
        return false;
    desk_settle(d);
    if (!desk_hear(r->fd, &packet, &got))
        return false;
    if (packet.message.kind != CTL_WELCOME) {
        ctl_fds_close(&got);
        return false;
    }
    r->bell = got.fd[1];
    assert_true(r->bell >= 0); /* a welcome without a bell is none */
    assert_ok(ring_attach(&r->control, got.fd[0], RING_CONTROL, &err), err);
    return !desk_hung_up(r->fd);
}

void desk_runner_open(struct desk *d, struct desk_runner *r, uint64_t generation)
{
    assert_true(desk_runner_try(d, r, generation, 0));
    assert_int_equal(desk_admit(d, generation, &desk_limits), 0);
}

void desk_runner_close(struct desk *d, struct desk_runner *r)
{
    ring_fini(&r->results);
    ring_fini(&r->control);
    ring_fini(&r->frames);
    mem_cleanup_close(&r->bell);
    r->bell = -1;
    desk_leave(d, &r->fd);
}

struct ring_result desk_result(const struct desk *d, const struct desk_runner *r, uint64_t seq)
{
    return (struct ring_result){
        .seq = seq,
        .stream = d->guard->stream.number,
        .generation = r->generation,
        .run_ns = 1000,
        .count = 2,
        .detections = {{.x1 = 10, .y1 = 10, .score = 0.5f, .label = 1},
                       {.x0 = 5, .y0 = 5, .x1 = 30, .y1 = 16, .score = 0.75f, .label = 2}},
    };
}

void desk_murmur(struct desk_runner *r, const struct ring_result *result)
{
    assert_true(ring_put(&r->results, ++r->count, result, sizeof *result));
}

void desk_say(struct desk *d, struct desk_runner *r, const struct ring_result *result)
{
    uint8_t one = 1;
    desk_murmur(r, result);
    assert_int_equal(write(r->bell, &one, sizeof one), sizeof one);
    desk_settle(d);
}

struct ring_control desk_page(const struct desk_runner *r)
{
    struct ring_control page = {0};
    (void)ring_read(&r->control, ring_newest(&r->control), &page, sizeof page);
    return page;
}

struct guard_runner *desk_slot(struct desk *d, uint64_t generation)
{
    return guard_runner_find(d->guard, generation);
}

bool desk_robot_try(struct desk *d, struct desk_robot *r, uint32_t slots)
{
    struct err err = {0};
    struct ctl_message hello;
    union ctl_packet packet;
    struct ctl_fds got;
    *r = (struct desk_robot){.verdicts = {.fd = -1}};
    assert_ok(ring_create(&r->frames, RING_FRAMES, slots, DESK_PIXELS, &err), err);
    r->fd = desk_knock(d);
    struct ctl_fds fds = {.fd = {r->frames.fd, -1}};
    ctl_message_init(&hello, CTL_HELLO);
    hello.role = CTL_ROLE_CLIENT;
    if (ctl_send(r->fd, &hello, &fds, &err) < 0)
        return false;
    desk_settle(d);
    if (!desk_hear(r->fd, &packet, &got))
        return false;
    if (packet.message.kind != CTL_WELCOME) {
        ctl_fds_close(&got);
        return false;
    }
    r->stream = packet.message.generation;
    assert_ok(ring_attach(&r->verdicts, got.fd[0], RING_VERDICTS, &err), err);
    return !desk_hung_up(r->fd);
}

void desk_robot_open(struct desk *d, struct desk_robot *r)
{
    assert_true(desk_robot_try(d, r, RING_SLOTS));
}

void desk_robot_close(struct desk *d, struct desk_robot *r)
{
    ring_fini(&r->frames);
    ring_fini(&r->verdicts);
    desk_leave(d, &r->fd);
}

uint64_t desk_submit(struct desk_robot *r, int64_t capture_ns, int64_t deadline_ns, uint32_t flags,
                     uint8_t shade)
{
    struct ring_frame *frame = ring_begin(&r->frames, ++r->seq);
    assert_non_null(frame);
    *frame = (struct ring_frame){.seq = r->seq,
                                 .capture_ns = capture_ns,
                                 .deadline_ns = deadline_ns,
                                 .width = DESK_WIDTH,
                                 .height = DESK_HEIGHT,
                                 .pixel_bytes = DESK_PIXELS,
                                 .flags = flags,
                                 .submitted_ns = testbed_clock()};
    memset(frame + 1, shade, DESK_PIXELS);
    ring_publish(&r->frames, r->seq);
    return r->seq;
}

uint64_t desk_frame(struct desk *d, struct desk_robot *r, int64_t within_ns)
{
    int64_t now_ns = testbed_clock();
    uint64_t seq = desk_submit(r, now_ns, now_ns + within_ns, 0, (uint8_t)(r->seq * 7));
    guard_frames_scan(d->guard, now_ns);
    return seq;
}

const struct ring_verdict *desk_verdict(const struct desk_robot *r, uint64_t seq)
{
    return ring_peek(&r->verdicts, seq);
}

void desk_pair_up(struct desk *d)
{
    desk_runner_open(d, &d->one, 1);
    desk_runner_open(d, &d->two, 2);
    if (!d->guard->stream.peer)
        desk_robot_open(d, &d->robot);
    assert_int_equal(desk_order(d, CTL_ACTIVATE, 1, 2, 0), 0);
    assert_int_equal(d->guard->state, GUARD_AUTO);
}

void desk_part(struct desk *d)
{
    desk_runner_close(d, &d->one);
    desk_runner_close(d, &d->two);
    desk_robot_close(d, &d->robot);
}

void desk_answer(struct desk *d, struct desk_runner *r, uint64_t seq)
{
    struct ring_result result = desk_result(d, r, seq);
    desk_say(d, r, &result);
}

void desk_expect(const struct desk *d, uint64_t seq, enum ring_verdict_status status,
                 enum intervention reason, uint64_t generation)
{
    const struct ring_verdict *verdict = desk_verdict(&d->robot, seq);
    assert_non_null(verdict);
    assert_int_equal(verdict->seq, seq);
    assert_int_equal(verdict->stream, d->robot.stream);
    assert_int_equal(verdict->status, status);
    assert_int_equal(verdict->reason, reason);
    assert_int_equal(verdict->generation, generation);
    assert_int_equal(verdict->state, d->guard->state);
    struct digest release = generation ? desk_release(generation) : (struct digest){{0}};
    assert_memory_equal(&verdict->release, &release, sizeof release);
    if (generation == 0) /* nobody's limits either */
        assert_true(verdict->min_score == 0 && verdict->max_detections == 0 && verdict->label_count == 0);
}
