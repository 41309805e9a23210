/* Which records go. */
#include "robot/forward/thin.h"

#include <stdlib.h>

static int add(struct thin *thin, const struct segment_entry *entry, struct err *err)
{
    if (thin->count == thin->room) {
        size_t room = thin->room ? 2 * thin->room : 256;
        struct thin_entry *more = mem_grow(thin->entries, room, sizeof *more);
        if (!more)
            return err_no_memory(err);
        thin->entries = more;
        thin->room = room;
    }
    thin->entries[thin->count++] = (struct thin_entry){.entry = *entry};
    return 0;
}

int thin_load(struct thin *thin, const char *path, struct err *err)
{
    struct file_map *map = &thin->maps[thin->map_count];
    if (file_map(path, map, err) < 0)
        return -1;
    thin->map_count++;
    struct segment_entry entry;
    for (uint64_t offset = SEGMENT_HEADER; segment_get_record(map->data, map->size, offset, &entry);
         offset += entry.size)
        if (add(thin, &entry, err) < 0)
            return -1;
    return 0;
}

void thin_fini(struct thin *thin)
{
    for (size_t i = 0; i < thin->map_count; i++)
        file_unmap(&thin->maps[i]);
    free(thin->entries);
}

size_t thin_pair(struct thin *thin, uint64_t offered, bool any_level)
{
    size_t open[256], pairs = 0; /* per kind: the one that waits for a partner, +1 */
    for (size_t i = 0; i < 256; i++)
        open[i] = 0;
    for (size_t i = 0; i < thin->count; i++) {
        const struct forward_record *record = &thin->entries[i].entry.record;
        size_t older = open[record->kind];
        if (record->seq <= offered)
            continue;
        bool fits = older && (any_level || thin->entries[older - 1].entry.record.level == record->level);
        if (!fits) {
            open[record->kind] = i + 1;
            continue;
        }
        thin->entries[older - 1].fate = THIN_GOES;
        thin->entries[i].older = older - 1;
        thin->entries[i].fate = THIN_TAKES_IN;
        open[record->kind] = 0;
        pairs++;
    }
    return pairs;
}
