#include "fleet/watch/judge.h"

#include "base/mem.h"
#include "stats/drift/fleet.h"

#include <math.h>

#define CAP_DECADES 3.0 /* beyond the budget: more is no more proof */

static void cap(const struct watch_voice *voices, size_t count, double arl, double *logs)
{
    for (size_t i = 0; i < count; i++)
        logs[i] = isnan(voices[i].log10_e) ? (double)NAN : MIN(voices[i].log10_e, log10(arl) + CAP_DECADES);
}

static enum drift_cause most_say(const struct watch_voice *voices, const size_t *found, size_t count)
{
    size_t votes[DRIFT_CAUSES] = {0};
    enum drift_cause best = DRIFT_NONE;
    for (size_t i = 0; i < count; i++)
        if (voices[found[i]].cause > DRIFT_NONE && voices[found[i]].cause < DRIFT_CAUSES)
            votes[voices[found[i]].cause]++;
    for (int cause = DRIFT_NONE + 1; cause < DRIFT_CAUSES; cause++)
        if (votes[cause] > votes[best])
            best = (enum drift_cause)cause;
    return best;
}

static int by_index(const void *a, const void *b)
{
    const size_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* Those that e-BH points at, and those that raised an alarm themselves. */
static size_t find(const struct watch_voice *voices, size_t count, const size_t *order, size_t pointed,
                   size_t *found)
{
    size_t total = 0;
    for (size_t i = 0; i < pointed; i++)
        found[total++] = order[i];
    qsort(found, total, sizeof *found, by_index);
    for (size_t i = 0; i < count; i++)
        if (voices[i].alarm && !bsearch(&i, found, pointed, sizeof *found, by_index))
            found[total++] = i;
    qsort(found, total, sizeof *found, by_index);
    return total;
}

void watch_judge(const struct watch_voice *voices, size_t count, const struct watch_limits *limits,
                 double *logs, size_t *order, size_t *found, struct watch_finding *out)
{
    cap(voices, count, limits->robot_arl, logs);
    size_t pointed = fleet_drift_point(logs, count, limits->false_discoveries, limits->robot_arl, order);
    *out =
        (struct watch_finding){.log10_e = fleet_drift_common(logs, count, limits->fleet_arl, limits->share)};
    out->common = out->log10_e >= log10(limits->fleet_arl);
    out->count = find(voices, count, order, pointed, found);
    out->cause = most_say(voices, found, out->count);
}
