/* How a body moves in each act: pose over time, without a clock of its own. Private to the room. */
#ifndef MUSTER_SIM_FALL_MOTION_H
#define MUSTER_SIM_FALL_MOTION_H

#include "sim/fall/fall.h"

struct motion_act { /* of one slot; seconds from its start */
    enum fall_kind kind;
    float start_s, move_s, rest_s, rise_s; /* begins; moves; stays there; gets up */
    float reach, side;                     /* how far it goes, 1 ± …; -1 or 1 */
    float shock_g;                         /* when it ends moving */
    bool walks;
};

struct pose {
    double pitch, roll, height_m, forward_m;
};

struct motion_act motion_choose(uint64_t seed, int64_t slot);
struct pose motion_pose(const struct motion_act *act, double s);
/* Vertical shock at this time, g. */
double motion_shock(const struct motion_act *act, double s);

#endif
