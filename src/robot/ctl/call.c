/* Connecting to the guard, and calls that wait for their answer. */
#include "base/clock.h"
#include "base/mem.h"
#include "robot/ctl/ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

/* By way of an open directory, because a socket's own path may hold 107 characters only. */
static int dial_in(int dir_fd, int sock)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/guard.sock", dir_fd);
    return connect(sock, (const struct sockaddr *)&address, sizeof address);
}

/* A guard of somebody else's is none; but root's may have runners of another user. */
static int check_owner(int sock, bool or_root, struct err *err)
{
    struct ucred who;
    socklen_t size = sizeof who;
    if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &who, &size) < 0)
        return err_errno(err, "SO_PEERCRED");
    if (who.uid == geteuid() || (or_root && who.uid == 0))
        return 0;
    return err_set(err, ERR_UNTRUSTED, "the guard belongs to user %u and this is user %u: be the same",
                   who.uid, geteuid());
}

static int no_answer(const char *run_dir, struct err *err)
{
    if (errno == EACCES)
        return err_set(err, ERR_DENIED, "the guard in %s is another user's: be that user", run_dir);
    if (errno == EAGAIN)
        return err_set(err, ERR_BUSY, "the guard in %s has too many callers: try again", run_dir);
    return err_set(err, ERR_UNREACHABLE, "no guard answers in %s (%s): start muster-guard there", run_dir,
                   strerror(errno));
}

int ctl_dial(const char *run_dir, int *out_fd, struct err *err)
{
    cleanup_close int dir = open(run_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return err_errno(err, "run directory %s", run_dir);
    cleanup_close int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (sock < 0)
        return err_errno(err, "socket");
    if (dial_in(dir, sock) < 0)
        return no_answer(run_dir, err);
    if (check_owner(sock, true, err) < 0)
        return err_prefix(err, "run directory %s", run_dir);
    *out_fd = TAKE_FD(sock);
    return 0;
}

int ctl_await(int fd, union ctl_packet *out, struct ctl_fds *fds, int timeout_ms, struct err *err)
{
    int64_t until_ms = clock_mono_ms() + timeout_ms;
    ctl_fds_init(fds);
    for (;;) {
        int got = ctl_recv(fd, out, fds, err);
        if (got != 0)
            return got;
        int64_t left_ms = until_ms - clock_mono_ms();
        if (left_ms < 0)
            return err_set(err, ERR_TIMEOUT, "no answer within %d ms", timeout_ms);
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        if (poll(&wait, 1, (int)left_ms) < 0 && errno != EINTR)
            return err_errno(err, "poll");
    }
}

/* A command's REPLY names the lease in `generation`: it is known by its number. */
static bool answers(const struct ctl_message *reply, const struct ctl_message *asked)
{
    if (reply->count != asked->kind)
        return false;
    return asked->kind == CTL_COMMAND ? reply->fallback == asked->fallback
                                      : reply->generation == asked->generation;
}

/* Waits for a packet of this kind; others are dropped: they answer calls that timed out before. */
static int await_kind(int fd, enum ctl_kind kind, const struct ctl_message *asked, union ctl_packet *out,
                      int timeout_ms, struct err *err)
{
    int64_t until_ms = clock_mono_ms() + timeout_ms;
    for (;;) {
        cleanup_ctl_fds struct ctl_fds fds;
        int64_t left_ms = until_ms - clock_mono_ms();
        if (ctl_await(fd, out, &fds, (int)MAX(left_ms, 0), err) < 0)
            return -1;
        const struct ctl_message *got = &out->message;
        if (got->kind == CTL_REPLY && got->result != 0 && answers(got, asked))
            return err_set(err, (enum err_code)got->result, "%s", got->text);
        if (got->kind != kind)
            continue;
        if (kind == CTL_REPLY && !answers(got, asked))
            continue;
        return 0;
    }
}

int ctl_connect(const char *run_dir, enum ctl_role role, int *out_fd, struct err *err)
{
    cleanup_close int sock = -1;
    if (ctl_dial(run_dir, &sock, err) < 0)
        return -1;
    if (check_owner(sock, false, err) < 0) /* it would show us the door */
        return err_prefix(err, "run directory %s", run_dir);
    struct ctl_message hello;
    ctl_message_init(&hello, CTL_HELLO);
    hello.role = role;
    union ctl_packet answer;
    if (ctl_send(sock, &hello, NULL, err) < 0 ||
        await_kind(sock, CTL_WELCOME, &hello, &answer, 2000, err) < 0)
        return err_prefix(err, "guard in %s", run_dir);
    *out_fd = TAKE_FD(sock);
    return 0;
}

int ctl_call(int fd, const struct ctl_message *message, int timeout_ms, struct err *err)
{
    union ctl_packet answer;
    if (ctl_send(fd, message, NULL, err) < 0)
        return -1;
    return await_kind(fd, CTL_REPLY, message, &answer, timeout_ms, err);
}

int ctl_status(int fd, int timeout_ms, struct ctl_status *out, struct err *err)
{
    struct ctl_message ask;
    ctl_message_init(&ask, CTL_STATUS_REQUEST);
    union ctl_packet answer;
    if (ctl_send(fd, &ask, NULL, err) < 0 || await_kind(fd, CTL_STATUS, &ask, &answer, timeout_ms, err) < 0)
        return -1;
    *out = answer.status.status;
    return 0;
}

int ctl_command(int fd, const struct ctl_command *command, int timeout_ms, uint64_t *out_lease,
                struct err *err)
{
    struct ctl_message ask;
    union ctl_packet answer;
    ctl_message_init(&ask, CTL_COMMAND);
    ask.command = *command;
    ask.fallback = (uint64_t)clock_mono_ns();
    if (ctl_send(fd, &ask, NULL, err) < 0 || await_kind(fd, CTL_REPLY, &ask, &answer, timeout_ms, err) < 0)
        return -1;
    if (out_lease)
        *out_lease = answer.message.generation;
    memcpy(err->text, answer.message.text, sizeof answer.message.text); /* terminated: ctl_check */
    return 0;
}
