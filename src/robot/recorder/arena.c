#include "robot/recorder/arena.h"

#include <assert.h>

void arena_init(struct arena *arena, void *memory, size_t size)
{
    assert((uintptr_t)memory % 8 == 0);
    *arena = (struct arena){.memory = memory, .size = size & ~(size_t)7};
    arena->wrap = arena->size;
}

static struct arena_entry *at(const struct arena *arena, size_t offset)
{
    return (struct arena_entry *)(void *)(arena->memory + offset);
}

static size_t room_of(size_t len)
{
    return (sizeof(struct arena_entry) + len + 7) & ~(size_t)7;
}

static void drop_oldest(struct arena *arena)
{
    arena->head += room_of(at(arena, arena->head)->len);
    arena->count--;
    if (arena->head == arena->wrap) {
        arena->head = 0;
        arena->wrap = arena->size;
    }
    if (arena->count == 0) {
        arena->head = arena->tail = 0;
        arena->wrap = arena->size;
    }
}

/* True if `need` bytes are free at the tail, in one piece. */
static bool fits(struct arena *arena, size_t need)
{
    bool behind = arena->count > 0 && arena->tail <= arena->head; /* the free piece ends at the head */
    if (behind)
        return arena->head - arena->tail >= need;
    if (arena->size - arena->tail >= need)
        return true;
    if (arena->head < need)
        return false;
    arena->wrap = arena->tail;
    arena->tail = 0;
    return true;
}

void *arena_put(struct arena *arena, uint32_t kind, int64_t time_ns, size_t len)
{
    size_t need = room_of(len);
    if (len > UINT32_MAX || need > arena->size / 2)
        return NULL;
    while (!fits(arena, need))
        drop_oldest(arena);
    struct arena_entry *entry = at(arena, arena->tail);
    entry->kind = kind;
    entry->len = (uint32_t)len;
    entry->time_ns = time_ns;
    arena->tail += need;
    arena->count++;
    return entry->payload;
}

const struct arena_entry *arena_first(const struct arena *arena)
{
    return arena->count ? at(arena, arena->head) : NULL;
}

const struct arena_entry *arena_next(const struct arena *arena, const struct arena_entry *entry)
{
    size_t offset = (size_t)((const uint8_t *)entry - arena->memory) + room_of(entry->len);
    if (offset == arena->tail)
        return NULL;
    return at(arena, offset == arena->wrap ? 0 : offset);
}
