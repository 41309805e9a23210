#include "base/testing.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "robot/runner/fake_guard.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { PATIENCE_MS = 20000 };

void fake_guard_open(struct fake_guard *g)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    *g = (struct fake_guard){.sock = -1, .bell = -1, .results = {.fd = -1}, .frames = {.fd = -1}};
    str_copy(g->dir, sizeof g->dir, "/tmp/muster-runner-XXXXXX");
    assert_non_null(mkdtemp(g->dir));
    snprintf(address.sun_path, sizeof address.sun_path, "%s/guard.sock", g->dir);
    g->listen = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(bind(g->listen, (const struct sockaddr *)&address, sizeof address) == 0);
    assert_int_equal(listen(g->listen, 4), 0);
    assert_ok(ring_create(&g->control, RING_CONTROL, RING_SLOTS, 0, &g->err), g->err);
    g->options.run_dir = g->dir;
    g->options.generation = 7;
    g->options.patience_ms = PATIENCE_MS;
}

static void take_hello(struct fake_guard *g)
{
    union ctl_packet packet;
    struct ctl_fds got;
    assert_int_equal(ctl_await(g->sock, &packet, &got, PATIENCE_MS, &g->err), 1);
    assert_int_equal(packet.message.kind, CTL_HELLO);
    assert_int_equal(packet.message.role, CTL_ROLE_RUNNER);
    g->hello = packet.message;
    assert_ok(ring_attach(&g->results, got.fd[0], RING_RESULTS, &g->err), g->err);
}

static void welcome(struct fake_guard *g)
{
    int ends[2];
    struct ctl_message message;
    assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    g->bell = ends[0];
    ctl_message_init(&message, CTL_WELCOME);
    const struct ctl_fds fds = {.fd = {g->control.fd, ends[1]}};
    assert_ok(ctl_send(g->sock, &message, &fds, &g->err), g->err);
    close(ends[1]);
}

bool fake_guard_meet(struct fake_guard *g, int timeout_ms)
{
    struct pollfd wait = {.fd = g->listen, .events = POLLIN};
    if (poll(&wait, 1, timeout_ms) != 1)
        return false;
    g->sock = accept4(g->listen, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    assert_true(g->sock >= 0);
    take_hello(g);
    welcome(g);
    return true;
}

static void *serve(void *arg)
{
    struct fake_guard *g = arg;
    struct err err = {0};
    g->returned = runner_serve(&g->options, &g->engine, &err);
    return NULL;
}

void fake_guard_run(struct fake_guard *g, struct runner_engine engine)
{
    g->engine = engine;
    assert_int_equal(pthread_create(&g->thread, NULL, serve, g), 0);
    assert_true(fake_guard_meet(g, PATIENCE_MS));
}

void fake_guard_end(struct fake_guard *g)
{
    struct ctl_message message;
    ctl_message_init(&message, CTL_EXIT);
    assert_ok(ctl_send(g->sock, &message, NULL, &g->err), g->err);
    assert_int_equal(pthread_join(g->thread, NULL), 0);
    assert_int_equal(g->returned, 0);
}

void fake_guard_close(struct fake_guard *g)
{
    ring_fini(&g->control);
    ring_fini(&g->results);
    ring_fini(&g->frames);
    mem_cleanup_close(&g->sock);
    mem_cleanup_close(&g->bell);
    mem_cleanup_close(&g->listen);
    cleanup_free char *path = mem_printf("%s/guard.sock", g->dir);
    unlink(path);
    rmdir(g->dir);
}

void fake_stream(struct fake_guard *g, uint64_t number, uint32_t slots, size_t payload_bytes)
{
    struct ctl_message message;
    ring_fini(&g->frames);
    assert_ok(ring_create(&g->frames, RING_FRAMES, slots, payload_bytes, &g->err), g->err);
    g->stream = number;
    g->frame = 0;
    ctl_message_init(&message, CTL_STREAM);
    message.generation = number;
    const struct ctl_fds fds = {.fd = {g->frames.fd, -1}};
    assert_ok(ctl_send(g->sock, &message, &fds, &g->err), g->err);
}

void fake_orders(struct fake_guard *g, enum ring_mode mode, uint64_t from, uint64_t until, uint32_t flags)
{
    const struct ring_control page = {
        .stream = g->stream, .from_seq = from, .until_seq = until, .mode = mode, .flags = flags};
    struct ctl_message kick;
    assert_true(ring_put(&g->control, ++g->control_seq, &page, sizeof page));
    ctl_message_init(&kick, CTL_ACTIVATE);
    assert_ok(ctl_send(g->sock, &kick, NULL, &g->err), g->err);
}

static uint64_t publish(struct fake_guard *g, uint32_t count, int64_t deadline_ns)
{
    uint64_t seq = ++g->frame;
    struct ring_frame *frame =
        (struct ring_frame *)(uintptr_t)ring_slot(&g->frames, (uint32_t)(seq & (g->frames.slot_count - 1)));
    *frame = (struct ring_frame){.seq = seq,
                                 .capture_ns = clock_mono_ns(),
                                 .deadline_ns = deadline_ns,
                                 .width = count,
                                 .height = 1,
                                 .pixel_bytes = count * sizeof(float),
                                 .format = RING_FLOAT32};
    ring_publish(&g->frames, seq);
    ring_wake(&g->frames);
    return seq;
}

uint64_t fake_publish(struct fake_guard *g, uint32_t count)
{
    return publish(g, count, clock_mono_ns() + 10000000000);
}

uint64_t fake_frame_until(struct fake_guard *g, float first, uint32_t count, int64_t deadline_ns)
{
    struct ring_frame *frame = ring_begin(&g->frames, g->frame + 1);
    assert_non_null(frame);
    memcpy(frame + 1, &first, sizeof first);
    return publish(g, count, deadline_ns);
}

uint64_t fake_frame(struct fake_guard *g, float first, uint32_t count)
{
    return fake_frame_until(g, first, count, clock_mono_ns() + 10000000000);
}

struct ring_result fake_result(struct fake_guard *g)
{
    struct ring_result result;
    int64_t until_ms = clock_mono_ms() + PATIENCE_MS;
    while (ring_newest(&g->results) <= g->seen && clock_mono_ms() < until_ms)
        ring_wait(&g->results, ring_bell(&g->results), clock_mono_ns() + 1000000, 0);
    assert_true(ring_newest(&g->results) > g->seen);
    assert_true(ring_read(&g->results, ++g->seen, &result, sizeof result));
    return result;
}
