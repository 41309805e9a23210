#include "fleet/review/duty.h"

#include "base/str.h"

#include <math.h>

enum { HOUR_MS = 3600000 };

static void add_open(struct duty *duty, const struct review_row *row, int64_t now_ms)
{
    duty->open++;
    duty->unseen += row->seen_ms == 0;
    if (!duty->oldest.id || row->received_ms < duty->oldest.received_ms)
        duty->oldest = *row;
    if (now_ms - row->received_ms < DUTY_LATE_MS)
        return;
    duty->late++;
    duty->late_newest = row->id > duty->late_newest ? row->id : duty->late_newest;
}

static void add_hour(struct duty *duty, const char *who, int64_t hour)
{
    for (uint64_t i = 0; i < duty->operator_hours; i++)
        if (duty->hours[i].hour == hour && str_eq(duty->hours[i].who, who))
            return;
    duty->overflow |= duty->operator_hours == DUTY_HOURS;
    if (duty->operator_hours == DUTY_HOURS)
        return;
    duty->hours[duty->operator_hours].hour = hour;
    str_copy(duty->hours[duty->operator_hours++].who, sizeof duty->hours[0].who, who);
}

void duty_add(struct duty *duty, const struct review_row *row, int64_t since_ms, int64_t now_ms)
{
    if (row->reason != SAMPLE_ALARM)
        return;
    if (row->verdict == REVIEW_OPEN) {
        add_open(duty, row, now_ms);
    } else if (row->decided_ms >= since_ms && !duty->overflow) {
        add_hour(duty, row->decided_by, row->decided_ms / HOUR_MS);
        duty->answered += !duty->overflow;
    }
}

double duty_fatigue(const struct duty *duty)
{
    return duty->operator_hours ? (double)duty->answered / (double)duty->operator_hours : (double)NAN;
}
