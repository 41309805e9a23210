/* Frames that are not what they should be: heads that lie, a camera that froze, memory that is overwritten. The robot program
 * does this to itself; nobody else may come to harm. */
#include "bench/faults.h"
#include "robot/link/link.h"
#include "robot/ring/region.h"

static bool ready(struct world *world, const struct ctl_limits *limits, struct sight *seen)
{
    return world_ready(world, &(struct needs){.active = PRIMARY, .limits = limits}, seen);
}

/* As muster_frame_submit, with a head of our own; libmuster waits for its verdict as for any. */
static uint64_t submit_raw(struct world *world, const struct ring_frame *head)
{
    struct muster *robot = world->robot;
    (void)muster_frame_begin(robot);
    uint64_t seq = ++robot->seq;
    int64_t ns = now_ns();
    memcpy(robot->open_frame, head, sizeof *head);
    robot->open_frame = NULL;
    robot->sent[seq % RING_MAX_SLOTS] = (struct link_sent){.seq = seq,
                                                           .stream = robot->stream,
                                                           .capture_ns = ns,
                                                           .deadline_ns = ns + LONG_US * 1000ll,
                                                           .submitted_ns = ns};
    ring_publish(&robot->frames, seq);
    ring_wake(&robot->frames);
    return seq;
}

static struct ring_frame sound_head(const struct world *world)
{
    int64_t ns = now_ns();
    return (struct ring_frame){.seq = world->robot->seq + 1,
                               .capture_ns = ns,
                               .deadline_ns = ns + LONG_US * 1000ll,
                               .width = SIDE,
                               .height = SIDE,
                               .pixel_bytes = SIDE * SIDE * 3,
                               .submitted_ns = ns};
}

static void smaller_size(struct ring_frame *head)
{
    head->pixel_bytes = 10;
}
static void huge_side(struct ring_frame *head)
{
    head->width = head->height = UINT32_MAX;
    head->pixel_bytes = UINT64_MAX;
}
static void no_size(struct ring_frame *head)
{
    head->width = 0;
    head->pixel_bytes = 0;
}
static void unknown_format(struct ring_frame *head)
{
    head->format = 77;
}
static void past_deadline(struct ring_frame *head)
{
    head->deadline_ns = 1;
}
static void least_deadline(struct ring_frame *head)
{
    head->deadline_ns = INT64_MIN;
}
static void least_capture(struct ring_frame *head)
{
    head->capture_ns = INT64_MIN;
}
static void future_capture(struct ring_frame *head)
{
    head->capture_ns += 3600 * 1000000000ll;
}
static void future_everything(struct ring_frame *head)
{
    head->capture_ns = head->deadline_ns = head->submitted_ns = INT64_MAX;
}
static void other_number(struct ring_frame *head)
{
    head->seq = 1;
}
static void all_flags(struct ring_frame *head)
{
    head->flags = UINT32_MAX;
    head->reserved = UINT64_MAX;
}

struct spoil {
    void (*spoil)(struct ring_frame *);
};

static void lying_head(struct world *world, const struct fault_case *row, struct sight *seen)
{
    const struct spoil *how = row->detail;
    if (!ready(world, NULL, seen))
        return;
    struct ring_frame head = sound_head(world);
    how->spoil(&head);
    int64_t struck_ns = now_ns();
    frame_look(world, submit_raw(world, &head), seen);
    seen->us = (seen->at_ns - struck_ns) / 1000;
    frame_healthy(world, seen);
}

/* However long the program says that it will wait: the release's own deadline holds. */
static void endless_patience(struct world *world, const struct fault_case *row, struct sight *seen)
{
    const struct ctl_limits limits = world_hasty();
    if (!ready(world, &limits, seen))
        return;
    runner_act(world, PRIMARY, ACT_WAIT);
    struct ring_frame head = sound_head(world);
    head.deadline_ns = INT64_MAX;
    if (row->variant)
        head.capture_ns += 3600 * 1000000000ll;
    int64_t begun_ns = now_ns();
    frame_look(world, submit_raw(world, &head), seen);
    seen->us = (seen->at_ns - begun_ns) / 1000 - DEADLINE_MS * 1000;
    runner_act(world, PRIMARY, ACT_WELL);
}

/* ---- numbers of frames ---- */

enum numbers { JUMP, BACK, EARLY };

static void hostile_numbers(struct world *world, const struct fault_case *row, struct sight *seen)
{
    if (!ready(world, NULL, seen))
        return;
    struct muster *robot = world->robot;
    struct region_bell *bell = (struct region_bell *)(void *)(robot->frames.base + REGION_BELL);
    int64_t struck_ns = now_ns();
    if (row->variant == JUMP) {
        atomic_store(&bell->newest, (uint64_t)1 << 60);
        frame_look(world, frame_send(world, 0, 50000), seen);
    } else if (row->variant == BACK) {
        atomic_store(&bell->newest, 0);
        frame_look(world, frame_send(world, 0, LONG_US), seen);
    } else {
        struct ring_frame head = sound_head(world);
        uint64_t seq = robot->seq + 1;
        (void)muster_frame_begin(robot);
        atomic_store(&bell->newest, seq); /* announced before it is whole */
        nap_us(20000);
        frame_look(world, submit_raw(world, &head), seen);
    }
    seen->us = (seen->at_ns - struck_ns) / 1000;
    muster_close(TAKE_PTR(world->robot)); /* a new life: everything is in order again */
    frame_healthy(world, seen);
}

/* The runner has a frame in hand while the camera goes once round the ring: nobody can say what it saw. */
static void torn(struct world *world, const struct fault_case *row, struct sight *seen)
{
    enum { PATIENCE_US = 20000 };
    if (!ready(world, NULL, seen))
        return;
    runner_act(world, PRIMARY, ACT_WAIT);
    int64_t capture_ns = now_ns();
    uint64_t seq = frame_send(world, capture_ns, PATIENCE_US), last = 0;
    if (!runner_has(world, PRIMARY, seq, seen))
        return;
    for (int i = 0; i < RING_SLOTS; i++)
        last = frame_send(world, 0, LONG_US);
    runner_act(world, PRIMARY, ACT_WELL);
    frame_look(world, seq, seen);
    seen->us = MAX((seen->at_ns - capture_ns) / 1000 - PATIENCE_US, 0);
    struct sight newest = {0};
    frame_look(world, last, &newest);
    expect(seen, newest.answer == MUSTER_OK, "the newest frame is answered %s (%s)",
           muster_answer_name(newest.answer), muster_reason_name(newest.reason));
}

static void frozen(struct world *world, const struct fault_case *row, struct sight *seen)
{
    struct ctl_limits limits = world_limits();
    limits.frozen_frames = 3;
    if (!ready(world, &limits, seen))
        return;
    int64_t struck_ns = 0;
    for (int i = 0; i < 3; i++) {
        uint8_t *rgb = muster_frame_begin(world->robot);
        memset(rgb, 99, SIDE * SIDE * 3);
        rgb[0] = 1; /* frame_send's pictures are of one shade: never this one */
        struck_ns = now_ns();
        frame_look(world, muster_frame_submit(world->robot, 0, LONG_US), seen);
        expect(seen, i == 2 || seen->answer == MUSTER_OK, "picture %d of three is answered %s", i + 1,
               muster_answer_name(seen->answer));
    }
    seen->us = (seen->at_ns - struck_ns) / 1000;
}

static void old(struct world *world, const struct fault_case *row, struct sight *seen)
{
    struct ctl_limits limits = world_limits();
    limits.max_age_us = 10000;
    if (!ready(world, &limits, seen))
        return;
    int64_t struck_ns = now_ns();
    frame_look(world, frame_send(world, struck_ns - 30000000, LONG_US), seen);
    seen->us = (seen->at_ns - struck_ns) / 1000;
}

/* Six frames at once: the newest is answered, those before it are said to be left out. */
static void burst(struct world *world, const struct fault_case *row, struct sight *seen)
{
    uint64_t seqs[6];
    if (!ready(world, NULL, seen))
        return;
    runner_act(world, PRIMARY, ACT_WAIT);
    int64_t struck_ns = now_ns();
    for (size_t i = 0; i < ARRAY_LEN(seqs); i++)
        seqs[i] = frame_send(world, 0, LONG_US);
    runner_act(world, PRIMARY, ACT_WELL);
    for (size_t i = 0; i + 1 < ARRAY_LEN(seqs); i++) {
        struct sight left_out = {0};
        frame_look(world, seqs[i], &left_out);
        expect(seen, left_out.answer == MUSTER_OK || left_out.reason == MUSTER_REASON_STALE,
               "a frame that was left out is answered %s", muster_reason_name(left_out.reason));
    }
    frame_look(world, seqs[5], seen);
    seen->us = (seen->at_ns - struck_ns) / 1000;
}

/* A program that submits and submits and never looks: the verdicts go round their ring. */
static void never_looks(struct world *world, const struct fault_case *row, struct sight *seen)
{
    uint64_t first = 0, seq = 0;
    if (!ready(world, NULL, seen))
        return;
    for (int i = 0; i < 100; i++) {
        seq = frame_send(world, 0, LONG_US);
        first = first ? first : seq;
        nap_us(100);
    }
    int64_t struck_ns = now_ns();
    frame_look(world, seq, seen);
    seen->us = (seen->at_ns - struck_ns) / 1000;
    struct muster_verdict verdict;
    expect(seen, muster_verdict_wait(world->robot, first, &verdict) == MUSTER_SAFE,
           "an overwritten verdict is given");
}

#define HEAD(name_, says, how, answers_, reasons_)                                                           \
    {                                                                                                        \
        .name = "frame_" name_, .injected = says, .also = "the next frame is answered",                      \
        .inject = lying_head, .answers = answers_, .reasons = reasons_, .state = GUARD_AUTO,                 \
        .measure = ANSWERED, .bound_us = 20000, .share = 10, .detail = &(const struct spoil)                 \
        {                                                                                                    \
            how                                                                                              \
        }                                                                                                    \
    }

static const struct fault_case cases[] = {
    HEAD("size_mismatch", "a head whose bytes do not fit width and height", smaller_size, IS_SAFE,
         BECAUSE(OTHER)),
    HEAD("huge", "a head that says 2^32 - 1 pixels each way", huge_side, IS_SAFE, BECAUSE(OTHER)),
    HEAD("empty", "a head that says no pixels", no_size, IS_SAFE, BECAUSE(OTHER)),
    HEAD("unknown_format", "a format that does not exist", unknown_format, IS_SAFE, BECAUSE(OTHER)),
    HEAD("deadline_past", "a deadline long ago", past_deadline, IS_SAFE, BECAUSE(DEADLINE) | BECAUSE(STALE)),
    HEAD("deadline_least", "deadline -2^63", least_deadline, IS_SAFE, BECAUSE(DEADLINE) | BECAUSE(STALE)),
    HEAD("capture_least", "capture -2^63", least_capture, IS_SAFE, BECAUSE(DEADLINE) | BECAUSE(STALE)),
    HEAD("capture_in_future", "captured in an hour", future_capture, IS_OK, 0),
    HEAD("times_in_future", "all times 2^63 - 1", future_everything, IS_OK, 0),
    HEAD("number_backwards", "the head bears frame number 1", other_number, IS_OK, 0),
    HEAD("all_flags", "all flags set", all_flags, IS_OK, 0),
    {"frame_deadline_never", "a deadline in 292 years, and a runner that does not answer",
     "the release's deadline holds", endless_patience, IS_SAFE, BECAUSE(DEADLINE), GUARD_AUTO, OVER_DEADLINE,
     1000, 30, 0, NULL},
    {"frame_deadline_never_capture_in_future", "the same, captured in an hour",
     "the release's deadline holds", endless_patience, IS_SAFE, BECAUSE(DEADLINE), GUARD_AUTO, OVER_DEADLINE,
     10000, 10, 1, NULL},
    {"frames_newest_jumps", "the program's region says frame 2^60",
     "libmuster decides; a new attachment is served", hostile_numbers, IS_SAFE, BECAUSE(DEADLINE), GUARD_AUTO,
     ANSWERED, 60000, 5, JUMP, NULL},
    {"frames_newest_back", "the program's region says frame 0", "a new attachment is served", hostile_numbers,
     IS_OK, 0, GUARD_AUTO, ANSWERED, 20000, 5, BACK, NULL},
    {"frame_announced_early", "a frame is announced 20 ms before it is whole", "a new attachment is served",
     hostile_numbers, IS_OK | IS_SAFE, 0, GUARD_AUTO, ANSWERED, 60000, 5, EARLY, NULL},
    {"frame_torn", "the camera overwrites a frame that the runner has in hand",
     "the newest frame is answered", torn, IS_SAFE, BECAUSE(STALE) | BECAUSE(DEADLINE), GUARD_AUTO,
     OVER_DEADLINE, 1000, 20, 0, NULL},
    {"camera_frozen", "the same picture three times, where the release allows two", NULL, frozen, IS_SAFE,
     BECAUSE(FROZEN), GUARD_AUTO, ANSWERED, 20000, 20, 0, NULL},
    {"frame_old", "a frame of 30 ms, where the release allows 10", NULL, old, IS_SAFE, BECAUSE(STALE),
     GUARD_AUTO, ANSWERED, 20000, 20, 0, NULL},
    {"frames_burst", "six frames at once", "those left out are said to be", burst, IS_OK, 0, GUARD_AUTO,
     ANSWERED, 50000, 10, 0, NULL},
    {"verdicts_unread", "a program that submits 100 frames and looks at the last verdict only",
     "the first one's is gone: SAFE", never_looks, IS_OK, 0, GUARD_AUTO, ANSWERED, 20000, 3, 0, NULL},
};
const struct group faults_frames = {cases, ARRAY_LEN(cases)};
