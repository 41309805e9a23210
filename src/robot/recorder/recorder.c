/* The loop. */
#include "robot/recorder/inside.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "robot/recorder/knob.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/stat.h>

enum { IDLE_MS = 500, SHORTEST_LOOK_MS = 2, LONGEST_LOOK_MS = 100 };

static void pull_by_hand(struct recorder *r, const char *text, int64_t now_ns)
{
    struct trigger_why why = {.who = "at the robot"};
    str_copy(why.text, sizeof why.text, text);
    recorder_note(r, text, now_ns);
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
    return r->observer.fd < 0 && fstat(r->lock_fd, &st) == 0 && st.st_nlink == 0;
}

static void turn(struct recorder *r)
{
    int64_t now_ns = clock_mono_ns();
    if (orphaned(r)) {
        log_warn("%s is gone", r->options.run_dir);
        r->stop = true;
    }
    observer_pump(&r->observer, now_ns);
    now_ns = clock_mono_ns();
    take_knob(r, now_ns);
    take_signals(r, now_ns);
    recorder_take_verdicts(r, now_ns);
    recorder_take_frame(r, now_ns);
    recorder_note_lost(r, now_ns, false);
    governor_cpu(&r->governor, recorder_cpu_ns(), now_ns);
    recorder_look_after_child(r, now_ns);
    if (r->child == 0 && trigger_due(&r->trigger, now_ns))
        recorder_seal(r, now_ns);
}

/* Verdicts wait in a ring of a few slots: looked at before half of them are overwritten. */
static int64_t look_ns(const struct recorder *r)
{
    if (r->observer.stream == 0)
        return IDLE_MS * MS_NS;
    double half_full_ns = r->verdict_gap_ns * r->observer.verdicts.slot_count / 2;
    return (int64_t)MIN(MAX(half_full_ns, (double)(SHORTEST_LOOK_MS * MS_NS)),
                        (double)(LONGEST_LOOK_MS * MS_NS));
}

static int64_t wait_ns(const struct recorder *r, int64_t now_ns)
{
    int64_t until_ns = now_ns + look_ns(r);
    if (r->observer.stream && r->frame_due_ns > now_ns)
        until_ns = MIN(until_ns, MAX(r->frame_due_ns, now_ns + SHORTEST_LOOK_MS * MS_NS));
    if (r->trigger.open && r->child == 0)
        until_ns = MIN(until_ns, r->trigger.until_ns);
    if (r->observer.fd < 0)
        until_ns = MIN(until_ns, r->observer.retry_ns);
    return MAX(until_ns - now_ns, (int64_t)0);
}

static void await(const struct recorder *r)
{
    struct pollfd fds[] = {{.fd = r->observer.fd, .events = POLLIN},
                           {.fd = r->signal_fd, .events = POLLIN},
                           {.fd = r->knob_fd, .events = POLLIN}};
    int64_t for_ns = wait_ns(r, clock_mono_ns());
    struct timespec timeout = {.tv_sec = for_ns / 1000000000, .tv_nsec = for_ns % 1000000000};
    ppoll(fds, ARRAY_LEN(fds), &timeout, NULL);
}

/* An open event is sealed as it stands. */
static void leave(struct recorder *r)
{
    recorder_reap(r, 0);
    if (!r->trigger.open)
        return;
    recorder_seal(r, clock_mono_ns());
    recorder_reap(r, 0);
}

int recorder_run(const struct recorder_options *options, struct err *err)
{
    struct recorder *r = mem_zalloc(1, sizeof *r);
    if (!r)
        return err_no_memory(err);
    recorder_defaults(r, options);
    int done = recorder_open(r, err);
    if (done == 0)
        log_info("armed: %lld MiB, incidents in %s", (long long)r->options.memory_mib, r->incidents);
    while (done == 0 && !r->stop) {
        turn(r);
        await(r);
    }
    if (done == 0)
        leave(r);
    recorder_close(r);
    free(r);
    return done;
}
