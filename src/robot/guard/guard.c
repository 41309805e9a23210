/* Set-up, the loop, and the tick. */
#include "robot/guard/guard.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "robot/guard/state.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>

enum { TICK_NS = 100000000, EVENTS = 16 };
enum { MADV_POPULATE_READ_ = 22 }; /* Linux 5.14, unknown to older headers */
enum { SPIN_NS = 50000, SPIN_AFTER_NS = 500000000, STACK_BYTES = 96 << 10 };

static struct guard the_guard;

int guard_watch(struct guard *guard, int fd, uint32_t events, enum guard_source source, size_t index,
                struct err *err)
{
    struct epoll_event event = {.events = events, .data.u64 = (uint64_t)source << 32 | index};
    if (epoll_ctl(guard->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
        return err_errno(err, "epoll");
    return 0;
}

static int take_lock(struct guard *guard, int dir, struct err *err)
{
    guard->lock_fd = openat(dir, "guard.lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (guard->lock_fd < 0)
        return err_errno(err, "guard.lock");
    if (flock(guard->lock_fd, LOCK_EX | LOCK_NB) < 0)
        return err_set(err, ERR_BUSY, "another guard runs here");
    char pid[16];
    int len = snprintf(pid, sizeof pid, "%d\n", (int)getpid());
    if (ftruncate(guard->lock_fd, 0) < 0 || pwrite(guard->lock_fd, pid, (size_t)len, 0) != len)
        return err_errno(err, "guard.lock");
    return 0;
}

/* By way of the open directory: a socket's own path may hold 107 characters only. Where runners have users of their own
 * anybody may knock, because only the kernel's word on who does (SO_PEERCRED) tells them apart: several users cannot own one
 * socket, and a group would let in more than these. Others are shown the door before their first packet is read. */
static int listen_in(struct guard *guard, int dir, struct err *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/guard.sock", dir);
    unlinkat(dir, "guard.sock", 0); /* we hold the lock: whoever made it is gone */
    guard->listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (guard->listen_fd < 0)
        return err_errno(err, "socket");
    if (bind(guard->listen_fd, (const struct sockaddr *)&address, sizeof address) < 0 ||
        fchmodat(dir, "guard.sock", guard->options.runner_user_count ? 0666 : 0600, 0) < 0 ||
        listen(guard->listen_fd, 16) < 0)
        return err_errno(err, "guard.sock");
    return guard_watch(guard, guard->listen_fd, EPOLLIN | EPOLLET, GUARD_BY_LISTEN, 0, err);
}

static int open_loop(struct guard *guard, struct err *err)
{
    sigset_t stop;
    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    sigaddset(&stop, SIGINT);
    sigprocmask(SIG_BLOCK, &stop, NULL);
    guard->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    guard->signal_fd = signalfd(-1, &stop, SFD_CLOEXEC | SFD_NONBLOCK);
    guard->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (guard->epoll_fd < 0 || guard->signal_fd < 0 || guard->spare_fd < 0)
        return err_errno(err, "event loop");
    return guard_watch(guard, guard->signal_fd, EPOLLIN, GUARD_BY_SIGNAL, 0, err);
}

extern const char __executable_start[], end[]; /* the linker's */

/* Every page that will be needed is touched now: the stack, our memory, our code. */
static void touch_everything(struct guard *guard)
{
    volatile char stack[STACK_BYTES];
    for (size_t i = 0; i < sizeof stack; i += 1024)
        stack[i] = 0;
    for (size_t i = 0; i < sizeof *guard; i += 1024)
        ((volatile char *)guard)[i] = ((volatile char *)guard)[i];
    if (madvise((void *)((uintptr_t)__executable_start & -(uintptr_t)getpagesize()),
                (size_t)(end - __executable_start), MADV_POPULATE_READ_) < 0)
        log_debug("code is not touched ahead: %s", strerror(errno));
}

static void become_realtime(const struct guard *guard)
{
    struct sched_param param = {.sched_priority = 10};
    /* ONFAULT: locks what is used, does not pull whole libraries and camera frames in. */
    if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) < 0)
        log_info("memory is not locked: %s", strerror(errno));
    /* Who looks all the time has to leave the core to others: not with SCHED_FIFO. */
    if (!guard->options.spin && sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &param) < 0)
        log_info("no real-time priority: %s", strerror(errno));
}

static void set_start(struct guard *guard, const struct guard_options *options)
{
    *guard = (struct guard){.options = *options,
                            .lock_fd = -1,
                            .listen_fd = -1,
                            .epoll_fd = -1,
                            .signal_fd = -1,
                            .spare_fd = -1,
                            .latch = {.dir_fd = -1, .file_fd = -1},
                            .state = GUARD_INIT};
    if (guard->options.hang_frames == 0)
        guard->options.hang_frames = GUARD_HANG_FRAMES;
    if (guard->options.hang_ms == 0)
        guard->options.hang_ms = GUARD_HANG_MS;
    if (getrandom(&guard->epoch, sizeof guard->epoch, 0) != (ssize_t)sizeof guard->epoch)
        guard->epoch = (uint64_t)clock_mono_ns();
    guard->epoch = guard->epoch >> 1 | 1; /* never 0, and room for the numbers of streams */
    guard->started_ns = clock_mono_ns();
    guard->stream.frames.fd = guard->stream.verdicts.fd = -1;
}

static int open_all(struct guard *guard, struct err *err)
{
    const char *path = guard->options.run_dir;
    if (mkdir(path, guard->options.runner_user_count ? 0711 : 0700) < 0 && errno != EEXIST)
        return err_errno(err, "run directory %s", path);
    cleanup_close int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return err_errno(err, "run directory %s", path);
    if (take_lock(guard, dir, err) < 0 || open_loop(guard, err) < 0 || listen_in(guard, dir, err) < 0)
        return err_prefix(err, "run directory %s", path);
    return 0;
}

int guard_open(const struct guard_options *options, struct guard **out, struct err *err)
{
    struct guard *guard = &the_guard;
    log_never_wait();
    set_start(guard, options);
    if (open_all(guard, err) < 0) {
        guard_close(guard);
        return -1;
    }
    guard_restore(guard);
    if (options->realtime)
        become_realtime(guard);
    prctl(PR_SET_TIMERSLACK, 1);
    touch_everything(guard);
    guard_event(guard, GUARD_EV_STARTED, clock_mono_ns());
    guard_keep(guard); /* the file is there from the start: a full disk cannot hinder a stop */
    *out = guard;
    return 0;
}

/* Bells may be lost with their runner's or robot program's goodwill: the tick looks by itself. */
static void tick(struct guard *guard, int64_t now_ns)
{
    guard->next_tick_ns = now_ns + TICK_NS;
    guard_frames_scan(guard, now_ns);
    for (int i = 0; i < CTL_MAX_RUNNERS; i++)
        guard_results_drain(guard, &guard->runners[i], now_ns);
    guard_frames_expire(guard, now_ns);
    guard_peers_tick(guard, now_ns);
    guard_accept(guard, now_ns); /* who could not be taken before */
    guard_activate_due(guard, false, now_ns);
    guard_keep(guard); /* what could not be written before */
}

/* Silenced after the results are taken, not before: the program is waiting. Bounded: a runner that floods its pipe is not
 * served first. */
static void bell_rang(struct guard *guard, struct guard_runner *runner, int64_t now_ns)
{
    char rings[4096];
    guard_results_drain(guard, runner, now_ns);
    ssize_t ignored = read(runner->bell_fd, rings, sizeof rings);
    (void)ignored;
    guard_results_drain(guard, runner, now_ns); /* one that rang meanwhile is silenced too */
}

static void dispatch(struct guard *guard, uint64_t data, int64_t now_ns)
{
    size_t index = (size_t)(data & 0xffffffff);
    enum guard_source source = (enum guard_source)(data >> 32);
    if (source == GUARD_BY_LISTEN)
        guard_accept(guard, now_ns);
    else if (source == GUARD_BY_SIGNAL)
        guard->stop = true;
    else if (source == GUARD_BY_PEER)
        guard_peer_ready(guard, &guard->peers[index], now_ns);
    else if (source == GUARD_BY_DEATH)
        guard_peer_died(guard, &guard->peers[index], now_ns);
    else
        bell_rang(guard, &guard->runners[index], now_ns);
}

static int64_t next_wake_ns(struct guard *guard)
{
    int64_t until_ns = MIN(guard->next_tick_ns, guard_next_deadline_ns(guard));
    return guard->oversight.held ? MIN(until_ns, guard->oversight.until_ns) : until_ns;
}

/* To the nanosecond where the kernel can (Linux 5.11), else late by up to a millisecond. */
static int await_events(const struct guard *guard, struct epoll_event *events, int64_t for_ns)
{
    struct timespec wait = {.tv_nsec = for_ns}; /* never a second: there is the tick */
    int count = (int)syscall(SYS_epoll_pwait2, guard->epoll_fd, events, EVENTS, &wait, NULL, 0);
    if (count < 0 && errno == ENOSYS)
        count = epoll_wait(guard->epoll_fd, events, EVENTS, (int)((for_ns + 999999) / 1000000));
    return count;
}

/* Until there was a result. */
static void look_out(struct guard *guard, int64_t until_ns)
{
    do {
        for (int i = 0; i < CTL_MAX_RUNNERS; i++) {
            struct guard_runner *runner = &guard->runners[i];
            if (runner->peer && ring_newest(&runner->results) >= runner->next_result) {
                guard_results_drain(guard, runner, clock_mono_ns());
                return;
            }
        }
        guard_frames_scan(guard, clock_mono_ns());
        ring_relax();
        sched_yield();
    } while (clock_mono_ns() < until_ns);
}

/* How long to sleep now; in between results are looked out for, where that is wanted. */
static int64_t sleep_ns(struct guard *guard)
{
    int64_t now_ns = clock_mono_ns(), until_ns = next_wake_ns(guard);
    bool frames = guard->stream.peer && now_ns - guard->stream.last_frame_ns < SPIN_AFTER_NS;
    if (!guard->options.spin || !frames)
        return MAX(until_ns - now_ns, 0);
    look_out(guard, MIN(until_ns, now_ns + SPIN_NS));
    return 0;
}

int guard_turn(struct guard *guard, struct err *err)
{
    struct epoll_event events[EVENTS];
    int count = await_events(guard, events, sleep_ns(guard));
    if (count < 0 && errno != EINTR)
        return err_errno(err, "epoll_wait");
    int64_t now_ns = clock_mono_ns();
    for (int i = 0; i < count; i++)
        dispatch(guard, events[i].data.u64, now_ns);
    if (now_ns >= guard_next_deadline_ns(guard))
        guard_frames_expire(guard, now_ns);
    guard_humans_tick(guard, now_ns);
    if (now_ns >= guard->next_tick_ns)
        tick(guard, now_ns);
    return 0;
}

int guard_run(struct guard *guard, struct err *err)
{
    while (!guard->stop)
        if (guard_turn(guard, err) < 0)
            return -1;
    return 0;
}

void guard_close(struct guard *guard)
{
    for (int i = 0; i < GUARD_MAX_PEERS; i++) {
        if (!guard->peers[i].used)
            continue;
        mem_cleanup_close(&guard->peers[i].fd);
        mem_cleanup_close(&guard->peers[i].pid_fd);
    }
    for (int i = 0; i < CTL_MAX_RUNNERS; i++)
        if (guard->runners[i].peer)
            guard_runner_disconnect(guard, &guard->runners[i]);
    ring_fini(&guard->stream.frames);
    ring_fini(&guard->stream.verdicts);
    mem_cleanup_close(&guard->listen_fd);
    mem_cleanup_close(&guard->signal_fd);
    mem_cleanup_close(&guard->epoll_fd);
    mem_cleanup_close(&guard->lock_fd);
    mem_cleanup_close(&guard->spare_fd);
    latch_close(&guard->latch);
}
