/* Making, sealing and checking the memory of a ring. */
#include "robot/ring/region.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>

enum { SEALS = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL };

static const struct {
    const char *name;
    size_t body_bytes; /* without pixels */
} kinds[RING_KIND_END] = {
    [RING_FRAMES] = {"muster-frames", sizeof(struct ring_frame)},
    [RING_RESULTS] = {"muster-results", sizeof(struct ring_result)},
    [RING_VERDICTS] = {"muster-verdicts", sizeof(struct ring_verdict)},
    [RING_CONTROL] = {"muster-control", sizeof(struct ring_control)},
};

static bool slots_ok(uint32_t slots)
{
    return slots >= 2 && slots <= RING_MAX_SLOTS && (slots & (slots - 1)) == 0;
}

static bool body_ok(enum ring_kind kind, uint64_t body_bytes)
{
    uint64_t fixed = kinds[kind].body_bytes;
    if (kind != RING_FRAMES)
        return body_bytes == fixed;
    return body_bytes > fixed && body_bytes - fixed <= RING_MAX_PIXEL_BYTES;
}

static uint64_t stride_of(uint64_t body_bytes)
{
    return (REGION_SLOT_HEAD + body_bytes + 63) / 64 * 64;
}

/* Fills in everything that follows from kind, slots and body size. */
static void set_geometry(struct ring *ring, enum ring_kind kind, uint32_t slots, uint64_t body_bytes)
{
    ring->kind = kind;
    ring->slot_count = slots;
    ring->body_bytes = body_bytes;
    ring->stride = stride_of(body_bytes);
    ring->bytes = REGION_SLOTS + ring->stride * slots;
}

static int map_writable(struct ring *ring, struct err *err)
{
    if (ftruncate(ring->fd, (off_t)ring->bytes) < 0)
        return err_errno(err, "shared memory of %zu bytes", ring->bytes);
    void *base = mmap(NULL, ring->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd, 0);
    if (base == MAP_FAILED)
        return err_errno(err, "mapping %zu bytes of shared memory", ring->bytes);
    ring->base = base;
    memset(base, 0, ring->bytes);
    return 0;
}

static void write_head(struct ring *ring)
{
    struct region_head head = {
        .magic = REGION_MAGIC,
        .version = REGION_VERSION,
        .kind = ring->kind,
        .slot_count = ring->slot_count,
        .body_bytes = ring->body_bytes,
        .stride = ring->stride,
    };
    memcpy(ring->base, &head, sizeof head);
}

static int create(struct ring *ring, struct err *err)
{
    ring->fd = memfd_create(kinds[ring->kind].name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (ring->fd < 0)
        return err_errno(err, "memfd_create");
    if (map_writable(ring, err) < 0)
        return -1;
    write_head(ring);
    if (fcntl(ring->fd, F_ADD_SEALS, SEALS) < 0)
        return err_errno(err, "sealing shared memory (Linux 5.1 or newer is needed)");
    return 0;
}

int ring_create(struct ring *ring, enum ring_kind kind, uint32_t slots, size_t pixel_bytes, struct err *err)
{
    *ring = (struct ring){.fd = -1, .writer = true};
    uint64_t body = kinds[kind].body_bytes + (pixel_bytes + 7) / 8 * 8;
    if (!slots_ok(slots) || !body_ok(kind, body))
        return err_set(err, ERR_INVALID, "a ring of %u slots with %zu pixel bytes is not possible", slots,
                       pixel_bytes);
    set_geometry(ring, kind, slots, body);
    if (create(ring, err) < 0) {
        ring_fini(ring);
        return -1;
    }
    return 0;
}

bool ring_sealed(int fd)
{
    struct statfs fs;
    int seals = fcntl(fd, F_GET_SEALS);
    /* Not hugetlbfs: touching a page of it can fail. */
    return seals != -1 && (seals & SEALS) == SEALS && fstatfs(fd, &fs) == 0 && fs.f_type == TMPFS_MAGIC;
}

static int check_head(struct ring *ring, const struct region_head *head, enum ring_kind kind, uint64_t size,
                      struct err *err)
{
    if (head->magic != REGION_MAGIC || head->version != REGION_VERSION || head->kind != kind)
        return err_set(err, ERR_UNTRUSTED, "shared memory is not a %s region of version %d", kinds[kind].name,
                       REGION_VERSION);
    if (!slots_ok(head->slot_count) || !body_ok(kind, head->body_bytes))
        return err_set(err, ERR_UNTRUSTED, "%s: %u slots of %llu bytes are out of range", kinds[kind].name,
                       head->slot_count, (unsigned long long)head->body_bytes);
    set_geometry(ring, kind, head->slot_count, head->body_bytes);
    if (head->stride != ring->stride || size != ring->bytes)
        return err_set(err, ERR_UNTRUSTED, "%s: its numbers do not fit its size", kinds[kind].name);
    return 0;
}

static int attach(struct ring *ring, enum ring_kind kind, struct err *err)
{
    struct stat st;
    if (!ring_sealed(ring->fd) || fstat(ring->fd, &st) < 0)
        return err_set(err, ERR_UNTRUSTED, "shared memory is not sealed against others");
    struct region_head head;
    if (pread(ring->fd, &head, sizeof head, 0) != (ssize_t)sizeof head)
        return err_set(err, ERR_UNTRUSTED, "shared memory is too small");
    if (check_head(ring, &head, kind, (uint64_t)st.st_size, err) < 0)
        return -1;
    void *base = mmap(NULL, ring->bytes, PROT_READ, MAP_SHARED, ring->fd, 0);
    if (base == MAP_FAILED)
        return err_errno(err, "mapping %zu bytes of shared memory", ring->bytes);
    ring->base = base;
    return 0;
}

int ring_attach(struct ring *ring, int fd, enum ring_kind kind, struct err *err)
{
    *ring = (struct ring){.fd = fd};
    if (attach(ring, kind, err) < 0) {
        ring_fini(ring);
        return -1;
    }
    return 0;
}

void ring_fini(struct ring *ring)
{
    if (ring->base)
        munmap(ring->base, ring->bytes);
    if (ring->base || ring->bytes || ring->fd > 0)
        mem_cleanup_close(&ring->fd);
    *ring = (struct ring){.fd = -1};
}

size_t ring_pixel_capacity(const struct ring *ring)
{
    return ring->kind == RING_FRAMES ? ring->body_bytes - sizeof(struct ring_frame) : 0;
}
