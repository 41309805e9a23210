/* Guard, light runners, robot program, and all of them whole again after every injection. */
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "bench/faults.h"
#include "robot/guard/guard.h"
#include "sys/file.h"
#include "sys/proc.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* ---- processes ---- */

pid_t child_start(struct world *world)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setrlimit(RLIMIT_CORE, &(struct rlimit){0});
    dup2(world->log_fd, STDERR_FILENO);
    syscall(SYS_close_range, 3, ~0u, 0);
    for (int number = SIGSEGV; number; number = number == SIGSEGV ? SIGABRT : number == SIGABRT ? SIGTERM : 0)
        signal(number, SIG_DFL); /* a sanitizer's own handler would only be slower */
    return 0;
}

void child_kill(pid_t *pid, int signal)
{
    if (*pid <= 0)
        return;
    kill(*pid, signal);
    if (signal == SIGTERM)
        kill(*pid, SIGCONT);
    waitpid(*pid, NULL, 0);
    *pid = 0;
}

static bool gone(pid_t *pid)
{
    if (*pid > 0 && waitpid(*pid, NULL, WNOHANG) == *pid)
        *pid = 0;
    return *pid == 0;
}

/* ---- the guard ---- */

void latch_path(const struct world *world, char *out, size_t size)
{
    snprintf(out, size, "%s/guard.latch", world->state_dir);
}

static int spawn_guard(struct world *world, struct err *err)
{
    char hang[16];
    snprintf(hang, sizeof hang, "%u", world->hang_ms ? world->hang_ms : 1000000);
    cleanup_free char *bin = proc_self_dir();
    cleanup_free char *path = bin ? file_join(bin, "muster-guard") : NULL;
    const char *const argv[] = {path,         "--run-dir", world->run_dir, "--state-dir", world->state_dir,
                                "--realtime", "--hang-ms", hang,           NULL};
    struct proc_options options = {
        .argv = argv, .log_path = world->log_path, .die_with_parent = true, .keep_fd = -1};
    return path ? proc_spawn(&options, &world->guard, err) : err_no_memory(err);
}

_Noreturn static void be_guard(const struct world *world)
{
    struct guard_options options = {
        .run_dir = world->run_dir, .state_dir = world->state_dir, .realtime = true, .hang_ms = 1000000};
    struct guard *guard = NULL;
    struct err err = {0};
    log_init("guard");
    if (guard_open(&options, &guard, &err) < 0 || guard_run(guard, &err) < 0) {
        log_error("%s", err.text);
        _exit(1);
    }
    guard_close(guard);
    _exit(0);
}

static void hang_up(struct world *world)
{
    mem_cleanup_close(&world->agent);
    mem_cleanup_close(&world->operator_fd);
    world->agent = world->operator_fd = -1;
    puppet_close(&world->puppet);
}

static bool dial_guard(struct world *world, struct sight *seen)
{
    struct err err = {0};
    int64_t until_ms = clock_mono_ms() + PATIENCE_MS;
    while (ctl_connect(world->run_dir, CTL_ROLE_AGENT, &world->agent, &err) < 0) {
        if (!expect(seen, clock_mono_ms() < until_ms && !gone(&world->guard),
                    "the guard does not come up: %s", err.text))
            return false;
        nap_us(500);
    }
    world->operator_fd = dial_as(world, CTL_ROLE_OPERATOR, seen);
    return world->operator_fd >= 0;
}

bool guard_start(struct world *world, struct sight *seen)
{
    struct err err = {0};
    hang_up(world);
    memset(world->limits, 0, sizeof world->limits);
    if (world->own_guard) {
        world->guard = child_start(world);
        if (world->guard == 0)
            be_guard(world);
    } else if (spawn_guard(world, &err) < 0) {
        return expect(seen, false, "%s", err.text);
    }
    return dial_guard(world, seen);
}

void guard_kill(struct world *world, int signal)
{
    child_kill(&world->guard, signal);
    hang_up(world);
}

struct ctl_limits world_limits(void)
{
    return (struct ctl_limits){
        .deadline_us = 1000000, .max_detections = 4, .label_count = 3, .min_score = 0.25f};
}

struct ctl_limits world_hasty(void)
{
    struct ctl_limits limits = world_limits();
    limits.deadline_us = DEADLINE_MS * 1000;
    return limits;
}

/* ---- the world made whole ---- */

/* Out of whatever latch, as a human at the robot would. */
static bool calm(struct world *world, struct ctl_status *status, struct sight *seen)
{
    for (int tries = 0; tries < 8; tries++) {
        if (!status_get(world, status, seen))
            return false;
        enum ctl_verb verb;
        if (status->state <= GUARD_FALLBACK)
            return true;
        if (status->state == GUARD_ESTOP) {
            struct ctl_message released;
            struct err err = {0};
            cleanup_close int mirror = dial_as(world, CTL_ROLE_ESTOP, seen);
            ctl_message_init(&released, CTL_ESTOP);
            if (mirror < 0 || ctl_send(mirror, &released, NULL, &err) < 0 ||
                !status_until(world, GUARD_SAFE_STOP, PATIENCE_MS, seen))
                return false;
            guard_kill(world, SIGKILL); /* so that the mirror's end is no new press */
            return guard_start(world, seen) && calm(world, status, seen);
        }
        verb = status->state == GUARD_OVERRIDE                                ? CTL_VERB_STOP
               : status->state == GUARD_ACK_WAIT                              ? CTL_VERB_RESTART
               : status->state == GUARD_HOLD || status->state == GUARD_FORCED ? CTL_VERB_RELEASE
                                                                              : CTL_VERB_RESET;
        (void)command(world->operator_fd, verb, 0, 0, NULL, NULL);
    }
    return expect(seen, false, "state %s cannot be left",
                  muster_state_name((enum muster_state)status->state));
}

static bool admitted(struct world *world, uint64_t generation, const struct ctl_limits *limits,
                     struct sight *seen)
{
    struct ctl_limits *said = &world->limits[generation], wanted = limits ? *limits : world_limits();
    if (memcmp(said, &wanted, sizeof wanted) == 0)
        return true;
    *said = wanted;
    return expect(seen, order(world, CTL_ADMIT, generation, 0, &wanted) == ERR_NONE, "ADMIT is refused");
}

static bool runner_up(struct world *world, uint64_t generation, struct sight *seen)
{
    struct ctl_status status;
    int64_t until_ms = clock_mono_ms() + PATIENCE_MS;
    if (generation == PUPPET)
        return (world->puppet.sock >= 0 && connected(world->puppet.sock)) ||
               puppet_open(world, &world->puppet, PUPPET, seen);
    if (gone(&world->runner[generation]) && !runner_start(world, generation, seen))
        return false;
    runner_act(world, generation, ACT_WELL);
    do {
        if (!status_get(world, &status, seen))
            return false;
        const struct ctl_runner_status *runner = status_runner(&status, generation);
        if (runner->connected && runner->pid == world->runner[generation])
            return true;
        nap_us(200);
    } while (expect(seen, clock_mono_ms() < until_ms && !gone(&world->runner[generation]),
                    "the light runner does not come up"));
    return false;
}

static bool guard_right(struct world *world, const struct needs *needs, struct sight *seen)
{
    bool other = needs->own_guard != world->own_guard || needs->hang_ms != world->hang_ms;
    if (other && world->guard > 0)
        guard_kill(world, SIGTERM);
    world->own_guard = needs->own_guard;
    world->hang_ms = needs->hang_ms;
    if (gone(&world->guard))
        return guard_start(world, seen);
    return world->agent >= 0 || (hang_up(world), dial_guard(world, seen));
}

static bool models_right(struct world *world, const struct needs *needs, struct sight *seen)
{
    struct ctl_status status;
    if (needs->active &&
        (!admitted(world, needs->active, needs->limits, seen) || !runner_up(world, needs->active, seen)))
        return false;
    if (needs->fallback &&
        (!admitted(world, needs->fallback, NULL, seen) || !runner_up(world, needs->fallback, seen)))
        return false;
    if (!status_get(world, &status, seen))
        return false;
    if (status.active_generation == needs->active && status.fallback_generation == needs->fallback)
        return true;
    return expect(seen, order(world, CTL_ACTIVATE, needs->active, needs->fallback, NULL) == ERR_NONE,
                  "ACTIVATE is refused");
}

bool robot_open(struct world *world, struct sight *seen)
{
    const struct muster_options options = {.run_dir = world->run_dir, .width = SIDE, .height = SIDE};
    char why[MUSTER_TEXT_SIZE] = "";
    int64_t until_ms = clock_mono_ms() + PATIENCE_MS;
    if (!world->robot &&
        !expect(seen, muster_open(&options, &world->robot, why) == 0, "muster_open: %s", why))
        return false;
    for (;;) {
        (void)muster_frame_begin(world->robot); /* connects again, if need be */
        if (muster_connected(world->robot))
            return true;
        if (!expect(seen, clock_mono_ms() < until_ms, "the robot program does not get to the guard"))
            return false;
        nap_us(1000);
    }
}

bool world_ready(struct world *world, const struct needs *needs, struct sight *seen)
{
    struct ctl_status status;
    memset(underfoot, 0, sizeof *underfoot);
    if (!guard_right(world, needs, seen) || !calm(world, &status, seen) || !models_right(world, needs, seen))
        return false;
    if (needs->no_robot) {
        muster_close(TAKE_PTR(world->robot));
    } else if (!robot_open(world, seen)) {
        return false;
    }
    if (!needs->active)
        return true;
    if (!status_until(world, GUARD_AUTO, PATIENCE_MS, seen))
        return false;
    return needs->no_robot || frame_healthy(world, seen);
}

/* ---- frames ---- */

uint64_t frame_send(struct world *world, int64_t capture_ns, uint32_t deadline_us)
{
    static uint8_t shade;
    memset(muster_frame_begin(world->robot), shade += 7, SIDE * SIDE * 3);
    return muster_frame_submit(world->robot, capture_ns, deadline_us);
}

void frame_look(struct world *world, uint64_t seq, struct sight *seen)
{
    struct muster_verdict verdict;
    seen->answer = muster_verdict_wait(world->robot, seq, &verdict);
    seen->at_ns = now_ns();
    seen->reason = verdict.reason;
    seen->generation = verdict.generation;
    seen->decided_ns = verdict.decided_ns;
}

static bool answered(struct world *world, bool by_hand, struct sight *own, struct sight *seen)
{
    if (by_hand && !puppet_meet(&world->puppet, seen))
        return false;
    uint64_t seq = frame_send(world, 0, LONG_US);
    if (by_hand) {
        struct ring_result result = puppet_result(&world->puppet, seq);
        puppet_say(&world->puppet, &result);
    }
    frame_look(world, seq, own);
    return own->answer == MUSTER_OK;
}

/* On a busy machine a deadline of 5 ms may pass without any fault: then the next frame is it. */
bool frame_healthy(struct world *world, struct sight *seen)
{
    struct sight own = {0};
    struct ctl_status status;
    if (!robot_open(world, seen) || !status_get(world, &status, seen))
        return false;
    bool by_hand = status.active_generation == PUPPET && world->puppet.sock >= 0, ok = false;
    for (int tries = 0; tries < 50 && !ok && !seen->wrong[0]; tries++) {
        ok = answered(world, by_hand, &own, seen);
        if (!ok && own.reason != MUSTER_REASON_DEADLINE && own.reason != MUSTER_REASON_STALE)
            break;
    }
    return expect(seen, ok, "a sound frame is answered %s (%s)", muster_answer_name(own.answer),
                  muster_reason_name(own.reason));
}

/* ---- beginning and end ---- */

/* Mounts of our own, for disks that are full or read-only; not everybody may have that. */
static bool own_mounts(void)
{
    if (unshare(CLONE_NEWNS) < 0)
        return false;
    return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

int world_open(struct world *world, struct err *err)
{
    *world =
        (struct world){.agent = -1, .operator_fd = -1, .log_fd = -1, .puppet = {.sock = -1, .bell_fd = -1}};
    char in_memory[] = "/dev/shm/muster-faults-XXXXXX", on_disk[] = "/tmp/muster-faults-XXXXXX";
    const char *dir = mkdtemp(in_memory) ? in_memory : mkdtemp(on_disk);
    if (!dir)
        return err_errno(err, "%s", on_disk);
    (void)str_copy(world->dir, sizeof world->dir, dir);
    snprintf(world->run_dir, sizeof world->run_dir, "%s/run", dir);
    snprintf(world->state_dir, sizeof world->state_dir, "%s/state", dir);
    snprintf(world->log_path, sizeof world->log_path, "%s/log", dir);
    world->log_fd = open(world->log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    size_t bytes = sizeof *underfoot + GENERATIONS * sizeof *world->stage;
    void *shared = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (world->log_fd < 0 || shared == MAP_FAILED)
        return err_errno(err, "%s", dir);
    underfoot = shared;
    world->stage = (struct stage *)(underfoot + 1);
    world->mounts = own_mounts();
    world->niced =
        setpriority(PRIO_PROCESS, 0, -20) == 0; /* what else the machine does is not what is measured */
    signal(SIGPIPE, SIG_IGN);
    return 0;
}

void world_close(struct world *world)
{
    struct err err = {0};
    muster_close(TAKE_PTR(world->robot));
    puppet_close(&world->puppet);
    for (int i = 0; i < GENERATIONS; i++)
        child_kill(&world->runner[i], SIGKILL);
    if (world->guard > 0)
        guard_kill(world, SIGKILL);
    mem_cleanup_close(&world->log_fd);
    if (world->dir[0] && file_remove_tree(world->dir, &err) < 0)
        fprintf(stderr, "bench-faults: %s\n", err.text);
}
