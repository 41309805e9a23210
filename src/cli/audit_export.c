/* muster audit verify --export DIR: checkpoint, tile/L/N and tile/entries/N as C2SP tlog-tiles names them. The checkpoint comes last: a
 * directory with one is whole. */
#include "cli/audit_log.h"

#include "sys/file.h"
#include "trust/merkle/tile.h"
#include "trust/merkle/tree.h"

#include <string.h>

static const size_t BUNDLE_MAX = (size_t)MERKLE_TILE_WIDTH * (MERKLE_ENTRY_MAX + 2);

struct row { /* the tile of a level that is being filled */
    uint64_t index;
    unsigned width;
    struct digest hashes[MERKLE_TILE_WIDTH];
};

struct audit_export {
    char *dir;
    struct merkle_tree tree;
    struct row rows[MERKLE_LEVELS];
    struct buf bundle;
};

int audit_export_open(const char *dir, struct audit_export **out, struct err *err)
{
    struct audit_export *export = mem_zalloc(1, sizeof *export);
    if (!export || !(export->dir = mem_strdup(dir))) {
        free(export);
        return err_no_memory(err);
    }
    export->bundle = (struct buf)BUF_INIT(BUNDLE_MAX);
    *out = export;
    return file_make_dirs(dir, 0755, err);
}

void audit_export_free(struct audit_export *export)
{
    if (!export)
        return;
    free(export->dir);
    buf_fini(&export->bundle);
    free(export);
}

static int write_file(const struct audit_export *export, const char *name, const void *data, size_t len,
                      struct err *err)
{
    cleanup_free char *path = file_join(export->dir, name);
    if (!path)
        return err_no_memory(err);
    char *slash = strrchr(path, '/');
    *slash = 0;
    if (file_make_dirs(path, 0755, err) < 0)
        return -1;
    *slash = '/';
    return file_replace(path, data, len, 0644, err);
}

static int write_tile(const struct audit_export *export, const struct merkle_tile *tile, const void *data,
                      size_t len, struct err *err)
{
    char path[MERKLE_TILE_PATH_SIZE], name[MERKLE_TILE_PATH_SIZE + 8];
    merkle_tile_format(tile, path);
    snprintf(name, sizeof name, "tile/%s", path);
    return write_file(export, name, data, len, err);
}

static int flush_row(struct audit_export *export, unsigned level, struct err *err)
{
    struct row *row = &export->rows[level];
    struct merkle_tile tile = {.level = level, .index = row->index, .width = row->width};
    if (row->width == 0)
        return 0;
    if (write_tile(export, &tile, row->hashes, row->width * sizeof row->hashes[0], err) < 0)
        return -1;
    if (level == 0) {
        tile.entries = true;
        if (write_tile(export, &tile, export->bundle.data, export->bundle.len, err) < 0)
            return -1;
        buf_reset(&export->bundle);
    }
    row->index++;
    row->width = 0;
    return 0;
}

static int put_hash(unsigned level, uint64_t index, const struct digest *hash, void *arg, struct err *err)
{
    struct audit_export *export = arg;
    struct row *row = &export->rows[level];
    row->hashes[row->width++] = *hash;
    (void)index;
    return row->width == MERKLE_TILE_WIDTH ? flush_row(export, level, err) : 0;
}

int audit_export_entry(struct audit_export *export, const struct audit_record *record, struct err *err)
{
    uint8_t len[2] = {(uint8_t)(record->len >> 8), (uint8_t)record->len};
    if (record->len > MERKLE_ENTRY_MAX)
        return err_set(err, ERR_TOO_BIG, "entry %llu is too long for a static log",
                       (unsigned long long)record->seq);
    if (buf_put(&export->bundle, len, sizeof len, err) < 0 ||
        buf_put(&export->bundle, record->entry, record->len, err) < 0 ||
        put_hash(0, record->seq - 1, &record->hash, export, err) < 0)
        return -1;
    return merkle_append(&export->tree, &record->hash, put_hash, export, err);
}

int audit_export_end(struct audit_export *export, const char *checkpoint, struct err *err)
{
    for (unsigned level = 0; level < MERKLE_LEVELS; level++)
        if (flush_row(export, level, err) < 0)
            return -1;
    return write_file(export, "checkpoint", checkpoint, strlen(checkpoint), err);
}
