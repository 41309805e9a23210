#include "cli/demo/chaos.h"
#include "base/clock.h"
#include "base/mem.h"

#include <signal.h>

/* The story takes about this long; the kills are spread over it. */
enum { STORY_MS = 45000, SHORTEST_INTERVAL_MS = 200 };

void chaos_init(struct chaos *chaos, bool on, uint32_t seed, int wanted)
{
    *chaos = (struct chaos){.on = on,
                            .random = seed * 2654435761u + 1,
                            .wanted = wanted,
                            .interval_ms = MAX(STORY_MS / MAX(wanted, 1), SHORTEST_INTERVAL_MS)};
    chaos->next_at_ms = clock_mono_ms() + chaos->interval_ms;
}

static uint32_t next_random(struct chaos *chaos)
{
    chaos->random = chaos->random * 1664525u + 1013904223u;
    return chaos->random >> 8;
}

void chaos_step(struct chaos *chaos, struct cast *cast)
{
    if (!chaos->on || clock_mono_ms() < chaos->next_at_ms)
        return;
    chaos->next_at_ms =
        clock_mono_ms() + chaos->interval_ms / 2 + next_random(chaos) % (uint32_t)chaos->interval_ms;
    enum actor_kind kind = next_random(chaos) % ACTOR_KIND_COUNT;
    const char *name = NULL;
    pid_t pid = cast_pick(cast, kind, next_random(chaos), &name);
    if (pid <= 0 || kill(pid, SIGKILL) < 0)
        return;
    chaos->kills++;
    snprintf(chaos->last, sizeof chaos->last, "kill -9 %s", name);
}

bool chaos_satisfied(const struct chaos *chaos)
{
    return !chaos->on || chaos->kills >= chaos->wanted;
}
