/* deps: robot/decide robot/ring robot/ctl stats base */
/* Hostile packets on the guard's socket and hostile shared memory: the first byte chooses.
 *   0  the rest is a packet                    ctl_recv must refuse it or give one that passed ctl_check
 *   1  the rest is the start of a sealed region  ring_attach must refuse it or reads must stay inside
 *   2  the rest overwrites bell and slots of a good results region, as its writer could at any time; what is
 * read from it goes through the guard's judgement, which must not pass a detection that breaks its limits */
#include "base/mem.h"
#include "robot/ctl/ctl.h"
#include "robot/decide/guard_check.h"
#include "robot/ring/ring.h"

#include <fcntl.h>
#include <math.h>
#include <sys/mman.h>
#include <sys/socket.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_packet(const uint8_t *data, size_t size)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
        return;
    union ctl_packet packet;
    cleanup_ctl_fds struct ctl_fds fds;
    struct err err = {0};
    ctl_fds_init(&fds);
    if (send(pair[0], data, size, MSG_NOSIGNAL) >= 0 && ctl_recv(pair[1], &packet, &fds, &err) == 1 &&
        (packet.message.kind < CTL_HELLO || packet.message.kind >= CTL_KIND_END ||
         strlen(packet.message.text) >= 160))
        abort();
    close(pair[0]);
    close(pair[1]);
}

static void read_everything(const struct ring *ring)
{
    static union {
        struct ring_frame frame;
        struct ring_result result;
        struct ring_verdict verdict;
        struct ring_control control;
    } copy;
    const size_t len[] = {[RING_FRAMES] = sizeof copy.frame,
                          [RING_RESULTS] = sizeof copy.result,
                          [RING_VERDICTS] = sizeof copy.verdict,
                          [RING_CONTROL] = sizeof copy.control};
    uint64_t newest = ring_newest(ring);
    for (uint64_t back = 0; back < RING_MAX_SLOTS; back++)
        (void)ring_read(ring, newest - back, &copy, len[ring->kind]);
    for (uint64_t seq = 0; seq < RING_MAX_SLOTS; seq++)
        (void)ring_read(ring, seq, &copy, len[ring->kind]);
}

static void fuzz_region(const uint8_t *data, size_t size)
{
    if (size < 2)
        return;
    enum ring_kind kind = (enum ring_kind)(1 + data[0] % 4);
    size_t bytes = 4096 + (size_t)data[1] * 64;
    data += 2;
    size -= 2;
    int fd = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0 || ftruncate(fd, (off_t)bytes) < 0 || pwrite(fd, data, MIN(size, bytes), 0) < 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) < 0)
        abort();
    struct ring ring;
    struct err err = {0};
    if (ring_attach(&ring, fd, kind, &err) < 0)
        return;
    read_everything(&ring);
    ring_fini(&ring);
}

static void check_values(const struct ring_result *claim, const struct ctl_limits *limits)
{
    if (claim->count != limits->value_count)
        abort();
    for (uint32_t i = 0; i < claim->count; i++)
        if (!(claim->values[i] >= limits->value_min && claim->values[i] <= limits->value_max))
            abort();
}

static void judge(const struct ring_result *claim)
{
    const bool values = claim->kind == RING_VALUES;
    const struct ctl_limits limits = {.max_detections = 8,
                                      .label_count = 3,
                                      .min_score = 0.1f,
                                      .value_count = values ? 5 : 0,
                                      .value_min = -1,
                                      .value_max = 2};
    struct guard_frame frame = {.seq = claim->seq,
                                .stream = claim->stream,
                                .generation = claim->generation,
                                .deadline_ns = 10,
                                .width = 100,
                                .height = 50};
    struct guard_result result = {.seq = claim->seq,
                                  .stream = claim->stream,
                                  .generation = claim->generation,
                                  .count = claim->count,
                                  .room = values ? RING_MAX_VALUES : RING_MAX_DETECTIONS,
                                  .is_values = values,
                                  .detections = claim->detections,
                                  .values = claim->values};
    if (guard_check_result(&result, &frame, &limits, 5, &(struct frame_cause){0}) != INTERVENTION_COUNT)
        return;
    if (values) {
        check_values(claim, &limits);
        return;
    }
    if (claim->count > 8)
        abort();
    for (uint32_t i = 0; i < claim->count; i++) {
        const struct detection *d = &claim->detections[i];
        if (!(d->x0 >= -2 && d->x1 <= 102 && d->y0 >= -2 && d->y1 <= 52 && d->x0 <= d->x1 && d->y0 <= d->y1 &&
              d->score >= 0.1f && d->score <= 1 && d->label < 3))
            abort();
    }
}

static void fuzz_results(const uint8_t *data, size_t size)
{
    static struct ring writer, reader;
    static struct ring_result copy;
    struct err err = {0};
    if (!writer.base && (ring_create(&writer, RING_RESULTS, 2, 0, &err) < 0 ||
                         ring_attach(&reader, dup(writer.fd), RING_RESULTS, &err) < 0))
        abort();
    size_t bell = MIN(size, 16), rest = MIN(size - bell, writer.bytes - 4096);
    memset(writer.base + 128, 0, writer.bytes - 128);
    memcpy(writer.base + 128, data, bell);
    memcpy(writer.base + 4096, data + bell, rest);
    uint64_t newest = ring_newest(&reader);
    for (uint64_t back = 0; back < 4; back++)
        if (ring_read(&reader, newest - back, &copy, sizeof copy))
            judge(&copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const modes[])(const uint8_t *, size_t) = {fuzz_packet, fuzz_region, fuzz_results};
    if (size < 1)
        return 0;
    modes[data[0] % ARRAY_LEN(modes)](data + 1, size - 1);
    return 0;
}
