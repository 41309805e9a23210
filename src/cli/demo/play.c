#include "cli/demo/play.h"
#include "base/mem.h"
#include "base/str.h"

static const struct play *const plays[] = {&play_warehouse, &play_drone, &play_fall};

const struct play *play_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(plays); i++)
        if (str_eq(plays[i]->name, name))
            return plays[i];
    return NULL;
}
