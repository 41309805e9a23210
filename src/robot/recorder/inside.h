/* The inside of the recorder, for its files:
 *
 *   open.c       options, memory, sockets
 *   intake.c     what the guard says, verdicts and frames, into the arena and to the trigger
 *   sealing.c    an event into a file, by a child
 *   recorder.c   the loop
 */
#ifndef MUSTER_ROBOT_RECORDER_INSIDE_H
#define MUSTER_ROBOT_RECORDER_INSIDE_H

#include "robot/observe/observe.h"
#include "robot/recorder/capture.h"
#include "robot/recorder/entry.h"
#include "robot/recorder/governor.h"
#include "robot/recorder/recorder.h"
#include "robot/recorder/trigger.h"
#include "trust/incident.h"

#include <stdbool.h>
#include <sys/types.h>

#define MS_NS 1000000ll

struct recorder {
    struct recorder_options options;
    char incidents[400]; /* directory */
    char robot[64];
    int lock_fd, signal_fd, knob_fd;
    bool stop;
    uint8_t *memory;
    size_t memory_bytes;
    struct arena arena;
    struct capture capture;
    struct governor governor;
    struct trigger trigger;
    struct observer observer;
    struct ring_verdict verdict; /* the copy that is looked at */
    struct entry_lost lost;      /* since the last note of it */
    int64_t lost_noted_ns, frame_due_ns;
    uint64_t last_frame;   /* of the stream */
    double verdict_gap_ns; /* between two verdicts, smoothed */
    int64_t verdict_ns;
    pid_t child; /* seals; 0: none */
    int64_t child_ns;
    char child_id[INCIDENT_ID_SIZE];
    uint32_t number; /* of the next event */
};

void recorder_defaults(struct recorder *r, const struct recorder_options *given);
int recorder_open(struct recorder *r, struct err *err) must_check;
void recorder_close(struct recorder *r);

extern const struct observer_events recorder_events; /* without `arg` */
void recorder_note(struct recorder *r, const char *text, int64_t now_ns);
/* What was missed, as an entry; not more often than once a second but `at_once`. */
void recorder_note_lost(struct recorder *r, int64_t now_ns, bool at_once);
void recorder_take_verdicts(struct recorder *r, int64_t now_ns);
void recorder_take_frame(struct recorder *r, int64_t now_ns);
int64_t recorder_cpu_ns(void);

/* Seals the open event as it stands at until_ns, in a child. */
void recorder_seal(struct recorder *r, int64_t until_ns);
void recorder_reap(struct recorder *r, int flags); /* of waitpid */
void recorder_look_after_child(struct recorder *r, int64_t now_ns);

#endif
