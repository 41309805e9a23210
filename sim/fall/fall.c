#include "sim/fall/fall.h"

#include "base/mem.h"
#include "sim/fall/motion.h"
#include "sim/world/prng.h"
#include "sim/world/trig.h"

#define STEP_S 0.02 /* of the differences: what a 50 Hz unit with its filter feels */
#define GRAVITY 9.81

static const char *const names[ACT_KINDS] = {"forward", "backward", "side", "slow", "sit", "kneel",
                                             "land",    "pushed",   "laid", "bend", "none"};

const char *fall_kind_name(enum fall_kind kind)
{
    return kind < ACT_KINDS ? names[kind] : "?";
}

void fall_init(struct fall_world *world, uint64_t seed)
{
    struct prng rng = prng_of(seed, 0xb0d7);
    *world = (struct fall_world){.seed = seed, .gait_g = prng_range(&rng, 0.12f, 0.4f)};
    world->tilt = prng_range(&rng, -0.08f, 0.08f);
    for (int c = 0; c < FALL_CHANNELS; c++)
        world->bias[c] = prng_range(&rng, -0.02f, 0.02f);
}

static int64_t slot_of(int64_t index)
{
    return index >= 0 ? index / FALL_SLOT : (index - FALL_SLOT + 1) / FALL_SLOT;
}

void fall_act(const struct fall_world *world, int64_t index, struct fall_act *out)
{
    int64_t slot = slot_of(index), base = slot * FALL_SLOT;
    struct motion_act act = motion_choose(world->seed, slot);
    *out = (struct fall_act){
        .kind = act.kind,
        .from = base + (int64_t)(act.start_s * FALL_RATE_HZ),
        .impact = base + (int64_t)((act.start_s + act.move_s) * FALL_RATE_HZ),
        .until = base + (int64_t)((act.start_s + act.move_s + act.rest_s) * FALL_RATE_HZ),
        .drill = slot % FALL_DRILL_EVERY == 0,
    };
}

bool fall_in_window(const struct fall_world *world, int64_t index)
{
    struct fall_act act;
    for (int64_t at = index - FALL_WINDOW; at <= index;
         at += FALL_WINDOW) { /* it may lie in the slot before */
        fall_act(world, at, &act);
        int64_t since = index - act.impact;
        if (act.kind < FALL_KINDS && since >= FALL_RATE_HZ / 10 && since <= FALL_RATE_HZ * 8 / 5)
            return true;
    }
    return false;
}

/* Second difference: acceleration in g. */
static double bent(double before, double here, double after)
{
    return (before - 2 * here + after) / (STEP_S * STEP_S * GRAVITY);
}

static double noise(const struct fall_world *world, int64_t index, int channel)
{
    uint32_t bits = prng_place((int)(index & 0x7fffffff), channel, (uint32_t)world->seed);
    int sum = (int)(bits & 255) + (int)(bits >> 8 & 255) + (int)(bits >> 16 & 255) + (int)(bits >> 24) - 510;
    return sum / 147.8;
}

/* Legs: up and down twice as often as to and fro. Nobody walks while he lies. */
static void walk(const struct fall_world *world, const struct motion_act *act, const struct pose *pose,
                 double s, double felt[FALL_CHANNELS])
{
    if (!act->walks || pose->height_m < -0.05 ||
        (s > (double)act->start_s && act->kind != ACT_NONE &&
         s < (double)(act->start_s + act->move_s + act->rest_s)))
        return;
    float phase = (float)(s * 2 * (double)TRIG_PI * 0.95);
    felt[0] += 0.5 * (double)(world->gait_g * trig_sin(2 * phase + 0.7f));
    felt[1] += 0.4 * (double)(world->gait_g * trig_sin(phase));
    felt[2] += (double)(world->gait_g * trig_sin(2 * phase));
    felt[3] += 0.5 * (double)trig_cos(phase) * (double)world->gait_g;
    felt[4] += 0.8 * (double)trig_cos(2 * phase) * (double)world->gait_g;
}

void fall_sample(const struct fall_world *world, int64_t index, float out[FALL_CHANNELS])
{
    int64_t slot = slot_of(index);
    struct motion_act act = motion_choose(world->seed, slot);
    double s = (double)(index - slot * FALL_SLOT) / FALL_RATE_HZ;
    struct pose before = motion_pose(&act, s - STEP_S), here = motion_pose(&act, s),
                after = motion_pose(&act, s + STEP_S);
    double shock = motion_shock(&act, s);
    double up = 1 + bent(before.height_m, here.height_m, after.height_m) + shock;
    double ahead = bent(before.forward_m, here.forward_m, after.forward_m) + 0.4 * shock;
    double sp = (double)trig_sin((float)here.pitch + world->tilt),
           cp = (double)trig_cos((float)here.pitch + world->tilt);
    double sr = (double)trig_sin((float)here.roll), cr = (double)trig_cos((float)here.roll);
    double felt[FALL_CHANNELS] = {
        ahead * cp - up * sp,
        up * cp * sr + 0.2 * shock * (double)act.side,
        up * cp * cr + ahead * sp,
        (after.roll - before.roll) / (2 * STEP_S) + 0.5 * shock * (double)act.side,
        (after.pitch - before.pitch) / (2 * STEP_S) + 0.8 * shock,
        0,
    };
    walk(world, &act, &here, s, felt);
    for (int c = 0; c < FALL_CHANNELS; c++)
        out[c] = (float)(felt[c] + (double)world->bias[c] + (c < 3 ? 0.02 : 0.04) * noise(world, index, c));
}

void fall_window(const struct fall_world *world, int64_t index, float out[FALL_CHANNELS * FALL_WINDOW])
{
    float sample[FALL_CHANNELS];
    for (int i = 0; i < FALL_WINDOW; i++) {
        fall_sample(world, index - FALL_WINDOW + 1 + i, sample);
        for (int c = 0; c < FALL_CHANNELS; c++)
            out[c * FALL_WINDOW + i] = sample[c];
    }
}
