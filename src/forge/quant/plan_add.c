#include "forge/quant/plan_inside.h"

#include "base/mem.h"
#include "base/str.h"

#include <stdlib.h>

/* Room for one more: doubled whenever the count is a power of two. */
static void *with_room(void *items, size_t count, size_t size)
{
    if (count & (count - 1))
        return items;
    return mem_grow(items, count ? 2 * count : 1, size);
}

/* NULL stays NULL. */
static bool copied(const char **text)
{
    if (!*text)
        return true;
    *text = mem_strdup(*text);
    return *text != NULL;
}

int plan_add_pair(struct quant_plan *plan, const struct quant_pair *pair, struct err *err)
{
    struct quant_pair *grown = with_room(plan->pairs, plan->pair_count, sizeof *grown);
    if (!grown)
        return err_no_memory(err);
    plan->pairs = grown;
    struct quant_pair *slot = &grown[plan->pair_count];
    *slot = *pair;
    slot->reader = NULL;
    if (!copied(&slot->tensor))
        return err_no_memory(err);
    plan->pair_count++;
    slot->reader = pair->reader;
    return copied(&slot->reader) ? 0 : err_no_memory(err);
}

int plan_add_node(struct quant_plan *plan, const struct quant_node *node, struct err *err)
{
    struct quant_node *grown = with_room(plan->nodes, plan->node_count, sizeof *grown);
    if (!grown)
        return err_no_memory(err);
    plan->nodes = grown;
    struct quant_node *slot = &grown[plan->node_count];
    *slot = *node;
    slot->op = slot->why = NULL;
    if (!copied(&slot->node))
        return err_no_memory(err);
    plan->node_count++;
    slot->op = node->op;
    if (!copied(&slot->op))
        return err_no_memory(err);
    slot->why = node->why;
    return copied(&slot->why) ? 0 : err_no_memory(err);
}

const char *plan_skip_reason(const struct quant_skip *skip, size_t skip_count, const char *node)
{
    for (size_t i = 0; i < skip_count; i++)
        if (str_eq(skip[i].node, node))
            return skip[i].why;
    return NULL;
}
