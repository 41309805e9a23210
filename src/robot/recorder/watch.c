#include "robot/recorder/watch.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "robot/recorder/entry.h"

#include <string.h>

enum { RETRY_NS = 200000000 };

void watch_init(struct watch *watch, const char *run_dir, const struct watch_events *events)
{
    *watch = (struct watch){.run_dir = run_dir, .events = *events, .fd = -1};
}

static void drop_stream(struct watch *watch)
{
    ring_fini(&watch->frames);
    ring_fini(&watch->verdicts);
    watch->stream = watch->low = 0;
    memset(watch->taken, 0, sizeof watch->taken);
}

void watch_fini(struct watch *watch)
{
    drop_stream(watch);
    mem_cleanup_close(&watch->fd);
    watch->fd = -1;
}

static void connect_guard(struct watch *watch, int64_t now_ns)
{
    struct err err = {0};
    if (now_ns < watch->retry_ns)
        return;
    if (ctl_connect(watch->run_dir, CTL_ROLE_OBSERVER, &watch->fd, &err) < 0)
        watch->retry_ns = clock_mono_ns() + RETRY_NS;
}

static void hang_up(struct watch *watch, const char *why)
{
    log_warn("the guard is gone: %s", why);
    watch_fini(watch);
    watch->retry_ns = clock_mono_ns() + RETRY_NS;
    watch->events.lost(watch->events.arg);
}

static void take_stream(struct watch *watch, const struct ctl_message *message, struct ctl_fds *fds)
{
    struct err err = {0};
    drop_stream(watch);
    if (message->generation == 0 || fds->fd[0] < 0 || fds->fd[1] < 0)
        return;
    if (ring_attach(&watch->frames, TAKE_FD(fds->fd[0]), RING_FRAMES, &err) < 0 ||
        ring_attach(&watch->verdicts, TAKE_FD(fds->fd[1]), RING_VERDICTS, &err) < 0) {
        log_warn("stream %llu: %s", (unsigned long long)message->generation, err.text);
        drop_stream(watch);
        return;
    }
    watch->stream = message->generation;
    watch->events.attached(watch->stream, watch->events.arg);
}

void watch_pump(struct watch *watch, int64_t now_ns)
{
    enum { AT_ONCE = 64 };
    if (watch->fd < 0)
        connect_guard(watch, now_ns);
    for (int i = 0; watch->fd >= 0 && i < AT_ONCE; i++) {
        union ctl_packet packet;
        cleanup_ctl_fds struct ctl_fds fds;
        struct err err = {0};
        ctl_fds_init(&fds);
        int some = ctl_recv(watch->fd, &packet, &fds, &err);
        if (some == 0)
            return;
        if (some < 0)
            hang_up(watch, err.text);
        else if (packet.message.kind == CTL_STREAM)
            take_stream(watch, &packet.message, &fds);
        else if (packet.message.kind == CTL_NOTICE)
            watch->events.notice(&packet.message, watch->events.arg);
    }
}

/* Only numbers that are used later; the rest is looked at as it is. */
static bool sound(const struct watch *watch, const struct ring_verdict *verdict, uint64_t seq)
{
    uint32_t most = verdict->kind == RING_VALUES ? RING_MAX_VALUES : RING_MAX_DETECTIONS;
    return verdict->seq == seq && verdict->stream == watch->stream && verdict->kind <= RING_VALUES &&
           verdict->count <= most;
}

/* What fell out of the ring: it was taken, or it is lost. */
static uint64_t count_missed(struct watch *watch, uint64_t oldest)
{
    uint32_t slots = watch->verdicts.slot_count;
    uint64_t missed = 0;
    if (oldest - watch->low > slots) {
        missed = oldest - watch->low - slots;
        watch->low = oldest - slots;
    }
    for (; watch->low < oldest; watch->low++)
        missed += watch->taken[watch->low % slots] != watch->low;
    return missed;
}

bool watch_verdict(struct watch *watch, struct ring_verdict *out, uint64_t *out_missed)
{
    *out_missed = 0;
    uint64_t newest = watch->stream ? ring_newest(&watch->verdicts) : 0;
    if (newest == 0)
        return false;
    uint32_t slots = watch->verdicts.slot_count;
    uint64_t oldest = newest > slots ? newest - slots + 1 : 1;
    if (watch->low == 0)
        watch->low = newest; /* what was before we came */
    if (watch->low < oldest)
        *out_missed = count_missed(watch, oldest);
    for (uint64_t seq = watch->low; seq <= newest; seq++) {
        uint64_t *taken = &watch->taken[seq % slots];
        if (*taken == seq || !ring_read(&watch->verdicts, seq, out, sizeof *out) || !sound(watch, out, seq))
            continue;
        *taken = seq;
        return true;
    }
    return false;
}
