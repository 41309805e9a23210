#include "robot/observe/observe.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#include <string.h>

enum { RETRY_NS = 200000000 };

void observer_init(struct observer *observer, const char *run_dir, const struct observer_events *events)
{
    *observer = (struct observer){.run_dir = run_dir, .events = *events, .fd = -1};
}

static void drop_stream(struct observer *observer)
{
    ring_fini(&observer->frames);
    ring_fini(&observer->verdicts);
    observer->stream = observer->low = 0;
    memset(observer->taken, 0, sizeof observer->taken);
}

void observer_fini(struct observer *observer)
{
    drop_stream(observer);
    mem_cleanup_close(&observer->fd);
    observer->fd = -1;
}

static void connect_guard(struct observer *observer, int64_t now_ns)
{
    struct err err = {0};
    if (now_ns < observer->retry_ns)
        return;
    if (ctl_connect(observer->run_dir, CTL_ROLE_OBSERVER, &observer->fd, &err) < 0)
        observer->retry_ns = clock_mono_ns() + RETRY_NS;
}

static void hang_up(struct observer *observer, const char *why)
{
    log_warn("the guard is gone: %s", why);
    observer_fini(observer);
    observer->retry_ns = clock_mono_ns() + RETRY_NS;
    observer->events.lost(observer->events.arg);
}

static void take_stream(struct observer *observer, const struct ctl_message *message, struct ctl_fds *fds)
{
    struct err err = {0};
    drop_stream(observer);
    if (message->generation == 0 || fds->fd[0] < 0 || fds->fd[1] < 0)
        return;
    if (ring_attach(&observer->frames, TAKE_FD(fds->fd[0]), RING_FRAMES, &err) < 0 ||
        ring_attach(&observer->verdicts, TAKE_FD(fds->fd[1]), RING_VERDICTS, &err) < 0) {
        log_warn("stream %llu: %s", (unsigned long long)message->generation, err.text);
        drop_stream(observer);
        return;
    }
    observer->stream = message->generation;
    observer->events.attached(observer->stream, observer->events.arg);
}

void observer_pump(struct observer *observer, int64_t now_ns)
{
    enum { AT_ONCE = 64 };
    if (observer->fd < 0)
        connect_guard(observer, now_ns);
    for (int i = 0; observer->fd >= 0 && i < AT_ONCE; i++) {
        union ctl_packet packet;
        cleanup_ctl_fds struct ctl_fds fds;
        struct err err = {0};
        ctl_fds_init(&fds);
        int some = ctl_recv(observer->fd, &packet, &fds, &err);
        if (some == 0)
            return;
        if (some < 0)
            hang_up(observer, err.text);
        else if (packet.message.kind == CTL_STREAM)
            take_stream(observer, &packet.message, &fds);
        else if (packet.message.kind == CTL_NOTICE)
            observer->events.notice(&packet.message, observer->events.arg);
        else if (packet.message.kind == CTL_STATUS && observer->events.status)
            observer->events.status(&packet.status.status, observer->events.arg);
    }
}

void observer_ask(const struct observer *observer)
{
    struct ctl_message ask;
    struct err ignored = {0};
    ctl_message_init(&ask, CTL_STATUS_REQUEST);
    if (observer->fd >= 0 && ctl_send(observer->fd, &ask, NULL, &ignored) < 0)
        return; /* it is asked again */
}

/* Only numbers that are used later; the rest is looked at as it is. */
static bool sound(const struct observer *observer, const struct ring_verdict *verdict, uint64_t seq)
{
    uint32_t most = verdict->kind == RING_VALUES ? RING_MAX_VALUES : RING_MAX_DETECTIONS;
    return verdict->seq == seq && verdict->stream == observer->stream && verdict->kind <= RING_VALUES &&
           verdict->count <= most;
}

/* What fell out of the ring: it was taken, or it is lost. */
static uint64_t count_missed(struct observer *observer, uint64_t oldest)
{
    uint32_t slots = observer->verdicts.slot_count;
    uint64_t missed = 0;
    if (oldest - observer->low > slots) {
        missed = oldest - observer->low - slots;
        observer->low = oldest - slots;
    }
    for (; observer->low < oldest; observer->low++)
        missed += observer->taken[observer->low % slots] != observer->low;
    return missed;
}

bool observer_verdict(struct observer *observer, struct ring_verdict *out, uint64_t *out_missed)
{
    *out_missed = 0;
    uint64_t newest = observer->stream ? ring_newest(&observer->verdicts) : 0;
    if (newest == 0)
        return false;
    uint32_t slots = observer->verdicts.slot_count;
    uint64_t oldest = newest > slots ? newest - slots + 1 : 1;
    if (observer->low == 0)
        observer->low = newest; /* what was before we came */
    if (observer->low < oldest)
        *out_missed = count_missed(observer, oldest);
    for (uint64_t seq = observer->low; seq <= newest; seq++) {
        uint64_t *taken = &observer->taken[seq % slots];
        if (*taken == seq || !ring_read(&observer->verdicts, seq, out, sizeof *out) ||
            !sound(observer, out, seq))
            continue;
        *taken = seq;
        return true;
    }
    return false;
}
