#include "fleet/core/roster.h"

#include "base/str.h"

#include <search.h>

struct roster {
    void *tree; /* of struct roster_entry, by id */
};

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct roster_entry *)a)->id, ((const struct roster_entry *)b)->id);
}

struct roster *roster_new(void)
{
    return mem_zalloc(1, sizeof(struct roster));
}

void roster_free(struct roster *roster)
{
    if (!roster)
        return;
    tdestroy(roster->tree, free);
    free(roster);
}

struct roster_entry *roster_get(struct roster *roster, const char *id)
{
    struct roster_entry *entry = mem_zalloc(1, sizeof *entry);
    if (!entry)
        return NULL;
    str_copy(entry->id, sizeof entry->id, id);
    entry->seen_mono_ms = INT64_MIN;
    struct roster_entry **slot = tsearch(entry, &roster->tree, compare);
    if (!slot || *slot != entry)
        free(entry);
    return slot ? *slot : NULL;
}

void roster_restore(struct roster_entry *entry, int64_t seen_ms, int64_t alive_ms, int64_t mono_ms)
{
    int64_t silence = presence_silence_at_start(seen_ms, alive_ms);
    entry->seen_ms = seen_ms;
    entry->seen_mono_ms = silence < 0 ? INT64_MIN : mono_ms - silence;
}

void roster_touch(struct roster_entry *entry, int64_t wall_ms, int64_t mono_ms)
{
    entry->seen_ms = wall_ms;
    entry->seen_mono_ms = mono_ms;
    entry->dirty = true;
    entry->heard = true;
    if (!entry->link.open)
        presence_opened(&entry->link);
}

int64_t roster_silence_ms(const struct roster_entry *entry, int64_t mono_ms)
{
    return entry->seen_mono_ms == INT64_MIN ? -1 : MAX(mono_ms - entry->seen_mono_ms, (int64_t)0);
}

enum presence roster_presence(const struct roster_entry *entry, int64_t mono_ms)
{
    return presence_of(roster_silence_ms(entry, mono_ms));
}

void roster_describe(struct roster_entry *entry, const struct api_label *labels, size_t count, bool revoked)
{
    entry->site[0] = 0;
    entry->expected = revoked;
    for (size_t i = 0; i < count; i++) {
        if (str_eq(labels[i].key, "site"))
            str_copy(entry->site, sizeof entry->site, labels[i].value);
        entry->expected |= str_eq(labels[i].key, "maintenance");
    }
}

struct visitor {
    void (*visit)(struct roster_entry *entry, void *arg);
    void *arg;
};

static void walk(const void *node, VISIT which, void *closure)
{
    const struct visitor *visitor = closure;
    if (which == postorder || which == leaf)
        visitor->visit(*(struct roster_entry *const *)node, visitor->arg);
}

void roster_each(struct roster *roster, void (*visit)(struct roster_entry *entry, void *arg), void *arg)
{
    struct visitor visitor = {.visit = visit, .arg = arg};
    twalk_r(roster->tree, walk, &visitor);
}
