#include "base/mem.h"
#include "trust/tuf/shelf_inside.h"

struct slot {
    char *role;
    void *bytes;
    size_t len;
};

struct memory {
    struct tuf_owned_shelf owned;
    size_t count;
    struct slot *slots;
};

static struct slot *find(const struct memory *memory, const char *role)
{
    for (size_t i = 0; i < memory->count; i++)
        if (strcmp(memory->slots[i].role, role) == 0)
            return &memory->slots[i];
    return NULL;
}

static int load(struct tuf_shelf *shelf, const char *role, struct buf *out, struct err *err)
{
    const struct slot *slot = find((struct memory *)shelf, role);
    if (!slot)
        return err_set(err, ERR_NOT_FOUND, "no such role is kept");
    return buf_put(out, slot->bytes, slot->len, err);
}

static struct slot *add(struct memory *memory, const char *role)
{
    struct slot *slots = mem_grow(memory->slots, memory->count + 1, sizeof *slots);
    if (!slots)
        return NULL;
    memory->slots = slots;
    slots[memory->count] = (struct slot){.role = mem_strdup(role)};
    return slots[memory->count].role ? &slots[memory->count++] : NULL;
}

static int store(struct tuf_shelf *shelf, const char *role, const void *bytes, size_t len, struct err *err)
{
    struct memory *memory = (struct memory *)shelf;
    struct slot *slot = find(memory, role);
    void *copy = mem_zalloc(len + 1, 1);
    if (copy && !slot)
        slot = add(memory, role);
    if (!slot || !copy) {
        free(copy);
        return err_no_memory(err);
    }
    memcpy(copy, bytes, len);
    free(slot->bytes);
    slot->bytes = copy;
    slot->len = len;
    return 0;
}

static int take_away(struct tuf_shelf *shelf, const char *role, struct err *err)
{
    struct memory *memory = (struct memory *)shelf;
    struct slot *slot = find(memory, role);
    (void)err;
    if (!slot)
        return 0;
    free(slot->role);
    free(slot->bytes);
    *slot = memory->slots[--memory->count];
    return 0;
}

static void drop(struct tuf_shelf *shelf)
{
    struct memory *memory = (struct memory *)shelf;
    for (size_t i = 0; i < memory->count; i++) {
        free(memory->slots[i].role);
        free(memory->slots[i].bytes);
    }
    free(memory->slots);
    free(memory);
}

struct tuf_shelf *tuf_shelf_memory(void)
{
    static const struct tuf_shelf_ops ops = {.load = load, .store = store, .remove = take_away};
    struct memory *memory = mem_zalloc(1, sizeof *memory);
    if (!memory)
        return NULL;
    memory->owned = (struct tuf_owned_shelf){.shelf.ops = &ops, .drop = drop};
    return &memory->owned.shelf;
}

void tuf_shelf_free(struct tuf_shelf *shelf)
{
    if (shelf)
        ((struct tuf_owned_shelf *)shelf)->drop(shelf);
}
