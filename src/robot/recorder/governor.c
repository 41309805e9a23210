#include "robot/recorder/governor.h"

#include "base/mem.h"

enum { WINDOW_NS = 1000000000 };

void governor_init(struct governor *governor, const struct governor_options *options)
{
    *governor = (struct governor){.options = *options};
}

static double smooth(double mean, double value)
{
    return mean == 0 ? value : mean + (value - mean) / 8;
}

void governor_frame(struct governor *governor, int64_t cost_ns, uint64_t bytes)
{
    governor->cost_ns = smooth(governor->cost_ns, (double)cost_ns);
    if (bytes)
        governor->bytes = smooth(governor->bytes, (double)bytes);
    governor->frames_ns += (double)cost_ns;
}

void governor_cpu(struct governor *governor, int64_t cpu_ns, int64_t now_ns)
{
    int64_t wall_ns = now_ns - governor->since_ns;
    if (governor->since_ns && wall_ns < WINDOW_NS)
        return;
    if (governor->since_ns) {
        double other_ns = (double)(cpu_ns - governor->cpu_ns) - governor->frames_ns;
        governor->other_share = smooth(governor->other_share, MAX(other_ns, 1.0) / (double)wall_ns);
    }
    governor->since_ns = now_ns;
    governor->cpu_ns = cpu_ns;
    governor->frames_ns = 0;
}

int64_t governor_floor_ns(const struct governor *governor, bool boosted)
{
    const struct governor_options *options = &governor->options;
    double share = options->share * (boosted ? options->boost : 1);
    double left = MAX(share - governor->other_share, share / 5); /* some frames in every case */
    double by_cpu = governor->cost_ns / left;
    double by_memory = governor->bytes / (boosted ? options->boost_bytes_per_s : options->bytes_per_s) * 1e9;
    return (int64_t)MAX(by_cpu, by_memory);
}

int64_t governor_interval_ns(const struct governor *governor, bool boosted)
{
    return MAX((int64_t)(1e9 / governor->options.max_rate), governor_floor_ns(governor, boosted));
}
