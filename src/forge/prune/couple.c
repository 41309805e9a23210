#include "forge/prune/couple_inside.h"

#include <stdint.h>
#include <string.h>

/* ---- numbers ---- */

size_t couple_root(const struct couple *couple, size_t number)
{
    while (couple->numbers[number].parent != number) {
        struct number *n = &couple->numbers[number];
        n->parent = couple->numbers[n->parent].parent;
        number = n->parent;
    }
    return number;
}

void couple_join(struct couple *couple, size_t a, size_t b)
{
    a = couple_root(couple, a);
    b = couple_root(couple, b);
    size_t root = MIN(a, b), other = MAX(a, b);
    if (!couple->numbers[root].why)
        couple->numbers[root].why = couple->numbers[other].why;
    couple->numbers[other].parent = root;
}

static int new_number(struct couple *couple, size_t *out, struct err *err)
{
    if (couple->number_count == couple->number_room) {
        size_t room = couple->number_room ? 2 * couple->number_room : 1024;
        void *grown = mem_grow(couple->numbers, room, sizeof *couple->numbers);
        if (!grown)
            return err_no_memory(err);
        couple->numbers = grown;
        couple->number_room = room;
    }
    *out = couple->number_count++;
    couple->numbers[*out] = (struct number){.parent = *out};
    return 0;
}

size_t couple_numbers(const struct couple *couple)
{
    return couple->number_count;
}

size_t couple_number(const struct couple *couple, const struct channels *channels, size_t i)
{
    return couple_root(couple, channels->numbers[i]);
}

/* ---- tensors, by the address of their interned name ---- */

static size_t slot_of(const struct couple *couple, const char *name)
{
    size_t mask = couple->slot_count - 1;
    size_t slot = (size_t)(((uintptr_t)name >> 3) * 0x9E3779B97F4A7C15ULL >> 20) & mask;
    while (couple->slots[slot] && couple->tensors[couple->slots[slot] - 1].tensor != name)
        slot = (slot + 1) & mask;
    return slot;
}

const struct channels *couple_channels(const struct couple *couple, const char *tensor)
{
    if (!tensor)
        return NULL;
    size_t found = couple->slots[slot_of(couple, tensor)];
    return found ? &couple->tensors[found - 1] : NULL;
}

void couple_fix(struct couple *couple, const char *tensor, const char *why)
{
    const struct channels *channels = couple_channels(couple, tensor);
    for (size_t i = 0; channels && i < channels->count; i++) {
        struct number *number = &couple->numbers[couple_number(couple, channels, i)];
        if (!number->why)
            number->why = why;
    }
}

int couple_give(struct couple *couple, const char *tensor, size_t axis, const size_t *numbers, size_t count,
                struct err *err)
{
    if (couple->tensor_count == couple->tensor_room)
        return err_set(err, ERR_INTERNAL, "more tensors with channels than outputs");
    cleanup_free size_t *own = mem_zalloc(count, sizeof *own);
    if (!own)
        return err_no_memory(err);
    for (size_t i = 0; i < count; i++) {
        own[i] = numbers ? numbers[i] : 0;
        if (!numbers && new_number(couple, &own[i], err) < 0)
            return -1;
    }
    size_t slot = slot_of(couple, tensor);
    couple->tensors[couple->tensor_count++] =
        (struct channels){.tensor = tensor, .axis = axis, .count = count, .numbers = TAKE_PTR(own)};
    couple->slots[slot] = couple->tensor_count;
    return 0;
}

/* ---- sites ---- */

static int add_site(struct couple *couple, struct onnx_node *node, const char *tensor, bool makes,
                    struct err *err)
{
    const struct channels *channels = couple_channels(couple, tensor);
    if (!channels)
        return 0;
    if (couple->site_count == couple->site_room) {
        size_t room = couple->site_room ? 2 * couple->site_room : 64;
        void *grown = mem_grow(couple->sites, room, sizeof *couple->sites);
        if (!grown)
            return err_no_memory(err);
        couple->sites = grown;
        couple->site_room = room;
    }
    couple->sites[couple->site_count++] =
        (struct site){.node = node, .tensor = (size_t)(channels - couple->tensors), .makes = makes};
    return 0;
}

int couple_makes(struct couple *couple, struct onnx_node *node, const char *tensor, struct err *err)
{
    return add_site(couple, node, tensor, true, err);
}

int couple_consumes(struct couple *couple, struct onnx_node *node, const char *tensor, struct err *err)
{
    return add_site(couple, node, tensor, false, err);
}

/* ---- groups: roots with the same sites ---- */

struct grouping {
    uint64_t *keys; /* per number: hash of its sites */
    size_t *last;   /* site + 1 that was added last */
    size_t *group;  /* + 1 */
};

static void grouping_fini(struct grouping *grouping)
{
    free(grouping->keys);
    free(grouping->last);
    free(grouping->group);
}

static uint64_t mixed(uint64_t key, uint64_t value)
{
    key = (key ^ (value + 1)) * 0x9E3779B97F4A7C15ULL;
    return key ^ (key >> 29);
}

static void hash_sites(const struct couple *couple, struct grouping *grouping)
{
    for (size_t s = 0; s < couple->site_count; s++) {
        const struct channels *channels = &couple->tensors[couple->sites[s].tensor];
        for (size_t i = 0; i < channels->count; i++) {
            size_t root = couple_number(couple, channels, i);
            if (grouping->last[root] == s + 1)
                continue;
            grouping->last[root] = s + 1;
            grouping->keys[root] = mixed(grouping->keys[root], s);
        }
    }
}

static struct channel_group *group_for(struct couple *couple, struct grouping *grouping, size_t root,
                                       struct err *err)
{
    for (size_t i = 0; i < couple->group_count; i++)
        if (grouping->keys[couple->groups[i].numbers[0]] == grouping->keys[root])
            return &couple->groups[i];
    void *grown = mem_grow(couple->groups, couple->group_count + 1, sizeof *couple->groups);
    if (!grown) {
        err_no_memory(err);
        return NULL;
    }
    couple->groups = grown;
    couple->groups[couple->group_count] = (struct channel_group){0};
    return &couple->groups[couple->group_count++];
}

static int add_channel(struct couple *couple, struct grouping *grouping, size_t root, struct err *err)
{
    if (grouping->group[root])
        return 0;
    struct channel_group *group = group_for(couple, grouping, root, err);
    if (!group)
        return -1;
    void *grown = mem_grow(group->numbers, group->count + 1, sizeof *group->numbers);
    if (!grown)
        return err_no_memory(err);
    group->numbers = grown;
    group->numbers[group->count++] = root;
    if (!group->why)
        group->why = couple->numbers[root].why;
    grouping->group[root] = (size_t)(group - couple->groups) + 1;
    return 0;
}

static bool group_touches(const struct couple *couple, const struct grouping *grouping, size_t group,
                          const struct site *site)
{
    const struct channels *channels = &couple->tensors[site->tensor];
    for (size_t i = 0; i < channels->count; i++)
        if (grouping->group[couple_number(couple, channels, i)] == group + 1)
            return true;
    return false;
}

static int add_members(struct couple *couple, const struct grouping *grouping, size_t index, struct err *err)
{
    struct channel_group *group = &couple->groups[index];
    group->makers = mem_zalloc(couple->site_count, sizeof(struct onnx_node *));
    group->consumers = mem_zalloc(couple->site_count, sizeof *group->consumers);
    if (!group->makers || !group->consumers)
        return err_no_memory(err);
    for (size_t s = 0; s < couple->site_count; s++) {
        const struct site *site = &couple->sites[s];
        if (!group_touches(couple, grouping, index, site))
            continue;
        if (site->makes)
            group->makers[group->maker_count++] = site->node;
        else
            group->consumers[group->consumer_count++] =
                (struct couple_consumer){site->node, &couple->tensors[site->tensor]};
    }
    group->node = group->maker_count ? group->makers[0]->name : "";
    if (!group->why && !group->consumer_count)
        group->why = "nothing that could take over reads it";
    return 0;
}

static int find_groups(struct couple *couple, struct err *err)
{
    __attribute__((cleanup(grouping_fini))) struct grouping grouping = {
        .keys = mem_zalloc(couple->number_count, sizeof(uint64_t)),
        .last = mem_zalloc(couple->number_count, sizeof(size_t)),
        .group = mem_zalloc(couple->number_count, sizeof(size_t)),
    };
    if (couple->number_count && (!grouping.keys || !grouping.last || !grouping.group))
        return err_no_memory(err);
    hash_sites(couple, &grouping);
    for (size_t s = 0; s < couple->site_count; s++) {
        const struct channels *channels = &couple->tensors[couple->sites[s].tensor];
        for (size_t i = 0; couple->sites[s].makes && i < channels->count; i++)
            if (add_channel(couple, &grouping, couple_number(couple, channels, i), err) < 0)
                return -1;
    }
    for (size_t g = 0; g < couple->group_count; g++)
        if (add_members(couple, &grouping, g, err) < 0)
            return -1;
    return 0;
}

size_t couple_group_count(const struct couple *couple)
{
    return couple->group_count;
}

const struct channel_group *couple_group(const struct couple *couple, size_t i)
{
    return &couple->groups[i];
}

/* ---- the whole ---- */

static void fix_ends(struct couple *couple, const struct onnx_node *node)
{
    for (size_t i = 0; i < node->output_count; i++) {
        const struct graph_tensor *tensor = graph_output(couple->graph, node, i);
        if (tensor && tensor->is_output)
            couple_fix(couple, tensor->name, "an output of the model");
        else if (tensor && tensor->captured)
            couple_fix(couple, tensor->name, "read inside of a subgraph");
    }
}

static int make_room(struct couple *couple, struct onnx_node *const *nodes, size_t count, struct err *err)
{
    for (size_t i = 0; i < count; i++)
        couple->tensor_room += nodes[i]->output_count;
    couple->slot_count = 64;
    while (couple->slot_count < 2 * couple->tensor_room)
        couple->slot_count *= 2;
    couple->slots = mem_zalloc(couple->slot_count, sizeof *couple->slots);
    couple->tensors = mem_zalloc(couple->tensor_room + 1, sizeof *couple->tensors);
    if (!couple->slots || !couple->tensors)
        return err_no_memory(err);
    return 0;
}

int couple_find(struct graph *graph, struct couple **out, struct err *err)
{
    cleanup_couple struct couple *couple = mem_zalloc(1, sizeof *couple);
    if (!couple)
        return err_no_memory(err);
    couple->graph = graph;
    size_t count;
    struct onnx_node *const *nodes = graph_nodes(graph, &count);
    if (make_room(couple, nodes, count, err) < 0)
        return -1;
    for (size_t i = 0; i < count; i++) {
        if (couple_trace(couple, nodes[i], err) < 0)
            return -1;
        fix_ends(couple, nodes[i]);
    }
    if (find_groups(couple, err) < 0)
        return -1;
    *out = TAKE_PTR(couple);
    return 0;
}

void couple_free(struct couple *couple)
{
    if (!couple)
        return;
    for (size_t i = 0; i < couple->tensor_count; i++)
        free(couple->tensors[i].numbers);
    for (size_t i = 0; i < couple->group_count; i++) {
        free(couple->groups[i].numbers);
        free(couple->groups[i].makers);
        free(couple->groups[i].consumers);
    }
    free(couple->groups);
    free(couple->numbers);
    free(couple->tensors);
    free(couple->slots);
    free(couple->sites);
    free(couple);
}
