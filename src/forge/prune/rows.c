#include "forge/prune/prune_inside.h"

#include <stdlib.h>

int rows_of(const struct pruner *pruner, const struct part *part, const struct consumer *consumer,
            struct rows *out, struct err *err)
{
    const struct channels *in =
        couple_channels(pruner->couple, graph_tensor(pruner->graph, consumer->input)->name);
    size_t channels = part->group->count, numbers = couple_numbers(pruner->couple);
    *out = (struct rows){.channel_count = channels,
                         .rows = mem_zalloc(consumer->n, sizeof(size_t)),
                         .first = mem_zalloc(channels, sizeof(size_t)),
                         .size = mem_zalloc(channels, sizeof(size_t))};
    cleanup_free bool *mine = mem_zalloc(numbers, sizeof *mine);
    if (!out->rows || !out->first || !out->size || !mine)
        return err_no_memory(err);
    for (size_t c = 0; c < channels; c++) {
        size_t number = part->group->numbers[c];
        mine[number] = true;
        out->first[c] = out->count;
        for (size_t i = 0; i < in->count && !pruner->gone[number]; i++)
            for (size_t k = 0; couple_number(pruner->couple, in, i) == number && k < consumer->kernel; k++)
                out->rows[out->count++] = i * consumer->kernel + k;
        out->size[c] = out->count - out->first[c];
    }
    for (size_t i = 0; i < in->count; i++) {
        size_t number = couple_number(pruner->couple, in, i);
        for (size_t k = 0; !mine[number] && !pruner->gone[number] && k < consumer->kernel; k++)
            out->rows[out->count++] = i * consumer->kernel + k;
    }
    return 0;
}

void rows_fini(struct rows *rows)
{
    free(rows->rows);
    free(rows->first);
    free(rows->size);
    *rows = (struct rows){0};
}
