#include "robot/recorder/recorder.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "robot/recorder/capture.h"
#include "robot/recorder/entry.h"
#include "robot/recorder/governor.h"
#include "robot/recorder/knob.h"
#include "robot/recorder/seal.h"
#include "robot/recorder/shelf.h"
#include "robot/recorder/trigger.h"
#include "robot/recorder/watch.h"
#include "sys/file.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#define MS_NS 1000000ll
enum {
    SCRATCH_BYTES = 2 << 20,
    SEAL_TIMEOUT_MS = 30000,
    IDLE_MS = 500,
    SHORTEST_LOOK_MS = 2,
    LONGEST_LOOK_MS = 100
};
enum { LOST_EVERY_MS = 1000, QUIET_MS = 60000, WINDOW_MS = 10000, BOOST = 5 };
enum { SLACK_MS = 300 }; /* what is promised is there in full, whenever the first entry came */

struct recorder {
    struct recorder_options options;
    char incidents[400]; /* directory */
    char robot[64];
    int lock_fd, signal_fd, knob_fd;
    bool stop;
    uint8_t *memory;
    size_t memory_bytes;
    struct arena arena;
    struct capture capture;
    struct governor governor;
    struct trigger trigger;
    struct watch watch;
    struct ring_verdict verdict; /* the copy that is looked at */
    struct entry_lost lost;      /* since the last note of it */
    int64_t lost_noted_ns, frame_due_ns;
    uint64_t last_frame;   /* of the stream */
    double verdict_gap_ns; /* between two verdicts, smoothed */
    int64_t verdict_ns;
    pid_t child; /* seals; 0: none */
    int64_t child_ns;
    char child_id[INCIDENT_ID_SIZE];
    uint32_t number; /* of the next event */
};

static struct recorder_options with_defaults(const struct recorder_options *given)
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
    return o;
}

/* ---- entries ---- */

static void note(struct recorder *r, const char *text, int64_t now_ns)
{
    size_t len = strlen(text);
    void *entry = arena_put(&r->arena, ENTRY_LOG, now_ns, len);
    if (entry)
        memcpy(entry, text, len);
    log_info("%s", text);
}

static void note_lost(struct recorder *r, int64_t now_ns, bool at_once)
{
    if ((r->lost.frames == 0 && r->lost.verdicts == 0) ||
        (!at_once && now_ns - r->lost_noted_ns < LOST_EVERY_MS * MS_NS))
        return;
    struct entry_lost *entry = arena_put(&r->arena, ENTRY_LOST, now_ns, sizeof *entry);
    if (entry)
        *entry = r->lost;
    r->lost = (struct entry_lost){0};
    r->lost_noted_ns = now_ns;
}

static void on_notice(const struct ctl_message *message, void *arg)
{
    struct recorder *r = arg;
    int64_t now_ns = clock_mono_ns();
    struct entry_notice *entry = arena_put(&r->arena, ENTRY_NOTICE, now_ns, sizeof *entry);
    struct trigger_why why = {0};
    str_copy(why.text, sizeof why.text, message->text);
    str_copy(why.who, sizeof why.who, message->command.who);
    str_copy(why.reason, sizeof why.reason, message->command.reason);
    if (entry) {
        *entry = (struct entry_notice){.notice = message->notice,
                                       .state = message->state,
                                       .result = message->result,
                                       .count = message->count,
                                       .generation = message->generation};
        str_copy(entry->text, sizeof entry->text, why.text);
        str_copy(entry->who, sizeof entry->who, why.who);
        str_copy(entry->reason, sizeof entry->reason, why.reason);
    }
    if (message->notice == CTL_NOTICE_LOST)
        trigger_pull(&r->trigger, CAUSE_RUNNER_LOST, &why, now_ns);
    if (message->state < GUARD_STATE_COUNT)
        trigger_state(&r->trigger, message->state, &why, now_ns);
}

static void on_attached(uint64_t stream, void *arg)
{
    struct recorder *r = arg;
    char text[64];
    snprintf(text, sizeof text, "a robot program is attached: stream %llu", (unsigned long long)stream);
    r->last_frame = 0;
    r->frame_due_ns = 0;
    r->verdict_gap_ns = 0;
    note(r, text, clock_mono_ns());
}

static void on_guard_lost(void *arg)
{
    struct recorder *r = arg;
    int64_t now_ns = clock_mono_ns();
    note(r, "the guard is gone", now_ns);
    trigger_pull(&r->trigger, CAUSE_GUARD_LOST, &(struct trigger_why){.text = "the guard hung up"}, now_ns);
}

/* ---- verdicts ---- */

static void keep_verdict(struct recorder *r, int64_t now_ns)
{
    const struct ring_verdict *verdict = &r->verdict;
    size_t len = entry_verdict_bytes(verdict);
    void *entry = arena_put(&r->arena, ENTRY_VERDICT, now_ns, len);
    if (entry)
        memcpy(entry, verdict, len);
    if (verdict->state < GUARD_STATE_COUNT)
        trigger_state(&r->trigger, verdict->state, NULL, now_ns);
    if (verdict->status != RING_VERDICT_OK && verdict->reason < INTERVENTION_COUNT)
        trigger_intervention(&r->trigger, (enum intervention)verdict->reason, now_ns);
}

static void take_verdicts(struct recorder *r, int64_t now_ns)
{
    unsigned taken = 0;
    for (uint64_t missed = 0; watch_verdict(&r->watch, &r->verdict, &missed) && taken < RING_MAX_SLOTS;
         taken++) {
        r->lost.verdicts += missed;
        keep_verdict(r, now_ns);
    }
    if (taken == 0)
        return;
    double gap_ns = (double)(now_ns - r->verdict_ns) / taken;
    r->verdict_gap_ns = r->verdict_gap_ns > 0 ? r->verdict_gap_ns + (gap_ns - r->verdict_gap_ns) / 4 : gap_ns;
    r->verdict_ns = now_ns;
}

/* ---- frames ---- */

static int64_t thread_cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static void take_frame(struct recorder *r, int64_t now_ns)
{
    uint64_t newest = r->watch.stream ? ring_newest(&r->watch.frames) : 0;
    if (newest == 0 || newest == r->last_frame || now_ns < r->frame_due_ns)
        return;
    int64_t before_ns = thread_cpu_ns();
    size_t bytes = 0;
    enum capture_result result =
        capture_frame(&r->capture, &r->watch.frames, r->watch.stream, newest, now_ns, &bytes);
    governor_frame(&r->governor, thread_cpu_ns() - before_ns, bytes);
    r->lost.frames += result == CAPTURE_OVERTAKEN;
    r->last_frame = newest;
    int64_t interval_ns = governor_interval_ns(&r->governor, r->trigger.open);
    r->frame_due_ns = MAX(r->frame_due_ns + interval_ns, now_ns + interval_ns / 2);
}

/* ---- sealing ---- */

static int64_t wall_offset_ns(void)
{
    return clock_wall_ms() * MS_NS - clock_mono_ns();
}

static struct seal plan_seal(struct recorder *r, const char *id, int64_t until_ns)
{
    const struct trigger *t = &r->trigger;
    struct seal seal = {.dir = r->incidents,
                        .arena = &r->arena,
                        .from_ns = t->first_ns - t->options.before_ns - SLACK_MS * MS_NS,
                        .at_ns = t->at_ns,
                        .until_ns = until_ns,
                        .wall_offset_ns = wall_offset_ns(),
                        .facts = {.severity = recorder_cause_severity(t->cause)}};
    struct incident_facts *facts = &seal.facts;
    str_copy(facts->id, sizeof facts->id, id);
    str_copy(facts->robot, sizeof facts->robot, r->robot);
    str_copy(facts->cause, sizeof facts->cause, recorder_cause_name(t->cause));
    str_copy(facts->text, sizeof facts->text, t->why.text);
    str_copy(facts->who, sizeof facts->who, t->why.who);
    str_copy(facts->reason, sizeof facts->reason, t->why.reason);
    return seal;
}

/* Without a device key (not enrolled yet) the recording is not signed; everything else holds. */
static struct incident_signer *load_signer(struct recorder *r)
{
    struct err err = {0};
    struct incident_signer *signer = NULL;
    cleanup_free char *key = file_join(r->options.state_dir, "device.key");
    cleanup_free char *cert = file_join(r->options.state_dir, "device.pem");
    if (key && cert && incident_signer_load(key, cert, &signer, &err) < 0)
        log_warn("incidents are not signed: %s", err.text);
    return signer;
}

/* Never more than half of what is free but for the incidents themselves: the next release has to fit, too. */
static uint64_t quota(const struct recorder *r)
{
    struct statvfs disk;
    uint64_t most = (uint64_t)r->options.keep_mib << 20, own = 0;
    struct err ignored = {0};
    if (statvfs(r->incidents, &disk) < 0 || shelf_bytes(r->incidents, &own, &ignored) < 0)
        return most;
    return MIN(most, ((uint64_t)disk.f_bavail * disk.f_frsize + own) / 2);
}

/* In the child. */
static int seal_event(struct recorder *r, struct seal *seal)
{
    struct err err = {0};
    struct shelf_limits limits = {.events = (size_t)r->options.keep, .bytes = quota(r)};
    cleanup_incident_signer struct incident_signer *signer = load_signer(r);
    seal->signer = signer;
    if (signer)
        str_copy(seal->facts.robot, sizeof seal->facts.robot, incident_signer_name(signer));
    if (shelf_make_room(r->incidents, &limits, seal->facts.severity, r->memory_bytes / 4, &err) == 0 &&
        seal_write(seal, &err) == 0)
        return 0;
    log_error("%s", err.text);
    return 1;
}

static void start_sealing(struct recorder *r, int64_t until_ns)
{
    note_lost(r, until_ns, true);
    shelf_id(r->number++, clock_wall_ms() - (clock_mono_ns() - r->trigger.at_ns) / MS_NS,
             recorder_cause_severity(r->trigger.cause), recorder_cause_name(r->trigger.cause), r->child_id);
    struct seal seal = plan_seal(r, r->child_id, until_ns);
    trigger_close(&r->trigger);
    r->child_ns = clock_mono_ns();
    r->child = fork();
    if (r->child == 0)
        _exit(seal_event(r, &seal));
    if (r->child < 0) {
        r->child = 0;
        log_error("incident %s is lost: fork: %s", r->child_id, strerror(errno));
    }
}

static void reap_child(struct recorder *r, int flags)
{
    int status;
    if (r->child == 0 || waitpid(r->child, &status, flags) != r->child)
        return;
    r->child = 0;
    long long took_ms = (clock_mono_ns() - r->child_ns) / MS_NS;
    if (status == 0)
        log_info("incident %s sealed in %lld ms", r->child_id, took_ms);
    else
        log_error("incident %s is lost: the child that sealed it ended with %d", r->child_id, status);
}

/* A disk that hangs must not keep the next event from being sealed for ever. */
static void look_after_child(struct recorder *r, int64_t now_ns)
{
    reap_child(r, WNOHANG);
    if (r->child && now_ns - r->child_ns > SEAL_TIMEOUT_MS * MS_NS)
        kill(r->child, SIGKILL);
}

/* ---- opening ---- */

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
                                  .after_ns = o->after_ms * MS_NS,
                                  .longest_ns = o->longest_ms * MS_NS,
                                  .interventions = o->interventions > 0 ? (uint32_t)o->interventions : 0,
                                  .window_ns = WINDOW_MS * MS_NS,
                                  .quiet_ns = QUIET_MS * MS_NS,
                              });
    watch_init(&r->watch, o->run_dir,
               &(struct watch_events){
                   .notice = on_notice, .attached = on_attached, .lost = on_guard_lost, .arg = r});
}

static int open_all(struct recorder *r, struct err *err)
{
    if (open_lock(r, err) < 0 || open_signals(r, err) < 0 || open_shelf(r, err) < 0 ||
        open_memory(r, err) < 0)
        return -1;
    open_pure(r);
    return knob_open(r->options.run_dir, &r->knob_fd, err);
}

static void close_all(struct recorder *r)
{
    if (r->memory) {
        watch_fini(&r->watch);
        munmap(r->memory, r->memory_bytes + SCRATCH_BYTES);
    }
    mem_cleanup_close(&r->knob_fd);
    mem_cleanup_close(&r->signal_fd);
    mem_cleanup_close(&r->lock_fd);
}

/* ---- turning ---- */

static void pull_by_hand(struct recorder *r, const char *text, int64_t now_ns)
{
    struct trigger_why why = {.who = "at the robot"};
    str_copy(why.text, sizeof why.text, text);
    note(r, text, now_ns);
    trigger_pull(&r->trigger, CAUSE_OPERATOR, &why, now_ns);
}

static void take_signals(struct recorder *r, int64_t now_ns)
{
    struct signalfd_siginfo info;
    while (read(r->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGUSR1)
            pull_by_hand(r, "SIGUSR1", now_ns);
        else if (info.ssi_signo != SIGCHLD)
            r->stop = true;
    }
}

static void take_knob(struct recorder *r, int64_t now_ns)
{
    char text[sizeof((struct trigger_why *)0)->text];
    for (int i = 0; i < 8 && knob_take(r->knob_fd, text, sizeof text); i++)
        pull_by_hand(r, text, now_ns);
}

/* A run directory that was removed has no robot any more. */
static bool orphaned(const struct recorder *r)
{
    struct stat st;
    return r->watch.fd < 0 && fstat(r->lock_fd, &st) == 0 && st.st_nlink == 0;
}

static void turn(struct recorder *r)
{
    int64_t now_ns = clock_mono_ns();
    if (orphaned(r)) {
        log_warn("%s is gone", r->options.run_dir);
        r->stop = true;
    }
    watch_pump(&r->watch, now_ns);
    now_ns = clock_mono_ns();
    take_knob(r, now_ns);
    take_signals(r, now_ns);
    take_verdicts(r, now_ns);
    take_frame(r, now_ns);
    note_lost(r, now_ns, false);
    governor_cpu(&r->governor, thread_cpu_ns(), now_ns);
    look_after_child(r, now_ns);
    if (r->child == 0 && trigger_due(&r->trigger, now_ns))
        start_sealing(r, now_ns);
}

/* Verdicts wait in a ring of a few slots: looked at before half of them are overwritten. */
static int64_t look_ns(const struct recorder *r)
{
    if (r->watch.stream == 0)
        return IDLE_MS * MS_NS;
    double half_full_ns = r->verdict_gap_ns * r->watch.verdicts.slot_count / 2;
    return (int64_t)MIN(MAX(half_full_ns, (double)(SHORTEST_LOOK_MS * MS_NS)),
                        (double)(LONGEST_LOOK_MS * MS_NS));
}

static int64_t wait_ns(const struct recorder *r, int64_t now_ns)
{
    int64_t until_ns = now_ns + look_ns(r);
    if (r->watch.stream && r->frame_due_ns > now_ns)
        until_ns = MIN(until_ns, MAX(r->frame_due_ns, now_ns + SHORTEST_LOOK_MS * MS_NS));
    if (r->trigger.open && r->child == 0)
        until_ns = MIN(until_ns, r->trigger.until_ns);
    if (r->watch.fd < 0)
        until_ns = MIN(until_ns, r->watch.retry_ns);
    return MAX(until_ns - now_ns, (int64_t)0);
}

static void await(const struct recorder *r)
{
    struct pollfd fds[] = {{.fd = r->watch.fd, .events = POLLIN},
                           {.fd = r->signal_fd, .events = POLLIN},
                           {.fd = r->knob_fd, .events = POLLIN}};
    int64_t for_ns = wait_ns(r, clock_mono_ns());
    struct timespec timeout = {.tv_sec = for_ns / 1000000000, .tv_nsec = for_ns % 1000000000};
    ppoll(fds, ARRAY_LEN(fds), &timeout, NULL);
}

/* An open event is sealed as it stands. */
static void leave(struct recorder *r)
{
    reap_child(r, 0);
    if (!r->trigger.open)
        return;
    start_sealing(r, clock_mono_ns());
    reap_child(r, 0);
}

int recorder_run(const struct recorder_options *options, struct err *err)
{
    struct recorder *r = mem_zalloc(1, sizeof *r);
    if (!r)
        return err_no_memory(err);
    r->options = with_defaults(options);
    r->lock_fd = r->signal_fd = r->knob_fd = -1;
    lowest_priority();
    int done = open_all(r, err);
    if (done == 0)
        log_info("armed: %lld MiB, incidents in %s", (long long)r->options.memory_mib, r->incidents);
    while (done == 0 && !r->stop) {
        turn(r);
        await(r);
    }
    if (done == 0)
        leave(r);
    close_all(r);
    free(r);
    return done;
}
