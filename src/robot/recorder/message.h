/* Arena entries as messages of an incident, in JSON that stock tools show:
 *
 *   /frames       foxglove.CompressedImage      what the model saw: JPEG in base64
 *   /annotations  foxglove.ImageAnnotations     the boxes of the verdict on that frame, in its pixels
 *   /inputs       muster.Input                  frames that are no pictures
 *   /verdicts     muster.Verdict                every answer: who, why not, which state, what was found
 *   /state        muster.State                  what the guard said: transitions, commands with who and why, losses
 *   /log          foxglove.Log                  the recorder's own notes, and what it missed
 */
#ifndef MUSTER_ROBOT_RECORDER_MESSAGE_H
#define MUSTER_ROBOT_RECORDER_MESSAGE_H

#include "base/buf.h"
#include "base/err.h"
#include "robot/recorder/arena.h"
#include "robot/recorder/entry.h"
#include "wire/mcap/writer.h"

enum message_topic {
    TOPIC_FRAMES,
    TOPIC_ANNOTATIONS,
    TOPIC_INPUTS,
    TOPIC_VERDICTS,
    TOPIC_STATE,
    TOPIC_LOG,
    TOPIC_COUNT
};

struct messages {
    struct mcap_writer *mcap;
    int64_t wall_offset_ns; /* Unix time - CLOCK_MONOTONIC */
    uint16_t channels[TOPIC_COUNT];
    uint32_t count; /* for sequence numbers */
    struct buf text;
};

int messages_init(struct messages *messages, struct mcap_writer *mcap, int64_t wall_offset_ns,
                  struct err *err) must_check;
void messages_fini(struct messages *messages);
/* `verdict` is the one on a frame's picture; NULL: not known. */
int messages_write(struct messages *messages, const struct arena_entry *entry,
                   const struct ring_verdict *verdict, struct err *err) must_check;

#endif
