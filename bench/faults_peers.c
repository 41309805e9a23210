/* Whoever knocks at the guard's socket: with nonsense, in crowds, with descriptors. While
 * any of it lasts the robot's frames are answered. */
#include "bench/faults.h"

#include <dirent.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>

enum { CROWD = 40 };

static bool ready(struct world *world, struct sight *seen)
{
    return world_ready(world, &(struct needs){.active = PRIMARY}, seen);
}

static int dial(struct world *world, struct sight *seen)
{
    int fd = -1;
    struct err err = {0};
    expect(seen, ctl_dial(world->run_dir, &fd, &err) == 0, "connect: %s", err.text);
    return fd;
}

static void frame_amid(struct world *world, int64_t struck_ns, struct sight *seen)
{
    frame_look(world, frame_send(world, 0, LONG_US), seen);
    seen->us = (seen->at_ns - struck_ns) / 1000;
}

/* Within a second. */
static void expect_hang_up(int fd, struct sight *seen)
{
    struct pollfd look = {.fd = fd, .events = 0};
    expect(seen, poll(&look, 1, 1000) == 1 && (look.revents & POLLHUP), "the guard keeps the connection");
}

/* ---- packets ---- */

enum packet {
    NOISE,
    OVERSIZED,
    SHORT,
    NOTHING,
    OTHER_VERSION,
    UNKNOWN_KIND,
    UNTERMINATED,
    ORDER_FIRST,
    HELLO_TWICE,
    MANY_FDS
};

static void send_bytes(int fd, const void *bytes, size_t len)
{
    ssize_t ignored = send(fd, bytes, len, MSG_NOSIGNAL);
    (void)ignored;
}

static void send_many_fds(int fd)
{
    enum { COUNT = 200 };
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(sizeof(int) * COUNT)];
    } room = {0};
    char byte = 0;
    struct iovec iov = {.iov_base = &byte, .iov_len = 1};
    struct msghdr header = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = room.bytes, .msg_controllen = sizeof room.bytes};
    struct cmsghdr *part = CMSG_FIRSTHDR(&header);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(sizeof(int) * COUNT);
    for (int i = 0; i < COUNT; i++)
        memcpy(CMSG_DATA(part) + (size_t)i * sizeof fd, &fd, sizeof fd);
    ssize_t ignored = sendmsg(fd, &header, MSG_NOSIGNAL);
    (void)ignored;
}

static void send_nonsense(int fd, int what)
{
    static uint8_t noise[60000];
    struct ctl_message message;
    ctl_message_init(&message, CTL_HELLO);
    message.role = CTL_ROLE_OBSERVER;
    for (size_t i = 0; noise[1] == 0 && i < sizeof noise; i++)
        noise[i] = (uint8_t)(i * 151 + 1);
    if (what == OTHER_VERSION)
        message.version = 99;
    else if (what == UNKNOWN_KIND)
        message.kind = 77;
    else if (what == UNTERMINATED)
        memset(message.text, 'x', sizeof message.text);
    else if (what == ORDER_FIRST)
        message.kind = CTL_ACTIVATE;
    if (what == MANY_FDS)
        send_many_fds(fd);
    else if (what == NOISE || what == OVERSIZED || what == SHORT)
        send_bytes(fd, noise, what == OVERSIZED ? sizeof noise : what == SHORT ? 3 : sizeof message);
    else if (what == NOTHING)
        send_bytes(fd, "", 0);
    else
        send_bytes(fd, &message, sizeof message);
    if (what == HELLO_TWICE)
        send_bytes(fd, &message, sizeof message);
}

static void nonsense(struct world *world, const struct fault_case *row, struct sight *seen)
{
    if (!ready(world, seen))
        return;
    cleanup_close int fd = dial(world, seen);
    int64_t struck_ns = now_ns();
    send_nonsense(fd, row->variant);
    frame_amid(world, struck_ns, seen);
    expect_hang_up(fd, seen);
}

/* ---- crowds ---- */

static void hello_flood(struct world *world, const struct fault_case *row, struct sight *seen)
{
    struct ctl_message hello;
    if (!ready(world, seen))
        return;
    int64_t struck_ns = now_ns();
    ctl_message_init(&hello, CTL_HELLO);
    hello.role = CTL_ROLE_OBSERVER;
    uint64_t seq = 0;
    for (int i = 0; i < 300; i++) {
        struct err err = {0};
        cleanup_close int fd = -1;
        if (ctl_dial(world->run_dir, &fd, &err) == 0)
            send_bytes(fd, &hello, sizeof hello);
        if (i == 150)
            seq = frame_send(world, struck_ns = now_ns(), LONG_US);
        if (i == 160) {
            frame_look(world, seq, seen);
            seen->us = (seen->at_ns - struck_ns) / 1000;
        }
    }
}

static void silent_crowd(struct world *world, const struct fault_case *row, struct sight *seen)
{
    int fds[CROWD];
    struct err err = {0};
    if (!ready(world, seen))
        return;
    for (int i = 0; i < CROWD; i++)
        if (fds[i] = -1, ctl_dial(world->run_dir, &fds[i], &err) < 0)
            fds[i] = -1;
    frame_amid(world, now_ns(), seen);
    nap_us(2300000); /* whoever says nothing for two seconds has to go */
    int left = 0;
    for (int i = 0; i < CROWD; i++)
        if (fds[i] >= 0) {
            left += connected(fds[i]);
            close(fds[i]);
        }
    expect(seen, left == 0, "%d silent connections are still open", left);
    cleanup_close int fd = dial_as(world, CTL_ROLE_OBSERVER, seen);
    frame_healthy(world, seen);
}

/* Asks and asks and never reads: as an agent, or is told everything and never reads: as an observer. */
static void deaf(struct world *world, const struct fault_case *row, struct sight *seen)
{
    struct ctl_message ask;
    struct err err = {0};
    if (!ready(world, seen))
        return;
    cleanup_close int fd = dial_as(world, (enum ctl_role)row->variant, seen);
    ctl_message_init(&ask, CTL_STATUS_REQUEST);
    for (int i = 0; i < 2000; i++)
        if (ctl_send(fd, &ask, NULL, &err) < 0)
            nap_us(100);
    frame_amid(world, now_ns(), seen);
}

/* ---- descriptors ---- */

static int open_files(pid_t pid)
{
    char path[48];
    int count = 0;
    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    DIR *dir = opendir(path);
    while (dir && readdir(dir))
        count++;
    if (dir)
        closedir(dir);
    return count;
}

static void fds_in_packets(struct world *world, const struct fault_case *row, struct sight *seen)
{
    struct ctl_message ask;
    struct err err = {0};
    if (!ready(world, seen))
        return;
    int before = open_files(world->guard);
    cleanup_close int fd = dial_as(world, CTL_ROLE_OBSERVER, seen);
    ctl_message_init(&ask, CTL_STATUS_REQUEST);
    int64_t struck_ns = now_ns();
    for (int i = 0; i < 200; i++) {
        struct ctl_fds two = {.fd = {fd, fd}};
        union ctl_packet packet;
        struct ctl_fds got;
        if (ctl_send(fd, &ask, &two, &err) == 0 && ctl_await(fd, &packet, &got, PATIENCE_MS, &err) == 1)
            ctl_fds_close(&got);
    }
    frame_amid(world, struck_ns, seen);
    mem_cleanup_close(&fd);
    fd = -1;
    for (int tries = 0; open_files(world->guard) > before && tries < 100; tries++)
        nap_us(1000);
    expect(seen, open_files(world->guard) <= before, "the guard keeps %d descriptors more",
           open_files(world->guard) - before);
}

/* The guard has no descriptor left: EMFILE. Frames are answered, a stop is obeyed and written down. */
static void no_descriptors(struct world *world, const struct fault_case *row, struct sight *seen)
{
    struct rlimit none = {.rlim_cur = 3}, was;
    char text[240];
    if (!ready(world, seen) ||
        !expect(seen, prlimit(world->guard, RLIMIT_NOFILE, NULL, &was) == 0, "prlimit"))
        return;
    none.rlim_max = was.rlim_max;
    prlimit(world->guard, RLIMIT_NOFILE, &none, NULL);
    for (int i = 0; i < 20; i++) {
        struct err err = {0};
        cleanup_close int fd = -1;
        if (ctl_dial(world->run_dir, &fd, &err) == 0)
            nap_us(200);
    }
    frame_amid(world, now_ns(), seen);
    struct ctl_status status;
    expect(seen, command(world->operator_fd, CTL_VERB_STOP, 0, 0, NULL, text) == ERR_NONE && !text[0],
           "the stop: %s", text);
    expect(seen, status_get(world, &status, seen) && status.oversight.latched,
           "the stop is not written down");
    prlimit(world->guard, RLIMIT_NOFILE, &was, NULL);
}

/* ENFILE for every connection, from below. */
static void no_files(struct world *world, const struct fault_case *row, struct sight *seen)
{
    if (!world_ready(world, &(struct needs){.active = PRIMARY, .own_guard = true}, seen))
        return;
    atomic_store(&underfoot->accept_errno, row->variant);
    struct err err = {0};
    cleanup_close int fd = -1;
    expect(seen, ctl_dial(world->run_dir, &fd, &err) == 0, "connect: %s", err.text);
    frame_amid(world, now_ns(), seen);
    atomic_store(&underfoot->accept_errno, 0);
    cleanup_close int later = dial_as(world, CTL_ROLE_OBSERVER, seen);
}

#define FINE .answers = IS_OK, .state = GUARD_AUTO, .measure = ANSWERED
#define NONSENSE(name_, says, what)                                                                          \
    {                                                                                                        \
        .name = "packet_" name_, .injected = says, .also = "the connection is closed", .inject = nonsense,   \
        FINE, .bound_us = 20000, .share = 10, .variant = what                                                \
    }
static const struct fault_case cases[] = {
    NONSENSE("noise", "bytes without sense", NOISE),
    NONSENSE("oversized", "a packet of 60,000 bytes", OVERSIZED),
    NONSENSE("short", "a packet of three bytes", SHORT),
    NONSENSE("empty", "an empty packet", NOTHING),
    NONSENSE("other_version", "a packet of protocol version 99", OTHER_VERSION),
    NONSENSE("unknown_kind", "a packet of a kind that does not exist", UNKNOWN_KIND),
    NONSENSE("unterminated", "text without an end", UNTERMINATED),
    NONSENSE("order_before_hello", "an order before HELLO", ORDER_FIRST),
    NONSENSE("hello_twice", "two HELLOs", HELLO_TWICE),
    NONSENSE("200_descriptors", "200 descriptors in one packet", MANY_FDS),
    {.name = "hello_flood",
     .injected = "300 connections with HELLO, one after the other",
     .inject = hello_flood,
     FINE,
     .bound_us = 20000,
     .share = 5},
    {.name = "silent_crowd",
     .injected = "40 connections that say nothing",
     .also = "gone after two seconds; then others are let in",
     .inject = silent_crowd,
     FINE,
     .bound_us = 20000,
     .share = 2},
    {.name = "agent_deaf",
     .injected = "an agent asks 2,000 times and never reads",
     .inject = deaf,
     FINE,
     .bound_us = 20000,
     .share = 3,
     .variant = CTL_ROLE_AGENT},
    {.name = "observer_deaf",
     .injected = "an observer asks 2,000 times and never reads",
     .inject = deaf,
     FINE,
     .bound_us = 20000,
     .share = 3,
     .variant = CTL_ROLE_OBSERVER},
    {.name = "descriptors_in_packets",
     .injected = "400 descriptors in packets that should have none",
     .also = "the guard keeps none of them",
     .inject = fds_in_packets,
     FINE,
     .bound_us = 500000,
     .share = 5},
    {.name = "guard_emfile",
     .injected = "no descriptor is left to the guard; connections; a stop",
     .also = "frames are answered until then; the stop is written down",
     .inject = no_descriptors,
     .answers = IS_OK,
     .state = GUARD_SAFE_STOP,
     .measure = ANSWERED,
     .bound_us = 20000,
     .share = 5},
    {.name = "guard_enfile",
     .injected = "accept says ENFILE",
     .also = "later connections are let in",
     .inject = no_files,
     FINE,
     .bound_us = 20000,
     .share = 3,
     .variant = 23 /* ENFILE */},
};
const struct group faults_peers = {cases, ARRAY_LEN(cases)};
