/* Runners: light ones, that do to themselves what they are told, and puppets, that say what they are told. */
#include "base/clock.h"
#include "base/log.h"
#include "bench/faults.h"
#include "robot/runner/runner.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>

/* ---- light ---- */

static void linger(struct stage *stage, enum act act)
{
    while (atomic_load(&stage->act) == (int)act)
        if (act == ACT_WAIT)
            nap_us(50);
        else
            ring_relax();
}

/* Until the kernel has none left for it and kills it. */
_Noreturn static void eat(void)
{
    const size_t bite = 1 << 20;
    for (;;) {
        char *more = mmap(NULL, bite, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (more == MAP_FAILED)
            abort();
        for (size_t i = 0; i < bite; i += 4096)
            ((volatile char *)more)[i] = 1;
    }
}

static int starve(struct err *err)
{
    struct rlimit limit;
    getrlimit(RLIMIT_AS, &limit);
    setrlimit(RLIMIT_AS, &(struct rlimit){.rlim_cur = 1 << 20, .rlim_max = limit.rlim_max});
    void *more = mmap(NULL, 64 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    setrlimit(RLIMIT_AS, &limit);
    return more == MAP_FAILED ? err_no_memory(err) : 0;
}

static int act(struct stage *stage, enum act act, struct err *err)
{
    switch (act) {
    case ACT_WELL:
        return 0;
    case ACT_WAIT:
    case ACT_LOOP:
        linger(stage, act);
        return 0;
    case ACT_SLOW:
        nap_us(atomic_load(&stage->slow_ns) / 1000);
        return 0;
    case ACT_FAIL:
        return err_set(err, ERR_INTERNAL, "told to fail");
    case ACT_STARVE:
        return starve(err);
    case ACT_EAT:
        eat();
    case ACT_SEGV:
    case ACT_ABORT:
    case ACT_EXIT:
        atomic_store(&stage->struck_ns, clock_mono_ns());
        if (act != ACT_EXIT)
            raise(act == ACT_SEGV ? SIGSEGV : SIGABRT);
        _exit(0);
    }
    return 0;
}

static int run(void *self, const struct runner_frame *frame, struct ring_result *out, struct err *err)
{
    struct stage *stage = self;
    atomic_store(&stage->in_hand, frame->seq);
    if (act(stage, (enum act)atomic_load(&stage->act), err) < 0)
        return -1;
    out->detections[0] =
        (struct detection){.x1 = SIDE, .y1 = SIDE, .score = 0.5f, .label = frame->payload[0] % 3u};
    out->count = 1;
    out->run_ns = 1000;
    return 0;
}

bool runner_start(struct world *world, uint64_t generation, struct sight *seen)
{
    struct stage *stage = &world->stage[generation];
    atomic_store(&stage->act, ACT_WELL);
    atomic_store(&stage->in_hand, 0);
    pid_t pid = child_start(world);
    if (pid == 0) {
        const struct runner_engine engine = {.self = stage, .run = run};
        struct runner_options options = {
            .run_dir = world->run_dir, .generation = generation, .release = {{0xfa, 0x17}}};
        struct err err = {0};
        memcpy(options.release.bytes + 8, &generation, sizeof generation);
        log_init("light-runner");
        _exit(runner_serve(&options, &engine, &err) < 0);
    }
    world->runner[generation] = pid;
    return expect(seen, pid > 0, "fork failed");
}

void runner_act(struct world *world, uint64_t generation, enum act act)
{
    atomic_store(&world->stage[generation].in_hand, 0);
    atomic_store(&world->stage[generation].act, (int)act);
}

bool runner_has(struct world *world, uint64_t generation, uint64_t seq, struct sight *seen)
{
    int64_t until_ms = clock_mono_ms() + PATIENCE_MS;
    while (atomic_load(&world->stage[generation].in_hand) < seq) {
        if (!expect(seen, clock_mono_ms() < until_ms, "the runner does not begin frame %llu",
                    (unsigned long long)seq))
            return false;
        nap_us(20);
    }
    return true;
}

/* ---- puppets ---- */

bool puppet_open(struct world *world, struct puppet *puppet, uint64_t generation, struct sight *seen)
{
    struct ctl_message hello;
    union ctl_packet packet;
    struct err err = {0};
    puppet_close(puppet);
    ctl_message_init(&hello, CTL_HELLO);
    hello.role = CTL_ROLE_RUNNER;
    hello.generation = generation;
    hello.release = (struct digest){{0xfa, 0x17}};
    memcpy(hello.release.bytes + 8, &generation, sizeof generation);
    if (ring_create(&puppet->results, RING_RESULTS, 2 * RING_SLOTS, 0, &err) < 0 ||
        ctl_dial(world->run_dir, &puppet->sock, &err) < 0)
        return expect(seen, false, "puppet: %s", err.text);
    struct ctl_fds fds = {.fd = {puppet->results.fd, -1}}, got;
    if (ctl_send(puppet->sock, &hello, &fds, &err) < 0 ||
        ctl_await(puppet->sock, &packet, &got, PATIENCE_MS, &err) < 0)
        return expect(seen, false, "puppet: %s", err.text);
    if (!expect(seen, packet.message.kind == CTL_WELCOME, "puppet: %s", packet.message.text)) {
        ctl_fds_close(&got);
        return false;
    }
    puppet->bell_fd = got.fd[1];
    return expect(seen, ring_attach(&puppet->control, got.fd[0], RING_CONTROL, &err) == 0, "puppet: %s",
                  err.text);
}

void puppet_close(struct puppet *puppet)
{
    mem_cleanup_close(&puppet->sock);
    mem_cleanup_close(&puppet->bell_fd);
    ring_fini(&puppet->results);
    ring_fini(&puppet->control);
    *puppet = (struct puppet){.sock = -1, .bell_fd = -1};
}

/* The number of the stream is on its control page as soon as it is to work. */
bool puppet_meet(struct puppet *puppet, struct sight *seen)
{
    struct ring_control page = {0};
    union ctl_packet packet;
    struct err err = {0};
    for (;;) { /* nothing in its socket is of interest: the page is */
        cleanup_ctl_fds struct ctl_fds fds;
        if (ctl_recv(puppet->sock, &packet, &fds, &err) <= 0)
            break;
    }
    int64_t until_ms = clock_mono_ms() + PATIENCE_MS;
    while (!ring_read(&puppet->control, ring_newest(&puppet->control), &page, sizeof page) ||
           page.mode == RING_MODE_IDLE) {
        if (!expect(seen, clock_mono_ms() < until_ms, "the puppet is not told to work"))
            return false;
        nap_us(50);
    }
    puppet->stream = page.stream;
    return true;
}

struct ring_result puppet_result(const struct puppet *puppet, uint64_t seq)
{
    return (struct ring_result){
        .seq = seq,
        .stream = puppet->stream,
        .generation = PUPPET,
        .run_ns = 1000,
        .count = 2,
        .detections = {{.x1 = 10, .y1 = 10, .score = 0.5f, .label = 1},
                       {.x0 = 5, .y0 = 5, .x1 = 30, .y1 = 16, .score = 0.75f, .label = 2}},
    };
}

void puppet_put(struct puppet *puppet, const struct ring_result *result)
{
    (void)ring_put(&puppet->results, ++puppet->count, result, sizeof *result);
}

void puppet_ring(struct puppet *puppet)
{
    uint8_t one = 1;
    ssize_t ignored = write(puppet->bell_fd, &one, sizeof one);
    (void)ignored;
}

void puppet_say(struct puppet *puppet, const struct ring_result *result)
{
    puppet_put(puppet, result);
    puppet_ring(puppet);
}
