#include "robot/watch/keep.h"

#include "base/mem.h"
#include "base/str.h"
#include "sys/file.h"
#include "sys/hash.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { HEAD = 48, OLD_HEAD = 32, SUM = 8, FILES_MAX = 1024 };

static const char magic[8] = "MWATCH2", old_magic[8] = "MWATCH1";

static char *path_of(const char *dir, const struct digest *release, const char *suffix)
{
    struct digest_text text = digest_format(release);
    return mem_printf("%s/%s%s", dir, digest_hex(&text), suffix);
}

static void put_u32(uint8_t *at, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> 8 * i);
}

static uint32_t get_u32(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

int keep_save(const char *dir, const struct digest *release, const struct kept *kept, struct err *err)
{
    size_t len = HEAD + kept->len + SUM;
    cleanup_free char *path = path_of(dir, release, ".drift");
    cleanup_free uint8_t *bytes = mem_zalloc(1, len);
    if (!path || !bytes)
        return err_no_memory(err);
    memcpy(bytes, magic, sizeof magic);
    put_u32(bytes + 8, kept->options.block_frames);
    put_u32(bytes + 12, kept->options.contexts);
    put_u32(bytes + 16, kept->options.burn_in);
    put_u32(bytes + 20, (uint32_t)kept->len);
    memcpy(bytes + 24, &kept->options.arl_blocks, sizeof kept->options.arl_blocks);
    memcpy(bytes + 32, &kept->told_ms, sizeof kept->told_ms);
    put_u32(bytes + 40, (uint32_t)kept->told);
    memcpy(bytes + HEAD, kept->state, kept->len);
    struct digest sum = hash_bytes(bytes, HEAD + kept->len);
    memcpy(bytes + HEAD + kept->len, sum.bytes, SUM);
    return file_replace(path, bytes, len, 0600, err);
}

/* 0: it is none of ours. */
static size_t head_of(const struct buf *bytes)
{
    size_t head = 0;
    if (bytes->len >= HEAD + SUM && memcmp(bytes->data, magic, sizeof magic) == 0)
        head = HEAD;
    else if (bytes->len >= OLD_HEAD + SUM && memcmp(bytes->data, old_magic, sizeof old_magic) == 0)
        head = OLD_HEAD;
    return head;
}

static int parse_told(const uint8_t *bytes, struct kept *out, struct err *err)
{
    uint32_t told = get_u32(bytes + 40);
    memcpy(&out->told_ms, bytes + 32, sizeof out->told_ms);
    if (out->told_ms < 0 || told >= DRIFT_CAUSES)
        return err_set(err, ERR_CORRUPT, "says that it told cause %u", told);
    out->told = (enum drift_cause)told;
    return 0;
}

static int parse(const struct buf *bytes, struct kept *out, struct err *err)
{
    size_t head = head_of(bytes);
    if (head == 0)
        return err_set(err, ERR_CORRUPT, "not a file of what was learned");
    size_t len = get_u32(bytes->data + 20);
    if (len > DRIFT_STATE_MAX || bytes->len != head + len + SUM)
        return err_set(err, ERR_CORRUPT, "%zu bytes, and says %zu", bytes->len, head + len + SUM);
    struct digest sum = hash_bytes(bytes->data, head + len);
    if (memcmp(sum.bytes, bytes->data + head + len, SUM) != 0)
        return err_set(err, ERR_CORRUPT, "its checksum does not hold");
    out->told_ms = 0;
    out->told = DRIFT_NONE;
    if (head == HEAD && parse_told(bytes->data, out, err) < 0)
        return -1;
    out->options = (struct drift_options){.block_frames = get_u32(bytes->data + 8),
                                          .contexts = get_u32(bytes->data + 12),
                                          .burn_in = get_u32(bytes->data + 16)};
    memcpy(&out->options.arl_blocks, bytes->data + 24, sizeof out->options.arl_blocks);
    out->len = len;
    memcpy(out->state, bytes->data + head, len);
    return 0;
}

int keep_load(const char *dir, const struct digest *release, struct kept *out, struct err *err)
{
    cleanup_free char *path = path_of(dir, release, ".drift");
    cleanup_buf struct buf bytes = BUF_INIT(HEAD + DRIFT_STATE_MAX + SUM);
    if (!path)
        return err_no_memory(err);
    if (file_read(path, &bytes, err) < 0)
        return err->code == ERR_TOO_BIG ? err_set(err, ERR_CORRUPT, "%s: too long", path) : -1;
    return parse(&bytes, out, err) < 0 ? err_prefix(err, "%s", path) : 0;
}

void keep_set_aside(const char *dir, const struct digest *release)
{
    struct err ignored = {0};
    cleanup_free char *from = path_of(dir, release, ".drift");
    cleanup_free char *to = path_of(dir, release, ".drift.damaged");
    if (from && to && file_rename(from, to, &ignored) < 0)
        return; /* it is overwritten by the next save */
}

struct old_file {
    char name[96];
    int64_t saved_ms;
};

struct old_files {
    const char *dir;
    size_t count;
    struct old_file *files; /* FILES_MAX */
};

static int note_file(const char *name, void *arg)
{
    struct old_files *all = arg;
    struct stat st;
    if (strstr(name, FILE_TEMP_MARK) == NULL && !str_ends(name, ".drift") && !str_ends(name, ".damaged"))
        return 0;
    cleanup_free char *path = file_join(all->dir, name);
    if (!path || lstat(path, &st) < 0 || all->count == FILES_MAX)
        return 0;
    struct old_file *file = &all->files[all->count];
    if (!str_copy(file->name, sizeof file->name, name))
        return 0;
    file->saved_ms = strstr(name, FILE_TEMP_MARK) ? INT64_MIN : (int64_t)st.st_mtim.tv_sec * 1000;
    all->count++;
    return 0;
}

static int newest_first(const void *a, const void *b)
{
    const struct old_file *left = a, *right = b;
    return left->saved_ms > right->saved_ms ? -1 : left->saved_ms < right->saved_ms;
}

int keep_open(const char *dir, struct err *err)
{
    cleanup_free struct old_file *files = mem_zalloc(FILES_MAX, sizeof *files);
    struct old_files all = {.dir = dir, .files = files};
    if (!files)
        return err_no_memory(err);
    if (file_make_dirs(dir, 0700, err) < 0 || file_list(dir, note_file, &all, err) < 0)
        return -1;
    qsort(files, all.count, sizeof files[0], newest_first);
    for (size_t i = 0; i < all.count; i++) {
        cleanup_free char *path = file_join(dir, files[i].name);
        if (path && (i >= KEEP_FILES || files[i].saved_ms == INT64_MIN))
            unlink(path);
    }
    return 0;
}
