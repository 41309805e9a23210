#include "base/clock.h"
#include "base/mem.h"
#include "bench/swap.h"
#include "muster/muster.h"
#include "robot/link/link.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>

struct swap_log *swap_log_new(void)
{
    void *log = mmap(NULL, sizeof(struct swap_log), PROT_READ | PROT_WRITE,
                     MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return log == MAP_FAILED ? NULL : log;
}

static void sleep_until(int64_t ns)
{
    struct timespec until = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

/* A picture with something in it, and different every time. */
static void paint(uint8_t *rgb, uint64_t n)
{
    for (size_t i = 0; i < SWAP_WIDTH * SWAP_HEIGHT * 3; i++)
        rgb[i] = (uint8_t)((i * 31 + n * 17) ^ (i >> 7));
}

/* Somewhere in the time that the frame before took, a different place each time. */
static bool kill_in_the_middle(struct swap_log *log, int64_t submitted_ns, uint64_t n)
{
    int64_t took_ns = n > 0 ? log->frames[n - 1].latency_ns : 0;
    int victim = atomic_exchange(&log->victim, 0);
    if (victim <= 0)
        return false;
    sleep_until(submitted_ns + (int64_t)(n * 7919 % 16) * took_ns / 20);
    kill(victim, SIGKILL);
    return true;
}

static uint32_t look(const struct muster *robot, const struct muster_verdict *verdict, uint64_t seq,
                     uint64_t newest_generation, int64_t last_decided_ns)
{
    uint32_t flags = verdict->answer == MUSTER_SAFE ? SWAP_LOST : 0;
    if (verdict->answer == MUSTER_FALLBACK)
        flags |= SWAP_FALLBACK;
    if (verdict->answer == MUSTER_SAFE &&
        (verdict->reason == MUSTER_REASON_DEADLINE || verdict->reason == MUSTER_REASON_STALE))
        flags |= SWAP_LATE;
    if (verdict->decided_ns == 0)
        return flags | SWAP_NOT_ASKED;
    const struct ring_verdict *raw = link_last_verdict(robot);
    bool older = verdict->answer == MUSTER_OK && verdict->generation < newest_generation;
    if (verdict->seq != seq || raw->seq != seq || older || verdict->decided_ns < last_decided_ns)
        flags |= SWAP_MIXED_UP;
    return flags;
}

static void one_frame(struct swap_log *log, struct muster *robot, struct swap_frame *frame, uint64_t n)
{
    static uint64_t newest_generation;
    static int64_t last_decided_ns;
    struct muster_verdict verdict;
    paint(muster_frame_begin(robot), n);
    frame->submitted_ns = clock_mono_ns();
    uint64_t seq = muster_frame_submit(robot, frame->submitted_ns, SWAP_DEADLINE_US);
    uint32_t killed = kill_in_the_middle(log, frame->submitted_ns, n) ? SWAP_KILLED : 0;
    muster_verdict_wait(robot, seq, &verdict);
    frame->latency_ns = (uint32_t)(clock_mono_ns() - frame->submitted_ns);
    frame->generation = verdict.generation;
    frame->flags = killed | look(robot, &verdict, seq,
                                 atomic_load(&log->order_unchecked) ? 0 : newest_generation, last_decided_ns);
    if (verdict.answer == MUSTER_SAFE)
        fprintf(stderr, "bench-swap: frame %llu: safe (%s) after %.1f ms, generation %llu\n",
                (unsigned long long)seq, muster_reason_name(verdict.reason), frame->latency_ns / 1e6,
                (unsigned long long)verdict.generation);
    if (verdict.answer == MUSTER_OK)
        newest_generation = MAX(newest_generation, verdict.generation);
    last_decided_ns = MAX(last_decided_ns, verdict.decided_ns);
}

static int play(struct swap_log *log, const char *run_dir, unsigned fps)
{
    struct muster_options options = {.run_dir = run_dir, .width = SWAP_WIDTH, .height = SWAP_HEIGHT};
    char why[MUSTER_TEXT_SIZE];
    struct muster *robot;
    if (muster_open(&options, &robot, why) != 0) {
        fprintf(stderr, "bench-swap, robot: %s\n", why);
        return 1;
    }
    int64_t next_ns = clock_mono_ns();
    for (uint64_t n = 0; n < SWAP_MAX_FRAMES && !atomic_load(&log->stop); n++) {
        one_frame(log, robot, &log->frames[n], n);
        atomic_store(&log->count, n + 1);
        next_ns = MAX(next_ns + 1000000000 / (int64_t)fps, clock_mono_ns());
        sleep_until(next_ns);
    }
    muster_close(robot);
    return 0;
}

int swap_robot_start(struct swap_log *log, const char *run_dir, unsigned fps, pid_t *out_pid, struct err *err)
{
    fflush(NULL);
    *out_pid = fork();
    if (*out_pid < 0)
        return err_errno(err, "fork");
    if (*out_pid > 0)
        return 0;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    _exit(play(log, run_dir, fps));
}
