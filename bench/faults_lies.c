/* Results that are not what they should be, from a runner that is a liar, and what is wrong in its memory. */
#include "bench/faults.h"
#include "robot/ring/region.h"

#include <fcntl.h>
#include <math.h>

static bool ready(struct world *world, const struct ctl_limits *limits, struct sight *seen)
{
    return world_ready(world, &(struct needs){.active = PUPPET, .limits = limits}, seen) &&
           puppet_meet(&world->puppet, seen);
}

/* ---- one wrong result ---- */

static void nan_in_box(struct ring_result *r)
{
    r->detections[1].x1 = NAN;
}
static void infinite_score(struct ring_result *r)
{
    r->detections[0].score = INFINITY;
}
static void box_outside(struct ring_result *r)
{
    r->detections[1].x1 = SIDE + 30;
}
static void box_inside_out(struct ring_result *r)
{
    r->detections[1].x0 = 31;
}
static void score_above_one(struct ring_result *r)
{
    r->detections[0].score = 1.5f;
}
static void score_below_limit(struct ring_result *r)
{
    r->detections[0].score = 0.1f;
}
static void unknown_label(struct ring_result *r)
{
    r->detections[0].label = 3;
}
static void wild_label(struct ring_result *r)
{
    r->detections[0].label = UINT32_MAX;
}
static void one_too_many(struct ring_result *r)
{
    for (int i = 2; i < 5; i++)
        r->detections[i] = r->detections[1];
    r->count = 5;
}
static void more_than_room(struct ring_result *r)
{
    r->count = RING_MAX_DETECTIONS + 1;
}
static void wild_count(struct ring_result *r)
{
    r->count = UINT32_MAX;
}
static void status_stale(struct ring_result *r)
{
    r->status = RING_RESULT_STALE;
}
static void status_not_finite(struct ring_result *r)
{
    r->status = RING_RESULT_NOT_FINITE;
}
static void status_unknown(struct ring_result *r)
{
    r->status = 99;
}
static void kind_unknown(struct ring_result *r)
{
    r->kind = 7;
}
static void values_for_boxes(struct ring_result *r)
{
    r->kind = RING_VALUES;
}
static void four_values(struct ring_result *r)
{
    r->kind = RING_VALUES;
    r->count = 4;
    for (int i = 0; i < 4; i++)
        r->values[i] = 0.5f;
}
static void nan_value(struct ring_result *r)
{
    four_values(r);
    r->values[2] = NAN;
}
static void value_out_of_range(struct ring_result *r)
{
    four_values(r);
    r->values[3] = 1.5f;
}
static void too_few_values(struct ring_result *r)
{
    four_values(r);
    r->count = 3;
}
static void too_many_values(struct ring_result *r)
{
    four_values(r);
    r->count = RING_MAX_VALUES + 1;
}
static void boxes_for_values(struct ring_result *r)
{
    r->kind = RING_DETECTIONS;
}

static struct ctl_limits of_values(void)
{
    struct ctl_limits limits = world_limits();
    limits.value_count = 4;
    limits.value_min = 0;
    limits.value_max = 1;
    return limits;
}

struct spoil {
    void (*spoil)(struct ring_result *);
};

static void lie(struct world *world, const struct fault_case *row, struct sight *seen)
{
    const struct spoil *how = row->detail;
    if (!ready(world, NULL, seen))
        return;
    if (row->variant) { /* a release of values, for this frame; the next ready is one of detections again */
        const struct ctl_limits limits = of_values();
        memset(&world->limits[PUPPET], 0, sizeof limits);
        expect(seen, order(world, CTL_ADMIT, PUPPET, 0, &limits) == ERR_NONE, "ADMIT is refused");
    }
    uint64_t seq = frame_send(world, 0, LONG_US);
    struct ring_result result = puppet_result(&world->puppet, seq);
    how->spoil(&result);
    int64_t struck_ns = now_ns();
    puppet_say(&world->puppet, &result);
    frame_look(world, seq, seen);
    seen->us = (seen->at_ns - struck_ns) / 1000;
}

/* ---- results one after the other ---- */

/* A first result that is believed, then one that has moved impossibly far within 20 ms. */
static void leap(struct world *world, const struct fault_case *row, struct sight *seen)
{
    struct ctl_limits limits = row->variant ? of_values() : world_limits();
    limits.max_rate = row->variant ? 1 : 0;
    limits.max_jump = row->variant ? 0 : 0.5f;
    if (!ready(world, NULL, seen))
        return;
    memset(&world->limits[PUPPET], 0, sizeof limits);
    expect(seen, order(world, CTL_ADMIT, PUPPET, 0, &limits) == ERR_NONE, "ADMIT is refused");
    int64_t first_ns = now_ns() - 20000000, struck_ns = 0;
    for (int i = 0; i < 2; i++) {
        uint64_t seq = frame_send(world, first_ns + 20000000 * i, LONG_US);
        struct ring_result result = puppet_result(&world->puppet, seq);
        if (row->variant) {
            four_values(&result);
            result.values[0] = i ? 0.9f : 0.1f;
        } else {
            result.count = 1;
            result.detections[0] = (struct detection){
                .x0 = 20.f * (float)i, .x1 = 20.f * (float)i + 8, .y1 = 8, .score = 0.5f, .label = 1};
        }
        struck_ns = now_ns();
        puppet_say(&world->puppet, &result);
        frame_look(world, seq, seen);
        expect(seen, i == 1 || seen->answer == MUSTER_OK, "the first is answered %s (%s)",
               muster_answer_name(seen->answer), muster_reason_name(seen->reason));
    }
    seen->us = (seen->at_ns - struck_ns) / 1000;
}

/* Results that nobody asked for, and then the right one: that is the one that is given out. */
enum stray { OTHER_STREAM, OTHER_GENERATION, FRAME_OF_TOMORROW, FRAME_ZERO, LAST_FRAME, STRANGER, FLOOD };

static struct ring_result astray(const struct puppet *puppet, uint64_t seq, int stray)
{
    struct ring_result result = puppet_result(puppet, seq);
    result.count = 0; /* to tell it from the right one */
    if (stray == OTHER_STREAM)
        result.stream++;
    else if (stray == OTHER_GENERATION)
        result.generation = PRIMARY;
    else if (stray == FRAME_OF_TOMORROW)
        result.seq += 1;
    else if (stray == FRAME_ZERO)
        result.seq = 0;
    else if (stray == LAST_FRAME)
        result.seq -= 1;
    return result;
}

static void stray(struct world *world, const struct fault_case *row, struct sight *seen)
{
    struct muster_verdict verdict;
    if (!ready(world, NULL, seen))
        return;
    uint64_t seq = frame_send(world, 0, LONG_US);
    struct ring_result wrong = astray(&world->puppet, seq, row->variant);
    if (row->variant == FLOOD) {
        wrong.stream++;
        for (int i = 0; i < 1000; i++)
            puppet_say(&world->puppet, &wrong);
    } else {
        puppet_say(&world->puppet, &wrong);
    }
    int64_t struck_ns = now_ns();
    struct ring_result right = puppet_result(&world->puppet, seq);
    puppet_say(&world->puppet, &right);
    seen->answer = muster_verdict_wait(world->robot, seq, &verdict);
    seen->us = us_since(struck_ns);
    seen->reason = verdict.reason;
    expect(seen, verdict.count == 2, "%u detections: not the right result's", verdict.count);
}

static void doubled(struct world *world, const struct fault_case *row, struct sight *seen)
{
    struct muster_verdict verdict;
    if (!ready(world, NULL, seen))
        return;
    uint64_t seq = frame_send(world, 0, LONG_US);
    struct ring_result first = puppet_result(&world->puppet, seq), second = first;
    second.count = 1;
    int64_t struck_ns = now_ns();
    puppet_say(&world->puppet, &first);
    puppet_say(&world->puppet, &second);
    seen->answer = muster_verdict_wait(world->robot, seq, &verdict);
    seen->us = us_since(struck_ns);
    expect(seen, verdict.count == 2, "the second result was taken");
    nap_us(500);
    expect(seen, muster_verdict_wait(world->robot, seq, &verdict) == MUSTER_OK && verdict.count == 2,
           "the verdict changed");
    frame_healthy(world, seen);
}

/* A runner that nobody admitted, and one that is not active: both answer a frame that is not theirs. */
static void usurp(struct world *world, const struct fault_case *row, struct sight *seen)
{
    struct puppet stranger = {.sock = -1, .bell_fd = -1};
    struct muster_verdict verdict;
    if (!ready(world, NULL, seen))
        return;
    if (row->variant)
        expect(seen,
               order(world, CTL_ADMIT, CANDIDATE, 0,
                     &(struct ctl_limits){.deadline_us = 1000000, .label_count = 3, .max_detections = 4}) ==
                   ERR_NONE,
               "ADMIT is refused");
    if (!puppet_open(world, &stranger, CANDIDATE, seen))
        return;
    uint64_t seq = frame_send(world, 0, LONG_US);
    struct ring_result wrong = puppet_result(&world->puppet, seq), right = wrong;
    wrong.count = 0;
    wrong.generation = row->variant ? CANDIDATE : PUPPET;
    puppet_say(&stranger, &wrong);
    nap_us(500);
    int64_t struck_ns = now_ns();
    puppet_say(&world->puppet, &right);
    seen->answer = muster_verdict_wait(world->robot, seq, &verdict);
    seen->us = us_since(struck_ns);
    expect(seen, verdict.count == 2 && verdict.generation == PUPPET, "the usurper's result was taken");
    puppet_close(&stranger);
    (void)order(world, CTL_RETIRE, CANDIDATE, 0, NULL);
}

/* ---- memory ---- */

enum memory { NEWEST_HUGE, NEWEST_BACK, VERSION_ODD, VERSION_WILD, HEAD_CHANGED, HALF_WRITTEN };

static void spoil_memory(struct puppet *puppet, int how, const struct ring_result *result)
{
    struct region_bell *bell = (struct region_bell *)(void *)(puppet->results.base + REGION_BELL);
    uint64_t next = puppet->count + 1;
    size_t slot = (next & (puppet->results.slot_count - 1)) * puppet->results.stride;
    _Atomic uint64_t *version = (_Atomic uint64_t *)(void *)(puppet->results.base + REGION_SLOTS + slot);
    if (how == HALF_WRITTEN) {
        struct ring_result *body = ring_begin(&puppet->results, next);
        if (body)
            *body = *result;
        atomic_store(&bell->newest, next); /* announced, never finished */
        return;
    }
    puppet_put(puppet, result);
    if (how == NEWEST_HUGE)
        atomic_store(&bell->newest, UINT64_MAX);
    else if (how == NEWEST_BACK)
        atomic_store(&bell->newest, 0);
    else if (how == VERSION_ODD)
        atomic_store(version, 2 * next + 1);
    else if (how == VERSION_WILD)
        atomic_store(version, UINT64_MAX);
    else if (how == HEAD_CHANGED)
        memset(puppet->results.base, 0xff, sizeof(struct region_head));
}

static void hostile_memory(struct world *world, const struct fault_case *row, struct sight *seen)
{
    const struct ctl_limits limits = row->measure == OVER_DEADLINE ? world_hasty() : world_limits();
    if (!ready(world, &limits, seen))
        return;
    int64_t capture_ns = now_ns();
    uint64_t seq = frame_send(world, capture_ns, LONG_US);
    struct ring_result result = puppet_result(&world->puppet, seq);
    spoil_memory(&world->puppet, row->variant, &result);
    puppet_ring(&world->puppet);
    frame_look(world, seq, seen);
    seen->us = row->measure == OVER_DEADLINE ? (seen->at_ns - capture_ns) / 1000 - DEADLINE_MS * 1000
                                             : (seen->at_ns - capture_ns) / 1000;
    struct ctl_status status;
    expect(seen, status_get(world, &status, seen) && status.state == GUARD_AUTO, "the guard is not in auto");
    puppet_close(&world->puppet); /* a new one with memory that is in order */
    status_until(world, GUARD_STANDBY, PATIENCE_MS, seen);
}

static void flood_bell(struct world *world, const struct fault_case *row, struct sight *seen)
{
    static const uint8_t rings[65536];
    struct muster_verdict verdict;
    if (!ready(world, NULL, seen))
        return;
    for (int i = 0; i < 200; i++) {
        ssize_t ignored = write(world->puppet.bell_fd, rings, sizeof rings);
        (void)ignored;
    }
    uint64_t seq = frame_send(world, 0, LONG_US);
    struct ring_result result = puppet_result(&world->puppet, seq);
    int64_t struck_ns = now_ns();
    puppet_put(&world->puppet, &result);
    puppet_ring(&world->puppet);
    seen->answer = muster_verdict_wait(world->robot, seq, &verdict);
    seen->us = us_since(struck_ns);
}

#define LIE(name_, says, how, because, share_)                                                               \
    {                                                                                                        \
        .name = "result_" name_, .injected = says, .inject = lie, .answers = IS_SAFE,                        \
        .reasons = BECAUSE(because), .state = GUARD_AUTO, .measure = ANSWERED, .bound_us = 5000,             \
        .share = share_, .detail = &(const struct spoil)                                                     \
        {                                                                                                    \
            how                                                                                              \
        }                                                                                                    \
    }
#define VALUE_LIE(name_, says, how, because)                                                                 \
    {                                                                                                        \
        .name = "values_" name_, .injected = says, .inject = lie, .answers = IS_SAFE,                        \
        .reasons = BECAUSE(because), .state = GUARD_AUTO, .measure = ANSWERED, .bound_us = 5000, .share = 5, \
        .variant = 1, .detail = &(const struct spoil)                                                        \
        {                                                                                                    \
            how                                                                                              \
        }                                                                                                    \
    }
#define STRAY(name_, says, how)                                                                              \
    {                                                                                                        \
        .name = "result_" name_, .injected = says, .also = "the right result, after it, is given out",       \
        .inject = stray, .answers = IS_OK, .state = GUARD_AUTO, .measure = ANSWERED, .bound_us = 5000,       \
        .share = 10, .variant = how                                                                          \
    }

static const struct fault_case cases[] = {
    LIE("nan", "NaN in a box", nan_in_box, NOT_FINITE, 20),
    LIE("infinity", "an infinite score", infinite_score, NOT_FINITE, 10),
    LIE("box_outside", "a box that reaches out of the frame", box_outside, RANGE, 10),
    LIE("box_inside_out", "a box whose left is right of its right", box_inside_out, RANGE, 10),
    LIE("score_above_one", "a score of 1.5", score_above_one, RANGE, 10),
    LIE("score_below_limit", "a score below the release's least", score_below_limit, RANGE, 10),
    LIE("unknown_label", "a label that the release does not have", unknown_label, RANGE, 10),
    LIE("wild_label", "label 2^32 - 1", wild_label, RANGE, 10),
    LIE("one_too_many", "one detection more than the envelope allows", one_too_many, TOO_MANY, 10),
    LIE("more_than_room", "129 detections", more_than_room, TOO_MANY, 10),
    LIE("wild_count", "2^32 - 1 detections", wild_count, TOO_MANY, 10),
    LIE("says_stale", "the runner says that the frame was overwritten", status_stale, STALE, 10),
    LIE("says_not_finite", "the runner says that the output is not finite", status_not_finite, NOT_FINITE,
        10),
    LIE("status_unknown", "a status that does not exist", status_unknown, OTHER, 10),
    LIE("kind_unknown", "a payload of a kind that does not exist", kind_unknown, OTHER, 10),
    LIE("values_for_boxes", "values from a release of detections", values_for_boxes, RANGE, 10),
    VALUE_LIE("nan", "NaN among the values", nan_value, NOT_FINITE),
    VALUE_LIE("out_of_range", "a value above the release's range", value_out_of_range, RANGE),
    VALUE_LIE("too_few", "three values of four", too_few_values, RANGE),
    VALUE_LIE("too_many", "769 values", too_many_values, TOO_MANY),
    VALUE_LIE("boxes", "detections from a release of values", boxes_for_values, RANGE),
    {"object_jumps", "an object crosses most of the frame within 20 ms", NULL, leap, IS_SAFE, BECAUSE(RATE),
     GUARD_AUTO, ANSWERED, 5000, 10, 0, NULL},
    {"value_moves_too_fast", "a value moves 0.8 within 20 ms where 1 per second is allowed", NULL, leap,
     IS_SAFE, BECAUSE(RATE), GUARD_AUTO, ANSWERED, 5000, 10, 1, NULL},
    STRAY("of_other_stream", "a result of another robot program's life", OTHER_STREAM),
    STRAY("of_other_generation", "a result that bears another generation", OTHER_GENERATION),
    STRAY("before_its_frame", "a result for a frame that is not there yet", FRAME_OF_TOMORROW),
    STRAY("for_frame_zero", "a result for frame 0", FRAME_ZERO),
    STRAY("of_last_frame", "the last frame's result once more", LAST_FRAME),
    STRAY("flood", "1,000 results for no frame", FLOOD),
    {"result_doubled", "a second, different result for the same frame", "the first stands", doubled, IS_OK, 0,
     GUARD_AUTO, ANSWERED, 5000, 10, 0, NULL},
    {"result_of_stranger", "a runner that nobody admitted answers, in the active one's name",
     "the active one's result is given out", usurp, IS_OK, 0, GUARD_AUTO, ANSWERED, 5000, 10, 0, NULL},
    {"result_of_spare", "an admitted runner that is not active answers",
     "the active one's result is given out", usurp, IS_OK, 0, GUARD_AUTO, ANSWERED, 5000, 10, 1, NULL},
#define MEMORY(name_, says, how)                                                                             \
    {                                                                                                        \
        "ring_" name_, says, "the guard goes on, and so does a runner with sound memory", hostile_memory,    \
            IS_SAFE, BECAUSE(DEADLINE), GUARD_STANDBY, OVER_DEADLINE, 1000, 10, how, NULL                    \
    }
    MEMORY("newest_huge", "newest = 2^64 - 1 in a runner's region", NEWEST_HUGE),
    MEMORY("newest_back", "newest = 0 in a runner's region", NEWEST_BACK),
    MEMORY("version_odd", "the slot of a result is marked as being written, for ever", VERSION_ODD),
    MEMORY("version_wild", "the slot's version is 2^64 - 1", VERSION_WILD),
    MEMORY("half_written", "a result is announced and never finished", HALF_WRITTEN),
    {"ring_head_changed", "geometry in the head of the region changes after the HELLO", "it was read once",
     hostile_memory, IS_OK, 0, GUARD_STANDBY, ANSWERED, 5000, 10, HEAD_CHANGED, NULL},
    {"doorbell_flood", "a runner fills its doorbell pipe", NULL, flood_bell, IS_OK, 0, GUARD_AUTO, ANSWERED,
     5000, 20, 0, NULL},
};
const struct group faults_lies = {cases, ARRAY_LEN(cases)};
