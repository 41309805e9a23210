/* Connections: only processes of our own user (runners: of the runners' users), only in fixed places, only with packets that
 * pass ctl_check. */
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "robot/guard/state.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>

enum {
    HELLO_WITHIN_NS = 2000000000,
    SO_PEERPIDFD_ = 77
}; /* SO_PEERPIDFD: Linux 6.5, unknown to older headers */

static struct guard_peer *free_place(struct guard *guard)
{
    for (int i = 0; i < GUARD_MAX_PEERS; i++)
        if (!guard->peers[i].used)
            return &guard->peers[i];
    return NULL;
}

/* Of the very process that connected, also from another PID namespace; older kernels only know its number. */
static int open_pid(int fd, pid_t pid)
{
    int pid_fd = -1;
    socklen_t size = sizeof pid_fd;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD_, &pid_fd, &size) == 0)
        return pid_fd;
    return (int)syscall(SYS_pidfd_open, pid, 0);
}

static bool runners_user(const struct guard *guard, uid_t uid)
{
    for (size_t i = 0; i < guard->options.runner_user_count; i++)
        if (guard->options.runner_users[i] == uid)
            return true;
    return false;
}

/* Runners never take the places that a human, the agent and the robot program need. */
static bool runners_crowd(const struct guard *guard)
{
    int runners = 0;
    for (int i = 0; i < GUARD_MAX_PEERS; i++)
        runners += guard->peers[i].used && guard_peer_is_runner(&guard->peers[i]);
    return runners >= GUARD_MAX_RUNNER_PEERS;
}

static int welcome_peer(struct guard *guard, int fd, int64_t now_ns, struct err *err)
{
    struct ucred who;
    socklen_t size = sizeof who;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) < 0)
        return err_errno(err, "SO_PEERCRED");
    bool own = who.uid == geteuid();
    if (!own && !runners_user(guard, who.uid))
        return err_set(err, ERR_DENIED, "process %d belongs to user %u", (int)who.pid, who.uid);
    struct guard_peer caller = {.pid = who.pid, .foreign = !own}, *peer = free_place(guard);
    if (!peer || (guard_peer_is_runner(&caller) && runners_crowd(guard)))
        return err_set(err, ERR_BUSY, "too many connections are open already");
    size_t place = (size_t)(peer - guard->peers);
    if (guard_watch(guard, fd, EPOLLIN, GUARD_BY_PEER, place, err) < 0)
        return -1;
    *peer = (struct guard_peer){.used = true,
                                .fd = fd,
                                .pid_fd = open_pid(fd, who.pid),
                                .pid = who.pid,
                                .foreign = !own,
                                .since_ns = now_ns};
    return 0;
}

static int take_caller(const struct guard *guard)
{
    return accept4(guard->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
}

/* No descriptor is left: whoever waits at the door is sent away. False: not even that is possible (the whole machine has none
 * left); he waits until the next tick, and costs nothing until then. */
static bool send_away(struct guard *guard)
{
    close(guard->spare_fd);
    int fd = take_caller(guard);
    bool came = fd >= 0;
    mem_cleanup_close(&fd);
    guard->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    log_error("no file descriptor is left: a connection was refused; raise the limit (ulimit -n)");
    return came;
}

void guard_accept(struct guard *guard, int64_t now_ns)
{
    for (int failed = 0; failed < GUARD_MAX_PEERS;) {
        int fd = take_caller(guard);
        bool none_left = fd < 0 && (errno == EMFILE || errno == ENFILE);
        if ((fd < 0 && errno == EAGAIN) || (none_left && !send_away(guard)))
            return;
        if (fd < 0) {
            failed++;
            continue;
        }
        struct err err = {0};
        if (welcome_peer(guard, fd, now_ns, &err) < 0) {
            log_warn("connection refused: %s", err.text);
            close(fd);
        }
    }
}

bool guard_peer_gone(const struct guard_peer *peer)
{
    struct pollfd look = {.fd = peer->fd};
    return poll(&look, 1, 0) > 0; /* asked for nothing: there is only this to tell */
}

void guard_peer_died(struct guard *guard, struct guard_peer *peer, int64_t now_ns)
{
    struct pollfd look = {.fd = peer->pid_fd, .events = POLLIN};
    if (poll(&look, 1, 0) > 0) /* not what sat in this place before */
        guard_peer_drop(guard, peer, now_ns);
}

void guard_peer_kill(const struct guard_peer *peer)
{
    syscall(SYS_pidfd_send_signal, peer->pid_fd, SIGKILL, NULL, 0);
}

static void stream_end(struct guard *guard)
{
    struct guard_stream *stream = &guard->stream;
    ring_fini(&stream->frames);
    ring_fini(&stream->verdicts);
    stream->peer = NULL;
    log_info("robot program is gone");
    guard_direct(guard);
}

static void runner_end(struct guard *guard, struct guard_runner *runner, int64_t now_ns)
{
    guard_results_drain(guard, runner, now_ns); /* what it finished before it went */
    guard_frames_scan(guard, now_ns);           /* what it was at work on: the next one gets that */
    log_warn("runner of generation %llu is %s", (unsigned long long)runner->generation,
             runner->hung ? "hung: killed" : "gone");
    runner->restarts++;
    guard_runner_disconnect(guard, runner);
    guard_runner_lost(guard, runner, now_ns);
    guard_notice(guard, CTL_NOTICE_LOST, runner->generation,
                 runner->hung ? "runner hung: killed" : "runner lost");
    if (!runner->admitted)
        runner->generation = 0;
}

void guard_peer_drop(struct guard *guard, struct guard_peer *peer, int64_t now_ns)
{
    struct guard_runner *runner = peer->runner;
    peer->runner = NULL;
    if (guard->stream.peer == peer)
        stream_end(guard);
    if (runner)
        runner_end(guard, runner, now_ns);
    peer->used = false;
    mem_cleanup_close(&peer->fd);
    mem_cleanup_close(&peer->pid_fd);
    peer->pid_fd = -1;
    if (peer->role == CTL_ROLE_ESTOP)
        guard_mirror_gone(guard, now_ns);
}

int guard_reply(const struct guard_peer *peer, const struct ctl_message *asked, uint64_t generation,
                const struct err *why)
{
    struct ctl_message reply;
    struct err ignored = {0};
    ctl_message_init(&reply, CTL_REPLY);
    reply.generation = generation;
    reply.fallback = asked->fallback;
    reply.count = asked->kind;
    reply.result = why->code;
    str_copy(reply.text, sizeof reply.text, why->text);
    return ctl_send(peer->fd, &reply, NULL, &ignored);
}

/* One packet; -1: this peer has to go. */
static int serve(struct guard *guard, struct guard_peer *peer, const struct ctl_message *message,
                 struct ctl_fds *fds, int64_t now_ns, struct err *err)
{
    if (message->kind == CTL_HELLO) {
        if (guard_hello(guard, peer, message, fds, now_ns, err) == 0)
            return 0;
        (void)guard_reply(peer, message, message->generation, err);
        return -1;
    }
    if (guard_order(guard, peer, message, now_ns))
        return 0;
    return err_set(err, ERR_INVALID, "packet kind %u is not for its role %u", message->kind, peer->role);
}

void guard_peer_ready(struct guard *guard, struct guard_peer *peer, int64_t now_ns)
{
    union ctl_packet packet;
    struct err err = {0};
    /* A few at a time, so that nobody can keep the loop for himself. */
    for (int i = 0; i < 8 && peer->used; i++) {
        cleanup_ctl_fds struct ctl_fds fds;
        int got = ctl_recv(peer->fd, &packet, &fds, &err);
        if (got == 0)
            return;
        if (got > 0 && serve(guard, peer, &packet.message, &fds, now_ns, &err) == 0)
            continue;
        if (err.code != ERR_UNREACHABLE)
            log_warn("process %d: %s", (int)peer->pid, err.text);
        guard_peer_drop(guard, peer, now_ns);
        return;
    }
}

static void check_hung(struct guard *guard, struct guard_peer *peer, int64_t now_ns)
{
    struct guard_runner *runner = peer->runner;
    const struct guard_options *limits = &guard->options;
    if (!runner || runner->silent_frames < limits->hang_frames ||
        now_ns - runner->silent_since_ns < (int64_t)limits->hang_ms * 1000000)
        return;
    runner->hung = true;
    guard_peer_kill(peer);
    guard_peer_drop(guard, peer, now_ns);
}

void guard_peers_tick(struct guard *guard, int64_t now_ns)
{
    for (int i = 0; i < GUARD_MAX_PEERS; i++) {
        struct guard_peer *peer = &guard->peers[i];
        if (!peer->used)
            continue;
        if (peer->doomed_ns && now_ns > peer->doomed_ns) {
            guard_peer_kill(peer);
            guard_peer_drop(guard, peer, now_ns);
        } else if (peer->role == 0 && now_ns - peer->since_ns > HELLO_WITHIN_NS) {
            guard_peer_drop(guard, peer, now_ns);
        } else {
            check_hung(guard, peer, now_ns);
        }
    }
}
