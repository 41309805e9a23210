/* How alarms are answered: how many wait, for how long, and whether those who answer them have too many.
 *
 *   raised ──── seen ──── verdict          an alarm's life: time_ms on the robot, received_ms here, seen_ms, decided_ms. The verdict closes it
 *     └────────── late ──────┘             nobody gave one within DUTY_LATE_MS
 *
 *   fatigue    alarms answered per operator hour. An operator hour is one in which a person answered any. Pure.
 */
#ifndef MUSTER_FLEET_REVIEW_DUTY_H
#define MUSTER_FLEET_REVIEW_DUTY_H

#include "fleet/store/store.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DUTY_LATE_MS = 10 * 60 * 1000, DUTY_HOURS = 4096 };

struct duty {
    uint64_t open, unseen, late;
    uint64_t late_newest;     /* its id; 0: none */
    struct review_row oldest; /* open; id 0: none */
    uint64_t answered, operator_hours;
    bool overflow; /* more operator hours than DUTY_HOURS: the rest is not counted */
    struct {
        char who[API_ID_SIZE];
        int64_t hour;
    } hours[DUTY_HOURS];
};

/* Rows of alarms, open or answered, in any order. `since_ms`: answers before that are left out. */
void duty_add(struct duty *duty, const struct review_row *row, int64_t since_ms, int64_t now_ms);
double duty_fatigue(const struct duty *duty); /* NaN: nobody answered any */

#endif
