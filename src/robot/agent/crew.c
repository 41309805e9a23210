#include "robot/agent/crew.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "robot/agent/backoff.h"
#include "robot/agent/command.h"
#include "robot/agent/lastline.h"
#include "robot/agent/spawn.h"
#include "robot/decide/guard_fsm.h"
#include "sys/file.h"
#include "sys/proc.h"

#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum { MAX_CHILDREN = 8, MAX_LEAVING = 8, LEAVE_MS = 5000, CALL_MS = 1000, MAX_SILENCES = 3 };
enum { MAX_BAD_STARTS = 2, MAX_SHORT_LIVES = 3 }; /* with an accelerator or a variant */
enum { HURRY_MS = 50, CALM_MS = 500, STEADY_MS = 10000, GONE_MS = 3000 };

struct child {           /* a runner that this agent started */
    uint64_t generation; /* 0: free */
    struct digest release;
    pid_t pid; /* 0: ended */
    int64_t since_ms;
    bool connected; /* ever, this process */
    bool refused;   /* it said that the release is at fault */
    unsigned failed_starts, starts, short_lives;
    struct backoff backoff;
};

struct crew {
    struct crew_options options;
    int guard_fd; /* -1: not connected */
    pid_t guard_child;
    bool guard_seen; /* there was one before */
    struct backoff guard_backoff;
    unsigned silences;
    int64_t last_ms, next_ms, connected_ms;
    struct child children[MAX_CHILDREN];
    pid_t leaving[MAX_LEAVING]; /* told to go; 0: free */
    int64_t leaving_until_ms;   /* the guard has killed them long before */
    bool have_status, fresh;
    uint32_t state_noted; /* GUARD_STATE_COUNT: none yet, or that it is gone */
    bool gone_noted;
    int64_t lost_ms; /* since when there is no guard */
    struct ctl_status status;
};

static uint32_t random_bits(void)
{
    uint32_t bits = 0;
    if (getrandom(&bits, sizeof bits, GRND_NONBLOCK) < 0)
        bits = (uint32_t)clock_mono_ns();
    return bits;
}

int crew_new(const struct crew_options *options, struct crew **out, struct err *err)
{
    struct crew *crew = mem_zalloc(1, sizeof *crew);
    if (!crew)
        return err_no_memory(err);
    crew->options = *options;
    crew->guard_fd = -1;
    crew->guard_backoff = (struct backoff){.min_ms = 200, .max_ms = 5000};
    crew->state_noted = GUARD_STATE_COUNT;
    crew->lost_ms = clock_mono_ms();
    *out = crew;
    return 0;
}

void crew_free(struct crew *crew)
{
    if (!crew)
        return;
    mem_cleanup_close(&crew->guard_fd);
    free(crew);
}

static void note(struct crew *crew, enum report_kind kind, const struct digest *release, const char *text)
{
    static const struct digest none;
    crew->options.note(kind, release ? release : &none, text, crew->options.arg);
}

static void log_path(const struct crew *crew, const char *name, uint64_t generation, char *out, size_t size)
{
    if (generation)
        snprintf(out, size, "%s/%s-%llu.log", crew->options.run_dir, name, (unsigned long long)generation);
    else
        snprintf(out, size, "%s/%s.log", crew->options.run_dir, name);
}

/* The guard. */

static void lose_guard(struct crew *crew)
{
    mem_cleanup_close(&crew->guard_fd);
    crew->guard_fd = -1;
    crew->have_status = false;
    crew->next_ms = 0;
    crew->lost_ms = clock_mono_ms();
}

int crew_guard_fd(const struct crew *crew)
{
    return crew->guard_fd;
}

static void start_guard(struct crew *crew, int64_t now_ms)
{
    char log[512];
    struct err err = {0};
    log_path(crew, "guard", 0, log, sizeof log);
    char runner_user[16];
    snprintf(runner_user, sizeof runner_user, "%u", crew->options.spawn->uid);
    const char *const argv[] = {
        crew->options.guard, "--run-dir",     crew->options.run_dir, "--state-dir", crew->options.state_dir,
        "--realtime",        "--runner-user", runner_user,           NULL};
    struct proc_options options = {.argv = argv, .log_path = log, .detach = true, .keep_fd = -1};
    backoff_failed(&crew->guard_backoff, now_ms, random_bits());
    if (proc_spawn(&options, &crew->guard_child, &err) < 0) {
        log_error("guard: %s", err.text);
        return;
    }
    log_info("guard started (%d)", (int)crew->guard_child);
    if (crew->guard_seen)
        note(crew, REPORT_RESTARTED, NULL,
             "muster-guard was started again; what it counted since the last look is lost");
    crew->guard_seen = true;
}

/* It holds the socket but does not answer: it is stuck, and libmuster gives the safe state already. */
static void kill_silent_guard(struct crew *crew, int fd)
{
    struct ucred peer = {0};
    socklen_t len = sizeof peer;
    crew->silences = 0;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 && peer.pid > 1) {
        log_error("the guard (%d) does not answer: killed", (int)peer.pid);
        kill(peer.pid, SIGKILL);
    }
    lose_guard(crew);
}

static void no_welcome(struct crew *crew, const struct err *why, int64_t now_ms)
{
    cleanup_close int fd = -1;
    struct err err = {0};
    if (why->code != ERR_TIMEOUT) {
        if (crew->guard_child == 0 && backoff_ready(&crew->guard_backoff, now_ms))
            start_guard(crew, now_ms);
    } else if (++crew->silences >= MAX_SILENCES && ctl_dial(crew->options.run_dir, &fd, &err) == 0) {
        kill_silent_guard(crew, fd);
    }
}

static void connect_guard(struct crew *crew, int64_t now_ms)
{
    struct err err = {0};
    int fd = -1;
    if (ctl_connect(crew->options.run_dir, CTL_ROLE_AGENT, &fd, &err) < 0) {
        no_welcome(crew, &err, now_ms);
        return;
    }
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.fd = fd};
    if (epoll_ctl(crew->options.epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
        log_warn("epoll: %s", strerror(errno));
    crew->guard_fd = fd;
    crew->guard_seen = true;
    crew->silences = 0;
    crew->connected_ms = now_ms;
    spawn_guard_came(crew->options.spawn);
}

_Static_assert(API_GUARD_SERVICE == (int)GUARD_SERVICE + 1 && API_GUARD_GONE == (int)GUARD_STATE_COUNT + 1,
               "the fleet knows the guard's states");

static const char *noted_name(const struct crew *crew)
{
    if (crew->gone_noted)
        return api_guard_name(API_GUARD_GONE);
    return crew->state_noted < GUARD_STATE_COUNT ? guard_state_name((enum guard_state)crew->state_noted)
                                                 : "start";
}

/* Above FALLBACK a person or a latch stands behind the state: `who` and `why`. */
static void note_state(struct crew *crew, uint32_t state, const char *who, const char *why)
{
    if (state == crew->state_noted || state >= GUARD_STATE_COUNT)
        return;
    struct api_report report = {.kind = REPORT_GUARD, .guard = (enum api_guard)(state + 1)};
    bool stands = state > GUARD_FALLBACK;
    snprintf(report.text, sizeof report.text, "%s -> %s%s%s", noted_name(crew),
             guard_state_name((enum guard_state)state), stands && why[0] ? ": " : "", stands ? why : "");
    str_copy(report.who, sizeof report.who, stands ? who : "");
    crew->state_noted = state;
    crew->gone_noted = false;
    crew->options.report(&report, crew->options.arg);
}

/* A state that was true once is not shown for ever: without a guard no model answers. */
static void note_gone(struct crew *crew, int64_t now_ms)
{
    if (crew->guard_fd >= 0 || crew->gone_noted || now_ms - crew->lost_ms < GONE_MS)
        return;
    struct api_report report = {.kind = REPORT_GUARD, .guard = API_GUARD_GONE};
    snprintf(report.text, sizeof report.text, "%s -> gone: no guard answers on this robot", noted_name(crew));
    crew->state_noted = GUARD_STATE_COUNT;
    crew->gone_noted = true;
    crew->options.report(&report, crew->options.arg);
}

static const struct digest *release_of(const struct crew *crew, uint64_t generation)
{
    for (size_t i = 0; generation && i < CTL_MAX_RUNNERS; i++)
        if (crew->status.runners[i].generation == generation)
            return &crew->status.runners[i].release;
    return NULL;
}

/* What the guard says by itself. Interventions are counted in the telemetry. */
static void take_notice(struct crew *crew, const struct ctl_message *notice)
{
    char line[API_MAX_SUMMARY];
    if (commands_local_outcome(notice, line, sizeof line)) /* one from afar is reported by who brought it */
        note(crew, REPORT_OPERATOR, release_of(crew, notice->generation), line);
    if (notice->notice == CTL_NOTICE_LOST)
        note(crew, REPORT_GUARD, NULL, notice->text);
    if (notice->notice != CTL_NOTICE_INTERVENTION)
        note_state(crew, notice->state, notice->command.who, notice->command.reason);
}

void crew_guard_speaks(struct crew *crew, int64_t now_ms)
{
    while (crew->guard_fd >= 0) {
        union ctl_packet packet;
        cleanup_ctl_fds struct ctl_fds fds;
        struct err err = {0};
        ctl_fds_init(&fds);
        int got = ctl_recv(crew->guard_fd, &packet, &fds, &err);
        if (got == 0)
            return;
        if (got < 0) {
            log_warn("the guard is gone");
            lose_guard(crew);
        } else if (packet.message.kind == CTL_NOTICE) {
            take_notice(crew, &packet.message);
            bool lost = packet.message.notice == CTL_NOTICE_LOST; /* other news come in twos and threes */
            crew->next_ms = lost ? now_ms : MIN(crew->next_ms, now_ms + HURRY_MS);
        }
    }
}

/* Sends and waits for what answers it; notices that come in between are taken. */
static int ask(struct crew *crew, const struct ctl_message *message, enum ctl_kind kind, struct err *err)
{
    int64_t until_ms = clock_mono_ms() + CALL_MS;
    if (ctl_send(crew->guard_fd, message, NULL, err) < 0)
        return -1;
    for (;;) {
        union ctl_packet packet;
        cleanup_ctl_fds struct ctl_fds fds;
        ctl_fds_init(&fds);
        if (ctl_await(crew->guard_fd, &packet, &fds, (int)MAX(until_ms - clock_mono_ms(), 0), err) < 0)
            return -1;
        const struct ctl_message *got = &packet.message;
        if (got->kind == CTL_NOTICE)
            take_notice(crew, got);
        if (kind == CTL_STATUS && got->kind == kind)
            return crew->status = packet.status.status, 0;
        if (kind == CTL_REPLY && got->kind == kind && got->count == message->kind &&
            got->generation == message->generation)
            return got->result ? err_set(err, (enum err_code)got->result, "%s", got->text) : 0;
    }
}

static bool ask_guard(struct crew *crew, int64_t now_ms)
{
    struct err err = {0};
    struct ctl_message question;
    ctl_message_init(&question, CTL_STATUS_REQUEST);
    crew->have_status = false;
    if (ask(crew, &question, CTL_STATUS, &err) < 0) {
        log_warn("guard: %s", err.text);
        if (err.code != ERR_TIMEOUT)
            lose_guard(crew);
        else if (++crew->silences >= MAX_SILENCES)
            kill_silent_guard(crew, crew->guard_fd);
        return false;
    }
    crew->silences = 0;
    crew->have_status = crew->fresh = true;
    if (now_ms - crew->connected_ms > STEADY_MS)
        backoff_reset(&crew->guard_backoff);
    note_state(crew, crew->status.state, crew->status.oversight.who, crew->status.oversight.reason);
    return true;
}

/* Runners. */

static struct child *child_find(const struct crew *crew, uint64_t generation)
{
    for (size_t i = 0; generation && i < MAX_CHILDREN; i++)
        if (crew->children[i].generation == generation)
            return (struct child *)(uintptr_t)&crew->children[i];
    return NULL;
}

/* The place of a generation; that of the oldest ended one if there is none yet. */
static struct child *child_place(struct crew *crew, const struct wanted_item *item)
{
    struct child *found = child_find(crew, item->generation), *oldest = NULL;
    if (found)
        return found;
    for (size_t i = 0; i < MAX_CHILDREN; i++) {
        struct child *child = &crew->children[i];
        if (child->pid == 0 && (!oldest || child->generation < oldest->generation))
            oldest = child;
    }
    if (oldest)
        *oldest = (struct child){.generation = item->generation,
                                 .release = item->release,
                                 .backoff = {.min_ms = 200, .max_ms = 5000}};
    return oldest;
}

static void start_runner(struct crew *crew, const struct wanted_item *item, int64_t now_ms)
{
    struct child *child = child_place(crew, item);
    if (!child)
        return;
    char generation[24], log[512];
    struct err err = {0};
    snprintf(generation, sizeof generation, "%llu", (unsigned long long)item->generation);
    log_path(crew, "runner", item->generation, log, sizeof log);
    struct spawn_job job = {.release = &item->release,
                            .generation = item->generation,
                            .log_path = log,
                            .low = item->standby,
                            .cpu_only = child->failed_starts >= MAX_BAD_STARTS ||
                                        child->short_lives >= MAX_SHORT_LIVES};
    if (child->starts > 0) /* the first new start is at once */
        backoff_failed(&child->backoff, now_ms, random_bits());
    if (spawn_runner(crew->options.spawn, &job, &child->pid, &err) < 0) {
        log_error("runner: %s", err.text);
        child->pid = 0;
        child->starts++;
        child->failed_starts++;
        return;
    }
    log_info("runner of generation %s started (%d)", generation, (int)child->pid);
    if (child->starts++ > 0) {
        char text[96];
        snprintf(text, sizeof text, "runner of generation %s was started again", generation);
        note(crew, REPORT_RESTARTED, &item->release, text);
    }
    child->since_ms = now_ms;
    child->connected = child->refused = false;
}

bool crew_reaped(struct crew *crew, pid_t pid, int status, int64_t now_ms)
{
    enum { EXIT_REFUSED = 3 };
    crew->next_ms = now_ms;
    if (pid == crew->guard_child) {
        crew->guard_child = 0;
        return true;
    }
    for (size_t i = 0; i < MAX_CHILDREN; i++) {
        struct child *child = &crew->children[i];
        if (child->pid != pid)
            continue;
        child->pid = 0;
        child->refused = !child->connected && WIFEXITED(status) && WEXITSTATUS(status) == EXIT_REFUSED;
        if (!child->connected) {
            child->failed_starts++;
        } else if (now_ms - child->since_ms > STEADY_MS) {
            backoff_reset(&child->backoff);
            child->short_lives = 0;
        } else {
            child->short_lives++;
        }
        return true;
    }
    return false;
}

static void mark_connected(struct crew *crew)
{
    for (size_t i = 0; i < CTL_MAX_RUNNERS; i++) {
        const struct ctl_runner_status *runner = &crew->status.runners[i];
        struct child *child = runner->connected ? child_find(crew, runner->generation) : NULL;
        if (child && spawn_is(child->pid, runner->pid)) {
            child->connected = true;
            child->failed_starts = 0;
        }
    }
}

bool crew_leaving(const struct crew *crew)
{
    bool any = false;
    for (size_t i = 0; clock_mono_ms() < crew->leaving_until_ms && i < MAX_LEAVING; i++)
        any |= crew->leaving[i] > 0 && proc_alive(crew->leaving[i]);
    return any;
}

static void note_leaving(struct crew *crew, uint64_t generation)
{
    crew->leaving_until_ms = clock_mono_ms() + LEAVE_MS;
    for (size_t i = 0; i < CTL_MAX_RUNNERS; i++) {
        const struct ctl_runner_status *runner = &crew->status.runners[i];
        if (runner->generation != generation || !runner->connected)
            continue;
        for (size_t place = 0; place < MAX_LEAVING; place++)
            if (crew->leaving[place] <= 0 || !proc_alive(crew->leaving[place])) {
                crew->leaving[place] = runner->pid;
                return;
            }
    }
}

static void look_at_children(const struct crew *crew, struct wanted *wanted, int64_t now_ms)
{
    wanted->leaving = crew_leaving(crew);
    for (size_t i = 0; i < wanted->count; i++) {
        struct wanted_item *item = &wanted->items[i];
        const struct child *child = child_find(crew, item->generation);
        item->runner_on_its_way = child && child->pid > 0;
        item->runner_overdue =
            item->runner_on_its_way && !child->connected && now_ms - child->since_ms > crew->options.start_ms;
        bool hopeless = child && child->refused && item->standby;
        item->may_spawn = !child || (backoff_ready(&child->backoff, now_ms) && !hopeless);
    }
}

/* A runner that lost the guard for good, or never found it. */
static void kill_runner(struct crew *crew, uint64_t generation)
{
    struct child *child = child_find(crew, generation);
    if (!child || child->pid <= 0)
        return;
    log_warn("runner of generation %llu (%d) does not come up: killed", (unsigned long long)generation,
             (int)child->pid);
    spawn_kill(child->pid);
}

/* Orders. */

static int call(struct crew *crew, const struct order *order, const struct wanted *wanted, struct err *err)
{
    static const enum ctl_kind kinds[] = {[ORDER_ADMIT] = CTL_ADMIT,
                                          [ORDER_SHADOW] = CTL_SHADOW,
                                          [ORDER_ACTIVATE] = CTL_ACTIVATE,
                                          [ORDER_RETIRE] = CTL_RETIRE};
    struct ctl_message message;
    ctl_message_init(&message, kinds[order->kind]);
    message.generation = order->generation;
    message.fallback = order->fallback;
    message.count = order->count;
    if (order->kind == ORDER_ADMIT) {
        message.release = wanted->items[order->item].release;
        message.limits = wanted->items[order->item].limits;
    }
    return ask(crew, &message, CTL_REPLY, err);
}

static void forget_log(const struct crew *crew, uint64_t generation)
{
    char path[512];
    log_path(crew, "runner", generation, path, sizeof path);
    unlink(path);
}

/* False: the guard is lost, the rest of the orders has to wait. */
static bool give(struct crew *crew, const struct order *order, const struct wanted *wanted, int64_t now_ms)
{
    struct err err = {0};
    if (order->kind == ORDER_SPAWN) {
        start_runner(crew, &wanted->items[order->item], now_ms);
        return true;
    }
    if (order->kind == ORDER_KILL) {
        kill_runner(crew, order->generation);
        return true;
    }
    if (order->kind == ORDER_RETIRE) {
        forget_log(crew, order->generation);
        note_leaving(crew, order->generation);
    }
    if (call(crew, order, wanted, &err) == 0)
        return true;
    log_warn("guard, generation %llu: %s", (unsigned long long)order->generation, err.text);
    if (err.code == ERR_UNREACHABLE)
        lose_guard(crew);
    return crew->guard_fd >= 0;
}

int64_t crew_next_ms(const struct crew *crew, bool hurry)
{
    return hurry ? MIN(crew->next_ms, crew->last_ms + HURRY_MS) : crew->next_ms;
}

void crew_look_now(struct crew *crew)
{
    crew->next_ms = 0;
}

void crew_tick(struct crew *crew, struct wanted *wanted, bool hurry, int64_t now_ms)
{
    if (now_ms < crew_next_ms(crew, hurry))
        return;
    crew->last_ms = now_ms;
    crew->next_ms = now_ms + HURRY_MS;
    if (crew->guard_fd < 0)
        connect_guard(crew, now_ms);
    note_gone(crew, now_ms);
    if (crew->guard_fd < 0 || !ask_guard(crew, now_ms))
        return;
    mark_connected(crew);
    look_at_children(crew, wanted, now_ms);
    struct orders orders;
    reconcile(wanted, &crew->status, &orders);
    for (size_t i = 0; i < orders.count; i++)
        if (!give(crew, &orders.items[i], wanted, now_ms))
            return;
    bool changed = orders.count > 0;
    crew->next_ms = now_ms + (hurry || changed ? HURRY_MS : CALM_MS);
}

const struct ctl_status *crew_status(struct crew *crew, bool *out_fresh)
{
    *out_fresh = crew->have_status && crew->fresh;
    crew->fresh = false;
    return crew->have_status ? &crew->status : NULL;
}

unsigned crew_failed_starts(const struct crew *crew, uint64_t generation)
{
    const struct child *child = child_find(crew, generation);
    return child ? child->failed_starts : 0;
}

bool crew_refused(const struct crew *crew, uint64_t generation)
{
    const struct child *child = child_find(crew, generation);
    return child && child->refused;
}

bool crew_has(const struct crew *crew, uint64_t generation)
{
    const struct child *child = child_find(crew, generation);
    bool has = child && child->pid > 0;
    for (size_t i = 0; crew->have_status && generation && i < CTL_MAX_RUNNERS; i++)
        has |= crew->status.runners[i].generation == generation && crew->status.runners[i].connected;
    return has;
}

void crew_backend(const struct crew *crew, const struct digest *release, char *out, size_t out_size)
{
    out[0] = 0;
    for (size_t i = 0; crew->have_status && i < CTL_MAX_RUNNERS; i++) {
        const struct ctl_runner_status *runner = &crew->status.runners[i];
        if (runner->connected && digest_equal(&runner->release, release))
            snprintf(out, out_size, "%.*s%s", (int)sizeof runner->backend - 1, runner->backend,
                     runner->degraded ? "; degraded" : "");
    }
}

void crew_last_words(const struct crew *crew, uint64_t generation, char *out, size_t out_size)
{
    char path[512];
    log_path(crew, "runner", generation, path, sizeof path);
    last_line(path, out, out_size);
}

int crew_stop_all(const char *run_dir, struct err *err)
{
    cleanup_close int fd = -1;
    struct ctl_status status;
    struct ucred peer = {0};
    socklen_t len = sizeof peer;
    if (ctl_connect(run_dir, CTL_ROLE_AGENT, &fd, err) < 0 || ctl_status(fd, CALL_MS, &status, err) < 0)
        return -1;
    for (size_t i = 0; i < CTL_MAX_RUNNERS; i++) {
        struct ctl_message retire;
        ctl_message_init(&retire, CTL_RETIRE);
        retire.generation = status.runners[i].generation;
        if (retire.generation && ctl_call(fd, &retire, CALL_MS, err) < 0)
            return -1;
    }
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
        return err_errno(err, "guard in %s", run_dir);
    return kill(peer.pid, SIGTERM) < 0 ? err_errno(err, "guard %d", (int)peer.pid) : 0;
}
