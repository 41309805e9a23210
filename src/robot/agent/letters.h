/* What muster-watch left for the fleet (robot/watch/mailbox.h), into the log: an event, a window, a frame for people. A file goes when the log has it; a
 * letter that the log took in the life before, and that was not taken away, is known by its number. What is none of the three is thrown away, and said so;
 * while the log has no room, letters wait. */
#ifndef MUSTER_ROBOT_AGENT_LETTERS_H
#define MUSTER_ROBOT_AGENT_LETTERS_H

#include "robot/forward/forward.h"
#include "robot/watch/mailbox.h"

#include <stdbool.h>
#include <stdint.h>

enum { LETTER_SAMPLE = 1, LETTER_HEAD = 8 }; /* kind of SAMPLE records; u64 number in front of each letter */

struct letters {
    const char *run_dir;
    struct forward *forward;
    struct mailbox mailbox;
    bool is_open, complained;
    uint64_t last[MAILBOX_KINDS]; /* taken in; 0: none */
    int64_t next_ms;
};

void letters_init(struct letters *letters, const char *run_dir, struct forward *forward);
void letters_tick(struct letters *letters, int64_t now_ms);

#endif
