#include "robot/ring/ring.h"

#define NS_PER_MS 1e6

static float ms_after(int64_t capture_ns, int64_t then_ns)
{
    return (float)(((double)then_ns - (double)capture_ns) / NS_PER_MS);
}

struct frame_cause ring_cause(const struct ring_verdict *verdict)
{
    if (verdict->cause.rule != CAUSE_TIME)
        return verdict->cause;
    return (struct frame_cause){.rule = CAUSE_TIME,
                                .value = ms_after(verdict->capture_ns, verdict->decided_ns),
                                .limit = ms_after(verdict->capture_ns, verdict->deadline_ns)};
}
