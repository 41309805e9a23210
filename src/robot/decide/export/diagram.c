#include "robot/decide/export/export.h"
#include "robot/decide/guard_fsm.h"

/* An event that leads from this many states to one is drawn once, from "any". */
enum { MANY = 5 };

static bool moves(int state, int event, int to)
{
    return state != to && (int)guard_fsm_step((enum guard_state)state, (enum guard_event)event).next == to;
}

static int sources(int event, int to)
{
    int count = 0;
    for (int s = 0; s < GUARD_STATE_COUNT; s++)
        count += moves(s, event, to);
    return count;
}

static void draw_common(FILE *out, int event, int to)
{
    fprintf(out, "    any --> %s: %s", guard_state_name((enum guard_state)to),
            guard_event_name((enum guard_event)event));
    const char *before = " (not from ";
    for (int s = 0; s < GUARD_STATE_COUNT; s++)
        if (s != to && !moves(s, event, to)) {
            fprintf(out, "%s%s", before, guard_state_name((enum guard_state)s));
            before = ", ";
        }
    fputs(before[0] == ',' ? ")\n" : "\n", out);
}

static void draw_edge(FILE *out, int from, int to)
{
    const char *before = ": ";
    for (int e = 0; e < GUARD_EVENT_COUNT; e++) {
        if (!moves(from, e, to) || sources(e, to) >= MANY)
            continue;
        if (before[0] == ':')
            fprintf(out, "    %s --> %s", guard_state_name((enum guard_state)from),
                    guard_state_name((enum guard_state)to));
        fprintf(out, "%s%s", before, guard_event_name((enum guard_event)e));
        before = ", ";
    }
    if (before[0] == ',')
        fputc('\n', out);
}

void export_diagram(FILE *out)
{
    static const char *const answers[] = {"safe", "primary", "fallback"};
    fputs("stateDiagram-v2\n    state \"any other state\" as any\n    [*] --> init\n", out);
    for (int s = 0; s < GUARD_STATE_COUNT; s++)
        fprintf(out, "    %s: %s [%s]%s\n", guard_state_name((enum guard_state)s),
                guard_state_name((enum guard_state)s), answers[guard_fsm_answer((enum guard_state)s)],
                guard_fsm_latched((enum guard_state)s) ? " latched" : "");
    for (int from = 0; from < GUARD_STATE_COUNT; from++)
        for (int to = 0; to < GUARD_STATE_COUNT; to++)
            draw_edge(out, from, to);
    for (int to = 0; to < GUARD_STATE_COUNT; to++)
        for (int e = 0; e < GUARD_EVENT_COUNT; e++)
            if (sources(e, to) >= MANY)
                draw_common(out, e, to);
}
