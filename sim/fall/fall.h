/* What a humanoid's inertial unit feels while it walks, works, is pushed, and falls: with the exact truth.
 *
 *     struct fall_world world;
 *     fall_init(&world, 7);
 *     fall_window(&world, index, window);         // the last two seconds, what the model looks at
 *     fall_act(&world, index, &act);              // what really happens
 *
 * Everything is a function of (seed, index): the same numbers on every machine, in any order of calls. No memory.
 *
 * Time is cut into slots of 12 s. In each the robot first stands or walks, then one act happens, then it is upright again:
 *
 *     slot  | stand or walk | act: 0.5 … 5 s | lies, sits … | gets up | stand or walk |
 *
 *     falls            forward, backward, to the side; slow: it collapses softly, on giving knees
 *     like falls       drops into a seat, goes down on its knees to work at the floor, lands after a step, is pushed and recovers, lies down
 *                      by itself or is laid down, bends
 *
 * Every sixth slot is a drill: staged, so that the robot's program knows what happened (FALL_DRILL_EVERY).
 */
#ifndef MUSTER_SIM_FALL_H
#define MUSTER_SIM_FALL_H

#include <stdbool.h>
#include <stdint.h>

enum {
    FALL_RATE_HZ = 50,
    FALL_CHANNELS = 6,
    FALL_WINDOW = 100,
    FALL_SLOT = 12 * FALL_RATE_HZ,
    FALL_DRILL_EVERY = 6
};
enum { FALL_HOP = 10 }; /* samples between two windows: 5 a second */

enum fall_kind {
    FALL_FORWARD,
    FALL_BACKWARD,
    FALL_SIDE,
    FALL_SLOW,
    FALL_KINDS, /* below: a fall */
    ACT_SIT = FALL_KINDS,
    ACT_KNEEL,
    ACT_LAND,
    ACT_PUSHED,
    ACT_LAID,
    ACT_BEND,
    ACT_NONE,
    ACT_KINDS
};
const char *fall_kind_name(enum fall_kind kind); /* "slow" */

struct fall_world {
    uint64_t seed;
    float gait_g, bias[FALL_CHANNELS], tilt; /* of this robot */
};

struct fall_act {
    enum fall_kind kind;
    int64_t from, impact, until; /* samples; impact: of a fall, when it is down */
    bool drill;
};

void fall_init(struct fall_world *world, uint64_t seed);
/* Acceleration x y z (g, of the body: x forward, z up), turn x y z (rad/s). */
void fall_sample(const struct fall_world *world, int64_t index, float out[FALL_CHANNELS]);
/* The FALL_WINDOW samples that end with `index`, channel by channel, as the model wants them. */
void fall_window(const struct fall_world *world, int64_t index, float out[FALL_CHANNELS * FALL_WINDOW]);
/* The act of the slot that `index` lies in. */
void fall_act(const struct fall_world *world, int64_t index, struct fall_act *out);
/* Is a fall to be seen in the window that ends here? Its impact lies 0.1 to 1.6 s back. */
bool fall_in_window(const struct fall_world *world, int64_t index);

#endif
