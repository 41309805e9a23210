#include "robot/forward/gap.h"

#include "robot/forward/marks.h"

#include <stdio.h>

enum { RUN_MAX = 72 }; /* characters that one run needs at most, with its comma */

bool gap_is_full(const struct gap *gap)
{
    return gap->used + 3 * RUN_MAX > sizeof gap->numbers;
}

static void flush(struct gap *gap)
{
    if (gap->run_count == 0)
        return;
    char *out = gap->numbers + gap->used;
    size_t room = sizeof gap->numbers - gap->used;
    const char *comma = gap->used ? "," : "";
    unsigned long long first = gap->run_first, last = gap->run_last, step = gap->run_step;
    int len = gap->run_count == 1 ? snprintf(out, room, "%s%llu", comma, first)
              : step == 1         ? snprintf(out, room, "%s%llu-%llu", comma, first, last)
                                  : snprintf(out, room, "%s%llu-%llu/%llu", comma, first, last, step);
    gap->used += (size_t)len;
    gap->run_count = 0;
}

static void widen(struct gap *gap, uint64_t first, uint64_t last, int64_t from_ms, int64_t until_ms)
{
    if (gap->count == 0) {
        gap->first = first;
        gap->from_ms = from_ms;
        gap->until_ms = until_ms;
    }
    gap->last = last;
    gap->from_ms = MIN(gap->from_ms, from_ms);
    gap->until_ms = MAX(gap->until_ms, until_ms);
    gap->count += last - first + 1;
}

void gap_add(struct gap *gap, uint64_t seq, int64_t time_ms)
{
    widen(gap, seq, seq, time_ms, time_ms);
    bool goes_on = gap->run_count == 1 || (gap->run_count > 1 && seq == gap->run_last + gap->run_step);
    if (!goes_on) {
        flush(gap);
        gap->run_first = seq;
    } else if (gap->run_count == 1) {
        gap->run_step = seq - gap->run_last;
    }
    gap->run_last = seq;
    gap->run_count++;
}

void gap_add_range(struct gap *gap, uint64_t first, uint64_t last, int64_t from_ms, int64_t until_ms)
{
    flush(gap);
    widen(gap, first, last, from_ms, until_ms);
    gap->run_first = first;
    gap->run_last = last;
    gap->run_step = 1;
    gap->run_count = last - first + 1;
    flush(gap);
}

size_t gap_format(struct gap *gap, const char *why, char out[FORWARD_MAX_GAP])
{
    flush(gap);
    int len = snprintf(out, FORWARD_MAX_GAP,
                       "{\"class\":\"%s\",\"count\":%llu,\"first\":%llu,\"from_ms\":%lld,\"last\":%llu,"
                       "\"merged\":%llu,\"numbers\":\"%.*s\",\"until_ms\":%lld,\"why\":\"%.200s\"}",
                       forward_class_names[gap->class], (unsigned long long)gap->count,
                       (unsigned long long)gap->first, (long long)gap->from_ms, (unsigned long long)gap->last,
                       (unsigned long long)gap->merged, (int)gap->used, gap->numbers,
                       (long long)gap->until_ms, why);
    return (size_t)len;
}
