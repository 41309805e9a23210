#include "robot/guard/harness.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/testing.h"
#include "robot/runner/runner.h"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

int64_t harness_now_ms(void)
{
    return clock_mono_ms();
}

static void serve_and_exit(const struct guard_options *options, void (*armed)(void))
{
    struct guard *guard;
    struct err err = {0};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (guard_open(options, &guard, &err) < 0)
        _exit(70);
    if (armed)
        armed();
    int done = guard_run(guard, &err);
    guard_close(guard);
    _exit(done < 0 ? 71 : 0);
}

void harness_open(struct harness *h, const struct guard_options *options, void (*armed)(void))
{
    char dir[] = "/tmp/muster-guard-XXXXXX";
    assert_non_null(mkdtemp(dir));
    harness_open_in(h, dir, options, armed);
}

void harness_open_in(struct harness *h, const char *dir, const struct guard_options *options,
                     void (*armed)(void))
{
    *h = (struct harness){.agent = -1};
    assert_true(str_copy(h->dir, sizeof h->dir, dir));
    struct guard_options own = options ? *options : (struct guard_options){0};
    own.run_dir = h->dir;
    h->guard = fork();
    if (h->guard == 0)
        serve_and_exit(&own, armed);
    struct err err = {0};
    int64_t until_ms = clock_mono_ms() + PATIENCE_MS;
    while (ctl_connect(h->dir, CTL_ROLE_AGENT, &h->agent, &err) < 0 && clock_mono_ms() < until_ms)
        poll(NULL, 0, 5);
    assert_true(h->agent >= 0);
}

int harness_close(struct harness *h)
{
    int status = -1;
    muster_close(TAKE_PTR(h->robot));
    mem_cleanup_close(&h->agent);
    h->agent = -1;
    if (h->guard > 0) {
        kill(h->guard, SIGTERM);
        waitpid(h->guard, &status, 0);
    }
    h->guard = 0;
    return status;
}

void harness_sweep(struct harness *h)
{
    static const char *const files[] = {"guard.sock", "guard.lock"};
    harness_close(h);
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        char path[96];
        snprintf(path, sizeof path, "%s/%s", h->dir, files[i]);
        unlink(path);
    }
    rmdir(h->dir);
}

void harness_robot(struct harness *h)
{
    struct muster_options options = {.run_dir = h->dir, .width = HARNESS_WIDTH, .height = HARNESS_HEIGHT};
    char why[MUSTER_TEXT_SIZE];
    assert_int_equal(muster_open(&options, &h->robot, why), 0);
    assert_true(muster_connected(h->robot));
}

struct digest harness_release(uint64_t generation)
{
    struct digest digest = {{0xab, 0xcd}};
    memcpy(digest.bytes + 8, &generation, sizeof generation);
    return digest;
}

int harness_order(struct harness *h, enum ctl_kind kind, uint64_t generation, uint64_t fallback,
                  struct err *err)
{
    struct ctl_message message;
    ctl_message_init(&message, kind);
    message.generation = generation;
    message.fallback = fallback;
    message.release = harness_release(generation);
    message.limits = (struct ctl_limits){
        .deadline_us = 60000000, .max_detections = 4, .label_count = 3, .min_score = 0.25f};
    return ctl_call(h->agent, &message, PATIENCE_MS, err);
}

void harness_admit(struct harness *h, uint64_t generation)
{
    struct err err = {0};
    assert_ok(harness_order(h, CTL_ADMIT, generation, 0, &err), err);
}

void harness_activate(struct harness *h, uint64_t generation, uint64_t fallback)
{
    struct err err = {0};
    assert_ok(harness_order(h, CTL_ACTIVATE, generation, fallback, &err), err);
}

struct ctl_status harness_status(struct harness *h)
{
    struct ctl_status status;
    struct err err = {0};
    assert_ok(ctl_status(h->agent, PATIENCE_MS, &status, &err), err);
    return status;
}

struct ctl_runner_status harness_runner(struct harness *h, uint64_t generation)
{
    struct ctl_status status = harness_status(h);
    for (int i = 0; i < CTL_MAX_RUNNERS; i++)
        if (status.runners[i].generation == generation)
            return status.runners[i];
    return (struct ctl_runner_status){0};
}

void puppet_open(struct puppet *p, struct harness *h, uint64_t generation)
{
    puppet_open_as(p, h, generation, 0, "");
}

void puppet_open_as(struct puppet *p, struct harness *h, uint64_t generation, uint32_t degraded,
                    const char *backend)
{
    struct err err = {0};
    *p = (struct puppet){.generation = generation, .sock = -1, .frames = {.fd = -1}};
    assert_ok(ring_create(&p->results, RING_RESULTS, RING_SLOTS, 0, &err), err);
    assert_ok(ctl_dial(h->dir, &p->sock, &err), err);
    struct ctl_message hello;
    struct ctl_fds fds = {.fd = {p->results.fd, -1}}, got;
    ctl_message_init(&hello, CTL_HELLO);
    hello.role = CTL_ROLE_RUNNER;
    hello.generation = generation;
    hello.release = harness_release(generation);
    hello.count = degraded;
    str_copy(hello.text, sizeof hello.text, backend);
    assert_ok(ctl_send(p->sock, &hello, &fds, &err), err);
    union ctl_packet packet;
    assert_int_equal(ctl_await(p->sock, &packet, &got, PATIENCE_MS, &err), 1);
    assert_int_equal(packet.message.kind, CTL_WELCOME);
    p->bell_fd = got.fd[1];
    assert_ok(ring_attach(&p->control, got.fd[0], RING_CONTROL, &err), err);
}

void puppet_close(struct puppet *p)
{
    ring_fini(&p->results);
    ring_fini(&p->control);
    ring_fini(&p->frames);
    mem_cleanup_close(&p->sock);
    mem_cleanup_close(&p->bell_fd);
}

void puppet_take_stream(struct puppet *p)
{
    struct err err = {0};
    union ctl_packet packet;
    struct ctl_fds got;
    do {
        assert_int_equal(ctl_await(p->sock, &packet, &got, PATIENCE_MS, &err), 1);
    } while (packet.message.kind != CTL_STREAM);
    ring_fini(&p->frames);
    assert_ok(ring_attach(&p->frames, got.fd[0], RING_FRAMES, &err), err);
    p->stream = packet.message.generation;
}

struct ring_result puppet_result(const struct puppet *p, uint64_t seq)
{
    return (struct ring_result){
        .seq = seq,
        .stream = p->stream,
        .generation = p->generation,
        .run_ns = 1000,
        .count = 2,
        .detections = {{.x1 = 10, .y1 = 10, .score = 0.5f, .label = 1},
                       {.x0 = 5, .y0 = 5, .x1 = 30, .y1 = 16, .score = 0.75f, .label = 2}},
    };
}

void puppet_say(struct puppet *p, const struct ring_result *result)
{
    uint8_t one = 1;
    assert_true(ring_put(&p->results, ++p->count, result, sizeof *result));
    assert_int_equal(write(p->bell_fd, &one, sizeof one), sizeof one);
}

struct actor {
    enum acting acting;
    int frames;
};

static int act(void *self, const struct runner_frame *frame, struct ring_result *out, struct err *err)
{
    struct actor *actor = self;
    actor->frames++;
    while (actor->acting == ACT_HANG || (actor->acting == ACT_HANG_AT_FRAME_3 && actor->frames >= 3))
        pause();
    out->detections[0] = (struct detection){.x1 = (float)frame->width,
                                            .y1 = (float)frame->height,
                                            .score = 0.5f,
                                            .label = frame->payload[0] % 3u};
    out->count = 1;
    out->run_ns = 1000;
    return 0;
}

pid_t actor_start(struct harness *h, uint64_t generation, enum acting acting)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    struct actor actor = {.acting = acting};
    struct runner_engine engine = {.self = &actor, .run = act};
    struct runner_options options = {
        .run_dir = h->dir, .generation = generation, .release = harness_release(generation)};
    struct err err = {0};
    mem_cleanup_close(&h->agent);
    _exit(runner_serve(&options, &engine, &err) < 0 ? 1 : 0);
}

uint64_t frame_send(struct harness *h, uint32_t deadline_ms)
{
    uint8_t *rgb = muster_frame_begin(h->robot);
    memset(rgb, 7, HARNESS_WIDTH * HARNESS_HEIGHT * 3);
    return muster_frame_submit(h->robot, 0, deadline_ms * 1000);
}

enum muster_answer frame_wait(struct harness *h, uint64_t seq, struct muster_verdict *out)
{
    return muster_verdict_wait(h->robot, seq, out);
}
