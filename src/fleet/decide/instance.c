#include "fleet/decide/instance.h"

#include "base/mem.h"

static bool was_followed(const struct instance_watch *watch, uint64_t number)
{
    for (unsigned i = 0; i < MIN(watch->count, (unsigned)INSTANCE_FOLLOWED); i++)
        if (watch->followed[i] == number)
            return true;
    return false;
}

static void follow(struct instance_watch *watch, uint64_t number, int64_t now_ns)
{
    if (watch->heard)
        watch->followed[watch->count++ % INSTANCE_FOLLOWED] = watch->current;
    watch->heard = true;
    watch->current = number;
    watch->since_ns = now_ns;
}

enum instance_verdict instance_heard(struct instance_watch *watch, uint64_t number, int64_t told_ns,
                                     int64_t now_ns, uint64_t *out_before)
{
    if (watch->heard && watch->current == number)
        return INSTANCE_SAME;
    if (watch->heard && told_ns <= watch->since_ns)
        return INSTANCE_LATE;
    if (was_followed(watch, number))
        return INSTANCE_CLONE;
    if (out_before)
        *out_before = watch->current;
    follow(watch, number, now_ns);
    return INSTANCE_NEW;
}
