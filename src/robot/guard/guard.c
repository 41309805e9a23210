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
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

enum { BUSY_TICK_MS = 10, IDLE_TICK_MS = 100, IDLE_AFTER_MS = 500, EVENTS = 16 };

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

/* By way of the open directory: a socket's own path may hold 107 characters only. */
static int listen_in(struct guard *guard, int dir, struct err *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/guard.sock", dir);
    unlinkat(dir, "guard.sock", 0); /* we hold the lock: whoever made it is gone */
    guard->listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (guard->listen_fd < 0)
        return err_errno(err, "socket");
    if (bind(guard->listen_fd, (const struct sockaddr *)&address, sizeof address) < 0 ||
        fchmodat(dir, "guard.sock", 0600, 0) < 0 || listen(guard->listen_fd, 16) < 0)
        return err_errno(err, "guard.sock");
    return guard_watch(guard, guard->listen_fd, EPOLLIN, GUARD_FROM_LISTEN, 0, err);
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
    if (guard->epoll_fd < 0 || guard->signal_fd < 0)
        return err_errno(err, "event loop");
    return guard_watch(guard, guard->signal_fd, EPOLLIN, GUARD_FROM_SIGNAL, 0, err);
}

static void become_realtime(void)
{
    struct sched_param param = {.sched_priority = 10};
    /* ONFAULT: locks what is used, does not pull whole libraries in. */
    if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) < 0)
        log_info("memory is not locked: %s", strerror(errno));
    if (sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &param) < 0)
        log_info("no real-time priority: %s", strerror(errno));
}

static void set_start(struct guard *guard, const struct guard_options *options)
{
    *guard = (struct guard){.options = *options,
                            .lock_fd = -1,
                            .listen_fd = -1,
                            .epoll_fd = -1,
                            .signal_fd = -1,
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
    if (mkdir(path, 0700) < 0 && errno != EEXIST)
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
    if (options->realtime)
        become_realtime();
    guard_event(guard, GUARD_EV_STARTED, clock_mono_ns());
    *out = guard;
    return 0;
}

/* Bells may be lost with their runner's goodwill: the tick looks by itself. */
static void tick(struct guard *guard, int64_t now_ns)
{
    guard_frames_scan(guard, now_ns);
    for (int i = 0; i < CTL_MAX_RUNNERS; i++)
        guard_results_drain(guard, &guard->runners[i], now_ns);
    guard_frames_expire(guard, now_ns);
    guard_peers_tick(guard, now_ns);
    bool busy = guard->stream.peer && now_ns - guard->stream.last_frame_ns < (int64_t)IDLE_AFTER_MS * 1000000;
    guard->next_tick_ns = now_ns + (int64_t)(busy ? BUSY_TICK_MS : IDLE_TICK_MS) * 1000000;
}

/* After the results, not before: the program is waiting. Bounded: a runner that floods its pipe is not served
 * first. */
static void silence_bell(const struct guard_runner *runner)
{
    char rings[4096];
    ssize_t ignored = runner->bell_fd >= 0 ? read(runner->bell_fd, rings, sizeof rings) : 0;
    (void)ignored;
}

static void dispatch(struct guard *guard, uint64_t data, int64_t now_ns)
{
    size_t index = (size_t)(data & 0xffffffff);
    switch ((enum guard_source)(data >> 32)) {
    case GUARD_FROM_LISTEN:
        guard_accept(guard, now_ns);
        break;
    case GUARD_FROM_SIGNAL:
        guard->stop = true;
        break;
    case GUARD_FROM_PEER:
        if (guard->peers[index].used)
            guard_peer_ready(guard, &guard->peers[index], now_ns);
        break;
    case GUARD_FROM_BELL:
        guard_results_drain(guard, &guard->runners[index], now_ns);
        silence_bell(&guard->runners[index]);
        break;
    }
}

static int wait_ms(const struct guard *guard, int64_t now_ns)
{
    int64_t until_ns = MIN(guard->next_tick_ns, guard_next_deadline_ns(guard));
    return until_ns <= now_ns ? 0 : (int)((until_ns - now_ns + 999999) / 1000000);
}

int guard_run(struct guard *guard, struct err *err)
{
    struct epoll_event events[EVENTS];
    while (!guard->stop) {
        int count = epoll_wait(guard->epoll_fd, events, EVENTS, wait_ms(guard, clock_mono_ns()));
        if (count < 0 && errno != EINTR)
            return err_errno(err, "epoll_wait");
        int64_t now_ns = clock_mono_ns();
        for (int i = 0; i < count; i++)
            dispatch(guard, events[i].data.u64, now_ns);
        if (now_ns >= guard->next_tick_ns)
            tick(guard, now_ns);
        else if (count <= 0)
            guard_frames_expire(guard, now_ns);
    }
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
}
