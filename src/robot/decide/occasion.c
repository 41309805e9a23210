#include "robot/decide/occasion.h"

#include <math.h>
#include <stdio.h>

static bool in_hours(const struct occasion_limits *limits, int minute)
{
    int from = limits->from_hour * 60, until = limits->until_hour * 60;
    if (from == until)
        return true;
    return from < until ? minute >= from && minute < until : minute >= from || minute < until;
}

bool occasion_good(const struct occasion_limits *limits, const struct occasion *now, char *why, size_t size)
{
    why[0] = 0;
    if (now->busy)
        snprintf(why, size, "the robot program is busy");
    else if (limits->min_battery > 0 && !isfinite(now->battery))
        snprintf(why, size, "the battery cannot be read, and %.0f %% are asked for",
                 100 * limits->min_battery);
    else if (limits->min_battery > 0 && now->battery < limits->min_battery)
        snprintf(why, size, "battery at %.0f %%%s, %.0f %% are asked for", 100 * now->battery,
                 now->charging ? " (charging)" : "", 100 * limits->min_battery);
    else if (!in_hours(limits, now->minute))
        snprintf(why, size, "it is %02d:%02d, and models change from %02d:00 to %02d:00", now->minute / 60,
                 now->minute % 60, limits->from_hour, limits->until_hour);
    return why[0] == 0;
}
