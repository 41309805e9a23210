#include "robot/runner/link.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

#include <poll.h>

enum { RETRY_MS = 50, WELCOME_WITHIN_MS = 2000 };

void runner_link_close(struct runner_link *link)
{
    mem_cleanup_close(&link->sock);
    mem_cleanup_close(&link->bell_fd);
    ring_fini(&link->control);
    ring_fini(&link->frames);
    *link = (struct runner_link)RUNNER_LINK_INIT;
}

static int say_hello(struct runner_link *link, const struct runner_options *options,
                     const struct ring *results, struct err *err)
{
    struct ctl_message hello;
    struct ctl_fds fds = {.fd = {results->fd, -1}};
    ctl_message_init(&hello, CTL_HELLO);
    hello.role = CTL_ROLE_RUNNER;
    hello.generation = options->generation;
    hello.release = options->release;
    hello.count = options->degraded;
    if (options->backend)
        str_copy(hello.text, sizeof hello.text, options->backend);
    return ctl_send(link->sock, &hello, &fds, err);
}

static int take_welcome(struct runner_link *link, struct err *err)
{
    union ctl_packet packet;
    cleanup_ctl_fds struct ctl_fds fds;
    if (ctl_await(link->sock, &packet, &fds, WELCOME_WITHIN_MS, err) < 0)
        return -1;
    if (packet.message.kind == CTL_REPLY && packet.message.result != 0)
        return err_set(err, (enum err_code)packet.message.result, "the guard says: %s", packet.message.text);
    if (packet.message.kind != CTL_WELCOME || fds.fd[1] < 0)
        return err_set(err, ERR_INVALID, "the guard did not answer HELLO with WELCOME");
    link->bell_fd = TAKE_FD(fds.fd[1]);
    return ring_attach(&link->control, TAKE_FD(fds.fd[0]), RING_CONTROL, err);
}

static int try_open(struct runner_link *link, const struct runner_options *options,
                    const struct ring *results, struct err *err)
{
    if (ctl_dial(options->run_dir, &link->sock, err) == 0 && say_hello(link, options, results, err) == 0 &&
        take_welcome(link, err) == 0)
        return 0;
    runner_link_close(link);
    return -1;
}

int runner_link_open(struct runner_link *link, const struct runner_options *options,
                     const struct ring *results, struct err *err)
{
    int64_t until_ms = clock_mono_ms() + (options->patience_ms ? options->patience_ms : RUNNER_PATIENCE_MS);
    while (try_open(link, options, results, err) < 0) {
        if (err->code == ERR_EXISTS || err->code == ERR_REFUSED || clock_mono_ms() >= until_ms)
            return -1;
        poll(NULL, 0, RETRY_MS);
    }
    return 0;
}

static void take_stream(struct runner_link *link, const struct ctl_message *message, struct ctl_fds *fds)
{
    struct err err = {0};
    struct ring frames;
    ring_fini(&link->frames);
    link->stream = 0;
    if (ring_attach(&frames, TAKE_FD(fds->fd[0]), RING_FRAMES, &err) < 0) {
        log_warn("frames: %s", err.text);
        return;
    }
    link->frames = frames;
    link->stream = message->generation;
}

enum runner_news runner_link_read(struct runner_link *link)
{
    for (;;) {
        union ctl_packet packet;
        cleanup_ctl_fds struct ctl_fds fds;
        struct err err = {0};
        int got = ctl_recv(link->sock, &packet, &fds, &err);
        if (got < 0)
            return RUNNER_GUARD_LOST;
        if (got == 0)
            return RUNNER_NO_NEWS;
        if (packet.message.kind == CTL_EXIT)
            return RUNNER_TOLD_TO_EXIT;
        if (packet.message.kind == CTL_STREAM)
            take_stream(link, &packet.message, &fds);
    }
}

struct ring_control runner_link_orders(const struct runner_link *link)
{
    struct ring_control orders;
    for (int tries = 0; tries < 4; tries++)
        if (ring_read(&link->control, ring_newest(&link->control), &orders, sizeof orders))
            return orders.mode <= RING_MODE_SHADOW ? orders : (struct ring_control){0};
    return (struct ring_control){0};
}
