/* The way to the guard, kept open by itself. */
#include "base/clock.h"
#include "base/mem.h"
#include "robot/ctl/ctl.h"
#include "robot/link/link.h"

#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>

#define RETRY_NS 50000000ll

void link_drop(struct muster *robot)
{
    mem_cleanup_close(&robot->sock);
    robot->sock = -1;
    robot->stream = 0;
    ring_fini(&robot->verdicts);
    robot->retry_ns = clock_mono_ns() + RETRY_NS;
}

static int dial(struct muster *robot, struct err *err)
{
    struct ctl_message hello;
    struct ctl_fds fds = {.fd = {robot->frames.fd, -1}};
    ctl_message_init(&hello, CTL_HELLO);
    hello.role = CTL_ROLE_CLIENT;
    if (ctl_dial(robot->run_dir, &robot->sock, err) < 0)
        return -1;
    return ctl_send(robot->sock, &hello, &fds, err);
}

static int send_estop(struct muster *robot, bool pressed)
{
    struct ctl_message message;
    struct err ignored = {0};
    ctl_message_init(&message, CTL_ESTOP);
    message.count = pressed;
    return ctl_send(robot->sock, &message, NULL, &ignored);
}

int link_say_estop(struct muster *robot)
{
    if (robot->sock < 0 || !robot->stream)
        return -1;
    /* Pressed and released while there was no guard is pressed all the same. */
    if ((robot->estop_unseen && !robot->estop_pressed && send_estop(robot, true) < 0) ||
        send_estop(robot, robot->estop_pressed) < 0) {
        link_drop(robot);
        return -1;
    }
    return 0;
}

void link_say_frame(struct muster *robot)
{
    struct ctl_message message;
    struct err ignored = {0};
    int unread = 0;
    if (ioctl(robot->sock, SIOCOUTQ, &unread) < 0 || unread > 0)
        return;
    ctl_message_init(&message, CTL_FRAME);
    (void)!ctl_send(robot->sock, &message, NULL, &ignored); /* one that hung up is noticed by link_pump */
}

static int take_welcome(struct muster *robot, const struct ctl_message *message, struct ctl_fds *fds,
                        struct err *err)
{
    struct ring verdicts;
    if (robot->stream || message->generation == 0)
        return err_set(err, ERR_INVALID, "WELCOME at the wrong time");
    if (ring_attach(&verdicts, TAKE_FD(fds->fd[0]), RING_VERDICTS, err) < 0)
        return -1;
    robot->verdicts = verdicts;
    robot->stream = message->generation;
    return robot->estop_said ? link_say_estop(robot) : 0;
}

static int read_packets(struct muster *robot, struct err *err)
{
    for (;;) {
        union ctl_packet packet;
        cleanup_ctl_fds struct ctl_fds fds;
        int got = ctl_recv(robot->sock, &packet, &fds, err);
        if (got <= 0)
            return got;
        if (packet.message.kind == CTL_WELCOME && take_welcome(robot, &packet.message, &fds, err) < 0)
            return -1;
        if (packet.message.kind == CTL_REPLY && packet.message.result != 0)
            return err_set(err, (enum err_code)packet.message.result, "refused");
    }
}

void link_pump(struct muster *robot)
{
    struct err err = {0};
    if (robot->sock < 0 && clock_mono_ns() >= robot->retry_ns && dial(robot, &err) < 0)
        link_drop(robot);
    if (robot->sock >= 0 && read_packets(robot, &err) < 0)
        link_drop(robot);
}

void link_await(struct muster *robot, int timeout_ms)
{
    int64_t until_ms = clock_mono_ms() + timeout_ms;
    for (;;) {
        link_pump(robot);
        int64_t left_ms = until_ms - clock_mono_ms();
        if (robot->sock < 0 || robot->stream || left_ms <= 0)
            return;
        struct pollfd wait = {.fd = robot->sock, .events = POLLIN};
        poll(&wait, 1, (int)left_ms);
    }
}
