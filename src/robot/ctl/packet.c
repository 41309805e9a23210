/* Packets and the descriptors in them. */
#include "base/mem.h"
#include "robot/ctl/ctl.h"

#include <errno.h>
#include <sys/socket.h>

void ctl_message_init(struct ctl_message *message, enum ctl_kind kind)
{
    memset(message, 0, sizeof *message);
    message->magic = CTL_MAGIC;
    message->version = CTL_VERSION;
    message->kind = kind;
}

static bool terminated(const char *text, size_t size)
{
    return memchr(text, 0, size) != NULL;
}

static bool header_ok(const struct ctl_message *message)
{
    if (message->magic != CTL_MAGIC || message->version != CTL_VERSION)
        return false;
    if (message->kind < CTL_HELLO || message->kind >= CTL_KIND_END)
        return false;
    if (message->kind == CTL_HELLO && (message->role < CTL_ROLE_CLIENT || message->role >= CTL_ROLE_END))
        return false;
    if (message->kind == CTL_REPLY && (message->result < ERR_NONE || message->result >= ERR_CODE_COUNT))
        return false;
    if (message->kind == CTL_COMMAND &&
        (message->command.verb < CTL_VERB_HOLD || message->command.verb >= CTL_VERB_END))
        return false;
    return terminated(message->text, sizeof message->text) &&
           terminated(message->command.who, sizeof message->command.who) &&
           terminated(message->command.reason, sizeof message->command.reason);
}

bool ctl_check(const void *packet, size_t len)
{
    struct ctl_message header;
    if (len < sizeof header)
        return false;
    memcpy(&header, packet, sizeof header);
    size_t want = header.kind == CTL_STATUS ? sizeof(struct ctl_status_packet) : sizeof(struct ctl_message);
    return len == want && header_ok(&header);
}

void ctl_fds_init(struct ctl_fds *fds)
{
    for (int i = 0; i < CTL_MAX_FDS; i++)
        fds->fd[i] = -1;
}

void ctl_fds_close(struct ctl_fds *fds)
{
    for (int i = 0; i < CTL_MAX_FDS; i++)
        mem_cleanup_close(&fds->fd[i]);
    ctl_fds_init(fds);
}

/* Room for more descriptors than allowed, so that a peer's surplus is closed here and not lost. */
union control_room {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(int) * 2 * CTL_MAX_FDS)];
};

static size_t message_size(const struct ctl_message *message)
{
    return message->kind == CTL_STATUS ? sizeof(struct ctl_status_packet) : sizeof(struct ctl_message);
}

static void put_fds(struct msghdr *header, union control_room *room, const struct ctl_fds *fds)
{
    int list[CTL_MAX_FDS];
    size_t count = 0;
    for (int i = 0; fds && i < CTL_MAX_FDS; i++)
        if (fds->fd[i] >= 0)
            list[count++] = fds->fd[i];
    if (count == 0)
        return;
    memset(room, 0, sizeof *room);
    header->msg_control = room->bytes;
    header->msg_controllen = CMSG_SPACE(sizeof(int) * count);
    struct cmsghdr *part = &room->align;
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(sizeof(int) * count);
    memcpy(CMSG_DATA(part), list, sizeof(int) * count);
}

int ctl_send(int fd, const struct ctl_message *message, const struct ctl_fds *fds, struct err *err)
{
    union control_room room;
    struct iovec iov = {.iov_base = (void *)(uintptr_t)message, .iov_len = message_size(message)};
    struct msghdr header = {.msg_iov = &iov, .msg_iovlen = 1};
    put_fds(&header, &room, fds);
    ssize_t sent = sendmsg(fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent >= 0)
        return 0;
    if (errno == EAGAIN || errno == ENOBUFS)
        return err_set(err, ERR_BUSY, "the peer does not read its socket");
    return err_set(err, ERR_UNREACHABLE, "the peer hung up: %s", strerror(errno));
}

/* All descriptors of a packet come in one part. */
static void keep_fds(const struct cmsghdr *part, struct ctl_fds *fds)
{
    size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; i++) {
        int fd;
        memcpy(&fd, CMSG_DATA(part) + i * sizeof fd, sizeof fd);
        if (i < CTL_MAX_FDS)
            fds->fd[i] = fd;
        else
            close(fd);
    }
}

static void take_fds(struct msghdr *header, struct ctl_fds *fds)
{
    for (struct cmsghdr *part = CMSG_FIRSTHDR(header); part; part = CMSG_NXTHDR(header, part))
        if (part->cmsg_type == SCM_RIGHTS) /* such a socket knows no other level */
            keep_fds(part, fds);
}

int ctl_recv(int fd, union ctl_packet *out, struct ctl_fds *fds, struct err *err)
{
    union control_room room;
    struct iovec iov = {.iov_base = out, .iov_len = sizeof *out};
    struct msghdr header = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = room.bytes, .msg_controllen = sizeof room.bytes};
    ctl_fds_init(fds);
    ssize_t got = recvmsg(fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (got <= 0)
        return err_set(err, ERR_UNREACHABLE, "the peer hung up");
    take_fds(&header, fds);
    if ((header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) || !ctl_check(out, (size_t)got)) {
        ctl_fds_close(fds);
        return err_set(err, ERR_INVALID, "not a packet of this protocol (version %d)", CTL_VERSION);
    }
    return 1;
}
