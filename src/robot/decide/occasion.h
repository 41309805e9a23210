/* Is this a good moment to change the model? Pure; the agent asks before anything leaves or is loaded for a new release. What a person or a failed
 * probation orders is not asked: going back is always in order.
 *
 *     busy      the robot program says that it must not be disturbed (muster_busy): a flight, a patient in its arms
 *     battery   below the share that a change and a way back may need
 *     hours     local time of the day, from … to, over midnight too: 22 to 5
 */
#ifndef MUSTER_ROBOT_DECIDE_OCCASION_H
#define MUSTER_ROBOT_DECIDE_OCCASION_H

#include <stdbool.h>
#include <stddef.h>

struct occasion_limits {
    double min_battery;        /* 0..1; 0: not looked at */
    int from_hour, until_hour; /* 0..24; equal: at any hour */
};

struct occasion {
    bool busy;
    double battery; /* 0..1; NaN: there is none, or it cannot be read */
    bool charging;
    int minute; /* of the local day, 0..1439 */
};

/* True: go ahead. False: `why` says what it waits for. A battery that cannot be read where one is asked for does not let it pass. */
bool occasion_good(const struct occasion_limits *limits, const struct occasion *now, char *why, size_t size);

#endif
