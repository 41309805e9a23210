#include "robot/ring/pace.h"
#include "base/clock.h"

/* A sleeper wakes late: timers have 50 us of slack by default, and a core takes its time. */
enum { MEAN_SHIFT = 3, DEVIATION_SHIFT = 3, WAKE_EARLY_NS = 60000 };

void pace_observe(struct pace *pace, int64_t took_ns)
{
    if (took_ns < 0)
        took_ns = 0;
    if (pace->seen == 0) {
        *pace = (struct pace){.mean_ns = took_ns, .deviation_ns = PACE_MAX_WINDOW_NS, .seen = 1};
        return;
    }
    int64_t off_ns = took_ns - pace->mean_ns, away_ns = off_ns < 0 ? -off_ns : off_ns;
    /* One outlier must not spoil a steady pace: it counts as one window too far. */
    if (away_ns > 4 * PACE_MAX_WINDOW_NS)
        away_ns = 4 * PACE_MAX_WINDOW_NS;
    pace->deviation_ns += (away_ns - pace->deviation_ns) >> DEVIATION_SHIFT;
    pace->mean_ns += (off_ns < 0 ? -away_ns : away_ns) >> MEAN_SHIFT;
    pace->seen += pace->seen < UINT32_MAX;
}

int64_t pace_window_ns(const struct pace *pace)
{
    if (pace->seen < PACE_MIN_SEEN || pace->deviation_ns > PACE_MAX_WINDOW_NS)
        return 0;
    int64_t window_ns = 2 * pace->deviation_ns;
    if (window_ns > PACE_MAX_WINDOW_NS)
        return PACE_MAX_WINDOW_NS;
    return window_ns < PACE_MIN_WINDOW_NS ? PACE_MIN_WINDOW_NS : window_ns;
}

void pace_wait(const struct pace *pace, const struct ring *ring, uint32_t seen, int64_t since_ns,
               int64_t until_ns)
{
    int64_t window_ns = pace_window_ns(pace), now_ns = clock_mono_ns();
    int64_t due_ns = since_ns + pace->mean_ns;
    if (window_ns == 0 || now_ns > due_ns + window_ns || due_ns - window_ns >= until_ns) {
        ring_wait(ring, seen, until_ns, 0);
        return;
    }
    if (now_ns < due_ns - window_ns - WAKE_EARLY_NS) {
        ring_wait(ring, seen, due_ns - window_ns - WAKE_EARLY_NS, 0);
        now_ns = clock_mono_ns();
        if (ring_bell(ring) != seen)
            return;
    }
    ring_wait(ring, seen, until_ns, due_ns + window_ns - now_ns);
}
