/* Entries: the sequence lock, and the bell. */
#include "robot/ring/ring.h"
#include "robot/ring/region.h"

#include <assert.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct region_bell *bell_of(const struct ring *ring)
{
    return (struct region_bell *)(void *)(ring->base + REGION_BELL);
}

static uint8_t *slot_of(const struct ring *ring, uint64_t seq)
{
    return ring->base + REGION_SLOTS + (seq & (ring->slot_count - 1)) * ring->stride;
}

static _Atomic uint64_t *version_of(const struct ring *ring, uint64_t seq)
{
    return (_Atomic uint64_t *)(void *)slot_of(ring, seq);
}

/* 2 seq must not wrap. */
static bool seq_ok(uint64_t seq)
{
    return seq != 0 && seq <= UINT64_MAX / 4;
}

void *ring_begin(struct ring *ring, uint64_t seq)
{
    assert(ring->writer);
    _Atomic uint64_t *version = version_of(ring, seq);
    if (!seq_ok(seq) || atomic_load_explicit(version, memory_order_relaxed) >= 2 * seq)
        return NULL;
    atomic_store_explicit(version, 2 * seq - 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release); /* the mark is visible before the first byte changes */
    return slot_of(ring, seq) + REGION_SLOT_HEAD;
}

void ring_publish(struct ring *ring, uint64_t seq)
{
    struct region_bell *bell = bell_of(ring);
    atomic_store_explicit(version_of(ring, seq), 2 * seq, memory_order_release);
    if (seq > atomic_load_explicit(&bell->newest, memory_order_relaxed))
        atomic_store_explicit(&bell->newest, seq, memory_order_release);
    atomic_fetch_add_explicit(&bell->bell, 1, memory_order_release);
}

bool ring_put(struct ring *ring, uint64_t seq, const void *body, size_t len)
{
    assert(len % 8 == 0 && len <= ring->body_bytes);
    _Atomic uint64_t *to = ring_begin(ring, seq);
    if (!to)
        return false;
    const uint8_t *from = body;
    for (size_t i = 0; i < len / 8; i++) {
        uint64_t word;
        memcpy(&word, from + 8 * i, 8);
        atomic_store_explicit(&to[i], word, memory_order_relaxed);
    }
    ring_publish(ring, seq);
    return true;
}

void ring_wake(struct ring *ring)
{
    syscall(SYS_futex, &bell_of(ring)->bell, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

uint64_t ring_newest(const struct ring *ring)
{
    return atomic_load_explicit(&bell_of(ring)->newest, memory_order_acquire);
}

const void *ring_peek(const struct ring *ring, uint64_t seq)
{
    if (!seq_ok(seq) || atomic_load_explicit(version_of(ring, seq), memory_order_acquire) != 2 * seq)
        return NULL;
    return slot_of(ring, seq) + REGION_SLOT_HEAD;
}

bool ring_still(const struct ring *ring, uint64_t seq)
{
    atomic_thread_fence(memory_order_acquire); /* what was read in place was read before this look */
    return atomic_load_explicit(version_of(ring, seq), memory_order_relaxed) == 2 * seq;
}

const uint8_t *ring_slot(const struct ring *ring, uint32_t slot)
{
    return slot_of(ring, slot) + REGION_SLOT_HEAD;
}

bool ring_read(const struct ring *ring, uint64_t seq, void *out, size_t len)
{
    assert(len % 8 == 0 && len <= ring->body_bytes);
    const _Atomic uint64_t *from = ring_peek(ring, seq);
    if (!from)
        return false;
    uint8_t *to = out;
    for (size_t i = 0; i < len / 8; i++) {
        uint64_t word = atomic_load_explicit(&from[i], memory_order_relaxed);
        memcpy(to + 8 * i, &word, 8);
    }
    return ring_still(ring, seq);
}

void ring_ask(struct ring *ring, uint32_t after_us)
{
    atomic_store_explicit(&bell_of(ring)->asked, after_us + 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst);
}

uint32_t ring_asked(const struct ring *ring)
{
    atomic_thread_fence(memory_order_seq_cst);
    return atomic_load_explicit(&bell_of(ring)->asked, memory_order_relaxed) - 1;
}

uint32_t ring_bell(const struct ring *ring)
{
    return atomic_load_explicit(&bell_of(ring)->bell, memory_order_acquire);
}

void ring_relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}
