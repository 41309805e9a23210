/* Options, memory, sockets. */
#include "robot/recorder/inside.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "robot/recorder/knob.h"
#include "robot/recorder/shelf.h"
#include "sys/file.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>

enum { SCRATCH_BYTES = 2 << 20, QUIET_MS = 60000, WINDOW_MS = 10000, BOOST = 5 };
enum { SLACK_AFTER_MS = 100 }; /* the last entry lies a look before the end */

void recorder_defaults(struct recorder *r, const struct recorder_options *given)
{
    struct recorder_options o = *given;
    o.memory_mib = o.memory_mib ? o.memory_mib : 32;
    o.before_ms = o.before_ms ? o.before_ms : 15000;
    o.after_ms = o.after_ms ? o.after_ms : 10000;
    o.longest_ms = o.longest_ms ? o.longest_ms : MAX((int64_t)40000, o.after_ms);
    o.frame_rate = o.frame_rate ? o.frame_rate : 30;
    o.frame_side = o.frame_side ? o.frame_side : 640;
    o.quality = o.quality ? o.quality : 70;
    o.cpu_percent = o.cpu_percent > 0 ? o.cpu_percent : 1.5;
    o.interventions = o.interventions ? o.interventions : 10;
    o.keep = o.keep ? o.keep : 64;
    o.keep_mib = o.keep_mib ? o.keep_mib : 512;
    r->options = o;
    r->lock_fd = r->signal_fd = r->knob_fd = -1;
}

static void lowest_priority(void)
{
    enum { WHO_PROCESS = 1, BEST_EFFORT_LOWEST = 2 << 13 | 7 };
    if (setpriority(PRIO_PROCESS, 0, 19) < 0 ||
        syscall(SYS_ioprio_set, WHO_PROCESS, 0, BEST_EFFORT_LOWEST) < 0)
        log_warn("priority: %s", strerror(errno));
}

static int open_signals(struct recorder *r, struct err *err)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGUSR1);
    signal(SIGPIPE, SIG_IGN);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return err_errno(err, "signals");
    r->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return r->signal_fd < 0 ? err_errno(err, "signals") : 0;
}

static int open_memory(struct recorder *r, struct err *err)
{
    r->memory_bytes = (size_t)r->options.memory_mib << 20;
    r->memory = mmap(NULL, r->memory_bytes + SCRATCH_BYTES, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (r->memory == MAP_FAILED) {
        r->memory = NULL;
        return err_errno(err, "memory of %lld MiB", (long long)r->options.memory_mib);
    }
    arena_init(&r->arena, r->memory, r->memory_bytes);
    r->capture = (struct capture){.arena = &r->arena,
                                  .side = (int)r->options.frame_side,
                                  .quality = (int)r->options.quality,
                                  .scratch = r->memory + r->memory_bytes,
                                  .scratch_bytes = MIN((size_t)SCRATCH_BYTES, r->memory_bytes / 4)};
    return 0;
}

static void open_robot_name(struct recorder *r)
{
    struct err ignored = {0};
    cleanup_free char *path = file_join(r->options.state_dir, "robot-id");
    cleanup_buf struct buf text = BUF_INIT(sizeof r->robot - 1);
    if (path && file_read(path, &text, &ignored) == 0)
        str_copy(r->robot, sizeof r->robot, buf_text(&text));
    r->robot[strcspn(r->robot, "\r\n")] = 0;
}

static int open_shelf(struct recorder *r, struct err *err)
{
    int len = snprintf(r->incidents, sizeof r->incidents, "%s/incidents", r->options.state_dir);
    if (len < 0 || (size_t)len >= sizeof r->incidents)
        return err_set(err, ERR_INVALID, "%s: the path is too long", r->options.state_dir);
    cleanup_free struct shelf_list *list = mem_zalloc(1, sizeof *list);
    if (!list)
        return err_no_memory(err);
    if (file_make_dirs(r->incidents, 0700, err) < 0 || shelf_sweep(r->incidents, err) < 0 ||
        shelf_read(r->incidents, list, err) < 0)
        return -1;
    r->number = shelf_next_number(list);
    open_robot_name(r);
    return 0;
}

static int open_lock(struct recorder *r, struct err *err)
{
    cleanup_free char *path = file_join(r->options.run_dir, "recorder.lock");
    if (!path)
        return err_no_memory(err);
    if (file_lock(path, &r->lock_fd, err) < 0)
        return -1;
    char pid[16]; /* for who wants to end us */
    int len = snprintf(pid, sizeof pid, "%d", (int)getpid());
    if (ftruncate(r->lock_fd, 0) < 0 || pwrite(r->lock_fd, pid, (size_t)len, 0) != len)
        log_warn("%s: %s", path, strerror(errno));
    return 0;
}

/* Half of the memory is for what was before, half for what comes after: both have to last. */
static void open_pure(struct recorder *r)
{
    const struct recorder_options *o = &r->options;
    double half = (double)r->memory_bytes * 0.45;
    governor_init(&r->governor, &(struct governor_options){
                                    .share = o->cpu_percent / 100,
                                    .boost = BOOST,
                                    .max_rate = (double)o->frame_rate,
                                    .bytes_per_s = half * 1e3 / (double)o->before_ms,
                                    .boost_bytes_per_s = half * 1e3 / (double)o->longest_ms,
                                });
    trigger_init(&r->trigger, &(struct trigger_options){
                                  .before_ns = o->before_ms * MS_NS,
                                  .after_ns = (o->after_ms + SLACK_AFTER_MS) * MS_NS,
                                  .longest_ns = o->longest_ms * MS_NS,
                                  .interventions = o->interventions > 0 ? (uint32_t)o->interventions : 0,
                                  .window_ns = WINDOW_MS * MS_NS,
                                  .quiet_ns = QUIET_MS * MS_NS,
                              });
    struct observer_events events = recorder_events;
    events.arg = r;
    observer_init(&r->observer, o->run_dir, &events);
}

int recorder_open(struct recorder *r, struct err *err)
{
    lowest_priority();
    if (open_lock(r, err) < 0 || open_signals(r, err) < 0 || open_shelf(r, err) < 0 ||
        open_memory(r, err) < 0)
        return -1;
    open_pure(r);
    return knob_open(r->options.run_dir, &r->knob_fd, err);
}

void recorder_close(struct recorder *r)
{
    if (r->memory) {
        observer_fini(&r->observer);
        munmap(r->memory, r->memory_bytes + SCRATCH_BYTES);
    }
    mem_cleanup_close(&r->knob_fd);
    mem_cleanup_close(&r->signal_fd);
    mem_cleanup_close(&r->lock_fd);
}
