/* One release under watch: what it is, what it was like when it was made, what is learned of it here, and its open window. */
#ifndef MUSTER_ROBOT_WATCH_SUBJECT_H
#define MUSTER_ROBOT_WATCH_SUBJECT_H

#include "robot/watch/keep.h"
#include "robot/watch/window.h"

#include <stdbool.h>

enum { SUBJECT_EVENT_FLOATS = 8192, SUBJECT_EVENT_JOIN_MS = 1000, SUBJECT_EVENT_LONGEST_MS = 10000 };

struct subject_about { /* from the release */
    char version[64];
    size_t label_count; /* of all */
    char labels[SIGNAL_LABELS][32];
    double threshold; /* of scores; NaN: none */
    bool is_event;    /* a time series: a score over the threshold is an alarm */
    bool has_profile;
    struct drift_reference references[SIGNALS];
};

struct subject_event { /* an alarm that goes on */
    bool open, has_frame;
    int64_t from_ms, last_ms; /* monotonic: first and last frame over the threshold */
    int64_t time_ms;          /* Unix: of the frame that is kept */
    float best;
    struct ring_verdict verdict; /* of the frame with the best score */
    uint32_t width;
    float frame[SUBJECT_EVENT_FLOATS];
};

struct subject {
    bool used;
    struct digest release;
    char engine[64];
    struct subject_about about;
    struct drift_options options;
    struct drift *drift;          /* NULL: no profile, or the pace of frames is not known yet */
    void *memory;                 /* owned: of the drift */
    bool alarmed;                 /* it was told, */
    int64_t told_ms;              /* by this time the last time; 0: none stands that was told */
    enum drift_cause told, other; /* other: what it looks like since so many blocks */
    uint32_t other_blocks;
    int64_t last_ms, pace_since_ms; /* monotonic */
    uint64_t pace_frames;
    uint32_t off_pace; /* windows in a row with another pace than the blocks are made for */
    struct watch_window window, detail;
    struct subject_event event;
};

/* Begins to judge, with what was kept of it if that still fits (`kept` scratch, `dir` NULL: nothing is kept). *out_damaged: there was something that
 * was set aside. Without a profile nothing is judged. */
int subject_judge(struct subject *subject, const char *dir, const struct drift_options *options,
                  struct kept *kept, bool *out_damaged, struct err *err) must_check;
int subject_save(const struct subject *subject, const char *dir, struct kept *scratch,
                 struct err *err) must_check;
void subject_free(struct subject *subject); /* empty again */

enum subject_edge { EDGE_NONE, EDGE_BETTER /* keep this frame: it is the best of the alarm yet */ };
/* A verdict of an event model. */
enum subject_edge subject_event_frame(struct subject *subject, const struct ring_verdict *verdict,
                                      int64_t now_ms, int64_t wall_ms);
bool subject_event_over(const struct subject *subject, int64_t now_ms);

#endif
