/* Statistics that the agent reads. */
#include "base/mem.h"
#include "robot/guard/state.h"

#include <math.h>

/* Index of the bucket (base^i, base^(i+1)] with base = 2^(1 / 2^CTL_HIST_SCALE); everything outside goes to
 * the ends. */
static int bucket_of(double us)
{
    if (us <= 1.0)
        return 0;
    return MIN((int)ceil(log2(us) * (1 << CTL_HIST_SCALE)), CTL_HIST_BUCKETS) - 1;
}

void guard_count_latency(uint32_t buckets[CTL_HIST_BUCKETS], int64_t ns)
{
    buckets[bucket_of((double)ns / 1000.0)]++;
}

int64_t guard_plausible_run_ns(int64_t claimed_ns, int64_t capture_ns, int64_t now_ns)
{
    return MAX(MIN(claimed_ns, now_ns - capture_ns), 0);
}

void guard_count_result(struct ctl_counters *counters, const struct ring_result *result, int64_t frame_ns)
{
    counters->results++;
    bool detections = result->kind == RING_DETECTIONS;
    counters->detections += detections ? result->count : 0;
    for (uint32_t i = 0; detections && i < result->count; i++)
        counters->confidence_sum += (double)result->detections[i].score;
    counters->frame_sum_us += (double)frame_ns / 1000.0;
    guard_count_latency(counters->frame_us, frame_ns);
}

static void fill_runner(struct ctl_runner_status *out, const struct guard_runner *runner)
{
    *out = (struct ctl_runner_status){
        .generation = runner->generation,
        .release = runner->release,
        .pid = runner->peer ? runner->peer->pid : 0,
        .connected = runner->peer != NULL,
        .admitted = runner->admitted,
        .hung = runner->hung,
        .degraded = runner->degraded,
        .restarts = runner->restarts,
        .shadow_left = runner->shadow_left,
        .shadow_frames = runner->shadow_frames,
        .shadow_agreed = runner->shadow_agreed,
        .shadow_failed = runner->shadow_failed,
        .counters = runner->counters,
    };
    memcpy(out->backend, runner->backend, sizeof out->backend);
}

static void fill_oversight(struct ctl_oversight *out, const struct guard *guard)
{
    const struct oversight *oversight = &guard->oversight;
    bool latched = guard_fsm_latched(guard->state);
    *out = (struct ctl_oversight){
        .lease = oversight->lease,
        .lease_until_ns = oversight->held ? oversight->until_ns : 0,
        .local = oversight->local_word,
        .latched = latched && guard->latch.kept,
    };
    memcpy(out->who, guard->who, sizeof out->who);
    memcpy(out->reason, guard->reason, sizeof out->reason);
}

void guard_fill_status(struct guard *guard)
{
    struct ctl_status *out = &guard->status.status;
    ctl_message_init(&guard->status.header, CTL_STATUS);
    guard->status.header.generation = guard->epoch;
    out->epoch = guard->epoch;
    out->started_mono_ns = guard->started_ns;
    out->state = guard->state;
    out->client_connected = guard->stream.peer != NULL;
    out->active_generation = guard->active;
    out->fallback_generation = guard->fallback;
    out->checked = guard->checked;
    out->safe = guard->safe;
    out->overridden = guard->overridden;
    fill_oversight(&out->oversight, guard);
    for (int i = 0; i < CTL_MAX_RUNNERS; i++)
        fill_runner(&out->runners[i], &guard->runners[i]);
}
