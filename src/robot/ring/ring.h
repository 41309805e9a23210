/* Single-writer shared memory: how frames, results and verdicts travel between the processes of a robot.
 *
 * One region is one memfd. Whoever makes it maps it writable, then seals it (SHRINK, GROW, FUTURE_WRITE,
 * SEAL) and only then passes the descriptor on: nobody else can ever write it, and its size can never change.
 * A receiver checks the seals before it maps. So it is the kernel that guarantees that a verdict comes from
 * the guard and from nobody else.
 *
 *   kind       written by          read by
 *   FRAMES     robot program       runners (pixels), guard (heads only)
 *   RESULTS    one runner          guard
 *   VERDICTS   guard               robot program
 *   CONTROL    guard, per runner   that runner
 *
 *   0        struct head: magic, version, kind, slot_count, body_bytes, stride
 *   128      u64 newest: sequence number of the newest entry       u32 bell: futex word, +1 with every entry
 *            u32 asked: VERDICTS only: 0, or 1 + how many us after its capture the guard wants to be told (CTL_FRAME) of a
 *            frame without a verdict; 1: of every frame, at once
 *   4096     slot 0 │ slot 1 │ …  each: u64 version, 56 bytes unused, body (stride bytes in all, multiple of
 * 64)
 *
 * Entry `seq` (1, 2, …) lives in slot seq mod slot_count. The slot's version is 2 seq - 1 while it is being
 * written and 2 seq when it is whole (a sequence lock that names its entry). The writer never waits: it
 * overwrites the oldest. A reader that was overtaken notices and gets nothing, never a torn entry.
 *
 * The writer may be hostile. The reader copies numbers before it looks at them; geometry is read once,
 * checked against the sealed size and kept privately. Nothing here allocates memory after ring_create /
 * ring_attach, and a read costs no system call.
 */
#ifndef MUSTER_ROBOT_RING_H
#define MUSTER_ROBOT_RING_H

#include "base/digest.h"
#include "base/err.h"
#include "stats/cause.h"
#include "stats/detection.h"
#include "stats/signals.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ring_kind { RING_FRAMES = 1, RING_RESULTS, RING_VERDICTS, RING_CONTROL, RING_KIND_END };

enum {
    RING_SLOTS = 8,       /* default */
    RING_MAX_SLOTS = 64,  /* a power of two */
    RING_MAX_SIDE = 8192, /* pixels */
    RING_MAX_PIXEL_BYTES = 64 << 20,
    RING_MAX_DETECTIONS = 128,
    RING_MAX_VALUES = 768, /* floats in a result: the room of 128 detections */
};

/* Bodies. All are multiples of 8 bytes without padding. */

enum ring_format {
    RING_RGB8 = 0, /* interleaved, width * height * 3 bytes follow */
    RING_FLOAT32,  /* the model's input tensor as it is, `width` floats (height is 1) */
};

enum { RING_FRAME_SEQUENCE_END = 1 }; /* flags: a stateful model may be exchanged after this frame */

struct ring_frame { /* payload follows, 64-byte aligned */
    uint64_t seq;
    int64_t capture_ns;  /* CLOCK_MONOTONIC */
    int64_t deadline_ns; /* CLOCK_MONOTONIC: later than this the robot program does not care any more */
    uint32_t width, height;
    uint64_t pixel_bytes; /* of the payload */
    uint32_t format, flags;
    int64_t
        submitted_ns; /* CLOCK_MONOTONIC: handed over; its age then is what `max_age_us` is about. 0: unknown */
    uint64_t reserved;
};

struct ring_result {
    uint64_t seq;    /* of the frame */
    uint64_t stream; /* number of the frames region, as the guard gave it */
    uint64_t generation;
    int64_t started_ns, finished_ns; /* CLOCK_MONOTONIC: taken from the ring, answered */
    int64_t preprocess_ns, run_ns, decode_ns;
    struct frame_signals signals; /* of the frame and of this result; zeros: nobody computed any */
    uint32_t status;              /* enum ring_result_status */
    uint32_t kind;                /* enum ring_payload */
    uint32_t shadow;              /* 1: it was computed beside the active one */
    uint32_t count;               /* detections or values; last, so that a short copy is enough */
    union {
        struct detection detections[RING_MAX_DETECTIONS];
        float values[RING_MAX_VALUES];
    };
};

enum ring_payload {
    RING_DETECTIONS = 0,
    RING_VALUES, /* class probabilities, event probabilities, an action, a raw tensor: the release says what */
};

enum ring_result_status {
    RING_RESULT_OK = 0,
    RING_RESULT_STALE,      /* the frame was overwritten while the runner read it */
    RING_RESULT_NOT_FINITE, /* the model's output holds NaN or infinity */
    RING_RESULT_FAILED,     /* the inference engine reported an error */
};

struct ring_verdict {
    uint64_t seq, stream;
    uint64_t generation;             /* whose result this is; SAFE: who should have answered, 0 for nobody */
    struct digest release;           /* of that generation */
    int64_t decided_ns;              /* CLOCK_MONOTONIC */
    int64_t capture_ns, deadline_ns; /* CLOCK_MONOTONIC: of the frame, and what this generation was allowed */
    int64_t run_ns;                  /* 0 without a result */
    int64_t started_ns, finished_ns; /* the runner's word, as run_ns */
    struct frame_signals
        signals; /* the runner's word: of the result that was passed on or refused; zeros: there was none */
    struct frame_cause
        cause;       /* what decided, in numbers; TIME: decided_ns against the two above (ring_cause) */
    uint32_t status; /* enum ring_verdict_status */
    uint32_t reason; /* SAFE, FALLBACK: enum intervention, INTERVENTION_COUNT for none */
    float min_score; /* the limits that it was checked against */
    uint32_t max_detections, label_count;
    uint32_t state; /* enum guard_state when it was decided */
    uint32_t kind;  /* enum ring_payload */
    uint32_t count; /* detections or values */
    union {
        struct detection detections[RING_MAX_DETECTIONS];
        float values[RING_MAX_VALUES];
    };
};

enum ring_verdict_status { RING_VERDICT_OK = 1, RING_VERDICT_FALLBACK, RING_VERDICT_SAFE };

/* What decided, always with its numbers: of TIME those that the verdict's own times give. Pure; the bits may be anybody's. */
struct frame_cause ring_cause(const struct ring_verdict *verdict);

struct ring_control { /* which frames a runner is to process */
    uint64_t stream;
    uint64_t from_seq, until_seq; /* both included; IDLE: it may still finish what was given to it */
    uint32_t mode;                /* enum ring_mode */
    uint32_t flags;
};

enum { RING_CONTROL_NO_BELL = 1 }; /* the guard looks by itself all the time: need not be rung */

enum ring_mode {
    RING_MODE_IDLE = 0,
    RING_MODE_ACTIVE,
    RING_MODE_SHADOW, /* as ACTIVE, at the lowest priority, results marked `shadow` */
};

/* A mapped region. Plain data, so that it can live in static memory; treat the fields as private. */
struct ring {
    uint8_t *base; /* NULL: none */
    size_t bytes;
    size_t stride, body_bytes;
    uint32_t slot_count;
    enum ring_kind kind;
    bool writer;
    int fd; /* kept, to be passed on */
};

/* A region of our own. `pixel_bytes` for FRAMES, else 0. Every page is touched here: later writes never
 * fault. */
int ring_create(struct ring *ring, enum ring_kind kind, uint32_t slots, size_t pixel_bytes,
                struct err *err) must_check;

/* A region from somebody else, read-only. Takes over `fd` in every case (closes it on failure).
 * Errors: UNTRUSTED if it is not a sealed memfd of that kind or its numbers do not fit its size. */
int ring_attach(struct ring *ring, int fd, enum ring_kind kind, struct err *err) must_check;

/* True if nobody but the region's maker can write it. */
bool ring_sealed(int fd);

void ring_fini(struct ring *ring);                   /* a zeroed or finished ring is fine */
size_t ring_pixel_capacity(const struct ring *ring); /* FRAMES: bytes behind struct ring_frame */

/* Writer. ring_begin marks the slot and returns its body, to be filled in place; ring_publish makes it
 * visible, then ring_wake rings the bell (the only system call). `seq` must be greater than what the slot
 * holds: else ring_begin returns NULL and the older entry stays. */
void *ring_begin(struct ring *ring, uint64_t seq);
void ring_publish(struct ring *ring, uint64_t seq);
bool ring_put(struct ring *ring, uint64_t seq, const void *body, size_t len); /* begin, copy, publish */
void ring_wake(struct ring *ring);

/* Reader. */
uint64_t ring_newest(const struct ring *ring); /* hostile: any number */
/* Copies the first `len` bytes (a multiple of 8) of entry `seq`; false if it is not there (any more), whole.
 */
bool ring_read(const struct ring *ring, uint64_t seq, void *out, size_t len);
/* The entry in place. What was read there holds only if ring_still says so afterwards. */
const void *ring_peek(const struct ring *ring, uint64_t seq);
bool ring_still(const struct ring *ring, uint64_t seq);
/* Where the body of every entry with seq mod slot_count == slot lies, whether there is one or not. */
const uint8_t *ring_slot(const struct ring *ring, uint32_t slot);

/* Verdicts: the guard asks to be told of frames that no result has made it look at: at once (0), or when they have waited so
 * long since their capture. It looks at the frames after it asked, and the robot program at ring_asked after it published: one of
 * the two sees the other's word. */
#define RING_ASKED_NEVER UINT32_MAX
void ring_ask(struct ring *ring, uint32_t after_us);
uint32_t ring_asked(const struct ring *ring);

/* Sleeps until the bell no longer reads `seen`, at most until until_ns (CLOCK_MONOTONIC); first looks out for
 * it without sleeping for spin_ns. May return early. */
uint32_t ring_bell(const struct ring *ring);
void ring_wait(const struct ring *ring, uint32_t seen, int64_t until_ns, int64_t spin_ns);
/* Looks out for it all the time and never sleeps: for a core that is free to burn. Others of this core have their turn every
 * millisecond; more often where it turns out that the one who rings is among them. Whoever rings somebody who may wait on
 * the same core yields right after it: that is the quick way. */
void ring_spin(const struct ring *ring, uint32_t seen, int64_t until_ns);
void ring_relax(void); /* a moment between two looks */

#endif
