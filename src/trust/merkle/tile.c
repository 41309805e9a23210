#include "trust/merkle/tile.h"

#include "base/mem.h"
#include "base/str.h"
#include "trust/merkle/tree.h"

#include <string.h>

static bool is_digits(const char *text, size_t count)
{
    return strspn(text, "0123456789") >= count;
}

/* "x001/x234/067"; *rest is what follows. */
static bool parse_index(const char *text, uint64_t *out, const char **rest)
{
    uint64_t index = 0;
    bool more = true;
    for (int group = 0; more; group++) {
        more = *text == 'x';
        text += more;
        if (group == 7 || !is_digits(text, 3))
            return false;
        unsigned value =
            (unsigned)(text[0] - '0') * 100 + (unsigned)(text[1] - '0') * 10 + (unsigned)(text[2] - '0');
        if (group == 0 && more && value == 0)
            return false; /* a leading group of zeros is another spelling */
        if (index > ((uint64_t)INT64_MAX - value) / 1000)
            return false;
        index = index * 1000 + value;
        text += 3;
        if (more && *text++ != '/')
            return false;
    }
    *out = index;
    *rest = text;
    return true;
}

static bool parse_width(const char *text, unsigned *out)
{
    uint64_t width = MERKLE_TILE_WIDTH;
    if (*text && (!str_starts(text, ".p/") || text[3] == '0' || strlen(text) > 6 ||
                  !str_to_u64(text + 3, &width) || width >= MERKLE_TILE_WIDTH))
        return false;
    *out = (unsigned)width;
    return width > 0;
}

bool merkle_tile_parse(const char *path, struct merkle_tile *out)
{
    struct merkle_tile tile = {.entries = str_starts(path, "entries/")};
    const char *rest;
    if (!tile.entries && (path[0] < '0' || path[0] >= '0' + MERKLE_LEVELS || path[1] != '/'))
        return false;
    tile.level = tile.entries ? 0 : (unsigned)(path[0] - '0');
    if (!parse_index(path + (tile.entries ? strlen("entries/") : 2), &tile.index, &rest) ||
        !parse_width(rest, &tile.width))
        return false;
    *out = tile;
    return true;
}

void merkle_tile_format(const struct merkle_tile *tile, char out[MERKLE_TILE_PATH_SIZE])
{
    char level[12], index[40] = "", part[8] = "";
    unsigned groups[7] = {0};
    int count = 0;
    uint64_t left = tile->index;
    do {
        groups[count++] = (unsigned)(left % 1000);
        left /= 1000;
    } while (left && count < 7);
    for (size_t len = 0; count-- > 0; len = strlen(index))
        snprintf(index + len, sizeof index - len, count ? "x%03u/" : "%03u", groups[count]);
    snprintf(level, sizeof level, "%u", tile->level);
    if (tile->width < MERKLE_TILE_WIDTH)
        snprintf(part, sizeof part, ".p/%u", tile->width % 1000);
    snprintf(out, MERKLE_TILE_PATH_SIZE, "%s/%s%s", tile->entries ? "entries" : level, index, part);
}

unsigned merkle_tile_width(unsigned level, uint64_t index, uint64_t size)
{
    uint64_t hashes = level < MERKLE_LEVELS ? size >> (level * MERKLE_TILE_HEIGHT) : 0;
    if (index > hashes / MERKLE_TILE_WIDTH)
        return 0;
    return (unsigned)MIN(hashes - index * MERKLE_TILE_WIDTH, (uint64_t)MERKLE_TILE_WIDTH);
}
