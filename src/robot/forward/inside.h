/* What the files of this room share. */
#ifndef MUSTER_ROBOT_FORWARD_INSIDE_H
#define MUSTER_ROBOT_FORWARD_INSIDE_H

#include "robot/forward/forward.h"
#include "robot/forward/gap.h"
#include "robot/forward/marks.h"
#include "robot/forward/segment.h"

enum { SEGMENTS_OF_QUOTA = 64, OFFERED_STRIDE = 16, COMMIT_MS = 1000 };

/* A place between two records of a class: the next one is at `offset` of segment `number`, or in a later one. */
struct place {
    uint64_t number, offset;
    uint64_t seq; /* of the record before it */
    int fd;       /* of that segment; -1: not open */
};

struct lane {                 /* one class */
    struct segment *segments; /* oldest first */
    size_t count, room;
    int fd;           /* of the last segment, if it is being written; else -1 */
    uint64_t last;    /* number given last */
    uint64_t pending; /* records not acknowledged */
    uint32_t skipped; /* numbers before the next one that are inside of GAPs */
    uint64_t bytes;
    bool dirty;          /* something is not on the disk */
    struct place reader; /* of forward_next */
    struct place tail;   /* behind what is acknowledged: for `pending` */
};

struct forward {
    char *dir;
    struct forward_options options;
    int lock_fd;
    uint64_t target; /* bytes of a segment */
    struct marks marks;
    char stream[33], boot[MARKS_BOOT];
    uint64_t next_number; /* of a segment */
    struct lane lanes[FORWARD_CLASSES];
    bool
        untold; /* something is missing that no GAP could be written of yet: until the next start nothing is thinned */
    bool half;        /* a replacement may be unfinished: forward_settle */
    int64_t dirty_ms; /* since when METRIC has something uncommitted; 0: not known yet */
    bool uncommitted;
    struct buf record; /* what forward_next lends */
};

extern const uint64_t forward_bound_strides[FORWARD_CLASSES]; /* how far ahead numbers are reserved */
char *forward_path(const struct forward *forward, uint64_t number,
                   const char *suffix); /* NULL: out of memory */
int forward_sync(struct lane *lane, struct err *err) must_check;
int forward_save_marks(struct forward *forward, const struct marks *marks, struct err *err) must_check;
/* The last segment is not written to any more. */
int forward_seal(struct lane *lane, struct err *err) must_check;
struct segment *forward_add_segment(struct forward *forward, enum forward_class class, struct err *err);
int forward_create(struct forward *forward, const struct segment_head *head, uint64_t number,
                   const char *suffix, int *out_fd, struct err *err) must_check;
/* Appends; `is_gap`: may use the room that is kept for GAPs. */
int forward_put(struct forward *forward, enum forward_class class, uint8_t kind, int64_t time_ms,
                const void *data, size_t len, bool is_gap, struct err *err) must_check;
void forward_close_places(struct lane *lane);

/* load.c: the segments as they lie there; finishes or takes back replacements. */
int forward_load(struct forward *forward, bool has_marks, int64_t now_ms, struct err *err) must_check;
int forward_settle(struct forward *forward,
                   struct err *err) must_check; /* while it runs: after a failure half-way */
int forward_pay(struct forward *forward, int64_t now_ms,
                struct err *err) must_check; /* the GAP that is owed */
int forward_take_away(const struct forward *forward, uint64_t number, struct err *err) must_check; /* N.new */
int forward_remove(struct forward *forward, struct lane *lane, size_t index, struct err *err) must_check;

/* thin.c: 1: some bytes were gained, or another try may; 0: nothing can be thinned. */
int forward_thin(struct forward *forward, enum forward_class class, struct err *err) must_check;

#endif
