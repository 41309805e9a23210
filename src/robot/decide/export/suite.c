#include "robot/decide/export/export.h"
#include "robot/decide/guard_fsm.h"

#include <string.h>

enum {
    STATES = GUARD_STATE_COUNT,
    EVENTS = GUARD_EVENT_COUNT,
    MAX_SEQUENCE = STATES * STATES,
    MAX_SET = STATES
};

struct sequence {
    int length;
    int events[MAX_SEQUENCE];
};

static int next_of(int state, int event)
{
    return (int)guard_fsm_step((enum guard_state)state, (enum guard_event)event).next;
}

/* What can be seen from outside, without asking for the state. */
static int output(int state, int event)
{
    struct guard_step step = guard_fsm_step((enum guard_state)state, (enum guard_event)event);
    int degraded =
        step.next == GUARD_DEGRADED ? 8 : 0; /* AUTO with a warning: nothing else tells them apart */
    return degraded + (step.accepted ? 4 : 0) + (int)guard_fsm_answer(step.next);
}

static bool tells_apart(const struct sequence *sequence, int a, int b)
{
    for (int i = 0; i < sequence->length; i++) {
        if (output(a, sequence->events[i]) != output(b, sequence->events[i]))
            return true;
        a = next_of(a, sequence->events[i]);
        b = next_of(b, sequence->events[i]);
    }
    return false;
}

/* How many events it takes to tell two states apart, and the first of them; length 0: not known (yet). */
struct difference {
    int length, event;
};

static bool find_difference(struct difference all[STATES][STATES], int a, int b, int length)
{
    for (int e = 0; e < EVENTS; e++) {
        const struct difference *after = &all[next_of(a, e)][next_of(b, e)];
        bool shows = length == 1 ? output(a, e) != output(b, e) : after->length == length - 1;
        if (!shows)
            continue;
        all[a][b] = all[b][a] = (struct difference){.length = length, .event = e};
        return true;
    }
    return false;
}

static void find_differences(struct difference all[STATES][STATES])
{
    bool found = true;
    for (int length = 1; found; length++) {
        found = false;
        for (int a = 0; a < STATES; a++)
            for (int b = 0; b < a; b++)
                if (all[a][b].length == 0)
                    found |= find_difference(all, a, b, length);
    }
}

/* A set of sequences of which at least one tells any two states apart. */
static int characterise(struct sequence set[MAX_SET])
{
    struct difference all[STATES][STATES] = {0};
    find_differences(all);
    int count = 0;
    for (int a = 0; a < STATES; a++)
        for (int b = 0; b < a; b++) {
            bool told = all[a][b].length == 0;
            for (int i = 0; i < count && !told; i++)
                told = tells_apart(&set[i], a, b);
            if (told)
                continue;
            struct sequence *fresh = &set[count++];
            fresh->length = 0;
            for (int x = a, y = b, left = all[a][b].length; left > 0; left--) {
                int event = all[x][y].event;
                fresh->events[fresh->length++] = event;
                x = next_of(x, event);
                y = next_of(y, event);
            }
        }
    return count;
}

/* The shortest way to every state; length -1: none. */
static void find_paths(struct sequence paths[STATES])
{
    for (int s = 0; s < STATES; s++)
        paths[s].length = s == GUARD_INIT ? 0 : -1;
    for (int length = 0; length < STATES; length++)
        for (int s = 0; s < STATES; s++)
            for (int e = 0; e < EVENTS && paths[s].length == length; e++) {
                struct sequence *to = &paths[next_of(s, e)];
                if (to->length >= 0)
                    continue;
                *to = paths[s];
                to->events[to->length++] = e;
            }
}

static int print_events(FILE *out, int state, const int *events, int count)
{
    for (int i = 0; i < count; i++) {
        struct guard_step step = guard_fsm_step((enum guard_state)state, (enum guard_event)events[i]);
        state = (int)step.next;
        fprintf(out, "%s=%s%s ", guard_event_name((enum guard_event)events[i]), step.accepted ? "" : "-",
                guard_state_name(step.next));
    }
    return state;
}

void export_suite(FILE *out)
{
    static struct sequence paths[STATES], set[MAX_SET];
    find_paths(paths);
    int count = characterise(set);
    for (int s = 0; s < STATES; s++)
        for (int e = 0; e < EVENTS; e++)
            for (int w = 0; w < count && paths[s].length >= 0; w++) {
                int at = print_events(out, GUARD_INIT, paths[s].events, paths[s].length);
                at = print_events(out, at, &e, 1);
                print_events(out, at, set[w].events, set[w].length);
                fputc('\n', out);
            }
}
