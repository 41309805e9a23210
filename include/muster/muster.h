/* libmuster: a robot program's side of Muster.
 *
 *     struct muster_options options = {.run_dir = "/run/muster", .width = 640, .height = 480};
 *     struct muster *robot;
 *     char why[MUSTER_TEXT_SIZE];
 *     if (muster_open(&options, &robot, why) != 0) …
 *
 *     for (;;) {
 *         uint8_t *rgb = muster_frame_begin(robot);             the camera writes straight into shared memory
 *         camera_read(rgb);
 *         uint64_t seq = muster_frame_submit(robot, 0, 50000);  captured now, of use for 50 ms
 *         struct muster_verdict verdict;
 *         if (muster_verdict_wait(robot, seq, &verdict) == MUSTER_SAFE)
 *             go_to_the_safe_state(verdict.reason);
 *         else
 *             act_on(verdict.detections, verdict.count);
 *     }
 *
 * What the library promises:
 *   - muster_verdict_wait returns at the frame's deadline at the latest, whatever happened to anybody else.
 *   - A result is given out only if the guard checked it, for this very frame, in time. Everything else is
 * MUSTER_SAFE: no guard, a dead or hung one, a dead, hung or lying model, a late result.
 *   - When the guard comes back the library connects again by itself.
 *   - No memory is allocated and no pixel is copied after muster_open.
 *
 * One thread at a time may use a handle. The file descriptors it owns are close-on-exec. Plain C17, no other
 * header of Muster's is needed.
 */
#ifndef MUSTER_MUSTER_H
#define MUSTER_MUSTER_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { MUSTER_MAX_DETECTIONS = 128, MUSTER_MAX_VALUES = 768, MUSTER_TEXT_SIZE = 240 };

struct muster;

struct muster_options {
    const char *run_dir;    /* where muster-guard listens */
    uint32_t width, height; /* of the frames, pixels; RGB8, interleaved, rows from the top */
    uint32_t floats; /* instead of width and height: frames are this many float32, the model's input itself
                               (time series, observations of a control policy); at most 16 Mi */
    uint32_t slots;  /* frames that can be in flight: a power of two, 2 to 64; 0: 8 */
    /* 0: look out for a verdict while it is due, at most half a millisecond a frame and only while they come at a
     * steady pace, which saves the cost of being woken. 1: always sleep. */
    uint32_t patient;
    /* 1: busy-wait for verdicts: the shortest way, for a core that is free to burn. */
    uint32_t spin;
};

enum muster_answer {
    MUSTER_OK = 1, /* the checked result of the active release */
    MUSTER_FALLBACK, /* the checked result of the fallback release: the active one is lost, or a human wants it */
    MUSTER_SAFE      /* no result may be used: take the safe state */
};

enum muster_reason { /* of FALLBACK and SAFE */
                     MUSTER_REASON_DEADLINE,
                     MUSTER_REASON_SEQUENCE,
                     MUSTER_REASON_NOT_FINITE,
                     MUSTER_REASON_RANGE,
                     MUSTER_REASON_TOO_MANY,
                     MUSTER_REASON_RUNNER_LOST, /* crashed, hung, or none is active */
                     MUSTER_REASON_STALE,       /* the frame was overwritten before it was read, or too old */
                     MUSTER_REASON_FROZEN,      /* the camera repeats itself */
                     MUSTER_REASON_RATE,        /* a value or an object moved faster than it can */
                     MUSTER_REASON_OVERSIGHT,   /* a human or a latch decided; see `state` */
                     MUSTER_REASON_OTHER,
                     MUSTER_REASON_NONE,     /* OK */
                     MUSTER_REASON_NO_GUARD, /* it is not there, or went away */
                     MUSTER_REASON_UNKNOWN,  /* no such frame was submitted */
                     MUSTER_REASON_INVALID   /* what the guard's memory held is no verdict on this frame */
};

struct muster_detection {
    float x0, y0, x1, y1; /* pixels of the frame */
    float score;          /* 0..1 */
    uint32_t label;       /* index into the labels of the release */
};

/* What the robot is in, as far as Muster is concerned; docs/guard.md has the diagram. With MUSTER_STATE_OVERRIDE a
 * human is in control: the program obeys the human, not a model. Muster's stop is a protective stop; it is no
 * emergency stop. */
enum muster_state {
    MUSTER_STATE_INIT,
    MUSTER_STATE_STANDBY,
    MUSTER_STATE_AUTO,
    MUSTER_STATE_DEGRADED,
    MUSTER_STATE_FALLBACK,
    MUSTER_STATE_FORCED,
    MUSTER_STATE_HOLD,
    MUSTER_STATE_OVERRIDE,
    MUSTER_STATE_SAFE_STOP,
    MUSTER_STATE_ESTOP,
    MUSTER_STATE_ACK_WAIT,
    MUSTER_STATE_SERVICE,
    MUSTER_STATE_UNKNOWN /* no guard, or no word of it in time */
};

struct muster_verdict {
    uint64_t seq; /* the frame */
    enum muster_answer answer;
    enum muster_reason reason;
    uint64_t generation; /* who answered, or SAFE: who should have; 0: nobody */
    char release[72];    /* its digest, "sha256:…"; "" if generation is 0 */
    int64_t decided_ns;  /* CLOCK_MONOTONIC, the guard's; 0: this library decided */
    int64_t run_ns;      /* the model alone; 0 without a result */
    enum muster_state state;
    uint32_t count;       /* detections; 0 if SAFE or the release gives values */
    uint32_t value_count; /* values; 0 if SAFE or the release gives detections */
    union {
        struct muster_detection detections[MUSTER_MAX_DETECTIONS];
        float values
            [MUSTER_MAX_VALUES]; /* probabilities per label, an action, a tensor: what the release says */
    };
};

/* 0, or -1 with one line in `why` (of MUSTER_TEXT_SIZE). A guard need not be there yet. */
int muster_open(const struct muster_options *options, struct muster **out, char *why);
void muster_close(struct muster *robot); /* NULL is fine */

/* Where the next frame goes: width * height * 3 bytes, valid until it is submitted. Calling it again gives
 * the same. */
uint8_t *muster_frame_begin(struct muster *robot);

/* The same for frames of floats. */
float *muster_values_begin(struct muster *robot);

/* This frame ends a sequence: a stateful model may be exchanged after it. Say it before the submit. */
void muster_sequence_end(struct muster *robot);

/* Hands over the frame. capture_ns: CLOCK_MONOTONIC, 0 for now. deadline_us: counted from the capture. */
uint64_t muster_frame_submit(struct muster *robot, int64_t capture_ns, uint32_t deadline_us);

/* The verdict on a submitted frame, at its deadline at the latest. *out is filled in completely in every
 * case: with MUSTER_SAFE detections and values are zeros, else they are valid up to their count. */
enum muster_answer muster_verdict_wait(struct muster *robot, uint64_t seq, struct muster_verdict *out);

/* Tells the fleet how a verdict compared with what the program knew (a reference station): true and false
 * positives, misses; at most 256 each. Best effort. */
void muster_score(struct muster *robot, const struct muster_verdict *verdict, uint32_t tp, uint32_t fp,
                  uint32_t fn);

/* Mirrors a hardware emergency stop (1 pressed, 0 released): every verdict is MUSTER_SAFE from then on, through reset
 * and restart by a human after the release. It is told to the next guard too. What was pressed outlives the program and the
 * power, and only a word of the hardware ends it: say at start how it stands, also if it is released. 0, or -1 if no guard is
 * there now. */
int muster_estop(struct muster *robot, int pressed);

/* Not now: while busy is 1 (a flight, a patient in its arms) no model is exchanged on this robot; going back to the last one, which is hot, still
 * is. 0: said. 1: a change is under way: do not begin, ask again. -1: RUN_DIR cannot be used. Ends with the program, too. */
int muster_busy(struct muster *robot, int busy);

int muster_connected(const struct muster *robot);          /* 1 while a guard is there */
int64_t muster_now_ns(void);                               /* CLOCK_MONOTONIC */
const char *muster_answer_name(enum muster_answer answer); /* "ok", "fallback", "safe" */
const char *muster_reason_name(enum muster_reason reason); /* "deadline", … */
const char *muster_state_name(enum muster_state state);    /* "auto", … */

#ifdef __cplusplus
}
#endif

#endif
