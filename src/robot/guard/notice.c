/* What agents and observers are told: best effort. Whoever does not read misses it; nobody waits for him. */
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "robot/guard/state.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>

enum { INTERVENTIONS_EVERY_NS = 1000000000, UNREAD_BYTES = 48 << 10 };

/* News never take the room of replies: an agent that reads seldom must not think that the guard is silent. */
static bool has_room(int fd)
{
    int unread = 0;
    return ioctl(fd, SIOCOUTQ, &unread) == 0 && unread < UNREAD_BYTES;
}

static void send_all(struct guard *guard, const struct ctl_message *message)
{
    struct err ignored = {0};
    for (int i = 0; i < GUARD_MAX_PEERS; i++) {
        const struct guard_peer *peer = &guard->peers[i];
        if (peer->used && (peer->role == CTL_ROLE_AGENT || peer->role == CTL_ROLE_OBSERVER) &&
            has_room(peer->fd) && ctl_send(peer->fd, message, NULL, &ignored) < 0)
            log_debug("notice to process %d: %s", (int)peer->pid, ignored.text);
    }
}

static struct ctl_message draft(const struct guard *guard, enum ctl_notice notice, uint64_t generation,
                                const char *text)
{
    struct ctl_message message;
    ctl_message_init(&message, CTL_NOTICE);
    message.notice = notice;
    message.state = guard->state;
    message.generation = generation;
    str_copy(message.text, sizeof message.text, text);
    if (!guard_fsm_latched(guard->state))
        return message;
    str_copy(message.command.who, sizeof message.command.who, guard->who);
    str_copy(message.command.reason, sizeof message.command.reason, guard->reason);
    return message;
}

void guard_notice(struct guard *guard, enum ctl_notice notice, uint64_t generation, const char *text)
{
    struct ctl_message message = draft(guard, notice, generation, text);
    send_all(guard, &message);
}

/* Given by whom, word for word, and what became of it; `local`: at the robot itself. */
void guard_notice_command(struct guard *guard, const struct ctl_command *command, bool local, int32_t result,
                          const char *text)
{
    struct ctl_message message = draft(guard, CTL_NOTICE_COMMAND, guard->active, text);
    message.command = *command;
    message.result = result;
    message.count = local;
    send_all(guard, &message);
}

/* At most one a second of each reason, so that a release that fails at every frame floods nobody. */
void guard_notice_intervention(struct guard *guard, const struct guard_entry *entry, enum intervention reason,
                               int64_t now_ns)
{
    struct guard_noted *noted = &guard->noted[reason];
    noted->since++;
    if (noted->last_ns && now_ns - noted->last_ns < INTERVENTIONS_EVERY_NS)
        return;
    char text[64];
    snprintf(text, sizeof text, "frame %llu", (unsigned long long)entry->frame.seq);
    struct ctl_message message = draft(guard, CTL_NOTICE_INTERVENTION, entry->frame.generation, text);
    message.result = (int32_t)reason;
    message.count = noted->since;
    send_all(guard, &message);
    *noted = (struct guard_noted){.last_ns = now_ns};
}

void guard_tell_stream(struct guard *guard, const struct guard_peer *peer, bool verdicts)
{
    struct ctl_message message;
    struct ctl_fds fds = {.fd = {guard->stream.frames.fd, verdicts ? guard->stream.verdicts.fd : -1}};
    struct err err = {0};
    ctl_message_init(&message, CTL_STREAM);
    message.generation = guard->stream.number;
    if (ctl_send(peer->fd, &message, &fds, &err) < 0)
        log_warn("process %d: %s", (int)peer->pid, err.text);
}
