/* deps: trust/merkle trust sys wire base */
#include "base/mem.h"
#include "base/str.h"
#include "trust/merkle/tile.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A tile has one path: what parses is written the same. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char again[MERKLE_TILE_PATH_SIZE];
    struct merkle_tile tile;
    cleanup_free char *path = mem_strndup((const char *)data, size);
    if (!path || !merkle_tile_parse(path, &tile))
        return 0;
    if (tile.width < 1 || tile.width > 256 || tile.level > 7)
        abort();
    merkle_tile_format(&tile, again);
    if (!str_eq(again, path))
        abort();
    return 0;
}
