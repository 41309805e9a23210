#include "base/mem.h"
#include "bench/swap.h"

#include <stdio.h>

struct findings {
    uint64_t frames, lost, late, duplicated, reordered;
    double switch_p50_us, switch_p99_us, steady_p50_us, steady_p99_us, worst_us;
    uint64_t in_switch, in_steady;
    /* after a kill */
    uint64_t killed, survived, by_previous, safe, next_previous, next_safe, unserved;
    double killed_worst_us;
};

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double quantile(double *values, uint64_t count, double q)
{
    if (count == 0)
        return 0;
    qsort(values, count, sizeof *values, by_size);
    return values[MIN((uint64_t)(q * (double)count), count - 1)];
}

static const struct swap_window *window_of(const struct swap_outcome *outcome, int64_t ns)
{
    size_t low = 0, high = outcome->window_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (outcome->windows[middle].to_ns < ns)
            low = middle + 1;
        else
            high = middle;
    }
    bool inside = low < outcome->window_count && outcome->windows[low].from_ns <= ns;
    return inside ? &outcome->windows[low] : NULL;
}

static int judge_switches(const struct swap_log *log, const struct swap_outcome *outcome,
                          struct findings *out, struct err *err)
{
    uint64_t frames = outcome->frames_at_end;
    cleanup_free double *moving = mem_zalloc(frames + 1, sizeof *moving),
                        *steady = mem_zalloc(frames + 1, sizeof *steady);
    if (!moving || !steady)
        return err_no_memory(err);
    out->frames = frames;
    for (uint64_t i = 0; i < frames; i++) {
        const struct swap_frame *frame = &log->frames[i];
        const struct swap_window *window = window_of(outcome, frame->submitted_ns);
        double us = (double)frame->latency_ns / 1000;
        out->lost += (frame->flags & SWAP_LOST) != 0;
        out->late += (frame->flags & SWAP_LATE) != 0;
        out->reordered += (frame->flags & SWAP_MIXED_UP) != 0;
        out->worst_us = window ? MAX(out->worst_us, us) : out->worst_us;
        if (window)
            *(window->steady ? &steady[out->in_steady++] : &moving[out->in_switch++]) = us;
    }
    out->duplicated = outcome->verdicts_at_end > frames ? outcome->verdicts_at_end - frames : 0;
    out->switch_p50_us = quantile(moving, out->in_switch, 0.5);
    out->switch_p99_us = quantile(moving, out->in_switch, 0.99);
    out->steady_p50_us = quantile(steady, out->in_steady, 0.5);
    out->steady_p99_us = quantile(steady, out->in_steady, 0.99);
    return 0;
}

static void judge_kills(const struct swap_log *log, const struct swap_outcome *outcome, struct findings *out)
{
    uint64_t frames = atomic_load(&log->count);
    for (uint64_t i = outcome->frames_at_end; i + 1 < frames; i++) {
        const struct swap_frame *frame = &log->frames[i], *next = frame + 1;
        if (!(frame->flags & SWAP_KILLED))
            continue;
        bool safe = frame->flags & SWAP_LOST, previous = frame->flags & SWAP_FALLBACK;
        bool died = next->generation == frame->generation && !(next->flags & (SWAP_LOST | SWAP_FALLBACK)) &&
                    !previous;
        out->killed++;
        out->safe += safe;
        out->by_previous += previous;
        out->survived += !safe && !previous;
        out->next_safe += (next->flags & SWAP_LOST) != 0;
        out->next_previous += !(next->flags & SWAP_LOST);
        out->unserved += ((frame->flags | next->flags) & SWAP_NOT_ASKED) || died;
        out->killed_worst_us = MAX(out->killed_worst_us, (double)frame->latency_ns / 1000);
    }
    out->unserved += outcome->kills - MIN(outcome->kills, out->killed);
}

static void print(const struct swap_outcome *outcome, const struct findings *found)
{
    double ratio = found->steady_p99_us > 0 ? found->switch_p99_us / found->steady_p99_us : 0;
    printf(
        "{\"benchmark\":\"swap\",\"swaps\":%llu,\"fps\":%llu,\"shadow_frames\":%llu,\"isolation\":\"%s\","
        "\"frames\":%llu,"
        "\"lost\":%llu,\"late\":%llu,\"duplicated\":%llu,\"reordered\":%llu,\"p99_ratio\":%.3f,"
        "\"switch_p50_us\":%.1f,\"switch_p99_us\":%.1f,\"steady_p50_us\":%.1f,\"steady_p99_us\":%.1f,"
        "\"worst_frame_us\":%.1f,\"frames_in_switches\":%llu,\"frames_steady\":%llu,\"switch_mean_ms\":%.1f,"
        "\"rss_kib\":%lld,\"rss_growth_kib\":%lld,\"fds_leaked\":%d,",
        (unsigned long long)outcome->swaps, (unsigned long long)outcome->fps,
        (unsigned long long)outcome->shadow, outcome->isolation, (unsigned long long)found->frames,
        (unsigned long long)found->lost, (unsigned long long)found->late,
        (unsigned long long)found->duplicated, (unsigned long long)found->reordered, ratio,
        found->switch_p50_us, found->switch_p99_us, found->steady_p50_us, found->steady_p99_us,
        found->worst_us, (unsigned long long)found->in_switch, (unsigned long long)found->in_steady,
        outcome->switches_s * 1000 / (double)outcome->swaps, (long long)outcome->rss_after / 1024,
        (long long)(outcome->rss_after - outcome->rss_before) / 1024,
        outcome->fds_after - outcome->fds_before);
    printf("\"kills\":%llu,\"killed_frame_by_previous\":%llu,\"killed_frame_safe\":%llu,"
           "\"killed_frame_done_before\":%llu,\"killed_frame_worst_us\":%.1f,\"next_frame_by_previous\":%llu,"
           "\"next_frame_safe\":%llu,\"unserved\":%llu}\n",
           (unsigned long long)found->killed, (unsigned long long)found->by_previous,
           (unsigned long long)found->safe, (unsigned long long)found->survived, found->killed_worst_us,
           (unsigned long long)found->next_previous, (unsigned long long)found->next_safe,
           (unsigned long long)found->unserved);
}

int swap_report(const struct swap_log *log, const struct swap_outcome *outcome, bool *out_clean,
                struct err *err)
{
    struct findings found = {0};
    if (judge_switches(log, outcome, &found, err) < 0)
        return -1;
    judge_kills(log, outcome, &found);
    print(outcome, &found);
    *out_clean = found.lost - found.late + found.duplicated + found.reordered + found.unserved == 0 &&
                 outcome->fds_after <= outcome->fds_before;
    return 0;
}
