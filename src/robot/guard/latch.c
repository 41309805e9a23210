#include "robot/guard/latch.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "robot/ctl/ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

enum { MAGIC = 0x48434c4d, VERSION = 1 };

static const char file_name[] = "guard.latch", new_name[] = "guard.latch.new";

_Static_assert(sizeof(struct latch_record) == 192, "no padding: it is the file");

static uint64_t checksum(const struct latch_record *record)
{
    const uint8_t *byte = (const uint8_t *)record;
    uint64_t hash = 0xcbf29ce484222325;
    for (size_t i = 0; i < offsetof(struct latch_record, checksum); i++)
        hash = (hash ^ byte[i]) * 0x100000001b3;
    return hash;
}

bool latch_parse(const void *bytes, size_t len, struct latch_record *out)
{
    if (len != sizeof *out)
        return false;
    memcpy(out, bytes, sizeof *out);
    return out->magic == MAGIC && out->version == VERSION && out->checksum == checksum(out) &&
           out->state < GUARD_STATE_COUNT && memchr(out->who, 0, sizeof out->who) &&
           memchr(out->reason, 0, sizeof out->reason);
}

/* Numbers of leases have to grow: without the old one, the clock's milliseconds are more than anybody ever counted. */
static struct latch_record damaged(const char *what, const char *why)
{
    struct latch_record record = {.state = GUARD_SAFE_STOP, .lease = (uint64_t)MAX(clock_wall_ms(), 1)};
    str_copy(record.who, sizeof record.who, "guard");
    snprintf(record.reason, sizeof record.reason, "%s: %s; reset and restart to go on", what, why);
    return record;
}

static struct latch_record read_file(struct latch *latch)
{
    struct latch_record record, more[2];
    latch->file_fd = openat(latch->dir_fd, file_name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (latch->file_fd < 0 && errno == ENOENT)
        return (struct latch_record){0};
    ssize_t len = latch->file_fd < 0 ? -1 : pread(latch->file_fd, more, sizeof more, 0);
    if (len < 0)
        return damaged(file_name, strerror(errno));
    if (!latch_parse(more, (size_t)len, &record))
        return damaged(file_name, "damaged");
    latch->kept = true;
    return latch->record = record;
}

struct latch_record latch_open(struct latch *latch, const char *dir)
{
    *latch = (struct latch){.dir_fd = -1, .file_fd = -1};
    if (!dir)
        return (struct latch_record){0};
    if (mkdir(dir, 0700) == 0 || errno == EEXIST)
        latch->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (latch->dir_fd < 0) {
        struct latch_record record = damaged("state directory", strerror(errno));
        latch->dir_fd = -2; /* there should be one: nothing can be kept, so nothing latched is left */
        return record;
    }
    return read_file(latch);
}

void latch_close(struct latch *latch)
{
    mem_cleanup_close(&latch->dir_fd);
    mem_cleanup_close(&latch->file_fd);
}

static int replace(struct latch *latch, const struct latch_record *record)
{
    cleanup_close int fd =
        openat(latch->dir_fd, new_name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 || pwrite(fd, record, sizeof *record, 0) != (ssize_t)sizeof *record || fsync(fd) < 0 ||
        renameat(latch->dir_fd, new_name, latch->dir_fd, file_name) < 0)
        return -1;
    mem_cleanup_close(&latch->file_fd);
    latch->file_fd = TAKE_FD(fd);
    return fsync(latch->dir_fd);
}

static int overwrite(const struct latch *latch, const struct latch_record *record)
{
    bool whole = pwrite(latch->file_fd, record, sizeof *record, 0) == (ssize_t)sizeof *record;
    return whole && fsync(latch->file_fd) == 0 ? 0 : -1;
}

int latch_keep(struct latch *latch, const struct latch_record *record, struct err *err)
{
    struct latch_record next = *record;
    next.magic = MAGIC;
    next.version = VERSION;
    next.checksum = checksum(&next);
    if (latch->dir_fd == -1 || (latch->kept && memcmp(&next, &latch->record, sizeof next) == 0))
        return 0;
    latch->kept = false;
    if (replace(latch, &next) < 0 && overwrite(latch, &next) < 0)
        return err_errno(err, "%s cannot be written", file_name);
    latch->record = next;
    latch->kept = true;
    return 0;
}
