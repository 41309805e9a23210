/* Paths of a log that is published as static files (C2SP tlog-tiles), below the log's prefix:
 *
 *     checkpoint                        the newest signed size and root (checkpoint.h)
 *     tile/L/N[.p/W]                    hashes of level L: 256 * N … , 32 bytes each; W of them (1 … 255) where the tile is not full yet
 *     tile/entries/N[.p/W]              entries 256 * N …: for each its length, two bytes with the high one first, and its bytes
 *
 * N is written in groups of three digits, all but the last with an x: 1234067 is "x001/x234/067". */
#ifndef MUSTER_TRUST_MERKLE_TILE_H
#define MUSTER_TRUST_MERKLE_TILE_H

#include <stdbool.h>
#include <stdint.h>

enum { MERKLE_TILE_PATH_SIZE = 64, MERKLE_ENTRY_MAX = 65535 };

struct merkle_tile {
    bool entries;
    unsigned level; /* 0 … 7; of entries 0 */
    uint64_t index;
    unsigned width; /* 1 … 256 */
};

/* Behind "tile/": "0/x001/234.p/17", "entries/000". Only the one spelling of each tile. */
bool merkle_tile_parse(const char *path, struct merkle_tile *out);
void merkle_tile_format(const struct merkle_tile *tile, char out[MERKLE_TILE_PATH_SIZE]);

/* How many hashes the tile has in a log of `size` entries; 0: it does not exist. */
unsigned merkle_tile_width(unsigned level, uint64_t index, uint64_t size);

#endif
