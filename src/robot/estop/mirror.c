#include "robot/estop/mirror.h"

#include "base/clock.h"
#include "base/log.h"
#include "robot/ctl/ctl.h"

#include <errno.h>
#include <poll.h>

void mirror_filter_init(struct mirror_filter *filter)
{
    *filter = (struct mirror_filter){.pressed = true};
}

bool mirror_filter_feed(struct mirror_filter *filter, enum mirror_reading reading, int64_t now_ms,
                        int64_t release_ms)
{
    bool was = filter->pressed;
    if (reading != MIRROR_CLEAR) {
        filter->pressed = true;
        filter->clearing = false;
    } else if (!filter->clearing) {
        filter->clearing = true;
        filter->clear_since_ms = now_ms;
    }
    if (filter->clearing && now_ms - filter->clear_since_ms >= release_ms)
        filter->pressed = false;
    return filter->pressed != was;
}

struct mirror {
    const struct mirror_options *options;
    struct mirror_filter filter;
    int guard;              /* -1: none is there */
    bool unreadable, alone; /* said so already */
};

static enum mirror_reading look(struct mirror *mirror)
{
    bool active = true;
    struct err err = {0};
    struct line *line = mirror->options->line;
    bool bad = line->ops->read(line, &active, &err) < 0;
    if (bad && !mirror->unreadable)
        log_error("%s; counts as pressed", err.text);
    mirror->unreadable = bad;
    return bad ? MIRROR_UNREADABLE : active ? MIRROR_PRESSED : MIRROR_CLEAR;
}

static void lose_guard(struct mirror *mirror, const char *why)
{
    if (!mirror->alone)
        log_warn("no guard: %s", why);
    mirror->alone = true;
    mem_cleanup_close(&mirror->guard);
    mirror->guard = -1;
}

static void say(struct mirror *mirror)
{
    struct ctl_message message;
    struct err err = {0};
    if (mirror->guard < 0)
        return;
    ctl_message_init(&message, CTL_ESTOP);
    message.count = mirror->filter.pressed;
    if (ctl_send(mirror->guard, &message, NULL, &err) < 0)
        lose_guard(mirror, err.text);
}

static void find_guard(struct mirror *mirror)
{
    struct err err = {0};
    if (mirror->guard >= 0)
        return;
    if (ctl_connect(mirror->options->run_dir, CTL_ROLE_ESTOP, &mirror->guard, &err) < 0) {
        mirror->guard = -1;
        lose_guard(mirror, err.text);
        return;
    }
    mirror->alone = false;
    log_info("the guard is told: %s", mirror->filter.pressed ? "pressed" : "released");
    say(mirror);
}

/* The guard says nothing to a mirror: whatever comes, or its going, is looked at here. */
static void hear_guard(struct mirror *mirror)
{
    union ctl_packet packet;
    struct err err = {0};
    int got;
    do {
        cleanup_ctl_fds struct ctl_fds fds;
        ctl_fds_init(&fds);
        got = ctl_recv(mirror->guard, &packet, &fds, &err);
    } while (got > 0);
    if (got < 0)
        lose_guard(mirror, err.text);
}

static int wait(struct mirror *mirror, struct err *err)
{
    struct line *line = mirror->options->line;
    struct pollfd fds[] = {{.fd = line->fd, .events = line->events}, {.fd = mirror->guard, .events = POLLIN}};
    int timeout_ms = (int)mirror->options->reread_ms;
    if (mirror->filter.clearing && mirror->filter.pressed)
        timeout_ms = (int)MIN(mirror->options->reread_ms, MAX(mirror->options->release_ms / 4, (int64_t)1));
    if (poll(fds, ARRAY_LEN(fds), timeout_ms) < 0 && errno != EINTR)
        return err_errno(err, "poll");
    if (fds[0].revents)
        line->ops->drain(line);
    if (fds[1].revents)
        hear_guard(mirror);
    return 0;
}

int mirror_run(const struct mirror_options *options, struct err *err)
{
    struct mirror mirror = {.options = options, .guard = -1};
    int rc = 0;
    mirror_filter_init(&mirror.filter);
    while (rc == 0 && !*options->stop) {
        if (mirror_filter_feed(&mirror.filter, look(&mirror), clock_mono_ms(), options->release_ms)) {
            log_warn("emergency stop %s", mirror.filter.pressed ? "pressed" : "released");
            say(&mirror);
        }
        find_guard(&mirror);
        rc = wait(&mirror, err);
    }
    mem_cleanup_close(&mirror.guard);
    return rc;
}
