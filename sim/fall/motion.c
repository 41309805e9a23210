#include "sim/fall/motion.h"

#include "base/mem.h"
#include "sim/world/prng.h"
#include "sim/world/trig.h"

struct range {
    float low, high;
};

/* How each act is done; ranges overlap on purpose: kneeling hard feels like collapsing softly. */
static const struct manner {
    struct range move_s, rest_s, shock_g, reach;
    float pitch, roll, drop_m, forward_m; /* at full reach */
    bool late;                            /* gathers speed, as what falls does */
} manners[ACT_KINDS] = {
    [FALL_FORWARD] = {{0.55f, 1.0f}, {1.5f, 3}, {2.2f, 5.5f}, {0.9f, 1.1f}, 1.5f, 0.1f, 0.75f, 0.5f, true},
    [FALL_BACKWARD] = {{0.55f, 1.0f}, {1.5f, 3}, {2.2f, 5.5f}, {0.9f, 1.1f}, -1.5f, 0.1f, 0.75f, -0.4f, true},
    [FALL_SIDE] = {{0.5f, 0.95f}, {1.5f, 3}, {2.0f, 5}, {0.9f, 1.1f}, 0.15f, 1.5f, 0.75f, 0.1f, true},
    [FALL_SLOW] = {{0.8f, 1.7f}, {1.5f, 3}, {0.5f, 2.0f}, {0.8f, 1.1f}, 1.0f, 0.8f, 0.75f, 0.15f, true},
    [ACT_SIT] = {{0.6f, 1.4f}, {1.5f, 3}, {0.6f, 2.6f}, {0.8f, 1.2f}, -0.55f, 0.08f, 0.5f, -0.25f, false},
    [ACT_KNEEL] = {{0.5f, 1.2f}, {1, 3}, {0.6f, 2.4f}, {0.8f, 1.2f}, 1.1f, 0.15f, 0.6f, 0.2f, false},
    [ACT_LAND] = {{0.25f, 0.45f}, {0.1f, 0.5f}, {1.8f, 4}, {0.6f, 1.2f}, 0.12f, 0.03f, 0.3f, 0.3f, true},
    [ACT_PUSHED] = {{0.25f, 0.5f}, {0.1f, 0.5f}, {1.0f, 3.2f}, {0.6f, 1.3f}, 0.6f, 0.6f, 0.12f, 0.35f, true},
    [ACT_LAID] = {{0.9f, 2.6f}, {1.5f, 2.5f}, {0.3f, 1.6f}, {0.9f, 1.1f}, -1.4f, 0.4f, 0.7f, -0.2f, false},
    [ACT_BEND] = {{0.7f, 1.6f}, {0.5f, 2}, {0, 0.2f}, {0.7f, 1.1f}, 1.15f, 0.05f, 0.2f, 0.1f, false},
};

static float pick(struct prng *rng, struct range range)
{
    return prng_range(rng, range.low, range.high);
}

/* One fall in four slots; the rest is life. */
static enum fall_kind choose_kind(struct prng *rng)
{
    if (prng_chance(rng, 0.25f))
        return (enum fall_kind)prng_below(rng, FALL_KINDS);
    if (prng_chance(rng, 0.15f))
        return ACT_NONE;
    return (enum fall_kind)(FALL_KINDS + prng_below(rng, ACT_NONE - FALL_KINDS));
}

struct motion_act motion_choose(uint64_t seed, int64_t slot)
{
    struct prng rng = prng_of(seed, 0xfa110000u + (uint64_t)slot);
    struct motion_act act = {.kind = choose_kind(&rng)};
    const struct manner *manner = &manners[act.kind];
    act.walks = prng_chance(&rng, 0.6f);
    act.start_s = prng_range(&rng, 1.5f, 3.5f);
    act.move_s = pick(&rng, manner->move_s);
    act.rest_s = pick(&rng, manner->rest_s);
    act.rise_s = prng_range(&rng, 0.9f, 2);
    act.reach = pick(&rng, manner->reach);
    act.shock_g = pick(&rng, manner->shock_g);
    act.side = prng_chance(&rng, 0.5f) ? 1 : -1;
    return act;
}

/* 0 before, 1 behind, without a jump of speed. */
static double rising(double x, bool late)
{
    if (x <= 0)
        return 0;
    if (x >= 1)
        return 1;
    return late ? x * x * x * (4 - 3 * x) : x * x * (3 - 2 * x);
}

struct pose motion_pose(const struct motion_act *act, double s)
{
    const struct manner *manner = &manners[act->kind];
    if (act->kind == ACT_NONE)
        return (struct pose){0};
    double down = rising((s - act->start_s) / act->move_s, manner->late);
    double up = rising((s - act->start_s - act->move_s - act->rest_s) / act->rise_s, false);
    double there = act->reach * (down - up);
    bool to_side = act->kind == ACT_PUSHED; /* from anywhere */
    return (struct pose){
        .pitch = manner->pitch * there * (to_side ? act->side : 1),
        .roll = manner->roll * there * act->side,
        .height_m = -manner->drop_m * there,
        .forward_m = manner->forward_m * act->reach * down * (to_side ? act->side : 1),
    };
}

double motion_shock(const struct motion_act *act, double s)
{
    double since = s - act->start_s - act->move_s, left = 1 - since / 0.3;
    if (act->kind == ACT_NONE || since < 0 || left <= 0)
        return 0;
    return act->shock_g * left * left * left * (double)trig_cos((float)(since * 2 * (double)TRIG_PI * 11));
}
