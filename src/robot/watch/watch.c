/* The loop. */
#include "robot/watch/watch.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "robot/board/board.h"
#include "robot/observe/observe.h"
#include "robot/watch/machine.h"
#include "robot/watch/seen_file.h"
#include "sys/file.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define MS_NS 1000000ll
enum {
    IDLE_MS = 500,
    SHORTEST_LOOK_MS = 2,
    LONGEST_LOOK_MS = 100,
    BOARD_MS = 1000,
    SEEN_MS = 1000,
    ASK_MS = 10000
};

struct watch {
    struct watch_options options;
    char keep_dir[400], store[400];
    int lock_fd, signal_fd;
    bool stop;
    struct observer observer;
    struct mailbox mailbox;
    struct core *core;
    struct board *board; /* NULL: it cannot be looked at */
    struct board_sample sample;
    struct machine machine;
    struct ring_verdict verdict;
    int64_t board_ms, ask_ms, seen_ms;
    struct seen_stamp seen_stamp;
    struct seen_list seen; /* scratch */
    double gap_ns;         /* between two verdicts, smoothed */
    int64_t verdict_ns;
    bool told_full;
};

/* ---- what the core wants from outside ---- */

static int load(const struct digest *release, struct subject_about *out, void *arg, struct err *err)
{
    const struct watch *w = arg;
    return catalog_load(&w->options.catalog, release, out, err);
}

/* The head is the robot program's word: everything that is used is checked on a copy. */
static bool frame_sound(const struct ring *frames, const struct ring_frame *head, uint64_t seq)
{
    bool is_values = head->format == RING_FLOAT32;
    uint32_t most = is_values ? RING_MAX_PIXEL_BYTES / sizeof(float) : RING_MAX_SIDE;
    uint64_t each = is_values ? sizeof(float) : 3;
    return head->seq == seq && head->format <= RING_FLOAT32 && head->width >= 1 && head->height >= 1 &&
           head->width <= most && head->height <= (is_values ? 1u : RING_MAX_SIDE) &&
           (uint64_t)head->width * head->height * each <= ring_pixel_capacity(frames);
}

static bool frame(uint64_t stream, uint64_t seq, struct core_frame *out, void *arg)
{
    const struct watch *w = arg;
    const struct ring *frames = &w->observer.frames;
    struct ring_frame head;
    if (stream == 0 || stream != w->observer.stream || !ring_read(frames, seq, &head, sizeof head))
        return false;
    const uint8_t *body = ring_peek(frames, seq);
    if (!body || !frame_sound(frames, &head, seq))
        return false;
    *out = (struct core_frame){.data = body + sizeof head,
                               .is_values = head.format == RING_FLOAT32,
                               .width = head.width,
                               .height = head.height,
                               .capture_ms = head.capture_ns / MS_NS};
    return true;
}

static bool still(uint64_t stream, uint64_t seq, void *arg)
{
    const struct watch *w = arg;
    return stream == w->observer.stream && ring_still(&w->observer.frames, seq);
}

static int put(enum mailbox_kind kind, const void *data, size_t len, void *arg)
{
    struct watch *w = arg;
    struct err err = {0};
    int done = mailbox_put(&w->mailbox, kind, data, len, &err);
    bool full = done < 1;
    if (full && !w->told_full)
        log_warn("nobody empties the mailbox: %s",
                 done < 0 ? err.text : "it is full; windows are added up meanwhile");
    w->told_full = full;
    return done == 1;
}

static void machine_window(int64_t start_ms, int64_t end_ms, struct otlp_points *out, void *arg)
{
    struct watch *w = arg;
    machine_points(&w->machine, start_ms, end_ms, out);
    machine_begin(&w->machine);
}

/* ---- what the guard says ---- */

static void on_notice(const struct ctl_message *message, void *arg)
{
    (void)message;
    (void)arg; /* verdicts say it all */
}

static void on_attached(uint64_t stream, void *arg)
{
    struct watch *w = arg;
    log_info("a robot program is attached: stream %llu", (unsigned long long)stream);
    w->gap_ns = 0;
    w->ask_ms = 0;
    core_stream(w->core, stream);
}

static void on_lost(void *arg)
{
    struct watch *w = arg;
    w->ask_ms = 0;
}

static void on_status(const struct ctl_status *status, void *arg)
{
    struct watch *w = arg;
    for (size_t i = 0; i < CTL_MAX_RUNNERS; i++) {
        char engine[sizeof status->runners[i].backend + 1] = {0};
        memcpy(engine, status->runners[i].backend, sizeof status->runners[i].backend);
        if (status->runners[i].generation)
            core_engine(w->core, &status->runners[i].release, engine);
    }
}

/* ---- setting up ---- */

static void lowest_priority(void)
{
    enum { WHO_PROCESS = 1, BEST_EFFORT_LOWEST = 2 << 13 | 7 };
    if (setpriority(PRIO_PROCESS, 0, 19) < 0 ||
        syscall(SYS_ioprio_set, WHO_PROCESS, 0, BEST_EFFORT_LOWEST) < 0)
        log_warn("priority: %s", strerror(errno));
}

static int open_signals(struct watch *w, struct err *err)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGUSR1, SIGUSR2};
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        sigaddset(&set, numbers[i]);
    signal(SIGPIPE, SIG_IGN);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return err_errno(err, "signals");
    w->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return w->signal_fd < 0 ? err_errno(err, "signals") : 0;
}

static int open_lock(struct watch *w, struct err *err)
{
    cleanup_free char *path = file_join(w->options.run_dir, "watch.lock");
    if (!path)
        return err_no_memory(err);
    if (file_lock(path, &w->lock_fd, err) < 0)
        return -1;
    char pid[16]; /* for who wants to tell us something */
    int len = snprintf(pid, sizeof pid, "%d", (int)getpid());
    if (ftruncate(w->lock_fd, 0) < 0 || pwrite(w->lock_fd, pid, (size_t)len, 0) != len)
        log_warn("%s: %s", path, strerror(errno));
    return 0;
}

static int open_core(struct watch *w, struct err *err)
{
    const struct core_outside outside = {
        .load = load, .frame = frame, .still = still, .put = put, .machine = machine_window, .arg = w};
    struct core_options *options = &w->options.core;
    if (snprintf(w->keep_dir, sizeof w->keep_dir, "%s/watch", w->options.state_dir) >=
            (int)sizeof w->keep_dir ||
        snprintf(w->store, sizeof w->store, "%s/store", w->options.state_dir) >= (int)sizeof w->store)
        return err_set(err, ERR_INVALID, "%.100s…: the path is too long", w->options.state_dir);
    if (w->options.catalog.count == 0)
        w->options.catalog = (struct catalog){.stores = {w->store}, .count = 1};
    options->keep_dir = w->keep_dir;
    if (getrandom(&options->choice.seed, sizeof options->choice.seed, 0) != sizeof options->choice.seed)
        options->choice.seed = (uint64_t)clock_mono_ns();
    return core_new(options, &outside, clock_mono_ms(), clock_wall_ms(), &w->core, err);
}

static void open_board(struct watch *w)
{
    struct err err = {0};
    if (board_open(w->options.board_root ? w->options.board_root : "", w->options.state_dir, &w->board,
                   &err) < 0)
        log_warn("the machine is not looked at: %s", err.text);
}

static int open_all(struct watch *w, struct err *err)
{
    const struct observer_events events = {
        .notice = on_notice, .attached = on_attached, .lost = on_lost, .status = on_status, .arg = w};
    w->lock_fd = w->signal_fd = -1;
    observer_init(&w->observer, w->options.run_dir, &events);
    lowest_priority();
    if (open_lock(w, err) < 0 || open_signals(w, err) < 0 ||
        mailbox_open(w->options.run_dir, &w->mailbox, err) < 0 || open_core(w, err) < 0)
        return -1;
    open_board(w);
    return 0;
}

static void close_all(struct watch *w)
{
    observer_fini(&w->observer);
    if (w->core)
        core_free(w->core);
    if (w->board)
        board_free(w->board);
    mem_cleanup_close(&w->signal_fd);
    mem_cleanup_close(&w->lock_fd);
}

/* ---- turning ---- */

static void take_signals(struct watch *w)
{
    struct signalfd_siginfo info;
    while (read(w->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGUSR1)
            core_ask(w->core);
        else if (info.ssi_signo == SIGUSR2)
            core_acknowledge(w->core);
        else
            w->stop = true;
    }
}

static void take_verdicts(struct watch *w)
{
    unsigned taken = 0;
    uint64_t missed = 0;
    int64_t now_ns = clock_mono_ns(), wall_ms = clock_wall_ms();
    for (; taken < RING_MAX_SLOTS && observer_verdict(&w->observer, &w->verdict, &missed); taken++) {
        core_missed(w->core, missed);
        core_verdict(w->core, &w->verdict, now_ns / MS_NS, wall_ms);
    }
    if (taken == 0)
        return;
    double gap_ns = (double)(now_ns - w->verdict_ns) / taken;
    w->gap_ns = w->gap_ns > 0 ? w->gap_ns + (gap_ns - w->gap_ns) / 4 : gap_ns;
    w->verdict_ns = now_ns;
}

static void look_at_board(struct watch *w, int64_t now_ms)
{
    if (!w->board || now_ms < w->board_ms)
        return;
    w->board_ms = now_ms + BOARD_MS;
    board_sample(w->board, now_ms, &w->sample);
    machine_add(&w->machine, &w->sample);
}

static void look_at_seen(struct watch *w, int64_t now_ms)
{
    struct err err = {0};
    if (now_ms < w->seen_ms)
        return;
    w->seen_ms = now_ms + SEEN_MS;
    int news = seen_file_look(w->options.run_dir, &w->seen_stamp, &w->seen, &err);
    if (news < 0)
        log_warn("what was acknowledged at the fleet: %s", err.text);
    else if (news)
        core_seen(w->core, &w->seen);
}

/* A run directory that was removed has no robot any more. */
static bool orphaned(const struct watch *w)
{
    struct stat st;
    return w->observer.fd < 0 && fstat(w->lock_fd, &st) == 0 && st.st_nlink == 0;
}

static void turn(struct watch *w)
{
    if (orphaned(w)) {
        log_warn("%s is gone", w->options.run_dir);
        w->stop = true;
    }
    observer_pump(&w->observer, clock_mono_ns());
    take_signals(w);
    take_verdicts(w);
    int64_t now_ms = clock_mono_ms();
    look_at_board(w, now_ms);
    look_at_seen(w, now_ms);
    if (now_ms >= w->ask_ms) {
        w->ask_ms = now_ms + ASK_MS;
        observer_ask(&w->observer);
    }
    core_tick(w->core, now_ms, clock_wall_ms());
}

/* Verdicts wait in a ring of a few slots: looked at before half of them are overwritten. */
static int64_t look_ms(const struct watch *w)
{
    if (w->observer.stream == 0)
        return IDLE_MS;
    double half_full_ns = w->gap_ns * w->observer.verdicts.slot_count / 2;
    return (int64_t)MIN(MAX(half_full_ns / MS_NS, (double)SHORTEST_LOOK_MS), (double)LONGEST_LOOK_MS);
}

static void await(const struct watch *w)
{
    struct pollfd fds[] = {{.fd = w->observer.fd, .events = POLLIN}, {.fd = w->signal_fd, .events = POLLIN}};
    int64_t now_ms = clock_mono_ms(), until_ms = MIN(now_ms + look_ms(w), core_due_ms(w->core));
    if (w->board)
        until_ms = MIN(until_ms, w->board_ms);
    poll(fds, ARRAY_LEN(fds), (int)MAX(until_ms - now_ms, (int64_t)0));
}

int watch_run(const struct watch_options *options, struct err *err)
{
    struct watch *w = mem_zalloc(1, sizeof *w);
    if (!w)
        return err_no_memory(err);
    w->options = *options;
    int done = open_all(w, err);
    if (done == 0)
        log_info("watching; what is learned is kept in %s", w->keep_dir);
    while (done == 0 && !w->stop) {
        turn(w);
        await(w);
    }
    if (done == 0)
        core_end(w->core, clock_mono_ms(), clock_wall_ms());
    close_all(w);
    free(w);
    return done;
}

int watch_signal(const char *run_dir, int signal_number, struct err *err)
{
    uint64_t pid = 0;
    struct err locked = {0};
    cleanup_close int fd = -1;
    cleanup_buf struct buf text = BUF_INIT(32);
    cleanup_free char *path = file_join(run_dir, "watch.lock");
    if (!path)
        return err_no_memory(err);
    if (!file_exists(path) || file_lock(path, &fd, &locked) == 0 || locked.code != ERR_BUSY)
        return err_set(err, ERR_UNREACHABLE, "no muster-watch runs in %s; the agent starts it", run_dir);
    if (file_read(path, &text, err) < 0)
        return -1;
    if (!str_to_u64(buf_text(&text), &pid) || pid <= 1 || pid > INT32_MAX)
        return err_set(err, ERR_CORRUPT, "%s: holds no process number", path);
    return kill((pid_t)pid, signal_number) < 0 ? err_errno(err, "process %ju", (uintmax_t)pid) : 0;
}
