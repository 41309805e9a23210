#include "trust/tuf/testing/faulty.h"

static struct tuf_faulty *faulty_of(struct tuf_shelf *shelf)
{
    return (struct tuf_faulty *)shelf; /* its first member */
}

static int dead(struct err *err)
{
    return err_set(err, ERR_IO, "the power is off");
}

static int load(struct tuf_shelf *shelf, const char *role, struct buf *out, struct err *err)
{
    struct tuf_faulty *faulty = faulty_of(shelf);
    return faulty->dead ? dead(err) : faulty->inner->ops->load(faulty->inner, role, out, err);
}

/* -1 if the change must not happen. */
static int before_change(struct tuf_faulty *faulty, struct err *err)
{
    if (faulty->dead)
        return dead(err);
    if (++faulty->changes != faulty->at)
        return 0;
    switch (faulty->fault) {
    case TUF_FAULT_CUT_BEFORE:
        faulty->dead = true;
        return dead(err);
    case TUF_FAULT_FULL:
        return err_set(err, ERR_NO_SPACE, "the disk is full");
    case TUF_FAULT_IO:
        return err_set(err, ERR_IO, "the disk says no");
    case TUF_FAULT_KILL:
        _exit(137);
    case TUF_FAULT_NONE:
    case TUF_FAULT_CUT_AFTER:
        break;
    }
    return 0;
}

static int after_change(struct tuf_faulty *faulty, int result, struct err *err)
{
    if (faulty->fault != TUF_FAULT_CUT_AFTER || faulty->changes != faulty->at)
        return result;
    faulty->dead = true;
    return dead(err);
}

static int store(struct tuf_shelf *shelf, const char *role, const void *bytes, size_t len, struct err *err)
{
    struct tuf_faulty *faulty = faulty_of(shelf);
    if (before_change(faulty, err) < 0)
        return -1;
    return after_change(faulty, faulty->inner->ops->store(faulty->inner, role, bytes, len, err), err);
}

static int take_away(struct tuf_shelf *shelf, const char *role, struct err *err)
{
    struct tuf_faulty *faulty = faulty_of(shelf);
    if (before_change(faulty, err) < 0)
        return -1;
    return after_change(faulty, faulty->inner->ops->remove(faulty->inner, role, err), err);
}

void tuf_faulty_init(struct tuf_faulty *faulty, struct tuf_shelf *inner, enum tuf_fault fault, int at)
{
    static const struct tuf_shelf_ops ops = {.load = load, .store = store, .remove = take_away};
    *faulty = (struct tuf_faulty){.shelf.ops = &ops, .inner = inner, .fault = fault, .at = at};
}
