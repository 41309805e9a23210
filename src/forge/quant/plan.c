#include "forge/quant/plan.h"

#include "base/str.h"
#include "forge/quant/kernels.h"

#include <stdlib.h>
#include <string.h>

static const char *const profile_names[PROFILE_COUNT] = {
    [PROFILE_CPU_X86] = "cpu-x86",
    [PROFILE_CPU_ARM] = "cpu-arm",
    [PROFILE_TRT] = "trt",
};

const char *quant_profile_name(enum quant_profile profile)
{
    return profile_names[profile];
}

bool quant_profile_of(const char *name, enum quant_profile *out)
{
    for (int i = 0; i < PROFILE_COUNT; i++)
        if (str_eq(profile_names[i], name)) {
            *out = (enum quant_profile)i;
            return true;
        }
    return false;
}

/* ---- reading ---- */

const struct quant_node *quant_plan_node(const struct quant_plan *plan, const char *name)
{
    for (size_t i = 0; i < plan->node_count; i++)
        if (str_eq(plan->nodes[i].node, name))
            return &plan->nodes[i];
    return NULL;
}

static void fini_pair(struct quant_pair *pair)
{
    free((void *)pair->tensor);
    free((void *)pair->reader);
}

static void fini_node(struct quant_node *node)
{
    free((void *)node->node);
    free((void *)node->op);
    free((void *)node->why);
}

void quant_plan_fini(struct quant_plan *plan)
{
    for (size_t i = 0; i < plan->pair_count; i++)
        fini_pair(&plan->pairs[i]);
    for (size_t i = 0; i < plan->node_count; i++)
        fini_node(&plan->nodes[i]);
    free(plan->pairs);
    free(plan->nodes);
    *plan = (struct quant_plan){0};
}

/* ---- what is asked of the observer ---- */

struct names {
    const char **names;
    size_t count, room;
    bool failed;
};

static void add_name(struct names *list, const struct graph_tensor *tensor)
{
    if (!tensor || tensor->weight || tensor->captured || !tensor->name[0] ||
        (tensor->dtype && tensor->dtype != DTYPE_FLOAT32))
        return;
    if (list->count == list->room) {
        size_t room = MAX(2 * list->room, 64);
        const char **names = mem_grow(list->names, room, sizeof *names);
        list->failed |= !names;
        if (!names)
            return;
        list->names = names;
        list->room = room;
    }
    list->names[list->count++] = tensor->name;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Names are interned: the same one has the same address. */
static size_t drop_doubles(const char **names, size_t count)
{
    size_t kept = 0;
    if (count)
        qsort(names, count, sizeof *names, by_text);
    for (size_t i = 0; i < count; i++)
        if (!kept || names[kept - 1] != names[i])
            names[kept++] = names[i];
    return kept;
}

const char **quant_plan_tensors(const struct graph *graph, size_t *out_count)
{
    struct names list = {0};
    size_t node_count = 0;
    struct onnx_node *const *nodes = graph_nodes((struct graph *)graph, &node_count);
    for (size_t i = 0; i < node_count; i++) {
        if (!kernel_of(nodes[i]))
            continue;
        for (size_t k = 0; k < nodes[i]->input_count; k++)
            add_name(&list, graph_input(graph, nodes[i], k));
        for (size_t k = 0; k < nodes[i]->output_count; k++)
            add_name(&list, graph_output(graph, nodes[i], k));
    }
    if (!list.names && !list.failed)
        list.names = mem_zalloc(1, sizeof *list.names);
    if (list.failed) {
        free(list.names);
        return NULL;
    }
    *out_count = drop_doubles(list.names, list.count);
    return list.names;
}

/* ---- making ---- */

int quant_plan_make(struct graph *graph, const struct observation *seen, const struct quant_options *options,
                    const struct quant_skip *skip, size_t skip_count, struct quant_plan *out, struct err *err)
{
    *out = (struct quant_plan){.options = *options};
    int (*plan)(struct graph *, const struct observation *, const struct quant_skip *, size_t,
                struct quant_plan *, struct err *) = options->profile == PROFILE_TRT ? plan_trt : plan_cpu;
    if (plan(graph, seen, skip, skip_count, out, err) == 0)
        return 0;
    quant_plan_fini(out);
    return -1;
}
