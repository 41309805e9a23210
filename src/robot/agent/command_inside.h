/* The inside of the commands, for their files:
 *
 *   command.c      what is done with one: checked, given to the guard, reported; rollback
 *   command_ask.c  the question to the server, and the entries of its answer
 */
#ifndef MUSTER_ROBOT_AGENT_COMMAND_INSIDE_H
#define MUSTER_ROBOT_AGENT_COMMAND_INSIDE_H

#include "robot/agent/backoff.h"
#include "robot/agent/command.h"
#include "robot/agent/command_memory.h"
#include "robot/agent/seen.h"
#include "wire/command.h"

/* Who answers, and so has to stand back. */
struct answering {
    uint64_t generation; /* 0: nobody */
    struct digest release;
};

struct commands {
    struct commands_options options;
    struct command_memory *memory;
    int transfer; /* the held question; 0: none */
    struct backoff backoff;
    enum err_code complained; /* the last error that was logged */
    uint64_t after;
    struct seen_book seen; /* alarms that people acknowledged: they come with the same answer */
    struct answering last; /* as the guard said last; a stop does not wait for a newer word */
};

/* command.c */
void command_take(struct commands *commands, uint64_t id, const char *envelope);
void command_report(struct commands *commands, const struct command_outcome *outcome,
                    const struct digest *release);

/* command_ask.c */
void command_ask(struct commands *commands);

#endif
