#include "robot/decide/export/export.h"
#include "robot/decide/guard_fsm.h"

static const char *const states[] = {
#define STATE(name, answer, severity, latch) [GUARD_##name] = #name,
#include "robot/decide/guard_table.def"
};

static const char *const events[] = {
#define EVENT(name, source, clears) #name,
#include "robot/decide/guard_table.def"
};

void export_promela(FILE *out)
{
    fputs("/* Made by guard-export from guard_table.def. moves[state * EVENTS + event]: the next state + 1, "
          "0 where the\n"
          " * event changes nothing. */\n",
          out);
    for (int s = 0; s < GUARD_STATE_COUNT; s++)
        fprintf(out, "#define S_%s %d\n", states[s], s);
    for (int e = 0; e < GUARD_EVENT_COUNT; e++)
        fprintf(out, "#define E_%s %d\n", events[e], e);
    fprintf(out, "#define STATES %d\n#define EVENTS %d\n", GUARD_STATE_COUNT, GUARD_EVENT_COUNT);
    fprintf(out, "hidden byte moves[%d];\ninline guard_table()\n{\n", GUARD_STATE_COUNT * GUARD_EVENT_COUNT);
    for (int s = 0; s < GUARD_STATE_COUNT; s++)
        for (int e = 0; e < GUARD_EVENT_COUNT; e++) {
            struct guard_step step = guard_fsm_step((enum guard_state)s, (enum guard_event)e);
            if ((int)step.next != s)
                fprintf(out, "    moves[S_%s * EVENTS + E_%s] = S_%s + 1;\n", states[s], events[e],
                        states[step.next]);
        }
    fputs("}\n", out);
}
