/* The inside of muster-watch without its sockets: verdicts in, things to tell out. Driven by the clock it is given; allocates only when a release
 * comes, goes, or something is told.
 *
 *     verdict ─▶ subject of its release: drift, window, alarm of an event model
 *             ├▶ cases: the guard stepped in                            ─▶ event: decision record
 *             └▶ choice: somebody should look at this frame             ─▶ sample, with the frame if it is still there
 *     tick    ─▶ window over ─▶ metric per release, and one of the machine;  drift alarm ─▶ event;  state kept
 *
 * At most two releases at once (the one that answers and its fallback); a third one takes the place of the one that was silent for longest, whose state is
 * kept. What nobody takes away (`put` says no) is not lost as long as it can be added up: windows go on, samples are counted as not sent.
 *
 * Foreign: everything in a verdict. Twice the same frame counts once, a frame older than 64 of its stream is left out, NaN is no value; each is counted
 * and told (muster.watch.*).
 */
#ifndef MUSTER_ROBOT_WATCH_CORE_H
#define MUSTER_ROBOT_WATCH_CORE_H

#include "base/mem.h"
#include "robot/watch/choice.h"
#include "robot/watch/mailbox.h"
#include "robot/watch/subject.h"
#include "wire/seen.h"

enum { CORE_SUBJECTS = 2 };

struct core_options {            /* 0: default */
    uint32_t contexts;           /* of a day: 8, three hours each; divides 24 */
    uint32_t burn_in;            /* blocks per context: 60 */
    uint32_t block_frames;       /* 0: as many as come in block_ms, once that is known */
    int64_t window_ms, block_ms; /* 60 s, 60 s */
    uint32_t detail_every;       /* windows: 5 */
    int64_t save_ms;             /* 5 min */
    double
        site_sd; /* how far a site may lie from the reference, in its sd of single frames, and be learned: 2 */
    double robots, alarms; /* at most so many false alarms (1) in a fleet of so many (100) in 90 days */
    struct choice_options choice;
    const char *keep_dir; /* NULL: nothing is kept */
};

struct core_frame { /* borrowed; holds only if `still` says so afterwards */
    const void *data;
    bool is_values; /* float32, else rgb8 */
    uint32_t width, height;
    int64_t capture_ms; /* monotonic */
};

struct core_outside {
    /* What is known of a release; -1: it is not here, and is watched without a profile. */
    int (*load)(const struct digest *release, struct subject_about *out, void *arg, struct err *err);
    bool (*frame)(uint64_t stream, uint64_t seq, struct core_frame *out, void *arg);
    bool (*still)(uint64_t stream, uint64_t seq, void *arg);
    int (*put)(enum mailbox_kind kind, const void *data, size_t len,
               void *arg); /* 1: taken; 0: no room now */
    void (*machine)(int64_t start_ms, int64_t end_ms, struct otlp_points *out, void *arg); /* may be NULL */
    void *arg;
};

struct core_counts { /* since the start */
    uint64_t verdicts, duplicates, too_old, missed, bad_numbers, clock_jumps;
    uint64_t samples, samples_cut_off, samples_without_frame, samples_no_room;
    uint64_t decisions, alarms, windows, windows_waiting;
};

struct core;

int core_new(const struct core_options *options, const struct core_outside *outside, int64_t now_ms,
             int64_t wall_ms, struct core **out, struct err *err) must_check; /* now_ms: monotonic */
void core_free(struct core *core);
MUSTER_CLEANUP(struct core *, core_free)
#define cleanup_core __attribute__((cleanup(core_freep)))

void core_stream(struct core *core, uint64_t stream); /* a robot program attached */
void core_verdict(struct core *core, const struct ring_verdict *verdict, int64_t now_ms, int64_t wall_ms);
void core_missed(struct core *core, uint64_t verdicts);
void core_engine(struct core *core, const struct digest *release, const char *engine);
void core_ask(struct core *core);         /* somebody wants the next frame to be looked at */
void core_acknowledge(struct core *core); /* somebody at the robot saw the alarms */
/* What people acknowledged at the fleet, all that is known of it: an alarm that was told with just that time goes, now or when its release comes back; a
 * newer one stands, and so does one whose cause was told anew since. The same list again changes nothing. */
void core_seen(struct core *core, const struct seen_list *seen);
void core_tick(struct core *core, int64_t now_ms, int64_t wall_ms);
int64_t core_due_ms(const struct core *core);
void core_end(struct core *core, int64_t now_ms, int64_t wall_ms); /* the open windows, and all is kept */

void core_read(const struct core *core, struct core_counts *out);
/* False: it is not under watch, or nothing is judged. */
bool core_drift(const struct core *core, const struct digest *release, struct drift_report *out);

#endif
