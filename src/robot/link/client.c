/* The functions of muster/muster.h. */
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "robot/ctl/busy.h"
#include "robot/ctl/ctl.h"
#include "robot/decide/guard_check.h"
#include "robot/decide/guard_fsm.h"
#include "robot/link/link.h"

#include <float.h>

#define LOOK_AT_SOCKET_NS 2000000ll /* how often a waiting program looks whether the guard is still there */

_Static_assert(sizeof(struct muster_detection) == sizeof(struct detection), "copied as a block");
_Static_assert((int)MUSTER_MAX_DETECTIONS == (int)RING_MAX_DETECTIONS, "the same limit");
_Static_assert((int)MUSTER_MAX_VALUES == (int)RING_MAX_VALUES, "the same limit");
_Static_assert((int)MUSTER_STATE_UNKNOWN == (int)GUARD_STATE_COUNT, "the guard's states come first");
_Static_assert((int)MUSTER_REASON_OTHER == (int)INTERVENED_OTHER, "the guard's reasons come first");
_Static_assert((int)MUSTER_REASON_NONE == (int)INTERVENTION_COUNT, "the guard's reasons come first");

static bool size_ok(const struct muster_options *options)
{
    if (options->floats)
        return !options->width && !options->height && options->floats <= RING_MAX_PIXEL_BYTES / sizeof(float);
    return options->width >= 1 && options->height >= 1 && options->width <= RING_MAX_SIDE &&
           options->height <= RING_MAX_SIDE;
}

static size_t payload_bytes(const struct muster *robot)
{
    return (size_t)robot->width * robot->height * (robot->floats ? sizeof(float) : 3);
}

static int open_all(struct muster *robot, const struct muster_options *options, struct err *err)
{
    if (!options->run_dir || !size_ok(options))
        return err_set(
            err, ERR_INVALID,
            "run_dir is missing, or a frame of %u x %u pixels or %u floats is out of range (one or "
            "the other)",
            options->width, options->height, options->floats);
    robot->run_dir = mem_strdup(options->run_dir);
    if (!robot->run_dir)
        return err_no_memory(err);
    robot->floats = options->floats != 0;
    robot->width = robot->floats ? options->floats : options->width;
    robot->height = robot->floats ? 1 : options->height;
    robot->patient = options->patient != 0;
    robot->spin = options->spin != 0;
    return ring_create(&robot->frames, RING_FRAMES, options->slots ? options->slots : RING_SLOTS,
                       payload_bytes(robot), err);
}

int muster_open(const struct muster_options *options, struct muster **out, char *why)
{
    struct err err = {0};
    struct muster *robot = mem_zalloc(1, sizeof *robot);
    if (!robot) {
        str_copy(why, MUSTER_TEXT_SIZE, "out of memory");
        return -1;
    }
    robot->busy_fd = robot->sock = robot->frames.fd = robot->verdicts.fd = -1;
    if (open_all(robot, options, &err) < 0) {
        str_copy(why, MUSTER_TEXT_SIZE, err.text);
        muster_close(robot);
        return -1;
    }
    link_await(robot, 500);
    *out = robot;
    return 0;
}

void muster_close(struct muster *robot)
{
    if (!robot)
        return;
    link_drop(robot);
    mem_cleanup_close(&robot->busy_fd);
    ring_fini(&robot->frames);
    free(robot->run_dir);
    free(robot);
}

uint8_t *muster_frame_begin(struct muster *robot)
{
    link_pump(robot);
    if (!robot->open_frame)
        robot->open_frame = ring_begin(&robot->frames, robot->seq + 1);
    return robot->open_frame + sizeof(struct ring_frame);
}

float *muster_values_begin(struct muster *robot)
{
    return (float *)(void *)muster_frame_begin(robot);
}

void muster_sequence_end(struct muster *robot)
{
    robot->flags |= RING_FRAME_SEQUENCE_END;
}

uint64_t muster_frame_submit(struct muster *robot, int64_t capture_ns, uint32_t deadline_us)
{
    if (!robot->open_frame)
        (void)muster_frame_begin(robot);
    uint64_t seq = ++robot->seq;
    int64_t now_ns = clock_mono_ns();
    if (capture_ns <= 0)
        capture_ns = now_ns;
    struct ring_frame head = {
        .seq = seq,
        .capture_ns = capture_ns,
        .deadline_ns = capture_ns + (int64_t)deadline_us * 1000,
        .width = robot->width,
        .height = robot->height,
        .pixel_bytes = payload_bytes(robot),
        .format = robot->floats ? RING_FLOAT32 : RING_RGB8,
        .flags = robot->flags,
        .submitted_ns = now_ns,
    };
    robot->flags = 0;
    memcpy(robot->open_frame, &head, sizeof head);
    robot->open_frame = NULL;
    robot->sent[seq % RING_MAX_SLOTS] = (struct link_sent){.seq = seq,
                                                           .stream = robot->stream,
                                                           .capture_ns = capture_ns,
                                                           .deadline_ns = head.deadline_ns,
                                                           .submitted_ns = now_ns};
    ring_publish(&robot->frames, seq);
    ring_wake(&robot->frames);
    if (robot->stream && ring_asked(&robot->verdicts) == 0)
        link_say_frame(robot);
    return seq;
}

static enum muster_answer safe(struct muster_verdict *out, uint64_t seq, enum muster_reason reason)
{
    memset(out, 0, sizeof *out); /* the last answer's objects, too */
    out->seq = seq;
    out->answer = MUSTER_SAFE;
    out->reason = reason;
    out->state = MUSTER_STATE_UNKNOWN;
    return MUSTER_SAFE;
}

static uint32_t room_of(uint32_t kind)
{
    return kind == RING_VALUES ? RING_MAX_VALUES : RING_MAX_DETECTIONS;
}

static bool payload_ok(const struct muster *robot)
{
    const struct ring_verdict *raw = &robot->raw;
    struct ctl_limits limits = {.max_detections = raw->max_detections,
                                .label_count = raw->label_count,
                                .min_score = raw->min_score,
                                .value_count = raw->max_detections,
                                .value_min = -FLT_MAX,
                                .value_max = FLT_MAX};
    struct frame_cause why = {0};
    if (raw->kind == RING_VALUES)
        return guard_check_values(raw->values, raw->count, &limits, &why) == INTERVENTION_COUNT;
    return guard_check_detections(raw->detections, raw->count, robot->width, robot->height, &limits, &why) ==
           INTERVENTION_COUNT;
}

/* Everything in the copy is the guard's word; it has to make sense all the same. */
static bool raw_ok(const struct muster *robot, const struct link_sent *sent)
{
    const struct ring_verdict *raw = &robot->raw;
    if (raw->seq != sent->seq || raw->stream != sent->stream || raw->kind > RING_VALUES ||
        raw->count > room_of(raw->kind) || raw->reason > INTERVENTION_COUNT ||
        raw->state >= GUARD_STATE_COUNT || raw->status < RING_VERDICT_OK || raw->status > RING_VERDICT_SAFE)
        return false;
    if (raw->status == RING_VERDICT_SAFE)
        return raw->count == 0;
    return raw->generation != 0 && raw->decided_ns <= sent->deadline_ns && payload_ok(robot);
}

static enum muster_answer translate(const struct muster *robot, struct muster_verdict *out)
{
    const struct ring_verdict *raw = &robot->raw;
    struct digest_text digest = digest_format(&raw->release);
    bool values = raw->kind == RING_VALUES;
    if (raw->status == RING_VERDICT_SAFE)
        memset(out, 0, sizeof *out);
    out->seq = raw->seq;
    out->answer = (enum muster_answer)raw->status;
    out->reason = (enum muster_reason)raw->reason;
    out->generation = raw->generation;
    str_copy(out->release, sizeof out->release, raw->generation ? digest.text : "");
    out->decided_ns = raw->decided_ns;
    out->run_ns = raw->run_ns;
    out->state = (enum muster_state)raw->state;
    out->count = values ? 0 : raw->count;
    out->value_count = values ? raw->count : 0;
    memcpy(out->detections, raw->detections,
           raw->count * (values ? sizeof raw->values[0] : sizeof raw->detections[0]));
    return out->answer;
}

/* Copies the verdict if it is there. */
static bool fetch(struct muster *robot, uint64_t seq)
{
    struct ring_verdict *raw = &robot->raw;
    const size_t head = offsetof(struct ring_verdict, detections);
    if (!ring_read(&robot->verdicts, seq, raw, head))
        return false;
    uint32_t count = raw->count, kind = raw->kind;
    if (count == 0 || count > room_of(kind))
        return true;
    size_t bytes = kind == RING_VALUES ? count * sizeof raw->values[0] : count * sizeof raw->detections[0];
    return ring_read(&robot->verdicts, seq, raw, head + (bytes + 7) / 8 * 8) && raw->count == count &&
           raw->kind == kind; /* else a part of it would be of an older verdict */
}

/* An emergency stop counts from the moment the program said so, whenever the guard comes to hear of it. */
static bool stopped(struct muster *robot)
{
    static const unsigned knows = 1u << GUARD_ESTOP | 1u << GUARD_SAFE_STOP;
    if (robot->raw.status == RING_VERDICT_SAFE && (knows & 1u << robot->raw.state))
        robot->estop_unseen = false;
    return robot->estop_pressed || robot->estop_unseen;
}

static enum muster_answer accept(struct muster *robot, const struct link_sent *sent,
                                 struct muster_verdict *out)
{
    if (!raw_ok(robot, sent))
        return safe(out, sent->seq, MUSTER_REASON_INVALID);
    if (stopped(robot) && robot->raw.status != RING_VERDICT_SAFE)
        return safe(out, sent->seq, MUSTER_REASON_OVERSIGHT);
    if (clock_mono_ns() > sent->deadline_ns && robot->raw.status != RING_VERDICT_SAFE)
        return safe(out, sent->seq, MUSTER_REASON_DEADLINE);
    return translate(robot, out);
}

static void await_bell(struct muster *robot, const struct link_sent *sent, uint32_t bell, int64_t until_ns)
{
    if (robot->spin)
        ring_spin(&robot->verdicts, bell, until_ns);
    else if (robot->patient)
        ring_wait(&robot->verdicts, bell, until_ns, 0);
    else
        pace_wait(&robot->pace, &robot->verdicts, bell, sent->submitted_ns, until_ns);
}

/* When the guard wants to hear that there is no verdict yet. */
static int64_t tell_ns(const struct muster *robot, const struct link_sent *sent)
{
    uint32_t after_us = robot->stream ? ring_asked(&robot->verdicts) : RING_ASKED_NEVER;
    bool never = after_us == RING_ASKED_NEVER || after_us == 0; /* 0: it was told at once */
    return never ? INT64_MAX : sent->capture_ns + after_us * 1000ll;
}

enum muster_answer muster_verdict_wait(struct muster *robot, uint64_t seq, struct muster_verdict *out)
{
    const struct link_sent *sent = &robot->sent[seq % RING_MAX_SLOTS];
    if (seq == 0 || sent->seq != seq)
        return safe(out, seq, MUSTER_REASON_UNKNOWN);
    int64_t told_ns = tell_ns(robot, sent);
    for (;;) {
        if (!robot->stream || robot->stream != sent->stream)
            return safe(out, seq, MUSTER_REASON_NO_GUARD);
        uint32_t bell = ring_bell(&robot->verdicts);
        int64_t now_ns = clock_mono_ns();
        if (fetch(robot, seq)) {
            pace_observe(&robot->pace, now_ns - sent->submitted_ns);
            return accept(robot, sent, out);
        }
        if (now_ns >= sent->deadline_ns) {
            link_say_frame(robot);
            return safe(out, seq, MUSTER_REASON_DEADLINE);
        }
        if (now_ns >= told_ns) {
            link_say_frame(robot);
            told_ns = INT64_MAX;
        }
        int64_t look_ns = now_ns + LOOK_AT_SOCKET_NS;
        await_bell(robot, sent, bell, MIN(MIN(look_ns, told_ns), sent->deadline_ns));
        if (clock_mono_ns() >= look_ns)
            link_pump(robot);
    }
}

void muster_score(struct muster *robot, const struct muster_verdict *verdict, uint32_t tp, uint32_t fp,
                  uint32_t fn)
{
    struct ctl_message message;
    struct err ignored = {0};
    if (robot->sock < 0 || verdict->generation == 0)
        return;
    ctl_message_init(&message, CTL_SCORE);
    message.generation = verdict->generation;
    message.score.seq = verdict->seq;
    message.score.tp = tp;
    message.score.fp = fp;
    message.score.fn = fn;
    if (ctl_send(robot->sock, &message, NULL, &ignored) < 0 && ignored.code == ERR_UNREACHABLE)
        link_drop(robot);
}

int muster_estop(struct muster *robot, int pressed)
{
    robot->estop_said = true;
    robot->estop_pressed = pressed != 0;
    robot->estop_unseen |= robot->estop_pressed;
    link_pump(robot);
    return link_say_estop(robot);
}

int muster_connected(const struct muster *robot)
{
    return robot->stream != 0;
}

int64_t muster_now_ns(void)
{
    return clock_mono_ns();
}

const char *muster_answer_name(enum muster_answer answer)
{
    static const char *const names[] = {
        [MUSTER_OK] = "ok", [MUSTER_FALLBACK] = "fallback", [MUSTER_SAFE] = "safe"};
    return answer >= MUSTER_OK && answer <= MUSTER_SAFE ? names[answer] : "unknown";
}

const char *muster_reason_name(enum muster_reason reason)
{
    static const char *const names[] = {"deadline",    "sequence", "not_finite", "range",   "too_many",
                                        "runner_lost", "stale",    "frozen",     "rate",    "oversight",
                                        "other",       "none",     "no_guard",   "unknown", "invalid"};
    return (unsigned)reason < ARRAY_LEN(names) ? names[reason] : "unknown";
}

const char *muster_state_name(enum muster_state state)
{
    return guard_state_name((enum guard_state)state);
}

const struct ring_verdict *link_last_verdict(const struct muster *robot)
{
    return &robot->raw;
}

bool link_page_is_sealed(const struct muster *robot)
{
    return robot->stream && ring_sealed(robot->verdicts.fd) && !robot->verdicts.writer;
}

int muster_busy(struct muster *robot, int busy)
{
    struct err ignored = {0};
    if (robot->busy_fd < 0 && (robot->busy_fd = busy_open(robot->run_dir, false, &ignored)) < 0)
        return -1;
    if (busy)
        return busy_take(robot->busy_fd, false);
    busy_leave(robot->busy_fd);
    return 0;
}
